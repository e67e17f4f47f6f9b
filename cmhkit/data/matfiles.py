"""The field's files in circulation: which variant a file is, and its pairs.

The same name, even the same key, can hold pixels or features, as MATLAB v5 (read by SciPy) or as HDF5 (MATLAB v7.3, which h5py shows with reversed
axes, or written from Python, which it does not). So nothing is believed but keys, shapes, types and container: `recognise` finds the variant,
checks sizes against each other, and says what it found; `load_mat` reads it. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data.containers import ENDINGS, Container, Entry, Piece, in_order, matrix, open_container, pictures, strings
from cmhkit.data.large import JoinedPictures, LargePictures, resized_pictures
from cmhkit.data.pairs import PairedData
from cmhkit.data.protocols import PROTOCOLS, UNKNOWN_QUERY, UNKNOWN_TRAIN, fixed_split, fixed_training, recognised_protocol
from cmhkit.data.text import Vocabulary
from cmhkit.errors import InputError, check, one_of
from cmhkit.progress import progress

WIKIPEDIA_TOPICS = ("art", "biology", "geography", "history", "literature", "media", "music", "royalty", "sport", "warfare")
_KEYS = ("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te")

#: What a key holds, for sets in one piece. A set has one key of each role.
ROLES = {
    "images": ("images", "image", "IAll", "XAll"),
    "paths": ("index",),
    "texts": ("YAll", "text", "caption"),
    "labels": ("LAll", "label", "category"),
}
#: Keys of sets that come with their own split: part, role, key.
PARTED = {
    "tr/te": {p: {"images": f"I_{p}", "texts": f"T_{p}", "labels": f"L_{p}"} for p in ("tr", "te", "db")},
    "rand": {
        "db": {"images": "VDatabase", "texts": "YDatabase", "labels": "databaseL"},
        "te": {"images": "VTest", "texts": "YTest", "labels": "testL"},
    },
}
_PART_NAMES = {"tr": "training", "te": "test", "db": "database", "all": "all"}
# Files of one set that lie side by side: mirflickr25k-iall-vgg.mat, -yall.mat, -lall.mat.
_STEM = re.compile(r"(?P<stem>.+?)[-_.](iall|xall|yall|lall)\b.*", re.IGNORECASE)
# What a file is.


@dataclass(frozen=True)
class Recognised:
    """What was found: the variant in words, and for each part ("all", or "tr", "te", "db") its pieces by role and its number of pairs."""

    path: Path
    variant: str
    parts: dict[str, dict[str, Piece]] = field(repr=False)
    items: dict[str, int]

    def __str__(self) -> str:
        files = sorted({str(piece.container.path.name) for part in self.parts.values() for piece in part.values()})
        kinds = sorted({piece.container.kind for part in self.parts.values() for piece in part.values()})
        lines = [f"{self.path}: {self.variant} ({', '.join(kinds)}; {', '.join(files)})"]
        for part, pieces in self.parts.items():
            found = "; ".join(f"{role} from {piece}" for role, piece in pieces.items())
            lines.append(f"  {_PART_NAMES[part]}: {self.items[part]:,} pairs: {found}")
        return "\n".join(lines)


@dataclass(frozen=True)
class TextLists:
    """UGACH's lists of text: `list/` and `feature/`."""

    path: Path

    def __str__(self) -> str:
        return f"{self.path}: UGACH's text lists (list/ and feature/)"


def recognise(path: str | Path) -> Recognised | TextLists:
    """Find which variant a file or a folder is. Sizes are checked against each other; no array is read.

    path: a file; or a folder with one set: one file, files side by side (`NAME-iall.mat`, `NAME-yall.mat`, `NAME-lall.mat`),
    `index.mat` with `caption.mat` and `label.mat`, or UGACH's `list/` and `feature/`.
    Errors: `InputError` that lists what was found, if that is no known variant, is ambiguous, or its sizes disagree.
    """
    path = Path(path)
    check(path.exists(), f"path: expected a file or a folder, got {path}, which is not there")
    if path.is_dir():
        if (path / "list").is_dir() and (path / "feature").is_dir():
            _list_files(path)
            return TextLists(path)
        return _recognise_folder(path)
    container = open_container(path)
    return _parted(path, container) or _in_one_file(path, container) or _side_by_side(path, container)


