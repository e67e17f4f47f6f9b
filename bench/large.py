"""186,577 pairs, as many as NUS-WIDE has: what UGACH and SSAH need for them, in memory and in time.

Run:  python -m bench.large                       (an hour or so; writes its section of RESULTS.md)
      python -m bench.large --pairs 20000         (minutes; prints)
Features are made up, each of 21 labels a direction. They lie in files and are read from there. Each method trains in a
process of its own, for one epoch of the preset `lab` (UGACH: with the representation of its preset `paper`), and then
encodes every pair. SSAH meets a part of its bank; how far its terms are from the whole bank's is measured on batches.
ADAH has no row yet: it reads SceneNet's maps, 16 kB each, and no vectors.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

import cmhkit as ck
from bench.report import machine, table, write_section
from bench.timing import digits, peak_memory
from cmhkit.data.pairs import PairedData
from cmhkit.ssah.fit import Supervision
from cmhkit.support.blocks import slices
from cmhkit.support.progress import progress

PAIRS = 186_577
WIDTH, WORDS, LABELS = 512, 300, 21
#: Pairs of the bank that a batch of SSAH meets.
BANK = 4096
#: The bar, in MB.
MOST = 4000
OPTIONS: dict[str, dict[str, Any]] = {
    "UGACH": {"hidden": 8192, "rounds": 1},
    "SSAH": {"epochs": 1, "bank": BANK},
}


@dataclass(frozen=True)
class Large:
    """One method. seconds: CPU time of an epoch and of encoding. megabytes: peak of the process, None if unknown."""

    method: str
    pairs: int
    seconds: float
    megabytes: float | None


def write_pairs(folder: Path, pairs: int, width: int = WIDTH, words: int = WORDS) -> None:
    """Make pairs up, a block at a time: image features, bags of words and labels, in three files of a folder."""
    random = np.random.default_rng(0)
    directions, chances = random.standard_normal((LABELS, width)), random.random((LABELS, words)) ** 8 / 2
    shapes = {"images": (pairs, width), "texts": (pairs, words), "labels": (pairs, LABELS)}
    kinds = {"images": np.float32, "texts": np.float32, "labels": np.uint8}
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kinds[name], shape=shape)
        for name, shape in shapes.items()
    }
    for rows in slices(pairs, 4096):
        size = rows.stop - rows.start
        labels = random.random((size, LABELS)) < 2 / LABELS
        labels[np.arange(size), random.integers(0, LABELS, size)] = True
        files["labels"][rows] = labels
        files["images"][rows] = np.maximum(labels @ directions + random.standard_normal((size, width)), 0)
        files["texts"][rows] = random.random((size, words)) < labels @ chances


def pairs_of(folder: Path) -> PairedData:
    """The pairs of a folder; arrays stay in their files. The first hundred are queries."""
    images, texts, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "texts", "labels"))
    query, rest = np.arange(100), np.arange(100, len(images))
    return PairedData(
        name="made up",
        images=images,
        text_vectors=texts,
        parts={"query": query, "retrieval": rest, "train": rest},
        labels=np.array(labels),
        texts=None,
        vocabulary=None,
        truth=None,
    )


def trained(folder: Path, method: str, options: dict[str, Any]) -> Callable[[], None]:
    """The work of one method, for a fresh process. It leaves its CPU seconds in the folder."""
    torch.set_num_threads(1)

    def work() -> None:
        warnings.simplefilter("ignore")
        data, started = pairs_of(folder), time.process_time()
        hasher = getattr(ck, method)(bits=32, device="cpu", **options).fit(data, show_progress=False)
        for side in ({"images": data.images}, {"texts": data.text_vectors}):
            assert hasher.encode(**side).shape == (len(data.images), 4)
        (folder / f"{method}.seconds").write_text(str(time.process_time() - started))

    return work


def measured(folder: Path, method: str, options: dict[str, Any]) -> Large:
    """One method in a process of its own."""
    peak = peak_memory(trained, folder, method, options)
    if peak is None:
        trained(folder, method, options)()
    seconds = float((folder / f"{method}.seconds").read_text())
    pairs = len(np.load(folder / "labels.npy", mmap_mode="r"))
    return Large(method, pairs, seconds, None if peak is None else peak.total)


def bank_error(data: PairedData, bank: int, batches: int, **options: Any) -> dict[str, tuple[float, float]]:
    """How far SSAH's J1 and J2 of a batch are from those against the whole bank: the relative deviation of the value,
    and that of the gradient with respect to the batch's features or codes, the mean over some batches.
    """
    found: dict[str, list[tuple[float, float]]] = {"j1": [], "j2": []}

    def look(row: dict[str, Any], hasher: ck.SSAH) -> None:
        part = data.train
        schedule = Supervision(hasher, part.images, part.text_vectors, part.labels, torch.Generator().manual_seed(1))
        schedule._train_only("image")
        for items in torch.randperm(schedule.n, generator=schedule.random).split(schedule.batch)[:batches]:
            terms = []
            for size in (0, bank):
                schedule.config = attrs.evolve(hasher.config, bank=size)
                outputs = schedule.network.image(schedule._input("image", items))
                found_terms = schedule.terms("image", items, outputs)
                terms.append(
                    {
                        name: (
                            found_terms[name].detach(),
                            *torch.autograd.grad(found_terms[name], of, retain_graph=True),
                        )
                        for name, of in (("j1", outputs.features), ("j2", outputs.logits))
                    }
                )
            for name, pairs in found.items():
                (value, gradient), (drawn, slope) = terms[0][name], terms[1][name]
                pairs.append((float((drawn / value - 1).abs()), float((slope - gradient).norm() / gradient.norm())))

    ck.SSAH(bits=32, device="cpu", epochs=1, bank=bank, **options).fit(data, callback=look, show_progress=False)
    return {name: tuple(np.mean(pairs, axis=0)) for name, pairs in found.items()}


def report(found: Sequence[Large], errors: dict[str, tuple[float, float]], bank: int, command: str) -> str:
    """The section of RESULTS.md."""
    rows = [
        [
            one.method,
            f"{one.pairs:,}",
            digits(one.seconds),
            "–" if one.megabytes is None else digits(one.megabytes),
            "–" if one.megabytes is None else "reached" if one.megabytes < MOST else "missed",
        ]
        for one in found
    ]
    of_bank = [[name.upper(), f"{value:.1%}", f"{slope:.1%}"] for name, (value, slope) in errors.items()]
    return "\n\n".join(
        [
            "## As many pairs as NUS-WIDE has",
            f"`{command}` · {machine()}",
            f"Made-up features of width {WIDTH} and bags of {WORDS} words, in files. One epoch (UGACH: its pretraining "
            "and one round, 8,192 units), then the codes of all pairs. CPU seconds on one thread; the peak of the "
            "process.",
            table(["method", "pairs", "CPU s", "peak, MB", f"under {MOST:,} MB"], rows),
            f"SSAH's batches meet {bank:,} pairs of the bank. How far that is from the whole bank, the mean over "
            "batches after one epoch:",
            table(["term", "value", "gradient"], of_bank),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, progress(len(OPTIONS) + 1, "large") as step:
        folder = Path(name)
        write_pairs(folder, given.pairs)
        found = []
        for method, options in OPTIONS.items():
            options = options | ({"backbone": "features"} if method == "SSAH" else {})
            found.append(measured(folder, method, options))
            step(1, method)
            print(found[-1], flush=True)
        data = pairs_of(folder)
        errors = bank_error(data, min(BANK, len(data.train)), batches=10, backbone="features")
    text = report(found, errors, BANK, "python -m bench.large")
    print(text)
    if given.pairs == PAIRS:
        write_section("large", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
