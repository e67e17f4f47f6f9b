"""The jobs of `bench.speed`: what runs, beside what, whether the results agree, and which bar of the design page it has
to reach.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import peers
from bench.timing import Contestant, Peak, Times, cpu_of_process, peak_memory, race
from cmhkit import metrics
from cmhkit.codes import hamming, to_words, unpack
from cmhkit.graphs import knn_graph
from cmhkit.index import HammingIndex
from cmhkit.nn.pairwise import LabelSimilarity, pairwise_loss
from cmhkit.nn.triplet import pairwise_distance, triplet_hinge
from cmhkit.support.blocks import slices
from cmhkit.ugach.losses import generator_log_probability
from cmhkit.ugach.model import CrossModalNetwork

LOOP, OURS = "argsort loop", "cmhkit"
SKLEARN, TORCHMETRICS = "scikit-learn average_precision_score", "torchmetrics RetrievalMAP"
METRIC_LEARNING = "pytorch-metric-learning, all triplets"
COUNTS, TENSORS = "cmhkit, the counts alone", "cmhkit, codes as CPU tensors"
BY_FAISS, BY_NUMPY = "cmhkit, faiss (ties by id)", "cmhkit, NumPy"
FAISS_HEAP, FAISS_COUNTS = (f"faiss IndexBinaryFlat, {how} (ties as they fall)" for how in ("a heap", "counting"))


@dataclass(frozen=True)
class Sizes:
    """What `make bench` and `make bench-full` differ in. A plain size stands for items; queries say how many a slow way
    gets.
    """

    rounds: int
    databases: tuple[int, ...]
    queries: int
    slow_queries: int
    all_queries: int
    search: tuple[int, ...]
    dense: int
    dense_width: int
    sparse: int
    triplets: tuple[int, ...]
    pairs: int
    pool: int
    pool_queries: int
    hidden: int


QUICK = Sizes(5, (20_000, 186_577), 256, 16, 5_000, (186_577,), 4_000, 4096, 6_000, (128,), 4_000, 400, 4, 8192)
FULL = Sizes(
    7, (20_000, 186_577), 512, 32, 5_000, (186_577, 1_000_000), 20_000, 4096, 20_000, (128, 512), 10_000, 400, 4, 8192
)
TINY = Sizes(1, (700,), 40, 12, 50, (900,), 150, 32, 150, (24,), 80, 20, 4, 16)


@dataclass(frozen=True)
class Agreement:
    """That two results are the same. difference: the largest found. tolerance: what is allowed."""

    what: str
    difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return bool(self.difference <= self.tolerance)


@dataclass(frozen=True)
class Bar:
    """A bar of the design page. measured: a ratio, CPU seconds or megabytes. why: what to say where it is missed."""

    words: str
    measured: float
    least: float | None = None
    most: float | None = None
    why: str = ""

    @property
    def reached(self) -> bool:
        return (self.least is None or self.measured >= self.least) and (self.most is None or self.measured <= self.most)

    def in_words(self) -> str:
        return "reached" if self.reached else f"missed{': ' + self.why if self.why else ''}"


@dataclass
class Outcome:
    """What a job found. scale: 1e3 for milliseconds, 1 for seconds."""

    title: str
    unit: str
    times: dict[str, Times] = field(default_factory=dict)
    agreements: list[Agreement] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    peaks: dict[str, Peak] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Outcome:
        """The inverse of `dataclasses.asdict`."""
        return cls(
            kept["title"],
            kept["unit"],
            {name: Times(tuple(times["seconds"])) for name, times in kept["times"].items()},
            [Agreement(**one) for one in kept["agreements"]],
            [Bar(**bar) for bar in kept["bars"]],
            {name: Peak(**peak) for name, peak in kept["peaks"].items()},
            kept["notes"],
        )

    def has(self, package: str) -> bool:
        """Whether a peer is installed; where it is not, that is said."""
        installed = find_spec(package) is not None
        if not installed:
            self.notes.append(f"without {package}, which is not installed here.")
        return installed

    @property
    def scale(self) -> float:
        return 1e3 if self.unit.startswith("ms") else 1.0

    def ratio(self, other: str, ours: str = OURS) -> float:
        """How many times as long as ours the other takes."""
        return self.times[other].median / self.times[ours].median


def largest(a: Any, b: Any) -> float:
    """The largest absolute difference; NaN against NaN is none."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    return (
        float(np.max(np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b)))) if a.shape == b.shape else float("inf")
    )


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, over the largest value of b."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


