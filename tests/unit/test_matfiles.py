"""The field's files in circulation: every variant, both containers; splits that are kept; large files that stay on
disk.
"""

from __future__ import annotations

import functools
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from field_files import C, H, N, T, W, cells, hdf5, header, truth, v5, v73
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

import cmhkit as ck
from cmhkit.data.field.containers import open_container
from cmhkit.data.field.protocols import fixed_split, fixed_training
from cmhkit.data.field.reader import binary_labels, load_mat
from cmhkit.data.field.recognise import TextLists, recognise
from cmhkit.data.large import LargePictures
from cmhkit.support.checks import InputError

pytestmark = pytest.mark.usefixtures("own_cache")
SPLIT = {"query": 2, "train": 4, "features": None, "show_progress": False}


def same(data, wanted: dict[str, np.ndarray], images: str = "features") -> None:
    """Pairs hold exactly what was written, in order."""
    np.testing.assert_array_equal(np.asarray(data.images), wanted[images])
    np.testing.assert_array_equal(data.text_vectors, wanted["texts"])
    np.testing.assert_array_equal(data.labels, wanted["labels"])
    assert data.text_vectors.dtype == np.float32 and data.labels.dtype == np.uint8
    assert (
        len(data.query) + len(data.retrieval) == len(data)
        and np.isin(data.parts["train"], data.parts["retrieval"]).all()
    )


# Sets in one file.


def test_flickr_pixels_in_hdf5_come_out_upright(tmp_path: Path) -> None:
    kept = truth()
    file = v73(
        tmp_path / "FLICKR-25K.mat",
        images=kept["pictures"].transpose(0, 3, 2, 1),
        YAll=kept["texts"].T,
        LAll=kept["labels"].T,
    )
    with h5py.File(file) as raw:  # as everybody reads it
        assert raw["images"].shape == (N, 3, W, H) and raw["YAll"].shape == (T, N) and raw["LAll"].shape == (C, N)
    data = load_mat(file, **SPLIT)
    assert isinstance(data.images, LargePictures) and data.images.shape == (N, H, W, 3)
    same(data, kept, "pictures")
    assert "pictures, texts and labels in one file (MATLAB v7.3 (HDF5); FLICKR-25K.mat)" in data.details["recognised"]
    assert f"images (12, 3, 8, 6) uint8, transposed to ({N}, {H}, {W}, 3)" in data.details["recognised"]


def test_the_same_name_and_key_hold_features_in_v5(tmp_path: Path) -> None:
    kept = truth()
    file = v5(
        tmp_path / "FLICKR-25K.mat",
        images=kept["features"],
        YAll=kept["texts"].astype(np.uint8),
        LAll=kept["labels"].astype(float),
    )
    assert "features, texts and labels in one file (MATLAB v5" in str(recognise(file))
    same(load_mat(file, **SPLIT), kept)


def test_pixels_in_v5_lie_as_matlab_holds_them(tmp_path: Path) -> None:
    kept = truth()
    file = v5(
        tmp_path / "small.mat", images=kept["pictures"].transpose(1, 2, 3, 0), YAll=kept["texts"], LAll=kept["labels"]
    )
    same(load_mat(file, **SPLIT), kept, "pictures")


def test_a_compressed_v5_file(tmp_path: Path) -> None:
    kept = truth(600)
    arrays = {"XAll": kept["features"], "YAll": csc_matrix(kept["texts"]), "LAll": kept["labels"]}
    savemat(tmp_path / "set.mat", arrays, do_compression=True)
    same(load_mat(tmp_path / "set.mat", **SPLIT), kept)


def test_nuswide_tc21(tmp_path: Path) -> None:
    kept = truth()
    file = v5(
        tmp_path / "NUS-WIDE-TC21.mat",
        image=kept["features"],
        text=csc_matrix(kept["texts"]),
        label=kept["labels"].astype(np.int8) * 2 - 1,
    )
    same(load_mat(file, **SPLIT), kept)


def test_coco_doc2vec_is_hdf5_but_not_reversed(tmp_path: Path) -> None:
    kept = truth()
    file = hdf5(
        tmp_path / "MSCOCO_deep_doc2vec_data_rand.h5py", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"]
    )
    assert open_container(file).kind == "HDF5"
    same(load_mat(file, **SPLIT), kept)


