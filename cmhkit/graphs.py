"""Graphs over items: who shares a label (S), and who is near whom (the kNN correlation graph)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.codes import to_words
from cmhkit.support.blocks import slices
from cmhkit.support.checks import InputError, check, check_choice, check_integer
from cmhkit.support.neighbours import METRICS, check_vectors, nearest_others

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SYMMETRIES = (None, "union", "intersection")


def check_labels(labels: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return a label matrix as bool (n, c), or raise InputError naming the argument `name`: expected 0/1 or bool, two
    axes, no NaN.
    """
    labels = np.asarray(labels)
    hint = "; for class numbers use np.eye(classes, dtype=bool)[numbers]" if labels.ndim == 1 else ""
    two = labels.ndim == 2 and labels.shape[1] > 0
    check(two, f"{name}: expected a matrix (items, labels) of 0/1, got shape {labels.shape}{hint}")
    if labels.dtype == bool:
        return labels
    check(labels.dtype.kind in "iuf", f"{name}: expected 0/1 or bool, got {labels.dtype}")
    check(not np.isnan(labels).any(), f"{name}: expected 0/1, got NaN")
    if not ((labels == 0) | (labels == 1)).all():
        signs = (np.abs(labels) == 1).all()
        values = "-1/1" if signs else f"values from {labels.min()} to {labels.max()}"
        raise InputError(f"{name}: expected 0/1 or bool, got {values}; convert with labels > 0")
    return labels.astype(bool)


def check_same_labels(a: NDArray, b: NDArray, name_a: str, name_b: str) -> None:
    """Raise InputError unless both matrices are about the same number of labels."""
    c, d = a.shape[1], b.shape[1]
    check(c == d, f"{name_a}, {name_b}: expected the same number of labels, got {c} and {d}")


def label_words(labels: NDArray[np.bool_]) -> NDArray[np.unsignedinteger]:
    """A bool label matrix (n, c) as machine words (words, n): two items share a label where the AND of their words is
    not 0.
    """
    return to_words(np.packbits(labels, axis=1))


def label_similarity(labels_a: ArrayLike, labels_b: ArrayLike | None = None) -> NDArray[np.bool_]:
    r"""$S_{ij} = 1$ where item i of `labels_a` and item j of `labels_b` share at least one label (the S of DCMH, SSAH
    and ADAH).

    labels_a: 0/1, shape (n, c). labels_b: 0/1, shape (m, c), or None for `labels_a` itself. Returns bool, shape (n, m).
    An item without labels is similar to nothing, itself included. Raises InputError for other values or a different c.
    """
    a = check_labels(labels_a, "labels_a")
    b = a if labels_b is None else check_labels(labels_b, "labels_b")
    check_same_labels(a, b, "labels_a", "labels_b")
    words_a, words_b = label_words(a), label_words(b)
    out = np.zeros((len(a), len(b)), dtype=bool)
    for rows in slices(len(a), 64):
        for columns in slices(len(b), 8192):
            for word_a, word_b in zip(words_a, words_b, strict=True):
                out[rows, columns] |= (word_a[rows, None] & word_b[columns]) != 0
    return out


@dataclass(frozen=True, eq=False)
class KnnGraph:
    """The k nearest neighbours of every item.

    neighbours: int64 (n, k), nearest first. distances: float32 (n, k), in the units of the metric.
    matrix: SciPy CSR of bool (n, n), row = item; made symmetric if `knn_graph` was asked to.
    """

    neighbours: NDArray[np.int64]
    distances: NDArray[np.float32]
    matrix: csr_array

    def agreement(self, labels: ArrayLike) -> float:
        """Share of (item, neighbour) pairs that share a label: of the directed pairs in `neighbours`, the item itself
        left out.

        labels: 0/1, shape (n, c). Returns a share in [0, 1]; NaN if there is no such pair. Raises InputError for other
        labels.
        """
        labels = check_labels(labels, "labels")
        items = len(self.neighbours)
        check(len(labels) == items, f"labels: expected one row for each of the {items} items, got {len(labels)}")
        pairs = self.neighbours != np.arange(items)[:, None]
        same = np.zeros_like(pairs)
        for word in label_words(labels):
            same |= (word[:, None] & word[self.neighbours]) != 0
        return float((same & pairs).sum() / pairs.sum()) if pairs.any() else float("nan")


