# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One sweep
#
# One method, one option, several values of it, several seeds. `python -m bench.sweeps` runs this page through papermill
# with other parameters, from the root of the repository. Each run is written to `results_path` as soon as it is done,
# and is not run again.

# %% tags=["parameters"]
method = "UGACH"
option = "k_text"
values = [5, 50]
seeds = [0]
fixed = {"rounds": 0}
bits = 32
size = "tiny"
held_out_pairs = 100
results_path = ""

# %%
# ruff: noqa: E402
import json
from pathlib import Path

import cmhkit as ck
from bench.validation import held_out
from cmhkit.course.lessons import notebook as nb
from cmhkit.support.files import write_atomically

nb.setup(torch=True)
data = ck.data.load("scenes", size=size)
asked = held_out(data, held_out_pairs, seed=0) if held_out_pairs else data
print(method, option, values, "·", fixed, "·", asked)

# %%
kept = Path(results_path) if results_path else None
runs = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
for seed in seeds:
    for value in values:
        key = f"{value}, seed {seed}"
        if key not in runs:
            hasher = getattr(ck, method)(**{"bits": bits, "seed": seed, "device": "cpu", **fixed, option: value})
            report = hasher.fit(asked, show_progress=False).evaluate(asked)
            runs[key] = [report.map_i2t, report.map_t2i]
            if kept:
                write_atomically(kept, lambda path: path.write_text(json.dumps(runs, indent=1), encoding="utf-8"))
        print(f"{option} {key}: {runs[key][0]:.3f} / {runs[key][1]:.3f}")
