"""Pictures to look at, many on one sheet."""

import torch
from PIL import Image

from .files import written_aside


def write(pictures, path, columns=8):
    """pictures: (n, 3, size, size) in [0, 1]."""
    n, channels, size, _ = pictures.shape
    rows = -(-n // columns)
    sheet = torch.ones(rows * columns, channels, size, size)
    sheet[:n] = pictures
    sheet = sheet.view(rows, columns, channels, size, size).permute(0, 3, 1, 4, 2).reshape(rows * size, columns * size, channels)
    with written_aside(path) as aside:
        Image.fromarray((sheet * 255).round().to(torch.uint8).numpy()).save(aside, format="PNG")
