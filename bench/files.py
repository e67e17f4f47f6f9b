"""What reading a benchmark file of full size costs: 20,015 pictures of 224×224, made up, in two of the forms in
circulation.

Run:  python -m bench.files        (about five minutes, and 10 GB of disk for as long as it runs)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from bench.report import machine, table, write_section

ITEMS, QUERIES, SIDE, WORDS, LABELS = 20_015, 2_000, 224, 1386, 24
READER = """
import json, sys, time
import cmhkit as ck
started = time.process_time()
data = ck.data.load("mat:" + sys.argv[1], features=None, show_progress=False)
opened = time.process_time() - started
started, total = time.process_time(), 0
for start in range(0, len(data), 128):
    total += int(data.images[start : start + 128].sum())
read = time.process_time() - started
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"pairs": len(data), "opened": opened, "read": read, "peak": peak / 1024, "total": total}))
"""


def pictures(random: np.random.Generator, count: int) -> np.ndarray:
    """Made-up pictures, uint8, shape (count, 3, side, side)."""
    return random.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)


def sides(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bags of words and labels of so many pairs, each with at least one."""
    words, labels = (random.random((count, width)) < 5 / width for width in (WORDS, LABELS))
    words[:, 0], labels[np.arange(count), np.arange(count) % LABELS] = True, True
    return words.astype(np.uint8), labels.astype(np.uint8)


def items_first(path: Path) -> None:
    """As FLICKR-25K.mat with pixels: one array, items first, axes reversed."""
    random = np.random.default_rng(0)
    words, labels = sides(random, ITEMS)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (ITEMS, 3, SIDE, SIDE), np.uint8)
        for start in range(0, ITEMS, 500):
            images[start : start + 500] = pictures(random, min(500, ITEMS - start))
        file["YAll"], file["LAll"] = words.T, labels.T


def items_last(path: Path) -> None:
    """As raw_mir.mat: query and database parts, items last."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part, count in (("te", QUERIES), ("db", ITEMS - QUERIES), ("tr", 10_000)):
            if part != "tr":
                words, labels = sides(random, count)
                images = file.create_dataset(f"I_{part}", (SIDE, SIDE, 3, count), np.uint8, chunks=(SIDE, SIDE, 3, 64))
                for start in range(0, count, 512):
                    images[..., start : start + 512] = pictures(random, min(512, count - start)).transpose(2, 3, 1, 0)
            else:  # the training part is the beginning of the database
                words, labels = words[:count], labels[:count]
                images = file.create_dataset("I_tr", (SIDE, SIDE, 3, count), np.uint8, chunks=(SIDE, SIDE, 3, 64))
                for start in range(0, count, 512):
                    stop = min(start + 512, count)
                    images[..., start:stop] = file["I_db"][..., start:stop]
            file[f"T_{part}"], file[f"L_{part}"] = words.T, labels.T


def measured(make: object, name: str, folder: Path) -> list[str]:
    """One row: made, read in a fresh process with an empty cache, removed."""
    path = folder / name
    make(path)
    environment = {**os.environ, "CMHKIT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    path.unlink()
    if done.returncode:
        sys.exit(done.stderr)
    measures = json.loads(done.stdout.splitlines()[-1])
    print(name, measures, flush=True)
    return [
        name,
        f"{measures['pairs']:,}",
        f"{measures['peak']:.0f} MB",
        f"{measures['opened']:.1f} CPU s",
        f"{1000 * measures['read'] / measures['pairs']:.2f} CPU ms",
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measured(make, name, Path(folder))
            for make, name in ((items_first, "FLICKR-25K.mat"), (items_last, "raw_mir.mat"))
        ]
    text = "\n\n".join(
        [
            "## Reading a file of full size",
            f"`python -m bench.files` · {machine('h5py')}",
            f"{ITEMS:,} made-up pictures of {SIDE}×{SIDE} in the form of two files in circulation: items first, and "
            "items last, which is rearranged once into the cache. Every picture is read once, in batches of 128. "
            "The bar is 1 GB.",
            table(["form", "pairs", "peak of the process", "to open, once", "to read a picture"], rows),
        ]
    )
    write_section("files", text)


if __name__ == "__main__":
    main()
