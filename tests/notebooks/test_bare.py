"""One command, one truth: every way to run a notebook, in a bare environment, gives the kept outputs; a bar of progress
is in none of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from course import ROOT
from nbclient import NotebookClient
from nbformat import NotebookNode

from tools import guards, notebooks

BARE = {"HOME", "PATH", "LANG", "CI"}
SLOW = (
    "from time import sleep\nfrom cmhkit.support.progress import progress\nwith progress(40, 'Working') as step:\n    "
    "for _ in range(40):\n"
)
CELLS = ("print('before')", SLOW + "        sleep(0.05)\n        step()\nprint('after')", "6 * 7")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook whose second cell shows progress for two seconds, with its outputs, as `make notebooks` keeps them."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(CELLS)]
    cells[0].metadata["tags"] = ["parameters"]
    source = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    folder = tmp_path_factory.mktemp("bare")
    path = folder / "kept.ipynb"
    nbformat.write(notebooks.clean(notebooks.execute(source, folder)[0], source), path)
    return path


def bare(*command: str | Path, cwd: Path) -> str:
    """Run a command of this environment with HOME, PATH and LANG only."""
    environment = {"HOME": str(cwd), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outputs(notebook: NotebookNode) -> list:
    return [
        [{key: output.get(key) for key in ("output_type", "text", "data")} for output in cell.outputs]
        for _, cell in guards.code_cells(notebook)
    ]


def test_what_is_kept(kept: Path) -> None:
    shown = outputs(nbformat.read(kept, as_version=4))
    assert [len(cell) for cell in shown] == [1, 1, 1] and shown[1][0]["text"] == "after\n"


def test_plain_nbval(kept: Path) -> None:
    assert "3 passed" in bare("pytest", "--nbval", "kept.ipynb", cwd=kept.parent)


def test_plain_papermill(kept: Path, tmp_path: Path) -> None:
    bare("papermill", "--no-progress-bar", kept, tmp_path / "after.ipynb", cwd=tmp_path)
    assert outputs(nbformat.read(tmp_path / "after.ipynb", as_version=4)) == outputs(nbformat.read(kept, as_version=4))


def test_jupyter_execute(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.ipynb").write_bytes(kept.read_bytes())
    bare("jupyter", "execute", "--inplace", "copy.ipynb", cwd=tmp_path)
    assert outputs(nbformat.read(tmp_path / "copy.ipynb", as_version=4)) == outputs(nbformat.read(kept, as_version=4))


def test_a_watched_kernel_shows_the_bar_and_keeps_nothing_of_it(kept: Path) -> None:
    """As a server's session: a few messages a second while it works, and an output without content at the end."""
    notebook = nbformat.read(kept, as_version=4)
    shown: list[dict] = []

    class Watching(NotebookClient):
        def process_message(self, message: dict, cell: NotebookNode, index: int):
            if message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(message["content"]["data"])
            return super().process_message(message, cell, index)

    Watching(notebook, kernel_name="python3").execute(
        env={**os.environ, "JPY_SESSION_NAME": "kept.ipynb"}, cwd=str(kept.parent)
    )
    assert any("Working: " in data.get("text/plain", "") for data in shown) and 4 <= len(shown) <= 12
    empty, text = notebook.cells[1].outputs
    assert empty.data == {} and text.text == "after\n"


def test_plain_nbval_over_the_course_compares_as_make_test_does() -> None:
    """conftest.py at the top hands the sanitise file over."""
    program = (
        "import sys, pytest\nclass See:\n def pytest_collection_finish(self, session): "
        "print(session.config.option.nbval_sanitize_with)\n"
    )
    program += (
        "sys.exit(pytest.main(['--nbval', '--collect-only', '-q', 'notebooks/01_hamming_space.ipynb'], "
        "plugins=[See()]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert str(ROOT / "tests" / "notebooks" / "sanitize.cfg") in done.stdout


# ── What CI runs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ci_runs_every_part_in_a_bare_environment(tmp_path: Path) -> None:
    """.ci/run as it stands, with stand-ins for `make` that write down what they are called with and which variables
    they see.
    """
    copy = tmp_path / "kit" / ".ci" / "run"
    copy.parent.mkdir(parents=True)
    copy.write_text((ROOT / ".ci" / "run").read_text())
    programs = tmp_path / "bin"
    programs.mkdir()
    for path in (programs / "make", copy.parent / "chromium"):
        path.write_text(f'#!/bin/bash\n{{ echo "CALL ${{0##*/}} $*"; env; }} >> {tmp_path}/log\n')
        path.chmod(0o755)
    started_with = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CMHKIT_CACHE": "x",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "x",
    }
    done = subprocess.run(["bash", str(copy)], env=started_with, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    calls = dict(part.split("\n", 1) for part in (tmp_path / "log").read_text().split("CALL ")[1:])
    first, *_, last = calls
    assert first == "make test" and last == "make browser" and "chromium " in calls
    for call, variables in calls.items():
        assert {line.split("=")[0] for line in variables.splitlines()} - {"PWD", "SHLVL", "_"} == BARE, (
            call
        )  # bash itself sets these three


def test_ci_fails_when_a_part_fails(tmp_path: Path) -> None:
    copy = tmp_path / "kit" / ".ci" / "run"
    copy.parent.mkdir(parents=True)
    copy.write_text((ROOT / ".ci" / "run").read_text())
    (tmp_path / "make").write_text('#!/bin/bash\n[ "$1" != test ]\n')
    (copy.parent / "chromium").write_text("#!/bin/bash\n")
    for path in (tmp_path / "make", copy.parent / "chromium"):
        path.chmod(0o755)
    done = subprocess.run(
        ["bash", str(copy)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "CI failed in: make test" in done.stdout and "make browser: passed" in done.stdout
