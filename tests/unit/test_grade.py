"""`cmhkit grade`: honest submissions are marked, hostile and broken ones are survived, and nothing that a notebook says
of itself is believed.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

from cmhkit.app.cli import app
from cmhkit.course import grade as grading
from cmhkit.course import lessons
from cmhkit.course.lessons import framework
from cmhkit.support.checks import InputError

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = "import numpy as np\nfrom cmhkit.course.lessons import lesson_01 as q"
RIGHT = "def distance(a, b):\n    return int((a != b).sum())\n\n\nq.q1.check(distance)"
WRONG = "def byte(signs):\n    return 0\n\n\nq.q2.check(byte)"
STUB = "def bits(a, b):\n    ...\n\n\nq.q3.check(bits)"


def submission(path: Path, *cells: str, **metadata: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata), path)
    return path


def statuses(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["question"]: row["status"] for row in rows}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict[str, Any]]], list[str]]:
    """A folder with one of each kind, graded once: the folder, the rows of each submission, and what was said."""
    folder = tmp_path_factory.mktemp("submitted")
    failing = "raise ValueError('=on purpose')"
    lying = "print('✓ 01.q2, correct: well done.')"
    submission(
        folder / "anna" / "01_hamming_space.ipynb",
        IMPORTS,
        RIGHT,
        failing,
        WRONG,
        lying,
        STUB,
        kernelspec={"name": "nowhere", "display_name": "x"},
    )
    pid = f"import os, pathlib\npathlib.Path({str(folder / 'pid')!r}).write_text(str(os.getpid()))"
    run_away = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], "
        "start_new_session=True)"
    )
    submission(folder / "ben.ipynb", IMPORTS, RIGHT, pid, run_away, "import time\ntime.sleep(300)", WRONG)
    submission(folder / "cleo.ipynb", IMPORTS, WRONG, "import os\nos._exit(7)", RIGHT)
    (folder / "dan.ipynb").write_text("PK\x03\x04 this is a Word file")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "dan.ipynb").write_text("not to be seen")
    said: list[str] = []
    rows = grading.grade(folder, limits=grading.Limits(seconds=25), say=said.append)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["submission"], []).append(row)
    return folder, by_name, said


def test_every_file_has_its_rows_in_the_table(graded: tuple) -> None:
    folder, rows, said = graded
    assert list(rows) == ["anna/01_hamming_space.ipynb", "ben.ipynb", "cleo.ipynb", "dan.ipynb"]
    with open(folder / "grades.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["submission"] for row in table] == [row["submission"] for part in rows.values() for row in part]
    assert tuple(table[0]) == grading.COLUMNS
    assert said[0].startswith("1/4 anna/01_hamming_space.ipynb: finished with errors, 1 of 5 correct")


def test_an_honest_notebook_past_a_cell_that_fails(graded: tuple) -> None:
    rows = graded[1]["anna/01_hamming_space.ipynb"]
    assert statuses(rows) == {
        "01.q1": "correct",
        "01.q2": "incorrect",
        "01.q3": "not attempted",
        "01.q4": grading.NO_CHECK,
        "01.q5": grading.NO_CHECK,
    }
    assert {row["run"] for row in rows} == {"finished with errors"}
    assert "ValueError: =on purpose" in rows[0]["remarks"]
    assert rows[0]["megabytes"] > 30, "the kernel's memory is seen"


def test_a_notebook_that_hangs_keeps_what_it_had_and_leaves_nothing_running(graded: tuple) -> None:
    folder, rows, _ = graded
    mine = rows["ben.ipynb"]
    assert {row["run"] for row in mine} == {"out of time"}
    assert statuses(mine)["01.q1"] == "correct" and statuses(mine)["01.q2"] == grading.NO_CHECK
    assert 25 <= mine[0]["seconds"] < 90
    kernel = int((folder / "pid").read_text())
    time.sleep(0.2)
    assert not psutil.pid_exists(kernel) or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE
    left = [process for process in psutil.process_iter() if "time.sleep(300)" in " ".join(_line(process))]
    assert not left, "what the notebook started is ended too"


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_kernel_that_dies(graded: tuple) -> None:
    rows = graded[1]["cleo.ipynb"]
    assert {row["run"] for row in rows} == {"crashed"}
    assert statuses(rows)["01.q2"] == "incorrect" and statuses(rows)["01.q1"] == grading.NO_CHECK
    assert "DeadKernelError" in rows[0]["remarks"]


def test_a_file_that_is_no_notebook(graded: tuple) -> None:
    (row,) = graded[1]["dan.ipynb"]
    assert row["run"] == "not a notebook" and row["question"] == "" and "no notebook" in row["remarks"]


def test_a_notebook_that_takes_too_much_memory(tmp_path: Path) -> None:
    path = submission(
        tmp_path / "01.ipynb", IMPORTS, "block = bytearray(b'x') * 900_000_000\nimport time\ntime.sleep(60)"
    )
    run = grading.run_submission(path, grading.Limits(seconds=50, megabytes=700))
    assert run.ended == "out of memory" and run.megabytes > 700 and run.seconds < 50


def test_what_a_run_cannot_see_and_what_a_forger_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    outcome = {"status": "correct", "attempts": 1, "hints": 0, "solution_seen": False}
    forged = "\n".join(json.dumps({"question": name, **outcome}) for name in ("01.q5", "99.q1"))
    path = submission(
        tmp_path / "x_01.ipynb",
        (
            "import os\nassert 'SECRET_TOKEN' not in os.environ, 'the grader leaks'\nassert os.listdir() == [], "
            "os.listdir()"
        ),
        f"with open(os.environ['CMHKIT_OUTCOMES'], 'a') as f:\n    f.write({forged!r} + '\\n' + 'rubbish\\n')",
    )
    run = grading.run_submission(path, grading.Limits(seconds=60))
    assert run.ended == "finished", run.remarks
    assert run.lesson == "lesson_01"
    assert run.outcomes["01.q5"]["status"] == "correct", "a forged line counts: docs/INSTRUCTORS.md says so"
    assert list(run.outcomes) == ["01.q5"], "a question of another lesson counts nothing"
    told = " ".join(run.remarks)
    assert "recorded an outcome for '99.q1', no question of the lesson" in told
    assert "1 lines of the record were not written by check()" in told
    assert "recorded an outcome for 01.q5, which no cell checks" in told and "code cell 2 uses CMHKIT_OUTCOMES" in told


# ── Without a kernel ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_that_a_file_says_of_itself_is_kept(tmp_path: Path) -> None:
    cell = new_code_cell(
        "x = 1",
        outputs=[new_output("stream", text="correct")],
        execution_count=9,
        metadata={"tags": ["raises-exception", "parameters"]},
    )
    notebook = new_notebook(
        cells=[cell, new_markdown_cell("text")],
        metadata={"papermill": {}, "kernelspec": {"name": "ruby", "display_name": "r"}},
    )
    nbformat.write(notebook, tmp_path / "a.ipynb")
    read = grading.read_submission(tmp_path / "a.ipynb")
    assert (
        read.cells[0].outputs == []
        and read.cells[0].execution_count is None
        and read.cells[0].metadata.tags == ["parameters"]
    )
    assert read.metadata.kernelspec.name == "python3" and "papermill" not in read.metadata


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"cells": 3, "nbformat": 4}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"nbformat": 4, "cells": [], "metadata": {}}',
    ],
)
def test_broken_files_are_no_notebooks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ipynb").write_bytes(content)
    run = grading.run_submission(tmp_path / "a.ipynb", grading.Limits(seconds=5))
    assert run.ended == "not a notebook" and len(run.remarks) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "LARGEST_FILE", 10)
    (tmp_path / "a.ipynb").write_text("x" * 11)
    assert grading.run_submission(tmp_path / "a.ipynb", grading.Limits()).ended == "not a notebook"


@pytest.mark.parametrize(
    ("cell", "seen"),
    [
        ("q.q1.check(q.distance)", "q.distance"),
        ("q.q1.check(q.q1._solution)", "_solution"),
        ("from cmhkit.course.lessons.lesson_01 import distance", "distance"),
        ("from cmhkit.course.lessons import framework as f", "framework"),
        ("getattr(q.q1, '_solution')", "_solution"),
        ("q.q1.wrong_answers", "wrong_answers"),
    ],
)
def test_looking_behind_a_question_is_remarked(cell: str, seen: str) -> None:
    (remark,) = grading.look_behind(new_notebook(cells=[new_code_cell(cell)]))
    assert remark.startswith("code cell 1 uses ") and seen in remark


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_the_course_itself_gives_no_remark_and_names_its_lesson(path: Path) -> None:
    notebook = grading.read_submission(path)
    assert list(grading.look_behind(notebook)) == []
    assert grading.lesson_of(notebook, "handed_in.ipynb") == f"lesson_{path.name[:2]}"


def test_which_lesson_and_which_questions() -> None:
    empty = new_notebook(cells=[new_code_cell("x = 1")])
    assert grading.lesson_of(empty, "smith_10_final.ipynb") == "lesson_10"
    assert grading.lesson_of(empty, "smith_2026.ipynb") == grading.lesson_of(empty, "99.ipynb") == ""
    assert grading.questions("lesson_01") == [f"01.q{i}" for i in range(1, 6)]
    assert all(grading.questions(name) for name in lessons.names())


def test_check_hint_and_solution_tell_the_grader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "record.jsonl"
    question = framework.Question(
        "99.q1", "two", check=framework.close(2), solution=2, hints=["h"], wrong_answers={"a": 1, "b": 3}
    )
    framework.reset_outcomes()
    question.check(3)
    assert not record.exists()
    monkeypatch.setenv("CMHKIT_OUTCOMES", str(record))
    for step in (
        lambda: question.check(...),
        lambda: question.check(2),
        lambda: question.check(3),
        question.hint,
        question.solution,
    ):
        step()
    framework.reset_outcomes()
    found, complaints = grading.read_outcomes(record)
    assert complaints == []
    assert {key: found["99.q1"][key] for key in ("status", "attempts", "hints", "solution_seen")} == {
        "status": "correct",  # the best of the run
        "attempts": 3,
        "hints": 1,
        "solution_seen": True,
    }
    monkeypatch.setenv("CMHKIT_OUTCOMES", str(tmp_path))  # a folder: the file cannot be written
    assert question.check(2).status == "correct"
    framework.reset_outcomes()


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", " =1", "\t=1"])
def test_no_formula_reaches_a_spreadsheet(tmp_path: Path, value: str) -> None:
    grading.write_rows(tmp_path / "g.csv", [dict.fromkeys(grading.COLUMNS, value)])
    with open(tmp_path / "g.csv", newline="", encoding="utf-8") as file:
        assert all(cell.startswith("'") for cell in list(csv.reader(file))[1])


def test_bad_input_is_told_in_one_line(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["grade", str(tmp_path / "none")]).exit_code == 2
    assert "found none" in run(app, ["grade", str(tmp_path)]).output
    (tmp_path / "a.ipynb").write_text("x")
    (tmp_path / "grades.csv").write_text("mine")
    again = run(app, ["grade", str(tmp_path)])
    assert again.exit_code == 2 and "exists" in again.output and (tmp_path / "grades.csv").read_text() == "mine"
    done = run(app, ["grade", str(tmp_path), "--overwrite"])
    assert done.exit_code == 0, done.output
    assert "not a notebook" in (tmp_path / "grades.csv").read_text()
    for wrong in ({"seconds": 0}, {"megabytes": 1.5}):
        with pytest.raises(InputError, match="expected a whole number"):
            grading.Limits(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="size: expected"):
        grading.grade(tmp_path, size="huge", overwrite=True)
    with pytest.raises(InputError, match="out: expected"):
        grading.grade(tmp_path, out=tmp_path / "no" / "x.csv")


@pytest.mark.parametrize("inside", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_a_cell_is_read_whose_texts_have_other_ends_of_lines(inside: str) -> None:
    tree = grading._tree(f'text = "a{inside}b"\n  %time 1\n!ls\nimport os\n')
    assert [type(node).__name__ for node in tree.body] == ["Assign", "Pass", "Pass", "Import"]
    assert tree.body[0].value.value == f"a{inside}b" and tree.body[-1].names[0].name == "os"
