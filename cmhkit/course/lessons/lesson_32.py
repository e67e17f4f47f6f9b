"""Questions of notebook 32, SSAH's adversarial part."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

RATINGS = {
    "sure and right": (np.array([0.9, 0.95]), np.array([0.1, 0.05])),
    "sure and wrong": (np.array([0.2, 0.1]), np.array([0.7, 0.9])),
    "more pictures than labels": (np.array([0.6]), np.array([0.5, 0.3, 0.1])),
}


def discriminator_loss(d_label, d_image):
    return ((d_label - 1) ** 2).sum() + ((d_image - 0) ** 2).sum()


q1 = Question(
    "32.q1",
    (
        "Write the squared error of a discriminator from its outputs D: for LabNet's features, whose target y is 1, "
        "and for the pictures', whose y is 0."
    ),
    check=function_equals(discriminator_loss, RATINGS),
    solution=discriminator_loss,
    hints=[
        "Each output has its own target: square the differences, one by one.",
        "Sum over the features of labels, sum over those of pictures, add.",
    ],
    wrong_answers={
        "targets the other way round": lambda d_label, d_image: (d_label**2).sum() + ((d_image - 1) ** 2).sum(),
        "both rated 1": lambda d_label, d_image: ((d_label - 1) ** 2).sum() + ((d_image - 1) ** 2).sum(),
        "mean for sum": lambda d_label, d_image: ((d_label - 1) ** 2).mean() + (d_image**2).mean(),
        "not squared": lambda d_label, d_image: np.abs(d_label - 1).sum() + np.abs(d_image).sum(),
        "labels only": lambda d_label, d_image: ((d_label - 1) ** 2).sum(),
    },
    remark="where D is sure and right the loss is nearly 0: it has then nothing left to learn.",
)


def slopes(d):
    minus_squared = -2 * d * d * (1 - d)
    flipped_squared = -2 * (1 - d) * d * (1 - d)
    minus_entropy = -d
    flipped_entropy = -(1 - d)
    return minus_squared, flipped_squared, minus_entropy, flipped_entropy


q2 = Question(
    "32.q2",
    "Give the slope dT/dz of the four terms of one picture, D = sigmoid(z), y = 0, in the order of the table: "
    "minus squared, flipped squared, minus cross-entropy, flipped cross-entropy.",
    check=function_equals(slopes, {"undecided": (0.5,), "nearly sure": (0.1,), "sure": (0.001,), "fooled": (0.9,)}),
    solution=slopes,
    hints=[
        "dD/dz = D (1 - D). The four terms are -D², (1 - D)², log(1 - D) and -log D.",
        "For the first: dT/dD = -2 D, so dT/dz = -2 D · D (1 - D). In the cross-entropies a factor cancels.",
    ],
    wrong_answers={
        "wrong sign": lambda d: tuple(-slope for slope in slopes(d)),
        "slope with respect to D": lambda d: (-2 * d, -2 * (1 - d), -1 / (1 - d), -1 / d),
        "minus and flipped swapped": lambda d: (*slopes(d)[1::-1], *slopes(d)[:1:-1]),
        "the factor 2 is lost": lambda d: (-d * d * (1 - d), -(1 - d) * d * (1 - d), -d, -(1 - d)),
    },
    remark=(
        "all four are below 0: each raises z, that is D. They differ in how hard they pull, and most where D is near 0."
    ),
)

STEPS = {
    f"{step}, {adversarial}": (step, adversarial)
    for step in ("LabNet", "discriminators", "ImgNet", "TxtNet")
    for adversarial in ("flows", "detached", "none")
}
JUDGE = {"ImgNet": "image discriminator", "TxtNet": "text discriminator"}


def changed(step, adversarial):
    if step == "discriminators":
        return set() if adversarial == "none" else {"image discriminator", "text discriminator"}
    found = {step}
    if adversarial == "detached" and step != "LabNet":
        found.add(JUDGE[step])
    return found


def _check_changed(answer):
    for case, (step, adversarial) in STEPS.items():
        expected = changed(step, adversarial)
        got = answer(step, adversarial)
        if not isinstance(got, set | frozenset | list | tuple):
            return f"{case}: expected a set of names, got {got!r}."
        if set(got) != expected:
            return f"{case}: expected {sorted(expected) or 'nothing'}, got {sorted(map(str, got)) or 'nothing'}."
    return None


def _whatever_the_gradient_reaches(step, adversarial):
    parts = changed(step, adversarial)
    return parts | {JUDGE[step]} if adversarial == "flows" and step in JUDGE else parts


q3 = Question(
    "32.q3",
    'Which parts does a step change? step: "LabNet", "discriminators", "ImgNet" or "TxtNet". adversarial: "flows", '
    '"detached" or "none". Return a set of these names: "LabNet", "ImgNet", "TxtNet", "image discriminator", "text '
    'discriminator".',
    check=_check_changed,
    solution=changed,
    hints=[
        "Without the term there are no discriminators to train. The step of a network changes this network.",
        "With `detached` the step of ImgNet also trains the image discriminator, on the flipped target.",
    ],
    wrong_answers={
        "whatever the gradient reaches": _whatever_the_gradient_reaches,
        "detached changes no discriminator": lambda step, adversarial: changed(
            step, "flows" if adversarial == "detached" else adversarial
        ),
        "discriminators without a game": lambda step, adversarial: changed(
            step, "flows" if step == "discriminators" else adversarial
        ),
        "the other discriminator": lambda step, adversarial: (
            {"TxtNet", "image discriminator"}
            if (step, adversarial) == ("TxtNet", "detached")
            else changed(step, adversarial)
        ),
    },
    remark=(
        "the gradient of the term also reaches the discriminator when it flows; the optimiser of that step does not "
        "hold its weights."
    ),
)

CLOUDS = {
    "three points and two": (np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 4.0], [3.0, 0.0]])),
    "the same points": (np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[3.0, 5.0], [1.0, 2.0]])),
    "equal means": (np.array([[-1.0], [1.0]]), np.array([[-4.0], [4.0]])),
}


def energy(a, b):
    def mean_distance(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=2).mean()

    return 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b)


def _mean_distance(x, y, power=1):
    return (np.linalg.norm(x[:, None] - y[None], axis=2) ** power).mean()


q4 = Question(
    "32.q4",
    "Compute the energy distance of two samples. a: shape (n, d). b: shape (m, d). Return a number.",
    check=function_equals(energy, CLOUDS),
    solution=energy,
    hints=[
        (
            "`np.linalg.norm(a[:, None] - b[None], axis=2)` holds all distances, shape (n, m); the formula wants "
            "their mean."
        ),
        (
            "Twice the mean between the samples, minus the mean within a, minus the mean within b. Pairs of an item "
            "with itself count."
        ),
    ],
    wrong_answers={
        "between, once": lambda a, b: _mean_distance(a, b) - _mean_distance(a, a) - _mean_distance(b, b),
        "squared distances": lambda a, b: (
            2 * _mean_distance(a, b, 2) - _mean_distance(a, a, 2) - _mean_distance(b, b, 2)
        ),
        "distance of the means": lambda a, b: np.linalg.norm(a.mean(0) - b.mean(0)),
        "only one sample within": lambda a, b: 2 * _mean_distance(a, b) - 2 * _mean_distance(a, a),
        "between only": lambda a, b: 2 * _mean_distance(a, b),
    },
    remark="with squared distances it would be twice the squared distance of the means, and blind to all the rest.",
)

quiz1 = Quiz(
    "32.quiz1",
    [
        Choice(
            "A discriminator is sure and right: D is 0.001 for every picture. Which term still pulls?",
            [
                Option("minus, squared", "Its slope is about -2 D², here two millionths."),
                Option(
                    "flipped, squared", "Its slope is about -2 D. That is better than D², and still nearly nothing."
                ),
                Option("flipped, cross-entropy", "Yes: its slope is -(1 - D), nearly -1.", right=True),
            ],
        ),
        Choice(
            (
                "At the end the training's own discriminator rates half of the pictures wrong. Do pictures and labels "
                "now have the same features?"
            ),
            [
                Option(
                    "Yes: nobody can tell them apart.",
                    "One discriminator cannot. It learned from features that have moved since.",
                ),
                Option(
                    "Not necessarily: ask one that starts afresh.",
                    (
                        "Yes. A network may leave the region that its discriminator knows, and not come nearer to "
                        "LabNet for that."
                    ),
                    right=True,
                ),
            ],
        ),
        Choice(
            (
                "In the published code the features reach the discriminator through a placeholder. What does its "
                "adversarial term do for ImgNet?"
            ),
            [
                Option(
                    "It moves ImgNet's features towards LabNet's.", "For that a gradient would have to reach ImgNet."
                ),
                Option(
                    "Nothing: it only teaches the discriminator the flipped target.",
                    "Yes: the features come in as numbers.",
                    right=True,
                ),
                Option(
                    "It moves LabNet's features towards ImgNet's.",
                    "LabNet's features come in through a placeholder as well.",
                ),
            ],
        ),
    ],
)
