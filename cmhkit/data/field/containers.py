"""The two containers of the field's files: MATLAB v5, read by SciPy, and HDF5, read by h5py. Nothing is ever unpickled.

MATLAB v7.3 files are HDF5, and h5py shows them with reversed axes; HDF5 files that Python wrote are not reversed. A
set's arrays are checked against each other: the number of items that they share says which axis is which (`in_order`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data.field.outline import check_outline
from cmhkit.data.field.tables import HDF5, ORDERS, V5, V73
from cmhkit.data.large import BLOCK, HDF5Pictures, LargePictures, as_bytes, rearranged
from cmhkit.support.checks import InputError, check
from cmhkit.support.progress import progress

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
        return f"{self.path} ({self.kind}): {', '.join(map(str, self.entries.values())) or 'nothing'}"


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
    unknown = f"a file that begins with {head[:8]!r}" if head else "an empty file"
    what = next((what for start, what in _OTHER_KINDS.items() if head.startswith(start)), unknown)
    raise Unreadable("a MATLAB v5 or HDF5 file", path, f"is {what}")


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
    from scipy.io import whosmat

    kinds = {"cell": "text", "char": "text", "sparse": "sparse", "logical": "numbers"}
    for key, shape, dtype in whosmat(str(path)):
        kind = "numbers" if re.fullmatch(r"u?int(8|16|32|64)|double|single", dtype) else kinds.get(dtype, "other")
        yield Entry(key, tuple(int(x) for x in shape), dtype, kind)


def _entries_of_hdf5(path: Path) -> Iterator[Entry]:
    import h5py

    with h5py.File(path, "r") as file:
        for key in file:
            if key.startswith("#"):
                continue
            item = _inside(file, key)
            matlab = _matlab_class(item)
            if isinstance(item, h5py.Group):
                sparse = "MATLAB_sparse" in item.attrs and {"ir", "jc", "data"} & set(item)
                shape = (int(item.attrs["MATLAB_sparse"]), len(_inside(item, "jc")) - 1) if sparse else ()
                yield Entry(key, shape, "sparse" if sparse else "group", "sparse" if sparse else "other")
            elif isinstance(item, h5py.Dataset):
                empty = bool(item.attrs.get("MATLAB_empty"))
                text = matlab in ("char", "cell") or h5py.check_string_dtype(item.dtype) is not None
                kind = "text" if text else "numbers" if item.dtype.kind in "biuf" else "other"
                dtype = "empty" if empty else matlab if text and matlab else str(item.dtype)
                yield Entry(key, tuple(item.shape or ()), dtype, "other" if empty else kind)


def _inside(group: Any, key: Any) -> Any:
    """A member of a group by its name, or by a reference. Errors: `InputError` if it lies outside the file."""
    import h5py

    kinds = {h5py.ExternalLink: "an external link", h5py.SoftLink: "a soft link"}
    outside = kinds.get(group.get(key, getclass=True, getlink=True)) if isinstance(key, str) else None
    item = None if outside else group[key]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        outside = "a data set with external storage" if item.external else "a virtual data set"
    name = key if isinstance(key, str) else item.name
    path = group.file.filename
    expect(not outside, "arrays in the file itself", f"{path}, where {name} is {outside}, which is never followed")
    return item


def _matlab_class(item: Any) -> str:
    name = item.attrs.get("MATLAB_class", b"")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


# Which axis is which.


def _readings(container: Container, entry: Entry) -> list[tuple[int, tuple[int, ...], bool]]:
    """The ways to read an array: number of items, axes, and whether it is the container's usual way."""
    shape, (usual, orders) = entry.shape, ORDERS[container.kind]
    if entry.kind == "text":
        count = int(np.prod(shape)) if shape else 0
        if entry.dtype == "char" and shape:  # one text a row
            count = shape[usual.index("n")]
        return [(count, (), True)] if count else []
    if entry.kind == "sparse":
        return [(shape[0], (0, 1), True)]
    if entry.kind != "numbers" or 0 in shape:
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
        expect(readings[role], f"{role} as {_EXPECTED[role]}", f"{entry} in {file.path} ({file.kind}){listing}")
    shared = set.intersection(*({n for n, _, _ in ways} for ways in readings.values()))
    expect(shared, "as many pictures as texts and labels", f"no common number of items{listing}")
    usual = [n for n in shared if all(any(m == n and fits for m, _, fits in ways) for ways in readings.values())]
    counts = usual if len(usual) == 1 else sorted(shared)
    one, ambiguous = "arrays with one reading", "an ambiguous one:"
    number = f"the number of items can be {' or '.join(map(str, counts))}"
    expect(len(counts) == 1, one, f"{ambiguous} {number}{listing}")
    pieces = {}
    for role, ways in readings.items():
        fitting = [axes for n, axes, fits in ways if n == counts[0] and (fits or not usual)]
        expect(len(fitting) == 1, one, f"{ambiguous} {role} can be read in {len(fitting)} ways{listing}")
        pieces[role] = Piece(*group[role], fitting[0])
    return counts[0], pieces


