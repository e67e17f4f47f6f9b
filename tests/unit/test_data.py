"""The data: pairs and their checks, drawings, scenes with truth, the Wikipedia file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmhkit.data import PairedData, Vocabulary, cache, drawings, load, scenes
from cmhkit.data.field import load_wikipedia
from cmhkit.data.field.tables import WIKIPEDIA_TOPICS
from cmhkit.support.checks import InputError
from cmhkit.support.files import sha256

WIKIPEDIA = Path(__file__).parents[2].parent / "shared" / "data" / "wikiData.mat"
PARTS = {"query": [0], "retrieval": [1, 2, 3], "train": [1, 2]}


def pairs(**changes) -> PairedData:
    """Four pairs, with some fields changed."""
    fields = {"name": "four", "images": np.ones((4, 3)), "text_vectors": np.ones((4, 2)), "parts": PARTS} | changes
    return PairedData(**fields)


# Pairs.


def test_pairs_take_plain_lists() -> None:
    data = pairs(
        ids=[7, 5, 3, 1], texts=("a", "b", "c", "d"), labels=[[0, 1], [1, 0], [1, 1], [0, 0]], label_names=("x", "y")
    )
    assert data.images.dtype == data.text_vectors.dtype == np.float32
    assert data.labels.dtype == np.uint8 and data.ids.dtype == np.int64
    assert (
        data.train.ids.tolist() == [5, 3]
        and data.train.texts == ["b", "c"]
        and data.train.labels.tolist() == [[1, 0], [1, 1]]
    )
    assert data.query.index.tolist() == [0] and len(data.retrieval) == 3
    assert repr(data) == "PairedData(four: 4 pairs; query 1, retrieval 3, train 2; images (3,); text 2; 2 labels)"
    assert repr(data.train) == "Split(train: 2 pairs)"
    assert data.take([3, 0]).ids.tolist() == [1, 7] and len(data.take([])) == 0


def test_ids_are_the_positions_unless_given() -> None:
    assert pairs().ids.tolist() == [0, 1, 2, 3]


def test_labels_of_minus_one_become_zero() -> None:
    assert pairs(labels=[[-1, 1], [1, -1], [-1, -1], [1, 1]]).labels.tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]]
    assert pairs(labels=np.full((4, 1), -1.0)).labels.tolist() == [[0]] * 4
    assert pairs(labels=np.array([[True], [False], [True], [True]])).labels.tolist() == [[1], [0], [1], [1]]


def test_without_labels_has_none_and_leaves_the_rest() -> None:
    data = pairs(labels=np.ones((4, 1)), label_names=("x",))
    bare = data.without_labels()
    assert bare.labels is None and bare.train.labels is None and bare.label_names == ()
    assert data.labels is not None and np.array_equal(bare.images, data.images)


def test_own_pair_is_said() -> None:
    parts = {"query": [0], "retrieval": [0, 1, 2, 3], "train": [1, 2]}
    with pytest.raises(
        InputError, match="parts: 1 queries have their own pair in the retrieval set; pass own_pair=True"
    ):
        pairs(parts=parts)
    assert len(pairs(parts=parts, own_pair=True).retrieval) == 4


NAN = np.array([[1, 2, 3], [1, np.nan, 3], [0, 0, 0], [np.inf, 0, 0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, r"images: expected pictures .* got shape \(\)"),
        (
            {"images": np.ones((4, 8, 8, 3))},
            r"images: expected pictures as whole numbers from 0 to 255, got float64 from 1.0 to 1.0; they are",
        ),
        (
            {"images": np.ones((4, 8, 8), np.uint8)},
            r"images: expected pictures \(n, H, W, 3\) or features \(n, d\), got shape \(4, 8, 8\)",
        ),
        ({"images": np.ones((4, 3, 8, 8), np.uint8)}, r"images: expected pictures .* got shape \(4, 3, 8, 8\)"),
        ({"images": NAN}, r"images: expected finite numbers, got NaN or infinity in 2 rows, the first at 1"),
        ({"images": np.ones((4, 0))}, r"images: expected a matrix \(n, d\), got shape \(4, 0\)"),
        ({"images": [["a"]] * 4}, r"images: expected numbers, got <U1"),
        ({"images": [[1], [1, 2], [1], [1]]}, r"images: expected an array"),
        ({"images": np.ones((0, 3)), "text_vectors": np.ones((0, 2))}, r"images: expected at least one pair, got none"),
        ({"text_vectors": np.ones((5, 2))}, r"text_vectors: expected one text a picture, 4 in all, got 5"),
        ({"text_vectors": np.ones(4)}, r"text_vectors: expected a matrix \(n, d\), got shape \(4,\)"),
        ({"text_vectors": NAN}, r"text_vectors: expected finite numbers, got NaN"),
        ({"text_vectors": np.ones((4, 2), complex)}, r"text_vectors: expected numbers, got complex128"),
        ({"text_vectors": [[1], [1, 2], [1], [1]]}, r"text_vectors: expected an array"),
        ({"texts": ["a"]}, r"texts: expected one text a picture, 4 in all, got 1"),
        ({"texts": "abcd"}, r"texts: expected a list of texts, got one string"),
        ({"texts": ["a", "b", 3, "d"]}, r"texts: expected strings, got int at position 2"),
        ({"ids": [1, 2, 3]}, r"ids: expected 4 different ids, got 3 different of 3"),
        ({"ids": [1, 2, 3, 3]}, r"ids: expected 4 different ids, got 3 different of 4"),
        ({"ids": ["a", "b", "c", "d"]}, r"ids: expected whole numbers"),
        ({"ids": [[1], [2], [3], [4]]}, r"ids: expected whole numbers, shape \(4,\), got int64 with shape \(4, 1\)"),
        ({"labels": np.ones((3, 2))}, r"labels: expected one row a pair, 4 in all, got 3"),
        ({"labels": np.ones(4)}, r"labels: expected a matrix \(n, c\) of 0/1, got shape \(4,\)"),
        ({"labels": np.ones((4, 0))}, r"labels: expected a matrix \(n, c\) of 0/1, got shape \(4, 0\)"),
        ({"labels": [[0], [1], [2], [1]]}, r"labels: expected 0/1 or -1/1, got the values \[0, 1, 2\]"),
        ({"labels": [[0], [1], [-1], [1]]}, r"labels: expected 0/1 or -1/1, got the values \[-1, 0, 1\]"),
        ({"labels": [[0.5], [1], [0], [1]]}, r"labels: expected 0/1 or -1/1, got the values \[0.0, 0.5, 1.0\]"),
        ({"labels": [[np.nan], [1], [0], [1]]}, r"labels: expected 0/1 or -1/1, got the values .*nan"),
        ({"labels": [["a"]] * 4}, r"labels: expected 0/1 or -1/1, got <U1"),
        ({"labels": [[1], [1, 0], [1], [1]]}, r"labels: expected an array"),
        (
            {"labels": np.ones((4, 2)), "label_names": ("a",)},
            r"label_names: expected 2 names, one a column of labels, got 1",
        ),
        ({"parts": None}, r"parts: expected a dictionary with the keys query, retrieval, train, got NoneType"),
        ({"parts": ["query", "retrieval", "train"]}, r"parts: expected a dictionary .* got list"),
        (
            {"parts": {"query": [0], "train": [1]}},
            r"parts: expected the keys query, retrieval, train, got query, train",
        ),
        ({"parts": PARTS | {1: [2]}}, r"parts: expected the keys query, retrieval, train, got .*1"),
        ({"parts": PARTS | {"query": []}}, r"parts\['query'\]: expected at least one pair, got none"),
        (
            {"parts": PARTS | {"query": [0.0]}},
            r"parts\['query'\]: expected positions, 1-D integers, got float64 with shape \(1,\)",
        ),
        (
            {"parts": PARTS | {"query": np.array([True, False, False, False])}},
            r"parts\['query'\]: expected positions, 1-D integers, got bool",
        ),
        ({"parts": PARTS | {"query": [4]}}, r"parts\['query'\]: expected positions from 0 to 3, got 4 to 4"),
        ({"parts": PARTS | {"query": [-1]}}, r"parts\['query'\]: expected positions from 0 to 3, got -1 to -1"),
        ({"parts": PARTS | {"train": [1, 1]}}, r"parts\['train'\]: expected each pair once, got some twice"),
        (
            {"parts": PARTS | {"query": [0, 2]}},
            r"parts: a training pair is in the query set \(1 of them, the first at position \[2\]\)",
        ),
        (
            {"parts": {"query": [0], "retrieval": [1, 2], "train": [3]}},
            r"parts: expected the training pairs inside the retrieval set",
        ),
    ],
)
def test_pairs_that_do_not_fit_get_one_clear_error(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairs(**changes)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([4], r"index: expected positions from 0 to 3, got \[4\]"),
        ([-1], r"from 0 to 3, got \[-1\]"),
        ([0.5], "index: expected positions, 1-D integers"),
    ],
)
def test_take_refuses_positions_outside_the_set(index, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairs().take(index)


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(InputError, match="name: expected one of query, retrieval, train, got 'test'"):
        pairs().part("test")


# Loading by name.


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("photos", {}, r"name: expected one of scenes, drawings, got 'photos'"),
        (["scenes"], {}, r"name: expected one of scenes, drawings, got \['scenes'\]"),
        ("scenes", {"sise": "tiny"}, r"sise: not an option of 'scenes'; expected one of size, resolution, seed"),
        ("drawings", {"size": "tiny"}, r"size: not an option of 'drawings'; expected one of resolution, seed"),
        ("scenes", {"size": "huge"}, r"size: expected one of tiny, lab, paper, got 'huge'"),
        ("scenes", {"size": ["tiny"]}, r"size: expected one of tiny, lab, paper, got \['tiny'\]"),
        ("scenes", {"resolution": 8}, r"resolution: expected a whole number from 16 to 512, got 8"),
        ("scenes", {"resolution": 64.0}, r"resolution: expected a whole number from 16 to 512, got 64.0"),
        ("scenes", {"resolution": True}, r"resolution: expected a whole number from 16 to 512, got True"),
        ("scenes", {"seed": -1}, r"seed: expected a whole number of at least 0, got -1"),
        ("scenes", {"seed": "1"}, r"seed: expected a whole number of at least 0, got '1'"),
        ("scenes", {"unseen": 1}, r"unseen: expected a share from 0 to below 1, got 1"),
        ("scenes", {"unseen": -0.1}, r"unseen: expected a share from 0 to below 1, got -0.1"),
        ("scenes", {"unseen": float("nan")}, r"unseen: expected a share from 0 to below 1, got nan"),
        ("scenes", {"unseen": "0.1"}, r"unseen: expected a share from 0 to below 1, got '0.1'"),
        ("scenes", {"drawings_per_concept": 1}, r"drawings_per_concept: expected a whole number of at least 2, got 1"),
        (
            "scenes",
            {"drawings_per_concept": "some"},
            r'drawings_per_concept: expected "all" or a whole number of at least 2, got \'some\'',
        ),
        ("drawings", {"resolution": 1000}, r"resolution: expected a whole number from 16 to 512, got 1000"),
        ("drawings", {"seed": 1.5}, r"seed: expected a whole number of at least 0, got 1.5"),
    ],
)
def test_loading_refuses(own_cache: Path, name, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name, **options)
    assert not own_cache.exists()


def test_the_import_stays_cheap() -> None:
    program = "import cmhkit.data, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "scipy", "sklearn", "matplotlib", "PIL", "resvg_py", "IPython"} & set(result.stdout.split())


def test_options_may_be_numpy_numbers(monkeypatch) -> None:
    asked = []

    def stop(name, key, build):
        asked.append(json.dumps(key, sort_keys=True))
        raise InterruptedError

    monkeypatch.setattr(cache, "checked_folder", stop)
    for options in (
        {"resolution": 32, "seed": 3, "drawings_per_concept": 5, "unseen": 0.25},
        {
            "resolution": np.int64(32),
            "seed": np.uint8(3),
            "drawings_per_concept": np.int32(5),
            "unseen": np.float32(0.25),
        },
    ):
        with pytest.raises(InterruptedError):
            load("scenes", size="tiny", **options)
    assert asked[0] == asked[1]


def test_every_option_that_changes_the_bytes_is_in_the_key(monkeypatch) -> None:
    asked = []

    def stop(name, key, build):
        asked.append(cache.key_digest(key))
        raise InterruptedError

    monkeypatch.setattr(cache, "checked_folder", stop)
    for options in (
        {},
        {"size": "tiny"},
        {"resolution": 32},
        {"seed": 1},
        {"drawings_per_concept": 5},
        {"drawings_per_concept": "all"},
        {"unseen": 0.1},
    ):
        with pytest.raises(InterruptedError):
            load("scenes", **options)
    assert len(set(asked)) == len(asked) == 7
    with pytest.raises(InterruptedError):
        load("scenes", own_pair=True)  # decides the split, not the bytes
    assert asked[-1] == asked[0]


# Drawings.


def test_there_are_24_concepts_and_every_one_has_drawings() -> None:
    chosen = drawings.concept_drawings()
    assert len(drawings.CONCEPTS) == 24
    counts = np.bincount([concept for _, concept in chosen], minlength=24)
    assert counts.min() >= 9 and counts.sum() == len(chosen) > 700
    for drawing, concept in chosen:
        assert drawing.subgroup in list(drawings.CONCEPTS.values())[concept]
    subgroups = [s for group in drawings.CONCEPTS.values() for s in group]
    assert len(subgroups) == len(set(subgroups)), "a drawing belongs to one concept"


def test_a_few_a_concept_are_spread_over_all_and_different() -> None:
    few, all_of_them = drawings.concept_drawings(12), drawings.concept_drawings()
    assert set(few) <= set(all_of_them) and len(set(few)) == len(few)
    counts = np.bincount([concept for _, concept in few])
    assert counts.max() == 12 and (counts == np.minimum(12, np.bincount([concept for _, concept in all_of_them]))).all()


def test_every_drawing_has_a_file_and_words() -> None:
    everything = drawings.all_drawings()
    assert 1600 <= len(everything) <= 1900
    assert len({d.svg for d in everything}) == len(everything)
    for drawing in everything:
        assert drawing.keywords and all(word.isalpha() and word == word.lower() for word in drawing.keywords)
        assert len(set(drawing.keywords)) == len(drawing.keywords)


def test_no_skin_tones_and_no_flags_of_countries() -> None:
    everything = drawings.all_drawings()
    assert not any(
        "skin tone" in d.name or d.subgroup in ("country-flag", "subdivision-flag", "hair-style") for d in everything
    )


@pytest.mark.parametrize("size", [16, 64, 100])
def test_a_drawing_fills_its_square_in_one_direction(size: int) -> None:
    for drawing, _ in drawings.concept_drawings(2)[::8]:
        rgba = drawings.render(drawing, size)
        assert rgba.shape == (size, size, 4) and rgba.dtype == np.uint8
        ink = rgba[..., 3] > 0
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 >= size - 2
        for places in (rows, columns):  # centred
            assert abs(places[0] - (size - 1 - places[-1])) <= 2


def test_load_drawings_counts_and_labels(shared_cache: Path) -> None:
    data = load("drawings", resolution=32, show_progress=False)
    everything = drawings.all_drawings()
    n = len(everything)
    assert len(data) == n and data.images.shape == (n, 32, 32, 3) and data.truth.owner.shape == (n, 32, 32)
    assert len(data.query) == n // 8 and len(data.retrieval) == len(data.train) == n - n // 8
    assert (data.labels.sum(1) == 2).all()
    for i in range(0, n, 97):
        named = [data.label_names[j] for j in np.flatnonzero(data.labels[i])]
        assert named == [f"group: {everything[i].group}", f"subgroup: {everything[i].subgroup}"]
        assert data.texts[i].split() == list(everything[i].keywords) and data.truth.names[i] == everything[i].name
    assert data.truth.drawings[:, 0].tolist() == list(range(n)) and (data.truth.drawings[:, 1:] == -1).all()
    assert (np.asarray(data.truth.owner).reshape(n, -1).max(1) == 1).all(), "every drawing has ink"
    assert "CC BY-SA" in data.details["credit"]
    # The split comes from the seed, the pictures do not.
    other = load("drawings", resolution=32, seed=1, show_progress=False)
    assert np.array_equal(other.images, data.images) and not np.array_equal(other.parts["query"], data.parts["query"])


# Scenes.


def test_the_sizes_are_those_of_the_design(tiny) -> None:
    assert scenes.SIZES == {
        "tiny": (600, 100, 400, 64, 12),
        "lab": (4000, 500, 2500, 64, 12),
        "paper": (20015, 2000, 10000, 224, None),
    }
    assert (len(tiny), len(tiny.query), len(tiny.retrieval), len(tiny.train)) == (600, 100, 500, 400)
    assert tiny.images.shape == (600, 64, 64, 3) and tiny.images.dtype == np.uint8
    assert (
        tiny.truth.owner.shape == (600, 64, 64)
        and tiny.labels.shape == (600, 24)
        and tiny.label_names == tuple(drawings.CONCEPTS)
    )
    assert len(tiny.vocabulary) == tiny.text_vectors.shape[1] == 1000


@pytest.mark.parametrize("size", scenes.SIZES)
def test_the_split_of_every_size(size: str) -> None:
    pairs, query, train, resolution, per_concept = scenes.SIZES[size]
    maker = scenes.SceneMaker(scenes.SceneConfig(pairs, query, train, resolution, per_concept, seed=0))
    assert (len(maker.query), len(maker.rest)) == (query, pairs - query) and train <= len(maker.rest)
    assert sorted([*maker.query, *maker.rest]) == list(range(pairs))
    assert len(maker.drawings) == len(drawings.concept_drawings(per_concept))


def test_two_scenes_of_the_paper_size() -> None:
    pairs, query, train, resolution, per_concept = scenes.SIZES["paper"]
    config = scenes.SceneConfig(pairs, query, train, resolution, per_concept, seed=0)
    for i in (0, 20014):
        first, again = scenes.SceneMaker(config).scene(i), scenes.SceneMaker(config).scene(i)
        assert first.image.shape == (224, 224, 3) and first.owner.shape == (224, 224)
        assert (
            np.array_equal(first.image, again.image)
            and np.array_equal(first.owner, again.owner)
            and first.tags == again.tags
        )
        assert set(np.unique(first.owner)) == set(range(len(first.drawings) + 1))


def test_another_seed_gives_other_bytes(tiny, shared_cache: Path) -> None:
    """That the same seed gives the same bytes, in another process and another folder, is test_cache.py's."""
    other = load("scenes", size="tiny", seed=1, show_progress=False)
    assert other.texts != tiny.texts and not np.array_equal(other.images, tiny.images)
    assert not np.array_equal(other.parts["query"], tiny.parts["query"])
    digests = [{p.name: sha256(p) for p in (shared_cache / data.details["cache"]).iterdir()} for data in (tiny, other)]
    assert digests[0].keys() == digests[1].keys() and not set(digests[0].values()) & set(digests[1].values())


