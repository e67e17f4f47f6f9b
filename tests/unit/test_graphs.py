import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist

from cmhkit.graphs import knn_graph, label_similarity
from cmhkit.support import neighbours as engine
from cmhkit.support.checks import InputError


def brute_force(x, k, metric, include_self=False):
    x = np.asarray(x, dtype=np.float64)
    distance = cdist(x, x)
    if metric == "cosine":
        norms = np.linalg.norm(x, axis=1)
        scale = np.outer(norms, norms)
        distance = np.where(scale > 0, np.round(1 - x @ x.T / np.where(scale > 0, scale, 1), 12), 1.0)
    distance = distance.astype(np.float32)
    np.fill_diagonal(distance, -1.0 if include_self else np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return order, np.maximum(np.take_along_axis(distance, order, axis=1), 0)


@given(seed=st.integers(0, 10**6), items=st.integers(2, 60), columns=st.integers(1, 70), other=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_label_similarity_is_a_shared_label(seed, items, columns, other):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((size, columns)) < 0.15 for size in (items, other))
    assert (label_similarity(a, b.astype(float)) == (a.astype(int) @ b.T.astype(int) > 0)).all()
    assert (label_similarity(a) == label_similarity(a, a)).all()


def test_a_label_beyond_the_first_machine_word_is_shared_too():
    labels = np.eye(130, dtype=bool)
    assert (label_similarity(labels) == np.eye(130, dtype=bool)).all()


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ([[1, -1], [1, 1]], "-1/1; convert with labels > 0"),
        ([[0, 2], [1, 0]], "from 0 to 2"),
        ([[0.0, np.nan]], "NaN"),
        ([0, 1, 2], "np.eye"),
        ([["a"]], "bool, got"),
    ],
)
def test_labels_that_are_refused(bad, word):
    with pytest.raises(InputError, match=f"labels_a: expected .*{word}"):
        label_similarity(bad)
    with pytest.raises(InputError, match="same number of labels, got 2 and 3"):
        label_similarity(np.ones((1, 2)), np.ones((1, 3)))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("metric", engine.METRICS)
@pytest.mark.parametrize("include_self", [False, True])
def test_bags_of_words_with_many_ties(kind, metric, include_self):
    rng = np.random.default_rng(0)
    x = (rng.random((130, 12)) < 0.15).astype(np.uint8)
    assert (x.sum(axis=1) == 0).any(), "the case needs rows of zeros"
    got = knn_graph(kind(x), 7, metric=metric, include_self=include_self, chunk=33)
    neighbours, distances = brute_force(x, 7, metric, include_self)
    assert (got.neighbours == neighbours).all()
    np.testing.assert_array_equal(got.distances, distances)


