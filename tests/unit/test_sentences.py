"""Texts as vectors of what they mean: the cache, the readers, every method and the search, with vectors that stand in
for the network's (test_minilm.py has the network), and what is said without the extra `words`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_hashers
from field_files import coco_folder, mirflickr_folder, nuswide_folder, parted, truth, v5, write
from PIL import Image

import cmhkit as ck
from cmhkit.data import sentences
from cmhkit.data.sentences import CARD, WIDTH, sentence_vectors
from cmhkit.data.text import Vocabulary
from cmhkit.hasher import METHODS
from cmhkit.support.checks import InputError


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(sentences, "_known", {})


def by_content(texts: list[str]) -> np.ndarray:
    """Vectors that a text's content alone decides, each of length 1."""
    seeds = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") for text in texts]
    vectors = np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Vectors by content in place of the network's: what each computation was asked for, in texts."""
    asked: list[int] = []

    def compute(texts: list[str], show_progress: bool, batch: int = 32) -> np.ndarray:
        asked.append(len(texts))
        return by_content(texts)

    monkeypatch.setattr(sentences, "_computed", compute)
    monkeypatch.setattr(sentences, "weights_folder", lambda: Path("."))
    return asked


# The cache.


def test_many_texts_are_computed_once_for_all_processes(computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {i % 90}" for i in range(100)]
    np.testing.assert_array_equal(sentence_vectors(texts), by_content(texts))
    assert computed == [90]
    np.testing.assert_array_equal(sentence_vectors(texts[5:8]), by_content(texts[5:8]))
    assert computed == [90]
    monkeypatch.setattr(sentences, "_known", {})  # as in another process
    np.testing.assert_array_equal(sentence_vectors(texts), by_content(texts))
    assert computed == [90]


def test_another_set_of_texts_has_a_place_of_its_own(computed: list[int]) -> None:
    for first in (0, 100):
        texts = [f"text {first + i}" for i in range(70)]
        np.testing.assert_array_equal(sentence_vectors(texts), by_content(texts))
    assert computed == [70, 70] and len(list(ck.data.cache_dir().glob("sentences-*"))) == 2


def test_a_damaged_cache_is_computed_again(computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {i}" for i in range(70)]
    sentence_vectors(texts)
    (file,) = ck.data.cache_dir().glob("sentences-*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-4])
    monkeypatch.setattr(sentences, "_known", {})
    np.testing.assert_array_equal(sentence_vectors(texts), by_content(texts))
    assert computed == [70, 70]


def test_the_words_of_a_search_are_not_kept(computed: list[int]) -> None:
    sentence_vectors(["a dog"])
    assert not list(ck.data.cache_dir().glob("sentences-*")) and not sentences._known


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a dog", "texts: expected a list of texts, got one string"),
        (["a dog", 3], "texts: expected strings, got int at position 1"),
        (["a dog", "\ud83d"], "texts: expected text that UTF-8 can write, got another at position 1"),
    ],
)
def test_what_are_no_texts(texts: object, message: str, computed: list[int]) -> None:
    with pytest.raises(InputError, match=message):
        sentence_vectors(texts)
    assert computed == []


# Without the extra.


@pytest.mark.parametrize("package", ["no_such_package", "json"])
def test_without_the_extra_one_error_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sentences, "PACKAGE", package)
    sentences.encoder.cache_clear()
    said = "got none; install it with `pip install 'cmhkit\\[words\\]'`" if package != "json" else "install json again"
    with pytest.raises(InputError, match=f"text_features: all-MiniLM-L6-v2: expected .*{said}.*'bag'"):
        ck.data.load(f"folder:{tmp_path}", text_features="minilm")
    with pytest.raises(InputError, match=f"text_features: all-MiniLM-L6-v2: expected .*{said}.*'bag'"):
        ck.data.load(f"coco:{tmp_path}", text_features="minilm")


