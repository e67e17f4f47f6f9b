"""The k nearest neighbours of every item of a set, exactly, in a few blocks of memory.

Order: by distance, rounded to float32 as returned, then by index; so equal items stand by index, whatever BLAS does to
the last digit. That is why this is not scikit-learn's `kneighbors`, which leaves ties to the order of its heap.
Dense: a float32 GEMM proposes every item within its worst rounding error of the k-th distance, and these are measured
again in float64. Each pair of chunks is multiplied once, and serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmhkit.support.blocks import slices
from cmhkit.support.checks import check

if TYPE_CHECKING:
    from scipy.sparse import csr_array

METRICS = ("euclidean", "cosine")
_SPARSE_CHUNK = 200  # no power of two: a transposed copy at such a stride misses the cache, four times slower
_SPARSE_BLOCK = 2**23
_NOISE = 1e-12
_WIDE = 1024  # columns of a block: its numbers stay near the processor
_MEASURED = 2**17  # numbers that are measured at once
_SPARE = 2**18  # candidates that are kept before they are thinned out, where there are few items


def check_vectors(x: Any) -> Any:
    """Rows of finite numbers, dense or as CSR. Errors: `InputError` for anything else."""
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


def nearest_others(x: Any, k: int, metric: str, chunk: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each item, the k nearest others and their distances, each shape (n, k), by distance, then by index.

    x: finite numbers, shape (n, d), dense or SciPy sparse. k: 1 to n - 1. metric: one of `METRICS`. chunk: rows at a
    time; sparse input: at most 200.
    """
    source = _source(x)
    if isinstance(source, _Sparse):
        chunk = max(1, min(chunk, _SPARSE_CHUNK, _SPARSE_BLOCK // x.shape[1]))
    items, near = len(source.norms), _Nearest(source, k, metric)
    for rows in slices(items, chunk):
        right = (slice(rows.stop + s.start, rows.stop + s.stop) for s in slices(items - rows.stop, _WIDE))
        for columns in (rows, *right):
            product = source.block(rows, columns)
            rough = _rough_distances(product, rows, columns, source.norms, metric)
            near.add(rows, columns, rough, product)
            if columns is not rows:
                near.add(columns, rows, rough.T, product.T)
    return near.found()


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
        self.stored, self.most = 0, 3 * self.rough.size + _SPARE

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
            left = self._left()
            if len(left[0]) > self.most // 2:  # ties by the thousand: measuring is what parts them
                *left, _ = self._best(left)
            self.candidates, self.stored = [tuple(left)], len(left[0])

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k nearest others of each item and their distances, when every block was seen."""
        _, other, _, _, distance = self._best(self._left())
        return other.reshape(self.rough.shape), distance.reshape(self.rough.shape)

    def _limit(self, item: NDArray) -> NDArray[np.float32]:
        """What a rough distance must not exceed."""
        limit = self.rough[item, -1] + self.slack[item]
        return np.nextafter(limit.astype(np.float32), np.float32(np.inf))

    def _left(self) -> list[NDArray]:
        """The candidates that may still be among the k nearest."""
        item, other, rough, product = (np.concatenate(parts) for parts in zip(*self.candidates, strict=True))
        left = rough <= self._limit(np.arange(len(self.rough)))[item]
        return [part[left] for part in (item, other, rough, product)]

    def _best(self, candidates: list[NDArray]) -> tuple[NDArray, ...]:
        """At most k candidates of each item, by item, distance and index: as in `candidates`, and their distances."""
        item, other, rough, product = candidates
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
