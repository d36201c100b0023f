"""A real stemd in a private root, which is surely gone when the program ends."""

import argparse
import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import zmq

from client import Client, NoAnswer, answers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CLIPS = REPOSITORY / "Models/tiny-world/clips"
sys.dont_write_bytecode = True

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)


def parser(description):
    """What all proofs take."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--programs", type=pathlib.Path, default=REPOSITORY / ".build/release", help="where stemd is")
    made.add_argument("--models", type=pathlib.Path, default=REPOSITORY / "Models", help="the folder of model folders")
    made.add_argument("--folder", type=pathlib.Path, help="where the daemon's root is made, instead of the system's temporary folder")
    made.add_argument("--keep", action="store_true", help="leave the root and the log behind, and say where")
    return made


def descendants(of=None):
    """The processes below one, children before their children."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry))
    found = list(children.get(of or os.getpid(), []))
    for process in found:
        found += children.get(process, [])
    return found


def kill(pid, signal=signal.SIGKILL):
    """Whether there was such a process to send the signal to."""
    try:
        os.kill(pid, signal)
        return True
    except ProcessLookupError:
        return False


def _end_descendants():
    # What it started may start more until it is gone.
    deadline = time.monotonic() + 10
    while (left := descendants()) and time.monotonic() < deadline:
        for process in left:
            kill(process)
        time.sleep(0.02)


def _begin():
    # Orphans become this process's children, so that none is lost.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    atexit.register(_end_descendants)


def _die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Service:
    """A daemon, its root, and its log, which goes on over restarts."""

    begun = False

    def __init__(self, arguments, options=(), prefix=(), root=None):
        """`arguments` are those of `parser`; `options` are stemd's own; `prefix` is a command that runs it."""
        if not Service.begun:
            Service.begun = True
            _begin()
        self.program = arguments.programs / "stemd"
        if not self.program.exists():
            sys.exit(f"there is no {self.program}: run make, or say --programs")
        if root is None:
            self.base = pathlib.Path(tempfile.mkdtemp(prefix="stemd-", dir=arguments.folder))
            if arguments.keep:
                print(f"root and log: {self.base}", file=sys.stderr)
            else:
                atexit.register(self._remove)
            root = self.base / "root"
            self.log_path = self.base / "stemd.log"
        else:
            self.log_path = root.parent / (root.name + ".log")
        self.root = root
        # What this machine's own daemon is configured to do is no part of a proof.
        configuration = self.log_path.parent / "stemd.yaml"
        configuration.touch()
        self.command = [*prefix, self.program, "--root", root, "--config", configuration, "--models", arguments.models, *options]
        self.control = f"ipc://{root}/run/control.sock"
        self.workers = f"ipc://{root}/run/workers.sock"
        self.process = None

    def _remove(self):
        _end_descendants()
        shutil.rmtree(self.base, ignore_errors=True)

    def start(self, seconds=30):
        """Starts it; waits until it answers, unless `seconds` is 0. The seconds that it took."""
        begun = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, self.command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        if seconds:
            deadline = begun + seconds
            while not answers(self.control, 0.2):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"stemd does not come up:\n{self.log()[-3000:]}")
        return time.monotonic() - begun

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, at once."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=30):
        """SIGTERM; its exit status, None where it has to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def client(self, **options):
        return Client(self.control, **options)

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # What the system knows of it.

    def worker_pids(self):
        return descendants(self.pid)

    def memory(self, what="VmRSS"):
        """Bytes: VmRSS is what it has, VmHWM the most that it had."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def processor_seconds(self):
        """Processor time that the daemon itself has taken, without its workers."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # The spool.

    def drop(self, name, content):
        """Writes a file into the inbox, and closes it."""
        (self.root / "inbox" / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def outbox(self):
        folder = self.root / "outbox"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
