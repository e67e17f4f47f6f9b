"""The comparison explorer: a pure state, and a view that follows it."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest
from test_widgets import scenes

from cmhkit.codes import pack
from cmhkit.course.widgets.comparison_explorer import ComparisonExplorer, moved
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"
DATA = scenes()


def drawn(seed: int, bits: int = 16) -> dict:
    rng = np.random.default_rng(seed)
    sizes = {part: len(DATA.parts[part]) for part in ("query", "retrieval")}
    return {
        part: {kind: pack(np.where(rng.random((n, bits)) < 0.5, -1, 1).astype(np.int8)) for kind in ("images", "texts")}
        for part, n in sizes.items()
    }


CODES = {"A": drawn(0), "B": drawn(1), "C": drawn(2, 8)}


def explorer(**more) -> ComparisonExplorer:
    return ComparisonExplorer(DATA, CODES, **{"k": 6, **more})


def by_loop(name: str, query: int, way: str) -> list[tuple[int, int]]:
    """(distance, row) of every item, counted bit by bit."""
    own, other = CODES[name], {"images": "texts", "texts": "images"}[way]
    asked = np.unpackbits(own["query"][way][query])
    return sorted((int((np.unpackbits(code) != asked).sum()), row) for row, code in enumerate(own["retrieval"][other]))


@pytest.mark.parametrize("way", ["images", "texts"])
def test_rankings_hits_and_places_by_hand(way) -> None:
    result = explorer(query=4, way=way, against="B").result
    place = {row: i for i, (_, row) in enumerate(by_loop("B", 4, way), start=1)}
    kinds = np.asarray(DATA.labels).argmax(axis=1)
    for name, column in result.columns.items():
        first = by_loop(name, 4, way)[:6]
        assert list(zip(column.distances.tolist(), column.rows.tolist(), strict=True)) == first
        assert column.relevant.tolist() == [
            bool(kinds[DATA.parts["retrieval"][row]] == kinds[DATA.parts["query"][4]]) for _, row in first
        ]
        assert column.places.tolist() == [place[row] for _, row in first]
        assert result.common[name] == sum(place[row] <= 6 for _, row in first)
        distances = [d for d, _ in by_loop(name, 4, way)]
        assert column.tied == distances.count(first[-1][0]) and column.inside == [d for d, _ in first].count(
            first[-1][0]
        )
    assert result.common["B"] == 6


def test_average_precision_is_the_mean_over_all_orders_of_ties() -> None:
    few = scenes(19)  # 7 items are searched
    codes = {
        "A": {
            part: {kind: np.zeros((n, 1), np.uint8) for kind in ("images", "texts")}
            for part, n in (("query", 12), ("retrieval", 7))
        }
    }
    codes["A"]["retrieval"]["texts"][6] = 255
    column = ComparisonExplorer(few, codes, k=7, query=1).result.columns["A"]
    kinds = np.asarray(few.labels).argmax(axis=1)
    relevant = (kinds[12:] == kinds[1]).tolist()
    scores = []
    for order in permutations(range(6)):
        hits = np.array([relevant[i] for i in order] + [relevant[6]])
        scores.append((np.cumsum(hits) / np.arange(1, 8))[hits].mean())
    assert column.average_precision == pytest.approx(np.mean(scores))
    assert column.distances.tolist() == [0, 0, 0, 0, 0, 0, 8]


def test_marks() -> None:
    assert [moved(1, 1, 5), moved(1, 3, 5), moved(4, 2, 5), moved(2, 5, 5), moved(2, 6, 5)] == [
        "=",
        "↑2",
        "↓2",
        "↑3",
        "new (6)",
    ]


def test_the_page_marks_differences_and_relevance_in_words() -> None:
    widget = explorer(query=4, against="A")
    html = widget.result.html
    columns = widget.result.columns
    assert html.count("✓ relevant") == sum(int(c.relevant.sum()) for c in columns.values())
    assert html.count("✗ not relevant") == sum(int((~c.relevant).sum()) for c in columns.values())
    for i, place in enumerate(columns["B"].places, start=1):
        assert f"<span>{moved(i, int(place), 6)}</span>" in html
    assert re.findall(r"others: (\d)", html) == [
        str(sum(row in columns[name].rows for name in "BC")) for row in columns["A"].rows
    ]
    assert html.count("<th scope='row'>") == 6 and html.count("AP 0.") == 3
    cut = [c for c in columns.values() if c.inside < c.tied]
    assert cut and html.count("<div class='cmh-note'>") == len(cut)


def test_a_change_is_said_and_the_other_way_shows_pictures() -> None:
    widget = explorer()
    widget.view()
    assert widget.result.html.count("<img") == 1  # the query
    result = widget.set(way="texts", query=3, against="C")
    assert result.html.count("<img") == 18 and result.summary.startswith(
        "Query 3, a text asks for pictures, the first 6: A "
    )
    assert "way images → texts" in widget._status.value and "compare with A → C" in widget._status.value
    assert re.search(r"In common with C: A \d, B \d\.$", result.summary)


def test_without_labels_nothing_is_called_relevant() -> None:
    bare = scenes(labels=False)
    result = ComparisonExplorer(bare, CODES, k=3).result
    assert result.columns["A"].relevant is None and result.columns["A"].average_precision is None
    assert "relevant" not in result.summary and "✓ relevant" not in result.html and "AP " not in result.html


def test_one_method_has_nothing_to_be_compared_with() -> None:
    assert "In common" not in ComparisonExplorer(DATA, {"A": CODES["A"]}).result.summary


def test_static_twin_and_small_multiples() -> None:
    widget = explorer()
    bundle = widget._repr_mimebundle_()
    assert bundle["text/plain"] == f"Comparison explorer. {widget.result.summary}" and LIVE in bundle
    assert str(widget.small_multiples()).splitlines() == [
        explorer(way=way, k=3).result.summary for way in ("images", "texts")
    ]


@pytest.mark.parametrize(
    "wrong", [{"query": 12}, {"query": -1}, {"way": "sounds"}, {"k": 0}, {"k": 21}, {"against": "D"}, {"colour": "red"}]
)
def test_a_bad_input_is_refused_and_the_state_stays(wrong) -> None:
    widget = explorer(query=2)
    before = widget.state
    with pytest.raises(InputError, match=next(iter(wrong))):
        widget.set(**wrong)
    assert widget.state is before


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ({}, "codes: expected a dictionary of methods with at least one"),
        ([1], "codes: expected a dictionary of methods"),
        (
            {"A": {"query": CODES["A"]["query"]}},
            r"codes\['A'\]\['retrieval'\]\['images'\]: expected packed codes, got nothing",
        ),
        ({"A": 3}, r"codes\['A'\]\['query'\]\['images'\]: expected packed codes"),
        (
            {"A": {**CODES["A"], "query": {k: v[:5] for k, v in CODES["A"]["query"].items()}}},
            "expected 12 codes, got 5",
        ),
        ({"A": {**CODES["A"], "query": CODES["C"]["query"]}}, "codes of one length, got 8 bits, 16 bits"),
        ({"A": {**CODES["A"], "query": {k: v.astype(float) for k, v in CODES["A"]["query"].items()}}}, "uint8"),
    ],
)
def test_codes_that_do_not_fit_are_named(codes, said) -> None:
    with pytest.raises(InputError, match=said):
        ComparisonExplorer(DATA, codes)
