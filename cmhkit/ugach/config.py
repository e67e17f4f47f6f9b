"""UGACH's options and presets. docs/CHOICES.md lists them with the reasons."""

from __future__ import annotations

from typing import ClassVar

import attrs

from cmhkit.support.checks import check
from cmhkit.support.options import Options, choice, integer, margin, real, share, switch


@attrs.frozen
class UGACHConfig(Options):
    """Every choice of UGACH, a field each: its default, the values it takes, what it means, and where it comes from."""

    headings: ClassVar = {"networks": "hidden", "graphs": "k_image", "game": "margin", "schedule": "pretrain_steps"}
    gone: ClassVar = {"metric_image": "euclidean", "reject_positives": True, "generator_start": "random"}

    hidden: int = integer(512, "units of the representation layer", "code: 8192", least=1)
    init_std: float | None = real(
        None,
        "deviation of the first weights; none scales it by a layer's width",
        "code: 0.1, truncated normal",
        above=0,
        optional=True,
    )
    input_scaling: str = choice(
        ("l2", "none", "standard"),
        "vectors to length 1 (l2), or to z-scores of the training set (standard)",
        "code: none; else ours",
    )
    k_image: int = integer(10, "neighbours of a picture, itself counted", "note: not said; code: 5", least=1)
    k_text: int = integer(50, "neighbours of a text, itself counted", "note: not said; code: 5", least=1)
    metric_text: str = choice(("cosine", "euclidean"), "distance between texts", "code: euclidean")
    symmetric: bool = switch(False, "make each graph undirected", "note: true; code: false")
    margin: float | str = margin("K/8", "m of the relevance score", "note: 1; code: K/8")
    temperature: float = real(1.0, "of the generator's distribution", "note, code: 1", above=0)
    pool: int = integer(
        500, "items of a step, which are its queries and its candidates", "note: all; code: a random 1/50", least=2
    )
    draws: int = integer(8, "items drawn for a query", "code: 2", least=1)
    positives: int = integer(8, "related items of a query in a step", "code: 1", least=1)
    reward: str = choice(
        ("softplus", "sigmoid"), "what a drawn item earns the generator", "derived: softplus; code: sigmoid"
    )
    baseline: str = choice(
        ("mean", "none"), "taken off the reward: the mean of the query's other draws", "code: none; else ours"
    )
    log_p: str = choice(
        ("pool", "draws"), "what the generator's log p is normalised over", "note: pool; code: draws, a defect"
    )
    negatives: str = choice(
        ("generator", "uniform"),
        "who draws the discriminator's negatives; uniform is the ablation",
        "note, code: generator",
    )
    pretrain_steps: int = integer(300, "the discriminator's steps with uniform negatives", "code, in epochs", least=0)
    pretrain_positives: str = choice(
        ("graph", "pair"), "positives before the game: related items, or the pair alone", "code: pair; else ours"
    )
    rounds: int = integer(10, "of the game", "code: 30", least=0)
    d_steps: int = integer(20, "the discriminator's steps in a round", "code: 1 epoch", least=1)
    g_steps: int = integer(10, "the generator's steps in a round", "code: 2 epochs", least=0)
    optimiser: str = choice(("adam", "sgd"), "of both players", "code: sgd")
    lr_pretrain: float = real(1e-2, "the discriminator's rate before the game", "code: 0.01", above=0)
    lr_d: float = real(3e-3, "the discriminator's rate in the game", "code: 0.001", above=0)
    lr_g: float = real(3e-4, "the generator's rate", "code: 0.01", above=0)
    weight_decay: float = real(0.0, "on the weights of every layer, times half their square", "code: 0.01", least=0)
    dropout: float = share(0.0, "share of the inputs left out in the discriminator's steps", "ours")

    def __attrs_post_init__(self) -> None:
        check(
            self.draws >= 2 or self.baseline == "none",
            "draws: expected at least 2, since baseline='mean' compares draws, got 1",
        )


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
