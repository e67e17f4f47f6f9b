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
#     walks_through: the scenes, tags, labels, S, splits; random, CCA and ITQ as baselines
#     widget: data browser
#     minutes: 45
# ---

# %% [markdown]
# # 02 · Pairs and protocol
#
# After this notebook you can:
#
# 1. read a cross-modal data set: its pictures, texts and labels, and who counts as relevant to whom;
# 2. split it so that the score is honest, and find a split that makes it dishonest;
# 3. fit three simple methods, and say what level a paper has to beat.
#
# Reading takes 45 minutes, running takes half a minute.
#
# | symbol | meaning | in cmhkit | shape |
# | --- | --- | --- | --- |
# | $v_i$ | a picture | `data.images[i]` | (64, 64, 3) uint8 |
# | $t_i$ | a text as a vector | `data.text_vectors[i]` | (words,) float32, 0 or 1 |
# | $l_i$ | the labels of a pair, of c in all | `data.labels[i]` | (c,) uint8, 0 or 1 |
# | $S$ | who shares a label | `ck.graphs.label_similarity` | (n, m) bool |
# | $B^v, B^t$ | the codes of pictures and texts | `hasher.encode(images=…)`, `hasher.encode(texts=…)` | (n, K / 8) uint8, packed |
# | $K$ | bits of a code | `bits` | a number |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit.course import widgets
from cmhkit.course.lessons import lesson_02 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## A set of pairs
#
# The papers use photographs with tags or sentences. We use the *scenes* of lesson 00: one to three drawings on a soft
# background, with some of the tags that people gave to these drawings, and up to two unrelated ones. They are small and
# free, and we know everything about them.

# %%
data = ck.data.load("scenes", size=size)
train_set, query_set = data.train, data.query
print(*str(data).split("; "), sep="\n")

# %% [markdown]
# The lines give the number of pairs, the three parts of the split, the shape of a picture, the length of a text vector,
# and the number of labels.
#
# Here are some pairs. Under each picture stand its tags, then its labels in brackets.

# %%
shown = rng.choice(len(train_set), size=5, replace=False)
label_names = np.array(data.label_names)
labels_of = [", ".join(label_names[row > 0]) for row in train_set.labels]
nb.gallery(
    [train_set.images[i] for i in shown],
    alts=[f"A scene labelled {labels_of[i]}." for i in shown],
    captions=[f"{train_set.texts[i]} ({labels_of[i]})" for i in shown],
    width=140,
)

# %% [markdown]
# Look for three things.
#
# - Tags are **incomplete**: some words for a drawing are missing.
# - Tags are **noisy**: some words have nothing to do with the scene.
# - Tags may be **specific** ("duck"), labels are **general** ("bird"). Two scenes with the same label may show quite
#   different things.
#
# ### What is known of a scene: the truth masks
#
# We made the scenes, so we know which pixel belongs to which drawing. `data.truth` holds that. No method may read it;
# it serves to look inside. Lesson 10 asks who shows the same drawing, and lesson 20 asks where a network looks. Here is
# a scene, and each of its drawings alone:

# %%
three = int(np.flatnonzero((train_set.truth.drawings >= 0).sum(axis=1) == 3)[0])
masks = train_set.truth.masks(three)
names = [train_set.truth.names[d] for d in train_set.truth.drawings[three]]
picture = np.array(train_set.images[three])
parts = [np.where(mask[:, :, None], picture, 255) for mask in masks]
nb.gallery(
    [picture, *parts],
    alts=["A scene with three drawings.", *(f"The {name} alone, all else blank." for name in names)],
    captions=["the scene", *names],
    width=150,
)
assert not (masks.sum(axis=0) > 1).any()

# %% [markdown]
# Each drawing has a mask, and no pixel belongs to two of them: where drawings overlap, the upper one owns the pixel.
#
# ### Labels
#
# A label is one of a few general concepts. A scene has the label of each drawing in it. How frequent is each label?

# %%
import matplotlib.pyplot as plt

frequency = data.labels.mean(axis=0)
order = np.argsort(-frequency, kind="stable")
figure, axes = plt.subplots(figsize=(7.5, 3))
axes.bar(label_names[order], frequency[order])
axes.tick_params(axis="x", rotation=70)
axes.set_ylabel("share of scenes")
alt = "A bar for each label, all of nearly the same height."
nb.show(figure, alt=alt, caption="Every label is about equally frequent.")
per_scene = np.bincount(data.labels.sum(axis=1))
print("labels in all:", data.labels.shape[1])
for count in np.flatnonzero(per_scene):
    print(f"scenes with {count} of them: {per_scene[count]}")

