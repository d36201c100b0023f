"""The shapes: where a ray meets each, and which way its surface looks there.

Each is of unit size, stands on y = 0 and has the y axis in its middle. Points and directions are tensors (3, …); a direction need not have length 1. `distance`
is the ray's parameter t > 0 of the nearest hit, infinite where there is none; `normal`, of a point on the surface, has length 1.
"""

import torch

NOTHING = float("inf")
NEAR = 1e-3


def dot(a, b):
    return (a * b).sum(0)


def unit(vector):
    return vector / dot(vector, vector).sqrt().clamp_min(1e-9)


def away_from_zero(value):
    return torch.where(value.abs() < 1e-6, torch.full_like(value, 1e-6), value)


def roots(a, half_b, c):
    """Both solutions of a·t² + 2·half_b·t + c = 0, the smaller first where a > 0, and where there are any."""
    discriminant = half_b * half_b - a * c
    root, a = discriminant.clamp_min(0).sqrt(), away_from_zero(a)
    return (-half_b - root) / a, (-half_b + root) / a, discriminant > 0


class Ball:
    """A sphere of radius 1."""

    @staticmethod
    def distance(origin, direction):
        x, y, z = origin
        y = y - 1
        dx, dy, dz = direction
        near, _, meets = roots(dot(direction, direction), x * dx + y * dy + z * dz, x * x + y * y + z * z - 1)
        return torch.where(meets & (near > NEAR), near, NOTHING)

    @staticmethod
    def normal(point):
        return unit(torch.stack([point[0], point[1] - 1, point[2]]))


class Cube:
    HALF = 0.82

    @classmethod
    def distance(cls, origin, direction):
        # Between each pair of faces the ray is from `enter` to `leave`; in the cube where it is between all three.
        middle = torch.tensor([0.0, cls.HALF, 0.0]).view(3, *[1] * (direction.dim() - 1))
        direction = away_from_zero(direction)
        one, other = (middle - cls.HALF - origin) / direction, (middle + cls.HALF - origin) / direction
        enter, leave = torch.minimum(one, other).amax(0), torch.maximum(one, other).amin(0)
        return torch.where((enter < leave) & (enter > NEAR), enter, NOTHING)

    @classmethod
    def normal(cls, point):
        offset = torch.stack([point[0], point[1] - cls.HALF, point[2]])
        face = offset.abs().argmax(0, keepdim=True)
        return torch.zeros_like(offset).scatter(0, face, offset.gather(0, face).sign())


class Cylinder:
    RADIUS, HEIGHT = 0.8, 1.65

    @classmethod
    def distance(cls, origin, direction):
        x, y, z = origin
        dx, dy, dz = direction
        near, _, meets = roots(dx * dx + dz * dz, x * dx + z * dz, x * x + z * z - cls.RADIUS**2)
        height = y + near * dy
        side = torch.where(meets & (near > NEAR) & (height >= 0) & (height <= cls.HEIGHT), near, NOTHING)
        top = (cls.HEIGHT - y) / away_from_zero(dy)
        on_top = (top > NEAR) & ((x + top * dx) ** 2 + (z + top * dz) ** 2 < cls.RADIUS**2)
        return torch.minimum(side, torch.where(on_top, top, NOTHING))

    @classmethod
    def normal(cls, point):
        top = point[1] > cls.HEIGHT - 1e-3
        flat = torch.zeros_like(top, dtype=point.dtype)
        side = unit(torch.stack([point[0], flat, point[2]]))
        return torch.where(top, torch.stack([flat, flat + 1, flat]), side)


class Cone:
    RADIUS, HEIGHT = 0.98, 1.95

    @classmethod
    def distance(cls, origin, direction):
        x, y, z = origin
        dx, dy, dz = direction
        slope, below = (cls.RADIUS / cls.HEIGHT) ** 2, y - cls.HEIGHT
        one, other, meets = roots(
            dx * dx + dz * dz - slope * dy * dy, x * dx + z * dz - slope * below * dy, x * x + z * z - slope * below * below
        )

        def on_surface(t):
            height = y + t * dy
            return torch.where(meets & (t > NEAR) & (height >= 0) & (height <= cls.HEIGHT), t, NOTHING)

        return torch.minimum(on_surface(one), on_surface(other))

    @classmethod
    def normal(cls, point):
        x, _, z = point
        slope = cls.RADIUS / cls.HEIGHT
        return unit(torch.stack([x, slope * (x * x + z * z).sqrt(), z]))


SOLIDS = {"ball": Ball, "cube": Cube, "cylinder": Cylinder, "cone": Cone}
