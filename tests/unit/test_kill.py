"""What survives a kill. Real processes are ended with SIGKILL at seeded random moments: while features are cached, in
fit, and while files are saved.

A moment is a share of the processor time that a phase takes in a run that nobody kills, or one of the calls that make a
file durable or move it: there a half-written state would show.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cmhkit.app import runs
from cmhkit.data import cache
from cmhkit.support.checks import InputError

# The limit is of wall time: on a machine that others use too, forty processor seconds can take ten minutes.
pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"), pytest.mark.timeout(1800)]

ROUNDS = 6
OPTIONS = {"rounds": ROUNDS, "pretrain_steps": 8, "d_steps": 6, "g_steps": 3, "pool": 200, "hidden": 64, "k_text": 10}
TRAIN = [
    "train",
    "ugach",
    "--data-option",
    "size=tiny",
    "--bits",
    "16",
    *(word for name in OPTIONS for word in ("--set", f"{name}={OPTIONS[name]}")),
]
# On one run: "features" and "fit" by processor time within that phase, "file" and "saving" by a call on files, early
# and after the hasher is saved.
KILLS = ("features", "features", "file", "fit", "file", "saving", "saving", "saving")
WANTED, MOST_RUNS = 8, 8
LIMIT = 300.0


class Server:
    """The forking server, and the one process it runs at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number, self.running = folder, 0, 0
        program = Path(__file__).with_name("mortal.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, arguments: list[str], cached: Path, die: int = 0, after: str = "") -> int:
        """Start `cmhkit ARGUMENTS`. Returns its process number; `log` and `out` are its files."""
        self.number += 1
        self.log, self.out = self.folder / f"log-{self.number}", self.folder / f"out-{self.number}"
        self.log.touch()
        job = {
            "arguments": arguments,
            "cache": str(cached),
            "log": str(self.log),
            "out": str(self.out),
            "die": die,
            "after": after,
        }
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        self.running = int(self.process.stdout.readline())
        return self.running

    def close(self) -> None:
        """End the server, and what a failed test left running."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.running, signal.SIGKILL)
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def wait(self) -> int:
        """The exit status of the process, negative for a signal."""
        status = int(self.process.stdout.readline())
        self.running = 0
        return status

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def reach(self, marker: str) -> bool:
        """Wait for a line of the log. False if the process ended before."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            lines = self.lines()
            if any(line.startswith(marker) for line in lines):
                return True
            if lines and lines[-1] == "ended":
                return False
            time.sleep(0.01)
        raise AssertionError(f"{marker!r} is not reached in {LIMIT} s: {self.lines()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    served = Server(tmp_path_factory.mktemp("server"))
    yield served
    served.close()


@pytest.fixture(scope="module")
def scenes(tiny, tiny_cache: Path) -> Path:
    """The session's cache folder with the tiny scenes in it."""
    return tiny_cache


def own(scenes: Path, folder: Path) -> Path:
    """A cache folder that has the scenes, and no features yet."""
    folder.mkdir()
    for part in scenes.iterdir():
        if part.name.startswith("scenes-tiny"):
            shutil.copytree(part, folder / part.name)
    return folder


def used(pid: int) -> float:
    """Processor seconds of a process, or infinity once it has ended."""
    import psutil

    try:
        found = psutil.Process(pid).cpu_times()
        return found.user + found.system
    except psutil.Error:
        return float("inf")


class Whole:
    """A run that nobody kills: its codes, and the processor time of its phases."""

    def __init__(self, server: Server, cached: Path, folder: Path) -> None:
        pid = server.start([*TRAIN, "--out", str(folder)], cached)
        at = {}
        for phase, marker in (("features", "UGACH: pictures"), ("fit", "epoch 0"), ("end", "saving")):
            assert server.reach(marker), server.lines()
            at[phase] = used(pid)
        assert server.wait() == 0, server.lines()
        self.seconds = {"features": at["fit"] - at["features"], "fit": at["end"] - at["fit"]}
        self.run = runs.RunFolder(folder)
        self.epochs = epochs(server.lines())
        assert self.epochs == list(range(ROUNDS + 1))


@pytest.fixture(scope="module")
def whole(server: Server, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    return Whole(server, own(scenes, folder / "cache"), folder / "run")


def epochs(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := re.match(r"epoch (\d+)", line))]


def nothing_wrong_is_trusted(folder: Path, cached: Path) -> None:
    """What stands under its own name is whole, whatever moment the process died at."""
    import torch

    for part in cached.iterdir():
        if not part.name.startswith("."):
            assert cache.damage(part) is None
    if not folder.exists():
        return
    for file in [*folder.glob("*.json"), *folder.glob("codes/*.json")]:
        json.loads(file.read_text())
    for file in folder.glob("codes/*.npy"):
        np.load(file)
    kept = folder / "checkpoint" / "checkpoint.pt"
    if kept.exists():
        torch.load(kept, weights_only=True)
    run = runs.RunFolder(folder)
    if run.finished:
        run.checked(*json.loads((folder / "finished.json").read_text())["files"])
    elif run.config() is not None:
        with pytest.raises(
            InputError, match="expected a finished run, got one that was stopped; go on with: cmhkit train ugach"
        ):
            runs.search(folder, "dog")


def killed(
    server: Server, whole: Whole, kind: str, arguments: list[str], cached: Path, rng: np.random.Generator, done: int
) -> bool:
    """Run until a random moment of the kind, then SIGKILL. done: epochs trained so far. False if the process was done
    before.
    """
    if kind in ("file", "saving"):
        calls, after = (10, "") if kind == "file" else (20, "hasher.safetensors")
        server.start(arguments, cached, die=int(rng.integers(1, calls + 1)) * int(rng.choice([-1, 1])), after=after)
        return server.wait() == -signal.SIGKILL
    pid = server.start(arguments, cached)
    if server.reach("UGACH: pictures" if kind == "features" else "epoch"):
        share = rng.uniform(0, 0.9) * (1 if kind == "features" else (ROUNDS - done) / ROUNDS)
        start = used(pid)
        while used(pid) - start < share * whole.seconds[kind]:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return server.wait() == -signal.SIGKILL


@pytest.mark.parametrize("seed", [0, 1])
def test_kills_lose_at_most_one_epoch_each(
    server: Server, whole: Whole, scenes: Path, tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    met: Counter[str] = Counter()
    for number in range(MOST_RUNS):
        cached, folder = own(scenes, tmp_path / f"cache-{number}"), tmp_path / f"run-{number}"
        arguments = [*TRAIN, "--out", str(folder)]
        last, trained, kills = 0, 0, 0
        for kind in KILLS:
            died = killed(server, whole, kind, arguments, cached, rng, last)
            seen = epochs(server.lines())
            assert seen == list(range(seen[0], seen[-1] + 1)) if seen else True
            assert (
                not seen or seen[0] >= last
            )  # at most the epoch that was told last, or the one under way, is trained again
            last, trained, kills = (seen[-1] if seen else last), trained + len(seen), kills + died
            nothing_wrong_is_trusted(folder, cached)
            met[kind] += died
            if not died:
                break
        server.start(arguments, cached)
        assert server.wait() == 0, server.lines()
        seen = epochs(server.lines())
        assert not seen or seen[0] >= last
        assert ROUNDS + 1 <= trained + len(seen) <= ROUNDS + 1 + kills
        nothing_wrong_is_trusted(folder, cached)
        run = runs.RunFolder(folder)
        for name in (
            "query_images",
            "query_texts",
            "retrieval_images",
            "retrieval_texts",
            "query_ids",
            "retrieval_ids",
        ):
            assert np.array_equal(run.codes(name), whole.run.codes(name)), name
        assert run.history() == whole.run.history() and run.report() == whole.run.report()
        assert not [p.name for place in (folder, cached) for p in place.rglob("*.tmp")]
        assert not (folder / "checkpoint").exists()
        if met.total() >= WANTED:
            break
    assert met.total() >= WANTED and set(met) == set(KILLS), met


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_cleanly_and_says_how_to_go_on(
    server: Server, whole: Whole, scenes: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    cached, folder = own(scenes, tmp_path / "cache"), tmp_path / "run"
    arguments = [*TRAIN, "--out", str(folder)]
    pid = server.start(arguments, cached)
    assert server.reach("epoch 1")
    os.kill(pid, number)
    assert server.wait() == code
    lines = server.lines()
    assert "Traceback" not in server.log.read_text() and server.out.read_text() == ""
    done = int(re.search(r"cmhkit: stopped; the state after epoch (\d+) is kept in", "\n".join(lines))[1])
    command = (
        next(line for line in lines if line.startswith("to go on: cmhkit ")).removeprefix("to go on: cmhkit ").split()
    )
    server.start(command, cached)
    assert server.wait() == 0
    assert f"goes on after epoch {done}" in server.lines() and epochs(server.lines())[0] == done + 1
    assert np.array_equal(runs.RunFolder(folder).codes("retrieval_texts"), whole.run.codes("retrieval_texts"))


def test_a_signal_before_anything_is_kept(server: Server, whole: Whole, scenes: Path, tmp_path: Path) -> None:
    cached, folder = own(scenes, tmp_path / "cache"), tmp_path / "run"
    pid = server.start([*TRAIN, "--out", str(folder)], cached)
    assert server.reach("UGACH: pictures")
    os.kill(pid, signal.SIGINT)
    assert server.wait() == 130
    assert f"no epoch was finished; {folder} keeps the settings" in server.log.read_text()
    assert not [p.name for p in cached.iterdir() if "features" in p.name]  # the half-made features are gone


def test_two_processes_do_not_train_in_one_folder(server: Server, whole: Whole, scenes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with runs.RunFolder(folder).alone():
        server.start([*TRAIN, "--out", str(folder)], scenes)
        assert server.wait() == 2
    assert "another process is training in this folder now" in server.log.read_text()
