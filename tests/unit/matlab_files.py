"""MATLAB's own files, written byte by byte: what SciPy does not write. Used by the tests of the readers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from field_files import header

_TYPES = {"f8": 9, "f4": 7, "u1": 2, "i8": 12}
_CLASSES = {"f8": 6, "f4": 7, "u1": 9, "i8": 14}


@dataclass
class Char:
    """A matrix of characters; a line end begins a row. kind: how letters are stored (4 and 17 UTF-16, 16 UTF-8, 18
    UTF-32).
    """

    text: str
    kind: int = 4


@dataclass
class opaque:
    """An object of one of MATLAB's classes."""

    name: str


def units(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")


def padded(rows: list[str]) -> np.ndarray:
    """Rows of UTF-16's units, filled with blanks to one length."""
    lines = [units(row) for row in rows]
    grid = np.full((len(lines), max(map(len, lines))), 32, "<u2")
    for row, line in enumerate(lines):
        grid[row, : len(line)] = line
    return grid


def v5_file(path: Path, order: str = "<", /, **values) -> Path:
    """MATLAB v5: arrays, `Char`, lists of these (cells) and `opaque`, by name."""
    mark = b"IM" if order == "<" else b"MI"
    version = struct.pack(f"{order}H", 0x0100)
    content = b"".join(_variable(order, name, value) for name, value in values.items())
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + version + mark + content)
    return path


def _element(order: str, kind: int, data: bytes) -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def _variable(order: str, name: str, value) -> bytes:
    def array(number: int, shape: tuple[int, ...], body: bytes) -> bytes:
        flags = _element(order, 6, struct.pack(f"{order}II", number, 0))
        sizes = _element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
        return _element(order, 14, flags + sizes + _element(order, 1, name.encode()) + body)

    if isinstance(value, opaque):
        flags = _element(order, 6, struct.pack(f"{order}II", 17, 0))
        words = b"".join(_element(order, 1, word.encode()) for word in (name, "MCOS", value.name))
        return _element(order, 14, flags + words + _variable(order, "", np.ones((6, 1))))
    if isinstance(value, list):
        return array(1, (1, len(value)), b"".join(_variable(order, "", item) for item in value))
    if isinstance(value, Char):
        grid = padded(value.text.split("\n"))
        codec = {16: "utf-8", 18: "utf-32-le" if order == "<" else "utf-32-be"}.get(value.kind)
        data = value.text.encode(codec) if codec else grid.astype(f"{order}u2").tobytes("F")
        return array(4, grid.shape if grid.size else (0, 0), _element(order, value.kind, data))
    value = np.asarray(value)
    kind = value.dtype.str[1:]
    data = value.astype(f"{order}{kind}").tobytes("F")
    return array(_CLASSES[kind], value.shape, _element(order, _TYPES[kind], data))


def v73_texts(path: Path, key: str, texts: list, *, grid: bool = False) -> Path:
    """Add texts to a file of MATLAB v7.3: strings as the rows of a matrix of characters; lists as cells, a cell of
    cells where there are several. grid: a cell with a row an item. UTF-16, as MATLAB has it.
    """
    if not path.exists():
        h5py.File(path, "w", userblock_size=512).close()
    with h5py.File(path, "a") as file:
        if isinstance(texts[0], str):
            file.create_dataset(key, data=padded(texts).T).attrs["MATLAB_class"] = np.bytes_("char")
        else:
            references = (
                np.array([[_text(file, text) for text in row] for row in texts], dtype=object) if grid else None
            )
            if references is None:
                references = [[_text(file, row[0]) if len(row) == 1 else _cell(file, row) for row in texts]]
            data = np.array(references, dtype=h5py.ref_dtype)
            file.create_dataset(key, data=data.T if grid else data, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = (
                np.bytes_("cell")
            )
    header(path)
    return path


def _text(file: h5py.File, text: str) -> h5py.Reference:
    kept = file.require_group("#refs#")
    item = kept.create_dataset(f"t{len(kept)}", data=units(text)[:, None] if text else np.zeros(2, np.uint64))
    item.attrs["MATLAB_class"] = np.bytes_("char")
    if not text:
        item.attrs["MATLAB_empty"] = np.uint8(1)
    return item.ref


def _cell(file: h5py.File, texts: list[str]) -> h5py.Reference:
    kept = file.require_group("#refs#")
    inner = np.array([[_text(file, text) for text in texts]], dtype=h5py.ref_dtype)
    item = kept.create_dataset(f"c{len(kept)}", data=inner, dtype=h5py.ref_dtype)
    item.attrs["MATLAB_class"] = np.bytes_("cell")
    return item.ref
