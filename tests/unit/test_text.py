"""From words to a bag of words."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from cmhkit.data import Vocabulary
from cmhkit.data.text import tokens
from cmhkit.errors import InputError


def test_words_are_lower_case_and_keep_their_order() -> None:
    assert tokens("Dog, park; SUNNY-dog 3") == ["dog", "park", "sunny", "dog", "3"]
    assert tokens(" ,;") == []


def test_the_commonest_words_come_first_and_ties_by_alphabet() -> None:
    texts = ["b a", "b c", "b a d d d d"]
    assert Vocabulary.build(texts).words == ("b", "a", "c", "d")  # counted once a text: d is in one only
    assert Vocabulary.build(texts, 2).words == ("b", "a")
    assert Vocabulary.build(reversed(texts)).words == Vocabulary.build(texts).words


def test_a_bag_holds_0_and_1_and_leaves_unknown_words_out() -> None:
    vocabulary = Vocabulary(("dog", "park"))
    bag = vocabulary.bag_of_words(["park PARK cat", "", "dog park"])
    assert bag.dtype == np.float32 and bag.tolist() == [[0, 1], [0, 0], [1, 1]]
    assert vocabulary.bag_of_words([]).shape == (0, 2)
    assert vocabulary.bag_of_words(("dog",)).tolist() == vocabulary.bag_of_words(np.array(["dog"])).tolist() == [[1, 0]]
    assert vocabulary.unknown("A dog, a CAT") == ["a", "a", "cat"]
    assert "dog" in vocabulary and "cat" not in vocabulary and len(vocabulary) == 2


def test_a_vocabulary_survives_a_copy() -> None:
    vocabulary = pickle.loads(pickle.dumps(Vocabulary(["dog", "park"])))
    assert vocabulary == Vocabulary(("dog", "park")) and vocabulary.bag_of_words(["park"]).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Vocabulary(()), r"words: expected at least one word, got an empty vocabulary"),
        (lambda: Vocabulary(("a", "a")), r"words: expected different words, got some twice"),
        (lambda: Vocabulary("dog"), r"words: expected a tuple of words, got one string"),
        (lambda: Vocabulary.build([]), r"texts: expected at least one word, got none \(an empty vocabulary\)"),
        (lambda: Vocabulary.build(["", " ,"]), r"texts: expected at least one word, got none"),
        (lambda: Vocabulary.build("dog cat"), r"texts: expected a list of texts, got one string"),
        (lambda: Vocabulary.build(5), r"texts: expected a list of texts, got int"),
        (lambda: Vocabulary.build(["dog", 3]), r"texts: expected strings, got int at position 1"),
        (lambda: Vocabulary.build(["dog"], 0), r"size: expected a whole number of at least 1, got 0"),
        (lambda: Vocabulary.build(["dog cat"], -1), r"size: expected a whole number of at least 1, got -1"),
        (lambda: Vocabulary.build(["dog"], 2.0), r"size: expected a whole number of at least 1, got 2.0"),
        (lambda: Vocabulary(("a",)).bag_of_words("dog"), r"texts: expected a list of texts, got one string; write \[text\]"),
        (lambda: Vocabulary(("a",)).bag_of_words(["a", None]), r"texts: expected strings, got NoneType at position 1"),
    ],
)
def test_bad_input_gets_one_clear_error(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
