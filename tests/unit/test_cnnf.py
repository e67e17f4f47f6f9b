"""CNN-F: MatConvNet's file, in both layouts, against the same network computed from its numbers by NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.io import savemat

from cmhkit.data.field.weights import load_weights
from cmhkit.nn.backbones import CNNF, ResponseNorm
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator

SIDE, WIDTHS, HIDDEN = 96, (16, 24, 20, 28, 24), 40
SMALL = {"side": SIDE, "widths": WIDTHS, "hidden": HIDDEN}
#: (name, side, stride, padding) of the convolutions of MatConvNet's file, fc6 to fc8 included.
SHAPES = (
    ("conv1", 11, 4, 0),
    ("conv2", 5, 1, 2),
    ("conv3", 3, 1, 1),
    ("conv4", 3, 1, 1),
    ("conv5", 3, 1, 1),
    ("fc6", 2, 1, 0),
    ("fc7", 1, 1, 0),
)
NORM = {"norm1": [5, 2, 1e-2, 0.75], "norm2": [5, 1.5, 3e-2, 0.6]}


def numbers(seed: int = 0, widths=(*WIDTHS, HIDDEN, HIDDEN), mean_side: int = SIDE) -> dict:
    """Filters (height, width, in, out), biases and a mean picture, as the file has them."""
    random, inputs, drawn = np.random.default_rng(seed), 3, {}
    for (name, side, *_), width in zip(SHAPES, widths, strict=True):
        drawn[name] = (
            random.normal(0, (2 / (side * side * inputs)) ** 0.5, (side, side, inputs, width)),
            random.normal(size=(width, 1)),
        )
        inputs = width
    drawn["fc8"] = (random.normal(size=(1, 1, inputs, 5)), random.normal(size=(1, 5)))
    drawn["mean"] = random.uniform(90, 140, (mean_side, mean_side, 3))
    return drawn


def layers(drawn: dict, new: bool) -> list[dict]:
    """MatConvNet's list of layers. Single precision, as the released file."""
    found = []
    for name, _, stride, pad in (*SHAPES, ("fc8", 1, 1, 0)):
        filters, biases = (np.asarray(v, np.float32) for v in drawn[name])
        weights = np.empty((1, 2), object)
        weights[0, 0], weights[0, 1] = filters, biases
        found.append({"type": "conv", "name": name, "stride": [stride, stride], "pad": [pad] * 4})
        found[-1] |= {"weights": weights} if new else {"filters": filters, "biases": biases}
        found.append({"type": "relu", "name": f"relu{name[-1]}"})
        if name in ("conv1", "conv2"):
            found.append(
                {"type": "lrn" if new else "normalize", "name": f"norm{name[-1]}", "param": NORM[f"norm{name[-1]}"]}
            )
        if name in ("conv1", "conv2", "conv5"):
            found.append({"type": "pool", "method": "max", "pool": [3, 3], "stride": 2, "pad": [0, 1, 0, 1]})
    return [*found[:-1], {"type": "softmax", "name": "prob"}]


def cell(values: list) -> np.ndarray:
    made = np.empty((1, len(values)), object)
    made[0, :] = values
    return made


def saved(path, drawn: dict, new: bool = True, wrapped: bool = False, change=lambda found: None, mean=None, **more):
    found = layers(drawn, new)
    change(found)
    normalization = {
        "imageSize": [SIDE, SIDE, 3],
        "averageImage": np.asarray(drawn["mean"], np.float32) if mean is None else mean,
    }
    content = {
        "layers": cell(found),
        **({"meta": {"normalization": normalization}} if new else {"normalization": normalization}),
        **more,
    }
    savemat(path, {"net": content} if wrapped else content)
    return path


# The same network by its definition, pictures as (height, width, channels).


def convolve(x, filters, biases, stride, pad):
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    windows = sliding_window_view(x, filters.shape[:2], axis=(0, 1))[::stride, ::stride]  # (H, W, in, height, width)
    return np.einsum("xyihw,hwio->xyo", windows, filters) + biases.ravel()


