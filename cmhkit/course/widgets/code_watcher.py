"""The code watcher: codes by epoch, with flips, balance and MAP."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import Result, State, Widget, bars, img
from cmhkit.support.checks import check, check_integer

_PLUS, _MINUS = (0, 114, 178), (255, 236, 200)  # dark blue and pale cream: apart in lightness too


@dataclasses.dataclass(frozen=True)
class WatchResult(Result):
    """codes: int8 ±1 (n, K). flips: bits that changed since the position before, per bit (K,). balance: share of +1 per
    bit (K,). map: or None.
    """

    codes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.int8))
    flips: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    balance: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    map: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class WatchState(State):
    """A position in a history of codes.

    history: relaxed codes in [-1, 1] (or ±1), (E, n, K). map_by_epoch: (E,) or None. epochs: the number of each
    position; by default 0 .. E - 1. epoch: a position, 0 .. E - 1. max_items: rows drawn.
    """

    inputs: ClassVar[Mapping[str, str]] = {"epoch": "step"}

    history: np.ndarray
    map_by_epoch: np.ndarray | None = None
    epochs: Sequence[int] | None = None
    max_items: int = 64
    epoch: int | None = None

    def __post_init__(self) -> None:
        history = np.asarray(self.history)
        check(
            history.ndim == 3 and min(history.shape) > 0,
            f"history: expected (epochs, n, K), none of them 0, got {history.shape}",
        )
        check(np.isfinite(history).all(), "history: expected finite numbers")
        object.__setattr__(self, "history", history)
        for name in ("map_by_epoch", "epochs"):
            given = getattr(self, name)
            check(
                given is None or len(given) == len(history),
                f"{name}: expected {len(history)} entries, got {0 if given is None else len(given)}",
            )
        check_integer("max_items", self.max_items, 1, 500)
        if self.epoch is None:
            object.__setattr__(self, "epoch", len(history) - 1)
        check_integer("epoch", self.epoch, 0, len(history) - 1)

    def number(self, position: int) -> int:
        """The epoch number at a position."""
        return position if self.epochs is None else int(self.epochs[position])

    def _show(self) -> WatchResult:
        raw = self.history[self.epoch]
        codes = np.where(raw >= 0, 1, -1).astype(np.int8)
        before = codes if self.epoch == 0 else np.where(self.history[self.epoch - 1] >= 0, 1, -1)
        flips, balance = (codes != before).sum(axis=0), (codes > 0).mean(axis=0)
        n, bits = codes.shape
        total, firm = int(flips.sum()), float(np.abs(raw).mean())
        distinct = len(np.unique(codes, axis=0))
        score = None if self.map_by_epoch is None else float(self.map_by_epoch[self.epoch])
        change = (
            "the first step"
            if self.epoch == 0
            else f"{total} of {n * bits} bits flipped ({100 * total / (n * bits):.1f} %)"
        )
        spread = f"balance {balance.min():.2f} to {balance.max():.2f}"
        summary = f"Epoch {self.number(self.epoch)}: {change}; {distinct} different codes among {n} items; {spread}"
        summary += "." if score is None else f"; MAP {score:.3f}."
        shown, most = min(n, self.max_items), max(1, int(flips.max()))
        alt = (
            f"Codes of {shown} items (rows) by {bits} bits (columns), dark for +1 and pale for -1; flipped bits have "
            f"a dot. {summary}"
        )
        rows = f"{shown} of {n} items" if shown < n else f"{n} items"
        picture = img(self._drawing(codes[:shown], before[:shown]), alt, "width:100%;display:block")
        of_ones = [f"bit {i}: {b:.2f}" for i, b in enumerate(balance)]
        of_flips = [f"bit {i}: {f}" for i, f in enumerate(flips)]
        html = (
            f"<p class='cmh-dim'>Rows: {rows}. Columns: {bits} bits. Dark: +1; pale: -1; a dot: flipped since the "
            f"step before. Mean size of the outputs: {firm:.2f}.</p>"
            f'<div style="max-width:{_width(bits)}px">{picture}'
            f"{bars('Share of +1 for each bit (the line: half)', balance, of_ones, half=True)}"
            f"{bars(f'Flips for each bit (full height: {most})', flips / most, of_flips)}"
            f"{self._curve()}</div>"
        )
        return WatchResult(summary, html, codes, flips, balance, score)

    def _drawing(self, codes: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Rows low enough for the whole to stay under the controls on one screen; columns as wide as the bars below
        them.
        """
        (rows, bits), dot = codes.shape, 2
        high, wide = int(np.clip(300 // rows, 6, 14)), max(6, _width(bits) // bits)
        picture = np.where((codes > 0)[..., None], np.array(_PLUS), np.array(_MINUS)).astype(np.uint8)
        big = np.repeat(np.repeat(picture, high, 0), wide, 1)
        big[::high], big[:, ::wide] = 160, 160
        for row, bit in zip(*np.nonzero(codes != before), strict=True):
            y, x = row * high + high // 2, bit * wide + wide // 2
            big[y - dot + 1 : y + dot, x - dot : x + dot + 1] = 255 if codes[row, bit] > 0 else 0
        return big

    def _curve(self) -> str:
        if self.map_by_epoch is None:
            return ""
        scores = np.asarray(self.map_by_epoch, float)
        top = max(float(np.nanmax(scores)), 1e-9)
        captions = [f"epoch {self.number(i)}: {s:.3f}" for i, s in enumerate(scores)]
        return bars(
            (f"MAP by epoch (full height: {top:.3f}; the present epoch is filled)"),
            scores / top,
            captions,
            now=self.epoch,
        )


def _width(bits: int) -> int:
    """Pixels across all bits, a multiple of their number where they fit: 12 to 24 for each, at most 640."""
    return bits * max(1, min(24, 640 // bits)) if bits <= 640 else 640


class CodeWatcher(Widget):
    """Watch codes settle: play, or step by hand.

    history: relaxed codes in [-1, 1] or ±1 codes, (epochs, n, K); 0 counts as +1. map_by_epoch: (epochs,). epochs: the
    epoch number of each position. epoch: the first position shown, by default the last. max_items: rows drawn. Raises
    `InputError` on shapes that do not fit.
    """

    title = "Code watcher"

    def __init__(
        self,
        history: Any,
        map_by_epoch: Any = None,
        *,
        epochs: Sequence[int] | None = None,
        epoch: int | None = None,
        max_items: int = 64,
    ) -> None:
        super().__init__(WatchState(history, map_by_epoch, epochs, max_items, epoch))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        last = len(self._state.history) - 1
        return [{"epoch": e} for e in sorted({0, last // 2, last})]

    def _controls(self) -> list[ipw.Widget]:
        return [self.stepper("epoch", len(self._state.history) - 1, "play through the epochs")]
