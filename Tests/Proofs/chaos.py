#!/usr/bin/env python3
"""Kills the daemon and its workers at random moments while jobs of all kinds come in, and checks that every job ends exactly once,
with the bits that it has when nothing is killed, and that a kill costs no more than the work since the last checkpoint."""

import collections
import datetime
import json
import pathlib
import random
import re
import shutil
import sqlite3
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field

from client import FINAL, NoAnswer, Refusal
from promises import Promises, say
from service import CLIPS, Service, kill, parser

PLACES = ("sand", "grass", "snow")
THINGS = ("ball", "cube", "cylinder", "cone")
COLOURS = ("red", "blue", "green", "purple", "yellow", "white")


@dataclass
class Plan:
    """A job to be, and what became of its submission."""

    name: str
    clip: str
    content: bytes
    settings: dict
    way: str
    """`inbox`, `frame` or `upload`"""
    is_bad: bool = False
    cancel_after: float | None = None
    key: str | None = None
    job: str | None = None
    was_cancelled: bool = False
    ids: set = field(default_factory=set)


def plans(random, count):
    """The same ones for the same seed."""
    clips = sorted(path for path in CLIPS.glob("*.mp4") if ".truth" not in path.name)
    made = []
    for number in range(count):
        size, least, most = random.choice([("128x128", 6, 14), ("96x96", 8, 24), ("128x96", 8, 20), ("64x64", 16, 40)])
        steps = random.randint(least, most)
        plan = Plan(
            name=f"clip-{number:03}",
            clip=f"clip-{number:03}.mp4",
            content=random.choice(clips).read_bytes(),
            settings={
                "prompt": f"a photo of a {random.choice(COLOURS)} {random.choice(THINGS)} on {random.choice(PLACES)}",
                "seed": random.randrange(1 << 32),
                "size": size,
                "steps": steps,
                "frames": random.choice([8, 12, 16]),
            },
            way=random.choice(["inbox", "frame", "upload"]),
        )
        if plan.way != "inbox":
            plan.key = f"order-{number}"
        if number % 13 == 6:
            plan.is_bad = True
            if plan.way == "inbox" and random.random() < 0.5:
                plan.settings["colour"] = "blue"
            else:
                plan.content = random.randbytes(5000)
        elif number % 9 == 4 and plan.way != "inbox":
            plan.cancel_after = random.uniform(0, 8)
        made.append(plan)
    return made


class Submitter(threading.Thread):
    """Hands jobs in, whatever happens to the daemon meanwhile, as a client would that wants each done exactly once."""

    def __init__(self, service, plans, random, is_cancelling):
        super().__init__(daemon=True)
        self.service, self.plans, self.random, self.is_cancelling = service, plans, random, is_cancelling
        self.allowed = 0
        self.submitted = 0
        self.repeats = 0
        self.problems = []
        self.changed = threading.Condition()

    def allow(self, count):
        """Lets it hand in so many jobs in all; whether these are more than before."""
        with self.changed:
            before, self.allowed = self.allowed, max(self.allowed, min(count, len(self.plans)))
            self.changed.notify()
            return self.allowed > before

    def run(self):
        cancellations = []
        while self.submitted < len(self.plans) or cancellations:
            with self.changed:
                if self.submitted >= self.allowed:
                    self.changed.wait(0.05)
            if self.submitted < self.allowed:
                plan = self.plans[self.submitted]
                self.submit(plan)
                if self.is_cancelling and plan.cancel_after is not None:
                    cancellations.append((time.monotonic() + plan.cancel_after, plan))
                self.submitted += 1
            for due, plan in [entry for entry in cancellations if entry[0] <= time.monotonic()]:
                self.cancel(plan)
                cancellations.remove((due, plan))

    def submit(self, plan):
        if plan.way == "inbox":
            return self.drop(plan)
        while True:
            try:
                with self.service.client() as client:
                    if plan.way == "frame":
                        job = client.ask(
                            "submit", plan.content, seconds=2, name=plan.clip, settings=plan.settings, key=plan.key
                        )["job"]
                    else:
                        job = client.upload(plan.clip, plan.content, plan.settings, seconds=2, chunk=4096, key=plan.key)
                plan.job = job["id"]
                plan.ids.add(job["id"])
                return
            except NoAnswer:
                self.repeats += 1
            except Refusal as refusal:
                # An upload that the daemon's death ended.
                if refusal.code not in ("not_found", "unavailable"):
                    self.problems.append(f"{plan.name}: refused: {refusal}")
                    return
                self.repeats += 1
                time.sleep(0.05)

    def drop(self, plan):
        inbox = self.service.root / "inbox"
        while not inbox.is_dir():
            time.sleep(0.01)
        if plan.name[-1] in "02468":
            sidecar = (plan.name + ".json", json.dumps(plan.settings))
        else:
            sidecar = (plan.name + ".yaml", "".join(f"{key}: {json.dumps(value)}\n" for key, value in plan.settings.items()))
        files = [(plan.clip, plan.content), (sidecar[0], sidecar[1].encode())]
        self.random.shuffle(files)
        for name, content in files:
            is_renamed = self.random.random() < 0.5
            path = inbox / (name + ".part" if is_renamed else name)
            with open(path, "wb") as file:
                for begin in range(0, len(content), 4096):
                    file.write(content[begin : begin + 4096])
                    file.flush()
                    time.sleep(self.random.uniform(0, 0.02))
            if is_renamed:
                path.rename(inbox / name)

    def cancel(self, plan):
        while True:
            try:
                with self.service.client() as client:
                    client.ask("cancel", seconds=2, job=plan.job)
                plan.was_cancelled = True
                return
            except NoAnswer:
                pass
            except Refusal as refusal:
                # An answer that was lost: the same request again finds it cancelled.
                if refusal.code != "state":
                    self.problems.append(f"{plan.name}: cannot be cancelled: {refusal}")
                return


