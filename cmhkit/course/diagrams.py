"""A drawing of each paper's method, and the map of the course, as vector pictures that code draws.

    diagrams.method("ugach", lit="generator")   # at the end of a cell; the rest of the method is pale
    diagrams.course_map()

A method is declared once, as boxes, arrows and the players that own them; one function draws any declaration. A box
names the code that it stands for. A thick arrow says along which way a player's gradient flows back, a thin one carries
values only, and two bars say where a gradient would go on and is stopped. The text alternative is written from the
same declaration. Colours are those of the widgets, and each player has a line of its own, so colour never stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from textwrap import wrap

from cmhkit.course.widgets.base import BLUE, GREEN, ORANGE, VERMILION, Static
from cmhkit.support.checks import check, check_choice

Point = tuple[int, int]


@dataclass(frozen=True)
class Player:
    """Who owns weights and steps on a loss. ink: "blue", "vermilion" or "green". words: for the legend."""

    ink: str
    words: str


@dataclass(frozen=True)
class Box:
    """One part of a method.

    at: x, y, width, height. kind: "data"; "module", which has weights; "function", which has none; "loss"; "panel",
    which holds other boxes. title, name, note: its lines; the name is that of the code. where: the module of `cmhkit`
    that has the name; "fitted" or "fitted network" for an attribute of a fitted hasher or of its `network_`. owners:
    keys of players, whose weights these are, who step on this loss, or from whom these data come.
    """

    at: tuple[int, int, int, int]
    kind: str
    title: str
    name: str = ""
    where: str = ""
    note: str = ""
    owners: str = ""


@dataclass(frozen=True)
class Arrow:
    """From one box's border to another's, by way of points. owners: whose gradient flows back along it; none: values
    only. stop: where on it a gradient ends that would go on. label, label_at: words beside it, and where these start.
    """

    start: str
    end: str
    points: tuple[Point, ...]
    owners: str = ""
    label: str = ""
    label_at: Point = (0, 0)
    stop: Point | None = None


@dataclass(frozen=True)
class Method:
    """A paper's drawing. Players' keys are single letters. parts: what a lesson may be about, each as the keys of its
    boxes with blanks between; a minus before the first: all boxes but these.
    """

    title: str
    size: Point
    players: Mapping[str, Player]
    boxes: Mapping[str, Box]
    arrows: Sequence[Arrow]
    parts: Mapping[str, str]

    def part(self, name: str) -> frozenset[str]:
        """The boxes of a part, by their keys."""
        keys = frozenset(self.parts[name].lstrip("-").split())
        return frozenset(self.boxes) - keys if self.parts[name].startswith("-") else keys


class Picture(Static):
    """A drawing as a cell's last expression. svg: the drawing alone, a whole file."""

    def __init__(self, svg: str, text: str) -> None:
        scroll = 'tabindex="0" role="region" aria-label="A drawing, which scrolls" style="overflow-x:auto"'
        super().__init__(text, f"<div {scroll}>{svg}</div>")
        self.svg = svg


def method(name: str, lit: str | None = None) -> Picture:
    """The drawing of a paper's method. name: "ugach", "adah" or "ssah". lit: the part that is shown in full while the
    rest is pale; None shows everything. Errors: `InputError` for a name or a part that is not there.
    """
    check_choice("name", name, tuple(METHODS))
    drawing = METHODS[name]
    known = f"lit: expected None or one of {', '.join(map(repr, drawing.parts))} for {name!r}, got {lit!r}"
    check(lit is None or lit in tuple(drawing.parts), known)
    shown = frozenset(drawing.boxes) if lit is None else drawing.part(lit)
    pale, full = [], []
    for key, box in sorted(drawing.boxes.items(), key=lambda item: item[1].kind != "panel"):
        (full if key in shown else pale).append(_box(box, drawing))
    for arrow in drawing.arrows:
        (full if {arrow.start, arrow.end} <= shown else pale).append(_arrow(arrow, drawing))
    body = [f"<g class='pale'>{''.join(pale)}</g>" if pale else "", *full]
    svg = _svg(drawing.size, drawing.title, describe(drawing, lit), [*body, *_legend(drawing)])
    return Picture(svg, f"{drawing.title}. {describe(drawing, lit, ways=False)}")


