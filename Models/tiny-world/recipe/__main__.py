"""Makes the model of the tiny world, stage by stage; each goes on where it was interrupted, and is left out where it is done.

  all            pictures, tokenizer, autoencoder, latents, denoiser, export
  pictures       renders what the trainings see
  tokenizer      learns the words
  autoencoder    trains pictures to latents and back
  latents        encodes the pictures
  denoiser       trains the text encoder and the UNet
  export         writes the model: FOLDER/tiny-world, in diffusers' layout, 16-bit floats
  evaluate       trains the classifier that judges (once), and prints how good the model is
  clips          renders clips to edit, with prompts and truths
  world          draws a sheet of renders, to look at
  golden         writes the numbers that `stemctl models verify` compares with its own
  check          checks the recipe itself, in a minute or two
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import sys
import time

import torch

from . import autoencoder, check, classifier, clips, denoiser, evaluation, export, golden, pictures, sheets, tokenizer
from .files import written_aside
from .model import Model
from .progress import duration, say
from .renderer import render
from .training import Interrupted, WrongCheckpoint

# What is trained on, what judges, and what neither has seen: each drawn by itself.
SEEDS = {"pictures": 0, "judge": 1, "unseen": 2}
FOLDER = pathlib.Path(__file__).resolve().parents[3] / ".build/model"
STAGES = ["all", "pictures", "tokenizer", "autoencoder", "latents", "denoiser", "export", "evaluate", "clips", "world", "golden", "check"]


def options(words=None):
    parser = argparse.ArgumentParser(prog="recipe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("stage", choices=STAGES)
    add("--folder", type=pathlib.Path, default=FOLDER, help="for all that is made (.build/model, beside the sources)")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="one per processor unless given; the last bits of a training depend on it")
    add("--pictures", type=int, default=16_000, help="that are trained on (16000)")
    add("--autoencoder-steps", type=int, default=autoencoder.STEPS, help=f"({autoencoder.STEPS})")
    add("--autoencoder-minutes", type=float, help="train for so long instead; what comes of it then depends on the machine")
    add("--autoencoder-rate", type=float, default=autoencoder.RATE, help=f"of learning; lower where its PSNR falls again ({autoencoder.RATE:g})")
    add("--denoiser-steps", type=int, default=denoiser.STEPS, help=f"({denoiser.STEPS})")
    add("--denoiser-minutes", type=float, help="train for so long instead")
    add("--denoiser-rate", type=float, default=denoiser.RATE, help=f"of learning; lower where its error rises again ({denoiser.RATE:g})")
    add("--model", type=pathlib.Path, help="to evaluate, or to write a golden of, or to check (FOLDER/tiny-world)")
    add("--count", type=int, default=256, help="evaluate: pictures of each of the four kinds (256)")
    add("--wording-count", type=int, default=24, help="evaluate: pictures of each wording besides the plain ones (24)")
    add("--judge-pictures", type=int, default=12_000, help="evaluate: renders that the classifier is trained on (12000)")
    add("--judge-steps", type=int, default=classifier.STEPS, help=f"evaluate: of the classifier's training ({classifier.STEPS})")
    add("--unseen", type=int, default=2000, help="evaluate: renders that nothing was trained on (2000)")
    add("--full-precision", action="store_true", help="evaluate: without bfloat16, half as fast")
    add("--clips", type=int, default=24, help="clips: how many (24)")
    add("--output", type=pathlib.Path, help="clips, world, golden: where to (FOLDER/clips, FOLDER/world.png, FOLDER/golden.safetensors)")
    add("--stemctl", type=pathlib.Path, default=pathlib.Path(".build/release/stemctl"), help="check: the program that is to read the model")
    return parser.parse_args(words)


class Pipeline:
    """One folder with all that the stages make, and a record of what each was made with and how long it took."""

    def __init__(self, arguments):
        self.arguments, self.folder = arguments, arguments.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record_path = self.folder / "record.json"
        self.record = json.loads(self.record_path.read_text()) if self.record_path.exists() else {}

    def stage(self, name, output, settings, make, after=()):
        """Makes `output` unless it is there, made with the same settings.

        after: the stages whose outputs it is made of.
        Raises ValueError where these are not done, or something was made with other settings.
        """
        for before in after:
            entry = self.record.get(before, {})
            if not entry.get("done"):
                raise ValueError(f"the stage {before} is not done in {self.folder}: run it first, or the stage all, which does everything that is missing")
            if entry["settings"] != self.settings(before):
                raise ValueError(f"the stage {before} was done with {entry['settings']} in {self.folder}, not {self.settings(before)}: use another --folder")
        settings = json.loads(json.dumps(settings))
        entry = self.record.setdefault(name, {"settings": settings, "seconds": 0.0, "done": False})
        if entry["settings"] != settings:
            if output.exists():
                raise ValueError(
                    f"{output} was made with {entry['settings']}, not {settings}: use another --folder, or remove it and what was made of it"
                )
            entry |= {"settings": settings, "seconds": 0.0, "done": False}
        if entry["done"] and output.exists():
            say(f"{name}: {output} is there, made in {duration(entry['seconds'])}")
            return
        entry["done"] = False
        self.keep()
        began = time.monotonic()
        try:
            make()
            entry["done"] = True
        finally:
            entry["seconds"] += time.monotonic() - began
            self.keep()
        say(f"{name}: {output} made in {duration(entry['seconds'])}")

    def keep(self):
        with written_aside(self.record_path) as aside:
            aside.write_text(json.dumps(self.record, indent=1) + "\n")

    def settings(self, stage):
        """What the stage's output depends on, all that the stages before it depend on included."""
        given = self.arguments
        found = {"seed": given.seed}
        if stage == "tokenizer":
            return found
        if stage == "judge":
            return found | {"pictures": given.judge_pictures}
        found["pictures"] = given.pictures
        if stage == "pictures":
            return found

        def training(name):
            steps, minutes, rate = (getattr(given, f"{name}_{what}") for what in ("steps", "minutes", "rate"))
            return {"rate": rate} | ({"minutes": minutes} if minutes else {"steps": steps})

        found["autoencoder"] = training("autoencoder")
        if stage in ("autoencoder", "latents"):
            return found
        return found | {"denoiser": training("denoiser")}

    def all(self):
        for stage in (self.pictures, self.tokenizer, self.autoencoder, self.latents, self.denoiser, self.export):
            stage()

    def pictures(self):
        target = self.folder / "pictures"
        make = lambda: pictures.write(target, self.arguments.pictures, f"{self.arguments.seed} {SEEDS['pictures']}", processes=self.arguments.threads)
        self.stage("pictures", target, self.settings("pictures"), make)

    def tokenizer(self):
        target = self.folder / "tokenizer"
        self.stage("tokenizer", target, self.settings("tokenizer"), lambda: tokenizer.write(target, self.arguments.seed))

    def autoencoder(self):
        target = self.folder / "autoencoder"

        def make():
            data, _ = pictures.opened(self.folder / "pictures")
            given = self.arguments
            network = autoencoder.train(
                data, self.folder, given.seed, given.autoencoder_steps, given.autoencoder_minutes, rate=given.autoencoder_rate
            )
            autoencoder.save(network, target)

        self.stage("autoencoder", target, self.settings("autoencoder"), make, after=["pictures"])

    def latents(self):
        target = self.folder / "latents.pt"

        def make():
            data, _ = pictures.opened(self.folder / "pictures")
            denoiser.encode(autoencoder.opened(self.folder / "autoencoder"), data, target)

        self.stage("latents", target, self.settings("latents"), make, after=["pictures", "autoencoder"])

    def denoiser(self):
        target = self.folder / "denoiser"

        def make():
            latents = torch.load(self.folder / "latents.pt", weights_only=True)
            scenes = pictures.scenes_in(self.folder / "pictures")
            words = tokenizer.opened(self.folder / "tokenizer")
            given = self.arguments
            unet, text = denoiser.train(
                latents, scenes, words, self.folder, given.seed, given.denoiser_steps, given.denoiser_minutes, rate=given.denoiser_rate
            )
            with written_aside(target) as aside:
                unet.save_pretrained(aside / "unet")
                text.save_pretrained(aside / "text_encoder")

        self.stage("denoiser", target, self.settings("denoiser"), make, after=["pictures", "tokenizer", "latents"])

    def export(self):
        target = self.folder / "tiny-world"

        def make():
            size = export.from_parts(self.folder, target)
            say(f"export: {size / 1e6:.1f} MB")

        self.stage("export", target, self.settings("export"), make, after=["tokenizer", "autoencoder", "denoiser"])

    @property
    def model(self):
        return self.arguments.model or self.folder / "tiny-world"

    def unseen(self):
        """Renders that nothing was trained on, of trained and held-out combinations alike."""
        given, target = self.arguments, self.folder / "unseen"
        settings = {"seed": given.seed, "pictures": given.unseen}
        make = lambda: pictures.write(target, given.unseen, f"{given.seed} {SEEDS['unseen']}", None, evaluation.EVENLY, given.threads, "unseen")
        self.stage("unseen", target, settings, make)
        return pictures.opened(target)

    def classifier(self):
        given, target = self.arguments, self.folder / "classifier.pt"
        seen, settings = self.folder / "judge", self.settings("judge")
        draw = lambda: pictures.write(seen, given.judge_pictures, f"{given.seed} {SEEDS['judge']}", None, evaluation.EVENLY, given.threads, "judge")
        self.stage("judge", seen, settings, draw)
        learn = lambda: classifier.save(classifier.train(*pictures.opened(seen), self.folder, given.seed, given.judge_steps), target)
        self.stage("classifier", target, settings | {"steps": given.judge_steps}, learn, after=["judge"])
        return classifier.opened(target)

    def evaluate(self):
        given, model = self.arguments, Model(self.model)
        data, scenes = self.unseen()
        judge, began = self.classifier(), time.monotonic()
        text, (pictures, prompts) = evaluation.evaluate(
            model, judge, data, scenes, given.count, given.wording_count, given.seed + 1000, mixed=not given.full_precision
        )
        took = f"Took {duration(time.monotonic() - began)}"
        if not given.model:
            took += "; the stages: " + ", ".join(f"{name} {duration(entry['seconds'])}" for name, entry in self.record.items())
        text = f"{text}\n{took}.\n"
        name = f"evaluation-{given.model.resolve().name}" if given.model else "evaluation"
        with written_aside(self.folder / f"{name}.md") as aside:
            aside.write_text(text)
        sheets.write(pictures[:32], self.folder / f"{name}.png")
        with written_aside(self.folder / f"{name}.txt") as aside:
            aside.write_text("\n".join(prompts[:32]) + "\n")
        print(text)
        say(f"evaluate: also {self.folder / name}.md, and pictures with their prompts in {name}.png and {name}.txt")

    def clips(self):
        clips.write(self.arguments.output or self.folder / "clips", self.arguments.clips, self.arguments.seed)

    def world(self):
        target = self.arguments.output or self.folder / "world.png"
        sheets.write(render(sheets.tour(self.arguments.seed)), target)
        say(f"world: {target}")

    def golden(self):
        target = self.arguments.output or self.folder / "golden.safetensors"
        golden.write(self.model, target, golden.frames())
        say(f"golden: {target}")

    def check(self):
        check.run(self.arguments.stemctl, self.arguments.model)


@contextlib.contextmanager
def alone(folder):
    """Nobody else works in the folder meanwhile. Raises ValueError where somebody does."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process works in {folder}: wait for it, or use another --folder") from None
        yield


def main():
    arguments = options()
    torch.set_num_threads(arguments.threads)
    free = arguments.stage in ("clips", "world", "golden", "check")
    try:
        with contextlib.nullcontext() if free else alone(arguments.folder):
            getattr(Pipeline(arguments), arguments.stage)()
    except (Interrupted, WrongCheckpoint, ArithmeticError, ValueError, OSError) as error:
        sys.exit(f"{arguments.stage}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{arguments.stage}: interrupted; the same command goes on with what is not done")


if __name__ == "__main__":
    main()
