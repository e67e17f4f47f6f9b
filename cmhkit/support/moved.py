"""Names that are found when they are asked for: a package's own, and old names of modules, which work for one release
and say where the module is now.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Where a module of cmhkit 0.1 is now; a package stands for all that is in it.
MOVED = {
    "cmhkit.adah.masks": "cmhkit.course.masks",
    "cmhkit.adah.training": "cmhkit.adah.fit",
    "cmhkit.cli": "cmhkit.app.cli",
    "cmhkit.data.benchmarks": "cmhkit.data.field",
    "cmhkit.data.containers": "cmhkit.data.field.containers",
    "cmhkit.data.layouts": "cmhkit.data.field.layouts",
    "cmhkit.data.matfiles": "cmhkit.data.field",
    "cmhkit.data.protocols": "cmhkit.data.field.protocols",
    "cmhkit.doctor": "cmhkit.app.doctor",
    "cmhkit.errors": "cmhkit.support.checks",
    "cmhkit.grade": "cmhkit.course.grade",
    "cmhkit.lessons": "cmhkit.course.lessons",
    "cmhkit.nn.draws": "cmhkit.support.draws",
    "cmhkit.nn.features": "cmhkit.data.features",
    "cmhkit.nn.photos": "cmhkit.data.photos",
    "cmhkit.nn.precision": "cmhkit.support.precision",
    "cmhkit.pages": "cmhkit.app.pages",
    "cmhkit.parallel": "cmhkit.train.distributed",
    "cmhkit.progress": "cmhkit.support.progress",
    "cmhkit.runs": "cmhkit.app.runs",
    "cmhkit.schedule": "cmhkit.train.loop",
    "cmhkit.ssah.distributions": "cmhkit.course.distributions",
    "cmhkit.ssah.training": "cmhkit.ssah.fit",
    "cmhkit.training": "cmhkit.train.device",
    "cmhkit.ugach.training": "cmhkit.ugach.fit",
    "cmhkit.widgets": "cmhkit.course.widgets",
}


def new_name(name: str) -> str | None:
    """Where the module of this old name is now, or None if it never had another name."""
    for old, new in MOVED.items():
        if name == old or name.startswith(old + "."):
            return new + name.removeprefix(old)
    return None


class _Finder(MetaPathFinder, Loader):
    """Finds modules by their old names; each is an empty module that hands every attribute on."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if new_name(name) is not None else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        new = new_name(module.__name__)
        assert new is not None
        warnings.warn(
            f"{module.__name__} is {new} now; the old name goes with the next release", DeprecationWarning, stacklevel=2
        )
        moved = importlib.import_module(new)
        module.__doc__ = moved.__doc__
        module.__getattr__ = lambda attribute: getattr(moved, attribute)  # type: ignore[method-assign]
        module.__dir__ = lambda: dir(moved)  # type: ignore[method-assign]


def on_demand(package: str, modules: Sequence[str], names: dict[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: what is in it is imported when it is first asked for.

    modules: of the package. names: what the package hands on, each with the module that has it.
    """

    def find(name: str) -> Any:
        if name in names:
            return getattr(importlib.import_module(f"{package}.{names[name]}"), name)
        if name in modules or f"{package}.{name}" in MOVED:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def install() -> None:
    """Make the old names importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # before what finds a folder that holds old bytecode only
