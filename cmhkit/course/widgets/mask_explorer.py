r"""The mask explorer: ADAH's attention probabilities P, cut at a threshold, over a picture's places or over a text's
words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image, ImageDraw

from cmhkit.course.widgets.base import Result, State, Widget, cards, img
from cmhkit.support.checks import check, check_choice, check_integer

SIDE = 176  # of every picture, about: a whole number of pixels a place
LOW, HIGH, STEP = 0.05, 8.0, 0.05  # of the threshold, in units of 1/places
_DARK, _TRUE, _MARK = (0, 70, 125), (213, 94, 0), (0, 114, 178)


def overlap(mask: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """How a mask meets the truth: iou, precision and recall. mask, truth: bool, one shape. A share of nothing is 0."""
    both, either = int((mask & truth).sum()), int((mask | truth).sum())
    return {
        "iou": both / max(either, 1),
        "precision": both / max(int(mask.sum()), 1),
        "recall": both / max(int(truth.sum()), 1),
    }


def entropy(p: np.ndarray) -> float:
    """The entropy of a distribution over its greatest value: 0 with all on one place, 1 with all places alike. p: any
    shape, sum 1.
    """
    p = np.asarray(p, float).ravel()
    return float(-(p[p > 0] * np.log(p[p > 0])).sum() / np.log(len(p)))


@dataclasses.dataclass(frozen=True)
class MaskResult(Result):
    """mask: Z of the item, bool, (H, W) or one a word. alpha: the threshold itself. area: the share that is on.

    entropy: of a picture's P, 0 to 1; NaN for words, whose P is known in part only. overlap: iou, precision and recall
    where the truth is shown.
    """

    mask: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    alpha: float = 0.0
    area: float = 0.0
    entropy: float = float("nan")
    overlap: Mapping[str, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class MaskState(State):
    """One of n items, and a threshold. level: the threshold in units of 1/places, so that 1 is the note's. The rest: as
    `MaskExplorer`.
    """

    inputs: ClassVar[Mapping[str, str]] = {"mode": "shown", "item": "item", "level": "threshold", "show_truth": "truth"}

    p: np.ndarray | None = None
    pictures: Any = None
    truth: np.ndarray | None = None
    captions: Sequence[str] | None = None
    words: Sequence[Sequence[str]] | None = None
    word_p: Sequence[np.ndarray] | None = None
    word_places: int | None = None
    mode: str | None = None
    item: int = 0
    level: float = 1.0
    show_truth: bool = False

    def __post_init__(self) -> None:
        check(
            self.p is not None or self.words is not None, "p: expected P of pictures, or words with word_p, got neither"
        )
        if self.p is not None:
            self._check_pictures()
        if self.words is not None:
            self._check_words()
        object.__setattr__(
            self, "mode", check_choice("mode", self.modes[0] if self.mode is None else self.mode, self.modes)
        )
        check(self.captions is None or len(self.captions) == len(self), f"captions: expected {len(self)} entries")
        check_integer("item", self.item, 0, len(self) - 1)
        number = isinstance(self.level, (int, float, np.number)) and not isinstance(self.level, bool)
        check(
            number and LOW <= self.level <= HIGH, f"level: expected a number from {LOW} to {HIGH:g}, got {self.level!r}"
        )
        check(
            isinstance(self.show_truth, (bool, np.bool_)),
            f"show_truth: expected True or False, got {self.show_truth!r}",
        )
        check(not self.show_truth or self.truth is not None, "show_truth: no truth was given")

    def _check_pictures(self) -> None:
        p = np.asarray(self.p)
        check(
            p.ndim == 3 and p.size > 0 and p.dtype.kind == "f",
            f"p: expected real numbers (n, H, W), got {p.dtype} of shape {p.shape}",
        )
        sums = bool(np.isfinite(p).all()) and p.min() >= 0 and np.allclose(p.sum(axis=(1, 2)), 1, atol=1e-3)
        check(sums, "p: expected probabilities that sum to 1 over H and W")
        object.__setattr__(self, "p", p)
        if self.pictures is not None:
            shape = np.shape(self.pictures)
            check(
                len(shape) == 4 and shape[0] == len(p) and shape[3] == 3,
                f"pictures: expected uint8 ({len(p)}, R, R, 3), got shape {shape}",
            )
        if self.truth is not None:
            truth = np.asarray(self.truth) > 0
            check(truth.shape == p.shape, f"truth: expected the shape of p, {p.shape}, got {truth.shape}")
            object.__setattr__(self, "truth", truth)

    def _check_words(self) -> None:
        check(
            self.word_p is not None and len(self.word_p) == len(self.words),
            f"word_p: expected {len(self.words)} rows, one for each text",
        )
        check(
            self.p is None or len(self.p) == len(self.words),
            f"words: expected {0 if self.p is None else len(self.p)} texts, one for each picture",
        )
        rows = tuple(np.asarray(row) for row in self.word_p)
        fits = all(
            row.shape == (len(words),) and row.dtype.kind == "f" for row, words in zip(rows, self.words, strict=True)
        )
        check(fits, "word_p: expected one probability for each word of each text")
        check(all(((row >= 0) & (row <= 1)).all() for row in rows), "word_p: expected probabilities, from 0 to 1")
        check_integer("word_places", self.word_places, 2, 10**9)
        object.__setattr__(self, "word_p", rows)

    def __len__(self) -> int:
        return len(self.words if self.p is None else self.p)

    @property
    def modes(self) -> tuple[str, ...]:
        """What there is to show: "picture", "words", or both."""
        return (("picture",) if self.p is not None else ()) + (("words",) if self.words is not None else ())

    @property
    def places(self) -> int:
        """H·W of a picture, or the entries of a text feature."""
        return int(self.p[0].size) if self.mode == "picture" else int(self.word_places)

    def _show(self) -> MaskResult:
        p = self.p[self.item] if self.mode == "picture" else self.word_p[self.item]
        alpha = float(self.level) / self.places
        mask = p >= p.dtype.type(alpha)
        return self._picture(p, mask, alpha) if self.mode == "picture" else self._text(p, mask, alpha)

    def _threshold(self, alpha: float) -> str:
        return f"threshold {alpha:.4f} ({float(self.level):g} times 1/{self.places})"

    def _picture(self, p: np.ndarray, mask: np.ndarray, alpha: float) -> MaskResult:
        area, spread = float(mask.mean()), entropy(p)
        met = overlap(mask, self.truth[self.item]) if self.show_truth else None
        summary = (
            f"Picture {self.item}, {self._threshold(alpha)}: {int(mask.sum())} of {mask.size} places attended, "
            f"entropy {spread:.2f}"
        )
        if met:
            summary += (
                f"; against the truth IoU {met['iou']:.2f}, precision {met['precision']:.2f}, recall "
                f"{met['recall']:.2f}"
            )
        name = str(self.captions[self.item]) if self.captions is not None else f"picture {self.item}"
        true = self.truth[self.item] if self.show_truth else None
        traced = " The dotted orange line is the true place of the drawings." if self.show_truth else ""
        first = np.argsort(-p, axis=None, kind="stable")[:3]
        top = ", ".join(f"row {at // p.shape[1] + 1} column {at % p.shape[1] + 1}" for at in first)
        picture = None if self.pictures is None else np.asarray(self.pictures[self.item])
        shown = [
            ("P, times H·W", heat(p, true), f"Heat map of P, darker where likelier; greatest at {top}.{traced}"),
            (
                "the mask Z",
                over(picture, mask, true),
                f"{name}, attended places in full, the others faded:\n{drawn(mask)}.{traced}",
            ),
            ("attended, Z·f", part(picture, mask), f"{name}: the {int(mask.sum())} attended places alone"),
            ("unattended, (1 − Z)·f", part(picture, ~mask), f"{name}: the {int((~mask).sum())} other places alone"),
        ]
        made = [
            f'<li class="cmh-card" style="width:{SIDE + 16}px"><div class="cmh-head"><span>{head}</span></div>'
            f"{img(x, alt)}</li>"
            for head, x, alt in shown
        ]
        words = f"<p>{escape(name)}</p>" if self.captions is not None else ""
        # By twos, so that the four stand in one row or in two rows of two.
        pairs = cards(made[:2], f"the mask of picture {self.item}") + cards(
            made[2:], f"what the mask of picture {self.item} leaves on, and off"
        )
        html = f'{words}<div style="display:flex;flex-wrap:wrap;column-gap:8px">{pairs}</div>'
        return MaskResult(summary + ".", html, mask, alpha, area, spread, met)

    def _text(self, p: np.ndarray, mask: np.ndarray, alpha: float) -> MaskResult:
        words = [str(word) for word in self.words[self.item]]
        kept = [word for word, on in zip(words, mask, strict=True) if on]
        struck = [word for word, on in zip(words, mask, strict=True) if not on]
        summary = (
            f"Text {self.item}, {self._threshold(alpha)}: {len(kept)} of {len(words)} words kept "
            f"({', '.join(kept) or 'none'}), {len(struck)} struck ({', '.join(struck) or 'none'})."
        )
        line = " ".join(
            f"<b>{escape(w)}</b>" if on else f'<s class="cmh-dim">{escape(w)}</s>'
            for w, on in zip(words, mask, strict=True)
        )
        rows = "".join(
            f"<tr><td>{escape(w)}</td><td>{x * self.places:.2f}</td><td>{'✓ kept' if on else '✗ struck'}</td></tr>"
            for w, x, on in zip(words, p.astype(float), mask, strict=True)
        )
        heads = "".join(f"<th scope='col'>{h}</th>" for h in ("word", f"P, times {self.places}", "mask"))
        html = (
            f'<p style="font-size:15px">{line}</p><div class="cmh-scroll"><table><tr>{heads}</tr>{rows}</table></div>'
        )
        return MaskResult(summary, html, mask, alpha, float(mask.mean()) if len(mask) else 0.0)


# pictures


def drawn(mask: np.ndarray) -> str:
    """A mask in signs, for an alternative text: one line a row, # on, · off."""
    return "\n".join("".join("#" if on else "·" for on in row) for row in mask)


