"""Where wide layers compute in bfloat16, and that nothing else decides how the kit computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch

#: Kinds of device where wide layers compute in bfloat16, convolutions keep the channels last, and an optimiser's step
#: is one kernel. Codes, losses and parameters are in float32 everywhere.
FAST_ON = {"cuda"}


def wide_layers(device: torch.device) -> AbstractContextManager[None]:
    """A block that computes products and convolutions in bfloat16 where the device is fast at it (`FAST_ON`)."""
    emulated = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    fast = device.type in FAST_ON and not emulated
    return torch.autocast(device.type, dtype=torch.bfloat16) if fast else nullcontext()


@contextmanager
def own_settings() -> Iterator[None]:
    """A block, or the body of a function, that PyTorch's settings of the caller do not reach: `no_grad`,
    `inference_mode`, `autocast`, and another default dtype or device. They hold again after it.
    """
    dtype, cpu = torch.get_default_dtype(), torch.device("cpu")
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            if torch.get_default_device() != cpu:
                stack.enter_context(cpu)
            yield
    finally:
        torch.set_default_dtype(dtype)
