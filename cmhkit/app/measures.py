"""How well a run retrieves: the content of report.json, the page beside it, and measures of a finished run anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cmhkit.data
from cmhkit import metrics
from cmhkit.app.run_folder import FORMAT, PAGE, REPORT, RunFolder, write_json
from cmhkit.app.settings import data_spec, plain
from cmhkit.data.pairs import PARTS, PairedData
from cmhkit.hasher import CrossModalHasher, Report
from cmhkit.support.checks import check
from cmhkit.support.files import write_atomically
from cmhkit.support.progress import progress

_CURVE_PLACES = 200
_HEALTH = (
    "items",
    "distinct",
    "commonest",
    "balance",
    "constant_bits",
    "mean_correlation",
    "effective_bits",
    "reasons",
)
_METRICS = ("map", "map_at_r", "ndcg", "ndcg_at_r", "precision_at", "queries", "empty_queries", "database")


def encoded(hasher: CrossModalHasher, data: PairedData) -> dict[str, np.ndarray]:
    """Packed codes, uint8 (n, bits // 8): "query_images", "query_texts", "retrieval_images", "retrieval_texts"."""
    codes = {}
    with progress(4, "Encoding") as step:
        for part in (data.query, data.retrieval):
            codes[f"{part.name}_images"] = hasher.encode(images=part)
            step()
            codes[f"{part.name}_texts"] = hasher.encode(texts=part)
            step()
    return codes


def report_content(report: Report | None, hasher: CrossModalHasher, data: PairedData) -> dict[str, Any]:
    """The content of report.json. report: None where the data have no labels; then only the sizes are told."""
    method = type(hasher).__name__
    content: dict[str, Any] = {
        "format": FORMAT,
        "method": method,
        "bits": hasher.bits,
        "data": data.name,
        "parts": {name: len(data.parts[name]) for name in PARTS},
        "measured": report is not None,
        "summary": f"{method}, {hasher.bits} bits, on {data.name}: not measured, since the data have no labels",
    }
    if report is None:
        return content
    health = {"images": report.image_codes, "texts": report.text_codes}
    return content | {
        "summary": repr(report),
        "table": report.rows(),
        "rules": {name: getattr(report.image_to_text, name) for name in ("ties", "r", "divisor", "empty", "grades")},
        "image_to_text": _metrics_content(report.image_to_text),
        "text_to_image": _metrics_content(report.text_to_image),
        "codes": {name: {key: getattr(codes, key) for key in _HEALTH} for name, codes in health.items()},
    }


def _metrics_content(measured: metrics.Metrics) -> dict[str, Any]:
    places = _curve_places(measured.recall_by_rank)
    curve = {"precision": measured.precision_by_rank[places], "recall": measured.recall_by_rank[places]}
    return {
        **{name: getattr(measured, name) for name in _METRICS},
        "by_radius": {"precision": measured.precision_by_radius, "recall": measured.recall_by_radius},
        "by_rank": {"rank": places + 1, **curve},
    }


def _curve_places(recall: np.ndarray) -> np.ndarray:
    """Places of a curve by rank that are enough to draw it: the first ones, then evenly over recall."""
    first = np.arange(min(10, len(recall)))
    spread = np.searchsorted(recall, np.linspace(0, recall[-1], _CURVE_PLACES))
    return np.unique(np.concatenate([first, np.clip(spread, 0, len(recall) - 1), [len(recall) - 1]]))


def write_report(out: Path, content: dict[str, Any], folder: RunFolder) -> None:
    """Write report.json and the page report.html into a folder. folder: the run that the report is of."""
    from cmhkit.app import pages

    content = plain(content)
    page = pages.report_page(content, folder.config(), folder.history(), folder.command())
    write_json(out / REPORT, content)
    write_atomically(out / PAGE, lambda p: p.write_text(page, encoding="utf-8"))


def evaluate(
    path: str | Path,
    *,
    data: str | None = None,
    data_options: Sequence[str] = (),
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure a finished run, on its own data (from the codes that it keeps) or on other data.

    data, data_options: as for `cmhkit.app.runs.train`; None is the run's own. out: a folder for report.json and
    report.html. options: those of `metrics.evaluate`. Returns the content of report.json. Errors: `InputError`, also
    for data without labels.
    """
    folder = RunFolder(path)
    hasher = folder.hasher()
    if data is None:
        check(
            not data_options, "--data-option: expected --data too, since the run's own data have their options already"
        )
        items = folder.data()
    else:
        name, loader_options = data_spec(data, data_options)
        items = cmhkit.data.load(name, **loader_options)
    check(
        items.labels is not None, f"data: expected labels, since relevance is a shared label, got none in {items.name}"
    )
    if data is None:
        kinds = [f"{part}_{kind}" for part in ("query", "retrieval") for kind in ("images", "texts")]
        codes = {kind: folder.codes(kind) for kind in kinds}
    else:
        codes = encoded(hasher, items)
    content = report_content(hasher.measured(items, codes, **options), hasher, items)
    if out is not None:
        check(
            Path(out).resolve() != folder.path.resolve(),
            "--out: expected another folder than the run's, whose own report stays as it is",
        )
        write_report(Path(out), content, folder)
    return plain(content)
