#!/usr/bin/env python3
"""Checks the order of writes, syncs and renames under strace: what gets a name is synced before, and the name is before anybody relies on
it. With --full-disk (as root) it instead fills a small disk, and checks that nothing is lost and all goes on once there is room."""

import atexit
import os
import shutil
import subprocess
import sys
import time

from client import NoAnswer, Refusal
from promises import Promises, say
from service import CLIPS, Service, descendants, kill, parser
from disk import Disk, strace

SETTINGS = {"prompt": "a photo of a blue ball", "steps": 6, "frames": 8, "size": "64x64"}


def traced(arguments):
    if shutil.which("strace") is None:
        raise SystemExit("strace is missing: install the package strace")
    # The trace must lie elsewhere than the root, which the service makes.
    service = Service(arguments, ["--workers", 1, "--threads", 1, "--checkpoint-interval", 0.2])
    output = service.base / "trace"
    service.command = [*strace(output), *service.command]
    service.start(120)
    clip = (CLIPS / "00-color.mp4").read_bytes()
    with service.client() as client:
        # Apart from the editing, so that each commit belongs to the names before it.
        client.ask("pause", seconds=60)
        say("a clip in the frame of a request, several at once, one in chunks, one staged, one in the inbox")
        client.ask("submit", clip, seconds=60, name="frame.mp4", settings=SETTINGS, key="a")
        for number in [client.send("submit", clip, name=f"together-{n}.mp4", settings=SETTINGS | {"frames": 1}) for n in range(5)]:
            client.answer(number, 60)
        client.upload("chunks.mp4", clip, SETTINGS | {"prompt": "a photo of a cube"}, seconds=60, chunk=5000, key="b")
        service.drop(".staged.mp4.part", clip)
        client.ask("submit", seconds=60, name="staged.mp4", settings=SETTINGS, staged=".staged.mp4.part", key="c")
        service.drop("dropped.mp4", clip)
        service.drop("dropped.yaml", "".join(f"{key}: {value}\n" for key, value in SETTINGS.items()))
        service.drop("bad.mp4", b"no clip")
        service.drop("bad.yaml", "prompt: x\n")
        deadline = time.monotonic() + 60
        while len(client.jobs()) < 10 and time.monotonic() < deadline:
            time.sleep(0.2)
        client.ask("resume", seconds=60)
        states = {job["name"]: client.wait(job["id"], 300)["state"] for job in client.jobs()}
        say("one of them again")
        if states.get("bad") == "failed":
            bad = next(job["id"] for job in client.jobs() if job["name"] == "bad")
            retried = client.ask("retry", seconds=60, job=bad)["job"]["id"]
            client.wait(retried, 60)
    # strace is the child that was started, and the daemon is its.
    for process in descendants(service.pid)[:1]:
        kill(process, 15)
    service.process.wait(60)
    with open(output, errors="replace", encoding="latin-1") as file:
        lines = file.readlines()
    disk = Disk(service.root, lines)
    disk.run()

    promises = Promises("durability")
    promises.measured("lines of the trace", len(lines))
    for what, count in disk.counts.items():
        promises.promised(f"{what} that were judged", count, "> 0", count > 0)
    names = ["frame", "chunks", "staged", "dropped", "bad", *(f"together-{n}" for n in range(5))]
    expected = {name: "failed" if name == "bad" else "done" for name in names}
    kept = sum(states.get(name) == state for name, state in expected.items())
    promises.promised("jobs that ended as they must", kept, len(expected), states == expected)
    promises.nothing_of("names given or relied on too early", disk.violations)
    promises.settle()


def free(folder):
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def fill(path, leaving):
    """Writes until only so many bytes are free."""
    with open(path, "ab", buffering=0) as file:
        while (room := free(path.parent) - leaving) > 0:
            try:
                file.write(bytes(min(room, 1 << 20)))
            except OSError:
                return


def refusal(client, clip):
    try:
        client.ask("submit", clip, name="refused.mp4", settings=SETTINGS, seconds=20)
        return "accepted"
    except Refusal as refused:
        return refused.limit or refused.code
    except NoAnswer:
        return "no answer"


def full_disk(arguments):
    if os.geteuid() != 0:
        raise SystemExit("--full-disk mounts a small disk: run it as root")
    service = Service(arguments, ["--workers", 1, "--threads", 1, "--checkpoint-interval", 0.5])
    service.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(service.root)], check=True)

    def unmount():
        for process in descendants():
            kill(process)
        subprocess.run(["umount", "--lazy", str(service.root)])

    atexit.register(unmount)
    service.start()
    promises = Promises("durability on a full disk")
    clip = (CLIPS / "00-color.mp4").read_bytes()
    filler = service.root / "filler"
    settings = {"prompt": "a photo of a blue ball", "steps": 60, "size": "64x64"}
    with service.client() as client:
        job = client.ask("submit", clip, name="long.mp4", settings=settings)["job"]["id"]
        while client.ask("status", job=job)["job"].get("progress", {}).get("stage") not in ("invert", "edit"):
            time.sleep(0.05)
        say("less than the reserve is free")
        fill(filler, 32 << 20)
        answer = refusal(client, clip)
        promises.promised("a submission then", answer, "spool_reserve", answer == "spool_reserve")
        service.drop("waits.mp4", clip)
        service.drop("waits.yaml", "prompt: a photo of a cube\nsteps: 2\nframes: 2\nsize: 64x64\n")
        say("nothing is free")
        fill(filler, 0)
        answer = refusal(client, clip)
        promises.promised("a submission then", answer, "refused", answer in ("spool_reserve", "unavailable"))
        time.sleep(6)
        found = client.ask("status", job=job)["job"]
        promises.promised("the running job meanwhile", found["state"], "running or queued", found["state"] in ("running", "queued"))
        waiting = [other["name"] for other in client.jobs() if other["name"] == "waits"]
        promises.nothing_of("clips that were taken from the inbox meanwhile", waiting)
        filler.unlink()
        say("there is room again")
        state = client.wait(job, 300)["state"]
        promises.promised("the job that ran", state, "done", state == "done")
        again = client.ask("submit", clip, name="again.mp4", settings=settings)["job"]["id"]
        state = client.wait(again, 300)["state"]
        promises.promised("a submission then", state, "done", state == "done")
        outbox = service.root / "outbox"
        same = (outbox / "long/edited.mp4").read_bytes() == (outbox / "again/edited.mp4").read_bytes()
        promises.promised("the same bits as one with room", same, True, same)
        deadline = time.monotonic() + 60
        while "waits" not in service.outbox() and time.monotonic() < deadline:
            time.sleep(0.2)
        promises.promised("the clip that waited in the inbox", "waits" in service.outbox(), True, "waits" in service.outbox())
    status = service.stop()
    promises.promised("exit status on SIGTERM", status, 0, status == 0)
    promises.settle()


def main():
    options = parser(__doc__)
    options.add_argument("--full-disk", action="store_true")
    arguments = options.parse_args()
    (full_disk if arguments.full_disk else traced)(arguments)


if __name__ == "__main__":
    main()
