"""A machine with systemd: a Debian tree that systemd-nspawn boots."""

import contextlib
import ctypes
import os
import pathlib
import shlex
import signal
import subprocess
import time

from cgroups import Cgroups
from checks import Broken

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "cat",
    "SYSTEMD_COLORS": "0",
}


class Machine:
    """Boots on entry, and is surely gone on exit. It has no network but its own loopback."""

    def __init__(self, tree, console):
        self.tree = tree
        self.console = console
        self.name = f"stemd-test-{os.getpid()}"
        # Where systemd runs already, it makes a scope for the container.
        self.cgroups = None if pathlib.Path("/run/systemd/system").is_dir() else Cgroups(self.name)
        self.process = None
        self.leader = None

    def __enter__(self):
        try:
            self._boot()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self._stop()

    def _boot(self):
        command = ["systemd-nspawn", f"--directory={self.tree}", "--boot", "--register=no", "--private-network"]
        command += [f"--machine={self.name}", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        # Which a real machine has, and nspawn does not let its containers use by default.
        command += ["--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self @memlock"]
        if self.cgroups:
            command += ["--keep-unit"]
            self.cgroups.make()
        with open(self.console, "ab") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, preexec_fn=self._prepare
            )
        self.leader = self.wait_for("the container's systemd starts", self._find_leader, 30)
        state = self.wait_for("the machine boots", self._state_after_boot, 120)
        if state != "running":
            raise Broken("all units of a plain Debian start", self.run("systemctl", "--failed", check=False).stdout)

    def _prepare(self):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if self.cgroups:
            self.cgroups.enter()

    def _find_leader(self):
        if self.process.poll() is not None:
            raise Broken("systemd-nspawn runs", self.console.read_text(errors="replace"))
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{entry}/status").read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            if status["PPid"] == str(self.process.pid) and status["NSpid"].split()[1:] == ["1"] and status["Name"] == "systemd":
                return int(entry)

    def _state_after_boot(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state if state in ("running", "degraded") else None

    def _stop(self):
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        if self.process is not None:
            # nspawn asks the machine to shut down.
            for number, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
                self.process.send_signal(number)
                try:
                    self.process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    pass
            if self.leader:
                try:
                    os.kill(self.leader, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.cgroups:
            self.cgroups.remove()
        # nspawn removes it only where it is no disk's.
        with contextlib.suppress(OSError):
            os.rmdir(f"/run/systemd/nspawn/propagate/{self.name}")
        for number, handler in previous.items():
            signal.signal(number, handler)

    # Commands in it.

    def command(self, *command, user="root"):
        """One that runs it in the machine, for `subprocess`."""
        if user != "root":
            # Not runuser, which fills the journal with its sessions.
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        entered = ["nsenter", f"--target={self.leader}", "--all", "--root", "--wd"]
        return [str(word) for word in [*entered, "env", "--ignore-environment", *variables, *command]]

    def run(self, *command, user="root", seconds=60, check=True, input=None):
        """Its standard output and standard error, together, and its status, which has to be 0 if `check`."""
        try:
            done = subprocess.run(
                self.command(*command, user=user),
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as expired:
            raise Broken(f"'{shlex.join(map(str, command))}' ends within {seconds} s", (expired.stdout or b"").decode(errors="replace"))
        if check and done.returncode != 0:
            raise Broken(f"'{shlex.join(map(str, command))}' as {user} succeeds", f"status {done.returncode}: {done.stdout}")
        return done

    def output(self, *command, **options):
        return self.run(*command, **options).stdout

    def path(self, path):
        """Where one of its files is for us; not for what lies on its own mounts, such as /run and /tmp."""
        return self.tree / str(path).lstrip("/")

    def properties(self, unit):
        """What `systemctl show` says."""
        return dict(line.split("=", 1) for line in self.output("systemctl", "show", unit).splitlines() if "=" in line)

    def journal(self, *arguments, lines=40):
        if self.leader is None:
            return self.console.read_text(errors="replace")
        return self.run("journalctl", "--no-hostname", f"--lines={lines}", *arguments, check=False).stdout

    def wait_for(self, what, look, seconds, came=lambda: "it did not come to pass"):
        """What `look` returns once that is true; else what `came` says is shown."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise Broken(f"{what} within {seconds} s", came())
            time.sleep(0.1)
        return found