def describe(drawing: Method, lit: str | None = None, *, ways: bool = True) -> str:
    """A drawing in words: the players, what each owns and steps on, the part that is lit, and, with `ways`, every arrow
    and where gradients stop.
    """
    boxes, sentences = drawing.boxes, []
    for key, player in drawing.players.items():
        own = [box for box in boxes.values() if key in box.owners]
        weights, losses = (_listed(box for box in own if box.kind == kind) for kind in ("module", "loss"))
        sentences.append(f"{player.words} Weights: {weights}. Steps on: {losses}.")
    if lit is not None:
        sentences.append(f"Lit: {lit}, that is {_listed(boxes[key] for key in boxes if key in drawing.part(lit))}.")
    if ways:
        starts = dict.fromkeys(arrow.start for arrow in drawing.arrows)
        ends = {start: _listed(boxes[a.end] for a in drawing.arrows if a.start == start) for start in starts}
        sentences.append(f"Arrows: {'; '.join(f'{_called(boxes[start])} → {to}' for start, to in ends.items())}.")
        stops = [
            f"{_called(boxes[a.start])} → {_called(boxes[a.end])}{f' ({a.label})' if a.owners else ''}"
            for a in drawing.arrows
            if a.stop
        ]
        sentences.append(f"A gradient stops at: {'; '.join(stops)}.")
    return " ".join(sentences)


def _listed(boxes: Iterable[Box]) -> str:
    return ", ".join(dict.fromkeys(_called(box) for box in boxes))


def _called(box: Box) -> str:
    return "the panel of terms" if box.kind == "panel" else box.name or box.title


# ── Drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

LINE = 17  # pixels from one line of text to the next
#: The players' colours, and their lines: solid, dashed, dotted.
INKS = {"blue": (BLUE, "none"), "vermilion": (VERMILION, "7 3"), "green": (GREEN, "2 3")}
STYLE = (
    ".cmd{--i:var(--jp-content-font-color1,#1a1a1a);--p:var(--jp-layout-color1,#fff);display:block;color:var(--i);"
    "font:13px/1 var(--jp-content-font-family,system-ui,'DejaVu Sans',sans-serif)}"
    "@media(prefers-color-scheme:dark){.cmd{--i:var(--jp-content-font-color1,#e9eaec);"
    "--p:var(--jp-layout-color1,#15171b)}}"
    ".cmd text,.cmd .head{fill:var(--i)}.cmd text{text-anchor:middle}"
    ".cmd .l{text-anchor:start}.cmd .b{font-weight:600}.cmd tspan{font-size:11px}.cmd .n{font-size:13px}"
    ".cmd .c{font:12px var(--jp-code-font-family,'DejaVu Sans Mono',monospace)}.cmd .paper{fill:var(--p)}"
    ".cmd .thin,.cmd .bars,.cmd .way,.cmd .rail{fill:none;stroke:var(--i);stroke-width:1.2}.cmd .bars{stroke-width:2}"
    ".cmd .way{stroke-width:3.5}.cmd .rail{stroke-width:7;stroke-linejoin:round}.cmd .grey{stroke-opacity:.35}"
    ".cmd .data{fill:var(--i);fill-opacity:.07;stroke:var(--i);stroke-opacity:.35}"
    ".cmd .function{fill:var(--p);stroke:var(--i);stroke-width:1.2}"
    ".cmd .panel{fill:none;stroke:var(--i);stroke-opacity:.5;stroke-dasharray:1 3}"
    ".cmd .module,.cmd .loss{fill-opacity:.16;stroke-width:2.5}.cmd .pale{opacity:.45}"
    + "".join(
        f".cmd .{ink}{{stroke:{colour};stroke-dasharray:{dash}}}.cmd .f-{ink}{{fill:{colour}}}"
        for ink, (colour, dash) in INKS.items()
    )
)


