"""Your own pictures: a folder of picture files, with texts beside them, in a table, or in the names of its folders."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import numpy as np

from cmhkit.data import cache, repeats
from cmhkit.data.features import check_features
from cmhkit.data.large import LargePictures, NpyPictures, picture_file, room
from cmhkit.data.pairs import PARTS, PairedData
from cmhkit.data.pictures import BARS, RESIZE, picture_endings, read_photo, read_photos
from cmhkit.data.text import Vocabulary, tokens
from cmhkit.support.checks import InputError, check, check_choice, check_integer
from cmhkit.support.progress import progress

__all__ = ["BARS", "RESIZE", "FolderReport", "load_folder", "read_photo", "read_photos"]

_TABLES = (".csv", ".tsv")
_COLUMNS = ("file", "text", "labels")
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# Endings of pictures that Pillow does not read by itself; they are listed, not passed over.
_UNREAD = {".heic", ".heif", ".svg", ".eps", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
# Pictures up to this many bytes are held in memory.
_IN_MEMORY = 2**28
# Of the cache's files.
_FORMAT = 1
# Files that a report names for each reason.
_NAMED = 5


@dataclass(frozen=True, repr=False)
class FolderReport:
    """What was read from a folder of pictures, what was skipped, and why. It prints as a short text.

    skipped: (file, reason) of everything that is no pair of the data set. notes: (file, remark) of pairs that were read
    with a remark. texts, labels: where they come from. other_files: files that are neither pictures nor texts. parts:
    pairs in each part of the set. repeats: what there is to say of equal and of nearly equal pictures.
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

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, the most common first."""
        return dict(Counter(reason for _, reason in self.skipped).most_common())

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {count:,}" for name, count in self.parts.items())
        lines = [
            f"{self.path}: {self.pairs:,} pairs" + (f" ({parts})" if parts else ""),
            f"texts: {self.texts}; {self.words:,} words in the vocabulary",
            f"labels: {self.labels}",
            *self.repeats,
        ]
        if self.other_files:
            lines.append(f"{self.other_files:,} other files were left alone")
        for title, files in (("skipped", self.skipped), ("remarks", self.notes)):
            if files:
                lines += [f"{title}: {len(files):,}", *_listed(files)]
        return "\n".join(lines)


def _listed(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each reason, with the first files. reasons: (file, reason)."""
    files: dict[str, list[str]] = {}
    for file, reason in reasons:
        files.setdefault(reason, []).append(file)
    lines = []
    for reason, names in sorted(files.items(), key=lambda item: -len(item[1])):
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        lines.append(f"  {reason} ({len(names):,}): {', '.join(names[:_NAMED])}{more}")
    return lines


@dataclass
class _Contents:
    """What a folder holds, and what becomes of it. Names are relative to the folder, with slashes, in Unicode's
    composed form.
    """

    root: Path
    pictures: dict[str, Path]
    texts: dict[str, Path]
    tables: dict[str, Path]
    others: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Pair:
    file: str
    text: str
    labels: tuple[str, ...]


