"""How well a mask of places fits the drawings of a picture. Nothing here takes part in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmhkit.support.checks import check


@dataclass(frozen=True)
class MaskQuality:
    """Means over pictures, from 0 to 1.

    iou: places in both over places in either. precision: of the attended places. recall: of the drawings' places.
    """

    iou: float
    precision: float
    recall: float


def truth_places(owner: np.ndarray, places: int = 8) -> np.ndarray:
    """The places that belong to a drawing: those of whose pixels drawings show in at least half.

    owner: `SceneTruth.owner`, shape (n, R, R), R a multiple of `places`. Returns bool, shape (n, places, places).
    """
    owner = np.asarray(owner)
    good = owner.ndim == 3 and owner.shape[1] == owner.shape[2] and owner.shape[1] % places == 0
    check(good, f"owner: expected shape (n, R, R) with R a multiple of {places}, got {owner.shape}")
    cell = owner.shape[1] // places
    return (owner > 0).reshape(len(owner), places, cell, places, cell).mean(axis=(2, 4)) >= 0.5


def mask_quality(masks: np.ndarray, truth: np.ndarray) -> MaskQuality:
    """How well masks fit the truth. masks, truth: bool, (n, places, places). An empty mask or truth counts as 0."""
    masks, truth = np.asarray(masks, dtype=bool), np.asarray(truth, dtype=bool)
    check(
        masks.shape == truth.shape and masks.ndim == 3,
        f"masks: expected the shape of truth, {truth.shape}, got {masks.shape}",
    )
    both = (masks & truth).sum(axis=(1, 2))
    sizes = ((masks | truth).sum(axis=(1, 2)), masks.sum(axis=(1, 2)), truth.sum(axis=(1, 2)))
    return MaskQuality(*(float((both / np.maximum(size, 1)).mean()) for size in sizes))


def random_masks(masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Masks of the same area at random places: what `mask_quality` gives without looking. masks: bool, shape (n,
    places, places).
    """
    flat = np.asarray(masks, dtype=bool).reshape(len(masks), -1)
    return rng.permuted(flat, axis=1).reshape(np.shape(masks))
