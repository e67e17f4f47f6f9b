"""The one reader: a file in circulation, or what a parser made of a makers' folder, becomes pairs with a split."""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data import repeats
from cmhkit.data.features import check_features
from cmhkit.data.field.containers import Piece, expect, matrix, pictures, regular, strings, vector
from cmhkit.data.field.options import SHARED, ReadOptions, public_reader
from cmhkit.data.field.protocols import (
    PROTOCOLS,
    UNKNOWN,
    BenchmarkProtocol,
    fixed_split,
    fixed_training,
    given_split,
    recognised_protocol,
)
from cmhkit.data.field.recognise import Recognised, TextLists, recognise
from cmhkit.data.field.tables import HDF5, PART_WORDS, PARTS, WIKIPEDIA_TOPICS, part_named
from cmhkit.data.large import JoinedPictures, LargePictures, resized_pictures, rows_of
from cmhkit.data.pairs import PairedData
from cmhkit.data.sentences import sentence_vectors
from cmhkit.data.text import Vocabulary, lines
from cmhkit.support.checks import InputError, check, some
from cmhkit.support.progress import progress

log = logging.getLogger("cmhkit")
Labels = np.ndarray | list[list[str]]


@public_reader("mat", *SHARED, "repeated", "pictures_in", "words", "missing")
def load_mat(path: Path, options: ReadOptions) -> PairedData:
    """A file in circulation, or a folder of them, as pairs. What was recognised is in `details["recognised"]`.

    A file with its own split keeps it: test is query, database is retrieval (or training, where there is no database).
    It may have keys for each part (I_tr, I_te), positions from 0 or 1 or masks (`param.indexQuery`, `test_index`), or
    the name of its part beside each pair (`split`). Training pairs that are in the database stay there; others are
    added to the retrieval set. Any other file is split by its benchmark's protocol, drawn once from `seed`.
    Labels are 0/1 or -1/1, a column a label; or one class a pair: numbers from 0 or 1, or texts.
    Without `standardise`, values are taken as they are. `report` ends with what was not read.
    repeated: "error", "drop" or "keep" for queries of a file with its own split that are found again, with the same
    content, in its retrieval set. pictures_in, resolution, missing, words: for `index.mat`: the folder of the pictures,
    their side in pixels, what becomes of pairs without a picture, and the size of the captions' vocabulary. Others:
    `ReadOptions`.
    Errors: `InputError`, see `recognise`; for an option out of range; and for content that is not what the variant has.
    """
    return load_file(path, None, options)


