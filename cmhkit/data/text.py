"""From texts to words, in any script, and from words to a bag of words."""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmhkit.support.checks import as_array, check, check_integer

_WORD = re.compile(r"\w+")
# First and last code point of the scripts that are written without blanks between words, in order (Unicode's
# Blocks.txt).
_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # radicals of Han
    (0x3005, 0x3007),  # Han: the sign that repeats a character, and zero
    (0x3021, 0x3029),  # Han: Suzhou numerals
    (0x3031, 0x3035),  # kana: signs that repeat
    (0x3038, 0x303C),  # Han: numerals and signs
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana for Ainu
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar, extended
    (0xAA60, 0xAADF),  # Myanmar, extended; Tai Viet
    (0xF900, 0xFAFF),  # Han for compatibility
    (0x1AFF0, 0x1B16F),  # kana, extended
    (0x20000, 0x3FFFF),  # Han, extensions B and later
)
_STARTS = [first for first, _ in _WITHOUT_BLANKS]
# Endings of English words, and what stands in their place in another form of the word.
_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"), ("er", ""))
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def tokens(text: str) -> list[str]:
    """The words of a text, folded, in order.

    Folded: compatible characters are one character (NFKC: full-width Latin is Latin), letters lose their case (ß is
    ss), and what is not seen (soft hyphens, joiners, variation selectors) is dropped. A mark belongs to the letter
    before it.
    Scripts with blanks: the words are the runs of letters, digits and underscores. Scripts without (Han, Hiragana,
    Katakana, Thai, Lao, Khmer, Myanmar): every character and every two neighbours, in the order in which they begin.
    Neighbours tell words of two characters, the most common length in Chinese, without a dictionary; single characters
    serve one-character words and words that no training text had. Source: the Unicode Standard, section 3.13,
    NFKC_Casefold; Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, 2.5 (neighbouring
    characters as the usual index for Chinese).
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    words: list[str] = []
    for run in _runs(_folded(text)):
        if _without_blanks(run[0][0]):
            for place, character in enumerate(run):
                words.append(character)
                if place + 1 < len(run):
                    words.append(character + run[place + 1])
        else:
            words.append("".join(run))
    return words


def _folded(text: str) -> str:
    """Unicode's NFKC_Casefold: the same for texts that differ in case, width or in what is not seen."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _VARIATION_SELECTORS.sub("", text)).casefold())


def _runs(text: str) -> list[list[str]]:
    """Neighbouring characters of words, each with its marks; a run is all in scripts with blanks, or all in scripts
    without.
    """
    runs: list[list[str]] = []
    inside = False
    for c in text:
        if inside and unicodedata.category(c)[0] == "M":
            runs[-1][-1] += c
        elif c.isalnum() or c == "_":
            if not inside or _without_blanks(runs[-1][-1][0]) != _without_blanks(c):
                runs.append([])
            runs[-1].append(c)
            inside = True
        else:
            inside = False
    return runs


def _without_blanks(character: str) -> bool:
    """True for a character of a script without blanks between words, in which digits alone are written as words."""
    place = bisect_right(_STARTS, ord(character)) - 1
    return place >= 0 and ord(character) <= _WITHOUT_BLANKS[place][1] and not character.isdecimal()


def in_order(texts: Any) -> list[Any] | np.ndarray:
    """What was given for texts, gone through once: numbers as an array, anything else as a list.

    texts: anything with an order, such as a list, a generator, a column of a table or an array. Errors: `InputError`
    for one string, for what has no order (a set, a dictionary), and for an array of strings with several axes.
    """
    if hasattr(texts, "__array__"):
        array = as_array(texts, "texts")
        if array.dtype.kind not in "OSTU":
            return array
        check(array.ndim < 2, f"texts: expected one text a row, got an array of shape {array.shape}")
        texts = array.tolist()
    check(not isinstance(texts, str), "texts: expected a list of texts, got one string; write [text]")
    ordered = isinstance(texts, Iterable) and not isinstance(texts, (bytes, set, frozenset, Mapping))
    check(ordered, f"texts: expected a list of texts, got {type(texts).__name__}")
    return list(texts)


