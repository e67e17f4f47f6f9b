"""`make lab` as a reader types it: the first notebook opens, without a screen, as whoever runs it, and with the usual
port taken.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from in_lab import printed_address

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
USUAL_PORT = 8888


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The address that `make lab` prints, and its port."""
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    folders |= {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "MAKEFLAGS", "MAKELEVEL")
    }
    environment |= {name: str(tmp_path / folder) for name, folder in folders.items()}
    log = tmp_path / "lab.log"
    with closing(socket.socket()) as taken:
        try:
            taken.bind(("127.0.0.1", USUAL_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which will do
        with log.open("w") as stream:
            command = ["make", "lab", f"VENV={sys.prefix}"]
            server = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            found = printed_address(server, log, 120)
            yield found.group(), int(found[2])
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def test_the_first_notebook_opens(new_tab, address: tuple[str, int], shots: Path) -> None:
    url, port = address
    assert port != USUAL_PORT
    page = new_tab()
    try:
        page.goto(url)
        page.wait_for_selector(".jp-NotebookPanel h1", timeout=90_000)
        assert page.locator(".jp-NotebookPanel h1").first.inner_text().startswith("00")
        page.wait_for_selector(
            ".jp-NotebookPanel .jp-OutputArea-output img", timeout=30_000
        )  # kept outputs are there before anything runs
        assert page.locator(".jp-Dialog").count() == 0
        assert page.locator(".jp-StatusItem-trust").get_attribute("title").startswith("Notebook trusted")
        page.screenshot(path=shots / "make-lab.png")
        assert page.problems == []
    finally:
        page.context.close()
