"""UGACH's training, to be read from top to bottom: the hasher, then the game that fits it.

Every step takes a random pool of training items. Its items are the queries, in both directions, and the candidates at
once, so that each network embeds a pool once a step. While one network is frozen its codes of the whole training set
are computed once a round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.codes import slices
from cmhkit.data.inputs import scaled, scaling_statistics
from cmhkit.graphs import correlation_graph
from cmhkit.hasher import NetworkHasher
from cmhkit.nn.layers import Dropout
from cmhkit.support import draws
from cmhkit.support.checks import check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, to_device
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run
from cmhkit.ugach import losses
from cmhkit.ugach.config import PRESETS, UGACHConfig
from cmhkit.ugach.model import CrossModalNetwork

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Items that a network embeds at once: of 8192 units each, that is 128 MB.
_AT_ONCE = 4096

#: The relaxed codes h of pictures and of texts, each (n, bits).
Codes = tuple[Tensor, Tensor]


class UGACH(NetworkHasher):
    """Unsupervised generative adversarial cross-modal hashing. No label is read. The codes come from the discriminator.

    Options: `cmhkit.ugach.UGACHConfig`. Fitted state besides `CrossModalHasher`'s: `discriminator_`, `generator_`, and
    `positives_`, for each training item the items that a graph relates to it.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        k_image, k_text, n = self.config.k_image, self.config.k_text, len(images)
        least = f"at least {max(k_image, k_text) + 1} training pairs for graphs of {k_image} and {k_text} neighbours"
        check(n > max(k_image, k_text), f"data: expected {least}, got {n}")
        self._scaling = scaling_statistics(images, texts, self.config.input_scaling)
        self._device = resolve_device(self.device)
        self.positives_ = related_items(images, texts, self.config)
        random = generator(self.seed)
        self.discriminator_ = placed(self._player(random), self._device)
        self.generator_ = placed(self._player(random), self._device)
        Game(self, self._scaled(images, "image"), self._scaled(texts, "text"), random).run(run)

    def _player(self, random: torch.Generator) -> CrossModalNetwork:
        c = self.config
        return CrossModalNetwork(self.image_width_, self.text_width_, c.hidden, self.bits, c.init_std, random)

    @property
    def _network(self) -> nn.ModuleDict:
        return nn.ModuleDict({"discriminator": self.discriminator_, "generator": self.generator_})

    def _scaled(self, x: np.ndarray, side: str) -> Tensor:
        return torch.from_numpy(scaled(x, self.config.input_scaling, side, self._scaling)).to(self._device)

    @torch.no_grad()
    def _values(self, modality: str, x: np.ndarray) -> np.ndarray:
        logits = getattr(self.discriminator_, modality).logits
        parts = [logits(self._scaled(x[rows], modality)).cpu() for rows in slices(len(x), _AT_ONCE)]
        return torch.cat(parts).numpy()

    def _state(self) -> dict[str, np.ndarray]:
        return super()._state() | {f"scaling.{name}": value for name, value in self._scaling.items()}

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        random = generator(0)
        self.discriminator_, self.generator_ = self._player(random), self._player(random)
        one_each = (np.ones((1, width), np.float32) for width in (self.image_width_, self.text_width_))
        self._scaling = scaling_statistics(*one_each, self.config.input_scaling)
        self._load_state(state)
        self._scaling = {name: state[f"scaling.{name}"] for name in self._scaling}


def related_items(images: np.ndarray, texts: np.ndarray, config: UGACHConfig) -> csr_array:
    """For each training item q the items that stand for $x^M$: `graphs.correlation_graph` with a config's options."""
    k_image, k_text = config.k_image, config.k_text
    return correlation_graph(images, texts, k_image, k_text, metric_text=config.metric_text, symmetric=config.symmetric)


