"""Questions of notebook 30, SSAH's LabNet."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, close, function_equals

LABELS = {
    "one shared, two shared, none": (
        np.array([[1, 1, 0], [0, 0, 1]]),
        np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]),
    ),
    "a set and a larger one": (np.array([[1, 0, 0, 0]]), np.array([[1, 1, 1, 1], [0, 1, 1, 1]])),
    "no label at all": (np.array([[0, 0], [1, 0]]), np.array([[0, 0], [1, 1], [0, 1]])),
}


def similar(labels_a, labels_b):
    return (labels_a @ labels_b.T > 0).astype(int)


q1 = Question(
    "30.q1",
    (
        "Compute S from two label matrices, shapes (n, c) and (m, c): 1 where two items share at least one label, "
        "else 0. Return integers, shape (n, m)."
    ),
    check=function_equals(similar, LABELS),
    solution=similar,
    hints=[
        "The inner product of two rows of 0/1 counts the labels they share.",
        "`labels_a @ labels_b.T` is all counts at once. S only asks whether a count is above 0.",
    ],
    wrong_answers={
        "the count itself": lambda a, b: a @ b.T,
        "equal label sets": lambda a, b: (a[:, None] == b[None]).all(2).astype(int),
        "equal in any place": lambda a, b: (a[:, None] == b[None]).any(2).astype(int),
        "one label inside the other": lambda a, b: (a @ b.T == a.sum(1, keepdims=True)).astype(int),
        "transposed": lambda a, b: (b @ a.T > 0).astype(int),
    },
    remark="S does not say how many labels two items share: one is as good as three.",
)

DISTANCES = {
    "from 0 to all of 32": (np.array([0, 8, 15, 16, 17, 24, 32]), 32),
    "16 bits": (np.array([0, 7, 8, 9, 16]), 16),
    "one distance": (3, 8),
}


def probability(distance, bits):
    return 1 / (1 + np.exp(-(bits - 2 * distance) / 2))


def _linear(distance, bits):
    return np.maximum(0, 1 - 2 * distance / bits)


q2 = Question(
    "30.q2",
    "Compute p(S = 1 | B) from a Hamming distance (a number or an array) and the number of bits.",
    check=function_equals(probability, DISTANCES, tol=1e-9),
    solution=probability,
    hints=[
        "The inner product of two ±1 codes is `bits - 2 * distance`.",
        "Halve it and put it into the logistic function 1 / (1 + exp(-x)).",
    ],
    wrong_answers={
        "not halved": lambda d, k: 1 / (1 + np.exp(-(k - 2 * d))),
        "wrong sign": lambda d, k: 1 / (1 + np.exp((k - 2 * d) / 2)),
        "distance for inner product": lambda d, k: 1 / (1 + np.exp(-d / 2)),
        "share of equal bits": lambda d, k: 1 - d / k,
        "linear from 1 to 0": _linear,
    },
    remark=(
        "it is one half where half of the bits differ, whatever their number is; more bits only make the step steeper."
    ),
)

THETAS = {
    "small ones": (np.array([-3.0, -0.5, 0.0, 0.5, 3.0]),),
    "too large for exp": (np.array([100.0, 710.0, 1e4]),),
    "far below zero": (np.array([-30.0, -700.0, -1e4]),),
    "float32, near its limit": (np.array([-100.0, 88.0, 89.0, 500.0], dtype=np.float32),),
}


def log_one_plus_exp(theta):
    return np.maximum(theta, 0) + np.log1p(np.exp(-np.abs(theta)))


def _naive(theta):
    with np.errstate(over="ignore"):
        return np.log(1 + np.exp(theta))


def _capped(theta):
    return np.log(1 + np.exp(np.minimum(theta, 80)))


def _one_side(theta):
    with np.errstate(over="ignore"):
        return theta + np.log1p(np.exp(-theta))


q3 = Question(
    "30.q3",
    "Compute log(1 + exp(theta)) for every entry of an array, so that no finite theta overflows.",
    check=function_equals(log_one_plus_exp, THETAS),
    solution=log_one_plus_exp,
    hints=[
        (
            "For theta above 0, take the large part out: log(1 + exp(theta)) = theta + log(1 + exp(-theta)). Now the "
            "exponential is small."
        ),
        "Below 0 the plain form is fine. One line for both: `max(theta, 0) + log1p(exp(-abs(theta)))`.",
    ],
    wrong_answers={
        "the plain form": _naive,
        "theta cut off": _capped,
        "good on one side only": _one_side,
        "the large part only": lambda theta: np.maximum(theta, 0),
        "minus abs forgotten": lambda theta: np.maximum(theta, 0) + np.log1p(np.exp(-np.maximum(theta, 0))),
    },
    remark="this is softplus; PyTorch has it as `F.softplus`, NumPy as `np.logaddexp(0, theta)`.",
)

PAIRS = {
    "similar": (np.array([-4.0, -1.0, 0.0, 1.0, 4.0]), np.ones(5)),
    "dissimilar": (np.array([-4.0, -1.0, 0.0, 1.0, 4.0]), np.zeros(5)),
    "the code's .999": (np.array([0.0, 6.0, 7.5]), np.full(3, 0.999)),
}


def _logistic(theta):
    return 1 / (1 + np.exp(-theta))


def slope(theta, s):
    return 1 / (1 + np.exp(-theta)) - s


q4 = Question(
    "30.q4",
    "Differentiate the loss of a pair, log(1 + exp(theta)) - s * theta, with respect to theta.",
    check=function_equals(slope, PAIRS, tol=1e-9),
    solution=slope,
    hints=[
        "The derivative of log(1 + exp(theta)) is exp(theta) / (1 + exp(theta)): the logistic function.",
        "It is the predicted probability minus what is true.",
    ],
    wrong_answers={
        "wrong sign": lambda theta, s: s - _logistic(theta),
        "s forgotten": lambda theta, s: _logistic(theta),
        "slope of the logistic function": lambda theta, s: _logistic(theta) * (1 - _logistic(theta)) - s,
        "the half of theta once more": lambda theta, s: (_logistic(theta) - s) / 2,
        "s taken as 0 or 1": lambda theta, s: _logistic(theta) - np.round(s),
    },
    remark="it is never larger than 1: a pair that is completely wrong pulls no harder than a pair that is very wrong.",
)

# Two runs of the notebook, A and B: the sign before eta in each.
SIGNS = {"A": -1.0, "B": 1.0}

q5 = Question(
    "30.q5",
    "Which sign does eta have in run A, and which in run B? Give two numbers, +1 or -1 each, A first.",
    check=close(tuple(SIGNS.values())),
    solution=tuple(SIGNS.values()),
    code="(-1, +1)",
    hints=[
        "J3 is the squared distance from H to the nearest code of ±1. A loss that is descended on gets smaller.",
        "With minus eta the loss gets smaller as J3 gets *larger*. Where in [-1, 1] is H farthest from both -1 and +1?",
    ],
    wrong_answers={"the other way round": (1, -1), "both plus": (1, 1), "both minus, as the note prints": (-1, -1)},
    remark="with the minus, H is driven to 0, where the sign is a coin's toss.",
)

quiz1 = Quiz(
    "30.quiz1",
    [
        Choice(
            "Two items share one label of three, two others share all three. What does S say?",
            [
                Option(
                    "1/3 and 1.", "That would be a graded similarity. SSAH's S only asks whether a label is shared."
                ),
                Option(
                    "1 and 1.",
                    "Yes. J1 and J2 see no difference; J4 does, since it asks for each label by itself.",
                    right=True,
                ),
                Option("0 and 1.", "One shared label is enough for S = 1."),
            ],
        ),
        Choice(
            "All semantic features of a LabNet have become 0. What is J1, a pair?",
            [
                Option(
                    "0", "The features say nothing, and a likelihood charges for that: p is one half for every pair."
                ),
                Option(
                    "log 2, about 0.693",
                    "Yes: every inner product is 0, so p = 1/2 for similar and dissimilar pairs alike.",
                    right=True,
                ),
                Option(
                    "It is not finite.",
                    "θ = 0 is as finite as it gets. That is why such a run does not look broken from afar.",
                ),
            ],
        ),
        Choice(
            "Why is LabNet's label → label MAP called a ceiling?",
            [
                Option(
                    "Pictures and texts are trained to reach LabNet's codes, and a query in earnest has no labels.",
                    (
                        "Yes: it is what they would get if they learned their teacher's codes perfectly. It is no "
                        "proof: nothing forbids to surpass it."
                    ),
                    right=True,
                ),
                Option(
                    "Because no code of this length can rank better.",
                    "Nobody showed that. It is one network's result, trained one way.",
                ),
                Option("Because LabNet has more parameters.", "The size of a network sets no limit of this kind."),
            ],
        ),
    ],
)
