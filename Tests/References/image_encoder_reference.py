#!/usr/bin/env python3
"""CLIP's image encoder, its text encoder with projection and its preprocessing by transformers: writes the golden folder of our
test.

  image_encoder_reference.py Tests/StableDiffusionTests/Goldens/clip

Needs torch, transformers, numpy, Pillow and safetensors; works with torch 2.13, transformers 5.23, Pillow 13. Both encoders are small and
have random weights.

In the folder:
  image_encoder/, feature_extractor/, text_encoder/   as a pipeline of diffusers saves them
  expected.safetensors:
    wide (3, 37, 53, 3), tall (1, 31, 20, 3)     8-bit pictures, f16: larger and smaller than the encoder's
    wide.prepared, tall.prepared (F, 28, 28, 3)  what the encoder gets
    wide.embeddings, tall.embeddings (F, 16)
    ids (2, 9) int64, text.embeddings (2, 16)
"""
import sys
from pathlib import Path

import numpy, torch
from safetensors.torch import save_file
from transformers import (
    CLIPImageProcessorPil, CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection)


@torch.no_grad()
def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shared = dict(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, projection_dim=16, initializer_range=0.3,
        initializer_factor=8.0)
    image = CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=28, patch_size=7, hidden_act="gelu", **shared)).eval()
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(vocab_size=40, max_position_embeddings=9, bos_token_id=38, eos_token_id=39, pad_token_id=39, **shared)).eval()
    for model in (image, text):
        for name, weights in model.named_parameters():
            if "norm" in name or "layrnorm" in name or name.endswith("bias"):
                weights.add_(0.2 * torch.randn_like(weights))
    processor = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    image.save_pretrained(folder / "image_encoder")
    text.save_pretrained(folder / "text_encoder")
    processor.save_pretrained(folder / "feature_extractor")

    numbers = numpy.random.default_rng(0)
    # Smooth, with noise, and with pixels at both ends of the range.
    waves = lambda f, h, w: 128 + 140 * numpy.sin(numpy.arange(f * h * w * 3).reshape(f, h, w, 3) / 37)
    pictures = lambda *shape: (waves(*shape) + numbers.normal(0, 20, (*shape, 3))).clip(0, 255).astype(numpy.uint8)
    out = {}
    for name, frames in {"wide": pictures(3, 37, 53), "tall": pictures(1, 31, 20)}.items():
        prepared = processor(list(frames), return_tensors="pt").pixel_values
        out |= {
            name: torch.from_numpy(frames).half(), f"{name}.prepared": prepared.permute(0, 2, 3, 1).contiguous(),
            f"{name}.embeddings": image(prepared).image_embeds}
    ids = torch.tensor([[38, 5, 17, 39, 39, 39, 39, 39, 39], [38, 1, 2, 3, 4, 5, 6, 7, 39]])
    out |= {"ids": ids, "text.embeddings": text(ids).text_embeds}
    save_file(out, folder / "expected.safetensors")
    print({k: (tuple(v.shape), v.float().std().item()) for k, v in out.items()})


if __name__ == "__main__":
    main()
