"""The distribution replay: the features of labels, pictures and words in a plane that stays where it is, by epoch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmhkit.course.widgets.base import BLUE, GREEN, VERMILION, Result, State, Widget, bars, img
from cmhkit.support.checks import check, check_choice, check_integer

KINDS = ("labels", "pictures", "words")
_ARGUMENTS = {"labels": "label", "pictures": "image", "words": "text"}
_COLOURS = {"labels": BLUE, "pictures": VERMILION, "words": GREEN}
_FULL, _HOLLOW = {"labels": "●", "pictures": "■", "words": "▲"}, {"labels": "○", "pictures": "□", "words": "△"}
_WIDTH, _HEIGHTS, _ZOOM = 640, (240, 430), 2
_LEFT, _TOP, _RIGHT, _BOTTOM = 34, 8, 8, 24
_INK = "#1a1a1a"


def principal_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The plane in which points spread most, by principal component analysis.

    points: (N, s), s at least 1. Returns the mean (s,), two orthogonal directions (2, s), each with its largest entry
    positive, and the share of the variance that the plane holds (1 where nothing varies). Where there is one direction
    only, the second is 0.
    """
    centre = points.mean(axis=0)
    values, vectors = np.linalg.eigh((points - centre).T @ (points - centre))
    directions = np.zeros((2, points.shape[1]))
    leading = vectors.T[::-1][:2]
    directions[: len(leading)] = leading
    for row in directions:
        row *= -1 if row[np.abs(row).argmax()] < 0 else 1
    total = float(values.clip(0).sum())
    return centre, directions, float(values[::-1][:2].clip(0).sum()) / total if total > 0 else 1.0


