"""Your own pictures: what a folder can hold, right and wrong, and the split that follows from content."""

from __future__ import annotations

import csv
import struct
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import cmhkit as ck
from cmhkit.data import folder as module
from cmhkit.data import load
from cmhkit.data.folder import FolderReport, load_folder, read_photo, read_photos
from cmhkit.data.large import LargePictures
from cmhkit.support.checks import InputError

SIDE = 16


@pytest.fixture(autouse=True)
def _own_cache(own_cache):
    """Nothing is known of any picture."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "my pictures"
    path.mkdir()
    return path


def picture(path: Path, seed: int = 0, size=(20, 12), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path, **options)
    return path


def pairs(root: Path, n: int = 6, ending: str = "png") -> Path:
    """n pictures with a .txt beside each."""
    for k in range(n):
        picture(root / f"p{k}.{ending}", k)
        (root / f"p{k}.txt").write_text(f"dog number{k}")
    return root


def table(root: Path, lines: list[str], name: str = "captions.csv", encoding: str = "utf-8") -> Path:
    (root / name).write_bytes("\n".join(lines).encode(encoding))
    return root


def read(root: Path, **options):
    """A folder that is read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_folder(root, **{"side": SIDE, "features": None, **options})


def read_some(root: Path, **options):
    """A folder of which some is skipped: the warning is part of it."""
    with pytest.warns(UserWarning, match="skipped; data.report says more"):
        return load_folder(root, **{"side": SIDE, "features": None, **options})


def files(data) -> list[str]:
    return data.details["files"]


# Where texts and labels come from.


def test_texts_beside_the_pictures(root) -> None:
    pairs(root, 5)
    picture(root / "sub" / "q.jpg", 9)
    (root / "sub" / "q.jpg.txt").write_text("cat, sofa\n")
    data = read(root)
    assert files(data) == ["p0.png", "p1.png", "p2.png", "p3.png", "p4.png", "sub/q.jpg"]
    assert data.texts == [f"dog number{k}" for k in range(5)] + ["cat, sofa"]
    assert data.images.shape == (6, SIDE, SIDE, 3) and data.images.dtype == np.uint8
    assert data.labels is None and data.label_names == (), "one folder inside says nothing about the others"
    assert data.name == "folder:my pictures" and data.backbone is None and len(data.ids) == 6
    assert data.report.texts == "the .txt file beside each picture" and data.report.skipped == ()


def test_folders_that_hold_the_pictures_are_labels(root) -> None:
    for k in range(6):
        where = root / ("cats", "dogs", "dogs/small")[k % 3]
        picture(where / f"{k}.png", k)
        (where / f"{k}.txt").write_text("a pet")
    data = read(root)
    assert data.label_names == ("cats", "dogs", "dogs/small")
    assert [data.label_names[row.argmax()] for row in data.labels] == [file.rpartition("/")[0] for file in files(data)]
    assert (data.labels.sum(axis=1) == 1).all() and data.report.labels == "3 (cats, dogs, dogs/small)"


def test_names_of_folders_are_texts_where_there_are_no_others(root) -> None:
    for k in range(6):
        picture(root / ("red_fox", "snow-owl/night")[k % 2] / f"{k}.png", k)
    data = read(root)
    assert set(data.texts) == {"red fox", "snow owl night"} and data.label_names == ("red_fox", "snow-owl/night")
    assert data.report.texts == "the names of the folders"
    picture(root / "alone.png", 9)
    assert read_some(root).report.skipped == (("alone.png", "in no folder whose name could be its text"),)


