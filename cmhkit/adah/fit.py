"""ADAH's schedule: batches on which E and D descend on all six terms, and after some of them G ascends on the two
adversarial ones.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.adah import losses
from cmhkit.adah.config import PRESETS
from cmhkit.adah.model import (
    AttentionNetwork,
    Codes,
    ImageAttention,
    Mask,
    SceneFeatures,
    SceneHead,
    TextAttention,
    TextFeatures,
    TextHead,
    VGGFeatures,
    VGGHead,
    spread_masks,
)
from cmhkit.data.field.weights import load_weights
from cmhkit.data.pairs import checked_images
from cmhkit.hasher import CrossModalHasher, check_arrays
from cmhkit.nn.backbones import VGG19
from cmhkit.nn.binarize import mask_entropy
from cmhkit.support.checks import InputError, check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, sent
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run

# Items that are encoded at once.
_CHUNK = 128


class ADAH(CrossModalHasher):
    """Attention-aware deep adversarial hashing. Labels say which pairs of items are similar. The codes come from
    attended features only.

    Options: `cmhkit.adah.ADAHConfig`. Fitted state besides `CrossModalHasher`'s: `network_`.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS
    image_kind: ClassVar[str] = "map"

    def masks(self, images: Any = None, texts: Any = None) -> Mask:
        """The attention masks of pictures or of texts, with their probabilities.

        images, texts: as `encode` reads them; give one of both. Returns `Mask`, on the CPU: for pictures of shape (n,
        H·W), row by row. Errors: `InputError` for a hasher without attention.
        """
        check((images is None) != (texts is None), "images, texts: expected exactly one of them")
        self._check_encodes()
        check(self.config.attention != "none", "ADAH: expected a hasher with attention, got attention='none'")
        name = "text" if images is None else "image"
        x = self._text_input(texts) if images is None else self._image_input(getattr(images, "images", images), False)
        found = self._by_chunks(x, lambda part: self.network_.mask(name, part))
        return Mask(torch.cat([m.probability.cpu() for m in found]), torch.cat([m.mask.cpu() for m in found]))

    def _image_input(self, images: np.ndarray, show_progress: bool) -> np.ndarray:
        if self.config.backbone == "scenenet":
            return super()._image_input(images, show_progress)
        images = checked_images(images)
        check(
            images.ndim == 4,
            f"images: expected pictures (n, H, W, 3), since VGG-19 reads them, got shape {images.shape}",
        )
        return images

    def _remember_images(self, images: np.ndarray, show_progress: bool) -> None:
        if self.config.backbone == "scenenet":
            super()._remember_images(images, show_progress)

    def _told_input(self) -> str:
        return super()._told_input() if self.config.backbone == "scenenet" else "pictures go through VGG-19."

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        check(labels is not None, "data: expected labels, since ADAH is supervised, got none")
        check(len(images) >= 2, f"data: expected at least 2 training pairs, got {len(images)}")
        random = generator(self.seed)
        self._device = resolve_device(self.device)
        self.network_ = placed(self._built(texts.shape[1], random, self.config.weights, warn=True), self._device)
        Alternation(self, images, texts, labels, random).run(run)

    def _built(self, text_width: int, random: torch.Generator, weights: str | None, *, warn: bool) -> AttentionNetwork:
        c = self.config
        image_features: nn.Module
        image_head: nn.Module
        if c.backbone == "scenenet":
            image_features, image_head = (
                SceneFeatures(),
                SceneHead(self.bits, c.readout, c.image_hidden, c.dropout, random),
            )
        else:
            vgg = VGG19(side=c.side, generator=random)
            if weights is not None or warn:
                load_weights(vgg, weights)
            image_features = VGGFeatures(vgg, c.image_map == "pool5")
            image_head = VGGHead(vgg, self.bits, random)
        attends = c.attention != "none"
        spread = c.mask_spread if c.mask_scaling == "standard" else None
        return AttentionNetwork(
            image_features,
            TextFeatures(text_width, c.text_hidden, c.text_width, c.dropout, random),
            ImageAttention(image_features.channels, None, random, spread) if attends else None,
            TextAttention(c.text_width, None, random, spread) if attends else None,
            image_head,
            TextHead(c.text_width, self.bits, random),
        )

    @torch.no_grad()
    def _by_chunks(self, x: np.ndarray, what: Any) -> list[Any]:
        self.network_.eval()
        return [what(torch.from_numpy(np.array(x[i : i + _CHUNK])).to(self._device)) for i in range(0, len(x), _CHUNK)]

    def _image_values(self, images: np.ndarray) -> np.ndarray:
        return torch.cat(self._by_chunks(images, lambda part: self.network_.values("image", part))).cpu().numpy()

    def _text_values(self, texts: np.ndarray) -> np.ndarray:
        return torch.cat(self._by_chunks(texts, lambda part: self.network_.values("text", part))).cpu().numpy()

    def _state(self) -> dict[str, np.ndarray]:
        return {name: value.cpu().numpy() for name, value in self.network_.state_dict().items()}

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        self._device = resolve_device(self.device)
        self.network_ = self._built(self.text_width_, generator(0), None, warn=False)
        check_arrays(state, self._state())
        self.network_.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        placed(self.network_, self._device)