@pytest.mark.parametrize("write", [v5, hdf5, v73])
@pytest.mark.parametrize("text_reversed", [False, True])
def test_axes_follow_from_the_sizes_whatever_the_container(tmp_path: Path, write, text_reversed: bool) -> None:
    kept = truth()
    texts = kept["texts"].T if text_reversed else kept["texts"]
    same(load_mat(write(tmp_path / "set.mat", XAll=kept["features"], YAll=texts, LAll=kept["labels"]), **SPLIT), kept)


def test_a_square_matrix_follows_its_container(tmp_path: Path) -> None:
    kept = truth()
    square = np.random.default_rng(1).integers(0, 5, size=(N, N)).astype(np.float32)
    kept["texts"] = square
    same(load_mat(v5(tmp_path / "a.mat", XAll=kept["features"], YAll=square, LAll=kept["labels"]), **SPLIT), kept)
    same(
        load_mat(v73(tmp_path / "b.mat", XAll=kept["features"].T, YAll=square.T, LAll=kept["labels"].T), **SPLIT), kept
    )
    with pytest.raises(
        InputError,
        match=r"path: expected arrays with one reading, got an ambiguous one: "
        r"texts can be read in 2 ways. Found: images:",
    ):
        recognise(v73(tmp_path / "c.mat", XAll=kept["features"], YAll=square, LAll=kept["labels"]))


def test_a_sparse_matrix_of_matlab_73(tmp_path: Path) -> None:
    kept, file = truth(), tmp_path / "sparse.mat"
    packed = csc_matrix(kept["texts"].astype(np.float64))
    v73(file, XAll=kept["features"].T, LAll=kept["labels"].T)
    with h5py.File(file, "a") as raw:
        group = raw.create_group("YAll")
        group.attrs["MATLAB_sparse"] = np.uint64(N)
        for key, array in {
            "data": packed.data,
            "ir": packed.indices.astype(np.uint64),
            "jc": packed.indptr.astype(np.uint64),
        }.items():
            group[key] = array
    same(load_mat(file, **SPLIT), kept)


# Files side by side.


def mirflickr_files(folder: Path, kept: dict[str, np.ndarray]) -> None:
    v73(folder / "mirflickr25k-iall.mat", IAll=kept["pictures"].transpose(0, 3, 2, 1))
    v5(folder / "mirflickr25k-yall.mat", YAll=kept["texts"])
    v5(folder / "mirflickr25k-lall.mat", LAll=kept["labels"])


@pytest.mark.parametrize("given", ["", "mirflickr25k-iall.mat", "mirflickr25k-yall.mat", "mirflickr25k-lall.mat"])
def test_mirflickr_in_three_files_of_two_containers(tmp_path: Path, given: str) -> None:
    kept = truth()
    mirflickr_files(tmp_path, kept)
    same(load_mat(tmp_path / given, **SPLIT), kept, "pictures")


def test_two_files_of_images_are_told_apart_by_the_path(tmp_path: Path) -> None:
    kept = truth()
    mirflickr_files(tmp_path, kept)
    v5(tmp_path / "mirflickr25k-iall-vgg.mat", XAll=kept["features"])
    for name in ("", "mirflickr25k-yall.mat"):
        with pytest.raises(
            InputError,
            match=r"(?s)path: expected one file with images, got several; name the one.*iall-vgg\.mat.*iall\.mat",
        ):
            recognise(tmp_path / name)
    same(load_mat(tmp_path / "mirflickr25k-iall-vgg.mat", **SPLIT), kept)
    same(load_mat(tmp_path / "mirflickr25k-iall.mat", **SPLIT), kept, "pictures")


@pytest.mark.parametrize(("write", "texts"), [(v5, "texts"), (v73, "texts.T")])
def test_nuswide_tc10_with_text_in_either_container(tmp_path: Path, write, texts: str) -> None:
    kept = truth()
    v5(tmp_path / "nus-wide-tc10-xall-vgg.mat", XAll=kept["features"])
    write(tmp_path / "nus-wide-tc10-yall.mat", YAll=kept["texts"].T if texts.endswith("T") else kept["texts"])
    v5(tmp_path / "nus-wide-tc10-lall.mat", LAll=kept["labels"])
    same(load_mat(tmp_path / "nus-wide-tc10-xall-vgg.mat", **SPLIT), kept)


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    kept = truth()
    mirflickr_files(tmp_path, kept)
    for name in ("._mirflickr25k-iall.mat", "._other.mat"):
        (tmp_path / name).write_bytes(b"junk")
    same(load_mat(tmp_path, **SPLIT), kept, "pictures")
    same(load_mat(tmp_path / "mirflickr25k-yall.mat", **SPLIT), kept, "pictures")


