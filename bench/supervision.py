"""How well SSAH retrieves, on scenes and on the Wikipedia file: five seeds, within modalities too, with ablations at 32
bits.

Run:  python -m bench.supervision scenes       (about 30 minutes on one core)
      python -m bench.supervision wikipedia    (about 15 minutes; 20 seeds at 32 bits; needs
      ../shared/data/wikiData.mat, or --wikipedia PATH)
Finished runs are kept in results/supervision-*.json with their options, and are run again only where these changed;
--fresh starts anew.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cmhkit as ck
from bench.quality import WIKIPEDIA_FILE, cell
from bench.report import machine, table, write_section
from bench.validation import WIKIPEDIA_SSAH_OPTIONS
from cmhkit.codes import diagnostics
from cmhkit.course.distributions import matches
from cmhkit.data.field import load_wikipedia
from cmhkit.data.pairs import PairedData
from cmhkit.metrics import mean_average_precision
from cmhkit.support.files import write_atomically
from cmhkit.support.options import as_dict, current

BITS = (16, 32, 64)
SEEDS = range(5)
#: On the Wikipedia file, at 32 bits: whether any run collapses or meets a number that is not finite.
MANY = range(20)
#: Of the ablations.
FEW = range(3)
FULL = "SSAH"
#: Ablations at 32 bits, each a change of one option, and of a second where the first needs it.
WITHOUT: dict[str, dict[str, Any]] = {
    "without the adversarial term": {"adversarial": "none"},
    "gradient does not reach the networks": {"adversarial": "detached"},
    "without LabNet's supervision": {"supervision": "each-other", "adversarial": "none"},
    "squared pair loss": {"pair_loss": "squared"},
    "own sign instead of the shared B": {"binary": "own"},
    "with multi-scale fusion": {"pools": (5, 10, 15, 30, 50)},
}
KINDS = ("image", "text")
DIRECTIONS = {
    "image → text": ("image", "text"),
    "text → image": ("text", "image"),
    "image → image": ("image",) * 2,
    "text → text": ("text",) * 2,
}


def jobs(name: str) -> list[tuple[int, int, str]]:
    """(seed, bits, variant) of every run."""
    plain = [(seed, bits, FULL) for seed in SEEDS for bits in BITS]
    if name == "wikipedia":
        return plain + [(seed, 32, FULL) for seed in MANY if seed not in SEEDS]
    return plain + [(seed, 32, variant) for seed in FEW for variant in WITHOUT]


def one_run(data: PairedData, hasher: ck.SSAH) -> dict[str, Any]:
    """One fit: MAP in every direction, the ceiling, the codes' state, and how far the distributions of features are
    apart.
    """
    started = time.process_time()
    hasher.fit(data, show_progress=False)
    measured: dict[str, Any] = {"seconds": time.process_time() - started}
    parts = {"query": data.query, "retrieval": data.retrieval}
    coded = {name: {kind: hasher.encode(**{f"{kind}s": part}) for kind in KINDS} for name, part in parts.items()}
    labels = parts["query"].labels, parts["retrieval"].labels
    measured["map"] = {
        way: mean_average_precision(coded["query"][a], coded["retrieval"][b], *labels)
        for way, (a, b) in DIRECTIONS.items()
    }
    states = [diagnostics(c, warn=False) for c in coded["retrieval"].values()]
    measured["collapsed"] = any(state.collapsed for state in states)
    measured["distinct"] = [state.distinct for state in states]
    if hasher.network_.label is not None:
        of_labels = {name: hasher.encode(labels=part) for name, part in parts.items()}
        measured["ceiling"] = mean_average_precision(of_labels["query"], of_labels["retrieval"], *labels)
        measured["apart"] = {
            kind: {"share": m.test.share, "expected": m.test.expected, "p": m.test.p_value, "accuracy": m.accuracy}
            for kind, m in matches(hasher, data.query, seed=0).items()
        }
    measured["finite"] = all(np.isfinite(value) for row in hasher.history_ for value in row.values())
    return measured


def measure(name: str, data: PairedData, options: dict[str, Any], kept: Path, fresh: bool) -> dict[str, Any]:
    """Every run, each kept as soon as it is done."""
    done: dict[str, Any] = {} if fresh or not kept.exists() else json.loads(kept.read_text(encoding="utf-8"))
    for seed, bits, variant in jobs(name):
        key = f"{variant}, {bits} bits, seed {seed}"
        hasher = ck.SSAH(bits=bits, seed=seed, **{**options, **WITHOUT.get(variant, {})})
        config = json.loads(json.dumps(as_dict(hasher.config)))
        if current(type(hasher.config), done.get(key, {}).get("config", {})) == config:
            continue
        done[key] = one_run(data, hasher) | {"config": config}
        write_atomically(kept, lambda path: path.write_text(json.dumps(done, indent=1), encoding="utf-8"))
        rounded = {way: round(value, 3) for way, value in done[key]["map"].items()}
        print(
            key,
            rounded,
            f"ceiling {done[key].get('ceiling', float('nan')):.3f}, {done[key]['seconds']:.0f} s",
            flush=True,
        )
    return done


def report(name: str, data: PairedData, done: dict[str, Any], options: dict[str, Any]) -> str:
    """The section of RESULTS.md."""

    def values(variant: str, bits: int, what: str, seeds: range | None = None) -> list[Any]:
        return [
            done[f"{variant}, {bits} bits, seed {seed}"][what] for seed in seeds or (SEEDS if variant == FULL else FEW)
        ]

    def runs(variant: str, bits: int, *ways: str, seeds: range | None = None) -> list[list[float]]:
        return [[run[way] for way in ways] for run in values(variant, bits, "map", seeds)]

    def apart(variant: str, kind: str, what: str) -> str:
        return cell([[run[kind][what]] for run in values(variant, 32, "apart")])

    ways = list(DIRECTIONS)
    rows = [[way, *(cell(runs(FULL, b, way)) for b in BITS)] for way in ways]
    rows.append(["LabNet's codes, label → label", *(cell([[x] for x in values(FULL, b, "ceiling")]) for b in BITS)])
    sizes = f"{len(data.query):,} queries, {len(data.retrieval):,} searched, {len(data.train):,} to learn from"
    chance = ck.graphs.label_similarity(data.query.labels, data.retrieval.labels).mean()
    seconds = np.mean([done[key]["seconds"] for key in done if key.startswith(f"{FULL},")])
    parts = [
        f"## SSAH on {name}",
        f"`python -m bench.supervision {name}` · {machine()}",
        f"MAP over the full ranking, expected over tie orders; mean ± standard deviation of 5 seeds. {sizes}. "
        f"Chance {chance:.3f}. The last epoch, never the best one; "
        f"options {json.dumps(options) if options else 'as in the `lab` preset'}. "
        f"One fit takes {seconds:.0f} CPU seconds on average.",
        table(["", *(f"{b} bits" for b in BITS)], rows),
    ]
    if name == "scenes":
        variants = [FULL, *WITHOUT]
        parts += [
            f"Ablations at 32 bits, image → text / text → image, then within modalities. "
            f"The same runs with one option changed, {len(FEW)} seeds.",
            table(
                ["", "across", "image → image / text → text"],
                [[v, cell(runs(v, 32, *ways[:2])), cell(runs(v, 32, *ways[2:]))] for v in variants],
            ),
            "How far the features of labels and of pictures or words are apart, on the queries at 32 bits. "
            "Share: of the energy distance in its largest value, from 0 (equal distributions) to 1, with its mean over "
            "random divisions in brackets. Accuracy: of a fresh linear classifier on items that it did not learn "
            "from, one half where features cannot be told apart.",
            table(
                ["", "share, pictures", "share, words", "accuracy, pictures", "accuracy, words"],
                [
                    [
                        v,
                        *(f"{apart(v, kind, 'share')} ({apart(v, kind, 'expected')})" for kind in KINDS),
                        *(apart(v, kind, "accuracy") for kind in KINDS),
                    ]
                    for v in (FULL, "without the adversarial term", "gradient does not reach the networks")
                ],
            ),
        ]
    every = [done[f"{variant}, {bits} bits, seed {seed}"] for seed, bits, variant in jobs(name) if variant == FULL]
    bad = sum(run["collapsed"] for run in every), sum(not run["finite"] for run in every)
    parts.append(
        f"Of these {len(every)} runs of SSAH{', 20 of them at 32 bits,' if name == 'wikipedia' else ''} "
        f"{bad[0]} collapsed and {bad[1]} met a number that is not finite; "
        f"the fewest distinct codes were {min(min(run['distinct']) for run in every)} of {len(data.retrieval):,} items."
    )
    if name == "wikipedia":
        least = " / ".join(f"{min(runs(FULL, 32, way, seeds=MANY))[0]:.3f}" for way in ways[:2])
        parts.append(f"The worst of {len(MANY)} seeds at 32 bits, each way by itself: {least}.")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["scenes", "wikipedia"])
    parser.add_argument("--wikipedia", type=Path, default=WIKIPEDIA_FILE)
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = ck.data.load("scenes") if given.data == "scenes" else load_wikipedia(given.wikipedia)
    options = {} if given.data == "scenes" else WIKIPEDIA_SSAH_OPTIONS
    done = measure(
        given.data, data, options, Path(__file__).parent / "results" / f"supervision-{given.data}.json", given.fresh
    )
    write_section(f"supervision-{given.data}", report(given.data, data, done, options))


if __name__ == "__main__":
    main()
