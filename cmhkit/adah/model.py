"""ADAH's networks: features E, attention G and hashing D, one of each for pictures and for texts.

Source: Zhang, Lai, Feng, ECCV 2018; the note, section "Model". No code was published: what the note leaves open is an
option of `cmhkit.adah.ADAHConfig`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from cmhkit.nn.backbones import CHANNELS, VGG19, scenenet
from cmhkit.nn.binarize import threshold_mask
from cmhkit.nn.layers import Dropout, linear
from cmhkit.support.checks import check
from cmhkit.support.precision import wide_layers

# Added to a sum of exponentials before its logarithm, for a mask that is all off.
_TINY = 1e-30
# Pictures whose evidence is computed at once: 1.5 MB.
_IN_CACHE = 8


@dataclass(frozen=True)
class Mask:
    """What the attention module says of a batch. probability: P, shape (n, places), each row sums to 1. mask: Z, the
    same shape, 0 or 1. Places are H·W (row by row), or the entries of a text feature.
    """

    probability: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Codes:
    r"""The codes of a batch, from -1 to 1, each of shape (n, bits).

    image, text: $H^I$, $H^T$, of attended features. Without attention the rest is None: image_unattended and
    text_unattended, $\hat H^I$ and $\hat H^T$; image_mask and text_mask, what parts the two.
    """

    image: Tensor
    text: Tensor
    image_unattended: Tensor | None = None
    text_unattended: Tensor | None = None
    image_mask: Mask | None = None
    text_mask: Mask | None = None


class _Attention(nn.Module):
    """What $G^I$ and $G^T$ share: from a layer's scores M to P and Z."""

    def __init__(self, alpha: float | None, spread: float | None) -> None:
        super().__init__()
        self.alpha, self.spread = alpha, spread

    def forward(self, features: Tensor) -> Mask:
        """P and Z of each item. features: f, as `scores` reads it."""
        m = self.scores(features)
        if self.spread is not None:
            m = (m - m.mean(1, keepdim=True)) * (self.spread / (m.std(1, keepdim=True) + 1e-6))
        p = m.softmax(dim=1)
        return Mask(p, threshold_mask(p, 1 / m.shape[1] if self.alpha is None else self.alpha))


class ImageAttention(_Attention):
    r"""$G^I$: which places of a feature map are attended.

    $$M = \operatorname{conv}_{1 \times 1}(f), \qquad P = \operatorname{softmax}_{H \cdot W}(M), \qquad
      Z = [P \ge \alpha]$$

    channels: C. alpha: $\alpha$, or None for the note's $1 / (H \cdot W)$. generator: draws the weights. spread: what
    the scores of every item are made to deviate by over its places; None leaves them as the layer gives them.
    The convolution has no bias: the softmax would not see it.
    """

    def __init__(self, channels: int, alpha: float | None, generator: Generator, spread: float | None = None) -> None:
        super().__init__(alpha, spread)
        self.convolution = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.normal_(self.convolution.weight, std=channels**-0.5, generator=generator)

    def scores(self, feature_map: Tensor) -> Tensor:
        """M, shape (n, H·W). feature_map: f, shape (n, C, H, W). Errors: `InputError` for a map of another shape."""
        channels, shape = self.convolution.in_channels, tuple(feature_map.shape)
        good = len(shape) == 4 and shape[1] == channels
        check(good, f"feature_map: expected a map (n, {channels}, H, W), got shape {shape}")
        return self.convolution(feature_map).flatten(1)


class TextAttention(_Attention):
    r"""$G^T$: which entries of a text feature are attended.

    $$M = W f + b, \qquad P = \operatorname{softmax}_d(M), \qquad Z = [P \ge \alpha]$$

    width: d. alpha: $\alpha$, or None for $1 / d$. generator, spread: as for `ImageAttention`.
    """

    def __init__(self, width: int, alpha: float | None, generator: Generator, spread: float | None = None) -> None:
        super().__init__(alpha, spread)
        self.layer = linear(width, width, generator)

    def scores(self, feature: Tensor) -> Tensor:
        """M, shape (n, d). feature: f, shape (n, d)."""
        return self.layer(feature)


@torch.no_grad()
def spread_masks(attention: ImageAttention | TextAttention, features: Tensor, spread: float) -> None:
    """Scale an attention layer's weights, so that the scores M of an item deviate by `spread` over its places, in the
    mean over some items.

    Near-uniform probabilities all sit on the threshold, where rounding decides between masks that are all on and all
    off. At a spread of 1 about a third of the places are on. features: of the items, as the layer reads them.
    """
    deviation = attention.scores(features).std(dim=1).mean()
    good = bool(torch.isfinite(deviation)) and deviation.item() > 0
    check(good, "features: expected features that differ over their places, got constant ones")
    (layer,) = attention.children()
    layer.weight.mul_(spread / deviation)


class SceneFeatures(nn.Module):
    """$E^I$ of the preset `lab`: SceneNet's map as it comes from the cache, frozen."""

    channels = CHANNELS

    def forward(self, feature_map: Tensor) -> Tensor:
        """feature_map: shape (n, 128, 8, 8), any float type. Returns it in float32."""
        return feature_map.float()


