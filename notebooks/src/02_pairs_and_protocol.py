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
# After this notebook you can read a cross-modal data set: its pictures, texts, labels, and who counts as relevant to whom.
# You can split it so that the score is honest, and name the mistakes that make it dishonest.
# And you know three simple methods, and the level that any paper has to beat.
#
# Reading takes 45 minutes, running takes half a minute.
#
# | symbol | in cmhkit | shape |
# | --- | --- | --- |
# | $v_i$, a picture | `data.images[i]` | (64, 64, 3) uint8 |
# | $t_i$, a text as a vector | `data.text_vectors[i]` | (t,) float32, 0 or 1 |
# | $l_i$, the labels of a pair; all of them: $L$ | `data.labels` | (n, c) uint8, 0 or 1 |
# | $S$, who shares a label | `ck.graphs.label_similarity` | (n, m) bool |
# | $B^v, B^t$, the codes of pictures and texts | `hasher.encode(images=…)`, `hasher.encode(texts=…)` | (n, K / 8) uint8, packed |
# | $K$, the length of a code | `bits` | – |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit import widgets
from cmhkit.lessons import lesson_02 as q
from cmhkit.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## A set of pairs
#
# Cross-modal retrieval needs **pairs**: a picture and a text that belong together. The papers use photographs from Flickr with the tags of their
# owners. We use *scenes*: one to three drawings on a soft background, with tags drawn from the words that people use for these drawings.
# They are small, free, and we know everything about them.

# %%
data = ck.data.load("scenes", size=size)
train_set, query_set = data.train, data.query
print(data)

# %% [markdown]
# Read the line from left to right: the number of pairs, three parts (we come to them), the shape of a picture, the length of a text vector, the number of labels.
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
    width=150,
)

# %% [markdown]
# Look for three things.
#
# - Tags are **incomplete**: some words for a drawing are missing.
# - Tags are **noisy**: some scenes carry a word that has nothing to do with them.
# - Tags are **specific** ("duck"), labels are **general** ("bird"). Two scenes with the same label may show quite different things.
#
# ### What is known of a scene: the truth masks
#
# We made the scenes, so we know which pixel belongs to which drawing. `data.truth` holds that. No method may read it.
# It serves to look inside: lesson 10 asks who shows the same drawing, and lesson 20 asks where a network looks.

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
# A label is one of a few general concepts. A scene has the label of each drawing in it.

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
print({f"{count} a scene": int(scenes) for count, scenes in enumerate(per_scene) if scenes})

# %% [markdown]
# The bars are nearly level. Real sets are not so tidy: there, a label like "sky" may cover a third of all photographs. That lifts every score, as you will see at the end.
#
# ### Browse
#
# Choose a part, a concept, a page. Tick the box to see the masks. Everything works from the keyboard.

# %%
browser = widgets.DataBrowser(data, split="train", page_size=6)
browser

# %% [markdown]
# The same as plain pictures, for who reads this page without a running kernel: the first scenes of each part.

# %%
browser.small_multiples()

# %% [markdown]
# ## Texts become vectors
#
# A network wants numbers. The oldest way is the **bag of words**: one column for each word of a vocabulary, 1 where the text holds that word, else 0.
# The order of words is lost. For tags nothing is lost.
#
# The vocabulary keeps the words that most **training** texts hold. We count them ourselves.

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
# **Predict.** Suppose we build the vocabulary from *all* texts, queries included. What would go wrong?
#
# <details><summary>Answer</summary>
#
# Two things. The method would know beforehand which words the queries use, so the score is that of a world without new words. And the columns would change whenever
# a new query comes, so a trained network could not even take it. The rule is: whatever is *learned* from data (words, means, scales, graphs, networks) is
# learned from the training part.
#
# </details>
#
# How much does this cost? Count the words in the query texts that have no column.

# %%
query_words = [word for text in query_set.texts for word in text.split()]
lost = [word for word in query_words if word not in data.vocabulary]
print(f"words in the query texts: {len(query_words)}, without a column: {len(lost)} ({len(lost) / len(query_words):.0%})")
empty = sum(not row.any() for row in query_set.text_vectors)
print(f"query texts of which nothing is left: {empty} of {len(query_set)}")

