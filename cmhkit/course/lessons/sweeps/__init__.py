"""Figures that lesson 40 shows and does not run: `load("scores")`, `load("ablations")`, `load("published")`.

scores.json and ablations.json are written by `python -m bench.sweeps` from measured runs; each entry names its source
in the repository. published.json holds figures from the literature, typed in by hand, each with the table that it was
read from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cmhkit.support.checks import check_choice

NAMES = ("scores", "ablations", "published")


def load(name: str) -> list[dict[str, Any]]:
    """The entries of one file, in its order. Raises `InputError` on another name."""
    check_choice("name", name, NAMES)
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
