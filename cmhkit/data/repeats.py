"""One rule against leaks: equal pictures stand on one side of a split, and what is nearly equal is counted.

A picture may occur in several pairs: with five captions, or as its own copy. A query whose picture is in the retrieval
set or the training set too measures memory, not retrieval. A split that is drawn here keeps the pairs of a picture
together (`groups`). A split that comes with the data stays as it is, and the report says what leaks (`Repeats`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit import codes
from cmhkit.data import cache
from cmhkit.data.large import LargePictures
from cmhkit.data.pictures import BARS
from cmhkit.support.checks import check, some
from cmhkit.support.progress import Step, progress

#: Pictures are nearly equal up to this many differing bits of 64, and up to this mean difference of colours (of 255) of
#: their 8 × 8 thumbnails. Copies of 100 parts of photographs at half the size, or as JPEG of quality 50, differed by 0
#: to 2 bits, brighter ones by 0 to 4, ones cut by a fiftieth by 4 in the median; of 44,850 pairs of scenes none is.
NEAR_BITS, NEAR_COLOUR = 8, 24
# A picture is plain, and looks like every other plain one, if the greys of its thumbnail deviate less.
_PLAIN = 4
_THUMBNAIL = 8
# Of the cache's files.
_FORMAT = 1
# Queries that are compared at once.
_AT_ONCE = 256


def digests(*columns: Any, step: Step | None = None) -> list[bytes]:
    """A checksum of the content of each row: rows with the same bytes in all columns have the same.

    columns: arrays, shape (n, ...), `LargePictures`, or lists of texts. step: called after each row.
    """
    marks = []
    for row in zip(*map(_each, columns), strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for part in row:
            if isinstance(part, str):
                content = part.encode("utf-8", "surrogatepass")
                digest.update(len(content).to_bytes(8, "big") + content)
            else:
                part = np.ascontiguousarray(part)
                digest.update((part + 0 if part.dtype.kind == "f" else part).data)  # -0 is 0
        marks.append(digest.digest())
        if step is not None:
            step()
    return marks


def _each(rows: Any) -> Iterable[Any]:
    """The rows one by one: `LargePictures` give a block of them when they are gone through."""
    return (rows[i] for i in range(len(rows))) if isinstance(rows, LargePictures) else rows


def groups(*keys: Sequence[Hashable]) -> np.ndarray:
    """For each row the first row of its group, int64, shape (n,). Rows that share a key are in one group.

    keys: one or more lists with a key for each row, such as the checksum of a file and that of the picture in it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(keys[0])
    same: list[int] = []
    for keys_of_rows in keys:
        first: dict[Hashable, int] = {}
        same += [first.setdefault(key, row) for row, key in enumerate(keys_of_rows)]
    rows = np.tile(np.arange(n), len(keys))
    links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, np.array(same))), shape=(n, n))
    _, number = connected_components(links, directed=False)
    _, start, place = np.unique(number, return_index=True, return_inverse=True)
    return start[place].astype(np.int64)


def shared(marks: Sequence[bytes], group: np.ndarray) -> list[bytes]:
    """The least checksum of each row's group: rows of one group share it, and a row alone keeps its own."""
    least: dict[int, bytes] = {}
    for first, mark in zip(group.tolist(), marks, strict=True):
        least[first] = min(mark, least.get(first, mark))
    return [least[first] for first in group.tolist()]


def kept_together(order: np.ndarray, group: np.ndarray, allowed: np.ndarray, most: int) -> np.ndarray:
    """The first rows of an order, as many as fit, so that no group is cut.

    order: all rows, shape (n,). group: the group of each row. allowed: bool, which rows may be taken; a group with
    another is passed over. most: how many rows, reached unless groups are too large; where none fits, the first group
    is taken whole. Returns rows in their order.
    """
    every = np.bincount(group, weights=allowed, minlength=len(group)) == np.bincount(group, minlength=len(group))
    size = np.bincount(group, minlength=len(group))
    _, first = np.unique(group[order], return_index=True)
    candidates = [g for g in group[order[np.sort(first)]] if every[g] and size[g] < len(group)]
    check(
        candidates, "query: expected a picture that occurs among the pairs that queries are drawn from alone, got none"
    )
    taken, room = [], most
    for g in candidates:
        if size[g] <= room:
            taken.append(g)
            room -= size[g]
    return order[np.isin(group[order], taken or candidates[:1])]


class LeakWarning(UserWarning):
    """Queries of a split that came with the data are among its other pairs too."""


@dataclass(frozen=True)
class Repeats:
    """What a set has of equal and nearly equal pictures.

    queries: how many there are. pictures, pairs: how many pictures occur in several pairs, and in how many; texts: how
    many of these pictures have different texts. several: the first pair of each. equal, near: for each query whose
    picture, or nearly its picture, is searched or learned from, the query and one such pair. near is None where nobody
    looked: `without` says why, empty for features.
    """

    queries: int
    pairs: int
    texts: int
    several: tuple[int, ...]
    equal: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...] | None
    without: str = ""

    def lines(self, name: Callable[[int], str] = "pair {}".format) -> list[str]:
        """What there is to say, a line each. name: of a pair."""
        said = []
        if self.several:
            occur = "picture occurs" if len(self.several) == 1 else "pictures occur"
            what = f"{len(self.several):,} {occur} in several pairs, {self.pairs:,} in all"
            others = f", {self.texts:,} of them with different texts" if self.texts else ""
            said.append(f"{what}{others}: {some([name(i) for i in self.several])}")
        for pairs, what in ((self.equal, "the same picture"), (self.near or (), "nearly the same picture")):
            if pairs:
                listed = some([f"{name(query)} ({name(other)})" for query, other in pairs])
                have = "queries has" if len(pairs) == 1 else "queries have"
                many = f"{len(pairs):,} of {self.queries:,} {have} {what} among the pairs that are searched"
                said.append(f"{many} or learned from: {listed}")
        return [*said, self.without] if self.without else said

    def warn(self, what: str, name: Callable[[int], str] = "pair {}".format) -> None:
        """Emit a `LeakWarning` where a picture of a query is among the other pairs too. what: the set."""
        if self.equal:
            warnings.warn(f"{what}: {'; '.join(self.lines(name))}", LeakWarning, stacklevel=3)


