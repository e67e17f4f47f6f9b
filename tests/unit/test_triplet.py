"""The triplet hinge against the triple loop: value, gradient, counts, ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmhkit.nn.triplet import pairwise_distance, triplet_hinge
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator


def loop(d: torch.Tensor, similar: torch.Tensor, margin: float, own: bool = True) -> tuple[torch.Tensor, int, int]:
    """Sum, triplets, active ones: the definition, one triplet at a time."""
    total, triplets, active = d.sum() * 0, 0, 0
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            for k in range(d.shape[1]):
                if similar[i, j] > similar[i, k] and (own or i not in (j, k)):
                    hinge = torch.relu(margin + d[i, j] - d[i, k])
                    total, triplets, active = total + hinge, triplets + 1, active + int(hinge > 0)
    return total, triplets, active


def batch(
    seed: int, n: int = 7, m: int = 7, bits: int = 3, tied: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = generator(seed)
    draw = (
        (lambda *s: torch.randint(-1, 2, s, generator=random).double())
        if tied
        else (lambda *s: torch.randn(s, generator=random).double())
    )
    return draw(n, bits).requires_grad_(), draw(m, bits).requires_grad_(), torch.rand(n, m, generator=random) < 0.4


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["norm", "squared"]),
)
def test_value_gradient_and_counts_equal_the_triple_loop(seed, margin, own, tied, kind):
    """Tied codes lie on a grid: distances repeat, and with whole margins many hinges are exactly zero."""
    a, b, similar = batch(seed, tied=tied)
    d = pairwise_distance(a, b, kind)
    expected, triplets, active = loop(d, similar, margin, own)
    found = triplet_hinge(d, similar, margin, reduction="sum", own=own)
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=1e-12)
    assert (int(found.triplets), int(found.active)) == (triplets, active)
    for x, y in zip(
        torch.autograd.grad(found.loss, (a, b), retain_graph=True), torch.autograd.grad(expected, (a, b)), strict=True
    ):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)
    mean = triplet_hinge(d, similar, margin, own=own).loss
    torch.testing.assert_close(mean, expected / max(triplets, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["norm", "squared"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("own", [True, False])
def test_gradcheck(kind, reduction, own):
    a, b, similar = batch(3, 6, 6)
    assert torch.autograd.gradcheck(
        lambda x, y: triplet_hinge(pairwise_distance(x, y, kind), similar, 0.7, reduction=reduction, own=own).loss,
        (a, b),
    )


@pytest.mark.parametrize("kind", ["norm", "squared"])
def test_gradcheck_within_one_modality(kind):
    """Each item is its own j at distance zero, where the norm has a corner."""
    a, _, _ = batch(4, 6)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    similar = labels[:, None] == labels[None, :]
    assert torch.autograd.gradcheck(lambda x: triplet_hinge(pairwise_distance(x, x, kind), similar, 0.7).loss, (a,))


def test_ties_are_counted_apart():
    """Three dissimilar items at the same distance: at the edge none is active, just inside all are."""
    d = torch.tensor([[1.0, 2.0, 2.0, 2.0, 5.0]], requires_grad=True)
    similar = torch.tensor([[True, False, False, False, True]])
    edge = triplet_hinge(d, similar, 1.0, reduction="sum")
    assert (edge.loss.item(), int(edge.active), int(edge.triplets), edge.active_share) == (12.0, 3, 6, 0.5)
    (gradient,) = torch.autograd.grad(edge.loss, d)
    assert gradient.tolist() == [[0.0, -1.0, -1.0, -1.0, 3.0]]
    inside = triplet_hinge(d, similar, 1.5, reduction="sum")
    (gradient,) = torch.autograd.grad(inside.loss, d)
    assert int(inside.active) == 6 and gradient.tolist() == [[3.0, -2.0, -2.0, -2.0, 3.0]]


def test_more_queries_than_items_and_the_other_way():
    for n, m in ((3, 9), (9, 3), (1, 4)):
        a, b, similar = batch(n, n, m)
        d = pairwise_distance(a, b)
        torch.testing.assert_close(triplet_hinge(d, similar, 1.0, reduction="sum").loss, loop(d, similar, 1.0)[0])


@pytest.mark.parametrize("value", [True, False])
def test_without_triplets_the_loss_is_zero(value):
    a, b, _ = batch(0)
    found = triplet_hinge(pairwise_distance(a, b), torch.full((7, 7), value), 1.0)
    found.loss.backward()
    assert found.loss.item() == 0 and int(found.triplets) == 0 and found.active_share != found.active_share
    assert not a.grad.any() and not b.grad.any()


def test_float32_loses_nothing_in_the_sum():
    a, b, similar = (x.detach() for x in batch(1, 60, 60, 16))
    d = pairwise_distance(a.float(), b.float())
    exact = triplet_hinge(d.double(), similar, 0.5, reduction="sum").loss
    found = triplet_hinge(d, similar, 0.5, reduction="sum").loss
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)


def test_large_distances_leave_a_small_loss_exact():
    rng = torch.Generator().manual_seed(0)
    d = 10_000 + torch.randint(0, 64, (60, 60), generator=rng) / 4  # exact in float32, and so is margin + d
    similar = torch.rand(60, 60, generator=rng) < 0.5
    hinges = (0.5 + d[:, :, None] - d[:, None, :]).clamp_min(0).double()
    exact = (hinges * (similar[:, :, None] & ~similar[:, None, :])).sum()
    torch.testing.assert_close(triplet_hinge(d, similar, 0.5, reduction="sum").loss.double(), exact, rtol=1e-7, atol=0)


def test_distances():
    a, b, _ = batch(2)
    difference = a[:, None] - b[None]
    torch.testing.assert_close(pairwise_distance(a, b), difference.square().sum(2).sqrt())
    torch.testing.assert_close(pairwise_distance(a, b, "squared"), difference.square().sum(2))
    assert not pairwise_distance(a, a).diagonal().any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"distance": torch.zeros(3)},
            r"distance: expected real numbers, shape \(n, m\), got torch.float32 with shape \(3,\)",
        ),
        ({"similar": torch.zeros(2, 3)}, "similar: expected bool"),
        ({"similar": torch.zeros(3, 2, dtype=torch.bool)}, "similar: expected bool"),
        ({"margin": -1.0}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"reduction": "max"}, "reduction: expected one of mean, sum, got 'max'"),
        ({"own": False}, "own: expected as many queries as items"),
    ],
)
def test_bad_input(change, message):
    good = {"distance": torch.zeros(2, 3), "similar": torch.zeros(2, 3, dtype=torch.bool), "margin": 1.0}
    with pytest.raises(InputError, match=message):
        triplet_hinge(**{**good, **change})


def test_bad_codes():
    with pytest.raises(InputError, match=r"a, b: expected shapes .* equally many bits, got \(2, 3\) and \(2, 4\)"):
        pairwise_distance(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(InputError, match="kind: expected one of norm, squared"):
        pairwise_distance(torch.zeros(2, 3), torch.zeros(2, 3), "cosine")
