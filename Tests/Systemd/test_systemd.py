#!/usr/bin/env python3
"""Boots a Debian 12 with its own systemd, installs the package there with apt, and checks what an administrator relies on: that it starts, edits,
tells the journal, survives what interrupts it, takes settings, holds strangers' files in, and goes without leaving traces. Needs root."""

import argparse
import os
import pathlib
import shutil
import signal
import sys

import editing
import installation
import interruption
import purge
import settings
import strangers
import units
from checks import Broken, Report
from debian import Debian
from machine import Machine
from service import REPOSITORY, Service

sys.dont_write_bytecode = True
# Each edit inverts its clip, and each step is kept, so that there is always something to interrupt and to go on from.
CONFIGURATION = "checkpoint_interval: 0\ncache_bytes: 0\n"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    options.add_argument("package", type=pathlib.Path, help="the Debian package, as 'make deb' makes it")
    options.add_argument("probe", type=pathlib.Path, help="the program confinement-probe, which is put into the decoder's place")
    options.add_argument("--folder", type=pathlib.Path, default=REPOSITORY / ".build/systemd", help="where Debian trees are made")
    options.add_argument("--mirror", default="http://deb.debian.org/debian", help="of Debian, for debootstrap and apt")
    options.add_argument("--keep", action="store_true", help="leave the tree of this run behind")
    options.add_argument("--only", nargs="*", metavar="CHECK", help="these checks, by name, besides the installation")
    arguments = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("a machine is booted only by root: run it as root")
    for file in (arguments.package, arguments.probe):
        if not file.is_file():
            sys.exit(f"there is no {file}: run 'make test-systemd'")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))

    arguments.folder.mkdir(parents=True, exist_ok=True)
    debian = Debian(arguments.folder, arguments.mirror)
    debian.make()
    debian.fetch(arguments.package)
    tree = arguments.folder / f"run-{os.getpid()}"
    console = arguments.folder / "console.log"
    console.write_bytes(b"")
    try:
        debian.copy(tree)
        with Machine(tree, console) as machine:
            broken = check(machine, arguments)
    except Broken as broken:
        sys.exit(f"expected: {broken.expected}\ncame: {broken.came}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if not arguments.keep:
            shutil.rmtree(tree, ignore_errors=True)
    if broken:
        sys.exit(f"broken: {' '.join(broken)}")


def check(machine, arguments):
    """The names of the checks that did not hold."""
    service = Service(machine)
    report = Report(machine.journal)

    def run(check, *more):
        if arguments.only is None or check.__name__ in arguments.only:
            report.run(check, machine, service, *more)

    if not report.run(installation.installs, machine, service, arguments.package):
        return report.broken
    for each in installation.CHECKS:
        run(each)
    service.configure("10-test", CONFIGURATION)
    machine.run("systemctl", "reload-or-restart", "stemd")
    service.wait_until_active()
    for each in (*editing.CHECKS, *units.CHECKS, *settings.CHECKS, *interruption.CHECKS):
        run(each)
    for each in strangers.CHECKS_WITH_PROBE:
        run(each, arguments.probe)
    for each in (*strangers.CHECKS, installation.speaks_in_fields, *purge.CHECKS):
        run(each)
    return report.broken


if __name__ == "__main__":
    main()
