"""A million codes in PostgreSQL with pgvector, beside the kit's index and faiss: copied, searched exactly, and by HNSW.

Run:  python -m bench.database                  (some ten minutes, and 1 GB of disk for as long as it runs)
      python -m bench.database --items 100000   (smaller; prints, and leaves RESULTS.md alone)
Time is CPU time: of this process, and of the server's process that answers it; both on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.report import machine, table, write_section
from bench.timing import digits
from cmhkit.app import database
from cmhkit.index import HammingIndex, Hits

ITEMS, BITS, K = 1_000_000, 64, 10
CENTRES, FLIPPED = 10_000, 0.15
QUERIES, SLOW_QUERIES = 500, 20
CANDIDATES = (10, 20, 40, 80, 160, 320, 640)
LINKS, BUILD_CANDIDATES = 16, 64  # pgvector's m and ef_construction as they come; faiss gets the same
SETTINGS = {
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "maintenance_work_mem": "'4GB'",
    "jit": "off",
}
INDEX_SIZE = (
    "SELECT pg_size_pretty(sum(pg_relation_size(indexrelid))) FROM pg_index "
    "WHERE indrelid = 'codes'::regclass AND NOT indisprimary"
)
VERSIONS = (
    "SELECT current_setting('server_version') || ', pgvector ' || extversion FROM pg_extension WHERE extname = 'vector'"
)


def made_codes(items: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Made-up codes in groups, packed: one of 10,000 centres, each of its bits flipped with probability 0.15."""
    centres = rng.random((CENTRES, BITS)) < 0.5
    packed = np.empty((items, BITS // 8), dtype=np.uint8)
    for start in range(0, items, 100_000):
        rows = slice(start, min(start + 100_000, items))
        count = rows.stop - rows.start
        flipped = rng.random((count, BITS), dtype=np.float32) < FLIPPED
        packed[rows] = np.packbits(centres[rng.integers(CENTRES, size=count)] ^ flipped, axis=1)
    return packed


class Clock:
    """CPU seconds of this process and of another, since the last look."""

    def __init__(self, other: int | None = None) -> None:
        self._other = psutil.Process(other) if other is not None else None
        self.look()

    def look(self) -> float:
        spent = time.process_time()
        if self._other is not None:
            spent += sum(self._other.cpu_times()[:2])
        before, self._spent = getattr(self, "_spent", spent), spent
        return self._spent - before


def recall(hits: Hits, exact: NDArray[np.uint16]) -> float:
    """The share of what was given back that is as near as the k-th nearest; equal distances count as equally good.

    exact: the exact distances, (n, k), of at least as many queries.
    """
    return float((hits.distances <= exact[: len(hits.distances), -1:]).mean())


def timed(search: Callable[[NDArray[np.uint8]], Hits], query: NDArray[np.uint8], clock: Clock) -> tuple[Hits, float]:
    """The answer, and CPU milliseconds a query; a first search does not count."""
    search(query[:1])
    clock.look()
    hits = search(query)
    return hits, 1e3 * clock.look() / len(query)


def faiss_hnsw(codes: NDArray[np.uint8]) -> Callable[[int], Callable[[NDArray[np.uint8]], Hits]]:
    """faiss's HNSW over codes: from a number of candidates to a search."""
    index = faiss.IndexBinaryHNSW(BITS, LINKS)
    index.hnsw.efConstruction = BUILD_CANDIDATES
    index.add(codes)

    def with_candidates(ef: int) -> Callable[[NDArray[np.uint8]], Hits]:
        def search(query: NDArray[np.uint8]) -> Hits:
            index.hnsw.efSearch = ef
            distances, ids = index.search(query, K)
            return Hits(ids, distances.astype(np.uint16))

        return search

    return with_candidates


@contextmanager
def server() -> Iterator[tuple[Any, Clock]]:
    """A connection to an embedded server without parallel workers, and a clock that counts its process."""
    with tempfile.TemporaryDirectory() as folder, database.connected(f"embedded:{Path(folder) / 'server'}") as found:
        for name, value in SETTINGS.items():
            found.execute(f"SET {name} = {value}")
        yield found, Clock(found.info.backend_pid)


def measured(items: int) -> tuple[list[list[str]], list[list[str]], str]:
    """Rows of filling, rows of searching, and the server's versions."""
    rng = np.random.default_rng(0)
    codes = made_codes(items, rng)
    query = codes[rng.choice(items, QUERIES, replace=False)] ^ np.packbits(rng.random((QUERIES, BITS)) < 0.05, axis=1)
    filling, searching = [], []

    def filled(what: str, seconds: float, size: str) -> None:
        filling.append([what, f"{seconds:.1f} CPU s", size])
        print(*filling[-1], flush=True)

    def searched(what: str, hits: Hits, milliseconds: float) -> None:
        searching.append([what, digits(milliseconds), f"{recall(hits, exact.distances):.3f}"])
        print(*searching[-1], flush=True)

    clock = Clock()
    ours = HammingIndex(codes, engine="numpy")
    exact, milliseconds = timed(lambda some: ours.search(some, K), query, clock)
    searched("cmhkit, NumPy, exact", exact, milliseconds)
    flat = HammingIndex(codes, engine="faiss")
    hits, milliseconds = timed(lambda some: flat.search(some, K), query, clock)
    assert (hits.ids == exact.ids).all()
    searched("cmhkit, faiss, exact", hits, milliseconds)
    clock.look()
    by_faiss = faiss_hnsw(codes)
    filled("faiss, HNSW: built", clock.look(), "–")
    for ef in CANDIDATES:
        searched(f"faiss, HNSW, ef {ef}", *timed(by_faiss(ef), query, clock))
    with server() as (connection, clock):
        database.write(connection, "codes", {"image": codes})
        copied = clock.look()
        size = connection.execute("SELECT pg_size_pretty(pg_table_size('codes'))").fetchone()[0]
        filled("PostgreSQL: copied, with ids and their index", copied, size)
        hits, milliseconds = timed(
            lambda some: database.nearest(connection, "codes", "image", some, K), query[:SLOW_QUERIES], clock
        )
        assert (hits.ids == exact.ids[:SLOW_QUERIES]).all() and (hits.distances == exact.distances[:SLOW_QUERIES]).all()
        searched("PostgreSQL, `<~>`, exact", hits, milliseconds)
        clock.look()
        database.write(connection, "codes", {"image": codes}, index=True)
        filled("PostgreSQL: HNSW index", clock.look() - copied, connection.execute(INDEX_SIZE).fetchone()[0])
        for ef in CANDIDATES:
            search = lambda some, ef=ef: database.nearest(connection, "codes", "image", some, K, ef=ef)  # noqa: E731
            searched(f"PostgreSQL, HNSW, ef {ef}", *timed(search, query, clock))
        version = connection.execute(VERSIONS).fetchone()[0]
    return filling, searching, version


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=ITEMS)
    items = parser.parse_args().items
    threadpool_limits(1)
    faiss.omp_set_num_threads(1)
    filling, searching, version = measured(items)
    text = "\n\n".join(
        [
            "## Codes in a database",
            f"`python -m bench.database` · {machine('faiss-cpu', 'psycopg')}, PostgreSQL {version}",
            f"{items:,} made-up codes of {BITS} bits in {CENTRES:,} groups, the {K} nearest of {QUERIES} queries "
            f"({SLOW_QUERIES} for PostgreSQL's exact scan). CPU time of the process that asks and of the server's "
            "process that answers, one thread each, no parallel workers. The machine was busy with other work, so read "
            "the ratios. The server has the shared buffers that it comes with, 128 MB, less than its index of a "
            f"million. HNSW with {LINKS} links and {BUILD_CANDIDATES} candidates while building. The exact answers "
            "are the same, ties by id. Recall: the share of what was found that is no farther than the tenth.",
            table(["filling", "time", "size"], filling),
            table(["way", "CPU ms a query", f"recall@{K}"], searching),
        ]
    )
    print(text)
    if items == ITEMS:
        write_section("database", text)


if __name__ == "__main__":
    main()
