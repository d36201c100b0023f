#!/usr/bin/env python3
"""Compares stemd's engine with PyTorch and OpenVINO on the same work: all programs in turn, round by round, in one run.
Prints tables in Markdown; README.md beside this file says what they mean."""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import sys
import time

sys.dont_write_bytecode = True

from alternation import Alternation, Setup, wakes
from bounds import judge
from cases import all_cases, chosen, quick_cases
from edits import Edits
from estimate import START, Estimate
from inputs import Inputs
from machine import describe, memory_bytes
from programs import HERE, OURS, PROGRAMS
from report import duration, markdown
from teams import Teams

REPOSITORY = HERE.parent


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--folder", type=pathlib.Path, default=REPOSITORY / ".build/bench", help="where inputs, converted models, logs and results go")
    add("--programs", type=pathlib.Path, default=REPOSITORY / ".build/release", help="where stem-bench and stemctl are")
    add("--model", type=pathlib.Path, help="the model folder (default: the one in the folder)")
    add("--cases", nargs="+", metavar="GLOB", default=["*"], help="measure only these, such as 'unet/*' 'text*'")
    add("--runs", nargs="+", metavar="RUN", help="of a case's computations only these, such as stem")
    add("--only", nargs="+", metavar="PROGRAM", choices=list(PROGRAMS), help="only these programs, such as 'ours full'")
    add("--rounds", type=int, help="how often each program is timed (default: 5; 2 with --quick; 0 with --check: errors alone)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every program")
    add("--quick", action="store_true", help="a small choice of cases, in minutes")
    add("--check", action="store_true", help="exit with 1 where ours errs more than it may")
    add("--budget", type=float, default=1500, help="seconds for the rounds of one computation; what takes longer gets fewer rounds")
    add("--limit", type=float, default=300, help="seconds; peers' calls that are expected to take longer are skipped")
    add("--own-limit", type=float, default=3600, help="the same, for ours")
    add("--output", type=pathlib.Path, help="the Markdown file; raw numbers go beside it as .json (default: results.md in the folder)")
    add("--resume", action="store_true", help="keep the cases that the output's .json already has, and measure the others")
    add("--shrink", type=int, default=1, help="divide the sides of all latents by this, to try everything with a small model")
    add("--list", action="store_true", help="list the cases and how long they are expected to take, and end")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 5
        if arguments.check:
            arguments.rounds = 0
    if arguments.rounds < 0 or arguments.threads < 1 or arguments.shrink < 1:
        parser.error("rounds, threads and shrink are counts")
    arguments.folder = arguments.folder.resolve()
    arguments.model = (arguments.model or arguments.folder / "model").resolve()
    arguments.output = arguments.output or arguments.folder / "results.md"
    return arguments


def cases_of(arguments):
    cases = chosen((quick_cases if arguments.quick else all_cases)(arguments.shrink), arguments.cases)
    if not cases:
        sys.exit(f"no case is called {' or '.join(arguments.cases)}: see --list")
    for field, asked in ("runs", arguments.runs), ("programs", arguments.only):
        if asked:
            cases = [dataclasses.replace(case, **{field: tuple(name for name in getattr(case, field) if name in asked)}) for case in cases]
            cases = [case for case in cases if getattr(case, field)]
            if not cases:
                sys.exit(f"none of these cases has {' or '.join(asked)} among its {field}: see --list")
    if arguments.rounds:
        return cases
    # Whole edits are about times, and nothing is promised about OpenVINO's errors.
    judged = lambda case: tuple(program for program in case.programs if program in OURS or program.startswith("PyTorch"))
    return [dataclasses.replace(case, programs=judged(case)) for case in cases if case.group != "edit"]


