"""The wiring of ADAH's loop, against a second one that was written from the note: float64, one triplet at a time.

The reference knows the note's formulas, docs/CHOICES.md for what the note leaves open, and the order in which the loop
draws its random numbers. Of the library it takes the weights at the start, and nothing else.
"""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmhkit.adah import ADAH, model
from cmhkit.adah import fit as schedule
from cmhkit.nn import backbones
from cmhkit.nn.layers import Dropout
from cmhkit.train.run import Run

# No two sizes are equal, so that an axis that is taken for another one shows.
CHANNELS, HEIGHT, WIDTH, DRAWINGS = 6, 3, 4, 5
WORDS, TEXT_HIDDEN, TEXT_WIDTH, IMAGE_HIDDEN, BITS = 9, 10, 7, 11, 8
ITEMS, BATCH = 23, 5
OPTIONS = {
    "text_hidden": TEXT_HIDDEN,
    "text_width": TEXT_WIDTH,
    "image_hidden": IMAGE_HIDDEN,
    "epochs": 3,
    "batch": BATCH,
    "lr": 0.02,
    "lr_g": 0.3,
    "lr_g_text": 0.07,
    "dropout": 0.0,
}
# Who trains what, and which option is its rate.
D_LAYERS = (
    "text_features.first",
    "text_features.second",
    "image_head.hidden",
    "image_head.hashing",
    "text_head.hashing",
)
RATES = {
    "d": {f"{layer}.{kind}": "lr" for layer in D_LAYERS for kind in ("weight", "bias")},
    "g": {
        "image_attention.convolution.weight": "lr_g",
        "text_attention.layer.weight": "lr_g_text",
        "text_attention.layer.bias": "lr_g_text",
    },
}


