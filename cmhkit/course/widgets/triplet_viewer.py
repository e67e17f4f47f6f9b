r"""The triplet viewer: one anchor, its similar and dissimilar items on a line of distances, and the hinge of every
triplet.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmhkit.course.widgets.base import BLUE, VERMILION, Result, State, Widget, img
from cmhkit.support.checks import check, check_choice, check_integer

_ROWS = 8  # similar items drawn, and rows of the table
_COLUMNS = 5  # dissimilar items in the table: so many fit a narrow window


def code_distances(query: Any, items: Any, kind: str = "norm") -> np.ndarray:
    """All distances between codes. query: (n, K). items: (m, K). kind: 'norm' or 'squared'. Returns (n, m)."""
    check_choice("kind", kind, ("norm", "squared"))
    a, b = np.asarray(query, float), np.asarray(items, float)
    check(
        a.ndim == 2 and b.ndim == 2 and a.shape[1] == b.shape[1],
        f"codes: expected (n, K) and (m, K), got {a.shape} and {b.shape}",
    )
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return squared if kind == "squared" else np.sqrt(squared)


@dataclasses.dataclass(frozen=True)
class TripletResult(Result):
    """near, far: the items that count as j and as k, nearest first. hinge: (near, far), of each triplet. active: how
    many are above zero.

    share: of active triplets, NaN without triplets. mean: of the hinge over all triplets, 0 without.
    """

    near: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    far: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    hinge: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    active: int = 0
    share: float = math.nan
    mean: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class TripletState(State):
    """Distances of anchors to items, and which are similar.

    distance: (n, m), at least 0. similar: S, bool (n, m). names: m strings. anchor: a row. margin: epsilon. own:
    whether j = i and k = i count, for n = m.
    """

    inputs: ClassVar[Mapping[str, str]] = {"anchor": "anchor", "margin": "margin", "own": "own item counts"}

    distance: np.ndarray
    similar: np.ndarray
    names: Sequence[str] | None = None
    anchor: int = 0
    margin: float = 1.0
    own: bool = True

    def __post_init__(self) -> None:
        d, s = np.atleast_2d(np.asarray(self.distance, float)), np.atleast_2d(np.asarray(self.similar)) > 0
        check(d.ndim == 2 and d.shape[1] >= 2, f"distance: expected (n, m) with m at least 2, got {d.shape}")
        check(np.isfinite(d).all() and (d >= 0).all(), "distance: expected finite numbers, at least 0")
        check(s.shape == d.shape, f"similar: expected {d.shape}, as distance, got {s.shape}")
        check(self.names is None or len(self.names) == d.shape[1], f"names: expected {d.shape[1]} entries")
        object.__setattr__(self, "distance", d)
        object.__setattr__(self, "similar", s)
        check_integer("anchor", self.anchor, 0, len(d) - 1)
        number = isinstance(self.margin, (int, float, np.number)) and not isinstance(self.margin, bool)
        check(
            number and 0 <= self.margin <= self.limit,
            f"margin: expected a number from 0 to {self.limit:g}, got {self.margin!r}",
        )
        check_choice("own", self.own, (True, False))
        check(
            self.own or d.shape[0] == d.shape[1],
            f"own: expected as many anchors as items to leave each one's own out, got {d.shape}",
        )

    @property
    def limit(self) -> float:
        """The largest margin on offer: twice the largest distance, rounded up, and at least 1."""
        return float(max(1, math.ceil(2 * self.distance.max())))

    def _show(self) -> TripletResult:
        d, s, counts = self.distance[self.anchor], self.similar[self.anchor], np.ones(self.distance.shape[1], bool)
        if not self.own:
            counts[self.anchor] = False
        order = np.argsort(d, kind="stable")
        near, far = (order[(kind & counts)[order]] for kind in (s, ~s))
        hinge = np.maximum(0, self.margin + d[near][:, None] - d[far][None, :])
        active, total = int((hinge > 0).sum()), hinge.size
        share, mean = (active / total, float(hinge.mean())) if total else (math.nan, 0.0)
        if total:
            summary = (
                f"Anchor {self.anchor}, margin {self.margin:g}: {len(near)} similar times {len(far)} dissimilar items "
                f"make {total} triplets, {active} of them active ({100 * share:.1f} %), mean hinge {mean:.3f}."
            )
        else:
            summary = f"Anchor {self.anchor}: {len(near)} similar and {len(far)} dissimilar items make no triplet."
        shown = near[-_ROWS:]
        html = self._line(shown, far, hinge[-_ROWS:], summary) + self._table(near, far, hinge)
        return TripletResult(summary, html, near, far, hinge, active, share, mean)

    def _line(self, near: np.ndarray, far: np.ndarray, hinge: np.ndarray, summary: str) -> str:
        d = self.distance[self.anchor]
        rows, left, right, step, zoom = max(1, len(near)), 84, 110, 24, 2
        width, height = 760, step * (rows + 1) + 40
        end = max(1e-9, 1.04 * max(float(d.max()), float(d[near].max() + self.margin) if len(near) else 0.0))
        canvas = Image.new("RGB", (zoom * width, zoom * height), "white")
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12 * zoom)

        def at(x: float) -> float:
            return zoom * (left + (width - left - right) * x / end)

        def words(x: float, y: float, text: str, colour: str = "#1a1a1a", anchor: str = "lm") -> None:
            draw.text((x, zoom * y), text, fill=colour, font=font, anchor=anchor)

        ground = step * (rows + 1) + 14
        for k in far:
            draw.line((at(d[k]), zoom * 8, at(d[k]), zoom * (ground - step)), fill="#e3b8a0", width=zoom)
        for row, j in enumerate(near):
            y = 14 + step * row
            draw.rectangle(
                (at(d[j]), zoom * (y - 3), at(d[j] + self.margin), zoom * (y + 3)), fill="#a9cfe8", outline=BLUE
            )
            radius = 8 * zoom
            draw.ellipse((at(d[j]) - radius, zoom * y - radius, at(d[j]) + radius, zoom * y + radius), fill=BLUE)
            words(at(d[j]), y, "+", "white", "mm")
            words(4 * zoom, y, f"item {j}")
            words(zoom * (width - right + 12), y, f"{(hinge[row] > 0).sum()} of {len(far)} active")
        y = 14 + step * rows
        for k in far:
            box = (at(d[k]) - 6 * zoom, zoom * (y - 6), at(d[k]) + 6 * zoom, zoom * (y + 6))
            draw.rectangle(box, fill="white", outline=VERMILION, width=2 * zoom)
            draw.line((at(d[k]) - 3 * zoom, zoom * y, at(d[k]) + 3 * zoom, zoom * y), fill=VERMILION, width=2 * zoom)
        words(4 * zoom, y, "dissimilar")
        draw.line((zoom * left, zoom * ground, zoom * (width - right), zoom * ground), fill="#1a1a1a", width=zoom)
        for tick in _ticks(end):
            draw.line((at(tick), zoom * ground, at(tick), zoom * (ground + 5)), fill="#1a1a1a", width=zoom)
            words(at(tick), ground + 13, f"{tick:g}", anchor="mm")
        words(zoom * (width - right + 12), ground + 13, "distance")
        alt = (
            f"Items on a line of distances from anchor {self.anchor}. Similar items are filled circles with a plus, "
            "one row each, with a bar as long as the margin; dissimilar items are hollow squares with a minus, in "
            f"the lowest row. {summary}"
        )
        key = (
            "<p><b>⊕</b> similar (filled circle, one row each), its bar reaches from d<sub>ij</sub> to d<sub>ij</sub> "
            "+ margin. <b>⊟</b> dissimilar (hollow square). A square left of a bar's end makes an active triplet with "
            "it.</p>"
        )
        farthest = f"<p class='cmh-dim'>The {_ROWS} farthest similar items.</p>" if self._many(len(near)) else ""
        return img(np.asarray(canvas), alt, f"width:100%;max-width:{width}px;background:#fff") + key + farthest

    def _many(self, shown: int) -> bool:
        counted = self.similar[self.anchor].sum() - (0 if self.own else int(self.similar[self.anchor, self.anchor]))
        return bool(counted > shown)

    def _table(self, near: np.ndarray, far: np.ndarray, hinge: np.ndarray) -> str:
        if not hinge.size:
            return ""
        d = self.distance[self.anchor]
        rows, columns = near[-_ROWS:], far[:_COLUMNS]
        values = hinge[-_ROWS:, :_COLUMNS]
        heads = "".join(f"<th scope='col'>− {self._name(k)}<br>d = {d[k]:.2f}</th>" for k in columns)
        body = ""
        for j, line in zip(rows, values, strict=True):
            cells = "".join(f"<td><b>● {v:.2f}</b></td>" if v > 0 else "<td class='cmh-dim'>○ 0</td>" for v in line)
            body += f"<tr><th scope='row'>+ {self._name(j)}, d = {d[j]:.2f}</th>{cells}</tr>"
        caption = "hinge of each triplet: ● active, ○ not"
        if hinge.size > values.size:
            caption += f"; the hardest {values.size} of {hinge.size}, farthest similar and nearest dissimilar items"
        corner = "<td></td>"
        table = f'<table style="white-space:nowrap"><tr>{corner}{heads}</tr>{body}</table>'
        # A width of 0 that fills its place: the table scrolls and does not widen the page.
        box = 'class="cmh-scroll" style="width:0;min-width:100%" tabindex="0" role="region" aria-label="hinges"'
        return f'<p class="cmh-dim">{caption}</p><div {box}>{table}</div>'

    def _name(self, item: int) -> str:
        return f"item {item}" + (f": {escape(str(self.names[item]))}" if self.names is not None else "")


def _ticks(end: float) -> np.ndarray:
    """About five round numbers from 0 to `end`."""
    raw = end / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * f for f in (1, 2, 5, 10) if size * f >= raw)
    return np.arange(0, end * (1 + 1e-9), step)


class TripletViewer(Widget):
    """Choose an anchor and a margin; see its triplets, which of them are active, and the hinge of each.

    distance: of anchors to items, (n, m) or (m,). similar: S, bool, the same shape. Or codes=(query, items), of shapes
    (n, K) and (m, K), in place of distance, with kind 'norm' or 'squared'. names: m strings. anchor: a row. margin:
    epsilon, from 0 to twice the largest distance. own: False leaves j = i and k = i out (n = m then). Raises
    `InputError` on shapes that do not fit and values outside their range.
    """

    title = "Triplet viewer"

    def __init__(
        self,
        distance: Any = None,
        similar: Any = None,
        *,
        codes: tuple[Any, Any] | None = None,
        kind: str = "norm",
        names: Sequence[str] | None = None,
        anchor: int = 0,
        margin: float = 1.0,
        own: bool = True,
    ) -> None:
        check((distance is None) != (codes is None), "distance, codes: expected exactly one of them")
        check(similar is not None, "similar: expected S, bool, got None")
        if codes is not None:
            distance = code_distances(*codes, kind)
        super().__init__(TripletState(distance, similar, names, anchor, margin, own))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"margin": share * self._state.limit} for share in (0.05, 0.25)]

    def _controls(self) -> list[ipw.Widget]:
        n, m = self._state.distance.shape
        limit, step = self._state.limit, self._state.limit / 100
        box = ipw.BoundedFloatText(
            min=0,
            max=limit,
            step=step,
            description="margin",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto", max_width="190px"),
        )
        slider = ipw.FloatSlider(
            min=0,
            max=limit,
            step=step,
            continuous_update=False,
            readout=False,
            layout=ipw.Layout(width="150px"),
            tooltip="margin",
        )
        for control in (box, slider):
            self.bind(control, "margin", read=float)
        controls: list[ipw.Widget] = [self.number("anchor", "anchor", 0, max(1, n - 1))]
        controls.append(ipw.HBox([box, slider], layout=ipw.Layout(margin="0 16px 0 0")))
        if n == m:
            controls.append(self.choice("own", "own item", [("counts", True), ("left out", False)]))
        return [self.row(*controls)]
