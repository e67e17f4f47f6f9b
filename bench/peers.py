"""What a user would run instead, written plainly: the loops of the field, and the calls of the libraries that are
compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def distances_and_hits(
    query: NDArray, database: NDArray, query_label: NDArray, database_labels: NDArray
) -> tuple[NDArray, NDArray]:
    """One query's Hamming distances and relevant items, by matrix products of float32 ±1 codes and 0/1 labels, as
    published code has them.
    """
    return 0.5 * (len(query) - database @ query), database_labels @ query_label > 0


def map_loop(
    query: NDArray, database: NDArray, query_labels: NDArray, database_labels: NDArray, kind: str | None = None
) -> NDArray:
    """Average precision of each query, by sorting, one query at a time, ties as they fall. kind: "stable" keeps ties by
    place.
    """
    precisions = []
    for code, label in zip(query, query_labels, strict=True):
        distance, relevant = distances_and_hits(code, database, label, database_labels)
        places = np.flatnonzero(relevant[np.argsort(distance, kind=kind)]) + 1
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places) if len(places) else np.nan)
    return np.array(precisions)


def map_sklearn(
    query: NDArray, database: NDArray, query_labels: NDArray, database_labels: NDArray, by_place: bool = False
) -> NDArray:
    """Average precision of each query by scikit-learn. by_place: ties are broken by place first, for it takes a tie
    group as one step.
    """
    from sklearn.metrics import average_precision_score

    precisions = []
    for code, label in zip(query, query_labels, strict=True):
        distance, relevant = distances_and_hits(code, database, label, database_labels)
        score = -(distance.astype(np.float64) * len(database) + np.arange(len(database))) if by_place else -distance
        precisions.append(average_precision_score(relevant, score) if relevant.any() else np.nan)
    return np.array(precisions)


def map_torchmetrics(
    query: NDArray, database: NDArray, query_labels: NDArray, database_labels: NDArray, by_place: bool = False
) -> float:
    """MAP by torchmetrics. Scores are shifted above 0, for an item with a score of 0 or less counts as not relevant
    there.
    """
    from torchmetrics.retrieval import RetrievalMAP

    metric = RetrievalMAP(empty_target_action="skip")
    bits, items = query.shape[1], len(database)
    for number, (code, label) in enumerate(zip(query, query_labels, strict=True)):
        distance, relevant = distances_and_hits(code, database, label, database_labels)
        score = (
            (bits + 1) * items - (distance * items + np.arange(items, dtype=np.float32))
            if by_place
            else bits + 1 - distance
        )
        metric.update(torch.from_numpy(score), torch.from_numpy(relevant), torch.full((items,), number))
    return float(metric.compute())


def precision_recall_loop(
    query: NDArray,
    database: NDArray,
    query_labels: NDArray,
    database_labels: NDArray,
    cuts: NDArray,
    kind: str | None = None,
) -> tuple[NDArray, NDArray]:
    """Mean precision and recall of the first `cuts` items: sort, then add up."""
    precision, recall, counted = np.zeros(len(cuts)), np.zeros(len(cuts)), 0
    for code, label in zip(query, query_labels, strict=True):
        distance, relevant = distances_and_hits(code, database, label, database_labels)
        hits = np.cumsum(relevant[np.argsort(distance, kind=kind)])
        if hits[-1]:
            precision, recall, counted = (
                precision + hits[cuts - 1] / cuts,
                recall + hits[cuts - 1] / hits[-1],
                counted + 1,
            )
    return precision / counted, recall / counted


def search_numpy(query: NDArray[np.uint64], database: NDArray[np.uint64], k: int) -> NDArray:
    """The k smallest distances of each query: count bits, word by word, then a partial sort. Words: (words, items)."""
    rows = (
        sum(np.bitwise_count(q ^ d).astype(np.uint16) for q, d in zip(code, database, strict=True)) for code in query.T
    )
    return np.array([np.sort(np.partition(row, k - 1)[:k]) for row in rows])


def ranking_one_line(query: NDArray[np.uint64], database: NDArray[np.uint64]) -> NDArray:
    """The full ranking of each query of one word: one stable sort of bytes."""
    return np.array([np.argsort(np.bitwise_count(word ^ database), kind="stable") for word in query])


def knn_product(x: Tensor, k: int, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Neighbours and Euclidean distances of dense rows: matrix products and topk in chunks. Close distances lose digits
    in float32.
    """
    squares = x.square().sum(1)
    parts = []
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        distance = squares[rows, None] + squares - 2 * x[rows] @ x.T
        distance[torch.arange(len(distance)), torch.arange(start, start + len(distance))] = torch.inf
        parts.append(distance.topk(k, dim=1, largest=False))
    return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts]).clamp_min(0).sqrt()


