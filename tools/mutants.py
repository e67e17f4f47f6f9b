"""Break the kit on purpose, one small change at a time, and see that the tests notice.

python tools/mutants.py                # every list in tests/mutants
python tools/mutants.py data rest:3    # one list, and the third entry of another

A list is `tests/mutants/NAME.toml`, an array of tables `[[mutant]]`: `file` to change, `what` is wrong in one line,
`old` text that stands exactly once in the file, `new` text in its place, and `tests`: the test files, or `file::test`,
of which one must fail. Only a failed test counts, or a hang beyond the time limit: a mutant that cannot be read, or
tests that cannot be collected, are an error of the list.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
LISTS = Path("tests") / "mutants"
KEYS = {"file": str, "what": str, "old": str, "new": str, "tests": list}
#: What a run of the tests may read, of which each worker has a copy.
COPIED = (
    *("bench", "binder", "cmhkit", "docs", "notebooks", "tests", "tools"),
    *("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "constraints.txt", "environment.yml", "pyproject.toml"),
)
#: What the tests' cached data are made by: a mutant of these starts from an empty cache folder, any other from what the
#: unchanged tests left.
MAKES_DATA = re.compile(r"cmhkit/(data/.*|nn/(features|backbones|photos)\.py|codes\.py|progress\.py|errors\.py)")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
#: Plug-ins that the tests do without take two seconds to load. With CI, Hypothesis draws the same examples every time
#: and does not mind a busy machine.
QUIET = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "1"}
#: Seconds that a mutant's tests may take: these, and so many times what they take without it.
LIMIT, TIMES = 60.0, 4
# pytest: no test failed, at least one did.
_PASSED, _FAILED = 0, 1


class ListError(ValueError):
    """A list of mutants is wrong or stale; the message names the entry."""


@dataclass(frozen=True)
class Mutant:
    """One change that the tests must notice. name: the list and the number of the entry in it, from 1."""

    name: str
    file: str
    what: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.file}: {self.what}"


@dataclass(frozen=True)
class Result:
    """What became of a mutant. outcome: "caught", "survived" or "error". by: the failed test, or what went wrong."""

    mutant: Mutant
    outcome: str
    seconds: float
    by: str

    def __str__(self) -> str:
        word = "SURVIVED" if self.outcome == "survived" else self.outcome
        return f"{word:8} {self.seconds:5.1f} s  {self.mutant}" + (f"  ({self.by})" if self.by else "")


# ── The lists ─────────────────────────────────────────────────────────────────────────────────────────────────────


def read_lists(root: Path, names: Sequence[str] = ()) -> list[Mutant]:
    """The mutants of all lists, or of those named: "data", or "data:3" for its third entry. Errors: `ListError`."""
    files = {path.stem: path for path in sorted((root / LISTS).glob("*.toml"))}
    everything = {name: read_list(path) for name, path in files.items()}
    if not names:
        return [mutant for mutants in everything.values() for mutant in mutants]
    chosen = []
    for name in names:
        stem = name.partition(":")[0]
        matching = [mutant for mutant in everything.get(stem, []) if name in (stem, mutant.name)]
        if not matching:
            raise ListError(f"{name}: no such list or entry in {root / LISTS}; there are {', '.join(files) or 'none'}")
        chosen += matching
    return list(dict.fromkeys(chosen))


def read_list(path: Path) -> list[Mutant]:
    """The entries of one list. Errors: `ListError` for what is no such list."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ListError(f"{path}: no list of mutants ({error})") from error
    entries = content.get("mutant")
    if set(content) != {"mutant"} or not isinstance(entries, list) or not entries:
        raise ListError(f"{path}: expected tables [[mutant]] and nothing else, got {', '.join(content) or 'nothing'}")
    return [_mutant(f"{path.stem}:{number}", entry) for number, entry in enumerate(entries, 1)]


def _mutant(name: str, entry: Mapping[str, Any]) -> Mutant:
    good = (
        isinstance(entry, dict)
        and set(entry) == set(KEYS)
        and all(isinstance(entry[key], kind) and entry[key] != kind() for key, kind in KEYS.items() if key != "new")
    )
    if not good or not isinstance(entry["new"], str) or not all(isinstance(test, str) for test in entry["tests"]):
        raise ListError(
            f"{name}: expected the keys {', '.join(KEYS)}; all texts, but tests a list of them; got {entry}"
        )
    return Mutant(**{**entry, "name": name, "tests": tuple(entry["tests"])})


