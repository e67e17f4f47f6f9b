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
# After this notebook you can build the graph from which UGACH learns, one over pictures and one over texts, and join them as UGACH does.
# You can measure what such a graph is worth: how often its edges agree with labels, beside chance, as k grows.
# And you can say what each graph finds, who becomes a hub, and what symmetry changes.
#
# Reading takes 45 minutes, running takes half a minute.
#
# | the note's symbol | in cmhkit | shape |
# | --- | --- | --- |
# | $x_q$, an item in one modality | `image_vectors[q]` or `text_vectors[q]` | (d,) or (t,) float32 |
# | $NN_k(x_q)$, its k nearest | `graph.neighbours[q]` | (k,) int64 |
# | $w(p, q)$, the matrix $W$ | `graph.matrix[q, p]` | (n, n), sparse, bool |
# | $Graph_i$, $Graph_t$ | `image_graph`, `text_graph`, made by `ck.graphs.knn_graph` | – |
# | $x^M$, an item related to q | a column of `related_items(…)[q]` | (n, n), sparse, bool |
# | $k$ | `k`; in UGACH's options `k_image`, `k_text` | – |

# %% tags=["parameters"]
size = "lab"
seed = 0
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit import widgets
from cmhkit.lessons import lesson_10 as q
from cmhkit.lessons import notebook as nb

rng = nb.setup(seed, torch=True)

# %% [markdown]
# ## What "unsupervised" means here
#
# A supervised method is told which items are related: it gets S, made from labels. UGACH is not. It has the pairs, and nothing else.
# From pairs alone one learns that picture 17 belongs to text 17. But a search wants *all* ducks, not just one.
#
# UGACH's idea: **if two pictures are near neighbours, then each is related to the other's text as well.** The same with texts. These guesses
# take the place of S. A graph holds them: items are its nodes, "is a near neighbour" its edges.
#
# To keep ourselves honest we split the data in two. `train` has no labels. The labels lie apart, in `judge`, and do nothing but **measure**.

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
# "Near" needs vectors. Pixels will not do: move a duck by ten pixels, and all of them change. The paper takes a layer of VGG-19, a network trained
# beforehand on photographs. We take SceneNet, which was trained to name drawings. It gives a score to each drawing it knows.
#
# A softmax makes the scores a distribution: "this scene shows a duck with probability 0.5, a custard with 0.5". We use its **square root**.

# %%
from cmhkit.nn.features import image_features

scores = image_features(train.images, "scores")
raised = np.exp(scores - scores.max(axis=1, keepdims=True))
probability = raised / raised.sum(axis=1, keepdims=True)
image_vectors = image_features(train.images, "posterior")
by_hand = np.sqrt(probability)
assert np.allclose(by_hand, image_vectors, atol=1e-6)
print("scores:", scores.shape, "· length of a vector:", np.linalg.norm(image_vectors[0]).round(3))

# %% [markdown]
# Why the root? Take two distributions $p$ and $r$. Then
#
# $$ \lVert \sqrt p - \sqrt r \rVert^2 = \sum_d p_d + \sum_d r_d - 2 \sum_d \sqrt{p_d r_d} = 2 - 2 \sum_d \sqrt{p_d r_d} . $$
#
# All vectors have length 1. Scenes with the same drawings are at distance 0. Scenes with nothing in common are at $\sqrt 2$, all equally far, and no farther is possible.
# So the plain Euclidean distance measures **how much of the content is shared** (up to a factor it is the Hellinger distance).
#
# **Predict.** Four kinds of vectors: raw scores, an earlier layer ("pooled"), the softmax, its root. Which has the best neighbours? Think of what a raw score of −9 against −12
# for a drawing that is *not there* does to a Euclidean distance.
#
# <details><summary>Answer</summary>
#
# The softmax and its root. Hundreds of drawings are absent from a scene. Their raw scores are noise, but they dominate a Euclidean distance over all drawings. The softmax
# sends them to nearly 0. The root gives more weight to what is present with a small share, so a scene with one drawing and a scene with three can still meet.
#
# </details>

# %%
kinds = {"raw scores": scores, "pooled layer": image_features(train.images, "pooled")}
kinds |= {"softmax": probability, "root of the softmax": image_vectors}
chance = (ck.graphs.label_similarity(judge).sum() - n) / (n * (n - 1))
for name, vectors in kinds.items():
    found = ck.graphs.knn_graph(vectors, 10).agreement(judge)
    print(f"{name:20} {found:.2f} of the 10 nearest share a label")
print(f"{'random items':20} {chance:.2f}")