def test_two_sets_in_one_folder_are_ambiguous(tmp_path: Path) -> None:
    kept = truth()
    mirflickr_files(tmp_path, kept)
    v5(tmp_path / "nus-wide-tc10-yall.mat", YAll=kept["texts"])
    with pytest.raises(
        InputError,
        match=r"(?s)expected one set in .*, got more than one set; name the file. Found:.*nus-wide-tc10-yall",
    ):
        recognise(tmp_path)
    same(load_mat(tmp_path / "mirflickr25k-iall.mat", **SPLIT), kept, "pictures")


# Paths of pictures and captions.

CAPTIONS = [
    "two dogs in a park",
    "a red boat",
    "sunset",
    "",
    "one dog",
    "boats at sea",
    "a park",
    "red sunset",
    "dogs",
    "a boat in a park",
    "sea",
    "x",
]


def captioned(folder: Path, container: str, deep: bool = False) -> dict[str, np.ndarray]:
    kept = truth()
    names = [f"./dataset/flickr25k/mirflickr/im{i}.png" + " " * (i % 3) for i in range(N)]
    (folder / "mirflickr").mkdir()
    for i in range(N):
        Image.fromarray(kept["pictures"][i]).save(folder / "mirflickr" / f"im{i}.png")
    if container == "v5":
        nested = np.empty((1, N), dtype=object)
        for i, caption in enumerate(CAPTIONS):
            nested[0, i] = np.array(caption.split() if deep else [caption], dtype=object) if deep else caption
        v5(folder / "index.mat", index=np.array(names))
        v5(folder / "caption.mat", caption=nested)
        v5(folder / "label.mat", category=kept["labels"])
    else:
        for key, texts in {"index": names, "caption": CAPTIONS}.items():
            with h5py.File(folder / f"{key}.mat", "w", userblock_size=512) as file:
                cells(file, key, texts)
            header(folder / f"{key}.mat")
        v73(folder / "label.mat", category=kept["labels"].T)
    return kept


@pytest.mark.parametrize(("container", "deep"), [("v5", False), ("v5", True), ("v73", False)])
@pytest.mark.parametrize("given", ["", "index.mat", "label.mat"])
def test_index_caption_label(tmp_path: Path, container: str, deep: bool, given: str) -> None:
    kept = captioned(tmp_path, container, deep)
    data = load_mat(tmp_path / given, resolution=16, words=6, **SPLIT)
    assert data.texts == CAPTIONS and np.array_equal(data.labels, kept["labels"])
    assert len(data.vocabulary) == 6 and np.array_equal(data.text_vectors, data.vocabulary.bag_of_words(CAPTIONS))
    train = " ".join(data.train.texts)
    assert all(word in train for word in data.vocabulary.words), "no query shapes the vocabulary"
    assert data.images.shape == (N, 16, 16, 3)
    for i in (0, 7):
        small = Image.fromarray(kept["pictures"][i]).resize((16, 16), Image.Resampling.BICUBIC)
        assert np.array_equal(data.images[i], np.asarray(small))


def test_texts_may_be_a_matrix_of_characters_or_pythons_strings(tmp_path: Path) -> None:
    kept = captioned(tmp_path, "v73")
    names = [f"mirflickr/im{i}.png" for i in range(N)]
    width = max(map(len, names))
    codes = np.array([[ord(letter) for letter in name.ljust(width)] for name in names], dtype=np.uint16)
    with h5py.File(tmp_path / "index.mat", "w", userblock_size=512) as file:
        file.create_dataset("index", data=codes.T).attrs["MATLAB_class"] = np.bytes_("char")
    header(tmp_path / "index.mat")
    with h5py.File(tmp_path / "caption.mat", "w") as file:
        file["caption"] = [f" {caption} " for caption in CAPTIONS]
    data = load_mat(tmp_path, resolution=16, **SPLIT)
    assert data.texts == CAPTIONS and np.array_equal(data.labels, kept["labels"]) and len(data.images) == N


