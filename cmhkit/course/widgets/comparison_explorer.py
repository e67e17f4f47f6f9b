"""The comparison explorer: one query, and what each method finds, in columns, with the differences marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.codes import check_packed, hamming
from cmhkit.course.widgets.base import Parts, Result, State, Widget, card, cards, label_list, mark, picture_of, tags_of
from cmhkit.metrics import average_precision
from cmhkit.support.checks import check, check_choice, check_integer

WAYS = {"images": "a picture asks for texts", "texts": "a text asks for pictures"}
_OTHER = {"images": "texts", "texts": "images"}
_LONGEST = 60  # characters of a text in a cell


@dataclasses.dataclass(frozen=True)
class Column:
    """What one method finds. rows: of the retrieval set, nearest first, equal distances by their place in it, (k,).
    distances: (k,).

    relevant: bool (k,), or None without labels. places: where each row stands in the ranking of the method compared
    with, from 1, (k,). tied: items at the distance at which the list is cut. inside: those of them that are on the
    list.
    average_precision: over the whole ranking, expected over tie orders; None without labels, NaN without a relevant
    item.
    """

    rows: np.ndarray
    distances: np.ndarray
    relevant: np.ndarray | None
    places: np.ndarray
    tied: int
    inside: int
    average_precision: float | None


@dataclasses.dataclass(frozen=True)
class ComparisonResult(Result):
    """columns: what each method finds. common: how many of the first k each shares with the method compared with."""

    columns: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    common: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class ComparisonState(State):
    """A query, asked of every method.

    parts: the data. codes: name → {"query": {"images", "texts"}, "retrieval": {"images", "texts"}}, packed. query: row
    of the query split. way: 'images' (a picture asks for texts) or 'texts'. k: results. against: the method compared
    with, by default the first.
    """

    inputs: ClassVar[Mapping[str, str]] = {"query": "query", "way": "way", "k": "k", "against": "compare with"}

    parts: Parts
    codes: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    query: int = 0
    way: str = "images"
    k: int = 5
    against: str | None = None

    def __post_init__(self) -> None:
        check_integer("query", self.query, 0, len(self.parts["query"]) - 1)
        check_choice("way", self.way, list(WAYS))
        check_integer("k", self.k, 1, min(20, len(self.parts["retrieval"])))
        if self.against is None:
            object.__setattr__(self, "against", next(iter(self.codes)))
        check_choice("against", self.against, list(self.codes))

    def _distances(self, name: str) -> np.ndarray:
        """Of the query to the retrieval set, by one method, (m,)."""
        own = self.codes[name]
        return hamming(own["query"][self.way][self.query : self.query + 1], own["retrieval"][_OTHER[self.way]])[
            0
        ].astype(int)

    def _show(self) -> ComparisonResult:
        relevant = self._relevant()
        distances = {name: self._distances(name) for name in self.codes}
        place = np.empty(len(self.parts["retrieval"]), int)
        place[np.argsort(distances[self.against], kind="stable")] = np.arange(1, len(place) + 1)
        columns = {}
        for name, distance in distances.items():
            rows = np.argsort(distance, kind="stable")[: self.k]
            hits, score = (
                (None, None)
                if relevant is None
                else (relevant[rows], average_precision(distance, relevant, ties="expected"))
            )
            cut = distance[rows[-1]]
            tied, inside = int((distance == cut).sum()), int((distance[rows] == cut).sum())
            columns[name] = Column(rows, distance[rows], hits, place[rows], tied, inside, score)
        first = columns[self.against].rows
        common = {name: int(np.isin(column.rows, first).sum()) for name, column in columns.items()}
        return ComparisonResult(self._summary(columns, common), self._page(columns, relevant), columns, common)

    def _relevant(self) -> np.ndarray | None:
        query, database = self.parts["query"].labels, self.parts["retrieval"].labels
        return None if query is None else ((np.asarray(database) > 0) & (np.asarray(query)[self.query] > 0)).any(axis=1)

    def _summary(self, columns: Mapping[str, Column], common: Mapping[str, int]) -> str:
        what = f"Query {self.query}, {WAYS[self.way]}, the first {self.k}"
        if next(iter(columns.values())).relevant is not None:
            what += ": " + ", ".join(
                f"{name} {int(column.relevant.sum())} relevant" for name, column in columns.items()
            )
        others = ", ".join(f"{name} {shared}" for name, shared in common.items() if name != self.against)
        return what + "." + (f" In common with {self.against}: {others}." if others else "")

    def _page(self, columns: Mapping[str, Column], relevant: np.ndarray | None) -> str:
        asked, names = self.parts["query"], self.parts.names
        labels = ", ".join(label_list(asked.labels, names, self.query))
        picture = picture_of(asked, self.query, names) if self.way == "images" else ""
        lines = ["" if self.way == "images" else tags_of(asked, self.query), f"({labels})" if labels else ""]
        query = cards([card([f"query {self.query}"], picture, lines)], "the query")
        chance = (
            ""
            if relevant is None
            else f" By chance about {self.k * relevant.mean():.1f} of {self.k} would be relevant."
        )
        key = (
            f"Solid border and ✓: relevant; dashed and ✗: not. Against {self.against}: “=” the same place, “↑2” two "
            f"places higher, “↓2” two lower, “new (57)” not among its first {self.k}, in its ranking at place 57. In "
            f"its own column: how many others have the item too.{chance}"
        )
        heads = "".join(
            f"<th scope='col' style='vertical-align:top'>{self._head(name, column)}</th>"
            for name, column in columns.items()
        )
        body = ""
        for i in range(self.k):
            cells = "".join(f"<td style='vertical-align:top'>{self._cell(name, columns, i)}</td>" for name in columns)
            body += f"<tr><th scope='row'>{i + 1}</th>{cells}</tr>"
        box = 'class="cmh-scroll" tabindex="0" role="region" aria-label="rankings, a column for each method"'
        table = f"<table style='width:100%;table-layout:fixed;min-width:{58 + 112 * len(columns)}px'>"
        table += f"<tr><th scope='col' style='width:54px;overflow-wrap:normal'>place</th>{heads}</tr>{body}</table>"
        return f"{query}<p class='cmh-dim'>{escape(key)}</p><div {box}>{table}</div>"

    def _head(self, name: str, column: Column) -> str:
        score = "" if column.average_precision is None else f"<div>AP {column.average_precision:.3f}</div>"
        tie = f"{column.inside} of the {column.tied} at distance {column.distances[-1]}"  # the list ends inside a tie
        cut = f"<div class='cmh-note'>{tie}</div>" if column.inside < column.tied else ""
        return f"<div>{escape(name)}</div>{score}{cut}"

    def _cell(self, name: str, columns: Mapping[str, Column], i: int) -> str:
        column, database = columns[name], self.parts["retrieval"]
        row = int(column.rows[i])
        hit = None if column.relevant is None else bool(column.relevant[i])
        kind = "" if hit is None else " cmh-yes" if hit else " cmh-no"
        if name == self.against:
            shared = sum(row in other.rows for key, other in columns.items() if key != name)
            difference = f"others: {shared}"
        else:
            difference = moved(i + 1, int(column.places[i]), self.k)
        head = f"<div class='cmh-head'><span>{difference}</span><span>d {column.distances[i]}</span></div>"
        picture = picture_of(database, row, self.parts.names, "width:56px") if self.way == "texts" else ""
        text = tags_of(database, row)
        text = text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + " …"
        labels = ", ".join(label_list(database.labels, self.parts.names, row))
        rows = [mark(hit), labels and f"({labels})", text if self.way == "images" else ""]
        lines = "".join(
            f"<div{dim}>{escape(line)}</div>"
            for line, dim in zip(rows, ("", "", " class='cmh-dim'"), strict=True)
            if line
        )
        return f"<div class='cmh-card{kind}' style='width:auto'>{head}{picture}{lines}</div>"


def moved(place: int, there: int, k: int) -> str:
    """How a place differs from the one in another ranking: '=', '↑2', '↓1', or 'new (57)' where that is beyond k.
    Places count from 1.
    """
    if there > k:
        return f"new ({there})"
    return "=" if there == place else f"↑{there - place}" if there > place else f"↓{place - there}"


def _checked(data: Any, codes: Any) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Codes of every method, each as long as its split, and a query's as long in bits as those that are searched."""
    fits = isinstance(codes, Mapping) and len(codes) > 0
    check(
        fits,
        (
            "codes: expected a dictionary of methods with at least one, got "
            f"{type(codes).__name__ if not isinstance(codes, Mapping) else codes}"
        ),
    )
    checked: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for name, own in codes.items():
        for part in ("query", "retrieval"):
            for kind in WAYS:
                where = f"codes[{name!r}][{part!r}][{kind!r}]"
                given = own.get(part, {}).get(kind) if isinstance(own, Mapping) else None
                check(given is not None, f"{where}: expected packed codes, got nothing")
                packed = check_packed(given, where)
                check(
                    len(packed) == len(data.parts[part]),
                    f"{where}: expected {len(data.parts[part])} codes, got {len(packed)}",
                )
                checked.setdefault(str(name), {}).setdefault(part, {})[kind] = packed
        widths = {packed.shape[1] for part in checked[str(name)].values() for packed in part.values()}
        check(
            len(widths) == 1,
            f"codes[{name!r}]: expected codes of one length, got {', '.join(f'{8 * w} bits' for w in sorted(widths))}",
        )
    return checked


