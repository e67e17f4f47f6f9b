"""Full models on a GPU: images a second, peak memory and share of the matrix peak, beside the plain float32 loop.

Run:  python -m bench.gpu               (needs CUDA; scenes, size paper, at 224×224; writes its section of RESULTS.md)
      python -m bench.gpu --rehearse    (tiny networks on the CPU: shows that it runs, and says nothing about a GPU)

Both ways take the same steps on the same batches. The plain loop computes everything in float32, keeps filters in
PyTorch's usual order, has an optimiser that is not fused, sends each batch while it waits, and reads every figure at
every step, as published code does.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import cmhkit as ck
from bench.report import machine, table, write_section
from bench.timing import digits
from cmhkit.adah import fit as adah
from cmhkit.data.pairs import PairedData, Split
from cmhkit.nn.backbones import CNNF, VGG19
from cmhkit.ssah import fit as ssah
from cmhkit.support import precision

NO_FIGURE = "No GPU figure exists yet: there is no CUDA device here."
WAYS = ("cmhkit", "plain float32 loop")


@dataclass(frozen=True)
class Study:
    """One model. kind: its class. title: its name in the table. options: besides the preset `paper`. batches: how many
    an epoch has.
    """

    kind: type[ck.CrossModalHasher]
    title: str
    options: dict[str, Any]
    batches: int
    epochs: int = 4

    @property
    def pairs(self) -> int:
        """Training pairs of an epoch."""
        config = attrs.evolve(self.kind.presets["paper"], **self.options)
        return self.batches * config.batch


STUDIES = (Study(ck.ADAH, "ADAH, VGG-19", {"side": 224}, 20), Study(ck.SSAH, "SSAH, CNN-F", {"side": 224}, 20))
#: What the rehearsal makes of them, with `small_networks`.
_TEXT = {"text_hidden": 16, "batch": 8}
REHEARSAL = (
    Study(ck.ADAH, "ADAH, a tiny VGG-19", _TEXT | {"side": 64, "text_width": 8}, 2, 2),
    Study(
        ck.SSAH,
        "SSAH, a tiny CNN-F",
        _TEXT | {"side": 55, "label_hidden": 16, "width": 8, "discriminator_hidden": (8,)},
        2,
        2,
    ),
)


@dataclass(frozen=True)
class Result:
    """One way of one study. seconds: of an epoch, the median. gigabytes: peak memory of the device, None on a CPU.
    work: operations of an epoch.
    """

    title: str
    way: str
    pairs: int
    seconds: float
    gigabytes: float | None
    work: int

    @property
    def rate(self) -> float:
        """Training pairs a second, through every step of an epoch."""
        return self.pairs / self.seconds

    def share(self, peak: float) -> float:
        """The share of the matrix peak that is used. peak: operations a second."""
        return self.work / self.seconds / peak


@contextlib.contextmanager
def small_networks() -> Iterator[None]:
    """VGG-19 and CNN-F with a few filters a layer."""
    with (
        mock.patch.object(adah, "VGG19", functools.partial(VGG19, widths=(4, 4, 8, 8, 8), hidden=16)),
        mock.patch.dict(ssah.BACKBONES, {"cnn-f": functools.partial(CNNF, widths=(8, 8, 8, 8, 8), hidden=16)}),
    ):
        yield


def _read(x: Tensor) -> Tensor:
    return x.detach().double().cpu()


def _sent(x: Tensor, device: torch.device) -> Tensor:
    return x.to(device)


@contextlib.contextmanager
def plain_loop() -> Iterator[None]:
    """Inside, the library's steps are those of the plain float32 loop."""
    before = torch.get_float32_matmul_precision()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(precision, "FAST_ON", frozenset()))
        for schedule in (adah, ssah):
            stack.enter_context(mock.patch.object(schedule, "exact", _read))
            stack.enter_context(mock.patch.object(schedule, "to_device", _sent))
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def trained(study: Study, data: Split, device: torch.device, callback: Any, epochs: int) -> None:
    """Train the study's model. callback: called at the end of every epoch, when the device has done its work."""

    def epoch_done(row: dict[str, Any], hasher: ck.CrossModalHasher) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        callback()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # untrained weights and dead hinges do not matter here
        hasher = study.kind(
            bits=64, preset="paper", device=str(device), epochs=epochs, lr_decay="none", **study.options
        )
        hasher.fit(data, callback=epoch_done, show_progress=False)


