"""Measures one case: every program in turn, round by round, so that whatever becomes of the machine befalls all alike."""

import contextlib
import dataclasses
import pathlib
import time
import zlib

import numpy
from safetensors.numpy import load_file

from inputs import Inputs
from processes import Process, ProgramEnded, processors_busy
from programs import PROGRAMS, references


@dataclasses.dataclass
class Setup:
    """Where everything is, and what it may take."""

    programs: pathlib.Path
    model: pathlib.Path
    folder: pathlib.Path
    threads: int
    rounds: int
    budget: float
    limit: float
    own_limit: float

    @property
    def converted(self):
        """Where OpenVINO's form of this model is kept."""
        return self.folder / "openvino" / f"{self.model.name}-{zlib.crc32(bytes(self.model)):08x}"


def wakes(seconds):
    """Whether a call of so many seconds is made twice in each round, and the second one counted: a program that waited while others computed
    finds its memory cold, in the caches and for the host. A job is many calls on end. What takes long is hardly touched by that."""
    return seconds <= 60


class Alternation:
    def __init__(self, setup, estimate, teams, say):
        self.setup, self.estimate, self.teams, self.say = setup, estimate, teams, say
        self.inputs = Inputs(setup.model, setup.folder / "inputs")
        self.running = {}
        self.group = None
        self.team = 0  # the number of the one at work

    def close(self):
        for name in list(self.running):
            self.end(name)

    def end(self, name):
        self.running.pop(name).stop()

    def measure(self, case):
        """The case's cells, one for each program and run, and what else the machine did."""
        if case.group != self.group:
            # What they loaded for other parts of the model goes with them.
            self.close()
            self.group = case.group
        path = self.inputs.write(case)
        cells = [self.cell(case, program, run) for program in case.programs for run in case.runs if run in PROGRAMS[program].runs]
        machine = {"idle_processors": 0.0, "other_processors": 0.0, "stolen_processors": 0.0}
        teams = self.order(case, cells)
        for self.team, names in enumerate(teams):
            self.measure_team(case, path, names, cells, machine)
        self.compare(cells)
        for cell in cells:
            pathlib.Path(cell.pop("output")).unlink(missing_ok=True)
        path.unlink()
        return {"cells": cells, "teams": teams, **machine}

    def cell(self, case, program, run):
        cell = {"program": program, "run": run, "seconds": []}
        cell["output"] = str(self.setup.folder / "inputs" / f"output-{program}-{run}.safetensors".replace(" ", "-"))
        predicted = self.estimate.seconds(program, case, run)
        limit = self.setup.own_limit if PROGRAMS[program].is_ours else self.setup.limit
        if predicted > limit:
            cell["skipped"] = f"about {predicted:.0f} s a call"
        elif not PROGRAMS[program].is_timed and not self.teams.fit(case, [program]):
            cell["skipped"] = "not enough memory"
        return cell

    def order(self, case, cells):
        """Who alternates with whom; where nothing is timed, everyone is alone."""
        names = list(dict.fromkeys(cell["program"] for cell in cells if "skipped" not in cell))
        return self.teams.of(case, names) if self.setup.rounds else [[name] for name in names]

    def measure_team(self, case, path, team, cells, machine):
        for name in [name for name in self.running if name not in team]:
            self.end(name)
        mine = [cell for cell in cells if cell["program"] in team and "skipped" not in cell and "failed" not in cell]
        for cell in mine:
            self.ask(case, path, cell, "first", first=True)
        if self.setup.rounds and all(PROGRAMS[name].is_timed for name in team):
            self.measure_rounds(case, path, mine, machine)
        for name in team:
            if name in self.running and (peak := self.running[name].peak_bytes()):
                for cell in mine:
                    if cell["program"] == name:
                        cell["life_peak_bytes"] = max(cell.get("life_peak_bytes", 0), peak)
                        cell.setdefault("peak_bytes", peak)

    def measure_rounds(self, case, path, cells, machine):
        rounds = {}
        for run in case.runs:
            once = sum(cell["first"] for cell in cells if cell["run"] == run and "first" in cell)
            rounds[run] = min(self.setup.rounds, int(self.setup.budget / max(once, 1e-9)))
        # What takes longer than the whole budget was measured already, once and cold.
        for cell in cells:
            if "first" in cell and not rounds[cell["run"]]:
                self.count(cell, cell["first"])
                cell["cold"] = True
                if "first_em_seconds" in cell:
                    cell["em_seconds"] = [cell["first_em_seconds"]]
        self.forget_peaks(cells)
        for number in range(max(rounds.values(), default=0)):
            for cell in cells:
                if number < rounds[cell["run"]] and "failed" not in cell:
                    what = f"round {number + 1} of {rounds[cell['run']]}"
                    if wakes(cell["first"]):
                        self.ask(case, path, cell, f"{what}, not counted", counted=False)
                    if "failed" not in cell:
                        self.ask(case, path, cell, what, machine=machine)
        for cell in cells:
            if cell["seconds"] and cell["program"] in self.running:
                cell["peak_bytes"] = max(cell.get("peak_bytes", 0), self.running[cell["program"]].peak_bytes() or 0)
                self.estimate.learn(cell["program"], case, cell["run"], float(numpy.median(cell["seconds"])))

    def count(self, cell, seconds):
        cell["seconds"].append(seconds)
        cell.setdefault("seconds_of_team", []).append(self.team)

    def forget_peaks(self, cells):
        """From here on the peak is that of the computation alone, not of loading."""
        for cell in cells:
            if cell["program"] in self.running:
                process = self.running[cell["program"]]
                cell["life_peak_bytes"] = max(cell.get("life_peak_bytes", 0), process.peak_bytes() or 0)
        for name in {cell["program"] for cell in cells} & set(self.running):
            self.running[name].forget_peak()

    def ask(self, case, path, cell, what, first=False, counted=True, machine=None):
        """Calls a program once. The first call leaves the output for comparison, and is not counted: it loads, compiles, warms up."""
        name, run = cell["program"], cell["run"]
        self.say(case, f"{what}: {name}, {run}")
        request = {"run": run, "input": str(path)}
        if first:
            request["output"] = cell["output"]
        try:
            if name not in self.running:
                log = self.setup.folder / "logs" / (name.replace(" ", "-") + ".log")
                self.running[name] = Process(PROGRAMS[name].command(self.setup), self.setup.threads, log)
            patience = 900 + 10 * self.estimate.seconds(name, case, run)
            with self.watched(name, machine) if machine is not None else contextlib.nullcontext():
                answer = self.running[name].ask(request, patience)
        except ProgramEnded as ended:
            cell["failed"] = str(ended)
            self.running.pop(name).stop()
            return
        except OSError as error:
            cell["failed"] = str(error)
            return
        if "error" in answer:
            cell["failed"] = answer["error"]
        elif first:
            cell["first"] = answer["seconds"]
            if "em_seconds" in answer:
                cell["first_em_seconds"] = answer["em_seconds"]
            # Cold, but better than a guess.
            if not self.estimate.knows(name, run):
                self.estimate.learn(name, case, run, answer["seconds"])
        elif counted:
            self.count(cell, answer["seconds"])
            if "em_seconds" in answer:
                cell.setdefault("em_seconds", []).append(answer["em_seconds"])

    @contextlib.contextmanager
    def watched(self, name, machine):
        """Notes what the programs that wait took meanwhile, and what others on this machine did, in processors."""
        taken = lambda: {other: process.processor_seconds() for other, process in self.running.items()}
        before, (busy, stolen), begun = taken(), processors_busy(), time.monotonic()
        yield
        seconds = time.monotonic() - begun
        if seconds < 1 or name not in self.running:
            return  # Too short for the system's clock ticks to say anything.
        after, (busy_after, stolen_after) = taken(), processors_busy()
        used = {other: after[other] - before.get(other, 0) for other in after}
        found = {
            "idle_processors": sum(used.values()) - used[name],
            "other_processors": max(0, busy_after - busy - sum(used.values())),
            "stolen_processors": stolen_after - stolen,
        }
        for key, value in found.items():
            machine[key] = max(machine[key], value / seconds)

    def compare(self, cells):
        """The relative L2 error of every output against the reference's."""
        outputs = {(cell["program"], cell["run"]): cell["output"] for cell in cells if pathlib.Path(cell["output"]).exists()}
        for run in {cell["run"] for cell in cells}:
            name = next((name for name in references(run) if (name, run) in outputs), None)
            if name is None:
                continue
            reference = load_file(outputs[name, run])["output"].astype(numpy.float64)
            for cell in cells:
                if cell["run"] == run and (cell["program"], run) in outputs and cell["program"] != name:
                    cell["reference"] = name
                    output = load_file(cell["output"])["output"]
                    if output.shape != reference.shape:
                        cell["failed"] = f"gave the shape {output.shape} instead of {reference.shape}"
                    else:
                        error = float(numpy.linalg.norm(output - reference) / numpy.linalg.norm(reference))
                        cell["error"] = error if numpy.isfinite(error) else None
