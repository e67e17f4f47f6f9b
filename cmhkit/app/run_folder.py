"""A run folder: one training run, from its settings to its report, that a stopped or killed process can go on with.

    RUN/config.json            method, options, data, versions, machine: written first, never changed
    RUN/history.json           one row an epoch, replaced after every epoch
    RUN/checkpoint/            the state after the last epoch, until the run is finished
    RUN/hasher.safetensors     the fitted hasher, as `cmhkit.load` reads it
    RUN/codes/                 packed codes of queries and retrieval set, their ids, and what the retrieved items are
    RUN/report.json, .html     how well it retrieves, both ways
    RUN/finished.json          written last: the SHA-256 of every file

Without the last file nothing but config.json and checkpoint/ is trusted. Every file is written under a temporary name
and moved to its place in one step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cmhkit.data
from cmhkit.app.settings import Settings, plain
from cmhkit.data.pairs import PARTS, PairedData
from cmhkit.hasher import CrossModalHasher
from cmhkit.hasher import load as load_hasher
from cmhkit.support.checks import InputError, check
from cmhkit.support.files import sha256, write_atomically

FORMAT = 1
CONFIG, HISTORY, HASHER, FINISHED = "config.json", "history.json", "hasher.safetensors", "finished.json"
REPORT, PAGE, CHECKPOINT, CODES = "report.json", "report.html", "checkpoint", "codes"
ITEMS = "codes/retrieval_items.json"
#: What `--fresh` may remove, in this order: at every moment, what is left is a whole run, or one that starts anew.
OWN = (CHECKPOINT, FINISHED, HASHER, CODES, REPORT, PAGE, HISTORY, CONFIG)
_SETTINGS = [field.name for field in dataclasses.fields(Settings)]
_FINGERPRINT_PICTURES = 64

#: What takes a line that a user reads.
Say = Callable[[str], None]


class RunFolder:
    """One run's folder. path: where it is, or will be."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check(not self.path.exists() or self.path.is_dir(), f"{self.path}: expected a run folder, got a file")

    def config(self) -> dict[str, Any] | None:
        """The configuration, or None where there is none yet. Errors: `InputError` if it cannot be read."""
        file = self.path / CONFIG
        if not file.exists():
            return None
        config = self._json(CONFIG)
        good = isinstance(config, dict) and {"format", *_SETTINGS, "items", "device"} <= config.keys()
        check(good, f"{file}: expected the configuration of a run, got something else")
        check(
            config["format"] == FORMAT,
            f"{file}: expected format {FORMAT}, got {config['format']!r}; it is of another version of cmhkit",
        )
        return config

    def settings(self) -> Settings:
        """The settings that the run was started with."""
        config = self.config()
        what = f"a folder without {CONFIG}" if self.path.exists() else "nothing at this path"
        check(config is not None, f"{self.path}: expected a run folder, which cmhkit train writes, got {what}")
        return Settings(**{name: config[name] for name in _SETTINGS})

    def command(self, *extra: str) -> str:
        """The command that goes on with this run, or with "--fresh" starts it anew."""
        device = self.config()["device"]
        return self.settings().command(self.path, *(() if device == "auto" else ("--device", device)), *extra)

    @property
    def finished(self) -> bool:
        """True once the last file is written."""
        return (self.path / FINISHED).is_file()

    def checked(self, *files: str) -> RunFolder:
        """This folder, once it is finished and these files match their checksums. Errors: `InputError`."""
        self.settings()
        check(
            self.finished,
            f"{self.path}: expected a finished run, got one that was stopped; go on with: {self.command()}",
        )
        known = self._json(FINISHED).get("files", {})
        for name in files:
            file = self.path / name
            check(
                name in known and file.is_file() and sha256(file) == known[name],
                f"{file}: expected the file that the run wrote, got another; train again: {self.command('--fresh')}",
            )
        return self

    def hasher(self) -> CrossModalHasher:
        """The fitted hasher of a finished run."""
        return load_hasher(self.checked(HASHER).path / HASHER)

    def data(self) -> PairedData:
        """The data set of the run. Errors: `InputError` if it is not what it was."""
        settings = self.settings()
        data = cmhkit.data.load(settings.data, **settings.data_options)
        self.check_data(data)
        return data

    def check_data(self, data: PairedData) -> None:
        """Errors: `InputError` unless a data set has the fingerprint that was kept when the run was started."""
        check(
            fingerprint(data) == self.config()["items"]["fingerprint"],
            f"data: expected {data.name} as it was when {self.path} was started, but its items have changed; "
            "use another run folder, or --fresh",
        )

    def codes(self, name: str) -> np.ndarray:
        """Codes or ids of a finished run. name: such as "retrieval_images" (packed codes) or "retrieval_ids"."""
        file = f"{CODES}/{name}.npy"
        return np.load(self.checked(file).path / file)

    def items(self) -> dict[str, Any]:
        """What the items of the retrieval set are: "ids", "texts", "labels" and "files"; each a list, or None."""
        self.checked(ITEMS)
        return self._json(ITEMS)

    def report(self) -> dict[str, Any]:
        """The report of a finished run, as `report_content` made it."""
        self.checked(REPORT)
        return self._json(REPORT)

    def history(self) -> list[dict[str, Any]]:
        """One row an epoch."""
        return self._json(HISTORY)

    def clear(self) -> None:
        """Remove what a run wrote here, and nothing else."""
        for name in OWN:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Write what says that the run is whole, then drop the checkpoint."""
        codes = sorted(f"{CODES}/{p.name}" for p in (self.path / CODES).iterdir() if not p.name.startswith("."))
        checksums = {name: sha256(self.path / name) for name in (HISTORY, HASHER, REPORT, PAGE, *codes)}
        write_json(self.path / FINISHED, {"files": checksums, "time": now()})
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run, which is of no more use."""
        shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder, so that no two processes train in it at once. The system lets go of it when one dies."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"{self.path}: another process is training in this folder now; wait, or name another folder"
            ) from error
        except (OSError, NotImplementedError):  # a file system without locks
            pass
        try:
            yield
        finally:
            if {p.name for p in self.path.iterdir()} <= {".lock"}:  # nothing came of it
                shutil.rmtree(self.path)
            lock.release()

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path / name}: expected a file that cmhkit wrote, got one that cannot be read ({error})"
            ) from error

    def strange(self) -> list[str]:
        """Names in a folder without a configuration: not a run's. What a killed process left under a temporary name is
        not counted.
        """
        names = [p.name for p in self.path.iterdir()] if self.path.exists() else []
        own = [name for name in names if name == ".lock" or (name.startswith(".") and name.endswith(".tmp"))]
        return sorted(set(names) - set(own))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step. NaN and infinity become null."""
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy in one step."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array)

    write_atomically(path, write)


def fingerprint(data: PairedData) -> str:
    """What tells one data set from another: ids, split, labels, texts, and some of the pictures, as a short hexadecimal
    number.
    """
    digest = hashlib.blake2b(digest_size=16)
    places = np.unique(np.linspace(0, len(data) - 1, _FINGERPRINT_PICTURES).astype(np.int64))
    pictures = [np.asarray(data.images[int(place)]) for place in places]
    parts = [data.parts[name] for name in PARTS]
    for array in (data.ids, *parts, data.labels, data.text_vectors, *pictures):
        if array is not None:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def now() -> str:
    """The time, as it is written into a run's files."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