def knn_graph(
    x: Any,
    k: int,
    *,
    metric: str = "euclidean",
    include_self: bool = False,
    symmetric: str | None = None,
    chunk: int = 1024,
) -> KnnGraph:
    r"""The k-nearest-neighbour graph of UGACH (Zhang, Peng, Yuan, AAAI 2018): $w(p, q) = 1$ where $x_p \in NN_k(x_q)$.

    x: real numbers, shape (n, d), a dense array or any SciPy sparse matrix. k: neighbours an item, 1 to n - 1 (to n
    with `include_self`). metric: "euclidean", or "cosine" = 1 - cos, in [0, 2]; under cosine a row of zeros has
    distance 1 to every other item.
    include_self: each item is its own first neighbour, at distance 0, and counts as one of the k.
    symmetric: None keeps `.matrix` as the directed lists are; "union" joins p and q where either lists the other;
    "intersection" where both do. `.neighbours` and `.distances` stay directed. chunk: rows at a time (sparse input: at
    most 200), which bounds the memory over the input to a few blocks of chunk · 4096 numbers and a few numbers for each
    of the n · k neighbours (and a float32 copy of a dense input of another type).

    Order: by distance, then by index, the same on every machine (`cmhkit.support.neighbours`).
    Raises InputError for NaN, infinity, a k out of range or an unknown option.
    """
    check_choice("metric", metric, METRICS)
    check_choice("symmetric", symmetric, SYMMETRIES)
    check_integer("chunk", chunk, 1)
    x = check_vectors(x)
    items = x.shape[0]
    most = items if include_self else items - 1
    check_integer("k", k, 1, most)
    others = k - 1 if include_self else k
    neighbours, distances = np.empty((items, k), dtype=np.int64), np.zeros((items, k), dtype=np.float32)
    neighbours[:, 0] = np.arange(items)
    if others:
        neighbours[:, k - others :], distances[:, k - others :] = nearest_others(x, others, metric, int(chunk))
    return KnnGraph(neighbours, distances, _adjacency(neighbours, symmetric))


def correlation_graph(
    images: NDArray,
    texts: NDArray,
    k_image: int,
    k_text: int,
    *,
    metric_text: str = "euclidean",
    symmetric: bool = False,
) -> csr_array:
    """Which items count as related in UGACH: an edge of either graph, for both directions of retrieval.

    images: real numbers, shape (n, d), near by the Euclidean metric. texts: shape (n, t), near by `metric_text`.
    k_image, k_text: neighbours, the item itself counted. symmetric: whether to make both graphs undirected.
    Returns SciPy CSR of bool (n, n), row = item; the item itself is always among its related ones. The last result is
    remembered: runs with other seeds and bits on the same pairs do not search again.
    Source: the note of UGACH, "Correlation graph". Raises InputError as `knn_graph`.
    """
    key = (_digest(images), _digest(texts), k_image, k_text, metric_text, symmetric)
    if key not in _last_graph:
        options = {"include_self": True, "symmetric": "union" if symmetric else None}
        by_image = knn_graph(images, k_image, metric="euclidean", **options).matrix
        by_text = knn_graph(texts, k_text, metric=metric_text, **options).matrix
        _last_graph.clear()
        _last_graph[key] = by_image.maximum(by_text)
    return _last_graph[key].copy()


_last_graph: dict[tuple[Any, ...], csr_array] = {}


def _digest(x: NDArray) -> tuple[Any, ...]:
    x = np.ascontiguousarray(x)
    return x.shape, x.dtype.str, hashlib.blake2b(x.data, digest_size=16).digest()


def _adjacency(neighbours: NDArray[np.int64], symmetric: str | None) -> csr_array:
    from scipy import sparse

    items, k = neighbours.shape
    columns = np.sort(neighbours, axis=1).ravel()
    matrix = sparse.csr_array(
        (np.ones(items * k, dtype=bool), columns, np.arange(0, items * k + 1, k)), shape=(items, items)
    )
    if symmetric == "union":
        matrix = matrix.maximum(matrix.T)
    elif symmetric == "intersection":
        matrix = matrix.multiply(matrix.T)
    return sparse.csr_array(matrix, dtype=bool)