class Alternation(Schedule):
    """The two steps over one training set.

    images: maps, shape (n, C, H, W), or pictures. texts: shape (n, t). labels: shape (n, c). random: every draw comes
    from it.
    """

    method = "ADAH"

    def __init__(
        self, hasher: ADAH, images: np.ndarray, texts: np.ndarray, labels: np.ndarray, random: torch.Generator
    ) -> None:
        super().__init__(hasher, len(texts), random)
        self.network = hasher.network_
        self.images = torch.from_numpy(np.ascontiguousarray(images))  # maps of 16 bits until a batch is drawn
        self.texts = torch.from_numpy(texts)
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self.margin = self.config.margin_for(hasher.bits)
        self.batch = min(self.config.batch, self.n)
        self.options = {"distance": self.config.distance, "reduction": self.config.reduction, "own": self.config.own}
        self.adversarial = self.config.attention != "none"
        self._attention = set(self.network.attention_parameters())
        self.optimisers = {"d": self._optimiser(self._other_groups())}
        if self.adversarial:
            pairs = (
                (self.network.image_attention, self.config.lr_g),
                (self.network.text_attention, self.config.lr_g_text),
            )
            self.optimisers["g"] = self._optimiser([{"params": list(g.parameters()), "lr": rate} for g, rate in pairs])
            self._spread()
        self.players = self._players()

    def _steps(self, epochs: int) -> int:
        return epochs * -(-self.n // self.batch)

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        config = self.config
        self._set_rates(epoch)
        order = torch.randperm(self.n, generator=self.random)
        rows: list[dict[str, Tensor]] = []
        game: list[dict[str, Tensor]] = []
        skipped = 0
        for number, items in enumerate(order.split(self.batch)):
            step(1)
            if not _has_triplets(self._similar(items), config.own):
                skipped += 1
                continue
            batch = self._taken(items)
            with self.network.once(batch[0]):
                rows.append(self._d_step(*batch))
                if config.attention == "adversarial" and (number + 1) % config.d_steps == 0:
                    game += [self._g_step(*batch) for _ in range(config.g_steps)]
        if not rows:
            raise InputError(
                f"data: expected similar and dissimilar pairs, but in none of {skipped} batches of {self.batch} does an item have both; "
                "similar items share a label"
            )
        return {"epoch": epoch, **means(rows), **means(game), "skipped_batches": skipped}

    def _d_step(self, images: Tensor, texts: Tensor, similar: Tensor) -> dict[str, Tensor]:
        """E and D descend on all six terms; G stays as it is."""
        self._train_only(attention=False)
        codes = self._codes("d", images, texts, similar)
        retrieval = losses.retrieval_terms(codes.image, codes.text, similar, self.margin, **self.options)
        adversarial = self._adversarial(codes, similar) if self.adversarial else []
        loss = losses.total([*retrieval, *adversarial])
        self._step("d", loss)
        row = {"retrieval_loss": exact(losses.total(retrieval)), "active": _active_share(retrieval)}
        if adversarial:
            row |= {
                "adversarial_loss": exact(losses.total(adversarial)),
                "adversarial_active": _active_share(adversarial),
            }
            for name in ("image", "text"):
                mask = getattr(codes, f"{name}_mask")
                row[f"{name}_mask_area"] = exact(mask.mask.mean())
                row[f"{name}_mask_entropy"] = exact(mask_entropy(mask.probability.detach()).mean())
        return row

    def _g_step(self, images: Tensor, texts: Tensor, similar: Tensor) -> dict[str, Tensor]:
        """G ascends on the two adversarial terms; E and D stay as they are."""
        self._train_only(attention=True)
        codes = self._codes("g", images, texts, similar)
        if self.config.game_query == "given":
            codes = replace(codes, image=codes.image.detach(), text=codes.text.detach())
        terms = self._adversarial(codes, similar)
        loss = losses.total(terms)
        self._step("g", -loss)
        return {"game_loss": exact(loss)}

    def _codes(self, player: str, images: Tensor, texts: Tensor, similar: Tensor) -> Codes:
        """The codes of a batch for a step of "d" (E and D) or "g". With several processes this one computes its part,
        and gathers the rest.
        """
        with distributed.part_of(len(similar)):
            found = self.players[player](images, texts)
        return distributed.gathered(found, len(similar))

    def _adversarial(self, codes: Codes, similar: Tensor) -> list[Any]:
        return losses.adversarial_terms(
            codes.image, codes.text, codes.image_unattended, codes.text_unattended, similar, self.margin, **self.options
        )

    def _players(self) -> dict[str, nn.Module]:
        """The network as each player's steps call it."""
        found = {}
        for name in self.optimisers if distributed.size() > 1 else ():
            for p in self._trained:
                p.requires_grad_((p in self._attention) == (name == "g"))
            found[name] = distributed.replicated(self.network)
        return found or dict.fromkeys(("d", "g"), self.network)

    def _train_only(self, *, attention: bool) -> None:
        """Let gradients reach one of the two players only. Dropout is part of E's and D's training, not of G's."""
        self.network.train(not attention)
        for p in self._trained:
            p.requires_grad_((p in self._attention) == attention)

    def _similar(self, items: Tensor) -> Tensor:
        """Which items of a batch share a label, bool, on the CPU."""
        labels = self.labels[items]
        return labels @ labels.T > 0

    def _taken(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch on the device: images and texts, this process's part of them, and which items of the whole batch
        share a label, bool.
        """
        device, part = self.hasher._device, distributed.mine(items)
        images = sent(self.images[part], device)
        images = images.float() if images.is_floating_point() else images
        return images, sent(self.texts[part], device), sent(self._similar(items), device)

    @torch.no_grad()
    def _spread(self) -> None:
        items = torch.randperm(self.n, generator=self.random)[: 2 * self.batch]
        self.network.eval()
        images, texts, _ = self._taken(items)
        for name, x in (("image", images), ("text", texts)):
            features = distributed.gathered(getattr(self.network, f"{name}_features")(x), len(items))
            spread_masks(getattr(self.network, f"{name}_attention"), features, self.config.mask_spread)

    def _other_groups(self) -> list[dict[str, Any]]:
        """E's and D's parameters by rate. Sets `_trained`, all parameters that any step trains."""
        self._trained = list(self.network.parameters())
        parts = [m.convolutions for m in self.network.modules() if isinstance(m, VGGFeatures)]
        parts += [m.fully_connected for m in self.network.modules() if isinstance(m, VGGHead)]
        backbone = {p for part in parts for p in part.parameters()}
        return self._by_rate(self.network.other_parameters(), self.config.lr, backbone)

    def _look_at(self, row: dict[str, Any], last: bool) -> None:
        if row.get("adversarial_active") == 0 and self.config.attention == "adversarial":
            warnings.warn(
                f"ADAH: the adversarial hinge is dead in epoch {row['epoch']}: no triplet of it is active, so the attention module learns "
                "nothing; try a larger margin",
                DeadHingeWarning,
                stacklevel=2,
            )


class DeadHingeWarning(UserWarning):
    """Unattended codes are separated by the whole margin: the attention module receives no gradient."""


def _active_share(terms: list[Any]) -> Tensor:
    """`losses.active_share`, left on the device."""
    return sum(exact(term.active) for term in terms) / sum(exact(term.triplets) for term in terms)


def _has_triplets(similar: Tensor, own: bool) -> bool:
    """Whether some item of a batch has both a similar and a dissimilar one."""
    near, far = similar.clone(), ~similar
    if not own:
        for x in (near, far):
            x.fill_diagonal_(False)
    return bool((near.any(1) & far.any(1)).any())
