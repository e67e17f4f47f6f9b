"""The weights of VGG-19 and CNN-F, from the files in which others published them.

VGG-19: torchvision's state dict. CNN-F: MatConvNet's format of simple networks (vl_simplenn_tidy), of which there are
two layouts. Its filters are (height, width, in, out) and are applied without a flip; fc6 and fc7 are convolutions
there. No code in a file is run.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.data.field.containers import container_kind, open_container, stored
from cmhkit.data.field.tables import V5
from cmhkit.nn.backbones import CNNF, VGG19, ResponseNorm, resized
from cmhkit.support.checks import InputError, check, some

Network = TypeVar("Network", VGG19, CNNF)

#: The layers of MatConvNet's file that have filters; fc8 follows.
_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")


def load_weights(net: Network, path: str | Path | None) -> Network:
    """Read a network's weights from a file. The classifier of ImageNet, its last layer, is left out. Returns the
    network.

    path: for VGG-19, torchvision's state dict (`vgg19-*.pth`) or the same as safetensors (by the ending
    `.safetensors`). For CNN-F, `imagenet-vgg-f.mat`, with `layers{i}.filters` and `.biases` and the mean picture in
    `normalization`, or with `layers{i}.weights` and `meta.normalization`. None: warns that the network starts
    untrained.
    Errors: `InputError` for a file that is none, and one that names the first name, layer or shape that does not fit.
    """
    kind, name, file = (
        (_torchvision_state, "VGG-19", "torchvision's vgg19-*.pth, or of the same as safetensors")
        if isinstance(net, VGG19)
        else (_matconvnet_state, "CNN-F", "MatConvNet's imagenet-vgg-f.mat")
    )
    if path is None:
        message = f"{name} starts untrained, since no weights were given: the papers start from ImageNet's. "
        warnings.warn(f"{message}Pass the path of {file}.", UserWarning, stacklevel=2)
        return net
    path = Path(path)
    check(path.is_file(), f"weights: expected a file, got {path}")
    net.load_state_dict(kind(net, path))
    return net


# Torchvision.


def _torchvision_state(net: VGG19, path: Path) -> dict[str, Tensor]:
    state = {name: value for name, value in _named_tensors(path).items() if not name.startswith("classifier.6.")}
    own = net.state_dict()
    for name, value in own.items():
        wanted = f"weights: expected {name} with shape {tuple(value.shape)}"
        check(name in state, f"{wanted}, got none in {path}")
        shape = tuple(state[name].shape)
        check(shape == tuple(value.shape), f"{wanted}, got {shape} in {path}")
    for name in sorted(set(state) - set(own)):
        raise InputError(f"weights: expected the names of VGG-19 only, got {name} in {path}")
    return state


def _named_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors from a file of PyTorch or of safetensors."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        held = ", ".join(_foreign(path, error))
        advice = "where the model was made, save its tensors alone: torch.save(model.state_dict(), FILE)"
        code = f"which holds {held} and could run code; {advice}"
        damaged = f"which cannot be read ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
        if isinstance(error, pickle.UnpicklingError):  # whose words advise to run the code
            damaged = "which cannot be read as tensors alone"
        raise InputError(
            f"weights: expected a state dict of VGG-19, got {path}, {code if held else damaged}"
        ) from error
    named = isinstance(state, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    check(named, f"weights: expected a state dict, names to tensors, got {type(state).__name__} in {path}")
    return state


def _foreign(path: Path, error: Exception) -> list[str]:
    """The names of what a file of PyTorch holds besides tensors and plain values: all, or the first of an old file."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # an old file, a damaged one, or one of safetensors
        return re.findall(r"GLOBAL ([\w.]+)", str(error))[:1]


# MatConvNet.


def _matconvnet_state(net: CNNF, path: Path) -> dict[str, Tensor]:
    layers, mean = _read_matconvnet(path)
    state = {"mean": _mean_picture(mean, net.side, path)}
    state |= _filters_of(net, [layer for layer in layers if _text(layer, "type") == "conv"], path)
    return state | _norms_of(net, [layer for layer in layers if _text(layer, "type") in ("lrn", "normalize")], path)


