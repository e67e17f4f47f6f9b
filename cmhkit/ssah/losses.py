r"""SSAH's equations, one function each.

Names: F are semantic features and H relaxed codes, from -1 to 1. The index l is LabNet's, the star is ImgNet's (v) or
TxtNet's (t); in LabNet's own loss the star is l. S is 1 where two items share a label, else 0. Each network minimises
$\alpha \mathcal{J}_1 + \gamma \mathcal{J}_2 + \eta \mathcal{J}_3 + \beta \mathcal{J}_4$. In the loss of ImgNet and
TxtNet the note prints a minus before $\eta$. That is a typo: it would drive H away from the binary code.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cmhkit.nn.pairwise import LabelSimilarity, pairwise_loss
from cmhkit.support.checks import check_choice


def feature_likelihood(
    features: Tensor,
    label_features: Tensor,
    similar: Tensor | LabelSimilarity,
    *,
    kind: str = "likelihood",
    reduction: str = "sum",
    weights: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    r"""$\mathcal{J}_1$, the negative log likelihood of S given the features.

    $$\mathcal{J}_1 = -\sum_{i,j} \big(S_{ij}\, \Delta_{ij} - \log(1 + e^{\Delta_{ij}})\big),
      \qquad \Delta_{ij} = \tfrac12 (F^*_i)^\top F^l_j$$

    features: $F^*$, shape (n, s). label_features: $F^l$, shape (m, s). similar: S, shape (n, m). Returns a scalar.
    kind: "likelihood", or the code's "squared", $\tfrac12 \sum (S \Delta - \log(1 + e^\Delta))^2$. reduction: "sum", or
    "mean" over the pairs. weights: what a similar and a dissimilar pair count, both 1 in the note.
    """
    return pairwise_loss(features, label_features, similar, kind=kind, reduction=reduction, weights=weights)


def code_likelihood(codes: Tensor, label_codes: Tensor, similar: Tensor | LabelSimilarity, **options: Any) -> Tensor:
    r"""$\mathcal{J}_2$, the negative log likelihood of S given the codes.

    $$\mathcal{J}_2 = -\sum_{i,j} \big(S_{ij}\, \Gamma_{ij} - \log(1 + e^{\Gamma_{ij}})\big),
      \qquad \Gamma_{ij} = \tfrac12 (H^*_i)^\top H^l_j$$

    codes: $H^*$, shape (n, bits). label_codes: $H^l$, shape (m, bits). The rest: as `feature_likelihood`.
    """
    return feature_likelihood(codes, label_codes, similar, **options)


def quantisation_loss(codes: Tensor, binary: Tensor, *, reduction: str = "sum") -> Tensor:
    r"""$\mathcal{J}_3 = \lVert H - B \rVert_F^2$.

    codes: H, shape (n, bits). binary: B, ±1, the same shape: `shared_code`, or the code's $\operatorname{sign}(H)$ of
    each network by itself. reduction: "sum", or "mean" over the entries.
    """
    return _reduced((codes - binary).square(), reduction)


def label_loss(predicted: Tensor, labels: Tensor, *, reduction: str = "sum") -> Tensor:
    r"""$\mathcal{J}_4 = \lVert \hat L - L \rVert_F^2$.

    predicted: $\hat L$, from 0 to 1, shape (n, c). labels: L, 0/1, the same shape. reduction: "sum", or "mean" over the
    entries.
    """
    return _reduced((predicted - labels).square(), reduction)


def shared_code(*codes: Tensor) -> Tensor:
    r"""$B = \operatorname{sign}(H^v + H^t + H^l)$, which minimises the sum of the three $\mathcal{J}_3$ for given
    codes; sign(0) = +1.

    codes: each of shape (n, bits). Returns ±1, floating point, the same shape.
    """
    total = sum(codes[1:], codes[0])
    return torch.where(total >= 0, 1.0, -1.0).to(total.dtype)


def discriminator_loss(
    label_logits: Tensor, modality_logits: Tensor, *, kind: str = "squared", reduction: str = "sum"
) -> Tensor:
    r"""$\mathcal{L}_{adv}$ of one discriminator: it rates LabNet's features 1 and the modality's features 0.

    $$\mathcal{L}_{adv} = \sum_i \big(D(F^l_i) - 1\big)^2 + \sum_i \big(D(F^*_i) - 0\big)^2,
      \qquad D(x) = \operatorname{sigmoid}(\text{logit})$$

    label_logits, modality_logits: the discriminator's outputs before the sigmoid, shapes (n,) and (m,).
    kind: "squared" as above, or the code's "cross-entropy" with the same targets. reduction: "sum", or "mean" over the
    features of either kind.
    """
    return _rated(label_logits, 1.0, kind, reduction) + _rated(modality_logits, 0.0, kind, reduction)


def adversarial_term(
    logits: Tensor, *, own: float = 0.0, target: str = "minus", kind: str = "squared", reduction: str = "sum"
) -> Tensor:
    r"""What a network adds to its loss to deceive a discriminator, through which the gradient flows to the features.

    $$\text{minus: } -\sum_i \big(D(F_i) - y\big)^2 \qquad\qquad \text{flipped: } \sum_i \big(D(F_i) - (1 - y)\big)^2$$

    "minus" is the note's $\mathcal{L}_{gen} - \mathcal{L}_{adv}$, "flipped" is the code's way. Both have their minimum
    where D errs. Where D is sure and right, "minus" on the squared error has no slope left, and "flipped" on the
    cross-entropy has all of it.
    logits: the discriminator's outputs for these features, shape (n,). own: y, 0 for ImgNet and TxtNet, 1 for LabNet.
    kind, reduction: as `discriminator_loss`.
    """
    check_choice("target", target, ("minus", "flipped"))
    return -_rated(logits, own, kind, reduction) if target == "minus" else _rated(logits, 1 - own, kind, reduction)


def _rated(logits: Tensor, target: float, kind: str, reduction: str) -> Tensor:
    check_choice("kind", kind, ("squared", "cross-entropy"))
    if kind == "squared":
        return _reduced((logits.sigmoid() - target).square(), reduction)
    targets = torch.full_like(logits, target)
    return _reduced(F.binary_cross_entropy_with_logits(logits, targets, reduction="none"), reduction)


def _reduced(x: Tensor, reduction: str) -> Tensor:
    check_choice("reduction", reduction, ("mean", "sum"))
    return x.mean() if reduction == "mean" else x.sum()
