"""Each guard passes a good notebook, and finds what is broken on purpose; then all guards are held to the course."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from course import ROOT, Example, course
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tools import guards, notebooks


def code(notebook: NotebookNode, position: int) -> NotebookNode:
    return guards.code_cells(notebook)[position][1]


def edit(position: int, source: str) -> Callable[[NotebookNode], None]:
    """A break that appends a line to a code cell."""

    def change(notebook: NotebookNode) -> None:
        code(notebook, position).source += "\n" + source

    return change


def tag(*names: str, first: int = 1) -> Callable[[NotebookNode], None]:
    """A break that tags as many code cells as there are names, from `first` on."""

    def change(notebook: NotebookNode) -> None:
        for i, name in enumerate(names):
            code(notebook, first + i).metadata["tags"] = [name]

    return change


def put(position: int, output: NotebookNode) -> Callable[[NotebookNode], None]:
    """A break that adds an output to a code cell."""
    return lambda notebook: code(notebook, position).outputs.append(output)


def data(**kinds: str) -> NotebookNode:
    return new_output("display_data", {kind.replace("_", "/", 1): content for kind, content in kinds.items()})


def text(source: str) -> Callable[[NotebookNode], None]:
    """A break that adds a markdown cell at the end."""
    return lambda notebook: notebook.cells.append(new_markdown_cell(source))


def drawn(svg: str, prose: str) -> Callable[[NotebookNode], None]:
    """A break that adds a drawing to an output, and a markdown cell at the end."""

    def broken(notebook: NotebookNode) -> None:
        put(1, data(text_plain="a drawing", text_html=f"<div>{svg}</div>"))(notebook)
        text(prose)(notebook)

    return broken


def first_parameters(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: code(notebook, 0).update(source=source)


def set_count(notebook: NotebookNode) -> None:
    code(notebook, 3).execution_count = 9


def no_counts(notebook: NotebookNode) -> None:
    for _, cell in guards.code_cells(notebook):
        cell.execution_count, cell.outputs = None, []


def drop_outputs(position: int) -> Callable[[NotebookNode], None]:
    return lambda notebook: code(notebook, position).update(outputs=[])


def untag(notebook: NotebookNode) -> None:
    code(notebook, 0).metadata.pop("tags")


BROKEN: list[tuple[str, str, Callable[[NotebookNode], None]]] = [
    ("parity", "a changed cell", edit(1, "x = 1")),
    ("parity", "a cell more", text("more")),
    ("parity", "a tag more", tag("nbval-ignore-output")),
    ("parity", "another header", lambda notebook: notebook.metadata.cmhkit.update(minutes=99)),
    ("header", "no minutes", lambda notebook: notebook.metadata.cmhkit.pop("minutes")),
    ("header", "minutes as text", lambda notebook: notebook.metadata.cmhkit.update(minutes="25 minutes")),
    ("cell length", "26 lines", edit(1, "x = 1\n" * 26)),
    ("plain Python", "a magic", edit(1, "%matplotlib inline")),
    ("plain Python", "a shell line", edit(1, "!ls")),
    ("plain Python", "an empty cell", lambda notebook: notebook.cells.append(new_code_cell(""))),
    ("forbidden names", "interact", edit(1, "from ipywidgets import interact")),
    ("forbidden names", "interact under another name", edit(1, "from ipywidgets import interact as play")),
    ("forbidden names", "Output as attribute", edit(1, "out = widgets.Output()")),
    ("forbidden names", "interactive_output", edit(1, "widgets.interactive_output(f, {})")),
    ("forbidden names", "clear_output", edit(1, "from IPython.display import clear_output")),
    ("parameters", "none", untag),
    ("parameters", "two cells", tag("parameters")),
    ("parameters", "an unknown name", first_parameters("seed = 0\nepochs = 3\nresults_path = ''")),
    ("parameters", "no results_path", first_parameters("seed = 0")),
    ("ignore budget", "too many by tag", tag(*["nbval-ignore-output"] * 3)),
    (
        "ignore budget",
        "too many by comment",
        lambda notebook: [edit(i, "# NBVAL_IGNORE_OUTPUT")(notebook) for i in (1, 2, 3)],
    ),
    ("ignore budget", "a skip by tag", tag("nbval-skip")),
    ("ignore budget", "a skip by comment", edit(2, "# NBVAL_SKIP")),
    ("ignore budget", "may raise", tag("raises-exception")),
    ("headings", "a skipped level", text("#### deep")),
    ("headings", "a second title", text("# again")),
    ("headings", "code first", lambda notebook: notebook.cells.insert(0, new_code_cell("x = 1"))),
    ("headings", "no title", lambda notebook: notebook.cells[0].update(source="no title")),
    ("folded answers", "no empty line", text("<details><summary>Answer</summary>\n16 *bits*\n</details>")),
    ("folded answers", "not closed", text("<details><summary>Answer</summary>\n\n16\n")),
    ("execution counts", "a gap", set_count),
    ("execution counts", "never run", no_counts),
    ("kept outputs", "a print without output", drop_outputs(2)),
    ("kept outputs", "a check without output", drop_outputs(3)),
    ("kept outputs", "a figure without output", drop_outputs(5)),
    ("kept outputs", "a quiz without output", drop_outputs(6)),
    ("clean outputs", "an error", put(1, new_output("error", ename="ValueError", evalue="no", traceback=[]))),
    ("clean outputs", "stderr", put(1, new_output("stream", name="stderr", text="100%|####|"))),
    ("alt texts", "a bare PNG", put(1, data(image_png="AAAA", text_plain="<Figure size 640x480 with 1 Axes>"))),
    ("alt texts", "an SVG", put(1, new_output("display_data", {"image/svg+xml": "<svg/>"}))),
    ("alt texts", "an img without alt", put(1, data(text_html="<img src='data:,'>"))),
    ("alt texts", "an img with an empty alt", put(1, data(text_html='<img alt="" src="data:,">'))),
    ("alt texts", "a picture in the text", text("![](x.png)")),
    ("alt texts", "an img in the text", text("<img src='x.png'>")),
    (
        "prose numbers",
        "a figure that nothing prints",
        text("The MAP is 0.8317, and `0.8318` in code or $0.8319$ in a formula is another matter."),
    ),
    ("prose numbers", "no digit before the point", text("It rose to .8317.")),
    ("prose numbers", "a place in a drawing", drawn("<svg><text x='0.8317'>0.8317</text></svg>", "It rose to 0.8317.")),
    (
        "static twins",
        "a live view",
        put(1, new_output("display_data", {guards.LIVE_VIEW: {"model_id": "0"}, "text/html": "x"})),
    ),
    ("static twins", "a bare widget", put(1, data(text_plain="VBox(children=())"))),
    ("clean metadata", "widget state", lambda notebook: notebook.metadata.update(widgets={})),
    ("clean metadata", "papermill's notes", lambda notebook: notebook.metadata.update(papermill={})),
    ("clean metadata", "timings", lambda notebook: code(notebook, 1).metadata.update(execution={})),
]


@pytest.mark.parametrize(("guard", "what", "breaking"), BROKEN, ids=[f"{guard}: {what}" for guard, what, _ in BROKEN])
def test_each_guard_finds_what_is_broken(
    example: Example, guard: str, what: str, breaking: Callable[[NotebookNode], None]
) -> None:
    notebook, source = example.notebook(), example.written()
    assert list(guards.GUARDS[guard](notebook, source)) == []
    breaking(notebook)
    found = list(guards.GUARDS[guard](notebook, source))
    assert found and all(message for _, message in found)


def test_every_guard_is_tried() -> None:
    assert {guard for guard, _, _ in BROKEN} == set(guards.GUARDS)


def test_a_cell_past_fifteen_lines_is_a_warning(example: Example) -> None:
    notebook = example.notebook()
    code(notebook, 1).source += "\nx = 1" * 14
    found = [problem for problem in guards.problems(notebook, notebook) if problem.guard == "cell length"]
    assert [problem.warning for problem in found] == [True]


def test_names_in_text_and_headings_in_code_are_not_mistaken(example: Example) -> None:
    notebook = example.notebook()
    text("the word Output and interact\n\n```python\n# a comment, not a title\n```")(notebook)
    assert list(guards.forbidden_names(notebook, notebook)) == []
    assert list(guards.headings(notebook, notebook)) == []


# ── The course ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_a_course() -> None:
    assert course(), "no notebook source in notebooks/src"


def test_no_built_notebook_without_a_source() -> None:
    built = {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")}
    assert built <= {path.stem for path in course()}


@pytest.mark.parametrize("source", course(), ids=lambda path: path.stem)
def test_the_course_keeps_to_the_guards(source: Path) -> None:
    problems = notebooks.guard(source)
    assert not [str(problem) for problem in problems if not problem.warning]


@pytest.mark.parametrize("folder", ["lessons", "widgets"])
def test_no_forbidden_name_in_the_library(folder: str) -> None:
    paths = list((ROOT / "cmhkit" / "course" / folder).rglob("*.py"))
    assert paths
    for path in paths:
        assert not guards.names_in(ast.parse(path.read_text(encoding="utf-8"))) & guards.FORBIDDEN_NAMES, path
