"""The benchmarks as their makers publish them: folders of pictures, tags, captions and labels. Nothing is downloaded.

Each reader takes the makers' folder, or a file in circulation of the same benchmark (`matfiles`), and gives pairs with the papers' protocol
(`protocols`). Pictures are resized one at a time into the cache folder and stay there. `layouts` says what belongs to a folder.
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data.containers import V73, Piece, matrix, open_container
from cmhkit.data.large import resized_pictures
from cmhkit.data.layouts import IAPR_LABELS_PAGE, LAYOUTS, MIRFLICKR_PAGE, NUSWIDE_PAGE, Layout, is_raw
from cmhkit.data.matfiles import WIKIPEDIA_TOPICS, binary_labels, check_features, load_file, recognise, standardised
from cmhkit.data.matfiles import load_wikipedia as _load_wikidata
from cmhkit.data.pairs import PairedData
from cmhkit.data.protocols import MIRFLICKR_ALL, PROTOCOLS, BenchmarkProtocol, fixed_split
from cmhkit.data.text import Vocabulary
from cmhkit.errors import InputError, check, one_of, whole
from cmhkit.progress import progress

log = logging.getLogger("cmhkit")

#: MIRFlickr's 24 labels; the stricter ones, of files that end in `_r1`, are left out.
MIRFLICKR_LABELS = tuple(
    "animals baby bird car clouds dog female flower food indoor lake male night people plant_life portrait river sea sky structures sunset "
    "transport tree water".split()
)
# A NUS-WIDE tag vector and a COCO text have this many words, if not told otherwise. The second is our choice: no paper says its size.
_NUSWIDE_WORDS, _COCO_WORDS = 1000, 2000


# What the readers share.


@dataclass(frozen=True)
class _Options:
    """The options that all readers share, checked before anything is read."""

    resolution: int
    features: str | None
    query: int | float | None
    train: int | float | None
    seed: int
    own_pair: bool
    standardise: bool
    show_progress: bool

    def __post_init__(self) -> None:
        whole("resolution", self.resolution, 16, 1024)
        whole("seed", self.seed, 0)


def _places(layout: Layout, path: Path, options: _Options) -> dict[str, Path]:
    """The parts of a makers' folder, all there."""
    places = layout.required(path)
    check_features(options.features)
    return places


@dataclass
class _Pairs:
    """What a reader of a folder found, before the split. files: one picture a pair. tags: one text a pair."""

    name: str
    protocol: BenchmarkProtocol
    files: list[Path]
    texts: list[str]
    labels: np.ndarray
    label_names: tuple[str, ...]
    ids: np.ndarray
    bag: np.ndarray | None = None
    vocabulary: Vocabulary | None = None
    query_from: np.ndarray | None = None


def _finished(pairs: _Pairs, path: Path, options: _Options, words: int = 0) -> PairedData:
    """Pairs with their split, their bag of words and their pictures. words: size of the vocabulary, for pairs without a bag of words."""
    protocol = pairs.protocol
    parts = fixed_split(
        pairs.name,
        pairs.ids,
        query=protocol.query if options.query is None else options.query,
        train=protocol.train if options.train is None else options.train,
        seed=options.seed,
        query_from=pairs.query_from,
        own_pair=options.own_pair,
    )
    vocabulary, bag = pairs.vocabulary, pairs.bag
    if bag is None:
        with progress(2, "Counting words", options.show_progress) as step:
            vocabulary = Vocabulary.build([pairs.texts[i] for i in parts["train"]], words)
            step()
            bag = vocabulary.bag_of_words(pairs.texts)
            step()
    if options.standardise:
        bag = standardised(bag, parts["train"])
    return PairedData(
        name=pairs.name,
        images=resized_pictures(pairs.name, pairs.files, options.resolution, options.show_progress),
        text_vectors=bag,
        parts=parts,
        labels=pairs.labels,
        texts=pairs.texts,
        label_names=pairs.label_names,
        ids=pairs.ids,
        vocabulary=vocabulary,
        own_pair=options.own_pair,
        backbone=options.features,
        details={
            "path": str(path),
            "protocol": protocol.title,
            "source": protocol.source,
            "seed": options.seed,
            "resolution": int(options.resolution),
        },
    )


