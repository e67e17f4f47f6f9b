"""Scenes that several processes draw: the same bytes, whatever becomes of a helper."""

from __future__ import annotations

import io
import json
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from cmhkit.data import helpers
from cmhkit.data.scenes import SceneConfig, SceneMaker

CONFIG = SceneConfig(pairs=70, query=10, train=40, resolution=16, drawings=2, seed=3)


@pytest.fixture(scope="module")
def maker() -> SceneMaker:
    return SceneMaker(CONFIG)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "_AT_ONCE", 4)


def drawn(maker: SceneMaker, folder: Path) -> tuple[list[helpers.Drawn], bytes, bytes, int]:
    """What was drawn, the bytes of both files, and how many steps were counted."""
    folder.mkdir()
    shape = (CONFIG.pairs, CONFIG.resolution, CONFIG.resolution)
    for name, full in (("images", (*shape, 3)), ("owner", shape)):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=full).flush()
    steps: list[int] = []
    made = helpers.drawn(maker, folder, lambda n=1, note="": steps.append(n))
    return made, (folder / "images.npy").read_bytes(), (folder / "owner.npy").read_bytes(), sum(steps)


@pytest.fixture(scope="module")
def alone(maker: SceneMaker, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    made = drawn(maker, tmp_path_factory.mktemp("alone") / "scenes")
    assert made[3] == CONFIG.pairs and [numbers for numbers, _ in made[0]][5] == maker.scene(5).drawings.tolist()
    return made


def test_helpers_draw_the_same_bytes(
    maker: SceneMaker, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_processes", lambda scenes: 3)
    by = []
    monkeypatch.setattr(helpers, "draw", lambda *a, draw=helpers.draw: by.append(a[2].start) or slow(draw, *a))

    def slow(draw, *given):  # so that helpers, which start later, draw most
        helpers.threading.Event().wait(0.3)
        return draw(*given)

    assert drawn(maker, tmp_path / "scenes") == alone
    assert len(by) < 18, "no helper drew anything; this test shows nothing"


@pytest.mark.parametrize(
    "command",
    [
        "raise SystemExit(3)",
        "import sys; sys.stdin.readline(); sys.stdin.readline(); print('[[', flush=True)",
        "import sys; sys.stdin.readline(); sys.stdin.readline()",
    ],
)
def test_a_helper_that_fails_is_done_without(
    maker: SceneMaker, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(helpers, "_processes", lambda scenes: 2)
    monkeypatch.setattr(helpers, "_COMMAND", command)
    assert drawn(maker, tmp_path / "scenes") == alone


def test_where_no_process_can_be_started(
    maker: SceneMaker, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(helpers, "_processes", lambda scenes: 3)
    monkeypatch.setattr(helpers.subprocess, "Popen", refused)
    assert drawn(maker, tmp_path / "scenes") == alone


def test_an_error_here_ends_the_helpers(maker: SceneMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    monkeypatch.setattr(helpers, "_processes", lambda scenes: 2)
    monkeypatch.setattr(
        helpers._Helper, "end", lambda helper, end=helpers._Helper.end: (end(helper), ended.append(helper))
    )
    with pytest.raises(FileNotFoundError):
        helpers.drawn(maker, tmp_path / "nowhere", lambda n=1, note="": None)
    assert [helper.process.returncode is not None for helper in ended] == [True]


def test_a_helper_answers_until_nobody_asks(
    maker: SceneMaker, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(helpers.threading.Thread, "start", lambda thread: None)
    monkeypatch.setattr(helpers.subprocess, "Popen", lambda *_, **__: None)
    drawn(maker, tmp_path / "scenes")
    order = helpers._Helper(maker, tmp_path / "scenes", deque(), {}).order
    monkeypatch.setattr(helpers.sys, "stdin", io.StringIO(json.dumps(order) + "\n[0, 2]\n[8, 9]\n"))
    helpers.help_out()
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[(numbers, tags) for numbers, tags in answer] for answer in answers] == [alone[0][:2], alone[0][8:9]]


def test_how_many_processes_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers.os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert [helpers._processes(scenes) for scenes in (600, 1000, 4000, 20015)] == [1, 2, 4, 4]
    monkeypatch.setattr(helpers.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert helpers._processes(4000) == 1
    monkeypatch.delattr(helpers.os, "sched_getaffinity")
    monkeypatch.setattr(helpers.os, "cpu_count", lambda: None)
    assert helpers._processes(4000) == 1
