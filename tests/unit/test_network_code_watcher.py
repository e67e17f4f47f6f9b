"""The code watcher for three networks: a pure state, and a view that follows it."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cmhkit.course.widgets.network_code_watcher import NetworkCodeWatcher
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"
# Two items of four bits: bit 1 of item 0 is an even sum, in bit 2 ImgNet is outvoted, in bit 3 two weak networks lose
# against a sure one.
LABEL = [[0.9, 0.5, 0.4, 0.9], [-0.9, -0.9, 0.9, 0.9]]
IMAGE = [[0.8, -0.25, -0.3, -0.2], [-0.9, -0.9, 0.9, 0.9]]
TEXT = [[0.7, -0.25, 0.2, -0.1], [-0.9, -0.9, 0.9, 0.9]]
FIRST = np.random.default_rng(0).uniform(-1, 1, (3, 2, 4))


def watcher(**more) -> NetworkCodeWatcher:
    parts = (np.stack([first, now]) for first, now in zip(FIRST, (LABEL, IMAGE, TEXT), strict=True))
    return NetworkCodeWatcher(*parts, **more)


def test_shared_code_and_shares_by_hand() -> None:
    result = watcher(epochs=[1, 4]).result
    assert result.shared.tolist() == [[1, 1, 1, 1], [-1, -1, 1, 1]] and result.shared.dtype == np.int8
    assert result.codes[:, 0].tolist() == [[1, 1, 1, 1], [1, -1, -1, -1], [1, -1, 1, -1]]
    assert result.agree.tolist() == [1, 5 / 8, 6 / 8] and result.together == 5 / 8
    assert result.summary == (
        "Epoch 4, 2 items, bits that agree with B: LabNet 100.0 %, ImgNet 62.5 %, TxtNet 75.0 %, all three 62.5 %. "
        "Item 0: 3 of 4 bits are not unanimous."
    )


def test_shared_code_is_the_library_s() -> None:
    torch = pytest.importorskip("torch")
    from cmhkit.ssah.losses import shared_code

    h = np.tanh(np.random.default_rng(1).normal(size=(5, 3, 20, 16)))
    widget = NetworkCodeWatcher(*np.moveaxis(h, 1, 0))
    for epoch in range(5):
        assert (widget.set(epoch=epoch).shared == shared_code(*torch.from_numpy(h[epoch])).numpy()).all()


def test_three_coins_meet_their_sum_as_the_note_on_the_page_says() -> None:
    h = np.random.default_rng(2).choice([-1.0, 1.0], (1, 3, 400, 64))
    widget = NetworkCodeWatcher(*np.moveaxis(h, 1, 0), max_items=4)
    assert widget.result.agree == pytest.approx([0.75] * 3, abs=0.01) and widget.result.together == pytest.approx(
        0.25, abs=0.01
    )


def test_the_vote_is_told_in_words_and_in_a_table_the_closest_first() -> None:
    html = watcher(captions=["a <cat>", "a boat"]).result.html
    assert "The vote on item 0, a &lt;cat&gt;" in html
    assert "bit 2: +0.40 -0.30 +0.20 = +0.30" in html
    rows = re.findall(r"<tr><th scope='row'>(\d+)</th>(.*?)</tr>", html)
    assert [bit for bit, _ in rows] == ["1", "2", "3"]
    assert rows[1][1] == "<td>+0.40</td><td>−0.30 ×</td><td>+0.20</td><td>+0.30</td><td>+1</td>"
    assert "The three networks agree in every bit" in watcher(item=1).result.html


def test_many_close_votes_are_cut_and_said() -> None:
    h = np.random.default_rng(3).uniform(-1, 1, (3, 1, 2, 64))
    assert re.search(r"6 of \d+ shown", NetworkCodeWatcher(*h).result.html)


def pictures(html: str) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))
        for code in re.findall(r"base64,([^\"]+)", html)
    ]


def test_a_cross_marks_what_is_not_the_shared_bit() -> None:
    grids = pictures(watcher().result.html)[:4]

    # Two rows of 13 pixels, four bits of 16, behind a margin of 14 and a border of 1. A cell without a cross has one
    # colour inside its lines.
    def plain(grid: np.ndarray, row: int, bit: int) -> bool:
        inside = grid[3 + 13 * row : 13 + 13 * row, 18 + 16 * bit : 28 + 16 * bit].reshape(-1, 3)
        return len(np.unique(inside, axis=0)) == 1

    found = np.array([[[plain(grid, row, bit) for bit in range(4)] for row in range(2)] for grid in grids])
    result = watcher().result
    assert found[0].all() and (found[1:] == (result.codes == result.shared)).all()


def test_the_chosen_item_is_among_the_rows() -> None:
    h = np.random.default_rng(4).uniform(-1, 1, (3, 1, 30, 8))
    widget = NetworkCodeWatcher(*h, max_items=10)
    assert "items 0 to 9 of 30; the arrow points at item 0" in widget.result.html
    assert "items 12 to 21 of 30; the arrow points at item 21" in widget.set(item=21).html
    assert (widget.result.votes == h[:, 0, 21]).all() and widget.result.codes.shape == (3, 30, 8)


def test_the_view_follows_and_is_moved_by_keyboard_controls() -> None:
    widget = watcher(epoch=0)
    steps, items = widget.view().children[1].children
    play, back, on, _ = steps.children
    box, slider = items.children[0].children
    on.click()
    assert (
        widget.state.epoch == 1
        and play.value == 1
        and "step 0 → 1" in widget._status.value
        and 'role="status"' in widget._status.value
    )
    box.value = 1
    assert (
        widget.state.item == 1
        and slider.value == 1
        and "item 0 → 1" in widget._status.value
        and not slider.continuous_update
    )
    back.click()
    back.click()
    assert widget.state.epoch == 0


@pytest.mark.parametrize("bits", [1, 16, 64, 128])
def test_one_epoch_one_item_and_any_length(bits: int) -> None:
    widget = NetworkCodeWatcher(*np.zeros((3, 1, 1, bits)))
    widget.view()
    widget._from_control(item=1)
    assert widget.state.item == 0 and (widget.result.shared == 1).all() and widget.result.together == 1
    assert len(widget.static().html) < 120_000


def test_static_twin_and_small_multiples() -> None:
    widget = watcher()
    bundle = widget._repr_mimebundle_()
    assert bundle["text/plain"] == f"Code watcher, three networks. {widget.result.summary}" and LIVE in bundle
    series = widget.small_multiples()
    assert str(series).splitlines() == [watcher(epoch=e).result.summary for e in range(2)]
    assert series.html.count("<img") == 2 * 5 and watcher().static().html == widget.static().html


@pytest.mark.parametrize("wrong", [{"epoch": 2}, {"epoch": -1}, {"item": 2}, {"item": 0.5}, {"colour": "red"}])
def test_a_bad_input_is_refused_and_the_state_stays(wrong) -> None:
    widget = watcher(epoch=1)
    with pytest.raises(InputError, match=next(iter(wrong))):
        widget.set(**wrong)
    assert (widget.state.epoch, widget.state.item) == (1, 0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("label", np.zeros((2, 4)), r"label: expected \(epochs, n, K\)"),
        ("text", np.zeros((2, 2, 5)), r"text: expected \(2, 2, 4\), as label, got \(2, 2, 5\)"),
        ("image", np.full((2, 2, 4), 1.5), "image: expected relaxed codes from -1 to 1"),
        ("image", np.full((2, 2, 4), np.nan), "image: expected relaxed codes from -1 to 1"),
        ("captions", ["one"], "captions: expected 2 entries, got 1"),
        ("epochs", [1], "epochs: expected 2 entries, got 1"),
        ("max_items", 0, "max_items"),
    ],
)
def test_what_does_not_fit_is_named(name, value, said) -> None:
    with pytest.raises(InputError, match=said):
        NetworkCodeWatcher(
            **{"label": np.zeros((2, 2, 4)), "image": np.zeros((2, 2, 4)), "text": np.zeros((2, 2, 4)), name: value}
        )
