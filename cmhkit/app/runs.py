"""A run folder: one training run, from its settings to its report, that a stopped or killed process can go on with.

    RUN/config.json            method, options, data, versions, machine: written first, never changed
    RUN/history.json           one row an epoch, replaced after every epoch
    RUN/checkpoint/            the state after the last epoch, until the run is finished
    RUN/hasher.safetensors     the fitted hasher, as `cmhkit.load` reads it
    RUN/codes/                 packed codes of queries and retrieval set, their ids, and what the retrieved items are
    RUN/report.json, .html     how well it retrieves, both ways
    RUN/finished.json          written last: the SHA-256 of every file. Without it nothing but config.json and
    checkpoint/ is trusted.

Every file is written under a temporary name and moved to its place in one step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import inspect
import io
import json
import math
import platform
import shlex
import shutil
import sys
import time
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmhkit import __version__, metrics
from cmhkit.data import BUILT_IN, READERS
from cmhkit.data import load as load_data
from cmhkit.hasher import METHODS, CrossModalHasher, Report
from cmhkit.hasher import load as load_hasher
from cmhkit.index import HammingIndex
from cmhkit.support.checks import InputError, check
from cmhkit.support.files import sha256, write_atomically
from cmhkit.support.options import as_dict
from cmhkit.support.progress import progress

if TYPE_CHECKING:
    from cmhkit.data.pairs import PairedData, Split

FORMAT = 1
WAYS = ("image_to_text", "text_to_image")
CONFIG, HISTORY, HASHER, FINISHED = "config.json", "history.json", "hasher.safetensors", "finished.json"
REPORT, PAGE, CHECKPOINT, CODES, ITEMS = (
    "report.json",
    "report.html",
    "checkpoint",
    "codes",
    "codes/retrieval_items.json",
)
#: What `--fresh` may remove, in this order: at every moment, what is left is either a whole run or one that starts
#: anew.
OWN = (CHECKPOINT, FINISHED, HASHER, CODES, REPORT, PAGE, HISTORY, CONFIG)
# Longest text of an item that is kept for showing search results.
_SHOWN_TEXT = 300
_FINGERPRINT_PICTURES = 64
_CURVE_PLACES = 200
# Pictures that are read before they are encoded.
_PICTURES = 256
_HEALTH = (
    "items",
    "distinct",
    "commonest",
    "balance",
    "constant_bits",
    "mean_correlation",
    "effective_bits",
    "reasons",
)

Say = Callable[[str], None]


# What a user writes, as values.


def parsed(name: str, text: str, hint: Any) -> Any:
    """The value of an option that was given as text.

    name: of the option, for errors. text: as written. hint: the option's type: bool, int, float, str, None, a path, a
    tuple of one of these, or several of them, of which the first that fits counts, in this order. "none" is None where
    None is allowed. Errors: `InputError`.
    """
    allowed = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = text.strip()
    if type(None) in allowed and plain.lower() in ("none", ""):
        return None
    if bool in allowed and plain.lower() in ("true", "yes", "false", "no"):
        return plain.lower() in ("true", "yes")
    for kind in (int, float):
        if kind in allowed:
            with contextlib.suppress(ValueError):
                return kind(plain)
    for kind in allowed:
        if typing.get_origin(kind) is tuple:
            inside = typing.get_args(kind)[0]
            return tuple(parsed(name, part, inside) for part in plain.strip("()[]").split(",") if part.strip())
    if not set(allowed) <= {bool, int, float, type(None)}:
        return text
    words = {bool: "true or false", int: "a whole number", float: "a number", type(None): "none"}
    raise InputError(f"{name}: expected {' or '.join(words[kind] for kind in words if kind in allowed)}, got {text!r}")


def pairs_of(given: list[str], argument: str) -> dict[str, str]:
    """`["rounds=3"]` as `{"rounds": "3"}`. Errors: `InputError` for one without a name, or a name given twice."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        check(equals and name, f"{argument}: expected name=value, got {text!r}")
        check(name not in found, f"{argument}: expected each name once, got {name!r} twice")
        found[name] = value
    return found


