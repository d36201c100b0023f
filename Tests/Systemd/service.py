"""The installed service, as those see it who use it and who run it."""

import json
import pathlib

from checks import Broken, expect

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CLIPS = REPOSITORY / "Models/tiny-world/clips"
CLIP = CLIPS / "00-color.mp4"
SPOOL = "/var/spool/stemd"
UNIT = "stemd.service"
DROP_INS = "/etc/stemd/stemd.yaml.d"
FINAL = ("done", "failed", "cancelled")
# In the group, and not in it.
USER, COLLEAGUE, STRANGER = "ada", "bob", "eve"
# Some ten seconds of work, half of them inversion.
SETTINGS = {"source_prompt": "a photo of a red metal ball on sand", "prompt": "a photo of a purple metal ball on sand", "steps": 50}


class Service:
    def __init__(self, machine):
        self.machine = machine

    # As systemd has it.

    def pid(self):
        return int(self.machine.properties(UNIT)["MainPID"])

    def restarts(self):
        """How often systemd has started it again by itself."""
        return int(self.machine.properties(UNIT)["NRestarts"])

    def host_pid(self, pid):
        """What the machine's process `pid` is to us."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    status = (entry / "status").read_text()
                except OSError:
                    continue
                numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                if len(numbers) > 1 and numbers[-1] == str(pid) and self._is_of_machine(entry):
                    return int(entry.name)
        raise Broken(f"the machine has a process {pid}", "it has not")

    def _is_of_machine(self, entry):
        return (entry / "ns/pid").readlink() == pathlib.Path(f"/proc/{self.machine.leader}/ns/pid").readlink()

    def wait_until_active(self, seconds=60):
        def active():
            state = self.machine.properties(UNIT)["ActiveState"]
            return state == "active" and self.machine.run("stemctl", "status", check=False).returncode == 0

        self.machine.wait_for("stemd becomes active and answers", active, seconds, self.status)

    def status(self):
        """What `systemctl status` shows."""
        return self.machine.run("systemctl", "status", UNIT, check=False).stdout

    def lines(self, *matches):
        """Its journal's entries as fields, oldest first."""
        said = self.machine.output("journalctl", "--unit", UNIT, "--output=json", *matches)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def wait_for_line(self, text, seconds, *matches):
        def found():
            return next((line for line in self.lines(*matches) if text in str(line.get("MESSAGE"))), None)

        return self.machine.wait_for(
            f"the journal says '{text}'", found, seconds, lambda: self.machine.output("journalctl", "--unit", UNIT, "--lines=30", *matches)
        )

    def cursor(self):
        """Where the journal ends now."""
        said = self.machine.output("journalctl", "--lines=0", "--show-cursor")
        return said.rpartition("cursor: ")[2].strip()

    # As its users have it.

    def drop(self, name, settings=SETTINGS, clip=CLIP.read_bytes(), user=USER):
        """Puts a clip and its sidecar into the inbox, as that user."""
        lines = "".join(f"{key}: {value}\n" for key, value in settings.items())
        self._write(f"{name}.yaml", lines.encode(), user)
        self._write(f"{name}.mp4", clip, user)

    def _write(self, name, content, user):
        source = self.machine.path("/srv") / name
        source.write_bytes(content)
        self.machine.run("cp", f"/srv/{name}", f"{SPOOL}/inbox/{name}", user=user)
        source.unlink()

    def job(self, name):
        """The newest job of this name; None where there is none."""
        jobs = json.loads(self.machine.output("stemctl", "list", "--json", "--name", name))
        return next((job for job in reversed(jobs) if job["name"] == name), None)

    def wait_for_job(self, name, seconds=30):
        return self.machine.wait_for(f"'{name}' is taken from the inbox", lambda: self.job(name), seconds)

    def wait_until_stage(self, name, stages=("invert",), step=1, seconds=90):
        """Once the job is there, and past the step."""

        def there():
            job = self.job(name)
            if job and job["state"] in FINAL:
                raise Broken(f"'{name}' is seen in stage {stages}", job)
            progress = (job or {}).get("progress", {})
            return progress.get("stage") in stages and progress["step"] >= step and job

        return self.machine.wait_for(f"'{name}' comes to stage {stages}", there, seconds, lambda: self.job(name))

    def wait_for_end(self, name, seconds=300):
        """The job in its final state, its result in the outbox."""

        def ended():
            try:
                job = self.job(name)
            except (Broken, ValueError):
                # Between two daemons nobody answers.
                return None
            return job and job["state"] in FINAL and "outbox" in job and job

        return self.machine.wait_for(f"'{name}' ends", ended, seconds, lambda: self.machine.output("stemctl", "list", check=False))

    def edit(self, name, **options):
        """Drops a clip that has to come out edited; the job."""
        self.drop(name, **options)
        job = self.wait_for_end(name)
        expect(job["state"] == "done", f"'{name}' is done", job)
        return job

    def result(self, name, file="result.json"):
        content = self.machine.path(f"{SPOOL}/outbox/{name}/{file}").read_bytes()
        return json.loads(content) if file.endswith(".json") else content

    def workers(self):
        return json.loads(self.machine.output("stemctl", "workers", "--json"))

    # As its operator has it.

    def configure(self, name, text):
        """Writes a drop-in of its configuration; it counts once that is read again."""
        folder = self.machine.path(DROP_INS)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)

    def unconfigure(self, name):
        self.machine.path(f"{DROP_INS}/{name}.yaml").unlink(missing_ok=True)

    def override(self, name, text):
        """Writes a drop-in of the unit."""
        folder = self.machine.path(f"/etc/systemd/system/{UNIT}.d")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")
