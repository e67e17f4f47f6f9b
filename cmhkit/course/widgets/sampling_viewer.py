r"""The sampling viewer: UGACH's generator chooses pictures from a pool, and the discriminator pays for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np

from cmhkit.course.widgets.base import Result, State, Widget, card, cards, img, mark
from cmhkit.support.checks import check, check_choice, check_integer

REWARDS = ("softplus", "sigmoid")
TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def generator_distribution(h_query: np.ndarray, h_pool: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    r"""UGACH's $p_\theta(x|q) = \mathrm{softmax}_x(-\lVert h(q)-h(x)\rVert^2 / T)$ over a pool.

    h_query: (K,). h_pool: (n, K). temperature: T > 0; the paper has 1. Returns (n,), sum 1.
    """
    logits = -((np.asarray(h_pool, float) - np.asarray(h_query, float)) ** 2).sum(axis=1) / temperature
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def reward_of(scores: np.ndarray, reward: str = "softplus") -> np.ndarray:
    r"""The reward of a draw: 'softplus', $\log(1+e^{f})$ (the paper), or 'sigmoid', $1/(1+e^{-f})$ (the official code).
    scores: f, any shape.
    """
    check_choice("reward", reward, REWARDS)
    f = np.asarray(scores, float)
    return np.logaddexp(0, f) if reward == "softplus" else np.exp(-np.logaddexp(0, -f))


@dataclasses.dataclass(frozen=True)
class SamplingResult(Result):
    """members: the pool's items. p: their probabilities, same order, sum 1. drawn: items in the order drawn. rewards:
    one a draw.

    effective: exp of p's entropy, the number of items over which p spreads.
    """

    members: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    p: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    drawn: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    rewards: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    effective: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class SamplingState(State):
    """A query, a pool of n items, and seeded draws with replacement.

    h_query: (q, K). h_pool: (n, K). scores: f_phi, (q, n). pool: size of the pool; the whole is a seeded shuffle of the
    n items cut off there.
    """

    inputs: ClassVar[Mapping[str, str]] = {
        "query": "query",
        "temperature": "temperature",
        "pool": "pool",
        "draws": "draws",
        "seed": "seed",
        "reward": "reward",
    }

    h_query: np.ndarray
    h_pool: np.ndarray
    scores: np.ndarray
    pictures: Any = None
    captions: Sequence[str] | None = None
    queries: Sequence[str] | None = None
    relevant: np.ndarray | None = None
    top: int = 12
    query: int = 0
    temperature: float = 1.0
    pool: int | None = None
    draws: int = 10
    seed: int = 0
    reward: str = "softplus"

    def __post_init__(self) -> None:
        q, pool, f = (
            np.atleast_2d(np.asarray(self.h_query, float)),
            np.asarray(self.h_pool, float),
            np.atleast_2d(np.asarray(self.scores, float)),
        )
        check(pool.ndim == 2 and len(pool) >= 2, f"h_pool: expected (n, K) with n at least 2, got {pool.shape}")
        check(
            q.ndim == 2 and q.shape[1] == pool.shape[1],
            f"h_query: expected (K,) or (q, K) with K = {pool.shape[1]}, got {np.shape(self.h_query)}",
        )
        check(
            f.shape == (len(q), len(pool)),
            f"scores: expected {(len(q), len(pool))}, one for each query and item, got {f.shape}",
        )
        for name, x in (("h_query", q), ("h_pool", pool), ("scores", f)):
            check(np.isfinite(x).all(), f"{name}: expected finite numbers")
            object.__setattr__(self, name, x)
        for name, count in (("pictures", len(pool)), ("captions", len(pool)), ("queries", len(q))):
            given = getattr(self, name)
            check(
                given is None or len(given) == count,
                f"{name}: expected {count} entries, got {0 if given is None else len(given)}",
            )
        if self.relevant is not None:
            known = np.atleast_2d(np.asarray(self.relevant)) > 0
            check(known.shape == f.shape, f"relevant: expected {f.shape}, got {known.shape}")
            object.__setattr__(self, "relevant", known)
        if self.pool is None:
            object.__setattr__(self, "pool", len(pool))
        check_integer("query", self.query, 0, len(q) - 1)
        check_integer("pool", self.pool, 2, len(pool))
        check_integer("draws", self.draws, 1, 1000)
        check_integer("seed", self.seed, 0, 2**32 - 1)
        check_integer("top", self.top, 1, 60)
        warm = isinstance(self.temperature, (int, float, np.number)) and not isinstance(self.temperature, bool)
        check(
            warm and 0 < self.temperature < np.inf, f"temperature: expected a number above 0, got {self.temperature!r}"
        )
        check_choice("reward", self.reward, REWARDS)

    @property
    def members(self) -> np.ndarray:
        """The pool's items in ascending order; with the same seed a smaller pool lies inside a larger one."""
        return np.sort(np.random.default_rng((self.seed, 1)).permutation(len(self.h_pool))[: self.pool])

    def query_words(self) -> str:
        """The query's name, or its number."""
        return f"“{self.queries[self.query]}”" if self.queries is not None else f"{self.query}"

    def _show(self) -> SamplingResult:
        members = self.members
        p = generator_distribution(self.h_query[self.query], self.h_pool[members], self.temperature)
        drawn = members[np.random.default_rng((self.seed, 2)).choice(len(members), size=self.draws, p=p)]
        f = self.scores[self.query]
        rewards = reward_of(f[drawn], self.reward)
        effective = float(np.exp(-(p[p > 0] * np.log(p[p > 0])).sum()))
        order = np.argsort(-p, kind="stable")[: self.top]
        made = []
        for place in order:
            item = int(members[place])
            times = int((drawn == item).sum())
            width = 100 * p[place] / p.max()
            hit = None if self.relevant is None else bool(self.relevant[self.query, item])
            bar = f'<div class="cmh-bar" aria-hidden="true"><span style="width:{width:.1f}%"></span></div>'
            paid = float(reward_of(f[item : item + 1], self.reward)[0])
            lines = [
                mark(hit),
                f"drawn {times} of {self.draws}",
                f"score f = {f[item]:.2f}",
                f"reward {paid:.2f}",
                self._caption(item, ""),
            ]
            made.append(card([f"p = {p[place]:.3f}", f"item {item}"], bar + self._picture(item), lines, hit))
        shown, rest = float(p[order].sum()), float(1 - p[order].sum())
        mean, expected = float(rewards.mean()), float(p @ reward_of(f[members], self.reward))
        draws = "".join(
            f"<tr><td>{i + 1}</td><td>{item}</td><td>{p[np.searchsorted(members, item)]:.3f}</td>"
            f"<td>{f[item]:.2f}</td><td>{r:.2f}</td></tr>"
            for i, (item, r) in enumerate(zip(drawn[:20], rewards[:20], strict=True))
        )
        heads = "".join(f"<th scope='col'>{h}</th>" for h in ("draw", "item", "p", "f", f"reward ({self.reward})"))
        more = f"<p class='cmh-dim'>The first 20 of {self.draws} draws.</p>" if self.draws > 20 else ""
        summary = (
            f"Query {self.query_words()}, pool of {self.pool}, temperature {self.temperature:g}: p spreads over about "
            f"{effective:.1f} items; {len(set(drawn.tolist()))} different items in {self.draws} draws, mean reward "
            f"{mean:.2f} (expected {expected:.2f})."
        )
        html = (
            f"<h4>The {len(order)} most likely of {self.pool}, together {shown:.3f} of the probability "
            f"(the other {self.pool - len(order)}: {rest:.3f})</h4>"
            f"{cards(made, 'items by probability, highest first')}<details open><summary>The draws, in order</summary>"
            f'<div class="cmh-scroll"><table><tr>{heads}</tr>{draws}</table></div>{more}</details>'
        )
        return SamplingResult(summary, html, members, p, drawn, rewards, effective)

    def _caption(self, item: int, default: str) -> str:
        return str(self.captions[item]) if self.captions is not None else default

    def _picture(self, item: int) -> str:
        if self.pictures is None:
            return ""
        return img(
            np.asarray(self.pictures[item]),
            f"Item {item}{': ' if self.captions is not None else ''}{self._caption(item, '')}",
        )


