"""Each benchmark's protocol, and splits that are drawn once and kept.

A split is drawn from the ids of the pairs and a seed. It is kept in the cache folder under a key that holds the
checksum of the ids, so that every method and every later run sees the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data import cache
from cmhkit.data.large import file_name
from cmhkit.data.repeats import kept_together
from cmhkit.support.checks import check, check_integer

_FORMAT = 1
_STREAM = 7


@dataclass(frozen=True)
class BenchmarkProtocol:
    """How a benchmark is split and known.

    labels: how many there are. query, train: how many pairs, or which share of all; train None is the whole retrieval
    set.
    pairs: how many the published set has. text: the width of the published bag of words, if there is one. source: whose
    protocol it is.
    """

    title: str
    labels: int
    query: int | float
    train: int | float | None
    pairs: int
    text: int | None
    source: str


#: By the name of the reader. MIRFlickr's other protocol is `MIRFLICKR_ALL`.
PROTOCOLS = {
    "mirflickr": BenchmarkProtocol("MIRFlickr-25K", 24, 2000, 10000, 20015, 1386, "Jiang and Li, CVPR 2017"),
    "nuswide-tc10": BenchmarkProtocol("NUS-WIDE, 10 concepts", 10, 0.01, None, 186577, 1000, "Zhang et al., AAAI 2018"),
    "nuswide-tc21": BenchmarkProtocol(
        "NUS-WIDE, 21 concepts", 21, 2100, 10500, 195834, 1000, "Jiang and Li, CVPR 2017; Li et al., CVPR 2018"
    ),
    "coco": BenchmarkProtocol("MS COCO 2014", 80, 5000, 10000, 122218, None, "Li et al., CVPR 2018"),
    "iapr": BenchmarkProtocol("IAPR TC-12", 255, 2000, 10000, 20000, 2912, "Zhang, Lai and Feng, ECCV 2018"),
    "wikipedia": BenchmarkProtocol("Wikipedia", 10, 693, None, 2866, 10, "Rasiwasia et al., ACM MM 2010"),
}
MIRFLICKR_ALL = BenchmarkProtocol("MIRFlickr-25K, all pictures", 24, 0.05, None, 25000, 1386, "Zhang et al., AAAI 2018")
#: For a file that is none of the known benchmarks.
UNKNOWN = BenchmarkProtocol("unknown", 0, 0.1, None, 0, None, "one tenth query, the rest retrieval and training")


def recognised_protocol(items: int, labels: int, text: int | None) -> str | None:
    """The name of the benchmark that has this many labels, this width of text (None: texts) or number of pairs, and
    enough pairs; or None.
    """
    for name, protocol in PROTOCOLS.items():
        known = labels == protocol.labels and (
            None in (text, protocol.text) or text == protocol.text or items == protocol.pairs
        )
        if known and items > share(protocol.query, items, "query") + share(protocol.train or 0, items, "train"):
            return name
    return None


def share(value: int | float, of: int, argument: str) -> int:
    """A number of pairs, given as a whole number or as a share between 0 and 1 of `of`. Errors: `InputError` for
    anything else.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        check_integer(argument, value, 0)
        return int(value)
    good = isinstance(value, Real) and not isinstance(value, bool) and 0 < value < 1
    check(good, f"{argument}: expected a whole number of pairs or a share between 0 and 1, got {value!r}")
    return max(1, round(float(value) * of))


