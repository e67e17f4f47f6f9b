"""The two containers of the field's files: MATLAB v5, read by SciPy, and HDF5, read by h5py.

MATLAB v7.3 files are HDF5, and h5py shows them with reversed axes; HDF5 files that Python wrote are not reversed. A set's arrays are checked against
each other: the number of items that all of them share says which axis is which (`in_order`). Nothing is ever unpickled.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cmhkit.data.large import BLOCK, HDF5Pictures, LargePictures, as_bytes, rearranged
from cmhkit.errors import InputError, check
from cmhkit.progress import progress

V5, V73, HDF5 = "MATLAB v5", "MATLAB v7.3 (HDF5)", "HDF5"
ENDINGS = (".mat", ".h5py", ".hdf5", ".h5")
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
#: Beginnings of files that are none of ours, and what they are.
_OTHER_KINDS = {
    b"\x80": "a Python pickle, which is never opened, since it can run code",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x93NUMPY": "a NumPy array",
    b"<": "a web page or XML; the download went wrong",
    b"\xff\xd8\xff": "a JPEG picture",
    b"MATLAB": "a MATLAB file that is cut short or damaged",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}

# Axes that make (n, H, W, 3), by container and by the places of the items' and the colours' axis.
_PICTURE_AXES = {
    V5: {(3, 2): (3, 0, 1, 2), (0, 3): (0, 1, 2, 3), (0, 1): (0, 2, 3, 1)},
    V73: {(0, 1): (0, 3, 2, 1), (3, 2): (3, 0, 1, 2), (3, 0): (3, 2, 1, 0)},
    HDF5: {(0, 1): (0, 3, 2, 1), (3, 2): (3, 0, 1, 2), (0, 3): (0, 1, 2, 3)},
}


# What a file says of itself.


@dataclass(frozen=True)
class Entry:
    """What a file says of one key before it is read. kind: "numbers", "sparse", "text" or "other"."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    kind: str

    def __str__(self) -> str:
        return f"{self.key} {self.shape} {self.dtype}"


@dataclass(frozen=True)
class Container:
    """An opened look at a file: its container and its entries."""

    path: Path
    kind: str
    entries: dict[str, Entry]

    def listing(self) -> str:
        """The file, its container and every entry, in one line."""
        entries = ", ".join(str(entry) for entry in self.entries.values()) or "nothing"
        return f"{self.path} ({self.kind}): {entries}"


def open_container(path: str | Path) -> Container:
    """The container and the entries of a file. No array is read.

    Errors: `InputError` if the file is not there, is neither MATLAB v5 nor HDF5, or is damaged.
    """
    path = Path(path)
    check(path.is_file(), f"path: expected a MATLAB v5 or HDF5 file, got {path}, which is not there")
    kind = _container_kind(path)
    with _reading(path, kind):
        entries = _entries_of_v5(path) if kind == V5 else _entries_of_hdf5(path)
    return Container(path, kind, {entry.key: entry for entry in entries})


def _container_kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    if any(head[place : place + 8] == _HDF5_MAGIC for place in (0, 512, 1024, 2048)):
        return V73 if head.startswith(b"MATLAB 7.3") else HDF5
    if head[126:128] in (b"IM", b"MI") and b"MATLAB" in head[:124] and not head.startswith(b"MATLAB 7.3"):
        return V5
    other = next((what for start, what in _OTHER_KINDS.items() if head.startswith(start)), None)
    if other is None:
        other = "an empty file" if not head else f"a file that begins with {head[:8]!r}"
    raise InputError(f"path: expected a MATLAB v5 or HDF5 file, got {path}, which is {other}")


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # SciPy and h5py have no one error for a file that they cannot read
        raise InputError(f"path: expected a whole {kind} file, got {path}, which cannot be read ({type(error).__name__}: {error})") from error