def test_pictures_elsewhere_are_found_by_the_end_of_their_path(tmp_path: Path) -> None:
    kept = captioned(tmp_path, "v5")
    (tmp_path / "mirflickr").rename(tmp_path / "elsewhere")
    with pytest.raises(
        InputError,
        match=r"path: expected 12 pictures of .* \(pictures_in= names another folder\), got none that can be read "
        r"\(12 not there: .*dataset/flickr25k/mirflickr/im0.png, .* and 9 more\)",
    ):
        load_mat(tmp_path, resolution=16, **SPLIT)
    data = load_mat(tmp_path, resolution=16, pictures_in=tmp_path / "elsewhere", **SPLIT)
    assert len(data.images) == len(kept["labels"])


# Sets with their own split.

ROWS = {"te": np.arange(2), "tr": np.arange(4, 8), "db": np.arange(2, 12)}


def own_split(kept: dict[str, np.ndarray], parts: tuple[str, ...], images: str = "features") -> dict[str, np.ndarray]:
    return {
        f"{letter}_{part}": kept[role][ROWS[part]]
        for part in parts
        for letter, role in {"I": images, "T": "texts", "L": "labels"}.items()
    }


@pytest.mark.parametrize("write", [v5, v73, hdf5])
def test_mir_cnn_keeps_its_split_and_training_pairs_stay_in_the_database(tmp_path: Path, write) -> None:
    kept = truth()
    arrays = own_split(kept, ("te", "tr", "db"))
    if write is v73:
        arrays = {key: np.ascontiguousarray(array.T) for key, array in arrays.items()}
    data = load_mat(write(tmp_path / "mir_cnn.mat", **arrays), show_progress=False)
    assert len(data) == 12 and "4 of 4 training pairs are in the database; 0 are added" in data.details["notes"][0]
    for part, rows in {"query": ROWS["te"], "retrieval": ROWS["db"], "train": ROWS["tr"]}.items():
        split = getattr(data, part)
        np.testing.assert_array_equal(split.images, kept["features"][rows])
        np.testing.assert_array_equal(split.text_vectors, kept["texts"][rows])
        np.testing.assert_array_equal(split.labels, kept["labels"][rows])


def test_training_pairs_outside_the_database_join_the_retrieval_set(tmp_path: Path) -> None:
    kept, other = truth(), truth(3, seed=9)
    arrays = own_split(kept, ("te", "tr", "db"))
    for letter, role in {"I": "features", "T": "texts", "L": "labels"}.items():
        arrays[f"{letter}_tr"] = np.concatenate([arrays[f"{letter}_tr"], other[role]])
    data = load_mat(v5(tmp_path / "mir_cnn.mat", **arrays), show_progress=False)
    assert (len(data.query), len(data.retrieval), len(data.train)) == (2, 13, 7)
    assert sorted(map(tuple, data.train.images.tolist())) == sorted(map(tuple, arrays["I_tr"].tolist()))
    assert "4 of 7 training pairs are in the database; 3 are added" in data.details["notes"][0]


def test_raw_mir_has_pictures_with_the_items_last(tmp_path: Path) -> None:
    kept = truth()
    arrays = {}
    for key, array in own_split(kept, ("te", "tr", "db"), "pictures").items():
        arrays[key] = array.transpose(1, 2, 3, 0) if array.ndim == 4 else array.T
    file = v73(tmp_path / "raw_mir.mat", **arrays)
    with h5py.File(file) as raw:  # as everybody reads it
        np.testing.assert_array_equal(raw["I_tr"][:].transpose(3, 0, 1, 2), kept["pictures"][ROWS["tr"]])
    data = load_mat(file, features=None, show_progress=False)
    assert isinstance(data.images, LargePictures)
    for part, rows in {"query": ROWS["te"], "retrieval": ROWS["db"], "train": ROWS["tr"]}.items():
        np.testing.assert_array_equal(np.asarray(getattr(data, part).images), kept["pictures"][rows])
    np.testing.assert_array_equal(load_mat(file, features=None, show_progress=False).images[:], data.images[:])


