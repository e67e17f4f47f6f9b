"""Files as they circulate, made small: both containers, right and wrong. Used by the tests of the readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

N, H, W, D, T, C = 12, 6, 8, 7, 5, 4


def truth(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    """Pictures, features, counts and labels of n pairs; no two pairs are alike."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, C)) < 0.4).astype(np.uint8)
    labels[np.arange(n), rng.integers(0, C, n)] = 1
    return {
        "pictures": rng.integers(0, 256, size=(n, H, W, 3)).astype(np.uint8),
        "features": rng.normal(size=(n, D)).astype(np.float32),
        "texts": rng.integers(0, 3, size=(n, T)).astype(np.float32),
        "labels": labels,
    }


def v5(path: Path, **arrays: Any) -> Path:
    """MATLAB v5: arrays as MATLAB holds them."""
    savemat(path, arrays)
    return path


def hdf5(path: Path, chunks: dict[str, tuple[int, ...]] | None = None, **arrays: Any) -> Path:
    """Plain HDF5: arrays as h5py shows them."""
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, chunks=(chunks or {}).get(key))
    return path


def v73(path: Path, **arrays: np.ndarray) -> Path:
    """MATLAB v7.3: arrays as h5py shows them, which is the reverse of what MATLAB holds; with MATLAB's header and class names."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array).attrs["MATLAB_class"] = np.bytes_(matlab_class(array))
    header(path)
    return path


def header(path: Path) -> None:
    """Write MATLAB's text into the user block."""
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def matlab_class(array: np.ndarray) -> str:
    return {"float64": "double", "float32": "single"}.get(str(array.dtype), str(array.dtype))


def cells(file: h5py.File, key: str, texts: list[str]) -> None:
    """A cell array of texts, as MATLAB v7.3 keeps it: references to character codes."""
    kept = file.require_group("#refs#")
    refs = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for i, text in enumerate(texts):
        codes = np.array([[ord(letter)] for letter in text], dtype=np.uint16) if text else np.array([0, 0], dtype=np.uint64)
        item = kept.create_dataset(f"{key}{i}", data=codes)
        item.attrs["MATLAB_class"] = np.bytes_("char")
        if not text:
            item.attrs["MATLAB_empty"] = np.uint8(1)
        refs[0, i] = item.ref
    file.create_dataset(key, data=refs, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")


def parted(part_rows: dict[str, np.ndarray], source: dict[str, np.ndarray], keys: dict[str, str]) -> dict[str, np.ndarray]:
    """Arrays of a set with its own split: keys say the letter of each role, such as {"features": "I_{}"}."""
    return {keys[role].format(part): source[role][rows] for part, rows in part_rows.items() for role in keys}
