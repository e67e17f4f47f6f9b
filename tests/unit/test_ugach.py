"""UGACH: each equation against an independent computation, and the schedule against what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import cmhkit as ck
from cmhkit import graphs
from cmhkit.data import PairedData
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator
from cmhkit.train.run import Run
from cmhkit.ugach import UGACH, UGACHConfig, losses
from cmhkit.ugach import fit as schedule
from cmhkit.ugach.model import CrossModalNetwork, HashNetwork, binary_code

SMALL = {
    "hidden": 16,
    "k_image": 4,
    "k_text": 6,
    "pool": 40,
    "pretrain_steps": 6,
    "rounds": 2,
    "d_steps": 3,
    "g_steps": 3,
}


def toy(pairs: int = 90, seed: int = 0, labels: bool = True) -> PairedData:
    """Three clusters seen in two modalities: 15 queries, the rest to search and to learn from."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(pairs) % 3
    images = rng.normal(size=(3, 12))[cluster] * 2 + rng.normal(size=(pairs, 12))
    texts = (rng.random((3, 20))[cluster] + 0.4 * rng.random((pairs, 20)) > 0.8).astype(float)
    rest = np.arange(15, pairs)
    return PairedData(
        "toy",
        images,
        texts,
        {"query": np.arange(15), "retrieval": rest, "train": rest},
        np.eye(3)[cluster] if labels else None,
    )


def fitted(data: PairedData | None = None, **options) -> UGACH:
    return UGACH(bits=8, seed=options.pop("seed", 1), device="cpu", **{**SMALL, **options}).fit(
        data or toy(), show_progress=False
    )


def player(seed: int, items: int = 60) -> schedule.Game:
    """A game that has not begun."""
    data = toy()
    hasher = UGACH(bits=8, seed=seed, device="cpu", **SMALL)
    hasher._scaling, hasher._device = {}, torch.device("cpu")
    hasher.positives_ = schedule.related_items(data.images[:items], data.text_vectors[:items], hasher.config)
    random = generator(seed)
    hasher.discriminator_ = CrossModalNetwork(12, 20, 16, 8, None, random)
    hasher.generator_ = CrossModalNetwork(12, 20, 16, 8, None, random)
    return schedule.Game(
        hasher, torch.from_numpy(data.images[:items]), torch.from_numpy(data.text_vectors[:items]), random
    )


# The networks.


def test_hash_network_is_two_layers():
    net = HashNetwork(5, 7, 8, 0.1, generator(0))
    x = torch.randn(4, 5, generator=generator(1))
    phi = torch.tanh(x @ net.representation.weight.T + net.representation.bias)
    h = 1 / (1 + torch.exp(-(phi @ net.hashing.weight.T + net.hashing.bias)))
    torch.testing.assert_close(net(x), h)
    assert torch.equal(binary_code(h) == 1, net.logits(x) >= 0)


def test_weights_are_a_truncated_normal_and_biases_zero():
    net = HashNetwork(300, 400, 8, 0.1, generator(0))
    weight = net.representation.weight
    assert weight.abs().max() <= 0.2
    # A normal cut at two deviations has a deviation of 0.880 of the uncut one.
    assert weight.std().item() == pytest.approx(0.0880, rel=0.02)
    assert net.representation.bias.abs().sum() + net.hashing.bias.abs().sum() == 0


def test_half_is_a_one():
    assert binary_code(torch.tensor([0.49999, 0.5, 0.50001])).tolist() == [0, 1, 1]


# The equations.


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.2, 5))
def test_generator_probability_by_the_formula(seed, temperature):
    rng = np.random.default_rng(seed)
    q, pool = rng.random((3, 8)), rng.random((5, 8))
    p = losses.generator_log_probability(torch.tensor(q), torch.tensor(pool), temperature).exp().numpy()
    raw = np.array(
        [[math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / temperature) for y in pool] for x in q]
    )
    np.testing.assert_allclose(p, raw / raw.sum(1, keepdims=True), rtol=1e-9)