def test_labels_are_the_concepts_of_the_drawings(tiny) -> None:
    for i in range(len(tiny)):
        shown = tiny.truth.drawings[i][tiny.truth.drawings[i] >= 0]
        assert set(np.flatnonzero(tiny.labels[i])) == set(tiny.truth.concepts[shown])
        assert tiny.labels[i].sum() == len(shown), "the drawings of a scene are of different concepts"
    assert len(tiny.truth.names) == len(tiny.truth.concepts) == len(drawings.concept_drawings(12))
    for number, (drawing, concept) in enumerate(drawings.concept_drawings(12)):
        assert (tiny.truth.names[number], tiny.truth.concepts[number]) == (drawing.name, concept)


def test_tags_are_a_part_of_the_keywords_and_few_others(tiny) -> None:
    chosen = [d for d, _ in drawings.concept_drawings(12)]
    strays = []
    for i in range(len(tiny)):
        words = tiny.texts[i].split()
        assert words and len(set(words)) == len(words)
        keywords = [chosen[j].keywords for j in tiny.truth.drawings[i] if j >= 0]
        strays.append(len(set(words) - {w for k in keywords for w in k}))
        for known in keywords:
            assert len(set(words) & set(known)) >= max(1, round(0.6 * len(known)))
    assert max(strays) == 2 and min(strays) == 0


