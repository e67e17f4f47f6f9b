"""Graphs over items: who shares a label (S), and who is near whom (the kNN correlation graph)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.codes import slices, to_words
from cmhkit.support.checks import InputError, check, check_choice, check_integer

if TYPE_CHECKING:
    from scipy.sparse import csr_array

METRICS = ("euclidean", "cosine")
SYMMETRIES = (None, "union", "intersection")
_SPARSE_CHUNK = 200  # no power of two: a transposed copy at such a stride misses the cache, four times slower
_SPARSE_BLOCK = 2**23
_NOISE = 1e-12
_WIDE = 1024  # columns of a block: its numbers stay near the processor
_MEASURED = 2**17  # numbers that are measured at once
_SPARE = 2**18  # candidates that are kept before they are thinned out, where there are few items


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

    Order: by distance, rounded to float32 as returned, then by index; so equal items stand by index, whatever BLAS does
    to the last digit. That is why this is not scikit-learn's `kneighbors`, which leaves ties to the order of its heap.
    Dense: a float32 GEMM proposes every item within its worst rounding error of the k-th distance, and these are
    measured again in float64. Each pair of chunks is multiplied once, and serves both.
    Raises InputError for NaN, infinity, a k out of range or an unknown option.
    """
    check_choice("metric", metric, METRICS)
    check_choice("symmetric", symmetric, SYMMETRIES)
    check_integer("chunk", chunk, 1)
    x = _check_vectors(x)
    items = x.shape[0]
    most = items if include_self else items - 1
    check_integer("k", k, 1, most)
    others = k - 1 if include_self else k
    neighbours, distances = np.empty((items, k), dtype=np.int64), np.zeros((items, k), dtype=np.float32)
    neighbours[:, 0] = np.arange(items)
    if others:
        source = _source(x)
        if isinstance(source, _Sparse):
            chunk = max(1, min(chunk, _SPARSE_CHUNK, _SPARSE_BLOCK // x.shape[1]))
        neighbours[:, k - others :], distances[:, k - others :] = _nearest_others(source, others, metric, int(chunk))
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


def _check_vectors(x: Any) -> Any:
    from scipy import sparse

    is_sparse = sparse.issparse(x)
    x = sparse.csr_array(x) if is_sparse else np.asarray(x)
    values = x.data if is_sparse else x
    check(x.ndim == 2 and x.shape[0] > 0 and x.shape[1] > 0, f"x: expected shape (items, features), got {x.shape}")
    check(values.dtype.kind in "biuf", f"x: expected real numbers, got {values.dtype}")
    lowest, highest = (values.min(), values.max()) if values.size else (0.0, 0.0)
    check(np.isfinite(lowest) and np.isfinite(highest), "x: expected finite numbers, got NaN or infinity")
    largest = max(abs(float(lowest)), abs(float(highest)))
    check(largest < 1e15, "x: expected numbers below 1e15, got larger ones; rescale x")
    return x


@dataclass(frozen=True)
class _Dense:
    """Inner products of dense rows: float32 by GEMM for all, float64 for chosen ones."""

    x: NDArray
    single: NDArray[np.float32]
    norms: NDArray[np.float64]
    terms: int

    def block(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        return self.single[rows] @ self.single[columns].T

    def measure(self, row: NDArray, column: NDArray, product: NDArray, metric: str) -> NDArray[np.float64]:
        parts = slices(len(row), max(1, _MEASURED // self.x.shape[1]))
        return np.concatenate([self._measure(row[part], column[part], metric) for part in parts])

    def _measure(self, row: NDArray, column: NDArray, metric: str) -> NDArray[np.float64]:
        if metric == "cosine":
            product = np.multiply(self.x[column], self.x[row], dtype=np.float64).sum(axis=1)
            return _cosine_distance(product, self.norms[column] * self.norms[row])
        near = np.subtract(self.x[column], self.x[row], dtype=np.float64)
        return np.sqrt(np.einsum("ij,ij->i", near, near))


@dataclass(frozen=True)
class _Sparse:
    """Inner products of sparse rows, in float64: a sparse set times a dense block, so that equal rows give equal
    sums.
    """

    x: csr_array
    norms: NDArray[np.float64]
    terms: int = 0

    def block(self, rows: slice, columns: slice) -> NDArray[np.float64]:
        return (self.x[columns] @ np.ascontiguousarray(self.x[rows].toarray().T)).T

    def measure(self, row: NDArray, column: NDArray, product: NDArray, metric: str) -> NDArray[np.float64]:
        if metric == "cosine":
            return _cosine_distance(product, self.norms[column] * self.norms[row])
        total = self.norms[column] ** 2 + self.norms[row] ** 2
        square = total - 2 * product
        square[square < _NOISE * total] = 0.0
        return np.sqrt(square)


def _source(x: Any) -> _Dense | _Sparse:
    from scipy import sparse

    if sparse.issparse(x):
        x = x.astype(np.float64)
        return _Sparse(x, np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel()))
    norms = np.concatenate([np.linalg.norm(x[rows].astype(np.float64), axis=1) for rows in slices(len(x), 256)])
    return _Dense(x, np.ascontiguousarray(x, dtype=np.float32), norms, x.shape[1])


def _nearest_others(
    source: _Dense | _Sparse, k: int, metric: str, chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each item, the k nearest others and their distances, each shape (n, k), by distance, then by index."""
    items, near = len(source.norms), _Nearest(source, k, metric)
    for rows in slices(items, chunk):
        for columns in [
            rows,
            *(slice(rows.stop + s.start, rows.stop + s.stop) for s in slices(items - rows.stop, _WIDE)),
        ]:
            product = source.block(rows, columns)
            rough = _rough_distances(product, rows, columns, source.norms, metric)
            near.add(rows, columns, rough, product)
            if columns is not rows:
                near.add(columns, rows, rough.T, product.T)
    return near.found()


class _Nearest:
    """The k nearest others of every item, as far as blocks of distances were seen.

    Rough distances find the candidates: whatever may be among the k nearest, by the worst rounding error. `measure`
    orders them.
    """

    def __init__(self, source: _Dense | _Sparse, k: int, metric: str) -> None:
        self.source, self.k, self.metric = source, k, metric
        self.slack = _rounding_slack(source.norms, source.terms, metric)
        self.rough = np.full((len(source.norms), k), np.inf, dtype=np.float32)  # the k least of each item
        self.candidates: list[tuple[NDArray, ...]] = []  # items, others, rough distances, products
        self.stored, self.most = 0, 4 * self.rough.size + _SPARE

    def add(self, rows: slice, columns: slice, rough: NDArray, product: NDArray) -> None:
        """Look at a block of rough distances, shape (rows, columns), and its products."""
        limit = self._limit(np.arange(rows.start, rows.stop))
        which = np.flatnonzero(rough.min(axis=1) <= limit)
        item, rough = which + rows.start, np.take(rough, which, axis=0)
        nearest = np.partition(np.concatenate([self.rough[item], rough], axis=1), self.k - 1, axis=1)
        self.rough[item] = nearest[:, : self.k]
        row, column = np.divmod(np.flatnonzero(rough <= self._limit(item)[:, None]), rough.shape[1])
        other = item[row] != column + columns.start
        row, column = row[other], column[other]
        at = which[row], column
        other = (column + columns.start).astype(np.int32)
        self.candidates.append((item[row].astype(np.int32), other, rough[row, column], product[at]))
        self.stored += len(row)
        if self.stored > self.most:
            *best, _ = self._best()
            self.candidates, self.stored = [tuple(best)], len(best[0])

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k nearest others of each item and their distances, when every block was seen."""
        _, other, _, _, distance = self._best()
        return other.reshape(self.rough.shape), distance.reshape(self.rough.shape)

    def _limit(self, item: NDArray) -> NDArray[np.float32]:
        """What a rough distance must not exceed."""
        limit = self.rough[item, -1] + self.slack[item]
        return np.nextafter(limit.astype(np.float32), np.float32(np.inf))

    def _best(self) -> tuple[NDArray, ...]:
        """At most k candidates of each item, by item, distance and index: as in `candidates`, and their distances."""
        candidates = [np.concatenate(parts) for parts in zip(*self.candidates, strict=True)]
        left = candidates[2] <= self._limit(np.arange(len(self.rough)))[candidates[0]]
        item, other, rough, product = (part[left] for part in candidates)
        distance = self.source.measure(item, other, product, self.metric).astype(np.float32)
        order = _in_order(item, distance, other, len(self.rough))
        place = np.arange(len(order)) - np.searchsorted(item[order], np.arange(len(self.rough)))[item[order]]
        order = order[place < self.k]
        return tuple(part[order] for part in (item, other, rough, product, distance))


def _in_order(item: NDArray, distance: NDArray[np.float32], other: NDArray, items: int) -> NDArray[np.int64]:
    """The order by item, distance and other. Each triple fits a machine word where the items are few enough at once,
    and one sort of words is several times faster than three of numbers.
    """
    bits = int(items - 1).bit_length()
    parts = []
    for some in slices(items, 1 << (32 - bits)):
        here = np.flatnonzero((item >= some.start) & (item < some.stop))
        key = (item[here] - some.start).astype(np.uint64) << (32 + bits)
        key |= (distance[here] + np.float32(0)).view(np.uint32).astype(np.uint64) << bits  # -0 has another pattern
        parts.append(here[np.argsort(key | other[here].astype(np.uint64))])
    return np.concatenate(parts)


def _rough_distances(product: NDArray, rows: slice, columns: slice, norms: NDArray, metric: str) -> NDArray[np.float32]:
    """From inner products (rows, columns): the squared Euclidean distance, or minus the cosine. An item's own is
    infinite.
    """
    rough = product.astype(np.float32)
    if metric == "cosine":
        inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0).astype(np.float32)
        rough *= -inverse[rows, None]
        rough *= inverse[columns]
    else:
        square = (norms**2).astype(np.float32)
        rough *= -2
        rough += square[rows, None]
        rough += square[columns]
    if rows == columns:
        np.fill_diagonal(rough, np.inf)
    return rough


def _rounding_slack(norms: NDArray, terms: int, metric: str) -> NDArray[np.float64]:
    """Twice the worst error of `_rough_distances`: a float32 sum of d products is off by at most about d · 2^-24
    · |x| |y|.
    """
    unit = np.finfo(np.float32).eps / 2
    if metric == "cosine":
        return np.full(len(norms), 2 * (terms + 16) * unit)
    return (terms + 16) * unit * (norms + norms.max()) ** 2


def _cosine_distance(product: NDArray, norms: NDArray) -> NDArray[np.float64]:
    cosine = np.divide(product, norms, out=np.zeros(len(product)), where=norms > 0)
    return np.clip(np.round(1.0 - cosine, 12), 0.0, 2.0)


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