def until_all_end(service, plans, seconds, notice_own_end=lambda: None):
    """Waits until all jobs are in the outbox; gives up when nothing changes for so long."""
    changed, last, jobs = time.monotonic(), None, []
    while True:
        notice_own_end()
        try:
            with service.client() as client:
                jobs = client.jobs()
            if len(jobs) >= len(plans) and all(job["state"] in FINAL and "outbox" in job for job in jobs):
                return jobs
            now = [(job["id"], job["state"], job.get("progress")) for job in jobs]
        except NoAnswer:
            now = last
        if now != last:
            changed, last = time.monotonic(), now
        if time.monotonic() - changed > seconds:
            return jobs
        time.sleep(0.2)


def reference(arguments, options, planned, folder):
    """Runs the jobs in peace; what each gave stays in `folder`, for this run and later ones."""
    known = folder / "reference.json"
    fingerprint = repr([(plan.name, plan.settings, zlib.crc32(plan.content)) for plan in planned])
    if known.exists() and json.loads(known.read_text())["plans"] == fingerprint:
        return folder
    say(f"an undisturbed run of {len(planned)} jobs")
    service = Service(arguments, options)
    service.start()
    submitter = Submitter(service, planned, random.Random(1), is_cancelling=False)
    submitter.allow(len(planned))
    submitter.start()
    begun = time.monotonic()
    submitter.join()
    until_all_end(service, planned, 120)
    service.stop()
    say(f"it took {time.monotonic() - begun:.0f} s")
    folder.mkdir(parents=True, exist_ok=True)
    for name in service.outbox():
        shutil.copytree(service.root / "outbox" / name, folder / name, dirs_exist_ok=True)
    known.write_text(json.dumps({"plans": fingerprint}))
    return folder


class Killer:
    """Kills, and remembers when and what."""

    def __init__(self, service, random):
        self.service, self.random = service, random
        self.kills = []
        """(time, what, workers' names or None for all, {job: time of its checkpoint})"""
        self.counts = collections.Counter()
        self.own_ends = []

    def notice_own_end(self):
        """Whether the daemon ended though nobody killed it; it is started again."""
        if self.service.is_running:
            return False
        said = self.service.log().strip().splitlines()
        self.own_ends.append(f"status {self.service.process.returncode}: {said[-1] if said else 'without a word'}")
        self.service.start(seconds=0)
        return True

    def strike(self, what):
        self.notice_own_end()
        workers = self.worker_pids()
        if what == "worker" and workers:
            name, pid, job = self.random.choice(workers)
            now, standing = time.time(), self.checkpoints()
            if kill(pid):
                self.kills.append((now, "worker", name, standing))
                self.counts["worker"] += 1
                self.counts["hit a job"] += job is not None
            return
        if what == "worker":
            what = "daemon"
        now, standing = time.time(), self.checkpoints()
        if what == "both":
            order = [self.service.pid, *self.service.worker_pids()]
            self.random.shuffle(order)
            for pid in order:
                kill(pid)
        self.service.kill()
        self.kills.append((now, "daemon", None, standing))
        self.counts[what] += 1
        self.counts["hit a job"] += any(worker[2] for worker in workers)
        self.service.start(seconds=0)

    def worker_pids(self):
        try:
            with self.service.client() as client:
                workers = client.ask("workers", seconds=0.5)["workers"]
            return [(worker["name"], worker["pid"], worker.get("job")) for worker in workers]
        except (NoAnswer, Refusal):
            return []

    def checkpoints(self):
        found = {}
        for path in (self.service.root / "work").glob("*/checkpoint/manifest.json"):
            try:
                found[path.parts[-3]] = path.stat().st_mtime
            except OSError:
                pass
        return found


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


