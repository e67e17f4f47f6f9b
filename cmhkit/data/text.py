"""From files to lines, from texts to words, in any script, and from words to a bag of words."""

from __future__ import annotations

import difflib
import re
import string
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
# Signs that are pictures: the emoji of emoji-data.txt, and their neighbours where a whole block shows such signs. Those
# that NFKC makes letters or marks of (such as the trade mark sign) are left out, and so are the signs of print © and ®.
_SIGN = (
    "[\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u275a\u2763-\u2767\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u3030\u303d\U0001f000-\U0001f0ff\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7ff\U0001f900-\U0001faff]"
)
# One sign: with a variation selector, a skin tone, or the tags of a region's flag.
_ONE = _SIGN + "[\ufe0e\ufe0f]*[\U0001f3fb-\U0001f3ff]?[\ufe0e\ufe0f]*[\U000e0020-\U000e007f]*"
# What is seen as one: signs with joiners between, the two letters of a country's flag, a key (UTS #51, 1.4.9).
_EMOJI = re.compile(f"({_ONE}(?:\u200d{_ONE})*|[\U0001f1e6-\U0001f1ff]{{1,2}}|[0-9#*]\ufe0f?\u20e3)")
_LINE_END = re.compile("\r\n|\r|\n")
_BETWEEN_TAGS = re.compile("[,;\r\n]")


def lines(text: str) -> list[str]:
    """The lines of a text, without their ends, which are \\n, \\r\\n and \\r. `str.splitlines` cuts at more, such as
    the line separator and the vertical tab, which stand inside texts of word processors and web pages.
    """
    cut = _LINE_END.split(text)
    return cut if cut[-1] else cut[:-1]


def tokens(text: str) -> list[str]:
    """The words of a text, folded, in order. An emoji is a word.

    Folded: compatible characters are one character (NFKC: full-width Latin is Latin), letters lose their case (ß is
    ss), and what is not seen (soft hyphens, joiners, variation selectors) is dropped. A mark belongs to the letter
    before it. An emoji keeps its joiners and its skin tone, which are seen: a family is one word, a flag is one.
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
    for number, part in enumerate(_EMOJI.split(_folded(text))):  # every second part is an emoji
        words += [part] if number % 2 else _words_of_letters(part)
    return words


def _words_of_letters(text: str) -> list[str]:
    """The words of a folded text without emoji."""
    words: list[str] = []
    for run in _runs(text):
        if _without_blanks(run[0][0]):
            for place, character in enumerate(run):
                words.append(character)
                if place + 1 < len(run):
                    words.append(character + run[place + 1])
        else:
            words.append("".join(run))
    return words


def as_tag(text: str) -> str:
    """A tag, folded as `tokens` folds; blanks, and what stands between tags, are one blank."""
    return " ".join(_BETWEEN_TAGS.sub(" ", text.lower() if text.isascii() else _folded(text)).split())


def _folded(text: str) -> str:
    """Unicode's NFKC_Casefold: the same for texts that differ in case, width or in what is not seen."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    parts = _EMOJI.split(text)
    parts[::2] = ["".join(c for c in part if unicodedata.category(c) != "Cf") for part in parts[::2]]
    text = _VARIATION_SELECTORS.sub("", "".join(parts))
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


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


def _tags(text: str) -> list[str]:
    return [tag for piece in _BETWEEN_TAGS.split(text) if (tag := as_tag(piece))]


@dataclass(frozen=True)
class Vocabulary:
    """The words that a bag of words counts.

    words: in the order of the columns, all different. tags: the words are tags as `as_tag` gives them, which may hold
    blanks, and texts are lists of tags with commas, semicolons or line ends between. A text without any of these that
    is no tag itself is plain: of the tags that begin at a word, the longest counts, and other words as `tokens` cuts
    them. Errors: `InputError` for no word, or one twice.
    """

    words: tuple[str, ...]
    tags: bool = False

    def __post_init__(self) -> None:
        check(not isinstance(self.words, str), "words: expected a tuple of words, got one string")
        object.__setattr__(self, "words", tuple(self.words))
        check(len(self.words) > 0, "words: expected at least one word, got an empty vocabulary")
        check(len(set(self.words)) == len(self.words), "words: expected different words, got some twice")
        object.__setattr__(self, "_column", {word: i for i, word in enumerate(self.words)})
        object.__setattr__(self, "_longest", max(len(word.split()) for word in self.words))

    @classmethod
    def build(cls, texts: Iterable[str], size: int = 1000, *, tags: bool = False) -> Vocabulary:
        """The `size` words, or tags, that most texts hold; words in equally many texts in alphabetical order.

        Errors: `InputError` for one string in place of many, for texts without a word, and for a size below 1.
        """
        check_integer("size", size, 1)
        texts = checked_texts(texts)
        counts = Counter(word for text in texts for word in set(_tags(text) if tags else tokens(text)))
        check(counts, "texts: expected at least one word, got none (an empty vocabulary)")
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(ranked[:size]), tags)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._column  # type: ignore[attr-defined]

    def bag_of_words(self, texts: Iterable[str]) -> np.ndarray:
        """Which words each text holds, float32 0/1, shape (n, len(self)). Words outside the vocabulary are left out."""
        texts = checked_texts(texts)
        bag = np.zeros((len(texts), len(self)), dtype=np.float32)
        for row, text in enumerate(texts):
            columns = [self._column[w] for w in self.words_of(text) if w in self]  # type: ignore[attr-defined]
            bag[row, columns] = 1
        return bag

    def unknown(self, text: str) -> list[str]:
        """The words of a text that the vocabulary does not have."""
        return [word for word in self.words_of(text) if word not in self]

    def words_of(self, text: str) -> list[str]:
        """The words, or tags, of a text, in order, whether the vocabulary has them or not."""
        if not self.tags:
            return tokens(text)
        tags = _tags(text)
        if len(tags) != 1 or tags[0] in self or _BETWEEN_TAGS.search(text):
            return tags
        plain, found, start = tags[0].split(), [], 0
        while start < len(plain):
            most = min(len(plain), start + self._longest)  # type: ignore[attr-defined]
            runs = [" ".join(plain[start:stop]) for stop in range(most, start, -1)]
            tag = next((tag for run in runs for tag in (run, run.strip(string.punctuation)) if tag in self), None)
            found += tokens(plain[start]) if tag is None else [tag]
            start += 1 if tag is None else len(tag.split())
        return found

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
