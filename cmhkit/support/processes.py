"""The processes that torchrun starts, how they talk to each other, and which device each computes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from cmhkit.support.checks import InputError, check

# Whether the first process has told the others what to do.
_announced = False


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number, from 0. The first one writes files."""
    return dist.get_rank() if _running() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _running() else 1


def local_rank() -> int:
    """This process's number on its machine, which is also that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", rank()))


@contextmanager
def started(device: str = "auto") -> Iterator[None]:
    """Join the processes that torchrun has started; without torchrun, do nothing.

    device: as for the hashers; it decides how processes talk to each other, NCCL between GPUs and Gloo otherwise.
    """
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1 or _running():
        yield
        return
    check(
        dist.is_available(),
        "torchrun: expected a build of PyTorch with torch.distributed, got one without; train with one process",
    )
    check(
        device in ("auto", "cuda", "cpu"),
        f"device: expected auto, cuda or cpu where several processes train together, got {device!r}",
    )
    check(
        "RANK" in os.environ and "MASTER_ADDR" in os.environ,
        "torchrun: expected RANK and MASTER_ADDR beside WORLD_SIZE, got none",
    )
    on_gpus = torch.cuda.is_available() and device != "cpu"
    if on_gpus:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        check(
            torch.cuda.device_count() >= here,
            f"torchrun: expected a GPU for each of {here} processes, got {torch.cuda.device_count()}",
        )
        torch.cuda.set_device(local_rank())
    global _announced
    _announced = False
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
    except Exception:
        if rank() == 0 and not _announced:
            announce(False)
        raise
    finally:
        dist.destroy_process_group()


def announce(go: bool) -> None:
    """The first process says whether there is something to train. If it fails before, `started` says no for it."""
    global _announced
    _announced = True
    from_first(go)


def announced() -> bool:
    """The other processes wait for `announce`."""
    return from_first(None)


def resolve_device(device: str = "auto") -> torch.device:
    """The device to compute on. device: "auto" (CUDA, then MPS, then CPU), or a name that torch knows.

    Where several processes train together, "auto" and "cuda" are this process's own GPU.
    """
    if size() > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", local_rank())
    if size() > 1 and device == "auto":
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


def from_first(value: Any) -> Any:
    """What the first process has, in all of them; every process must call this. value: of the first, plain values and
    tensors on the CPU.
    """
    if size() == 1:
        return value
    box = [value]
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    dist.broadcast_object_list(box, src=0, device=device)
    return box[0]


def check_same(settings: str) -> None:
    """Every process must have the first one's settings, since they agree on batches and draws without a message. Else
    `InputError`.
    """
    first = from_first(settings)
    check(settings == first, f"torchrun: expected the first process's settings in all of them, {first}, got {settings}")
