"""The lessons: one module `lesson_NN` a notebook, with its questions and its quiz.

    from cmhkit.course.lessons import lesson_10 as q, notebook as nb

`framework` says what a question and a quiz are, `notebook` holds what every notebook calls. All are imported when first
used.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """The names of the lesson modules, in order: `["lesson_00", "lesson_01", …]`."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("lesson_"))


def __getattr__(name: str) -> ModuleType:
    if name in ("framework", "notebook") or name in names():
        return importlib.import_module(f"cmhkit.course.lessons.{name}")
    raise AttributeError(f"module 'cmhkit.course.lessons' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(["framework", "names", "notebook", *names()])
