#!/usr/bin/env python3
"""Checks models of Stable Diffusion's full size, with random weights, in every form that people have them in: what diffusers and PyTorch
compute with them is compared with what stemd does (`stemctl models verify`), component by component.

The forms are written by diffusers and transformers themselves; single files in the original layout by original_layout.py, and diffusers reads
those back. Also measures what memory it takes to open a model and encode a prompt, and runs the commands that stemd's refusals of pickles name.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import original_layout
from tokenizer_reference import write_tokenizer

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROMPTS = ["", "a photo of a red metal ball on sand", "a photo of a blue metal ball on sand"]
FRAMES, STEPS, TIMESTEP = 2, 2, 501


# ------------------------------------------------------------------------------------------------ models of full size
def networks(kind):
    levels = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    unet = dict(down_block_types=levels[0], up_block_types=levels[1], sample_size=64)
    if kind == "sd1":
        unet |= dict(cross_attention_dim=768, attention_head_dim=8)
        text = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, hidden_act="quick_gelu")
    else:
        unet |= dict(cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True, sample_size=96)
        text = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, hidden_act="gelu")
    text |= dict(vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407)
    vae = dict(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512),
        layers_per_block=2, sample_size=512)
    return {
        "unet": lambda: UNet2DConditionModel(**unet), "vae": lambda: AutoencoderKL(**vae),
        "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**text)),
    }


def write_model(kind, folder):
    torch.manual_seed(0)
    for name, make in networks(kind).items():
        make().save_pretrained(folder / name)
    write_scheduler(folder, "PNDMScheduler", "epsilon" if kind == "sd1" else "v_prediction")
    write_tokenizer(folder / "tokenizer", "<|endoftext|>" if kind == "sd1" else "!")
    index = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "PNDMScheduler"]}
    index |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    (folder / "model_index.json").write_text(json.dumps(index))


def write_scheduler(folder, sampler, prediction):
    """As Stable Diffusion's own folders have it, for any sampler."""
    values = {
        "_class_name": sampler, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
        "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None, "clip_sample": False,
        "prediction_type": prediction, "timestep_spacing": "leading",
    }  # fmt: skip
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(values))


# ------------------------------------------------------------------------------------------------ what diffusers computes
def opened(model, part, dtype):
    """A component whose weights are stored in `dtype`, and that computes in 32 bits."""
    kind = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}[part]
    return kind.from_pretrained(model / part).to(dtype).float().eval()


@torch.no_grad()
def write_golden(model, path, dtype, size, seed=0):
    """size: of the pictures, (width, height). Frames, steps and prompts as above; the file is what `stemctl models verify` reads."""
    generator = torch.Generator().manual_seed(seed)
    width, height = size
    tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
    ids = tokenizer(PROMPTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    out = {"text.input_ids": ids, "text.hidden": opened(model, "text_encoder", dtype)(ids)[0]}

    vae = opened(model, "vae", dtype)
    image = torch.rand(FRAMES, 3, height, width, generator=generator) * 2 - 1
    mean = vae.encode(image).latent_dist.mean
    out |= {"vae.image": image, "vae.mean": mean, "vae.decoded": vae.decode(mean).sample}
    factor = vae.config.scaling_factor
    del vae

    unet = opened(model, "unet", dtype)
    context = out["text.hidden"][1:2].expand(FRAMES, -1, -1).contiguous()
    sample = torch.randn(mean.shape, generator=generator)
    out |= {"unet.sample": sample, "unet.timestep": torch.tensor(TIMESTEP), "unet.context": context}
    out["unet.output"] = unet(sample, TIMESTEP, encoder_hidden_states=context).sample

    scheduler = DDIMScheduler.from_pretrained(model / "scheduler")
    scheduler.set_timesteps(STEPS)
    times = scheduler.timesteps.tolist()
    level = scheduler.alphas_cumprod

    def moved(x, t, a, b):
        """A deterministic move between two noise levels, with what the UNet says at time step t."""
        said = unet(x, t, encoder_hidden_states=context).sample
        noise, clean = said, (x - (1 - a).sqrt() * said) / a.sqrt()
        if scheduler.config.prediction_type == "v_prediction":
            noise, clean = a.sqrt() * said + (1 - a).sqrt() * x, a.sqrt() * x - (1 - a).sqrt() * said
        return b.sqrt() * clean + (1 - b).sqrt() * noise

    latents = mean * factor
    out |= {"ddim.start": latents, "ddim.timesteps": torch.tensor(times)}
    below = scheduler.final_alpha_cumprod
    for t in reversed(times):
        latents, below = moved(latents, t, below, level[t]), level[t]
    out["ddim.inverted"] = latents
    for t, next_level in zip(times, [level[t] for t in times[1:]] + [scheduler.final_alpha_cumprod]):
        latents = moved(latents, t, level[t], next_level)
    out["ddim.reconstructed"] = latents
    metadata = {"source_prompt": PROMPTS[1], "prompt": PROMPTS[2], "steps": str(STEPS), "scaling_factor": str(factor)}
    save_file({name: value.contiguous() for name, value in out.items()}, path, metadata=metadata)


# ------------------------------------------------------------------------------------------------ the forms of a model
def copied(model, target, but=()):
    for part in ("unet", "vae", "text_encoder"):
        (target / part).mkdir(parents=True)
        shutil.copy(model / part / "config.json", target / part)
        if part not in but:
            for file in (model / part).glob("*.safetensors"):
                (target / part / file.name).symlink_to(file)
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(model / part, target / part)
    shutil.copy(model / "model_index.json", target)
    return target


def saved(model, target, dtype, **options):
    copied(model, target, but=("unet", "vae", "text_encoder"))
    for part in ("unet", "vae", "text_encoder"):
        opened_as = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}[part]
        opened_as.from_pretrained(model / part).to(dtype).save_pretrained(target / part, **options)
    return target