class Progress:
    """Tells on standard error where the run is, and how long the rest will take."""

    def __init__(self, cases, setup, estimate, teams):
        self.cases, self.setup, self.estimate, self.teams = cases, setup, estimate, teams
        self.begun = {}

    def __call__(self, case, text):
        number = self.cases.index(case)
        passed = time.monotonic() - self.begun.setdefault(case.name, time.monotonic())
        left = max(0, self.seconds(case) - passed) + sum(map(self.seconds, self.cases[number + 1 :]))
        print(f"[{number + 1}/{len(self.cases)}] {case.name}  {text}; about {duration(left)} left", file=sys.stderr, flush=True)

    def seconds(self, case):
        """What a case is expected to take as a whole."""
        if case.group == "edit":
            return (1 + self.setup.rounds) * sum(self.estimate.seconds(program, case, "edit") for program in case.programs)
        return sum(self.team_seconds(case, team) for team in self.teams.of(case, case.programs))

    def team_seconds(self, case, team):
        total = sum(START[program] for program in team)
        rounds = self.setup.rounds if all(PROGRAMS[program].is_timed for program in team) else 0
        for run in case.runs:
            calls = [self.call_seconds(case, program, run) for program in team if run in PROGRAMS[program].runs]
            total += sum(calls)
            total += sum(call * (2 if wakes(call) else 1) for call in calls) * min(rounds, self.setup.budget // max(sum(calls), 1e-9))
        return total

    def call_seconds(self, case, program, run):
        seconds = self.estimate.seconds(program, case, run)
        limit = self.setup.own_limit if program in OURS else self.setup.limit
        return seconds if seconds <= limit else 0


def model_name(model):
    """As it is seen from the repository."""
    return str(model.relative_to(REPOSITORY)) if model.is_relative_to(REPOSITORY) else model.name


def kept(arguments, machine):
    """The cases of an earlier run that goes on."""
    path = arguments.output.with_suffix(".json")
    if not arguments.resume or not path.exists():
        return []
    before = json.loads(path.read_text())
    differs = [key for key in ("processor", "threads", "system", "versions", "programs", "settings") if before["machine"][key] != machine[key]]
    asked = {"model": model_name(arguments.model), "shrink": arguments.shrink}
    differs += [key for key in asked if before["options"][key] != asked[key]]
    if differs:
        sys.exit(f"{path} is of a run with other {', '.join(differs)}: choose another --output, or leave --resume away")
    return [case for case in before["cases"] if all("failed" not in cell for cell in case["cells"])]


def write(arguments, results):
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    arguments.output.write_text(markdown(results))


def main():
    arguments = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for program in ("stem-bench", "stemctl"):
        if not (arguments.programs / program).exists() and not arguments.list:
            sys.exit(f"there is no {arguments.programs / program}: run make, or say --programs")
    if not (arguments.model / "model_index.json").exists():
        sys.exit(f"there is no model folder {arguments.model}: run make bench, which writes one, or say --model")
    setup = Setup(
        programs=arguments.programs.resolve(), model=arguments.model, folder=arguments.folder, threads=arguments.threads, rounds=arguments.rounds,
        budget=arguments.budget, limit=arguments.limit, own_limit=arguments.own_limit,
    )  # fmt: skip
    cases = cases_of(arguments)
    estimate = Estimate(arguments.model, arguments.threads, Inputs(arguments.model, arguments.folder / "inputs").tokens)
    teams = Teams(estimate, memory_bytes())
    say = Progress(cases, setup, estimate, teams)
    for case in cases:
        print(f"{case.name}: about {duration(say.seconds(case))}", file=sys.stderr)
    print(f"all of it: about {duration(sum(map(say.seconds, cases)))}", file=sys.stderr, flush=True)
    if arguments.list:
        return

    machine = describe(REPOSITORY, arguments.programs, arguments.threads)
    names = [case.name for case in all_cases(arguments.shrink) + quick_cases(arguments.shrink)]
    results = {
        "machine": machine,
        "options": {
            "model": model_name(arguments.model),
            **{key: getattr(arguments, key) for key in ("rounds", "budget", "limit", "own_limit", "quick", "shrink")},
        },
        "cases": kept(arguments, machine),
    }
    done = {case["name"] for case in results["cases"]}
    alternation, edits = Alternation(setup, estimate, teams, say), Edits(setup, estimate, say)
    try:
        for case in cases:
            if case.name in done:
                continue
            begun = time.monotonic()
            measured = (edits if case.group == "edit" else alternation).measure(case)
            facts = {"name": case.name, "group": case.group, "shape": case.shape, "options": case.options}
            results["cases"].append({**facts, **measured, "whole_seconds": time.monotonic() - begun, "at": time.strftime("%F %T")})
            results["cases"].sort(key=lambda case: names.index(case["name"]))
            write(arguments, results)
    finally:
        alternation.close()
    print(markdown(results))
    print(f"written to {arguments.output} and, with all numbers, {arguments.output.with_suffix('.json')}", file=sys.stderr)
    if arguments.check:
        wrong, count = judge(results["cases"])
        print("\n".join(wrong) or f"all {count} errors are within their bounds", file=sys.stderr)
        sys.exit(0 if count and not wrong else 1)


if __name__ == "__main__":
    main()
