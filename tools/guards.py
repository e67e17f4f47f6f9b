"""What a lesson's notebook must keep to, beyond running: small guards, each a function of the notebook and of its
source.

`problems(notebook, source)` gives all of them. tests/notebooks/test_guards.py tries each on a notebook that is broken
on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

LINES_TO_AIM_AT = 15
LINES_AT_MOST = 25
IGNORED_AT_MOST = 0.25
PARAMETERS = {"size", "seed", "bits", "results_path"}
FORBIDDEN_NAMES = {"Output", "interact", "interactive", "interactive_output", "clear_output"}
IGNORING = {"nbval-ignore-output", "pytest-validate-ignore-output"}
FORBIDDEN_TAGS = {"nbval-skip", "raises-exception", "nbval-raises-exception", "skip-execution"}
# Decimals that prose may use though nothing prints them: facts, not measurements.
CONSTANTS = {709.8: "the logarithm of the largest float64", 88.7: "the logarithm of the largest float32"}
LIVE_VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `cell` counts from 0 over all cells; None: the notebook as a whole. A warning does not fail
    the build.
    """

    guard: str
    cell: int | None
    message: str
    warning: bool = False

    def __str__(self) -> str:
        where = "" if self.cell is None else f" cell {self.cell}:"
        return f"{'warning' if self.warning else 'error'} [{self.guard}]{where} {self.message}"


Remarks = Iterator[tuple[int | None, str]]


def problems(notebook: NotebookNode, source: NotebookNode) -> list[Problem]:
    """All that is wrong with an executed notebook, given what its source reads as. Empty: it may be committed."""
    broken = [
        Problem(name, cell, message) for name, guard in GUARDS.items() for cell, message in guard(notebook, source)
    ]
    return broken + [
        Problem("cell length", cell, message, warning=True)
        for cell, message in long_cells(notebook, LINES_TO_AIM_AT, LINES_AT_MOST)
    ]


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def tags_of(cell: NotebookNode) -> set[str]:
    """A cell's tags, with nbval's comment markers (`# NBVAL_SKIP`) read as tags."""
    comments = {line.strip().lstrip("#").strip() for line in cell.source.splitlines() if line.strip().startswith("#")}
    markers = {
        comment.lower().replace("_", "-")
        for comment in comments
        if re.fullmatch(r"(NBVAL|PYTEST_VALIDATE)_[A-Z_]+", comment)
    }
    return set(cell.metadata.get("tags", [])) | markers


def tree_of(cell: NotebookNode) -> ast.Module:
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


# ── Guards on the source ──────────────────────────────────────────────────────────────────────────────────────────────


