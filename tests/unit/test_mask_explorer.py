"""The mask explorer: a pure state, and a view that follows it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cmhkit.course.masks import mask_quality
from cmhkit.course.widgets.mask_explorer import MaskExplorer, drawn, entropy, overlap
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"


def peaked(n: int = 3, side: int = 8) -> np.ndarray:
    """P with four likely places in a corner, another corner for each item."""
    p = np.full((n, side, side), 0.4, np.float32)
    for i in range(n):
        p[i, i : i + 2, i : i + 2] = 3.0
    return p / p.sum(axis=(1, 2), keepdims=True)


def explorer(**more) -> MaskExplorer:
    rng = np.random.default_rng(0)
    given = {
        "pictures": rng.integers(0, 255, (3, 32, 32, 3)).astype(np.uint8),
        "truth": peaked() > 0.02,
        "captions": ["a <cat>", "a dog", "a ship"],
        "words": [["cat", "dog"], ["ship"], []],
        "word_p": [np.array([0.5, 0.05]), np.array([0.1]), np.zeros(0)],
        "word_places": 10,
    }
    return MaskExplorer(peaked(), **{**given, **more})


def test_the_mask_is_the_library_s() -> None:
    torch = pytest.importorskip("torch")
    from cmhkit.nn.binarize import mask_entropy, threshold_mask

    p = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)).softmax(1)
    shown = MaskExplorer(p.reshape(4, 8, 8).numpy())
    for item in range(4):
        for level in (0.5, 1.0, 2.0):
            result = shown.set(item=item, level=level)
            assert (result.mask.ravel() == threshold_mask(p, level / 64)[item].bool().numpy()).all()
            assert result.area == result.mask.mean()
        assert result.entropy == pytest.approx(mask_entropy(p)[item].item(), abs=1e-5)


def test_uniform_probabilities_are_on_at_the_note_s_threshold_and_off_above() -> None:
    shown = MaskExplorer(np.full((1, 8, 8), 1 / 64))
    assert shown.result.mask.all() and shown.result.entropy == pytest.approx(1)
    assert not shown.set(level=1.05).mask.any()
    assert "0 of 64 places attended" in shown.result.summary


def test_truth_on_request() -> None:
    shown = explorer()
    assert (
        shown.result.overlap is None and "truth" not in shown.result.summary and "true place" not in shown.result.html
    )
    result = shown.set(show_truth=True)
    assert result.overlap == {"iou": 1.0, "precision": 1.0, "recall": 1.0}
    assert "IoU 1.00, precision 1.00, recall 1.00" in result.summary and "true place" in result.html
    assert shown.set(level=0.05).overlap == {"iou": 4 / 64, "precision": 4 / 64, "recall": 1.0}


def test_overlap_and_entropy_by_hand() -> None:
    mask, truth = np.array([[True, True], [False, False]]), np.array([[True, False], [True, False]])
    assert overlap(mask, truth) == {"iou": 1 / 3, "precision": 0.5, "recall": 0.5}
    quality = mask_quality(mask[None], truth[None])
    assert (quality.iou, quality.precision, quality.recall) == tuple(overlap(mask, truth).values())
    assert overlap(mask & False, truth & False) == {"iou": 0.0, "precision": 0.0, "recall": 0.0}
    assert entropy(np.array([1.0, 0.0])) == 0
    assert drawn(mask) == "##\n··"


def test_words_are_kept_or_struck() -> None:
    shown = explorer(mode="words")
    assert "1 of 2 words kept (cat), 1 struck (dog)" in shown.result.summary
    assert "<b>cat</b>" in shown.result.html and re.search(r"<s[^>]*>dog</s>", shown.result.html)
    assert "✓ kept" in shown.result.html and "✗ struck" in shown.result.html
    assert shown.set(level=0.5).mask.all()
    assert "0 of 0 words kept (none)" in shown.set(item=2).summary
    assert MaskExplorer(words=[["<i>"]], word_p=[np.array([0.5])], word_places=4).result.html.count("<i>") == 0


def test_pictures_have_alternative_text_and_pages_are_small() -> None:
    shown = explorer(show_truth=True)
    pictures = re.findall(r"<img\b[^>]*>", shown.static().html)
    assert len(pictures) == 4
    assert all(re.search(r'alt="[^"]+"', tag, re.S) and "data:image/png;base64," in tag for tag in pictures)
    assert "##······" in shown.static().html and "<cat>" not in shown.static().html
    assert len(shown.static().html) < 160_000
    assert shown.static().html == explorer(show_truth=True).static().html
    assert "<img" in MaskExplorer(peaked()).result.html  # without pictures too


def test_bundle_and_small_multiples() -> None:
    shown = explorer()
    before = shown.state
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", LIVE}
    assert bundle["text/plain"] == f"Mask explorer. {shown.result.summary}"
    assert len(shown.small_multiples().text.splitlines()) == 3
    assert shown.state is before


def test_controls_follow_the_state_and_back() -> None:
    import ipywidgets as ipw

    shown = explorer()
    parts, waiting = [], [shown.view()]
    while waiting:
        part = waiting.pop()
        parts.append(part)
        waiting += getattr(part, "children", ())
    slider = next(c for c in parts if type(c) is ipw.FloatSlider)
    box = next(c for c in parts if type(c) is ipw.BoundedFloatText)
    tick = next(c for c in parts if type(c) is ipw.Checkbox)
    assert not slider.continuous_update and not any(isinstance(part, ipw.Output) for part in parts)
    box.value = 2.0
    assert shown.state.level == 2.0 == slider.value and "threshold 1 → 2" in shown._status.value
    next(c for c in parts if type(c) is ipw.Button).click()
    assert shown.state.level == 1.0 == box.value
    tick.value = True
    assert "IoU" in shown._status.value
    next(c for c in parts if type(c) is ipw.Dropdown).label = "words"
    assert shown.state.mode == "words" and "words kept" in shown._status.value
    shown.set(item=1)
    assert next(c for c in parts if type(c) is ipw.IntSlider).value == 1
    one = MaskExplorer(peaked(1))
    assert not [
        c
        for row in one.view().children[1].children
        for c in row.children
        if isinstance(c, (ipw.Dropdown, ipw.Checkbox))
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"item": 3},
        {"item": -1},
        {"level": 0},
        {"level": 9.0},
        {"level": "1"},
        {"mode": "sound"},
        {"show_truth": 1},
        {"colour": "red"},
    ],
)
def test_refuses_inputs(wrong: dict) -> None:
    shown = explorer()
    before = shown.state
    with pytest.raises(InputError, match=next(iter(wrong))):
        shown.set(**wrong)
    assert shown.state is before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pictures", np.zeros((2, 8, 8, 3), np.uint8)),
        ("truth", np.zeros((3, 4, 4), bool)),
        ("captions", ["one"]),
        ("words", [["a"]]),
        ("word_p", [np.array([0.5]), np.array([0.1]), np.zeros(0)]),
        ("word_p", None),
        ("word_places", None),
    ],
)
def test_refuses_data(name: str, value) -> None:
    with pytest.raises(InputError, match=name if name != "words" else "word"):
        explorer(**{name: value})


@pytest.mark.parametrize(
    "p", [np.ones((2, 8, 8)), np.full((8, 8), 1 / 64), np.ones((1, 2, 2), int), np.full((1, 2, 2), np.nan)]
)
def test_refuses_what_is_no_distribution(p: np.ndarray) -> None:
    with pytest.raises(InputError, match="p: expected"):
        MaskExplorer(p)
    with pytest.raises(InputError, match="neither"):
        MaskExplorer()
    with pytest.raises(InputError, match="no truth"):
        MaskExplorer(peaked(), show_truth=True)
