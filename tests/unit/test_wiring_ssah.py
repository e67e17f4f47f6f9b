"""SSAH's training against a second one, written from the note: every step of every player, in float64.

`Game` knows nothing of the library but the weights that it starts from. It walks over the pairs (i, j), writes the
losses and the optimisers out, and asks torch for nothing but the gradient of its own scalar. After every step of
either, each parameter and each row of the banks must agree to 1e-9.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cmhkit import codes
from cmhkit.data import PairedData
from cmhkit.nn.backbones import CNNF
from cmhkit.ssah import SSAH
from cmhkit.ssah import fit as ssah
from cmhkit.ssah.model import BACKBONES, network_for
from cmhkit.support import draws
from cmhkit.train import distributed
from cmhkit.train import loop as schedules
from cmhkit.train.device import generator
from cmhkit.train.run import Run

#: Every size is another number, so that swapped axes cannot pass. 11 pairs are batches of 4, 4 and 3.
PAIRS, PIXELS, WORDS, LABELS, BITS = 11, 5, 7, 3, 8
OPTIONS = {
    "backbone": "features",
    "image_hidden": 9,
    "text_hidden": 10,
    "label_hidden": 12,
    "width": 6,
    "pools": (2, 5),
    "discriminator_hidden": (13, 4),
    "batch": 4,
    "epochs": 2,
    "label_passes": 2,
    "alpha": 0.7,
    "gamma": 1.3,
    "eta": 0.4,
    "beta": 2.0,
    "adversarial_weight": 0.6,
    "lr_label": 0.013,
    "lr_image": 0.011,
    "lr_text": 0.007,
    "lr_discriminator": 0.005,
}
#: Sums are larger than means by the number of pairs, and so are the steps of plain gradient descent.
SUMS = {"reduction": "sum", "pair_weights": "equal"}
#: The published code's choices, its defects among them.
OFFICIAL = SUMS | {"similarity": 0.999, "pair_loss": "squared", "binary": "own", "pool_scale": "relu", "dropout": 0.0}
OFFICIAL |= {"local_response_norm": True, "image_hidden": 0, "label_passes": 1, "lr_decay": "geometric"}
DESCENT = {"optimiser": "sgd", "epochs": 3}
ALONE = {"supervision": "each-other", "adversarial": "none"}
CODES_GAME = {"adversarial": "detached", "adversarial_loss": "cross-entropy", "adversarial_target": "flipped"}
VARIANTS = {
    "lab": {},
    "no dropout, no decay": {"dropout": 0.0, "lr_decay": "none"},
    "paper": SUMS | {"adversarial_labnet": True, "local_response_norm": True},
    "official": OFFICIAL | CODES_GAME,
    "gradient descent": DESCENT | {"lr_decay": "geometric"},
    "no fusion": {"adversarial_labnet": True, "pools": ()},
    "gradient descent, detached": SUMS | CODES_GAME | DESCENT | {"lr_image": 1e-3, "lr_label": 1e-3},
    "flipped": {"adversarial_target": "flipped", "adversarial_labnet": True, "text_hidden": 0},
    "minus the cross-entropy": {"adversarial_loss": "cross-entropy", "adversarial_labnet": True, "label_hidden": 0},
    "detached, minus": {"adversarial": "detached", "adversarial_labnet": True},
    "no game": {"adversarial": "none", "pools": (), "input_scaling": "l2"},
    "each other": ALONE,
    "each other, own signs": ALONE | {"binary": "own", "pair_loss": "squared"},
}
START = {
    "label": "label.",
    "image": "image.",
    "text": "text.",
    "d_image": "image_discriminator.",
    "d_text": "text_discriminator.",
}


class Game:
    """The note's LabNet, ImgNet, TxtNet and two discriminators, and how they learn.

    c: the choices. weights: by the names that the library gives them. inputs: "label", "image" and "text", float64,
    a row a pair. random: where the batches and what dropout leaves out are drawn from.
    """

    def __init__(self, c, weights: dict, inputs: dict, random: torch.Generator) -> None:
        self.c, self.x, self.random = c, inputs, random
        self.weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
        self.moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in weights.items()}
        self.taken, self.trace = Counter(), []
        if c.supervision == "labnet":
            self.teacher = {"label": "label", "image": "label", "text": "label"}
        else:
            self.teacher = {"image": "text", "text": "image"}
        self.h = {who: torch.zeros(PAIRS, BITS) for who in self.teacher}
        self.f = {}
        for who in set(self.teacher.values()):
            f, h, _ = self.network(who, torch.arange(PAIRS), learning=False)
            self.f[who], self.h[who] = f.detach().clone(), h.detach().clone()
        own = [set(np.flatnonzero(row)) for row in inputs["label"].numpy()]
        self.similar = [[bool(a & b) for b in own] for a in own]
        near = sum(map(sum, self.similar)) / PAIRS**2
        self.counts = (0.5 / (1 - near), 0.5 / near) if c.pair_weights == "balanced" else (1.0, 1.0)

    # What the players compute.

    def layer(self, x, name: str):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def left_out(self, x, who: str, learning: bool):
        if not learning or who == "label" or self.c.dropout == 0:
            return x
        return x * (torch.rand(x.shape, generator=self.random) >= self.c.dropout) / (1 - self.c.dropout)

    def network(self, who: str, rows, learning: bool = True):
        """F, H and the predicted labels of some pairs."""
        x = self.left_out(self.x[who][rows], who, learning)
        if who == "text" and self.c.pools:
            scales = self.weights["text.front.raw"]
            scales = scales if self.c.pool_scale == "relu" else torch.log(1 + torch.exp(scales))
            scaled = zip(scales, self.c.pools, strict=True)
            x = torch.cat([x, *(torch.relu(w * x @ averages(p)) @ stretched(p) for w, p in scaled)], dim=1)
        if f"{who}.first.weight" in self.weights:
            x = torch.relu(self.layer(x, f"{who}.first"))
            if self.c.local_response_norm:
                power = [(x[:, max(0, i - 2) : i + 3] ** 2).sum(1) for i in range(x.shape[1])]
                x = x / (2 + 1e-4 * torch.stack(power, dim=1)) ** 0.75
            x = self.left_out(x, who, learning)
        f = torch.relu(self.layer(x, f"{who}.semantic"))
        return f, torch.tanh(self.layer(f, f"{who}.hashing")), torch.sigmoid(self.layer(f, f"{who}.labelling"))

    def rating(self, who: str, f):
        """The logit of D: how sure the discriminator of images or texts is that these are LabNet's features."""
        last = len(self.c.discriminator_hidden)
        for number in range(last):
            f = torch.relu(self.layer(f, f"{who}_discriminator.layers.{number}"))
        return self.layer(f, f"{who}_discriminator.layers.{last}")[:, 0]

    # What they lower.

    def reduced(self, terms):
        return terms.mean() if self.c.reduction == "mean" else terms.sum()

    def likelihood(self, rows, own, taught):
        """J1 or J2: the pairs of a batch with the whole training set."""
        theta, s, counts = [], [], []
        for i, a in zip(rows.tolist(), own.unbind(), strict=True):
            for j, b in enumerate(taught.unbind()):
                theta.append(a @ b)
                s.append(self.c.similarity * self.similar[i][j])
                counts.append(self.counts[self.similar[i][j]])
        theta = torch.stack(theta) / 2
        terms = -(torch.tensor(s) * theta - torch.log(1 + torch.exp(theta)))
        return self.reduced((terms**2 / 2 if self.c.pair_loss == "squared" else terms) * torch.tensor(counts))

    def distance(self, ratings, y: float):
        """A discriminator's loss where the truth is y."""
        d = 1 / (1 + torch.exp(-ratings))
        if self.c.adversarial_loss == "squared":
            return self.reduced((d - y) ** 2)
        return self.reduced(-(y * torch.log(d) + (1 - y) * torch.log(1 - d)))

    def deception(self, who: str, f, y: float):
        """What a network lowers to be taken for the other: L_gen - L_adv, or the loss with the other's y."""
        ratings = self.rating(who, f)
        return -self.distance(ratings, y) if self.c.adversarial_target == "minus" else self.distance(ratings, 1 - y)

    # How they learn.

    def step(self, player: str, loss) -> None:
        """One step of Adam or of gradient descent, of one player alone."""
        c, kind = self.c, "discriminator" if player.startswith("d_") else player
        over = self.epoch - 1
        shares = {"none": 1, "linear": (c.epochs - over) / c.epochs, "geometric": 10 ** (-over / 2)}
        rate = getattr(c, f"lr_{kind}") * shares[c.lr_decay]
        names = [name for name in self.weights if name.startswith(START[player])]
        self.taken[player] += 1
        for name, g in zip(names, torch.autograd.grad(loss, [self.weights[name] for name in names]), strict=True):
            w = self.weights[name].detach()
            if c.optimiser == "adam":
                t, (m, v) = self.taken[player], self.moments[name]
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                self.moments[name] = (m, v)
                g = m / (1 - 0.9**t) / (torch.sqrt(v / (1 - 0.999**t)) + 1e-8)
            self.weights[name] = (w - rate * g).requires_grad_()
        self.trace.append(snapshot(player, self.weights, self.h, self.f))

    def batches(self):
        return torch.randperm(PAIRS, generator=self.random).split(self.c.batch)

    def teach(self, who: str) -> dict:
        """One pass of LabNet, ImgNet or TxtNet. Returns what the history says of it."""
        c, history, alive = self.c, [], torch.zeros(self.c.width, dtype=torch.bool)
        for rows in self.batches():
            f, h, predicted = self.network(who, rows)
            alive |= (f > 0).any(0)
            self.h[who][rows] = h.detach()
            if who in self.f:
                self.f[who][rows] = f.detach()
            summed = sum(bank[rows] for bank in self.h.values()) if c.binary == "shared" else h.detach()
            b = torch.tensor([[-1.0 if value < 0 else 1.0 for value in row] for row in summed.tolist()])
            terms = {
                "j1": self.likelihood(rows, f, self.f[self.teacher[who]]),
                "j2": self.likelihood(rows, h, self.h[self.teacher[who]]),
                "j3": self.reduced((h - b) ** 2),
                "j4": self.reduced((predicted - self.x["label"][rows]) ** 2),
            }
            loss = c.alpha * terms["j1"] + c.gamma * terms["j2"] + c.eta * terms["j3"] + c.beta * terms["j4"]
            if c.adversarial == "flows" and who != "label":
                terms["adversarial"] = self.deception(who, f, 0.0)
            elif c.adversarial == "flows" and c.adversarial_labnet:
                terms["adversarial"] = self.deception("image", f, 1.0) + self.deception("text", f, 1.0)
            if "adversarial" in terms:
                loss = loss + c.adversarial_weight * terms["adversarial"]
            self.step(who, loss)
            if c.adversarial == "detached" and who != "label":
                # The published code feeds the features in: only the discriminator learns, and from the other's y.
                terms["adversarial"] = self.deception(who, f.detach(), 0.0)
                self.step(f"d_{who}", c.adversarial_weight * terms["adversarial"])
            figures = {**terms, "loss": loss}
            history.append({f"{who}_{name}": value.item() for name, value in figures.items()})
        distinct = len({tuple(value >= 0 for value in row) for row in self.h[who].tolist()})
        return averaged(history) | {f"{who}_dead": 1 - share(alive), f"{who}_distinct": distinct}

    def tell_apart(self, who: str, rows, f) -> dict:
        """One step of a discriminator: y is 1 for LabNet's features, 0 for the modality's."""
        true, false = self.rating(who, self.f["label"][rows]), self.rating(who, f.detach())
        loss = self.distance(true, 1.0) + self.distance(false, 0.0)
        self.step(f"d_{who}", loss)
        right = {f"d_{who}_right_on_label": share(true > 0), f"d_{who}_right_on_{who}": share(false <= 0)}
        return {f"d_{who}_loss": loss.item()} | right

    def play(self, epoch: int) -> dict:
        """One epoch: LabNet, the discriminators, ImgNet, TxtNet. Returns the row of the history."""
        self.epoch, row, judged = epoch, {"epoch": epoch}, []
        for _ in range(self.c.label_passes if "label" in self.teacher else 0):
            row |= self.teach("label")
        for rows in self.batches() if self.c.adversarial != "none" else ():
            judged.append({})
            for who in ("image", "text"):
                judged[-1] |= self.tell_apart(who, rows, self.network(who, rows, learning=False)[0])
        row |= averaged(judged) | self.teach("image") | self.teach("text")
        for p, w in zip(self.c.pools, self.weights.get("text.front.raw", []), strict=bool(self.c.pools)):
            row[f"text_scale_{p}"] = w.item() if self.c.pool_scale == "relu" else math.log(1 + math.exp(w.item()))
        return row

    def shared_code(self) -> np.ndarray:
        """B of all pairs, packed."""
        return codes.pack(np.where(sum(self.h.values()).numpy() >= 0, 1, -1))


