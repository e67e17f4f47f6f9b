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
#     walks_through: kNN graphs of both modalities, symmetry, agreement with labels, k
#     widget: correlation-graph explorer
#     minutes: 45
# ---

# %% [markdown]
# # 10 · UGACH: the correlation graph
#
# After this notebook you can
#
# 1. build the two graphs from which UGACH learns, one over pictures and one over texts, and join them;
# 2. measure how often their edges agree with labels, compared with chance, as k grows;
# 3. say what each graph finds, which items too many others list, and what it changes to make a graph symmetric.
#
# Reading takes 45 minutes, running takes about 20 seconds.
#
# | the note's symbol | in cmhkit | shape |
# | --- | --- | --- |
# | $x_q$, an item in one modality | `image_vectors[q]` or `text_vectors[q]` | (d,) or (t,) float32 |
# | $NN_k(x_q)$, its k nearest | `graph.neighbours[q]` | (k,) int64 |
# | $w(p, q)$, the matrix $W$ | `graph.matrix[q, p]` | (n, n), sparse, bool |
# | $Graph_i$, $Graph_t$ | `image_graph`, `text_graph`, made by `ck.graphs.knn_graph` | – |
# | $x^M$, an item related to q | a column of `related_items(…)[q]` | (n, n), sparse, bool |
# | $k$ | `k`; in UGACH's options `k_image`, `k_text` | – |
#
# n: the number of items; d: the width of a picture's vector; t: the words in the vocabulary.

# %% tags=["parameters"]
size = "lab"
seed = 0
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit.course import widgets
from cmhkit.course.lessons import lesson_10 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed, torch=True)

# %% [markdown]
# ## The method in one picture
#
# This is all of UGACH, and this lesson is about the part that is lit: what becomes of the pairs before anything learns.
# The two graphs say which items are related. Later the related item $x^M$ goes down to the score, where both players
# meet; lessons 11 and 12 build them.

# %%
from cmhkit.course import diagrams

diagrams.method("ugach", lit="graphs")

# %% [markdown]
# ## What "unsupervised" means here
#
# A supervised method is told which items are related: it gets the matrix $S$ of lesson 02, made from labels. UGACH gets
# only the pairs. From a pair it learns that picture 17 belongs to text 17. But whoever searches for ducks wants *all*
# ducks, not just one.
#
# UGACH's idea: **if two pictures are near neighbours, then each is related to the other's text as well.** The same with
# texts. These guesses take the place of $S$. A graph holds them: its nodes are the items, and an edge says "is a near
# neighbour".
#
# `train` below has no labels. The labels lie apart, in `judge`, and are used only to **measure**.

# %%
data = ck.data.load("scenes", size=size)
train = data.without_labels().train
judge = data.train.labels
n = len(train)
print(train, "· labels:", train.labels)
print("labels kept apart, to measure only:", judge.shape)

# %% [markdown]
# ## Pictures as vectors
#
# To say what is near we need vectors. Pixels are poor vectors: they all change when a duck moves. The paper takes a
# layer of VGG-19, a network trained beforehand on photographs. We take SceneNet, which was trained to name the drawings
# in a scene. It gives a score to each drawing it knows.
#
# A softmax turns the scores into a distribution: "this scene shows a duck with probability 0.5, a custard with 0.5".
# Our vector is its **square root**.

# %%
from cmhkit.data.features import image_features

scores = image_features(train.images, "scores")
raised = np.exp(scores - scores.max(axis=1, keepdims=True))
probability = raised / raised.sum(axis=1, keepdims=True)
image_vectors = image_features(train.images, "posterior")
by_hand = np.sqrt(probability)
assert np.allclose(by_hand, image_vectors, atol=1e-6)
print("scores:", scores.shape, "· length of a vector:", np.linalg.norm(image_vectors[0]).round(3))

