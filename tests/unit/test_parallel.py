"""Two processes with half of every batch each train the model that one process trains with whole batches."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import socket
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cmhkit.adah import ADAH
from cmhkit.adah import fit as adah
from cmhkit.adah.model import Codes, Mask
from cmhkit.app.cli import app
from cmhkit.app.runs import RunFolder
from cmhkit.data import PairedData
from cmhkit.nn.backbones import CNNF, VGG19
from cmhkit.ssah import SSAH
from cmhkit.ssah import fit as ssah
from cmhkit.support import draws
from cmhkit.support.checks import InputError
from cmhkit.train import distributed
from cmhkit.train.device import generator
from cmhkit.ugach import UGACH

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")

#: 25 training pairs: three batches of 8, and one of a single pair, of which the second process has nothing.
TRAINED, BATCH = 25, 8
#: How far two processes may be from one in any parameter, and how far training must move the one that it moves most.
#: Rounding makes about 1e-6 of it; half a gradient, or terms without the other half of the batch, would make a good
#: part of the second number.
TOLERANCE, MOVED = 1e-4, 1e-2
#: SGD, since Adam turns a gradient that is zero up to rounding into a whole step. Low rates, since higher ones enlarge
#: rounding in one process too: texts that differ by 1e-7 of themselves move ADAH's parameters by 1e-6 at a rate of
#: 0.01, and by 1e-3 at 0.05.
OPTIONS = {
    ADAH: {
        "side": 64,
        "text_hidden": 16,
        "text_width": 8,
        "epochs": 2,
        "batch": BATCH,
        "optimiser": "sgd",
        "reduction": "mean",
    }
    | {"lr": 0.01, "lr_g": 0.01, "lr_g_text": 0.01, "lr_backbone": 0.01},
    SSAH: {
        "side": 55,
        "text_hidden": 16,
        "label_hidden": 16,
        "width": 8,
        "pools": (3,),
        "discriminator_hidden": (8,),
        "epochs": 2,
        "batch": BATCH,
    }
    | {"optimiser": "sgd", "reduction": "mean", "dropout": 0.2, "eta": 0.1, "beta": 1.0}
    | {"lr_label": 0.02, "lr_image": 0.02, "lr_text": 0.02, "lr_discriminator": 0.02, "lr_backbone": 0.02},
    UGACH: {
        "hidden": 16,
        "pool": 9,
        "pretrain_steps": 5,
        "rounds": 2,
        "d_steps": 4,
        "g_steps": 4,
        "dropout": 0.2,
        "init_std": None,
    }
    | {"lr_pretrain": 0.5, "lr_d": 0.5, "lr_g": 0.5},
}


#: The options of a run through the command line.
RUN = {"optimiser": "sgd", "hidden": 16, "pool": 101, "pretrain_steps": 5, "rounds": 1, "d_steps": 4, "g_steps": 2}
COMMAND = [
    "train",
    "ugach",
    "--data",
    "scenes",
    "--data-option",
    "size=tiny",
    "--bits",
    "8",
    "--seed",
    "3",
    "--device",
    "cpu",
]
COMMAND += [word for name, value in RUN.items() for word in ("--set", f"{name}={value}")]


def pairs(kind) -> PairedData:
    """Three classes that differ in picture, text and label."""
    random, items = np.random.default_rng(0), TRAINED + 3
    label = np.arange(items) % 3
    if kind is UGACH:
        images = (random.normal(size=(items, 20)) + 2 * label[:, None]).astype(np.float32)
    else:
        images = (random.integers(0, 120, (items, 36, 36, 3)) + 60 * label[:, None, None, None]).astype(np.uint8)
    texts = (random.random((items, 12)) < 0.1 + 0.8 * (np.arange(12) % 3 == label[:, None])).astype(np.float32)
    every = np.arange(items)
    return PairedData(
        "classes",
        images,
        texts,
        {"query": every[:3], "retrieval": every[3:], "train": every[3:]},
        np.eye(3, dtype=np.uint8)[label],
    )


def trained(kind, folder: Path | None = None, **options):
    """A hasher as it starts, or after its epochs."""
    hasher = kind(bits=8, preset="paper", device="cpu", seed=3, **{**OPTIONS[kind], **options})
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(adah, "VGG19", functools.partial(VGG19, widths=(4, 4, 8, 8, 8), hidden=16))
        patch.setitem(ssah.BACKBONES, "cnn-f", functools.partial(CNNF, widths=(8, 8, 8, 8, 8), hidden=16))
        return hasher.fit(pairs(kind), show_progress=False, checkpoint_dir=folder)


def told(hasher) -> dict:
    return {
        "state": {name: torch.from_numpy(np.array(value)) for name, value in hasher._state().items()},
        "history": hasher.history_,
    }


def process(number: int, ports: list[int], folder: Path, cache: Path) -> None:
    """What each of the two processes does."""
    os.environ |= {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(ports[0]),
    }
    os.environ["CMHKIT_CACHE"] = str(cache)
    torch.set_num_threads(1)
    with distributed.started("cpu"):
        found = {"rank": distributed.rank(), "size": distributed.size()}
        batch = torch.arange(10.0).reshape(5, 2)
        part = distributed.mine(batch).clone().requires_grad_()
        whole = distributed.gathered(Codes(part, part * 2, image_mask=Mask(part > 4, part)), 5)
        (whole.image * batch).sum().backward()
        found |= {
            "part": part.detach(),
            "whole": whole.image.detach(),
            "mask": whole.image_mask.probability,
            "none": whole.text_mask,
            "gradient": part.grad,
        }
        with distributed.part_of(5):
            found["drawn"] = draws.uniform((len(part), 3), generator(7), torch.device("cpu"))
        found["said"] = distributed.from_first({"a": number, "b": torch.tensor([number])})
        try:
            distributed.check_same(f"seed {number}")
        except InputError as error:
            found["other"] = str(error)
        for kind in OPTIONS:
            kept = folder / kind.__name__ / str(number)  # the second one's stays empty
            found[kind.__name__] = told(trained(kind, kept))
            found[f"{kind.__name__} again"] = told(trained(kind, kept))
    found["command"] = []
    (folder / "run").mkdir(exist_ok=True)
    (folder / "other").mkdir(exist_ok=True)
    (folder / "other" / "notes.txt").touch()
    for port, out in zip(ports[1:], ("run", "run", "other"), strict=True):  # trains; finds the run finished; is refused
        os.environ["MASTER_PORT"] = str(port)
        result = CliRunner().invoke(app, [*COMMAND, "--out", str(folder / out)])
        found["command"].append((result.exit_code, result.stdout, result.stderr))
    torch.save(found, folder / f"{number}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory, tiny, tiny_cache) -> tuple[Path, list[dict]]:
    """What two processes found, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp("two")
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in free:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in free]
    way = "forkserver" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(way)
    if way == "forkserver":
        context.set_forkserver_preload(
            ["cmhkit.adah", "cmhkit.ssah", "cmhkit.ugach", "cmhkit.app.runs", "torch.distributed", "scipy.sparse"]
        )
    started = [context.Process(target=process, args=(number, ports, folder, tiny_cache)) for number in range(2)]
    for one in started:
        one.start()
    for one in started:
        one.join(timeout=250)
        if one.is_alive():
            one.kill()
    assert [one.exitcode for one in started] == [0, 0]
    return folder, [torch.load(folder / f"{number}.pt", weights_only=False) for number in range(2)]