def test_the_word_nearest_to_a_mistyped_one() -> None:
    words = Vocabulary(("bread", "dot", "dog", "animal"))
    assert words.nearest("dgo") == "dog"  # and not "dot", which has as many letters in its place
    assert words.nearest("animall") == "animal"
    assert words.nearest("zebra") is None


def test_the_vocabulary_comes_from_the_training_texts_only(tiny) -> None:
    assert tiny.vocabulary == Vocabulary.build(tiny.train.texts, 1000)
    assert tiny.vocabulary != Vocabulary.build(tiny.texts, 1000)
    assert np.array_equal(tiny.text_vectors, tiny.vocabulary.bag_of_words(tiny.texts))
    assert {w for text in tiny.train.texts for w in text.split()} >= set(tiny.vocabulary.words)


def test_owner_masks_tell_every_drawing(tiny) -> None:
    """Count, numbers and visibility. None of the 1,201 drawings of tiny is wholly hidden; the smallest shows 80 pixels
    of 4,096.
    """
    owner, hidden = np.asarray(tiny.truth.owner), 0
    for i in range(len(tiny)):
        count = int((tiny.truth.drawings[i] >= 0).sum())
        assert 1 <= count <= 3 and (tiny.truth.drawings[i, count:] == -1).all()
        masks = tiny.truth.masks(i)
        assert masks.shape == (count, 64, 64) and masks.dtype == bool
        assert owner[i].max() <= count and np.array_equal(masks.sum(0), owner[i] > 0)
        hidden += int((masks.sum((1, 2)) < 20).sum())
    assert hidden == 0
    assert np.array_equal(tiny.query.truth.owner, owner[tiny.parts["query"]])


