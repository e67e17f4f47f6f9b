"""The drawings of the methods and the map of the course: what they say is in the code, can be read, and is still so.

Texts are measured in DejaVu, the widest of the fonts that the drawings name; it comes with matplotlib.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont
from torch import nn

import cmhkit as ck
from cmhkit.course import diagrams
from cmhkit.course.diagrams import METHODS, Box
from cmhkit.support.checks import InputError
from tools import accessibility, notebooks, picture

ROOT = Path(__file__).parents[2]
SAVED = Path(__file__).parent / "saved" / "format1"
SVG = "{http://www.w3.org/2000/svg}"
PAPERS = tuple(METHODS)
PARTS = [(paper, part) for paper in PAPERS for part in METHODS[paper].parts]
BOXES = [pytest.param(paper, key, id=f"{paper}-{key}") for paper in PAPERS for key in METHODS[paper].boxes]
ARROWS = [
    pytest.param(paper, arrow, id=f"{paper}-{arrow.start}-{arrow.end}")
    for paper in PAPERS
    for arrow in METHODS[paper].arrows
]
Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def edges(box: Box) -> Rectangle:
    x, y, w, h = box.at
    return x, y, x + w, y + h


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(a: Rectangle, b: Rectangle) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


@cache
def font(kind: str, size: int) -> Any:
    name = {"b": "DejaVuSans-Bold", "c": "DejaVuSansMono"}.get(kind, "DejaVuSans")
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", size)


def extent(words: str, x: float, y: float, kind: str, middle: bool) -> Rectangle:
    """Where a line of text stands whose foot is y. kind: "b", "c" or ""."""
    pieces = [(words, "", "")] if kind == "c" else diagrams._pieces(words)
    plain = font(kind, 12 if kind == "c" else 13)
    width = sum(plain.getlength(p) if p else font(kind, 11).getlength(one) for p, _, one in pieces)
    left = x - width / 2 if middle else x
    return left, y - 11, left + width, y + 4


def drawn(svg: str) -> Iterator[tuple[str, Rectangle]]:
    """Every text of a drawing, and where it stands, read from the SVG itself."""
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        look = element.get("class", "").split()
        parts = [(element.text or "", False)]
        parts += [("".join(t.itertext()), t.get("class") != "n") for t in element.iter(f"{SVG}tspan")]
        kind = next((k for k in look if k in "bc"), "")
        plain = font(kind, 12 if kind == "c" else 13)
        width = sum((font(kind, 11) if small else plain).getlength(words) for words, small in parts)
        x, y = float(element.get("x")), float(element.get("y"))
        left = x if "l" in look else x - width / 2
        yield "".join(element.itertext()), (left, y - 11, left + width, y + 4)


def walked(path: ElementTree.Element) -> list[tuple[int, int]]:
    """The points of a path, whose steps are relative."""
    start, *steps = [tuple(map(int, step.split())) for step in re.split("[Ml]", path.get("d").rstrip("z"))[1:]]
    points = [start]
    for dx, dy in steps:
        points.append((points[-1][0] + dx, points[-1][1] + dy))
    return points


# ── What is drawn is in the code ──────────────────────────────────────────────────────────────────────────────────────


@cache
def hasher(paper: str) -> Any:
    return ck.load(SAVED / f"{paper.upper()}.safetensors")


def the_code(paper: str, box: Box) -> Any:
    if box.where.startswith("fitted"):
        found = hasher(paper).network_ if box.where == "fitted network" else hasher(paper)
    else:
        found = importlib.import_module(f"cmhkit.{box.where}")
    for name in box.name.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("paper", "key"), BOXES)
def test_a_box_names_what_the_code_has(paper: str, key: str) -> None:
    box = METHODS[paper].boxes[key]
    assert bool(box.name) == bool(box.where) == (box.kind not in ("data", "panel"))
    if not box.name:
        return
    code = the_code(paper, box)
    module = isinstance(code, nn.Module) or (isinstance(code, type) and issubclass(code, nn.Module))
    assert module == (box.kind == "module"), f"{box.name}: a module has weights, and a function has none"
    assert callable(code)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_network_of_a_method_is_drawn(paper: str) -> None:
    """The networks that a fitted hasher has, each once; those of `network_` where that holds them all."""
    modules = {name: value for name, value in vars(hasher(paper)).items() if isinstance(value, nn.Module)}
    names = {name.rstrip("_") for name in modules}
    if names == {"network"}:
        names = {name for name, _ in modules["network_"].named_children()}
    shown = {box.name for box in METHODS[paper].boxes.values() if box.where.startswith("fitted")}
    assert {name.removeprefix("network_.").rstrip("_") for name in shown} == names


@pytest.mark.parametrize("paper", PAPERS)
def test_each_player_s_gradient_runs_from_its_losses_back_to_all_its_weights_and_to_no_other_s(paper: str) -> None:
    drawing = METHODS[paper]
    panels = {key: box for key, box in drawing.boxes.items() if box.kind == "panel"}
    for player in drawing.players:
        losses = {key for key, box in drawing.boxes.items() if box.kind == "loss" and player in box.owners}
        weights = {key for key, box in drawing.boxes.items() if box.kind == "module" and player in box.owners}
        assert losses and weights
        reached = losses | {
            key for key, panel in panels.items() if any(inside(edges(drawing.boxes[k]), edges(panel)) for k in losses)
        }
        ends = set(reached)
        own = [arrow for arrow in drawing.arrows if player in arrow.owners]
        while added := {arrow.start for arrow in own if arrow.end in reached} - reached:
            reached |= added
        assert weights <= reached, f"{player} does not reach {weights - reached}"
        assert all(arrow.end in reached and (arrow.start in reached) for arrow in own), "an arrow that leads nowhere"
        assert not {arrow.start for arrow in own} & (ends - set(panels)), "a loss is where a gradient starts"


def test_where_gradients_stop_is_said_of_each_paper() -> None:
    """In UGACH through draws and rewards, in ADAH through the attended query, in SSAH to the teacher and to B."""
    stops = {paper: {(a.start, a.end) for a in METHODS[paper].arrows if a.stop} for paper in PAPERS}
    assert stops == {
        "ugach": {("p", "draws"), ("score", "reward")},
        "adah": {("image_head", "adversarial"), ("text_head", "adversarial")},
        "ssah": {("label", "image_d"), ("label", "text_d"), ("bank_f", "j1"), ("bank_h", "j2"), ("b", "j3")},
    }


# ── It can be read ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("paper", "key"), BOXES)
def test_a_box_stands_free_and_holds_its_text(paper: str, key: str) -> None:
    drawing = METHODS[paper]
    box, width, height = drawing.boxes[key], *drawing.size
    assert inside(edges(box), (0, 0, width, height))
    for other, around in drawing.boxes.items():
        holds = "panel" in (box.kind, around.kind)
        if other != key and overlap(edges(box), edges(around)):
            assert holds and (inside(edges(box), edges(around)) or inside(edges(around), edges(box))), other
    lines = [extent(words, *at, kind, True) for words, at, kind in diagrams.lines_of(box)]
    for line in lines:
        assert inside(line, edges(box)), f"{key}: the text is {line[2] - line[0]:.0f} wide in a box of {box.at[2]}"
    assert not any(overlap(a, b) for a, b in combinations(lines, 2))


@pytest.mark.parametrize(("paper", "arrow"), ARROWS)
def test_an_arrow_leads_from_a_box_to_a_box_and_through_none(paper: str, arrow: diagrams.Arrow) -> None:
    boxes = METHODS[paper].boxes
    for key, (x, y) in ((arrow.start, arrow.points[0]), (arrow.end, arrow.points[-1])):
        left, top, right, bottom = edges(boxes[key])
        on_a_side = x in (left, right) and top < y < bottom
        assert on_a_side or (y in (top, bottom) and left < x < right), f"{key}: ({x}, {y}) is not on its border"
    ways = list(pairwise(arrow.points))
    for (x0, y0), (x1, y1) in ways:
        assert (x0 == x1) != (y0 == y1), "a piece is level or upright"
        way = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        for key, box in boxes.items():
            assert box.kind == "panel" or not overlap(way, edges(box)), f"it runs through {key}"
    if arrow.stop:
        x, y = arrow.stop
        assert any(min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1]) for a, b in ways)


@pytest.mark.parametrize("svg", [*(diagrams.method(p).svg for p in PAPERS), diagrams.course_map().svg], ids=str.__len__)
def test_texts_lie_within_the_drawing_and_not_on_each_other(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    whole = (0, 0, float(root.get("width")), float(root.get("height")))
    texts = list(drawn(svg))
    assert len(texts) > 20
    for words, place in texts:
        assert inside(place, whole), words
    for (one, a), (other, b) in combinations(texts, 2):
        assert not overlap(a, b), f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("paper", PAPERS)
def test_labels_lie_on_no_box_and_on_no_arrow(paper: str) -> None:
    drawing = METHODS[paper]
    for arrow in drawing.arrows:
        label = extent(arrow.label, *arrow.label_at, "", False)
        for key, box in drawing.boxes.items():
            assert not arrow.label or box.kind == "panel" or not overlap(label, edges(box)), f"{arrow.label} on {key}"
        for other in drawing.arrows:
            for (x0, y0), (x1, y1) in pairwise(other.points):
                way = (min(x0, x1) - 2, min(y0, y1) - 2, max(x0, x1) + 2, max(y0, y1) + 2)
                assert not arrow.label or not overlap(label, way), f"{arrow.label} on {other.start} → {other.end}"


def test_stations_of_the_map_lie_on_no_words() -> None:
    svg = diagrams.course_map().svg
    numbers = {lesson[0] for lesson in diagrams.LESSONS}
    for circle in ElementTree.fromstring(svg).iter(f"{SVG}circle"):
        x, y, r = (float(circle.get(name)) for name in ("cx", "cy", "r"))
        for words, place in drawn(svg):
            assert words in numbers or not overlap(place, (x - r, y - r, x + r, y + r)), words


def test_letters_are_large_enough_and_never_scaled_down() -> None:
    sizes = [int(size) for size in re.findall(r"font(?:-size)?:(?:\d+ )?(\d+)px", diagrams.STYLE)]
    assert sorted(sizes) == [11, 12, 13, 13]
    for shown in (*(diagrams.method(paper) for paper in PAPERS), diagrams.course_map()):
        root = ElementTree.fromstring(shown.svg)
        assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
        assert "overflow-x:auto" in shown.html and 'tabindex="0"' in shown.html, (
            "a narrow page scrolls, by keyboard too"
        )
    assert int(ElementTree.fromstring(diagrams.course_map().svg).get("width")) <= 374, (
        "a phone of 390 shows the map whole"
    )


def test_colours_hold_in_both_themes_and_never_stand_alone() -> None:
    themes = re.findall(
        r"--i:var\(--jp-content-font-color1,(#\w+)\);--p:var\(--jp-layout-color1,(#\w+)\)", diagrams.STYLE
    )
    assert len(themes) == 2 and "prefers-color-scheme:dark" in diagrams.STYLE
    light, dark = (paper.replace("#fff", "#ffffff") if len(paper) == 4 else paper for _, paper in themes)
    for ink, paper in zip((ink for ink, _ in themes), (light, dark), strict=True):
        assert accessibility.contrast(ink, paper) >= 7
        for colour, _ in diagrams.INKS.values():
            assert accessibility.contrast(colour, paper) >= 3
    assert len({dash for _, dash in diagrams.INKS.values()}) == len(diagrams.INKS), "each player has a line of its own"
    for drawing in METHODS.values():
        assert len({player.ink for player in drawing.players.values()}) == len(drawing.players)


# ── Text alternatives, and the part that is lit ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("paper", PAPERS)
def test_the_text_alternative_says_the_players(paper: str) -> None:
    drawing, shown = METHODS[paper], diagrams.method(paper)
    root = ElementTree.fromstring(shown.svg)
    assert root.get("role") == "img" and root[0].tag == f"{SVG}title" and root[1].tag == f"{SVG}desc"
    for words in (shown.text, root[1].text):
        for key, player in drawing.players.items():
            weights, losses = words[words.index(player.words) :].split(" Steps on: ", 1)
            for box in drawing.boxes.values():
                if key in box.owners and box.kind in ("module", "loss"):
                    assert box.name in (weights if box.kind == "module" else losses.split(".", 1)[0])
    assert repr(shown) == shown.text and shown.text.startswith(f"{root[0].text}. ") and "\n" not in shown.text
    told, stops = root[1].text.split("Arrows: ")[1].split(". A gradient stops at: ")
    assert stops.count("→") == sum(arrow.stop is not None for arrow in drawing.arrows)
    ways = dict(way.split(" → ") for way in told.split("; "))
    for arrow in drawing.arrows:
        start, end = (diagrams._called(drawing.boxes[key]) for key in (arrow.start, arrow.end))
        assert end in ways[start].split(", ")
    assert accessibility.fragment_problems(shown.html) == []


@pytest.mark.parametrize(("paper", "part"), PARTS)
def test_the_lit_part_is_full_and_the_rest_pale(paper: str, part: str) -> None:
    drawing, shown = METHODS[paper], diagrams.method(paper, lit=part)
    assert drawing.part(part) < set(drawing.boxes), "some box is pale, and each that is lit is there"
    pale = ElementTree.fromstring(shown.svg).findall(f".//{SVG}g[@class='pale']")
    assert len(pale) == 1
    rests = [box for key, box in drawing.boxes.items() if key not in drawing.part(part)]
    assert len([r for r in pale[0].iter(f"{SVG}rect") if "fill" not in r.attrib]) == len(rests)
    names = ["".join(text.itertext()) for text in pale[0].iter(f"{SVG}text") if "c" in text.get("class", "").split()]
    assert sorted(names) == sorted(box.name for box in rests if box.name)
    tips = {points[-1] for path in pale[0].iter(f"{SVG}path") if (points := walked(path)) and path.get("d")[-1] == "z"}
    pale_arrows = [arrow for arrow in drawing.arrows if not {arrow.start, arrow.end} <= drawing.part(part)]
    assert tips == {arrow.points[-1] for arrow in pale_arrows}
    assert f"Lit: {part}" in shown.text and "pale'" not in diagrams.method(paper).svg
    size = len(json.dumps([shown.html, shown.text], ensure_ascii=False).encode())
    assert size < 14_000 and shown.html == diagrams.method(paper, lit=part).html


@pytest.mark.parametrize("paper", PAPERS)
def test_an_unknown_part_is_told_with_the_known_ones(paper: str) -> None:
    with pytest.raises(InputError, match="lit: expected None or one of ") as error:
        diagrams.method(paper, lit="none of them")
    assert all(repr(part) in str(error.value) for part in METHODS[paper].parts) and "'none of them'" in str(error.value)
    with pytest.raises(InputError, match=r"lit: expected .*got \['game'\]"):
        diagrams.method(paper, lit=["game"])
    with pytest.raises(InputError, match=r"name: expected .*ugach.*got 'dcmh'"):
        diagrams.method("dcmh")


def test_a_raised_and_a_lowered_letter() -> None:
    made = diagrams._math("f_φ(x^G, q) < m")
    assert made == (
        "f<tspan dy='3'>φ</tspan><tspan class='n' dy='-3'>(x</tspan><tspan dy='-4'>G</tspan>"
        "<tspan class='n' dy='4'>, q) &lt; m</tspan>"
    )


def test_two_lanes_run_beside_a_way_and_turn_with_it() -> None:
    """To the right goes its right lane by hand: level, one lower; then upright downwards, one to the left."""
    assert diagrams._beside([(0, 0), (10, 0), (10, 10)], 1) == [(0, 1), (9, 1), (9, 10)]
    assert diagrams._beside([(0, 0), (10, 0), (10, -10)], 2) == [(0, 2), (12, 2), (12, -10)]


def test_a_way_of_both_players_has_a_lane_on_either_side() -> None:
    """ADAH's arrows from attention to hashing: level at y = 52 or 448, then upright at x = 400."""
    lanes = set()
    for path in ElementTree.fromstring(diagrams.method("adah").svg).iter(f"{SVG}path"):
        start, *corners = walked(path)
        if path.get("class").startswith("way") and start[0] == 362:
            lanes.add((path.get("class"), start[1], corners[0][0]))
    assert lanes == {
        *(("way blue", 445, 397), ("way blue", 49, 403), ("way vermilion", 451, 403), ("way vermilion", 55, 397)),
    }


