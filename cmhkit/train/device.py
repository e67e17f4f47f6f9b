"""The device, how it is used well, and what depends on it: optimisers and random generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmhkit.nn import precision
from cmhkit.support.checks import InputError, check

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

#: The optimisers that `optimiser_for` makes.
OPTIMISERS = ("sgd", "adam")


def resolve_device(device: str = "auto") -> torch.device:
    """The device to compute on. device: "auto" (CUDA, then MPS, then CPU), or a name that torch knows.

    Where several processes train together (`cmhkit.train.distributed`), "auto" and "cuda" are this process's own GPU.
    """
    import torch

    from cmhkit.train import distributed

    if distributed.size() > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", distributed.local_rank())
    if distributed.size() > 1 and device == "auto":
        return torch.device("cpu")
    if device != "auto":
        try:
            wanted = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise InputError(
                f'device: expected "auto" or a torch device such as "cpu" or "cuda:0", got {device!r}'
            ) from error
        counts = {
            "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
            "mps": int(torch.backends.mps.is_available()),
        }
        there = counts.get(wanted.type)
        check(
            there is None or (wanted.index or 0) < there,
            f"device: expected one of this machine, got {device!r}; it has {there} of that kind",
        )
        return wanted
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def generator(seed: int) -> torch.Generator:
    """A CPU random generator started from a seed. Every draw of a schedule comes from one, so the global state is left
    alone.
    """
    import torch

    return torch.Generator().manual_seed(seed)


def placed(net: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device. Where `precision.FAST_ON` says so its convolutions keep their filters with the channels
    last, as the pictures come.
    """
    import torch

    return net.to(device, memory_format=torch.channels_last) if device.type in precision.FAST_ON else net.to(device)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device. A GPU gets it from pinned memory, so that nobody waits for the copy."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def optimiser_for(kind: str, groups: Any, device: torch.device) -> torch.optim.Optimizer:
    """An optimiser. kind: one of `OPTIMISERS`. groups: of parameters, each with its rate."""
    import torch

    known = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    return known[kind](groups, fused=True if device.type in precision.FAST_ON else None)


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state, which may come from another kind of device."""
    groups = [group | {"fused": optimiser.defaults["fused"]} for group in state["param_groups"]]
    optimiser.load_state_dict(state | {"param_groups": groups})
