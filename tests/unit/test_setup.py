"""Set-up: the dependency lists agree, Binder chooses what we mean, the scripts are strict, and a half-made environment
is not trusted.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cmhkit.app.doctor import read_pins

ROOT = Path(__file__).resolve().parents[2]
PINS = read_pins(ROOT / "constraints.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CORE = set(PROJECT["project"]["dependencies"])
EXTRAS = {name: set(packages) for name, packages in PROJECT["project"]["optional-dependencies"].items()}
BUILD = set(PROJECT["build-system"]["requires"])
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_file(path: str) -> tuple[dict[str, str], list[str]]:
    """The conda packages {name: version} and the lines of the pip section."""
    content = yaml.safe_load((ROOT / path).read_text())
    assert content["channels"] == ["conda-forge"]
    packages: dict[str, str] = {}
    pip: list[str] = []
    for entry in content["dependencies"]:
        if isinstance(entry, dict):
            assert set(entry) == {"pip"}
            pip = entry["pip"]
        else:
            name, _, version = entry.partition("=")
            packages[CONDA_NAMES.get(name, name)] = version
    return packages, pip


def pip_pins(lines: list[str]) -> dict[str, str]:
    return dict(line.split("==") for line in lines if not line.startswith("-"))


# --- the dependency lists ---


def test_everything_direct_is_pinned() -> None:
    direct = CORE | BUILD | set().union(*EXTRAS.values())
    assert direct <= set(PINS), f"constraints.txt lacks {sorted(direct - set(PINS))}"
    assert set(EXTRAS) == {"lab", "test", "browser", "faiss", "photos", "words", "bench", "database"}
    assert PINS["torch"] == "2.13.0"


def test_constraints_hold_nothing_loose() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        text = line.split("#")[0].strip()
        assert not text or re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", text), (
            f"constraints.txt: {line!r} is not name==version"
        )


def test_the_environment_here_has_the_pinned_versions() -> None:
    """`make test` runs in what constraints.txt says; an extra that is not installed is no matter."""
    from importlib.metadata import distributions

    installed = {normal(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    other = {
        name: (installed[normal(name)], version)
        for name, version in PINS.items()
        if installed.get(normal(name), version) != version
    }
    assert not other, f"(installed, pinned): {other}"


def test_environment_yml_names_the_same_packages_and_versions() -> None:
    conda, pip = conda_file("environment.yml")
    assert pip[-1] == "-e ."
    named = {**conda, **pip_pins(pip)}
    assert (
        set(named) - {"python", "pip"}
        == CORE | BUILD | EXTRAS["lab"] | EXTRAS["test"] | EXTRAS["faiss"] | EXTRAS["database"]
    )
    for name, version in conda.items():
        if name not in {"python", "pip"}:
            assert version == ".".join(PINS[name].split(".")[:2]), (
                f"environment.yml: {name}={version}, constraints.txt has {PINS[name]}"
            )
    assert pip_pins(pip).items() <= PINS.items()


def test_binder_names_the_same_packages_and_versions() -> None:
    conda, pip = conda_file("binder/environment.yml")
    assert set(conda) == {"python", "pip"}
    named = pip_pins(pip)
    assert named.pop("torch") == f"{PINS['torch']}+cpu"
    assert named.items() <= PINS.items(), f"not as in constraints.txt: {dict(named.items() - PINS.items())}"
    assert CORE - {"torch"} | BUILD | EXTRAS["lab"] | EXTRAS["database"] <= set(named)
    outside = set().union(*(packages for extra, packages in EXTRAS.items() if extra not in ("lab", "database")))
    outside -= {"nbformat", *EXTRAS["lab"]}
    assert not outside & set(named), "Binder needs no tests"
    assert set(PINS) - CORE - BUILD - set().union(*EXTRAS.values()) <= set(named), (
        "the indirect pins belong to Binder too"
    )


def test_one_python_everywhere() -> None:
    oldest = re.search(r"\d+\.\d+", PROJECT["project"]["requires-python"]).group()  # type: ignore[union-attr]
    assert conda_file("environment.yml")[0]["python"] == conda_file("binder/environment.yml")[0]["python"] == oldest


# --- Binder ---


@pytest.mark.filterwarnings("ignore:pythonjsonlogger:DeprecationWarning")
def test_repo2docker_chooses_conda_and_the_binder_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    chosen = next(pack for pack in (kind(app.base_image) for kind in app.buildpacks) if pack.detect())
    assert type(chosen).__name__ == "CondaBuildPack"
    assert chosen.binder_dir == "binder"
    assert chosen.environment_yaml_path == "binder/environment.yml"
    assert chosen.python_version == "3.11"
    assert chosen.get_start_script() == "${REPO_DIR}/binder/start"
    assert chosen.get_post_build_scripts() == ["binder/postBuild"]
    chosen.platform = "linux/amd64"
    recipe = chosen.render()
    assert recipe.index("COPY --chown=1000:1000 src/binder/environment.yml") < recipe.index(
        "COPY --chown=1000:1000 src/ "
    )
    assert "RUN ./binder/postBuild" in recipe


def test_a_commit_does_not_make_binder_install_torch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """repo2docker keeps the layer with the packages only while binder/environment.yml refers to nothing in the
    repository.
    """
    from repo2docker.app import Repo2Docker
    from repo2docker.buildpacks import CondaBuildPack

    monkeypatch.chdir(ROOT)
    pack = CondaBuildPack(Repo2Docker().base_image)
    assert pack._should_preassemble_env
    assert pack.get_preassemble_script_files().get("binder/environment.yml") == "binder/environment.yml"


def test_without_the_binder_folder_the_check_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repo2docker.app import Repo2Docker
    from repo2docker.buildpacks import CondaBuildPack

    shutil.copy(ROOT / "environment.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    pack = CondaBuildPack(Repo2Docker().base_image)
    assert pack.detect() and pack.environment_yaml_path == "environment.yml" and not pack._should_preassemble_env


@pytest.mark.parametrize("script", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_are_strict_bash(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK), f"{script} is not executable"
    assert path.read_text().startswith("#!/bin/bash\n")
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True).returncode == 0
    strict = (
        "set -uo pipefail" if script == ".ci/run" else "set -euo pipefail"
    )  # CI goes on after a failed part, and remembers it
    code = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert code[0] == strict


def test_post_build_installs_checks_and_builds() -> None:
    text = (ROOT / "binder/postBuild").read_text()
    assert re.search(r"pip install .*--no-deps .*-e \.$", text, re.MULTILINE)
    assert "torch.version.cuda is None" in text
    assert "ck.data.load('scenes')" in text


def test_post_build_stops_at_the_first_failure(tmp_path: Path) -> None:
    """With a `python` that fails, postBuild fails too, and does not go on."""
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/bash\necho ran >> {tmp_path}/log\nexit 3\n")
    fake.chmod(0o755)
    result = subprocess.run(
        [ROOT / "binder/postBuild"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, cwd=tmp_path, capture_output=True
    )
    assert result.returncode == 3
    assert (tmp_path / "log").read_text() == "ran\n"


def test_start_hands_over_with_one_thread() -> None:
    result = subprocess.run(
        [ROOT / "binder/start", "bash", "-c", 'echo "$OMP_NUM_THREADS $1"', "-", "a b"], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, "1 a b\n")


# --- tools/setup_venv.py ---


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "tools" / "setup_venv.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.found_uv = None  # a machine's own uv is left alone
    which = module.shutil.which
    monkeypatch.setattr(module.shutil, "which", lambda name: module.found_uv if name == "uv" else which(name))
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def finished(setup: ModuleType, root: Path, extras: list[str]) -> Path:
    """A folder that looks like a finished environment."""
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    (venv / ".installed.json").write_text(
        json.dumps({"fingerprint": setup.fingerprint(root), "extras": extras, "home": setup.home(root)})
    )
    return venv


def test_a_finished_environment_is_reused(setup: ModuleType, checkout: Path) -> None:
    venv = finished(setup, checkout, ["lab", "test"])
    assert setup.is_ready(venv, setup.fingerprint(checkout), ["lab"])
    assert not setup.is_ready(venv, setup.fingerprint(checkout), ["browser", "lab"])


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_list_is_installed_again(setup: ModuleType, checkout: Path, name: str) -> None:
    venv = finished(setup, checkout, ["lab"])
    (checkout / name).write_text((checkout / name).read_text() + "\n# changed\n")
    assert not setup.is_ready(venv, setup.fingerprint(checkout), ["lab"])


def test_a_killed_install_is_not_trusted(setup: ModuleType, checkout: Path) -> None:
    venv = finished(setup, checkout, ["lab"])
    (venv / ".installing").touch()
    assert not setup.is_ready(venv, setup.fingerprint(checkout), ["lab"])


def test_an_environment_of_another_folder_is_made_anew(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied checkout brings its environment along, whose scripts still point to the old folder."""
    venv = finished(setup, checkout, ["lab"])
    stamp = json.loads((venv / ".installed.json").read_text())
    (venv / ".installed.json").write_text(json.dumps({**stamp, "home": "/somewhere/else"}))
    (venv / "bin" / "pip").touch()
    (venv / "old").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "torch_arguments", lambda *_: [])
    monkeypatch.setattr(setup, "run", lambda command, *_, **__: commands.append(command))
    setup.install(checkout, venv, ["test"])
    assert not (venv / "old").exists()
    assert commands[0] == [setup.PYTHON, "-m", "venv", str(venv)] and commands[1][-1].endswith("[test]")


