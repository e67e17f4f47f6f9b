"""The one face of all methods: fit, encode, evaluate, save, load."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cmhkit import codes, metrics
from cmhkit.data.inputs import Pictures, read_texts
from cmhkit.data.pairs import PairedData, Split, checked_images
from cmhkit.data.sentences import CARD, TEXT_FEATURES, check_card
from cmhkit.data.text import Vocabulary
from cmhkit.support import saved, show
from cmhkit.support.checks import check, check_choice, check_integer
from cmhkit.support.options import as_dict, configured
from cmhkit.train.run import Callback, Run

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

#: Where each method lives, for `load`.
METHODS = {
    "RandomHash": "cmhkit.baselines",
    "CCA": "cmhkit.baselines",
    "ITQ": "cmhkit.baselines",
    "UGACH": "cmhkit.ugach",
    "ADAH": "cmhkit.adah",
    "SSAH": "cmhkit.ssah",
}
#: What a hasher says of itself. Between two epochs (in a callback, or as it was saved or copied there) it encodes, but
#: is not fitted.
_STATES = {
    "new": "not fitted",
    "fitting": "not fitted, since its last fit did not end",
    "in callback": "in training",
    "between epochs": "as it was in training",
    "fitted": "fitted",
}
# Pictures that are encoded at once: their features and layers are the memory of a search.
_AT_ONCE = 512


def own_settings() -> AbstractContextManager[None]:
    """A block that PyTorch's settings of the caller do not reach; see `cmhkit.support.precision.own_settings`."""
    if "torch" not in sys.modules:  # nobody can have set anything, and a baseline need not import it
        return nullcontext()
    from cmhkit.support import precision

    return precision.own_settings()