@dataclass
class Content:
    """What was read of a set, before its split and without its vocabulary.

    images: an array, or the files of the pictures; pictures_name: what the cache calls these, if not by the set's name.
    vectors, texts: one of them, or both. query_from: bool, shape (n,), the pairs that queries are drawn from.
    parts: positions, for a set with its own split; whole_training: it has a database and no training part; own_pair:
    its queries are in the database. published: the folder has as many pictures as its makers'. title: of the pictures,
    for messages. notes: what there is to say. unread: what the files hold that was not read.
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
    own_pair: bool = False
    notes: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    pictures_name: str = ""
    published: bool = False
    title: str = "the set"


@dataclass(frozen=True)
class ReadReport:
    """What was read, in lines; the last one names what was not. It prints itself."""

    lines: tuple[str, ...]

    @classmethod
    def of(
        cls, source: object, pairs: int, parts: dict[str, np.ndarray], notes: Sequence[str], unread: Sequence[str]
    ) -> ReadReport:
        """source: what was read. pairs: how many. parts: positions. notes: more lines. unread: what was not read."""
        sizes = ", ".join(f"{part} {len(rows):,}" for part, rows in parts.items())
        last = f"not read: {some(unread, 20) or 'nothing'}"
        return cls((*str(source).split("\n"), f"{pairs:,} pairs ({sizes})", *notes, last))

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def paired(
    name: str,
    content: Content,
    protocol: BenchmarkProtocol,
    options: ReadOptions,
    *,
    source: object,
    backbone: str | None,
    details: dict[str, Any],
) -> PairedData:
    """Content with its split, its bag of words (of a new vocabulary, if it has no vectors) and its pictures.

    source: what was read, as the report begins.
    """
    if isinstance(content.images, list):
        content = _with_pictures(content, content.pictures_name or name, options)
    images, parts = content.images, content.parts
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
    elif content.whole_training:
        rows = np.setdiff1d(parts["retrieval"], parts["query"])
        if train is not None:
            rows = rows[fixed_training(name, rows, train=train, seed=options.seed)]
            content.notes.append(f"training pairs drawn from the database with seed {options.seed}")
        parts = parts | {"train": rows}
    vocabulary, vectors = content.vocabulary, content.vectors
    by_meaning = options.text_features == "minilm"
    if by_meaning:
        came = f"vectors of width {0 if vectors is None else vectors.shape[1]} alone"
        check(content.texts is not None, f"text_features: expected texts in {name} for 'minilm', got {came}")
    if vectors is None:
        assert content.texts is not None
        with progress(2, "Counting words", options.show_progress) as step:
            vocabulary = Vocabulary.build([content.texts[i] for i in parts["train"]], options.words)
            step()
            vectors = vocabulary.bag_of_words(content.texts)
            step()
        lost = sum("\ufffd" in text for text in content.texts)
        if lost:
            content.notes.append(f"{lost:,} texts have a character that is none, shown as \ufffd")
    if by_meaning:
        vectors = sentence_vectors(content.texts, show_progress=options.show_progress)
    texts = repeats.digests(vectors) if content.texts is None else content.texts
    found = repeats.repeats(images, marks, texts, parts, group, options.show_progress)
    content.notes += found.lines()
    found.warn(name)
    if options.standardise:
        vectors = vectors if vocabulary else standardised(vectors, vectors[parts["train"]])
        images = standardised(images, images[parts["train"]]) if images.ndim == 2 else images
    report = ReadReport.of(source, len(images), parts, content.notes, content.unread)
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
        own_pair=options.own_pair or content.own_pair,
        backbone=backbone,
        text_features=options.text_features,
        report=report,
        details=details | {"notes": content.notes},
    )


def _with_pictures(content: Content, name: str, options: ReadOptions) -> Content:
    """The pairs whose pictures can be read, with these. name: of the pictures in the cache.

    Errors: `InputError` that counts the others and names the first of each reason, unless these are skipped; and if
    there are no others.
    """
    files = content.images
    found = np.array([file.is_file() for file in files], dtype=bool)
    reasons = {i: "not there" if not files[i].exists() else "no regular file" for i in np.flatnonzero(~found)}
    skip, good, pictures = options.missing == "skip", np.flatnonzero(found), None
    if found.any():
        present = [files[i] for i in good]
        pictures, broken = resized_pictures(name, present, options.resolution, options.show_progress)
        reasons |= {good[i]: reason for i, reason in broken.items()}
        keep = np.array([i not in broken for i in range(len(good))], dtype=bool)
        good, pictures = good[keep], rows_of(pictures, np.flatnonzero(keep)) if broken else pictures
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for i, reason in sorted(reasons.items()):
        by_reason[reason].append(files[i])
    listed = "; ".join(f"{len(named):,} {reason}: {some(named, 3)}" for reason, named in by_reason.items())
    expected, advice = f"{len(files):,} pictures of {content.title}", "pass missing='skip' to leave their pairs out"
    expect(len(good), expected, f"none that can be read ({listed})")
    lost = f"{len(reasons):,} of them cannot be read ({listed})"
    check(skip or not reasons, f"path: expected {expected}, {lost}; {advice}")
    if not reasons:
        return replace(content, images=pictures)
    note = f"{len(reasons):,} of {len(files):,} pairs are left out, since their pictures cannot be read ({listed})"
    log.warning("%s: %s", content.title, note)
    place = np.cumsum(np.isin(np.arange(len(files)), good)) - 1
    arrays = {key: getattr(content, key) for key in ("labels", "ids", "vectors", "query_from")}
    cut: dict[str, Any] = {key: None if array is None else array[good] for key, array in arrays.items()}
    parts = content.parts and {part: place[rows[np.isin(rows, good)]] for part, rows in content.parts.items()}
    texts = content.texts and [content.texts[i] for i in good]
    return replace(content, images=pictures, texts=texts, parts=parts, notes=[*content.notes, note], **cut)


def load_file(path: Path, benchmark: str | None, options: ReadOptions) -> PairedData:
    """As `load_mat`, for a file that must belong to `benchmark`, a name of `PROTOCOLS`, or to any for None."""
    recognised = recognise(path)
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
    if name == "wikipedia" and not content.label_names:
        content.label_names = WIKIPEDIA_TOPICS
    content.unread = recognised.unread
    return paired(
        name or path.stem,
        content,
        PROTOCOLS.get(name or "", UNKNOWN),
        options,
        source=recognised,
        backbone=options.features if shown else "scenenet",
        details={"recognised": str(recognised), "seed": options.seed},
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


def binary_labels(parts: Sequence[Labels], where: str) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Labels as uint8 0/1, shape (n, c), for each part of a set, and the names of the columns if they are known.

    parts: 0/1 or -1/1, shape (n, c); one class a pair, shape (n, 1), as whole numbers from 0 or 1 or as -1 and 1; or
    the names of each item's labels. The same classes in all parts. where: what the message says.
    Errors: `InputError` for other values, and for parts of different widths or kinds.
    """
    named = [isinstance(part, list) for part in parts]
    expect(len(set(named)) == 1, "labels of one kind in all parts", f"numbers and texts for {where}")
    if all(named):
        names = sorted({name for part in parts for item in part for name in item})
        expect(names, "names of labels", f"none for {where}")
        return [marked(part, names) for part in parts], tuple(names)
    widths = sorted({part.shape[1] for part in parts})
    expect(len(widths) == 1, "labels of one width in all parts", f"{widths} for {where}")
    values = np.unique(np.concatenate([np.unique(part) for part in parts])).tolist()
    if widths == [1] and values == [-1, 1]:
        return [np.eye(2, dtype=np.uint8)[(part[:, 0] > 0).astype(int)] for part in parts], ()
    if widths == [1] and min(values) >= 0 and all(value == round(value) for value in values):
        expect(max(values) <= 10000, "class numbers up to 10,000", f"{max(values):.0f} for {where}")
        first = min(int(min(values)), 1)
        one_hot = np.eye(int(max(values)) + 1 - first, dtype=np.uint8)
        return [one_hot[part[:, 0].astype(int) - first] for part in parts], ()
    good = set(values) <= {-1, 1} or set(values) <= {0, 1}
    forms = "labels as 0/1, as -1/1, as one column of class numbers from 0 or 1, or as texts"
    expect(good, forms, f"the values {values[:6]} for {where}")
    return [(part > 0).astype(np.uint8) for part in parts], ()


