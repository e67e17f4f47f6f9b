"""SSAH's networks: LabNet, ImgNet, TxtNet, and the two discriminators.

Source: Li et al., CVPR 2018, the note; widths from the published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmhkit.nn.backbones import CNNF, VGG19
from cmhkit.nn.layers import Dropout, linear
from cmhkit.ssah.config import SSAHConfig
from cmhkit.support.checks import check
from cmhkit.support.precision import wide_layers

#: Networks that ImgNet's front may be, by the option `backbone`.
BACKBONES = {"cnn-f": CNNF, "vgg19": VGG19}


@dataclass(frozen=True)
class Outputs:
    """What a network says of a batch. features: the semantic features F, at least 0, shape (n, s). logits: the codes
    before tanh, shape (n, bits). label_logits: the labels before the sigmoid, shape (n, c).
    """

    features: Tensor
    logits: Tensor
    label_logits: Tensor

    @property
    def codes(self) -> Tensor:
        """H, from -1 to 1, shape (n, bits)."""
        return torch.tanh(self.logits)

    @property
    def labels(self) -> Tensor:
        r"""$\hat L$, from 0 to 1, shape (n, c)."""
        return torch.sigmoid(self.label_logits)


class SemanticNetwork(nn.Module):
    r"""One network: a front, layers up to the semantic feature F, and the two heads.

    $$F = \operatorname{ReLU}(W_2\, \operatorname{LRN}(\operatorname{ReLU}(W_1 x))), \qquad
      H = \tanh(W_h F), \qquad \hat L = \operatorname{sigmoid}(W_l F)$$

    each layer with a bias; LRN over neighbouring units, $y_i = x_i / (k + a \sum_{|j - i| \le 2} x_j^2)^{0.75}$, with
    the code's k = 2 and a = 10^-4. inputs: width of what the front gives. hidden: units of the first layer; 0 leaves it
    out. width: s. bits: of the code. labels: c. normalise: whether there is the LRN. dropout: share of the inputs (not
    of pictures) and of the first layer's units left out in training. front: what comes before, a backbone or the
    multi-scale fusion; None for nothing. generator: draws the weights.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        width: int,
        bits: int,
        labels: int,
        *,
        normalise: bool,
        dropout: float,
        generator: torch.Generator,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.front = front
        self.dropout = Dropout(dropout, generator)
        self.first = linear(inputs, hidden, generator) if hidden else None
        # PyTorch divides its alpha by the size, hence 5 times a.
        self.normalise = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0) if normalise and hidden else None
        self.semantic = linear(hidden or inputs, width, generator)
        self.hashing, self.labelling = linear(width, bits, generator), linear(width, labels, generator)

    def features(self, x: Tensor) -> Tensor:
        """F, shape (n, s). x: as the front reads it, or shape (n, inputs)."""
        x = self.dropout(x) if x.is_floating_point() else x
        if self.front is not None:
            x = self.front(x)
        if self.first is not None:
            x = torch.relu(self.first(x))
            x = self.dropout(x if self.normalise is None else self.normalise(x[:, :, None])[:, :, 0])
        return torch.relu(self.semantic(x))

    def forward(self, x: Tensor) -> Outputs:
        """All that the network says of x."""
        features = self.features(x)
        return Outputs(features, self.hashing(features), self.labelling(features))


