import tracemalloc
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cmhkit import metrics
from cmhkit.codes import hamming
from cmhkit.graphs import label_similarity
from cmhkit.metrics import average_precision, evaluate
from cmhkit.support.blocks import slices
from cmhkit.support.checks import InputError


def ap_of_ranking(hits, r=None, divisor="relevant"):
    """The definition, for a ranking without ties."""
    hits = np.asarray(hits, dtype=bool)
    r = len(hits) if r is None else r
    places = np.flatnonzero(hits) + 1
    precisions = np.arange(1, len(places) + 1) / places
    if divisor == "hits_capped":
        return precisions[:r].mean()
    inside = precisions[places <= r]
    below = len(inside) if divisor == "hits" else min(r, len(places))
    return inside.sum() / below if below else 0.0


def dcg_of_ranking(grades, r=None):
    grades = np.asarray(grades)[:r]
    return ((2.0**grades - 1) / np.log2(np.arange(len(grades)) + 2)).sum()


def rankings(distance, grades):
    """The grades in every order that sorts the distances."""
    distance, grades = np.asarray(distance).astype(int), np.asarray(grades)
    for order in permutations(range(len(distance))):
        if (np.diff(distance[list(order)]) >= 0).all():
            yield grades[list(order)]


def over_orders(distance, relevant, score, ties="expected"):
    distance, relevant = np.asarray(distance), np.asarray(relevant)
    if ties == "expected":
        return np.mean([score(ranked) for ranked in rankings(distance, relevant)])
    second = {
        "optimistic": -relevant.astype(int),
        "pessimistic": relevant.astype(int),
        "stable": np.arange(len(distance)),
    }[ties]
    return score(relevant[np.lexsort((second, distance))])


small = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6).filter(
    lambda pairs: any(hit for _, hit in pairs)
)


@given(small, st.one_of(st.none(), st.integers(1, 7)), st.sampled_from(metrics.DIVISORS), st.sampled_from(metrics.TIES))
@settings(max_examples=250, deadline=None)
def test_average_precision_is_the_mean_over_all_orders(pairs, r, divisor, ties):
    distance, relevant = zip(*pairs, strict=True)
    expected = over_orders(distance, relevant, lambda hits: ap_of_ranking(hits, r, divisor), ties)
    assert average_precision(distance, relevant, ties=ties, r=r, divisor=divisor) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("divisor", metrics.DIVISORS)
@pytest.mark.parametrize("r", range(1, 10))
def test_a_cut_inside_a_large_group_by_all_places_of_its_hits(divisor, r):
    """One group of 7 with 3 hits behind one hit and one miss: all orders at once, by the places of the hits."""
    scores = [
        ap_of_ranking([True, False] + [place in hits for place in range(7)], r, divisor)
        for hits in {tuple(sorted(order[:3])) for order in permutations(range(7))}
    ]
    got = average_precision([0, 1] + [2] * 7, [1, 0, 1, 1, 1, 0, 0, 0, 0], r=r, divisor=divisor)
    assert got == pytest.approx(np.mean(scores), abs=1e-12)


@pytest.mark.parametrize("divisor", metrics.DIVISORS)
@pytest.mark.parametrize(("n", "hits", "r"), [(3000, 900, 1000), (3000, 20, 40), (3000, 2990, 1500), (3000, 2, 2999)])
def test_a_cut_inside_a_huge_group_by_random_orders(divisor, n, hits, r):
    rng = np.random.default_rng(0)
    relevant = np.arange(n) < hits
    scores = [ap_of_ranking(rng.permutation(relevant), r, divisor) for _ in range(1500)]
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(average_precision(np.zeros(n), relevant, r=r, divisor=divisor) - np.mean(scores)) < 5 * error + 1e-12