class SceneHead(nn.Module):
    r"""$D^I$ of the preset `lab`: SceneNet's scoring layer at the places that a mask leaves on, pooled, then the tanh
    layer.

    $$s_d(Z) = \log \sum_p Z_p\, e^{s_{dp}}$$

    with $s_{dp}$ the score of drawing d at place p. This is the backbone's own frozen layer and its own pooling, over
    the places of the mask, and it has a derivative with respect to $Z_p$ whether p is on or off.
    bits: code length. readout: the tanh layer reads a tenth of the "scores" $s(Z)$, or the "posterior", the square root
    of their softmax, times that of their number. hidden: units of a ReLU layer before the tanh layer, 0 for none.
    dropout: share of the readout left out in training. generator: draws the weights, and what is left out.
    """

    def __init__(self, bits: int, readout: str, hidden: int, dropout: float, generator: Generator) -> None:
        super().__init__()
        scoring = scenenet().scoring
        self.register_buffer("weight", scoring.weight.detach()[:, :, 0, 0].clone(), persistent=False)
        self.register_buffer("bias", scoring.bias.detach().clone(), persistent=False)
        self.readout = readout
        self.dropout = Dropout(dropout, generator)
        self.hidden = linear(len(self.bias), hidden, generator) if hidden else None
        self.hashing = linear(hidden or len(self.bias), bits, generator)
        self._of_batch: tuple[Tensor, tuple[Tensor, Tensor]] | None = None  # a map and its evidence

    @contextmanager
    def once(self, feature_map: Tensor) -> Iterator[None]:
        """A block in which the evidence of this very map is computed once, however many steps read it."""
        self._of_batch = (feature_map, self.evidence(feature_map))
        try:
            yield
        finally:
            self._of_batch = None

    @torch.no_grad()
    def evidence(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """$e^{s - t}$, shape (n, drawings, places), and the greatest score t of each picture, shape (n, 1)."""
        if self._of_batch is not None and self._of_batch[0] is feature_map:
            return self._of_batch[1]
        maps, places = feature_map.flatten(2), feature_map.shape[2:].numel()
        evidence = maps.new_empty(len(maps), len(self.bias), places)
        top = maps.new_empty(len(maps), 1, 1)
        # A few pictures at a time stay in a processor's cache while they are scored, shifted and raised.
        for scores, part, of_part in zip(*(x.split(_IN_CACHE) for x in (evidence, maps, top)), strict=True):
            torch.baddbmm(self.bias[None, :, None], self.weight.expand(len(part), -1, -1), part, out=scores)
            torch.amax(scores, (1, 2), keepdim=True, out=of_part)
            scores.sub_(of_part).exp_()
        return evidence, top[:, :, 0]

    def logits(self, feature_map: Tensor, masks: list[Tensor]) -> list[Tensor]:
        """The codes before tanh under each of some masks, shape (n, bits). feature_map: (n, 128, 8, 8). masks: shape
        (n, 64).
        """
        evidence, top = self.evidence(feature_map)
        pooled = torch.log(evidence @ torch.stack(masks, dim=2) + _TINY)
        return [self._hashed(pooled[:, :, i] + top) for i in range(len(masks))]

    def _hashed(self, scores: Tensor) -> Tensor:
        x = scores / 10
        if self.readout == "posterior":
            # Of length 1; times the root of its width its entries are of the order of 1, as the layers expect.
            x = torch.exp(0.5 * scores.log_softmax(1)) * scores.shape[1] ** 0.5
        x = self.dropout(x)
        return self.hashing(x if self.hidden is None else torch.relu(self.hidden(x)))


class VGGFeatures(nn.Module):
    """$E^I$ of the preset `paper`: VGG-19's convolutions up to the map after pool5. vgg: the network; `VGGHead` has its
    other layers.
    """

    def __init__(self, vgg: VGG19) -> None:
        super().__init__()
        self.convolutions, self.channels = vgg.features, vgg.channels
        self._feature_map = vgg.feature_map  # a method, so that no layer is registered twice

    def forward(self, pictures: Tensor) -> Tensor:
        """f^I, shape (n, 512, H, W), float32. pictures: uint8, shape (n, R, R, 3)."""
        with wide_layers(pictures.device):
            return self._feature_map(pictures).float()


class VGGHead(nn.Module):
    """$D^I$ of the preset `paper`: VGG-19's last two fully connected layers, then the tanh layer. vgg: see
    `VGGFeatures`. bits: code length. generator: draws the tanh layer.
    """

    def __init__(self, vgg: VGG19, bits: int, generator: Generator) -> None:
        super().__init__()
        self.fully_connected = vgg.classifier
        self.hashing = linear(vgg.hidden, bits, generator)

    def logits(self, feature_map: Tensor, masks: list[Tensor]) -> list[Tensor]:
        """The codes before tanh under each of some masks, shape (n, bits). feature_map: f, (n, C, H, W). masks: shape
        (n, H·W).
        """
        n, _, height, width = feature_map.shape
        with wide_layers(feature_map.device):
            attended = [(feature_map * mask.view(n, 1, height, width)).flatten(1) for mask in masks]
            fc7 = [self.fully_connected(x) for x in attended]
        return [self.hashing(x.float()) for x in fc7]


class TextFeatures(nn.Module):
    """$E^T$: a two-layer network, ReLU after each layer.

    inputs: width of the text vectors. hidden: units of the first layer. width: d, of the second. dropout: share of the
    inputs left out in training.
    """

    def __init__(self, inputs: int, hidden: int, width: int, dropout: float, generator: Generator) -> None:
        super().__init__()
        self.dropout = Dropout(dropout, generator)
        self.first = linear(inputs, hidden, generator)
        self.second = linear(hidden, width, generator)

    def forward(self, texts: Tensor) -> Tensor:
        """f^T, shape (n, width). texts: shape (n, inputs)."""
        return torch.relu(self.second(torch.relu(self.first(self.dropout(texts)))))


class TextHead(nn.Module):
    """$D^T$: one tanh layer. width: d. bits: code length."""

    def __init__(self, width: int, bits: int, generator: Generator) -> None:
        super().__init__()
        self.hashing = linear(width, bits, generator)

    def logits(self, feature: Tensor, masks: list[Tensor]) -> list[Tensor]:
        """The codes before tanh under each of some masks, shape (n, bits). feature: f, shape (n, d). masks: the same
        shape.
        """
        return [self.hashing(feature * mask) for mask in masks]


class AttentionNetwork(nn.Module):
    """All of ADAH: features E, attention G (or None: then all is attended) and head D of both modalities, which are
    "image" and "text" where a method asks for one.
    """

    def __init__(
        self,
        image_features: nn.Module,
        text_features: nn.Module,
        image_attention: ImageAttention | None,
        text_attention: TextAttention | None,
        image_head: nn.Module,
        text_head: nn.Module,
    ) -> None:
        super().__init__()
        self.image_features, self.text_features = image_features, text_features
        self.image_attention, self.text_attention = image_attention, text_attention
        self.image_head, self.text_head = image_head, text_head

    def forward(self, images: Tensor, texts: Tensor) -> Codes:
        """The codes of a batch, attended and unattended.

        images: as E^I reads them. texts: shape (n, t). E receives a gradient through its part in the masks as well.
        """
        image, image_unattended, image_mask = self._codes("image", images)
        text, text_unattended, text_mask = self._codes("text", texts)
        return Codes(image, text, image_unattended, text_unattended, image_mask, text_mask)

    def _codes(self, modality: str, x: Tensor) -> tuple[Tensor, Tensor | None, Mask | None]:
        r"""H, $\hat H$ and the mask that parts them; without attention H only."""
        features, attention, head = self.parts(modality)
        f = features(x)
        if attention is None:
            return torch.tanh(head.logits(f, [_all_on(f)])[0]), None, None
        mask = attention(f)
        attended, unattended = head.logits(f, [mask.mask, 1 - mask.mask])
        return torch.tanh(attended), torch.tanh(unattended), mask

    def values(self, modality: str, x: Tensor) -> Tensor:
        """The codes of attended features before tanh, shape (n, bits): their signs are the bits."""
        features, attention, head = self.parts(modality)
        f = features(x)
        return head.logits(f, [_all_on(f) if attention is None else attention(f).mask])[0]

    def mask(self, modality: str, x: Tensor) -> Mask | None:
        """What the attention module says of inputs; None without attention."""
        features, attention, _ = self.parts(modality)
        return None if attention is None else attention(features(x))

    def once(self, images: Tensor) -> AbstractContextManager[None]:
        """A block of several steps on one batch: what a frozen layer makes of it is computed once. images: on the
        device, as the steps get them.
        """
        return self.image_head.once(images) if isinstance(self.image_head, SceneHead) else nullcontext()

    def attention_parameters(self) -> list[nn.Parameter]:
        """The parameters of G."""
        return [p for name, p in self.named_parameters() if "_attention." in name]

    def other_parameters(self) -> list[nn.Parameter]:
        """The parameters of E and D."""
        return [p for name, p in self.named_parameters() if "_attention." not in name]

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Those of E and D that are VGG-19's; none with SceneNet, which is frozen."""
        return [p for name, p in self.named_parameters() if ".convolutions." in name or ".fully_connected." in name]

    def parts(self, modality: str) -> tuple[nn.Module, nn.Module | None, nn.Module]:
        """E, G and D of a modality."""
        return tuple(getattr(self, f"{modality}_{part}") for part in ("features", "attention", "head"))


def _all_on(f: Tensor) -> Tensor:
    """The mask that attends to every place of a feature map, or to every entry of a text feature."""
    places = f.shape[2:].numel() if f.ndim == 4 else f.shape[1]
    return torch.ones(len(f), places, device=f.device)
