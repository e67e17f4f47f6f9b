"""How time and memory grow with the size of the job, as tables and plots.

Run:  python -m bench.growth           (part of `make bench`)
      python -m bench.growth --full    (larger sizes too; part of `make bench-full`)
Time: CPU time on one thread, the median of some rounds. Memory: peak over the inputs, each point in a fresh process.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from bench import peers
from bench.jobs import bags_of_words, dense_rows, ranked, triplet_batch
from bench.report import machine, table, write_section
from bench.timing import Contestant, digits, peak_memory, race
from cmhkit.graphs import knn_graph
from cmhkit.nn.triplet import pairwise_distance, triplet_hinge
from cmhkit.support.files import write_atomically
from cmhkit.support.progress import progress

FOLDER = Path(__file__).parent
KEPT = FOLDER / "results" / "growth.json"
QUERIES, SLOW_QUERIES = 64, 8
MARGIN = 2.0


@dataclass(frozen=True)
class Point:
    """One measurement. size: on the horizontal axis. seconds: CPU time, of a query where `line` is about queries.
    megabytes: peak over the inputs.
    """

    line: str
    size: int
    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class Study:
    """One job over its sizes. prepare: from (way, size) to the work. ways: {line: sizes}."""

    name: str
    title: str
    axis: str
    unit: str
    prepare: Callable[[str, int], Callable[[], Any]]
    ways: dict[str, Sequence[int]]
    units: Callable[[str], int]
    finding: str

    def measure(self, rounds: int, step: Callable[..., None]) -> list[Point]:
        """All lines at a size are run side by side."""
        points = []
        for size in sorted({size for sizes in self.ways.values() for size in sizes}):
            lines = [line for line, sizes in self.ways.items() if size in sizes]
            times, _ = race([Contestant(line, self.prepare(line, size), self.units(line)) for line in lines], rounds)
            for line in lines:
                peak = peak_memory(
                    warmed, self.prepare, line, size, min(min(sizes) for sizes in self.ways.values()) // 4
                )
                points.append(Point(line, size, times[line].median, peak.over if peak else None))
                step(1, f"{self.name}, {line}, {size:,}")
        return points


def warmed(prepare: Callable[[str, int], Callable[[], Any]], line: str, size: int, small: int) -> Callable[[], Any]:
    """The work of one size after a small one, so that what the libraries load once does not count."""
    prepare(line, small)()
    return prepare(line, size)


def ranking_work(line: str, size: int) -> Callable[[], Any]:
    """MAP over `size` items."""
    name, bits = line.split(", ")
    width = int(bits.split()[0])
    if name == "cmhkit":
        data = ranked(size, QUERIES, width)
        return lambda: data.evaluate(QUERIES)
    floats = ranked(size, SLOW_QUERIES, width).floats(SLOW_QUERIES)
    return lambda: peers.map_loop(*floats)


def triplet_work(line: str, size: int) -> Callable[[], Any]:
    """The triplet hinge of a batch of `size`, forward and backward."""
    a, b, classes = triplet_batch(size)
    similar = classes[:, None] == classes
    losses = {
        "cmhkit": lambda: triplet_hinge(pairwise_distance(a, b), similar, MARGIN, reduction="sum").loss,
        "a loop over rows": lambda: peers.triplet_rows(a, b, similar, MARGIN),
        "a B³ tensor": lambda: peers.triplet_cube(a, b, similar, MARGIN),
    }
    return lambda: torch.autograd.grad(losses[line](), (a, b))


def graph_work(line: str, size: int) -> Callable[[], Any]:
    """The kNN graph of `size` items."""
    if line.startswith("dense"):
        x = dense_rows(size, 512)
        return lambda: knn_graph(x, 10)
    words = bags_of_words(size)
    if line.startswith("sparse"):
        return lambda: knn_graph(words, 10, metric="cosine")
    return lambda: peers.knn_sklearn(words, 10, "cosine")


def studies(full: bool) -> list[Study]:
    """What is measured. full: the larger sizes too."""
    items = (5_000, 20_000, 80_000, 320_000)
    graph = (1_000, 2_000, 4_000, 8_000, *((16_000, 32_000) if full else ()))
    batch = (64, 128, 256, 512, 1024)
    return [
        Study(
            "map",
            "MAP over the full ranking, by database and bits",
            "items in the database",
            "ms a query",
            ranking_work,
            {f"cmhkit, {bits} bits": items for bits in (16, 32, 64, 128)} | {"argsort loop, 64 bits": items},
            lambda line: QUERIES if line.startswith("cmhkit") else SLOW_QUERIES,
            "Time grows with the items and hardly with the bits up to 64, which are one machine word. "
            "Memory is a few numbers an item, whatever the number of queries.",
        ),
        Study(
            "triplet",
            "Triplet hinge over all (i, j, k), forward and backward",
            "batch B",
            "ms",
            triplet_work,
            {
                "cmhkit": batch,
                "a loop over rows": batch if full else batch[:4],
                "a B³ tensor": batch[: 4 if full else 3],
            },
            lambda line: 1,
            "Sorting grows with B² log B, in time, and with B² in memory; the tensor of triplets with B³ in both.",
        ),
        Study(
            "graph",
            "kNN graph, k = 10",
            "items n",
            "s",
            graph_work,
            {
                "dense, 512 wide": graph,
                "sparse bag of words, 1,386 wide": graph,
                "scikit-learn, the same bag of words": graph[:5],
            },
            lambda line: 1,
            "Time grows with n², as every exact search does. Memory grows with n: the chunk of rows bounds the rest; "
            "scikit-learn's grows with n². On small sparse sets scikit-learn is a little faster, for ours measures "
            "near ties again, so that equal distances stand by index.",
        ),
    ]


def plot(study: Study, points: Sequence[Point], path: Path) -> None:
    """Time, and memory beside it where it is known; logarithmic axes; lines differ in marker and dash as well as in
    colour.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = [f"CPU time, {study.unit}", "peak memory over the input, MB"][
        : 1 + any(point.megabytes is not None for point in points)
    ]
    figure, axes = plt.subplots(1, len(labels), figsize=(5 * len(labels), 4), layout="constrained", squeeze=False)
    axes = axes[0]
    scale = 1e3 if study.unit.startswith("ms") else 1.0
    for number, line in enumerate(study.ways):
        of = [point for point in points if point.line == line]
        style = {
            "marker": "osD^vP"[number],
            "linestyle": ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 2)))[number],
            "label": line,
        }
        axes[0].plot([point.size for point in of], [point.seconds * scale for point in of], **style)
        known = [point for point in of if point.megabytes is not None]
        if known:
            axes[1].plot([point.size for point in known], [max(point.megabytes, 0.1) for point in known], **style)
    for axis, label in zip(axes, labels, strict=True):
        axis.set(xscale="log", yscale="log", xlabel=study.axis, ylabel=label)
        axis.grid(True, which="major", alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.suptitle(study.title)
    write_atomically(path, lambda part: figure.savefig(part, dpi=110, format="png", metadata={"Software": None}))
    plt.close(figure)


def section(study: Study, points: Sequence[Point]) -> str:
    """The table of a study, with its plot."""
    scale = 1e3 if study.unit.startswith("ms") else 1.0
    sizes = sorted({point.size for point in points})
    by_place = {(point.line, point.size): point for point in points}

    def cell(line: str, size: int) -> str:
        point = by_place.get((line, size))
        if point is None:
            return "–"
        return digits(point.seconds * scale) + (
            "" if point.megabytes is None else f" / {digits(max(point.megabytes, 0.0))}"
        )

    rows = [[line, *(cell(line, size) for size in sizes)] for line in study.ways]
    what = f"{study.title}: time and memory by {study.axis}, logarithmic axes. The figures stand in the table."
    return "\n\n".join(
        [
            f"**{study.title}.** {study.axis[0].upper()}{study.axis[1:]} across; {study.unit} / MB over the input.",
            table(["", *(f"{size:,}" for size in sizes)], rows),
            f"![{what}](growth_{study.name}.png)",
            study.finding,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    measured, chosen = {}, studies(given.full)
    with progress(sum(len(sizes) for study in chosen for sizes in study.ways.values()), "growth") as step:
        for study in chosen:
            measured[study.name] = study.measure(3, step)
            plot(study, measured[study.name], FOLDER / f"growth_{study.name}.png")
            print(section(study, measured[study.name]), flush=True)
    kept = json.dumps({name: [asdict(point) for point in points] for name, points in measured.items()}, indent=1)
    write_atomically(KEPT, lambda path: path.write_text(kept, encoding="utf-8"))
    head = ["## Growth", f"`{'make bench-full' if given.full else 'make bench'}` · {machine()}"]
    write_section("growth", "\n\n".join(head + [section(study, measured[study.name]) for study in chosen]))


if __name__ == "__main__":
    main()
