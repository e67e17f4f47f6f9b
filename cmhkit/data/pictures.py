"""Picture files as squares of one size, as a folder of your own pictures has them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmhkit.support.checks import InputError, check, check_choice, check_integer

if TYPE_CHECKING:
    from PIL import Image

#: How a picture becomes a square; the benchmarks are squashed too.
RESIZE = ("letterbox", "crop")
#: The colour of a letterbox's bars, and what shows through a transparent picture.
BARS, BEHIND = (127, 127, 127), "white"
# Formats that Pillow hands to another program, or knows without reading them.
_NO_PICTURES = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}


def picture_endings() -> set[str]:
    """The endings of the picture files that Pillow reads itself, such as ".jpg"."""
    from PIL import Image

    formats = _formats()
    return {ending for ending, kind in Image.registered_extensions().items() if kind in formats}


def _formats() -> list[str]:
    """The formats that Pillow reads itself."""
    from PIL import Image

    Image.init()
    return [kind for kind in Image.ID if kind in Image.OPEN and kind not in _NO_PICTURES]


def read_photos(files: Sequence[str | Path], side: int = 224, resize: str = "letterbox") -> np.ndarray:
    """New picture files in the form that `load_folder` gives its own: uint8, shape (n, side, side, 3).

    `hasher.encode(images=read_photos(["dog.jpg"]))`. side, resize: as for `load_folder`; give those of the training
    data. Errors: `InputError` that names the first file that cannot be read, and why.
    """
    check(not isinstance(files, (str, Path)), f"files: expected a list of files, got one path; write [{str(files)!r}]")
    check_integer("side", side, 16, 1024)
    check_choice("resize", resize, RESIZE)
    pictures = np.empty((len(files), side, side, 3), dtype=np.uint8)
    for row, file in enumerate(files):
        check(Path(file).is_file(), f"files: expected pictures, got {file}, which is not there")
        try:
            pictures[row], _ = read_photo(Path(file), side, resize)
        except InputError as error:
            raise InputError(f"files: expected pictures, got {file}: {error}") from error
    return pictures


def read_photo(path: Path, side: int, resize: str = "letterbox") -> tuple[np.ndarray, str]:
    """One picture file as uint8, shape (side, side, 3), and a remark, or an empty text.

    resize: "letterbox" or "crop", as for `load_folder`, or "squash". Errors: `InputError` that says why the file cannot
    be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    check(path.stat().st_size > 0, "empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_formats()) as opened:
                remark = "several pictures in one file, of which the first was taken" if _several(opened) else ""
                opened.draft("RGB", (2 * side, 2 * side))  # a large JPEG is decoded at a fraction of its size
                image = _eight_bits(ImageOps.exif_transpose(opened))
                return np.asarray(_square(image, side, resize)), remark
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InputError(f"more than {limit:.0f} million pixels, Pillow's limit") from error
    except UnidentifiedImageError as error:
        raise InputError("no picture that Pillow knows") from error
    except Exception as error:  # Pillow has no one error for a file that it cannot read
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise InputError("cut off" if cut else f"broken ({type(error).__name__})") from error


def _several(image: Image.Image) -> bool:
    """True if a file has more pictures than one. A file whose second picture is broken has one."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # as above
        return False


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture in RGB of 8 bits. 16 bits are divided by 257; numbers without a range of their own go from their least
    to their greatest.
    """
    from PIL import Image

    if image.mode[0] in "IF":
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a value that is no number")
        sixteen = image.mode != "F" and 0 <= values.min() and values.max() < 2**16
        low, high = (0.0, 2.0**16 - 1) if sixteen else (values.min(), values.max())
        return Image.fromarray((255 * (values - low) / max(high - low, 1e-12)).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BEHIND), image)
    return image.convert("RGB")


def _square(image: Image.Image, side: int, resize: str) -> Image.Image:
    from PIL import Image, ImageOps

    if resize == "squash":
        return image.resize((side, side), Image.Resampling.BICUBIC)
    if resize == "crop":
        return ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
    scale = side / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    square = Image.new("RGB", (side, side), BARS)
    square.paste(image.resize(size, Image.Resampling.BICUBIC), tuple((side - length) // 2 for length in size))
    return square
