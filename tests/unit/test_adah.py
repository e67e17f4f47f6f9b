"""ADAH: each term against the triple loop, each step against what it may touch, and the schedule against what it
promises.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import cmhkit as ck
from cmhkit.adah import ADAH, ADAHConfig, losses, model
from cmhkit.adah import fit as schedule
from cmhkit.adah.model import ImageAttention, SceneHead, TextAttention, TextFeatures, TextHead, spread_masks
from cmhkit.data import PairedData
from cmhkit.data.features import image_features
from cmhkit.data.field.weights import load_weights
from cmhkit.nn import backbones
from cmhkit.nn.backbones import VGG19, scenenet
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator

SMALL = {"text_hidden": 32, "text_width": 16, "image_hidden": 0, "epochs": 2, "batch": 50}


@pytest.fixture(autouse=True)
def _cache(shared_cache):
    """The features of `tiny` are known."""


def fitted(data, **options) -> ADAH:
    return ADAH(bits=8, seed=options.pop("seed", 1), device="cpu", **{**SMALL, **options}).fit(
        data, show_progress=False
    )


def players(data, seed: int = 3, items: int = 60, **options) -> tuple[schedule.Alternation, tuple]:
    """An alternation that has not begun, and a batch."""
    hasher = ADAH(bits=8, seed=seed, device="cpu", **{**SMALL, **options})
    hasher._device, random = torch.device("cpu"), generator(seed)
    hasher.network_ = hasher._built(data.text_vectors.shape[1], random)
    maps = image_features(data.images[:items], "map")
    game = schedule.Alternation(hasher, maps, data.text_vectors[:items], data.labels[:items], random)
    return game, game._batch(torch.arange(items))


def weights(parameters) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in parameters])


# The terms.


def loop(a, b, similar, margin, squared=False):
    """One term by its definition."""
    total, count = 0.0, 0
    distance = lambda x, y: float(((x - y) ** 2).sum()) ** (1 if squared else 0.5)  # noqa: E731
    for i in range(len(a)):
        for j in range(len(b)):
            for k in range(len(b)):
                if similar[i, j] > similar[i, k]:
                    total, count = total + max(0.0, margin + distance(a[i], b[j]) - distance(a[i], b[k])), count + 1
    return total, count


@pytest.mark.parametrize("distance", ["norm", "squared"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_six_terms_equal_the_triple_loop(distance, reduction):
    random = generator(0)
    image, text, image_hat, text_hat = torch.tanh(torch.randn(4, 7, 5, generator=random, dtype=torch.float64))
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    similar = labels[:, None] == labels[None]
    options = {"distance": distance, "reduction": reduction}
    found = [
        *losses.retrieval_terms(image, text, similar, 1.0, **options),
        *losses.adversarial_terms(image, text, image_hat, text_hat, similar, 1.0, **options),
    ]
    pairs = [(text, image), (image, text), (image, image), (text, text), (text, image_hat), (image, text_hat)]
    expected = []
    for term, (a, b) in zip(found, pairs, strict=True):
        total, count = loop(a, b, similar, 1.0, distance == "squared")
        expected.append(total / (count if reduction == "mean" else 1))
        assert term.loss.item() == pytest.approx(expected[-1], rel=1e-9)
    assert losses.total(found).item() == pytest.approx(sum(expected), rel=1e-9)
    assert 0 < losses.active_share(found) <= 1


# The networks.


def test_image_attention_by_the_formula():
    f = torch.randn(3, 5, 2, 4, generator=generator(0))
    net = ImageAttention(5, None, generator(1))
    m = torch.einsum("nchw,c->nhw", f, net.convolution.weight[0, :, 0, 0]).flatten(1)
    p = m.exp() / m.exp().sum(1, keepdim=True)
    found = net(f)
    torch.testing.assert_close(found.probability, p)
    assert torch.equal(found.mask, (found.probability >= 1 / 8).float())
    half = ImageAttention(5, 0.5, generator(1))(f)
    assert torch.equal(half.mask, (found.probability >= 0.5).float())


def test_text_attention_by_the_formula():
    f = torch.randn(3, 6, generator=generator(0))
    net = TextAttention(6, None, generator(1))
    found = net(f)
    torch.testing.assert_close(found.probability, (f @ net.layer.weight.T + net.layer.bias).softmax(1))
    assert torch.equal(found.mask, (found.probability >= 1 / 6).float())


def test_standard_scores_keep_their_spread_whatever_the_features_do():
    f = torch.rand(4, 5, 4, 4, generator=generator(0))
    net = ImageAttention(5, None, generator(1), spread=1.0)
    torch.testing.assert_close(net(f).probability, net(100 * f).probability, rtol=1e-3, atol=1e-4)
    m = net(f).probability.log()
    torch.testing.assert_close(m.std(1), torch.ones(4), rtol=1e-3, atol=1e-3)


def test_spread_keeps_masks_off_the_threshold():
    f = torch.rand(20, 6, 8, 8, generator=generator(0)) * 1e-3 + 1
    net = ImageAttention(6, None, generator(1))
    spread_masks(net, f, 1.0)
    assert net.scores(f).std(1).mean().item() == pytest.approx(1, rel=0.05)
    area = net(f).mask.mean(1)
    assert 0 < area.min() and area.max() < 1
    with pytest.raises(InputError, match="features: expected features that differ over their places"):
        spread_masks(net, torch.ones(2, 6, 8, 8), 1.0)


def test_masks_are_neither_all_on_nor_all_off_at_the_start(tiny):
    game, (images, texts, _) = players(tiny)
    for scaling in ("standard", "none"):
        game = players(tiny, mask_scaling=scaling)[0]
        for name, x in (("image", images), ("text", texts)):
            area = game.network.mask(name, x).mask.mean(1)
            assert 0 < area.min() and area.max() < 1 and 0.1 < area.mean() < 0.6


def test_all_on_is_the_backbones_own_pooling_and_all_off_stays_finite(tiny):
    maps = torch.from_numpy(image_features(tiny.images[:5], "map")).float()
    head = SceneHead(8, "posterior", 0, 0.0, generator(0)).eval()
    on, off = head.logits(maps, [torch.ones(5, 64), torch.zeros(5, 64)])
    x = scenenet().scores(maps).softmax(1).sqrt() * len(head.bias) ** 0.5
    torch.testing.assert_close(on, head.hashing(x), rtol=1e-3, atol=1e-3)
    assert torch.isfinite(off).all()


def test_the_head_reads_the_attended_places_only(tiny):
    """What stands at the other places does not matter; and a mask that is off has a derivative too."""
    maps = torch.from_numpy(image_features(tiny.images[:4], "map")).float()
    head = SceneHead(8, "scores", 8, 0.0, generator(0)).eval()
    z = (torch.rand(4, 64, generator=generator(1)) < 0.3).float().requires_grad_()
    other = torch.where(z.view(4, 1, 8, 8) == 1, maps, maps.flip(0))
    torch.testing.assert_close(head.logits(maps, [z])[0], head.logits(other, [z])[0], rtol=1e-3, atol=1e-3)
    (gradient,) = torch.autograd.grad(head.logits(maps, [z])[0].sum(), z)
    assert (gradient[z == 0] != 0).any() and (gradient[z == 1] != 0).any()


def test_text_networks_by_the_formula():
    net, head = TextFeatures(7, 5, 4, 0.5, generator(0)).eval(), TextHead(4, 8, generator(1))
    x = torch.rand(3, 7, generator=generator(2))
    f = torch.relu(
        net.second.weight @ torch.relu(net.first.weight @ x.T + net.first.bias[:, None]) + net.second.bias[:, None]
    ).T
    torch.testing.assert_close(net(x), f)
    z = torch.tensor([[1.0, 0, 1, 0]]).expand(3, 4)
    attended, unattended = head.logits(f, [z, 1 - z])
    torch.testing.assert_close(attended + unattended, head.hashing(f) + head.hashing.bias)


@pytest.mark.parametrize("shape", [(3, 5), (5, 4, 4), (3, 6, 4, 4), (1, 3, 5, 4, 4)])
def test_a_map_is_four_dimensional(shape):
    with pytest.raises(InputError, match=r"feature_map: expected a map \(n, 5, H, W\), got shape"):
        ImageAttention(5, None, generator(0))(torch.zeros(shape))


# The two steps.


def test_each_step_changes_its_own_player_only(tiny):
    game, batch = players(tiny)
    g, rest = game.network.attention_parameters(), game.network.other_parameters()
    assert len(g) == 3 and len(g) + len(rest) == len(list(game.network.parameters()))
    start = weights(g), weights(rest)
    for _ in range(3):  # Adam's memory must not move the other player either
        game._d_step(*batch)
    after_d = weights(g), weights(rest)
    assert torch.equal(start[0], after_d[0]) and not torch.equal(start[1], after_d[1])
    for _ in range(3):
        game._g_step(*batch)
    after_g = weights(g), weights(rest)
    assert not torch.equal(after_d[0], after_g[0]) and torch.equal(after_d[1], after_g[1])
    game._d_step(*batch)
    assert torch.equal(after_g[0], weights(g)) and not torch.equal(after_g[1], weights(rest))


def adversarial_loss(game, batch) -> float:
    game.network.eval()
    with torch.no_grad():
        return losses.total(game._adversarial(game.network(*batch[:2]), batch[2])).item()


def test_a_descent_step_lowers_the_adversarial_loss(tiny):
    game, batch = players(tiny, dropout=0.0)
    before = adversarial_loss(game, batch)
    for _ in range(5):
        game._d_step(*batch)
    assert adversarial_loss(game, batch) < before


def test_an_ascent_step_raises_the_adversarial_loss(tiny):
    """The gradient is straight-through, so a step may err; some steps on a batch do not."""
    game, batch = players(tiny, dropout=0.0, lr_g=0.01, lr_g_text=0.001)
    for _ in range(20):
        game._d_step(*batch)
    before = adversarial_loss(game, batch)
    for _ in range(10):
        game._g_step(*batch)
    assert adversarial_loss(game, batch) > before


def test_a_given_query_sends_no_gradient(tiny):
    """With the query given, G^I moves by the unattended pictures only: without F_{T->Î} it stays."""
    moved = {}
    for kind in ("given", "free"):
        game, batch = players(tiny, game_query=kind)
        codes = {}
        original = losses.adversarial_terms
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(losses, "adversarial_terms", lambda *a, **o: codes.setdefault("terms", original(*a, **o))[1:])  # noqa: B023
            game._g_step(*batch)
        moved[kind] = game.network.image_attention.convolution.weight.grad
    assert moved["given"] is None or not moved["given"].any()
    assert moved["free"].any()


# The schedule.


def test_same_seed_same_codes_and_another_seed_others(tiny):
    first, again, other = fitted(tiny), fitted(tiny), fitted(tiny, seed=2)
    assert first.history_ == again.history_
    assert (first.encode(images=tiny.query) == again.encode(images=tiny.query)).all()
    assert (first.values(texts=tiny.query) == again.values(texts=tiny.query)).all()
    assert (first.values(texts=tiny.query) != other.values(texts=tiny.query)).any()


def test_it_learns(tiny):
    hasher = ADAH(bits=16, seed=0, device="cpu", epochs=15, batch=64, text_hidden=256, text_width=128).fit(
        tiny, show_progress=False
    )
    report = hasher.evaluate(tiny)
    start = (
        ADAH(bits=16, seed=0, device="cpu", epochs=1, lr=1e-9, text_hidden=256, text_width=128)
        .fit(tiny, show_progress=False)
        .evaluate(tiny)
    )
    assert report.map_i2t > start.map_i2t + 0.1 and report.map_t2i > start.map_t2i + 0.1


def test_history(tiny):
    rows = fitted(tiny).history_
    assert [row["epoch"] for row in rows] == [1, 2]
    expected = {"retrieval_loss", "active", "adversarial_loss", "adversarial_active", "game_loss", "skipped_batches"}
    expected |= {f"{m}_mask_{what}" for m in ("image", "text") for what in ("area", "entropy")}
    assert set(rows[0]) == expected | {"epoch"}
    shares = [v for row in rows for name, v in row.items() if name.endswith(("active", "area", "entropy"))]
    assert all(0 <= v <= 1 for v in shares)


def test_the_step_ratio(tiny, monkeypatch):
    steps = []
    for name in ("_d_step", "_g_step"):
        original = getattr(schedule.Alternation, name)
        monkeypatch.setattr(
            schedule.Alternation, name, lambda self, *b, _o=original, _n=name: steps.append(_n[1]) or _o(self, *b)
        )
    fitted(tiny, epochs=1, batch=len(tiny.train.index) // 4 + 1, d_steps=2, g_steps=3)
    assert "".join(steps) == "ddgggddggg"


def test_ablations(tiny):
    frozen, none = fitted(tiny, attention="frozen"), fitted(tiny, attention="none")
    start = fitted(tiny, attention="frozen", epochs=1, lr=1e-9)
    assert torch.equal(weights(frozen.network_.attention_parameters()), weights(start.network_.attention_parameters()))
    assert "game_loss" not in frozen.history_[-1] and "adversarial_loss" in frozen.history_[-1]
    assert not none.network_.attention_parameters() and "adversarial_loss" not in none.history_[-1]
    assert none.encode(images=tiny.query).shape == (len(tiny.query), 1)
    with pytest.raises(InputError, match="attention='none'"):
        none.masks(images=tiny.query)


def test_masks_of_pictures_and_texts(tiny):
    hasher = fitted(tiny)
    image, text = hasher.masks(images=tiny.query), hasher.masks(texts=["dog park", "sun"])
    assert image.mask.shape == (len(tiny.query), 64) and text.mask.shape == (2, 16)
    for found in (image, text):
        assert set(found.mask.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(found.probability.sum(1), torch.ones(len(found.mask)))


def test_retrieval_reads_attended_features_only(tiny):
    hasher = fitted(tiny)
    net = hasher.network_.eval()
    texts = torch.from_numpy(tiny.query.text_vectors)
    f = net.text_features(texts)
    expected = net.text_head.hashing(f * net.text_attention(f).mask).detach().numpy()
    np.testing.assert_allclose(hasher.values(texts=tiny.query), expected, rtol=1e-4, atol=1e-5)


def test_a_stopped_run_goes_on_to_the_same_result(tiny, tmp_path):
    class Stop(Exception):
        pass

    def stop(row, hasher):
        assert hasher.encode(texts=tiny.query).shape == (len(tiny.query), 1)
        if row["epoch"] == 2:
            raise Stop

    whole = fitted(tiny, epochs=3)
    hasher = ADAH(bits=8, seed=1, device="cpu", **{**SMALL, "epochs": 3})
    with pytest.raises(Stop):
        hasher.fit(tiny, checkpoint_dir=tmp_path, callback=stop, show_progress=False)
    again = ADAH(bits=8, seed=1, device="cpu", **{**SMALL, "epochs": 3}).fit(
        tiny, checkpoint_dir=tmp_path, show_progress=False
    )
    assert again.history_ == whole.history_
    assert (again.values(texts=tiny.query) == whole.values(texts=tiny.query)).all()


def test_save_and_load_give_the_same_codes(tiny, tmp_path):
    hasher = fitted(tiny)
    loaded = ck.load(hasher.save(tmp_path / "a.safetensors"))
    assert (loaded.values(images=tiny.query) == hasher.values(images=tiny.query)).all()
    assert (loaded.values(texts=["dog park"]) == hasher.values(texts=["dog park"])).all()
    assert loaded.config == hasher.config and loaded.history_ == hasher.history_


def test_evidence_is_computed_once_a_batch_and_changes_nothing(tiny, monkeypatch):
    calls, original = [], torch.baddbmm
    monkeypatch.setattr(torch, "baddbmm", lambda *a, **k: calls.append(1) or original(*a, **k))
    monkeypatch.setattr(model, "_IN_CACHE", 10**6)
    game, batch = players(tiny)
    head = game.network.image_head
    with game.network.once(batch[0]):
        game._d_step(*batch)
        game._g_step(*batch)
        assert len(calls) == 1
        other = batch[0].clone()
        assert (
            all(torch.equal(a, b) for a, b in zip(head.evidence(other), head.evidence(batch[0]), strict=True))
            and len(calls) == 2
        )
    whole = head.evidence(batch[0])
    assert len(calls) == 3
    monkeypatch.setattr(model, "_IN_CACHE", 3)
    assert all(torch.equal(a, b) for a, b in zip(whole, head.evidence(batch[0]), strict=True)) and len(calls) > 4


def test_a_dead_adversarial_hinge_warns(tiny):
    game, _ = players(tiny)
    with pytest.warns(schedule.DeadHingeWarning, match="the adversarial hinge is dead in epoch 4"):
        game._look_at({"epoch": 4, "adversarial_active": 0.0}, last=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        game._look_at({"epoch": 4, "adversarial_active": 0.01}, last=False)


# Bad input.


def relabelled(data: PairedData, labels: np.ndarray | None) -> PairedData:
    from dataclasses import replace

    return replace(data, labels=labels, label_names=())


def test_labels_are_needed(tiny):
    with pytest.raises(InputError, match="data: expected labels, since ADAH is supervised, got none"):
        fitted(tiny.without_labels())


def test_without_dissimilar_or_similar_pairs_there_is_one_clear_error(tiny):
    for labels, own in ((np.ones((600, 1)), True), (np.eye(600), False)):
        with pytest.raises(InputError, match="data: expected similar and dissimilar pairs, but in none of 8 batches"):
            fitted(relabelled(tiny, labels), own=own)


def test_a_batch_without_triplets_is_skipped_and_counted(tiny):
    """One item alone differs: the batch that holds it has triplets, the others are skipped."""
    labels = np.tile([1, 0], (600, 1))
    labels[tiny.parts["train"][0]] = [0, 1]
    rows = fitted(relabelled(tiny, labels)).history_
    assert [row["skipped_batches"] for row in rows] == [7, 7]


def test_vectors_are_no_maps(tiny):
    from dataclasses import replace

    with pytest.raises(InputError, match="since a feature map is asked for, got feature vectors"):
        fitted(replace(tiny, images=np.ones((600, 5)), truth=None))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"attention": "random"}, "attention: expected one of adversarial, frozen, none"),
        ({"distanse": "norm"}, "did you mean 'distance'"),
        ({"margin": "K/0"}, "margin"),
        ({"margin": 0}, "margin"),
        ({"epochs": 0}, "epochs"),
        ({"batch": 1}, "batch"),
        ({"dropout": 1}, "dropout"),
        ({"lr_g": 0}, "lr_g"),
        ({"weights": 3}, "weights"),
        ({"own": "yes"}, "own"),
        ({"mask_scaling": "layer"}, "mask_scaling"),
    ],
)
def test_bad_options_are_named(options, names):
    with pytest.raises(InputError, match=names):
        ADAH(bits=8, **options)


def test_margin_may_be_a_share_of_the_bits():
    assert ADAHConfig(margin="K/4").margin_for(32) == 8 and ADAHConfig(margin=1.5).margin_for(32) == 1.5


# VGG-19 and the preset `paper`.

TINY_VGG = {"side": 32, "widths": (2, 2, 3, 3, 4), "hidden": 6}


def test_vgg19_has_torchvisions_names_and_shapes():
    with torch.device("meta"):
        net = VGG19()
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert len(shapes) == 2 * (16 + 2)
    assert (
        sum(np.prod(s) for s in shapes.values()) == 143_667_240 - 4_097_000
    )  # torchvision's count less that of its last layer
    convolutions = [
        int(name.split(".")[1]) for name in shapes if name.startswith("features") and name.endswith("weight")
    ]
    assert convolutions == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert shapes["features.0.weight"] == (64, 3, 3, 3) and shapes["features.34.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088) and shapes["classifier.3.weight"] == (4096, 4096)


def test_vgg19s_map_comes_after_pooling():
    net = VGG19(**{**TINY_VGG, "side": 64}, generator=generator(0)).eval()
    pictures = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=generator(1))
    feature_map = net.feature_map(pictures)
    assert feature_map.shape == (2, 4, 2, 2) and (feature_map >= 0).all()
    torch.testing.assert_close(net.fully_connected(feature_map), net(pictures))
    white = net.feature_map(torch.full((1, 32, 32, 3), 255, dtype=torch.uint8))
    assert white.shape == (1, 4, 2, 2), "other sides are resized"


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_vgg19_reads_weights(tmp_path, ending):
    source, path = VGG19(**TINY_VGG, generator=generator(0)), tmp_path / f"vgg19-fake.{ending}"
    state = source.state_dict() | {"classifier.6.weight": torch.zeros(10, 6), "classifier.6.bias": torch.zeros(10)}
    torch.save(state, path) if ending == "pth" else save_file(state, path)
    net = load_weights(VGG19(**TINY_VGG, generator=generator(1)), path)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), source.parameters(), strict=True))


def test_vgg19_names_the_first_mismatch(tmp_path):
    path = tmp_path / "v.pth"
    good = VGG19(**TINY_VGG).state_dict()

    def refused(state, message):
        torch.save(state, path)
        with pytest.raises(InputError, match=message):
            load_weights(VGG19(**TINY_VGG), path)

    refused(
        {k: v for k, v in good.items() if k != "features.5.bias"},
        r"weights: expected features\.5\.bias with shape \(2,\), got none",
    )
    refused(
        good | {"features.2.weight": torch.zeros(2, 2, 1, 1)},
        r"expected features\.2\.weight with shape \(2, 2, 3, 3\), got \(2, 2, 1, 1\)",
    )
    refused(
        good | {"features.36.weight": torch.zeros(1)}, r"expected the names of VGG-19 only, got features\.36\.weight"
    )
    refused([1, 2], "weights: expected a state dict, names to tensors, got list")
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"weights: expected a state dict of VGG-19, got .* which cannot be read"):
        load_weights(VGG19(**TINY_VGG), path)
    with pytest.raises(InputError, match="weights: expected a file, got"):
        load_weights(VGG19(**TINY_VGG), tmp_path / "none.pth")


def test_weights_with_code_in_them_are_refused(tmp_path, capsys):
    import pickle

    class Code:
        def __reduce__(self):
            return print, ("run",)

    path = tmp_path / "v.pth"
    path.write_bytes(pickle.dumps(Code(), protocol=2))
    with pytest.raises(InputError, match="which holds print and could run code"):
        load_weights(VGG19(**TINY_VGG), path)
    for new in (True, False):
        torch.save({"a": torch.zeros(2), "code": Code()}, path, _use_new_zipfile_serialization=new)
        match = r"weights: expected a state dict of VGG-19, got .*, which holds ([a-z_]+\.)?print and could run"
        with pytest.raises(InputError, match=match) as raised:
            load_weights(VGG19(**TINY_VGG), path)
        assert "weights_only" not in str(raised.value) and "torch.save(model.state_dict(), FILE)" in str(raised.value)
    assert capsys.readouterr().out == ""


def test_the_paper_preset_runs(tiny, tmp_path, monkeypatch):
    import functools

    small = functools.partial(backbones.VGG19, widths=TINY_VGG["widths"], hidden=TINY_VGG["hidden"])
    monkeypatch.setattr(schedule, "VGG19", small)
    part = PairedData(
        "part",
        tiny.images[:60],
        tiny.text_vectors[:60],
        {"query": [0, 1], "retrieval": np.arange(2, 60), "train": np.arange(2, 60)},
        tiny.labels[:60],
    )
    options = {
        "preset": "paper",
        "side": 64,
        "text_hidden": 16,
        "text_width": 8,
        "epochs": 1,
        "batch": 30,
    }
    with pytest.warns(UserWarning, match="VGG-19 starts untrained"):
        hasher = ADAH(bits=8, device="cpu", **options).fit(part, show_progress=False)
    assert hasher.masks(images=part.query).mask.shape == (2, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = ck.load(hasher.save(tmp_path / "p.safetensors"))
    assert (loaded.values(images=part.query) == hasher.values(images=part.query)).all()
