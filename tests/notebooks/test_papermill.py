"""Every notebook with other parameters: tiny data, another seed, 16 bits. Its last cell's results keep to what holds
for any parameters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from course import Example, course

from tools import guards, notebooks

OTHER = {"size": "tiny", "seed": 1, "bits": 16}
LIMIT = 300  # seconds for one notebook

pytestmark = pytest.mark.timeout(LIMIT + 60)

# What each notebook's last cell must write; docs/WRITING_LESSONS.md says what is checked of which name.
EXPECTED: dict[str, set[str]] = {
    "00": {"codes", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "01": {"codes", "equal_to_library"},
    "02": {"codes", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "10": {"equal_to_library"},
    "11": {"codes", "equal_to_library"},
    "12": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "20": {"codes", "equal_to_library", "untrained_iou"},
    "21": {"codes", "equal_to_library", "losses"},
    "22": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "30": {"codes", "equal_to_library", "losses", "map_l2l", "untrained_map"},
    "31": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "32": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "41": {"codes", "equal_to_library", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "40": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "42": {"codes", "equal_to_library", "losses", "map_i2t", "map_t2i", "baseline_i2t", "baseline_t2i"},
    "43": {"codes", "equal_to_library", "looks_of_the_walk", "recall_of_the_index"},
}


def broken_promises(results: dict[str, Any], expected: set[str], bits: int) -> Iterator[str]:
    """What does not hold of a notebook's results."""
    for name in sorted(expected - set(results)):
        yield f"{name} is missing"
    for name, value in results.items():
        numbers = list(flat(value))
        if not all(math.isfinite(number) for number in numbers):
            yield f"{name} holds a number that is not finite"
        if name == "codes":
            if not numbers or set(numbers) - {-1, 1}:
                yield "codes are not all -1 or +1"
            if {len(row) for row in rows(value)} != {bits}:
                yield f"codes do not have {bits} bits"
        elif name.startswith(("map_", "baseline_")) and not 0 <= value <= 1:
            yield f"{name} = {value} is not in [0, 1]"
        elif name == "equal_to_library" and not (numbers and max(map(abs, numbers)) <= 1e-5):
            yield "a result differs from the library's"
        elif name == "losses" and not numbers:
            yield "losses are empty"
    for way in ("i2t", "t2i"):
        if f"baseline_{way}" in results and not results.get(f"map_{way}", -1) > results[f"baseline_{way}"]:
            yield f"map_{way} = {results.get(f'map_{way}')} is not above its baseline {results[f'baseline_{way}']}"


def flat(value: Any) -> Iterator[float]:
    """All numbers in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from flat(part)
    elif isinstance(value, int | float):
        yield value


def rows(value: Any) -> Iterator[list]:
    """The innermost lists of a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and value and not isinstance(value[0], list | dict):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from rows(part)


def run(source: Path, parameters: dict[str, Any], scratch: Path, gpu: bool = False) -> dict[str, Any]:
    """Run a source with those of the parameters that it has; returns its results."""
    notebook = notebooks.read_source(source)
    known = guards.parameter_names(notebook)
    given = {name: value for name, value in parameters.items() if name in known}
    path = scratch / "results.json"
    notebooks.execute(notebook, notebooks.built_path(source).parent, {**given, "results_path": str(path)}, LIMIT, gpu)
    assert path.exists(), "the last cell wrote no results: nb.results(results_path, …)"
    return json.loads(path.read_text())


@pytest.mark.parametrize("source", course(), ids=lambda path: path.stem)
def test_the_course_with_other_parameters(source: Path, tmp_path: Path) -> None:
    number = source.stem[:2]
    assert number in EXPECTED, f"say in EXPECTED what notebook {number} writes"
    assert not list(broken_promises(run(source, OTHER, tmp_path), EXPECTED[number], OTHER["bits"]))


@pytest.mark.parametrize("source", course(), ids=lambda path: path.stem)
def test_the_course_on_a_gpu(source: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")
    assert not list(broken_promises(run(source, OTHER, tmp_path, gpu=True), EXPECTED[source.stem[:2]], OTHER["bits"]))


def test_the_example_with_other_parameters(example: Example, tmp_path: Path) -> None:
    results = run(example.source, OTHER, tmp_path)
    assert not list(broken_promises(results, EXPECTED["01"], 16))
    assert results != run(example.source, {**OTHER, "seed": 2}, tmp_path)


def test_an_unknown_parameter_fails(example: Example) -> None:
    with pytest.raises(notebooks.NotebookError, match=r"unknown parameters \['bit'\]"):
        notebooks.execute(example.written(), example.built.parent, {"bit": 16})


GOOD = {
    "codes": [[1, -1], [1, 1]],
    "map_i2t": 0.5,
    "baseline_i2t": 0.4,
    "losses": {"d": [1.0, 0.5]},
    "equal_to_library": [[0, 1e-7]],
}


def test_good_results_pass() -> None:
    assert not list(broken_promises(GOOD, set(GOOD), 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": [[1, 0], [1, 1]]}, "not all -1 or"),
        ({"codes": []}, "not all -1 or"),
        ({"codes": [[1, -1, 1]]}, "do not have 2 bits"),
        ({"map_i2t": 0.3}, "not above its baseline"),
        ({"map_i2t": 1.3}, "not in"),
        ({"losses": {"d": [1.0, float("nan")]}}, "not finite"),
        ({"losses": []}, "losses are empty"),
        ({"equal_to_library": 0.1}, "differs from the library"),
        ({"agreement": float("inf")}, "not finite"),
    ],
)
def test_bad_results_are_found(change: dict[str, Any], message: str) -> None:
    assert any(message in promise for promise in broken_promises({**GOOD, **change}, set(GOOD), 2))


def test_missing_results_are_found() -> None:
    assert list(broken_promises({}, {"codes"}, 2)) == ["codes is missing"]
