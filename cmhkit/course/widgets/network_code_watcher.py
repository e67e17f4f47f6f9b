"""The code watcher for three networks: LabNet's, ImgNet's and TxtNet's codes of the same items beside the shared code,
by epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmhkit.course.widgets.base import BLUE, ORANGE, VERMILION, Result, State, Widget, bars, img
from cmhkit.support.checks import check, check_integer

NETWORKS = ("LabNet", "ImgNet", "TxtNet")
_PLUS, _MINUS = (0, 114, 178), (255, 236, 200)  # dark blue and pale cream: apart in lightness too
_INK, _ROWS = "#1a1a1a", 6


@dataclasses.dataclass(frozen=True)
class NetworkResult(Result):
    """codes: int8 ±1, of LabNet, ImgNet and TxtNet, (3, n, K). shared: B, int8 ±1, (n, K). agree: share of bits in
    which each has B's, (3,).

    together: share of bits in which all three have B's. votes: the relaxed codes of the chosen item, (3, K).
    """

    codes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((3, 0, 0), np.int8))
    shared: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.int8))
    agree: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    together: float = 0.0
    votes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((3, 0)))


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkState(State):
    """A position in a history of three networks' codes.

    history: H of LabNet, ImgNet and TxtNet, -1 to 1, (E, 3, n, K). captions: n texts or None. epochs: the number of
    each position; by default 0 .. E - 1. max_items: rows drawn; the shares are over all. epoch: a position, 0 .. E - 1.
    item: the one whose votes are shown.
    """

    inputs: ClassVar[Mapping[str, str]] = {"epoch": "step", "item": "item"}

    history: np.ndarray
    captions: Sequence[str] | None = None
    epochs: Sequence[int] | None = None
    max_items: int = 16
    epoch: int | None = None
    item: int = 0

    def __post_init__(self) -> None:
        count, _, n, _ = self.history.shape
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
        check_integer("item", self.item, 0, n - 1)

    def number(self, position: int) -> int:
        """The epoch number at a position."""
        return position if self.epochs is None else int(self.epochs[position])

    def _show(self) -> NetworkResult:
        h = self.history[self.epoch]
        codes, shared = _signs(h), _signs(h.sum(axis=0))
        agree, together = (codes == shared).mean(axis=(1, 2)), float((codes == shared).all(axis=0).mean())
        votes = h[:, self.item]
        split = int((codes[:, self.item] != shared[self.item]).any(axis=0).sum())
        shares = ", ".join(
            f"{name} {100 * share:.1f} %"
            for name, share in zip((*NETWORKS, "all three"), (*agree, together), strict=True)
        )
        summary = (
            f"Epoch {self.number(self.epoch)}, {h.shape[1]} items, bits that agree with B: {shares}. "
            f"Item {self.item}: {split} of {h.shape[2]} bits are not unanimous."
        )
        html = self._panels(codes, shared, agree) + self._curves() + self._votes(votes, shared[self.item])
        return NetworkResult(summary, html, codes, shared, agree, together, votes)

    def _panels(self, codes: np.ndarray, shared: np.ndarray, agree: np.ndarray) -> str:
        """Four pictures of the same items: B, and the three networks with a cross where a bit is not B's."""
        n, bits = shared.shape
        first = min(max(0, self.item - self.max_items + 1), max(0, n - self.max_items))
        rows = slice(first, min(n, first + self.max_items))
        wide, high = int(np.clip(224 // bits, 4, 16)), 13
        key = (
            f"Rows: items {rows.start} to {rows.stop - 1} of {n}; the arrow points at item {self.item}. Columns: "
            f"{bits} bits. "
        )
        key += "Dark: +1; pale: −1; a cross: not the bit of B. "
        key += "Three coins in place of networks would each agree with B in 75 % of the bits, and all together in 25 %."
        panels = []
        for name, own, share in zip(("B, shared", *NETWORKS), (shared, *codes), (None, *agree), strict=True):
            wrong = (own != shared)[rows]
            head = name if share is None else f"{name}: {100 * share:.1f} % as B"
            alt = (
                f"Codes, {name}: items {rows.start} to {rows.stop - 1} (rows) by {bits} bits (columns), dark for +1 "
                "and pale for -1"
            )
            alt += (
                "."
                if share is None
                else f"; {int(wrong.sum())} of {wrong.size} bits have a cross, since they are not B's."
            )
            picture = img(
                _grid(own[rows], wrong, self.item - first, wide, high),
                alt,
                "display:block;max-width:100%;background:#fff",
            )
            panels.append(f'<div style="flex:0 1 auto;min-width:0"><h4>{escape(head)}</h4>{picture}</div>')
        # By twos, so that four panels stand in one row or in two rows of two.
        row = "<div style='display:flex;flex-wrap:wrap;gap:4px 16px'>{}</div>"
        pairs = [row.format("".join(panels[i : i + 2])) for i in range(0, len(panels), 2)]
        return f"<p class='cmh-dim'>{key}</p>" + row.format("".join(pairs))

    def _curves(self) -> str:
        """The share of bits against B, of each network by epoch, on one scale."""
        against = np.stack([(_signs(h) != _signs(h.sum(axis=0))).mean(axis=(1, 2)) for h in self.history])
        top = max(float(against.max()), 1e-9)
        parts = []
        for name, values in zip(NETWORKS, against.T, strict=True):
            captions = [f"epoch {self.number(e)}: {100 * value:.1f} %" for e, value in enumerate(values)]
            chart = bars(f"{name}: bits against B", values / top, captions, now=self.epoch)
            parts.append(f'<div style="flex:1 1 190px;max-width:340px">{chart}</div>')
        note = f"<p class='cmh-dim'>By epoch; full height: {100 * top:.1f} %; the present epoch is filled.</p>"
        return f"<div style='display:flex;flex-wrap:wrap;gap:4px 16px'>{''.join(parts)}</div>{note}"

    def _votes(self, votes: np.ndarray, shared: np.ndarray) -> str:
        """The chosen item, bit by bit: three votes, their sum, and the sign."""
        total = votes.sum(axis=0)
        caption = f", {self.captions[self.item]}" if self.captions is not None else ""
        lost = _signs(votes) != shared
        alt = f"Votes on each bit of item {self.item}, as bars up for plus and down for minus, with their sum and B. "
        alt += (
            "; ".join(
                f"bit {k}: {votes[0, k]:+.2f} {votes[1, k]:+.2f} {votes[2, k]:+.2f} = {total[k]:+.2f}"
                for k in range(len(total))
            )
            + "."
        )
        key = (
            "Up and filled: +; down and hollow: −; a cross: outvoted. The sum is drawn at a third of its size. B is "
            "its sign: ■ +1, □ −1."
        )
        picture = img(_ballot(votes, total, shared, lost), alt, "width:100%;max-width:760px;background:#fff")
        return (
            f"<h4>The vote on item {self.item}{escape(caption)}</h4>{picture}<p class='cmh-dim'>{key}</p>"
            f"{self._table(votes, total, shared, lost)}"
        )

    def _table(self, votes: np.ndarray, total: np.ndarray, shared: np.ndarray, lost: np.ndarray) -> str:
        """The bits that are not unanimous, the closest first."""
        split = np.flatnonzero(lost.any(axis=0))
        if not len(split):
            return "<p>The three networks agree in every bit of this item.</p>"
        split = split[np.argsort(np.abs(total[split]), kind="stable")]
        body = ""
        for k in split[:_ROWS]:
            own = "".join(
                f"<td>{_number(v)}{' ×' if out else ''}</td>" for v, out in zip(votes[:, k], lost[:, k], strict=True)
            )
            body += (
                f"<tr><th scope='row'>{k}</th>{own}<td>{_number(total[k])}</td>"
                f"<td>{'+1' if shared[k] > 0 else '−1'}</td></tr>"
            )
        heads = "".join(f"<th scope='col'>{name}</th>" for name in ("bit", *NETWORKS, "sum", "B"))
        more = f"; {_ROWS} of {len(split)} shown" if len(split) > _ROWS else ""
        box = 'class="cmh-scroll" tabindex="0" role="region" aria-label="votes that are not unanimous"'
        heading = f"<p>Bits that are not unanimous, the closest vote first{more}. ×: outvoted.</p>"
        return f"{heading}<div {box}><table><tr>{heads}</tr>{body}</table></div>"


def _signs(x: np.ndarray) -> np.ndarray:
    """±1, int8; the sign of 0 is +1."""
    return np.where(x >= 0, 1, -1).astype(np.int8)


def _number(x: float) -> str:
    return f"{x:+.2f}".replace("-", "−")


def _grid(codes: np.ndarray, wrong: np.ndarray, chosen: int, wide: int, high: int) -> np.ndarray:
    """Codes as a grid, a cross on each wrong bit, an arrow and a frame at the chosen row. codes: ±1 (rows, bits).
    Returns uint8 (H, W, 3).
    """
    (rows, bits), margin = codes.shape, 14
    picture = np.where((codes > 0)[..., None], np.array(_PLUS), np.array(_MINUS)).astype(np.uint8)
    big = np.repeat(np.repeat(picture, high, 0), wide, 1)
    big[::high], big[:, ::wide] = 160, 160
    canvas = Image.new("RGB", (margin + bits * wide + 2, rows * high + 2), "white")
    canvas.paste(Image.fromarray(big), (margin, 1))
    draw = ImageDraw.Draw(canvas)
    reach = max(1, min(wide, high) // 2 - 1)
    for row, bit in zip(*np.nonzero(wrong), strict=True):
        y, x = 1 + row * high + high // 2, margin + bit * wide + wide // 2
        ink = "white" if codes[row, bit] > 0 else "black"
        for way in (1, -1):
            draw.line((x - reach, y - way * reach, x + reach, y + way * reach), fill=ink, width=1 if wide < 10 else 2)
    top = 1 + chosen * high
    draw.rectangle((margin - 1, top - 1, margin + bits * wide, top + high), outline=_INK, width=2)
    draw.polygon(((1, top + 1), (1, top + high - 2), (margin - 3, top + high // 2)), fill=ORANGE, outline=_INK)
    return np.asarray(canvas)


def _ballot(votes: np.ndarray, total: np.ndarray, shared: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Bars of the three votes and of their sum, and B, a column each bit. votes: (3, K). Returns uint8 (H, W, 3)."""
    bits, left, zoom, tall = len(total), 64, 2, 34
    step = (760 - left - 8) / bits
    canvas = Image.new("RGB", (760 * zoom, (4 * tall + 44) * zoom), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12 * zoom)

    def box(k: int, top: float, bottom: float, plus: bool) -> None:
        a, b = (left + k * step + step * share for share in (0.15, 0.85))
        place = (zoom * a, zoom * top, max(zoom * a, zoom * b), max(zoom * top, zoom * bottom))
        draw.rectangle(place, fill=BLUE if plus else "white", outline=BLUE if plus else VERMILION, width=zoom)

    for row, (name, values) in enumerate(zip((*NETWORKS, "sum"), (*votes, total / 3), strict=True)):
        middle = row * tall + tall / 2 + 2
        draw.text((4 * zoom, middle * zoom), name, fill=_INK, font=font, anchor="lm")
        draw.line((left * zoom, middle * zoom, 752 * zoom, middle * zoom), fill="#777777", width=1)
        for k, value in enumerate(values):
            end = middle - value * (tall / 2 - 3)
            box(k, min(middle, end), max(middle, end), value >= 0)
            if row < 3 and lost[row, k]:
                x, y, reach = left + (k + 0.5) * step, middle - (8 if value < 0 else -8), min(4, step / 2)
                for way in (1, -1):
                    draw.line(
                        [zoom * c for c in (x - reach, y - way * reach, x + reach, y + way * reach)],
                        fill=_INK,
                        width=zoom,
                    )
    middle = 4 * tall + 14
    draw.text((4 * zoom, middle * zoom), "B", fill=_INK, font=font, anchor="lm")
    for k in range(bits):
        box(k, middle - 6, middle + 6, bool(shared[k] > 0))
        if k % (1 if bits <= 32 else 8) == 0:
            draw.text(
                (zoom * (left + (k + 0.5) * step), (middle + 18) * zoom), str(k), fill=_INK, font=font, anchor="mm"
            )
    draw.text((4 * zoom, (middle + 18) * zoom), "bit", fill=_INK, font=font, anchor="lm")
    return np.asarray(canvas)


class NetworkCodeWatcher(Widget):
    r"""Watch three networks come to one code: play, or step by hand, and choose an item to see its vote.

    label, image, text: relaxed codes H of LabNet, ImgNet and TxtNet by epoch, from -1 to 1 (tanh of a hasher's values),
    each (epochs, n, K). B is the sign of their sum; 0 counts as +1. captions: n texts. epochs: the epoch number of each
    position. epoch: the first position shown, by default the last. item: whose votes are shown first. max_items: rows
    drawn. Raises `InputError` on shapes that do not fit and on values beyond 1.
    """

    title = "Code watcher, three networks"

    def __init__(
        self,
        label: Any,
        image: Any,
        text: Any,
        *,
        captions: Sequence[str] | None = None,
        epochs: Sequence[int] | None = None,
        epoch: int | None = None,
        item: int = 0,
        max_items: int = 16,
    ) -> None:
        given = {"label": label, "image": image, "text": text}
        arrays = {name: np.asarray(codes, float) for name, codes in given.items()}
        for name, codes in arrays.items():
            fits = codes.ndim == 3 and min(codes.shape) > 0
            check(fits, f"{name}: expected (epochs, n, K), none of them 0, got {codes.shape}")
            check(
                codes.shape == arrays["label"].shape,
                f"{name}: expected {arrays['label'].shape}, as label, got {codes.shape}",
            )
            inside = bool(np.isfinite(codes).all()) and float(np.abs(codes).max()) <= 1
            check(inside, f"{name}: expected relaxed codes from -1 to 1 (tanh of the values)")
        super().__init__(
            NetworkState(np.stack(list(arrays.values()), axis=1), captions, epochs, max_items, epoch, item)
        )

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        last = len(self._state.history) - 1
        return [{"epoch": e} for e in sorted({0, last})]

    def _controls(self) -> list[ipw.Widget]:
        epochs, _, n, _ = self._state.history.shape
        return [
            self.stepper("epoch", epochs - 1, "play through the epochs"),
            self.row(self.number("item", "item", 0, max(1, n - 1), "whose votes")),
        ]
