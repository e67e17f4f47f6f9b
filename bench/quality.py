"""How well UGACH and the baselines retrieve: five seeds, every code length, both ways.

Run:  python -m bench.quality scenes        (about 25 minutes on one core)
      python -m bench.quality wikipedia     (about 10 minutes; needs ../shared/data/wikiData.mat, or --wikipedia PATH)
Finished runs are kept in results/quality-*.json and are not run again; --fresh starts anew.
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
from bench.report import machine, table, write_section
from bench.validation import WIKIPEDIA_OPTIONS
from cmhkit.data.field import load_wikipedia
from cmhkit.data.pairs import PairedData
from cmhkit.support.files import write_atomically
from cmhkit.ugach import losses

SEEDS = range(5)
BITS = {"scenes": (16, 32, 64, 128), "wikipedia": (16, 32, 64)}
WIKIPEDIA_FILE = Path(__file__).parents[2] / "shared" / "data" / "wikiData.mat"
GAME, PRETRAINING, UNIFORM = "UGACH", "UGACH, its pretraining only", "the same steps, uniform negatives, no generator"
METHODS = ("RandomHash", "CCA", "ITQ", PRETRAINING, UNIFORM, GAME)


def map_both_ways(hasher: ck.CrossModalHasher, data: PairedData) -> list[float]:
    """MAP of pictures asking for texts, and of texts asking for pictures."""
    report = hasher.evaluate(data)
    return [report.map_i2t, report.map_t2i]


def baseline(name: str, data: PairedData, bits: int, seed: int) -> dict[str, Any]:
    """One baseline's run."""
    return {name: map_both_ways(getattr(ck, name)(bits=bits, seed=seed).fit(data, show_progress=False), data)}


def ugach(data: PairedData, bits: int, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """UGACH's run and its pretraining, which is the same run before the first round; and the ablation."""
    result: dict[str, Any] = {}

    def after_epoch(row: dict[str, Any], hasher: ck.CrossModalHasher) -> None:
        if row["epoch"] == 0:
            result[PRETRAINING] = map_both_ways(hasher, data)

    started = time.process_time()
    hasher = ck.UGACH(bits=bits, seed=seed, **options).fit(data, callback=after_epoch, show_progress=False)
    result["seconds"] = time.process_time() - started
    result[GAME] = map_both_ways(hasher, data)
    result["related by label"] = drawn_related_by_label(hasher, data)
    plain = ck.UGACH(bits=bits, seed=seed, **{**options, "negatives": "uniform"}).fit(data, show_progress=False)
    result[UNIFORM] = map_both_ways(plain, data)
    return result


def drawn_related_by_label(hasher: Any, data: PairedData) -> list[float]:
    """The share of negatives that share a label with their query, for the generator's draws and for uniform ones.

    Labels are read after training, to measure only. Pictures ask for texts; items that a graph relates to the query are
    left out, as in training.
    """
    train = data.train
    images = hasher._scaled(hasher._image_input(train.images, False), "image")
    texts = hasher._scaled(train.text_vectors, "text")
    with torch.no_grad():
        image_codes, text_codes = hasher.generator_(images, texts)
        log_p = losses.generator_log_probability(image_codes, text_codes, hasher.config.temperature)
    p = log_p.exp().numpy()
    allowed = ~hasher.positives_.toarray()
    shared = ck.graphs.label_similarity(train.labels)
    by_generator = (p * allowed * shared).sum() / (p * allowed).sum()
    return [float(by_generator), float((allowed & shared).sum() / allowed.sum())]


def measure(name: str, data: PairedData, options: dict[str, Any], file: Path, fresh: bool) -> dict[str, Any]:
    """Every run, each kept as soon as it is done."""
    done: dict[str, Any] = {} if fresh or not file.exists() else json.loads(file.read_text(encoding="utf-8"))
    for seed in SEEDS:
        for bits in BITS[name]:
            key = f"{bits} bits, seed {seed}"
            if key in done:
                continue
            run: dict[str, Any] = {}
            for method in ("RandomHash", "CCA", "ITQ"):
                run |= baseline(method, data, bits, seed)
            run |= ugach(data, bits, seed, options)
            done[key] = run
            write_atomically(file, lambda path: path.write_text(json.dumps(done, indent=1), encoding="utf-8"))
            rounded = {method: [round(x, 3) for x in run[method]] for method in METHODS}
            print(key, rounded, f"{run['seconds']:.0f} s", flush=True)
    return done


def cell(runs: list[list[float]]) -> str:
    """Mean ± standard deviation over the seeds, both ways."""
    mean, deviation = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1)
    return " / ".join(f"{m:.3f} ± {d:.3f}" for m, d in zip(mean, deviation, strict=True))


def report(name: str, data: PairedData, done: dict[str, Any], options: dict[str, Any]) -> str:
    """The section of RESULTS.md."""

    def runs(bits: int, what: str) -> list:
        return [done[f"{bits} bits, seed {seed}"][what] for seed in SEEDS]

    def gain(bits: int, other: str) -> Any:
        return np.mean(np.subtract(runs(bits, GAME), runs(bits, other)), axis=0)

    bits = BITS[name]
    rows = [[method, *(cell(runs(b, method)) for b in bits)] for method in METHODS]
    seconds = [s for b in bits for s in runs(b, "seconds")]
    labelled = np.mean([r for b in bits for r in runs(b, "related by label")], axis=0)
    differences = table(
        ["UGACH less …", *(f"{b} bits" for b in bits)],
        [[other, *(" / ".join(f"{x:+.3f}" for x in gain(b, other)) for b in bits)] for other in (PRETRAINING, UNIFORM)],
    )
    chance = ck.graphs.label_similarity(data.query.labels, data.retrieval.labels).mean()
    sizes = f"{len(data.query):,} queries, {len(data.retrieval):,} searched, {len(data.train):,} to learn from"
    return "\n\n".join(
        [
            f"## Quality on {name}",
            f"`python -m bench.quality {name}` · {machine()}",
            "MAP over the full ranking, expected over tie orders, image → text / text → image; mean ± standard "
            f"deviation of {len(SEEDS)} seeds. {sizes}. Chance {chance:.3f}. The last epoch, never the best one; "
            f"options {json.dumps(options) if options else 'as in the `lab` preset'}.",
            table(["method", *(f"{b} bits" for b in bits)], rows),
            differences,
            f"One fit of UGACH takes {np.mean(seconds):.0f} CPU seconds on average, the features cached. "
            f"Of the generator's draws that the graphs do not rule out, {labelled[0]:.1%} share a label with "
            f"their query after training; of uniform draws {labelled[1]:.1%}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=list(BITS))
    parser.add_argument("--wikipedia", type=Path, default=WIKIPEDIA_FILE)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = ck.data.load("scenes") if arguments.data == "scenes" else load_wikipedia(arguments.wikipedia)
    options = {} if arguments.data == "scenes" else WIKIPEDIA_OPTIONS
    file = Path(__file__).parent / "results" / f"quality-{arguments.data}.json"
    done = measure(arguments.data, data, options, file, arguments.fresh)
    write_section(f"quality-{arguments.data}", report(arguments.data, data, done, options))


if __name__ == "__main__":
    main()
