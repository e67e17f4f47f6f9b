"""Build, check and measure the notebooks.

python tools/notebooks.py build [01 …]     # notebooks/src/*.py → notebooks/*.ipynb, executed; none named: all
python tools/notebooks.py guards [01 …]    # the guards alone, in seconds
python tools/notebooks.py check [01 …]     # guards, nbval strict and papermill (tests/notebooks)
python tools/notebooks.py measure [01 …]   # seconds and MB of each, and the course table in README.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cmhkit.support.files import write_atomically  # noqa: E402
from tools import guards  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
README = ROOT / "README.md"
CELL_LIMIT = 300  # seconds a cell may take
OUTER_LIMIT = 600  # seconds a notebook may take; papermill has hung on widgets before
KERNEL = "python3"
START, END = "<!-- course-table -->", "<!-- /course-table -->"


class NotebookError(RuntimeError):
    """A notebook could not be built or run; the message is for whoever wrote it."""


# ── Which notebooks there are ─────────────────────────────────────────────────────────────────────────────────────────


def sources(names: Sequence[str] = (), folder: Path = NOTEBOOKS) -> list[Path]:
    """The sources `src/NN_name.py`, in order; if `names` are given, those whose file name starts with one of them."""
    paths = sorted((folder / "src").glob("[0-9][0-9]_*.py"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            raise NotebookError(f"no source in {folder / 'src'} starts with {name!r}")
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def built_path(source: Path) -> Path:
    """notebooks/src/01_x.py → notebooks/01_x.ipynb"""
    return source.parent.parent / f"{source.stem}.ipynb"


def read_source(source: Path) -> NotebookNode:
    """A source as a notebook: the same cell ids every time, no outputs."""
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    about = notebook.metadata.get("cmhkit", {})
    notebook.metadata = NotebookNode(
        cmhkit=about,
        kernelspec={"display_name": "Python 3", "language": "python", "name": KERNEL},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
        cell.id = f"{position:03d}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    return notebook


# ── Running one ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Cost:
    """What a run took: wall seconds, and the largest sum of resident memory of the kernel and its children, in MB."""

    seconds: float
    megabytes: float


#: What a lesson must not depend on: the lessons set their threads themselves, and no kernel here is a front end's.
NOT_PASSED_ON = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "JPY_SESSION_NAME")


def environment(gpu: bool = False) -> dict[str, str]:
    """This process's variables without `NOT_PASSED_ON`, as a newcomer has them; the GPU hidden unless asked for."""
    passed_on = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    return {**passed_on, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **({} if gpu else {"CUDA_VISIBLE_DEVICES": ""})}


