"""Pictures that are too many for memory: they stay in their file and are read when they are asked for.

`LargePictures` stands where an array of pictures stands in `PairedData`. What is cut out of it (`images[5]`,
`images[10:20]`, `images[rows]`) is a plain NumPy array; `part` cuts without reading. `resized_pictures` turns picture
files into such a set, one picture at a time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cmhkit.data import cache
from cmhkit.data.pictures import read_photo
from cmhkit.support.checks import InputError, check, check_integer
from cmhkit.support.progress import progress

# Bytes that are read at once.
BLOCK = 2**25
# Rows that are read and thrown away rather than starting a second read.
_GAP = 4
# Of the cache's files.
_FORMAT = 1
_BROKEN = "broken.json"
_GB = 1e9


class Pictures(Protocol):
    """Where pictures come from. shape: (n, H, W, 3). `read` gives the pictures from start to before stop, uint8, shape
    (stop - start, H, W, 3).
    """

    shape: tuple[int, int, int, int]

    def read(self, start: int, stop: int) -> np.ndarray: ...


class HDF5Pictures:
    """Pictures in a data set of an HDF5 file.

    axes: as in `numpy.transpose`, what makes (n, H, W, 3) of the data set; axes[0] is its axis of items. The file is
    opened at the first read. Numbers of another type than uint8 are taken if they are whole and from 0 to 255.
    """

    def __init__(self, path: str | Path, key: str, axes: Sequence[int]) -> None:
        self.path, self.key, self.axes = Path(path), key, tuple(axes)
        self._file: Any = None
        shape = self._dataset().shape
        self.shape = tuple(shape[axis] for axis in self.axes)

    def _dataset(self) -> Any:
        import h5py

        if self._file is None:
            self._file = h5py.File(self.path, "r", rdcc_nbytes=2 * BLOCK)
        return self._file[self.key]

    def per_block(self, size: int) -> int:
        """How many pictures `size` bytes of the file hold, whole chunks if more than one fits, so that none is read
        twice.
        """
        dataset = self._dataset()
        each = max(1, size // (int(np.prod(self.shape[1:])) * dataset.dtype.itemsize))
        chunk = dataset.chunks[self.axes[0]] if dataset.chunks else 1
        return each - each % chunk if each > chunk else each

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}  # another process opens the file itself

    def read(self, start: int, stop: int) -> np.ndarray:
        dataset = self._dataset()
        place: list[slice] = [slice(None)] * 4
        place[self.axes[0]] = slice(start, stop)
        try:
            block = dataset[tuple(place)]
        except OSError as error:
            raise InputError(
                f"path: expected a whole HDF5 file, got {self.path}, where {self.key} cannot be read ({error})"
            ) from error
        return as_bytes(block.transpose(self.axes), "path", f"{self.key} in {self.path}")


class NpyPictures:
    """Pictures in a `.npy` file, uint8, shape (n, H, W, 3). Read, not mapped: a mapped file counts as memory of the
    process.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            np.lib.format.read_magic(file)
            self.shape, _, _ = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()

    def read(self, start: int, stop: int) -> np.ndarray:
        each = int(np.prod(self.shape[1:]))
        flat = np.fromfile(self.path, np.uint8, count=(stop - start) * each, offset=self._start + start * each)
        return flat.reshape(stop - start, *self.shape[1:])


class JoinedPictures:
    """Several sources, one after another. They have pictures of one size."""

    def __init__(self, sources: Sequence[Pictures]) -> None:
        self.sources = list(sources)
        self._starts = np.cumsum([0] + [source.shape[0] for source in self.sources])
        self.shape = (int(self._starts[-1]), *self.sources[0].shape[1:])

    def read(self, start: int, stop: int) -> np.ndarray:
        blocks = []
        for source, first in zip(self.sources, self._starts, strict=False):
            a, b = max(start - first, 0), min(stop - first, source.shape[0])
            if a < b:
                blocks.append(source.read(int(a), int(b)))
        return np.concatenate(blocks) if len(blocks) != 1 else blocks[0]


