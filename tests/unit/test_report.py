"""tools/report.py and tools/accessibility.py on small pages: each check finds what is broken on purpose, and a good
page passes them all.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import accessibility, report  # noqa: E402

GOOD = (
    '<!DOCTYPE html><html lang="en"><head><title>t</title></head><body><a href="#m">skip</a><main id="m"><h1>One</h1>'
    "<h2>Two</h2>"
    '<img alt="A cat." src="data:,"><table><thead><tr><th>a</th></tr></thead><tr><td>1</td></tr></table>'
    '<details><summary>Answer</summary>16</details><p style="color:#5c0f0f;background:#fdeaea">wrong</p>'
    '<math alttext="x"><mi>x</mi></math></main></body></html>'
)


def test_a_good_page_passes() -> None:
    assert accessibility.problems(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (' lang="en"', "", "no language"),
        ("<title>t</title>", "<title> </title>", "no title"),
        ('<a href="#m">skip</a>', '<a href="x">x</a>', "first link"),
        ('<main id="m">', '<main id="m"></main><main>', "one <main>"),
        ("<h2>Two</h2>", "<h3>Two</h3>", "skips from level 1 to 3"),
        ("<h2>Two</h2>", "<h1>Two</h1>", "one h1 is expected, 2"),
        ("<h2>Two</h2>", "<h2> </h2>", "empty h2"),
        ('alt="A cat."', "", "without a text"),
        ('alt="A cat."', 'alt=""', "without a text"),
        ('alt="A cat."', 'alt="output_7_0.png"', "without a text"),
        ("<th>a</th>", "<td>a</td>", "without header cells"),
        ("<tr><td>1</td></tr>", "<tr><th>1</th></tr>", "(scope)"),
        ("<summary>Answer</summary>", "", "without a <summary>"),
        ("<summary>Answer</summary>", "<summary></summary>", "nameless summary"),
        ("background:#fdeaea", "background:#a05050", "contrast"),
        (' alttext="x"', "", "alttext"),
        ("<h2>Two</h2>", '<h2 id="m">Two</h2>', "stands 2 times"),
        ("<h2>Two</h2>", "<h2>Two</h2><svg></svg>", "<svg> without a name"),
        ("<h2>Two</h2>", "<h2>Two</h2><input>", "field without a label"),
    ],
)
def test_each_check_finds_what_is_broken(old: str, new: str, told: str) -> None:
    assert old in GOOD
    found = accessibility.problems(GOOD.replace(old, new))
    assert any(told in problem for problem in found), found


def test_contrast_is_wcag_s() -> None:
    """Values from WCAG's definition: black on white, a colour on itself, and #767676, the lightest grey that passes on
    white.
    """
    assert accessibility.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert accessibility.contrast("#123456", "#123456") == pytest.approx(1)
    assert accessibility.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert accessibility.contrast("#777777", "#ffffff") < 4.5


def test_signs_need_less_contrast_than_words_and_a_ground_may_lie_outside() -> None:
    sign, word = '<b style="color:#D55E00">■</b>', '<b style="color:#D55E00">a word</b>'
    assert accessibility.fragment_problems(sign) == [] and accessibility.fragment_problems(word)
    assert accessibility.fragment_problems(f'<div style="background:#000">{word}</div>') == []
    assert accessibility.fragment_problems('<b style="color:#fff">x</b>') and accessibility.fragment_problems(
        '<b style="color:rgb(250, 250, 250)">x</b>'
    )


def test_both_themes_have_contrast() -> None:
    css = (report.TEMPLATE / "report.css").read_text()
    themes = accessibility.themes(css)
    assert themes["light"]["paper"] == "#ffffff" and themes["dark"]["paper"] != "#ffffff"
    for name, theme in themes.items():
        assert accessibility.theme_problems(theme) == [], name
    assert accessibility.theme_problems({**themes["light"], "quiet": "#999999"})


# ── The report ────────────────────────────────────────────────────────────────────────────────────────────────────────


def page(stem: str, *cells: NotebookNode) -> report.Page:
    notebook = new_notebook(cells=[new_markdown_cell(f"# {stem}"), *cells])
    return report.Page(stem, stem, "walks", "–", 5, notebook)


def html(text: str) -> NotebookNode:
    return new_code_cell(
        "1", outputs=[new_output("execute_result", {"text/html": text, "text/plain": "plain"})], execution_count=1
    )


def rendered(*cells: NotebookNode) -> tuple[str, list[str]]:
    files = report.render([page("00_a", *cells), page("01_b")])
    return files["00_a.html"], report.problems(files)


def test_a_small_bundle() -> None:
    widget = html("<style>.w { margin: 0 }</style><h4>Nearest</h4><p>8 bits</p>")
    printed = new_code_cell("print('<b>')", outputs=[new_output("stream", text="<b>" + "x" * 90)], execution_count=1)
    text, found = rendered(
        new_markdown_cell("## Twice\n\nSee [next](01_b.ipynb).\n\n## Twice\n\n| a |\n| - |\n| 1 |"),
        widget,
        html(widget.outputs[0].data["text/html"]),
        printed,
    )
    assert found == []
    assert 'href="01_b.html"' in text and 'id="twice"' in text and 'id="twice-2"' in text
    assert text.count(".w { margin: 0 }") == 1, "a style that every widget brings stands once"
    assert '<h3 class="output-heading">Nearest</h3>' in text, "one level below the text"
    assert "&lt;b&gt;xxx" in text and 'aria-label="printed"' in text and '<th scope="col">a</th>' in text
    assert "<script" not in text


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (html("<img src='data:,'>"), "without a text"),
        (html("<img alt='A cat.' src='https://example.org/cat.png'>"), "fetches https://example.org"),
        (html("<script>1</script>"), "a script"),
        (html("<style>@import 'x.css'</style>"), "a style fetches"),
        (new_markdown_cell("[away](../docs/CHOICES.md)"), "leads nowhere"),
        (new_markdown_cell("[no part](01_b.ipynb#none)"), "leads nowhere"),
        (html(r"<p>$\theta$ is left</p>"), "TeX is left"),
        (new_markdown_cell("#### deep"), "skips from level 1 to 4"),
    ],
)
def test_the_report_tells_what_is_wrong(cell: NotebookNode, told: str) -> None:
    assert any(told in problem for problem in rendered(cell)[1])


def test_size_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LARGEST", 1000)
    assert any("the bundle has" in problem for problem in rendered()[1])


def test_formulas_become_mathml() -> None:
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed: pip install latex2mathml")
    text, found = rendered(
        new_markdown_cell(
            r"Inline $a^\top b < 2$ and" + "\n\n" + r"$$\sum_{i=1}^n \lVert x_i \rVert^2$$" + "\n\nfive dollars: `$5`"
        )
    )
    assert found == []
    inline, block = re.findall(r"<math.*?</math>", text)
    assert 'display="inline"' in inline and r'alttext="a^\top b &lt; 2"' in inline and "<msup>" in inline
    assert 'display="block"' in block and "<munderover>" in block.replace("msubsup", "munderover")
    with pytest.raises(report.ReportError, match=r"\\nosuch"):
        report.formula(r"\nosuch x", "inline")
    with pytest.raises(report.ReportError, match="was not understood"):
        report.formula("x^2^3", "inline")


def test_a_folder_is_written_whole_and_only_over_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    report.write({"index.html": "one", "old.html": "x"}, folder)
    report.write({"index.html": "two"}, folder)
    assert (
        sorted(path.name for path in folder.iterdir()) == [report.MARK, "index.html"]
        and (folder / "index.html").read_text() == "two"
    )
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(report.ReportError, match="is no report"):
        report.write({"index.html": "x"}, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "report"]


# ── README, INSTRUCTORS, the Makefile ─────────────────────────────────────────────────────────────────────────────────


def test_make_report_is_there() -> None:
    recipe = subprocess.run(["make", "-n", "report"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert recipe.returncode == 0 and "tools/report.py" in recipe.stdout


@pytest.mark.parametrize(
    "name", ["README.md", "docs/INSTRUCTORS.md", "docs/ARCHITECTURE.md", "docs/CHOICES.md", "docs/WRITING_LESSONS.md"]
)
def test_links_of_the_pages_lead_somewhere(name: str) -> None:
    path = ROOT / name
    prose = re.sub(r"```.*?```|`[^`]*`", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not target.startswith(("http://", "https://", "#")):
            assert (path.parent / target.split("#")[0]).exists(), f"{name}: {target}"
        assert not target.startswith("http://"), f"{name}: {target} is not https"


def test_the_binder_badge_has_binder_s_form() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    badges = re.findall(r"\[!\[Binder\]\((.*?)\)\]\((.*?)\)", readme)
    assert badges
    for picture, link in badges:
        assert picture == "https://mybinder.org/badge_logo.svg"
        found = re.fullmatch(r"https://mybinder\.org/v2/gh/[\w.-]+/[\w.-]+/[\w.-]+\?urlpath=lab/tree/(.+)", link)
        assert found and (ROOT / found.group(1)).exists(), link


def test_every_lesson_fits_binder_s_machine() -> None:
    """The measured memory of README's table; Binder ends a session at 2 GB, of which JupyterLab takes a part."""
    rows = re.findall(
        r"^\| \[\d\d_\w+\].*\| (\d+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert rows and max(map(int, rows)) < 1500


def test_instructors_have_a_row_for_each_question_and_name_real_slips() -> None:
    import importlib

    from cmhkit.course import lessons
    from cmhkit.course.lessons.framework import Question

    text = (ROOT / "docs" / "INSTRUCTORS.md").read_text(encoding="utf-8")
    rows = {
        name: slip.strip()
        for name, slip in re.findall(r"^\| (\d\d\.q\d+) \|[^|]*\|([^|]*)\|[^|]*\|$", text, flags=re.MULTILINE)
    }
    asked = {
        question.name: question
        for name in lessons.names()
        for question in vars(importlib.import_module(f"cmhkit.course.lessons.{name}")).values()
        if isinstance(question, Question)
    }
    rows = {name: slip for name, slip in rows.items() if f"lesson_{name[:2]}" in lessons.names()}
    assert set(rows) == set(asked), f"docs/INSTRUCTORS.md: {sorted(set(rows) ^ set(asked))}"
    for name, slip in rows.items():
        assert slip in asked[name].wrong_answers, f"{name}: {slip!r} is not among {sorted(asked[name].wrong_answers)}"
    from cmhkit.course.grade import COLUMNS

    assert not [column for column in COLUMNS if f"`{column}`" not in text]