def _recognise_folder(path: Path) -> Recognised:
    files = _candidates(path)
    check(files, f"path: expected a file that ends in {', '.join(ENDINGS)}, or UGACH's list/ and feature/, in {path}, got {_names_in(path)}")
    containers = [open_container(file) for file in files]
    complete = [found for c in containers if (found := _parted(c.path, c) or _in_one_file(c.path, c)) is not None]
    if len(complete) == 1:
        return complete[0]
    sets = {_stem(c.path): c for c in containers if _roles(c)}
    if not complete and len(sets) == 1:
        return _side_by_side(path, next(iter(sets.values())), whole_folder=True)
    listing = "\n  ".join(c.listing() for c in containers)
    problem = "more than one set; name the file" if complete or sets else "no known variant"
    raise InputError(f"path: expected one set in {path}, got {problem}. Found:\n  {listing}")


def _candidates(folder: Path) -> list[Path]:
    """The files of a folder that may be in circulation; hidden ones are left alone."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file())


def _parted(path: Path, container: Container) -> Recognised | None:
    keys = set(container.entries)
    for variant, parts in PARTED.items():
        if not keys & {key for roles in parts.values() for key in roles.values()}:
            continue
        present = {part: roles for part, roles in parts.items() if keys & set(roles.values())}
        needed = set(present) | {"te"} | ({"tr"} if variant == "tr/te" else {"db"})
        missing = sorted({key for part in needed for key in parts[part].values()} - keys)
        hint = "; the makers' raw_features.mat has its labels in two .list files: load('wikipedia:FOLDER')" if missing == ["L_te", "L_tr"] else ""
        wanted = ", ".join(key for part in sorted(needed) for key in parts[part].values())
        check(not missing, f"path: expected the keys {wanted} in {path}, {', '.join(missing)} missing{hint}. Found: {container.listing()}")
        words = [key for roles in present.values() for key in roles.values() if container.entries[key].kind == "text"]
        check(not words, f"path: expected numbers for {', '.join(words)} in {path}, got texts. Found: {container.listing()}")
        pieces, items = {}, {}
        for part, roles in present.items():
            items[part], pieces[part] = in_order({role: (container, container.entries[key]) for role, key in roles.items()})
        _check_widths(pieces, container)
        shown = "pictures" if len(next(iter(pieces.values()))["images"].shape) == 4 else "features"
        return Recognised(
            path,
            f"{shown}, texts and labels with their own split, keys as in {'wikiData.mat' if variant == 'tr/te' else 'iapr-tc12-rand.mat'}",
            pieces,
            items,
        )
    return None


def _in_one_file(path: Path, container: Container) -> Recognised | None:
    roles = _roles(container)
    if not {"texts", "labels"} <= set(roles) or not {"images", "paths"} & set(roles):
        return None
    return _whole(path, {role: (container, entry) for role, entry in roles.items()}, "in one file")


def _side_by_side(path: Path, container: Container, *, whole_folder: bool = False) -> Recognised:
    """A set whose images, texts and labels are in files of one stem, of which `container` is one."""
    own = _roles(container)
    check(
        own or whole_folder,
        f"path: expected one of the keys {', '.join(key for keys in ROLES.values() for key in keys)}, or those of a set with its own split "
        f"({', '.join(_KEYS)}; VDatabase, ...). Found: {container.listing()}",
    )
    folder, stem = container.path.parent, _stem(container.path)
    others = [file for file in _candidates(folder) if file != container.path and _stem(file) == stem]
    containers = ([] if whole_folder else [container]) + [open_container(file) for file in others]
    if whole_folder:
        containers = sorted([container, *containers], key=lambda c: c.path)
    found: dict[str, list[tuple[Container, Entry]]] = defaultdict(list)
    for candidate in containers:
        for role, entry in _roles(candidate).items():
            if candidate is container or role not in own or whole_folder:
                found[role].append((candidate, entry))
    if "images" in found and "paths" in found:
        del found["paths"]
    listing = "\n  ".join(c.listing() for c in containers)
    needed = ["texts", "labels", "paths" if "paths" in found else "images"]
    missing = [role for role in needed if role not in found]
    check(
        not missing,
        f"path: expected {', '.join(missing)} too (keys {', '.join(key for role in missing for key in ROLES[role])}), in {container.path.name} or in "
        f"a file beside it with the same beginning. Found:\n  {listing}",
    )
    double = [role for role in needed if len(found[role]) > 1]
    check(not double, f"path: expected one file with {', '.join(double)}, got several; name the one to use as the path. Found:\n  {listing}")
    return _whole(path, {role: found[role][0] for role in needed}, "in files side by side")


def _whole(path: Path, roles: dict[str, tuple[Container, Entry]], where: str) -> Recognised:
    n, pieces = in_order(roles)
    if "paths" in roles:
        shown = "paths of pictures"
    else:
        shown = "pictures" if len(pieces["images"].shape) == 4 else "features"
    return Recognised(path, f"{shown}, texts and labels {where}", {"all": pieces}, {"all": n})


def _roles(container: Container) -> dict[str, Entry]:
    found = {}
    for role, keys in ROLES.items():
        named = [key for key in keys if key in container.entries]
        check(len(named) < 2, f"path: expected one key for {role}, got {', '.join(named)}. Found: {container.listing()}")
        if named:
            found[role] = container.entries[named[0]]
    return found


def _stem(path: Path) -> str:
    """What files of one set have in common. index.mat, caption.mat and label.mat are one set."""
    name = path.name.lower()
    if name in ("index.mat", "caption.mat", "label.mat"):
        return "index"
    match = _STEM.match(name)
    return match["stem"] if match else name


def _names_in(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    return (", ".join(names[:8]) + (" and more" if len(names) > 8 else "")) or "an empty folder"


def _check_widths(parts: dict[str, dict[str, Piece]], container: Container) -> None:
    for role in ("images", "texts"):
        widths = {part: pieces[role].shape[1:] for part, pieces in parts.items()}
        check(len(set(widths.values())) == 1, f"path: expected {role} of one width in all parts, got {widths}. Found: {container.listing()}")


def binary_labels(parts: Sequence[np.ndarray], where: str) -> list[np.ndarray]:
    """Labels as uint8 0/1, shape (n, c), for each part of a set.

    parts: 0/1 or -1/1, shape (n, c); or class numbers from 1, shape (n, 1), the same classes in all parts. where: what the message says.
    """
    widths = {part.shape[1] for part in parts}
    check(len(widths) == 1, f"path: expected labels of one width in all parts, got {sorted(widths)} for {where}")
    values = np.unique(np.concatenate([np.unique(part) for part in parts]))
    if set(values.tolist()) <= {-1, 1} or set(values.tolist()) <= {0, 1}:
        if not (widths == {1} and values.min() == 1):
            return [(part > 0).astype(np.uint8) for part in parts]
    numbers = widths == {1} and values.min() >= 1 and (values == values.round()).all()
    check(
        numbers, f"path: expected labels as 0/1, as -1/1, or as one column of class numbers from 1, got the values {values[:6].tolist()} for {where}"
    )
    check(values.max() <= 10000, f"path: expected class numbers from 1 to 10,000, got {values.max():.0f} for {where}")
    classes = int(values.max())
    return [np.eye(classes, dtype=np.uint8)[part[:, 0].astype(int) - 1] for part in parts]


# Loading.


def load_mat(
    path: str | Path,
    *,
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    repeated: str = "error",
    pictures_in: str | Path | None = None,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    words: int = 1000,
    show_progress: bool = True,
) -> PairedData:
    """A file in circulation, or a folder of them, as pairs. `recognise` says which there are; what it recognised is in `details["recognised"]`.

    A file with its own split keeps it: test is query, database is retrieval (or training, where there is no database). Training pairs that are
    in the database stay there; others are added to the retrieval set. Any other file is split by its benchmark's protocol, drawn once from `seed`.
    query, train: how many pairs, or which share, instead of the protocol's. own_pair: True leaves queries in the retrieval set.
    standardise: z-score features and text vectors with the training part's mean and deviation. Without it, values stay as they are.
    repeated: "error", "drop" or "keep" for queries of a file with its own split that are found again, with the same content, in its retrieval set.
    features: what pictures go through for methods that read features: "efficientnet-lite0" (the extra `photos`), "scenenet" (for drawings), or
    None (for methods that read pictures themselves). It stays with the data as `data.backbone`; features in the file are taken as they are.
    pictures_in, resolution, words: for `index.mat`: the folder of the pictures, their side R in pixels, and the size of the captions' vocabulary.
    Errors: `InputError`, see `recognise`; for an option out of range; and for content that is not what the variant has.
    """
    return load_file(
        path,
        None,
        query=query,
        train=train,
        seed=seed,
        own_pair=own_pair,
        standardise=standardise,
        repeated=repeated,
        pictures_in=pictures_in,
        resolution=resolution,
        features=features,
        words=words,
        show_progress=show_progress,
    )


@dataclass
class _Content:
    """What was read. texts or vectors, and images or paths; `parts` holds positions for a set with its own split.

    whole_training: the set has a database and no training part.
    """

    images: Any
    vectors: np.ndarray | None
    texts: list[str] | None
    labels: np.ndarray
    parts: dict[str, np.ndarray] | None = None
    notes: list[str] = field(default_factory=list)
    whole_training: bool = False


def load_file(
    path: str | Path,
    benchmark: str | None,
    *,
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    repeated: str = "error",
    pictures_in: str | Path | None = None,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    words: int = 1000,
    show_progress: bool = True,
) -> PairedData:
    """As `load_mat`, for a file that must belong to `benchmark`, a name of `PROTOCOLS`, or to any for None."""
    one_of("repeated", repeated, ("error", "drop", "keep"))
    found = recognise(path)
    if show_progress:
        print(found)
    shown = not isinstance(found, TextLists) and any("paths" in p or len(p["images"].entry.shape) == 4 for p in found.parts.values())
    if shown:
        check_features(features)
    if isinstance(found, TextLists):
        content = _read_lists(found.path, repeated, show_progress)
    elif "all" in found.parts:
        content = _read_whole(found, pictures_in, resolution, show_progress)
    else:
        content = _read_parted(found, repeated, show_progress)
    n, width = content.labels.shape
    if benchmark is not None:
        wanted = PROTOCOLS[benchmark].labels
        looks = next((name for name, p in PROTOCOLS.items() if p.labels == width), None)
        check(width == wanted, f"path: expected {wanted} labels, as {benchmark} has, got {width} in {path}" + (f"; that is {looks}" if looks else ""))
    name = benchmark or recognised_protocol(n, width, None if content.vectors is None else content.vectors.shape[1])
    protocol = PROTOCOLS.get(name or "")
    if content.parts is None:
        drawn_query = query if query is not None else protocol.query if protocol else UNKNOWN_QUERY
        drawn_train = train if train is not None else protocol.train if protocol else UNKNOWN_TRAIN
        parts = fixed_split(name or Path(path).stem, np.arange(n), query=drawn_query, train=drawn_train, seed=seed, own_pair=own_pair)
        content.notes.append(f"split drawn from seed {seed}: {protocol.source if protocol else 'one tenth query, the rest retrieval and training'}")
    else:
        check(query is None, f"query: expected none, since {path} has its own queries")
        check(train is None or content.whole_training, f"train: expected none, since {path} has its own training part")
        check(not own_pair, f"own_pair: expected False, since {path} has its own split")
        parts = content.parts
        wanted_train = train if train is not None else protocol.train if protocol else None
        if content.whole_training and wanted_train is not None:
            searched = parts["retrieval"]
            parts = parts | {"train": searched[fixed_training(name or Path(path).stem, searched, train=wanted_train, seed=seed)]}
            content.notes.append(f"training pairs drawn from the database with seed {seed}")
    vocabulary, vectors = None, content.vectors
    if vectors is None:
        assert content.texts is not None
        vocabulary = Vocabulary.build([content.texts[i] for i in parts["train"]], words)
        vectors = vocabulary.bag_of_words(content.texts)
    images = content.images
    if standardise:
        vectors = standardised(vectors, parts["train"])
        images = standardised(images, parts["train"]) if images.ndim == 2 else images
    return PairedData(
        name=name or Path(path).stem,
        images=images,
        text_vectors=vectors,
        parts=parts,
        labels=content.labels,
        texts=content.texts,
        label_names=WIKIPEDIA_TOPICS if name == "wikipedia" else (),
        vocabulary=vocabulary,
        own_pair=own_pair,
        backbone=features if shown else "scenenet",
        details={"recognised": str(found), "notes": content.notes, "seed": seed},
    )


def check_features(features: str | None) -> None:
    """Errors: `InputError` for a backbone that is unknown or whose weights are not installed. None is fine: pictures stay pictures."""
    if features is None:
        return
    from cmhkit.nn.features import BACKBONES

    known = ", ".join(map(repr, BACKBONES))
    check(isinstance(features, str) and features in BACKBONES, f"features: expected one of {known}, or None, got {features!r}")
    if features == "efficientnet-lite0":
        from cmhkit.nn.photos import weights_file

        try:
            weights_file()
        except InputError as error:
            raise InputError(f"features: {error}; or pass features='scenenet' or None") from error


def standardised(vectors: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Vectors less the training part's mean, over its deviation, float32. A column that never changes there is only shifted."""
    mean = vectors[train].mean(axis=0, dtype=np.float64)
    deviation = vectors[train].std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return ((vectors - mean) / deviation).astype(np.float32)


