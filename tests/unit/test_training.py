"""What all schedules share: device, seeds, checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from cmhkit.support.checkpoints import Checkpoints
from cmhkit.support.checks import InputError
from cmhkit.train.device import generator, resolve_device


def test_auto_takes_the_best_device(monkeypatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert resolve_device("auto").type == resolve_device().type == expected
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", None, 1.5, "cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_an_input_error(monkeypatch, device) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device: expected .* got "):
        resolve_device(device)


def test_a_device_number_must_exist(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match=r"device: expected one of this machine, got 'cuda:2'; it has 2"):
        resolve_device("cuda:2")


def test_a_generator_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    a, b, c = (torch.rand(5, generator=generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())


# Checkpoints.


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "new", {"seed": 0, "bits": 8})
    assert kept.load() is None
    state = {"epoch": 3, "weights": torch.arange(4.0), "history": [{"loss": 0.5}], "random": generator(1).get_state()}
    kept.save(state)
    found = Checkpoints(tmp_path / "new", {"bits": 8, "seed": 0}).load()
    assert found.keys() == state.keys() and found["epoch"] == 3 and found["history"] == [{"loss": 0.5}]
    assert torch.equal(found["weights"], state["weights"]) and torch.equal(found["random"], state["random"])
    kept.save({"epoch": 4})
    assert kept.load() == {"epoch": 4}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["checkpoint.pt"]


def test_no_folder_keeps_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = Checkpoints(None, {})
    kept.save({"epoch": 1})
    assert kept.load() is None and not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_run_names_the_options_that_differ(tmp_path: Path) -> None:
    kept = {"method": "M", "seed": 0, "pools": (5, 10), "depth": 3, "weights": None, "rate": 0.1}
    Checkpoints(tmp_path, kept).save({"epoch": 1})
    assert Checkpoints(tmp_path, dict(reversed(kept.items()))).load() == {"epoch": 1}
    now = kept | {"seed": 1, "pools": (5, 10, 15), "weights": "w.mat", "width": 7}
    del now["depth"]
    message = (
        r"^checkpoint_dir: .*checkpoint\.pt is of another run \(depth: 3 there, none here; pools: \[5, 10\] there, "
        r'\[5, 10, 15\] here; seed: 0 there, 1 here; weights: null there, "w\.mat" here; width: none there, 7 here\); '
        r"use an empty folder, or the options of that run$"
    )
    with pytest.raises(InputError, match=message):
        Checkpoints(tmp_path, now).load()


@pytest.mark.parametrize("key", ["", "{", "[1, 2]", "3", None, {"seed": 0}])
def test_a_checkpoint_with_a_broken_key_is_an_error(tmp_path: Path, key) -> None:
    torch.save({"key": key, "state": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt is no checkpoint that can be read"):
        Checkpoints(tmp_path, {"seed": 0}).load()


def whole_file(tmp_path: Path) -> bytes:
    Checkpoints(tmp_path, {}).save({"epoch": 1, "weights": torch.zeros(100)})
    return (tmp_path / "checkpoint.pt").read_bytes()


@pytest.mark.parametrize("junk", ["empty", "text", "half", "other", "list"])
def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path: Path, junk: str) -> None:
    good = whole_file(tmp_path)
    file = tmp_path / "checkpoint.pt"
    if junk == "other":
        torch.save({"epoch": 1}, file)
    elif junk == "list":
        torch.save([1, 2], file)
    else:
        file.write_bytes({"empty": b"", "text": b"hello world", "half": good[: len(good) // 2]}[junk])
    with pytest.raises(InputError, match=r"checkpoint_dir: .*checkpoint\.pt is no checkpoint that can be read"):
        Checkpoints(tmp_path, {}).load()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"key": "{}", "state": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="no checkpoint"):
        Checkpoints(tmp_path, {}).load()
    assert not (tmp_path / "evil").exists()


def test_a_save_that_fails_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    kept = Checkpoints(tmp_path, {})
    kept.save({"epoch": 1})

    def fails(state, path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        kept.save({"epoch": 2})
    monkeypatch.undo()
    assert kept.load() == {"epoch": 1} and [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
