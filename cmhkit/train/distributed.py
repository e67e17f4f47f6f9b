"""Several processes that train one model: each takes a part of every batch.

    torchrun --nproc-per-node 2 -m cmhkit train adah --preset paper --data ... --out RUN

Pairwise and triplet terms need the whole batch. So each process computes the codes of its part, all gather them, and
each computes the same loss from all of them. DistributedDataParallel adds up what the parts give to the gradient. All
have one seed and draw the same numbers in the same order, so they agree on every batch without a message. With one
process every function here hands back what it was given.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmhkit.support import draws
from cmhkit.support.processes import announce, announced, check_same, from_first, local_rank, rank, size, started

__all__ = ["announce", "announced", "check_same", "from_first", "gathered", "local_rank", "mine", "part_of", "rank"]
__all__ += ["replicated", "shares", "size", "started"]

# Batches.


def shares(rows: int) -> list[int]:
    """How many rows of a batch each process takes: they differ by one at most, and the first ones take more."""
    each, more = divmod(rows, size())
    return [each + (number < more) for number in range(size())]


def mine(batch: Tensor) -> Tensor:
    """The rows of a batch that this process takes, in their order."""
    return batch if size() == 1 else batch.split(shares(len(batch)))[rank()]


@contextmanager
def part_of(rows: int) -> Iterator[None]:
    """What is computed inside is this process's part of a batch: `uniform` draws for all rows, and keeps that part."""
    if size() == 1:
        yield
        return
    counts = shares(rows)
    with draws.rows_of(rows, sum(counts[: rank()]), counts[rank()]):
        yield


def gathered(part: Any, rows: int) -> Any:
    """The whole batch from each process's part of it, in the batch's order.

    part: a tensor whose first axis is the part's rows, or a tuple or a dataclass of such, None left as it is. rows: of
    the whole batch. Gradients flow back to this process's part. Every process must go on to compute the same loss:
    DistributedDataParallel takes the mean of their gradients, which are the parts of a sum, so each is handed back
    times the number of processes.
    """
    if size() == 1 or part is None:
        return part
    if isinstance(part, Tensor):
        return _Gathered.apply(part, shares(rows))
    if isinstance(part, tuple):
        return tuple(gathered(one, rows) for one in part)
    return type(part)(*(gathered(getattr(part, field.name), rows) for field in dataclasses.fields(part)))


class _Gathered(torch.autograd.Function):
    # torch.distributed.nn.functional.all_gather is deprecated, its successor private; both send every gradient around.

    @staticmethod
    def forward(ctx: Any, part: Tensor, counts: list[int]) -> Tensor:
        ctx.first, ctx.count = sum(counts[: rank()]), counts[rank()]
        # Processes exchange tensors of one size only.
        padded = part.new_zeros(max(counts), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([one[:count] for one, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.first : ctx.first + ctx.count] * size(), None


def replicated(net: nn.Module) -> nn.Module:
    """A network whose gradient is the mean over the processes, and which starts as the first's.

    It covers the parameters that require a gradient now: two players may have two of one network.
    """
    if size() == 1:
        return net
    wrapper = nn.parallel.DistributedDataParallel
    # Buffers are constants here. Newer versions of PyTorch have another name for leaving them alone.
    known = inspect.signature(wrapper).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return wrapper(net, gradient_as_bucket_view=True, **{buffers: False})
