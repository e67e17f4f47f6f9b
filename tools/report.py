"""The course as pages to read without running: `make report`.

python tools/report.py [FOLDER]            # out/report unless named: index.html and a page a notebook

The built notebooks go through nbconvert, with the template in tools/report_template. Pictures are inside the pages,
formulas become MathML, and there is no script: a page needs no network and no server. The folder is built beside its
place and moved there when it is whole. Every page is then checked (tools/accessibility.py, links, size); what is wrong
is told, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jinja2
import nbformat
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import accessibility, guards, notebooks  # noqa: E402

TEMPLATE = Path(__file__).resolve().parent / "report_template"
FOLDER = ROOT / "out" / "report"
LARGEST = 25_000_000  # bytes of the whole bundle
WIDE = 84  # characters: a longer line may scroll, so the keyboard must reach its block
MARK = ".cmhkit-report"  # lies in a folder that this script made, and may replace


class ReportError(RuntimeError):
    """The report could not be made; the message is for whoever asked for it."""


@dataclass(frozen=True)
class Page:
    """One notebook of the bundle."""

    stem: str
    title: str
    walks_through: str
    widget: str
    minutes: int
    notebook: NotebookNode

    @property
    def page(self) -> str:
        return f"{self.stem}.html"


# ── From a notebook to a page ─────────────────────────────────────────────────────────────────────────────────────────


def formula(tex: str, display: str) -> str:
    """A formula as MathML, with its TeX as the text for who cannot see it. display: "inline" or "block".

    Raises ReportError for TeX that is not understood.
    """
    from latex2mathml.converter import convert

    try:
        made = BeautifulSoup(convert(tex, display=display), "html.parser").math
    except Exception as error:  # it has a dozen of its own, without a common class
        raise ReportError(f"the formula {tex!r} was not understood: {type(error).__name__}") from error
    if unknown := re.findall(r"\\[A-Za-z]+", made.get_text()):
        raise ReportError(f"the formula {tex!r} holds {unknown[0]}, which latex2mathml does not know")
    for bar in made.find_all("mo", string="‖", attrs={"stretchy": False}):
        bar["stretchy"] = (
            "false"  # else the closing bar of a norm, which carries the exponent, is shorter than the opening one
        )
    made["alttext"] = " ".join(tex.split())
    return str(made)


def markdown(source: str) -> str:
    """Markdown as HTML, as nbconvert reads it, with formulas as MathML and without anchor signs beside the headings."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return formula(body, "block")

        def inline_math(self, body: str) -> str:
            return formula(body, "inline")

        def latex_environment(self, name: str, body: str) -> str:
            return formula(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True)).render(source)


def body_of(notebook: NotebookNode) -> tuple[str, str, list[dict[str, str]]]:
    """A notebook's cells as HTML; the styles that its outputs brought, each once; the page's parts, {"id", "title"},
    one a heading of level 2.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    exporter = HTMLExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        filters={"markdown2html": markdown},
        default_preprocessors=[],
        config=Config(
            {"NbConvertBase": {"display_data_priority": ["text/html", "text/markdown", "image/png", "text/plain"]}}
        ),
    )
    page = BeautifulSoup(exporter.from_notebook_node(notebook)[0], "html.parser")
    styles = dict.fromkeys(str(tag.extract().string).strip() for tag in page.find_all("style"))
    _settle_headings(page)
    for table in page.select("section.text table"):
        table.wrap(
            page.new_tag("div", attrs={"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "table"})
        )
    for head in page.select("thead th:not([scope])"):
        head["scope"] = "col"
    for block in page.find_all("pre", class_="printed"):  # code is wrapped, what was printed stands in columns
        if max(map(len, block.get_text().splitlines()), default=0) > WIDE:
            block.attrs |= {"tabindex": "0", "role": "region", "aria-label": "printed"}
    for link in page.find_all("a", href=True):
        link["href"] = (
            re.sub(r"\.ipynb(?=#|$)", ".html", link["href"]) if not urlsplit(link["href"]).scheme else link["href"]
        )
    return (
        str(page),
        "\n".join(styles),
        [{"id": part["id"], "title": part.get_text(" ", strip=True)} for part in page.select("section.text h2")],
    )


def _settle_headings(page: BeautifulSoup) -> None:
    """Ids for the text's headings; headings in outputs go one level below the text around them, so that no level is
    skipped.
    """
    level, seen = 1, {"content"}
    for heading in page.find_all(re.compile("^h[1-6]$")):
        if heading.find_parent("section", class_="text") is None:
            heading.name = f"h{min(level + 1, 6)}"
            heading["class"] = [*heading.get("class", []), "output-heading"]
            continue
        level = int(heading.name[1])
        slug = base = re.sub(r"[^\w]+", "-", heading.get_text(" ").lower()).strip("-") or "part"
        while slug in seen:
            slug = f"{base}-{sum(name.startswith(base) for name in seen) + 1}"
        seen.add(slug)
        heading["id"] = slug


# ── The bundle ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_pages(folder: Path = notebooks.NOTEBOOKS) -> tuple[list[Page], list[str]]:
    """The built notebooks of the sources, in order, and warnings: which are not built, or older than their source."""
    pages, warnings = [], []
    for source in notebooks.sources(folder=folder):
        target = notebooks.built_path(source)
        if not target.exists():
            warnings.append(f"{target.name} is not built and is left out: run make notebooks")
            continue
        notebook = nbformat.read(target, as_version=4)
        if list(guards.parity(notebook, notebooks.read_source(source))):
            warnings.append(f"{target.name} is older than its source, and is taken as it is: run make notebooks")
        about = notebook.metadata.cmhkit
        title = re.search(r"^# +(.+)$", notebook.cells[0].source, flags=re.MULTILINE)
        if title is None:
            raise ReportError(f"{target.name} has no title: its first cell is to start with # …")
        pages.append(
            Page(
                target.stem,
                title.group(1).strip(),
                str(about.walks_through),
                str(about.widget),
                int(about.minutes),
                notebook,
            )
        )
    if not pages:
        raise ReportError("no notebook is built: run make notebooks")
    return pages, warnings


def render(pages: Sequence[Page]) -> dict[str, str]:
    """The bundle's files: name → HTML."""
    from cmhkit import __version__
    from cmhkit.course import diagrams

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    frame, contents = templates.get_template("page.html.j2"), templates.get_template("contents.html.j2")
    from markupsafe import Markup

    css = Markup((TEMPLATE / "report.css").read_text(encoding="utf-8"))
    common = {"version": __version__, "css": css}
    drawing = Markup(diagrams.course_map().html)
    listing = contents.render(pages=pages, minutes=sum(page.minutes for page in pages), map=drawing)
    files = {
        "index.html": frame.render(
            common, index=True, title="cmhkit, the course", body=Markup(listing), styles="", parts=[]
        )
    }
    for i, page in enumerate(pages):
        try:
            body, styles, parts = body_of(page.notebook)
        except ReportError as error:
            raise ReportError(f"{page.stem}: {error}") from error
        around = {"before": pages[i - 1] if i else None, "after": pages[i + 1] if i + 1 < len(pages) else None}
        files[page.page] = frame.render(
            common, index=False, title=page.title, body=Markup(body), styles=Markup(styles), parts=parts, **around
        )
    return files


