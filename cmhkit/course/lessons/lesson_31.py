"""Questions of notebook 31, SSAH's supervision."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

TEXTS = {
    "whole windows": (np.array([1.0, 0, 0, 1, 1, 1, 0, 1]), 4, 0.5),
    "a shorter last window": (np.array([1.0, 0, 1, 1, 0, 0, 1, 1]), 3, 2.0),
    "a window as long as the text": (np.array([0.0, 1, 1, 1]), 4, 1.5),
    "a scalar below 0": (np.array([1.0, 1, 0, 1]), 2, -0.7),
}


def pooled(x, p, w):
    averages = np.array([x[start : start + p].mean() for start in range(0, len(x), p)])
    return np.maximum(0, w * averages)


def _padded(x, p, w):
    x = np.concatenate([x, np.zeros(-len(x) % p)])
    return np.maximum(0, w * x.reshape(-1, p).mean(axis=1))


q1 = Question(
    "31.q1",
    (
        "One channel of the fusion before the resize: average each window of p words, windows one after the other; "
        "times w; ReLU. x: shape (T,)."
    ),
    check=function_equals(pooled, TEXTS),
    solution=pooled,
    hints=[
        (
            "The windows start at 0, p, 2p, … and the last one may hold fewer than p words: `x[start : start + p]` "
            "stops at the end by itself."
        ),
        "A mean divides by the words that the window has. Then `np.maximum(0, w * averages)`.",
    ],
    wrong_answers={
        "sum for mean": lambda x, p, w: np.maximum(0, w * np.array([x[i : i + p].sum() for i in range(0, len(x), p)])),
        "the last window filled up with zeros": _padded,
        "the last window left out": lambda x, p, w: np.maximum(0, w * x[: len(x) // p * p].reshape(-1, p).mean(axis=1)),
        "no ReLU": lambda x, p, w: w * np.array([x[i : i + p].mean() for i in range(0, len(x), p)]),
        "windows that overlap": lambda x, p, w: np.maximum(
            0, w * np.array([x[i : i + p].mean() for i in range(len(x) - p + 1)])
        ),
    },
    remark="five numbers, one for each window length, are all that the fusion learns.",
)

SCALARS = {
    "five drawn numbers": (np.array([1.54, -0.29, -2.18, 0.57, -1.08]),),
    "small but above 0": (np.array([0.001, -0.001, 3.0]),),
    "zero": (np.array([0.0, 0.4]),),
    "all alive": (np.array([0.2, 1.0, 2.5]),),
}


def dead(scalars):
    return scalars <= 0


q2 = Question(
    "31.q2",
    (
        "Say of each scalar whether its pool is dead at the start: whether it gives only zeros and gets no gradient. "
        "Return booleans, shape (pools,)."
    ),
    check=function_equals(dead, SCALARS),
    solution=dead,
    hints=[
        "A bag of words is at least 0, so an average is too. What does a ReLU make of w times that?",
        "Look at the printed gradients: which of the three scalars has none? Zero is one of them.",
    ],
    wrong_answers={
        "the living ones": lambda scalars: scalars > 0,
        "zero taken as alive": lambda scalars: scalars < 0,
        "small ones too": lambda scalars: scalars < 0.1,
        "the sizes": lambda scalars: np.abs(scalars) < 0.5,
    },
    remark="a gradient of exactly 0 stays 0 at every step: such a pool can never come back.",
)


def _cross_cases():
    rng = np.random.default_rng(31)
    cases = {}
    for name, n, m, bits in (
        ("three items, five in the bank", 3, 5, 4),
        ("one item", 1, 4, 3),
        ("more items than bank rows", 6, 2, 8),
    ):
        cases[name] = (
            rng.uniform(-1, 1, (n, bits)),
            rng.uniform(-1, 1, (m, bits)),
            (rng.random((n, m)) < 0.5).astype(float),
        )
    return cases


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def batch_gradient(h, bank, similar):
    gamma = h @ bank.T / 2
    slope = 1 / (1 + np.exp(-gamma)) - similar
    return slope @ bank / 2


q3 = Question(
    "31.q3",
    (
        "Write the gradient of J2 with respect to a batch's codes h, shape (n, bits), against a bank, (m, bits), that "
        "stands still. similar: S, (n, m)."
    ),
    check=function_equals(batch_gradient, _cross_cases()),
    solution=batch_gradient,
    hints=[
        "The slope of log(1 + e^x) - S x is sigmoid(x) - S. There is one such slope for every pair: shape (n, m).",
        (
            "Gamma is half of an inner product, so its derivative with respect to h_i is half of the bank's row j. "
            "Sum over j."
        ),
    ],
    wrong_answers={
        "wrong sign": lambda h, bank, s: (s - _sigmoid(h @ bank.T / 2)) @ bank / 2,
        "the half forgotten": lambda h, bank, s: (_sigmoid(h @ bank.T / 2) - s) @ bank,
        "no half inside": lambda h, bank, s: (_sigmoid(h @ bank.T) - s) @ bank / 2,
        "the bank moves instead": lambda h, bank, s: (_sigmoid(h @ bank.T / 2) - s).T @ h / 2,
        "mean for sum": lambda h, bank, s: (_sigmoid(h @ bank.T / 2) - s) @ bank / 2 / len(bank),
    },
    remark=(
        "similar items pull the code towards their own, dissimilar ones push it away, and each by what is still "
        "missing."
    ),
)

VOTES = {
    "two to one": (np.array([[0.9, -0.2]]), np.array([[0.4, -0.6]]), np.array([[-0.1, 0.3]])),
    "one sure against two unsure": (np.array([[0.9, -0.95]]), np.array([[-0.2, 0.3]]), np.array([[-0.1, 0.4]])),
    "an even sum": (np.array([[0.5, -0.5]]), np.array([[-0.25, 0.25]]), np.array([[-0.25, 0.25]])),
    "two items": (np.array([[0.1], [-0.8]]), np.array([[-0.3], [0.2]]), np.array([[0.1], [0.5]])),
}


def best_code(label, image, text):
    return np.where(label + image + text >= 0, 1, -1)


q4 = Question(
    "31.q4",
    (
        "From the three relaxed codes, each (n, bits), give the B in {-1, +1} that makes the sum of the three J3 "
        "smallest; +1 if both are equal."
    ),
    check=function_equals(best_code, VOTES),
    solution=best_code,
    hints=[
        "Each bit stands for itself. Compare (h1 - 1)² + (h2 - 1)² + (h3 - 1)² with the same for +1 in place of -1.",
        "The squares cancel. What is left is -2 (h1 + h2 + h3) against +2 (h1 + h2 + h3).",
    ],
    wrong_answers={
        "majority of signs": lambda a, b, c: np.where(np.sign(a) + np.sign(b) + np.sign(c) >= 0, 1, -1),
        "LabNet alone": lambda a, b, c: np.where(a >= 0, 1, -1),
        "sign with zeros": lambda a, b, c: np.sign(a + b + c),
        "the opposite": lambda a, b, c: np.where(a + b + c >= 0, -1, 1),
        "not binary": lambda a, b, c: (a + b + c) / 3,
    },
    remark="a sure network outvotes two unsure ones: the sizes of H are the weights of the vote.",
)

quiz1 = Quiz(
    "31.quiz1",
    [
        Choice(
            "In one bit LabNet says +0.9, ImgNet +0.6 and TxtNet −0.4. What does J3 do to TxtNet?",
            [
                Option(
                    "It pulls the bit to −1, its nearest sign.",
                    "That is the own sign of each network, as in the official code. Here B is shared.",
                ),
                Option(
                    "It pulls the bit to +1.", "Yes: the sum is +1.1, so B is +1, and TxtNet was outvoted.", right=True
                ),
                Option(
                    "Nothing: it is LabNet that teaches.",
                    "LabNet teaches through J1 and J2. J3 has a say of its own: the distance to B.",
                ),
            ],
        ),
        Choice(
            "While ImgNet takes a step, what happens to LabNet?",
            [
                Option(
                    "It moves a little, since its codes are in ImgNet's loss.",
                    "They are in the loss as numbers out of the bank. No gradient reaches LabNet.",
                ),
                Option(
                    "It stands still.",
                    "Yes: the bank is detached, and ImgNet's optimiser holds ImgNet's weights only.",
                    right=True,
                ),
                Option("It is trained on the pictures too.", "LabNet reads labels, and only labels."),
            ],
        ),
        Choice(
            "With the shared B, what would a strong −η ask of ImgNet?",
            [
                Option("Codes near 0.", "Far from B is farther than 0: the distance grows beyond it."),
                Option(
                    "The opposite of B, bit by bit.",
                    "Yes: of all codes from −1 to 1, −B is the farthest from B.",
                    right=True,
                ),
                Option("Codes near B, but more slowly.", "The sign decides the direction, not the pace."),
            ],
        ),
    ],
)
