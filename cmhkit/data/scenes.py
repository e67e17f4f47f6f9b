"""The embedded data set: scenes of one to three drawings with tags as people write them.

Every scene is made from `numpy.random.default_rng([seed, its number])`, so the same seed gives the same bytes on every
run.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from cmhkit.data import cache, drawings, helpers
from cmhkit.data.pairs import PairedData, SceneTruth
from cmhkit.data.text import Vocabulary
from cmhkit.support.checks import check, check_integer
from cmhkit.support.progress import progress

FORMAT = 1
MOST_DRAWINGS = 3
#: pairs, query, train, resolution in pixels, drawings a concept (None: all)
SIZES: dict[str, tuple[int, int, int, int, int | None]] = {
    "tiny": (600, 100, 400, 64, 12),
    "lab": (4000, 500, 2500, 64, 12),
    "paper": (20015, 2000, 10000, 224, None),
}
# Diameter of a drawing as a share of the picture's side, for one, two and three drawings.
_DIAMETERS = ((0.55, 0.85), (0.40, 0.60), (0.32, 0.50))
_KEPT_KEYWORDS = 0.6
_MOST_STRAY_WORDS = 2
_STREAM_SPLIT, _STREAM_SCENE = 1, 2


@dataclass(frozen=True)
class SceneConfig:
    """Everything that decides the bytes of a scenes data set.

    drawings: how many a concept; None takes all. unseen: the share of drawings that only queries show.
    """

    pairs: int
    query: int
    train: int
    resolution: int
    drawings: int | None
    seed: int
    unseen: float = 0.0
    words: int = 1000


def load_scenes(
    size: str = "lab",
    *,
    resolution: int | None = None,
    seed: int = 0,
    drawings_per_concept: int | str | None = None,
    unseen: float = 0.0,
    own_pair: bool = False,
    show_progress: bool = True,
) -> PairedData:
    """The scenes data set, built on first use and cached.

    size: "tiny" (600 pairs), "lab" (4,000) or "paper" (20,015). resolution: side of the pictures in pixels, from 16 to
    512; 64, or 224 for "paper". seed: another seed gives other scenes. drawings_per_concept: a number or "all"; 12, or
    all for "paper".
    unseen: the share of each concept's drawings that are kept for the query set; query scenes then show only these, all
    others never. own_pair: True leaves the query pairs in the retrieval set.
    Errors: `InputError` for an unknown size or a number out of range.
    """
    check(isinstance(size, str) and size in SIZES, f"size: expected one of {', '.join(SIZES)}, got {size!r}")
    pairs, query, train, usual_resolution, usual_drawings = SIZES[size]
    resolution = usual_resolution if resolution is None else resolution
    per_concept = usual_drawings if drawings_per_concept is None else drawings_per_concept
    check_integer("resolution", resolution, 16, 512)
    check_integer("seed", seed, 0)
    check(
        isinstance(unseen, Real) and not isinstance(unseen, bool) and 0 <= unseen < 1,
        f"unseen: expected a share from 0 to below 1, got {unseen!r}",
    )
    if isinstance(per_concept, str):
        check(
            per_concept == "all",
            f'drawings_per_concept: expected "all" or a whole number of at least 2, got {per_concept!r}',
        )
        per_concept = None
    if per_concept is not None:
        check_integer("drawings_per_concept", per_concept, 2)
        per_concept = int(per_concept)
    config = SceneConfig(pairs, query, train, int(resolution), per_concept, int(seed), float(unseen))
    key = {"what": "scenes", "format": FORMAT, "packages": drawings.package_versions(), **asdict(config)}
    folder = cache.checked_folder(f"scenes-{size}", key, lambda path: _build(path, config, show_progress))
    return _read(folder, size, config, own_pair)


def _read(folder: Path, size: str, config: SceneConfig, own_pair: bool) -> PairedData:
    text = json.loads((folder / "text.json").read_text(encoding="utf-8"))
    query, rest = np.load(folder / "query.npy"), np.load(folder / "rest.npy")
    chosen = drawings.concept_drawings(config.drawings)
    concepts = np.array([concept for _, concept in chosen], dtype=np.int32)
    vocabulary = Vocabulary(tuple(text["words"]))
    return PairedData(
        name="scenes" if size == "lab" else f"scenes/{size}",
        images=np.load(folder / "images.npy", mmap_mode="r"),
        text_vectors=vocabulary.bag_of_words(text["tags"]),
        parts={
            "query": query,
            "retrieval": np.sort(np.concatenate([query, rest])) if own_pair else np.sort(rest),
            "train": np.sort(rest[: config.train]),
        },
        labels=np.load(folder / "labels.npy"),
        texts=text["tags"],
        label_names=tuple(drawings.CONCEPTS),
        vocabulary=vocabulary,
        truth=SceneTruth(
            owner=np.load(folder / "owner.npy", mmap_mode="r"),
            drawings=np.load(folder / "drawings.npy"),
            names=tuple(drawing.name for drawing, _ in chosen),
            concepts=concepts,
        ),
        own_pair=own_pair,
        details={"credit": drawings.CREDIT, "cache": folder.name, **asdict(config)},
    )


def _build(folder: Path, config: SceneConfig, show_progress: bool) -> None:
    maker = SceneMaker(config)
    n, side = config.pairs, config.resolution
    for name, shape in (("images", (n, side, side, 3)), ("owner", (n, side, side))):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape).flush()
    members = np.full((n, MOST_DRAWINGS), -1, dtype=np.int32)
    labels = np.zeros((n, len(drawings.CONCEPTS)), dtype=np.uint8)
    with progress(n, "Building scenes", show_progress) as step:
        made = helpers.drawn(maker, folder, step)
    for i, (numbers, _) in enumerate(made):
        members[i, : len(numbers)] = numbers
        labels[i, maker.concepts[numbers]] = 1
    tags = [words for _, words in made]
    vocabulary = Vocabulary.build([tags[i] for i in np.sort(maker.rest[: config.train])], config.words)
    for name, array in {
        "drawings": members,
        "labels": labels,
        "query": np.sort(maker.query),
        "rest": maker.rest,
    }.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "text.json").write_text(json.dumps({"words": vocabulary.words, "tags": tags}), encoding="utf-8")


@dataclass(frozen=True)
class Scene:
    """One scene. image: uint8 (R, R, 3). owner: uint8 (R, R). drawings: numbers of its drawings. tags: its words, blank
    between.
    """

    image: np.ndarray
    owner: np.ndarray
    drawings: np.ndarray
    tags: str


class SceneMaker:
    """Makes scene i of a configuration, always the same one."""

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        chosen = drawings.concept_drawings(config.drawings)
        self.drawings = [drawing for drawing, _ in chosen]
        self.concepts = np.array([concept for _, concept in chosen])
        rng = np.random.default_rng([config.seed, _STREAM_SPLIT])
        order = rng.permutation(config.pairs).astype(np.int64)
        self.query, self.rest = order[: config.query], order[config.query :]
        self._is_query = np.isin(np.arange(config.pairs), self.query)
        self._pools = self._drawing_pools(rng)
        self._stray_words = sorted({word for d in self.drawings for word in d.keywords})
        self._rendered = functools.cache(lambda number: drawings.render(self.drawings[number], config.resolution))

    def _drawing_pools(self, rng: np.random.Generator) -> dict[bool, list[np.ndarray]]:
        """For query scenes (True) and others (False): the drawings of each concept that they may show."""
        pools: dict[bool, list[np.ndarray]] = {True: [], False: []}
        for concept in range(len(drawings.CONCEPTS)):
            members = np.flatnonzero(self.concepts == concept)
            if self.config.unseen > 0:
                unseen = np.clip(round(self.config.unseen * len(members)), 1, len(members) - 1)
                members = rng.permutation(members)
                pools[True].append(np.sort(members[:unseen]))
                pools[False].append(np.sort(members[unseen:]))
            else:
                pools[True].append(members)
                pools[False].append(members)
        return pools

    def scene(self, i: int) -> Scene:
        """Scene i."""
        rng = np.random.default_rng([self.config.seed, _STREAM_SCENE, i])
        count = int(rng.integers(1, MOST_DRAWINGS + 1))
        concepts = rng.choice(len(drawings.CONCEPTS), size=count, replace=False)
        pools = self._pools[bool(self._is_query[i])]
        numbers = np.array([rng.choice(pools[c]) for c in concepts])
        image, owner = compose([self._rendered(int(number)) for number in numbers], self.config.resolution, rng)
        return Scene(image, owner, numbers, self._tags(numbers, rng))

    def _tags(self, numbers: np.ndarray, rng: np.random.Generator) -> str:
        words: list[str] = []
        for number in numbers:
            keywords = self.drawings[number].keywords
            count = max(1, round(_KEPT_KEYWORDS * len(keywords)))
            words += rng.choice(keywords, size=count, replace=False).tolist()
        words += rng.choice(self._stray_words, size=int(rng.integers(0, _MOST_STRAY_WORDS + 1)), replace=False).tolist()
        rng.shuffle(words)
        return " ".join(dict.fromkeys(words))


def compose(rendered: list[np.ndarray], side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lay drawings onto a soft background, at random places and sizes, with little overlap.

    rendered: RGBA drawings, uint8 (s, s, 4). Returns the picture, uint8 (side, side, 3), and the owner of each pixel,
    uint8 (side, side).
    """
    from PIL import Image

    image = background(side, rng)
    owner = np.zeros((side, side), dtype=np.uint8)
    low, high = _DIAMETERS[len(rendered) - 1]
    boxes: list[tuple[int, int, int]] = []
    for j, drawing in enumerate(rendered):
        diameter = max(4, round(side * rng.uniform(low, high)))
        top, left = _place(diameter, side, boxes, rng)
        boxes.append((top, left, diameter))
        small = np.asarray(Image.fromarray(drawing).resize((diameter, diameter), Image.Resampling.BOX))
        alpha = small[..., 3:].astype(np.uint16)
        there = image[top : top + diameter, left : left + diameter]
        there[...] = ((small[..., :3] * alpha + there * (255 - alpha) + 127) // 255).astype(np.uint8)
        owner[top : top + diameter, left : left + diameter][alpha[..., 0] >= 128] = j + 1
    return image, owner


def _place(diameter: int, side: int, boxes: list[tuple[int, int, int]], rng: np.random.Generator) -> tuple[int, int]:
    """The place of the least overlap among twelve random ones; the first without any is taken."""
    best, least = (0, 0), np.inf
    for _ in range(12):
        top, left = (int(x) for x in rng.integers(0, side - diameter + 1, size=2))
        overlap = sum(
            max(0, min(top + diameter, t + d) - max(top, t)) * max(0, min(left + diameter, u + d) - max(left, u))
            for t, u, d in boxes
        )
        if overlap < least:
            best, least = (top, left), overlap
        if overlap == 0:
            break
    return best


def background(side: int, rng: np.random.Generator) -> np.ndarray:
    """A soft background: four pastel corners blended, uint8, shape (side, side, 3)."""
    corners = rng.integers(150, 251, size=(2, 2, 3)).astype(np.int64)
    y = np.arange(side)[:, None, None]
    x = np.arange(side)[None, :, None]
    last = max(side - 1, 1)
    top = corners[0, 0] * (last - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (last - x) + corners[1, 1] * x
    return ((top * (last - y) + bottom * y) // last**2).astype(np.uint8)


def load_drawings(*, resolution: int = 64, seed: int = 0, show_progress: bool = True) -> PairedData:
    """The drawings uncomposed, each on a white ground with its own keywords.

    Labels: Unicode's group and subgroup, one column each. resolution: side in pixels, from 16 to 512.
    The split is random from the seed: one eighth query, the rest retrieval and train.
    """
    check_integer("resolution", resolution, 16, 512)
    check_integer("seed", seed, 0)
    key = {"what": "drawings", "format": FORMAT, "packages": drawings.package_versions(), "resolution": int(resolution)}
    folder = cache.checked_folder("drawings", key, lambda path: _build_drawings(path, resolution, show_progress))
    everything = drawings.all_drawings()
    n = len(everything)
    group_names = sorted({d.group for d in everything})
    subgroup_names = sorted({d.subgroup for d in everything})
    names = tuple(f"group: {g}" for g in group_names) + tuple(f"subgroup: {s}" for s in subgroup_names)
    labels = np.array(
        [[f"group: {d.group}" == name or f"subgroup: {d.subgroup}" == name for name in names] for d in everything],
        dtype=np.uint8,
    )
    texts = [" ".join(d.keywords) for d in everything]
    order = np.random.default_rng([seed, _STREAM_SPLIT]).permutation(n)
    query, rest = np.sort(order[: n // 8]), np.sort(order[n // 8 :])
    vocabulary = Vocabulary.build([texts[i] for i in rest])
    return PairedData(
        name="drawings",
        images=np.load(folder / "images.npy", mmap_mode="r"),
        text_vectors=vocabulary.bag_of_words(texts),
        parts={"query": query, "retrieval": rest, "train": rest},
        labels=labels,
        texts=texts,
        label_names=names,
        vocabulary=vocabulary,
        truth=SceneTruth(
            owner=np.load(folder / "owner.npy", mmap_mode="r"),
            drawings=np.column_stack([np.arange(n), np.full(n, -1), np.full(n, -1)]).astype(np.int32),
            names=tuple(d.name for d in everything),
            concepts=np.array([subgroup_names.index(d.subgroup) for d in everything], dtype=np.int32),
        ),
        details={"credit": drawings.CREDIT, "cache": folder.name, "resolution": int(resolution), "seed": int(seed)},
    )


def _build_drawings(folder: Path, resolution: int, show_progress: bool) -> None:
    everything = drawings.all_drawings()
    images, owner = [], []
    with progress(len(everything), "Rendering drawings", show_progress) as step:
        for drawing in everything:
            rgba = drawings.render(drawing, resolution)
            alpha = rgba[..., 3:].astype(np.uint16)
            images.append(((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8))
            owner.append((alpha[..., 0] >= 128).astype(np.uint8))
            step()
    np.save(folder / "images.npy", np.stack(images))
    np.save(folder / "owner.npy", np.stack(owner))