def write(files: dict[str, str], folder: Path) -> None:
    """Write the bundle's files into `folder`, whole or not at all. A folder that this script did not make is not
    touched.
    """
    if folder.exists() and not (folder / MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReportError(f"{folder} exists and is no report: name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        part.chmod(0o755)
        (part / MARK).write_text("made by tools/report.py\n")
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            folder.replace(old / "it")
            part.replace(folder)
            shutil.rmtree(old)
        else:
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def problems(files: dict[str, str]) -> list[str]:
    """What is wrong with a bundle: `accessibility.problems`, links that lead nowhere, what a page would fetch, TeX that
    is left, size.
    """
    faults = []
    parsed = {name: accessibility.parse(text) for name, text in files.items()}
    targets = {name: {str(tag["id"]) for tag in page.find_all(id=True)} for name, page in parsed.items()}
    for name, page in parsed.items():
        faults += [f"{name}: {problem}" for problem in accessibility.problems(files[name])]
        faults += [f"{name}: {problem}" for problem in _links(name, page, targets)]
        faults += [
            f"{name}: a script or a frame" for _ in page.find_all(["script", "iframe", "object", "embed", "link"])
        ]
        outside = [tag for tag in page.find_all(src=True) if not str(tag["src"]).startswith("data:")]
        faults += [f"{name}: {tag.name} fetches {str(tag['src'])[:60]}" for tag in outside]
        faults += [
            f"{name}: a style fetches something"
            for style in page.find_all("style")
            if re.search(r"@import|url\((?!['\"]?data:)", style.get_text())
        ]
        text = " ".join(str(piece) for piece in page.find_all(string=True) if not _verbatim(piece.parent))
        faults += [f"{name}: TeX is left: {tex}" for tex in re.findall(r"\$[^$\n]{0,40}\\[A-Za-z]+", text)]
    if (size := sum(len(text.encode()) for text in files.values())) > LARGEST:
        faults.append(f"the bundle has {size / 1e6:.1f} MB; at most {LARGEST / 1e6:.0f} are allowed")
    return faults


def _verbatim(tag: Tag | None) -> bool:
    return tag is not None and any(one.name in {"pre", "code", "style", "math"} for one in [tag, *tag.parents])


def _links(name: str, page: BeautifulSoup, targets: dict[str, set[str]]) -> list[str]:
    faults = []
    for link in page.find_all("a", href=True):
        parts = urlsplit(str(link["href"]))
        if parts.scheme in {"http", "https", "mailto"}:
            continue
        file = unquote(parts.path) or name
        if file not in targets or (parts.fragment and unquote(parts.fragment) not in targets[file]):
            faults.append(f"the link {link['href']!r} leads nowhere in the bundle")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where the pages go (out/report)")
    options = parser.parse_args(arguments)
    try:
        pages, warnings = read_pages()
        files = render(pages)
        write(files, options.folder)
    except (ReportError, notebooks.NotebookError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"report: the package {error.name} is missing: run make report, or install the extra cmhkit[test]",
            file=sys.stderr,
        )
        return 1
    faults = problems(files)
    for line in [*(f"warning: {warning}" for warning in warnings), *faults]:
        print(line, file=sys.stderr)
    size = sum(len(text.encode()) for text in files.values())
    print(f"{len(pages)} notebooks, {size / 1e6:.1f} MB, {len(faults)} problems: {options.folder / 'index.html'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
