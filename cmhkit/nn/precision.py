"""Where wide layers compute in bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

#: Kinds of device where wide layers compute in bfloat16, convolutions keep the channels last, and an optimiser's step
#: is one kernel. Codes, losses and parameters are in float32 everywhere.
FAST_ON = {"cuda"}


def wide_layers(device: torch.device) -> AbstractContextManager[None]:
    """A block that computes products and convolutions in bfloat16 where the device is fast at it (`FAST_ON`)."""
    emulated = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    fast = device.type in FAST_ON and not emulated
    return torch.autocast(device.type, dtype=torch.bfloat16) if fast else nullcontext()
