"""tools/notebooks.py: builds give the same bytes, leave nothing behind, and stop at their limits."""

from __future__ import annotations

import json

import nbformat
import psutil
import pytest
from course import Example, write_example

from tools import guards, notebooks


def small(*cells: str) -> nbformat.NotebookNode:
    """A notebook of code cells; the first is its parameters."""
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    made[0].metadata["tags"] = ["parameters"]
    return nbformat.v4.new_notebook(
        cells=made, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )


def test_the_page_s_example_builds_without_a_problem(example: Example) -> None:
    assert guards.problems(example.notebook(), example.written()) == []
    outputs = [cell.outputs for cell in example.notebook().cells if cell.cell_type == "code"]
    assert "not attempted" in outputs[3][0].data["text/plain"]
    assert "<details>" in outputs[-2][0].data["text/html"], "a quiz is kept as its static twin"


def test_two_builds_give_the_same_bytes(example: Example) -> None:
    first = example.built.read_bytes()
    notebooks.build(example.source)
    assert example.built.read_bytes() == first
    assert sorted(path.name for path in example.built.parent.glob("*.ipynb")) == ["01_hamming_space.ipynb"]
    assert not list(example.built.parent.glob(".*"))


def test_a_failing_cell_keeps_the_old_file(tmp_path) -> None:
    source = write_example(tmp_path / "notebooks")
    notebooks.built_path(source).write_text("as it was")
    source.write_text(source.read_text() + "\n# %%\nraise ValueError('on purpose')\n")
    with pytest.raises(notebooks.NotebookError, match="ValueError: on purpose"):
        notebooks.build(source)
    assert notebooks.built_path(source).read_text() == "as it was"


def test_a_notebook_that_hangs_is_ended(tmp_path) -> None:
    pid = tmp_path / "pid"
    stuck = small(
        "seed = 0",
        f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(600)",
    )
    with pytest.raises(notebooks.NotebookError, match="ran past 8 seconds"):
        notebooks.execute(stuck, tmp_path, limit=8)
    assert (
        not psutil.pid_exists(number := int(pid.read_text())) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    )


def test_cost_counts_the_kernel_s_memory(tmp_path) -> None:
    heavy = small("seed = 0", "import time\nblock = bytearray(b'x') * 200_000_000\ntime.sleep(0.5)")
    _, idle = notebooks.execute(small("seed = 0"), tmp_path, memory=True)
    _, full = notebooks.execute(heavy, tmp_path, memory=True)
    assert 190 < full.megabytes - idle.megabytes < 260
    assert full.seconds > 0.5


def test_notebooks_run_in_their_folder_as_a_newcomer_s_without_a_gpu(tmp_path, monkeypatch) -> None:
    for name in notebooks.NOT_PASSED_ON:
        monkeypatch.setenv(name, "1")
    names = (*notebooks.NOT_PASSED_ON, "CUDA_VISIBLE_DEVICES")
    ran, _ = notebooks.execute(
        small("seed = 0", f"import os\nprint(os.getcwd(), [os.environ.get(name) for name in {names}])"), tmp_path
    )
    assert ran.cells[1].outputs[0].text == f"{tmp_path} [None, None, None, None, '']\n"


def test_course_table(example: Example) -> None:
    table = notebooks.table({example.source: notebooks.Cost(12.3, 210.4)})
    row = (
        "| [01_hamming_space](notebooks/01_hamming_space.ipynb) | codes, Hamming distance, MAP by hand | bit flipper "
        "| 25 | 12 | 210 |"
    )
    assert row in table
    other = row.replace("01_", "00_")
    page = f"above\n{notebooks.START}\n{table.replace(row, other)}\n{notebooks.END}\nbelow"
    whole = notebooks.put_table(page, table, keep=True)
    assert whole.startswith("above\n") and whole.endswith("\nbelow") and whole.index(other) < whole.index(row)
    assert notebooks.put_table(whole, table, keep=True) == whole
    assert other not in notebooks.put_table(whole, table)
    with pytest.raises(notebooks.NotebookError, match="lacks the markers"):
        notebooks.put_table("no markers", table)


def test_stream_pieces_are_joined() -> None:
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("a", "b")]
    assert json.dumps(notebooks.joined(pieces)) == json.dumps(
        [nbformat.v4.new_output("stream", name="stdout", text="ab")]
    )


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(notebooks.NotebookError, match="no source"):
        notebooks.sources(["99"])
