"""The wiring of UGACH's training loop: who asks, who answers, who is drawn from where, who moves.

`Note` below plays the same game as `cmhkit.ugach.fit`, written from the reading note and the table of
docs/CHOICES.md: a query and a draw at a time, in float64, with its own softmax, hinge, policy gradient, SGD and Adam.
The library plays in float64 too, so that the two agree to rounding. In most tests a tape records what the library
draws, and the weights that it draws by: `Note` computes these weights anew, compares, and goes on with the same draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn.init import trunc_normal_

from cmhkit.data import PairedData
from cmhkit.nn import layers
from cmhkit.support import draws
from cmhkit.train.device import generator
from cmhkit.train.run import Run
from cmhkit.ugach import UGACH
from cmhkit.ugach import fit as library
from cmhkit.ugach.model import CrossModalNetwork

#: Every number differs from every other, so that a swapped axis or rate shows.
ITEMS, POOL, IMAGE, TEXT, HIDDEN, BITS = 13, 10, 5, 7, 6, 8
SMALL: dict[str, Any] = {
    "hidden": HIDDEN,
    "pool": POOL,
    "draws": 3,
    "positives": 2,
    "margin": 0.6,
    "temperature": 0.7,
    "k_image": 3,
    "k_text": 4,
    "pretrain_steps": 2,
    "rounds": 2,
    "d_steps": 1,
    "g_steps": 2,
    "lr_pretrain": 0.04,
    "lr_d": 0.02,
    "lr_g": 0.03,
    "optimiser": "sgd",
    "input_scaling": "none",
}
WAYS = (("image", "text"), ("text", "image"))
SAME = {"rtol": 0, "atol": 1e-10}
#: Both players' parameters: "d" and "g", each by the names that PyTorch gives them.
Weights = dict[str, dict[str, Tensor]]


# The reference.


def code(w: dict[str, Tensor], side: str, x: Tensor) -> Tensor:
    """h(x) of one item, by the note's two layers. w: a player's parameters."""
    phi = torch.tanh(w[f"{side}.representation.weight"] @ x + w[f"{side}.representation.bias"])
    return 1 / (1 + torch.exp(-(w[f"{side}.hashing.weight"] @ phi + w[f"{side}.hashing.bias"])))


def apart(query: Tensor, candidates: list[Tensor]) -> Tensor:
    """The squared distance of a query to each candidate."""
    return torch.stack([query - x for x in candidates]).pow(2).sum(1)


class Note:
    """Both players over one training set. draws: deals pools, uniform numbers and items (`Tape` or `Seeded`)."""

    def __init__(self, config: Any, x: dict[str, Tensor], related: np.ndarray, start: Weights, draws: Any) -> None:
        self.c, self.x, self.related, self.draws, self.n = config, x, torch.as_tensor(related), draws, len(related)
        self.w = dict(start)
        self.moments: dict[str, Any] = {}

    def play(self) -> list[dict[str, float]]:
        c, rows = self.c, []
        pairs = torch.eye(self.n, dtype=torch.bool)
        known = self.related if c.pretrain_positives == "graph" else pairs
        first = [self.d_step("pretrain", c.lr_pretrain, known, uniform=True) for _ in range(c.pretrain_steps)]
        rows.append(mean_row(first))
        alone = c.negatives == "uniform"
        for _ in range(c.rounds):
            judged = mean_row([self.d_step("d", c.lr_d, self.related, uniform=alone) for _ in range(c.d_steps)])
            rows.append(judged | ({} if alone else mean_row([self.g_step() for _ in range(c.g_steps)])))
        return rows

    def codes(self, player: str, pool: list[int], dropout: float = 0.0) -> dict[str, list[Tensor]]:
        h = {}
        for side in ("image", "text"):
            x = self.x[side][pool]
            if dropout:
                x = torch.where(self.draws.uniform(x.shape) < dropout, 0.0, x / (1 - dropout))
            h[side] = [code(self.w[player], side, item) for item in x]
        return h

    def probability(self, query: Tensor, candidates: list[Tensor]) -> Tensor:
        likeness = torch.exp(-apart(query, candidates) / self.c.temperature)
        return likeness / likeness.sum()

    def d_step(self, name: str, rate: float, known: Tensor, *, uniform: bool) -> dict[str, float]:
        pool = self.draws.pool(self.n, POOL)
        related = known[pool][:, pool]
        h, drawn_by = self.codes("d", pool, self.c.dropout), self.codes("g", pool)
        loss, share = sum(0 * w.sum() for w in self.w["d"].values()), 0.0
        for ours, theirs in WAYS:
            weights = torch.ones(len(pool), len(pool))
            if not uniform:
                weights = torch.stack([self.probability(query, drawn_by[theirs]) for query in drawn_by[ours]]).detach()
            weights[related] = 0  # What is known to be related is no negative.
            generated = self.draws.items(weights, self.c.draws)
            true = self.draws.items(related.float(), self.c.positives)
            distance = [apart(query, h[theirs]) for query in h[ours]]
            hinges = [
                self.score(distance[q][m], distance[q][g])
                for q in range(len(pool))
                if weights[q].sum() > 0  # Where all are related, there is nothing to tell apart.
                for m in true[q]
                for g in generated[q]
            ]
            if hinges:
                loss = loss + sum(hinges) / len(hinges)
                share += sum(hinge.item() > 0 for hinge in hinges) / len(hinges) / 2
        self.update("d", name, rate, loss)
        return {"d_loss": loss.item() / 2, "active": share}

    def g_step(self) -> dict[str, float]:
        pool = self.draws.pool(self.n, POOL)
        related = self.related[pool][:, pool]
        h, judged = self.codes("g", pool), self.codes("d", pool)
        loss, earned, entropy = 0.0, [], []
        for ours, theirs in WAYS:
            p = [self.probability(query, h[theirs]) for query in h[ours]]
            drawn = self.draws.items(torch.stack(p).detach(), self.c.draws)
            true = self.draws.items(related.float(), 1)
            terms = []
            for q in range(len(pool)):
                distance = apart(judged[ours][q], judged[theirs])
                f = [self.score(distance[true[q][0]], distance[g]).item() for g in drawn[q]]
                reward = [np.log(1 + np.exp(s)) if self.c.reward == "softplus" else 1 / (1 + np.exp(-s)) for s in f]
                normal = 1.0 if self.c.log_p == "pool" else sum(p[q][g] for g in drawn[q])
                for s, g in enumerate(drawn[q]):
                    others = reward[:s] + reward[s + 1 :]
                    advantage = reward[s] - (sum(others) / len(others) if self.c.baseline == "mean" else 0)
                    terms.append(-advantage * torch.log(p[q][g] / normal))
                earned += reward
                entropy.append(-(p[q] * torch.log(p[q])).sum().item())
            loss = loss + sum(terms) / len(terms)
        self.update("g", "g", self.c.lr_g, loss)
        return {"reward": float(np.mean(earned)), "entropy": float(np.mean(entropy))}

    def score(self, to_true: Tensor, to_generated: Tensor) -> Tensor:
        margin = BITS / int(self.c.margin[2:]) if isinstance(self.c.margin, str) else self.c.margin
        return torch.clamp(margin + to_true - to_generated, min=0)

    def update(self, player: str, name: str, rate: float, loss: Tensor) -> None:
        """One step down the loss and the decay; the moments belong to the schedule's part, `name`."""
        w = self.w[player]
        loss = loss + self.c.weight_decay * sum((w[key] ** 2).sum() / 2 for key in w if key.endswith("weight"))
        slopes = torch.autograd.grad(loss, list(w.values()))
        t, m, v = self.moments.get(name, (0, [0.0] * len(w), [0.0] * len(w)))
        if self.c.optimiser == "adam":
            t, m = t + 1, [0.9 * a + 0.1 * s for a, s in zip(m, slopes, strict=True)]
            v = [0.999 * a + 0.001 * s**2 for a, s in zip(v, slopes, strict=True)]
            slopes = [a / (1 - 0.9**t) / (torch.sqrt(b / (1 - 0.999**t)) + 1e-8) for a, b in zip(m, v, strict=True)]
            self.moments[name] = t, m, v
        self.w[player] = {key: (w[key] - rate * s).detach().requires_grad_() for key, s in zip(w, slopes, strict=True)}


