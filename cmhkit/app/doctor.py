"""Is this machine ready for the course? `cmhkit doctor` in a terminal, `ck.doctor.run()` in a notebook.

Every row says what was looked at, what was found and, unless all is well, what to do. FAIL: the course will not run.
WARN: it runs, but slower, or with numbers that differ from the printed ones.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cmhkit.support.show import as_html

#: Where the kit is.
KIT = Path(__file__).resolve().parents[1]
OK, WARN, FAIL = "OK", "WARN", "FAIL"
OLDEST_PYTHON = (3, 11)
GIGABYTE = 1e9
NEEDED_MEMORY = 2.0  # GB; a lesson stays under 0.9
CHECKED_SIZE = 500_000_000  # bytes; larger cache folders are checked when they are loaded, not here
NEEDED_DISK = 1.0  # GB; the data of the lessons and of the measurements


@dataclass(frozen=True)
class Row:
    """One line of the report. status: "OK", "WARN" or "FAIL". what: the thing looked at. state: what it is. advice:
    what to do, or "".
    """

    status: str
    what: str
    state: str
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """All rows; `.ok` is False when a row is FAIL. Prints as a plain table, and shows as one in a notebook."""

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether the course can run: no row is FAIL."""
        return all(row.status != FAIL for row in self.rows)

    @property
    def summary(self) -> str:
        """One sentence about the whole."""
        failed = sum(row.status == FAIL for row in self.rows)
        warned = sum(row.status == WARN for row in self.rows)
        if failed:
            return f"Not ready: {failed} of {len(self.rows)} checks failed. Do what stands behind the arrows."
        if warned:
            return f"Ready, with {warned} remark{'s' * (warned > 1)}."
        return "Ready."

    def __str__(self) -> str:
        width = max(len(row.what) for row in self.rows)
        lines = []
        for row in self.rows:
            lines.append(f"{row.status:<4}  {row.what:<{width}}  {row.state}")
            if row.advice:
                lines.append(f"{'':<4}  {'':<{width}}  -> {row.advice}")
        return "\n".join([*lines, self.summary])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [(row.status, row.what, row.state, row.advice) for row in self.rows]
        return as_html([("status", "looked at", "found", "what to do"), *rows], self.summary, left=True)


def run() -> Report:
    """Look at Python, packages, PyTorch, memory, cores, disk, the data cache and JupyterLab. Reads only, apart from one
    file that it writes into the cache folder and removes. Never raises: a check that breaks is a FAIL row."""
    rows: list[Row] = []
    for name, look in (
        ("Python", look_at_python),
        ("packages", look_at_packages),
        ("PyTorch", look_at_torch),
        ("processor", look_at_cores),
        ("memory", look_at_memory),
        ("cache folder", look_at_cache),
        ("JupyterLab", look_at_jupyter),
    ):
        try:
            rows.extend(look())
        except Exception as error:
            broken = f"the check itself broke: {type(error).__name__}: {error}"
            rows.append(Row(FAIL, name, broken, "please report this with the whole table"))
    return Report(tuple(rows))


def look_at_python() -> list[Row]:
    """Version and place of the interpreter, and the version of the kit."""
    from cmhkit import __version__

    version = f"{platform.python_version()} ({short(sys.executable)})"
    kit = Row(OK, "cmhkit", f"{__version__} ({short(KIT)})")
    if sys.version_info < OLDEST_PYTHON:
        advice = "cmhkit needs Python 3.11 or newer: make clean, then make lab PYTHON=python3.12"
        return [kit, Row(FAIL, "Python", version, advice)]
    return [kit, Row(OK, "Python", version)]


def look_at_packages(constraints: Path | None = None) -> list[Row]:
    """Every package that the kit needs is there, in the version of constraints.txt. constraints: another file than the
    checkout's.
    """
    needed = required_packages()
    path = constraints or KIT.parent / "constraints.txt"
    pins = read_pins(path) if path.is_file() else {}
    advice = "run make lab again, or: pip install -c constraints.txt -e '.[lab]'"
    rows = [Row(FAIL, name, "not installed", advice) for name in needed if installed_version(name) is None]
    others = []
    for name, wanted in pins.items():
        version = installed_version(name)
        if version is not None and version.split("+")[0] != wanted:
            others.append(f"{name} {version} (tested: {wanted})")
    if others:
        advice = "printed numbers may differ from yours; for the tested versions: make clean, then make lab"
        rows.append(Row(WARN, "versions", "; ".join(others), advice))
    if not rows:
        against = "in the versions of constraints.txt"
        if not pins:
            against = "versions not compared: there is no constraints.txt beside the kit"
        rows.append(Row(OK, "packages", f"all {len(needed)} are installed, {against}"))
    return rows