# %% [markdown]
# Some words are lost, and we accept it: that is what happens to words of tomorrow.
#
# ## Exercise 1: bag of words
#
# Write the vector of one text. Words are separated by blanks; capital letters make no difference.

# %%
def bag_of_words(text, words):
    ...


q.q1.check(bag_of_words)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# The library does the same for many texts at once. Its result for the words typed below has as many ones as there are known words in it.

# %%
typed = "cat tree zeppelinette"
vector = data.vocabulary.bag_of_words([typed])[0]
print("shape:", vector.shape, "· ones:", int(vector.sum()))
print("unknown:", data.vocabulary.unknown(typed))
assert (data.vocabulary.bag_of_words(query_set.texts) == query_set.text_vectors).all()

# %% [markdown]
# ## Who is relevant to whom: S
#
# Retrieval is scored against a rule of relevance. All three papers use the same: two pairs are similar if they share **at least one** label,
#
# $$ S_{ij} = 1 \text{ if } l_i^\top l_j > 0, \text{ else } 0 . $$
#
# The inner product $l_i^\top l_j$ counts the labels in common.

# %%
shared = query_set.labels.astype(int) @ data.retrieval.labels.astype(int).T
S = shared > 0
assert (S == ck.graphs.label_similarity(query_set.labels, data.retrieval.labels)).all()
print("S between queries and the searched pairs:", S.shape)
for count in range(shared.max() + 1):
    print(f"{count} labels in common: {(shared == count).mean():.3f} of all (query, pair) combinations")

# %% [markdown]
# Most combinations share nothing. Of those that count as relevant nearly all share just one label. S makes no difference between one and two:
# the threshold throws that away. (A measure that keeps it is NDCG with graded gains: `ck.metrics.ndcg`.)
#
# Here is S among some scenes, sorted by their first label.

# %%
some = rng.choice(len(train_set), size=min(120, len(train_set)), replace=False)
some_labels = train_set.labels[some]
some_labels = some_labels[np.argsort(some_labels.argmax(axis=1), kind="stable")]
figure, axes = plt.subplots(figsize=(4.2, 4.2))
axes.imshow(ck.graphs.label_similarity(some_labels), interpolation="nearest")
axes.set(xlabel="scene j", ylabel="scene i")
alt = "A symmetric grid: bright square blocks along the diagonal, many bright specks elsewhere."
nb.show(figure, alt=alt, caption="S of 120 scenes, bright where it is 1.")

# %% [markdown]
# The blocks on the diagonal share the label by which we sorted; the specks share another one. Most of the square is dark: S is sparse.
#
# ## Exercise 2: S
#
# Write S for two label matrices. Mind the threshold: not a count, not a share.

# %%
def similar(labels_a, labels_b):
    ...


q.q2.check(similar)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# > **The note, the paper, the official code.** The notes define $S$ as "at least one label in common", and so do the papers. For UGACH this rule
# > is for scoring only: its training never sees a label. SSAH and ADAH train on $S$ itself. When you compare their figures, keep in mind that one of them was
# > taught the very thing that is asked.
#
# ## Splits
#
# A protocol names three parts.
#
# | part | what it is for | labels used for |
# | --- | --- | --- |
# | query | asks | scoring only |
# | retrieval (or database) | is searched | scoring only |
# | train | is learned from; a part of retrieval | training, if the method is supervised |
#
# It may surprise that training pairs lie inside the searched set. All three papers do so: a database owner trains on what is in the database.
# What must never happen is that a **query** is trained on, or that its own pair lies in wait among the searched.

# %%
query, retrieval, train = (data.parts[name] for name in ("query", "retrieval", "train"))
print("query", len(query), "· retrieval", len(retrieval), "· train", len(train))
print("queries that are searched too:  ", len(np.intersect1d(query, retrieval)))
print("queries that are trained on:    ", len(np.intersect1d(query, train)))
print("training pairs that are searched:", np.isin(train, retrieval).mean())

# %% [markdown]
# ## Exercise 3: find the leak
#
# `parts` is a dict of positions as in `data.parts`. Which queries stand where they must not?

# %%
def leaked(parts):
    ...


