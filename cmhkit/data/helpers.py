"""Processes that help to draw scenes. A scene depends on nothing but its number, so whoever draws it draws the same.

A helper is a fresh Python: neither a fork, which may hang where threads run, nor one that runs the user's script again.
It takes a few scenes at a time, writes the pictures into the files and answers with what was drawn. It ends when nobody
asks any more, whatever became of the process that started it. Where a helper fails, what it had is drawn here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmhkit.support.blocks import slices
from cmhkit.support.progress import Step

if TYPE_CHECKING:
    from cmhkit.data.scenes import SceneMaker

#: Of one scene: the numbers of its drawings, and its tags.
Drawn = tuple[list[int], str]

_AT_ONCE = 50
# Scenes that are worth a process: it starts in half a second, and draws for a second or two.
_WORTH_A_PROCESS = 500
_MOST = 4
_COMMAND = "from cmhkit.data.helpers import help_out; help_out()"


def drawn(maker: SceneMaker, folder: Path, step: Step) -> list[Drawn]:
    """Draw all scenes of a maker into `images.npy` and `owner.npy` of a folder, by as many processes as are worth it.

    step: called with the number of scenes done.
    """
    todo = deque(slices(maker.config.pairs, _AT_ONCE))
    done: dict[int, list[Drawn]] = {}
    helpers = [_Helper(maker, folder, todo, done) for _ in range(_processes(maker.config.pairs) - 1)]
    helpers = [helper for helper in helpers if helper.process is not None]
    told = 0
    try:
        while todo or any(helper.is_alive() for helper in helpers):
            with suppress(IndexError):
                part = todo.popleft()
                done[part.start] = draw(maker, folder, part)
            if not todo:
                for helper in helpers:
                    helper.join()  # what it gives back is drawn here in the next turn
            now = sum(map(len, list(done.values())))
            step(now - told)
            told = now
    finally:
        for helper in helpers:
            helper.end()
    return [scene for start in sorted(done) for scene in done[start]]


def draw(maker: SceneMaker, folder: Path, part: slice) -> list[Drawn]:
    """Draw some scenes into the files of a folder."""
    images, owner = (np.load(folder / name, mmap_mode="r+") for name in ("images.npy", "owner.npy"))
    found = []
    for i in range(part.start, part.stop):
        scene = maker.scene(i)
        images[i], owner[i] = scene.image, scene.owner
        found.append((scene.drawings.tolist(), scene.tags))
    return found


def help_out() -> None:
    """What a helper does: read a configuration and a folder, then draw the scenes that each line asks for."""
    from cmhkit.data.scenes import SceneConfig, SceneMaker

    order: dict[str, Any] = json.loads(sys.stdin.readline())
    maker, folder = SceneMaker(SceneConfig(**order["config"])), Path(order["folder"])
    for line in sys.stdin:
        print(json.dumps(draw(maker, folder, slice(*json.loads(line)))), flush=True)


def _processes(scenes: int) -> int:
    """How many processes draw, this one among them."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _MOST, scenes // _WORTH_A_PROCESS))


class _Helper(threading.Thread):
    """A thread that waits for its process. todo: slices of scenes. done: what was drawn, by a slice's start."""

    def __init__(self, maker: SceneMaker, folder: Path, todo: deque[slice], done: dict[int, list[Drawn]]) -> None:
        super().__init__(daemon=True)
        self.todo, self.done = todo, done
        self.order = {"config": asdict(maker.config), "folder": str(folder.absolute())}
        paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.process: subprocess.Popen[str] | None = None
        with suppress(OSError):
            self.process = subprocess.Popen(
                [sys.executable or "python", "-P", "-c", _COMMAND], env=environment, encoding="utf-8", **pipes
            )
            self.start()

    def run(self) -> None:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(self.order) + "\n")
        while self.todo:
            try:
                part = self.todo.popleft()
            except IndexError:
                return
            try:
                self.process.stdin.write(json.dumps([part.start, part.stop]) + "\n")
                self.process.stdin.flush()
                self.done[part.start] = [
                    (numbers, tags) for numbers, tags in json.loads(self.process.stdout.readline())
                ]
            except (OSError, ValueError):
                self.todo.append(part)
                return

    def end(self) -> None:
        """End the process, whatever it does."""
        assert self.process is not None
        self.process.kill()
        self.join()
        self.process.communicate()
