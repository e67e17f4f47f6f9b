"""The one face of all methods: fit, encode, evaluate, save, load."""

from __future__ import annotations

import html
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cmhkit import __version__, codes, metrics
from cmhkit.data.pairs import PairedData, Split, checked_images, checked_vectors
from cmhkit.data.sentences import CARD, TEXT_FEATURES, sentence_vectors
from cmhkit.data.text import Vocabulary
from cmhkit.support.checks import InputError, check, check_choice, check_integer
from cmhkit.support.files import write_atomically
from cmhkit.support.options import as_dict, check_name, configured, current
from cmhkit.train.run import Callback, Run

if TYPE_CHECKING:
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

#: The format that `save` writes. 1: has no number, cmhkit 0.1.0. 2: has "format", "version" (of cmhkit) and
#: "fit_ended".
FORMAT = 2
#: What a hasher says of itself. Between two epochs (in a callback, or as it was saved or copied there) it encodes, but
#: is not fitted.
_STATES = {
    "new": "not fitted",
    "fitting": "not fitted, since its last fit did not end",
    "in callback": "in training",
    "between epochs": "as it was in training",
    "fitted": "fitted",
}

#: The two ways of a report.
_WAYS = ("image → text", "text → image")
# Pictures that are encoded at once: their features and layers are the memory of a search.
_AT_ONCE = 512


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
        """True once `fit` has returned, or `load` has read what was saved after it. False in a callback, though the
        hasher can encode there.
        """
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

    def _image_values(self, images: np.ndarray) -> np.ndarray:
        """Real values whose signs are the code, shape (n, bits)."""
        raise NotImplementedError

    def _text_values(self, texts: np.ndarray) -> np.ndarray:
        """Real values whose signs are the code, shape (n, bits)."""
        raise NotImplementedError

    def _state(self) -> dict[str, np.ndarray]:
        """The arrays that encoding needs."""
        raise NotImplementedError

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
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
            self._stage = "fitting"
            train = data.train if isinstance(data, PairedData) else data
            self.backbone_ = data.backbone
            message = self._input_message() if data.images.ndim == 4 and show_progress else ""
            if message:
                print(f"{name}: {message}")
            self._remember_images(data.images, show_progress)
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

        images: pictures (n, H, W, 3), features (n, d), or a `Split`. texts: a list of strings, vectors (n, t), or a
        `Split`. Give one of both.
        """
        return codes.pack(codes.sign(self.values(images=images, texts=texts)))

    def values(self, images: Any = None, texts: Any = None) -> np.ndarray:
        """The real values behind the codes, float32, shape (n, bits); the sign of each is the bit."""
        check((images is None) != (texts is None), "images, texts: expected exactly one of them")
        self._check_encodes()
        if images is not None:
            pictures = checked_images(images.images if isinstance(images, Split) else images)
            self._remember_images(pictures, False)
            starts = range(0, max(len(pictures), 1), _AT_ONCE)
            return np.concatenate([self._values_of_pictures(pictures[i : i + _AT_ONCE]) for i in starts])
        vectors = self._text_input(texts)
        self._check_width("texts", "vectors", vectors, self.text_width_)
        return self._text_values(vectors)

    def _values_of_pictures(self, images: np.ndarray) -> np.ndarray:
        features = self._image_input(images, False)
        self._check_width("images", "features", features, self.image_width_)
        return self._image_values(features)

    def _check_width(self, name: str, what: str, x: np.ndarray, width: int) -> None:
        right = x.shape[1] == width
        check(right, f"{name}: expected {what} of width {width}, as in training, got {x.shape[1]}")

    def evaluate(self, data: PairedData, **options: Any) -> Report:
        """Search with every query, both ways, and measure the rankings.

        options: those of `metrics.evaluate` (ties, r, divisor, empty, precision_at). Two items are relevant to each
        other if they share a label.
        """
        check(isinstance(data, PairedData), f"data: expected PairedData, got {type(data).__name__}")
        check(data.labels is not None, "data: expected labels, since relevance is a shared label, got none")
        packed = {
            f"{part}_{what}": self.encode(**{what: getattr(data, part)})
            for part in ("query", "retrieval")
            for what in ("images", "texts")
        }
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
        from safetensors.numpy import save_file

        self._check_encodes()
        described = {
            "format": FORMAT,
            "version": __version__,
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
            "text_features": self.text_features_,
            "text_encoder": CARD if self.text_features_ == "minilm" else None,
            "history": self.history_,
        }
        state = {name: np.ascontiguousarray(array) for name, array in self._state().items()}
        path = Path(path)
        write_atomically(path, lambda p: save_file(state, p, metadata={"cmhkit": json.dumps(described)}))
        return path

    def _remember_images(self, images: np.ndarray, show_progress: bool) -> None:
        """Compute what the pictures of a whole set enter as, once, before parts of it are asked for."""
        if images.ndim == 4 and self.backbone_ is not None:
            from cmhkit.data.features import check_backbone, remember

            check_backbone(self.backbone_, self.image_kind)
            remember(images, backbone=self.backbone_, show_progress=show_progress)

    def _image_input(self, images: np.ndarray, show_progress: bool) -> np.ndarray:
        from cmhkit.data.features import image_features

        images = checked_images(images)
        check(
            images.ndim == 2 or self.backbone_ is not None,
            f"images: expected pictures with a backbone, since {type(self).__name__} reads features here, got a data "
            "set with backbone None; load it with features='efficientnet-lite0' or 'scenenet'",
        )
        backbone = self.backbone_ or "scenenet"
        return image_features(images, self.image_kind, backbone=backbone, show_progress=show_progress)

    def _input_message(self) -> str:
        """What `fit` says of how pictures enter; empty if they cannot."""
        from cmhkit.data.features import BACKBONES

        if self.backbone_ not in BACKBONES:
            return ""
        kind = f" ({self.image_kind})" if self.backbone_ == "scenenet" else ""
        return f"pictures enter as cached {BACKBONES[self.backbone_]} features{kind}."

    def _text_input(self, texts: Any) -> np.ndarray:
        if isinstance(texts, Split):
            return texts.text_vectors
        if isinstance(texts, str):
            raise InputError("texts: expected a list of texts, got one string; write [text]")
        if isinstance(texts, np.ndarray) and texts.dtype.kind == "U":
            texts = texts.tolist()
        if isinstance(texts, Sequence) and len(texts) > 0 and isinstance(texts[0], str):
            if self.text_features_ == "minilm":
                return sentence_vectors(texts, show_progress=False)
            check(
                self.vocabulary_ is not None,
                "texts: expected text vectors (n, t), since this hasher was fitted on data without a vocabulary, got "
                "strings",
            )
            return self.vocabulary_.bag_of_words(texts)
        return checked_vectors(texts, "texts")


def load(path: str | Path) -> CrossModalHasher:
    """Read a hasher that `CrossModalHasher.save` wrote, in this format or an older one.

    Errors: `InputError` if the file is none, and for one that this version cannot use, with the version that wrote it.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check(path.is_file(), f"path: expected a file that a hasher was saved to, got {path}")
    try:
        with safe_open(path, framework="np") as file:
            described = json.loads((file.metadata() or {})["cmhkit"])
            _check_format(described, path)
            _check_encoder(described, path)
            state = {name: file.get_tensor(name) for name in file.keys()}
        method = described["method"]
        check(method in METHODS, f"expected one of the methods {', '.join(METHODS)}, got {method!r}")
        kind = getattr(importlib.import_module(METHODS[method]), method)
        options = _current_options(kind, described, path)
        hasher = kind(described["bits"], preset=described["preset"], seed=described["seed"], **options)
        hasher.vocabulary_ = None if described["vocabulary"] is None else Vocabulary(tuple(described["vocabulary"]))
        hasher.history_ = described["history"]
        hasher.backbone_ = described.get("backbone", "scenenet")
        hasher.text_features_ = described.get("text_features", "bag")
        hasher.image_width_, hasher.text_width_ = described["image_width"], described["text_width"]
        hasher._set_state(state)
    except _OtherVersion:
        raise
    except InputError as error:
        version = _version_of(described)
        raise InputError(f"path: expected a file written by save, got {path}, of cmhkit {version}: {error}") from error
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"path: expected a file written by save, got {path} ({reason})") from error
    hasher._stage = "fitted" if described.get("fit_ended", True) else "between epochs"
    return hasher


