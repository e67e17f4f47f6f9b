"""tools/mutants.py on a toy kit, and that the lists in tests/mutants still fit the files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import mutants  # noqa: E402

KIT = '''def larger(a, b):
    """The larger of two numbers."""
    return a if a > b else b


def down(n):
    while n > 0:
        n -= 1
    return n
'''
TESTS = """import cmhkit


def test_larger():
    assert cmhkit.larger(1, 2) == cmhkit.larger(2, 1) == 2


def test_down():
    assert cmhkit.down(3) == 0
"""
CAUGHT = ("a if a > b", "b if a > b")
SURVIVOR = ("a if a > b", "a if a >= b")
SYNTAX_ERROR = ("a if a > b", "a if a >")
NOT_IMPORTED = ("def larger(a, b):", "def larger(a, b=unknown):")
HANG = ("n -= 1", "n -= 0")
STALE = ("a if a < b", "b")
TWICE = ("return", "yield")


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A tree that looks like the kit, of one function and one test file."""
    for name, text in {"cmhkit/__init__.py": KIT, "tests/unit/test_toy.py": TESTS}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "tests" / "mutants").mkdir()
    return tmp_path


def write(kit: Path, *changes: tuple[str, str], name: str = "toy", test: str = "tests/unit/test_toy.py") -> None:
    entry = '[[mutant]]\nfile = "cmhkit/__init__.py"\nwhat = "change {}"\nold = "{}"\nnew = "{}"\ntests = ["{}"]\n'
    entries = [entry.format(number, old, new, test) for number, (old, new) in enumerate(changes, 1)]
    (kit / "tests" / "mutants" / f"{name}.toml").write_text("\n".join(entries), encoding="utf-8")


def test_caught_survivor_and_hang(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(kit, CAUGHT, SURVIVOR, HANG)
    assert mutants.main(["--workers", "2", "--limit", "3"], kit) == 1
    printed = capsys.readouterr().out
    lines = {line.split()[3]: line for line in printed.splitlines() if " s  toy:" in line}
    assert lines["toy:1"].startswith("caught") and "(tests/unit/test_toy.py::test_larger)" in lines["toy:1"]
    assert lines["toy:2"].startswith("SURVIVED") and "change 2" in lines["toy:2"]
    assert lines["toy:3"].startswith("caught") and "hang" in lines["toy:3"]
    assert "  - a if a > b\n  + a if a >= b" in printed
    assert "\n2 caught, 1 survived; " in printed
    assert (kit / "cmhkit" / "__init__.py").read_text(encoding="utf-8") == KIT


def test_all_caught_is_a_success_and_a_name_chooses(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(kit, CAUGHT, name="one")
    write(kit, SURVIVOR, CAUGHT, name="two", test="tests/unit/test_toy.py::test_larger")
    assert mutants.main(["one", "two:2"], kit) == 0
    assert "\n2 caught, 0 survived; " in capsys.readouterr().out
    assert mutants.main(["three"], kit) == 2 and "there are one, two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (STALE, "found it 0 times"),
        (TWICE, "found it 2 times"),
        (SYNTAX_ERROR, "the changed file is no Python"),
        (("return n", "return n"), "`new` is `old`"),
    ],
)
def test_stale_entries_are_named(kit: Path, capsys: pytest.CaptureFixture[str], change, message: str) -> None:
    write(kit, CAUGHT, change)
    assert mutants.main([], kit) == 2
    printed = capsys.readouterr()
    assert "toy:2 cmhkit/__init__.py: change 2: " in printed.err and message in printed.err and not printed.out


def test_a_missing_test_is_named(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy = "tests/unit/test_toy.py"
    expected = {"tests/no.py": "there is no tests/no.py", f"{toy}::test_no": f"no test test_no in {toy}"}
    for test, message in expected.items():
        write(kit, CAUGHT, test=test)
        assert mutants.main([], kit) == 2 and message in capsys.readouterr().err


def test_only_a_failed_test_is_a_catch(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(kit, CAUGHT, NOT_IMPORTED)
    assert mutants.main([], kit) == 2
    printed = capsys.readouterr().out
    assert "no test failed, pytest ended with status 2" in printed
    assert "\n1 caught, 0 survived, 1 wrong entries; " in printed


def test_tests_that_fail_without_a_mutant(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kit / "tests" / "unit" / "test_toy.py").write_text(TESTS.replace("== 0", "== 1"), encoding="utf-8")
    write(kit, CAUGHT)
    assert mutants.main([], kit) == 2
    printed = capsys.readouterr()
    assert "the tests fail without any mutant: tests/unit/test_toy.py" in printed.err and not printed.out


NO_LISTS = {
    "nothing": "",
    "keys are missing": "[[mutant]]\nfile = 'a'\n",
    "no array": "[mutant]\n",
    "an empty text": "[[mutant]]\nfile = 'a'\nwhat = ''\nold = 'b'\nnew = ''\ntests = ['c']\n",
    "no tests": "[[mutant]]\nfile = 'a'\nwhat = 'd'\nold = 'b'\nnew = ''\ntests = []\n",
    "no TOML": "mutant",
}


@pytest.mark.parametrize("what", NO_LISTS)
def test_what_is_no_list(kit: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    (kit / "tests" / "mutants" / "toy.toml").write_text(NO_LISTS[what], encoding="utf-8")
    assert mutants.main([], kit) == 2 and "toy" in capsys.readouterr().err


def test_the_lists_fit_the_files() -> None:
    entries = mutants.read_lists(ROOT)
    assert len(entries) >= 30
    assert [sentence for entry in entries for sentence in mutants.staleness(entry, ROOT)] == []
