"""Questions of notebook 20, ADAH's attention masks."""

from __future__ import annotations

import torch

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals


def _drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SCORES = {
    "one picture": (_drawn(1, 6, seed=1),),
    "all places alike": (torch.zeros(1, 4),),
    "three pictures": (_drawn(3, 16, seed=2),),
    "one place has it all": (torch.tensor([[9.0, 0.0, 0.0, 0.0]]),),
}


def mask(M):
    P = torch.softmax(M, dim=1)
    return (P >= 1 / M.shape[1]).to(M.dtype)


q1 = Question(
    "20.q1",
    "Turn scores M of shape (n, places) into masks Z of 0 and 1, with the note's threshold 1/places.",
    check=function_equals(mask, SCORES),
    solution=mask,
    hints=[
        "A picture's probabilities sum to 1 over its places, so the softmax runs over axis 1.",
        "A place that sits on the threshold is on: compare with `>=`, then turn the answer into numbers.",
    ],
    wrong_answers={
        "a place on the threshold is off": lambda M: (torch.softmax(M, dim=1) > 1 / M.shape[1]).to(M.dtype),
        "softmax over the pictures": lambda M: (torch.softmax(M, dim=0) >= 1 / M.shape[1]).to(M.dtype),
        "threshold one half": lambda M: (torch.softmax(M, dim=1) >= 0.5).to(M.dtype),
        "scores compared, not probabilities": lambda M: (M >= 1 / M.shape[1]).to(M.dtype),
        "probabilities kept": lambda M: torch.softmax(M, dim=1) * (torch.softmax(M, dim=1) >= 1 / M.shape[1]),
    },
    remark="1/places is the mean of P, so a place is on when it gets at least the average.",
)

MAPS = {
    "two places": (torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), torch.tensor([[1.0, 0.0]])),
    "two pictures": (
        _drawn(2, 3, 2, 2, seed=3),
        torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64),
    ),
    "not square": (_drawn(1, 2, 2, 3, seed=4), torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)),
}


def split(f, Z):
    n, _, height, width = f.shape
    Z = Z.reshape(n, 1, height, width)
    return Z * f, (1 - Z) * f


q2 = Question(
    "20.q2",
    (
        "Split a feature map f of shape (n, C, H, W) by a mask Z of shape (n, H·W), places row by row: return "
        "attended and unattended features."
    ),
    check=function_equals(split, MAPS),
    solution=split,
    hints=[
        "All channels of a place share its mask. Bring Z to the shape (n, 1, H, W) and let it broadcast.",
        "The unattended part has the factor 1 - Z: together the two parts give f again.",
    ],
    wrong_answers={
        "the parts swapped": lambda f, Z: tuple(reversed(split(f, Z))),
        "columns before rows": lambda f, Z: split(
            f, Z.reshape(len(f), *f.shape[:1:-1]).transpose(1, 2).reshape(len(f), -1)
        ),
        "mask taken off the features": lambda f, Z: (split(f, Z)[0], f - Z.reshape(len(f), 1, *f.shape[2:])),
        "both parts attended": lambda f, Z: (split(f, Z)[0], split(f, Z)[0]),
    },
    remark=(
        "multiplied by 0 a place is still there, as a row of zeros. What the hashing module makes of zeros is its own "
        "matter."
    ),
)

SURROGATES = {
    "three places": (
        torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64),
        torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64),
    ),
    "eight places": (_drawn(8, seed=5), _drawn(8, seed=6)),
}


def straight_through(M, target):
    n, step = len(M), 1e-4
    P0 = torch.softmax(M, dim=0)
    Z0 = (P0 >= 1 / n).to(M.dtype)

    def loss(M):
        Z = Z0 + torch.softmax(M, dim=0) - P0
        return ((Z - target) ** 2).sum()

    return torch.stack([(loss(M + step * e) - loss(M - step * e)) / (2 * step) for e in torch.eye(n, dtype=M.dtype)])


def _from_autograd(loss):
    """A closed form for wrong answers: the gradient with respect to M of a loss of P."""

    def answer(M, target):
        M = M.clone().requires_grad_()
        P = torch.softmax(M, dim=0)
        return torch.autograd.grad(loss(M, P, (P >= 1 / len(M)).to(M.dtype), target), M)[0]

    return answer


