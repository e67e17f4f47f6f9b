"""The device, how it is used well, and what depends on it: optimisers and random generators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cmhkit.support import precision
from cmhkit.support.processes import resolve_device as resolve_device

#: The optimisers that `optimiser_for` makes.
OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def generator(seed: int) -> torch.Generator:
    """A CPU random generator started from a seed. Every draw of a schedule comes from one, none from a global state."""
    return torch.Generator().manual_seed(seed)


def placed(net: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device; where it is fast (`precision.FAST_ON`) its filters have the channels last."""
    return net.to(device, memory_format=torch.channels_last) if device.type in precision.FAST_ON else net.to(device)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device. A GPU gets it from pinned memory, so that nobody waits for the copy."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def optimiser_for(kind: str, groups: Any, device: torch.device) -> torch.optim.Optimizer:
    """An optimiser. kind: one of `OPTIMISERS`. groups: of parameters, each with its rate.

    Its step is one kernel (`fused`) on a CPU and where `precision.FAST_ON` says so, unless this PyTorch has none there.
    """
    kind_of = OPTIMISERS[kind]
    if device.type in {"cpu", *precision.FAST_ON}:
        try:
            return kind_of([dict(group) for group in groups], fused=True)  # one that fails leaves the groups changed
        except RuntimeError:
            pass
    return kind_of(groups, fused=None)


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state, which may come from another kind of device."""
    groups = [group | {"fused": optimiser.defaults["fused"]} for group in state["param_groups"]]
    optimiser.load_state_dict(state | {"param_groups": groups})