def test_the_true_term_is_constant():
    net = HashNetwork(5, 6, 8, None, generator(0))
    h = net(torch.randn(4, 5, generator=generator(1)))
    distance = losses.squared_distance(h[:2], h[2:]).diagonal()
    score = losses.relevance_score(distance, distance, margin=1.5)
    assert torch.equal(score, torch.full_like(score, 1.5))
    torch.nn.functional.logsigmoid(score).mean().backward()
    assert all(p.grad is None or not p.grad.any() for p in net.parameters())


def test_discriminator_loss_is_the_triplet_hinge():
    rng = np.random.default_rng(0)
    q, x_true, x_generated = rng.random((3, 6, 8))
    total = 0.0
    for i in range(6):
        to_true = sum((a - b) ** 2 for a, b in zip(q[i], x_true[i], strict=True))
        to_generated = sum((a - b) ** 2 for a, b in zip(q[i], x_generated[i], strict=True))
        total += max(0.0, 1.0 + to_true - to_generated)
    pairs = [torch.tensor(((q - other) ** 2).sum(1)) for other in (x_true, x_generated)]
    assert losses.discriminator_loss(*pairs, margin=1.0).item() == pytest.approx(total / 6)


def test_hinge_descends_where_the_value_ascends():
    """The hinge's gradient and that of E log(1 - D) differ by the factor sigmoid(f) alone."""
    d_true, d_generated = torch.tensor([0.7, 0.2], requires_grad=True), torch.tensor([0.9, 3.0])
    score = losses.relevance_score(d_true, d_generated, 1.0)
    (value,) = torch.autograd.grad(torch.nn.functional.logsigmoid(-score).sum(), d_true, retain_graph=True)
    (hinge,) = torch.autograd.grad(score.sum(), d_true)
    torch.testing.assert_close(value, -torch.sigmoid(score.detach()) * hinge)
    assert hinge.tolist() == [1.0, 0.0]


def test_value_function_by_the_formula():
    true, generated = np.array([1.0, 1.0]), np.array([0.0, 2.5])
    d = [1 / (1 + np.exp(-f)) for f in (true, generated)]
    found = losses.value_function(torch.tensor(true), torch.tensor(generated)).item()
    assert found == pytest.approx(np.log(d[0]).mean() + np.log(1 - d[1]).mean())
    np.testing.assert_allclose(losses.discriminator_probability(torch.tensor(generated)), d[1])


def test_rewards():
    score = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    d = torch.sigmoid(score)
    torch.testing.assert_close(losses.generator_reward(score, "softplus"), -torch.log(1 - d))
    torch.testing.assert_close(losses.generator_reward(score, "sigmoid"), d)
    assert (losses.generator_reward(score, "sigmoid") >= 0.5).all()


def test_mean_baseline_leaves_the_draw_itself_out():
    reward = torch.tensor([[1.0, 2.0, 6.0]])
    log_p = torch.zeros(1, 3, requires_grad=True)
    (found,) = torch.autograd.grad(losses.policy_loss(log_p, reward, "mean"), log_p)
    expected = -(torch.tensor([[1.0 - 4.0, 2.0 - 3.5, 6.0 - 1.5]])) / 3
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("baseline", ["none", "mean"])
def test_score_function_gradient_equals_the_exact_gradient(baseline):
    """REINFORCE averaged over 40,000 × 4 draws against enumeration of a pool of eight, within five standard errors."""
    net = HashNetwork(4, 5, 8, 0.8, generator(0)).double()
    x = torch.randn(9, 4, generator=generator(1), dtype=torch.float64)
    reward = losses.generator_reward(3 * torch.rand(1, 8, generator=generator(2), dtype=torch.float64))

    def log_p():
        h = net(x)
        return losses.generator_log_probability(h[:1], h[1:])

    weights = [p for p in net.parameters() if p.ndim > 1]
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(losses.expected_reward_loss(log_p(), reward), weights)])
    # The estimator's value for a draw is linear in the gradients of the eight log probabilities.
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(log_p()[0, j], weights)]) for j in range(8)]
    drawn = torch.multinomial(log_p().exp().detach().expand(40_000, 8), 4, replacement=True, generator=generator(3))
    taken = log_p().detach().expand(40_000, 8).gather(1, drawn).requires_grad_()
    earned = reward.expand(40_000, 8).gather(1, drawn)
    (on_log_p,) = torch.autograd.grad(losses.policy_loss(taken, earned, baseline), taken)
    per_item = torch.zeros(40_000, 8, dtype=torch.float64).scatter_add_(1, drawn, on_log_p * 40_000)
    samples = per_item @ torch.stack(rows)
    error = samples.std(0) / math.sqrt(len(samples))
    assert exact.norm() > 1e-2
    assert ((samples.mean(0) - exact).abs() <= 5 * error + 1e-12).all()
    assert (error.norm() / exact.norm()).item() < 0.1