q3 = Question(
    "20.q3",
    "For one picture and L = sum((Z - target)²), compute the straight-through gradient of L with respect to the "
    "scores M by central differences of the surrogate, in which Z is replaced by Z0 + P(M) - P0, with Z0 and P0 taken "
    "at the M that is given.",
    check=function_equals(straight_through, SURROGATES, tol=1e-5),
    solution=straight_through,
    hints=[
        "Z0 and P0 are constants: compute them once, before M is moved. Only P(M) follows M.",
        "Move one score up and down by a small step, and divide the difference of the two losses by twice the step.",
        "A step of 1e-4 is small enough here, and M comes in float64.",
    ],
    wrong_answers={
        "differences of the step itself": lambda M, target: torch.zeros_like(M),
        "P in the place of Z": _from_autograd(lambda M, P, Z, t: ((P - t) ** 2).sum()),
        "softmax left out": lambda M, target: 2 * ((torch.softmax(M, 0) >= 1 / len(M)).to(M.dtype) - target),
        "divided by the step once": lambda M, target: 2 * straight_through(M, target),
        "wrong sign": lambda M, target: -straight_through(M, target),
    },
    remark="the loss is taken at the real mask of 0 and 1; only the way back pretends that Z moves as P does.",
)

_ON = torch.tensor([True, True, False, False, True, False])
_TRUE = torch.tensor([True, False, True, False, True, True])
OVERLAPS = {
    "some meet": (_ON, _TRUE),
    "none meet": (torch.tensor([True, False, False]), torch.tensor([False, True, False])),
    "the mask is all on": (torch.ones(6, dtype=torch.bool), _TRUE),
    "the mask lies inside": (torch.tensor([True, False, False, False, False, False]), _ON),
}


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


q4 = Question(
    "20.q4",
    "Compute the intersection over union of two masks, bool tensors of one shape.",
    check=function_equals(iou, OVERLAPS),
    solution=iou,
    hints=["`&` gives the places that both have, `|` those that one of them has at least.", "Count both, and divide."],
    wrong_answers={
        "precision": lambda mask, truth: (mask & truth).sum() / mask.sum(),
        "recall": lambda mask, truth: (mask & truth).sum() / truth.sum(),
        "share of places that agree": lambda mask, truth: (mask == truth).float().mean(),
        "over the sum of the areas": lambda mask, truth: (mask & truth).sum() / (mask.sum() + truth.sum()),
    },
    remark=(
        "places that both leave off do not count: otherwise a picture that is mostly background would flatter every "
        "mask."
    ),
)

quiz1 = Quiz(
    "20.quiz1",
    [
        Choice(
            "The scores M of a picture are all equal. Which places does the note's threshold turn on?",
            [
                Option(
                    "None: nothing stands out.",
                    "A place on the threshold is on, and here all sit exactly there, up to rounding.",
                ),
                Option(
                    "All, as long as rounding plays along.",
                    (
                        "Yes: every P equals 1/(H·W). A hair of rounding below it turns a place off, so such a mask "
                        "says nothing."
                    ),
                    right=True,
                ),
                Option("About half.", "That would take scores that differ: equal ones are all treated alike."),
            ],
        ),
        Choice(
            "What does the straight-through estimator change?",
            [
                Option(
                    "The mask: it becomes soft in training.",
                    "No: the forward pass is exactly 0 and 1, in training too.",
                ),
                Option("The loss: a penalty is added.", "The loss stays as it is. What is replaced is a derivative."),
                Option(
                    "Only the backward pass: the step's derivative, 0 almost everywhere, becomes 1.",
                    "Yes. The gradient is then that of a surrogate, not of the loss itself.",
                    right=True,
                ),
            ],
        ),
        Choice(
            "A mask has a higher IoU than another. Does it attend better?",
            [
                Option(
                    "Yes, IoU measures just that.",
                    "IoU also grows with the area, until the mask is about as large as the truth. Look at both.",
                ),
                Option(
                    "Not before it is held against random masks of the same area.",
                    "Yes: a larger mask meets more of the truth by chance alone.",
                    right=True,
                ),
                Option("No, only recall counts.", "A mask that is all on has a recall of 1."),
            ],
        ),
    ],
)
