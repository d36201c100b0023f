#!/usr/bin/env python3
"""Writes a model of Stable Diffusion 1.5's size with random weights, float32, in diffusers' folder layout: what a
computation costs does not depend on what the model has learned."""

import argparse
import json
import pathlib
import shutil

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

TOKENS, POSITIONS = 49408, 77
START, END = "<|startoftext|>", "<|endoftext|>"


def unet():
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(320, 640, 1280, 1280),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=768,
        attention_head_dim=8,  # diffusers' name for the number of heads
    )


def autoencoder():
    return AutoencoderKL(
        sample_size=512,
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        layers_per_block=2,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.18215,
    )


def text_encoder():
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=TOKENS,
            max_position_embeddings=POSITIONS,
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            hidden_act="quick_gelu",
            bos_token_id=TOKENS - 2,
            eos_token_id=TOKENS - 1,
            pad_token_id=TOKENS - 1,
        )
    )


def scheduler():
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def write_tokenizer(folder):
    """One that spells every word, byte by byte: no prompt is read here, but a model folder has a tokenizer."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
    vocabulary = {token: index for index, token in enumerate(alphabet + [letter + "</w>" for letter in alphabet])}
    vocabulary["th"] = len(vocabulary)
    vocabulary |= {START: TOKENS - 2, END: TOKENS - 1}
    configuration = {"tokenizer_class": "CLIPTokenizer", "model_max_length": POSITIONS, "do_lower_case": True, "bos_token": START}
    configuration |= {key: END for key in ("eos_token", "unk_token", "pad_token")}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nt h\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))


def write_model(folder, seed):
    torch.manual_seed(seed)
    index = {"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", "CLIPTokenizer"]}
    parts = {"unet": unet, "vae": autoencoder, "text_encoder": text_encoder, "scheduler": scheduler}
    for name, make in parts.items():
        part = make()
        part.save_pretrained(folder / name)
        index[name] = [type(part).__module__.split(".")[0], type(part).__name__]
    write_tokenizer(folder / "tokenizer")
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # Under another name until it is whole.
    part = arguments.folder.with_name(arguments.folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    write_model(part, arguments.seed)
    part.rename(arguments.folder)


if __name__ == "__main__":
    main()