def load_folder(
    path: str | Path,
    *,
    texts: str = "auto",
    side: int = 224,
    resize: str = "letterbox",
    features: str | None = "efficientnet-lite0",
    query: float = 0.1,
    train: float = 1.0,
    vocabulary: int = 1000,
    encoding: str = "utf-8",
    show_progress: bool = True,
) -> PairedData:
    """Your own pictures with their texts, as a data set.

    path: a folder; pictures in folders inside it count too. Hidden files are left alone.
    texts: where the texts are.
        "sidecar": `a.txt` (or `a.jpg.txt`) beside `a.jpg`. The label of a picture is the folder that holds it, if there
        are several. "folders": the names of the folders that hold the pictures are texts and labels.
        A file name, such as "captions.csv": a table in the folder with the columns file, text and, if there are any,
        labels, in any order, with commas, tabs, semicolons or bars between them. Several labels in a cell have `;`, `|`
        or `,` between them. Rows of one file become one pair. "auto": the table, if there is one .csv or .tsv; else
        "sidecar", if a picture has a .txt; else "folders".
    side: R of the pictures, in pixels. resize: "letterbox" (the whole picture, with grey bars, since a tag may speak of
    what stands at the edge) or "crop" (the largest square in the middle).
    features: what the pictures go through for methods that read features: "efficientnet-lite0" (for photographs; the
    extra `photos`), "scenenet" (for drawings), or None (for methods that read pictures themselves). It stays with the
    data set as `data.backbone`. query: share of the pairs that ask. train: share of the others, which are the retrieval
    set, that a method learns from. A picture's part follows from its content alone: it stays where it is when pictures
    are added. Equal pictures, of the same file or of files that show the same, are never in different parts; nearly
    equal ones in different parts are counted, if the extra `photos` is there. Shares are therefore met on average only;
    each part has at least one pair.
    vocabulary: how many words the bag of words has, the most common ones of the training texts. encoding: of the text
    files, if they have no byte order mark.

    A picture is turned as its EXIF data say; what is transparent shows white; 16 bits become 8; of an animation the
    first picture counts. What cannot be read is no error: it is left out, and `data.report` says what and why. Resized
    pictures are kept in the cache, found again by content. Returns `PairedData` with `.report` (`FolderReport`),
    `.details["files"]` (the file of each pair) and labels only where there are at least two. Errors: `InputError` for a
    folder that is none, no pictures, no texts, a table without the columns, and fewer than two pairs.
    """
    check(isinstance(path, (str, Path)), f"path: expected a folder, got {type(path).__name__}")
    root = Path(path).expanduser()
    what = "a file" if root.is_file() else "not there"
    check(root.is_dir(), f"path: expected a folder of pictures, got {root}, which is {what}")
    check_integer("side", side, 16, 1024)
    check_choice("resize", resize, RESIZE)
    check_features(features)
    for name, share, most in (("query", query, "below 1"), ("train", train, "up to 1")):
        number = isinstance(share, Real) and not isinstance(share, bool)
        good = number and (0 < share < 1 or (name == "train" and share == 1))
        check(good, f"{name}: expected a share above 0 and {most}, got {share!r}")
    check_integer("vocabulary", vocabulary, 1)
    _check_encoding(encoding)
    contents = _scan(root)
    others = contents.others + len(contents.texts) + len(contents.tables)
    check(contents.pictures, f"path: expected at least one picture in {root}, got {others} other files")
    pairs, source = _paired(contents, texts, encoding)
    images, digests, pairs = _read_pictures(contents, pairs, side, resize, show_progress)
    _at_least_two(contents, pairs, digests)
    marks = repeats.digests(images)
    group = repeats.groups(digests, marks)
    parts = _parts(repeats.shared(digests, group), float(query), float(train))
    again = repeats.repeats(images, marks, [pair.text for pair in pairs], parts, group, show_progress)
    try:
        words = Vocabulary.build([pairs[i].text for i in parts["train"]], vocabulary)
    except InputError as error:
        expected = f"path: expected texts with words in {root}"
        raise InputError(f"{expected}, got none in the {len(parts['train'])} training pairs") from error
    labels, label_names = _labels(pairs)
    first_names = ", ".join(label_names[:8]) + (", ..." if len(label_names) > 8 else "")
    report = FolderReport(
        path=str(root),
        pairs=len(pairs),
        texts=source,
        labels=f"{len(label_names)} ({first_names})" if label_names else "none",
        skipped=tuple(contents.skipped),
        notes=tuple(contents.notes),
        other_files=contents.others,
        parts={name: len(parts[name]) for name in PARTS},
        words=len(words),
        repeats=tuple(again.lines(lambda row: pairs[row].file)),
    )
    if report.skipped:
        lines = [f"{root}: {len(report.skipped):,} skipped; data.report says more", *_listed(report.skipped)]
        warnings.warn("\n".join(lines), UserWarning, stacklevel=2)
    return PairedData(
        name=f"folder:{root.resolve().name}",
        images=images,
        text_vectors=words.bag_of_words([pair.text for pair in pairs]),
        parts=parts,
        labels=labels,
        texts=[pair.text for pair in pairs],
        label_names=label_names,
        vocabulary=words,
        backbone=features,
        report=report,
        details={
            "folder": str(root.resolve()),
            "files": [pair.file for pair in pairs],
            "side": int(side),
            "resize": resize,
        },
    )


# What is there.


def _scan(root: Path) -> _Contents:
    """The files in a folder and in the folders inside it, in the order of their names. Links to folders are not
    followed.
    """
    endings = picture_endings()
    contents = _Contents(root, {}, {}, {})
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = Path(folder) / name
            relative = _composed(path.relative_to(root).as_posix())
            ending = path.suffix.lower()
            if ending in _UNREAD:
                contents.skipped.append((relative, "a format that Pillow does not read by itself"))
            elif ending in endings and not path.is_file():
                contents.skipped.append((relative, "no file, or a link to none"))
            elif ending in endings:
                contents.pictures[relative] = path
            elif ending == ".txt":
                contents.texts[relative] = path
            elif ending in _TABLES and Path(folder) == root:
                contents.tables[relative] = path
            else:
                contents.others += 1
    return contents


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


