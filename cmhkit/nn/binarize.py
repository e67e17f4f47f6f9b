r"""The threshold of an attention mask, with the straight-through estimator as its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cmhkit.support.checks import check


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, alpha: float) -> Tensor:
        return (p >= alpha).to(p.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def threshold_mask(p: Tensor, alpha: float) -> Tensor:
    r"""The mask Z of probabilities P.

    $$Z = \begin{cases} 1 & P \ge \alpha \\ 0 & P < \alpha \end{cases}, \qquad \frac{\partial Z}{\partial P} := 1$$

    The step has the derivative 0 almost everywhere, so the straight-through estimator takes that of the identity
    instead. Source: the note on ADAH, which cites Courbariaux et al., arXiv 1602.02830. That one also clips where
    $|x| > 1$, and $P - \alpha$ never is.
    p: P, any shape, from 0 to 1. alpha: $\alpha$, between 0 and 1, the ends left out.
    Returns Z, of p's shape and type. A softmax sums to 1, so at $\alpha = 1/n$ over n places at least one is on, up to
    rounding.
    """
    number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool)
    check(number and 0 < alpha < 1, f"alpha: expected a number between 0 and 1, the ends left out, got {alpha!r}")
    check(p.is_floating_point(), f"p: expected real numbers, got {p.dtype}")
    return _Threshold.apply(p, alpha)


def mask_entropy(p: Tensor) -> Tensor:
    r"""The entropy of each distribution over n places, over its greatest value: $-\sum_i P_i \log P_i / \log n$.

    p: P, shape (items, n), each row sums to 1. Returns shape (items,), from 0 (one place has it all) to 1 (all places
    alike).
    """
    shape = tuple(p.shape)
    check(len(shape) == 2 and shape[1] > 1, f"p: expected shape (items, n) with at least two places, got {shape}")
    return torch.special.entr(p).sum(1) / torch.log(torch.full((), float(p.shape[1]), device=p.device))
