"""SSAH: self-supervised adversarial hashing (Li, Deng, Li, Liu, Gao, Tao, CVPR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmhkit.ssah.training import SSAH, SSAHConfig

__all__ = ["SSAH", "SSAHConfig", "distributions", "losses", "model", "training"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("SSAH", "SSAHConfig"):
        return getattr(importlib.import_module("cmhkit.ssah.training"), name)
    if name in ("distributions", "losses", "model", "training"):
        return importlib.import_module(f"cmhkit.ssah.{name}")
    raise AttributeError(f"module 'cmhkit.ssah' has no attribute {name!r}")