@pytest.mark.parametrize(("delimiter", "said"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_with_any_delimiter_and_byte_order_mark(root, delimiter, said, encoding) -> None:
    for k in range(4):
        picture(root / f"{k}.png", k)
    lines = [
        delimiter.join(row)
        for row in (
            ["Labels", " FILE ", "text", "more"],
            *([f"a/b{k % 2}", f"{k}.png", f"Hund {k} ä", "x"] for k in range(4)),
        )
    ]
    data = read(table(root, lines, encoding=encoding))
    assert data.texts == [f"Hund {k} ä" for k in range(4)] and data.label_names == ("a/b0", "a/b1")
    assert data.labels.tolist() == [[1, 0], [0, 1]] * 2
    assert data.report.texts == f"captions.csv, with {said} between the columns"


def test_a_table_with_quotes_lines_and_several_labels(root) -> None:
    for k in range(3):
        picture(root / "in" / f"{k}.png", k)
    with (root / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["file", "text", "labels"],
                ["in\\0.png", 'a "big", dog\nin two lines', "dog; sky"],
                ["./in/1.png", "b", "sky|"],
                ["in/2.png", "c", ""],
            ]
        )
    data = read(root)
    assert data.texts[0] == 'a "big", dog\nin two lines' and data.label_names == ("dog", "sky")
    assert data.labels.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_rows_of_one_file_become_one_pair(root) -> None:
    for k in range(3):
        picture(root / f"{k}.png", k)
    lines = ["file,text,labels", "0.png,one,a", "0.png,two,b", "0.png,one,a", "1.png,three,a", "2.png,four,b"]
    data = read(table(root, lines))
    assert data.texts == ["one\ntwo", "three", "four"] and data.labels.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert data.report.captions == "4, 1 to 2 a picture; captions='joined'" and data.report.notes == ()


def test_what_a_table_and_a_folder_disagree_on_is_listed(root) -> None:
    for k in range(5):
        picture(root / f"{k}.png", k)
    data = read_some(
        table(
            root,
            [
                "file,text",
                "0.png,one",
                "none.png,two",
                "../0.png,three",
                "1.png,",
                "2.png,a dog,a cat",
                "3.png,four, and a half",
                ",five",
            ],
        )
    )
    assert files(data) == ["0.png", "3.png"]
    assert set(data.report.skipped) == {
        ("none.png (captions.csv, line 3)", "in the table, but no picture of the folder"),
        ("../0.png (captions.csv, line 4)", "in the table, but no picture of the folder"),
        ("1.png (captions.csv, line 5)", "empty text"),
        ("captions.csv, line 6", "another number of fields than the 2 of the first line"),
        ("(no name) (captions.csv, line 8)", "in the table, but no picture of the folder"),
        ("2.png", "not in the table"),
        ("4.png", "not in the table"),
    }


def test_the_source_can_be_named(root) -> None:
    pairs(root, 4)
    table(
        table(root, ["file,text", *(f"p{k}.png,one" for k in range(4))], "a.csv"),
        ["file\ttext", *(f"p{k}.png\ttwo" for k in range(4))],
        "b.tsv",
    )
    with pytest.raises(InputError, match=r"texts: expected one table in .*, got a\.csv, b\.tsv; pass the name of one"):
        read(root)
    assert read(root, texts="b.tsv").texts == ["two"] * 4
    assert read(root, texts="sidecar").texts[3] == "dog number3"
    with pytest.raises(
        InputError,
        match=r"texts: expected 'auto', 'sidecar', 'folders' or a table in .*, got 'c\.csv'; "
        r"tables there: a\.csv, b\.tsv",
    ):
        read(root, texts="c.csv")


def test_chinese_captions(root) -> None:
    for k, text in enumerate(("一只大熊猫在吃竹子", "熊猫宝宝", "一只猫在睡觉", "竹子")):
        picture(root / f"图 片{k}.png", k)
        (root / f"图 片{k}.txt").write_bytes(text.encode("gb18030"))
    data = read(root, encoding="gb18030", train=1.0)
    assert data.texts[1] == "熊猫宝宝" and files(data)[0] == "图 片0.png"
    words = set(data.vocabulary.words)
    for text, row in zip(data.texts, data.text_vectors, strict=True):
        assert {w for w, x in zip(data.vocabulary.words, row, strict=True) if x} == {
            t for t in module.tokens(text)
        } & words
    assert any(len(word) == 2 for word in words)


def test_names_match_in_any_form_of_unicode(root) -> None:
    for k in range(3):
        picture(root / unicodedata.normalize("NFD", f"é{k}.png"), k)
    data = read(table(root, ["file,text", *(unicodedata.normalize("NFC", f"é{k}.png,x") for k in range(3))]))
    assert files(data) == [unicodedata.normalize("NFC", f"é{k}.png") for k in range(3)]


def test_hidden_files_and_others_are_left_alone(root) -> None:
    pairs(root, 3)
    for name in (".hidden.png", "._p0.png", ".git/a.png", "__MACOSX/p1.png"):
        picture(root / name, 5)
    (root / "notes.pdf").write_bytes(b"x")
    (root / "captions.json").write_bytes(b"{}")
    data = read(root)
    assert len(data) == 3 and data.report.other_files == 1
    assert len(data.report.unread) == 1 and data.report.unread[0].startswith("captions.json (expected a list or")


def test_pictures_that_pillow_leaves_to_others_are_listed(root) -> None:
    pairs(root, 3)
    for name in ("phone.HEIC", "drawing.svg", "print.eps"):
        (root / name).write_bytes(b"x")
    (root / "lost.png").symlink_to(root / "none.png")
    (root / "folder.png").mkdir()
    data = read_some(root)
    assert len(data) == 3
    assert dict(data.report.skipped) == {
        **dict.fromkeys(("drawing.svg", "phone.HEIC", "print.eps"), "a format that Pillow does not read by itself"),
        "lost.png": "no file, or a link to none",
    }


# Pictures.


def values(path: Path, **options) -> np.ndarray:
    return read_photo(path, 8, **options)[0]


def test_a_letterbox_keeps_the_whole_picture_and_a_crop_its_middle(tmp_path) -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, :2], wide[:, 2:6], wide[:, 6:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(wide).resize((64, 32), Image.Resampling.NEAREST).save(tmp_path / "w.png")
    boxed, cut = read_photo(tmp_path / "w.png", 64, "letterbox")[0], read_photo(tmp_path / "w.png", 32, "crop")[0]
    assert (boxed[:16] == 127).all() and (boxed[48:] == 127).all()
    assert (boxed[16:48] == np.asarray(Image.open(tmp_path / "w.png"))).all()
    assert (cut == (0, 255, 0)).all()
    tall = Image.fromarray(wide).transpose(Image.Transpose.ROTATE_90)
    tall.save(tmp_path / "t.png")
    assert values(tmp_path / "t.png")[0, :2].tolist() == [[127] * 3] * 2 and values(
        tmp_path / "t.png", resize="crop"
    ).shape == (8, 8, 3)
    Image.new("RGB", (500, 1), "red").save(tmp_path / "thin.png")
    assert (values(tmp_path / "thin.png") == (255, 0, 0)).all(axis=2).sum() == 8, "no side vanishes"


def test_a_picture_is_turned_as_its_exif_data_say(tmp_path) -> None:
    image = Image.new("RGB", (8, 8), "black")
    image.paste("white", (0, 0, 8, 4))  # the upper half is white
    for orientation, white in ((1, np.s_[:3]), (3, np.s_[5:]), (6, np.s_[:, 5:]), (8, np.s_[:, :3])):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "o.png", exif=exif)
        found = values(tmp_path / "o.png")
        assert (found[white] == 255).all() and found.sum() == 8 * 4 * 3 * 255


