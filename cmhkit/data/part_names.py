"""Names of the parts of a split, as people write them in columns, files and folders."""

from __future__ import annotations

import re
from typing import Any

#: What each name stands for.
PART_NAMES = {
    "train": ("train", "training", "trn", "restval", "trainval"),
    "val": ("val", "valid", "validation", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    "query": ("query", "queries", "probe"),
    "retrieval": ("retrieval", "database", "db", "gallery"),
}
_PART = {name: part for part, names in PART_NAMES.items() for name in names}
_WHOLE = re.compile(
    rf"({'|'.join(sorted(_PART, key=len, reverse=True))})[ _-]*(?:set|split|data|images|imgs|part)?"
    r"[ _-]*(?:20\d\d)?"
)


def part_of(value: Any) -> str | None:
    """The part that a name stands for, one of `PART_NAMES`, or None: "Train", "val2017" and "test_set" are some."""
    match = _WHOLE.fullmatch(str(value).strip().casefold())
    return _PART[match[1]] if match else None


def part_in(name: str) -> str | None:
    """The part that a file's name speaks of, such as captions_train2014.json or Flickr_8k.devImages.txt, or None.

    A folder above the file counts where the name itself says nothing.
    """
    *folders, file = name.split("/")
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", file.partition(".")[0] + "." + file.rpartition(".")[0])
    parts = {_PART[word.casefold()] for word in words if word.casefold() in _PART}
    if not parts:
        parts = {part for folder in folders[-1:] if (part := part_of(folder))}
    return parts.pop() if len(parts) == 1 else None