def _images_of(piece: Piece, show_progress: bool) -> np.ndarray | LargePictures:
    return pictures(piece, show_progress) if len(piece.entry.shape) == 4 else matrix(piece, show_progress)


def _where(piece: Piece) -> str:
    return f"{piece.entry.key} in {piece.container.path}"


def _read_whole(found: Recognised, pictures_in: str | Path | None, resolution: int, show_progress: bool) -> _Content:
    pieces = found.parts["all"]
    labels = binary_labels([matrix(pieces["labels"])], _where(pieces["labels"]))[0]
    text = pieces["texts"]
    texts = strings(text) if text.entry.kind == "text" else None
    vectors = None if texts is not None else matrix(text, show_progress)
    if "images" in pieces:
        images: Any = _images_of(pieces["images"], show_progress)
    else:
        base = Path(pictures_in) if pictures_in is not None else pieces["paths"].container.path.parent
        named = strings(pieces["paths"])
        images = resized_pictures(base.name, picture_paths(named, base), resolution, show_progress)
    counts = {"images": len(images), "texts": len(texts if texts is not None else vectors), "labels": len(labels)}
    check(len(set(counts.values())) == 1, f"path: expected as many pictures as texts and labels, got {counts} in {found.path}")
    return _Content(images, vectors, texts, labels)


