"""The field's files as tables: every row reads as it says; options; damaged files; regular files only."""

from __future__ import annotations

import collections
import inspect
import os
import signal
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from field_files import (
    C,
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
from field_files import cells as write_cells
from PIL import Image
from test_matfiles import text_lists

import cmhkit as ck
from cmhkit.data import READERS, field
from cmhkit.data.field.options import ReadOptions
from cmhkit.data.field.protocols import PROTOCOLS
from cmhkit.data.field.tables import FILES, HDF5, LISTS, TEXT, V5, V73, FieldFile
from cmhkit.data.large import resized_pictures
from cmhkit.support.checks import InputError

pytestmark = pytest.mark.usefixtures("own_cache")
ROWS = {"all": np.arange(12), "te": np.arange(2), "tr": np.arange(4, 8), "db": np.arange(2, 12)}
SPLIT = {"query": 2, "train": 4}


# Rows.


def labels_as(labels: np.ndarray, form: str) -> np.ndarray:
    if form == "classes":
        return labels.argmax(axis=1)[:, None] + 1.0
    return labels * 2.0 - 1 if form == "-1/1" else labels


def laid_out(array: np.ndarray, order: str) -> np.ndarray:
    """A matrix (n, d) or pictures (n, h, w, c) with their axes in this order."""
    letters = "nhwc" if array.ndim == 4 else "nd"
    return array.transpose([letters.index(letter) for letter in order])


def written(folder: Path, row: FieldFile, container: str, order: str, form: str, kept: dict[str, np.ndarray]) -> Path:
    """A small set as the row says that it circulates: one file, or one for each key where files lie side by side."""
    matrix = "dn" if container == V73 else "nd"
    arrays: dict[str, np.ndarray | list[str]] = {}
    for part, roles in row.keys.items():
        rows = ROWS[part]
        for role, key in roles.items():
            if role == "images":
                arrays[key] = laid_out(kept["pictures" if len(order) == 4 else "features"][rows], order)
            elif role == "paths":
                arrays[key] = [f"im{i}.png" for i in rows]
            elif role == "texts" and "paths" in roles:
                arrays[key] = [f"a caption of {i}" for i in rows]
            else:
                values = labels_as(kept["labels"], form)[rows] if role == "labels" else kept["texts"][rows]
                arrays[key] = laid_out(values, matrix)
    files = [arrays] if not row.beside else [{key: array} for key, array in arrays.items()]
    for name, content in zip(row.names, files, strict=False):
        texts = {key: value for key, value in content.items() if isinstance(value, list)}
        numbers = {key: np.ascontiguousarray(value) for key, value in content.items() if key not in texts}
        if container == V5:
            v5(folder / name, **numbers, **{key: np.array(value, dtype=object) for key, value in texts.items()})
        elif container == HDF5:
            hdf5(folder / name, **numbers)
        else:
            v73(folder / name, **numbers)
            with h5py.File(folder / name, "a") as file:
                for key, value in texts.items():
                    write_cells(file, key, value)
            header(folder / name)
    return folder / row.names[0]


CASES = [
    (row, container, order, form)
    for row in FILES
    if row is not LISTS
    for container, orders in row.images.items()
    for order in orders
    for form in row.labels
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case[0].names[0], *case[1:])))
def test_every_row_reads_as_it_says(tmp_path: Path, case: tuple[FieldFile, str, str, str]) -> None:
    row, container, order, form = case
    kept = truth()
    if form == "classes":
        kept["labels"] = np.eye(C, dtype=np.uint8)[np.arange(12) % C]
    if "paths" in row.keys.get("all", {}):
        for i in range(12):
            Image.fromarray(kept["pictures"][i]).save(tmp_path / f"im{i}.png")
    path = written(tmp_path, row, container, order, form, kept)
    own = "all" not in row.keys
    data = ck.data.load(f"mat:{path}", features=None, resolution=16, show_progress=False, **({} if own else SPLIT))
    parts = {"query": ROWS["te"], "retrieval": ROWS["db"], "train": ROWS["tr"] if "tr" in row.keys else ROWS["db"]}
    for name, rows in (parts if own else {"all": ROWS["all"]}).items():
        split = getattr(data, name) if own else data
        np.testing.assert_array_equal(split.labels, kept["labels"][rows])
        if "images" in next(iter(row.keys.values())):
            images = kept["pictures" if len(order) == 4 else "features"]
            np.testing.assert_array_equal(np.asarray(split.images), images[rows])
            np.testing.assert_array_equal(split.text_vectors, kept["texts"][rows])
        else:
            assert split.images.shape == (12, 16, 16, 3) and split.texts == [f"a caption of {i}" for i in rows]


def test_rows_are_complete_and_say_their_benchmark() -> None:
    names = [name for row in FILES for name in row.names]
    assert len(names) == len(set(names))
    assert {container for row in FILES for container in row.images} == {V5, V73, HDF5, TEXT}
    for row in FILES:
        assert row.holds and set(row.holds) <= set(PROTOCOLS) and set(row.labels) <= {"0/1", "-1/1", "classes"}
        for roles in row.keys.values():
            assert {"texts", "labels"} <= set(roles) and {"images", "paths"} & set(roles)