def with_old_names(model, target, dtype):
    """As diffusers and transformers named tensors in 2022; the text encoder with its projection."""
    saved(model, target, dtype)
    path = target / "vae" / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    save_file({original_layout.renamed(k, names.items()) if ".attentions." in k else k: v for k, v in load_file(path).items()}, path)
    path = target / "text_encoder" / "model.safetensors"
    tensors = {"text_model." + k.removeprefix("text_model."): v for k, v in load_file(path).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    configuration = json.loads((target / "text_encoder" / "config.json").read_text())
    tensors["text_projection.weight"] = torch.zeros(configuration["projection_dim"], configuration["hidden_size"], dtype=dtype)
    save_file(tensors, path)
    CLIPTextModelWithProjection.from_pretrained(target / "text_encoder")  # transformers takes it, too
    return target


def single(model, target, dtype, metadata=None, notes=None, average=False):
    target.mkdir()
    file = target / "model.safetensors"
    original_layout.write_checkpoint(model, file, dtype, metadata, average)
    if notes:
        (target / "model.yaml").write_text(notes)
    read_back(model, file, dtype)
    return file


def read_back(model, file, dtype):
    """What diffusers makes of a single file is what it was made of."""
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm as text_encoder
    for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL)):
        read = kind.from_single_file(str(file), config=str(model / part), local_files_only=True).state_dict()
        expect_equal(kind.from_pretrained(model / part).to(dtype).float().state_dict(), read, f"{part} of {file}")
    checkpoint = {k: v for k, v in load_file(file).items() if k.startswith("cond_stage_model.")}
    read = text_encoder(CLIPTextModel, checkpoint, config=str(model / "text_encoder"), local_files_only=True).float().state_dict()
    expect_equal(CLIPTextModel.from_pretrained(model / "text_encoder").to(dtype).float().state_dict(), read, f"the text encoder of {file}")


def expect_equal(expected, found, what):
    for name, value in expected.items():
        if not torch.equal(value, found[name].float()):
            raise SystemExit(f"diffusers does not read {what} as it was: {name}")