def test_class_numbers_become_one_column_each(tmp_path: Path) -> None:
    kept = truth()
    arrays = own_split(kept, ("te", "tr"))
    arrays["L_tr"], arrays["L_te"] = np.array([[1], [3], [2], [1]]), np.array([[3], [1]])
    data = load_mat(v5(tmp_path / "wikiData.mat", **arrays), show_progress=False)
    assert data.labels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert len(data.retrieval) == len(data.train) == 4


def test_iapr_rand_draws_its_training_pairs_once(tmp_path: Path) -> None:
    kept = truth()
    names = {"V": "features", "Y": "texts"}
    arrays = {
        f"{letter}{word}": kept[role][rows]
        for word, rows in (("Database", ROWS["db"]), ("Test", ROWS["te"]))
        for letter, role in names.items()
    }
    arrays |= {"databaseL": kept["labels"][ROWS["db"]], "testL": kept["labels"][ROWS["te"]]}
    file = v5(tmp_path / "iapr-tc12-rand.mat", **arrays)
    whole = load_mat(file, show_progress=False)
    assert (len(whole.query), len(whole.retrieval), len(whole.train)) == (2, 10, 10)
    some = load_mat(file, train=4, show_progress=False)
    assert len(some.train) == 4 and np.array_equal(
        some.parts["train"], load_mat(file, train=4, show_progress=False).parts["train"]
    )
    np.testing.assert_array_equal(some.query.images, kept["features"][ROWS["te"]])


def test_a_query_that_is_in_the_database_too_is_an_error_unless_told(tmp_path: Path) -> None:
    kept = truth()
    arrays = own_split(kept, ("te", "tr"))
    for letter in "ITL":
        arrays[f"{letter}_te"] = np.concatenate([arrays[f"{letter}_te"], arrays[f"{letter}_tr"][:1]])
    file = v5(tmp_path / "leak.mat", **arrays)
    with pytest.raises(
        InputError, match=r"path: 1 of 3 queries of .* are in its retrieval or training set too.*; pass repeated='drop'"
    ):
        load_mat(file, show_progress=False)
    assert len(load_mat(file, repeated="drop", show_progress=False).query) == 2
    assert len(load_mat(file, repeated="keep", show_progress=False).query) == 3


# UGACH's lists.


def text_lists(folder: Path, kept: dict[str, np.ndarray]) -> Path:
    for name in ("list", "feature"):
        (folder / name).mkdir(parents=True)
    for part, word in {"te": "test", "tr": "train", "db": "database"}.items():
        rows = ROWS[part]
        for kind, role in (("img", "features"), ("txt", "texts")):
            (folder / "list" / f"{word}_{kind}.txt").write_bytes("".join(f"{kind}_{i}\r\n" for i in rows).encode())
            lines = [" ".join(repr(float(x)) for x in kept[role][i]) + "\n" for i in rows]
            (folder / "feature" / f"{word}_{kind}.txt").write_text("".join(lines))
        (folder / "list" / f"{word}_label.txt").write_bytes(
            "".join(" ".join(map(str, kept["labels"][i])) + "\r\n" for i in rows).encode()
        )
    return folder


def test_ugach_lists(tmp_path: Path) -> None:
    kept = truth()
    folder = text_lists(tmp_path / "mir", kept)
    assert isinstance(recognise(folder), TextLists)
    data = ck.data.load(f"mat:{folder}", show_progress=False)
    for part, rows in {"query": ROWS["te"], "retrieval": ROWS["db"], "train": ROWS["tr"]}.items():
        np.testing.assert_array_equal(getattr(data, part).images, kept["features"][rows])
        np.testing.assert_array_equal(getattr(data, part).labels, kept["labels"][rows])


# Labels.


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([[[0, 1], [1, 0]]], [[[0, 1], [1, 0]]]),
        ([[[-1, 1], [1, -1]]], [[[0, 1], [1, 0]]]),
        ([[[1], [2]], [[3]]], [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1]]]),
        ([[[0], [1]]], [[[1, 0], [0, 1]]]),
        ([[[0], [2]], [[1]]], [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0]]]),
        ([[[-1], [1]]], [[[1, 0], [0, 1]]]),
        ([[[1], [1]]], [[[1], [1]]]),
    ],
)
def test_labels_become_zero_and_one(parts, wanted) -> None:
    found, names = binary_labels([np.array(part, dtype=np.float32) for part in parts], "x")
    assert [part.tolist() for part in found] == wanted and names == ()
    assert all(part.dtype == np.uint8 for part in found)