@dataclass(frozen=True)
class Ranked:
    """Random codes and labels: packed for ours, float32 ±1 and 0/1 for the loops of the field."""

    query: NDArray[np.uint8]
    database: NDArray[np.uint8]
    query_labels: NDArray[np.uint8]
    database_labels: NDArray[np.uint8]

    def evaluate(self, queries: int, **options: Any) -> metrics.Metrics:
        return metrics.evaluate(
            self.query[:queries], self.database, self.query_labels[:queries], self.database_labels, **options
        )

    def floats(self, queries: int) -> tuple[NDArray[np.float32], ...]:
        return (
            unpack(self.query[:queries]).astype(np.float32),
            unpack(self.database).astype(np.float32),
            self.query_labels[:queries].astype(np.float32),
            self.database_labels.astype(np.float32),
        )


def ranked(items: int, queries: int, bits: int = 64, labels: int = 24) -> Ranked:
    """Codes with neighbours: 500 random centres, and a fifth of the bits flipped. Labels: those of the centre, about
    three of 24.
    """
    random = np.random.default_rng(0)
    centres, centre_labels = random.random((500, bits)) < 0.5, random.random((500, labels)) < 0.12
    centre_labels[np.arange(500), random.integers(0, labels, 500)] = True
    ranked: list[NDArray] = []
    for size in (queries, items):
        of = random.integers(0, 500, size)
        ranked += [
            np.packbits(centres[of] ^ (random.random((size, bits), dtype=np.float32) < 0.2), axis=1),
            centre_labels[of].astype(np.uint8),
        ]
    return Ranked(ranked[0], ranked[2], ranked[1], ranked[3])


def job_map(items: int, sizes: Sizes) -> Outcome:
    """MAP over the full ranking."""
    queries, few = sizes.queries, min(sizes.slow_queries, sizes.queries)
    data = ranked(items, queries)
    floats = data.floats(few)
    tensors = [torch.from_numpy(x) for x in (data.query, data.database, data.query_labels, data.database_labels)]
    pairs = metrics._pairs(data.query, data.database, data.query_labels, data.database_labels, None, "binary")
    done = Outcome(f"MAP, {items:,} items, 64 bits", "ms a query")
    by_torchmetrics, compiled = done.has("torchmetrics"), None
    if done.has("numba"):
        started = time.process_time()
        compiled, one = peers.compiled_histogram(), np.ones(1, dtype=np.uint64)
        compiled(one, one, one, one, np.zeros((1, 2 * (pairs.bits + 1)), dtype=np.int64))
        done.notes.append(f"numba's first call, in which it compiles, took {time.process_time() - started:.2g} CPU s.")
    ways = [
        Contestant(OURS, lambda: data.evaluate(queries), queries),
        Contestant(COUNTS, lambda: [pairs.histogram(rows) for rows in slices(queries, pairs.chunk)], queries),
        Contestant(TENSORS, lambda: metrics.evaluate(*tensors), queries),
        Contestant(LOOP, lambda: peers.map_loop(*floats), few),
        Contestant(SKLEARN, lambda: peers.map_sklearn(*floats), few),
    ]
    if by_torchmetrics:
        ways.append(Contestant(TORCHMETRICS, lambda: peers.map_torchmetrics(*floats), few))
    if compiled is not None:
        out = np.zeros((queries, 2 * (pairs.bits + 1)), dtype=np.int64)
        words = (pairs.query_words, pairs.database_words, pairs.query_label_words, pairs.database_label_words)
        given = [word[0].astype(np.uint64) for word in words]
        ways.append(Contestant("numba, the counts alone (not in the kit)", lambda: compiled(*given, out), queries))
    done.times, results = race(ways, sizes.rounds)
    ours = results[OURS].average_precision
    stable = data.evaluate(few, ties="stable")
    bounds = [data.evaluate(few, ties=ties).average_precision for ties in ("pessimistic", "expected", "optimistic")]
    outside = np.maximum(bounds[0] - results[LOOP], results[LOOP] - bounds[2]).max()
    sorted_stably, by_place = peers.map_loop(*floats, "stable"), peers.map_sklearn(*floats, True)
    done.agreements = [
        Agreement(
            "AP of each query, ties by place: the loop with a stable sort",
            largest(sorted_stably, stable.average_precision),
            1e-10,
        ),
        Agreement("AP of each query, ties by place: scikit-learn", largest(by_place, stable.average_precision), 1e-10),
        Agreement(
            "the loop as it is lies between the worst and the best tie order: how far outside",
            max(0.0, float(outside)),
            1e-12,
        ),
        Agreement("AP of each query: tensors", largest(results[TENSORS].average_precision, ours), 0.0),
    ]
    done.bars = [
        Bar("tie-exact, and at least 4 times faster than the loop", done.ratio(LOOP), least=4),
        Bar("20 times scikit-learn", done.ratio(SKLEARN), least=20),
    ]
    if by_torchmetrics:
        difference = largest(peers.map_torchmetrics(*floats, True), stable.map)
        done.agreements.append(Agreement("MAP, ties by place: torchmetrics (float32)", difference, 1e-5))
        done.bars.append(Bar("20 times torchmetrics", done.ratio(TORCHMETRICS), least=20))
    if compiled is not None:
        done.agreements.append(
            Agreement("counts: numba", largest(out, np.concatenate(results[COUNTS]).reshape(queries, -1)), 0.0)
        )
    low, middle, high = (np.nanmean(bound) for bound in bounds)
    done.notes.append(
        f"MAP of {few} queries by tie order: worst {low:.4f}, expected {middle:.4f}, best {high:.4f}; the loop gives "
        f"{np.nanmean(results[LOOP]):.4f}."
    )
    return done