def heat(p: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
    """P as a heat map with its numbers, in units of 1/(H·W). p: (H, W). truth: bool (H, W), traced if given. Returns
    uint8 (R, R', 3).
    """
    cell = _cell(p.shape)
    share = (p / p.max()).astype(float)[..., None]
    small = (255 * (1 - share) + np.array(_DARK) * share).astype(np.uint8)
    canvas = Image.fromarray(_large(small, cell))
    draw = ImageDraw.Draw(canvas)
    if cell >= 18:
        for (i, j), x in np.ndenumerate(p):
            words = f"{x * p.size:.1f}"
            at = (j * cell + (cell - draw.textlength(words)) / 2, i * cell + cell / 2 - 6)
            draw.text(at, words, fill="white" if share[i, j, 0] > 0.5 else "black")
    return _traced(canvas, truth)


def over(picture: np.ndarray | None, mask: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
    """A picture with the places faded that a mask leaves off, and a line around the others. Shapes: as `heat`."""
    big, on = _fitted(picture, mask.shape).astype(float), _large(mask, _cell(mask.shape))
    big[~on] = 0.3 * big[~on] + 0.7 * 255
    canvas = Image.fromarray(big.astype(np.uint8))
    _trace(canvas, mask, _MARK)
    return _traced(canvas, truth)


def part(picture: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
    """The places of a picture that a mask leaves on; the others are hatched. Shapes: as `heat`."""
    big, on = _fitted(picture, mask.shape).copy(), _large(mask, _cell(mask.shape))
    y, x = np.indices(on.shape)
    hatch = np.where((x + y) % 8 < 1, 150, 205).astype(np.uint8)
    big[~on] = hatch[~on][:, None]
    return big


def _cell(shape: tuple[int, ...]) -> int:
    return max(1, SIDE // max(shape))


def _large(x: np.ndarray, cell: int) -> np.ndarray:
    return np.repeat(np.repeat(x, cell, 0), cell, 1)


def _fitted(picture: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """A picture in the size of the places, or plain grey-blue without one."""
    cell = _cell(shape)
    if picture is None:
        return np.full((shape[0] * cell, shape[1] * cell, 3), (150, 190, 220), np.uint8)
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(picture)).resize(
            (shape[1] * cell, shape[0] * cell), Image.Resampling.BILINEAR
        )
    )


def _traced(canvas: Image.Image, truth: np.ndarray | None) -> np.ndarray:
    if truth is not None:
        _trace(canvas, truth, _TRUE, dotted=True)
    return np.asarray(canvas)


def _trace(canvas: Image.Image, mask: np.ndarray, colour: tuple[int, int, int], dotted: bool = False) -> None:
    """A line on every edge between a place that is on and one that is off."""
    draw, cell = ImageDraw.Draw(canvas), _cell(mask.shape)
    spans = [(at, at + 4) for at in range(0, cell, 8)] if dotted else [(0, cell)]
    rim = np.pad(mask, 1)
    for i, j in zip(*np.nonzero(mask), strict=True):
        top, left = int(i) * cell, int(j) * cell
        for a, b in spans:
            if not rim[i, j + 1]:
                draw.line((left + a, top, left + b, top), fill=colour, width=3)
            if not rim[i + 2, j + 1]:
                draw.line((left + a, top + cell - 1, left + b, top + cell - 1), fill=colour, width=3)
            if not rim[i + 1, j]:
                draw.line((left, top + a, left, top + b), fill=colour, width=3)
            if not rim[i + 1, j + 2]:
                draw.line((left + cell - 1, top + a, left + cell - 1, top + b), fill=colour, width=3)


class MaskExplorer(Widget):
    """Move the threshold of an attention mask and see what is attended.

    p: P of n pictures, (n, H, W), each sums to 1. pictures: uint8 (n, R, R, 3). truth: bool (n, H, W), the true place
    of what is drawn. captions: n strings. words: n lists of words. word_p: for each text its words' P. word_places:
    over how many entries the texts' softmax runs. mode: "picture" or "words", of those that are given. item: from 0.
    level: the threshold in units of 1/places; 1 is the note's. show_truth: trace the truth and say how the mask meets
    it. Raises `InputError` on shapes that do not fit and values outside their range.
    """

    title = "Mask explorer"

    def __init__(
        self,
        p: Any = None,
        *,
        pictures: Any = None,
        truth: Any = None,
        captions: Sequence[str] | None = None,
        words: Sequence[Sequence[str]] | None = None,
        word_p: Sequence[Any] | None = None,
        word_places: int | None = None,
        mode: str | None = None,
        item: int = 0,
        level: float = 1.0,
        show_truth: bool = False,
    ) -> None:
        super().__init__(
            MaskState(p, pictures, truth, captions, words, word_p, word_places, mode, item, level, show_truth)
        )

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"level": level} for level in (0.5, 1.0, 2.0)]

    def _controls(self) -> list[ipw.Widget]:
        state = self._state
        first = [self.choice("mode", "show", [(mode, mode) for mode in state.modes])] if len(state.modes) > 1 else []
        if len(state) > 1:
            first.append(self.number("item", "item", 0, len(state) - 1))
        box = ipw.BoundedFloatText(
            min=LOW,
            max=HIGH,
            step=STEP,
            description="α, in units of 1/places",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto", max_width="240px"),
        )
        slider = ipw.FloatSlider(
            min=LOW,
            max=HIGH,
            step=STEP,
            continuous_update=False,
            readout=False,
            layout=ipw.Layout(width="200px"),
            tooltip="threshold",
        )
        for control in (box, slider):
            self.bind(control, "level", read=lambda v: round(float(v), 4), write=float)
        note = ipw.Button(description="the note's α", tooltip="1/places", layout=ipw.Layout(width="auto"))
        note.on_click(lambda _: self._from_control(level=1.0))
        second = [ipw.HBox([box, slider], layout=ipw.Layout(margin="0 16px 0 0")), note]
        if state.truth is not None:
            shown = ipw.Checkbox(description="show the truth", indent=False, layout=ipw.Layout(width="auto"))
            second.append(self.bind(shown, "show_truth", read=bool))
        return [self.row(*first), self.row(*second)] if first else [self.row(*second)]
