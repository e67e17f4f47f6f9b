"""The threshold and its straight-through gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmhkit.nn.binarize import mask_entropy, threshold_mask
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10_000), st.sampled_from([1 / 64, 0.1, 0.5, 0.99]), st.sampled_from([torch.float32, torch.float64])
)
def test_forward_is_zero_or_one_and_backward_the_identity(seed, alpha, dtype):
    random = generator(seed)
    p = torch.rand(5, 8, generator=random).to(dtype).requires_grad_()
    z = threshold_mask(p, alpha)
    assert z.dtype == dtype and set(z.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(z == 1, p >= alpha)
    given_back = torch.randn(5, 8, generator=random).to(dtype)
    (gradient,) = torch.autograd.grad(z, p, given_back)
    assert torch.equal(gradient, given_back)


def test_the_edge_is_on():
    assert threshold_mask(torch.tensor([0.25, np.nextafter(np.float32(0.25), np.float32(0))]), 0.25).tolist() == [
        1.0,
        0.0,
    ]


def test_both_parts_of_a_feature_send_their_gradient():
    """d/dP of Z f and of (1 - Z) f is f and -f, wherever P lies."""
    p, f = torch.tensor([0.7, 0.3]).requires_grad_(), torch.tensor([2.0, 5.0])
    z = threshold_mask(p, 0.5)
    assert torch.autograd.grad((z * f).sum(), p, retain_graph=True)[0].tolist() == [2.0, 5.0]
    assert torch.autograd.grad(((1 - z) * f).sum(), p)[0].tolist() == [-2.0, -5.0]


def test_the_gradient_is_not_that_of_the_step():
    """Finite differences of the step see nothing; those of the surrogate, the identity, see the estimator."""
    p = torch.tensor([0.2, 0.9], dtype=torch.float64).requires_grad_()
    loss = lambda x: (x * torch.tensor([3.0, -1.0], dtype=torch.float64)).sum()  # noqa: E731
    (gradient,) = torch.autograd.grad(loss(threshold_mask(p, 0.5)), p)
    for i in range(2):
        h = torch.zeros(2, dtype=torch.float64)
        h[i] = 1e-6
        of_step = (loss(threshold_mask(p + h, 0.5)) - loss(threshold_mask(p - h, 0.5))) / 2e-6
        of_identity = (loss(p + h) - loss(p - h)) / 2e-6
        assert of_step.item() == 0
        assert gradient[i].item() == pytest.approx(of_identity.item())


def test_a_softmax_keeps_one_place_on_at_its_mean():
    p = torch.randn(200, 64, generator=generator(0)).softmax(1)
    area = threshold_mask(p, 1 / 64).mean(1)
    assert area.min() >= 1 / 64 and area.max() < 1


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan"), "half", None, True])
def test_bad_alpha(alpha):
    with pytest.raises(InputError, match="alpha: expected a number between 0 and 1"):
        threshold_mask(torch.rand(3), alpha)


def test_bad_probabilities():
    with pytest.raises(InputError, match=r"p: expected real numbers, got torch\.int64"):
        threshold_mask(torch.tensor([0, 1]), 0.5)


def test_entropy_from_one_place_to_all_alike():
    p = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(mask_entropy(p), torch.tensor([0.0, 1.0, 0.5]))
    with pytest.raises(InputError, match="at least two places"):
        mask_entropy(torch.ones(3, 1))
