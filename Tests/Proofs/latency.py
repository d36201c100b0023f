#!/usr/bin/env python3
"""How long an idle daemon with a warm worker takes from the close of the second file of a pair in the inbox until the worker begins to
decode the clip."""

import time

from chaos import moment
from promises import Promises, median, milliseconds, say
from service import CLIPS, Service, parser

STAGES = ["load", "decode", "encode-latents", "invert", "reconstruct", "edit", "decode-latents", "encode", "measure", "present"]


def drop(service, name, clip, sidecar_last):
    """Writes a pair; when the last of the two was closed."""
    files = [(name + ".mp4", clip), (name + ".yaml", "prompt: a photo of a blue ball\nsteps: 1\nframes: 1\nsize: 64x64\n")]
    for file, content in files if sidecar_last else reversed(files):
        service.drop(file, content)
    return time.time()


def first_decoding(client, name, seconds=60):
    """Asks again and again what the worker does; when it first was found decoding this job's clip, or past that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # Events of mere progress may come a tenth of a second late: asking is quicker.
        for worker in client.ask("workers")["workers"]:
            if worker.get("job") and worker.get("progress", {}).get("stage") in STAGES[1:]:
                return time.time()
        time.sleep(0.001)
    raise SystemExit(f"nobody works on {name} within {seconds} s")


def main():
    options = parser(__doc__)
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--target", type=float, default=100, help="promised: median milliseconds")
    arguments = options.parse_args()
    clip = (CLIPS / "00-color.mp4").read_bytes()

    service = Service(arguments, ["--workers", 1])
    service.start()
    to_decoding, to_start = [], []
    with service.client() as client:
        for number in range(arguments.pairs + 1):
            name = f"pair-{number}"
            closed = drop(service, name, clip, sidecar_last=number % 2 == 0)
            seen = first_decoding(client, name)
            job = client.wait(client.ask("list", limit=1)["jobs"][0]["id"])
            if job["name"] != name or job["state"] != "done":
                raise SystemExit(f"{job['name']} is {job['state']}: {job.get('error')}")
            if number == 0:
                say("the worker is warm")
                continue
            to_decoding.append(seen - closed)
            to_start.append(moment(job["started"]) - closed)
            # So that the next one finds everything at rest.
            time.sleep(0.2)

    promises = Promises("latency")
    promises.measured("pairs", len(to_decoding))
    promises.measured("close to assignment, median", milliseconds(median(to_start)))
    value = median(to_decoding)
    kept = value * 1000 < arguments.target
    promises.promised("close to decoding, median", milliseconds(value), f"< {arguments.target:g} ms", kept)
    promises.measured("at its longest", milliseconds(max(to_decoding)))
    service.stop()
    promises.settle()


if __name__ == "__main__":
    main()
