"""SSAH: self-supervised adversarial hashing (Li, Deng, Li, Liu, Gao, Tao, CVPR 2018)."""

from typing import TYPE_CHECKING

from cmhkit.support.moved import on_demand

if TYPE_CHECKING:
    from cmhkit.ssah.config import SSAHConfig
    from cmhkit.ssah.fit import SSAH

__all__ = ["SSAH", "SSAHConfig", "config", "fit", "losses", "model"]
__getattr__ = on_demand(__name__, __all__[2:], {"SSAH": "fit", "SSAHConfig": "config"})
