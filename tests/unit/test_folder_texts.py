"""What people have beside their pictures: tables in every dialect, JSON, text files in trees, splits and labels.

Each case has its right value. A folder here has a few small pictures; `load` is the public one.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cmhkit.data import load
from cmhkit.data.caption_files import read_table
from cmhkit.data.captions import has_headings, label_lists, understood
from cmhkit.data.part_names import part_in, part_of
from cmhkit.data.picture_names import Beside, PictureNames
from cmhkit.support.checks import InputError

N = 6
LANGUAGES = {"en": "a dog", "de": "ein Hund"}


@pytest.fixture(autouse=True)
def _shared(shared_cache):
    """Pictures of one content are resized once for all tests."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.mkdir()
    return path


def pictures(root: Path, names: Iterable[str] = tuple(f"{i}.png" for i in range(N))) -> Path:
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * (k % 6), 20 * k % 256, 90)).save(path)
    return root


def write(root: Path, name: str, content: str | bytes | list | dict) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, (list, dict)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read(root: Path, **options: Any):
    """A folder that is read without a warning, so that nothing is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(f"folder:{root}", **{"side": 16, "features": None, "show_progress": False, **options})


def texts_of(data: Any) -> dict[str, str]:
    return dict(zip((file.rpartition("/")[2] for file in data.details["files"]), data.texts, strict=True))


def labels_of(data: Any) -> dict[str, set[str]]:
    names = np.array(data.label_names)
    rows = zip(data.details["files"], data.labels.astype(bool), strict=True)
    return {file.rpartition("/")[2]: set(names[row].tolist()) for file, row in rows}


def parts_of(data: Any) -> dict[str, list[str]]:
    return {name: sorted(data.details["files"][i] for i in index) for name, index in data.parts.items()}


RIGHT = {f"{i}.png": f"a dog, word{i}" for i in range(N)}


def rows(line: str, header: str = "") -> str:
    """A line for each picture, {i} its number."""
    return (header + "\n" if header else "") + "".join(line.format(i=i) + "\n" for i in range(N))


# Tables of text.


@pytest.mark.parametrize("image", ["image", "filename", " File_Name ", "IMAGE NAME", "img", "path", "Image-Path", "id"])
@pytest.mark.parametrize(
    "text", ["caption", "Text", " comment", "sentence", "Description", "captions", "image caption"]
)
def test_headings(root, image, text) -> None:
    write(pictures(root), "c.csv", rows('{i}.png,"a dog, word{i}"', f"{image},{text}"))
    assert texts_of(read(root)) == RIGHT


@pytest.mark.parametrize("name", ["c.csv", "captions.txt", "sub/c.tsv", "Captions/captions.txt", "c.psv", "x.token"])
@pytest.mark.parametrize(
    "table",
    [
        rows('{i}.png,"a dog, word{i}"', "image,caption"),
        rows("{i}.png\ta dog, word{i}", "image\tcaption"),
        rows("{i}.png| 0| a dog, word{i}", "image_name| comment_number| comment"),
        rows("{i}.png;a dog, word{i}", "image;caption"),
        rows("{i}.png;a dog, word{i}", "sep=;\nimage;caption"),
        rows("{i}.png;a dog, word{i}", '"sep=;"\nimage;caption'),
        rows("{i}.png#0\ta dog, word{i}"),
        rows("{i}.png\ta dog, word{i}"),
        rows("{i}.png,a dog, word{i}"),
        rows("{i}#0\ta dog, word{i}"),
        rows("{i}.png a dog, word{i}"),
        rows('"{i}.png","a dog, word{i}"', '"image","caption"'),
        rows('{i}.png, "a dog, word{i}"', "image, caption"),
        rows("{i}.png,a dog, word{i}", "image,caption"),
        rows("{i},{i}.png,a dog, word{i}", ",image,caption"),
        rows("\n{i}.png\ta dog, word{i}\n", "\n\nimage\tcaption"),
        rows('{i},{i}.png,"a dog, word{i}"', ",image,caption"),
        rows('{i}.png,"a dog, word{i}",', "image,caption,"),
        rows("{i}.png,\"['a dog, word{i}']\"", "image,caption"),
    ],
)
def test_dialects(root, name, table) -> None:
    write(pictures(root, (f"Images/{i}.png" for i in range(N))), name, table)
    assert texts_of(read(root)) == RIGHT
    for ends, encoding in (("\r\n", "utf-8-sig"), ("\r", "utf-16")):
        write(root, name, table.replace("\n", ends).encode(encoding))
        assert texts_of(read(root)) == RIGHT


@pytest.mark.parametrize(
    "name",
    [
        *(
            "{i}.png",
            "Images/{i}.png",
            "./Images/{i}.png",
            "images\\{i}.PNG",
            "{i}",
            "IMAGES/{i}",
            "mine/Images/{i}.png",
        ),
        *("/home/u/data/Images/{i}.png", "C:\\data\\Images\\{i}.png", "http://host/data/{i}.png", "../Images/{i}.png"),
    ],
)
def test_names_of_pictures(root, name) -> None:
    write(
        pictures(root, (f"Images/{i}.png" for i in range(N))),
        "tables/c.tsv",
        rows(f"{name}\ta dog, word{{i}}", "file\ttext"),
    )
    assert texts_of(read(root)) == RIGHT


def test_names_that_fit_several_pictures_or_another_folder_are_not_guessed() -> None:
    names = PictureNames(["a/1.png", "b/1.png", "b/2.png", "c/003.jpg", "c/3.PNG", "B/x.png"], [".png", ".jpg"])
    assert names.find("1.png") == (None, "in the table, but several pictures have this name, such as a/1.png, b/1.png")
    assert names.find("1.png", "b")[0] == "b/1.png" and names.find("a/1")[0] == "a/1.png"
    assert names.find("a/2.png")[0] is None, "another folder"
    assert names.find("../b/2.png")[0] is None and names.find("../b/2.png", "a")[0] == "b/2.png"
    assert names.find("2.png#4")[0] == names.find(2)[0] == names.find("/else/2.png")[0] == "b/2.png"
    assert names.find("/else/2.png")[1].startswith("named with folders of another place")
    assert names.find("b/x.png")[0] == "B/x.png" and names.find("3")[0] == "c/3.PNG" and names.find("03")[0] is None
    assert all(names.find(value)[0] is None for value in (None, True, 2.0, "", "x" * 999, "b/2.png\nb/2.png", "4"))


def test_several_captions_of_a_picture(root) -> None:
    lines = "".join(f"{i}.png#{j}\tdog{i} run{j}\n" for i in range(N) for j in (0, 1, 2, 1))
    write(pictures(root), "Flickr8k.token.txt", lines)
    joined, first, every = (read(root, captions=how) for how in ("joined", "first", "all"))
    assert texts_of(joined)["2.png"] == "dog2 run0\ndog2 run1\ndog2 run2" and len(joined) == N
    assert first.texts == [f"dog{i} run0" for i in range(N)]
    assert every.texts == [f"dog{i} run{j}" for i in range(N) for j in range(3)]
    assert every.details["files"][:4] == ["0.png"] * 3 + ["1.png"] and every.report.captions.startswith(
        "18, 3 a picture"
    )
    assert np.array_equal(every.images, np.repeat(joined.images, 3, axis=0))
    assert parts_of(joined) == {part: sorted(set(files)) for part, files in parts_of(every).items()}
    assert all(len(files) == 3 * len(set(files)) for files in parts_of(every).values())


@pytest.mark.parametrize(
    ("files", "option"),
    [
        ({"c.csv": ["image,caption_en,caption_de", "{i}.png,a dog {i},ein Hund {i}"]}, {"column": "caption_{}"}),
        (
            {f"captions.{x}.csv": ["image,caption", f"{{i}}.png,{w} {{i}}"] for x, w in LANGUAGES.items()},
            {"texts": "captions.{}.csv"},
        ),
        ({f"{{i}}.{x}": [f"{w} {{i}}"] for x, w in LANGUAGES.items()}, {"texts": ".{}"}),
    ],
)
def test_of_several_languages_the_one_that_is_named_is_read(root, files, option) -> None:
    pictures(root)
    for name, (*head, line) in files.items():
        for file in {name.format(i=i) for i in range(N)}:
            own = [int(file.partition(".")[0])] if file != name else range(N)
            write(root, file, "\n".join([*head, *(line.format(i=i) for i in own)]))
    with pytest.raises(
        InputError, match=r"texts: expected (one column|one table|text files of one ending).*(pass|name)"
    ):
        read(root)
    for language, words in LANGUAGES.items():
        data = read(root, **{key: value.format(language) for key, value in option.items()})
        assert texts_of(data) == {f"{i}.png": f"{words} {i}" for i in range(N)}


def test_a_table_that_quotes_nothing(root) -> None:
    said = ['"Stop" says the sign', '"open and never closed', 'and here one ends"', 'a 5" disk', "plain", 'it is "big"']
    for delimiter in "\t|;,":
        write(
            pictures(root),
            "c.txt",
            f"file{delimiter}text\n" + "".join(f"{i}.png{delimiter}{t}\n" for i, t in enumerate(said)),
        )
        assert list(texts_of(read(root)).values()) == said


def test_an_odd_row_without_a_quotation_mark_costs_that_row_alone(root) -> None:
    table = (
        rows("{i}.png| 0| word{i}", "image_name| comment_number| comment") + '0.png| 1| "Two" men\n1.png| 4   A dog\n'
    )
    with pytest.warns(
        UserWarning, match=r"another number of fields than the 3 of the first line \(1\): c\.csv, line 9"
    ):
        data = load(f"folder:{write(pictures(root), 'c.csv', table)}", side=16, features=None)
    assert texts_of(data)["0.png"] == 'word0\n"Two" men'


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12).map(
    lambda text: "w" + re.sub(r"\s+", " ", text).strip()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(CELLS, min_size=N, max_size=N),
    st.sampled_from(",\t;|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.permutations(["image_name", "comment", "comment_number", "split"]),
    st.booleans(),
)
def test_a_random_table_in_a_random_dialect(tmp_path, texts, delimiter, quoting, ends, encoding, order, sep) -> None:
    """What `csv` writes is read back, whatever stands in the captions: the same texts of the same pictures."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, order, delimiter=delimiter, quoting=quoting, lineterminator=ends)
    writer.writeheader()
    for i, text in enumerate(texts):
        writer.writerow(
            {"image_name": f"{i}.png", "comment": text, "comment_number": 0, "split": ["train", "test"][i % 2]}
        )
    content = (f"sep={delimiter}{ends}" if sep else "") + out.getvalue()
    path = tmp_path / "c.csv"
    path.write_bytes(content.encode(encoding))
    names = PictureNames([f"{i}.png" for i in range(N)], [".png"])
    table = read_table(path, "c.csv", "utf-8", lambda cell: names.find(cell)[0] is not None, has_headings)
    said = understood(table, "c.csv", names)
    assert said.pictures == [f"{i}.png" for i in range(N)] and said.parts == ["train", "test"] * (N // 2)
    assert said.captions == [[text.strip()] for text in texts] and said.unread == ["comment_number"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.lists(st.text("ab \"'", min_size=1, max_size=8), min_size=N, max_size=N), st.sampled_from("\t;|,"))
def test_a_random_table_that_quotes_nothing(tmp_path, texts, delimiter) -> None:
    """Quotation marks anywhere in a caption are kept where some line shows that they quote nothing."""
    texts = [f"x{text}".strip() if i % 2 else f'"x {text}'.strip() + " y" for i, text in enumerate(texts)]
    path = tmp_path / "c.txt"
    path.write_text(
        f"image{delimiter}caption\n" + "".join(f"{i}.png{delimiter}{text}\n" for i, text in enumerate(texts))
    )
    names = PictureNames([f"{i}.png" for i in range(N)], [".png"])
    table = read_table(path, "c.txt", "utf-8", lambda cell: names.find(cell)[0] is not None, has_headings)
    assert understood(table, "c.txt", names).captions == [[text] for text in texts]


# JSON.


ITEMS = [{"file_name": f"{i}.png", "caption": f"a dog, word{i}"} for i in range(N)]


@pytest.mark.parametrize(
    "content",
    [
        ITEMS,
        {"images": ITEMS, "info": {"year": 2020}},
        {"annotations": [{"image_id": f"{i}", "caption": f"a dog, word{i}"} for i in range(N)]},
        {f"{i}.png": f"a dog, word{i}" for i in range(N)},
        {f"{i}": [f"a dog, word{i}"] for i in range(N)},
        {f"x/{i}.png": {"caption": f"a dog, word{i}", "width": 3} for i in range(N)},
        {f"{i}.png": [{"text": f"a dog, word{i}", "id": 4}] for i in range(N)},
        [[f"{i}.png", f"a dog, word{i}"] for i in range(N)],
        [{"image": {"filename": f"{i}.png", "w": 3}, "sentences": [{"raw": f"a dog, word{i}"}]} for i in range(N)],
        {"image": {str(i): f"{i}.png" for i in range(N)}, "caption": {str(i): f"a dog, word{i}" for i in range(N)}},
        {"image": [f"{i}.png" for i in range(N)], "caption": [f"a dog, word{i}" for i in range(N)]},
        {"columns": ["image", "text"], "index": [], "data": [[f"{i}.png", f"a dog, word{i}"] for i in range(N)]},
        {
            "images": [{"id": 7 + i, "file_name": f"{i}.png"} for i in range(N)],
            "annotations": [{"image_id": 7 + i, "id": i, "caption": f"a dog, word{i}"} for i in range(N)],
        },
        [{"photo": f"{i}.png", "caption": [f"a dog, word{i}", None, ""]} for i in range(N)],
    ],
)
def test_shapes_of_json(root, content) -> None:
    pictures(root, (f"x/{i}.png" for i in range(N)))
    for name in ("c.json", "annotations/c.json"):
        write(root, name, json.dumps(content).encode("utf-8-sig"))
        assert texts_of(read(root)) == RIGHT
        (root / name).unlink()
    if isinstance(content, list):
        write(root, "metadata.jsonl", "".join(json.dumps(item) + "\n\n" for item in content))
        assert texts_of(read(root)) == RIGHT


def test_a_key_that_occurs_twice_in_json_has_both_captions(root) -> None:
    write(
        pictures(root), "c.json", "{" + ",".join(f'"{i}.png": "dog{i} x{j}"' for i in range(N) for j in range(3)) + "}"
    )
    assert texts_of(read(root))["1.png"] == "dog1 x0\ndog1 x1\ndog1 x2"


def test_a_split_in_json_beside_a_table(root) -> None:
    write(pictures(root), "c.csv", rows("{i}.png,dog{i}", "image,caption"))
    data = read(
        write(root, "splits.json", {"train": ["0", "1.png"], "val": ["2.png", "3.png"], "test": ["4.png", "5.png"]})
    )
    assert parts_of(data)["query"] == ["4.png", "5.png"] and parts_of(data)["train"] == ["0.png", "1.png"]
    assert data.report.unread == () and data.report.split == "column split of splits.json"


def karpathy(i: int) -> dict:
    sentences = [{"tokens": ["a"], "raw": f"dog{i} run{j}", "sentid": j} for j in range(2)]
    split = ("train", "restval", "val", "test")[i % 4]
    return {"filename": f"{i}.png", "filepath": "val2014", "imgid": i, "sentences": sentences, "split": split}


def test_karpathys_split(root) -> None:
    write(pictures(root), "dataset_flickr8k.json", {"images": [karpathy(i) for i in range(N)], "dataset": "flickr8k"})
    data = read(root, captions="first")
    assert data.texts == [f"dog{i} run0" for i in range(N)]
    assert parts_of(data) == {
        "query": ["3.png"],
        "retrieval": ["0.png", "1.png", "2.png", "4.png", "5.png"],
        "train": ["0.png", "1.png", "4.png", "5.png"],
    }
    assert data.report.split == "column split of dataset_flickr8k.json"
    assert data.report.unread == (
        "columns filepath, imgid, sentences.tokens, sentences.sentid of dataset_flickr8k.json",
        "key dataset of dataset_flickr8k.json",
    )
    assert str(data.report).splitlines()[-1].startswith("not read: columns filepath, ")


def coco(root: Path, year: int, also: Iterable[str] = ()) -> Path:
    """The folder of COCO as its makers unpack it: nine pictures to train, four to validate."""
    number = 0
    for part, count in (("train", 9), ("val", 4)):
        images, captions, instances = [], [], []
        for _ in range(count):
            name = f"COCO_{part}{year}_{number:012d}.jpg" if year == 2014 else f"{number:012d}.jpg"
            pictures(root / f"{part}{year}", [name])
            Image.new("RGB", (8, 8), (number * 10, 1, 2)).save(root / f"{part}{year}" / name)
            images.append({"id": number, "file_name": name, "license": 3, "coco_url": "http://host/x.jpg"})
            captions += [
                {"image_id": number, "id": 2 * number + j, "caption": f"dog{number} run{j} "} for j in range(2)
            ]
            shape = {"segmentation": [[1.5, 2]], "bbox": [1, 2, 3, 4], "iscrowd": 0}
            instances += [{"image_id": number, "category_id": c, **shape} for c in (18, 18, 44)[number % 3 :]]
            number += 1
        categories = [{"id": 18, "name": "dog"}, {"id": 44, "name": "bottle"}, {"id": 90, "name": "brush"}]
        for kind, listed in (("captions", captions), ("instances", instances), ("person_keypoints", [])):
            whole = {"info": {}, "images": images, "annotations": listed}
            if kind in ("captions", "instances", *also):
                write(
                    root,
                    f"annotations/{kind}_{part}{year}.json",
                    whole | ({"categories": categories} if kind != "captions" else {}),
                )
    return root


@pytest.mark.parametrize("year", [2014, 2017])
@pytest.mark.parametrize("also", [(), ("person_keypoints",)])
def test_coco(root, year, also) -> None:
    data = read(coco(root, year, also))
    assert len(data) == 13 and data.texts[3] == "dog3 run0\ndog3 run1"
    assert data.label_names == ("bottle", "dog") and data.labels[:3].tolist() == [[1, 1], [1, 1], [1, 0]]
    assert parts_of(data)["query"] == sorted(f for f in data.details["files"] if f.startswith("val"))
    assert len(data.train) == len(data.retrieval) == 9
    unread = "; ".join(data.report.unread)
    assert all(
        word in unread
        for word in ("coco_url", "segmentation, bbox", "info", f"of annotations/instances_val{year}.json")
    )


def test_one_part_of_coco(root) -> None:
    coco(root, 2017)
    for file in (*root.glob("train2017/*"), *root.glob("annotations/*train*")):
        file.unlink()
    data = read(root)
    assert len(data) == 4 and data.label_names == ("bottle", "dog") and data.report.split == ""


# Text files of single pictures.


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        *(
            ("{i}.png", f"{{i}}{ending}")
            for ending in (".txt", ".png.txt", ".caption", ".tags", ".TXT", ".cap", ".eng")
        ),
        ("images/{i}.png", "texts/{i}.txt"),
        ("images/{i}.png", "captions/{i}.caption"),
        ("images/a/{i}.png", "texts/a/{i}.txt"),
        ("images/{i}.png", "{i}.txt"),
        ("{i}.png", "texts/{i}.png.txt"),
        ("data/images/{i}.png", "data/texts/{i}.txt"),
    ],
)
def test_a_text_file_a_picture(root, picture, text) -> None:
    pictures(root, (picture.format(i=i) for i in range(N)))
    for i in range(N):
        write(root, text.format(i=i), f"a dog, word{i}\n")
    assert texts_of(read(root)) == RIGHT and texts_of(read(root, captions="all")) == RIGHT
    assert read(root).report.unread == ()