q.q3.check(leaked)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# The library has the same check built in. A data set with a leak cannot be made by accident:

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
# Suppose picture 17 asks for texts, and text 17 is among the searched. It surely shares a label: a free hit. How much is it worth?
#
# To see it bare, take a "method" that has learned nothing but its pairs by heart: each pair gets a random code, the same for its picture and its text.
#
# **Predict.** What are its MAP and its precision at the first place, without and with the own pairs in the database?
#
# <details><summary>Answer</summary>
#
# Without: the codes are random, so both are near the share of relevant items. With: the own pair is at distance 0, so the first place is right nearly always
# (with few bits a stranger may have the same code). MAP hardly moves: one hit more among hundreds. A short list is spoiled most, and a search for
# "the partner itself" would be spoiled wholly.
#
# </details>

# %%
by_heart = np.where(rng.random((len(data), bits)) < 0.5, -1, 1).astype(np.int8)
packed = ck.codes.pack(by_heart)
for name, searched in (("without", retrieval), ("with", np.concatenate([retrieval, query]))):
    labels = data.labels[query], data.labels[searched]
    found = ck.metrics.evaluate(packed[query], packed[searched], *labels, precision_at=(1, 10))
    at = found.precision_at
    print(f"{name:8} own pairs: MAP {found.map:.3f}, precision@1 {at[1]:.3f}, precision@10 {at[10]:.3f}")

# %% [markdown]
# A method that knows nothing gets the first place right. So our default is to leave query pairs out; `own_pair=True` leaves them in, for who
# has to reproduce a protocol that does so.
#
# ### New drawings only: `unseen`
#
# Queries are new *scenes*, but they show drawings that training scenes show as well. A harder question: what of things never seen in training?
# The option `unseen=0.25` keeps a quarter of each concept's drawings for the queries. We try it on the small set, with CCA, a method explained below.

# %% tags=["nbval-ignore-output"]
for unseen in (0.0, 0.25):
    small = ck.data.load("scenes", size="tiny", unseen=unseen)
    asked = small.query.truth.drawings
    known = np.isin(asked[asked >= 0], small.train.truth.drawings).mean()
    report = ck.CCA(bits=bits).fit(small, show_progress=False).evaluate(small)
    print(f"unseen {unseen:.2f}: {known:.0%} of the drawings asked for are in training scenes")
    print(f"             MAP {report.map_i2t:.3f} image to text, {report.map_t2i:.3f} text to image")

# %% [markdown]
# With unseen drawings the scores fall, most for pictures that ask. A picture of a new drawing tells a linear method little. A new text still shares words
# with known ones ("bird", "animal"), and so loses less.
# (SceneNet, the frozen network that turns pictures into features, has seen all drawings. Only the hashing methods have not. In the papers it is the same:
# their VGG-19 was trained on a million photographs.)
#
# ## The level of chance
#
# Before any method: what does a ranking in random order score? Each place holds a relevant item with the same probability, the **share of relevant items**.

# %%
share = S.mean(axis=1)
print(f"share of relevant items: mean over queries {share.mean():.3f}")
print(f"lowest {share.min():.3f}, highest {share.max():.3f}")

# %% [markdown]
# ## Exercise 4: chance
#
# Compute the mean share from the labels. Each query counts the same.

# %%
def chance_level(query_labels, database_labels):
    ...


q.q4.check(chance_level)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# Precision of a random order is this share exactly. Average precision lies a little above it, since AP looks only at places *with a hit*.
# With the default rule for ties (all orders count alike, see lesson 01) a code that is the same for every item gives precisely that value.