def test_a_loaded_hasher_without_the_extra_encodes_pictures(
    computed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = by_meaning("CCA")
    file = ck.CCA(bits=8).fit(data).save(tmp_path / "cca.safetensors")
    monkeypatch.undo()
    monkeypatch.setattr(sentences, "PACKAGE", "no_such_package")
    sentences.encoder.cache_clear()
    hasher = ck.load(file)
    assert hasher.encode(images=data.query).shape == (4, 1)
    with pytest.raises(InputError, match=r"pip install 'cmhkit\[words\]'"):
        hasher.encode(texts=["a dog"])
    assert ck.load(hasher.save(tmp_path / "again.safetensors")).text_features_ == "minilm"


# Data and readers.


def by_meaning(method: str) -> ck.data.PairedData:
    data = small_hashers.data_for(method)
    return replace(data, text_vectors=sentence_vectors(data.texts), text_features="minilm")


def test_vectors_of_another_width_or_kind_are_refused() -> None:
    data = small_hashers.data_for("CCA")
    with pytest.raises(InputError, match="text_vectors: expected 384 columns, since text_features is 'minilm', got 6"):
        replace(data, text_features="minilm")
    with pytest.raises(InputError, match="text_features: expected one of bag, minilm, got 'words'"):
        replace(data, text_features="words")


def test_a_folder_is_read_by_what_its_captions_mean(computed: list[int], tmp_path: Path) -> None:
    for i in range(12):
        file = tmp_path / "mine" / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 20 * i, np.uint8)).save(file)
        file.with_suffix(".txt").write_text(f"caption number {i}")
    options = {"side": 16, "features": None, "show_progress": False}
    data = ck.data.load(f"folder:{tmp_path / 'mine'}", text_features="minilm", **options)
    np.testing.assert_array_equal(data.text_vectors, by_content(data.texts))
    bag = ck.data.load(f"folder:{tmp_path / 'mine'}", **options)
    assert data.text_features == data.query.text_features == "minilm" and bag.text_features == "bag"
    assert data.texts == bag.texts and data.vocabulary == bag.vocabulary
    assert "read by all-MiniLM-L6-v2" in repr(data.report) and "MiniLM" not in repr(bag.report)


@pytest.mark.parametrize(("reader", "make"), [("mirflickr", mirflickr_folder), ("coco", coco_folder)])
def test_a_benchmark_is_read_by_what_its_texts_mean(reader: str, make, computed: list[int], tmp_path: Path) -> None:
    options = {"resolution": 16, "features": None, "query": 4, "train": 8, "show_progress": False}
    options |= {"least": 8} if reader == "mirflickr" else {}
    name = f"{reader}:{make(tmp_path)}"
    data, bag = ck.data.load(name, text_features="minilm", **options), ck.data.load(name, **options)
    np.testing.assert_array_equal(data.text_vectors, by_content(data.texts))
    assert data.text_features == "minilm" and data.texts == bag.texts and data.vocabulary == bag.vocabulary
    assert all((data.parts[part] == bag.parts[part]).all() for part in data.parts)
    with pytest.raises(InputError, match="standardise: expected False with text_features='minilm'"):
        ck.data.load(name, text_features="minilm", standardise=True, **options)


def test_nuswide_has_its_tags_as_texts(computed: list[int], tmp_path: Path) -> None:
    options = {"resolution": 16, "features": None, "query": 4, "train": 8, "show_progress": False}
    data = ck.data.load(f"nuswide-tc10:{nuswide_folder(tmp_path)}", text_features="minilm", **options)
    np.testing.assert_array_equal(data.text_vectors, by_content(data.texts))


def test_a_file_with_vectors_alone_has_no_texts_to_read(computed: list[int], tmp_path: Path) -> None:
    made, rows = truth(40), {"tr": np.arange(30), "te": np.arange(30, 40)}
    file = v5(tmp_path / "it.mat", **parted(rows, made, {"features": "I_{}", "texts": "T_{}", "labels": "L_{}"}))
    with pytest.raises(InputError, match=r"text_features: expected texts in .* for 'minilm', got vectors of width"):
        ck.data.load(f"mat:{file}", text_features="minilm", features=None, show_progress=False)


# The methods.


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_them_and_encodes_strings_from_its_file(
    method: str, computed: list[int], tmp_path: Path
) -> None:
    data = by_meaning(method)
    hasher = getattr(ck, method)(bits=8, **small_hashers.OPTIONS[method]).fit(data, show_progress=False)
    for part in (data.query, data.retrieval):
        np.testing.assert_array_equal(hasher.encode(texts=part.texts), hasher.encode(texts=part))
    loaded = ck.load(hasher.save(tmp_path / "hasher.safetensors"))
    assert loaded.text_features_ == "minilm" and loaded.text_width_ == WIDTH
    words = [*data.query.texts, "words that no text has"]
    np.testing.assert_array_equal(loaded.values(texts=words), hasher.values(texts=words))
    np.testing.assert_array_equal(loaded.values(texts=words[-1:]), hasher.values(texts=by_content(words[-1:])))


def test_the_presets_take_them(computed: list[int]) -> None:
    """As they are, SSAH's fusion too: it reads a vector of any width from its longest window on."""
    data = by_meaning("SSAH")
    hasher = ck.SSAH(bits=8, epochs=1, backbone="features").fit(data, show_progress=False)
    assert hasher.encode(texts=["a dog"]).shape == (1, 1)


