"""RESULTS.md is made of sections between markers; each measurement rewrites its own."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cmhkit.support.files import write_atomically

RESULTS = Path(__file__).parent / "RESULTS.md"
_HEAD = "# Results\n\nEach section was written by the command that it names. Read ratios and differences, not times.\n"


def machine(*others: str) -> str:
    """The machine and the versions that figures come from. others: packages to name too, where they are installed."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (cpu := re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))):
        model = cpu[1].strip()
    versions = {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")}
    for name in others:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{model}, {os.cpu_count()} cores, one thread; Python {platform.python_version()}, {packages}"


def write_section(name: str, text: str) -> None:
    """Replace the section `name` of RESULTS.md, or add it at the end."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else _HEAD
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin in page:
        page = page[: page.index(begin)] + section + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    write_atomically(RESULTS, lambda path: path.write_text(page, encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
