"""ADAH: attention-aware deep adversarial hashing (Zhang, Lai, Feng, ECCV 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmhkit.support.moved import MOVED

if TYPE_CHECKING:
    from cmhkit.adah.config import ADAHConfig
    from cmhkit.adah.fit import ADAH

__all__ = ["ADAH", "ADAHConfig", "config", "fit", "losses", "model"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("ADAH", "ADAHConfig"):
        module = "fit" if name == "ADAH" else "config"
        return getattr(importlib.import_module(f"cmhkit.adah.{module}"), name)
    if name in __all__ or f"cmhkit.adah.{name}" in MOVED:
        return importlib.import_module(f"cmhkit.adah.{name}")
    raise AttributeError(f"module 'cmhkit.adah' has no attribute {name!r}")