def energy_share(a: np.ndarray, b: np.ndarray) -> float:
    """The energy distance of two samples over 2 E‖x - y‖, from 0 to 1: `TwoSample.share`. a: (n, s). b: (m, s)."""
    from cmhkit.course.distributions import two_sample

    return two_sample(a, b, permutations=1).share


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """The features of the same n items by three networks over E epochs, and what is worked out of them once.

    by_kind: labels, pictures, words, each (E, n, s). scores: None, or what two discriminators say: pictures and words,
    each (2, E, n), D of the labels' features, then of its own kind's; 0 to 1.
    """

    by_kind: Mapping[str, np.ndarray]
    scores: Mapping[str, np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(E, n, s)."""
        return self.by_kind["labels"].shape

    @cached_property
    def plane(self) -> tuple[np.ndarray, np.ndarray, float]:
        """`principal_plane` of all features of all epochs: so what moves in it moved in truth."""
        return principal_plane(np.concatenate([f.reshape(-1, self.shape[2]) for f in self.by_kind.values()]))

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """Each kind's place in the plane, (E, n, 2)."""
        centre, directions, _ = self.plane
        return {kind: (f - centre) @ directions.T for kind, f in self.by_kind.items()}

    @cached_property
    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper corner of what is drawn, (2,) each: the same at every epoch. A few far points, 2 % a
        side, do not widen it.
        """
        every = np.concatenate([p.reshape(-1, 2) for p in self.places.values()])
        low, high = np.percentile(every, (2, 98), axis=0)
        margin = np.maximum(0.12 * (high - low), 0.02 * float((high - low).max()) + 1e-9)
        return low - margin, high + margin

    @cached_property
    def energies(self) -> dict[str, np.ndarray]:
        """`energy_share` of the labels' features and the pictures' or the words', in all s dimensions, (E,) each."""
        label = self.by_kind["labels"]
        return {
            kind: np.array([energy_share(a, b) for a, b in zip(label, self.by_kind[kind], strict=True)])
            for kind in KINDS[1:]
        }

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """The share of features that each discriminator puts on the right side of one half, (E,) each; empty without
        scores.
        """
        return (
            {}
            if self.scores is None
            else {kind: ((s[0] > 0.5).mean(axis=1) + (s[1] <= 0.5).mean(axis=1)) / 2 for kind, s in self.scores.items()}
        )

    def taken(self, kind: str, epoch: int, shown: str) -> np.ndarray | None:
        """D of one kind's features, (n,): the mean of the discriminators that are shown where both see it. None without
        scores.
        """
        if self.scores is None:
            return None
        if kind != "labels":
            return self.scores[kind][1, epoch]
        return np.mean([self.scores[k][0, epoch] for k in KINDS[1:] if shown in ("all", k)], axis=0)


@dataclasses.dataclass(frozen=True)
class DistributionResult(Result):
    """places: labels, pictures, words in the plane, (n, 2) each. energy: pictures and words against labels, 0 to 1.

    right: share of features that each discriminator puts on the right side, empty without scores. apart: of the chosen
    item, the distance of its picture's and its words' features from its labels', over all dimensions.
    """

    places: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    energy: Mapping[str, float] = dataclasses.field(default_factory=dict)
    right: Mapping[str, float] = dataclasses.field(default_factory=dict)
    apart: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class DistributionState(State):
    """A position in a history of features.

    features: `Features`. captions: n texts or None. epochs: the number of each position; by default 0 .. E - 1. epoch:
    a position, 0 .. E - 1. shown: "all", "pictures" or "words"; labels always are. links: "none", "item" or "all":
    whose features are joined by lines. item: 0 .. n - 1.
    """

    inputs: ClassVar[Mapping[str, str]] = {"epoch": "step", "shown": "shown", "links": "lines", "item": "item"}

    features: Features
    captions: Sequence[str] | None = None
    epochs: Sequence[int] | None = None
    shown: str = "all"
    links: str = "item"
    item: int = 0
    epoch: int | None = None

    def __post_init__(self) -> None:
        count, n, _ = self.features.shape
        for name, length in (("captions", n), ("epochs", count)):
            given = getattr(self, name)
            check(
                given is None or len(given) == length,
                f"{name}: expected {length} entries, got {0 if given is None else len(given)}",
            )
        check_choice("shown", self.shown, ("all", *KINDS[1:]))
        check_choice("links", self.links, ("none", "item", "all"))
        check_integer("item", self.item, 0, n - 1)
        if self.epoch is None:
            object.__setattr__(self, "epoch", count - 1)
        check_integer("epoch", self.epoch, 0, count - 1)

    def number(self, position: int) -> int:
        """The epoch number at a position."""
        return position if self.epochs is None else int(self.epochs[position])

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is drawn."""
        return tuple(kind for kind in KINDS if kind == "labels" or self.shown in ("all", kind))

    def name(self, item: int) -> str:
        """An item's name, with its caption if there is one."""
        return f"item {item}" + ("" if self.captions is None else f" ({self.captions[item]})")

    def _show(self) -> DistributionResult:
        f, e, others = self.features, self.epoch, self.kinds[1:]
        energy = {kind: float(f.energies[kind][e]) for kind in KINDS[1:]}
        right = {kind: float(f.right[kind][e]) for kind in KINDS[1:]} if f.right else {}
        label = f.by_kind["labels"][e, self.item]
        apart = {kind: float(np.linalg.norm(f.by_kind[kind][e, self.item] - label)) for kind in KINDS[1:]}
        distances = "energy share against labels: " + ", ".join(f"{kind} {energy[kind]:.2f}" for kind in others)
        judged = (
            ""
            if not right
            else "; the discriminator is right on "
            + ", ".join(f"{100 * right[kind]:.0f} % ({kind})" for kind in others)
        )
        summary = f"Epoch {self.number(e)}: {distances}{judged}."
        places = {kind: f.places[kind][e] for kind in KINDS}
        look = f"width:100%;max-width:{_WIDTH}px;background:#fff"
        picture = img(self._drawing(), self._alt(places, summary), look)
        html = f"{self._key()}{picture}{self._of_item(apart)}{self._curves()}"
        return DistributionResult(summary, html, places, energy, right, apart)

    # words

    def _key(self) -> str:
        heads = {"labels": "labels (LabNet)", "pictures": "pictures (ImgNet)", "words": "words (TxtNet)"}
        parts = [
            f'<span style="color:{_COLOURS[kind]}" aria-hidden="true">{_FULL[kind]}</span> {heads[kind]}'
            for kind in self.kinds
        ]
        judged = (
            "" if self.features.scores is None else " Filled: the discriminator takes it for LabNet's; hollow: not."
        )
        share, (low, high) = 100 * self.features.plane[2], self.features.window
        beyond = sum(
            int(((p[self.epoch] < low) | (p[self.epoch] > high)).any(axis=1).sum())
            for p in map(self.features.places.get, self.kinds)
        )
        rim = (
            f" {beyond} of {len(self.kinds) * self.features.shape[1]} points lie near the rim or beyond it."
            if beyond
            else ""
        )
        return (
            f"<p>{' &nbsp; '.join(parts)} &nbsp; large outline with a plus: their mean, and its way so far</p>"
            f"<p class='cmh-dim'>{self.features.shape[1]} items.{judged} One plane for all epochs; it holds "
            f"{share:.0f} % of the variance.{rim} The figures below use all dimensions.</p>"
        )

    def _alt(self, places: Mapping[str, np.ndarray], summary: str) -> str:
        means = "; ".join(
            f"mean of {kind} at ({places[kind].mean(0)[0]:.1f}, {places[kind].mean(0)[1]:.1f})" for kind in self.kinds
        )
        spread = "; ".join(f"{kind} spread {np.sqrt(places[kind].var(0).sum()):.1f}" for kind in self.kinds)
        lines = {
            "none": "No lines.",
            "item": f"Lines join the features of {self.name(self.item)}.",
            "all": "Lines join the features of every item.",
        }
        return f"Features in a plane: {means}; {spread}. {lines[self.links]} {summary}"

    def _of_item(self, apart: Mapping[str, float]) -> str:
        parts = []
        for kind in self.kinds[1:]:
            scored = self.features.taken(kind, self.epoch, self.shown)
            judged = "" if scored is None else f", D = {scored[self.item]:.2f}"
            parts.append(f"{kind} at distance {apart[kind]:.1f} from its labels{judged}")
        return f"<p>{escape(self.name(self.item)[:1].upper() + self.name(self.item)[1:])}: {'; '.join(parts)}.</p>"

    def _curves(self) -> str:
        rows = [(f"{kind}: energy share against labels", self.features.energies[kind]) for kind in self.kinds[1:]]
        rows += [
            (f"{kind}: discriminator right", self.features.right[kind])
            for kind in self.kinds[1:]
            if self.features.right
        ]
        charts = []
        for title, values in rows:
            captions = [f"epoch {self.number(i)}: {value:.2f}" for i, value in enumerate(values)]
            # Pictures and words stand beside each other: one measure a row.
            chart = bars(f"{title}, {values[self.epoch]:.2f}", values, captions, now=self.epoch)
            charts.append(f'<div style="flex:1 1 260px;min-width:0">{chart}</div>')
        key = "By epoch, from 0 to full height 1; the present epoch is filled."
        return (
            f'<p class="cmh-dim">{key}</p>'
            f'<div style="display:flex;flex-wrap:wrap;gap:2px 24px;max-width:{_WIDTH}px">{"".join(charts)}</div>'
        )

    # the picture

    def _drawing(self) -> np.ndarray:
        low, high = self.features.window
        inside = _WIDTH - _LEFT - _RIGHT
        tall = (high[1] - low[1]) / (high[0] - low[0])
        height = int(np.clip(inside * tall + _TOP + _BOTTOM, *_HEIGHTS))
        box = (_LEFT, _TOP, _WIDTH - _RIGHT, height - _BOTTOM)
        canvas = Image.new("RGB", (_ZOOM * _WIDTH, _ZOOM * height), "white")
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11 * _ZOOM)
        scale = min(
            inside / (high[0] - low[0]), (box[3] - box[1]) / (high[1] - low[1])
        )  # equal on both axes: distances stay distances
        middle = (low + high) / 2

        def at(point: np.ndarray) -> tuple[float, float]:
            x = (box[0] + box[2]) / 2 + scale * (point[0] - middle[0])
            y = (box[1] + box[3]) / 2 - scale * (point[1] - middle[1])
            return _ZOOM * float(np.clip(x, box[0], box[2])), _ZOOM * float(np.clip(y, box[1], box[3]))

        self._axes(draw, font, at, box, scale, middle)
        places, joined = (
            self.features.places,
            {"none": [], "item": [self.item], "all": range(self.features.shape[1])}[self.links],
        )
        for i in joined:
            for kind in self.kinds[1:]:
                ends = at(places["labels"][self.epoch, i]), at(places[kind][self.epoch, i])
                draw.line(ends, fill=_INK if self.links == "item" else "#b5b5b5", width=_ZOOM)
        marks = []
        for kind in self.kinds:
            scored = self.features.taken(kind, self.epoch, self.shown)
            for i, point in enumerate(places[kind][self.epoch]):
                chosen = self.links != "none" and i == self.item
                marks.append((chosen, kind, at(point), scored is None or scored[i] > 0.5))
        for _, kind, point, full in (mark for mark in marks if not mark[0]):
            _mark(draw, kind, point, 4, full)
        for kind in self.kinds:
            way = [at(p.mean(axis=0)) for p in places[kind][: self.epoch + 1]]
            if len(way) > 1:
                draw.line(way, fill="white", width=4 * _ZOOM)
                draw.line(way, fill=_COLOURS[kind], width=2 * _ZOOM)
            _mean(draw, kind, way[-1])
        for _, kind, point, full in (mark for mark in marks if mark[0]):
            _mark(draw, kind, point, 8, True, fill=_INK)
            _mark(draw, kind, point, 6, full)
        return np.asarray(canvas)

    def _axes(
        self, draw: Any, font: Any, at: Any, box: tuple[int, int, int, int], scale: float, middle: np.ndarray
    ) -> None:
        left, top, right, bottom = (_ZOOM * side for side in box)
        draw.rectangle((left, top, right, bottom), outline="#8a8a8a", width=1)
        half = np.array([box[2] - box[0], box[3] - box[1]]) / scale / 2
        step = _round_step(float(half.max()) / 4)
        for axis in (0, 1):
            first = math.ceil((middle[axis] - half[axis]) / step)
            for tick in range(first, math.floor((middle[axis] + half[axis]) / step) + 1):
                point = middle.copy()
                point[axis] = tick * step
                x, y = at(point)
                if axis == 0:
                    draw.line((x, bottom, x, bottom + 4 * _ZOOM), fill=_INK, width=_ZOOM)
                    draw.text((x, bottom + 13 * _ZOOM), f"{tick * step:g}", fill=_INK, font=font, anchor="mm")
                else:
                    draw.line((left - 4 * _ZOOM, y, left, y), fill=_INK, width=_ZOOM)
                    draw.text((left - 7 * _ZOOM, y), f"{tick * step:g}", fill=_INK, font=font, anchor="rm")


