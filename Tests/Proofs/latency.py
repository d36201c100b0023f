#!/usr/bin/env python3
"""How long an idle daemon with a warm worker takes from the close of the second file of a pair in the inbox until the worker begins to
decode the clip, by the clock of the job's own log and events."""

import re
import time

from chaos import moment
from promises import Promises, median, milliseconds, say
from service import CLIPS, Service, parser

STAGES = ["load", "decode", "encode-latents", "invert", "reconstruct", "edit", "decode-latents", "encode", "measure"]


def drop(service, name, clip, sidecar_last):
    """Writes a pair; when the last of the two was closed."""
    files = [(name + ".mp4", clip), (name + ".yaml", "prompt: a photo of a blue ball\nsteps: 1\nframes: 1\nsize: 64x64\n")]
    for file, content in files if sidecar_last else reversed(files):
        service.drop(file, content)
    return time.time()


def first_decoding(client, name, seconds=60):
    """When the first event told that the job of this name decodes, or was past that; and the job once it is final."""
    seen = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        received = client.receive(1)
        now = time.time()
        if received is None or received[0]["type"] != "event" or received[0]["job"]["name"] != name:
            continue
        job = received[0]["job"]
        stage = job.get("progress", {}).get("stage")
        if seen is None and stage in STAGES[1:]:
            seen = now
        if job["state"] in ("done", "failed", "cancelled"):
            return seen or now, job
    raise SystemExit(f"{name} does not end:")


def main():
    options = parser(__doc__)
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--target", type=float, default=100, help="promised: median milliseconds")
    arguments = options.parse_args()
    clip = (CLIPS / "00-color.mp4").read_bytes()

    service = Service(arguments, ["--workers", 1])
    service.start()
    to_event, to_start, to_log = [], [], []
    with service.client() as client:
        for number in range(arguments.pairs + 1):
            name = f"pair-{number}"
            client.send("watch")
            closed = drop(service, name, clip, sidecar_last=number % 2 == 0)
            seen, job = first_decoding(client, name)
            if job["state"] != "done":
                raise SystemExit(f"{name} is {job['state']}: {job.get('error')}")
            client.wait(job["id"])
            if number == 0:
                say("the worker is warm")
                continue
            to_event.append(seen - closed)
            to_start.append(moment(job["started"]) - closed)
            log = (service.root / "outbox" / name / "job.log").read_text()
            if line := re.search(r"^(\S+) \S+ .*\bdecod", log, re.MULTILINE):
                to_log.append(moment(line[1]) - closed)
            # So that the next one finds everything at rest.
            time.sleep(0.1)

    promises = Promises("latency")
    promises.measured("pairs", len(to_event))
    promises.measured("close to assignment, median", milliseconds(median(to_start)))
    if to_log:
        promises.measured("close to the log's line of decoding, median", milliseconds(median(to_log)))
    target = f"< {arguments.target:g} ms"
    value = median(to_event)
    promises.promised("close to the event that it decodes, median", milliseconds(value), target, value * 1000 < arguments.target)
    promises.measured("at its longest", milliseconds(max(to_event)))
    service.stop()
    promises.settle()


if __name__ == "__main__":
    main()