def test_a_tree_of_texts_is_matched_by_its_folders_and_never_across_classes() -> None:
    beside = Beside(["train/images/1.png", "val/images/1.png", "cats/2.png", "dogs/2.png", "dogs/3.png"])
    assert beside.pictures_of("train/texts/1.txt") == ["train/images/1.png"]
    assert beside.pictures_of("texts/1.txt") == [] == beside.pictures_of("texts/2.txt"), "two pictures"
    assert beside.pictures_of("cats/3.txt") == [], "cats holds pictures: it is no tree of texts"
    assert beside.pictures_of("texts/dogs/2.txt") == ["dogs/2.png"] and beside.pictures_of("dogs/2.png.txt") == [
        "dogs/2.png"
    ]


def test_the_tags_of_a_picture_are_one_text(root) -> None:
    write(pictures(root), "c.json", [{"image": f"{i}.png", "tags": ["dog", f"word{i}"]} for i in range(N)])
    assert all(read(root, captions=how).texts[2] == "dog, word2" for how in ("joined", "first", "all"))


def test_several_captions_in_a_text_file_are_lines_that_end_at_line_ends(root) -> None:
    for i in range(N):
        write(pictures(root), f"{i}.txt", f"dog{i} a\u2028b\r\n\r\ncat{i}\n dog{i} a\u2028b \n")
    assert read(root, captions="all").texts == [text for i in range(N) for text in (f"dog{i} a\u2028b", f"cat{i}")]
    assert read(root, captions="first").texts[1] == "dog1 a\u2028b"
    assert texts_of(read(root))["1.png"] == "dog1 a\u2028b\r\n\r\ncat1\n dog1 a\u2028b"


