"""Random numbers from a CPU generator, for a whole batch or for this process's rows of one.

Whoever keeps the state of the CPU generator can repeat every draw, on a GPU too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from cmhkit.support.checks import check

#: Kinds of device that draw their own numbers.
DRAWS_ON = {"cuda"}
# Rows of the whole batch, this process's first row, how many are its own; None where the batch is computed as a whole.
_rows: tuple[int, int, int] | None = None


@contextmanager
def rows_of(whole: int, first: int, count: int) -> Iterator[None]:
    """A block in which `uniform` draws for a batch of `whole` rows and returns `count` of them, from `first` on."""
    global _rows
    before, _rows = _rows, (whole, first, count)
    try:
        yield
    finally:
        _rows = before


def uniform(shape: tuple[int, ...], random: torch.Generator, device: torch.device) -> Tensor:
    """Numbers from 0 to 1. random: a CPU generator. Inside `rows_of`, this process's rows of the whole batch's."""
    if _rows is None:
        return _uniform(shape, random, device)
    whole, first, count = _rows
    check(shape[0] == count, f"shape: expected {count} rows, this process's part of {whole}, got {shape[0]}")
    return _uniform((whole, *shape[1:]), random, device)[first : first + count]


def _uniform(shape: tuple[int, ...], random: torch.Generator, device: torch.device) -> Tensor:
    if device.type in DRAWS_ON:
        return torch.rand(shape, generator=on_device(random, device), device=device)
    return torch.rand(shape, generator=random).to(device)


def multinomial(weights: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Positions drawn with replacement by each row's weights, shape (n, count). random: a CPU generator."""
    if weights.device.type in DRAWS_ON:
        return torch.multinomial(weights, count, replacement=True, generator=on_device(random, weights.device))
    return torch.multinomial(weights.cpu(), count, replacement=True, generator=random).to(weights.device)


def on_device(random: torch.Generator, device: torch.device) -> torch.Generator:
    """A generator on another device, started from one draw of a CPU generator."""
    return torch.Generator(device).manual_seed(int(torch.randint(2**63 - 1, (), generator=random)))
