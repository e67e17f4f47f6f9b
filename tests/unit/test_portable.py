"""tools/portable.py and tools/strict.py: environments, nbval's command, the reading of its report. No notebook runs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tools import notebooks, portable, setup_venv, strict

FOUND = ["X86_V3", "X86_V4", "AVX512_ICL"]
DIFFERS = """#x1B[91mNotebook cell execution failed#x1B[0m
#x1B[94mCell 25: Cell outputs differ

Input:
#x1B[0mprint(a - b)

#x1B[94mTraceback:#x1B[0m
#x1B[94m mismatch 'stdout'#x1B[91m

 assert reference_output == test_output failed:

  'MAP 0.85\\n' == 'MAP 0.86\\n'
  
  - MAP 0.86
  ?        ^
  + MAP 0.85
  ?        ^
"""


def junit(*problems: str, cells: int = 44, skipped: int = 0) -> str:
    """A report of nbval with a failed cell for each text; the cells count from 25."""
    case = '<testcase name="Cell {}"><failure message="x">{}</failure></testcase>'
    cases = "".join(case.format(25 + i, escape(text)) for i, text in enumerate(problems))
    return (
        f'<testsuites><testsuite errors="0" failures="{len(problems)}" skipped="{skipped}" tests="{cells}">'
        f'<testcase name="Cell 0" />{cases}</testsuite></testsuites>'
    )


def test_the_command_compares_everything_but_what_the_sanitise_file_names() -> None:
    command = strict.command(Path("/course/30.ipynb"), Path("/scratch/30.xml"), "/other/bin/python")
    assert command[:3] == ["/other/bin/python", "-m", "pytest"] and command[-1] == "/course/30.ipynb"
    options = {"--nbval", "--nbval-current-env", "--junitxml=/scratch/30.xml"}
    assert {*options, f"--nbval-cell-timeout={notebooks.CELL_LIMIT}"} <= set(command)
    (sanitised,) = [word.partition("=")[2] for word in command if word.startswith("--nbval-sanitize-with=")]
    assert Path(sanitised).is_file()


def test_a_report_without_failures_is_the_same() -> None:
    verdict = strict.read(junit(), "")
    assert (verdict.passed, verdict.failed, verdict.differences) == (44, 0, ())
    assert portable.report(verdict) == ["same"]


def test_a_difference_names_the_cell_as_the_notebook_shows_it_and_both_lines() -> None:
    verdict = strict.read(junit(DIFFERS), "")
    assert (verdict.passed, verdict.failed) == (43, 1)
    assert portable.report(verdict) == [
        "DIFFERS: 1 of 44 cells",
        "  In [26]",
        "    here  MAP 0.86",
        "    kept  MAP 0.85",
    ]


def test_a_cell_that_fails_shows_the_end_of_its_error() -> None:
    (difference,) = strict.read(junit("Traceback\nValueError: no such thing"), "").differences
    assert difference.lines == ("Traceback", "ValueError: no such thing")


def test_a_long_difference_is_cut() -> None:
    (difference,) = strict.read(junit("\n".join(f"  - line {i}" for i in range(50))), "").differences
    assert len(difference.lines) == strict.SHOWN + 1 and difference.lines[-1] == f"… and {50 - strict.SHOWN} lines more"


@pytest.mark.parametrize("report", [junit(skipped=1), junit(cells=0)])
def test_cells_that_were_not_compared_prove_nothing(report: str) -> None:
    assert portable.report(strict.read(report, ""))[0].startswith("DIFFERS")


@pytest.mark.parametrize(
    ("name", "off"),
    [("avx2", "X86_V4 AVX512_ICL"), ("baseline", "X86_V3 X86_V4 AVX512_ICL"), ("newest", "")],
)
def test_numpy_loses_the_features_that_the_machine_lacks(name: str, off: str) -> None:
    (machine, *_) = portable.machines([name], Path("/newest"))
    assert portable.variables(machine, FOUND, Path("/cache"))["NPY_DISABLE_CPU_FEATURES"] == off


def test_a_machine_sets_threads_kernels_cache_and_the_kit_of_this_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    one, two = portable.machines(["avx2"], Path("/newest"))
    first, second = (portable.variables(machine, [], Path("/cache")) for machine in (one, two))
    for variables, count in ((first, "1"), (second, "2")):
        assert [variables[name] for name in portable.THREADS] == [count] * 3
    assert first["ATEN_CPU_CAPABILITY"] == "avx2" and first["CMHKIT_CACHE"] == "/cache"
    assert first["PYTHONPATH"].split(":") == [str(portable.ROOT), "/mine"]


def test_the_newest_machine_has_a_python_of_its_own_and_this_processor_s_kernels() -> None:
    (machine,) = portable.machines(["newest"], Path("/newest"))
    assert machine.python == Path("/newest/bin/python")
    assert not portable.KERNELS["newest"] and str(machine) == "newest, 1 thread"


def test_words_are_machines_or_lessons_on_either_side_of_the_option() -> None:
    assert portable.words(["11", "avx2", "30"]) == (["11", "30"], ["avx2"])


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert portable.main(["--machines", "sse9"]) == 1
    assert "sse9" in capsys.readouterr().err


def test_the_newest_packages_have_no_version_but_torch_s() -> None:
    requirements = portable.newest_requirements(portable.ROOT)
    assert [word for word in requirements if "=" in word] == [setup_venv.torch_requirement(portable.ROOT)]
    assert {"numpy", "ipywidgets", "nbval", "papermill"} <= set(requirements) and "torch" not in requirements


def test_a_processor_without_avx512_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine, *_) = portable.machines(["avx2"], Path("/newest"))
    for found, mentioned in ((["X86_V3"], True), (FOUND, False)):
        monkeypatch.setattr(portable, "numpy_features", lambda python, found=found: found)
        assert portable.prepared(machine, Path("/newest")) == found
        assert ("no AVX-512 anyway" in capsys.readouterr().out) is mentioned


@pytest.mark.parametrize(("verdict", "status"), [(strict.Verdict(3, 0, ""), 0), (strict.Verdict(2, 1, ""), 1)])
def test_the_exit_status_tells_whether_something_differs(
    verdict: strict.Verdict, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(strict, "run", lambda *arguments: verdict)
    assert portable.main(["01", "--machines", "avx2"]) == status
    printed = capsys.readouterr().out
    assert printed.count("01_hamming_space") == 2 and ("DIFFERS" in printed) is bool(status)


def test_versions_that_differ_from_the_pinned_ones_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = portable.read_pins(portable.ROOT / "constraints.txt")
    versions = {"numpy": "99.0", "torch": pins["torch"] + "+cpu", "unpinned": "1"}
    listed = [{"name": name, "version": version} for name, version in versions.items()]
    done = portable.subprocess.CompletedProcess([], 0, json.dumps(listed), "")
    monkeypatch.setattr(portable.subprocess, "run", lambda *arguments, **options: done)
    assert portable.other_versions(Path("python")) == [f"numpy {pins['numpy']} → 99.0"]
