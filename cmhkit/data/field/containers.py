"""The two containers of the field's files: MATLAB v5 and HDF5. Nothing is ever unpickled.

MATLAB v7.3 files are HDF5, and h5py shows them with reversed axes; HDF5 files that Python wrote are not reversed. A
set's arrays are checked against each other: the number of items that they share says which axis is which (`in_order`).
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data.field import outline
from cmhkit.data.field.tables import HDF5, ORDERS, V5, V73
from cmhkit.data.large import BLOCK, HDF5Pictures, LargePictures, as_bytes, rearranged
from cmhkit.support.checks import InputError, check, some
from cmhkit.support.progress import progress

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
#: Classes of MATLAB that are no objects.
_PLAIN = {*"double single logical char cell struct int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()}
#: No compression of HDF5's makes numbers smaller than this share of them.
_LEAST_SHARE = 1 / 1100
#: Beginnings of files that are none of ours, and what they are.
_OTHER_KINDS = {
    b"\x80": "a Python pickle, which is never opened, since it can run code",
    b"PK": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x93NUMPY": "a NumPy array",
    b"<": "a web page or XML; the download went wrong",
    b"\xff\xd8\xff": "a JPEG picture",
    b"MATLAB": "a MATLAB file that is cut short or damaged",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}


class Unreadable(InputError):
    """A file that is not what its reader expects. reason: what it is, or why it cannot be read."""

    def __init__(self, expected: str, path: Path, reason: str) -> None:
        super().__init__(f"path: expected {expected}, got {path}, which {reason}")
        self.reason = reason


def expect(good: object, expected: str, got: str) -> None:
    """Errors: `InputError` about the path, what was expected and what came, unless `good` is true."""
    check(good, f"path: expected {expected}, got {got}")


def regular(path: Path) -> Path:
    """The path itself. Errors: `InputError` for a pipe, a socket or a device: reading one may wait without end."""
    ordinary = path.is_file() or path.is_dir() or not path.exists()
    expect(ordinary, "a regular file", f"{path}, which is a pipe, a socket or a device")
    return path


# What a file says of itself.


@dataclass(frozen=True)
class Entry:
    """What a file says of one key before it is read. kind: "numbers", "sparse", "text", "object" or "other".

    key: of what lies in a structure or a group, `structure.field` or `group/key`.
    """

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
        """The file, its container and its entries, in one line."""
        return f"{self.path} ({self.kind}): {some(self.entries.values(), 40) or 'nothing'}"


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

    @property
    def where(self) -> str:
        """The key and the file, for messages."""
        return f"{self.entry.key} in {self.container.path}"

    def __str__(self) -> str:
        moved = self.axes not in ((), tuple(range(len(self.axes))))
        return f"{self.entry}{f', transposed to {self.shape}' if moved else ''}"


def open_container(path: str | Path) -> Container:
    """The container and the entries of a file. No array is read.

    Errors: `InputError` if the file is not there, is no regular file, is neither MATLAB v5 nor HDF5, or is damaged; and
    for an HDF5 file with a link or with storage outside itself, which is never followed.
    """
    path = regular(Path(path))
    if not path.is_file():
        raise Unreadable("a MATLAB v5 or HDF5 file", path, "is not there")
    kind = container_kind(path)
    with _reading(path, kind):
        entries = _entries_of_v5(path) if kind == V5 else _entries_of_hdf5(path)
        return Container(path, kind, {entry.key: entry for entry in entries})


def container_kind(path: Path) -> str:
    """Which container a file is, by its first bytes. Errors: `InputError` that says what it is, if it is neither."""
    with path.open("rb") as file:
        head = file.read(4096)
    if any(head[place : place + 8] == _HDF5_MAGIC for place in (0, 512, 1024, 2048)):
        return V73 if head.startswith(b"MATLAB 7.3") else HDF5
    if head[126:128] in (b"IM", b"MI") and b"MATLAB" in head[:124] and not head.startswith(b"MATLAB 7.3"):
        return V5
    if head.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        raise Unreadable("a MATLAB v5 or HDF5 file", path, f"is {_archive(path)}")
    unknown = f"a file that begins with {head[:8]!r}" if head else "an empty file"
    what = next((what for start, what in _OTHER_KINDS.items() if head.startswith(start)), unknown)
    raise Unreadable("a MATLAB v5 or HDF5 file", path, f"is {what}")


def _archive(path: Path) -> str:
    """What a zip archive is, and what to do."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    save = "write its arrays into a .mat file with scipy.io.savemat"
    if any(name.endswith("data.pkl") for name in names):
        return f"a PyTorch file, which is never opened here, since it can run code; {save}"
    if names and all(name.endswith(".npy") for name in names):
        return f"an archive of NumPy arrays ({some(names)}); {save}"
    return f"{_OTHER_KINDS[b'PK']} ({some(names)})"


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except BlockingIOError as error:
        raise Unreadable(f"a {kind} file", path, "another program has open for writing; close it there") from error
    except Exception as error:  # SciPy and h5py have no one error for a file that they cannot read
        reason = f"cannot be read ({type(error).__name__}: {error})"
        raise Unreadable(f"a whole {kind} file", path, reason) from error


