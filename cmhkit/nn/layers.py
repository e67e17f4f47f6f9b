"""Small layers whose random draws come from a generator of our own, and the check of two sets of rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmhkit.nn.draws import uniform
from cmhkit.support.checks import check


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
