"""UGACH: unsupervised generative adversarial cross-modal hashing (Zhang, Peng, Yuan, AAAI 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmhkit.support.moved import MOVED

if TYPE_CHECKING:
    from cmhkit.ugach.config import UGACHConfig
    from cmhkit.ugach.fit import UGACH

__all__ = ["UGACH", "UGACHConfig", "config", "fit", "losses", "model"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("UGACH", "UGACHConfig"):
        module = "fit" if name == "UGACH" else "config"
        return getattr(importlib.import_module(f"cmhkit.ugach.{module}"), name)
    if name in __all__ or f"cmhkit.ugach.{name}" in MOVED:
        return importlib.import_module(f"cmhkit.ugach.{name}")
    raise AttributeError(f"module 'cmhkit.ugach' has no attribute {name!r}")
