"""Layers: a product that leaves zeros out is the layer's own."""

from __future__ import annotations

import pytest
import torch

from cmhkit.nn import layers
from cmhkit.nn.layers import of_bags


@pytest.fixture
def layer() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(40, 7, dtype=torch.float64)


def bags(rows: int, share: float, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 40, generator=random, dtype=torch.float64) + 0.5
    return x * (torch.rand(rows, 40, generator=random) < share)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.02, 0.5])
@pytest.mark.parametrize("rows", [1, 255, 256, 300])
def test_it_is_the_layer(layer: torch.nn.Linear, rows: int, share: float) -> None:
    x = bags(rows, share)
    x[:, 3] = 0  # a word that nobody has
    found, expected = [], []
    for results, compute in ((found, lambda: of_bags(layer, x)), (expected, lambda: layer(x))):
        out = compute()
        results += [out.detach(), *torch.autograd.grad(out.sin().sum(), (layer.weight, layer.bias))]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert one.is_contiguous()


def test_gradients_by_finite_differences(layer: torch.nn.Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_MANY_ROWS", 1)
    monkeypatch.setattr(layers, "_RARE", 1)
    x = bags(6, 0.2)
    assert torch.autograd.gradcheck(lambda w: layers._SparseProduct.apply(x, w), (layer.weight,))


def test_what_is_short_dense_or_needs_a_gradient_goes_through_the_layer(
    layer: torch.nn.Linear, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    monkeypatch.setattr(layers._SparseProduct, "apply", lambda x, w: taken.append(len(x)) or x @ w.T)
    of_bags(layer, bags(300, 0.02))
    for x in (bags(200, 0.02), bags(300, 0.5), bags(300, 0.02).requires_grad_()):
        of_bags(layer, x)
    assert taken == [300]
