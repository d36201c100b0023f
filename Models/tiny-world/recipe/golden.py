"""What PyTorch and diffusers compute with a model: the numbers that `stemctl models verify MODEL GOLDEN.safetensors` compares with its own."""

import torch
from safetensors.torch import save_file

from . import tokenizer
from .files import written_aside
from .model import Model
from .renderer import render
from .scene import Pose, Scene

PROMPTS = ["", "a photo of a red metal ball on sand", "a photo of a purple metal ball on sand"]


def frames(count=3, width=104, height=72):
    """Some frames of a clip, of a size in which nothing is square, even or a power of two once it is latents."""
    scene = Scene("red", "ball", "metal", "sand", "day", "photo")
    clip = render([scene.changed(pose=Pose(x=-0.5 + 0.3 * index)) for index in range(count)])
    return clip[:, :, -height:, :width]


@torch.no_grad()
def write(folder, path, pictures, steps=4, timestep=501, seed=0):
    """pictures: (frames, 3, height, width) in [0, 1].

    The text encoder on three prompts, the autoencoder both ways, the UNet once, and DDIM: from latents to noise in `steps` steps with the
    second prompt and without guidance, and back.
    """
    model = Model(folder)
    generator = torch.Generator().manual_seed(seed)
    frames = len(pictures)
    ids = tokenizer.encoded(model.words, PROMPTS)
    hidden = model.text_encoder(ids).last_hidden_state
    image = pictures * 2 - 1
    mean = model.vae.encode(image).latent_dist.mean
    context = hidden[1:2].expand(frames, -1, -1).contiguous()
    sample = torch.randn(mean.shape, generator=generator)
    predicted = lambda latents, time: model.unet(latents, time, encoder_hidden_states=context).sample

    def moved(latents, time, here, there):
        """From one noise level (a cumulative product of alphas) to another along what the UNet predicts at this time."""
        noise = predicted(latents, time)
        clean = (latents - (1 - here).sqrt() * noise) / here.sqrt()
        return there.sqrt() * clean + (1 - there).sqrt() * noise

    model.scheduler.set_timesteps(steps)
    times = model.scheduler.timesteps.tolist()
    levels = [model.scheduler.final_alpha_cumprod] + [model.scheduler.alphas_cumprod[time] for time in reversed(times)]
    start = inverted = mean * model.vae.config.scaling_factor
    for index, time in enumerate(reversed(times)):
        inverted = moved(inverted, time, levels[index], levels[index + 1])
    reconstructed = inverted
    for index, time in enumerate(times):
        reconstructed = moved(reconstructed, time, levels[steps - index], levels[steps - index - 1])

    tensors = {
        "text.input_ids": ids,
        "text.hidden": hidden,
        "vae.image": image,
        "vae.mean": mean,
        "vae.decoded": model.vae.decode(mean).sample,
        "unet.sample": sample,
        "unet.timestep": torch.tensor(timestep),
        "unet.context": context,
        "unet.output": predicted(sample, timestep),
        "ddim.timesteps": torch.tensor(times),
        "ddim.start": start,
        "ddim.inverted": inverted,
        "ddim.reconstructed": reconstructed,
    }
    metadata = {"source_prompt": PROMPTS[1], "prompt": PROMPTS[2], "steps": str(steps), "scaling_factor": str(model.vae.config.scaling_factor)}
    with written_aside(path) as aside:
        save_file({name: value.contiguous() for name, value in tensors.items()}, aside, metadata=metadata)
