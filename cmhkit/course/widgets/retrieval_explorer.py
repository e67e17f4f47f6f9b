"""The retrieval explorer: type words or choose a picture, and see what the codes bring back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import Parts, Result, State, Widget, card, cards, label_list, mark, picture_of, tags_of
from cmhkit.support.checks import check, check_choice, check_integer


class Library:
    """The data and the hashers, with the codes of the retrieval set, each made once.

    data: PairedData. hashers: name → fitted hasher, or name → {bits: fitted hasher}. Raises `InputError` if there is
    none.
    """

    def __init__(self, data: Any, hashers: Mapping[str, Any]) -> None:
        check(
            isinstance(hashers, Mapping) and len(hashers) > 0,
            f"hashers: expected a dictionary with at least one hasher, got {hashers!r}",
        )
        self.data = data
        self.parts = Parts(data)
        self.names = self.parts.names
        self.hashers: dict[str, dict[int, Any]] = {}
        for name, entry in hashers.items():
            by_bits = dict(entry) if isinstance(entry, Mapping) else {int(entry.bits): entry}
            check(len(by_bits) > 0, f"hashers[{name!r}]: expected at least one hasher, got an empty dictionary")
            self.hashers[str(name)] = {int(bits): by_bits[bits] for bits in sorted(by_bits)}
        self._indexes: dict[tuple[str, int, str], Any] = {}
        self._queries: dict[tuple[str, int], np.ndarray] = {}
        self._concepts: np.ndarray | None = None

    def search(self, method: str, bits: int, code: np.ndarray, k: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the retrieval set and their distances, nearest first, both (k,). kind: 'images' or 'texts', what is
        searched.
        """
        from cmhkit.index import HammingIndex

        key = (method, bits, kind)
        if key not in self._indexes:
            self._indexes[key] = HammingIndex(self.hashers[method][bits].encode(**{kind: self.parts["retrieval"]}))
        hits = self._indexes[key].search(code, k)
        return np.asarray(hits.ids)[0], np.asarray(hits.distances)[0].astype(int)

    def picture_code(self, method: str, bits: int, picture: int) -> np.ndarray:
        """The packed code of a query picture, (1, bits // 8)."""
        key = (method, bits)
        if key not in self._queries:
            self._queries[key] = self.hashers[method][bits].encode(images=self.parts["query"])
        return self._queries[key][picture : picture + 1]

    def concepts(self, words: Sequence[str]) -> np.ndarray:
        """The labels that typed words stand for, bool (c,).

        For each word, the labels that retrieval texts with it have at least half as often as the label that they have
        most: 'dog' stands for one concept, 'food' for several.
        """
        labels, texts = np.asarray(self.parts["retrieval"].labels) > 0, self.parts["retrieval"].texts
        bags = self.data.vocabulary.bag_of_words(list(texts)) if self._concepts is None else self._concepts
        self._concepts = bags
        usual = np.zeros(labels.shape[1], dtype=bool)
        for word in words:
            with_word = bags @ self.data.vocabulary.bag_of_words([word])[0] > 0
            if with_word.any():
                counts = labels[with_word].sum(axis=0)
                usual |= (counts > 0) & (2 * counts >= counts.max())
        return usual


