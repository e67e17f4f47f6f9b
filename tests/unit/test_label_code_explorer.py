"""The label-to-code explorer: its numbers are counted again here, and its view follows its state."""

from __future__ import annotations

import re

import ipywidgets
import numpy as np
import pytest

from cmhkit import codes
from cmhkit.course import widgets
from cmhkit.course.widgets.label_code_explorer import LabelCodeExplorer
from cmhkit.support.checks import InputError

NAMES = ("sea", "<sky>", "dog", "cat", "car")
PLANE = np.random.default_rng(4).normal(size=(5, 16))
LIVE = "application/vnd.jupyter.widget-view+json"


def labels(n: int = 80) -> np.ndarray:
    return (np.random.default_rng(2).random((n, 5)) < 0.35).astype(np.uint8)


def values(sets: np.ndarray) -> np.ndarray:
    assert sets.dtype == np.float32 and sets.ndim == 2
    return sets @ PLANE - 0.3


def scores(sets: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(6 * sets - 3)))


def explorer(**options) -> LabelCodeExplorer:
    return LabelCodeExplorer(labels(), values, scores, **{"names": NAMES, "chosen": ("dog",), **options})


def controls(widget: LabelCodeExplorer, kind: str) -> list:
    def walk(part):
        yield part
        for child in getattr(part, "children", ()):
            yield from walk(child)

    return [part for part in walk(widget.view()) if type(part) is getattr(ipywidgets, kind)]


def test_numbers_are_those_of_the_library() -> None:
    given, result = labels(), explorer(k=12, chosen=("sea", "cat")).result
    row = np.array([1, 0, 0, 1, 0], np.uint8)
    code = codes.sign(values(row[None].astype(np.float32)))
    assert (result.code == code[0]).all()
    packed = codes.pack(codes.sign(values(given.astype(np.float32))))
    every = codes.hamming(codes.pack(code), packed)[0].astype(int)
    seen = {
        tuple(r): (int((given == r).all(1).sum()), int(d), bool(r @ row)) for r, d in zip(given, every, strict=True)
    }
    assert len(result.sets) == 12 < len(seen)
    for found, count, distance, similar, p in zip(
        result.sets, result.counts, result.distance, result.similar, result.probability, strict=True
    ):
        assert seen[tuple(found)] == (count, distance, similar)
        inner = 16 - 2 * distance
        assert p == pytest.approx(1 / (1 + np.exp(-inner / 2)))
    assert (np.diff(result.distance) >= 0).all()
    assert result.distance[-1] <= min(d for r, (_, d, _) in seen.items() if not (result.sets == r).all(1).any())
    assert result.items == int((given == row).all(1).sum())


def test_of_equally_near_sets_the_commoner_comes_first() -> None:
    given = np.array([[1, 0], [0, 1], [0, 1], [1, 1]])
    shown = LabelCodeExplorer(given, lambda sets: np.ones((len(sets), 8)), k=3)
    assert shown.result.sets.tolist() == [[0, 1], [1, 0], [1, 1]] and shown.result.counts.tolist() == [2, 1, 1]
    assert shown.result.distance.tolist() == [0, 0, 0] and shown.result.probability == pytest.approx(
        1 / (1 + np.exp(-4))
    )


def test_a_probability_is_never_shown_as_0_or_1() -> None:
    given = np.array([[1, 0], [0, 1]])
    shown = LabelCodeExplorer(given, lambda sets: np.repeat(sets - 0.5, 20, axis=1), names=("a", "b"), chosen=["a"])
    assert shown.result.distance.tolist() == [0, 40]
    assert re.findall(r"<td>([&\d][^<]*)</td><td><code", shown.result.html) == ["&gt; 0.999", "&lt; 0.001"]
    half = LabelCodeExplorer(
        np.array([[1, 0], [1, 1]]), lambda sets: np.repeat(sets - 0.5, 20, axis=1), chosen=["label 0"]
    )
    assert "<td>0.500</td>" in half.result.html  # half of the bits differ


def test_words_of_the_summary() -> None:
    given = np.array([[1, 0], [0, 1], [0, 1]])
    shown = LabelCodeExplorer(given, lambda sets: np.repeat(sets - 0.5, 4, axis=1), names=("a", "b"))
    assert shown.result.summary.startswith(
        "No label: 0 training items have exactly this set. Of the 2 nearest label sets, at distance 4 to 4 of 8 bits, "
        "0 share a label."
    )
    assert "1 training item has exactly this set" in shown.set(labels=["a"]).summary
    assert "2 training items have exactly this set" in shown.set(labels=["b"]).summary


def test_a_label_switched_on_says_how_many_bits_flipped() -> None:
    before = explorer().state
    after = before.change(labels=["dog", "sea"])
    flipped = int((before.result.code != after.result.code).sum())
    assert flipped > 0 and after.changed(before) == f"sea on: {flipped} of 16 bits flipped"
    assert before.changed(after) == f"sea off: {flipped} of 16 bits flipped"
    assert before.change(k=3).changed(before) == "sets listed 8 → 3"