# %% [markdown]
# That number, the share of neighbours with a common label, is called **agreement** below. We shall write it out soon.
#
# ## Texts as vectors
#
# A text is a bag of words: mostly zeros. Which distance? Three texts, typed by hand:

# %%
typed = ["duck bird animal pond", "bird duck animal feather nest egg swim wing beak lake", "heart"]
bags = ck.data.Vocabulary.build(typed).bag_of_words(typed)
for metric in ("euclidean", "cosine"):
    distances = ck.graphs.knn_graph(bags, 2, metric=metric)
    order = [typed[j].split()[0] + " …" for j in distances.neighbours[0]]
    print(f"{metric:10} nearest first: {order[0]:8} {distances.distances[0, 0]:.2f}", end="  ")
    print(f"then: {order[1]:8} {distances.distances[0, 1]:.2f}")

# %% [markdown]
# By Euclid, the text "heart" is nearer to the duck than another bird is! Euclid counts the words that *differ*. A short text has few words, so it differs little from everyone.
# The cosine divides by the lengths: it asks what share of the words is common. For sparse vectors the cosine is the usual choice.
#
# ## Exercise 1: cosine distance
#
# Of two bags of words. Mind a text without any known word.

# %%
def cosine_distance(a, b):
    ...


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
# Written out for a small set, so that every number can be looked at.

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
# Two details. The diagonal becomes infinity, or each item would be its own first neighbour. And the sort is *stable*: of two items at the same distance the one with the lower
# number comes first. Texts tie often, so without a rule the graph would change from machine to machine.
#
# The matrix form says the same: row q, a one for each neighbour.

# %%
w = np.zeros((60, 60), dtype=bool)
w[np.arange(60)[:, None], listed] = True
assert (w == small.matrix.toarray()).all()
print("ones in every row:", set(w.sum(axis=1).tolist()))
print("ones in the columns: from", w.sum(axis=0).min(), "to", w.sum(axis=0).max())

# %% [markdown]
# Each row has k ones, for each item *lists* k others. A column counts how often an item *is listed*: that differs widely. We come back to it.
#
# ## Exercise 2: neighbours
#
# Write the lists yourself. Leave the item out of its own list, also where two items lie in the same place.

# %%
def neighbours(x, k):
    ...


q.q2.check(neighbours)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# ## Both graphs
#
# Now for the whole training set. We ask for many neighbours at once: lists are sorted, so the graph for a smaller k is just their first k columns.

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
# How good are the guesses? Take all (item, neighbour) pairs and see how many share a label. Written out, column by column of the lists:

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
# Your own, from lists and labels, as one number.

# %%
def agreement(neighbours, labels):
    ...


q.q3.check(agreement)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# **Predict.** Let k grow from 1 to 200. Where does each curve go? Which of the two graphs starts higher, and which holds out longer?
#
# <details><summary>Answer</summary>
#
# Both fall towards chance: with k = n − 1 everybody is a neighbour. Pictures are excellent as long as other scenes with the *same drawing* are left; then nothing is left to go by,
# and they drop. Texts hold out longer: words such as "animal" go on relating scenes when the drawings are used up. The next section looks into it.
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
# So k is a bargain. A small k: few edges, nearly all right. A large k: many edges, more of them wrong. A right k for pictures need not be right for texts.
#
# **A word on honesty.** It is tempting to choose k by this curve. Then labels have chosen a setting, and the method is not quite unsupervised any more. If you do so,
# do it on training pairs, never on queries, and say so. Below is a measure that needs no labels.
#
# ## What each graph finds
#
# We know which drawings each scene shows (`train.truth`, to measure only). So we can ask of each edge: do both scenes show **the same drawing**, or only the same concept?

# %%
shown = train.truth.drawings
drawn = np.zeros((n, len(train.truth.names)), dtype=np.uint8)
rows, places = np.nonzero(shown >= 0)
drawn[rows, shown[rows, places]] = 1
image_same, text_same = (shares(g.neighbours, drawn) for g in (image_graph, text_graph))
same_chance = (ck.graphs.label_similarity(drawn).sum() - n) / (n * (n - 1))
print(f"scenes that show a given drawing, on average: {drawn.sum(axis=0).mean():.1f}")
print(f"random scenes with a drawing in common: {same_chance:.3f}")

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
# Two kinds of knowledge. Where a picture neighbour is right, it mostly shows the **same drawing**; beyond that it does little better than random pairs, for nothing in the look of a duck says
# that an owl is its kin. Texts bring the **concept**: the hatched band is broad, since people write "bird" to both.
#
# When k passes the number of scenes that share a drawing, the pictures have nothing more to offer. That is why UGACH wants both graphs, and why each may have its own k.
#
# See it on one scene with a single drawing and a good many tags: neighbours number 1, 10, 20, … by picture, then by text.

