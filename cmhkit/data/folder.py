"""Your own pictures: a folder of picture files, with texts beside them, in a table, or in the names of its folders."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import numpy as np

from cmhkit.data import cache, repeats
from cmhkit.data.features import check_features
from cmhkit.data.folder_texts import CAPTIONS, Contents, Pair, paired
from cmhkit.data.large import LargePictures, NpyPictures, array_file, room
from cmhkit.data.pairs import PARTS, PairedData
from cmhkit.data.picture_names import composed
from cmhkit.data.pictures import BARS, RESIZE, picture_endings, read_photo, read_photos
from cmhkit.data.sentences import MODEL, check_text_features, sentence_vectors
from cmhkit.data.text import Vocabulary, tokens
from cmhkit.support.checks import InputError, check, check_choice, check_integer, some
from cmhkit.support.progress import progress

__all__ = ["BARS", "RESIZE", "FolderReport", "load_folder", "read_photo", "read_photos"]

# Endings of pictures that Pillow does not read by itself; they are listed, not passed over.
_UNREAD = {".heic", ".heif", ".svg", ".eps", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
# Pictures up to this many bytes are held in memory.
_IN_MEMORY = 2**28
# Of the cache's files.
_FORMAT = 1


@dataclass(frozen=True, repr=False)
class FolderReport:
    """What was read from a folder of pictures, what was skipped, and why. It prints as a short text.

    skipped: (file, reason) of everything that is no pair of the data set. notes: (file, remark) of pairs that were read
    with a remark. texts, labels: where they come from. captions: how many there are, where a picture has several.
    split: which file or folders say it; empty if it is drawn. unread: files, columns and keys that were not used.
    other_files: files that hold no texts (programs, archives, a readme). parts: pairs in each part of the set. repeats:
    what there is to say of equal and of nearly equal pictures.
    """

    path: str
    pairs: int
    texts: str
    labels: str
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    other_files: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    words: int = 0
    repeats: tuple[str, ...] = ()
    captions: str = ""
    split: str = ""
    unread: tuple[str, ...] = ()
    text_features: str = "bag"

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, the most common first."""
        return dict(Counter(reason for _, reason in self.skipped).most_common())

    def __repr__(self) -> str:
        parts, bag = ", ".join(f"{name} {count:,}" for name, count in self.parts.items()), self.text_features == "bag"
        lines = [
            f"{self.path}: {self.pairs:,} pairs" + (f" ({parts})" if parts else ""),
            f"texts: {self.texts}; {self.words:,} words in the vocabulary{'' if bag else '; read by ' + MODEL}",
            f"labels: {self.labels}",
            *self.repeats,
        ]
        if self.captions:
            lines.insert(2, f"captions: {self.captions}")
        if self.split:
            lines.append(f"split: {self.split}")
        if self.other_files:
            lines.append(f"{self.other_files:,} other files were left alone")
        for title, files in (("skipped", self.skipped), ("remarks", self.notes)):
            if files:
                lines += [f"{title}: {len(files):,}", *_listed(files)]
        if self.unread:
            lines.append(f"not read: {'; '.join(self.unread)}")
        return "\n".join(lines)


