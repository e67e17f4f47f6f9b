"""The bit flipper: two codes, and what one flipped bit does to distance, inner product and bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import Result, State, Widget
from cmhkit.support.checks import check, check_choice, check_integer

SIZES = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class BitResult(Result):
    """distance: bits that differ. inner: the inner product of the ±1 codes, equal to K - 2 distance. bytes_a, bytes_b,
    bytes_xor: uint8 (K // 8,).
    """

    distance: int = 0
    inner: int = 0
    bytes_a: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))
    bytes_b: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))
    bytes_xor: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))


@dataclasses.dataclass(frozen=True, eq=False)
class BitState(State):
    """Two ±1 codes. bits: K, 8, 16 or 32. seed: draws the codes that are not given. a, b: int8 ±1 (K,)."""

    inputs: ClassVar[Mapping[str, str]] = {"bits": "bits", "seed": "seed", "a": "code a", "b": "code b"}

    bits: int = 8
    seed: int = 0
    a: np.ndarray | None = None
    b: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_choice("bits", self.bits, SIZES)
        check_integer("seed", self.seed, 0, 2**32 - 1)
        drawn = np.random.default_rng(self.seed).integers(0, 2, size=(2, self.bits), dtype=np.int8) * 2 - 1
        for name, default in zip("ab", drawn, strict=True):
            given = getattr(self, name)
            code = default if given is None else np.asarray(given)
            check(code.shape == (self.bits,), f"{name}: expected a code of shape ({self.bits},), got {code.shape}")
            check(np.isin(code, (-1, 1)).all(), f"{name}: expected only -1 and +1, got {np.unique(code).tolist()}")
            code = code.astype(np.int8)
            code.flags.writeable = False
            object.__setattr__(self, name, code)

    def change(self, **inputs: Any) -> BitState:
        """As `State.change`; other `bits` or another `seed` draw both codes anew unless they are given."""
        if {"bits", "seed"} & inputs.keys() and any(
            inputs[n] != getattr(self, n) for n in ("bits", "seed") if n in inputs
        ):
            inputs = {"a": None, "b": None, **inputs}
        return super().change(**inputs)  # type: ignore[return-value]

    def flip(self, code: str, bit: int) -> BitState:
        """The state with one bit turned over. code: 'a' or 'b'. bit: 0 .. K - 1."""
        check_choice("code", code, ("a", "b"))
        check_integer("bit", bit, 0, self.bits - 1)
        turned = getattr(self, code).copy()
        turned[bit] *= -1
        return self.change(**{code: turned})

    def changed(self, before: State) -> str:
        """Which bits were flipped, or the new number of bits."""
        if before.bits != self.bits or before.seed != self.seed:
            return super().changed(before)
        flips = [f"{c} bit {i}" for c in "ab" for i in np.flatnonzero(getattr(self, c) != getattr(before, c))]
        return f"flipped {', '.join(flips)}" if 0 < len(flips) <= 4 else f"flipped {len(flips)} bits" if flips else ""

    def _show(self) -> BitResult:
        distance = int((self.a != self.b).sum())
        inner = int(self.a.astype(int) @ self.b.astype(int))
        packed = [np.packbits(x > 0) for x in (self.a, self.b, self.a != self.b)]
        summary = (
            f"Hamming distance {distance} of {self.bits} bits, inner product {inner} = {self.bits} - 2·{distance}."
        )
        rows = []
        for name, signs, octets in zip(
            ("a", "b", "a XOR b"), (self.a > 0, self.b > 0, self.a != self.b), packed, strict=True
        ):
            text = " ".join("".join("01"[int(s)] for s in group) for group in signs.reshape(-1, 8))
            rows.append(
                f"<tr><th scope='row'>{name}</th><td><code>{text}</code></td><td>"
                f"<code>{' '.join(f'{o:02X}' for o in octets)}</code></td></tr>"
            )
        counts = [int(o).bit_count() for o in packed[2]]
        total = " + ".join(map(str, counts)) + (f" = {distance}" if len(counts) > 1 else "")
        html = (
            '<div class="cmh-scroll"><table><caption class="cmh-dim">Packed: bit 1 stands for +1, the first bit is '
            "the highest of its byte</caption><tr><th scope='col'>code</th><th scope='col'>bits</th>"
            f"<th scope='col'>bytes, hexadecimal</th></tr>{''.join(rows)}</table></div><p>Ones in a XOR b (popcount, "
            f"byte by byte): {total}, the Hamming distance d.</p><p>Inner product of the ±1 codes: "
            f"{self.bits - distance} agree, {distance} differ, {self.bits - distance} - {distance} = {inner}; and K - "
            f"2d = {self.bits} - 2·{distance} = {self.bits - 2 * distance}.</p>"
        )
        return BitResult(summary, html, distance, inner, *packed)


class BitFlipper(Widget):
    """Two codes as rows of switches.

    bits: K, 8, 16 or 32. seed: draws the first codes. `.set(a=..., b=...)` takes int8 ±1 codes of shape (K,). Raises
    `InputError` on anything else.
    """

    title = "Bit flipper"

    def __init__(self, bits: int = 8, seed: int = 0) -> None:
        super().__init__(BitState(bits=bits, seed=seed))

    def flip(self, code: str, bit: int) -> Result:
        """Turn one bit over, as a switch does. code: 'a' or 'b'. bit: 0 .. K - 1."""
        return self.set(**{code: getattr(self._state.flip(code, bit), code)})

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        a, bits = self._state.a, self._state.bits
        series = []
        for flips in (0, 1, bits // 2, bits):
            b = a.copy()
            b[:flips] *= -1
            series.append({"b": b})
        return series

    def _controls(self) -> list[ipw.Widget]:
        fresh = ipw.Button(
            description="draw new codes", tooltip="two random codes from the next seed", layout=ipw.Layout(width="auto")
        )
        fresh.on_click(lambda _: self._from_control(seed=self._state.seed + 1))
        same = ipw.Button(description="make b equal a", layout=ipw.Layout(width="auto"))
        same.on_click(lambda _: self._from_control(b=self._state.a))
        opposite = ipw.Button(description="make b the opposite of a", layout=ipw.Layout(width="auto"))
        opposite.on_click(lambda _: self._from_control(b=-self._state.a))
        self._switches = ipw.HBox(layout=ipw.Layout(flex_flow="row wrap", width="100%"))
        self._bound.append(self._write_switches)
        top = self.row(self.choice("bits", "bits K", [(str(s), s) for s in SIZES]), fresh, same, opposite)
        return [top, self._switches]

    def _write_switches(self, state: BitState) -> None:
        if len(getattr(self, "_buttons", {})) != 2 * state.bits:
            self._build_switches(state.bits)
        for (code, bit), button in self._buttons.items():
            on = bool(getattr(state, code)[bit] > 0)
            button.value = on
            button.description = "1" if on else "0"
            button.button_style = "info" if on else ""
            button.tooltip = f"code {code}, bit {bit}: {'+1' if on else '-1'}"
        differ = state.a != state.b
        for start, line in self._xor.items():
            words = ["<b>1 ≠</b>" if d else "0" for d in differ[start : start + 8]]
            cells = "".join(
                f'<span style="display:inline-block;width:30px;text-align:center">{word}</span>' for word in words
            )
            first = '<span style="display:inline-block;width:18px">⊕</span>'
            line.value = (
                f'<div class="cmh" style="white-space:nowrap" role="group" aria-label="a XOR b">{first}{cells}</div>'
            )

    def _build_switches(self, bits: int) -> None:
        self._buttons: dict[tuple[str, int], ipw.ToggleButton] = {}
        self._xor: dict[int, ipw.HTML] = {}
        groups = []
        for start in range(0, bits, 8):
            lines = []
            for code in "ab":
                switches = [ipw.HTML(f'<b class="cmh">{code}</b>', layout=ipw.Layout(width="14px", margin="2px"))]
                for bit in range(start, start + 8):
                    button = ipw.ToggleButton(layout=ipw.Layout(width="28px", padding="0", margin="1px"))
                    button.observe(lambda change, c=code, i=bit: self._switched(c, i, change["new"]), names="value")
                    self._buttons[code, bit] = button
                    switches.append(button)
                lines.append(ipw.HBox(switches))
            lines.append(self._xor.setdefault(start, ipw.HTML(layout=ipw.Layout(margin="0"))))
            groups.append(ipw.VBox(lines, layout=ipw.Layout(margin="4px 14px 4px 0")))
        self._switches.children = groups

    def _switched(self, code: str, bit: int, on: bool) -> None:
        turned = getattr(self._state, code).copy()
        turned[bit] = 1 if on else -1
        self._from_control(**{code: turned})
