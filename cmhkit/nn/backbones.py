"""Backbones: networks that were trained before, and are frozen here.

SceneNet is to the scenes what VGG-19 is to photographs in the papers. It was trained by `weights/train_scenenet.py` to
name drawings.
"""

from __future__ import annotations

import functools
import json
import math
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.support.checks import InputError, check, check_integer
from cmhkit.support.files import sha256

WEIGHTS = Path(__file__).parent / "weights" / "scenenet.safetensors"
CARD = WEIGHTS.with_name("scenenet.json")
#: Side of the pictures that SceneNet reads, in pixels, and of its feature map, in places.
SIDE, PLACES = 64, 8
CHANNELS = 128


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class SceneNet(nn.Module):
    """A small convolutional network, 64×64 pixels → an 8×8 map of 128 channels → a score for each drawing at each
    place.

    drawings: how many drawings it names.
    """

    def __init__(self, drawings: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            _block(3, 24, 2),
            _block(24, 48, 2),
            _block(48, 64, 1),
            _block(64, CHANNELS, 2),
            _block(CHANNELS, CHANNELS, 1),
        )
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
def scenenet() -> SceneNet:
    """SceneNet with its weights, frozen and in evaluation mode, on the CPU. A file that does not match the card's
    checksum is an `InputError`.
    """
    from safetensors.torch import load_file

    described = card()
    found = sha256(WEIGHTS)
    check(
        found == described["sha256"],
        f"{WEIGHTS}: expected the SHA-256 {described['sha256']}, got {found}; install cmhkit again",
    )
    net = SceneNet(described["drawings"])
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)


# What VGG-19 and CNN-F share.

#: Mean and deviation of ImageNet's pictures, by which torchvision's weights expect their input to be scaled.
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@functools.cache
def _imagenet(device: torch.device) -> tuple[Tensor, Tensor]:
    """That mean and deviation on a device, shape (3, 1, 1). Kept, so that no step sends them again."""
    mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in (_IMAGENET_MEAN, _IMAGENET_DEVIATION))
    return mean, deviation


def _draw(net: nn.Module, generator: torch.Generator | None) -> None:
    """Draw the weights of a network of ReLUs and set its biases to 0. None leaves them as PyTorch draws them."""
    if generator is None:
        return
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)


def resized(x: Tensor, side: int) -> Tensor:
    """Pictures at another side. x: float, shape (n, 3, H, W). Returns shape (n, 3, side, side)."""
    if x.shape[2:] == (side, side):
        return x
    return nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


# VGG-19.

#: The widths of VGG-19's five blocks, and how many convolutions each has (configuration E of Simonyan and Zisserman,
#: ICLR 2015).
VGG19_WIDTHS, VGG19_DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)