def mean_row(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in (rows[0] if rows else ())}


# What is drawn.


class Tape:
    """Records what the library draws, and by which weights; then deals the same to `Note`, once each, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.given: list[torch.Generator] = []
        permuted, uniform, multinomial = torch.randperm, draws.uniform, draws.multinomial

        def record(kind: str, drawn: Tensor, random: torch.Generator, *more: Any) -> Tensor:
            self.events.append((kind, drawn.clone(), *more))
            self.given.append(random)
            return drawn

        def pool(n: int, *, generator: torch.Generator) -> Tensor:
            return record("pool", permuted(n, generator=generator), generator)

        def numbers(shape: torch.Size, random: torch.Generator, device: torch.device) -> Tensor:
            return record("uniform", uniform(shape, random, device), random)

        def items(weights: Tensor, count: int, random: torch.Generator) -> Tensor:
            return record("items", multinomial(weights, count, random), random, weights.clone(), count)

        patch.setattr(torch, "randperm", pool)
        patch.setattr(layers, "uniform", numbers)
        patch.setattr(draws, "multinomial", items)

    def _next(self, kind: str) -> tuple[Any, ...]:
        assert self.events, f"the library draws less: no {kind} is left"
        event = self.events.pop(0)
        assert event[0] == kind, f"the library draws {event[0]} where the note draws {kind}"
        return event[1:]

    def pool(self, n: int, size: int) -> list[int]:
        (order,) = self._next("pool")
        assert sorted(order.tolist()) == list(range(n))
        return order[:size].tolist()

    def uniform(self, shape: torch.Size) -> Tensor:
        (numbers,) = self._next("uniform")
        assert numbers.shape == shape
        return numbers

    def items(self, weights: Tensor, count: int) -> list[list[int]]:
        drawn, by, theirs = self._next("items")
        assert theirs == count and drawn.shape == (len(weights), count)
        for row, (mine, its) in enumerate(zip(weights.double(), by.double(), strict=True)):
            if mine.sum() > 0:
                torch.testing.assert_close(its / its.sum(), mine / mine.sum(), **SAME)
                assert (mine[drawn[row]] > 0).all()
        return drawn.tolist()


class Seeded:
    """Draws for itself, from the seed alone."""

    def __init__(self, random: torch.Generator) -> None:
        self.random = random

    def pool(self, n: int, size: int) -> list[int]:
        return torch.randperm(n, generator=self.random)[:size].tolist()

    def uniform(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape, generator=self.random)

    def items(self, weights: Tensor, count: int) -> list[list[int]]:
        weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)
        return torch.multinomial(weights, count, replacement=True, generator=self.random).tolist()


# The library in float64.


def relations() -> np.ndarray:
    """Who is related to whom, not symmetric: item 3 to all, item 8 to itself alone, the others to a few."""
    related = np.random.default_rng(3).random((ITEMS, ITEMS)) < 0.2
    related[3], related[8] = True, False
    np.fill_diagonal(related, True)
    return related


def inputs(seed: int = 0) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    return {side: torch.tensor(rng.normal(size=(ITEMS, width))) for side, width in (("image", IMAGE), ("text", TEXT))}


def weights_of(hasher: UGACH) -> Weights:
    """A copy of both players' parameters."""
    return {
        player: {key: value.detach().clone().requires_grad_() for key, value in net.named_parameters()}
        for player, net in (("d", hasher.discriminator_), ("g", hasher.generator_))
    }


