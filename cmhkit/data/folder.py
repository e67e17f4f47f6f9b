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
from typing import TYPE_CHECKING

import numpy as np

from cmhkit.data import cache
from cmhkit.data.large import LargePictures, NpyPictures, picture_file, room
from cmhkit.data.pairs import PARTS, PairedData
from cmhkit.data.text import Vocabulary, tokens
from cmhkit.support.checks import InputError, check, one_of, whole
from cmhkit.support.progress import progress

if TYPE_CHECKING:
    from PIL import Image

#: What pictures can go through, for methods that read features.
FEATURES = ("efficientnet-lite0", "scenenet", None)
#: How a picture becomes a square.
RESIZE = ("letterbox", "crop")
#: The colour of a letterbox's bars, and what shows through a transparent picture.
BARS, BEHIND = (127, 127, 127), "white"
_TABLES = (".csv", ".tsv")
_COLUMNS = ("file", "text", "labels")
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# Formats that Pillow hands to another program, or knows without reading them.
_NO_PICTURES = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
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
    pairs in each part of the set.
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

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, the most common first."""
        return dict(Counter(reason for _, reason in self.skipped).most_common())

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {count:,}" for name, count in self.parts.items())
        lines = [
            f"{self.path}: {self.pairs:,} pairs ({parts})" if parts else f"{self.path}: {self.pairs:,} pairs",
            f"texts: {self.texts}; {self.words:,} words in the vocabulary",
            f"labels: {self.labels}",
        ]
        if self.other_files:
            lines.append(f"{self.other_files:,} other files were left alone")
        for title, found in (("skipped", self.skipped), ("remarks", self.notes)):
            if found:
                lines += [f"{title}: {len(found):,}", *_listed(found)]
        return "\n".join(lines)


def _listed(found: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each reason, with the first files."""
    files: dict[str, list[str]] = {}
    for file, reason in found:
        files.setdefault(reason, []).append(file)
    lines = []
    for reason, names in sorted(files.items(), key=lambda item: -len(item[1])):
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        lines.append(f"  {reason} ({len(names):,}): {', '.join(names[:_NAMED])}{more}")
    return lines


@dataclass
class _Found:
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
    are added, and equal pictures are never in different parts. Shares are therefore met on average only; each part has
    at least one pair.
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
    check(
        root.is_dir(),
        f"path: expected a folder of pictures, got {root}, which is {'a file' if root.is_file() else 'not there'}",
    )
    whole("side", side, 16, 1024)
    one_of("resize", resize, RESIZE)
    check(features in FEATURES, f"features: expected one of {', '.join(map(repr, FEATURES))}, got {features!r}")
    for name, share, most in (("query", query, "below 1"), ("train", train, "up to 1")):
        good = (
            isinstance(share, Real)
            and not isinstance(share, bool)
            and 0 < share <= 1
            and (name == "train" or share < 1)
        )
        check(good, f"{name}: expected a share above 0 and {most}, got {share!r}")
    whole("vocabulary", vocabulary, 1)
    _check_encoding(encoding)
    if features == "efficientnet-lite0":
        from cmhkit.data.photos import weights_file

        try:
            weights_file()
        except InputError as error:
            raise InputError(f"features: {error}; or pass features='scenenet' or None") from error

    found = _scan(root)
    check(
        found.pictures,
        f"path: expected at least one picture in {root}, got {found.others + len(found.texts) + len(found.tables)} other files",
    )
    pairs, said = _paired(found, texts, encoding)
    images, digests, pairs = _read_pictures(found, pairs, side, resize, show_progress)
    _at_least_two(found, pairs, digests)
    parts = _parts(digests, float(query), float(train))
    try:
        words = Vocabulary.build([pairs[i].text for i in parts["train"]], vocabulary)
    except InputError as error:
        raise InputError(
            f"path: expected texts with words in {root}, got none in the {len(parts['train'])} training pairs"
        ) from error
    labels, label_names = _labels(pairs)
    report = FolderReport(
        path=str(root),
        pairs=len(pairs),
        texts=said,
        labels=f"{len(label_names)} ({', '.join(label_names[:8])}{', ...' if len(label_names) > 8 else ''})"
        if label_names
        else "none",
        skipped=tuple(found.skipped),
        notes=tuple(found.notes),
        other_files=found.others,
        parts={name: len(parts[name]) for name in PARTS},
        words=len(words),
    )
    if report.skipped:
        first = "\n".join(_listed(report.skipped))
        warnings.warn(
            f"{root}: {len(report.skipped):,} skipped; data.report says more\n{first}", UserWarning, stacklevel=2
        )
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


