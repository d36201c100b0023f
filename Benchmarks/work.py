"""How many operations a computation takes, from the shapes of a model's weights: what times can be predicted from."""

import functools
import json
import pathlib
import re

STEM_BASES, STEM_ITERATIONS = 256, 5


def weight_shapes(folder):
    """The shapes in a part's safetensors file, by name; only its header is read."""
    path = next(pathlib.Path(folder).glob("*.safetensors"))
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


class Work:
    """The operations of one model's parts; a multiplication and an addition count as two."""

    def __init__(self, model):
        self.model = pathlib.Path(model)
        self.levels = len(json.loads((self.model / "vae/config.json").read_text())["block_out_channels"])
        self.scale = 2 ** (self.levels - 1)

    @functools.cached_property
    def unet_weights(self):
        return weight_shapes(self.model / "unet")

    @functools.cached_property
    def unet_levels(self):
        return 1 + max(int(name.split(".")[1]) for name in self.unet_weights if name.startswith("down_blocks."))

    def level(self, name, levels):
        """How often the sides have been halved where a weight is used."""
        found = re.search(r"(down|up)_blocks\.(\d+)\.(\w+)", name)
        if not found:
            inside = ("mid_block" in name, name.startswith(("encoder.conv_out", "decoder.conv_in", "quant_conv", "post_quant")))
            return levels - 1 if any(inside) else 0
        way, index, module = found[1], int(found[2]), found[3]
        level = index if way == "down" else levels - 1 - index
        return level + {"downsamplers": 1, "upsamplers": -1}.get(module, 0)

    def of(self, run, shape, tokens):
        """Of one call; `shape` is that of the latents, or (texts, tokens)."""
        if run == "text":
            shapes = weight_shapes(self.model / "text_encoder")
            return 2 * shape[0] * shape[1] * sum(numel(s) for name, s in shapes.items() if len(s) == 2 and "embedding" not in name)
        frames, _, height, width = shape
        if run in ("encode", "decode"):
            part = {"encode": "encoder", "decode": "decoder"}[run]
            pixels = frames * height * width * self.scale**2
            shapes = {name: s for name, s in weight_shapes(self.model / "vae").items() if name.startswith(part)}
            return 2 * sum(numel(s) * pixels / 4 ** self.level(name, self.levels) for name, s in shapes.items() if len(s) == 4)
        total = 0
        for name, s in self.unet_weights.items():
            positions = frames * height * width / 4 ** self.level(name, self.unet_levels)
            if "time_emb" in name or len(s) < 2:
                continue
            total += 2 * numel(s) * (frames * tokens if re.search(r"attn2\.to_[kv]", name) else positions)
            if name.endswith("attn1.to_q.weight"):
                total += s[0] * self.attention(run, positions, frames)
            elif name.endswith("attn2.to_q.weight"):
                total += 4 * s[0] * positions * tokens
        return total

    def attention(self, run, positions, frames):
        """Of one self-attention, for each channel; `positions` are those of all frames."""
        if run == "spatial-temporal":
            return 4 * positions * positions
        if run == "stem" and positions > STEM_BASES:
            return 4 * positions * STEM_BASES * (1 + STEM_ITERATIONS)
        return 4 * positions * positions / frames


def numel(shape):
    product = 1
    for side in shape:
        product *= side
    return product
