"""ADAH: attention-aware deep adversarial hashing (Zhang, Lai, Feng, ECCV 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmhkit.adah.config import ADAHConfig
    from cmhkit.adah.training import ADAH

__all__ = ["ADAH", "ADAHConfig", "config", "losses", "masks", "model", "training"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("ADAH", "ADAHConfig"):
        module = "training" if name == "ADAH" else "config"
        return getattr(importlib.import_module(f"cmhkit.adah.{module}"), name)
    if name in ("config", "losses", "masks", "model", "training"):
        return importlib.import_module(f"cmhkit.adah.{name}")
    raise AttributeError(f"module 'cmhkit.adah' has no attribute {name!r}")
