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
#     walks_through: codes, inner product and Hamming distance, packed bits, ties, AP and MAP by hand, PR curve by radius
#     widget: bit flipper
#     minutes: 45
# ---

# %% [markdown]
# # 01 · Hamming space
#
# After this notebook you can:
#
# 1. compute the Hamming distance of two codes from an inner product and from packed bytes, and say why it is fast;
# 2. compute average precision and MAP by hand, and say what ties do to them;
# 3. read a MAP, a MAP@R and a precision-recall curve in a paper with the right questions in mind.
#
# Reading takes 45 minutes, running takes 10 to 20 seconds.
#
# | symbol | meaning | in cmhkit | shape |
# | --- | --- | --- | --- |
# | $K$ | bits of a code | `bits` | a number |
# | $b$ | a code of signs | `signs`, from `ck.codes.sign` | (n, K) int8, ±1 |
# | | the same code, packed | `ck.codes.pack(signs)` | (n, K / 8) uint8 |
# | $d_H$ | Hamming distance | `ck.codes.hamming(a, b)` | (n, m) uint16 |
# | $\mathrm{AP}$ | average precision of one query | `ck.metrics.average_precision` | a number |
# | $\mathrm{MAP}$ | its mean over the queries | `ck.metrics.evaluate(...).map` | a number |
# | $P(r), R(r)$ | precision and recall within radius $r$ | `ck.metrics.precision_recall_by_radius` | (K + 1,) each |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit import widgets
from cmhkit.lessons import lesson_01 as q
from cmhkit.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## Codes
#
# A model gives real numbers. A code keeps only their signs. We write the two values as −1 and +1, so that we can do arithmetic with them.
#
# One choice must be made: the sign of 0. NumPy says 0, which would be a third value. Here it is +1.

# %%
values = np.array([[0.7, -0.2, 0.0, -1.3]])
print("numpy :", np.sign(values).astype(int).tolist())
print("cmhkit:", ck.codes.sign(values).tolist())

# %% [markdown]
# For the first half of this notebook, codes drawn at random are enough. Here are four of them. You see the first 16 bits of each.

# %%
signs = ck.codes.sign(rng.standard_normal((4, bits)))
for row in signs:
    print(" ".join(f"{s:+d}" for s in row[:16]))

# %% [markdown]
# ## Hamming distance
#
# The **Hamming distance** $d_H(a, b)$ is the number of bits in which $a$ and $b$ differ.
#
# **Predict.** Two random codes of $K$ bits: in how many bits do they differ on average?

