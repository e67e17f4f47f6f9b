"""What the tests here share: the address that JupyterLab prints, and a notebook that is opened and run there."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

# Of JupyterLab's own model: the state of the kernel, the counts of all code cells, and the errors in their outputs.
STATE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = panel.content.widgets.filter(cell => cell.model.type === 'code');
    const outputs = cells.flatMap(cell => cell.model.outputs.toJSON());
    return {
        status: panel.sessionContext.session?.kernel?.status,
        counts: cells.map(cell => cell.model.executionCount),
        errors: outputs.filter(output => output.output_type === 'error')
            .map(output => `${output.ename}: ${output.evalue}`),
    };
}"""
# A cell that fails ends the run, and so does a kernel that dies: nobody waits for the cells behind it.
ENDED = f"""() => {{
    const s = ({STATE})();
    const last = s.status === 'idle' && s.counts.every(count => count !== null);
    return last || s.errors.length > 0 || s.status === 'dead' || s.status === 'autorestarting';
}}"""


def printed_address(server: subprocess.Popen, log: Path, seconds: int) -> re.Match[str]:
    """The address in a server's log: all of it, and in groups 1 to 3 its base, its port and its token."""
    for _ in range(4 * seconds):
        if found := re.search(r"(http://127\.0\.0\.1:(\d+))/lab\S*\?token=(\w+)", log.read_text()):
            return found
        if server.poll() is not None:
            break
        time.sleep(0.25)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def run_all(tab: Any, address: str, seconds: int) -> None:
    """Open a notebook in a tab and run it from its first cell to its last; none may fail."""
    tab.goto(address)
    tab.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
    tab.wait_for_function("window.jupyterapp?.shell.currentWidget?.context")
    tab.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    tab.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    tab.wait_for_function(ENDED, timeout=1000 * seconds, polling=500)
    state = tab.evaluate(STATE)
    assert state["errors"] == []
    assert state["counts"] == list(range(1, len(state["counts"]) + 1)), (
        f"not every cell ran, the kernel is {state['status']}"
    )