# Texts and labels.


def _paired(contents: _Contents, texts: str, encoding: str) -> tuple[list[_Pair], str]:
    """Pictures with a text, in the order of their names, and where the texts come from."""
    check(
        isinstance(texts, str),
        f'texts: expected "auto", "sidecar", "folders" or the name of a table, got {type(texts).__name__}',
    )
    if texts == "auto":
        check(
            len(contents.tables) < 2,
            f"texts: expected one table in {contents.root}, got {', '.join(contents.tables)}; "
            "pass the name of one, or 'sidecar', or 'folders'",
        )
        sidecar = any(_sidecar(contents, file) for file in contents.pictures)
        texts = next(iter(contents.tables)) if contents.tables else "sidecar" if sidecar else "folders"
        check(
            texts != "folders" or any(map(_holder, contents.pictures)),
            f"path: expected texts in {contents.root}: a .txt beside each picture, a table (.csv or .tsv) with the "
            "columns file and text, or folders whose names say what is in them; got none",
        )
    if texts == "sidecar":
        return _with_sidecars(contents, encoding), "the .txt file beside each picture"
    if texts == "folders":
        return _with_folders(contents), "the names of the folders"
    check(
        _composed(texts) in contents.tables,
        f"texts: expected 'auto', 'sidecar', 'folders' or a table in {contents.root}, got {texts!r}; "
        f"tables there: {', '.join(contents.tables) or 'none'}",
    )
    return _with_table(contents, _composed(texts), encoding)


def _holder(file: str) -> str:
    """The folder that holds a file; empty for the folder that was given."""
    return file.rpartition("/")[0]


def _sidecar(contents: _Contents, file: str) -> Path | None:
    return contents.texts.get(f"{file.rpartition('.')[0]}.txt") or contents.texts.get(f"{file}.txt")


def _with_sidecars(contents: _Contents, encoding: str) -> list[_Pair]:
    pairs = []
    for file in contents.pictures:
        beside = _sidecar(contents, file)
        reason, text = "empty text", ""
        try:
            if beside is None:
                reason = "no .txt file beside it"
            else:
                text = _decoded(beside.read_bytes(), encoding).strip()
        except UnicodeDecodeError:
            reason = f"its .txt file is not {encoding}"
        except OSError:
            reason = "its .txt file cannot be opened"
        if text:
            pairs.append(_Pair(file, text, (_holder(file),) if _holder(file) else ()))
        else:
            contents.skipped.append((file, reason))
    return pairs


def _with_folders(contents: _Contents) -> list[_Pair]:
    pairs = []
    for file in contents.pictures:
        holder = _holder(file)
        if holder:
            pairs.append(_Pair(file, re.sub(r"[/_-]+", " ", holder), (holder,)))
        else:
            contents.skipped.append((file, "in no folder whose name could be its text"))
    return pairs


def _with_table(contents: _Contents, name: str, encoding: str) -> tuple[list[_Pair], str]:
    header, rows, delimiter = _rows(contents, name, encoding)
    place = {column: header.index(column) for column in _COLUMNS if column in header}
    pairs: dict[str, _Pair] = {}
    without_text: set[str] = set()
    for line, row in rows:
        where = f"{name}, line {line}"
        if len(row) != len(header):
            reason = f"another number of fields than the {len(header)} of the first line"
            contents.skipped.append((where, reason))
            continue
        cells = {column: row[i].strip() for column, i in place.items()}
        file, text = _composed(cells["file"].replace("\\", "/")).removeprefix("./"), cells["text"]
        labels = [label.strip() for label in re.split(r"[;|,]", _composed(cells.get("labels", "")))]
        labels = tuple(filter(None, labels))
        if file not in contents.pictures:
            reason = "in the table, but no picture of the folder"
            contents.skipped.append((f"{file or '(no name)'} ({where})", reason))
        elif not text:
            contents.skipped.append((f"{file} ({where})", "empty text"))
            without_text.add(file)
        elif file in pairs:
            pair = pairs[file]
            pair.text = pair.text if text in pair.text.split("\n") else f"{pair.text}\n{text}"
            pair.labels = tuple(dict.fromkeys(pair.labels + labels))
            contents.notes.append((f"{file} ({where})", "in the table again: its rows are one pair"))
        else:
            pairs[file] = _Pair(file, text, labels)
    missing = [file for file in contents.pictures if file not in pairs and file not in without_text]
    contents.skipped += [(file, "not in the table") for file in missing]
    source = f"{name}, with {_DELIMITERS[delimiter]} between the columns"
    return [pairs[file] for file in contents.pictures if file in pairs], source