def _scan(root: Path) -> _Found:
    """The files in a folder and in the folders inside it, in the order of their names. Links to folders are not
    followed.
    """
    endings = {ending for ending, kind in _registered().items() if kind in _formats()}
    found = _Found(root, {}, {}, {})
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = Path(folder) / name
            relative = _composed(path.relative_to(root).as_posix())
            ending = path.suffix.lower()
            if ending in _UNREAD:
                found.skipped.append((relative, "a format that Pillow does not read by itself"))
            elif ending in endings and not path.is_file():
                found.skipped.append((relative, "no file, or a link to none"))
            elif ending in endings:
                found.pictures[relative] = path
            elif ending == ".txt":
                found.texts[relative] = path
            elif ending in _TABLES and Path(folder) == root:
                found.tables[relative] = path
            else:
                found.others += 1
    return found


def _registered() -> dict[str, str]:
    from PIL import Image

    return Image.registered_extensions()


def _formats() -> list[str]:
    """The formats that Pillow reads itself."""
    from PIL import Image

    Image.init()
    return [kind for kind in Image.ID if kind in Image.OPEN and kind not in _NO_PICTURES]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


# Texts and labels.


def _paired(found: _Found, texts: str, encoding: str) -> tuple[list[_Pair], str]:
    """Pictures with a text, in the order of their names, and where the texts come from."""
    check(
        isinstance(texts, str),
        f'texts: expected "auto", "sidecar", "folders" or the name of a table, got {type(texts).__name__}',
    )
    if texts == "auto":
        check(
            len(found.tables) < 2,
            f"texts: expected one table in {found.root}, got {', '.join(found.tables)}; pass the name of one, or 'sidecar', or 'folders'",
        )
        sidecar = next((True for file in found.pictures if _sidecar(found, file)), False)
        texts = next(iter(found.tables)) if found.tables else "sidecar" if sidecar else "folders"
        holders = {_holder(file) for file in found.pictures}
        check(
            texts != "folders" or holders != {""},
            f"path: expected texts in {found.root}: a .txt beside each picture, a table (.csv or .tsv) with the columns file and text, or folders "
            "whose names say what is in them; got none",
        )
    if texts == "sidecar":
        return _with_sidecars(found, encoding), "the .txt file beside each picture"
    if texts == "folders":
        return _with_folders(found), "the names of the folders"
    check(
        _composed(texts) in found.tables,
        f"texts: expected 'auto', 'sidecar', 'folders' or a table in {found.root}, got {texts!r}; tables there: {', '.join(found.tables) or 'none'}",
    )
    return _with_table(found, _composed(texts), encoding)


def _holder(file: str) -> str:
    """The folder that holds a file; empty for the folder that was given."""
    return file.rpartition("/")[0]


def _sidecar(found: _Found, file: str) -> Path | None:
    return found.texts.get(f"{file.rpartition('.')[0]}.txt") or found.texts.get(f"{file}.txt")


def _with_sidecars(found: _Found, encoding: str) -> list[_Pair]:
    pairs = []
    for file in found.pictures:
        beside = _sidecar(found, file)
        if beside is None:
            found.skipped.append((file, "no .txt file beside it"))
            continue
        try:
            text = _decoded(beside.read_bytes(), encoding).strip()
        except UnicodeDecodeError:
            found.skipped.append((file, f"its .txt file is not {encoding}"))
            continue
        except OSError:
            found.skipped.append((file, "its .txt file cannot be opened"))
            continue
        if text:
            pairs.append(_Pair(file, text, (_holder(file),) if _holder(file) else ()))
        else:
            found.skipped.append((file, "empty text"))
    return pairs


def _with_folders(found: _Found) -> list[_Pair]:
    pairs = []
    for file in found.pictures:
        holder = _holder(file)
        if holder:
            pairs.append(_Pair(file, re.sub(r"[/_-]+", " ", holder), (holder,)))
        else:
            found.skipped.append((file, "in no folder whose name could be its text"))
    return pairs


