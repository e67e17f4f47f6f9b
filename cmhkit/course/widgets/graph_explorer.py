"""The correlation-graph explorer: an item's neighbours in picture space and in text space, and how often they share a
label.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as ipw
import numpy as np
from PIL import Image

from cmhkit.course.widgets.base import (
    BLUE,
    VERMILION,
    Parts,
    Result,
    State,
    Widget,
    card,
    cards,
    img,
    is_picture,
    label_list,
    picture_of,
    tags_of,
)
from cmhkit.support.checks import check, check_choice, check_integer

METRICS = ("cosine", "euclidean")
MODALITIES = ("image", "text", "both")
_DRAWN = 12  # neighbours in the drawn graph; more would hide each other


class Neighbours:
    """The nearest neighbours in both spaces, worked out once for each modality and metric.

    items: a Split or PairedData of n items. image_vectors: (n, d). text_vectors: (n, t). max_k: how many are kept.
    """

    def __init__(
        self, items: Any, label_names: Sequence[str] | None, image_vectors: Any, text_vectors: Any, max_k: int
    ) -> None:
        self.items, self.label_names = items, label_names
        n = len(items.images)
        self.vectors = {"image": image_vectors, "text": text_vectors}
        for name, x in self.vectors.items():
            rows = getattr(x, "shape", (None,))[0]
            check(rows == n, f"{name}_vectors: expected {n} rows, one for each item of the split, got {rows}")
        check(n >= 3, f"data: expected at least 3 items, got {n}")
        self.max_k = min(check_integer("max_k", max_k, 1, 1000), n - 1)
        self._near: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def near(self, modality: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours (n, max_k), nearest first, and their distances. modality: 'image' or 'text'."""
        key = (modality, metric)
        if key not in self._near:
            from cmhkit.graphs import knn_graph

            graph = knn_graph(self.vectors[modality], self.max_k, metric=metric)
            self._near[key] = (np.asarray(graph.neighbours), np.asarray(graph.distances))
        return self._near[key]

    def lists(self, modality: str, metric: str, k: int) -> np.ndarray:
        """Neighbours of every item, (n, k), or (n, 2k) for 'both': k of the pictures, then k of the texts; repeats are
        allowed.
        """
        parts = ("image", "text") if modality == "both" else (modality,)
        return np.concatenate([self.near(part, metric)[0][:, :k] for part in parts], axis=1)

    def agreement(self, modality: str, metric: str, k: int) -> float | None:
        """The share of all items' (distinct) neighbours that share a label with their item; None without labels."""
        if self.items.labels is None:
            return None
        lists, labels = self.lists(modality, metric, k), np.asarray(self.items.labels, dtype=np.float32) > 0
        fresh = np.ones(lists.shape, dtype=bool)
        if modality == "both":
            fresh[:, k:] = ~(lists[:, k:, None] == lists[:, None, :k]).any(axis=2)
        share = np.stack([(labels & labels[column]).any(axis=1) for column in lists.T], axis=1)
        return float(share[fresh].mean())

    def chance(self) -> float | None:
        """The share of all pairs of different items that share a label; None without labels."""
        if self.items.labels is None:
            return None
        labels = np.asarray(self.items.labels, dtype=np.float32) > 0
        sets, counts = np.unique(labels, axis=0, return_counts=True)
        meets = (sets.astype(np.float32) @ sets.T.astype(np.float32)) > 0
        pairs = float(counts @ meets.astype(float) @ counts) - float((counts * meets.diagonal()).sum())
        n = len(labels)
        return pairs / (n * (n - 1))


