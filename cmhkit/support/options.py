"""Options, declared once.

A field of a method's configuration says its default, which values it takes, what it means, and where it comes from.
From that one declaration come the check when a configuration is made, the error that names what was expected, the list
that `cmhkit options METHOD` prints, and the tables of docs/CHOICES.md:

    @attrs.frozen
    class Config(Options):
        headings = {"schedule": "rounds"}
        rounds: int = integer(10, "of the game", "code: 30", least=0)

A configuration is frozen; `attrs.evolve(config, rounds=3)` makes another. Every function that declares a field takes
the default; help, what the option means, in one line; and source, where it comes from: what the note, the paper and the
authors' code have, what is "derived" from them, or "ours" for what only the kit needs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np

from cmhkit.support.checks import InputError, check, check_integer, check_real


@attrs.frozen
class Kind:
    """Which values an option takes.

    words: them in words, as in "a number above 0". checked: given an option's name and a value, returns the value as it
    is kept; errors: `InputError` for a value that the option does not take.
    """

    words: str
    checked: Callable[[str, Any], Any]


@attrs.frozen
class Options:
    """What every method's configuration is: frozen, each field declared with one of the functions of this module.

    headings: the parts that the options are listed under, each with its first option. gone: options that an older
    version had, each with the only value that is still in use.
    """

    headings: ClassVar[dict[str, str]] = {}
    gone: ClassVar[dict[str, Any]] = {}

    def margin_for(self, bits: int) -> float:
        """The option `margin` as a number, for codes of that many bits."""
        return margin_for(self.margin, bits)


def integer(default: int, help: str, source: str, *, least: int) -> Any:
    """An option that is a whole number of at least `least`."""
    words = f"a whole number of at least {least}"
    return _declared(default, Kind(words, lambda name, value: check_integer(name, value, least)), help, source)


def integers(default: tuple[int, ...], help: str, source: str, *, least: int) -> Any:
    """An option that is a tuple of whole numbers of at least `least`; it may be empty."""

    def checked(name: str, value: Any) -> tuple[int, ...]:
        check(isinstance(value, (tuple, list)), f"{name}: expected a tuple of whole numbers, got {value!r}")
        return tuple(check_integer(name, number, least) for number in value)

    return _declared(default, Kind(f"whole numbers of at least {least}, or ()", checked), help, source)


def real(
    default: float | None,
    help: str,
    source: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    optional: bool = False,
) -> Any:
    """An option that is a finite number.

    above, least: what it must exceed, or reach; give one of both. most: what it may not exceed. optional: whether None
    is taken too.
    """
    words = f"a number above {above}" if least is None else f"a number of at least {least}"
    words += "" if most is None else f" and at most {most}"

    def checked(name: str, value: Any) -> Any:
        return None if optional and value is None else check_real(name, value, above=above, least=least, most=most)

    return _declared(default, Kind(words + (", or none" if optional else ""), checked), help, source)


def share(default: float, help: str, source: str) -> Any:
    """An option that is a share from 0 to below 1."""

    def checked(name: str, value: Any) -> Any:
        value = check_real(name, value, least=0)
        check(value < 1, f"{name}: expected a share below 1, got {value!r}")
        return value

    return _declared(default, Kind("a share from 0 to below 1", checked), help, source)


def margin(default: float | str, help: str, source: str) -> Any:
    """An option that is a hinge's margin: a number above 0, or a share of the bits such as "K/8"."""
    words = "a number above 0 or a share of the bits such as K/8"

    def checked(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return check_real(name, value, above=0)
        check(re.fullmatch(r"K/[1-9]\d*", value) is not None, f"{name}: expected {words}, got {value!r}")
        return value

    return _declared(default, Kind(words, checked), help, source)


def choice(words: tuple[str, ...], help: str, source: str) -> Any:
    """An option that is one of some words. The first one is the default."""
    allowed = f"one of {', '.join(words)}"

    def checked(name: str, value: Any) -> str:
        check(isinstance(value, str) and value in words, f"{name}: expected {allowed}, got {value!r}")
        return value

    return _declared(words[0], Kind(allowed, checked), help, source)


def switch(default: bool, help: str, source: str) -> Any:
    """An option that is on or off."""

    def checked(name: str, value: Any) -> bool:
        check(isinstance(value, (bool, np.bool_)), f"{name}: expected true or false, got {value!r}")
        return bool(value)

    return _declared(default, Kind("true or false", checked), help, source)


def path(default: str | None, help: str, source: str) -> Any:
    """An option that is a path as text, or None."""

    def checked(name: str, value: Any) -> str | None:
        check(value is None or isinstance(value, str), f"{name}: expected a path as text or None, got {value!r}")
        return value

    return _declared(default, Kind("a path, or none", checked), help, source)


def _declared(default: Any, kind: Kind, help: str, source: str) -> Any:
    return attrs.field(
        default=default,
        converter=attrs.Converter(lambda value, field: kind.checked(field.name, value), takes_field=True),
        metadata={"kind": kind, "help": help, "source": source},
    )


def margin_for(margin: float | str, bits: int) -> float:
    """The margin of codes of that many bits, as a number."""
    return bits / int(margin[2:]) if isinstance(margin, str) else float(margin)


def as_dict(config: Options) -> dict[str, Any]:
    """Every option by its name, in the order of the declarations."""
    return attrs.asdict(config, recurse=False)


def configured(presets: dict[str, Any], preset: str, overrides: dict[str, Any]) -> Any:
    """A preset with some of its options replaced.

    Errors: `InputError` for an unknown preset, for a value that an option does not take, and for an unknown option. The
    last names the nearest known option, or says that this one went and what is done now.
    """
    good = isinstance(preset, str) and preset in presets
    check(good, f"preset: expected one of {', '.join(presets)}, got {preset!r}")
    config = presets[preset]
    for name in overrides:
        check_name(type(config), name)
    return attrs.evolve(config, **overrides)


def check_name(kind: type[Options], name: str) -> None:
    """Raise `InputError` unless a configuration of this class has an option of this name."""
    known = [field.name for field in attrs.fields(kind)]
    if name in known:
        return
    if name in kind.gone:
        raise InputError(
            f"{name}: no longer an option of this method, which always does what {name}={shown(kind.gone[name])} did",
        )
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    raise InputError(f"{name}: not an option of this method; {hint}")


def current(kind: type[Options], values: dict[str, Any]) -> dict[str, Any]:
    """The options that an older version wrote down, without those that went.

    kind: the configuration's class. values: by name.
    Errors: `InputError` for one that went and had another value than the one that is still in use.
    """
    for name in values.keys() & kind.gone.keys():
        same = values[name] == kind.gone[name]
        check(
            same,
            f"{name}: expected {shown(kind.gone[name])}, the only value still in use, got {shown(values[name])}",
        )
    return {name: value for name, value in values.items() if name not in kind.gone}


def described(presets: dict[str, Any]) -> list[dict[str, Any]]:
    """What is declared of each option, in order.

    presets: configurations of one class, by name. Returns dictionaries: "heading", "option", "values" (which it takes,
    in words), "help", "source", and "presets", its value in each.
    """
    kind = type(next(iter(presets.values())))
    starts = {first: heading for heading, first in kind.headings.items()}
    rows, heading = [], ""
    for field in attrs.fields(kind):
        heading = starts.get(field.name, heading)
        row = {"heading": heading, "option": field.name, "values": field.metadata["kind"].words}
        row |= {"help": field.metadata["help"], "source": field.metadata["source"]}
        rows.append(row | {"presets": {name: getattr(config, field.name) for name, config in presets.items()}})
    return rows


def shown(value: Any) -> str:
    """A value as it is typed after `--set NAME=`, numbers to four digits."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(shown, value)) or "()"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