# ── Where the drawings are shown ──────────────────────────────────────────────────────────────────────────────────────


def lessons() -> list[SimpleNamespace]:
    sources = [(source, source.read_text(encoding="utf-8")) for source in notebooks.sources()]
    return [SimpleNamespace(stem=source.stem, number=source.stem[:2], text=text) for source, text in sources]


def test_the_map_has_the_lessons_that_there_are() -> None:
    """Their numbers and minutes are the notebooks' own headers', their names those of the table in lesson 00."""
    minutes = {lesson.number: int(re.search(r"^#     minutes: (\d+)$", lesson.text, re.M)[1]) for lesson in lessons()}
    assert {number: given for number, _, given in diagrams.LESSONS} == minutes
    table = re.findall(r"^# \| (?:\*\*|\[)(\d\d) (.+?)(?:\*\*|\]\()", lessons()[0].text, re.M)
    assert [(number, name) for number, name, _ in diagrams.LESSONS] == table
    shown = "\n".join(words for words, _ in drawn(diagrams.course_map().svg))
    assert all(number in shown and f"{given} min" in shown for number, _, given in diagrams.LESSONS)


def test_readme_s_map_is_the_drawn_one() -> None:
    assert picture.MAP.read_text(encoding="utf-8") == picture.course_map(), "run: python -m tools.picture map"
    assert re.search(r"!\[The map of the course: [^\]]+\]\(docs/course\.svg\)", (ROOT / "README.md").read_text())


def test_each_lesson_of_a_paper_opens_with_its_own_part() -> None:
    shown = []
    for lesson in lessons():
        calls = re.findall(r"^diagrams\.(method|course_map)\((.*)\)$", lesson.text, re.M)
        if lesson.number == "00":
            assert calls == [("course_map", "")]
        elif lesson.number[0] in "123":
            ((_, given),) = calls
            paper, part = re.fullmatch(r'"(\w+)", lit="(\w+)"', given).groups()
            assert part in METHODS[paper].parts and paper in lesson.stem
            assert lesson.text.index("diagrams.method") < lesson.text.index("\n# ## ", lesson.text.index("one picture"))
            shown.append((paper, part))
        else:
            assert not calls
    assert len(set(shown)) == 9