def _listed(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each reason, with the first files. reasons: (file, reason)."""
    files: dict[str, list[str]] = {}
    for file, reason in reasons:
        files.setdefault(reason, []).append(file)
    lines = []
    for reason, names in sorted(files.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {reason} ({len(names):,}): {some(names)}")
    return lines


def load_folder(
    path: str | Path,
    *,
    texts: str = "auto",
    side: int = 224,
    resize: str = "letterbox",
    features: str | None = "efficientnet-lite0",
    text_features: str = "bag",
    query: float | None = None,
    train: float | None = None,
    vocabulary: int = 1000,
    encoding: str = "utf-8",
    column: str | None = None,
    captions: str = "joined",
    missing: str = "skip",
    show_progress: bool = True,
) -> PairedData:
    """Your own pictures with their texts, as a data set.

    path: a folder; pictures in folders inside it count too. Hidden files are left alone.
    texts: where the texts are.
        "auto": the table or tables that have captions; else text files; else the names of folders, but only if nothing
        that could hold captions is left unread: then an error lists it. Two tables for the same pictures are an error.
        A file, such as "captions.csv" or "annotations/captions.json": a table, wherever it lies. A column for the
        picture (file, filename, image, image_name, path, id, ...) and one for the text (caption, text, comment,
        sentence, description, ...) are found by their headings, in any case and order. It may be written with commas,
        tabs, semicolons or bars, with `sep=;` before it; as `name#0<TAB>caption` without headings; as JSON, an object a
        line, a list, a key a picture, the shapes of Karpathy's splits and of COCO's annotations. Names of pictures may
        lack folder or ending, and differ in case. Rows of one picture belong together.
        "sidecar": `a.txt` (or `a.jpg.txt`) beside `a.jpg`, or in a tree of its own (`texts/a.txt` for `images/a.jpg`).
        Another ending (".caption") or the folder of such a tree can be named instead.
        "folders": the names of the folders that hold the pictures are texts and labels.
    column: the heading of the texts, where there are several or it is an unusual one. captions: what becomes of several
    captions of a picture: "joined", one text, a line each; "first"; or "all", a pair for each, all in one part.
    Labels come from a table's column (label, labels, class, category, ...: names with `;`, `|` or `,` between them,
    lists, class numbers, 0 and 1 for each class), from two or more columns of 0 and 1, from COCO's categories, or from
    another table that has labels alone. Without any, and without a table, a picture's label is the folder that holds
    it, if there are several.
    side: R of the pictures, in pixels. resize: "letterbox" (the whole picture, with grey bars, since a tag may speak of
    what stands at the edge) or "crop" (the largest square in the middle).
    features: what the pictures go through for methods that read features: "efficientnet-lite0" (for photographs; the
    extra `photos`), "scenenet" (for drawings), or None (for methods that read pictures themselves). It stays with the
    data set as `data.backbone`.
    text_features: what texts become: "bag", a bag of words; or "minilm", vectors of what English texts mean, so that a
    search may use words that no text has (the extra `words`; `cmhkit.data.sentences`). It stays as
    `data.text_features`.
    query: share of the pairs that ask. None: the split that is on disk, as a column (split), or in the names of files
    or folders (train, val or dev, test, query, retrieval or database), and a tenth if there is none. Of a split on
    disk, query or else test or else val asks, all others are the retrieval set, and train is learned from; what is in
    no part is left out. train: share of the retrieval set, or of its part train, that a method learns from; None is
    all. A picture's drawn part follows from its content alone: it stays where it is when other pictures are added.
    Equal pictures, of the same file or of files that show the same, are never in different drawn parts; in parts on
    disk they are counted, with a warning. Nearly equal ones in different parts are counted, if the extra `photos` is
    there. Shares are therefore met on average only; each part has at least one pair.
    vocabulary: how many words the bag of words has, the most common ones of the training texts. encoding: of the text
    files, if they have no byte order mark. missing: what becomes of pictures that cannot be read or have no text, and
    of rows without a picture: "skip", or "error", one that counts and names them.

    A picture is turned as its EXIF data say; what is transparent shows white; 16 bits become 8; of an animation the
    first picture counts. What cannot be read is left out, and `data.report` says what and why; it ends with the files,
    columns and keys that were not read. Resized pictures are kept in the cache, found again by content. Returns
    `PairedData` with `.report` (`FolderReport`), `.details["files"]` (the file of each pair) and labels only where
    there are at least two. Errors: `InputError` for a folder that is none, no pictures, no texts, a table without the
    columns or broken, a picture in two parts, and fewer than two pairs.
    """
    check(isinstance(path, (str, Path)), f"path: expected a folder, got {type(path).__name__}")
    root = Path(path).expanduser()
    what = "a file" if root.is_file() else "not there"
    check(root.is_dir(), f"path: expected a folder of pictures, got {root}, which is {what}")
    check_integer("side", side, 16, 1024)
    check_choice("resize", resize, RESIZE)
    check_features(features)
    check_text_features(text_features)
    for name, share, most in (("query", query, "below 1"), ("train", train, "up to 1")):
        if share is None:
            continue
        number = isinstance(share, Real) and not isinstance(share, bool)
        good = number and (0 < share < 1 or (name == "train" and share == 1))
        check(good, f"{name}: expected a share above 0 and {most}, got {share!r}")
    check_integer("vocabulary", vocabulary, 1)
    _check_encoding(encoding)
    check_choice("captions", captions, CAPTIONS)
    check_choice("missing", missing, ("skip", "error"))
    check(column is None or (isinstance(column, str) and column), f"column: expected a heading, got {column!r}")
    contents = _scan(root)
    others = len(contents.files)
    check(contents.pictures, f"path: expected at least one picture in {root}, got {others} other files")
    found = paired(contents, texts, column=column, captions=captions, encoding=encoding, own_split=query is None)
    stored, digests, pairs = _read_pictures(contents, found.pairs, side, resize, show_progress)
    _none_missing(contents, missing)
    _at_least_two(contents, pairs, digests)
    times = np.repeat(np.arange(len(pairs)), [len(pair.texts) for pair in pairs])
    kept_texts = [text for pair in pairs for text in pair.texts]
    marks = repeats.digests(stored)
    digests, marks, pairs = ([rows[row] for row in times] for rows in (digests, marks, pairs))
    images, group = _few_in_memory(stored.part(times)), repeats.groups(digests, marks)
    digests = repeats.shared(digests, group)
    parts, split = _parts(digests, query or 0.1, train or 1.0), found.split
    if any(pair.part for pair in pairs):
        said = _said_parts(digests, [pair.part for pair in pairs], train or 1.0)
        parts, split = said or parts, split if said else f"drawn, since of {split} one part is left"
    again = repeats.repeats(images, marks, kept_texts, parts, group, show_progress)
    again.warn(str(root), lambda row: pairs[row].file)
    try:
        words = Vocabulary.build([kept_texts[i] for i in parts["train"]], vocabulary)
    except InputError as error:
        expected = f"path: expected texts with words in {root}"
        raise InputError(f"{expected}, got none in the {len(parts['train'])} training pairs") from error
    if text_features == "minilm":
        vectors = sentence_vectors(kept_texts, show_progress=show_progress)
    else:
        vectors = words.bag_of_words(kept_texts)
    labels, label_names = _labels(pairs)
    first_names = ", ".join(label_names[:8]) + (", ..." if len(label_names) > 8 else "")
    report = FolderReport(
        path=str(root),
        pairs=len(pairs),
        texts=found.texts,
        labels=f"{len(label_names)} ({first_names})" if label_names else "none",
        skipped=tuple(contents.skipped),
        notes=tuple(contents.notes),
        other_files=found.others,
        parts={name: len(parts[name]) for name in PARTS},
        words=len(words),
        repeats=tuple(again.lines(lambda row: pairs[row].file)),
        captions=found.captions,
        split=split,
        unread=tuple(found.unread),
        text_features=text_features,
    )
    if report.skipped:
        lines = [f"{root}: {len(report.skipped):,} skipped; data.report says more", *_listed(report.skipped)]
        warnings.warn("\n".join(lines), UserWarning, stacklevel=2)
    return PairedData(
        name=f"folder:{root.resolve().name}",
        images=images,
        text_vectors=vectors,
        parts=parts,
        labels=labels,
        texts=kept_texts,
        label_names=label_names,
        vocabulary=words,
        backbone=features,
        text_features=text_features,
        report=report,
        details={
            "folder": str(root.resolve()),
            "files": [pair.file for pair in pairs],
            "side": int(side),
            "resize": resize,
        },
    )


# What is there.


def _scan(root: Path) -> Contents:
    """The files in a folder and in the folders inside it, in the order of their names. Links to folders are not
    followed.
    """
    endings = picture_endings()
    contents = Contents(root)
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = Path(folder) / name
            relative = composed(path.relative_to(root).as_posix())
            ending = path.suffix.lower()
            if ending in _UNREAD:
                contents.skipped.append((relative, "a format that Pillow does not read by itself"))
            elif ending in endings and not path.is_file():
                contents.skipped.append((relative, "no file, or a link to none"))
            elif ending in endings:
                contents.pictures[relative] = path
            else:
                contents.files[relative] = path
    return contents


def _labels(pairs: Sequence[Pair]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels 0/1 and their names in order, numbers by size. Fewer than two labels say nothing: None."""
    names = sorted({label for pair in pairs for label in pair.labels})
    numbers = [name.removeprefix("label ") for name in names]
    if all(number.removeprefix("-").isdecimal() for number in numbers):
        names.sort(key=lambda name: int(name.removeprefix("label ")))
    if len(names) < 2:
        return None, ()
    column = {name: i for i, name in enumerate(names)}
    labels = np.zeros((len(pairs), len(names)), dtype=np.uint8)
    for row, pair in enumerate(pairs):
        labels[row, [column[label] for label in pair.labels]] = 1
    return labels, tuple(names)


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except (LookupError, TypeError) as error:
        raise InputError(
            f"encoding: expected a name that Python knows, such as 'utf-8' or 'gb18030', got {encoding!r}"
        ) from error