def _mark(
    draw: Any,
    kind: str,
    at: tuple[float, float],
    size: int,
    full: bool | None,
    fill: str = "",
    edge: str = "",
    width: int = 0,
) -> None:
    """A circle, a square or a triangle. size: half of its width in pixels. full: filled, hollow, or None for a mere
    outline.

    fill, edge: colours in place of the kind's own. width: of the edge.
    """
    x, y, r, colour = at[0], at[1], size * _ZOOM, fill or _COLOURS[kind]
    fill, width = {True: colour, False: "white", None: None}[full], width or (1 if full else 2 * _ZOOM)
    edge = edge or colour
    if kind == "labels":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=edge, width=width)
    elif kind == "pictures":
        draw.rectangle((x - 0.9 * r, y - 0.9 * r, x + 0.9 * r, y + 0.9 * r), fill=fill, outline=edge, width=width)
    else:
        corners = [(x, y - 1.1 * r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)]
        draw.polygon(corners, fill=fill, outline=edge, width=width)


def _mean(draw: Any, kind: str, at: tuple[float, float]) -> None:
    """A large outline with a plus, through which the items stay visible."""
    (x, y), r = at, 5 * _ZOOM
    _mark(draw, kind, at, 12, None, edge=_INK, width=2 * _ZOOM)
    for ink, width in (("white", 4 * _ZOOM), (_INK, 2 * _ZOOM)):
        draw.line((x - r, y, x + r, y), fill=ink, width=width)
        draw.line((x, y - r, x, y + r), fill=ink, width=width)


