"""The file of a saved hasher: its arrays as safetensors, and beside them in JSON what describes it.

The description has the number of the format and the version of cmhkit that wrote it. An older file is migrated by the
`gone` of its configuration; one that this version cannot use is an error that names the version that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit import __version__
from cmhkit.support.checks import InputError, check, check_integer
from cmhkit.support.files import write_atomically
from cmhkit.support.options import Options, check_name, current

#: The format that `write` writes. 1: has no number, cmhkit 0.1.0. 2: has "format", "version" (of cmhkit) and
#: "fit_ended".
FORMAT = 2
#: Parts of arrays' names that were others in cmhkit 0.1, where SSAH's discriminators were judges.
RENAMED = {"_judge.": "_discriminator."}


class OtherVersion(InputError):
    """A saved hasher that another version of cmhkit can read, and this one cannot."""


def write(path: str | Path, described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a file in one step. Returns its path."""
    from safetensors.numpy import save_file

    path, described = Path(path), {"format": FORMAT, "version": __version__} | described
    state = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(path, lambda p: save_file(state, p, metadata={"cmhkit": json.dumps(described)}))
    return path


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """A block that makes a hasher of what is in a file: its description and its arrays.

    Errors: `InputError` for a file that is none. What does not fit inside the block becomes one too, with the version
    that wrote the file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check(path.is_file(), f"path: expected a file that a hasher was saved to, got {path}")
    described: dict[str, Any] = {}
    try:
        with safe_open(path, framework="np") as file:
            described = json.loads((file.metadata() or {})["cmhkit"])
            _check_format(described, path)
            state = {_present(name): file.get_tensor(name) for name in file.keys()}
        yield described, state
    except OtherVersion:
        raise
    except InputError as error:
        version = version_of(described)
        raise InputError(f"path: expected a file written by save, got {path}, of cmhkit {version}: {error}") from error
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"path: expected a file written by save, got {path} ({reason})") from error


def _present(name: str) -> str:
    """The name that an array of a file has now."""
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name


def version_of(described: Mapping[str, Any]) -> str:
    """The version of cmhkit that wrote a file. All files of format 1, which do not say so, are of 0.1.0."""
    return str(described.get("version", "0.1.0"))


def _check_format(described: Mapping[str, Any], path: Path) -> None:
    number = described.get("format", 1)
    check_integer("format", number, 1)
    if number > FORMAT:
        raise OtherVersion(
            f"path: expected a file of format {FORMAT} or older, got {path}, which cmhkit {version_of(described)} "
            f"wrote in format {number}; this is cmhkit {__version__}: update it, or fit the hasher again"
        )


def options_of(config: type[Options], described: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The options of a saved hasher, without those that went since. config: the class that has them now.

    Errors: `InputError` for one that this version does not have.
    """
    try:
        options = current(config, described["config"])
        for name in options:
            check_name(config, name)
    except InputError as error:
        raise OtherVersion(
            f"path: expected options of {described['method']} in cmhkit {__version__}, got {path}, which cmhkit "
            f"{version_of(described)} wrote ({error}); load it with that version, or fit the hasher again"
        ) from error
    return options


def check_arrays(state: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Compare the arrays of a file with some of the same names, shapes and types. A scalar is saved with shape (1,).

    Errors: `InputError` that names the first that differs, is missing, or is one too many.
    """

    def described(array: np.ndarray) -> str:
        return f"{array.dtype} with shape {array.shape}"

    for name, array in expected.items():
        wanted = described(np.atleast_1d(array))
        came = described(state[name]) if name in state else "none"
        check(came == wanted, f"expected an array {name!r}, {wanted}, got {came}")
    for name in state:
        check(name in expected, f"expected no array {name!r}, got {described(state[name])}")