def _with_table(found: _Found, name: str, encoding: str) -> tuple[list[_Pair], str]:
    header, rows, delimiter = _rows(found, name, encoding)
    place = {column: header.index(column) for column in _COLUMNS if column in header}
    pairs: dict[str, _Pair] = {}
    for line, row in rows:
        if len(row) != len(header):
            found.skipped.append(
                (f"{name}, line {line}", f"another number of fields than the {len(header)} of the first line")
            )
            continue
        file, text = (
            _composed(row[place["file"]].strip().replace("\\", "/")).removeprefix("./"),
            row[place["text"]].strip(),
        )
        labels = tuple(re.split(r"[;|,]", _composed(row[place["labels"]]))) if "labels" in place else ()
        labels = tuple(label.strip() for label in labels if label.strip())
        if file not in found.pictures:
            found.skipped.append(
                (f"{file or '(no name)'} ({name}, line {line})", "in the table, but no picture of the folder")
            )
        elif not text:
            found.skipped.append((f"{file} ({name}, line {line})", "empty text"))
        elif file in pairs:
            pair = pairs[file]
            pair.text = pair.text if text in pair.text.split("\n") else f"{pair.text}\n{text}"
            pair.labels = tuple(dict.fromkeys(pair.labels + labels))
            found.notes.append((f"{file} ({name}, line {line})", "in the table again: its rows are one pair"))
        else:
            pairs[file] = _Pair(file, text, labels)
    told = {file for file, _ in found.skipped}
    named = {entry.rpartition(f" ({name}, line")[0] for entry in told}
    found.skipped += [(file, "not in the table") for file in found.pictures if file not in pairs and file not in named]
    return [
        pairs[file] for file in found.pictures if file in pairs
    ], f"{name}, with {_DELIMITERS[delimiter]} between the columns"


def _rows(found: _Found, name: str, encoding: str) -> tuple[list[str], list[tuple[int, list[str]]], str]:
    """The names of a table's columns, its other rows with their line numbers, and what stands between the columns."""
    path = found.tables[name]
    try:
        content = _decoded(path.read_bytes(), encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"encoding: expected {name} as {encoding}, got a byte that is none at {error.start}; pass the encoding it is in"
        ) from error
    except OSError as error:
        raise InputError(f"texts: expected a table, got {path}, which cannot be read ({error})") from error
    first = next((line for line in content.splitlines() if line.strip()), "")
    columns = {d: [cell.strip().casefold() for cell in next(csv.reader([first], delimiter=d), [])] for d in _DELIMITERS}
    delimiter = max(columns, key=lambda d: ("file" in columns[d], "text" in columns[d]))
    header = columns[delimiter]
    missing = [column for column in ("file", "text") if column not in header]
    check(
        not missing,
        f"texts: expected a first line with the columns file, text and, if there are any, labels in {name}, got {first[:80]!r}"
        if first
        else f"texts: expected a table with the columns file and text, got {name}, which is empty",
    )
    twice = [column for column in _COLUMNS if header.count(column) > 1]
    check(not twice, f"texts: expected each column once in {name}, got {twice[0] if twice else ''} twice")
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
    found: _Found, pairs: list[_Pair], side: int, resize: str, show_progress: bool
) -> tuple[np.ndarray | LargePictures, list[bytes], list[_Pair]]:
    """The pictures of the pairs, resized, with the checksums of their files. Pairs whose picture cannot be read are
    left out.
    """
    import PIL

    digests: list[bytes] = []
    there: list[_Pair] = []
    with progress(len(pairs), "Looking at pictures", show_progress) as step:
        for pair in pairs:
            try:
                with found.pictures[pair.file].open("rb") as file:
                    digests.append(hashlib.file_digest(file, "sha256").digest())
                there.append(pair)
            except OSError as error:
                found.skipped.append((pair.file, f"cannot be opened ({error.strerror})"))
            step()
    if not there:
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
        shape = (len(there), side, side, 3)
        room(int(np.prod(shape)))
        said: dict[str, dict[int, str]] = {"skipped": {}, "notes": {}}
        with (
            progress(len(there), "Reading pictures", show_progress) as step,
            picture_file(folder / "images.npy", shape) as write,
        ):
            for row, pair in enumerate(there):
                try:
                    picture, remark = read_photo(found.pictures[pair.file], side, resize)
                    if remark:
                        said["notes"][row] = remark
                except InputError as error:
                    picture = np.zeros(shape[1:], dtype=np.uint8)
                    said["skipped"][row] = str(error)
                write(picture)
                step()
        (folder / "report.json").write_text(json.dumps(said), encoding="utf-8")

    folder = cache.checked_folder("folder", key, build)
    said = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    broken = {int(row): reason for row, reason in said["skipped"].items()}
    found.skipped += [(there[row].file, reason) for row, reason in broken.items()]
    found.notes += [(there[int(row)].file, remark) for row, remark in said["notes"].items()]
    rows = np.array([row for row in range(len(there)) if row not in broken], dtype=np.int64)
    images = LargePictures(NpyPictures(folder / "images.npy"), rows)
    small = int(np.prod(images.shape)) <= _IN_MEMORY
    return (images[:] if small else images), [digests[row] for row in rows], [there[row] for row in rows]


