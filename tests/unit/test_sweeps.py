"""The saved figures of lesson 40: what is packaged is what the results of the benchmarks give."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import cmhkit as ck
from bench import sweeps as bench
from cmhkit.course.lessons import sweeps
from cmhkit.support.checks import InputError


@pytest.mark.parametrize("name", ["scores", "ablations"])
def test_packaged_files_are_collected_from_the_results(name) -> None:
    assert sweeps.load(name) == getattr(bench, name)(), "run: python -m bench.sweeps collect"


def test_scores_are_those_of_the_files_that_they_name() -> None:
    entries = {(e["method"], e["variant"], e["bits"]): e for e in sweeps.load("scores")}
    kept = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in bench.RESULTS.glob("*.json")}
    ugach = kept["quality-scenes.json"]["64 bits, seed 3"]["UGACH"]
    adah = kept["attention.json"]["32 bits, none, seed 4"]["map"]
    ssah = kept["supervision-scenes.json"]["SSAH, 16 bits, seed 2"]["map"]
    assert entries["UGACH", "", 64]["map"][3] == pytest.approx(ugach, abs=5e-5)
    assert entries["ADAH", "no attention, nothing hidden", 32]["map"][4] == pytest.approx(adah, abs=5e-5)
    assert entries["SSAH", "", 16]["map"][2] == pytest.approx([ssah["image → text"], ssah["text → image"]], abs=5e-5)
    for entry in entries.values():
        assert (bench.ROOT / entry["source"]).exists() and len(entry["seeds"]) == len(entry["map"])


def test_every_sweep_holds_its_default_and_known_options() -> None:
    for sweep in (*bench.SWEEPS, *bench.LONG):
        if sweep.option == "bits":
            continue
        assert sweep.default in sweep.values and sweep.held_out > 0  # the queries are never asked to choose an option
        for value in sweep.values:
            getattr(ck, sweep.method)(bits=sweep.bits, **{**sweep.fixed, sweep.option: value})
        usual = getattr(getattr(ck, sweep.method)(bits=sweep.bits).config, sweep.option)
        assert sweep.default == (sweep.bits // int(usual[2:]) if isinstance(usual, str) else usual)


def test_an_unfinished_sweep_is_left_out(tmp_path) -> None:
    sweep = dataclasses.replace(bench.SWEEPS[0])
    runs = {f"{value}, seed {seed}": [0.12345, 0.5] for value in sweep.values for seed in sweep.seeds}
    (tmp_path / f"{sweep.name}.json").write_text(json.dumps(runs), encoding="utf-8")
    (found,) = bench.ablations(tmp_path)
    assert np.array(found["map"]).shape == (len(sweep.values), len(sweep.seeds), 2) and found["map"][0][0] == [
        0.1235,
        0.5,
    ]
    runs.popitem()
    (tmp_path / f"{sweep.name}.json").write_text(json.dumps(runs), encoding="utf-8")
    assert bench.ablations(tmp_path) == []


def test_one_run_is_no_score(tmp_path) -> None:
    runs = {
        f"16 bits, {a}, seed {s}": {"map": [0.1 * s, 0.2]}
        for a, s in (("adversarial", 1), ("adversarial", 0), ("none", 0))
    }
    (tmp_path / "attention.json").write_text(json.dumps(runs), encoding="utf-8")
    (found,) = bench.scores(tmp_path)
    assert (
        found["method"] == "ADAH"
        and found["variant"] == ""
        and found["seeds"] == [0, 1]
        and found["map"] == [[0.0, 0.2], [0.1, 0.2]]
    )


def test_published_figures_name_their_table() -> None:
    published = sweeps.load("published")
    assert {entry["method"] for entry in published} == {"UGACH", "SSAH"}  # of ADAH no figure could be confirmed
    for entry in published:
        assert (
            entry["source"]
            and len(entry["bits"]) == len(entry["map"])
            and all(0.4 < x < 0.9 for both in entry["map"] for x in both)
        )


def test_an_unknown_file_is_named() -> None:
    with pytest.raises(InputError, match="name: expected one of scores, ablations, published, got 'all'"):
        sweeps.load("all")
