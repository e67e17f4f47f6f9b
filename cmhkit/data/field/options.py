"""What a reader of the field's sets can be told, declared once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cmhkit.data.pairs import PairedData
from cmhkit.data.sentences import check_text_features
from cmhkit.support.checks import check, check_integer

_CHOICES = {"repeated": ("error", "drop", "keep"), "missing": ("error", "skip"), "subset": (None, "20015", "all")}
_LIMITS = {"seed": (0, None), "resolution": (16, 1024), "words": (1, None), "least": (1, None)}


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """The options of all readers; each takes some of them as keywords. Errors: `InputError` for a value out of range.

    query, train: how many pairs, or which share of all, instead of the protocol's.
    seed: of the split, drawn once and kept. own_pair: True leaves queries in the retrieval set.
    standardise: z-score features and text vectors with the training part's mean and deviation; a bag of words stays.
    repeated, pictures_in: see `load_mat`. subset, least: see `load_mirflickr`.
    resolution: the side of the pictures in pixels, from 16 to 1,024.
    features: what pictures go through for methods that read features: "efficientnet-lite0" (the extra `photos`),
    "scenenet" (for drawings), or None (for methods that read pictures themselves). It stays as `data.backbone`.
    text_features: what texts become: "bag", a bag of words, or the vectors that a file has; or "minilm", vectors of
    what English texts mean (the extra `words`; `cmhkit.data.sentences`). It stays as `data.text_features`.
    words: the size of a vocabulary that is made of the training texts.
    missing: "error", or "skip" to leave out pairs whose picture is missing or cannot be read.
    """

    query: int | float | None = None
    train: int | float | None = None
    seed: int = 0
    own_pair: bool = False
    standardise: bool = False
    repeated: str = "error"
    pictures_in: str | Path | None = None
    resolution: int = 224
    features: str | None = "efficientnet-lite0"
    text_features: str = "bag"
    words: int = 1000
    missing: str = "error"
    subset: str | None = None
    least: int = 20
    show_progress: bool = True

    def __post_init__(self) -> None:
        for name, limits in _LIMITS.items():
            check_integer(name, getattr(self, name), *limits)
        for name, allowed in _CHOICES.items():
            value, known = getattr(self, name), ", ".join(filter(None, allowed))
            check(value in allowed, f"{name}: expected one of {known}, got {value!r}")
        check_text_features(self.text_features)
        both = self.standardise and self.text_features == "minilm"
        check(not both, "standardise: expected False with text_features='minilm', whose vectors are scaled, got True")


#: The options of every reader but Wikipedia's.
SHARED = (
    *("query", "train", "seed", "own_pair", "standardise", "resolution", "features", "text_features"),
    "show_progress",
)


def check_names(given: Iterable[str], known: Iterable[str], reader: str) -> None:
    """Errors: `InputError` for an option that the reader does not know, with all that it knows and the nearest."""
    known = list(known)
    for name in given:
        hint = "".join(f"; the nearest is {near!r}" for near in difflib.get_close_matches(name, known, n=1))
        check(name in known, f"{name}: not an option of {reader!r}; expected one of {', '.join(known)}{hint}")


Reader = Callable[[Path, ReadOptions], PairedData]


def public_reader(name: str, *taken: str, **defaults: Any) -> Callable[[Reader], Callable[..., PairedData]]:
    """Make a function of (path, options) a public reader, which takes a path and the options as keywords.

    name: as in `cmhkit.data.load`. taken: the options that it takes. defaults: those that differ from `ReadOptions`.
    """

    def public(function: Reader) -> Callable[..., PairedData]:
        @functools.wraps(function)
        def read(path: str | Path, **options: Any) -> PairedData:
            check_names(options, taken, name)
            return function(Path(path), ReadOptions(**(defaults | options)))

        make, hints = inspect.Parameter, typing.get_type_hints(ReadOptions)
        parameters = [make("path", make.POSITIONAL_OR_KEYWORD, annotation=str | Path)]
        for option in dataclasses.fields(ReadOptions):
            if option.name in taken:
                default = defaults.get(option.name, option.default)
                parameters.append(make(option.name, make.KEYWORD_ONLY, default=default, annotation=hints[option.name]))
        read.__signature__ = inspect.Signature(parameters, return_annotation=PairedData)  # type: ignore[attr-defined]
        read.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": PairedData}
        return read

    return public
