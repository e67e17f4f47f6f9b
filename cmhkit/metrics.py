r"""Ranking metrics for Hamming search, from histograms of distance: no sort, and no luck with ties.

A code of K bits has only K + 1 distances, so a ranking is a few groups of items that tie. For each query we count, at
every distance, the items and the relevant items. Every metric here follows from these counts, because the expectation
over the orders of a tie group has a closed form (McSherry and Najork, ECIR 2008; with histograms: He et al., "Hashing
as Tie-Aware Learning to Rank", CVPR 2018).

A group of n items, r of them relevant, behind s items with R relevant ones, adds to the sum of precisions at hits, over
its first t places,

$$\frac rn \Big[(R+1)\,\Delta + \frac{r-1}{n-1}\,\big(t - (s+1)\,\Delta\big)\Big], \qquad \Delta = H_{s+t} - H_s,$$

with $H$ the harmonic numbers: place s + i holds a relevant item with probability r / n, and before it
(i - 1)(r - 1)/(n - 1) relevant ones of the group.

`ties` says how equal distances are ordered:
- "expected": the mean over all orders (default). Does not depend on the order of the database.
- "optimistic", "pessimistic": relevant items first, or last, in each group. They bound "expected" for whole rankings,
  precision@N, NDCG, recall, and MAP@R with divisor "relevant". They do not bound MAP@R with divisor "hits": there a
  late hit can lower the score.
- "stable": by place in the database, as a stable sort does. A database sorted by class then gets a wrong score.

`divisor` says what the sum of precisions at hits within the first R is divided by:
- "hits": the hits among the first R. Expected: the mean of the ratio, over the hits that the group cut by R may have.
- "relevant": min(R, relevant items in the database).
- "hits_capped": no MAP@R at all, but found in published code: the mean precision at the first min(R, relevant) hits,
  wherever they stand; R caps the hits counted, not the places looked at.

`empty` says what becomes of a query without any relevant item: "skip" (left out of every mean), "zero" (0 in every
mean), "nan" (every mean becomes NaN), "error". They are counted in `Metrics.empty_queries`. Relevant: shares at least
one label, or as `relevant` says.

Of codes that are torch tensors the counts are made on their device (`nn.histograms`); the result is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.codes import check_packed, check_same_bits, distance_tile, to_words
from cmhkit.graphs import check_labels, check_same_labels, label_words
from cmhkit.support.blocks import slices
from cmhkit.support.checks import check, check_choice, check_integer

if TYPE_CHECKING:
    from cmhkit.nn.histograms import TensorPairs

#: A number for each radius, place or query.
Curve = NDArray[np.float64]
TIES = ("expected", "optimistic", "pessimistic", "stable")
DIVISORS = ("hits", "relevant", "hits_capped")
EMPTY = ("skip", "zero", "nan", "error")
GRADES = ("binary", "shared")

_CHUNK_QUERIES = 64
_TILE_QUERIES = 16
_TILE_ITEMS = 8192


@dataclass(frozen=True, eq=False)
class Metrics:
    """What a ranking is worth; every number is a mean over the queries counted.

    bits, queries, database: K, n, m. empty_queries: queries without any relevant item; `empty` says what became of
    them.
    map: mean average precision over the whole ranking. map_at_r: MAP@R by `divisor`, None where `r` is.
    precision_by_radius, recall_by_radius: shape (K + 1,), of the items within Hamming distance 0, 1, ..., K; precision
    0 where there are none. precision_by_rank, recall_by_rank: shape (m,), of the first 1, 2, ..., m items.
    precision_at: {N: precision of the first N}; places beyond the database's end count as misses.
    ndcg: over the whole ranking, by `grades`. ndcg_at_r: of the first R, None where `r` is.
    average_precision: shape (n,), of each query, over the whole ranking; NaN for an empty query.
    """

    map: float
    map_at_r: float | None
    precision_by_radius: Curve
    recall_by_radius: Curve
    precision_by_rank: Curve
    recall_by_rank: Curve
    precision_at: dict[int, float]
    ndcg: float
    ndcg_at_r: float | None
    queries: int
    empty_queries: int
    average_precision: Curve
    bits: int
    database: int
    ties: str
    r: int | None
    divisor: str
    empty: str
    grades: str

    @property
    def name_at_r(self) -> str:
        """What `map_at_r` is called: MAP@R, but for the divisor "hits_capped", whose mean is over the first hits."""
        return (
            f"mean precision at the first hits, at most {self.r}" if self.divisor == "hits_capped" else f"MAP@{self.r}"
        )

    def __repr__(self) -> str:
        cut = "" if self.r is None else f", map_at_r={self.map_at_r:.4f} (r={self.r}, divisor={self.divisor!r})"
        counts = f"queries={self.queries}, empty_queries={self.empty_queries}"
        return f"Metrics(map={self.map:.4f}{cut}, ties={self.ties!r}, {counts})"


def evaluate(
    query: ArrayLike,
    database: ArrayLike,
    query_labels: ArrayLike | None = None,
    database_labels: ArrayLike | None = None,
    *,
    relevant: ArrayLike | None = None,
    ties: str = "expected",
    r: int | None = None,
    divisor: str = "hits",
    empty: str = "skip",
    precision_at: Sequence[int] = (10, 100),
    grades: str = "binary",
) -> Metrics:
    r"""Rank the database for every query by Hamming distance, and score the rankings.

    query: packed, shape (n, K // 8). database: packed, shape (m, K // 8). Both arrays, or both uint8 tensors of one
    device, which then does the work. query_labels: 0/1, shape (n, c). database_labels: 0/1, shape (m, c). Or, in place
    of both, relevant: bool, shape (n, m).
    ties, divisor, empty: see the module. r: the R of MAP@R and NDCG@R, or None for neither; beyond m it is the whole
    ranking. precision_at: the N of precision@N. grades: the gain of NDCG, $2^g - 1$, discounted by log2(1 + place),
    with g = 1 for a relevant item ("binary") or the number of labels shared ("shared"; Zhao et al., CVPR 2015).
    Works through tiles of queries and items: memory over the input is a few m · 8 bytes, whatever n is.
    Raises InputError for codes, labels, shapes or options of another kind, and for an empty query under empty="error".
    Source: McSherry and Najork, ECIR 2008; Järvelin and Kekäläinen, TOIS 2002, for NDCG.
    """
    _check_rules(ties, divisor, r)
    check_choice("empty", empty, EMPTY)
    check_choice("grades", grades, GRADES)
    given = isinstance(precision_at, Sequence)
    check(given, f"precision_at: expected a sequence of whole numbers, got {precision_at!r}")
    for n in precision_at:
        check_integer("precision_at", n, 1)
    pairs = _pairs(query, database, query_labels, database_labels, relevant, grades)
    sums = _Sums(pairs, r, divisor)
    for rows in slices(pairs.queries, pairs.chunk):
        counts = pairs.histogram(rows)
        sums.add_radius(counts)
        if ties != "stable":
            sums.add_ranking(rows, _Groups(_order_ties(counts, ties)))
            continue
        for row in range(rows.start, rows.stop):
            sums.add_ranking(slice(row, row + 1), _Groups(_runs(pairs.stable_grades(row), pairs.grades)))
    return sums.metrics(ties, empty, precision_at, grades)


def average_precision(
    distance: ArrayLike, relevant: ArrayLike, *, ties: str = "expected", r: int | None = None, divisor: str = "hits"
) -> float:
    """Average precision of one query, from its distances; AP@R where `r` is given.

    distance: real numbers, shape (m,), smaller is nearer; equal ones tie. relevant: bool or 0/1, shape (m,). ties,
    divisor: see the module. Returns a value in [0, 1]; NaN if nothing is relevant; 0 if no relevant item stands in the
    first R. Raises InputError for NaN, shapes that differ or unknown options. Source: McSherry and Najork, ECIR 2008.
    """
    _check_rules(ties, divisor, r)
    distance, relevant = np.asarray(distance), np.asarray(relevant)
    check(distance.ndim == 1 and len(distance) > 0, f"distance: expected shape (items,), got {distance.shape}")
    check(distance.dtype.kind in "iuf" and not np.isnan(distance).any(), "distance: expected real numbers without NaN")
    same = relevant.shape == distance.shape
    check(same, f"relevant: expected the shape of distance {distance.shape}, got {relevant.shape}")
    hit = check_labels(relevant[None], "relevant")[0].astype(np.int64)
    if ties == "stable":
        counts = _runs(hit[np.argsort(distance, kind="stable")], 2)
    else:
        values, group = np.unique(distance, return_inverse=True)
        counts = np.bincount(2 * group + hit, minlength=2 * len(values)).reshape(1, -1, 2)
    groups = _Groups(_order_ties(counts, ties))
    return float(groups.average_precision(_Tables(len(distance)), r, divisor)[0])


def _check_rules(ties: str, divisor: str, r: int | None) -> None:
    check_choice("ties", ties, TIES)
    check_choice("divisor", divisor, DIVISORS)
    if r is not None:
        check_integer("r", r, 1)


# One number or curve of `evaluate`, a mean over the queries. Arguments, errors and sources: see there.


def mean_average_precision(query: ArrayLike, database: ArrayLike, *labels: ArrayLike, **options: Any) -> float:
    """MAP over the whole ranking, or MAP@R where `r` is given."""
    scores = evaluate(query, database, *labels, **options)
    return scores.map if scores.map_at_r is None else scores.map_at_r


def precision_recall_by_radius(
    query: ArrayLike, database: ArrayLike, *labels: ArrayLike, **options: Any
) -> tuple[Curve, Curve]:
    """Precision and recall of the items within Hamming distance 0, 1, ..., K: two arrays (K + 1,). No tie matters here.
    A query with no item within a radius has precision 0 there, as in hash lookup.
    """
    scores = evaluate(query, database, *labels, **options)
    return scores.precision_by_radius, scores.recall_by_radius


def precision_recall_by_rank(
    query: ArrayLike, database: ArrayLike, *labels: ArrayLike, **options: Any
) -> tuple[Curve, Curve]:
    """Precision and recall of the first 1, 2, ..., m items: two arrays (m,)."""
    scores = evaluate(query, database, *labels, **options)
    return scores.precision_by_rank, scores.recall_by_rank


def precision_at(query: ArrayLike, database: ArrayLike, *labels: ArrayLike, n: int = 100, **options: Any) -> float:
    """Precision of the first n items; places beyond the database's end count as misses."""
    return evaluate(query, database, *labels, precision_at=(n,), **options).precision_at[n]


def ndcg(query: ArrayLike, database: ArrayLike, *labels: ArrayLike, **options: Any) -> float:
    """NDCG over the whole ranking, or of the first R where `r` is given."""
    scores = evaluate(query, database, *labels, **options)
    return scores.ndcg if scores.ndcg_at_r is None else scores.ndcg_at_r


@dataclass(frozen=True)
class _Pairs:
    """Queries and database as machine words. A pair's grade: 0 for irrelevant, else 1 or how many labels are shared."""

    bits: int
    query_words: NDArray
    database_words: NDArray
    query_label_words: NDArray | None
    database_label_words: NDArray | None
    relevant: NDArray[np.bool_] | None
    grades: int

    @property
    def queries(self) -> int:
        return self.query_words.shape[1]

    @property
    def items(self) -> int:
        return self.database_words.shape[1]

    @property
    def chunk(self) -> int:
        return _CHUNK_QUERIES

    def grade(self, rows: slice, columns: slice) -> NDArray:
        """Grades (rows, columns), a small unsigned type or bool."""
        if self.relevant is not None:
            return self.relevant[rows, columns]
        words = zip(self.query_label_words[:, rows], self.database_label_words[:, columns], strict=True)
        shared = [word_q[:, None] & word_d for word_q, word_d in words]
        if self.grades == 2:
            return np.logical_or.reduce([word != 0 for word in shared]) if len(shared) > 1 else shared[0] != 0
        return np.add.reduce([np.bitwise_count(word) for word in shared], dtype=np.uint16)

    def distance(self, rows: slice, columns: slice) -> NDArray:
        return distance_tile(self.query_words[:, rows], self.database_words[:, columns])

    def histogram(self, rows: slice) -> NDArray[np.int64]:
        """Number of items by query, distance and grade: (rows, K + 1, grades)."""
        starts = range(rows.start, rows.stop, _TILE_QUERIES)
        return np.concatenate([self._histogram_tile(slice(i, min(i + _TILE_QUERIES, rows.stop))) for i in starts])

    def _histogram_tile(self, rows: slice) -> NDArray[np.int64]:
        queries, bins = rows.stop - rows.start, (self.bits + 1) * self.grades
        kind = np.min_scalar_type(queries * bins)
        first = (np.arange(queries) * bins).astype(kind)[:, None]
        total = np.zeros(queries * bins, dtype=np.int64)
        for columns in slices(self.items, _TILE_ITEMS):
            cell = np.multiply(self.distance(rows, columns), self.grades, dtype=kind)
            np.add(cell, self.grade(rows, columns), out=cell, casting="unsafe")
            cell += first
            total += np.bincount(cell.ravel(), minlength=len(total))
        return total.reshape(queries, self.bits + 1, self.grades)

    def stable_grades(self, row: int) -> NDArray:
        """The grades of one query's ranking, equal distances by place in the database."""
        only, every = slice(row, row + 1), slice(0, self.items)
        return self.grade(only, every)[0][np.argsort(self.distance(only, every)[0], kind="stable")]


def _pairs(
    query: Any, database: Any, query_labels: Any, database_labels: Any, relevant: Any, grades: str
) -> _Pairs | TensorPairs:
    """Check what `evaluate` was given. Codes and labels come to NumPy, a few bytes an item; what is (n, m) stays."""
    device, other = (x.device if _is_tensor(x) else None for x in (query, database))
    kinds = " and ".join(str(kind or "an array") for kind in (device, other))
    same = device == other
    check(same, f"query, database: expected both as arrays, or both as tensors of one device, got {kinds}")
    query, database = check_packed(_array(query), "query"), check_packed(_array(database), "database")
    check_same_bits(query, database, "query", "database")
    shape = len(query), len(database)
    check(min(shape) > 0, f"query, database: expected at least one code each, got {shape[0]} and {shape[1]}")
    labels, most = None, 1
    if relevant is None:
        labels = _label_pair(query_labels, database_labels, shape)
        if grades == "shared":
            most = max(1, min(int(x.sum(axis=1).max()) for x in labels))
        check(most <= 1000, f"grades: 'shared' works up to 1000 labels an item (its gain is 2^shared - 1), got {most}")
    else:
        only = query_labels is None and database_labels is None
        check(only, "relevant: expected either relevant or the two label matrices, got both")
        check(grades == "binary", "grades: 'shared' needs query_labels and database_labels, got relevant")
        on_device = device is not None and _is_tensor(relevant) and relevant.dtype == sys.modules["torch"].bool
        relevant = relevant if on_device else check_labels(_array(relevant), "relevant")
        fits = tuple(relevant.shape) == shape
        check(fits, f"relevant: expected shape {shape} (queries, items), got {tuple(relevant.shape)}")
    if device is not None:
        from cmhkit.nn.histograms import tensor_pairs

        return tensor_pairs(device, query, database, labels, relevant, most + 1)
    words = (None, None) if labels is None else (label_words(labels[0]), label_words(labels[1]))
    return _Pairs(8 * query.shape[1], to_words(query), to_words(database), *words, relevant, most + 1)


def _label_pair(query_labels: Any, database_labels: Any, shape: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """The two label matrices, bool."""
    given = query_labels is not None and database_labels is not None
    check(given, "query_labels, database_labels: expected both (or relevant in place of them), got None")
    a, b = check_labels(_array(query_labels), "query_labels"), check_labels(_array(database_labels), "database_labels")
    check(len(a) == shape[0], f"query_labels: expected one row for each of the {shape[0]} queries, got {len(a)}")
    check(len(b) == shape[1], f"database_labels: expected one row for each of the {shape[1]} items, got {len(b)}")
    check_same_labels(a, b, "query_labels", "database_labels")
    return a, b


def _is_tensor(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def _array(x: Any) -> Any:
    """A tensor of any device as a NumPy array; anything else as it is."""
    return x.detach().cpu().numpy() if _is_tensor(x) else x


def _runs(ranked: NDArray, grades: int) -> NDArray[np.int64]:
    """A ranking without ties as counts (1, g, grades): each run of equal grades is a group, whatever its order."""
    start = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1])
    counts = np.zeros((1, len(start), grades), dtype=np.int64)
    counts[0, np.arange(len(start)), ranked[start].astype(np.int64)] = np.diff(start, append=len(ranked))
    return counts


def _order_ties(counts: NDArray[np.int64], ties: str) -> NDArray[np.int64]:
    """Counts (n, g, grades) as they are, or each group split into one group a grade: best first, or worst first."""
    if ties not in ("optimistic", "pessimistic"):
        return counts
    queries, groups, grades = counts.shape
    split = counts[..., None] * np.eye(grades, dtype=np.int64)
    if ties == "optimistic":
        split = split[:, :, ::-1]
    return split.reshape(queries, groups * grades, grades)


class _Tables:
    """Sums over places 1 to p, for p = 0 to m: harmonic numbers, and the discounts of DCG."""

    def __init__(self, items: int) -> None:
        place = np.arange(1, items + 1, dtype=np.longdouble)
        self.harmonic = np.concatenate([[0], np.cumsum(1 / place)]).astype(np.float64)
        self.discount = np.concatenate([[0], np.cumsum(1 / np.log2(1 + place.astype(np.float64)))])


class _Groups:
    """Tie groups of some queries, nearest first. counts: items by query, group and grade, (n, g, grades).

    In the formulas of the module: size n, hits r, before s, hits_before R. All (n, g); empty groups do no harm. share:
    the chance that a place of the group holds a hit. relevant: relevant items of each query, (n,).
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts, self.size = counts, counts.sum(axis=2)
        self.hits = self.size - counts[:, :, 0]
        self.before = np.cumsum(self.size, axis=1) - self.size
        self.hits_before = np.cumsum(self.hits, axis=1) - self.hits
        self.share = self.hits / np.maximum(self.size, 1)
        self.relevant = self.hits.sum(axis=1)

    def average_precision(self, tables: _Tables, r: int | None = None, divisor: str = "") -> NDArray[np.float64]:
        """Expected AP, or AP@R, of each query, (n,); NaN where nothing is relevant."""
        if r is None:
            value = _ratio(self._precision_sum(self.size, tables).sum(axis=1), self.relevant)
        elif divisor == "relevant":
            value = _ratio(self._precision_sum(self._taken(r), tables).sum(axis=1), np.minimum(r, self.relevant))
        elif divisor == "hits":
            value = self._over_hits(r, tables)
        else:
            value = self._over_first_hits(r, tables)
        return np.where(self.relevant > 0, np.clip(value, 0, 1), np.nan)

    def ndcg(self, tables: _Tables, r: int | None = None) -> NDArray[np.float64]:
        """Expected NDCG, or NDCG@R, of each query, (n,); NaN where nothing is relevant."""
        gain = 2.0 ** np.arange(self.counts.shape[2]) - 1
        taken = self.size if r is None else self._taken(r)
        discount = tables.discount[self.before + taken] - tables.discount[self.before]
        total = (self.counts @ gain / np.maximum(self.size, 1) * discount).sum(axis=1)
        ends = np.cumsum(self.counts.sum(axis=1)[:, :0:-1], axis=1)
        ends = ends if r is None else np.minimum(ends, r)
        ideal = np.diff(tables.discount[ends], axis=1, prepend=0.0) @ gain[:0:-1]
        return np.where(self.relevant > 0, np.clip(_ratio(total, ideal), 0, 1), np.nan)

    def _taken(self, r: int) -> NDArray[np.int64]:
        """Places of each group within the first r."""
        return np.clip(r - self.before, 0, self.size)

    def _precision_sum(self, taken: NDArray, tables: _Tables) -> NDArray[np.float64]:
        """Expected sum of the precisions at hits over the first `taken` places of each group, as the module has it."""
        span = tables.harmonic[self.before + taken] - tables.harmonic[self.before]
        pair = (self.hits - 1) / np.maximum(self.size - 1, 1)
        return self.share * ((self.hits_before + 1) * span + pair * (taken - (self.before + 1) * span))

    def _over_hits(self, r: int, tables: _Tables) -> NDArray[np.float64]:
        taken = self._taken(r)
        parts = self._precision_sum(taken, tables)
        value = _ratio(parts.sum(axis=1), (self.share * taken).sum(axis=1))
        uncertain = (taken > 0) & (taken < self.size) & (self.hits > 0) & (self.hits < self.size)
        for row, group in np.argwhere(uncertain):
            s, n, hits, t = (int(of[row, group]) for of in (self.before, self.size, self.hits, taken))
            earlier = parts[row, :group].sum()
            value[row] = _expected_ratio(earlier, s, int(self.hits_before[row, group]), n, hits, t, tables.harmonic)
        return value

    def _over_first_hits(self, r: int, tables: _Tables) -> NDArray[np.float64]:
        wanted = np.clip(r - self.hits_before, 0, self.hits)
        parts = self._precision_sum(np.where(wanted < self.hits, wanted, self.size), tables)
        uncertain = (wanted > 0) & (wanted < self.hits) & (self.hits < self.size)
        for row, group in np.argwhere(uncertain):
            s, n, hits, first = (int(of[row, group]) for of in (self.before, self.size, self.hits, wanted))
            parts[row, group] = _first_hits_sum(s, int(self.hits_before[row, group]), n, hits, first)
        return _ratio(parts.sum(axis=1), np.minimum(r, self.relevant))


def _ratio(above: NDArray, below: NDArray) -> NDArray[np.float64]:
    """above / below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _expected_ratio(earlier: float, s: int, hits_before: int, n: int, hits: int, t: int, harmonic: NDArray) -> float:
    """E[(sum of precisions at hits within R) / (hits within R)], where R takes t of the n items of a group with some
    hits.

    X, the hits among the t, is hypergeometric. Given X = x they are spread evenly over the t places, so the sum is
    `earlier`, of the groups before, plus the formula of the module for a group of t items with x hits; then the ratio
    is averaged over x (0 without a hit).
    """
    x, chance = _hypergeometric(n, hits, t)
    span = harmonic[s + t] - harmonic[s]
    pair = (x - 1) / max(t - 1, 1)
    total = earlier + x / t * ((hits_before + 1) * span + pair * (t - (s + 1) * span))
    return float(chance @ _ratio(total, hits_before + x))


def _hypergeometric(n: int, hits: int, t: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Values and chances of the hits among t items drawn from n.

    Left out are values farther than 5 sqrt(t) from the mean: together their chance is below 1e-21 (Hoeffding).
    """
    mean, reach = t * hits / n, 5 * t**0.5 + 1
    low, high = max(0, t - (n - hits), int(mean - reach)), min(hits, t, int(mean + reach) + 1)
    x = np.arange(low, high + 1)
    below = x[:-1].astype(np.float64)
    step = np.log((hits - below) * (t - below) / ((below + 1) * (n - hits - t + below + 1)))
    return x, _normalised(step)


def _normalised(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances from the logarithms of the ratios of each to the one before."""
    logarithm = np.concatenate([[0.0], np.cumsum(steps)])
    chance = np.exp(logarithm - logarithm.max())
    return chance / chance.sum()


def _first_hits_sum(s: int, hits_before: int, n: int, hits: int, first: int) -> float:
    """Expected sum of the precisions at the first `first` of the hits of a group of n items, first < hits.

    Place s + i holds a hit with chance hits / n; Y of the other hits stand before it in the group, hypergeometric:
    i - 1 drawn from n - 1. It counts if Y < first, and adds (hits_before + 1 + Y) / (s + i).
    E[Y; Y < first] = (i - 1)(hits - 1)/(n - 1) · P(one drawn less has Y < first - 1).
    """
    drawn = np.arange(n)
    counted = _at_most(n - 1, hits - 1, first - 1)
    one_less = np.concatenate([[0.0], _at_most(n - 2, hits - 2, first - 2)])
    others = drawn * (hits - 1) / (n - 1) * one_less
    return float(hits / n * (((hits_before + 1) * counted + others) / (s + 1 + drawn)).sum())


def _at_most(n: int, hits: int, limit: int) -> NDArray[np.float64]:
    """P(at most `limit` hits among the first j of n items in random order), for j = 0 to n; -1 <= limit < hits."""
    if limit < 0:
        return np.zeros(n + 1)
    place = np.arange(limit + 1, n - hits + limit + 1, dtype=np.float64)
    step = np.log(place / (place - limit) * (n - place - (hits - limit - 1)) / (n - place))
    exceeded = np.zeros(n + 1)
    exceeded[limit + 1 : n - hits + limit + 2] = _normalised(step)
    return np.clip(1 - np.cumsum(exceeded), 0, 1)


class _Sums:
    """Running sums over queries. A query without a relevant item adds nothing; `metrics` applies the rule for it."""

    def __init__(self, pairs: _Pairs | TensorPairs, r: int | None, divisor: str) -> None:
        self.pairs, self.r, self.divisor = pairs, r, divisor
        self.tables = _Tables(pairs.items)
        self.precision_by_radius, self.recall_by_radius = np.zeros((2, pairs.bits + 1))
        self.hits_by_place, self.recall_by_place = np.zeros((2, pairs.items + 1))
        self.average_precision = np.full(pairs.queries, np.nan)
        self.map_at_r = self.ndcg = self.ndcg_at_r = 0.0

    def add_radius(self, counts: NDArray[np.int64]) -> None:
        inside = np.cumsum(counts.sum(axis=2), axis=1)
        hits = np.cumsum(counts[:, :, 1:].sum(axis=2), axis=1)
        self.precision_by_radius += (hits / np.maximum(inside, 1)).sum(axis=0)
        self.recall_by_radius += (hits / np.maximum(hits[:, -1:], 1)).sum(axis=0)

    def add_ranking(self, rows: slice, groups: _Groups) -> None:
        self.average_precision[rows] = groups.average_precision(self.tables)
        self.ndcg += np.nansum(groups.ndcg(self.tables))
        if self.r is not None:
            self.map_at_r += np.nansum(groups.average_precision(self.tables, self.r, self.divisor))
            self.ndcg_at_r += np.nansum(groups.ndcg(self.tables, self.r))
        self._add_places(groups)

    def _add_places(self, groups: _Groups) -> None:
        """Every place of a group adds the same share of a hit: note where that begins and where it ends."""
        edges = np.concatenate([groups.before.ravel(), (groups.before + groups.size).ravel()])
        recall = groups.share / np.maximum(groups.relevant, 1)[:, None]
        for total, share in ((self.hits_by_place, groups.share), (self.recall_by_place, recall)):
            total += np.bincount(edges, np.concatenate([share.ravel(), -share.ravel()]), minlength=len(total))

    def metrics(self, ties: str, empty: str, precision_at: Sequence[int], grades: str) -> Metrics:
        pairs = self.pairs
        empties = int(np.isnan(self.average_precision).sum())
        check(
            empty != "error" or not empties,
            f"query_labels: expected a relevant item for every query, got none for {empties} of {pairs.queries}",
        )
        counted = pairs.queries - empties if empty == "skip" else pairs.queries
        scale = float("nan") if not counted or (empty == "nan" and empties) else 1 / counted
        hits = np.cumsum(np.cumsum(self.hits_by_place)[:-1]) * scale
        return Metrics(
            map=float(np.nansum(self.average_precision) * scale),
            map_at_r=None if self.r is None else float(self.map_at_r * scale),
            precision_by_radius=self.precision_by_radius * scale,
            recall_by_radius=self.recall_by_radius * scale,
            precision_by_rank=hits / np.arange(1, pairs.items + 1),
            recall_by_rank=np.cumsum(np.cumsum(self.recall_by_place)[:-1]) * scale,
            precision_at={int(n): float(hits[min(n, pairs.items) - 1] / n) for n in precision_at},
            ndcg=float(self.ndcg * scale),
            ndcg_at_r=None if self.r is None else float(self.ndcg_at_r * scale),
            queries=pairs.queries,
            empty_queries=empties,
            average_precision=self.average_precision,
            bits=pairs.bits,
            database=pairs.items,
            ties=ties,
            r=self.r,
            divisor=self.divisor,
            empty=empty,
            grades=grades,
        )
