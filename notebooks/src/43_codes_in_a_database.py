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
#   cmhkit:
#     walks_through: SQL over codes, the exact scan, a walk on a graph, HNSW, recall against milliseconds, transactions
#     widget: –
#     minutes: 35
# ---

# %% [markdown]
# # 43 · What a database does with codes
#
# So far codes lay in an array, and one process searched them. A service has many processes, on several machines, and
# its pictures change while people search. That is what databases are for. After this notebook you can
#
# 1. store codes in PostgreSQL, and write the exact search as one line of SQL, with the same ties as the kit's;
# 2. say how an index over a graph finds near codes without looking at all of them, because you have written the walk;
# 3. measure what such an index costs in recall, fairly where distances tie, against the milliseconds that it saves;
# 4. put a run's codes into a database from the command line, and say why nobody ever sees half of them.
#
# Reading takes 35 minutes, running takes less than a minute. The server is a small one that this notebook starts for
# itself. On a server of yours, or on a cluster, the SQL is the same.
#
# | what | in cmhkit | in PostgreSQL |
# | --- | --- | --- |
# | a code of $K$ bits | a row of `codes`, K / 8 bytes | `bit(K)` |
# | $d_H$, the bits that differ | `ck.codes.hamming` | `<~>`, from the extension pgvector |
# | the $k$ nearest | `ck.index.HammingIndex(…).search(query, k)` | `ORDER BY … LIMIT k` |
# | candidates that a walk keeps | `ef=` | `hnsw.ef_search` |

# %% tags=["parameters"]
size = "tiny"
seed = 0
bits = 64
results_path = ""

# %%
import heapq
import math
import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import cmhkit as ck
from cmhkit.app import database, embedded, runs
from cmhkit.course.lessons import lesson_43 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## Twenty thousand codes
#
# A real set of codes has neighbourhoods: pictures of dogs have codes near each other. We make such a set up, so that
# it is the same on every machine: a thousand centres, and codes that differ from a centre in about one bit of eight.
# The queries are codes of the set, disturbed a little.


# %%
def flipped(codes, share):
    """Packed codes in which each bit is flipped with a probability."""
    return codes ^ np.packbits(rng.random((len(codes), bits)) < share, axis=1)