def test_the_window_of_the_hypergeometric_loses_nothing():
    from scipy.stats import hypergeom

    for n, hits, t in [(10, 4, 3), (5000, 1200, 2000), (5000, 4990, 100), (186_577, 30_000, 50_000)]:
        x, chance = metrics._hypergeometric(n, hits, t)
        np.testing.assert_allclose(chance, hypergeom.pmf(x, n, hits, t), rtol=1e-6, atol=1e-18)
        assert hypergeom.cdf(x[0] - 1, n, hits, t) + hypergeom.sf(x[-1], n, hits, t) < 1e-20


@given(st.integers(0, 10**6), st.integers(1, 300), st.one_of(st.none(), st.integers(1, 300)))
@settings(max_examples=40, deadline=None)
def test_without_ties_every_rule_is_the_usual_loop(seed, items, r):
    rng = np.random.default_rng(seed)
    distance, relevant = rng.permutation(items), rng.random(items) < 0.3
    relevant[rng.integers(items)] = True
    for divisor in metrics.DIVISORS:
        expected = ap_of_ranking(relevant[np.argsort(distance)], r, divisor)
        for ties in metrics.TIES:
            assert average_precision(distance, relevant, ties=ties, r=r, divisor=divisor) == pytest.approx(expected)
    assert average_precision(distance, relevant) == pytest.approx(average_precision_score(relevant, -distance))


def test_the_order_of_a_large_database_is_exact():
    items = 200_000
    relevant = np.zeros(items, dtype=bool)
    relevant[::7] = True
    expected = ap_of_ranking(relevant)
    assert average_precision(np.arange(items), relevant) == pytest.approx(expected, rel=1e-12)
    pairs = np.arange(items) // 2
    swapped = ap_of_ranking(relevant.reshape(-1, 2)[:, ::-1].ravel())
    assert expected != swapped
    low, high = (average_precision(pairs, relevant, ties=ties) for ties in ("pessimistic", "optimistic"))
    assert average_precision(pairs, relevant) == pytest.approx((low + high) / 2, rel=1e-4)