# %%
same, searched = (np.zeros((len(part), bits // 8), np.uint8) for part in (query, retrieval))
no_idea = ck.metrics.evaluate(same, searched, query_set.labels, data.retrieval.labels)
chance = S.mean()
print(f"share of relevant items       {chance:.3f}")
print(f"MAP of one code for everything {no_idea.map:.3f}")
assert chance < no_idea.map < chance + 0.05

# %% [markdown]
# Write both down. From here on, "0.3" means something.
#
# ## Three baselines
#
# **RandomHash.** Signs of random directions, drawn for pictures and texts apart. Nothing is learned.
#
# **Predict.** Within one modality random directions keep neighbours together (that is locality-sensitive hashing). Does this help
# across modalities?
#
# <details><summary>Answer</summary>
#
# No. Bit 1 of a picture asks on which side of one random plane it lies, bit 1 of a text asks about another plane in another space. The two answers have nothing to do with each other.
# Scores are at chance, give or take some luck. The learning must make the two spaces **speak of the same thing**.
#
# </details>

# %% tags=["nbval-ignore-output"]
random_hash = ck.RandomHash(bits=bits, seed=seed).fit(data)
random_report = random_hash.evaluate(data)
random_report

# %% [markdown]
# The table is at the level of chance in every row: what a pipeline gives that has learned nothing.
#
# **CCA** (canonical correlation analysis, Hotelling 1936) makes both spaces speak of the same thing, from the pairs alone. It seeks one direction $a$ for picture features and one direction $b$
# for text vectors, so that the two projections correlate most over the training pairs:
#
# $$ \max_{a, b} \; \operatorname{corr}(X a, Y b), $$
#
# then a second couple of directions, uncorrelated with the first, and so on, $K$ of them. The sign of each projection is a bit. Labels play no part.

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
# Two things are lost when values become signs. A value near 0 gets a full bit, as if it were sure. And a weak direction counts as much as a strong one.
# **ITQ** (iterative quantisation, Gong and Lazebnik 2011) works on both. It turns the space that CCA found, by a rotation $R$, so that the values come close to their own signs:
#
# $$ \min_{R^\top R = I} \; \lVert \operatorname{sign}(V R) - V R \rVert_F^2 . $$
#
# Where the directions are about equally strong, as here, there is little to win by the second.
#
# What all learning wants: the code of a picture and the code of its own text should agree. Count the bits in which they differ, on pairs seen in training and on pairs never seen.

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
# Random codes differ in half of the bits, as coins would. The learned ones agree better, and a little less so on new pairs: that gap is what was learned by heart.
#
# ### Both ways
#
# There are two tasks: a picture asks for texts (image → text), and a text asks for pictures. `evaluate` does both. Relevance is $S$; the ranking is by Hamming distance.

# %% tags=["nbval-ignore-output"]
itq_report = itq.evaluate(data)
itq_report

# %% [markdown]
# Read more than the first row. Precision among the first ten is far above MAP. MAP looks at the *whole* ranking: it asks for every scene with the same label, also for those
# which show quite another drawing. The last row counts different codes: few would mean a collapse.
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
# See two things. More bits do not help random codes: there is nothing to be precise about. And CCA and ITQ level off. A likely
# reason: what a pair tells is which *drawing* goes with which words, and more bits make that finer. MAP asks for other drawings with the same label as well, and few pairs say that
# a duck and an owl belong together. (Lesson 10 measures how far neighbours show the same drawing.)
#
# Do not make much of the small gaps between CCA and ITQ. Change `seed` at the top, and RandomHash and ITQ move a bit (CCA has nothing random in it, as long as it finds enough directions).
# A paper should give the mean of several seeds, and the spread.
#
# ## What a paper must beat
#
# 1. **Chance**, the share of relevant items. A score without it cannot be read.
# 2. **Random codes**: the same pipeline with nothing learned. They catch errors in the scoring; if they are far above chance, the scoring leaks.
# 3. **CCA with signs**: seconds of linear algebra, no labels, nothing to tune but a ridge.
# 4. **ITQ**: the same with a better use of bits.
#
# All on the *same features, same split, same bits, same rule for ties*. A supervised method should beat them by far, since it is taught $S$. For an unsupervised one such as
# UGACH they are real opponents: they use the very same pairs.
#
# On a GPU: nothing here needs one. `ck.data.load("scenes", size="paper")` is the large set of scenes, about as many as in the papers; only its features take longer.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# - You read a set of pairs: pictures, tags as a bag of words whose vocabulary comes from training texts, labels, and $S$ = at least one label in common.
# - You split it into query, retrieval and train, found leaks, and saw what a query's own pair in the database does to the first places.
# - You fitted RandomHash, CCA and ITQ, read their scores both ways against the level of chance, and know what a paper must beat.
#
# Next: lesson 10 builds UGACH's correlation graph, which is how it learns more from the same pairs than CCA does.

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