def test_two_kinds_of_text_files(root) -> None:
    for i in range(N):
        write(write(pictures(root), f"{i}.caption", f"dog{i}"), f"{i}.tags", f"cat{i}")
    with pytest.raises(
        InputError, match=r"text files of one ending in .*, got \.caption, \.tags; pass one, such as texts='\.caption'"
    ):
        read(root)
    data = read(root, texts=".tags")
    assert data.texts == [f"cat{i}" for i in range(N)] and data.report.unread == (
        "6 .caption files, such as 0.caption",
    )
    for i in range(N):
        write(root, f"deutsch/{i}.txt", f"Hund{i}")
    assert read(root, texts="deutsch").texts[2] == "Hund2" and read(root).report.texts == "the .txt files in deutsch"


def test_json_files_of_single_pictures(root) -> None:
    for i in range(N):
        write(pictures(root), f"{i}.json", {"caption": f"a dog, word{i}", "url": "http://host", "label": "ab"[i % 2]})
    data = read(root)
    assert texts_of(data) == RIGHT and data.label_names == ("a", "b")
    assert data.report.unread == ("column url of the .json files of the pictures",)
    for i in range(N):
        write(root, f"{i}.txt", f"cat{i}")
    assert read(root, texts="sidecar").texts[0] == "cat0"
    assert read(root).texts[0] == "cat0" and "6 .json files, such as 0.json" in read(root).report.unread