def a_case(seed, queries=5, items=40, labels=4, bits=8, share=0.3):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, 256, (size, bits // 8), dtype=np.uint8) for size in (queries, items)]
    return codes[0], codes[1], rng.random((queries, labels)) < share, rng.random((items, labels)) < share


def by_query(case, score):
    """Mean of score(distance, shared labels) over the queries with a relevant item."""
    query, database, labels_q, labels_d = case
    shared = labels_q.astype(int) @ labels_d.T.astype(int)
    return np.mean(
        [score(distance, row) for distance, row in zip(hamming(query, database), shared, strict=True) if row.any()],
        axis=0,
    )


@given(
    st.integers(0, 10**6),
    st.sampled_from(metrics.TIES),
    st.sampled_from(metrics.DIVISORS),
    st.integers(1, 50),
    st.sampled_from([8, 24, 64, 136, 256]),
)
@settings(max_examples=30, deadline=None)
def test_evaluate_is_the_mean_of_single_queries(seed, ties, divisor, r, bits):
    case = a_case(seed, bits=bits, labels=70, share=0.05)
    got = evaluate(*case, ties=ties, r=r, divisor=divisor)
    relevant = case[2].astype(int) @ case[3].T.astype(int) > 0
    if not relevant.any():
        return
    assert got.empty_queries == (~relevant.any(axis=1)).sum()
    assert got.map == pytest.approx(by_query(case, lambda d, g: average_precision(d, g > 0, ties=ties)))
    assert got.map_at_r == pytest.approx(
        by_query(case, lambda d, g: average_precision(d, g > 0, ties=ties, r=r, divisor=divisor))
    )
    same = evaluate(case[0], case[1], relevant=relevant, ties=ties, r=r, divisor=divisor)
    assert (same.map, same.map_at_r, same.ndcg) == (got.map, got.map_at_r, got.ndcg)


@pytest.mark.parametrize("ties", metrics.TIES)
@pytest.mark.parametrize("grades", metrics.GRADES)
@pytest.mark.parametrize("seed", range(6))
def test_ndcg_and_curves_by_all_orders(ties, grades, seed):
    case = a_case(seed, queries=4, items=6, labels=3, share=0.5)
    case[0][:], case[1][:] = case[0] % 2, case[1] % 4
    got = evaluate(*case, ties=ties, r=3, grades=grades, precision_at=(1, 2, 5, 6, 9))

    def grade(shared):
        return shared if grades == "shared" else np.minimum(shared, 1)

    def ndcg(r):
        return by_query(
            case,
            lambda d, g: (
                over_orders(d, grade(g), lambda row: dcg_of_ranking(row, r), ties)
                / dcg_of_ranking(-np.sort(-grade(g)), r)
            ),
        )

    def hits(normed):
        return by_query(
            case, lambda d, g: over_orders_of_curves(d, g, ties) / (g.astype(bool).sum() if normed else np.arange(1, 7))
        )

    assert got.ndcg == pytest.approx(ndcg(None))
    assert got.ndcg_at_r == pytest.approx(ndcg(3))
    np.testing.assert_allclose(got.precision_by_rank, hits(False), atol=1e-12)
    np.testing.assert_allclose(got.recall_by_rank, hits(True), atol=1e-12)
    assert got.precision_at == pytest.approx(
        {n: got.precision_by_rank[min(n, 6) - 1] * min(n, 6) / n for n in (1, 2, 5, 6, 9)}
    )


def over_orders_of_curves(distance, shared, ties):
    hit = (np.asarray(shared) > 0).astype(int)
    if ties == "expected":
        return np.mean([np.cumsum(ranked) for ranked in rankings(distance, hit)], axis=0)
    second = {"optimistic": -hit, "pessimistic": hit, "stable": np.arange(len(hit))}[ties]
    return np.cumsum(hit[np.lexsort((second, distance))])


def test_curves_by_radius():
    case = a_case(3, bits=16)
    got = evaluate(*case)

    def curve(distance, shared):
        inside = distance <= np.arange(17)[:, None]
        hits = (inside & (shared > 0)).sum(axis=1)
        return hits / np.maximum(inside.sum(axis=1), 1), hits / (shared > 0).sum()

    precision, recall = by_query(case, curve)
    np.testing.assert_allclose(got.precision_by_radius, precision)
    np.testing.assert_allclose(got.recall_by_radius, recall)
    assert got.recall_by_radius[-1] == pytest.approx(1)


def test_tiles_make_no_difference(monkeypatch):
    case = a_case(4, queries=37, items=300, bits=16)
    for grades in metrics.GRADES:
        whole = evaluate(*case, r=20, grades=grades)
        with monkeypatch.context() as patch:
            for name, size in (("_CHUNK_QUERIES", 10), ("_TILE_QUERIES", 3), ("_TILE_ITEMS", 41)):
                patch.setattr(metrics, name, size)
            parts = evaluate(*case, r=20, grades=grades)
        for name, value in vars(whole).items():
            if isinstance(value, np.ndarray | float):
                np.testing.assert_allclose(getattr(parts, name), value, err_msg=name)


@given(st.integers(0, 10**6), st.integers(1, 50), st.sampled_from(metrics.GRADES))
@settings(max_examples=30, deadline=None)
def test_expected_lies_between_and_does_not_see_the_order_of_the_database(seed, r, grades):
    case = a_case(seed, share=0.4)
    runs = {
        ties: evaluate(*case, ties=ties, r=r, divisor="relevant", grades=grades, empty="zero") for ties in metrics.TIES
    }
    for name in ("map", "map_at_r", "ndcg", "ndcg_at_r", "precision_by_rank", "recall_by_rank"):
        value = {ties: getattr(run, name) for ties, run in runs.items()}
        for middle in ("expected", "stable"):
            assert np.all(value["optimistic"] + 1e-12 >= value[middle]), name
            assert np.all(value[middle] + 1e-12 >= value["pessimistic"]), name
    order = np.random.default_rng(seed).permutation(len(case[1]))
    moved = evaluate(
        case[0], case[1][order], case[2], case[3][order], r=r, divisor="relevant", grades=grades, empty="zero"
    )
    assert (moved.map, moved.map_at_r, moved.ndcg) == (
        runs["expected"].map,
        runs["expected"].map_at_r,
        runs["expected"].ndcg,
    )


def test_a_constant_code_and_a_sorted_database():
    """What the default is for: with every distance tied, a stable sort scores the order of the database."""
    relevant = np.arange(1000) < 100
    scores = {ties: average_precision(np.zeros(1000), relevant, ties=ties) for ties in metrics.TIES}
    assert scores["stable"] == scores["optimistic"] == 1
    assert scores["expected"] == pytest.approx(0.1, abs=0.01)
    assert scores["pessimistic"] == pytest.approx(ap_of_ranking(relevant[::-1]))


def test_divisor_hits_is_not_bounded_by_the_two_orders():
    distance, relevant = [0, *[1] * 9, 2, 2], [1, *[0] * 9, 1, 0]
    scores = [
        average_precision(distance, relevant, ties=ties, r=11, divisor="hits")
        for ties in ("optimistic", "expected", "pessimistic")
    ]
    assert scores == pytest.approx([(1 + 2 / 11) / 2, (1 + (1 + 2 / 11) / 2) / 2, 1])


def test_the_three_divisors():
    hits = [1, 0, 0, 1, 1]
    scores = [
        average_precision(np.arange(5), hits, r=2, divisor=divisor) for divisor in ("hits", "relevant", "hits_capped")
    ]
    assert scores == pytest.approx([1, 1 / 2, (1 + 2 / 4) / 2])
    assert average_precision([0, 1, 2], [0, 0, 1], r=2) == 0
    assert np.isnan(average_precision([0, 1], [0, 0]))


def test_the_rule_for_empty_queries():
    query, database, labels_q, labels_d = a_case(5, share=0.5)
    labels_q[:] = True
    full = evaluate(query[1:], database, labels_q[1:], labels_d, r=5)
    labels_q[0] = False
    runs = {empty: evaluate(query, database, labels_q, labels_d, r=5, empty=empty) for empty in ("skip", "zero", "nan")}
    fields = [
        "map",
        "map_at_r",
        "ndcg",
        "ndcg_at_r",
        "precision_by_radius",
        "recall_by_radius",
        "precision_by_rank",
        "recall_by_rank",
    ]
    for name in fields:
        np.testing.assert_allclose(getattr(runs["skip"], name), getattr(full, name), err_msg=name)
        np.testing.assert_allclose(getattr(runs["zero"], name), np.multiply(getattr(full, name), 4 / 5), err_msg=name)
        assert np.isnan(getattr(runs["nan"], name)).all(), name
    assert all((run.queries, run.empty_queries) == (5, 1) for run in runs.values()) and full.empty_queries == 0
    assert np.isnan(runs["skip"].average_precision).tolist() == [True, False, False, False, False]
    assert "queries=5, empty_queries=1" in repr(runs["skip"])
    with pytest.raises(InputError, match="none for 1 of 5"):
        evaluate(query, database, labels_q, labels_d, empty="error")
    assert np.isnan(evaluate(query[:1], database, labels_q[:1], labels_d).map)


def test_the_single_functions_agree_with_evaluate():
    case = a_case(6, bits=16)
    got = evaluate(*case, r=7, divisor="relevant", ties="pessimistic", precision_at=(3,))
    options = {"ties": "pessimistic"}
    assert metrics.mean_average_precision(*case, **options) == got.map
    assert metrics.mean_average_precision(*case, r=7, divisor="relevant", **options) == got.map_at_r
    assert metrics.precision_at(*case, n=3, **options) == got.precision_at[3]
    assert (metrics.ndcg(*case, **options), metrics.ndcg(*case, r=7, **options)) == (got.ndcg, got.ndcg_at_r)
    np.testing.assert_array_equal(
        metrics.precision_recall_by_radius(*case), (got.precision_by_radius, got.recall_by_radius)
    )
    np.testing.assert_array_equal(
        metrics.precision_recall_by_rank(*case, **options), (got.precision_by_rank, got.recall_by_rank)
    )


def test_metrics_say_their_map_and_do_not_change():
    got = evaluate(*a_case(7), r=5, precision_at=(10,))
    assert f"map={got.map:.4f}, map_at_r={got.map_at_r:.4f} (r=5, divisor='hits')" in repr(got)
    assert evaluate(*a_case(7)).map_at_r is None and "map_at_r" not in repr(evaluate(*a_case(7)))
    with pytest.raises(AttributeError):
        got.map = 1.0


def packed(items, width=1):
    return np.zeros((items, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"query": np.ones((2, 8))}, "query: expected packed"),
        ({"query": packed(2, 2)}, "query, database: .*16 and 8 bits"),
        ({"query": packed(0), "query_labels": np.ones((0, 2))}, "query, database: expected at least one"),
        ({"query_labels": [[1, -1], [1, 1]]}, "query_labels: .*-1/1; convert with labels > 0"),
        ({"database_labels": [[0, 3]] * 3}, "database_labels: .*from 0 to 3"),
        ({"database_labels": [[0, np.nan]] * 3}, "database_labels: .*NaN"),
        ({"query_labels": [1, 2]}, "query_labels: .*np.eye"),
        ({"query_labels": np.ones((3, 2))}, "query_labels: expected one row for each of the 2 queries, got 3"),
        ({"database_labels": np.ones((2, 2))}, "database_labels: expected one row for each of the 3 items, got 2"),
        ({"query_labels": np.ones((2, 5))}, "same number of labels, got 5 and 2"),
        ({"query_labels": None}, "expected both"),
        ({"relevant": np.ones((2, 3))}, "relevant: expected either"),
        ({"query_labels": None, "database_labels": None, "relevant": np.ones((3, 2))}, "relevant: expected shape"),
        (
            {"query_labels": None, "database_labels": None, "relevant": np.ones((2, 3)), "grades": "shared"},
            "grades: 'shared' needs",
        ),
        ({"ties": "random"}, "ties: expected one of"),
        ({"divisor": "r"}, "divisor: expected one of"),
        ({"empty": "drop"}, "empty: expected one of"),
        ({"grades": "linear"}, "grades: expected one of"),
        ({"r": 0}, "r: expected"),
        ({"r": 2.5}, "r: expected"),
        ({"precision_at": (0,)}, "precision_at: expected"),
        ({"precision_at": 10}, "precision_at: expected"),
    ],
)
def test_what_evaluate_refuses(change, word):
    proper = {
        "query": packed(2),
        "database": packed(3),
        "query_labels": np.ones((2, 2)),
        "database_labels": np.ones((3, 2)),
    }
    evaluate(**proper)
    with pytest.raises(InputError, match=word):
        evaluate(**proper | change)


