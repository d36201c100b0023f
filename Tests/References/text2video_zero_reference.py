#!/usr/bin/env python3
"""What Text2Video-Zero's own code gives on a small model: writes the golden file of our Text2Video-Zero's tests.

  git clone https://github.com/Picsart-AI-Research/Text2Video-Zero CHECKOUT
  text2video_zero_reference.py CHECKOUT Models/tiny-world Tests/VideoEditingTests/Goldens/text2video-zero-160x96.safetensors

Needs torch, transformers, diffusers, einops and safetensors; works with torch 2.13, transformers 5.23, diffusers 0.42.

- generated: the authors' `TextToVideoPipeline.__call__` with their `CrossFrameAttnProcessor`, 50 steps as its table demands. What
  the method does not need of their many imports is a stand-in, as is torchvision's `Resize` (0.14: bilinear, not antialiased).
- instructed: diffusers' InstructPix2Pix pipeline with the authors' attention processor, as their `process_pix2pix` puts it together.
  The UNet is the model's own, its first convolution widened by random weights for the image latents' four channels, as
  InstructPix2Pix was made from Stable Diffusion before its training.
- edited: what we define for an ordinary model: cross-frame attention on inverted latents, deterministic DDIM, guidance; their
  attention processor, diffusers' scheduler.

Tensors, float32, PyTorch's layout; F frames, S steps, all latents scaled but `instructed.image`:
  text.hidden (2, L, D)                     the UNet's context: row 0 the empty prompt, row 1 the prompt
  generated.start (1, 4, h, w)              the first frame's noise
  generated.timesteps (2) int64             where the first frame is warped (t0), where all frames start (t1)
  generated.warped (F - 1, 4, h, w)         the first frame at t0, moved for the later frames
  generated.noise (F - 1, 4, h, w)          drawn to take these back to t1
  generated.clean (F, 4, h, w)
  edited.inverted (F, 4, h, w)              standard normal
  edited.latents (S, F, 4, h, w)            after each step
  instructed.image (F, 4, h, w)             the image latents, unscaled
  instructed.conv_in (C, 4, 3, 3)           the first convolution's weights for them
  instructed.noise (S + 1, F, 4, h, w)      standard normal: the start's, then each step's
  instructed.latents (S, F, 4, h, w)        after each step
Metadata: prompt, guidance, image_guidance, motion_strength.
"""
import argparse, ast, contextlib, sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from safetensors.torch import save_file


class Resize:
    """torchvision 0.14's on tensors."""

    def __init__(self, size):
        self.size = size

    def __call__(self, picture):
        return torch.nn.functional.interpolate(picture, self.size, mode="bilinear", align_corners=False)


