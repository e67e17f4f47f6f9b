"""Top-k search by Hamming distance over packed codes: exact, and the same answer from NumPy and from faiss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.codes import check_packed, check_same_bits, distance_tile, to_words
from cmhkit.support.blocks import slices
from cmhkit.support.checks import check, check_choice, check_integer

ENGINES = ("auto", "numpy", "faiss")
_TILE_ITEMS, _TILE_QUERIES = 16384, 16
_FAISS_MORE = 64
_FAISS_MOST = 1000  # beyond this NumPy is as fast (bench/RESULTS.md)
_FEW = 16  # less than a sixteenth of a tile is gathered faster than the whole tile is counted
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
    faiss leaves open which of several equally far items it returns at the place where k cuts. So it is asked for more
    than k, and where that does not settle a tie NumPy searches.
    Raises InputError for codes or ids of another kind, and for engine="faiss" without faiss.
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
            self._faiss.use_heap = False  # counting: a large k costs little
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
        words = to_words(query)
        search = self._ranked if k * _SORT_SHARE > len(self) else self._nearest
        found = [search(words[:, rows], k) for rows in slices(len(query), _TILE_QUERIES)]
        if not found:
            return np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=np.uint16)
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def _ranked(self, query: NDArray, k: int) -> tuple[NDArray, NDArray]:
        """The first k places of whole rankings, and their distances. query: words, shape (words, a few)."""
        parts = [distance_tile(query, self._words[:, items]) for items in slices(len(self), _TILE_ITEMS)]
        distances = np.concatenate(parts, axis=1)
        places = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return places, np.take_along_axis(distances, places, axis=1).astype(np.uint16)

    def _nearest(self, query: NDArray, k: int) -> tuple[NDArray, NDArray]:
        """As `_ranked`, by counting, a tile of items at a time: what is farther than the k-th nearest item so far is
        left out. query: words, shape (words, a few).
        """
        items, queries, kinds = self._words, query.shape[1], 8 * query.itemsize * len(query) + 1
        first = distance_tile(query, items[:, : 2 * k + _TILE_ITEMS]).astype(np.uint16)  # partitioned faster than bytes
        limit = np.partition(first, k - 1, axis=1)[:, k - 1]
        counts = np.zeros((queries, kinds), dtype=np.int64)  # of what is left in, by query and distance
        keys, places = [], []
        for tile in slices(len(self), _TILE_ITEMS):
            row, column, distance = _within(query, items[:, tile], limit)
            key = row * kinds + distance
            counts += np.bincount(key, minlength=counts.size).reshape(counts.shape)
            below = counts.cumsum(axis=1)
            limit = np.where(below[:, -1] >= k, (below >= k).argmax(axis=1), limit)
            keys.append(key)
            places.append(column + tile.start)
        key, place = np.concatenate(keys), np.concatenate(places)
        order = np.argsort(key.astype(np.min_scalar_type(counts.size)), kind="stable")  # equal distances stand by place
        key, place = key[order], place[order]
        nearest = np.searchsorted(key, kinds * np.arange(queries))[:, None] + np.arange(k)
        return place[nearest], (key[nearest] % kinds).astype(np.uint16)

    def _search_faiss(self, query: NDArray[np.uint8], k: int) -> tuple[NDArray, NDArray]:
        more, items = min(2 * k + _FAISS_MORE, len(self)), len(self)
        distances, places = self._faiss.search(query, more)
        key = np.sort(distances.astype(np.int64) * items + places, axis=1)
        distances, places = np.divmod(key, items)
        # Where something farther than the k-th was returned, everything as near as the k-th was returned too.
        cut = distances[:, k - 1] == distances[:, -1] if more < items else np.zeros(len(query), dtype=bool)
        distances, places = distances[:, :k].astype(np.uint16), np.ascontiguousarray(places[:, :k])
        if cut.any():
            places[cut], distances[cut] = self._search_numpy(query[cut], k)
        return places, distances


def _within(query: NDArray, items: NDArray, limit: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """What lies within each query's limit: number of the query, place in the tile, distance; by query, then by place.

    query, items: words. limit: in bits. The last of several words is counted only for what the words before it leave
    in, where that is little.
    """
    words = len(query) - (len(query) > 2)
    distances = distance_tile(query[:words], items[:words])
    near = distances <= limit.clip(max=np.iinfo(distances.dtype).max).astype(distances.dtype)[:, None]
    if words < len(query) and np.count_nonzero(near) * _FEW > near.size:
        words, distances = len(query), distance_tile(query, items)
        near = distances <= limit[:, None]
    row, column = np.divmod(np.flatnonzero(near), near.shape[1])
    distance = distances[row, column].astype(np.int64)
    if words < len(query):
        distance += np.bitwise_count(query[-1, row] ^ items[-1, column])
        near = distance <= limit[row]
        row, column, distance = row[near], column[near], distance[near]
    return row, column, distance


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