class Reference:
    """ADAH as the note words it, on named weights."""

    def __init__(self, config, net: nn.Module, data, random: torch.Generator) -> None:
        self.c, self.random = config, random
        self.margin = BITS / 2 if config.margin == "K/2" else config.margin
        self.images, self.texts, self.labels = (torch.from_numpy(x).double() for x in data)
        self.w = {name: p.detach().clone() for name, p in net.named_parameters()}
        self.scoring = net.image_head.weight.clone(), net.image_head.bias.clone()
        self.trained = {player: [n for n in names if n in self.w] for player, names in RATES.items()}
        self.memory = {name: (0.0, 0.0, 0) for name in self.w}  # Adam's
        self.share = 1.0  # of the rates, in this epoch
        if config.attention != "none":
            items = torch.randperm(len(self.texts), generator=random)[: 2 * min(config.batch, len(self.texts))]
            for name, x in (
                ("image_attention.convolution", self.images),
                ("text_attention.layer", self.text_features(self.w, self.texts)),
            ):
                deviations = [float(np.std(m.numpy(), ddof=1)) for m in self.scores(self.w, name, x[items])]
                self.w[f"{name}.weight"] *= config.mask_spread * len(items) / sum(deviations)

    # The networks.

    def layer(self, w, name: str, x: Tensor) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def text_features(self, w, x: Tensor) -> Tensor:
        return torch.relu(self.layer(w, "text_features.second", torch.relu(self.layer(w, "text_features.first", x))))

    def scores(self, w, name: str, f: Tensor) -> Tensor:
        """M: a weight for each channel of a map, or a layer on a text feature."""
        if name.startswith("text"):
            return self.layer(w, name, f)
        return torch.einsum("nchw,c->nhw", f, w[f"{name}.weight"][0, :, 0, 0]).flatten(1)

    def attention(self, scores: Tensor, anchor) -> tuple[Tensor, Tensor]:
        """Z, whose gradient is P's, and P.

        anchor: the Z and P around which Z follows P, or None for those of here and now.
        """
        places = scores.shape[1]
        if self.c.mask_scaling == "standard":
            scores = scores - scores.sum(1, keepdim=True) / places
            scores = scores * self.c.mask_spread / (((scores**2).sum(1, keepdim=True) / (places - 1)).sqrt() + 1e-6)
        p = scores.exp() / scores.exp().sum(1, keepdim=True)
        z, start = anchor or ((p >= 1 / places).double(), p.detach())
        return z + (p - start), p

    def drop(self, x: Tensor, on: bool) -> Tensor:
        if not on or self.c.dropout == 0:
            return x
        return torch.where(torch.rand(x.shape, generator=self.random) < self.c.dropout, 0.0, x / (1 - self.c.dropout))

    def codes(self, w, items: list[int], player: str = "", anchors=None) -> dict[str, Tensor]:
        """H^I, H^T, Ĥ^I, Ĥ^T, and for each modality its Z and P."""
        c, on, found = self.c, player == "d", {}
        f = self.images[items]
        scores = torch.einsum("dc,nchw->ndhw", self.scoring[0], f).flatten(2) + self.scoring[1][:, None]

        def halves(name: str, f: Tensor, hashed) -> None:
            if c.attention == "none":
                found[name] = hashed(torch.ones(len(f), HEIGHT * WIDTH if name == "image" else TEXT_WIDTH))
                return
            layer = f"{name}_attention.{'convolution' if name == 'image' else 'layer'}"
            z, p = self.attention(self.scores(w, layer, f), anchors and anchors[name])
            found.update({name: hashed(z), f"{name} unattended": hashed(1 - z), f"{name} mask": (z, p)})

        def image_code(z: Tensor) -> Tensor:
            pooled = (scores.exp() * z[:, None]).sum(2)
            posterior = pooled / pooled.sum(1, keepdim=True)
            x = (posterior * DRAWINGS).sqrt() if c.readout == "posterior" else pooled.log() / 10
            x = self.drop(x, on)
            if c.image_hidden:
                x = torch.relu(self.layer(w, "image_head.hidden", x))
            return torch.tanh(self.layer(w, "image_head.hashing", x))

        halves("image", f, image_code)
        g = self.text_features(w, self.drop(self.texts[items], on))
        halves("text", g, lambda z: torch.tanh(self.layer(w, "text_head.hashing", g * z)))
        return found

    # The losses.

    def similar(self, i: int, j: int) -> bool:
        return any(a == b == 1 for a, b in zip(self.labels[i], self.labels[j], strict=True))

    def triplets(self, items: list[int]) -> list[tuple[int, int, int]]:
        n = range(len(items))
        near = [[self.similar(items[i], items[j]) for j in n] for i in n]
        every = [(i, j, k) for i in n for j in n for k in n if near[i][j] and not near[i][k]]
        return every if self.c.own else [(i, j, k) for i, j, k in every if i not in (j, k)]

    def term(self, query: Tensor, database: Tensor, triplets) -> tuple[Tensor, int]:
        """F of one modality against one, and how many triplets are active."""
        d = ((query[:, None] - database[None]) ** 2).sum(2)
        if self.c.distance == "norm":
            d = torch.where(d > 0, d, 1.0).sqrt() * (d > 0)
        hinges = [self.margin + d[i, j] - d[i, k] for i, j, k in triplets]
        hinges = [h for h in hinges if h > 0]
        return sum(hinges, d.sum() * 0) / (len(triplets) if self.c.reduction == "mean" else 1), len(hinges)

    def game(self, h, items: list[int], queries=None) -> tuple[Tensor, int]:
        """F of T → Î and of I → T̂. queries: attended codes to ask with, if not those of h."""
        queries, triplets = queries or h, self.triplets(items)
        a, m = self.term(queries["text"], h["image unattended"], triplets)
        b, n = self.term(queries["image"], h["text unattended"], triplets)
        return a + b, m + n

    def retrieval(self, h, items: list[int]) -> tuple[Tensor, int]:
        pairs = ("text", "image"), ("image", "text"), ("image", "image"), ("text", "text")
        losses, active = zip(*(self.term(h[q], h[d], self.triplets(items)) for q, d in pairs), strict=True)
        return sum(losses), sum(active)

    # The steps.

    def step(self, player: str, items: list[int]) -> dict[str, float]:
        w = {name: value.clone().requires_grad_(name in self.trained[player]) for name, value in self.w.items()}
        h, count = self.codes(w, items, player), len(self.triplets(items))
        loss, row = 0.0, {}
        if player == "d":
            loss, active = self.retrieval(h, items)
            row = {"retrieval_loss": float(loss.detach()), "active": active / (4 * count)}
        if self.c.attention != "none":
            given = None
            if player == "g" and self.c.game_query == "given":
                given = {name: h[name].detach() for name in ("image", "text")}
            game, active = self.game(h, items, given)
            loss = loss + game
            row |= (
                {"adversarial_loss": float(game.detach()), "adversarial_active": active / (2 * count)}
                if player == "d"
                else {"game_loss": float(game.detach())}
            )
            for name in ("image", "text") if player == "d" else ():
                z, p = (x.detach() for x in h[f"{name} mask"])
                entropy = float(-(p * p.log()).sum(1).mean()) / math.log(p.shape[1])
                row |= {f"{name}_mask_area": float(z.mean()), f"{name}_mask_entropy": entropy}
        names = self.trained[player]
        for name, gradient in zip(names, torch.autograd.grad(loss, [w[n] for n in names]), strict=True):
            self.update(player, name, gradient if player == "d" else -gradient)
        return row

    def update(self, player: str, name: str, gradient: Tensor) -> None:
        """Down the gradient, by plain descent or by Adam."""
        rate = getattr(self.c, RATES[player][name]) * self.share
        if self.c.optimiser == "adam":
            m, v, t = self.memory[name]
            m, v, t = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2, t + 1
            self.memory[name] = m, v, t
            gradient = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        self.w[name] = self.w[name] - rate * gradient

    def epoch(self, number: int) -> dict[str, float]:
        self.share = (self.c.epochs - number + 1) / self.c.epochs if self.c.lr_decay == "linear" else 1.0
        order = torch.randperm(len(self.texts), generator=self.random).tolist()
        batches = [order[start : start + self.c.batch] for start in range(0, len(order), self.c.batch)]
        rows: dict[str, list[dict[str, float]]] = {"d": [], "g": []}
        for count, items in enumerate(batches, start=1):
            if not self.triplets(items):
                continue
            rows["d"].append(self.step("d", items))
            if self.c.attention == "adversarial" and count % self.c.d_steps == 0:
                rows["g"] += [self.step("g", items) for _ in range(self.c.g_steps)]
        means = {name: sum(row[name] for row in kind) / len(kind) for kind in rows.values() if kind for name in kind[0]}
        return {"epoch": number, **means, "skipped_batches": len(batches) - len(rows["d"])}