# %% [markdown]
# Why the root? The squared Euclidean distance of the roots of two distributions $p$ and $r$ is
#
# $$ \sum_d \big(\sqrt{p_d} - \sqrt{r_d}\big)^2 = \sum_d p_d + \sum_d r_d - 2 \sum_d \sqrt{p_d r_d} = 2 - 2 \sum_d \sqrt{p_d r_d} $$
#
# with $d$ running over the drawings. All vectors have length 1. Equal distributions are at distance 0. Distributions
# with nothing in common are at $\sqrt 2$, the largest distance there is. So the Euclidean distance measures **how much
# of the content is shared**. Up to a factor it is the Hellinger distance.
#
# The next cell compares four kinds of vectors: raw scores, an earlier layer ("pooled"), the softmax, and its root. It
# prints their **agreement**: the share of the k nearest neighbours that have a label in common with the item.
#
# **Predict.** Which has the best neighbours? Think of a drawing that is *not there*. One scene gives it a raw score of
# −9, another −12. What does that do to a Euclidean distance?
#
# <details><summary>Answer</summary>
#
# The softmax and its root. Hundreds of drawings are absent from a scene. Their raw scores are noise, but they dominate
# a Euclidean distance over all drawings. The softmax sends them to nearly 0. The root is the better of the two at a
# large k. It gives more weight to a drawing with a small share, so it relates a scene with one drawing to a scene with
# three.
#
# </details>

