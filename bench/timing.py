"""How times and memory are taken: CPU time of interleaved runs, and peak memory in a fresh process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Contestant:
    """One way to do a job. run: does it once. units: what one run holds (queries, say); a time is that of a run divided
    by it.
    """

    name: str
    run: Callable[[], Any]
    units: int = 1


@dataclass(frozen=True)
class Times:
    """CPU seconds a unit, of each run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    def in_words(self, scale: float = 1e3) -> str:
        """The median and in brackets the lowest and the highest, times `scale`."""
        return (
            f"{digits(self.median * scale)} ({digits(min(self.seconds) * scale)} to "
            f"{digits(max(self.seconds) * scale)})"
        )


def digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    size = int(f"{value:.2e}".partition("e")[2])
    return f"{value:,.{max(0, 2 - size)}f}"


def race(contestants: Sequence[Contestant], rounds: int, warm: bool = True) -> tuple[dict[str, Times], dict[str, Any]]:
    """Let all run once a round, one after the other, so that a busy spell of the machine meets all of them.

    warm: run each once before, untimed. Returns the times and one result of each.
    """
    results = {one.name: one.run() for one in contestants} if warm else {}
    seconds: dict[str, list[float]] = {one.name: [] for one in contestants}
    for _ in range(rounds):
        for one in contestants:
            started = time.process_time()
            results[one.name] = one.run()
            seconds[one.name].append((time.process_time() - started) / one.units)
    return {name: Times(tuple(found)) for name, found in seconds.items()}, results


def cpu_of_process(command: Sequence[str]) -> float:
    """CPU seconds of a command that is started anew, its own children with it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@dataclass(frozen=True)
class Peak:
    """Megabytes. over: peak of the work over what was held before it (inputs, imports). total: peak of the process."""

    over: float
    total: float


def peak_memory(prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> Peak | None:
    """Peak resident memory of `prepare(*arguments)()` in a fresh process; preparing does not count. None where the
    system does not tell (not Linux).

    prepare: a function of a module, which builds the inputs and returns the work.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_here, (prepare, arguments))


def _peak_here(prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> Peak:
    threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    work = prepare(*arguments)
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what preparing has freed, and the work would use it unseen
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is held now
    before = _resident("VmRSS")
    work()
    total = _resident("VmHWM")
    return Peak(total - before, total)


def _resident(field: str) -> float:
    field_line = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert field_line, f"/proc/self/status has no {field}"
    return int(field_line[1]) / 1024
