"""Features of pictures from a frozen backbone, computed once and cached.

The cache knows each picture by its content. A part of a set that was seen before, a query split say, is therefore
looked up and not computed.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmhkit.data import cache
from cmhkit.data.pairs import checked_images
from cmhkit.support.checks import InputError, check, check_choice
from cmhkit.support.progress import progress

#: What can be had of a picture, with its shape. "posterior" is the square root of the softmax of the scores, a vector
#: of length 1.
KINDS = {"posterior": "(drawings,)", "scores": "(drawings,)", "pooled": "(256,)", "map": "(128, 8, 8)"}
#: The networks that pictures go through, by the name that a data set carries, and what they are called.
BACKBONES = {"scenenet": "SceneNet", "efficientnet-lite0": "EfficientNet-Lite0"}
_BATCH = 100
_MAP = (128, 8, 8)  # the shape of SceneNet's map
# Fewer pictures than this are computed at once, without a cache. EfficientNet-Lite0 takes fifty times as long for one.
_WORTH_CACHING = {"scenenet": 64, "efficientnet-lite0": 8}


@dataclass(frozen=True)
class _Stored:
    """Features of some pictures.

    maps: an array, or the file that holds it, so that maps nobody asks for take no memory; None for EfficientNet-Lite0.
    scores: SceneNet's scores, or EfficientNet-Lite0's pooled features.
    """

    maps: np.ndarray | Path | None
    scores: np.ndarray

    def opened(self) -> np.ndarray:
        return np.load(self.maps, mmap_mode="r") if isinstance(self.maps, Path) else self.maps


_known: dict[bytes, tuple[_Stored, int]] = {}


def image_features(
    images: np.ndarray, kind: str = "posterior", *, backbone: str = "scenenet", show_progress: bool = True
) -> np.ndarray:
    """A backbone's features of pictures; image features that are vectors already come back as they are.

    images: pictures, uint8, shape (n, H, W, 3), any side (they are resized to what the backbone reads), or features,
    shape (n, d). kind: one of `KINDS`, of SceneNet's features. backbone: one of `BACKBONES`; EfficientNet-Lite0 gives
    its pooled features, shape (n, 1280), whatever the kind. Returns float32, shape (n, ...); a map comes in the 16 bits
    in which it is kept, which is half the memory. Errors: `InputError` for another shape, or a map of features that
    have no map, or of a backbone that gives none here.
    """
    check_backbone(backbone, kind)
    images = checked_images(images)
    if images.ndim == 2:
        check(
            kind != "map",
            "images: expected pictures (n, H, W, 3), since a feature map is asked for, got feature vectors",
        )
        return images
    names = remember(images, backbone=backbone, show_progress=show_progress)
    missing = [i for i, name in enumerate(names) if name not in _known]
    new = _computed(images[missing], False, backbone) if missing else None
    computed = {names[i]: (new, row) for row, i in enumerate(missing)}
    places = [_known.get(name) or computed[name] for name in names]
    if backbone == "scenenet" and kind in ("map", "pooled"):
        shape, dtype = ((256,), np.float32) if kind == "pooled" else (_MAP, np.float16)
        out = np.empty((len(places), *shape), dtype)
        for i in range(0, len(places), _BATCH):
            out[i : i + _BATCH] = _read(places[i : i + _BATCH], kind == "pooled")
        return out
    scores = np.stack([stored.scores[row] for stored, row in places])
    return scores if kind == "scores" or backbone != "scenenet" else posterior(scores)


def check_backbone(backbone: str, kind: str) -> None:
    """Errors: `InputError` for an unknown backbone, an unknown kind, and a map of a backbone that gives none here."""
    check_choice("kind", kind, KINDS)
    check_choice("backbone", backbone, BACKBONES)
    check(
        backbone == "scenenet" or kind != "map",
        f"backbone: expected scenenet, since its feature map is asked for, got {backbone}",
    )


def check_features(features: str | None) -> None:
    """Errors: `InputError` for a backbone that a data set cannot have, or one without its weights. None is for methods
    that read pictures themselves.
    """
    known = (*sorted(BACKBONES), None)
    check(features in known, f"features: expected one of {', '.join(map(repr, known))}, got {features!r}")
    if features == "efficientnet-lite0":
        from cmhkit.data.photos import weights_file

        try:
            weights_file()
        except InputError as error:
            raise InputError(f"features: {error}; or pass features='scenenet' or None") from error


def _read(places: list[tuple[_Stored, int]], pooled: bool) -> np.ndarray:
    """Maps at these places, or their maximum and mean. The files are closed again, so that what was read of them leaves
    the memory.
    """
    opened = {id(stored): stored.opened() for stored, _ in places}
    maps = np.stack([opened[id(stored)][row] for stored, row in places])
    if not pooled:
        return maps
    maps = maps.astype(np.float32)
    return np.concatenate([maps.max(axis=(2, 3)), maps.mean(axis=(2, 3))], axis=1)


def remember(images: np.ndarray, *, backbone: str = "scenenet", show_progress: bool = True) -> list[bytes]:
    """Compute and cache the features of a set of pictures, unless each is known, so that any part of the set is looked
    up from now on.

    images: pictures, uint8, shape (n, H, W, 3). backbone: one of `BACKBONES`. Fewer pictures than 64 (8 for
    EfficientNet-Lite0) are not cached. Returns the names of the pictures, which tell their content and the backbone.
    """
    check(len(images) > 0, "images: expected at least one picture, got none")
    names = _names(images, backbone)
    if not all(name in _known for name in names) and len(images) >= _WORTH_CACHING[backbone]:
        _remember(images, names, show_progress, backbone)
    return names


def posterior(scores: np.ndarray) -> np.ndarray:
    """The square root of the softmax of scores, float32, shape (n, drawings). Its Euclidean distance is the Hellinger
    distance times √2.
    """
    shifted = np.exp((scores - scores.max(axis=1, keepdims=True)) / 2)
    return (shifted / np.sqrt((shifted**2).sum(axis=1, keepdims=True))).astype(np.float32)


def _names(images: np.ndarray, backbone: str) -> list[bytes]:
    key = b"" if backbone == "scenenet" else backbone.encode()
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=key).digest() for image in images]


def _remember(images: np.ndarray, names: list[bytes], show_progress: bool, backbone: str) -> None:
    import torch

    key = {
        "what": f"{BACKBONES[backbone]} features",
        "weights": _weights(backbone),
        "pictures": hashlib.sha256(b"".join(names)).hexdigest(),
        "torch": torch.__version__,
    }

    def build(folder: Path) -> None:
        stored = _computed(images, show_progress, backbone, folder / "maps.npy")
        np.save(folder / "scores.npy", stored.scores)

    folder = cache.checked_folder("features", key, build)
    stored = _Stored(folder / "maps.npy" if backbone == "scenenet" else None, np.load(folder / "scores.npy"))
    _known.update({name: (stored, row) for row, name in enumerate(names)})


def _weights(backbone: str) -> str:
    """The checksum of a backbone's weights."""
    if backbone == "scenenet":
        from cmhkit.nn import backbones

        return backbones.card()["sha256"]
    from cmhkit.data import photos

    return photos.SHA256


