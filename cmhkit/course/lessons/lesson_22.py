"""Questions of notebook 22, ADAH's game."""

from __future__ import annotations

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

NAMES = (
    "text_features.first.weight",
    "image_attention.convolution.weight",
    "text_attention.layer.bias",
    "image_head.hashing.weight",
    "text_head.hashing.bias",
)
TOUCHES = {f"{name}, step {step}": (name, step) for step in ("d", "g") for name in NAMES}


def may_touch(name, step):
    belongs_to_g = "attention" in name
    return belongs_to_g if step == "g" else not belongs_to_g


q1 = Question(
    "22.q1",
    (
        'Say whether a step may change a parameter, given its name and the step: "d" for the step of E and D, "g" for '
        "the step of G."
    ),
    check=function_equals(may_touch, TOUCHES),
    solution=may_touch,
    hints=[
        "G's parameters have `attention` in their names. All others belong to E or D.",
        "Each parameter belongs to one player only.",
    ],
    wrong_answers={
        "the other way round": lambda name, step: ("attention" in name) == (step == "d"),
        "E and D's step trains all": lambda name, step: step == "d" or "attention" in name,
        "G's step trains E too": lambda name, step: ("head" not in name) if step == "g" else "attention" not in name,
        "pictures only": lambda name, step: (
            ("image_attention" in name) if step == "g" else "image_attention" not in name
        ),
    },
    remark="the gradient of E and D's loss reaches the masks as well; it is the optimiser that leaves them alone.",
)

LOSSES = {"both at work": (40.0, 9.5), "retrieval learned": (0.0, 12.0), "a dead adversarial hinge": (25.0, 0.0)}


def loss_of_g(retrieval, adversarial):
    return -adversarial


q2 = Question(
    "22.q2",
    (
        "An optimiser descends. Write the loss that it descends in G's step, from two sums: of the four retrieval "
        "terms, of the two adversarial ones."
    ),
    check=function_equals(loss_of_g, LOSSES),
    solution=loss_of_g,
    hints=["Which terms does the note put under max over G?", "To descend on -x is to ascend on x."],
    wrong_answers={
        "wrong sign": lambda retrieval, adversarial: adversarial,
        "all six terms": lambda retrieval, adversarial: -(retrieval + adversarial),
        "keeps retrieval good": lambda retrieval, adversarial: retrieval - adversarial,
        "the loss of E and D": lambda retrieval, adversarial: retrieval + adversarial,
    },
    remark="G never sees the retrieval terms: it is not asked for masks that retrieve well.",
)


def _square(top, left, size):
    mask = np.zeros((8, 8), bool)
    mask[top : top + size, left : left + size] = True
    return mask


OVERLAPS = {
    "half of it beside": (np.stack([_square(0, 0, 4)]), np.stack([_square(0, 2, 4)])),
    "mask inside the truth": (np.stack([_square(2, 2, 2)]), np.stack([_square(1, 1, 5)])),
    "two pictures": (np.stack([_square(0, 0, 2), _square(0, 0, 6)]), np.stack([_square(0, 0, 4), _square(3, 3, 3)])),
}


def iou(mask, truth):
    both = (mask & truth).sum(axis=(1, 2))
    either = (mask | truth).sum(axis=(1, 2))
    return both / either


q3 = Question(
    "22.q3",
    (
        "Compute the IoU of each picture: places in both over places in either. mask, truth: bool, shape (n, 8, 8). "
        "Return shape (n,)."
    ),
    check=function_equals(iou, OVERLAPS),
    solution=iou,
    hints=[
        "`mask & truth` are the places in both, `mask | truth` those in either.",
        "Sum over the last two axes, then divide.",
    ],
    wrong_answers={
        "precision": lambda mask, truth: (mask & truth).sum(axis=(1, 2)) / mask.sum(axis=(1, 2)),
        "recall": lambda mask, truth: (mask & truth).sum(axis=(1, 2)) / truth.sum(axis=(1, 2)),
        "share of equal places": lambda mask, truth: (mask == truth).mean(axis=(1, 2)),
        "one number for all": lambda mask, truth: (mask & truth).sum() / (mask | truth).sum(),
        "sum for union": lambda mask, truth: (
            (mask & truth).sum(axis=(1, 2)) / (mask.sum(axis=(1, 2)) + truth.sum(axis=(1, 2)))
        ),
    },
    remark=(
        "it is 1 only where mask and truth are the same, so neither a mask of all places nor one of a single place "
        "can win by size."
    ),
)

quiz1 = Quiz(
    "22.quiz1",
    [
        Choice(
            "What is the attention module G trained for?",
            [
                Option(
                    "For masks that cover the drawings.",
                    "No term of the loss knows where a drawing is. The truth is for reading only.",
                ),
                Option(
                    "For attended codes that retrieve well.",
                    "That is what E and D are trained for. G sees the two adversarial terms only.",
                ),
                Option(
                    "For a remainder, the unattended part, that retrieves badly.",
                    "Yes: it ascends on the hinge of attended queries against unattended codes.",
                    right=True,
                ),
            ],
        ),
        Choice(
            "A mask covers 30 % of the places, at random. The drawings cover 40 %. What is its precision, on average?",
            [
                Option("30 %", "That is its recall: of the drawings' places 30 % are hit on average."),
                Option(
                    "40 %",
                    "Yes: each place that it picks is a drawing's with chance .4, however many it picks.",
                    right=True,
                ),
                Option(
                    "12 %", "That is the share of places that are in both. Precision divides it by the mask's 30 %."
                ),
            ],
        ),
        Choice(
            (
                "Masks overlap the truth more after the game than before. May one conclude that retrieval is better "
                "than without attention?"
            ),
            [
                Option(
                    "Yes: the codes then read the drawings only.",
                    "Perhaps they do, but what a mask hides is also lost to the codes.",
                ),
                Option(
                    "No: it takes a comparison at equal options.",
                    "Yes. That is what the ablations are there for.",
                    right=True,
                ),
            ],
        ),
    ],
)