def picture_paths(named: Sequence[str], folder: Path) -> list[Path]:
    """Where pictures lie that a file names by a path of another machine: the longest end of the path that exists in `folder`.

    Errors: `InputError` with how many are missing and the first.
    """
    check(folder.is_dir(), f"pictures_in: expected the folder of the pictures, got {folder}, which is not there")
    found, missing, depth = [], [], None
    for name in named:
        steps = [step for step in re.split(r"[\\/]+", name.strip()) if step not in ("", ".", "..")]
        depths = [*([depth] if depth is not None else []), *range(len(steps), 0, -1)]
        place = next(((d, p) for d in depths if d <= len(steps) and (p := folder.joinpath(*steps[-d:])).is_file()), None)
        if place is None:
            missing.append(name)
        else:
            depth = place[0]
            found.append(place[1])
    check(
        not missing,
        f"pictures_in: expected the {len(named):,} pictures that the file names in {folder}, {len(missing):,} are missing, "
        f"the first {missing[0] if missing else ''!r}; pass pictures_in=",
    )
    return found


def _read_parted(found: Recognised, repeated: str, show_progress: bool) -> _Content:
    order = [part for part in ("db", "tr", "te") if part in found.parts]
    images = {part: _images_of(found.parts[part]["images"], show_progress) for part in order}
    vectors = {part: matrix(found.parts[part]["texts"], show_progress) for part in order}
    labels = dict(zip(order, binary_labels([matrix(found.parts[p]["labels"]) for p in order], f"the labels in {found.path}"), strict=True))
    return _with_own_split(images, vectors, labels, found.path, repeated, None, show_progress)


