#!/usr/bin/env python3
"""PyTorch and diffusers behind the lines that stem-bench speaks."""

import argparse
import functools
import pathlib
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from peer_attention import STEMAttention, VideoAttention, self_attention_paths, use_self_attention
from peer_lines import answer_lines


class TorchPeer:
    """Loads what is asked for, when it is asked for."""

    def __init__(self, model, dtype):
        self.model, self.dtype = model, dtype

    @functools.cached_property
    def unet(self):
        return UNet2DConditionModel.from_pretrained(self.model, subfolder="unet", torch_dtype=self.dtype).eval()

    @functools.cached_property
    def autoencoder(self):
        return AutoencoderKL.from_pretrained(self.model, subfolder="vae", torch_dtype=self.dtype).eval()

    @functools.cached_property
    def text_encoder(self):
        return CLIPTextModel.from_pretrained(self.model, subfolder="text_encoder", dtype=self.dtype).eval()

    def prepared(self, run, inputs):
        """What is to be timed, and the self-attentions that time their expectation maximisation."""
        inputs = {name: value.to(self.dtype) if value.is_floating_point() else value for name, value in inputs.items()}
        match run:
            case "encode":
                autoencoder = self.autoencoder
                return lambda: autoencoder.encode(inputs["images"]).latent_dist.mean, []
            case "decode":
                autoencoder = self.autoencoder
                return lambda: autoencoder.decode(inputs["latents"]).sample, []
            case "text":
                text_encoder = self.text_encoder
                return lambda: text_encoder(inputs["input_ids"]).last_hidden_state, []
        unet, paths = self.unet, self_attention_paths(self.unet)
        match run:
            case "unet" | "ddim":
                processors = {}
            case "stem":
                processors = {path: STEMAttention(inputs[f"stem.noise.{path}"]) for path in paths}
            case "spatial-temporal":
                processors = dict.fromkeys(paths, VideoAttention())
            case _:
                raise ValueError(f"there is nothing called '{run}' to run")
        use_self_attention(unet, processors)
        sample, timestep = inputs["sample"], inputs["timestep"]
        context = inputs["context"].expand(len(sample), -1, -1)
        return lambda: unet(sample, timestep, context).sample, list(processors.values()) if run == "stem" else []

    @torch.inference_mode()
    def run(self, request):
        compute, timed = self.prepared(request["run"], load_file(request["input"]))
        begun = time.perf_counter()
        result = compute()
        answer = {"seconds": time.perf_counter() - begun}
        if timed:
            answer["em_seconds"] = sum(attention.seconds for attention in timed)
        if request.get("output"):
            save_file({"output": result.float().contiguous()}, request["output"])
        return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float64"), default="float32")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    answer_lines(TorchPeer(arguments.model, getattr(torch, arguments.dtype)).run)


if __name__ == "__main__":
    main()