# Names of folders, and what lies unread.


def classes(root: Path) -> Path:
    return pictures(root, (f"{'cat dog'.split()[i % 2]}/{i}.png" for i in range(N)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            (name, "words of any kind")
            for name in ("README.md", "LICENSE", "notes.pdf", "get.sh", "cat.zip", "readme.txt")
        ),
        ("classes.txt", "cat\ndog\n"),
        ("labels.txt", "0 Cat\n1 dog\n"),
        ("class_to_idx.json", {"cat": 0, "dog": 1}),
        ("classes.json", {"0": "cat", "1": "dog"}),
    ],
)
def test_what_holds_no_captions_does_not_stop_names_of_folders(root, name, content) -> None:
    data = read(write(classes(root), name, content))
    assert set(data.texts) == {"cat", "dog"} and data.report.other_files == 1 and data.report.unread == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.parquet", b"PAR1\0"),
        ("captions.csv.gz", b"\x1f\x8b"),
        ("annotations.zip", b"PK\x03\x04"),
        ("captions.of.mine", "the first is a dog"),
        ("captions.xlsx", b"PK\x03\x04"),
        ("annotations/0.xml", "<annotation/>"),
        ("captions.yaml", "0.png: a dog"),
        ("captions", "the first is a dog"),
        ("captions.txt", "one caption a line\n" * N),
        ("captions.csv", "words\nof\nany\nkind\n"),
        ("captions.csv", rows("{i}.png,a dog", "photo,words")),
        ("captions.csv", rows("{i}.png,a,a dog", "photo,label,words")),
        ("captions.json", {"a": 1}),
        ("train.json", {"cat": ["cat/0"], "dog": ["dog/1"]}),
        ("captions.pkl", b"\x80\x04"),
        ("captions.mat", b"MATLAB"),
        ("texts/x0.txt", "a dog"),
        ("page.html", "<p>a dog</p>"),
        ("captions.db", b"SQLite format 3\0"),
        ("captions.dat", b"\xff\xfe\xfd"),
    ],
)
def test_what_may_hold_captions_stops_names_of_folders(root, name, content) -> None:
    write(classes(root), name, content)
    with pytest.raises(InputError, match=r"(?s)^(texts|encoding): .*texts='folders'") as raised:
        read(root)
    assert name in str(raised.value)
    data = read(root, texts="folders")
    assert set(data.texts) == {"cat", "dog"} and name in "; ".join(data.report.unread)


def test_one_folder_for_all_says_nothing(root) -> None:
    pictures(root, (f"images/{i}.png" for i in range(N)))
    with pytest.raises(InputError, match=r"path: expected texts in .*; got one folder for all"):
        read(root)
    write(pictures(root / "flat"), "labels.csv", rows("{i}.png,{i}", "image,label"))
    with pytest.raises(InputError, match=r"path: expected texts in .*; got labels alone"):
        read(root / "flat")


