"""The text encoder and the UNet, trained together: noise is to be told from latents, with a prompt that says what they show.

Stable Diffusion 1.x in small: `scaled_linear` noise, the noise itself predicted. Latents are encoded once; captions are drawn anew at every step, so that no wording
belongs to any picture.
"""

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from . import autoencoder, tokenizer
from .files import written_aside
from .grammar import caption
from .optimization import optimizers
from .progress import Progress
from .training import Training

WIDTH = 128
UNET = dict(
    sample_size=16,
    in_channels=4,
    out_channels=4,
    layers_per_block=2,
    block_out_channels=(64, 96, 128, 128),
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    norm_num_groups=16,
    cross_attention_dim=WIDTH,
    attention_head_dim=4,  # diffusers' name for the number of heads
)
SCHEDULER = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    clip_sample=False,
    set_alpha_to_one=False,
    steps_offset=1,
    prediction_type="epsilon",
)
STEPS = 2600
BATCH = 32
RATE = 3e-3
# Of the prompts: without them guidance would have nothing to start from.
DROPPED = 0.1
# Min-SNR (Hang et al., 2023): steps of little noise count no more than those of this signal-to-noise ratio.
SIGNAL_LIMIT = 5.0


def scheduler():
    return DDIMScheduler(**SCHEDULER)


def made_unet(seed):
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(**UNET)
    # Starts by saying nothing.
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet


def made_text_encoder(words, seed):
    torch.manual_seed(seed + 1)
    network = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            max_position_embeddings=tokenizer.LENGTH,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            hidden_act="quick_gelu",
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    # Words are to be told apart from the start; CLIP's own 0.02 is for far longer trainings.
    for module in network.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.05)
    return network


def encode(network, data, path, batch=50):
    """Writes the latents of the pictures (n, 3, 128, 128), and behind them those of their mirror images, (2n, 4, 16, 16), as the UNet takes them."""
    both, told = [], Progress("latents", 2 * len(data))
    for mirrored in (False, True):
        for start in range(0, len(data), batch):
            part = data[start : start + batch]
            both.append(autoencoder.means(network, part.flip(-1) if mirrored else part, mixed=True) * network.config.scaling_factor)
            told.tell(min(len(both) * batch, 2 * len(data)), lambda: "pictures encoded")
    with written_aside(path) as aside:
        torch.save(torch.cat(both), aside)


def train(latents, scenes, words, folder, seed, steps, minutes=None, batch=BATCH, rate=RATE, stop_after=None):
    """latents: (2n, 4, 16, 16) of the n scenes and of their mirror images, for which the same words hold. Gives the UNet and the text encoder.

    Raises ValueError where there are not two latents for each scene.
    """
    if len(latents) != 2 * len(scenes):
        raise ValueError(f"there are {len(latents)} latents for {len(scenes)} pictures, not two for each: make the stage latents anew")
    unet, text = made_unet(seed), made_text_encoder(words, seed)
    modules = {"unet": unet, "text_encoder": text}
    settings = {"latents": len(latents), "batch": batch, "rate": rate, "vocabulary": len(words)}
    # The embeddings are the text's and the times'.
    chosen = optimizers(modules, rate, but=("unet.conv_in", "unet.conv_out", "embedding"))
    training = Training("denoiser", modules, chosen, folder, seed, steps, minutes, settings=settings)
    levels = scheduler().alphas_cumprod

    def step(draws):
        chosen = torch.randint(len(latents), (batch,), generator=draws.tensors)
        clean = latents[chosen]
        prompts = ["" if draws.words.random() < DROPPED else caption(scenes[index % len(scenes)], draws.words) for index in chosen.tolist()]
        # Evenly spread over all times: less chance than if each were drawn by itself.
        times = (torch.arange(batch) + torch.rand(batch, generator=draws.tensors)) * len(levels) / batch
        times = times.long().clamp_max(len(levels) - 1)
        noise = torch.randn(clean.shape, generator=draws.tensors)
        level = levels[times].view(-1, 1, 1, 1)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
        with torch.autocast("cpu", dtype=torch.bfloat16):
            context = text(tokenizer.encoded(words, prompts)).last_hidden_state
            said = unet(noisy, times, encoder_hidden_states=context).sample.float()
        errors = ((said - noise) ** 2).mean((1, 2, 3))
        ratio = levels[times] / (1 - levels[times])
        weights = ratio.clamp_max(SIGNAL_LIMIT) / ratio
        return (errors * weights).mean(), {"error": errors.mean().item()}

    training.run(step, stop_after)
    return unet.eval(), text.eval()