def _alike(word: str, words: Iterable[str]) -> list[str]:
    """Up to three of some words that have more than half of their letters in common with one, in the same order."""
    return difflib.get_close_matches(word, words, n=3, cutoff=0.5)


def _forms(word: str) -> set[str]:
    """A word, and what is left of it without an ending: "running" is "runn" and "run" too."""
    forms = {word}
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending)
        if len(word) > len(stem) >= 3:
            forms |= {stem + instead, stem[:-1] if stem[-1] == stem[-2] else stem}
    return forms


def checked_texts(texts: Iterable[str]) -> list[str]:
    """Texts as a list of strings; one string, or anything else among them, is an `InputError`."""
    texts = list(in_order(texts))
    for row, text in enumerate(texts):
        check(isinstance(text, str), f"texts: expected strings, got {type(text).__name__} at position {row}")
    return texts


@dataclass(frozen=True)
class Vocabulary:
    """The words that a bag of words counts.

    words: in the order of the columns, all different. Errors: `InputError` for none, or one twice.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        check(not isinstance(self.words, str), "words: expected a tuple of words, got one string")
        object.__setattr__(self, "words", tuple(self.words))
        check(len(self.words) > 0, "words: expected at least one word, got an empty vocabulary")
        check(len(set(self.words)) == len(self.words), "words: expected different words, got some twice")
        object.__setattr__(self, "_column", {word: i for i, word in enumerate(self.words)})

    @classmethod
    def build(cls, texts: Iterable[str], size: int = 1000) -> Vocabulary:
        """The `size` words that most texts hold; words in equally many texts in alphabetical order.

        Errors: `InputError` for one string in place of many, for texts without a word, and for a size below 1.
        """
        check_integer("size", size, 1)
        texts = checked_texts(texts)
        counts = Counter(word for text in texts for word in set(tokens(text)))
        check(counts, "texts: expected at least one word, got none (an empty vocabulary)")
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(ranked[:size]))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._column  # type: ignore[attr-defined]

    def bag_of_words(self, texts: Iterable[str]) -> np.ndarray:
        """Which words each text holds, float32 0/1, shape (n, len(self)). Words outside the vocabulary are left out."""
        texts = checked_texts(texts)
        bag = np.zeros((len(texts), len(self)), dtype=np.float32)
        for row, text in enumerate(texts):
            columns = [self._column[w] for w in tokens(text) if w in self]  # type: ignore[attr-defined]
            bag[row, columns] = 1
        return bag

    def unknown(self, text: str) -> list[str]:
        """The words of a text that the vocabulary does not have."""
        return [word for word in tokens(text) if word not in self]

    def nearest(self, word: str) -> str | None:
        """The word that one may stand for which is not known: another form of it, as English forms them ("puppies",
        "puppy"); the same letters in another order; or nearly the same letters. None where there is none.
        """
        forms = _forms(word)
        same = (other for other in self.words if forms & _forms(other))
        swapped = (other for other in self.words if sorted(other) == sorted(word))
        near = difflib.get_close_matches(word, self.words, n=1, cutoff=0.75)
        return next(same, next(swapped, near[0] if near else None))

    def offers(self, words: Iterable[str], most: int = 8) -> list[str]:
        """Known words that could stand for unknown ones: the nearest, those with letters in common, the most alike
        first; where there are none, the words that most training texts hold.
        """
        near = [other for word in words for other in (self.nearest(word), *_alike(word, self.words)) if other]
        return list(dict.fromkeys(near or self.words))[:most]

    def told(self, words: Iterable[str]) -> str:
        """Unknown words as a message lists them, each with its nearest where it has one."""
        return ", ".join(word + (f" (nearest: {near})" if (near := self.nearest(word)) else "") for word in words)