def test_a_list_of_classes_is_no_table_of_pictures_that_have_numbers_for_names(root) -> None:
    for i in range(N):
        write(pictures(root), f"{i}.txt", f"dog{i}")
    data = read(write(root, "classes.csv", "id,label\n0,cat\n1,dog\n"))
    assert data.labels is None and data.report.unread == ("classes.csv",)


def test_many_files_that_are_no_tables_are_told_together(root) -> None:
    for i in range(N + 1):
        write(classes(root), f"meta/tags{i}.txt", "a tag")
    with pytest.raises(InputError, match=r"\n  7 \.txt files, such as meta/tags0\.txt: expected a first line"):
        read(root)
    assert read(root, texts="folders").report.unread == ("7 .txt files, such as meta/tags0.txt",)


def test_numbers_are_no_captions(root) -> None:
    for i in range(N):
        write(pictures(root, [f"images/{i}.png"]), f"labels/{i}.txt", "0 0.5 0.5 0.2 0.3\n")
    with pytest.raises(InputError, match=r"texts: expected words in the \.txt files of .*, got numbers alone"):
        read(root)


def test_two_tables_of_the_same_pictures_are_an_error_and_of_others_one_set(root) -> None:
    write(pictures(root), "a.csv", rows("{i}.png,dog{i}", "image,caption"))
    write(root, "b.jsonl", "".join(json.dumps(item) + "\n" for item in ITEMS))
    with pytest.raises(
        InputError, match=r"texts: expected one table in .*, got a\.csv, b\.jsonl; pass the name of one"
    ):
        read(root)
    data = read(root, texts="b.jsonl")
    assert texts_of(data) == RIGHT and data.report.unread == ("a.csv",)
    write(root, "a.csv", "image,caption\n" + "".join(f"{i}.png,dog{i}\n" for i in range(3)))
    write(root, "b.jsonl", "".join(json.dumps(item) + "\n" for item in ITEMS[3:]))
    assert texts_of(read(root)) == {f"{i}.png": f"dog{i}" for i in range(3)} | {
        f"{i}.png": RIGHT[f"{i}.png"] for i in range(3, N)
    }


def test_a_table_before_text_files_which_are_named_if_they_say_something_else(root) -> None:
    write(pictures(root), "a.csv", rows('{i}.png,"a dog, word{i}"', "image,caption"))
    for i in range(N):
        write(root, f"{i}.txt", f"a dog, word{i}\n")
    assert read(root).report.unread == ()
    write(root, "3.txt", "something else")
    data = read(root)
    assert texts_of(data) == RIGHT and data.report.unread == ("6 .txt files, such as 0.txt",)
    write(root, "a.csv", "image,caption\n0.png,a dog\n1.png,a cat\n")
    with pytest.raises(
        InputError, match=r"one source of texts in .*, got a\.csv for 2 pictures and text files beside 6"
    ):
        read(root)


def test_a_column_can_be_named(root) -> None:
    write(pictures(root), "c.csv", rows("{i}.png,dog{i},Hund{i},x", "image,caption_en,caption_de,words"))
    with pytest.raises(
        InputError, match=r"one column of captions in c\.csv, got caption_en, caption_de; .*column='caption_en'"
    ):
        read(root)
    assert read(root, column="Caption_DE").texts[1] == "Hund1" and read(root, column="words").texts[1] == "x"
    assert (
        texts_of(
            read(
                write(root, "c.json", [{"image": f"{i}.png", "caption": {"en": "a", "de": f"b{i}"}} for i in range(N)]),
                texts="c.json",
                column="caption.de",
            )
        )["4.png"]
        == "b4"
    )
    (root / "c.json").unlink()
    assert read(root, column="caption_de").report.unread == ("columns caption_en, words of c.csv",)
    with pytest.raises(
        InputError, match=r"column: expected a column of a table in .*, got 'caption_fr'; there are c\.csv \(image, "
    ):
        read(root, column="caption_fr")
    with pytest.raises(InputError, match=r"column: expected a heading, got 3"):
        read(root, column=3)
    write(root, "c.csv", rows("{i}.png,dog{i},run{i}", "image,caption_1,caption_2"))
    assert texts_of(read(root))["1.png"] == "dog1\nrun1"


# Labels.


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["dog", "dog; cat", "", "nan"], [{"dog"}, {"dog", "cat"}, set(), set()]),
        (["['dog']", "['dog', 'cat']", "[]", "['a, b']"], [{"dog"}, {"dog", "cat"}, set(), {"a, b"}]),
        (
            ['["dog"]', '["cat", "dog"]', "{'dog'}", "('cat', 'dog')"],
            [{"dog"}, {"cat", "dog"}, {"dog"}, {"cat", "dog"}],
        ),
        (["[dog, cat]", "[dog]"], [{"dog", "cat"}, {"dog"}]),
        (["[0 1 0]", "[1 1 0]"], [{"label 1"}, {"label 0", "label 1"}]),
        (["[0. 1.\n 0.]", "[1. 0. 1.]"], [{"label 1"}, {"label 0", "label 2"}]),
        (["0 1 0", "1 0 1"], [{"label 1"}, {"label 0", "label 2"}]),
        (["[0, 1, 0]", "[1, 0, 1]"], [{"label 1"}, {"label 0", "label 2"}]),
        ([[0, 1], [1, 1]], [{"label 1"}, {"label 0", "label 1"}]),
        (["0", "1", "10"], [{"0"}, {"1"}, {"10"}]),
        (["1.0", "2.0", ""], [{"1"}, {"2"}, set()]),
        ([0, 3, None], [{"0"}, {"3"}, set()]),
        (["[0]", "[0, 1]", "[2]"], [{"0"}, {"0", "1"}, {"2"}]),
        ([["dog"], [{"name": "cat", "id": 3}], []], [{"dog"}, {"cat"}, set()]),
        (["a|b", "a,c"], [{"a", "b"}, {"a", "c"}]),
    ],
)
def test_cells_of_labels(cells, right) -> None:
    assert [set(labels) for labels in label_lists(cells, "labels of c.csv")] == right


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["[0 1 ... 0 1]", "[1 0 ... 0 0]"],
            r"expected whole lists of labels in labels of c\.csv, got .*, which is shortened",
        ),
        (["[0 1 0]", "[1 0]"], r"expected a 0 or a 1 for every class in labels of c\.csv, got rows of 2 and 3"),
        ([[["a", ["b"]]]], r"expected labels in labels of c\.csv, got \['a', \['b'\]\]"),
    ],
)
def test_bad_cells_of_labels(cells, message) -> None:
    with pytest.raises(InputError, match=message):
        label_lists(cells, "labels of c.csv")


