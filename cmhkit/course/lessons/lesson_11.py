"""Questions of notebook 11, UGACH's two models."""

from __future__ import annotations

import torch

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals


def _tensor(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LAYERS = {
    "one input": (
        _tensor(1, 3, seed=1),
        _tensor(4, 3, seed=2),
        _tensor(4, seed=3),
        _tensor(2, 4, seed=4),
        _tensor(2, seed=5),
    ),
    "five inputs": (
        _tensor(5, 6, seed=6),
        _tensor(3, 6, seed=7),
        _tensor(3, seed=8),
        _tensor(8, 3, seed=9),
        _tensor(8, seed=10),
    ),
}


def two_layers(x, W_c, b_c, W_h, b_h):
    phi = torch.tanh(x @ W_c.T + b_c)
    return torch.sigmoid(phi @ W_h.T + b_h)


q1 = Question(
    "11.q1",
    "Compute the relaxed code h(x) from x and the two layers' weights.",
    check=function_equals(two_layers, LAYERS, tol=1e-5),
    solution=two_layers,
    hints=[
        "First the representation layer with tanh, then the hashing layer with a sigmoid.",
        "torch keeps a layer's weights as (outputs, inputs), so x of shape (n, inputs) meets `W_c.T`.",
    ],
    wrong_answers={
        "no tanh": lambda x, W_c, b_c, W_h, b_h: torch.sigmoid((x @ W_c.T + b_c) @ W_h.T + b_h),
        "tanh on both layers": lambda x, W_c, b_c, W_h, b_h: torch.tanh(torch.tanh(x @ W_c.T + b_c) @ W_h.T + b_h),
        "no offsets": lambda x, W_c, b_c, W_h, b_h: torch.sigmoid(torch.tanh(x @ W_c.T) @ W_h.T),
        "sigmoid on both layers": lambda x, W_c, b_c, W_h, b_h: torch.sigmoid(
            torch.sigmoid(x @ W_c.T + b_c) @ W_h.T + b_h
        ),
    },
    remark=(
        "the generator and the discriminator are both this function, once for pictures and once for texts, with their "
        "own weights."
    ),
)


def signs(h):
    return torch.where(h >= 0.5, 1, -1)


q2 = Question(
    "11.q2",
    "Turn relaxed codes, from 0 to 1, into signs, -1 or +1. A value of exactly 0.5 becomes +1.",
    check=function_equals(
        signs,
        {
            "one code": (torch.tensor([[0.2, 0.9, 0.51]]),),
            "on the threshold": (torch.tensor([[0.5, 0.0], [1.0, 0.49]]),),
        },
    ),
    solution=signs,
    hints=[
        "h lies between 0 and 1, so its own sign says nothing: where is the middle?",
        "`torch.where(condition, 1, -1)`, with a condition that holds at 0.5.",
    ],
    wrong_answers={
        "the sign of h": lambda h: torch.where(h >= 0, 1, -1),
        "zero on the threshold": lambda h: torch.sign(h - 0.5),
        "bits, not signs": lambda h: (h >= 0.5).int(),
        "the other way round": lambda h: torch.where(h >= 0.5, -1, 1),
    },
    remark="2b - 1 does the same to the bits b, and the sign of the hashing layer before its sigmoid gives it at once.",
)

POOLS = {
    "three items": (torch.tensor([0.1, 0.9]), torch.tensor([[0.1, 0.9], [0.5, 0.5], [0.9, 0.1]]), 1.0),
    "warm": (_tensor(4, seed=11), _tensor(6, 4, seed=12), 2.5),
    "cold": (_tensor(4, seed=13), _tensor(5, 4, seed=14), 0.3),
}


def p_theta(h_query, h_pool, temperature):
    distance = ((h_pool - h_query) ** 2).sum(1)
    return torch.softmax(-distance / temperature, dim=0)


q3 = Question(
    "11.q3",
    "Compute the generator's distribution over a pool, for one query.",
    check=function_equals(p_theta, POOLS, tol=1e-5),
    solution=p_theta,
    hints=[
        "One squared distance an item: sum over the bits, axis 1.",
        "The softmax is over the pool. Near items are to be likely, so the distance enters with a minus sign.",
        "`torch.softmax(-distance / temperature, dim=0)`",
    ],
    wrong_answers={
        "far items are likely": lambda q, pool, t: torch.softmax(((pool - q) ** 2).sum(1) / t, dim=0),
        "distance not squared": lambda q, pool, t: torch.softmax(-((pool - q) ** 2).sum(1).sqrt() / t, dim=0),
        "times the temperature": lambda q, pool, t: torch.softmax(-((pool - q) ** 2).sum(1) * t, dim=0),
        "not normalised": lambda q, pool, t: torch.exp(-((pool - q) ** 2).sum(1) / t),
        "mean for sum": lambda q, pool, t: torch.softmax(-((pool - q) ** 2).mean(1) / t, dim=0),
    },
    remark="a high temperature makes the choice more even, a low one makes it greedy.",
)

DISTANCES = {
    "told apart by more than the margin": (torch.tensor([0.5]), torch.tensor([4.0]), 1.0),
    "told apart by less": (torch.tensor([0.5, 2.0]), torch.tensor([1.0, 2.0]), 1.0),
    "the wrong way round, another margin": (torch.tensor([3.0, 0.0, 1.0]), torch.tensor([1.0, 3.0, 9.0]), 4.0),
}


def score(d_true, d_generated, margin):
    return torch.clamp(margin + d_true - d_generated, min=0)


q4 = Question(
    "11.q4",
    "Compute f_phi from the squared distances of the query to the true and to the generated item.",
    check=function_equals(score, DISTANCES),
    solution=score,
    hints=[
        "Read the formula: max(0, m + distance to the true item - distance to the generated one).",
        "`torch.clamp(…, min=0)` is max(0, …).",
    ],
    wrong_answers={
        "the two items swapped": lambda d_true, d_generated, margin: torch.clamp(margin + d_generated - d_true, min=0),
        "no hinge": lambda d_true, d_generated, margin: margin + d_true - d_generated,
        "margin outside the hinge": lambda d_true, d_generated, margin: (
            margin + torch.clamp(d_true - d_generated, min=0)
        ),
        "margin with the wrong sign": lambda d_true, d_generated, margin: torch.clamp(
            d_true - d_generated - margin, min=0
        ),
    },
    remark=(
        "f is 0 once the generated item is farther than the true one by m or more: then the discriminator has nothing "
        "left to learn from it."
    ),
)

quiz1 = Quiz(
    "11.quiz1",
    [
        Choice(
            "The squared distance of two relaxed codes that have become exactly 0 and 1 is …",
            [
                Option(
                    "their Hamming distance.", "Yes: each bit that differs adds 1, each that agrees adds 0.", right=True
                ),
                Option("twice their Hamming distance.", "A bit that differs adds (1 - 0)² = 1, not 2."),
                Option(
                    "their inner product.",
                    "The inner product counts the bits where both are 1; a distance counts the bits that differ.",
                ),
            ],
        ),
        Choice(
            "What is the lowest value that D(x|q) = sigmoid(f) can take?",
            [
                Option("0", "f is never below 0, because of the hinge, so its sigmoid does not get there."),
                Option(
                    "0.5",
                    (
                        "Yes: f = 0 gives 0.5. D is no probability that runs from 0 to 1, and a reward of D lies in a "
                        "narrow band."
                    ),
                    right=True,
                ),
                Option(
                    "It depends on the margin.",
                    "The margin moves the place where f reaches 0, but the value there is sigmoid(0).",
                ),
            ],
        ),
        Choice(
            "Why does the true pair's own term, log D(x^M|q), teach the discriminator nothing?",
            [
                Option("True pairs are rare.", "Their number does not matter: each one's gradient is zero."),
                Option(
                    "The two distances in f cancel: f is the constant m.",
                    "Yes. The true pair still teaches, but inside the term of the generated item.",
                    right=True,
                ),
                Option(
                    "The sigmoid is saturated there.",
                    "At m = 1 it is not. And without saturation the gradient would be zero all the same.",
                ),
            ],
        ),
    ],
)
