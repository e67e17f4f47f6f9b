"""What a method reads of pictures and texts that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmhkit.data.pairs import Split, checked_images, checked_vectors
from cmhkit.data.sentences import sentence_vectors
from cmhkit.data.text import Vocabulary, in_order
from cmhkit.support.checks import check


@dataclass(frozen=True)
class Pictures:
    """What pictures go through before a method sees them.

    method: its name. reads: "scenenet" for cached features of the data's backbone; "features" for vectors, as they are;
    else the name of a network that the method trains, which reads pictures. kind: of SceneNet's features, one of
    `cmhkit.data.features.KINDS`. backbone: of the data, one of `cmhkit.data.features.BACKBONES`, or None.
    """

    method: str
    reads: str
    kind: str
    backbone: str | None

    @property
    def message(self) -> str:
        """How pictures enter, to be read; empty if they cannot."""
        from cmhkit.data.features import BACKBONES

        if self.reads != "scenenet":
            return f"pictures go through {self.reads}."
        if self.backbone not in BACKBONES:
            return ""
        kind = f" ({self.kind})" if self.backbone == "scenenet" else ""
        return f"pictures enter as cached {BACKBONES[self.backbone]} features{kind}."

    def remember(self, images: np.ndarray, show_progress: bool) -> None:
        """Compute what the pictures of a whole set enter as, once, before parts of it are asked for."""
        if images.ndim == 4 and self.backbone is not None and self.reads == "scenenet":
            from cmhkit.data.features import check_backbone, remember

            check_backbone(self.backbone, self.kind)
            remember(images, backbone=self.backbone, show_progress=show_progress)

    def read(self, images: np.ndarray, show_progress: bool) -> np.ndarray:
        """Pictures (n, H, W, 3) or vectors (n, d) as the method reads them. Errors: `InputError` for the other kind."""
        from cmhkit.data.features import image_features

        images = checked_images(images)
        if self.reads == "scenenet":
            check(
                images.ndim == 2 or self.backbone is not None,
                f"images: expected pictures with a backbone, since {self.method} reads features here, got a data set "
                "with backbone None; load it with features='efficientnet-lite0' or 'scenenet'",
            )
            backbone = self.backbone or "scenenet"
            return image_features(images, self.kind, backbone=backbone, show_progress=show_progress)
        since, shape = f"since backbone={self.reads!r}", f"got shape {images.shape}"
        if self.reads == "features":
            check(images.ndim == 2, f"images: expected feature vectors (n, d), {since}, {shape}")
        note = "; backbone='features' reads vectors" if self.kind != "map" else ""
        good = images.ndim == 4 or self.reads == "features"
        check(good, f"images: expected pictures (n, H, W, 3), {since} reads them, {shape}{note}")
        return images


def read_texts(texts: Any, vocabulary: Vocabulary | None, text_features: str = "bag") -> np.ndarray:
    """Text vectors, float32, shape (n, t), of a list of texts, of vectors, or of a `Split`.

    vocabulary, text_features: of the data that the method learned from. Errors: `InputError` for anything else.
    """
    if isinstance(texts, Split):
        return texts.text_vectors
    texts = in_order(texts)
    if isinstance(texts, np.ndarray) or not any(isinstance(text, str) for text in texts):
        return checked_vectors(texts, "texts")
    if text_features == "minilm":
        return sentence_vectors(texts, show_progress=False)
    since = "since this hasher was fitted on data without a vocabulary, got strings"
    check(vocabulary is not None, f"texts: expected text vectors (n, t), {since}")
    return vocabulary.bag_of_words(texts)


def scaling_statistics(images: np.ndarray, texts: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    """What `scaled` needs of the training set: nothing, or each column's mean and deviation where kind is "standard".

    images: float32, shape (n, d). texts: float32, shape (n, t). Returns "image_mean", "image_deviation" and the same of
    texts.
    """
    statistics = {}
    for side, x in (("image", images), ("text", texts)) if kind == "standard" else ():
        deviation = x.std(axis=0)
        statistics[f"{side}_mean"] = x.mean(axis=0)
        statistics[f"{side}_deviation"] = np.where(deviation > 0, deviation, 1).astype(np.float32)
    return statistics


def scaled(x: np.ndarray, kind: str, side: str = "", statistics: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """The vectors that a network reads, float32, by the option `input_scaling`; pictures stay as they are.

    x: shape (n, d). kind: "none"; "l2", to length 1, where a vector of zeros stays one; "standard", to z-scores of the
    training set. side, statistics: for the last, "image" or "text", and what `scaling_statistics` gave.
    """
    if x.ndim == 4:
        return x
    if kind == "standard":
        x = (x - statistics[f"{side}_mean"]) / statistics[f"{side}_deviation"]
    elif kind == "l2":
        length = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(length > 0, length, 1)
    return np.ascontiguousarray(x, dtype=np.float32)
