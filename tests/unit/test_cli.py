"""The command line and the doctor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cmhkit
from cmhkit.app import cli, doctor
from cmhkit.app.retrieval import encode_texts

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
    for command in ("train", "evaluate", "encode", "search", "push", "data", "doctor"):
        assert f" {command} " in result.output


def test_the_module_runs_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cmhkit.app.cli", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (0, f"cmhkit {cmhkit.__version__}\n")


def test_doctor_passes_here(cache: Path) -> None:
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 0, result.output
    for what in (
        "Python",
        "PyTorch",
        "memory",
        "processor",
        "cache folder",
        "free disk",
        "data",
        "JupyterLab",
        "kernel",
    ):
        assert f"  {what} " in result.output
    assert result.output.strip().splitlines()[-1].startswith("Ready")
    assert list(cache.iterdir()) == []  # nothing is left behind


def test_doctor_exits_1_on_a_failure_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "run", lambda: doctor.Report((doctor.Row("FAIL", "numpy", "not installed", "run make lab again"),))
    )
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 1
    assert (
        "FAIL  numpy  not installed" in result.output
        and "-> run make lab again" in result.output
        and "Not ready: 1 of 1" in result.output
    )


def test_doctor_exits_0_on_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "run", lambda: doctor.Report((doctor.Row("WARN", "memory", "1.0 GB", "one notebook at a time"),))
    )
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 0 and "Ready, with 1 remark." in result.output


def test_a_check_that_breaks_is_a_row(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def broken() -> list[doctor.Row]:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "look_at_memory", broken)
    report = doctor.run()
    assert not report.ok and "RuntimeError: no such thing" in row(report, "memory").state


def test_a_missing_package_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    known = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "scipy" else known(name))
    report = doctor.Report(tuple(doctor.look_at_packages()))
    assert not report.ok and row(report, "scipy").status == "FAIL" and "make lab" in row(report, "scipy").advice


def test_another_version_warns(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# tested\nnumpy==0.0.1  # old\nnot-installed-here==1.0\n")
    report = doctor.Report(tuple(doctor.look_at_packages(tmp_path / "constraints.txt")))
    assert report.ok and row(report, "versions").status == "WARN" and "(tested: 0.0.1)" in row(report, "versions").state
    assert "not-installed-here" not in row(report, "versions").state


def test_without_constraints_versions_are_not_compared(tmp_path: Path) -> None:
    (only,) = doctor.look_at_packages(tmp_path / "missing.txt")
    assert only.status == "OK" and "not compared" in only.state


def test_the_checkout_and_its_constraints_are_seen() -> None:
    assert (doctor.KIT / "__init__.py").is_file() and doctor.look_at_python()[0].state.endswith("(cmhkit)")
    assert not [row for row in doctor.look_at_packages() if "not compared" in row.state]


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
    assert "cmhkit data build" in doctor.look_at_cache()[-1].state
    folder = cache / "scenes-lab-0123456789abcdef"
    folder.mkdir()
    (folder / "part.txt").write_text("content")
    (folder / "manifest.json").write_text(
        json.dumps(
            {"key": {}, "files": {"part.txt": "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"}}
        )
    )
    assert doctor.look_at_cache()[-1] == doctor.Row("OK", "data", "built: scenes-lab")
    (folder / "part.txt").write_text("damaged")
    assert [(r.status, r.state) for r in doctor.look_at_cache()[2:3]] == [("WARN", "damaged: scenes-lab")]


def test_a_kernel_of_another_python_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    monkeypatch.setattr(
        KernelSpecManager, "get_kernel_spec", lambda self, name: KernelSpec(argv=["/somewhere/else/python"])
    )
    kernel = doctor.look_at_jupyter()[-1]
    assert kernel.status == "WARN" and "/somewhere/else/python" in kernel.state


def test_a_missing_jupyterlab_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed_version", lambda name: None)
    (only,) = doctor.look_at_jupyter()
    assert only.status == "FAIL" and "make lab" in only.advice


def test_the_report_shows_itself() -> None:
    report = doctor.Report((doctor.Row("OK", "a", "b<c"), doctor.Row("WARN", "long name", "x", "do y")))
    assert repr(report) == "OK    a          b<c\nWARN  long name  x\n                 -> do y\nReady, with 1 remark."
    page = report._repr_html_()
    assert (
        "b&lt;c" in page
        and '<th scope="col" style="text-align:left">status</th>' in page
        and "<caption>Ready, with 1 remark.</caption>" in page
    )


def test_data_build(cache: Path) -> None:
    result = runner.invoke(cli.app, ["data", "build", "--size", "tiny"])
    assert result.exit_code == 0, result.output
    assert "size tiny: 600 pairs" in result.output and str(cache) in result.output
    assert "scenes-tiny" in doctor.look_at_cache()[-1].state


def test_data_build_refuses_an_unknown_size(cache: Path) -> None:
    result = runner.invoke(cli.app, ["data", "build", "--size", "huge"])
    assert result.exit_code == 2 and "huge" in result.output and "lab" in result.output


def test_an_unusable_cache_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
    ("arguments", "message"),
    [(["nowhere"], "path: expected a folder or a file"), ([".", "--as", "flickr"], "name: expected one of")],
)
def test_data_check_tells_bad_input_in_one_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["data", "check", *arguments])
    assert result.exit_code == 2 and message in result.output and len(result.output.strip().splitlines()) == 1


# Training and what follows. One small run serves all that only read it.

SMALL = {"rounds": 2, "pretrain_steps": 8, "d_steps": 3, "g_steps": 2, "pool": 200, "hidden": 64, "k_text": 10}


def told(options: dict[str, object]) -> list[str]:
    return [word for name, value in options.items() for word in ("--set", f"{name}={value}")]


def train_small(out: Path, *more: str, method: str = "ugach", options: dict[str, object] = SMALL):
    return runner.invoke(
        cli.app,
        ["train", method, "--data-option", "size=tiny", "--bits", "16", "--out", str(out), *told(options), *more],
    )


@pytest.fixture(scope="module")
def run(tiny, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMHKIT_CACHE", str(tiny_cache))
        result = train_small(out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("UGACH, 16 bits, on scenes/tiny\n") and result.stdout.endswith(
        f"report: {out / 'report.html'}\n"
    )
    assert [line.partition(":")[0] for line in result.stderr.splitlines() if line.startswith("epoch")] == [
        "epoch 0",
        "epoch 1",
        "epoch 2",
    ]
    return out


def one_line(result, code: int, *parts: str) -> None:
    """The command failed with this code, and said so in one line on standard error, with these parts in it."""
    assert result.exit_code == code, result.output
    assert (
        result.stdout == "" and len(result.stderr.strip().splitlines()) == 1 and result.stderr.startswith("cmhkit: ")
    ), result.output
    for part in parts:
        assert part in result.stderr


def test_every_method_can_be_named() -> None:
    from cmhkit.hasher import METHODS

    assert [method.value for method in cli.Method] == [name.lower() for name in METHODS]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("randomhash", {}),
        ("CCA", {"ridge": 0.5}),
        ("itq", {}),
        ("adah", {"epochs": 1, "text_hidden": 32, "text_width": 32}),
        (
            "ssah",
            {"epochs": 1, "image_hidden": 32, "text_hidden": 32, "label_hidden": 32, "width": 16, "pools": "5,10"},
        ),
    ],
)
def test_every_method_trains(method: str, options: dict[str, object], shared_cache: Path, tiny, tmp_path: Path) -> None:
    result = train_small(tmp_path / "run", "--threads", "1", method=method, options=options)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["method"].lower() == method.lower() and 0 < report["image_to_text"]["map"] < 1
    kept = cmhkit.load(tmp_path / "run" / "hasher.safetensors")
    assert {name: list(v) if isinstance(v := getattr(kept.config, name), tuple) else v for name in options} == {
        name: [5, 10] if name == "pools" else value for name, value in options.items()
    }


def test_a_run_folder_holds_what_the_library_gives(run: Path, tiny) -> None:
    hasher = cmhkit.load(run / "hasher.safetensors")
    for part in ("query", "retrieval"):
        split = getattr(tiny, part)
        for kind in ("images", "texts"):
            assert np.array_equal(np.load(run / "codes" / f"{part}_{kind}.npy"), hasher.encode(**{kind: split}))
        assert np.array_equal(np.load(run / "codes" / f"{part}_ids.npy"), split.ids)
    assert json.loads((run / "history.json").read_text()) == hasher.history_
    assert json.loads((run / "report.json").read_text())["summary"] == repr(hasher.evaluate(tiny))
    assert not (run / "checkpoint").exists()


def test_a_finished_run_says_so(run: Path, shared_cache: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file() and file.name != ".lock"}
    result = train_small(run)
    assert result.exit_code == 0 and result.stderr == f"{run}: this run is finished; --fresh trains it again\n"
    assert result.stdout.startswith("UGACH, 16 bits") and before == {file: file.stat().st_mtime_ns for file in before}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "lr_d=0.1"], "holds another run (lr_d 0.003 there, 0.1 here)"),
        (["--seed", "1"], "holds another run (seed 0 there, 1 here)"),
        (["--set", "round=3"], "round: not an option of this method; did you mean 'rounds'?"),
        (["--set", "lr_d=fast"], "lr_d: expected a number, got 'fast'"),
        (["--set", "lr_d"], "--set: expected name=value, got 'lr_d'"),
        (["--set", "rounds=3"], "--set: expected each name once, got 'rounds' twice"),
        (["--preset", "labb"], "preset: expected one of lab, paper, official, got 'labb'"),
        (["--bits", "12"], "bits: expected a multiple of 8 above 0, got 12"),
        (["--device", "toaster"], "device: expected"),
    ],
)
def test_train_tells_bad_input_in_one_line(run: Path, shared_cache: Path, more: list[str], message: str) -> None:
    one_line(train_small(run, *more), 2, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mirflickr:"], "name: expected a path after 'mirflickr:'"),
        (["--data", "imagenet"], "name: expected one of scenes, drawings, got 'imagenet'"),
        (["--data", "mat:nowhere.mat"], "nowhere.mat"),
        (["--data-option", "size=huge"], "size: expected one of tiny, lab, paper, got 'huge'"),
        (["--data-option", "sizes=tiny"], "sizes: not an option of 'scenes'"),
    ],
)
def test_train_tells_bad_data_in_one_line(
    shared_cache: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    one_line(runner.invoke(cli.app, ["train", "cca", "--out", str(tmp_path / "run"), *arguments]), 2, message)


def test_train_refuses_a_method_that_is_none(tmp_path: Path) -> None:
    result = runner.invoke(cli.app, ["train", "dcmh", "--out", str(tmp_path / "run")])
    assert (
        result.exit_code == 2
        and "dcmh" in result.stderr
        and "ugach" in result.stderr
        and list(tmp_path.iterdir()) == []
    )


def test_fresh_trains_anew(run: Path, tiny, shared_cache: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    result = train_small(copy, "--fresh", "--seed", "1", "--quiet")
    assert result.exit_code == 0 and result.stderr == ""
    assert not np.array_equal(np.load(copy / "codes" / "query_texts.npy"), np.load(run / "codes" / "query_texts.npy"))


def test_evaluate(run: Path, tiny, shared_cache: Path, tmp_path: Path) -> None:
    hasher = cmhkit.load(run / "hasher.safetensors")
    report = hasher.evaluate(tiny, r=50, ties="optimistic", divisor="relevant")
    arguments = ["evaluate", str(run), "--r", "50", "--ties", "optimistic", "--divisor", "relevant"]
    result = runner.invoke(cli.app, [*arguments, "--out", str(tmp_path / "page")])
    assert result.exit_code == 0 and result.stdout.startswith(repr(report) + "\n")
    at_50 = f"image to text {report.image_to_text.map_at_r:.3f}, text to image {report.text_to_image.map_at_r:.3f}"
    assert f"MAP@50 (relevant): {at_50}\n" in result.stdout
    assert "MAP@50, divisor relevant" in (tmp_path / "page" / "report.html").read_text()
    found = json.loads(runner.invoke(cli.app, [*arguments, "--json"]).stdout)
    assert found == json.loads((tmp_path / "page" / "report.json").read_text())
    assert found["image_to_text"]["map_at_r"] == report.image_to_text.map_at_r
    # The same data by name are encoded again, to the same end.
    again = json.loads(
        runner.invoke(cli.app, [*arguments, "--json", "--data", "scenes", "--data-option", "size=tiny"]).stdout
    )
    assert again == found
    one_line(
        runner.invoke(cli.app, ["evaluate", str(run), "--out", str(run)]),
        2,
        "--out: expected another folder than the run's",
    )
    one_line(
        runner.invoke(cli.app, ["evaluate", str(run), "--data-option", "size=tiny"]),
        2,
        "--data-option: expected --data too",
    )


@pytest.fixture
def pictures(tiny, tmp_path: Path) -> Path:
    """The first five query pictures as files, one in a folder of its own, with a broken one and something else."""
    from PIL import Image

    folder = tmp_path / "pictures"
    (folder / "inside").mkdir(parents=True)
    for i in range(5):
        Image.fromarray(tiny.query.images[i]).save(folder / ("inside/a 4.png" if i == 4 else f"{i}.png"))
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_encode_pictures(run: Path, pictures: Path, shared_cache: Path, tmp_path: Path) -> None:
    result = runner.invoke(cli.app, ["encode", str(run), "--images", str(pictures), "--out", str(tmp_path / "x.npz")])
    assert result.exit_code == 0 and result.stdout == f"5 codes of 16 bits: {tmp_path / 'x.npz'}\n"
    assert (
        result.stderr.startswith(f"left out: {pictures / 'broken.png'}: expected a picture, got: ")
        and result.stderr.count("\n") == 1
    )
    with np.load(tmp_path / "x.npz") as found:
        assert found["names"].tolist() == ["0.png", "1.png", "2.png", "3.png", "inside/a 4.png"]
        assert np.array_equal(found["codes"], np.load(run / "codes" / "query_images.npy")[:5])
    one = runner.invoke(
        cli.app, ["encode", str(run), "--images", str(pictures / "1.png"), "--out", str(tmp_path / "x.npy")]
    )
    assert one.exit_code == 0 and np.array_equal(
        np.load(tmp_path / "x.npy"), np.load(run / "codes" / "query_images.npy")[1:2]
    )


def test_encode_texts_and_data(run: Path, tiny, shared_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("dog flower\nqqqq\n" + tiny.query.texts[0] + "\n", encoding="utf-8")
    hasher = cmhkit.load(run / "hasher.safetensors")
    expected = hasher.encode(texts=["dog flower", "qqqq", tiny.query.texts[0]])
    result = runner.invoke(
        cli.app, ["encode", str(run), "--texts", str(tmp_path / "lines.txt"), "--out", str(tmp_path / "x.npy")]
    )
    assert result.exit_code == 0 and np.array_equal(np.load(tmp_path / "x.npy"), expected)
    assert "note: 1 of 3 lines have no word that the run knows, and all get the same code (lines 2)" in result.stderr
    result = runner.invoke(
        cli.app, ["encode", str(run), "--texts", "-", "--out", str(tmp_path / "x.npy")], input="dog flower\n"
    )
    assert result.exit_code == 0 and np.array_equal(np.load(tmp_path / "x.npy"), expected[:1])
    np.save(tmp_path / "vectors.npy", tiny.query.text_vectors[:3])
    result = runner.invoke(
        cli.app, ["encode", str(run), "--texts", str(tmp_path / "vectors.npy"), "--out", str(tmp_path / "x.npy")]
    )
    assert result.exit_code == 0 and np.array_equal(
        np.load(tmp_path / "x.npy"), np.load(run / "codes" / "query_texts.npy")[:3]
    )
    arguments = [
        "encode",
        str(run),
        "--data",
        "scenes",
        "--data-option",
        "size=tiny",
        "--out",
        str(tmp_path / "all.npz"),
    ]
    assert runner.invoke(cli.app, arguments).stdout == f"600 pairs of 16 bits: {tmp_path / 'all.npz'}\n"
    with np.load(tmp_path / "all.npz") as found:
        query = tiny.parts["query"]
        assert np.array_equal(found["image_codes"][query], np.load(run / "codes" / "query_images.npy"))
        assert np.array_equal(found["text_codes"][query], np.load(run / "codes" / "query_texts.npy"))
        assert (
            np.array_equal(np.flatnonzero(found["part"] == "query"), np.sort(query))
            and (found["part"] == "train").sum() == 400
        )


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_code_for_each_line_of_a_file(run: Path, shared_cache: Path, tmp_path: Path, inside: str, end: str) -> None:
    texts = [f"dog{inside}flower", f"{inside}cat", "dog", f"sun{inside}"]
    (tmp_path / "lines.txt").write_bytes(end.join(texts).encode("utf-8-sig"))
    found = encode_texts(run, tmp_path / "lines.txt", lambda line: None)
    assert found["names"].tolist() == texts
    assert np.array_equal(found["codes"], cmhkit.load(run / "hasher.safetensors").encode(texts=texts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.npz"], "encode: expected one of --images, --texts and --data, got none"),
        (["--out", "x.npz", "--texts", "a", "--images", "b"], "expected one of --images, --texts and --data, got 2"),
        (["--out", "x.txt", "--texts", "a"], "--out: expected a name that ends in .npz or .npy, got x.txt"),
        (["--out", "x.npy", "--data", "scenes"], "--out: expected a .npz file"),
        (
            ["--out", "x.npz", "--texts", "nowhere.txt"],
            "--texts: expected a file of texts, one a line, got nowhere.txt, which is not there",
        ),
        (
            ["--out", "x.npz", "--texts", "latin.txt"],
            "--texts: expected text in UTF-8, got other bytes in latin.txt, at byte 3",
        ),
        (["--out", "x.npz", "--texts", "empty.txt"], "--texts: expected at least one line, got none in empty.txt"),
        (["--out", "x.npz", "--texts", "bad.npy"], "--texts: expected a .npy file of numbers, got bad.npy"),
        (
            ["--out", "x.npz", "--images", "nowhere"],
            "--images: expected a folder of pictures, a picture or a .npy file, got nowhere, which is not there",
        ),
        (["--out", "x.npz", "--images", "."], "--images: expected pictures in ., got a folder without any"),
        (["--out", "x.npz", "--images", "empty.txt"], "empty.txt: expected a picture, got: empty file"),
    ],
)
def test_encode_tells_bad_input_in_one_line(
    run: Path, shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.npy").write_bytes(b"no array")
    one_line(runner.invoke(cli.app, ["encode", str(run), *arguments]), 2, message)
    assert not (tmp_path / "x.npz").exists()


def nearest(query: np.ndarray, database: np.ndarray, ids: np.ndarray, k: int) -> list[tuple[int, int]]:
    """(distance, id) of the k nearest codes, by counting bits one pair at a time."""
    return sorted(
        (int(np.unpackbits(query ^ code).sum()), int(name)) for code, name in zip(database, ids, strict=True)
    )[:k]


def test_search_by_words(run: Path, tiny, shared_cache: Path) -> None:
    hasher = cmhkit.load(run / "hasher.safetensors")
    ids = np.load(run / "codes" / "retrieval_ids.npy")
    expected = nearest(
        hasher.encode(texts=["dog flower sunny"])[0], np.load(run / "codes" / "retrieval_images.npy"), ids, 7
    )
    result = runner.invoke(cli.app, ["search", str(run), "dog", "flower", "sunny", "-k", "7", "--json"])
    rows = json.loads(result.stdout)
    assert [(row["distance"], row["id"]) for row in rows] == expected and [row["rank"] for row in rows] == list(
        range(1, 8)
    )
    place = int(np.flatnonzero(tiny.ids == rows[0]["id"])[0])
    assert rows[0]["text"] == tiny.texts[place]
    assert rows[0]["labels"] == [name for name, on in zip(tiny.label_names, tiny.labels[place], strict=True) if on]
    table = runner.invoke(cli.app, ["search", str(run), "dog flower sunny", "-k", "7"]).stdout.splitlines()
    assert table[0].split() == ["rank", "id", "distance", "labels", "text"] and len(table) == 8
    assert [int(line.split()[1]) for line in table[1:]] == [row["id"] for row in rows]
    texts = json.loads(runner.invoke(cli.app, ["search", str(run), "dog", "--among", "texts", "--json"]).stdout)
    assert [(row["distance"], row["id"]) for row in texts] == nearest(
        hasher.encode(texts=["dog"])[0], np.load(run / "codes" / "retrieval_texts.npy"), ids, 10
    )


def test_search_by_a_picture(run: Path, pictures: Path, shared_cache: Path) -> None:
    result = runner.invoke(cli.app, ["search", str(run), "--image", str(pictures / "2.png"), "--json"])
    query, database = np.load(run / "codes" / "query_images.npy")[2], np.load(run / "codes" / "retrieval_texts.npy")
    ids = np.load(run / "codes" / "retrieval_ids.npy")
    assert [(row["distance"], row["id"]) for row in json.loads(result.stdout)] == nearest(query, database, ids, 10)


def test_search_names_the_words_that_it_does_not_know(run: Path, shared_cache: Path) -> None:
    result = runner.invoke(cli.app, ["search", str(run), "flower", "animall"])
    assert result.exit_code == 0 and "words that the run knows: animall (nearest: animal)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["qqqq"], "search: expected a word that the training texts had, got none; unknown: qqqq"),
        (["?!"], "unknown: no word at all"),
        ([], "search: expected words or --image, one of both"),
        (["dog", "--image", "x.png"], "search: expected words or --image, one of both"),
        (["dog", "-k", "501"], "--k: expected a number from 1 to 500, got 501"),
        (["--image", "nowhere.png"], "nowhere.png: expected a picture, got nothing there"),
    ],
)
def test_search_tells_bad_input_in_one_line(run: Path, shared_cache: Path, arguments: list[str], message: str) -> None:
    one_line(runner.invoke(cli.app, ["search", str(run), *arguments]), 2, message)


def test_what_needs_a_finished_run_says_so(run: Path, tmp_path: Path) -> None:
    one_line(
        runner.invoke(cli.app, ["search", str(tmp_path), "dog"]), 2, "expected a run folder, which cmhkit train writes"
    )
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "finished.json").unlink()
    for arguments in (
        ["search", str(copy), "dog"],
        ["evaluate", str(copy)],
        ["encode", str(copy), "--texts", "x", "--out", "x.npy"],
    ):
        one_line(
            runner.invoke(cli.app, arguments),
            2,
            "got one that was stopped; go on with: cmhkit train ugach --data scenes",
        )


def test_your_own_pictures_without_labels(tiny, shared_cache: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(80):
        Image.fromarray(tiny.images[i]).save(folder / f"picture {i}.png")
        (folder / f"picture {i}.txt").write_text(tiny.texts[i])
    arguments = [
        "train",
        "cca",
        "--data",
        f"folder:{folder}",
        "--data-option",
        "side=64",
        "--data-option",
        "features=scenenet",
        "--bits",
        "8",
    ]
    result = runner.invoke(cli.app, [*arguments, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0 and "not measured, since the data have no labels" in result.stdout, result.output
    assert f"{folder}: 80 pairs (" in result.output and "texts: the .txt file beside each picture; " in result.output
    rows = json.loads(
        runner.invoke(cli.app, ["search", str(tmp_path / "run"), tiny.texts[0], "-k", "3", "--json"]).stdout
    )
    for row in rows:
        assert row["text"] == tiny.texts[int(Path(row["file"]).stem.split()[1])] and "labels" not in row
    found = runner.invoke(
        cli.app, ["search", str(tmp_path / "run"), "--image", str(folder / "picture 5.png"), "-k", "3"]
    )
    assert found.exit_code == 0 and found.stdout.splitlines()[0].split() == ["rank", "id", "distance", "file", "text"]
    one_line(runner.invoke(cli.app, ["evaluate", str(tmp_path / "run")]), 2, "data: expected labels")


# Endings.


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (cli.Terminated(), 143)])
def test_a_stopped_command_has_the_signals_code(
    monkeypatch: pytest.MonkeyPatch, stop: BaseException, code: int
) -> None:
    from cmhkit.app import runs

    def stopped(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(runs, "search", stopped)
    one_line(runner.invoke(cli.app, ["search", "run", "dog"]), code, "cmhkit: stopped")


def test_what_nobody_expected_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmhkit.app import runs

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(runs, "search", broken)
    result = runner.invoke(cli.app, ["search", "run", "dog"])
    assert result.exit_code == 1 and isinstance(result.exception, RuntimeError) and "a bug" in str(result.exception)


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmhkit.app import runs

    def warned(*_: object, **__: object) -> list[dict[str, int]]:
        warnings.warn("codes have collapsed", UserWarning, stacklevel=1)
        return [{"rank": 1}]

    monkeypatch.setattr(runs, "search", warned)
    result = runner.invoke(cli.app, ["search", "run", "dog"])
    assert result.stdout == "rank\n   1\n" and result.stderr == "warning: codes have collapsed\n"


def test_a_reader_that_leaves_is_no_error(run: Path) -> None:
    program = [sys.executable, "-m", "cmhkit", "search", str(run), "dog", "-k", "500", "--json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert error == "" and process.returncode == 1
