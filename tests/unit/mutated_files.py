"""Run by test_field.py in a process of its own: small files with a damaged byte or a lost end. A crash ends it.

python mutated_files.py FOLDER CONTAINER SEED COUNT: prints what came of each file; only `InputError` is caught.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from field_files import C, cells, hdf5, truth, v73
from scipy.io import savemat
from scipy.sparse import csc_matrix

import cmhkit as ck
from cmhkit.support.checks import InputError

N = 24
KEPT = truth(N)
SET = {"XAll": KEPT["features"], "YAll": KEPT["texts"], "LAll": KEPT["labels"]}
ROWS = {"te": np.arange(4), "tr": np.arange(4, N)}
LETTERS = {"I": "features", "T": "texts"}
WIKIPEDIA = {f"L_{part}": np.arange(len(rows))[:, None] % C + 1 for part, rows in ROWS.items()}
for part, rows in ROWS.items():
    WIKIPEDIA |= {f"{key}_{part}": KEPT[role][rows].astype(float) for key, role in LETTERS.items()}
CAPTIONS = [f"a caption of {i}" for i in range(N)]


def captioned() -> dict[str, np.ndarray]:
    texts = np.empty((1, N), dtype=object)
    texts[0, :] = CAPTIONS
    return SET | {"YAll": texts}


def with_split() -> dict[str, Any]:
    """A structure with the split, whose labels are rows of letters."""
    names = np.array([f"label {i % C}" for i in range(N)])
    param = {"indexQuery": np.arange(1.0, 5), "indexTrain": np.arange(5.0, N + 1), "bit": 16}
    return SET | {"LAll": names, "param": param}


def checked_hdf5(path: Path) -> None:
    """HDF5 with checksums of everything."""
    with h5py.File(path, "w", libver="latest") as file:
        for key, array in SET.items():
            file.create_dataset(key, data=array, chunks=array.shape, compression="gzip", fletcher32=True)


def captions_in_v73(path: Path) -> None:
    v73(path, XAll=SET["XAll"].T, LAll=SET["LAll"].T)
    with h5py.File(path, "a") as file:
        cells(file, "YAll", CAPTIONS)


#: By container: how a file is written, and whether it has checksums, so that no other data can be read.
KINDS: dict[str, dict[str, tuple[Callable[[Path], object], bool]]] = {
    "v5": {
        "plain": (lambda path: savemat(path, SET), False),
        "compressed": (lambda path: savemat(path, SET, do_compression=True), True),
        "sparse": (lambda path: savemat(path, SET | {"YAll": csc_matrix(KEPT["texts"])}), False),
        "cells": (lambda path: savemat(path, captioned()), False),
        "split": (lambda path: savemat(path, with_split()), False),
        "compressed split": (lambda path: savemat(path, with_split(), do_compression=True), True),
        "compressed cells": (lambda path: savemat(path, captioned(), do_compression=True), True),
        "wikipedia": (lambda path: savemat(path, WIKIPEDIA), False),
        "compressed wikipedia": (lambda path: savemat(path, WIKIPEDIA, do_compression=True), True),
    },
    "HDF5": {
        "plain": (lambda path: hdf5(path, **SET), False),
        "checked": (checked_hdf5, True),
        "v7.3": (lambda path: v73(path, **{key: array.T for key, array in SET.items()}), False),
        "v7.3 cells": (captions_in_v73, False),
    },
}


def read(path: Path, kind: str) -> list[np.ndarray]:
    """Pictures, texts and labels in the order of the pairs."""
    if "split" in kind:
        data = ck.data.load(f"mat:{path}", features=None, show_progress=False)
    elif "wikipedia" in kind:
        data = ck.data.load(f"wikipedia:{path}", show_progress=False)
    else:
        data = ck.data.load(f"mat:{path}", query=2, train=4, features=None, show_progress=False)
    return [np.asarray(data.images), data.text_vectors, data.labels]


def main(folder: Path, container: str, seed: int, count: int) -> None:
    for kind, (write, checked) in KINDS[container].items():
        path = folder / f"{kind}.mat"
        write(path)
        content, kept = path.read_bytes(), read(path, kind)
        rng = np.random.default_rng([seed, len(content)])
        for number in range(count):
            damaged, cut = bytearray(content), number % 5 == 0
            if cut:
                del damaged[int(rng.integers(len(content))) :]
            else:
                damaged[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            print(f"reading {container}, {kind}, number {number}", file=sys.stderr, flush=True)
            try:
                arrays = read(path, kind)
            except InputError as error:
                assert str(error).startswith(("path: expected", "images: expected")), error
                print("error")
                continue
            other = [i for i, (a, b) in enumerate(zip(arrays, kept, strict=True)) if not np.array_equal(a, b)]
            assert all(len(array) == N and np.isfinite(array).all() for array in arrays)
            assert len(other) <= (0 if cut or checked else 1), "a damaged byte reaches no further than its own array"
            print("other" if other else "equal")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