@given(
    seed=st.integers(0, 10**6),
    items=st.integers(3, 50),
    columns=st.integers(1, 40),
    metric=st.sampled_from(engine.METRICS),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_real_vectors(seed, items, columns, metric, data):
    x = np.random.default_rng(seed).standard_normal((items, columns)).astype(np.float32)
    x[items // 2] = x[0]
    k = data.draw(st.integers(1, items - 1))
    for form in (x, sparse.csr_array(x), x.astype(np.float64)):
        got = knn_graph(form, k, metric=metric, chunk=7)
        neighbours, distances = brute_force(x, k, metric)
        np.testing.assert_allclose(got.distances, distances, rtol=1e-6, atol=1e-7)
        assert (got.neighbours == neighbours).all()


@pytest.mark.parametrize("metric", engine.METRICS)
def test_equal_items_stand_by_index_whatever_blas_rounds(metric):
    rng = np.random.default_rng(1)
    base = rng.standard_normal((5, 1000)).astype(np.float32) + 30
    x = base[rng.integers(0, 5, 203)]
    got = knn_graph(x, 10, metric=metric, chunk=50)
    neighbours, _ = brute_force(x, 10, metric)
    assert (got.neighbours == neighbours).all() and (got.distances == 0).all()


def test_a_difference_that_float32_products_lose():
    x = np.array([[1000.0, 0], [1000.002, 0], [1000.001, 0], [1000.0, 0.0005], [990.0, 0]])
    assert knn_graph(x, 4).neighbours[0].tolist() == [3, 2, 1, 4]


@pytest.mark.parametrize("spare", [0, 10**9])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("metric", engine.METRICS)
def test_pairs_of_blocks_serve_both_and_candidates_may_be_thinned_out(metric, kind, spare, monkeypatch):
    monkeypatch.setattr(engine, "_WIDE", 16)
    monkeypatch.setattr(engine, "_SPARE", spare)
    rng = np.random.default_rng(4)
    x = rng.integers(0, 3, (150, 4)).astype(np.float32)  # 81 different items: many ties, zero rows among them
    for k, chunk in ((1, 7), (5, 20), (30, 64), (149, 150)):
        got = knn_graph(kind(x), k, metric=metric, chunk=chunk)
        neighbours, distances = brute_force(x, k, metric)
        assert (got.neighbours == neighbours).all()
        np.testing.assert_allclose(got.distances, distances, rtol=1e-6, atol=1e-7)


def test_the_order_of_triples_where_not_all_items_fit_a_word_at_once():
    rng = np.random.default_rng(5)
    items = 2**20
    item, other = (np.append(rng.integers(0, items, 4999), items - 1).astype(np.int32) for _ in range(2))
    item[:2000] = item[2000:4000]
    distance = rng.integers(0, 3, 5000).astype(np.float32) * np.float32(-1) * np.float32(-1e30)
    distance[0], distance[2000] = -0.0, 0.0
    order = engine._in_order(item, distance, other, items)
    assert (order == np.lexsort((other, distance, item))).all()


def test_zero_rows_under_cosine_are_at_distance_one():
    got = knn_graph(np.array([[0.0, 0], [1, 0], [-1, 0], [0, 0]]), 3, metric="cosine")
    assert got.neighbours.tolist() == [[1, 2, 3], [0, 3, 2], [0, 3, 1], [0, 1, 2]]
    assert got.distances.tolist() == [[1, 1, 1], [1, 1, 2], [1, 1, 2], [1, 1, 1]]


def test_the_matrix_and_its_symmetric_forms():
    x = np.array([[0.0], [1.0], [2.5], [10.0]])
    directed = knn_graph(x, 1)
    assert directed.neighbours.ravel().tolist() == [1, 0, 1, 2]
    a = directed.matrix.toarray()
    assert directed.matrix.format == "csr" and directed.matrix.dtype == bool
    assert a.tolist() == [
        [False, True, False, False],
        [True, False, False, False],
        [False, True, False, False],
        [False, False, True, False],
    ]
    for symmetric, expected in (("union", a | a.T), ("intersection", a & a.T)):
        graph = knn_graph(x, 1, symmetric=symmetric)
        assert (graph.matrix.toarray() == expected).all() and graph.matrix.nnz == expected.sum()
        assert graph.matrix.dtype == bool and graph.matrix.format == "csr"
        assert (graph.neighbours == directed.neighbours).all()


def test_itself_first_even_among_equals():
    graph = knn_graph(np.zeros((4, 2)), 2, include_self=True)
    assert graph.neighbours.tolist() == [[0, 1], [1, 0], [2, 0], [3, 0]]
    alone = knn_graph(np.arange(6.0).reshape(3, 2), 1, include_self=True)
    assert (alone.matrix.toarray() == np.eye(3)).all()
    assert np.isnan(alone.agreement(np.ones((3, 1))))


@pytest.mark.parametrize("include_self", [False, True])
def test_agreement_counts_directed_pairs_without_the_item_itself(include_self):
    rng = np.random.default_rng(2)
    x, labels = rng.standard_normal((40, 3)), rng.random((40, 70)) < 0.02
    graph = knn_graph(x, 4, include_self=include_self, symmetric="union")
    shared = label_similarity(labels)
    by_item = [np.mean([shared[i, j] for j in row if j != i]) for i, row in enumerate(graph.neighbours)]
    assert graph.agreement(labels) == pytest.approx(np.mean(by_item))
    with pytest.raises(InputError, match="labels: expected one row for each of the 40"):
        graph.agreement(labels[:3])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"x": np.zeros(3)}, "x: expected shape"),
        ({"x": [[np.nan], [1.0]]}, "x: expected finite"),
        ({"x": sparse.csr_array([[np.inf], [1.0]])}, "x: expected finite"),
        ({"x": [["a"], ["b"]]}, "x: expected real"),
        ({"x": [[1e16], [1.0]]}, "x: expected numbers below"),
        ({"k": 3}, "k: expected a whole number from 1 to 2, got 3"),
        ({"k": 4, "include_self": True}, "k: expected a whole number from 1 to 3, got 4"),
        ({"k": 0}, "k: expected"),
        ({"metric": "hamming"}, "metric: expected one of"),
        ({"symmetric": "both"}, "symmetric: expected one of"),
        ({"chunk": 0}, "chunk: expected"),
    ],
)
def test_what_a_graph_refuses(change, word):
    with pytest.raises(InputError, match=word):
        knn_graph(**{"x": np.arange(6.0).reshape(3, 2), "k": 1} | change)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_memory_grows_with_the_chunk_not_with_the_square(kind):
    items, chunk = 3000, 100
    x = kind((np.random.default_rng(3).random((items, 20)) < 0.3).astype(np.float32))
    knn_graph(x[:50], 3, chunk=chunk)
    tracemalloc.start()
    knn_graph(x, 3, chunk=chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < items * items * 4 / 2
