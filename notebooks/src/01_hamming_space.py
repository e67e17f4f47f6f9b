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
# | | precision, recall by radius | `ck.metrics.precision_recall_by_radius` | (K + 1,) each |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit.course import widgets
from cmhkit.course.lessons import lesson_01 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## Codes
#
# A model gives real numbers. A code keeps only their signs, written as −1 and +1, so that we can do arithmetic with
# them.
#
# One choice must be made: the sign of 0. In NumPy it is 0, which would be a third value. In cmhkit it is +1.

# %%
values = np.array([[0.7, -0.2, 0.0, -1.3]])
print("numpy :", np.sign(values).astype(int).tolist())
print("cmhkit:", ck.codes.sign(values).tolist())

# %% [markdown]
# For the first half of this notebook, codes drawn at random are enough. Here are the first 16 bits of four of them.

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
print(f"{len(pairs)} pairs, K = {bits}: mean {pairs.mean():.1f}, standard deviation {pairs.std():.1f}")
print(f"smallest {pairs.min()}, largest {pairs.max()}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# In half of them: each bit differs with probability one half. The standard deviation is $\sqrt K / 2$. So few random
# pairs are much nearer than $K/2$, though among tens of thousands some are. A search looks for pairs that are nearer
# than chance makes them.
#
# </details>
#
# ## The inner product says the same
#
# Multiply two codes bit by bit. A bit that agrees gives $+1$, since $(+1)(+1) = (-1)(-1) = 1$. A bit that differs gives
# $-1$. With $d$ bits that differ, $K - d$ agree, so
#
# $$a^\top b = (K - d) - d = K - 2d.$$

# %% [markdown]
# ### Exercise 1: distance from the inner product
#
# Solve for $d$. `a` and `b` are codes of ±1, arrays of shape (K,). Return the number of bits in which they differ. Do
# not compare them; use `a @ b`.


# %%
def distance(a, b): ...


q.q1.check(distance)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# Written out for all pairs of the four codes, and equal to the library's result, which takes packed codes (explained
# below). `int` matters: 8-bit numbers would overflow in the product of long codes.

# %%
inner = signs.astype(int) @ signs.T.astype(int)
by_hand = (bits - inner) // 2
packed = ck.codes.pack(signs)
assert (by_hand == ck.codes.hamming(packed, packed)).all()
print(by_hand)

# %% [markdown]
# Each code is at distance 0 from itself, and the table is symmetric. Two things follow from $a^\top b = K - 2d$:
#
# - Sorting by distance, small first, is sorting by inner product, large first.
# - The squared Euclidean distance is $\|a - b\|^2 = 2K - 2\,a^\top b = 4d$.
#
# Networks learn with inner products or Euclidean distances, search uses bits, and all three order the items alike. The
# next cell checks the factor 4:

# %%
euclidean = ((signs[:, None, :].astype(int) - signs[None, :, :]) ** 2).sum(axis=2)
assert (euclidean == 4 * by_hand).all()
print(euclidean)

# %% [markdown]
# ## Packed bits
#
# A sign needs one bit of memory. An int8 takes eight bits for it, a float32 takes 32. So codes are **packed**: eight
# signs in one byte, where a set bit means $+1$ and the first sign is the highest bit.
#
# ### Exercise 2: one byte
#
# `signs` is an array of eight values ±1. Return their byte, a number from 0 to 255.


# %%
def to_byte(signs): ...


q.q2.check(to_byte)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# Written out for whole codes: cut into groups of eight, weigh, sum. Each row is one code, as $K / 8$ bytes.

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
# - **XOR** (`^`) sets the bits that differ;
# - **popcount** counts the bits that are set.
#
# Here they are for the first two codes. The counts of the bytes add up to the distance in the table above.

# %%
a, b = packed[0], packed[1]
print("a      ", " ".join(f"{byte:08b}" for byte in a))
print("b      ", " ".join(f"{byte:08b}" for byte in b))
print("a XOR b", " ".join(f"{byte:08b}" for byte in a ^ b))
print("counts ", " ".join(f"{count:8d}" for count in np.bitwise_count(a ^ b)))

# %% [markdown]
# ### Exercise 3: distance of packed codes
#
# `a` and `b` are packed codes, uint8 arrays of shape (K / 8,). Return the number of bits in which they differ.


# %%
def distance_of_bytes(a, b): ...


q.q3.check(distance_of_bytes)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# Written out for all pairs: the same table once more.

# %%
xor = packed[:, None, :] ^ packed[None, :, :]
from_bytes = np.bitwise_count(xor).sum(axis=2)
assert (from_bytes == ck.codes.hamming(packed, packed)).all()
print(from_bytes)

# %% [markdown]
# ## Flip bits yourself
#
# Two codes as rows of switches: flip one bit and watch the distance, the inner product and the bytes (in hexadecimal,
# as is usual).
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
# The same widget with 0, 1, half and all bits flipped. Compare the three rows of each table: the last has a one exactly
# where the codes differ.

# %%
flipper.small_multiples()

# %% [markdown]
# ## Why it is fast
#
# Count bytes and operations. A processor handles words of 64 bits. One distance takes an XOR and a popcount for each
# word, and the sum of the counts. An inner product of $K$ floats takes $K$ multiplications and $K - 1$ additions. The
# last line is for comparison: the 4,096 floats that VGG-19, a large network of 2014, gives for a picture.
#
# **Predict.** How much memory do a million codes of 64 bits take? And the 4,096 floats of a million pictures?

# %%
print("               bytes    a million items   operations a distance")
for k in (16, 32, 64, 128):
    words = -(-k // 64)
    print(f"{k:4d} bits   {k // 8:8d}   {k // 8:12d} MB   {3 * words - 1:8d}  (as floats: {2 * k - 1})")
print(f"4096 floats{4096 * 4:9d}   {4096 * 4:12d} MB   {2 * 4096 - 1:8d}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# 8 MB, which a phone holds with ease. The floats take 16 GB, 2,048 times as much.
#
# </details>
#
# Now measure: 200 queries against 20,000 items, the best of seven runs. Your numbers will differ.

# %% tags=["nbval-ignore-output"]
from timeit import repeat

signs_many = ck.codes.sign(rng.standard_normal((20_000, 64)))
packed_many = ck.codes.pack(signs_many)
floats_64 = signs_many.astype(np.float32)
floats_512 = rng.standard_normal((20_000, 512), dtype=np.float32)
jobs = {
    "64 bits, XOR and popcount ": lambda: ck.codes.hamming(packed_many[:200], packed_many),
    "64 floats, inner products ": lambda: floats_64[:200] @ floats_64.T,
    "512 floats, inner products": lambda: floats_512[:200] @ floats_512.T,
}
for name, job in jobs.items():
    print(f"{name} {1000 * min(repeat(job, number=1, repeat=7)):3.0f} ms")

# %% [markdown]
# The first two may be close: products of float matrices are highly tuned, and in NumPy each step of XOR and popcount
# goes through memory once more. What does not depend on the machine is the memory saved: 32 times less than floats of
# the same length.
#
# **On a GPU.** During training, codes stay on the GPU as ±1 floats: one matrix product $UV^\top$ gives all distances of
# a batch, $d = (K - UV^\top)/2$. For search, packed codes let a GPU hold many millions of items.

# %% [markdown]
# ## Ties
#
# A distance has only $K + 1$ values: $0, 1, \dots, K$. With thousands of items, many must share one. Items at the same
# distance **tie**: the codes do not say which comes first.
#
# ### Exercise 4: the smallest largest tie
#
# One query is compared with `items` items, by codes of `bits` bits. How many items does the largest tie have at the
# least, however good the codes are? Return a whole number.


# %%
def largest_tie_at_least(items, bits): ...


q.q4.check(largest_tie_at_least)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# Now real codes, of ITQ, the quick method of lesson 00, in three lengths. Texts are the queries, pictures are searched.

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
# **Predict.** With 16 bits: how many items share the most common distance to a query, on average? About as many as
# exercise 4 says at least, or many more?
#
# ITQ finds its rotation in fifty steps, and a rounding of the processor can turn a long code a little. So the last
# digits of what follows for 64 bits depend on the machine.

# %% tags=["nbval-ignore-output"]
for k in lengths:
    table = ck.codes.hamming(text_codes[k], picture_codes[k])
    counts = np.stack([np.bincount(row, minlength=k + 1) for row in table])
    at_least = -(-len(retrieval) // (k + 1))
    nearest = np.median([row[row > 0][0] for row in counts])
    print(f"{k:3d} bits: largest tie {counts.max(axis=1).mean():4.0f} of {len(retrieval)} items (at least {at_least})")
    print(f"          {nearest:.0f} items at the smallest distance (median)")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Several times as many. Distances crowd around the middle, as for random codes. Even at the front, a query often finds
# more than one item at its smallest distance.
#
# </details>
#
# Here is one query: how many items are at each distance, and how many of these are relevant (share a label with the
# query, lesson 00).

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
alt = (
    "Stacked bars over distances 0 to 16: a hill, highest near the middle; hatched relevant items lie more to the left."
)
nb.show(figure, alt=alt, caption="Each bar is one tie. Nearly every bar holds both kinds of items.")

# %% [markdown]
# Within a bar, the codes give no order. A score that depends on the order there measures luck. To see how much luck, we
# first need a score.
#
# ## Average precision by hand
#
# A relevant item in a ranking is a **hit**. At each place, **precision** is the share of hits so far. **Average
# precision** is the mean of the precisions at the places of the hits:
#
# $$\mathrm{AP} = \frac{1}{\text{relevant items}}\ \sum_{p\,:\,\text{hit at } p} \frac{\text{hits up to } p}{p}.$$
#
# Here are eight items, sorted by distance, without ties; 1 is relevant.

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
# Write it for any ranking without ties. `relevant` is an array of 0 and 1, nearest item first; at least one is 1.
# Return a number from 0 to 1.


# %%
def average_precision(relevant): ...


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
# **Predict.** Move the hit from place 7 to place 8. Then, instead, move the hit from place 1 to place 2. Which costs
# more?

# %%
late = ck.metrics.average_precision(np.arange(8), [1, 0, 1, 1, 0, 0, 0, 1])
early = ck.metrics.average_precision(np.arange(8), [0, 1, 1, 1, 0, 0, 1, 0])
print(f"as it was {library_ap:.4f}; last hit one later {late:.4f}; first hit one later {early:.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Moving the first hit: its precision falls from 1 to 1/2. AP is mostly about the top of the ranking.
#
# </details>
#
# ## MAP
#
# **Mean average precision** is the mean of AP over the queries. A query that has no relevant item in the database (the
# searched set) is **empty**: it has no AP, since the division is by zero. The library leaves it out, and counts it in
# `empty_queries`. Here are three queries; the last is empty.

# %%
rankings = np.array([[1, 0, 1, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]])
aps = [ck.metrics.average_precision(np.arange(8), r) for r in rankings]
print("AP :", [round(ap, 4) for ap in aps])
print(f"MAP: {np.nanmean(aps):.4f} over {np.isfinite(aps).sum()} queries")
print(f"with 0 for the empty query it would be {np.nansum(aps) / 3:.4f}")

# %% [markdown]
# ## What a tie does
#
# Now four of eight items tie at distance 5, and two of these four are relevant. A program must put them in some order.
# There are $4! = 24$ orders. Try them all.

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
# The codes are the same each time. Only the order of equal distances changes, and with it the score. What should be
# reported?
#
# A fair answer is the mean over all orders: the **expectation**. The best and the worst order bound it. The library
# calls the three `expected` (the default), `optimistic` and `pessimistic`.

# %%
rules = {"pessimistic": min(scores), "expected": np.mean(scores), "optimistic": max(scores)}
for ties, by_trying in rules.items():
    library = ck.metrics.average_precision(tied_distance, tied_relevant, ties=ties)
    assert np.isclose(library, by_trying)
    print(f"{ties:12} {library:.4f}")

# %% [markdown]
# ## The closed form
#
# Real ties hold hundreds of items: too many orders to try. There is a formula (McSherry and Najork, ECIR 2008). Take a
# tie of $n$ items, $m$ of them relevant, behind $s$ nearer items, $h$ of them relevant. Look at place $s + i$, the
# $i$-th of the tie:
#
# - it holds a relevant item with probability $m / n$;
# - if it does, the $i - 1$ places of the tie before it hold $(i - 1)\frac{m - 1}{n - 1}$ relevant ones on average, and
#   the item itself is one more.
#
# So the tie adds to the sum of precisions, on average,
#
# $$\frac{m}{n}\sum_{i=1}^{n}\frac{h + 1 + (i - 1)\frac{m - 1}{n - 1}}{s + i}.$$


# %%
def expected_ap(distance, relevant):
    total, s, h = 0.0, 0, 0
    for value in np.unique(distance):
        tie = relevant[distance == value]
        n, m = len(tie), tie.sum()
        i = np.arange(1, n + 1)
        before = (i - 1) * (m - 1) / max(n - 1, 1)
        total += m / n * ((h + 1 + before) / (s + i)).sum()
        s, h = s + n, h + m
    return total / relevant.sum()


print(f"closed form {expected_ap(tied_distance, tied_relevant):.6f}, mean over all orders {np.mean(scores):.6f}")

# %% [markdown]
# The library uses the same formula. Here they agree on every query of the 16-bit codes, with ties of hundreds:

# %%
table = ck.codes.hamming(text_codes[16], picture_codes[16])
aps = np.array([expected_ap(row, hit) for row, hit in zip(table, relevant)])
metrics = ck.metrics.evaluate(text_codes[16], picture_codes[16], query.labels, retrieval.labels)
assert np.allclose(aps, metrics.average_precision)
print(f"{len(aps)} queries, largest difference below 1e-9: {np.abs(aps - metrics.average_precision).max() < 1e-9}")

# %% [markdown]
# ## How much luck is in a MAP?
#
# **Predict.** MAP with 16 bits on real codes: do the best and the worst order of the ties differ in the third digit,
# the second, or the first? Does it help to take 64 bits?

# %%
spread = {}
for k in lengths:
    spread[k] = [
        ck.metrics.evaluate(text_codes[k], picture_codes[k], query.labels, retrieval.labels, ties=ties).map
        for ties in rules
    ]
widths = [high - low for low, _, high in spread.values()]
print("the spread is smaller with every longer code:", widths == sorted(widths, reverse=True))

# %% tags=["nbval-ignore-output"]
for k, (low, mean, high) in spread.items():
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
# In the first or second digit. When two papers treat ties differently, a gain smaller than that says nothing. Longer
# codes have more distances and smaller ties, so the bar shrinks, but it does not vanish.
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
# The optimistic order calls a useless code perfect. The expectation is close to chance, as it should be, since the code
# says nothing.
#
# What do programs do in practice? They sort. A **stable** sort keeps tied items in the order of the database, so the
# score depends on how the file was sorted. An **unstable** sort leaves the order open, and it may change with the
# library or the processor. Sort the database in three ways, and rank with a stable sort:
#
# Of these figures the last digit depends on the machine, since it is the machine that made the codes.

# %% tags=["nbval-ignore-output"]
by_label = np.lexsort(retrieval.labels.T[::-1])
orders = {"as stored": np.arange(len(retrieval)), "by label": by_label, "by label, backwards": by_label[::-1]}
print(f"{'':20}stable   expected")
for name, order in orders.items():
    codes, labels = picture_codes[16][order], retrieval.labels[order]
    stable, expected = (
        ck.metrics.evaluate(text_codes[16], codes, query.labels, labels, ties=ties).map
        for ties in ("stable", "expected")
    )
    print(f"{name:20}{stable:.3f}    {expected:.3f}")

# %% [markdown]
# See that the column *stable* moves though the codes are the same, and that *expected* does not. Over many queries most
# of the luck averages out, unless the order of the file has to do with the labels. A benchmark file may well be sorted
# by class.
#
# > **The note, the paper, the official code.** The reading notes from which this course starts say nothing of how equal
# > distances are ordered. The SSAH authors' published code (`utils/calc_hammingranking.py`) ranks with
# > `np.argsort(distance)`. NumPy's default sort is not stable, so the order within a tie is left to the library. An
# > empty query adds 0 to the sum and counts in the divisor, so it is scored 0. For comparison, cmhkit has both as
# > options: `ties="stable"` and `empty="zero"`.

# %% [markdown]
# ## MAP@R and its three divisors
#
# Often only the first $R$ places are looked at. Then the sum of precisions at the hits has to be divided by something,
# and published code does it in three ways:
#
# - `hits`: by the number of hits among the first $R$;
# - `relevant`: by the smaller of $R$ and the number of relevant items in the database;
# - `hits_capped`: the mean of the precisions at the first $\min(R, \text{relevant})$ *hits*, wherever they stand. That
#   is no MAP@R, since it looks behind place $R$.
#
# **Predict.** The ranking is 1 0 1 0 0 1 1 1, and $R = 4$: two of five relevant items are within it. Which divisor
# gives the largest number, which the smallest?

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
# `hits` is the largest: it does not mind that only two of five relevant items were found. `relevant` is the smallest:
# it wants four hits in four places. So a table that does not name its divisor cannot be compared.
#
# </details>
#
# The same on real codes of 16 bits, with $R = 50$. Again the same codes get three scores (their last digit depends on
# the machine):

# %% tags=["nbval-ignore-output"]
for divisor in ck.metrics.DIVISORS:
    options = {"r": 50, "divisor": divisor}
    score = ck.metrics.evaluate(text_codes[16], picture_codes[16], query.labels, retrieval.labels, **options).map_at_r
    print(f"R = 50, divisor {divisor:12} {score:.2f}")

# %% [markdown]
# ## Precision and recall by radius
#
# Codes can be used without ranking: return everything within some Hamming distance of the query, the **radius**. For
# each radius there is a **precision** (the share of what came that is relevant) and a **recall** (the share of the
# relevant that came). Ties do not matter here: a whole tie comes or does not.
#
# Written out for the 16-bit codes, and equal to the library's. A query that finds nothing within a radius has precision
# 0 there. Here too the last digits depend on the machine.

# %% tags=["nbval-ignore-output"]
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
# A larger radius brings more of the relevant items and more of the others, until everything comes and precision is at
# chance.
#
# **Predict.** Longer codes spread the items over more distances. What happens to the precision at radius 2?

# %%
figure, axes = plt.subplots(figsize=(7, 3.6))
at_two = {}
for k in lengths:
    p, r = ck.metrics.precision_recall_by_radius(text_codes[k], picture_codes[k], query.labels, retrieval.labels)
    axes.plot(r, p, label=f"{k} bits")
    at_two[k] = p[2]
axes.axhline(relevant.mean(), color="0.5", linewidth=1, linestyle=":", marker="")
axes.text(0.99, relevant.mean() - 0.02, "share of relevant items", ha="right", va="top", fontsize=10)
axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1), xlim=(-0.02, 1.02))
axes.legend(frameon=False)
alt = "Precision over recall, a line and marker for each code length; all end on the dotted share of relevant items."
nb.show(
    figure,
    alt=alt,
    caption="Each marker is one radius, from 0 at the left. Longer codes start lower; all end at chance.",
)

# %% tags=["nbval-ignore-output"]
for k in lengths:
    finds = (ck.codes.hamming(text_codes[k], picture_codes[k]) <= 2).any(axis=1).mean()
    print(f"{k:3d} bits, radius 2: precision {at_two[k]:.2f}; {finds:.0%} of the queries find something")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It falls. With long codes, few queries have any item so near, and those that find nothing count as 0. So a curve by
# radius may start low at the left, although nearly all that is found there is relevant. Codes for lookup in a small
# radius should be short; codes for ranking may be long.
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
# 2. AP is the mean precision at the hits, MAP its mean over queries. Short codes have large ties, and their order can
#    move MAP in the first or second digit. The expectation over orders has a closed form.
# 3. Ask of a MAP: what about ties, and empty queries? Of a MAP@R: which divisor? Of a curve by radius: what counts
#    where nothing is found?
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
