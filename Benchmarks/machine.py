"""What a reader must know of the machine and of the versions, to judge figures from it."""

import datetime
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "openvino", "numpy", "safetensors", "av")
LIBRARIES = ("libdnnl2", "libdnnl3", "libopenblas0-openmp", "libgomp1")
INSTRUCTIONS = re.compile(r"^(sse4_2|avx|avx2|fma|f16c|avx_vnni|avx512\w*|amx_\w+|neon|asimd\w*|sve\w*|bf16|i8mm)$")


def said(*command):
    """A program's first line; nothing where there is no such program."""
    try:
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processor():
    fields = dict(
        map(str.strip, line.split(":", 1)) for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in line
    )
    flags = fields.get("flags", fields.get("Features", "")).split()
    numbers = " ".join(f"{key} {fields[key]}" for key in ("cpu family", "model", "stepping") if key in fields)
    return {
        "processor": fields.get("model name", platform.machine()) + (f" ({numbers})" if numbers else ""),
        "instruction_sets": [flag for flag in flags if INSTRUCTIONS.match(flag)],
        "is_virtual": "hypervisor" in flags,
    }


def system():
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    return f"{name[1] if name else platform.system()}, Linux {platform.release()}"


def versions():
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    for library in LIBRARIES:
        if version := said("dpkg-query", "--show", "--showformat=${Version}", library):
            found[library] = version
    found["python"] = platform.python_version()
    return found


def commit(repository):
    """Says so where the work tree differs in more than results."""
    git = "git", "-C", str(repository)
    name = said(*git, "describe", "--always") or "unknown"
    return name + ("-dirty" if said(*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!Benchmarks/results") else "")


def digest(path):
    """Tells this build of a program from others."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else None


def describe(repository, programs, threads):
    return {
        **processor(),
        "processors": len(os.sched_getaffinity(0)),
        "threads": threads,
        "memory_bytes": memory_bytes(),
        "system": system(),
        "versions": versions(),
        "commit": commit(repository),
        "programs": {name: digest(programs / name) for name in ("stem-bench", "stemctl")},
        "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("OMP_", "OPENBLAS_", "ONEDNN_", "MKL_", "KMP_"))},
        "load_average": os.getloadavg()[0],
        "command": shlex.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
    }
