"""Files that are never half written, checksums, and locks between processes."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmhkit.support.progress import Step, progress

_CHUNK = 2**20
# Whose temporary files may be judged by their process number: several machines can share a home folder.
_NODE = re.sub(r"\W", "", platform.node())
_LONGEST_BUILD = 24 * 3600
# What this process writes at this moment: a number alone does not tell it from an earlier process of the same number.
_in_use: set[str] = set()


def sha256(path: Path, step: Step | None = None) -> str:
    """The SHA-256 of a file, hexadecimal. step: called after every megabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if step is not None and len(chunk) == _CHUNK:
                step()
    return digest.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path in the same folder, then move the result to `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        write(temporary)
        flush(temporary)
        os.replace(temporary, path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A free name beside `path` that says who uses it. What stands there at the end is removed, and so is what killed
    processes left.
    """
    sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{_NODE}.{secrets.token_hex(6)}.tmp")
    _in_use.add(temporary.name)
    try:
        yield temporary
    finally:
        delete(temporary)
        _in_use.discard(temporary.name)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """A block that one process at a time is in, for one path. The system lifts the lock of a process that died.

    Where the file system cannot lock, all are in it at once.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with progress(1, f"Another process builds {path.name}; waiting for it") as step:
            while not lock.is_locked:
                with suppress(Timeout):
                    lock.acquire(timeout=0.5)
                step(0)
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()


def remove(path: Path) -> None:
    # Moved away first, in one step: nobody sees half of it. Another process may have done so already.
    with temporary_beside(path) as aside, suppress(FileNotFoundError):
        os.replace(path, aside)


def delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sweep(path: Path) -> None:
    """Remove what killed processes left beside `path`: theirs on this machine, and anybody's after a day."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)-(\w*)\.[0-9a-f]{{12}}\.tmp")
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if (match := pattern.fullmatch(left.name)) is None or left.name in _in_use:
            continue
        pid, node = int(match[1]), match[2]
        gone = node == _NODE and (pid == os.getpid() or not _alive(pid))
        with suppress(OSError):
            if gone or time.time() - left.lstat().st_mtime > _LONGEST_BUILD:
                delete(left)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
