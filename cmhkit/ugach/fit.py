"""UGACH's schedule: correlation graphs, pretraining of the discriminator, then rounds of the game.

Every step takes a random pool of training items. Its items are the queries, in both directions, and the candidates at
once, so that each network embeds a pool once a step. While one network is frozen its codes of the whole training set
are computed once a round.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.graphs import knn_graph
from cmhkit.hasher import CrossModalHasher, check_arrays
from cmhkit.nn import draws
from cmhkit.support.checks import check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, sent
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run
from cmhkit.ugach import losses
from cmhkit.ugach.config import PRESETS, UGACHConfig
from cmhkit.ugach.model import CrossModalNetwork


class UGACH(CrossModalHasher):
    """Unsupervised generative adversarial cross-modal hashing. No label is read. The codes come from the discriminator.

    Options: `cmhkit.ugach.UGACHConfig`. Fitted state besides `CrossModalHasher`'s: `discriminator_`, `generator_`, and
    `positives_`, for each training item the items that a graph relates to it.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        config = self.config
        least = max(2, config.k_image + 1, config.k_text + 1)
        check(
            len(images) >= least,
            f"data: expected at least {least} training pairs for graphs of {config.k_image} and {config.k_text} neighbours, got {len(images)}",
        )
        self._scaling = _fit_scaling(images, texts, config.input_scaling)
        self._device = resolve_device(self.device)
        self.positives_ = related_items(images, texts, config)
        random = generator(self.seed)
        shape = (images.shape[1], texts.shape[1], config.hidden, self.bits, config.init_std, random)
        self.discriminator_ = placed(CrossModalNetwork(*shape), self._device)
        self.generator_ = placed(CrossModalNetwork(*shape), self._device)
        Game(self, self._scaled(images, "image"), self._scaled(texts, "text"), random).run(run)

    def _scaled(self, x: np.ndarray, which: str) -> Tensor:
        return torch.from_numpy(
            _scale(
                x,
                self._scaling.get(f"{which}_mean"),
                self._scaling.get(f"{which}_deviation"),
                self.config.input_scaling,
            )
        ).to(self._device)

    @torch.no_grad()
    def _image_values(self, images: np.ndarray) -> np.ndarray:
        return self.discriminator_.image.logits(self._scaled(images, "image")).cpu().numpy()

    @torch.no_grad()
    def _text_values(self, texts: np.ndarray) -> np.ndarray:
        return self.discriminator_.text.logits(self._scaled(texts, "text")).cpu().numpy()

    def _state(self) -> dict[str, np.ndarray]:
        networks = {"discriminator": self.discriminator_, "generator": self.generator_}
        weights = {
            f"{name}.{key}": value.cpu().numpy()
            for name, net in networks.items()
            for key, value in net.state_dict().items()
        }
        return weights | {f"scaling.{key}": value for key, value in self._scaling.items()}

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        self._device = resolve_device(self.device)
        shape = (self.image_width_, self.text_width_, self.config.hidden, self.bits, self.config.init_std, generator(0))
        self.discriminator_, self.generator_ = CrossModalNetwork(*shape), CrossModalNetwork(*shape)
        one_each = (np.ones((1, width), np.float32) for width in (self.image_width_, self.text_width_))
        self._scaling = _fit_scaling(*one_each, self.config.input_scaling)
        check_arrays(state, self._state())
        self._scaling = {name: state[f"scaling.{name}"] for name in self._scaling}
        for name in ("discriminator", "generator"):
            net = getattr(self, f"{name}_")
            net.load_state_dict({key: torch.from_numpy(state[f"{name}.{key}"]) for key in net.state_dict()})
            placed(net, self._device)


def related_items(images: np.ndarray, texts: np.ndarray, config: UGACHConfig) -> Any:
    """Which items the two correlation graphs relate: a sparse bool matrix (n, n), the item itself always among them.

    An edge of either graph counts, for both directions of retrieval. Source: the note, "Correlation graph"; k counts
    the item itself. The last result is kept: runs with other seeds and bits on the same pairs do not search again.
    """
    global _last_related
    options = (config.k_image, config.k_text, config.metric_text, config.symmetric)
    key = (_content(images), _content(texts), options)
    if _last_related is None or _last_related[0] != key:
        _last_related = (key, _searched(images, texts, config))
    return _last_related[1].copy()