# The library's networks, small and in float64.


@pytest.fixture
def _small(monkeypatch):
    """A scoring layer of a few channels in SceneNet's place, and double precision wherever the library says float."""
    random = torch.Generator().manual_seed(100)
    scoring = nn.Conv2d(CHANNELS, DRAWINGS, 1, dtype=torch.float64)
    for p in scoring.parameters():
        nn.init.normal_(p, std=0.7, generator=random)
    before = torch.get_default_dtype()
    monkeypatch.setattr(model, "scenenet", lambda: SimpleNamespace(scoring=scoring))
    monkeypatch.setattr(model.SceneFeatures, "channels", CHANNELS)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    backbones._imagenet.cache_clear()  # it keeps its precision
    yield
    torch.set_default_dtype(before)
    backbones._imagenet.cache_clear()


pytestmark = pytest.mark.usefixtures("_small")


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps, texts, labels: several labels for some items, none for one."""
    rng = np.random.default_rng(5)
    labels = rng.random((ITEMS, 4)) < 0.3
    labels[2] = False
    return rng.normal(size=(ITEMS, CHANNELS, HEIGHT, WIDTH)), rng.random((ITEMS, WORDS)), labels.astype(np.uint8)


def hasher_of(seed: int = 7, **options) -> ADAH:
    return ADAH(bits=BITS, seed=seed, device="cpu", **(OPTIONS | options))


def both(data, seed: int = 7, **options) -> tuple[schedule.Alternation, Reference]:
    """The library's alternation and the reference, each with a generator of its own, before the first step."""
    hasher, games = hasher_of(seed, **options), []
    hasher._device = torch.device("cpu")
    for make in (
        lambda net, random: schedule.Alternation(hasher, *data, random),
        lambda net, random: Reference(hasher.config, net, data, random),
    ):
        random = torch.Generator().manual_seed(seed)
        hasher.network_ = hasher._built(WORDS, random)
        games.append(make(hasher.network_, random))
    return tuple(games)


