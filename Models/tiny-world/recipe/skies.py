"""The skies, and the light that comes from them."""

from dataclasses import dataclass

import torch

from .noise import noise, smoothstep


@dataclass(frozen=True)
class Sky:
    top: tuple  # the color overhead
    horizon: tuple  # the color where it meets the ground
    light: tuple  # what it makes of white
    height: float  # how high the light stands
    shine: float  # how bright highlights are
    clouds: tuple  # what is added where a cloud is


SKIES = {
    "day": Sky((0.34, 0.58, 0.92), (0.80, 0.90, 1.00), (1.00, 0.98, 0.95), 0.9, 1.0, (0.16, 0.10, 0.03)),
    "sunset": Sky((0.33, 0.24, 0.50), (1.00, 0.60, 0.30), (1.00, 0.81, 0.64), 0.5, 0.9, (0.14, 0.02, -0.04)),
    "night": Sky((0.02, 0.03, 0.11), (0.12, 0.15, 0.33), (0.54, 0.58, 0.82), 0.9, 0.6, (0.03, 0.03, 0.04)),
}


def per_scene(values, like):
    """A number or a color for each scene, shaped to go with (…, scenes, samples, height, width), which has `like` dimensions but for colors'."""
    value = torch.tensor(values).movedim(0, -1)
    return value.reshape(*value.shape, *[1] * (like - 1))


def color(direction, skies, lights):
    """What is seen of the sky in these directions, (3, scenes, samples, height, width), of length 1.

    lights: where each scene's light comes from, (scenes, 1, 1, 1): the sun is low behind the scene at sunset, the moon stands there at night.
    """
    x, y, z = direction
    top, horizon, clouds = (per_scene([getattr(SKIES[sky], name) for sky in skies], 4) for name in ("top", "horizon", "clouds"))
    # Clouds lie on a plane above: farther ones are nearer to the horizon.
    above = y.clamp_min(0.04)
    cover = smoothstep(0.42, 0.85, noise(x / above * 0.55 + 5, z / above * 0.55 + 2)) * smoothstep(0.04, 0.25, y)
    seen = torch.lerp(horizon, top, (y * 2.3).clamp(0, 1)) + clouds * cover
    sunset, night = (per_scene([float(sky == name) for sky in skies], 4) for name in ("sunset", "night"))
    side = x - 0.45 * lights
    glow = torch.exp(-(side * side * 5 + y * y * 22)) * sunset
    seen = seen + glow * torch.tensor([0.25, 0.22, 0.06]).view(3, 1, 1, 1, 1)
    away = (side * side + (y - 0.235) ** 2).sqrt()
    moon = (smoothstep(0.052, 0.042, away) + 0.18 * torch.exp(-away * 9)) * night
    return seen + moon * torch.tensor([0.80, 0.80, 0.70]).view(3, 1, 1, 1, 1)
