"""The state of a training run in a folder, so that it can be taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from cmhkit.support.checks import InputError, check
from cmhkit.support.files import write_atomically
from cmhkit.support.processes import check_same, from_first, rank


class Checkpoints:
    """The last state of a training run in a folder, replaced in one step at the end of every epoch.

    folder: where to keep it; None keeps nothing. key: what the run depends on; a checkpoint of another run is an error,
    not a start. Where several processes train together, the first one reads and writes.
    """

    def __init__(self, folder: str | Path | None, key: dict[str, Any]) -> None:
        self.file = None if folder is None else Path(folder) / "checkpoint.pt"
        self.key = json.dumps(key, sort_keys=True, default=str)

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, on the CPU, or None."""
        check_same(self.key)
        return from_first(self._read() if rank() == 0 else None)

    def _read(self) -> dict[str, Any] | None:
        if self.file is None or not self.file.exists():
            return None
        try:
            saved = torch.load(self.file, map_location="cpu", weights_only=True)
            other, state = dict(json.loads(saved["key"])), saved["state"]
        except Exception as error:
            message = (
                f"checkpoint_dir: {self.file} is no checkpoint that can be read ({error}); remove it to start anew"
            )
            raise InputError(message) from error
        own = json.loads(self.key)
        both = {name: (_written(other, name), _written(own, name)) for name in other | own}
        different = {name: values for name, values in sorted(both.items()) if values[0] != values[1]}
        shown = "; ".join(f"{name}: {there} there, {here} here" for name, (there, here) in different.items())
        message = f"checkpoint_dir: {self.file} is of another run ({shown})"
        check(not shown, f"{message}; use an empty folder, or the options of that run")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state made of tensors and plain values."""
        if self.file is not None and rank() == 0:
            write_atomically(self.file, lambda path: torch.save({"key": self.key, "state": state}, path))


def _written(key: dict[str, Any], name: str) -> str:
    return json.dumps(key[name]) if name in key else "none"
