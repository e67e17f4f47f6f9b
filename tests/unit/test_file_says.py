"""What a file says is used, or named: its split, its labels, its texts, and what nobody read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from field_files import (
    C,
    N,
    coco_folder,
    hdf5,
    header,
    iapr_folder,
    mirflickr_folder,
    nuswide_folder,
    truth,
    v5,
    v73,
    wikipedia_folder,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matlab_files import Char, opaque, v5_file, v73_texts
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix
from test_matfiles import captioned, text_lists

import cmhkit as ck
from cmhkit.data.field import containers
from cmhkit.data.field.protocols import given_split
from cmhkit.data.field.tables import meaning
from cmhkit.support.checks import InputError

pytestmark = pytest.mark.usefixtures("own_cache")
KEPT = truth()
QUERY, DATABASE, TRAIN = np.arange(3), np.arange(3, 12), np.arange(5, 9)
QUIET = {"features": None, "show_progress": False}


def whole(**changes) -> dict:
    """A set in one piece, with some keys changed; None drops a key."""
    arrays = {"IAll": KEPT["features"], "YAll": KEPT["texts"], "LAll": KEPT["labels"]} | changes
    return {key: array for key, array in arrays.items() if array is not None}


def cell(*items) -> np.ndarray:
    out = np.empty((1, len(items)), dtype=object)
    out[0, :] = items
    return out


def load(path: Path, **options):
    return ck.data.load(f"mat:{path}", **(QUIET | options))


def last_line(data) -> str:
    return str(data.report).splitlines()[-1]


# Keys.


@pytest.mark.parametrize(
    ("key", "wanted"),
    {
        "IAll": ("images", "all"),
        "TAll": ("texts", "all"),
        "L": ("labels", "all"),
        "targets": ("labels", "all"),
        "I_te": ("images", "te"),
        "testL": ("labels", "te"),
        "databaseL": ("labels", "db"),
        "XTrain": ("images", "tr"),
        "train_labels": ("labels", "tr"),
        "queryTexts": ("texts", "te"),
        "train/images": ("images", "tr"),
        "image_paths": ("paths", "all"),
        "param.indexQuery": ("positions", "te"),
        "param/indexDatabase": ("positions", "db"),
        "test_index": ("positions", "te"),
        "trainInd": ("positions", "tr"),
        "val_idx": ("positions", "va"),
        "is_train": ("positions", "tr"),
        "query": ("positions", "te"),
        "split": ("names", "all"),
        "param.bits": None,
        "param.l": None,
        "n": None,
        "theta": None,
        "label_names": None,
        "index_all": None,
    }.items(),
)
def test_a_key_says_what_it_holds(key: str, wanted: tuple[str, str] | None) -> None:
    found = meaning(key)
    assert (found and (found.role, found.part)) == wanted


@pytest.mark.parametrize("write", [v5, hdf5, v73])
@pytest.mark.parametrize(
    "keys", [("IAll", "TAll", "LAll"), ("img", "txt", "labels"), ("I", "T", "L"), ("X", "tags", "targets")]
)
def test_words_for_pictures_texts_and_labels(tmp_path: Path, write, keys: tuple[str, ...]) -> None:
    arrays = dict(zip(keys, (KEPT["features"], KEPT["texts"], KEPT["labels"]), strict=True))
    if write is v73:
        arrays = {key: np.ascontiguousarray(array.T) for key, array in arrays.items()}
    data = load(write(tmp_path / "set.mat", **arrays), query=2, train=4)
    np.testing.assert_array_equal(data.images, KEPT["features"])
    np.testing.assert_array_equal(data.text_vectors, KEPT["texts"])
    np.testing.assert_array_equal(data.labels, KEPT["labels"])
    assert last_line(data) == "not read: nothing"


def test_a_known_key_goes_before_a_word_and_a_word_before_a_letter(tmp_path: Path) -> None:
    """What is left over from a workspace does no harm: it is named."""
    junk = {
        "i": 3.0,
        "x": np.ones((1, 4)),
        "t": np.ones((2, 2)),
        "img": KEPT["features"] + 1,
        "param": {"bits": 32, "l": 1},
    }
    data = load(v5(tmp_path / "set.mat", **whole(), **junk), query=2, train=4)
    np.testing.assert_array_equal(data.images, KEPT["features"])
    line = last_line(data)
    assert line.startswith("not read: ") and all(
        f"{key} (" in line for key in ("i", "x", "t", "img", "param.bits", "param.l")
    )
    assert "YAll" not in line


def test_a_stray_key_of_a_part_does_not_hide_a_whole_set(tmp_path: Path) -> None:
    data = load(v5(tmp_path / "set.mat", **whole(testL=KEPT["labels"][:2])), query=2, train=4)
    assert last_line(data) == "not read: testL (2, 4) uint8"


# Splits.


def positions(start: int, *rows: np.ndarray) -> list[np.ndarray]:
    return [np.array(row, dtype=np.float64)[None] + start for row in rows]


def masks(*rows: np.ndarray) -> list[np.ndarray]:
    return [np.isin(np.arange(N), row)[:, None] for row in rows]


Q, D, T = positions(1, QUERY, DATABASE, TRAIN)
Q0, D0, T0 = positions(0, QUERY, DATABASE, TRAIN)
MQ, MD, MT = masks(QUERY, DATABASE, TRAIN)
NAMES = np.array([["test" if i in QUERY else "train" if i in TRAIN else "database" for i in range(N)]], dtype=object)
SPLITS: dict[str, tuple[dict, np.ndarray, np.ndarray | None]] = {
    "ADSH's param": ({"param": {"indexQuery": Q, "indexDatabase": D, "indexTrain": T, "bit": 16}}, DATABASE, TRAIN),
    "param, retrieval": ({"param": {"indexQuery": Q.T, "indexRetrieval": D.T, "indexTrain": T.T}}, DATABASE, TRAIN),
    "from 0": ({"query_index": Q0, "db_index": D0, "train_index": T0}, DATABASE, TRAIN),
    "int32": (
        {"idx_te": Q.astype(np.int32), "idx_db": D.astype(np.uint16), "idx_tr": T.astype(np.int64)},
        DATABASE,
        TRAIN,
    ),
    "queries and database": ({"test_ind": Q, "retrieval_ind": D}, DATABASE, None),
    "queries alone": ({"testIdx": Q}, DATABASE, None),
    "queries and training": ({"param": {"indexQuery": Q, "indexTrain": T}}, DATABASE, TRAIN),
    "training alone": ({"train_idx": D}, DATABASE, DATABASE),
    "masks": ({"is_test": MQ, "is_db": MD.astype(float), "train_mask": MT}, DATABASE, TRAIN),
    "a mask": ({"isTrain": MD}, DATABASE, DATABASE),
    "a sparse mask": ({"query": csc_matrix(MQ), "database": csc_matrix(MD), "train": csc_matrix(MT)}, DATABASE, TRAIN),
    "names": ({"split": NAMES}, DATABASE, TRAIN),
    "names, rows of letters": ({"set": NAMES[0].astype(str)}, DATABASE, TRAIN),
}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", SPLITS)
def test_a_split_in_a_file_is_used(tmp_path: Path, kind: str, compressed: bool) -> None:
    keys, database, train = SPLITS[kind]
    savemat(tmp_path / "set.mat", whole(**keys), do_compression=compressed)
    data = load(tmp_path / "set.mat")
    assert data.parts["query"].tolist() == QUERY.tolist() and data.parts["retrieval"].tolist() == database.tolist()
    assert data.parts["train"].tolist() == (database if train is None else train).tolist()
    assert not data.own_pair and data.details["notes"][0].startswith("split of the file")
    assert last_line(data) == ("not read: param.bit (1, 1) int64" if kind == "ADSH's param" else "not read: nothing")
    if train is None:
        some = load(tmp_path / "set.mat", train=4)
        assert len(some.train) == 4 and np.isin(some.parts["train"], database).all()
    with pytest.raises(InputError, match=r"query: expected none, since .* has its own queries"):
        load(tmp_path / "set.mat", query=2)


@pytest.mark.parametrize("start", [0, 1])
def test_a_split_in_hdf5(tmp_path: Path, start: int) -> None:
    """In a structure of v7.3, and in a group, from 0 or from 1."""
    rows = dict(
        zip(("indexQuery", "indexDatabase", "indexTrain"), positions(start, QUERY, DATABASE, TRAIN), strict=True)
    )
    files = {
        "v73.mat": (v73, {key: np.ascontiguousarray(array.T) for key, array in whole().items()}),
        "plain.h5": (hdf5, whole()),
    }
    for name, (write, arrays) in files.items():
        path = write(tmp_path / name, **arrays)
        with h5py.File(path, "a") as file:
            group = file.create_group("param")
            group.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, values in rows.items():
                group[key] = values.T
        data = load(path)
        wanted = {"query": QUERY, "retrieval": DATABASE, "train": TRAIN}
        assert all(np.array_equal(data.parts[part], wanted[part]) for part in wanted)
        assert f"positions counted from {start}" in str(data.report)


def test_a_set_in_groups_has_its_own_split(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.h5", "w") as file:
        for part, rows in {"train": DATABASE, "test": QUERY}.items():
            for key, role in {"images": "features", "texts": "texts", "labels": "labels"}.items():
                file[f"{part}/{key}"] = KEPT[role][rows]
    data = load(tmp_path / "set.h5")
    np.testing.assert_array_equal(data.query.images, KEPT["features"][QUERY])
    np.testing.assert_array_equal(data.train.labels, KEPT["labels"][DATABASE])


@pytest.mark.parametrize("keys", [("I_{}", "T_{}", "L_{}", "te db tr"), ("X{}", "Y{}", "L{}", "Test Retrieval Train")])
def test_names_of_parts_in_keys_with_texts_and_named_labels(tmp_path: Path, keys: tuple[str, str, str, str]) -> None:
    names, captions = ["cat", "dog", "owl", "bat"], [f"a {i} caption \U0001f600 é" for i in range(N)]
    arrays = {}
    for part, rows in zip(keys[3].split(), (QUERY, DATABASE, TRAIN), strict=True):
        arrays[keys[0].format(part)] = KEPT["features"][rows]
        arrays[keys[1].format(part)] = cell(*(captions[i] for i in rows))
        arrays[keys[2].format(part)] = cell(*(names[i % C] for i in rows))
    data = load(v5(tmp_path / "set.mat", **arrays))
    assert data.query.texts == [captions[i] for i in QUERY] and data.train.texts == [captions[i] for i in TRAIN]
    assert data.label_names == ("bat", "cat", "dog", "owl") and (data.labels.sum(axis=1) == 1).all()
    assert data.labels[data.parts["query"]].argmax(axis=1).tolist() == [1, 2, 3]
    assert len(data.retrieval) == 9 and last_line(data) == "not read: nothing"


def test_a_database_with_the_queries_keeps_them(tmp_path: Path) -> None:
    every = np.arange(N)[None] + 1.0
    data = load(v5(tmp_path / "set.mat", **whole(indexQuery=Q, indexDatabase=every, indexTrain=T)))
    assert data.own_pair and len(data.retrieval) == N and data.parts["query"].tolist() == QUERY.tolist()
    for train, count in ((None, 9), (4, 4)):
        data = load(v5(tmp_path / "set.mat", **whole(indexQuery=Q, indexDatabase=every)), train=train)
        assert len(data.train) == count and not np.isin(data.parts["train"], QUERY).any()


BAD_SPLITS = {
    "outside": (
        {"test_index": Q + 10},
        r"expected positions of 12 pairs, from 0 or from 1, .*got numbers from 11 to 13",
    ),
    "0 and n": ({"test_index": Q0, "db_index": D}, r"expected positions of 12 pairs.*, got numbers from 0 to 12"),
    "below 0": ({"test_index": Q - 2}, r"got numbers from -1 to 1"),
    "halves": ({"test_index": Q + 0.5}, r"got numbers that are not whole"),
    "twice": (
        {"test_index": np.array([[1, 2, 2, 12]])},
        r"expected each position once in the split of the file, got 1 twice",
    ),
    "a query to train on": ({"test_index": Q, "train_index": D - 1}, r"no training pair among the queries .*, got 1"),
    "no query": (
        {"is_train": np.ones((N, 1), bool)},
        r"expected pairs for the query part in the split of the file, got none",
    ),
    "two keys": ({"test_index": Q, "query_idx": Q}, r"expected one key for test positions, got test_index, query_idx"),
    "an unknown name": (
        {"split": np.where(NAMES == "test", "tost", NAMES)},
        r"expected names of parts in split .*, got 'tost'",
    ),
    "NaN": ({"test_index": Q * np.nan}, r"expected finite numbers in test_index"),
    "validation alone": (
        {"val_index": Q},
        r"expected queries, a retrieval set or a training set in the split, got none",
    ),
}


@pytest.mark.parametrize("kind", BAD_SPLITS)
def test_a_malformed_split_gets_one_clear_error(tmp_path: Path, kind: str) -> None:
    keys, message = BAD_SPLITS[kind]
    with pytest.raises(InputError, match=f"^path: .*{message}"):
        load(v5(tmp_path / "set.mat", **whole(**keys)))


@given(st.data(), st.integers(4, 30), st.booleans())
def test_any_split_is_read_back(data, n: int, from_one: bool) -> None:
    """Three parts and a rest, as positions from 0 or 1 or as masks."""
    names = data.draw(st.lists(st.sampled_from(["te", "db", "tr", "va"]), min_size=n, max_size=n))
    rows = {part: np.flatnonzero(np.array(names) == part) for part in ("te", "db", "tr", "va")}
    as_mask = data.draw(st.booleans())
    # what shows how positions are counted: the first pair or the last one is in a part, which is always so here
    values = {p: np.isin(np.arange(n), r) * 1.0 if as_mask else r + float(from_one) for p, r in rows.items()}
    if not len(rows["te"]) or not len(rows["tr"]):
        with pytest.raises(InputError, match=r"path: expected pairs for the (query|train|retrieval) part"):
            given_split(n, values, from_one)
        return
    parts, own, _ = given_split(n, values, not from_one)
    assert parts["query"].tolist() == rows["te"].tolist() and parts["train"].tolist() == rows["tr"].tolist()
    assert parts["retrieval"].tolist() == sorted([*rows["db"], *rows["tr"]]) and not own


def test_a_split_that_names_no_part_is_named(tmp_path: Path) -> None:
    data = load(v5(tmp_path / "set.mat", **whole(set=np.ones((N, 1)))), query=2, train=4)
    assert last_line(data) == "not read: set (12, 1) double" and "split drawn from seed 0" in str(data.report)


# Labels.

CLASSES = np.arange(N) % C
ONE_HOT = np.eye(C, dtype=np.uint8)[CLASSES]
WORDS = np.array(["cat", "dog", "owl", "bat"], dtype=object)
LABELS: dict[str, tuple[object, np.ndarray]] = {
    "one-hot": (ONE_HOT, ONE_HOT),
    "one-hot, logical": (ONE_HOT.astype(bool), ONE_HOT),
    "one-hot, sparse": (csc_matrix(ONE_HOT.astype(bool)), ONE_HOT),
    "one-hot on its side": (ONE_HOT.T.astype(float), ONE_HOT),
    "±1": (ONE_HOT * 2.0 - 1, ONE_HOT),
    "numbers from 0, N×1": (CLASSES[:, None].astype(float), ONE_HOT),
    "numbers from 0, 1×N": (CLASSES[None].astype(np.uint8), ONE_HOT),
    "numbers from 1, N×1": (CLASSES[:, None] + 1.0, ONE_HOT),
    "numbers from 1, 1×N": (CLASSES[None] + 1, ONE_HOT),
    "two classes, 0 and 1": (CLASSES[:, None] % 2, np.eye(2, dtype=np.uint8)[CLASSES % 2]),
    "two classes, ±1": (CLASSES[:, None] % 2 * 2.0 - 1, np.eye(2, dtype=np.uint8)[CLASSES % 2]),
    "a cell of texts": (WORDS[CLASSES][None], ONE_HOT[:, [3, 0, 1, 2]]),
    "a column of texts": (WORDS[CLASSES][:, None], ONE_HOT[:, [3, 0, 1, 2]]),
    "rows of letters": (WORDS[CLASSES].astype(str), ONE_HOT[:, [3, 0, 1, 2]]),
    "cells of texts": (
        cell(*(cell(WORDS[c], "animal") for c in CLASSES)),
        np.c_[np.ones(N, int), ONE_HOT[:, [3, 0, 1, 2]]],
    ),
}


@pytest.mark.parametrize("key", ["LAll", "label", "labels", "L", "targets"])
@pytest.mark.parametrize("form", LABELS)
def test_labels_of_every_form(tmp_path: Path, form: str, key: str) -> None:
    given, wanted = LABELS[form]
    data = load(v5(tmp_path / "set.mat", **whole(**({"LAll": None} | {key: given}))), query=2, train=4)
    np.testing.assert_array_equal(data.labels, wanted)
    texts = "text" in form or "letters" in form
    names = ("animal",) * ("cells" in form) + ("bat", "cat", "dog", "owl")
    assert data.label_names == (names if texts else ()) and data.labels.dtype == np.uint8


def test_labels_as_one_axis_of_hdf5_and_as_cells_of_v73(tmp_path: Path) -> None:
    data = load(hdf5(tmp_path / "a.h5", **whole(LAll=CLASSES)), query=2, train=4)
    np.testing.assert_array_equal(data.labels, ONE_HOT)
    path = v73(tmp_path / "b.mat", IAll=KEPT["features"].T, YAll=KEPT["texts"].T)
    v73_texts(path, "labels", [[WORDS[c]] for c in CLASSES])
    data = load(path, query=2, train=4)
    np.testing.assert_array_equal(data.labels, LABELS["a cell of texts"][1])
    assert data.label_names == ("bat", "cat", "dog", "owl")


# Texts.

TEXTS = ["dog \U0001f600 happy", "é", "", "日本 𝒳", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "plain"] * 2
FORMS: dict[str, Callable[[Path], Path]] = {
    "v5, SciPy's": lambda f: v5(f, **whole(YAll=cell(*TEXTS))),
    "v5, MATLAB's": lambda f: v5_file(f, **whole(YAll=[Char(text) for text in TEXTS])),
    "v5, MATLAB's UTF-16": lambda f: v5_file(f, **whole(YAll=[Char(text, 17) for text in TEXTS])),
    "v5, UTF-8": lambda f: v5_file(f, **whole(YAll=[Char(text, 16) for text in TEXTS])),
    "v5, UTF-32": lambda f: v5_file(f, **whole(YAll=[Char(text, 18) for text in TEXTS])),
    "v5, big endian": lambda f: v5_file(f, ">", **whole(YAll=[Char(text) for text in TEXTS])),
    "v5, rows of letters": lambda f: v5_file(f, **whole(YAll=Char("\n".join(TEXTS)))),
    "v7.3": lambda f: v73_texts(v73(f, IAll=KEPT["features"].T, LAll=KEPT["labels"].T), "YAll", [[t] for t in TEXTS]),
    "v7.3, rows of letters": lambda f: v73_texts(v73(f, IAll=KEPT["features"].T, LAll=KEPT["labels"].T), "YAll", TEXTS),
    "Python's": lambda f: hdf5(f, **whole(YAll=np.array(TEXTS, dtype=h5py.string_dtype()))),
    "Python's bytes": lambda f: hdf5(f, **whole(YAll=np.array([text.encode() for text in TEXTS]))),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_of_every_form_come_back(tmp_path: Path, form: str) -> None:
    """Emoji are two units of UTF-16; MATLAB counts units, SciPy counts letters."""
    data = load(FORMS[form](tmp_path / "set.mat"), query=2, train=8)
    assert data.texts == TEXTS
    assert "".join(data.texts).encode()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), min_size=1, max_size=4))
def test_any_text_comes_back(tmp_path: Path, texts: list[str]) -> None:
    wanted = [[text.strip(" ")] if text.strip(" ") else [] for text in texts]
    for name in "cd":
        (tmp_path / f"{name}.mat").unlink(missing_ok=True)
    files = [
        v5_file(tmp_path / "a.mat", t=[Char(text) for text in texts]),
        v5_file(tmp_path / "b.mat", t=Char("\n".join(texts))),
        v73_texts(tmp_path / "c.mat", "t", [[text] for text in texts]),
        v73_texts(tmp_path / "d.mat", "t", texts),
    ]
    for file in files:
        container = containers.open_container(file)
        if container.entries["t"].kind == "text" and "empty" not in str(container.entries["t"]):
            assert containers.strings(containers.Piece(container, container.entries["t"])) == wanted, file.name


@pytest.mark.parametrize("form", ["v5", "v7.3"])
def test_half_a_pair_is_shown_and_told(tmp_path: Path, form: str) -> None:
    half = ["dog \ud83d", *(["plain"] * 11)]
    path = tmp_path / "set.mat"
    if form == "v5":
        v5_file(path, **whole(YAll=[Char(text) for text in half]))
    else:
        v73_texts(v73(path, IAll=KEPT["features"].T, LAll=KEPT["labels"].T), "YAll", [[text] for text in half])
    data = load(path, query=2, train=8)
    assert data.texts[0] == "dog \ufffd" and data.texts[0].encode()
    assert "1 texts have a character that is none" in str(data.report)


@pytest.mark.parametrize("form", ["v5", "v7.3"])
def test_several_captions_a_picture(tmp_path: Path, form: str) -> None:
    """Cells in cells, and a cell with a row a picture, are joined."""
    five = [[f"caption {i} {j}" for j in range(3)] for i in range(N)]
    for name in ("cells", "grid"):
        path = tmp_path / f"{name}.mat"
        if form == "v5":
            v5(
                path,
                **whole(YAll=cell(*(cell(*row) for row in five)) if name == "cells" else np.array(five, dtype=object)),
            )
        else:
            v73(path, IAll=KEPT["features"].T, LAll=KEPT["labels"].T)
            v73_texts(path, "YAll", five, grid=name == "grid")
        assert load(path, query=2, train=8).texts == [" ".join(row) for row in five]


def test_the_string_class_of_matlab_names_the_way_out(tmp_path: Path) -> None:
    message = (
        r"got caption .*string in .*, an object of MATLAB's class string, .*save it again .* with cellstr\(caption\)"
    )
    with pytest.raises(InputError, match=message):
        load(v5_file(tmp_path / "a.mat", IAll=KEPT["features"], LAll=KEPT["labels"], caption=opaque("string")))
    v73(tmp_path / "b.mat", IAll=KEPT["features"].T, LAll=KEPT["labels"].T)
    with h5py.File(tmp_path / "b.mat", "a") as file:
        item = file.create_dataset("caption", data=np.array([[0xDD000000, 2, 1, 1, 1, 1]], dtype=np.uint32))
        item.attrs["MATLAB_class"], item.attrs["MATLAB_object_decode"] = np.bytes_("string"), np.int32(3)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "b.mat")


def test_objects_in_cells_name_the_way_out(tmp_path: Path) -> None:
    files = [v5_file(tmp_path / "a.mat", **whole(YAll=[opaque("string")] * N))]
    files += [v73(tmp_path / "b.mat", IAll=KEPT["features"].T, LAll=KEPT["labels"].T)]
    with h5py.File(files[1], "a") as file:
        item = file.create_dataset("#refs#/a", data=np.array([[0xDD000000, 2, 1, 1, 1, 1]], dtype=np.uint32))
        item.attrs["MATLAB_class"] = np.bytes_("string")
        cells = file.create_dataset("YAll", data=[[item.ref] * N], dtype=h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
    for path in files:
        with pytest.raises(InputError, match=r"^path: .*objects? of MATLAB's class string.*with cellstr\(\.\.\.\)"):
            load(path)


@pytest.mark.parametrize(("write", "start"), [(v5, 1), (hdf5, 0)])
def test_positions_that_show_no_start_are_counted_as_the_container_counts(tmp_path: Path, write, start: int) -> None:
    data = load(write(tmp_path / "set.mat", **whole(test_index=np.array([[3, 4]]))))
    assert data.parts["query"].tolist() == [3 - start, 4 - start]
    assert f"positions counted from {start}, which the file does not show" in str(data.report)


def test_an_object_that_nobody_needs_is_named(tmp_path: Path) -> None:
    data = load(v5_file(tmp_path / "a.mat", **whole(made=opaque("datetime"))), query=2, train=4)
    assert last_line(data) == "not read: made () datetime"


# Codes of strings and of a split.


def made(root: Path, kind: str):
    small = {"resolution": 16, "features": "scenenet", "show_progress": False}
    folders = {"mirflickr": mirflickr_folder, "nuswide-tc10": nuswide_folder, "coco": coco_folder, "iapr": iapr_folder}
    if kind in folders:
        least = {"least": 2} if kind == "mirflickr" else {}
        return ck.data.load(f"{kind}:{folders[kind](root)}", query=4, train=12, **least, **small)
    if kind == "index.mat":
        captioned(root, "v5")
        return ck.data.load(f"mat:{root}", query=2, train=9, **small)
    if kind == "standardised":
        return load(v5(root / "set.mat", **whole(YAll=cell(*TEXTS))), query=2, train=9, standardise=True)
    return load(FORMS[kind](root / "set.mat"), query=2, train=9)


@pytest.mark.parametrize("kind", ["coco", "iapr", "mirflickr", "nuswide-tc10", "index.mat", "standardised", *FORMS])
def test_strings_and_their_split_have_the_same_codes(tmp_path: Path, kind: str) -> None:
    data = made(tmp_path, kind)
    hasher = ck.RandomHash(bits=32).fit(data, show_progress=False)
    for split in (data.query, data.retrieval, data.train):
        np.testing.assert_array_equal(data.vocabulary.bag_of_words(split.texts), split.text_vectors)
        np.testing.assert_array_equal(hasher.encode(texts=split.texts), hasher.encode(texts=split))


@pytest.mark.parametrize("kind", ["features", "wikipedia", "lists"])
def test_strings_for_a_file_without_strings_are_one_clear_error(tmp_path: Path, kind: str) -> None:
    if kind == "features":
        data = load(v5(tmp_path / "set.mat", **whole()), query=2, train=4)
    elif kind == "wikipedia":
        data = ck.data.load(f"wikipedia:{wikipedia_folder(tmp_path / 'wiki')}", show_progress=False)
    else:
        data = load(text_lists(tmp_path / "lists", KEPT))
    assert data.texts is None
    with pytest.raises(
        InputError, match=r"^texts: expected text vectors \(n, t\), since .* without a vocabulary, got strings"
    ):
        ck.RandomHash(bits=8).fit(data, show_progress=False).encode(texts=["dog"])


# Reports.


def test_every_reader_ends_with_what_was_not_read(tmp_path: Path) -> None:
    folders = {"mirflickr": mirflickr_folder, "nuswide-tc10": nuswide_folder, "coco": coco_folder, "iapr": iapr_folder}
    small = {"resolution": 16, "features": None, "show_progress": False, "query": 4, "train": 8}
    for name, make in folders.items():
        root = make(tmp_path / name)
        (root / "extra.json").write_text("{}")
        data = ck.data.load(f"{name}:{root}", **small, **({"least": 2} if name == "mirflickr" else {}))
        assert last_line(data) == "not read: extra.json", name
    root = wikipedia_folder(tmp_path / "wikipedia")
    (root / "extra.json").write_text("{}")
    assert last_line(ck.data.load(f"wikipedia:{root}", show_progress=False)) == "not read: extra.json"
    root = text_lists(tmp_path / "lists", KEPT)
    (root / "list" / "validation_img.txt").write_text("img_1\n")
    names = [f"list/{word}_txt.txt" for word in ("database", "test", "train")]
    assert last_line(load(root)) == f"not read: {', '.join(names)}, list/validation_img.txt"


def test_the_report_says_what_was_read(tmp_path: Path) -> None:
    data = load(v5(tmp_path / "set.mat", **whole(notes="made in May")), query=2, train=4)
    lines = str(data.report).splitlines()
    assert lines[0].endswith("set.mat: features, texts and labels in one file (MATLAB v5; set.mat)")
    assert "images from IAll (12, 7) single" in lines[1] and lines[2] == "12 pairs (query 2, retrieval 10, train 4)"
    assert lines[3].startswith("split drawn from seed 0") and lines[-1] == "not read: notes (1, 11) char"
    assert data.details["recognised"] == "\n".join(lines[:2]) and data.details["notes"] == lines[3:-1]


# Missing and broken pictures.


def test_missing_and_broken_pictures_are_named_all_at_once(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    files = sorted((root / "train2014").iterdir())
    files[3].unlink()
    files[4].unlink()
    files[5].write_bytes(b"")
    files[6].write_bytes(files[6].read_bytes()[:300])
    files[7].write_text("no picture")
    options = {"resolution": 16, "features": None, "show_progress": False, "query": 4, "train": 8}
    message = (
        r"path: expected 46 pictures of MS COCO, 5 of them cannot be read \(2 not there: .*103.jpg, .*104.jpg; "
        r"1 empty file: .*105.jpg; 1 (cut off|broken[^:]*): .*106.jpg; 1 no picture that Pillow knows: .*107.jpg\); "
        r"pass missing='skip' to leave their pairs out"
    )
    with pytest.raises(InputError, match=message):
        ck.data.load(f"coco:{root}", **options)
    data = ck.data.load(f"coco:{root}", missing="skip", **options)
    assert len(data) == 41 and not np.isin([103, 104, 105, 106, 107], data.ids).any()
    assert "5 of 46 pairs are left out" in str(data.report)
    blue = Image.open(files[8]).convert("RGB").resize((16, 16))
    row = data.ids.tolist().index(108)
    assert np.abs(data.images[row].astype(int) - np.asarray(blue)).max() < 12


@pytest.mark.parametrize("own", [False, True])
def test_pictures_that_a_file_names_follow_the_same_rule(tmp_path: Path, own: bool) -> None:
    captioned(tmp_path, "v5")
    if own:
        v5(tmp_path / "label.mat", category=KEPT["labels"], test_index=Q, db_index=D, train_index=T)
    (tmp_path / "mirflickr" / "im1.png").unlink()
    (tmp_path / "mirflickr" / "im6.png").write_bytes(b"none")
    options = {"resolution": 16} | ({} if own else {"query": 2, "train": 4})
    message = (
        r"path: expected 12 pictures of .*, 2 of them cannot be read \(1 not there: .*im1.png; 1 no picture .*im6.png\)"
    )
    with pytest.raises(InputError, match=message):
        load(tmp_path, **options)
    data = load(tmp_path, missing="skip", **options)
    kept = [i for i in range(N) if i not in (1, 6)]
    np.testing.assert_array_equal(data.labels, KEPT["labels"][kept])
    if own:
        assert [kept[i] for i in data.parts["query"]] == [0, 2]
        assert [kept[i] for i in data.parts["train"]] == [5, 7, 8]
    small = Image.fromarray(KEPT["pictures"][2]).resize((16, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(data.images[1], np.asarray(small))


# Sizes that are declared only, and references without end.


def declared(path: Path, shape: tuple[int, ...], **how) -> None:
    with h5py.File(path, "w") as file:
        file["YAll"], file["LAll"] = KEPT["texts"], KEPT["labels"]
        file.create_dataset("IAll", shape=shape, dtype="f8", **how)


def sparse_without_end(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["YAll"], file["LAll"] = KEPT["texts"], KEPT["labels"]
        group = file.create_group("IAll")
        group.attrs["MATLAB_sparse"] = np.uint64(N)
        group.create_dataset("jc", shape=(10**12,), dtype="u8", chunks=(1000,))


def cells_without_end(path: Path) -> None:
    """Ten cells in each of ten cells, and so on: texts without end in a small file."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["IAll"], file["LAll"] = KEPT["features"].T, KEPT["labels"].T
        inner = file.create_dataset("#refs#/a", data=np.full((3, 1), 97, np.uint16))
        inner.attrs["MATLAB_class"] = np.bytes_("char")
        for depth in range(7):
            inner = file.create_dataset(f"#refs#/c{depth}", data=[[inner.ref] * 30], dtype=h5py.ref_dtype)
            inner.attrs["MATLAB_class"] = np.bytes_("cell")
        file.create_dataset("YAll", data=[[inner.ref] * N], dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_(
            "cell"
        )
    header(path)


def a_cell_in_itself(path: Path) -> None:
    cells_without_end(path)
    with h5py.File(path, "a") as file:
        file["#refs#/c0"][...] = [[file["#refs#/c0"].ref] * 30]


ENDLESS = {
    "nothing written": (
        lambda f: declared(f, (N, 7)),
        r"expected a whole array for IAll in .*, got shape \(12, 7\), of which 0",
    ),
    "huge": (lambda f: declared(f, (N, 10**12), chunks=(1, 1000)), r"an array for IAll .* that fits into memory"),
    "huge pictures": (
        lambda f: declared(f, (N, 3, 10**5, 10**5), chunks=(1, 1, 9, 9)),
        r"expected a whole array for IAll",
    ),
    "a huge sparse matrix": (sparse_without_end, r"fits into memory|expected a whole array"),
    "cells in cells": (cells_without_end, r"expected texts in YAll .*, got more cells in cells than it has room for"),
    "a cell in itself": (a_cell_in_itself, r"expected texts in YAll .*, got more cells in cells than it has room for"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_sizes_that_are_declared_only_are_refused(tmp_path: Path, kind: str) -> None:
    make, message = ENDLESS[kind]
    make(tmp_path / "set.mat")
    assert os.path.getsize(tmp_path / "set.mat") < 2**20
    with pytest.raises(InputError, match=f"^path: .*{message}"):
        load(tmp_path / "set.mat", query=2, train=4)


@pytest.mark.parametrize("kind", ["torch", "npz", "zip"])
def test_an_archive_is_named_for_what_it_is(tmp_path: Path, kind: str) -> None:
    import zipfile

    import torch

    path = tmp_path / "set.mat"
    with path.open("wb") as file:
        if kind == "torch":
            torch.save(whole(), file)
        elif kind == "npz":
            np.savez(file, **whole())
        else:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("set.mat", b"x")
    message = {
        "torch": r"a PyTorch file, which is never opened here, since it can run code; write its arrays into a",
        "npz": r"an archive of NumPy arrays \(IAll.npy, YAll.npy, LAll.npy\); write its arrays into a .mat file",
        "zip": r"a zip archive; unpack it first \(set.mat\)",
    }
    with pytest.raises(InputError, match=message[kind]):
        load(path)
