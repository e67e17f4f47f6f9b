"""The one error for bad input, and the check that raises it."""

from __future__ import annotations


class InputError(ValueError):
    """A public function was given something it cannot use.

    The message names the argument, what was expected and what came.
    """


def check(condition: object, message: str) -> None:
    """Raise `InputError(message)` unless `condition` is true."""
    if not condition:
        raise InputError(message)