def fit(data, **options) -> ADAH:
    hasher = hasher_of(**options)
    hasher._fit(*data, Run(hasher, None, None, False))
    return hasher


def fitted_both(data, **options) -> tuple[ADAH, Reference, list[dict[str, float]]]:
    """The library's whole run, the reference's, and the rows of the reference's history."""
    hasher = fit(data, **options)
    random = torch.Generator().manual_seed(hasher.seed)
    reference = Reference(hasher.config, hasher._built(WORDS, random), data, random)
    return hasher, reference, [reference.epoch(number) for number in range(1, hasher.config.epochs + 1)]


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def assert_same(net: nn.Module, reference: Reference) -> None:
    library = weights(net)
    assert library.keys() == reference.w.keys() == {name for names in reference.trained.values() for name in names}
    for name, value in library.items():
        assert_close(name, value, reference.w[name], rtol=1e-9, atol=1e-9)


def assert_close(name: str, value: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    torch.testing.assert_close(value.detach(), expected, rtol=rtol, atol=atol, msg=lambda text: f"{name}: {text}")


def moved(before: dict[str, Tensor], net: nn.Module) -> set[str]:
    return {name for name, value in weights(net).items() if not torch.equal(value, before[name])}


# One step of each player.

FIRST, SECOND = [3, 8, 2, 14, 0, 19], [21, 6, 9, 2, 1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimiser": "adam"},
        {"distance": "norm"},
        {"reduction": "sum"},
        {"own": False},
        {"game_query": "free"},
        {"attention": "frozen"},
        {"attention": "none"},
        {"mask_scaling": "none"},
        {"mask_spread": 0.6},
        {"readout": "scores"},
        {"image_hidden": 0},
        {"dropout": 0.3},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()) or "plain",
)
def test_each_players_steps_equal_the_references(data, options):
    """Two steps each, on two batches. Each moves all of its own parameters, and gives the others no gradient."""
    game, reference = both(data, **{"optimiser": "sgd"} | options)
    assert_same(game.network, reference)  # the attention's weights are spread already
    scoring = game.network.image_head.weight.clone(), game.network.image_head.bias.clone()
    steps = [("d", FIRST), ("d", SECOND)] + [("g", SECOND), ("g", FIRST)] * (game.config.attention == "adversarial")
    for player, items in steps:
        before = weights(game.network)
        game.network.zero_grad(set_to_none=True)
        row = {"d": game._d_step, "g": game._g_step}[player](*game._batch(torch.tensor(items)))
        row = {name: float(value) for name, value in row.items()}
        assert row == pytest.approx(reference.step(player, items), abs=1e-9)
        assert_same(game.network, reference)
        own = set(reference.trained[player])
        assert moved(before, game.network) == own
        assert {name for name, p in game.network.named_parameters() if p.grad is not None} == own
    head = game.network.image_head
    assert torch.equal(scoring[0], head.weight) and torch.equal(scoring[1], head.bias)


@pytest.mark.parametrize("query", ["given", "free"])
@pytest.mark.parametrize("player", ["d", "g"])
def test_a_small_step_of_e_and_d_lowers_the_six_terms_and_one_of_g_raises_the_two(data, player, query):
    """By value: a small step along a gradient changes the objective by the square of the step's length over its rate.

    The threshold's gradient is that of P, so the masks follow P from where they are.
    """
    game, reference = both(data, optimiser="sgd", game_query=query, lr=1e-5, lr_g=2e-5, lr_g_text=3e-5)
    before = reference.codes(reference.w, FIRST)
    anchors = {name: before[f"{name} mask"] for name in ("image", "text")}

    def objective(h) -> float:
        value = reference.game(h, FIRST, before if player == "g" and query == "given" else None)[0]
        return float(value + reference.retrieval(h, FIRST)[0] if player == "d" else value)

    {"d": game._d_step, "g": game._g_step}[player](*game._batch(torch.tensor(FIRST)))
    after = weights(game.network)
    expected = 0.0
    for name in reference.trained[player]:
        length = float(((after[name] - reference.w[name]) ** 2).sum())
        expected += length / getattr(game.config, RATES[player][name])
    assert expected > 1e-7
    change = objective(reference.codes(after, FIRST, anchors=anchors)) - objective(before)
    assert change == pytest.approx(-expected if player == "d" else expected, rel=0.01)