def forms(kind, model):
    """name: the type of its weights, how it is written, and what it predicts."""
    first, other = ("epsilon", "v_prediction") if kind == "sd1" else ("v_prediction", "epsilon")
    spec = {"modelspec.prediction_type": "v" if other == "v_prediction" else other}
    half, brain, full = torch.float16, torch.bfloat16, torch.float32
    return {
        "folder-f32": (full, lambda t: copied(model, t), first),
        "shards-f32": (full, lambda t: saved(model, t, full, max_shard_size="700MB"), first),
        "file-f32": (full, lambda t: single(model, t, full, notes=f"prediction_type: {first}\n"), first),
        "variant-f16": (half, lambda t: saved(model, t, half, variant="fp16"), other),
        "shards-f16": (half, lambda t: saved(model, t, half, variant="fp16", max_shard_size="400MB"), other),
        "old-f16": (half, lambda t: with_old_names(model, t, half), other),
        "file-f16": (half, lambda t: single(model, t, half, metadata=spec, average=True), other),
        "folder-bf16": (brain, lambda t: saved(model, t, brain), first),
        "file-bf16": (brain, lambda t: single(model, t, brain, notes=f"model: {{params: {{parameterization: {first[0] if first[0] == 'v' else 'eps'}}}}}\n"), first),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ what stemd says
class Checks:
    def __init__(self, stemctl):
        self.stemctl, self.failed = stemctl, []

    def say(self, passed, what):
        print(("ok      " if passed else "NOT OK  ") + what, flush=True)
        if not passed:
            self.failed.append(what)

    def verify(self, model, golden, what):
        start = time.monotonic()
        done = subprocess.run([self.stemctl, "models", "verify", model, golden], capture_output=True, text=True)
        rows = [line.split() for line in done.stdout.splitlines() if re.search(r" (ok|NOT OK)", line)]
        worst = max(((float(row[1]) / float(row[2]), row[0]) for row in rows if len(row) > 3 and float(row[2]) > 0), default=(0, "nothing"))
        expected = {"text.input_ids", "text.hidden", "vae.mean", "vae.decoded", "unet.output", "ddim.timesteps", "ddim.inverted", "ddim.reconstructed"}
        passed = done.returncode == 0 and expected <= {row[0] for row in rows}
        self.say(passed, f"{what}: nearest to its tolerance {worst[1]}, {worst[0]:.0%} of it ({time.monotonic() - start:.0f} s)")
        if not passed:
            print(done.stdout + done.stderr, flush=True)

    def inspect(self, model):
        return subprocess.run([self.stemctl, "models", "inspect", str(model)], capture_output=True, text=True)

    def memory(self, model, golden, what):
        """Of a process that opens a model and encodes prompts: at its most, what it has to itself."""
        weights = sum(file.stat().st_size for file in (model.rglob("*.safetensors") if model.is_dir() else [model]))
        process = subprocess.Popen([self.stemctl, "models", "verify", model, golden], stdout=subprocess.DEVNULL)
        most = {"Anonymous": 0, "Private_Dirty": 0, "Rss": 0, "Pss": 0}
        while process.poll() is None:
            try:
                lines = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            for name, value in (line.split()[:2] for line in lines[1:]):
                if name[:-1] in most:
                    most[name[:-1]] = max(most[name[:-1]], int(value) * 1024)
            time.sleep(0.002)
        private = max(most["Anonymous"], most["Private_Dirty"])
        figures = ", ".join(f"{name} {value / 2**20:.0f} MiB" for name, value in most.items())
        self.say(process.returncode == 0 and private < weights / 4, f"{what}: {figures}; its weights take {weights / 2**20:.0f} MiB")


    def edit(self, model, folder, what):
        """A daemon whose worker edits a clip with a model that is named by its file."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        program = pathlib.Path(self.stemctl).with_name("stemd")
        daemon = subprocess.Popen([program, "--root", folder, "--models", model.parent, "--workers", "1"], stderr=subprocess.DEVNULL)
        try:
            result = folder / "outbox" / "clip" / "result.json"
            deadline = time.monotonic() + 400
            while not (folder / "inbox").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            shutil.copy(REPOSITORY / "Models" / "tiny-world" / "clips" / "00-color.mp4", folder / "inbox" / "clip.mp4")
            settings = {"prompt": PROMPTS[2], "steps": 2, "frames": 2, "size": "64x64", "model": model.stem}
            (folder / "inbox" / "clip.json").write_text(json.dumps(settings))
            while not result.exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            said = json.loads(result.read_text()) if result.exists() else {"error": "no result"}
            self.say(said.get("state") == "done", f"{what}: a worker edits with it ({said.get('error') or 'done'})")
        finally:
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(folder)


def text_only(golden, target):
    tensors = load_file(golden)
    metadata = {"source_prompt": PROMPTS[1], "prompt": PROMPTS[2]}
    save_file({name: tensors[name] for name in ("text.input_ids", "text.hidden")}, target, metadata=metadata)
    return target


def check_pickles(checks, folder):
    """That the commands in stemd's refusals do what they say, on the small model."""
    shutil.rmtree(folder, ignore_errors=True)
    world = folder / "the world's"
    shutil.copytree(REPOSITORY / "Models" / "tiny-world", world, ignore=shutil.ignore_patterns("clips"))
    for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL)):
        network = kind.from_pretrained(world / part)
        (world / part / "diffusion_pytorch_model.safetensors").unlink()
        network.save_pretrained(world / part, safe_serialization=False)

    def helped(model, target, what):
        said = checks.inspect(model)
        command = re.search(r'python3 (-c ".*" \S.*)', said.stdout)
        refused = said.returncode == 1 and "can run any program" in said.stdout and command is not None
        checks.say(refused, f"{what} is refused with a command that helps")
        if refused:
            subprocess.run(f"'{sys.executable}' {command.group(1)}", shell=True, check=True, capture_output=True)
            checks.say(target.exists(), f"the command saves {target.name}")

    helped(world, folder / "the world's-safetensors", "a folder of pickles")
    checks.say(checks.inspect(folder / "the world's-safetensors").returncode == 0, "what the command saves is read")
    tensors = load_file(REPOSITORY / "Models" / "tiny-world" / "unet" / "diffusion_pytorch_model.safetensors")
    torch.save({"state_dict": {"model.diffusion_model." + name: value for name, value in tensors.items()}, "epoch": 1}, folder / "world.ckpt")
    helped(folder / "world.ckpt", folder / "world.safetensors", "a pickled checkpoint")
    again = load_file(folder / "world.safetensors")
    checks.say(all(torch.equal(again["model.diffusion_model." + k], v) for k, v in tensors.items()), "it holds the same tensors")
    shutil.rmtree(folder)


