"""What people hand over: texts of any kind in order, tensors, and settings of PyTorch that are not the kit's."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
import torch
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
