"""The one reader: a file in circulation, or what a parser made of a makers' folder, becomes pairs with a split."""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data import repeats
from cmhkit.data.features import check_features
from cmhkit.data.field.containers import Piece, expect, matrix, pictures, regular, strings
from cmhkit.data.field.options import SHARED, ReadOptions, public_reader
from cmhkit.data.field.protocols import (
    PROTOCOLS,
    UNKNOWN,
    BenchmarkProtocol,
    fixed_split,
    fixed_training,
    recognised_protocol,
)
from cmhkit.data.field.recognise import Recognised, TextLists, recognise
from cmhkit.data.field.tables import PARTS, WIKIPEDIA_TOPICS
from cmhkit.data.large import JoinedPictures, LargePictures, resized_pictures, rows_of
from cmhkit.data.pairs import PairedData
from cmhkit.data.text import Vocabulary
from cmhkit.support.checks import InputError, check
from cmhkit.support.progress import progress

log = logging.getLogger("cmhkit")


@public_reader("mat", *SHARED, "repeated", "pictures_in", "words")
def load_mat(path: Path, options: ReadOptions) -> PairedData:
    """A file in circulation, or a folder of them, as pairs. What was recognised is in `details["recognised"]`.

    A file with its own split keeps it: test is query, database is retrieval (or training, where there is no database).
    Training pairs that are in the database stay there; others are added to the retrieval set. Any other file is split
    by its benchmark's protocol, drawn once from `seed`. Without `standardise`, values are taken as they are.
    repeated: "error", "drop" or "keep" for queries of a file with its own split that are found again, with the same
    content, in its retrieval set. pictures_in, resolution, words: for `index.mat`: the folder of the pictures, their
    side in pixels, and the size of the captions' vocabulary. Others: `ReadOptions`.
    Errors: `InputError`, see `recognise`; for an option out of range; and for content that is not what the variant has.
    """
    return load_file(path, None, options)


@dataclass
class Content:
    """What was read of a set, before its split and without its vocabulary.

    images: an array, or the files of the pictures; pictures_name: what the cache calls these, if not by the set's name.
    vectors, texts: one of them, or both. query_from: bool, shape (n,), the pairs that queries are drawn from.
    parts: positions, for a set with its own split; whole_training: it has a database and no training part.
    published: the folder has as many pictures as its makers'.
    """

    images: Any
    labels: np.ndarray
    vectors: np.ndarray | None = None
    texts: list[str] | None = None
    label_names: tuple[str, ...] = ()
    ids: np.ndarray | None = None
    vocabulary: Vocabulary | None = None
    query_from: np.ndarray | None = None
    parts: dict[str, np.ndarray] | None = None
    whole_training: bool = False
    notes: list[str] = field(default_factory=list)
    pictures_name: str = ""
    published: bool = False


def paired(
    name: str,
    content: Content,
    protocol: BenchmarkProtocol,
    options: ReadOptions,
    *,
    backbone: str | None,
    details: dict[str, Any],
) -> PairedData:
    """Content with its split, its bag of words (of a new vocabulary, if it has no vectors) and its pictures."""
    images, parts = content.images, content.parts
    if isinstance(images, list):
        images = resized_pictures(content.pictures_name or name, images, options.resolution, options.show_progress)
    with progress(len(images), "Comparing pictures", options.show_progress and len(images) > 5000) as step:
        marks = repeats.digests(images, step=step)
    group = repeats.groups(marks)
    train = protocol.train if options.train is None else options.train
    if parts is None:
        ids = np.arange(len(content.labels)) if content.ids is None else content.ids
        query = protocol.query if options.query is None else options.query
        drawn = {"seed": options.seed, "query_from": content.query_from, "own_pair": options.own_pair, "group": group}
        parts = fixed_split(name, ids, query=query, train=train, **drawn)
        content.notes.append(f"split drawn from seed {options.seed}: {protocol.source}")
    elif content.whole_training and train is not None:
        rows = parts["retrieval"]
        parts = parts | {"train": rows[fixed_training(name, rows, train=train, seed=options.seed)]}
        content.notes.append(f"training pairs drawn from the database with seed {options.seed}")
    vocabulary, vectors = content.vocabulary, content.vectors
    if vectors is None:
        assert content.texts is not None
        with progress(2, "Counting words", options.show_progress) as step:
            vocabulary = Vocabulary.build([content.texts[i] for i in parts["train"]], options.words)
            step()
            vectors = vocabulary.bag_of_words(content.texts)
            step()
    texts = repeats.digests(vectors) if content.texts is None else content.texts
    found = repeats.repeats(images, marks, texts, parts, group, options.show_progress)
    content.notes += found.lines()
    found.warn(name)
    if options.standardise:
        vectors = standardised(vectors, vectors[parts["train"]])
        images = standardised(images, images[parts["train"]]) if images.ndim == 2 else images
    return PairedData(
        name=name,
        images=images,
        text_vectors=vectors,
        parts=parts,
        labels=content.labels,
        texts=content.texts,
        label_names=content.label_names,
        ids=content.ids,
        vocabulary=vocabulary,
        own_pair=options.own_pair,
        backbone=backbone,
        details=details | {"notes": content.notes},
    )