def averages(p: int) -> torch.Tensor:
    """The matrix that takes WORDS numbers to their averages over windows of p; the last window may be shorter."""
    starts = range(0, WORDS, p)
    rows = [[float(start <= word < start + p) for start in starts] for word in range(WORDS)]
    return torch.tensor(rows) / torch.tensor(rows).sum(0)


def stretched(p: int) -> torch.Tensor:
    """The matrix that takes those averages back to WORDS numbers, on straight lines between the middles."""
    few = math.ceil(WORDS / p)
    middles = (np.arange(WORDS) + 0.5) * few / WORDS - 0.5
    return torch.tensor(np.array([np.interp(middles, np.arange(few), one) for one in np.eye(few)]))


def share(of: torch.Tensor) -> float:
    return of.double().mean().item()


def averaged(rows: list[dict]) -> dict:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}


def snapshot(player: str, weights: dict, h: dict, f: dict) -> SimpleNamespace:
    """Everything that training changes, right after a step."""
    parts = [("weight", weights), ("code", h), ("feature", f)]
    state = {f"{kind} {name}": x.detach().clone() for kind, part in parts for name, x in part.items()}
    return SimpleNamespace(player=player, state=state)


# The library beside it.


READ = ssah.Supervision._input


@pytest.fixture(autouse=True)
def _float64(monkeypatch):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(ssah.Supervision, "_input", lambda *where: READ(*where).double())
    monkeypatch.setattr("cmhkit.hasher.own_settings", nullcontext)  # `fit` would compute in float32
    monkeypatch.setitem(ssah._AT_ONCE, 2, 4)
    yield
    torch.set_default_dtype(before)