def _rows(contents: _Contents, name: str, encoding: str) -> tuple[list[str], list[tuple[int, list[str]]], str]:
    """The names of a table's columns, its other rows with their line numbers, and what stands between the columns."""
    path = contents.tables[name]
    try:
        content = _decoded(path.read_bytes(), encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"encoding: expected {name} as {encoding}, got a byte that is none at {error.start}; "
            "pass the encoding it is in"
        ) from error
    except OSError as error:
        raise InputError(f"texts: expected a table, got {path}, which cannot be read ({error})") from error
    first = next((line for line in content.splitlines() if line.strip()), "")
    columns = {d: [cell.strip().casefold() for cell in next(csv.reader([first], delimiter=d), [])] for d in _DELIMITERS}
    delimiter = max(columns, key=lambda d: ("file" in columns[d], "text" in columns[d]))
    header = columns[delimiter]
    check(first, f"texts: expected a table with the columns file and text, got {name}, which is empty")
    check(
        "file" in header and "text" in header,
        "texts: expected a first line with the columns file, text and, if there are any, labels "
        f"in {name}, got {first[:80]!r}",
    )
    twice = [column for column in _COLUMNS if header.count(column) > 1]
    check(not twice, f"texts: expected each column once in {name}, got {''.join(twice[:1])} twice")
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(
            f"texts: expected a table, got {name}, which goes wrong at line {reader.line_num} ({error})"
        ) from error
    return header, rows[1:], delimiter


def _decoded(content: bytes, encoding: str) -> str:
    """Text from bytes: a byte order mark says more than `encoding`. Errors: `UnicodeDecodeError`."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(name)
    return content.decode(encoding)


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except (LookupError, TypeError) as error:
        raise InputError(
            f"encoding: expected a name that Python knows, such as 'utf-8' or 'gb18030', got {encoding!r}"
        ) from error


def _labels(pairs: Sequence[_Pair]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels 0/1 and their names in order. Fewer than two labels say nothing: None."""
    names = sorted({label for pair in pairs for label in pair.labels})
    if len(names) < 2:
        return None, ()
    column = {name: i for i, name in enumerate(names)}
    labels = np.zeros((len(pairs), len(names)), dtype=np.uint8)
    for row, pair in enumerate(pairs):
        labels[row, [column[label] for label in pair.labels]] = 1
    return labels, tuple(names)


# Pictures.


def _read_pictures(
    contents: _Contents, pairs: list[_Pair], side: int, resize: str, show_progress: bool
) -> tuple[np.ndarray | LargePictures, list[bytes], list[_Pair]]:
    """The pictures of the pairs, resized, with the checksums of their files. Pairs whose picture cannot be read are
    left out.
    """
    import PIL

    digests: list[bytes] = []
    opened: list[_Pair] = []
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
        return np.zeros((0, side, side, 3), dtype=np.uint8), [], []
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
            picture_file(folder / "images.npy", shape) as write,
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
    small = int(np.prod(images.shape)) <= _IN_MEMORY
    return (images[:] if small else images), [digests[row] for row in rows], [opened[row] for row in rows]


# The split.


def _at_least_two(contents: _Contents, pairs: Sequence[_Pair], digests: Sequence[bytes]) -> None:
    root, count = contents.root, len(pairs)
    reasons = "".join(f"\n{line}" for line in _listed(contents.skipped))
    check(count > 1, f"path: expected at least 2 pictures with texts in {root}, got {count}{reasons}")
    different = len(set(digests)) > 1
    check(different, f"path: expected at least 2 different pictures in {root}, got the same one {count} times")
    words = any(tokens(pair.text) for pair in pairs)
    check(words, f"path: expected texts with words in {root}, got none in {count} texts")


def _parts(digests: Sequence[bytes], query: float, train: float) -> dict[str, np.ndarray]:
    """Which pairs ask, are searched, and are learned from. Each file's content is two fair numbers from 0 to 1,
    compared with the shares.
    """
    drawn = np.array(
        [list(hashlib.blake2b(digest, digest_size=16, person=b"cmhkit split").digest()) for digest in digests],
        dtype=np.uint8,
    )
    u, v = (drawn[:, half].copy().view(">u8").ravel() / 2.0**64 for half in (slice(0, 8), slice(8, 16)))
    asks = u < query
    if not asks.any():
        asks = u == u.min()
    if asks.all():
        asks = u < u.max()
    learns = ~asks & (v < train)
    if not learns.any():
        learns = ~asks & (v == v[~asks].min())
    return {"query": np.flatnonzero(asks), "retrieval": np.flatnonzero(~asks), "train": np.flatnonzero(learns)}
