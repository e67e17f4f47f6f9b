"""The settings of a run: typed values from what a user writes, and back to the command that repeats it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import shlex
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data import BUILT_IN, READERS
from cmhkit.hasher import METHODS, CrossModalHasher
from cmhkit.support.checks import InputError, check
from cmhkit.support.options import as_dict


def parsed(name: str, text: str, hint: Any) -> Any:
    """The value of an option that was given as text.

    name: of the option, for errors. text: as written. hint: the option's type: bool, int, float, str, None, a path, a
    tuple of one of these, or several of them, of which the first that fits counts, in this order. "none" is None where
    None is allowed. Errors: `InputError`.
    """
    allowed = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = text.strip()
    if type(None) in allowed and plain.lower() in ("none", ""):
        return None
    if bool in allowed and plain.lower() in ("true", "yes", "false", "no"):
        return plain.lower() in ("true", "yes")
    for kind in (int, float):
        if kind in allowed:
            with contextlib.suppress(ValueError):
                return kind(plain)
    for kind in allowed:
        if typing.get_origin(kind) is tuple:
            inside = typing.get_args(kind)[0]
            return tuple(parsed(name, part, inside) for part in plain.strip("()[]").split(",") if part.strip())
    if not set(allowed) <= {bool, int, float, type(None)}:
        return text
    words = {bool: "true or false", int: "a whole number", float: "a number", type(None): "none"}
    raise InputError(f"{name}: expected {' or '.join(words[kind] for kind in words if kind in allowed)}, got {text!r}")


def pairs_of(given: Sequence[str], argument: str) -> dict[str, str]:
    """`["rounds=3"]` as `{"rounds": "3"}`. Errors: `InputError` for one without a name, or a name given twice."""
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        check(equals and name, f"{argument}: expected name=value, got {text!r}")
        check(name not in values, f"{argument}: expected each name once, got {name!r} twice")
        values[name] = value
    return values


def method_class(method: str) -> type[CrossModalHasher]:
    """The class of a method. method: one of `cmhkit.hasher.METHODS`, in any case."""
    names = {name.lower(): name for name in METHODS}
    check(method.lower() in names, f"method: expected one of {', '.join(names)}, got {method!r}")
    name = names[method.lower()]
    return getattr(importlib.import_module(METHODS[name]), name)


def presets_of(method: str) -> dict[str, Any]:
    """The configurations of a method, by name. A paper's are read without its networks."""
    try:
        return importlib.import_module(f"{METHODS.get(method.upper())}.config").PRESETS
    except ModuleNotFoundError:
        return method_class(method).presets


def options_of(kind: type[CrossModalHasher], given: Sequence[str]) -> dict[str, Any]:
    """The options of a method, typed as the fields of its preset. given: "name=value" each. An unknown name is left to
    the method to refuse.
    """
    hints = typing.get_type_hints(type(next(iter(kind.presets.values()))))
    options = {name: parsed(name, text, hints.get(name, str)) for name, text in pairs_of(given, "--set").items()}
    if isinstance(options.get("weights"), str):
        options["weights"] = _absolute(options["weights"])
    return options


def data_spec(name: str, given: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A data set's name with its path made absolute, and its options, typed as the loader's arguments. given:
    "name=value" each.
    """
    reader, colon, path = name.partition(":")
    place = READERS.get(reader) if colon else BUILT_IN.get(name)
    texts = pairs_of(given, "--data-option")
    if place is None:
        return name, dict(texts)  # `load` says what it knows
    module, _, function = place.partition(":")
    loader = getattr(importlib.import_module(module), function)
    hints = typing.get_type_hints(loader)
    known = {option: hints.get(option, str) for option in inspect.signature(loader).parameters}
    options: dict[str, Any] = {}
    for option, text in texts.items():
        value = parsed(option, text, known[option]) if option in known else text
        is_path = option in known and Path in (typing.get_args(known[option]) or (known[option],))
        options[option] = _absolute(value) if is_path and value is not None else value
    return (f"{reader}:{_absolute(path)}" if colon and path else name), options


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


@dataclass(frozen=True)
class Settings:
    """What decides a run.

    method: the class's name. options: what was given besides the preset. config: every option of the method, as it is
    used. data: as for `cmhkit.data.load`, with an absolute path. data_options: those of the loader.
    """

    method: str
    bits: int
    preset: str
    seed: int
    options: dict[str, Any]
    config: dict[str, Any]
    data: str
    data_options: dict[str, Any]

    @classmethod
    def of(cls, hasher: CrossModalHasher, options: dict[str, Any], data: str, data_options: dict[str, Any]) -> Settings:
        """The settings of a hasher that is about to be fitted."""
        run = {"bits": hasher.bits, "preset": hasher.preset, "seed": hasher.seed, "config": as_dict(hasher.config)}
        given = {"options": options, "data": data, "data_options": data_options}
        return cls(type(hasher).__name__, **plain(run | given))

    def command(self, out: str | Path, *extra: str) -> str:
        """The command that starts this run, or goes on with it."""
        words = ["cmhkit", "train", self.method.lower(), "--data", self.data]
        for name, value in self.data_options.items():
            words += ["--data-option", f"{name}={_written(value)}"]
        words += ["--bits", str(self.bits), "--preset", self.preset, "--seed", str(self.seed)]
        for name, value in self.options.items():
            words += ["--set", f"{name}={_written(value)}"]
        return shlex.join([*words, *extra, "--out", str(out)])

    def difference(self, kept: dict[str, Any]) -> str | None:
        """The first setting in which a kept configuration differs, in words, or None."""
        for name in ("method", "bits", "preset", "seed", "data", "data_options"):
            mine, other = getattr(self, name), kept.get(name)
            if mine != other:
                return f"{name.replace('_', ' ')} {_written(other)} there, {_written(mine)} here"
        for name in sorted(self.config.keys() | kept["config"].keys()):
            mine, other = self.config.get(name), kept["config"].get(name)
            if mine != other:
                return f"{name} {_written(other)} there, {_written(mine)} here"
        return None


def _written(value: Any) -> str:
    """A value as it is typed on a command line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_written(inside)}" for name, inside in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """A value as JSON keeps it: tuples become lists, NumPy's numbers Python's, NaN and infinity None."""
    if isinstance(value, dict):
        return {str(name): plain(inside) for name, inside in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inside) for inside in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
