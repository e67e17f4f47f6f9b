"""The house: each room has its floor and its group, and imports go down only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import house


def test_no_import_goes_up_a_floor() -> None:
    assert house.upward() == []


def test_each_room_has_one_floor_and_one_group() -> None:
    folders, loose = house.rooms()
    grouped = [name for names in house.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(name for names in house.FLOORS for name in names) == sorted([*folders, *loose])


@pytest.mark.parametrize(
    "line, rising",
    [
        ("from cmhkit.hasher import load", ["cmhkit.codes → cmhkit.hasher"]),
        ("from cmhkit import hasher", ["cmhkit.codes → cmhkit.hasher"]),
        ("import cmhkit.data.pairs", ["cmhkit.codes → cmhkit.data.pairs"]),
        ("from cmhkit.lessons import framework", ["cmhkit.codes → cmhkit.course.lessons"]),
        ("from cmhkit import metrics", []),
        ("from cmhkit.support.checks import check", []),
    ],
)
def test_an_import_that_goes_up_is_seen_inside_a_function_too(line: str, rising: list[str], tmp_path: Path) -> None:
    (tmp_path / "cmhkit").mkdir()
    (tmp_path / "cmhkit" / "codes.py").write_text(f"def sign(x):\n    {line}\n    return x\n", encoding="utf-8")
    assert house.upward(tmp_path) == rising
    assert house.lines(tmp_path)["hashing"] == 3