def small_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, texts and labels; one text has no word, and two pairs have no label: they are similar to nothing."""
    random = np.random.default_rng(4)
    images = random.normal(size=(PAIRS, PIXELS)).astype(np.float32).astype(float)  # the library reads float32
    texts = random.integers(0, 3, (PAIRS, WORDS)).astype(float)
    labels = np.array([[i % 3 == 0, i % 3 == 1, i % 4 == 2] for i in range(PAIRS)]).astype(np.uint8)
    texts[3] = 0
    assert 0.2 < (labels @ labels.T > 0).mean() < 0.45
    return images, texts, labels


def started(seed: int = 1, preset: str = "lab", **options) -> tuple[ssah.Supervision, Game, list]:
    """The library's schedule and the second one, at the same start, and what each step of the first leaves."""
    images, texts, labels = small_data()
    hasher = SSAH(bits=BITS, seed=7, device="cpu", preset=preset, **{**OPTIONS, **options})
    hasher._device, random = torch.device("cpu"), generator(seed)
    network = hasher.network_ = network_for(hasher.config, BITS, PIXELS, WORDS, LABELS, random)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim == 1 and not name.endswith("raw"):
                value.normal_(std=0.3, generator=random)  # a bias of 0 could be forgotten unnoticed
            if "hashing" in name:
                value[2] = 0  # one bit is 0 for all: its sign is +1
    real = ssah.Supervision(hasher, images, texts, labels, random)
    real.labels = real.labels.double()
    inputs = {"label": labels.astype(float), "image": images, "text": texts}
    if hasher.config.input_scaling == "l2":
        for name in ("image", "text"):  # kept in float32
            rows = [row / (math.sqrt(sum(v * v for v in row)) or 1) for row in inputs[name]]
            inputs[name] = np.array(rows, np.float32)
    copied = torch.Generator()
    copied.set_state(random.get_state())
    inputs = {name: torch.from_numpy(x).double() for name, x in inputs.items()}
    game = Game(hasher.config, network.state_dict(), inputs, copied)
    trace: list = []

    def kept(name: str, *_) -> None:
        trace.append(snapshot(name, network.state_dict(), real.codes, real.features))

    for name, optimiser in real.optimisers.items():
        optimiser.register_step_post_hook(functools.partial(kept, name))
    return real, game, trace


