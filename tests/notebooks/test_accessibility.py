"""Everybody can read the course: its built notebooks, and the pages of the report that are made from them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from course import course
from nbformat import NotebookNode

from tools import accessibility, guards, notebooks, report

SOURCES = [source for source in course() if notebooks.built_path(source).exists()]  # test_guards.py misses the others


def built(source: Path) -> NotebookNode:
    return nbformat.read(notebooks.built_path(source), as_version=4)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_outputs(source: Path) -> None:
    """Each output that is HTML: alt texts, table headers, names, folds, contrast."""
    for i, cell in guards.code_cells(built(source)):
        for output in cell.outputs:
            found = accessibility.fragment_problems("".join(output.get("data", {}).get("text/html", "")))
            assert not found, f"cell {i}: {found}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_figure_has_a_sentence(source: Path) -> None:
    """A caption, or text in the cell that follows, beside the alt text."""
    notebook = built(source)
    for i, cell in guards.code_cells(notebook):
        figures = [
            html
            for output in cell.outputs
            if "<figure" in (html := "".join(output.get("data", {}).get("text/html", "")))
        ]
        after = notebook.cells[i + 1] if i + 1 < len(notebook.cells) else None
        told = after is not None and after.cell_type == "markdown" and len(after.source.split()) > 5
        for html in figures:
            assert told or re.search(r"<figcaption|</div><p>", html), f"cell {i}: a figure without a sentence"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_report_s_page(source: Path) -> None:
    """The whole page, as `make report` makes it."""
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed: pip install latex2mathml")
    page = report.Page(source.stem, source.stem, "", "", 1, built(source))
    text = report.render([page])[page.page]
    assert accessibility.problems(text) == []
    assert len(text) < 5_000_000