# Splits.


def test_a_split_is_drawn_once_and_kept(tmp_path: Path, own_cache: Path) -> None:
    kept = truth()
    file = v5(tmp_path / "set.mat", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    first = load_mat(file, **SPLIT)
    (folder,) = own_cache.glob("split-*")
    stamp = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    again = load_mat(file, **SPLIT)
    assert all(np.array_equal(first.parts[part], again.parts[part]) for part in first.parts)
    assert stamp == {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}, "read, not drawn again"
    other = load_mat(file, seed=1, **SPLIT)
    assert not np.array_equal(first.parts["query"], other.parts["query"])
    own = load_mat(file, own_pair=True, **SPLIT)
    assert (
        len(own.retrieval) == N
        and np.array_equal(own.parts["query"], first.parts["query"])
        and np.array_equal(own.parts["train"], first.parts["train"])
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(3, 60), data=st.data())
def test_a_split_has_the_sizes_asked_for_and_no_pair_twice(own_cache: Path, n: int, data) -> None:
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any)))
    query = data.draw(st.integers(1, min(int(allowed.sum()), n - 1)))
    train = data.draw(st.integers(1, n - query))
    seed = data.draw(st.integers(0, 3))
    ids = np.array(data.draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n, unique=True)))
    parts = fixed_split("x", ids, query=query, train=train, seed=seed, query_from=allowed)
    assert (len(parts["query"]), len(parts["retrieval"]), len(parts["train"])) == (query, n - query, train)
    assert sorted([*parts["query"], *parts["retrieval"]]) == list(range(n)) and allowed[parts["query"]].all()
    assert np.isin(parts["train"], parts["retrieval"]).all()
    again = fixed_split("x", ids, query=query, train=train, seed=seed, query_from=allowed)
    assert all(np.array_equal(parts[part], again[part]) for part in parts)
    shutil.rmtree(own_cache)
    anew = fixed_split("x", ids, query=query, train=train, seed=seed, query_from=allowed)
    assert all(np.array_equal(parts[part], anew[part]) for part in parts), "the draw itself depends on nothing else"


def test_queries_come_from_the_allowed_pairs(own_cache: Path) -> None:
    allowed = np.arange(40) % 4 == 0
    parts = fixed_split("x", np.arange(40), query=10, train=5, query_from=allowed)
    assert parts["query"].tolist() == np.flatnonzero(allowed).tolist()


def test_kept_training_parts_of_two_sets_do_not_mix(own_cache: Path) -> None:
    small = fixed_training("x", np.arange(10), train=5)
    large = fixed_training("x", np.arange(1000), train=5)
    assert len(small) == len(large) == 5 and small.max() < 10 <= large.max()


def test_a_benchmark_is_known_by_its_sizes(tmp_path: Path) -> None:
    n, rng = 2900, np.random.default_rng(0)
    labels = np.eye(10, dtype=np.uint8)[rng.integers(0, 10, n)]
    wiki = v5(tmp_path / "a.mat", XAll=rng.random((n, 3)), YAll=rng.random((n, 10)), LAll=labels)
    nus = v5(tmp_path / "b.mat", XAll=rng.random((n, 3)), YAll=np.ones((n, 1000), np.uint8), LAll=labels)
    other = v5(tmp_path / "c.mat", XAll=rng.random((n, 3)), YAll=rng.random((n, 11)), LAll=labels)
    found = [load_mat(file, show_progress=False) for file in (wiki, nus, other)]
    assert [(d.name, len(d.query)) for d in found] == [("wikipedia", 693), ("nuswide-tc10", 29), ("c", 290)]


# Large pictures.