class LargePictures:
    """Pictures in a file, uint8, shape (n, H, W, 3).

    `images[i]`, `images[a:b]` and `images[rows]` (positions or a bool mask) read what they name; `part(rows)` chooses
    without reading. `numpy.asarray(images)` reads everything.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, source: Pictures, rows: np.ndarray | None = None) -> None:
        self.source, self._rows = source, rows
        self.shape: tuple[int, int, int, int] = (source.shape[0] if rows is None else len(rows), *source.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LargePictures({self.shape}, read when asked for)"

    def __iter__(self) -> Iterator[np.ndarray]:
        each = self._per_block()
        for start in range(0, len(self), each):
            yield from self[start : start + each]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            first, rest = (key[0], key[1:]) if key else (slice(None), ())
            pictures = self[first]
            return pictures[rest] if pictures.ndim == 3 else pictures[(slice(None), *rest)]
        if isinstance(key, slice):
            return self._read(np.arange(*key.indices(len(self))))
        rows = np.asarray(key)
        if rows.ndim == 0 and rows.dtype.kind in "iu":
            return self._read(self._positions(rows[None]))[0]
        return self._read(self._positions(rows))

    def read(self, start: int, stop: int) -> np.ndarray:
        """The pictures from start to before stop: so these pictures can be a source of others."""
        return self[start:stop]

    def part(self, rows: np.ndarray) -> LargePictures:
        """The pictures at these positions, in this order, still unread."""
        rows = self._positions(np.asarray(rows))
        return LargePictures(self.source, rows if self._rows is None else self._rows[rows])

    def _positions(self, rows: np.ndarray) -> np.ndarray:
        if rows.dtype == bool and rows.shape == (len(self),):
            return np.flatnonzero(rows)
        if rows.size == 0:
            return np.zeros(0, dtype=np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise IndexError(f"expected positions, 1-D integers, got {rows.dtype} with shape {rows.shape}")
        rows = rows.astype(np.int64)
        rows = np.where(rows < 0, rows + len(self), rows)
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"expected positions below {len(self)}, got {rows.min()} to {rows.max()}")
        return rows

    def _per_block(self) -> int:
        return max(1, BLOCK // int(np.prod(self.shape[1:])))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        rows = rows if self._rows is None else self._rows[rows]
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(rows, kind="stable")
        wanted, each = rows[order], self._per_block()
        begin = 0
        while begin < len(wanted):
            end = begin + 1
            while end < len(wanted) and wanted[end] - wanted[end - 1] <= _GAP and wanted[end] - wanted[begin] < each:
                end += 1
            first, last = int(wanted[begin]), int(wanted[end - 1])
            out[order[begin:end]] = self.source.read(first, last + 1)[wanted[begin:end] - first]
            begin = end
        return out


def rows_of(images: np.ndarray | LargePictures, rows: np.ndarray) -> np.ndarray | LargePictures:
    """Some pictures of a set: copied out of an array, or still unread out of `LargePictures`."""
    return images.part(rows) if isinstance(images, LargePictures) else images[rows]


def as_bytes(pictures: np.ndarray, argument: str, where: str = "") -> np.ndarray:
    """Pictures as uint8: numbers of any type, if they are whole and from 0 to 255. What else they may mean is not
    guessed; floats up to 1 are shares, even if all are 0 or 1. Errors: `InputError` that says how they become such
    numbers. argument, where: what the message says.
    """
    if pictures.dtype == np.uint8:
        return pictures
    number = pictures.dtype.kind in "iuf"
    finite = number and np.isfinite(pictures).all()
    low, high = (pictures.min(), pictures.max()) if finite and pictures.size else (0, 0)
    shares = pictures.dtype.kind == "f" and 0 < high <= 1
    if finite and not shares and 0 <= low and high <= 255 and (pictures == np.floor(pictures)).all():
        return pictures.astype(np.uint8)
    ways = {
        "they are from 0 to 1: np.rint(255 * pictures).astype(np.uint8)": 0 <= low and high <= 1,
        "they are from -1 to 1: np.rint(127.5 * (pictures + 1)).astype(np.uint8)": -1 <= low < 0 < high <= 1,
        "they are not whole: np.rint(pictures).astype(np.uint8)": 0 <= low and 1 < high <= 255,
        "add the mean that was taken off, and round": low < 0,
        "bring them into that range": True,
    }
    came = f"{pictures.dtype}" + (f" from {low} to {high}" if finite else " with NaN or infinity" if number else "")
    advice = next(way for way, fits in ways.items() if fits)
    raise InputError(
        f"{argument}: expected pictures as whole numbers from 0 to 255, got {came}{where and f' for {where}'}"
        + (f"; {advice}" if finite else "")
    )


def _written_once(
    name: str,
    key: dict[str, Any],
    content: Callable[[Path], tuple[tuple[int, int, int, int], Iterable[np.ndarray]]],
    title: str,
    show_progress: bool,
) -> Path:
    """The cache folder with pictures in `images.npy`, written there unless they are there already.

    name: a readable beginning of the folder's name. key: everything that the pictures depend on. content: returns their
    shape, (n, H, W, 3), and blocks of them in order; it may write into the folder. title: of the progress bar.
    """

    def build(folder: Path) -> None:
        shape, blocks = content(folder)
        room(int(np.prod(shape)))
        bar = progress(shape[0], title, show_progress)
        with bar as step, array_file(folder / "images.npy", shape) as write:
            for block in blocks:
                write(block)
                step(len(block))

    return cache.checked_folder(f"pictures-{file_name(name)}", key, build)


@contextmanager
def array_file(path: Path, shape: tuple[int, ...], dtype: Any = np.uint8) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an array of a known shape into a `.npy` file. Yields the function that takes its next rows."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": tuple(int(x) for x in shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

        def write(block: np.ndarray) -> None:
            file.write(np.ascontiguousarray(block).data)

        yield write


def rearranged(path: Path, key: str, axes: Sequence[int], show_progress: bool = True) -> LargePictures:
    """Pictures of an HDF5 data set whose items do not come first, written once into the cache folder with the items
    first.

    path, key, axes: as for `HDF5Pictures`. A picture alone would be scattered over the whole file. Memory: about 0.3
    GB.
    """
    path = path.resolve()
    state = path.stat()
    made_from = {"what": "pictures", "format": _FORMAT, "key": key, "axes": list(axes)}
    made_from |= {"file": str(path), "bytes": state.st_size, "changed": state.st_mtime_ns}

    def content(_: Path) -> tuple[tuple[int, int, int, int], Iterator[np.ndarray]]:
        source = HDF5Pictures(path, key, axes)
        n, each = source.shape[0], source.per_block(4 * BLOCK)
        return source.shape, (source.read(start, min(start + each, n)) for start in range(0, n, each))

    folder = _written_once(path.stem, made_from, content, "Rearranging pictures", show_progress)
    return LargePictures(NpyPictures(folder / "images.npy"))


def resized_pictures(
    name: str, files: Sequence[Path], resolution: int, show_progress: bool = True
) -> tuple[LargePictures, dict[int, str]]:
    """Picture files as pictures of one size, written once into the cache folder, one picture at a time; and by position
    the files that cannot be read, with the reason. These are black.

    name: a readable beginning of the folder's name. files: anything that Pillow reads, in the order of the pairs.
    resolution: the side R in pixels. A picture is turned as its EXIF data say, made RGB (what is transparent becomes
    white) and squashed to R×R, as the field's files have them. Errors: `InputError` for a resolution outside 16 to
    1,024, a disk that is too full, and a file that is not there or no regular file.
    """
    import PIL

    check_integer("resolution", resolution, 16, 1024)
    key = {
        "what": "resized pictures",
        "format": _FORMAT,
        "resolution": int(resolution),
        "pillow": PIL.__version__,
        "pictures": len(files),
        "files": _digest_of_files(files),
    }

    def squashed(folder: Path) -> Iterator[np.ndarray]:
        broken = {}
        for i, file in enumerate(files):
            picture = np.zeros((resolution, resolution, 3), dtype=np.uint8)
            try:
                picture, _ = read_photo(file, resolution, "squash")
            except InputError as error:
                broken[i] = str(error)
            yield picture[None]
        (folder / _BROKEN).write_text(json.dumps(broken), encoding="utf-8")

    def content(folder: Path) -> tuple[tuple[int, int, int, int], Iterator[np.ndarray]]:
        return (len(files), resolution, resolution, 3), squashed(folder)

    folder = _written_once(name, key, content, "Resizing pictures", show_progress)
    reasons = json.loads((folder / _BROKEN).read_text(encoding="utf-8")) if (folder / _BROKEN).exists() else {}
    return LargePictures(NpyPictures(folder / "images.npy")), {int(i): reason for i, reason in reasons.items()}


def file_name(name: str) -> str:
    """A name with nothing in it that a file system objects to, at most 40 letters."""
    return re.sub(r"[^\w.-]+", "-", name)[:40] or "data"


def room(needed: int) -> None:
    """Errors: `InputError` if the disk of the cache folder has less than `needed` bytes free."""
    free = shutil.disk_usage(cache.cache_dir()).free
    check(
        needed < free,
        f"CMHKIT_CACHE: expected {needed / _GB:.1f} GB free in {cache.cache_dir()} for the pictures, "
        f"got {free / _GB:.1f} GB; choose a smaller resolution or another folder",
    )


def _digest_of_files(files: Iterable[Path]) -> str:
    """A checksum of names, sizes and times of change: content is not read for it."""
    digest = hashlib.sha256()
    for file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise InputError(f"path: expected the picture {file}, which is not there ({error})") from error
        if not stat.S_ISREG(state.st_mode):
            raise InputError(f"path: expected a picture, got {file}, which is no regular file")
        digest.update(f"{file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
