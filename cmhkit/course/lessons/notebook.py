"""What every notebook calls: `setup` at the top, `show` and `gallery` for pictures, `results` in the last cell.

A figure is kept as HTML with an `<img alt>`, so that Lab, an exported page and a screen reader all have its text. nbval
compares that HTML; the file `tests/notebooks/sanitize.cfg` takes the picture's bytes out of the comparison, since fonts
and libraries draw a pixel differently here and there.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.support.checks import check

# Okabe and Ito's palette: told apart with any colour vision. Line styles and markers change with it, so that colour
# never stands alone.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":", "-", "--", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def setup(seed: int = 0, threads: int = 1, torch: bool = False) -> np.random.Generator:
    """Make a notebook give the same numbers on every run; return a NumPy generator with that seed.

    Seeds Python, NumPy and, where it is loaded or asked for with `torch=True`, torch. Limits BLAS and torch to
    `threads` threads: two on a busy machine with two cores can be ten times slower than one. Sets matplotlib's fonts
    and colours.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=threads)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries may read it)
    if torch or "torch" in sys.modules:
        import torch as torch_

        torch_.set_num_threads(threads)
        torch_.manual_seed(seed)
    _style()
    return np.random.default_rng(seed)


def _style() -> None:
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "font.size": 12,
            "figure.figsize": (7, 4),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=LINES) + cycler(marker=MARKERS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.cmap": "cividis",
            "lines.markersize": 5,
        }
    )


class Figure:
    """Pictures with their alt text, ready for a notebook's output: fixed `text/plain` (the alt texts) and `text/html`
    (`<figure><img alt>`).
    """

    def __init__(self, pngs: Sequence[bytes], alts: Sequence[str], captions: Sequence[str], caption: str = "") -> None:
        check(
            all(alt.strip() for alt in alts),
            "alt: every picture needs a text that says what is seen; an empty one came",
        )
        self.pngs, self.alts, self.captions, self.caption = list(pngs), list(alts), list(captions), caption

    def __repr__(self) -> str:
        lines = [f"Figure: {self.caption}"] if self.caption else []
        for alt, caption in zip(self.alts, self.captions, strict=True):
            lines.append(f"[{alt}] {caption}".strip())
        return "\n".join(lines)

    def html(self) -> str:
        cells = []
        for png, alt, caption in zip(self.pngs, self.alts, self.captions, strict=True):
            source = base64.b64encode(png).decode("ascii")
            image = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{source}" style="max-width:100%">'
            narrow = 'style="width:0;min-width:100%"'  # no wider than the picture
            below = f"<figcaption {narrow}>{html.escape(caption)}</figcaption>" if caption else ""
            cells.append(f'<figure style="margin:4px">{image}{below}</figure>')
        below = f"<p>{html.escape(self.caption)}</p>" if self.caption else ""
        return f'<div style="display:flex;flex-wrap:wrap">{"".join(cells)}</div>{below}'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html()}


def show(picture: Any, *, alt: str, caption: str = "", width: int | None = None) -> None:
    """Display one matplotlib figure, or one picture as an array (H, W), (H, W, 3) uint8 or in [0, 1].

    alt: what is to be seen, for who cannot see it. caption: a sentence under the picture. width: pixels, for arrays.
    """
    _display(Figure([_png(picture, width)], [alt], [""], caption))


def gallery(
    pictures: Sequence[Any],
    *,
    alts: Sequence[str],
    captions: Sequence[str] | None = None,
    caption: str = "",
    width: int = 96,
) -> None:
    """Display a row of pictures (arrays as for `show`), each with its own alt text and, if given, its own caption."""
    captions = [""] * len(alts) if captions is None else captions
    check(
        len(pictures) == len(alts) == len(captions),
        f"alts: one text a picture expected; {len(pictures)} pictures and {len(alts)} texts came",
    )
    _display(Figure([_png(picture, width) for picture in pictures], alts, captions, caption))


def _display(figure: Figure) -> None:
    from IPython.display import display

    display(figure)


def _png(picture: Any, width: int | None) -> bytes:
    buffer = io.BytesIO()
    if hasattr(picture, "savefig"):
        import matplotlib.pyplot as plt

        picture.savefig(buffer, format="png", metadata={"Software": None})
        plt.close(picture)  # or the inline backend shows it a second time, without alt text
        return buffer.getvalue()
    from PIL import Image

    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        pixels = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels)
    if width is not None:
        image = image.resize((width, round(width * image.height / image.width)), Image.Resampling.NEAREST)
    image.save(buffer, format="png")
    return buffer.getvalue()


def results(results_path: str, **values: Any) -> None:
    """A notebook's last call: write `values` as JSON to `results_path`; with an empty path do nothing.

    Arrays and tensors become lists. tests/notebooks/test_papermill.py says what it expects of which name.
    """
    if not results_path:
        return
    path = Path(results_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, default=_plain), encoding="utf-8")


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"results: {type(value).__name__} has no JSON form")
