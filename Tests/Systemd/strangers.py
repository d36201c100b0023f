"""Files from strangers: what a video can do that has taken over the process that opens it, and what broken ones do."""

import contextlib
import errno
import os
import struct
import subprocess
import sys

from checks import expect, expect_match
from service import CLIP, SPOOL

WORKER = "/usr/sbin/stem-worker"
SMALL = {"prompt": "a photo of a cube", "steps": 2, "frames": 2}
# More than a decoder may have.
MEMORY_ASKED = 6 << 30
LISTENER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(3600)"


@contextlib.contextmanager
def _planted(machine, probe):
    """The probe in the place of the program that opens videos, while the worker that starts it is the real one."""
    program, real = machine.path(WORKER), machine.path(WORKER + ".real")
    program.rename(real)
    try:
        program.write_bytes(probe.read_bytes())
        program.chmod(0o755)
        yield
    finally:
        program.unlink(missing_ok=True)
        real.rename(program)


@contextlib.contextmanager
def _listening(machine):
    """A port of the machine's loopback that takes connections."""
    command = ["nsenter", f"--target={machine.leader}", "--net", sys.executable, "-c", LISTENER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            yield int(listener.stdout.readline())
        finally:
            listener.kill()


def _said(text):
    """The probe's results by the names of the calls; of several by one name, all."""
    results = {}
    for part in text.split(";"):
        name, _, number = part.strip().rpartition(": ")
        name = name.split()[-1] if name else ""
        if name and number.lstrip("-").isdigit():
            results.setdefault(name, []).append(int(number))
    return results


def _open(*paths):
    return "".join(f"openat -100 {path} {os.O_RDONLY}\n" for path in paths)


def _fail(service, name, content):
    """The job of a video that has to fail."""
    service.drop(name, SMALL, clip=content)
    job = service.wait_for_end(name, 180)
    expect(job["state"] == "failed", f"'{name}' fails", job)
    return job


def reads_nothing_else(machine, service, probe):
    """A program in the place of the decoder reads no other job's folder, no /etc/shadow, and has no network."""
    with _planted(machine, probe), _listening(machine) as port:
        machine.run("stemctl", "pause")
        service.drop("other", SMALL, clip=b"getpid\n")
        other = f"{SPOOL}/work/{service.wait_for_job('other')['id']}"
        expect(machine.path(other).is_dir(), f"the other job has a folder, {other}", machine.output("ls", "-R", f"{SPOOL}/work"))
        files = [f"{other}/{file.name}" for file in machine.path(other).iterdir()]
        lines = _open(other, *files, "/etc/shadow", f"{SPOOL}/state", f"{SPOOL}/outbox", "/etc/passwd", "/proc/self/fd/0")

        # The same program, by root and held by nothing, can do it all: the refusals below are the confinement's.
        copy = machine.path("/srv/probe")
        copy.write_bytes(probe.read_bytes())
        copy.chmod(0o755)
        free = _said(machine.output("/srv/probe", "free", input=lines + f"tcp {port}\n"))
        copy.unlink()
        expect(len(free.get("openat", [])) == lines.count("\n") and min(free["openat"]) >= 0, "unconfined, every file opens", free)
        expect(free.get("tcp") == [0], "unconfined, the port takes a connection", free)

        service.drop("reader", SMALL | {"priority": 50}, clip=lines.encode())
        service.wait_for_job("reader")
        machine.run("stemctl", "resume")
        job = service.wait_for_end("reader", 120)
        held = _said(job["error"])
        expect(job["state"] == "failed" and len(held.get("openat", [])) == lines.count("\n"), "all attempts are told of", job)
        expect(set(held["openat"]) == {-errno.EACCES}, f"each one is refused ({-errno.EACCES})", held)
        service.wait_for_end("other", 120)

        job = _fail(service, "caller", f"tcp {port}\n".encode())
        expect_match(r"the system call socket, and was stopped", job["error"], "it is ended where it asks for a socket")
        job = _fail(service, "forker", b"fork\n")
        expect_match(r"tried something that a video must not need", job["error"], "it is ended where it starts a process")


def harms_no_one(machine, service, probe):
    """A program in the place of the decoder that crashes, or takes all memory, costs its own job, and not even the worker."""
    daemon, workers = service.pid(), _worker_pids(service)
    with _planted(machine, probe):
        job = _fail(service, "crasher", b"crash\n")
        expect_match(r"crashed on it \(signal 11", job["error"], "what happened")
        # Not more than any machine may lose where nothing stops it.
        job = _fail(service, "balloon", f"balloon {MEMORY_ASKED}\n".encode())
        taken = int(expect_match(r"took (\d+) MiB", job["error"], "what happened")[1]) << 20
        expect(taken < MEMORY_ASKED, "less memory than it asked for", job["error"])
    _expect_going_on(service, "after-the-probe", daemon, workers)


def broken_videos_harm_no_one(machine, service):
    """Videos made to crash or balloon the real decoder fail with a sentence each, and the service goes on."""
    daemon, workers = service.pid(), _worker_pids(service)
    for name, content in _hostile_videos():
        job = _fail(service, name, content)
        expect(job["error"].strip() and "\n" not in job["error"], "one sentence", job)
    _expect_going_on(service, "after-the-videos", daemon, workers)


def _worker_pids(service):
    return sorted(worker["pid"] for worker in service.workers())


def _expect_going_on(service, name, daemon, workers):
    service.edit(name, settings=SMALL)
    expect(service.pid() == daemon, f"the same daemon, {daemon}", service.pid())
    expect(_worker_pids(service) == workers, f"the same workers, {workers}", _worker_pids(service))


def _hostile_videos():
    clip = CLIP.read_bytes()
    yield "huge-picture", b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 100_000, 100_000, 8, 2, 0, 0, 0, 0)
    # Frames of 192 MB that have no bytes.
    yield "huge-frames", b"YUV4MPEG2 W8000 H8000 F25:1 Ip C444\n" + b"FRAME\n" * 1000
    for count in (3_000_000, 100_000_000):
        yield f"table-{count}", _with_table(clip, count)
    yield "boxes", b"".join(struct.pack(">I4s", 8 * (20_000 - depth), b"moov") for depth in range(20_000))
    yield "cut", clip[: len(clip) // 3]


def _with_table(clip, count):
    """A movie whose table claims so many pictures of one byte, all in one chunk."""
    content = bytearray(clip)
    for box, offset, values in ((b"stsz", 8, (1, count)), (b"stsc", 16, (count,)), (b"stts", 12, (count,))):
        place = content.index(box) + offset
        struct.pack_into(f">{len(values)}I", content, place, *values)
    return bytes(content)


CHECKS = [broken_videos_harm_no_one]
CHECKS_WITH_PROBE = [reads_nothing_else, harms_no_one]
