"""Questions of notebook 43, what a database does with codes."""

from __future__ import annotations

import math

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

CODES = {
    "one byte, zeros at the front": (np.array([6], dtype=np.uint8),),
    "two bytes": (np.array([1, 128], dtype=np.uint8),),
    "all alike": (np.array([255, 255, 0], dtype=np.uint8),),
}


def as_bits(code):
    return "".join(f"{byte:08b}" for byte in code)


q1 = Question(
    "43.q1",
    "A packed code as a string of its bits, first bit first.",
    check=function_equals(as_bits, CODES),
    solution=as_bits,
    hints=[
        "`np.unpackbits(code)` gives the bits, and `f'{6:b}'` is '110': three characters, where a byte has eight.",
        "`f'{byte:08b}'` writes a byte as eight characters. Join those of all bytes.",
    ],
    wrong_answers={
        "zeros at the front are lost": lambda code: "".join(f"{byte:b}" for byte in code),
        "last bit first": lambda code: "".join(f"{byte:08b}"[::-1] for byte in code),
        "last byte first": lambda code: "".join(f"{byte:08b}" for byte in code[::-1]),
        "0 and 1 swapped": lambda code: "".join(f"{255 - int(byte):08b}" for byte in code),
    },
    remark="these are the bytes of the packed code, written out: nothing was changed.",
)

STOPS = {
    "farther than all, and enough kept": (9, [3, 5, 8], 3),
    "nearer than the farthest": (6, [3, 5, 8], 3),
    "as far as the farthest": (8, [3, 5, 8], 3),
    "not enough kept": (9, [3, 5], 3),
    "farther than the nearest only": (4, [3, 5], 2),
}


def may_stop(near, kept, ef):
    return len(kept) == ef and near > max(kept)


q2 = Question(
    "43.q2",
    "Whether a walk that keeps the ef nearest codes may stop: near is a number, kept a list. Return True or False.",
    check=function_equals(may_stop, STOPS),
    solution=may_stop,
    hints=[
        "As long as fewer than `ef` are kept, anything is welcome.",
        "The next code is the nearest of all that wait. If even that one is farther than `max(kept)`, none helps.",
    ],
    wrong_answers={
        "farther than the nearest kept": lambda near, kept, ef: len(kept) == ef and near > min(kept),
        "ef is not looked at": lambda near, kept, ef: near > max(kept),
        "stops at a tie": lambda near, kept, ef: len(kept) == ef and near >= max(kept),
        "stops once enough are kept": lambda near, kept, ef: len(kept) == ef,
    },
    remark="a larger ef puts this moment off, and that is all that ef does.",
)

ROWS = {
    "ties at the end": (np.array([[1, 2, 2], [0, 3, 5]]), np.array([[1, 2, 2], [0, 3, 4]])),
    "another set of equally near": (np.array([[2, 2], [4, 4]]), np.array([[2, 2], [4, 4]])),
    "one near code missed": (np.array([[1, 3, 3], [2, 2, 3]]), np.array([[1, 2, 3], [2, 2, 2]])),
}


def recall(found, exact):
    return (found <= exact[:, -1:]).mean()


q3 = Question(
    "43.q3",
    "Recall by distances: the share of all found that are no farther than the last exact distance of their row.",
    check=function_equals(recall, ROWS),
    solution=recall,
    hints=[
        "The last column of `exact` is the limit of each row: `exact[:, -1:]` keeps it as a column.",
        "Compare all of `found` with that column, and take the mean of the Booleans.",
    ],
    wrong_answers={
        "ties do not count": lambda found, exact: (found < exact[:, -1:]).mean(),
        "place by place": lambda found, exact: (found == exact).mean(),
        "only queries that miss none": lambda found, exact: (found <= exact[:, -1:]).all(axis=1).mean(),
        "the limit of all rows together": lambda found, exact: (found <= exact[:, -1].max()).mean(),
    },
    remark="by ids, an answer with another of two equally near codes would count as a miss.",
)

COSTS = {
    "the index pays": (20.0, 5.0, 1.0),
    "not a whole number": (1.0, 4.0, 1.0),
    "it never pays": (10.0, 0.2, 0.5),
    "no gain at all": (10.0, 2.0, 2.0),
}


def queries_to_pay(build, scan, walk):
    return math.ceil(1000 * build / (scan - walk)) if scan > walk else math.inf


def _rounded_down(build, scan, walk):
    return int(1000 * build / (scan - walk)) if scan > walk else math.inf


def _as_if_free(build, scan, walk):
    return math.ceil(1000 * build / scan) if scan > walk else math.inf


def _in_seconds(build, scan, walk):
    return math.ceil(build / (scan - walk)) if scan > walk else math.inf


def _always(build, scan, walk):
    return math.ceil(1000 * build / abs(scan - walk)) if scan != walk else math.inf


q4 = Question(
    "43.q4",
    "The least whole number of queries after which an index has paid for its building; infinity if it never does.",
    check=function_equals(queries_to_pay, COSTS),
    solution=queries_to_pay,
    hints=[
        "A query saves `scan - walk` milliseconds. What if that is 0, or less?",
        "`build` is in seconds: 1000 * build milliseconds have to be saved. `math.ceil` rounds up.",
    ],
    wrong_answers={
        "rounded down": _rounded_down,
        "as if a walk cost nothing": _as_if_free,
        "seconds for milliseconds": _in_seconds,
        "pays even where it is slower": _always,
    },
    remark="codes that change often pay again and again: an index is kept up to date with every row.",
)

quiz1 = Quiz(
    "43.quiz1",
    [
        Choice(
            "A colleague adds an HNSW index to a table. Your query, `ORDER BY distance LIMIT 10`, stays as it is. What "
            "happens to its answers?",
            [
                Option("They come sooner, and are the same.", "Sooner, yes. But the index may miss near codes."),
                Option(
                    "They come sooner, and may miss some of the nearest.",
                    "Yes. Nothing says so: ask for the exact scan where it matters, and measure the recall.",
                    right=True,
                ),
                Option("Nothing: a query has to name its index.", "The server chooses for itself; EXPLAIN shows it."),
            ],
        ),
        Choice(
            "Why does the exact search sort by distance *and* id?",
            [
                Option("Sorting by two keys is faster.", "It is no faster. What does it settle?"),
                Option(
                    "Codes tie, and without a second key any of the tied may be returned.",
                    "Yes: codes of K bits have only K + 1 distances, so ties are cut all the time.",
                    right=True,
                ),
                Option("The id says how near a code is.", "An id says nothing of distance; it only never ties."),
            ],
        ),
        Choice(
            "You train a run again with a better option, same bits, and search the old table with the new hasher. What "
            "are the distances worth?",
            [
                Option("A little less than before.", "The new bits need not mean what the old ones did, not one."),
                Option("As much: the length is the same.", "The length only says that distances can be counted."),
                Option(
                    "Nothing: push the new codes first.",
                    "Yes. Queries and database must come from one hasher, and the table's comment says which.",
                    right=True,
                ),
            ],
        ),
    ],
)
