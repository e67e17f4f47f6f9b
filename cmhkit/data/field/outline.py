"""MATLAB v5, as far as SciPy cannot be asked: what a file holds, its texts, and its structures.

SciPy crashes Python on an array whose class, type or size is damaged, makes other letters of an emoji, and cannot list
a file that holds an object. So each variable is followed here first; SciPy then reads numbers and sparse matrices.
Types of elements, classes of arrays and bytes of a number are those of MATLAB's "MAT-File Format", level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _OPAQUE = 1, 2, 3, 4, 5, 17
_NUMERIC = {6: "double", 7: "single"} | {
    8 + i: f"{'u' * (i % 2)}int{bits}" for i, bits in enumerate((8, 8, 16, 16, 32, 32, 64, 64))
}
_CLASSES = _NUMERIC | {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
#: Types of stored numbers, as NumPy names them.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_LETTERS = {1, 2, 4, 16, 17, 18}
_LOGICAL, _COMPLEX = 0x200, 0x800
_MOST = 2**31
#: What to do with an object.
WAY_OUT = "save it again in MATLAB as texts with cellstr(...), or as numbers with double(...)"
#: How deep cells and structures may lie in each other.
DEEPEST = 8


@dataclass
class Array:
    """One array of a file. kind: MATLAB's class, such as "double", "logical", "cell", or the class of an object.

    value: rows of text ("char"), arrays ("cell"), arrays by field ("struct" of one item); numbers, inside of those.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    value: Any = None


class _Content:
    """The bytes of one element, unpacked as far as they are read. order: "<" or ">", how the file writes numbers.

    keep: whether numbers inside of other arrays are kept.
    """

    def __init__(self, file: BinaryIO, size: int, order: str, packed: bool, keep: bool) -> None:
        self.file, self.left, self.order, self.keep = file, size, order, keep
        self.unpack = zlib.decompressobj().decompress if packed else bytes
        self.ready = bytearray()

    def read(self, count: int, padding: int = 0) -> bytes:
        """That many bytes; those of the padding are skipped, as far as they are there."""
        while len(self.ready) < count + padding and (block := self.file.read(min(self.left, 2**16))):
            self.left -= len(block)
            self.ready += self.unpack(block)
        if len(self.ready) < count:
            raise ValueError("an array that ends too early")
        taken = bytes(self.ready[:count])
        del self.ready[: count + padding]
        return taken

    def numbers(self, letter: str, raw: bytes) -> tuple[int, ...]:
        size = struct.calcsize(letter)
        return struct.unpack(f"{self.order}{len(raw) // size}{letter}", raw[: len(raw) // size * size])

    def element(self) -> tuple[int, int, bytes | None]:
        """Type, size and, for a small element that has its bytes in its tag, these bytes."""
        tag = self.read(8)
        kind, size = self.numbers("I", tag)
        if not kind >> 16:
            return kind, size, None
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
        return kind, size, tag[4 : 4 + size]

    def element_of(self, types: set[int], most: int) -> tuple[int, bytes]:
        """Type and bytes of an element of one of these types, of at most that many bytes."""
        kind, size, small = self.element()
        if kind not in types or size > most:
            expected = " or ".join(map(str, sorted(types)))
            raise ValueError(f"an element of type {kind} and {size} bytes where {expected} should be")
        return kind, self.read(size, -size % 8) if small is None else small

    def bytes_of(self, types: set[int], most: int) -> bytes:
        return self.element_of(types, most)[1]

    def name(self) -> str:
        return self.bytes_of({1, 2}, 4096).split(b"\0")[0].decode("latin-1")


def variables(path: Path) -> Iterator[Array]:
    """Every variable of a file: name, class and shape; of a structure of one item also its fields. No array is read."""
    for content in _elements(path, keep=False):
        array, flags = _header(content)
        if flags & 0xFF == _STRUCT:
            try:
                _follow(content, array, flags)
            except ValueError:  # it holds what nobody reads here, and so nothing of it is read
                array.value = None
        if array.name:
            yield array


def variable(path: Path, key: str) -> Array:
    """One variable, with its texts. Of an array of numbers, only the outline is followed.

    Errors: `ValueError` for an outline that is not that of real numbers, characters, a sparse matrix, cells or fields.
    """
    for content in _elements(path, keep=True):
        array, flags = _header(content)
        if array.name == key:
            _follow(content, array, flags)
            return array
    raise ValueError(f"no whole variable {key}")


def _elements(path: Path, keep: bool) -> Iterator[_Content]:
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            end = file.tell() + size
            content = _Content(file, size, order, kind == _COMPRESSED, keep)
            if kind == _COMPRESSED:
                kind = content.numbers("I", content.read(8))[0]
            if kind != _MATRIX:
                raise ValueError(f"an element of type {kind} where an array should be")
            yield content
            file.seek(end)


def _header(content: _Content) -> tuple[Array, int]:
    flags = content.numbers("I", content.bytes_of({6}, 8).ljust(8, b"\0"))[0]
    if flags & 0xFF == _OPAQUE:
        name, _, kind = (content.name() for _ in range(3))
        return Array(name, kind, ()), flags
    shape = content.numbers("i", content.bytes_of({5}, 256))
    kind = "logical" if flags & _LOGICAL and flags & 0xFF in _NUMERIC else _CLASSES.get(flags & 0xFF, "unknown")
    return Array(content.name(), kind, shape), flags


def _follow(content: _Content, array: Array, flags: int, depth: int = 0) -> None:
    """Follow the outline of an array, which must hold, and keep its texts; numbers too, inside of another array."""
    kind, shape, items = flags & 0xFF, array.shape, math.prod(array.shape)
    if kind == _OPAQUE:
        raise ValueError(f"an object of MATLAB's class {array.kind}, which only MATLAB can read; {WAY_OUT}")
    if min(shape, default=-1) < 0 or depth > DEEPEST:
        raise ValueError(f"an array of shape {shape}, {depth} deep")
    if flags & _COMPLEX and kind not in (_CELL, _STRUCT):
        raise ValueError(f"complex numbers in {array.name}")
    if kind in _NUMERIC:
        stored, size, small = content.element()
        if stored not in _NUMBERS or size != items * int(_NUMBERS[stored][1]):
            raise ValueError(f"{size} bytes of type {stored} for {items} numbers")
        if depth:  # what follows is read too
            if size > _MOST:
                raise ValueError(f"{size} bytes inside of another array")
            raw = content.read(size, -size % 8) if small is None else small
            if content.keep:
                array.value = np.frombuffer(raw, content.order + _NUMBERS[stored]).reshape(shape, order="F")
    elif kind == _CHAR:
        array.value = _rows(*content.element_of(_LETTERS, 8 * items + 8), shape, content.order)
    elif kind == _SPARSE:
        if len(shape) != 2:
            raise ValueError(f"a sparse matrix of shape {shape}")
        rows, starts = content.bytes_of({5, 6}, _MOST), content.bytes_of({5, 6}, _MOST)
        values = content.bytes_of(set(_NUMBERS), _MOST)
        if len(starts) != 4 * (shape[1] + 1) or len(rows) > 4 * max(1, len(values)):
            raise ValueError(f"{len(starts) // 4} column starts for a sparse matrix of shape {shape}")
    elif kind == _CELL:
        array.value = [_inner(content, depth) for _ in range(items)]
    elif kind == _STRUCT:
        width = content.numbers("i", content.bytes_of({5}, 4).ljust(4, b"\0"))[0]
        raw = content.bytes_of({1, 2}, 2**16)
        if not 0 < width <= 64 or len(raw) % width:
            raise ValueError(f"{len(raw)} bytes for names of fields of {width}")
        names = [raw[i : i + width].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), width)]
        fields = [(name, _inner(content, depth)) for _ in range(items) for name in names]
        array.value = dict(fields) if items == 1 else None
    else:
        raise ValueError(f"an array of class {array.kind}")


