"""Questions of notebook 12, UGACH's game."""

from __future__ import annotations

from typing import Any

import torch

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, difference, function_equals


def reward(f):
    return torch.log(1 + torch.exp(f))


q1 = Question(
    "12.q1",
    "Write the reward of a drawn item, -log(1 - D) with D = sigmoid(f), as a function of the score f.",
    check=function_equals(
        reward, {"no score": (torch.tensor([0.0]),), "some scores": (torch.tensor([0.2, 1.0, 3.0]),)}, tol=1e-5
    ),
    solution=reward,
    hints=[
        "1 - sigmoid(f) = 1 / (1 + exp(f)).",
        "The minus sign turns the fraction over: -log(1 / a) = log(a). torch calls the result softplus.",
    ],
    wrong_answers={
        "D itself, as in the official code": lambda f: torch.sigmoid(f),
        "-log D": lambda f: -torch.log(torch.sigmoid(f)),
        "log(1 - D), without the minus": lambda f: torch.log(1 - torch.sigmoid(f)),
        "f itself": lambda f: f,
    },
    remark="for a large f it grows like f, and it is never below log 2, since f is never below 0.",
)


def surrogate(log_probability, reward):
    return -(reward.detach() * log_probability).mean()


def _surrogate_check(answer: Any) -> str | None:
    if not callable(answer):
        return "a function is asked for."
    scores = torch.tensor([[0.3, -1.0], [2.0, 0.1], [-0.5, 0.8]], requires_grad=True)
    taken = torch.log_softmax(scores, dim=1)
    pay = torch.nn.functional.softplus(scores)  # depends on the same weights, so a reward that is not held fixed shows
    got, expected = answer(taken, pay), surrogate(taken, pay)
    reason = difference(got, expected, 1e-5)
    if reason is not None:
        return f"the value: {reason}"
    if not isinstance(got, torch.Tensor) or not got.requires_grad:
        return "the result has no gradient: only the reward is to be held fixed, not the log probability."
    pairs = ((torch.autograd.grad(value, scores, retain_graph=True)[0]) for value in (got, expected))
    reason = difference(*pairs, 1e-5)
    return None if reason is None else f"the value is right, the gradient is not; is the reward held fixed? {reason}"


q2 = Question(
    "12.q2",
    "Write the loss whose gradient is the score-function estimate: descending it must raise the expected reward. "
    "Take the mean over all draws; the reward is a constant.",
    check=_surrogate_check,
    solution=surrogate,
    hints=[
        "The estimate of the gradient of E[r] is the mean of r times the gradient of log p.",
        "An optimiser descends, and the reward is to grow: one minus sign is needed.",
        "`reward.detach()` holds the reward fixed.",
    ],
    wrong_answers={
        "wrong sign": lambda log_probability, reward: (reward.detach() * log_probability).mean(),
        "sum for mean": lambda log_probability, reward: -(reward.detach() * log_probability).sum(),
        "p in place of log p": lambda log_probability, reward: -(reward.detach() * log_probability.exp()).mean(),
        "gradient through the reward": lambda log_probability, reward: -(reward * log_probability).mean(),
    },
    remark="its value means nothing by itself; only its gradient does.",
)

REWARDS = {
    "two draws": (torch.tensor([[1.0, 3.0]]),),
    "four draws, two queries": (torch.tensor([[0.0, 1.0, 2.0, 5.0], [1.0, 1.0, 1.0, 2.0]]),),
}


def leave_one_out(reward):
    others = reward.sum(1, keepdim=True) - reward
    return others / (reward.shape[1] - 1)