class SamplingViewer(Widget):
    """See p_theta over a pool, draw from it, and read the rewards.

    h_query: the query's layer output, (K,), or (q, K) for several. h_pool: the items', (n, K). scores: f_phi of each
    item, (n,) or (q, n). pictures: uint8 (n, R, R, 3). captions: n strings. queries: q strings. relevant: bool (n,) or
    (q, n), only for the marks. temperature: above 0. pool: how many of the items take part (a seeded choice; None:
    all). draws: with replacement. reward: 'softplus' or 'sigmoid'. top: cards shown. Raises `InputError` on shapes that
    do not fit and values outside their range.
    """

    title = "Sampling viewer"

    def __init__(
        self,
        h_query: Any,
        h_pool: Any,
        scores: Any,
        *,
        pictures: Any = None,
        captions: Sequence[str] | None = None,
        queries: Sequence[str] | None = None,
        relevant: Any = None,
        query: int = 0,
        temperature: float = 1.0,
        pool: int | None = None,
        draws: int = 10,
        seed: int = 0,
        reward: str = "softplus",
        top: int = 12,
    ) -> None:
        super().__init__(
            SamplingState(
                h_query,
                h_pool,
                scores,
                pictures,
                captions,
                queries,
                relevant,
                top,
                query,
                temperature,
                pool,
                draws,
                seed,
                reward,
            )
        )

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"temperature": t} for t in (0.2, 1.0, 5.0)]

    def _controls(self) -> list[ipw.Widget]:
        state = self._state
        if state.queries is not None:
            query: ipw.Widget = self.choice(
                "query",
                "query",
                [(f"{i}: {shorten(str(words), 44, placeholder='…')}", i) for i, words in enumerate(state.queries)],
            )
        else:
            query = self.number("query", "query", 0, max(1, len(state.h_query) - 1))
        steps = sorted({*TEMPERATURES, float(state.temperature)})
        warm = ipw.Dropdown(
            description="temperature",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto", margin="2px 16px 2px 0"),
        )
        warm.options = [(f"{t:g}", t) for t in steps]

        def offer(now: State) -> None:
            if now.temperature not in dict((t, 0) for _, t in warm.options):
                warm.options = [(f"{t:g}", t) for t in sorted({*(t for _, t in warm.options), float(now.temperature)})]

        self._bound.append(offer)
        self.bind(warm, "temperature", read=float)
        pool = self.number("pool", "pool size", 2, len(state.h_pool))
        draws = self.number("draws", "draws", 1, 100)
        again = ipw.Button(
            description="draw again",
            tooltip="the next seed: another pool and other draws",
            layout=ipw.Layout(width="auto"),
        )
        again.on_click(lambda _: self._from_control(seed=self._state.seed + 1))
        reward = self.choice("reward", "reward", [(r, r) for r in REWARDS])
        return [self.row(query, warm, reward), self.row(pool, draws, again)]
