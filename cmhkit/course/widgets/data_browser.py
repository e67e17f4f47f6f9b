"""The data browser: pictures with their tags and labels, by split and concept, with the truth masks on request."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw

from cmhkit.course.widgets.base import (
    SPLITS,
    Parts,
    Result,
    State,
    Widget,
    card,
    cards,
    drawing_list,
    img,
    is_picture,
    label_list,
    picture_of,
    tags_of,
)
from cmhkit.support.checks import check, check_choice, check_integer

_MASK = ((0, 114, 178), (213, 94, 0), (0, 158, 115))


@dataclasses.dataclass(frozen=True)
class BrowserResult(Result):
    """rows: the items shown, as rows of the split. matching: how many items of the split have the concept. pages: at
    least 1.
    """

    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    matching: int = 0
    pages: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class BrowserState(State):
    """A page of a split. concept: a label name, or None for all items. page: from 0. masks: whether to draw each
    drawing's true place.
    """

    inputs: ClassVar[Mapping[str, str]] = {"split": "split", "concept": "concept", "page": "page", "masks": "masks"}

    parts: Parts
    page_size: int = 12
    split: str = "train"
    concept: str | None = None
    page: int = 0
    masks: bool = False

    def __post_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        check_integer("page_size", self.page_size, 1, 60)
        names = self.parts.names
        check(
            self.concept is None or self.concept in names,
            f"concept: expected None or one of {', '.join(names) or 'no labels'}, got {self.concept!r}",
        )
        check(isinstance(self.masks, (bool, np.bool_)), f"masks: expected True or False, got {self.masks!r}")
        check(not self.masks or self.has_masks, "masks: these data have no truth masks")
        check_integer("page", self.page, 0, self.pages - 1)

    @property
    def has_masks(self) -> bool:
        """Whether the data are pictures with truth masks."""
        return getattr(self.parts.data, "truth", None) is not None and is_picture(self.parts.data.images)

    @property
    def rows(self) -> np.ndarray:
        """Rows of the split that have the concept."""
        items = self.parts[self.split]
        if self.concept is None:
            return np.arange(len(items))
        return np.flatnonzero(np.asarray(items.labels)[:, self.parts.names.index(self.concept)])

    @property
    def pages(self) -> int:
        """How many pages the present split and concept fill, at least 1."""
        return max(1, math.ceil(len(self.rows) / self.page_size))

    def change(self, **inputs: Any) -> BrowserState:
        """As `State.change`; another split or concept goes back to page 0."""
        if "page" not in inputs and any(inputs[n] != getattr(self, n) for n in ("split", "concept") if n in inputs):
            inputs["page"] = 0
        return super().change(**inputs)  # type: ignore[return-value]

    def _show(self) -> BrowserResult:
        items, names, rows = self.parts[self.split], self.parts.names, self.rows
        shown = rows[self.page * self.page_size : (self.page + 1) * self.page_size]
        made = []
        for row in shown:
            labels = label_list(items.labels, names, row)
            if self.masks:
                drawn = drawing_list(items.truth, row)
                alt = f"Scene {int(items.ids[row])} with masks: " + ", ".join(
                    f"{j} {name}" for j, name in enumerate(drawn, 1)
                )
                picture = img(overlay(items.images[row], items.truth.owner[row]), alt)
                where = " · ".join(f"{j} {name}" for j, name in enumerate(drawn, 1))
            else:
                picture, where = picture_of(items, row, names), ""
            lines = [
                f"Tags: {tags_of(items, row)}",
                f"Labels: {', '.join(labels)}" if labels else "",
                where and f"Masks: {where}",
            ]
            made.append(card([f"id {int(items.ids[row])}"], picture, lines))
        about = f"with the label {self.concept}" if self.concept else "in all"
        first = self.page * self.page_size
        summary = f"{self.split}: {len(rows):,} of {len(items):,} items {about}"
        summary += (
            f"; items {first + 1} to {first + len(shown)}, page {self.page + 1} of {self.pages}."
            if len(shown)
            else "; nothing to show."
        )
        return BrowserResult(summary, cards(made, f"items of the {self.split} split"), shown, len(rows), self.pages)


def overlay(picture: np.ndarray, owner: np.ndarray, scale: int = 2) -> np.ndarray:
    """A picture with its masks: the background faded, each drawing outlined and numbered.

    picture: uint8 (R, R, 3). owner: uint8 (R, R), 0 background, j = the j-th drawing. Returns uint8 (scale R, scale R,
    3).
    """
    big = np.repeat(np.repeat(picture, scale, 0), scale, 1).astype(float)
    mask = np.repeat(np.repeat(owner, scale, 0), scale, 1)
    big[mask == 0] = 0.35 * big[mask == 0] + 0.65 * 255
    edge = np.zeros(mask.shape, dtype=bool)
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[:-1] |= mask[1:] != mask[:-1]
    edge[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    for j in range(1, int(mask.max()) + 1):
        big[edge & (mask == j)] = _MASK[(j - 1) % len(_MASK)]
    canvas = Image.fromarray(big.astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for j in range(1, int(mask.max()) + 1):
        ys, xs = np.nonzero(mask == j)
        if len(ys):
            x, y = int(xs.mean()), int(ys.mean())
            draw.rectangle((x - 6, y - 7, x + 6, y + 7), fill="white", outline=_MASK[(j - 1) % len(_MASK)])
            draw.text((x - 3, y - 6), str(j), fill="black")
    return np.asarray(canvas)


class DataBrowser(Widget):
    """Look through a split: pictures, tags, labels, and the true place of each drawing.

    data: PairedData. split: 'query', 'retrieval' or 'train'. concept: a label name, or None for all. page: from 0.
    page_size: items a page. masks: draw the truth masks (scenes only). Raises `InputError` on anything else.
    """

    title = "Data browser"

    def __init__(
        self,
        data: Any,
        *,
        split: str = "train",
        concept: str | None = None,
        page: int = 0,
        page_size: int = 12,
        masks: bool = False,
    ) -> None:
        super().__init__(BrowserState(Parts(data), page_size, split, concept, page, masks))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"split": split, "page": 0} for split in SPLITS]

    def _controls(self) -> list[ipw.Widget]:
        split = self.choice("split", "split", [(name, name) for name in SPLITS])
        concept = self.choice("concept", "concept", [("all", None), *((n, n) for n in self._state.parts.names)])
        page = ipw.BoundedIntText(
            min=1, max=1, description="page", style={"description_width": "initial"}, layout=ipw.Layout(width="120px")
        )
        slider = ipw.IntSlider(
            min=1, max=1, continuous_update=False, readout=False, layout=ipw.Layout(width="150px"), tooltip="page"
        )

        def extent(now: State) -> None:
            page.max = slider.max = now.pages

        self._bound.append(extent)
        for control in (page, slider):
            self.bind(control, "page", read=lambda v: int(v) - 1, write=lambda v: v + 1)
        masks = ipw.Checkbox(
            description="show the true place of each drawing", indent=False, layout=ipw.Layout(width="auto")
        )
        self.bind(masks, "masks", read=bool)
        masks.disabled = not self._state.has_masks
        return [self.row(split, concept, page, slider), self.row(masks)]