q3 = Question(
    "12.q3",
    (
        "Compute the baseline of each draw: the mean reward of the same query's other draws. reward has the shape "
        "(queries, draws)."
    ),
    check=function_equals(leave_one_out, REWARDS, tol=1e-5),
    solution=leave_one_out,
    hints=[
        "The sum over a query's draws, less the draw's own reward, is the sum of the others.",
        "There are `reward.shape[1] - 1` others.",
    ],
    wrong_answers={
        "mean of all, its own reward too": lambda reward: reward.mean(1, keepdim=True).expand_as(reward),
        "over the queries": lambda reward: (reward.sum(0, keepdim=True) - reward) / max(len(reward) - 1, 1),
        "divided by all": lambda reward: (reward.sum(1, keepdim=True) - reward) / reward.shape[1],
        "already subtracted": lambda reward: reward - (reward.sum(1, keepdim=True) - reward) / (reward.shape[1] - 1),
    },
    remark="a draw's own reward must stay out of its baseline: with it inside, the estimate shrinks by (s - 1) / s.",
)

FAR = {
    "near items": (torch.tensor([[0.5, 1.0, 2.0]]),),
    "two queries": (torch.tensor([[0.0, 3.0], [4.0, 1.0]]),),
    "far items": (torch.tensor([[2000.0, 2001.0, 2003.0]]),),
}


def log_p(distance):
    return torch.log_softmax(-distance, dim=1)


q4 = Question(
    "12.q4",
    (
        "Compute log p_theta from squared distances of shape (queries, pool), at temperature 1, so that it holds for "
        "large distances too."
    ),
    check=function_equals(log_p, FAR, tol=1e-5),
    solution=log_p,
    hints=[
        "exp(-2000) is 0 in floating point, and log 0 is minus infinity. Do not go through p.",
        "log p = -distance - logsumexp(-distance) over the pool; torch has a function for the whole.",
    ],
    wrong_answers={
        "through p": lambda distance: torch.log(torch.exp(-distance) / torch.exp(-distance).sum(1, keepdim=True)),
        "not normalised": lambda distance: -distance,
        "over the queries": lambda distance: torch.log_softmax(-distance, dim=0),
        "far items are likely": lambda distance: torch.log_softmax(distance, dim=1),
        "p, not its logarithm": lambda distance: torch.softmax(-distance, dim=1),
    },
    remark="log_softmax subtracts the largest entry first, so that nothing under- or overflows.",
)

quiz1 = Quiz(
    "12.quiz1",
    [
        Choice(
            "Why does the generator need REINFORCE, when the discriminator trains by plain back-propagation?",
            [
                Option("Its networks are larger.", "They have the same shape as the discriminator's."),
                Option(
                    "Its output is a choice of one item, and a choice has no derivative.",
                    "Yes. The probability of the choice has one, and the score function makes use of it.",
                    right=True,
                ),
                Option("It sees no labels.", "Neither does the discriminator."),
            ],
        ),
        Choice(
            "What does a leave-one-out baseline change in the gradient estimate?",
            [
                Option(
                    "Its mean.",
                    (
                        "A baseline that does not depend on the draw itself has mean effect 0: the gradient of log p "
                        "has mean 0."
                    ),
                ),
                Option(
                    "Its variance.",
                    "Yes: the mean stays the exact gradient, and the estimates lie closer to it.",
                    right=True,
                ),
                Option(
                    "Nothing, since the mean is the same.",
                    (
                        "Two estimates with the same mean can differ in how far they stray, and training takes one "
                        "step after each."
                    ),
                ),
            ],
        ),
        Choice(
            "Someone runs thirty rounds and reports the round with the best MAP on the query set. What is wrong?",
            [
                Option(
                    "Nothing: MAP is what counts.",
                    (
                        "The query labels took part in the choice, so the figure no longer tells how it goes on new "
                        "queries."
                    ),
                ),
                Option(
                    "Thirty rounds are too few.",
                    "The number is not the point. The more rounds there are to choose from, the larger the error.",
                ),
                Option(
                    "The choice was made with the labels it is measured by.",
                    "Yes. Report the last round, or choose on items that are in no query set.",
                    right=True,
                ),
            ],
        ),
    ],
)
