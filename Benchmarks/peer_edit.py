#!/usr/bin/env python3
"""The edit that `stemctl edit` makes, in PyTorch and diffusers: STEM inversion, then TokenFlow, from clip to clip. It says on
standard error which stage begins, as stemctl does."""

import argparse
import sys

import av
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from peer_attention import STEMAttention, self_attention_paths, use_self_attention
from peer_tokenflow import TokenFlow
from random_numbers import RandomNumbers

BASES = 256


def stage(name):
    print(name, file=sys.stderr, flush=True)


class Clip:
    """Frames in [-1, 1], (frames, 3, height, width), and their rate."""

    def __init__(self, images, rate):
        self.images, self.rate = images, rate

    @classmethod
    def read(cls, path, frames, width, height):
        with av.open(path) as container:
            rate = container.streams.video[0].average_rate
            pictures = []
            for frame in container.decode(video=0):
                pictures.append(torch.from_numpy(frame.reformat(width, height, format="rgb24", interpolation="BICUBIC").to_ndarray()))
                if len(pictures) == frames:
                    break
        return cls(torch.stack(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1, rate)

    def write(self, path):
        pictures = ((self.images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=self.rate, options={"crf": "16", "preset": "medium", "bf": "0"})
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())


def inverted(unet, scheduler, latents, context, seed):
    """The latents at every time step of STEM inversion."""
    noise = {
        path: RandomNumbers(seed, f"stem.noise.{path}").normal((attention.heads, BASES, attention.inner_dim // attention.heads))
        for path, attention in self_attention_paths(unet).items()
    }
    use_self_attention(unet, {path: STEMAttention(torch.from_numpy(values)) for path, values in noise.items()})
    context = context.expand(len(latents), -1, -1)
    trajectory, alpha = {}, scheduler.final_alpha_cumprod
    for time in reversed(scheduler.timesteps.tolist()):
        output = unet(latents, time, context).sample
        if scheduler.config.prediction_type == "v_prediction":
            output = alpha.sqrt() * output + (1 - alpha).sqrt() * latents
        clean = (latents - (1 - alpha).sqrt() * output) / alpha.sqrt()
        alpha = scheduler.alphas_cumprod[time]
        latents = trajectory[time] = alpha.sqrt() * clean + (1 - alpha).sqrt() * output
    return trajectory


@torch.inference_mode()
def edit(arguments):
    stage("load")
    load = lambda kind, part, **options: kind.from_pretrained(arguments.model, subfolder=part, **options)
    unet = load(UNet2DConditionModel, "unet", torch_dtype=torch.float32).eval()
    autoencoder = load(AutoencoderKL, "vae", torch_dtype=torch.float32).eval()
    text_encoder = load(CLIPTextModel, "text_encoder", dtype=torch.float32).eval()
    tokenizer, scheduler = load(CLIPTokenizer, "tokenizer"), load(DDIMScheduler, "scheduler")
    scheduler.set_timesteps(arguments.steps)

    stage("decode")
    width, height = map(int, arguments.size.split("x"))
    clip = Clip.read(arguments.input, arguments.frames, width, height)
    prompts = [arguments.source_prompt, arguments.negative_prompt, arguments.prompt]
    contexts = text_encoder(tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids)[0]

    stage("encode latents")
    latents = autoencoder.encode(clip.images).latent_dist.mean * autoencoder.config.scaling_factor
    stage("invert")
    trajectory = inverted(unet, scheduler, latents, contexts[:1], arguments.seed)
    stage("edit")
    flow = TokenFlow(unet, len(latents))

    def keyframe(step, group, frames):
        numbers = RandomNumbers(arguments.seed, f"tokenflow.keyframes.{group}")
        return int(frames[0]) + numbers.integer(len(frames), step)

    latents = flow.edit(scheduler, trajectory, contexts, arguments.guidance, keyframe)
    stage("decode latents")
    images = autoencoder.decode(latents / autoencoder.config.scaling_factor).sample
    stage("encode")
    Clip(images, clip.rate).write(arguments.output)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--source-prompt", default="")
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--output", required=True)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", default="128x128", help="WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    edit(arguments)


if __name__ == "__main__":
    main()