_last_related: tuple[Any, Any] | None = None


def _content(x: Any) -> tuple[Any, ...]:
    x = np.ascontiguousarray(x)
    return x.shape, x.dtype.str, hashlib.blake2b(x.data, digest_size=16).digest()


def _searched(images: np.ndarray, texts: np.ndarray, config: UGACHConfig) -> Any:
    symmetric = "union" if config.symmetric else None
    graphs = [
        knn_graph(images, config.k_image, metric="euclidean", include_self=True, symmetric=symmetric),
        knn_graph(texts, config.k_text, metric=config.metric_text, include_self=True, symmetric=symmetric),
    ]
    from scipy.sparse import identity

    return ((graphs[0].matrix + graphs[1].matrix + identity(len(images), dtype=bool, format="csr")) > 0).tocsr()


class Game(Schedule):
    """The two players over one training set. Epoch 0 is the pretraining of the discriminator, the others are rounds of
    the game.

    images, texts: scaled inputs, shapes (n, d) and (n, t). random: every draw comes from it.
    """

    method = "UGACH"
    first = 0
    advice = "try a lower rate or another input_scaling"

    def __init__(self, hasher: UGACH, images: Tensor, texts: Tensor, random: torch.Generator) -> None:
        super().__init__(hasher, len(images), random)
        self.images, self.texts = images, texts
        self.margin = self.config.margin_for(hasher.bits)
        self.pool = min(self.config.pool, self.n)
        rates = {"pretrain": self.config.lr_pretrain, "d": self.config.lr_d, "g": self.config.lr_g}
        for name, rate in rates.items():
            net = hasher.generator_ if name == "g" else hasher.discriminator_
            self.optimisers[name] = self._optimiser([{"params": list(net.parameters()), "lr": rate}])
        self.players = {
            "d": distributed.replicated(hasher.discriminator_),
            "g": distributed.replicated(hasher.generator_),
        }

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"discriminator": self.hasher.discriminator_, "generator": self.hasher.generator_}

    @property
    def epochs(self) -> int:
        return 1 + self.config.rounds

    def _steps(self, epochs: int) -> int:
        c = self.config
        return c.pretrain_steps + (epochs - 1) * (c.d_steps + c.g_steps) if epochs else 0

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        return self._round(epoch, step) if epoch else self._pretrain(step)

    def _pretrain(self, step: Any) -> dict[str, Any]:
        graph_only = self.config.pretrain_positives == "graph"
        found = [
            self._d_step("pretrain", uniform=True, graph=graph_only, step=step)
            for _ in range(self.config.pretrain_steps)
        ]
        return {"epoch": 0, "stage": "pretraining", **means(found)}

    def _round(self, epoch: int, step: Any) -> dict[str, Any]:
        uniform = self.config.negatives == "uniform"
        if not uniform:
            self.generated = self._embedded(self.hasher.generator_)
        found = [self._d_step("d", uniform=uniform, graph=True, step=step) for _ in range(self.config.d_steps)]
        row = {"epoch": epoch, "stage": "game", **means(found)}
        if not uniform:
            self.judged = self._embedded(self.hasher.discriminator_)
            row |= means([self._g_step(step) for _ in range(self.config.g_steps)])
        return row

    @torch.no_grad()
    def _embedded(self, net: CrossModalNetwork) -> tuple[Tensor, Tensor]:
        """The codes of the whole training set: a frozen player embeds it once a round."""
        return net(self.images, self.texts)

    def _d_step(self, optimiser: str, *, uniform: bool, graph: bool, step: Any) -> dict[str, Tensor]:
        items, related = self._draw_pool(graph)
        loss_parts, active = [], 0.0
        embedded = self._embed("d", self._dropped(self.images[items]), self._dropped(self.texts[items]))
        for way, (query, found) in enumerate((embedded, embedded[::-1])):
            with torch.no_grad():
                if uniform:
                    weights = torch.ones(len(items), len(items), device=query.device)
                else:
                    # generated[way] holds the queries' modality, generated[1 - way] the candidates'.
                    weights = losses.generator_log_probability(
                        self.generated[way][items], self.generated[1 - way][items], self.config.temperature
                    ).exp()
                negatives, usable = self._draw(weights.masked_fill(related, 0), self.config.draws)
                positives, _ = self._draw(related.float(), self.config.positives)
            distance = losses.squared_distance(query, found)
            score = losses.relevance_score(
                distance.gather(1, positives)[:, :, None], distance.gather(1, negatives)[:, None, :], self.margin
            )
            # Where every candidate is related, there is nothing to tell apart.
            score = score.where(usable[:, None, None], 0.0)
            counted = (usable.sum() * score[0].numel()).clamp_min(1)
            loss_parts.append(score.sum() / counted)
            active = active + exact((score > 0).float().sum() / counted) / 2
        loss = sum(loss_parts)
        self._step(optimiser, loss)
        step(1)
        return {"d_loss": exact(loss) / 2, "active": active}

    def _g_step(self, step: Any) -> dict[str, Tensor]:
        items, related = self._draw_pool(graph=True)
        embedded = self._embed("g", self.images[items], self.texts[items])
        parts, earned, spread = [], 0.0, 0.0
        for way, (query, found) in enumerate((embedded, embedded[::-1])):
            log_p = losses.generator_log_probability(query, found, self.config.temperature)
            with torch.no_grad():
                drawn, _ = self._draw(log_p.exp(), self.config.draws)
                positives, _ = self._draw(related.float(), 1)
                distance = losses.squared_distance(self.judged[way][items], self.judged[1 - way][items])
                score = losses.relevance_score(distance.gather(1, positives), distance.gather(1, drawn), self.margin)
                reward = losses.generator_reward(score, self.config.reward)
            parts.append(
                losses.policy_loss(
                    losses.draws_log_probability(log_p, drawn, self.config.log_p), reward, self.config.baseline
                )
            )
            earned = earned + exact(reward.mean()) / 2
            spread = spread + -exact((log_p.exp() * log_p).sum(1).mean()) / 2
        self._step("g", sum(parts))
        step(1)
        return {"reward": earned, "entropy": spread}

    def _embed(self, player: str, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """A pool's codes by "d" or "g". With several processes this one computes its part, and gathers the rest."""
        part = self.players[player](distributed.mine(images), distributed.mine(texts))
        return distributed.gathered(part, len(images))

    def _draw_pool(self, graph: bool) -> tuple[Tensor, Tensor]:
        """A random pool of items, and which of them are related, bool (pool, pool)."""
        items = torch.randperm(self.n, generator=self.random)[: self.pool]
        if not graph:
            return sent(items, self.images.device), torch.eye(self.pool, dtype=torch.bool, device=self.images.device)
        rows = items.numpy()
        related = self.hasher.positives_[rows][:, rows].toarray()
        return sent(items, self.images.device), sent(torch.from_numpy(related), self.images.device)

    def _draw(self, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Draw positions with replacement in proportion to weights. Returns them, (n, count), and which rows had any
        weight, bool (n,).
        """
        usable = weights.sum(1) > 0
        safe = torch.where(usable[:, None], weights, torch.ones_like(weights))
        return draws.multinomial(safe, count, self.random), usable

    def _dropped(self, x: Tensor) -> Tensor:
        if self.config.dropout == 0:
            return x
        kept = draws.uniform(x.shape, self.random, x.device) >= self.config.dropout
        return x * kept / (1 - self.config.dropout)

    def _step(self, name: str, loss: Tensor) -> None:
        if self.config.weight_decay:
            weights = (p for group in self.optimisers[name].param_groups for p in group["params"] if p.ndim > 1)
            loss = loss + self.config.weight_decay * sum(w.square().sum() / 2 for w in weights)
        super()._step(name, loss)


def _fit_scaling(images: np.ndarray, texts: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    if not kind.startswith("standard"):
        return {}
    found = {}
    for name, x in (("image", images), ("text", texts)):
        deviation = x.std(axis=0)
        found[f"{name}_mean"], found[f"{name}_deviation"] = (
            x.mean(axis=0),
            np.where(deviation > 0, deviation, 1).astype(np.float32),
        )
    return found


def _scale(x: np.ndarray, mean: np.ndarray | None, deviation: np.ndarray | None, kind: str) -> np.ndarray:
    if mean is not None and deviation is not None:
        x = (x - mean) / deviation
    if kind.endswith("l2"):
        length = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(length > 0, length, 1) * np.float32(np.sqrt(x.shape[1]) if kind == "standard-l2" else 1)
    return np.ascontiguousarray(x, dtype=np.float32)
