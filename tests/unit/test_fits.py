"""The benches of fits and of many pairs, at a tiny size and with made-up figures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench import fits, large
from bench.fits import Fit


def made_up(change: float = 0.0) -> list[Fit]:
    return [
        Fit(method, version, seed, seconds, 0.8 + 0.01 * seed + moved, 0.7 + moved)
        for method in fits.METHODS
        for version, seconds, moved in (("old", 40.0, 0.0), ("new", 18.0, change))
        for seed in (0, 1)
    ]


@pytest.mark.parametrize(("change", "word"), [(0.0, "yes"), (0.1, "yes"), (-0.1, "no")])
def test_the_section_of_fits(change: float, word: str) -> None:
    text = fits.report(made_up(change), "abc", "python -m bench.fits --seeds 2")
    assert f"| SSAH | 40.0 | 18.0 | 0.450, reached | 0.805 ± 0.005 → {0.805 + change:.3f} ± 0.005 |" in text
    assert text.count(f"| {word} |") == 3 and "Commit abc" in text and "2 seeds" in text


def test_one_seed_says_nothing_of_a_spread() -> None:
    text = fits.report([one for one in made_up() if one.seed == 0], "abc", "python -m bench.fits")
    assert "± " not in text.partition("| SSAH")[2] and "| 0.800 → 0.800 |" in text and "1 seed." in text


def test_fits_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str, int]] = []

    def fit(tree: Path, method: str, seed: int, size: str, **options: object) -> list[float]:
        asked.append((("new", "old")[tree != fits.ROOT], method, seed))
        assert tree == fits.ROOT or (tree / "cmhkit").is_dir()
        return [1.0, 0.5, 0.5] if method else []

    monkeypatch.setattr(fits, "fit", fit)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=fits.ROOT, capture_output=True, text=True)
    if commit.returncode:
        pytest.skip("this is no git repository")
    found = list(fits.measured(1, commit.stdout.strip()))
    assert [(one.version, one.method) for one in found] == [
        (version, method) for method in fits.METHODS for version in ("old", "new")
    ]
    assert asked[:2] == [("old", "", 0), ("new", "", 0)] and len(asked) == 8
    listed = subprocess.run(["git", "worktree", "list"], cwd=fits.ROOT, capture_output=True, text=True).stdout
    assert "/old " not in listed.replace("/tmp/speed/old ", "")
    with pytest.raises(SystemExit, match="no-such-commit cannot be checked out"):
        list(fits.measured(1, "no-such-commit"))


def test_many_pairs_at_a_tiny_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large.write_pairs(tmp_path, 300, width=12, words=20)
    data = large.pairs_of(tmp_path)
    assert data.images.shape == (300, 12) and len(data.train) == 200 and data.labels.any(axis=1).all()
    assert 0 < np.mean(data.text_vectors) < 0.5 and not data.images.flags.owndata  # it stays in its file
    monkeypatch.setattr(large, "peak_memory", lambda *_: None)
    few = {"hidden": 16, "rounds": 1, "pretrain_steps": 2, "d_steps": 1, "g_steps": 1, "k_text": 5, "pool": 50}
    found = [
        large.measured(tmp_path, "UGACH", few),
        large.measured(tmp_path, "SSAH", {"backbone": "features", "epochs": 1, "bank": 40, "width": 8}),
    ]
    assert [one.pairs for one in found] == [300, 300] and all(one.seconds > 0 for one in found)
    errors = large.bank_error(data, 150, batches=2, backbone="features", width=8)
    assert all(0 < value < 1 and 0 < slope < 2 for value, slope in errors.values())
    text = large.report(found, errors, 40, "python -m bench.large")
    assert "| UGACH | 300 |" in text and "| J1 |" in text and "| J2 |" in text