def test_where_a_drawing_owns_the_pixel_the_background_is_covered(monkeypatch) -> None:
    grounds = []
    background = scenes.background

    def kept(side, rng):
        grounds.append(background(side, rng))
        return grounds[-1].copy()

    monkeypatch.setattr(scenes, "background", kept)
    maker = scenes.SceneMaker(scenes.SceneConfig(600, 100, 400, 64, 12, seed=0))
    owned = same = free = changed = 0
    for i in range(60):
        scene = maker.scene(i)
        differs = (scene.image != grounds[-1]).any(axis=2)
        owned += (scene.owner > 0).sum()
        same += (~differs & (scene.owner > 0)).sum()
        free += (scene.owner == 0).sum()
        changed += (differs & (scene.owner == 0)).sum()
    assert same / owned < 0.001
    assert changed / free < 0.1, "only the soft edge of a drawing, less than half covered, belongs to the background"


def test_a_later_drawing_covers_an_earlier_one() -> None:
    block = np.full((64, 64, 4), 255, np.uint8)
    red, blue = block.copy(), block.copy()
    red[..., 1:3] = 0
    blue[..., :2] = 0
    image, owner = scenes.compose([red, blue, red], 64, np.random.default_rng(4))
    assert (image[owner == 2] == (0, 0, 255)).all() and (image[(owner == 1) | (owner == 3)] == (255, 0, 0)).all()
    assert set(np.unique(owner)) == {0, 1, 2, 3}
    faint = block.copy()
    faint[..., 3] = 100
    assert (scenes.compose([faint], 64, np.random.default_rng(4))[1] == 0).all()


