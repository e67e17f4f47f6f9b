"""The mask replay: a pure state, and a view that follows it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cmhkit.course.widgets.mask_replay import MaskReplay, drawn, iou
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"


def corner(size: int) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[:size, :size] = True
    return mask


TRUTH = np.stack([corner(4), corner(2)])
MASKS = np.stack([np.stack([corner(8), corner(8)]), np.stack([corner(2), corner(4)]), TRUTH])
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def replay(**more) -> MaskReplay:
    return MaskReplay(MASKS, PICTURES, TRUTH, **{"captions": ["a <cat>", "a boat"], **more})


def test_iou_by_hand() -> None:
    assert iou(MASKS, TRUTH).tolist() == [[16 / 64, 4 / 64], [4 / 16, 4 / 16], [1, 1]]
    assert iou(np.zeros((8, 8), bool), np.zeros((8, 8), bool)) == 0


def test_a_step_says_area_change_and_iou() -> None:
    widget = replay(epochs=[0, 5, 10])
    assert (
        widget.result.summary
        == "Epoch 10: 18.8 % of the places changed since the step before; mask area 0.16; IoU with the truth 1.000."
    )
    first = widget.set(epoch=0)
    assert first.summary == "Epoch 0: the first step; mask area 1.00; IoU with the truth 0.156."
    assert first.area == 1 and first.changed == 0 and first.iou.tolist() == [0.25, 0.0625]
    assert (widget.set(epoch=1).masks == MASKS[1]).all() and widget.result.iou.mean() == 0.25


def test_numbers_serve_as_masks_and_truth_and_pictures_may_be_missing() -> None:
    widget = MaskReplay(MASKS.astype(np.float32))
    assert (
        "IoU" not in widget.result.summary and widget.result.iou is None and "mask area by epoch" in widget.result.html
    )
    assert (MaskReplay(MASKS.astype(float), PICTURES, TRUTH.astype(int)).result.iou == 1).all()


def test_more_pictures_than_are_drawn_still_count() -> None:
    few = replay(max_items=1)
    assert few.result.html.count("<img") == 1 and "1 of 2 pictures are drawn" in few.result.html
    assert few.result.summary == replay().result.summary


def test_a_mask_is_drawn_over_its_picture() -> None:
    picture = np.full((64, 64, 3), 100, np.uint8)
    shown = drawn(corner(4), picture, corner(2))
    assert shown.shape == (112, 112, 3)
    assert (shown[21, 35] == 100).all() and (shown[100, 100] == int(0.3 * 100 + 0.7 * 255)).all()
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (shown == colour).all(2).any()
    assert not (drawn(corner(4), picture) == (213, 94, 0)).all(2).any()


def test_every_picture_has_its_mask_as_text() -> None:
    html = replay(epoch=1).result.html
    alts = re.findall(r'alt="([^"]*)"', html)
    assert (
        len(alts) == 2
        and alts[0].startswith("a &lt;cat&gt;: 4 of 64 places attended, IoU 0.25")
        and alts[0].count("#") == 4 + 1
    )
    assert "<cat>" not in html
    assert 'role="img" aria-label="IoU by epoch' in html and "epoch 1: 0.250" in html


def test_the_view_follows_and_is_moved_by_keyboard_controls() -> None:
    widget = replay(epoch=0)
    play, back, on, number = widget.view().children[1].children[0].children
    box, slider = number.children
    assert not slider.continuous_update and (box.min, box.max) == (0, 2)
    box.value = 2
    assert widget.state.epoch == 2 and slider.value == 2 and play.value == 2
    assert (
        "step 0 → 2" in widget._status.value
        and "IoU with the truth 1.000" in widget._status.value
        and 'role="status"' in widget._status.value
    )
    on.click()
    assert widget.state.epoch == 2
    back.click()
    assert widget.state.epoch == 1 and box.value == 1
    slider.value = 0
    back.click()
    assert widget.state.epoch == 0


def test_one_epoch_is_enough() -> None:
    widget = MaskReplay(MASKS[:1])
    play = widget.view().children[1].children[0].children[0]
    play.value = 1
    assert widget.state.epoch == 0


def test_static_twin_and_small_multiples() -> None:
    widget = replay()
    bundle = widget._repr_mimebundle_()
    assert (
        bundle["text/plain"] == f"Mask replay. {widget.result.summary}"
        and LIVE in bundle
        and "<img" in bundle["text/html"]
    )
    series = widget.small_multiples()
    assert str(series).splitlines() == [replay(epoch=e).result.summary for e in range(3)]
    assert series.html.count("<img") == 6 and replay().static().html == widget.static().html


@pytest.mark.parametrize("wrong", [{"epoch": 3}, {"epoch": -1}, {"epoch": 1.0}, {"colour": "red"}])
def test_a_bad_input_is_refused_and_the_state_stays(wrong) -> None:
    widget = replay(epoch=1)
    with pytest.raises(InputError):
        widget.set(**wrong)
    assert widget.state.epoch == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("masks", MASKS[0], r"masks: expected \(epochs, n, H, W\)"),
        ("masks", MASKS * 0.5, "masks: expected 0 and 1 only"),
        ("pictures", PICTURES[:1], r"pictures: expected uint8 \(2, R, R, 3\)"),
        ("pictures", PICTURES.astype(float), "pictures: expected uint8"),
        ("truth", TRUTH[:1], r"truth: expected \(2, 8, 8\)"),
        ("captions", ["one"], "captions: expected 2 entries, got 1"),
        ("epochs", [0, 1], "epochs: expected 3 entries, got 2"),
        ("max_items", 0, "max_items"),
    ],
)
def test_arrays_that_do_not_fit_are_named(name, value, said) -> None:
    with pytest.raises(InputError, match=said):
        MaskReplay(**{"masks": MASKS, "pictures": PICTURES, "truth": TRUTH, name: value})