def read_photos(files: Sequence[str | Path], side: int = 224, resize: str = "letterbox") -> np.ndarray:
    """New picture files as a hasher reads them, in the form that `load_folder` gives its own: uint8, shape (n, side,
    side, 3).

    `hasher.encode(images=read_photos(["dog.jpg"]))`. side, resize: as for `load_folder`; give those of the training
    data.
    Errors: `InputError` that names the first file that cannot be read, and why.
    """
    check(not isinstance(files, (str, Path)), f"files: expected a list of files, got one path; write [{str(files)!r}]")
    whole("side", side, 16, 1024)
    one_of("resize", resize, RESIZE)
    pictures = np.empty((len(files), side, side, 3), dtype=np.uint8)
    for row, file in enumerate(files):
        check(Path(file).is_file(), f"files: expected pictures, got {file}, which is not there")
        try:
            pictures[row], _ = read_photo(Path(file), side, resize)
        except InputError as error:
            raise InputError(f"files: expected pictures, got {file}: {error}") from error
    return pictures


def read_photo(path: Path, side: int, resize: str = "letterbox") -> tuple[np.ndarray, str]:
    """One picture file as uint8, shape (side, side, 3), and a remark, or an empty text.

    resize: "letterbox" or "crop", as for `load_folder`. Errors: `InputError` that says why the file cannot be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    check(path.stat().st_size > 0, "empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_formats()) as opened:
                remark = "several pictures in one file, of which the first was taken" if _several(opened) else ""
                opened.draft("RGB", (2 * side, 2 * side))  # a large JPEG is decoded at a fraction of its size
                image = _eight_bits(ImageOps.exif_transpose(opened))
                return np.asarray(_square(image, side, resize)), remark
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InputError(f"more than {limit:.0f} million pixels, Pillow's limit") from error
    except UnidentifiedImageError as error:
        raise InputError("no picture that Pillow knows") from error
    except Exception as error:  # Pillow has no one error for a file that it cannot read
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise InputError("cut off" if cut else f"broken ({type(error).__name__})") from error


def _several(image: Image.Image) -> bool:
    """True if a file has more pictures than one. A file whose second picture is broken has one."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # as above
        return False


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture in RGB of 8 bits. 16 bits are divided by 257; numbers without a range of their own go from their least
    to their greatest.
    """
    from PIL import Image

    if image.mode[0] in "IF":
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a value that is no number")
        sixteen = image.mode != "F" and 0 <= values.min() and values.max() < 2**16
        low, high = (0.0, 2.0**16 - 1) if sixteen else (values.min(), values.max())
        return Image.fromarray((255 * (values - low) / max(high - low, 1e-12)).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BEHIND), image)
    return image.convert("RGB")


def _square(image: Image.Image, side: int, resize: str) -> Image.Image:
    from PIL import Image, ImageOps

    if resize == "crop":
        return ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
    scale = side / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    square = Image.new("RGB", (side, side), BARS)
    square.paste(image.resize(size, Image.Resampling.BICUBIC), tuple((side - length) // 2 for length in size))
    return square


# The split.


def _at_least_two(found: _Found, pairs: Sequence[_Pair], digests: Sequence[bytes]) -> None:
    reasons = "".join(f"\n{line}" for line in _listed(found.skipped))
    check(len(pairs) > 1, f"path: expected at least 2 pictures with texts in {found.root}, got {len(pairs)}{reasons}")
    check(
        len(set(digests)) > 1,
        f"path: expected at least 2 different pictures in {found.root}, got the same one {len(pairs)} times",
    )
    check(
        any(tokens(pair.text) for pair in pairs),
        f"path: expected texts with words in {found.root}, got none in {len(pairs)} texts",
    )


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