class _OtherVersion(InputError):
    """A saved hasher that another version of cmhkit can read, and this one cannot."""


def _version_of(described: Mapping[str, Any]) -> str:
    """The version of cmhkit that wrote a file. All files of format 1, which do not say so, are of 0.1.0."""
    return str(described.get("version", "0.1.0"))


def _check_format(described: Mapping[str, Any], path: Path) -> None:
    number = described.get("format", 1)
    check_integer("format", number, 1)
    if number > FORMAT:
        raise _OtherVersion(
            f"path: expected a file of format {FORMAT} or older, got {path}, which cmhkit {_version_of(described)} "
            f"wrote in format {number}; this is cmhkit {__version__}: update it, or fit the hasher again"
        )


def _check_encoder(described: Mapping[str, Any], path: Path) -> None:
    """Errors: `InputError` for a hasher whose texts are read by a network that this version does not have."""
    check_choice("text_features", described.get("text_features", "bag"), TEXT_FEATURES)
    card = described.get("text_encoder") or CARD
    if card["sha256"] != CARD["sha256"]:
        raise _OtherVersion(
            f"path: expected texts read by {CARD['model']} of {CARD['package']}, got {path}, whose texts "
            f"{card['model']} of {card['package']} reads; load it with cmhkit {_version_of(described)}, or fit it again"
        )


