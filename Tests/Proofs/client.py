"""A client of stemd, written from Docs/protocol.md."""

import collections
import itertools
import json
import os
import time

import zmq

PROTOCOL = b"stemd/1"
FINAL = ("done", "failed", "cancelled")


class NoAnswer(Exception):
    """The daemon did not answer in time; it may be gone."""


class Refusal(Exception):
    """The daemon answered with an error."""

    def __init__(self, answer):
        super().__init__(f"{answer.get('code')}: {answer.get('message')}")
        self.code = answer.get("code")
        self.limit = answer.get("limit")
        self.answer = answer


def message(type, content=None, **fields):
    """A message's frames; fields that are None are left out."""
    fields = {name: value for name, value in fields.items() if value is not None}
    frames = [PROTOCOL, json.dumps({"type": type, **fields}).encode()]
    return frames if content is None else [*frames, content]


def dealer(endpoint, identity=None, queue=1000, server_key=None, secret_key=None):
    """A DEALER socket; keys as texts of 40 characters."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = queue
    socket.reconnect_ivl = 20
    if identity is not None:
        socket.routing_id = identity
    if secret_key:
        socket.curve_serverkey = server_key.encode()
        socket.curve_secretkey = secret_key.encode()
        socket.curve_publickey = zmq.curve_public(secret_key.encode())
    socket.connect(endpoint)
    return socket


class Client:
    """One connection; for one thread."""

    def __init__(self, endpoint, queue=1000, **keys):
        self.socket = dealer(endpoint, queue=queue, **keys)
        self.numbers = itertools.count(1)
        self.stash = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, type, content=None, **fields):
        """Sends a request without waiting; returns its id."""
        number = str(next(self.numbers))
        self.socket.send_multipart(message(type, content, id=number, **fields))
        return number

    def receive(self, seconds=10):
        """The next message as (fields, third frame or None); None where none comes in time."""
        if self.stash:
            return self.stash.popleft()
        return self._receive(seconds)

    def _receive(self, seconds):
        if not self.socket.poll(max(0, int(seconds * 1000))):
            return None
        frames = self.socket.recv_multipart()
        if len(frames) not in (2, 3) or frames[0] != PROTOCOL:
            raise ValueError(f"stemd sent {len(frames)} frames that begin with {frames[0][:20]!r}")
        return json.loads(frames[1]), frames[2] if len(frames) == 3 else None

    def answer(self, number, seconds=10):
        """The answer to the request of this id, as (fields, third frame); what else comes waits for `receive`."""
        deadline = time.monotonic() + seconds
        while True:
            received = self._receive(deadline - time.monotonic())
            if received is None:
                raise NoAnswer()
            fields = received[0]
            if fields.get("id") != number or fields.get("type") == "event":
                self.stash.append(received)
            elif fields.get("type") == "error":
                raise Refusal(fields)
            else:
                return received

    def ask(self, type, content=None, seconds=10, **fields):
        """Sends a request and waits for its answer's fields."""
        return self.answer(self.send(type, content, **fields), seconds)[0]

    # What takes more than one request.

    def jobs(self, **filters):
        """All jobs, in the order of acceptance."""
        jobs, after = [], None
        while True:
            page = self.ask("list", order="oldest", limit=1000, after=after, **filters)
            jobs += page["jobs"]
            if not page["more"]:
                return jobs
            after = page["jobs"][-1]["id"]

    def upload(self, name, clip, settings, seconds=10, chunk=65536, **fields):
        """Submits a clip in chunks; the job."""
        answer = self.ask("submit", seconds=seconds, name=name, settings=settings, bytes=len(clip), **fields)
        sent = 0
        while answer["type"] != "job":
            upload, end = answer["upload"], min(len(clip), answer["received"] + answer["credit"])
            numbers = []
            while sent < end:
                part = clip[sent : min(end, sent + chunk)]
                numbers.append(self.send("chunk", part, upload=upload, offset=sent))
                sent += len(part)
            for number in numbers:
                answer = self.answer(number, seconds)[0]
        return answer["job"]

    def wait(self, job, seconds=300):
        """The job with this id, once it is in a final state."""
        deadline = time.monotonic() + seconds
        while (found := self.ask("status", job=job)["job"])["state"] not in FINAL or "outbox" not in found:
            if time.monotonic() > deadline:
                raise NoAnswer(f"job {job} does not end: {found}")
            time.sleep(0.05)
        return found

    def fetch(self, job, file):
        """A file of a job's result."""
        content = b""
        while True:
            number = self.send("fetch", job=job, file=file, offset=len(content), length=262144)
            fields, part = self.answer(number)
            content += part
            if len(content) >= fields["bytes"]:
                return content


def answers(endpoint, seconds=10, **keys):
    """Whether a daemon answers there within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with Client(endpoint, **keys) as client:
            try:
                client.ask("status", seconds=min(1, max(0.05, deadline - time.monotonic())))
                return True
            except NoAnswer:
                pass
    return False
