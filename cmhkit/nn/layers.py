"""Small layers whose random draws come from a generator of our own, and the check of two sets of rows."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cmhkit.support.checks import check
from cmhkit.support.draws import uniform

# From so many rows on, and with at most one entry in so many, a product that leaves the zeros out is the faster one:
# it has to turn the weights round, which takes as long however few rows there are.
_MANY_ROWS, _RARE = 256, 32


class Dropout(nn.Module):
    """Dropout whose draws come from a generator of our own. share: what is left out in training."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        mask = uniform(x.shape, self.generator, x.device) >= self.share
        return x * mask / (1 - self.share)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer that keeps the size of what passes a ReLU (He et al., 2015), its bias 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def check_rows(names: str, a: Tensor, b: Tensor, what: str) -> None:
    """Errors: `InputError` unless a and b are rows of equally many `what`, shapes (n, c) and (m, c)."""
    good = a.ndim == 2 and b.ndim == 2 and a.shape[1] == b.shape[1]
    shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
    check(good, f"{names}: expected shapes (n, c) and (m, c), rows of equally many {what}, got {shapes}")


def of_bags(layer: nn.Linear, x: Tensor) -> Tensor:
    """`layer(x)`, shape (n, outputs), in a fraction of the time where x is mostly zeros, as bags of words are.

    x: shape (n, inputs). On a CPU a long and sparse x that needs no gradient is multiplied by its entries other than 0;
    anything else goes through the layer as it is. The sums are those of the layer in another order.
    """
    long = x.device.type == "cpu" and x.ndim == 2 and len(x) >= _MANY_ROWS and not x.requires_grad
    if long and x.dtype == layer.weight.dtype and int(x.count_nonzero()) * _RARE <= x.numel():
        return _SparseProduct.apply(x, layer.weight) + layer.bias
    return layer(x)


class _SparseProduct(torch.autograd.Function):
    """x times the transposed weights: a row is the sum of its words' weights. The gradient of a word's weights is the
    sum over its rows.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        row, word = x.nonzero(as_tuple=True)
        value = x[row, word]
        ctx.save_for_backward(row, word, value)
        ctx.words = x.shape[1]
        return _sums(weight.T.contiguous(), word, value, row, len(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        row, word, value = ctx.saved_tensors
        order = word.argsort(stable=True)
        of_words = _sums(gradient.contiguous(), row[order], value[order], word[order], ctx.words)
        return None, of_words.T.contiguous()


def _sums(table: Tensor, place: Tensor, value: Tensor, group: Tensor, groups: int) -> Tensor:
    """For each group the sum of its rows of a table, each times its value. group: in ascending order."""
    start = torch.searchsorted(group, torch.arange(groups))
    return F.embedding_bag(place, table, start, mode="sum", per_sample_weights=value)