def _filters_of(net: CNNF, published: list, path: Path) -> dict[str, Tensor]:
    """The weights of the network's seven layers, from the file's layers with filters."""
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    state: dict[str, Tensor] = {}
    for number, (name, (key, layer)) in enumerate(zip(_NAMES, layers.items(), strict=True)):
        if isinstance(layer, nn.Conv2d):
            side, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
            inputs = layer.in_channels
        else:  # a convolution there, as wide as its input
            inputs = net.channels if name == "fc6" else layer.in_features
            side, stride, padding = math.isqrt(layer.in_features // inputs), 1, 0
        shape = (side, side, inputs, len(layer.bias))
        wanted = f"weights: expected {name} with"
        wanted_filters = f"{wanted} filters of shape {shape} (height, width, in, out)"
        check(number < len(published), f"{wanted_filters}, got none in {path}")
        filters, biases = _filters(published[number], name, path)
        check(filters.shape == shape, f"{wanted_filters}, got {filters.shape} in {path}")
        check(biases.size == shape[3], f"{wanted} {shape[3]} biases, got {biases.size} in {path}")
        for field, value in (("stride", stride), ("pad", padding)):
            values = np.ravel(getattr(published[number], field, value)).tolist()
            check(set(values) == {value}, f"{wanted} {field} {value}, got {values} in {path}")
        weight = torch.from_numpy(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)))
        state[f"{key}.weight"] = weight.reshape(layer.weight.shape)
        state[f"{key}.bias"] = torch.from_numpy(biases.ravel())
    most, count = len(_NAMES) + 1, len(published)
    check(count <= most, f"weights: expected at most {most} layers with filters, fc8 the last, got {count} in {path}")
    return state


def _norms_of(net: CNNF, published: list, path: Path) -> dict[str, Tensor]:
    """The parameters of the layers of local response normalisation."""
    places = [name for name, layer in net.named_modules() if isinstance(layer, ResponseNorm)]
    same = len(published) == len(places)
    check(
        same,
        f"weights: expected {len(places)} layers of local response normalisation, got {len(published)} in {path}",
    )
    window, usual = ResponseNorm.WINDOW, ResponseNorm.USUAL
    state: dict[str, Tensor] = {}
    for number, (place, layer) in enumerate(zip(places, published, strict=True), 1):
        values = np.ravel(getattr(layer, "param", (window, *usual.values())))
        wanted = f"weights: expected norm{number} with [{window}, kappa, alpha, beta]"
        good = values.dtype.kind in "fiu" and len(values) == 4 and values[0] == window
        check(good, f"{wanted}, got {values.tolist()} in {path}")
        for key, value in zip(usual, values[1:], strict=True):
            state[f"{place}.{key}"] = torch.tensor(float(value))
    return state


def _mean_picture(mean: object, side: int, path: Path) -> Tensor:
    """The file's mean picture, or mean colour, as the network subtracts it, shape (3, side, side)."""
    values = np.squeeze(_numbers(mean, "averageImage", path))
    if values.shape == (3,):
        values = np.broadcast_to(values, (side, side, 3))
    right = values.ndim == 3 and values.shape[2] == 3
    check(right, f"weights: expected averageImage with shape (height, width, 3), got {values.shape} in {path}")
    return resized(torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None], side)[0]


def _read_matconvnet(path: Path) -> tuple[list, object]:
    """The layers of a network that MatConvNet saved, and its mean picture (a value that is not checked yet)."""
    try:
        kind = container_kind(path)
        advice = f"which is {kind}; save it again with save(..., '-v7')"
        check(kind == V5, f"expected a MATLAB v5 or v7 file, got {path}, {advice}")
        container = open_container(path)
        keys = {key.partition(".")[0] for key in container.entries} & {"net", "layers", "normalization", "meta"}
        net = {key: stored(container, key, struct_as_record=False) for key in sorted(keys)}
    except InputError as error:
        expected = "weights: expected MatConvNet's imagenet-vgg-f.mat"
        raise InputError(f"{expected}, got {path}, which cannot be read ({error})") from error
    if "net" in net and "layers" not in net:
        net = vars(_struct(net["net"]))
    names = some(net if "net" in keys else container.entries)
    check("layers" in net, f"weights: expected a network of MatConvNet with its layers, got {names} in {path}")
    newer = getattr(_struct(net.get("meta")), "normalization", None)
    mean = getattr(_struct(net.get("normalization")) or _struct(newer), "averageImage", None)
    wanted = "normalization.averageImage or meta.normalization.averageImage"
    check(mean is not None, f"weights: expected {wanted}, got none in {path}")
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


def _filters(layer: object, name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Filters (height, width, in, out) and biases of a layer, in the old layout or the new."""
    weights = getattr(layer, "weights", None)
    old = [getattr(layer, "filters", None), getattr(layer, "biases", None)]
    pair = old if weights is None else list(np.ravel(weights))
    check(len(pair) >= 2, f"weights: expected {name} with filters and biases, got {len(pair)} arrays in {path}")
    filters, biases = _numbers(pair[0], f"{name}'s filters", path), _numbers(pair[1], f"{name}'s biases", path)
    return filters.reshape(filters.shape + (1,) * (4 - filters.ndim)), biases


def _numbers(value: object, what: str, path: Path) -> np.ndarray:
    """A full array of finite numbers, float32."""
    good = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and bool(np.isfinite(value).all())
    kind = getattr(value, "dtype", type(value).__name__)
    check(good, f"weights: expected {what} as an array of finite numbers, got {kind} in {path}")
    return np.asarray(value, dtype=np.float32)
