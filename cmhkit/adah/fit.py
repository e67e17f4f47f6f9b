"""ADAH's loop: a batch at a time, E and D descend on all six terms, and G ascends on the two adversarial ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from cmhkit.adah import losses, model
from cmhkit.adah.config import PRESETS
from cmhkit.adah.model import Codes, Mask, spread_masks
from cmhkit.data.field.weights import load_weights
from cmhkit.hasher import NetworkHasher
from cmhkit.nn.backbones import VGG19
from cmhkit.nn.binarize import mask_entropy
from cmhkit.nn.triplet import sides
from cmhkit.support import precision
from cmhkit.support.checks import check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, to_device
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run

# Items that are encoded at once.
_CHUNK = 128


class DeadHingeWarning(UserWarning):
    """Unattended codes are separated by the whole margin: the attention module receives no gradient."""


class ADAH(NetworkHasher):
    """Attention-aware deep adversarial hashing: labels say who is similar, codes come from attended features only.

    Options: `cmhkit.adah.ADAHConfig`. Fitted state besides `CrossModalHasher`'s: `network_`.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS
    image_kind: ClassVar[str] = "map"

    @precision.own_settings()
    def masks(self, images: Any = None, texts: Any = None) -> Mask:
        """The attention masks of pictures or of texts, on the CPU; of pictures in the shape (n, H·W), row by row.

        images, texts: as for `encode`. Errors: `InputError` for a hasher without attention.
        """
        attends = self.config.attention != "none"
        check(attends, "ADAH: expected a hasher with attention, got attention='none'")
        parts = self._parts(images, texts)
        masks = [m for modality, x in parts for m in self._computed(x, _CHUNK, partial(self.network_.mask, modality))]
        return Mask(torch.cat([m.probability.cpu() for m in masks]), torch.cat([m.mask.cpu() for m in masks]))

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        self._check_supervised(labels)
        random = generator(self.seed)
        self._device = resolve_device(self.device)
        self.network_ = placed(self._built(texts.shape[1], random, load=True), self._device)
        Alternation(self, images, texts, labels, random).run(run)

    def _built(self, text_width: int, random: Generator, *, load: bool = False) -> model.AttentionNetwork:
        """The network before training. load: whether to read VGG-19's weights, or to say that there are none."""
        c = self.config
        e_image: nn.Module = model.SceneFeatures()
        if c.backbone == "scenenet":
            d_image: nn.Module = model.SceneHead(self.bits, c.readout, c.image_hidden, c.dropout, random)
        else:
            vgg = VGG19(side=c.side, generator=random)
            if load:
                load_weights(vgg, c.weights)
            e_image, d_image = model.VGGFeatures(vgg), model.VGGHead(vgg, self.bits, random)
        e_text = model.TextFeatures(text_width, c.text_hidden, c.text_width, c.dropout, random)
        g_image = g_text = None
        if c.attention != "none":
            spread = c.mask_spread if c.mask_scaling == "standard" else None
            g_image = model.ImageAttention(e_image.channels, None, random, spread)
            g_text = model.TextAttention(c.text_width, None, random, spread)
        d_text = model.TextHead(c.text_width, self.bits, random)
        return model.AttentionNetwork(e_image, e_text, g_image, g_text, d_image, d_text)

    def _values(self, modality: str, x: np.ndarray) -> np.ndarray:
        return torch.cat(self._computed(x, _CHUNK, partial(self.network_.values, modality))).cpu().numpy()

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        self.network_ = self._built(self.text_width_, generator(0))
        self._load_state(state)


