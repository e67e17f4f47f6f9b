"""The outline of a MATLAB v5 variable, followed before SciPy reads it.

SciPy crashes Python on an array whose class, type or size is damaged.
Types of elements, classes of arrays and bytes of a number are those of MATLAB's "MAT-File Format", level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _SPARSE = 1, 4, 5
_NUMERIC_CLASSES = range(6, 16)
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_LETTERS = {1, 2, 4, 16, 17, 18}
_COMPLEX = 0x800
_MOST = 2**31


class _Content:
    """The bytes of one element, unpacked as far as they are read. order: "<" or ">", how the file writes numbers."""

    def __init__(self, file: BinaryIO, size: int, order: str, packed: bool) -> None:
        self.file, self.left, self.order = file, size, order
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

    def bytes_of(self, types: set[int], most: int) -> bytes:
        kind, size, small = self.element()
        if kind not in types or size > most:
            expected = " or ".join(map(str, sorted(types)))
            raise ValueError(f"an element of type {kind} and {size} bytes where {expected} should be")
        return self.read(size, -size % 8) if small is None else small


def check_outline(path: Path, key: str) -> None:
    """Follow the outline of one variable.

    Errors: `ValueError` for an outline that is not that of real numbers, characters, a sparse matrix or cells of texts.
    """
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            end = file.tell() + size
            content = _Content(file, size, order, packed=kind == _COMPRESSED)
            if kind == _COMPRESSED:
                kind = content.numbers("I", content.read(8))[0]
            if kind != _MATRIX:
                raise ValueError(f"an element of type {kind} where an array should be")
            if _follow(content, key):
                return
            file.seek(end)
    raise ValueError(f"no whole variable {key}")


def _follow(content: _Content, key: str | None, depth: int = 0) -> bool:
    """Whether this array has the name `key` (None: any). If it has, its outline is followed and must hold."""
    flags = content.numbers("I", content.bytes_of({6}, 8).ljust(8, b"\0"))[0]
    shape = content.numbers("i", content.bytes_of({5}, 256))
    name = content.bytes_of({1, 2}, 4096).split(b"\0")[0].decode("latin-1")
    if key not in (None, name):
        return False
    items, kind = math.prod(shape), flags & 0xFF
    if min(shape, default=-1) < 0 or depth > 8:
        raise ValueError(f"an array of shape {shape}, {depth} deep")
    if flags & _COMPLEX and kind != _CELL:
        raise ValueError(f"complex numbers in {key}")
    if kind in _NUMERIC_CLASSES:
        stored, size, small = content.element()
        if stored not in _BYTES or size != items * _BYTES[stored]:
            raise ValueError(f"{size} bytes of type {stored} for {items} numbers")
        if depth and small is None:
            content.read(size, -size % 8)  # in a cell, more follows
    elif kind == _CHAR:
        content.bytes_of(_LETTERS, 8 * items + 8)
    elif kind == _SPARSE:
        if len(shape) != 2:
            raise ValueError(f"a sparse matrix of shape {shape}")
        rows, starts = content.bytes_of({5, 6}, _MOST), content.bytes_of({5, 6}, _MOST)
        values = content.bytes_of(set(_BYTES), _MOST)
        if len(starts) != 4 * (shape[1] + 1) or len(rows) > 4 * max(1, len(values)):
            raise ValueError(f"{len(starts) // 4} column starts for a sparse matrix of shape {shape}")
    elif kind == _CELL:
        for _ in range(items):
            inner, size, small = content.element()
            if inner != _MATRIX or small is not None:
                raise ValueError(f"an element of type {inner} in a cell")
            if size:
                _follow(content, None, depth + 1)
    else:
        raise ValueError(f"an array of class {kind}")
    return True
