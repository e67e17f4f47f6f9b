"""Mask quality by hand, and against a loop over places."""

from __future__ import annotations

import numpy as np
import pytest

from cmhkit.course.masks import mask_quality, random_masks, truth_places
from cmhkit.support.checks import InputError


def test_a_place_belongs_to_a_drawing_from_half_of_its_pixels():
    owner = np.zeros((1, 4, 4), dtype=np.uint8)
    owner[0, 0, :2] = 1  # two of four pixels of the first place
    owner[0, 3, 3] = 2  # one of four of the last
    assert truth_places(owner, 2).tolist() == [[[True, False], [False, False]]]


def test_quality_by_hand():
    masks = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 0]]], dtype=bool)
    truth = np.array([[[1, 0], [1, 0]], [[1, 0], [0, 0]]], dtype=bool)
    found = mask_quality(masks, truth)
    assert (found.iou, found.precision, found.recall) == pytest.approx((1 / 3 / 2, 1 / 2 / 2, 1 / 2 / 2))


def test_quality_by_a_loop():
    rng = np.random.default_rng(0)
    masks, truth = rng.random((20, 8, 8)) < 0.4, rng.random((20, 8, 8)) < 0.3
    iou = []
    for m, t in zip(masks, truth, strict=True):
        a, b = ({(i, j) for i in range(8) for j in range(8) if x[i, j]} for x in (m, t))
        iou.append(len(a & b) / len(a | b))
    assert mask_quality(masks, truth).iou == pytest.approx(np.mean(iou))


def test_random_masks_keep_the_area_and_know_nothing():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 8, 8)) < 0.25
    drawn = random_masks(truth, rng)
    assert (drawn.sum(axis=(1, 2)) == truth.sum(axis=(1, 2))).all()
    assert mask_quality(drawn, truth).precision == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("owner", [np.zeros((2, 9, 9)), np.zeros((8, 8)), np.zeros((2, 8, 16))])
def test_owner_must_split_into_places(owner):
    with pytest.raises(InputError, match="owner"):
        truth_places(owner)


def test_shapes_must_agree():
    with pytest.raises(InputError, match="masks"):
        mask_quality(np.zeros((2, 8, 8)), np.zeros((3, 8, 8)))