# %% [markdown]
# Real sets are less even. A label that many pairs have makes many pairs relevant to each other, and that lifts every
# score.
#
# ### Browse
#
# Choose a part of the split, a label ("concept") and a page. Tick the box to see the masks.

# %%
browser = widgets.DataBrowser(data, split="train", page_size=5)
browser

# %% [markdown]
# The same as plain pictures: the first queries, then training scenes of one label with their masks.

# %%
browser.small_multiples({"split": "query"}, {"split": "train", "concept": "bird", "masks": True})

# %% [markdown]
# ## Texts become vectors
#
# A network needs numbers. We use a **bag of words**: one column for each word of a vocabulary, 1 where the text has
# that word, else 0. The order of words is lost; for tags it means nothing.
#
# The vocabulary keeps the words that most **training** texts have. Here it is counted by hand, and equal to the
# library's.

# %%
from collections import Counter

texts_with = Counter(word for text in train_set.texts for word in set(text.split()))
ranked = sorted(texts_with, key=lambda word: (-texts_with[word], word))
by_hand = tuple(ranked[: len(data.vocabulary)])
assert by_hand == data.vocabulary.words
print("words in the training texts:", len(texts_with))
print("columns of the bag of words:", len(data.vocabulary))
print("first columns:", ", ".join(by_hand[:8]))

# %% [markdown]
# The queries' texts are left out on purpose: they stand for texts that nobody has seen yet. The rule is: whatever is
# *learned* from data (words, means, scales, graphs, networks) is learned from the training part.
#
# **Predict.** Some words of the queries have no column. What share of their words is lost: 1 %, 10 %, or half?