def _inner(content: _Content, depth: int) -> Array:
    kind, size, small = content.element()
    if kind != _MATRIX or small is not None:
        raise ValueError(f"an element of type {kind} in a cell or a structure")
    if not size:
        return Array("", "double", (0, 0), np.zeros((0, 0)))
    array, flags = _header(content)
    _follow(content, array, flags, depth + 1)
    return array


def _rows(kind: int, raw: bytes, shape: tuple[int, ...], order: str) -> list[str]:
    """The rows of a matrix of characters. MATLAB counts UTF-16's units, others count letters."""
    items = math.prod(shape)
    if kind in (16, 18):
        letters = raw.decode("utf-8" if kind == 16 else f"utf-32-{'le' if order == '<' else 'be'}", "replace")
        if len(letters) == items:
            grid = np.array(list(letters), dtype="<U1").reshape(shape[0], -1, order="F") if items else [""]
            return ["".join(row) for row in grid]
        raw, order = letters.encode("utf-16-le"), "<"
    units = np.frombuffer(raw, np.uint8 if kind in (1, 2) else f"{order}u2").astype("<u2")
    if len(units) != items:
        raise ValueError(f"{len(units)} letters for {items}")
    return [utf16(row) for row in units.reshape(shape[0], -1, order="F")] if items else [""]


def utf16(units: np.ndarray) -> str:
    """Text from UTF-16's units. Half of a pair becomes U+FFFD, the sign for what is no character."""
    return units.astype("<u2").tobytes().decode("utf-16-le", "replace")