def _svg(size: Point, title: str, words: str, body: Sequence[str]) -> str:
    width, height = size
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' class='cmd' role='img' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}'><title>{_escaped(title)}</title><desc>{_escaped(words)}</desc>"
        f"<style>{STYLE}</style><rect class='paper' width='{width}' height='{height}'/>{''.join(body)}</svg>"
    )


def _escaped(words: str) -> str:
    return escape(words, quote=False)


def _math(words: str) -> str:
    """Words with `x^G` and `p_θ` raised and lowered, as SVG."""
    parts, back = [], ""
    for plain, sign, one in _pieces(words):
        dy = {"^": -4, "_": 3}.get(sign, 0)
        inside = _escaped(one or plain)
        if sign:
            parts.append(f"<tspan dy='{dy}'>{inside}</tspan>")
        else:
            parts.append(f"<tspan class='n' dy='{back}'>{inside}</tspan>" if back else inside)
        back = -dy
    return "".join(parts)


def _pieces(words: str) -> list[tuple[str, str, str]]:
    """(plain, "", "") and ("", "^" or "_", raised or lowered) in turn; two marks never stand side by side."""
    return re.findall(r"([^_^]+)|([_^])(.)", words)


def _text(x: int, y: int, words: str, kind: str = "") -> str:
    inside = _escaped(words) if kind == "c" else _math(words)
    return f"<text x='{x}' y='{y}'" + (f" class='{kind}'" if kind else "") + f">{inside}</text>"


