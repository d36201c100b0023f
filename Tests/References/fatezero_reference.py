#!/usr/bin/env python3
"""What FateZero's own code computes on the tiny world's model: the golden file of FateZeroTests.

    python -m venv venv && venv/bin/pip install torch transformers safetensors av
    venv/bin/python Tests/References/fatezero_reference.py Models/tiny-world Models/tiny-world/clips/01-shape.mp4 \\
        Tests/VideoEditingTests/Goldens/fatezero.safetensors --work FOLDER

FOLDER is to hold the authors' repository in `FateZero` (https://github.com/ChenyangQiQi/FateZero at COMMIT; cloned where it is
absent) and the diffusers of their day in `packages` (installed where it is absent). Nothing of theirs is kept here: the UNet, the
controllers, the alignment of words and the masks below are theirs, imported as they are, but for

- the number 77 in the folder `prompt_attention`: the text encoder's positions, of which this model has fewer;
- the temporal attention's output bias, set to zero. Their zero-shot settings leave it at random, beside a weight of zero whose
  comment says that the layer starts as the identity;
- the size that the UNet upsamples to where it is odd: theirs counts the frames among height and width, and fails;
- modules that only draw pictures or parse configurations, which are left empty.

The loops of inversion and edit follow `pipelines/p2p_ddim_spatial_temporal.py` line by line.

Tensors, PyTorch's layouts; F frames, S steps, h×w latents, L positions. A clip is `small` (13×9 latents, every layer fused) or
`large` (33×33, whose first level has more than 32² tokens and is left alone, which puts the layers of the mask where the authors'
list positions expect them):
  CLIP.clean (F, 4, h, w)                scaled latents
  CLIP.trajectory (S, F, 4, h, w)        the inversion's latents, noisiest first
  CLIP.timesteps (S) int64, descending
  EDIT.first, EDIT.last (F, 4, h, w)     after the first step and after all; EDIT is CLIP.NAME
  EDIT.matrix (L, L), EDIT.own (L)       the fused attention to the text: source maps · matrix + own maps · own
  large.blended.mask.HEIGHTxWIDTH (F, height, width)   of the first step; 1 where the edit's own self-attention stays
Metadata: source, and for each EDIT a JSON object of its prompt and options.
"""
import argparse, contextlib, importlib.util, io, json, os, re, shutil, subprocess, sys, tempfile, types

COMMIT = "9b6cb7b4dea2b2154df71ad7be0f61a66ca46d88"
PACKAGES = ["diffusers==0.11.1", "huggingface_hub==0.19.4", "einops==0.6.1"]
SOURCE = "a photo of a black metal cube on grass"
LEAST_CHANNELS = 96
EDITS = {
    "small.refined": dict(prompt="a photo of a black rubber cylinder on grass at night", is_replace_controller=False, cross_replace_steps=0.8, self_replace_steps=0.8),
    "small.replaced": dict(prompt="a photo of a black metal dodecahedron on snow", is_replace_controller=True, cross_replace_steps=0.5, self_replace_steps=0.5),
    "small.emphasized": dict(prompt="pixel art of a black metal cube on grass", is_replace_controller=False, cross_replace_steps=0.8, self_replace_steps=0.6,
                             equilizer_params=dict(words=["pixel", "grass"], values=[4.0, 0.5])),
    "large.blended": dict(prompt="a photo of a black metal ball on grass", is_replace_controller=False, cross_replace_steps=0.4, self_replace_steps=0.6,
                          blend_words=[["metal", "cube"], ["metal", "ball"]], blend_self_attention=True, blend_th=[0.85, 0.85]),
}
CLIPS = {"small": dict(size=(104, 72), frames=4, steps=5), "large": dict(size=(264, 264), frames=2, steps=2)}
GUIDANCE = 7.5


def fetched(work):
    """The authors' package folder and the one of the libraries that it was written for."""
    authors, packages = os.path.join(work, "FateZero"), os.path.join(work, "packages")
    if not os.path.isdir(authors):
        subprocess.run(["git", "clone", "--quiet", "https://github.com/ChenyangQiQi/FateZero", authors], check=True)
        subprocess.run(["git", "-C", authors, "checkout", "--quiet", COMMIT], check=True)
    if not os.path.isdir(packages):
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, *PACKAGES], check=True)
    return authors, packages