def _entries_of_v5(path: Path) -> list[Entry]:
    from scipy.io import whosmat

    kinds = {"cell": "text", "char": "text", "sparse": "sparse", "logical": "numbers", "double": "numbers", "single": "numbers"}
    found = []
    for key, shape, dtype in whosmat(str(path)):
        kind = "numbers" if re.fullmatch(r"u?int(8|16|32|64)", dtype) else kinds.get(dtype, "other")
        found.append(Entry(key, tuple(int(x) for x in shape), dtype, kind))
    return found


def _entries_of_hdf5(path: Path) -> list[Entry]:
    import h5py

    found = []
    with h5py.File(path, "r") as file:
        for key in file:
            if key.startswith("#"):
                continue
            item = file.get(key)
            matlab = _matlab_class(item) if item is not None else ""
            if isinstance(item, h5py.Group):
                sparse = "MATLAB_sparse" in item.attrs and {"ir", "jc", "data"} & set(item)
                shape = (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1) if sparse else ()
                found.append(Entry(key, shape, "sparse" if sparse else "group", "sparse" if sparse else "other"))
            elif isinstance(item, h5py.Dataset):
                empty = bool(item.attrs.get("MATLAB_empty"))
                text = matlab in ("char", "cell") or h5py.check_string_dtype(item.dtype) is not None
                kind = "other" if empty else "text" if text else "numbers" if item.dtype.kind in "biuf" else "other"
                found.append(Entry(key, tuple(item.shape or ()), "empty" if empty else matlab if text and matlab else str(item.dtype), kind))
    return found


def _matlab_class(item: Any) -> str:
    name = item.attrs.get("MATLAB_class", b"")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _read_v5(path: Path, key: str) -> Any:
    from scipy.io import loadmat

    with _reading(path, V5):
        check_outline(path, key)
        return loadmat(str(path), variable_names=[key])[key]


# The outline of a MATLAB v5 variable. Types of elements, classes of arrays and bytes of a number are those of MATLAB's "MAT-File Format", level 5.

_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _SPARSE = 1, 4, 5
_NUMERIC_CLASSES = range(6, 16)
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_LETTERS = {1, 2, 4, 16, 17, 18}
_COMPLEX = 0x800


