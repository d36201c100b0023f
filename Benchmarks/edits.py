"""Measures a whole edit, from clip to clip: one process each, in turn."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import av
import numpy

from clips import Clip
from processes import end_with_parent, environment
from programs import HERE, REFERENCE

MODEL = HERE.parent / "Models/tiny-world"
PRECISIONS = {"ours full": "full", "ours mixed": "mixed"}


def pictures(path):
    with av.open(str(path)) as container:
        return numpy.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(numpy.float64)


def psnr(a, b):
    """In dB; None where the pictures are equal, or not as many."""
    if a.shape != b.shape:
        return None
    square = numpy.square(a - b).mean()
    return float(10 * numpy.log10(255**2 / square)) if square else None


class Edits:
    def __init__(self, setup, estimate, say):
        self.setup, self.estimate, self.say = setup, estimate, say
        self.folder = setup.folder / "edits"
        self.folder.mkdir(parents=True, exist_ok=True)

    def measure(self, case):
        clip = Clip(MODEL / "clips" / (case.name.partition("/")[2] + ".mp4"))
        cells = [{"program": program, "run": "edit", "seconds": [], "computing_seconds": []} for program in case.programs]
        for number in range(self.setup.rounds + 1):
            for cell in cells:
                if "failed" not in cell:
                    self.say(case, f"round {number} of {self.setup.rounds}: {cell['program']}" if number else f"first: {cell['program']}")
                    self.run(case, clip, cell, counts=number > 0)
        self.compare(clip, cells)
        for cell in cells:
            if cell["seconds"]:
                self.estimate.learn(cell["program"], case, "edit", float(numpy.median(cell["seconds"])))
        return {"cells": cells}

    def command(self, case, clip, program):
        options = ["--model", MODEL, "--prompt", clip.prompt, "--source-prompt", clip.source_prompt]
        options += ["--threads", self.setup.threads, "--output", self.output(program), *case.options]
        if program == REFERENCE:
            return [sys.executable, HERE / "peer_edit.py", clip.path, *options]
        # What the peer computes: as the authors have it.
        authors = ["--set", "blending=authors", "--set", "empty_bases=attended"]
        return [self.setup.programs / "stemctl", "edit", clip.path, *options, *authors, *self.precision(program)]

    def precision(self, program):
        help_text = subprocess.run([self.setup.programs / "stemctl", "edit", "--help"], capture_output=True, text=True).stdout
        if "--precision" in help_text:
            return ["--precision", PRECISIONS[program]]
        if PRECISIONS[program] != "full":
            raise ValueError("this stemctl has no --precision")
        return []

    def output(self, program):
        return self.folder / (program.replace(" ", "-") + ".mp4")

    def run(self, case, clip, cell, counts):
        try:
            command = list(map(str, self.command(case, clip, cell["program"])))
        except (OSError, ValueError) as error:
            cell["failed"] = str(error)
            return
        self.output(cell["program"]).unlink(missing_ok=True)
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, env=environment(self.setup.threads), preexec_fn=end_with_parent, text=True
        )
        lines = []
        reader = threading.Thread(target=lambda: lines.extend((time.perf_counter(), line) for line in process.stderr))
        reader.start()
        # Ended with its peak memory, which the subprocess module does not tell.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        reader.join()
        if process.returncode:
            said = [line.strip() for _, line in lines if line.strip()] or ["nothing"]
            cell["failed"] = f"ended with {process.returncode}: {said[-1]}"
            return
        cell["peak_bytes"] = max(cell.get("peak_bytes", 0), usage.ru_maxrss * 1024)
        if counts:
            cell["seconds"].append(seconds)
            # Both say when they have loaded, and begin to decode the clip.
            loaded = next((at for at, line in lines if line.startswith("decode")), None)
            if loaded:
                cell["computing_seconds"].append(seconds - (loaded - begun))

    def compare(self, clip, cells):
        """PSNR of every edited clip against PyTorch's, and against the truth of a perfect edit."""
        reference = self.output(REFERENCE)
        truth = pictures(clip.truth)
        for cell in cells:
            path = self.output(cell["program"])
            if "failed" in cell or not path.exists():
                continue
            edited = pictures(path)
            cell["truth_psnr"] = psnr(edited, truth[: len(edited)])
            if cell["program"] != REFERENCE and reference.exists():
                cell["psnr"] = psnr(edited, pictures(reference))
