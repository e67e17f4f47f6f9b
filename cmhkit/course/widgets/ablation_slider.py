"""The ablation slider: saved sweeps over one option, a value at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import Result, State, Widget, bars
from cmhkit.support.checks import check, check_choice, check_integer

DIRECTIONS = ("image → text", "text → image")


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """MAP by the values of one option.

    name: words for it. option: of the method. values: in order. default: the preset's, one of them. map: (values,
    seeds, 2), image → text and text → image, from 0 to 1. note: what was held fixed, and on what it was measured.
    """

    name: str
    option: str
    values: tuple
    default: Any
    map: np.ndarray
    note: str = ""

    def __post_init__(self) -> None:
        scores = np.asarray(self.map, float)
        fits = (
            scores.ndim == 3
            and scores.shape[0] == len(self.values) > 0
            and scores.shape[1] > 0
            and scores.shape[2] == 2
        )
        check(fits, f"map: expected ({len(self.values)} values, seeds, 2), none of them 0, got {scores.shape}")
        inside = bool(np.isfinite(scores).all()) and scores.min() >= 0 and scores.max() <= 1
        check(inside, "map: expected numbers from 0 to 1")
        check(
            self.default in self.values,
            f"default: expected one of {', '.join(map(repr, self.values))}, got {self.default!r}",
        )
        object.__setattr__(self, "map", scores)

    @property
    def usual(self) -> int:
        """The place of the default."""
        return self.values.index(self.default)

    @property
    def mean(self) -> np.ndarray:
        """Over the seeds, (values, 2)."""
        return self.map.mean(axis=1)

    @property
    def spread(self) -> float:
        """The largest distance of two seeds at the same value, either way."""
        return float((self.map.max(axis=1) - self.map.min(axis=1)).max())


@dataclasses.dataclass(frozen=True)
class AblationResult(Result):
    """value: of the option. map: mean over seeds, (2,). gain: against the default's mean, (2,). spread: the largest
    distance of two seeds.
    """

    value: Any = None
    map: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    gain: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    spread: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class AblationState(State):
    """A value in a sweep. sweeps: name → sweep. sweep: the chosen name. position: of the value, by default that of the
    sweep's default.
    """

    inputs: ClassVar[Mapping[str, str]] = {"sweep": "sweep", "position": "value no."}

    sweeps: Mapping[str, Sweep]
    sweep: str | None = None
    position: int | None = None

    def __post_init__(self) -> None:
        if self.sweep is None:
            object.__setattr__(self, "sweep", next(iter(self.sweeps)))
        check_choice("sweep", self.sweep, list(self.sweeps))
        if self.position is None:
            object.__setattr__(self, "position", self.chosen.usual)
        check_integer("position", self.position, 0, len(self.chosen.values) - 1)

    @property
    def chosen(self) -> Sweep:
        """The sweep that is shown."""
        return self.sweeps[self.sweep]

    def change(self, **inputs: Any) -> AblationState:
        """As `State.change`; another sweep starts at its default."""
        if inputs.get("sweep", self.sweep) != self.sweep:
            inputs.setdefault("position", None)
        return super().change(**inputs)  # type: ignore[return-value]

    def _show(self) -> AblationResult:
        sweep, i = self.chosen, self.position
        mean, gain = sweep.mean[i], sweep.mean[i] - sweep.mean[sweep.usual]
        seeds = sweep.map.shape[1]
        summary = (
            f"{sweep.name}, {sweep.option} = {sweep.values[i]}: MAP {mean[0]:.3f} / {mean[1]:.3f}, {DIRECTIONS[0]} / "
            f"{DIRECTIONS[1]}"
        )
        summary += f", mean of {seeds} seeds" if seeds > 1 else ", one seed"
        summary += (
            ". The preset's value." if i == sweep.usual else f"; {_signed(gain)} against the preset's {sweep.default}."
        )
        summary += f" Seeds at the same value differ by up to {sweep.spread:.3f}." if seeds > 1 else ""
        return AblationResult(summary, self._page(), sweep.values[i], mean, gain, sweep.spread)

    def _page(self) -> str:
        sweep = self.chosen
        top = max(float(sweep.mean.max()), 1e-9)
        parts = []
        for way, values in zip(DIRECTIONS, sweep.mean.T, strict=True):
            captions = [
                f"{sweep.option} {value}: {score:.3f}" for value, score in zip(sweep.values, values, strict=True)
            ]
            chart = bars(f"MAP, {way}", values / top, captions, now=self.position)
            parts.append(f'<div style="flex:1 1 200px;max-width:340px">{chart}</div>')
        rows = ""
        for i, value in enumerate(sweep.values):
            here, gain = i == self.position, sweep.mean[i] - sweep.mean[sweep.usual]
            seeds = (
                " ".join(f"{score:.3f}" for score in sweep.map[i, :, 0]),
                " ".join(f"{score:.3f}" for score in sweep.map[i, :, 1]),
            )
            cells = (
                f"<td>{seeds[0]}</td><td>{seeds[1]}</td><td>{'the preset' if i == sweep.usual else _signed(gain)}</td>"
            )
            head = f"{'▶ ' if here else ''}{value}"
            weight = 600 if here else 400
            rows += (
                f"<tr style='font-weight:{weight}'><th scope='row' style='white-space:nowrap'>{escape(head)}</th>"
                f"{cells}</tr>"
            )
        titles = (sweep.option, *(f"{way}, a seed each" for way in DIRECTIONS), "mean against the preset")
        heads = "".join(f"<th scope='col' style='overflow-wrap:normal'>{escape(title)}</th>" for title in titles)
        key = f"From 0; full height is MAP {top:.3f}. The value that is chosen is filled, and has ▶ in the table."
        box = 'class="cmh-scroll" tabindex="0" role="region" aria-label="all values"'
        table = f"<div {box}><table><tr>{heads}</tr>{rows}</table></div>"
        note = f"<p class='cmh-dim'>{escape(sweep.note)}</p>" if sweep.note else ""
        return (
            f"<div style='display:flex;flex-wrap:wrap;gap:4px 16px'>{''.join(parts)}</div><p class='cmh-dim'>{key}</p>"
            f"{table}{note}"
        )


def _signed(gain: np.ndarray) -> str:
    return " / ".join(f"{x:+.3f}".replace("-", "−") for x in gain)


class AblationSlider(Widget):
    """Move through the values of an option, and see what saved runs gave.

    sweeps: a list of dictionaries with `method`, `option`, `values`, `default` (one of the values), `map` (values,
    seeds, 2) and, if known, `bits`, `size`, `asked`, `fixed`, as `cmhkit.course.lessons.sweeps.load("ablations")`
    gives. sweep: the name of the first one shown, "METHOD, option". position: of its value, by default the default's.
    Raises `InputError` on a sweep that does not fit.
    """

    title = "Ablation slider"

    def __init__(
        self, sweeps: Sequence[Mapping[str, Any]], *, sweep: str | None = None, position: int | None = None
    ) -> None:
        check(len(sweeps) > 0, "sweeps: expected at least one, got none")
        checked: dict[str, Sweep] = {}
        for i, entry in enumerate(sweeps):
            missing = [key for key in ("method", "option", "values", "default", "map") if key not in entry]
            check(
                not missing,
                (
                    f"sweeps[{i}]: expected {', '.join(missing)}, and {'it is' if len(missing) == 1 else 'they are'} "
                    "missing"
                ),
            )
            about = [
                f"{entry['bits']} bits" if "bits" in entry else "",
                f"size {entry['size']}" if "size" in entry else "",
            ]
            about += [f"asked with {entry['asked']}" if "asked" in entry else ""]
            about += [
                f"held fixed: {', '.join(f'{k} {v}' for k, v in entry['fixed'].items())}" if entry.get("fixed") else ""
            ]
            note = "; ".join(part for part in about if part)
            name = f"{entry['method']}, {entry['option']}"
            checked[name] = Sweep(
                entry["method"],
                entry["option"],
                tuple(entry["values"]),
                entry["default"],
                entry["map"],
                note and note[0].upper() + note[1:] + ".",
            )
        super().__init__(AblationState(checked, sweep, position))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"sweep": name, "position": sweep.usual} for name, sweep in self._state.sweeps.items()]

    def _controls(self) -> list[ipw.Widget]:
        sweep = self.choice("sweep", "sweep", [(name, name) for name in self._state.sweeps])
        first = [(str(v), i) for i, v in enumerate(self._state.chosen.values)]
        value = ipw.Dropdown(options=first, description="value", style={"description_width": "initial"})
        value.layout = ipw.Layout(width="auto", margin="2px 16px 2px 0")
        slider = ipw.SelectionSlider(
            options=first, continuous_update=False, layout=ipw.Layout(width="220px"), tooltip="the value, by its place"
        )

        def offer(now: State) -> None:
            options = tuple((str(v), i) for i, v in enumerate(now.chosen.values))
            for control in (value, slider):
                if tuple(control.options) != options:
                    control.options = options

        self._bound.append(offer)
        for control in (value, slider):
            self.bind(control, "position", read=lambda v: self._state.position if v is None else int(v))
        return [self.row(sweep, value, slider)]
