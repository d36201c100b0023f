"""What apt makes of the package on a machine that has never seen Swift."""

from checks import expect
from service import COLLEAGUE, SPOOL, STRANGER, UNIT, USER

PROGRAMS = ["/usr/sbin/stemd", "/usr/sbin/stem-worker", "/usr/bin/stemctl"]
PAGES = ["stemd.8", "stem-worker.8", "stemctl.1", "stemd.yaml.5", "stemd-sidecar.5"]


def installs(machine, service, package):
    """apt installs the package with its dependencies, has nothing to warn of, and the service becomes active."""
    target = machine.path("/srv") / package.name
    target.write_bytes(package.read_bytes())
    said = machine.output("apt-get", "--quiet=2", "--yes", "--no-install-recommends", "install", f"/srv/{package.name}", seconds=300)
    target.unlink()
    odd = [line for line in said.splitlines() if line.startswith(("W:", "E:", "dpkg: "))]
    expect(not odd, "no warning", said)
    service.wait_until_active()


def starts_quietly(machine, service):
    """The service is enabled, its first start warns of nothing, and no unit of the machine has failed."""
    enabled = machine.run("systemctl", "is-enabled", UNIT, check=False).stdout.strip()
    expect(enabled == "enabled", "enabled", enabled)
    odd = machine.output("journalctl", "--unit", UNIT, "--priority=warning", "--quiet", "--output=cat")
    expect(odd == "", "no warning in the journal", odd)
    failed = machine.output("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    expect(failed == "", "no failed unit", failed)


def needs_no_swift(machine, service):
    """The programs find all their libraries, none of them Swift's."""
    for program in PROGRAMS:
        libraries = machine.output("ldd", program)
        expect("not found" not in libraries and "swift" not in libraries.lower(), f"{program} needs only what apt brought", libraries)
        machine.run(program, "--help")


def has_manual(machine, service):
    """man finds every page."""
    for page in PAGES:
        name, _, section = page.rpartition(".")
        text = machine.output("man", "--where", section, name)
        expect(text.strip().endswith((page, page + ".gz")), f"{name}({section})", text)


def admits_its_group(machine, service):
    """A member of the group uses inbox, outbox and stemctl; another user sees nothing of it."""
    for user in (USER, COLLEAGUE, STRANGER):
        machine.run("useradd", "--create-home", user)
    for user in (USER, COLLEAGUE):
        machine.run("usermod", "--append", "--groups", "stemd", user)
    machine.run("ls", f"{SPOOL}/inbox", f"{SPOOL}/outbox", user=USER)
    machine.run("stemctl", "status", user=USER)
    for command in (["ls", SPOOL], ["touch", f"{SPOOL}/inbox/x"], ["stemctl", "status"]):
        refused = machine.run(*command, user=STRANGER, check=False)
        expect(refused.returncode != 0, f"'{' '.join(command)}' is refused to another user", refused.stdout)
    for folder in ("state", "keys", "work", "cache"):
        if machine.path(f"{SPOOL}/{folder}").exists():
            refused = machine.run("touch", f"{SPOOL}/{folder}/x", user=USER, check=False)
            expect(refused.returncode != 0, f"members write nothing to {folder}", "they may")


def speaks_in_fields(machine, service):
    """Whatever happened, no process of the service has written a line past the journal's fields."""
    # What goes past them comes by standard output or error, or by syslog(3).
    loose = service.lines("_TRANSPORT=stdout", "_TRANSPORT=syslog")
    expect(not loose, "no line by another way", "\n".join(str(line["MESSAGE"]) for line in loose))


def keeps_members_apart(machine, service):
    """What a member of the group has dropped, another one neither takes away nor replaces."""
    dropped, other = f"{SPOOL}/inbox/waits.mp4", f"{SPOOL}/inbox/other.mp4"
    machine.run("sh", "-c", f"umask 002; echo 1 >{dropped}", user=USER)
    machine.run("sh", "-c", f"echo 2 >{other}", user=COLLEAGUE)
    for command in (["rm", "--force", dropped], ["mv", dropped, f"{SPOOL}/inbox/mine.mp4"], ["mv", other, dropped]):
        refused = machine.run(*command, user=COLLEAGUE, check=False)
        expect(refused.returncode != 0, f"'{' '.join(command)}' is refused", "it is done")
    expect(machine.path(dropped).read_text() == "1\n", "it is what was dropped", machine.path(dropped).read_text())
    machine.run("rm", dropped, user=USER)
    machine.run("rm", other, user=COLLEAGUE)


CHECKS = [starts_quietly, needs_no_swift, has_manual, admits_its_group, keeps_members_apart]
