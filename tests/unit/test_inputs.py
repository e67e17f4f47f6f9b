"""What people hand over: texts of any kind in order, tensors, and settings of PyTorch that are not the kit's."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools

import numpy as np
import pytest
import torch
from PIL import Image
from small_hashers import OPTIONS, data_for, fitted, probes, small

import cmhkit as ck
from cmhkit.data import PairedData, Vocabulary
from cmhkit.data import features as features_module
from cmhkit.nn import backbones
from cmhkit.support.checks import InputError

TEXTS = ["dog sea", "boat tree sun", "park"]


class Column:
    """What a table's column is to a library: iterable, an array of objects, and no Sequence."""

    def __init__(self, values: list, shape: tuple[int, ...] = (-1,)) -> None:
        self.values = np.array(values, dtype=object).reshape(shape)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.values


class Names(Column):
    """A table with one column: iterating gives the names of the columns."""

    def __iter__(self):
        return iter(["caption"])


@functools.cache
def hasher(method: str = "CCA"):
    return fitted(method)


KINDS = {
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "array of str": np.array,
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "array of StringDType": lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    "column": Column,
    "map": lambda texts: map(str, texts),
    "values of a dictionary": lambda texts: {i: text for i, text in enumerate(texts)}.values(),
    "keys of a dictionary": lambda texts: dict.fromkeys(texts).keys(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_anything_in_order(kind: str) -> None:
    expected = hasher().encode(texts=TEXTS)
    assert np.array_equal(hasher().encode(texts=KINDS[kind](TEXTS)), expected)
    vocabulary = hasher().vocabulary_
    assert np.array_equal(vocabulary.bag_of_words(KINDS[kind](TEXTS)), vocabulary.bag_of_words(TEXTS))
    assert Vocabulary.build(KINDS[kind](TEXTS)) == Vocabulary.build(TEXTS)
    parts = {"query": [0], "retrieval": [1, 2], "train": [1, 2]}
    assert PairedData("x", np.eye(3), np.eye(3), parts, texts=KINDS[kind](TEXTS)).texts == TEXTS


@pytest.mark.parametrize("rows", [[[1, 0, 0, 1, 0, 1]] * 2, ([1, 0, 0, 1, 0, 1] for _ in range(2))])
def test_vectors_of_texts_are_still_vectors(rows) -> None:
    expected = hasher().encode(texts=np.array([[1, 0, 0, 1, 0, 1]] * 2))
    assert np.array_equal(hasher().encode(texts=rows), expected)
    assert np.array_equal(hasher().encode(texts=torch.tensor([[1.0, 0, 0, 1, 0, 1]] * 2, requires_grad=True)), expected)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("dog", r"texts: expected a list of texts, got one string; write \[text\]"),
        (np.array("dog"), r"texts: expected a list of texts, got one string; write \[text\]"),
        (b"dog", r"texts: expected a list of texts, got bytes"),
        ({"dog", "sea"}, r"texts: expected a list of texts, got set"),
        ({"dog": 1}, r"texts: expected a list of texts, got dict"),
        (5, r"texts: expected a list of texts, got int"),
        ([3, "dog"], r"texts: expected strings, got int at position 0"),
        (Column(["dog", None]), r"texts: expected strings, got NoneType at position 1"),
        (Column([float("nan"), "dog"]), r"texts: expected strings, got float at position 0"),
        (np.array([b"dog"]), r"texts: expected numbers, got \|S3"),
        (Names(["dog", "sea"], (2, 1)), r"texts: expected one text a row, got an array of shape \(2, 1\)"),
        (np.array([["dog"], ["sea"]]), r"texts: expected one text a row, got an array of shape \(2, 1\)"),
    ],
)
def test_texts_without_an_order_or_of_another_kind(texts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hasher().encode(texts=texts)


def test_pictures_and_features_may_be_tensors_with_a_gradient() -> None:
    for method in ("CCA", "ADAH"):
        images = torch.tensor(probes(method)["images"])
        with_gradient = images.clone().requires_grad_() if images.is_floating_point() else images
        assert np.array_equal(hasher(method).encode(images=with_gradient), hasher(method).encode(images=images.numpy()))
    with pytest.raises(InputError, match="images: expected an array, got what NumPy makes none of"):
        hasher().encode(images=torch.zeros(2, 9, device="meta"))


PICTURES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
PICTURES[0, 0, 0], PICTURES[0, 0, 1] = 0, 255


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_whole_numbers_from_0_to_255_are_pictures_in_any_type(dtype) -> None:
    expected = hasher("ADAH").encode(images=PICTURES)
    assert np.array_equal(hasher("ADAH").encode(images=PICTURES.astype(dtype)), expected)
    assert np.array_equal(hasher("ADAH").encode(images=torch.tensor(PICTURES.astype(dtype))), expected)
    data = PairedData("x", PICTURES.astype(dtype), np.eye(3), {"query": [0], "retrieval": [1, 2], "train": [1]})
    assert data.images.dtype == np.uint8 and np.array_equal(data.images, PICTURES)


@pytest.mark.parametrize(
    ("pictures", "came", "back"),
    [
        (PICTURES / 255, "float64 from 0.0 to 1.0", "they are from 0 to 1: "),
        (np.rint(PICTURES / 255), "float64 from 0.0 to 1.0", "they are from 0 to 1"),
        (PICTURES / np.float32(127.5) - 1, "float32 from -1.0 to 1.0", "they are from -1 to 1: "),
        (PICTURES + 0.25 * (PICTURES == 7), "float64 from 0.0 to 255.0", "they are not whole: "),
        (PICTURES - 120.5, "float64 from -120.5 to 134.5", "add the mean that was taken off, and round"),
        (PICTURES.astype(np.int16) + 1, "int16 from 1 to 256", "bring them into that range"),
        (np.where(PICTURES == 7, np.nan, PICTURES), "float64 with NaN or infinity", None),
        (PICTURES > 7, "bool", None),
    ],
)
def test_other_pictures_are_refused_with_the_way_out(pictures, came: str, back: str | None) -> None:
    end = "$" if back is None else f"; {back}"
    message = f"images: expected pictures as whole numbers from 0 to 255, got {came}{end}"
    for call in (
        lambda: hasher("ADAH").encode(images=pictures),
        lambda: PairedData("x", pictures, np.eye(3), {"query": [0], "retrieval": [1, 2], "train": [1]}),
    ):
        with pytest.raises(InputError, match=message) as error:
            call()
    if back and back.endswith(": "):
        advice = str(error.value).partition(back)[2]
        assert np.array_equal(eval(advice, {"np": np, "pictures": pictures}), PICTURES)


def test_a_saved_hasher_keeps_its_tags(tmp_path) -> None:
    texts = ["new york, night", "york", "night", "york, new york"] * 8
    vocabulary = Vocabulary.build(texts, tags=True)
    data = data_for("CCA")
    data = dataclasses.replace(data, texts=texts, vocabulary=vocabulary, text_vectors=vocabulary.bag_of_words(texts))
    fitted_to_tags = ck.CCA(bits=8).fit(data)
    fitted_to_tags.save(tmp_path / "h")
    loaded = ck.load(tmp_path / "h")
    assert loaded.vocabulary_ == vocabulary and loaded.vocabulary_.tags
    for h in (fitted_to_tags, loaded):
        assert np.array_equal(h.encode(texts=texts[:4]), h.encode(texts=data.take(range(4))))
        assert np.array_equal(h.values(texts=["new york"]), h.values(texts=["New York,"]))
    assert not hasher().vocabulary_.tags


# Texts of a set are encoded as strings as they are in its split.

SPOKEN = (
    "🐶❤️ my dog",
    "👨\u200d👩\u200d👧 family 👋🏽",
    "🇩🇪🇫🇷 1\ufe0f\u20e3",
    "new\u2028line\x85here",
    "Straße STRASSE",
    "cafe\u0301 caf\u00e9",
    "大熊猫在吃竹子",
    "ＦＵＬＬ　ｗｉｄｔｈ",
    "d.c.; new york, night",
    "می\u200cخواهم",
    "हिन्दी में",
    "e-mail don't",
)


def check_texts(data) -> None:
    fitted_to_it = ck.RandomHash(bits=32).fit(data, show_progress=False)
    for part in ("query", "retrieval", "train"):
        split = data.part(part)
        assert np.array_equal(split.text_vectors, data.vocabulary.bag_of_words(split.texts))
        assert np.array_equal(fitted_to_it.encode(texts=split.texts), fitted_to_it.encode(texts=split))
        assert np.array_equal(fitted_to_it.encode(texts=iter(split.texts)), fitted_to_it.encode(texts=split))


@pytest.mark.parametrize("kind", ["sidecar", "captions.csv", "folders"])
def test_a_folders_texts_and_its_splits_have_the_same_codes(tmp_path, own_cache, kind: str) -> None:
    rows = []
    for k in range(3 * len(SPOKEN)):
        text = f"{SPOKEN[k % len(SPOKEN)]} number{k}"
        name = f"{k}.png" if kind != "folders" else f"{text.replace('/', ' ')}/{k}.png"
        path = tmp_path / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
        if kind == "sidecar":
            path.with_suffix(".txt").write_bytes(text.encode())
        rows.append([name, text])
    if kind == "captions.csv":
        with (tmp_path / "x" / kind).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["file", "text"], *rows])
    data = ck.data.load(f"folder:{tmp_path / 'x'}", side=16, query=0.3, features="scenenet", show_progress=False)
    assert len(data) == len(rows) and any("🐶" in text for text in data.texts)
    check_texts(data)


