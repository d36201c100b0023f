#!/usr/bin/env python3
"""Clients and a worker over tcp: the right key edits a clip, every other one gets nothing at all, and without keys no port opens."""

import json
import socket
import subprocess
import sys
import time

import zmq

from client import Client, NoAnswer
from promises import Promises, say
from service import CLIPS, REPOSITORY, Service, kill, parser


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def write_pair(folder, name):
    """A key pair in the form that the protocol says; (public, secret)."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.public").write_text(public + "\n")
    (folder / f"{name}.secret").write_text(secret + "\n")
    (folder / f"{name}.secret").chmod(0o600)
    return public, secret


def example(service, clip, folder, endpoint, server, key):
    """Runs the example client, as anybody would."""
    command = [
        sys.executable, REPOSITORY / "Examples/client.py", clip, "a photo of a blue ball", folder, "--connect", endpoint,
        "--settings", json.dumps({"steps": 2, "frames": 2, "size": "64x64", "source_prompt": "a photo of a red ball"}),
    ]  # fmt: skip
    if key:
        command += ["--server-key", server, "--key", key]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)


def silence(endpoint, seconds=3, **keys):
    """Whether nothing at all comes back."""
    with Client(endpoint, **keys) as client:
        try:
            client.ask("status", seconds=seconds)
            return False
        except NoAnswer:
            return True


def main():
    arguments = parser(__doc__).parse_args()
    port, workers_port = free_port(), free_port()
    endpoint, workers_endpoint = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{workers_port}"
    service = Service(arguments, ["--workers", 0, "--listen", endpoint, "--listen-workers", workers_endpoint])
    clip = CLIPS / "00-color.mp4"
    promises = Promises("curve")

    say("without keys")
    service.start(seconds=0)
    deadline = time.monotonic() + 5
    while service.is_running and time.monotonic() < deadline:
        time.sleep(0.1)
    opened = [str(p) for p in (port, workers_port) if is_open(p)]
    promises.nothing_of("ports that are open without keys", opened)
    promises.measured("the daemon then", "runs without tcp" if service.is_running else f"refuses to start ({service.process.returncode})")
    if service.is_running:
        service.stop()

    say("with keys")
    keys, own = service.root / "keys", service.base / "own"
    server_public, _ = write_pair(keys, "stemd")
    publics = {}
    secrets = {}
    for name, folder in (("ada", "clients"), ("ops", "operators"), ("remote", "workers"), ("stranger", None)):
        publics[name], secrets[name] = write_pair(own, name)
        if folder:
            (keys / folder).mkdir(exist_ok=True)
            (keys / folder / name).write_text(publics[name] + "\n")
    service.start()
    promises.promised("ports that are open with keys", sum(map(is_open, (port, workers_port))), 2, is_open(port) and is_open(workers_port))
    remote_log = service.base / "remote.log"
    with open(remote_log, "wb") as log:
        remote = subprocess.Popen(
            list(map(str, [
                arguments.programs / "stem-worker", "run", "--endpoint", workers_endpoint, "--name", "remote", "--threads", 1,
                "--server-key", server_public, "--key", own / "remote.secret",
            ])),
            stdout=log, stderr=log, cwd=service.base,
        )  # fmt: skip
    result = service.base / "result"
    ran = example(service, clip, result, endpoint, keys / "stemd.public", own / "ada.secret")
    got = sorted(path.name for path in result.iterdir()) if result.is_dir() else []
    promises.promised("Examples/client.py with the right key", f"exit {ran.returncode}", "exit 0", ran.returncode == 0)
    promises.promised("files that it fetched", len(got), "edited.mp4 and more", "edited.mp4" in got and "result.json" in got)
    if ran.returncode:
        promises.details += [ran.stderr, remote_log.read_text(), service.log()[-3000:]]
    else:
        outbox = service.root / "outbox"
        differ = [name for name in got if not any((path / name).read_bytes() == (result / name).read_bytes() for path in outbox.iterdir())]
        promises.nothing_of("fetched files that differ from the outbox", differ)
        again = example(service, clip, service.base / "again", endpoint, keys / "stemd.public", own / "ada.secret")
        promises.promised("folders after the example ran twice", len(service.outbox()), 1, len(service.outbox()) == 1 and again.returncode == 0)
        report = json.loads((result / "result.json").read_text())
        promises.promised("edited by the worker over tcp", report["state"], "done", report["state"] == "done")
    ran = example(service, clip, service.base / "local", service.control, None, None)
    promises.promised("Examples/client.py over ipc", f"exit {ran.returncode}", "exit 0", ran.returncode == 0)

    say("who must get nothing")
    _, other_server = zmq.curve_keypair()
    cases = {
        "a stranger's key": dict(server_key=server_public, secret_key=secrets["stranger"]),
        "a worker's key": dict(server_key=server_public, secret_key=secrets["remote"]),
        "another server's key": dict(server_key=zmq.curve_public(other_server).decode(), secret_key=secrets["ada"]),
        "no key": {},
    }
    for name, options in cases.items():
        quiet = silence(endpoint, **options)
        promises.promised(f"with {name}", "nothing" if quiet else "an answer", "nothing", quiet)
    quiet = silence(workers_endpoint, server_key=server_public, secret_key=secrets["ada"])
    promises.promised("a client's key at the workers' port", "nothing" if quiet else "an answer", "nothing", quiet)

    say("who may do what")
    with Client(endpoint, server_key=server_public, secret_key=secrets["ada"]) as ada:
        for request, fields in (("pause", {}), ("resume", {}), ("drain", {}), ("workers", {})):
            ada.send(request, **fields)
            code = ada.receive(10)[0].get("code")
            promises.promised(f"{request} with a client's key", code, "forbidden", code == "forbidden")
        with service.client() as operator:
            operator.ask("pause")
            mine = operator.ask("submit", b"x", name="operators.mp4", settings={"prompt": "x"})["job"]["id"]
            ada.send("status", job=mine)
            code = ada.receive(10)[0].get("code")
            promises.promised("another one's job with a client's key", code, "not_found", code == "not_found")
            listed = {job["client"] for job in ada.ask("list")["jobs"]}
            promises.promised("whose jobs it is told of", ", ".join(sorted(listed)), "key:ada", listed == {"key:ada"})
        with Client(endpoint, server_key=server_public, secret_key=secrets["ops"]) as ops:
            mode = ops.ask("resume")["mode"]
            promises.promised("resume with an operator's key", mode, "running", mode == "running")
        (keys / "clients/ada").unlink()
        time.sleep(2)
        ada.send("status")
        answer = ada.receive(3)
        is_refused = answer is None or answer[0]["type"] == "error"
        promises.promised("a revoked key on an open connection", "nothing" if answer is None else answer[0].get("code", "an answer"), "nothing or an error", is_refused)
    kill(remote.pid)
    promises.promised("the daemon's exit status on SIGTERM", status := service.stop(), 0, status == 0)
    promises.settle()


if __name__ == "__main__":
    main()
