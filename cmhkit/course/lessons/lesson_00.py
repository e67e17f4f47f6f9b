"""Questions of notebook 00, Start here."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

CASES = {
    "two of the first four": (np.array([True, False, True, False, True, True]), 4),
    "the first only": (np.array([True, False, False, False]), 1),
    "none among the first three": (np.array([False, False, False, True]), 3),
    "all of five": (np.array([True, True, False, True, True]), 5),
}


def precision(relevant, k):
    first = relevant[:k]
    return first.sum() / k


q1 = Question(
    "00.q1",
    "What share of the first k results is relevant?",
    check=function_equals(precision, CASES),
    solution=precision,
    hints=[
        "`relevant` is in the order of the results: take its first `k` entries with a slice.",
        "True counts as 1, so a sum counts the relevant ones. A share is that count divided by `k`.",
        "`relevant[:k].sum() / k`",
    ],
    wrong_answers={
        "count for share": lambda relevant, k: relevant[:k].sum(),
        "all results": lambda relevant, k: relevant.mean(),
        "the last k": lambda relevant, k: relevant[-k:].mean(),
        "share of the relevant ones": lambda relevant, k: relevant[:k].sum() / relevant.sum(),
        "off by one": lambda relevant, k: relevant[: k - 1].sum() / k,
    },
    remark="this is precision at k. It does not look at what stands behind place k; lesson 01 has measures that do.",
)

quiz1 = Quiz(
    "00.quiz1",
    [
        Choice(
            "A text finds pictures. What is compared?",
            [
                Option(
                    "The words of the text with the tags of each picture",
                    "No tag of a searched picture is read: only the picture's code is.",
                ),
                Option(
                    "The code of the text with the code of each picture",
                    "Yes: words and pictures get codes of the same length.",
                    right=True,
                ),
                Option(
                    "The words with the pixels",
                    "Words and pixels have no common measure. That is why both become codes.",
                ),
            ],
        ),
        Choice(
            "When does this course call a result relevant?",
            [
                Option(
                    "When its code equals the query's",
                    "That would let the method judge itself. Relevance never looks at codes.",
                ),
                Option(
                    "When it shares at least one label with the query",
                    "Yes. Labels are for judging; ITQ did not read them.",
                    right=True,
                ),
                Option("When it is the query's own partner", "A scene's own partner is not even in the searched set."),
            ],
        ),
        Choice(
            "You run a cell with a stub, and it says: not attempted. What next?",
            [
                Option("Repair the notebook before going on", "Nothing is broken. Later cells never need your answer."),
                Option(
                    "Replace the `...`, or go on and come back later",
                    "Yes. The notebook runs to its end either way.",
                    right=True,
                ),
            ],
        ),
    ],
)
