"""The triplet viewer: its numbers are those of nn.triplet, its view follows its state."""

from __future__ import annotations

import math
import re

import ipywidgets
import numpy as np
import pytest

from cmhkit.course.widgets.triplet_viewer import TripletViewer, code_distances
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"


def viewer(n: int = 12, **options) -> TripletViewer:
    rng = np.random.default_rng(3)
    labels = rng.random((n, 4)) < 0.4
    labels[:, 0] |= ~labels.any(1)
    codes = np.tanh(rng.normal(size=(n, 8)))
    return TripletViewer(similar=labels.astype(int) @ labels.T.astype(int) > 0, codes=(codes, codes), **options)


def controls(widget: TripletViewer, kind: str) -> list:
    def walk(part):
        yield part
        for child in getattr(part, "children", ()):
            yield from walk(child)

    return [part for part in walk(widget.view()) if type(part) is getattr(ipywidgets, kind)]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("kind", ["norm", "squared"])
def test_numbers_are_the_library_s(own: bool, kind: str) -> None:
    torch = pytest.importorskip("torch")
    from cmhkit.nn.triplet import triplet_hinge

    shown = viewer(kind=kind, own=own, margin=1.5)
    d, s = (torch.from_numpy(x) for x in (shown.state.distance, shown.state.similar))
    results = [shown.state.change(anchor=i).result for i in range(len(d))]
    expected = triplet_hinge(d, s, 1.5, reduction="sum", own=own)
    assert sum(r.active for r in results) == expected.active
    assert sum(r.hinge.size for r in results) == expected.triplets
    assert sum(r.hinge.sum() for r in results) == pytest.approx(expected.loss.item())


def test_one_anchor_by_hand() -> None:
    shown = TripletViewer([1.0, 2.5, 2.0, 3.0], [True, True, False, False], margin=1.0)
    result = shown.result
    assert result.near.tolist() == [0, 1] and result.far.tolist() == [2, 3]
    assert result.hinge.tolist() == [[0, 0], [1.5, 0.5]]  # exactly 0 is not active
    assert (result.active, result.share, result.mean) == (2, 0.5, 0.5)
    assert "make 4 triplets, 2 of them active (50.0 %), mean hinge 0.500." in result.summary
    assert result.html.count("<b>●") == 2 and result.html.count("○ 0") == 2


def test_own_item() -> None:
    shown = viewer(anchor=5)
    assert 5 in shown.result.near
    assert 5 not in shown.set(own=False).near
    assert "own item counts on → off" in shown.state.changed(shown.state.change(own=True))


def test_without_triplets() -> None:
    result = TripletViewer([[1.0, 2.0]], [[True, True]]).result
    assert math.isnan(result.share) and result.mean == 0 and "no triplet" in result.summary and "<img" in result.html
    assert TripletViewer(np.zeros((1, 2)), [[True, False]], margin=0.0).result.active == 0


def test_long_lists_are_cut_and_say_so() -> None:
    d = np.arange(40.0)
    result = TripletViewer(d, d < 20, names=[f"<{i}>" for i in range(40)], margin=30.0).result
    assert result.hinge.shape == (20, 20)
    assert "the hardest 40 of 400" in result.html and "The 8 farthest similar items." in result.html
    assert "&lt;19&gt;" in result.html and "<19>" not in result.html


def test_twin_multiples_and_alternative_text() -> None:
    shown = viewer()
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", LIVE}
    assert bundle["text/plain"] == f"Triplet viewer. {shown.result.summary}"
    assert shown.static().html == viewer().static().html and len(shown.static().html) < 120_000
    before, series = shown.state, shown.small_multiples()
    assert shown.state is before and len(series.text.splitlines()) == 2
    for tag in re.findall(r"<img\b[^>]*>", series.html):
        assert "filled circles with a plus" in tag and "hollow squares with a minus" in tag


def test_controls_follow_set_and_back() -> None:
    shown = viewer()
    (box,), (slider,) = controls(shown, "BoundedFloatText"), controls(shown, "FloatSlider")
    assert box.max == slider.max == shown.state.limit and not slider.continuous_update
    box.value = 2.25
    assert shown.state.margin == slider.value == 2.25 and "margin 1 → 2.25" in shown._status.value
    slider.value = 0.5
    assert shown.state.margin == box.value == 0.5
    (anchor,) = controls(shown, "BoundedIntText")
    anchor.value = 4
    assert shown.state.anchor == 4 and "Anchor 4" in shown._status.value
    (own,) = controls(shown, "Dropdown")
    own.label = "left out"
    assert shown.state.own is False
    shown.set(margin=1.0)
    assert box.value == slider.value == 1.0
    assert not controls(TripletViewer(np.ones((2, 5)), np.eye(2, 5)), "Dropdown")  # no own item to leave out
    assert not controls(shown, "Output")


@pytest.mark.parametrize(
    "wrong", [{"anchor": 12}, {"anchor": 0.5}, {"margin": -1}, {"margin": "wide"}, {"margin": 1e9}, {"own": "no"}]
)
def test_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        viewer().set(**wrong)


def test_refuses_data_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="distance, codes"):
        TripletViewer(similar=[True, False])
    with pytest.raises(InputError, match="similar"):
        TripletViewer([1.0, 2.0])
    with pytest.raises(InputError, match="similar: expected"):
        TripletViewer([1.0, 2.0], [True, False, True])
    with pytest.raises(InputError, match="distance: expected finite"):
        TripletViewer([1.0, np.nan], [True, False])
    with pytest.raises(InputError, match="names"):
        TripletViewer([1.0, 2.0], [True, False], names=["one"])
    with pytest.raises(InputError, match="own"):
        TripletViewer(np.ones((1, 2)), np.eye(1, 2), own=False)
    with pytest.raises(InputError, match="kind"):
        code_distances(np.ones((1, 2)), np.ones((1, 2)), "cosine")
