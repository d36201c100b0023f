"""What `systemctl reload` makes of changed settings, and a start of wrong ones."""

import json

from checks import expect, expect_match
from service import DROP_INS, STRANGER, UNIT

METRICS = "/var/lib/prometheus/node-exporter"


def _in_force(machine):
    values = json.loads(machine.output("stemctl", "config", "--json"))
    return {value["key"]: value for value in values}


def _reload(machine, service):
    """What the journal says of it."""
    cursor, pid = service.cursor(), service.pid()
    machine.run("systemctl", "reload", UNIT)
    machine.wait_for("the daemon answers", lambda: machine.run("stemctl", "status", check=False).returncode == 0, 30)
    service.wait_until_active()
    expect(service.pid() == pid, "the same daemon after a reload", service.pid())

    def said():
        lines = [line for line in service.lines(f"--after-cursor={cursor}") if line.get("SYSLOG_IDENTIFIER") == "stemd"]
        return "\n".join(str(line["MESSAGE"]) for line in lines)

    return machine.wait_for("the journal tells of the reload", said, 30)


def reloads_a_good_file(machine, service):
    """systemctl reload takes what may change while the daemon runs, and says what changed and what needs a restart."""
    service.configure("20-good", "limits:\n  frames: 5000\n  message_bytes: 2 MiB\n")
    said = _reload(machine, service)
    expect_match(r"changed: 'limits\.frames' is 5000", said, "what changed")
    expect_match(r"needs a restart: 'limits\.message_bytes' stays", said, "what needs a restart")
    values = _in_force(machine)
    expect(values["limits.frames"]["value"] == "5000", "stemctl config shows the new value", values["limits.frames"])
    origin = values["limits.frames"].get("file"), values["limits.frames"].get("line")
    expect(origin == (f"{DROP_INS}/20-good.yaml", 2), "where it comes from: file and line", origin)
    waiting = values["limits.message_bytes"].get("after_restart", "")
    expect("2 MiB" in waiting, "what it will be after a restart", values["limits.message_bytes"])


def reload_keeps_the_old(machine, service):
    """A reload of a wrong file names file, line and what it takes, and the old settings stay in force."""
    before = _in_force(machine)
    try:
        for text, line, takes in (("limits:\n  frames: many\n", 2, "takes"), ("limits:\n  frames: 4000\nworker: 3\n", 3, "workers")):
            service.configure("30-bad", text)
            said = _reload(machine, service)
            expect_match(rf"30-bad\.yaml, line {line}\b.*{takes}", said, "file, line, and what it takes")
            after = _in_force(machine)
            expect(after == before, "the same settings in force as before", {key: after[key] for key in after if after[key] != before.get(key)})
    finally:
        service.unconfigure("30-bad")


def wrong_settings_stop_the_start(machine, service):
    """A wrong value stops the start with file and line, and systemd does not try again and again."""
    machine.run("systemctl", "stop", UNIT)
    service.configure("30-bad", "workers: all\n")
    cursor = service.cursor()
    try:
        failed = machine.run("systemctl", "start", UNIT, check=False)
        expect(failed.returncode != 0, "systemctl start fails", failed.stdout)
        said = machine.output("journalctl", f"--after-cursor={cursor}", "--unit", UNIT, "--output=cat")
        expect_match(r"30-bad\.yaml, line 1\b.*workers.*takes", said, "file, line, and what it takes")
        state = {name: machine.properties(UNIT)[name] for name in ("ActiveState", "NRestarts")}
        expect(state == {"ActiveState": "failed", "NRestarts": "0"}, "failed, and no other attempt", state)
    finally:
        service.unconfigure("30-bad")
        machine.run("systemctl", "restart", UNIT)
        service.wait_until_active()


def writes_metrics(machine, service):
    """Where the manual's steps open a folder for them, metrics are there for everybody, whole, as long as they are wanted."""
    machine.run("install", "--directory", "--owner=stemd", "--mode=755", METRICS)
    service.override("metrics", f"[Service]\nReadWritePaths={METRICS}\n")
    service.configure("40-metrics", f"metrics_file: {METRICS}/stemd.prom\nmetrics_interval: 1\n")
    machine.run("systemctl", "restart", UNIT)
    service.wait_until_active()
    file = machine.path(f"{METRICS}/stemd.prom")
    machine.wait_for("the metrics are there", file.exists, 30, lambda: machine.journal("--unit", UNIT))
    said = machine.output("cat", f"{METRICS}/stemd.prom", user=STRANGER)
    expect_match(r'^stemd_jobs\{state="done"\} [1-9]', said, "the jobs that were done")
    service.unconfigure("40-metrics")
    machine.run("systemctl", "reload", UNIT)
    machine.wait_for("they are gone when nobody wants them", lambda: not file.exists(), 30)
    # Whoever made it removes it.
    machine.run("rm", "--recursive", f"/etc/systemd/system/{UNIT}.d/metrics.conf", METRICS)
    machine.run("systemctl", "daemon-reload")


CHECKS = [reloads_a_good_file, reload_keeps_the_old, wrong_settings_stop_the_start, writes_metrics]