def load_file(path: Path, benchmark: str | None, options: ReadOptions) -> PairedData:
    """As `load_mat`, for a file that must belong to `benchmark`, a name of `PROTOCOLS`, or to any for None."""
    recognised = recognise(path)
    if options.show_progress:
        print(recognised)
    content, shown = _content(recognised, options)
    n, width = content.labels.shape
    if benchmark is not None:
        wanted = PROTOCOLS[benchmark].labels
        looks = next((f"; that is {name}" for name, p in PROTOCOLS.items() if p.labels == width), "")
        expect(width == wanted, f"{wanted} labels, as {benchmark} has", f"{width} in {path}{looks}")
    columns = None if content.vectors is None else content.vectors.shape[1]
    name = benchmark or recognised_protocol(n, width, columns)
    if content.parts is not None:
        fixed = content.whole_training or options.train is None
        check(options.query is None, f"query: expected none, since {path} has its own queries")
        check(fixed, f"train: expected none, since {path} has its own training part")
        check(not options.own_pair, f"own_pair: expected False, since {path} has its own split")
    content.label_names = WIKIPEDIA_TOPICS if name == "wikipedia" else ()
    return paired(
        name or path.stem,
        content,
        PROTOCOLS.get(name or "", UNKNOWN),
        options,
        backbone=options.features if shown else "scenenet",
        details={"recognised": str(recognised), "notes": content.notes, "seed": options.seed},
    )


def _content(recognised: Recognised | TextLists, options: ReadOptions) -> tuple[Content, bool]:
    """What a file or a folder of files holds, and whether it shows pictures rather than features."""
    if isinstance(recognised, TextLists):
        return _of_lists(recognised, options), False
    pieces = next(iter(recognised.parts.values()))
    shown = "paths" in pieces or len(pieces["images"].entry.shape) == 4
    if shown:
        check_features(options.features)
    return _of_whole(recognised, options) if "all" in recognised.parts else _of_parts(recognised, options), shown