def check(checks, kind, folder, chosen, large):
    model = folder / kind
    if not (model / "model_index.json").exists():  # which is written last
        shutil.rmtree(model, ignore_errors=True)
        model.mkdir(parents=True)
        write_model(kind, model)
    goldens = {}

    def golden(dtype, prediction, size):
        key = dtype, prediction, size
        if key not in goldens:
            name = "-".join([kind, str(dtype).split(".")[1], prediction, "x".join(map(str, size))])
            goldens[key] = folder / f"{name}.golden.safetensors"
            if not goldens[key].exists():
                write_scheduler(model, "PNDMScheduler", prediction)
                write_golden(model, goldens[key].with_suffix(".part"), dtype, size)
                goldens[key].with_suffix(".part").rename(goldens[key])
        return goldens[key]

    for name, (dtype, write, prediction) in forms(kind, model).items():
        if chosen and name not in chosen:
            continue
        small = golden(dtype, prediction, (232, 136))  # latents of 29x17
        write_scheduler(model, "EulerDiscreteScheduler" if "16" in name else "PNDMScheduler", prediction)
        target = folder / f"{kind}-{name}"
        shutil.rmtree(target, ignore_errors=True)
        form = write(target)
        what = f"{kind} {name}"
        inspected = checks.inspect(form)
        checks.say(inspected.returncode == 0, f"{what}: " + re.sub(r"\s+", " ", inspected.stdout))
        checks.verify(form, small, what)
        if large and name in ("folder-f32", "file-f16"):
            checks.verify(form, golden(dtype, prediction, (512, 512)), f"{what}, 512x512")
        if name in ("folder-f32", "file-f32", "variant-f16", "file-f16"):
            checks.memory(form, text_only(small, folder / "text.safetensors"), f"{what}, one text")
        if name == "file-f16":
            checks.edit(form, folder / "spool", what)
        if form.name == "model.safetensors" and kind == "sd2":
            check_question(checks, form, prediction, what)
        shutil.rmtree(target)


def check_question(checks, form, prediction, what):
    """A file of 2.x that does not say what it predicts, is told, and is then read."""
    silent = form.with_name("silent.safetensors")
    form.with_suffix(".yaml").unlink(missing_ok=True)
    form.rename(silent)
    if b"modelspec" in silent.open("rb").read(4096):
        return
    asked = checks.inspect(silent)
    checks.say(asked.returncode == 1 and "silent.yaml" in asked.stdout, f"{what} without a word about it asks what it predicts")
    told = subprocess.run([checks.stemctl, "models", "inspect", silent, "--prediction-type", prediction], capture_output=True, text=True)
    checks.say(told.returncode == 0 and prediction in told.stdout, f"{what} takes the answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="for the models: 13 GB at most at a time")
    parser.add_argument("--stemctl", default=REPOSITORY / ".build" / "release" / "stemctl")
    parser.add_argument("--kinds", nargs="+", default=["sd1", "sd2"])
    parser.add_argument("--forms", nargs="+", help="such as folder-f32 (default: all)")
    parser.add_argument("--no-large", action="store_true", help="leave 512x512 out")
    arguments = parser.parse_args()
    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    checks = Checks(arguments.stemctl)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    check_pickles(checks, arguments.folder / "pickles")
    for kind in arguments.kinds:
        check(checks, kind, arguments.folder.resolve(), arguments.forms, not arguments.no_large)
    if checks.failed:
        raise SystemExit(f"{len(checks.failed)} not ok")


if __name__ == "__main__":
    main()
