"""What is left of it all when the package goes."""

import re

from checks import expect, expect_match
from editing import NAME
from service import SPOOL, UNIT

# What apt and dpkg write down of every package, and the manual's index.
RECORDS = ["/var/lib/dpkg", "/var/lib/apt", "/var/log", "/var/cache/apt", "/var/cache/man"]


def _left(machine, *tests):
    """Paths that match, apart from the spool and the system's own records."""
    pruned = ["("]
    for folder in [SPOOL, *RECORDS]:
        pruned += ["-path", folder, "-o"]
    found = machine.output("find", "/", "/run", "/tmp", "-xdev", *pruned[:-1], ")", "-prune", "-o", "(", *tests, ")", "-print")
    return found.split()


def removal_keeps_configuration(machine, service):
    """apt remove stops the service, and keeps configuration and spool."""
    said = machine.output("apt-get", "--quiet=2", "--yes", "remove", "stemd", seconds=120)
    state = machine.run("systemctl", "is-active", UNIT, check=False).stdout.strip()
    expect(state in ("inactive", "unknown"), "the service is stopped", state)
    left = machine.run("pgrep", "--list-full", "^stem", check=False).stdout
    expect(left == "", "no process is left", left)
    for kept in ("/etc/stemd/stemd.yaml", f"{SPOOL}/outbox/{NAME}/edited.mp4"):
        expect(machine.path(kept).exists(), f"{kept} stays", said)


def purge_leaves_the_spool(machine, service):
    """apt purge leaves nothing but the spool, and says where that is."""
    said = machine.output("apt-get", "--quiet=2", "--yes", "purge", "stemd", seconds=120)
    expect_match(rf"stay in {SPOOL}\b", said, "it says where users' data stays")
    expect(machine.path(f"{SPOOL}/outbox/{NAME}/edited.mp4").exists(), "results stay", machine.output("ls", "-R", SPOOL, check=False))
    # Of the user that systemd-sysusers made; names alone may be a stranger's.
    owned = _left(machine, "-user", "stemd", "-o", "-group", "stemd")
    expect(not owned, "no file of the user or group stemd", owned)
    names = ["stemd*", "stem-worker*", "stemctl*", "_stem*", "*-stemd.service-*"]
    named = _left(machine, *[word for name in names for word in ("-o", "-name", name)][1:])
    expect(not named, "no file by one of its names", named)
    unknown = machine.run("systemctl", "cat", UNIT, check=False)
    expect(unknown.returncode != 0, "systemd knows no such unit", unknown.stdout)
    catalog = re.findall(r"^\S+ stemd: .*", machine.output("journalctl", "--list-catalog"), re.MULTILINE)
    expect(not catalog, "the journal's catalog has nothing of it", catalog)


CHECKS = [removal_keeps_configuration, purge_leaves_the_spool]
