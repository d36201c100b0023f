#!/usr/bin/env python3
"""Compares all inversions and all methods of editing over a folder of clips: what the inversion keeps, how near the edit comes to the
truth, how steady it is in time, and what it takes. Writes a table in Markdown and a page that shows the clips side by side.

Each NAME.mp4 has its prompts in NAME.yaml, and may have the perfect edit in NAME.truth.mp4."""

import argparse
import html
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from clips import Clip
from machine import describe
from warp_error import warp_error

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
INVERSIONS = ["ddim", "spatial-temporal", "stem"]
METHODS = ["tokenflow", "fatezero", "pix2video", "text2video-zero"]


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--clips", type=pathlib.Path, default=REPOSITORY / "Models/tiny-world/clips", help="the folder of the clips")
    add("--programs", type=pathlib.Path, default=REPOSITORY / ".build/release", help="where stemctl is")
    add("--output", type=pathlib.Path, default=REPOSITORY / ".build/quality", help="the folder for the table, the page and the clips")
    add("--inversions", nargs="+", choices=INVERSIONS, default=INVERSIONS)
    add("--methods", nargs="*", choices=METHODS, default=METHODS)
    add("--only", nargs="+", metavar="NAME", help="only these clips")
    add("--continue", dest="continues", action="store_true", help="keep what an earlier run into the same folder has finished, and do the rest")
    add("--without-source", action="store_true", help="let no method know what the clip shows")
    add("--options", nargs=argparse.REMAINDER, default=[], help="the rest goes to 'stemctl edit', such as --steps 20 --set bases_of=features")
    return parser.parse_args()


def clips_of(arguments):
    paths = sorted(path for path in arguments.clips.glob("*.mp4") if not path.name.endswith(".truth.mp4"))
    chosen = [path for path in paths if not arguments.only or path.stem in arguments.only]
    if not chosen:
        sys.exit(f"{arguments.clips} holds no such clip: it takes NAME.mp4 beside NAME.yaml")
    for path in chosen:
        if not path.with_suffix(".yaml").exists():
            sys.exit(f"{path} has no {path.stem}.yaml that says how to edit it")
    return [Clip(path) for path in chosen]


def edit(arguments, clip, inversion, method):
    """One run of stemctl; its figures, or None where it refused, which it says itself."""
    output = arguments.output / f"{clip.name}.{inversion}.{method}.mp4"
    metrics = output.with_suffix(".json")
    command = [arguments.programs / "stemctl", "edit", clip.path, "--prompt", clip.prompt, "--method", method, "--inversion", inversion,
               "--output", output, "--metrics", metrics, "--cache", arguments.output / "inversions"]
    if not arguments.without_source:
        command += ["--source-prompt", clip.source_prompt]
    if method != "reconstruct":
        command += ["--no-reconstruction"]
        if clip.truth:
            command += ["--truth", clip.truth]
    child = subprocess.Popen([str(word) for word in command + arguments.options], stderr=subprocess.PIPE, text=True)
    words = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        print(words.strip().splitlines()[-1] if words.strip() else "stemctl failed", file=sys.stderr)
        return None
    figures = json.loads(metrics.read_text())
    figures["memory"] = usage.ru_maxrss / 2**20
    figures["warp_error"] = warp_error(clip.path, output)
    return figures


def mean(cells, value):
    values = [value(cell) for cell in cells if cell]
    values = [each for each in values if each is not None]
    return statistics.mean(values) if values else None


def difference(cell, left, right):
    return cell[left] - cell[right] if left in cell and right in cell else None


def row(name, *values):
    return "| " + " | ".join([name] + ["–" if value is None else template.format(value) for template, value in values]) + " |"


def inversion_table(arguments, clips, cells):
    yield "| inversion | PSNR against the clip | SSIM | PSNR against the autoencoder's own | SSIM | autoencoder's own PSNR | seconds a frame | memory, GiB |"
    yield "|---|---|---|---|---|---|---|---|"
    for inversion in arguments.inversions:
        found = [cells.get((clip.name, inversion, "reconstruct")) for clip in clips]
        yield row(inversion, *((template, mean(found, lambda cell, key=key: cell.get(key))) for template, key in [
            ("{:.2f}", "reconstruction_psnr"), ("{:.4f}", "reconstruction_ssim"), ("{:.2f}", "inversion_psnr"), ("{:.4f}", "inversion_ssim"),
            ("{:.2f}", "autoencoder_psnr")]),
            ("{:.3f}", mean(found, lambda cell: cell["seconds"]["invert"] / cell["frames"])), ("{:.2f}", mean(found, lambda cell: cell["memory"])))


def edit_row(name, found):
    return row(
        name,
        ("{:.2f}", mean(found, lambda cell: cell.get("edit_psnr"))),
        ("{:+.2f}", mean(found, lambda cell: difference(cell, "edit_psnr", "unedited_psnr"))),
        ("{:.2f}", mean(found, lambda cell: cell.get("changed_psnr"))),
        ("{:+.2f}", mean(found, lambda cell: difference(cell, "changed_psnr", "changed_unedited_psnr"))),
        ("{:.2f}", mean(found, lambda cell: cell.get("unchanged_psnr"))),
        ("{:.2f}", mean(found, lambda cell: cell["warp_error"]["edited"])),
        ("{:.3f}", mean(found, lambda cell: cell["seconds"]["edit"] / cell["frames"])),
        ("{:.2f}", mean(found, lambda cell: cell["memory"])))


