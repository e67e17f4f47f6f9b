"""What every widget shares: a pure state, a thin view, and a static twin.

A `State` is a frozen dataclass. Its fields are the data that it looks at and the inputs that a reader can change;
`change` gives another state, `result` says what it shows. No browser and no ipywidgets take part, so a state is tested
like any function.

A `Widget` holds the present state. Its controls call `set`, and `set` writes the new result into HTML widgets. It uses
neither `interact` nor `Output`.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image

from cmhkit.course.widgets.keys import keys_stay
from cmhkit.support.checks import InputError, check, check_choice

BLUE, VERMILION, ORANGE, GREEN = (
    "#0072B2",
    "#D55E00",
    "#E69F00",
    "#009E73",
)  # Okabe and Ito: told apart by colour-blind readers too
SPLITS = ("query", "retrieval", "train")

STYLE = f"""<style>
.cmh {{ color: var(--jp-content-font-color1, #1a1a1a); font-family: var(--jp-content-font-family, sans-serif); \
font-size: 13px; line-height: 1.4;
  max-width: 100%; overflow-wrap: anywhere; }}
.cmh p {{ margin: 4px 0; }}
.cmh h4 {{ margin: 10px 0 4px; font-size: 13px; font-weight: 600; }}
.cmh-status {{ border-left: 4px solid {BLUE}; padding: 2px 8px; min-height: 1.4em; }}
.cmh-cards {{ display: flex; flex-wrap: wrap; gap: 8px; padding: 4px 0 !important; margin: 0 !important; \
list-style: none !important; }}
.cmh-cards > li {{ list-style: none !important; }}
.cmh-card {{ box-sizing: border-box; width: 128px; padding: 7px; margin: 0; border-radius: 4px;
  border: 1px solid var(--jp-border-color1, #bdbdbd); background: var(--jp-layout-color1, #fff); font-size: 12px; }}
.cmh-yes {{ border: 3px solid {BLUE}; padding: 5px; }}
.cmh-no {{ border: 3px dashed {VERMILION}; padding: 5px; }}
.cmh-card img {{ display: block; width: 100%; margin: 0 auto 3px; background: #fff; }}
.cmh-card .cmh-head {{ display: flex; flex-wrap: wrap; justify-content: space-between; column-gap: 6px; \
font-weight: 600; }}
.cmh-none {{ display: block; padding: 14px 4px; margin-bottom: 3px; text-align: center; \
border: 1px dotted currentColor; }}
.cmh-dim {{ color: var(--jp-content-font-color2, #555); }}
.cmh-bar {{ height: 9px; margin: 2px 0; border: 1px solid currentColor; background: transparent; }}
.cmh-bar > span {{ display: block; height: 100%; background: {BLUE}; }}
.cmh-scroll {{ max-width: 100%; overflow-x: auto; }}
.cmh table {{ border-collapse: collapse; margin: 4px 0 !important; font-size: 13px; table-layout: auto; }}
.cmh caption {{ text-align: left; caption-side: top; padding: 2px 0; }}
.cmh th, .cmh td {{ border: 1px solid var(--jp-border-color1, #bdbdbd); padding: 2px 8px; \
text-align: left !important; }}
.cmh code {{ font-family: var(--jp-code-font-family, monospace); font-size: 12px; \
background: transparent !important; color: inherit;
  padding: 0 !important; }}
.cmh-note {{ font-size: 12px; font-style: italic; color: var(--jp-content-font-color2, #555); }}
.cmh-controls button:focus-visible, .cmh-controls input:focus-visible, .cmh-controls select:focus-visible,
.cmh-controls .noUi-handle:focus-visible {{ outline: 3px solid {ORANGE} !important; outline-offset: 1px; }}
</style>"""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a state shows.

    summary: one or two plain sentences, the text alternative of the picture. html: the picture. Widgets add their
    numbers as further fields.
    """

    summary: str
    html: str


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """Base of the pure states. Subclasses are frozen dataclasses, name their inputs, and implement `_show`."""

    inputs: ClassVar[Mapping[str, str]] = {}  # name of an input: the words that a reader sees

    def change(self, **inputs: Any) -> State:
        """The same state with other inputs. Raises `InputError` on an unknown name or on a value outside its range."""
        for name in inputs:
            check(
                name in self.inputs,
                f"{type(self).__name__}: expected inputs among {', '.join(self.inputs)}, got {name!r}",
            )
        return dataclasses.replace(self, **inputs) if inputs else self

    @cached_property
    def result(self) -> Result:
        """What this state shows; worked out once."""
        return self._show()

    def _show(self) -> Result:
        raise NotImplementedError

    def changed(self, before: State) -> str:
        """Words for the inputs that differ from another state: 'k 10 → 5'."""
        parts = []
        for name, words in self.inputs.items():
            old, new = getattr(before, name), getattr(self, name)
            if isinstance(new, np.ndarray):
                continue
            if old != new:
                parts.append(f"{words} {_word(old)} → {_word(new)}")
        return ", ".join(parts)


def _word(value: Any) -> str:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return f"“{value}”" if isinstance(value, str) and (" " in value or not value) else str(value)


class Static:
    """A fixed picture with text, as a cell's last expression.

    text: plain text, what screen readers, terminals and the notebook tests see. html: what a page shows.
    """

    def __init__(self, text: str, html: str) -> None:
        self.text = text
        self.html = html

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": self.text, "text/html": self.html}


class Widget:
    """A thin view on a `State`.

    Subclasses set `title`, build their controls in `_controls`, and may override `_multiples` (the inputs of the
    default small multiples). At the end of a cell the widget shows itself: live where a kernel runs, else as its static
    twin (a fixed text and page of the present state).
    """

    title: ClassVar[str] = "Widget"

    def __init__(self, state: State) -> None:
        self._state = state
        state.result  # noqa: B018  bad inputs fail here, in the reader's own cell
        self._view: ipw.VBox | None = None
        self._bound: list[Callable[[State], None]] = []
        self._syncing = False

    # the state

    @property
    def state(self) -> State:
        """The present state: pure, frozen."""
        return self._state

    @property
    def result(self) -> Result:
        """What is shown now."""
        return self._state.result

    def set(self, **inputs: Any) -> Result:
        """Change inputs from code, as the controls do; returns the new result. Raises `InputError` and keeps the old
        state on a bad value.
        """
        before, after = self._state, self._state.change(**inputs)
        result = after.result
        self._state = after
        if self._view is not None:
            self._sync()
            self._write(after.changed(before))
        return result

    # the view

    def view(self) -> ipw.VBox:
        """The live view, made once: controls, a line that says what changed, the picture."""
        if self._view is None:
            self._status, self._picture = ipw.HTML(), ipw.HTML()
            for part in (self._status, self._picture):
                part.layout.width = "auto"
                part.layout.margin = "2px 0"
            controls = ipw.VBox(self._controls(), layout=ipw.Layout(width="100%"))
            controls.add_class("cmh-controls")
            style = ipw.HTML(keys_stay(STYLE), layout=ipw.Layout(display="none"))
            self._view = ipw.VBox([style, controls, self._status, self._picture])
            self._view.add_class("cmh-widget")
            self._view.layout.width = "100%"
            self._sync()
            self._write("")
        return self._view

    def _controls(self) -> list[ipw.Widget]:
        return []

    def _write(self, changed: str, problem: str = "") -> None:
        result = self._state.result
        words = problem or (f"{changed}. {result.summary}" if changed else result.summary)
        self._status.value = f'<div class="cmh cmh-status" role="status" aria-live="polite">{escape(words)}</div>'
        if self._picture.value != (html := f'<div class="cmh">{result.html}</div>'):
            self._picture.value = html

    def _sync(self) -> None:
        self._syncing = True
        try:
            for write in self._bound:
                write(self._state)
        finally:
            self._syncing = False

    def _from_control(self, **inputs: Any) -> None:
        """What a control calls. The status line names a bad value, and the controls return to the present state."""
        if self._syncing:
            return
        try:
            self.set(**inputs)
        except InputError as error:
            self._sync()
            self._write("", problem=str(error))

    def bind(
        self,
        control: ipw.Widget,
        name: str,
        read: Callable[[Any], Any] = lambda v: v,
        write: Callable[[Any], Any] = lambda v: v,
    ) -> ipw.Widget:
        """Tie a control's value to an input, both ways. read: value → input; write: input → value."""
        control.observe(lambda change: self._from_control(**{name: read(change["new"])}), names="value")

        def update(state: State) -> None:
            control.value = write(getattr(state, name))

        self._bound.append(update)
        return control

    def number(self, name: str, label: str, low: int, high: int, tooltip: str = "") -> ipw.HBox:
        """A labelled box for a whole number with a slider beside it, both tied to one input."""
        box = ipw.BoundedIntText(
            value=low,
            min=low,
            max=high,
            description=label,
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto", max_width="190px"),
        )
        slider = ipw.IntSlider(
            value=low,
            min=low,
            max=high,
            continuous_update=False,
            readout=False,
            layout=ipw.Layout(width="150px"),
            tooltip=tooltip or label,
        )
        for control in (box, slider):
            self.bind(control, name, read=int)
        return ipw.HBox([box, slider], layout=ipw.Layout(margin="0 16px 0 0"))

    def choice(self, name: str, label: str, options: Sequence[tuple[str, Any]], width: str = "auto") -> ipw.Dropdown:
        """A labelled dropdown tied to one input. options: (words, input). Its own value is the place of the option,
        from 0.

        ipywidgets takes the value None for "nothing is chosen" and shows an empty box; an input may well be None.
        """
        inputs = [given for _, given in options]
        control = ipw.Dropdown(
            options=[(words, place) for place, (words, _) in enumerate(options)],
            description=label,
            style={"description_width": "initial"},
            layout=ipw.Layout(width=width, margin="2px 16px 2px 0"),
        )
        return self.bind(control, name, read=inputs.__getitem__, write=inputs.index)

    def stepper(self, name: str, last: int, tooltip: str) -> ipw.HBox:
        """A position from 0 to `last`: play, step back, step on, and a number to type. name: the input of the state."""

        def step(by: int) -> None:
            self._from_control(**{name: min(max(getattr(self._state, name) + by, 0), last)})

        play = ipw.Play(min=0, max=max(1, last), interval=900, description="play", tooltip=tooltip)
        self.bind(play, name, read=lambda v: min(int(v), last))
        back, on = (
            ipw.Button(description=caption, layout=ipw.Layout(width="auto")) for caption in ("◀ step back", "step on ▶")
        )
        back.on_click(lambda _: step(-1))
        on.on_click(lambda _: step(1))
        return self.row(play, back, on, self.number(name, "step", 0, max(1, last)))

    @staticmethod
    def row(*controls: ipw.Widget) -> ipw.HBox:
        """Controls side by side; they wrap on a narrow page."""
        return ipw.HBox(
            controls, layout=ipw.Layout(flex_flow="row wrap", align_items="center", width="100%", overflow="visible")
        )

    # without a kernel

    def static(self) -> Static:
        """The static twin of the present state: the same text and picture without controls."""
        result = self._state.result
        html = (
            f'{STYLE}<div class="cmh" role="group" aria-label="{escape(self.title)}"><p><b>{escape(self.title)}.</b> '
            f"{escape(result.summary)}</p>"
            f'{result.html}<p class="cmh-note">A still picture of a widget: run this cell to use its controls.</p>'
            "</div>"
        )
        return Static(f"{self.title}. {result.summary}", html)

    def small_multiples(self, *inputs: Mapping[str, Any]) -> Static:
        """A series of still pictures, one for each set of inputs, for the plain cell beside the widget.

        inputs: dictionaries as `set` takes them; without any, a series chosen by the widget. The widget itself does not
        change.
        """
        texts, pages = [], []
        for given in inputs or self._multiples():
            state = self._state.change(**given)
            texts.append(state.result.summary)
            pages.append(f"<h4>{escape(state.result.summary)}</h4>{state.result.html}")
        label = escape(f"{self.title}: {len(pages)} pictures")
        return Static(
            "\n".join(texts), f'{STYLE}<div class="cmh" role="group" aria-label="{label}">{"".join(pages)}</div>'
        )

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return ({},)

    def __repr__(self) -> str:
        return f"{self.title}. {self._state.result.summary}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        live = self.view()._repr_mimebundle_() or {}
        return {
            **self.static()._repr_mimebundle_(),
            **{kind: value for kind, value in live.items() if kind.startswith("application/")},
        }


# pictures and cards


def png(picture: np.ndarray) -> str:
    """A picture as a PNG data URI, with at most 96 colours to keep notebooks small. picture: uint8, (R, C, 3) or (R,
    C).
    """
    image, buffer = Image.fromarray(np.ascontiguousarray(picture)), io.BytesIO()
    (image.quantize(96, dither=Image.Dither.NONE) if image.mode == "RGB" else image).save(
        buffer, format="png", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def img(picture: np.ndarray, alt: str, style: str = "") -> str:
    """An `<img>` with its alternative text. picture: uint8 (R, C, 3) or (R, C)."""
    styled = f' style="{style}"' if style else ""
    return f'<img src="{png(picture)}" alt="{escape(alt)}"{styled}>'


def card(head: Sequence[str], picture: str, lines: Sequence[str], relevant: bool | None = None) -> str:
    """One card: a head line, a picture (HTML), lines of text.

    relevant: True has a solid border and ✓, False a dashed border and ✗, None neither.
    """
    kind = "" if relevant is None else " cmh-yes" if relevant else " cmh-no"
    spans = "".join(f"<span>{escape(part)}</span>" for part in head)
    texts = "".join(f"<div>{escape(line)}</div>" for line in lines if line)
    return f'<li class="cmh-card{kind}"><div class="cmh-head">{spans}</div>{picture}{texts}</li>'


def cards(items: Sequence[str], label: str) -> str:
    """A list of cards that wraps. label: what a screen reader says of the list."""
    return f'<ul class="cmh-cards" aria-label="{escape(label)}">{"".join(items)}</ul>'


def mark(relevant: bool | None) -> str:
    """'✓ relevant', '✗ not relevant', or nothing."""
    return "" if relevant is None else "✓ relevant" if relevant else "✗ not relevant"


def bars(title: str, heights: np.ndarray, captions: Sequence[str], half: bool = False, now: int | None = None) -> str:
    """Small upright bars, as HTML.

    heights: 0 to 1. captions: the value of each, its tooltip; the list is the text alternative too. half: a line at
    one half. now: fill this bar only.
    """
    columns = []
    for i, (height, words) in enumerate(zip(heights, captions, strict=True)):
        fill = "#0072B2" if now is None or i == now else "transparent"
        bar = f"width:72%;height:{40 * float(np.clip(height, 0, 1)):.1f}px;background:{fill};"
        bar += "border:1px solid currentColor;box-sizing:border-box;margin:0 auto"
        columns.append(
            f'<span title="{escape(words)}" style="flex:1 1 0;min-width:0;display:flex;align-items:flex-end">'
            f'<span style="{bar}"></span></span>'
        )
    line = (
        '<span style="position:absolute;left:0;right:0;bottom:20px;border-top:1px dashed currentColor"></span>'
        if half
        else ""
    )
    return (
        f'<h4>{escape(title)}</h4><div role="img" aria-label="{escape(title)}. {escape("; ".join(captions))}" '
        'style="position:relative;display:flex;height:40px;border-bottom:1px solid '
        f'currentColor">{line}{"".join(columns)}</div>'
    )


# reading PairedData and Split


def is_picture(images: Any) -> bool:
    """Whether an images array holds pictures, uint8 (n, R, C, 3), and not feature vectors."""
    return getattr(images, "ndim", 0) == 4


def label_list(labels: Any, names: Sequence[str] | None, position: int) -> list[str]:
    """The names of an item's labels; empty without labels."""
    if labels is None:
        return []
    columns = np.flatnonzero(np.asarray(labels)[position])
    return [str(names[c]) if names is not None and len(names) > c else f"label {c}" for c in columns]


def drawing_list(truth: Any, position: int) -> list[str]:
    """The names of a scene's drawings, in the order of its mask; empty without the truth."""
    if truth is None or getattr(truth, "drawings", None) is None:
        return []
    names = truth.names
    return [str(names[d]) for d in np.asarray(truth.drawings[position]) if d >= 0]


def picture_of(items: Any, position: int, names: Sequence[str] | None = None, style: str = "") -> str:
    """An item's picture as HTML with alternative text; a dotted box where the data hold feature vectors only.

    items: a Split or PairedData. position: its row in them.
    """
    content = drawing_list(getattr(items, "truth", None), position) or label_list(items.labels, names, position)
    alt = (
        f"Scene {int(items.ids[position])}: {', '.join(content)}" if content else f"Picture {int(items.ids[position])}"
    )
    if is_picture(items.images):
        return img(items.images[position], alt, style)
    return f'<span class="cmh-none" role="img" aria-label="{escape(alt)}">no picture</span>'


def tags_of(items: Any, position: int) -> str:
    """An item's text; without texts, a word on its vector."""
    if items.texts is not None:
        return str(items.texts[position])
    vector = np.asarray(items.text_vectors[position])
    top = np.argsort(-vector, kind="stable")[:3]
    return "largest text features: " + ", ".join(f"{i}" for i in top)


class Parts:
    """A data set with each split taken once (taking one copies its pictures) and a name for every label.

    data: PairedData.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        count = 0 if data.labels is None else np.asarray(data.labels).shape[1]
        given = list(getattr(data, "label_names", None) or [])
        self.names = [str(given[c]) if c < len(given) else f"label {c}" for c in range(count)]
        self._taken: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._taken:
            self._taken[name] = getattr(self.data, check_choice("split", name, SPLITS))
        return self._taken[name]