def parity(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """The notebook's cells are those of its source."""
    if len(notebook.cells) != len(source.cells):
        yield (
            None,
            f"the notebook has {len(notebook.cells)} cells and its source {len(source.cells)}: run make notebooks",
        )
    for i, (built, written) in enumerate(zip(notebook.cells, source.cells, strict=False)):
        same = built.cell_type == written.cell_type and built.source == written.source
        if not same or built.metadata.get("tags", []) != written.metadata.get("tags", []):
            yield i, "differs from the source: run make notebooks"
            return
    if notebook.metadata.get("cmhkit") != source.metadata.get("cmhkit"):
        yield None, "the header (cmhkit: …) differs from the source: run make notebooks"


def header(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """The header says what the course table needs."""
    about = notebook.metadata.get("cmhkit", {})
    for name in ("walks_through", "widget", "minutes"):
        if name not in about:
            yield None, f"the header lacks cmhkit: {name}"
    if not isinstance(about.get("minutes", 0), int):
        yield None, f"minutes in the header is to be a whole number, and is {about['minutes']!r}"


def cell_length(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """No code cell has more than 25 lines."""
    yield from long_cells(notebook, LINES_AT_MOST)


def long_cells(notebook: NotebookNode, more_than: int, up_to: float = float("inf")) -> Remarks:
    for i, cell in code_cells(notebook):
        lines = sum(bool(line.strip()) for line in cell.source.splitlines())
        if more_than < lines <= up_to:
            yield i, f"{lines} lines of code; aim at {LINES_TO_AIM_AT}, at most {LINES_AT_MOST}"


def parses(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """Every code cell is plain Python, and not empty: no magics, no shell."""
    for i, cell in code_cells(notebook):
        try:
            if not cell.source.strip():
                yield i, "an empty code cell"
            ast.parse(cell.source)
        except SyntaxError as error:
            yield i, f"not plain Python (line {error.lineno}): {error.msg}"


def forbidden_names(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """No `Output`, `interact` and kin: they hang headless runs and break the comparison of outputs."""
    for i, cell in code_cells(notebook):
        for name in sorted(names_in(tree_of(cell)) & FORBIDDEN_NAMES):
            yield i, f"`{name}` is not for lessons: write to HTML.value or Image.value"


def names_in(tree: ast.AST) -> set[str]:
    """Every name that a piece of code uses or imports, as itself or as an attribute."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.alias):
            names.update(node.name.split("."))
    return names


def parameters(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """One cell of parameters, with names that all notebooks share; papermill only warns about an unknown name."""
    tagged = [i for i, cell in code_cells(notebook) if "parameters" in tags_of(cell)]
    if len(tagged) != 1:
        yield None, f"one cell tagged `parameters` is expected, {len(tagged)} were found"
        return
    names = parameter_names(notebook)
    if "results_path" not in names:
        yield tagged[0], "the parameter results_path is missing"
    for name in sorted(names - PARAMETERS):
        yield tagged[0], f"the parameter {name!r} is not among {', '.join(sorted(PARAMETERS))}"


def parameter_names(notebook: NotebookNode) -> set[str]:
    """The names that papermill itself sees as parameters."""
    import tempfile
    from pathlib import Path

    import nbformat
    import papermill

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notebook.ipynb"
        nbformat.write(notebook, path)
        return set(papermill.inspect_notebook(str(path)))


def ignore_budget(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """At most a quarter of the cells go uncompared, and none goes unrun or may fail."""
    cells = code_cells(notebook)
    ignored = [i for i, cell in cells if tags_of(cell) & IGNORING]
    if len(ignored) > IGNORED_AT_MOST * len(cells):
        yield None, f"{len(ignored)} of {len(cells)} code cells ignore their output; at most a quarter may"
    for i, cell in cells:
        for tag in sorted(tags_of(cell) & FORBIDDEN_TAGS):
            yield i, f"the tag {tag} is forbidden"


def headings(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """One title at the top, and no level skipped below it."""
    level = 0
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            if level == 0:
                yield i, "the notebook is to start with a title (# …)"
                return
            continue
        text = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
        for marks, title in re.findall(r"^(#{1,6})\s+(.+)$", text, flags=re.MULTILINE):
            if len(marks) > level + 1:
                yield i, f"heading {title!r} skips from level {level} to {len(marks)}"
            if len(marks) == 1 and level > 0:
                yield i, f"a second title: {title!r}"
            level = len(marks)
    if level == 0:
        yield None, "the notebook has no title (# …)"


def folded_answers(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """Every `<details>` is closed, has a summary, and an empty line before its text, or Markdown inside is not read."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        opened, closed = cell.source.count("<details"), cell.source.count("</details>")
        summaries = len(re.findall(r"<summary>.+?</summary>[ \t]*\n[ \t]*\n", cell.source, flags=re.DOTALL))
        if not opened == closed == summaries:
            yield i, "each <details> needs a <summary>…</summary>, an empty line, its text and </details>"


# ── Guards on what was executed ───────────────────────────────────────────────────────────────────────────────────────


def execution_counts(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """Counts are 1..n: the notebook was run once, from top to bottom. nbval finds nothing to compare in one that was
    not.
    """
    cells = code_cells(notebook)
    if not cells:
        yield None, "the notebook has no code"
    for expected, (i, cell) in enumerate(cells, 1):
        if cell.execution_count != expected:
            yield i, f"execution count {expected} expected, {cell.execution_count} found"
            return


def kept_outputs(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """A cell that plainly shows something has its output in the file."""
    for i, cell in code_cells(notebook):
        if shows_something(cell) and not cell.outputs:
            yield i, "this cell shows something, but no output is kept: run make notebooks"


def shows_something(cell: NotebookNode) -> bool:
    """Whether a cell's own code prints or displays, whatever its values: an unconditional call, or a last expression
    other than a call.
    """
    body = tree_of(cell).body
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Expr) and not cell.source.rstrip().endswith(";"):
        called = last.value.func if isinstance(last.value, ast.Call) else None
        if called is None or (isinstance(called, ast.Attribute) and called.attr in {"check", "hint", "solution"}):
            return True
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            called = statement.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in {"print", "display", "show", "gallery"}:
                return True
    return False


def clean_outputs(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """No error, nothing on stderr."""
    for i, cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield i, f"failed with {output.ename}: {output.evalue}"
            elif output.output_type == "stream" and output.name == "stderr":
                yield i, f"wrote to stderr: {output.text.strip()[:80]}"


def alt_texts(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """Every picture has a text: in outputs, in markdown, in HTML."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            if re.search(r"!\[\s*\]\(", cell.source) or without_alt(cell.source):
                yield i, "a picture in the text has no alt text"
            continue
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if kind.startswith("image/"):
                    yield i, f"{kind} has no alt text: use nb.show(…, alt=…) and not plt.show()"
                elif kind == "text/html" and without_alt("".join(content)):
                    yield i, "an <img> in the output has no alt text"


def without_alt(text: str) -> bool:
    return any(
        not re.search(r"""\balt\s*=\s*("\s*[^"\s]|'\s*[^'\s])""", image) for image in re.findall(r"<img\b[^>]*>", text)
    )


def prose_numbers(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """A decimal in prose is a rounded number of some output of the notebook, or stands in its code: a figure that a new
    run contradicts is found.

    Left out: code, formulas, block quotes (they quote papers), addresses, and `CONSTANTS`. Whole numbers and
    percentages are not looked at: they count and define more often than they measure. A wrong figure can agree with
    another number by chance: measured on this course, one to twelve in a hundred do with three decimals, half of them
    with two. So figures in prose are worth three decimals, or a printed line beside them.
    """
    printed = [float(number) for number in re.findall(r"\d*\.\d+|\d+", shown_text(notebook))]
    written = {
        float(number) for _, cell in code_cells(notebook) for number in re.findall(r"\d*\.\d+|\d+", cell.source)
    } | set(CONSTANTS)
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        prose = re.sub(
            r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|^ *>.*?$|\]\([^)]*\)|arXiv[ :]\S+",
            " ",
            cell.source,
            flags=re.DOTALL | re.MULTILINE,
        )
        for number in re.findall(r"(?<![\w.])\d*\.\d+(?![\w.]*\d)", prose):
            half = 0.5000001 * 10.0 ** -len(number.split(".")[1])
            if float(number) not in written and not any(abs(value - float(number)) <= half for value in printed):
                yield i, f"the number {number} is in no output and in no code cell: print it, or mend the text"


def shown_text(notebook: NotebookNode) -> str:
    """What a notebook's outputs say, without tags and pictures."""
    parts = []
    for _, cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "stream":
                parts.append(output.text)
            for kind, content in output.get("data", {}).items():
                if kind == "text/plain":
                    parts.append("".join(content))
                elif kind == "text/html":
                    unseen = r"<svg.*?</svg>|<style.*?</style>|src=\"[^\"]*\"|style=\"[^\"]*\""
                    bare = re.sub(unseen, " ", "".join(content), flags=re.DOTALL)
                    parts.append(re.sub(r"</?[a-z][^>\"]*>", " ", bare))
    return "\n".join(parts)


def static_twins(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """A kept output of a widget is its static twin, not a view whose model is gone or the text `VBox(…)`."""
    for i, cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            if LIVE_VIEW in data:
                yield i, "a live view is kept in the file: run make notebooks"
            if "text/html" not in data and re.match(
                r"(VBox|HBox|Box|HTML|Image|[A-Z]\w*Slider|RadioButtons|Dropdown|Button)\(", data.get("text/plain", "")
            ):
                yield i, f"a widget without a static twin: {data['text/plain'][:40]}…"


def clean_metadata(notebook: NotebookNode, source: NotebookNode) -> Remarks:
    """Nothing in the metadata that changes from run to run. GitHub refuses a notebook whose metadata.widgets lacks its
    state.
    """
    for name in sorted({"widgets", "papermill", "execution"} & set(notebook.metadata)):
        yield None, f"metadata.{name} is to be dropped: run make notebooks"
    for i, cell in enumerate(notebook.cells):
        for name in sorted({"widgets", "papermill", "execution", "ExecuteTime"} & set(cell.metadata)):
            yield i, f"metadata.{name} is to be dropped: run make notebooks"


GUARDS: dict[str, Callable[[NotebookNode, NotebookNode], Remarks]] = {
    "parity": parity,
    "header": header,
    "cell length": cell_length,
    "plain Python": parses,
    "forbidden names": forbidden_names,
    "parameters": parameters,
    "ignore budget": ignore_budget,
    "headings": headings,
    "folded answers": folded_answers,
    "execution counts": execution_counts,
    "kept outputs": kept_outputs,
    "clean outputs": clean_outputs,
    "alt texts": alt_texts,
    "prose numbers": prose_numbers,
    "static twins": static_twins,
    "clean metadata": clean_metadata,
}