def _computed(images: np.ndarray, show_progress: bool, backbone: str, file: Path | None = None) -> _Stored:
    """Features of pictures. file: where maps are written, a batch at a time; None keeps them in memory."""
    if backbone == "scenenet":
        return _compute(images, show_progress, file)
    from cmhkit.data import photos

    return _Stored(None, photos.pooled_features(images, show_progress))


def _compute(images: np.ndarray, show_progress: bool, file: Path | None = None) -> _Stored:
    import torch

    from cmhkit.data.large import array_file
    from cmhkit.nn.backbones import scenenet
    from cmhkit.support.precision import own_settings

    net = scenenet()
    maps, scores = [], []
    bar = progress(len(images), "Features of pictures", show_progress)
    with own_settings(), torch.no_grad(), ExitStack() as stack:
        step = stack.enter_context(bar)
        write = maps.append
        if file is not None:
            write = stack.enter_context(array_file(file, (len(images), *_MAP), np.float16))
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(_resized(np.array(images[start : start + _BATCH])))
            feature_map = net.feature_map(batch)
            write(feature_map.numpy().astype(np.float16))
            scores.append(net.scores(feature_map).numpy())
            step(len(batch))
    return _Stored(np.concatenate(maps) if file is None else file, np.concatenate(scores))


def _resized(images: np.ndarray) -> np.ndarray:
    from cmhkit.nn.backbones import SIDE

    if images.shape[1:3] == (SIDE, SIDE):
        return images
    from PIL import Image

    return np.stack([np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX)) for image in images])