@dataclasses.dataclass(frozen=True)
class RetrievalResult(Result):
    """rows: of the retrieval set, nearest first, (k,). distances: (k,). relevant: bool (k,), or None where it is not
    known.

    unknown: typed words that the vocabulary does not have.
    """

    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    distances: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    relevant: np.ndarray | None = None
    unknown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class RetrievalState(State):
    """A query against the retrieval set.

    library: data and hashers. mode: 'words' or 'picture'. words: typed text. picture: row of the query split. method,
    bits: a hasher. k: results.
    """

    inputs: ClassVar[Mapping[str, str]] = {
        "mode": "query by",
        "words": "words",
        "picture": "picture",
        "method": "method",
        "bits": "bits",
        "k": "k",
    }

    library: Library
    mode: str = "words"
    words: str = ""
    picture: int = 0
    method: str | None = None
    bits: int | None = None
    k: int = 10

    def __post_init__(self) -> None:
        hashers, parts = self.library.hashers, self.library.parts
        check_choice("mode", self.mode, self.modes)
        check(isinstance(self.words, str), f"words: expected a string, got {type(self.words).__name__}")
        check_integer("picture", self.picture, 0, len(parts["query"]) - 1)
        check_integer("k", self.k, 1, min(50, len(parts["retrieval"])))
        if self.method is None:
            object.__setattr__(self, "method", next(iter(hashers)))
        check_choice("method", self.method, list(hashers))
        if self.bits is None:
            object.__setattr__(self, "bits", next(iter(hashers[self.method])))
        check_choice("bits", self.bits, list(hashers[self.method]))

    @property
    def modes(self) -> tuple[str, ...]:
        """'words' needs a vocabulary."""
        return ("words", "picture") if getattr(self.library.data, "vocabulary", None) is not None else ("picture",)

    def change(self, **inputs: Any) -> RetrievalState:
        """As `State.change`; a method that lacks the present number of bits gets the nearest number that it has."""
        method = inputs.get("method", self.method)
        if "bits" not in inputs and method in self.library.hashers and self.bits not in self.library.hashers[method]:
            inputs["bits"] = min(self.library.hashers[method], key=lambda b: (abs(b - self.bits), b))
        return super().change(**inputs)  # type: ignore[return-value]

    def _show(self) -> RetrievalResult:
        return self._by_words() if self.mode == "words" else self._by_picture()

    def _by_words(self) -> RetrievalResult:
        from cmhkit.data.text import tokens

        data, database, typed = self.library.data, self.library.parts["retrieval"], tokens(self.words)
        by_meaning = data.text_features == "minilm"  # then any word is known
        unknown = () if by_meaning else tuple(w for w in typed if w not in data.vocabulary)
        known = [w for w in typed if by_meaning or w in data.vocabulary]
        note = f" Not in the vocabulary: {data.vocabulary.told(unknown)}." if unknown else ""
        if not known:
            few = ", ".join(list(data.vocabulary.words)[:8])
            text = f"No known word yet, so nothing to search for.{note} Words to try: {few}."
            return RetrievalResult(text, f"<p>{'Type one or more words, for example: '}{few}.</p>", unknown=unknown)
        asked = self.words.strip() if by_meaning else " ".join(known)
        code = self.library.hashers[self.method][self.bits].encode(texts=[asked])
        rows, distances = self.library.search(self.method, self.bits, code, self.k, "images")
        relevant, wanted = None, []
        if data.labels is not None and database.texts is not None:
            concepts = self.library.concepts(known)
            wanted = [self.library.names[c] for c in np.flatnonzero(concepts)]
            if wanted:
                relevant = (np.asarray(database.labels)[:, concepts] > 0).any(axis=1)
        query = f"“{asked}”"
        means = "No label is known for these words."
        if wanted:
            means = f"Relevant: the picture has the label {' or '.join(wanted)}, usual among texts with these words."
        return self._gallery(
            rows, distances, relevant, f"Pictures for {query}", note, f"<p class='cmh-dim'>{means}</p>", True, unknown
        )

    def _by_picture(self) -> RetrievalResult:
        asked, database, names = self.library.parts["query"], self.library.parts["retrieval"], self.library.names
        code = self.library.picture_code(self.method, self.bits, self.picture)
        rows, distances = self.library.search(self.method, self.bits, code, self.k, "texts")
        relevant, labels = None, label_list(asked.labels, names, self.picture)
        if asked.labels is not None:
            relevant = ((np.asarray(database.labels) > 0) & (np.asarray(asked.labels)[self.picture] > 0)).any(axis=1)
        lines = [f"Labels: {', '.join(labels)}"] if labels else []
        query = cards([card([f"query {self.picture}"], picture_of(asked, self.picture, names), lines)], "the query")
        page = f"<h4>Query picture</h4>{query}<h4>Texts found, nearest first</h4>"
        return self._gallery(rows, distances, relevant, f"Texts for picture {self.picture}", "", page, False)

    def _gallery(
        self,
        rows: np.ndarray,
        distances: np.ndarray,
        relevant: np.ndarray | None,
        what: str,
        note: str,
        page: str,
        pictures: bool,
        unknown: tuple = (),
    ) -> RetrievalResult:
        database = self.library.parts["retrieval"]
        names, hits = self.library.names, None if relevant is None else relevant[rows]
        items = []
        for rank, (row, distance) in enumerate(zip(rows, distances, strict=True)):
            hit = None if hits is None else bool(hits[rank])
            labels = ", ".join(label_list(database.labels, names, row))
            lines = [mark(hit), tags_of(database, row), f"({labels})" if labels else ""]
            items.append(
                card(
                    [f"{rank + 1}.", f"distance {distance}"],
                    picture_of(database, row, names) if pictures else "",
                    lines,
                    hit,
                )
            )
        spread = f"distance {distances[0]}" if len(distances) else "nothing found"
        if len(distances) and distances[-1] > distances[0]:
            spread += f" to {distances[-1]}"
        share = ""
        if hits is not None:
            share = f"{int(hits.sum())} of {len(rows)} relevant (by chance about {len(rows) * relevant.mean():.1f}), "
        summary = f"{what}, {self.method}, {self.bits} bits: {share}{spread}.{note}"
        return RetrievalResult(summary, page + cards(items, "results, nearest first"), rows, distances, hits, unknown)