def lines_of(box: Box) -> list[tuple[str, Point, str]]:
    """A box's lines of text: the words, where the middle of each stands, and its kind, "b", "c" or ""."""
    x, y, w, h = box.at
    lines = [(words, kind) for words, kind in ((box.title, "b"), (box.name, "c")) if words]
    lines += [(words, "") for words in (box.note.split("\n") if box.note else [])]
    first = y + LINE + 2 if box.kind == "panel" else y + h // 2 - LINE * (len(lines) - 1) // 2 + 5
    return [(words, (x + w // 2, first + LINE * i), kind) for i, (words, kind) in enumerate(lines) if words]


def _box(box: Box, drawing: Method) -> str:
    x, y, w, h = box.at
    radius = {"loss": min(h // 2, 24), "data": 10}.get(box.kind, 4)
    inks = [drawing.players[key].ink for key in box.owners]
    look = " ".join([box.kind, *(f"{ink} f-{ink}" for ink in inks[:1])])
    shape = f"<rect x='{x}' y='{y}' width='{w}' height='{h}' rx='{radius}' class='{look}'/>"
    for ink in inks[1:]:
        place = f"x='{x + 4}' y='{y + 4}' width='{w - 8}' height='{h - 8}' rx='{radius - 4}'"
        shape += f"<rect {place} class='loss {ink}' fill='none'/>"
    return shape + "".join(_text(*place, words, kind) for words, place, kind in lines_of(box))


def _arrow(arrow: Arrow, drawing: Method) -> str:
    inks = [drawing.players[key].ink for key in arrow.owners]
    (x0, y0), (x, y) = arrow.points[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    long, half = (9, 5 + len(inks)) if inks else (8, 4)
    foot = (x - dx * long, y - dy * long)
    way = (*arrow.points[:-1], foot)
    corners = [(foot[0] - side * dy * half, foot[1] + side * dx * half) for side in (-1, 1)]
    if len(inks) == 2:  # a lane and half of the head each
        shape = "".join(
            f"<path class='way {ink}' d='{_path(_beside(way, 3 * side))}'/>"
            f"<path class='f-{ink}' d='{_path((foot, corner, (x, y)))}z'/>"
            for ink, side, corner in zip(inks, (-1, 1), corners, strict=True)
        )
    else:
        line, head = (f"way {inks[0]}", f"f-{inks[0]}") if inks else ("thin", "head")
        shape = f"<path class='{line}' d='{_path(way)}'/><path class='{head}' d='{_path((*corners, (x, y)))}z'/>"
    if arrow.stop:
        shape += _bars(arrow.points, *arrow.stop)
    return shape + (_text(*arrow.label_at, arrow.label, "l") if arrow.label else "")


def _bars(points: Sequence[Point], x: int, y: int) -> str:
    """Two bars across a way at a point of it."""
    level = any(y0 == y == y1 and min(x0, x1) <= x <= max(x0, x1) for (x0, y0), (x1, y1) in pairwise(points))
    bars = [(x - 3, y - 7, 0, 14), (x + 2, y - 7, 0, 14)] if level else [(x - 7, y - 3, 14, 0), (x - 7, y + 2, 14, 0)]
    return f"<path class='bars' d='{''.join(f'M{a} {b}l{c} {d}' for a, b, c, d in bars)}'/>"


def _beside(points: Sequence[Point], lane: int) -> list[Point]:
    """A way of level and upright pieces, moved by some pixels to its right (left where negative)."""
    normals = [((y0 > y1) - (y0 < y1), (x1 > x0) - (x1 < x0)) for (x0, y0), (x1, y1) in pairwise(points)]
    moved = []
    for i, (x, y) in enumerate(points):
        around = {*normals[max(i - 1, 0) : i + 1]}
        moved.append((x + lane * sum(n[0] for n in around), y + lane * sum(n[1] for n in around)))
    return moved


def _path(points: Sequence[Point]) -> str:
    steps = (f"l{x1 - x0} {y1 - y0}" for (x0, y0), (x1, y1) in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}{''.join(steps)}"


def _legend(drawing: Method) -> list[str]:
    """What the colours and the arrows mean, at the foot of the drawing."""
    y, made = drawing.size[1] - 22 * (len(drawing.players) + 1) - 4, []
    for player in drawing.players.values():
        look = f"module {player.ink} f-{player.ink}"
        made.append(f"<rect class='{look}' x='12' y='{y}' width='30' height='14' rx='3'/>")
        made.append(_text(52, y + 11, player.words, "l"))
        y += 22
    first = next(iter(drawing.players))
    for x, owners, stop, words in (
        (12, first, None, "the gradient of the player of this colour flows back"),
        (430, "", None, "values only"),
        (572, "", (589, y + 7), "a gradient stops"),
    ):
        made.append(_arrow(Arrow("", "", ((x, y + 7), (x + 34, y + 7)), owners, stop=stop), drawing))
        made.append(_text(x + 42, y + 11, words, "l"))
    return made


# ── The methods ───────────────────────────────────────────────────────────────────────────────────────────────────────

_UGACH = Method(
    "UGACH: two players, no labels",
    (840, 486),
    {
        "d": Player("blue", "D, the discriminator: ranks related items above drawn ones, and gives the codes."),
        "g": Player("vermilion", "G, the generator: chooses items that D takes for related ones."),
    },
    {
        "pairs": Box(
            (8, 20, 112, 374), "data", "training pairs", note="\npictures\n(n, d)\n\ntexts\n(n, t)\n\nno labels"
        ),
        "graphs": Box((160, 20, 170, 64), "function", "two graphs", "knn_graph", "graphs", "of pictures, of texts"),
        "related": Box(
            (390, 20, 200, 64), "function", "related items", "related_items", "ugach.fit", "neighbours in either"
        ),
        "discriminator": Box(
            (160, 130, 170, 64), "module", "discriminator D", "discriminator_", "fitted", "h(q), h(x)", "d"
        ),
        "score": Box((390, 130, 200, 64), "function", "score of x^G", "relevance_score", "ugach.losses", "f_φ(x^G, q)"),
        "d_loss": Box((650, 130, 180, 64), "loss", "D descends", "discriminator_loss", "ugach.losses", "on f", "d"),
        "codes": Box((160, 232, 170, 56), "function", "codes for retrieval", "binary_code", "ugach.model"),
        "draws": Box((390, 232, 200, 56), "function", "x^G is drawn", "multinomial", "support.draws"),
        "reward": Box((650, 232, 180, 56), "function", "reward of x^G", "generator_reward", "ugach.losses"),
        "generator": Box((160, 330, 170, 64), "module", "generator G", "generator_", "fitted", "h(q), h(x)", "g"),
        "p": Box(
            (390, 330, 200, 64), "function", "how it chooses", "generator_log_probability", "ugach.losses", "p_θ(x | q)"
        ),
        "g_loss": Box((650, 330, 180, 64), "loss", "G descends", "policy_loss", "ugach.losses", "on −r log p", "g"),
    },
    [
        Arrow("pairs", "graphs", ((120, 52), (160, 52))),
        Arrow("pairs", "discriminator", ((120, 162), (160, 162))),
        Arrow("pairs", "generator", ((120, 362), (160, 362))),
        Arrow("graphs", "related", ((330, 52), (390, 52))),
        Arrow("related", "score", ((490, 84), (490, 130)), label="x^M", label_at=(500, 110)),
        Arrow("discriminator", "score", ((330, 162), (390, 162)), "d", "h", (354, 152)),
        Arrow("discriminator", "codes", ((245, 194), (245, 232))),
        Arrow("score", "d_loss", ((590, 152), (650, 152)), "d", "f", (616, 142)),
        Arrow("score", "reward", ((590, 178), (620, 178), (620, 260), (650, 260)), stop=(620, 219)),
        Arrow("draws", "score", ((490, 232), (490, 194)), label="x^G", label_at=(500, 217)),
        Arrow("p", "draws", ((490, 330), (490, 288)), label="p", label_at=(503, 313), stop=(490, 312)),
        Arrow("generator", "p", ((330, 362), (390, 362)), "g", "h", (354, 352)),
        Arrow("p", "g_loss", ((590, 362), (650, 362)), "g", "log p", (601, 352)),
        Arrow("reward", "g_loss", ((740, 288), (740, 330)), label="r", label_at=(750, 313)),
    ],
    {
        "graphs": "pairs graphs related",
        "generator": "pairs generator p draws",
        "discriminator": "pairs related discriminator score codes d_loss",
        "models": "pairs related discriminator score codes d_loss generator p draws",
        "game": "-graphs codes",
    },
)
_ADAH = Method(
    "ADAH: attention hides, the rest must still retrieve",
    (840, 572),
    {
        "d": Player("blue", "E and D, features and hashing: rank similar items first, and give the codes sign(H)."),
        "g": Player("vermilion", "G, attention: takes from the unattended part what could still be ranked."),
    },
    {
        "images": Box((8, 118, 76, 64), "data", "pictures"),
        "texts": Box((8, 318, 76, 64), "data", "texts"),
        "image_attention": Box(
            (190, 20, 172, 64), "module", "attention G^I", "image_attention", "fitted network", "mask Z = [P ≥ α]", "g"
        ),
        "image_features": Box(
            (106, 118, 122, 64), "module", "features E^I", "image_features", "fitted network", "lab: frozen", "d"
        ),
        "image_head": Box((326, 118, 120, 64), "module", "hashing D^I", "image_head", "fitted network", owners="d"),
        "text_features": Box(
            (106, 318, 122, 64), "module", "features E^T", "text_features", "fitted network", owners="d"
        ),
        "text_head": Box((326, 318, 120, 64), "module", "hashing D^T", "text_head", "fitted network", owners="d"),
        "text_attention": Box(
            (190, 416, 172, 64), "module", "attention G^T", "text_attention", "fitted network", "mask Z = [P ≥ α]", "g"
        ),
        "adversarial": Box(
            (528, 196, 158, 108),
            "loss",
            "two terms",
            "adversarial_terms",
            "adah.losses",
            "H^T → Ĥ^I, H^I → Ĥ^T\nE, D descend,\nG ascends",
            "dg",
        ),
        "retrieval": Box(
            (708, 110, 126, 280),
            "loss",
            "four terms",
            "retrieval_terms",
            "adah.losses",
            "E, D descend\n\nT → I, I → T\nI → I, T → T",
            "d",
        ),
        "labels": Box((708, 12, 126, 62), "data", "labels", note="S: who is similar,\nfor both"),
    },
    [
        Arrow("images", "image_features", ((84, 150), (106, 150))),
        Arrow("texts", "text_features", ((84, 350), (106, 350))),
        Arrow("image_features", "image_attention", ((150, 118), (150, 52), (190, 52)), "d"),
        Arrow("text_features", "text_attention", ((150, 382), (150, 448), (190, 448)), "d"),
        Arrow("image_features", "image_head", ((228, 150), (326, 150)), "d", "f^I", (266, 140)),
        Arrow("text_features", "text_head", ((228, 350), (326, 350)), "d", "f^T", (266, 340)),
        Arrow("image_attention", "image_head", ((362, 52), (400, 52), (400, 118)), "dg", "Z, 1 − Z", (410, 90)),
        Arrow("text_attention", "text_head", ((362, 448), (400, 448), (400, 382)), "dg", "Z, 1 − Z", (410, 418)),
        Arrow("image_head", "retrieval", ((446, 134), (708, 134)), "d", "H^I attended", (454, 124)),
        Arrow("image_head", "adversarial", ((446, 166), (566, 166), (566, 196)), "dg", "Ĥ^I unattended", (454, 190)),
        Arrow(
            "image_head", "adversarial", ((446, 134), (620, 134), (620, 196)), "d", "not for G", (632, 164), (620, 160)
        ),
        Arrow("text_head", "retrieval", ((446, 366), (708, 366)), "d", "H^T attended", (454, 386)),
        Arrow("text_head", "adversarial", ((446, 334), (566, 334), (566, 304)), "dg", "Ĥ^T unattended", (454, 320)),
        Arrow(
            "text_head", "adversarial", ((446, 366), (620, 366), (620, 304)), "d", "not for G", (632, 344), (620, 340)
        ),
        Arrow("labels", "retrieval", ((771, 74), (771, 110))),
    ],
    {
        "masks": "-adversarial retrieval labels",
        "losses": "image_head text_head adversarial retrieval labels",
        "game": "-images texts",
    },
)
_SSAH = Method(
    "SSAH: a network that reads labels teaches two others",
    (840, 704),
    {
        "n": Player("blue", "ImgNet and TxtNet: learn from LabNet’s features and codes, and give the codes."),
        "l": Player("green", "LabNet: learns from the labels alone, and teaches."),
        "d": Player("vermilion", "The discriminators D: tell LabNet’s features from the others’."),
    },
    {
        "panel": Box(
            (10, 400, 820, 190),
            "panel",
            "Each network descends on α J_1 + γ J_2 + η J_3 + β J_4, ImgNet and TxtNet also on the adversarial term",
        ),
        "images": Box((10, 14, 160, 36), "data", "pictures"),
        "labels": Box((340, 14, 160, 36), "data", "labels"),
        "texts": Box((670, 14, 160, 36), "data", "texts"),
        "fusion": Box((670, 76, 160, 44), "module", "multi-scale fusion", "MultiScaleFusion", "ssah.model", owners="n"),
        "image": Box(
            (10, 146, 160, 80),
            "module",
            "ImgNet",
            "network_.image",
            "fitted",
            "features F^v\ncode H^v, labels L̂^v",
            "n",
        ),
        "label": Box(
            (340, 146, 160, 80),
            "module",
            "LabNet",
            "network_.label",
            "fitted",
            "features F^l\ncode H^l, labels L̂^l",
            "l",
        ),
        "text": Box(
            (670, 146, 160, 80),
            "module",
            "TxtNet",
            "network_.text",
            "fitted",
            "features F^t\ncode H^t, labels L̂^t",
            "n",
        ),
        "image_d": Box(
            (178, 250, 154, 50), "module", "F^l or F^v?", "image_discriminator", "fitted network", owners="d"
        ),
        "text_d": Box((508, 250, 154, 50), "module", "F^l or F^t?", "text_discriminator", "fitted network", owners="d"),
        "image_d_loss": Box((178, 164, 154, 44), "loss", "D descends", "discriminator_loss", "ssah.losses", owners="d"),
        "text_d_loss": Box((508, 164, 154, 44), "loss", "D descends", "discriminator_loss", "ssah.losses", owners="d"),
        "image_game": Box(
            (178, 334, 154, 44), "loss", "ImgNet deceives D", "adversarial_term", "ssah.losses", owners="n"
        ),
        "text_game": Box(
            (508, 334, 154, 44), "loss", "TxtNet deceives D", "adversarial_term", "ssah.losses", owners="n"
        ),
        "j1": Box((20, 432, 188, 50), "loss", "J_1: features fit S", "feature_likelihood", "ssah.losses", owners="nl"),
        "j2": Box((224, 432, 188, 50), "loss", "J_2: codes fit S", "code_likelihood", "ssah.losses", owners="nl"),
        "j3": Box((428, 432, 188, 50), "loss", "J_3: codes near ±1", "quantisation_loss", "ssah.losses", owners="nl"),
        "j4": Box((632, 432, 188, 50), "loss", "J_4: labels are found", "label_loss", "ssah.losses", owners="nl"),
        "bank_f": Box((20, 526, 188, 50), "data", "LabNet’s F^l", note="as last seen", owners="l"),
        "bank_h": Box((224, 526, 188, 50), "data", "LabNet’s H^l", note="as last seen", owners="l"),
        "b": Box((428, 526, 188, 50), "function", "B = sign(H^v + H^t + H^l)", "shared_code", "ssah.losses"),
        "truth": Box((632, 526, 188, 50), "data", "the labels L"),
    },
    [
        Arrow("images", "image", ((90, 50), (90, 146))),
        Arrow("labels", "label", ((420, 50), (420, 146))),
        Arrow("texts", "fusion", ((750, 50), (750, 76))),
        Arrow("fusion", "text", ((750, 120), (750, 146)), "n"),
        Arrow("image", "panel", ((60, 226), (60, 400)), "n", "F^v, H^v, L̂^v", (70, 330)),
        Arrow("label", "panel", ((420, 226), (420, 400)), "l", "F^l, H^l, L̂^l", (430, 330)),
        Arrow("text", "panel", ((780, 226), (780, 400)), "n", "F^t, H^t, L̂^t", (690, 330)),
        Arrow("image", "image_d", ((120, 226), (120, 275), (178, 275)), "n", "F^v", (130, 265)),
        Arrow("text", "text_d", ((720, 226), (720, 275), (662, 275)), "n", "F^t", (694, 265)),
        Arrow("label", "image_d", ((370, 226), (370, 275), (332, 275)), "", "F^l", (340, 265), (370, 246)),
        Arrow("label", "text_d", ((470, 226), (470, 275), (508, 275)), "", "F^l", (484, 265), (470, 246)),
        Arrow("image_d", "image_d_loss", ((255, 250), (255, 208)), "d"),
        Arrow("text_d", "text_d_loss", ((585, 250), (585, 208)), "d"),
        Arrow("image_d", "image_game", ((255, 300), (255, 334)), "n"),
        Arrow("text_d", "text_game", ((585, 300), (585, 334)), "n"),
        Arrow("bank_f", "j1", ((114, 526), (114, 482)), stop=(114, 506)),
        Arrow("bank_h", "j2", ((318, 526), (318, 482)), stop=(318, 506)),
        Arrow("b", "j3", ((522, 526), (522, 482)), stop=(522, 506)),
        Arrow("truth", "j4", ((726, 526), (726, 482))),
    ],
    {
        "labnet": "labels label panel j1 j2 j3 j4 bank_f bank_h b truth",
        "supervision": "images labels texts fusion image label text panel j1 j2 j3 j4 bank_f bank_h b truth",
        "game": "image label text image_d text_d image_d_loss text_d_loss image_game text_game",
    },
)

METHODS = {"ugach": _UGACH, "adah": _ADAH, "ssah": _SSAH}

# ── The map of the course ─────────────────────────────────────────────────────────────────────────────────────────────

#: The lessons: number, name, minutes to read. The notebooks' own headers say the same, or a test fails.
LESSONS = (
    ("00", "Start here", 15),
    ("01", "Hamming space", 45),
    ("02", "Pairs and protocol", 45),
    ("10", "UGACH: correlation graph", 45),
    ("11", "UGACH: two models", 40),
    ("12", "UGACH: adversarial", 50),
    ("20", "ADAH: attention masks", 40),
    ("21", "ADAH: losses", 40),
    ("22", "ADAH: adversarial", 40),
    ("30", "SSAH: LabNet", 45),
    ("31", "SSAH: supervision", 45),
    ("32", "SSAH: adversarial", 40),
    ("40", "Side by side", 40),
    ("41", "Failure gallery", 45),
    ("42", "Your own data", 35),
    ("43", "Codes in a database", 35),
)
#: The three lines of the map, one a paper: the first digit of its lessons, its name, what it learns by, a colour.
_PAPERS = (
    ("1", "UGACH", "no labels", "#CC79A7"),
    ("2", "ADAH", "attention", "#56B4E9"),
    ("3", "SSAH", "labels teach", ORANGE),
)
_COLUMNS, _ROWS, _FIRST, _LAST = (18, 141, 264), (188, 256, 324), 24, 420
_FORK, _JOIN, _LAST_COLUMNS = 112, 376, (18, 104, 190, 276)


def course_map() -> Picture:
    """The lessons as stations: three in common, then a line for each of the three papers, then the last ones."""
    left, _, right = _COLUMNS
    body = [_rail([(left, _FIRST), (right, _FIRST), (right, _FORK), (left, _FORK), (left, _FORK + 9)])]
    body += [_rail([(right, _JOIN), (left, _JOIN), (left, _LAST), (_LAST_COLUMNS[-1], _LAST)])]
    for x, (_, paper, learns, colour) in zip(_COLUMNS, _PAPERS, strict=True):
        body.append(_rail([(x, _FORK), (x, _JOIN)], colour))
        body += [_text(x + 22, _FORK + 22, paper, "l b"), _text(x + 22, _FORK + 38, learns, "l")]
    columns = {digit: x for x, (digit, *_) in zip(_COLUMNS, _PAPERS, strict=True)}
    for number, name, minutes in LESSONS:
        on_a_line, place = number[0] in columns, int(number[1])
        x = columns.get(number[0], (_LAST_COLUMNS if number[0] == "4" else _COLUMNS)[place])
        y = _ROWS[place] if on_a_line else _FIRST if number[0] == "0" else _LAST
        body.append(f"<circle class='function' cx='{x}' cy='{y}' r='15'/>" + _text(x, y + 5, number, "b"))
        short = name.partition(": ")[2] or name
        label = [*wrap(short[0].upper() + short[1:], 11), f"{minutes} min"]
        start = (x + 22, y + 1) if on_a_line else (x + 12, y + 31)
        body += [_text(start[0], start[1] + 15 * i, words, "l") for i, words in enumerate(label)]
    listed = {digit: ", ".join(f"{n} {name}" for n, name, _ in LESSONS if n[0] == digit) for digit in "01234"}
    words = (
        f"{len(LESSONS)} lessons, {sum(lesson[2] for lesson in LESSONS)} minutes to read. First {listed['0']}. Then "
        f"three lines, one a paper: {listed['1']}; {listed['2']}; {listed['3']}. Last {listed['4']}."
    )
    return Picture(_svg((368, 490), "The map of the course", words, body), f"The map of the course. {words}")


def _rail(points: Sequence[Point], colour: str = "") -> str:
    look = f"class='rail' style='stroke:{colour}'" if colour else "class='rail grey'"
    return f"<path {look} d='{_path(points)}'/>"
