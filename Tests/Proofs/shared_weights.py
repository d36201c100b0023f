#!/usr/bin/env python3
"""Reads what workers have in memory while they edit, mapping by mapping: a second worker must cost no more than the room that it computes
in, for both share one copy of the model's prepared weights. Also measures how long a warm worker takes from its job to the first step."""

import json
import pathlib
import time
from dataclasses import dataclass

from chaos import moment
from promises import Promises, mebibytes, median, milliseconds, say
from service import CLIPS, REPOSITORY, Service, parser

STAGES = ["load", "decode", "encode-latents", "invert", "reconstruct", "edit", "decode-latents", "encode", "measure"]

JOBS = {"prepares": "00-color.mp4", "alone": "01-shape.mp4", "left": "02-ground.mp4", "right": "03-style.mp4"}


@dataclass
class Memory:
    """A worker's share of memory: each page divided by the number of those who map it, in bytes."""

    prepared: int = 0
    """the files of prepared weights"""
    plain: int = 0
    """the model's own files"""
    rest: int = 0
    """everything else: what it computes in, the programs and libraries"""
    private: int = 0
    """of the rest, what nobody else maps"""

    @property
    def weights(self):
        return self.prepared + self.plain

    @property
    def all(self):
        return self.weights + self.rest

    @classmethod
    def of(cls, pid):
        """None where it is gone."""
        memory, kind = cls(), "rest"
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):
                path = words[5] if len(words) > 5 else ""
                kind = "prepared" if ".weights" in path else "plain" if ".safetensors" in path else "rest"
            elif words[0] == "Pss:":
                setattr(memory, kind, getattr(memory, kind) + int(words[1]) * 1024)
            elif words[0] in ("Private_Clean:", "Private_Dirty:") and kind == "rest":
                memory.private += int(words[1]) * 1024
        return memory


@dataclass
class Model:
    folder: pathlib.Path
    settings: dict
    interval: float
    """seconds between two looks"""


def drop(service, model, names):
    """So that the workers begin together."""
    with service.client() as client:
        client.ask("pause")
        settings = model.settings | {"model": model.folder.name, "prompt": "a photo of a blue ball"}
        for name in names:
            # Each its own, lest one's inversion serves the other.
            service.drop(name + ".mp4", (CLIPS / JOBS[name]).read_bytes())
            service.drop(name + ".json", json.dumps(settings))
        deadline = time.monotonic() + 60
        while len(found := [job for job in client.jobs() if job["name"] in names]) < len(names):
            if time.monotonic() > deadline:
                raise SystemExit(f"the clips in the inbox are not taken: {service.log()[-3000:]}")
            time.sleep(0.05)
        client.ask("resume")
        return [job["id"] for job in found]


def watched(service, model, names):
    """Runs the jobs, and gives the workers' memory whenever all of them computed."""
    ids = drop(service, model, names)
    looks = []
    with service.client() as client:
        while True:
            before = {worker["name"]: worker for worker in client.ask("workers", seconds=60)["workers"] if "job" in worker}
            memories = [Memory.of(worker["pid"]) for worker in before.values()]
            after = {worker["name"]: worker for worker in client.ask("workers", seconds=60)["workers"] if "job" in worker}
            computing = [
                worker for workers in (before, after) for worker in workers.values() if worker.get("progress", {}).get("stage") in STAGES[2:7]
            ]
            if len(computing) == 2 * len(ids) and None not in memories:
                looks.append(memories)
            jobs = [client.ask("status", job=job)["job"] for job in ids]
            if not all(job["state"] in ("queued", "running") for job in jobs):
                break
            time.sleep(model.interval)
        for job in ids:
            if (ended := client.wait(job, 3600))["state"] != "done":
                raise SystemExit(f"{ended['name']} is {ended['state']}: {ended.get('error')}")
    if not looks:
        raise SystemExit(f"the workers never computed at the same time: {service.log()[-3000:]}")
    return looks


def peak(looks):
    return max(looks, key=lambda memories: sum(memory.all for memory in memories))