def test_own_pair_leaves_the_queries_in_the_retrieval_set(shared_cache: Path, tiny) -> None:
    assert not set(tiny.parts["query"]) & set(tiny.parts["retrieval"])
    own = load("scenes", size="tiny", own_pair=True, show_progress=False)
    assert own.own_pair and set(own.parts["query"]) < set(own.parts["retrieval"]) and len(own.retrieval) == 600
    assert np.array_equal(own.parts["train"], tiny.parts["train"]) and not set(own.parts["train"]) & set(
        own.parts["query"]
    )
    assert own.details["cache"] == tiny.details["cache"]


def shown_by(split) -> set[int]:
    return set(split.truth.drawings.ravel().tolist()) - {-1}


def test_unseen_drawings_are_for_the_queries_only(shared_cache: Path, tiny) -> None:
    data = load("scenes", size="tiny", unseen=0.1, show_progress=False)
    query, retrieval = shown_by(data.query), shown_by(data.retrieval)
    assert query and not query & retrieval
    assert shown_by(data.train) <= retrieval
    assert len(query) <= 24 < len(retrieval), "one of twelve a concept is kept"
    assert set(data.truth.concepts[sorted(query)]) <= set(data.truth.concepts[sorted(retrieval)])
    assert shown_by(tiny.query) & shown_by(tiny.retrieval), "without it they share drawings"