def marked(held: Sequence[Any], values: Sequence[Any]) -> np.ndarray:
    """Which of the values each item holds, uint8, shape (items, values); others are passed over."""
    column = {value: i for i, value in enumerate(values)}
    out = np.zeros((len(held), len(column)), dtype=np.uint8)
    for row, items in enumerate(held):
        out[row, [column[item] for item in items if item in column]] = 1
    return out


def _labels_of(piece: Piece) -> Labels:
    return strings(piece) if piece.entry.kind == "text" else matrix(piece)


def _texts_of(piece: Piece, show_progress: bool) -> list[str] | np.ndarray:
    """Texts, or their vectors."""
    return [" ".join(parts) for parts in strings(piece)] if piece.entry.kind == "text" else matrix(piece, show_progress)


def _images_of(piece: Piece, show_progress: bool) -> np.ndarray | LargePictures:
    return pictures(piece, show_progress) if len(piece.entry.shape) == 4 else matrix(piece, show_progress)


# A set in one piece.


def _of_whole(recognised: Recognised, options: ReadOptions) -> Content:
    pieces, split = recognised.parts["all"], recognised.split
    (labels,), names = binary_labels([_labels_of(pieces["labels"])], pieces["labels"].where)
    content = Content(None, labels, label_names=names)
    texts = _texts_of(pieces["texts"], options.show_progress)
    content.texts, content.vectors = (texts, None) if isinstance(texts, list) else (None, texts)
    if "images" in pieces:
        content.images = _images_of(pieces["images"], options.show_progress)
    else:
        folder = Path(options.pictures_in or pieces["paths"].container.path.parent)
        paths = [" ".join(parts) for parts in strings(pieces["paths"])]
        content.images, content.pictures_name = picture_paths(paths, folder), folder.name
        content.title = f"{recognised.path} in {folder} (pictures_in= names another folder)"
    same_number(
        {"images": len(content.images), "texts": len(texts), "labels": len(labels)}, "", f" in {recognised.path}"
    )
    if split:
        n = len(labels)
        values = {part: vector(piece) for part, piece in split.items() if part != "names"}
        content.parts, content.own_pair, content.notes = given_split(
            n, values or _named_parts(split["names"]), next(iter(split.values())).container.kind != HDF5
        )
        content.whole_training = "train" not in content.parts
    return content