def all_queries(items: int, queries: int) -> Callable[[], metrics.Metrics]:
    """The work of `job_all_queries`, for a fresh process."""
    data = ranked(items, queries)
    ranked(10, 5).evaluate(5)
    return lambda: data.evaluate(queries, r=1000)


def job_all_queries(items: int, sizes: Sizes) -> Outcome:
    """A whole data set's evaluation from label matrices: time and memory."""
    queries = sizes.all_queries
    done = Outcome(f"everything `evaluate` gives, {queries:,} queries × {items:,} items, 64 bits", "CPU s")
    work = all_queries(items, queries)
    done.times, _ = race([Contestant(OURS, work)], min(3, sizes.rounds), warm=False)
    done.bars = [Bar("under 25 CPU s", done.times[OURS].median, most=25)]
    if (peak := peak_memory(all_queries, items, queries)) is not None:
        done.peaks[OURS] = peak
        done.bars.append(Bar("memory under 1 GB, inputs and interpreter included (MB)", peak.total, most=1000))
    done.notes.append(
        "Relevance comes from the label matrices in tiles: a bool matrix of all pairs alone would be "
        f"{queries * items / 1e6:,.0f} MB."
    )
    return done


def job_precision_recall(items: int, sizes: Sizes) -> Outcome:
    """Precision and recall at 100 cut-offs."""
    queries, few = sizes.queries, sizes.slow_queries
    data = ranked(items, queries)
    floats, cuts = data.floats(few), np.linspace(1, items, 100).astype(int)
    pairs = metrics._pairs(data.query, data.database, data.query_labels, data.database_labels, None, "binary")
    done = Outcome(f"precision and recall at 100 cut-offs, {items:,} items", "ms a query")
    done.times, _ = race(
        [
            Contestant(OURS, lambda: data.evaluate(queries), queries),
            Contestant(COUNTS, lambda: [pairs.histogram(rows) for rows in slices(queries, pairs.chunk)], queries),
            Contestant("argsort and cumsum", lambda: peers.precision_recall_loop(*floats, cuts), few),
        ],
        sizes.rounds,
    )
    stable = data.evaluate(few, ties="stable")
    precision, recall = peers.precision_recall_loop(*floats, cuts, "stable")
    done.agreements = [
        Agreement(
            "precision at the cut-offs, ties by place: the loop with a stable sort",
            largest(stable.precision_by_rank[cuts - 1], precision),
            1e-12,
        ),
        Agreement("recall, the same", largest(stable.recall_by_rank[cuts - 1], recall), 1e-12),
    ]
    done.bars = [
        Bar(
            "free with the MAP histogram: all metrics together, in times of the counts alone",
            1 / done.ratio(COUNTS),
            most=2,
        )
    ]
    return done


