"""From words to a bag of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cmhkit.errors import check

_WORD = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """The words of a text, lower-case, in order."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words that a bag of words counts.

    words: in the order of the columns, all different.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        check(len(self.words) > 0, "words: expected at least one word, got an empty vocabulary")
        check(len(set(self.words)) == len(self.words), "words: expected different words, got some twice")
        object.__setattr__(self, "_column", {word: i for i, word in enumerate(self.words)})

    @classmethod
    def build(cls, texts: Iterable[str], size: int = 1000) -> Vocabulary:
        """The `size` words that most texts hold; words in equally many texts in alphabetical order."""
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
        check(not isinstance(texts, str), "texts: expected a list of texts, got one string; write [text]")
        bag = np.zeros((len(texts), len(self)), dtype=np.float32)
        for row, text in enumerate(texts):
            check(isinstance(text, str), f"texts: expected strings, got {type(text).__name__} at position {row}")
            columns = [self._column[w] for w in tokens(text) if w in self]  # type: ignore[attr-defined]
            bag[row, columns] = 1
        return bag

    def unknown(self, text: str) -> list[str]:
        """The words of a text that the vocabulary does not have."""
        return [word for word in tokens(text) if word not in self]