@dataclasses.dataclass(frozen=True)
class GraphResult(Result):
    """neighbours: distinct rows, nearest first. agree: bool for each, or None without labels. mutual: bool, whether the
    edge also runs back.

    overall, chance: the shares of all edges, and of all pairs, with a common label; None without labels.
    """

    neighbours: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    agree: np.ndarray | None = None
    mutual: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    overall: float | None = None
    chance: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class GraphState(State):
    """One item and its k neighbours. metric: 'cosine' or 'euclidean'. modality: 'image', 'text' or 'both' (the union of
    the two lists).
    """

    inputs: ClassVar[Mapping[str, str]] = {"item": "item", "k": "k", "metric": "metric", "modality": "modality"}

    source: Neighbours
    item: int = 0
    k: int = 5
    metric: str = "cosine"
    modality: str = "image"

    def __post_init__(self) -> None:
        check_integer("item", self.item, 0, len(self.source.items.images) - 1)
        check_integer("k", self.k, 1, self.source.max_k)
        check_choice("metric", self.metric, METRICS)
        check_choice("modality", self.modality, MODALITIES)

    def _show(self) -> GraphResult:
        source, items = self.source, self.source.items
        lists = source.lists(self.modality, self.metric, self.k)
        rows = np.array(list(dict.fromkeys(int(j) for j in lists[self.item])))
        from_space: dict[int, list[str]] = {}
        parts = ("image", "text") if self.modality == "both" else (self.modality,)
        distances: dict[int, list[str]] = {}
        for part in parts:
            near, far = source.near(part, self.metric)
            for j, d in zip(near[self.item, : self.k], far[self.item, : self.k], strict=True):
                from_space.setdefault(int(j), []).append(part)
                distances.setdefault(int(j), []).append(f"{d:.2f}")
        mutual = np.array([self.item in lists[j] for j in rows])
        agree = None
        if items.labels is not None:
            labels = np.asarray(items.labels) > 0
            agree = (labels[rows] & labels[self.item]).any(axis=1)
        overall, chance = source.agreement(self.modality, self.metric, self.k), source.chance()
        made = []
        for place, row in enumerate(rows):
            hit = None if agree is None else bool(agree[place])
            relation = "" if hit is None else "✓ shares a label" if hit else "✗ no common label"
            edge = "edge both ways" if mutual[place] else "one-way edge"
            where = f"near in {' and '.join(from_space[row])}" if self.modality == "both" else ""
            own_labels = ", ".join(label_list(items.labels, source.label_names, row))
            lines = [
                relation,
                f"distance {' and '.join(distances[row])}",
                where,
                edge,
                f"Tags: {tags_of(items, row)}",
                f"({own_labels})" if own_labels else "",
            ]
            made.append(card([f"{place + 1}.", f"item {row}"], picture_of(items, row, source.label_names), lines, hit))
        own = ", ".join(label_list(items.labels, source.label_names, self.item))
        centre = card(
            [f"item {self.item}"],
            picture_of(items, self.item, source.label_names),
            [f"Tags: {tags_of(items, self.item)}", f"Labels: {own}" if own else ""],
        )
        space = {"image": "picture space", "text": "text space", "both": "picture or text space"}[self.modality]
        summary = f"Item {self.item}, {len(rows)} neighbours in {space} ({self.metric}, k = {self.k})"
        if agree is not None:
            summary += (
                f": {int(agree.sum())} share a label. Over all items {overall:.3f} of the neighbours do; of random "
                f"pairs {chance:.3f}."
            )
        else:
            summary += f", {int(mutual.sum())} of them with edges both ways."
        drawn = img(
            self.draw(rows[:_DRAWN], None if agree is None else agree[:_DRAWN], mutual[:_DRAWN], lists),
            f"Drawn graph. {summary}",
            "max-width:100%",
        )
        note = (
            "Solid blue: a common label; dashed orange: none. Two arrowheads: an edge both ways. Thin grey: edges "
            "among the neighbours."
        )
        note += f" The first {_DRAWN} are drawn." if len(rows) > _DRAWN else ""
        html = (
            f'<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start">'
            f'<div>{cards([centre], "the item")}</div><figure style="margin:0;flex:0 1 380px">{drawn}'
            f'<figcaption class="cmh-dim">{note}</figcaption></figure></div>'
            f"<h4>Neighbours, nearest first</h4>{cards(made, 'neighbours, nearest first')}"
        )
        return GraphResult(summary, html, rows, agree, mutual, overall, chance)

    def draw(self, rows: np.ndarray, agree: np.ndarray | None, mutual: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """The item in the middle, its neighbours around it; a picture, uint8 (R, C, 3)."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        figure = Figure(
            figsize=(4.2, 4.2), dpi=90, facecolor="white", layout="none"
        )  # a lesson may have set another layout
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35))
        axes.axis("off")
        angles = np.pi / 2 - 2 * np.pi * np.arange(len(rows)) / max(len(rows), 1)
        places = {int(self.item): (0.0, 0.0)}
        places |= {
            int(row): (1.08 * float(np.cos(t)), 1.08 * float(np.sin(t))) for row, t in zip(rows, angles, strict=True)
        }
        for first in rows:
            for second in rows:
                if first != second and second in lists[first]:
                    (x1, y1), (x2, y2) = places[int(first)], places[int(second)]
                    axes.plot([x1, x2], [y1, y2], color="#999999", linestyle="-", marker="", linewidth=0.8, zorder=1)
        for place, row in enumerate(rows):
            hit = agree is None or bool(agree[place])
            look = {"color": BLUE if hit else VERMILION, "linestyle": "-" if hit else (0, (4, 3)), "linewidth": 2.2}
            arrow = {
                "arrowstyle": "<|-|>" if mutual[place] else "-|>",
                "shrinkA": 24,
                "shrinkB": 22,
                "mutation_scale": 11,
                **look,
            }
            axes.annotate("", places[int(row)], (0, 0), arrowprops=arrow, zorder=2)
        for row, (x, y) in places.items():
            hit = row == self.item or agree is None or bool(agree[list(rows).index(row)])
            frame = {
                "edgecolor": "black" if row == self.item else BLUE if hit else VERMILION,
                "linewidth": 1.6,
                "linestyle": "-" if hit else "--",
            }
            if is_picture(self.source.items.images):
                small = Image.fromarray(np.asarray(self.source.items.images[row])).resize(
                    (36, 36), Image.Resampling.BOX
                )
                node: Any = OffsetImage(np.asarray(small), zoom=0.9)
                axes.add_artist(AnnotationBbox(node, (x, y), frameon=True, pad=0.12, bboxprops=frame, zorder=3))
            else:
                box = {"boxstyle": "round", "facecolor": "white", **frame}
                axes.text(x, y, str(row), ha="center", va="center", fontsize=9, bbox=box, zorder=3)
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="raw", dpi=90)
        width, height = figure.canvas.get_width_height()
        full = np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)[..., :3]
        return np.ascontiguousarray(full)


class GraphExplorer(Widget):
    """Walk the correlation graph.

    data: PairedData. image_vectors (n, d), text_vectors (n, t): what the graphs are built on, rows as in `split`
    ('query', 'retrieval', 'train'; None for all items). item: a row of the split. k: neighbours in each space. metric:
    'cosine' or 'euclidean'. modality: 'image', 'text', or 'both', the union of the two lists as UGACH takes its
    positives. max_k: the largest k on the slider. Raises `InputError` on anything else.
    """

    title = "Correlation-graph explorer"

    def __init__(
        self,
        data: Any,
        image_vectors: Any,
        text_vectors: Any,
        *,
        split: str | None = "train",
        item: int = 0,
        k: int = 5,
        metric: str = "cosine",
        modality: str = "image",
        max_k: int = 50,
    ) -> None:
        parts = Parts(data)
        source = Neighbours(data if split is None else parts[split], parts.names, image_vectors, text_vectors, max_k)
        super().__init__(GraphState(source, item, k, metric, modality))

    def _multiples(self) -> Sequence[Mapping[str, Any]]:
        return [{"modality": modality} for modality in ("image", "text")]

    def _controls(self) -> list[ipw.Widget]:
        source = self._state.source
        item = self.number("item", "item", 0, len(source.items.images) - 1)
        k = self.number("k", "neighbours k", 1, source.max_k)
        metric = self.choice("metric", "metric", [(m, m) for m in METRICS])
        modality = self.choice("modality", "modality", [("image", "image"), ("text", "text"), ("both (union)", "both")])
        return [self.row(item, k), self.row(metric, modality)]