def method_class(method: str) -> type[CrossModalHasher]:
    """The class of a method. method: one of `cmhkit.hasher.METHODS`, in any case."""
    names = {name.lower(): name for name in METHODS}
    check(method.lower() in names, f"method: expected one of {', '.join(names)}, got {method!r}")
    name = names[method.lower()]
    return getattr(importlib.import_module(METHODS[name]), name)


def presets_of(method: str) -> dict[str, Any]:
    """The configurations of a method, by name. method: as for `method_class`. A paper's are read without its networks."""
    try:
        return importlib.import_module(f"{METHODS.get(method.upper())}.config").PRESETS
    except ModuleNotFoundError:
        return method_class(method).presets


def options_of(kind: type[CrossModalHasher], given: list[str]) -> dict[str, Any]:
    """The options of a method, typed as the fields of its preset. given: "name=value" each. An unknown name is left to
    the method to refuse.
    """
    hints = typing.get_type_hints(type(next(iter(kind.presets.values()))))
    found = {name: parsed(name, text, hints.get(name, str)) for name, text in pairs_of(given, "--set").items()}
    if isinstance(found.get("weights"), str):
        found["weights"] = str(Path(found["weights"]).expanduser().absolute())
    return found


def data_spec(name: str, given: list[str]) -> tuple[str, dict[str, Any]]:
    """A data set's name with its path made absolute, and its options, typed as the loader's arguments. given:
    "name=value" each.
    """
    reader, colon, path = name.partition(":")
    place = READERS.get(reader) if colon else BUILT_IN.get(name)
    texts = pairs_of(given, "--data-option")
    if place is None:
        return name, dict(texts)  # `load` says what it knows
    module, _, function = place.partition(":")
    loader = getattr(importlib.import_module(module), function)
    known = inspect.signature(loader).parameters
    hints = typing.get_type_hints(loader)
    found = {
        option: parsed(option, text, hints.get(option, str)) if option in known else text
        for option, text in texts.items()
    }
    for option, value in found.items():
        if value is not None and option in known and _takes_a_path(hints.get(option)):
            found[option] = str(Path(value).expanduser().absolute())
    return (f"{reader}:{Path(path).expanduser().absolute()}" if colon and path else name), found


def _takes_a_path(hint: Any) -> bool:
    return Path in (typing.get_args(hint) or (hint,))


# The settings of a run.


@dataclass(frozen=True)
class Settings:
    """What decides a run.

    method: the class's name. options: what was given besides the preset. config: every option of the method, as it is
    used.
    data: as for `cmhkit.data.load`, with an absolute path. data_options: those of the loader.
    """

    method: str
    bits: int
    preset: str
    seed: int
    options: dict[str, Any]
    config: dict[str, Any]
    data: str
    data_options: dict[str, Any]

    @classmethod
    def of(cls, hasher: CrossModalHasher, options: dict[str, Any], data: str, data_options: dict[str, Any]) -> Settings:
        """The settings of a hasher that is about to be fitted."""
        config = _plain(as_dict(hasher.config))
        return cls(
            type(hasher).__name__,
            hasher.bits,
            hasher.preset,
            hasher.seed,
            _plain(options),
            config,
            data,
            _plain(data_options),
        )

    def command(self, out: str | Path, *extra: str) -> str:
        """The command that starts this run, or goes on with it."""
        words = ["cmhkit", "train", self.method.lower(), "--data", self.data]
        for name, value in self.data_options.items():
            words += ["--data-option", f"{name}={_written(value)}"]
        words += ["--bits", str(self.bits), "--preset", self.preset, "--seed", str(self.seed)]
        for name, value in self.options.items():
            words += ["--set", f"{name}={_written(value)}"]
        return shlex.join([*words, *extra, "--out", str(out)])

    def difference(self, kept: dict[str, Any]) -> str | None:
        """The first setting in which a kept configuration differs, in words, or None."""
        for name in ("method", "bits", "preset", "seed", "data", "data_options"):
            mine, other = getattr(self, name), kept.get(name)
            if mine != other:
                return f"{name.replace('_', ' ')} {_written(other)} there, {_written(mine)} here"
        for name in sorted(self.config.keys() | kept["config"].keys()):
            mine, other = self.config.get(name), kept["config"].get(name)
            if mine != other:
                return f"{name} {_written(other)} there, {_written(mine)} here"
        return None


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_written(inside)}" for name, inside in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON keeps it: tuples become lists, NumPy's numbers Python's, NaN and infinity None."""
    if isinstance(value, dict):
        return {str(name): _plain(inside) for name, inside in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inside) for inside in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


