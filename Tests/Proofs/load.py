#!/usr/bin/env python3
"""Fills the queue from one client that does not wait for answers, while another one measures how quickly it is answered; then restarts
the daemon, in peace and by SIGKILL, and checks that every job is there and in order. Nothing is edited: the daemon is paused."""

import multiprocessing
import os
import signal
import time

from client import Client, Refusal
from promises import Promises, mebibytes, median, milliseconds, say
from service import Service, parser

SETTINGS = {"prompt": "a photo of a blue ball on sand", "steps": 8}


def watch_latencies(control, stop, results):
    """Asks for status and list in turns until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    latencies = {"status": [], "list": []}
    with Client(control) as client:
        while not stop.is_set():
            for request, fields in (("status", {}), ("list", {"limit": 100})):
                begun = time.monotonic()
                client.ask(request, seconds=60, **fields)
                latencies[request].append(time.monotonic() - begun)
            time.sleep(0.02)
    results.put(latencies)


def submit(service, count, window, clip_bytes):
    """Submits with at most `window` requests unanswered; (ids in order of the requests, seconds, errors)."""
    ids, errors, under_way = [None] * count, [], {}
    with service.client(queue=0) as client:
        begun = time.monotonic()
        sent = 0
        while sent < count or under_way:
            while sent < count and len(under_way) < window:
                clip = os.urandom(16) * (clip_bytes // 16)
                number = client.send("submit", clip, name=f"clip-{sent:05}.mp4", settings=SETTINGS, key=f"load-{sent}")
                under_way[number] = sent
                sent += 1
            received = client.receive(60)
            if received is None:
                errors.append(f"{len(under_way)} requests were not answered within 60 s")
                break
            answer = received[0]
            place = under_way.pop(answer.get("id"), None)
            if answer["type"] == "job":
                ids[place] = answer["job"]["id"]
            else:
                errors.append(f"request {place}: {answer}")
        seconds = time.monotonic() - begun
    return ids, seconds, errors


def check_restart(promises, service, how, ids, most_seconds):
    seconds = service.start(120)
    promises.promised(f"answers after {how} and a restart", f"{seconds:.2f} s", f"< {most_seconds:g} s", seconds < most_seconds)
    with service.client() as client:
        listed = [job["id"] for job in client.jobs(states=["queued"])]
    missing = len(set(ids) - set(listed))
    promises.promised(
        f"jobs in order after {how}", f"{len(listed)}, {missing} missing", f"{len(ids)} as accepted", listed == ids
    )


def main():
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--window", type=int, default=1000, help="requests that wait for their answer")
    options.add_argument("--clip-bytes", type=int, default=4096)
    options.add_argument("--rate", type=float, default=500, help="promised: accepted jobs per second")
    options.add_argument("--memory", type=float, default=200, help="promised: MiB of the daemon")
    options.add_argument("--latency", type=float, default=50, help="promised: median milliseconds of an answer meanwhile")
    options.add_argument("--restart", type=float, default=2, help="promised: seconds until it answers again")
    arguments = options.parse_args()

    service = Service(arguments, ["--workers", 1])
    service.start()
    with service.client() as client:
        client.ask("pause")
    memory_before = service.memory()

    processes = multiprocessing.get_context("spawn")
    stop, results = processes.Event(), processes.Queue()
    observer = processes.Process(target=watch_latencies, args=(service.control, stop, results), daemon=True)
    observer.start()
    time.sleep(1)
    say(f"{arguments.jobs} jobs are submitted")
    ids, seconds, errors = submit(service, arguments.jobs, arguments.window, arguments.clip_bytes)
    memory, most_memory = service.memory(), service.memory("VmHWM")
    stop.set()
    latencies = results.get(timeout=120)
    observer.join()

    promises = Promises("load")
    promises.nothing_of("submissions that were not accepted", errors)
    rate = arguments.jobs / seconds
    promises.promised("accepted", f"{rate:.0f}/s", f">= {arguments.rate:g}/s", rate >= arguments.rate)
    promises.measured("daemon's memory before and after", f"{mebibytes(memory_before)}, {mebibytes(memory)}")
    promises.promised(
        "at its most", mebibytes(most_memory), f"< {arguments.memory:g} MiB", most_memory < arguments.memory * (1 << 20)
    )
    for request, values in latencies.items():
        promises.promised(
            f"answer to {request} meanwhile, median",
            milliseconds(median(values)),
            f"<= {arguments.latency:g} ms",
            median(values) * 1000 <= arguments.latency,
        )
        promises.measured("at its longest", f"{milliseconds(max(values))} of {len(values)}")
    promises.promised("ids sort in the order of the requests", ids == sorted(ids, key=str), "yes", ids == sorted(ids, key=str))

    say("SIGTERM, and again")
    begun = time.monotonic()
    status = service.stop()
    promises.promised("exit status on SIGTERM", status, "0", status == 0)
    promises.measured("stopped after", f"{time.monotonic() - begun:.2f} s")
    check_restart(promises, service, "SIGTERM", ids, arguments.restart)
    say("SIGKILL, and again")
    service.kill()
    check_restart(promises, service, "SIGKILL", ids, arguments.restart)
    with service.client() as client:
        mode = client.ask("status")["mode"]
    promises.promised("mode after the restarts", mode, "paused", mode == "paused")
    service.stop()
    promises.settle()


if __name__ == "__main__":
    main()
