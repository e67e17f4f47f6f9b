"""nbval, strict, over every notebook: run again, each cell gives the outputs that are kept."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from course import Example, course

from tools import guards, notebooks

SANITIZE = Path(__file__).with_name("sanitize.cfg")
LIMIT = 400  # seconds for one notebook

pytestmark = pytest.mark.timeout(LIMIT + 60)


@dataclass(frozen=True)
class Verdict:
    """What nbval's own report counts."""

    passed: int
    failed: int
    output: str


def nbval(path: Path, scratch: Path) -> Verdict:
    """Run nbval over one notebook in a process of its own, in the notebook's folder."""
    report = scratch / "nbval.xml"
    options = ["-o", "addopts=", "-o", "timeout=0", "-p", "no:cacheprovider", "--color=no", f"--rootdir={path.parent}", f"--junitxml={report}"]
    comparing = ["--nbval", f"--nbval-sanitize-with={SANITIZE}", "--nbval-current-env", f"--nbval-cell-timeout={notebooks.CELL_LIMIT}"]
    command = [sys.executable, "-m", "pytest", *options, *comparing, str(path)]
    status, output = notebooks.run_limited(command, LIMIT, path.parent, notebooks.environment())
    assert status != 124, f"nbval ran past {LIMIT} seconds\n{output[-4000:]}"
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, bad, skipped = (int(suite.get(name)) for name in ("tests", "failures", "skipped"))
    bad += int(suite.get("errors"))
    return Verdict(total - bad - skipped, bad + skipped, output)


def assert_reproduces(path: Path, scratch: Path) -> None:
    cells = len(guards.code_cells(nbformat.read(path, as_version=4)))
    verdict = nbval(path, scratch)
    assert cells > 0 and (verdict.passed, verdict.failed) == (cells, 0), verdict.output[-6000:]


@pytest.mark.parametrize("source", course(), ids=lambda path: path.stem)
def test_the_course_reproduces(source: Path, tmp_path: Path) -> None:
    assert_reproduces(notebooks.built_path(source), tmp_path)


def test_the_example_reproduces_twice(example: Example, tmp_path: Path) -> None:
    for _ in range(2):
        assert_reproduces(example.built, tmp_path)


@pytest.mark.parametrize(
    ("kept", "other"),
    [
        ("dark on the diagonal", "bright on the diagonal"),  # an alt text
        ("0 from itself", "1 from itself"),  # a caption
        ("That would be an inner product of -32", "Something else"),  # a quiz's feedback
    ],
)
def test_a_changed_output_is_found(example: Example, tmp_path: Path, kept: str, other: str) -> None:
    notebook = example.notebook()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                output.data[kind] = content.replace(kept, other)
    path = example.built.with_name("changed.ipynb")
    try:
        nbformat.write(notebook, path)
        assert nbval(path, tmp_path).failed == 1
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
        assert nbval(path, tmp_path).failed == 0
    finally:
        path.unlink(missing_ok=True)
