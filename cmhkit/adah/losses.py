r"""ADAH's equations: six terms of one form, each over all triplets of a batch.

Names: $H^I$, $H^T$ are the codes of attended features, $\hat H^I$, $\hat H^T$ those of unattended features, S is 1
where two items share a label.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cmhkit.nn.triplet import TripletHinge, pairwise_distance, triplet_hinge

#: The terms: query, database.
RETRIEVAL = (("text", "image"), ("image", "text"), ("image", "image"), ("text", "text"))
ADVERSARIAL = (("text", "image"), ("image", "text"))


def ranking_term(
    query: Tensor,
    database: Tensor,
    similar: Tensor,
    margin: float,
    *,
    distance: str = "norm",
    reduction: str = "mean",
    own: bool = True,
) -> TripletHinge:
    r"""One term, query modality A against database modality B. The note, "cross-modal retrieval loss".

    $$\mathcal{F}_{A \to B} = \sum_{\langle i,j,k \rangle}
      \max(0,\; \varepsilon + \lVert H_i^A - H_j^B \rVert - \lVert H_i^A - H_k^B \rVert), \qquad S(i,j) > S(i,k)$$

    query, database: $H^A$, $H^B$, shape (n, bits). similar: S, bool, shape (n, n). margin: $\varepsilon$. distance:
    "norm" as above, or "squared". reduction: "sum" as above, or "mean" over the triplets. own: False leaves j = i and
    k = i out.
    """
    return triplet_hinge(pairwise_distance(query, database, distance), similar, margin, reduction=reduction, own=own)


def retrieval_terms(
    image: Tensor, text: Tensor, similar: Tensor, margin: float, **options: str | bool
) -> list[TripletHinge]:
    r"""The four terms on attended codes, in this order. The cross-modal retrieval loss is their sum.

    $$\mathcal{F}_{T \to I} + \mathcal{F}_{I \to T} + \mathcal{F}_{I \to I} + \mathcal{F}_{T \to T}$$

    image, text: $H^I$, $H^T$, shape (n, bits). The rest: as `ranking_term`.
    """
    codes = {"image": image, "text": text}
    return [ranking_term(codes[a], codes[b], similar, margin, **options) for a, b in RETRIEVAL]


def adversarial_terms(
    image: Tensor,
    text: Tensor,
    image_unattended: Tensor,
    text_unattended: Tensor,
    similar: Tensor,
    margin: float,
    **options: str | bool,
) -> list[TripletHinge]:
    r"""The two terms of the adversarial retrieval loss: attended queries against unattended databases.

    $$\mathcal{F}_{T \to \hat I} + \mathcal{F}_{I \to \hat T}, \qquad \min_{E, D} \max_{G}$$

    image, text: $H^I$, $H^T$. image_unattended, text_unattended: $\hat H^I$, $\hat H^T$. All of shape (n, bits). The
    rest: as `ranking_term`.
    """
    codes, hidden = {"image": image, "text": text}, {"image": image_unattended, "text": text_unattended}
    return [ranking_term(codes[a], hidden[b], similar, margin, **options) for a, b in ADVERSARIAL]


def total(terms: Sequence[TripletHinge]) -> Tensor:
    """The sum of some terms, a scalar."""
    return sum((term.loss for term in terms[1:]), terms[0].loss)


def active_share(terms: Sequence[TripletHinge]) -> float:
    """The share of active triplets among those of some terms, from 0 to 1; NaN without triplets."""
    triplets = sum(int(term.triplets) for term in terms)
    return sum(int(term.active) for term in terms) / triplets if triplets else float("nan")
