"""Reads what strace wrote, and judges the order in which files were written, synced and named."""

import os
import re
from dataclasses import dataclass

CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,copy_file_range,sendfile,rename,renameat,renameat2,"
    "fsync,fdatasync,syncfs,close,unlink,unlinkat,rmdir,link,linkat,mkdir,mkdirat,sendto,sendmsg"
)
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate"}


def strace(output):
    """The command that runs another one, and writes its calls into the file `output`."""
    return ["strace", "--follow-forks", "--decode-fds=path", "--string-limit=4096", f"--output={output}", f"--trace={CALLS}", "--signal=none"]


@dataclass
class Call:
    line: int
    """Where it began."""
    name: str
    arguments: str
    result: str

    @property
    def succeeded(self):
        return not self.result.startswith("-1") and not self.result.startswith("?")

    def paths(self):
        """The paths of its names and descriptors, in order, as far as they are absolute."""
        found, folder = [], None
        for number, fd, text in re.findall(r'(AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>|"((?:[^"\\]|\\.)*)"', self.arguments):
            if number:
                folder = fd
                found.append(unescaped(fd))
            else:
                path = unescaped(text)
                found.append(path if path.startswith("/") else f"{unescaped(folder or '')}/{path}")
        return found


def unescaped(text):
    return text.encode("latin-1", "replace").decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace") if "\\" in text else text


def calls(lines):
    """The calls in the order in which they ended; where one was interrupted by others' lines, its parts are put together."""
    unfinished = {}
    for number, line in enumerate(lines, 1):
        process, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            unfinished[process] = (number, rest.removesuffix("<unfinished ...>"))
            continue
        begun = number
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)$", rest):
            if process not in unfinished:
                continue
            begun, head = unfinished.pop(process)
            rest = head + resumed[1]
        if parsed := re.match(r"(\w+)\((.*)\)\s+= (.*)$", rest):
            yield number, Call(begun, parsed[1], parsed[2], parsed[3])