def job_search(items: int, sizes: Sizes, bits: int = 64) -> Outcome:
    """Top-100 Hamming search."""
    k, queries = min(100, items), min(64, sizes.queries)
    data = ranked(items, queries, bits)
    done = Outcome(f"top-{k} Hamming search, {items:,} codes of {bits} bits", "ms a query")
    by_numpy, words = HammingIndex(data.database, engine="numpy"), (to_words(data.query), to_words(data.database))
    partition = "bitwise_count and partition, distances only"
    ways = [
        Contestant(BY_NUMPY, lambda: by_numpy.search(data.query, k), queries),
        Contestant(partition, lambda: peers.search_numpy(*words, k), queries),
    ]
    with_faiss = done.has("faiss")
    if with_faiss:
        import faiss

        faiss.omp_set_num_threads(1)
        by_faiss = HammingIndex(data.database, engine="faiss")
        ways.append(Contestant(BY_FAISS, lambda: by_faiss.search(data.query, k), queries))
        for name, with_heap in ((FAISS_HEAP, True), (FAISS_COUNTS, False)):
            flat = faiss.IndexBinaryFlat(bits)
            flat.use_heap = with_heap
            flat.add(data.database)
            ways.append(Contestant(name, lambda flat=flat: flat.search(data.query, k), queries))
    done.times, results = race(ways, sizes.rounds)
    ours = results[BY_NUMPY]
    order = np.array([np.argsort(row, kind="stable")[:k] for row in hamming(data.query, data.database)])
    done.agreements = [
        Agreement("distances: NumPy", largest(ours.distances, results[partition]), 0),
        Agreement("ids: a stable sort", largest(ours.ids, order), 0),
    ]
    done.bars = [Bar("bitwise_count and partition, in times of ours", done.ratio(partition, BY_NUMPY), least=1)]
    if with_faiss:
        alone = min((FAISS_HEAP, FAISS_COUNTS), key=lambda name: done.times[name].median)
        done.agreements += [
            Agreement("distances: faiss", largest(ours.distances, np.sort(results[alone][0], axis=1)), 0),
            Agreement("ids: both engines, ties by id", largest(ours.ids, results[BY_FAISS].ids), 0),
        ]
        why = "NumPy counts the bits of a word in two passes, and has no instruction for several words at once"
        done.bars += [
            Bar(
                "faiss where installed: in times of faiss alone at its best, which leaves ties open",
                1 / done.ratio(alone, BY_FAISS),
                most=1.5,
            ),
            Bar("NumPy, in times of faiss alone at its best", 1 / done.ratio(alone, BY_NUMPY), most=1.5, why=why),
        ]
    return done


def job_full_ranking(items: int, sizes: Sizes) -> Outcome:
    """Every item in order."""
    queries = min(64, sizes.queries)
    data = ranked(items, queries)
    index, words = HammingIndex(data.database), (to_words(data.query)[0], to_words(data.database)[0])
    done = Outcome(f"full Hamming ranking, {items:,} codes of 64 bits", "ms a query")
    done.times, results = race(
        [
            Contestant(OURS, lambda: index.search(data.query, items), queries),
            Contestant("stable argsort of bytes", lambda: peers.ranking_one_line(*words), queries),
        ],
        sizes.rounds,
    )
    done.agreements = [Agreement("places", largest(results[OURS].ids, results["stable argsort of bytes"]), 0)]
    why = "the sort is the same line; ours also gathers the distances and returns both for all queries at once"
    done.bars = [Bar("the same one line: in times of it", 1 / done.ratio("stable argsort of bytes"), most=3, why=why)]
    return done


