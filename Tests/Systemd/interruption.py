"""What interrupts the service, and what becomes of the job that runs: it goes on from its checkpoint, to the same bits."""

import os
import signal
import subprocess
import time

from checks import expect, expect_match
from editing import NAME
from service import CLIP, SPOOL, UNIT, USER

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


def half_a_clip_is_waited_for(machine, service):
    """A clip that a user's program is still writing when the daemon starts is taken when that is done, whatever it is doing."""
    name, half = "slow", len(CLIP.read_bytes()) // 2
    machine.run("systemctl", "stop", UNIT)
    machine.path("/srv/slow.mp4").write_bytes(CLIP.read_bytes())
    script = f"exec 3>{SPOOL}/inbox/{name}.mp4; head -c {half} /srv/slow.mp4 >&3; read go; tail -c +{half + 1} /srv/slow.mp4 >&3"
    writer = subprocess.Popen(machine.command("sh", "-c", script, user=USER), stdin=subprocess.PIPE)
    try:
        written = machine.path(f"{SPOOL}/inbox/{name}.mp4")
        machine.wait_for("half of the clip is there", lambda: written.exists() and written.stat().st_size == half, 10)
        machine.run("sh", "-c", f"echo 'prompt: a photo of a cube\nsteps: 2\nframes: 2' >{SPOOL}/inbox/{name}.yaml", user=USER)
        machine.run("systemctl", "start", UNIT)
        service.wait_until_active()
        # A file that nobody writes is taken when it has rested for two seconds.
        time.sleep(6)
        expect(service.job(name) is None, "it is not taken yet", service.job(name))
        writer.communicate(b"go\n", timeout=10)
    finally:
        writer.kill()
    job = service.wait_for_end(name, 120)
    expect(job["state"] == "done", f"'{name}' is done", job)
    expect(service.result(name, "source.mp4") == CLIP.read_bytes(), "source.mp4 is the whole clip", "it is not")


CHECKS = [watchdog_restarts, restart_continues, stuck_worker_is_replaced, half_a_clip_is_waited_for]
