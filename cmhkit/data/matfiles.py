"""The Wikipedia benchmark as it circulates: `wikiData.mat`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmhkit.data.pairs import PairedData
from cmhkit.errors import InputError, check

WIKIPEDIA_TOPICS = ("art", "biology", "geography", "history", "literature", "media", "music", "royalty", "sport", "warfare")
_KEYS = ("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te")


def load_wikipedia(path: str | Path, *, standardise: bool = True) -> PairedData:
    """The Wikipedia benchmark: 2,173 pairs to learn from and to search, 693 to ask with.

    path: `wikiData.mat`, MATLAB v5, with I_tr, T_tr, L_tr, I_te, T_te, L_te; rows are items; labels one column of class numbers from 1.
    standardise: z-score pictures and texts with the training part's mean and deviation (raw histograms do not train).
    Errors: `InputError` if the file is not there, is not MATLAB v5, lacks a key, or its sizes disagree.
    Source: Rasiwasia et al., ACM MM 2010.
    """
    from scipy.io import loadmat

    path = Path(path)
    check(path.is_file(), f"path: expected the file wikiData.mat, got {path}, which is not there")
    try:
        found = loadmat(path)
    except Exception as error:  # SciPy has no one error for a file that it cannot read
        raise InputError(f"path: expected a MATLAB v5 file, got {path} ({error})") from error
    missing = [key for key in _KEYS if key not in found]
    check(not missing, f"path: expected the keys {', '.join(_KEYS)} in {path}, {', '.join(missing)} missing")
    for key in _KEYS:
        kind = found[key].dtype
        check(isinstance(found[key], np.ndarray) and kind.kind in "biuf", f"path: expected {key} as a full matrix of numbers in {path}, got {kind}")
    parts = {key: np.asarray(found[key], dtype=np.float64) for key in _KEYS}
    for key in ("I", "T"):
        widths = [parts[f"{key}_{end}"].shape[1] for end in ("tr", "te")]
        check(widths[0] == widths[1], f"path: expected {key}_tr and {key}_te of the same width in {path}, got {widths[0]} and {widths[1]}")
    for end in ("tr", "te"):
        lengths = {key: len(parts[key]) for key in (f"I_{end}", f"T_{end}", f"L_{end}")}
        check(len(set(lengths.values())) == 1, f"path: expected as many pictures as texts and labels, got {lengths} in {path}")
        check(lengths[f"I_{end}"] > 0, f"path: expected at least one pair, got none in I_{end} in {path}")
    n, m = len(parts["I_tr"]), len(parts["I_te"])
    classes = np.concatenate([parts["L_tr"].ravel(), parts["L_te"].ravel()])
    check(
        len(classes) == n + m and classes.min() >= 1 and (classes == classes.round()).all(),
        f"path: expected labels as class numbers from 1 in {path}",
    )
    labels = np.eye(int(classes.max()), dtype=np.uint8)[classes.astype(int) - 1]

    def joined(key: str) -> np.ndarray:
        train, test = parts[f"{key}_tr"], parts[f"{key}_te"]
        if standardise:
            mean, deviation = train.mean(axis=0), train.std(axis=0)
            deviation[deviation == 0] = 1
            train, test = (train - mean) / deviation, (test - mean) / deviation
        return np.concatenate([train, test]).astype(np.float32)

    train = np.arange(n)
    return PairedData(
        name="wikipedia",
        images=joined("I"),
        text_vectors=joined("T"),
        parts={"query": np.arange(n, n + m), "retrieval": train, "train": train},
        labels=labels,
        label_names=WIKIPEDIA_TOPICS if labels.shape[1] == len(WIKIPEDIA_TOPICS) else (),
    )
