"""Speed and memory, side by side with what a user would run instead.

Run:  python -m bench.speed           (a few minutes on one core; `make bench`)
      python -m bench.speed --full    (every size; half an hour or so; `make bench-full`)
      python -m bench.speed --only map search    (measures these again; the others' figures are kept)
All ways of a job run in one process, one after the other, round by round, on one thread; what counts is CPU time. Each
job also checks that the results agree, with a stated tolerance. A time never fails anything; results that differ do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from bench.jobs import FULL, QUICK, Outcome, jobs
from bench.report import machine, table, write_section
from bench.timing import digits
from cmhkit.support.files import write_atomically
from cmhkit.support.progress import progress

KEPT = Path(__file__).parent / "results" / "speed.json"


def report(outcomes: Sequence[Outcome], command: str) -> str:
    """The section of RESULTS.md."""
    rows, bars, agreements, peaks = [], [], [], []
    for done in outcomes:
        ours = next(iter(done.times.values())).median
        for number, (name, times) in enumerate(done.times.items()):
            share = "1" if number == 0 else digits(times.median / ours)
            rows.append([done.title if number == 0 else "", name, f"{times.in_words(done.scale)} {done.unit}", share])
        bars += [[done.title, bar.words, digits(bar.measured), bar.in_words()] for bar in done.bars]
        agreements += [
            [done.title, one.what, f"{one.difference:.1e}" if one.difference else "0", f"{one.tolerance:g}"]
            for one in done.agreements
        ]
        peaks += [[done.title, name, digits(peak.over), digits(peak.total)] for name, peak in done.peaks.items()]
    reached = sum(bar.reached for done in outcomes for bar in done.bars)
    return "\n\n".join(
        [
            "## Speed and memory",
            f"`{command}` · {machine('faiss-cpu', 'torchmetrics', 'pytorch-metric-learning', 'numba')}",
            "CPU time, one thread, all ways of a job in one process, interleaved; the median, and in brackets the "
            "lowest and the highest round. The machine was busy with other work, so read the ratios (the last column: "
            "in times of the job's first line), not the times.",
            table(["job", "way", "time", "×"], rows),
            f"The bars of the design page (shared/design/PERFORMANCE.md): {reached} of {len(bars)} reached.",
            table(["job", "bar", "measured", ""], bars),
            (
                "Peak memory in a fresh process, in MB: over what was held before the work (inputs, imports), and in "
                "total."
            ),
            table(["job", "way", "over the input", "in total"], peaks),
            "The results agree. Ties are broken by place where a peer cannot take them as they are.",
            table(["job", "what is compared with cmhkit", "largest difference", "allowed"], agreements),
            "\n".join(f"- {done.title}: {note}" for done in outcomes for note in done.notes),
        ]
    )


def kept_outcomes(command: str) -> list[Outcome]:
    """What the last run of the same command found, or as much of it as was done."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"command": "", "outcomes": []}
    return [Outcome.from_dict(one) for one in kept["outcomes"]] if kept["command"] == command else []


def replaced(outcomes: Sequence[Outcome], done: Outcome) -> list[Outcome]:
    """`done` in the place of the same job's earlier outcome, or at the end."""
    titles = [one.title for one in outcomes]
    place = titles.index(done.title) if done.title in titles else len(titles)
    return [*outcomes[:place], done, *outcomes[place + 1 :]]


def keep(outcomes: Sequence[Outcome], command: str) -> None:
    """Write what is done so far, so that a run that is stopped loses one job at most."""
    kept = json.dumps({"command": command, "outcomes": [asdict(done) for done in outcomes]}, indent=1)
    write_atomically(KEPT, lambda path: path.write_text(kept, encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument(
        "--only", nargs="+", choices=list(jobs(QUICK)), help="measure these again; the others' figures are kept"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    chosen = jobs(FULL if given.full else QUICK)
    todo = [job for name in given.only or chosen for job in chosen[name]]
    command = "make bench-full" if given.full else "make bench"
    outcomes = kept_outcomes(command) if given.only else []
    with progress(len(todo), "speed") as step:
        for job in todo:
            done = job()
            outcomes = replaced(outcomes, done)
            keep(outcomes, command)
            step(1, done.title)
            print(
                done.title,
                *(f"  {name}: {times.in_words(done.scale)} {done.unit}" for name, times in done.times.items()),
                sep="\n",
                flush=True,
            )
            print(
                *(f"  {bar.words}: {digits(bar.measured)}, {bar.in_words()}" for bar in done.bars), sep="\n", flush=True
            )
    write_section("speed", report(outcomes, command))
    wrong = [(done.title, one) for done in outcomes for one in done.agreements if not one.holds]
    for title, one in wrong:
        print(f"{title}: {one.what} differs by {one.difference:g}, allowed is {one.tolerance:g}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