@pytest.fixture(params=["items first", "one picture a chunk", "odd chunks", "items last"])
def large(request, tmp_path: Path) -> tuple[LargePictures, np.ndarray]:
    kept = truth(40)
    last = request.param == "items last"
    pixels = kept["pictures"].transpose(1, 2, 3, 0) if last else kept["pictures"].transpose(0, 3, 2, 1)
    chunks = {"one picture a chunk": {"images": (1, 3, W, H)}, "odd chunks": {"images": (7, 2, 5, 3)}}.get(
        request.param
    )
    file = hdf5(tmp_path / "pictures.mat", chunks, images=pixels, YAll=kept["texts"], LAll=kept["labels"])
    return load_mat(file, **SPLIT).images, kept["pictures"]


class Counting:
    """A source that counts the pictures it gives."""

    def __init__(self, n: int) -> None:
        self.array = np.arange(n, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
        self.shape, self.given = self.array.shape, 0

    def read(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start < stop <= len(self.array)
        self.given += stop - start
        return self.array[start:stop]


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 200), data=st.data())
def test_large_pictures_give_what_is_asked_for_and_read_little_more(n: int, data) -> None:
    source = Counting(n)
    rows = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=60)), dtype=int)
    found = LargePictures(source)[rows]
    np.testing.assert_array_equal(found, source.array[rows])
    assert source.given <= 5 * len(rows)
    cut = data.draw(st.slices(n))
    part = LargePictures(source).part(rows)
    np.testing.assert_array_equal(LargePictures(source)[cut], source.array[cut])
    np.testing.assert_array_equal(part[: len(rows) // 2], source.array[rows][: len(rows) // 2])


def test_large_pictures_are_cut_as_an_array_is(large, monkeypatch) -> None:
    images, array = large
    monkeypatch.setattr("cmhkit.data.large.BLOCK", 7 * H * W * 3)  # several blocks
    rng = np.random.default_rng(0)
    assert len(images) == 40 and images.shape == array.shape and images.ndim == 4 and images.dtype == np.uint8
    for key in (
        0,
        -1,
        np.int64(7),
        slice(3, 30),
        slice(None, None, -3),
        slice(5, 5),
        rng.permutation(40)[:17],
        rng.integers(-40, 40, 60),
        [],
    ):
        np.testing.assert_array_equal(
            images[key], array[key if key != [] else np.zeros(0, int)] if isinstance(key, list) else array[key]
        )
    mask = rng.random(40) < 0.5
    np.testing.assert_array_equal(images[mask], array[mask])
    np.testing.assert_array_equal(images[3, 1:4, :, 0], array[3, 1:4, :, 0])
    np.testing.assert_array_equal(images[2:5, ..., 1], array[2:5, ..., 1])
    np.testing.assert_array_equal(np.asarray(images), array)
    np.testing.assert_array_equal(np.stack(list(images)), array)
    rows = rng.integers(0, 40, 25)
    part = images.part(rows)
    assert isinstance(part, LargePictures)
    np.testing.assert_array_equal(part[:], array[rows])
    np.testing.assert_array_equal(part.part(np.array([4, 4, 1]))[:], array[rows][[4, 4, 1]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(part))[:], array[rows])
    for bad in (40, [41], [[1]], [0.5]):
        with pytest.raises(IndexError, match="expected positions"):
            images[bad]


def test_a_split_of_large_pictures_reads_nothing(large, tmp_path: Path) -> None:
    images, array = large
    data = ck.data.PairedData(
        "x", images, np.ones((40, 2)), {"query": [0], "retrieval": np.arange(1, 40), "train": [1, 2]}
    )
    assert isinstance(data.retrieval.images, LargePictures)
    np.testing.assert_array_equal(data.train.images[:], array[1:3])


def test_pictures_of_other_types_are_taken_if_they_are_whole(tmp_path: Path) -> None:
    kept = truth()
    pixels = kept["pictures"].transpose(0, 3, 2, 1)
    for dtype in (np.float64, np.int16):
        file = v73(
            tmp_path / f"{dtype.__name__}.mat", images=pixels.astype(dtype), YAll=kept["texts"].T, LAll=kept["labels"].T
        )
        np.testing.assert_array_equal(load_mat(file, **SPLIT).images[:], kept["pictures"])
    file = v73(tmp_path / "shares.mat", images=pixels / 255.0, YAll=kept["texts"].T, LAll=kept["labels"].T)
    with pytest.raises(
        InputError,
        match=r"path: expected pictures as whole numbers from 0 to 255, got float64 from 0.01.* to 1.0 for images in",
    ):
        load_mat(file, **SPLIT).images[:]


MEMORY = r"""
import re, sys
import numpy as np, h5py
import cmhkit as ck
from cmhkit.data import large
from cmhkit.data.field import load_mat
large.BLOCK = 2**22
def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
before = peak()
data = load_mat(sys.argv[1], query=10, train=20, features=None, show_progress=False)
total = 0
for part in (data.query, data.retrieval):
    for start in range(0, len(part), 32):
        total += int(part.images[start:start + 32].sum(dtype=np.int64))
print(peak() - before, total)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("last", [False, True])
def test_reading_pictures_takes_a_fraction_of_their_size(tmp_path: Path, last: bool) -> None:
    """150 MB of pictures are read with memory for a few blocks only, whichever way they lie."""
    n, side = 1000, 224
    file, total = tmp_path / "large.mat", 0
    rng = np.random.default_rng(0)
    with h5py.File(file, "w", userblock_size=512) as raw:
        shape = (side, side, 3, n) if last else (n, 3, side, side)
        pixels = raw.create_dataset("images", shape, np.uint8)
        block = rng.integers(0, 256, size=(250, 3, side, side), dtype=np.uint8)
        for start in range(0, n, 250):
            if last:
                pixels[..., start : start + 250] = block.transpose(3, 2, 1, 0)
            else:
                pixels[start : start + 250] = block
            total += int(block.sum(dtype=np.int64))
        raw["YAll"], raw["LAll"] = np.ones((3, n), np.uint8), np.ones((2, n), np.uint8)
    header(file)
    result = subprocess.run([sys.executable, "-c", MEMORY, str(file)], capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    grown, found = map(int, result.stdout.split())
    assert found == total
    assert grown * 1024 < n * side * side * 3 / 2, f"{grown / 1024:.0f} MB"


# Methods on such data.


def test_hashers_work_on_features_and_on_pictures_in_a_file(tmp_path: Path) -> None:
    kept = truth(120)
    split = {"query": 20, "train": 80, "features": "scenenet", "show_progress": False}
    features = load_mat(v5(tmp_path / "f.mat", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"]), **split)
    report = ck.CCA(bits=8).fit(features).evaluate(features)
    assert 0 < report.map_i2t <= 1
    pixels = hdf5(
        tmp_path / "p.mat", IAll=kept["pictures"].transpose(0, 3, 2, 1), YAll=kept["texts"], LAll=kept["labels"]
    )
    data = load_mat(pixels, **split)
    hasher = ck.CCA(bits=8).fit(data, show_progress=False)
    in_memory = ck.data.PairedData("m", kept["pictures"], kept["texts"], data.parts, labels=kept["labels"])
    np.testing.assert_array_equal(hasher.encode(images=data.query), hasher.encode(images=in_memory.query))
    assert hasher.evaluate(data).map_t2i == hasher.evaluate(in_memory).map_t2i


def test_a_network_that_reads_pictures_takes_them_from_the_file(tmp_path: Path, monkeypatch) -> None:
    from cmhkit.adah import fit as schedule
    from cmhkit.nn import backbones

    small = functools.partial(backbones.VGG19, widths=(2, 2, 3, 3, 4), hidden=6)
    monkeypatch.setattr(schedule, "VGG19", small)
    kept = truth(24)
    pixels = np.random.default_rng(0).integers(0, 256, size=(24, 3, 32, 32), dtype=np.uint8)
    file = hdf5(tmp_path / "p.mat", IAll=pixels, YAll=kept["texts"], LAll=kept["labels"])
    data = load_mat(file, query=4, train=12, features=None, show_progress=False)
    hasher = ck.ADAH(bits=8, preset="paper", side=64, epochs=1, batch=6, text_hidden=8, text_width=8, device="cpu")
    with pytest.warns(UserWarning, match="VGG-19 starts untrained"):
        hasher.fit(data, show_progress=False)
    codes = hasher.encode(images=data.retrieval)
    np.testing.assert_array_equal(codes, hasher.encode(images=data.retrieval.images[:]))
    with pytest.warns(ck.codes.CollapseWarning):
        assert codes.shape == (20, 1) and np.isfinite(hasher.evaluate(data).map_i2t)
