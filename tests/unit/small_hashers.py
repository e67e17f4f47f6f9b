"""One small hasher of every method, for tests of what all methods share, and saved files of them.

`python tests/unit/small_hashers.py FOLDER` fits each, saves it as FOLDER/METHOD.safetensors, and writes what it gives
for `probes` to FOLDER/values.json. `saved/format1/` was made so by the last version that wrote files without a number
of their format, from options that are all still in use.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import cmhkit as ck
from cmhkit.data import PairedData, Vocabulary

WORDS = ("dog", "park", "sun", "boat", "sea", "tree")
LINEAR = ("RandomHash", "CCA", "ITQ")
OPTIONS: dict[str, dict[str, Any]] = {
    "RandomHash": {},
    "CCA": {"ridge": 0.25, "rotate": True},
    "ITQ": {"iterations": 7, "weighted": False},
    "UGACH": {
        **{
            "hidden": 8,
            "k_image": 3,
            "k_text": 3,
            "pool": 10,
            "pretrain_steps": 2,
            "rounds": 2,
            "d_steps": 1,
            "g_steps": 1,
        },
        **{"input_scaling": "standard", "margin": "K/4"},
    },
    "ADAH": {"text_hidden": 6, "text_width": 6, "image_hidden": 4, "epochs": 3, "batch": 16},
    "SSAH": {
        **{"backbone": "features", "image_hidden": 6, "text_hidden": 6, "label_hidden": 6, "width": 6, "pools": (1, 2)},
        **{"discriminator_hidden": (5,), "epochs": 3, "batch": 16},
    },
}


def data_for(method: str, pairs: int = 32) -> PairedData:
    """Pairs that a method can learn from: pictures for ADAH, else feature vectors; with labels and a vocabulary."""
    rng = np.random.default_rng(0)
    labels = np.eye(3)[np.arange(pairs) % 3]
    texts = [" ".join(rng.choice(WORDS, size=3, replace=False)) for _ in range(pairs)]
    vocabulary = Vocabulary(WORDS)
    if method == "ADAH":
        images = rng.integers(0, 256, (pairs, 64, 64, 3), dtype=np.uint8)
    else:
        images = labels @ rng.normal(size=(3, 9)) + rng.normal(size=(pairs, 9))
    parts = {"query": np.arange(4), "retrieval": np.arange(4, pairs), "train": np.arange(4, pairs)}
    return PairedData(
        "small", images, vocabulary.bag_of_words(texts), parts, labels=labels, texts=texts, vocabulary=vocabulary
    )


def small(method: str, **options: Any) -> Any:
    """The small hasher of a method, before fit."""
    return getattr(ck, method)(bits=8, seed=1, device="cpu", **OPTIONS[method] | options)


def fitted(method: str, hasher: Any = None, **how: Any) -> Any:
    """A hasher after fit. hasher: the one to fit, else the small one of the method. how: for `fit`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so small a hasher has dead hinges and few codes
        return (hasher or small(method)).fit(data_for(method), **{"show_progress": False} | how)


def probes(method: str) -> dict[str, Any]:
    """Pictures and texts that do not depend on any random generator."""
    if method == "ADAH":
        images = (np.arange(2 * 64 * 64 * 3).reshape(2, 64, 64, 3) * 37 // 64 % 256).astype(np.uint8)
    else:
        images = np.arange(18).reshape(2, 9) % 7 / 3 - 1
    return {"images": images, "texts": ["dog sea", "boat tree sun"]}


def write(folder: Path) -> None:
    """Save one hasher of every method, and its values."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {}
    for method in OPTIONS:
        hasher = fitted(method)
        hasher.save(folder / f"{method}.safetensors")
        values[method] = {
            kind: hasher.values(**{kind: given}).astype(float).round(5).tolist()
            for kind, given in probes(method).items()
        }
    (folder / "values.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