# Pictures.


def _read_pictures(
    contents: Contents, pairs: list[Pair], side: int, resize: str, show_progress: bool
) -> tuple[LargePictures, list[bytes], list[Pair]]:
    """The pictures of the pairs, resized, with the checksums of their files. Pairs whose picture cannot be read are
    left out.
    """
    import PIL

    digests: list[bytes] = []
    opened: list[Pair] = []
    with progress(len(pairs), "Looking at pictures", show_progress) as step:
        for pair in pairs:
            try:
                with contents.pictures[pair.file].open("rb") as file:
                    digests.append(hashlib.file_digest(file, "sha256").digest())
                opened.append(pair)
            except OSError as error:
                contents.skipped.append((pair.file, f"cannot be opened ({error.strerror})"))
            step()
    if not opened:
        raise InputError(_too_few(contents, 0))
    key = {
        "what": "a folder's pictures",
        "format": _FORMAT,
        "pictures": hashlib.sha256(b"".join(digests)).hexdigest(),
        "side": int(side),
        "resize": resize,
        "pillow": PIL.__version__,
    }

    def build(folder: Path) -> None:
        shape = (len(opened), side, side, 3)
        room(int(np.prod(shape)))
        remarks: dict[str, dict[int, str]] = {"skipped": {}, "notes": {}}
        with (
            progress(len(opened), "Reading pictures", show_progress) as step,
            array_file(folder / "images.npy", shape) as write,
        ):
            for row, pair in enumerate(opened):
                try:
                    picture, remark = read_photo(contents.pictures[pair.file], side, resize)
                    if remark:
                        remarks["notes"][row] = remark
                except InputError as error:
                    picture = np.zeros(shape[1:], dtype=np.uint8)
                    remarks["skipped"][row] = str(error)
                write(picture)
                step()
        (folder / "report.json").write_text(json.dumps(remarks), encoding="utf-8")

    folder = cache.checked_folder("folder", key, build)
    remarks = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    broken = {int(row): reason for row, reason in remarks["skipped"].items()}
    contents.skipped += [(opened[row].file, reason) for row, reason in broken.items()]
    contents.notes += [(opened[int(row)].file, remark) for row, remark in remarks["notes"].items()]
    rows = np.array([row for row in range(len(opened)) if row not in broken], dtype=np.int64)
    images = LargePictures(NpyPictures(folder / "images.npy"), rows)
    return images, [digests[row] for row in rows], [opened[row] for row in rows]


