"""The pictures that the trainings see: rendered once, in parts that processes make side by side."""

import concurrent.futures
import json
import multiprocessing
import pathlib
import random

import torch

from . import progress
from .files import written_aside
from .renderer import render
from .scene import Scene

PART = 250


def scenes_of(seed, part, count, held_out, style_weights):
    """The scenes of one part: they depend on nothing else."""
    chance = random.Random(f"{seed} {part}")
    return [Scene.drawn(chance, held_out=held_out, style_weights=style_weights) for _ in range(count)]


def render_part(path, scenes):
    """One process' work: the pictures as bytes, with their scenes, in one file."""
    torch.set_num_threads(1)
    pictures = torch.cat([to_bytes(render(scenes[start : start + 50])) for start in range(0, len(scenes), 50)])
    with written_aside(path) as aside:
        torch.save({"pictures": pictures, "scenes": json.dumps([scene.as_dictionary() for scene in scenes])}, aside)


def to_bytes(pictures):
    return (pictures * 255).round().to(torch.uint8)


def to_network(pictures):
    """Bytes as the autoencoder takes them: float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def write(folder, count, seed, held_out=False, style_weights=None, processes=2, name="pictures"):
    """Renders what is not there yet: `count` pictures in files of PART."""
    folder = pathlib.Path(folder)
    parts = [(part, min(PART, count - part * PART)) for part in range(-(-count // PART))]
    missing = [(part, size) for part, size in parts if not (folder / f"{part:04}.pt").exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    told = progress.Progress(name, len(missing))
    # Processes that are forked from one with threads may hang.
    with concurrent.futures.ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        work = [
            pool.submit(render_part, folder / f"{part:04}.pt", scenes_of(seed, part, size, held_out, style_weights)) for part, size in missing
        ]
        try:
            for done, future in enumerate(concurrent.futures.as_completed(work), 1):
                future.result()
                told.tell(done, lambda: f"{min(done * PART, count)} rendered")
        except BaseException:
            # Otherwise the pool would render all the rest before anybody hears of it.
            pool.shutdown(cancel_futures=True)
            raise


def opened(folder):
    """All pictures of a folder, (n, 3, size, size) bytes, and their scenes."""
    parts = [torch.load(path, weights_only=True) for path in sorted(pathlib.Path(folder).glob("[0-9]*.pt"))]
    return torch.cat([part["pictures"] for part in parts]), [scene for part in parts for scene in scenes_from(part)]


def scenes_in(folder):
    """The scenes alone."""
    paths = sorted(pathlib.Path(folder).glob("[0-9]*.pt"))
    return [scene for path in paths for scene in scenes_from(torch.load(path, weights_only=True, mmap=True))]


def scenes_from(part):
    return [Scene.from_dictionary(values) for values in json.loads(part["scenes"])]