# %%
kinds = {"raw scores": scores, "pooled layer": image_features(train.images, "pooled")}
kinds |= {"softmax": probability, "root of the softmax": image_vectors}
chance = (ck.graphs.label_similarity(judge).sum() - n) / (n * (n - 1))
wide = min(50, n // 2)
print(f"{'agreement of the':20} 10 nearest   {wide} nearest")
for name, vectors in kinds.items():
    found = [ck.graphs.knn_graph(vectors, many).agreement(judge) for many in (10, wide)]
    print(f"{name:20} {found[0]:10.2f} {found[1]:12.2f}")
print(f"{'random items':20} {chance:10.2f} {chance:12.2f}")

# %% [markdown]
# ## Texts as vectors
#
# A text is a bag of words, a vector of mostly zeros. Which distance suits it? The cell asks for the neighbours of the
# first of three short texts.

# %%
typed = ["duck bird animal pond", "bird duck animal feather nest egg swim wing beak lake", "heart"]
bags = ck.data.Vocabulary.build(typed).bag_of_words(typed)
for metric in ("euclidean", "cosine"):
    distances = ck.graphs.knn_graph(bags, 2, metric=metric)
    for j, far in zip(distances.neighbours[0], distances.distances[0], strict=True):
        print(f'{metric:10} {far:.2f} to "{typed[j]}"')

# %% [markdown]
# By Euclid, "heart" is nearer to the duck than the text with duck, bird and animal is. The squared Euclidean distance
# counts the words that *differ*. A short text has few words, so it differs little from any other. The cosine divides by
# the lengths: it asks what share of the words is common. So texts get the cosine here.
#
# ## Exercise 1: cosine distance
#
# `a` and `b` are two bags of words, float arrays of shape (t,). Return a number: 1 minus their cosine. A text without a
# known word, all zeros, is at distance 1 from every text.


# %%
def cosine_distance(a, b): ...


q.q1.check(cosine_distance)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# ## The k nearest neighbours
#
# Now the graph of the note:
#
# $$ w(p, q) = 1 \text{ if } x_p \in NN_k(x_q), \text{ else } 0 . $$
#
# Written out for sixty pictures, and compared with the library:

# %%
few, k = image_vectors[:60].astype(np.float64), 5
square = ((few[:, None] - few[None]) ** 2).sum(axis=2)
np.fill_diagonal(square, np.inf)
distance = np.sqrt(square).astype(np.float32)
listed = np.argsort(distance, axis=1, kind="stable")[:, :k]
small = ck.graphs.knn_graph(image_vectors[:60], k)
assert (listed == small.neighbours).all()
print("lists:", listed.shape, "· item 0 has the neighbours", listed[0])

# %% [markdown]
# Two details. The diagonal becomes infinity, or each item would be its own first neighbour. And the sort is *stable*:
# of two items at the same distance the one with the lower number comes first. Texts tie often, so without a rule the
# graph would change from machine to machine.
#
# The same lists as a matrix: row q has a one for each neighbour of q.

# %%
w = np.zeros((60, 60), dtype=bool)
w[np.arange(60)[:, None], listed] = True
assert (w == small.matrix.toarray()).all()
print("ones in every row:", set(w.sum(axis=1).tolist()))
print("ones in the columns: from", w.sum(axis=0).min(), "to", w.sum(axis=0).max())

# %% [markdown]
# Each row has k ones, since each item *lists* k others. A column counts how often an item *is listed*, and that differs
# widely. We come back to it.
#
# ## Exercise 2: neighbours
#
# `x` is a float array of shape (n, d). Return the lists, row numbers of shape (n, k): nearest first by Euclidean
# distance, of equal distances the lower number first. Leave the item out of its own list, also where two items lie in
# the same place.


# %%
def neighbours(x, k): ...


q.q2.check(neighbours)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# ## Both graphs
#
# Now the whole training set. We ask for many neighbours at once. Lists are sorted, so the graph for a smaller k is
# their first k columns.

# %%
text_vectors = train.text_vectors
most = min(200, n // 2)
image_graph = ck.graphs.knn_graph(image_vectors, most)
text_graph = ck.graphs.knn_graph(text_vectors, most, metric="cosine")
ten = ck.graphs.knn_graph(text_vectors, 10, metric="cosine")
assert (ten.neighbours == text_graph.neighbours[:, :10]).all()
print("lists of each graph:", image_graph.neighbours.shape)

# %% [markdown]
# ## Agreement with labels
#
# How good are the guesses? The cell writes agreement out: for each (item, neighbour) pair, do the two share a label?


# %%
def shares(lists, marks):
    """For every item and place in its list: does the neighbour share a mark? (n, k) bool."""
    return np.stack([(marks & marks[column]).any(axis=1) for column in lists.T], axis=1)


image_hits = shares(image_graph.neighbours, judge)
text_hits = shares(text_graph.neighbours, judge)
assert abs(image_hits.mean() - image_graph.agreement(judge)) < 1e-12
assert abs(text_hits[:, :10].mean() - ten.agreement(judge)) < 1e-12
print("hits:", image_hits.shape)

# %% [markdown]
# ## Exercise 3: agreement
#
# `neighbours` are lists as above, row numbers of shape (n, k). `labels` is an array of 0 and 1 of shape (n, c), for c
# labels. Return the share of (item, neighbour) pairs with at least one label in common.


# %%
def agreement(neighbours, labels): ...


q.q3.check(agreement)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# **Predict.** Let k grow from 1 to 200. Where does the agreement of each graph go? Which graph starts higher, and which
# falls more slowly?
#
# <details><summary>Answer</summary>
#
# Both fall towards chance: with k = n − 1 every item is a neighbour. The picture graph starts higher. The text graph
# falls more slowly, and is above the picture graph at a large k. The next section shows why.
#
# </details>

# %%
steps = [k for k in (1, 2, 5, 10, 20, 50, 100, 200) if k <= most]
print("k            ", *(f"{k:5}" for k in steps))
for name, hits in (("picture graph", image_hits), ("text graph   ", text_hits)):
    print(name, *(f"{hits[:, :k].mean():5.2f}" for k in steps))
print("chance       ", *(f"{chance:5.2f}" for _ in steps))

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6.5, 3.6))
axes.plot(steps, [image_hits[:, :k].mean() for k in steps], label="picture graph")
axes.plot(steps, [text_hits[:, :k].mean() for k in steps], label="text graph")
axes.axhline(chance, color="black", linestyle=":", marker="", label="chance")
axes.set(xlabel="k, neighbours of each item", ylabel="agreement", xscale="log", ylim=(0, 1.05))
axes.set_xticks(steps, steps)
axes.minorticks_off()
axes.legend(loc=(0.02, 0.25), fontsize=10)
alt = "Agreement over k. Both graphs start far above chance and fall; pictures fall more steeply."
nb.show(figure, alt=alt, caption="More neighbours, less agreement. The picture graph drops faster.")

# %% [markdown]
# So k is a trade-off. A small k gives few edges, nearly all of them right. A large k gives many edges, more of them
# wrong. The best k for pictures need not be the best for texts.
#
# **If you choose k by this curve**, labels have chosen a setting, and the method is not quite unsupervised any more.
# Then do it on training pairs, never on queries, and say so. Below is a measure that needs no labels.
#
# ## What each graph finds
#
# We know which drawings each scene shows: `train.truth.drawings` holds their numbers, with −1 for an empty place. Like
# labels, they only measure here. So we can ask of each edge: do both scenes show **the same drawing**, or only the same
# concept, that is a label such as "animal"?

