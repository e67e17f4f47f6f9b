"""cmhkit: deep cross-modal hashing, taught by building it.

`import cmhkit as ck` is cheap: torch, SciPy, scikit-learn and matplotlib are imported by the parts that use them.
"""

from __future__ import annotations

import importlib
from typing import Any

from cmhkit.support.moved import install, on_demand

__version__ = "0.1.0"

_MODULES = (
    "adah",
    "app",
    "baselines",
    "codes",
    "course",
    "data",
    "graphs",
    "hasher",
    "index",
    "metrics",
    "nn",
    "ssah",
    "support",
    "train",
    "ugach",
)
_NAMES = {
    "ADAH": "adah",
    "CCA": "baselines",
    "ITQ": "baselines",
    "RandomHash": "baselines",
    "SSAH": "ssah",
    "UGACH": "ugach",
    "CrossModalHasher": "hasher",
    "load": "hasher",
    "InputError": "support.checks",
}

install()

__all__ = ["__version__", "doctor", *_MODULES, *_NAMES]
_find = on_demand(__name__, _MODULES, _NAMES)


def __getattr__(name: str) -> Any:
    # `ck.doctor.run()` is what a reader types
    return importlib.import_module("cmhkit.app.doctor") if name == "doctor" else _find(name)


def __dir__() -> list[str]:
    return sorted(__all__)
