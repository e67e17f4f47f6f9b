"""Backbones: networks that were trained before, and are frozen here.

SceneNet is to the scenes what VGG-19 is to photographs in the papers. It was trained by `weights/train_scenenet.py` to name drawings.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from cmhkit.data.cache import sha256
from cmhkit.errors import check

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