def test_modes_of_all_kinds(tmp_path) -> None:
    def kept(image: Image.Image, ending: str = "png", **options) -> np.ndarray:
        path = tmp_path / f"m.{ending}"
        image.save(path, **options)
        return values(path)

    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    assert (kept(Image.fromarray(grey)) == rgb).all(), "greyscale"
    assert (kept(Image.fromarray(grey.astype(np.uint16) * 257)) == rgb).all(), "16 bits"
    assert (kept(Image.fromarray(grey.astype(np.uint16) * 257), "tiff") == rgb).all()
    assert (kept(Image.fromarray(grey.astype(np.int32) * 257), "tiff") == rgb).all(), "32 bits that hold 16"
    unit = (grey / 252.0).astype(np.float32)
    assert (kept(Image.fromarray(unit), "tiff") == np.round(255 * unit)[:, :, None]).all(), "floating point"
    assert (kept(Image.fromarray(grey > 100)) == np.where(grey > 100, 255, 0)[:, :, None]).all(), "one bit"
    clear = np.dstack([rgb, np.where(grey > 100, 255, 0).astype(np.uint8)])
    over_white = np.where((grey > 100)[:, :, None], rgb, 255)
    assert (kept(Image.fromarray(clear)) == over_white).all(), "alpha"
    half = Image.merge("LA", [Image.new("L", (8, 8), 0), Image.new("L", (8, 8), 51)])
    assert (kept(half) == 204).all(), "a fifth of black over white"
    palette = Image.fromarray(grey).convert("P")
    palette.info["transparency"] = 0
    white_at_0 = rgb.copy()
    white_at_0[grey == 0] = 255
    assert (kept(palette, transparency=0) == white_at_0).all(), "a palette with one colour transparent"
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow: red
    red = kept(inks, "jpg", quality=100).astype(int)
    assert red[:, :, 0].min() > 200 and red[:, :, 1:].max() < 60, "CMYK"


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tiff"])
def test_of_an_animation_the_first_picture_counts(tmp_path, ending) -> None:
    first, second = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    first.save(tmp_path / f"a.{ending}", save_all=True, append_images=[second])
    found, remark = read_photo(tmp_path / f"a.{ending}", 8)
    assert found.min() > 250 and remark == "several pictures in one file, of which the first was taken"
    first.save(tmp_path / f"b.{ending}")
    assert read_photo(tmp_path / f"b.{ending}", 8)[1] == ""


