"""From a scene to its picture: rays, one object, one ground plane, one light; then the style.

Colors are display values in [0, 1]; nothing pretends to be physics, but everything is where a camera would see it.
"""

import math
from dataclasses import dataclass

import torch

from . import grounds, skies, styles
from .skies import SKIES, per_scene
from .solids import SOLIDS, dot, unit

PALETTE = {
    "red": (0.86, 0.11, 0.10),
    "green": (0.10, 0.64, 0.18),
    "blue": (0.10, 0.25, 0.88),
    "yellow": (0.97, 0.85, 0.08),
    "purple": (0.55, 0.13, 0.72),
    "orange": (1.00, 0.48, 0.04),
    "white": (0.95, 0.95, 0.95),
    "black": (0.06, 0.06, 0.07),
}

EYE = (0.0, 2.2, -4.3)
FOCAL_LENGTH = 1.7  # of a picture that is 2 wide
DOWN = 0.25  # how far the picture is shifted down
FAR = 60.0
# Where in a pixel its four rays go: a square turned by 27°, so that nearly upright and nearly level edges get all four levels.
SAMPLES = ((0.125, 0.375), (0.375, -0.125), (-0.125, -0.375), (-0.375, 0.125))
# Each of the four sees the light at another place, which makes shadows soft.
LIGHT_SIZE = ((-0.10, -0.04), (0.04, -0.10), (0.10, 0.04), (-0.04, 0.10))


@dataclass
class Layers:
    """What the styles draw from; n scenes."""

    color: torch.Tensor  # (n, 3, size, size)
    coverage: torch.Tensor  # (n, 1, size, size): the share of the pixel that the object covers
    tone: torch.Tensor  # (n, 1, size, size): surfaces told apart in all light: its steps are the lines that a pencil draws


def per_shape(scenes, function):
    """`function(solid, indices)` for each shape among the scenes; its tensors (…, those scenes, samples, size, size) put together again."""
    whole = None
    for shape, solid in SOLIDS.items():
        chosen = [index for index, scene in enumerate(scenes) if scene.shape == shape]
        if not chosen:
            continue
        part = function(solid, chosen)
        if whole is None:
            whole = part.new_empty(*part.shape[:-4], len(scenes), *part.shape[-3:])
        whole[..., chosen, :, :, :] = part
    return whole


def layers(scenes, size):
    values = lambda name: per_scene([getattr(scene.pose, name) for scene in scenes], 4)
    down, across = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    offset_x, offset_y = (torch.tensor(SAMPLES)[:, axis].view(1, 4, 1, 1) for axis in (0, 1))
    screen_x, screen_y = (across + offset_x) * 2 / size - 1, 1 - (down + offset_y) * 2 / size

    # Rays in the world: (3, scenes, samples, size, size)
    y = screen_y / FOCAL_LENGTH - DOWN + values("tilt")
    x, y, z = torch.broadcast_tensors(screen_x / FOCAL_LENGTH, y, torch.ones(1))
    cos_pan, sin_pan = values("pan").cos(), values("pan").sin()
    ray = unit(torch.stack([x * cos_pan + z * sin_pan, y, z * cos_pan - x * sin_pan]))
    eye = torch.tensor(EYE).view(3, 1, 1, 1, 1).expand_as(ray)

    names = [scene.sky for scene in scenes]
    light_x, light_y = (torch.tensor(LIGHT_SIZE)[:, axis].view(1, 4, 1, 1) for axis in (0, 1))
    height = per_scene([SKIES[sky].height for sky in names], 4)
    light = unit(torch.stack(torch.broadcast_tensors(values("light") + light_x, height + light_y, torch.full((1,), -0.55))))

    # Into each object's own space, where it is of unit size, and back; lengths of directions change, so that t stays the same.
    cos_yaw, sin_yaw, radius = values("yaw").cos(), values("yaw").sin(), values("radius")
    place = torch.stack(torch.broadcast_tensors(values("x"), torch.zeros(1), values("z")))

    def turned(v, sin):
        return torch.stack([v[0] * cos_yaw - v[2] * sin, v[1], v[0] * sin + v[2] * cos_yaw])

    def distances(origin, direction):
        origin, direction = turned(origin - place, sin_yaw) / radius, turned(direction, sin_yaw) / radius
        return per_shape(scenes, lambda solid, chosen: solid.distance(origin[:, chosen], direction[:, chosen]))

    hit = distances(eye, ray)
    is_object = hit < math.inf
    point = eye + ray * torch.where(is_object, hit, 1.0)
    within = turned(point - place, sin_yaw) / radius
    normal = turned(per_shape(scenes, lambda solid, chosen: solid.normal(within[:, chosen])), -sin_yaw)

    reach = torch.where(ray[1] < -1e-3, EYE[1] / -ray[1].clamp_max(-1e-3), torch.full_like(ray[1], math.inf))
    is_ground = (reach < FAR) & ~is_object
    sky = skies.color(ray, names, values("light"))
    tint = per_scene([SKIES[name].light for name in names], 4)
    horizon = per_scene([SKIES[name].horizon for name in names], 4)

    ground, albedo = ground_color(scenes, eye, ray, reach.clamp_max(FAR), light, distances, place, radius)
    haze = 1 - torch.exp(-0.03 * reach.clamp_max(FAR))
    ground = torch.lerp(ground * tint, horizon.expand_as(ground), haze)
    surface = object_color(scenes, names, within, ray, normal, light, tint, values("light"))

    color = torch.where(is_object, surface, torch.where(is_ground, ground, sky)).clamp(0, 1)
    facing = 0.34 + 0.26 * normal[1] + 0.22 * normal[0] - 0.1 * normal[2]
    tone = torch.where(is_object, facing * 0.8, torch.where(is_ground, torch.lerp(albedo, torch.ones(1), haze) * 0.25 + 0.6, 1.0))
    pixel = lambda layer: layer.mean(-3)  # of its four samples
    return Layers(pixel(color).transpose(0, 1), pixel(is_object.float())[:, None], pixel(tone)[:, None])