class Disk:
    """What would be on the disk if the power failed: for each file when it was last written and synced, for each name since when it is one."""

    def __init__(self, root, lines):
        self.root, self.lines = str(root), lines
        self.written, self.synced, self.named = {}, {}, {}
        self.violations = []
        self.counts = {"names": 0, "commits": 0, "answers": 0, "checkpoints": 0}
        self.commit_written = self.commit_synced = self.all_synced = 0

    # Judgements.

    def is_synced(self, file):
        return file not in self.written or self.written[file] < max(self.all_synced, self.synced.get(file, 0))

    def is_name_synced(self, path):
        return path not in self.named or self.named[path] < max(self.all_synced, self.synced.get(path.rpartition("/")[0], 0))

    def below(self, places, path):
        return [place for place in places if place == path or place.startswith(path + "/")]

    def violation(self, line, sentence):
        self.violations.append(f"line {line}: {sentence}\n    {self.lines[line - 1].strip()[:300]}")

    def within(self, path):
        """The path below the root; None where it lies elsewhere."""
        return path.removeprefix(self.root + "/") if path.startswith(self.root + "/") else None

    # What happens.

    def run(self):
        for ended, call in calls(self.lines):
            if call.succeeded:
                self.take(ended, call)

    def take(self, ended, call):
        paths = call.paths()
        if call.name in ("fsync", "fdatasync") and paths:
            self.sync(call, paths[0])
        elif call.name == "syncfs":
            self.all_synced = call.line
        elif call.name in WRITES and paths:
            self.write(call, paths[0])
        elif call.name in ("copy_file_range", "sendfile") and len(paths) > 1:
            self.write(call, paths[1] if call.name == "copy_file_range" else paths[0])
        elif call.name in ("open", "openat", "creat") and ("O_CREAT" in call.arguments or call.name == "creat"):
            path = paths[-1]
            if path not in self.named:
                self.named[path] = call.line
            if "O_TRUNC" in call.arguments:
                self.write(call, path)
        elif call.name in ("mkdir", "mkdirat"):
            self.named[paths[-1]] = call.line
        elif call.name in ("rename", "renameat", "renameat2", "link", "linkat"):
            texts = [path for path in paths if path.startswith("/")]
            # Descriptors of folders stand before the names.
            source, target = (texts[0], texts[1]) if len(texts) == 2 else (texts[1], texts[3])
            self.name(call, source, target, is_link="link" in call.name)
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            for places in (self.written, self.synced, self.named):
                for place in self.below(places, paths[-1]):
                    del places[place]
        elif call.name in ("sendto", "sendmsg"):
            self.send(call)

    def write(self, call, path):
        if path.endswith("/state/jobs.sqlite-wal"):
            self.commit_written = call.line
        if self.within(path):
            self.written[path] = call.line

    def sync(self, call, path):
        # What is written while a sync runs may not be part of it.
        self.synced[path] = call.line
        if path.endswith("/state/jobs.sqlite-wal") and self.commit_written > self.commit_synced:
            self.commit_synced = call.line
            self.counts["commits"] += 1
            self.judge_commit(call)

    def name(self, call, source, target, is_link):
        inside = self.within(target)
        if inside is None:
            return
        self.counts["names"] += 1
        if not inside.startswith("run/"):
            for file in self.below(self.written, source):
                if not self.is_synced(file) and not self.is_log(target, file):
                    self.violation(call.line, f"{inside} is named before the content of {self.within(file) or file} is synced")
            for path in self.below(self.named, source):
                if path != source and not self.is_name_synced(path) and not self.is_log(target, path):
                    self.violation(call.line, f"{inside} is named before the name {self.within(path) or path} in it is synced")
        for places in (self.written, self.synced, self.named):
            for place in self.below(places, source):
                places[target + place[len(source) :]] = places[place] if is_link else places.pop(place)
        # A prepared job has either name after a crash, and the daemon knows both.
        folder, _, job = target.rpartition("/")
        is_prepared = f"{folder}/.new-{job}" == source
        if not is_prepared:
            self.named[target] = call.line

    def is_log(self, target, file):
        """What job.log says before the job's end may be lost with the power."""
        return file.endswith("/job.log") and (self.within(target) or "").startswith("work/")

    def judge_commit(self, call):
        for path in self.named:
            inside = self.within(path) or ""
            if re.fullmatch(r"work/[^/]+|work/[^/]+/(source|sidecar)(\.[^/]+)?|outbox/[^/.][^/]*", inside):
                if self.named[path] < self.commit_written and not self.is_name_synced(path):
                    self.violation(call.line, f"the store is committed before the name {inside} is synced, which was given in line {self.named[path]}")

    def send(self, call):
        text = call.arguments.replace('\\"', '"')
        if '"type":"checkpoint"' in text:
            self.counts["checkpoints"] += 1
            job = re.search(r'"job":"(\w+)"', text)
            self.judge_all_below(call, f"work/{job[1]}/checkpoint" if job else "work", "a checkpoint is told of")
        if '"type":"job"' in text:
            self.counts["answers"] += 1
            for job in set(re.findall(r'"id":"(\w{13})"', text)):
                folder = os.path.join(self.root, "work", job)
                places = [p for p in self.below(self.named, folder) if re.fullmatch(r"(source|sidecar)(\.[^/]+)?", p.rpartition("/")[2]) or p == folder]
                for path in places:
                    if not self.is_name_synced(path) or not self.is_synced(path):
                        self.violation(call.line, f"job {job} is answered before {self.within(path)} is synced")
                    elif self.commit_synced < self.named[path]:
                        self.violation(call.line, f"job {job} is answered before the store is")
        for outbox in set(re.findall(r'"outbox":"([^"\\]+)"', text)):
            path = f"{self.root}/outbox/{outbox}"
            if not self.is_name_synced(path) or self.commit_synced < self.named.get(path, 0):
                self.violation(call.line, f"it is told that {outbox} is in the outbox before that is synced")

    def judge_all_below(self, call, inside, what):
        place = f"{self.root}/{inside}"
        for path in self.below(self.named, place):
            if path.rpartition("/")[2].endswith(".part"):
                continue
            if not self.is_name_synced(path) or not self.is_synced(path):
                self.violation(call.line, f"{what} before {self.within(path)} is synced")
