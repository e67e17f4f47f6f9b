"""Top-k search by Hamming distance over packed codes: exact, and the same answer from NumPy and from faiss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.codes import check_packed, check_same_bits, distance_tile, slices, to_words
from cmhkit.support.checks import check, check_choice, check_integer

ENGINES = ("auto", "numpy", "faiss")
_TILE_ITEMS = 16384
_FAISS_RESULTS = 4_000_000
_FAISS_MOST = 1000  # faiss keeps its k best in a heap: beyond this, counting is faster (bench/RESULTS.md)
_SORT_SHARE = 8  # where k is more than an eighth of the database, one sort is faster than counting


@dataclass(frozen=True, eq=False)
class Hits:
    """The answer to a search. ids: int64 (n, k), nearest first. distances: uint16 (n, k), in bits."""

    ids: NDArray[np.int64]
    distances: NDArray[np.uint16]


class HammingIndex:
    """Packed codes that can be searched for the k nearest, exactly; equal distances stand by id, the lower first.

    database: packed, shape (m, K // 8). ids: m different whole numbers, or None for 0 to m - 1.
    engine: "numpy", "faiss" (`IndexBinaryFlat`, Douze et al. 2024), or "auto": faiss where it is installed, for k up to
    1,000, where it is the faster. Both give the same answer.
    faiss leaves open which of several equally far items it returns at the place where k cuts; those are asked for again
    with a range search. Raises InputError for codes or ids of another kind, and for engine="faiss" without faiss.
    """

    def __init__(self, database: ArrayLike, ids: ArrayLike | None = None, engine: str = "auto") -> None:
        database = check_packed(database, "database")
        check(len(database) > 0, "database: expected at least one code, got none")
        check_choice("engine", engine, ENGINES)
        has_faiss = engine != "numpy" and find_spec("faiss") is not None
        good = engine != "faiss" or has_faiss
        check(good, "engine: 'faiss' is not installed; pip install faiss-cpu, or use engine='numpy'")
        self.engine = "faiss" if has_faiss else "numpy"
        self._ids_are_places = ids is None
        self.ids, order = _check_ids(ids, len(database))
        self._database = database if order is None else database[order]
        self._faiss_most = _FAISS_MOST if engine == "auto" else len(self)
        if self.engine == "faiss":
            import faiss

            self._faiss = faiss.IndexBinaryFlat(8 * database.shape[1])
            self._faiss.add(self._database)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"HammingIndex({len(self)} codes, {8 * self._database.shape[1]} bits, engine={self.engine!r})"

    def search(self, query: ArrayLike, k: int) -> Hits:
        """The k nearest codes of every query.

        query: packed, shape (n, K // 8), the database's K. k: 1 to the size of the database.
        Returns Hits: ids (n, k) and distances (n, k), by distance, then by id. Raises InputError for another K or k.
        """
        query = check_packed(query, "query")
        check_same_bits(query, self._database, "query", "database")
        check_integer("k", k, 1, len(self))
        by_faiss = self.engine == "faiss" and k <= self._faiss_most
        places, distances = (self._search_faiss if by_faiss else self._search_numpy)(query, int(k))
        return Hits(places if self._ids_are_places else self.ids[places], distances)

    @cached_property
    def _words(self) -> NDArray[np.unsignedinteger]:
        return to_words(self._database)

    def _search_numpy(self, query: NDArray[np.uint8], k: int) -> tuple[NDArray, NDArray]:
        places, distances = np.empty((len(query), k), dtype=np.int64), np.empty((len(query), k), dtype=np.uint16)
        bits = 8 * query.shape[1]
        row = np.empty(len(self), dtype=np.uint8 if bits < 256 else np.uint16)
        for number, words in enumerate(to_words(query).T):
            for columns in slices(len(row), _TILE_ITEMS):
                row[columns] = distance_tile(words[:, None], self._words[:, columns])[0]
            places[number], distances[number] = _smallest(row, k, bits)
        return places, distances

    def _search_faiss(self, query: NDArray[np.uint8], k: int) -> tuple[NDArray, NDArray]:
        distances, places = self._faiss.search(query, min(k + 1, len(self)))
        order = np.lexsort((places, distances), axis=1)
        distances, places = np.take_along_axis(distances, order, axis=1), np.take_along_axis(places, order, axis=1)
        tied = distances[:, k - 1] == distances[:, -1] if k < len(self) else np.zeros(len(query), dtype=bool)
        distances, places = np.ascontiguousarray(distances[:, :k]), np.ascontiguousarray(places[:, :k])
        for radius in np.unique(distances[tied, -1]):
            rows = np.flatnonzero(tied & (distances[:, -1] == radius))
            for part in slices(len(rows), max(1, _FAISS_RESULTS // len(self))):
                self._repair(query, rows[part], int(radius), distances, places)
        return places, distances.astype(np.uint16)

    def _repair(
        self, query: NDArray[np.uint8], rows: NDArray, radius: int, distances: NDArray, places: NDArray
    ) -> None:
        """Fill the places at exactly `radius`, where k cuts a tie, with the lowest ids there (faiss's range search is:
        closer than).
        """
        limits, distance, item = self._faiss.range_search(query[rows], radius + 1)
        for row, start, stop in zip(rows, limits[:-1].astype(np.int64), limits[1:].astype(np.int64), strict=True):
            at_radius = np.sort(item[start:stop][distance[start:stop] == radius])
            first = np.searchsorted(distances[row], radius)
            places[row, first:] = at_radius[: places.shape[1] - first]


def _smallest(row: NDArray, k: int, bits: int) -> tuple[NDArray, NDArray]:
    """The k smallest of a row of small whole numbers, ties by place: find the k-th value by counting, then read off its
    places.
    """
    if k * _SORT_SHARE > len(row):
        places = np.argsort(row, kind="stable")[:k]
        return places, row[places]
    low, high = int(row.min()), bits
    while low < high:
        middle = (low + high) // 2
        if np.count_nonzero(row <= middle) >= k:
            high = middle
        else:
            low = middle + 1
    closer = np.flatnonzero(row < low)
    closer = closer[np.argsort(row[closer], kind="stable")]
    places = np.concatenate([closer, np.flatnonzero(row == low)[: k - len(closer)]])
    return places, row[places]


def _check_ids(ids: ArrayLike | None, items: int) -> tuple[NDArray[np.int64], NDArray | None]:
    """The ids in ascending order, and the order that sorts the database so (None if it already is)."""
    if ids is None:
        return np.arange(items), None
    ids = np.asarray(ids)
    right = ids.ndim == 1 and len(ids) == items
    check(right, f"ids: expected one for each of the {items} codes, got shape {ids.shape}")
    check(ids.dtype.kind in "iu", f"ids: expected whole numbers, got {ids.dtype}")
    order = np.argsort(ids, kind="stable")
    ids = ids[order].astype(np.int64)
    check((ids[1:] != ids[:-1]).all(), "ids: expected different ones, got the same id twice")
    return ids, order
