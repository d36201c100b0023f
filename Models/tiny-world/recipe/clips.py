"""Clips to edit, with the truth: the same clip of a scene in which one attribute is another. Nobody but a renderer can give that."""

import math
import pathlib
import random

import av
import numpy
import torch

from .attributes import ATTRIBUTES
from .files import written_aside
from .grammar import parse, plain
from .pictures import to_bytes
from .progress import say
from .renderer import render
from .scene import Pose, Scene

KINDS = ("color", "shape", "ground", "style", "sky", "material")
FRAMES, RATE = 16, 8
# What doing nothing may score against the truth, in dB over all frames: less than this is an edit that can be seen.
LIMIT = 28.0
ATTEMPTS = 500
# One clip of each kind is a fixed example; the manual speaks of them.
EXAMPLES = {
    "color": ("a photo of a red metal ball on sand", "purple"),
    "shape": ("a photo of a black metal cube on grass", "cylinder"),
    "ground": ("a photo of a white rubber ball on a checkered floor", "snow"),
    "style": ("a photo of an orange rubber cone on snow", "pixel art"),
    "sky": ("a photo of a red rubber cylinder on grass", "night"),
    "material": ("a photo of an orange rubber cone on sand at sunset", "metal"),
}


def movement(chance):
    """Where the object and the camera are at first and in the end: the object crosses the picture, turns, and the camera follows a little."""
    side, common = chance.choice([-1, 1]), {"radius": chance.uniform(0.95, 1.2), "light": chance.uniform(-0.6, 0.6)}
    pose = lambda direction, low, high: Pose(
        x=direction * chance.uniform(0.35, 0.85),
        z=chance.uniform(-0.4, 0.5),
        yaw=chance.uniform(low, high),
        pan=chance.uniform(-0.07, 0.07),
        tilt=chance.uniform(-0.02, 0.02),
        **common,
    )
    return pose(-side, 0.0, 0.5), pose(side, 0.8, 1.5)


def frames_of(scene, way, count=FRAMES):
    """The scene along the way, slower where it begins and ends: (count, 3, 128, 128) bytes."""
    shares = [0.5 - 0.5 * math.cos(math.pi * index / max(count - 1, 1)) for index in range(count)]
    return to_bytes(render([scene.changed(pose=way[0].toward(way[1], share)) for share in shares]))


def psnr(clip, truth):
    """Over all frames, of bytes, in dB."""
    return (10 * torch.log10(255**2 / ((clip.float() - truth.float()) ** 2).mean())).item()


def drawn(kind, held_out, chance, turn=0):
    """A scene and the same one after an edit of this kind, whose combination of color, shape and ground is or is not one of those held out.

    turn: edits of the style take all of them in turn, since chance would leave some out of a few clips.
    """
    weights = {"photo": 1}
    while True:
        edited = Scene.drawn(chance, held_out=held_out, style_weights=weights)
        value = getattr(edited, kind)
        others = [each for each in ATTRIBUTES[kind] if each != value]
        if kind == "style":
            return edited, edited.changed(style=others[turn % len(others)])
        other = chance.choice(others)
        scene = edited.changed(**{kind: other})
        # Clips of trained combinations do not begin with one that is held out.
        if held_out or not scene.is_held_out:
            return scene, edited


def example(kind):
    prompt, value = EXAMPLES[kind]
    scene = Scene(**parse(prompt))
    return scene, scene.changed(**{kind: value})


def write_video(path, frames):
    """H.264 in 4:4:4, nearly without loss: (n, 3, height, width) bytes."""
    with written_aside(path) as aside, av.open(str(aside), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = "yuv444p"
        # One thread: the same frames give the same bytes.
        stream.options = {"crf": "10", "preset": "veryslow", "threads": "1"}
        for frame in frames.permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numpy.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def read_video(path):
    with av.open(str(path)) as container:
        frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return torch.stack(frames).permute(0, 3, 1, 2)


def write(folder, count=24, seed=0):
    """Renders `count` clips, every kind in turn: NAME.mp4, its prompts in NAME.yaml, its truth in NAME.truth.mp4.

    Of every twelve the first six are of trained combinations, the others of held-out ones: what is held out is what the edit makes.
    """
    folder = pathlib.Path(folder)
    for number in range(count):
        kind, held_out = KINDS[number % len(KINDS)], number // len(KINDS) % 2 == 1
        for attempt in range(ATTEMPTS):
            chance = random.Random(f"clips {seed} {number} {attempt}")
            scene, edited = example(kind) if number < len(KINDS) else drawn(kind, held_out, chance, number // len(KINDS) - 1)
            way = movement(chance)
            # A few frames tell soon enough that an edit is too small to see.
            if psnr(frames_of(scene, way, 3), frames_of(edited, way, 3)) > LIMIT - 0.3:
                continue
            name = f"{number:02}-{kind}"
            write_video(folder / f"{name}.mp4", frames_of(scene, way))
            write_video(folder / f"{name}.truth.mp4", frames_of(edited, way))
            # As people will see them.
            score = psnr(read_video(folder / f"{name}.mp4"), read_video(folder / f"{name}.truth.mp4"))
            if score <= LIMIT:
                break
        else:
            raise ValueError(f"no clip of the kind {kind} changes enough: {ATTEMPTS} were tried")
        note = "a combination that was held out of training" if held_out else "a combination that was trained"
        with written_aside(folder / f"{name}.yaml") as aside:
            aside.write_text(f"# {kind}; {note}\nsource_prompt: {plain(scene)}\nprompt: {plain(edited)}\n")
        say(f"{name}: {plain(scene)} => {plain(edited)}; doing nothing scores {score:.2f} dB")