# %%
shown = train.truth.drawings
drawn = np.zeros((n, len(train.truth.names)), dtype=np.uint8)
rows, places = np.nonzero(shown >= 0)
drawn[rows, shown[rows, places]] = 1
image_same, text_same = (shares(g.neighbours, drawn) for g in (image_graph, text_graph))
same_chance = (ck.graphs.label_similarity(drawn).sum() - n) / (n * (n - 1))
print(f"random pairs of scenes with a drawing in common: {same_chance:.3f} of all")
print(f"so a scene has a drawing in common with {same_chance * (n - 1):.0f} others, on average")

# %% [markdown]
# The table splits the agreement of each graph into these two kinds; the figure draws it.

# %%
print("k                                ", *(f"{k:5}" for k in steps))
for name, same, hits in (("picture", image_same, image_hits), ("text   ", text_same, text_hits)):
    only = hits & ~same
    print(f"{name} graph, same drawing      ", *(f"{same[:, :k].mean():5.2f}" for k in steps))
    print(f"{name} graph, same concept only ", *(f"{only[:, :k].mean():5.2f}" for k in steps))
only_chance = chance - same_chance
print("random pairs, same concept only  ", *(f"{only_chance:5.2f}" for _ in steps))

# %%
figure, panels = plt.subplots(1, 2, figsize=(8.5, 3.3), sharey=True)
parts = ((image_same, image_hits, "picture graph"), (text_same, text_hits, "text graph"))
for panel, (same, hits, title) in zip(panels, parts, strict=True):
    below = np.array([same[:, :k].mean() for k in steps])
    above = np.array([hits[:, :k].mean() for k in steps])
    panel.fill_between(steps, 0, below, facecolor=nb.PALETTE[4], label="same drawing")
    look = {"facecolor": nb.PALETTE[5], "edgecolor": "black", "hatch": "//", "linewidth": 0}
    panel.fill_between(steps, below, above, **look, label="same concept only")
    panel.set(title=title, xlabel="k", xscale="log", ylim=(0, 1.05))
    panel.set_xticks(steps, steps, fontsize=10)
    panel.minorticks_off()
panels[0].set_ylabel("share of neighbours")
panels[0].legend(loc="lower left", fontsize=10)
alt = "Two stacked areas over k. Same concept only: a thin band for pictures, a broad one for texts."
nb.show(figure, alt=alt, caption="Plain: same drawing. Hatched: another drawing of the same concept.")

# %% [markdown]
# Where a picture neighbour is right, it mostly shows the **same drawing**. Beyond that it does little better than
# random pairs: a duck does not look like an owl. Texts bring the **concept**: the hatched band is broad, since people
# write "bird" to both.
#
# When k passes the number of scenes that have a drawing in common with the item, the picture graph has little more to
# give. That is why UGACH joins both graphs, and why each may have its own k.
#
# For each scene with a single drawing we take its six nearest that have **no drawing in common** with it, and ask how
# many are of the same concept.

# %%
both = {
    "picture": (image_graph, image_same, image_hits),
    "text": (text_graph, text_same, text_hits),
}
alone = np.flatnonzero((shown >= 0).sum(axis=1) == 1)
kin = {}
for name, (_, same, hits) in both.items():
    kin[name] = np.array([hits[i][~same[i]][:6].mean() for i in alone])
    print(f"by {name:7}: {kin[name].mean():.2f} of these six are of the same concept")

# %% [markdown]
# The scene below is typical: its two shares are nearest to these means.

# %% tags=["nbval-ignore-output"]
item = int(alone[sum(abs(share - share.mean()) for share in kin.values()).argmin()])
for name, (graph, same, hits) in both.items():
    places = np.flatnonzero(~same[item])[:6]
    nb.gallery(
        [train.images[j] for j in (item, *graph.neighbours[item, places])],
        alts=["The scene.", *(f"A neighbour by {name}." for _ in places)],
        captions=["the scene", *(f"{'same' if hit else 'another'} concept" for hit in hits[item, places])],
        caption=f"The six nearest by {name} that show other drawings.",
        width=88,
    )

# %% [markdown]
# ## Who is listed by whom
#
# Each item lists k others, but need not be listed by them. An item that very many others list is a **hub**. A hub does
# harm: UGACH would learn that it is related to nearly everything.
#
# **Predict.** Take a text graph by cosine and one by Euclid. Which one has hubs, and what sort of texts are they?
#
# <details><summary>Answer</summary>
#
# Euclid's, and they are the shortest texts: as with "heart" above, a text of few words is near to every other. The
# greatest hub is a text of which no word is in the vocabulary. Its vector is zero.
#
# </details>