class CrossModalHasher:
    """Learns codes for pictures and texts, so that related ones are near in Hamming distance.

    bits: code length, a multiple of 8. preset: a named configuration of the method. seed: of everything random.
    device: "auto" takes CUDA, then MPS, then the CPU. overrides: any field of the preset.
    Fitted state: `vocabulary_` (or None), `history_` (one row an epoch), `image_width_`, `text_width_`, `backbone_`
    and `text_features_` (what pictures go through and what strings become, as the training data said; what is encoded
    later goes the same way).
    """

    presets: ClassVar[dict[str, Any]] = {}
    #: The kind of SceneNet feature that the method reads; see `cmhkit.data.features.KINDS`.
    image_kind: ClassVar[str] = "posterior"
    backbone_: str | None = "scenenet"
    text_features_: str = "bag"
    #: A key of `_STATES`.
    _stage: str = "new"

    def __init__(
        self, bits: int = 32, *, preset: str = "lab", seed: int = 0, device: str = "auto", **overrides: Any
    ) -> None:
        good = isinstance(bits, Integral) and bits > 0 and bits % 8 == 0
        check(good, f"bits: expected a multiple of 8 above 0, got {bits!r}")
        check_integer("seed", seed, 0)
        self.bits, self.preset, self.seed, self.device = int(bits), preset, int(seed), device
        self.config = configured(self.presets, preset, overrides)
        self.history_: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        options = f"bits={self.bits}, preset={self.preset!r}, seed={self.seed}"
        return f"{type(self).__name__}({options}, {_STATES[self._stage]})"

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes over. One that is made in a callback stays as it is then, whatever becomes of the fit."""
        return vars(self) | {"_stage": "between epochs" if self._stage == "in callback" else self._stage}

    @property
    def fitted(self) -> bool:
        """Whether `fit` has returned, or had when the hasher was saved; not in a callback, though it encodes there."""
        return self._stage == "fitted"

    def _check_encodes(self) -> None:
        """Errors: `InputError` for a hasher that was not fitted, or whose last fit did not end."""
        name = type(self).__name__
        check(self._stage != "new", f"{name}: expected a fitted hasher; call fit first")
        check(
            self._stage != "fitting",
            f"{name}: expected a fitted hasher, but its last fit did not end, so that it is half trained; "
            "fit it again (with the checkpoint_dir of that fit it goes on from the last epoch that was kept)",
        )

    # What a method writes.

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        """Learn from image features (n, d), text vectors (n, t) and, for a supervised method, labels (n, c)."""
        raise NotImplementedError

    def _values(self, modality: str, x: np.ndarray) -> np.ndarray:
        """Real values whose signs are the code, shape (n, bits). modality: "image" or "text"; x: as `_fit` reads it."""
        raise NotImplementedError

    def _state(self) -> dict[str, np.ndarray]:
        """The arrays that encoding needs."""
        raise NotImplementedError

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over arrays as `_state` gives them. Errors: `InputError` for others."""
        raise NotImplementedError

    # What a user calls.

    def fit(
        self,
        data: PairedData | Split,
        *,
        checkpoint_dir: str | Path | None = None,
        callback: Callback | None = None,
        show_progress: bool = True,
    ) -> CrossModalHasher:
        """Learn from the training part of a data set, or from one split.

        checkpoint_dir: a folder that keeps the state after every epoch; a run that was stopped goes on from there.
        callback: called after every epoch; the hasher can encode, evaluate and save meanwhile. Returns self.

        A fit that fails or is stopped before training begins leaves the hasher as it was. After that, the hasher is not
        fitted: what it learned before is gone, and what it was learning is half done.
        """
        check(isinstance(data, (PairedData, Split)), f"data: expected PairedData or Split, got {type(data).__name__}")
        name = type(self).__name__
        check(
            self._stage != "in callback",
            f"{name}: expected fit to be called outside of this hasher's own callback; fit another hasher there",
        )
        run = Run(self, checkpoint_dir, callback, show_progress)
        try:
            with own_settings():
                self._stage = "fitting"
                train = data.train if isinstance(data, PairedData) else data
                self.backbone_ = data.backbone
                message = self._pictures.message if data.images.ndim == 4 and show_progress else ""
                if message:
                    print(f"{name}: {message}")
                self._pictures.remember(data.images, show_progress)
                images = self._image_input(train.images, show_progress)
                self.vocabulary_: Vocabulary | None = data.vocabulary
                self.text_features_ = data.text_features
                self.history_ = []
                self.image_width_, self.text_width_ = images.shape[1], train.text_vectors.shape[1]
                self._fit(images, train.text_vectors, train.labels, run)
        except BaseException:
            run.undo()
            raise
        self._stage = "fitted"
        return self

    def encode(self, images: Any = None, texts: Any = None) -> np.ndarray:
        """Packed codes, uint8, shape (n, bits // 8).

        images: pictures (n, H, W, 3), features (n, d), or a `Split`. texts: strings (a list, or anything else in order,
        such as a column of a table), vectors (n, t), or a `Split`. Give one of both.
        """
        return codes.pack(codes.sign(self.values(images=images, texts=texts)))

    def values(self, images: Any = None, texts: Any = None) -> np.ndarray:
        """The real values behind the codes, float32, shape (n, bits); the sign of each is the bit."""
        with own_settings():
            return np.concatenate([self._values(modality, x) for modality, x in self._parts(images, texts)])

    def _parts(self, images: Any, texts: Any) -> Iterator[tuple[str, np.ndarray]]:
        """What is to be encoded as the method reads it, a part at a time: ("image", x) or ("text", x)."""
        check((images is None) != (texts is None), "images, texts: expected exactly one of them")
        self._check_encodes()
        if images is None:
            vectors = read_texts(texts, self.vocabulary_, self.text_features_)
            self._check_width("texts", "vectors", vectors, self.text_width_)
            yield "text", vectors
            return
        pictures = checked_images(images.images if isinstance(images, Split) else images)
        self._pictures.remember(pictures, False)
        for start in range(0, max(len(pictures), 1), _AT_ONCE):
            x = self._image_input(pictures[start : start + _AT_ONCE], False)
            if x.ndim == 2:
                self._check_width("images", "features", x, self.image_width_)
            yield "image", x

    def _check_width(self, name: str, what: str, x: np.ndarray, width: int) -> None:
        right = x.shape[1] == width
        check(right, f"{name}: expected {what} of width {width}, as in training, got {x.shape[1]}")

    def evaluate(self, data: PairedData, **options: Any) -> Report:
        """Search with every query, both ways, and measure the rankings.

        options: those of `metrics.evaluate`. Two items are relevant to each other if they share a label.
        """
        check(isinstance(data, PairedData), f"data: expected PairedData, got {type(data).__name__}")
        check(data.labels is not None, "data: expected labels, since relevance is a shared label, got none")
        both = [(split, what) for split in (data.query, data.retrieval) for what in ("images", "texts")]
        packed = {f"{split.name}_{what}": self.encode(**{what: split}) for split, what in both}
        return self.measured(data, packed, **options)

    def measured(self, data: PairedData, packed: dict[str, np.ndarray], **options: Any) -> Report:
        """What `evaluate` reports, from codes that are there already.

        data: with labels. packed: codes "query_images", "query_texts", "retrieval_images" and "retrieval_texts".
        options: as for `evaluate`.
        """
        query, retrieval = data.query, data.retrieval
        both = [
            metrics.evaluate(packed[f"query_{a}"], packed[f"retrieval_{b}"], query.labels, retrieval.labels, **options)
            for a, b in (("images", "texts"), ("texts", "images"))
        ]
        return Report(
            method=type(self).__name__,
            bits=self.bits,
            data=data.name,
            image_to_text=both[0],
            text_to_image=both[1],
            image_codes=codes.diagnostics(packed["retrieval_images"], warn=True),
            text_codes=codes.diagnostics(packed["retrieval_texts"], warn=True),
        )

    def save(self, path: str | Path) -> Path:
        """Write the fitted hasher as safetensors, in one step. Returns the path.

        In a callback: the hasher as it stands after this epoch. Loaded again, it encodes and evaluates, and says that
        its fit had not ended.
        """
        self._check_encodes()
        described = {
            "fit_ended": self.fitted,
            "method": type(self).__name__,
            "bits": self.bits,
            "preset": self.preset,
            "seed": self.seed,
            "config": as_dict(self.config),
            "image_width": self.image_width_,
            "text_width": self.text_width_,
            "backbone": self.backbone_,
            "vocabulary": None if self.vocabulary_ is None else self.vocabulary_.words,
            "tags": self.vocabulary_ is not None and self.vocabulary_.tags,
            "text_features": self.text_features_,
            "text_encoder": CARD if self.text_features_ == "minilm" else None,
            "history": self.history_,
        }
        return saved.write(path, described, self._state())

    # What pictures and texts enter as.

    @property
    def _pictures(self) -> Pictures:
        reads = getattr(self.config, "backbone", "scenenet")
        return Pictures(type(self).__name__, reads, self.image_kind, self.backbone_)

    def _image_input(self, images: np.ndarray, show_progress: bool) -> np.ndarray:
        return self._pictures.read(images, show_progress)


