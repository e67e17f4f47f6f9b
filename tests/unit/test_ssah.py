"""SSAH: each term against its formula, each stage against what it may touch, the schedule against its promises."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import cmhkit as ck
from cmhkit import codes
from cmhkit.data import PairedData
from cmhkit.nn.backbones import CNNF
from cmhkit.nn.pairwise import LabelSimilarity
from cmhkit.ssah import SSAH, losses
from cmhkit.ssah import fit as schedule
from cmhkit.ssah.model import (
    BACKBONES,
    Discriminator,
    MultiScaleFusion,
    SemanticNetwork,
    network_for,
)
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator

SMALL = {
    "image_hidden": 32,
    "text_hidden": 32,
    "label_hidden": 32,
    "width": 16,
    "discriminator_hidden": (16,),
    "epochs": 2,
    "label_passes": 1,
    "batch": 100,
}


@pytest.fixture(autouse=True)
def _cache(shared_cache):
    """The features of `tiny` are known."""


def hasher_of(**options) -> SSAH:
    return SSAH(bits=8, seed=options.pop("seed", 1), device="cpu", **{**SMALL, **options})


def fitted(data, **options) -> SSAH:
    return hasher_of(**options).fit(data, show_progress=False)


def players(data, items: int = 60, **options) -> schedule.Supervision:
    """A schedule that has not begun, on the first pairs."""
    hasher = hasher_of(**options)
    hasher._device, random = torch.device("cpu"), generator(3)
    images = ck.data.features.image_features(data.images[:items])
    texts, labels = data.text_vectors[:items], data.labels[:items]
    hasher.network_ = network_for(hasher.config, 8, images.shape[1], texts.shape[1], labels.shape[1], random)
    return schedule.Supervision(hasher, images, texts, labels, random)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def said(found: schedule.Supervision, name: str, items: torch.Tensor):
    return getattr(found.network, name)(found._input(name, items))


# The terms.


def likelihood(f, g, similar) -> float:
    """J1 and J2 by their definition."""
    total = 0.0
    for i, j in itertools.product(range(len(f)), range(len(g))):
        theta = 0.5 * float(f[i] @ g[j])
        total -= float(similar[i, j]) * theta - np.log1p(np.exp(theta))
    return total


def test_j1_to_j4_by_their_definitions():
    random = generator(0)
    f, g = torch.rand(2, 5, 4, generator=random, dtype=torch.float64)
    labels = (torch.rand(5, 3, generator=random) < 0.5).double()
    similar = LabelSimilarity(labels, labels)
    for term in (losses.feature_likelihood, losses.code_likelihood):
        assert term(f, g, similar).item() == pytest.approx(likelihood(f, g, similar.rows(0, 5)), rel=1e-9)
    sign = torch.sign(f - 0.5)
    assert losses.quantisation_loss(f, sign).item() == pytest.approx(((f - sign) ** 2).numpy().sum())
    assert losses.label_loss(f[:, :3], labels, reduction="mean").item() == pytest.approx(
        np.mean((f[:, :3].numpy() - labels.numpy()) ** 2)
    )


def test_the_squared_variant_is_the_codes_own():
    random = generator(0)
    f, g = torch.rand(2, 3, 4, generator=random, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)
    theta, s = (0.5 * f @ g.T).numpy(), 0.999 * np.eye(3)
    expected = 0.5 * ((s * theta - np.log(1 + np.exp(theta))) ** 2).sum()
    assert losses.feature_likelihood(
        f, g, LabelSimilarity(labels, labels, 0.999), kind="squared"
    ).item() == pytest.approx(expected)


def test_batches_against_the_bank_add_up_to_the_whole_sum():
    random = generator(1)
    f, g = torch.rand(2, 23, 6, generator=random, dtype=torch.float64)
    labels = (torch.rand(23, 4, generator=random) < 0.4).double()
    whole = losses.feature_likelihood(f, g, LabelSimilarity(labels, labels)).item()
    parts = [
        losses.feature_likelihood(f[i], g, LabelSimilarity(labels[i], labels)).item()
        for i in torch.randperm(23, generator=random).split(5)
    ]
    assert sum(parts) == pytest.approx(whole, rel=1e-9)


def test_the_sign_of_eta_draws_codes_to_the_binary_code():
    """The note's printed minus would drive them away."""
    h = torch.tensor([[0.3, -0.2]], requires_grad=True)
    b = losses.shared_code(h.detach())
    (gradient,) = torch.autograd.grad(losses.quantisation_loss(h, b), h)
    assert ((h - 0.1 * gradient - b).abs() < (h - b).abs()).all()