def _round_step(raw: float) -> float:
    """The next round number, 1, 2 or 5 times a power of ten, that is at least `raw`."""
    size = 10.0 ** math.floor(math.log10(raw))
    return next(size * f for f in (1, 2, 5, 10) if size * f >= raw * (1 - 1e-9))


def _checked(features: Sequence[Any], scores: Mapping[str, Any]) -> Features:
    arrays = {}
    for kind, given in zip(KINDS, features, strict=True):
        name = f"{_ARGUMENTS[kind]}_features"
        array = np.asarray(given, dtype=float)
        check(
            array.ndim == 3 and min(array.shape) > 0,
            f"{name}: expected (epochs, n, width), none of them 0, got {array.shape}",
        )
        check(bool(np.isfinite(array).all()), f"{name}: expected finite numbers")
        shape = next(iter(arrays.values()), array).shape
        check(array.shape == shape, f"{name}: expected {shape}, as label_features, got {array.shape}")
        arrays[kind] = array
    given_scores = {kind: s for kind, s in scores.items() if s is not None}
    check(len(given_scores) in (0, 2), "image_scores, text_scores: expected both or neither, got one of them")
    judged = {}
    for kind, given in given_scores.items():
        name, array = f"{_ARGUMENTS[kind]}_scores", np.asarray(given, dtype=float)
        check(
            array.shape == (2, *shape[:2]),
            f"{name}: expected {(2, *shape[:2])}, D of labels and of its own kind, got {array.shape}",
        )
        check(bool(((array >= 0) & (array <= 1)).all()), f"{name}: expected numbers from 0 to 1")
        judged[kind] = array
    return Features(arrays, judged or None)