def _with_own_split(
    images: dict[str, Any],
    vectors: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    path: Path,
    repeated: str,
    names: dict[str, list[str]] | None,
    show_progress: bool,
) -> _Content:
    """Join the parts of a set with its own split. A training pair that is in the database, by name or by content, is one pair."""
    sizes = {part: len(x) for part, x in images.items()}
    total = sum(sizes.values())
    marks = {}
    with progress(total, "Comparing the parts", show_progress and total > 5000) as step:
        for part in images:
            marks[part] = list(names[part]) if names else _marks(images[part], vectors[part], labels[part], step)
    notes: list[str] = []
    if "db" in images:
        train_rows, extra = _places(marks.get("tr"), marks["db"], sizes["db"])
    else:
        train_rows, extra = np.arange(sizes["tr"]), np.zeros(0, dtype=np.int64)
    base = "db" if "db" in images else "tr"
    if "tr" in images and base == "db":
        notes.append(
            f"{sizes['tr'] - len(extra):,} of {sizes['tr']:,} training pairs are in the database; {len(extra):,} are added to the retrieval set"
        )
    searched = set(marks[base]) | set(marks.get("tr", []))
    leaked = np.array([mark in searched for mark in marks["te"]])
    if leaked.any():
        what = f"{int(leaked.sum()):,} of {len(leaked):,} queries of {path} are in its retrieval or training set too, with the same content"
        check(repeated != "error", f"path: {what}; pass repeated='drop' to leave these queries out, or repeated='keep'")
        notes.append(f"{what}: {'left out' if repeated == 'drop' else 'kept'}")
        check(repeated == "keep" or not leaked.all(), f"path: {what}, so that none is left")
    test = np.flatnonzero(~leaked) if repeated == "drop" else np.arange(sizes["te"])

    def joined(by_part: dict[str, Any]) -> Any:
        pieces = [by_part[base]] + ([_rows(by_part["tr"], extra)] if len(extra) else []) + [_rows(by_part["te"], test)]
        if any(isinstance(piece, LargePictures) for piece in pieces):
            check(all(isinstance(piece, LargePictures) for piece in pieces), f"path: expected all pictures of {path} in one kind of file")
            return LargePictures(JoinedPictures([_Readable(piece) for piece in pieces]))
        return np.concatenate(pieces)

    searchable = sizes[base] + len(extra)
    parts = {"query": np.arange(searchable, searchable + len(test)), "retrieval": np.arange(searchable), "train": np.sort(train_rows)}
    return _Content(joined(images), joined(vectors), None, joined(labels), parts, notes, whole_training="tr" not in images)


