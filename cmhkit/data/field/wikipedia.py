"""The Wikipedia benchmark: `wikiData.mat`, or its makers' features with the labels in two lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmhkit.data import repeats
from cmhkit.data.field.containers import Container, Piece, Unreadable, expect, matrix, open_container, stored
from cmhkit.data.field.folders import numbered_lines
from cmhkit.data.field.layouts import READERS, is_raw, unused
from cmhkit.data.field.options import ReadOptions, public_reader
from cmhkit.data.field.protocols import PROTOCOLS
from cmhkit.data.field.reader import ReadReport, same_number, standardised
from cmhkit.data.field.recognise import recognise
from cmhkit.data.field.tables import OWN_SPLIT, V5, V73, WIKIPEDIA_TOPICS
from cmhkit.data.pairs import PairedData
from cmhkit.support.checks import InputError, check
from cmhkit.support.progress import progress


@public_reader("wikipedia", "standardise", "show_progress", standardise=True)
def load_wikipedia(path: Path, options: ReadOptions) -> PairedData:
    """Wikipedia: 2,866 pairs of SIFT histograms and topics of a text, ten labels; 693 queries, 2,173 to learn from.

    path: `wikiData.mat`, MATLAB v5, with I_tr, T_tr, L_tr, I_te, T_te, L_te (rows are items; labels one column of
    class numbers from 1); or the makers' folder (`raw_features.mat`, and the labels in `trainset_txt_img_cat.list` and
    `testset_txt_img_cat.list`).
    standardise: z-score pictures and texts with the training part's mean and deviation (raw histograms do not train).
    Errors: `InputError` for what is missing, for another kind of file, and for sizes and labels that do not fit.
    Source: Rasiwasia et al., ACM MM 2010.
    """
    expect(path.exists(), "the file wikiData.mat", f"{path}, which is not there")
    raw = is_raw(READERS["wikipedia"], path)
    arrays, lists, unread = _of_folder(path, options) if raw else _of_file(path)
    for letter in "IT":
        train, test = (arrays[f"{letter}_{part}"].shape[1] for part in ("tr", "te"))
        expect(train == test, f"{letter}_tr and {letter}_te of the same width in {path}", f"{train} and {test}")
    for part in ("tr", "te"):
        keys = [f"{letter}_{part}" for letter in "ITL"]
        same_number({lists.get(key, key): len(arrays[key]) for key in keys}, f" in {path}" if lists else "")
        expect(len(arrays[keys[0]]), "at least one pair", f"none in {keys[0]} in {path}")
    n, m = len(arrays["I_tr"]), len(arrays["I_te"])
    classes = np.concatenate([arrays["L_tr"].ravel(), arrays["L_te"].ravel()])
    numbers = len(classes) == n + m and classes.min() >= 1 and (classes == classes.round()).all()
    check(numbers and classes.max() <= 10000, f"path: expected labels as class numbers from 1 to 10,000 in {path}")
    labels = np.eye(int(classes.max()), dtype=np.uint8)[classes.astype(int) - 1]

    def joined(letter: str) -> np.ndarray:
        train, test = arrays[f"{letter}_tr"], arrays[f"{letter}_te"]
        if options.standardise:
            train, test = standardised(train, train), standardised(test, train)
        return np.concatenate([train, test]).astype(np.float32)

    images, vectors, retrieval = joined("I"), joined("T"), np.arange(n)
    parts = {"query": np.arange(n, n + m), "retrieval": retrieval, "train": retrieval}
    marks = repeats.digests(images)
    found = repeats.repeats(images, marks, repeats.digests(vectors), parts, repeats.groups(marks))
    found.warn("wikipedia")
    title, notes = f"{path}: {PROTOCOLS['wikipedia'].title}", found.lines()
    return PairedData(
        name="wikipedia",
        images=images,
        text_vectors=vectors,
        parts=parts,
        labels=labels,
        label_names=WIKIPEDIA_TOPICS if labels.shape[1] == len(WIKIPEDIA_TOPICS) else (),
        report=ReadReport.of(title, n + m, parts, notes, unread),
        details={"path": str(path), "source": PROTOCOLS["wikipedia"].source, "notes": notes},
    )


def _check_keys(container: Container, keys: Sequence[str]) -> None:
    missing = ", ".join(key for key in keys if key not in container.entries)
    came = f"{missing} missing. Found: {container.listing()}"
    check(not missing, f"path: expected the keys {', '.join(keys)} in {container.path}, {came}")


Contents = tuple[dict[str, np.ndarray], dict[str, str], list[str]]


def _of_file(path: Path) -> Contents:
    """The six arrays as float64, in MATLAB's order in memory: on it the last digit of a mean depends; no lists; and
    what the file holds besides.
    """
    path = recognise(path).path if path.is_dir() else path
    try:
        container = open_container(path)
        if container.kind != V5:
            raise Unreadable("a MATLAB v5 file", path, f"is {container.kind}")
        _check_keys(container, OWN_SPLIT)
        arrays = {key: stored(container, key) for key in OWN_SPLIT}
    except Unreadable as error:
        raise InputError(f"path: expected a MATLAB v5 file, got {path} (it {error.reason})") from error
    for key, array in arrays.items():
        full = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
        expect(full, f"{key} as a full matrix of numbers in {path}", array.dtype)
    unread = [str(entry) for key, entry in container.entries.items() if key not in arrays]
    return {key: np.asarray(array, dtype=np.float64) for key, array in arrays.items()}, {}, unread


def _of_folder(path: Path, options: ReadOptions) -> Contents:
    """Pictures and texts as float32 and the labels of the lists; the names of these lists; what there is besides."""
    places = READERS["wikipedia"].required(path)
    container = open_container(places["features"])
    keys = [key for key in OWN_SPLIT if key[0] != "L"]
    _check_keys(container, keys)
    axes = (1, 0) if container.kind == V73 else (0, 1)
    arrays, lists = {}, {}
    with progress(len(keys), "Reading features", options.show_progress) as step:
        for key in keys:
            entry = container.entries[key]
            numbers = entry.kind == "numbers" and len(entry.shape) == 2
            check(numbers, f"path: expected {key} as a matrix of numbers. Found: {container.listing()}")
            arrays[key] = matrix(Piece(container, entry, axes))
            step()
    for key, part in (("L_tr", "train"), ("L_te", "test")):
        lines = numbered_lines(places[part], (2,), "text, picture and class number")
        expect(lines, f"at least one line in {places[part]}", "none")
        arrays[key], lists[key] = np.array([[int(line[2])] for line in lines]), places[part].name
    unread = [str(entry) for key, entry in container.entries.items() if key not in keys]
    return arrays, lists, unread + unused(path, places.values())