class Alternation(Schedule):
    """The two players over one training set: "d", who is E and D, and "g".

    images: maps, shape (n, C, H, W), or pictures. texts: shape (n, t). labels: shape (n, c). random: deals all draws.
    """

    method = "ADAH"

    def __init__(
        self, hasher: ADAH, images: np.ndarray, texts: np.ndarray, labels: np.ndarray, random: Generator
    ) -> None:
        super().__init__(hasher, len(texts), random)
        c, net = self.config, hasher.network_
        self.network = net
        self.images = torch.from_numpy(np.ascontiguousarray(images))  # maps of 16 bits until a batch is drawn
        self.texts = torch.from_numpy(texts)
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self.batch = min(c.batch, self.n)
        self.margin = c.margin_for(hasher.bits)
        self.hinge = {"distance": c.distance, "reduction": c.reduction, "own": c.own}
        e_and_d = self._by_rate(net.other_parameters(), c.lr, set(net.backbone_parameters()))
        self.optimisers["d"] = self._optimiser(e_and_d)
        if c.attention != "none":
            rates = ((net.image_attention, c.lr_g), (net.text_attention, c.lr_g_text))
            self.optimisers["g"] = self._optimiser([{"params": list(g.parameters()), "lr": rate} for g, rate in rates])
            self._spread()
        #: The network as each player's steps call it: with several processes, a copy that knows whom to train.
        self.players: dict[str, nn.Module] = {}
        for player in self.optimisers:
            self._train_only(player)
            self.players[player] = distributed.replicated(net)

    def _steps(self, epochs: int) -> int:
        return epochs * -(-self.n // self.batch)

    def _epoch(self, epoch: int, step: Callable[[int], Any]) -> dict[str, Any]:
        """The game of one epoch: on each batch a step of E and D, and after every `d_steps` of them G's `g_steps`."""
        c = self.config
        d_rows: list[dict[str, Tensor]] = []
        g_rows: list[dict[str, Tensor]] = []
        skipped = 0
        self._set_rates(epoch)
        order = torch.randperm(self.n, generator=self.random)
        for number, items in enumerate(order.split(self.batch), start=1):
            step(1)
            if not _has_triplets(self._similar(items), c.own):
                skipped += 1
                continue
            images, texts, similar = self._batch(items)
            with self.network.once(images):
                d_rows.append(self._d_step(images, texts, similar))
                if c.attention == "adversarial" and number % c.d_steps == 0:
                    g_rows += [self._g_step(images, texts, similar) for _ in range(c.g_steps)]
        none = f"in none of {skipped} batches of {self.batch} does an item have both; similar items share a label"
        check(d_rows, f"data: expected similar and dissimilar pairs, but {none}")
        return {"epoch": epoch, **means(d_rows), **means(g_rows), "skipped_batches": skipped}

    def _d_step(self, images: Tensor, texts: Tensor, similar: Tensor) -> dict[str, Tensor]:
        r"""Step 1: E and D descend on all six terms; G stays as it is.

        $$\min_{E, D}\; \mathcal{F}_{T \to I} + \mathcal{F}_{I \to T} + \mathcal{F}_{I \to I} + \mathcal{F}_{T \to T}
          + \mathcal{F}_{T \to \hat I} + \mathcal{F}_{I \to \hat T}$$
        """
        h = self._codes("d", images, texts, similar)
        retrieval = losses.retrieval_terms(h.image, h.text, similar, self.margin, **self.hinge)
        adversarial = [] if h.image_mask is None else self._adversarial(h, similar)
        self._step("d", losses.total([*retrieval, *adversarial]))
        return _row(retrieval, adversarial, h)

    def _g_step(self, images: Tensor, texts: Tensor, similar: Tensor) -> dict[str, Tensor]:
        r"""Step 2: G ascends on the two adversarial terms; E and D stay as they are.

        $$\max_{G}\; \mathcal{F}_{T \to \hat I} + \mathcal{F}_{I \to \hat T}$$
        """
        h = self._codes("g", images, texts, similar)
        if self.config.game_query == "given":
            h = replace(h, image=h.image.detach(), text=h.text.detach())
        game = losses.total(self._adversarial(h, similar))
        self._step("g", -game)
        return {"game_loss": exact(game)}

    def _adversarial(self, h: Codes, similar: Tensor) -> list[Any]:
        return losses.adversarial_terms(
            h.image, h.text, h.image_unattended, h.text_unattended, similar, self.margin, **self.hinge
        )

    def _codes(self, player: str, images: Tensor, texts: Tensor, similar: Tensor) -> Codes:
        """H of a batch for a step of one player, whom alone its gradient reaches."""
        self._train_only(player)
        return self._whole(len(similar), self.players[player], images, texts)

    def _train_only(self, player: str) -> None:
        """Let gradients reach one of the two players only. Dropout is part of E's and D's training, not of G's."""
        self.network.train(player == "d")
        for parameters, owner in ((self.network.other_parameters(), "d"), (self.network.attention_parameters(), "g")):
            for p in parameters:
                p.requires_grad_(player == owner)

    def _similar(self, items: Tensor) -> Tensor:
        """S: which items of a batch share a label, bool, on the CPU."""
        labels = self.labels[items]
        return labels @ labels.T > 0

    def _batch(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch on the device: images and texts, this process's part of them, and S of the whole batch."""
        device, part = self.hasher._device, distributed.mine(items)
        images = to_device(self.images[part], device)
        images = images.float() if images.is_floating_point() else images
        return images, to_device(self.texts[part], device), to_device(self._similar(items), device)

    @torch.no_grad()
    def _spread(self) -> None:
        """Scale G by the features of some items, before the first step."""
        items = torch.randperm(self.n, generator=self.random)[: 2 * self.batch]
        self.network.eval()
        images, texts, _ = self._batch(items)
        for modality, x in (("image", images), ("text", texts)):
            features, attention, _ = self.network.parts(modality)
            spread_masks(attention, distributed.gathered(features(x), len(items)), self.config.mask_spread)

    def _look_at(self, row: dict[str, Any], last: bool) -> None:
        if row.get("adversarial_active") == 0 and self.config.attention == "adversarial":
            dead = f"ADAH: the adversarial hinge is dead in epoch {row['epoch']}: no triplet of it is active"
            message = f"{dead}, so the attention module learns nothing; try a larger margin"
            warnings.warn(message, DeadHingeWarning, stacklevel=2)


def _row(retrieval: list[Any], adversarial: list[Any], h: Codes) -> dict[str, Tensor]:
    """What the history has of a step of E and D, left on the device."""
    row = {"retrieval_loss": exact(losses.total(retrieval)), "active": _active_share(retrieval)}
    if adversarial:
        row |= {"adversarial_loss": exact(losses.total(adversarial)), "adversarial_active": _active_share(adversarial)}
    for modality, mask in (("image", h.image_mask), ("text", h.text_mask)):
        if mask is not None:
            row[f"{modality}_mask_area"] = exact(mask.mask.mean())
            row[f"{modality}_mask_entropy"] = exact(mask_entropy(mask.probability.detach()).mean())
    return row


def _active_share(terms: list[Any]) -> Tensor:
    """`losses.active_share`, left on the device."""
    return sum(exact(term.active) for term in terms) / sum(exact(term.triplets) for term in terms)


def _has_triplets(similar: Tensor, own: bool) -> bool:
    """Whether some item of a batch has both a similar and a dissimilar one."""
    near, far = sides(similar, own)
    return bool((near.any(1) & far.any(1)).any())