STAGES = ["load", "decode", "encode-latents", "invert", "reconstruct", "edit", "decode-latents", "encode", "measure"]


@dataclass
class Attempt:
    begun: float
    worker: str
    last: float
    """When it said its last line."""
    continues: tuple | None = None
    """(stage's number, step)"""
    reuses: bool = False


def position(stage, step):
    return STAGES.index(stage), int(step)


def attempts(log):
    """The attempts that a job.log tells of."""
    found = []
    for line in log.splitlines():
        parts = line.split(" ", 2)
        if len(parts) < 3:
            continue
        if given := re.match(r"given to (\S+), attempt", parts[2]):
            found.append(Attempt(moment(parts[0]), given[1], moment(parts[0])))
        elif found:
            found[-1].last = moment(parts[0])
            if place := re.match(r"continues at (\S+) (\d+)/", parts[2]):
                found[-1].continues = position(*place.groups())
            found[-1].reuses |= parts[2].startswith("reuses the inversion")
    return found


def redone(killer, job, log):
    """For each kill that ended one of the job's attempts: the seconds of work since the last checkpoint."""
    tries = attempts(log)
    for attempt, following in zip(tries, tries[1:]):
        blows = [
            blow
            for blow in killer.kills
            if attempt.begun <= blow[0] <= following.begun and blow[2] in (None, attempt.worker)
        ]
        if blows:
            when, _, _, standing = blows[0]
            yield max(0, when - max(attempt.begun, standing.get(job, 0)))


def steps_back(log):
    """Sentences on attempts that did not go on from what was kept before."""
    reached = None
    for attempt in attempts(log):
        if attempt.continues is not None:
            if reached is not None and attempt.continues < reached:
                yield f"continues at {STAGES[attempt.continues[0]]} {attempt.continues[1]} after {STAGES[reached[0]]} {reached[1]}"
            reached = attempt.continues
        elif reached is not None and not attempt.reuses and attempt.last - attempt.begun > 2:
            yield f"an attempt of {attempt.last - attempt.begun:.1f} s began anew after {STAGES[reached[0]]} {reached[1]}"


def same(a, b):
    return a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()


def check(promises, service, planned, jobs, killer, reference, arguments):
    outbox = service.root / "outbox"
    by_name = collections.defaultdict(list)
    for job in jobs:
        by_name[job["name"]].append(job)

    wrong = []
    for plan in planned:
        records = by_name.pop(plan.name, [])
        if len(records) != 1:
            wrong.append(f"{plan.name} has {len(records)} records")
        elif records[0]["state"] not in FINAL:
            wrong.append(f"{plan.name} is {records[0]['state']}")
        elif plan.ids - {records[0]["id"]}:
            wrong.append(f"{plan.name} was accepted as {plan.ids}, and is {records[0]['id']}")
    wrong += [f"nobody asked for {name}" for name in by_name]
    folders = service.outbox()
    wrong += [f"the outbox has {name}" for name in set(folders) - {plan.name for plan in planned}]
    wrong += [f"the outbox has no {name}" for name in {plan.name for plan in planned} - set(folders)]
    promises.nothing_of("jobs that did not end exactly once", sorted(wrong))

    states = collections.Counter(job["state"] for job in jobs)
    promises.measured("jobs", ", ".join(f"{count} {state}" for state, count in sorted(states.items())))

    wrong, compared = [], 0
    for plan in planned:
        try:
            result = json.loads((outbox / plan.name / "result.json").read_text())
            peaceful = json.loads((reference / plan.name / "result.json").read_text())
        except (OSError, ValueError) as error:
            wrong.append(f"{plan.name}: {error}")
            continue
        if result["state"] == "cancelled":
            if plan.cancel_after is None:
                wrong.append(f"{plan.name} was cancelled by nobody")
        elif result["state"] != peaceful["state"]:
            wrong.append(f"{plan.name} is {result['state']} ({result.get('error')}), not {peaceful['state']}")
        elif result["state"] == "done":
            compared += 1
            if not same(outbox / plan.name / "edited.mp4", reference / plan.name / "edited.mp4"):
                wrong.append(f"{plan.name}: edited.mp4 is another one")
        elif result.get("error") != peaceful.get("error"):
            wrong.append(f"{plan.name}: says {result.get('error')!r}, not {peaceful.get('error')!r}")
    promises.measured("edited clips that were compared", compared)
    promises.nothing_of("results that are not those of the undisturbed run", wrong)

    left = [str(path.relative_to(service.root)) for place in ("work", "inbox") for path in (service.root / place).iterdir()]
    promises.nothing_of("files left in work and inbox", left)
    store = sqlite3.connect(service.root / "state/jobs.sqlite")
    verdict = store.execute("PRAGMA integrity_check").fetchone()[0]
    store.close()
    promises.promised("PRAGMA integrity_check", verdict, "ok", verdict == "ok")

    losses, ignored = [], []
    said = []
    for job in jobs:
        try:
            log = (outbox / job["outbox"] / "job.log").read_text(errors="replace")
        except (KeyError, OSError):
            continue
        said += [float(s) for s in re.findall(r" died.*checkpoint ([0-9.]+) s ago", log)]
        losses += redone(killer, job["id"], log)
        ignored += [f"job {job['id']} ({job['name']}): {sentence}" for sentence in steps_back(log)]
    allowed = arguments.checkpoint_interval + arguments.slack
    promises.measured("attempts that a kill ended", len(losses))
    if losses:
        promises.measured("work redone for a kill, mean", f"{sum(losses) / len(losses):.2f} s")
        promises.promised("work redone for a kill, most", f"{max(losses):.2f} s", f"<= {allowed:g} s", max(losses) <= allowed)
    if said:
        promises.promised("the same by the daemon's own count, most", f"{max(said):.2f} s", f"<= {allowed:g} s", max(said) <= allowed)
    promises.nothing_of("checkpoints that were not used", ignored)