def look_at_torch() -> list[Row]:
    """PyTorch imports, and which device `device="auto"` takes."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        return [Row(FAIL, "PyTorch", f"import fails: {error}", "make clean, then make lab")]
    if torch.cuda.is_available():
        device = f"GPU: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        device = "GPU: Apple (mps)"
    else:
        device = "processor only, which all lessons are made for"
    threads = torch.get_num_threads()
    rows = [Row(OK, "PyTorch", f"{torch.__version__}, {threads} thread{'s' * (threads != 1)}; device: {device}")]
    if threads > available_cores():
        slow = "threads that wait for each other are slower than one"
        advice = f"set OMP_NUM_THREADS=1: {slow} (the lessons do this themselves)"
        rows.append(Row(WARN, "threads", f"PyTorch uses {threads} threads on {available_cores():g} cores", advice))
    return rows


def look_at_cores() -> list[Row]:
    """Cores that this process may use."""
    cores = available_cores()
    if cores < 1:
        return [Row(WARN, "processor", f"{cores:g} of a core", "the lessons take longer than the minutes they name")]
    return [Row(OK, "processor", f"{cores:g} core{'s' * (cores != 1)}")]


def look_at_memory() -> list[Row]:
    """Memory that this process may use."""
    total = available_memory()
    if total is None:
        return [Row(OK, "memory", "this system does not tell")]
    if total < NEEDED_MEMORY:
        needs = "a lesson needs up to 0.9 GB beside JupyterLab and the browser"
        advice = f"{needs}: run one notebook at a time ({NEEDED_MEMORY:.0f} GB are enough)"
        return [Row(WARN, "memory", f"{total:.1f} GB", advice)]
    return [Row(OK, "memory", f"{total:.1f} GB")]


def look_at_cache() -> list[Row]:
    """The cache folder can be written, has room, and what it holds matches its checksums."""
    from cmhkit.data import cache

    advice = "name a folder that you may write: export CMHKIT_CACHE=/some/folder"
    try:
        folder = cache.cache_dir()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"cmhkit")
    except OSError as error:
        return [Row(FAIL, "cache folder", f"cannot be written: {error}", advice)]
    rows = [Row(OK, "cache folder", short(folder))]
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < NEEDED_DISK:
        rows.append(Row(WARN, "free disk", f"{free:.1f} GB", f"free {NEEDED_DISK:.0f} GB, or {advice}"))
    else:
        rows.append(Row(OK, "free disk", f"{free:.0f} GB"))
    whole: set[str] = set()
    damaged: set[str] = set()
    for part in folder.iterdir():
        if not part.name.startswith(".") and (part / cache.MANIFEST).is_file():
            large = sum(file.stat().st_size for file in part.iterdir() if file.is_file()) > CHECKED_SIZE
            fine = large or cache.damage(part) is None
            (whole if fine else damaged).add(part.name.rpartition("-")[0] or part.name)
    if damaged:
        remedy = "nothing to do: it is built again when it is used"
        rows.append(Row(WARN, "data", f"damaged: {', '.join(sorted(damaged))}", remedy))
    parts = [f"built: {', '.join(sorted(whole))}"] if whole else []
    if "scenes-lab" not in whole:
        parts.append("the lessons' scenes are built at first use (or now: cmhkit data build)")
    rows.append(Row(OK, "data", "; ".join(parts)))
    return rows


def look_at_jupyter() -> list[Row]:
    """JupyterLab is installed, and the kernel `python3` is this Python."""
    version = installed_version("jupyterlab")
    if version is None:
        return [
            Row(FAIL, "JupyterLab", "not installed", "run make lab, or: pip install -c constraints.txt -e '.[lab]'")
        ]
    rows = [Row(OK, "JupyterLab", version)]
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:
        return [
            *rows,
            Row(
                FAIL, "kernel", f"python3 is not there: {error}", "pip install ipykernel, in the environment of the kit"
            ),
        ]
    same = not os.path.isabs(program) or Path(program).absolute() == Path(sys.executable).absolute()
    if not same:
        advice = f"the notebooks would run in another Python: {sys.executable} -m ipykernel install --sys-prefix"
        return [*rows, Row(WARN, "kernel", f"python3 starts {program}", advice)]
    return [*rows, Row(OK, "kernel", "python3 is this Python")]


def required_packages() -> list[str]:
    """Names of the packages that the kit itself needs, without its extras."""
    lines = importlib.metadata.requires("cmhkit") or []
    return [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line]


def short(path: str | Path) -> str:
    """A path as a reader knows it: from the folder of the checkout or from the home folder, where it lies in one of
    them.
    """
    path = Path(path)
    checkout = KIT.parent
    for base, name in ((checkout, "."), (Path.home(), "~")):
        if path.is_relative_to(base):
            return str(Path(name) / path.relative_to(base))
    return str(path)


def read_pins(path: Path) -> dict[str, str]:
    """The `name==version` lines of a constraints file."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equal, version = line.split("#")[0].strip().partition("==")
        if equal:
            pins[name.strip()] = version.strip()
    return pins


def installed_version(name: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def available_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores that this process may use: affinity, and a container's limit. cgroup: where a container's limits stand."""
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:
        cores = float(os.cpu_count() or 1)
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        pass
    return cores


def available_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Memory in GB (10^9 bytes) that this process may use: the machine's, and a container's limit; None where the
    system does not tell.
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        total = min(total, int((cgroup / "memory.max").read_text()))
    except (OSError, ValueError):
        pass
    return total / GIGABYTE
