"""Feature distributions: the energy distance against its definition, the test against known cases, the classifier
against both.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmhkit.course.distributions import classifier_accuracy, energy_distance, matches, two_sample
from cmhkit.ssah import SSAH
from cmhkit.support.checks import InputError


def by_definition(a, b) -> float:
    def mean(x, y):
        return sum(float(np.sqrt(((p - q) ** 2).sum())) for p in x for q in y) / (len(x) * len(y))

    return 2 * mean(a, b) - mean(a, a) - mean(b, b)


@given(n=st.integers(1, 7), m=st.integers(1, 7), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_energy_distance_equals_its_definition(n, m, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n, 3)).astype(np.float32), random.normal(0.5, 2, size=(m, 3)).astype(np.float32)
    assert energy_distance(a, b) == pytest.approx(by_definition(a, b), abs=1e-5)
    found = two_sample(a, b, permutations=3)
    between = np.mean([np.linalg.norm(x - y) for x in a for y in b])
    assert found.energy == pytest.approx(energy_distance(a, b)) and found.share == pytest.approx(
        found.energy / (2 * between), abs=1e-6
    )
    assert 0 <= found.share <= 1 and energy_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_p_value_nears_the_enumeration_of_all_divisions():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(4, 2)).astype(np.float32), random.normal(0.7, 1, size=(4, 2)).astype(np.float32)
    points, seen = np.concatenate([a, b]), energy_distance(a, b)
    all_divisions = []
    for first in itertools.combinations(range(8), 4):
        rest = [i for i in range(8) if i not in first]
        all_divisions.append(by_definition(points[list(first)], points[rest]))
    exact = np.mean(np.array(all_divisions) >= seen - 1e-6)
    assert 0.02 < exact < 0.9  # a case that can go wrong either way
    assert two_sample(a, b, permutations=4000).p_value == pytest.approx(exact, abs=0.03)


def test_p_values_are_uniform_where_the_distributions_are_the_same():
    random = np.random.default_rng(0)
    p = [two_sample(*random.normal(size=(2, 12, 2)), permutations=99, seed=i).p_value for i in range(200)]
    # 200 draws of a uniform variable: a share of .25 deviates by .031, a mean by .020; four deviations are allowed.
    assert np.mean(np.array(p) <= 0.25) == pytest.approx(0.25, abs=0.125) and np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_scale_and_shift():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(60, 4)), random.normal(size=(60, 4))
    same, moved, scaled = two_sample(a, b), two_sample(a, b + 1), two_sample(10 * a, 10 * (b + 1))
    assert same.p_value > 0.01 and moved.p_value == 1 / 501
    assert moved.share > 3 * same.share and scaled.share == pytest.approx(moved.share, rel=1e-5)
    assert scaled.energy == pytest.approx(10 * moved.energy, rel=1e-5)
    assert same.share == pytest.approx(same.expected, rel=0.7)
    assert two_sample(a, b + 1) == moved


@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_a_classifier_tells_what_differs_and_nothing_else(kind):
    random = np.random.default_rng(3)
    a, b = random.normal(size=(2, 400, 5))
    assert 0.4 < classifier_accuracy(a, b, kind=kind) < 0.6
    assert classifier_accuracy(a, b + 3, kind=kind) > 0.95
    # Two normal distributions, d apart along each of 5 axes: the best rule is right with probability Φ(√5 d / 2) = .87
    # for d = 1.
    assert 0.75 < classifier_accuracy(a, b + 1, kind=kind) < 0.92


def test_a_classifier_is_asked_about_items_that_it_did_not_see():
    """A pair's rows are equal but for noise on one side: remembering items would not help, and copies of them must not
    leak.
    """
    a = np.random.default_rng(4).normal(size=(100, 20))
    assert classifier_accuracy(a, a, kind="forest") <= 0.6


def test_matches_of_a_hasher(tiny, shared_cache):
    hasher = SSAH(bits=8, seed=0, device="cpu", epochs=1, pools=()).fit(tiny, show_progress=False)
    found = matches(hasher, tiny.train, items=80, permutations=20)
    assert set(found) == {"image", "text"}
    order = np.random.default_rng(0).permutation(len(tiny.train))[:80]
    split = tiny.take(tiny.train.index[order])
    label, image = hasher.features(labels=split), hasher.features(images=split)
    assert found["image"].test == two_sample(label[:40], image[40:], permutations=20)
    assert found["image"].accuracy == classifier_accuracy(label, image)


def test_bad_input_is_named(tiny):
    x = np.zeros((5, 3))
    for function in (energy_distance, two_sample, classifier_accuracy):
        with pytest.raises(InputError, match="a, b: expected shapes"):
            function(x, np.zeros((5, 4)))
        with pytest.raises(InputError, match="b: expected finite numbers"):
            function(x, np.full((5, 3), np.nan))
    with pytest.raises(InputError, match="a, b: expected the same items, at least 4, got 5 and 6"):
        classifier_accuracy(x, np.zeros((6, 3)))
    with pytest.raises(InputError, match="kind: expected one of linear, forest"):
        classifier_accuracy(x, x, kind="mlp")
    with pytest.raises(InputError, match="permutations"):
        two_sample(x, x, permutations=0)
    with pytest.raises(InputError, match="split: expected a Split"):
        matches(SSAH(bits=8), tiny)