# %%
k = 10
graphs = {
    "pictures": ck.graphs.knn_graph(image_vectors, k),
    "texts, cosine": ten,
    "texts, Euclid": ck.graphs.knn_graph(text_vectors, k),
}
times_listed = {name: np.bincount(g.neighbours.ravel(), minlength=n) for name, g in graphs.items()}
print(f"{'':14} listed at most  never listed  agreement")
for name, times in times_listed.items():
    agree = graphs[name].agreement(judge)
    print(f"{name:14} {times.max():14} {(times == 0).mean():13.0%} {agree:10.2f}")
hub = times_listed["texts, Euclid"].argmax()
print("words in the greatest hub by Euclid:", int(text_vectors[hub].sum()))
print(f"words in a text on average: {text_vectors.sum(axis=1).mean():.1f}")

# %%
figure, axes = plt.subplots(figsize=(6.5, 3.3))
for (name, times), line in zip(times_listed.items(), nb.LINES, strict=False):
    axes.plot(np.sort(times)[::-1] + 1, label=name, marker="", linestyle=line)
axes.axhline(k + 1, color="black", linestyle=":", marker="", label="all alike")
axes.set(xlabel="items, most listed first", ylabel="times listed, plus 1", yscale="log")
axes.legend(fontsize=10)
alt = "Times listed, sorted. Euclid's texts start very high and soon end at never; others are flatter."
nb.show(
    figure, alt=alt, caption="A flat line: all items are listed about equally often. A steep fall at the left: hubs."
)

# %% [markdown]
# Its hubs cost the Euclidean text graph much of its agreement. Pictures have no hubs by Euclid: all their vectors have
# length 1.
#
# ## Symmetric or not
#
# The note speaks of *undirected* graphs, but "x is among the k nearest of y" has a direction. There are two ways to
# make the graph undirected:
#
# - **union**: an edge where *either* item lists the other;
# - **intersection**: an edge where *both* list each other.
#
# ## Exercise 4: symmetrise
#
# `edges` is a bool array of shape (n, n), `how` is "union" or "intersection". Return the undirected graph, of the same
# shape and type.


# %%
def symmetrise(edges, how): ...


q.q4.check(symmetrise)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# **Predict.** The text graph can stay directed or become undirected in two ways. Which of the three has the highest
# agreement? Which can leave an item without any neighbour?
#
# <details><summary>Answer</summary>
#
# The intersection, both times. It keeps the edges that are surest, and drops all edges of an item that nobody lists
# back. The union has more edges, at nearly the agreement of the directed graph; its hubs get long lists.
#
# </details>


# %%
def edge_agreement(matrix, marks):
    """The share of edges whose two ends share a mark, edges to the item itself left out."""
    rows, columns = matrix.nonzero()
    rows, columns = rows[rows != columns], columns[rows != columns]
    return (marks[rows] & marks[columns]).any(axis=1).mean()


w = ten.matrix
by_definition = {"directed": w, "union": w.maximum(w.T), "intersection": w.multiply(w.T)}
for how, matrix in by_definition.items():
    if how != "directed":
        library = ck.graphs.knn_graph(text_vectors, 10, metric="cosine", symmetric=how)
        assert (library.matrix != matrix).nnz == 0
    degree = np.asarray(matrix.sum(axis=1)).ravel()
    print(f"{how:13} neighbours: {degree.min():2} to {degree.max():3},", end=" ")
    print(f"mean {degree.mean():4.1f}  agreement {edge_agreement(matrix, judge):.2f}")

# %% [markdown]
# ## Both graphs together
#
# UGACH needs, for each item q, the items that count as related: the $x^M$ of the note. It takes an edge of **either**
# graph, and the item itself, since a picture and its own text surely belong together. The same list serves a picture
# that looks for texts and a text that looks for pictures. Here k counts the item itself: that is what
# `include_self=True` says.

# %%
from scipy.sparse import identity

from cmhkit.ugach.config import LAB, OFFICIAL
from cmhkit.ugach.fit import related_items

