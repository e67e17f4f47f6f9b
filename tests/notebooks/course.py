"""What the tests here share: the course's sources, and the example of docs/WRITING_LESSONS.md as a course."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import notebooks  # noqa: E402


@dataclass(frozen=True)
class Example:
    """A course folder with one notebook in it."""

    source: Path

    @property
    def built(self) -> Path:
        return notebooks.built_path(self.source)

    def notebook(self) -> nbformat.NotebookNode:
        """A fresh copy of the built notebook, free to break."""
        return nbformat.read(self.built, as_version=4)

    def written(self) -> nbformat.NotebookNode:
        return notebooks.read_source(self.source)


def write_example(folder: Path) -> Path:
    """The page's notebook and lesson module in `folder`/src and `folder`; returns the source's path."""
    page = (ROOT / "docs" / "WRITING_LESSONS.md").read_text(encoding="utf-8")
    source, module = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (folder / "src").mkdir(parents=True)
    # in the kernel's folder, so that the notebook can import it
    (folder / "example_lesson.py").write_text(module, encoding="utf-8")
    path = folder / "src" / "01_hamming_space.py"
    path.write_text(
        source.replace("from cmhkit.course.lessons import lesson_01 as q", "import example_lesson as q"),
        encoding="utf-8",
    )
    return path


def course() -> list[Path]:
    """The sources of the course's notebooks."""
    return notebooks.sources()
