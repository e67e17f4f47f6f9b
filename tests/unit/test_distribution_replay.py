"""The distribution replay: a plane that stays, numbers over all dimensions, and a view that follows."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cmhkit.course.widgets.distribution_replay import DistributionReplay, energy_share, principal_plane
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"
RNG = np.random.default_rng(0)
EPOCHS, ITEMS, WIDTH = 4, 12, 6
LABELS = RNG.random((EPOCHS, ITEMS, WIDTH))
SHIFT = np.linspace(5, 0, EPOCHS)[:, None, None]
PICTURES = LABELS + SHIFT  # come together: at the last epoch they are the same points
WORDS = LABELS[::-1] - 2
IMAGE_SCORES = np.stack([np.full((EPOCHS, ITEMS), 0.9), np.full((EPOCHS, ITEMS), 0.1)])
IMAGE_SCORES[1, -1, :6] = 0.7  # the last epoch fools it on half of the pictures
TEXT_SCORES = np.stack([np.full((EPOCHS, ITEMS), 0.4), np.full((EPOCHS, ITEMS), 0.2)])


def replay(**more) -> DistributionReplay:
    return DistributionReplay(
        LABELS, PICTURES, WORDS, **{"image_scores": IMAGE_SCORES, "text_scores": TEXT_SCORES, **more}
    )


def test_the_plane_is_that_of_a_singular_value_decomposition() -> None:
    points = RNG.normal(size=(50, 5)) * np.array([3, 2, 1, 0.5, 0.1])
    centre, directions, share = principal_plane(points)
    _, values, vectors = np.linalg.svd(points - points.mean(axis=0))
    assert np.allclose(centre, points.mean(axis=0)) and share == pytest.approx(
        (values[:2] ** 2).sum() / (values**2).sum()
    )
    assert np.allclose(np.abs((directions * vectors[:2]).sum(axis=1)), 1) and np.allclose(
        directions @ directions.T, np.eye(2)
    )
    assert all(row[np.abs(row).argmax()] > 0 for row in directions)


@pytest.mark.parametrize("points", [np.ones((4, 3)), np.arange(4.0)[:, None]])
def test_flat_points_have_a_plane(points: np.ndarray) -> None:
    _, directions, share = principal_plane(points)
    assert directions.shape == (2, points.shape[1]) and share == 1


def test_energy_share_by_hand() -> None:
    a, b = RNG.normal(size=(7, 3)), RNG.normal(size=(9, 3)) + 1
    between = 2 * cdist(a, b).mean()
    assert energy_share(a, b) == pytest.approx((between - cdist(a, a).mean() - cdist(b, b).mean()) / between)


def test_a_step_says_energy_and_what_the_discriminators_do() -> None:
    widget = replay(epochs=[1, 2, 3, 9])
    words = energy_share(LABELS[-1], WORDS[-1])
    told = f"energy share against labels: pictures 0.00, words {words:.2f}"
    assert widget.result.summary == f"Epoch 9: {told}; the discriminator is right on 75 % (pictures), 50 % (words)."
    first = widget.set(epoch=0)
    assert (
        first.energy["pictures"] == pytest.approx(energy_share(LABELS[0], PICTURES[0]))
        and first.energy["pictures"] > 0.8
    )
    assert first.right == {"pictures": 1.0, "words": 0.5}
    assert first.apart == pytest.approx(
        {"pictures": 5 * WIDTH**0.5, "words": np.linalg.norm(WORDS[0, 0] - LABELS[0, 0])}
    )


def test_the_plane_and_its_window_do_not_move() -> None:
    widget = replay()
    shown = [widget.set(epoch=e).places for e in range(EPOCHS)]
    moved = shown[0]["pictures"].mean(0) - shown[-1]["pictures"].mean(0)
    _, directions, _ = widget.state.features.plane
    assert np.allclose(moved, (PICTURES[0].mean(0) - PICTURES[-1].mean(0)) @ directions.T)
    assert widget.state.features.window is replay_window(widget)
    low, high = widget.state.features.window
    inside = np.concatenate([((p >= low) & (p <= high)).all(axis=1) for places in shown for p in places.values()])
    assert inside.mean() > 0.9


def test_a_point_far_out_stays_on_the_picture_and_is_told() -> None:
    far = LABELS.copy()
    far[0, 0] += 1000
    widget = DistributionReplay(far, PICTURES, WORDS, epoch=0)
    low, high = widget.state.features.window
    assert (high - low).max() < 100 and "1 of 36 points lie near the rim or beyond it" in widget.result.html
    assert "beyond" not in DistributionReplay(far, PICTURES, WORDS, epoch=2).result.html


def replay_window(widget: DistributionReplay) -> object:
    widget.set(epoch=0, shown="words")
    return widget.state.features.window


def test_only_what_is_shown_is_told() -> None:
    widget = replay(shown="words")
    assert (
        "pictures" not in widget.result.summary
        and "words (TxtNet)" in widget.result.html
        and "pictures (ImgNet)" not in widget.result.html
    )
    assert replay().result.energy == widget.result.energy
    assert (widget.state.features.taken("labels", 0, "words") == 0.4).all() and np.allclose(
        widget.state.features.taken("labels", 0, "all"), 0.65
    )


def test_without_scores_nothing_is_said_of_discriminators() -> None:
    widget = DistributionReplay(LABELS, PICTURES, WORDS)
    assert (
        widget.result.right == {}
        and "discriminator" not in widget.result.summary + widget.result.html
        and "D =" not in widget.result.html
    )


def test_marks_lines_and_scores_change_the_picture() -> None:
    def picture(**inputs) -> str:
        return re.search(r'src="([^"]+)"', replay(**inputs).result.html).group(1)

    hollow = np.zeros_like(IMAGE_SCORES)
    drawn = [
        picture(),
        picture(links="none"),
        picture(links="all"),
        picture(item=3),
        picture(shown="words"),
        picture(epoch=1),
        picture(image_scores=hollow),
    ]
    assert len(set(drawn)) == len(drawn)


def test_the_picture_is_told_in_words() -> None:
    html = replay(captions=["a <cat>", *["a boat"] * (ITEMS - 1)]).result.html
    alt = re.search(r'alt="([^"]*)"', html).group(1)
    assert (
        "mean of labels at (" in alt
        and "Lines join the features of item 0 (a &lt;cat&gt;)." in alt
        and "<cat>" not in html
    )
    assert "Item 0 (a &lt;cat&gt;): pictures at distance 0.0 from its labels, D = 0.70; words at distance" in html
    assert html.count('role="img"') == 4 and "pictures: discriminator right, 0.75" in html and "epoch 0: 1.00" in html


def test_the_view_follows_and_is_moved_by_keyboard_controls() -> None:
    widget = replay(epoch=0)
    first, second = widget.view().children[1].children
    _, back, on, number = first.children
    shown, links, item = second.children
    assert (
        shown.label == "pictures and words"
        and links.label == "of one item"
        and (item.children[0].min, item.children[0].max) == (0, ITEMS - 1)
    )
    on.click()
    assert widget.state.epoch == 1 and number.children[0].value == 1 and "step 0 → 1" in widget._status.value
    back.click()
    back.click()
    assert widget.state.epoch == 0
    shown.label = "words"
    assert "shown all → words" in widget._status.value
    links.label = "of all items"
    assert "lines item → all" in widget._status.value
    item.children[0].value = 5
    assert widget.state.item == 5 and item.children[1].value == 5 and "item 0 → 5" in widget._status.value


def test_one_epoch_and_one_item_are_enough() -> None:
    widget = DistributionReplay(LABELS[:1, :1], PICTURES[:1, :1], WORDS[:1, :1])
    widget.view()
    assert widget.result.summary.startswith("Epoch 0: ")
    DistributionReplay(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))  # all in one point


def test_static_twin_and_small_multiples() -> None:
    widget = replay()
    bundle = widget._repr_mimebundle_()
    assert (
        bundle["text/plain"] == f"Distribution replay. {widget.result.summary}"
        and LIVE in bundle
        and "<img" in bundle["text/html"]
    )
    series = widget.small_multiples()
    assert str(series).splitlines() == [replay(epoch=e).result.summary for e in (0, 1, 3)]
    assert series.html.count("<img") == 3 and replay().static().html == widget.static().html


@pytest.mark.parametrize(
    "wrong",
    [{"epoch": EPOCHS}, {"epoch": 1.0}, {"item": ITEMS}, {"links": "some"}, {"shown": "labels"}, {"colour": "red"}],
)
def test_a_bad_input_is_refused_and_the_state_stays(wrong) -> None:
    widget = replay(epoch=1)
    with pytest.raises(InputError):
        widget.set(**wrong)
    assert widget.state.epoch == 1 and widget.state.item == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("label_features", LABELS[0], r"label_features: expected \(epochs, n, width\)"),
        (
            "image_features",
            PICTURES[:, :5],
            r"image_features: expected \(4, 12, 6\), as label_features, got \(4, 5, 6\)",
        ),
        ("text_features", WORDS * np.nan, "text_features: expected finite numbers"),
        ("image_scores", IMAGE_SCORES[0], r"image_scores: expected \(2, 4, 12\)"),
        ("image_scores", None, "image_scores, text_scores: expected both or neither"),
        ("text_scores", TEXT_SCORES * 3, "text_scores: expected numbers from 0 to 1"),
        ("captions", ["one"], "captions: expected 12 entries, got 1"),
        ("epochs", [0, 1], "epochs: expected 4 entries, got 2"),
        ("links", "lots", "links: expected one of none, item, all"),
    ],
)
def test_arguments_that_do_not_fit_are_named(name, value, said) -> None:
    given = {
        "label_features": LABELS,
        "image_features": PICTURES,
        "text_features": WORDS,
        "image_scores": IMAGE_SCORES,
        "text_scores": TEXT_SCORES,
    }
    with pytest.raises(InputError, match=said):
        DistributionReplay(**{**given, name: value})