class MultiScaleFusion(nn.Module):
    r"""TxtNet's first part: the bag of words beside its averages over neighbouring words, at several scales.

    For each window p, windows follow each other without overlap, and the last one may be shorter:

    $$z^{(p)} = \operatorname{resize}_T\big(\operatorname{ReLU}(w_p \cdot \operatorname{avgpool}_p(x))\big), \qquad
      \text{output} = [x, z^{(5)}, z^{(10)}, \ldots]$$

    The next layer, linear on all channels, is the code's full-width convolution. words: T. pools: the windows.
    scale: what w_p is. "relu": a plain number, drawn from a normal distribution, as in the code. x is at least 0, so a
    w_p that starts below 0 gives only zeros, has no gradient and is dead for ever. "positive": the softplus of a
    number, 1 at the start, so that it cannot die. generator: draws the numbers. Text features that are no bag of words
    ("minilm") are read in the same way, though their neighbours have nothing in common; averages below 0 become 0.
    Errors: `InputError` for a vocabulary that is shorter than a window.
    """

    def __init__(self, words: int, pools: Sequence[int], scale: str, generator: torch.Generator) -> None:
        super().__init__()
        expected, given = "expected windows no longer than the vocabulary", f"which has {words} words, got {max(pools)}"
        check(max(pools) <= words, f"pools: {expected}, {given}; pools=() leaves the fusion out")
        self.pools, self.scale, self.width = tuple(pools), scale, words * (len(pools) + 1)
        start = torch.randn(len(pools), generator=generator)
        # softplus(0.5413) = 1
        self.raw = nn.Parameter(start if scale == "relu" else torch.full((len(pools),), 0.541324854612918))

    def scales(self) -> Tensor:
        """w, shape (pools,)."""
        return self.raw if self.scale == "relu" else F.softplus(self.raw)

    def forward(self, x: Tensor) -> Tensor:
        """The channels side by side, shape (n, T · (1 + pools)). x: shape (n, T)."""
        channels = [x]
        for p, w in zip(self.pools, self.scales(), strict=True):
            pooled = torch.relu(w * F.avg_pool1d(x[:, None], p, p, ceil_mode=True))
            channels.append(F.interpolate(pooled, size=x.shape[1], mode="linear", align_corners=False)[:, 0])
        return torch.cat(channels, dim=1)


class Fc7(nn.Module):
    """ImgNet's front on photographs. network: CNN-F or VGG-19, up to fc7."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """fc7, shape (n, 4096). pictures: uint8, shape (n, R, R, 3)."""
        with wide_layers(pictures.device):
            return self.network(pictures).float()


class Discriminator(nn.Module):
    """Tells LabNet's features from a modality's. width: of the features. hidden: units of the ReLU layers before the
    one output. generator: draws the weights.
    """

    def __init__(self, width: int, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        widths = (width, *hidden)
        self.layers = nn.ModuleList([linear(a, b, generator) for a, b in zip(widths, (*hidden, 1), strict=True)])

    def forward(self, features: Tensor) -> Tensor:
        """The logit of "these are LabNet's features", shape (n,). features: shape (n, width)."""
        for layer in self.layers[:-1]:
            features = torch.relu(layer(features))
        return self.layers[-1](features)[:, 0]


class SSAHNetwork(nn.Module):
    """All of SSAH. label, image, text: LabNet, ImgNet, TxtNet; LabNet is None where the two supervise each other.
    image_discriminator, text_discriminator: None without the game.
    """

    def __init__(
        self,
        label: SemanticNetwork | None,
        image: SemanticNetwork,
        text: SemanticNetwork,
        image_discriminator: Discriminator | None,
        text_discriminator: Discriminator | None,
    ) -> None:
        super().__init__()
        self.label, self.image, self.text = label, image, text
        self.image_discriminator, self.text_discriminator = image_discriminator, text_discriminator

    # Their names in cmhkit 0.1, which work for one release.
    image_judge = property(lambda self: self.image_discriminator)
    text_judge = property(lambda self: self.text_discriminator)


def network_for(
    config: SSAHConfig, bits: int, image_width: int | None, text_width: int, labels: int, generator: torch.Generator
) -> SSAHNetwork:
    """The networks and discriminators of a configuration, untrained.

    image_width: of the vectors that stand for pictures; None where a backbone reads pictures. text_width: of the texts'
    vectors. labels: c. generator: draws the weights, and later what dropout leaves out.
    """
    c = config

    def network(inputs: int, hidden: int, dropout: float, front: nn.Module | None = None) -> SemanticNetwork:
        sizes, layers = (inputs, hidden, c.width, bits, labels), {"normalise": c.local_response_norm, "front": front}
        return SemanticNetwork(*sizes, **layers, dropout=dropout, generator=generator)

    fusion = MultiScaleFusion(text_width, c.pools, c.pool_scale, generator) if c.pools else None
    fc7 = Fc7(BACKBONES[c.backbone](side=c.side, generator=generator)) if c.backbone in BACKBONES else None
    label = network(labels, c.label_hidden, 0.0) if c.supervision == "labnet" else None
    image = network(fc7.network.hidden if fc7 else image_width, c.image_hidden, c.dropout, fc7)
    text = network(fusion.width if fusion else text_width, c.text_hidden, c.dropout, fusion)
    game = c.adversarial != "none"
    discriminators = [Discriminator(c.width, c.discriminator_hidden, generator) if game else None for _ in range(2)]
    return SSAHNetwork(label, image, text, *discriminators)
