r"""The triplet hinge over all triplets of a batch, exact, without a tensor of triplets.

Of a query i, an item j and an item k form a triplet if $S(i,j) > S(i,k)$. There are up to $B^3$ of them, and the sum
over them is

$$\sum_{\langle i,j,k \rangle} \max(0,\; \varepsilon + d_{ij} - d_{ik})
  = \varepsilon A + \sum_{i,j} w_{ij}\, d_{ij}$$

with A the number of active triplets, those whose hinge is above zero. $w_{ij}$ is the number of active triplets in
which j is the similar item, or minus the number in which it is the dissimilar one. Sorting each row gives all counts: a
similar j is active with every k whose $d_{ik}$ lies below $\varepsilon + d_{ij}$, and prefix sums of a histogram turn
these counts round for the k. So w is also the gradient with respect to d. Memory: $O(B^2)$. Time: $O(B^2 \log B)$.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cmhkit.nn.layers import check_rows
from cmhkit.support.checks import check, check_choice, check_real


@dataclass(frozen=True)
class TripletHinge:
    """The hinge of a batch. loss: a scalar that can be differentiated. triplets: how many there are. active: how many
    have a hinge above zero; both int64 scalars on the batch's device.
    """

    loss: Tensor
    triplets: Tensor
    active: Tensor

    @property
    def active_share(self) -> float:
        """The share of active triplets, from 0 to 1; NaN without triplets."""
        triplets = int(self.triplets)
        return int(self.active) / triplets if triplets else float("nan")


def pairwise_distance(a: Tensor, b: Tensor, kind: str = "norm") -> Tensor:
    r"""All distances between the rows of a and of b.

    a: shape (n, bits). b: shape (m, bits). kind: "norm" for $\lVert a_i - b_j \rVert$, or "squared" for
    $\lVert a_i - b_j \rVert^2$. Returns shape (n, m). Computed from differences, so that equal rows are exactly at
    zero; the gradient of the norm there is zero.
    """
    check_choice("kind", kind, ("norm", "squared"))
    check_rows("a, b", a, b, "bits")
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square() if kind == "squared" else distance


def triplet_hinge(
    distance: Tensor, similar: Tensor, margin: float, *, reduction: str = "mean", own: bool = True
) -> TripletHinge:
    r"""The hinge over all (i, j, k) with $S(i,j) > S(i,k)$. Source: the note on ADAH, $\mathcal{F}_{A \to B}$.

    $$\mathcal{F} = \sum_{\langle i,j,k \rangle} \max(0,\; \varepsilon + d_{ij} - d_{ik})$$

    distance: d, queries by items, shape (n, m). similar: S, bool, shape (n, m). margin: $\varepsilon$, at least 0.
    reduction: "sum", or "mean" over the triplets, active or not. own: False leaves the triplets with j = i or k = i out
    (n = m then). Returns `TripletHinge`; its loss is 0 where there is no triplet. A triplet whose hinge is exactly 0 is
    not active and has no gradient. Errors: `InputError` for another shape or type.
    """
    check_choice("reduction", reduction, ("mean", "sum"))
    check_real("margin", margin, least=0)
    given, real = _described(distance), distance.ndim == 2 and distance.is_floating_point()
    check(real, f"distance: expected real numbers, shape (n, m), got {given}")
    fits = similar.dtype == torch.bool and similar.shape == distance.shape
    check(fits, f"similar: expected bool, as distance {given}, got {_described(similar)}")
    weight, triplets, active = _active_counts(distance.detach(), similar, margin, own)
    # Every term of the sum is an integer times a distance: in float64 nothing of it is lost. MPS has no float64.
    exact = distance.dtype if distance.device.type == "mps" else torch.float64
    loss = (weight.to(exact) * distance.to(exact)).sum() + margin * active.to(exact)
    if reduction == "mean":
        loss = loss / triplets.clamp_min(1)
    return TripletHinge(loss.to(distance.dtype), triplets, active)


def sides(similar: Tensor, own: bool) -> tuple[Tensor, Tensor]:
    """Which items are similar to each query, and which are not, bool, shape (n, m). own: as for `triplet_hinge`."""
    if own:
        return similar, ~similar
    n, m = similar.shape
    check(n == m, f"own: expected as many queries as items to leave each query's own item out, got {n} and {m}")
    others = ~torch.eye(n, dtype=torch.bool, device=similar.device)
    return similar & others, ~similar & others


def _active_counts(distance: Tensor, similar: Tensor, margin: float, own: bool) -> tuple[Tensor, Tensor, Tensor]:
    """w, int64, shape (n, m); the number of triplets; the number of active ones."""
    n, m = distance.shape
    near, far = sides(similar, own)
    far_count = far.sum(1, keepdim=True)
    sorted_far, order = distance.masked_fill(~far, torch.inf).sort(dim=1)
    # For each similar j: how many dissimilar k lie strictly below margin + d_ij.
    below = torch.searchsorted(sorted_far, (distance + margin).contiguous())
    below = torch.minimum(below, far_count).masked_fill_(~near, 0)
    # For each dissimilar k, at rank r of its row: how many similar j reach beyond it, that is, have a count above r.
    histogram = torch.zeros(n, m + 1, dtype=torch.int64, device=distance.device).scatter_add_(1, below, near.long())
    beyond = near.sum(1, keepdim=True) - histogram.cumsum(1)[:, :m]
    weight = below.scatter_add(1, order, -beyond.masked_fill_(torch.arange(m, device=distance.device) >= far_count, 0))
    return weight, (near.sum(1) * far_count[:, 0]).sum(), below.sum()


def _described(x: Any) -> str:
    return f"{x.dtype} with shape {tuple(x.shape)}"