def stand_in(name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def authors_code(checkout):
    """Their pipeline class and their attention processor's."""
    import einops, transformers
    stand_in("torchvision")
    stand_in("torchvision.transforms", Resize=Resize)
    stand_in("kornia")
    stand_in("kornia.morphology", dilation=None)
    if not hasattr(transformers, "CLIPFeatureExtractor"):
        transformers.CLIPFeatureExtractor = object
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    sys.path.insert(0, checkout)
    from text_to_video_pipeline import TextToVideoPipeline
    # utils.py opens detectors of poses and depths when imported.
    path = Path(checkout, "utils.py")
    (processor,) = [n for n in ast.parse(path.read_text()).body if getattr(n, "name", "") == "CrossFrameAttnProcessor"]
    names = {"rearrange": einops.rearrange, "torch": torch}
    exec(compile(ast.Module([processor], []), str(path), "exec"), names)
    return TextToVideoPipeline, names["CrossFrameAttnProcessor"]


def attend_across_frames(unet, processor, streams):
    for module in unet.modules():
        if type(module).__name__ == "Attention":
            module.cross_attention_norm = None
    unet.set_attn_processor(processor(unet_chunk_size=streams))


def generated(pipeline_class, pipeline, context, args):
    """Their pipeline's call, on an object that has what it asks of its base class."""
    methods = {n: m for n, m in vars(pipeline_class).items() if not n.startswith("__")} | {"__call__": pipeline_class.__call__}
    out = {}
    forward, independent = methods["DDPM_forward"], methods["warp_latents_independently"]

    def recorded_forward(self, x0, t0, tMax, generator, **keywords):
        # What their call is about to draw, from another generator in the same state.
        twin = torch.Generator()
        twin.set_state(generator.get_state())
        out["generated.warped"] = x0[0].transpose(0, 1)
        out["generated.noise"] = torch.randn(x0.shape, generator=twin)[0].transpose(0, 1)
        out["generated.timesteps"] = torch.tensor([t0, tMax])
        return forward(self, x0, t0, tMax, generator, **keywords)

    class Caller:
        locals().update(methods | {"DDPM_forward": recorded_forward})
        unet, vae, scheduler = pipeline.unet, pipeline.vae, pipeline.scheduler
        vae_scale_factor, _execution_device = 8, torch.device("cpu")
        check_inputs = lambda self, *_: None
        _encode_prompt = lambda self, *_: context
        prepare_extra_step_kwargs = lambda self, *_: {}
        progress_bar = lambda self, total: contextlib.nullcontext(SimpleNamespace(update=lambda: None))

    width, height = map(int, args.size.split("x"))
    generator = torch.Generator().manual_seed(args.seed)
    out["generated.start"] = torch.randn(1, 4, height // 8, width // 8, generator=generator)
    pipeline.unet.in_channels = 4
    result = Caller()(
        [args.prompt], args.frames, height, width, 50, args.guidance, negative_prompt=[""], generator=generator,
        xT=out["generated.start"][:, :, None], motion_field_strength_x=args.motion_strength,
        motion_field_strength_y=args.motion_strength, output_type="latent", t0=44, t1=47)
    out["generated.clean"] = result.images[0].transpose(0, 1)
    return out


def edited(unet, scheduler, context, args, shape, generator):
    scheduler.set_timesteps(args.steps)
    latents = torch.randn(shape, generator=generator)
    out, after = {"edited.inverted": latents}, []
    for t in scheduler.timesteps:
        rows = context.repeat_interleave(len(latents), dim=0)
        unconditional, conditional = unet(latents.repeat(2, 1, 1, 1), t, encoder_hidden_states=rows).sample.chunk(2)
        guided = unconditional + args.guidance * (conditional - unconditional)
        latents = scheduler.step(guided, t, latents).prev_sample
        after.append(latents)
    return out | {"edited.latents": torch.stack(after)}


def instructed(pipeline, processor, args, shape, generator):
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionInstructPix2PixPipeline
    from diffusers.schedulers import scheduling_euler_ancestral_discrete as scheduling
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_instruct_pix2pix as instruct
    unet, conv = pipeline.unet, pipeline.unet.conv_in
    widened = torch.nn.Conv2d(8, conv.out_channels, 3, padding=1)
    added = torch.randn(conv.out_channels, 4, 3, 3, generator=generator) * 0.05
    widened.weight.copy_(torch.cat([conv.weight, added], dim=1))
    widened.bias.copy_(conv.bias)
    unet.conv_in = widened
    unet.register_to_config(in_channels=8)
    # The scheduler as InstructPix2Pix's folder has it: no spacing of time steps is named.
    kept = ("beta_end", "beta_schedule", "beta_start", "num_train_timesteps", "prediction_type", "steps_offset")
    scheduler = EulerAncestralDiscreteScheduler(**{k: pipeline.scheduler.config[k] for k in kept})
    attend_across_frames(unet, processor, streams=3)
    drawn = []

    def draw(shape, generator=None, device=None, dtype=None, **_):
        drawn.append(torch.randn(shape, generator=generator))
        return drawn[-1]

    scheduling.randn_tensor = instruct.randn_tensor = draw
    image = torch.randn(shape, generator=generator)
    after = []

    def record(pipe, i, t, values):
        after.append(values["latents"])
        return values

    pipe = StableDiffusionInstructPix2PixPipeline(
        pipeline.vae, pipeline.text_encoder, pipeline.tokenizer, unet, scheduler, None, None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe([args.prompt] * args.frames, image, args.steps, args.guidance, args.image_guidance, [""] * args.frames,
         generator=generator, output_type="latent", callback_on_step_end=record)
    return {"instructed.image": image, "instructed.conv_in": added, "instructed.noise": torch.stack(drawn),
            "instructed.latents": torch.stack(after)}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkout", "model", "out"):
        parser.add_argument(name)
    parser.add_argument("--prompt", default="a blue metal ball on sand")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--size", default="160x96", help="in pixels")
    parser.add_argument("--steps", type=int, default=4, help="of the two ways to edit")
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--image-guidance", type=float, default=1.5)
    parser.add_argument("--motion-strength", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    load = lambda kind, part, **k: kind.from_pretrained(args.model, subfolder=part, **k).eval()
    pipeline = SimpleNamespace(
        unet=load(UNet2DConditionModel, "unet", torch_dtype=torch.float32), vae=load(AutoencoderKL, "vae", torch_dtype=torch.float32),
        text_encoder=load(CLIPTextModel, "text_encoder", dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(args.model, subfolder="tokenizer"),
        scheduler=DDIMScheduler.from_pretrained(args.model, subfolder="scheduler"))
    ids = pipeline.tokenizer(["", args.prompt], padding="max_length", truncation=True, return_tensors="pt").input_ids
    context = pipeline.text_encoder(ids)[0]

    pipeline_class, processor = authors_code(args.checkout)
    attend_across_frames(pipeline.unet, processor, streams=2)
    width, height = map(int, args.size.split("x"))
    shape = (args.frames, 4, height // 8, width // 8)
    generator = torch.Generator().manual_seed(args.seed + 1)
    out = {"text.hidden": context}
    out |= generated(pipeline_class, pipeline, context, args)
    out |= edited(pipeline.unet, pipeline.scheduler, context, args, shape, generator)
    out |= instructed(pipeline, processor, args, shape, generator)
    save_file({k: v.contiguous() for k, v in out.items()}, args.out, metadata={
        "prompt": args.prompt, "guidance": str(args.guidance), "image_guidance": str(args.image_guidance),
        "motion_strength": str(args.motion_strength)})


if __name__ == "__main__":
    main()
