"""The way a GPU is used, as far as a CPU can show it: bfloat16, channels last, the fused optimiser, and steps that read
nothing back.
"""

from __future__ import annotations

import functools
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench import gpu
from cmhkit.adah import ADAH
from cmhkit.adah import fit as adah
from cmhkit.data import PairedData
from cmhkit.nn.backbones import CNNF, VGG19
from cmhkit.nn.pairwise import LabelSimilarity
from cmhkit.ssah import SSAH
from cmhkit.ssah import fit as ssah
from cmhkit.ssah.model import network_for
from cmhkit.support import draws, precision
from cmhkit.support.precision import wide_layers
from cmhkit.train import device as device_module
from cmhkit.train.device import generator, optimiser_for, placed, restore, to_device
from cmhkit.train.loop import exact, means
from cmhkit.ugach import UGACH
from cmhkit.ugach import fit as ugach

CPU, META = torch.device("cpu"), torch.device("meta")
#: The presets `paper`, with networks that a test can afford.
OPTIONS = {
    ADAH: {"side": 64, "text_hidden": 16, "text_width": 8, "epochs": 2, "batch": 12},
    SSAH: {
        "side": 55,
        "text_hidden": 16,
        "label_hidden": 16,
        "width": 8,
        "pools": (3,),
        "discriminator_hidden": (8,),
        "epochs": 2,
        "batch": 12,
    },
    UGACH: {"hidden": 32, "pool": 12, "pretrain_steps": 3, "rounds": 2, "d_steps": 3, "g_steps": 3},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(adah, "VGG19", functools.partial(VGG19, widths=(4, 4, 8, 8, 8), hidden=16))
    monkeypatch.setitem(ssah.BACKBONES, "cnn-f", functools.partial(CNNF, widths=(8, 8, 8, 8, 8), hidden=16))
    warnings.filterwarnings("ignore", message=".*starts untrained")


def pairs(kind, items: int = 30) -> PairedData:
    """Three classes that differ in picture, text and label."""
    random = np.random.default_rng(0)
    label = np.arange(items) % 3
    if kind is UGACH:
        images = (random.normal(size=(items, 20)) + 2 * label[:, None]).astype(np.float32)
    else:
        images = (random.integers(0, 120, (items, 36, 36, 3)) + 60 * label[:, None, None, None]).astype(np.uint8)
    texts = (random.random((items, 12)) < 0.1 + 0.8 * (np.arange(12) % 3 == label[:, None])).astype(np.float32)
    every = np.arange(items)
    parts = {"query": every[:3], "retrieval": every[3:], "train": every[3:]}
    return PairedData("classes", images, texts, parts, np.eye(3, dtype=np.uint8)[label])


def fitted(kind, callback=None, checkpoint_dir=None, **options):
    hasher = kind(bits=8, preset="paper", device="cpu", seed=3, **{**OPTIONS[kind], **options})
    return hasher.fit(pairs(kind), show_progress=False, callback=callback, checkpoint_dir=checkpoint_dir)


@pytest.fixture
def fast(monkeypatch):
    """The CPU is treated as a GPU is, where it can."""
    monkeypatch.setattr(precision, "FAST_ON", {"cpu"})


# A step reads nothing back.


class Mixed(TorchDispatchMode):
    """Notes what would make a GPU wait: tensors of the CPU in an operation on the device, and copies that were not made
    by `to_device`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        here = [x for x in given if x.device == CPU and x.ndim > 0]
        if here and any(x.device == META for x in (*given, *made)) and not _called_by("to_device", "_uniform"):
            self.found.append(str(function))
        return result


def _called_by(*names: str) -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in names:
            return True
        frame = frame.f_back
    return False


def test_the_watch_sees_what_would_make_a_gpu_wait():
    there = torch.zeros(4, 2, device=META)
    with Mixed() as watch:
        there[torch.tensor([1, 2])]
        torch.ones(3).to(META)
        to_device(torch.ones(3), META)
        there + 1
    assert watch.found == ["aten.index.Tensor", "aten._to_copy.default"]
    for read in (lambda: there.sum().item(), lambda: there[there > 0], lambda: there.cpu(), lambda: bool(there.any())):
        with pytest.raises((RuntimeError, NotImplementedError)):
            read()


@pytest.fixture
def nowhere(monkeypatch):
    """The device "meta" holds no numbers: an operation that would read one fails. Draws are made there."""
    monkeypatch.setattr(draws, "DRAWS_ON", {"meta"})
    monkeypatch.setattr(draws, "on_device", lambda random, device: None)
    monkeypatch.setattr(adah, "spread_masks", lambda *args: None)  # before the first step, numbers may be read
    monkeypatch.setattr(LabelSimilarity, "share", lambda self: 0.5)


def on_meta(kind):
    """A schedule on "meta" that has not begun."""
    data, random = pairs(kind), generator(0)
    hasher = kind(bits=8, preset="paper", device="cpu", **OPTIONS[kind])
    hasher._device = META
    t, x = data.train.text_vectors, data.train.images
    if kind is UGACH:
        hasher._scaling = {}
        hasher.positives_ = ugach.related_items(x, t, hasher.config)
        shape = (x.shape[1], t.shape[1], hasher.config.hidden, hasher.bits, hasher.config.init_std, random)
        hasher.discriminator_, hasher.generator_ = (ugach.CrossModalNetwork(*shape).to(META) for _ in range(2))
        return ugach.Game(hasher, hasher._scaled(x, "image"), hasher._scaled(t, "text"), random)
    if kind is ADAH:
        hasher.network_ = hasher._built(t.shape[1], random).to(META)
        return adah.Alternation(hasher, x, t, data.train.labels, random)
    hasher.network_ = network_for(hasher.config, hasher.bits, None, t.shape[1], data.train.labels.shape[1], random).to(
        META
    )
    return ssah.Supervision(hasher, x, t, data.train.labels, random)


def test_an_epoch_of_adah_reads_only_its_means(nowhere, monkeypatch):
    kept = []
    monkeypatch.setattr(adah, "means", lambda rows: kept.append(rows) or {})
    found = on_meta(ADAH)
    with Mixed() as watch:
        found._epoch(1, lambda k: None)
    assert watch.found == []
    assert [len(rows) for rows in kept] == [3, 3]
    assert all(
        value.device == META and not value.requires_grad for rows in kept for row in rows for value in row.values()
    )


def test_steps_of_ssah_read_nothing(nowhere):
    found, items = on_meta(SSAH), torch.arange(12)
    with Mixed() as watch:
        rows = []
        for name in ("label", "image", "text"):
            found._train_only(name)
            rows.append(found._network_step(name, items))
        found._train_only("discriminators")
        rows.append(found._discriminators_step(items))
    assert watch.found == []
    assert all(value.device == META and not value.requires_grad for row in rows for value in row.values())


def test_steps_of_ugach_read_nothing(nowhere):
    found = on_meta(UGACH)
    codes = found._codes(found.hasher.generator_)
    with Mixed() as watch:
        rows = [
            found._d_step("pretrain", "pair", None),
            found._d_step("d", "graph", codes),
            found._g_step(codes),
        ]
    assert watch.found == []
    assert all(value.device == META and not value.requires_grad for row in rows for value in row.values())


def test_means_are_those_of_the_numbers():
    values = torch.rand(7, 2, generator=generator(0))
    found = means([{"a": exact(row[0]), "b": exact(row[1].mul(1e-9))} for row in values])
    assert found == {
        "a": float(np.mean([row[0].item() for row in values])),
        "b": float(np.mean([row[1].mul(1e-9).item() for row in values])),
    }
    assert means([]) == {}


# bfloat16, channels last, fused.


@pytest.mark.parametrize("kind", OPTIONS)
def test_wide_layers_in_bfloat16_say_nearly_the_same(kind, monkeypatch):
    hasher = fitted(kind, **({"rounds": 0} if kind is UGACH else {"epochs": 1}))
    data = pairs(kind)
    plain = hasher.values(images=data.query)
    net = hasher.discriminator_ if kind is UGACH else hasher.network_
    types = set()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) or (kind is UGACH and layer is net.image.representation):
            layer.register_forward_hook(lambda layer, args, out: types.add(out.dtype))
    hasher.values(images=data.query)
    assert types == {torch.float32}
    types.clear()
    monkeypatch.setattr(precision, "FAST_ON", {"cpu"})
    found = hasher.values(images=data.query)
    assert torch.bfloat16 in types and found.dtype == np.float32
    assert 0 < np.abs(found - plain).max() < 0.03 * np.abs(plain).max()


@pytest.mark.parametrize("kind", OPTIONS)
def test_training_as_on_a_gpu(kind, fast, tmp_path):
    """bfloat16, channels last and the fused optimiser together: it learns, parameters stay in float32, and a stopped
    run goes on.
    """

    class Stop(Exception):
        pass

    def stop(row, hasher):
        # The callback comes before its own epoch's checkpoint.
        if len(hasher.history_) == 2:
            raise Stop

    whole = fitted(kind)
    for name, value in whole._state().items():
        assert value.dtype != np.float16 and np.isfinite(value).all(), name
    with pytest.raises(Stop):
        fitted(kind, callback=stop, checkpoint_dir=tmp_path)
    assert (tmp_path / "checkpoint.pt").is_file()
    again = fitted(kind, checkpoint_dir=tmp_path)
    assert again.history_ == whole.history_
    for name, value in whole._state().items():
        assert (again._state()[name] == value).all(), name


def test_filters_keep_their_channels_last_where_it_is_fast(monkeypatch):
    net = VGG19(side=32, widths=(4, 4, 8, 8, 8), hidden=16, generator=generator(0))
    pictures = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=generator(1))
    before = net.eval()(pictures)
    assert placed(net, CPU).features[2].weight.is_contiguous()
    monkeypatch.setattr(precision, "FAST_ON", {"cpu"})
    placed(net, CPU)
    assert (
        net.features[2].weight.is_contiguous(memory_format=torch.channels_last)
        and not net.features[2].weight.is_contiguous()
    )
    torch.testing.assert_close(net(pictures), before)
    assert net.features(torch.rand(2, 3, 32, 32)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_the_optimiser_is_fused_where_it_is_fast_and_its_state_moves(kind, monkeypatch):
    def trained(found, p, steps):
        for k in range(steps):
            found.zero_grad()
            (p * torch.tensor([1.0, -2.0, 3.0 + k])).square().sum().backward()
            found.step()

    p = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    for device in ("cuda", "cpu"):
        group = {"params": [p], "lr": 0.01, "start": 0.01}
        fused = optimiser_for(kind, [group], torch.device(device))
        assert fused.defaults["fused"] is True and fused.param_groups[0]["start"] == 0.01
    assert not optimiser_for(kind, [{"params": [p], "lr": 0.01}], torch.device("mps")).defaults["fused"]
    q = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    known = device_module.OPTIMISERS[kind]
    with monkeypatch.context() as patch:  # a PyTorch that has no such kernel says so when it is asked

        def refuses(*given, fused, **options):
            if fused:
                raise RuntimeError("`fused=True` requires all the params to be on supported devices")
            return known(*given, fused=fused, **options)

        patch.setitem(device_module.OPTIMISERS, kind, refuses)
        plain = optimiser_for(kind, [{"params": [q], "lr": 0.01}], CPU)
    assert not plain.defaults["fused"]
    trained(fused, p, 4)
    trained(plain, q, 4)
    torch.testing.assert_close(p, q)
    other = optimiser_for(kind, [{"params": [p], "lr": 0.01}], torch.device("mps"))
    restore(other, fused.state_dict())
    assert not other.param_groups[0]["fused"]
    trained(other, p, 2)
    trained(plain, q, 2)
    torch.testing.assert_close(p, q)


def test_a_block_of_wide_layers_is_plain_elsewhere(monkeypatch):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation
    )  # a GPU of 2018
    for device in (CPU, torch.device("cuda"), META):
        with wide_layers(device):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32 and not torch.is_autocast_enabled(
                "cuda"
            )


# The measurement.


def test_the_measurement_says_that_there_is_no_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "write_section", None)  # it is not called
    assert gpu.main([]) == 1
    assert "No GPU figure exists yet: there is no CUDA device here." in capsys.readouterr().err


def test_the_rehearsal_measures_both_ways(tiny, shared_cache, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(gpu, "write_section", None)
    monkeypatch.setattr(adah, "exact", lambda x: seen.append(precision.FAST_ON) or exact(x))
    before = adah.to_device
    assert gpu.main(["--rehearse"]) == 0
    said = capsys.readouterr().out
    assert "A rehearsal on the CPU. No GPU figure exists yet" in said
    table = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in said.splitlines() if line.startswith("| ")
    ]
    assert [row[:2] for row in table[2:]] == [[study.title, way] for study in gpu.REHEARSAL for way in gpu.WAYS]
    assert all(
        float(row[2].replace(",", "")) > 0 and float(row[3]) > 0 and 0 < float(row[6].rstrip("%")) for row in table[2:]
    )
    assert [row[3] for row in table[3::2]] == ["1.00", "1.00"]
    assert (
        adah.to_device is before
        and precision.FAST_ON == {"cuda"}
        and set(map(frozenset, seen)) == {frozenset({"cuda"})}
    )


def test_the_plain_loop_is_plain(monkeypatch):
    with gpu.plain_loop():
        assert not precision.FAST_ON and adah.to_device is ssah.to_device is gpu._sent and adah.exact is gpu._read
        assert torch.get_float32_matmul_precision() == "highest"
    assert adah.exact is exact and precision.FAST_ON == {"cuda"}


def test_operations_are_those_of_the_layers():
    """ADAH with two widths of its text feature, on one batch: what the difference must be, from the layers that have
    this width.
    """
    data = gpu.part(pairs(ADAH), 12)
    options = {name: value for name, value in OPTIONS[ADAH].items() if name not in ("epochs", "text_width")}
    with gpu.small_networks():
        narrow, wide = (
            gpu.work(gpu.Study(ADAH, "", options | {"text_width": width}, 1), data, CPU) for width in (8, 16)
        )

    def expected(width: int, hidden: int = 16, bits: int = 64, items: int = 12) -> int:
        # Forward in both steps; backward in E's and D's step: weights and inputs, in G's step: nothing.
        second = (2 + 2) * hidden * width
        # Forward in both; backward: inputs in the one, weights in the other.
        attention = (2 + 1 + 1) * width * width
        # Attended and unattended: forward in both; backward: weights and inputs in the one, inputs of the unattended in
        # the other.
        hashing = (4 + 4 + 1) * width * bits
        return 2 * items * (second + attention + hashing)

    assert wide - narrow == expected(16) - expected(8)


def test_rates_and_shares():
    one = gpu.Result("a", gpu.WAYS[0], pairs=100, seconds=0.5, gigabytes=2.0, work=10**12)
    other = gpu.Result("a", gpu.WAYS[1], pairs=100, seconds=2.0, gigabytes=None, work=10**12)
    assert one.rate == 200 and one.share(4e12) == 0.5
    assert gpu.rows([one, other], 4e12) == [
        ["a", "cmhkit", "200", "4.00", "2.00", "10.0", "50.0%"],
        ["a", "plain float32 loop", "50.0", "1.00", "–", "10.0", "12.5%"],
    ]
