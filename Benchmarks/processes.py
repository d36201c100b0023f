"""Running programs, and what the system knows of them."""

import ctypes
import json
import os
import pathlib
import select
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)
TICKS = os.sysconf("SC_CLK_TCK")


def environment(threads):
    """Whoever has nothing to do soon sleeps, as ours does by itself, instead of waiting at full speed for more."""
    return os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "1000",
        "KMP_BLOCKTIME": "0",
    }


def end_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class ProgramEnded(Exception):
    """The process is gone, with the reason."""


class Process:
    """A program that answers lines."""

    def __init__(self, command, threads, log):
        self.log = pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=environment(threads),
                preexec_fn=end_with_parent,
            )
        self.buffer = b""
        # Where memory runs out, it is one of these that must go, not the driver.
        pathlib.Path(f"/proc/{self.pid}/oom_score_adj").write_text("1000")

    @property
    def pid(self):
        return self.process.pid

    def ask(self, request, seconds):
        """The answer to a request, which must come within the seconds."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise ProgramEnded(self.reason()) from None
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                self.kill()
                raise ProgramEnded(f"no answer within {seconds:.0f} s")
            received = os.read(self.process.stdout.fileno(), 1 << 16)
            if not received:
                raise ProgramEnded(self.reason())
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def reason(self):
        """Why it ended, as far as can be told."""
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if status == -signal.SIGKILL:
            return "killed, perhaps for want of memory"
        said = self.log.read_text(errors="replace").strip().splitlines()
        how = f"ended by signal {-status}" if status < 0 else f"ended with {status}"
        return f"{how}: {said[-1]}" if said else how

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.kill()
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def processor_seconds(self):
        """Processor time that it has taken so far."""
        try:
            fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_bytes(self):
        """The most memory that it had resident since `forget_peak`; the pages of files that it maps count, too."""
        try:
            for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        return None

    def forget_peak(self):
        try:
            pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        except OSError:
            pass  # Where the system does not have it, the peak is that of the whole life.


def processors_busy():
    """Seconds that the machine's processors have worked so far, and those that its host kept for others."""
    user, nice, system, _, _, interrupts, soft_interrupts, steal, *_ = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft_interrupts) / TICKS, steal / TICKS