def _text(file: Path, encoding: str = "utf-8-sig") -> str:
    try:
        return file.read_text(encoding=encoding)
    except OSError as error:
        raise InputError(f"path: expected the file {file}, which cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"path: expected a text file, got {file} ({error})") from error


def _told_size(pairs: _Pairs, complete: bool) -> None:
    if complete and len(pairs.ids) != pairs.protocol.pairs:
        log.warning("%s: the papers have %s pairs, this folder gives %s", pairs.protocol.title, f"{pairs.protocol.pairs:,}", f"{len(pairs.ids):,}")


def _missing_files(files: Sequence[Path], missing: str, what: str) -> np.ndarray:
    """Which files are there, bool. Errors: `InputError` if some are not, unless they are to be skipped, and if none is there."""
    there = np.array([file.is_file() for file in files], dtype=bool)
    lacking = [str(file) for file, found in zip(files, there, strict=True) if not found]
    check(
        missing == "skip" or not lacking,
        f"path: expected {len(files):,} pictures of {what}, {len(lacking):,} are missing, the first {lacking[0] if lacking else ''}; "
        "pass missing='skip' to leave their pairs out",
    )
    check(there.any(), f"path: expected pictures of {what}, got none of {len(files):,}, the first {lacking[0] if lacking else ''}")
    if lacking:
        log.warning("%s: %s of %s pairs are left out, since their pictures are missing", what, f"{len(lacking):,}", f"{len(files):,}")
    return there


def _check_missing(missing: str) -> None:
    one_of("missing", missing, ("error", "skip"))


# MIRFlickr-25K.


def load_mirflickr(
    path: str | Path,
    *,
    subset: str | None = None,
    least: int = 20,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """MIRFlickr-25K: photos from Flickr with their tags, 24 labels.

    path: the makers' folder (`mirflickr/` with pictures and `meta/tags/`, beside it `mirflickr25k_annotations_v080/`), or a file in circulation.
    subset: "20015", pairs with at least one label and one tag of those that at least `least` pictures have (DCMH's set: 2,000 queries, 10,000 to
    train); or "all" (UGACH's: 5 % queries, the rest is retrieval and training). None is "20015"; a file in circulation is its own subset.
    Texts are the tags; the bag of words holds 0/1 for the tags that at least `least` pictures have (1,386 with 20), the commonest first.
    resolution, features, query, train, seed, own_pair, standardise: as for `matfiles.load_mat`.
    Errors: `InputError` for what is missing, with its makers' page, and for content that is not the benchmark's.
    Source: Huiskes and Lew, MIR 2008; Jiang and Li, CVPR 2017.
    """
    path = Path(path)
    layout = LAYOUTS["mirflickr"]
    options = _Options(resolution, features, query, train, seed, own_pair, standardise, show_progress)
    if not is_raw(layout, path):
        check(subset is None, f"subset: expected none for a file in circulation, got {subset!r}")
        return load_file(path, "mirflickr", **asdict(options))
    check(subset in (None, "20015", "all"), f"subset: expected one of 20015, all, got {subset!r}")
    whole("least", least, 1)
    places = _places(layout, path, options)
    pictures, tags = places["pictures"].parent, places["tags"].parent
    numbers = sorted(int(m[1]) for p in pictures.iterdir() if (m := re.fullmatch(r"im(\d+)\.jpg", p.name)))
    texts: list[list[str]] = []
    with progress(len(numbers), "Reading tags", show_progress) as step:
        for number in numbers:
            lines = _text(tags / f"tags{number}.txt").splitlines()
            texts.append(list(dict.fromkeys(tag for line in lines if (tag := line.strip().lower()))))
            step()
    bag, vocabulary = _bag_of_tags(texts, least)
    labels = _mirflickr_labels(places["labels"].parent, numbers)
    everything = subset == "all"
    kept = np.arange(len(numbers)) if everything else np.flatnonzero(bag.any(axis=1) & labels.any(axis=1))
    check(len(kept) > 0, f"path: expected pictures with a label and a tag in {path}, got none of {len(numbers):,}")
    pairs = _Pairs(
        name="mirflickr" if not everything else "mirflickr/all",
        protocol=MIRFLICKR_ALL if everything else PROTOCOLS["mirflickr"],
        files=[pictures / f"im{numbers[i]}.jpg" for i in kept],
        texts=[" ".join(texts[i]) for i in kept],
        labels=labels[kept],
        label_names=MIRFLICKR_LABELS,
        ids=np.array(numbers, dtype=np.int64)[kept],
        bag=bag[kept],
        vocabulary=vocabulary,
    )
    _told_size(pairs, len(numbers) == MIRFLICKR_ALL.pairs)
    return _finished(pairs, path, options)


def _bag_of_tags(texts: Sequence[Sequence[str]], least: int) -> tuple[np.ndarray, Vocabulary]:
    """0/1 for the tags that at least `least` texts hold, float32, the commonest first."""
    counts = Counter(tag for tags in texts for tag in tags)
    words = sorted((tag for tag, count in counts.items() if count >= least), key=lambda tag: (-counts[tag], tag))
    check(words, f"least: expected a tag that at least {least} pictures have, got none among {len(counts):,} tags of {len(texts):,} pictures")
    column = {word: i for i, word in enumerate(words)}
    bag = np.zeros((len(texts), len(words)), dtype=np.float32)
    for row, tags in enumerate(texts):
        bag[row, [column[tag] for tag in tags if tag in column]] = 1
    return bag, Vocabulary(tuple(words))


def _mirflickr_labels(folder: Path, numbers: Sequence[int]) -> np.ndarray:
    missing = [name for name in MIRFLICKR_LABELS if not (folder / f"{name}.txt").is_file()]
    check(not missing, f"path: expected 24 files of labels in {folder}, {', '.join(f'{name}.txt' for name in missing)} missing ({MIRFLICKR_PAGE})")
    place = {number: row for row, number in enumerate(numbers)}
    labels = np.zeros((len(numbers), len(MIRFLICKR_LABELS)), dtype=np.uint8)
    for column, name in enumerate(MIRFLICKR_LABELS):
        for line in _text(folder / f"{name}.txt").split():
            check(
                line.isascii() and line.isdigit() and int(line) in place, f"path: expected numbers of pictures in {folder / name}.txt, got {line!r}"
            )
            labels[place[int(line)], column] = 1
    return labels


# NUS-WIDE.


def load_nuswide_tc10(
    path: str | Path,
    *,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    missing: str = "error",
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """NUS-WIDE with its 10 commonest labels: 1 % queries, the rest retrieval and training (UGACH). Else as `load_nuswide_tc21`."""
    options = _Options(resolution, features, query, train, seed, own_pair, standardise, show_progress)
    return _load_nuswide(path, "nuswide-tc10", missing, options)


def load_nuswide_tc21(
    path: str | Path,
    *,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    missing: str = "error",
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """NUS-WIDE with its 21 commonest labels: photos from Flickr with a bag of 1,000 tags; 2,100 queries, 10,500 to train.

    path: the makers' folder (`ImageList/`, `Groundtruth/AllLabels/`, `NUS_WID_Tags/`, pictures in `Flickr/`), or a file in circulation.
    Kept are pairs with at least one of the labels and one of the tags. The tag vectors are those of `AllTags1k.txt`, as DCMH has them; without
    that file they are made of `All_Tags.txt`, which differs in some rows.
    missing: "error", or "skip" to leave out pairs whose picture is not there: many copies of the set are incomplete.
    resolution, features, query, train, seed, own_pair, standardise: as for `matfiles.load_mat`. 195,834 pictures at 224 need 30 GB of cache.
    Errors: `InputError` for what is missing, with its makers' page, and for files whose lengths disagree.
    Source: Chua et al., CIVR 2009; Jiang and Li, CVPR 2017.
    """
    options = _Options(resolution, features, query, train, seed, own_pair, standardise, show_progress)
    return _load_nuswide(path, "nuswide-tc21", missing, options)


def _load_nuswide(given: str | Path, name: str, missing: str, options: _Options) -> PairedData:
    path, layout, protocol = Path(given), LAYOUTS["nuswide"], PROTOCOLS[name]
    _check_missing(missing)
    if not is_raw(layout, path):
        return load_file(path, name, **asdict(options))
    places = _places(layout, path, options)
    listed = [line.strip().replace("\\", "/") for line in _text(places["list"]).splitlines() if line.strip()]
    label_names, labels = _nuswide_labels(places, len(listed), protocol.labels, options.show_progress)
    words = tuple(_text(places["words"]).split())
    check(
        len(words) == len(set(words)) > 0,
        f"path: expected different tags in {places['words']}, got {len(words)}, {len(set(words))} of them different",
    )
    bag = _nuswide_tags(places, len(listed), words, options.show_progress)
    kept = np.flatnonzero(labels.any(axis=1) & bag.any(axis=1))
    check(len(kept) > 0, f"path: expected pairs with a label and a tag in {path}, got none of {len(listed):,}")
    files = [_nuswide_picture(places["pictures"], listed[i]) for i in kept]
    there = _missing_files(files, missing, protocol.title)
    kept, files = kept[there], [file for file, found in zip(files, there, strict=True) if found]
    pairs = _Pairs(
        name=name,
        protocol=protocol,
        files=files,
        texts=[" ".join(words[j] for j in np.flatnonzero(bag[i])) for i in kept],
        labels=labels[kept],
        label_names=label_names,
        ids=kept.astype(np.int64),
        bag=bag[kept].astype(np.float32),
        vocabulary=Vocabulary(words),
    )
    _told_size(pairs, len(listed) == 269648 and bool(there.all()))
    return _finished(pairs, path, options)


def _nuswide_picture(folder: Path, name: str) -> Path:
    """Where a picture of the list lies: in its concept's folder, or all pictures in one."""
    nested, flat = folder / name, folder / name.rsplit("/", 1)[-1]
    return flat if not nested.is_file() and flat.is_file() else nested


def _nuswide_labels(places: dict[str, Path], n: int, count: int, show_progress: bool) -> tuple[tuple[str, ...], np.ndarray]:
    """The `count` commonest concepts, in alphabetical order, and the labels, uint8, shape (n, count)."""
    folder = places["labels"]
    files = {m[1]: p for p in sorted(folder.iterdir()) if (m := re.fullmatch(r"Labels_(.+)\.txt", p.name))}
    if "concepts" in places:
        missing = [name for name in _text(places["concepts"]).split() if name not in files]
        check(
            not missing, f"path: expected Labels_{missing[0] if missing else ''}.txt in {folder}, as {places['concepts'].name} says ({NUSWIDE_PAGE})"
        )
    check(len(files) >= count, f"path: expected at least {count} files Labels_NAME.txt in {folder}, got {len(files)} ({NUSWIDE_PAGE})")
    columns: dict[str, np.ndarray] = {}
    with progress(len(files), "Reading labels", show_progress) as step:
        for name, file in files.items():
            values = _text(file).split()
            check(len(values) == n, f"path: expected {n:,} lines in {file}, one a picture of {places['list'].name}, got {len(values):,}")
            bad = next((value for value in values if value not in ("0", "1")), None)
            check(bad is None, f"path: expected 0 and 1 in {file}, got {bad!r}")
            columns[name] = np.array(values, dtype="U1") == "1"
            step()
    commonest = sorted(columns, key=lambda name: (-int(columns[name].sum()), name))[:count]
    names = tuple(sorted(commonest))
    return names, np.column_stack([columns[name] for name in names]).astype(np.uint8)


def _nuswide_tags(places: dict[str, Path], n: int, words: tuple[str, ...], show_progress: bool) -> np.ndarray:
    """Which of the words each pair has, uint8, shape (n, words)."""
    check(
        "tags" in places or "all tags" in places,
        f"path: expected NUS_WID_Tags/AllTags1k.txt or NUS_WID_Tags/All_Tags.txt, got none of them ({NUSWIDE_PAGE})",
    )
    bag = np.zeros((n, len(words)), dtype=np.uint8)
    file = places.get("tags") or places["all tags"]
    column = {word: i for i, word in enumerate(words)}
    row = 0
    with file.open("rb") as lines, progress(n, "Reading tags", show_progress) as step:
        for line in lines:
            if not line.strip():
                continue
            check(row < n, f"path: expected {n:,} lines in {file}, one a picture of {places['list'].name}, got more")
            if "tags" in places:
                digits = np.frombuffer(b"".join(line.split()), dtype=np.uint8)
                good = len(digits) == len(words) and bool(((digits == 48) | (digits == 49)).all())
                check(good, f"path: expected {len(words)} times 0 or 1 in line {row + 1} of {file}, got {line[:40]!r}")
                bag[row] = digits - 48
            else:
                tags = line.decode("utf-8", "replace").split()[1:]  # the first is the picture's number
                bag[row, [column[tag] for tag in tags if tag in column]] = 1
            row += 1
            step()
    check(row == n, f"path: expected {n:,} lines in {file}, one a picture of {places['list'].name}, got {row:,}")
    return bag


# MS COCO 2014.


def load_coco(
    path: str | Path,
    *,
    words: int = _COCO_WORDS,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    missing: str = "error",
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """MS COCO 2014: photos with five captions, joined to one text, and 80 labels; 5,000 queries from the validation part, 10,000 to train.

    path: the makers' folder (`annotations/` with captions and instances of train and val, `train2014/`, `val2014/`), or a file in circulation.
    Captions and labels are joined on the image's id. Pictures without a label are left out: nothing is relevant to them.
    words: size of the vocabulary, which is made of the training texts. missing: "error", or "skip" to leave out pairs without a picture.
    resolution, features, query, train, seed, own_pair, standardise: as for `matfiles.load_mat`. Reading the largest file takes 0.9 GB of memory.
    Errors: `InputError` for what is missing, with its makers' page, and for files that are not COCO's.
    Source: Lin et al., ECCV 2014; Li et al., CVPR 2018.
    """
    path, layout = Path(path), LAYOUTS["coco"]
    _check_missing(missing)
    whole("words", words, 1)
    options = _Options(resolution, features, query, train, seed, own_pair, standardise, show_progress)
    if not is_raw(layout, path):
        return load_file(path, "coco", words=words, **asdict(options))
    places = _places(layout, path, options)
    files: list[Path] = []
    ids: list[int] = []
    texts: list[str] = []
    held: list[set[int]] = []
    validation: list[bool] = []
    categories: dict[int, str] = {}
    with progress(4, "Reading captions and labels", show_progress) as step:
        for part in ("train", "val"):
            captions, label_file = places[f"captions {part}"], places[f"instances {part}"]
            told = _coco_file(captions, "caption")
            step()
            labelled = _coco_file(label_file, "category_id")
            step()
            names = {item["id"]: item["name"] for item in labelled["categories"]}
            check(not categories or categories == names, f"path: expected the same categories in train and val, got others in {label_file}")
            categories = names
            by_image: dict[int, list[str]] = defaultdict(list)
            for image, caption in told["annotations"]:
                by_image[image].append(" ".join(str(caption).split()))
            labels_of: dict[int, set[int]] = defaultdict(set)
            for image, category in labelled["annotations"]:
                check(category in names, f"path: expected categories of its own list in {label_file}, got {category!r}")
                labels_of[image].add(category)
            for image in sorted(told["images"], key=lambda item: item["id"]):
                number = image["id"]
                check(number in by_image, f"path: expected a caption of each picture in {captions}, got none of picture {number}")
                if number in labels_of:
                    ids.append(number)
                    files.append(places[f"pictures {part}"] / image["file_name"])
                    texts.append(" ".join(by_image[number]))
                    held.append(labels_of[number])
                    validation.append(part == "val")
    check(len(ids) > 0, f"path: expected pictures with captions and labels in {path}, got none: the files share no image id")
    order = sorted(categories)
    place = {category: column for column, category in enumerate(order)}
    labels = np.zeros((len(ids), len(order)), dtype=np.uint8)
    for row, found in enumerate(held):
        labels[row, [place[category] for category in found]] = 1
    there = _missing_files(files, missing, "MS COCO")
    rows = np.flatnonzero(there)
    pairs = _Pairs(
        name="coco",
        protocol=PROTOCOLS["coco"],
        files=[files[i] for i in rows],
        texts=[texts[i] for i in rows],
        labels=labels[rows],
        label_names=tuple(categories[c] for c in order),
        ids=np.array(ids, dtype=np.int64)[rows],
        query_from=np.array(validation)[rows],
    )
    return _finished(pairs, path, options, words)


def _coco_file(file: Path, wanted: str) -> dict[str, Any]:
    """images, annotations as (image id, wanted), and categories of a COCO file. Outlines, which fill most of it, are dropped while it is read."""

    def slim(item: dict[str, Any]) -> Any:
        return (item["image_id"], item[wanted]) if "image_id" in item and wanted in item else item

    try:
        with file.open(encoding="utf-8") as stream:
            found = json.load(stream, object_hook=slim)
    except (ValueError, RecursionError) as error:
        raise InputError(f"path: expected JSON in {file}, which cannot be read ({error})") from error
    keys = ("annotations",) + (("categories",) if wanted == "category_id" else ("images",))
    good = isinstance(found, dict) and all(isinstance(found.get(key), list) for key in keys)
    check(
        good, f"path: expected lists of {' and '.join(keys)} in {file}, got {', '.join(found) if isinstance(found, dict) else type(found).__name__}"
    )
    bad = next((item for item in found["annotations"] if not (isinstance(item, tuple) and isinstance(item[0], int))), None)
    check(bad is None, f"path: expected annotations with image_id and {wanted} in {file}, got {str(bad)[:80]}")
    for key, fields in {"images": ("id", "file_name"), "categories": ("id", "name")}.items():
        if key in keys:
            bad = next(
                (item for item in found[key] if not (isinstance(item, dict) and set(fields) <= set(item) and isinstance(item["id"], int))), None
            )
            check(bad is None, f"path: expected {key} with {' and '.join(fields)} in {file}, got {str(bad)[:80]}")
    return found


# IAPR TC-12.


def load_iapr(
    path: str | Path,
    *,
    words: int = 2912,
    resolution: int = 224,
    features: str | None = "efficientnet-lite0",
    missing: str = "error",
    query: int | float | None = None,
    train: int | float | None = None,
    seed: int = 0,
    own_pair: bool = False,
    standardise: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """IAPR TC-12: photos with an English description, and the labels of SAIAPR TC-12's regions (255); 2,000 queries, 10,000 to train.

    path: a folder with `images/NN/ID.jpg`, `annotations_complete_eng/NN/ID.eng` and `saiapr_tc-12/NN/labels.txt`, or a file in circulation.
    Kept are pictures with a description and a label. words: size of the vocabulary, which is made of the training texts (2,912 in the papers).
    missing: "error", or "skip" to leave out pairs without a picture. Others: as for `matfiles.load_mat`.
    Errors: `InputError` for what is missing, with its makers' page, and for content that is not the benchmark's.
    Source: Grubinger et al., OntoImage 2006; Escalante et al., CVIU 2010.
    """
    path, layout = Path(path), LAYOUTS["iapr"]
    _check_missing(missing)
    whole("words", words, 1)
    options = _Options(resolution, features, query, train, seed, own_pair, standardise, show_progress)
    if not is_raw(layout, path):
        return load_file(path, "iapr", words=words, **asdict(options))
    places = _places(layout, path, options)
    held = _iapr_labels(places["labels"])
    described = {int(p.stem): p for p in sorted(places["texts"].glob("*/*.eng")) if p.stem.isdigit()}
    both = sorted(held.keys() & described.keys())
    check(
        both, f"path: expected pictures with a description and a label in {path}, got {len(described):,} descriptions and {len(held):,} with labels"
    )
    files, texts = [], []
    with progress(len(both), "Reading descriptions", show_progress) as step:
        for number in both:
            text = _text(described[number], "latin-1")
            found = re.search(r"<DESCRIPTION>(.*?)</DESCRIPTION>", text, re.DOTALL | re.IGNORECASE)
            check(found is not None, f"path: expected <DESCRIPTION> in {described[number]}, got {text[:40]!r}")
            texts.append(" ".join(html.unescape(found[1]).split()))  # type: ignore[index]
            files.append(places["pictures"] / described[number].parent.name / f"{number}.jpg")
            step()
    order = sorted(set().union(*(held[number] for number in both)))
    place = {label: column for column, label in enumerate(order)}
    labels = np.zeros((len(both), len(order)), dtype=np.uint8)
    for row, number in enumerate(both):
        labels[row, [place[label] for label in held[number]]] = 1
    names = _iapr_names(places.get("names"))
    rows = np.flatnonzero(_missing_files(files, missing, "IAPR TC-12"))
    pairs = _Pairs(
        name="iapr",
        protocol=PROTOCOLS["iapr"],
        files=[files[i] for i in rows],
        texts=[texts[i] for i in rows],
        labels=labels[rows],
        label_names=tuple(names.get(label, f"label {label}") for label in order),
        ids=np.array(both, dtype=np.int64)[rows],
    )
    return _finished(pairs, path, options, words)


def _iapr_labels(folder: Path) -> dict[int, set[int]]:
    """The labels of each picture by number. Lines hold the number of the picture, of the region and of the label."""
    held: dict[int, set[int]] = defaultdict(set)
    files = sorted(folder.glob("*/labels.txt"))
    check(files, f"path: expected NN/labels.txt in {folder}, got none ({IAPR_LABELS_PAGE})")
    for file in files:
        for number, line in enumerate(_text(file, "latin-1").splitlines(), start=1):
            if line.strip():
                parts = line.split()
                good = len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts)
                check(good, f"path: expected the numbers of picture, region and label in line {number} of {file}, got {line[:40]!r}")
                held[int(parts[0])].add(int(parts[2]))
    return held


def _iapr_names(file: Path | None) -> dict[int, str]:
    """Names of labels: lines with a number and a name."""
    if file is None:
        return {}
    lines = [line.split(maxsplit=1) for line in _text(file, "latin-1").splitlines() if line.strip()]
    return {int(line[0]): line[1].strip() for line in lines if len(line) == 2 and line[0].isdigit()}


# Wikipedia.


def load_wikipedia(path: str | Path, *, standardise: bool = True, show_progress: bool = True) -> PairedData:
    """Wikipedia: 2,866 pairs of SIFT histograms and topics of a text, ten labels, one each; 693 queries, 2,173 to search and to learn from.

    path: the makers' folder (`raw_features.mat` and the lists `trainset_txt_img_cat.list` and `testset_txt_img_cat.list`), or `wikiData.mat`.
    standardise: z-score pictures and texts with the training part's mean and deviation (raw histograms do not train).
    Errors: `InputError` for what is missing, with its makers' page, and for lists that do not have a line a pair.
    Source: Rasiwasia et al., ACM MM 2010.
    """
    path, layout = Path(path), LAYOUTS["wikipedia"]
    if not is_raw(layout, path):
        if path.is_dir():
            found = recognise(path)
            path = found.path
        return _load_wikidata(path, standardise=standardise)
    places = layout.required(path)
    container = open_container(places["features"])
    keys = ("I_tr", "T_tr", "I_te", "T_te")
    missing = [key for key in keys if key not in container.entries]
    check(not missing, f"path: expected the keys {', '.join(keys)}, {', '.join(missing)} missing. Found: {container.listing()}")
    arrays = {}
    with progress(len(keys), "Reading features", show_progress) as step:
        for key in keys:
            entry = container.entries[key]
            check(entry.kind == "numbers" and len(entry.shape) == 2, f"path: expected {key} as a matrix of numbers. Found: {container.listing()}")
            arrays[key] = matrix(Piece(container, entry, (1, 0) if container.kind == V73 else (0, 1)))
            step()
    classes = {}
    for end, part in (("tr", "train"), ("te", "test")):
        classes[end] = _wikipedia_list(places[part])
        counts = {key: len(arrays[key]) for key in (f"I_{end}", f"T_{end}")} | {places[part].name: len(classes[end])}
        check(len(set(counts.values())) == 1, f"path: expected as many pictures as texts and labels in {path}, got {counts}")
    for key in ("I", "T"):
        widths = [arrays[f"{key}_{end}"].shape[1] for end in ("tr", "te")]
        check(widths[0] == widths[1], f"path: expected {key}_tr and {key}_te of the same width, got {widths}. Found: {container.listing()}")
    labels = np.concatenate(binary_labels([classes["tr"], classes["te"]], f"the lists in {path}"))
    n, m = len(classes["tr"]), len(classes["te"])
    train = np.arange(n)
    both = {key: np.concatenate([arrays[f"{key}_tr"], arrays[f"{key}_te"]]) for key in ("I", "T")}
    if standardise:
        both = {key: standardised(values, train) for key, values in both.items()}
    return PairedData(
        name="wikipedia",
        images=both["I"],
        text_vectors=both["T"],
        parts={"query": np.arange(n, n + m), "retrieval": train, "train": train},
        labels=labels,
        label_names=WIKIPEDIA_TOPICS if labels.shape[1] == len(WIKIPEDIA_TOPICS) else (),
        details={"path": str(path), "source": PROTOCOLS["wikipedia"].source},
    )


def _wikipedia_list(file: Path) -> np.ndarray:
    """The class numbers of a list, shape (n, 1). Lines hold the text's name, the picture's name and the class."""
    numbers = []
    for number, line in enumerate(_text(file, "latin-1").splitlines(), start=1):
        if line.strip():
            parts = line.split()
            good = len(parts) == 3 and parts[2].isascii() and parts[2].isdigit()
            check(good, f"path: expected text, picture and class number in line {number} of {file}, got {line[:60]!r}")
            numbers.append(int(parts[2]))
    check(numbers, f"path: expected at least one line in {file}, got none")
    return np.array(numbers, dtype=np.float32)[:, None]