def test_the_shared_code_is_the_best_of_all_codes():
    h = torch.tanh(torch.randn(3, 1, 5, generator=generator(2)))
    cost = {
        b: sum(float(losses.quantisation_loss(x, torch.tensor([b]))) for x in h)
        for b in itertools.product((-1.0, 1.0), repeat=5)
    }
    assert tuple(losses.shared_code(*h)[0].tolist()) == min(cost, key=cost.get)
    assert losses.shared_code(torch.zeros(1, 2)).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("kind", ["squared", "cross-entropy"])
def test_the_game_by_its_formulas(kind):
    on_label, on_image = torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, -3.0, 1.0]).double()
    p, q = (1 / (1 + np.exp(-x.numpy())) for x in (on_label, on_image))
    rated = (
        (lambda p, y: (p - y) ** 2) if kind == "squared" else (lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)))
    )
    found = losses.discriminator_loss(on_label, on_image, kind=kind).item()
    assert found == pytest.approx(rated(p, 1).sum() + rated(q, 0).sum())
    assert losses.adversarial_term(on_image, kind=kind).item() == pytest.approx(-rated(q, 0).sum())
    assert losses.adversarial_term(on_image, kind=kind, target="flipped").item() == pytest.approx(rated(q, 1).sum())
    # L_gen - L_adv: what LabNet and ImgNet add is minus the discriminator's loss.
    together = losses.adversarial_term(on_image, kind=kind) + losses.adversarial_term(on_label, own=1.0, kind=kind)
    assert together.item() == pytest.approx(-found)


@pytest.mark.parametrize("target", ["minus", "flipped"])
@pytest.mark.parametrize("kind", ["squared", "cross-entropy"])
def test_deceiving_moves_the_rating_towards_labnets(target, kind):
    logits = torch.linspace(-2, 2, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.adversarial_term(logits, target=target, kind=kind), logits)
    assert (gradient < 0).all()


# The networks.


