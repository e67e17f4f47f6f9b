"""The tables of options in docs/CHOICES.md, from the declarations: `python -m tools.options` writes them anew.

Each stands between two comments, `<!-- options: ugach -->` and `<!-- end of options -->`. What is written there by hand
is lost.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cmhkit.app.runs import presets_of
from cmhkit.support.options import described, shown

PAGE = Path(__file__).parents[1] / "docs" / "CHOICES.md"
PLACE = re.compile(r"(<!-- options: (\w+) -->\n).*?(<!-- end of options -->)", re.DOTALL)


def table(method: str) -> str:
    """The options of a method as a Markdown table, a row each, headings in bold. method: such as "ugach"."""
    presets = presets_of(method)
    rows = [["option", "values", *(f"`{name}`" for name in presets), "meaning", "source"], ["---"] * (len(presets) + 4)]
    heading = ""
    for row in described(presets):
        if row["heading"] != heading:
            heading = row["heading"]
            rows.append([f"**{heading}**", *[""] * (len(presets) + 3)])
        values = [shown(value) for value in row["presets"].values()]
        rows.append([f"`{row['option']}`", row["values"], *values, row["help"], row["source"]])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in rows)


def renewed(page: str) -> str:
    """A page with every table written anew."""
    return PLACE.sub(lambda place: f"{place[1]}{table(place[2])}{place[3]}", page)


def main() -> int:
    """Write docs/CHOICES.md anew. Returns the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(renewed(text), encoding="utf-8")
    print(f"{PAGE}: {'written' if renewed(text) != text else 'is current'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
