#!/usr/bin/env python3
"""Sends malformed messages and broken connections of every kind to both local sockets, while a good client goes on asking, and checks
that the daemon answers it right, stays alive, and neither grows nor fills its log."""

import json
import multiprocessing
import random
import signal
import socket
import time

import zmq

from client import PROTOCOL, Client, dealer, message
from promises import Promises, mebibytes, median, milliseconds, say
from service import CLIPS, Service, parser

FRAME = 1 << 20
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)

# Nothing here may change a job, should the daemon find it valid: so no cancel, retry, pause, resume or drain without a fault.
REQUESTS = ["submit", "chunk", "abandon", "status", "list", "cancel", "retry", "watch", "unwatch", "files", "fetch", "workers", "stats", "config"]
REPORTS = ["ready", "heartbeat", "progress", "checkpoint", "log", "done", "failed", "cancelled", "get", "put"]
FIELDS = ["id", "job", "name", "key", "settings", "priority", "bytes", "path", "staged", "upload", "offset", "length", "file", "states",
          "limit", "order", "after", "before", "client", "pid", "threads", "spool", "progress", "figures", "error", "message", "level"]  # fmt: skip
ODD = [None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, "", "x", "\0", "\n\x1b[2J", "../../etc/passwd",
       "/etc/passwd", "é" * 100, "\U0001f600", "a" * 300, [], {}, [[]], {"": {}}, [None] * 50, {"a": [1, {"b": None}]}]  # fmt: skip


class Attacker:
    """Makes malformed messages; the same ones for the same seed."""

    def __init__(self, seed, types, jobs):
        self.random, self.types, self.jobs = random.Random(seed), types, jobs
        self.kinds = [
            self.random_bytes, self.frame_count, self.wrong_types, self.wrong_types, self.huge_numbers, self.truncated, self.duplicated,
            self.unknown, self.not_an_object, self.wrong_version, self.bad_text, self.foreign_job, self.replayed, self.path_traversal,
        ]  # fmt: skip
        self.rare = [self.deep, self.oversized, self.many_fields, self.long_text]

    def next(self):
        # Those that cost megabytes are rarer, as they would be for somebody who wants to send many.
        return self.random.choice(self.rare if self.random.random() < 0.005 else self.kinds)()

    def type(self):
        return self.random.choice(self.types)

    def random_bytes(self):
        return [self.random.randbytes(self.random.choice([0, 1, 7, 40, 1000])) for _ in range(self.random.randint(1, 3))]

    def frame_count(self):
        return [self.random.choice([PROTOCOL, b"", b"{}", b'{"type":"status"}']) for _ in range(self.random.randint(1, 50))]

    def fields(self):
        return {name: self.random.choice(ODD) for name in self.random.sample(FIELDS, self.random.randint(1, 8))}

    def wrong_types(self):
        # A name with a slash is no plain name: should all else be valid, a submission is refused for that.
        fields = self.fields() | {"name": self.random.choice(["a/b.mp4", 7, None, ""])}
        frames = [PROTOCOL, json.dumps({"type": self.type(), **fields}).encode()]
        return frames + ([self.random.randbytes(20)] if self.random.random() < 0.3 else [])

    def huge_numbers(self):
        number = self.random.choice(["1e999", "-1e999", "9" * 400, "-" + "9" * 30, "18446744073709551616", "NaN", "Infinity", "0x10", "01", "1e-999"])
        field = self.random.choice(["priority", "bytes", "offset", "length", "limit", "pid", "threads", "id", "job"])
        return [PROTOCOL, f'{{"type":"{self.type()}","name":"a/b","upload":"u","job":"j","file":"f","{field}":{number}}}'.encode()]

    def truncated(self):
        text = json.dumps({"type": self.type(), "name": "a/b", "settings": {"prompt": "x"}, "job": "x", "progress": {"stage": "edit"}}).encode()
        return [PROTOCOL, text[: self.random.randint(0, len(text) - 1)]]

    def duplicated(self):
        return [PROTOCOL, f'{{"type":"{self.type()}","type":"{self.type()}","job":"a","job":7,"id":"1","id":"2","name":"a/b"}}'.encode()]

    def unknown(self):
        return message(self.random.choice(["", "hello", "Status", "status ", "a" * 1000, "\0"]), id="x")

    def not_an_object(self):
        return [PROTOCOL, self.random.choice([b"", b"null", b"[]", b"7", b'"status"', b"\xef\xbb\xbf{}", b"{}", b"{}{}", b'{"type":7}', b'{"type":null}'])]

    def wrong_version(self):
        return [self.random.choice([b"stemd/2", b"stemd/", b"STEMD/1", b"stemd/1 ", b""]), b'{"type":"status"}']

    def bad_text(self):
        return [PROTOCOL, b'{"type":"' + self.type().encode() + b'","job":"\xff\xfe\xc0\x80","name":"\\ud800","id":"\\u0000"}']

    def foreign_job(self):
        job = self.random.choice([*self.jobs, "0000000000000", "x" * 5000, "../x"])
        if self.types is REPORTS:
            # Of a job that is queued, and so nobody's.
            return message(self.random.choice(REPORTS[1:]), self.random.choice([None, b"x"]), job=job, error="x", may_pass=False, figures={},
                           file="../../x", offset=0, bytes=1, level="error", message="x" * 500, progress={"stage": "edit", "step": 1, "steps": 2})  # fmt: skip
        return message(self.random.choice(["files", "fetch", "retry"]), job=job, file=self.random.choice(["edited.mp4", "../../../state/jobs.sqlite", ""]), offset=0, length=10)

    def replayed(self):
        if self.types is REPORTS:
            return message("heartbeat", job=None)
        return message(self.random.choice(["status", "list", "watch", "stats"]), id=self.random.choice(["1", "x" * 64, "x" * 65]), limit=1)

    def path_traversal(self):
        name = self.random.choice(["../x.mp4", "/etc/passwd", ".", "..", "a\0b.mp4", "a" * 300 + ".mp4", "\n"])
        if self.types is REPORTS:
            return message("put", b"x" * 100, job=name, file=name, offset=0, bytes=100)
        way = self.random.choice([{"path": name}, {"staged": name}, {"bytes": -1}, {"bytes": 1 << 60}])
        return message("submit", name="a/b", settings={"prompt": "x"}, **way)

    def deep(self):
        depth = self.random.choice([100, 10_000, 400_000])
        return [PROTOCOL, b'{"type":"' + self.type().encode() + b'","settings":' + self.random.choice([b"[", b'{"a":']) * depth]

    def oversized(self):
        size = self.random.choice([FRAME - 1, FRAME, FRAME + 1, 2 * FRAME - 1, 2 * FRAME, 2 * FRAME + 1])
        return [PROTOCOL, self.random.choice([b"x" * size, b'{"type":"status","id":"' + b"x" * (size - 25) + b'"}']), b""][: self.random.choice([2, 3])]

    def many_fields(self):
        return [PROTOCOL, json.dumps({"type": self.type(), "name": "a/b", **{f"field{n}": n for n in range(50_000)}}).encode()]

    def long_text(self):
        return message(self.type(), name="a/b", job="x" * 900_000, id="y" * 64)