by_picture = ck.graphs.knn_graph(image_vectors, LAB.k_image, include_self=True).matrix
by_text = ck.graphs.knn_graph(text_vectors, LAB.k_text, metric="cosine", include_self=True).matrix
joined = by_picture.maximum(by_text).maximum(identity(n, dtype=bool, format="csr"))
related = related_items(image_vectors, text_vectors, LAB)
assert (joined != related).nnz == 0
print(f"k, the item itself counted: {LAB.k_image} by picture, {LAB.k_text} by text ({LAB.metric_text})")

# %% [markdown]
# What the joined graph is worth, for two presets. "Related" is the number of related items per item, itself counted;
# the shares leave the item itself out.

# %%
rows = {
    f"pictures, k = {LAB.k_image}": by_picture,
    f"texts, k = {LAB.k_text}": by_text,
    "joined, preset lab": related,
    "joined, preset official": related_items(image_vectors, text_vectors, OFFICIAL),
}
print("".ljust(24), "related  agreement  same drawing")
for name, matrix in rows.items():
    hits, same = edge_agreement(matrix, judge), edge_agreement(matrix, drawn)
    print(f"{name:24} {matrix.sum() / n:7.1f} {hits:10.2f} {same:13.2f}")

# %% [markdown]
# Compare the two joined graphs. The official preset has few neighbours, with Euclid for texts: each item has a handful
# of related ones. The lab preset has several times as many, and more of them show *another* drawing of the same
# concept. Only such edges can teach a code that an owl and a duck belong together.
#
# ### A measure without labels
#
# Pictures and texts are two separate sources. If both graphs make sense, they should have more edges in common than
# chance gives. That can be measured without labels.

# %%
print("   k   neighbours in both lists   by chance")
for k in (step for step in steps if step >= 5):
    near = zip(image_graph.neighbours[:, :k], text_graph.neighbours[:, :k], strict=True)
    common = np.mean([len(np.intersect1d(a, b)) / k for a, b in near])
    print(f"{k:4} {common:26.2f} {k / (n - 1):11.2f}")

# %% [markdown]
# The two graphs agree with each other far more often than chance, and most at a k in the middle. To choose that k is
# one way that uses no label.
#
# > **The note, the paper, the official code.** The note leaves $k$ open, and calls both graphs undirected. The authors'
# > code takes the 5 nearest by picture and the 5 nearest by text, by Euclid in both, **the item itself counted** in
# > each five. It puts both lists together, about nine different items, does not symmetrise, and uses the same list for
# > both directions of retrieval. Here: `preset="official"` does the same; `preset="paper"` makes the graphs undirected
# > by union; `preset="lab"` has more text neighbours, by cosine, since these texts are short.
#
# ## Walk the graph
#
# Choose an item, k, the metric, the modality. A solid edge: a label in common. A dashed edge: none. "Both" joins the
# two lists, as UGACH does. For pictures both metrics give the same order, since all their vectors have length 1.

# %%
explorer = widgets.GraphExplorer(data, image_vectors, text_vectors, item=item, k=5, metric="cosine")
explorer

# %% [markdown]
# The same as plain pictures, by picture and by text:

# %%
explorer.small_multiples()

# %% [markdown]
# Things to try: raise k until picture neighbours share no label any more; then choose "text" with the same k. Choose
# the metric "euclidean" for texts and look at the neighbours' tags: are they few?
#
# ## On a GPU
#
# A GPU brings nothing here: the graph is built once, before any training, on the CPU. It is made in chunks of rows,
# which keeps memory small. Time grows with the square of the number of items.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You built kNN graphs over pictures (root of the softmax, Euclid) and over texts (bag of words, cosine), and joined
#    them. Labels were used only to measure.
# 2. You measured agreement as k grows: both graphs fall towards chance, the picture graph sooner.
# 3. Picture neighbours show the same drawing, text neighbours also the same concept. Euclid on short texts makes hubs.
#    Union adds edges, intersection keeps the mutual ones.
#
# Next: lesson 11 builds the two models that learn from this graph.

# %%
nb.results(
    results_path,
    equal_to_library=[
        float(np.abs(by_hand - image_vectors).max()),
        float(np.abs(listed - small.neighbours).max()),
        abs(image_hits.mean() - image_graph.agreement(judge)),
        float((joined != related).nnz),
    ],
    agreement_image=image_hits[:, :10].mean(),
    agreement_text=text_hits[:, :10].mean(),
    chance=chance,
)
