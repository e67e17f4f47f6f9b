"""The files in circulation: one row a kind. To add a file, add a row to `FILES`; the reader and the tests take it from there.

A reader believes nothing but keys, shapes, types and container: the same name, even the same key, can hold pixels or features. So
keys say what a file is, and sizes say which axis is which (`containers.in_order`). The other columns say how a kind circulates; the
tests write a small file of every row in each of its containers, axis orders and label forms, and read it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

V5, V73, HDF5, TEXT = "MATLAB v5", "MATLAB v7.3 (HDF5)", "HDF5", "text"
ENDINGS = (".mat", ".h5py", ".hdf5", ".h5")
#: The parts of a set, and what messages call them.
PARTS = {"all": "all", "tr": "training", "te": "test", "db": "database"}
WIKIPEDIA_TOPICS = tuple("art biology geography history literature media music royalty sport warfare".split())

# Letters of an axis order, as SciPy or h5py shows the array: n items, d values, h w c of a picture.
#: By container: the usual order of a matrix, and all orders of pictures. h5py shows MATLAB's arrays with reversed axes.
ORDERS = {
    V5: ("nd", ("hwcn", "nhwc", "nchw")),
    V73: ("dn", ("ncwh", "hwcn", "cwhn")),
    HDF5: ("nd", ("ncwh", "hwcn", "nhwc")),
}


@dataclass(frozen=True)
class FieldFile:
    """A kind of file in circulation.

    names: what such files are called; messages use the first. holds: the benchmarks they are made of, names of `PROTOCOLS`, which say the
    source.
    keys: what a key holds, by part ("all"; or "tr", "te", "db" for a set with its own split) and role ("images", or "paths" of pictures;
    "texts"; "labels"). For text lists, files below the folder. optional: parts that may lack: without "db", "tr" is searched; without "tr",
    training pairs are drawn from "db". Test pairs are the queries.
    images: the containers it circulates in, and how the images' axes lie there. labels: "0/1", "-1/1", "classes" (numbers from 1).
    beside: matches the names of files that make one set side by side; its group `stem` is what they share.
    """

    names: tuple[str, ...]
    keys: dict[str, dict[str, str]]
    images: dict[str, tuple[str, ...]]
    holds: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("0/1",)
    optional: tuple[str, ...] = ()
    beside: str = ""


def _keys(texts: str, labels: str, **images: str) -> dict[str, dict[str, str]]:
    return {"all": images | {"texts": texts, "labels": labels}}


_IN_THREE = r"(?P<stem>.+?)[-_.](iall|xall|yall|lall)\b.*"

FILES = (
    FieldFile(
        names=("FLICKR-25K.mat",),
        keys=_keys(images="images", texts="YAll", labels="LAll"),
        images={V5: ("nd",), V73: ("ncwh",)},  # features, or pixels under the same name and key
        holds=("mirflickr",),
    ),
    FieldFile(
        names=("NUS-WIDE-TC21.mat",),
        keys=_keys(images="image", texts="text", labels="label"),
        images={V5: ("nd",)},
        labels=("0/1", "-1/1"),
        holds=("nuswide-tc21",),
    ),
    FieldFile(
        names=("mirflickr25k-iall.mat", "mirflickr25k-yall.mat", "mirflickr25k-lall.mat"),
        keys=_keys(images="IAll", texts="YAll", labels="LAll"),
        images={V73: ("ncwh",)},
        beside=_IN_THREE,
        holds=("mirflickr",),
    ),
    FieldFile(
        names=("nus-wide-tc10-xall-vgg.mat", "mirflickr25k-iall-vgg.mat"),
        keys=_keys(images="XAll", texts="YAll", labels="LAll"),
        images={V5: ("nd",), V73: ("dn",)},
        beside=_IN_THREE,
        holds=("nuswide-tc10", "mirflickr"),
    ),
    FieldFile(
        names=("MSCOCO_deep_doc2vec_data_rand.h5py",),
        keys=_keys(images="XAll", texts="YAll", labels="LAll"),
        images={HDF5: ("nd",)},
        holds=("coco",),
    ),
    FieldFile(
        names=("index.mat", "caption.mat", "label.mat"),
        keys=_keys(paths="index", texts="caption", labels="category"),
        images={V5: (), V73: ()},
        beside=r"(index|caption|label)\.mat",
    ),
    FieldFile(
        names=("wikiData.mat", "mir_cnn.mat", "raw_mir.mat", "raw_nus.mat", "raw_coco.mat"),
        keys={part: {"images": f"I_{part}", "texts": f"T_{part}", "labels": f"L_{part}"} for part in ("tr", "te", "db")},
        optional=("db",),
        images={V5: ("nd",), V73: ("dn", "hwcn"), HDF5: ("nd",)},
        labels=("0/1", "classes"),
        holds=("wikipedia", "mirflickr", "nuswide-tc10", "coco"),
    ),
    FieldFile(
        names=("iapr-tc12-rand.mat",),
        keys={
            "db": {"images": "VDatabase", "texts": "YDatabase", "labels": "databaseL"},
            "te": {"images": "VTest", "texts": "YTest", "labels": "testL"},
        },
        images={V5: ("nd",)},
        holds=("iapr",),
    ),
    FieldFile(
        names=("UGACH's text lists",),  # the validation lists are a sample of others and are not read
        keys={
            part: {
                "paths": f"list/{word}_img.txt",
                "labels": f"list/{word}_label.txt",
                "images": f"feature/{word}_img.txt",
                "texts": f"feature/{word}_txt.txt",
            }
            for part, word in (("tr", "train"), ("te", "test"), ("db", "database"))
        },
        images={TEXT: ("nd",)},
        holds=("mirflickr", "nuswide-tc10"),
    ),
)
LISTS = next(row for row in FILES if TEXT in row.images)
#: Sets that come with their own split.
PARTED = tuple(row for row in FILES if "all" not in row.keys and row is not LISTS)
#: The keys that Wikipedia's file and its kin must have.
OWN_SPLIT = tuple(key for part in ("tr", "te") for key in PARTED[0].keys[part].values())
#: What a key holds, for sets in one piece: the keys of all rows, since files of several rows combine. A set has one key of each role.
ROLES: dict[str, tuple[str, ...]] = {
    role: tuple(dict.fromkeys(row.keys["all"][role] for row in FILES if role in row.keys.get("all", {})))
    for role in ("images", "paths", "texts", "labels")
}


def stem(path: Path) -> str:
    """What the names of the files of one set share; for a file that has no others beside it, its name."""
    name = path.name.lower()
    for row in FILES:
        if row.beside and (match := re.fullmatch(row.beside, name, re.DOTALL)):
            return match.groupdict().get("stem") or row.names[0]
    return name