# Whole runs.


@pytest.mark.parametrize(
    "options",
    [
        {"d_steps": 2, "g_steps": 3, "dropout": 0.3},
        {
            "optimiser": "sgd",
            "lr_decay": "none",
            "distance": "norm",
            "reduction": "sum",
            "margin": 0.5,
            "lr": 0.003,
        },
        {"optimiser": "sgd", "g_steps": 2, "game_query": "free"},
        {"d_steps": 2, "own": False},
        {"g_steps": 0},
        {"attention": "frozen"},
        {"attention": "none", "dropout": 0.2},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()),
)
def test_a_whole_run_equals_the_references(data, options):
    """Three epochs from the seed on: which items form which batch, who steps when, at what rate, and the history."""
    hasher, reference, rows = fitted_both(data, **options)
    assert_same(hasher.network_, reference)
    for row, expected in zip(hasher.history_, rows, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert 0 < expected["active"] < 1, "the data are such that this says something"


def test_a_batch_is_at_most_the_training_set(data):
    """The attention starts from the scores of as many items as two batches hold, or of all."""
    hasher, reference, rows = fitted_both(tuple(x[:7] for x in data), batch=50)
    assert_same(hasher.network_, reference)
    assert hasher.history_ == [pytest.approx(row, abs=1e-9) for row in rows]


@pytest.mark.parametrize("own", [True, False])
def test_batches_without_triplets_are_left_out(data, own):
    """With own pairs, a batch of items all alike has none; without them, one of items all apart has none either."""
    labels = np.zeros((ITEMS, ITEMS), dtype=np.uint8)
    if own:
        labels[:, 0], labels[:3] = 1, np.eye(ITEMS)[1]
    else:
        labels[:] = np.eye(ITEMS)
        labels[:4] = labels[0]
    data = (*data[:2], labels)
    hasher, reference, rows = fitted_both(data, own=own, dropout=0.2)
    assert [row["skipped_batches"] for row in hasher.history_] == [row["skipped_batches"] for row in rows]
    assert all(0 < row["skipped_batches"] < 5 for row in rows)
    assert_same(hasher.network_, reference)


def test_a_run_can_be_repeated_and_another_seed_gives_another(data):
    first, again, other = (weights(fit(data, seed=seed, dropout=0.3).network_) for seed in (7, 7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


# What comes out.


@pytest.mark.parametrize("attention", ["adversarial", "none"])
def test_retrieval_reads_attended_codes_without_dropout(data, attention):
    hasher = fit(data, attention=attention, dropout=0.3, epochs=1)
    reference = Reference(hasher.config, hasher.network_, data, torch.Generator())
    reference.w = weights(hasher.network_)  # as they are, not spread anew
    expected = reference.codes(reference.w, list(range(ITEMS)))
    for name, values in (("image", hasher._values("image", data[0])), ("text", hasher._values("text", data[1]))):
        np.testing.assert_allclose(np.tanh(values), expected[name], rtol=0, atol=1e-9)
    if attention == "none":
        return
    codes = hasher.network_.eval()(torch.from_numpy(data[0]), torch.from_numpy(data[1]))
    for name in ("image", "text"):
        assert_close(name, getattr(codes, f"{name}_unattended"), expected[f"{name} unattended"], rtol=0, atol=1e-9)
        for mask in (
            hasher.network_.mask(name, torch.from_numpy(data[name == "text"])),
            getattr(codes, f"{name}_mask"),
        ):
            assert torch.equal(mask.mask, expected[f"{name} mask"][0])
            torch.testing.assert_close(mask.probability, expected[f"{name} mask"][1], rtol=0, atol=1e-9)


def test_what_is_kept_of_a_batch_serves_that_batch_only(data):
    """Within the block another map has its own codes, and after it the same tensor may hold another map."""
    net = both(data)[0].network.eval()
    maps, others, texts = (torch.from_numpy(x[:5].copy()) for x in (data[0], data[0][5:], data[1]))
    of_maps, of_others = net(maps, texts).image, net(others, texts).image
    with net.once(maps):
        assert torch.equal(net(maps, texts).image, of_maps) and torch.equal(net(others, texts).image, of_others)
    maps.copy_(others)
    assert torch.equal(net(maps, texts).image, of_others) and not torch.equal(of_maps, of_others)


# Dropout, by itself.


def test_dropout_leaves_out_a_share_and_rescales_the_rest():
    layer, x = Dropout(0.2, torch.Generator().manual_seed(1)), torch.full((300, 200), 3.0)
    kept = torch.rand(300, 200, generator=torch.Generator().manual_seed(1)) >= 0.2
    y = layer(x)
    torch.testing.assert_close(y, torch.where(kept, 3.0 / 0.8, 0.0))
    assert float(y.mean()) == pytest.approx(3, rel=0.02)
    assert float((y == 0).double().mean()) == pytest.approx(0.2, abs=0.01)
    assert not torch.equal(y, layer(x)), "each call draws anew"
    assert torch.equal(layer.eval()(x), x)


def test_dropout_of_nothing_draws_nothing():
    random = torch.Generator().manual_seed(1)
    state = random.get_state()
    assert torch.equal(Dropout(0.0, random)(torch.ones(3, 2)), torch.ones(3, 2))
    Dropout(0.5, random).eval()(torch.ones(3, 2))
    assert torch.equal(random.get_state(), state)


# VGG-19: which layer goes at which rate.


def test_vgg19_has_a_rate_of_its_own(data, monkeypatch):
    """Each parameter of the player that steps moves by its rate times its gradient, and no other gets one."""
    monkeypatch.setattr(schedule, "VGG19", functools.partial(backbones.VGG19, widths=(2, 3, 3, 4, 4), hidden=6))
    side, batch = 64, torch.tensor(FIRST)
    rates = {"lr": 0.3, "lr_backbone": 0.02, "lr_g": 0.5, "lr_g_text": 0.05}
    hasher = hasher_of(preset="paper", side=side, optimiser="sgd", reduction="mean", **rates)
    hasher._device, random = torch.device("cpu"), torch.Generator().manual_seed(3)
    net = hasher.network_ = hasher._built(WORDS, random).double()
    pictures = np.random.default_rng(0).integers(0, 256, (ITEMS, side, side, 3), dtype=np.uint8)
    game = schedule.Alternation(hasher, pictures, *data[1:], random)
    game._set_rates(2)
    for step, attends in ((game._d_step, False), (game._g_step, True)):
        before = weights(net)
        net.zero_grad(set_to_none=True)
        step(*game._batch(batch))
        for name, p in net.named_parameters():
            slow = name.startswith(("image_features.convolutions", "image_head.fully_connected"))
            rate = rates["lr_backbone" if slow else "lr"]
            if attends:
                rate = rates["lr_g" if name.startswith("image") else "lr_g_text"]
            assert (p.grad is not None) == (("_attention" in name) == attends), name
            expected = before[name]
            if p.grad is not None:
                expected = before[name] - rate * 2 / 3 * p.grad
                assert not torch.equal(p, before[name]), name
            assert_close(name, p, expected, rtol=0, atol=1e-12)


def test_vgg19s_head_reads_each_half_of_the_map(data, monkeypatch):
    """The attended and the unattended map each go through fc6, fc7 and the tanh layer."""
    monkeypatch.setattr(schedule, "VGG19", functools.partial(backbones.VGG19, widths=(2, 3, 3, 4, 4), hidden=6))
    hasher = hasher_of(preset="paper", side=64)
    net = hasher._built(WORDS, torch.Generator().manual_seed(3)).double().eval()
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (ITEMS, 64, 64, 3), dtype=np.uint8))
    f = net.image_features(pictures)
    z = net.image_attention(f).mask
    w = weights(net)
    codes = net(pictures, torch.from_numpy(data[1]))
    for half, code in ((z, codes.image), (1 - z, codes.image_unattended)):
        x = (f * half.view(-1, 1, 2, 2)).flatten(1)
        for layer in ("image_head.fully_connected.0", "image_head.fully_connected.3"):
            x = torch.relu(x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"])
        logits = x @ w["image_head.hashing.weight"].T + w["image_head.hashing.bias"]
        torch.testing.assert_close(code, torch.tanh(logits))
    assert 0 < z.mean() < 1 and not torch.equal(codes.image, codes.image_unattended)
