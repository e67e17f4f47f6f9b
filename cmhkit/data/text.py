"""From words to a bag of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cmhkit.errors import check, whole

_WORD = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """The words of a text, lower-case, in order."""
    return _WORD.findall(text.lower())


def checked_texts(texts: Iterable[str]) -> list[str]:
    """Texts as a list of strings; one string, or anything else among them, is an `InputError`."""
    check(not isinstance(texts, str), "texts: expected a list of texts, got one string; write [text]")
    check(isinstance(texts, Iterable), f"texts: expected a list of texts, got {type(texts).__name__}")
    texts = list(texts)
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
        whole("size", size, 1)
        texts = checked_texts(texts)
        counts = Counter(word for text in texts for word in set(tokens(text)))
        check(counts, "texts: expected at least one word, got none (an empty vocabulary)")
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(ranked[:size]))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._column  # type: ignore[attr-defined]

    def bag_of_words(self, texts: Sequence[str]) -> np.ndarray:
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