def test_each_takes_a_part_and_all_see_the_whole(two):
    batch = torch.arange(10.0).reshape(5, 2)
    draws = torch.rand(5, 3, generator=generator(7))
    for number, found in enumerate(two[1]):
        rows = slice(0, 3) if number == 0 else slice(3, 5)
        assert (found["rank"], found["size"]) == (number, 2)
        assert torch.equal(found["part"], batch[rows]) and torch.equal(found["whole"], batch)
        assert torch.equal(found["mask"], batch > 4) and found["none"] is None
        # The mean over the processes of what each one hands back is the gradient of the sum.
        assert torch.equal(found["gradient"] / 2, batch[rows])
        assert torch.equal(found["drawn"], draws[rows])
        assert found["said"]["a"] == 0 and found["said"]["b"].item() == 0
    assert "other" not in two[1][0]
    assert two[1][1]["other"] == "torchrun: expected the first process's settings in all of them, seed 0, got seed 1"


def apart(a: dict, b: dict) -> float:
    """The greatest difference of two hashers in any parameter; packed codes have none."""
    assert a["state"].keys() == b["state"].keys()
    return max(
        (value - b["state"][name]).abs().max().item() for name, value in a["state"].items() if value.is_floating_point()
    )


@pytest.mark.parametrize("kind", OPTIONS)
def test_two_processes_train_what_one_trains(two, kind):
    alone, start = (
        told(trained(kind)),
        told(trained(kind, **({"pretrain_steps": 0, "rounds": 0} if kind is UGACH else {"epochs": 1}))),
    )
    for found in (one[kind.__name__] for one in two[1]):
        assert apart(found, alone) <= TOLERANCE and apart(start, alone) > MOVED
        assert len(found["history"]) == len(alone["history"])
        for row, expected in zip(found["history"], alone["history"], strict=True):
            assert row.keys() == expected.keys()
            for name, value in expected.items():
                assert row[name] == (
                    value if isinstance(value, str) else pytest.approx(value, rel=1e-3, abs=1e-5, nan_ok=True)
                ), name
    first, second = (one[kind.__name__]["state"] for one in two[1])
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_first_process_keeps_the_checkpoint_for_all(two, kind):
    folder, found = two
    assert (folder / kind.__name__ / "0" / "checkpoint.pt").is_file() and not (folder / kind.__name__ / "1").exists()
    for one in found:  # nothing was left to train: both go on from the first one's file
        assert one[f"{kind.__name__} again"]["history"] == one[kind.__name__]["history"]
        again, state = one[f"{kind.__name__} again"]["state"], one[kind.__name__]["state"]
        assert all(torch.equal(again[name], state[name]) for name in state)