# Options.


def test_an_unknown_option_names_all_and_the_nearest() -> None:
    expected = r"querry: not an option of 'mat'; expected one of query, train, seed, .*; the nearest is 'query'"
    for call in (lambda: field.load_mat("x", querry=3), lambda: ck.data.load("mat:x", querry=3)):
        with pytest.raises(InputError, match=expected):
            call()
    with pytest.raises(InputError, match=r"repeated: not an option of 'coco'"):
        field.load_coco("x", repeated="drop")


@pytest.mark.parametrize("name", [name for name, place in READERS.items() if ".field:" in place])
def test_a_reader_shows_its_options_and_takes_them(name: str, tmp_path: Path) -> None:
    loader = getattr(field, READERS[name].partition(":")[2])
    parameters = inspect.signature(loader).parameters
    assert next(iter(parameters)) == "path" and {"standardise", "show_progress"} < set(parameters) and loader.__doc__
    hints = {key: parameter.annotation for key, parameter in parameters.items()} | {"return": ck.data.PairedData}
    assert typing.get_type_hints(loader) == hints and hints["standardise"] is bool
    options = {key: parameter.default for key, parameter in parameters.items() if key != "path"}
    assert set(options) <= set(inspect.signature(ReadOptions).parameters)
    with pytest.raises(InputError, match=r"path: expected .*, got .*nowhere, which is not there"):
        loader(tmp_path / "nowhere", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 0.5}, r"seed: expected a whole number of at least 0, got 0.5"),
        ({"resolution": 15}, r"resolution: expected a whole number from 16 to 1024, got 15"),
        ({"words": 0}, r"words: expected a whole number of at least 1, got 0"),
        ({"missing": None}, r"missing: expected one of error, skip, got None"),
        ({"subset": "most"}, r"subset: expected one of 20015, all, got 'most'"),
    ],
)
def test_an_option_out_of_range_is_named(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReadOptions(**options)


# Wikipedia.


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_wikipedia_is_the_same_to_the_last_bit(tmp_path: Path, standardise: bool, compressed: bool) -> None:
    """The mean of MATLAB's columns in double precision, as NumPy adds them up where they lie."""
    from scipy.io import loadmat, savemat

    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("tr", 300), ("te", 40)):
        arrays |= {f"I_{part}": rng.gamma(0.3, size=(n, 9)), f"T_{part}": rng.gamma(0.3, size=(n, 4))}
        arrays[f"L_{part}"] = rng.integers(1, 11, (n, 1))
    savemat(tmp_path / "wikiData.mat", arrays, do_compression=compressed)
    data = field.load_wikipedia(tmp_path / "wikiData.mat", standardise=standardise)
    for key, values in (("I", data.images), ("T", data.text_vectors)):
        train, test = (loadmat(tmp_path / "wikiData.mat")[f"{key}_{part}"] for part in ("tr", "te"))
        mean, deviation = (train.mean(axis=0), train.std(axis=0)) if standardise else (0.0, 1.0)
        expected = np.concatenate([(train - mean) / deviation, (test - mean) / deviation]).astype(np.float32)
        assert values.dtype == np.float32 and np.array_equal(values, expected)


def test_wikipedia_with_class_numbers_without_end_is_an_input_error(tmp_path: Path) -> None:
    arrays = {f"{key}_{part}": np.ones((2, 2)) for key in "IT" for part in ("tr", "te")}
    file = v5(tmp_path / "wikiData.mat", **arrays, L_tr=np.array([[1], [11796482]]), L_te=np.array([[1], [2]]))
    with pytest.raises(InputError, match=r"path: expected labels as class numbers from 1 to 10,000 in"):
        field.load_wikipedia(file)


# Damaged files.