# %% tags=["nbval-ignore-output"]
alone = np.flatnonzero((shown >= 0).sum(axis=1) == 1)
words = text_vectors[alone].sum(axis=1)
item = int(rng.choice(alone[words >= np.quantile(words, 0.8)]))
ranks = [r for r in (1, 10, 20, 30, 40, 50) if r <= most]
for graph, name in ((image_graph, "picture"), (text_graph, "text")):
    near = [item, *(graph.neighbours[item, r - 1] for r in ranks)]
    said = ["the scene"]
    for r, j in zip(ranks, near[1:], strict=True):
        kin = "same concept" if (judge[item] & judge[j]).any() else "neither"
        said.append(f"{r}. " + ("same drawing" if (drawn[item] & drawn[j]).any() else kin))
    alts = ["The scene.", *(f"A neighbour by {name}, number {r}." for r in ranks)]
    pictures, caption = [train.images[j] for j in near], f"Neighbours by {name}."
    nb.gallery(pictures, alts=alts, captions=said, caption=caption, width=88)

# %% [markdown]
# Change `seed` at the top for another scene. One scene proves little: the evidence is in the figure above.
#
# ## Who is listed by whom
#
# Every item lists k others, but nobody has to be listed back. An item that very many list is a **hub**. It is bad news: the learner sees it as related to everything.
#
# **Predict.** One text graph by cosine, one by Euclid. Which one has hubs, and what sort of text are they?
#
# <details><summary>Answer</summary>
#
# Euclid's, and they are the shortest texts: as with "heart" above, a text of few words is near to everyone. Nearest to all is a text of which no word is in the
# vocabulary: it lies at zero, in the middle.
#
# </details>

# %%
k = 10
graphs = {
    "pictures": ck.graphs.knn_graph(image_vectors, k),
    "texts, cosine": ten,
    "texts, Euclid": ck.graphs.knn_graph(text_vectors, k),
}
for name, graph in graphs.items():
    times_listed = np.asarray(graph.matrix.sum(axis=0)).ravel()
    both = graph.matrix.multiply(graph.matrix.T).sum() / graph.matrix.sum()
    never = (times_listed == 0).mean()
    print(f"{name:14} most often listed: {times_listed.max():4}  never: {never:4.0%}", end="  ")
    print(f"edges both ways: {both:.2f}  agreement: {graph.agreement(judge):.2f}")
print("words in the greatest hub by Euclid:", int(text_vectors[times_listed.argmax()].sum()))
print(f"words in a text on average: {text_vectors.sum(axis=1).mean():.1f}")

# %%
figure, axes = plt.subplots(figsize=(6.5, 3.3))
for (name, graph), line in zip(graphs.items(), nb.LINES, strict=False):
    times_listed = np.asarray(graph.matrix.sum(axis=0)).ravel()
    axes.plot(np.sort(times_listed)[::-1] + 1, label=name, marker="", linestyle=line)
axes.axhline(k + 1, color="black", linestyle=":", marker="", label="all alike")
axes.set(xlabel="items, most listed first", ylabel="times listed, plus 1", yscale="log")
axes.legend(fontsize=10)
alt = "Times listed, sorted. Euclid's texts start very high and soon end at never; others are flatter."
nb.show(figure, alt=alt, caption="A flat line: everyone is listed about equally often. A cliff: hubs.")

# %% [markdown]
# The agreement of the Euclidean text graph pays for its hubs. For pictures no such thing happens: all their vectors have length 1.
#
# ## Symmetric or not
#
# The note speaks of *undirected* graphs, but "x is among the k nearest of y" is directed. There are two ways to make it undirected:
#
# - **union**: an edge where *either* lists the other. More edges; a hub gets a long list.
# - **intersection**: an edge where *both* list each other. Fewer edges, and surer ones; some items may be left alone.
#
# ## Exercise 4: symmetrise
#
# From a bool matrix, both ways.

# %%
def symmetrise(edges, how):
    ...


q.q4.check(symmetrise)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# **Predict.** Which of the three has the highest agreement, which one leaves items alone?
#
# <details><summary>Answer</summary>
#
# The intersection is the surest as a rule, and the only one that can leave an item without neighbours. The difference is small where nearly all edges are right anyhow:
# then the union has more of them for the same price.
#
# </details>