# %%
many = ck.codes.sign(rng.standard_normal((300, bits)))
differ = (many[:, None, :] != many[None, :, :]).sum(axis=2)
pairs = differ[np.triu_indices(300, k=1)]
print(f"K = {bits}: mean {pairs.mean():.1f}, smallest {pairs.min()}, largest {pairs.max()}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# In half of them: each bit differs with probability one half. The spread around $K/2$ is small, about $\sqrt K / 2$. So a pair of codes that is much nearer
# than $K/2$ did not come about by chance. That is what a search looks for.
#
# </details>
#
# ## The inner product says the same
#
# Multiply two codes bit by bit. A bit that agrees gives $+1$, since $(+1)(+1) = (-1)(-1) = 1$. A bit that differs gives $-1$. With $d$ bits that differ, $K - d$ agree, so
#
# $$a^\top b = (K - d) - d = K - 2d.$$

# %% [markdown]
# ### Exercise 1: distance from the inner product
#
# Solve for $d$. `a` and `b` are codes of ±1. Do not compare them; use `a @ b`.

# %%
def distance(a, b):
    ...


q.q1.check(distance)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# Written out for all pairs of the four codes, and equal to the library's result. `int` matters: 8-bit numbers would overflow in the product of long codes.

# %%
inner = signs.astype(int) @ signs.T.astype(int)
by_hand = (bits - inner) // 2
packed = ck.codes.pack(signs)
assert (by_hand == ck.codes.hamming(packed, packed)).all()
print(by_hand)

# %% [markdown]
# Each code is at distance 0 from itself, and the table is symmetric. Three things follow from $a^\top b = K - 2d$:
#
# - Sorting by distance, small first, is sorting by inner product, large first.
# - The inner product of two codes changes in steps of 2, and a distance has only $K + 1$ values: $0, 1, \dots, K$.
# - The squared Euclidean distance is $\lVert a - b\rVert^2 = 2K - 2\,a^\top b = 4d$. Networks learn with inner products or Euclidean distances, and search uses bits: they agree.

# %%
euclidean = ((signs[:, None, :].astype(int) - signs[None, :, :]) ** 2).sum(axis=2)
assert (euclidean == 4 * by_hand).all()
print(euclidean)

# %% [markdown]
# ## Flip bits yourself
#
# Two codes as rows of switches. Flip one bit and watch the distance, the inner product, and the bytes.
#
# **Predict.** Flip one bit that agreed. By how much does the distance change, and by how much the inner product?

# %%
flipper = widgets.BitFlipper(bits=8, seed=seed)
flipper

# %% [markdown]
# <details><summary>Answer</summary>
#
# The distance grows by 1. The inner product falls by 2: a $+1$ became a $-1$.
#
# </details>
#
# The same widget with 0, 1, half and all bits flipped. Compare the column of bytes: XOR has a one exactly where the codes differ.

# %%
flipper.small_multiples()

# %% [markdown]
# ## Packed bits
#
# A sign needs one bit of memory. An int8 takes eight bits for it, a float32 takes 32. So codes are **packed**: eight signs in one byte, where a set bit means $+1$
# and the first sign is the highest bit.
#
# ### Exercise 2: one byte
#
# Turn eight signs into a number from 0 to 255.

# %%
def to_byte(signs):
    ...


q.q2.check(to_byte)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# Written out for whole codes: cut into groups of eight, weigh, sum.

# %%
weights = 2 ** np.arange(7, -1, -1)
packed_by_hand = ((signs.reshape(4, -1, 8) > 0) * weights).sum(axis=2)
assert (packed_by_hand == ck.codes.pack(signs)).all()
assert (ck.codes.unpack(packed) == signs).all()
print("weights:", weights.tolist())
print(packed_by_hand)

# %% [markdown]
# ## XOR and popcount
#
# To compare packed codes, the processor needs two operations:
#
# - **XOR** (`^`) of two words sets the bits that differ;
# - **popcount** counts the bits that are set.

# %%
a, b = packed[0], packed[1]
print("a      ", " ".join(f"{byte:08b}" for byte in a))
print("b      ", " ".join(f"{byte:08b}" for byte in b))
print("a XOR b", " ".join(f"{byte:08b}" for byte in a ^ b))
print("counts ", " ".join(f"{count:8d}" for count in np.bitwise_count(a ^ b)))

# %% [markdown]
# ### Exercise 3: distance of packed codes
#
# `a` and `b` are rows of bytes.

# %%
def distance_of_bytes(a, b):
    ...


q.q3.check(distance_of_bytes)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# Written out for all pairs:

# %%
xor = packed[:, None, :] ^ packed[None, :, :]
from_bytes = np.bitwise_count(xor).sum(axis=2)
assert (from_bytes == ck.codes.hamming(packed, packed)).all()
print(from_bytes)

# %% [markdown]
# ## Why it is fast
#
# Count bytes and operations instead of guessing. A processor handles words of 64 bits. One distance takes an XOR and a popcount a word, and a sum. An inner product of $K$ floats takes $K$
# multiplications and $K - 1$ additions. For comparison, the last line has the 4,096 floats that a large network of 2014 gives for a picture.
#
# **Predict.** A million codes of 64 bits: does it fit into a phone's memory? Into a processor's cache?

# %%
print("               bytes    a million items   operations a distance")
for k in (16, 32, 64, 128):
    words = -(-k // 64)
    print(f"{k:4d} bits   {k // 8:8d}   {k // 8:12d} MB   {3 * words - 1:8d}  (as floats: {2 * k - 1})")
print(f"4096 floats{4096 * 4:9d}   {4096 * 4:12d} MB   {2 * 4096 - 1:8d}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A few megabytes: it fits into a phone with ease, and into the cache of many desktop processors. The 4,096 floats of the same million pictures do not fit into most computers' memory.
#
# </details>
#
# Now measure. The numbers are those of one machine: yours will differ, and no test compares them.

# %% tags=["nbval-ignore-output"]
import time

signs_many = ck.codes.sign(rng.standard_normal((20_000, 64)))
packed_many = ck.codes.pack(signs_many)
float_codes = signs_many.astype(np.float32)
features = rng.standard_normal((20_000, 512), dtype=np.float32)
for name, job in {
    "64 bits, XOR and popcount": lambda: ck.codes.hamming(packed_many[:200], packed_many),
    "64 floats, inner products": lambda: float_codes[:200] @ float_codes.T,
    "512 floats, inner products": lambda: features[:200] @ features.T,
}.items():
    job()
    start = time.perf_counter()
    job()
    print(f"{name}: {1000 * (time.perf_counter() - start):.0f} ms for 200 queries and 20,000 items")

# %% [markdown]
# Do not be surprised if the first two are close. Products of float matrices are the most polished routine there is, and in NumPy each step of XOR and popcount walks through memory once
# more. The saving that never depends on the machine is memory: 32 times less than floats of the same length.
#
# **On a GPU.** During training, codes stay on the GPU as ±1 floats: one matrix product $UV^\top$ gives all distances of a batch, $d = (K - UV^\top)/2$. For search, packed
# codes let a GPU hold many millions of items.

# %% [markdown]
# ## Ties
#
# A distance has only $K + 1$ values. With thousands of items, many must share one. Items at the same distance **tie**: the codes do not say which comes first.
#
# ### Exercise 4: the smallest largest tie
#
# However clever the codes: what can you promise about the largest tie of `items` items?

# %%
def largest_tie_at_least(items, bits):
    ...


q.q4.check(largest_tie_at_least)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# Now real codes. ITQ is the quick method of lesson 00; lesson 02 looks at it. Texts are the queries, pictures are searched. We make codes of three lengths.

# %%
data = ck.data.load("scenes", size=size)
query, retrieval = data.query, data.retrieval
lengths = sorted({16, bits, 64})
text_codes, picture_codes = {}, {}
for k in lengths:
    hasher = ck.ITQ(bits=k, seed=seed).fit(data, show_progress=False)
    text_codes[k] = hasher.encode(texts=query)
    picture_codes[k] = hasher.encode(images=retrieval)
print("lengths:", lengths, "| queries:", len(query), "| items:", len(retrieval))

# %% [markdown]
# **Predict.** With 16 bits: how many items share the most common distance to a query, on average? Compare with the promise of exercise 4.

# %%
for k in lengths:
    table = ck.codes.hamming(text_codes[k], picture_codes[k])
    counts = np.stack([np.bincount(row, minlength=k + 1) for row in table])
    promise = -(-len(retrieval) // (k + 1))
    largest, first = counts.max(axis=1).mean(), np.median([row[row > 0][0] for row in counts])
    print(f"{k:3d} bits: largest tie {largest:4.0f} of {len(retrieval)} items (at least {promise}),", end=" ")
    print(f"{first:.0f} items at the smallest distance (median)")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Several times the promise. Distances crowd around the middle, as for random codes. Even at the front, a query often finds more than one item at its smallest distance.
#
# </details>
#
# One query as a picture:

# %%
import matplotlib.pyplot as plt

relevant = (query.labels.astype(int) @ retrieval.labels.T.astype(int)) > 0
row = ck.codes.hamming(text_codes[16][:1], picture_codes[16])[0]
hit = np.bincount(row[relevant[0]], minlength=17)
miss = np.bincount(row[~relevant[0]], minlength=17)
figure, axes = plt.subplots(figsize=(7, 3.2))
axes.bar(range(17), hit, label="relevant", hatch="//", edgecolor="white")
axes.bar(range(17), miss, bottom=hit, label="not relevant", color="0.75")
axes.set(xlabel="Hamming distance", ylabel="items", xticks=range(0, 17, 2))
axes.legend(frameon=False)
alt = "Stacked bars over distances 0 to 16: a hill, highest near the middle; hatched relevant items lie more to the left."
nb.show(figure, alt=alt, caption="Each bar is one tie. Its relevant and its other items stand in no order.")

# %% [markdown]
# See that nearly every bar holds both kinds. Within a bar, the order is free. A score that depends on it measures luck. To see how much luck, we first need a score.
#
# ## Average precision by hand
#
# Eight items, sorted by distance, without ties. 1 is relevant.
#
# At each place, **precision** is the share of relevant items so far. **Average precision** is the mean of the precisions at the places of the hits:
#
# $$\mathrm{AP} = \frac{1}{R}\sum_{p\,:\,\text{hit at } p} \frac{\text{hits up to } p}{p}, \qquad R = \text{number of relevant items}.$$

# %%
ranking = np.array([1, 0, 1, 1, 0, 0, 1, 0])
hits = np.cumsum(ranking)
print("place  relevant  hits so far  precision")
for place, (is_hit, so_far) in enumerate(zip(ranking, hits), start=1):
    counted = f"{so_far}/{place} = {so_far / place:.3f}" if is_hit else ""
    print(f"{place:5d}  {is_hit:8d}  {so_far:11d}  {counted}")

# %% [markdown]
# ### Exercise 5: average precision
#
# Write it for any ranking without ties. `relevant` holds 0 and 1, nearest item first; at least one is 1.

# %%
def average_precision(relevant):
    ...


q.q5.check(average_precision)
# q.q5.hint()
# q.q5.solution()

# %% [markdown]
# Written out for the table above, and equal to the library's:

# %%
by_hand_ap = (1 / 1 + 2 / 3 + 3 / 4 + 4 / 7) / 4
library_ap = ck.metrics.average_precision(np.arange(8), ranking)
assert np.isclose(by_hand_ap, library_ap)
print(f"AP {library_ap:.4f}")

# %% [markdown]
# **Predict.** Move the hit from place 7 to place 8. Then, instead, move the hit from place 1 to place 2. Which costs more?

# %%
late = ck.metrics.average_precision(np.arange(8), [1, 0, 1, 1, 0, 0, 0, 1])
early = ck.metrics.average_precision(np.arange(8), [0, 1, 1, 1, 0, 0, 1, 0])
print(f"as it was {library_ap:.4f}; last hit one later {late:.4f}; first hit one later {early:.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The first hit: its precision falls from 1 to 1/2. AP is mostly about the top of the ranking.
#
# </details>
#
# ## MAP
#
# **Mean average precision** is the mean of AP over the queries. A query that has no relevant item in the database has no AP: the division is by zero. The library leaves it
# out, and counts it in `empty_queries`. Here are three queries; the last is empty.

# %%
rankings = np.array([[1, 0, 1, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]])
aps = [ck.metrics.average_precision(np.arange(8), r) for r in rankings]
print("AP :", [round(ap, 4) for ap in aps])
print(f"MAP: {np.nanmean(aps):.4f} over {np.isfinite(aps).sum()} queries")
print(f"with 0 for the empty query it would be {np.nansum(aps) / 3:.4f}")

# %% [markdown]
# ## What a tie does
#
# Now eight items with a tie: four of them stand at distance 5, and two of these four are relevant. A program must put them in some order. There are $4! = 24$ orders.
# Try them all.

# %%
from itertools import permutations

tied_distance = np.array([2, 3, 5, 5, 5, 5, 6, 8])
tied_relevant = np.array([1, 0, 1, 0, 1, 0, 0, 1])
scores = []
for order in permutations(tied_relevant[2:6]):
    ranking = np.concatenate([tied_relevant[:2], order, tied_relevant[6:]])
    scores.append(ck.metrics.average_precision(np.arange(8), ranking))
values, counts = np.unique(np.round(scores, 4), return_counts=True)
for value, count in zip(values, counts):
    print(f"AP {value:.4f}  in {count} of {len(scores)} orders")

# %% [markdown]
# The codes are the same each time. Only the order of equal distances changes, and with it the score. What should be reported?
#
# A fair answer is the mean over all orders: the **expectation**. The best and the worst order bound it. The library calls the three `expected` (the default), `optimistic` and `pessimistic`.

# %%
rules = {"pessimistic": min(scores), "expected": np.mean(scores), "optimistic": max(scores)}
for ties, by_trying in rules.items():
    library = ck.metrics.average_precision(tied_distance, tied_relevant, ties=ties)
    assert np.isclose(library, by_trying)
    print(f"{ties:12} {library:.4f}")

# %% [markdown]
# ## The closed form
#
# Real ties hold hundreds of items, and nobody can try all their orders. Nobody needs to. Take a tie of $n$ items with $r$ relevant ones, behind $s$ nearer items with $R_s$ relevant ones.
# Look at place $s + i$, the $i$-th of the tie:
#
# - it holds a relevant item with probability $r / n$;
# - if it does, the $i - 1$ places of the tie before it hold $(i - 1)\frac{r - 1}{n - 1}$ relevant ones on average, and the item itself is one more.
#
# So the tie adds to the sum of precisions, on average,
#
# $$\frac{r}{n}\sum_{i=1}^{n}\frac{R_s + 1 + (i - 1)\frac{r - 1}{n - 1}}{s + i}.$$
#
# (McSherry and Najork, ECIR 2008. The library also replaces this sum by harmonic numbers, so that it takes no loop.)

# %%
def expected_ap(distance, relevant):
    total, before, hits_before = 0.0, 0, 0
    for value in np.unique(distance):
        group = relevant[distance == value]
        n, r = len(group), group.sum()
        others = (r - 1) / (n - 1) if n > 1 else 0.0
        i = np.arange(1, n + 1)
        total += r / n * ((hits_before + 1 + (i - 1) * others) / (before + i)).sum()
        before, hits_before = before + n, hits_before + r
    return total / relevant.sum()


print(f"closed form {expected_ap(tied_distance, tied_relevant):.6f}, mean over all orders {np.mean(scores):.6f}")

# %% [markdown]
# It also holds for every real query, with ties of hundreds:

# %%
table = ck.codes.hamming(text_codes[16], picture_codes[16])
aps = np.array([expected_ap(row, hit) for row, hit in zip(table, relevant)])
metrics = ck.metrics.evaluate(text_codes[16], picture_codes[16], query.labels, retrieval.labels)
assert np.allclose(aps, metrics.average_precision)
print(f"{len(aps)} queries, largest difference below 1e-9: {np.abs(aps - metrics.average_precision).max() < 1e-9}")

# %% [markdown]
# ## How much luck is in a MAP?
#
# **Predict.** MAP with 16 bits on real codes: how far apart are the best and the worst order of the ties? In the third digit, the second, or the first? Does it help to take
# 64 bits?

# %%
spread = {}
for k in lengths:
    spread[k] = [
        ck.metrics.evaluate(text_codes[k], picture_codes[k], query.labels, retrieval.labels, ties=ties).map
        for ties in rules
    ]
    low, mean, high = spread[k]
    print(f"{k:3d} bits: pessimistic {low:.2f}, expected {mean:.2f}, optimistic {high:.2f}, spread {high - low:.2f}")

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
places = range(len(lengths))
lows, means, highs = zip(*spread.values())
axes.vlines(places, lows, highs, color="0.6", linewidth=8)
for series, marker, name in ((highs, "^", "optimistic"), (means, "o", "expected"), (lows, "v", "pessimistic")):
    axes.plot(places, series, marker=marker, linestyle="none", markersize=9, label=name)
axes.set_xticks(places, [f"{k} bits" for k in lengths])
axes.set(ylabel="MAP, text to picture", xlim=(-0.5, len(lengths) + 0.4))
axes.legend(frameon=False, loc="center right")
alt = "A bar for each code length, from pessimistic to optimistic MAP, the expected between; longest at 16 bits."
nb.show(figure, alt=alt, caption="The same codes each time: only the order of equal distances differs.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# In the first or second digit. A gain smaller than that says nothing, unless both methods order their ties by the same rule. Longer codes have more distances
# and smaller ties, so the bar shrinks, but it does not vanish.
#
# </details>
#
# Now the extreme: a broken model that gives every item the same code.

# %%
same_query, same_items = np.zeros_like(text_codes[16]), np.zeros_like(picture_codes[16])
for ties in rules:
    score = ck.metrics.evaluate(same_query, same_items, query.labels, retrieval.labels, ties=ties).map
    print(f"{ties:12} {score:.2f}")
print(f"share of relevant items {relevant.mean():.2f}")

# %% [markdown]
# The optimistic order calls a useless code perfect. The expectation says what it is: a shuffle. That is why it is the default here.
#
# What do programs do in practice? They sort. A **stable** sort keeps tied items in the order of the database, so the score depends on how the file was sorted. An **unstable** sort leaves the order
# open, and it may change with the library or the processor. Sort the database in three ways, and rank with a stable sort:

# %%
by_label = np.lexsort(retrieval.labels.T[::-1])
orders = {"as stored": np.arange(len(retrieval)), "by label": by_label, "by label, backwards": by_label[::-1]}
print(f"{'':20}stable   expected")
for name, order in orders.items():
    both = [
        ck.metrics.evaluate(text_codes[16], picture_codes[16][order], query.labels, retrieval.labels[order], ties=ties).map
        for ties in ("stable", "expected")
    ]
    print(f"{name:20}{both[0]:.3f}    {both[1]:.3f}")

# %% [markdown]
# See that the column *stable* moves though the codes are the same, and that *expected* does not. Over many queries most of the luck averages out, unless the order of the file has to do with the
# labels. A benchmark file may well be sorted by class.
#
# > **The note, the paper, the official code.** The reading notes that this course starts from tell how the data are split, and nothing of how equal distances are ordered. The SSAH authors'
# > published code (`utils/calc_hammingranking.py`) ranks with `np.argsort(distance)`. NumPy's default sort is not stable, so the order within a tie is left to the library. A query without a
# > relevant item adds 0 to its sum but still counts in the divisor: it is scored 0. In cmhkit ties are averaged over in closed form, and empty queries are left out and reported; `ties="stable"` and `empty="zero"` are there for comparison.

# %% [markdown]
# ## MAP@R and its three divisors
#
# > **MAP@R: which one?** Often only the first $R$ places are looked at. Then the sum of precisions at hits has to be divided by something, and three things are in use:
# >
# > - `hits`: the hits among the first $R$;
# > - `relevant`: the smaller of $R$ and the number of relevant items in the database;
# > - `hits_capped`: published code also has a mean over the first $\min(R, \text{relevant})$ *hits*, wherever they stand. That is no MAP@R, since it looks behind place $R$.
# >
# > A table that does not name its divisor cannot be compared.
#
# **Predict.** Below, $R = 4$ and two hits are within it. Which divisor gives the largest number, which the smallest?

# %%
ranking = np.array([1, 0, 1, 0, 0, 1, 1, 1])
R = 4
at_hits = [1 / 1, 2 / 3, 3 / 6, 4 / 7, 5 / 8]
by_hand_at_r = {
    "hits": sum(at_hits[:2]) / 2,
    "relevant": sum(at_hits[:2]) / min(R, 5),
    "hits_capped": sum(at_hits[:4]) / min(R, 5),
}
for divisor, score in by_hand_at_r.items():
    assert np.isclose(score, ck.metrics.average_precision(np.arange(8), ranking, r=R, divisor=divisor))
    print(f"AP@{R}, divisor {divisor:12} {score:.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `hits` is the largest: it does not mind that only two of five relevant items were found. `relevant` is the smallest: it wants four hits in four places. One ranking, three scores.
#
# </details>
#
# The same on real codes, $R = 50$, 16 bits:

# %%
for divisor in ck.metrics.DIVISORS:
    options = {"r": 50, "divisor": divisor}
    score = ck.metrics.evaluate(text_codes[16], picture_codes[16], query.labels, retrieval.labels, **options).map_at_r
    print(f"R = 50, divisor {divisor:12} {score:.2f}")

# %% [markdown]
# ## Precision and recall by radius
#
# Codes can be used without ranking: return everything within Hamming distance $r$ of the query. For each radius there is a **precision** (the share of what came that is relevant) and a
# **recall** (the share of the relevant that came). No tie matters here, since a whole group comes or does not.
#
# Written out, and equal to the library's. A query that finds nothing within $r$ has precision 0 there.

# %%
precision_by_hand, recall_by_hand = [], []
for radius in range(17):
    inside = table <= radius
    found = (inside & relevant).sum(axis=1)
    precision_by_hand.append((found / np.maximum(inside.sum(axis=1), 1)).mean())
    recall_by_hand.append((found / relevant.sum(axis=1)).mean())
precision, recall = metrics.precision_by_radius, metrics.recall_by_radius
assert np.allclose(precision, precision_by_hand) and np.allclose(recall, recall_by_hand)
for radius in range(0, 17, 2):
    print(f"radius {radius:2d}: precision {precision[radius]:.2f}, recall {recall[radius]:.2f}")

# %% [markdown]
# **Predict.** Longer codes spread the items over more distances. What happens to the precision at radius 0 and 2?

# %%
figure, axes = plt.subplots(figsize=(7, 3.6))
for k in lengths:
    p, r = ck.metrics.precision_recall_by_radius(text_codes[k], picture_codes[k], query.labels, retrieval.labels)
    axes.plot(r, p, label=f"{k} bits")
    print(f"{k:3d} bits: precision {p[0]:.2f} at radius 0, {p[2]:.2f} at radius 2")
axes.axhline(relevant.mean(), color="0.5", linewidth=1, linestyle=":", marker="")
axes.text(0.99, relevant.mean() - 0.02, "share of relevant items", ha="right", va="top", fontsize=10)
axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1), xlim=(-0.02, 1.02))
axes.legend(frameon=False)
alt = "Precision over recall, a line and marker for each code length; all end on the dotted share of relevant items."
nb.show(figure, alt=alt, caption="Each marker is one radius, from 0 at the left to all bits at the right.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It falls. With long codes, few queries have any item so near, and those that find nothing count as 0. So a curve by radius may start low at the left, although what is found there is good. Codes for
# lookup in a small radius should be short; codes for ranking may be long.
#
# </details>
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. $a^\top b = K - 2d$. Packed codes need XOR and popcount, and $K/8$ bytes each: that makes a search fast and small.
# 2. AP is the mean precision at the hits, MAP its mean over queries. A short code has few distances and large ties, and the order of ties can move MAP in the first or second digit. The expectation over
#    orders has a closed form.
# 3. Ask of a MAP: what about ties, and empty queries? Of a MAP@R: which divisor? Of a curve by radius: what counts where nothing is found?
#
# [Lesson 02](02_pairs_and_protocol.ipynb) looks at the data and at the rules of a fair comparison.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(text_codes[bits]),
    equal_to_library=[
        by_hand - ck.codes.hamming(packed, packed),
        from_bytes - by_hand,
        aps - metrics.average_precision,
        precision - precision_by_hand,
        recall - recall_by_hand,
    ],
    spread=spread[16],
)