def bomb(path: Path, side: int) -> None:
    """A PNG of a few bytes that says it has side by side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def test_what_cannot_be_read_is_listed_and_not_fatal(root) -> None:
    pairs(root, 4)
    whole = picture(root / "cut.jpg", 7, (400, 300)).read_bytes()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "empty.png").write_bytes(b"")
    (root / "text.jpg").write_text("no picture")
    bomb(root / "bomb.png", 20_000)
    bomb(root / "fuse.png", 10_000)  # of which Pillow only warns
    png = picture(root / "bits.png", 8, (60, 60)).read_bytes()
    (root / "bits.png").write_bytes(png[:60] + b"\xff" * 40 + png[100:])
    Image.new("RGB", (100, 60)).save(root / "script.eps")
    (root / "script.eps").rename(root / "script.png")
    for name in ("cut", "empty", "text", "bomb", "fuse", "bits", "script"):
        (root / f"{name}.txt").write_text("a dog")
    picture(root / "untold.png", 9)
    picture(root / "mute.png", 10)
    (root / "mute.txt").write_text(" \n")
    picture(root / "latin.png", 11)
    (root / "latin.txt").write_bytes("Bär".encode("latin-1"))
    with pytest.warns(UserWarning) as caught:
        data = load_folder(root, side=SIDE, features=None)
    reasons = dict(data.report.skipped)
    assert files(data) == ["p0.png", "p1.png", "p2.png", "p3.png"]
    assert reasons.pop("bits.png").startswith("broken (")
    assert reasons == {
        "cut.jpg": "cut off",
        "empty.png": "empty file",
        "text.jpg": "no picture that Pillow knows",
        "script.png": "no picture that Pillow knows",
        "bomb.png": "more than 89 million pixels, Pillow's limit",
        "fuse.png": "more than 89 million pixels, Pillow's limit",
        "untold.png": "no .txt file beside it",
        "mute.png": "empty text",
        "latin.png": "its .txt file is not utf-8",
    }
    assert len(caught) == 1 and "10 skipped" in str(caught[0].message) and caught[0].filename == __file__
    assert sum(data.report.reasons().values()) == 10
    assert dict(read_some(root).report.skipped) == reasons | {"bits.png": dict(data.report.skipped)["bits.png"]}, (
        "the cache knows why"
    )
    assert (data.images == np.stack([read_photo(root / file, SIDE)[0] for file in files(data)])).all()


def test_a_picture_that_may_not_be_opened(root, monkeypatch) -> None:
    pairs(root, 3)
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self.name == "p1.png":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert read_some(root).report.skipped == (("p1.png", "cannot be opened (Permission denied)"),)


def test_pictures_are_resized_once(root, monkeypatch) -> None:
    pairs(root, 4)
    first = read(root)
    (root / "p0.png").rename(root / "another name.png")
    (root / "p0.txt").rename(root / "another name.txt")
    monkeypatch.setattr(module, "read_photo", lambda *_: pytest.fail("the cache has it"))
    again = read(root)
    assert sorted(map(bytes, again.images)) == sorted(map(bytes, first.images))
    with pytest.raises(pytest.fail.Exception):
        read(root, resize="crop")


def test_many_pictures_stay_in_their_file(root, monkeypatch) -> None:
    pairs(root, 6)
    held = read(root)
    monkeypatch.setattr(module, "_IN_MEMORY", 100)
    data = read(root)
    assert isinstance(held.images, np.ndarray) and isinstance(data.images, LargePictures)
    assert np.array_equal(np.asarray(data.images), held.images) and np.array_equal(
        data.query.images[:], held.query.images
    )
    hasher = ck.CCA(bits=8).fit(read(root, features="scenenet"))
    assert np.array_equal(hasher.encode(images=data.query), hasher.encode(images=held.query))


def test_decoding_holds_one_picture_at_a_time(root, monkeypatch) -> None:
    """Memory of the whole set would be 40 times a picture; it is asked for one by one."""
    import tracemalloc

    pairs(root, 40)
    monkeypatch.setattr(module, "_IN_MEMORY", 0)
    read(root)  # what is imported once
    tracemalloc.start()
    read(root, side=512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 512 * 512 * 3


# The split.


def test_a_part_follows_from_content(root, tmp_path) -> None:
    pairs(root, 30)
    data = read(root, query=0.3, train=0.5)
    part = {file: name for name in ("train", "query") for file in np.array(files(data))[data.parts[name]]}
    other = tmp_path / "other"
    for k in range(30):
        (other / f"x{29 - k}.png").parent.mkdir(exist_ok=True)
        (other / f"x{29 - k}.png").write_bytes((root / f"p{k}.png").read_bytes())
        (other / f"x{29 - k}.txt").write_text("something else")
    for k in range(30, 50):
        picture(other / f"x{k}.png", k)
        (other / f"x{k}.txt").write_text("new")
    more = read(other, query=0.3, train=0.5)
    found = {file: name for name in ("train", "query") for file in np.array(files(more))[more.parts[name]]}
    assert all(found.get(f"x{29 - k}.png") == part.get(f"p{k}.png") for k in range(30)), (
        "neither name nor company matters"
    )


def test_a_broken_picture_moves_no_other_to_another_part(root) -> None:
    def parts(data) -> dict[str, set[str]]:
        return {name: {files(data)[i] for i in data.parts[name]} for name in data.parts}

    whole = parts(read(pairs(root, 30), query=0.3, train=0.5))
    (root / "a.png").write_bytes(b"no picture")  # the first of all
    (root / "a.txt").write_text("broken")
    assert parts(read_some(root, query=0.3, train=0.5)) == whole


def test_equal_pictures_are_never_in_two_parts(root) -> None:
    for k in range(20):
        picture(root / f"a{k}.png", k % 5)
        (root / f"a{k}.txt").write_text(f"text {k}")
    data = read(root, query=0.5, train=0.5)
    parts = {name: {bytes(image) for image in data.part(name).images} for name in ("query", "retrieval")}
    assert not parts["query"] & parts["retrieval"] and len(data.query) % 4 == len(data.train) % 4 == 0


@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=60, unique=True),
    st.floats(0.01, 0.99),
    st.floats(0.01, 1),
)
def test_every_part_has_a_pair_and_no_query_is_learned_from(contents, query, train) -> None:
    parts = module._parts(contents, query, train)
    assert all(len(part) for part in parts.values())
    assert sorted([*parts["query"], *parts["retrieval"]]) == list(range(len(contents)))
    assert set(parts["train"]) <= set(parts["retrieval"])
    if train == 1:
        assert np.array_equal(parts["train"], parts["retrieval"])


def test_shares_are_met_on_average() -> None:
    parts = module._parts([str(k).encode() for k in range(20_000)], 0.1, 0.5)
    assert abs(len(parts["query"]) - 2000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert abs(len(parts["train"]) / len(parts["retrieval"]) - 0.5) < 5 * (0.25 / 18_000) ** 0.5


def test_the_vocabulary_is_the_training_texts_alone(root) -> None:
    pairs(root, 30)
    data = read(root, query=0.3, vocabulary=500)
    asked = {f"number{file[1:-4]}" for file in np.array(files(data))[data.parts["query"]]}
    assert asked and not asked & set(data.vocabulary.words) and "dog" in data.vocabulary.words
    assert read(root, vocabulary=3).text_vectors.shape == (30, 3)
    assert data.report.words == len(data.vocabulary)


# The way through the rest of the kit.


def test_load_by_name(root) -> None:
    pairs(root, 4)
    data = load(f"folder:{root}", side=SIDE, features="scenenet")
    assert data.backbone == "scenenet" and len(data) == 4
    with pytest.raises(InputError, match=r"sides: not an option of '?folder'?; expected one of texts, side, resize"):
        load(f"folder:{root}", sides=3)


@pytest.mark.filterwarnings("ignore::cmhkit.codes.CollapseWarning")
def test_a_hasher_learns_from_a_folder(root, tmp_path) -> None:
    for k in range(40):
        picture(root / ("dark", "light")[k % 2] / f"{k}.png", k)
        image = Image.new("RGB", (20, 20), ((20 + k, 0, 60), (250 - k, 250, 240))[k % 2])
        image.save(root / ("dark", "light")[k % 2] / f"{k}.png")
    data = read(root, query=0.3, features="scenenet")
    hasher = ck.CCA(bits=8).fit(data)
    assert hasher.backbone_ == "scenenet" and hasher.evaluate(data).map_i2t > 0.9
    loaded = ck.load(hasher.save(tmp_path / "h.safetensors"))
    assert np.array_equal(loaded.encode(images=data.images[:3]), hasher.encode(images=data.images[:3]))
    assert np.array_equal(loaded.encode(texts=["dark"]), hasher.encode(texts=["dark"]))


def test_new_files_come_in_the_same_form(root) -> None:
    data = read(pairs(root, 4), resize="crop")
    assert np.array_equal(read_photos([root / file for file in files(data)], SIDE, "crop"), data.images)
    assert read_photos([str(root / "p0.png")]).shape == (1, 224, 224, 3)
    (root / "empty.png").write_bytes(b"")
    for new, message in (
        (str(root / "p0.png"), r"files: expected a list of files, got one path; write \['.*p0\.png'\]"),
        ([root / "none.png"], r"files: expected pictures, got .*none\.png, which is not there"),
        ([root / "p0.png", root / "empty.png"], r"files: expected pictures, got .*empty\.png: empty file"),
    ):
        with pytest.raises(InputError, match=message):
            read_photos(new)


def test_a_missing_extra_is_said_before_anything_is_read(root, monkeypatch) -> None:
    from cmhkit.data import photos

    pairs(root, 3)
    monkeypatch.setattr(photos, "PACKAGE", "no_such_package")
    monkeypatch.setattr(module, "_scan", lambda *_: pytest.fail("too late"))
    with pytest.raises(
        InputError,
        match=r"features: EfficientNet-Lite0: expected the package no-such-package.*; "
        r"or pass features='scenenet' or None",
    ):
        load_folder(root)


def test_a_report_prints(root) -> None:
    report = FolderReport(
        "x",
        3,
        "t",
        "none",
        skipped=tuple((f"{k}.png", "empty file") for k in range(7)),
        notes=(("a.gif", "note"),),
        parts={"query": 1},
        words=4,
    )
    said = repr(report)
    assert str(report) == said and "x: 3 pairs (query 1)" in said
    assert (
        "skipped: 7\n  empty file (7): 0.png, 1.png, 2.png, 3.png, 4.png and 2 more" in said
        and "remarks: 1\n  note (1): a.gif" in said
    )


# What is an error.


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["dog,a dog", "cat,a cat"],
            r"texts: expected a first line with the columns file, text .* in captions\.csv, got 'dog,a dog'",
        ),
        (["file:text", "0.png:a dog"], r"texts: expected a first line with the columns file, text .*, got 'file:text'"),
        (["file,words", "0.png,a dog"], r"no column of captions among file, words"),
        (["file,text,file", "0.png,a,b"], r"texts: expected each column once in captions\.csv, got file twice"),
        (["", "  "], r"texts: expected a table with the columns file and text, got captions\.csv, which is empty"),
        (
            ["file,text", '0.png,"a dog, and', "1.png,b"],
            r"texts: expected a table, got captions\.csv, which goes wrong at line 3 \(unexpected end of data\)",
        ),
        (["file,text", '0.png,"a" dog, and'], r"which goes wrong at line 2 \("),
        (
            ["file,text"],
            r"path: expected at least 2 pictures with texts in .*, got 0\n"
            r"  not in the table \(3\): 0\.png, 1\.png, 2\.png",
        ),
        (
            ["file,text", "0.png,a"],
            r"path: expected at least 2 pictures with texts in .*, got 1\n  not in the table \(2\): 1\.png, 2\.png",
        ),
        (["file,text", "0.png,!", "1.png,?"], r"path: expected texts with words in .*, got none in 2 texts"),
    ],
)
def test_bad_tables(root, lines, message) -> None:
    for k in range(3):
        picture(root / f"{k}.png", k)
    with pytest.raises(InputError, match=message):
        read(table(root, lines))


def test_a_table_in_another_encoding(root) -> None:
    for k in range(3):
        picture(root / f"{k}.png", k)
    table(root, ["file,text", "0.png,Bär", "1.png,x"], encoding="latin-1")
    with pytest.raises(
        InputError,
        match=r"encoding: expected captions\.csv as utf-8, got a byte that is none at 17; pass the encoding it is in",
    ):
        read(root)
    assert read_some(root, encoding="latin-1").texts[0] == "Bär"


def test_bad_folders(root, tmp_path) -> None:
    def refused(message: str, path: object = root, **options) -> None:
        with pytest.raises(InputError, match=message):
            read(path, **options)

    refused("path: expected a folder, got int", 5)
    refused(r"path: expected a folder of pictures, got .*none, which is not there", tmp_path / "none")
    (tmp_path / "file").write_text("")
    refused(r"path: expected a folder of pictures, got .*file, which is a file", tmp_path / "file")
    refused("path: expected at least one picture in .*my pictures, got 0 other files")
    (root / "a.txt").write_text("x")
    refused("path: expected at least one picture in .*my pictures, got 1 other files")
    picture(root / "b.png")
    picture(root / "c.png")
    refused(r"texts: expected texts in .*, got files that may hold them .*:\n  a\.txt: expected a first line", root)
    (root / "a.txt").unlink()
    refused(r"path: expected texts in .*: a \.txt beside each picture, a table \(\.csv or \.tsv\)", root)
    (root / "b.txt").write_text("x")
    (root / "c.txt").write_text("x")
    refused("path: expected at least 2 different pictures in .*, got the same one 2 times")
    (root / "c.png").write_bytes(b"")
    refused("path: expected at least 2 pictures with texts in .*, got 1\n  empty file \\(1\\): c.png")
    (root / "b.png").write_bytes(b"")
    refused("path: expected at least 2 pictures with texts in .*, got 0\n  empty file \\(2\\): b.png, c.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 5}, "side: expected a whole number from 16 to 1024, got 5"),
        ({"resize": "squash"}, "resize: expected one of letterbox, crop, got 'squash'"),
        ({"features": "resnet"}, "features: expected one of 'efficientnet-lite0', 'scenenet', None, got 'resnet'"),
        ({"query": 1.0}, "query: expected a share above 0 and below 1, got 1.0"),
        ({"query": True}, "query: expected a share above 0 and below 1, got True"),
        ({"train": 0}, "train: expected a share above 0 and up to 1, got 0"),
        ({"train": float("nan")}, "train: expected a share above 0 and up to 1, got nan"),
        ({"vocabulary": 0}, "vocabulary: expected a whole number of at least 1, got 0"),
        (
            {"encoding": "utf-9"},
            "encoding: expected a name that Python knows, such as 'utf-8' or 'gb18030', got 'utf-9'",
        ),
        ({"texts": 3}, 'texts: expected "auto", "sidecar", "folders" or the name of a table, got int'),
    ],
)
def test_bad_options(root, options, message) -> None:
    with pytest.raises(InputError, match=message):
        read(pairs(root, 3), **options)