# %%
def edge_agreement(matrix, marks):
    rows, columns = matrix.nonzero()
    rows, columns = rows[rows != columns], columns[rows != columns]
    return (marks[rows] & marks[columns]).any(axis=1).mean()


directed = ten.matrix
for how in (None, "union", "intersection"):
    matrix = ck.graphs.knn_graph(text_vectors, k, metric="cosine", symmetric=how).matrix
    expected = {"union": directed.maximum(directed.T), "intersection": directed.multiply(directed.T)}
    assert how is None or (matrix != expected[how]).nnz == 0
    degree = np.asarray(matrix.sum(axis=1)).ravel()
    print(f"{how or 'directed':13} neighbours: {degree.min():2} to {degree.max():3},", end=" ")
    print(f"mean {degree.mean():4.1f}  agreement {edge_agreement(matrix, judge):.2f}")

# %% [markdown]
# ## Both graphs together
#
# UGACH needs, for each item q, the items that count as related: the $x^M$ of the note. It takes an edge of **either** graph, and the item itself: its own pair is the surest relation of all.
# The same list serves a picture that looks for texts and a text that looks for pictures.

# %%
from scipy.sparse import identity

from cmhkit.ugach.training import LAB, OFFICIAL, related_items

by_picture = ck.graphs.knn_graph(image_vectors, LAB.k_image, include_self=True).matrix
by_text = ck.graphs.knn_graph(text_vectors, LAB.k_text, metric="cosine", include_self=True).matrix
joined = by_picture.maximum(by_text).maximum(identity(n, dtype=bool, format="csr"))
related = related_items(image_vectors, text_vectors, LAB)
assert (joined != related).nnz == 0
print(f"k, the item itself counted: {LAB.k_image} by picture, {LAB.k_text} by text ({LAB.metric_text})")

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
# Compare the two joined graphs. With few neighbours (and Euclid for texts) each item has a handful of related ones. With more, each has several times as many, and more of them show *another* drawing of
# the same concept. Only such edges can teach a code that an owl and a duck belong together.
#
# ### A measure without labels
#
# Labels are not needed to see whether a graph makes sense. Two independent witnesses, picture and text, should agree with each other more often than by chance.

# %%
print("k      of the picture neighbours are text neighbours too   by chance")
for k in (step for step in steps if step >= 5):
    near = zip(image_graph.neighbours[:, :k], text_graph.neighbours[:, :k], strict=True)
    common = np.mean([len(np.intersect1d(a, b)) / k for a, b in near])
    print(f"{k:4} {common:27.2f} {k / (n - 1):32.2f}")

# %% [markdown]
# The two graphs confirm each other far above chance, and where they do so most is one way to choose k that peeks at nothing. This is the correlation in "correlation graph" which UGACH lives on, found without a single label.
#
# > **The note, the paper, the official code.** The note leaves $k$ open, and calls both graphs undirected. The authors' code takes the 5 nearest by picture and the 5 nearest by text, by Euclid in both, **the item itself counted**
# > in each five. It puts both lists together, about nine different items, does not symmetrise, and uses the same list for both directions of retrieval.
# > Here: `preset="official"` does the same; `preset="paper"` makes the graphs undirected by union; `preset="lab"` has more text neighbours, by cosine, as these short texts ask for.
# > `knn_graph` leaves the item out unless you say `include_self=True`: then it is one of the k.
#
# ## Walk the graph
#
# Choose an item, k, the metric, the modality. A solid edge: a label in common. A dashed edge: none. "Both" joins the two lists, as UGACH does.

# %%
explorer = widgets.GraphExplorer(data, image_vectors, text_vectors, item=item, k=6, metric="cosine")
explorer

# %% [markdown]
# The same as plain pictures, by picture and by text:

# %%
explorer.small_multiples()

# %% [markdown]
# Things to try: raise k until the picture neighbours fail; then choose "text" with the same k. Choose the metric "euclidean" for texts and look at the tags of the neighbours: are they short?
#
# ## On a GPU
#
# The graph is built once, on the CPU, before any training; a GPU is of no use to it. It is made in chunks of rows, so memory stays small also for
# `ck.data.load("scenes", size="paper")`. What grows is time, with the square of the number of items.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# - You built kNN graphs over pictures (root of the softmax, Euclid) and over texts (bag of words, cosine), and joined them as UGACH does. No label was used, but to measure.
# - You measured agreement beside chance as k grows: both graphs fall towards chance, pictures first.
# - Picture neighbours show the same drawing, text neighbours also the same concept. Euclid on short texts makes hubs. Union adds edges, intersection keeps the mutual ones.
#
# Next: lesson 11 builds the two players that learn from this graph.

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
