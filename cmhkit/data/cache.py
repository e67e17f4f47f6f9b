"""Cache folders that are never half written and never trusted unchecked.

A folder is built beside its place under a temporary name and moved there in one step. Its `manifest.json` holds the key
it was built from and the SHA-256 of every file. A folder whose files do not match is built again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmhkit.support.files import flush, only_one, remove, sha256, sweep, temporary_beside, write_atomically
from cmhkit.support.progress import progress

MANIFEST = "manifest.json"
_MEGABYTE = 2**20
# Megabytes that take longer than about a second to check.
_SLOW_TO_CHECK = 1000
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
    with only_one(path):
        if _usable(path):  # another process has built it meanwhile
            return path
        with temporary_beside(path) as temporary:
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
        sweep(path)
        return True
    log.warning("The cache %s is damaged (%s). It is built again.", path, problem)
    remove(path)
    return False


def damage(path: Path) -> str | None:
    """Why a cache folder cannot be trusted, or None if it holds the files of its manifest and every one matches its
    checksum.
    """
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        names = {p.name for p in path.iterdir() if not p.name.startswith(".")} - {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        return "no readable manifest"
    if not isinstance(files, dict) or not files or names - files.keys():
        return "the manifest does not list its files"
    megabytes = sum((path / file).stat().st_size for file in files if (path / file).is_file()) // _MEGABYTE
    with progress(megabytes, "Checking the data, MB", show=megabytes > _SLOW_TO_CHECK) as step:
        for file, digest in files.items():
            try:
                if sha256(path / file, step) != digest:
                    return f"{file} does not match its checksum"
            except OSError:
                return f"{file} cannot be read"
    return None


def _write_manifest(folder: Path, key: dict[str, Any]) -> None:
    names = sorted(p.name for p in folder.iterdir())
    for name in names:
        flush(folder / name)
    manifest = {"key": key, "files": {name: sha256(folder / name) for name in names}}
    write_atomically(
        folder / MANIFEST, lambda p: p.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    )


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.replace(temporary, path)
    except OSError:
        if not path.exists():
            raise
        # Another process was faster. Its folder has the same key, so it serves; a damaged one is not kept.
        if damage(path) is not None:
            remove(path)
            os.replace(temporary, path)