def test_extras_that_are_there_are_kept_up_to_date(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = finished(setup, checkout, ["lab", "test"])
    (venv / "bin" / "pip").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "torch_arguments", lambda *_: [])
    monkeypatch.setattr(setup, "run", lambda command, *_, **__: commands.append(command))
    setup.install(checkout, venv, ["browser", "lab"])
    assert commands[0][-1].endswith("[browser,lab,test]")
    assert setup.is_ready(venv, setup.fingerprint(checkout), ["browser", "lab", "test"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"extras": 3}'])
def test_a_damaged_stamp_is_not_trusted(setup: ModuleType, checkout: Path, content: str) -> None:
    venv = finished(setup, checkout, ["lab"])
    (venv / ".installed.json").write_text(content)
    assert not setup.is_ready(venv, setup.fingerprint(checkout), ["lab"])


def test_a_failing_pip_leaves_no_stamp_and_one_message(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = subprocess.run

    def no_network(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if "install" in command:
            return subprocess.CompletedProcess(command, 1)
        assert command[1:3] == ["-m", "venv"], command
        return real([*command[:3], "--without-pip", command[3]], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup, "NEEDED_GB", 0.0)
    monkeypatch.setenv("TORCH_INDEX", "none")
    monkeypatch.delenv("VENV", raising=False)
    monkeypatch.setattr(setup.subprocess, "run", no_network)
    assert setup.main(["lab"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("set-up: pip could not install the kit") and len(error.strip().splitlines()) == 1
    assert (checkout / ".venv" / ".installing").exists() and not (checkout / ".venv" / ".installed.json").exists()


def test_an_old_python_gets_one_clear_message(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (99, 0))
    assert setup.main(["lab"]) == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().err
    assert not (checkout / ".venv").exists()


def test_a_full_disk_gets_one_clear_message(setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "NEEDED_GB", 1e9)
    with pytest.raises(setup.SetupError, match="GB free"):
        setup.check_machine(checkout)


def test_which_pytorch(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = {"cpu wheel": 1}
    monkeypatch.setattr(setup.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, found["cpu wheel"]))
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    monkeypatch.delenv("TORCH_INDEX", raising=False)

    monkeypatch.setattr(setup.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert setup.torch_arguments(["pip"], "torch==1") == []  # a GPU: PyPI's build

    monkeypatch.setattr(setup.shutil, "which", lambda name: None)
    found["cpu wheel"] = 0
    assert setup.torch_arguments(["pip"], "torch==1") == []  # pip finds the CPU wheel by itself

    found["cpu wheel"] = 1

    class Answer:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(setup.urllib.request, "urlopen", lambda *a, **k: Answer())
    assert setup.torch_arguments(["pip"], "torch==1") == ["--extra-index-url", setup.TORCH_INDEX]

    def silent(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(setup.urllib.request, "urlopen", silent)
    assert setup.torch_arguments(["pip"], "torch==1") == []
    assert "does not answer" in capsys.readouterr().out

    monkeypatch.setenv("TORCH_INDEX", "none")
    assert setup.torch_arguments(["pip"], "torch==1") == []
    monkeypatch.setenv("TORCH_INDEX", "file:///wheels")
    assert setup.torch_arguments(["pip"], "torch==1") == ["--extra-index-url", "file:///wheels"]
    monkeypatch.delenv("TORCH_INDEX")
    monkeypatch.setattr(setup.platform, "system", lambda: "Darwin")
    assert setup.torch_arguments(["pip"], "torch==1") == []


UV = """#!/bin/bash
echo "$@" >> {log}
while [ $# -gt 0 ]; do [ "$1" = --constraints ] && cat "$2" >> {log}; shift; done
echo "cert: $SSL_CERT_FILE" >> {log}
exit {code}
"""


@pytest.fixture
def uv(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for uv that writes down what it is asked, and ends with the number in the file `code`."""
    script = tmp_path / "uv"
    script.write_text(UV.format(log=tmp_path / "asked", code=f"$(cat {tmp_path}/code)"))
    script.chmod(0o755)
    (tmp_path / "code").write_text("0")
    setup.found_uv = str(script)
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup, "pip_settings", lambda pip: {"find-links": "/wheels /more", "cert": "/c.crt"})
    monkeypatch.setattr(setup, "torch_arguments", lambda *_: [])
    for name in ("TORCH_INDEX", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_uv_installs_where_it_is_at_hand(
    setup: ModuleType, uv: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = finished(setup, checkout, ["lab"])
    (venv / "bin" / "pip").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "run", lambda command, *_, **__: commands.append(command))
    setup.install(checkout, venv, ["test"])
    asked = (uv / "asked").read_text()
    assert commands == [] and setup.is_ready(venv, setup.fingerprint(checkout), ["lab", "test"])
    assert f"-e {checkout}[lab,test]" in asked and f"--python {venv}/bin/python" in asked
    assert "--find-links /wheels --find-links /more" in asked and "cert: /c.crt" in asked
    assert "\ntorch==2.13.0+cpu\n" in asked and (checkout / "constraints.txt").read_text() in asked


def test_uv_may_take_pypi_s_torch_where_there_is_a_gpu_or_torch_index_says_so(
    setup: ModuleType, uv: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidia-smi", ""):
        if name:
            setup.shutil.which = lambda name: setup.found_uv if name == "uv" else "/usr/bin/nvidia-smi"
        else:
            setup.shutil.which = lambda name: setup.found_uv if name == "uv" else None
            monkeypatch.setenv("TORCH_INDEX", "none")
        assert setup.installed_by_uv(["pip"], "python", checkout, "target", ["--extra-index-url", "file:///x"])
        asked = (uv / "asked").read_text()
        assert "+cpu" not in asked and "--extra-index-url file:///x" in asked
        (uv / "asked").unlink()


@pytest.mark.parametrize("code", ["1", "no number"])
def test_what_uv_cannot_do_pip_does(
    setup: ModuleType, uv: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (uv / "code").write_text(code)
    venv = finished(setup, checkout, ["lab"])
    (venv / "bin" / "pip").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "run", lambda command, *_, **__: commands.append(command))
    setup.install(checkout, venv, ["lab"])
    assert [command[4] for command in commands] == ["install", "check"]
    setup.found_uv = str(uv / "not-there")
    assert not setup.installed_by_uv(["pip"], "python", checkout, "target", [])
    setup.found_uv = None
    assert not setup.installed_by_uv(["pip"], "python", checkout, "target", [])


def test_pip_s_settings_are_read(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ":env:.find-links='/a /b'\nglobal.cert='/c'\nglobal.find-links='/d'\nglobal.index-url='file:///i=1'\nfreeze.x='1'"
    monkeypatch.setattr(setup.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=text))
    assert setup.pip_settings(["pip"]) == {"find-links": "/a /b", "cert": "/c", "index-url": "file:///i=1"}


# --- the Makefile ---


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "PYTHON"}
    }
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, timeout=120
    )


def test_make_alone_lists_the_targets() -> None:
    result = make()
    assert result.returncode == 0, result.stderr
    for target in ("lab", "test", "notebooks", "measure", "bench", "bench-full", "clean"):
        assert f"make {target} " in result.stdout


def test_make_without_a_python_says_so(tmp_path: Path) -> None:
    result = make("lab", "PYTHON=")
    assert result.returncode != 0 and "no Python 3.11 or newer was found" in result.stderr


def test_make_lab_as_root_and_headless_asks_jupyter_for_the_right_things() -> None:
    recipe = make("-n", "lab", "LAB_ARGS=--no-browser --port=9999").stdout
    assert (
        "--allow-root" in recipe and "--no-browser --port=9999" in recipe and "notebooks/00_start_here.ipynb" in recipe
    )
    assert recipe.index("setup_venv.py") < recipe.index('cmhkit" doctor') < recipe.index('jupyter" lab')