def _named_parts(piece: Piece) -> dict[str, np.ndarray]:
    """For each part, 0/1 for each pair, from the names of their parts."""
    names = [" ".join(words) for words in strings(piece)]
    parts = {name: part_named(name) for name in dict.fromkeys(names)}
    unknown = some(repr(name) for name, part in parts.items() if part is None)
    known = ", ".join(word for part, words in PART_WORDS.items() if part != "all" for word in words[:2])
    expect(not unknown, f"names of parts in {piece.where}, such as {known}", unknown)
    return {
        part: np.array([parts[name] == part for name in names], dtype=float) for part in set(parts.values()) if part
    }


def same_number(counts: dict[str, int], where: str = "", after: str = "") -> None:
    """Errors: `InputError` unless all counts are the same. where, after: parts of the message."""
    expect(len(set(counts.values())) == 1, f"as many pictures as texts and labels{where}", f"{counts}{after}")


def picture_paths(named: Sequence[str], folder: Path) -> list[Path]:
    """Where pictures lie that a file names by a path of another machine: by the longest end that exists in `folder`,
    or where the whole path would be.
    """
    check(folder.is_dir(), f"pictures_in: expected the folder of the pictures, got {folder}, which is not there")
    places, last = [], 0
    for name in named:
        steps = [step for step in re.split(r"[\\/]+", name.strip()) if step not in ("", ".", "..")]
        depths = [depth for depth in (last, *range(len(steps), 0, -1)) if 0 < depth <= len(steps)]
        last = next((depth for depth in depths if folder.joinpath(*steps[-depth:]).is_file()), last)
        places.append(folder.joinpath(*steps[-last:]))
    return places


# Sets with their own split.


def _of_parts(recognised: Recognised, options: ReadOptions) -> Content:
    pieces = {part: recognised.parts[part] for part in ("db", "tr", "te") if part in recognised.parts}
    images = {part: _images_of(roles["images"], options.show_progress) for part, roles in pieces.items()}
    texts = {part: _texts_of(roles["texts"], options.show_progress) for part, roles in pieces.items()}
    where = f"the labels in {recognised.path}"
    labels, names = binary_labels([_labels_of(roles["labels"]) for roles in pieces.values()], where)
    content = _joined(images, texts, dict(zip(pieces, labels, strict=True)), None, recognised.path, options)
    return replace(content, label_names=names)


def _of_lists(lists: TextLists, options: ReadOptions) -> Content:
    files = lists.files()
    files = {part: files[part] for part in ("db", "tr", "te")}
    read: dict[str, dict[str, np.ndarray]] = {"images": {}, "texts": {}, "labels": {}}
    names = {}
    with progress(3 * len(files), "Reading text lists", options.show_progress) as step:
        for part, roles in files.items():
            names[part] = [line for text in lines(read_text(roles["paths"], "utf-8")) if (line := text.strip())]
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
    labels, _ = binary_labels(list(read["labels"].values()), f"the label lists in {lists.path}")
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
    texts: dict[str, Any],
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
            marks[part] = repeats.digests(images[part], texts[part], labels[part], step=step)
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

    strings = isinstance(texts["te"], list)
    vectors = joined({part: np.array(values, dtype=object) if strings else values for part, values in texts.items()})

    n = sizes[base] + len(extra)
    parts = {"query": np.arange(n, n + len(test)), "retrieval": np.arange(n), "train": np.sort(rows)}
    whole = "tr" not in images
    content = Content(joined(images), joined(labels), parts=parts, whole_training=whole, notes=notes)
    content.texts, content.vectors = (vectors.tolist(), None) if strings else (None, vectors)
    return content


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
