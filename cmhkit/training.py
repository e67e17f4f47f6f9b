"""What all schedules share: the device and how it is used well, seeds, presets, and checkpoints that are never half written."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmhkit.data.cache import write_atomically
from cmhkit.errors import InputError, check

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

#: Kinds of device where wide layers compute in bfloat16, convolutions keep the channels last, and an optimiser's step is one kernel.
#: Codes, losses and parameters are in float32 everywhere.
FAST_ON = {"cuda"}
#: The optimisers that `optimiser_for` makes.
OPTIMISERS = ("sgd", "adam")


def resolve_device(device: str = "auto") -> torch.device:
    """The device to compute on. device: "auto" (CUDA, then MPS, then CPU), or a name that torch knows.

    Where several processes train together (`cmhkit.parallel`), "auto" and "cuda" are this process's own GPU.
    """
    import torch

    from cmhkit import parallel

    if parallel.size() > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", parallel.local_rank())
    if parallel.size() > 1 and device == "auto":
        return torch.device("cpu")
    if device != "auto":
        try:
            found = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise InputError(f'device: expected "auto" or a torch device such as "cpu" or "cuda:0", got {device!r}') from error
        counts = {"cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0, "mps": int(torch.backends.mps.is_available())}
        there = counts.get(found.type)
        check(there is None or (found.index or 0) < there, f"device: expected one of this machine, got {device!r}; it has {there} of that kind")
        return found
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def generator(seed: int) -> torch.Generator:
    """A CPU random generator started from a seed. Every draw of a schedule comes from one, so the global state is left alone."""
    import torch

    return torch.Generator().manual_seed(seed)


def wide_layers(device: torch.device) -> AbstractContextManager[None]:
    """A block whose matrix products and convolutions are computed in bfloat16 where the device is fast at it (`FAST_ON`)."""
    import torch

    emulated = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16) if device.type in FAST_ON and not emulated else nullcontext()


def placed(net: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device. Where `FAST_ON` says so its convolutions keep their filters with the channels last, as the pictures come."""
    import torch

    return net.to(device, memory_format=torch.channels_last) if device.type in FAST_ON else net.to(device)


def sent(x: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device. A GPU gets it from pinned memory, so that nobody waits for the copy."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" and x.device.type == "cpu" else x.to(device)


def optimiser_for(kind: str, groups: Any, device: torch.device) -> torch.optim.Optimizer:
    """An optimiser. kind: one of `OPTIMISERS`. groups: of parameters, each with its rate."""
    import torch

    known = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    return known[kind](groups, fused=True if device.type in FAST_ON else None)


def restore(found: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state, which may come from another kind of device."""
    groups = [group | {"fused": found.defaults["fused"]} for group in state["param_groups"]]
    found.load_state_dict(state | {"param_groups": groups})


def exact(x: Tensor) -> Tensor:
    """A number for the history, without its graph, in float64; MPS has none. It stays on the device: reading it would wait for the step's end."""
    import torch

    return x.detach().to(torch.float32 if x.device.type == "mps" else torch.float64)


def means(rows: list[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of each figure over the steps of an epoch. rows: scalars as `exact` gives them, which are read here, all at once."""
    import torch

    if not rows:
        return {}
    table = torch.stack([value for row in rows for value in row.values()]).cpu().double().numpy().reshape(len(rows), -1)
    return {name: float(np.mean(table[:, i].copy())) for i, name in enumerate(rows[0])}


class Checkpoints:
    """The last state of a training run in a folder, replaced in one step at the end of every epoch.

    folder: where to keep it; None keeps nothing. key: what the run depends on; a checkpoint of another run is an error, not a start.
    Where several processes train together, the first one reads and writes.
    """

    def __init__(self, folder: str | Path | None, key: dict[str, Any]) -> None:
        self.file = None if folder is None else Path(folder) / "checkpoint.pt"
        self.key = json.dumps(key, sort_keys=True, default=str)

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, on the CPU, or None."""
        from cmhkit import parallel

        parallel.check_same(self.key)
        return parallel.from_first(self._read() if parallel.rank() == 0 else None)

    def _read(self) -> dict[str, Any] | None:
        import torch

        if self.file is None or not self.file.exists():
            return None
        try:
            saved = torch.load(self.file, map_location="cpu", weights_only=True)
            kept, state = dict(json.loads(saved["key"])), saved["state"]
        except Exception as error:
            raise InputError(f"checkpoint_dir: {self.file} is no checkpoint that can be read ({error}); remove it to start anew") from error
        mine = json.loads(self.key)
        other = [name for name in sorted(kept.keys() | mine.keys()) if name not in kept or name not in mine or kept[name] != mine[name]]
        shown = "; ".join(f"{name}: {_written(kept, name)} there, {_written(mine, name)} here" for name in other)
        check(not other, f"checkpoint_dir: {self.file} is of another run ({shown}); use an empty folder, or the options of that run")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state made of tensors and plain values."""
        import torch

        from cmhkit import parallel

        if self.file is not None and parallel.rank() == 0:
            write_atomically(self.file, lambda path: torch.save({"key": self.key, "state": state}, path))


def _written(key: dict[str, Any], name: str) -> str:
    return json.dumps(key[name]) if name in key else "none"
