"""Backbones: networks that were trained before.

SceneNet is to the scenes what VGG-19 is to photographs in the papers, and frozen here. `tools/train_scenenet.py` has
trained it to name drawings. The weights of VGG-19 and CNN-F are in files that others wrote, which
`cmhkit.data.field.weights` reads.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from cmhkit.nn.layers import Dropout
from cmhkit.support import precision
from cmhkit.support.checks import check, check_integer
from cmhkit.support.files import sha256

WEIGHTS = Path(__file__).parent / "weights" / "scenenet.safetensors"
CARD = WEIGHTS.with_name("scenenet.json")
#: Side of the pictures that SceneNet reads, in pixels, and of its feature map, in places.
SIDE, PLACES = 64, 8
CHANNELS = 128


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class SceneNet(nn.Module):
    """64×64 pixels → an 8×8 map of 128 channels → a score for each drawing at each place. drawings: their number."""

    def __init__(self, drawings: int) -> None:
        super().__init__()
        widths, strides = (3, 24, 48, 64, CHANNELS, CHANNELS), (2, 2, 1, 2, 1)
        self.convolutions = nn.Sequential(*map(_block, widths, widths[1:], strides))
        self.scoring = nn.Conv2d(CHANNELS, drawings, 1)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """The feature map. pictures: uint8, shape (n, 64, 64, 3). Returns float, shape (n, 128, 8, 8), at least 0."""
        x = pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        return self.convolutions(x.contiguous(memory_format=torch.channels_last))

    def scores(self, feature_map: Tensor) -> Tensor:
        r"""The score of each drawing in the whole picture: $\log \sum_p \exp s_{dp}$ over the 64 places p.

        feature_map: shape (n, 128, 8, 8). Returns shape (n, drawings).
        """
        return self.scoring(feature_map).flatten(2).logsumexp(dim=2)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores of pictures, shape (n, drawings)."""
        return self.scores(self.feature_map(pictures))


def card() -> dict:
    """What SceneNet was trained on and how well it does."""
    return json.loads(CARD.read_text(encoding="utf-8"))


@functools.cache
@precision.own_settings()
def scenenet() -> SceneNet:
    """SceneNet with its weights, frozen, on the CPU. Errors: `InputError` for a file without the card's checksum."""
    from safetensors.torch import load_file

    described, digest = card(), sha256(WEIGHTS)
    same = digest == described["sha256"]
    check(same, f"{WEIGHTS}: expected the SHA-256 {described['sha256']}, got {digest}; install cmhkit again")
    net = SceneNet(described["drawings"])
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)


# What VGG-19 and CNN-F share.

#: Mean and deviation of ImageNet's pictures, by which torchvision's weights expect their input to be scaled.
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@functools.cache
@precision.own_settings()
def _imagenet(device: torch.device) -> tuple[Tensor, Tensor]:
    """That mean and deviation on a device, shape (3, 1, 1). Kept, so that no step sends them again."""
    mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in (_IMAGENET_MEAN, _IMAGENET_DEVIATION))
    return mean, deviation


def resized(x: Tensor, side: int) -> Tensor:
    """Pictures at another side. x: float, shape (n, 3, H, W). Returns shape (n, 3, side, side)."""
    if x.shape[2:] == (side, side):
        return x
    return nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