def routing_id(random, number):
    return random.choice([None, None, b"\xff" + random.randbytes(10), b"\n[31m" + bytes([number % 255 + 1]), b"w" * 255, f"stranger-{number}".encode()])


def is_text(name):
    """Whether a routing id can be a worker's name."""
    try:
        return name is not None and name[0] != 0 and bool(name.decode())
    except UnicodeDecodeError:
        return False


def offer(peer, frames):
    """Whether the message could be sent at once."""
    try:
        peer.send_multipart(frames, zmq.NOBLOCK)
        return True
    except zmq.Again:
        return False


def is_answered(peer, is_worker):
    """Whether a connection still works, after all that came over it. What was sent just before it was cut may be lost: so asks more than once."""
    valid = message("heartbeat") if is_worker else message("status", id="valid")
    expected = (b'"introduce"', b'"heartbeat"') if is_worker else (b'"valid"',)
    for _ in range(5):
        offer(peer, valid)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if peer.poll(100) and any(text in peer.recv_multipart()[1] for text in expected):
                return True
    return False


def refusals(control):
    """What a client is told of each fault: (fault, code, the code that the protocol names)."""
    ask = {"type": "status", "id": "1"}
    text = json.dumps(ask).encode()
    cases = {
        "one frame": ([PROTOCOL], "malformed"),
        "four frames": ([PROTOCOL, text, b"", b""], "malformed"),
        "another protocol": ([b"stemd/2", text], "version"),
        "no JSON": ([PROTOCOL, b"{"], "malformed"),
        "no object": ([PROTOCOL, b"[]"], "malformed"),
        "no type": ([PROTOCOL, b"{}"], "malformed"),
        "an unknown type": (message("hello"), "unknown"),
        "an id of 65 bytes": (message("status", id="x" * 65), "malformed"),
        "an id that is no text": (message("status", id=7), "malformed"),
        "an unknown job": (message("status", job="0000000000000"), "not_found"),
        "an unknown upload": (message("chunk", b"x", upload="u", offset=0), "not_found"),
        "a job that is no text": (message("cancel", job=7), "malformed"),
        "a broken number": (message("list", limit=1.5), "malformed"),
        "a limit of 1001": (message("list", limit=1001), "malformed"),
        "an unknown setting": (message("submit", b"x", name="x.mp4", settings={"prompt": "x", "colour": 1}), "settings"),
        "no prompt": (message("submit", b"x", name="x.mp4", settings={}), "settings"),
        "a name with a slash": (message("submit", b"x", name="a/b.mp4", settings={"prompt": "x"}), "malformed"),
        "a submission without a clip": (message("submit", name="x.mp4", settings={"prompt": "x"}), "malformed"),
        "a clip of 2^60 bytes": (message("submit", name="x.mp4", settings={"prompt": "x"}, bytes=1 << 60), "limit"),
        "a path outside": (message("submit", name="x.mp4", settings={"prompt": "x"}, path="/etc/passwd"), "forbidden"),
        "a frame above the limit": ([PROTOCOL, text + b" " * FRAME], "limit"),
    }
    for fault, (frames, expected) in cases.items():
        with Client(control) as client:
            client.socket.send_multipart(frames)
            received = client.receive(5)
        yield fault, received[0].get("code", received[0]["type"]) if received else "no answer", expected