def test_log_p_over_the_draws_is_another_gradient():
    log_p = losses.generator_log_probability(
        torch.rand(1, 8, generator=generator(0)), torch.rand(6, 8, generator=generator(1))
    )
    drawn = torch.tensor([[0, 3]])
    over_pool = losses.draws_log_probability(log_p, drawn, "pool")
    over_draws = losses.draws_log_probability(log_p, drawn, "draws")
    torch.testing.assert_close(over_pool, log_p[:, [0, 3]])
    assert over_draws.exp().sum().item() == pytest.approx(1)
    assert over_pool.exp().sum() < 1


def test_sampling_frequencies_match_the_distribution():
    """A chi-squared test of 60,000 draws over a pool of eight; it fails for the wrong distribution."""
    from scipy.stats import chisquare

    game = player(0)
    h = torch.rand(9, 8, generator=generator(5))
    p = losses.generator_log_probability(h[:1], h[1:]).exp()
    drawn, usable = game._draw(p, 60_000)
    counts = np.bincount(drawn[0].numpy(), minlength=8)
    assert bool(usable[0])
    # Normalised in float64: SciPy allows the sums to differ by 1e-8 of theirs, less than float32 rounds.
    expected = p[0].double().numpy()
    assert chisquare(counts, expected / expected.sum() * 60_000).pvalue > 1e-3
    assert chisquare(counts, np.full(8, 7_500)).pvalue < 1e-6


# The graphs.


def test_related_items_are_the_union_of_both_graphs():
    data = toy(40)
    config = UGACHConfig(k_image=3, k_text=4, metric_text="euclidean")
    found = schedule.related_items(data.images, data.text_vectors, config).toarray()
    for x, k, i in ((data.images, 3, 0), (data.images, 3, 17), (data.text_vectors, 4, 5)):
        distance = ((x - x[i]) ** 2).sum(1)
        distance[i] = -1
        nearest = np.argsort(distance, kind="stable")[:k]
        assert found[i, nearest].all()
    assert found.diagonal().all()
    assert found.sum(1).max() <= 3 + 4 - 1
    both = schedule.related_items(
        data.images, data.text_vectors, UGACHConfig(k_image=3, k_text=4, metric_text="euclidean", symmetric=True)
    ).toarray()
    assert (both == (found | found.T)).all()


# The schedule.


def test_same_seed_same_codes_and_another_seed_others():
    data = toy()
    first, again, other = fitted(data), fitted(data), fitted(data, seed=2)
    for part in ("images", "texts"):
        assert (first.encode(**{part: data.query}) == again.encode(**{part: data.query})).all()
    assert (first.values(images=data.query) != other.values(images=data.query)).any()


def test_no_label_is_read():
    data = toy()
    with_labels, without = fitted(data), fitted(data.without_labels())
    assert (with_labels.values(images=data.query) == without.values(images=data.query)).all()
    assert (with_labels.values(texts=data.retrieval) == without.values(texts=data.retrieval)).all()


def test_codes_come_from_the_discriminator():
    data = toy()
    hasher = fitted(data)
    before = hasher.encode(images=data.query), hasher.encode(texts=data.query)
    for p in hasher.generator_.parameters():
        p.data.zero_()
    assert (hasher.encode(images=data.query) == before[0]).all() and (
        hasher.encode(texts=data.query) == before[1]
    ).all()
    h = hasher.discriminator_.image(hasher._scaled(data.query.images, "image"))
    assert (ck.codes.unpack(before[0]) == np.where(binary_code(h).numpy() == 1, 1, -1)).all()