@pytest.mark.parametrize("unseen", [0.01, 0.1, 0.5, 0.99])
def test_every_concept_keeps_a_drawing_on_both_sides(unseen: float) -> None:
    config = scenes.SceneConfig(600, 100, 400, 64, 12, seed=3, unseen=unseen)
    maker = scenes.SceneMaker(config)
    for query, others in zip(maker._pools[True], maker._pools[False], strict=True):
        members = len(query) + len(others)
        assert len(query) == np.clip(round(unseen * members), 1, members - 1) and not set(query) & set(others)


def test_other_resolutions_show_the_same_scenes(shared_cache: Path, tiny) -> None:
    maker = scenes.SceneMaker(scenes.SceneConfig(600, 100, 400, 96, 12, seed=0))
    for i in range(5):
        scene = maker.scene(i)
        assert scene.image.shape == (96, 96, 3)
        assert scene.drawings.tolist() == [d for d in tiny.truth.drawings[i] if d >= 0]


# The Wikipedia file.


def parts_of_a_file(**changes):
    rng = np.random.default_rng(0)
    parts = {
        "I_tr": rng.normal(3, 2, size=(6, 4)),
        "T_tr": rng.normal(size=(6, 3)),
        "L_tr": np.array([[1], [2], [3], [1], [2], [3]]),
        "I_te": rng.normal(3, 2, size=(2, 4)),
        "T_te": rng.normal(size=(2, 3)),
        "L_te": np.array([[3], [1]]),
    }
    parts["I_tr"][:, 3] = 5.0  # a column that never changes
    return {key: value for key, value in (parts | changes).items() if value is not None}