class ComparisonExplorer(Widget):
    """Ask one query of several methods, and compare what they find.

    data: PairedData. codes: method → {"query": {"images", "texts"}, "retrieval": {"images", "texts"}}, packed codes of
    these splits; methods may differ in bits. query: row of the query split. way: "images" (a picture asks for texts) or
    "texts". k: results, up to 20.
    against: the method that the others are compared with, by default the first. Raises `InputError` on codes that do
    not fit.
    """

    title = "Comparison explorer"

    def __init__(
        self,
        data: Any,
        codes: Mapping[str, Any],
        *,
        query: int = 0,
        way: str = "images",
        k: int = 5,
        against: str | None = None,
    ) -> None:
        super().__init__(ComparisonState(Parts(data), _checked(data, codes), query, way, k, against))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"way": way, "k": min(3, self._state.k)} for way in WAYS]

    def _controls(self) -> list[ipw.Widget]:
        state = self._state
        last, most = len(state.parts["query"]) - 1, min(20, len(state.parts["retrieval"]))
        way = self.choice("way", "way", [(words, way) for way, words in WAYS.items()])
        against = self.choice("against", "compare with", [(name, name) for name in state.codes])
        return [
            self.row(self.number("query", "query", 0, last), way),
            self.row(against, self.number("k", "results k", 1, most)),
        ]
