"""ADAH's options and presets. docs/CHOICES.md lists them with the reasons."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from cmhkit.support.options import Options, choice, integer, margin, margin_for, path, real, share, switch


@attrs.frozen
class ADAHConfig(Options):
    """Every choice of ADAH, a field each: its default, the values it takes, what it means, and where it comes from."""

    headings: ClassVar[dict[str, str]] = {
        "features": "backbone",
        "attention": "attention",
        "hashing": "readout",
        "loss": "margin",
        "schedule": "epochs",
    }
    gone: ClassVar[dict[str, Any]] = {
        "train_backbone": True,
        "alpha_image": None,
        "alpha_text": None,
        "weight_decay": 0.0,
        "through_masks": True,
    }

    backbone: str = choice(
        "scenenet",
        "vgg19",
        help="E of pictures: SceneNet, frozen, from cached maps; or VGG-19, trained",
        source="note: VGGNet",
    )
    weights: str | None = path(
        help="file of VGG-19's weights; none starts it untrained, and says so",
        source="ours: ImageNet's",
    )
    image_map: str = choice(
        "pool5",
        "conv5",
        help="VGG-19's map, after the last pooling or before it",
        source="note: not said",
    )
    side: int = integer(224, least=1, help="of VGG-19's pictures, in pixels", source="ours: its own")
    text_hidden: int = integer(1024, least=1, help="units of the first layer of E of texts", source="note: not said")
    text_width: int = integer(512, least=1, help="d, units of its second layer", source="note: not said")
    attention: str = choice(
        "adversarial",
        "frozen",
        "none",
        help="G as the note has it; as it starts, at random; or none: all is attended",
        source="note: adversarial",
    )
    mask_spread: float = real(
        1.0,
        above=0,
        help="deviation of an item's scores M over its places at the start",
        source="ours",
    )
    mask_scaling: str = choice(
        "standard",
        "none",
        help="standard keeps that deviation for every item throughout; none leaves M as the layer gives it",
        source="note: none; else ours",
    )
    readout: str = choice(
        "posterior",
        "scores",
        help="of SceneNet's scores: the square root of their softmax, or themselves",
        source="ours",
    )
    image_hidden: int = integer(
        512,
        least=0,
        help="units of a layer between SceneNet and the tanh layer; 0 for none",
        source="ours",
    )
    margin: float | str = margin("K/2", help="ε of the triplet hinge", source="note: not said")
    distance: str = choice("squared", "norm", help="between codes", source="note: norm")
    reduction: str = choice("mean", "sum", help="over the triplets", source="note: sum")
    own: bool = switch(
        True,
        help="whether an item's own pair, and itself within a modality, counts as j",
        source="note: not said",
    )
    epochs: int = integer(25, least=1, help="passes of E and D over the training set", source="note: not said")
    batch: int = integer(128, least=2, help="pairs of a step", source="note: not said")
    d_steps: int = integer(
        1,
        least=1,
        help="batches of E and D, before G steps on the last of them",
        source="note: not said",
    )
    g_steps: int = integer(1, least=0, help="steps of G in turn", source="note: not said")
    optimiser: str = choice("adam", "sgd", help="of both players", source="note: not said")
    lr: float = real(2e-3, above=0, help="rate of E and D", source="note: not said")
    lr_g: float = real(1e-2, above=0, help="rate of G of pictures", source="note: not said")
    lr_g_text: float = real(1e-4, above=0, help="rate of G of texts, which has d² weights", source="note: not said")
    lr_backbone: float = real(1e-4, above=0, help="rate of VGG-19's layers", source="note: not said")
    lr_decay: str = choice("linear", "none", help="of all rates, over the epochs: linear to 0", source="ours")
    dropout: float = share(
        0.1,
        help="share of the text vectors and of SceneNet's readout left out in training",
        source="ours",
    )
    game_query: str = choice(
        "given",
        "free",
        help="in G's step the query's code is a constant; free lets G spoil it",
        source="note: given",
    )

    def margin_for(self, bits: int) -> float:
        """The margin ε as a number."""
        return margin_for(self.margin, bits)


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
