"""Questions of notebook 21, ADAH's losses."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, close, function_equals

LABELS = {
    "one label each": (np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), 0),
    "several labels": (np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 1]]), 0),
    "another anchor": (np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 1]]), 3),
}


def triplets(labels, i):
    similar = labels @ labels[i] > 0
    n = range(len(labels))
    return np.array([(j, k) for j in n for k in n if similar[j] and not similar[k]])


def _swapped(labels, i):
    return triplets(labels, i)[:, ::-1]


def _all_labels(labels, i):
    same, n = (labels == labels[i]).all(1), range(len(labels))
    return np.array([(j, k) for j in n for k in n if same[j] and not same[k]])


def _without_own(labels, i):
    rows = triplets(labels, i)
    return rows[rows[:, 0] != i]


q1 = Question(
    "21.q1",
    "List the triplets of one anchor: rows (j, k) with S(i,j) > S(i,k), in ascending order.",
    check=function_equals(triplets, LABELS),
    solution=triplets,
    hints=[
        "S(i,j) > S(i,k) can hold in one way only: S(i,j) = 1 and S(i,k) = 0.",
        "Items are similar when they share at least one label: `labels @ labels[i] > 0`. An item is similar to itself.",
    ],
    wrong_answers={
        "j and k swapped": _swapped,
        "all labels must agree": _all_labels,
        "j = i left out": _without_own,
    },
    remark="an anchor with p similar items among B has p (B - p) triplets.",
)

q2 = Question(
    "21.q2",
    (
        "Similar items at distances 1 and 2.5, dissimilar ones at 2 and 3, margin 1: give the sum of the hinges and "
        "the number of active triplets."
    ),
    check=close((2.0, 2)),
    solution=(2.0, 2),
    code="# 1 + 1 - 2 = 0,  1 + 1 - 3 < 0,  1 + 2.5 - 2 = 1.5,  1 + 2.5 - 3 = 0.5\n(2.0, 2)",
    hints=[
        "There are 2 times 2 triplets: write margin + d_ij - d_ik for each, and put 0 where it is negative.",
        "Active is what lies above zero. One of the four is exactly zero.",
    ],
    wrong_answers={
        "the zero counted as active": (2.0, 3),
        "no margin": (0.5, 1),
        "no hinge": (1.0, 2),
        "the two distances swapped": (5.0, 3),
        "mean for sum": (0.5, 2),
    },
    remark="the two active triplets both hold the far similar item: it is the one that has to move.",
)

ROWS = {
    "three and four": (np.array([0.5, 2.0, 3.5]), np.array([1.0, 2.0, 3.0, 6.0]), 1.0),
    "ties on the threshold": (np.array([1.0, 1.0]), np.array([2.0, 2.0, 2.0, 2.5]), 1.0),
    "all active": (np.array([4.0]), np.array([0.0, 1.0]), 2.0),
    "none": (np.array([0.0, 0.25]), np.array([5.0, 5.0]), 1.0),
}


def count_active(near, sorted_far, margin):
    return np.searchsorted(sorted_far, near + margin, side="left").sum()


q3 = Question(
    "21.q3",
    (
        "Count the active triplets of one anchor from the distances of its similar items and the sorted distances of "
        "its dissimilar ones."
    ),
    check=function_equals(count_active, ROWS),
    solution=count_active,
    hints=[
        "A similar item at distance d is active with each dissimilar one strictly below d + margin.",
        '`np.searchsorted(sorted_far, x, side="left")` counts the entries strictly below x, for every x at once.',
    ],
    wrong_answers={
        "ties counted as active": lambda near, far, margin: np.searchsorted(far, near + margin, side="right").sum(),
        "no margin": lambda near, far, margin: np.searchsorted(far, near).sum(),
        "those above": lambda near, far, margin: (len(far) - np.searchsorted(far, near + margin)).sum(),
        "one count an item": lambda near, far, margin: np.searchsorted(far, near + margin),
    },
    remark="one sort and a search for each similar item took the place of a loop over pairs.",
)

_SIX = {"TI", "IT", "II", "TT", "TI^", "IT^"}


def _step_terms(answer):
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        return "two sets of names are asked for, one for each step."
    for step, got, right in zip(("E and D", "G"), answer, (_SIX, {"TI^", "IT^"}), strict=True):
        if isinstance(got, str):
            return f"a set of names is asked for the step of {step}, and a single text came."
        got = set(got)
        if unknown := sorted(map(str, got - _SIX)):
            return f"{', '.join(unknown)}: no such term. The names are {', '.join(sorted(_SIX))}."
        if missing := sorted(right - got):
            return f"the step of {step} also uses {', '.join(missing)}."
        if extra := sorted(got - right):
            return f"the step of {step} does not use {', '.join(extra)}."
    return None


q4 = Question(
    "21.q4",
    "Name the terms in the loss of each step, as two sets: of E and D, and of G.",
    check=_step_terms,
    solution=(_SIX, {"TI^", "IT^"}),
    code='({"TI", "IT", "II", "TT", "TI^", "IT^"}, {"TI^", "IT^"})',
    hints=[
        "Step one minimises the whole objective over E and D. Step two maximises a part of it over G.",
        "G's part are the terms in which unattended codes stand, the ones with a hat.",
    ],
    wrong_answers={
        "E and D without the adversarial terms": ({"TI", "IT", "II", "TT"}, {"TI^", "IT^"}),
        "G on all six": (_SIX, _SIX),
        "the steps swapped": ({"TI^", "IT^"}, _SIX),
        "one direction only": (_SIX, {"TI^"}),
    },
    remark="both steps touch the two adversarial terms, with opposite signs: that is the game.",
)

quiz1 = Quiz(
    "21.quiz1",
    [
        Choice(
            "A batch is doubled, and the share of similar pairs stays. How many times more triplets does it have?",
            [
                Option("2", "That is the number of anchors."),
                Option("4", "That is the number of pairs, and of distances."),
                Option(
                    "8", "Yes: twice the anchors, twice the similar and twice the dissimilar items of each.", right=True
                ),
            ],
        ),
        Choice(
            "Sorting computes the same sum as the triple loop …",
            [
                Option(
                    "approximately, by leaving out easy triplets.",
                    "Nothing is left out: inactive triplets add exactly 0 to either sum.",
                ),
                Option(
                    "exactly.",
                    "Yes: every active triplet is counted, and each distance is multiplied by its count.",
                    right=True,
                ),
                Option(
                    "only without ties.",
                    (
                        "With ties too. A triplet on the threshold adds 0, and the side of the search says whether it "
                        "counts."
                    ),
                ),
            ],
        ),
        Choice(
            "No adversarial triplet is active. What does the step of G do under plain gradient ascent?",
            [
                Option(
                    "It changes nothing.",
                    "Yes: the loss is the constant 0 near this point, so its gradient is 0.",
                    right=True,
                ),
                Option("It turns the masks round.", "It would have to be pushed, and a hinge of 0 does not push."),
                Option("It makes the loss negative.", "A hinge is never below 0, and G wants the loss large."),
            ],
        ),
    ],
)
