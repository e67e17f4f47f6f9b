"""Questions of notebook 10, UGACH's correlation graph."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

BAGS = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]], dtype=float)


def cosine_distance(a, b):
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return 1.0 if length == 0 else 1 - a @ b / length


def _unit_product(a, b):
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return 0.0 if length == 0 else a @ b / length


q1 = Question(
    "10.q1",
    (
        "The cosine distance of two bags of words: 1 minus their cosine. A text without a known word is at distance 1 "
        "from every other."
    ),
    check=function_equals(
        cosine_distance,
        {
            "two words, both in the other text too": (BAGS[0], BAGS[1]),
            "nothing in common": (BAGS[0], BAGS[2]),
            "the same words": (BAGS[1], BAGS[1]),
            "a text without a known word": (BAGS[0], BAGS[3]),
            "one word of two in common": (BAGS[0], BAGS[4]),
        },
    ),
    solution=cosine_distance,
    hints=[
        "The inner product of two 0/1 vectors counts the words in common. What makes it a cosine?",
        "Divide by the product of both lengths, `np.linalg.norm(a) * np.linalg.norm(b)`. Mind a length of 0.",
    ],
    wrong_answers={
        "the cosine, not the distance": _unit_product,
        "not divided by the lengths": lambda a, b: 1 - a @ b,
        "divided by the number of words in both": lambda a, b: 1 - a @ b / max(a.sum() + b.sum(), 1),
        "empty texts divide by zero": lambda a, b: (
            1 - a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12) if b.any() else 0.0
        ),
    },
    remark="how long a text is has no part in it: only the direction counts.",
)

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [3.5, 0.2], [9.0, 1.0]])
TWINS = np.array([[2.0], [0.0], [2.0], [3.5], [2.0]])
POINT_CASES = {
    "two neighbours each": (POINTS, 2),
    "one neighbour each": (POINTS, 1),
    "three items in the same place": (TWINS, 2),
}


def neighbours(x, k):
    square = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.fill_diagonal(square, np.inf)
    return np.argsort(square, axis=1, kind="stable")[:, :k]


def _square(x):
    return ((x[:, None] - x[None]) ** 2).sum(axis=2)


def _farthest(x, k):
    square = _square(x)
    np.fill_diagonal(square, -np.inf)
    return np.argsort(-square, axis=1, kind="stable")[:, :k]


q2 = Question(
    "10.q2",
    (
        "The k nearest others of every row of x, nearest first, by Euclidean distance; of equal distances the lower "
        "index first. Shape (n, k)."
    ),
    check=function_equals(neighbours, POINT_CASES),
    solution=neighbours,
    hints=[
        "Make all squared distances, an (n, n) array. The square root does not change the order.",
        "To leave an item out of its own list, set the diagonal to infinity: `np.fill_diagonal(square, np.inf)`.",
        "Then `np.argsort(square, axis=1, kind='stable')[:, :k]`.",
    ],
    wrong_answers={
        "the item itself is in its list": lambda x, k: np.argsort(_square(x), axis=1, kind="stable")[:, :k],
        "the first column is dropped, which need not be the item": lambda x, k: np.argsort(
            _square(x), axis=1, kind="stable"
        )[:, 1 : k + 1],
        "farthest first": _farthest,
        "down the columns": lambda x, k: neighbours(x, k).T,
    },
    remark=(
        "dropping the first column is right only while no two items lie in the same place. The case of the three "
        "twins shows it."
    ),
)

LISTS = np.array([[1, 2], [0, 2], [3, 1], [2, 0]])
LIST_LABELS = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
FLOCK = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
AGREEMENT_CASES = {
    "four items, two neighbours each": (LISTS, LIST_LABELS),
    "everybody next to everybody": (FLOCK, LIST_LABELS),
    "an item without labels": (LISTS, LIST_LABELS * np.array([[1], [1], [1], [0]])),
}


def agreement(neighbours, labels):
    shared = (labels[:, None] * labels[neighbours]).sum(axis=2)
    return (shared > 0).mean()


q3 = Question(
    "10.q3",
    (
        "The share of (item, neighbour) pairs that have at least one label in common. neighbours: (n, k) row numbers. "
        "labels: (n, c), 0 or 1."
    ),
    check=function_equals(agreement, AGREEMENT_CASES),
    solution=agreement,
    hints=[
        "`labels[neighbours]` has the shape (n, k, c): the labels of every neighbour.",
        (
            "Multiply by `labels[:, None]` and sum over the last axis: the labels in common. Compare with 0, then "
            "take the mean."
        ),
    ],
    wrong_answers={
        "the mean number of labels in common": lambda near, labels: (labels[:, None] * labels[near]).sum(axis=2).mean(),
        "labels that neither has count too": lambda near, labels: (labels[:, None] == labels[near]).any(axis=2).mean(),
        "all labels must be the same": lambda near, labels: (labels[:, None] == labels[near]).all(axis=2).mean(),
        "the number of pairs instead of their share": lambda near, labels: (
            (labels[:, None] * labels[near]).sum(axis=2) > 0
        ).sum(),
    },
    remark="compare it with chance, always: with frequent labels even a graph of random edges agrees often.",
)

EDGES = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]], dtype=bool)
EDGE_CASES = {"union": (EDGES, "union"), "intersection": (EDGES, "intersection")}


def symmetrise(edges, how):
    if how == "union":
        return edges | edges.T
    return edges & edges.T


q4 = Question(
    "10.q4",
    (
        "Make a directed graph undirected. edges: bool (n, n). how: 'union' joins p and q where either lists the "
        "other, 'intersection' where both do."
    ),
    check=function_equals(symmetrise, EDGE_CASES),
    solution=symmetrise,
    hints=[
        "The transpose of the matrix has all edges turned round.",
        "`|` is or, `&` is and, item by item.",
    ],
    wrong_answers={
        "union and intersection the other way round": lambda edges, how: (
            edges & edges.T if how == "union" else edges | edges.T
        ),
        "always the union": lambda edges, how: edges | edges.T,
        "a sum, so that mutual edges count 2": lambda edges, how: (
            edges.astype(int) + edges.T if how == "union" else edges & edges.T
        ),
        "two steps along the graph": lambda edges, how: (edges.astype(int) @ edges.T.astype(int)) > 0,
    },
    remark=(
        "after that nobody has exactly k neighbours any more: the union gives at least k, the intersection at most k."
    ),
)

quiz1 = Quiz(
    "10.quiz1",
    [
        Choice(
            "What does UGACH learn from?",
            [
                Option("From labels.", "None is read. In this notebook labels only measure what the graph is worth."),
                Option(
                    "From pairs, and from nearness within each modality.",
                    "Yes. A near neighbour of an item's picture or text counts as related to it.",
                    right=True,
                ),
                Option("From pairs alone.", "CCA does that. The graph adds that neighbours are related as well."),
            ],
        ),
        Choice(
            "You make k larger and larger. What happens to the agreement of the graph?",
            [
                Option("It rises to 1.", "A larger k adds neighbours that are farther off."),
                Option(
                    "It falls towards the chance level.",
                    "Yes. With k = n - 1 everybody is a neighbour, and agreement is chance exactly.",
                    right=True,
                ),
                Option("It falls to 0.", "Even random pairs share a label sometimes. That is chance."),
            ],
        ),
        Choice(
            "Neighbours by picture mostly show the same drawing. Why is a graph of texts worth having beside it?",
            [
                Option(
                    "It relates scenes with other drawings of the same concept, which no picture tells.",
                    "Yes. Words are shared by drawings that look nothing alike.",
                    right=True,
                ),
                Option(
                    "Its edges are always more often right.",
                    "At a small k they need not be. They are right about other pairs.",
                ),
                Option(
                    "It makes the graph symmetric.", "Symmetry is a matter of union or intersection, not of modality."
                ),
            ],
        ),
    ],
)