def main():
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--jobs", type=int, default=48)
    options.add_argument("--seed", type=int, default=1, help="the same one gives the same jobs, victims and waits")
    options.add_argument("--checkpoint-interval", type=float, default=1, help="stemd's; short, because the lives are short")
    options.add_argument("--slack", type=float, default=3, help="seconds that a step and the writing of a checkpoint may take")
    options.add_argument("--reference", type=pathlib.Path, help="keep the undisturbed run's results there, or take them from there")
    arguments = options.parse_args()

    daemon = ["--workers", 2, "--threads", 1, "--checkpoint-interval", arguments.checkpoint_interval]
    planned = plans(random.Random(arguments.seed), arguments.jobs)
    service = Service(arguments, daemon)
    kept = reference(arguments, daemon, plans(random.Random(arguments.seed), arguments.jobs), arguments.reference or service.base / "reference")

    chance = random.Random(arguments.seed + 1)
    submitter = Submitter(service, planned, random.Random(arguments.seed + 2), is_cancelling=True)
    killer = Killer(service, chance)
    service.start()
    submitter.start()
    begun = time.monotonic()
    for number in range(arguments.kills):
        # Jobs come in during the first four fifths, so that the kills find every stage of a job's life.
        wait = chance.uniform(0.05, 2)
        time.sleep(wait / 2)
        is_new = submitter.allow(2 + int(1.25 * number / arguments.kills * len(planned)))
        # Some blows come just when a job is handed in.
        time.sleep(chance.uniform(0, 0.05) if is_new and chance.random() < 0.7 else wait / 2)
        killer.strike(chance.choice(["daemon", "worker", "both"]))
        if number % 20 == 19:
            say(f"{number + 1} kills in {time.monotonic() - begun:.0f} s, {submitter.submitted} jobs submitted")
    submitter.allow(len(planned))
    while submitter.is_alive():
        submitter.join(1)
    say("no more kills: the rest may end in peace")
    jobs = until_all_end(service, planned, 120, killer.notice_own_end)

    promises = Promises("chaos")
    promises.measured("kills of the daemon, a worker, both", ", ".join(str(killer.counts[w]) for w in ("daemon", "worker", "both")))
    promises.measured("kills while a job ran", killer.counts["hit a job"])
    promises.measured("submissions that were repeated", submitter.repeats)
    repeated = []
    with service.client() as client:
        for plan in planned:
            if plan.key and plan.job:
                answer = client.ask("submit", b"x", name=plan.clip, settings=plan.settings, key=plan.key)
                if answer["job"]["id"] != plan.job or answer.get("known") is not True:
                    repeated.append(f"key {plan.key} made {answer['job']['id']} after {plan.job}")
    promises.nothing_of("times that the daemon ended by itself", killer.own_ends)
    promises.nothing_of("keys that made a second job", repeated)
    promises.nothing_of("requests that were wrongly refused", submitter.problems)
    status = service.stop()
    promises.promised("the daemon's exit status on SIGTERM", status, "0", status == 0)
    check(promises, service, planned, jobs, killer, kept, arguments)
    promises.settle()


if __name__ == "__main__":
    main()