def _entries_of_v5(path: Path) -> Iterator[Entry]:
    kinds = {"cell": "text", "char": "text", "sparse": "sparse", "struct": "other"}

    def entry(key: str, array: outline.Array) -> Entry:
        kind = kinds.get(array.kind) or ("numbers" if array.kind in _PLAIN else "object")
        return Entry(key, array.shape, array.kind, "other" if "." in key and kind == "sparse" else kind)

    for array in outline.variables(path):
        fields = array.value or {} if array.kind == "struct" else {}
        yield from (entry(f"{array.name}.{name}", value) for name, value in fields.items())
        if not fields:
            yield entry(array.name, array)


def _entries_of_hdf5(path: Path) -> Iterator[Entry]:
    import h5py

    with h5py.File(path, "r") as file:
        yield from _entries_of_group(file, "")


def _entries_of_group(group: Any, above: str) -> Iterator[Entry]:
    import h5py

    for name in group:
        if name.startswith("#"):
            continue
        key, item = above + name, _inside(group, name)
        if isinstance(item, h5py.Group):
            if "MATLAB_sparse" in item.attrs and {"ir", "jc", "data"} & set(item):
                shape = (int(item.attrs["MATLAB_sparse"]), len(_inside(item, "jc")) - 1)
                yield Entry(key, shape, "sparse", "sparse")
            elif above or not len(item):
                yield Entry(key, (), "group", "other")
            else:
                yield from _entries_of_group(item, f"{key}/")
        elif isinstance(item, h5py.Dataset):
            matlab = _matlab_class(item)
            text = matlab in ("char", "cell") or h5py.check_string_dtype(item.dtype) is not None
            kind = "text" if text else "numbers" if item.dtype.kind in "biuf" else "other"
            dtype = matlab if text and matlab else str(item.dtype)
            if item.attrs.get("MATLAB_empty"):
                kind, dtype = "other", "empty"
            elif matlab and matlab not in _PLAIN:
                kind, dtype = "object", matlab
            yield Entry(key, tuple(item.shape or ()), dtype, kind)


def _inside(group: Any, key: Any) -> Any:
    """A member of a group by its name, or by a reference. Errors: `InputError` if it lies outside the file."""
    import h5py

    kinds = {h5py.ExternalLink: "an external link", h5py.SoftLink: "a soft link"}
    outside = kinds.get(group.get(key, getclass=True, getlink=True)) if isinstance(key, str) else None
    item = None if outside else group[key]
    if isinstance(item, h5py.Dataset):
        kept = item.id.get_create_plist()
        if kept.get_external_count() or kept.get_layout() == h5py.h5d.VIRTUAL:
            outside = "a data set with external storage" if item.external else "a virtual data set"
    if outside:  # looking up the name of what a reference names goes through the whole file
        where = f"{group.file.filename}, where {key if isinstance(key, str) else item.name}"
        expect(False, "arrays in the file itself", f"{where} is {outside}, which is never followed")
    return item


def _matlab_class(item: Any) -> str:
    name = item.attrs.get("MATLAB_class", b"")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


# Which axis is which.


