r"""Sums over all pairs of items, exact, without a matrix of pairs.

The pairwise likelihood of n items against m items and its gradient are sums over $n \cdot m$ pairs. Both are added up
over blocks of rows in one pass, and S is made from the labels a block at a time: memory grows with n + m.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from cmhkit.nn.layers import check_rows
from cmhkit.support.checks import check, check_choice

KINDS = ("likelihood", "squared")
# Pairs in one block: 4 MB a buffer in float32, and a handful of buffers.
_PAIRS = 1 << 20
# Pairs in a matrix of S that is kept for several sums: 16 MB.
_KEPT = 1 << 22


@dataclass(frozen=True)
class LabelSimilarity:
    """S between two sets of items, made a block of rows at a time.

    labels_a: 0/1, floating point, shape (n, c). labels_b: the same, shape (m, c). value: what S is where two items
    share a label; else it is 0. matrix: S, where `kept` has made it.
    """

    labels_a: Tensor
    labels_b: Tensor
    value: float = 1.0
    matrix: Tensor | None = None

    def __post_init__(self) -> None:
        a, b = self.labels_a, self.labels_b
        check_rows("labels_a, labels_b", a, b, "labels")
        floats = a.is_floating_point() and b.is_floating_point()
        check(floats, f"labels_a, labels_b: expected floating point, got {a.dtype} and {b.dtype}")

    def share(self) -> float:
        """The share of similar pairs, from 0 to 1.

        Items with the same labels are counted once, with their number: there are far fewer kinds than items.
        """
        (a, of_a), (b, of_b) = (x.unique(dim=0, return_counts=True) for x in (self.labels_a, self.labels_b))
        kinds, similar = LabelSimilarity(a, b), 0
        step = max(1, _PAIRS // len(b))
        for i in range(0, len(a), step):
            counts = ((kinds.rows(i, i + step) > 0) * of_b).sum(1)
            similar += int((counts * of_a[i : i + step]).sum())
        n, m = self.shape
        return similar / (n * m)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.labels_a), len(self.labels_b)

    def rows(self, start: int, stop: int) -> Tensor:
        """S of the items from start to stop, the end left out; floating point, shape (stop - start, m)."""
        if self.matrix is not None:
            return self.matrix[start:stop]
        shared = self.labels_a[start:stop] @ self.labels_b.T
        return shared.sign_().mul_(self.value)  # sign_ is faster than a comparison, and no count is below 0

    def kept(self) -> LabelSimilarity:
        """For more than one sum over the same pairs: the same S, with its matrix where that is small."""
        n, m = self.shape
        return replace(self, matrix=self.rows(0, n)) if n * m <= _KEPT else self


def pairwise_loss(
    a: Tensor,
    b: Tensor,
    similar: Tensor | LabelSimilarity,
    *,
    kind: str = "likelihood",
    reduction: str = "sum",
    weights: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    r"""The negative log likelihood of S over all pairs of a row of a and a row of b.

    $$-\sum_{i=1}^{n} \sum_{j=1}^{m} \big(S_{ij}\,\Theta_{ij} - \log(1 + e^{\Theta_{ij}})\big),
      \qquad \Theta = \tfrac12\, a\, b^\top$$

    a: shape (n, d). b: shape (m, d). similar: S, a matrix (n, m) from 0 to 1, or a `LabelSimilarity`, which needs no
    matrix.
    kind: "likelihood" as above, or "squared" for $\tfrac12 \sum (S_{ij} \Theta_{ij} - \log(1 + e^{\Theta_{ij}}))^2$.
    reduction: "sum", or "mean" over the pairs. weights: what a similar pair ($S_{ij} > 0$) and a dissimilar one count.
    Returns a scalar that can be differentiated once, with respect to a and b. The logarithm is a softplus, so any
    finite $\Theta$ is fine. Errors: `InputError` for another shape or type.
    """
    check_choice("kind", kind, KINDS)
    check_choice("reduction", reduction, ("mean", "sum"))
    check_rows("a, b", a, b, "numbers")
    n, m = len(a), len(b)
    check(n > 0 and m > 0, f"a, b: expected at least one row each, got {n} and {m}")
    shape = tuple(similar.shape)
    check(shape == (n, m), f"similar: expected one entry a pair, shape {(n, m)}, got {shape}")
    loss = _PairwiseLoss.apply(a, b, similar, kind == "squared", weights, max(1, _PAIRS // m))
    return loss / (n * m) if reduction == "mean" else loss


class _PairwiseLoss(torch.autograd.Function):
    """The sum, and with it both gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        b: Tensor,
        similar: Tensor | LabelSimilarity,
        squared: bool,
        weights: tuple[float, float],
        rows: int,
    ) -> Tensor:
        need_a, need_b = ctx.needs_input_grad[:2]
        signed = isinstance(similar, LabelSimilarity) and similar.value == 1 and not squared
        # MPS has no float64.
        total = torch.zeros((), dtype=a.dtype if a.device.type == "mps" else torch.float64, device=a.device)
        gradient_a = torch.empty_like(a) if need_a else None
        gradient_b = torch.zeros_like(b) if need_b else None
        for start in range(0, len(a), rows):
            stop = min(start + rows, len(a))
            part = a[start:stop]
            theta = (0.5 * part) @ b.T
            s = similar.rows(start, stop) if isinstance(similar, LabelSimilarity) else similar[start:stop]
            s = s.to(a.dtype)
            value, slope = _signed(theta, s, weights) if signed else _terms(theta, s, squared, weights)
            total += value
            if gradient_a is not None:
                torch.mm(slope, b, out=gradient_a[start:stop]).mul_(0.5)
            if gradient_b is not None:
                gradient_b.addmm_(slope.T, part, alpha=0.5)
        ctx.save_for_backward(gradient_a, gradient_b)
        return total.to(a.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        both = (None if own is None else own * gradient for own in ctx.saved_tensors)
        return (*both, None, None, None, None)


def _terms(theta: Tensor, s: Tensor, squared: bool, weights: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The sum over a block, and its slope with respect to theta, which is overwritten."""
    value = F.softplus(theta).addcmul_(s, theta, value=-1)
    counts = None if weights == (1.0, 1.0) else s.sign().mul_(weights[0] - weights[1]).add_(weights[1])
    terms = value.square().mul_(0.5) if squared else value
    exact = theta.dtype if theta.device.type == "mps" else torch.float64
    total = (terms if counts is None else terms * counts).sum(dtype=exact)
    slope = theta.sigmoid_().sub_(s)
    if squared:
        slope.mul_(value)
    return total, slope if counts is None else slope.mul_(counts)


def _signed(theta: Tensor, s: Tensor, weights: tuple[float, float]) -> tuple[Tensor, Tensor]:
    r"""The same where S is 0 or 1, in half the time: value and slope come from one logarithm.

    $-(S \theta - \log(1 + e^\theta)) = -\log \sigma(z \theta)$ with $z = 2S - 1$, and its slope is
    $z\,(\sigma(z \theta) - 1)$.
    """
    value = F.logsigmoid(theta.mul_(s.mul(2).sub_(1)))
    total = -weights[1] * value.sum() - (weights[0] - weights[1]) * (value * s).sum()
    return total, value.expm1_().mul_(s.mul(weights[0] + weights[1]).sub_(weights[1]))
