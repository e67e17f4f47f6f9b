"""How far two sets of features follow one distribution: what the adversarial term is for.

Two measures that share nothing with the discriminators of the training: the energy distance with a permutation test,
and a classifier that starts afresh and is asked about items that it did not learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cmhkit.data.pairs import Split, checked_vectors
from cmhkit.support.checks import check, check_choice, check_integer


@dataclass(frozen=True)
class TwoSample:
    r"""The energy distance of two samples.

    energy: $\mathcal{E}$, at least 0, and 0 if and only if both samples are the same set of points. share:
    $\mathcal{E} / (2\,E\lVert x - y \rVert)$, from 0 to 1, which does not depend on the features' scale. p_value: the
    share of random divisions with an energy distance at least as large; small means that the distributions differ.
    expected: the mean share of these divisions, what equal distributions give with so many items.
    """

    energy: float
    share: float
    p_value: float
    expected: float


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    r"""The energy distance of two samples (Székely and Rizzo, "Energy statistics", 2013).

    $$\mathcal{E} = \frac{2}{nm} \sum_{i,j} \lVert a_i - b_j \rVert - \frac{1}{n^2} \sum_{i,j} \lVert a_i - a_j \rVert
      - \frac{1}{m^2} \sum_{i,j} \lVert b_i - b_j \rVert$$

    a: shape (n, d). b: shape (m, d). Errors: `InputError` for another shape.
    """
    a, b = _samples(a, b)
    return _energies(_distances(a, b), _division(len(a), len(b)))[0][0]


def two_sample(a: np.ndarray, b: np.ndarray, *, permutations: int = 500, seed: int = 0) -> TwoSample:
    """The energy distance of two samples, and a permutation test of whether one distribution gave both.

    a: shape (n, d). b: shape (m, d). The samples are independent: no item is in both. permutations: random divisions of
    all n + m into n and m. The memory is 8 (n + m)² bytes. The p-value is at least 1 / (permutations + 1). Errors:
    `InputError` for another shape.
    """
    a, b = _samples(a, b)
    check_integer("permutations", permutations, 1)
    check_integer("seed", seed, 0)
    random = np.random.default_rng(seed)
    division = _division(len(a), len(b))
    divisions = np.concatenate([division] + [random.permutation(division) for _ in range(permutations)], axis=1)
    energy, share = _energies(_distances(a, b), divisions)
    # Equal divisions must not differ by rounding.
    reached = int((energy[1:] >= energy[0] * (1 - 1e-9)).sum())
    return TwoSample(float(energy[0]), float(share[0]), (1 + reached) / (1 + permutations), float(share[1:].mean()))


def classifier_accuracy(a: np.ndarray, b: np.ndarray, *, kind: str = "linear", seed: int = 0) -> float:
    """How often a classifier that starts afresh tells a from b, on rows that it did not learn from; 0.5 is chance, 1 is
    always.

    a: shape (n, d). b: shape (n, d), of the same n items in the same order: half of the items, drawn by seed, are for
    learning, the other half for asking. kind: "linear" (logistic regression on standardised features) or "forest" (100
    random trees). Errors: `InputError` for another shape.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_choice("kind", kind, ("linear", "forest"))
    a, b = _samples(a, b)
    check_integer("seed", seed, 0)
    check(len(a) == len(b) and len(a) >= 4, f"a, b: expected the same items, at least 4, got {len(a)} and {len(b)}")
    order = np.random.default_rng(seed).permutation(len(a))
    learn, ask = order[: len(a) // 2], order[len(a) // 2 :]
    model = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        if kind == "linear"
        else RandomForestClassifier(100, random_state=seed, n_jobs=1)
    )
    model.fit(np.concatenate([a[learn], b[learn]]), np.repeat([0, 1], len(learn)))
    return float(model.score(np.concatenate([a[ask], b[ask]]), np.repeat([0, 1], len(ask))))


@dataclass(frozen=True)
class Match:
    r"""How well one modality's features follow LabNet's.

    test: `TwoSample` of $F^l$ of one half of the items against $F^*$ of the other half. accuracy: `classifier_accuracy`
    of $F^l$ against $F^*$.
    """

    test: TwoSample
    accuracy: float


def matches(
    hasher: Any, split: Split, *, items: int = 1000, permutations: int = 500, kind: str = "linear", seed: int = 0
) -> dict[str, Match]:
    r"""$F^l$ against $F^v$ ("image") and against $F^t$ ("text"), on items of a split.

    hasher: a fitted `SSAH`. split: with labels. items: at most so many are drawn by seed. The rest: as `two_sample` and
    `classifier_accuracy`. Seconds for 1,000 items. Errors: `InputError` if the hasher has no LabNet, or the split no
    labels.
    """
    check(isinstance(split, Split), f"split: expected a Split, got {type(split).__name__}")
    check_integer("items", items, 4)
    order = np.random.default_rng(seed).permutation(len(split))[:items]
    drawn = split.whole.take(split.index[order])
    label = hasher.features(labels=drawn)
    matches = {}
    for name, features in (("image", hasher.features(images=drawn)), ("text", hasher.features(texts=drawn))):
        half = len(order) // 2
        test = two_sample(label[:half], features[half:], permutations=permutations, seed=seed)
        matches[name] = Match(test, classifier_accuracy(label, features, kind=kind, seed=seed))
    return matches


def _samples(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = checked_vectors(a, "a"), checked_vectors(b, "b")
    check(
        len(a) > 0 and len(b) > 0 and a.shape[1] == b.shape[1],
        f"a, b: expected shapes (n, d) and (m, d), got {a.shape} and {b.shape}",
    )
    return a.astype(np.float64), b.astype(np.float64)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(np.concatenate([a, b])))


def _division(n: int, m: int) -> np.ndarray:
    """1 for the first sample's items, 0 for the second's, shape (n + m, 1)."""
    return np.repeat([1.0, 0.0], [n, m])[:, None]


def _energies(distance: np.ndarray, divisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The energy distance and its share of 2 E‖x - y‖ for each division, a column of 0 and 1."""
    first, second = divisions, 1 - divisions
    n, m = first[:, 0].sum(), second[:, 0].sum()
    to_first = distance @ first
    to_second = distance.sum(axis=1, keepdims=True) - to_first
    between = 2 * (to_first * second).sum(axis=0) / (n * m)
    energy = between - (to_first * first).sum(axis=0) / n**2 - (to_second * second).sum(axis=0) / m**2
    energy = np.maximum(energy, 0)  # rounding
    return energy, np.divide(energy, between, out=np.zeros_like(energy), where=between > 0)