class DistributionReplay(Widget):
    """Watch the features of labels, pictures and words come together, or not: play, or step by hand.

    label_features, image_features, text_features: of the same n items, each (epochs, n, width). They are drawn in one
    plane, found over all epochs. image_scores, text_scores: what each discriminator says, D of the labels' features,
    then of the pictures' or the words', (2, epochs, n), 0 to 1. captions: n texts. epochs: the epoch number of each
    position. epoch: the first position shown, by default the last. shown: "all", "pictures" or "words". links: "none",
    "item" or "all". item: the one whose features are joined. Raises `InputError` on shapes that do not fit.
    """

    title = "Distribution replay"

    def __init__(
        self,
        label_features: Any,
        image_features: Any,
        text_features: Any,
        *,
        image_scores: Any = None,
        text_scores: Any = None,
        captions: Sequence[str] | None = None,
        epochs: Sequence[int] | None = None,
        epoch: int | None = None,
        shown: str = "all",
        links: str = "item",
        item: int = 0,
    ) -> None:
        features = _checked(
            (label_features, image_features, text_features), {"pictures": image_scores, "words": text_scores}
        )
        super().__init__(DistributionState(features, captions, epochs, shown, links, item, epoch))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        last = self._state.features.shape[0] - 1
        return [{"epoch": e} for e in sorted({0, last // 2, last})]

    def _controls(self) -> list[ipw.Widget]:
        count, n, _ = self._state.features.shape
        return [
            self.stepper("epoch", count - 1, "play through the epochs"),
            self.row(
                self.choice(
                    "shown",
                    "show labels with",
                    [("pictures and words", "all"), ("pictures", "pictures"), ("words", "words")],
                ),
                self.choice("links", "lines", [("none", "none"), ("of one item", "item"), ("of all items", "all")]),
                self.number("item", "item", 0, max(1, n - 1)),
            ),
        ]
