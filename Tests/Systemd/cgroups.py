"""Control groups of our own, lest two containers on one machine take each other's services for theirs."""

import os
import pathlib
import sys
import time


class Cgroups:
    """One in each hierarchy that systemd uses: that of cgroup2, and that of its own name where the machine has the first kind."""

    def __init__(self, name):
        own = {}
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own[controllers] = path
        self.folders = []
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            mount_point = pathlib.Path(before.split()[4])
            kind, _, options = after.split(" ", 2)
            controllers = {"cgroup2": "", "cgroup": "name=systemd"}.get(kind)
            if controllers in own and (kind == "cgroup2" or controllers in options.split(",")):
                self.folders.append(mount_point / own[controllers].lstrip("/") / name)
        if not self.folders:
            sys.exit("systemd needs control groups, and none are mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")

    def make(self):
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def enter(self):
        """For a new process, before it becomes a program."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        for folder in self.folders:
            for below, _, _ in os.walk(folder, topdown=False):
                self._remove(below)

    def _remove(self, folder):
        # The last processes may be on their way out.
        for _ in range(100):
            try:
                return os.rmdir(folder)
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)