class Game(Schedule):
    r"""The two players over one training set. Epoch 0 pretrains the discriminator D, every other epoch is a round.

    The names are the note's: `q` are the codes h(q) of the queries, `x` those of the candidates, `x_m` and `x_g` the
    positions of $x^M$ and $x^G$ among these, `p` is $p_\theta(x \mid q)$, and `f` the score $f_\phi(x^G, q)$.
    images, texts: scaled inputs, shapes (n, d) and (n, t). random: every draw comes from it.
    """

    method = "UGACH"
    first = 0
    advice = "try a lower rate or another input_scaling"

    def __init__(self, hasher: UGACH, images: Tensor, texts: Tensor, random: torch.Generator) -> None:
        super().__init__(hasher, len(images), random)
        self.images, self.texts = images, texts
        c, d, g = self.config, hasher.discriminator_, hasher.generator_
        self.margin = c.margin_for(hasher.bits)
        self.pool = min(c.pool, self.n)
        self.dropout = Dropout(c.dropout, random)
        for name, net, rate in (("pretrain", d, c.lr_pretrain), ("d", d, c.lr_d), ("g", g, c.lr_g)):
            self.optimisers[name] = self._optimiser([{"params": list(net.parameters()), "lr": rate}])
        self.players = {"d": distributed.replicated(d), "g": distributed.replicated(g)}

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        """A round: D learns to tell related items from what G draws, then G learns by D's scores of its draws."""
        c, d_rows, g_rows = self.config, [], []
        if epoch == 0:  # pretraining: D learns to tell related items from uniform draws
            for _ in range(c.pretrain_steps):
                d_rows.append(self._d_step("pretrain", c.pretrain_positives, None))
                step(1)
            return {"epoch": 0, "stage": "pretraining", **means(d_rows)}
        with_generator = c.negatives == "generator"
        generator_codes = self._codes(self.hasher.generator_) if with_generator else None
        for _ in range(c.d_steps):
            d_rows.append(self._d_step("d", "graph", generator_codes))
            step(1)
        if with_generator:
            discriminator_codes = self._codes(self.hasher.discriminator_)
            for _ in range(c.g_steps):
                g_rows.append(self._g_step(discriminator_codes))
                step(1)
        return {"epoch": epoch, "stage": "game", **means(d_rows), **means(g_rows)}

    def _d_step(self, optimiser: str, positives: str, generator_codes: Codes | None) -> dict[str, Tensor]:
        r"""D descends on $f_\phi(x^G, q)$. generator_codes: what G draws the $x^G$ by; None draws them uniformly."""
        c, g = self.config, generator_codes
        items, related = self._draw_pool(positives)
        h = self._embed("d", self.dropout(self.images[items]), self.dropout(self.texts[items]))
        parts, active = [], 0.0
        for way in (0, 1):  # pictures ask for texts, then texts for pictures
            q, x = h[way], h[1 - way]
            p = torch.ones(related.shape, device=related.device)
            if g is not None:
                p = losses.generator_log_probability(g[way][items], g[1 - way][items], c.temperature).exp()
            x_g, usable = self._draw(p.masked_fill(related, 0), c.draws)
            x_m, _ = self._draw(related.float(), c.positives)
            distance = losses.squared_distance(q, x)
            to_x_m = distance.gather(1, x_m)[:, :, None]
            to_x_g = distance.gather(1, x_g)[:, None, :]
            f = losses.relevance_score(to_x_m, to_x_g, self.margin)  # (queries, positives, draws)
            f = f.where(usable[:, None, None], 0.0)  # where all candidates are related, there is nothing to tell apart
            counted = (usable.sum() * f[0].numel()).clamp_min(1)
            parts.append(f.sum() / counted)
            active = active + exact((f > 0).float().sum() / counted) / 2
        loss = sum(parts)
        self._step(optimiser, loss)
        return {"d_loss": exact(loss) / 2, "active": active}

    def _g_step(self, discriminator_codes: Codes) -> dict[str, Tensor]:
        r"""G descends on $-r(x^G) \log p_\theta(x^G \mid q)$. D's codes give $f_\phi$, and that the reward r."""
        c, d = self.config, discriminator_codes
        items, related = self._draw_pool("graph")
        h = self._embed("g", self.images[items], self.texts[items])
        parts, earned, entropy = [], 0.0, 0.0
        for way in (0, 1):
            q, x = h[way], h[1 - way]
            log_p = losses.generator_log_probability(q, x, c.temperature)
            p = log_p.detach().exp()
            x_g, _ = self._draw(p, c.draws)
            x_m, _ = self._draw(related.float(), 1)
            distance = losses.squared_distance(d[way][items], d[1 - way][items])
            f = losses.relevance_score(distance.gather(1, x_m), distance.gather(1, x_g), self.margin)
            reward = losses.generator_reward(f, c.reward)
            log_p_drawn = losses.draws_log_probability(log_p, x_g, c.log_p)
            parts.append(losses.policy_loss(log_p_drawn, reward, c.baseline))
            earned = earned + exact(reward.mean()) / 2
            entropy = entropy - exact((p * log_p).sum(1).mean()) / 2
        self._step("g", sum(parts))
        return {"reward": earned, "entropy": entropy}

    def _step(self, name: str, loss: Tensor) -> None:
        if self.config.weight_decay:
            weights = (p for group in self.optimisers[name].param_groups for p in group["params"] if p.ndim > 1)
            loss = loss + self.config.weight_decay * sum(w.square().sum() / 2 for w in weights)
        super()._step(name, loss)

    def _draw_pool(self, positives: str) -> tuple[Tensor, Tensor]:
        """A random pool of items, and which are related, (pool, pool). positives: by the "graph", or as a "pair"."""
        items = torch.randperm(self.n, generator=self.random)[: self.pool]
        rows, related = items.numpy(), np.eye(self.pool, dtype=bool)
        if positives == "graph":
            related = self.hasher.positives_[rows][:, rows].toarray()
        return to_device(items, self.images.device), to_device(torch.from_numpy(related), self.images.device)

    def _draw(self, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Positions drawn with replacement by each row's weights, (n, count), and which rows have any weight, (n,)."""
        usable = weights.sum(1) > 0
        weights = torch.where(usable[:, None], weights, torch.ones_like(weights))
        return draws.multinomial(weights, count, self.random), usable

    def _embed(self, player: str, images: Tensor, texts: Tensor) -> Codes:
        """A pool's codes by "d" or "g"."""
        return self._whole(len(images), self.players[player], distributed.mine(images), distributed.mine(texts))

    @torch.no_grad()
    def _codes(self, net: CrossModalNetwork) -> Codes:
        """The codes of the whole training set: a frozen player embeds it once a round."""
        parts = [net(self.images[rows], self.texts[rows]) for rows in slices(self.n, _AT_ONCE)]
        return tuple(torch.cat(side) for side in zip(*parts, strict=True))

    @property
    def networks(self) -> nn.ModuleDict:
        return self.hasher._network

    @property
    def epochs(self) -> int:
        return 1 + self.config.rounds

    def _steps(self, epochs: int) -> int:
        a_round = self.config.d_steps + self.config.g_steps
        return self.config.pretrain_steps + (epochs - 1) * a_round if epochs else 0