def test_a_network_by_its_formula():
    net = SemanticNetwork(6, 5, 4, 8, 3, normalise=True, dropout=0.5, generator=generator(0)).eval()
    x = torch.rand(2, 6, generator=generator(1))

    def layer(x, module):
        return x @ module.weight.detach().numpy().T + module.bias.detach().numpy()

    hidden = np.maximum(layer(x.numpy(), net.first), 0)
    normed = np.zeros_like(hidden)
    for i in range(5):
        around = hidden[:, max(0, i - 2) : i + 3]
        normed[:, i] = hidden[:, i] / (2 + 1e-4 * (around**2).sum(1)) ** 0.75
    f = np.maximum(layer(normed, net.semantic), 0)
    found = net(x)
    np.testing.assert_allclose(found.features.detach(), f, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.codes.detach(), np.tanh(layer(f, net.hashing)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.labels.detach(), 1 / (1 + np.exp(-layer(f, net.labelling))), rtol=1e-4)


def test_response_normalisation_of_large_units():
    """Where the sum in it matters: alpha is 1e-4 a unit, not 1e-4 / 5."""
    net = SemanticNetwork(3, 5, 4, 8, 2, normalise=True, dropout=0.0, generator=generator(1))
    found = net.normalise(torch.full((1, 5, 1), 100.0))[0, 2].item()
    assert found == pytest.approx(100 / (2 + 1e-4 * 5 * 1e4) ** 0.75, rel=1e-5)


def test_multi_scale_fusion_by_its_formula():
    fusion = MultiScaleFusion(7, (2, 3), "positive", generator(0))
    assert torch.allclose(fusion.scales(), torch.ones(2))
    x = np.arange(7, dtype=np.float32)[None]
    channels = fusion(torch.from_numpy(x))[0].detach().numpy().reshape(3, 7)
    np.testing.assert_array_equal(channels[0], x[0])
    for row, p in ((1, 2), (2, 3)):
        pooled = np.array([x[0, i : i + p].mean() for i in range(0, 7, p)])  # the last window is shorter
        places = (np.arange(7) + 0.5) * len(pooled) / 7 - 0.5
        np.testing.assert_allclose(channels[row], np.interp(places, np.arange(len(pooled)), pooled), rtol=1e-5)


def test_a_dead_scalar_stays_dead_and_a_positive_one_lives():
    x = torch.rand(4, 30, generator=generator(0))
    for kind, alive in (("relu", False), ("positive", True)):
        fusion = MultiScaleFusion(30, (5,), kind, generator(0))
        with torch.no_grad():
            fusion.raw.fill_(-1.0)
        out = fusion(x)[:, 30:]
        (gradient,) = torch.autograd.grad((out - 1).square().sum(), fusion.raw)
        assert bool(gradient.any()) == alive and bool((out > 0).all()) == alive


def test_presets_and_their_traps():
    assert SSAH(preset="official").config.pool_scale == "relu"
    assert {SSAH(preset=name).config.pool_scale for name in ("lab", "paper")} == {"positive"}
    starts = [MultiScaleFusion(60, (5, 10, 15, 30, 50), "relu", generator(i)).scales() for i in range(40)]
    assert 0.3 < (torch.stack(starts) < 0).float().mean() < 0.7


@pytest.mark.parametrize("pools", [(5, 50), (50,)])
def test_a_vocabulary_shorter_than_a_window_is_an_error_that_names_both(tiny, pools):
    with pytest.raises(
        InputError,
        match=r"pools: expected windows no longer than the vocabulary, which has 20 words, got 50; pools=\(\)",
    ):
        fitted(replace(tiny, text_vectors=tiny.text_vectors[:, :20], texts=None, vocabulary=None), pools=pools)


def test_a_discriminator_by_its_formula():
    net, x = Discriminator(4, (3,), generator(0)), torch.rand(5, 4)
    a, b = net.layers
    expected = torch.relu(x @ a.weight.T + a.bias) @ b.weight.T + b.bias
    torch.testing.assert_close(net(x), expected[:, 0])


# The stages.


@pytest.mark.parametrize("preset", ["lab", "paper"])
@pytest.mark.parametrize("name", ["label", "image", "text"])
def test_a_network_stage_changes_its_network_only(tiny, preset, name):
    found = players(tiny, preset=preset, backbone="scenenet", side=224)
    parts = dict(found.network.named_children())
    before = {part: weights(module) for part, module in parts.items()}
    found.stages = [name]
    found._epoch(1, lambda k: None)
    changed = {part for part, module in parts.items() if not torch.equal(before[part], weights(module))}
    assert changed == {name}


def test_the_discriminators_stage_changes_the_discriminators_only(tiny):
    found = players(tiny)
    parts = dict(found.network.named_children())
    before = {part: weights(module) for part, module in parts.items()}
    found.stages = ["discriminators"]
    row = found._epoch(1, lambda k: None)
    changed = {part for part, module in parts.items() if not torch.equal(before[part], weights(module))}
    assert changed == {"image_discriminator", "text_discriminator"}
    first = found._discriminators_step(torch.arange(60))
    for _ in range(30):
        last = found._discriminators_step(torch.arange(60))
    assert all(last[f"d_{m}_loss"] < first[f"d_{m}_loss"] for m in ("image", "text"))
    expected = {f"d_{m}_{what}" for m in ("image", "text") for what in ("loss", "right_on_label", f"right_on_{m}")}
    assert {name for name in row if not name.startswith("text_scale")} == {"epoch"} | expected


@pytest.mark.parametrize("name", ["image", "text"])
def test_the_adversarial_gradient_reaches_the_networks_in_paper_and_not_in_official(tiny, name):
    items = torch.arange(60)
    found = players(tiny, preset="paper", backbone="scenenet")
    found._train_only(name)
    term = found.terms(name, items, said(found, name, items))["adversarial"]
    net = getattr(found.network, name)
    gradient = torch.autograd.grad(term, list(net.parameters()), allow_unused=True)
    assert any(g is not None and g.abs().sum() > 0 for g in gradient)

    found = players(tiny, preset="official", backbone="scenenet")
    found._train_only(name)
    assert "adversarial" not in found.terms(name, items, said(found, name, items))


def one_step(found: schedule.Supervision, name: str):
    """The network's weights after a step, and how far its discriminator takes its features for LabNet's, before and
    after.
    """
    discriminator, items = found.discriminators[name], torch.arange(60)
    features = getattr(found.network, name).eval().features(found._input(name, items)).detach()
    before = discriminator(features).mean().item()
    found._train_only(name)
    found._network_step(name, items)
    return weights(getattr(found.network, name)), before, discriminator(features).mean().item()


@pytest.mark.parametrize("name", ["image", "text"])
def test_in_official_the_network_moves_as_without_a_game_and_the_discriminator_learns_flipped_labels(tiny, name):
    """The same, seen from the weights after a step."""
    without, *_ = one_step(players(tiny, preset="official", backbone="scenenet"), name)
    moved = {}
    for weight in (1.0, 100.0):
        moved[weight], before, after = one_step(
            players(tiny, preset="official", backbone="scenenet", adversarial_weight=weight), name
        )
        assert torch.equal(moved[weight], without) and after > before
    _, before, after = one_step(players(tiny, preset="paper", backbone="scenenet"), name)
    assert before == after
    for weight in (1.0, 100.0):
        moved[weight], *_ = one_step(
            players(tiny, preset="paper", backbone="scenenet", adversarial_weight=weight), name
        )
    assert not torch.equal(moved[1.0], moved[100.0])


def test_labnet_plays_where_it_is_asked_to(tiny):
    items = torch.arange(60)
    for plays in (True, False):
        found = players(tiny, adversarial_labnet=plays)
        assert ("adversarial" in found.terms("label", items, said(found, "label", items))) == plays


def test_the_terms_of_a_batch_are_its_share_of_the_whole(tiny):
    """ImgNet's terms by the formulas, with the shared B, and with its own sign."""
    items = torch.arange(20, 40)
    for binary in ("shared", "own"):
        found = players(tiny, binary=binary, reduction="sum", pair_weights="equal", adversarial="none", dropout=0.0)
        out = said(found, "image", items)
        found._renew_bank("image", items, out)
        terms = found.terms("image", items, out)
        label = said(found, "label", torch.arange(60))
        labels = found.labels.numpy()
        similar = (labels[20:40] @ labels.T > 0).astype(float)
        h = out.codes.detach()
        assert terms["j1"].item() == pytest.approx(
            likelihood(out.features.detach().double(), label.features.detach().double(), similar), rel=1e-4
        )
        assert terms["j2"].item() == pytest.approx(
            likelihood(h.double(), label.codes.detach().double(), similar), rel=1e-4
        )
        total = h + (label.codes[20:40].detach() if binary == "shared" else 0)  # TxtNet was not seen yet: 0
        b = np.where(total.numpy() >= 0, 1.0, -1.0)
        assert terms["j3"].item() == pytest.approx(((h.numpy() - b) ** 2).sum(), rel=1e-4)
        c = found.config
        expected = c.alpha * terms["j1"] + c.gamma * terms["j2"] + c.eta * terms["j3"] + c.beta * terms["j4"]
        assert found.weighted(terms).item() == pytest.approx(expected.item())


def test_balanced_pairs_give_similar_and_dissimilar_ones_equal_weight(tiny):
    found = players(tiny)
    similar = found.labels @ found.labels.T > 0
    near, far = found.pairs["weights"]
    assert near * similar.sum().item() == pytest.approx(far * (~similar).sum().item())
    assert near * similar.sum().item() + far * (~similar).sum().item() == pytest.approx(60 * 60)


# The schedule.


def test_the_order_of_the_stages(tiny, monkeypatch):
    found, order = players(tiny, label_passes=2), []
    original = found._train_only
    monkeypatch.setattr(found, "_train_only", lambda player: order.append(player) or original(player))
    found._epoch(1, lambda k: None)
    assert order == ["label", "label", "discriminators", "image", "text"]


def test_same_seed_same_codes_and_another_seed_others(tiny):
    first, again, other = fitted(tiny), fitted(tiny), fitted(tiny, seed=2)
    assert first.history_ == again.history_
    assert (first.values(images=tiny.query) == again.values(images=tiny.query)).all()
    assert (first.values(texts=tiny.query) != other.values(texts=tiny.query)).any()


def test_it_learns(tiny):
    hasher = SSAH(bits=16, seed=0, device="cpu", width=128, pools=(), batch=32).fit(tiny, show_progress=False)
    report = hasher.evaluate(tiny)
    chance = ck.graphs.label_similarity(tiny.query.labels, tiny.retrieval.labels).mean()
    assert report.map_i2t > chance + 0.15 and report.map_t2i > chance + 0.15
    ceiling = ck.metrics.evaluate(
        hasher.encode(labels=tiny.query), hasher.encode(labels=tiny.retrieval), tiny.query.labels, tiny.retrieval.labels
    ).map
    assert ceiling > max(report.map_i2t, report.map_t2i)


def test_history(tiny):
    rows = fitted(tiny, pools=(5, 50)).history_
    assert [row["epoch"] for row in rows] == [1, 2]
    for name in ("label", "image", "text"):
        assert {f"{name}_{what}" for what in ("j1", "j2", "j3", "j4", "loss", "dead", "distinct")} <= set(rows[0])
    assert {
        "image_adversarial",
        "text_adversarial",
        "d_image_right_on_image",
        "d_text_right_on_label",
        "text_scale_50",
    } <= set(rows[0])
    assert all(type(value) is float for row in rows for name, value in row.items() if name != "epoch")
    row = rows[-1]
    c = hasher_of().config
    total = c.alpha * row["image_j1"] + c.gamma * row["image_j2"] + c.eta * row["image_j3"] + c.beta * row["image_j4"]
    assert row["image_loss"] == pytest.approx(total + c.adversarial_weight * row["image_adversarial"], rel=1e-4)


def test_ablations(tiny):
    none = fitted(tiny, adversarial="none")
    assert (
        none.network_.image_discriminator is None
        and "image_adversarial" not in none.history_[-1]
        and "d_image_loss" not in none.history_[-1]
    )
    alone = fitted(tiny, supervision="each-other", adversarial="none")
    assert alone.network_.label is None and "label_j1" not in alone.history_[-1]
    with pytest.raises(InputError, match="labels: expected a hasher with LabNet, got supervision='each-other'"):
        alone.encode(labels=tiny.query)
    with pytest.raises(InputError, match="adversarial: expected 'none' with supervision='each-other'"):
        SSAH(supervision="each-other")
    for option in ({"binary": "own"}, {"pair_loss": "squared"}, {"adversarial": "detached"}):
        assert fitted(tiny, **option).history_ != none.history_


def test_each_other_means_the_others_features(tiny):
    found = players(
        tiny, supervision="each-other", adversarial="none", reduction="sum", pair_weights="equal", dropout=0.0
    )
    items = torch.arange(60)
    out, text = said(found, "image", items), said(found, "text", items)
    labels = found.labels.numpy()
    expected = likelihood(out.features.detach().double(), text.features.detach().double(), labels @ labels.T > 0)
    assert found.terms("image", items, out)["j1"].item() == pytest.approx(expected, rel=1e-4)


def test_official_stays_finite_at_its_rates_and_says_so_when_it_collapses(tiny):
    options = {"preset": "official", "backbone": "scenenet", "epochs": 3}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        hasher = fitted(tiny, **options, lr_label=1.0, lr_decay="none")
    assert hasher.history_[-1]["label_distinct"] == 1 and hasher.history_[-1]["label_dead"] > 0.9
    assert any(
        "LabNet has collapsed: it gives all 400 training pairs one code" in str(w.message)
        and w.category is codes.CollapseWarning
        for w in told
    )
    assert np.isfinite([v for row in fitted(tiny, **options).history_ for v in row.values()]).all()


def test_a_stopped_run_goes_on_to_the_same_result(tiny, tmp_path):
    class Stop(Exception):
        pass

    def stop(row, hasher):
        assert hasher.encode(texts=tiny.query).shape == (len(tiny.query), 1)
        assert hasher.shared_code_.shape == (len(tiny.train), 1)
        if row["epoch"] == 2:
            raise Stop

    for options in ({}, {"supervision": "each-other", "adversarial": "none"}):
        folder = tmp_path / str(len(options))
        whole = fitted(tiny, epochs=3, **options)
        with pytest.raises(Stop):
            hasher_of(epochs=3, **options).fit(tiny, checkpoint_dir=folder, callback=stop, show_progress=False)
        again = hasher_of(epochs=3, **options).fit(tiny, checkpoint_dir=folder, show_progress=False)
        assert again.history_ == whole.history_
        assert (again.values(texts=tiny.query) == whole.values(texts=tiny.query)).all()
        assert (again.shared_code_ == whole.shared_code_).all()


def test_save_and_load_give_the_same_codes(tiny, tmp_path):
    hasher = fitted(tiny)
    loaded = ck.load(hasher.save(tmp_path / "a.safetensors"))
    assert (loaded.values(images=tiny.query) == hasher.values(images=tiny.query)).all()
    assert (loaded.values(texts=["dog park"]) == hasher.values(texts=["dog park"])).all()
    assert (loaded.values(labels=tiny.query) == hasher.values(labels=tiny.query)).all()
    assert (loaded.shared_code_ == hasher.shared_code_).all() and loaded.unlabelled_ == 0
    assert loaded.config == hasher.config and loaded.history_ == hasher.history_


def test_a_file_with_the_old_names_of_the_discriminators_is_loaded():
    path = Path(__file__).parent / "saved" / "format1" / "SSAH.safetensors"
    network = ck.load(path).network_
    with safe_open(path, framework="pt") as file:
        for name in ("image", "text"):
            discriminator = getattr(network, f"{name}_discriminator")
            assert getattr(network, f"{name}_judge") is discriminator is not None
            for parameter, value in discriminator.named_parameters():
                assert torch.equal(file.get_tensor(f"{name}_judge.{parameter}"), value)


def test_the_shared_code_is_the_sign_of_the_sum_of_what_was_seen_last(tiny):
    found = players(tiny)
    found._epoch(1, lambda k: None)
    total = sum(found.codes[name] for name in ("label", "image", "text")).numpy()
    assert (codes.unpack(found.shared_code()) == np.where(total >= 0, 1, -1)).all()
    assert all(found.codes[name].any() for name in ("label", "image", "text"))


# What the networks say.


def test_features_and_label_scores(tiny):
    hasher = fitted(tiny)
    split, net = tiny.query, hasher.network_
    inputs = {
        "images": ck.data.features.image_features(split.images),
        "texts": split.text_vectors,
        "labels": split.labels.astype(np.float32),
    }
    for argument, part in (("images", net.image), ("texts", net.text), ("labels", net.label)):
        given = {argument: split}
        found = part.eval()(torch.from_numpy(inputs[argument]))
        f, scores = hasher.features(**given), hasher.label_scores(**given)
        assert (
            f.dtype == scores.dtype == np.float32 and f.shape == (len(split), 16) and scores.shape == split.labels.shape
        )
        np.testing.assert_allclose(f, found.features.detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(scores, torch.sigmoid(found.label_logits).detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(hasher.values(**given), found.logits.detach(), rtol=1e-4, atol=1e-5)
        assert (codes.unpack(hasher.encode(**given)) == np.where(hasher.values(**given) >= 0, 1, -1)).all()
    assert (hasher.encode(labels=split) == hasher.encode(labels=split.labels)).all()


def test_scaled_inputs_do_not_depend_on_their_length(tiny):
    hasher = fitted(tiny, input_scaling="l2")
    x = tiny.query.text_vectors
    np.testing.assert_allclose(hasher.values(texts=x), hasher.values(texts=7 * x), rtol=1e-3, atol=1e-4)
    assert np.linalg.norm(hasher._scaled(x)[0]) == pytest.approx(1, rel=1e-5)
    assert not hasher._scaled(np.zeros((1, 3), np.float32)).any()


# Backbones.


def vectors(data: PairedData, width: int = 12) -> PairedData:
    images = np.random.default_rng(0).normal(size=(len(data), width)).astype(np.float32)
    return replace(data, images=images, truth=None)


@pytest.mark.parametrize("backbone", ["scenenet", "features"])
def test_vectors_pass_as_they_are(tiny, backbone):
    data = vectors(tiny)
    hasher = fitted(data, backbone=backbone)
    assert hasher.encode(images=data.query).shape == (len(data.query), 1)
    with pytest.raises(InputError, match="images: expected features of width 12, as in training, got 13"):
        hasher.encode(images=np.zeros((2, 13)))


def test_paper_and_official_go_through_the_pictures_backbone(tiny, monkeypatch, tmp_path):
    """CNN-F's shape with small widths: that it is trained, and that it can be kept."""
    small = partial(CNNF, widths=(4, 4, 4, 4, 4), hidden=8)
    monkeypatch.setitem(BACKBONES, "cnn-f", small)
    data = replace(
        tiny, parts={name: part[:12] for name, part in tiny.parts.items()} | {"retrieval": tiny.parts["train"][:12]}
    )
    options = {**SMALL, "epochs": 1, "batch": 6, "side": 64}
    for preset in ("paper", "official"):
        with pytest.warns(UserWarning, match="starts untrained"):
            hasher = SSAH(bits=8, preset=preset, seed=0, device="cpu", **options).fit(data, show_progress=False)
        assert hasher.encode(images=data.query).shape == (12, 1)
        start = network_for(hasher.config, 8, None, 1000, 24, generator(0))
        assert not torch.equal(weights(start.image.front), weights(hasher.network_.image.front))
        loaded = ck.load(hasher.save(tmp_path / "a.safetensors"))
        assert (loaded.values(images=data.query) == hasher.values(images=data.query)).all()


def test_a_backbone_starts_from_the_weights_that_were_given(tiny, monkeypatch):
    files = []
    monkeypatch.setitem(BACKBONES, "cnn-f", partial(CNNF, widths=(4, 4, 4, 4, 4), hidden=8))
    monkeypatch.setattr(schedule, "load_weights", lambda net, path: files.append(path))
    few = replace(tiny, parts=tiny.parts | {"train": tiny.parts["train"][:8]})
    fitted(few, backbone="cnn-f", side=64, weights="imagenet-vgg-f.mat", epochs=1)
    assert files == ["imagenet-vgg-f.mat"]


def test_a_backbone_and_its_input_must_fit(tiny):
    with pytest.raises(
        InputError,
        match=r"images: expected pictures .* since backbone='cnn-f' reads them, got shape .* backbone='features' reads",
    ):
        fitted(vectors(tiny), backbone="cnn-f")
    with pytest.raises(InputError, match=r"images: expected feature vectors .* since backbone='features', got shape"):
        fitted(tiny, backbone="features")


# Bad input.


def relabelled(data: PairedData, labels: np.ndarray | None) -> PairedData:
    return replace(data, labels=labels, label_names=())


def test_unlabelled_pairs_are_counted_and_kept_or_dropped(tiny):
    labels = tiny.labels.copy()
    bare = tiny.parts["train"][[3, 5, 8]]
    labels[bare] = 0
    data = relabelled(tiny, labels)
    with pytest.warns(
        schedule.UnlabelledWarning,
        match="3 of 400 training pairs have no label, the first at position 3; they are kept",
    ):
        kept = fitted(data)
    assert kept.unlabelled_ == 3 and len(kept.shared_code_) == 400
    with pytest.warns(schedule.UnlabelledWarning, match="they are left out"):
        dropped = fitted(data, unlabelled="drop")
    assert dropped.unlabelled_ == 3 and len(dropped.shared_code_) == 397
    left = replace(data, parts=data.parts | {"train": np.setdiff1d(data.parts["train"], bare)})
    again = fitted(left)
    assert again.unlabelled_ == 0 and again.history_ == dropped.history_


def test_labels_that_teach_nothing_are_an_error(tiny):
    with pytest.raises(InputError, match="data: expected labels, since SSAH is supervised, got none"):
        fitted(tiny.without_labels())
    with pytest.raises(InputError, match="every two training pairs share a label"):
        fitted(relabelled(tiny, np.ones((600, 1))))
    with pytest.warns(schedule.UnlabelledWarning), pytest.raises(InputError, match="no training pair has a label"):
        fitted(relabelled(tiny, np.zeros((600, 2))))
    with (
        pytest.warns(schedule.UnlabelledWarning),
        pytest.raises(InputError, match="expected at least 2 training pairs, got 0"),
    ):
        fitted(relabelled(tiny, np.zeros((600, 2))), unlabelled="drop")


def test_bad_arguments_of_encode(tiny):
    hasher = fitted(tiny, epochs=1)
    with pytest.raises(InputError, match="images, texts, labels: expected exactly one of them, got 2"):
        hasher.encode(images=tiny.query, labels=tiny.query)
    with pytest.raises(InputError, match="images, texts, labels: expected exactly one of them, got 0"):
        hasher.features()
    with pytest.raises(InputError, match="labels: expected rows of 24 labels, as in training, got 3"):
        hasher.encode(labels=np.eye(3))
    with pytest.raises(InputError, match="labels: expected a split with labels, got none"):
        hasher.encode(labels=tiny.without_labels().query)
    with pytest.raises(InputError, match="texts: expected vectors of width"):
        hasher.encode(texts=np.zeros((1, 3)))
    with pytest.raises(InputError, match="SSAH: expected a fitted hasher"):
        SSAH().encode(labels=np.eye(3))


def test_a_diverging_run_is_one_clear_error(tiny):
    with pytest.raises(InputError, match=r"SSAH: .* is not finite after epoch 1; try a lower rate"):
        fitted(tiny, lr_image=1e30, lr_text=1e30, optimiser="sgd", dropout=0.0)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"backbone": "alexnet"}, "backbone: expected one of scenenet, features, cnn-f, vgg19"),
        ({"adversarail": "none"}, "did you mean 'adversarial'"),
        ({"adversarial": "yes"}, "adversarial: expected one of flows, detached, none"),
        ({"pools": 5}, "pools: expected a tuple"),
        ({"pools": (0,)}, "pools"),
        ({"discriminator_hidden": (1.5,)}, "discriminator_hidden"),
        ({"similarity": 1.1}, "similarity"),
        ({"similarity": 0}, "similarity"),
        ({"dropout": 1}, "dropout"),
        ({"epochs": 0}, "epochs"),
        ({"alpha": -1}, "alpha"),
        ({"lr_image": 0}, "lr_image"),
        ({"weights": 3}, "weights"),
        ({"unlabelled": "warn"}, "unlabelled: expected one of keep, drop"),
    ],
)
def test_bad_options_are_named(options, names):
    with pytest.raises(InputError, match=names):
        SSAH(bits=8, **options)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_bank_that_is_drawn_from_has_the_terms_of_the_whole_in_the_mean(tiny, reduction):
    whole, some = (players(tiny, reduction=reduction, bank=bank) for bank in (0, 25))
    items = torch.arange(15)
    with torch.no_grad():
        outputs = whole.network.eval().image(whole._input("image", items))
        expected = whole.terms("image", items, outputs)
        found = [some.terms("image", items, outputs) for _ in range(300)]
    for name in ("j1", "j2"):
        drawn = torch.stack([terms[name] for terms in found])
        error = float(drawn.std()) / len(drawn) ** 0.5
        assert error > 0 and abs(float(drawn.mean() - expected[name])) < 4 * error, name
    assert all(torch.equal(found[0][name], expected[name]) for name in ("j3", "j4"))


def test_a_bank_is_drawn_from_only_where_it_is_asked_for(tiny):
    whole, some = players(tiny), players(tiny, bank=25)
    before = whole.random.get_state()
    assert whole._met() == slice(None) and torch.equal(whole.random.get_state(), before)
    met = some._met()
    assert met.shape == (25,) and int(met.min()) >= 0 and int(met.max()) < 60 and not torch.equal(met, some._met())
