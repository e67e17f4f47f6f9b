"""How a report looks: as lines of text, as HTML, and as a figure."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """A table as lines: the first column on the left, the others on the right. rows: the heads come first."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = ("  ".join([f"{row[0]:{first}}", *map(str.rjust, row[1:], others)]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def as_html(rows: Sequence[Sequence[str]], caption: str, left: bool = False) -> str:
    """A table as HTML. rows: the heads come first, and each row's first cell is its name. left: where all cells stand,
    else only the names do.
    """
    style = ' style="text-align:left"'
    (*heads,), *body = [[html.escape(cell) for cell in row] for row in rows]
    head = "".join(f'<th scope="col"{style * left}>{cell}</th>' for cell in heads)
    lines = "".join(
        f'<tr><th scope="row"{style}>{name}</th>{"".join(f"<td{style * left}>{cell}</td>" for cell in cells)}</tr>'
        for name, *cells in body
    )
    caption = html.escape(caption)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def precision_recall(title: str, curves: Mapping[str, Any]) -> Figure:
    """Precision against recall as a matplotlib figure: a curve by rank, and a mark for each Hamming radius.

    curves: `cmhkit.metrics.Metrics` by the title of their axes.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(8, 3.2), sharey=True)
    for ax, (name, m) in zip(axes, curves.items(), strict=True):
        ax.plot(m.recall_by_rank, m.precision_by_rank, "-", marker="", label="by rank")
        ax.plot(m.recall_by_radius, m.precision_by_radius, "o", markersize=4, label="by Hamming radius")
        ax.set(title=name, xlabel="recall", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("precision")
    axes[1].legend()
    figure.suptitle(title)
    figure.tight_layout()
    return figure
