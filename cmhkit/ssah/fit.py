"""SSAH's training: in every epoch LabNet learns, then the discriminators, then ImgNet, then TxtNet.

A batch of one network meets a bank: LabNet's features and codes of the whole training set. LabNet's rows of the bank
are renewed as its batches are seen. It stands still while ImgNet and TxtNet learn, so that their sums over a batch and
the bank are their share of the whole sum.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit import codes
from cmhkit.data.field.weights import load_weights
from cmhkit.data.inputs import scaled
from cmhkit.data.pairs import Split, checked_labels
from cmhkit.hasher import NetworkHasher
from cmhkit.nn.pairwise import LabelSimilarity
from cmhkit.ssah import losses
from cmhkit.ssah.config import PRESETS
from cmhkit.ssah.model import BACKBONES, Fc7, Outputs, network_for
from cmhkit.support import precision
from cmhkit.support.checks import check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, to_device
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run

_NETWORKS = {"label": "LabNet", "image": "ImgNet", "text": "TxtNet"}
# Items that are encoded at once, by the axes of their array: vectors, pictures.
_AT_ONCE = {2: 1024, 4: 64}


class UnlabelledWarning(UserWarning):
    """Some training pairs have no label: they are similar to nothing, not even to themselves."""


class SSAH(NetworkHasher):
    """Self-supervised adversarial hashing. A network that reads the labels, LabNet, supervises one for pictures and one
    for texts.

    Options: `cmhkit.ssah.SSAHConfig`. Fitted state besides `CrossModalHasher`'s: `network_`, a `model.SSAHNetwork`;
    `shared_code_`, B of the training pairs, packed, uint8, shape (n, bits // 8), from the codes as each was last seen
    in training; `unlabelled_`, how many training pairs have no label.

    Where a method takes images, texts and labels, give one of the three: images and texts as `CrossModalHasher.encode`
    reads them; labels as 0/1, shape (n, c), or as a `Split`, for LabNet, which no query has in earnest, and which is
    the ceiling of the other two.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS

    def encode(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """Packed codes, uint8, shape (n, bits // 8)."""
        return codes.pack(codes.sign(self.values(images=images, texts=texts, labels=labels)))

    def values(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The real values behind the codes, before tanh, float32, shape (n, bits); the sign of each is the bit."""
        return self._outputs("logits", images, texts, labels)

    def features(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The semantic features F, float32, at least 0, shape (n, width)."""
        return self._outputs("features", images, texts, labels)

    def label_scores(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The label head's output, from 0 to 1, float32, shape (n, c)."""
        return self._outputs("labels", images, texts, labels)

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        used = slice(None) if labels is None else self._used(labels)
        images, texts, labels = images[used], texts[used], None if labels is None else labels[used]
        self._check_supervised(labels)
        random = generator(self.seed)
        self._device = resolve_device(self.device)
        widths = images.shape[1] if images.ndim == 2 else None, texts.shape[1], labels.shape[1]
        network = network_for(self.config, self.bits, *widths, random)
        if self.config.backbone in BACKBONES:
            load_weights(network.image.front.network, self.config.weights)
        self.network_ = placed(network, self._device)
        supervision = Supervision(self, images, texts, labels, random)
        supervision.run(run)
        self.shared_code_ = supervision.shared_code()

    def _used(self, labels: np.ndarray) -> np.ndarray | slice:
        """Which training pairs are used. Sets `unlabelled_`."""
        bare, drop = ~labels.any(axis=1), self.config.unlabelled == "drop"
        self.unlabelled_ = int(bare.sum())
        if self.unlabelled_:
            number = f"{self.unlabelled_} of {len(bare)} training pairs have no label"
            fate = "left out" if drop else "kept, and similar to nothing; unlabelled='drop' leaves them out"
            message = f"SSAH: {number}, the first at position {int(bare.argmax())}; they are {fate}"
            warnings.warn(message, UnlabelledWarning, stacklevel=4)
        return ~bare if drop and self.unlabelled_ else slice(None)

    @precision.own_settings()
    def _outputs(self, output: str, images: Any, texts: Any, labels: Any) -> np.ndarray:
        """One of a network's `Outputs`, by its name, for images, texts or labels."""
        given = sum(x is not None for x in (images, texts, labels))
        check(given == 1, f"images, texts, labels: expected exactly one of them, got {given}")
        self._check_encodes()
        results = []
        for name, x in self._parts(images, texts) if labels is None else [("label", self._label_input(labels))]:
            net, x = getattr(self.network_, name), x if name == "label" else self._scaled(x)
            results += self._computed(x, _AT_ONCE[x.ndim], lambda part, net=net: getattr(net(part), output).cpu())
        return torch.cat(results).numpy()

    def _label_input(self, labels: Any) -> np.ndarray:
        check(self.network_.label is not None, "labels: expected a hasher with LabNet, got supervision='each-other'")
        if isinstance(labels, Split):
            check(labels.labels is not None, "labels: expected a split with labels, got none")
            labels = labels.labels
        x, width = checked_labels(labels), self.network_.label.labelling.out_features
        check(x.shape[1] == width, f"labels: expected rows of {width} labels, as in training, got {x.shape[1]}")
        return x.astype(np.float32)

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return scaled(x, self.config.input_scaling)

    def _state(self) -> dict[str, np.ndarray]:
        return super()._state() | {"shared_code": self.shared_code_, "unlabelled": np.array([self.unlabelled_])}

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        for name in ("image.labelling.bias", "shared_code"):
            good = name in state and state[name].ndim > 0
            check(good, f"expected an array {name!r} with a row a label or a pair, got {state.get(name)}")
        widths = self.image_width_, self.text_width_, len(state["image.labelling.bias"])
        self.network_ = network_for(self.config, self.bits, *widths, generator(0))
        self.shared_code_, self.unlabelled_ = np.empty((len(state["shared_code"]), self.bits // 8), np.uint8), 0
        self._load_state(state)
        self.shared_code_, self.unlabelled_ = state["shared_code"], int(state["unlabelled"][0])


class Supervision(Schedule):
    """LabNet's supervision of ImgNet and TxtNet, over one training set.

    images: vectors, shape (n, d), or pictures. texts: shape (n, t). labels: 0/1, shape (n, c). random: deals all draws.
    """

    method = "SSAH"

    def __init__(
        self, hasher: SSAH, images: np.ndarray, texts: np.ndarray, labels: np.ndarray, random: torch.Generator
    ) -> None:
        super().__init__(hasher, len(texts), random)
        c, self.network, self.device = self.config, hasher.network_, hasher._device
        labels = labels.astype(np.float32)
        self.inputs = {"label": labels, "image": hasher._scaled(images), "text": hasher._scaled(texts)}
        self.labels = torch.from_numpy(labels).to(self.device)
        self.batch = min(c.batch, self.n)
        #: Whose features and codes supervise a network.
        self.teacher = {"label": "label", "image": "label", "text": "label"}
        if c.supervision == "each-other":
            self.teacher = {"image": "text", "text": "image"}
        both = {"image": self.network.image_discriminator, "text": self.network.text_discriminator}
        self.discriminators = both if c.adversarial != "none" else {}
        #: Who learns in an epoch, one after the other, each in a pass over the training set.
        passes = {"label": c.label_passes, "discriminators": 1, "image": 1, "text": 1}
        learning = {*self.teacher, *(["discriminators"] if self.discriminators else [])}
        self.stages = [name for name in passes if name in learning for _ in range(passes[name])]
        share = LabelSimilarity(self.labels, self.labels).share()
        expected = "data: expected similar and dissimilar pairs, but"
        check(share < 1, f"{expected} every two training pairs share a label")
        check(share > 0, f"{expected} no training pair has a label")
        weights = (0.5 / share, 0.5 / (1 - share)) if c.pair_weights == "balanced" else (1.0, 1.0)
        self.pairs = {"kind": c.pair_loss, "reduction": c.reduction, "weights": weights}
        self.players: dict[str, nn.Module] = {}
        for name in self.teacher:
            net: nn.Module = getattr(self.network, name)
            backbone = set(net.front.parameters()) if isinstance(net.front, Fc7) else set()
            groups = self._by_rate(list(net.parameters()), getattr(c, f"lr_{name}"), backbone)
            self.optimisers[name] = self._optimiser(groups)
            self._train_only(name)
            self.players[name] = distributed.replicated(net)
        for name, net in self.discriminators.items():
            groups = [{"params": list(net.parameters()), "lr": c.lr_discriminator}]
            self.optimisers[f"d_{name}"] = self._optimiser(groups)
        #: Which semantic features were above 0 for some pair of this pass.
        self.alive = torch.zeros(c.width, dtype=torch.bool, device=self.device)
        self._fill_banks()

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        """LabNet learns from the labels, the discriminators to tell its features from a modality's, and ImgNet and
        TxtNet from LabNet, while they deceive the discriminators.
        """
        row: dict[str, Any] = {"epoch": epoch}
        self._set_rates(epoch)
        for name in self.stages:
            self._train_only(name)
            self.alive.zero_()
            rows = []
            for items in torch.randperm(self.n, generator=self.random).split(self.batch):
                game = name == "discriminators"
                rows.append(self._discriminators_step(items) if game else self._network_step(name, items))
                step(1)
            row |= means(rows)
            if name in self.teacher:
                distinct = len(np.unique(_packed(self.codes[name]), axis=0))
                row |= {f"{name}_dead": 1 - self.alive.float().mean().item(), f"{name}_distinct": float(distinct)}
        fusion = self.network.text.front
        scales = zip(fusion.pools, fusion.scales().tolist(), strict=True) if fusion is not None else ()
        return row | {f"text_scale_{p}": w for p, w in scales}

    def _network_step(self, name: str, items: Tensor) -> dict[str, Tensor]:
        """A step of LabNet, ImgNet or TxtNet; the others and the discriminators stand still. Returns its terms."""
        outputs = self._outputs(self.players[name], name, items)
        self._renew_bank(name, items, outputs)
        self.alive |= (outputs.features > 0).any(0)
        terms = self.terms(name, items, outputs)
        loss = self.weighted(terms)
        self._step(name, loss)
        if self.config.adversarial == "detached" and name in self.discriminators:
            # What is fed through a placeholder: the network is not reached, and the discriminator descends on the
            # flipped target.
            terms["adversarial"] = self._adversarial(name, outputs.features.detach())
            self._step(f"d_{name}", self.config.adversarial_weight * terms["adversarial"])
        return {f"{name}_{term}": exact(value) for term, value in (terms | {"loss": loss}).items()}

    def terms(self, name: str, items: Tensor, outputs: Outputs) -> dict[str, Tensor]:
        """The terms of one network's loss on a batch, scalars by name: j1 to j4, and "adversarial" where it reaches the
        network.

        name: "label", "image" or "text". items: positions of the batch in the training set, whose codes in the bank are
        those of `outputs`.
        """
        c, h, teacher, here = self.config, outputs.codes, self.teacher[name], to_device(items, self.device)
        labels, met = self.labels[here], self._met()
        similar = LabelSimilarity(labels, self.labels[met], c.similarity).kept()
        relaxed = [bank[here] for bank in self.codes.values()] if c.binary == "shared" else [h.detach()]
        terms = {
            "j1": losses.feature_likelihood(outputs.features, self.features[teacher][met], similar, **self.pairs),
            "j2": losses.code_likelihood(h, self.codes[teacher][met], similar, **self.pairs),
            "j3": losses.quantisation_loss(h, losses.shared_code(*relaxed), reduction=c.reduction),
            "j4": losses.label_loss(outputs.labels, labels, reduction=c.reduction),
        }
        if c.reduction == "sum" and c.bank:
            terms |= {term: terms[term] * (self.n / c.bank) for term in ("j1", "j2")}
        if c.adversarial == "flows":
            if name in self.discriminators:
                terms["adversarial"] = self._adversarial(name, outputs.features)
            elif c.adversarial_labnet:
                both = [self._adversarial(modality, outputs.features, own=1.0) for modality in self.discriminators]
                terms["adversarial"] = sum(both)
        return terms

    def _met(self) -> Tensor | slice:
        """Which pairs of the bank a batch meets: all, or so many draws with replacement, whose mean is that of all."""
        if not self.config.bank:
            return slice(None)
        return to_device(torch.randint(self.n, (self.config.bank,), generator=self.random), self.device)

    def weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """The loss that a network descends on."""
        c = self.config
        weights = {"j1": c.alpha, "j2": c.gamma, "j3": c.eta, "j4": c.beta, "adversarial": c.adversarial_weight}
        return sum(weights[name] * term for name, term in terms.items())

    def _adversarial(self, modality: str, features: Tensor, own: float = 0.0) -> Tensor:
        """How badly features deceive the discriminator of images or texts, which should rate them `own`."""
        c, logits = self.config, self.discriminators[modality](features)
        game = {"target": c.adversarial_target, "kind": c.adversarial_loss, "reduction": c.reduction}
        return losses.adversarial_term(logits, own=own, **game)

    def _discriminators_step(self, items: Tensor) -> dict[str, Tensor]:
        """A step of each discriminator, LabNet's features of the items against a modality's; the networks stand still.

        It is small: with several processes each computes it for the whole batch.
        """
        c, row = self.config, {}
        for name, discriminator in self.discriminators.items():
            with torch.no_grad():
                features = self._outputs(getattr(self.network, name).features, name, items)
            on_label = discriminator(self.features["label"][to_device(items, self.device)])
            on_modality = discriminator(features)
            game = {"kind": c.adversarial_loss, "reduction": c.reduction}
            loss = losses.discriminator_loss(on_label, on_modality, **game)
            self._step(f"d_{name}", loss)
            row |= {
                f"d_{name}_loss": exact(loss),
                f"d_{name}_right_on_label": exact((on_label > 0).float().mean()),
                f"d_{name}_right_on_{name}": exact((on_modality <= 0).float().mean()),
            }
        return row

    def _train_only(self, player: str) -> None:
        """Let gradients reach one network, which is then in training, or the discriminators."""
        self.network.eval().requires_grad_(False)
        if player in self.teacher:
            getattr(self.network, player).requires_grad_(True).train()
        for discriminator in self.discriminators.values():
            discriminator.requires_grad_(player == "discriminators" or self.config.adversarial == "detached")

    # The banks, and B.

    @torch.no_grad()
    def _fill_banks(self) -> None:
        """The teachers' features and codes before the first step; the others' codes are 0 until they are seen."""
        n, width, device = self.n, self.config.width, self.device
        self.codes = {name: torch.zeros(n, self.hasher.bits, device=device) for name in self.teacher}
        self.features = {name: torch.zeros(n, width, device=device) for name in set(self.teacher.values())}
        self.banks = {"codes": self.codes, "features": self.features}
        self.network.eval()
        for name in self.features:
            for items in torch.arange(self.n).split(_AT_ONCE[self.inputs[name].ndim]):
                self._renew_bank(name, items, getattr(self.network, name)(self._input(name, items)))

    @torch.no_grad()
    def _renew_bank(self, name: str, items: Tensor, outputs: Outputs) -> None:
        here = to_device(items, self.device)
        self.codes[name][here] = outputs.codes
        if name in self.features:
            self.features[name][here] = outputs.features

    def shared_code(self) -> np.ndarray:
        """B of the training pairs, packed, from the codes as each was last seen."""
        return _packed(*self.codes.values())

    def _outputs(self, net: Any, name: str, items: Tensor) -> Any:
        """What a network gives for a batch."""
        return self._whole(len(items), net, self._input(name, distributed.mine(items)))

    def _input(self, name: str, items: Tensor) -> Tensor:
        """What a network reads of a batch, on the device."""
        return to_device(torch.from_numpy(np.ascontiguousarray(self.inputs[name][items.numpy()])), self.device)

    def _steps(self, epochs: int) -> int:
        return epochs * len(self.stages) * -(-self.n // self.batch)

    def _look_at(self, row: dict[str, Any], last: bool) -> None:
        self.hasher.shared_code_ = self.shared_code()
        for name in self.teacher:
            if last and row[f"{name}_distinct"] == 1:
                dead = f"{row[f'{name}_dead']:.0%} of its semantic features are 0 for every pair"
                message = f"SSAH: {_NETWORKS[name]} has collapsed: it gives all {self.n} training pairs one code, and "
                message += f"{dead}; try a lower lr_{name}"
                warnings.warn(message, codes.CollapseWarning, stacklevel=2)


def _packed(*relaxed: Tensor) -> np.ndarray:
    """The shared code of relaxed ones, packed."""
    return codes.pack(losses.shared_code(*relaxed).to(torch.int8).cpu().numpy())
