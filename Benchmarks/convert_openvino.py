#!/usr/bin/env python3
"""Converts one part of a model to OpenVINO's format, with weights in 32 bits and shapes left open: convert_openvino.py MODEL PART OUT.xml"""

import pathlib
import sys

import openvino
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel


class Part(torch.nn.Module):
    """A module whose forward is a function of it."""

    def __init__(self, module, compute):
        super().__init__()
        self.module, self.compute = module, compute

    def forward(self, *inputs):
        return self.compute(self.module, *inputs)


def part(model, name):
    """The part, inputs to trace it with, and the shapes that it takes."""
    sides = [-1, -1]
    match name:
        case "unet":
            module = UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32)
            sizes = module.config
            inputs = torch.randn(2, sizes.in_channels, 64, 64), torch.tensor(501), torch.randn(2, 77, sizes.cross_attention_dim)
            compute = lambda unet, *inputs: unet(*inputs, return_dict=False)[0]
            shapes = [-1, sizes.in_channels, *sides], [], [-1, -1, sizes.cross_attention_dim]
        case "encoder" | "decoder":
            module = AutoencoderKL.from_pretrained(model, subfolder="vae", torch_dtype=torch.float32)
            if name == "encoder":
                inputs = (torch.randn(1, 3, 256, 256),)
                compute = lambda autoencoder, images: autoencoder.encode(images).latent_dist.mean
            else:
                inputs = (torch.randn(1, module.config.latent_channels, 32, 32),)
                compute = lambda autoencoder, latents: autoencoder.decode(latents, return_dict=False)[0]
            shapes = ([-1, inputs[0].shape[1], *sides],)
        case "text_encoder":
            # Eager attention: the other kinds build their masks with what cannot be traced.
            module = CLIPTextModel.from_pretrained(
                model, subfolder="text_encoder", dtype=torch.float32, attn_implementation="eager"
            )
            inputs = (torch.randint(0, module.config.vocab_size, (2, module.config.max_position_embeddings)),)
            compute = lambda text_encoder, ids: text_encoder(ids).last_hidden_state
            shapes = ([-1, -1],)
    return Part(module.eval(), compute), inputs, [openvino.PartialShape(shape) for shape in shapes]


def main():
    model, name, path = sys.argv[1:]
    module, inputs, shapes = part(model, name)
    with torch.no_grad():
        converted = openvino.convert_model(module, example_input=inputs, input=shapes)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Weights first; under its own name the whole exists only when it is complete.
    aside = path.with_name("part-" + path.name)
    openvino.save_model(converted, aside, compress_to_fp16=False)
    aside.with_suffix(".bin").rename(path.with_suffix(".bin"))
    aside.rename(path)


if __name__ == "__main__":
    main()
