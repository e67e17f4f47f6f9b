"""A notebook with every widget passes strict nbval, as it runs and as it is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("nbval")

UNIT = Path(__file__).parent
LIVE = "application/vnd.jupyter.widget-view+json"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(UNIT.parents[1]), str(UNIT)])}


def nbval(path: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        f"--rootdir={path.parent}",
    ]
    command += ["--nbval", "--nbval-current-env", str(path)]
    return subprocess.run(command, cwd=path.parent, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory):
    """The notebook with its outputs: each widget, and its small multiples beside it."""
    sources = ["from test_widgets import every_widget\n\nmade = every_widget()"]
    for i in range(6):
        sources += [f"made[{i}]", f"made[{i}].small_multiples()"]
    sources += ["made[1].flip('a', 0)\nmade[1]"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    before = os.environ.copy()
    os.environ.update(ENVIRONMENT)
    try:
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return notebook


@pytest.mark.parametrize("kept", [True, False], ids=["live views kept", "live views dropped"])
def test_strict_nbval(executed, kept: bool, tmp_path: Path) -> None:
    notebook = nbformat.from_dict(executed)
    notebook.metadata.pop("widgets", None)
    if not kept:  # what `make notebooks` does, so that a page without a kernel shows the twin
        for cell in notebook.cells:
            for output in cell.outputs:
                output.get("data", {}).pop(LIVE, None)
    path = tmp_path / "widgets.ipynb"
    nbformat.write(notebook, path)
    done = nbval(path)
    assert done.returncode == 0 and f"{len(notebook.cells)} passed" in done.stdout, done.stdout[-3000:]


def test_nbval_sees_a_changed_twin(executed, tmp_path: Path) -> None:
    notebook = nbformat.reads(nbformat.writes(executed), as_version=4)
    notebook.cells[3].outputs[0].data["text/html"] = (
        notebook.cells[3].outputs[0].data["text/html"].replace("Hamming", "Humming")
    )
    path = tmp_path / "widgets.ipynb"
    nbformat.write(notebook, path)
    done = nbval(path)
    assert done.returncode != 0 and "1 failed" in done.stdout
