"""The mask replay: attention masks by epoch, over their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw

from cmhkit.course.widgets.base import Result, State, Widget, bars, card, cards, img
from cmhkit.support.checks import check, check_integer

CELL = 14  # pixels of a place
_MASK, _TRUE = (0, 114, 178), (213, 94, 0)


def iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union of each mask with its truth. masks, truth: bool, (..., H, W). Returns shape (...); 0
    where both are empty.
    """
    both, either = (masks & truth).sum(axis=(-2, -1)), (masks | truth).sum(axis=(-2, -1))
    return both / np.maximum(either, 1)


@dataclasses.dataclass(frozen=True)
class ReplayResult(Result):
    """masks: bool (n, H, W), at this step. area: mean share of places that are on. changed: share of places that
    changed since the step before.

    iou: of each picture, (n,), or None without the truth.
    """

    masks: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 0), bool))
    area: float = 0.0
    changed: float = 0.0
    iou: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ReplayState(State):
    """A position in a history of masks.

    masks: 0 or 1, (E, n, H, W). pictures: uint8 (n, R, R, 3) or None. truth: 0 or 1, (n, H, W), or None. captions: n
    texts or None. epochs: the number of each position; by default 0 .. E - 1. max_items: pictures drawn; area and IoU
    are over all. epoch: a position, 0 .. E - 1.
    """

    inputs: ClassVar[Mapping[str, str]] = {"epoch": "step"}

    masks: np.ndarray
    pictures: np.ndarray | None = None
    truth: np.ndarray | None = None
    captions: Sequence[str] | None = None
    epochs: Sequence[int] | None = None
    max_items: int = 12
    epoch: int | None = None

    def __post_init__(self) -> None:
        masks = _binary(self.masks, "masks")
        check(
            masks.ndim == 4 and min(masks.shape) > 0,
            f"masks: expected (epochs, n, H, W), none of them 0, got {masks.shape}",
        )
        object.__setattr__(self, "masks", masks)
        count, n = masks.shape[:2]
        if self.pictures is not None:
            pictures = np.asarray(self.pictures)
            fits = pictures.ndim == 4 and len(pictures) == n and pictures.shape[3] == 3 and pictures.dtype == np.uint8
            check(fits, f"pictures: expected uint8 ({n}, R, R, 3), got {pictures.dtype} {pictures.shape}")
            object.__setattr__(self, "pictures", pictures)
        if self.truth is not None:
            truth = _binary(self.truth, "truth")
            check(truth.shape == masks.shape[1:], f"truth: expected {masks.shape[1:]}, got {truth.shape}")
            object.__setattr__(self, "truth", truth)
        for name, length in (("captions", n), ("epochs", count)):
            given = getattr(self, name)
            check(
                given is None or len(given) == length,
                f"{name}: expected {length} entries, got {0 if given is None else len(given)}",
            )
        check_integer("max_items", self.max_items, 1, 100)
        if self.epoch is None:
            object.__setattr__(self, "epoch", count - 1)
        check_integer("epoch", self.epoch, 0, count - 1)

    def number(self, position: int) -> int:
        """The epoch number at a position."""
        return position if self.epochs is None else int(self.epochs[position])

    def _show(self) -> ReplayResult:
        masks = self.masks[self.epoch]
        area = float(masks.mean())
        changed = float((masks != self.masks[max(0, self.epoch - 1)]).mean())
        met = None if self.truth is None else iou(masks, self.truth)
        since = (
            "the first step"
            if self.epoch == 0
            else f"{100 * changed:.1f} % of the places changed since the step before"
        )
        summary = f"Epoch {self.number(self.epoch)}: {since}; mask area {area:.2f}"
        summary += "." if met is None else f"; IoU with the truth {met.mean():.3f}."
        shown = [
            self._card(i, masks[i], None if met is None else float(met[i]))
            for i in range(min(len(masks), self.max_items))
        ]
        key = "Blue line and full colour: attended; pale: not." + (
            "" if met is None else " Dotted orange line: the truth."
        )
        key += (
            f" {len(shown)} of {len(masks)} pictures are drawn; the figures are over all."
            if len(shown) < len(masks)
            else ""
        )
        html = f"<p class='cmh-dim'>{key}</p>{cards(shown, f'masks of epoch {self.number(self.epoch)}')}{self._curve()}"
        return ReplayResult(summary, html, masks, area, changed, met)

    def _card(self, i: int, mask: np.ndarray, met: float | None) -> str:
        name = f"picture {i}" if self.captions is None else str(self.captions[i])
        signs = "\n".join("".join("#" if on else "·" for on in row) for row in mask)
        against = "" if met is None else f", IoU {met:.2f} with the truth"
        alt = f"{name}: {int(mask.sum())} of {mask.size} places attended{against}; row by row, # attended:\n{signs}"
        truth = None if self.truth is None else self.truth[i]
        picture = img(drawn(mask, None if self.pictures is None else self.pictures[i], truth), alt)
        return card((name,), picture, (f"{int(mask.sum())} places", "" if met is None else f"IoU {met:.2f}"))

    def _curve(self) -> str:
        """IoU, or without the truth the area, of every epoch: small bars, the present one filled, and their values as
        text.
        """
        what = "mask area" if self.truth is None else "IoU"
        values = self.masks.mean(axis=(1, 2, 3)) if self.truth is None else iou(self.masks, self.truth).mean(axis=1)
        top = max(float(values.max()), 1e-9)
        captions = [f"epoch {self.number(e)}: {value:.3f}" for e, value in enumerate(values)]
        title = f"{what} by epoch (full height: {top:.3f}; the present epoch is filled)"
        return f'<div style="max-width:640px">{bars(title, values / top, captions, now=self.epoch)}</div>'


def drawn(mask: np.ndarray, picture: np.ndarray | None = None, truth: np.ndarray | None = None) -> np.ndarray:
    """A mask over its picture: unattended places pale, a blue line around the attended, a dotted orange one around the
    truth.

    mask, truth: bool (H, W). picture: uint8 (R, R, 3). Returns uint8 (CELL H, CELL W, 3).
    """
    height, width = mask.shape[0] * CELL, mask.shape[1] * CELL
    if picture is None:
        big = np.full((height, width, 3), (120, 160, 195), float)
    else:
        big = np.asarray(
            Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.BILINEAR), float
        )
    off = ~np.repeat(np.repeat(mask, CELL, 0), CELL, 1)
    big[off] = 0.3 * big[off] + 0.7 * 255
    canvas = Image.fromarray(big.astype(np.uint8))
    _trace(ImageDraw.Draw(canvas), mask, _MASK, [(0, CELL)])
    if truth is not None:
        _trace(ImageDraw.Draw(canvas), truth, _TRUE, [(at, at + 3) for at in range(0, CELL, 7)])
    return np.asarray(canvas)


def _trace(
    draw: ImageDraw.ImageDraw, mask: np.ndarray, colour: tuple[int, int, int], spans: Sequence[tuple[int, int]]
) -> None:
    """A line on every edge between a place that is on and one that is off, or the picture's rim."""
    rim, end = np.pad(mask, 1), CELL - 1
    for i, j in zip(*np.nonzero(mask), strict=True):
        y, x = int(i) * CELL, int(j) * CELL
        for a, b in spans:
            sides = (
                (rim[i, j + 1], (x + a, y, x + b, y)),
                (rim[i + 2, j + 1], (x + a, y + end, x + b, y + end)),
                (rim[i + 1, j], (x, y + a, x, y + b)),
                (rim[i + 1, j + 2], (x + end, y + a, x + end, y + b)),
            )
            for neighbour, line in sides:
                if not neighbour:
                    draw.line(line, fill=colour, width=2)


def _binary(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    check(array.dtype.kind in "biuf" and bool(np.isin(array, (0, 1)).all()), f"{name}: expected 0 and 1 only (or bool)")
    return array.astype(bool)


class MaskReplay(Widget):
    """Watch attention masks move: play, or step by hand.

    masks: 0 or 1, (epochs, n, H, W). pictures: uint8 (n, R, R, 3). truth: 0 or 1, (n, H, W): then each step says its
    IoU. captions: n texts. epochs: the epoch number of each position. epoch: the first position shown, by default the
    last. max_items: pictures drawn.
    Raises `InputError` on shapes that do not fit.
    """

    title = "Mask replay"

    def __init__(
        self,
        masks: Any,
        pictures: Any = None,
        truth: Any = None,
        *,
        captions: Sequence[str] | None = None,
        epochs: Sequence[int] | None = None,
        epoch: int | None = None,
        max_items: int = 12,
    ) -> None:
        super().__init__(ReplayState(masks, pictures, truth, captions, epochs, max_items, epoch))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        last = len(self._state.masks) - 1
        return [{"epoch": e} for e in sorted({0, last // 2, last})]

    def _controls(self) -> list[ipw.Widget]:
        return [self.stepper("epoch", len(self._state.masks) - 1, "play through the epochs")]