def game_of(related: np.ndarray | None = None, **options: Any) -> library.Game:
    """A game that has not begun: weights and biases are large enough for codes that differ."""
    hasher = UGACH(bits=BITS, seed=5, device="cpu", **{**SMALL, **options})
    hasher._scaling, hasher._device = {}, torch.device("cpu")
    hasher.positives_ = csr_matrix(relations() if related is None else related)
    random = generator(17)
    hasher.discriminator_ = CrossModalNetwork(IMAGE, TEXT, HIDDEN, BITS, 0.8, random).double()
    hasher.generator_ = CrossModalNetwork(IMAGE, TEXT, HIDDEN, BITS, 0.7, random).double()
    with torch.no_grad():
        for net in (hasher.discriminator_, hasher.generator_):
            for p in net.parameters():
                if p.ndim == 1:
                    p.copy_(torch.randn(p.shape, generator=random) / 2)
    x = inputs()
    return library.Game(hasher, x["image"], x["text"], random)


def run(game: library.Game) -> list[dict[str, Any]]:
    game.run(Run(game.hasher, None, None, False))
    return game.hasher.history_


def assert_same(note: Note, hasher: UGACH, rows: list[dict[str, float]], tolerance: float = 1e-10) -> None:
    weights = weights_of(hasher)
    for player, expected in note.w.items():
        assert weights[player].keys() == expected.keys()
        for key, value in weights[player].items():
            far = (value - expected[key]).abs().max().item()
            assert far <= tolerance, f"{player} {key}: {far} apart"
    assert len(hasher.history_) == len(rows)
    for number, (row, expected) in enumerate(zip(hasher.history_, rows, strict=True)):
        row, expected = dict(row), dict(expected)
        # The library divides counts in float32; one hinge in a step would be above 1e-3.
        assert row.pop("active", None) == pytest.approx(expected.pop("active", None), abs=1e-6)
        stage = "game" if number else "pretraining"
        assert row == pytest.approx({"epoch": number, "stage": stage, **expected}, abs=tolerance)