def test_scenes_and_drawings_too(shared_cache, tiny) -> None:
    check_texts(tiny)
    check_texts(ck.data.load("drawings", resolution=32, show_progress=False))


# Settings of PyTorch.


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": default_dtype,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another device": default_device,
    "deterministic": deterministic,
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", OPTIONS)
def test_the_callers_settings_of_pytorch_change_nothing(method: str, setting: str, tmp_path, monkeypatch) -> None:
    expected = {kind: hasher(method).values(**{kind: given}) for kind, given in probes(method).items()}
    monkeypatch.setattr(features_module, "_known", {})  # SceneNet and its features are made under the setting too
    backbones.scenenet.cache_clear()
    with SETTINGS[setting]():
        inside = fitted(method)
        inside.save(tmp_path / "h")
        loaded = ck.load(tmp_path / "h")
        found = [{kind: h.values(**{kind: given}) for kind, given in probes(method).items()} for h in (inside, loaded)]
        if method == "ADAH":
            found_masks = inside.masks(**{"images": probes(method)["images"]})
        if method == "SSAH":
            found_features = inside.features(images=probes(method)["images"])
        kept = torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        wanted = setting == "float64", setting not in ("no_grad", "inference_mode"), setting == "inference_mode"
        assert (kept[0] == torch.float64, *kept[1:]) == wanted, "the settings hold again"
    for values in found:
        for kind, given in values.items():
            assert np.array_equal(given, expected[kind])
    if method == "ADAH":
        assert torch.equal(found_masks.mask, hasher(method).masks(images=probes(method)["images"]).mask)
    if method == "SSAH":
        assert np.array_equal(found_features, hasher(method).features(images=probes(method)["images"]))
    assert small(method).fit(data_for(method), show_progress=False).fitted, "what was kept inside serves outside"


def test_settings_hold_again_after_an_error() -> None:
    with default_dtype(), torch.no_grad():
        with pytest.raises(InputError):
            hasher("UGACH").encode(texts="dog")
        assert torch.get_default_dtype() == torch.float64 and not torch.is_grad_enabled()
