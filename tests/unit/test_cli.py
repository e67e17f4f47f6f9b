"""The command line and the doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cmhkit
from cmhkit import cli, doctor

runner = CliRunner()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of its own."""
    monkeypatch.setenv("CMHKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def row(report: doctor.Report, what: str) -> doctor.Row:
    return next(row for row in report.rows if row.what == what)


def test_version() -> None:
    result = runner.invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"cmhkit {cmhkit.__version__}\n")


def test_help_names_every_command() -> None:
    result = runner.invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    assert "doctor" in result.output and "data" in result.output


def test_the_module_runs_as_a_program() -> None:
    result = subprocess.run([sys.executable, "-m", "cmhkit.cli", "--version"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, f"cmhkit {cmhkit.__version__}\n")


def test_doctor_passes_here(cache: Path) -> None:
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 0, result.output
    for what in ("Python", "PyTorch", "memory", "processor", "cache folder", "free disk", "data", "JupyterLab", "kernel"):
        assert f"  {what} " in result.output
    assert result.output.strip().splitlines()[-1].startswith("Ready")
    assert list(cache.iterdir()) == []  # nothing is left behind


def test_doctor_exits_1_on_a_failure_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run", lambda: doctor.Report((doctor.Row("FAIL", "numpy", "not installed", "run make lab again"),)))
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 1
    assert "FAIL  numpy  not installed" in result.output and "-> run make lab again" in result.output and "Not ready: 1 of 1" in result.output


def test_doctor_exits_0_on_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run", lambda: doctor.Report((doctor.Row("WARN", "memory", "1.0 GB", "one notebook at a time"),)))
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 0 and "Ready, with 1 remark." in result.output


def test_a_check_that_breaks_is_a_row(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def broken() -> list[doctor.Row]:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "look_at_memory", broken)
    report = doctor.run()
    assert not report.ok and "RuntimeError: no such thing" in row(report, "memory").found


def test_a_missing_package_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    known = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "scipy" else known(name))
    report = doctor.Report(tuple(doctor.look_at_packages()))
    assert not report.ok and row(report, "scipy").status == "FAIL" and "make lab" in row(report, "scipy").advice


def test_another_version_warns(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# tested\nnumpy==0.0.1  # old\nnot-installed-here==1.0\n")
    report = doctor.Report(tuple(doctor.look_at_packages(tmp_path / "constraints.txt")))
    assert report.ok and row(report, "versions").status == "WARN" and "(tested: 0.0.1)" in row(report, "versions").found
    assert "not-installed-here" not in row(report, "versions").found


def test_without_constraints_versions_are_not_compared(tmp_path: Path) -> None:
    (only,) = doctor.look_at_packages(tmp_path / "missing.txt")
    assert only.status == "OK" and "not compared" in only.found


def test_torch_that_cannot_be_imported_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (only,) = doctor.look_at_torch()
    assert only.status == "FAIL" and only.advice


def test_more_threads_than_cores_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_cores", lambda: 0.5)
    assert [r.status for r in doctor.look_at_torch()] == ["OK", "WARN"]
    assert doctor.look_at_cores()[0].status == "WARN"


def test_little_memory_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: 1.2)
    assert doctor.look_at_memory()[0] == doctor.Row("WARN", "memory", "1.2 GB", doctor.look_at_memory()[0].advice)
    monkeypatch.setattr(doctor, "available_memory", lambda: None)
    assert doctor.look_at_memory()[0].status == "OK"


def test_a_containers_limits_count(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("2000000\n")
    assert doctor.available_cores(tmp_path) == 0.5
    assert doctor.available_memory(tmp_path) == 0.002
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor.available_cores(tmp_path) >= 1
    assert doctor.available_memory(tmp_path) == doctor.available_memory(tmp_path / "none")


def test_a_cache_folder_that_cannot_be_made_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CMHKIT_CACHE", str(tmp_path / "file" / "cache"))
    (only,) = doctor.look_at_cache()
    assert only.status == "FAIL" and "CMHKIT_CACHE" in only.advice


def test_the_state_of_the_data_cache(cache: Path) -> None:
    assert "cmhkit data build" in doctor.look_at_cache()[-1].found
    folder = cache / "scenes-lab-0123456789abcdef"
    folder.mkdir()
    (folder / "part.txt").write_text("content")
    (folder / "manifest.json").write_text(
        json.dumps({"key": {}, "files": {"part.txt": "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"}})
    )
    assert doctor.look_at_cache()[-1] == doctor.Row("OK", "data", "built: scenes-lab")
    (folder / "part.txt").write_text("damaged")
    assert [(r.status, r.found) for r in doctor.look_at_cache()[2:3]] == [("WARN", "damaged: scenes-lab")]


def test_a_kernel_of_another_python_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: KernelSpec(argv=["/somewhere/else/python"]))
    kernel = doctor.look_at_jupyter()[-1]
    assert kernel.status == "WARN" and "/somewhere/else/python" in kernel.found


def test_a_missing_jupyterlab_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed_version", lambda name: None)
    (only,) = doctor.look_at_jupyter()
    assert only.status == "FAIL" and "make lab" in only.advice


def test_the_report_shows_itself() -> None:
    report = doctor.Report((doctor.Row("OK", "a", "b<c"), doctor.Row("WARN", "long name", "x", "do y")))
    assert repr(report) == "OK    a          b<c\nWARN  long name  x\n                 -> do y\nReady, with 1 remark."
    page = report._repr_html_()
    assert "b&lt;c" in page and '<th scope="col" style="text-align:left">status</th>' in page and "<caption>Ready, with 1 remark.</caption>" in page


def test_data_build(cache: Path) -> None:
    result = runner.invoke(cli.app, ["data", "build", "--size", "tiny"])
    assert result.exit_code == 0, result.output
    assert "size tiny: 600 pairs" in result.output and str(cache) in result.output
    assert "scenes-tiny" in doctor.look_at_cache()[-1].found


def test_data_build_refuses_an_unknown_size(cache: Path) -> None:
    result = runner.invoke(cli.app, ["data", "build", "--size", "huge"])
    assert result.exit_code == 2 and "huge" in result.output and "lab" in result.output


def test_an_unusable_cache_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CMHKIT_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(sys, "argv", ["cmhkit", "data", "build", "--size", "tiny"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("cmhkit: ") and len(error.strip().splitlines()) == 1


def test_data_check_says_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    from field_files import mirflickr_folder

    folder = mirflickr_folder(tmp_path)
    result = runner.invoke(cli.app, ["data", "check", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"{folder}: MIRFlickr-25K\n" in result.output and "mirflickr/im1.jpg, 30 of 25,000 files\n" in result.output
    assert f"complete: read it with load('mirflickr:{folder}')\n" in result.output
    (folder / "mirflickr" / "meta" / "tags" / "tags1.txt").unlink()
    result = runner.invoke(cli.app, ["data", "check", str(folder), "--as", "mirflickr"])
    assert result.exit_code == 1
    assert "  missing   tags: mirflickr/meta/tags/tags1.txt, from https://press.liacs.nl/mirflickr/\n" in result.output
    assert result.output.endswith("  1 missing\n")


@pytest.mark.parametrize(
    ("arguments", "message"), [(["nowhere"], "path: expected a folder or a file"), ([".", "--as", "flickr"], "name: expected one of")]
)
def test_data_check_tells_bad_input_in_one_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["data", "check", *arguments])
    assert result.exit_code == 2 and message in result.output and len(result.output.strip().splitlines()) == 1
