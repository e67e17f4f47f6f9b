"""UGACH's options and presets. docs/CHOICES.md lists them with the reasons."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from cmhkit.support.checks import check
from cmhkit.support.options import Options, choice, integer, margin, margin_for, real, share, switch


@attrs.frozen
class UGACHConfig(Options):
    """Every choice of UGACH, a field each: its default, the values it takes, what it means, and where it comes from."""

    headings: ClassVar[dict[str, str]] = {
        "networks": "hidden",
        "graphs": "k_image",
        "game": "margin",
        "schedule": "pretrain_steps",
    }
    gone: ClassVar[dict[str, Any]] = {
        "metric_image": "euclidean",
        "reject_positives": True,
        "generator_start": "random",
    }

    hidden: int = integer(512, least=1, help="units of the representation layer", source="code: 8192")
    init_std: float | None = real(
        None,
        above=0,
        optional=True,
        help="deviation of the first weights; none scales it by a layer's width",
        source="code: 0.1, truncated normal",
    )
    input_scaling: str = choice(
        "l2",
        "none",
        "standard",
        "standard-l2",
        help="vectors to length 1 (l2), or to z-scores of the training set (standard)",
        source="code: none; else ours",
    )
    k_image: int = integer(
        10, least=1, help="neighbours of a picture, itself counted", source="note: not said; code: 5"
    )
    k_text: int = integer(50, least=1, help="neighbours of a text, itself counted", source="note: not said; code: 5")
    metric_text: str = choice("cosine", "euclidean", help="distance between texts", source="code: euclidean")
    symmetric: bool = switch(False, help="make each graph undirected", source="note: true; code: false")
    margin: float | str = margin("K/8", help="m of the relevance score", source="note: 1; code: K/8")
    temperature: float = real(1.0, above=0, help="of the generator's distribution", source="note, code: 1")
    pool: int = integer(
        500,
        least=2,
        help="items of a step, which are its queries and its candidates",
        source="note: all; code: a random 1/50",
    )
    draws: int = integer(8, least=1, help="items drawn for a query", source="code: 2")
    positives: int = integer(8, least=1, help="related items of a query in a step", source="code: 1")
    reward: str = choice(
        "softplus", "sigmoid", help="what a drawn item earns the generator", source="derived: softplus; code: sigmoid"
    )
    baseline: str = choice(
        "mean", "none", help="taken off the reward: the mean of the query's other draws", source="code: none; else ours"
    )
    log_p: str = choice(
        "pool",
        "draws",
        help="what the generator's log p is normalised over",
        source="note: pool; code: draws, a defect",
    )
    negatives: str = choice(
        "generator",
        "uniform",
        help="who draws the discriminator's negatives; uniform is the ablation",
        source="note, code: generator",
    )
    pretrain_steps: int = integer(
        300, least=0, help="the discriminator's steps with uniform negatives", source="code, in epochs"
    )
    pretrain_positives: str = choice(
        "graph",
        "pair",
        help="positives before the game: related items, or the pair alone",
        source="code: pair; else ours",
    )
    rounds: int = integer(10, least=0, help="of the game", source="code: 30")
    d_steps: int = integer(20, least=1, help="the discriminator's steps in a round", source="code: 1 epoch")
    g_steps: int = integer(10, least=0, help="the generator's steps in a round", source="code: 2 epochs")
    optimiser: str = choice("adam", "sgd", help="of both players", source="code: sgd")
    lr_pretrain: float = real(1e-2, above=0, help="the discriminator's rate before the game", source="code: 0.01")
    lr_d: float = real(3e-3, above=0, help="the discriminator's rate in the game", source="code: 0.001")
    lr_g: float = real(3e-4, above=0, help="the generator's rate", source="code: 0.01")
    weight_decay: float = real(
        0.0, least=0, help="on the weights of every layer, times half their square", source="code: 0.01"
    )
    dropout: float = share(0.0, help="share of the inputs left out in the discriminator's steps", source="ours")

    def __attrs_post_init__(self) -> None:
        check(
            self.draws >= 2 or self.baseline == "none",
            "draws: expected at least 2, since baseline='mean' compares draws, got 1",
        )

    def margin_for(self, bits: int) -> float:
        """The margin m as a number."""
        return margin_for(self.margin, bits)


LAB = UGACHConfig()
#: What the paper's preset and the official code's share.
_PUBLISHED = UGACHConfig(
    hidden=8192,
    init_std=0.1,
    k_image=5,
    k_text=5,
    metric_text="euclidean",
    pool=300,
    draws=2,
    positives=1,
    optimiser="sgd",
    pretrain_steps=1000,
    rounds=30,
    d_steps=250,
    g_steps=500,
    lr_pretrain=0.01,
    lr_d=0.001,
    lr_g=0.01,
    baseline="none",
)
PAPER = attrs.evolve(_PUBLISHED, symmetric=True, margin=1.0, reward="softplus", log_p="pool")
OFFICIAL = attrs.evolve(
    _PUBLISHED,
    input_scaling="none",
    margin="K/8",
    reward="sigmoid",
    log_p="draws",
    pretrain_positives="pair",
    weight_decay=0.01,
)
PRESETS = {"lab": LAB, "paper": PAPER, "official": OFFICIAL}
