#!/usr/bin/env python3
"""A thousand workers, simulated by one process: each takes a job, says every second that it lives, and twice a second how far it is.
Measures what the daemon's processor time comes to; then some fall silent, and exactly these must be taken for dead."""

import collections
import json
import re
import resource
import time

import zmq

from client import dealer, message
from load import submit
from promises import Promises, mebibytes, say
from service import Service, parser


class Simulated:
    """A worker's part of the protocol, without the work."""

    def __init__(self, endpoint, name):
        self.name = name
        self.socket = dealer(endpoint, identity=name.encode())
        self.job = None
        self.step = 0
        self.ticks = 0
        self.introduced = 0
        self.introduce()

    def introduce(self):
        self.introduced += 1
        self.socket.send_multipart(message("ready", pid=1 << 22, threads=1, spool=True))

    def listen(self):
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            told = json.loads(frames[1])
            if told["type"] == "run":
                self.job = told["job"]
            elif told["type"] == "cancel":
                self.socket.send_multipart(message("cancelled", job=told["job"]))
                self.job = None
            elif told["type"] == "introduce":
                self.introduce()

    def tick(self):
        """Half a second of its life."""
        self.listen()
        self.ticks += 1
        if self.ticks % 2:
            self.socket.send_multipart(message("heartbeat", job=self.job))
        if self.job:
            self.step = (self.step + 1) % 1000
            progress = {"stage": "invert", "step": self.step, "steps": 1000, "frames": 16, "seconds_left": 80.5}
            self.socket.send_multipart(message("progress", job=self.job, progress=progress))


class Crowd:
    """Lets all of them live, each half-second spread over its length."""

    def __init__(self, workers):
        self.workers = workers
        self.silent = set()
        self.longest_gap = 0
        self.next = time.monotonic()

    def live(self, seconds):
        end = time.monotonic() + seconds
        slices = 25
        while time.monotonic() < end:
            for first in range(slices):
                for worker in self.workers[first::slices]:
                    if worker.name not in self.silent:
                        worker.tick()
                self.next += 0.5 / slices
                late = time.monotonic() - self.next
                self.longest_gap = max(self.longest_gap, late)
                if late < 0:
                    time.sleep(-late)
                elif late > 0.5:
                    self.next = time.monotonic()


def deaths(log):
    """The names of workers that the log says were taken for dead for their silence."""
    return collections.Counter(
        name for line in log.splitlines() if "silent" in line for name in re.findall(r"\bsim-\d{4}\b", line)[:1]
    )


def main():
    options = parser(__doc__)
    options.add_argument("--workers", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=60, help="how long they live before some fall silent")
    options.add_argument("--silent", type=int, default=50, help="how many fall silent")
    options.add_argument("--processors", type=float, default=0.5, help="promised: the daemon's share of processors")
    arguments = options.parse_args()

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * arguments.workers + 256
    if most != resource.RLIM_INFINITY and most < needed:
        raise SystemExit(f"{arguments.workers} sockets need {needed} descriptors, and this system gives {most}: take fewer --workers")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if most == resource.RLIM_INFINITY else most, most))
    zmq.Context.instance().set(zmq.MAX_SOCKETS, arguments.workers + 64)

    service = Service(arguments, ["--workers", 0])
    service.start()
    say(f"{arguments.workers} jobs are queued")
    ids, _, errors = submit(service, arguments.workers, 500, 1024)
    crowd = Crowd([Simulated(service.workers, f"sim-{number:04}") for number in range(arguments.workers)])
    begun = time.monotonic()
    while any(worker.job is None for worker in crowd.workers) and time.monotonic() - begun < 60:
        crowd.live(0.5)
    say(f"all of them work after {time.monotonic() - begun:.1f} s")
    crowd.live(2)

    promises = Promises("workers")
    promises.nothing_of("submissions that were not accepted", errors)
    jobs = collections.Counter(worker.job for worker in crowd.workers)
    promises.promised("workers with a job of their own", len(set(jobs) - {None}), arguments.workers, len(set(jobs) - {None}) == arguments.workers)

    crowd.longest_gap = 0
    taken, begun = service.processor_seconds(), time.monotonic()
    crowd.live(arguments.seconds)
    share = (service.processor_seconds() - taken) / (time.monotonic() - begun)
    promises.promised("the daemon's processors", f"{share:.2f}", f"< {arguments.processors:g}", share < arguments.processors)
    promises.measured("the daemon's memory", mebibytes(service.memory()))
    promises.measured("longest delay of the simulation itself", f"{crowd.longest_gap:.2f} s")
    false_deaths = deaths(service.log())
    promises.nothing_of("false deaths", sorted(false_deaths))
    promises.nothing_of("workers that were asked to introduce themselves again", [w.name for w in crowd.workers if w.introduced > 1])

    silent = {worker.name for worker in crowd.workers[:: max(1, arguments.workers // max(1, arguments.silent))][: arguments.silent]}
    say(f"{len(silent)} fall silent")
    crowd.silent = silent
    lost_jobs = {worker.job for worker in crowd.workers if worker.name in silent}
    crowd.live(16)
    dead = set(deaths(service.log())) - set(false_deaths)
    promises.promised("silent workers taken for dead", len(dead & silent), len(silent), dead >= silent)
    promises.nothing_of("others taken for dead", sorted(dead - silent))
    with service.client() as client:
        client.send("workers")
        crowd.live(0.5)
        present = {worker["name"] for worker in client.receive(30)[0]["workers"]}
        queued = {job["id"] for job in client.jobs(states=["queued"])}
    promises.promised("workers that are left", len(present), arguments.workers - len(silent), present == {w.name for w in crowd.workers} - silent)
    promises.promised("jobs of the dead that are queued again", len(queued & lost_jobs), len(lost_jobs), queued == lost_jobs)
    service.kill()
    promises.settle()


if __name__ == "__main__":
    main()
