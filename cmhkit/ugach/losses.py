r"""UGACH's equations, one function each.

Names: q is a query, $x^M$ an item that the correlation graph relates to it, $x^G$ an item that the generator drew, h
the relaxed codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    r"""Pairwise $\lVert a_i - b_j \rVert^2$. a: (n, bits). b: (m, bits). Returns (n, m), at least 0."""
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None, :] - 2 * a @ b.T).clamp_min(0)


def generator_log_probability(query: Tensor, pool: Tensor, temperature: float = 1.0) -> Tensor:
    r"""The generator's distribution over a pool of candidates, as logarithms.

    $$p_\theta(x \mid q)
    = \frac{\exp(-\lVert h(q) - h(x) \rVert^2 / T)}{\sum_{x'} \exp(-\lVert h(q) - h(x') \rVert^2 / T)}$$

    query: h(q), shape (n, bits). pool: h(x), shape (m, bits). temperature: T, 1 in the note. Returns (n, m); each row's
    exponentials sum to 1.
    """
    return F.log_softmax(-squared_distance(query, pool) / temperature, dim=1)


def relevance_score(distance_true: Tensor, distance_generated: Tensor, margin: float) -> Tensor:
    r"""How little the generated item can be told from the related one; also the discriminator's triplet hinge.

    $$f_\phi(x^G, q) = \max\big(0,\; m + \lVert h(q) - h(x^M) \rVert^2 - \lVert h(q) - h(x^G) \rVert^2\big)$$

    distance_true: to $x^M$. distance_generated: to $x^G$. Any shapes that broadcast. margin: m.
    With $x^M$ in both places it is the constant m, so the "true" part of the value function has no gradient.
    """
    return F.relu(margin + distance_true - distance_generated)


def discriminator_probability(score: Tensor) -> Tensor:
    r"""$D(x \mid q) = \operatorname{sigmoid}(f_\phi(x, q))$. Any shape."""
    return torch.sigmoid(score)


def value_function(score_true: Tensor, score_generated: Tensor) -> Tensor:
    r"""The value of the game, averaged over what is given.

    $$\mathbb{E}[\log D(x^M \mid q)] + \mathbb{E}[\log(1 - D(x^G \mid q))]$$

    score_true: $f_\phi(x^M, q)$, which is m. score_generated: $f_\phi(x^G, q)$. The generator minimises it, the
    discriminator maximises it.
    """
    return F.logsigmoid(score_true).mean() + F.logsigmoid(-score_generated).mean()


def discriminator_loss(distance_true: Tensor, distance_generated: Tensor, margin: float) -> Tensor:
    r"""What the discriminator minimises: the mean triplet hinge $f_\phi(x^G, q)$.

    Its descent direction is that of maximising $\log(1 - D(x^G \mid q))$ with the factor sigmoid(f) left out, as the
    official code does.
    """
    return relevance_score(distance_true, distance_generated, margin).mean()


def generator_reward(score: Tensor, kind: str = "softplus") -> Tensor:
    r"""What the generator earns for a drawn item, a constant for its gradient.

    "softplus": $\log(1 + e^{f})$, which is $-\log(1 - D)$, so that the gradient is that of the value function.
    "sigmoid": D itself, from 0.5 to 1, as the official code has it.
    """
    return F.softplus(score) if kind == "softplus" else torch.sigmoid(score)


def policy_loss(log_probability: Tensor, reward: Tensor, baseline: str = "none") -> Tensor:
    r"""REINFORCE: a loss whose mean gradient is that of $-\mathbb{E}_{x \sim p_\theta}[\text{reward}]$.

    $$-\frac{1}{n s} \sum_{q} \sum_{x \in \text{draws}} (r(x) - b)\, \log p_\theta(x \mid q)$$

    log_probability: of the drawn items, shape (n, s). reward: shape (n, s). baseline: "none", or "mean", for each draw
    the mean reward of the query's other draws, which leaves the mean gradient as it is; it needs s of at least 2.
    """
    reward = reward.detach()
    if baseline == "mean":
        s = reward.shape[1]
        reward = reward - (reward.sum(1, keepdim=True) - reward) / (s - 1)
    return -(reward * log_probability).mean()


def expected_reward_loss(log_probability: Tensor, reward: Tensor) -> Tensor:
    r"""The exact counterpart of `policy_loss`: $-\sum_x p_\theta(x \mid q)\, r(x)$, averaged over queries.

    log_probability, reward: over the whole pool, shape (n, m).
    """
    return -(log_probability.exp() * reward.detach()).sum(1).mean()


def draws_log_probability(log_probability: Tensor, drawn: Tensor, over: str = "pool") -> Tensor:
    r"""The log probability of drawn items, shape (n, s).

    log_probability: over the pool, shape (n, m). drawn: positions in the pool, shape (n, s).
    over: "pool" keeps $\log p_\theta$ as the note defines it; "draws" normalises over the drawn items only, as the
    official code does (a defect).
    """
    taken = log_probability.gather(1, drawn)
    return taken if over == "pool" else F.log_softmax(taken, dim=1)
