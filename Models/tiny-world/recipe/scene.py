"""One moment of the tiny world: an object on a ground under a sky, and from where it is seen."""

import dataclasses
import math
from dataclasses import dataclass

from .attributes import ATTRIBUTES, COLORS, GROUNDS, SHAPES, is_held_out

# How often each style is drawn: edits mostly start from photos, and photos have the most to get right.
STYLE_WEIGHTS = {"photo": 0.46, "watercolor": 0.18, "pencil sketch": 0.18, "pixel art": 0.18}


@dataclass(frozen=True)
class Pose:
    """All that no prompt speaks of. Lengths are in the world's unit, of which a ball is about two across; angles in radians."""

    x: float = 0.0  # of the object, to the right
    z: float = 0.2  # of the object, away from the camera
    yaw: float = 0.3  # of the object, about the vertical
    radius: float = 1.0  # of the object
    pan: float = 0.0  # of the camera, to the right
    tilt: float = 0.0  # of the camera, up: as a shift of the picture, so that what is vertical stays so
    light: float = 0.4  # where the light comes from: negative from the left, positive from the right

    @staticmethod
    def drawn(random):
        return Pose(
            x=random.uniform(-1.0, 1.0),
            z=random.uniform(-0.5, 0.7),
            yaw=random.uniform(0, math.pi / 2),
            radius=random.uniform(0.9, 1.2),
            pan=random.uniform(-0.1, 0.1),
            tilt=random.uniform(-0.03, 0.04),
            light=random.uniform(-0.7, 0.7),
        )

    def toward(self, other, share):
        """The pose on the straight way to `other`; 0 is here, 1 is there."""
        ways = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)}
        return Pose(**{name: start + (end - start) * share for name, (start, end) in ways.items()})


@dataclass(frozen=True)
class Scene:
    color: str
    shape: str
    material: str
    ground: str
    sky: str
    style: str
    pose: Pose = Pose()

    def __post_init__(self):
        for attribute, values in ATTRIBUTES.items():
            value = getattr(self, attribute)
            if value not in values:
                raise ValueError(f"'{value}' is no {attribute} of this world, which has {', '.join(values)}")

    @property
    def attributes(self):
        return {attribute: getattr(self, attribute) for attribute in ATTRIBUTES}

    @property
    def is_held_out(self):
        return is_held_out(self.color, self.shape, self.ground)

    def changed(self, **attributes):
        """The same scene but for these attributes: the truth of an edit."""
        return dataclasses.replace(self, **attributes)

    @staticmethod
    def drawn(random, held_out=False, style_weights=None, **attributes):
        """A scene by chance, with the given attributes as they are.

        held_out: whether it is one of the combinations that training never sees; None for any.
        style_weights: how often each style is drawn, STYLE_WEIGHTS unless given.
        """
        weights = style_weights or STYLE_WEIGHTS
        combinations = [
            (color, shape, ground)
            for color in ([attributes["color"]] if "color" in attributes else COLORS)
            for shape in ([attributes["shape"]] if "shape" in attributes else SHAPES)
            for ground in ([attributes["ground"]] if "ground" in attributes else GROUNDS)
            if held_out is None or is_held_out(color, shape, ground) == held_out
        ]
        if not combinations:
            raise ValueError(f"no combination with {attributes} is {'held out' if held_out else 'trained on'}")
        color, shape, ground = random.choice(combinations)
        drawn = {
            "color": color,
            "shape": shape,
            "material": random.choice(ATTRIBUTES["material"]),
            "ground": ground,
            "sky": random.choice(ATTRIBUTES["sky"]),
            "style": random.choices(list(weights), list(weights.values()))[0],
        }
        return Scene(**(drawn | attributes), pose=Pose.drawn(random))

    def as_dictionary(self):
        return self.attributes | dataclasses.asdict(self.pose)

    @staticmethod
    def from_dictionary(values):
        values = dict(values)
        attributes = {attribute: values.pop(attribute) for attribute in ATTRIBUTES}
        return Scene(**attributes, pose=Pose(**values))
