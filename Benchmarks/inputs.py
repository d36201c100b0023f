"""The inputs of a case, the same for every program and at every run of the benchmark."""

import json
import pathlib

import numpy
from safetensors.numpy import save_file

from cases import SCALE
from random_numbers import RandomNumbers
from work import STEM_BASES, weight_shapes


class Inputs:
    def __init__(self, model, folder):
        self.model, self.folder = pathlib.Path(model), pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.loads((self.model / "text_encoder/config.json").read_text())
        self.tokens, self.vocabulary, self.width = (text[key] for key in ("max_position_embeddings", "vocab_size", "hidden_size"))

    def shape(self, case):
        """Of the latents, or of the token ids."""
        if case.group == "text":
            return (*case.shape, self.tokens)
        frames, height, width = case.shape
        return (frames, 4, height, width)

    def write(self, case):
        """A file with all that the case's runs read."""
        shape = self.shape(case)
        draw = lambda name, shape: RandomNumbers(0, f"{case.name}.{name}").normal(shape)
        match case.group:
            case "text":
                numbers = RandomNumbers(0, case.name)
                ids = [numbers.integer(self.vocabulary, position) for position in range(shape[0] * shape[1])]
                tensors = {"input_ids": numpy.array(ids, dtype=numpy.int64).reshape(shape)}
            case "vae":
                images = draw("images", (shape[0], 3, shape[2] * SCALE, shape[3] * SCALE))
                tensors = {"images": (images * 0.5).clip(-1, 1), "latents": draw("latents", shape)}
            case _:
                # Any texts for the image model alone; an inversion reads one, that of the clip.
                texts = 1 if case.group == "inversion" else shape[0]
                tensors = {
                    "sample": draw("sample", shape),
                    "context": draw("context", (texts, self.tokens, self.width)),
                    "timestep": numpy.array(501, dtype=numpy.int64),
                }
                if case.group == "inversion":
                    tensors |= self.noise()
        path = self.folder / (case.name.replace("/", "-") + ".safetensors")
        save_file(tensors, path)
        return path

    def noise(self):
        """What STEM's bases start from, by the self-attention's path."""
        configuration = json.loads((self.model / "unet/config.json").read_text())
        heads = configuration["attention_head_dim"]  # diffusers' name for their number
        levels = len(configuration["block_out_channels"])
        noise = {}
        for name, (channels, *_) in weight_shapes(self.model / "unet").items():
            path = name.removesuffix(".to_q.weight")
            if path != name and path.endswith("attn1"):
                count = heads if isinstance(heads, int) else heads[level_of(path, levels)]
                stream = f"stem.noise.{path}"
                noise[stream] = RandomNumbers(0, stream).normal((count, STEM_BASES, channels // count))
        return noise


def level_of(path, levels):
    block, index = path.split(".")[:2]
    if block == "mid_block":
        return levels - 1
    return int(index) if block == "down_blocks" else levels - 1 - int(index)