class NetworkHasher(CrossModalHasher):
    """What UGACH, ADAH and SSAH share: the codes come from a PyTorch network, and its parameters are what is saved."""

    @property
    def _network(self) -> torch.nn.Module:
        """All that is trained."""
        return self.network_

    def _state(self) -> dict[str, np.ndarray]:
        return {name: value.cpu().numpy() for name, value in self._network.state_dict().items()}

    def _check_supervised(self, labels: np.ndarray | None) -> None:
        """Errors: `InputError` for training pairs without labels, and for fewer than two."""
        name = type(self).__name__
        check(labels is not None, f"data: expected labels, since {name} is supervised, got none")
        check(len(labels) >= 2, f"data: expected at least 2 training pairs, got {len(labels)}")

    def _load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take a saved state over. The hasher has a network that is not trained, so that `_state` has its shapes."""
        import torch

        from cmhkit.train.device import placed, resolve_device

        saved.check_arrays(state, self._state())
        self._network.load_state_dict({name: torch.from_numpy(state[name]) for name in self._network.state_dict()})
        self._device = resolve_device(self.device)
        placed(self._network, self._device)

    def _computed(self, x: np.ndarray, size: int, compute: Callable[[torch.Tensor], Any]) -> list[Any]:
        """What the network computes of an array, so many items at once, without training."""
        import torch

        from cmhkit.train.device import to_device

        self._network.eval()
        with torch.no_grad():
            parts = (np.ascontiguousarray(x[start : start + size]) for start in range(0, len(x), size))
            return [compute(to_device(torch.from_numpy(part), self._device)) for part in parts]


def load(path: str | Path) -> CrossModalHasher:
    """Read a hasher that `CrossModalHasher.save` wrote, in this format or an older one.

    Errors: `InputError` if the file is none, and for one that this version cannot use, with the version that wrote it.
    """
    with saved.opened(path) as (described, state):
        method = described["method"]
        check(method in METHODS, f"expected one of the methods {', '.join(METHODS)}, got {method!r}")
        kind = getattr(importlib.import_module(METHODS[method]), method)
        options = saved.options_of(type(kind.presets["lab"]), described, path)
        hasher = kind(described["bits"], preset=described["preset"], seed=described["seed"], **options)
        words = described["vocabulary"]
        hasher.vocabulary_ = None if words is None else Vocabulary(tuple(words), described.get("tags", False))
        hasher.history_ = described["history"]
        hasher.backbone_ = described.get("backbone", "scenenet")
        hasher.text_features_ = check_choice("text_features", described.get("text_features", "bag"), TEXT_FEATURES)
        check_card(described.get("text_encoder") or CARD)
        hasher.image_width_, hasher.text_width_ = described["image_width"], described["text_width"]
        with own_settings():
            hasher._set_state(state)
        hasher._stage = "fitted" if described.get("fit_ended", True) else "between epochs"
    return hasher


@dataclass(frozen=True)
class Report:
    """How well a hasher retrieves, both ways. image_codes, text_codes: of the retrieval set."""

    method: str
    bits: int
    data: str
    image_to_text: metrics.Metrics
    text_to_image: metrics.Metrics
    image_codes: codes.CodeDiagnostics
    text_codes: codes.CodeDiagnostics

    @property
    def map_i2t(self) -> float:
        """MAP of pictures asking for texts, from 0 to 1."""
        return self.image_to_text.map

    @property
    def map_t2i(self) -> float:
        """MAP of texts asking for pictures, from 0 to 1."""
        return self.text_to_image.map

    @property
    def title(self) -> str:
        """What was measured on what, a line."""
        return f"{self.method}, {self.bits} bits, on {self.data}"

    def rows(self) -> list[tuple[str, str, str]]:
        """(what, image → text, text → image), as text."""
        rows = [("MAP", *(f"{m.map:.3f}" for m in self._both))]
        if self.image_to_text.r is not None:
            rows.append((self.image_to_text.name_at_r, *(f"{m.map_at_r:.3f}" for m in self._both)))
        rows += [
            (f"precision@{n}", *(f"{m.precision_at[n]:.3f}" for m in self._both))
            for n in self.image_to_text.precision_at
        ]
        rows.append(("queries", *(f"{m.queries}" for m in self._both)))
        rows.append(("queries without a relevant item", *(f"{m.empty_queries}" for m in self._both)))
        searched = (self.text_codes, self.image_codes)
        rows.append(("different codes searched", *(f"{c.distinct} of {c.items}" for c in searched)))
        rows.append(("share of ones in a bit", *(f"{c.balance.min():.2f} to {c.balance.max():.2f}" for c in searched)))
        rows.append(("mean correlation of two bits", *(f"{c.mean_correlation:.2f}" for c in searched)))
        return rows

    def figure(self) -> Figure:
        """Precision against recall, both ways, as a matplotlib figure: a curve by rank, and a mark for each Hamming
        radius.
        """
        return show.precision_recall(self.title, dict(zip(self._heads[1:], self._both, strict=True)))

    @property
    def _both(self) -> tuple[metrics.Metrics, metrics.Metrics]:
        return self.image_to_text, self.text_to_image

    _heads: ClassVar[tuple[str, str, str]] = ("", "image → text", "text → image")

    def __repr__(self) -> str:
        return f"{self.title}\n{show.as_text([self._heads, *self.rows()])}"

    def _repr_html_(self) -> str:
        return show.as_html([self._heads, *self.rows()], self.title)
