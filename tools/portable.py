"""Run the course strictly as other machines would: nothing a lesson keeps may depend on processor, threads or packages.

python tools/portable.py                             # every lesson as avx2 and newest (about half an hour)
python tools/portable.py 11 30 --machines avx2       # two lessons on one machine, in any order of words

A word is a machine's name or the beginning of a lesson's file name. The machines, each with a cache that starts empty:
  avx2      a processor without AVX-512, with one thread and with two
  baseline  one without AVX either: PyTorch's and MKL's general kernels; only where it is named, since lesson 00 prints
            ITQ's codes, which differ there
  newest    this processor, with a second environment: the newest version of each package, but the pinned PyTorch

The variables that choose kernels are set here, for the runs alone. On an AMD processor MKL takes its general kernels
whatever is asked for: there, avx2 changes those of NumPy and PyTorch only, and baseline reaches farthest.
Exit status: 0 all the same, 1 something differs or could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cmhkit.app.doctor import read_pins  # noqa: E402
from tools import notebooks, setup_venv, strict  # noqa: E402

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Which kernels PyTorch, MKL, OpenBLAS and oneDNN may choose. NumPy's are named by what it finds: `numpy_features`.
KERNELS = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
    "newest": {},
}
EXTRAS = ("lab", "test", "database")
BY_DEFAULT = ("avx2", "newest")
PROBE = """
import json, numpy
print(json.dumps(numpy.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])))
"""


@dataclass(frozen=True)
class Machine:
    """Whose kernels (a key of KERNELS), on how many threads, with which Python."""

    name: str
    threads: int
    python: Path

    def __str__(self) -> str:
        return f"{self.name}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def machines(names: Sequence[str], newest: Path) -> list[Machine]:
    """The machines of these names, in the order of KERNELS. newest: the folder of the second environment."""
    here, other = Path(sys.executable), newest / "bin" / "python"
    every = [("avx2", 1, here), ("avx2", 2, here), ("baseline", 1, here), ("newest", 1, other)]
    return [Machine(*machine) for machine in every if machine[0] in names]


def is_avx512(feature: str) -> bool:
    """Whether a feature in NumPy's list needs AVX-512. Newer releases call the common part of it X86_V4."""
    return feature.startswith("AVX512") or feature == "X86_V4"


