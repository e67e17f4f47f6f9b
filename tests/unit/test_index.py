import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmhkit import index as module
from cmhkit.codes import hamming
from cmhkit.index import HammingIndex
from cmhkit.support.checks import InputError

HAS_FAISS = importlib.util.find_spec("faiss") is not None
ENGINES = ["numpy", pytest.param("faiss", marks=pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed"))]


def by_sorting(query, database, ids, k):
    distance = hamming(query, database)
    order = np.array([np.lexsort((ids, row))[:k] for row in distance])
    return ids[order], np.take_along_axis(distance, order, axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    seed=st.integers(0, 10**6),
    items=st.integers(1, 40),
    width=st.sampled_from([1, 2, 3, 8, 9, 40]),
    values=st.sampled_from([1, 2, 256]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_the_same_as_sorting_by_distance_and_id(engine, seed, items, width, values, data):
    rng = np.random.default_rng(seed)
    some = rng.permutation(256)[:values].astype(np.uint8)  # few values give many ties
    database, query = some[rng.integers(0, values, (items, width))], some[rng.integers(0, values, (4, width))]
    ids = rng.permutation(1000)[:items] - 500
    k = data.draw(st.integers(1, items))
    got = HammingIndex(database, ids=ids, engine=engine).search(query, k)
    expected_ids, expected_distances = by_sorting(query, database, ids, k)
    assert got.ids.dtype == np.int64 and got.distances.dtype == np.uint16
    assert (got.distances == expected_distances).all()
    assert (got.ids == expected_ids).all()


@pytest.mark.parametrize("share", [1, 10**9])
def test_counting_and_sorting_find_the_same(share, monkeypatch):
    monkeypatch.setattr(module, "_SORT_SHARE", share)
    rng = np.random.default_rng(1)
    database, query = rng.integers(0, 256, (300, 40), dtype=np.uint8), rng.integers(0, 256, (3, 40), dtype=np.uint8)
    for k in (1, 30, 37, 38, 299, 300):
        got = HammingIndex(database, engine="numpy").search(query, k)
        ids, distances = by_sorting(query, database, np.arange(300), k)
        assert (got.ids == ids).all() and (got.distances == distances).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_distances_of_256_bits_and_more(engine):
    database = np.array([[255] * 40, [0] * 40, [255] * 32 + [0] * 8], dtype=np.uint8)
    got = HammingIndex(database, engine=engine).search(np.zeros((1, 40), dtype=np.uint8), 3)
    assert got.ids.tolist() == [[1, 2, 0]] and got.distances.tolist() == [[0, 256, 320]]


@pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed")
@pytest.mark.parametrize("more", [0, 3, 64])
def test_whichever_tie_faiss_returns_the_lowest_ids_come_back(more, monkeypatch):
    class HighestFirst:
        """A faiss index that returns the highest places of a tie, as it may."""

        def search(self, query, k):
            distance = hamming(query, database)
            places = np.array([np.lexsort((-np.arange(len(database)), row))[:k] for row in distance])
            return np.take_along_axis(distance, places, axis=1).astype(np.int32), places

    rng = np.random.default_rng(0)
    database, query = rng.integers(0, 256, (60, 1), dtype=np.uint8), rng.integers(0, 256, (5, 1), dtype=np.uint8)
    index = HammingIndex(database, engine="faiss")
    index._faiss = HighestFirst()
    monkeypatch.setattr(module, "_FAISS_MORE", more)
    for k in (1, 7, 30, 59, 60):
        got = index.search(query, k)
        ids, distances = by_sorting(query, database, np.arange(60), k)
        assert (got.ids == ids).all() and (got.distances == distances).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_many_ties_across_tiles(engine, monkeypatch):
    monkeypatch.setattr(module, "_TILE_ITEMS", 700)
    monkeypatch.setattr(module, "_FAISS_MORE", 10)
    rng = np.random.default_rng(0)
    database, query = rng.integers(0, 256, (5000, 1), dtype=np.uint8), rng.integers(0, 256, (20, 1), dtype=np.uint8)
    got = HammingIndex(database, engine=engine).search(query, 100)
    ids, distances = by_sorting(query, database, np.arange(5000), 100)
    assert (got.ids == ids).all() and (got.distances == distances).all()


@pytest.mark.parametrize("few", [1, 16, 10**9])
@pytest.mark.parametrize("width", [3, 8, 16, 24, 32, 40, 64])
def test_words_are_counted_one_after_the_other(width, few, monkeypatch):
    monkeypatch.setattr(module, "_TILE_ITEMS", 50)
    monkeypatch.setattr(module, "_FEW", few)
    rng = np.random.default_rng(width)
    centres = rng.integers(0, 256, (3, width), dtype=np.uint8)
    noise = np.packbits(rng.random((520, 8 * width)) < 0.2, axis=1)
    codes = centres[rng.integers(0, 3, 520)] ^ noise
    got = HammingIndex(codes[20:], engine="numpy").search(codes[:20], 9)
    ids, distances = by_sorting(codes[:20], codes[20:], np.arange(500), 9)
    assert (got.ids == ids).all() and (got.distances == distances).all()


def test_the_limit_after_a_tile_is_the_kth_distance(monkeypatch):
    monkeypatch.setattr(module, "_TILE_ITEMS", 4)
    distances = [5, 9, *[16] * 8, 7, *[16] * 9]
    database = np.packbits(np.arange(16) < np.array(distances)[:, None], axis=1)
    got = HammingIndex(database, engine="numpy").search(np.zeros((1, 2), dtype=np.uint8), 2)
    assert got.ids.tolist() == [[0, 10]] and got.distances.tolist() == [[5, 7]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("width", [32, 64])
def test_the_farthest_codes_there_are(engine, width):
    database = np.full((40, width), 255, dtype=np.uint8)
    database[7] = 254
    got = HammingIndex(database, engine=engine).search(np.zeros((2, width), dtype=np.uint8), 3)
    assert got.ids.tolist() == [[7, 0, 1]] * 2
    assert got.distances.tolist() == [[7 * width, 8 * width, 8 * width]] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_no_query_has_no_hit(engine):
    got = HammingIndex(np.zeros((40, 2), dtype=np.uint8), engine=engine).search(np.zeros((0, 2), dtype=np.uint8), 3)
    assert got.ids.shape == got.distances.shape == (0, 3)


def test_auto_takes_numpy_without_faiss(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    database = np.zeros((3, 1), dtype=np.uint8)
    assert HammingIndex(database).engine == "numpy"
    with pytest.raises(InputError, match="engine: 'faiss' is not installed"):
        HammingIndex(database, engine="faiss")


@pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed")
def test_auto_takes_faiss_for_a_small_k(monkeypatch):
    monkeypatch.setattr(module, "_FAISS_MOST", 2)
    index = HammingIndex(np.zeros((3, 1), dtype=np.uint8))
    assert index.engine == "faiss" and len(index) == 3 and "3 codes, 8 bits" in repr(index)
    asked = []
    for name in ("_search_faiss", "_search_numpy"):
        search = getattr(index, name)
        monkeypatch.setattr(
            index, name, lambda query, k, name=name, search=search: asked.append((name, k)) or search(query, k)
        )
    for k in (1, 2, 3):
        assert index.search(np.zeros((1, 1), dtype=np.uint8), k).ids.tolist() == [list(range(k))]
    assert asked == [("_search_faiss", 1), ("_search_faiss", 2), ("_search_numpy", 3)]
    assert HammingIndex(np.zeros((3, 1), dtype=np.uint8), engine="faiss")._faiss_most == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"database": np.zeros((3, 1))}, "database: expected packed"),
        ({"database": np.zeros((0, 1), dtype=np.uint8)}, "database: expected at least one"),
        ({"ids": [1, 2]}, "ids: expected one for each of the 3"),
        ({"ids": [1, 2, 1]}, "ids: .*twice"),
        ({"ids": [1.0, 2.0, 3.0]}, "ids: expected whole numbers"),
        ({"engine": "annoy"}, "engine: expected one of"),
    ],
)
def test_what_an_index_refuses(change, word):
    with pytest.raises(InputError, match=word):
        HammingIndex(**{"database": np.zeros((3, 1), dtype=np.uint8), "engine": "numpy"} | change)


@pytest.mark.parametrize(
    ("width", "k", "word"),
    [
        (1, 4, "k: expected .* from 1 to 3, got 4"),
        (1, 0, "k: expected"),
        (1, 1.5, "k: expected"),
        (2, 1, "16 and 8 bits"),
    ],
)
def test_what_search_refuses(width, k, word):
    with pytest.raises(InputError, match=word):
        HammingIndex(np.zeros((3, 1), dtype=np.uint8), engine="numpy").search(np.zeros((1, width), dtype=np.uint8), k)