def run_limited(
    command: Sequence[str],
    limit: float,
    cwd: Path,
    env: Mapping[str, str],
    each_moment: Callable[[int], None] | None = None,
) -> tuple[int, str]:
    """Run a command, at most `limit` seconds, and end it with all its children. Returns the exit status (124: too long)
    and its output.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + limit
        try:
            while (status := process.poll()) is None:
                if time.monotonic() > deadline:
                    status = 124
                    break
                if each_moment is not None:
                    each_moment(process.pid)
                time.sleep(0.05)
        finally:
            _end_session(process)
        output.seek(0)
        return status, output.read()


def _end_session(process: subprocess.Popen) -> None:
    """End the process and what it started: kernels lead sessions of their own, so they are named one by one."""
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def execute(
    notebook: NotebookNode,
    folder: Path = NOTEBOOKS,
    parameters: Mapping[str, Any] | None = None,
    limit: float = OUTER_LIMIT,
    gpu: bool = False,
    memory: bool = False,
) -> tuple[NotebookNode, Cost]:
    """Run a notebook with papermill in `folder`. memory: look at it twenty times a second, at a third of a core;
    else the cost says 0 MB. Raises NotebookError on an unknown parameter, a failing cell, or after `limit` seconds.
    """
    parameters = dict(parameters or {})
    if unknown := set(parameters) - guards.parameter_names(notebook):
        raise NotebookError(
            f"unknown parameters {sorted(unknown)}; this notebook has {sorted(guards.parameter_names(notebook))}"
        )
    import psutil

    peak = 0

    def sample(worker: int) -> None:
        nonlocal peak
        total = 0
        try:
            for member in psutil.Process(worker).children(recursive=True):  # the kernel's, not papermill itself
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak = max(peak, total)

    with tempfile.TemporaryDirectory() as scratch:
        before, after, values = (
            Path(scratch) / "before.ipynb",
            Path(scratch) / "after.ipynb",
            Path(scratch) / "parameters.json",
        )
        nbformat.write(notebook, before)
        values.write_text(json.dumps(parameters))
        command = [sys.executable, str(Path(__file__).resolve()), "_run", str(before), str(after), str(values)]
        started = time.perf_counter()
        status, output = run_limited(command, limit, folder, environment(gpu), sample if memory else None)
        seconds = time.perf_counter() - started
        if status == 124:
            raise NotebookError(f"ran past {limit:.0f} seconds")
        if status != 0:
            raise NotebookError(output.strip()[-4000:])
        return nbformat.read(after, as_version=4), Cost(seconds, peak / 1e6)


def _run(before: str, after: str, values: str) -> None:
    """What the worker process does: papermill, in the current folder."""
    import papermill

    parameters = json.loads(Path(values).read_text())
    options = {
        "kernel_name": KERNEL,
        "execution_timeout": CELL_LIMIT,
        "progress_bar": False,
        "log_output": False,
        "cwd": os.getcwd(),
    }
    try:
        papermill.execute_notebook(before, after, parameters, **options)
    except papermill.PapermillExecutionError as error:
        sys.exit(f"cell {error.cell_index} failed with {error.ename}: {error.evalue}\n" + "\n".join(error.traceback))


# ── build ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def clean(executed: NotebookNode, source: NotebookNode) -> NotebookNode:
    """The source with the outputs and counts of an executed copy, and nothing else of it: no timings, widget state or
    live views.
    """
    result = nbformat.from_dict(source)
    for cell, ran in zip(result.cells, executed.cells, strict=True):
        if cell.cell_type != "code":
            continue
        cell.execution_count = ran.execution_count
        cell.outputs = joined(ran.outputs)
        for output in cell.outputs:
            output.get("data", {}).pop(guards.LIVE_VIEW, None)
            if "metadata" in output:
                output.metadata = NotebookNode()
    nbformat.validate(result)
    return result


def joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Outputs with neighbouring pieces of the same stream in one: where the kernel cut them is chance."""
    result: list[NotebookNode] = []
    for output in outputs:
        last = result[-1] if result else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def build(source: Path) -> tuple[Path, list[guards.Problem]]:
    """Build and execute one notebook; returns its path and what the guards say. The file changes only after a run
    without errors.
    """
    written = read_source(source)
    executed, _ = execute(written, built_path(source).parent)
    notebook = clean(executed, written)
    target = built_path(source)
    write_atomically(target, lambda part: part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8"))
    return target, guards.problems(notebook, written)


def guard(source: Path) -> list[guards.Problem]:
    """What the guards say of a built notebook."""
    target = built_path(source)
    if not target.exists():
        return [guards.Problem("parity", None, f"{target.name} is not built: run make notebooks")]
    return guards.problems(nbformat.read(target, as_version=4), read_source(source))


# ── measure ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def table(costs: Mapping[Path, Cost]) -> str:
    """The course table, in Markdown. `costs` is keyed by source."""
    lines = [
        "| notebook | what it walks through | widget | minutes to read | seconds to run | MB resident |",
        "| --- | --- | --- | --: | --: | --: |",
    ]
    for source, cost in costs.items():
        about = read_source(source).metadata.cmhkit
        link = f"[{source.stem}](notebooks/{source.stem}.ipynb)"
        cells = [
            link,
            about["walks_through"],
            about["widget"],
            about["minutes"],
            f"{cost.seconds:.0f}",
            f"{cost.megabytes:.0f}",
        ]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def put_table(text: str, new: str, keep: bool = False) -> str:
    """README's text with `new` between the markers; with `keep`, rows of notebooks that were not measured this time
    stay as they were.
    """
    if START not in text or END not in text:
        raise NotebookError(f"README.md lacks the markers {START} and {END}")
    before, rest = text.split(START, 1)
    old, after = rest.split(END, 1)
    rows = {
        line.split("|")[1].strip(): line
        for line in [*(old.strip().splitlines()[2:] if keep else []), *new.splitlines()[2:]]
        if line.startswith("|")
    }
    return (
        f"{before}{START}\n"
        + "\n".join([*new.splitlines()[:2], *(rows[key] for key in sorted(rows))])
        + f"\n{END}{after}"
    )


# ── Command line ──────────────────────────────────────────────────────────────────────────────────────────────────────


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["_run"]:
        _run(*arguments[1:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["build", "guards", "check", "measure"])
    parser.add_argument("names", nargs="*", help="numbers or beginnings of file names; none: all")
    options = parser.parse_args(arguments)
    try:
        chosen = sources(options.names)
        if options.command == "check":
            chosen_only = ["-k", " or ".join(path.stem for path in chosen)] if options.names else []
            return subprocess.call(
                [sys.executable, "-m", "pytest", "tests/notebooks", *chosen_only], cwd=ROOT, env=environment(gpu=True)
            )
        if options.command == "measure":
            return _measure(chosen, keep=bool(options.names))
        return _build_or_guard(chosen, options.command == "build")
    except NotebookError as error:
        print(f"notebooks: {error}", file=sys.stderr)
        return 1


def _build_or_guard(chosen: Sequence[Path], building: bool) -> int:
    failed = 0
    for source in chosen:
        try:
            started = time.perf_counter()
            problems = build(source)[1] if building else guard(source)
            print(
                f"{source.stem}: {f'built in {time.perf_counter() - started:.0f} s' if building else 'read'}",
                flush=True,
            )
        except NotebookError as error:
            problems = []
            failed += 1
            print(f"{source.stem}: {error}", file=sys.stderr, flush=True)
        for problem in problems:
            print(f"  {problem}", flush=True)
        failed += any(not problem.warning for problem in problems)
    if not chosen:
        print("no sources in notebooks/src", file=sys.stderr)
    return 1 if failed or not chosen else 0


def _measure(chosen: Sequence[Path], keep: bool) -> int:
    costs = {}
    for source in chosen:
        costs[source] = execute(read_source(source), built_path(source).parent, memory=True)[1]
        print(f"{source.stem}: {costs[source].seconds:.1f} s, {costs[source].megabytes:.0f} MB", flush=True)
    page = put_table(README.read_text(encoding="utf-8"), table(costs), keep)
    write_atomically(README, lambda part: part.write_text(page, encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