EDIT_HEAD = ["| {} | PSNR against the truth | gain over doing nothing | where the truth changes | gain there | where it does not | warp error | seconds a frame | memory, GiB |",
             "|---|---|---|---|---|---|---|---|---|"]


def report(arguments, clips, cells):
    machine = describe(REPOSITORY, arguments.programs, len(os.sched_getaffinity(0)))
    lines = ["# Quality", "", f"`{machine['command']}`, commit {machine['commit']}, {machine['date']}", ""]
    lines += [f"{machine['processor']}, {machine['threads']} threads, {machine['system']}", ""] if "processor" in machine else []
    lines += [f"Means over {len(clips)} clips: {', '.join(clip.name for clip in clips)}.", "", "## What the inversions keep", ""]
    lines += inversion_table(arguments, clips, cells)
    lines += ["", "## What the edits reach", ""] + [EDIT_HEAD[0].format("method, inversion"), EDIT_HEAD[1]]
    for method in arguments.methods:
        for inversion in arguments.inversions:
            lines.append(edit_row(f"{method}, {inversion}", [cells.get((clip.name, inversion, method)) for clip in clips]))
    own = [cell["warp_error"]["source"] for cell in cells.values() if cell]
    if own:
        lines += ["", f"The clips' own warp error is {statistics.mean(own):.2f}."]
    lines += ["", "## Clip by clip"]
    for clip in clips:
        lines += ["", f"### {clip.name}", "", f"{clip.source_prompt} → {clip.prompt}", "", EDIT_HEAD[0].format("method, inversion"), EDIT_HEAD[1]]
        lines += [edit_row(f"{method}, {inversion}", [cells.get((clip.name, inversion, method))]) for method in arguments.methods for inversion in arguments.inversions]
    return "\n".join(lines) + "\n"


def page(arguments, clips, cells):
    """All clips beside each other, playing in step."""
    def figure(path, caption):
        return f'<figure><video src="{html.escape(path)}" loop muted autoplay playsinline></video><figcaption>{html.escape(caption)}</figcaption></figure>'
    parts = ["<!doctype html><meta charset=utf-8><title>Quality</title><style>body{font:15px sans-serif;margin:2em}figure{display:inline-block;margin:4px}"
             "video{width:192px;image-rendering:pixelated}figcaption{font-size:12px;max-width:192px}</style><h1>Quality</h1>"]
    for clip in clips:
        parts.append(f"<h2>{html.escape(clip.name)}</h2><p>{html.escape(clip.source_prompt)} → {html.escape(clip.prompt)}</p>")
        for path, caption in [(clip.path, "source"), (clip.truth, "truth")]:
            if path:
                shutil.copy(path, arguments.output / path.name)
                parts.append(figure(path.name, caption))
        for method in ["reconstruct"] + arguments.methods:
            for inversion in arguments.inversions:
                cell = cells.get((clip.name, inversion, method))
                if cell:
                    score = cell.get("edit_psnr") or cell.get("reconstruction_psnr")
                    parts.append(figure(f"{clip.name}.{inversion}.{method}.mp4", f"{method}, {inversion}" + (f": {score:.2f} dB" if score else "")))
    return "\n".join(parts) + "\n"


def deciding(arguments):
    """What decides how the cells come out, apart from their names."""
    return {"clips": str(arguments.clips.resolve()), "without_source": arguments.without_source, "options": arguments.options}


def keep(arguments, cells):
    """A run that is broken off leaves the file of before, or the new one."""
    record = arguments.output / "quality.json"
    new = record.with_suffix(".new")
    new.write_text(json.dumps({"of": deciding(arguments), "cells": {" ".join(key): cell for key, cell in cells.items()}}, indent=1) + "\n")
    new.replace(record)


def kept(arguments):
    """The cells of an earlier run, but those that failed."""
    record = arguments.output / "quality.json"
    if not arguments.continues or not record.exists():
        return {}
    run = json.loads(record.read_text())
    if run.get("of") != deciding(arguments):
        sys.exit(f"{record} is of a run with other options, {run.get('of', 'which it does not tell')}: leave --continue away, or name another folder with --output")
    return {tuple(key.rsplit(" ", 2)): cell for key, cell in run["cells"].items() if cell}


def main():
    arguments = options()
    clips = clips_of(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    cells, begun = kept(arguments), time.monotonic()
    wanted = [(clip, inversion, method) for clip in clips for inversion in arguments.inversions for method in ["reconstruct"] + arguments.methods]
    runs = [run for run in wanted if (run[0].name, *run[1:]) not in cells]
    for number, (clip, inversion, method) in enumerate(runs):
        left = (time.monotonic() - begun) / number * (len(runs) - number) if number else None
        print(f"[{number + 1}/{len(runs)}] {clip.name} {inversion} {method}" + (f"; about {left / 60:.0f} min left" if left else ""), file=sys.stderr, flush=True)
        cells[clip.name, inversion, method] = edit(arguments, clip, inversion, method)
        keep(arguments, cells)
    cells = {key: cells[key] for key in ((clip.name, inversion, method) for clip, inversion, method in wanted)}
    (arguments.output / "quality.md").write_text(report(arguments, clips, cells))
    (arguments.output / "quality.html").write_text(page(arguments, clips, cells))
    print((arguments.output / "quality.md").read_text())
    print(f"the clips side by side: {arguments.output / 'quality.html'}", file=sys.stderr)
    if not all(cells.values()):
        sys.exit("some edits failed")


if __name__ == "__main__":
    main()