def work(study: Study, data: Split, device: torch.device) -> int:
    """The operations of one epoch's matrix products and convolutions, forward and backward; a multiplication and an
    addition are two.

    They are counted in the second epoch, so that what comes before training is left out.
    """
    totals: list[int] = []
    with FlopCounterMode(display=False) as counter:
        trained(study, data, device, lambda: totals.append(counter.get_total_flops()), epochs=2)
    return totals[1] - totals[0]


def measured(study: Study, way: str, data: Split, device: torch.device, operations: int) -> Result:
    """Train for some epochs and take the time of each but the first, which also warms up."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    with plain_loop() if way == WAYS[1] else contextlib.nullcontext():
        trained(study, data, device, lambda: times.append(time.perf_counter()), epochs=study.epochs)
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
    return Result(study.title, way, len(data), float(np.median(np.diff(times))), memory, operations)


def matrix_peak(device: torch.device, side: int, dtype: torch.dtype, rounds: int = 10) -> float:
    """Operations a second of the best of some products of two square matrices: what this device reaches, not what its
    data sheet says.
    """
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(rounds + 1):
        started = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def part(data: PairedData, pairs: int) -> Split:
    """The first training pairs of a data set; all of them if it has fewer."""
    return replace(data, parts=data.parts | {"train": data.parts["train"][:pairs]}).train


def rows(results: Sequence[Result], peak: float) -> list[list[str]]:
    """The table's rows; the plain loop of a study follows its cmhkit."""
    rows = []
    plain = {one.title: one.rate for one in results if one.way == WAYS[1]}
    for one in results:
        memory = "–" if one.gigabytes is None else digits(one.gigabytes)
        ratio = digits(one.rate / plain[one.title])
        rows.append(
            [
                one.title,
                one.way,
                digits(one.rate),
                ratio,
                memory,
                digits(one.work / one.pairs / 1e9),
                f"{one.share(peak):.1%}",
            ]
        )
    return rows


HEAD = [
    "model",
    "way",
    "images a second",
    "times the plain loop",
    "peak memory, GB",
    "billion operations an image",
    "share of the matrix peak",
]


def report(results: Sequence[Result], peak: float, place: str, peak_source: str) -> str:
    """The section of RESULTS.md. place: the device, in words. peak_source: how the peak was taken."""
    return "\n\n".join(
        [
            "## Full models on a GPU",
            f"`python -m bench.gpu` · {place}; {machine()}",
            "Training pairs a second through all steps of an epoch: ADAH takes a step of E and D and one of G on "
            f"every batch, SSAH one of each of its five networks. {results[0].pairs:,} pairs an epoch, the median of "
            f"the epochs after the first; weights untrained. {peak_source}: {peak / 1e12:.1f} trillion operations a "
            "second.",
            table(HEAD, rows(results, peak)),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="tiny networks on the CPU")
    parser.add_argument("--batch", type=int, help="pairs a batch; the preset's unless given")
    given = parser.parse_args(arguments)
    if not given.rehearse and not torch.cuda.is_available():
        print(f"{NO_FIGURE} --rehearse shows that the measurement runs.", file=sys.stderr)
        return 1
    device = torch.device("cpu" if given.rehearse else "cuda")
    studies, size = (REHEARSAL, "tiny") if given.rehearse else (STUDIES, "paper")
    if given.batch is not None:
        studies = tuple(replace(study, options=study.options | {"batch": given.batch}) for study in studies)
    data = ck.data.load("scenes", size=size)
    results = []
    with small_networks() if given.rehearse else contextlib.nullcontext():
        for study in studies:
            taken = part(data, study.pairs)
            operations = work(study, taken, device)
            results += [measured(study, way, taken, device, operations) for way in WAYS]
    if given.rehearse:
        print(f"A rehearsal on the CPU. {NO_FIGURE}\n")
        print(
            report(results, matrix_peak(device, 256, torch.float32), "CPU", "The peak of float32 products of 256 × 256")
        )
        return 0
    peak = matrix_peak(device, 8192, torch.bfloat16)
    text = report(
        results, peak, torch.cuda.get_device_name(device), "The peak is that of bfloat16 products of 8,192 × 8,192 here"
    )
    print(text)
    write_section("gpu", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
