"""Progress in JupyterLab: a bar while somebody looks, and nothing of it in the notebook that is saved."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.timeout(180)

WORK = """print('before')
from time import sleep
from cmhkit.support.progress import progress
with progress(60, 'Working') as step:
    for _ in range(60):
        sleep(0.1)
        step()
print('after')"""


def test_a_bar_is_seen_and_not_kept(new_tab, lab: str, lab_root: Path, shots: Path) -> None:
    path = lab_root / "progress.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WORK)])
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(notebook, path)
    page = new_tab()
    try:
        page.goto(lab.format(path.name))
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context")
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        bar = page.locator(".jp-OutputArea-output progress")
        bar.wait_for(timeout=60_000)
        before = float(bar.get_attribute("value"))
        page.screenshot(path=shots / "progress.png")
        page.wait_for_function(
            f"Number(document.querySelector('.jp-OutputArea-output progress')?.value) > {before}", timeout=10_000
        )
        assert "of 60" in bar.get_attribute("aria-label")
        page.wait_for_selector("text=after >> nth=-1")
        bar.wait_for(state="detached", timeout=20_000)
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
        outputs = nbformat.read(path, as_version=4).cells[0].outputs
        assert [output.get("text", output.get("data")) for output in outputs] == ["before\n", {}, "after\n"]
        assert "widgets" not in nbformat.read(path, as_version=4).metadata
        assert page.problems == []
    finally:
        page.evaluate("window.jupyterapp?.shell.currentWidget?.sessionContext.shutdown()")
        page.context.close()