def knn_sklearn(x: Any, k: int, metric: str) -> tuple[NDArray, NDArray]:
    """Neighbours and distances by scikit-learn, each item itself left out."""
    from sklearn.neighbors import NearestNeighbors

    distances, places = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(x).kneighbors()
    return places, distances


def triplet_cube(a: Tensor, b: Tensor, similar: Tensor, margin: float) -> Tensor:
    """The sum of the triplet hinge through a tensor of all (i, j, k)."""
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    hinge = torch.relu(margin + distance[:, :, None] - distance[:, None, :])
    return hinge[similar[:, :, None] & ~similar[:, None, :]].sum()


def triplet_rows(a: Tensor, b: Tensor, similar: Tensor, margin: float) -> Tensor:
    """The same a query at a time: a matrix of (j, k) each."""
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    rows = zip(distance, similar, strict=True)
    return torch.stack(
        [torch.relu(margin + row[near][:, None] - row[~near][None, :]).sum() for row, near in rows]
    ).sum()


def triplet_metric_learning(a: Tensor, b: Tensor, classes: Tensor, margin: float) -> Tensor:
    """The same by pytorch-metric-learning, with all triplets, reduced to their sum."""
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import SumReducer

    loss = TripletMarginLoss(
        margin, triplets_per_anchor="all", distance=LpDistance(normalize_embeddings=False), reducer=SumReducer()
    )
    return loss(a, classes, ref_emb=b, ref_labels=classes.clone())


def pairwise_matrices(a: Tensor, b: Tensor, labels_a: Tensor, labels_b: Tensor) -> Tensor:
    """SSAH's pairwise likelihood through n × m tensors."""
    theta = 0.5 * a @ b.T
    similar = (labels_a @ labels_b.T > 0).to(theta.dtype)
    return (torch.nn.functional.softplus(theta) - similar * theta).sum()


@torch.no_grad()
def sample_by_query(
    network: Any, images: Tensor, texts: Tensor, draws: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """UGACH's sampling as published: for every query embed the pool of candidates again. Returns p, (queries, pool),
    and the drawn places.
    """
    chances, drawn = [], []
    for image in images:
        query, pool = network.image(image[None]), network.text(texts)
        chance = torch.softmax(-(query - pool).square().sum(1), dim=0)
        chances.append(chance)
        drawn.append(torch.multinomial(chance, draws, replacement=True, generator=random))
    return torch.stack(chances), torch.stack(drawn)


def compiled_histogram() -> Any:
    """A compiled count of items by distance and relevance, for codes and labels of one word each; None without numba.

    The measure of what a compiler would bring. Tiles of cells, which vectorise, then four histograms, so that no count
    waits for another.
    """
    try:
        from numba import njit, types
        from numba.extending import intrinsic
    except ImportError:
        return None

    @intrinsic
    def ones(typing: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return (word(word), generate) if isinstance(word, types.Integer) else None

    @njit(nogil=True)
    def fill(code: Any, label: Any, database: Any, labels: Any, cell: Any) -> None:
        for j in range(len(database)):
            distance, shared = ones(code ^ database[j]), label & labels[j]
            cell[j] = distance + distance + min(shared, types.uint64(1))

    @njit(nogil=True)
    def count(query: Any, database: Any, query_labels: Any, labels: Any, out: Any) -> None:
        tile, cell = 2048, np.empty(2048, np.uint8)
        parts = np.empty((4, 256), np.uint32)
        a, b, c, d = parts
        for i in range(len(query)):
            parts[:] = 0
            for start in range(0, len(database), tile):
                size = min(tile, len(database) - start)
                fill(query[i], query_labels[i], database[start : start + size], labels[start : start + size], cell)
                for k in range(0, size - 3, 4):
                    a[cell[k]] += 1
                    b[cell[k + 1]] += 1
                    c[cell[k + 2]] += 1
                    d[cell[k + 3]] += 1
                for k in range(size // 4 * 4, size):
                    a[cell[k]] += 1
            for k in range(out.shape[1]):
                out[i, k] = a[k] + b[k] + c[k] + d[k]

    return count
