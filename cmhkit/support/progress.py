"""Progress for anything over two seconds: a bar in a terminal, a bar in a notebook that somebody looks at, nothing
anywhere else.
"""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

#: Seconds before a bar appears, and between two messages to a notebook: a bar that moves smoothly needs no more.
DELAY, INTERVAL = 0.5, 0.25
_silent = False


class Step(Protocol):
    """What a progress block hands out: `step(n, note)` says that n more items are done."""

    def __call__(self, n: int = 1, note: str = "") -> None: ...


def notebook_shell() -> Any:
    """The shell of the Jupyter kernel that this process is, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


def watched(shell: Any) -> bool:
    """Whether somebody sees a kernel's outputs as they come: in a session of a Jupyter server, in VS Code or in Colab.

    nbval, papermill and `jupyter execute` start kernels without such a session: there a bar would be one more output to
    keep.
    """
    return (
        bool(os.environ.get("JPY_SESSION_NAME"))
        or "__vsc_ipynb_file__" in shell.user_ns
        or "google.colab" in sys.modules
    )


@contextmanager
def silenced() -> Iterator[None]:
    """A block in which no progress is shown, whoever asks for it."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


@contextmanager
def progress(total: int, label: str, show: bool = True) -> Iterator[Step]:
    """Show progress towards `total` items.

    total: the number of items. label: what is being done. show: False is silent.
    Yields a function `step(n=1, note="")`. A bar that took less than half a second is never shown. In a notebook the
    bar goes at the end, and its output is left empty.
    """
    shell = notebook_shell()
    if not show or _silent or (shell is not None and not watched(shell)):
        yield lambda n=1, note="": None
    elif shell is not None:
        yield from _notebook(total, label)
    else:
        yield from _terminal(total, label)


def _terminal(total: int, label: str) -> Iterator[Step]:
    from tqdm import tqdm

    with tqdm(total=total, desc=label, leave=False, disable=None, delay=DELAY) as bar:

        def step(n: int = 1, note: str = "") -> None:
            if note:
                bar.set_postfix_str(note, refresh=False)
            bar.update(n)

        yield step


def _notebook(total: int, label: str) -> Iterator[Step]:
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    done, due, shown = 0, time.monotonic() + DELAY, False

    def step(n: int = 1, note: str = "") -> None:
        nonlocal done, due, shown
        done += n
        if (now := time.monotonic()) < due:
            return
        if not shown:
            handle.display({}, raw=True)  # an empty place in the cell's output, which the updates fill
        handle.update(_bar(done, total, f"{label}: {done} of {total} {note}".rstrip()), raw=True)
        due, shown = now + INTERVAL, True

    try:
        yield step
    finally:
        if shown:
            handle.update({}, raw=True)


def _bar(done: int, total: int, text: str) -> dict[str, str]:
    words = html.escape(text)
    bar = f'<progress max="{max(total, 1)}" value="{done}" aria-label="{words}" style="width:16em"></progress>'
    return {"text/plain": text, "text/html": f"<div>{bar} {words}</div>"}
