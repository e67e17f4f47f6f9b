"""SSAH: self-supervised adversarial hashing (Li, Deng, Li, Liu, Gao, Tao, CVPR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmhkit.support.moved import MOVED

if TYPE_CHECKING:
    from cmhkit.ssah.config import SSAHConfig
    from cmhkit.ssah.fit import SSAH

__all__ = ["SSAH", "SSAHConfig", "config", "fit", "losses", "model"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("SSAH", "SSAHConfig"):
        module = "fit" if name == "SSAH" else "config"
        return getattr(importlib.import_module(f"cmhkit.ssah.{module}"), name)
    if name in __all__ or f"cmhkit.ssah.{name}" in MOVED:
        return importlib.import_module(f"cmhkit.ssah.{name}")
    raise AttributeError(f"module 'cmhkit.ssah' has no attribute {name!r}")
