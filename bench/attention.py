"""How well ADAH retrieves and where its masks look, on scenes: five seeds, with ablations at 32 bits.

Run:  python -m bench.attention        (about 30 minutes on one core)
Finished runs are kept in results/attention.json and are not run again; --fresh starts anew.
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
from bench.quality import SEEDS, cell, map_both_ways
from bench.report import machine, table, write_section
from cmhkit.course.masks import mask_quality, random_masks, truth_places
from cmhkit.data.pairs import PairedData
from cmhkit.support.files import write_atomically

KEPT = Path(__file__).parent / "results" / "attention.json"
BITS = (16, 32, 64)
WITHOUT = {"frozen": "with a frozen random G", "none": "without G, nothing hidden"}


def jobs() -> list[tuple[int, int, str]]:
    """(seed, bits, attention) of every run."""
    return [
        job for seed in SEEDS for job in (*((seed, b, "adversarial") for b in BITS), *((seed, 32, a) for a in WITHOUT))
    ]


def one_run(data: PairedData, seed: int, bits: int, attention: str) -> dict[str, Any]:
    """One fit, its MAP both ways, and the quality of its masks on the query pictures."""
    started = time.process_time()
    hasher = ck.ADAH(bits=bits, seed=seed, attention=attention).fit(data, show_progress=False)
    result: dict[str, Any] = {"seconds": time.process_time() - started, "map": map_both_ways(hasher, data)}
    if attention != "none":
        query = data.query
        masks = hasher.masks(images=query).mask.numpy().reshape(len(query), 8, 8) > 0
        truth = truth_places(query.truth.owner)
        chance = random_masks(masks, np.random.default_rng(seed))
        for name, drawn in (("masks", masks), ("random masks", chance)):
            quality = mask_quality(drawn, truth)
            result[name] = [quality.iou, quality.precision, quality.recall]
        result["area"] = float(masks.mean())
        result["history"] = {key: value for key, value in hasher.history_[-1].items() if isinstance(value, float)}
    return result


def report(data: PairedData, done: dict[str, Any]) -> str:
    """The section of RESULTS.md."""

    def runs(bits: int, attention: str, what: str) -> list:
        return [done[f"{bits} bits, {attention}, seed {seed}"][what] for seed in SEEDS]

    retrieval = table(
        ["", *(f"{b} bits" for b in BITS)],
        [
            ["ADAH", *(cell(runs(b, "adversarial", "map")) for b in BITS)],
            *([f"ADAH {words}", "–", cell(runs(32, a, "map")), "–"] for a, words in WITHOUT.items()),
        ],
    )
    rows = [
        ["as they start (frozen G)", cell(runs(32, "frozen", "masks"))],
        ["random, of that area", cell(runs(32, "frozen", "random masks"))],
        ["after the game", cell(runs(32, "adversarial", "masks"))],
        ["random, of that area", cell(runs(32, "adversarial", "random masks"))],
    ]
    seconds = np.mean([s for b in BITS for s in runs(b, "adversarial", "seconds")])
    sizes = f"{len(data.query)} queries, {len(data.retrieval):,} searched, {len(data.train):,} to learn from"
    areas = [np.mean(runs(32, a, "area")) for a in ("frozen", "adversarial")]
    return "\n\n".join(
        [
            "## ADAH on scenes",
            f"`python -m bench.attention` · {machine()}",
            "MAP over the full ranking, expected over tie orders, image → text / text → image; "
            f"mean ± standard deviation of {len(SEEDS)} seeds; {sizes}. "
            "The last epoch; options as in the `lab` preset.",
            retrieval,
            "Masks of the query pictures at 32 bits against the truth, IoU / precision / recall. "
            "A place is a drawing's where drawings show in at least half of it.",
            table(["masks", "IoU / precision / recall"], rows),
            f"Masks attend {areas[0]:.0%} of the places at the start and {areas[1]:.0%} after the game. "
            f"One fit takes {seconds:.0f} CPU seconds on average.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = ck.data.load("scenes")
    done: dict[str, Any] = {} if options.fresh or not KEPT.exists() else json.loads(KEPT.read_text(encoding="utf-8"))
    for seed, bits, attention in jobs():
        key = f"{bits} bits, {attention}, seed {seed}"
        if key not in done:
            done[key] = one_run(data, seed, bits, attention)
            write_atomically(KEPT, lambda path: path.write_text(json.dumps(done, indent=1), encoding="utf-8"))
            print(
                key,
                {name: np.round(done[key][name], 3).tolist() for name in done[key] if name != "history"},
                flush=True,
            )
    write_section("attention", report(data, done))


if __name__ == "__main__":
    main()