@pytest.mark.parametrize(
    ("distance", "relevant", "options", "word"),
    [
        ([0.0, np.nan], [1, 0], {}, "distance: expected real"),
        ([[0]], [1], {}, "distance: expected shape"),
        ([0, 1], [1], {}, "relevant: expected the shape"),
        ([0, 1], [1, 2], {}, "relevant: expected 0/1"),
        ([0, 1], [1, 0], {"ties": "x"}, "ties: expected"),
        ([0, 1], [1, 0], {"r": -1}, "r: expected"),
    ],
)
def test_what_average_precision_refuses(distance, relevant, options, word):
    with pytest.raises(InputError, match=word):
        average_precision(distance, relevant, **options)


@pytest.mark.parametrize("ties", ["expected", "optimistic"])
def test_memory_does_not_grow_with_queries_times_items(ties):
    case = a_case(8, queries=400, items=20_000, bits=64)
    evaluate(*a_case(8), ties=ties)
    tracemalloc.start()
    evaluate(*case, ties=ties, r=50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * 20_000 * 2


# --- codes as tensors ---


def devices():
    return ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]


def same_metrics(got, expected):
    """Every field equal; the means over queries but for the order of their sums."""
    np.testing.assert_array_equal(got.average_precision, expected.average_precision)
    for name, value in vars(expected).items():
        if isinstance(value, float | np.ndarray):
            np.testing.assert_allclose(getattr(got, name), value, rtol=1e-12, atol=1e-15, err_msg=name)
        elif isinstance(value, dict):
            assert getattr(got, name) == pytest.approx(value, rel=1e-12, nan_ok=True), name
        else:
            assert getattr(got, name) == value, name


