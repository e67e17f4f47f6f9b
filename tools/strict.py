"""nbval, strict, over one notebook: for `tests/notebooks/test_nbval.py` here, for `tools/portable.py` as elsewhere."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import notebooks

SANITIZE = notebooks.ROOT / "tests" / "notebooks" / "sanitize.cfg"
LIMIT = 400  # seconds for one notebook
SHOWN = 12  # lines of a difference


@dataclass(frozen=True)
class Difference:
    """A cell that did not give what is kept.

    count: as the notebook shows it, In [count]. lines: `kept …` and `here …`, or the last lines of an error.
    """

    count: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What nbval's own report counts, and the cells that differ."""

    passed: int
    failed: int
    output: str
    differences: tuple[Difference, ...] = ()


def command(path: Path, report: Path, python: Path | str = sys.executable) -> list[str]:
    """nbval over one notebook: every output compared, but what the sanitise file takes out. report: its JUnit file."""
    options = ["-c", os.devnull, "-p", "nbval", "-p", "no:cacheprovider", "-vv", "--color=no"]
    files = [f"--rootdir={path.parent}", f"--junitxml={report}", f"--nbval-sanitize-with={SANITIZE}"]
    comparing = ["--nbval", "--nbval-current-env", f"--nbval-cell-timeout={notebooks.CELL_LIMIT}"]
    return [str(python), "-m", "pytest", *options, *files, *comparing, str(path)]


def run(
    path: Path,
    scratch: Path,
    python: Path | str = sys.executable,
    variables: Mapping[str, str] | None = None,
) -> Verdict:
    """Run nbval over one notebook in a process of its own, in the notebook's folder.

    scratch: a folder for the report. python: whose packages run it. variables: set over `notebooks.environment()`.
    Raises NotebookError where nbval gives no report, or runs past LIMIT seconds.
    """
    report = scratch / f"{path.stem}.xml"
    report.unlink(missing_ok=True)
    # Plug-ins that nbval does without take two seconds to load.
    environment = {**notebooks.environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(variables or {})}
    status, output = notebooks.run_limited(command(path, report, python), LIMIT, path.parent, environment)
    if status == 124:
        raise notebooks.NotebookError(f"nbval ran past {LIMIT} seconds\n{output[-4000:]}")
    if not report.exists():
        raise notebooks.NotebookError(f"nbval ended with status {status} and no report\n{output[-4000:]}")
    return read(report.read_text(encoding="utf-8"), output)


def read(report: str, output: str) -> Verdict:
    """The verdict of a JUnit report of nbval. Skipped cells count as failed: they were not compared."""
    suite = ElementTree.fromstring(report).find("testsuite")
    total, bad, skipped = (int(suite.get(name)) for name in ("tests", "failures", "skipped"))
    bad += int(suite.get("errors"))
    differences = [
        _difference(case, problem) for case in suite for problem in case if problem.tag in ("failure", "error")
    ]
    return Verdict(total - bad - skipped, bad + skipped, output, tuple(differences))


def _difference(case: ElementTree.Element, problem: ElementTree.Element) -> Difference:
    """pytest writes `- ` before a line of the right side of `kept == here`, and `+ ` before one of the left."""
    number = re.search(r"\d+$", case.get("name", ""))
    text = re.sub(r"(?:\x1b|#x1B)\[\d*m", "", problem.text or "")
    marked = re.findall(r"^  ([-+]) (.*)$", text, flags=re.MULTILINE)
    lines = [f"{'kept' if sign == '+' else 'here'}  {line}" for sign, line in marked] or text.strip().splitlines()[
        -SHOWN:
    ]
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"… and {len(lines) - SHOWN} lines more"]
    return Difference(int(number[0]) + 1 if number else 0, tuple(lines))
