"""Draw the pictures in README.md.

Run:  .venv/bin/python -m tools.picture            # words, their code, and the nearest pictures of the retrieval set
      .venv/bin/python -m tools.picture map        # the map of the course
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import cmhkit as ck
from cmhkit.course import diagrams

MAP = Path(__file__).parents[1] / "docs" / "course.svg"
OUT = Path(__file__).parents[1] / "docs" / "retrieval.png"
QUERIES = ("cat pet", "boat sea sailing", "fruit juicy", "music instrument")
INK, PAPER, BLUE, ORANGE = "#1a1a1a", "#ffffff", "#0072B2", "#E69F00"


def main() -> None:
    torch.set_num_threads(1)
    data = ck.data.load("scenes")
    hasher = ck.UGACH(bits=32).fit(data)
    index = ck.index.HammingIndex(hasher.encode(images=data.retrieval))
    codes = hasher.encode(texts=list(QUERIES))
    hits = index.search(codes, k=7)
    figure = plt.figure(figsize=(11, 6.2), dpi=110, facecolor=PAPER)
    grid = figure.add_gridspec(len(QUERIES), 10, left=0.01, right=0.99, top=0.89, bottom=0.03, wspace=0.08, hspace=0.32)
    for row, words in enumerate(QUERIES):
        text = figure.add_subplot(grid[row, :3])
        text.axis("off")
        text.text(0.02, 0.72, f"“{words}”", fontsize=15, color=INK, va="center")
        bits = ck.codes.unpack(codes[row : row + 1])[0]
        strip = text.inset_axes((0.02, 0.2, 0.94, 0.22))
        strip.imshow(
            np.where(bits > 0, 1, 0)[None],
            cmap=matplotlib.colors.ListedColormap([ORANGE, BLUE]),
            aspect="auto",
            vmin=0,
            vmax=1,
        )
        strip.set_xticks(np.arange(-0.5, len(bits)), minor=True)
        strip.grid(which="minor", color=PAPER, linewidth=1)
        strip.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
        strip.set_frame_on(False)
        for column, (i, distance) in enumerate(zip(hits.ids[row], hits.distances[row], strict=True)):
            axes = figure.add_subplot(grid[row, 3 + column])
            axes.imshow(data.retrieval.images[i])
            axes.set_title(f"{distance} bits", fontsize=10, color=INK, pad=3)
            axes.axis("off")
    figure.suptitle(
        "Typed words, their 32-bit code, and the nearest pictures by Hamming distance",
        fontsize=13,
        color=INK,
        x=0.01,
        ha="left",
    )
    figure.savefig(OUT, metadata={"Software": None})
    print(OUT)


def course_map() -> str:
    """The file docs/course.svg."""
    return diagrams.course_map().svg + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["map"]:
        MAP.write_text(course_map(), encoding="utf-8")
        print(MAP)
    elif sys.argv[1:]:
        sys.exit(f"expected nothing or the word map, got {' '.join(sys.argv[1:])}")
    else:
        main()