def prove(promises, arguments, model):
    # One thread, so that what each computes in is the same however many they are.
    service = Service(arguments, ["--workers", 1, "--threads", 1])
    name = model.folder.name
    service.command[service.command.index("--models") + 1] = model.folder.parent

    def run(workers, *names):
        say(f"{name}: {' and '.join(names)}")
        service.command[service.command.index("--workers") + 1] = workers
        service.start()
        found = peak(watched(service, model, names))
        service.stop()
        return found

    [first] = run(1, "prepares")
    [one] = run(1, "alone")
    two = run(2, "left", "right")

    for what, memory in [("the one that prepared them", first), ("one alone", one), ("one of two", two[0]), ("the other", two[1])]:
        promises.measured(
            f"{name}, {what}: prepared weights + plain ones + the rest",
            " + ".join(map(mebibytes, (memory.prepared, memory.plain, memory.rest))),
        )
    left = first.weights - one.weights
    promises.promised(f"{name}: what preparing left behind", mebibytes(left), f"<= {arguments.margin:g} MiB", left <= arguments.margin * (1 << 20))
    alone, both = one.weights, sum(memory.weights for memory in two)
    promises.promised(f"{name}: two workers' weights", mebibytes(both), f"<= {mebibytes(alone)} + 1 MiB, one's", both <= alone + (1 << 20))
    added = sum(memory.all for memory in two) - one.all
    most = one.private + arguments.margin * (1 << 20)
    promises.promised(
        f"{name}: what the second worker adds", mebibytes(added), f"<= {mebibytes(one.private)} + {arguments.margin:g} MiB, one's own room", added <= most
    )


def measure_start(promises, arguments):
    """From the daemon's assignment of a whole small clip to a warm worker until that begins to invert."""
    service = Service(arguments, ["--workers", 1])
    service.start()
    clip = (CLIPS / "00-color.mp4").read_bytes()
    starts, stages = [], []
    with service.client() as client:
        for number in range(arguments.starts + 1):
            settings = {"prompt": "a photo of a blue ball", "seed": number, "steps": 2}
            job = client.ask("submit", clip, name=f"start-{number}.mp4", settings=settings)["job"]["id"]
            seen = None
            while seen is None:
                # Events of mere progress may come a tenth of a second late: asking is quicker.
                for worker in client.ask("workers")["workers"]:
                    if worker.get("job") == job and worker.get("progress", {}).get("stage") in STAGES[3:]:
                        seen = time.time()
                time.sleep(0.001)
            ended = client.wait(job)
            result = json.loads(client.fetch(job, "result.json"))
            if ended["state"] != "done" or result["figures"]["inversion_reused"]:
                raise SystemExit(f"the job did not go its whole way: {result}")
            # The first one had to load the model.
            if number > 0:
                starts.append(seen - moment(ended["started"]))
                stages.append(result["figures"]["seconds"])
            time.sleep(0.2)
    service.stop()
    promises.measured(f"a warm worker's start, from the job to the first step, median of {len(starts)}", milliseconds(median(starts)))
    for stage in STAGES[1:3]:
        promises.measured(f"of that, {stage}", milliseconds(median([seconds[stage] for seconds in stages])))


def main():
    options = parser(__doc__)
    options.add_argument("--model", type=pathlib.Path, help="the folder of a further model, which may be large")
    options.add_argument("--margin", type=float, default=16, help="MiB that a worker may take beyond what is promised, for the looks show some moments only")
    options.add_argument("--starts", type=int, default=9, help="how often the way to the first step is measured")
    arguments = options.parse_args()
    promises = Promises("shared weights")
    models = [Model(REPOSITORY / "Models/tiny-world", {"steps": 12, "size": "128x128"}, 0.02)]
    if arguments.model:
        models.append(Model(arguments.model.resolve(), {"steps": 3, "frames": 2, "size": "256x256"}, 0.2))
    for model in models:
        prove(promises, arguments, model)
    say("how long a warm worker takes to its first step")
    measure_start(promises, arguments)
    promises.settle()


if __name__ == "__main__":
    main()