CASES: dict[str, dict[str, Any]] = {
    "pretraining step of D": {"pretrain_steps": 1, "rounds": 0},
    "game step of D": {"pretrain_steps": 0, "rounds": 1, "d_steps": 1, "g_steps": 0},
    "steps of D and G": {"pretrain_steps": 0, "rounds": 1, "d_steps": 1, "g_steps": 1},
    "rounds": {"d_steps": 2, "g_steps": 3},
    "adam": {"optimiser": "adam"},
    "pairs in pretraining": {"pretrain_positives": "pair"},
    "without a generator": {"negatives": "uniform"},
    "sigmoid reward": {"reward": "sigmoid"},
    "no baseline": {"baseline": "none"},
    "log p over the draws": {"log_p": "draws"},
    "as the official code": {
        "reward": "sigmoid",
        "baseline": "none",
        "log_p": "draws",
        "pretrain_positives": "pair",
        "weight_decay": 0.03,
    },
    "dropout": {"dropout": 0.3},
    "weight decay": {"weight_decay": 0.05},
    "weight decay, adam, dropout": {"weight_decay": 0.05, "optimiser": "adam", "dropout": 0.2},
    "a share of the bits, T = 1": {"margin": "K/16", "temperature": 1.0},
    "other counts": {"draws": 2, "positives": 4},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_every_step_is_the_notes(options, monkeypatch):
    """The same weights to draw by, the same parameters after the run, the same history, and no draw more or less."""
    game = game_of(**options)
    start = weights_of(game.hasher)
    tape = Tape(monkeypatch)
    run(game)
    monkeypatch.undo()
    assert all(random is game.random for random in tape.given)
    note = Note(game.config, inputs(), relations(), start, tape)
    rows = note.play()
    assert not tape.events
    assert_same(note, game.hasher, rows)
    # The comparison is of moves that are far above the tolerance, and of hinges some of which hold.
    c, moved = game.config, {}
    for player, w in start.items():
        moved[player] = max((note.w[player][key] - w[key]).abs().max().item() for key in w)
    assert moved["d"] > 1e-4
    trained = c.negatives == "generator" and c.rounds * c.g_steps > 0
    assert moved["g"] > 1e-4 if trained else moved["g"] == 0
    assert all(0 < row["active"] < 1 for row in rows if row)


def test_a_step_moves_its_own_player_and_every_layer_of_it():
    """One step of D more, or of G more, from the same start: the other player's parameters stay, to the bit."""
    steps = {
        "nobody": {"pretrain_steps": 0, "rounds": 0},
        "pretraining": {"pretrain_steps": 1, "rounds": 0},
        "d": {"pretrain_steps": 0, "rounds": 1, "d_steps": 1, "g_steps": 0},
        "d and g": {"pretrain_steps": 0, "rounds": 1, "d_steps": 1, "g_steps": 1},
    }
    after = {}
    for name, options in steps.items():
        game = game_of(**options)
        run(game)
        after[name] = weights_of(game.hasher)

    def moved(before: str, later: str, player: str) -> set[bool]:
        early, late = after[before][player], after[later][player]
        return {not torch.equal(early[key], late[key]) for key in early}

    assert moved("nobody", "pretraining", "d") == {True} and moved("nobody", "pretraining", "g") == {False}
    assert moved("nobody", "d", "d") == {True} and moved("nobody", "d", "g") == {False}
    assert moved("d", "d and g", "d") == {False} and moved("d", "d and g", "g") == {True}


def test_where_all_are_related_there_is_nothing_to_learn():
    game = game_of(related=np.ones((ITEMS, ITEMS), dtype=bool), rounds=1, g_steps=0)
    before = weights_of(game.hasher)["d"]
    rows = run(game)
    assert all(row["d_loss"] == row["active"] == 0 for row in rows)
    assert all(torch.equal(before[key], value) for key, value in weights_of(game.hasher)["d"].items())


# From the data to the fitted hasher.


def nearest(x: np.ndarray, k: int, metric: str) -> Iterator[tuple[int, int]]:
    """(item, neighbour): each item's k nearest, itself counted."""
    for i, a in enumerate(x):
        far = [((a - b) ** 2).sum() if metric == "euclidean" else -(a @ b) / np.sqrt((a @ a) * (b @ b)) for b in x]
        yield from ((i, int(j)) for j in [i, *(j for j in np.argsort(far) if j != i)][:k])


def scaled(x: np.ndarray, train: np.ndarray, kind: str) -> np.ndarray:
    """The inputs of a network, by the table of docs/CHOICES.md and `UGACHConfig`, a row at a time."""
    rows, columns = [], train.astype(float).T
    for row in x.astype(float):
        if kind == "standard":
            spread = [np.sqrt(np.mean((column - column.mean()) ** 2)) for column in columns]
            row = np.array([(a - c.mean()) / (s or 1) for a, c, s in zip(row, columns, spread, strict=True)])
        if kind == "l2" and row.any():
            row = row / np.sqrt((row * row).sum())
        rows.append(row)
    return np.array(rows)


def pairs(seed: int = 2) -> PairedData:
    """Four queries and `ITEMS` pairs to train on. A picture column is constant, one query's text all zeros."""
    rng = np.random.default_rng(seed)
    images, texts = rng.normal(size=(ITEMS + 4, IMAGE)) * 3 + 1, rng.normal(size=(ITEMS + 4, TEXT)) + 0.5
    images[:, 2], texts[1] = 1.25, 0.0
    rest = np.arange(4, ITEMS + 4)
    return PairedData("toy", images, texts, {"query": np.arange(4), "retrieval": rest, "train": rest})


FITS: dict[str, dict[str, Any]] = {
    "adam": {"optimiser": "adam"},
    "dropout and decay": {"dropout": 0.25, "weight_decay": 0.02},
    "undirected, euclidean texts": {"symmetric": True, "metric_text": "euclidean"},
    "one positive, pairs first": {"positives": 1, "pretrain_positives": "pair", "init_std": 0.9, "reward": "sigmoid"},
    "standard": {"input_scaling": "standard"},
}


@pytest.mark.parametrize("options", FITS.values(), ids=FITS.keys())
def test_a_fit_is_the_notes_from_the_seed_on(options, monkeypatch):
    """Graphs, first weights and every draw come from the data and the seed alone. They are drawn in this order: D's
    weights, G's weights; then for each step the pool; for D, with dropout, which inputs are left out of its pictures
    and of its texts; for each way, the generated items and the related ones.
    """
    monkeypatch.setattr(library, "placed", lambda net, device: net.double())
    in_float32 = UGACH._scaled
    monkeypatch.setattr(UGACH, "_scaled", lambda self, x, which: in_float32(self, x, which).double())
    data = pairs()
    hasher = UGACH(bits=BITS, seed=23, device="cpu", **{**SMALL, **options}).fit(data, show_progress=False)
    c, random = hasher.config, generator(23)

    def fresh() -> dict[str, Tensor]:
        w = {}
        for side, width in (("image", IMAGE), ("text", TEXT)):
            for layer, (outputs, ins) in (("representation", (HIDDEN, width)), ("hashing", (BITS, HIDDEN))):
                std, empty = ins**-0.5 if c.init_std is None else c.init_std, torch.empty(outputs, ins)
                w[f"{side}.{layer}.weight"] = trunc_normal_(empty, 0, std, -2 * std, 2 * std, generator=random)
                w[f"{side}.{layer}.bias"] = torch.zeros(outputs)
        return {key: value.double().requires_grad_() for key, value in w.items()}

    train = {"image": data.train.images, "text": data.train.text_vectors}
    related = np.eye(ITEMS, dtype=bool)
    for side, k, metric in (("image", c.k_image, "euclidean"), ("text", c.k_text, c.metric_text)):
        for i, j in nearest(train[side].astype(float), k, metric):
            related[i, j] = True
            related[j, i] |= c.symmetric
    assert (hasher.positives_.toarray() == related).all()
    x = {side: torch.tensor(scaled(value, value, c.input_scaling)) for side, value in train.items()}
    note = Note(c, x, related, {"d": fresh(), "g": fresh()}, Seeded(random))
    # The library scales in float32.
    assert_same(note, hasher, note.play(), tolerance=1e-10 if c.input_scaling == "none" else 1e-6)


@pytest.mark.parametrize("kind", ["none", "l2", "standard"])
def test_inputs_are_scaled_by_the_training_set(kind, monkeypatch):
    """What the game trains on, and what a new picture or text is encoded from; the code is the discriminator's."""
    data, seen = pairs(), {}
    original = library.Game.__init__

    def spied(game: library.Game, hasher: UGACH, images: Tensor, texts: Tensor, random: torch.Generator) -> None:
        seen.update(image=images.clone(), text=texts.clone())
        original(game, hasher, images, texts, random)

    monkeypatch.setattr(library.Game, "__init__", spied)
    hasher = UGACH(bits=BITS, seed=1, device="cpu", **{**SMALL, "input_scaling": kind}).fit(data, show_progress=False)
    train = {"image": data.train.images, "text": data.train.text_vectors}
    for side, value in train.items():
        np.testing.assert_allclose(seen[side], scaled(value, value, kind), rtol=1e-5, atol=1e-6)
    w = {key: value.double() for key, value in weights_of(hasher)["d"].items()}
    for side, new, values in (
        ("image", data.query.images, hasher.values(images=data.query)),
        ("text", data.query.text_vectors, hasher.values(texts=data.query)),
    ):
        h = [code(w, side, torch.tensor(row)).detach().numpy() for row in scaled(new, train[side], kind)]
        np.testing.assert_allclose(1 / (1 + np.exp(-values.astype(float))), h, atol=1e-5)
