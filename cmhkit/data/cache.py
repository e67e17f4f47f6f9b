"""Cache folders that are never half written and never trusted unchecked.

A folder is built beside its place under a temporary name and moved there in one step. Its `manifest.json` holds the key it was built
from and the SHA-256 of every file. A folder whose files do not match is built again.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmhkit.progress import Step, progress

MANIFEST = "manifest.json"
_CHUNK = 2**20
# Megabytes that take longer than about a second to check.
_SLOW_TO_CHECK = 1000
# Whose temporary files may be judged by their process number: several machines can share a home folder.
_NODE = re.sub(r"\W", "", platform.node())
_LONGEST_BUILD = 24 * 3600
# What this process writes at this moment: a number alone does not tell it from an earlier process of the same number.
_in_use: set[str] = set()
log = logging.getLogger("cmhkit")


def cache_dir() -> Path:
    """The cache folder: `$CMHKIT_CACHE` if set, else the user's cache folder. It is made if it is missing."""
    named = os.environ.get("CMHKIT_CACHE")
    if named:
        path = Path(named).expanduser()
    else:
        import platformdirs

        path = Path(platformdirs.user_cache_dir("cmhkit"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def key_digest(key: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def checked_folder(name: str, key: dict[str, Any], build: Callable[[Path], None]) -> Path:
    """The cache folder for `key`, built if it is missing or damaged.

    name: a readable beginning of the folder's name. key: everything the content depends on, plain JSON types.
    build: writes the content into the empty folder it is given.
    """
    path = cache_dir() / f"{name}-{key_digest(key)}"
    if _usable(path):
        return path
    with _only_builder(path):
        if _usable(path):  # another process has built it meanwhile
            return path
        with _temporary(path) as temporary:
            temporary.mkdir()
            build(temporary)
            _write_manifest(temporary, key)
            _publish(temporary, path)
    return path


def _usable(path: Path) -> bool:
    """Whether a folder is there and can be trusted; a damaged one is removed."""
    if not path.exists():
        return False
    problem = damage(path)
    if problem is None:
        _sweep(path)
        return True
    log.warning("The cache %s is damaged (%s). It is built again.", path, problem)
    _remove(path)
    return False


@contextmanager
def _only_builder(path: Path) -> Iterator[None]:
    """A block that one process at a time is in, for one cache folder. The system lifts the lock of a process that died.

    Where the file system cannot lock, everybody builds, and the first one's folder stays.
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


def damage(path: Path) -> str | None:
    """Why a cache folder cannot be trusted, or None if it holds the files of its manifest and every one matches its checksum."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        found = {p.name for p in path.iterdir() if not p.name.startswith(".")} - {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        return "no readable manifest"
    if not isinstance(files, dict) or not files or found - files.keys():
        return "the manifest does not list its files"
    megabytes = sum((path / file).stat().st_size for file in files if (path / file).is_file()) // _CHUNK
    with progress(megabytes, "Checking the data, MB", show=megabytes > _SLOW_TO_CHECK) as step:
        for file, digest in files.items():
            try:
                if sha256(path / file, step) != digest:
                    return f"{file} does not match its checksum"
            except OSError:
                return f"{file} cannot be read"
    return None


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
    with _temporary(path) as temporary:
        write(temporary)
        _flush(temporary)
        os.replace(temporary, path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A free name beside `path` that says who uses it. What stands there at the end is removed, and so is what killed processes left."""
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{_NODE}.{secrets.token_hex(6)}.tmp")
    _in_use.add(temporary.name)
    try:
        yield temporary
    finally:
        _delete(temporary)
        _in_use.discard(temporary.name)


def _write_manifest(folder: Path, key: dict[str, Any]) -> None:
    names = sorted(p.name for p in folder.iterdir())
    for name in names:
        _flush(folder / name)
    manifest = {"key": key, "files": {name: sha256(folder / name) for name in names}}
    write_atomically(folder / MANIFEST, lambda p: p.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8"))


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.replace(temporary, path)
    except OSError:
        if not path.exists():
            raise
        # Another process was faster. Its folder has the same key, so it serves; a damaged one is not kept.
        if damage(path) is not None:
            _remove(path)
            os.replace(temporary, path)


def _remove(path: Path) -> None:
    # Moved away first, in one step: nobody sees half of it. Another process may have done so already.
    with _temporary(path) as aside, suppress(FileNotFoundError):
        os.replace(path, aside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _sweep(path: Path) -> None:
    """Remove what killed processes left beside `path`: theirs on this machine, and anybody's after a day."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)-(\w*)\.[0-9a-f]{{12}}\.tmp")
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if (match := pattern.fullmatch(left.name)) is None or left.name in _in_use:
            continue
        pid, node = int(match[1]), match[2]
        gone = node == _NODE and (pid == os.getpid() or not _alive(pid))
        with suppress(OSError):
            if gone or time.time() - left.lstat().st_mtime > _LONGEST_BUILD:
                _delete(left)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