def _rows(values: Any, rows: np.ndarray) -> Any:
    return values.part(rows) if isinstance(values, LargePictures) else values[rows]


class _Readable:
    """`LargePictures` as a source of others."""

    def __init__(self, images: LargePictures) -> None:
        self.images, self.shape = images, images.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.images[start:stop]


def _marks(images: Any, vectors: np.ndarray, labels: np.ndarray, step: Any) -> list[bytes]:
    """A checksum of the content of each pair."""
    marks = []
    for image, vector, label in zip(images, vectors, labels, strict=True):
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
        digest.update(vector.data)
        digest.update(label.data)
        marks.append(digest.digest())
        step()
    return marks


def _places(wanted: list[Any] | None, among: list[Any], size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each training pair its position in the retrieval set, and the training pairs that are not in the database and follow it."""
    if wanted is None:
        return np.arange(size), np.zeros(0, dtype=np.int64)
    free: dict[Any, list[int]] = defaultdict(list)
    for position, mark in enumerate(among):
        free[mark].append(position)
    taken: Counter[Any] = Counter()
    rows, extra = [], []
    for i, mark in enumerate(wanted):
        if taken[mark] < len(free.get(mark, [])):
            rows.append(free[mark][taken[mark]])
            taken[mark] += 1
        else:
            rows.append(size + len(extra))
            extra.append(i)
    return np.array(rows, dtype=np.int64), np.array(extra, dtype=np.int64)


# UGACH's text lists.

_LIST_PARTS = {"tr": "train", "te": "test", "db": "database"}


def _list_files(path: Path) -> dict[str, dict[str, Path]]:
    """`list/{train,test,database}_{img,txt,label}.txt` and `feature/..._{img,txt}.txt`. The validation lists are a sample and are not read."""
    files = {
        part: {
            "names": path / "list" / f"{word}_img.txt",
            "labels": path / "list" / f"{word}_label.txt",
            "images": path / "feature" / f"{word}_img.txt",
            "texts": path / "feature" / f"{word}_txt.txt",
        }
        for part, word in _LIST_PARTS.items()
    }
    missing = [str(file.relative_to(path)) for by_role in files.values() for file in by_role.values() if not file.is_file()]
    check(not missing, f"path: expected UGACH's lists in {path}, {', '.join(missing)} missing. Found: {_tree(path)}")
    return files


def _read_lists(path: Path, repeated: str, show_progress: bool) -> _Content:
    files = _list_files(path)
    names, images, vectors, labels = {}, {}, {}, {}
    with progress(3 * len(files), "Reading text lists", show_progress) as step:
        for part, by_role in files.items():
            names[part] = _lines(by_role["names"])
            for role, into in (("images", images), ("texts", vectors), ("labels", labels)):
                into[part] = _floats(by_role[role])
                step()
            counts = {"list": len(names[part]), "images": len(images[part]), "texts": len(vectors[part]), "labels": len(labels[part])}
            check(
                len(set(counts.values())) == 1, f"path: expected as many pictures as texts and labels in {path}, got {counts} for {_LIST_PARTS[part]}"
            )
            double = [name for name, count in Counter(names[part]).items() if count > 1]
            check(not double, f"path: expected different pictures in {by_role['names']}, got {double[:1]} more than once")
    for role, found in (("images", images), ("texts", vectors)):
        widths = {_LIST_PARTS[part]: x.shape[1] for part, x in found.items()}
        check(len(set(widths.values())) == 1, f"path: expected {role} of one width in {path}, got {widths}")
    order = ["db", "tr", "te"]
    by_part = dict(zip(order, binary_labels([labels[p] for p in order], f"the label lists in {path}"), strict=True))
    return _with_own_split(
        {p: images[p] for p in order}, {p: vectors[p] for p in order}, by_part, path, repeated, {p: names[p] for p in order}, show_progress
    )


def _tree(path: Path) -> str:
    return ", ".join(f"{folder}/{p.name}" for folder in ("list", "feature") for p in sorted((path / folder).iterdir())) or "nothing"


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"path: expected a text file, got {file} ({error})") from error


def _floats(file: Path) -> np.ndarray:
    """Numbers separated by blanks, one item a line, float32."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which the check below names
            found = np.loadtxt(file, dtype=np.float32, ndmin=2, comments=None, encoding="utf-8")
    except ValueError as error:
        raise InputError(f"path: expected numbers separated by blanks, as many in every line, in {file} ({error})") from error
    check(found.size > 0, f"path: expected at least one line of numbers in {file}, got none")
    check(np.isfinite(found).all(), f"path: expected finite numbers in {file}, got NaN or infinity")
    return found


# The Wikipedia file.


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