@pytest.mark.parametrize("device", devices())
@given(
    st.integers(0, 10**6),
    st.sampled_from(metrics.TIES),
    st.sampled_from(metrics.GRADES),
    st.sampled_from([8, 24, 64, 136]),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_tensors_give_the_same_metrics(device, seed, ties, grades, bits, labels_too):
    case = a_case(seed, bits=bits, labels=9)
    tensors = [torch.as_tensor(x, device=device) for x in case]
    given = tensors if labels_too else [*tensors[:2], *case[2:]]
    same_metrics(evaluate(*given, ties=ties, grades=grades, r=7), evaluate(*case, ties=ties, grades=grades, r=7))


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("ties", metrics.TIES)
def test_tensors_through_tiles_and_with_relevance(device, ties, monkeypatch):
    from cmhkit.nn import histograms

    case = a_case(9, queries=37, items=300, bits=16)
    relevant = label_similarity(case[2], case[3])
    expected = evaluate(*case[:2], relevant=relevant, ties=ties)
    query, database = (torch.as_tensor(x, device=device) for x in case[:2])
    monkeypatch.setattr(histograms, "_CELLS", {"cpu": 500, "cuda": 500})
    monkeypatch.setattr(histograms.TensorPairs, "chunk", 10)
    for form in (
        relevant,
        relevant.astype(float),
        torch.as_tensor(relevant, device=device),
        torch.as_tensor(relevant).float(),
    ):
        same_metrics(evaluate(query, database, relevant=form, ties=ties), expected)


def test_labels_as_tensors_beside_codes_as_arrays():
    case = a_case(10)
    same_metrics(evaluate(*case[:2], *(torch.as_tensor(x) for x in case[2:])), evaluate(*case))


def test_a_thousand_bits_and_many_shared_labels_stay_exact():
    """Cells beyond what float32 holds: the count must be made in whole numbers."""
    rng = np.random.default_rng(11)
    query, database = (rng.integers(0, 256, (size, 128), dtype=np.uint8) for size in (40, 50))
    labels = [rng.random((size, 900)) < 0.9 for size in (40, 50)]
    pairs = [
        metrics._pairs(*(torch.as_tensor(x) if tensors else x for x in (query, database)), *labels, None, "shared")
        for tensors in (True, False)
    ]
    assert pairs[0].grades > 600 and pairs[0]._bins * pairs[0].chunk > 2**23
    for rows in slices(40, pairs[0].chunk):
        np.testing.assert_array_equal(pairs[0].histogram(rows), pairs[1].histogram(rows))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (
            {"database": packed(3)},
            "query, database: expected both as arrays, or both as tensors of one device, got cpu and an array",
        ),
        ({"database": torch.zeros(3, 1, dtype=torch.uint8, device="meta")}, "query, database: .* got cpu and meta"),
        ({"query": torch.zeros(2, 8)}, "query: expected packed codes"),
        ({"query_labels": torch.tensor([[1, -1], [1, 1]])}, "query_labels: .*-1/1"),
        (
            {"query_labels": None, "database_labels": None, "relevant": torch.ones(3, 2, dtype=torch.bool)},
            r"relevant: expected shape \(2, 3\)",
        ),
    ],
)
def test_what_evaluate_refuses_of_tensors(change, word):
    codes = {"query": torch.zeros(2, 1, dtype=torch.uint8), "database": torch.zeros(3, 1, dtype=torch.uint8)}
    proper = codes | {"query_labels": np.ones((2, 2)), "database_labels": np.ones((3, 2))}
    evaluate(**proper)
    with pytest.raises(InputError, match=word):
        evaluate(**proper | change)
