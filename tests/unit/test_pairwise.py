"""Sums over all pairs: against the n × m matrix, finite differences, and the memory they promise."""

from __future__ import annotations

import math
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmhkit.nn import pairwise
from cmhkit.nn.pairwise import LabelSimilarity, pairwise_loss
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator


def loop(a, b, similar, squared=False, weights=(1.0, 1.0)) -> float:
    """The sum by its definition, in Python's floats."""
    total = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            theta = 0.5 * sum(x * y for x, y in zip(a[i].tolist(), b[j].tolist(), strict=True))
            s = float(similar[i, j])
            term = s * theta - math.log1p(math.exp(theta))
            total += weights[0 if s > 0 else 1] * (0.5 * term**2 if squared else -term)
    return total


def example(n: int, m: int, d: int, seed: int = 0, dtype=torch.float64):
    random = generator(seed)
    a, b = torch.randn(n, d, generator=random, dtype=dtype), torch.randn(m, d, generator=random, dtype=dtype)
    labels = [(torch.rand(k, 3, generator=random) < 0.4).to(dtype) for k in (n, m)]
    return a, b, LabelSimilarity(*labels)


def in_blocks(block, a, b, similar, **options):
    """The loss, with so many rows of a at once."""
    with mock.patch.object(pairwise, "_PAIRS", block * len(b)):
        return pairwise_loss(a, b, similar, **options)


@given(
    n=st.integers(1, 6),
    m=st.integers(1, 6),
    seed=st.integers(0, 1000),
    squared=st.booleans(),
    block=st.integers(1, 7),
    w=st.floats(0.1, 5),
)
@settings(max_examples=60, deadline=None)
def test_it_equals_the_double_loop(n, m, seed, squared, block, w):
    a, b, similar = example(n, m, 4, seed)
    kind = "squared" if squared else "likelihood"
    expected = loop(a, b, similar.rows(0, n), squared, (w, 1.0))
    found = in_blocks(block, a, b, similar, kind=kind, weights=(w, 1.0))
    assert found.item() == pytest.approx(expected, rel=1e-9)
    assert pairwise_loss(a, b, similar, kind=kind, weights=(w, 1.0), reduction="mean").item() == pytest.approx(
        expected / (n * m), rel=1e-9
    )


@pytest.mark.parametrize("kind", ["likelihood", "squared"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 0.5)])
def test_gradients_by_finite_differences(kind, weights):
    a, b, similar = example(5, 4, 3)
    a.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: in_blocks(2, x, y, similar, kind=kind, weights=weights), (a, b))
    assert torch.autograd.gradcheck(
        lambda x: in_blocks(2, x, x, LabelSimilarity(similar.labels_a, similar.labels_a), kind=kind), (a,)
    )


def test_blocks_give_what_the_whole_matrix_gives():
    a, b, similar = example(70, 30, 8, dtype=torch.float32)
    a.requires_grad_()
    matrix = similar.rows(0, 70)
    full = (torch.nn.functional.softplus(a @ b.T / 2) - matrix * (a @ b.T / 2)).sum()
    (expected,) = torch.autograd.grad(full, a)
    for given_s in (similar, matrix):
        for block in (1, 7, 70, 100):
            loss = in_blocks(block, a, b, given_s)
            (gradient,) = torch.autograd.grad(2 * loss, a)
            assert loss.item() == pytest.approx(full.item(), rel=1e-5)
            torch.testing.assert_close(gradient, 2 * expected, rtol=1e-4, atol=1e-4)


def test_huge_codes_do_not_overflow():
    a = torch.full((2, 4), 1e4)
    b = torch.stack([torch.full((4,), 1e4), torch.full((4,), -1e4)]).requires_grad_()
    similar = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = pairwise_loss(a, b, similar)
    (gradient,) = torch.autograd.grad(loss, b)
    assert loss.item() == 0 and torch.isfinite(gradient).all()
    assert pairwise_loss(a, b, 1 - similar).item() == pytest.approx(4 * 2e8, rel=1e-6)


