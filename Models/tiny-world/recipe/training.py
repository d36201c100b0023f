"""What all trainings share: steps, a schedule, an average of the weights, and checkpoints from which they go on as if nothing had happened."""

import math
import pathlib
import random
import signal
import time

import torch

from .files import written_aside
from .progress import Progress, duration, say


class Interrupted(Exception):
    """Somebody asked the training to end; its checkpoint is written."""


class WrongCheckpoint(Exception):
    """There is a checkpoint, but of a training with other settings."""


class Draws:
    """All chance of a training, so that it can be kept and gone on with."""

    def __init__(self, seed):
        self.tensors = torch.Generator().manual_seed(seed)
        self.words = random.Random(seed)

    def state(self):
        version, numbers, gauss = self.words.getstate()
        return {"tensors": self.tensors.get_state(), "words": [version, list(numbers), gauss]}

    def restore(self, state):
        self.tensors.set_state(state["tensors"])
        version, numbers, gauss = state["words"]
        self.words.setstate((version, tuple(numbers), gauss))


def rate(share, warmth):
    """The learning rate's factor: it rises over the first steps, stays, and falls over the last two fifths, to a fiftieth.

    share: of the whole training that is done; warmth: of the first steps. That it stays high for long lets a training of few steps go far;
    what counts in the end is learned while it falls.
    """
    fall = min(1.0, (1 - share) / 0.4)
    return min(1.0, warmth) * max(0.02, 0.5 - 0.5 * math.cos(math.pi * fall))


class Training:
    """Runs `step(draws)`, which gives the loss and figures to tell, until the budget is spent.

    modules: by name, all that learns.
    optimizers: by name; each group's learning rate is what it begins with, times `rate`.
    steps: how many there are; or, instead,
    minutes: how long it may take, pauses left out. What comes of it then depends on the machine's speed; with steps, on seed and number of threads alone.
    settings: what else the result depends on: a checkpoint of others is refused.
    """

    WARM_UP = 150
    CHECKPOINT_INTERVAL = 120

    def __init__(self, name, modules, optimizers, folder, seed, steps, minutes=None, decay=0.999, settings=None):
        self.name, self.modules, self.optimizers = name, modules, optimizers
        self.path = pathlib.Path(folder) / f"{name}.checkpoint"
        self.steps, self.limit = steps, minutes * 60 if minutes else None
        self.decay, self.done, self.seconds = decay, 0, 0.0
        self.draws = Draws(seed)
        self.settings = {"seed": seed, "minutes": minutes, "steps": None if minutes else steps} | (settings or {})
        self.peaks = {key: [group["lr"] for group in optimizer.param_groups] for key, optimizer in optimizers.items()}
        self.learning = [parameter for module in modules.values() for parameter in module.parameters()]
        self.average = [parameter.detach().clone() for parameter in self.learning]
        if self.path.exists():
            self.restore()

    def restore(self):
        """Goes on from the checkpoint. Raises WrongCheckpoint."""
        kept = torch.load(self.path, weights_only=True)
        different = [key for key in self.settings if kept["settings"].get(key) != self.settings[key]]
        if different:
            was = ", ".join(f"{key} {kept['settings'].get(key)} instead of {self.settings[key]}" for key in different)
            raise WrongCheckpoint(f"{self.path} is of another training, with {was}: give the same options, or remove it to start anew")
        for key, module in self.modules.items():
            module.load_state_dict(kept["modules"][key])
        for key, optimizer in self.optimizers.items():
            optimizer.load_state_dict(kept["optimizers"][key])
        for mine, theirs in zip(self.average, kept["average"], strict=True):
            mine.copy_(theirs)
        self.draws.restore(kept["draws"])
        self.done, self.seconds = kept["done"], kept["seconds"]
        say(f"{self.name}: goes on after step {self.done}, {duration(self.seconds)} of training")

    def keep(self):
        """Writes the checkpoint, in place of the one before."""
        with written_aside(self.path) as aside:
            torch.save(
                {
                    "settings": self.settings,
                    "modules": {key: module.state_dict() for key, module in self.modules.items()},
                    "optimizers": {key: optimizer.state_dict() for key, optimizer in self.optimizers.items()},
                    "average": self.average,
                    "draws": self.draws.state(),
                    "done": self.done,
                    "seconds": self.seconds,
                },
                aside,
            )

    @property
    def share(self):
        return min(1.0, self.seconds / self.limit if self.limit else self.done / self.steps)

    def run(self, step, stop_after=None):
        """Trains to the end, and gives the modules their average weights.

        stop_after: ends as if interrupted after so many steps in all.
        Raises Interrupted, after a checkpoint, at SIGINT and SIGTERM.
        """
        asked = []
        before = {number: signal.signal(number, lambda *_: asked.append(True)) for number in (signal.SIGINT, signal.SIGTERM)}
        told = Progress(self.name, self.limit or self.steps, self.seconds if self.limit else self.done)
        # Over the last fifty steps or so.
        smooth, kept_at = {}, time.monotonic()
        try:
            while self.share < 1:
                began = time.monotonic()
                for key, value in self.one(step).items():
                    smooth[key] = value if key not in smooth else 0.98 * smooth[key] + 0.02 * value
                self.seconds += time.monotonic() - began
                pace = time.monotonic() - began
                told.tell(
                    self.seconds if self.limit else self.done,
                    lambda: ", ".join([f"step {self.done}"] + [f"{key} {value:.4f}" for key, value in smooth.items()] + [f"{pace:.2f} s a step"]),
                )
                if asked or self.done == stop_after:
                    self.keep()
                    raise Interrupted(f"{self.name} stopped after step {self.done}; the same command goes on from there")
                if time.monotonic() - kept_at > self.CHECKPOINT_INTERVAL:
                    self.keep()
                    kept_at = time.monotonic()
        finally:
            for number, action in before.items():
                signal.signal(number, action)
        self.keep()
        with torch.no_grad():
            for parameter, mean in zip(self.learning, self.average):
                parameter.copy_(mean)

    def diverged(self, what):
        return ArithmeticError(f"{self.name}: {what} at step {self.done}; start it anew with a lower rate of learning or another seed, in another folder")

    def one(self, step):
        """One step, from the learning rate to the average; gives the figures to tell."""
        factor = rate(self.share, (self.done + 1) / self.WARM_UP)
        for key, optimizer in self.optimizers.items():
            for group, peak in zip(optimizer.param_groups, self.peaks[key]):
                group["lr"] = peak * factor
        loss, figures = step(self.draws)
        if not math.isfinite(loss.item()):
            raise self.diverged(f"the loss is {loss.item()}")
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
        # Before a weight is touched: the last checkpoint stays whole.
        if not norm.isfinite():
            raise self.diverged(f"the gradient's norm is {norm.item()}")
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.done += 1
        # Short at first, so that the first weights are soon forgotten.
        decay = min(self.decay, (self.done + 1) / (self.done + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.learning, 1 - decay)
        return {"loss": loss.item()} | figures