def test_each_step_changes_its_own_player_only():
    game = player(3)

    def weights(net):
        return torch.cat([p.detach().flatten().clone() for p in net.parameters()])

    d, g = game.hasher.discriminator_, game.hasher.generator_
    start = weights(d), weights(g)
    game._d_step("d", "graph", game._codes(g))
    after_d = weights(d), weights(g)
    assert not torch.equal(start[0], after_d[0]) and torch.equal(start[1], after_d[1])
    game._g_step(game._codes(d))
    assert torch.equal(after_d[0], weights(d)) and not torch.equal(after_d[1], weights(g))


def test_the_frozen_player_embeds_the_set_once_a_round(monkeypatch):
    calls = []
    original = schedule.Game._codes
    monkeypatch.setattr(schedule.Game, "_codes", lambda self, net: calls.append(net) or original(self, net))
    hasher = fitted(rounds=3)
    assert calls == [hasher.generator_, hasher.discriminator_] * 3


def test_the_graphs_of_the_same_pairs_are_searched_once(monkeypatch):
    data, calls, original = toy(), [], graphs.knn_graph
    monkeypatch.setattr(graphs, "_last_graph", {})
    monkeypatch.setattr(graphs, "knn_graph", lambda *a, **k: calls.append(1) or original(*a, **k))
    config = UGACHConfig(k_image=3, k_text=4)
    first = schedule.related_items(data.images, data.text_vectors, config)
    again = schedule.related_items(data.images.copy(), data.text_vectors, evolve(config, rounds=7))
    assert len(calls) == 2 and (first != again).nnz == 0
    again.data[:] = False
    assert (first != schedule.related_items(data.images, data.text_vectors, config)).nnz == 0 and len(calls) == 2
    changed = data.images.copy()
    changed[0, 0] += 1
    schedule.related_items(changed, data.text_vectors, config)
    schedule.related_items(changed, data.text_vectors, evolve(config, k_text=5))
    assert len(calls) == 6


def test_related_items_are_never_shown_as_generated():
    game = player(4)
    _, related = game._draw_pool("graph")
    weights = torch.rand(related.shape, generator=generator(1)).masked_fill(related, 0)
    drawn, usable = game._draw(weights, 50)
    assert not related.gather(1, drawn)[usable].any()


def test_pretraining_may_use_the_pair_alone():
    _, related = player(5)._draw_pool("pair")
    assert torch.equal(related, torch.eye(len(related), dtype=torch.bool))


def test_history_has_a_row_an_epoch_and_finite_numbers():
    rows = fitted().history_
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["stage"] for row in rows] == ["pretraining", "game", "game"]
    assert {"d_loss", "active", "reward", "entropy"} <= rows[-1].keys()
    assert all(np.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))


def test_without_a_generator_no_generator_is_trained():
    data = toy()
    hasher = fitted(data, negatives="uniform")
    untrained = UGACH(bits=8, seed=1, device="cpu", **{**SMALL, "pretrain_steps": 0, "rounds": 0}).fit(
        data, show_progress=False
    )
    for a, b in zip(hasher.generator_.parameters(), untrained.generator_.parameters(), strict=True):
        assert torch.equal(a, b)
    assert "reward" not in hasher.history_[-1]


def test_a_stopped_run_goes_on_to_the_same_result(tmp_path):
    class Stop(Exception):
        pass

    def stop(row, hasher):
        if row["epoch"] == 2:
            raise Stop

    data = toy()
    whole = fitted(data, rounds=4)
    hasher = UGACH(bits=8, seed=1, device="cpu", **{**SMALL, "rounds": 4})
    with pytest.raises(Stop):
        hasher.fit(data, checkpoint_dir=tmp_path, callback=stop, show_progress=False)
    again = UGACH(bits=8, seed=1, device="cpu", **{**SMALL, "rounds": 4}).fit(
        data, checkpoint_dir=tmp_path, show_progress=False
    )
    assert again.history_ == whole.history_
    assert (again.values(texts=data.query) == whole.values(texts=data.query)).all()


def test_save_and_load_give_the_same_codes(tmp_path):
    data = toy()
    hasher = fitted(data, input_scaling="standard")
    loaded = ck.load(hasher.save(tmp_path / "u.safetensors"))
    assert (loaded.values(images=data.query) == hasher.values(images=data.query)).all()
    assert (loaded.values(texts=data.query) == hasher.values(texts=data.query)).all()
    assert loaded.config == hasher.config and loaded.history_ == hasher.history_