def _few_in_memory(images: LargePictures) -> np.ndarray | LargePictures:
    return images[:] if int(np.prod(images.shape)) <= _IN_MEMORY else images


# The split.


def _none_missing(contents: Contents, missing: str) -> None:
    """Errors: `InputError` if something was left out and that is asked to be one."""
    count = len(contents.skipped)
    reasons = "".join(f"\n{line}" for line in _listed(contents.skipped))
    good = missing == "skip" or not count
    expected = f"path: expected nothing to be left out of {contents.root}, got {count:,}"
    check(good, f"{expected}; pass missing='skip' to go on without:{reasons}")


def _too_few(contents: Contents, count: int) -> str:
    reasons = "".join(f"\n{line}" for line in _listed(contents.skipped))
    return f"path: expected at least 2 pictures with texts in {contents.root}, got {count}{reasons}"


def _at_least_two(contents: Contents, pairs: Sequence[Pair], digests: Sequence[bytes]) -> None:
    root, count = contents.root, len(pairs)
    check(count > 1, _too_few(contents, count))
    different = len(set(digests)) > 1
    check(different, f"path: expected at least 2 different pictures in {root}, got the same one {count} times")
    words = any(tokens(text) for pair in pairs for text in pair.texts)
    check(words, f"path: expected texts with words in {root}, got none in {count} texts")


def _parts(digests: Sequence[bytes], query: float, train: float) -> dict[str, np.ndarray]:
    """Which pairs ask, are searched, and are learned from. Each file's content is two fair numbers from 0 to 1,
    compared with the shares.
    """
    u, v = _drawn(digests)
    asks = u < query
    if not asks.any():
        asks = u == u.min()
    if asks.all():
        asks = u < u.max()
    learns = ~asks & (v < train)
    if not learns.any():
        learns = ~asks & (v == v[~asks].min())
    return {"query": np.flatnonzero(asks), "retrieval": np.flatnonzero(~asks), "train": np.flatnonzero(learns)}


def _drawn(digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers from 0 to 1 for each file, which its content decides."""
    drawn = np.array(
        [list(hashlib.blake2b(digest, digest_size=16, person=b"cmhkit split").digest()) for digest in digests],
        dtype=np.uint8,
    )
    u, v = (drawn[:, half].copy().view(">u8").ravel() / 2.0**64 for half in (slice(0, 8), slice(8, 16)))
    return u, v


def _said_parts(digests: Sequence[bytes], said: Sequence[str | None], train: float) -> dict[str, np.ndarray] | None:
    """The parts that files or folders say: query, test or val asks, the first of them that there is; all others are
    searched; of these train is learned from, or a share of it by content. None if one part alone is left.
    """
    held = np.array(said, dtype=object)
    asking = next((part for part in ("query", "test", "val") if (held == part).any()), None)
    asks = held == asking
    if asking is None or asks.all():
        return None
    learns = ~asks & (held == "train") if (held == "train").any() else ~asks
    if train < 1:
        _, v = _drawn(digests)
        learns &= (v < train) | (v == v[learns].min())
    return {"query": np.flatnonzero(asks), "retrieval": np.flatnonzero(~asks), "train": np.flatnonzero(learns)}