# %%
query_words = [word for text in query_set.texts for word in text.split()]
lost = [word for word in query_words if word not in data.vocabulary]
print(
    f"words in the query texts: {len(query_words)}, without a column: {len(lost)} ({len(lost) / len(query_words):.0%})"
)
empty = sum(not row.any() for row in query_set.text_vectors)
print(f"query texts of which nothing is left: {empty} of {len(query_set)}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About 10 %. We accept it: users too will type words that are not known. A vocabulary from *all* texts would hide this
# loss from the score.
#
# </details>
#
# ### Exercise 1: bag of words
#
# Write the vector of one text. `text` is a string, its words separated by blanks; capital letters make no difference.
# `words` is the vocabulary, a tuple of words in small letters. Return an array of shape (words,) that holds 0 and 1.


# %%
def bag_of_words(text, words): ...


q.q1.check(bag_of_words)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# The library does the same for many texts at once. Below, only two of three typed words are known.

# %%
typed = "cat tree zeppelinette"
vector = data.vocabulary.bag_of_words([typed])[0]
print("shape:", vector.shape, "· ones:", int(vector.sum()))
print("unknown:", data.vocabulary.unknown(typed))
assert (data.vocabulary.bag_of_words(query_set.texts) == query_set.text_vectors).all()

# %% [markdown]
# ## Who is relevant to whom: S
#
# The rule of relevance of lesson 00 has a symbol in the papers, $S$: two pairs are similar if they share **at least
# one** label,
#
# $$ S_{ij} = 1 \text{ if } l_i^\top l_j > 0, \text{ else } 0 . $$
#
# The inner product $l_i^\top l_j$ counts the labels in common.
#
# ### Exercise 2: S
#
# `labels_a` is a label matrix of shape (n, c), `labels_b` one of shape (m, c), both of 0 and 1. Return $S$, an array of
# shape (n, m): True (or 1) where two rows share a label.


# %%
def similar(labels_a, labels_b): ...


q.q2.check(similar)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# Written out for queries and the searched pairs, and equal to the library's:

# %%
shared = query_set.labels.astype(int) @ data.retrieval.labels.astype(int).T
S = shared > 0
assert (S == ck.graphs.label_similarity(query_set.labels, data.retrieval.labels)).all()
print("S between queries and the searched pairs:", S.shape)
for count in range(shared.max() + 1):
    print(f"{count} labels in common: {(shared == count).mean():.3f} of all (query, pair) combinations")

# %% [markdown]
# Most combinations share nothing, and nearly all others share just one label. $S$ does not tell one shared label from
# two. (A measure that does is NDCG with graded gains: `ck.metrics.ndcg`.)
#
# Here is $S$ among some scenes, sorted by their first label.

# %%
some = rng.choice(len(train_set), size=min(120, len(train_set)), replace=False)
some_labels = train_set.labels[some]
some_labels = some_labels[np.argsort(some_labels.argmax(axis=1), kind="stable")]
figure, axes = plt.subplots(figsize=(4.2, 4.2))
axes.imshow(ck.graphs.label_similarity(some_labels), interpolation="nearest")
axes.set(xlabel="scene j", ylabel="scene i")
alt = "A symmetric grid: bright square blocks along the diagonal, many bright specks elsewhere."
nb.show(figure, alt=alt, caption=f"S of {len(some)} scenes, bright where it is 1.")

# %% [markdown]
# The scenes of a block on the diagonal share the label by which we sorted; specks elsewhere share another one. Most of
# the square is dark: $S$ is sparse.
#
# > **The note, the paper, the official code.** SSAH's note defines $S$ as "at least one label in common"; ADAH's says
# > only "similar". Both methods train on $S$. UGACH's training never sees a label, so there $S$ is for scoring only.
# > When you compare their scores, keep in mind that two of them were taught the very thing that is asked.
#
# ## Splits
#
# A **protocol** says how a score is made: how the pairs are split, what is relevant, how long the codes are, and how
# ties are treated (lesson 01). The split has three parts.
#
# | part | what it is for | labels used for |
# | --- | --- | --- |
# | query | asks | scoring only |
# | retrieval (or database) | is searched | scoring only |
# | train | is learned from; a part of retrieval | training, if the method is supervised |
#
# It may surprise that training pairs are searched. That is usual in this field: the owner of a database trains on what
# is in it. What must never happen is that a **query** is trained on, or that its own pair is among the searched. That
# would be a **leak**.

# %%
query, retrieval, train = (data.parts[name] for name in ("query", "retrieval", "train"))
print("query", len(query), "· retrieval", len(retrieval), "· train", len(train))
print("queries that are searched too:  ", len(np.intersect1d(query, retrieval)))
print("queries that are trained on:    ", len(np.intersect1d(query, train)))
print("training pairs that are searched:", np.isin(train, retrieval).sum())

# %% [markdown]
# ### Exercise 3: find the leak
#
# `parts` is a dict as `data.parts`: "query", "retrieval" and "train", each an array of positions. Return the positions
# of all queries that are also in one of the other two parts, as a sorted array.


# %%
def leaked(parts): ...


q.q3.check(leaked)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# The library has the same check built in: it refuses a data set with a leak.

# %%
from dataclasses import replace

spoiled = {**data.parts, "train": np.append(train, query[0]), "retrieval": np.append(retrieval, query[0])}
try:
    replace(data, parts=spoiled)
except ck.InputError as error:
    print(str(error).split(" (")[0])

# %% [markdown]
# ### The query's own pair
#
# Suppose picture 17 asks for texts, and text 17 is among the searched. It shares all labels of the query: a free hit.
# How much is it worth?
#
# Take a "method" that has only learned its pairs by heart: each pair gets a random code, the same for its picture and
# its text.
#
# **Predict.** What are its MAP and its precision at the first place, without and with the own pairs in the database?

# %%
by_heart = np.where(rng.random((len(data), bits)) < 0.5, -1, 1).astype(np.int8)
packed = ck.codes.pack(by_heart)
for name, searched in (("without", retrieval), ("with", np.concatenate([retrieval, query]))):
    labels = data.labels[query], data.labels[searched]
    found = ck.metrics.evaluate(packed[query], packed[searched], *labels, precision_at=(1, 10))
    at = found.precision_at
    print(f"{name:8} own pairs: MAP {found.map:.3f}, precision@1 {at[1]:.3f}, precision@10 {at[10]:.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Without: the codes are random, so both are near chance. With: the own pair is at distance 0, so the first place is
# right nearly always (with few bits, another pair may have the same code). MAP hardly moves: one hit more among
# hundreds. A short list is spoiled most.
#
# </details>
#
# So our default is to leave the queries' own pairs out; `own_pair=True` leaves them in, to reproduce a protocol that
# does so.
#
# ## The level of chance
#
# What does a ranking in random order score? Each place holds a relevant item with the same probability, the share of
# relevant items.
#
# ### Exercise 4: chance
#
# `query_labels` has shape (q, c), `database_labels` shape (m, c), both of 0 and 1. Return the share of relevant items,
# averaged over the queries: a number from 0 to 1.


# %%
def chance_level(query_labels, database_labels): ...


q.q4.check(chance_level)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# Written out from $S$. The share is not the same for every query:

# %%
share = S.mean(axis=1)
print(f"share of relevant items: mean over queries {share.mean():.3f}")
print(f"lowest {share.min():.3f}, highest {share.max():.3f}")

# %% [markdown]
# The expected precision of a random order is this share. Average precision is a little above it, since AP looks only at
# places *with a hit*. One code for every item gives precisely that value, since all orders of a tie count alike (lesson
# 01).

# %%
same, searched = (np.zeros((len(part), bits // 8), np.uint8) for part in (query, retrieval))
no_idea = ck.metrics.evaluate(same, searched, query_set.labels, data.retrieval.labels)
chance = S.mean()
print(f"share of relevant items        {chance:.3f}")
print(f"MAP of one code for everything {no_idea.map:.3f}")
assert chance < no_idea.map < chance + 0.05

# %% [markdown]
# ## Three baselines
#
# A **baseline** is a simple method that a new one is compared with. Ours take pictures as SceneNet's features (lesson
# 00) and texts as bags of words.
#
# **RandomHash** takes signs of random projections, drawn for pictures and for texts. Nothing is learned.
#
# **Predict.** Within one modality, random projections keep neighbours together. Does this help across modalities?

# %% tags=["nbval-ignore-output"]
random_hash = ck.RandomHash(bits=bits, seed=seed).fit(data)
random_report = random_hash.evaluate(data)
random_report

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. Bit 1 of a picture asks on which side of one random plane it lies, bit 1 of a text asks about another plane in
# another space. The two answers have nothing to do with each other, and all scores are near chance.
#
# </details>
#
# **CCA** (canonical correlation analysis, Hotelling 1936) learns from the pairs. Let $X$ hold the picture features of
# the training pairs, one row a pair, and $Y$ the text vectors. CCA seeks one direction $a$ for pictures and one
# direction $b$ for texts, so that the two projections correlate most:
#
# $$ \max_{a, b} \; \operatorname{corr}(X a, Y b), $$
#
# then a second couple of directions, uncorrelated with the first, and so on, $K$ of them. The sign of each projection
# is a bit. Labels play no part.

# %% tags=["nbval-ignore-output"]
cca = ck.CCA(bits=bits, seed=seed).fit(data, show_progress=False)
correlation = {}
for part in (train_set, query_set):
    ours, theirs = cca.values(images=part), cca.values(texts=part)
    correlation[part.name] = [np.corrcoef(ours[:, c], theirs[:, c])[0, 1] for c in range(bits)]
print("shape of the real values:", ours.shape)
for name, found in correlation.items():
    print(f"{name}: first direction {found[0]:.2f}, last {found[-1]:.2f}, mean {np.mean(found):.2f}")

# %% [markdown]
# Pictures and texts correlate in every direction, on new pairs less than on those it learned from.
#
# Something is lost when values become signs: a value near 0 gets a full bit, as if it were sure. **ITQ** (iterative
# quantisation, Gong and Lazebnik 2011) starts from CCA's values $V$, of shape (n, K), and turns them by a rotation $Q$,
# so that they come close to their own signs:
#
# $$ \min_{Q^\top Q = I} \; \|\operatorname{sign}(V Q) - V Q\|_F^2 . $$
#
# The code of a picture and the code of its own text should agree. Count the bits in which they differ, on pairs seen in
# training and on new ones.

# %% tags=["nbval-ignore-output"]
itq = ck.ITQ(bits=bits, seed=seed).fit(data, show_progress=False)
print("share of bits in which a picture and its own text differ")
for hasher in (random_hash, cca, itq):
    line = f"{type(hasher).__name__:10}"
    for part in (train_set, query_set):
        ours = ck.codes.unpack(hasher.encode(images=part))
        theirs = ck.codes.unpack(hasher.encode(texts=part))
        line += f"  {part.name}: {(ours != theirs).mean():.2f}"
    print(line)

# %% [markdown]
# Random codes differ in half of the bits. The learned ones agree better, and less so on new pairs: the gap is what was
# learned by heart.
#
# ### Both ways
#
# There are two tasks: a picture asks for texts (image → text), and a text asks for pictures (text → image). `evaluate`
# does both.

# %% tags=["nbval-ignore-output"]
itq_report = itq.evaluate(data)
itq_report

# %% [markdown]
# Read more than the first row. Precision among the first ten is far above MAP, since MAP asks for *every* scene with
# the same label, also for those that show quite another drawing. The last three rows look at the searched codes. Few
# different codes would mean a **collapse**. In a good code, each bit is one for about half of the items, and two bits
# correlate little: then no bit is wasted.
#
# ### More bits
#
# The usual table: three lengths, two ways.

# %%
lengths = sorted({16, 32, 64, bits})
methods = (ck.RandomHash, ck.CCA, ck.ITQ)
scores = {}
for method in methods:
    for length in lengths:
        report = method(bits=length, seed=seed).fit(data, show_progress=False).evaluate(data)
        scores[method.__name__, length] = (report.map_i2t, report.map_t2i)

# %% tags=["nbval-ignore-output"]
print("MAP, image → text / text → image")
print("bits".ljust(12), *(f"{length}".center(15) for length in lengths))
for method in methods:
    cells = [scores[method.__name__, length] for length in lengths]
    print(method.__name__.ljust(12), *(f"{a:.3f} / {b:.3f}".center(15) for a, b in cells))
print("chance".ljust(12), *(f"{chance:.3f}".center(15) for _ in lengths))

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
for way, (panel, title) in enumerate(zip(axes, ("image → text", "text → image"), strict=True)):
    for method in methods:
        heights = [scores[method.__name__, length][way] for length in lengths]
        panel.plot(lengths, heights, label=method.__name__)
    panel.axhline(chance, color="black", linestyle=":", marker="", label="chance")
    panel.set(title=title, xlabel="bits", xscale="log", ylim=(0, None))
    panel.set_xticks(lengths, lengths)
    panel.minorticks_off()
axes[0].set_ylabel("MAP")
axes[1].legend(loc="lower right", fontsize=10)
alt = "MAP over bits, two panels. RandomHash lies on the chance line, CCA and ITQ well above it."
nb.show(figure, alt=alt, caption="Random codes stay at chance for every length. CCA and ITQ do not.")

# %% [markdown]
# More bits do not help random codes, and help CCA and ITQ only a little. A likely reason: a pair tells which *drawing*
# goes with which words, while MAP asks for other drawings with the same label as well, and few pairs say that a duck
# and an owl belong together. (Lesson 10 measures how far neighbours show the same drawing.)
#
# Do not make much of the small gaps between CCA and ITQ. ITQ starts from a random rotation, and moves a little with
# `seed`. A paper should give the mean of several seeds, and the spread.
#
# ### New drawings only: `unseen`
#
# Queries are new *scenes*, but they show drawings that training scenes show as well. A harder question: what of things
# never seen in training? The option `unseen=0.25` keeps a quarter of each label's drawings for the queries. We try it
# on the small set, with CCA.

# %% tags=["nbval-ignore-output"]
for unseen in (0.0, 0.25):
    small = ck.data.load("scenes", size="tiny", unseen=unseen)
    asked = small.query.truth.drawings
    known = np.isin(asked[asked >= 0], small.train.truth.drawings).mean()
    report = ck.CCA(bits=bits).fit(small, show_progress=False).evaluate(small)
    print(f"unseen {unseen:.2f}: {known:.0%} of the drawings asked for are in training scenes")
    print(f"             MAP {report.map_i2t:.3f} image → text, {report.map_t2i:.3f} text → image")

# %% [markdown]
# With unseen drawings the scores fall, most for pictures that ask. A likely reason: the text of a new drawing still
# shares words with known ones ("bird", "animal"), while its picture shares little. (SceneNet has seen all drawings;
# only the hashing method has not.)
#
# ## What a paper must beat
#
# 1. **Chance**, the share of relevant items. A score without it cannot be read.
# 2. **Random codes**: the same pipeline with nothing learned. If they are far above chance, the scoring leaks.
# 3. **CCA**: seconds of linear algebra, no labels.
# 4. **ITQ**: CCA with a rotation before the signs are taken.
#
# All with the *same features, split, bits and rule for ties*. A supervised method, one that is taught $S$, should beat
# them by far. For an unsupervised one such as UGACH they are real opponents: they use the very same pairs.
#
# **On a GPU.** Nothing here needs one. `ck.data.load("scenes", size="paper")` is a large set of scenes, as many as in
# the usual part of MIRFlickr; its features take longer.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. A data set has pictures, tags (as a bag of words whose vocabulary comes from training texts), labels, and $S$: at
#    least one label in common.
# 2. It is split into query, retrieval and train. A query's own pair in the database is a leak: it makes the first place
#    right.
# 3. RandomHash scores at chance, CCA and ITQ above it. These are the levels that a paper must beat.
#
# [Lesson 10](10_ugach_correlation_graph.ipynb) builds UGACH's correlation graph, by which it learns from the same
# pairs.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(itq.encode(images=data.query)),
    map_i2t=itq_report.map_i2t,
    map_t2i=itq_report.map_t2i,
    baseline_i2t=random_report.map_i2t,
    baseline_t2i=random_report.map_t2i,
    chance=chance,
)