def standardised(vectors: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Vectors less the training rows' mean, over their deviation, float32. A constant column is only shifted."""
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return ((vectors - mean) / deviation).astype(np.float32)


def binary_labels(parts: Sequence[np.ndarray], where: str) -> list[np.ndarray]:
    """Labels as uint8 0/1, shape (n, c), for each part of a set.

    parts: 0/1 or -1/1, shape (n, c); or class numbers from 1, shape (n, 1), the same classes in all parts.
    where: what the message says.
    """
    widths = sorted({part.shape[1] for part in parts})
    expect(len(widths) == 1, "labels of one width in all parts", f"{widths} for {where}")
    values = np.unique(np.concatenate([np.unique(part) for part in parts]))
    numbers = widths == [1] and values.min() >= 1 and (values == values.round()).all()
    if not numbers:
        good = set(values.tolist()) <= {-1, 1} or set(values.tolist()) <= {0, 1}
        forms = "labels as 0/1, as -1/1, or as one column of class numbers from 1"
        expect(good, forms, f"the values {values[:6].tolist()} for {where}")
        return [(part > 0).astype(np.uint8) for part in parts]
    expect(values.max() <= 10000, "class numbers from 1 to 10,000", f"{values.max():.0f} for {where}")
    return [np.eye(int(values.max()), dtype=np.uint8)[part[:, 0].astype(int) - 1] for part in parts]


def _images_of(piece: Piece, show_progress: bool) -> np.ndarray | LargePictures:
    return pictures(piece, show_progress) if len(piece.entry.shape) == 4 else matrix(piece, show_progress)


# A set in one piece.


def _of_whole(recognised: Recognised, options: ReadOptions) -> Content:
    pieces = recognised.parts["all"]
    text = pieces["texts"]
    content = Content(None, binary_labels([matrix(pieces["labels"])], pieces["labels"].where)[0])
    if text.entry.kind == "text":
        content.texts = strings(text)
    else:
        content.vectors = matrix(text, options.show_progress)
    if "images" in pieces:
        content.images = _images_of(pieces["images"], options.show_progress)
    else:
        folder = Path(options.pictures_in or pieces["paths"].container.path.parent)
        content.images, content.pictures_name = picture_paths(strings(pieces["paths"]), folder), folder.name
    texts = content.vectors if content.texts is None else content.texts
    counts = {"images": len(content.images), "texts": len(texts), "labels": len(content.labels)}
    same_number(counts, "", f" in {recognised.path}")
    return content


def same_number(counts: dict[str, int], where: str = "", after: str = "") -> None:
    """Errors: `InputError` unless all counts are the same. where, after: parts of the message."""
    expect(len(set(counts.values())) == 1, f"as many pictures as texts and labels{where}", f"{counts}{after}")


def picture_paths(named: Sequence[str], folder: Path) -> list[Path]:
    """Where pictures lie that a file names by a path of another machine: by the longest end that exists in `folder`.

    Errors: `InputError` with how many are missing and the first.
    """
    check(folder.is_dir(), f"pictures_in: expected the folder of the pictures, got {folder}, which is not there")
    places, missing, last = [], [], 0
    for name in named:
        steps = [step for step in re.split(r"[\\/]+", name.strip()) if step not in ("", ".", "..")]
        depths = [depth for depth in (last, *range(len(steps), 0, -1)) if 0 < depth <= len(steps)]
        depth = next((depth for depth in depths if folder.joinpath(*steps[-depth:]).is_file()), 0)
        if depth:
            places.append(folder.joinpath(*steps[-depth:]))
            last = depth
        else:
            missing.append(name)
    lost = f"{len(missing):,} are missing, the first {missing[0]!r}; pass pictures_in=" if missing else ""
    check(not missing, f"pictures_in: expected the {len(named):,} pictures that the file names in {folder}, {lost}")
    return places


# Sets with their own split.


def _of_parts(recognised: Recognised, options: ReadOptions) -> Content:
    pieces = {part: recognised.parts[part] for part in ("db", "tr", "te") if part in recognised.parts}
    images = {part: _images_of(roles["images"], options.show_progress) for part, roles in pieces.items()}
    vectors = {part: matrix(roles["texts"], options.show_progress) for part, roles in pieces.items()}
    labels = binary_labels([matrix(roles["labels"]) for roles in pieces.values()], f"the labels in {recognised.path}")
    return _joined(images, vectors, dict(zip(pieces, labels, strict=True)), None, recognised.path, options)


def _of_lists(lists: TextLists, options: ReadOptions) -> Content:
    files = lists.files()
    files = {part: files[part] for part in ("db", "tr", "te")}
    read: dict[str, dict[str, np.ndarray]] = {"images": {}, "texts": {}, "labels": {}}
    names = {}
    with progress(3 * len(files), "Reading text lists", options.show_progress) as step:
        for part, roles in files.items():
            names[part] = [line for text in read_text(roles["paths"], "utf-8").splitlines() if (line := text.strip())]
            for role, by_part in read.items():
                by_part[part] = _floats(roles[role])
                step()
            counts = {"list": len(names[part])} | {role: len(by_part[part]) for role, by_part in read.items()}
            same_number(counts, f" in {lists.path}", f" for {PARTS[part]}")
            double = [name for name, count in Counter(names[part]).items() if count > 1]
            expect(not double, f"different pictures in {roles['paths']}", f"{double[:1]} more than once")
    for role in ("images", "texts"):
        widths = {PARTS[part]: array.shape[1] for part, array in read[role].items()}
        expect(len(set(widths.values())) == 1, f"{role} of one width in {lists.path}", str(widths))
    labels = binary_labels(list(read["labels"].values()), f"the label lists in {lists.path}")
    return _joined(read["images"], read["texts"], dict(zip(files, labels, strict=True)), names, lists.path, options)


def read_text(file: Path, encoding: str = "utf-8-sig") -> str:
    """The text of a regular file. Errors: `InputError` for a file that cannot be read or is no text."""
    try:
        return regular(file).read_text(encoding=encoding)
    except OSError as error:
        raise InputError(f"path: expected the file {file}, which cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"path: expected a text file, got {file} ({error})") from error


def _floats(file: Path) -> np.ndarray:
    """Numbers separated by blanks, one item a line, float32."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which the check below names
            array = np.loadtxt(file, dtype=np.float32, ndmin=2, comments=None, encoding="utf-8")
    except ValueError as error:
        expected = f"numbers separated by blanks, as many in every line, in {file}"
        raise InputError(f"path: expected {expected} ({error})") from error
    expect(array.size, f"at least one line of numbers in {file}", "none")
    expect(np.isfinite(array).all(), f"finite numbers in {file}", "NaN or infinity")
    return array


def _joined(
    images: dict[str, Any],
    vectors: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    names: dict[str, list[str]] | None,
    path: Path,
    options: ReadOptions,
) -> Content:
    """Join the parts of a set with its own split. A training pair in the database (by name or content) is one pair."""
    sizes = {part: len(array) for part, array in images.items()}
    marks: dict[str, list[Any]] = dict(names or {})
    total = sum(sizes.values())
    with progress(total, "Comparing the parts", options.show_progress and total > 5000) as step:
        for part in sizes if names is None else ():
            marks[part] = repeats.digests(images[part], vectors[part], labels[part], step=step)
    base = "db" if "db" in images else "tr"
    rows, extra = np.arange(sizes[base]), np.zeros(0, dtype=np.int64)
    notes = []
    if base == "db" and "tr" in images:
        rows, extra = _places(marks["tr"], marks["db"])
        inside = f"{sizes['tr'] - len(extra):,} of {sizes['tr']:,} training pairs are in the database"
        notes.append(f"{inside}; {len(extra):,} are added to the retrieval set")
    searched = set(marks[base]) | set(marks.get("tr", []))
    leaked = np.array([mark in searched for mark in marks["te"]])
    if leaked.any():
        among = f"of {path} are in its retrieval or training set too, with the same content"
        what = f"{int(leaked.sum()):,} of {len(leaked):,} queries {among}"
        advice = "pass repeated='drop' to leave these queries out, or repeated='keep'"
        check(options.repeated != "error", f"path: {what}; {advice}")
        check(options.repeated == "keep" or not leaked.all(), f"path: {what}, so that none is left")
        notes.append(f"{what}: {'left out' if options.repeated == 'drop' else 'kept'}")
    test = np.flatnonzero(~leaked) if options.repeated == "drop" else np.arange(sizes["te"])

    def joined(by_part: dict[str, Any]) -> Any:
        pieces = [by_part[base], *([rows_of(by_part["tr"], extra)] if len(extra) else []), rows_of(by_part["te"], test)]
        large = [isinstance(piece, LargePictures) for piece in pieces]
        check(len(set(large)) == 1, f"path: expected all pictures of {path} in one kind of file")
        return LargePictures(JoinedPictures(pieces)) if all(large) else np.concatenate(pieces)

    n = sizes[base] + len(extra)
    parts = {"query": np.arange(n, n + len(test)), "retrieval": np.arange(n), "train": np.sort(rows)}
    whole = "tr" not in images
    return Content(joined(images), joined(labels), joined(vectors), parts=parts, whole_training=whole, notes=notes)


def _places(training: list[Any], among: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """For each training pair its position in the retrieval set; and the pairs that follow the database there."""
    free: dict[Any, list[int]] = defaultdict(list)
    for position in reversed(range(len(among))):
        free[among[position]].append(position)
    rows, extra = [], []
    for i, mark in enumerate(training):
        if free.get(mark):
            rows.append(free[mark].pop())
        else:
            rows.append(len(among) + len(extra))
            extra.append(i)
    return np.array(rows, dtype=np.int64), np.array(extra, dtype=np.int64)
