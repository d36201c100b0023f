"""The way of a clip, from a user's file to the result, and where an operator sees it."""

import re

from checks import expect, expect_match
from service import CLIP, SETTINGS, SPOOL, UNIT, USER

NAME = "ball"


def edits(machine, service):
    """A clip that a user drops comes out edited, and systemctl status tells meanwhile how far it is."""
    service.drop(NAME)
    job = service.wait_until_stage(NAME)
    progress = rf"Status: .*\b1 running\b.*{job['id']}.*\b(invert|edit) \d+/\d+.*\d+ (s|min|h)"
    # The line is made anew every second.
    machine.wait_for(
        "systemctl status shows the job's stage, step and time left", lambda: re.search(progress, service.status()), 30, service.status
    )
    ended = service.wait_for_end(NAME)
    expect(ended["state"] == "done", "the job is done", ended)
    expect(ended["attempts"] == 1, "one attempt does", ended)
    machine.wait_for("systemctl status shows that none runs", lambda: "0 running" in service.status(), 10, service.status)


def delivers(machine, service):
    """The user reads the result: an MP4 that is not the clip, the clip itself by one rename, the report."""
    folder = f"{SPOOL}/outbox/{NAME}"
    files = set(machine.output("ls", folder, user=USER).split())
    expect(files >= {"edited.mp4", "source.mp4", "sidecar.yaml", "result.json", "job.log"}, "the result is complete", files)
    for file in files:
        machine.run("cmp", "--silent", f"{folder}/{file}", f"{folder}/{file}", user=USER)
    edited = service.result(NAME, "edited.mp4")
    expect(edited[4:8] == b"ftyp" and edited != CLIP.read_bytes(), "edited.mp4 is another MP4", edited[:16])
    expect(service.result(NAME, "source.mp4") == CLIP.read_bytes(), "source.mp4 is the clip", "other bytes")
    result = service.result(NAME)
    expect(result["state"] == "done" and result["settings"]["prompt"] == SETTINGS["prompt"], "result.json tells what was done", result)


def moves_by_rename(machine, service):
    """The clip's way through the spool is renames: the file in the outbox is the very file that was dropped."""
    content = CLIP.read_bytes()
    machine.path("/srv/moved.mp4").write_bytes(content)
    machine.run("cp", "/srv/moved.mp4", f"{SPOOL}/inbox/moved.mp4", user=USER)
    machine.path("/srv/moved.mp4").unlink()
    inode = machine.path(f"{SPOOL}/inbox/moved.mp4").stat().st_ino
    machine.run("sh", "-c", f"echo 'prompt: a photo of a cube\nsteps: 2\nframes: 2' >{SPOOL}/inbox/moved.yaml", user=USER)
    service.wait_for_end("moved", 60)
    came = machine.path(f"{SPOOL}/outbox/moved/source.mp4").stat().st_ino
    expect(came == inode, f"inode {inode}", came)


def tells_a_life(machine, service):
    """journalctl -u stemd JOB=… tells the job's life, and each of its lines carries the fields."""
    job = service.job(NAME)["id"]
    lines = service.lines(f"JOB={job}")
    messages = "\n".join(str(line["MESSAGE"]) for line in lines)
    expect_match(r"^accepted ball\.mp4", messages, "it begins with its acceptance")
    expect_match(r"^done, delivered to outbox/ball", messages, "it ends with its delivery")
    expect_match(r"^given to worker-1", messages, "in between it says who edits it")
    for line in lines:
        expect(line.get("JOB") == job and line.get("SYSLOG_IDENTIFIER") in ("stemd", "stem-worker"), "JOB and who says it", line)
        expect(line.get("PRIORITY") in ("5", "6"), "nothing but information in a life without trouble", line)
    expect(any(line.get("CLIP") for line in lines) and any(line.get("WORKER") for line in lines), "CLIP and WORKER", lines)
    others = [line for line in service.lines() if line.get("JOB") != job and job in str(line["MESSAGE"])]
    expect(not others, "no line that names the job lacks the field", others)


def explains(machine, service):
    """journalctl -x explains what happened to the job and what to do, from stemd's catalog."""
    job = service.job(NAME)["id"]
    identified = [line for line in service.lines(f"JOB={job}") if line.get("MESSAGE_ID")]
    expect(identified, "lines with MESSAGE_ID", service.lines(f"JOB={job}"))
    said = machine.output("journalctl", "--catalog", "--unit", UNIT, f"JOB={job}")
    for word in ("accepted", "done"):
        expect_match(rf"Subject: .*{job}.*\b{word}\b|Subject: .*\b{word}\b.*{job}", said, f"an explanation of how it was {word}")
    expect_match(r"journalctl -u stemd JOB=" + job, said, "what to do")
    known = machine.output("journalctl", "--list-catalog")
    ours = machine.path("/usr/lib/systemd/catalog/stemd.catalog").read_text()
    for message in re.findall(r"^-- ([0-9a-f]{32})\b", ours, re.MULTILINE):
        expect(message in known, f"journald's catalog has {message}", known)
    for line in identified:
        expect(line["MESSAGE_ID"] in ours, "stemd.catalog has the message's id", line)


def is_removed_by_its_user(machine, service):
    """The user removes a result that is not needed any more, folder and all."""
    machine.run("rm", "--recursive", f"{SPOOL}/outbox/moved", user=USER)
    left = machine.output("ls", f"{SPOOL}/outbox", user=USER).split()
    expect("moved" not in left, "it is gone", left)


CHECKS = [edits, delivers, moves_by_rename, tells_a_life, explains, is_removed_by_its_user]
