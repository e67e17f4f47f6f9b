"""UGACH: unsupervised generative adversarial cross-modal hashing (Zhang, Peng, Yuan, AAAI 2018)."""

from typing import TYPE_CHECKING

from cmhkit.support.moved import on_demand

if TYPE_CHECKING:
    from cmhkit.ugach.config import UGACHConfig
    from cmhkit.ugach.fit import UGACH

__all__ = ["UGACH", "UGACHConfig", "config", "fit", "losses", "model"]
__getattr__ = on_demand(__name__, __all__[2:], {"UGACH": "fit", "UGACHConfig": "config"})
