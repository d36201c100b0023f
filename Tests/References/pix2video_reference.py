#!/usr/bin/env python3
"""What Pix2Video's own code gives on a small model: writes the golden file of our Pix2Video's test.

  git clone https://github.com/duyguceylan/pix2video CHECKOUT
  pix2video_reference.py CHECKOUT Models/tiny-world Tests/VideoEditingTests/Goldens/pix2video-104x72.safetensors

Needs torch, transformers, diffusers, einops and safetensors; works with torch 2.13, transformers 5.23, diffusers 0.42.

The authors' `VideoModel.test`, their UNet and their attention run as they are, frame after frame, but for
- the packages they were written for (a copy of diffusers 0.10, Lightning, imageio): what the arithmetic does not need is a
  stand-in, and the copy's base classes are the installed diffusers' own;
- the autoencoder, which is left out: their `latent2image` gives the latents back;
- `i>25` of 50 steps, from where latents are no longer guided, which becomes the same share of `--steps`.

Tensors, float32, PyTorch's layout; F frames, S steps, all latents scaled:
  inverted (F, 4, h, w)        standard normal: the noise that each frame is sampled from
  text.hidden (2, L, D)        the UNet's context: row 0 the empty prompt, row 1 the target prompt
  timesteps (S) int64          descending
  latents (S, F, 4, h, w)      after each step
  clean (S, F, 4, h, w)        the clean latents that each step predicts
Metadata: prompt, guidance.
"""
import argparse, sys, types
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from safetensors.torch import load_file, save_file


def stand_in(name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    return module


def authors_code(checkout, steps):
    """Their UNet class and their module with VideoModel."""
    import diffusers.configuration_utils, diffusers.models.modeling_utils, diffusers.utils, diffusers.utils.import_utils
    package = stand_in("mydiffusers", __path__=[f"{checkout}/mydiffusers/mydiffusers"], DDIMScheduler=None)
    stand_in("mydiffusers.models", __path__=[f"{checkout}/mydiffusers/mydiffusers/models"])
    sys.modules["mydiffusers.configuration_utils"] = diffusers.configuration_utils
    sys.modules["mydiffusers.modeling_utils"] = diffusers.models.modeling_utils
    sys.modules["mydiffusers.utils"] = diffusers.utils
    sys.modules["mydiffusers.utils.import_utils"] = diffusers.utils.import_utils
    stand_in("imageio", imwrite=lambda *_: None)
    stand_in("pytorch_lightning", seed_everything=None)
    from mydiffusers.models.unet_2d_condition import UNet2DConditionModel

    sys.path.insert(0, f"{checkout}/code")
    path = Path(checkout, "code", "video_model_cross_frame_attn.py")
    source, condition = path.read_text(), "if i>25:"
    assert source.count(condition) == 1, f"{path} is not the file that this script knows"
    module = stand_in("video_model_cross_frame_attn")
    exec(compile(source.replace(condition, f"if i>{steps * 25 // 50}:"), str(path), "exec"), vars(module))
    return UNet2DConditionModel, module


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkout", "model", "out"):
        parser.add_argument(name)
    parser.add_argument("--prompt", default="a blue metal ball on sand")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", default="104x72", help="in pixels")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    from diffusers import DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer
    UNet, code = authors_code(args.checkout, args.steps)
    configuration = UNet.load_config(args.model, subfolder="unet")
    unet = UNet.from_config({k: v for k, v in configuration.items() if v is not None and not k.startswith("_")}).eval()
    weights = load_file(Path(args.model, "unet", "diffusion_pytorch_model.safetensors"))
    unet.load_state_dict({k: v.float() for k, v in weights.items()})
    text = CLIPTextModel.from_pretrained(args.model, subfolder="text_encoder", dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(args.model, subfolder="tokenizer")
    scheduler = DDIMScheduler.from_pretrained(args.model, subfolder="scheduler")

    width, height = map(int, args.size.split("x"))
    generator = torch.Generator().manual_seed(args.seed)
    inverted = torch.randn(args.frames, 4, height // 8, width // 8, generator=generator)
    pipeline = SimpleNamespace(tokenizer=tokenizer, text_encoder=text, unet=unet, scheduler=scheduler, device="cpu")
    video = code.VideoModel(
        pipeline, args.steps, args.guidance, "", [""], "", args.frames, classifier_guidance_flag=True,
        per_frame_classifier_guidance=True, use_self_attention_injection=True, target_index=25, device="cpu")

    edited, clean, before = [], [], []
    step = video.get_noise_pred

    def recorded(latents, *arguments, **keywords):
        result = step(latents, *arguments, **keywords)
        before.append(latents)
        clean.append(result[1])
        return result

    video.get_noise_pred = recorded
    video.latent2image = lambda latents, return_type: latents
    picture = SimpleNamespace(convert=lambda _: 0)
    code.Image = SimpleNamespace(fromarray=lambda latents: edited.append(latents) or picture)
    frames = inverted.split(1)
    video.test(
        SimpleNamespace(is_reverse=False, image_latents=frames, depth=[None] * args.frames, inversions=frames),
        Path(args.out).parent, [args.prompt])

    by_step = lambda calls: torch.cat(calls).unflatten(0, (args.frames, args.steps)).transpose(0, 1)
    out = {
        "inverted": inverted, "text.hidden": torch.cat(video.context), "timesteps": scheduler.timesteps.long(),
        "latents": torch.cat([by_step(before)[1:], torch.stack(edited)[None]]), "clean": by_step(clean)}
    save_file({k: v.contiguous() for k, v in out.items()}, args.out, metadata={"prompt": args.prompt, "guidance": str(args.guidance)})


if __name__ == "__main__":
    main()
