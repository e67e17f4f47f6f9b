"""UGACH's networks. The generator and the discriminator have the same shape and separate weights.

Source: Zhang, Peng, Yuan, AAAI 2018; the note, section "Model".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmhkit.nn.layers import of_bags
from cmhkit.support.precision import wide_layers


class HashNetwork(nn.Module):
    r"""One modality's two layers: representation, then hashing.

    $$\phi(x) = \tanh(W_c x + b_c), \qquad h(x) = \operatorname{sigmoid}(W_h \phi(x) + b_h)$$

    inputs: width of x. hidden: width of $\phi$. bits: width of h. generator: draws the weights. std: of the truncated
    normal weights; None scales each layer by $1/\sqrt{\text{its inputs}}$, so that tanh and sigmoid start unsaturated.
    """

    def __init__(self, inputs: int, hidden: int, bits: int, std: float | None, generator: torch.Generator) -> None:
        super().__init__()
        self.representation = nn.Linear(inputs, hidden)
        self.hashing = nn.Linear(hidden, bits)
        for layer in (self.representation, self.hashing):
            width = layer.in_features**-0.5 if std is None else std
            nn.init.trunc_normal_(layer.weight, std=width, a=-2 * width, b=2 * width, generator=generator)
            nn.init.zeros_(layer.bias)

    def logits(self, x: Tensor) -> Tensor:
        """The hashing layer before its sigmoid: its sign is the bit. x: (n, inputs). Returns (n, bits)."""
        with wide_layers(x.device):
            wide = of_bags(self.representation, x)
        return self.hashing(torch.tanh(wide.to(self.hashing.weight.dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """The relaxed code h(x), from 0 to 1. x: (n, inputs). Returns (n, bits)."""
        return torch.sigmoid(self.logits(x))


class CrossModalNetwork(nn.Module):
    """A hash network for pictures and one for texts: the shape of the generator and of the discriminator."""

    def __init__(
        self, image_width: int, text_width: int, hidden: int, bits: int, std: float | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.image = HashNetwork(image_width, hidden, bits, std, generator)
        self.text = HashNetwork(text_width, hidden, bits, std, generator)

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """The relaxed codes of pictures and of texts."""
        return self.image(images), self.text(texts)


def binary_code(h: Tensor) -> Tensor:
    """The bits of a relaxed code: 1 where h is at least 0.5, else 0. The note's $b = \\operatorname{sgn}(h - 0.5)$."""
    return (h >= 0.5).to(torch.uint8)
