"""The files in circulation, a row a kind. To add one, add a row to `FILES`: the reader and the tests do the rest.

A reader believes nothing but keys, shapes, types and container: the same name, even the same key, can hold pixels or
features. So keys say what a file is, and sizes say which axis is which (`containers.in_order`). The other columns say
how a kind circulates: the tests write a small file of every row, in each of its containers, and read it again.
Keys of other files are read by the words that the field makes them of (`meaning`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmhkit.data.part_names import PART_NAMES, part_of

V5, V73, HDF5, TEXT = "MATLAB v5", "MATLAB v7.3 (HDF5)", "HDF5", "text"
ENDINGS = (".mat", ".h5py", ".hdf5", ".h5")
#: The usual axis order of a matrix and the orders of pictures, as SciPy or h5py shows them: n items, d values, h w c of
#: a picture. h5py shows MATLAB's arrays with reversed axes.
ORDERS = {
    V5: ("nd", ("hwcn", "nhwc", "nchw")),
    V73: ("dn", ("ncwh", "hwcn", "cwhn")),
    HDF5: ("nd", ("ncwh", "hwcn", "nhwc")),
}
#: The parts of a set, and what messages call them.
PARTS = {"all": "all", "tr": "training", "te": "test", "db": "database", "va": "validation"}
WIKIPEDIA_TOPICS = tuple("art biology geography history literature media music royalty sport warfare".split())

Keys = dict[str, dict[str, str]]


@dataclass(frozen=True)
class FieldFile:
    """A kind of file in circulation.

    names: what such files are called; messages use the first.
    keys: what a key holds, by part and role. Parts: "all"; or, for a set with its own split, "te" (the queries), "db"
    (the retrieval set) and "tr". Roles: "images" or "paths" of pictures, "texts", "labels". Text lists have files for
    keys.
    images: the containers it circulates in, and the axis orders of its images (or labels, without images) there.
    holds: the benchmarks it is made of, names of `protocols.PROTOCOLS`, which say the source.
    labels: "0/1", "-1/1", "classes" (a column of numbers from 1).
    optional: parts that may lack. Without "db", "tr" is searched; without "tr", training pairs are drawn from "db".
    beside: matches the names of files that make one set side by side; its group `stem` is what they share.
    """

    names: tuple[str, ...]
    keys: Keys
    images: dict[str, tuple[str, ...]]
    holds: tuple[str, ...]
    labels: tuple[str, ...] = ("0/1",)
    optional: tuple[str, ...] = ()
    beside: str = ""


def _keys(images: str, texts: str, labels: str, *parts: str, paths: str = "") -> Keys:
    """The keys of each part; {} in a key stands for the part."""
    roles = {"paths": paths, "images": images, "texts": texts, "labels": labels}
    return {part: {role: key.format(part) for role, key in roles.items() if key} for part in parts or ("all",)}


_IN_THREE = r"(?P<stem>.+?)[-_.](iall|xall|yall|lall)\b.*"
_LISTS = {"tr": "train", "te": "test", "db": "database"}  # the validation lists are a sample of others

FILES = (
    # Pictures under v7.3 and features under v5, with the same name and the same keys.
    FieldFile(("FLICKR-25K.mat",), _keys("images", "YAll", "LAll"), {V5: ("nd",), V73: ("ncwh",)}, ("mirflickr",)),
    FieldFile(
        ("NUS-WIDE-TC21.mat",),
        _keys("image", "text", "label"),
        {V5: ("nd",)},
        ("nuswide-tc21",),
        labels=("0/1", "-1/1"),
    ),
    FieldFile(
        ("mirflickr25k-iall.mat", "mirflickr25k-yall.mat", "mirflickr25k-lall.mat"),
        _keys("IAll", "YAll", "LAll"),
        {V73: ("ncwh",)},
        ("mirflickr",),
        beside=_IN_THREE,
    ),
    FieldFile(
        ("nus-wide-tc10-xall-vgg.mat", "nus-wide-tc10-yall.mat", "nus-wide-tc10-lall.mat", "mirflickr25k-iall-vgg.mat"),
        _keys("XAll", "YAll", "LAll"),
        {V5: ("nd",), V73: ("dn",)},
        ("nuswide-tc10", "mirflickr"),
        beside=_IN_THREE,
    ),
    FieldFile(("MSCOCO_deep_doc2vec_data_rand.h5py",), _keys("XAll", "YAll", "LAll"), {HDF5: ("nd",)}, ("coco",)),
    FieldFile(
        ("index.mat", "caption.mat", "label.mat"),
        _keys("", "caption", "category", paths="index"),
        {V5: ("nd",), V73: ("dn",)},
        ("mirflickr",),
        beside=r"(index|caption|label)\.mat",
    ),
    FieldFile(
        ("wikiData.mat", "mir_cnn.mat", "raw_mir.mat", "raw_nus.mat", "raw_coco.mat"),
        _keys("I_{}", "T_{}", "L_{}", "tr", "te", "db"),
        {V5: ("nd",), V73: ("dn", "hwcn"), HDF5: ("nd",)},
        ("wikipedia", "mirflickr", "nuswide-tc10", "coco"),
        labels=("0/1", "classes"),
        optional=("db",),
    ),
    FieldFile(
        ("iapr-tc12-rand.mat",),
        _keys("VDatabase", "YDatabase", "databaseL", "db") | _keys("VTest", "YTest", "testL", "te"),
        {V5: ("nd",)},
        ("iapr",),
    ),
    FieldFile(
        ("UGACH's text lists",),
        {
            part: {"paths": f"list/{word}_img.txt", "labels": f"list/{word}_label.txt"}
            | {"images": f"feature/{word}_img.txt", "texts": f"feature/{word}_txt.txt"}
            for part, word in _LISTS.items()
        },
        {TEXT: ("nd",)},
        ("mirflickr", "nuswide-tc10"),
    ),
)
LISTS = next(row for row in FILES if TEXT in row.images)
#: Sets that come with their own split.
PARTED = tuple(row for row in FILES if "all" not in row.keys and row is not LISTS)
#: The keys that Wikipedia's file and its kin must have.
OWN_SPLIT = tuple(key for part in ("tr", "te") for key in PARTED[0].keys[part].values())
#: What the keys of the rows hold: role and part.
_OF_ROWS = {
    key: (role, part)
    for row in FILES
    if row is not LISTS
    for part, roles in row.keys.items()
    for role, key in roles.items()
}
#: The keys of the rows for sets in one piece, by role: files of several rows combine.
ROLES: dict[str, tuple[str, ...]] = {
    role: tuple(key for key, held in _OF_ROWS.items() if held == (role, "all"))
    for role in ("images", "paths", "texts", "labels")
}


#: What people call the parts of a set, and what a key may hold where it is none of the rows' keys. A word may end in s.
PART_WORDS = {
    "all": ("", "all"),
    "tr": ("tr", *PART_NAMES["train"]),
    "te": ("te", *PART_NAMES["test"], *PART_NAMES["query"]),
    "db": ("db", *PART_NAMES["retrieval"]),
    "va": ("va", *PART_NAMES["val"]),
}
_ROLE_WORDS = {
    "images": ("i", "x", "v", "img", "image", "picture"),
    "paths": ("path", "file", "filename", "image_path", "img_path", "image_name", "img_name"),
    "texts": ("t", "y", "txt", "text", "tag", "caption", "sentence"),
    "labels": ("l", "lab", "label", "category", "target", "gnd"),
    "positions": ("", "index", "indexe", "indice", "idx", "ind", "id", "mask", "is"),
    "names": ("split", "subset", "partition", "set"),
}


def _either(words: Iterable[str]) -> str:
    return "|".join(f"{word}s?" if len(word) > 2 else word for word in sorted(words, key=len, reverse=True))


_MEANINGS = {
    (role, part): re.compile(rf"(?:{_either(words)})_?(?:{_either(parts)})|(?:{_either(parts)})_?(?:{_either(words)})")
    for role, words in _ROLE_WORDS.items()
    for part, parts in PART_WORDS.items()
    if (role != "positions" or part != "all") and (role != "names" or part == "all")
}


@dataclass(frozen=True)
class Meaning:
    """What a key says that it holds. role: as in `FieldFile`; or "positions" of a part's pairs, or "names", each pair's
    part. rank: 0 for a key of a row, 1 for a word, 2 for a mere letter or a part's name alone.
    """

    role: str
    part: str
    rank: int


def meaning(key: str) -> Meaning | None:
    """What a key holds by its name, such as IAll, train_labels, testL, param.indexQuery; None if it says nothing."""
    if key in _OF_ROWS:
        return Meaning(*_OF_ROWS[key], 0)
    nested, words = re.search(r"[./]", key), re.split(r"[./]", key)
    for name in ("_".join(words), words[-1]):
        name = re.sub(r"[-_ ]+", "_", name).strip("_").lower()
        for (role, part), pattern in _MEANINGS.items():
            if pattern.fullmatch(name):
                vague = len(name) == 1 or (role == "positions" and name.rstrip("s") in PART_WORDS[part])
                return None if nested and len(name) == 1 else Meaning(role, part, 2 if vague else 1)
    return None


def part_named(word: str) -> str | None:
    """The part that a word names, such as "train"; or None."""
    name = part_of(word) or word.strip().casefold()
    return next((part for part, words in PART_WORDS.items() if part != "all" and name in words), None)


def stem(path: Path) -> str:
    """What the names of the files of one set share; for a file that has no others beside it, its name."""
    name = path.name.lower()
    matches = ((row, re.fullmatch(row.beside, name, re.DOTALL)) for row in FILES if row.beside)
    return next((match.groupdict().get("stem") or row.names[0] for row, match in matches if match), name)