@pytest.mark.parametrize("heading", ["label", "labels", "Class", "category", "categories", "target"])
def test_a_column_of_labels(root, heading) -> None:
    data = read(write(pictures(root), "c.csv", rows("{i}.png,dog,{i}", f"image,caption,{heading}")))
    assert data.label_names == tuple(map(str, range(N))) and labels_of(data)["4.png"] == {"4"}


def test_class_numbers_are_in_the_order_of_their_size(root) -> None:
    names = [f"{i}.png" for i in range(12)]
    table = "image,caption,label\n" + "".join(f"{name},dog,{i}\n" for i, name in enumerate(names))
    assert read(write(pictures(root, names), "c.csv", table)).label_names == tuple(map(str, range(12)))


def test_columns_of_zeros_and_ones_are_labels(root) -> None:
    table = "image,caption,comment_number,dog,train,height\n" + "".join(
        f"{i}.png,x,{i % 2},{i % 2},{1 - i % 2},{i}\n" for i in range(N)
    )
    data = read(write(pictures(root), "c.csv", table))
    assert data.label_names == ("dog", "train") and labels_of(data)["3.png"] == {"dog"} and data.report.split == ""
    assert data.report.unread == ("columns comment_number, height of c.csv",)
    table = "image,caption,dog\n" + "".join(f"{i}.png,x,{i % 2}\n" for i in range(N))
    signs = "".join(f"{i}.png,x,{2 * (i % 2) - 1},{1 - 2 * (i % 2)}\n" for i in range(N))
    assert labels_of(read(write(root, "c.csv", "image,caption,dog,cat\n" + signs)))["3.png"] == {"dog"}
    data = read(write(root, "c.csv", table))
    assert data.labels is None and data.report.unread == ("column dog of c.csv",), (
        "one column alone is no set of classes"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(N)).join(("image,label\n", ""))),
        ("labels.txt", "".join(f"{i}.png {i % 2}\n" for i in range(N))),
        ("labels.json", [{"image": f"{i}.png", "labels": ["ab"[i % 2]]} for i in range(N)]),
    ],
)
def test_labels_in_a_file_of_their_own(root, name, content) -> None:
    write(pictures(root), name, content)
    for i in range(N):
        write(root, f"{i}.txt", f"dog{i}")
    data = read(root)
    assert data.texts[2] == "dog2" and data.labels.tolist() == [[1, 0], [0, 1]] * 3 and data.report.unread == ()


# The split.


def test_words_for_parts() -> None:
    said = {
        "Train": "train",
        "val2017": "val",
        " TEST ": "test",
        "dev": "val",
        "test_set": "test",
        "gallery": "retrieval",
    }
    assert {word: part_of(word) for word in said} == said
    assert [part_of(word) for word in ("contest", "trainer", "1", "", None, "train wreck", 0)] == [None] * 7
    files = {
        "captions_train2014.json": "train",
        "Flickr_8k.devImages.txt": "val",
        "x/TestSet.csv": "test",
        "a_val.csv": "val",
    }
    assert {file: part_in(file) for file in files} == files
    assert (
        part_in("test/metadata.csv") == "test" and part_in("validate/contest.csv") is part_in("train_val.csv") is None
    )


@pytest.mark.parametrize(
    ("words", "query", "train"),
    [
        (["train", "train", "train", "test", "val", "test"], "35", "012"),
        (["Training", "train", "train", "dev", "dev", "train"], "34", "0125"),
        (["query", "database", "database", "train", "train", "query"], "05", "34"),
        (["query", "retrieval", "retrieval", "retrieval", "retrieval", "query"], "05", "1234"),
        (["restval", "train", "val", "test", "train", "test"], "35", "014"),
        (["test", "val", "val", "val", "test", "val"], "04", "1235"),
    ],
)
@pytest.mark.parametrize("where", ["column", "key", "folders", "files", "lists", "parts of JSON"])
def test_a_split_on_disk(root, where, words, query, train) -> None:
    names = [f"{i}.png" for i in range(N)]
    if where == "folders":
        pictures(root, (f"{words[i]}/{i}.png" for i in range(N)))
        write(root, "c.csv", rows("{i}.png,dog{i}", "image,caption"))
    elif where == "files":
        for word in set(words):
            lines = "".join(f"{i}.png,dog{i}\n" for i in range(N) if words[i] == word)
            write(pictures(root), f"captions_{word}.csv", f"image,caption\n{lines}")
    elif where == "lists":
        write(pictures(root), "c.tsv", rows("{i}.png\tdog{i}", "image\tcaption"))
        for word in set(words):
            write(
                root, f"{word}.txt", "".join(f"{name}\n" for name, own in zip(names, words, strict=True) if own == word)
            )
    elif where == "column":
        write(
            pictures(root), "c.csv", "image,caption,Split\n" + "".join(f"{i}.png,dog{i},{words[i]}\n" for i in range(N))
        )
    elif where == "key":
        write(
            pictures(root), "c.json", [{"image": f"{i}.png", "caption": f"dog{i}", "split": words[i]} for i in range(N)]
        )
    else:
        parted = {w: [{"image": f"{i}.png", "caption": f"dog{i}"} for i in range(N) if words[i] == w] for w in words}
        write(pictures(root), "c.json", parted)
    data = read(root)
    asked = [file.rpartition("/")[2] for file in parts_of(data)["query"]]
    learned = [file.rpartition("/")[2] for file in parts_of(data)["train"]]
    assert (asked, learned) == ([f"{i}.png" for i in query], [f"{i}.png" for i in train])
    assert len(data.retrieval) == N - len(asked) and data.report.split
    drawn = read(root, query=0.4)
    assert drawn.report.split == "" and drawn.report.unread != data.report.unread, "a split that is not used is named"
    part = read(root, train=0.5)
    assert (
        set(parts_of(part)["train"]) <= set(parts_of(data)["train"])
        and parts_of(part)["query"] == parts_of(data)["query"]
    )


