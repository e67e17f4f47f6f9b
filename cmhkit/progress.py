"""Progress for anything over two seconds: a bar in a terminal, a widget in a notebook, nothing when headless."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Step(Protocol):
    """What a progress block hands out: `step(n, note)` says that n more items are done."""

    def __call__(self, n: int = 1, note: str = "") -> None: ...


def headless() -> bool:
    """True when progress must leave no trace: under nbval, papermill and CI (`CMHKIT_HEADLESS=1`)."""
    return os.environ.get("CMHKIT_HEADLESS", "") not in ("", "0")


def in_notebook() -> bool:
    """True inside a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


@contextmanager
def progress(total: int, label: str, show: bool = True) -> Iterator[Step]:
    """Show progress towards `total` items.

    total: the number of items. label: what is being done. show: False is silent.
    Yields a function `step(n=1, note="")`. In a kernel the bar is a trait-backed widget, which is closed at the end.
    """
    if not show or headless():
        yield lambda n=1, note="": None
    elif in_notebook():
        yield from _notebook(total, label)
    else:
        yield from _terminal(total, label)


def _terminal(total: int, label: str) -> Iterator[Step]:
    from tqdm import tqdm

    with tqdm(total=total, desc=label, leave=False, disable=None, delay=0.5) as bar:

        def step(n: int = 1, note: str = "") -> None:
            if note:
                bar.set_postfix_str(note, refresh=False)
            bar.update(n)

        yield step


def _notebook(total: int, label: str) -> Iterator[Step]:
    import ipywidgets
    from IPython.display import display

    bar = ipywidgets.IntProgress(max=total)
    text = ipywidgets.Label(label)
    box = ipywidgets.HBox([bar, text])
    display(box)

    def step(n: int = 1, note: str = "") -> None:
        bar.value += n
        text.value = f"{label}: {bar.value} of {total} {note}".rstrip()

    try:
        yield step
    finally:
        box.close()