def attack(endpoint, attacker, count):
    """Sends `count` messages over many connections; how many of these took nothing any more, or had no answer to a valid message."""
    sent, stalled = 0, 0
    while sent < count:
        burst = min(count - sent, attacker.random.choice([10, 100, 500, 1000]))
        is_worker, name = attacker.types is REPORTS, routing_id(attacker.random, sent)
        peer = dealer(endpoint, identity=name, queue=1000)
        is_reading = attacker.random.random() < 0.7
        # What has no name that a worker may have gets no answer at all.
        has_answers = is_reading and (not is_worker or is_text(name))
        for _ in range(burst):
            frames = attacker.next()
            patience = time.monotonic() + 2
            while not (is_sent := offer(peer, frames)) and time.monotonic() < patience:
                peer.poll(20, zmq.POLLOUT)
            if not is_sent:
                stalled += 1
                break
            sent += 1
            while is_reading and peer.poll(0):
                peer.recv_multipart()
        if has_answers and is_sent and not is_answered(peer, is_worker):
            stalled += 1
        peer.close(linger=200)
    return stalled


def raw_connections(path, random, count):
    """Connections that speak no ZMTP, or stop in the middle of it; returns those that stay open."""
    held = []
    for number in range(count):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(2)
        try:
            peer.connect(path)
            what = number % 6
            if what == 0:
                peer.sendall(random.randbytes(random.choice([1, 64, 5000])))
            elif what == 1:
                peer.sendall(GREETING[: random.randint(1, len(GREETING) - 1)])
            elif what == 2:
                peer.sendall(GREETING + random.randbytes(200))
            elif what == 3:
                # A frame that promises exabytes.
                peer.sendall(GREETING + b"\x06" + b"\x7f" * 8 + b"x" * 100)
            elif what == 4:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            pass
        if number % 10 == 5 and len(held) < 200:
            held.append(peer)
        else:
            peer.close()
    return held


