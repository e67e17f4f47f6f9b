"""The one error for bad input, and the checks that raise it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np


class InputError(ValueError):
    """A public function was given something it cannot use.

    The message names the argument, what was expected and what came.
    """


def check(condition: object, message: str) -> None:
    """Raise `InputError(message)` unless `condition` is true."""
    if not condition:
        raise InputError(message)


def check_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number from `least` to `most`, Python's or NumPy's (no bool), as Python's. Errors: `InputError`."""
    number = isinstance(value, Integral) and not isinstance(value, bool)
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    good = number and least <= value and (most is None or value <= most)
    check(good, f"{name}: expected a whole number {limits}, got {value!r}")
    return int(value)


def check_real(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A finite number (no bool); one of NumPy's comes back as Python's.

    above, least: what it must exceed, or reach. most: what it may not exceed. Errors: `InputError` otherwise.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    good = number and (above is None or value > above) and (least is None or value >= least)
    limit = f" above {above}" if above is not None else f" of at least {least}" if least is not None else ""
    check(good, f"{name}: expected a number{limit}, got {value!r}")
    check(most is None or value <= most, f"{name}: expected a number of at most {most}, got {value!r}")
    return value.item() if hasattr(value, "item") else value


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """The value. Errors: `InputError` unless it is one of those that are allowed."""
    allowed = tuple(allowed)
    check(value in allowed, f"{name}: expected one of {', '.join(map(str, allowed))}, got {value!r}")
    return value


def as_array(values: Any, argument: str) -> np.ndarray:
    """What NumPy makes of `values`; a tensor comes off its device and without its gradient. Errors: `InputError` for
    rows of different length, and for anything else that NumPy makes no array of.
    """
    try:
        return np.asanyarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{argument}: expected an array, got what NumPy makes none of ({error})") from error


def some(things: Iterable[object], most: int = 5) -> str:
    """The first things, and how many more there are, in one line."""
    listed = list(map(str, things))
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
