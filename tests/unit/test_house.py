"""The house: which modules stand where, and that an import goes down only. Read from the source, by `ast`."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

import cmhkit
from cmhkit.support.moved import MOVED
from tools.house import FLOORS, imported

KIT = Path(cmhkit.__file__).parent
#: Imports that stay on one floor of `FLOORS`, without a circle; none other does.
BESIDE = {("graphs", "codes"), ("index", "codes"), ("metrics", "codes"), ("metrics", "graphs"), ("metrics", "nn")}
#: Imports that go up or across still, each with the reason.
ALLOWED = {("app", "course"): "`cmhkit grade` starts the grader; nothing of the course knows the command line"}


def part_of(module: str) -> str:
    """The part of the kit that a module belongs to: the name after `cmhkit.`, or "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def edges() -> dict[tuple[str, str], list[str]]:
    """(part, part that it imports) → where. A name of the package itself, such as `__version__`, is no part."""
    parts = set().union(*FLOORS)
    places = defaultdict(list)
    for path in sorted(KIT.rglob("*.py")):
        module = ".".join(path.relative_to(KIT.parent).with_suffix("").parts).removesuffix(".__init__")
        for name, line in imported(module, path.read_text(encoding="utf-8"), path.name == "__init__.py"):
            if part_of(module) and part_of(name) in parts and part_of(name) != part_of(module):
                places[part_of(module), part_of(name)].append(f"{path.relative_to(KIT.parent)}:{line}")
    return places


def wrong(places: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """The edges that do not go down."""
    floor = {part: number for number, parts in enumerate(FLOORS) for part in parts}
    return {e: at for e, at in places.items() if e[0] in floor and floor[e[1]] >= floor[e[0]] and e not in BESIDE}


def test_at_the_top_stand_only_the_parts_of_the_house() -> None:
    modules = {path.stem for path in KIT.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in KIT.glob("*/__init__.py")}
    assert modules | packages == set().union(*FLOORS)
    assert modules == {"codes", "metrics", "index", "graphs", "hasher", "baselines"}


def test_imports_go_down_only() -> None:
    places = edges()
    assert len(places) > 20, "the imports were read"
    assert {e: at for e, at in wrong(places).items() if e not in ALLOWED} == {}
    assert set(ALLOWED) <= set(wrong(places)), "an exception that is needed no more goes"


def test_the_test_sees_an_import_that_goes_up() -> None:
    source = (
        "from cmhkit import codes, __version__\ndef f():\n    from ..hasher import load\n    import cmhkit.course.grade"
    )
    names = {name for name, _ in imported("cmhkit.data.pairs", source)}
    assert names == {"cmhkit.hasher", "cmhkit.course.grade", "cmhkit.codes", "cmhkit.__version__"}
    assert set(wrong({("data", "hasher"): [], ("adah", "ssah"): [], ("nn", "codes"): [], ("metrics", "nn"): []})) == {
        ("data", "hasher"),
        ("adah", "ssah"),
        ("nn", "codes"),
    }


def test_one_name_for_one_thing() -> None:
    files, functions = defaultdict(list), defaultdict(list)
    for path in KIT.rglob("*.py"):
        files[path.stem].append(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                functions[node.name].append(path)
    assert files["training"] == [] and len(functions["one_of"]) <= 1
    for paper in ("ugach", "adah", "ssah"):
        assert {KIT / paper / f"{room}.py" for room in ("model", "losses", "config", "fit")} <= set().union(
            *files.values()
        )


def module_names(old: str) -> list[str]:
    """An old name, and those of what is in its package now."""
    package = KIT.parent / Path(*MOVED[old].split("."))
    return [old, *(f"{old}.{path.stem}" for path in sorted(package.glob("*.py")) if path.stem != "__init__")]


def test_a_folder_of_old_bytecode_does_not_hide_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `git pull` leaves it: `cmhkit/lessons/__pycache__` makes a package without a file."""
    (tmp_path / "lessons" / "__pycache__").mkdir(parents=True)
    monkeypatch.setattr(cmhkit, "__path__", [str(tmp_path), *cmhkit.__path__])
    specification = importlib.util.find_spec("cmhkit.lessons")
    assert specification is not None and type(specification.loader).__name__ == "_Finder"


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_works_and_says_the_new_one(old: str) -> None:
    from cmhkit.support.moved import new_name

    left = importlib.machinery.PathFinder.find_spec(old.rpartition(".")[2], [str(KIT.joinpath(*old.split(".")[1:-1]))])
    assert left is None or left.loader is None, "it has moved; a folder of old bytecode may be left"
    specification = importlib.util.find_spec(old)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    with pytest.warns(DeprecationWarning, match=f"^{old} is {MOVED[old]} now"):
        specification.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = importlib.import_module(MOVED[old])
    assert module.__doc__ == new.__doc__ and dir(module) == dir(new)
    for name in module_names(old):
        assert importlib.util.find_spec(new_name(name)) is not None