def good_client(control, jobs, stop, results):
    """Asks for what it knows the answer of; the latencies, and what was wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    latencies, wrong = [], []
    with Client(control) as client:
        while not stop.is_set():
            for job in jobs:
                begun = time.monotonic()
                try:
                    answer = client.ask("status", seconds=10, job=job)["job"]
                    if answer["id"] != job or answer["state"] != "queued":
                        wrong.append(f"job {job} is said to be {answer['id']}, {answer['state']}")
                except Exception as error:
                    wrong.append(f"status of {job}: {error!r}")
                latencies.append(time.monotonic() - begun)
                time.sleep(0.02)
    results.put((latencies, wrong))


def main():
    options = parser(__doc__)
    options.add_argument("--messages", type=int, default=100_000, help="for each of the two sockets")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--growth", type=float, default=20, help="promised: MiB that the daemon grows by after a first tenth of the messages")
    options.add_argument("--log", type=float, default=2, help="promised: MiB that the log grows by")
    arguments = options.parse_args()

    service = Service(arguments, ["--workers", 1])
    service.start()
    clip = (CLIPS / "00-color.mp4").read_bytes()
    settings = {"prompt": "a photo of a blue ball", "steps": 1, "frames": 1, "size": "64x64"}
    with service.client() as client:
        client.ask("pause")
        said = [f"{fault}: {code}, not {expected}" for fault, code, expected in refusals(service.control) if code != expected]
        jobs = [client.ask("submit", clip, name=f"good-{n}.mp4", settings=settings)["job"]["id"] for n in range(3)]

    processes = multiprocessing.get_context("spawn")
    stop, results = processes.Event(), processes.Queue()
    observer = processes.Process(target=good_client, args=(service.control, jobs, stop, results), daemon=True)
    observer.start()

    chance = random.Random(arguments.seed)
    control_attacker = Attacker(arguments.seed, REQUESTS, jobs)
    worker_attacker = Attacker(arguments.seed + 1, REPORTS, jobs)
    held, counts, stalled = [], [0, 0], 0
    memory, log_before = 0, 0
    begun = time.monotonic()
    for round in range(10):
        for place, (endpoint, attacker) in enumerate([(service.control, control_attacker), (service.workers, worker_attacker)]):
            stalled += attack(endpoint, attacker, arguments.messages // 10)
            counts[place] += arguments.messages // 10
            for peer in held:
                peer.close()
            held = raw_connections(endpoint.removeprefix("ipc://"), chance, max(60, arguments.messages // 200))
            if not service.is_running:
                break
        if not service.is_running:
            break
        if round == 0:
            # What a first round makes it set up, it keeps.
            time.sleep(2)
            memory, log_before = service.memory(), len(service.log())
        say(f"{sum(counts)} messages in {time.monotonic() - begun:.0f} s, the daemon has {mebibytes(service.memory())}")
    seconds = time.monotonic() - begun
    is_alive = service.is_running
    stop.set()
    latencies, wrong = results.get(timeout=60)
    observer.join()
    for peer in held:
        peer.close()

    promises = Promises("hostile")
    promises.measured("messages to the control and the worker socket", f"{counts[0]}, {counts[1]} in {seconds:.0f} s")
    promises.nothing_of("faults that were answered with another code", said)
    promises.promised("connections that work no more after it", stalled, "0", stalled == 0)
    promises.promised("the daemon", "lives" if is_alive else f"ended: {service.process.returncode}", "lives", is_alive)
    promises.promised("wrong or missing answers to the good client", len(wrong), f"0 of {len(latencies)}", not wrong)
    promises.details += wrong[:10]
    if not is_alive:
        promises.details.append(service.log()[-3000:])
        promises.settle()
    promises.measured("its answers, median and longest", f"{milliseconds(median(latencies))}, {milliseconds(max(latencies))}")
    time.sleep(2)
    growth = service.memory() - memory
    promises.promised("growth of the daemon", mebibytes(growth), f"< {arguments.growth:g} MiB", growth < arguments.growth * (1 << 20))
    log_growth = len(service.log()) - log_before
    promises.promised("growth of the log", mebibytes(log_growth), f"< {arguments.log:g} MiB", log_growth < arguments.log * (1 << 20))
    with service.client() as client:
        listed = [job["id"] for job in client.jobs()]
        mode = client.ask("status")["mode"]
        promises.promised("jobs in the store", len(listed), "the 3 good ones", listed == jobs)
        promises.promised("mode", mode, "paused", mode == "paused")
        # What called itself a worker is forgotten first: none of it shall get a good job.
        deadline = time.monotonic() + 30
        while len(client.ask("workers")["workers"]) > 1 and time.monotonic() < deadline:
            time.sleep(0.2)
        client.ask("resume")
        states = [client.wait(job, 120)["state"] for job in jobs]
    promises.promised("the good jobs, once it goes on", ", ".join(states), "done", states == ["done"] * 3)
    status = service.stop()
    promises.promised("exit status on SIGTERM", status, 0, status == 0)
    promises.settle()


if __name__ == "__main__":
    main()