def imported(authors, packages, positions, scratch):
    """Imports the authors' modules with the old diffusers, then clears the way for today's transformers."""
    folder = os.path.join(scratch, "video_diffusion")
    shutil.copytree(os.path.join(authors, "video_diffusion"), folder)
    for name in os.listdir(os.path.join(folder, "prompt_attention")):
        if name.endswith(".py"):
            path = os.path.join(folder, "prompt_attention", name)
            text = open(path).read()
            open(path, "w").write(re.sub(r"\b77\b", str(positions), text))
    path = os.path.join(folder, "models", "unet_3d_condition.py")
    text = open(path).read()
    assert "down_block_res_samples[-1].shape[2:]" in text
    open(path, "w").write(text.replace("down_block_res_samples[-1].shape[2:]", "down_block_res_samples[-1].shape[3:]"))
    absent = ("cv2", "torchvision", "torchvision.utils", "imageio", "omegaconf")
    sys.modules |= {name: types.ModuleType(name) for name in absent}
    sys.modules["torchvision"].utils = sys.modules["torchvision.utils"]
    sys.modules["torchvision.utils"].save_image = lambda *_, **__: None
    sys.modules["omegaconf"].dictconfig = types.SimpleNamespace(DictConfig=dict)
    drawing = types.ModuleType("video_diffusion.prompt_attention.visualization")
    drawing.show_cross_attention = drawing.show_self_attention_comp = None
    sys.modules[drawing.__name__] = drawing
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name in ("transformers", "accelerate", "xformers", "flax") else find(name, *rest)
    sys.path[:0] = [scratch, packages]
    import diffusers
    from video_diffusion.models.unet_3d_condition import UNetPseudo3DConditionModel
    from video_diffusion.prompt_attention import attention_util
    importlib.util.find_spec = find
    sys.path.remove(packages)
    for name in [n for n in sys.modules if n in absent or n.split(".")[0] == "huggingface_hub"]:
        del sys.modules[name]
    return UNetPseudo3DConditionModel, attention_util, diffusers.DDIMScheduler


def inflated(cls, folder):
    """The 2D model's weights in the authors' pseudo-3D UNet, in their zero-shot settings."""
    import torch
    from safetensors.torch import load_file
    config = json.load(open(f"{folder}/config.json"))
    wanted = ("sample_size", "in_channels", "out_channels", "flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block", "downsample_padding",
              "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim", "attention_head_dim", "use_linear_projection", "upcast_attention")
    config = {key: config[key] for key in wanted} | {
        kind: [block.replace("2D", "Pseudo3D") for block in config[kind]] for kind in ("down_block_types", "up_block_types")}
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        unet = cls(**config, lora=160, SparseCausalAttention_index=["mid"], least_sc_channel=LEAST_CHANNELS)
    unet.load_2d_state_dict({k: v.float() for k, v in load_file(f"{folder}/diffusion_pytorch_model.safetensors").items()})
    for name, parameter in unet.named_parameters():
        if name.endswith("attn_temporal.to_out.0.bias"):
            parameter.data.zero_()
    return unet.eval()


