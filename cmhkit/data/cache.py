"""Cache folders that are never half written and never trusted unchecked.

A folder is built beside its place under a temporary name and moved there in one step. Its `manifest.json` holds the key it was built
from and the SHA-256 of every file. A folder whose files do not match is built again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
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
    _sweep(path)
    if path.exists():
        problem = damage(path)
        if problem is None:
            return path
        log.warning("The cache %s is damaged (%s). It is built again.", path, problem)
        _remove(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}.", dir=path.parent))
    try:
        build(temporary)
        _write_manifest(temporary, key)
        _publish(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def damage(path: Path) -> str | None:
    """Why a cache folder cannot be trusted, or None if every file matches its checksum."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return "no readable manifest"
    for file, digest in files.items():
        try:
            if sha256(path / file) != digest:
                return f"{file} does not match its checksum"
        except OSError:
            return f"{file} cannot be read"
    return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path in the same folder, then move the result to `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask. mkstemp ignores it and keeps files to their owner."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
        # Another process was faster. Its folder has the same key, so it serves; a damaged one is not kept.
        if damage(path) is not None:
            _remove(path)
            os.replace(temporary, path)


def _remove(path: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}.", dir=path.parent))
    if path.is_dir():
        os.replace(path, aside / "old")
    else:
        path.unlink()
    shutil.rmtree(aside, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Remove what killed builds of this folder left behind."""
    for left in path.parent.glob(f".{path.name}.*"):
        pid = left.name.removeprefix(f".{path.name}.").split(".")[0]
        if not (pid.isdigit() and _alive(int(pid))):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
