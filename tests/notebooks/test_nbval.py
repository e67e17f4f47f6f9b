"""nbval, strict, over every notebook: run again, each cell gives the outputs that are kept."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from course import Example, course

from tools import guards, notebooks, strict

pytestmark = pytest.mark.timeout(strict.LIMIT + 60)


def assert_reproduces(path: Path, scratch: Path) -> None:
    cells = len(guards.code_cells(nbformat.read(path, as_version=4)))
    verdict = strict.run(path, scratch)
    assert cells > 0 and (verdict.passed, verdict.failed) == (cells, 0), verdict.output[-6000:]


@pytest.mark.parametrize("source", course(), ids=lambda path: path.stem)
def test_the_course_reproduces(source: Path, tmp_path: Path) -> None:
    assert_reproduces(notebooks.built_path(source), tmp_path)


def test_the_example_reproduces(example: Example, tmp_path: Path) -> None:
    assert_reproduces(example.built, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "dark on the diagonal": "bright on the diagonal",  # an alt text
            "That would be an inner product of -32": "Something else",  # a quiz's feedback
        },
        {"0 from itself": "1 from itself"},  # a caption
    ],
    ids=["alt text and feedback", "caption"],
)
def test_a_changed_output_is_found(example: Example, tmp_path: Path, changes: dict[str, str]) -> None:
    """Each change in a cell of its own is a failed cell."""
    notebook = example.notebook()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                for kept, other in changes.items():
                    content = content.replace(kept, other)
                output.data[kind] = content
    path = example.built.with_name("changed.ipynb")
    try:
        nbformat.write(notebook, path)
        assert strict.run(path, tmp_path).failed == len(changes)
    finally:
        path.unlink(missing_ok=True)


def test_a_picture_s_bytes_are_not_compared(example: Example, tmp_path: Path) -> None:
    notebook = example.notebook()
    changed = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get("text/html", "")
            if "base64," in shown:
                before, after = shown.split("base64,", 1)
                output.data["text/html"] = f"{before}base64,AAAA{after[after.index(chr(34)) :]}"
                changed += 1
    assert changed == 1
    path = example.built.with_name("redrawn.ipynb")
    try:
        nbformat.write(notebook, path)
        assert strict.run(path, tmp_path).failed == 0
    finally:
        path.unlink(missing_ok=True)
