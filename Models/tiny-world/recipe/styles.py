"""The four styles: what a photographer, a painter, a draughtsman and a maker of old games make of the same scene.

Each keeps every attribute visible: light, colors and materials show in all of them.
"""

import functools

import torch
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate, pad

from .noise import noise, smoothstep


def luminance(color):
    return (color * color.new_tensor([0.30, 0.59, 0.11]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blurred(picture, sigma):
    """By a Gaussian, in pixels; the border is mirrored."""
    reach = max(1, round(2.5 * sigma))
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weight = weight / weight.sum()
    n, channels, height, width = picture.shape
    flat = pad(picture.reshape(n * channels, 1, height, width), [reach] * 4, mode="reflect")
    flat = conv2d(conv2d(flat, weight.view(1, 1, 1, -1)), weight.view(1, 1, -1, 1))
    return flat.view(n, channels, height, width)


def edges(layer):
    """How steep a layer is, (n, 1, size, size): the greatest difference between neighbours across and down."""
    padded = pad(layer, [1, 1, 1, 1], mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]).abs()
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]).abs()
    return torch.maximum(across, down).amax(1, keepdim=True)


@functools.cache
def coordinates(size):
    """Rows and columns in units of a picture of 128, so that a style looks the same at every size."""
    return torch.meshgrid((torch.arange(size) + 0.5) * 128 / size, (torch.arange(size) + 0.5) * 128 / size, indexing="ij")


@functools.cache
def border(size, margin, raggedness):
    """1 in the middle, 0 where the paper was left empty along the border."""
    row, column = coordinates(size)
    away = torch.minimum(torch.minimum(row, 128 - row), torch.minimum(column, 128 - column))
    ragged = away + raggedness * (noise(column / 9 + 40, row / 9 + 11) - 0.5)
    return smoothstep(margin - 1.5, margin + 2.5, ragged)


def photo(layers):
    row, column = coordinates(layers.color.shape[-1])
    corner = ((row / 64 - 1) ** 2 + (column / 64 - 1) ** 2) / 2
    return layers.color * (1 - 0.10 * corner**2)


def watercolor(layers):
    """Thin washes on white paper with wavering outlines, darker where a wash dries at its rim, granular in the middle."""
    size = layers.color.shape[-1]
    row, column = coordinates(size)
    drift = [(noise(column / 12 + at, row / 12 + at * 2) - 0.5) * 3.6 for at in (3, 23)]
    grid = torch.stack([(column + drift[0]) / 64 - 1, (row + drift[1]) / 64 - 1], -1).expand(len(layers.color), -1, -1, -1)
    moved = lambda layer: grid_sample(layer, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    wash = blurred(moved(layers.color), 1.3)
    # In few steps from light to dark, as washes lie over each other.
    light = luminance(wash).clamp_min(0.02)
    wash = blurred((wash * (1 + 0.6 * ((light * 6).round() / 6 / light - 1))).clamp(0, 1), 0.7)
    rim = edges(blurred(moved(layers.tone), 1.0)).clamp_max(0.35)
    # Paint takes light away from the paper.
    pigment = (1 - wash) * (0.84 + 0.20 * (noise(column / 7 + 7, row / 9 + 19) - 0.5))
    pigment = pigment * (1 + 1.1 * rim) + 0.22 * rim
    paper = torch.tensor([0.99, 0.98, 0.95]).view(1, 3, 1, 1) - 0.03 * (noise(column / 2, row / 2) - 0.5)
    return (paper - 0.93 * pigment * border(size, 4.0, 7.0)).clamp(0, 1)


def pencil_sketch(layers):
    """Outlines in graphite, surfaces hatched with colored pencils: the object one way, the world around it the other."""
    size = layers.color.shape[-1]
    row, column = coordinates(size)
    color = blurred(layers.color, 0.8)
    color = torch.lerp(luminance(color), color, 0.85)
    wobble = 5 * noise(column / 30 + 9, row / 30 + 2)
    around = 0.5 + 0.5 * torch.sin((column * 0.62 + row) * 0.92 + wobble)
    on_object = 0.5 + 0.5 * torch.sin((column - row * 0.8) * 1.0 + wobble)
    stroke = torch.lerp(around, on_object, (layers.coverage > 0.5).float())
    # The darker a surface, the closer its strokes.
    ink = (1 - color) * (0.42 + 0.50 * smoothstep(0.0, 1.0, stroke + 0.35 * (1 - luminance(color))))
    ink = ink * border(size, 5.0, 9.0)
    line = (edges(blurred(layers.tone, 0.5)) * 3.2 - 0.18).clamp(0, 0.85)
    paper = torch.tensor([0.97, 0.96, 0.93]).view(1, 3, 1, 1)
    return ((paper - 0.95 * ink) * (1 - line) + 0.17 * line).clamp(0, 1)


def pixel_art(layers):
    """A picture of 32 by 32 in few colors, the object with a dark outline."""
    block = layers.color.shape[-1] // 32
    small, coverage = avg_pool2d(layers.color, block), avg_pool2d(layers.coverage, block)
    small = luminance(small) + 1.2 * (small - luminance(small))
    small = (small.clamp(0, 1) * 8).round() / 8
    inside = (coverage > 0.5).float()
    padded = pad(inside, [1, 1, 1, 1], mode="replicate")
    surrounded = torch.stack([padded[..., 1:-1, 2:], padded[..., 1:-1, :-2], padded[..., 2:, 1:-1], padded[..., :-2, 1:-1]]).amin(0)
    outline = inside * (1 - surrounded)
    return interpolate(torch.lerp(small, small * 0.35, outline), scale_factor=block, mode="nearest")


STYLES = {"photo": photo, "watercolor": watercolor, "pencil sketch": pencil_sketch, "pixel art": pixel_art}


def draw(layers, styles):
    """Pictures (n, 3, size, size) of the n scenes' layers, each in its style."""
    picture = torch.empty_like(layers.color)
    for name, style in STYLES.items():
        chosen = [index for index, wanted in enumerate(styles) if wanted == name]
        if chosen:
            picture[chosen] = style(type(layers)(**{key: layer[chosen] for key, layer in vars(layers).items()}))
    return picture
