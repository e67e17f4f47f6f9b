"""Equal pictures stand on one side of a split, and nearly equal ones are counted."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from field_files import hdf5, mirflickr_folder, truth, v5, v73
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, PngImagePlugin

import cmhkit as ck
from cmhkit.data import repeats
from cmhkit.data.field.protocols import fixed_split
from cmhkit.data.folder import load_folder
from cmhkit.data.large import LargePictures, NpyPictures
from cmhkit.support.checks import InputError

QUIET = {"features": None, "show_progress": False}


@pytest.fixture(autouse=True)
def _own_cache(own_cache):
    """Nothing is known of any picture."""


def sides(data) -> tuple[set[bytes], set[bytes]]:
    """The pictures of the queries, and those of all other pairs."""
    others = np.union1d(data.parts["retrieval"], data.parts["train"])
    others = np.setdiff1d(others, data.parts["query"])
    return tuple(
        {np.asarray(data.images[int(row)]).tobytes() for row in rows} for rows in (data.parts["query"], others)
    )


def check_apart(data) -> None:
    query, others = sides(data)
    assert query and others and not query & others


def photo(seed: int, side: int = 96) -> Image.Image:
    """A picture with structure: coarse random colours, made smooth."""
    values = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC)


# Content and groups.


def test_rows_of_the_same_content_have_the_same_checksum(tmp_path: Path) -> None:
    x = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    first, second, third = repeats.digests(x)
    assert first == second != third
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pictures)
    assert repeats.digests(LargePictures(NpyPictures(tmp_path / "x.npy"))) == repeats.digests(pictures)
    assert len(set(repeats.digests(["a", "b", "a"], ["", "", ""]))) == 2
    assert len(set(repeats.digests(["ab", "a"], ["c", "bc"]))) == 2, "texts do not run into each other"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_rows_that_share_a_key_are_in_one_group(keys: list[tuple[int, int]]) -> None:
    group = repeats.groups(*map(list, zip(*keys, strict=True)))
    assert (group[group] == group).all() and (group <= np.arange(len(group))).all()
    together = {i: {i} for i in range(len(keys))}  # by hand: sets grow together until nothing changes
    for _ in keys:
        for i, a in enumerate(keys):
            for j, b in enumerate(keys):
                if a[0] == b[0] or a[1] == b[1]:
                    together[i] = together[j] = together[i] | together[j]
    assert group.tolist() == [min(together[i]) for i in range(len(keys))]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40).filter(lambda x: len(set(x)) > 1), st.data())
def test_no_group_is_cut_and_as_many_queries_as_fit(values: list[int], data) -> None:
    group, n = repeats.groups(values), len(values)
    order = np.array(data.draw(st.permutations(range(n))))
    most = data.draw(st.integers(1, n - 1))
    taken = repeats.kept_together(order, group, np.ones(n, dtype=bool), most)
    inside = set(group[taken].tolist())
    assert 0 < len(taken) < n and sorted(taken) == np.flatnonzero(np.isin(group, list(inside))).tolist()
    sizes = np.bincount(group)
    smallest_left = min((sizes[g] for g in set(group.tolist()) - inside), default=n)
    assert len(taken) + smallest_left > most or len(inside) == len(set(group.tolist())) - 1 or len(taken) <= most
    if len(set(values)) == n:
        assert taken.tolist() == order[:most].tolist(), "without repeats the first so many"


def test_a_split_without_repeats_is_drawn_as_before() -> None:
    ids, rng = np.arange(40), np.random.default_rng([3, 7])
    parts = fixed_split("x", ids, query=7, train=11, seed=3, group=np.arange(40))
    order = rng.permutation(40)
    assert parts["query"].tolist() == sorted(order[:7]) and parts["train"].tolist() == sorted(order[7:18])
    again = fixed_split("x", ids, query=7, train=11, seed=3)
    assert all(np.array_equal(parts[part], again[part]) for part in parts)


@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=40).filter(lambda x: len(set(x)) > 1),
    st.booleans(),
    st.integers(0, 3),
    st.data(),
)
def test_a_drawn_split_cuts_no_group(values: list[int], own_pair: bool, seed: int, data) -> None:
    group, n = repeats.groups(values), len(values)
    query = data.draw(st.integers(1, n - 1))
    train = data.draw(st.one_of(st.none(), st.integers(1, n - query)))
    parts = fixed_split("x", np.arange(n), query=query, train=train, seed=seed, own_pair=own_pair, group=group)
    others = np.setdiff1d(np.arange(n), parts["query"])
    assert not set(group[parts["query"]]) & set(group[others]) and not set(group[parts["query"]]) & set(
        group[parts["train"]]
    )
    assert parts["retrieval"].tolist() == (list(range(n)) if own_pair else others.tolist())
    assert len(parts["train"]) == min(len(others), len(others) if train is None else train) > 0
    assert set(parts["train"]) <= set(others)


def test_queries_are_drawn_from_whole_groups_that_may_ask() -> None:
    group = repeats.groups([0, 0, 1, 2, 3, 3])
    allowed = np.array([True, False, True, True, False, False])
    parts = fixed_split("x", np.arange(6), query=2, train=None, query_from=allowed, group=group)
    assert parts["query"].tolist() == [2, 3]
    with pytest.raises(
        InputError, match="query: expected a picture that occurs among the pairs that queries are drawn"
    ):
        fixed_split("y", np.arange(6), query=1, train=None, query_from=np.arange(6) == 0, group=group)
    with pytest.raises(InputError, match="query: expected at least 2 different pictures, got the same 6 times"):
        fixed_split("z", np.arange(6), query=1, train=None, group=np.zeros(6, dtype=np.int64))


# Readers.


@pytest.mark.parametrize("times", [2, 5])
@pytest.mark.parametrize("texts", ["the same texts", "other texts"])
@pytest.mark.parametrize("kind", ["features", "pixels in v5", "pixels in v7.3", "HDF5"])
def test_files_without_a_split_keep_equal_pictures_together(tmp_path: Path, kind: str, texts: str, times: int) -> None:
    kept = {key: np.concatenate([array] * times) for key, array in truth(20).items()}
    if texts == "other texts":
        kept["texts"] = kept["texts"] + np.arange(len(kept["texts"]))[:, None]
    path = tmp_path / "set.mat"
    if kind == "features":
        v5(path, IAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    elif kind == "pixels in v5":
        v5(path, images=kept["pictures"].transpose(1, 2, 3, 0), YAll=kept["texts"], LAll=kept["labels"])
    elif kind == "pixels in v7.3":
        v73(path, images=kept["pictures"].transpose(0, 3, 2, 1), YAll=kept["texts"].T, LAll=kept["labels"].T)
    else:
        path = hdf5(tmp_path / "set.h5py", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    for seed in range(3):
        data = ck.data.load(f"mat:{path}", query=2 * times, train=5 * times, seed=seed, **QUIET)
        check_apart(data)
        assert len(data.query) == 2 * times and len(data.train) == 5 * times
        (line,) = [line for line in data.details["notes"] if "occur in several pairs" in line]
        said = f"20 pictures occur in several pairs, {20 * times} in all"
        assert line.startswith(said + (", 20 of them with different texts: " if texts == "other texts" else ": "))


def test_a_makers_folder_keeps_copies_together(tmp_path: Path) -> None:
    folder = mirflickr_folder(tmp_path)
    for number in range(16, 31):  # each a copy of another, with tags of its own
        (folder / "mirflickr" / f"im{number}.jpg").write_bytes(
            (folder / "mirflickr" / f"im{number - 15}.jpg").read_bytes()
        )
    for seed in range(4):
        data = ck.data.load(f"mirflickr:{folder}", least=8, query=6, train=10, resolution=16, seed=seed, **QUIET)
        check_apart(data)
        assert any("occur in several pairs" in line for line in data.details["notes"])


def test_what_leaks_in_a_split_of_the_file_is_said_and_left(tmp_path: Path) -> None:
    kept = truth()
    arrays = {f"{letter}_{part}": kept[role][rows]
        for letter, role in (("I", "features"), ("T", "texts"), ("L", "labels"))
        for part, rows in (("tr", slice(0, 8)), ("te", slice(8, 12)))}  # fmt: skip
    arrays["I_te"] = np.concatenate([arrays["I_tr"][2:3], arrays["I_te"][1:]])  # the same picture, another text
    file = v5(tmp_path / "wikiData.mat", **arrays)
    with pytest.warns(
        repeats.LeakWarning, match=r"1 of 4 queries has the same picture among the pairs that are searched"
    ):
        data = ck.data.load(f"mat:{file}", show_progress=False)
    assert len(data.query) == 4 and len(data.retrieval) == 8
    assert data.details["notes"][-1].endswith("or learned from: pair 8 (pair 2)")


def test_a_file_whose_split_leaks_nothing_says_nothing(tmp_path: Path) -> None:
    kept = truth()
    file = v5(tmp_path / "set.mat", XAll=kept["features"], YAll=kept["texts"], LAll=kept["labels"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = ck.data.load(f"mat:{file}", query=2, train=5, **QUIET)
    assert len(data.details["notes"]) == 1


def folder_of(root: Path, pictures: dict[str, bytes], texts: dict[str, str] | None = None) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in pictures.items():
        (root / name).write_bytes(content)
        (root / name).with_suffix(".txt").write_text(
            (texts or {}).get(name, f"dog {name[:1]} {name}"), encoding="utf-8"
        )
    return root


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_folder_keeps_together_what_shows_the_same_in_another_file(tmp_path: Path) -> None:
    remark = PngImagePlugin.PngInfo()
    remark.add_text("Comment", "another file")
    pictures = {}
    for k in range(12):
        image = photo(k)
        pictures |= {f"{k}a.png": encoded(image), f"{k}b.png": encoded(image, pnginfo=remark)}
        pictures |= {f"{k}c.png": encoded(image, compress_level=1), f"{k}d.bmp": encoded(image, "BMP")}
    data = load_folder(folder_of(tmp_path / "x", pictures), side=32, query=0.4, **QUIET)
    check_apart(data)
    part = {name: set(np.array(data.details["files"])[data.parts[name]]) for name in ("query", "retrieval")}
    for k in range(12):
        copies = {f"{k}a.png", f"{k}b.png", f"{k}c.png", f"{k}d.bmp"}
        assert copies <= part["query"] or copies <= part["retrieval"]
    assert "12 pictures occur in several pairs, 48 in all, 12 of them with different texts: 0a.png, " in repr(
        data.report
    )


def table_of(root: Path, rows: list[str]) -> Path:
    folder_of(
        root, {f"{k}.png": encoded(photo(k)) for k in range(10)} | {"copy3.png": encoded(photo(3), compress_level=1)}
    )
    for text in root.glob("*.txt"):
        text.unlink()
    (root / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def test_five_captions_of_a_picture_stay_together(tmp_path: Path) -> None:
    rows = ["image,caption", *(f"{k}.png,dog {k} caption {c}" for k in range(10) for c in range(5)), "copy3.png,a dog"]
    data = load_folder(table_of(tmp_path / "x", rows), side=32, query=0.4, captions="all", **QUIET)
    assert len(data) == 51
    check_apart(data)
    (line,) = [line for line in data.report.repeats if "occur" in line]
    assert line.startswith(
        "10 pictures occur in several pairs, 51 in all, 10 of them with different texts: 0.png, 1.png"
    )


def test_what_leaks_in_a_split_on_disk_is_said_and_left(tmp_path: Path) -> None:
    parts = {3: "test", 4: "test"}
    rows = [
        "image,caption,split",
        *(f"{k}.png,dog {k},{parts.get(k, 'train')}" for k in range(10)),
        "copy3.png,a dog,train",
    ]
    with pytest.warns(
        repeats.LeakWarning, match=r"1 of 2 queries has the same picture among the pairs .*3\.png \(copy3\.png\)"
    ):
        data = load_folder(table_of(tmp_path / "x", rows), side=32, **QUIET)
    assert sorted(np.array(data.details["files"])[data.parts["query"]]) == ["3.png", "4.png"] and len(data.train) == 9
    assert "3.png (copy3.png)" in repr(data.report)


# Nearly equal pictures.

needs_imagehash = pytest.mark.skipif(find_spec("imagehash") is None, reason="the extra photos brings ImageHash")

COPIES = {
    "JPEG": lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=40))).convert("RGB"),
    "half the size": lambda image: image.resize((48, 48), Image.Resampling.LANCZOS),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.1),
}


@needs_imagehash
@pytest.mark.parametrize("kind", COPIES)
def test_copies_on_the_other_side_are_counted_and_named(tmp_path: Path, kind: str) -> None:
    pictures = {f"{k}.png": encoded(photo(k)) for k in range(30)}
    pictures |= {f"copy{k}.png": encoded(COPIES[kind](photo(k))) for k in range(30)}
    data = load_folder(folder_of(tmp_path / "x", pictures), side=64, query=0.3, **QUIET)
    names = [name.removeprefix("copy") for name in data.details["files"]]
    query, others = ({names[i] for i in data.parts[part]} for part in ("query", "retrieval"))
    crossing = [i for i in data.parts["query"] if names[i] in others]
    assert len(crossing) > 5 and query & others
    (line,) = [line for line in data.report.repeats if "nearly the same" in line]
    assert line.startswith(f"{len(crossing)} of {len(data.query)} queries have nearly the same picture among the pairs")
    for pair in line.partition("from: ")[2].partition(" and ")[0].split(", "):
        name, other = pair.rstrip(")").split(" (")
        assert name != other and name.removeprefix("copy") == other.removeprefix("copy")
    assert line in repr(data.report)


@needs_imagehash
def test_other_pictures_are_not_nearly_equal(tmp_path: Path) -> None:
    pictures = {f"{k}.png": encoded(photo(k)) for k in range(60)}
    rng = np.random.default_rng(0)
    for k in range(60):  # one shape in other colours, and plain pictures
        values = np.full((40, 60, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        pictures[f"plain{k}.png"] = encoded(Image.fromarray(values))
        values[5:20, 5:30] = 255 - values[5:20, 5:30]
        pictures[f"shape{k}.png"] = encoded(Image.fromarray(values))
    data = load_folder(folder_of(tmp_path / "x", pictures), side=64, query=0.5, **QUIET)
    assert not [line for line in data.report.repeats if "nearly the same" in line and "plain" in line]
    near = [line for line in data.report.repeats if "nearly the same" in line]
    assert not near or int(near[0].split()[0]) < 10, near


@needs_imagehash
def test_scenes_are_hardly_ever_nearly_equal(tiny_cache: Path, monkeypatch) -> None:
    monkeypatch.setenv("CMHKIT_CACHE", str(tiny_cache))
    data = ck.data.load("scenes", size="tiny", show_progress=False)
    marks = repeats.digests(data.images)
    found = repeats.repeats(data.images, marks, data.texts, data.parts, repeats.groups(marks), False)
    assert found.queries == 100 and not found.equal and not found.several and len(found.near) <= 2
    for query, other in found.near:  # a few are: one drawing, at one place
        assert data.truth.drawings[query].tolist() == data.truth.drawings[other].tolist()


def test_without_imagehash_it_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(repeats, "find_spec", lambda name: None)
    pictures = {f"{k}.png": encoded(photo(k)) for k in range(4)}
    data = load_folder(folder_of(tmp_path / "x", pictures), side=64, **QUIET)
    assert data.report.repeats == (
        "nearly equal pictures were not looked for: pip install 'cmhkit[photos]' brings ImageHash, which finds them",
    )


def test_bars_and_a_picture_of_their_colour() -> None:
    square = np.full((20, 20, 3), 127, dtype=np.uint8)
    assert repeats._without_bars(square).shape == (20, 20, 3)
    square[5:15] = np.random.default_rng(0).integers(0, 100, (10, 20, 3))
    assert np.array_equal(repeats._without_bars(square), square[5:15])