def test_a_file_names_the_network_and_another_one_is_refused(computed: list[int], tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    file = ck.CCA(bits=8).fit(by_meaning("CCA")).save(tmp_path / "cca.safetensors")
    with safe_open(file, framework="np") as opened:
        described = json.loads(opened.metadata()["cmhkit"])
        state = {name: opened.get_tensor(name) for name in opened.keys()}
    assert described["text_features"] == "minilm" and described["text_encoder"] == CARD
    for changed, message in (
        (
            {"text_encoder": CARD | {"sha256": "0" * 64, "model": "other"}},
            "text_encoder: expected all-MiniLM.*, got other of gt-",
        ),
        ({"text_features": "words"}, "text_features: expected one of bag, minilm, got 'words'"),
    ):
        save_file(state, file, metadata={"cmhkit": json.dumps(described | changed)})
        with pytest.raises(InputError, match=message):
            ck.load(file)


# Searching.


def test_a_run_finds_words_that_no_text_has(computed: list[int], tmp_path: Path) -> None:
    from cmhkit.app import runs

    for i in range(80):
        file = tmp_path / "mine" / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 3 * i, np.uint8)).save(file)
        write(file.with_suffix(".txt"), f"caption number {i}")
    options = ["side=64", "features=scenenet", "text_features=minilm"]
    said: list[str] = []
    data = f"folder:{tmp_path / 'mine'}"
    folder = runs.train("cca", tmp_path / "run", data=data, data_options=options, bits=8, say=said.append)
    said.clear()
    rows = runs.search(folder.path, "puppy", k=3, say=said.append)
    hasher = folder.hasher()
    hits = ck.index.HammingIndex(folder.codes("retrieval_images"), folder.codes("retrieval_ids")).search(
        hasher.encode(texts=by_content(["puppy"])), 3
    )
    assert [row["id"] for row in rows] == hits.ids[0].tolist() and said == []
    with pytest.raises(InputError, match=r"search: expected at least one word, got '\?!'"):
        runs.search(folder.path, "?!")
    lines = tmp_path / "lines.txt"
    lines.write_text("puppy\n?!\n")
    assert len(runs.encode_texts(folder.path, lines, said.append)["codes"]) == 2
    assert said == ["note: 1 of 2 lines have no word that the run knows, and all get the same code (lines 2)"]


def test_the_explorer_takes_any_word(computed: list[int]) -> None:
    from cmhkit.course.widgets.retrieval_explorer import Library, RetrievalState

    data = by_meaning("ADAH")
    hasher = ck.CCA(bits=8).fit(data, show_progress=False)
    shown = RetrievalState(Library(data, {"CCA": hasher}), words="A puppy, perhaps", k=3).result
    assert shown.unknown == () and shown.summary.startswith("Pictures for “A puppy, perhaps”, CCA, 8 bits: distance")
    expected = ck.index.HammingIndex(hasher.encode(images=data.retrieval)).search(
        hasher.encode(texts=["A puppy, perhaps"]), 3
    )
    assert shown.rows.tolist() == expected.ids[0].tolist()


# Words that are not known, without the extra.


@pytest.mark.parametrize(
    ("word", "near"),
    [
        *(("birds", "bird"), ("puppies", "puppy"), ("babies", "baby"), ("running", "run"), ("riding", "ride")),
        *(("boxes", "box"), ("hoped", "hope"), ("planned", "plan"), ("plan", "plan"), ("singer", "sing")),
        *(("dgo", "dog"), ("tomatos", "tomato"), ("zebra", None), ("bring", None), ("her", None), ("", None)),
    ],
)
def test_other_forms_of_a_word_are_offered(word: str, near: str | None) -> None:
    known = ("bird", "puppy", "baby", "run", "ride", "box", "hope", "plan", "sing", "dog", "tomato")
    assert Vocabulary(known).nearest(word) == near


def test_what_is_offered_where_nothing_is_known() -> None:
    known = Vocabulary(("the", "dog", "poppy", "guppy", "happy", "carpet", "car"))
    assert known.offers(["puppy"]) == ["poppy", "guppy", "happy"]
    assert known.offers(["cars", "dgo"]) == ["car", "carpet", "dog"]
    assert known.offers(["xylophone"], most=2) == known.offers([], most=2) == ["the", "dog"]


def test_a_plural_is_known_by_its_singular_and_the_other_way() -> None:
    assert Vocabulary(("puppies", "cats")).nearest("puppy") == "puppies"
    assert Vocabulary(("puppies", "cats")).nearest("cat") == "cats"
