"""What all schedules share: device, seeds, presets, checkpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from cmhkit.errors import InputError, whole
from cmhkit.training import Checkpoints, configured, generator, margin_for, one_of, positive, resolve_device


@dataclass(frozen=True)
class Config:
    rate: float = 0.1
    steps: int = 3

    def __post_init__(self) -> None:
        positive("rate", self.rate)


PRESETS = {"lab": Config(), "paper": Config(rate=1.0)}


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


def test_options_replace_fields_of_a_preset() -> None:
    assert configured(PRESETS, "paper", {"steps": 7}) == Config(rate=1.0, steps=7)
    assert PRESETS["paper"] == Config(rate=1.0)
    found = configured(PRESETS, "lab", {"rate": np.float32(0.5), "steps": np.int64(4)})
    assert found == Config(rate=0.5, steps=4) and type(found.rate) is float and type(found.steps) is int


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("official", {}, r"preset: expected one of lab, paper, got 'official'"),
        (["lab"], {}, r"preset: expected one of lab, paper, got \['lab'\]"),
        ("lab", {"step": 3}, r"step: not an option of this method; did you mean 'steps'\?"),
        ("lab", {"zzz": 3}, r"zzz: not an option of this method; expected one of rate, steps"),
        ("lab", {"rate": -1}, r"rate: expected a number above 0, got -1"),
    ],
)
def test_an_unknown_option_names_the_nearest(preset, overrides, message: str) -> None:
    with pytest.raises(InputError, match=message):
        configured(PRESETS, preset, overrides)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1", None, [1]])
def test_positive_refuses(value) -> None:
    with pytest.raises(InputError, match=r"x: expected a number above 0, got "):
        positive("x", value)


def test_positive_accepts() -> None:
    for value in (1, 0.5, np.float32(0.5), np.int64(2)):
        positive("x", value)
    positive("x", 0, strict=False)
    with pytest.raises(InputError, match="x: expected a number of at least 0, got -1"):
        positive("x", -1, strict=False)


def test_a_margin_is_a_number_or_a_share_of_the_bits() -> None:
    assert margin_for("K/8", 32) == 4 and margin_for("K/3", 32) == pytest.approx(32 / 3) and margin_for(5, 32) == 5


def test_one_of_and_whole() -> None:
    one_of("x", "a", ("a", "b"))
    with pytest.raises(InputError, match="x: expected one of a, b, got 'c'"):
        one_of("x", "c", ("a", "b"))
    whole("x", np.int32(3), 1, 3)
    for value in (0, 4, 2.0, True, "2"):
        with pytest.raises(InputError, match="x: expected a whole number from 1 to 3, got "):
            whole("x", value, 1, 3)


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
        r"^checkpoint_dir: .*checkpoint\.pt is of another run \(depth: 3 there, none here; pools: \[5, 10\] there, \[5, 10, 15\] here; "
        r'seed: 0 there, 1 here; weights: null there, "w\.mat" here; width: none there, 7 here\); use an empty folder, or the options of that run$'
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