class VGG19(nn.Module):
    """VGG-19 without its classifier of ImageNet: the convolutions and the last two fully connected layers before it,
    fc6 and fc7.

    Parameters are named as torchvision names them. side: of the pictures, a multiple of 32; others are resized. widths:
    of the five blocks. hidden: units of fc6 and fc7. generator: draws the weights; None leaves them as PyTorch draws
    them.
    """

    def __init__(
        self,
        side: int = 224,
        widths: tuple[int, ...] = VGG19_WIDTHS,
        hidden: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check(side > 0 and side % 32 == 0, f"side: expected a multiple of 32 above 0, got {side}")
        self.side, self.channels, self.hidden = side, widths[-1], hidden
        layers: list[nn.Module] = []
        inputs = 3
        for width, depth in zip(widths, VGG19_DEPTHS, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        flat = inputs * (side // 32) ** 2
        self.classifier = nn.Sequential(
            nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()
        )
        _draw(self, generator)

    def places(self, after_pool5: bool) -> int:
        """How many places the feature map has, H·W."""
        return (self.side // (32 if after_pool5 else 16)) ** 2

    def feature_map(self, pictures: Tensor, after_pool5: bool = True) -> Tensor:
        """The map of the last convolution, after or before pool5.

        pictures: uint8, shape (n, R, R, 3). Returns shape (n, 512, 7, 7), or (n, 512, 14, 14) before pool5, at least 0.
        """
        x = resized(pictures.permute(0, 3, 1, 2).float().div(255), self.side)
        mean, deviation = _imagenet(x.device)
        x = ((x - mean) / deviation).contiguous(memory_format=torch.channels_last)
        return self.features(x) if after_pool5 else self.features[:-1](x)

    def fully_connected(self, feature_map: Tensor) -> Tensor:
        """fc6 and fc7, each with its ReLU. feature_map: before or after pool5. Returns shape (n, 4096)."""
        places = self.side // 32
        if feature_map.shape[2] != places:
            feature_map = self.features[-1](feature_map)
        return self.classifier(feature_map.flatten(1))

    def fc7(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures after its ReLU. pictures: uint8, shape (n, R, R, 3). Returns shape (n, 4096), at least 0."""
        return self.fully_connected(self.feature_map(pictures))

    def forward(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures, shape (n, 4096)."""
        return self.fc7(pictures)

    def load_weights(self, path: str | Path | None) -> VGG19:
        """Read weights as torchvision keeps them. Returns self.

        path: torchvision's state dict (`vgg19-*.pth`) or the same as safetensors (by the ending `.safetensors`); its
        last layer, the classifier of ImageNet, is left out. None: warns that the network starts untrained.
        Errors: `InputError` that names the first name or shape that does not fit.
        """
        if path is None:
            warnings.warn(
                "VGG-19 starts untrained, since no weights were given: the papers start from ImageNet's. "
                "Pass the path of torchvision's vgg19-*.pth, or of the same as safetensors.",
                UserWarning,
                stacklevel=2,
            )
            return self
        state = _read_state(Path(path))
        state = {name: value for name, value in state.items() if not name.startswith("classifier.6.")}
        own = self.state_dict()
        for name, value in own.items():
            check(name in state, f"weights: expected {name} with shape {tuple(value.shape)}, got none in {path}")
            found = tuple(state[name].shape)
            check(
                found == tuple(value.shape),
                f"weights: expected {name} with shape {tuple(value.shape)}, got {found} in {path}",
            )
        unknown = sorted(set(state) - set(own))
        check(not unknown, f"weights: expected the names of VGG-19 only, got {unknown[0] if unknown else ''} in {path}")
        self.load_state_dict(state)
        return self


def _read_state(path: Path) -> dict[str, Tensor]:
    """Named tensors from a file of PyTorch or of safetensors; no code in it is run."""
    check(path.is_file(), f"weights: expected a file, got {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"weights: expected a state dict of VGG-19, got {path}, which cannot be read ({type(error).__name__}: {error})"
        ) from error
    named = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    check(named, f"weights: expected a state dict, names to tensors, got {type(state).__name__} in {path}")
    return state


# CNN-F.

#: CNN-F's five convolutions: how many filters, their side, stride and padding (CNN-F of Chatfield et al., BMVC 2014,
#: table 1).
CNNF_WIDTHS, _CNNF_FILTERS, _CNNF_STRIDES, _CNNF_PADDING = (
    (64, 256, 256, 256, 256),
    (11, 5, 3, 3, 3),
    (4, 1, 1, 1, 1),
    (0, 2, 1, 1, 1),
)
#: Side of the pictures that CNN-F's weights expect, and the least that leaves a place after its last pooling.
CNNF_SIDE, _CNNF_LEAST = 224, 55
#: How many neighbouring channels its local response normalisation sums over.
_CNNF_WINDOW = 5
#: Its kappa, alpha and beta in MatConvNet's terms, where a file does not say.
_CNNF_NORM = (2.0, 1e-4, 0.75)
#: The layers of MatConvNet's file that have filters; fc8 follows.
_CNNF_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")


class ResponseNorm(nn.Module):
    r"""Local response normalisation across channels, with MatConvNet's parameters:
    $y_k = x_k / (\kappa + \alpha \sum_{q \in Q(k)} x_q^2)^\beta$.

    Q(k) are the 5 channels around k. PyTorch writes alpha / 5 where MatConvNet writes alpha: it is converted here.
    kappa, alpha and beta are part of the state, since they come with the weights. Source: MatConvNet, vl_nnnormalize;
    Krizhevsky et al., NIPS 2012, section 3.3.
    """

    def __init__(self) -> None:
        super().__init__()
        kappa, alpha, beta = _CNNF_NORM
        self.register_buffer("kappa", torch.tensor(kappa))
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))

    def forward(self, x: Tensor) -> Tensor:
        """x: shape (n, C, H, W). Returns the same shape."""
        return nn.functional.local_response_norm(
            x, _CNNF_WINDOW, alpha=self.alpha * _CNNF_WINDOW, beta=self.beta, k=self.kappa
        )


class CNNF(nn.Module):
    """CNN-F without its classifier of ImageNet: five convolutions and two fully connected layers, fc6 and fc7.

    This is MatConvNet's imagenet-vgg-f, which SSAH and DCMH start from. Pictures keep their values 0 to 255; the mean
    picture is subtracted.

    side: of the pictures; others are resized. MatConvNet's weights are for 224. widths: of the five convolutions.
    hidden: units of fc6 and fc7. generator: draws the weights; None leaves them as PyTorch draws them. Without a file
    the mean picture is ImageNet's mean colour.
    """

    mean: Tensor

    def __init__(
        self,
        side: int = CNNF_SIDE,
        widths: tuple[int, ...] = CNNF_WIDTHS,
        hidden: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_integer("side", side, _CNNF_LEAST)
        check(len(widths) == len(CNNF_WIDTHS), f"widths: expected {len(CNNF_WIDTHS)} of them, got {widths}")
        self.side, self.channels, self.hidden = side, widths[-1], hidden
        layers: list[nn.Module] = []
        inputs, places = 3, side
        for number, (width, filter_side, stride, padding) in enumerate(
            zip(widths, _CNNF_FILTERS, _CNNF_STRIDES, _CNNF_PADDING, strict=True), 1
        ):
            layers += [nn.Conv2d(inputs, width, filter_side, stride, padding), nn.ReLU()]
            inputs, places = width, (places + 2 * padding - filter_side) // stride + 1
            if number <= 2:
                layers.append(ResponseNorm())
            if number in (1, 2, 5):
                # MatConvNet pads with one row and one column at the far ends, where nothing can be the maximum: the
                # last window may be cut.
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                places = (places - 2) // 2 + 1
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(inputs * places**2, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(),
        )
        self.register_buffer(
            "mean", (255 * torch.tensor(_IMAGENET_MEAN))[:, None, None].expand(3, side, side).contiguous()
        )
        _draw(self, generator)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """The map after pool5. pictures: uint8, shape (n, R, R, 3). Returns shape (n, 256, 6, 6), at least 0."""
        x = resized(pictures.permute(0, 3, 1, 2).float(), self.side) - self.mean
        return self.features(x.contiguous(memory_format=torch.channels_last))

    def fully_connected(self, feature_map: Tensor) -> Tensor:
        """fc6 and fc7, each with its ReLU. Returns shape (n, 4096)."""
        return self.classifier(feature_map.flatten(1))

    def fc7(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures after its ReLU. pictures: uint8, shape (n, R, R, 3). Returns shape (n, 4096), at least 0."""
        return self.fully_connected(self.feature_map(pictures))

    def forward(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures, shape (n, 4096)."""
        return self.fc7(pictures)

    def load_weights(self, path: str | Path | None) -> CNNF:
        """Read MatConvNet's weights, its mean picture and the parameters of its local response normalisation. Returns
        self.

        path: `imagenet-vgg-f.mat`, with `layers{i}.filters` and `.biases` and the mean picture in `normalization`, or
        with `layers{i}.weights` and `meta.normalization`. fc8, the classifier of ImageNet, is left out. None: warns
        that the network starts untrained.
        Errors: `InputError` for a file that is none, and one that names the first layer whose filters do not fit.
        Source: MatConvNet's format of simple networks (vl_simplenn_tidy). Its filters are (height, width, in, out) and
        are applied without a flip; fc6 and fc7 are convolutions there.
        """
        if path is None:
            warnings.warn(
                "CNN-F starts untrained, since no weights were given: the papers start from ImageNet's. "
                "Pass the path of MatConvNet's imagenet-vgg-f.mat.",
                UserWarning,
                stacklevel=2,
            )
            return self
        layers, mean = _read_matconvnet(Path(path))
        state = {"mean": self._mean_picture(mean, path)}
        state |= self._filters_of([layer for layer in layers if _text(layer, "type") == "conv"], path)
        state |= self._norms_of([layer for layer in layers if _text(layer, "type") in ("lrn", "normalize")], path)
        self.load_state_dict(state)
        return self

    def _filters_of(self, found: list, path: str | Path) -> dict[str, Tensor]:
        """The weights of the seven layers, from the file's layers with filters."""
        parts = (
            (f"features.{i}", layer) for i, layer in self.features.named_children() if isinstance(layer, nn.Conv2d)
        )
        heads = (
            (f"classifier.{i}", layer) for i, layer in self.classifier.named_children() if isinstance(layer, nn.Linear)
        )
        state: dict[str, Tensor] = {}
        for number, (name, (key, layer)) in enumerate(zip(_CNNF_NAMES, (*parts, *heads), strict=True)):
            if isinstance(layer, nn.Conv2d):
                (side, _), stride, padding, inputs = (
                    layer.kernel_size,
                    layer.stride[0],
                    layer.padding[0],
                    layer.in_channels,
                )
            else:  # a convolution there, as wide as its input
                inputs = self.channels if name == "fc6" else layer.in_features
                side, stride, padding = math.isqrt(layer.in_features // inputs), 1, 0
            shape = (side, side, inputs, len(layer.bias))
            wanted = f"weights: expected {name} with filters of shape {shape} (height, width, in, out)"
            check(number < len(found), f"{wanted}, got none in {path}")
            filters, biases = _filters(found[number], name, path)
            check(filters.shape == shape, f"{wanted}, got {filters.shape} in {path}")
            check(
                biases.size == shape[3], f"weights: expected {name} with {shape[3]} biases, got {biases.size} in {path}"
            )
            for field, value in (("stride", stride), ("pad", padding)):
                values = np.ravel(getattr(found[number], field, value)).tolist()
                check(set(values) == {value}, f"weights: expected {name} with {field} {value}, got {values} in {path}")
            weight = torch.from_numpy(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)))
            state |= {
                f"{key}.weight": weight.reshape(layer.weight.shape),
                f"{key}.bias": torch.from_numpy(biases.ravel()),
            }
        most = len(_CNNF_NAMES) + 1
        check(
            len(found) <= most,
            f"weights: expected at most {most} layers with filters, fc8 the last, got {len(found)} in {path}",
        )
        return state

    def _norms_of(self, found: list, path: str | Path) -> dict[str, Tensor]:
        """The parameters of the layers of local response normalisation."""
        places = [name for name, layer in self.features.named_children() if isinstance(layer, ResponseNorm)]
        check(
            len(found) == len(places),
            f"weights: expected {len(places)} layers of local response normalisation, got {len(found)} in {path}",
        )
        state: dict[str, Tensor] = {}
        for number, (place, layer) in enumerate(zip(places, found, strict=True), 1):
            values = np.ravel(getattr(layer, "param", (_CNNF_WINDOW, *_CNNF_NORM)))
            good = values.dtype.kind in "fiu" and len(values) == 4 and values[0] == _CNNF_WINDOW
            check(
                good,
                f"weights: expected norm{number} with [{_CNNF_WINDOW}, kappa, alpha, beta], got {values.tolist()} in {path}",
            )
            state |= {
                f"features.{place}.{key}": torch.tensor(float(v))
                for key, v in zip(("kappa", "alpha", "beta"), values[1:], strict=True)
            }
        return state

    def _mean_picture(self, mean: object, path: str | Path) -> Tensor:
        """The file's mean picture, or mean colour, as the network subtracts it, shape (3, side, side)."""
        values = np.squeeze(_numbers(mean, "averageImage", path))
        side = self.side
        if values.shape == (3,):
            values = np.broadcast_to(values, (side, side, 3))
        right = values.ndim == 3 and values.shape[2] == 3
        check(right, f"weights: expected averageImage with shape (height, width, 3), got {values.shape} in {path}")
        return resized(torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None], side)[0]


def _read_matconvnet(path: Path) -> tuple[list, object]:
    """The layers of a network that MatConvNet saved, and its mean picture (a value that is not checked yet)."""
    from scipy.io import loadmat

    check(path.is_file(), f"weights: expected a file, got {path}")
    try:
        net = loadmat(path, struct_as_record=False)
    except NotImplementedError as error:
        raise InputError(
            f"weights: expected a MATLAB v5 or v7 file, got {path}, which is v7.3 (HDF5); save it again with save(..., '-v7')"
        ) from error
    except Exception as error:  # SciPy has no one error for a file that it cannot read
        raise InputError(
            f"weights: expected MatConvNet's imagenet-vgg-f.mat, got {path}, which cannot be read ({error})"
        ) from error
    if "net" in net and "layers" not in net:
        net = vars(_struct(net["net"]))
    check(
        "layers" in net,
        f"weights: expected a network of MatConvNet with its layers, got {', '.join(k for k in net if k[:1] != '_')} in {path}",
    )
    normalization = _struct(net.get("normalization")) or _struct(
        getattr(_struct(net.get("meta")), "normalization", None)
    )
    mean = getattr(normalization, "averageImage", None)
    check(
        mean is not None,
        f"weights: expected normalization.averageImage or meta.normalization.averageImage, got none in {path}",
    )
    layers = [_struct(layer) for layer in np.ravel(net["layers"])]
    check(all(layer is not None for layer in layers), f"weights: expected layers as a cell of structures in {path}")
    return layers, mean


def _struct(value: object) -> object | None:
    """The structure in a value of MATLAB's, which is a 1×1 array of it, or None."""
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.ravel()[0]
    return value if hasattr(value, "_fieldnames") else None


def _text(layer: object, field: str) -> str:
    """A field of a structure that holds a text; empty where there is none."""
    values = np.ravel(getattr(layer, field, ""))
    return str(values[0]) if len(values) else ""


def _filters(layer: object, name: str, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Filters (height, width, in, out) and biases of a layer, in the old layout or the new."""
    weights = getattr(layer, "weights", None)
    pair = (
        list(np.ravel(weights))
        if weights is not None
        else [getattr(layer, "filters", None), getattr(layer, "biases", None)]
    )
    check(len(pair) >= 2, f"weights: expected {name} with filters and biases, got {len(pair)} arrays in {path}")
    filters, biases = (
        _numbers(value, f"{name}'s {what}", path) for value, what in zip(pair[:2], ("filters", "biases"), strict=True)
    )
    return filters.reshape(filters.shape + (1,) * (4 - filters.ndim)), biases


def _numbers(value: object, what: str, path: str | Path) -> np.ndarray:
    """A full array of finite numbers, float32."""
    good = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and bool(np.isfinite(value).all())
    check(
        good,
        f"weights: expected {what} as an array of finite numbers, got {getattr(value, 'dtype', type(value).__name__)} in {path}",
    )
    return np.asarray(value, dtype=np.float32)
