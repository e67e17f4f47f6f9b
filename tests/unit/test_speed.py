"""The benchmarks' jobs at a tiny size: every way gives the same result. No time is judged here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import growth, speed
from bench import jobs as module
from bench.growth import Point, Study, studies
from bench.jobs import TINY, Agreement, Bar, Outcome, jobs
from bench.speed import report
from bench.timing import Contestant, Peak, Times, digits, peak_memory, race

CASES = [(name, number) for name, found in jobs(TINY).items() for number in range(len(found)) if name != "start"]


@pytest.fixture(autouse=True)
def no_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring memory starts a process of its own, seconds each: `test_peak_memory` does it once."""
    monkeypatch.setattr(module, "peak_memory", lambda *_: None)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_the_ways_of_a_job_agree(name: str, number: int) -> None:
    done = jobs(TINY)[name][number]()
    assert done.times and all(len(times.seconds) >= 1 and times.median >= 0 for times in done.times.values())
    assert [one for one in done.agreements if not one.holds] == []
    assert done.agreements or name == "queries"
    assert done.bars


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for name in ("map", "search", "triplet"):
        done = jobs(TINY)[name][0]()
        assert any("is not installed here" in note for note in done.notes)
        assert not any(
            peer in way for way in done.times for peer in ("torchmetrics", "faiss", "metric-learning", "numba")
        )


def test_the_section_says_what_was_measured() -> None:
    times = {"cmhkit": Times((0.001, 0.003, 0.002)), "other": Times((0.02, 0.02, 0.02))}
    bars = [Bar("4 times", 10.0, least=4), Bar("under 1 s", 2.0, most=1, why="it is slow")]
    done = Outcome("a job", "ms a query", times, [Agreement("values", 3e-13, 1e-12)], bars)
    text = report([done], "make bench")
    assert "| a job | cmhkit | 2.00 (1.00 to 3.00) ms a query | 1 |" in text
    assert "|  | other | 20.0 (20.0 to 20.0) ms a query | 10.0 |" in text
    assert "1 of 2 reached" in text and "| a job | under 1 s | 2.00 | missed: it is slow |" in text
    assert "| a job | values | 3.0e-13 | 1e-12 |" in text and "make bench" in text


def test_only_some_jobs_leave_the_figures_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(title: str, seconds: float) -> Outcome:
        bars = [Bar("4 times", 10.0, least=4)]
        return Outcome(
            title,
            "ms",
            {"cmhkit": Times((seconds,))},
            [Agreement("values", 0.0, 0.0)],
            bars,
            {"cmhkit": Peak(1.0, 2.0)},
            ["a note"],
        )

    monkeypatch.setattr(speed, "KEPT", tmp_path / "speed.json")
    assert speed.kept_outcomes("make bench") == []
    speed.keep([outcome(title, 1.0) for title in "abc"], "make bench")
    before = speed.kept_outcomes("make bench")
    assert before == [outcome(title, 1.0) for title in "abc"] and speed.kept_outcomes("make bench-full") == []
    assert speed.replaced(before, outcome("b", 2.0)) == [outcome("a", 1.0), outcome("b", 2.0), outcome("c", 1.0)]
    assert speed.replaced(before, outcome("d", 3.0)) == [*before, outcome("d", 3.0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (1.0, "1.00"), (123.4, "123"), (123456.7, "123,457"), (0, "0"), (9.999, "10.0")],
)
def test_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_an_agreement_holds_by_its_tolerance_only() -> None:
    assert Agreement("x", 1e-12, 1e-12).holds
    assert not Agreement("x", 2e-12, 1e-12).holds
    assert not Agreement("x", float("nan"), 1.0).holds
    assert module.largest([1.0, np.nan], [1.5, np.nan]) == 0.5
    assert np.isnan(module.largest([1.0, np.nan], [1.0, 2.0]))
    assert module.largest([1.0], [1.0, 2.0]) == np.inf


def test_a_race_runs_round_by_round() -> None:
    order: list[str] = []
    ways = [Contestant(name, lambda name=name: order.append(name) or name, units=2) for name in "ab"]
    times, results = race(ways, rounds=3)
    assert order == list("ab" * 4) and results == {"a": "a", "b": "b"}
    assert [len(found.seconds) for found in times.values()] == [3, 3]
    order.clear()
    race(ways, rounds=2, warm=False)
    assert order == list("abab")


def megabytes(size: int) -> Callable[[], float]:
    """Holds 40 MB, and the work needs `size` more."""
    held = np.ones(40 * 2**20, dtype=np.uint8)
    return lambda: float(np.ones(size * 2**20, dtype=np.uint8).sum() + held[0])


def test_peak_memory() -> None:
    peak = peak_memory(megabytes, 90)
    if peak is None:
        pytest.skip("this system does not tell the peak of a process")
    assert 85 < peak.over < 110 and peak.total > peak.over + 40


def filled(size: int) -> Callable[[], float]:
    """Preparing frees in small pieces what the work will need; the work must be seen all the same."""
    pieces = [np.ones(2**16, dtype=np.uint8) for _ in range(16 * size)]
    del pieces
    return lambda: float(sum(piece[0] for piece in [np.ones(2**16, dtype=np.uint8) for _ in range(16 * size)]))


def test_peak_memory_sees_what_reuses_freed_memory() -> None:
    peak = peak_memory(filled, 60)
    if peak is None:
        pytest.skip("this system does not tell the peak of a process")
    assert 55 < peak.over < 80


@pytest.mark.parametrize("study", studies(full=True), ids=lambda study: study.name)
def test_growth_measures_every_line_and_draws_it(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {line: sizes[:2] for line, sizes in study.ways.items()}
    shrunk = replace(study, ways={line: [size // 16 for size in sizes] for line, sizes in small.items()})
    monkeypatch.setattr(growth, "peak_memory", lambda *_: Peak(3.0, 4.0))
    steps: list[str] = []
    points = shrunk.measure(1, lambda n, note: steps.append(note))
    assert {(point.line, point.size) for point in points} == {
        (line, size) for line, sizes in shrunk.ways.items() for size in sizes
    }
    assert len(steps) == len(points) and all(point.seconds >= 0 and point.megabytes == 3.0 for point in points)
    growth.plot(shrunk, points, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    text = growth.section(shrunk, points)
    assert all(f"| {line} |" in text for line in study.ways) and "/ 3.00" in text and f"growth_{study.name}.png" in text


def test_growth_without_memory_figures(tmp_path: Path) -> None:
    study = replace(studies(full=False)[1], ways={"cmhkit": [4, 8]})
    points = [Point("cmhkit", size, size / 1000, None) for size in (4, 8)]
    growth.plot(study, points, tmp_path / "plot.png")
    assert "| cmhkit | 4.00 | 8.00 |" in growth.section(study, points)
