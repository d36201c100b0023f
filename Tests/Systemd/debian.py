"""A Debian 12 tree: made once by debootstrap, kept as it is, and copied for each run."""

import os
import pathlib
import shutil
import subprocess
import sys

SUITE = "bookworm"
# As on any server; the manual's program shows whether the units' pages are there.
INCLUDED = ["systemd-sysv", "dbus", "man-db"]
APT = ["apt-get", "--quiet=2", "--yes", "--no-install-recommends"]


class Debian:
    """The pristine tree, with apt's lists and with the packages that were ever needed in apt's cache."""

    def __init__(self, folder, mirror):
        self.folder = folder
        self.mirror = mirror
        self.tree = folder / f"debian-{SUITE}"
        self.log = folder / "debian.log"

    def make(self):
        """Makes the tree, unless it is there."""
        if self.tree.is_dir():
            return
        made = self.folder / f"debian-{SUITE}.part"
        shutil.rmtree(made, ignore_errors=True)
        include = "--include=" + ",".join(INCLUDED)
        self._run("debootstrap", "--variant=minbase", include, SUITE, made, self.mirror)
        self._run("chroot", made, "apt-get", "clean")
        # What only the machine that it was made on knows.
        (made / "etc/hostname").unlink(missing_ok=True)
        made.rename(self.tree)

    def fetch(self, package):
        """Brings what the package depends on into apt's cache, so that it can be installed without a network."""
        own = self.tree / "srv" / package.name
        shutil.copyfile(package, own)
        command = ["chroot", self.tree, *APT, "--download-only", "install", f"/srv/{own.name}"]
        try:
            if self._run(*command, check=False) != 0:
                # The lists may be older than the mirror.
                self._run("chroot", self.tree, "apt-get", "--quiet=2", "update")
                self._run(*command)
        finally:
            own.unlink()

    def copy(self, target):
        self._run("cp", "--archive", "--reflink=auto", self.tree, target)

    def _run(self, *command, check=True):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with open(self.log, "ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            begun = log.tell()
            status = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment).returncode
        if status != 0 and check:
            said = self.log.read_bytes()[begun:].decode(errors="replace")
            sys.exit(f"'{' '.join(map(str, command))}' failed with status {status}; {self.log} has all of it:\n{said[-2000:]}")
        return status