def _readings(container: Container, entry: Entry) -> list[tuple[int, tuple[int, ...], bool]]:
    """The ways to read an array: number of items, axes, and whether it is the container's usual way."""
    shape, (usual, orders) = entry.shape, ORDERS[container.kind]
    if entry.kind == "text":
        if entry.dtype == "char" and shape:  # one text a row
            shape = (shape[usual.index("n")],)
        if len(shape) != 2 or 1 in shape:
            return [(math.prod(shape), (), True)] if shape and math.prod(shape) else []
    if entry.kind == "sparse":
        return [(shape[0], (0, 1), True)]
    if entry.kind not in ("numbers", "text") or 0 in shape:
        return []
    if len(shape) == 1:
        return [(shape[0], (0,), True)]
    if len(shape) == 2:
        return [(shape[axes[0]], axes, axes[0] == usual.index("n")) for axes in ((0, 1), (1, 0))]
    if len(shape) == 4:
        moves = [tuple(order.index(axis) for axis in "nhwc") for order in orders]
        return [(shape[axes[0]], axes, True) for axes in moves if shape[axes[3]] == 3]
    return []


def in_order(group: dict[str, tuple[Container, Entry]]) -> tuple[int, dict[str, Piece]]:
    """The number of items that the arrays of one set share, and each array with its axes in order.

    group: by role: "images", "paths", "texts" and "labels". Errors: `InputError` that lists what was found, if an array
    is of no use for its role, if no number of items is shared, and if more than one reading is left when the
    container's usual order is taken into account.
    """
    listed = [f"{role}: {entry} in {file.path.name} ({file.kind})" for role, (file, entry) in group.items()]
    listing = f". Found: {'; '.join(listed)}"
    readings = {}
    for role, (file, entry) in group.items():
        readings[role] = _readings(file, entry) if _suits(role, entry) else []
        came = f"{entry} in {file.path} ({file.kind})"
        if entry.kind == "object":
            way_out = outline.WAY_OUT.replace("...", entry.key)
            came += f", an object of MATLAB's class {entry.dtype}, which only MATLAB can read; {way_out}"
        expect(readings[role], f"{role} as {_EXPECTED[role]}", f"{came}{listing}")
    shared = set.intersection(*({n for n, _, _ in ways} for ways in readings.values()))
    expect(shared, "as many pictures as texts and labels", f"no common number of items{listing}")
    usual = [n for n in shared if all(any(m == n and fits for m, _, fits in ways) for ways in readings.values())]
    numbers = usual if len(usual) == 1 else sorted(shared)
    one, ambiguous = "arrays with one reading", "an ambiguous one:"
    number = f"the number of items can be {' or '.join(map(str, numbers))}"
    expect(len(numbers) == 1, one, f"{ambiguous} {number}{listing}")
    pieces = {}
    for role, ways in readings.items():
        fitting = [axes for n, axes, fits in ways if n == numbers[0] and (fits or not usual)]
        expect(len(fitting) == 1, one, f"{ambiguous} {role} can be read in {len(fitting)} ways{listing}")
        pieces[role] = Piece(*group[role], fitting[0])
    return numbers[0], pieces


def _suits(role: str, entry: Entry) -> bool:
    if entry.kind == "text" or role == "paths":
        return entry.kind == "text" and role != "images"
    return len(entry.shape) in {"images": (2, 4), "texts": (2,), "labels": (0, 1, 2)}[role]


def counts(container: Container, entry: Entry) -> set[int]:
    """How many items an entry may have."""
    return {n for n, _, _ in _readings(container, entry)}


def fits(role: str, container: Container, entry: Entry) -> bool:
    """Whether an entry can have this role, or is an object that its maker may have meant for it."""
    return entry.kind == "object" or (_suits(role, entry) and bool(counts(container, entry)))


_EXPECTED = {
    "images": "features (n, d) or pictures with 3 colours, numbers",
    "paths": "texts, one path a picture",
    "texts": "numbers (n, t) or texts",
    "labels": "numbers (n, c) or texts",
}


# Reading.


