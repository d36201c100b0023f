"""Writes a model in diffusers' folder layout as one file in the layout of the original latent-diffusion code."""

import json
import struct

import torch
from safetensors import safe_open

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def write_tensors(path, tensors, metadata=None):
    """A safetensors file, tensor by tensor: the library would make all bytes in memory first.

    tensors: a list of (name, shape, dtype, function that gives the tensor)."""
    header, end = ({"__metadata__": metadata} if metadata else {}), 0
    for name, shape, dtype, _ in tensors:
        size = dtype.itemsize * torch.Size(shape).numel()
        header[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, dtype, value in tensors:
            file.write(memoryview(value().to(dtype).flatten().contiguous().view(torch.uint8).numpy()))


def files(folder):
    """Every tensor of a component, by name: the open file that holds it."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        file = safe_open(path, "pt")
        found |= {name: file for name in file.keys()}
    return found


def renamed(name, rules):
    for new, old in rules:
        name = name.replace(new, old)
    return name


RESNET = [
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"), ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
]  # fmt: skip


def unet_name(name):
    """For four levels of two ResNets, attention in all but the deepest."""
    whole = {
        "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0", "conv_out": "out.2",
    }  # fmt: skip
    module, kind = name.rsplit(".", 1)
    if module in whole:
        return f"{whole[module]}.{kind}"
    parts = name.split(".")
    if parts[0] == "mid_block":
        block, rest = (2 * int(parts[2]) if parts[1] == "resnets" else 1), ".".join(parts[3:])
        return f"middle_block.{block}." + (renamed(rest, RESNET) if parts[1] == "resnets" else rest)
    level, what, index, rest = int(parts[1]), parts[2], int(parts[3]), ".".join(parts[4:])
    down = parts[0] == "down_blocks"
    side = "input_blocks" if down else "output_blocks"
    block = 3 * level + index + down
    if what == "resnets":
        return f"{side}.{block}.0.{renamed(rest, RESNET)}"
    if what == "attentions":
        return f"{side}.{block}.1.{rest}"
    if what == "downsamplers":
        return f"{side}.{3 * level + 3}.0.op.{kind}"
    return f"{side}.{3 * level + 2}.{1 if level == 0 else 2}.conv.{kind}"


def autoencoder_name(name):
    for level in range(4):
        name = name.replace(f"decoder.up_blocks.{level}.", f"decoder.up.{3 - level}.")
    rules = [
        ("down_blocks.", "down."), ("downsamplers.0.", "downsample."), ("upsamplers.0.", "upsample."),
        ("mid_block.resnets.0.", "mid.block_1."), ("mid_block.resnets.1.", "mid.block_2."), ("mid_block.attentions.0.", "mid.attn_1."),
        ("resnets.", "block."), ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out"), ("group_norm", "norm"),
        ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"),
    ]  # fmt: skip
    return renamed(name, rules)


OPEN_CLIP = [
    ("embeddings.token_embedding", "token_embedding"), ("embeddings.position_embedding.weight", "positional_embedding"),
    ("final_layer_norm", "ln_final"), ("encoder.layers.", "transformer.resblocks."), ("layer_norm", "ln_"), ("self_attn", "attn"),
    ("fc1", "c_fc"), ("fc2", "c_proj"),
]  # fmt: skip


def write_checkpoint(model, path, dtype, metadata=None, average=False):
    """model: a folder of Stable Diffusion 1.x's or 2.x's size; average: also writes the training's average, as large
    checkpoints have it beside the UNet, here nothing but zeros."""
    tensors = []

    def add(name, file, source, shape=None, type=dtype):
        tensor = file.get_slice(source)
        shape = shape or tensor.get_shape()
        tensors.append((name, shape, type, lambda: file.get_tensor(source).reshape(shape)))

    unet = files(model / "unet")
    for name, file in unet.items():
        add("model.diffusion_model." + unet_name(name), file, name)
        if average:
            shape = file.get_slice(name).get_shape()
            tensors.append(("model_ema.diffusion_model" + unet_name(name).replace(".", ""), shape, dtype, lambda s=shape: torch.zeros(s)))
    for name, file in files(model / "vae").items():
        shape = file.get_slice(name).get_shape()
        if ".attentions.0.to_" in name and name.endswith(".weight"):
            shape = [*shape, 1, 1]
        add("first_stage_model." + autoencoder_name(name), file, name, shape)
    text = files(model / "text_encoder")
    layers = 1 + max(int(name.split("encoder.layers.")[1].split(".")[0]) for name in text if "encoder.layers." in name)
    hidden = next(file.get_slice(name).get_shape()[1] for name, file in text.items() if "token_embedding" in name)
    if hidden == 768:
        for name, file in text.items():
            add("cond_stage_model.transformer.text_model." + name.removeprefix("text_model."), file, name)
        position_ids = ("cond_stage_model.transformer.text_model.embeddings.position_ids", [1, 77], torch.int64, lambda: torch.arange(77)[None])
        tensors.append(position_ids)
    else:
        add_open_clip(tensors, text, layers, hidden, dtype)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    tensors.append(("betas", [1000], torch.float32, lambda: betas))
    write_tensors(path, tensors, metadata)


def add_open_clip(tensors, text, layers, hidden, dtype):
    """With joint projections, and with the last layer that 2.x does not use."""
    def joined(names):
        return torch.cat([text[name].get_tensor(name) for name in names])

    def original(name):
        return "cond_stage_model.model." + renamed(name.removeprefix("text_model."), OPEN_CLIP)

    for name, file in text.items():
        targets = [original(name)]
        sources = [name]
        if "self_attn" in name and "out_proj" not in name:
            if "q_proj" not in name:
                continue
            kind = name.rsplit(".", 1)[1]
            targets = [original(name).replace(f"q_proj.{kind}", f"in_proj_{kind}")]
            sources = [name.replace("q_proj", part + "_proj") for part in "qkv"]
        if f"encoder.layers.{layers - 1}." in name:
            targets.append(targets[0].replace(f"resblocks.{layers - 1}.", f"resblocks.{layers}."))
        shape = list(file.get_slice(name).get_shape())
        shape[0] *= len(sources)
        for index, target in enumerate(targets):
            # The layer more than is used is another one.
            tensors.append((target, shape, dtype, lambda s=sources, i=index: joined(s) * (1 - 2 * i)))
    tensors.append(("cond_stage_model.model.text_projection", [hidden, hidden], dtype, lambda: torch.eye(hidden)))
    tensors.append(("cond_stage_model.model.logit_scale", [], dtype, lambda: torch.tensor(4.6)))
