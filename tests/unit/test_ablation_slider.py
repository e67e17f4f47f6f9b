"""The ablation slider: a pure state, and a view that follows it."""

from __future__ import annotations

import numpy as np
import pytest

from cmhkit.course.lessons import sweeps
from cmhkit.course.widgets.ablation_slider import AblationSlider
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"
FIRST = {
    "method": "UGACH",
    "option": "k_text",
    "values": [5, 50, 500],
    "default": 50,
    "map": [[[0.30, 0.20], [0.32, 0.22]], [[0.40, 0.30], [0.41, 0.34]], [[0.36, 0.35], [0.36, 0.35]]],
    "bits": 32,
    "size": "lab",
    "asked": "400 training pairs, held out",
    "fixed": {"rounds": 0},
}
SECOND = {"method": "ADAH", "option": "margin", "values": [4, 8], "default": 4, "map": [[[0.5, 0.6]], [[0.6, 0.5]]]}


def slider(**more) -> AblationSlider:
    return AblationSlider([FIRST, SECOND], **more)


def test_it_starts_at_the_default() -> None:
    result = slider().result
    assert result.value == 50 and result.map.tolist() == pytest.approx([0.405, 0.32]) and result.gain.tolist() == [0, 0]
    assert result.summary == (
        "UGACH, k_text = 50: MAP 0.405 / 0.320, image → text / text → image, mean of 2 seeds. The preset's value. "
        "Seeds at the same value differ by up to 0.040."
    )
    assert "32 bits; size lab; asked with 400 training pairs, held out; held fixed: rounds 0." in result.html


def test_a_step_says_the_gain_both_ways() -> None:
    widget = slider()
    result = widget.set(position=2)
    assert result.gain.tolist() == pytest.approx([-0.045, 0.03]) and result.spread == pytest.approx(0.04)
    assert (
        "k_text = 500: MAP 0.360 / 0.350" in result.summary
        and "−0.045 / +0.030 against the preset's 50." in result.summary
    )
    assert (
        result.html.count("▶") == 2 and "▶ 500" in result.html and "the preset" in result.html
    )  # once in the words below the bars
    assert "0.360 0.360" in result.html and "0.350 0.350" in result.html


def test_another_sweep_starts_at_its_own_default_and_its_controls_follow() -> None:
    widget = slider(position=2)
    row = widget.view().children[1].children[0].children
    assert [text for text, _ in row[1].options] == ["5", "50", "500"] and row[1].value == 2 and row[2].value == 2
    row[0].label = "ADAH, margin"
    assert (
        widget.state.position == 0
        and [text for text, _ in row[1].options] == ["4", "8"]
        and [text for text, _ in row[2].options] == ["4", "8"]
    )
    assert "one seed" in widget.result.summary and "Seeds" not in widget.result.summary
    row[2].value = 1
    assert widget.result.value == 8 and row[1].value == 1
    row[0].label = "UGACH, k_text"
    assert widget.state.position == 1 and len(row[1].options) == 3


def test_static_twin_and_small_multiples() -> None:
    widget = slider()
    bundle = widget._repr_mimebundle_()
    assert bundle["text/plain"] == f"Ablation slider. {widget.result.summary}" and LIVE in bundle
    assert len(str(widget.small_multiples()).splitlines()) == 2


@pytest.mark.parametrize(
    "wrong", [{"position": 3}, {"position": -1}, {"position": 1.0}, {"sweep": "UGACH"}, {"colour": 1}]
)
def test_a_bad_input_is_refused_and_the_state_stays(wrong) -> None:
    widget = slider()
    before = widget.state
    with pytest.raises(InputError):
        widget.set(**wrong)
    assert widget.state is before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"map": FIRST["map"][:2]}, r"map: expected \(3 values, seeds, 2\)"),
        ({"map": np.zeros((3, 0, 2))}, "map: expected"),
        ({"map": np.full((3, 1, 2), 1.5)}, "map: expected numbers from 0 to 1"),
        ({"map": np.full((3, 1, 2), np.nan)}, "map: expected numbers from 0 to 1"),
        ({"default": 7}, "default: expected one of 5, 50, 500, got 7"),
    ],
)
def test_a_sweep_that_does_not_fit_is_named(change, said) -> None:
    with pytest.raises(InputError, match=said):
        AblationSlider([{**FIRST, **change}])


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InputError, match=r"sweeps\[0\]: expected option, default"):
        AblationSlider([{"method": "A", "values": [1], "map": [[[0, 0]]]}])
    with pytest.raises(InputError, match="sweeps: expected at least one"):
        AblationSlider([])


def test_the_packaged_sweeps_fit() -> None:
    widget = AblationSlider(sweeps.load("ablations"))
    assert {name.split(", ")[0] for name in widget.state.sweeps} == {"UGACH", "ADAH", "SSAH"}