def test_a_callback_can_encode():
    seen = []
    UGACH(bits=8, device="cpu", **SMALL).fit(
        toy(), callback=lambda row, h: seen.append(h.encode(images=toy().query)), show_progress=False
    )
    assert len(seen) == 3 and (seen[0] != seen[-1]).any()


def test_it_learns_the_clusters():
    data = toy(150)
    learned = fitted(data, pretrain_steps=60, rounds=3, d_steps=10)
    start = UGACH(bits=8, seed=1, device="cpu", **{**SMALL, "pretrain_steps": 0, "rounds": 0}).fit(
        data, show_progress=False
    )
    for way in ("map_i2t", "map_t2i"):
        assert getattr(learned.evaluate(data), way) > getattr(start.evaluate(data), way) + 0.2


def test_official_weight_decay_is_half_the_squared_weights():
    game = player(6)
    game.config = UGACHConfig(**{**SMALL, "weight_decay": 0.5, "optimiser": "sgd"})
    net = game.hasher.discriminator_
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    loss = sum(p.sum() * 0 for p in net.parameters())
    game.optimisers["d"] = torch.optim.SGD(net.parameters(), lr=0.1)
    game._step("d", loss)
    for name, p in net.named_parameters():
        torch.testing.assert_close(p.detach(), before[name] * (1 - 0.05 if p.ndim > 1 else 1))


# Presets and bad input.


def test_presets_hold_what_the_sources_say():
    paper, official = UGACH.presets["paper"], UGACH.presets["official"]
    assert (paper.hidden, paper.init_std, paper.margin_for(32), paper.log_p, paper.reward) == (
        8192,
        0.1,
        1.0,
        "pool",
        "softplus",
    )
    assert (official.hidden, official.margin_for(32), official.draws, official.reward) == (8192, 4.0, 2, "sigmoid")
    assert (official.log_p, official.baseline, official.weight_decay, official.pretrain_positives) == (
        "draws",
        "none",
        0.01,
        "pair",
    )
    assert (official.k_image, official.k_text, official.symmetric, official.rounds) == (5, 5, False, 30)


@pytest.mark.parametrize("preset", ["paper", "official"])
def test_the_other_presets_run(preset):
    small = {"hidden": 64, "pool": 40, "pretrain_steps": 3, "rounds": 1, "d_steps": 2, "g_steps": 2}
    data = toy()
    hasher = UGACH(bits=16, preset=preset, device="cpu", **small).fit(data, show_progress=False)
    assert hasher.encode(images=data.query).shape == (15, 2)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"reward": "tanh"}, "reward"),
        ({"rewards": "sigmoid"}, "did you mean 'reward'"),
        ({"draws": 1}, "draws"),
        ({"rounds": 2.5}, "rounds"),
        ({"pool": 1}, "pool"),
        ({"margin": -1}, "margin"),
        ({"margin": "K/0"}, "margin"),
        ({"margin": "eight"}, "margin"),
        ({"temperature": 0}, "temperature"),
        ({"dropout": 1.0}, "dropout"),
        ({"negatives": "hard"}, "negatives"),
    ],
)
def test_bad_options_are_named(options, names):
    with pytest.raises(InputError, match=names):
        UGACH(bits=8, **options)


def test_margin_may_be_a_share_of_the_bits():
    assert UGACHConfig(margin="K/4").margin_for(32) == 8
    assert UGACHConfig(margin=1.5).margin_for(32) == 1.5


def test_too_few_pairs_for_the_graphs():
    with pytest.raises(InputError, match="at least 76 training pairs"):
        UGACH(bits=8, device="cpu", k_text=75).fit(toy(), show_progress=False)


def test_infinite_rates_are_reported():
    with pytest.raises(InputError, match="not finite"):
        fitted(lr_pretrain=1e38, optimiser="sgd", pretrain_steps=30, input_scaling="none", weight_decay=1e30)


def test_run_rows_reach_the_callback():
    rows = []
    hasher = UGACH(bits=8, device="cpu", **SMALL)
    Run(hasher, None, lambda row, h: rows.append(row), False).epoch_done({"epoch": 7})
    assert rows == hasher.history_ == [{"epoch": 7}]
