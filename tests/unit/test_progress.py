"""Progress: nothing when headless or silent, a bar in a terminal, a widget in a kernel that is closed at the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import types

import pytest

from cmhkit import progress as module
from cmhkit.progress import headless, in_notebook, progress

PROGRAM = """
import time
from cmhkit.progress import progress
with progress(3, "Working", {show}) as step:
    time.sleep(0.6)
    step(2, "half")
    step()
"""


def in_terminal(show: bool, headless: str) -> str:
    """What a terminal shows of the program."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {**os.environ, "CMHKIT_HEADLESS": headless}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(show=show)], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1024):
            shown += piece
    except OSError:
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_shows_a_bar() -> None:
    shown = in_terminal(True, "0")
    assert "Working" in shown and "2/3" in shown and "half" in shown


@pytest.mark.parametrize(("show", "headless"), [(False, "0"), (True, "1")])
def test_silence_leaves_no_trace(show: bool, headless: str) -> None:
    assert in_terminal(show, headless) == ""


def test_a_file_gets_no_bar() -> None:
    environment = {**os.environ, "CMHKIT_HEADLESS": "0"}
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(show=True)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0 and result.stdout == result.stderr == ""


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_headless_is_said_by_a_variable(monkeypatch, value, expected) -> None:
    if value is None:
        monkeypatch.delenv("CMHKIT_HEADLESS", raising=False)
    else:
        monkeypatch.setenv("CMHKIT_HEADLESS", value)
    assert headless() is expected


def test_a_kernel_is_told_from_a_terminal(monkeypatch) -> None:
    assert not in_notebook()
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()


@pytest.mark.parametrize("fails", [False, True])
def test_the_widget_counts_and_is_closed_even_after_an_error(monkeypatch, fails: bool) -> None:
    import IPython.display

    monkeypatch.setenv("CMHKIT_HEADLESS", "0")
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    closed = []

    def work() -> None:
        with progress(3, "Working") as step:
            (box,) = shown
            monkeypatch.setattr(type(box), "close", lambda self: closed.append(self))
            step(2, "half")
            bar, text = box.children
            assert (bar.value, bar.max, text.value) == (2, 3, "Working: 2 of 3 half")
            if fails:
                raise RuntimeError("stopped")
            step()
            assert text.value == "Working: 3 of 3"

    if fails:
        with pytest.raises(RuntimeError, match="stopped"):
            work()
    else:
        work()
    assert closed == shown


def test_a_headless_step_takes_what_every_step_takes(monkeypatch) -> None:
    monkeypatch.setenv("CMHKIT_HEADLESS", "1")
    with progress(3, "Working") as step:
        assert step() is None and step(2) is None and step(n=1, note="x") is None