# The folder.


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
        found = self._json(CONFIG)
        good = (
            isinstance(found, dict)
            and {
                "format",
                "method",
                "bits",
                "preset",
                "seed",
                "options",
                "config",
                "data",
                "data_options",
                "items",
                "device",
            }
            <= found.keys()
        )
        check(good, f"{file}: expected the configuration of a run, got something else")
        check(
            found["format"] == FORMAT,
            f"{file}: expected format {FORMAT}, got {found['format']!r}; it is of another version of cmhkit",
        )
        return found

    def settings(self) -> Settings:
        """The settings that the run was started with."""
        found = self.config()
        check(
            found is not None,
            f"{self.path}: expected a run folder, which cmhkit train writes, got {self._what_is_there()}",
        )
        return Settings(**{field.name: found[field.name] for field in dataclasses.fields(Settings)})

    def command(self, *extra: str) -> str:
        """The command that goes on with this run, or with "--fresh" starts it anew."""
        device = self.config()["device"]
        return self.settings().command(self.path, *(() if device == "auto" else ("--device", device)), *extra)

    @property
    def finished(self) -> bool:
        """True once the last file is written."""
        return (self.path / FINISHED).is_file()

    def checked(self, *files: str) -> RunFolder:
        """This folder, once it is finished and these files of it match their checksums. Errors: `InputError` that says
        what to do.
        """
        self.settings()
        check(
            self.finished,
            f"{self.path}: expected a finished run, got one that was stopped; go on with: {self.command()}",
        )
        known = self._json(FINISHED).get("files", {})
        for name in files:
            file = self.path / name
            good = name in known and file.is_file() and sha256(file) == known[name]
            check(
                good,
                f"{file}: expected the file that the run wrote, got another; train again: {self.command('--fresh')}",
            )
        return self

    def hasher(self) -> CrossModalHasher:
        """The fitted hasher of a finished run."""
        return load_hasher(self.checked(HASHER).path / HASHER)

    def data(self) -> PairedData:
        """The data set of the run. Errors: `InputError` if it is not what it was."""
        settings = self.settings()
        found = load_data(settings.data, **settings.data_options)
        self.check_data(found)
        return found

    def check_data(self, data: PairedData) -> None:
        """Compare a data set with the fingerprint that was kept when the run was started."""
        kept = self.config()["items"]["fingerprint"]
        check(
            fingerprint(data) == kept,
            f"data: expected {data.name} as it was when {self.path} was started, but its items have changed; use another run folder, or --fresh",
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
        files = [
            HISTORY,
            HASHER,
            REPORT,
            PAGE,
            *sorted(f"{CODES}/{p.name}" for p in (self.path / CODES).iterdir() if not p.name.startswith(".")),
        ]
        write_json(self.path / FINISHED, {"files": {name: sha256(self.path / name) for name in files}, "time": _now()})
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run, which is of no more use."""
        shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder, so that two processes do not train in it at once. The system lets go of it when a process
        dies.
        """
        try:
            import fcntl
        except ImportError:  # no such lock on this system
            yield
            return
        lock = self.path / ".lock"
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{self.path}: another process is training in this folder now; wait, or name another folder"
                ) from error
            except OSError:  # a file system without locks
                pass
            try:
                yield
            finally:
                if {p.name for p in self.path.iterdir()} == {lock.name}:  # nothing came of it
                    lock.unlink()
                    self.path.rmdir()

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path / name}: expected a file that cmhkit wrote, got one that cannot be read ({error})"
            ) from error

    def _what_is_there(self) -> str:
        if not self.path.exists():
            return "nothing at this path"
        return f"a folder without {CONFIG}"

    def strange(self) -> list[str]:
        """Names in a folder without a configuration: not a run's. What a killed process left under a temporary name is
        not counted.
        """
        if not self.path.exists():
            return []
        return sorted(
            p.name
            for p in self.path.iterdir()
            if p.name != ".lock" and not (p.name.startswith(".") and p.name.endswith(".tmp"))
        )


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step. NaN and infinity become null."""
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy in one step."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array)

    write_atomically(path, write)


# Training.


def train(
    method: str,
    out: str | Path,
    *,
    data: str = "scenes",
    data_options: list[str] | tuple[str, ...] = (),
    bits: int = 32,
    preset: str = "lab",
    seed: int = 0,
    device: str = "auto",
    options: list[str] | tuple[str, ...] = (),
    fresh: bool = False,
    say: Say = print,
) -> RunFolder:
    """Train in a run folder, go on with a run that was stopped there, or say that it is finished.

    method, bits, preset, seed, device: as for the hashers. options, data_options: "name=value" each. data: as for
    `cmhkit.data.load`. fresh: start anew, whatever run is in the folder. say: takes a line at each stage and at the end
    of every epoch.
    Inside `cmhkit.train.distributed.started` every process calls this; the first one alone reads and writes the folder.
    Returns the folder. Errors: `InputError` for bad input, for a folder that holds something else
    or another run, and for data that have changed since the run was started.
    """
    folder = RunFolder(out)
    kind = method_class(method)
    given = options_of(kind, list(options))
    hasher = kind(bits, preset=preset, seed=seed, device=device, **given)
    if kind.__module__.split(".")[1] != "baselines":
        from cmhkit.train.device import resolve_device

        resolve_device(device)
    settings = Settings.of(hasher, given, *data_spec(data, list(data_options)))
    together = _together()
    if together is not None and together.rank() > 0:
        if together.told():
            hasher.fit(load_data(settings.data, **settings.data_options), show_progress=False)
        return folder
    kept = folder.config()
    if kept is None:
        strange = folder.strange()
        check(
            not strange,
            f"out: expected a new folder, or one of a run, got {folder.path}, which holds {', '.join(strange[:3])}",
        )
    elif not fresh:
        differs = settings.difference(kept)
        check(
            differs is None,
            f"out: {folder.path} holds another run ({differs}); name another folder, or pass --fresh to replace it",
        )
        if folder.finished:
            folder.checked(HASHER)
            folder.drop_checkpoint()
            say(f"{folder.path}: this run is finished; --fresh trains it again")
            if together is not None:
                together.tell(False)
            return folder
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.alone():
        with contextlib.redirect_stdout(_Lines(say)):
            found = load_data(settings.data, **settings.data_options)
            say(repr(found))
            if kept is not None and fresh:
                say(f"{folder.path}: the run in it is removed, and trained anew")
                folder.clear()
            if folder.config() is None:
                write_json(folder.path / CONFIG, _described(settings, found, device))
            else:
                folder.check_data(found)
                _note_versions(folder, say)
            if together is not None:
                say(f"{together.size()} processes train together")
                together.tell(True)
            fit(hasher, found, folder, say)
            finish(hasher, found, folder, say)
    return folder


def _together() -> types.ModuleType | None:
    """`cmhkit.train.distributed` in one of several processes that train together, which wait for the first one's word;
    else None.
    """
    parallel = sys.modules.get("cmhkit.train.distributed")
    return parallel if parallel is not None and parallel.size() > 1 else None


class _Lines(io.TextIOBase):
    """What a fit prints, passed on line by line."""

    def __init__(self, say: Say) -> None:
        self._say, self._rest, self._out = say, "", sys.stdout

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        with contextlib.redirect_stdout(self._out):  # `say` may print
            for line in lines:
                self._say(line)
        return len(text)


def fit(hasher: CrossModalHasher, data: PairedData, folder: RunFolder, say: Say) -> None:
    """Fit with a checkpoint after every epoch. What the history file says is for reading; a run goes on from its
    checkpoint.
    """
    done = epochs_kept(folder)
    if done:
        say(f"goes on after epoch {done[-1]['epoch']}")

    def epoch_done(row: dict[str, Any], fitted: CrossModalHasher) -> None:
        write_json(folder.path / HISTORY, fitted.history_)
        say(_told(row))

    hasher.fit(data, checkpoint_dir=folder.path / CHECKPOINT, callback=epoch_done)
    write_json(folder.path / HISTORY, hasher.history_)


def epochs_kept(folder: RunFolder) -> list[dict[str, Any]]:
    """The history inside the checkpoint, if there is one that can be read; if it cannot, `fit` says so."""
    file = folder.path / CHECKPOINT / "checkpoint.pt"
    if not file.exists():
        return []
    import torch

    try:
        return torch.load(file, weights_only=True, mmap=True)["state"]["history"]
    except Exception:  # torch has no one error for it
        return []


def _told(row: dict[str, Any]) -> str:
    parts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items() if isinstance(value, float)]
    return f"epoch {row['epoch']}: {', '.join(parts)}".rstrip(": ")


def finish(hasher: CrossModalHasher, data: PairedData, folder: RunFolder, say: Say) -> None:
    """Write the hasher, the codes and the report of a fitted hasher, and last what says that the run is whole."""
    say("saving the hasher")
    hasher.save(folder.path / HASHER)
    say("encoding")
    found = encoded(hasher, data)
    for name, array in found.items():
        write_array(folder.path / f"{CODES}/{name}.npy", array)
    write_array(folder.path / f"{CODES}/query_ids.npy", data.query.ids)
    write_array(folder.path / f"{CODES}/retrieval_ids.npy", data.retrieval.ids)
    write_json(folder.path / ITEMS, described_items(data))
    report = None
    if data.labels is None:
        say("no report of quality: the data have no labels that would say what is relevant")
    else:
        say("measuring")
        report = hasher.measured(data, found)
    write_report(folder.path, report_content(report, hasher, data), folder)
    folder.finish()


def fingerprint(data: PairedData) -> str:
    """What tells one data set from another: ids, split, labels, texts, and some of the pictures, as a short hexadecimal
    number.
    """
    digest = hashlib.blake2b(digest_size=16)
    places = np.unique(np.linspace(0, len(data) - 1, _FINGERPRINT_PICTURES).astype(np.int64))
    pictures = [np.asarray(data.images[int(place)]) for place in places]
    for array in (
        data.ids,
        *(data.parts[name] for name in ("query", "retrieval", "train")),
        data.labels,
        data.text_vectors,
        *pictures,
    ):
        if array is not None:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _described(settings: Settings, data: PairedData, device: str) -> dict[str, Any]:
    """The content of config.json."""
    items = {
        "name": data.name,
        "pairs": len(data),
        "parts": {name: len(data.parts[name]) for name in data.parts},
        "images": list(data.images.shape[1:]),
        "resize": data.details.get("resize", "letterbox"),
        "text_width": data.text_vectors.shape[1],
        "labels": 0 if data.labels is None else data.labels.shape[1],
        "credit": data.details.get("credit"),
        "fingerprint": fingerprint(data),
    }
    return {
        "format": FORMAT,
        **dataclasses.asdict(settings),
        "items": items,
        "device": device,
        "started": _now(),
        **environment(),
    }


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    from cmhkit.app.doctor import available_cores, installed_version

    versions = {"cmhkit": __version__, "python": platform.python_version()}
    versions |= {name: installed_version(name) for name in ("numpy", "scipy", "scikit-learn", "torch", "safetensors")}
    return {
        "versions": versions,
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": available_cores()},
    }


def _note_versions(folder: RunFolder, say: Say) -> None:
    then, now = folder.config().get("versions", {}), environment()["versions"]
    other = [f"{name} {then[name]} then, {now[name]} now" for name in now if then.get(name) not in (None, now[name])]
    if other:
        say(
            f"note: versions have changed since the run was started ({'; '.join(other)}); results can differ a little from those of one run"
        )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


# Codes and measures.


def encoded(hasher: CrossModalHasher, data: PairedData) -> dict[str, np.ndarray]:
    """Packed codes, uint8 (n, bits // 8): "query_images", "query_texts", "retrieval_images", "retrieval_texts"."""
    found = {}
    with progress(4, "Encoding") as step:
        for part in (data.query, data.retrieval):
            found[f"{part.name}_images"] = hasher.encode(images=part)
            step()
            found[f"{part.name}_texts"] = hasher.encode(texts=part)
            step()
    return found


def described_items(data: PairedData) -> dict[str, Any]:
    """What the items of the retrieval set are, so that a search can show them without the data set: ids, texts, labels
    by name, files.
    """
    part: Split = data.retrieval
    names = data.label_names or tuple(f"label {i}" for i in range(0 if data.labels is None else data.labels.shape[1]))
    texts = (
        None
        if part.texts is None
        else [text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…" for text in part.texts]
    )
    labels = None if part.labels is None else [[names[i] for i in np.flatnonzero(row)] for row in part.labels]
    files = data.details.get("files")
    return {
        "ids": part.ids,
        "texts": texts,
        "labels": labels,
        "files": None if files is None else [files[i] for i in part.index],
    }


# The report.


def report_content(report: Report | None, hasher: CrossModalHasher, data: PairedData) -> dict[str, Any]:
    """The content of report.json. report: None where the data have no labels; then only the sizes are told."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "method": type(hasher).__name__,
        "bits": hasher.bits,
        "data": data.name,
        "parts": {name: len(data.parts[name]) for name in ("query", "retrieval", "train")},
        "measured": report is not None,
        "summary": f"{type(hasher).__name__}, {hasher.bits} bits, on {data.name}: not measured, since the data have no labels",
    }
    if report is None:
        return content
    found = {"image_to_text": report.image_to_text, "text_to_image": report.text_to_image}
    healthy = {"images": report.image_codes, "texts": report.text_codes}
    return content | {
        "summary": repr(report),
        "table": report.rows(),
        "rules": {name: getattr(report.image_to_text, name) for name in ("ties", "r", "divisor", "empty", "grades")},
        **{way: _metrics_content(m) for way, m in found.items()},
        "codes": {name: {key: getattr(found, key) for key in _HEALTH} for name, found in healthy.items()},
    }


def _metrics_content(found: metrics.Metrics) -> dict[str, Any]:
    places = _curve_places(found.recall_by_rank)
    return {
        **{
            name: getattr(found, name)
            for name in ("map", "map_at_r", "ndcg", "ndcg_at_r", "precision_at", "queries", "empty_queries", "database")
        },
        "by_radius": {"precision": found.precision_by_radius, "recall": found.recall_by_radius},
        "by_rank": {
            "rank": places + 1,
            "precision": found.precision_by_rank[places],
            "recall": found.recall_by_rank[places],
        },
    }


def _curve_places(recall: np.ndarray) -> np.ndarray:
    """Places of a curve by rank that are enough to draw it: the first ones, then evenly over recall."""
    first = np.arange(min(10, len(recall)))
    spread = np.searchsorted(recall, np.linspace(0, recall[-1], _CURVE_PLACES))
    return np.unique(np.concatenate([first, np.clip(spread, 0, len(recall) - 1), [len(recall) - 1]]))


def write_report(out: Path, content: dict[str, Any], folder: RunFolder) -> None:
    """Write report.json and the page report.html into a folder. folder: the run that the report is of."""
    from cmhkit.app import pages

    content = _plain(content)
    page = pages.report_page(content, folder.config(), folder.history(), folder.command())
    write_json(out / REPORT, content)
    write_atomically(out / PAGE, lambda p: p.write_text(page, encoding="utf-8"))


# What a finished run is used for.


def evaluate(
    path: str | Path,
    *,
    data: str | None = None,
    data_options: list[str] | tuple[str, ...] = (),
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure a finished run, on its own data (from the codes that it keeps) or on other data.

    data, data_options: as for `train`; None is the run's own. out: a folder for report.json and report.html. options:
    those of `metrics.evaluate`. Returns the content of report.json. Errors: `InputError`, also for data without labels.
    """
    folder = RunFolder(path)
    hasher = folder.hasher()
    if data is None:
        check(
            not data_options, "--data-option: expected --data too, since the run's own data have their options already"
        )
        items = folder.data()
        check_labels(items)
        found = {
            f"{part}_{kind}": folder.codes(f"{part}_{kind}")
            for part in ("query", "retrieval")
            for kind in ("images", "texts")
        }
    else:
        name, loader_options = data_spec(data, list(data_options))
        items = load_data(name, **loader_options)
        check_labels(items)
        found = encoded(hasher, items)
    content = report_content(hasher.measured(items, found, **options), hasher, items)
    if out is not None:
        check(
            Path(out).resolve() != folder.path.resolve(),
            "--out: expected another folder than the run's, whose own report stays as it is",
        )
        write_report(Path(out), content, folder)
    return _plain(content)


def check_labels(data: PairedData) -> None:
    """Errors: `InputError` for data without labels, which say what is relevant."""
    check(data.labels is not None, f"data: expected labels, since relevance is a shared label, got none in {data.name}")


def encode_pictures(path: str | Path, given: str | Path, say: Say) -> dict[str, np.ndarray]:
    """Codes of pictures, by the hasher of a finished run.

    given: a folder of pictures, one picture file, or a .npy file of what the method was fitted on (pictures or
    features). say: takes a line for each picture that cannot be read, which is left out. Returns "codes", packed, and
    "names": of the files, or the row numbers.
    """
    folder, given = RunFolder(path), Path(given)
    hasher = folder.hasher()
    check(
        given.exists(),
        f"--images: expected a folder of pictures, a picture or a .npy file, got {given}, which is not there",
    )
    if given.suffix == ".npy":
        array = _array(given, "--images")
        return {"codes": hasher.encode(images=array), "names": np.arange(len(array))}
    files = picture_files(given)
    names, parts, batch = [], [], []
    with progress(len(files), "Encoding pictures") as step:
        for number, file in enumerate(files):
            try:
                batch.append(read_picture(folder, file))
                names.append(file.name if given.is_file() else file.relative_to(given).as_posix())
            except InputError as error:
                check(given.is_dir(), f"--images: {error}")
                say(f"left out: {error}")
            step()
            if batch and (len(batch) == _PICTURES or number + 1 == len(files)):
                parts.append(hasher.encode(images=np.stack(batch)))
                batch = []
    check(names, f"--images: expected at least one picture that can be read in {given}, got none of {len(files)}")
    return {"codes": np.concatenate(parts), "names": np.array(names)}


def picture_files(given: Path) -> list[Path]:
    """The picture files in a folder and in the folders inside it, by name; or the one file that is given."""
    if given.is_file():
        return [given]
    from PIL import Image

    known = Image.registered_extensions()
    found = sorted(
        p for p in given.rglob("*") if p.suffix.lower() in known and p.is_file() and not p.name.startswith(".")
    )
    check(found, f"--images: expected pictures in {given}, got a folder without any")
    return found


def read_picture(folder: RunFolder, file: Path) -> np.ndarray:
    """One picture as the run's own pictures were read, uint8, shape (R, R, 3). Errors: `InputError` that names the
    file.
    """
    from cmhkit.data.folder import read_photo

    items = folder.config()["items"]
    check(
        len(items["images"]) == 3,
        f"{file}: cannot be read by this run, which was fitted on image features of width {items['images'][0]}; give features, as a .npy file",
    )
    check(file.is_file(), f"{file}: expected a picture, got {'a folder' if file.is_dir() else 'nothing there'}")
    try:
        return read_photo(file, items["images"][0], items["resize"])[0]
    except InputError as error:
        raise InputError(f"{file}: expected a picture, got: {error}") from error


def encode_texts(path: str | Path, given: str | Path, say: Say) -> dict[str, np.ndarray]:
    """Codes of texts, by the hasher of a finished run.

    given: a file with one text a line in UTF-8, "-" for standard input, or a .npy file of text vectors. Returns
    "codes", packed, and "names": the texts, or the row numbers.
    """
    hasher = RunFolder(path).hasher()
    if str(given).endswith(".npy"):
        array = _array(Path(given), "--texts")
        return {"codes": hasher.encode(texts=array), "names": np.arange(len(array))}
    try:
        content = sys.stdin.buffer.read() if str(given) == "-" else Path(given).read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"--texts: expected a file of texts, one a line, got {given}, which is not there") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"--texts: expected text in UTF-8, got other bytes in {given}, at byte {error.start}"
        ) from error
    check(lines, f"--texts: expected at least one line, got none in {given}")
    check_words(hasher)
    empty = [number for number, line in enumerate(lines, 1) if not hasher.vocabulary_.bag_of_words([line]).any()]
    if empty:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        say(
            f"note: {len(empty)} of {len(lines)} lines have no word that the run knows, and all get the same code (lines {shown})"
        )
    return {"codes": hasher.encode(texts=lines), "names": np.array(lines)}