def repeats(
    images: Any,
    marks: Sequence[bytes],
    texts: Sequence[Hashable],
    parts: Mapping[str, np.ndarray],
    group: np.ndarray,
    show_progress: bool = True,
) -> Repeats:
    """Which pictures of a set are equal or nearly so, and which of these are on both sides of its split.

    images: pictures, shape (n, H, W, 3), or features, shape (n, d). marks: `digests` of them. texts: a text of each
    pair, or its checksum. parts: as those of `PairedData`; a query that is in the retrieval set itself is not compared
    with itself. group: see `groups`.
    Nearly equal pictures have perceptual hashes that differ little, and similar colours. The hash: signs of a picture's
    64 lowest frequencies, as ImageHash's `phash` has it (Zauner, Implementation and Benchmarking of Perceptual Image
    Hash Functions, 2010).
    """
    queries = np.asarray(parts["query"])
    others = np.setdiff1d(np.union1d(parts["retrieval"], parts["train"]), queries)
    size = np.bincount(group, minlength=len(group))
    several = np.flatnonzero((size > 1) & (group == np.arange(len(group))))
    held: dict[int, set[Hashable]] = {int(g): set() for g in several}
    for row in np.flatnonzero(size[group] > 1):
        held[int(group[row])].add(texts[row])
    there = dict(zip(group[others].tolist(), others.tolist(), strict=True))
    equal = tuple((int(q), there[g]) for q, g in zip(queries, group[queries].tolist(), strict=True) if g in there)
    without, near = "", None
    if images.ndim == 4 and find_spec("imagehash") is None:
        without = (
            "nearly equal pictures were not looked for: pip install 'cmhkit[photos]' brings ImageHash, which finds them"
        )
    elif images.ndim == 4:
        left = np.setdiff1d(queries, [query for query, _ in equal])
        near = _near(*_looks(images, marks, show_progress), left, others)
    return Repeats(
        len(queries), int(size[several].sum()), sum(len(own) > 1 for own in held.values()), tuple(several.tolist()),
        equal, near, without,
    )  # fmt: skip


def _looks(images: Any, marks: Sequence[bytes], show_progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """The perceptual hash of each picture, packed, uint8, shape (n, 8), and its thumbnail, uint8, shape (n, 8, 8, 3);
    kept in the cache folder.
    """
    import imagehash
    import PIL
    from PIL import Image

    first = {mark: row for row, mark in reversed(list(enumerate(marks)))}
    place = {mark: number for number, mark in enumerate(first)}
    key = {
        **{"what": "looks of pictures", "format": _FORMAT, "pillow": PIL.__version__},
        **{"imagehash": imagehash.__version__, "pictures": hashlib.sha256(b"".join(first)).hexdigest()},
    }

    def build(folder: Path) -> None:
        hashes = np.empty((len(first), 8), dtype=np.uint8)
        thumbnails = np.empty((len(first), _THUMBNAIL, _THUMBNAIL, 3), dtype=np.uint8)
        with progress(len(first), "Looking for nearly equal pictures", show_progress and len(first) > 500) as step:
            for number, row in enumerate(first.values()):
                image = Image.fromarray(_without_bars(np.asarray(images[row])))
                hashes[number] = np.packbits(imagehash.phash(image).hash.ravel())
                thumbnails[number] = np.asarray(image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX))
                step()
        np.save(folder / "hashes.npy", hashes)
        np.save(folder / "thumbnails.npy", thumbnails)

    folder, rows = cache.checked_folder("looks", key, build), [place[mark] for mark in marks]
    return np.load(folder / "hashes.npy")[rows], np.load(folder / "thumbnails.npy")[rows]


def _without_bars(picture: np.ndarray) -> np.ndarray:
    """A picture without the bars of a letterbox."""
    inside = (picture != np.array(BARS, dtype=np.uint8)).any(axis=2)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else picture


def _near(
    hashes: np.ndarray, thumbnails: np.ndarray, queries: np.ndarray, others: np.ndarray
) -> tuple[tuple[int, int], ...]:
    """Each query that looks nearly like one of the others, with the one that is nearest."""
    structured = thumbnails.mean(axis=3).std(axis=(1, 2)) >= _PLAIN
    queries, others = queries[structured[queries]], others[structured[others]]
    found = []
    for rows in codes.slices(len(queries) if len(others) else 0, _AT_ONCE):
        distance = codes.hamming(hashes[queries[rows]], hashes[others])
        for row in np.flatnonzero(distance.min(axis=1) <= NEAR_BITS):
            query, places = queries[rows][row], np.flatnonzero(distance[row] <= NEAR_BITS)
            colours = thumbnails[others[places]].astype(np.float32) - thumbnails[query]
            alike = places[np.abs(colours).mean(axis=(1, 2, 3)) <= NEAR_COLOUR]
            if len(alike):
                found.append((int(query), int(others[alike[distance[row, alike].argmin()]])))
    return tuple(found)