def ground_color(scenes, eye, ray, reach, light, distances, place, radius):
    """The ground's color in white light with the object's shadow, (3, scenes, samples, size, size), and its lightness without."""
    spot = eye + ray * reach
    spot = torch.stack([spot[0], torch.zeros_like(spot[1]), spot[2]])
    # A pixel covers more ground the farther it is and the flatter it is looked at.
    width = reach * (2 / (FOCAL_LENGTH * ray.shape[-1])) * (1 / ray[1].abs().clamp_min(0.02)).sqrt()
    plain = torch.empty_like(ray)
    for name, pattern in grounds.GROUNDS.items():
        chosen = [index for index, scene in enumerate(scenes) if scene.ground == name]
        if chosen:
            plain[:, chosen] = pattern(spot[0][chosen], spot[2][chosen], width[chosen])
    shadow = (distances(spot, light.expand_as(spot)) < math.inf).float()
    # Where the object keeps the sky's own light away.
    near = torch.exp(-(((spot[0] - place[0]) ** 2 + (spot[2] - place[2]) ** 2) / (0.8 * radius**2)))
    return plain.clamp(0, 1) * (1 - 0.46 * shadow) * (1 - 0.30 * near), plain.mean(0)


def object_color(scenes, names, within, ray, normal, light, tint, lights):
    base = per_scene([PALETTE[scene.color] for scene in scenes], 4)
    lit = dot(normal, light).clamp_min(0)
    mirrored = ray - 2 * dot(ray, normal) * normal
    toward_light = dot(mirrored, light).clamp_min(0)
    shine = per_scene([SKIES[name].shine for name in names], 4)
    # Less sky reaches a surface near the ground.
    open = 0.72 + 0.28 * within[1].clamp(0, 1)

    rubber = base * (0.42 + 0.08 * normal[1] + 0.58 * lit) * open * tint + 0.16 * toward_light**7 * shine * tint

    floor = per_scene([grounds.MEAN[scene.ground] for scene in scenes], 4) * tint * (0.55 + 0.35 * (-mirrored[1]).clamp(0, 1))
    above = skies.color(mirrored, names, lights)
    # Dark just below the mirrored horizon, as in photographs of chrome.
    edge = ((mirrored[1] + 0.02) * 14).clamp(0, 1)
    around = torch.lerp(floor * (0.62 + 0.38 * (-mirrored[1] * 3).clamp(0, 1)), above * 0.9, edge)
    # What is mirrored keeps little of its own color, so that the metal's is told.
    around = torch.lerp(around.mean(0, keepdim=True), around, 0.45)
    grazing = (1 + dot(ray, normal)).clamp(0, 1) ** 5
    mirror = torch.lerp(0.10 + 0.82 * base, torch.ones(1), 0.4 * grazing)
    metal = mirror * around * open + base * (0.08 + 0.24 * lit) * tint + 0.9 * toward_light**50 * shine

    return torch.where(per_scene([scene.material == "metal" for scene in scenes], 4), metal, rubber)


@torch.no_grad()
def render(scenes, size=128):
    """Pictures of the scenes, (n, 3, size, size) float32 in [0, 1]. What is rendered with a picture changes its last bits at most."""
    # A few at a time, which stay in the processor's caches.
    parts = [scenes[start : start + 4] for start in range(0, len(scenes), 4)]
    return torch.cat([styles.draw(layers(part, size), [scene.style for scene in part]) for part in parts])
