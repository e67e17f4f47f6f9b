"""Questions of notebook 41, failure gallery."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, difference, function_equals

DISTANCES = {
    "two groups of ties": (np.array([1, 0, 1, 0, 1, 0]), np.array([True, True, False, False, True, False])),
    "one code for everything": (np.array([3, 3, 3, 3]), np.array([True, False, True, False])),
    "no ties": (np.array([4, 2, 0, 1]), np.array([True, False, False, True])),
}


def worst_order(distance, relevant):
    return relevant[np.lexsort((relevant, distance))]


q1 = Question(
    "41.q1",
    (
        "distance: numbers (m,); relevant: bool (m,). Return the flags of `relevant` by rising distance; where "
        "distances tie, relevant items come last."
    ),
    check=function_equals(worst_order, DISTANCES),
    solution=worst_order,
    hints=[
        "Two keys decide: the distance first, and among equals the flag. False is smaller than True.",
        (
            "`np.lexsort((second_key, first_key))` sorts by its *last* key first. Use its result as an index into "
            "`relevant`."
        ),
    ],
    wrong_answers={
        "relevant items first": lambda distance, relevant: relevant[np.lexsort((~relevant, distance))],
        "ties as they are stored": lambda distance, relevant: relevant[np.argsort(distance, kind="stable")],
        "the flag decides first": lambda distance, relevant: relevant[np.lexsort((distance, relevant))],
    },
    remark=(
        "the AP of this order is the lower bound, `pessimistic`. With relevant items first it is the mistake of this "
        "section."
    ),
)

HITS = {
    "more relevant items than places": (np.array([True, False, True, True, False, True]), 3),
    "fewer relevant items than places": (np.array([True, False, False, False, True, False]), 4),
    "nothing found within R": (np.array([False, False, True, True]), 2),
    "one early hit, the rest late": (np.array([True, False, False, False, True, True]), 4),
}


def ap_at_r(hit, R):
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return (precision * hit)[:R].sum() / min(R, hit.sum())


def _by_hits(hit, R):
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return (precision * hit)[:R].sum() / max(hit[:R].sum(), 1)


def _by_r(hit, R):
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return (precision * hit)[:R].sum() / R


def _capped(hit, R):
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return precision[hit][:R].mean()


q2 = Question(
    "41.q2",
    "hit: bool (m,), a whole ranking. Return AP@R with the divisor `relevant`: the sum of the precisions at the hits "
    "of the first R places, divided by min(R, relevant items).",
    check=function_equals(ap_at_r, HITS),
    solution=ap_at_r,
    hints=[
        (
            "The precision at each place is the count of hits so far, divided by the place: `np.cumsum(hit) / "
            "np.arange(1, len(hit) + 1)`."
        ),
        (
            "Keep it at hits only, cut after R places, sum. The relevant items are all hits of the whole ranking: "
            "`hit.sum()`."
        ),
    ],
    wrong_answers={
        "divided by the hits within R": _by_hits,
        "divided by R": _by_r,
        "the first R hits": _capped,
    },
    remark="a query that finds one of a thousand relevant items can no longer score 1.",
)

PARTS = {
    "two of four training pairs": (
        {"query": np.array([0, 5]), "retrieval": np.array([1, 2, 3, 4, 6, 7]), "train": np.array([1, 3, 4, 7])},
        np.array([7, 3]),
    ),
    "train is the whole retrieval set": (
        {"query": np.array([2]), "retrieval": np.array([0, 1, 3, 4]), "train": np.array([0, 1, 3, 4])},
        np.array([1]),
    ),
}


def hold_out(parts, chosen):
    return {
        "query": np.sort(chosen),
        "retrieval": np.setdiff1d(parts["retrieval"], chosen),
        "train": np.setdiff1d(parts["train"], chosen),
    }


def _still_found(parts, chosen):
    return {**hold_out(parts, chosen), "retrieval": parts["retrieval"]}


def _still_learned(parts, chosen):
    return {**hold_out(parts, chosen), "train": parts["train"]}


def _asks_both(parts, chosen):
    return {**hold_out(parts, chosen), "query": np.union1d(parts["query"], chosen)}


q3 = Question(
    "41.q3",
    (
        "Make the parts of a validation split: a dict with `query`, `retrieval` and `train`, positions in rising "
        "order. The chosen training pairs ask."
    ),
    check=function_equals(hold_out, PARTS),
    solution=hold_out,
    hints=[
        "The real queries do not appear in any part: they are for the very end.",
        (
            "The chosen pairs leave both the training set and the retrieval set. `np.setdiff1d(a, b)` gives what is "
            "in a and not in b, sorted."
        ),
    ],
    wrong_answers={
        "the chosen can still be found": _still_found,
        "the chosen are still learned from": _still_learned,
        "the real queries ask as well": _asks_both,
    },
    remark="on such a split you may choose as often as you like. The queries are looked at once.",
)

NUMBERS = {
    "with zeros": (np.array([[-1.5, 0.0, 2.0], [0.0, -0.1, 0.1]]),),
    "minus zero": (np.array([-0.0, 3.0, -3.0]),),
    "whole numbers": (np.array([-2, 0, 1]),),
}


def two_valued(x):
    return np.where(x >= 0, 1, -1).astype(np.int8)


q4 = Question(
    "41.q4",
    "The sign with two values, int8: +1 for 0 and above, -1 below.",
    check=function_equals(two_valued, NUMBERS),
    solution=two_valued,
    hints=[
        "A comparison has two values. Which one includes 0?",
        "`np.where(condition, 1, -1)` turns a comparison into signs.",
    ],
    wrong_answers={
        "three values": lambda x: np.sign(x).astype(np.int8),
        "0 becomes -1": lambda x: np.where(x > 0, 1, -1).astype(np.int8),
        "0 and 1": lambda x: (x >= 0).astype(np.int8),
    },
    remark=(
        "whether 0 becomes +1 or -1 matters little. That it is the same on both sides, and never a third value, "
        "matters."
    ),
)


def safe_score(a, b):
    return a @ b.T + a.shape[1] + 1


def _codes(seed: int, n: int, m: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = (np.where(rng.random((rows, bits)) < 0.5, -1, 1) for rows in (n, m))
    b[0], b[1] = a[0], -a[0]  # the nearest and the farthest that there is
    return a, b


def _ranks_and_is_positive(answer):
    if not callable(answer):
        return "a function is asked for."
    for seed, (n, m, bits) in enumerate(((3, 6, 8), (5, 20, 16))):
        a, b = _codes(seed, n, m, bits)
        score = np.asarray(answer(a.copy(), b.copy()))
        if score.shape != (n, m):
            return f"a score for each pair is asked for, shape {(n, m)}; this has the shape {score.shape}."
        if not (score > 0).all():
            row, column = np.argwhere(~(score > 0))[0]
            return (
                f"the score of a[{row}] and b[{column}] is {score[row, column]}, not above 0; their inner product is "
                f"{a[row] @ b[column]}."
            )
        inner = a @ b.T
        for row in range(n):
            reason = difference(
                np.unique(score[row], return_inverse=True)[1], np.unique(inner[row], return_inverse=True)[1]
            )
            if reason is not None:
                return (
                    f"the scores of a[{row}] do not rank b as its inner products do, which are {inner[row].tolist()}; "
                    f"places: {reason}"
                )
    return None


q5 = Question(
    "41.q5",
    "A score for each pair of codes that ranks as the inner product does, and is above 0 for every pair.",
    check=_ranks_and_is_positive,
    solution=safe_score,
    hints=[
        "The inner product of two codes of K bits lies between -K and K.",
        "Add a number to all of them. Which one suffices for -K?",
    ],
    wrong_answers={
        "the inner product": lambda a, b: a @ b.T,
        "its size": lambda a, b: np.abs(a @ b.T) + 1,
        "the bits that agree, 0 for opposite codes": lambda a, b: (a @ b.T + a.shape[1]) / 2,
        "the distance": lambda a, b: (a.shape[1] - a @ b.T) / 2 + 1,
    },
    remark="adding the same number to every score changes no ranking.",
)

quiz1 = Quiz(
    "41.quiz1",
    [
        Choice(
            (
                "A paper's table has one method at MAP .61 and the next at .60. Nothing is said of ties; codes have "
                "16 bits. What follows?"
            ),
            [
                Option(
                    "The first method is better.",
                    "The order of ties alone moved the score of one and the same code by several points.",
                ),
                Option(
                    "Nothing yet: the order of ties can be worth more than the difference.",
                    "Yes. Lesson 01 measured the spread between the best and the worst order at several lengths.",
                    right=True,
                ),
                Option(
                    "Both methods have collapsed.",
                    "Collapse shows in few different codes. A small difference of MAP is no sign of it.",
                ),
            ],
        ),
        Choice(
            (
                "A network's loss falls to nearly zero. MAP is alike in all four directions, and near chance. What do "
                "you look at first?"
            ),
            [
                Option(
                    "The number of different codes.",
                    "Yes. One code for everything gives just this picture; `diagnostics` counts.",
                    right=True,
                ),
                Option("The learning rate.", "Perhaps later. First find out what was learned: it may be a constant."),
                Option(
                    "The number of queries.",
                    "More queries make a score steadier. They do not make a constant code useful.",
                ),
            ],
        ),
        Choice(
            (
                "The query and the training set were drawn by two independent shuffles. A score rises by only .01. Is "
                "the split in order?"
            ),
            [
                Option(
                    "Yes, since the effect is small.",
                    "It is small for a method that learns little by heart. The next method may learn more.",
                ),
                Option(
                    "No: queries were trained on, and a method that memorises gains more than another.",
                    "Yes. The comparison is bent, whatever the size for one method.",
                    right=True,
                ),
                Option(
                    "Yes, since both shuffles are fair.", "Each is. Together they put the same pair into both parts."
                ),
            ],
        ),
    ],
)