def fixed_split(
    name: str,
    ids: np.ndarray,
    *,
    query: int | float,
    train: int | float | None,
    seed: int = 0,
    query_from: np.ndarray | None = None,
    own_pair: bool = False,
    group: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The query, retrieval and training part of a set: positions, sorted. Drawn once, then read from the cache folder.

    name: a readable beginning of the folder's name. ids: of all pairs, shape (n,). query, train: how many, or which
    share of all; train None takes the whole retrieval set. query_from: bool, shape (n,), the pairs that queries are
    drawn from; None for all.
    own_pair: True leaves the queries in the retrieval set. Train and query never overlap. group: the group of each pair
    (`repeats.groups`); no group is part query and part retrieval, so that there may be fewer queries than asked for.
    Errors: `InputError` if there are too few pairs.
    """
    check_integer("seed", seed, 0)
    n = len(ids)
    queries = share(query, n, "query")
    rest = n - queries
    training = rest if train is None else share(train, n, "train")
    alone = group is None or len(np.unique(group)) == n
    check(alone or len(np.unique(group)) > 1, f"query: expected at least 2 different pictures, got the same {n} times")
    allowed = np.ones(n, dtype=bool) if query_from is None else np.asarray(query_from, dtype=bool)
    check(
        1 <= queries <= int(allowed.sum()),
        f"query: expected from 1 to {int(allowed.sum())} of the {n} pairs, got {queries}; pass query=",
    )
    check(
        1 <= training <= rest,
        f"train: expected from 1 to {rest} pairs, since {queries} of {n} are queries, got {training}; pass train=",
    )
    key = {"query_from": _checksum(allowed), "query": queries, "train": training}
    key |= {} if alone else {"group": _checksum(group)}

    def draw(order: np.ndarray) -> dict[str, np.ndarray]:
        chosen = order[allowed[order]][:queries] if alone else kept_together(order, group, allowed, queries)
        others = order[~np.isin(order, chosen)]
        return {"query": chosen, "retrieval": others, "train": others if train is None else others[:training]}

    parts = _kept(name, ids, key, seed, draw)
    if own_pair:
        parts["retrieval"] = np.arange(n)
    return parts


def fixed_training(name: str, ids: np.ndarray, *, train: int | float, seed: int = 0) -> np.ndarray:
    """The training part of a retrieval set that comes with the data: positions in it, sorted. Drawn once, as
    `fixed_split`.

    ids: of the pairs of the retrieval set, shape (n,). Errors: `InputError` if there are too few pairs.
    """
    check_integer("seed", seed, 0)
    training = share(train, len(ids), "train")
    check(1 <= training <= len(ids), f"train: expected from 1 to {len(ids)} pairs, got {training}; pass train=")
    return _kept(name, ids, {"train": training}, seed, lambda order: {"train": order[:training]})["train"]


def given_split(n: int, values: dict[str, np.ndarray], from_one: bool) -> tuple[dict[str, np.ndarray], bool, list[str]]:
    """The parts of a set of n pairs as its file says them: positions, sorted; whether a query's own pair is searched;
    and what there is to say of it.

    values: for each part that the file names ("te" the queries, "db" the retrieval set, "tr", "va"), positions, or 0/1
    for each pair. from_one: how positions are counted where they do not show it.
    Pairs of no part that is named: the retrieval set, where it is not named, else the training set is searched alone;
    without queries they are the queries. Training pairs that are not in the retrieval set are added to it. Pairs for
    validation are in no part. "train" is missing where the file does not name it.
    Errors: `InputError` for positions outside the set, one twice, and training pairs that are queries.
    """
    masks = {part: len(x) == n and n > 2 and set(np.unique(x).tolist()) <= {0, 1} for part, x in values.items()}
    listed = [x for part, x in values.items() if not masks[part]]
    joined = np.concatenate([*listed, np.zeros(0)])
    whole = bool((joined == joined.round()).all()) and joined.size == sum(map(len, listed))
    low, high = (int(joined.min()), int(joined.max())) if joined.size and whole else (0, 0)
    good = whole and 0 <= low and high <= n and not (low == 0 and high == n and joined.size)
    came = f"numbers from {low} to {high}" if whole else "numbers that are not whole"
    check(good, f"path: expected positions of {n:,} pairs, from 0 or from 1, in the split of the file, got {came}")
    start = 0 if low == 0 else 1 if high == n else int(from_one)
    shown = "" if low == 0 or high == n else ", which the file does not show"
    notes = [f"split of the file, positions counted from {start}{shown}" if joined.size else "split of the file"]
    rows = {}
    for part, x in values.items():
        rows[part] = np.flatnonzero(x) if masks[part] else np.sort(x.astype(np.int64)) - start
        twice = len(rows[part]) - len(np.unique(rows[part]))
        check(not twice, f"path: expected each position once in the split of the file, got {twice} twice")
    check(
        {"te", "db", "tr"} & set(rows),
        "path: expected queries, a retrieval set or a training set in the split, got none",
    )
    named = np.concatenate([positions for part, positions in rows.items() if part != "va"])
    validation = np.setdiff1d(rows.get("va", named[:0]), named)
    if len(validation):
        notes.append(f"{len(validation):,} pairs for validation are in no part")
    rest = np.setdiff1d(np.arange(n), np.concatenate([named, validation]))
    if "te" not in rows:
        rows["te"], rest = rest, rest[:0]
        notes.append(f"{len(rows['te']):,} pairs that it does not name are the queries")
    if "db" not in rows:
        rows["db"] = np.union1d(rows.get("tr", rest), rest)
    elif len(rest):
        notes.append(f"{len(rest):,} pairs that it does not name are in no part")
    train = rows.get("tr", rows["db"][:0])
    both = len(np.intersect1d(train, rows["te"]))
    check(not both, f"path: expected no training pair among the queries in the split of the file, got {both:,}")
    outside = np.setdiff1d(train, rows["db"])
    if len(outside):
        notes.append(f"{len(outside):,} training pairs that are not in its retrieval set are added to it")
    parts = {"query": rows["te"], "retrieval": np.union1d(rows["db"], train)} | (
        {"train": train} if "tr" in rows else {}
    )
    for part, positions in parts.items():
        check(len(positions), f"path: expected pairs for the {part} part in the split of the file, got none")
    return parts, bool(len(np.intersect1d(parts["query"], parts["retrieval"]))), notes


def _kept(
    name: str, ids: np.ndarray, key: dict[str, Any], seed: int, draw: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What `draw` makes of a random order of the pairs, kept in the cache folder."""
    made_from = {
        "what": "split",
        "format": _FORMAT,
        "data": name,
        "ids": _checksum(np.asarray(ids, dtype=np.int64)),
        "seed": int(seed),
        **key,
    }

    def build(folder: Path) -> None:
        for part, rows in draw(np.random.default_rng([seed, _STREAM]).permutation(len(ids))).items():
            np.save(folder / f"{part}.npy", np.sort(rows).astype(np.int64))

    folder = cache.checked_folder(f"split-{file_name(name)}", made_from, build)
    return {file.stem: np.load(file) for file in sorted(folder.glob("*.npy"))}


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