def respond(x, size, kappa, alpha, beta):
    y = np.empty_like(x)
    for k in range(x.shape[2]):
        near = x[:, :, max(0, k - (size - 1) // 2) : k + size // 2 + 1]
        y[:, :, k] = x[:, :, k] / (kappa + alpha * (near**2).sum(axis=2)) ** beta
    return y


def pool(x):
    x = np.pad(x, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    return sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2].max(axis=(3, 4))


def by_definition(drawn, picture):
    x = picture.astype(float) - drawn["mean"]
    for name, _, stride, pad in SHAPES:
        x = np.maximum(convolve(x, *drawn[name], stride, pad), 0)
        if name in ("conv1", "conv2"):
            x = respond(x, *NORM[f"norm{name[-1]}"])
        if name in ("conv1", "conv2", "conv5"):
            x = pool(x)
    assert x.shape == (1, 1, HIDDEN)
    return x.ravel()


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in net"])
@pytest.mark.parametrize("new", [False, True], ids=["filters", "weights"])
def test_both_layouts_give_what_the_file_says(tmp_path, new, wrapped):
    drawn = numbers()
    net = load_weights(CNNF(**SMALL, generator=generator(1)), saved(tmp_path / "f.mat", drawn, new, wrapped)).eval()
    pictures = np.random.default_rng(2).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    found = net(torch.from_numpy(pictures)).detach().numpy()
    expected = np.stack([by_definition(drawn, picture) for picture in pictures])
    assert (expected > 0).mean() > 0.2 and (expected == 0).any(), "the ReLU of fc7 has something to do"
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())
    torch.testing.assert_close(
        net(torch.from_numpy(pictures)), net.fully_connected(net.feature_map(torch.from_numpy(pictures)))
    )


def test_one_unit_of_fc6_by_a_plain_product(tmp_path):
    """fc6 is a convolution in the file and a matrix here: the places must be laid out alike."""
    drawn = numbers(3)
    net = load_weights(CNNF(**SMALL), saved(tmp_path / "f.mat", drawn)).eval()
    feature_map = torch.rand(1, WIDTHS[-1], 2, 2, generator=generator(4))
    filters, biases = drawn["fc6"]
    unit = sum(
        float(feature_map[0, c, y, x]) * filters[y, x, c, 5]
        for y in range(2)
        for x in range(2)
        for c in range(WIDTHS[-1])
    ) + float(biases[5, 0])
    assert float(net.classifier[0](feature_map.flatten(1))[0, 5].detach()) == pytest.approx(unit, rel=1e-4)


def test_the_released_network_s_shapes():
    with torch.device("meta"):
        net = CNNF()
    shapes = {name: tuple(value.shape) for name, value in net.named_parameters()}
    assert shapes["features.0.weight"] == (64, 3, 11, 11) and shapes["features.4.weight"] == (256, 64, 5, 5)
    assert shapes["classifier.0.weight"] == (4096, 256 * 6 * 6) and shapes["classifier.3.weight"] == (4096, 4096)
    convolutions = 64 * (3 * 121 + 1) + 256 * (64 * 25 + 1) + 3 * 256 * (256 * 9 + 1)
    assert sum(np.prod(s) for s in shapes.values()) == convolutions + 4096 * (256 * 36 + 1) + 4096 * 4097
    assert net.mean.shape == (3, 224, 224) and (net.side, net.channels, net.hidden) == (224, 256, 4096)


def test_a_file_of_the_released_sizes_is_read(tmp_path):
    widths = (64, 256, 256, 256, 256, 4096, 4096)
    drawn, inputs = {}, 3
    for (name, side, *_), width in zip(SHAPES, widths, strict=True):
        side = 6 if name == "fc6" else side
        drawn[name] = (np.zeros((side, side, inputs, width), np.float32), np.zeros((1, width), np.float32))
        drawn[name][0][side // 2, 0, 1, 3] = 1
        inputs = width
    drawn |= {"fc8": (np.zeros((1, 1, 4096, 2)), np.zeros((1, 2))), "mean": np.full((224, 224, 3), 100)}
    with torch.device("meta"):
        empty = CNNF()
    net = load_weights(empty.to_empty(device="cpu"), saved(tmp_path / "imagenet-vgg-f.mat", drawn)).eval()
    state = net.state_dict()
    assert state["features.0.weight"][3, 1, 5, 0] == 1 and state["features.0.weight"].sum() == 1
    assert state["classifier.0.weight"][3, 1 * 36 + 3 * 6] == 1
    assert net(torch.zeros(1, 50, 70, 3, dtype=torch.uint8)).shape == (1, 4096)


@pytest.mark.parametrize("side", [55, 56, 63, 64, 96, 224, 227])
def test_every_side_fits(side):
    net = CNNF(side=side, widths=(2, 2, 2, 2, 2), hidden=3, generator=generator(0)).eval()
    assert net(torch.zeros(2, 40, 40, 3, dtype=torch.uint8)).shape == (2, 3), "other sides are resized"


def test_least_side():
    with pytest.raises(InputError, match=r"side: expected a whole number of at least 55, got 54"):
        CNNF(side=54)
    with pytest.raises(InputError, match="widths: expected 5 of them, got"):
        CNNF(widths=(1, 2))


def test_response_norm_is_matconvnets():
    norm = ResponseNorm()
    x = torch.randn(2, 7, 3, 3, generator=generator(0)) * 30
    expected = np.stack([respond(item.numpy().transpose(1, 2, 0), 5, 2.0, 1e-4, 0.75).transpose(2, 0, 1) for item in x])
    np.testing.assert_allclose(norm(x).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(norm(x), torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x))
    assert set(norm.state_dict()) == {"kappa", "alpha", "beta"}, "they are saved with the weights"


def test_the_mean_picture_is_subtracted_and_kept(tmp_path):
    drawn = numbers()
    net = load_weights(CNNF(**SMALL), saved(tmp_path / "f.mat", drawn)).eval()
    np.testing.assert_allclose(net.mean.numpy(), drawn["mean"].transpose(2, 0, 1), rtol=1e-6)
    assert "mean" in net.state_dict()
    again = CNNF(**SMALL)
    again.load_state_dict(net.state_dict())
    pictures = torch.randint(0, 256, (1, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator(0))
    assert torch.equal(again.eval()(pictures), net(pictures))
    colour = load_weights(
        CNNF(**SMALL), saved(tmp_path / "c.mat", drawn, mean=np.array([[[1.0, 2.0, 3.0]]], np.float32))
    )
    assert (colour.mean == torch.tensor([1.0, 2.0, 3.0])[:, None, None]).all() and colour.mean.shape == (3, SIDE, SIDE)


def test_missing_response_parameters_are_the_usual_ones(tmp_path):
    net = load_weights(CNNF(**SMALL), saved(tmp_path / "f.mat", numbers(), change=lambda f: f[2].pop("param")))
    assert float(net.features[2].kappa) == 2 and float(net.features[2].alpha) == pytest.approx(1e-4)
    assert float(net.features[6].kappa) == 1.5


def test_untrained_says_so():
    net = CNNF(**SMALL, generator=generator(0))
    with pytest.warns(UserWarning, match="CNN-F starts untrained"):
        assert load_weights(net, None) is net
    again = CNNF(**SMALL, generator=generator(0))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert net.mean[:, 0, 0].tolist() == pytest.approx([123.675, 116.28, 103.53])


def test_the_first_mismatch_is_named(tmp_path):
    path, drawn = tmp_path / "f.mat", numbers()

    def refused(message, **how):
        with pytest.raises(InputError, match=message):
            load_weights(CNNF(**SMALL), saved(path, how.pop("drawn", drawn), **how))

    other = numbers(widths=(*WIDTHS[:2], 5, *WIDTHS[3:], HIDDEN, HIDDEN))
    refused(
        r"expected conv3 with filters of shape \(3, 3, 24, 20\) \(height, width, in, out\), got \(3, 3, 24, 5\) in",
        drawn=other,
    )
    refused(
        r"expected fc6 with filters of shape \(2, 2, 24, 40\).*got \(1, 1, 24, 40\)",
        drawn=drawn | {"fc6": (np.zeros((1, 1, 24, 40)), np.zeros(40))},
    )
    refused("expected conv2 with 24 biases, got 3", drawn=drawn | {"conv2": (drawn["conv2"][0], np.zeros(3))})
    refused(
        r"expected fc7 with filters of shape \(1, 1, 40, 40\).*got none",
        change=lambda f: f.__delitem__(slice(-4, None)),
    )
    refused("expected conv1 with stride 4, got", change=lambda f: f[0].update(stride=[2, 2]))
    refused("expected conv2 with pad 2, got", change=lambda f: f[4].update(pad=1))
    refused("expected 2 layers of local response normalisation, got 1", change=lambda f: f.__delitem__(2))
    refused(
        r"expected norm1 with \[5, kappa, alpha, beta\], got \[3",
        change=lambda f: f[2].update(param=[3, 2, 1e-4, 0.75]),
    )
    refused("at most 8 layers with filters, fc8 the last, got 9", change=lambda f: f.append(dict(f[0])))
    refused(
        "expected conv1's filters as an array of finite numbers",
        drawn=drawn | {"conv1": (drawn["conv1"][0] * np.nan, drawn["conv1"][1])},
    )
    refused(r"expected averageImage with shape \(height, width, 3\), got \(4, 4\)", mean=np.zeros((4, 4)))


def test_what_is_no_such_file(tmp_path):
    def refused(message, path):
        with pytest.raises(InputError, match=message):
            load_weights(CNNF(**SMALL), path)

    refused("weights: expected a file, got", tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("no weights")
    refused("expected MatConvNet's imagenet-vgg-f.mat, got .* which cannot be read", tmp_path / "text.mat")
    (tmp_path / "empty.mat").write_bytes(b"")
    refused("which cannot be read", tmp_path / "empty.mat")
    savemat(tmp_path / "other.mat", {"a": np.zeros(3), "b": np.zeros(2)})
    refused("expected a network of MatConvNet with its layers, got a, b", tmp_path / "other.mat")
    savemat(tmp_path / "bare.mat", {"layers": cell(layers(numbers(), True))})
    refused("expected normalization.averageImage or meta.normalization.averageImage, got none", tmp_path / "bare.mat")
    savemat(tmp_path / "numbers.mat", {"layers": np.zeros(3), "normalization": {"averageImage": np.zeros((2, 2, 3))}})
    refused("expected layers as a cell of structures", tmp_path / "numbers.mat")


def test_a_newer_container_is_named(tmp_path):
    path = tmp_path / "v73.mat"
    header = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM"
    path.write_bytes(header.ljust(512, b"\x00") + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"expected a MATLAB v5 or v7 file, got .* which is MATLAB v7\.3"):
        load_weights(CNNF(**SMALL), path)