def pictures(path, frames, size):
    import av, torch
    images = []
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 3 == 0:                                                          # far enough apart to move
                images.append(torch.from_numpy(frame.reformat(*size, format="rgb24", interpolation="BICUBIC").to_ndarray()))
            if len(images) == frames:
                break
    return torch.stack(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def encoded(folder, images):
    """The means of the autoencoder's posterior, scaled; by today's diffusers, in a process of its own."""
    import torch
    with tempfile.TemporaryDirectory() as scratch:
        torch.save(images, f"{scratch}/images.pt")
        code = ("import sys, torch; from diffusers import AutoencoderKL; v = AutoencoderKL.from_pretrained(sys.argv[1], subfolder='vae', torch_dtype=torch.float32).eval();"
                "torch.save(v.encode(torch.load(sys.argv[2] + '/images.pt')).latent_dist.mean.detach() * v.config.scaling_factor, sys.argv[2] + '/latents.pt')")
        subprocess.run([sys.executable, "-c", code, folder, scratch], check=True)
        return torch.load(f"{scratch}/latents.pt")


def main(args, scratch):
    import torch
    from safetensors.torch import save_file
    positions = json.load(open(f"{args.model}/text_encoder/config.json"))["max_position_embeddings"]
    UNet, attention_util, Scheduler = imported(*fetched(args.work), positions, scratch)
    from transformers import CLIPTextModel, CLIPTokenizer
    from video_diffusion.prompt_attention import seq_aligner
    tokenizer = CLIPTokenizer.from_pretrained(args.model, subfolder="tokenizer")
    encoder = CLIPTextModel.from_pretrained(args.model, subfolder="text_encoder", dtype=torch.float32).eval()
    context = lambda text: encoder(tokenizer([text], padding="max_length", max_length=positions, truncation=True, return_tensors="pt").input_ids)[0]
    unet = inflated(UNet, f"{args.model}/unet")
    scheduler = Scheduler.from_config(json.load(open(f"{args.model}/scheduler/scheduler_config.json")))
    pipeline = types.SimpleNamespace(unet=unet)
    out, metadata = {}, dict(source=SOURCE, least_channels=str(LEAST_CHANNELS), guidance=str(GUIDANCE))
    frames_first = lambda latents: latents[0].permute(1, 0, 2, 3).contiguous()          # (1, c, f, h, w) -> (f, c, h, w)

    for clip, shape in CLIPS.items():
        scheduler.set_timesteps(shape["steps"])
        times, alphas = scheduler.timesteps.tolist(), scheduler.alphas_cumprod
        clean = encoded(args.model, pictures(args.video, shape["frames"], shape["size"])).permute(1, 0, 2, 3)[None]
        store = attention_util.AttentionStore()
        attention_util.register_attention_control(pipeline, store)
        store.LOW_RESOURCE = True                                                       # no guidance: every row is recorded
        latents, passed = clean.clone(), []
        for t in reversed(times):                                                       # ddim_clean2noisy_loop
            noise = unet(latents, t, encoder_hidden_states=context(SOURCE)).sample
            before = t - scheduler.config.num_train_timesteps // shape["steps"]
            a, b = alphas[before] if before >= 0 else scheduler.final_alpha_cumprod, alphas[t]
            latents = b**0.5 * (latents - (1 - a) ** 0.5 * noise) / a**0.5 + (1 - b) ** 0.5 * noise
            store.step_callback(latents)
            passed.append(latents)
        store.LOW_RESOURCE = False
        out[f"{clip}.clean"], out[f"{clip}.timesteps"] = frames_first(clean), torch.tensor(times)
        out[f"{clip}.trajectory"] = torch.stack([frames_first(x) for x in reversed(passed)])

        for name, options in EDITS.items():
            if not name.startswith(f"{clip}."):
                continue
            rest = {k: v for k, v in options.items() if k not in ("prompt", "cross_replace_steps")}
            rest["is_replace_controller"] &= len(SOURCE.split(" ")) == len(options["prompt"].split(" "))    # p2preplace_edit
            with contextlib.redirect_stdout(io.StringIO()):
                controller = attention_util.make_controller(
                    tokenizer, [SOURCE, options["prompt"]], NUM_DDIM_STEPS=shape["steps"], cross_replace_steps={"default_": options["cross_replace_steps"]},
                    additional_attention_store=store, use_inversion_attention=True, save_self_attention=False, save_path=scratch, **rest)
                attention_util.register_attention_control(pipeline, controller)
            masks = {}
            if controller.attention_blend:
                blend = controller.attention_blend

                def recorded(*, target_h, target_w, blend=blend, **rest):
                    mask = blend(target_h=target_h, target_w=target_w, **rest)
                    masks.setdefault(f"{target_h}x{target_w}", mask[0])
                    return mask

                controller.attention_blend = recorded
            # What the controller makes of one-hot maps is its linear map.
            eye, zero = torch.eye(positions)[None, None], torch.zeros(1, 1, positions, positions)
            out[f"{name}.matrix"] = controller.replace_cross_attention(eye, zero[None]).reshape(positions, positions)
            out[f"{name}.own"] = controller.replace_cross_attention(zero, eye[None]).reshape(positions, positions).diagonal().clone()
            both = torch.cat([context(""), context(options["prompt"])])
            latents = passed[-1]
            for step, t in enumerate(times):                                            # sd_ddim_pipeline
                unconditional, conditional = unet(torch.cat([latents] * 2), t, encoder_hidden_states=both).sample.chunk(2)
                latents = scheduler.step(unconditional + GUIDANCE * (conditional - unconditional), t, latents).prev_sample
                latents = controller.step_callback(latents)
                if step == 0:
                    out[f"{name}.first"] = frames_first(latents)
                    out |= {f"{name}.mask.{grid}": mask for grid, mask in masks.items()}
            out[f"{name}.last"] = frames_first(latents)
            metadata[name] = json.dumps(options)
            print(name, {k: list(v.shape) for k, v in masks.items()}, {k: round(v.mean().item(), 3) for k, v in masks.items()},
                  "moved from the source:", round((out[f"{name}.last"] - out[f"{clip}.clean"]).abs().mean().item(), 4))
    save_file({k: v.detach().contiguous() for k, v in out.items()}, args.golden, metadata=metadata)
    print(args.golden, os.path.getsize(args.golden), "bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model"), parser.add_argument("video"), parser.add_argument("golden")
    parser.add_argument("--work", required=True, help="where the authors' code and its libraries are, or are put")
    arguments = parser.parse_args()
    import torch
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        main(arguments, scratch)
