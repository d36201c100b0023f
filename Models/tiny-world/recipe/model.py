"""The finished model, opened with diffusers and transformers, and pictures from it: what is said here of it is said of what people use."""

import pathlib

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from . import tokenizer
from .progress import Progress


class Model:
    """A folder in diffusers' layout, opened in 32-bit floats. Raises FileNotFoundError where there is none."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        if not (folder / "model_index.json").exists():
            raise FileNotFoundError(f"{folder} holds no model: run the stage all to make one, or name another with --model")
        self.words = tokenizer.opened(folder / "tokenizer")
        self.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float().eval()
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet").float().eval()
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").float().eval()
        self.scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")

    def context(self, prompts):
        """(prompts, positions, width)"""
        return self.text_encoder(tokenizer.encoded(self.words, prompts)).last_hidden_state

    @torch.no_grad()
    def pictures(self, prompts, seed, steps=50, guidance=5.0, batch=16, mixed=True, name="pictures"):
        """A picture for each prompt, (n, 3, size, size) in [0, 1], by deterministic DDIM.

        mixed: the UNet multiplies in bfloat16, as stemd does by default where the processor can.
        """
        generator = torch.Generator().manual_seed(seed)
        size = self.unet.config.sample_size
        noise = torch.randn(len(prompts), self.unet.config.in_channels, size, size, generator=generator)
        self.scheduler.set_timesteps(steps)
        done, told = [], Progress(name, len(prompts) * steps)
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            latents = noise[start : start + batch]
            context = self.context([""] * len(part) + part)
            for index, time in enumerate(self.scheduler.timesteps):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
                    said = self.unet(torch.cat([latents, latents]), time, encoder_hidden_states=context).sample.float()
                without, with_prompt = said.chunk(2)
                said = without + guidance * (with_prompt - without)
                latents = self.scheduler.step(said, time, latents).prev_sample
                told.tell(start * steps + (index + 1) * len(part), lambda: "steps of pictures")
            decoded = self.vae.decode(latents / self.vae.config.scaling_factor).sample
            done.append((decoded / 2 + 0.5).clamp(0, 1))
        return torch.cat(done)
