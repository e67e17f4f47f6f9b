"""SSAH's schedule: in every epoch LabNet, then the discriminators, then ImgNet, then TxtNet.

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
from cmhkit.data.pairs import Split, checked_images, checked_labels
from cmhkit.hasher import CrossModalHasher, check_arrays
from cmhkit.nn.backbones import CNNF, VGG19
from cmhkit.nn.pairwise import LabelSimilarity
from cmhkit.ssah import losses
from cmhkit.ssah.config import PRESETS
from cmhkit.ssah.model import Discriminator, Fc7, MultiScaleFusion, Outputs, SemanticNetwork, SSAHNetwork
from cmhkit.support.checks import check
from cmhkit.train import distributed
from cmhkit.train.device import generator, placed, resolve_device, sent
from cmhkit.train.loop import Schedule, exact, means
from cmhkit.train.run import Run

BACKBONES = {"cnn-f": CNNF, "vgg19": VGG19}
TOLD = {"label": "LabNet", "image": "ImgNet", "text": "TxtNet"}
# Items that are encoded at once: vectors, pictures.
_CHUNK, _PICTURES = 1024, 64


class UnlabelledWarning(UserWarning):
    """Some training pairs have no label: they are similar to nothing, not even to themselves."""


class SSAH(CrossModalHasher):
    """Self-supervised adversarial hashing. A network that reads the labels, LabNet, supervises one for pictures and one
    for texts.

    Options: `cmhkit.ssah.SSAHConfig`. Fitted state besides `CrossModalHasher`'s: `network_`; `shared_code_`, B of the
    training pairs, packed, uint8, shape (n, bits // 8), from the codes as each was last seen in training;
    `unlabelled_`,
    how many training pairs have no label.
    """

    presets: ClassVar[dict[str, Any]] = PRESETS

    def encode(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """Packed codes, uint8, shape (n, bits // 8).

        images, texts: as `CrossModalHasher.encode` reads them. labels: a matrix of 0/1, shape (n, c), or a `Split`:
        LabNet's codes, which no query has in earnest, and which are the ceiling of the other two. Give one of the
        three.
        """
        return codes.pack(codes.sign(self.values(images=images, texts=texts, labels=labels)))

    def values(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The real values behind the codes, before tanh, float32, shape (n, bits); the sign of each is the bit.
        Arguments: as `encode`.
        """
        return self._said(images, texts, labels, lambda found: found.logits)

    def features(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The semantic features F, float32, at least 0, shape (n, width). Arguments: as `encode`."""
        return self._said(images, texts, labels, lambda found: found.features)

    def label_scores(self, images: Any = None, texts: Any = None, labels: Any = None) -> np.ndarray:
        """The label head's output, from 0 to 1, float32, shape (n, c). Arguments: as `encode`."""
        return self._said(images, texts, labels, lambda found: found.labels)

    def _said(self, images: Any, texts: Any, labels: Any, what: Any) -> np.ndarray:
        given = [x is not None for x in (images, texts, labels)]
        check(sum(given) == 1, f"images, texts, labels: expected exactly one of them, got {sum(given)}")
        self._check_encodes()
        if images is not None:
            name, x, width = (
                "image",
                self._image_input(images.images if isinstance(images, Split) else images, False),
                self.image_width_,
            )
            check(
                x.ndim == 4 or x.shape[1] == width,
                f"images: expected features of width {width}, as in training, got {x.shape[1]}",
            )
        elif texts is not None:
            name, x, width = "text", self._text_input(texts), self.text_width_
            check(x.shape[1] == width, f"texts: expected vectors of width {width}, as in training, got {x.shape[1]}")
        else:
            name, x = "label", self._label_input(labels)
        return self._by_chunks(name, x, what)

    def _label_input(self, labels: Any) -> np.ndarray:
        check(self.network_.label is not None, "labels: expected a hasher with LabNet, got supervision='each-other'")
        if isinstance(labels, Split):
            check(labels.labels is not None, "labels: expected a split with labels, got none")
            labels = labels.labels
        x, width = checked_labels(labels), self.network_.label.labelling.out_features
        check(x.shape[1] == width, f"labels: expected rows of {width} labels, as in training, got {x.shape[1]}")
        return x.astype(np.float32)

    def _remember_images(self, images: np.ndarray, show_progress: bool) -> None:
        if self.config.backbone == "scenenet":
            super()._remember_images(images, show_progress)

    def _image_input(self, images: np.ndarray, show_progress: bool) -> np.ndarray:
        kind = self.config.backbone
        if kind == "scenenet":
            return super()._image_input(images, show_progress)
        images = checked_images(images)
        if kind == "features":
            check(
                images.ndim == 2,
                f"images: expected feature vectors (n, d), since backbone='features', got shape {images.shape}",
            )
        else:
            check(
                images.ndim == 4,
                f"images: expected pictures (n, H, W, 3), since backbone={kind!r} reads them, got shape {images.shape}; "
                "backbone='features' reads vectors",
            )
        return images

    def _told_input(self) -> str:
        return (
            super()._told_input()
            if self.config.backbone == "scenenet"
            else f"pictures go through {self.config.backbone}."
        )

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        check(labels is not None, "data: expected labels, since SSAH is supervised, got none")
        images, texts, labels = self._labelled(images, texts, labels)
        random = generator(self.seed)
        self._device = resolve_device(self.device)
        width = images.shape[1] if images.ndim == 2 else None
        self.network_ = placed(
            self._built(width, texts.shape[1], labels.shape[1], random, self.config.weights, warn=True), self._device
        )
        Supervision(self, images, texts, labels, random).run(run)

    def _labelled(
        self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The training pairs that are used. Sets `unlabelled_`."""
        bare = ~labels.any(axis=1)
        self.unlabelled_ = int(bare.sum())
        drop = self.config.unlabelled == "drop"
        if self.unlabelled_:
            warnings.warn(
                f"SSAH: {self.unlabelled_} of {len(bare)} training pairs have no label, the first at position {int(bare.argmax())}; "
                + (
                    "they are left out"
                    if drop
                    else "they are kept, and similar to nothing; unlabelled='drop' leaves them out"
                ),
                UnlabelledWarning,
                stacklevel=4,
            )
            if drop:
                images, texts, labels = images[~bare], texts[~bare], labels[~bare]
        check(len(labels) >= 2, f"data: expected at least 2 training pairs, got {len(labels)}")
        different = np.unique(labels, axis=0).astype(np.float32)
        shared = different @ different.T > 0
        check(
            bool((~shared).any()),
            "data: expected similar and dissimilar pairs, but every two training pairs share a label",
        )
        check(bool(shared.any()), "data: expected similar and dissimilar pairs, but no training pair has a label")
        return images, texts, labels

    def _built(
        self,
        image_width: int | None,
        text_width: int,
        labels: int,
        random: torch.Generator,
        weights: str | None,
        *,
        warn: bool,
    ) -> SSAHNetwork:
        c = self.config
        shared = {"normalise": c.local_response_norm, "dropout": c.dropout, "generator": random}
        fusion = MultiScaleFusion(text_width, c.pools, c.pool_scale, random) if c.pools else None
        front = None
        if c.backbone in BACKBONES:
            backbone = BACKBONES[c.backbone](side=c.side, generator=random)
            if weights is not None or warn:
                load_weights(backbone, weights)
            front, image_width = Fc7(backbone, random), backbone.hidden
        ends = (c.width, self.bits, labels)
        label = (
            SemanticNetwork(labels, c.label_hidden, *ends, **shared | {"dropout": 0.0})
            if c.supervision == "labnet"
            else None
        )
        image = SemanticNetwork(image_width, c.image_hidden, *ends, **shared, front=front)
        text = SemanticNetwork(fusion.width if fusion else text_width, c.text_hidden, *ends, **shared, front=fusion)
        judges = [
            Discriminator(c.width, c.discriminator_hidden, random) if c.adversarial != "none" else None
            for _ in range(2)
        ]
        return SSAHNetwork(label, image, text, *judges)

    def _read(self, x: np.ndarray) -> Tensor:
        """A part of what a network reads, on the device: pictures as they are, vectors scaled."""
        return sent(torch.from_numpy(np.ascontiguousarray(x)), self._device)

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        if self.config.input_scaling == "none" or x.ndim == 4:
            return x
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return (x / np.where(length > 0, length, 1)).astype(np.float32)

    @torch.no_grad()
    def _by_chunks(self, name: str, x: np.ndarray, what: Any) -> np.ndarray:
        self.network_.eval()
        net: SemanticNetwork = getattr(self.network_, name)
        found, step = [], _PICTURES if x.ndim == 4 else _CHUNK
        for start in range(0, len(x), step):
            part = x[start : start + step]
            found.append(what(net(self._read(part if name == "label" else self._scaled(part)))).cpu())
        return torch.cat(found).numpy()

    def _image_values(self, images: np.ndarray) -> np.ndarray:
        return self.values(images=images)

    def _text_values(self, texts: np.ndarray) -> np.ndarray:
        return self.values(texts=texts)

    def _state(self) -> dict[str, np.ndarray]:
        return {name: value.cpu().numpy() for name, value in self.network_.state_dict().items()} | {
            "shared_code": self.shared_code_,
            "unlabelled": np.array([self.unlabelled_]),
        }

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        self._device = resolve_device(self.device)
        for name in ("image.labelling.bias", "shared_code"):
            check(
                name in state and state[name].ndim > 0,
                f"expected an array {name!r} with a row a label or a pair, got {state.get(name)}",
            )
        labels, pairs = len(state["image.labelling.bias"]), len(state["shared_code"])
        self.network_ = self._built(self.image_width_, self.text_width_, labels, generator(0), None, warn=False)
        self.shared_code_, self.unlabelled_ = np.empty((pairs, self.bits // 8), np.uint8), 0
        check_arrays(state, self._state())
        self.shared_code_, self.unlabelled_ = state["shared_code"], int(state["unlabelled"][0])
        self.network_.load_state_dict({name: torch.from_numpy(state[name]) for name in self.network_.state_dict()})
        placed(self.network_, self._device)


class Supervision(Schedule):
    """The stages over one training set.

    images: vectors, shape (n, d), or pictures. texts: shape (n, t). labels: 0/1, shape (n, c). random: every draw comes
    from it.
    """

    method = "SSAH"

    def __init__(
        self, hasher: SSAH, images: np.ndarray, texts: np.ndarray, labels: np.ndarray, random: torch.Generator
    ) -> None:
        super().__init__(hasher, len(texts), random)
        self.network, self.device = hasher.network_, hasher._device
        self.inputs = {
            "label": labels.astype(np.float32),
            "image": hasher._scaled(images),
            "text": hasher._scaled(texts),
        }
        self.labels = torch.from_numpy(self.inputs["label"]).to(self.device)
        self.batch = min(self.config.batch, self.n)
        alone = self.config.supervision == "each-other"
        #: Whose features and codes supervise a network.
        self.teacher = (
            {"image": "text", "text": "image"} if alone else {"label": "label", "image": "label", "text": "label"}
        )
        share = LabelSimilarity(self.labels, self.labels).share()
        self.weights = (0.5 / share, 0.5 / (1 - share)) if self.config.pair_weights == "balanced" else (1.0, 1.0)
        self.judges = {"image": self.network.image_judge, "text": self.network.text_judge}
        self.optimisers = {name: self._optimiser(self._groups(name)) for name in self.teacher}
        for name, judge in self.judges.items():
            if judge is not None:
                self.optimisers[f"d_{name}"] = self._optimiser(
                    [{"params": list(judge.parameters()), "lr": self.config.lr_discriminator}]
                )
        self.players = self._players()
        self._fill_banks()

    @torch.no_grad()
    def _fill_banks(self) -> None:
        """The teachers' features and codes before the first step; codes of networks that teach nothing are 0 until they
        are seen.
        """
        self.codes = {name: torch.zeros(self.n, self.hasher.bits, device=self.device) for name in self.teacher}
        self.features = {
            name: torch.zeros(self.n, self.config.width, device=self.device) for name in set(self.teacher.values())
        }
        self.network.eval()
        for name in self.features:
            for items in torch.arange(self.n).split(_PICTURES if self.inputs[name].ndim == 4 else _CHUNK):
                self._keep(name, items, getattr(self.network, name)(self._taken(name, items)))

    @property
    def banks(self) -> dict[str, dict[str, Tensor]]:
        return {"codes": self.codes, "features": self.features}

    def _steps(self, epochs: int) -> int:
        c = self.config
        passes = 2 + (c.label_passes if "label" in self.teacher else 0) + (c.adversarial != "none")
        return epochs * passes * -(-self.n // self.batch)

    def run(self, run: Run) -> None:
        super().run(run)
        self.hasher.shared_code_ = self.shared_code()

    def shared_code(self) -> np.ndarray:
        """B of the training pairs, packed, from the codes as each was last seen."""
        return self._packed(*self.codes.values())

    @staticmethod
    def _packed(*relaxed: Tensor) -> np.ndarray:
        return codes.pack(losses.shared_code(*relaxed).to(torch.int8).cpu().numpy())

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        self._set_rates(epoch)
        row: dict[str, Any] = {"epoch": epoch}
        if "label" in self.teacher:
            for _ in range(self.config.label_passes):
                found = self._network_stage("label", step)
            row |= found
        if self.config.adversarial != "none":
            row |= self._judges_stage(step)
        for name in ("image", "text"):
            row |= self._network_stage(name, step)
        if isinstance(self.network.text.front, MultiScaleFusion):
            front = self.network.text.front
            row |= {f"text_scale_{p}": w for p, w in zip(front.pools, front.scales().tolist(), strict=True)}
        return row

    def _network_stage(self, name: str, step: Any) -> dict[str, float]:
        """One pass of LabNet, ImgNet or TxtNet; the others and the discriminators stand still."""
        self._train_only(name)
        rows, alive = [], torch.zeros(self.config.width, dtype=torch.bool, device=self.device)
        for items in torch.randperm(self.n, generator=self.random).split(self.batch):
            row, features = self._network_step(name, items)
            rows.append(row)
            alive |= (features > 0).any(0)
            step(1)
        distinct = len(np.unique(self._packed(self.codes[name]), axis=0))
        return means(rows) | {f"{name}_dead": 1 - alive.float().mean().item(), f"{name}_distinct": float(distinct)}

    def _network_step(self, name: str, items: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """A step of one network. Returns its terms, and its features without a gradient."""
        found = self._said(self.players[name], name, items)
        self._keep(name, items, found)
        terms = self.terms(name, items, found)
        loss = self.weighted(terms)
        self._step(name, loss)
        if self.config.adversarial == "detached" and name in self.judges:
            # What is fed through a placeholder: the network is not reached, and the discriminator descends on the
            # flipped target.
            self.judges[name].requires_grad_(True)
            fed = self._deceit(name, found.features.detach())
            terms["adversarial"] = fed
            self._step(f"d_{name}", self.config.adversarial_weight * fed)
            self.judges[name].requires_grad_(False)
        row = {f"{name}_{what}": exact(term) for what, term in (terms | {"loss": loss}).items()}
        return row, found.features.detach()

    def _said(self, net: Any, name: str, items: Tensor) -> Any:
        """What a network says of a batch. With several processes this one computes its part, and gathers the rest."""
        with distributed.part_of(len(items)):
            found = net(self._taken(name, distributed.mine(items)))
        return distributed.gathered(found, len(items))

    def terms(self, name: str, items: Tensor, found: Outputs) -> dict[str, Tensor]:
        """The terms of one network's loss on a batch, scalars by name: j1 to j4, and "adversarial" where it reaches the
        network.

        name: "label", "image" or "text". items: positions of the batch in the training set, whose codes in the bank are
        those of `found`.
        """
        c, teacher = self.config, self.teacher[name]
        here = sent(items, self.device)
        labels, h = self.labels[here], found.codes
        similar = LabelSimilarity(labels, self.labels, c.similarity).kept()
        pairs = {"kind": c.pair_loss, "reduction": c.reduction, "weights": self.weights}
        with torch.no_grad():
            binary = (
                losses.shared_code(*(bank[here] for bank in self.codes.values()))
                if c.binary == "shared"
                else losses.shared_code(h)
            )
        found_terms = {
            "j1": losses.feature_likelihood(found.features, self.features[teacher], similar, **pairs),
            "j2": losses.code_likelihood(h, self.codes[teacher], similar, **pairs),
            "j3": losses.quantisation_loss(h, binary, reduction=c.reduction),
            "j4": losses.label_loss(found.labels, labels, reduction=c.reduction),
        }
        if c.adversarial == "flows":
            if name in self.judges:
                found_terms["adversarial"] = self._deceit(name, found.features)
            elif c.adversarial_labnet:
                found_terms["adversarial"] = sum(self._deceit(judge, found.features, own=1.0) for judge in self.judges)
        return found_terms

    def weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """The loss that a network descends on."""
        c = self.config
        weights = {"j1": c.alpha, "j2": c.gamma, "j3": c.eta, "j4": c.beta, "adversarial": c.adversarial_weight}
        return sum(weights[what] * term for what, term in terms.items())

    def _deceit(self, judge: str, features: Tensor, own: float = 0.0) -> Tensor:
        c = self.config
        return losses.adversarial_term(
            self.judges[judge](features),
            own=own,
            target=c.adversarial_target,
            kind=c.adversarial_loss,
            reduction=c.reduction,
        )

    def _judges_stage(self, step: Any) -> dict[str, float]:
        """The discriminators learn; the networks stand still."""
        self._train_only(None)
        rows = []
        for items in torch.randperm(self.n, generator=self.random).split(self.batch):
            rows.append(self._judges_step(items))
            step(1)
        return means(rows)

    def _judges_step(self, items: Tensor) -> dict[str, Tensor]:
        row = {}
        for name in self.judges:
            with torch.no_grad():
                features = self._said(getattr(self.network, name).features, name, items)
            row |= self._judge_step(name, items, features)
        return row

    def _judge_step(self, name: str, items: Tensor, features: Tensor) -> dict[str, Tensor]:
        """A step of one discriminator: LabNet's features of the items against given ones, which have no gradient.

        It is small: with several processes each computes it for the whole batch.
        """
        judge = self.judges[name]
        on_label, on_modality = judge(self.features["label"][sent(items, self.device)]), judge(features)
        loss = losses.discriminator_loss(
            on_label, on_modality, kind=self.config.adversarial_loss, reduction=self.config.reduction
        )
        self._step(f"d_{name}", loss)
        return {
            f"d_{name}_loss": exact(loss),
            f"d_{name}_right_on_label": exact((on_label > 0).float().mean()),
            f"d_{name}_right_on_{name}": exact((on_modality <= 0).float().mean()),
        }

    @torch.no_grad()
    def _keep(self, name: str, items: Tensor, found: Outputs) -> None:
        """Renew a network's rows of the bank."""
        here = sent(items, self.device)
        self.codes[name][here] = found.codes.detach()
        if name in self.features:
            self.features[name][here] = found.features.detach()

    def _taken(self, name: str, items: Tensor) -> Tensor:
        return self.hasher._read(self.inputs[name][items.numpy()])

    def _players(self) -> dict[str, nn.Module]:
        """Each network as its own steps call it."""
        found: dict[str, nn.Module] = {}
        for name in self.teacher:
            self._train_only(name)
            found[name] = distributed.replicated(getattr(self.network, name))
        return found

    def _train_only(self, name: str | None) -> None:
        """Let gradients reach one network, or the discriminators where name is None."""
        self.network.eval()
        for part in ("label", "image", "text"):
            net = getattr(self.network, part)
            if net is not None:
                net.requires_grad_(part == name)
        for judge in self.judges.values():
            if judge is not None:
                judge.requires_grad_(name is None)
        if name is not None:
            getattr(self.network, name).train()

    def _groups(self, name: str) -> list[dict[str, Any]]:
        net: nn.Module = getattr(self.network, name)
        backbone = set(net.front.parameters()) if isinstance(net.front, Fc7) else set()
        return self._by_rate(list(net.parameters()), getattr(self.config, f"lr_{name}"), backbone)

    def _look_at(self, row: dict[str, Any], last: bool) -> None:
        self.hasher.shared_code_ = self.shared_code()
        for name in self.teacher:
            if last and row[f"{name}_distinct"] == 1:
                warnings.warn(
                    f"SSAH: {TOLD[name]} has collapsed: it gives all {self.n} training pairs one code, and {row[f'{name}_dead']:.0%} of its semantic "
                    f"features are 0 for every pair; try a lower lr_{name}",
                    codes.CollapseWarning,
                    stacklevel=2,
                )
