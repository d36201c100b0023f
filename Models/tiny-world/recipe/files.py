"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def written_aside(path):
    """Gives a path beside `path` to write a file or a folder to; it takes the name, in place of what has it, once all is on disk.

    What an interruption left aside is removed.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    remove(aside)
    yield aside
    # What a folder holds before the folder itself.
    for each in [*reversed(sorted(aside.rglob("*"))), aside]:
        sync(each)
    if path.is_dir():
        # A folder cannot be replaced in one step: for a moment neither is there, and what was is kept beside it until then.
        old = path.with_name(f".{path.name}.old")
        remove(old)
        path.rename(old)
        aside.rename(path)
        remove(old)
    else:
        aside.replace(path)
    sync(path.parent)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
