"""Questions of notebook 40, side by side."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

RUNS = {
    "five seeds": ([0.41, 0.40, 0.42, 0.43, 0.39],),
    "two seeds": ([0.30, 0.34],),
    "no difference at all": ([0.25, 0.25, 0.25],),
}


def mean_and_deviation(runs):
    runs = np.asarray(runs)
    return runs.mean(), runs.std(ddof=1)


q1 = Question(
    "40.q1",
    (
        "runs: the MAP of several seeds. Return the mean and the standard deviation, as an estimate from a sample "
        "(divide by n - 1)."
    ),
    check=function_equals(mean_and_deviation, RUNS),
    solution=mean_and_deviation,
    hints=[
        "The mean is one of the n numbers that the deviations are made from, so one of them is not free.",
        "`np.std(…, ddof=1)`",
    ],
    wrong_answers={
        "divides by n": lambda runs: (np.mean(runs), np.std(runs)),
        "the variance": lambda runs: (np.mean(runs), np.var(runs, ddof=1)),
        "the error of the mean": lambda runs: (np.mean(runs), np.std(runs, ddof=1) / np.sqrt(len(runs))),
        "the best run": lambda runs: (np.max(runs), np.std(runs, ddof=1)),
        "the range": lambda runs: (np.mean(runs), np.ptp(runs)),
    },
    remark="with five seeds the deviation itself is known to about a third only.",
)

PAIRED = {
    "seeds move both": ([0.40, 0.44, 0.42, 0.46], [0.39, 0.42, 0.41, 0.44]),
    "b is the better": ([0.30, 0.32, 0.31], [0.35, 0.36, 0.38]),
    "two seeds": ([0.5, 0.6], [0.4, 0.4]),
}


def paired_difference(a, b):
    differences = np.asarray(a) - np.asarray(b)
    return differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))


q2 = Question(
    "40.q2",
    (
        "a, b: the MAP of two methods at the same seeds. Return the mean of the differences a - b, seed by seed, and "
        "its standard error."
    ),
    check=function_equals(paired_difference, PAIRED),
    solution=paired_difference,
    hints=[
        "First subtract, then look at the spread of what is left.",
        "The standard error is the deviation (n - 1) over the root of n.",
    ],
    wrong_answers={
        "as if the seeds had nothing in common": lambda a, b: (
            np.mean(a) - np.mean(b),
            np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b)),
        ),
        "wrong sign": lambda a, b: (np.mean(b) - np.mean(a), np.std(np.subtract(a, b), ddof=1) / np.sqrt(len(a))),
        "the deviation, not the error": lambda a, b: (np.mean(a) - np.mean(b), np.std(np.subtract(a, b), ddof=1)),
        "best against best": lambda a, b: (np.max(a) - np.max(b), np.std(np.subtract(a, b), ddof=1) / np.sqrt(len(a))),
    },
    remark=(
        "a seed that is lucky for both cancels; so where the two share their start and their batches, equal seeds say "
        "more than different ones."
    ),
)

LISTS = {
    "some in common": ([7, 3, 9, 4, 1], [3, 8, 7, 5, 2], 3),
    "the same in another order": ([1, 2, 3, 4], [4, 3, 2, 1], 4),
    "in common beyond the cut only": ([1, 2, 3, 4], [5, 6, 1, 2], 2),
    "shorter cut": ([10, 11, 12], [12, 11, 10], 1),
}


def overlap(first, second, k):
    return len(set(first[:k]) & set(second[:k])) / k


q3 = Question(
    "40.q3",
    (
        "first and second are two rankings, best first, as lists of rows. Which share of the first k of one is among "
        "the first k of the other?"
    ),
    check=function_equals(overlap, LISTS),
    solution=overlap,
    hints=["Cut both lists at k before you compare.", "Sets forget the order: `set(a) & set(b)`."],
    wrong_answers={
        "the same place only": lambda first, second, k: (
            sum(a == b for a, b in zip(first[:k], second[:k], strict=False)) / k
        ),
        "over the union": lambda first, second, k: (
            len(set(first[:k]) & set(second[:k])) / len(set(first[:k]) | set(second[:k]))
        ),
        "one list not cut": lambda first, second, k: len(set(first[:k]) & set(second)) / k,
        "a count": lambda first, second, k: len(set(first[:k]) & set(second[:k])),
    },
    remark=(
        "two methods of equal precision may well find different items; then each knows something that the other does "
        "not."
    ),
)

PROTOCOLS = {
    "same but for the network": (
        {"data": "A", "queries": 2000, "network": "CNN-F"},
        {"data": "A", "queries": 2000, "network": "VGG-19"},
    ),
    "one is silent": ({"data": "A", "queries": 2000, "ties": "expected"}, {"data": "A", "queries": 2000}),
    "both are silent on one": ({"data": "A", "queries": None}, {"data": "A", "queries": None}),
    "equal": ({"data": "A", "queries": 5000}, {"data": "A", "queries": 5000}),
}


def differs(a, b):
    return sorted(name for name in {*a, *b} if a.get(name) is None or a.get(name) != b.get(name))


q4 = Question(
    "40.q4",
    (
        "a and b are protocols, dicts. Return the sorted names of the entries that may differ: unequal, or not said "
        "(missing or None) by either."
    ),
    check=function_equals(differs, PROTOCOLS),
    solution=differs,
    hints=[
        "What is not said cannot be taken as equal.",
        "Go through the names of both: `{*a, *b}`. `a.get(name)` is None where nothing is said.",
    ],
    wrong_answers={
        "silence is consent": lambda a, b: sorted(name for name in {*a} & {*b} if a[name] != b[name]),
        "two silences agree": lambda a, b: sorted(name for name in {*a, *b} if a.get(name) != b.get(name)),
        "what agrees": lambda a, b: sorted(name for name in {*a} & {*b} if a[name] == b[name]),
        "names of a only": lambda a, b: sorted(name for name in a if name not in b or a[name] != b[name]),
    },
    remark="an empty list is the least that one may ask for before two figures stand in one table.",
)

quiz1 = Quiz(
    "40.quiz1",
    [
        Choice(
            "UGACH has the lowest MAP of the three papers here. Is it the weakest idea?",
            [
                Option(
                    "Yes: MAP decides.",
                    (
                        "MAP compares what was run. UGACH was not told a single label; the two others were told all "
                        "of them."
                    ),
                ),
                Option(
                    "The figures do not say.",
                    "Yes. It answers another question: what can be had without labels. Compare it with CCA and ITQ.",
                    right=True,
                ),
            ],
        ),
        Choice(
            "Method A beats B by .004 at one seed. The standard deviation over seeds is .006 for both. What next?",
            [
                Option(
                    "Report that A is better.",
                    "A difference that is smaller than what another seed brings may well have the other sign tomorrow.",
                ),
                Option(
                    "Run the best seed of each again.",
                    "To choose a seed by its score is to choose by luck, and on the queries at that.",
                ),
                Option(
                    "Run both with several equal seeds, and look at the differences.",
                    "Yes: the mean difference with its error.",
                    right=True,
                ),
            ],
        ),
        Choice(
            (
                "An option was swept over five values, and each was scored on the queries. The best value's MAP is "
                "then reported. What is wrong?"
            ),
            [
                Option(
                    "Nothing, if all five are printed.",
                    "Printing them is honest, but the reported figure was chosen on the very queries that score it.",
                ),
                Option(
                    "The choice has seen the queries.",
                    (
                        "Yes. Choose on pairs held out of the training set, then score once. The sweeps of this "
                        "lesson ask held-out pairs."
                    ),
                    right=True,
                ),
                Option(
                    "Five values are too few.",
                    "More values would make it worse: the best of many is luck all the more.",
                ),
            ],
        ),
    ],
)