class _ImageNetwork(nn.Module):
    """Convolutions, fc6 and fc7, without the classifier of ImageNet.

    layers: the convolutions. side: of the pictures; others are resized. channels, places: of the feature map, and of
    one of its sides. hidden: units of fc6 and fc7. generator: draws the weights, sets the biases to 0, and draws what
    dropout leaves out; None leaves all that to PyTorch.
    """

    def __init__(
        self,
        layers: list[nn.Module],
        side: int,
        channels: int,
        places: int,
        hidden: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.side, self.channels, self.hidden = side, channels, hidden
        self.features = nn.Sequential(*layers)
        fc6, fc7 = nn.Linear(channels * places**2, hidden), nn.Linear(hidden, hidden)
        dropout = [nn.Dropout() if generator is None else Dropout(0.5, generator) for _ in range(2)]
        self.classifier = nn.Sequential(fc6, nn.ReLU(), dropout[0], fc7, nn.ReLU(), dropout[1])
        for layer in self.modules() if generator is not None else ():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(layer.bias)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """The map of the last convolution after its pooling, at least 0, shape (n, channels, places, places). pictures:
        uint8, shape (n, R, R, 3).
        """
        return self.features(self._scaled(pictures.permute(0, 3, 1, 2).float()))

    def _scaled(self, x: Tensor) -> Tensor:
        """What the convolutions read. x: pictures, 0 to 255, floating point, shape (n, 3, R, R)."""
        raise NotImplementedError

    def fully_connected(self, feature_map: Tensor) -> Tensor:
        """fc6 and fc7, each with its ReLU, shape (n, 4096)."""
        return self.classifier(feature_map.flatten(1))

    def forward(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures after its ReLU, shape (n, 4096). pictures: uint8, shape (n, R, R, 3)."""
        return self.fully_connected(self.feature_map(pictures))


#: The widths of VGG-19's five blocks, and how many convolutions each has (configuration E of Simonyan and Zisserman,
#: ICLR 2015).
VGG19_WIDTHS, VGG19_DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)


class VGG19(_ImageNetwork):
    """VGG-19 up to fc7; parameters are named as torchvision names them.

    side: of the pictures, a multiple of 32. widths: of the five blocks. hidden, generator: as for `_ImageNetwork`.
    """

    def __init__(
        self,
        side: int = 224,
        widths: tuple[int, ...] = VGG19_WIDTHS,
        hidden: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        check(side > 0 and side % 32 == 0, f"side: expected a multiple of 32 above 0, got {side}")
        layers: list[nn.Module] = []
        inputs = 3
        for width, depth in zip(widths, VGG19_DEPTHS, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        super().__init__(layers, side, inputs, side // 32, hidden, generator)

    def _scaled(self, x: Tensor) -> Tensor:
        mean, deviation = _imagenet(x.device)
        return ((resized(x.div(255), self.side) - mean) / deviation).contiguous(memory_format=torch.channels_last)


#: CNN-F's five convolutions: how many filters, their side, stride and padding (Chatfield et al., BMVC 2014, table 1).
CNNF_WIDTHS = (64, 256, 256, 256, 256)
_CNNF_FILTERS, _CNNF_STRIDES, _CNNF_PADDING = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (0, 2, 1, 1, 1)
#: Side of the pictures that CNN-F's weights expect, and the least that leaves a place after its last pooling.
CNNF_SIDE, _CNNF_LEAST = 224, 55


class ResponseNorm(nn.Module):
    r"""Local response normalisation across channels, with MatConvNet's parameters:
    $y_k = x_k / (\kappa + \alpha \sum_{q \in Q(k)} x_q^2)^\beta$.

    Q(k) are the 5 channels around k. PyTorch writes alpha / 5 where MatConvNet writes alpha: it is converted here.
    kappa, alpha and beta are part of the state, since they come with the weights. Source: MatConvNet, vl_nnnormalize;
    Krizhevsky et al., NIPS 2012, section 3.3.
    """

    #: How many channels it sums over; and kappa, alpha and beta where a file does not say.
    WINDOW, USUAL = 5, {"kappa": 2.0, "alpha": 1e-4, "beta": 0.75}

    def __init__(self) -> None:
        super().__init__()
        for name, value in self.USUAL.items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        """x: shape (n, C, H, W). Returns the same shape."""
        alpha = self.alpha * self.WINDOW
        return nn.functional.local_response_norm(x, self.WINDOW, alpha=alpha, beta=self.beta, k=self.kappa)


class CNNF(_ImageNetwork):
    """CNN-F up to fc7: MatConvNet's imagenet-vgg-f, which SSAH and DCMH start from.

    Pictures keep their values 0 to 255; the mean picture is subtracted. Without a file that is ImageNet's mean colour.
    side: of the pictures; MatConvNet's weights are for 224. widths: of the five convolutions. hidden, generator: as for
    `_ImageNetwork`.
    """

    mean: Tensor

    def __init__(
        self,
        side: int = CNNF_SIDE,
        widths: tuple[int, ...] = CNNF_WIDTHS,
        hidden: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        check_integer("side", side, _CNNF_LEAST)
        check(len(widths) == len(CNNF_WIDTHS), f"widths: expected {len(CNNF_WIDTHS)} of them, got {widths}")
        layers: list[nn.Module] = []
        inputs, places = 3, side
        shapes = zip(widths, _CNNF_FILTERS, _CNNF_STRIDES, _CNNF_PADDING, strict=True)
        for number, (width, filter_side, stride, padding) in enumerate(shapes, 1):
            layers += [nn.Conv2d(inputs, width, filter_side, stride, padding), nn.ReLU()]
            inputs, places = width, (places + 2 * padding - filter_side) // stride + 1
            if number <= 2:
                layers.append(ResponseNorm())
            if number in (1, 2, 5):
                # MatConvNet pads with one row and one column at the far ends, where nothing can be the maximum: the
                # last window may be cut.
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                places = (places - 2) // 2 + 1
        super().__init__(layers, side, inputs, places, hidden, generator)
        colour = 255 * torch.tensor(_IMAGENET_MEAN)
        self.register_buffer("mean", colour[:, None, None].expand(3, side, side).contiguous())

    def _scaled(self, x: Tensor) -> Tensor:
        return (resized(x, self.side) - self.mean).contiguous(memory_format=torch.channels_last)
