"""The one error for bad input, and the check that raises it."""

from __future__ import annotations

from numbers import Integral
from typing import Any


class InputError(ValueError):
    """A public function was given something it cannot use.

    The message names the argument, what was expected and what came.
    """


def check(condition: object, message: str) -> None:
    """Raise `InputError(message)` unless `condition` is true."""
    if not condition:
        raise InputError(message)


def whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Raise `InputError` unless `value` is a whole number (Python's or NumPy's, no bool) from `least` to `most`."""
    good = isinstance(value, Integral) and not isinstance(value, bool) and least <= value and (most is None or value <= most)
    check(good, f"{name}: expected a whole number {f'of at least {least}' if most is None else f'from {least} to {most}'}, got {value!r}")