def check_same(real: dict, expected: dict, where: str = "") -> None:
    assert real.keys() == expected.keys()
    for name, value in expected.items():
        near = 1e-6 if "_right_" in name or "_dead" in name else 1e-9  # shares are kept in float32
        np.testing.assert_allclose(real[name], value, rtol=near, atol=1e-9, err_msg=f"{where} {name}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_step_is_the_notes(variant):
    """Who steps, from which batch, down which loss, at which rate, and what each bank holds then."""
    real, game, trace = started(**VARIANTS[variant])
    check_same(real.codes | real.features, game.h | game.f, "before the first step:")
    done = []
    for epoch in range(1, real.epochs + 1):
        check_same(real._epoch(epoch, done.append), game.play(epoch), f"row {epoch}")
        # Progress counts a batch of both discriminators as one.
        assert sum(done) == real._steps(epoch) > 0
    assert [one.player for one in trace] == [one.player for one in game.trace]
    for number, (one, other) in enumerate(zip(trace, game.trace, strict=True)):
        check_same(one.state, other.state, f"step {number}, of {one.player}:")
    assert (real.shared_code() == game.shared_code()).all()


@pytest.mark.parametrize("variant", ["lab", "official", "detached, minus", "each other"])
def test_a_step_moves_every_parameter_of_its_player_and_nothing_else(variant):
    real, _, trace = started(**VARIANTS[variant])
    before = snapshot("", real.network.state_dict(), real.codes, real.features)
    real._epoch(1, lambda k: None)
    moved: dict[str, set[str]] = {}
    for after in trace:
        changed = {name for name, x in after.state.items() if not torch.equal(x, before.state[name])}
        weights = {name.removeprefix("weight ") for name in changed if name.startswith("weight ")}
        moved[after.player] = moved.get(after.player, set()) | weights
        for name in changed:
            if not name.startswith("weight "):
                # A network renews the rows of its batch, 4 at most; a discriminator beside it steps in between.
                assert name.split()[1] == after.player.removeprefix("d_")
                assert int((after.state[name] != before.state[name]).any(1).sum()) <= 4
        before = after
    every = [name for name, _ in real.network.named_parameters()]
    assert moved == {player: {name for name in every if name.startswith(START[player])} for player in real.optimisers}


def test_the_order_of_the_players():
    batches = math.ceil(PAIRS / 4)
    for adversarial, image, text in (
        ("flows", ["image"], ["text"]),
        ("detached", ["image", "d_image"], ["text", "d_text"]),
    ):
        real, _, trace = started(adversarial=adversarial)
        real._epoch(1, lambda k: None)
        expected = [*["label"] * 2 * batches, *["d_image", "d_text"] * batches, *image * batches, *text * batches]
        assert [one.player for one in trace] == expected


@pytest.mark.parametrize("who", ["image", "text"])
@pytest.mark.parametrize(
    "options",
    [{}, {"adversarial_loss": "cross-entropy"}, {"adversarial_target": "flipped"}, CODES_GAME],
)
def test_the_game_is_played_in_its_direction(who, options):
    """A small step of a discriminator tells the two apart better; of a network that only plays, worse."""
    quiet = {"alpha": 0.0, "gamma": 0.0, "eta": 0.0, "beta": 0.0, "dropout": 0.0}
    slow = {"optimiser": "sgd", "lr_discriminator": 1e-4, "lr_image": 1e-4, "lr_text": 1e-4}
    real, game, _ = started(**quiet, **slow, **options)
    rows = torch.arange(PAIRS)

    def ratings() -> tuple[float, float]:
        game.weights = real.network.state_dict()
        features = [game.network(name, rows, learning=False)[0] for name in ("label", who)]
        return tuple(game.rating(who, f).sigmoid().mean().item() for f in features)

    before = ratings()
    real._train_only("discriminators")
    real._discriminators_step(rows)
    judged = ratings()
    assert judged[0] - judged[1] > before[0] - before[1]
    real._train_only(who)
    weights = {name: x.clone() for name, x in real.network.state_dict().items()}
    real._network_step(who, rows)
    moved = {name.split(".")[0] for name, x in real.network.state_dict().items() if not torch.equal(x, weights[name])}
    # Detached, it is the discriminator that learns to take the modality for LabNet.
    assert moved == ({f"{who}_discriminator"} if options == CODES_GAME else {who})
    assert ratings()[1] > judged[1]


# A run.


class Stop(Exception):
    """Ends a run."""


@pytest.mark.parametrize("options", [{"lr_decay": "geometric"}, ALONE | {"optimiser": "sgd"}])
def test_a_run_is_its_epochs_and_goes_on_from_where_it_was_stopped(monkeypatch, tmp_path, options):
    """What goes on begins with other weights, banks and draws: all must come from the checkpoint."""
    real, game, trace = started(**options, epochs=3)
    told: list = []

    class Progress:
        def __init__(self, total, label, show):
            told.append([total, label, show])

        def __enter__(self):
            return told[-1].append

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(schedules, "progress", Progress)
    rows, shared = [], []
    for epoch in (1, 2, 3):
        rows.append(game.play(epoch))
        shared.append(game.shared_code())

    def callback(row, hasher):
        assert hasher.history_[-1] is row and (hasher.shared_code_ == shared[row["epoch"] - 1]).all()
        if row["epoch"] == 3 and not stopped:
            stopped.append(3)
            raise Stop

    stopped: list[int] = []
    with pytest.raises(Stop):
        real.run(Run(real.hasher, tmp_path, callback, True))
    again, _, rest = started(seed=2, **options, epochs=3)
    again.run(Run(again.hasher, tmp_path, callback, False))
    third = len(game.trace) // 3
    assert (len(trace), len(rest)) == (len(game.trace), third)
    for number, (one, other) in enumerate(zip(trace + rest, game.trace + game.trace[-third:], strict=True)):
        assert one.player == other.player
        check_same(one.state, other.state, f"step {number}, of {one.player}:")
    for row, other in zip(again.hasher.history_, rows, strict=True):
        check_same(row, other, f"row {row['epoch']}")
    assert (again.hasher.shared_code_ == shared[-1]).all()
    # The bar of the one that goes on begins where the other one's stood.
    steps = real._steps(1)
    assert told[0] == [3 * steps, "SSAH", True, 0, *[1] * 3 * steps]
    assert told[1] == [3 * steps, "SSAH", False, 2 * steps, *[1] * steps]


def test_fit_trains_from_its_seed_alone():
    """From the user's call to the weights: what `fit` builds, draws and hands on."""
    images, texts, labels = small_data()
    images, texts = images.astype(np.float32), texts.astype(np.float32)
    # A query between them, at position 2, which no step may see.
    train = np.delete(np.arange(PAIRS + 1), 2)
    parts = {"query": np.array([2]), "retrieval": train, "train": train}
    more = [np.insert(x, 2, x[4], axis=0) for x in (images, texts, labels)]
    data = PairedData("small", more[0], more[1], parts, more[2])
    hasher = SSAH(bits=BITS, seed=5, device="cpu", **OPTIONS)
    random = generator(5)
    start = network_for(hasher.config, BITS, PIXELS, WORDS, LABELS, random).state_dict()
    inputs = {"image": images, "text": texts, "label": labels}
    game = Game(hasher.config, start, {name: torch.from_numpy(x).double() for name, x in inputs.items()}, random)
    with pytest.warns(ssah.UnlabelledWarning, match="2 of 11 training pairs have no label, the first at position 5"):
        hasher.fit(data, show_progress=False)
    rows = [game.play(epoch) for epoch in (1, 2)]
    for row, expected in zip(hasher.history_, rows, strict=True):
        check_same(row, expected, f"row {row['epoch']}")
    check_same(hasher.network_.state_dict(), {name: x.detach() for name, x in game.weights.items()})
    assert (hasher.shared_code_ == game.shared_code()).all()


# Several processes, one after the other.


def in_parts(monkeypatch, processes: int, call) -> list:
    """What `call` returns in each of so many processes. In a first round they only say what they would send around."""
    sent: dict[int, list] = {number: [] for number in range(processes)}
    found = []
    monkeypatch.setattr(distributed, "size", lambda: processes)
    for told in (False, True):
        for number in range(processes):
            asked = iter(range(100))

            def all_gather(into: list, part: torch.Tensor, number=number, told=told, asked=asked) -> None:
                if not told:
                    sent[number].append(part.detach().clone())
                position = next(asked)
                for other, place in enumerate(into):
                    place.copy_(sent[other][position] if told else torch.zeros_like(place))

            monkeypatch.setattr(distributed.dist, "all_gather", all_gather)
            monkeypatch.setattr(distributed, "rank", lambda number=number: number)
            one = call()
            if told:
                found.append(one)
    monkeypatch.setattr(distributed, "size", lambda: 1)
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    return found


@pytest.mark.parametrize(("rows", "counts"), [(7, [3, 2, 2]), (8, [3, 3, 2]), (2, [1, 1, 0])])
def test_the_parts_of_a_batch_are_the_batch(monkeypatch, rows, counts):
    batch = torch.arange(2.0 * rows).reshape(rows, 2)
    slopes = torch.arange(2.0 * rows).reshape(rows, 2).flip(0) + 1
    device = torch.device("cpu")

    def call():
        part = distributed.mine(batch).clone().requires_grad_()
        whole = distributed.gathered(part, rows)
        (whole * slopes).sum().backward()
        random = generator(3)
        with distributed.part_of(rows):
            with distributed.part_of(rows + 1):
                pass
            drawn = draws.uniform((len(part), 5), random, device)
        return part.detach(), whole.detach(), part.grad, drawn, draws.uniform((4, 2), random, device)

    found = in_parts(monkeypatch, 3, call)
    random = generator(3)
    dice, after = torch.rand(rows, 5, generator=random), torch.rand(4, 2, generator=random)
    for (part, whole, gradient, drawn, free), own, slope, rolled in zip(
        found, batch.split(counts), slopes.split(counts), dice.split(counts), strict=True
    ):
        assert torch.equal(part, own) and torch.equal(whole, batch)
        # The mean over three processes must be the gradient of the sum.
        assert torch.equal(gradient, 3 * slope)
        assert torch.equal(drawn, rolled) and torch.equal(free, after)


@pytest.mark.parametrize("who", ["image", "text"])
def test_a_step_in_two_processes_is_the_step_of_one(monkeypatch, who):
    """Each reads its part, with its part of what dropout leaves out; the mean of their gradients is the gradient."""
    real, _, _ = started()
    items, state = torch.tensor([8, 1, 5]), real.random.get_state()
    net = getattr(real.network, who)
    real._train_only(who)

    def call():
        real.random.set_state(state)
        found = real._outputs(net, who, items)
        slopes = torch.autograd.grad(real.weighted(real.terms(who, items, found)), list(net.parameters()))
        return found.features.detach(), found.logits.detach(), slopes, real.random.get_state()

    (alone,) = in_parts(monkeypatch, 1, call)
    two = in_parts(monkeypatch, 2, call)
    for features, logits, _, after in two:
        torch.testing.assert_close((features, logits), alone[:2])
        assert torch.equal(after, alone[3])
    for first, second, whole in zip(two[0][2], two[1][2], alone[2], strict=True):
        torch.testing.assert_close((first + second) / 2, whole)


# Pictures.


def test_a_backbone_has_a_rate_of_its_own(monkeypatch):
    """One step of gradient descent: what a parameter moved, over its slope, is its rate."""
    torch.set_default_dtype(torch.float32)  # the backbone hands on float32
    monkeypatch.setitem(BACKBONES, "cnn-f", functools.partial(CNNF, widths=(2, 3, 4, 3, 2), hidden=6))
    images = np.random.default_rng(0).integers(0, 255, (PAIRS, 64, 64, 3)).astype(np.uint8)
    _, texts, labels = small_data()
    options = {"backbone": "cnn-f", "side": 64}
    options |= {"optimiser": "sgd", "lr_decay": "linear", "epochs": 4, "lr_image": 0.25, "lr_backbone": 0.125}
    monkeypatch.setattr(ssah.Supervision, "_input", READ)
    hasher = SSAH(bits=BITS, device="cpu", **{**OPTIONS, **options})
    hasher._device, random = torch.device("cpu"), generator(1)
    hasher.network_ = network_for(hasher.config, BITS, None, WORDS, LABELS, random)
    real = ssah.Supervision(hasher, images, texts.astype(np.float32), labels, random)
    before = {name: x.detach().clone() for name, x in real.network.image.named_parameters()}
    real._set_rates(3)
    real._train_only("image")
    real._network_step("image", torch.arange(PAIRS))
    fronts = set()
    for name, x in real.network.image.named_parameters():
        rate = (0.125 if name.startswith("front") else 0.25) / 2
        assert x.grad.any() or name.startswith("front"), name
        fronts |= {bool(x.grad.any())} if name.startswith("front") else set()
        torch.testing.assert_close(x.detach(), before[name] - rate * x.grad, rtol=1e-5, atol=1e-7, msg=name)
    assert True in fronts
