"""SSAH's options and presets. docs/CHOICES.md lists them with the reasons."""

from __future__ import annotations

from typing import ClassVar

import attrs

from cmhkit.support.checks import check
from cmhkit.support.options import Options, choice, integer, integers, path, real, share, switch


@attrs.frozen
class SSAHConfig(Options):
    """Every choice of SSAH, a field each: its default, the values it takes, what it means, and where it comes from."""

    headings: ClassVar = {
        "networks": "backbone",
        "losses": "similarity",
        "game": "adversarial",
        "schedule": "label_passes",
    }
    gone: ClassVar = {"train_backbone": True, "game": "stage", "d_passes": 1, "decay": 0.1**0.5, "weight_decay": 0.0}

    backbone: str = choice(
        ("scenenet", "features", "cnn-f", "vgg19"),
        "of pictures: SceneNet, frozen (vectors pass as they are); vectors only; or CNN-F or VGG-19, trained",
        "code: CNN-F, VGG-19",
    )
    weights: str | None = path(
        None, "file of CNN-F's or VGG-19's weights; none starts it untrained, and says so", "code: ImageNet's"
    )
    side: int = integer(224, "of CNN-F's or VGG-19's pictures, in pixels", "ours: VGG-19's own", least=1)
    input_scaling: str = choice(
        ("none", "l2"), "l2 scales every vector of a picture or a text to the length 1", "code: none; else ours"
    )
    image_hidden: int = integer(
        512, "units of ImgNet's layer before the semantic features; 0 for none", "code: none", least=0
    )
    text_hidden: int = integer(512, "the same of TxtNet", "code: 4096", least=0)
    label_hidden: int = integer(512, "the same of LabNet", "code: 4096", least=0)
    width: int = integer(256, "s, width of the semantic features", "code: 512", least=1)
    local_response_norm: bool = switch(False, "local response normalisation after that layer", "code: true")
    pools: tuple[int, ...] = integers(
        (), "windows of the multi-scale fusion; () leaves it out", "code: 5, 10, 15, 30, 50; else ours", least=1
    )
    pool_scale: str = choice(
        ("positive", "relu"),
        "each pool's factor: the softplus of a number, or the code's, which can die",
        "code: relu; else ours",
    )
    similarity: float = real(1.0, "S of a pair that shares a label", "note: 1; code: 0.999", above=0, most=1)
    pair_loss: str = choice(("likelihood", "squared"), "of J1 and J2", "note: likelihood; code: squared")
    pair_weights: str = choice(
        ("balanced", "equal"),
        "balanced gives similar and dissimilar pairs half of the weight each",
        "note, code: equal; else ours",
    )
    bank: int = integer(
        0,
        "pairs of the training set that a batch meets, drawn anew for every batch; 0: all of them",
        "note, code: all",
        least=0,
    )
    reduction: str = choice(("mean", "sum"), "over pairs, entries and items", "note, code: sum")
    alpha: float = real(1.0, "weight of J1, on features", "note: α; code: 1", least=0)
    gamma: float = real(1.0, "weight of J2, on codes", "note: γ; code: 1", least=0)
    eta: float = real(0.1, "weight of J3, from codes to bits", "code: 1, called beta; 1e-4 recalled", least=0)
    beta: float = real(10.0, "weight of J4, on labels", "code: 1, called eta; 1e-4 recalled", least=0)
    binary: str = choice(
        ("shared", "own"), "B in J3: the shared one, or each network's own sign", "note: shared; code: own"
    )
    supervision: str = choice(
        ("labnet", "each-other"),
        "each-other: no LabNet, ImgNet and TxtNet meet the other's features and codes",
        "note, code: labnet",
    )
    adversarial: str = choice(
        ("flows", "detached", "none"),
        "the gradient reaches the networks; or none does, and discriminators learn flipped labels; or no game",
        "note: flows; code: detached",
    )
    adversarial_weight: float = real(0.1, "weight of the adversarial term", "note, code: 1", least=0)
    adversarial_loss: str = choice(
        ("squared", "cross-entropy"), "of the discriminators", "note: squared; code: cross-entropy"
    )
    adversarial_target: str = choice(
        ("minus", "flipped"),
        "of the networks: the discriminators' loss with a minus, or that of flipped labels",
        "note: minus; code: flipped",
    )
    adversarial_labnet: bool = switch(False, "whether LabNet plays too", "note: true; code: false")
    discriminator_hidden: tuple[int, ...] = integers(
        (256, 128), "units of a discriminator's layers", "code: 512, 256; 4096, 4096 recalled", least=1
    )
    label_passes: int = integer(3, "LabNet's passes over the training set in an epoch", "code: 1", least=1)
    epochs: int = integer(
        15, "each is LabNet's passes, then one of the discriminators, of ImgNet, of TxtNet", "ours", least=1
    )
    batch: int = integer(128, "pairs of a step", "code: 128", least=1)
    optimiser: str = choice(("adam", "sgd"), "of all networks", "code: adam")
    lr_label: float = real(3e-3, "LabNet's rate", "code: 0.01", above=0)
    lr_image: float = real(3e-3, "ImgNet's rate", "code: 10^-4.5", above=0)
    lr_text: float = real(3e-3, "TxtNet's rate", "code: 10^-3.5", above=0)
    lr_discriminator: float = real(1e-3, "the discriminators' rate", "code: 0.001", above=0)
    lr_backbone: float = real(1e-5, "rate of CNN-F's or VGG-19's layers", "code: ImgNet's", above=0)
    lr_decay: str = choice(
        ("linear", "geometric", "none"),
        "of all rates, over the epochs: linear to 0, or divided by √10 after each",
        "code: geometric",
    )
    dropout: float = share(0.2, "share of the inputs and of the hidden units left out in training", "ours")
    unlabelled: str = choice(("keep", "drop"), "what becomes of training pairs without any label", "ours")

    def __attrs_post_init__(self) -> None:
        good = self.supervision == "labnet" or self.adversarial == "none"
        expected = "'none' with supervision='each-other', since without LabNet there is nothing to match"
        check(good, f"adversarial: expected {expected}, got {self.adversarial!r}")


LAB = SSAHConfig()
#: What the published code shares with the note.
_PUBLISHED = attrs.evolve(
    LAB,
    backbone="cnn-f",
    image_hidden=0,
    text_hidden=4096,
    label_hidden=4096,
    width=512,
    local_response_norm=True,
    pools=(5, 10, 15, 30, 50),
    pair_weights="equal",
    reduction="sum",
    adversarial_weight=1.0,
    label_passes=1,
    lr_text=10**-3.5,
    lr_image=10**-4.5,
    lr_backbone=10**-4.5,
    dropout=0.0,
)
PAPER = attrs.evolve(
    _PUBLISHED,
    eta=1e-4,
    beta=1e-4,
    adversarial_labnet=True,
    discriminator_hidden=(4096, 4096),
    epochs=30,
    lr_label=1e-3,
)
OFFICIAL = attrs.evolve(
    _PUBLISHED,
    pool_scale="relu",
    similarity=0.999,
    pair_loss="squared",
    eta=1.0,
    beta=1.0,
    binary="own",
    adversarial="detached",
    adversarial_loss="cross-entropy",
    adversarial_target="flipped",
    discriminator_hidden=(512, 256),
    epochs=20,
    lr_label=1e-2,
    lr_decay="geometric",
)
PRESETS = {"lab": LAB, "paper": PAPER, "official": OFFICIAL}
