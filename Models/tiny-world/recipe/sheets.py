"""Pictures to look at, many on one sheet."""

import random

import torch
from PIL import Image

from .attributes import ATTRIBUTES, COLORS
from .files import written_aside
from .scene import Scene


def tour(seed):
    """Scenes of all values: a row for each style, a column for each color."""
    chance, found = random.Random(seed), []
    for style in ATTRIBUTES["style"]:
        for index, color in enumerate(COLORS):
            value = lambda attribute, at: ATTRIBUTES[attribute][at % len(ATTRIBUTES[attribute])]
            at = len(found) // len(COLORS) + index
            other = dict(shape=value("shape", at), material=value("material", at // 4 + index), ground=value("ground", 2 * at + index // 4), sky=value("sky", at))
            found.append(Scene.drawn(chance, held_out=None, style=style, color=color, **other))
    return found


def write(pictures, path, columns=8):
    """pictures: (n, 3, size, size) in [0, 1]."""
    n, channels, size, _ = pictures.shape
    rows = -(-n // columns)
    sheet = torch.ones(rows * columns, channels, size, size)
    sheet[:n] = pictures
    sheet = sheet.view(rows, columns, channels, size, size).permute(0, 3, 1, 4, 2).reshape(rows * size, columns * size, channels)
    with written_aside(path) as aside:
        Image.fromarray((sheet * 255).round().to(torch.uint8).numpy()).save(aside, format="PNG")