def test_what_is_in_no_part_is_left_out_and_said(root) -> None:
    table = "image,caption,split\n" + "".join(
        f"{i}.png,dog{i},{('train', 'test', '', 'unused')[i % 4]}\n" for i in range(N)
    )
    with pytest.warns(UserWarning, match=r"in no part of the split \(2\): 2\.png, 3\.png"):
        data = load(f"folder:{write(pictures(root), 'c.csv', table)}", side=16, features=None)
    assert parts_of(data) == {"query": ["1.png", "5.png"], "retrieval": ["0.png", "4.png"], "train": ["0.png", "4.png"]}


def test_a_column_that_says_no_parts_is_named(root) -> None:
    table = "image,caption,split,is_train\n" + "".join(f"{i}.png,dog{i},{i % 3},{i > 1:d}\n" for i in range(N))
    data = read(write(pictures(root), "c.csv", table))
    assert data.report.unread == ("column split of c.csv",) and parts_of(data)["query"] == ["0.png", "1.png"]
    data = read(write(root, "c.csv", rows("{i}.png,dog{i},train", "image,caption,split")))
    assert data.report.split == "drawn, since column split of c.csv has one part only" and len(data.query) == 1


def test_a_list_of_queries_alone_leaves_the_others_to_train(root) -> None:
    write(write(pictures(root), "c.csv", rows("{i}.png,dog{i}", "image,caption")), "test.txt", "2\n4\n")
    assert parts_of(read(root))["query"] == ["2.png", "4.png"] and len(read(root).train) == 4


def test_a_picture_in_two_parts_is_an_error(root) -> None:
    table = rows("{i}.png,dog{i},train", "image,caption,split") + "0.png,more,test\n"
    with pytest.raises(
        InputError, match=r"path: expected each picture in one part, got 0\.png in train and test \(c\.csv\)"
    ):
        read(write(pictures(root), "c.csv", table))


def test_folders_that_say_parts_are_no_labels(root) -> None:
    pictures(
        root / "with a stray", ["stray.png", *(f"{p}/{c}/1.png" for p in ("train", "test") for c in ("cat", "dog"))]
    )
    with pytest.warns(UserWarning, match=r"in no folder whose name could be its text \(1\): stray\.png"):
        data = load(f"folder:{root / 'with a stray'}", side=16, features=None)
    assert data.label_names == ("cat", "dog") and [len(data.part(name)) for name in data.parts] == [2, 2, 2]
    root = root / "clean"
    data = read(
        pictures(root, (f"{p}/{c}/{i}.png" for p in ("train", "test") for i, c in enumerate(("cat", "dog") * 3)))
    )
    assert (
        data.label_names == ("cat", "dog")
        and set(data.texts) == {"cat", "dog"}
        and len(data.query) == len(data.train) == 6
    )
    data = read(pictures(root / "vehicles", (f"{c}/{i}.png" for i, c in enumerate(("train", "car", "boat") * 2))))
    assert data.label_names == ("boat", "car", "train") and data.report.split == ""


def test_hugging_faces_image_folder(root) -> None:
    for part, numbers in (("train", (0, 1, 2)), ("validation", (3,)), ("test", (4, 5))):
        pictures(root / part, (f"{i}.png" for i in numbers))
        for i in numbers:
            Image.new("RGB", (8, 8), (9 * i, 1, 2)).save(root / part / f"{i}.png")
        lines = "".join(json.dumps({"file_name": f"{i}.png", "text": f"a dog, word{i}"}) + "\n" for i in numbers)
        write(root, f"{part}/metadata.jsonl", lines)
    data = read(root)
    assert texts_of(data) == RIGHT and parts_of(data)["query"] == ["test/4.png", "test/5.png"]
    assert parts_of(data)["train"] == ["train/0.png", "train/1.png", "train/2.png"]


# What is left out.