def staleness(mutant: Mutant, root: Path) -> Iterator[str]:
    """What no longer fits the files, a sentence each."""
    file = root / mutant.file
    if not file.is_file():
        yield f"{mutant}: there is no such file"
        return
    text = file.read_text(encoding="utf-8")
    if (count := text.count(mutant.old)) != 1:
        yield f"{mutant}: expected `old` exactly once in the file, found it {count} times: {mutant.old!r}"
    elif mutant.new == mutant.old:
        yield f"{mutant}: `new` is `old`"
    elif file.suffix == ".py":
        try:
            compile(mutated(text, mutant), mutant.file, "exec")
        except SyntaxError as error:
            yield f"{mutant}: the changed file is no Python ({error})"
    for test in mutant.tests:
        path, _, function = test.partition("::")
        if not (root / path).is_file():
            yield f"{mutant}: there is no {path}"
        elif function and f"\ndef {function.partition('[')[0]}(" not in (root / path).read_text(encoding="utf-8"):
            yield f"{mutant}: there is no test {function} in {path}"


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the change made."""
    return text.replace(mutant.old, mutant.new)


# ── One worker's copy ─────────────────────────────────────────────────────────────────────────────────────────────


class Copy:
    """A throwaway copy of the kit in `folder`, in which tests run, one run at a time."""

    def __init__(self, root: Path, folder: Path, cache: Path) -> None:
        self.tree, self.cache, self.temporary, self.prepared = folder / "tree", folder / "cache", folder / "tmp", cache
        self.process: subprocess.Popen[str] | None = None
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            elif (root / name).is_file():
                self.tree.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, self.tree / name)
        self.temporary.mkdir(parents=True)
        # Compiled once, and believed by content only: a changed file may have the old one's size and second.
        by_content = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.tree / "cmhkit", quiet=2, invalidation_mode=by_content)
        self._check_import()

    def _check_import(self) -> None:
        """The kit may be installed from elsewhere; the tests must read this copy."""
        command = [sys.executable, "-c", "import cmhkit; print(cmhkit.__file__)"]
        imported = subprocess.run(
            command, cwd=self.tree, env=self._environment(self.prepared), capture_output=True, text=True, check=True
        ).stdout.strip()
        expected = self.tree / "cmhkit" / "__init__.py"
        if Path(imported).resolve() != expected.resolve():
            raise RuntimeError(f"expected the tests to import {expected}, got {imported}")

    def _environment(self, cache: Path) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.temporary)}
        caches = {"CMHKIT_CACHE": str(cache), "CMHKIT_TEST_CACHE": str(cache)}
        return os.environ | ONE_THREAD | QUIET | own | caches

    def run(self, tests: Iterable[str], cache: Path, limit: float | None) -> tuple[int | None, str]:
        """Run tests. Returns pytest's exit status, None where the time limit was met, and what it printed."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "--no-header"]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", dir=self.temporary) as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *tests],
                cwd=self.tree,
                env=self._environment(cache),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                status: int | None = self.process.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                self.end()
            output.seek(0)
            return status, output.read()

    def end(self) -> None:
        """End the run and what it started."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        with suppress(psutil.Error):
            for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                with suppress(psutil.Error):
                    member.kill()
        process.wait()

    def try_mutant(self, mutant: Mutant, limit: float) -> Result:
        """Make the change, run the tests, and take the change back."""
        file = self.tree / mutant.file
        original = file.read_bytes()
        shutil.rmtree(self.cache, ignore_errors=True)
        if MAKES_DATA.fullmatch(mutant.file) or not self.prepared.is_dir():
            self.cache.mkdir()
        else:
            shutil.copytree(self.prepared, self.cache)
        started = time.monotonic()
        try:
            file.write_text(mutated(original.decode("utf-8"), mutant), encoding="utf-8")
            status, output = self.run(mutant.tests, self.cache, limit)
        finally:
            file.write_bytes(original)
        seconds = time.monotonic() - started
        if status is None:
            return Result(mutant, "caught", seconds, f"hang: not done after {limit:.0f} s")
        failed = re.search(r"^FAILED (\S+::\S+)", output, re.MULTILINE)
        if status == _FAILED and failed:
            return Result(mutant, "caught", seconds, failed[1])
        if status == _PASSED:
            return Result(mutant, "survived", seconds, "")
        return Result(mutant, "error", seconds, f"no test failed, {_end_of(status, output)}")


def _end_of(status: int | None, output: str) -> str:
    return "\n    ".join([f"pytest ended with status {status}:", *output.rstrip().splitlines()[-15:]])


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────────────


def run_all(mutants: Sequence[Mutant], root: Path, workers: int, limit: float = LIMIT) -> Iterator[Result]:
    """Try every mutant; results come as they end.

    Errors: `ListError` for stale entries, all of them, and where the tests fail without any mutant.
    """
    if stale := [sentence for mutant in mutants for sentence in staleness(mutant, root)]:
        raise ListError("\n".join(stale))
    folder = tempfile.TemporaryDirectory(prefix="cmhkit-mutants-", ignore_cleanup_errors=True)
    with folder as scratch, ThreadPoolExecutor(workers) as pool:
        cache = Path(scratch) / "cache"
        cache.mkdir()
        copies = [Copy(root, Path(scratch) / f"worker-{number}", cache) for number in range(min(workers, len(mutants)))]
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            free.put(copy)
        waiting: list[Future[Any]] = []
        try:
            unchanged = _unchanged(mutants, free, cache, pool, waiting)

            def tried(mutant: Mutant) -> Result:
                copy = free.get()
                try:
                    return copy.try_mutant(mutant, limit + TIMES * sum(unchanged[_file(test)] for test in mutant.tests))
                finally:
                    free.put(copy)

            # The slowest first, so that no worker is left alone with one at the end.
            slowest_first = sorted(mutants, key=lambda mutant: -sum(unchanged[_file(test)] for test in mutant.tests))
            waiting += [pool.submit(tried, mutant) for mutant in slowest_first]
            for future in as_completed(waiting[-len(mutants) :]):
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()
            for copy in copies:
                copy.end()


def _file(test: str) -> str:
    return test.partition("::")[0]


def _unchanged(
    mutants: Sequence[Mutant],
    free: queue.SimpleQueue[Copy],
    cache: Path,
    pool: Executor,
    waiting: list[Future[Any]],
) -> dict[str, float]:
    """The seconds of each test file, or of its tests that are named, unchanged. Errors: `ListError` if one fails."""
    named: dict[str, set[str]] = {}
    for test in (test for mutant in mutants for test in mutant.tests):
        named.setdefault(_file(test), set()).add(test)

    def timed(file: str) -> float:
        copy, started = free.get(), time.monotonic()
        try:
            status, output = copy.run([file] if file in named[file] else sorted(named[file]), cache, None)
        finally:
            free.put(copy)
        if status != _PASSED:
            raise ListError(f"the tests fail without any mutant: {file}, {_end_of(status, output)}")
        return time.monotonic() - started

    running = {file: pool.submit(timed, file) for file in named}
    waiting += running.values()
    return {file: future.result() for file, future in running.items()}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """0: every mutant was caught. 1: some survived. 2: a list, or a test without any mutant, is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="lists, or entries such as data:3; none: all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds beyond {TIMES} times the unchanged ones")
    options = parser.parse_args(arguments)
    results = []
    try:
        mutants = read_lists(root, options.names)
        for result in run_all(mutants, root, max(1, options.workers), options.limit):
            print(result, flush=True)
            results.append(result)
    except ListError as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = ("caught", "survived", "error")
    caught, survived, wrong = ([r for r in results if r.outcome == outcome] for outcome in outcomes)
    for result in survived:
        print(f"\nSURVIVED {result.mutant}\n  - {result.mutant.old}\n  + {result.mutant.new}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    counts = f"{len(caught)} caught, {len(survived)} survived" + (f", {len(wrong)} wrong entries" if wrong else "")
    print(f"\n{counts}; {used.ru_utime + used.ru_stime:.0f} CPU seconds")
    return 2 if wrong else int(bool(survived))


if __name__ == "__main__":
    # Ended from outside, it still ends what it started and removes its copies.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