def encode_data(path: str | Path, data: str, data_options: list[str] | tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Codes of all pairs of a data set: "image_codes", "text_codes", "ids", and "part", the name of each pair's part,
    or an empty text.
    """
    hasher = RunFolder(path).hasher()
    name, loader_options = data_spec(data, list(data_options))
    items = load_data(name, **loader_options)
    part = np.full(len(items), "", dtype="U9")
    for kind in ("retrieval", "train", "query"):
        part[items.parts[kind]] = kind
    whole = items.take(np.arange(len(items)))
    return {
        "image_codes": hasher.encode(images=whole),
        "text_codes": hasher.encode(texts=whole),
        "ids": items.ids,
        "part": part,
    }


def check_codes_file(path: str | Path, *, both: bool) -> None:
    """Errors: `InputError` for a name that `write_codes` has no form for. both: codes of pictures and of texts are to
    be written.
    """
    name = Path(path).name
    check(name.endswith((".npz", ".npy")), f"--out: expected a name that ends in .npz or .npy, got {name}")
    check(
        name.endswith(".npz") or not both,
        f"--out: expected a .npz file, since there are codes of pictures and of texts, got {name}",
    )


def write_codes(path: str | Path, found: dict[str, np.ndarray]) -> None:
    """Write codes in one step: everything as .npz, or "codes" alone as .npy."""
    path = Path(path)
    check_codes_file(path, both="codes" not in found)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            if path.suffix == ".npz":
                np.savez(file, **found)
            else:
                np.save(file, found["codes"])

    write_atomically(path, write)


def _array(file: Path, argument: str) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{argument}: expected a .npy file of numbers, got {file} ({error})") from error


def check_words(hasher: CrossModalHasher) -> None:
    """Errors: `InputError` for a hasher that was fitted on text vectors alone."""
    name = type(hasher).__name__
    check(
        hasher.vocabulary_ is not None,
        f"texts: expected text vectors, since this {name} was fitted on data without a vocabulary, got words",
    )


def search(
    path: str | Path,
    words: str | None = None,
    *,
    image: str | Path | None = None,
    k: int = 10,
    among: str | None = None,
    say: Say = print,
) -> list[dict[str, Any]]:
    """The nearest items of a finished run's retrieval set, by words or by a picture.

    words: typed ones. image: a picture file. Give one of both. among: "images" or "texts", whose codes are searched;
    None takes the other kind. say: takes a line about words that the run does not know.
    Returns a dictionary for each item: "rank" from 1, "id", "distance" in bits, and "labels", "file", "text" where they
    are known. Errors: `InputError`, also where the run knows none of the words.
    """
    check((words is None) != (image is None), "search: expected words or --image, one of both")
    among = among or ("images" if image is None else "texts")
    check(among in ("images", "texts"), f"--among: expected images or texts, got {among!r}")
    folder = RunFolder(path)
    hasher = folder.hasher()
    if image is None:
        check_words(hasher)
        _say_unknown(hasher, words, say)
        query = hasher.encode(texts=[words])
    else:
        query = hasher.encode(images=read_picture(folder, Path(image))[None])
    ids = folder.codes("retrieval_ids")
    database = folder.codes(f"retrieval_{among}")
    check(1 <= k <= len(ids), f"--k: expected a number from 1 to {len(ids)}, got {k}")
    hits = HammingIndex(database, ids).search(query, k)
    items, place = folder.items(), {int(name): row for row, name in enumerate(ids)}
    rows = []
    for rank, (name, distance) in enumerate(zip(hits.ids[0].tolist(), hits.distances[0].tolist(), strict=True), 1):
        row = {"rank": rank, "id": name, "distance": distance}
        for column, key in (("labels", "labels"), ("file", "files"), ("text", "texts")):
            if items[key] is not None:
                row[column] = items[key][place[name]]
        rows.append(row)
    return rows


def _say_unknown(hasher: CrossModalHasher, words: str, say: Say) -> None:
    vocabulary = hasher.vocabulary_
    unknown = vocabulary.unknown(words)
    told = vocabulary.told(unknown)
    check(
        vocabulary.bag_of_words([words]).any(),
        f"search: expected a word that the training texts had, got none; unknown: {told or 'no word at all'}",
    )
    if unknown:
        say(f"note: not among the {len(vocabulary):,} words that the run knows: {told}")
