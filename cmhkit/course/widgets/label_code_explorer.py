r"""The label-to-code explorer: switch labels on and off; see the code of that label set and which label sets of the
training set lie near it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import BLUE, Result, State, Widget, bars
from cmhkit.support.checks import check, check_integer

Encoder = Callable[[np.ndarray], Any]
MOST = 30  # rows of the table


class LabelSets:
    """The different label sets of a training set, and what an encoder makes of label sets.

    labels: 0/1, (n, c). encode: label sets, float32 (m, c), to real values (m, K), whose signs are the codes. scores:
    label sets to the label head's reading, (m, c), from 0 to 1, or None. names: c strings, or None.
    """

    def __init__(self, labels: Any, encode: Encoder, scores: Encoder | None, names: Sequence[str] | None) -> None:
        labels = np.asarray(labels)
        check(
            labels.ndim == 2 and min(labels.shape, default=0) > 0,
            f"labels: expected 0/1 of shape (n, c), none of them 0, got {labels.shape}",
        )
        check(bool(np.isin(labels, (0, 1)).all()), "labels: expected only 0 and 1")
        check(callable(encode), f"encode: expected a function of label sets (m, c), got {type(encode).__name__}")
        check(
            scores is None or callable(scores),
            f"scores: expected a function of label sets (m, c) or None, got {type(scores).__name__}",
        )
        width = labels.shape[1]
        self.names = (
            tuple(str(name) for name in names) if names is not None else tuple(f"label {c}" for c in range(width))
        )
        check(len(self.names) == width, f"names: expected one a label, {width} in all, got {len(self.names)}")
        check(len(set(self.names)) == width, "names: expected different names, got one twice")
        self._encode, self._scores = encode, scores
        sets, counts = np.unique(labels.astype(np.uint8), axis=0, return_counts=True)
        order = np.lexsort((sets.sum(axis=1), -counts))
        #: (m, c) and (m,), the commonest set first; of equally common ones the smaller.
        self.sets, self.counts = sets[order], counts[order]

    @cached_property
    def codes(self) -> np.ndarray:
        """The code of each set, bool, (m, K); worked out once."""
        return self.values(self.sets) >= 0

    def values(self, sets: np.ndarray) -> np.ndarray:
        """The real values of label sets, (m, K)."""
        values = np.asarray(self._encode(sets.astype(np.float32)), float)
        fits = values.ndim == 2 and len(values) == len(sets) and values.shape[1] > 0 and np.isfinite(values).all()
        check(fits, f"encode: expected finite values of shape ({len(sets)}, K), got {values.shape}")
        return values

    def reading(self, sets: np.ndarray) -> np.ndarray | None:
        """What the label head reads, (m, c)."""
        if self._scores is None:
            return None
        scores = np.asarray(self._scores(sets.astype(np.float32)), float)
        fits = scores.shape == sets.shape and bool(((scores >= 0) & (scores <= 1)).all())
        check(fits, f"scores: expected numbers from 0 to 1 of shape {sets.shape}, got shape {scores.shape}")
        return scores

    def named(self, labels: np.ndarray) -> str:
        """A label set in words."""
        return ", ".join(self.names[c] for c in np.flatnonzero(labels)) or "no label"


@dataclasses.dataclass(frozen=True)
class LabelCodeResult(Result):
    r"""code: ±1, int8 (K,). sets: the nearest label sets of the training set, 0/1 (m, c), nearest first; of equally
    near ones the commoner.

    counts: how many training items have each. distance: Hamming, (m,). similar: S, bool (m,). probability: p(S = 1 |
    B), (m,), $\sigma(\tfrac12 b^\top b') = \sigma(K/2 - d)$. scores: the label head's reading, (c,), or None. items:
    training items with exactly this set.
    """

    code: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int8))
    sets: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    counts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    distance: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    similar: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    probability: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    scores: np.ndarray | None = None
    items: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class LabelCodeState(State):
    """A label set. source: the training set's label sets and the encoder. labels: the names that are on. k: how many
    near sets are listed.
    """

    inputs: ClassVar[Mapping[str, str]] = {"labels": "labels", "k": "sets listed"}

    source: LabelSets
    labels: Sequence[str] = ()
    k: int = 8

    def __post_init__(self) -> None:
        names = self.source.names
        check(
            not isinstance(self.labels, str) and isinstance(self.labels, Sequence),
            f"labels: expected a list of names, got {self.labels!r}",
        )
        for name in self.labels:
            check(name in names, f"labels: expected names among {', '.join(names)}, got {name!r}")
        object.__setattr__(self, "labels", tuple(name for name in names if name in self.labels))
        check_integer("k", self.k, 1, MOST)

    @property
    def row(self) -> np.ndarray:
        """The label set, uint8 (c,)."""
        return np.array([name in self.labels for name in self.source.names], np.uint8)

    def changed(self, before: State) -> str:
        """Which labels were switched, and how many bits that flipped."""
        on = [f"{name} on" for name in self.labels if name not in before.labels]
        off = [f"{name} off" for name in before.labels if name not in self.labels]
        if not on + off:
            return super().changed(before)
        flipped = int((self.result.code != before.result.code).sum())
        return f"{', '.join(on + off)}: {flipped} of {len(self.result.code)} bits flipped"

    def _show(self) -> LabelCodeResult:
        source, row = self.source, self.row
        values = source.values(row[None])[0]
        scores = source.reading(row[None])
        code = values >= 0
        distance = (source.codes != code).sum(axis=1)
        similar = source.sets @ row > 0
        near = np.argsort(distance, kind="stable")[: self.k]
        probability = 1 / (1 + np.exp(distance - len(code) / 2))
        same = (source.sets == row).all(axis=1)
        items = int(source.counts[same].sum())
        exactly = f"{items} training {'item has' if items == 1 else 'items have'} exactly this set"
        low, high = int(distance[near].min()), int(distance[near].max())
        status = (
            f"{source.named(row).capitalize()}: {exactly}. Of the {len(near)} nearest label sets, at distance {low} "
            f"to {high} of {len(code)} bits, {int(similar[near].sum())} share a label."
        )
        html = (
            self._code(code, values)
            + self._table(near, distance, similar, probability, code)
            + self._histogram(distance, similar, len(code))
        )
        if scores is not None:
            html += self._reading(scores[0])
        return LabelCodeResult(
            status,
            html,
            np.where(code, 1, -1).astype(np.int8),
            source.sets[near],
            source.counts[near],
            distance[near],
            similar[near],
            probability[near],
            None if scores is None else scores[0],
            items,
        )

    def _code(self, code: np.ndarray, values: np.ndarray) -> str:
        groups = []
        for start in range(0, len(code), 8):
            cells = []
            for bit in range(start, min(start + 8, len(code))):
                look = f"background:{BLUE};color:#fff" if code[bit] else "background:transparent"
                style = (
                    "display:inline-block;width:20px;margin-right:2px;text-align:center;border:1px solid "
                    f"currentColor;{look}"
                )
                cells.append(
                    f'<span title="bit {bit}: H = {np.tanh(values[bit]):+.2f}" '
                    f'style="{style}">{"01"[int(code[bit])]}</span>'
                )
            groups.append(
                "<span "
                f'style="white-space:nowrap;margin-right:10px;display:inline-block;margin-bottom:3px">{"".join(cells)}</span>'
            )
        sure = float(np.abs(np.tanh(values)).mean())
        alt = f"code {''.join('01'[int(b)] for b in code)}"
        return (
            f"<h4>Code: {int(code.sum())} of {len(code)} bits are 1; before the sign |H| is {sure:.2f} on average</h4>"
            f'<div role="img" aria-label="{alt}">{"".join(groups)}</div>'
        )

    def _table(
        self, near: np.ndarray, distance: np.ndarray, similar: np.ndarray, probability: np.ndarray, code: np.ndarray
    ) -> str:
        source, rows = self.source, []
        for i in near:
            bits = "".join(
                (" " if bit and bit % 8 == 0 else "")
                + (f"<b><u>{'01'[int(b)]}</u></b>" if b != code[bit] else "01"[int(b)])
                for bit, b in enumerate(source.codes[i])
            )
            shared = "✓ 1" if similar[i] else "✗ 0"
            cells = (
                source.counts[i],
                shared,
                distance[i],
                len(code) - 2 * int(distance[i]),
                escape(_share(probability[i])),
            )
            labels = escape(source.named(source.sets[i]))
            rows.append(
                f"<tr><th scope='row' style='white-space:normal'>{labels}</th>"
                f"{''.join(f'<td>{cell}</td>' for cell in cells)}<td><code style='font-size:11px'>{bits}</code></td>"
                "</tr>"
            )
        heads = ("label set", "items", "S", "d", "⟨b, b′⟩", "p(S = 1)", "code")
        head = "".join(f"<th scope='col'>{word}</th>" for word in heads)
        box = (
            'class="cmh-scroll" style="width:0;min-width:100%" tabindex="0" role="region" aria-label="nearest label '
            'sets"'
        )
        table = f'<table style="white-space:nowrap"><tr>{head}</tr>{"".join(rows)}</table>'
        title = (
            "The nearest label sets of the training set (S: ✓ 1 shares a label, ✗ 0 shares none; bits that differ are "
            "underlined)"
        )
        return f"<h4>{title}</h4><div {box}>{table}</div>"

    def _histogram(self, distance: np.ndarray, similar: np.ndarray, bits: int) -> str:
        parts = []
        for chosen, words in ((similar, "share a label with it"), (~similar, "share none")):
            counts = np.bincount(distance[chosen], minlength=bits + 1)
            total = int(counts.sum())
            mean = f", mean distance {distance[chosen].mean():.1f}" if total else ""
            title = f"{total} different sets {words}{mean}"
            page = bars(title, counts / max(1, counts.max()), [f"{n} at distance {d}" for d, n in enumerate(counts)])
            parts.append(f'<div style="flex:1 1 300px;min-width:0">{page}{_ruler(bits)}</div>')
        return f'<div style="display:flex;flex-wrap:wrap;gap:4px 24px">{"".join(parts)}</div>'

    def _reading(self, scores: np.ndarray) -> str:
        cells = []
        for name, on, score in zip(self.source.names, self.row, scores, strict=True):
            word = f"<b>✓ {escape(name)}</b>" if on else escape(name)
            bar = f'<div class="cmh-bar"><span style="width:{100 * score:.0f}%"></span></div>'
            cells.append(
                f'<div><div style="display:flex;justify-content:space-between"><span>{word}</span>'
                f"<span>{score:.2f}</span></div>{bar}</div>"
            )
        wrong = int(((scores > 0.5) != (self.row > 0)).sum())
        verdict = "as given" if not wrong else f"{wrong} of {len(scores)} otherwise than given"
        grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:2px 16px"
        return (
            f"<h4>The label head reads from the same features (✓ is on; at one half: {verdict})</h4>"
            f'<div style="{grid}">{"".join(cells)}</div>'
        )


def _share(p: float) -> str:
    """A probability in three digits; it is never 0 or 1."""
    return "> 0.999" if p > 0.9995 else "< 0.001" if p < 0.0005 else f"{p:.3f}"


def _ruler(bits: int) -> str:
    words = "".join(f"<span>{word}</span>" for word in ("0", f"distance {bits // 2}", f"{bits}"))
    return f'<div class="cmh-dim" style="display:flex;justify-content:space-between;font-size:12px">{words}</div>'


class LabelCodeExplorer(Widget):
    """Switch labels on and off, and see the code of that label set.

    labels: the training set's, 0/1, (n, c). encode: a function of label sets, float32 (m, c), to real values (m, K),
    such as
    `lambda sets: hasher.values(labels=sets)`. scores: a function of label sets to the label head's reading (m, c), from
    0 to 1, or None. names: c strings. chosen: the names that are on at first. k: how many near label sets are listed,
    at most 30.
    Raises `InputError` on labels, names or values that do not fit.
    """

    title = "Label-to-code explorer"

    def __init__(
        self,
        labels: Any,
        encode: Encoder,
        scores: Encoder | None = None,
        *,
        names: Sequence[str] | None = None,
        chosen: Sequence[str] = (),
        k: int = 8,
    ) -> None:
        super().__init__(LabelCodeState(LabelSets(labels, encode, scores, names), chosen, k))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        chosen = self._state.labels or self._state.source.names[:2]
        return [{"labels": chosen[:count]} for count in range(len(chosen) + 1)]

    def _controls(self) -> list[ipw.Widget]:
        source = self._state.source
        wide = f"{8 * max(map(len, source.names)) + 36}px"  # room for the longest name
        self._boxes = {
            name: ipw.Checkbox(description=name, indent=False, layout=ipw.Layout(width=wide, margin="0"))
            for name in source.names
        }
        for name, box in self._boxes.items():
            box.observe(lambda change, name=name: self._switched(name, change["new"]), names="value")
        self._bound.append(self._write_boxes)
        self._place = -1
        clear = ipw.Button(description="all off", layout=ipw.Layout(width="auto"))
        clear.on_click(lambda _: self._from_control(labels=()))
        common = ipw.Button(
            description="next common set",
            tooltip="the commonest label sets of the training set in turn",
            layout=ipw.Layout(width="auto"),
        )
        common.on_click(lambda _: self._next_common())
        boxes = ipw.HBox(list(self._boxes.values()), layout=ipw.Layout(flex_flow="row wrap", width="100%"))
        return [boxes, self.row(clear, common, self.number("k", "sets listed", 1, MOST))]

    def _write_boxes(self, state: LabelCodeState) -> None:
        for name, box in self._boxes.items():
            box.value = name in state.labels

    def _switched(self, name: str, on: bool) -> None:
        rest = [other for other in self._state.labels if other != name]
        self._from_control(labels=[*rest, name] if on else rest)

    def _next_common(self) -> None:
        self._place = (self._place + 1) % len(self._state.source.sets)
        row = self._state.source.sets[self._place]
        self._from_control(labels=[self._state.source.names[c] for c in np.flatnonzero(row)])
