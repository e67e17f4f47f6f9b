"""`cmhkit search --html`: a page of its own, with everything on it that was found, and nothing in it that runs."""

from __future__ import annotations

import base64
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from cmhkit.app import cli, runs
from cmhkit.app.pages import search_page
from cmhkit.support.checks import InputError

runner = CliRunner()
HOSTILE = "\"><img src=x onerror=alert(1)>'</title></style><script>alert(2)</script>&lt;"


class Read(HTMLParser):
    """What a browser would see of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self) -> list[np.ndarray]:
        sources = [attributes["src"] for tag, attributes in self.elements if tag == "img"]
        heads, data = zip(*(source.split(",") for source in sources), strict=True)
        assert set(heads) == {"data:image/jpeg;base64"}
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in data]


def rows(n: int = 3, **columns: Any) -> list[dict[str, Any]]:
    return [{"rank": i + 1, "id": 7 * i, "distance": i, **columns} for i in range(n)]


def drawn(shade: int) -> np.ndarray:
    return np.full((64, 64, 3), shade, np.uint8)


def test_what_was_found_stands_on_the_page_in_order() -> None:
    found = [row | {"text": f"caption {row['id']}", "labels": ["bird", "sea"], "file": "a/b.png"} for row in rows()]
    page = Read(search_page("gull", found, [drawn(i) for i in (10, 120, 250)], "The lead.", ["A note."], "By whom."))
    order = ["“gull”", "The lead.", "A note.", "caption 0", "caption 7", "caption 14", "By whom."]
    places = [page.text.index(words) for words in order]
    assert places == sorted(places) and page.text.count("bird, sea") == page.text.count("a/b.png") == 3
    assert all(f"distance {words}" in page.text for words in ("0 bits", "1 bit", "2 bits"))
    assert [round(picture.mean()) for picture in page.pictures()] == [10, 120, 250]
    alts = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert alts == ["caption 0", "caption 7", "caption 14"]


def test_pictures_are_small_and_what_is_large_is_made_small() -> None:
    large = np.random.default_rng(0).integers(0, 256, (600, 300, 3), dtype=np.uint8)
    page = Read(search_page(large, rows(2), [large, drawn(0)], ""))
    assert [picture.shape for picture in page.pictures()] == [(224, 112, 3), (224, 112, 3), (64, 64, 3)]
    assert page.text.lstrip().startswith("Search by a picture")


def test_a_page_without_pictures_is_a_page() -> None:
    page = Read(search_page("gull", rows(2, text="a gull"), [None, None], ""))
    assert not any(tag == "img" for tag, _ in page.elements) and page.text.count("a gull") == 2


@settings(max_examples=40)
@given(st.text(max_size=30).map(lambda text: text + HOSTILE) | st.text(max_size=60))
def test_no_word_of_others_becomes_an_element(words: str) -> None:
    plain = Read(search_page("x", rows(2, text="x", labels=["x"], file="x"), [drawn(0)] * 2, "x", ["x"], "x"))
    found = rows(2, text=words, labels=[words], file=words)
    page = Read(search_page(words, found, [drawn(0)] * 2, words, [words], words))
    names = [(tag, sorted(attributes)) for tag, attributes in page.elements]
    lines = 0 if words else 3 * 2 + 1  # of empty captions, labels and files, and the credit, nothing stands
    assert len(names) == len(plain.elements) - lines
    allowed = {(tag, *sorted(attributes)) for tag, attributes in plain.elements}
    assert {(tag, *attributes) for tag, attributes in names} <= allowed
    assert not any(tag == "script" for tag, _ in names) and all("onerror" not in attributes for _, attributes in names)


def test_a_page_loads_and_runs_nothing() -> None:
    page = search_page("x", rows(1), [drawn(0)], "")
    assert "default-src 'none'; img-src data:" in page and "http" not in page.replace("http-equiv", "")


# From the command line.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of one shade each, with captions, in two folders with names that a page must escape."""
    root = tmp_path_factory.mktemp("search") / "mine"
    for i in range(20):
        file = root / ("<b>dark" if i < 10 else "a & b") / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(12 * i)).save(file)
        shade = "a dark night" if i < 10 else "a bright day"
        file.with_suffix(".txt").write_text(f"{shade}, {HOSTILE} picture{i}", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def run(pictures: Path, tiny_cache: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMHKIT_CACHE", str(tiny_cache))
        options = ["side=64", "features=scenenet", "query=0.2"]
        quiet = {"bits": 8, "say": lambda line: None}
        out = pictures.parent / "run"
        return runs.train("cca", out, data=f"folder:{pictures}", data_options=options, **quiet).path


def asked(run: Path, page: Path, *arguments: str) -> Any:
    return runner.invoke(cli.app, ["search", str(run), *arguments, "--html", str(page)])


def test_a_search_becomes_a_page(run: Path, pictures: Path, shared_cache: Path, tmp_path: Path) -> None:
    page = tmp_path / "new folder" / "found.html"
    result = asked(run, page, "nights", "dark", "-k", "4")
    assert result.exit_code == 0 and f"page: {page}" in result.stderr and "nights (nearest: night)" in result.stderr
    found = runs.search(run, "nights dark", k=4, say=lambda line: None)
    shown = Read(page.read_text(encoding="utf-8"))
    assert "“nights dark”" in shown.text and "nights (nearest: night)" in shown.text
    for picture, row in zip(shown.pictures(), found, strict=True):
        assert row["text"] in shown.text and row["file"] in shown.text
        assert abs(float(picture.mean()) - 12 * int(Path(row["file"]).stem)) < 3
    items = runs.RunFolder(run).config()["items"]
    assert f"The 4 nearest of {items['parts']['retrieval']} pictures of folder:mine, by CCA with 8 bits." in shown.text


def test_a_search_by_a_picture_shows_it_first(run: Path, pictures: Path, shared_cache: Path, tmp_path: Path) -> None:
    file = pictures / "a & b" / "15.png"
    assert asked(run, tmp_path / "found.html", "--image", str(file), "-k", "2", "--json").exit_code == 0
    shown = Read((tmp_path / "found.html").read_text(encoding="utf-8"))
    assert len(shown.pictures()) == 3 and abs(float(shown.pictures()[0].mean()) - 180) < 3
    assert " texts of folder:mine, by CCA" in shown.text


def test_json_stays_json_beside_a_page(run: Path, shared_cache: Path, tmp_path: Path) -> None:
    import json

    result = asked(run, tmp_path / "found.html", "dark", "-k", "2", "--json")
    assert len(json.loads(result.stdout)) == 2


def test_pictures_that_are_gone_are_told_and_the_page_stands(
    run: Path, pictures: Path, shared_cache: Path, tmp_path: Path
) -> None:
    aside = pictures.with_name("aside")
    pictures.rename(aside)
    try:
        assert asked(run, tmp_path / "found.html", "dark").exit_code == 0
    finally:
        aside.rename(pictures)
    shown = Read((tmp_path / "found.html").read_text(encoding="utf-8"))
    assert "The pictures are left out, since the run's data cannot be read: path: expected a folder" in shown.text
    assert "a dark night" in shown.text and not any(tag == "img" for tag, _ in shown.elements)


def test_pictures_that_changed_are_not_shown(run: Path, pictures: Path, shared_cache: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.png"
    file = pictures / "<b>dark" / "03.png"
    shutil.copy(file, kept)
    Image.fromarray(drawn(255)).save(file)
    try:
        runs.write_search_page(run, tmp_path / "found.html", runs.search(run, "dark"), "dark")
    finally:
        shutil.copy(kept, file)
    assert "but its items have changed" in (tmp_path / "found.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("found.txt", "--html: expected a name that ends in .html, got 'found.txt'"),
        ("folder.html", "--html: expected a file, got the folder"),
    ],
)
def test_a_page_needs_a_name(run: Path, shared_cache: Path, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.html").mkdir()
    result = asked(run, tmp_path / name, "dark")
    assert result.exit_code == 2 and message in result.stderr and not (tmp_path / "found.txt").exists()


def test_what_finds_nothing_writes_no_page(run: Path, shared_cache: Path, tmp_path: Path) -> None:
    result = asked(run, tmp_path / "found.html", "qqqq")
    assert result.exit_code == 2 and list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"unknown: qqqq; it knows 1, 2, a, .* and others; a run with --data-option"):
        runs.search(run, "qqqq")
