"""Data sets: pictures paired with texts. Start with `load`."""

from __future__ import annotations

from typing import Any

from cmhkit.data.cache import cache_dir
from cmhkit.data.pairs import PairedData, SceneTruth, Split
from cmhkit.data.text import Vocabulary
from cmhkit.errors import InputError

__all__ = ["PairedData", "SceneTruth", "Split", "Vocabulary", "cache_dir", "load"]


def load(name: str, **options: Any) -> PairedData:
    """Load a data set by name.

    name: "scenes", real drawings composed into pictures with tags (options: `cmhkit.data.scenes.load_scenes`), or
    "drawings", the same material uncomposed (options: `cmhkit.data.scenes.load_drawings`).
    """
    from cmhkit.data import scenes

    loaders = {"scenes": scenes.load_scenes, "drawings": scenes.load_drawings}
    if not isinstance(name, str) or name not in loaders:
        raise InputError(f"name: expected one of {', '.join(loaders)}, got {name!r}")
    import inspect

    known = inspect.signature(loaders[name]).parameters
    for option in options:
        if option not in known:
            raise InputError(f"{option}: not an option of {name!r}; expected one of {', '.join(known)}")
    return loaders[name](**options)
