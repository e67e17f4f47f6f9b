"""Questions of notebook 01, Hamming space."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

PAIRS = {
    "one bit differs": (np.array([1, 1, -1, 1]), np.array([1, 1, 1, 1])),
    "all bits differ": (np.array([1, -1, 1, -1]), np.array([-1, 1, -1, 1])),
    "equal codes": (np.array([1, -1, -1, 1, 1, 1, -1, 1]), np.array([1, -1, -1, 1, 1, 1, -1, 1])),
}


def distance(a, b):
    return (len(a) - a @ b) // 2


q1 = Question(
    "01.q1",
    "Count the bits in which two codes differ, from their inner product.",
    check=function_equals(distance, PAIRS),
    solution=distance,
    hints=[
        "Bits that agree add +1 to `a @ b`, bits that differ add -1.",
        "With d bits that differ, `a @ b` is K - 2 d. Solve for d; K is `len(a)`.",
    ],
    wrong_answers={
        "wrong sign": lambda a, b: (len(a) + a @ b) // 2,
        "not halved": lambda a, b: len(a) - a @ b,
        "share instead of count": lambda a, b: (len(a) - a @ b) / 2 / len(a),
        "inner product itself": lambda a, b: a @ b,
    },
    remark="sorting by distance is sorting by inner product, backwards.",
)

CODES = {
    "only the first bit is +1": (np.array([1, -1, -1, -1, -1, -1, -1, -1]),),
    "only the last bit is +1": (np.array([-1, -1, -1, -1, -1, -1, -1, 1]),),
    "all +1": (np.ones(8, dtype=int),),
    "all -1": (-np.ones(8, dtype=int),),
    "mixed": (np.array([1, -1, 1, 1, -1, -1, 1, -1]),),
}


def to_byte(signs):
    weights = [128, 64, 32, 16, 8, 4, 2, 1]
    return sum(weight for weight, sign in zip(weights, signs) if sign > 0)  # noqa: B905


q2 = Question(
    "01.q2",
    "Write eight signs as one byte: the first sign has the highest weight, +1 sets a bit.",
    check=function_equals(to_byte, CODES),
    solution=to_byte,
    code="""def to_byte(signs):
    weights = [128, 64, 32, 16, 8, 4, 2, 1]
    return sum(weight for weight, sign in zip(weights, signs) if sign > 0)""",
    hints=[
        "The eight weights are the powers of two from 128 down to 1.",
        "Add the weights of the places where the sign is +1. The other places add nothing.",
    ],
    wrong_answers={
        "last sign first": lambda signs: int(((signs > 0) * 2 ** np.arange(8)).sum()),
        "-1 sets the bit": lambda signs: int(((signs < 0) * 2 ** np.arange(7, -1, -1)).sum()),
        "signs as digits": lambda signs: int((signs * 2 ** np.arange(7, -1, -1)).sum()),
        "weights from 256": lambda signs: int(((signs > 0) * 2 ** np.arange(8, 0, -1)).sum()),
    },
    remark=(
        "another order gives other bytes but the same distances, if every code uses it. Mixing two orders breaks a "
        "search silently."
    ),
)

BYTES = {
    "two bytes": (
        np.array([0b10110010, 0b00000001], dtype=np.uint8),
        np.array([0b10110011, 0b11110001], dtype=np.uint8),
    ),
    "equal codes": (np.array([7, 9, 255, 0], dtype=np.uint8), np.array([7, 9, 255, 0], dtype=np.uint8)),
    "opposite codes": (np.array([0, 255], dtype=np.uint8), np.array([255, 0], dtype=np.uint8)),
}


def distance_of_bytes(a, b):
    return np.bitwise_count(a ^ b).sum()


q3 = Question(
    "01.q3",
    "Count the bits in which two packed codes differ.",
    check=function_equals(distance_of_bytes, BYTES),
    solution=distance_of_bytes,
    hints=[
        "`a ^ b` sets exactly the bits that differ.",
        "`np.bitwise_count(x)` says how many bits are set in each byte of `x`.",
        "Each byte has its own count: add them.",
    ],
    wrong_answers={
        "bytes that differ": lambda a, b: (a != b).sum(),
        "AND for XOR": lambda a, b: np.bitwise_count(a & b).sum(),
        "first byte only": lambda a, b: np.bitwise_count(a ^ b)[0],
        "not summed": lambda a, b: np.bitwise_count(a ^ b),
        "bits that agree": lambda a, b: np.bitwise_count(~(a ^ b)).sum(),
    },
    remark="three steps, XOR, popcount, sum: that is the whole distance.",
)

TIES = {
    "3500 items, 16 bits": (3500, 16),
    "100 items, 8 bits": (100, 8),
    "no remainder: 90 items, 8 bits": (90, 8),
    "fewer items than distances": (5, 32),
}


def largest_tie_at_least(items, bits):
    distances = bits + 1
    return -(-items // distances)


q4 = Question(
    "01.q4",
    "However the codes are made: how many items at least share one and the same distance to a query?",
    check=function_equals(largest_tie_at_least, TIES),
    solution=largest_tie_at_least,
    hints=[
        "Count the distances that are possible. Do not forget 0.",
        "Put the items into that many boxes, as evenly as you can. How full is the fullest box?",
        "Divide and round up: `-(-items // boxes)`.",
    ],
    wrong_answers={
        "distance 0 forgotten": lambda items, bits: -(-items // bits),
        "rounded down": lambda items, bits: items // (bits + 1),
        "not rounded": lambda items, bits: items / (bits + 1),
        "number of codes instead of distances": lambda items, bits: -(-items // 2**bits),
    },
    remark="this is the best case. Real distances crowd in the middle, so real ties are larger.",
)

RANKINGS = {
    "hits at 1, 3, 4, 7": (np.array([1, 0, 1, 1, 0, 0, 1, 0]),),
    "one hit, last": (np.array([0, 0, 0, 0, 1]),),
    "all hits": (np.array([1, 1, 1]),),
    "hits at 2 and 3": (np.array([0, 1, 1, 0, 0, 0]),),
}


def average_precision(relevant):
    places = np.arange(1, len(relevant) + 1)
    precision = np.cumsum(relevant) / places
    return precision[relevant == 1].mean()


q5 = Question(
    "01.q5",
    "Average precision of a ranking without ties: the mean of the precisions at the places of the hits.",
    check=function_equals(average_precision, RANKINGS),
    solution=average_precision,
    hints=[
        "`np.cumsum(relevant)` counts the hits up to each place. Places count from 1.",
        "Precision at a place is hits so far divided by the place.",
        "Keep the precisions where `relevant == 1`, and take their mean.",
    ],
    wrong_answers={
        "mean over all places": lambda relevant: (np.cumsum(relevant) / np.arange(1, len(relevant) + 1)).mean(),
        "sum for mean": lambda relevant: (np.cumsum(relevant) / np.arange(1, len(relevant) + 1))[relevant == 1].sum(),
        "divided by all items": lambda relevant: (
            (np.cumsum(relevant) / np.arange(1, len(relevant) + 1))[relevant == 1].sum() / len(relevant)
        ),
        "places off by one": lambda relevant: (np.cumsum(relevant) / np.arange(2, len(relevant) + 2))[
            relevant == 1
        ].mean(),
        "precision of the whole list": lambda relevant: relevant.mean(),
    },
    remark="a hit near the top adds more than a hit near the end.",
)

quiz1 = Quiz(
    "01.quiz1",
    [
        Choice(
            "Two codes of 64 bits have inner product 40. How many bits differ?",
            [
                Option("12", "Yes: 64 - 2 · 12 = 40.", right=True),
                Option("24", "That is K minus the inner product. Half of it differs: each differing bit costs 2."),
                Option("52", "These are the bits that agree: the sign is the wrong way round."),
            ],
        ),
        Choice(
            "A broken network gives every item the same code. What is its MAP, with the expectation over tie orders?",
            [
                Option(
                    "1.0", "Only the optimistic order says so: it puts every relevant item first in the one big tie."
                ),
                Option(
                    "Close to the share of relevant items",
                    "Yes: all items tie, so the ranking is a shuffle.",
                    right=True,
                ),
                Option("0.0", "Even a shuffle meets relevant items."),
            ],
        ),
        Choice(
            (
                "Two papers report MAP@50. One divides by the hits among the first 50, one by min(50, relevant "
                "items). Compare them?"
            ),
            [
                Option(
                    "Yes, it is the same measure",
                    "With few hits the first divisor is small, and the score stays high.",
                ),
                Option(
                    "No, not before one is computed anew",
                    "Yes: name the divisor, and compare like with like.",
                    right=True,
                ),
                Option("Yes, if both use as many bits", "The number of bits does not change the divisor."),
            ],
        ),
    ],
)