def written(tmp_path: Path, **changes) -> Path:
    from scipy.io import savemat

    savemat(tmp_path / "wiki.mat", parts_of_a_file(**changes))
    return tmp_path / "wiki.mat"


def test_a_file_of_the_same_structure(tmp_path: Path) -> None:
    data = load_wikipedia(written(tmp_path))
    assert (len(data.query), len(data.retrieval), len(data.train)) == (2, 6, 6)
    assert data.labels.tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
        [1, 0, 0],
    ]
    train = data.train.images
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), [1, 1, 1, 0], atol=1e-6)
    raw, parts = load_wikipedia(str(written(tmp_path)), standardise=False), parts_of_a_file()
    np.testing.assert_allclose(raw.images, np.concatenate([parts["I_tr"], parts["I_te"]]), rtol=1e-6)
    # The test part is scaled with the training part's figures.
    expected = (parts["T_te"] - parts["T_tr"].mean(0)) / parts["T_tr"].std(0)
    np.testing.assert_allclose(data.query.text_vectors, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"L_te": None, "T_tr": None}, r"path: expected the keys I_tr, .*, T_tr, L_te missing"),
        ({"I_te": np.ones((2, 5))}, r"path: expected I_tr and I_te of the same width in .*, got 4 and 5"),
        ({"T_tr": np.ones((6, 2))}, r"path: expected T_tr and T_te of the same width in .*, got 2 and 3"),
        (
            {"L_te": np.ones((3, 1))},
            r"path: expected as many pictures as texts and labels, got \{'I_te': 2, 'T_te': 2, 'L_te': 3\}",
        ),
        (
            {"T_tr": np.ones((5, 3))},
            r"path: expected as many pictures as texts and labels, got \{'I_tr': 6, 'T_tr': 5, 'L_tr': 6\}",
        ),
        ({"L_te": np.array([[0], [1]])}, r"path: expected labels as class numbers from 1"),
        ({"L_te": np.array([[1.5], [1]])}, r"path: expected labels as class numbers from 1"),
        ({"L_te": np.array([[np.nan], [1]])}, r"path: expected labels as class numbers from 1"),
        ({"L_tr": np.ones((6, 2)), "L_te": np.ones((2, 2))}, r"path: expected labels as class numbers from 1"),
        ({"L_te": np.array(["a", "b"])}, r"path: expected L_te as a full matrix of numbers in .*, got <U1"),
        (
            {"L_te": np.array([["a"], ["b"]], dtype=object)},
            r"path: expected L_te as a full matrix of numbers in .*, got object",
        ),
        (
            {"I_te": np.ones((0, 4)), "T_te": np.ones((0, 3)), "L_te": np.ones((0, 1))},
            r"path: expected at least one pair, got none in I_te",
        ),
        ({"I_tr": np.full((6, 4), np.nan)}, r"images: expected finite numbers"),
    ],
)
def test_a_file_that_does_not_fit_gets_one_clear_error(tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_wikipedia(written(tmp_path, **changes))


def test_a_sparse_matrix_in_the_file_is_named(tmp_path: Path) -> None:
    from scipy.sparse import csc_matrix

    with pytest.raises(InputError, match="path: expected T_tr as a full matrix of numbers"):
        load_wikipedia(written(tmp_path, T_tr=csc_matrix(np.eye(6, 3))))


JUNK = {
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "MATLAB 7.3": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(600),
    "empty": b"",
    "short": b"MATLAB 5.0",
    "text": b"hello, this is a text file\n" * 30,
    "noise": np.random.default_rng(3).bytes(900),
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_file_of_another_kind_is_an_input_error(tmp_path: Path, kind: str) -> None:
    (tmp_path / "junk.mat").write_bytes(JUNK[kind])
    with pytest.raises(InputError, match=r"path: expected a MATLAB v5 file, got .*junk\.mat \(.+\)"):
        load_wikipedia(tmp_path / "junk.mat")


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5, 0.99])
def test_a_file_cut_short_is_an_input_error(tmp_path: Path, share: float) -> None:
    file = written(tmp_path)
    good = file.read_bytes()
    file.write_bytes(good[: int(share * len(good))])
    with pytest.raises(InputError, match=r"path: expected (a MATLAB v5 file|the keys)"):
        load_wikipedia(file)


def test_no_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"path: expected the file wikiData\.mat, got .*, which is not there"):
        load_wikipedia(tmp_path / "wikiData.mat")


@pytest.mark.skipif(not WIKIPEDIA.is_file(), reason=f"the Wikipedia benchmark is not at {WIKIPEDIA}")
def test_the_real_file() -> None:
    data = load_wikipedia(WIKIPEDIA)
    assert (len(data.train), len(data.retrieval), len(data.query)) == (2173, 2173, 693)
    assert data.images.shape == (2866, 128) and data.text_vectors.shape == (2866, 10)
    assert data.labels.shape == (2866, 10) and (data.labels.sum(1) == 1).all() and data.label_names == WIKIPEDIA_TOPICS
    np.testing.assert_allclose(data.train.images.mean(0), 0, atol=1e-5)