def test_no_label_is_similar_to_nothing() -> None:
    result = explorer(chosen=(), k=30).result
    assert (
        not result.similar.any()
        and "<td>✓ 1</td>" not in result.html
        and "0 different sets share a label" in result.html
    )


def test_the_page_underlines_what_differs_and_escapes_names() -> None:
    shown = explorer(chosen=("dog", "<sky>"), k=5)
    result = shown.result
    assert "&lt;sky&gt;" in result.html and "<sky>" not in result.html
    rows = re.findall(r"<td><code[^>]*>(.*?)</code></td>", result.html)
    assert [row.count("<u>") for row in rows] == result.distance.tolist()
    assert result.html.count("<td>✓ 1</td>") == int(result.similar.sum())
    bits = "".join("01"[int(b > 0)] for b in result.code)
    assert f'aria-label="code {bits}"' in result.html


def test_the_label_head_is_compared_with_what_was_given() -> None:
    assert explorer().result.scores == pytest.approx(scores(np.array([[0, 0, 1, 0, 0]]))[0])
    assert "at one half: as given" in explorer().result.html
    wrong = LabelCodeExplorer(labels(), values, lambda sets: np.full(sets.shape, 0.9), names=NAMES, chosen=("dog",))
    assert "at one half: 4 of 5 otherwise than given" in wrong.result.html
    assert LabelCodeExplorer(labels(), values).result.scores is None


def test_the_training_set_is_encoded_once() -> None:
    sizes = []

    def counted(sets: np.ndarray) -> np.ndarray:
        sizes.append(len(sets))
        return values(sets)

    shown = LabelCodeExplorer(labels(), counted, names=NAMES)
    shown.set(labels=["dog"])
    shown.set(labels=["cat"])
    different = len(np.unique(labels(), axis=0))
    assert sorted(sizes) == [1, 1, 1, different]


def test_twin_multiples_and_names_by_default() -> None:
    shown = explorer(chosen=("sea", "dog"))
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", LIVE}
    assert bundle["text/plain"] == f"Label-to-code explorer. {shown.result.summary}"
    before, series = shown.state, shown.small_multiples()
    assert shown.state is before and [line.split(":")[0] for line in series.text.splitlines()] == [
        "No label",
        "Sea",
        "Sea, dog",
    ]
    assert LabelCodeExplorer(labels(), values).state.source.names[:2] == ("label 0", "label 1")


def test_controls_follow_set_and_back() -> None:
    shown = explorer()
    boxes = {box.description: box for box in controls(shown, "Checkbox")}
    assert list(boxes) == list(NAMES) and [name for name, box in boxes.items() if box.value] == ["dog"]
    boxes["cat"].value = True
    assert (
        shown.state.labels == ("dog", "cat")
        and "cat on: " in shown._status.value
        and "bits flipped" in shown._status.value
    )
    shown.set(labels=["car"])
    assert [name for name, box in boxes.items() if box.value] == ["car"]
    clear, common = controls(shown, "Button")
    clear.click()
    assert shown.state.labels == () and not any(box.value for box in boxes.values())
    counts = np.sort(np.unique(labels(), axis=0, return_counts=True)[1])
    for place in (-1, -2):
        common.click()
        assert shown.result.items == counts[place]
        assert [name for name, box in boxes.items() if box.value] == list(shown.state.labels)
    (number,) = controls(shown, "BoundedIntText")
    number.value = 3
    assert len(shown.result.sets) == 3
    assert not controls(shown, "Output")


@pytest.mark.parametrize("wrong", [{"labels": ["horse"]}, {"labels": "dog"}, {"k": 0}, {"k": 31}, {"k": 2.5}])
def test_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        explorer().set(**wrong)


@pytest.mark.parametrize(
    ("message", "arguments", "options"),
    [
        ("labels: expected 0/1 of shape", (np.zeros(4), values), {}),
        ("labels: expected 0/1 of shape", (np.zeros((0, 5)), values), {}),
        ("labels: expected only 0 and 1", (np.full((3, 5), 2), values), {}),
        ("encode: expected a function", (labels(), PLANE), {}),
        ("encode: expected finite values", (labels(), lambda sets: np.full((len(sets), 8), np.nan)), {}),
        ("encode: expected finite values", (labels(), lambda sets: np.zeros(8)), {}),
        ("scores: expected a function", (labels(), values, 3), {}),
        ("scores: expected numbers from 0 to 1", (labels(), values, lambda sets: 2 * sets + 1.5), {}),
        ("names: expected one a label", (labels(), values), {"names": ["a"]}),
        ("names: expected different", (labels(), values), {"names": list("aabcd")}),
    ],
)
def test_refuses_data_that_do_not_fit(message: str, arguments: tuple, options: dict) -> None:
    with pytest.raises(InputError, match=message):
        LabelCodeExplorer(*arguments, **options)


def test_it_is_found_by_name() -> None:
    assert widgets.LabelCodeExplorer is LabelCodeExplorer
