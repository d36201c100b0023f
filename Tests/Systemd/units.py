"""What systemd itself thinks of the units."""

import pathlib

from checks import expect, expect_match
from service import SETTINGS, SPOOL, UNIT

UNITS = [UNIT, "stem-worker@more.service", "stemd.slice"]
MOST_EXPOSURE = 1.5


def verify_is_silent(machine, service):
    """systemd-analyze verify has nothing to say about any unit."""
    installed = machine.output("dpkg", "--listfiles", "stemd")
    files = [line for line in installed.splitlines() if "/systemd/system/" in line and pathlib.PurePath(line).suffix]
    expect(len(files) >= len(UNITS), f"{len(UNITS)} units at least", files)
    for file in files:
        said = machine.run("systemd-analyze", "verify", file, check=False)
        expect(said.returncode == 0 and said.stdout == "", f"silence about {file}", said.stdout or f"status {said.returncode}")


def exposure_is_low(machine, service):
    """systemd-analyze security finds an exposure of 1.5 at most, for the daemon and for further workers."""
    for unit in UNITS[:2]:
        said = machine.output("systemd-analyze", "security", "--no-pager", unit)
        exposure = float(expect_match(r"Overall exposure level for \S+: ([0-9.]+)", said, "a figure")[1])
        expect(exposure <= MOST_EXPOSURE, f"{unit}: {MOST_EXPOSURE} at most", f"{exposure}\n{said}")


def spool_is_one_tree(machine, service):
    """The spool is one tree under one entry of the unit, and one mount for the daemon."""
    properties = machine.properties(UNIT)
    entries = []
    for name in ("ReadWritePaths", "BindPaths", "BindReadOnlyPaths", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem"):
        entries += [path.lstrip("-+").split(":")[0] for path in properties.get(name, "").split()]
    for name, base in (("StateDirectory", "/var/lib"), ("CacheDirectory", "/var/cache"), ("LogsDirectory", "/var/log"), ("RuntimeDirectory", "/run")):
        entries += [f"{base}/{path}" for path in properties.get(name, "").split()]
    within = [entry for entry in entries if (entry + "/").startswith(SPOOL + "/")]
    expect(within == [SPOOL], f"one entry, {SPOOL}", entries)
    seen = pathlib.Path(f"/proc/{service.host_pid(service.pid())}/mountinfo").read_text()
    mounts = [line.split()[4] for line in seen.splitlines() if (line.split()[4] + "/").startswith(SPOOL + "/")]
    expect(mounts == [SPOOL], f"one mount, {SPOOL}", mounts)


def further_worker_joins(machine, service):
    """stem-worker@more.service joins the daemon, edits, and leaves again."""
    unit = "stem-worker@more.service"
    machine.run("systemctl", "start", unit)
    machine.wait_for("stemctl workers shows it", lambda: any(worker["name"] == "more" for worker in service.workers()), 60)
    # Two jobs at once need both workers.
    for name in ("first", "second"):
        service.drop(name, SETTINGS | {"steps": 20})
    jobs = machine.wait_for(
        "it edits beside the daemon's own", lambda: [job for job in map(service.job, ("first", "second")) if job and job.get("worker") == "more"], 60
    )
    for name in ("first", "second"):
        expect(service.wait_for_end(name)["state"] == "done", f"'{name}' is done", service.job(name))
    said = machine.output("journalctl", "--unit", unit, f"JOB={jobs[0]['id']}", "--output=cat", check=False) + "\n".join(
        str(line["MESSAGE"]) for line in service.lines(f"JOB={jobs[0]['id']}")
    )
    expect(said.strip(), "the journal tells of its job", said)
    machine.run("systemctl", "stop", unit)
    machine.wait_for("it has left", lambda: all(worker["name"] != "more" for worker in service.workers()), 30)


CHECKS = [verify_is_silent, exposure_is_low, spool_is_one_tree, further_worker_joins]
