"""JupyterLab, started as `make lab` does, and a real browser in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from in_lab import printed_address

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SHOTS = ROOT / "out" / "browser"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
}


@pytest.fixture(scope="session")
def lab_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that JupyterLab serves."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def lab(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running JupyterLab with its token: '{address}/lab/tree/x.ipynb?token=…' is
    `lab.format('x.ipynb')`.
    """
    home = tmp_path_factory.mktemp("jupyter")
    for name, values in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings"}
    folders["JUPYTERLAB_WORKSPACES_DIR"] = "workspaces"
    environment = {**os.environ, **{name: str(home / folder) for name, folder in folders.items()}}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    log = home / "lab.log"
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        "--port=0",
        f"--ServerApp.root_dir={lab_root}",
    ]
    command += [
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with log.open("w") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=lab_root)
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _address(server: subprocess.Popen, log: Path) -> str:
    base, _, token = printed_address(server, log, 60).groups()
    with urllib.request.urlopen(f"{base}/api/status?token={token}", timeout=10):
        return f"{base}/lab/tree/{{}}?reset&token={token}"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium, or a skip that says why."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there (apt-get install chromium, or set CHROMIUM)")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def new_tab(browser) -> Callable[[], object]:
    """Opens an empty tab of 1280 by 900, which collects what goes wrong in `problems`. Close it with
    `tab.context.close()`.
    """

    def opened() -> object:
        tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        tab.problems = []
        tab.on("console", lambda message: tab.problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: tab.problems.append(str(error)))
        return tab

    return opened


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are kept, for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS
