"""Each notebook with a widget, opened in JupyterLab and run from its first cell to its last, on the tiny data.

The strict check runs notebooks at their own size, without a browser. Here a reader's eyes count: no error on the page
or in the console, every picture has a text, the widget is there and takes the focus. Screenshots go to out/browser/ for
people to look at.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from in_lab import run_all

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
BUILT = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
WITH_WIDGET = [path for path in BUILT if nbformat.read(path, as_version=4).metadata.cmhkit["widget"] != "–"]
WIDTHS = {1280: "light", 800: "dark"}


def prepared(path: Path, folder: Path) -> str:
    """A copy of a notebook without outputs, on the tiny data. Returns its name."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r'^size = "lab"$', 'size = "tiny"', cell.source, flags=re.M)
    nbformat.write(notebook, folder / path.name)
    return path.name


@pytest.mark.parametrize("path", WITH_WIDGET, ids=lambda path: path.stem)
def test_a_notebook_runs_in_the_browser(new_tab, lab: str, lab_root: Path, shots: Path, path: Path) -> None:
    page = new_tab()
    try:
        run_all(page, lab.format(prepared(path, lab_root)), 240)
        assert page.problems == []
        silent = page.locator(".jp-OutputArea-output img:not([alt]), .jp-OutputArea-output img[alt='']").count()
        assert silent == 0, f"{silent} pictures without a text"

        widget = page.locator(".jp-OutputArea-output:has(.cmh-status)").first
        widget.scroll_into_view_if_needed()
        controls = widget.locator("button:visible, input:visible, select:visible, textarea:visible")
        assert controls.count() > 0
        controls.first.focus()
        assert page.evaluate("document.activeElement.closest('.jp-OutputArea-output') !== null")
        for width, theme in WIDTHS.items():
            page.evaluate(
                f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme.title()}'}})"
            )
            page.set_viewport_size({"width": width, "height": 900})
            widget.scroll_into_view_if_needed()
            page.wait_for_timeout(500)
            page.screenshot(path=shots / f"notebook-{path.stem}-{width}-{theme}.png")
    finally:
        page.evaluate("window.jupyterapp?.shell.currentWidget?.sessionContext.shutdown()")
        page.context.close()