def test_the_command_line_trains_with_both(two, tiny, shared_cache):
    folder, found = two
    (first, finished, refused), others = (one["command"] for one in found)
    assert [code for code, _, _ in (first, finished, refused)] == [0, 0, 2]
    assert "2 processes train together" in first[2] and "report: " in first[1] and "this run is finished" in finished[2]
    assert refused[2].startswith("cmhkit: out: expected a new folder") and "notes.txt" in refused[2]
    assert others == [(0, "", "")] * 3
    run = RunFolder(folder / "run").checked("hasher.safetensors")
    alone = UGACH(bits=8, seed=3, device="cpu", **RUN).fit(tiny, show_progress=False)
    for name, value in run.hasher()._state().items():
        np.testing.assert_allclose(value, alone._state()[name], rtol=0, atol=1e-4, err_msg=name)
    assert [row["epoch"] for row in run.history()] == [0, 1]


def test_one_process_is_left_alone(monkeypatch):
    x = torch.rand(3, 2, generator=generator(0))
    assert (distributed.rank(), distributed.size(), distributed.shares(5)) == (0, 1, [5])
    assert distributed.mine(x) is x and distributed.gathered(x, 3) is x and distributed.from_first(x) is x
    net = torch.nn.Linear(2, 2)
    assert distributed.replicated(net) is net
    with distributed.part_of(9):
        assert torch.equal(draws.uniform((3, 2), generator(0), torch.device("cpu")), x)
    for size in (None, "1"):
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        with distributed.started():
            assert not torch.distributed.is_initialized()


def test_a_broken_start_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with (
        pytest.raises(InputError, match="torchrun: expected RANK and MASTER_ADDR beside WORLD_SIZE, got none"),
        distributed.started("cpu"),
    ):
        pass
    with pytest.raises(
        InputError, match="device: expected auto, cuda or cpu where several processes train together, got 'cuda:0'"
    ):
        distributed.started("cuda:0").__enter__()


@pytest.mark.parametrize(
    ("rows", "processes", "expected"), [(8, 2, [4, 4]), (7, 2, [4, 3]), (1, 2, [1, 0]), (5, 3, [2, 2, 1])]
)
def test_shares_differ_by_one_at_most(monkeypatch, rows, processes, expected):
    monkeypatch.setattr(distributed, "size", lambda: processes)
    assert distributed.shares(rows) == expected
    batch, parts = torch.arange(rows), []
    for number in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda number=number: number)
        parts.append(distributed.mine(batch))
    assert torch.equal(torch.cat(parts), batch)
