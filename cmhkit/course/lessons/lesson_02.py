"""Questions of notebook 02, pairs and protocol."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

WORDS = ("cat", "dog", "tree", "sun")
TEXTS = {
    "each word once": ("dog sun", WORDS),
    "a word said twice": ("tree cat tree", WORDS),
    "capital letters": ("Sun Cat", WORDS),
    "a longer word that holds a shorter one": ("catfish sunny dog", WORDS),
    "no word of the vocabulary": ("violin concert", WORDS),
}


def bag_of_words(text, words):
    said = set(text.lower().split())
    return np.array([word in said for word in words], dtype=np.float32)


def _counted(text, words):
    said = text.lower().split()
    return np.array([said.count(word) for word in words], dtype=np.float32)


q1 = Question(
    "02.q1",
    "Turn a text into a vector: 1 where the text holds the word of that column, else 0.",
    check=function_equals(bag_of_words, TEXTS),
    solution=bag_of_words,
    hints=[
        "Split the text into words first, then go through the columns.",
        "`text.lower().split()` gives the words. A set of them answers `word in said` for whole words.",
    ],
    wrong_answers={
        "counts instead of 0 and 1": _counted,
        "part of a word counts": lambda text, words: np.array(
            [word in text.lower() for word in words], dtype=np.float32
        ),
        "capital letters are another word": lambda text, words: np.array(
            [word in text.split() for word in words], dtype=np.float32
        ),
    },
    remark="words that the vocabulary does not have leave no trace. A text of such words only is a row of zeros.",
)

LABELS_A = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]])
LABELS_B = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]])
LABEL_CASES = {"five scenes and three scenes": (LABELS_A, LABELS_B), "the scenes with themselves": (LABELS_A, LABELS_A)}


def similar(labels_a, labels_b):
    shared = labels_a.astype(int) @ labels_b.astype(int).T
    return shared > 0


def _shares_half(labels_a, labels_b):
    shared = labels_a @ labels_b.T
    either = labels_a.sum(axis=1)[:, None] + labels_b.sum(axis=1)[None] - shared
    return shared / np.maximum(either, 1) >= 0.5


q2 = Question(
    "02.q2",
    (
        "S[i, j] is 1 where scene i of the first matrix and scene j of the second have at least one label in common, "
        "else 0."
    ),
    check=function_equals(similar, LABEL_CASES),
    solution=similar,
    hints=[
        "A product of two 0/1 rows, summed up, counts the labels that both have.",
        "`labels_a @ labels_b.T` has all the counts. One shared label is enough: compare with 0.",
    ],
    wrong_answers={
        "the count itself": lambda a, b: a @ b.T,
        "the share of labels in common, at least one half": _shares_half,
        "all labels are the same": lambda a, b: (a[:, None] == b[None]).all(axis=2),
        "absent in both counts as shared": lambda a, b: (a[:, None] == b[None]).any(axis=2),
    },
    remark="the last scene has no label. It is similar to nothing, not even to itself.",
)

PARTS = {
    "clean": ({"query": np.array([0, 1, 2]), "retrieval": np.array([3, 4, 5, 6]), "train": np.array([3, 4])},),
    "a query in the retrieval set": (
        {"query": np.array([2, 0, 1]), "retrieval": np.array([1, 3, 4, 5]), "train": np.array([3, 4])},
    ),
    "a query in the training set": (
        {"query": np.array([0, 1, 2]), "retrieval": np.array([3, 4, 5]), "train": np.array([2, 3])},
    ),
    "three queries, in different places": (
        {"query": np.array([9, 7, 0]), "retrieval": np.array([7, 3, 9]), "train": np.array([0, 3, 7])},
    ),
}


def leaked(parts):
    elsewhere = np.concatenate([parts["retrieval"], parts["train"]])
    return np.intersect1d(parts["query"], elsewhere)


q3 = Question(
    "02.q3",
    (
        "Find the leaks: the positions of all query pairs that are in the retrieval set or in the training set, in "
        "rising order."
    ),
    check=function_equals(leaked, PARTS),
    solution=leaked,
    hints=[
        "A query must stand in neither of the other two parts. Look at both.",
        (
            "`np.concatenate` joins the two parts; `np.intersect1d` gives what two arrays have in common, sorted and "
            "each once."
        ),
    ],
    wrong_answers={
        "the training set is not looked at": lambda parts: np.intersect1d(parts["query"], parts["retrieval"]),
        "the retrieval set is not looked at": lambda parts: np.intersect1d(parts["query"], parts["train"]),
        "training against retrieval": lambda parts: np.intersect1d(parts["train"], parts["retrieval"]),
        "how many instead of which": lambda parts: len(
            np.intersect1d(parts["query"], np.concatenate([parts["retrieval"], parts["train"]]))
        ),
    },
    remark="training pairs may be in the retrieval set, as is usual. Queries may not.",
)

CHANCE_CASES = {
    "two queries, three items": (np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 1], [0, 1]])),
    "one common label, one rare": (
        np.array([[1, 0, 0], [1, 0, 1], [1, 1, 0]]),
        np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    ),
}


def chance_level(query_labels, database_labels):
    relevant = (query_labels @ database_labels.T) > 0
    return relevant.mean()


q4 = Question(
    "02.q4",
    (
        "What precision does a ranking in random order have? Give the mean over queries of the share of the database "
        "that is relevant."
    ),
    check=function_equals(chance_level, CHANCE_CASES),
    solution=chance_level,
    hints=[
        "Take any item at random: how likely is it relevant to the query?",
        "Make S between queries and database, then take its mean.",
    ],
    wrong_answers={
        "one over the number of labels": lambda query, database: 1 / query.shape[1],
        "shared labels are counted twice": lambda query, database: (query @ database.T).mean(),
        "the share of ones in the labels": lambda query, database: database.mean(),
        "the sum instead of the mean": lambda query, database: ((query @ database.T) > 0).sum(),
    },
    remark="a figure of MAP says little until you know this number.",
)

quiz1 = Quiz(
    "02.quiz1",
    [
        Choice(
            "Why does the vocabulary come from the training texts only?",
            [
                Option(
                    "To keep it small.",
                    "Its size is an option of its own. All texts together could be cut to 1000 words as well.",
                ),
                Option(
                    "Because the queries stand for texts that nobody has seen yet.",
                    (
                        "Yes. A real query comes after training. Its new words have no column, and the score should "
                        "show that."
                    ),
                    right=True,
                ),
                Option(
                    "Because query texts have no labels.",
                    "They do have labels, for scoring. The vocabulary does not use labels.",
                ),
            ],
        ),
        Choice(
            "Paper A reports a MAP of 0.60 on one data set, paper B 0.40 on another. Which method is better?",
            [
                Option("A's.", "Perhaps half of A's database is relevant to any query. Then 0.60 is little."),
                Option("B's.", "B's chance level may be lower. That alone does not make it better."),
                Option(
                    "Nobody can tell from these two numbers.",
                    "Yes: same data, same split, same bits, or no comparison.",
                    right=True,
                ),
            ],
        ),
        Choice(
            "A method tries ten settings, and reports the one with the best MAP on the query set. What is wrong?",
            [
                Option(
                    "Nothing: all ten were trained on the training set.",
                    "The choice itself was made on the queries. The best of ten is partly luck.",
                ),
                Option(
                    "The queries took part in the choice.",
                    (
                        "Yes. Settings are chosen on pairs set aside from the training set; the queries are asked "
                        "once, at the end."
                    ),
                    right=True,
                ),
                Option("Ten settings are too few.", "More settings make it worse: there is more luck to pick from."),
            ],
        ),
    ],
)
