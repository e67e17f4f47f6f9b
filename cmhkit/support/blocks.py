"""Long work a block at a time."""

from __future__ import annotations


def slices(length: int, step: int) -> list[slice]:
    """Cut 0..length into pieces of at most `step`."""
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
