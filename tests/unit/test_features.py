"""SceneNet and its cached features. No figure here depends on which weights are shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmhkit.data import cache, features
from cmhkit.data.features import image_features
from cmhkit.nn import backbones
from cmhkit.support.checks import InputError


@pytest.fixture
def fresh(own_cache: Path, monkeypatch):
    """Nothing is known, on disk or in memory. `.computed` counts the pictures that go through the network."""
    monkeypatch.setattr(features, "_known", {})
    compute = features._compute

    def counted(images, show_progress, file):
        counted.computed += len(images)
        return compute(images, show_progress, file)

    counted.computed, counted.folder = 0, own_cache
    monkeypatch.setattr(features, "_compute", counted)
    return counted


def direct(images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    net = backbones.scenenet()
    with torch.no_grad():
        maps = net.feature_map(torch.from_numpy(np.array(images)))
        return maps, net.scores(maps)


def test_every_kind_has_its_shape_and_is_what_the_network_gives(fresh, tiny) -> None:
    images = tiny.images[:100]
    maps, scores = direct(images)
    n, drawings = len(images), backbones.card()["drawings"]
    found = {kind: image_features(images, kind) for kind in features.KINDS}
    assert {kind: x.shape for kind, x in found.items()} == {
        "posterior": (n, drawings),
        "scores": (n, drawings),
        "pooled": (n, 256),
        "map": (n, 128, 8, 8),
    }
    assert {kind: x.dtype for kind, x in found.items()} == {
        kind: np.float16 if kind == "map" else np.float32 for kind in found
    }
    np.testing.assert_allclose(found["scores"], scores.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["map"], maps.numpy(), rtol=1e-3, atol=1e-3)  # kept in 16 bits
    np.testing.assert_allclose(found["posterior"], scores.softmax(dim=1).sqrt().numpy(), atol=1e-4)
    np.testing.assert_allclose(found["pooled"][:, :128], maps.amax((2, 3)).numpy(), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["pooled"][:, 128:], maps.mean((2, 3)).numpy(), rtol=1e-3, atol=1e-3)
    assert fresh.computed == n, "the four kinds come from one pass"


def test_a_posterior_has_length_one(tiny) -> None:
    x = image_features(tiny.images)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    assert (x >= 0).all()
    extreme = features.posterior(np.array([[1e4, -1e4, 0.0], [-1e30, -1e30, -1e30]], np.float32))
    np.testing.assert_allclose(extreme, [[1, 0, 0], [3**-0.5] * 3], atol=1e-6)


def test_a_part_of_a_set_that_was_seen_costs_nothing(fresh, tiny) -> None:
    whole = image_features(tiny.images)
    assert fresh.computed == 600
    for split in (tiny.query, tiny.retrieval, tiny.train, tiny.take([5, 3, 5])):
        assert np.array_equal(image_features(split.images), whole[split.index])
    assert np.array_equal(image_features(np.array(tiny.images)[::-1]), whole[::-1])
    assert fresh.computed == 600


def test_another_process_reads_the_cache(fresh, tiny, monkeypatch) -> None:
    first = image_features(tiny.query.images, "map")
    monkeypatch.setattr(features, "_known", {})
    assert np.array_equal(image_features(tiny.query.images, "map"), first)
    assert fresh.computed == 100
    (folder,) = fresh.folder.glob("[!.]*")
    with (folder / "maps.npy").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    monkeypatch.setattr(features, "_known", {})
    assert np.array_equal(image_features(tiny.query.images, "map"), first)
    assert fresh.computed == 200 and cache.damage(folder) is None


def test_other_weights_have_another_cache(fresh, tiny, monkeypatch) -> None:
    image_features(tiny.query.images)
    described = backbones.card()
    monkeypatch.setattr(features, "_known", {})
    backbones.scenenet()
    monkeypatch.setattr(backbones, "card", lambda: described | {"sha256": "0" * 64})
    image_features(tiny.query.images)
    assert fresh.computed == 200 and len(list(fresh.folder.glob("[!.]*"))) == 2


def test_a_few_pictures_leave_no_cache(fresh, tiny) -> None:
    assert image_features(tiny.images[:3], "map").shape == (3, 128, 8, 8)
    assert fresh.computed == 3 and not fresh.folder.exists()


def test_a_few_new_pictures_beside_known_ones(fresh, tiny) -> None:
    whole = image_features(tiny.images[:100])
    mixed = np.concatenate([tiny.images[50:60], tiny.images[100:110]])
    found = image_features(mixed)
    assert fresh.computed == 110
    assert np.array_equal(found[:10], whole[50:60])
    np.testing.assert_allclose(found[10:], direct(mixed[10:])[1].softmax(1).sqrt().numpy(), atol=1e-4)


def test_how_pictures_come_in_batches_hardly_matters(tiny) -> None:
    one = features._compute(tiny.images[:1], False)
    many = features._compute(tiny.images[:70], False)
    np.testing.assert_allclose(one.scores[0], many.scores[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [(96, 96), (32, 32), (224, 224), (64, 48)])
def test_pictures_of_any_side(fresh, side) -> None:
    from PIL import Image

    pictures = np.random.default_rng(0).integers(0, 256, size=(3, *side, 3), dtype=np.uint8)
    assert image_features(pictures, "map").shape == (3, 128, 8, 8)
    small = np.stack([np.asarray(Image.fromarray(p).resize((64, 64), Image.Resampling.BOX)) for p in pictures])
    np.testing.assert_allclose(
        image_features(pictures, "scores"), image_features(small, "scores"), rtol=1e-4, atol=1e-4
    )


def test_vectors_pass_through(fresh) -> None:
    x = np.random.default_rng(0).normal(size=(70, 5))
    for kind in ("posterior", "scores", "pooled"):
        assert np.array_equal(image_features(x, kind), x.astype(np.float32))
    assert fresh.computed == 0 and not fresh.folder.exists()


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        (
            np.ones((2, 5)),
            "map",
            r"images: expected pictures \(n, H, W, 3\), since a feature map is asked for, got feature vectors",
        ),
        (np.ones((2, 5)), "maps", r"kind: expected one of posterior, scores, pooled, map, got 'maps'"),
        (np.ones((64, 64, 3), np.uint8), "map", r"images: expected pictures .* got shape \(64, 64, 3\)"),
        (np.ones((2, 64, 64, 3)), "map", r"images: expected pictures as whole numbers from 0 to 255, got float64"),
        (np.ones((0, 64, 64, 3), np.uint8), "map", r"images: expected at least one picture, got none"),
        (np.array([[np.nan]]), "posterior", r"images: expected finite numbers, got NaN"),
    ],
)
def test_bad_pictures(images, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_features(images, kind)


# The network.


@pytest.fixture
def forgotten():
    """The network is read anew, here and afterwards."""
    backbones.scenenet.cache_clear()
    yield
    backbones.scenenet.cache_clear()


def test_weights_that_do_not_match_the_card_are_refused(forgotten, monkeypatch, tmp_path: Path) -> None:
    data = bytearray(backbones.WEIGHTS.read_bytes())
    data[-1] ^= 1
    (tmp_path / "scenenet.safetensors").write_bytes(data)
    monkeypatch.setattr(backbones, "WEIGHTS", tmp_path / "scenenet.safetensors")
    with pytest.raises(
        InputError,
        match=r"scenenet\.safetensors: expected the SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}; install cmhkit again",
    ):
        backbones.scenenet()


def test_the_network_is_frozen_small_and_the_same_every_time(forgotten) -> None:
    net = backbones.scenenet()
    assert net is backbones.scenenet() and not net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert backbones.WEIGHTS.stat().st_size < 2_000_000
    pictures = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    maps = net.feature_map(pictures)
    assert maps.shape == (2, backbones.CHANNELS, backbones.PLACES, backbones.PLACES) and (maps >= 0).all()
    assert torch.equal(net(pictures), net.scores(maps))


def test_a_score_is_the_log_of_the_sum_over_all_places() -> None:
    net = backbones.SceneNet(5).eval()
    maps = torch.rand(2, 128, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.einsum("ncyx,dc->ndyx", maps, net.scoring.weight[:, :, 0, 0]) + net.scoring.bias[:, None, None]
        torch.testing.assert_close(net.scores(maps), expected.exp().sum((2, 3)).log(), rtol=1e-4, atol=1e-4)
