"""Backbones: networks that were trained before, and are frozen here.

SceneNet is to the scenes what VGG-19 is to photographs in the papers. It was trained by `weights/train_scenenet.py` to name drawings.
"""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from cmhkit.data.cache import sha256
from cmhkit.errors import InputError, check

WEIGHTS = Path(__file__).parent / "weights" / "scenenet.safetensors"
CARD = WEIGHTS.with_name("scenenet.json")
#: Side of the pictures that SceneNet reads, in pixels, and of its feature map, in places.
SIDE, PLACES = 64, 8
CHANNELS = 128


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class SceneNet(nn.Module):
    """A small convolutional network, 64×64 pixels → an 8×8 map of 128 channels → a score for each drawing at each place.

    drawings: how many drawings it names.
    """

    def __init__(self, drawings: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            _block(3, 24, 2), _block(24, 48, 2), _block(48, 64, 1), _block(64, CHANNELS, 2), _block(CHANNELS, CHANNELS, 1)
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
    """SceneNet with its weights, frozen and in evaluation mode, on the CPU. A file that does not match the card's checksum is an `InputError`."""
    from safetensors.torch import load_file

    described = card()
    found = sha256(WEIGHTS)
    check(found == described["sha256"], f"{WEIGHTS}: expected the SHA-256 {described['sha256']}, got {found}; install cmhkit again")
    net = SceneNet(described["drawings"])
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)


# VGG-19.

#: The widths of VGG-19's five blocks, and how many convolutions each has (configuration E of Simonyan and Zisserman, ICLR 2015).
VGG19_WIDTHS, VGG19_DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)
#: Mean and deviation of ImageNet's pictures, by which torchvision's weights expect their input to be scaled.
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """VGG-19 without its classifier of ImageNet: the convolutions and the last two fully connected layers before it, fc6 and fc7.

    Parameters are named as torchvision names them. side: of the pictures, a multiple of 32; others are resized. widths: of the five blocks.
    hidden: units of fc6 and fc7. generator: draws the weights; None leaves them as PyTorch draws them.
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
        self.classifier = nn.Sequential(nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout())
        if generator is not None:
            for layer in self.modules():
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                    nn.init.zeros_(layer.bias)

    def places(self, after_pool5: bool) -> int:
        """How many places the feature map has, H·W."""
        return (self.side // (32 if after_pool5 else 16)) ** 2

    def feature_map(self, pictures: Tensor, after_pool5: bool = True) -> Tensor:
        """The map of the last convolution, after or before pool5.

        pictures: uint8, shape (n, R, R, 3). Returns shape (n, 512, 7, 7), or (n, 512, 14, 14) before pool5, at least 0.
        """
        x = pictures.permute(0, 3, 1, 2).float().div(255)
        if x.shape[2:] != (self.side, self.side):
            x = nn.functional.interpolate(x, size=(self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(v, device=x.device)[:, None, None] for v in (_IMAGENET_MEAN, _IMAGENET_DEVIATION))
        x = ((x - mean) / deviation).contiguous(memory_format=torch.channels_last)
        return self.features(x) if after_pool5 else self.features[:-1](x)

    def fully_connected(self, feature_map: Tensor) -> Tensor:
        """fc6 and fc7, each with its ReLU. feature_map: before or after pool5. Returns shape (n, 4096)."""
        places = self.side // 32
        if feature_map.shape[2] != places:
            feature_map = self.features[-1](feature_map)
        return self.classifier(feature_map.flatten(1))

    def forward(self, pictures: Tensor) -> Tensor:
        """fc7 of pictures, shape (n, 4096)."""
        return self.fully_connected(self.feature_map(pictures))

    def load_weights(self, path: str | Path | None) -> VGG19:
        """Read weights as torchvision keeps them. Returns self.

        path: torchvision's state dict (`vgg19-*.pth`) or the same as safetensors (by the ending `.safetensors`); its last layer, the
        classifier of ImageNet, is left out. None: warns that the network starts untrained.
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
            check(found == tuple(value.shape), f"weights: expected {name} with shape {tuple(value.shape)}, got {found} in {path}")
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
        raise InputError(f"weights: expected a state dict of VGG-19, got {path}, which cannot be read ({type(error).__name__}: {error})") from error
    named = isinstance(state, dict) and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())
    check(named, f"weights: expected a state dict, names to tensors, got {type(state).__name__} in {path}")
    return state
