"""ADAH: attention-aware deep adversarial hashing (Zhang, Lai, Feng, ECCV 2018)."""

from typing import TYPE_CHECKING

from cmhkit.support.moved import on_demand

if TYPE_CHECKING:
    from cmhkit.adah.config import ADAHConfig
    from cmhkit.adah.fit import ADAH

__all__ = ["ADAH", "ADAHConfig", "config", "fit", "losses", "model"]
__getattr__ = on_demand(__name__, __all__[2:], {"ADAH": "fit", "ADAHConfig": "config"})
