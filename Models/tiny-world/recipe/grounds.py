"""The grounds: their color at each point, filtered to the size of a pixel there, so that nothing flickers far away."""

import torch

from .noise import noise

# How a ground looks from afar, and in what metal mirrors of it.
MEAN = {
    "grass": (0.27, 0.53, 0.17),
    "sand": (0.84, 0.72, 0.47),
    "snow": (0.92, 0.94, 0.98),
    "wooden floor": (0.60, 0.39, 0.23),
    "checkered floor": (0.52, 0.52, 0.54),
}


def clumps(x, z, width, scale):
    """Noise of features `1 / scale` wide, from -0.5 to 0.5, that fades where a pixel is wider than they are."""
    return (noise(x * scale + 17, z * scale + 31) - 0.5) / (1 + (width * scale * 1.5) ** 2)


def mottled(x, z, width, mean, coarse, fine):
    """The mean color, lighter and darker in patches; `coarse` and `fine` say by how much, (red, green, blue)."""
    broad, narrow = clumps(x, z, width, 0.9), clumps(x, z, width, 3.5)
    return torch.stack([m + c * broad + f * narrow for m, c, f in zip(mean, coarse, fine)])


def grass(x, z, width):
    return mottled(x, z, width, MEAN["grass"], (0.14, 0.22, 0.08), (0.06, 0.10, 0.04))


def sand(x, z, width):
    ripples = torch.sin(z * 5 + 3 * noise(x * 0.5, z * 0.5)) * 0.02 / (1 + (width * 4) ** 2)
    return mottled(x, z, width, MEAN["sand"], (0.12, 0.11, 0.09), (0.05, 0.05, 0.04)) + ripples


def snow(x, z, width):
    return mottled(x, z, width, MEAN["snow"], (0.10, 0.09, 0.05), (0.03, 0.03, 0.02))


def share_of_seams(x, width, seam):
    """How much of the stretch `width` about x is seam, where a seam of this width begins at every whole number."""
    def until(end):
        return end.floor() * seam + (end - end.floor()).clamp_max(seam)

    width = width.clamp_min(1e-3)
    return (until(x + width / 2) - until(x - width / 2)) / width


def wooden_floor(x, z, width):
    """Planks that lead away from the camera, each of its own tint, with a grain along them."""
    planks, pixel = x * 1.25, width * 1.25
    plank = planks.floor()
    tint = noise(plank * 5.3 + 0.5, plank * 2.1 + 0.5) - 0.5
    grain = clumps(x * 2.2 + plank * 7.7, z * 0.16 + plank * 3.1, width, 1.6)
    # Tints run together where planks are narrower than pixels.
    bright = 1 + (0.32 * tint + 0.26 * grain) / (1 + (pixel * 1.5) ** 2) - 0.55 * share_of_seams(planks, pixel, 0.045)
    return torch.stack([bright * channel for channel in MEAN["wooden floor"]])


def checkered_floor(x, z, width):
    """Square tiles, the pattern averaged over a pixel's square: the product of two integrals of a square wave."""
    def wave(value, pixel):
        def integral(end):
            return 2 * ((end / 2 - (end / 2).floor()) - 0.5).abs()

        pixel = pixel.clamp_min(1e-3)
        return (integral(value - pixel / 2) - integral(value + pixel / 2)) / pixel

    tile = 0.85
    light = 0.5 - 0.5 * wave(x * tile, width * tile) * wave(z * tile, width * tile * 1.5)
    return torch.stack([0.20 + 0.64 * light, 0.20 + 0.64 * light, 0.22 + 0.64 * light])


GROUNDS = {"grass": grass, "sand": sand, "snow": snow, "wooden floor": wooden_floor, "checkered floor": checkered_floor}
