"""The folder that people use: diffusers' layout, 16-bit floats, nothing in it but the model."""

import json
import pathlib
import shutil

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from . import autoencoder, denoiser
from .files import written_aside

LIMIT = 32 * 1000 * 1000
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
}


def write(vae, unet, text_encoder, tokenizer_folder, folder):
    """Raises ValueError where a weight is beyond what 16 bits hold, or the folder is larger than what may be committed."""
    with written_aside(folder) as aside:
        for name, part in (("vae", vae), ("unet", unet), ("text_encoder", text_encoder)):
            for key, parameter in part.named_parameters():
                worst = parameter.abs().max().item()
                # Also false for what is not a number.
                if not worst < torch.finfo(torch.float16).max:
                    raise ValueError(f"the {name}'s {key} has a weight of {worst}, which no 16-bit float holds")
            part.half().save_pretrained(aside / name)
            without_origin(aside / name / "config.json")
        denoiser.scheduler().save_pretrained(aside / "scheduler")
        shutil.copytree(tokenizer_folder, aside / "tokenizer")
        (aside / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
        size = sum(file.stat().st_size for file in aside.rglob("*") if file.is_file())
        if size > LIMIT:
            raise ValueError(f"the model takes {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}")
    return size


def without_origin(path):
    """Takes out of a configuration where its part was opened: a path that means nothing to anybody else."""
    configuration = json.loads(path.read_text())
    configuration.pop("_name_or_path", None)
    path.write_text(json.dumps(configuration, indent=2, sort_keys=True) + "\n")


def from_parts(folder, target):
    """From what the trainings left in `folder`, in full precision."""
    folder = pathlib.Path(folder)
    return write(
        autoencoder.opened(folder / "autoencoder"),
        UNet2DConditionModel.from_pretrained(folder / "denoiser/unet"),
        CLIPTextModel.from_pretrained(folder / "denoiser/text_encoder"),
        folder / "tokenizer",
        target,
    )
