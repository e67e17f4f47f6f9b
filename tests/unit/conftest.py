"""Shared by the unit tests: one torch thread, and the `tiny` scenes, built once a session in a cache folder of their
own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
