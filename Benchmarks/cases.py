"""What is measured, case by case."""

import dataclasses
import fnmatch

from programs import EXACT, INVERSIONS, OURS, PEERS, REFERENCE

SCALE = 8  # pixels to a latent pixel, along each side


@dataclasses.dataclass(frozen=True)
class Case:
    """Computations that alternate: each of `runs` in each of `programs`, from inputs that all of them share."""

    group: str
    name: str
    runs: tuple
    programs: tuple
    # (frames, height, width) of the latents, or (texts,).
    shape: tuple
    # For an edit: options that both programs take.
    options: tuple = ()


EVERY = OURS + PEERS


def unet(height, width, frames):
    return Case("unet", f"unet/{height}x{width}/{frames}", ("unet",), EVERY, (frames, height, width))


def autoencoder(run, side):
    return Case("vae", f"vae/{run}", (run,), EVERY, (1, side, side))


def inversion(side, frames):
    return Case("inversion", f"inversion/{side}x{side}/{frames}", INVERSIONS, (*OURS, REFERENCE, EXACT), (frames, side, side))


def edit(*options):
    return Case("edit", "edit/00-color", ("edit",), OURS + (REFERENCE,), (), options)


TEXT = Case("text", "text/3", ("text",), EVERY, (3,))


def all_cases(shrink=1):
    """`shrink` divides the latents' sides, to try everything with a small model."""
    sizes = [(side[0] // shrink, side[1] // shrink) for side in ((32, 32), (64, 64), (64, 112))]
    side = 64 // shrink
    return [
        *(unet(height, width, frames) for height, width in sizes for frames in (1, 4, 16)),
        *(autoencoder(run, side) for run in ("encode", "decode")),
        TEXT,
        *(inversion(side, frames) for frames in (8, 16, 32, 64)),
        edit(),
    ]


def quick_cases(shrink=1):
    side = 32 // shrink
    return [
        unet(side, side, 1),
        unet(2 * side, 2 * side, 1),
        *(autoencoder(run, 2 * side) for run in ("encode", "decode")),
        TEXT,
        inversion(side, 8),
        edit("--frames", "8", "--steps", "10"),
    ]


def chosen(cases, patterns):
    return [case for case in cases if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)]
