"""The saved figures of lesson 40: sweeps over one option, and the five-seed tables in compact form.

Run:  python -m bench.sweeps             (about six minutes of one core: the sweeps, through papermill, then the
packaged files)
      python -m bench.sweeps more        (the same, and ADAH and SSAH at 128 bits: about a quarter of an hour more)
      python -m bench.sweeps collect     (the packaged files only, from what results/ holds)

A sweep is `sweep.py` with parameters. Its runs are kept in results/sweeps/, and a run that is there is not run again.
`collect` writes cmhkit/course/lessons/sweeps/scores.json (from
results/{quality-scenes,attention,supervision-scenes}.json and results/sweeps) and ablations.json (from results/sweeps).
Nothing else in these two files: published.json is typed in by hand, with its sources.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmhkit.support.files import write_atomically

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PACKAGED = ROOT / "cmhkit" / "course" / "lessons" / "sweeps"
SEEDS = range(5)
PLAIN = ("RandomHash", "CCA", "ITQ", "UGACH")  # in quality-scenes.json under their own names
ATTENTION = {
    "adversarial": "",
    "frozen": "a frozen random G",
    "none": "no attention, nothing hidden",
}  # the words of attention.json
DIRECTIONS = ("image → text", "text → image")


@dataclass(frozen=True)
class Sweep:
    """One method, one option, its values. held_out: training pairs held out to ask; 0 asks the real queries. default:
    the preset's value.
    """

    method: str
    option: str
    values: tuple
    default: Any
    fixed: dict[str, Any] = field(default_factory=dict)
    size: str = "tiny"
    held_out: int = 100
    seeds: tuple[int, ...] = (0, 1)
    bits: int = 32

    @property
    def name(self) -> str:
        """Of its file in results/sweeps."""
        return f"{self.method}-{self.option}"

    def parameters(self) -> dict[str, Any]:
        """What papermill hands to `sweep.py`."""
        own = {
            "method": self.method,
            "option": self.option,
            "values": list(self.values),
            "seeds": list(self.seeds),
            "fixed": self.fixed,
        }
        return own | {"bits": self.bits, "size": self.size, "held_out_pairs": self.held_out}


SWEEPS = (
    Sweep("UGACH", "k_text", (5, 15, 50, 150, 500), 50, {"rounds": 0}, "lab", 400),
    Sweep("ADAH", "margin", (4, 8, 16, 32, 64), 16, {"epochs": 15}),
    Sweep(
        "SSAH",
        "adversarial_weight",
        (0.0, 0.01, 0.1, 1.0, 10.0),
        0.1,
        {"epochs": 20, "pools": [], "adversarial_target": "flipped", "adversarial_loss": "cross-entropy"},
    ),
)
#: No sweeps, but runs that the benchmarks leave out: the preset at 128 bits, asked with the real queries.
LONG = tuple(
    Sweep(method, "bits", (128,), 32, size="lab", held_out=0, seeds=tuple(SEEDS)) for method in ("SSAH", "ADAH")
)


def run(sweep: Sweep, folder: Path = RESULTS / "sweeps") -> dict[str, list[float]]:
    """Run `sweep.py` with a sweep's parameters through papermill; returns {"value, seed s":
    [image → text, text → image]}. Finished runs are kept.
    """
    import jupytext
    import nbformat
    import papermill

    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{sweep.name}.json"
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "sweep.ipynb"
        nbformat.write(jupytext.read(Path(__file__).with_name("sweep.py"), fmt="py:percent"), page)
        given = sweep.parameters() | {"results_path": str(kept.resolve())}
        options = {"kernel_name": "python3", "progress_bar": False, "log_output": False, "cwd": str(ROOT)}
        papermill.execute_notebook(page, Path(scratch) / "done.ipynb", given, **options)
    return json.loads(kept.read_text(encoding="utf-8"))


def rounded(runs: list[list[float]]) -> list[list[float]]:
    """Both ways, a run each, to four digits."""
    return [[round(x, 4) for x in both] for both in runs]


def ablations(folder: Path = RESULTS / "sweeps") -> list[dict[str, Any]]:
    """The sweeps whose runs are all there, with what they hold fixed. map: (values, seeds, 2)."""
    packaged = []
    for sweep in SWEEPS:
        runs = _read(folder / f"{sweep.name}.json")
        keys = [[f"{value}, seed {seed}" for seed in sweep.seeds] for value in sweep.values]
        if all(key in runs for row in keys for key in row):
            about = {
                "method": sweep.method,
                "option": sweep.option,
                "default": sweep.default,
                "bits": sweep.bits,
                "size": sweep.size,
            }
            about |= {
                "asked": f"{sweep.held_out} training pairs, held out",
                "fixed": sweep.fixed,
                "seeds": list(sweep.seeds),
            }
            about |= {"values": list(sweep.values), "map": [rounded([runs[key] for key in row]) for row in keys]}
            packaged.append(about | {"source": f"bench/results/sweeps/{sweep.name}.json"})
    return packaged


def scores(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """One entry a method, variant and number of bits: MAP of every seed, both ways. Left out: what has fewer than two
    runs.
    """
    groups: dict[tuple[str, str, int, str], dict[int, list[float]]] = {}

    def add(method: str, variant: str, bits: int, source: str, seed: int, both: list[float]) -> None:
        groups.setdefault((method, variant, bits, source), {})[seed] = both

    for key, entry in _read(folder / "quality-scenes.json").items():
        bits, seed = (int(part.split()[i]) for part, i in zip(key.split(", "), (0, 1), strict=True))
        for method in PLAIN:
            add(method, "", bits, "quality-scenes.json", seed, entry[method])
    for key, entry in _read(folder / "attention.json").items():
        bits, attention, seed = key.split(", ")
        add("ADAH", ATTENTION[attention], int(bits.split()[0]), "attention.json", int(seed.split()[1]), entry["map"])
    for key, entry in _read(folder / "supervision-scenes.json").items():
        variant, bits, seed = key.rsplit(", ", 2)
        variant = "" if variant == "SSAH" else variant
        add(
            "SSAH",
            variant,
            int(bits.split()[0]),
            "supervision-scenes.json",
            int(seed.split()[1]),
            [entry["map"][way] for way in DIRECTIONS],
        )
    for sweep in LONG:
        for key, both in _read(folder / "sweeps" / f"{sweep.name}.json").items():
            value, seed = key.split(", seed ")
            add(sweep.method, "", int(value), f"sweeps/{sweep.name}.json", int(seed), both)
    order = {method: i for i, method in enumerate((*PLAIN, "ADAH", "SSAH"))}
    rows = []
    for (method, variant, bits, source), runs in sorted(
        groups.items(), key=lambda pair: (order[pair[0][0]], pair[0][1] != "", pair[0][2])
    ):
        if len(runs) >= 2:
            seeds = sorted(runs)
            entry = {
                "method": method,
                "variant": variant,
                "bits": bits,
                "seeds": seeds,
                "map": rounded([runs[seed] for seed in seeds]),
            }
            rows.append(entry | {"source": f"bench/results/{source}"})
    return rows


def written(entries: list[dict[str, Any]]) -> str:
    """JSON, one entry a line."""
    return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n"


def collect() -> None:
    """Write the packaged files."""
    for name, entries in (("scores", scores()), ("ablations", ablations())):
        write_atomically(
            PACKAGED / f"{name}.json", lambda path, entries=entries: path.write_text(written(entries), encoding="utf-8")
        )
        print(f"{name}: {len(entries)} entries")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["sweeps", "more", "collect"], default="sweeps")
    what = parser.parse_args().what
    for sweep in () if what == "collect" else (*SWEEPS, *(LONG if what == "more" else ())):
        print(sweep.name, run(sweep), flush=True)
    collect()


if __name__ == "__main__":
    main()