def dense_rows(items: int, width: int) -> NDArray[np.float32]:
    """Rows as a network's last hidden layer gives them: a random mixture of 300 centres through a rectifier."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((300, width), dtype=np.float32)
    x = random.standard_normal((items, width), dtype=np.float32)
    for row, centre in zip(x, random.integers(0, 300, items), strict=True):
        row *= 0.8
        row += centres[centre]
    return np.maximum(x, 0, out=x)


def dense_graph(items: int, width: int) -> Callable[[], Any]:
    """The work of `job_knn_dense`, for a fresh process."""
    knn_graph(dense_rows(50, 8), 3)
    x = dense_rows(items, width)
    return lambda: knn_graph(x, 5)


def products_alone(x: torch.Tensor, chunk: int = 1024) -> None:
    for start in range(0, len(x), chunk):
        x[start : start + chunk] @ x.T


def job_knn_dense(items: int, sizes: Sizes) -> Outcome:
    """The graph of dense features."""
    k, x = 5, dense_rows(items, sizes.dense_width)
    tensor = torch.from_numpy(x)
    done = Outcome(f"kNN graph, {items:,} × {sizes.dense_width}, dense, Euclidean, k = {k}", "CPU s")
    product, sklearn = "matrix products and topk in chunks (torch)", "scikit-learn NearestNeighbors, brute"
    rounds = 1 if items > 10_000 else min(3, sizes.rounds)
    done.times, results = race(
        [
            Contestant(OURS, lambda: knn_graph(x, k)),
            Contestant(product, lambda: peers.knn_product(tensor, k)),
            Contestant(sklearn, lambda: peers.knn_sklearn(x, k, "euclidean")),
            Contestant("the matrix products alone", lambda: products_alone(tensor)),
        ],
        rounds,
        warm=False,
    )
    ours = results[OURS]
    for name in (product, sklearn):
        places, distances = (np.asarray(part) for part in results[name])
        done.agreements.append(
            Agreement(
                f"distances, relative: {name}", largest(distances / ours.distances, np.ones_like(ours.distances)), 1e-3
            )
        )
        same = np.mean(
            [len(set(a) & set(b)) / k for a, b in zip(ours.neighbours.tolist(), places.tolist(), strict=True)]
        )
        done.agreements.append(Agreement(f"share of neighbours that differ: {name}", float(1 - same), 1e-3))
    why = (
        "near distances are measured again in float64, a fixed price an item, which counts for less at the bar's "
        "20,000 items"
    )
    done.bars = [
        Bar("the same as products and topk in chunks: in times of it", 1 / done.ratio(product), most=1.1, why=why)
    ]
    if (peak := peak_memory(dense_graph, items, sizes.dense_width)) is not None:
        done.peaks[OURS] = peak
        done.bars.append(Bar("memory under 500 MB over the input", peak.over, most=500))
    return done


def bags_of_words(items: int, width: int = 1386) -> Any:
    """Bags of words with the long tail of real tags, about nine words an item, and shared topics."""
    from scipy import sparse

    random = np.random.default_rng(0)
    chance = 1 / np.arange(1, width + 1)
    topics = np.array([random.permutation(chance) for _ in range(40)]) * 0.6 + chance * 0.4
    topics *= 9 / topics.sum(axis=1, keepdims=True)
    blocks = [
        random.random((len(part), width), dtype=np.float32) < topics[part]
        for part in np.array_split(random.integers(0, 40, items), items // 1000 + 1)
    ]
    return sparse.vstack([sparse.csr_array(block.astype(np.float32)) for block in blocks], format="csr")


def sparse_graph(items: int) -> Callable[[], Any]:
    """The work of `job_knn_sparse`, for a fresh process."""
    knn_graph(bags_of_words(100), 3, metric="cosine")
    x = bags_of_words(items)
    return lambda: knn_graph(x, 50, metric="cosine")


def job_knn_sparse(items: int, sizes: Sizes) -> Outcome:
    """The graph of sparse bags of words."""
    k, x = 50, bags_of_words(items)
    sklearn = "scikit-learn NearestNeighbors, brute"
    done = Outcome(f"kNN graph, {items:,} × {x.shape[1]}, sparse bag of words, cosine, k = {k}", "CPU s")
    done.times, results = race(
        [
            Contestant(OURS, lambda: knn_graph(x, k, metric="cosine")),
            Contestant(sklearn, lambda: peers.knn_sklearn(x, k, "cosine")),
        ],
        min(3, sizes.rounds),
        warm=False,
    )
    done.agreements = [
        Agreement(
            "distances (ties: only these are comparable)", largest(results[OURS].distances, results[sklearn][1]), 1e-6
        )
    ]
    done.bars = [
        Bar(f"5 CPU s at 20,000 items (here {items:,})", done.times[OURS].median, most=5),
        Bar("scikit-learn, in times of ours", done.ratio(sklearn), least=1),
    ]
    if (peak := peak_memory(sparse_graph, items)) is not None:
        done.peaks[OURS] = peak
    return done


def triplet_batch(size: int, bits: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two modalities' codes in (-1, 1) and ten classes, for pytorch-metric-learning takes classes only."""
    random = torch.Generator().manual_seed(0)
    a, b = (torch.tanh(torch.randn(size, bits, generator=random)).requires_grad_() for _ in range(2))
    return a, b, torch.randint(0, 10, (size,), generator=random)