def numpy_features(python: Path) -> list[str]:
    """The processor features beyond its baseline that this Python's NumPy would use here."""
    clean = {name: value for name, value in os.environ.items() if name != "NPY_DISABLE_CPU_FEATURES"}
    done = subprocess.run([python, "-c", PROBE], env=clean, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def variables(machine: Machine, features: Sequence[str], cache: Path) -> dict[str, str]:
    """What a run on this machine has in its environment.

    features: `numpy_features`. cache: a folder for this machine alone, so that nothing was made by other kernels.
    """
    off = {"avx2": [name for name in features if is_avx512(name)], "baseline": features, "newest": []}[machine.name]
    return {
        **dict.fromkeys(THREADS, str(machine.threads)),
        **KERNELS[machine.name],
        "NPY_DISABLE_CPU_FEATURES": " ".join(off),
        "CMHKIT_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def words(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """(lessons, machines) of the command line: a machine's name, or else the beginning of a lesson's file name."""
    return [word for word in given if word not in KERNELS], [word for word in given if word in KERNELS]


def report(verdict: strict.Verdict) -> list[str]:
    """The verdict's word, then its differences. A run of no cell, or one that skipped some, is no proof: it DIFFERS."""
    if verdict.passed and not verdict.failed:
        return ["same"]
    lines = [f"DIFFERS: {verdict.failed} of {verdict.passed + verdict.failed} cells"]
    for difference in verdict.differences:
        lines.append(f"  In [{difference.count}]")
        lines += [f"    {line}" for line in difference.lines]
    return lines


# ── The environment with the newest packages ────────────────────────────────────────────────────────────────────────


def newest_requirements(root: Path) -> list[str]:
    """The direct packages of pyproject.toml, core and EXTRAS, without versions; torch as constraints.txt pins it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [package for extra in EXTRAS for package in project["optional-dependencies"][extra]]
    direct = [*project["dependencies"], *extras]
    return [setup_venv.torch_requirement(root) if package == "torch" else package for package in direct]


def install_newest(venv: Path) -> None:
    """Make the environment if it is missing; bring each package to its newest version. SetupError where pip cannot."""
    python = venv / "bin" / "python"
    if not python.exists():
        setup_venv.run([setup_venv.PYTHON, "-m", "venv", str(venv)], f"Python could not make {venv}")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    source = setup_venv.torch_arguments(pip, setup_venv.torch_requirement(ROOT))
    newest = ["install", "-qq", "--no-warn-script-location", "--upgrade", "--upgrade-strategy", "eager"]
    failure = "pip could not install the newest packages; its own message stands above"
    setup_venv.run([*pip, *newest, *source, *newest_requirements(ROOT)], failure)


def other_versions(python: Path) -> list[str]:
    """`name kept → here` for each package of constraints.txt whose version in this environment is another."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    here = {package["name"].lower().replace("_", "-"): package["version"].split("+")[0] for package in listed}
    pins = read_pins(ROOT / "constraints.txt")
    return [f"{name} {pin} → {here[name]}" for name, pin in sorted(pins.items()) if name in here and here[name] != pin]


# ── Command line ────────────────────────────────────────────────────────────────────────────────────────────────────


def prepared(machine: Machine, venv: Path) -> list[str]:
    """Make the machine ready, say what is to be known of it, and return the features of its NumPy."""
    if machine.name == "newest":
        print(f"newest: bringing {venv} up to date (the first time takes minutes)", flush=True)
        install_newest(venv)
        print(
            f"newest: {', '.join(other_versions(machine.python)) or 'no version differs from constraints.txt'}",
            flush=True,
        )
    features = numpy_features(machine.python)
    if machine.name == "avx2" and not any(map(is_avx512, features)):
        print("avx2: this processor has no AVX-512 anyway; these runs use its own kernels", flush=True)
    return features


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="lessons and machines; none named: all")
    parser.add_argument("--machines", nargs="+", default=[], metavar="word", help="the same, read in the same way")
    venv_help = "the second environment (.venv-newest)"
    parser.add_argument("--newest-venv", type=Path, default=ROOT / ".venv-newest", metavar="folder", help=venv_help)
    options = parser.parse_args(arguments)
    lessons, names = words([*options.words, *options.machines])
    try:
        chosen = notebooks.sources(lessons)
        differing = 0
        wanted = machines(names or BY_DEFAULT, options.newest_venv.resolve())
        features = {}
        for machine in wanted:
            if machine.name not in features:
                features[machine.name] = prepared(machine, options.newest_venv)
            differing += run(machine, features[machine.name], chosen)
    except (notebooks.NotebookError, setup_venv.SetupError) as error:
        print(f"portable: {error}", file=sys.stderr)
        return 1
    runs = len(wanted) * len(chosen)
    print(f"{differing} of {runs} runs differ" if differing else f"all {runs} runs the same")
    return 1 if differing else 0


def run(machine: Machine, features: Sequence[str], sources: Sequence[Path]) -> int:
    """Run these lessons on one machine, a line each; the number that differ."""
    differing = 0
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        for source in sources:
            print(f"{machine!s:20s} {source.stem:32s} ", end="", flush=True)
            started = time.perf_counter()
            environment = variables(machine, features, cache)
            try:
                verdict = strict.run(notebooks.built_path(source), Path(scratch), machine.python, environment)
                word, *lines = report(verdict)
            except notebooks.NotebookError as error:
                word, *lines = ["DIFFERS: not run to its end", *str(error).splitlines()]
            print(f"{word}  ({time.perf_counter() - started:.0f} s)", *lines, sep="\n    ", flush=True)
            differing += word != "same"
    return differing


if __name__ == "__main__":
    sys.exit(main())
