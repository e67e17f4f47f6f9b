"""Shared by the unit tests: one torch thread, and the `tiny` scenes, built once a session in a cache folder of their
own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time, on CI or not, and no complaint that a busy machine is slow.
settings.register_profile("kit", derandomize=True, deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("kit")


# What `make check` leaves out: files that start processes or train until something is learned, and single tests of more
# than a second.
SLOW_FILES = {
    *(
        "test_database",
        "test_field",
        "test_file_says",
        "test_fits",
        "test_grade",
        "test_helpers",
        "test_inputs",
        "test_kill",
    ),
    *(
        "test_malformed",
        "test_matfiles",
        "test_minilm",
        "test_mutants",
        "test_parallel",
        "test_repeats",
        "test_report",
        "test_speed",
    ),
    *("test_widgets", "test_widgets_nbval", "test_wiring_adah", "test_wiring_ssah", "test_wiring_ugach"),
}
SLOW_TESTS = {
    "test_a_damaged_data_set_is_built_again_to_the_same_bytes",
    "test_a_file_of_the_released_sizes_is_read",
    "test_a_kill_at_any_moment_leaves_nothing_wrong",
    "test_a_random_table_in_a_random_dialect",
    "test_a_random_table_that_quotes_nothing",
    "test_a_reader_that_leaves_is_no_error",
    "test_any_json_is_read_or_refused",
    "test_any_text_is_read_or_refused",
    "test_it_learns",
    "test_memory_for_ten_thousand_items_stays_below_100_mb",
    "test_reading_pictures_takes_a_fraction_of_their_size",
    "test_ten_processes_on_one_cold_cache_build_once",
    "test_the_rehearsal_measures_both_ways",
    "test_two_processes_that_build_at_once_agree",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in SLOW_FILES or getattr(item, "originalname", item.name) in SLOW_TESTS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the whole session, shared by its workers, or the one that is named (tools/mutants.py). Tests
    damage nothing in it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny-cache"
    folder = Path(os.environ.get("CMHKIT_TEST_CACHE", shared))
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def shared_cache(tiny_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's cache folder, in force for one test."""
    monkeypatch.setenv("CMHKIT_CACHE", str(tiny_cache))
    return tiny_cache


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, in force for one test, which may damage it."""
    monkeypatch.setenv("CMHKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def tiny(tiny_cache: Path):
    """`load("scenes", size="tiny")`, with its features known to this process."""
    from cmhkit.data import load
    from cmhkit.data.features import image_features

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMHKIT_CACHE", str(tiny_cache))
        data = load("scenes", size="tiny")
        image_features(data.images)
    return data