def job_triplet(size: int, sizes: Sizes) -> Outcome:
    """The triplet hinge over all (i, j, k), forward and backward."""
    a, b, classes = triplet_batch(size)
    similar, margin = classes[:, None] == classes, 2.0

    def both_ways(loss: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, ...]:
        value = loss()
        return (value.detach(), *torch.autograd.grad(value, (a, b)))

    losses = {
        OURS: lambda: triplet_hinge(pairwise_distance(a, b), similar, margin, reduction="sum").loss,
        "a loop over rows": lambda: peers.triplet_rows(a, b, similar, margin),
        "a B³ tensor": lambda: peers.triplet_cube(a, b, similar, margin),
        "the distances alone": lambda: pairwise_distance(a, b).sum(),
    }
    done = Outcome(f"triplet hinge, B = {size}, forward and backward", "ms")
    if done.has("pytorch_metric_learning"):
        losses[METRIC_LEARNING] = lambda: peers.triplet_metric_learning(a, b, classes, margin)
    done.times, results = race(
        [Contestant(name, partial(both_ways, loss)) for name, loss in losses.items()], sizes.rounds if size < 300 else 3
    )
    for name in [name for name in losses if name not in (OURS, "the distances alone")]:
        worst = max(relative(x, y) for x, y in zip(results[name], results[OURS], strict=True))
        done.agreements.append(Agreement(f"value and gradients, relative: {name}", worst, 1e-4))
    limit = {128: 7.8, 512: 102.0}.get(size)
    if limit:
        done.bars.append(Bar(f"{limit:g} ms or better", done.times[OURS].median * 1e3, most=limit))
    done.bars.append(Bar("a loop over rows, in times of ours", done.ratio("a loop over rows"), least=1))
    return done


def pairwise_inputs(items: int) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(items, 64, generator=random).requires_grad_() for _ in range(2))
    return a, b, (torch.rand(items, 24, generator=random) < 0.1).float()


def pairwise_terms(items: int) -> Callable[[], Any]:
    """The work of `job_pairwise`, for a fresh process."""
    a, b, labels = pairwise_inputs(items)
    small = pairwise_inputs(10)
    pairwise_loss(small[0], small[1], LabelSimilarity(small[2], small[2])).backward()
    return lambda: pairwise_loss(a, b, LabelSimilarity(labels, labels)).backward()


def matrix_terms(items: int) -> Callable[[], Any]:
    """The peer's work of `job_pairwise`, for a fresh process."""
    a, b, labels = pairwise_inputs(items)
    small = pairwise_inputs(10)
    peers.pairwise_matrices(small[0], small[1], small[2], small[2]).backward()
    return lambda: peers.pairwise_matrices(a, b, labels, labels).backward()


