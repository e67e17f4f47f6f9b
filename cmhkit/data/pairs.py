"""Pictures and texts that belong together, with labels and a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cmhkit.data.large import LargePictures, as_bytes, rows_of
from cmhkit.data.sentences import TEXT_FEATURES, WIDTH
from cmhkit.data.text import Vocabulary, checked_texts
from cmhkit.support.checks import InputError, as_array, check, check_choice

PARTS = ("query", "retrieval", "train")


@dataclass(frozen=True)
class SceneTruth:
    """What is known of the making of scenes.

    owner: uint8, shape (n, R, R); 0 where the background shows, j where the j-th drawing shows (1 to 3).
    drawings: int32, shape (n, 3); the numbers of the drawings in a scene, -1 where there is none.
    names: the name of each drawing. concepts: int32, the concept of each drawing.
    """

    owner: np.ndarray
    drawings: np.ndarray
    names: tuple[str, ...]
    concepts: np.ndarray

    def masks(self, i: int) -> np.ndarray:
        """The visible part of each drawing of scene i, bool, shape (drawings in it, R, R)."""
        count = int((self.drawings[i] >= 0).sum())
        return np.stack([self.owner[i] == j + 1 for j in range(count)])

    def take(self, index: np.ndarray) -> SceneTruth:
        """The truth of some scenes only."""
        return replace(self, owner=self.owner[index], drawings=self.drawings[index])


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: query, retrieval or train.

    index: the positions of its pairs in the whole set, int64, shape (n,). whole: the whole set. The properties are
    those of `PairedData` at these positions. Each is copied out of the whole set when it is first asked for, so that a
    split that nobody looks at costs nothing.
    """

    name: str
    index: np.ndarray
    whole: PairedData = field(repr=False)

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"Split({self.name}: {len(self):,} pairs)"

    @cached_property
    def ids(self) -> np.ndarray:
        """int64, shape (n,)."""
        return self.whole.ids[self.index]

    @cached_property
    def images(self) -> np.ndarray | LargePictures:
        """Pictures, uint8, shape (n, R, R, 3), or features, float32, shape (n, d). `LargePictures` stay unread."""
        return rows_of(self.whole.images, self.index)

    @cached_property
    def texts(self) -> list[str] | None:
        """The texts themselves, if they are known."""
        return None if self.whole.texts is None else [self.whole.texts[i] for i in self.index]

    @cached_property
    def text_vectors(self) -> np.ndarray:
        """float32, shape (n, t)."""
        return self.whole.text_vectors[self.index]

    @cached_property
    def labels(self) -> np.ndarray | None:
        """uint8 0/1, shape (n, c), or None."""
        return None if self.whole.labels is None else self.whole.labels[self.index]

    @cached_property
    def truth(self) -> SceneTruth | None:
        """What is known of the making of these scenes, or None."""
        return None if self.whole.truth is None else self.whole.truth.take(self.index)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words of the bag of words, or None."""
        return self.whole.vocabulary

    @property
    def backbone(self) -> str | None:
        """What the pictures go through for methods that read features, or None."""
        return self.whole.backbone

    @property
    def text_features(self) -> str:
        """What strings become for a method, one of `cmhkit.data.sentences.TEXT_FEATURES`."""
        return self.whole.text_features


@dataclass(frozen=True)
class PairedData:
    """Pictures paired with texts.

    images: pictures, uint8, shape (n, R, R, 3), or image features, float32, shape (n, d). `LargePictures` stay in their
    file. text_vectors: float32, shape (n, t), a bag of words or other text features. texts: the texts themselves, if
    they are known.
    labels: uint8 0/1, shape (n, c), or None. ids: int64, shape (n,), all different.
    parts: positions of the pairs of "query", "retrieval" and "train"; train lies inside retrieval, and no training pair
    is a query. own_pair: True if the protocol leaves each query's own pair in the retrieval set.
    details: how the data were made, for caches and credits.
    backbone: what the pictures go through for methods that read features, one of `cmhkit.data.features.BACKBONES`, or
    None: such methods refuse them. text_features: what strings become, one of `cmhkit.data.sentences.TEXT_FEATURES`:
    "bag", the bag of words of `vocabulary`, if there is one; or "minilm", `sentence_vectors`, as text_vectors then are.
    report: what the reader says of the files, if it says anything; it prints.
    """

    name: str
    images: np.ndarray | LargePictures
    text_vectors: np.ndarray
    parts: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    texts: list[str] | None = None
    label_names: tuple[str, ...] = ()
    ids: np.ndarray = None  # type: ignore[assignment]
    vocabulary: Vocabulary | None = None
    truth: SceneTruth | None = None
    own_pair: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    backbone: str | None = "scenenet"
    report: Any = None
    text_features: str = "bag"

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", checked_images(self.images))
        n = len(self.images)
        object.__setattr__(self, "text_vectors", checked_vectors(self.text_vectors, "text_vectors"))
        check(n > 0, "images: expected at least one pair, got none")
        texts = len(self.text_vectors)
        check(texts == n, f"text_vectors: expected one text a picture, {n} in all, got {texts}")
        check_choice("text_features", self.text_features, TEXT_FEATURES)
        width = self.text_vectors.shape[1]
        wide = self.text_features == "bag" or width == WIDTH
        check(wide, f"text_vectors: expected {WIDTH} columns, since text_features is 'minilm', got {width}")
        if self.texts is not None:
            texts = checked_texts(self.texts)
            check(len(texts) == n, f"texts: expected one text a picture, {n} in all, got {len(texts)}")
            object.__setattr__(self, "texts", texts)
        ids = np.arange(n, dtype=np.int64) if self.ids is None else as_array(self.ids, "ids")
        check(
            ids.ndim == 1 and ids.dtype.kind in "iu",
            f"ids: expected whole numbers, shape ({n},), got {ids.dtype} with shape {ids.shape}",
        )
        different = len(np.unique(ids))
        check(
            len(ids) == n and different == n,
            f"ids: expected {n} different ids, got {different} different of {len(ids)}",
        )
        object.__setattr__(self, "ids", ids.astype(np.int64))
        if self.labels is not None:
            labels = checked_labels(self.labels)
            check(len(labels) == n, f"labels: expected one row a pair, {n} in all, got {len(labels)}")
            check(
                not self.label_names or len(self.label_names) == labels.shape[1],
                f"label_names: expected {labels.shape[1]} names, one a column of labels, got {len(self.label_names)}",
            )
            object.__setattr__(self, "labels", labels)
        self._check_parts(n)

    def _check_parts(self, n: int) -> None:
        known = ", ".join(PARTS)
        kind = type(self.parts).__name__
        check(isinstance(self.parts, Mapping), f"parts: expected a dictionary with the keys {known}, got {kind}")
        keys = ", ".join(map(str, self.parts))
        check(set(self.parts) == set(PARTS), f"parts: expected the keys {known}, got {keys}")
        for name in PARTS:
            part, argument = as_array(self.parts[name], f"parts[{name!r}]"), f"parts[{name!r}]"
            check(part.size > 0, f"{argument}: expected at least one pair, got none")
            check(
                part.ndim == 1 and part.dtype.kind in "iu",
                f"{argument}: expected positions, 1-D integers, got {part.dtype} with shape {part.shape}",
            )
            low, high = part.min(), part.max()
            check(0 <= low and high < n, f"{argument}: expected positions from 0 to {n - 1}, got {low} to {high}")
            check(len(np.unique(part)) == len(part), f"{argument}: expected each pair once, got some twice")
        query, retrieval, train = (np.asarray(self.parts[name]) for name in PARTS)
        shared = np.intersect1d(query, train)
        check(
            len(shared) == 0,
            f"parts: a training pair is in the query set ({len(shared)} of them, the first at position {shared[:1]})",
        )
        check(np.isin(train, retrieval).all(), "parts: expected the training pairs inside the retrieval set")
        own = len(np.intersect1d(query, retrieval))
        check(
            self.own_pair or own == 0,
            f"parts: {own} queries have their own pair in the retrieval set; "
            "pass own_pair=True if the protocol says so",
        )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(self.parts[name]):,}" for name in PARTS)
        labels = "no labels" if self.labels is None else f"{self.labels.shape[1]} labels"
        shapes = f"images {self.images.shape[1:]}; text {self.text_vectors.shape[1]}"
        return f"PairedData({self.name}: {len(self):,} pairs; {sizes}; {shapes}; {labels})"

    @property
    def query(self) -> Split:
        """The pairs that ask."""
        return self.part("query")

    @property
    def retrieval(self) -> Split:
        """The pairs that are searched."""
        return self.part("retrieval")

    @property
    def train(self) -> Split:
        """The pairs that a method learns from, a part of the retrieval set."""
        return self.part("train")

    def part(self, name: str) -> Split:
        """One part of the set by name."""
        check_choice("name", name, PARTS)
        return self.take(self.parts[name], name)

    def take(self, index: Sequence[int] | np.ndarray, name: str = "some") -> Split:
        """The pairs at these positions, from 0. Errors: `InputError` for a position outside the set."""
        index = as_array(index, "index")
        check(
            index.ndim == 1 and (index.dtype.kind in "iu" or not index.size),
            f"index: expected positions, 1-D integers, got {index.dtype}",
        )
        index = index.astype(np.int64)
        outside = index[(index < 0) | (index >= len(self))]
        check(not outside.size, f"index: expected positions from 0 to {len(self) - 1}, got {outside[:1]}")
        return Split(name, index, self)

    def without_labels(self) -> PairedData:
        """The same pairs with the labels removed: what an unsupervised method may see."""
        return replace(self, labels=None, label_names=())


def checked_images(images: np.ndarray | LargePictures) -> np.ndarray | LargePictures:
    """Pictures as uint8 (n, H, W, 3) or features as float32 (n, d); anything else is an `InputError`. `LargePictures`
    come back unread.
    """
    if isinstance(images, LargePictures):
        return images
    images = as_array(images, "images")
    if images.ndim == 4 and images.shape[-1] == 3:
        return as_bytes(images, "images")
    check(images.ndim == 2, f"images: expected pictures (n, H, W, 3) or features (n, d), got shape {images.shape}")
    return checked_vectors(images, "images")


def checked_vectors(vectors: np.ndarray, argument: str) -> np.ndarray:
    """Vectors as float32, shape (n, d), without NaN or infinity."""
    vectors = as_array(vectors, argument)
    check(vectors.dtype.kind in "biuf", f"{argument}: expected numbers, got {vectors.dtype}")
    check(
        vectors.ndim == 2 and vectors.shape[1] > 0, f"{argument}: expected a matrix (n, d), got shape {vectors.shape}"
    )
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        where = f"in {bad.sum()} rows, the first at {int(bad.argmax())}"
        raise InputError(f"{argument}: expected finite numbers, got NaN or infinity {where}")
    return vectors


def checked_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as uint8 0/1, shape (n, c). Labels of -1/1 become 0/1."""
    labels = as_array(labels, "labels")
    check(
        labels.ndim == 2 and labels.shape[1] > 0, f"labels: expected a matrix (n, c) of 0/1, got shape {labels.shape}"
    )
    check(labels.dtype.kind in "biuf", f"labels: expected 0/1 or -1/1, got {labels.dtype}")
    values = np.unique(labels)
    if set(values.tolist()) <= {0, 1}:
        return labels.astype(np.uint8)
    check(set(values.tolist()) <= {-1, 1}, f"labels: expected 0/1 or -1/1, got the values {values[:6].tolist()}")
    return (labels > 0).astype(np.uint8)