items, asked, k = 20_000, 50, 10
centres = rng.integers(0, 256, (1000, bits // 8), dtype=np.uint8)
codes = flipped(centres[rng.integers(len(centres), size=items)], 1 / 8)
query = flipped(codes[rng.choice(items, asked, replace=False)], 1 / 16)
print(f"{items:,} codes of {bits} bits: {codes.nbytes:,} bytes; {asked} queries")

# %% [markdown]
# The kit's own index is our measure: it compares a query with every code, and puts equal distances in the order of
# their ids (lesson 01). What it finds is the truth, up to ties.

# %%
index = ck.index.HammingIndex(codes, engine="numpy")
exact = index.search(query, k)
print("the first query: ids", exact.ids[0], "at distances", exact.distances[0])

# %% [markdown]
# ## A server of our own
#
# PostgreSQL is a program of its own, a *server*: it keeps the tables, and others ask it. `embedded.server` starts one
# in a folder, for this notebook only. `room` is a stack of what must be closed at the end: the last cells close it,
# which stops the server and removes the folder. (A kernel that is killed takes its server along too.)

# %%
room = ExitStack()
place = Path(room.enter_context(tempfile.TemporaryDirectory())).resolve()
address = room.enter_context(embedded.server(place / "server"))
connection = room.enter_context(database.connected(address))
print(connection.execute("SELECT 'a server answers'").fetchone()[0])

# %% [markdown]
# A table is made by SQL, a language of whole sentences. Here is one for three codes. `%s` stands for a value, which is
# sent apart from the sentence, so that no value can be mistaken for SQL.

# %%
connection.execute("CREATE EXTENSION IF NOT EXISTS vector")  # pgvector, which knows <~>
connection.execute("CREATE TABLE three (id bigint PRIMARY KEY, code bit(8))")
for number, code in enumerate(("00001111", "00001110", "11110000")):
    connection.execute("INSERT INTO three VALUES (%s, %s)", [number, code])
rows = connection.execute("SELECT id, code <~> '00001111' AS distance FROM three ORDER BY distance").fetchall()
print(rows)

# %% [markdown]
# `<~>` counted the bits that differ, and `ORDER BY` sorted by them.
#
# ### Exercise 1: a code as PostgreSQL writes it
#
# In: `code`, the bytes of one packed code, uint8, shape (K / 8,). Out: a string of its K bits, the first bit first, in
# the order of `np.packbits`. Mind zeros at the front.


# %%
def as_bits(code): ...


q.q1.check(as_bits)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# `database.write` does this for a whole array, and sends all rows in one stream (`COPY`), which is much faster than an
# `INSERT` for each. The column is called `image_code`, since a run has codes of pictures and of texts.

# %%
database.write(connection, "codes", {"image": codes})
row = connection.execute("SELECT image_code::text FROM codes WHERE id = 7").fetchone()
assert row == tuple(database.bit_strings(codes[7:8]))
print(database.in_words(database.described(connection, "codes")))

# %% [markdown]
# ## The exact scan
#
# The search in SQL, written out. To find the nearest, the server looks at every row: a *sequential scan*.
#
# **Predict.** With `ORDER BY distance LIMIT 10` alone, will the answer be the kit's?

# %%
BY_DISTANCE = "SELECT id, image_code <~> %s AS distance FROM codes ORDER BY distance LIMIT %s"
BY_DISTANCE_AND_ID = "SELECT id, image_code <~> %s AS distance FROM codes ORDER BY distance, id LIMIT %s"


def ask(sentence):
    """(ids, distances) of all queries."""
    answers = [connection.execute(sentence, [code, k]).fetchall() for code in database.bit_strings(query)]
    return np.array(answers).astype(int).transpose(2, 0, 1)


(some_ids, some_distances), (ids, distances) = ask(BY_DISTANCE), ask(BY_DISTANCE_AND_ID)
print("by distance: the same distances?", (some_distances == exact.distances).all())
print("by distance and id: the same distances?", (distances == exact.distances).all())
print("by distance and id: the same ids?", (ids == exact.ids).all())

# %% [markdown]
# <details><summary>Answer</summary>
#
# Its distances will, its ids need not. Where several codes are equally far from a query at the place where ten are
# reached, SQL is free to take any of them. It may even take others tomorrow, after the table was rewritten. With
# `ORDER BY distance, id` nothing is left open, and the answer is the kit's, number by number.
#
# </details>
#
# How often are ties cut? Count the queries whose tenth and eleventh code are equally far:

# %%
eleven = index.search(query, k + 1).distances
cut = int((eleven[:, k - 1] == eleven[:, k]).sum())
print(f"{cut} of {asked} queries cut a tie between place {k} and place {k + 1}")

# %% [markdown]
# The library's function says the same sentence:

# %%
by_library = database.nearest(connection, "codes", "image", query, k)
gap = max(np.abs(by_library.ids - ids).max(), np.abs(by_library.distances.astype(int) - distances).max())
assert gap == 0 and (by_library.ids == exact.ids).all()
print("database.nearest gives the same", by_library.ids.shape, "ids")

# %% [markdown]
# ## Without looking at all of them
#
# A scan takes twice as long for twice as many codes. For words, databases have sorted indexes, where one looks at a
# few entries only. Codes cannot be sorted so that near ones stand together: a code has K directions.
#
# What works is a **graph**. Each code is linked to codes near it, and a search walks: it looks at the neighbours of
# where it is, goes on from the nearest code not yet visited, and stops when nothing nearer comes. We build one for the
# first 2,000 codes: links to the eight nearest, and two to codes at random, so that one can get away from any place.

# %%
few = codes[:2000]
between = ck.codes.hamming(few, few)
near = np.argsort(between, axis=1, kind="stable")[:, 1:9]
links = np.hstack([near, rng.integers(len(few), size=(len(few), 2))]).tolist()
to_few = ck.codes.hamming(query, few).tolist()
print("code 0 is linked to", links[0])

# %% [markdown]
# ### Exercise 2: when to stop
#
# The walk keeps the `ef` nearest codes that it has met. In: `near`, the distance of the nearest code not yet visited;
# `kept`, the distances of the codes kept; `ef`. Out: `True` if the walk may stop: `ef` codes are kept, and the next one
# is farther than all of them.


# %%
def may_stop(near, kept, ef): ...


q.q2.check(may_stop)
# q.q2.hint()
# q.q2.solution()


# %% [markdown]
# The walk, with two heaps: `todo` gives the nearest code first, `kept` the farthest (its distances are negated).


# %%
def walk(links, distance, ef, start=0):
    """What a walk from `start` keeps, as (distance, place), nearest first, and how many codes it looked at."""
    todo, kept, seen = [(distance[start], start)], [(-distance[start], start)], {start}
    while todo:
        near, here = heapq.heappop(todo)
        if len(kept) == ef and near > -kept[0][0]:
            break
        for there in links[here]:
            if there not in seen:
                seen.add(there)
                heapq.heappush(todo, (distance[there], there))
                heapq.heappush(kept, (-distance[there], there))
                if len(kept) > ef:
                    heapq.heappop(kept)
    return sorted((-d, there) for d, there in kept), len(seen)


# %% [markdown]
# How good is what it finds? **Recall** at ten is the share of the ten that belong there. With ties, several sets of ten
# are equally right. So we ask of each code that was found only whether it is as near as the tenth.
#
# ### Exercise 3: a recall that is fair to ties
#
# In: `found` and `exact`, distances of shape (queries, k), each row rising. Out: the share of all `found` that are no
# farther than the last `exact` distance of their row.


# %%
def recall(found, exact): ...


q.q3.check(recall)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# **Predict.** The walk starts at code 0 for every query, wherever that lies. How many of the 2,000 codes will it look
# at, to find the ten nearest?

# %%
nearest_few = np.sort(to_few, axis=1)[:, :k]
looks = {}
for ef in (10, 20, 40, 80, 160):
    walks = [walk(links, distance, ef) for distance in to_few]
    found = np.array([[d for d, _ in kept[:k]] for kept, _ in walks])
    looks[ef] = float(np.mean([count for _, count in walks]))
    share = (found <= nearest_few[:, -1:]).mean()
    print(f"ef {ef:3d}: looks at {looks[ef]:5.0f} of {len(few)} codes, recall {share:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# With few candidates it looks at a part of them, and misses some of the nearest: it stops in a place whose neighbours
# are all farther. With more candidates it looks at more, and misses fewer. `ef` trades one for the other, and nothing
# is exact until everything is looked at.
#
# </details>
#
# **HNSW**, a *hierarchical navigable small world* (Malkov and Yashunin 2018), is this walk with two improvements. Links
# are chosen so that they lead in different directions. And there are layers, each with a small part of the codes of the
# one below: the walk starts in the thinnest, as on a motorway, and ends on the streets. So it starts near its goal, and
# needs fewer candidates than ours.
#
# > **The note, the paper, the official code.** The papers of this course rank the *whole* database for every query,
# > and so does the kit: MAP over the full ranking needs the place of every relevant item. An index gives the first few
# > and knows nothing of the rest. So measure a method by exact search, then serve it by an index, and give the recall
# > of the index as a figure of its own.
#
# ## The index of the database
#
# `index=True` builds it: `CREATE INDEX ON codes USING hnsw (image_code bit_hamming_ops)`. This is the longest cell of
# the notebook, for every code is searched for once, to find its links.

# %%
before = database.write(connection, "codes", {"image": codes}, index=True)
print("replaced", database.in_words(before), "· index there:", database.described(connection, "codes")["index"])

# %% [markdown]
# The server decides for itself how to answer a sentence. `EXPLAIN` tells its plan.


# %%
def plan(sentence):
    """The scans that the server means to make."""
    lines = connection.execute(f"EXPLAIN (COSTS OFF) {sentence}", [database.bit_strings(query[:1])[0], k]).fetchall()
    return re.findall(r"(\w+ Scan) (?:using|on)", " ".join(line for (line,) in lines))


print("by distance:", plan(BY_DISTANCE))
with connection.transaction():
    connection.execute("SET LOCAL enable_indexscan = off")  # until the transaction ends
    print("by distance and id, indexes not allowed:", plan(BY_DISTANCE_AND_ID))

# %% [markdown]
# Look again at the first line. **The very sentence that scanned before now goes by the index.** Nobody changed the
# query; somebody made an index, and from then on the answers are approximate, without a word. Whoever needs the exact
# answer must say so. `database.nearest` does: it forbids the index unless it is asked for with `ef=`.
#
# An index over random layers is another one each time it is built, so the figures below change from run to run, and
# the times with the machine.


# %%
def fair_recall(found):
    return (found.distances <= exact.distances[:, -1:]).mean()


def timed(search):
    """(milliseconds a query, recall), after a search that does not count."""
    search(query[:5])
    start = time.perf_counter()
    found = search(query)
    return 1000 * (time.perf_counter() - start) / asked, fair_recall(found)


ways = {"the kit, NumPy": timed(lambda some: index.search(some, k))}
ways["PostgreSQL, scan"] = timed(lambda some: database.nearest(connection, "codes", "image", some, k))
candidates = (10, 20, 40, 80, 160, 320)
by_index = [
    timed(lambda some, ef=ef: database.nearest(connection, "codes", "image", some, k, ef=ef)) for ef in candidates
]
assert ways["PostgreSQL, scan"][1] == 1 and len(by_index) == len(candidates)

# %% [markdown]
# faiss has the same two ways inside this process, if it is installed (`pip install faiss-cpu`): a flat index, which is
# exact, and HNSW.

# %%
from importlib.util import find_spec

by_faiss = []
if find_spec("faiss"):
    import faiss

    faiss.omp_set_num_threads(1)
    flat = ck.index.HammingIndex(codes, engine="faiss")
    ways["the kit, faiss"] = timed(lambda some: flat.search(some, k))
    graph = faiss.IndexBinaryHNSW(bits, 16)  # 16 links, as pgvector
    graph.hnsw.efConstruction = 64
    graph.add(codes)

    def by_graph(some, ef):
        graph.hnsw.efSearch = ef
        distances, places = graph.search(some, k)
        return ck.index.Hits(places, distances)

    by_faiss = [timed(lambda some, ef=ef: by_graph(some, ef)) for ef in candidates]

# %% tags=["nbval-ignore-output"]
for name, (milliseconds, share) in ways.items():
    print(f"{name:22s} {milliseconds:8.3f} ms   recall {share:.2f}")
for name, points in (("PostgreSQL, HNSW", by_index), ("faiss, HNSW", by_faiss)):
    for ef, (milliseconds, share) in zip(candidates, points):
        print(f"{name:16s} ef {ef:3d} {milliseconds:7.3f} ms   recall {share:.2f}")

# %% [markdown]
# The same as a picture:

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 4.2))
for name, points in (("PostgreSQL, HNSW", by_index), ("faiss, HNSW", by_faiss)):
    if points:
        axes.plot(*zip(*points), label=name)
for marker, (name, (milliseconds, share)) in zip("*Xd", ways.items()):
    axes.plot([milliseconds], [share], marker=marker, markersize=11, linestyle="none", label=f"{name}, exact")
axes.set(xscale="log", xlabel="milliseconds a query", ylabel=f"recall at {k}", ylim=(None, 1.005))
axes.legend(fontsize="small")
nb.show(
    figure,
    alt="Recall against milliseconds on a logarithmic axis. Exact searches are single marks at recall 1; an HNSW index "
    "is a line that rises to the right, towards recall 1.",
    caption="Each point of a line is a number of candidates, fewest on the left. Exact searches stand at recall 1.",
)

# %% [markdown]
# Three things to see:
#
# - Moving right along a line, recall rises: more candidates, more time, fewer misses.
# - Within the database, the index is much quicker than the scan. That gap grows with the number of codes, since the
#   scan looks at all of them. `bench/RESULTS.md` has a million.
# - The kit's exact search, in this process, is quicker than the database's index here. Twenty thousand codes of 64 bits
#   are 160 kilobytes: they stay near the processor, and nobody has to be asked. **A database is not there for speed.**
#   It is shared, it changes safely, it holds more than memory, and it can combine: `WHERE labels @> '{mammal}'` is
#   one more line.
#
# ### Exercise 4: is the index worth it?
#
# Building took seconds, once; each query then saves milliseconds. In: `build`, in seconds; `scan` and `walk`, in
# milliseconds a query. Out: the smallest whole number of queries after which the index has paid for itself;
# `math.inf` if it never does.


# %%
def queries_to_pay(build, scan, walk): ...


q.q4.check(queries_to_pay)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# ## A run's codes, from the command line
#
# Two commands do this with a run (lesson 42): `cmhkit push RUN ADDRESS` writes the codes of its retrieval set with
# labels, files and captions, and `cmhkit search RUN WORDS --at ADDRESS` asks. An address is
# `postgresql://USER@HOST/DATABASE`, or `embedded:FOLDER` for a server like ours. `--index` builds the index, `--ef 100`
# uses it. Here we call the functions behind the commands. First a small run:

# %%
run = place / f"cca-{bits}"
runs.train("cca", run, data_options=[f"size={size}"], bits=bits, seed=seed, say=lambda line: None)
print(database.push(run, address, index=True))

# %%
asked_for = "dog flower sunny"
there = runs.search(run, asked_for, at=address, k=5)
here = runs.search(run, asked_for, k=5)
assert there == here
print("the database gives the same", len(there), "rows, with", ", ".join(there[0]))

# %% [markdown]
# The table knows whose codes it holds: the checksum of the hasher stands in its comment. **Predict.** A second run,
# trained with another option, asks this table. Its codes have the same length. What should happen?

# %%
second = place / "second"
runs.train("cca", second, data_options=[f"size={size}"], bits=bits, options=["ridge=0.5"], say=lambda line: None)
table = database.table_name(None, run)
try:
    runs.search(second, asked_for, at=address, table=table)
except ck.InputError as error:
    print(str(error).replace(str(place), "TEMP"))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is refused. The bits of two hashers mean different things: distances between them are numbers like any others, and
# say nothing. No length and no type gives it away, so the table has to.
#
# </details>
#
# ## All or nothing
#
# What does somebody see who searches while new codes are written? A *transaction* answers: everything in it comes to
# be at once, at its end. Below, a second connection asks in the middle of a write. The write then fails, after half
# of the rows.


# %%
class Column(list):
    """Captions that look, when the rows are fetched, at what another connection sees, and then fail."""

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            return super().__getitem__(rows)
        with database.connected(address) as other:
            print("meanwhile:", database.in_words(database.described(other, "codes")))
        raise RuntimeError("the network is gone")


try:
    database.write(connection, "codes", {"image": codes[:5]}, columns={"caption": Column("abcde")})
except RuntimeError as error:
    print("the write ends:", error)
print("afterwards:", database.in_words(database.described(connection, "codes")))

# %% [markdown]
# The old table was there all the time, whole. New codes are written into a table beside it, which takes its place in
# the last moment; a failure before that leaves nothing behind.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You stored codes as `bit(K)`, wrote the exact search as one line of SQL, and found that only `ORDER BY distance,
#    id` says which of the equally near come first. Then it was the kit's answer, number by number.
# 2. You wrote a walk on a graph with `ef` candidates, and saw that it looks at a part of the codes and misses some of
#    the nearest.
# 3. You measured recall by distances, so that a tie costs nothing, and drew it against milliseconds: a scan, an index,
#    the kit, and faiss where it is there.
# 4. You pushed a run, saw another hasher refused, and watched a write that failed change nothing.
#
# **On a GPU** nothing changes here: a run that was trained there (`preset="paper"`) is pushed in the same way, and only
# its codes go to the database.
#
# Now close what was opened, the server too.

# %%
room.close()
assert not place.exists()
print("closed, and the folder is gone")

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(codes[:200]),
    equal_to_library=[int(gap), int(np.abs(by_library.ids - exact.ids).max())],
    recall_of_the_index=float(by_index[-1][1]),
    looks_of_the_walk=list(looks.values()),
)