def check_outline(path: Path, key: str) -> None:
    """Follow the outline of one variable. SciPy's reader crashes Python on an array whose class, type or size is damaged.

    Errors: `ValueError` for an outline that is not that of real numbers, of characters, of a sparse matrix or of cells of texts.
    """
    with path.open("rb") as file:
        header = file.read(128)
        order = "<" if header[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            begin = file.tell()
            if kind == _COMPRESSED:
                content = _Inflated(file, size)
                inner = content.read(8)
                kind, size = struct.unpack(f"{order}II", inner) if len(inner) == 8 else (0, 0)
                end = begin + content.packed
            else:
                content, end = _Plain(file, begin + size), begin + size
            if kind != _MATRIX:
                raise ValueError(f"an element of type {kind} where an array should be")
            if _outline(content, order, key):
                return
            file.seek(end)
    raise ValueError(f"no whole variable {key}")


class _Plain:
    """Bytes of a file up to an end."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.file, self.end = file, end

    def read(self, count: int) -> bytes:
        return self.file.read(max(0, min(count, self.end - self.file.tell())))


class _Inflated:
    """Bytes of a compressed element, unpacked as far as they are read."""

    def __init__(self, file: BinaryIO, packed: int) -> None:
        self.file, self.packed, self._left = file, packed, packed
        self._stream, self._ready = zlib.decompressobj(), b""

    def read(self, count: int) -> bytes:
        while len(self._ready) < count and (self._stream.unconsumed_tail or self._left):
            packed = self._stream.unconsumed_tail or self.file.read(min(self._left, 2**16))
            if not self._stream.unconsumed_tail:
                self._left -= len(packed)
                if not packed:
                    break
            self._ready += self._stream.decompress(packed, 2**20)
        out, self._ready = self._ready[:count], self._ready[count:]
        return out


def _element(content: _Plain | _Inflated, order: str) -> tuple[int, int, bytes | None]:
    """Type, size and, for a small element that has its bytes in its tag, these bytes."""
    tag = content.read(8)
    if len(tag) < 8:
        raise ValueError("an array that ends too early")
    kind, size = struct.unpack(f"{order}II", tag)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
        return kind, size, tag[4 : 4 + size]
    return kind, size, None


def _bytes_of(content: _Plain | _Inflated, order: str, wanted: set[int], most: int) -> bytes:
    kind, size, small = _element(content, order)
    if kind not in wanted or size > most:
        raise ValueError(f"an element of type {kind} and {size} bytes where {' or '.join(map(str, sorted(wanted)))} should be")
    if small is not None:
        return small
    found = content.read(size + -size % 8)[:size]
    if len(found) < size:
        raise ValueError("an array that ends too early")
    return found


def _outline(content: _Plain | _Inflated, order: str, key: str | None, depth: int = 0) -> bool:
    """Whether this array has the name `key` (None: any). If it has, its outline is followed, and what it says must hold."""
    flags = struct.unpack(f"{order}II", _bytes_of(content, order, {6}, 8).ljust(8, b"\0"))[0]
    sizes = _bytes_of(content, order, {5}, 256)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    name = _bytes_of(content, order, {1, 2}, 4096).split(b"\0")[0].decode("latin-1")
    if key is not None and name != key:
        return False
    items, kind = math.prod(shape), flags & 0xFF
    if min(shape, default=-1) < 0 or depth > 8:
        raise ValueError(f"an array of shape {shape}, {depth} deep")
    if kind in _NUMERIC_CLASSES:
        if flags & _COMPLEX:
            raise ValueError(f"complex numbers in {key}")
        stored, size, small = _element(content, order)
        if stored not in _BYTES or size != items * _BYTES[stored]:
            raise ValueError(f"{size} bytes of type {stored} for {items} numbers")
        if depth and small is None:
            content.read(size + -size % 8)  # in a cell, more follows
    elif kind == _CHAR:
        _bytes_of(content, order, _LETTERS, 8 * items + 8)
    elif kind == _SPARSE:
        if flags & _COMPLEX or len(shape) != 2:
            raise ValueError(f"a sparse matrix of shape {shape} or of complex numbers")
        rows = _bytes_of(content, order, {5, 6}, 2**31)
        columns = _bytes_of(content, order, {5, 6}, 2**31)
        values = _bytes_of(content, order, set(_BYTES), 2**31)
        if len(columns) != 4 * (shape[1] + 1) or len(rows) > 4 * max(1, len(values)):
            raise ValueError(f"{len(columns) // 4} column starts for a sparse matrix of shape {shape}")
    elif kind == _CELL:
        for _ in range(items):
            inner, size, small = _element(content, order)
            if inner != _MATRIX or small is not None:
                raise ValueError(f"an element of type {inner} in a cell")
            if size:
                _outline(content, order, None, depth + 1)
    else:
        raise ValueError(f"an array of class {kind}")
    return True


@dataclass(frozen=True)
class Piece:
    """One array of a set: where it is, and how its axes become (n, ...)."""

    container: Container
    entry: Entry
    axes: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape when the axes are in order."""
        return tuple(self.entry.shape[axis] for axis in self.axes) if self.axes else self.entry.shape

    def __str__(self) -> str:
        moved = self.axes not in ((), tuple(range(len(self.axes))))
        return f"{self.entry}{f', transposed to {self.shape}' if moved else ''}"


# Which axis is which.


def _readings(container: Container, entry: Entry) -> list[tuple[int, tuple[int, ...], bool]]:
    """The ways to read an array: number of items, axes, and whether it is the container's usual way."""
    shape = entry.shape
    if entry.kind == "text":
        return [(_text_count(container, entry), (), True)] if _text_count(container, entry) else []
    if entry.kind == "sparse":
        return [(shape[0], (0, 1), True)]
    if entry.kind != "numbers" or 0 in shape:
        return []
    if len(shape) == 1:
        return [(shape[0], (0,), True)]
    if len(shape) == 2:
        last = container.kind == V73
        return [(shape[0], (0, 1), not last), (shape[1], (1, 0), last)]
    if len(shape) == 4:
        return [(shape[items], axes, True) for (items, colours), axes in _PICTURE_AXES[container.kind].items() if shape[colours] == 3]
    return []


def _text_count(container: Container, entry: Entry) -> int:
    """How many texts a cell array or a matrix of characters has."""
    if entry.dtype == "char":  # one text a row; h5py shows MATLAB's matrix with reversed axes
        return entry.shape[-1 if container.kind == V73 else 0] if entry.shape else 0
    return int(np.prod(entry.shape)) if entry.shape else 0


def in_order(group: dict[str, tuple[Container, Entry]]) -> tuple[int, dict[str, Piece]]:
    """The number of items that the arrays of one set share, and each array with its axes in order.

    group: by role: "images", "paths", "texts" and "labels". Errors: `InputError` that lists what was found, if an array is of no use for its role,
    if no number of items is shared, and if more than one reading is left when the container's usual order is taken into account.
    """
    listing = "; ".join(f"{role}: {entry} in {container.path.name} ({container.kind})" for role, (container, entry) in group.items())
    options = {}
    for role, (container, entry) in group.items():
        options[role] = _readings(container, entry) if _suits(role, entry) else []
        check(options[role], f"path: expected {role} as {_expected(role)}, got {entry} in {container.path} ({container.kind}). Found: {listing}")
    shared = set.intersection(*({n for n, _, _ in readings} for readings in options.values()))
    check(shared, f"path: expected as many pictures as texts and labels, got no common number of items. Found: {listing}")
    usual = [n for n in shared if all(any(m == n and fits for m, _, fits in readings) for readings in options.values())]
    counts = usual if len(usual) == 1 else sorted(shared)
    unsure = f"the number of items can be {' or '.join(map(str, counts))}"
    check(len(counts) == 1, f"path: expected arrays with one reading, got an ambiguous one: {unsure}. Found: {listing}")
    n, pieces = counts[0], {}
    for role, readings in options.items():
        fitting = [axes for m, axes, fits in readings if m == n and (fits or not usual)]
        unsure = f"{role} can be read in {len(fitting)} ways"
        check(len(fitting) == 1, f"path: expected arrays with one reading, got an ambiguous one: {unsure}. Found: {listing}")
        pieces[role] = Piece(*group[role], fitting[0])
    return n, pieces


def _suits(role: str, entry: Entry) -> bool:
    if role == "paths":
        return entry.kind == "text"
    if role == "texts":
        return entry.kind == "text" or len(entry.shape) == 2
    return entry.kind != "text" and (len(entry.shape) in (2, 4) if role == "images" else len(entry.shape) < 3)


def _expected(role: str) -> str:
    return {
        "images": "features (n, d) or pictures with 3 colours, numbers",
        "paths": "texts, one path a picture",
        "texts": "numbers (n, t) or texts",
        "labels": "numbers (n, c)",
    }[role]


# Reading.


def matrix(piece: Piece, show_progress: bool = False) -> np.ndarray:
    """Numbers as float32, shape (n, d), values as they are (0/1, counts and real numbers alike); a sparse matrix is filled up.

    Errors: `InputError` for NaN and infinity.
    """
    path, entry = piece.container.path, piece.entry
    if piece.container.kind == V5:
        found = _read_v5(path, entry.key)
        if entry.kind == "sparse":
            with _reading(path, V5):
                found.check_format(full_check=True)
        full = found.toarray() if entry.kind == "sparse" else np.asarray(found)
        check(full.ndim == len(entry.shape) and full.dtype.kind in "biuf", f"path: expected {entry.key} as numbers in {path}, got {full.dtype}")
        out = np.ascontiguousarray(full.transpose(piece.axes), dtype=np.float32)
    else:
        with _reading(path, piece.container.kind):
            out = _sparse_matrix(path, entry) if entry.kind == "sparse" else _hdf5_matrix(path, entry, piece.axes, show_progress)
    out = out.reshape(len(out), -1)
    for start in range(0, len(out), 4096):
        bad = ~np.isfinite(out[start : start + 4096]).all(axis=1)
        check(
            not bad.any(),
            f"path: expected finite numbers in {entry.key} of {path}, got NaN or infinity, the first in row {start + int(bad.argmax())}",
        )
    return out


def _hdf5_matrix(path: Path, entry: Entry, axes: tuple[int, ...], show_progress: bool) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file[entry.key]
        if len(axes) == 1:
            return dataset[:].astype(np.float32)[:, None]
        n, width = (dataset.shape[axis] for axis in axes)
        out = np.empty((n, width), dtype=np.float32)
        each = max(1, 2 * BLOCK // (width * dataset.dtype.itemsize))
        with progress(n, f"Reading {entry.key}", show_progress and n > each) as step:
            for start in range(0, n, each):
                stop = min(start + each, n)
                out[start:stop] = dataset[:, start:stop].T if axes == (1, 0) else dataset[start:stop]
                step(stop - start)
        return out


def _sparse_matrix(path: Path, entry: Entry) -> np.ndarray:
    import h5py
    from scipy.sparse import csc_matrix

    with h5py.File(path, "r") as file:
        group = file[entry.key]
        values = group["data"][:] if "data" in group else np.zeros(0)
        rows = group["ir"][:].astype(np.int64) if "ir" in group else np.zeros(0, dtype=np.int64)
        found = csc_matrix((values, rows, group["jc"][:].astype(np.int64)), shape=entry.shape)
    found.check_format()
    return found.toarray().astype(np.float32)


def pictures(piece: Piece, show_progress: bool = True) -> np.ndarray | LargePictures:
    """Pictures, uint8, shape (n, H, W, 3). From HDF5 they stay in the file, or in the cache folder if the file does not have the items first."""
    path, key, axes = piece.container.path, piece.entry.key, piece.axes
    if piece.container.kind == V5:
        return as_bytes(_read_v5(path, key).transpose(axes), f"{key} in {path}")
    with _reading(path, piece.container.kind):
        if axes[0] == 0:
            return LargePictures(HDF5Pictures(path, key, axes))
        return rearranged(path, key, axes, show_progress)


def strings(piece: Piece) -> list[str]:
    """Texts of a cell array or of a matrix of characters, blanks at their ends removed. Texts in one cell are joined with a blank."""
    path, key = piece.container.path, piece.entry.key
    if piece.container.kind == V5:
        found = np.asarray(_read_v5(path, key))
        items = found.ravel() if found.dtype == object else np.atleast_1d(found).ravel()
        return [_joined(item, f"{key} of {path}") for item in items]
    import h5py

    with _reading(path, piece.container.kind), h5py.File(path, "r") as file:
        return _hdf5_strings(file, file[key])


def _joined(item: Any, where: str) -> str:
    if isinstance(item, np.ndarray):
        return " ".join(part for x in item.ravel() if (part := _joined(x, where)))
    check(isinstance(item, str), f"path: expected texts in {where}, got {type(item).__name__}")
    return str(item).strip()


def _hdf5_strings(file: Any, item: Any) -> list[str]:
    import h5py

    if item.attrs.get("MATLAB_empty"):
        return [""]
    if _matlab_class(item) == "cell":
        return [" ".join(_hdf5_strings(file, file[ref])) for ref in item[()].ravel()]
    if h5py.check_string_dtype(item.dtype) is not None:
        return [text.strip() for text in np.atleast_1d(item.asstr()[()]).ravel().tolist()]
    codes = item[()]
    check(codes.ndim == 2 and codes.dtype.kind == "u", f"path: expected texts in {item.name}, got {codes.dtype} with shape {codes.shape}")
    return ["".join(map(chr, column)).strip("\0 ") for column in codes.T]