def _current_options(kind: type[CrossModalHasher], described: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The options of a saved hasher, without those that went since. Errors: `InputError` for one that this version does
    not have.
    """
    config = type(kind.presets["lab"])
    try:
        options = current(config, described["config"])
        for name in options:
            check_name(config, name)
    except InputError as error:
        raise _OtherVersion(
            f"path: expected options of {kind.__name__} in cmhkit {__version__}, got {path}, which cmhkit "
            f"{_version_of(described)} wrote ({error}); load it with that version, or fit the hasher again"
        ) from error
    return options


def check_arrays(state: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Compare the arrays of a saved hasher with some of the same names, shapes and types. A scalar is saved with shape
    (1,).

    Errors: `InputError` that names the first that differs, is missing, or is one too many.
    """

    def described(array: np.ndarray) -> str:
        return f"{array.dtype} with shape {array.shape}"

    for name, array in expected.items():
        wanted = described(np.atleast_1d(array))
        came = described(state[name]) if name in state else "none"
        check(came == wanted, f"expected an array {name!r}, {wanted}, got {came}")
    for name in state:
        check(name in expected, f"expected no array {name!r}, got {described(state[name])}")


@dataclass(frozen=True)
class Report:
    """How well a hasher retrieves, both ways.

    image_to_text, text_to_image: `metrics.Metrics`. image_codes, text_codes: `codes.CodeDiagnostics` of the retrieval
    set.
    """

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
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
        for ax, m, way in zip(axes, self._both, _WAYS, strict=True):
            ax.plot(m.recall_by_rank, m.precision_by_rank, "-", marker="", label="by rank")
            ax.plot(m.recall_by_radius, m.precision_by_radius, "o", markersize=4, label="by Hamming radius")
            ax.set(title=way, xlabel="recall", xlim=(0, 1), ylim=(0, 1))
        axes[0].set_ylabel("precision")
        axes[1].legend()
        figure.suptitle(self.title)
        figure.tight_layout()
        return figure

    @property
    def _both(self) -> tuple[metrics.Metrics, metrics.Metrics]:
        return self.image_to_text, self.text_to_image

    def __repr__(self) -> str:
        rows = [("", *_WAYS), *self.rows()]
        first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{what:{first}}  {a:>{second}}  {b:>{third}}".rstrip() for what, a, b in rows]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{text}</th>' for text in ("", *_WAYS))
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{what}</th><td>{a}</td><td>{b}</td></tr>'
            for what, a, b in self.rows()
        )
        caption = html.escape(self.title)
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
