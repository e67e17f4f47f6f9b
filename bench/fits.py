"""The lab fits before and after: an old commit beside this one, in one interleaved run.

Run:  python -m bench.fits                  (one seed; a few minutes)
      python -m bench.fits --seeds 5        (twenty minutes or so on one quiet core)
      python -m bench.fits --old COMMIT     (another one to compare with; it needs the repository's history)
The old commit is checked out into a folder of its own, which goes at the end. Every fit is a process of its own, on one
thread: for each seed and each method the old one, then the new one. What counts is the CPU time of `fit`, its features
cached. Both read the same cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.report import machine, table, write_section
from bench.timing import digits
from cmhkit.data.cache import cache_dir
from cmhkit.support.files import write_atomically
from cmhkit.support.progress import progress

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).parent / "results" / "fits.json"
OLD = "a07b727"
METHODS = ("SSAH", "ADAH", "UGACH")
#: A fit may take so much of the old one's time.
SHARE = 0.5
#: What a process does. A first one with no method computes what is cached.
FIT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
import cmhkit as ck
method, seed, size, options = json.loads(sys.argv[1])
data = ck.data.load("scenes", size=size, show_progress=False)
if not method:
    for name in ("SSAH", "ADAH"):
        getattr(ck, name)(bits=32, epochs=1, device="cpu").fit(data, show_progress=False)
    raise SystemExit
hasher = getattr(ck, method)(bits=32, seed=seed, device="cpu", **options)
started = time.process_time()
hasher.fit(data, show_progress=False)
seconds = time.process_time() - started
report = hasher.evaluate(data)
print(json.dumps([seconds, report.map_i2t, report.map_t2i]))
"""


@dataclass(frozen=True)
class Fit:
    """One fit. version: "old" or "new". seconds: CPU time of `fit`. i2t, t2i: MAP both ways."""

    method: str
    version: str
    seed: int
    seconds: float
    i2t: float
    t2i: float


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with the repository as it was at a commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "old"
        done = subprocess.run(
            ["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"bench.fits: {commit} cannot be checked out: {done.stderr.strip()}")
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)


def fit(tree: Path, method: str, seed: int, size: str = "lab", **options: object) -> list[float]:
    """Seconds and MAP both ways of one fit by the kit in a tree; [] without a method, which fills the cache."""
    environment = os.environ | {"PYTHONPATH": str(tree), "CMHKIT_CACHE": str(cache_dir())}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-P", "-c", FIT, json.dumps([method, seed, size, options])]
    done = subprocess.run(command, env=environment, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) if method else []


def measured(seeds: int, old: str, size: str = "lab", **options: object) -> Iterator[Fit]:
    """All fits, seed by seed and method by method, the old one before the new one."""
    with checked_out(old) as tree:
        trees = {"old": tree, "new": ROOT}
        for place in trees.values():
            fit(place, "", 0, size)
        for seed in range(seeds):
            for method in METHODS:
                for version, place in trees.items():
                    yield Fit(method, version, seed, *fit(place, method, seed, size, **options))


def report(fits: Sequence[Fit], old: str, command: str) -> str:
    """The section of RESULTS.md."""
    seeds = len({one.seed for one in fits})
    rows = []
    for method in METHODS:
        found = {
            version: np.array([[f.seconds, f.i2t, f.t2i] for f in fits if (f.method, f.version) == (method, version)])
            for version in ("old", "new")
        }
        share = found["new"][:, 0].mean() / found["old"][:, 0].mean()
        ways = [_with_spread(found[version][:, column]) for column in (1, 2) for version in ("old", "new")]
        change = found["new"][:, 1:].mean(axis=0) - found["old"][:, 1:].mean(axis=0)
        spread = np.maximum(*(found[version][:, 1:].std(axis=0) for version in ("old", "new")))
        rows.append(
            [
                method,
                *(digits(found[version][:, 0].mean()) for version in ("old", "new")),
                f"{digits(share)}, {'reached' if share <= SHARE else 'missed'}",
                f"{ways[0]} → {ways[1]}",
                f"{ways[2]} → {ways[3]}",
                "–" if seeds < 2 else "yes" if (change >= -spread).all() else "no",
            ]
        )
    head = ["fit", "old, CPU s", "new, CPU s", f"share, bar {SHARE:g}", "image → text", "text → image", "as good"]
    return "\n\n".join(
        [
            "## The lab fits, before and after",
            f"`{command}` · {machine()}",
            f"Commit {old} beside this one: scenes, 32 bits, preset `lab`, {seeds} seed{'s' * (seeds != 1)}. Each fit "
            "is a process of its own, the old one and the new one in turn. CPU seconds of `fit` on one thread, its "
            "features cached; MAP over the full ranking, mean ± standard deviation. As good: no MAP fell by more than "
            "the larger of the two deviations.",
            table(head, rows),
        ]
    )


def _with_spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f}" + (f" ± {values.std():.3f}" if len(values) > 1 else "")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--old", default=OLD, help="the commit to compare with")
    given = parser.parse_args(arguments)
    fits: list[Fit] = []
    with progress(given.seeds * len(METHODS) * 2, "fits") as step:
        for one in measured(given.seeds, given.old):
            fits.append(one)
            step(1, f"{one.method}, {one.version}")
            figures = f"{one.seconds:.1f} CPU s, MAP {one.i2t:.3f} / {one.t2i:.3f}"
            print(f"{one.method}, {one.version}, seed {one.seed}: {figures}", flush=True)
    kept = json.dumps({"old": given.old, "fits": [asdict(one) for one in fits]}, indent=1)
    write_atomically(KEPT, lambda path: path.write_text(kept, encoding="utf-8"))
    write_section("fits", report(fits, given.old, f"python -m bench.fits --seeds {given.seeds}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
