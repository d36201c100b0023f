#!/usr/bin/env python3
"""Features of the UNet's last self-attention, their consistency and their principal components by diffusers, PyTorch and numpy: writes
the golden file of our measures' test.

  features_reference.py Models/tiny-world Tests/VideoEditingTests/Goldens/features-104x72.safetensors

Needs torch, diffusers, numpy and safetensors; works with torch 2.13, diffusers 0.42.

Tensors, float32; F = 3 frames, H x W pixels, h x w cells, C channels:
  sample (F, 4, h, w), context (1, L, D), timestep () int64   what the UNet gets; F latents with one prompt
  features (F, h w, C)              the output of the last self-attention
  backward (F - 1, H, W, 2)         random smooth flow, beyond the edges too, f16; each rounded before it is used
  visible (F - 1, H, W)             at random, f16
  flow (F - 1, h, w, 2), cells (F - 1, h, w)   both on the grid: means of flow, and where at least half is visible
  similarity (F - 1)                mean cosine similarity of each frame's features with those of the frame before, moved
  picture (F, h, w, 3)              the principal components, each from -1 to 1
"""
import argparse

import numpy, torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file


def moved(maps, flow):
    """(1, C, h, w) at p + flow(p), (h, w, 2) in pixels; the edge goes on for ever."""
    h, w = flow.shape[:2]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([2 * (x + flow[..., 0]) / (w - 1) - 1, 2 * (y + flow[..., 1]) / (h - 1) - 1], -1)
    return F.grid_sample(maps, grid[None], mode="bilinear", padding_mode="border", align_corners=True)


def components(features):
    """(F, h, w, C) as a picture."""
    tokens = features.reshape(-1, features.shape[-1]).double().numpy()
    tokens = tokens - tokens.mean(0)
    directions = numpy.linalg.svd(tokens, full_matrices=False)[2][:3]
    greatest = numpy.take_along_axis(directions, abs(directions).argmax(1)[:, None], 1)
    picture = tokens @ (directions * numpy.sign(greatest)).T
    least, most = picture.min(0), picture.max(0)
    return torch.from_numpy(2 * (picture - least) / (most - least) - 1).float().reshape(*features.shape[:3], 3)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(*shape, generator=generator)
    unet = UNet2DConditionModel.from_pretrained(args.model, subfolder="unet", torch_dtype=torch.float32).eval()

    frames, height, width = 3, 72, 104
    h, w = height // 8, width // 8
    sample = random(1, 4, h, w) + 0.3 * random(frames, 4, h, w)
    context, timestep = random(1, 7, unet.config.cross_attention_dim), torch.tensor(481)
    found = []
    last = unet.up_blocks[-1].attentions[-1].transformer_blocks[-1].attn1
    last.register_forward_hook(lambda *call: found.append(call[-1]))
    unet(sample, timestep, encoder_hidden_states=context.expand(frames, -1, -1))
    (features,) = found

    coarse = F.interpolate(12 * random(frames - 1, 2, 3, 4), (height, width), mode="bicubic")
    backward = coarse.permute(0, 2, 3, 1).half()
    visible = (F.interpolate(random(frames - 1, 1, 12, 17), (height, width), mode="bilinear")[:, 0] > -0.3).half()
    flow = F.adaptive_avg_pool2d(backward.float().permute(0, 3, 1, 2), (h, w)).permute(0, 2, 3, 1) / 8
    cells = (F.adaptive_avg_pool2d(visible.float(), (h, w)) >= 0.5).float()
    maps = features.transpose(1, 2).unflatten(2, (h, w))
    similarity = torch.stack([
        F.cosine_similarity(moved(maps[i : i + 1], flow[i])[0], maps[i + 1], dim=0)[cells[i] > 0].mean() for i in range(frames - 1)])
    out = {
        "sample": sample, "context": context, "timestep": timestep, "features": features, "backward": backward, "visible": visible,
        "flow": flow, "cells": cells, "similarity": similarity, "picture": components(features.unflatten(1, (h, w)))}
    save_file({k: v.contiguous() for k, v in out.items()}, args.out)
    print(similarity, flow.abs().max(), cells.mean())


if __name__ == "__main__":
    main()