def test_a_small_s_is_kept_as_a_matrix_and_a_large_one_is_not(monkeypatch):
    a, b, similar = example(7, 5, 4, dtype=torch.float32)
    kept = similar.kept()
    assert torch.equal(kept.matrix, similar.rows(0, 7)) and torch.equal(kept.rows(2, 4), similar.rows(2, 4))
    for weights in ((1.0, 1.0), (3.0, 0.2)):
        assert torch.equal(pairwise_loss(a, b, kept, weights=weights), pairwise_loss(a, b, similar, weights=weights))
    monkeypatch.setattr("cmhkit.nn.pairwise._KEPT", 34)
    assert similar.kept() is similar


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 0.2)])
@pytest.mark.parametrize("scale", [0.1, 10.0, 1e3])
def test_labels_and_a_matrix_of_the_same_s_give_the_same(scale, weights, dtype):
    a, b, similar = example(40, 30, 6, dtype=dtype)
    a, b = (scale * a).requires_grad_(), (scale * b).requires_grad_()
    found = []
    for s in (similar, similar.rows(0, 40)):
        loss = pairwise_loss(a, b, s, weights=weights)
        found.append((loss.detach(), *torch.autograd.grad(loss, (a, b))))
    tolerance = {"rtol": 1e-5, "atol": 1e-5 * scale} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-10}
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_weights_and_a_similarity_other_than_one():
    a, b, similar = example(6, 5, 3)
    other = LabelSimilarity(similar.labels_a, similar.labels_b, 0.999)
    for given_s in (other, other.kept()):
        found = pairwise_loss(a, b, given_s, weights=(2.0, 0.7))
        assert found.item() == pytest.approx(loop(a, b, other.rows(0, 6), weights=(2.0, 0.7)), rel=1e-9)


def test_similarity_by_labels():
    labels = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    found = LabelSimilarity(labels, labels, 0.999)
    expected = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]]) * 0.999
    np.testing.assert_allclose(found.rows(0, 3).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(found.rows(1, 2).numpy(), expected[1:2], rtol=1e-6)
    assert found.share() == pytest.approx(4 / 9) and found.shape == (3, 3)


@pytest.mark.parametrize("pairs", [3, 10**6])
def test_the_share_counts_every_pair(pairs, monkeypatch):
    monkeypatch.setattr("cmhkit.nn.pairwise._PAIRS", pairs)
    _, _, similar = example(70, 50, 2)  # at most 8 kinds of labels
    assert similar.share() == (similar.rows(0, 70) > 0).double().mean().item()


MEMORY = """
import resource, torch
from cmhkit.nn import pairwise
from cmhkit.nn.pairwise import LabelSimilarity, pairwise_loss
torch.set_num_threads(1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def run(n):
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, 16, generator=g, requires_grad=True) for _ in range(2))
    labels = (torch.rand(n, 24, generator=g) < 0.1).float()
    before = peak()
    pairwise_loss(a, b, LabelSimilarity(labels, labels)).backward()
    return peak() - before
run(64)
print(run(10_000))
"""


def test_memory_for_ten_thousand_items_stays_below_100_mb():
    """Forward and backward in a process of its own, above what was in use before. One n × n buffer alone is 400 MB."""
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(found.stdout) * unit < 100e6


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"a": torch.zeros(3, 2)}, "a, b: expected shapes"),
        ({"a": torch.zeros(0, 4)}, "a, b: expected at least one row each, got 0 and"),
        ({"similar": torch.zeros(2, 2)}, r"similar: expected one entry a pair, shape \(5, 6\), got \(2, 2\)"),
        ({"kind": "hinge"}, "kind: expected one of likelihood, squared"),
        ({"reduction": "max"}, "reduction"),
    ],
)
def test_bad_input_is_named(change, names):
    a, b, similar = example(5, 6, 4)
    with pytest.raises(InputError, match=names):
        pairwise_loss(**({"a": a, "b": b, "similar": similar} | change))


def test_bad_labels_are_named():
    with pytest.raises(InputError, match="labels_a, labels_b: expected shapes"):
        LabelSimilarity(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(InputError, match="labels_a, labels_b: expected floating point"):
        LabelSimilarity(torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, 2))
