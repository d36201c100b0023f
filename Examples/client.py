#!/usr/bin/env python3
"""Has stemd edit a clip, and fetches the result: client.py clip.mp4 "a blue ball" results/

Run it again after any interruption: it asks with the same key, and so gets the same job. The protocol that it speaks is
written down in Docs/protocol.md. Needs pyzmq (Debian: python3-zmq)."""
import argparse, hashlib, json, pathlib, sys, zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("clip", type=pathlib.Path)
parser.add_argument("prompt", help="what the edited clip should show")
parser.add_argument("folder", type=pathlib.Path, help="where the result's files are put")
parser.add_argument("--settings", type=json.loads, default={}, help="further ones, as JSON: '{\"steps\": 20}'")
parser.add_argument("--connect", default="ipc:///var/spool/stemd/run/control.sock", help="the daemon's endpoint")
parser.add_argument("--server-key", type=pathlib.Path, help="for tcp: a file with the daemon's public key")
parser.add_argument("--key", type=pathlib.Path, help="for tcp: a file with this client's secret key")
options = parser.parse_args()

socket = zmq.Context.instance().socket(zmq.DEALER)
socket.linger = 0
if options.key:
    socket.curve_serverkey = options.server_key.read_text().strip().encode()
    socket.curve_secretkey = secret = options.key.read_text().strip().encode()
    socket.curve_publickey = zmq.curve_public(secret)
socket.connect(options.connect)


def send(request, *content):
    socket.send_multipart([b"stemd/1", json.dumps(request).encode(), *content])


def receive():
    if not socket.poll(10_000):
        sys.exit(f"no answer: is stemd running at {options.connect}, and this key allowed? Once more gives the same job")
    _, answer, *content = socket.recv_multipart()
    answer = json.loads(answer)
    if answer["type"] == "error":
        sys.exit(f"stemd refuses ({answer['code']}): {answer['message']}")
    return answer, content


def submit(clip, settings):
    key = hashlib.sha256(clip + json.dumps(settings, sort_keys=True).encode()).hexdigest()
    send({"type": "submit", "name": options.clip.name, "settings": settings, "key": key, "bytes": len(clip)})
    answer, sent = receive()[0], 0
    while answer["type"] != "job":  # It is "upload" or "credit", and says up to where we may send.
        while sent < (end := min(sent + 262_144, answer["received"] + answer["credit"], len(clip))):
            send({"type": "chunk", "upload": answer["upload"], "offset": sent}, clip[sent:end])
            sent = end
        answer = receive()[0]
    return answer["job"]


def watch(job):
    while job["state"] not in ("done", "failed", "cancelled"):
        if not socket.poll(5_000):  # The first time, after a restart, or when 30 seconds of silence ended the watch.
            send({"type": "watch", "job": job["id"]})
        job = receive()[0].get("job", job)
        progress = [str(job.get("progress", {}).get(part, "")) for part in ("stage", "step")]
        print("\r" + " ".join([job["state"], *progress]), end="\033[K", file=sys.stderr)
    print(file=sys.stderr)
    return job


def fetch(job, name, size):
    with open(options.folder / pathlib.PurePath(name).name, "wb") as file:
        while file.tell() < size:
            send({"type": "fetch", "job": job["id"], "file": name, "offset": file.tell(), "length": 262_144})
            file.write(receive()[1][0])


job = submit(options.clip.read_bytes(), {"prompt": options.prompt, **options.settings})
send({"type": "watch", "job": job["id"]})
job = watch(job)
send({"type": "files", "job": job["id"]})
while (answer := receive()[0])["type"] != "files":  # What is still under way of the watch.
    pass
options.folder.mkdir(parents=True, exist_ok=True)
for file in answer["files"]:
    fetch(job, file["name"], file["bytes"])
sys.exit(job.get("error", job["state"]) if job["state"] != "done" else None)