class RetrievalExplorer(Widget):
    """Type words or choose a picture; see the nearest pictures or texts by Hamming distance.

    data: PairedData. hashers: {"CCA": hasher, "UGACH": {16: hasher, 32: hasher}}, all fitted. k: results, 1 to 50.
    words, picture: the first query, typed words (the default, the first word of the vocabulary) or a row of the query
    split. method, bits: the first hasher shown, by default the first given. A result is relevant if it shares a label
    with the query; a typed word has the labels of `Library.concepts`, those usual among the retrieval texts with the
    word.
    Raises `InputError` on an unknown method or number of bits, or a row outside the query split.
    """

    title = "Retrieval explorer"

    def __init__(
        self,
        data: Any,
        hashers: Mapping[str, Any],
        k: int = 10,
        *,
        words: str = "",
        picture: int | None = None,
        method: str | None = None,
        bits: int | None = None,
    ) -> None:
        library = Library(data, hashers)
        if getattr(data, "vocabulary", None) is None:
            mode = "picture"
        else:
            mode = "words" if picture is None else "picture"
            words = words or str(data.vocabulary.words[0])
        super().__init__(RetrievalState(library, mode, words, picture or 0, method, bits, k))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"method": method, "bits": bits}
            for method, by_bits in self._state.library.hashers.items()
            for bits in list(by_bits)[-1:]
        ]

    def _controls(self) -> list[ipw.Widget]:
        state, parts = self._state, self._state.library.parts
        words = {"words": "typed words", "picture": "a picture"}
        mode = self.choice("mode", "query by", [(words[m], m) for m in state.modes])
        box = ipw.Text(
            description="words",
            placeholder="then press Enter",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        box.layout = ipw.Layout(width="260px", margin="2px 16px 2px 0")
        self.bind(box, "words")
        picture = self.number("picture", "picture", 0, len(parts["query"]) - 1)

        def show(now: State) -> None:
            box.layout.display = None if now.mode == "words" else "none"
            picture.layout.display = None if now.mode == "picture" else "none"

        self._bound.append(show)
        method = self.choice("method", "method", [(name, name) for name in state.library.hashers])
        bits = ipw.Dropdown(
            description="bits",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto", margin="2px 16px 2px 0"),
        )

        def offer(now: State) -> None:
            options = tuple((str(b), b) for b in now.library.hashers[now.method])
            if bits.options != options:
                bits.options = options

        self._bound.append(offer)
        self.bind(bits, "bits", read=lambda v: self._state.bits if v is None else v)
        return [
            self.row(mode, box, picture),
            self.row(method, bits, self.number("k", "results k", 1, min(50, len(parts["retrieval"])))),
        ]
