"""Run folders: settings as text and back, what is trusted, and the page. Killed processes are in test_kill.py, the
commands in test_cli.py.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cmhkit as ck
from cmhkit.app import measures, pages, runs
from cmhkit.data import PairedData, load
from cmhkit.support.checks import InputError


def small(**changes: Any) -> PairedData:
    """Twelve pairs of features."""
    rng = np.random.default_rng(0)
    content = {
        "name": "small",
        "images": rng.normal(size=(40, 6)),
        "text_vectors": rng.normal(size=(40, 5)),
        "labels": np.eye(4, dtype=np.uint8)[np.arange(40) % 4],
        "parts": {"query": np.arange(8), "retrieval": np.arange(8, 40), "train": np.arange(10, 40)},
    }
    return PairedData(**(content | changes))


@pytest.fixture
def load_small(monkeypatch: pytest.MonkeyPatch):
    """`small` in place of what the name "scenes" loads. Returns a function that puts another set there."""

    def put(data: PairedData) -> None:
        monkeypatch.setattr(ck.data, "load", lambda name, **options: data)

    put(small())
    return put


# Values as text.


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("3", float, 3.0),
        ("3", int | float | None, 3),
        ("0.5", int | float | None, 0.5),
        ("none", int | None, None),
        ("none", str, "none"),
        ("K/8", float | str, "K/8"),
        ("2", float | str, 2.0),
        ("yes", bool, True),
        ("False", bool, False),
        ("5,10,15", tuple[int, ...], (5, 10, 15)),
        ("(5, 10)", tuple[int, ...], (5, 10)),
        ("", tuple[int, ...], ()),
        ("a=b", str, "a=b"),
        ("some/where", str | Path | None, "some/where"),
    ],
)
def test_a_value_is_read_by_its_type(text: str, hint: Any, value: Any) -> None:
    found = runs.parsed("x", text, hint)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "expected"),
    [
        ("x", int, "a whole number"),
        ("0.5", int, "a whole number"),
        ("1", bool, "true or false"),
        ("x", int | float | None, "a whole number or a number or none"),
        ("5,x", tuple[int, ...], "a whole number"),
    ],
)
def test_a_value_of_another_type_is_refused(text: str, hint: Any, expected: str) -> None:
    with pytest.raises(InputError, match=f"^x: expected {expected}, got '"):
        runs.parsed("x", text, hint)


@pytest.mark.parametrize(
    ("given_texts", "message"),
    [(["rounds"], "--set: expected name=value, got 'rounds'"), (["a=1", "a=2"], "each name once, got 'a' twice")],
)
def test_pairs_are_checked(given_texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runs.pairs_of(given_texts, "--set")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ugach", ["rounds=3", "margin=K/4", "symmetric=true", "init_std=none", "lr_d=1e-3"]),
        ("adah", ["margin=4.5", "own=no", "weights=a file.pth"]),
        ("ssah", ["pools=5,10", "dropout=0"]),
        ("cca", ["ridge=0.5"]),
    ],
)
def test_the_command_of_a_run_gives_the_same_settings_again(method: str, options: list[str]) -> None:
    def settings_of(method: str, options: list[str], data: str, data_options: list[str]) -> runs.Settings:
        kind = runs.method_class(method)
        typed = runs.options_of(kind, options)
        return runs.Settings.of(kind(16, seed=3, **typed), typed, *runs.data_spec(data, data_options))

    first = settings_of(method, options, "mat:a folder/x.mat", ["standardise=yes", "query=0.1", "seed=4"])
    words = shlex.split(first.command("a run"))
    assert words[:3] == ["cmhkit", "train", method] and words[-2:] == ["--out", "a run"]
    again = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    data_options = [words[i + 1] for i, word in enumerate(words) if word == "--data-option"]
    second = settings_of(words[2], again, words[words.index("--data") + 1], data_options)
    assert second == first and second.difference(json.loads(json.dumps(vars(first)))) is None
    assert Path(first.data.partition(":")[2]).is_absolute() and first.data_options == {
        "standardise": True,
        "query": 0.1,
        "seed": 4,
    }


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(InputError, match="round: not an option of this method; did you mean 'rounds'"):
        ck.UGACH(**runs.options_of(ck.UGACH, ["round=3"]))
    with pytest.raises(InputError, match="method: expected one of randomhash, cca"):
        runs.method_class("hash")


# The folder.


def test_a_run_of_features_alone(tmp_path: Path, load_small) -> None:
    said: list[str] = []
    folder = runs.train("cca", tmp_path / "run", bits=8, say=said.append)
    assert folder.finished and folder.history() == []
    hasher = ck.load(tmp_path / "run" / "hasher.safetensors")
    assert np.array_equal(folder.codes("query_texts"), hasher.encode(texts=small().query))
    report = hasher.evaluate(small())
    found = folder.report()
    assert found["image_to_text"]["map"] == report.map_i2t and found["text_to_image"]["map"] == report.map_t2i
    assert found["summary"] == repr(report)
    assert folder.items()["labels"][0] == ["label 0"] and folder.items()["texts"] is None
    with pytest.raises(InputError, match="fitted on data without a vocabulary, got words"):
        runs.search(tmp_path / "run", "dog")
    with pytest.raises(InputError, match="fitted on image features of width 6; give features"):
        runs.search(tmp_path / "run", image=__file__)
    assert runs.evaluate(tmp_path / "run")["image_to_text"] == found["image_to_text"]


def test_data_without_labels_are_not_measured(tmp_path: Path, load_small) -> None:
    load_small(small(labels=None))
    folder = runs.train("randomhash", tmp_path / "run", bits=8, say=lambda line: None)
    assert folder.report()["measured"] is False and "not measured" in folder.report()["summary"]
    assert "Not measured: the data have no labels" in (tmp_path / "run" / "report.html").read_text()
    with pytest.raises(InputError, match="data: expected labels"):
        runs.evaluate(tmp_path / "run")


def test_a_run_whose_data_have_changed_is_not_gone_on_with(tmp_path: Path, load_small) -> None:
    runs.train("cca", tmp_path / "run", bits=8, say=lambda line: None)
    labels = small().labels.copy()
    labels[-1] = 1 - labels[-1]
    load_small(small(labels=labels))
    with pytest.raises(
        InputError, match=r"data: expected small as it was when .* was started, but its items have changed"
    ):
        runs.evaluate(tmp_path / "run")
    (tmp_path / "run" / "finished.json").unlink()
    with pytest.raises(InputError, match="its items have changed"):
        runs.train("cca", tmp_path / "run", bits=8, say=lambda line: None)
    assert runs.train("cca", tmp_path / "run", bits=8, fresh=True, say=lambda line: None).finished


def test_every_part_of_the_data_is_in_the_fingerprint() -> None:
    base = small()
    whole = runs.fingerprint(base)
    assert whole == runs.fingerprint(small())
    parts = {**base.parts, "train": np.arange(11, 40)}
    changed = [
        replace(base, labels=None),
        replace(base, ids=np.arange(40) + 1),
        replace(base, parts=parts),
        replace(base, text_vectors=base.text_vectors * 2),
    ]
    changed += [replace(base, images=base.images + 1), replace(base, images=base.images[:, :5])]
    assert len({whole, *map(runs.fingerprint, changed)}) == 1 + len(changed)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, load_small) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(
            InputError, match=r"out: expected a new folder, or one of a run, got .*, which holds thesis\.txt"
        ):
            runs.train("cca", tmp_path, fresh=fresh, say=lambda line: None)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="expected a run folder, got a file"):
        runs.train("cca", tmp_path / "thesis.txt", say=lambda line: None)


def test_fresh_removes_a_run_and_nothing_else(tmp_path: Path, load_small) -> None:
    runs.train("cca", tmp_path / "run", bits=8, say=lambda line: None)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds another run \\(bits 8 there, 16 here\\)"):
        runs.train("cca", tmp_path / "run", bits=16, say=lambda line: None)
    folder = runs.train("cca", tmp_path / "run", bits=16, fresh=True, say=lambda line: None)
    assert folder.codes("query_images").shape == (8, 2) and (tmp_path / "run" / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match="sizes: not an option of 'scenes'"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ck.data, "load", load)
        runs.train("cca", tmp_path / "run", data_options=["sizes=tiny"], fresh=True, say=lambda line: None)
    assert folder.codes("query_images").shape == (8, 2)  # a run is removed only once there is something to train on
    folder.clear()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [".lock", "notes.txt"]


def test_what_is_said_can_be_printed(tmp_path: Path, load_small, capsys: pytest.CaptureFixture[str]) -> None:
    runs.train("cca", tmp_path / "run", bits=8)
    assert capsys.readouterr().out.splitlines() == [repr(small()), "saving the hasher", "encoding", "measuring"]


def test_a_start_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="size: expected one of tiny"):
        runs.train("cca", tmp_path / "run", data_options=["size=huge"], say=lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["hasher.safetensors", "codes/retrieval_images.npy", "codes/retrieval_ids.npy", "codes/retrieval_items.json"],
)
def test_a_file_that_was_changed_is_not_trusted(tmp_path: Path, load_small, name: str) -> None:
    rng = np.random.default_rng(1)
    load_small(small(images=rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)))
    runs.train("randomhash", tmp_path / "run", bits=8, say=lambda line: None)
    file = tmp_path / "run" / name
    whole = file.read_bytes()
    for content in (whole[:-1], whole + b" ", b""):
        file.write_bytes(content)
        with pytest.raises(
            InputError,
            match=f"{name}: expected the file that the run wrote, got another; train again: cmhkit train randomhash",
        ):
            folder = runs.RunFolder(tmp_path / "run")
            folder.hasher(), folder.codes("retrieval_ids"), folder.codes("retrieval_images"), folder.items()


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "cannot be read"), ("[1]", "got something else"), ("{}", "got something else")],
)
def test_a_configuration_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=message):
        runs.RunFolder(tmp_path).settings()
    with pytest.raises(InputError, match="expected a run folder, which cmhkit train writes, got nothing at this path"):
        runs.RunFolder(tmp_path / "none").settings()


def test_a_run_of_another_format_is_refused(tmp_path: Path, load_small) -> None:
    runs.train("cca", tmp_path, bits=8, say=lambda line: None)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(InputError, match="expected format 1, got 99"):
        runs.RunFolder(tmp_path).hasher()


def test_other_versions_are_told(tmp_path: Path, load_small) -> None:
    runs.train("cca", tmp_path, bits=8, say=lambda line: None)
    config = json.loads((tmp_path / "config.json").read_text())
    config["versions"]["numpy"] = "1.0"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "finished.json").unlink()
    said: list[str] = []
    runs.train("cca", tmp_path, bits=8, say=said.append)
    assert [line for line in said if line.startswith("note: versions have changed") and "numpy 1.0 then" in line]


def test_numbers_that_json_has_not_become_null(tmp_path: Path) -> None:
    runs.write_json(tmp_path / "x.json", {"a": [np.nan, np.float32(0.5), np.inf], "b": np.arange(2)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 0.5, None], "b": [0, 1]}


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_places_of_a_curve(m: int, seed: int) -> None:
    recall = np.sort(np.random.default_rng(seed).random(m))
    places = measures._curve_places(recall)
    assert places[0] == 0 and places[-1] == m - 1 and len(places) <= 212 and (np.diff(places) > 0).all()
    # No gap of recall wider than a step, unless the curve itself jumps.
    gaps, jumps = np.diff(recall[places]), np.diff(recall, prepend=0).max()
    assert not len(gaps) or gaps.max() <= recall[-1] / 199 + jumps + 1e-12


# The page.


class Tags(HTMLParser):
    """Checks that tags are closed in order, and keeps attributes and text."""

    VOID = ("meta", "line", "circle", "polyline")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_says_what_its_figures_show(tmp_path: Path, load_small) -> None:
    load_small(small(name='small <script>alert("x")</script>'))
    folder = runs.train("cca", tmp_path, bits=8, say=lambda line: None)
    rows = [{"epoch": i, "stage": "game", "loss": 1.0 / (i + 1)} for i in range(4)]
    tags = Tags(pages.report_page(folder.report(), folder.config(), rows, folder.command()))
    names = [name for name, _ in tags.found]
    assert "script" not in names and not [a for _, a in tags.found if "src" in a or "href" in a]
    figures = [attributes["aria-label"] for name, attributes in tags.found if name == "svg"]
    assert len(figures) == 3 and f"MAP {folder.report()['image_to_text']['map']:.3f}" in figures[0]
    assert figures[2] == "loss by epoch: 1 in epoch 0, 0.25 in epoch 3."
    assert all(attributes.get("scope") in ("col", "row") for name, attributes in tags.found if name == "th")
    assert names.count("caption") == names.count("table") > 3
    assert (
        folder.command() in tags.text and "Hotelling" in tags.text and 'small <script>alert("x")</script>' in tags.text
    )
    for way in ("image_to_text", "text_to_image"):
        assert f"{folder.report()[way]['map']:.3f}" in tags.text


def test_a_page_where_no_query_has_an_answer(tmp_path: Path, load_small) -> None:
    labels = small().labels.copy()
    labels[:8] = 0
    load_small(small(labels=labels))
    folder = runs.train("cca", tmp_path, bits=8, say=lambda line: None)
    assert folder.report()["image_to_text"]["map"] is None
    assert "No query has a relevant item" in (tmp_path / "report.html").read_text()


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_and_hold_the_values(low: float, span: float) -> None:
    ticks = pages._ticks(low, low + span)
    steps = np.diff(ticks)
    assert (
        2 <= len(ticks) <= 8
        and ticks[0] <= low + 1e-6 * span + 1e-9 * abs(low)
        and ticks[-1] >= low + span - 1e-6 * span - 1e-9 * abs(low)
    )
    assert np.allclose(steps, steps[0], rtol=1e-3, atol=1e-11 * abs(low) + 1e-12)


@pytest.mark.parametrize(
    ("low", "high"), [(5.99142, 5.99147), (0.0, 1.0), (120_000.0, 183_000.0), (-123.456, -123.4552), (0.0, 7e-7)]
)
def test_labels_of_a_chart_are_told_apart_and_inside(low: float, high: float) -> None:
    svg = pages._chart("loss", [(0, low), (1, high)], [], ("epoch", ""), ((0, 1), (low, high)))
    labels = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="end">([^<]+)<', svg)
    assert len({name for _, name in labels}) == len(labels) >= 2
    assert all(float(right) >= 6.8 * len(name) for right, name in labels)  # 6.8: a digit at 12 px
    assert all(low - (high - low) <= float(name) <= high + (high - low) for _, name in labels)
