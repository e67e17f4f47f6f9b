"""Imports stay cheap: what is heavy is loaded by the part that uses it. Checked by loaded modules, not by a clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "matplotlib",
    "scipy",
    "sklearn",
    "h5py",
    "PIL",
    "numba",
    "psycopg",
    "faiss",
    "ipywidgets",
    "IPython",
    "jupyterlab",
}
CALL = """import sys, contextlib, cmhkit.app.cli
sys.argv = ['cmhkit', '{}']
with contextlib.suppress(SystemExit): cmhkit.app.cli.main()"""


def loaded_by(program: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `program`."""
    code = f"{program}\nimport sys\nprint('LOADED', *{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("LOADED "))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "program",
    [
        "import cmhkit",
        "import cmhkit as ck; dir(ck); ck.__version__",
        "import cmhkit.app.cli",
        CALL.format("--help"),
        CALL.format("--version"),
        "import cmhkit.app.doctor",
    ],
    ids=["import", "dir", "cli", "help", "version", "doctor"],
)
def test_nothing_heavy_is_imported(program: str) -> None:
    assert not loaded_by(program) & HEAVY


def test_the_check_itself_sees_a_heavy_import() -> None:
    assert "scipy" in loaded_by("import cmhkit, scipy")


def test_an_unknown_name_is_an_attribute_error() -> None:
    import cmhkit

    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        cmhkit.nothing_of_the_kind  # noqa: B018


def test_doctor_is_reached_from_the_package() -> None:
    import cmhkit as ck

    assert callable(ck.doctor.run)