def stored(container: Container, key: str, **options: Any) -> Any:
    """A variable of a MATLAB v5 file as SciPy gives it, once its outline holds: its own type and order in memory.

    options: of `scipy.io.loadmat`.
    """
    from scipy.io import loadmat

    with _reading(container.path, V5):
        name, _, field = key.partition(".")
        array = outline.variable(container.path, name)
        if field:
            return array.value[field].value
        _check_memory(array.shape, 1, f"{key} in {container.path}")
        return loadmat(str(container.path), variable_names=[key], **options)[key]


def _check_memory(shape: Sequence[int], size: int, where: str) -> None:
    """Errors: `InputError` for an array, with numbers of that many bytes, that this machine has no memory for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    needed = math.prod(shape) * size
    came = f"shape {tuple(shape)}, which takes {needed / 1e9:,.0f} GB"
    expect(needed <= memory, f"an array for {where} that fits into memory ({memory / 1e9:,.0f} GB)", came)


def _check_declared(item: Any, where: str) -> Any:
    """A data set that is really there. Errors: `InputError` for one that is declared and was not written."""
    declared, there = item.size * item.dtype.itemsize if item.shape is not None else 0, item.id.get_storage_size()
    good = there > 0 or not declared
    good = good and (declared < 2**30 or there > declared * _LEAST_SHARE)
    expect(good, f"a whole array for {where}", f"shape {item.shape}, of which {there:,} bytes are there")
    return item


def _values(item: Any, where: str) -> Any:
    """All of a data set of HDF5."""
    _check_memory(item.shape or (), item.dtype.itemsize, where)
    return _check_declared(item, where)[()]


def vector(piece: Piece) -> np.ndarray:
    """Numbers in one row or column, float32, shape (n,)."""
    return matrix(replace(piece, axes=tuple(range(len(piece.entry.shape))))).ravel()


def matrix(piece: Piece, show_progress: bool = False) -> np.ndarray:
    """Numbers as float32, shape (n, d), values as they are; a sparse matrix is filled. Errors: `InputError` for NaN."""
    container, entry = piece.container, piece.entry
    _check_memory(entry.shape, 4, piece.where)
    array = stored(container, entry.key) if container.kind == V5 else None
    with _reading(container.path, container.kind):
        if entry.kind == "sparse":
            array = _sparse_of_hdf5(container.path, entry) if array is None else array
            array.check_format(full_check=True)
            array = array.astype(np.float32).toarray()
        elif array is None:
            array = _matrix_of_hdf5(piece, show_progress)
        usable = array.ndim == len(entry.shape) and array.dtype.kind in "biuf"
        expect(usable, f"{entry.key} as numbers in {container.path}", str(array.dtype))
        if container.kind == V5:
            array = array.transpose(piece.axes)
        out = np.ascontiguousarray(array, dtype=np.float32)
    out = out.reshape(len(out), -1)
    for start in range(0, len(out), 4096):
        bad = ~np.isfinite(out[start : start + 4096]).all(axis=1)
        first = f"NaN or infinity, the first in row {start + int(bad.argmax())}"
        expect(not bad.any(), f"finite numbers in {entry.key} of {container.path}", first)
    return out


def _matrix_of_hdf5(piece: Piece, show_progress: bool) -> np.ndarray:
    import h5py

    with h5py.File(piece.container.path, "r") as file:
        dataset = _check_declared(file[piece.entry.key], piece.where)
        if len(piece.axes) == 1:
            return dataset[:].astype(np.float32)
        n, width = (dataset.shape[axis] for axis in piece.axes)
        out = np.empty((n, width), dtype=np.float32)
        each = max(1, 2 * BLOCK // (width * dataset.dtype.itemsize))
        with progress(n, f"Reading {piece.entry.key}", show_progress and n > each) as step:
            for start in range(0, n, each):
                stop = min(start + each, n)
                out[start:stop] = dataset[:, start:stop].T if piece.axes == (1, 0) else dataset[start:stop]
                step(stop - start)
        return out


def _sparse_of_hdf5(path: Path, entry: Entry) -> Any:
    import h5py
    from scipy.sparse import csc_matrix

    with h5py.File(path, "r") as file:
        group = file[entry.key]
        where = f"{entry.key} in {path}"
        parts = (_values(_inside(group, key), where) if key in group else np.zeros(0) for key in ("data", "ir", "jc"))
        values, rows, starts = parts
        return csc_matrix((values, rows.astype(np.int64), starts.astype(np.int64)), shape=entry.shape)


def pictures(piece: Piece, show_progress: bool = True) -> np.ndarray | LargePictures:
    """Pictures, uint8, shape (n, H, W, 3). From HDF5 they stay in the file, or in the cache if items come not first."""
    path, key, axes = piece.container.path, piece.entry.key, piece.axes
    if piece.container.kind == V5:
        return as_bytes(stored(piece.container, key).transpose(axes), "path", piece.where)
    import h5py

    with _reading(path, piece.container.kind):
        with h5py.File(path, "r") as file:
            _check_declared(file[key], piece.where)
        if axes[0] == 0:
            return LargePictures(HDF5Pictures(path, key, axes))
        return rearranged(path, key, axes, show_progress)


def strings(piece: Piece) -> list[list[str]]:
    """The texts of each item, stripped: one for a row of characters, as many as are there for a cell, or for cells in
    cells. Half of a pair of UTF-16 becomes U+FFFD, so that every text can be written again.
    """
    path, key = piece.container.path, piece.entry.key
    with _reading(path, piece.container.kind):
        if piece.container.kind == V5:
            name, _, field = key.partition(".")
            array = outline.variable(path, name)
            array = array.value[field] if field else array
            items = array.value if array.kind == "char" else [_texts_of_v5(item, piece.where) for item in array.value]
        else:
            import h5py

            with h5py.File(path, "r") as file:
                items = _Texts(piece.where, path.stat().st_size).rows(file, _inside(file, key))
    parts = [[text for text in map(_stripped, [item] if isinstance(item, str) else item) if text] for item in items]
    if not piece.axes:
        return parts
    order = "F" if piece.container.kind == V5 else "C"
    grid = np.arange(len(parts)).reshape(piece.entry.shape, order=order).transpose(piece.axes)
    return [[text for i in row for text in parts[i]] for row in grid]


def _stripped(text: str) -> str:
    return text.strip("\0 \t\r\n")


def _texts_of_v5(array: outline.Array, where: str) -> list[str]:
    if array.kind == "cell":
        return [text for item in array.value for text in _texts_of_v5(item, where)]
    expect(array.kind == "char" or 0 in array.shape, f"texts in {where}", f"{array.kind} with shape {array.shape}")
    return array.value if array.kind == "char" else []


class _Texts:
    """Reads the texts of an HDF5 file. where: what a message says. size: of the file, in bytes: a reference takes eight
    of them, so that no more are followed.
    """

    def __init__(self, where: str, size: int) -> None:
        self.where, self.left = where, size // 8

    def rows(self, file: Any, item: Any, depth: int = 0) -> list[Any]:
        """The texts of a matrix of characters or of Python's strings; of a cell, those of each of its items."""
        import h5py

        kind = _matlab_class(item)
        if kind and item.attrs.get("MATLAB_empty"):
            return []
        if kind == "cell":
            references = np.ravel(_values(item, self.where))
            self.left -= len(references)
            good = self.left >= 0 and depth <= outline.DEEPEST
            expect(good, f"texts in {self.where}", "more cells in cells than it has room for")
            inner = (self.rows(file, _inside(file, reference), depth + 1) for reference in references)
            return [[text for row in rows for text in ([row] if isinstance(row, str) else row)] for rows in inner]
        if kind != "char" and h5py.check_string_dtype(item.dtype) is not None:
            _check_declared(item, self.where)
            return np.ravel(item.asstr("utf-8", "replace")[()]).tolist()
        plain, objects = not kind or kind in _PLAIN, f"objects of MATLAB's class {kind}; {outline.WAY_OUT}"
        expect(plain, f"texts in {self.where}", objects)
        codes = _values(item, self.where)
        letters = codes.ndim == 2 and codes.dtype.kind == "u" and codes.dtype.itemsize <= 2
        expect(letters, f"texts in {self.where}", f"{codes.dtype} with shape {codes.shape}")
        return [outline.utf16(column) for column in codes.T]