@pytest.mark.parametrize("container", ["v5", "HDF5"])
def test_a_damaged_file_reads_or_gives_one_error(tmp_path: Path, container: str) -> None:
    """377 files in all, in a process for each container: a crash of Python ends it, and its last line says where."""
    script = Path(__file__).with_name("mutated_files.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (Path(ck.__file__).parents[1], script.parent)))}
    command = [sys.executable, str(script), str(tmp_path), container, "0", "29"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    outcomes = collections.Counter(result.stdout.split())
    assert sum(outcomes.values()) == 29 * {"v5": 9, "HDF5": 4}[container]
    assert min(outcomes["equal"], outcomes["error"], outcomes["other"]) > 0


# Regular files only, and nothing outside them.


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Waiting for a pipe is a failure, not the end of all tests."""

    def late(*_: object) -> None:
        raise TimeoutError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def piped(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


PIPES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a file in circulation": ("mat", lambda root: root.mkdir(), "../set.mat"),
    "Wikipedia's file": ("wikipedia", lambda root: root.mkdir(), "../set.mat"),
    "Wikipedia's features": ("wikipedia", wikipedia_folder, "raw_features.mat"),
    "Wikipedia's list": ("wikipedia", wikipedia_folder, "testset_txt_img_cat.list"),
    "MIRFlickr's tags": ("mirflickr", mirflickr_folder, "mirflickr/meta/tags/tags5.txt"),
    "MIRFlickr's picture": ("mirflickr", mirflickr_folder, "mirflickr/im4.jpg"),
    "NUS-WIDE's labels": ("nuswide-tc10", nuswide_folder, "Groundtruth/AllLabels/Labels_concept05.txt"),
    "NUS-WIDE's tags": ("nuswide-tc10", nuswide_folder, "NUS_WID_Tags/AllTags1k.txt"),
    "COCO's captions": ("coco", coco_folder, "annotations/captions_train2014.json"),
    "IAPR's description": ("iapr", iapr_folder, "annotations_complete_eng/01/1003.eng"),
    "UGACH's list": ("mat", lambda root: text_lists(root, truth()), "feature/test_img.txt"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are Unix's")
@pytest.mark.parametrize("kind", PIPES)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    reader, make, place = PIPES[kind]
    root = tmp_path / "data"
    make(root)
    piped(root / place)
    path = (root / place).resolve() if "set.mat" in place else root
    small = {"features": None, "resolution": 16, "query": 4, "train": 8} if reader not in ("mat", "wikipedia") else {}
    options = small | ({"least": 10} if reader == "mirflickr" else {})
    with at_most(20), pytest.raises(InputError, match=rf"path: expected .*{Path(place).name}.*") as raised:
        ck.data.load(f"{reader}:{path}", show_progress=False, **options)
    assert any(words in str(raised.value) for words in ("is a pipe", "no regular file", "missing")), raised.value


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are Unix's")
def test_a_pipe_among_pictures_is_refused(tmp_path: Path) -> None:
    piped(tmp_path / "a.jpg")
    with (
        at_most(20),
        pytest.raises(InputError, match=r"path: expected a picture, got .*a.jpg, which is no regular file"),
    ):
        resized_pictures("x", [tmp_path / "a.jpg"], 16, show_progress=False)


def linked(link: h5py.ExternalLink | h5py.SoftLink) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        hdf5(folder / "other.h5", YAll=truth()["texts"])
        with h5py.File(folder / "set.mat", "a") as file:
            del file["YAll"]
            file["YAll"] = link

    return make


def stored_outside(folder: Path) -> None:
    (folder / "other.bin").write_bytes(truth()["texts"].tobytes())
    with h5py.File(folder / "set.mat", "a") as file:
        del file["YAll"]
        file.create_dataset("YAll", (12, 5), "f4", external=[(str(folder / "other.bin"), 0, 240)])


def virtual(folder: Path) -> None:
    layout = h5py.VirtualLayout((12, 5), "f4")
    layout[:] = h5py.VirtualSource(str(hdf5(folder / "other.h5", YAll=truth()["texts"])), "YAll", (12, 5))
    with h5py.File(folder / "set.mat", "a") as file:
        del file["YAll"]
        file.create_virtual_dataset("YAll", layout)


def sparse_with_links(folder: Path) -> None:
    hdf5(folder / "other.h5", jc=np.zeros(6, np.uint64))
    with h5py.File(folder / "set.mat", "a") as file:
        del file["YAll"]
        group = file.create_group("YAll")
        group.attrs["MATLAB_sparse"] = np.uint64(12)
        group["jc"] = h5py.ExternalLink("other.h5", "jc")


def cell_stored_outside(folder: Path) -> None:
    (folder / "other.bin").write_bytes("abcd".encode("utf-16-le"))
    with h5py.File(folder / "set.mat", "a") as file:
        del file["YAll"]
        letters = file.create_dataset("#refs#/a", (4, 1), "u2", external=[(str(folder / "other.bin"), 0, 8)])
        letters.attrs["MATLAB_class"] = np.bytes_("char")
        cell = file.create_dataset("YAll", data=[[letters.ref] * 12], dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")


OUTSIDE = {
    "an external link": (linked(h5py.ExternalLink("other.h5", "YAll")), r"YAll is an external link"),
    "a link to a pipe": (linked(h5py.ExternalLink("pipe", "YAll")), r"YAll is an external link"),
    "a soft link": (linked(h5py.SoftLink("/XAll")), r"YAll is a soft link"),
    "external storage": (stored_outside, r"YAll is a data set with external storage"),
    "a virtual data set": (virtual, r"YAll is a virtual data set"),
    "a link in a sparse matrix": (sparse_with_links, r"jc is an external link"),
    "a text with external storage": (cell_stored_outside, r"/#refs#/a is a data set with external storage"),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_hdf5_that_points_outside_its_file_is_refused(tmp_path: Path, kind: str) -> None:
    make, words = OUTSIDE[kind]
    kept = truth()
    file = hdf5(tmp_path / "set.mat", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    options = {"features": None, "show_progress": False} | SPLIT
    np.testing.assert_array_equal(ck.data.load(f"mat:{file}", **options).text_vectors, kept["texts"])
    make(tmp_path)
    if hasattr(os, "mkfifo"):
        piped(tmp_path / "pipe")
    message = rf"path: expected arrays in the file itself, got .*set.mat, where {words}, which is never followed"
    with at_most(20), pytest.raises(InputError, match=message):
        ck.data.load(f"mat:{file}", **options)
