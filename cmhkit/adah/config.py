"""ADAH's options and presets. docs/CHOICES.md lists them with the reasons."""

from __future__ import annotations

from typing import ClassVar

import attrs

from cmhkit.support.options import Options, choice, integer, margin, path, real, share, switch


@attrs.frozen
class ADAHConfig(Options):
    """Every choice of ADAH, a field each: its default, the values it takes, what it means, and where it comes from."""

    headings: ClassVar = {
        "features": "backbone",
        "attention": "attention",
        "hashing": "readout",
        "loss": "margin",
        "schedule": "epochs",
    }
    gone: ClassVar = {
        "train_backbone": True,
        "image_map": "pool5",
        "alpha_image": None,
        "alpha_text": None,
        "weight_decay": 0.0,
        "through_masks": True,
    }

    backbone: str = choice(
        ("scenenet", "vgg19"), "E of pictures: SceneNet, frozen, from cached maps; or VGG-19, trained", "note: VGGNet"
    )
    weights: str | None = path(
        None, "file of VGG-19's weights; none starts it untrained, and says so", "ours: ImageNet's"
    )
    side: int = integer(224, "of VGG-19's pictures, in pixels", "ours: its own", least=1)
    text_hidden: int = integer(1024, "units of the first layer of E of texts", "note: not said", least=1)
    text_width: int = integer(512, "d, units of its second layer", "note: not said", least=1)
    attention: str = choice(
        ("adversarial", "frozen", "none"),
        "G as the note has it; as it starts, at random; or none: all is attended",
        "note: adversarial",
    )
    mask_spread: float = real(1.0, "deviation of an item's scores M over its places at the start", "ours", above=0)
    mask_scaling: str = choice(
        ("standard", "none"),
        "standard keeps that deviation for every item throughout; none leaves M as the layer gives it",
        "note: none; else ours",
    )
    readout: str = choice(
        ("posterior", "scores"), "of SceneNet's scores: the square root of their softmax, or themselves", "ours"
    )
    image_hidden: int = integer(
        512, "units of a layer between SceneNet and the tanh layer; 0 for none", "ours", least=0
    )
    margin: float | str = margin("K/2", "ε of the triplet hinge", "note: not said")
    distance: str = choice(("squared", "norm"), "between codes", "note: norm")
    reduction: str = choice(("mean", "sum"), "over the triplets", "note: sum")
    own: bool = switch(True, "whether an item's own pair, and itself within a modality, counts as j", "note: not said")
    epochs: int = integer(25, "passes of E and D over the training set", "note: not said", least=1)
    batch: int = integer(128, "pairs of a step", "note: not said", least=2)
    d_steps: int = integer(1, "batches of E and D, before G steps on the last of them", "note: not said", least=1)
    g_steps: int = integer(1, "steps of G in turn", "note: not said", least=0)
    optimiser: str = choice(("adam", "sgd"), "of both players", "note: not said")
    lr: float = real(2e-3, "rate of E and D", "note: not said", above=0)
    lr_g: float = real(1e-2, "rate of G of pictures", "note: not said", above=0)
    lr_g_text: float = real(1e-4, "rate of G of texts, which has d² weights", "note: not said", above=0)
    lr_backbone: float = real(1e-4, "rate of VGG-19's layers", "note: not said", above=0)
    lr_decay: str = choice(("linear", "none"), "of all rates, over the epochs: linear to 0", "ours")
    dropout: float = share(0.1, "share of the text vectors and of SceneNet's readout left out in training", "ours")
    game_query: str = choice(
        ("given", "free"), "in G's step the query's code is a constant; free lets G spoil it", "note: given"
    )


LAB = ADAHConfig()
#: What the note says, as it says it: the norm, the sum, VGG-19. What it leaves open is a guess for a GPU that nothing
#: has measured yet.
PAPER = attrs.evolve(
    LAB,
    backbone="vgg19",
    mask_scaling="none",
    text_hidden=8192,
    text_width=4096,
    margin="K/8",
    distance="norm",
    reduction="sum",
    epochs=50,
    batch=64,
    lr=1e-4,
    lr_g=1e-3,
    lr_backbone=1e-5,
)
PRESETS = {"lab": LAB, "paper": PAPER}
