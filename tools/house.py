"""The house in figures: `python -m tools.house` counts lines by group, the rooms, and imports that go up a floor.

`python -m tools.house FOLDER` counts another tree's `cmhkit`, an older one too: modules that moved since are counted in
the rooms where they are now. docs/ARCHITECTURE.md has the figures before and after the move.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cmhkit.support.moved import new_name

ROOT = Path(__file__).parents[1]
#: Each room's group. `__init__.py` and `__main__.py` are the door, and no room.
GROUPS = {
    "hashing": ("codes", "graphs", "index", "metrics", "hasher", "baselines", "ugach", "adah", "ssah", "nn", "train"),
    "teaching": ("course",),
    "files": ("data",),
    "runs": ("app",),
    "support": ("support",),
}
#: From the ground. A module imports from its own floor and from those below it.
FLOORS = (
    ("support",),
    ("codes", "graphs", "index", "metrics", "nn"),
    ("data", "train"),
    ("hasher",),
    ("ugach", "adah", "ssah", "baselines"),
    ("course", "app"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules(root: Path = ROOT) -> Iterator[tuple[str, Path]]:
    """Each module of `root`/cmhkit by its present name, such as "cmhkit.support.draws", with its file; not the door."""
    for path in sorted((root / "cmhkit").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if name not in ("cmhkit", "cmhkit.__main__"):
            yield new_name(name) or name, path


def room(module: str) -> str:
    """The room of a module: "support" for "cmhkit.support.draws"."""
    return module.split(".")[1]


def lines(root: Path = ROOT) -> Counter[str]:
    """Lines of Python by group, comments and empty lines too."""
    group_of = {name: group for group, rooms in GROUPS.items() for name in rooms}
    count: Counter[str] = Counter(dict.fromkeys(GROUPS, 0))
    for name, path in modules(root):
        count[group_of[room(name)]] += len(path.read_text(encoding="utf-8").splitlines())
    return count


def rooms(root: Path = ROOT) -> tuple[list[str], list[str]]:
    """What stands at the top of `root`/cmhkit: (folders, loose modules)."""
    top = [path for path in sorted((root / "cmhkit").iterdir()) if not path.name.startswith(("_", "."))]
    folders = [path.name for path in top if (path / "__init__.py").exists()]  # not one of old bytecode alone
    return folders, [path.stem for path in top if path.suffix == ".py"]


def imported(module: str, source: str, package: bool = False) -> Iterator[tuple[str, int]]:
    """The modules of cmhkit that a module imports, inside its functions too, each with its line; types that only a
    checker reads, not. package: whether the module is a package's `__init__.py`.
    """
    here = module.split(".") if package else module.split(".")[:-1]

    def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = here[: len(here) - node.level + 1] if node.level else []
                start = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield f"{start}.{alias.name}" if start == "cmhkit" else start, node.lineno
            yield from names(node)

    return ((name, line) for name, line in names(ast.parse(source)) if name.startswith("cmhkit."))


def upward(root: Path = ROOT) -> list[str]:
    """The imports that go up a floor, as "importing → imported". Empty in a house in order."""
    rising = set()
    for name, path in modules(root):
        for module, _ in imported(name, path.read_text(encoding="utf-8"), path.name == "__init__.py"):
            above = new_name(module) or module
            if FLOOR.get(room(above), -1) > FLOOR[room(name)]:
                rising.add(f"{name} → {above}")
    return sorted(rising)


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    count, (folders, loose), rising = lines(root), rooms(root), upward(root)
    for group, number in count.items():
        print(f"{group:10} {number:7,} {number / count.total():5.0%}")
    print(f"{'together':10} {count.total():7,}")
    print(f"{len(folders) + len(loose)} rooms at the top: {len(folders)} folders, {len(loose)} loose modules")
    print(f"{len(rising)} imports go up a floor", *rising, sep="\n  ")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
