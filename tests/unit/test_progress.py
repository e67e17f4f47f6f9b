"""Progress: a bar in a terminal, a bar in a kernel that somebody watches, and no trace of it afterwards."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import types
from typing import ClassVar

import pytest

from cmhkit.support import progress as module
from cmhkit.support.progress import notebook_shell, progress, silenced, watched

PROGRAM = """
import time
from cmhkit.support.progress import progress
with progress(3, "Working", {show}) as step:
    time.sleep(0.6)
    step(2, "half")
    step()
"""


def in_terminal(program: str) -> str:
    """What a terminal shows of the program."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs)
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
    shown = in_terminal(PROGRAM.format(show=True))
    assert "Working" in shown and "2/3" in shown and "half" in shown


def test_silence_leaves_no_trace() -> None:
    assert in_terminal(PROGRAM.format(show=False)) == ""
    block = "from cmhkit.support.progress import silenced\nwith silenced():" + PROGRAM.format(show=True).replace(
        "\n", "\n    "
    )
    assert in_terminal(block) == ""


def test_a_file_gets_no_bar() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(show=True)], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout == result.stderr == ""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """This process as a kernel that nobody watches."""
    shell = type("ZMQInteractiveShell", (types.SimpleNamespace,), {})(user_ns={})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    return shell


def test_a_kernel_is_told_from_a_terminal(monkeypatch: pytest.MonkeyPatch, shell: types.SimpleNamespace) -> None:
    assert notebook_shell() is shell
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert notebook_shell() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert notebook_shell() is None


def test_who_watches_a_kernel(monkeypatch: pytest.MonkeyPatch, shell: types.SimpleNamespace) -> None:
    assert not watched(shell)
    with monkeypatch.context() as server:
        server.setenv("JPY_SESSION_NAME", "/home/me/01.ipynb")
        assert watched(shell)
    with monkeypatch.context() as colab:
        colab.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        assert watched(shell)
    assert not watched(shell)
    shell.user_ns["__vsc_ipynb_file__"] = "/home/me/01.ipynb"
    assert watched(shell)


class Messages:
    """Stands in for IPython's display handle, and keeps what a front end would receive."""

    kept: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def display(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.kept.append(("display", data))

    def update(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.kept.append(("update", data))


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch, shell: types.SimpleNamespace) -> list[tuple[str, dict[str, str]]]:
    """What a watched kernel sends; its clock, `module.time.now`, stands still until it is moved."""
    monkeypatch.setenv("JPY_SESSION_NAME", "here")
    monkeypatch.setattr(Messages, "kept", [])
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(DisplayHandle=Messages))
    clock = types.SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return Messages.kept


@pytest.mark.parametrize("fails", [False, True])
def test_a_watched_bar_counts_and_leaves_an_empty_output(messages: list, fails: bool) -> None:
    with pytest.raises(RuntimeError, match="stopped") if fails else progress(0, ""):
        with progress(3, "Work & play") as step:
            module.time.now += 1
            step(2, "half")
            if fails:
                raise RuntimeError("stopped")
            module.time.now += 1
            step()
    assert messages[0] == ("display", {}) and messages[-1] == ("update", {})
    shown = [data for kind, data in messages[1:-1]]
    assert [data["text/plain"] for data in shown] == ["Work & play: 2 of 3 half", "Work & play: 3 of 3"][: len(shown)]
    assert len(shown) == (1 if fails else 2)
    assert '<progress max="3" value="2" aria-label="Work &amp; play: 2 of 3 half"' in shown[0]["text/html"]


def test_ten_thousand_steps_are_a_few_messages_a_second(messages: list) -> None:
    with progress(10_000, "Working") as step:
        for _ in range(10_000):
            module.time.now += 0.001
            step()
    assert 10_000 / 1000 / module.INTERVAL - 5 < len(messages) < 10_000 / 1000 / module.INTERVAL + 3


def test_what_is_done_at_once_shows_nothing(messages: list) -> None:
    with progress(2, "Working") as step:
        step()
        step()
    assert messages == []


def test_a_kernel_that_nobody_watches_is_sent_nothing(monkeypatch: pytest.MonkeyPatch, messages: list) -> None:
    for show, name in ((False, "here"), (True, "")):
        monkeypatch.setenv("JPY_SESSION_NAME", name)
        with progress(3, "Working", show) as step:
            module.time.now += 1
            assert step() is None and step(2) is None and step(n=1, note="x") is None
    monkeypatch.setenv("JPY_SESSION_NAME", "here")
    with silenced(), progress(3, "Working") as step:
        module.time.now += 1
        step()
    assert messages == []