def job_pairwise(items: int, sizes: Sizes) -> Outcome:
    """SSAH's pairwise likelihood of all against all, forward and backward."""
    a, b, labels = pairwise_inputs(items)
    matrices = "n × n tensors"

    def both_ways(loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (loss.detach(), *torch.autograd.grad(loss, (a, b)))

    done = Outcome(f"SSAH pairwise terms, n = {items:,}, forward and backward", "CPU s")
    done.times, results = race(
        [
            Contestant(OURS, lambda: both_ways(pairwise_loss(a, b, LabelSimilarity(labels, labels)))),
            Contestant(matrices, lambda: both_ways(peers.pairwise_matrices(a, b, labels, labels))),
        ],
        min(3, sizes.rounds),
    )
    worst = max(relative(x, y) for x, y in zip(results[matrices], results[OURS], strict=True))
    done.agreements = [Agreement(f"value and gradients, relative: {matrices}", worst, 1e-4)]
    done.bars = [Bar("n × n tensors, in times of ours", done.ratio(matrices), least=1)]
    for name, work in ((OURS, pairwise_terms), (matrices, matrix_terms)):
        if (peak := peak_memory(work, items)) is not None:
            done.peaks[name] = peak
    if OURS in done.peaks:
        done.bars.append(Bar("memory under 100 MB over the input", done.peaks[OURS].over, most=100))
    return done


def job_sampling(pool: int, sizes: Sizes) -> Outcome:
    """UGACH: the generator's distribution over a pool of candidates, and draws from it."""
    network = CrossModalNetwork(4096, 1000, sizes.hidden, 64, None, torch.Generator().manual_seed(0))
    random, draws, few = torch.Generator().manual_seed(1), 2, min(sizes.pool_queries, pool)
    images, texts = torch.rand(pool, 4096, generator=random) / 64, torch.rand(pool, 1000, generator=random) / 32

    @torch.no_grad()
    def once() -> tuple[torch.Tensor, torch.Tensor]:
        chance = generator_log_probability(*network(images, texts)).exp()
        return chance, torch.multinomial(chance, draws, replacement=True, generator=random)

    with torch.no_grad():
        codes = network(images, texts)

    @torch.no_grad()
    def frozen() -> torch.Tensor:
        chance = generator_log_probability(*codes).exp()
        return torch.multinomial(chance, draws, replacement=True, generator=random)

    done = Outcome(f"UGACH sampling, pool of {pool}, {sizes.hidden} units", "ms a query")
    again = "the pool embedded again for every query"
    done.times, results = race(
        [
            Contestant(OURS, once, pool),
            Contestant("cmhkit, the second step of a round", frozen, pool),
            Contestant(again, lambda: peers.sample_by_query(network, images[:few], texts, draws, random), few),
        ],
        sizes.rounds,
    )
    done.agreements = [Agreement("p over the pool", largest(results[OURS][0][:few], results[again][0]), 1e-5)]
    done.bars = [
        Bar(
            "0.9 ms a query: the set embedded once while G is frozen, and drawn from",
            done.times[OURS].median * 1e3,
            most=0.9,
        )
    ]
    done.notes.append(
        "`cmhkit` embeds this one pool and draws; in a round the whole set is embedded once, and each further step "
        "only draws (the second line)."
    )
    return done


def job_start_up(sizes: Sizes) -> Outcome:
    """What it costs before anything is done."""
    python = [sys.executable, "-c"]
    commands = {
        "import cmhkit": [*python, "import cmhkit"],
        "cmhkit --help": [sys.executable, "-m", "cmhkit.app.cli", "--help"],
        "import torch": [*python, "import torch"],
        "Python alone": [*python, "pass"],
    }
    done = Outcome("start-up, a fresh process", "CPU s")
    seconds_of: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        cpu_of_process(command)
    for _ in range(sizes.rounds):
        for name, command in commands.items():
            seconds_of[name].append(cpu_of_process(command))
    done.times = {name: Times(tuple(seconds)) for name, seconds in seconds_of.items()}
    done.bars = [
        Bar("`import cmhkit` under 0.5 CPU s", done.times["import cmhkit"].median, most=0.5),
        Bar("`cmhkit --help` under 0.7 CPU s", done.times["cmhkit --help"].median, most=0.7),
    ]
    done.notes.append("tests/unit/test_imports.py holds this by the modules that are loaded, not by a clock.")
    return done


def jobs(sizes: Sizes) -> dict[str, list[Callable[[], Outcome]]]:
    """All jobs by a short name."""
    first = sizes.databases[0]
    return {
        "map": [partial(job_map, items, sizes) for items in sizes.databases],
        "queries": [partial(job_all_queries, sizes.databases[-1], sizes)],
        "pr": [partial(job_precision_recall, first, sizes)],
        "search": [
            *(partial(job_search, items, sizes) for items in sizes.search),
            *(partial(job_search, sizes.search[0], sizes, bits) for bits in (128, 256)),
        ],
        "ranking": [partial(job_full_ranking, first, sizes)],
        "dense": [partial(job_knn_dense, sizes.dense, sizes)],
        "sparse": [partial(job_knn_sparse, sizes.sparse, sizes)],
        "triplet": [partial(job_triplet, size, sizes) for size in sizes.triplets],
        "pairwise": [partial(job_pairwise, sizes.pairs, sizes)],
        "sampling": [partial(job_sampling, sizes.pool, sizes)],
        "start": [partial(job_start_up, sizes)],
    }
