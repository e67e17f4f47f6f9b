"""The benchmarks as their makers publish them: folders made by the test, read with the papers' protocols."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from field_files import (
    NUS_CONCEPTS,
    coco_folder,
    iapr_folder,
    mirflickr_folder,
    nuswide_folder,
    truth,
    v5,
    wikipedia_folder,
    write,
)
from PIL import Image

import cmhkit as ck
from cmhkit.data.field import folders, protocols
from cmhkit.data.field.folders import MIRFLICKR_LABELS, load_mirflickr
from cmhkit.data.field.layouts import LAYOUTS, check_path
from cmhkit.data.large import LargePictures
from cmhkit.data.pictures import read_photo
from cmhkit.support.checks import InputError

pytestmark = pytest.mark.usefixtures("own_cache")
SMALL = {"resolution": 16, "features": None, "query": 4, "train": 8, "show_progress": False}


def whole(data) -> None:
    """The split holds every pair once, training inside retrieval, no query in either; pictures are read from the cache,
    each its own.
    """
    query, retrieval, train = (data.parts[part] for part in ("query", "retrieval", "train"))
    assert sorted([*query, *retrieval]) == list(range(len(data))) and np.isin(train, retrieval).all()
    assert isinstance(data.images, LargePictures) and data.images.shape == (len(data), 16, 16, 3)
    assert data.text_vectors.dtype == np.float32 and data.labels.any(axis=1).all()


def colour(images: LargePictures, row: int) -> np.ndarray:
    return images[row].reshape(-1, 3).mean(axis=0)


def made(seed: int) -> np.ndarray:
    return np.array([seed * 7 % 256, seed * 13 % 256, seed * 29 % 256])


# MIRFlickr.


def test_mirflickr_keeps_pairs_with_a_label_and_a_common_tag(tmp_path: Path) -> None:
    folder = mirflickr_folder(tmp_path)
    data = ck.data.load(f"mirflickr:{folder}", least=10, **SMALL)
    whole(data)
    assert data.ids.tolist() == [i for i in range(1, 31) if i not in (7, 8, 9)]  # no tag, no label, only a rare tag
    counts = {"all": 28, "even": 15, "odd": 13}
    assert data.vocabulary.words == tuple(sorted(counts, key=lambda tag: -counts[tag]))
    for row, number in enumerate(data.ids):
        assert data.text_vectors[row].tolist() == [1, number % 2 == 0, number % 2 == 1]
        assert data.texts[row].split(", ")[:2] == ["all", "even" if number % 2 == 0 else "odd"]
        assert [column for column in range(24) if data.labels[row, column]] == sorted({number % 24, number % 5})
        assert np.abs(colour(data.images, row) - made(number)).max() < 12
    assert data.label_names == MIRFLICKR_LABELS and len(MIRFLICKR_LABELS) == 24
    assert (len(data.query), len(data.train)) == (4, 8)


def test_a_tag_of_two_words_is_one_column(tmp_path: Path) -> None:
    data = load_mirflickr(mirflickr_folder(tmp_path), least=8, **SMALL)
    column = data.vocabulary.words.index("new york")
    assert [int(i) for i, has in zip(data.ids, data.text_vectors[:, column], strict=True) if has] == [
        i for i in range(1, 31) if i % 3 == 0 and i != 9
    ]


def test_all_of_mirflickr_has_ugachs_protocol(tmp_path: Path) -> None:
    data = load_mirflickr(
        mirflickr_folder(tmp_path), subset="all", least=10, resolution=16, features=None, show_progress=False
    )
    assert len(data) == 30 and data.name == "mirflickr/all"
    assert len(data.query) == round(0.05 * 30) and len(data.train) == len(data.retrieval) == 30 - len(data.query)


def test_the_papers_numbers_are_the_default(tmp_path: Path) -> None:
    folder = mirflickr_folder(tmp_path)
    with pytest.raises(InputError, match=r"query: expected from 1 to 27 of the 27 pairs, got 2000; pass query="):
        load_mirflickr(folder, least=10, resolution=16, features=None, show_progress=False)
    known = {name: (p.query, p.train, p.pairs, p.labels) for name, p in protocols.PROTOCOLS.items()}
    assert known == {
        "mirflickr": (2000, 10000, 20015, 24),
        "nuswide-tc10": (0.01, None, 186577, 10),
        "nuswide-tc21": (2100, 10500, 195834, 21),
        "coco": (5000, 10000, 122218, 80),
        "iapr": (2000, 10000, 20000, 255),
        "wikipedia": (693, None, 2866, 10),
    }


def test_a_complete_folder_of_another_size_is_told(tmp_path: Path, monkeypatch, caplog) -> None:
    folder = mirflickr_folder(tmp_path)
    monkeypatch.setattr(folders, "MIRFLICKR_ALL", protocols.BenchmarkProtocol("x", 24, 4, 8, 30, None, ""))
    with caplog.at_level(logging.WARNING, logger="cmhkit"):
        load_mirflickr(folder, least=10, **SMALL)
    assert "the papers have 20,015 pairs, this folder gives 27" in caplog.text


def test_the_same_split_for_every_resolution_and_run(tmp_path: Path, own_cache: Path) -> None:
    folder = mirflickr_folder(tmp_path)
    first = load_mirflickr(folder, least=10, **SMALL)
    second = load_mirflickr(folder, least=10, **(SMALL | {"resolution": 24}))
    assert all(np.array_equal(first.parts[part], second.parts[part]) for part in first.parts)
    assert (
        len(list(own_cache.glob("split-mirflickr-*"))) == 1 and len(list(own_cache.glob("pictures-mirflickr-*"))) == 2
    )
    assert second.images.shape[1:] == (24, 24, 3)


def test_pictures_are_read_once_and_again_when_they_change(tmp_path: Path, monkeypatch) -> None:
    folder = mirflickr_folder(tmp_path)
    reads = []
    monkeypatch.setattr(
        "cmhkit.data.large.read_photo", lambda file, *how: reads.append(file.name) or read_photo(file, *how)
    )
    load_mirflickr(folder, least=10, **SMALL)
    assert len(reads) == 27
    load_mirflickr(folder, least=10, **SMALL)
    assert len(reads) == 27
    Image.new("RGB", (9, 9), "red").save(folder / "mirflickr" / "im1.jpg")
    data = load_mirflickr(folder, least=10, **SMALL)
    assert len(reads) == 54 and np.abs(colour(data.images, 0) - [254, 0, 0]).max() < 3


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    wikipedia_folder(tmp_path / "wiki")
    assert len(ck.data.load("wikipedia:~/wiki", show_progress=False)) == 17


def test_a_file_in_circulation_is_read_by_the_same_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(24, dtype=np.uint8)[rng.integers(0, 24, 50)]
    file = v5(tmp_path / "FLICKR-25K.mat", images=rng.random((50, 6)), YAll=rng.integers(0, 2, (50, 9)), LAll=labels)
    data = ck.data.load(f"mirflickr:{file}", query=5, train=20, show_progress=False)
    assert data.name == "mirflickr" and data.images.shape == (50, 6) and len(data.train) == 20
    assert len(ck.data.load(f"mirflickr:{tmp_path}", query=5, train=20, show_progress=False)) == 50
    with pytest.raises(
        InputError, match=r"path: expected 21 labels, as nuswide-tc21 has, got 24 in .*; that is mirflickr"
    ):
        ck.data.load(f"nuswide-tc21:{file}", query=5, train=20, show_progress=False)
    with pytest.raises(InputError, match=r"subset: expected none for a file in circulation, got 'all'"):
        ck.data.load(f"mirflickr:{file}", subset="all")


# NUS-WIDE.


@pytest.mark.parametrize(("name", "count"), [("nuswide-tc10", 10), ("nuswide-tc21", 21)])
def test_nuswide_keeps_the_commonest_labels(tmp_path: Path, name: str, count: int) -> None:
    folder = nuswide_folder(tmp_path)
    data = ck.data.load(f"{name}:{folder}", **SMALL)
    whole(data)
    assert data.label_names == tuple(NUS_CONCEPTS[-count:])
    assert data.ids.tolist() == [i for i in range(46) if i != 3]  # 46 is where the labels end, row 3 has no tag
    for row, i in enumerate(data.ids):
        assert data.labels[row].tolist() == [int(i < 2 + 2 * k) for k in range(23 - count, 23)]
        assert data.text_vectors[row].tolist() == [(i >> (j % 4)) & 1 or int(j == 7) for j in range(8)]
        assert np.abs(colour(data.images, row) - made(i)).max() < 12
    assert data.texts[1] == "tag0, tag4, tag7"


def test_nuswide_without_tag_vectors_takes_the_words(tmp_path: Path) -> None:
    folder = nuswide_folder(tmp_path)
    first = ck.data.load(f"nuswide-tc21:{folder}", **SMALL)
    (folder / "NUS_WID_Tags" / "AllTags1k.txt").unlink()
    second = ck.data.load(f"nuswide-tc21:{folder}", **SMALL)
    np.testing.assert_array_equal(first.text_vectors, second.text_vectors)


def test_nuswide_with_all_pictures_in_one_folder_and_some_missing(tmp_path: Path) -> None:
    folder = nuswide_folder(tmp_path)
    (folder / "images").mkdir()
    for file in sorted((folder / "Flickr").glob("*/*.jpg")):
        shutil.move(file, folder / "images" / file.name)
    shutil.rmtree(folder / "Flickr")
    assert len(ck.data.load(f"nuswide-tc21:{folder}", **SMALL)) == 45
    (folder / "images" / "0010_1010.jpg").unlink()
    with pytest.raises(
        InputError,
        match=r"expected 45 pictures of NUS-WIDE, 21 concepts, 1 of them cannot be read "
        r"\(1 not there: .*0010_1010.jpg\); pass missing='skip'",
    ):
        ck.data.load(f"nuswide-tc21:{folder}", **SMALL)
    data = ck.data.load(f"nuswide-tc21:{folder}", missing="skip", **SMALL)
    whole(data)
    assert data.ids.tolist() == [i for i in range(46) if i not in (3, 10)]
    assert np.abs(colour(data.images, 10) - made(12)).max() < 12


# COCO.


def test_coco_joins_captions_and_labels_on_the_image(tmp_path: Path) -> None:
    folder = coco_folder(tmp_path)
    data = ck.data.load(f"coco:{folder}", words=9, **SMALL)
    whole(data)
    assert data.ids.tolist() == [*range(101, 124), *range(502, 525)]  # the first of each part has no label
    assert (data.query.ids > 500).all(), "queries come from the validation part"
    for row, number in enumerate(data.ids):
        i, part = (number - 100, "train") if number < 500 else (number - 501, "val")  # a picture shows its number
        assert [j for j in range(80) if data.labels[row, j]] == sorted({i % 80, i * 3 % 80})
        assert data.texts[row] == " ".join(f"A word{i % 6} number{j} in {part}." for j in range(5))
        assert np.abs(colour(data.images, row) - made(number)).max() < 12
    assert data.label_names[:2] == ("thing0", "thing1") and len(data.vocabulary) == 9
    np.testing.assert_array_equal(data.text_vectors, data.vocabulary.bag_of_words(data.texts))


def test_coco_words_come_from_training_texts(tmp_path: Path) -> None:
    folder = coco_folder(tmp_path)
    data = ck.data.load(f"coco:{folder}", words=1000, **SMALL)
    train = " ".join(data.train.texts).lower()
    assert all(word in train for word in data.vocabulary.words)


# IAPR TC-12.


def test_iapr_joins_descriptions_and_regions(tmp_path: Path) -> None:
    folder = iapr_folder(tmp_path)
    data = ck.data.load(f"iapr:{folder}", **SMALL)
    whole(data)
    assert data.ids.tolist() == list(range(997, 1025))
    assert data.label_names == ("sky-blue", "grass", "label 12", "label 13", "man made", "label 21", "label 22")
    for row, number in enumerate(data.ids):
        i = number - 995
        assert np.flatnonzero(data.labels[row]).tolist() == [i % 4, 4 + i % 3]
        assert data.texts[row] == f"a café & {'hill' if i % 2 else 'sea'} word{i % 7};"
        assert np.abs(colour(data.images, row) - made(i)).max() < 12


# Wikipedia.


def test_wikipedia_has_its_labels_in_two_lists(tmp_path: Path) -> None:
    folder = wikipedia_folder(tmp_path)
    data = ck.data.load(f"wikipedia:{folder}", standardise=False, show_progress=False)
    from scipy.io import loadmat

    raw = loadmat(folder / "raw_features.mat")
    np.testing.assert_allclose(data.train.images, raw["I_tr"], rtol=1e-6)
    np.testing.assert_allclose(data.query.text_vectors, raw["T_te"], rtol=1e-6)
    assert data.train.labels.argmax(1).tolist() == [i % 10 for i in range(12)] and data.label_names[0] == "art"
    scaled = ck.data.load(f"wikipedia:{folder}", show_progress=False)
    np.testing.assert_allclose(scaled.train.images.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.train.images.std(0), 1, atol=1e-5)


WIKIPEDIA = Path(__file__).parents[2].parent / "shared" / "data" / "wikiData.mat"


@pytest.mark.skipif(not WIKIPEDIA.is_file(), reason=f"the Wikipedia benchmark is not at {WIKIPEDIA}")
def test_the_real_wikipedia_file_by_three_names() -> None:
    by_name = ck.data.load(f"wikipedia:{WIKIPEDIA}", show_progress=False)
    by_folder = ck.data.load(f"wikipedia:{WIKIPEDIA.parent}", show_progress=False)
    by_itself = ck.data.load(f"mat:{WIKIPEDIA}", standardise=True, show_progress=False)
    for data in (by_folder, by_itself):
        np.testing.assert_allclose(data.images, by_name.images, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(data.labels, by_name.labels)
        assert all(np.array_equal(data.parts[part], by_name.parts[part]) for part in data.parts)
    assert by_itself.name == "wikipedia" and by_itself.label_names == by_name.label_names


# What a path has.


@pytest.mark.parametrize(
    ("make", "title", "reader"),
    [
        (mirflickr_folder, "MIRFlickr-25K", "mirflickr"),
        (nuswide_folder, "NUS-WIDE", "nuswide-tc10"),
        (coco_folder, "MS COCO 2014", "coco"),
        (iapr_folder, "IAPR TC-12", "iapr"),
        (wikipedia_folder, "Wikipedia", "wikipedia"),
    ],
)
def test_every_layout_is_known_and_what_is_missing_is_said(tmp_path: Path, make, title: str, reader: str) -> None:
    folder = make(tmp_path / "data")
    report = check_path(folder)
    assert (
        report.complete
        and report.lines[0].endswith(title)
        and f"'{reader}:{folder}'" in str(report)
        and "missing" not in str(report)
    )
    layout = next(layout for layout in LAYOUTS.values() if layout.title == title)
    for part in [part for part in layout.parts.values() if not part.optional]:
        place = part.find(folder)
        place.rename(tmp_path / "aside")
        report = check_path(folder, reader)
        assert not report.complete and report.missing == (part.places[0],)
        assert (
            f"  missing   {part.what}: {part.places[0]}, from {part.page}" in report.lines
            and "  1 missing" in report.lines
        )
        with pytest.raises(InputError, match=r"path: expected the folder of .*, where .* \(https?://.*\) is missing"):
            ck.data.load(f"{reader}:{folder}")
        (tmp_path / "aside").rename(place)
    assert check_path(folder, reader).complete


def test_the_report_counts_files(tmp_path: Path) -> None:
    assert "mirflickr/im1.jpg, 30 of 25,000 files" in str(check_path(mirflickr_folder(tmp_path)))


def test_check_knows_files_and_says_when_it_knows_nothing(tmp_path: Path) -> None:
    kept = truth()
    (tmp_path / "empty").mkdir()
    nothing = check_path(tmp_path / "empty")
    assert (
        not nothing.complete
        and "nothing of a benchmark was found" in str(nothing)
        and "MIRFlickr-25K: mirflickr/im1.jpg" in str(nothing)
    )
    file = v5(tmp_path / "set.mat", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    for path in (file, tmp_path):
        assert check_path(path).complete and "features, texts and labels in one file (MATLAB v5; set.mat)" in str(
            check_path(path)
        )
    other = check_path(file, "mirflickr")
    assert not other.complete and other.lines[-1] == "  but mirflickr has 24 labels"
    with pytest.raises(InputError, match=r"path: expected a folder or a file, got .*nowhere, which is not there"):
        check_path(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"name: expected one of mirflickr, nuswide-tc10, .*, got 'flickr'"):
        check_path(tmp_path, "flickr")


# Pictures.


def squashed(file: Path) -> np.ndarray:
    return read_photo(file, 16, "squash")[0]


def test_pictures_are_turned_flattened_and_squashed(tmp_path: Path) -> None:
    half = Image.new("RGB", (40, 20), "blue")
    half.paste("red", (0, 0, 20, 20))
    exif = half.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    half.save(tmp_path / "turned.png", exif=exif)
    turned = squashed(tmp_path / "turned.png")
    assert (
        turned.shape == (16, 16, 3) and turned[2, 8].tolist() == [255, 0, 0] and turned[13, 8].tolist() == [0, 0, 255]
    )
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (squashed(tmp_path / "clear.png") == 255).all()
    Image.new("L", (8, 8), 100).save(tmp_path / "grey.jpg")
    assert np.ptp(squashed(tmp_path / "grey.jpg")) == 0
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert squashed(tmp_path / "print.jpg").min() > 250


def test_a_full_disk_is_told_before_anything_is_read(tmp_path: Path, monkeypatch) -> None:
    folder = mirflickr_folder(tmp_path)
    monkeypatch.setattr("cmhkit.data.large.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    monkeypatch.setattr("cmhkit.data.large.read_photo", None)
    with pytest.raises(
        InputError,
        match=r"CMHKIT_CACHE: expected 0.0 GB free in .* for the pictures, got 0.0 GB; choose a smaller resolution",
    ):
        load_mirflickr(folder, least=10, **SMALL)


# Methods on such data.


def test_a_hasher_learns_from_a_folder(tmp_path: Path) -> None:
    folder = mirflickr_folder(tmp_path, n=80)
    data = ck.data.load(
        f"mirflickr:{folder}", least=10, resolution=64, features="scenenet", query=10, train=60, show_progress=False
    )
    hasher = ck.CCA(bits=8).fit(data, show_progress=False)
    report = hasher.evaluate(data)
    assert 0 <= report.map_i2t <= 1 and len(hasher.encode(texts=["even all"])) == 1


def test_labels_written_by_windows_and_extra_files_do_no_harm(tmp_path: Path) -> None:
    folder = mirflickr_folder(tmp_path)
    file = folder / "mirflickr25k_annotations_v080" / "tree.txt"
    write(file, "\ufeff" + file.read_text().replace("\n", "\r\n") + "\r\n")
    write(folder / "mirflickr" / "notes.txt", "x")
    assert json.loads(json.dumps(load_mirflickr(folder, least=10, **SMALL).details))["protocol"] == "MIRFlickr-25K"
