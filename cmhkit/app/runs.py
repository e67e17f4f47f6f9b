"""Training in a run folder: start, go on with what was stopped, finish. `cmhkit.app.run_folder` says what is in one.

What the commands of a run need can be had from here: settings are read in `cmhkit.app.settings`, finished runs are
measured in `cmhkit.app.measures` and used in `cmhkit.app.retrieval`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import platform
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import cmhkit.data
from cmhkit import __version__
from cmhkit.app.measures import encoded, evaluate, report_content, write_report
from cmhkit.app.retrieval import (
    check_codes_file,
    check_page_file,
    encode_data,
    encode_pictures,
    encode_texts,
    search,
    write_codes,
    write_search_page,
)
from cmhkit.app.run_folder import (
    CHECKPOINT,
    CODES,
    CONFIG,
    FORMAT,
    HASHER,
    HISTORY,
    ITEMS,
    PAGE,
    RunFolder,
    Say,
    fingerprint,
    now,
    write_array,
    write_json,
)
from cmhkit.app.settings import Settings, data_spec, method_class, options_of, pairs_of, parsed, presets_of
from cmhkit.hasher import CrossModalHasher
from cmhkit.support.checks import check

if TYPE_CHECKING:
    from cmhkit.data.pairs import PairedData

__all__ = [
    "PAGE",
    "RunFolder",
    "Settings",
    "check_codes_file",
    "check_page_file",
    "data_spec",
    "encode_data",
    "encode_pictures",
    "encode_texts",
    "epochs_kept",
    "evaluate",
    "fingerprint",
    "method_class",
    "options_of",
    "pairs_of",
    "parsed",
    "presets_of",
    "search",
    "train",
    "write_codes",
    "write_json",
    "write_search_page",
]

# Longest text of an item that is kept for showing search results.
_SHOWN_TEXT = 300


def train(
    method: str,
    out: str | Path,
    *,
    data: str = "scenes",
    data_options: Sequence[str] = (),
    bits: int = 32,
    preset: str = "lab",
    seed: int = 0,
    device: str = "auto",
    options: Sequence[str] = (),
    fresh: bool = False,
    say: Say = print,
) -> RunFolder:
    """Train in a run folder, go on with a run that was stopped there, or say that it is finished.

    method, bits, preset, seed, device: as for the hashers. options, data_options: "name=value" each. data: as for
    `cmhkit.data.load`. fresh: start anew, whatever run is in the folder. say: takes a line at each stage and at the end
    of every epoch.
    Inside `cmhkit.train.distributed.started` every process calls this; the first one alone reads and writes the folder.
    Returns the folder. Errors: `InputError` for bad input, for a folder that holds something else or another run, and
    for data that have changed since the run was started.
    """
    folder = RunFolder(out)
    kind = method_class(method)
    given = options_of(kind, options)
    hasher = kind(bits, preset=preset, seed=seed, device=device, **given)
    if kind.__module__.split(".")[1] != "baselines":
        from cmhkit.train.device import resolve_device

        resolve_device(device)
    settings = Settings.of(hasher, given, *data_spec(data, data_options))
    together = _together()
    if together is not None and together.rank() > 0:
        if together.announced():
            hasher.fit(cmhkit.data.load(settings.data, **settings.data_options), show_progress=False)
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
                together.announce(False)
            return folder
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.alone():
        with contextlib.redirect_stdout(_Lines(say)):
            items = cmhkit.data.load(settings.data, **settings.data_options)
            say(repr(items))
            if items.report is not None:
                say(str(items.report))
            if kept is not None and fresh:
                say(f"{folder.path}: the run in it is removed, and trained anew")
                folder.clear()
            if folder.config() is None:
                write_json(folder.path / CONFIG, _described(settings, items, device))
            else:
                folder.check_data(items)
                _note_versions(folder, say)
            if together is not None:
                say(f"{together.size()} processes train together")
                together.announce(True)
            fit(hasher, items, folder, say)
            finish(hasher, items, folder, say)
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
        say(_epoch_line(row))

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


def _epoch_line(row: dict[str, Any]) -> str:
    parts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items() if isinstance(value, float)]
    return f"epoch {row['epoch']}: {', '.join(parts)}".rstrip(": ")


def finish(hasher: CrossModalHasher, data: PairedData, folder: RunFolder, say: Say) -> None:
    """Write the hasher, the codes and the report of a fitted hasher, and last what says that the run is whole."""
    say("saving the hasher")
    hasher.save(folder.path / HASHER)
    say("encoding")
    codes = encoded(hasher, data)
    ids = {"query_ids": data.query.ids, "retrieval_ids": data.retrieval.ids}
    for name, array in (codes | ids).items():
        write_array(folder.path / f"{CODES}/{name}.npy", array)
    write_json(folder.path / ITEMS, described_items(data))
    report = None
    if data.labels is None:
        say("no report of quality: the data have no labels that would say what is relevant")
    else:
        say("measuring")
        report = hasher.measured(data, codes)
    write_report(folder.path, report_content(report, hasher, data), folder)
    folder.finish()


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
    run = {"format": FORMAT, **dataclasses.asdict(settings), "items": items, "device": device, "started": now()}
    return run | environment()


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
    then, here = folder.config().get("versions", {}), environment()["versions"]
    changed = [name for name in here if then.get(name) not in (None, here[name])]
    if changed:
        versions = "; ".join(f"{name} {then[name]} then, {here[name]} now" for name in changed)
        say(
            f"note: versions have changed since the run was started ({versions}); "
            "results can differ a little from those of one run"
        )


def described_items(data: PairedData) -> dict[str, Any]:
    """What the items of the retrieval set are, so that a search can show them without the data set: ids, texts, labels
    by name, files.
    """
    part = data.retrieval
    names = data.label_names or tuple(f"label {i}" for i in range(0 if data.labels is None else data.labels.shape[1]))
    texts = None
    if part.texts is not None:
        texts = [text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…" for text in part.texts]
    labels = None if part.labels is None else [[names[i] for i in np.flatnonzero(row)] for row in part.labels]
    files = data.details.get("files")
    return {
        "ids": part.ids,
        "texts": texts,
        "labels": labels,
        "files": None if files is None else [files[i] for i in part.index],
    }