def _suits(role: str, entry: Entry) -> bool:
    text, axes = entry.kind == "text", len(entry.shape)
    if text or role == "paths":
        return text and role in ("texts", "paths")
    return axes in {"images": (2, 4), "texts": (2,), "labels": (0, 1, 2)}[role]


_EXPECTED = {
    "images": "features (n, d) or pictures with 3 colours, numbers",
    "paths": "texts, one path a picture",
    "texts": "numbers (n, t) or texts",
    "labels": "numbers (n, c)",
}


# Reading.


def stored(container: Container, key: str) -> Any:
    """A variable of a MATLAB v5 file as SciPy gives it, once its outline holds: its own type and order in memory."""
    from scipy.io import loadmat

    with _reading(container.path, V5):
        check_outline(container.path, key)
        return loadmat(str(container.path), variable_names=[key])[key]


def matrix(piece: Piece, show_progress: bool = False) -> np.ndarray:
    """Numbers as float32, shape (n, d), values as they are; a sparse matrix is filled. Errors: `InputError` for NaN."""
    container, entry = piece.container, piece.entry
    array = stored(container, entry.key) if container.kind == V5 else None
    with _reading(container.path, container.kind):
        if entry.kind == "sparse":
            array = _sparse_of_hdf5(container.path, entry) if array is None else array
            array.check_format(full_check=True)
            array = array.toarray()
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
        dataset = file[piece.entry.key]
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
        values = _inside(group, "data")[:] if "data" in group else np.zeros(0)
        rows = _inside(group, "ir")[:].astype(np.int64) if "ir" in group else np.zeros(0, dtype=np.int64)
        return csc_matrix((values, rows, _inside(group, "jc")[:].astype(np.int64)), shape=entry.shape)


def pictures(piece: Piece, show_progress: bool = True) -> np.ndarray | LargePictures:
    """Pictures, uint8, shape (n, H, W, 3). From HDF5 they stay in the file, or in the cache if items come not first."""
    path, key, axes = piece.container.path, piece.entry.key, piece.axes
    if piece.container.kind == V5:
        return as_bytes(stored(piece.container, key).transpose(axes), "path", piece.where)
    with _reading(path, piece.container.kind):
        if axes[0] == 0:
            return LargePictures(HDF5Pictures(path, key, axes))
        return rearranged(path, key, axes, show_progress)


def strings(piece: Piece) -> list[str]:
    """Texts of a cell array or of a matrix of characters, stripped. Texts in one cell are joined with a blank."""
    path, key = piece.container.path, piece.entry.key
    if piece.container.kind == V5:
        return [_joined(item, f"{key} of {path}") for item in np.atleast_1d(stored(piece.container, key)).ravel()]
    import h5py

    with _reading(path, piece.container.kind), h5py.File(path, "r") as file:
        return _strings_of_hdf5(file, key)


def _joined(item: Any, where: str) -> str:
    if isinstance(item, np.ndarray):
        return " ".join(part for x in item.ravel() if (part := _joined(x, where)))
    expect(isinstance(item, str), f"texts in {where}", type(item).__name__)
    return str(item).strip()


def _strings_of_hdf5(file: Any, key: Any) -> list[str]:
    import h5py

    item = _inside(file, key)
    if item.attrs.get("MATLAB_empty"):
        return [""]
    if _matlab_class(item) == "cell":
        return [" ".join(_strings_of_hdf5(file, reference)) for reference in item[()].ravel()]
    if h5py.check_string_dtype(item.dtype) is not None:
        return [text.strip() for text in np.atleast_1d(item.asstr()[()]).ravel().tolist()]
    codes = item[()]
    letters = codes.ndim == 2 and codes.dtype.kind == "u"
    expect(letters, f"texts in {item.name}", f"{codes.dtype} with shape {codes.shape}")
    return ["".join(map(chr, column)).strip("\0 ") for column in codes.T]
