"""Data sets: pictures paired with texts. Start with `load`."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any

from cmhkit.data.cache import cache_dir
from cmhkit.data.pairs import PairedData, SceneTruth, Split
from cmhkit.data.text import Vocabulary
from cmhkit.support.checks import InputError, check

__all__ = ["PairedData", "SceneTruth", "Split", "Vocabulary", "cache_dir", "load"]

#: Data sets that come with the kit, by name.
BUILT_IN = {"scenes": "cmhkit.data.scenes:load_scenes", "drawings": "cmhkit.data.scenes:load_drawings"}
#: What reads a path, as in `load("mirflickr:PATH")`. The reader's first argument is the path.
READERS = {
    "mirflickr": "cmhkit.data.field:load_mirflickr",
    "nuswide-tc10": "cmhkit.data.field:load_nuswide_tc10",
    "nuswide-tc21": "cmhkit.data.field:load_nuswide_tc21",
    "coco": "cmhkit.data.field:load_coco",
    "iapr": "cmhkit.data.field:load_iapr",
    "wikipedia": "cmhkit.data.field:load_wikipedia",
    "mat": "cmhkit.data.field:load_mat",
    "folder": "cmhkit.data.folder:load_folder",
}


def load(name: str, **options: Any) -> PairedData:
    """Load a data set by name, or by a reader and a path.

    name: "scenes", real drawings composed into pictures with tags (options: `cmhkit.data.scenes.load_scenes`), or
    "drawings", the same material uncomposed (options: `cmhkit.data.scenes.load_drawings`).
    Or a reader and a path with a colon between, such as "mirflickr:PATH". The readers of a benchmark (mirflickr,
    nuswide-tc10, nuswide-tc21, coco, iapr, wikipedia) take its makers' folder or a file in circulation; "mat:PATH"
    finds out by itself which file in circulation it has; "folder:PATH" reads your own pictures (options:
    `cmhkit.data.folder.load_folder`).
    Options: those of the functions that `READERS` names.
    """
    reader, colon, path = name.partition(":") if isinstance(name, str) else ("", "", "")
    if colon and reader in READERS:
        check(path, f"name: expected a path after {reader + ':'!r}, got none")
        place, leading = READERS[reader], [os.path.expanduser(path)]
    elif isinstance(name, str) and name in BUILT_IN:
        place, leading = BUILT_IN[name], []
    else:
        raise InputError(
            f"name: expected one of {', '.join(BUILT_IN)}, got {name!r}; "
            f"or a reader and a path such as 'mirflickr:PATH', one of {', '.join(READERS)}"
        )
    from cmhkit.data.field.options import check_names

    module, _, function = place.partition(":")
    loader = getattr(importlib.import_module(module), function)
    check_names(options, list(inspect.signature(loader).parameters)[len(leading) :], reader or name)
    return loader(*leading, **options)
