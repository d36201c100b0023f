"""What interrupts the service, and what becomes of the job that runs: it goes on from its checkpoint, to the same bits."""

import os
import signal

from checks import expect, expect_match
from editing import NAME
from service import UNIT

# Seconds from the signal to the end of the daemon, its checkpoints written.
MOST_SECONDS_TO_STOP = 10
WATCHDOG_SECONDS = 4


def _begin(service, name):
    """Drops a clip, and waits until some of its work is done; the job."""
    service.drop(name)
    return service.wait_until_stage(name, stages=("invert", "edit"), step=12)


def _expect_continued(service, name, cursor):
    """The job is done, from its checkpoint, with the bits of the one that nobody interrupted."""
    job = service.wait_for_end(name)
    expect(job["state"] == "done", f"'{name}' is done", job)
    said = "\n".join(str(line["MESSAGE"]) for line in service.lines(f"--after-cursor={cursor}", f"JOB={job['id']}"))
    expect_match(r"continues at (invert|edit) [1-9]\d*/", said, "it goes on from its checkpoint")
    same = service.result(name, "edited.mp4") == service.result(NAME, "edited.mp4")
    expect(same, "the same bits as without an interruption", "others")


def watchdog_restarts(machine, service):
    """A daemon that stands still is restarted by the watchdog, and its job goes on from its checkpoint."""
    expect(machine.properties(UNIT)["WatchdogUSec"] not in ("0", "infinity"), "the unit has a watchdog", machine.properties(UNIT)["WatchdogUSec"])
    service.override("watchdog", f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}s\n")
    machine.run("systemctl", "restart", UNIT)
    service.wait_until_active()
    _begin(service, "stopped")
    before, restarts, cursor = service.pid(), service.restarts(), service.cursor()
    os.kill(service.host_pid(before), signal.SIGSTOP)
    machine.wait_for("systemd starts it again", lambda: service.restarts() > restarts and service.pid() not in (0, before), 60)
    service.wait_until_active()
    said = machine.output("journalctl", f"--after-cursor={cursor}", f"UNIT={UNIT}", "--output=cat")
    expect_match(r"[Ww]atchdog", said, "systemd says that it was the watchdog")
    _expect_continued(service, "stopped", cursor)
    expect(service.restarts() == restarts + 1, "one restart does", service.restarts())


def restart_continues(machine, service):
    """systemctl restart in the middle of a job ends within 10 s, and the job goes on from its checkpoint."""
    _begin(service, "restarted")
    before, cursor = service.pid(), service.cursor()
    machine.run("systemctl", "restart", UNIT)
    service.wait_until_active()
    times = machine.properties(UNIT)
    # When it began to stop, and when it was gone.
    seconds = (int(times["InactiveEnterTimestampMonotonic"]) - int(times["ActiveExitTimestampMonotonic"])) / 1e6
    expect(0 <= seconds < MOST_SECONDS_TO_STOP, f"less than {MOST_SECONDS_TO_STOP} s to stop", f"{seconds} s")
    expect(service.pid() != before, "another process", before)
    said = machine.output("journalctl", f"--after-cursor={cursor}", f"UNIT={UNIT}", "--output=cat")
    by_itself = "Deactivated successfully" in said and "Killing" not in said and "timed out" not in said
    expect(by_itself, "it ends by itself, with all its processes", said)
    _expect_continued(service, "restarted", cursor)


def stuck_worker_is_replaced(machine, service):
    """A worker that stands still is found by its heartbeat and killed; the daemon goes on, and so does the job."""
    job = _begin(service, "stuck")
    daemon, cursor = service.pid(), service.cursor()
    worker = next(worker["pid"] for worker in service.workers() if worker["name"] == job["worker"])
    os.kill(service.host_pid(worker), signal.SIGSTOP)
    service.wait_for_line("killed", 60, f"--after-cursor={cursor}", f"WORKER={job['worker']}")
    _expect_continued(service, "stuck", cursor)
    expect(service.pid() == daemon, "the same daemon", service.pid())


CHECKS = [watchdog_restarts, restart_continues, stuck_worker_is_replaced]