def test_missing_pictures_and_texts_are_one_rule(root) -> None:
    table = rows("{i}.png,dog{i}", "image,caption").replace("3.png,dog3", "3.png,").replace("5.png", "none.png")
    write(pictures(root), "c.csv", table)
    (root / "0.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="4 skipped"):
        data = load(f"folder:{root}", side=16, features=None)
    assert data.details["files"] == ["1.png", "2.png", "4.png"] and sum(data.report.reasons().values()) == 4
    with pytest.raises(InputError) as raised:
        read(root, missing="error")
    message = str(raised.value)
    assert message.startswith("path: expected nothing to be left out of ") and "got 4; pass missing='skip'" in message
    assert all(name in message for name in ("0.png", "3.png (c.csv, line 5)", "none.png (c.csv, line 7)", "5.png"))
    with pytest.raises(InputError, match="missing: expected one of skip, error, got 'drop'"):
        read(root, missing="drop")


# What is an error.

BROKEN: dict[str, tuple[str, str | bytes | list | dict, str]] = {
    "an empty file": ("c.csv", "", r"c\.csv, which is empty"),
    "blank lines": ("c.csv", "\n \n\t\n", r"c\.csv, which is empty"),
    "sep= alone": ("c.csv", "sep=;\n", r"c\.csv, which is empty"),
    "zero bytes": (
        "c.csv",
        rows("{i}.png,dog", "image,caption").encode("utf-16-le"),
        r"encoding: expected c\.csv as utf-8, got zero",
    ),
    "another encoding": (
        "c.csv",
        "image,caption\n0.png,Bär\n".encode("latin-1"),
        r"encoding: expected c\.csv as utf-8, got a byte",
    ),
    "a torn quotation": (
        "c.csv",
        'image,caption\n0.png,"a dog, and\n1.png,b\n',
        r"goes wrong at line 3 \(unexpected end of data\)",
    ),
    "text after a quotation": ("c.csv", 'image,caption\n0.png,"a" dog, and\n', r"goes wrong at line 2"),
    "a quotation that takes in a row": (
        "c.csv",
        'image,caption\n0.png,"a, b"\n1.png,"open\n2.png,ends"\n',
        r"goes wrong at line 3 \(a quotation mark that opens there takes in the row '2\.png,ends'",
    ),
    "a heading twice": (
        "c.csv",
        rows("{i}.png,a,b", "image,caption,Caption"),
        r"each column once in c\.csv, got caption twice",
    ),
    "no column of pictures": ("c.csv", rows("x{i},dog", "thing,caption"), r"got 'thing,caption'"),
    "no column of captions": ("c.csv", rows("{i}.png,dog", "image,words"), r"no column of captions among image, words"),
    "captions in two languages": (
        "c.json",
        [{"image": f"{i}.png", "caption": {"en": "a", "de": "b"}} for i in range(N)],
        r"one column of captions in c\.json, got caption\.en, caption\.de; name the one to read",
    ),
    "two columns of captions": ("c.csv", rows("{i}.png,a,b", "image,en caption,de caption"), r"column='en caption'"),
    "captions apart from pictures": (
        "c.csv",
        "image,caption\nx.png,dog\n",
        r"expected at least 2 pictures with texts in .*, got 0",
    ),
    "prose": ("captions.txt", "Once there was a dog.\n", r"captions\.txt: expected a first line with the columns"),
    "captions by order": ("captions.txt", "a dog\n" * N, r"captions\.txt: expected a first line with the columns"),
    "torn JSON": ("c.json", '[{"image": "0.png"', r"texts: expected JSON in c\.json, which cannot be read"),
    "a web page": ("c.json", "<html></html>", r"texts: expected JSON in c\.json, which cannot be read"),
    "deep JSON": ("c.json", "[" * 100_000 + "]" * 100_000, r"texts: expected JSON in c\.json, which cannot be read"),
    "a number": ("c.json", "3", r"texts: expected a list or an object of pictures in c\.json, got int"),
    "an empty list": ("c.json", "[]", r"texts: expected a list or an object of pictures in c\.json, got list"),
    "a list of numbers": ("c.json", [1, 2], r"texts: expected a list or an object .*, got a list of int"),
    "an object of settings": ("c.json", {"lr": 0.1, "name": "x"}, r"a column or key of c\.json that names pictures"),
    "JSON without captions": (
        "c.json",
        [{"image": f"{i}.png", "w": 3} for i in range(N)],
        r"no column of captions among image, w",
    ),
    "captions that are numbers in lists": (
        "c.json",
        [{"image": f"{i}.png", "caption": [[1, 2]]} for i in range(N)],
        r"expected captions as texts in c\.json, got \[1, 2\]",
    ),
    "captions that are truths": (
        "c.json",
        [{"image": "0.png", "caption": True}],
        r"captions as texts in c\.json, got True",
    ),
    "objects without a caption": (
        "c.json",
        [{"image": "0.png", "caption": [{"w": 3}]}],
        r"expected captions in c\.json, got \{'w': 3\}",
    ),
    "a torn line of JSON": (
        "c.jsonl",
        '{"image": "0.png", "text": "a"}\n{"image"\n',
        r"JSON in line 2 of c\.jsonl, got '\{\"image\"'",
    ),
    "COCO without ids": (
        "c.json",
        {"images": [{"file_name": "0.png"}], "annotations": [{"image_id": 0, "caption": "a"}]},
        r"expected images with an id in c\.json",
    ),
    "COCO with a caption of another image": (
        "c.json",
        {"images": [{"id": 0, "file_name": "0.png"}], "annotations": [{"image_id": 9, "caption": "a"}]},
        r"expected annotations of images that c\.json lists",
    ),
    "COCO with an unknown category": (
        "c.json",
        {
            "images": [{"id": 0, "file_name": "0.png"}],
            "annotations": [{"image_id": 0, "category_id": 9}],
            "categories": [{"id": 1, "name": "dog"}],
        },
        r"expected categories that c\.json lists, got 9",
    ),
    "rows that are no lists": ("c.json", {"columns": ["image"], "data": [1]}, r"expected rows of 1 in c\.json, got 1"),
    "rows of two lengths": ("c.json", [["0.png", "a"], ["1.png"]], r"expected rows of 2 in c\.json, got \['1\.png'\]"),
    "a shortened array": ("c.csv", rows("{i}.png,dog,[0 1 ... 0]", "image,caption,labels"), r"which is shortened"),
    "arrays of two lengths": (
        "c.csv",
        rows("{i}.png,dog,[0 0 1]", "image,caption,labels") + "0.png,cat,[0 0 0 1]\n",
        r"a 0 or a 1 for every class in labels of c\.csv, got rows of 3 and 4",
    ),
    "a picture in two parts": (
        "c.csv",
        rows("{i}.png,dog,train", "image,caption,split") + "0.png,cat,test\n",
        r"each picture in one part, got 0\.png in train and test",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_table_gets_one_clear_error(root, kind) -> None:
    name, content, message = BROKEN[kind]
    write(pictures(root), name, content)
    with pytest.raises(InputError, match=f"(?s){message}"):
        read(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"captions": "last"}, "captions: expected one of joined, first, all, got 'last'"),
        ({"texts": "none.csv"}, r"a table in .*, got 'none\.csv'; tables there: c\.csv"),
        (
            {"texts": "words.parquet"},
            r"got 'words\.parquet', which is no table as text or JSON, or packed; tables there: c\.csv",
        ),
        ({"texts": "c.csv", "column": "words"}, r"expected a column text or caption in c\.csv, got image, caption"),
        ({"column": ""}, "column: expected a heading, got ''"),
        ({"column": "image"}, r"column: expected a column of c\.csv, got 'image'; it has caption"),
        ({"texts": "folders", "column": "x"}, "column: expected none for texts that are in no table, got 'x'"),
        ({"texts": ".tags"}, r"a table in .*, got '\.tags'"),
        ({"texts": "folders"}, r"expected at least 2 pictures with texts in .*, got 0"),
    ],
)
def test_bad_options(root, options, message) -> None:
    write(write(pictures(root), "c.csv", rows("{i}.png,dog{i}", "image,caption")), "words.parquet", b"PAR1")
    with pytest.raises(InputError, match=message):
        read(root, **options)


ANY: Callable[..., Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text("01.png aä", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["image", "caption", "images", "annotations", "id", "image_id", "0.png", "train"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(ANY)
def test_any_json_is_read_or_refused(tmp_path, value) -> None:
    """No value of JSON ends in anything but a table or the one error."""
    path = tmp_path / "c.json"
    path.write_text(json.dumps(value))
    names = PictureNames([f"{i}.png" for i in range(N)], [".png"])
    try:
        table = read_table(path, "c.json", "utf-8", lambda cell: names.find(cell)[0] is not None, has_headings)
        understood(table, "c.json", names)
    except InputError:
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text('01.png,;|\t\n"\\ aimgecapton#', max_size=80))
def test_any_text_is_read_or_refused(tmp_path, text) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    names = PictureNames([f"{i}.png" for i in range(N)], [".png"])
    try:
        table = read_table(path, "c.csv", "utf-8", lambda cell: names.find(cell)[0] is not None, has_headings)
        understood(table, "c.csv", names)
    except InputError:
        pass
