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
#     walks_through: the course map, a first retrieval by typed words in two minutes, doctor
#     widget: retrieval explorer
#     minutes: 15
# ---

# %% [markdown]
# # 00 · Start here
#
# After this notebook you can:
#
# 1. say what cross-modal hashing does, and find your way through the course;
# 2. find pictures by typed words, with codes of a few bytes;
# 3. use the three things that every lesson has: widgets, exercises and quizzes.
#
# Reading takes 15 minutes, running takes about 10 seconds. Run a cell with **Shift + Enter**. Run the cells in order,
# from the top.
# The first one holds settings that you may change: the size of the data, the seed of what is drawn at random, the bits
# of a code.
#
# | symbol | meaning | in cmhkit | shape |
# | --- | --- | --- | --- |
# | $v$ | a picture | `data.images` | (n, 64, 64, 3) uint8 |
# | $t$ | a text, 1 for each known word it has | `data.text_vectors` | (n, words), 0 or 1 |
# | $l$ | labels, for judging only | `data.labels` | (n, 24), 0 or 1 |
# | $K$ | bits of a code | `bits` | a number |
# | $b$ | a code, packed into bytes | `hasher.encode(...)` | (n, K / 8) uint8 |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np

import cmhkit as ck
from cmhkit.course import widgets
from cmhkit.course.lessons import lesson_00 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed)

# %% [markdown]
# ## What this is about
#
# You want to type words and get pictures, or show a picture and get texts. Words and pixels cannot be compared
# directly.
#
# **Hashing** turns each of them into a short row of bits, a *code*. **Cross-modal** hashing makes the codes of both
# kinds comparable: the code of a picture of a dog should be near the code of the word "dog". Near means that few bits
# differ. Differing bits are counted very fast, and a code takes only a few bytes. **Deep** cross-modal hashing lets
# networks learn the codes. This course builds such networks, step by step.

# %% [markdown]
# ## The course map
#
# Each circle is a lesson, with the minutes that it takes to read. The grey lessons are for everybody. Between them run
# three lines, one for each paper, and you may take them in any order.

# %%
from cmhkit.course import diagrams

diagrams.course_map()

# %% [markdown]
# | notebook | what you will do there | widget |
# | --- | --- | --- |
# | **00 Start here** | a first retrieval | retrieval explorer |
# | [01 Hamming space](01_hamming_space.ipynb) | count bits, meet ties, compute MAP by hand | bit flipper |
# | [02 Pairs and protocol](02_pairs_and_protocol.ipynb) | look at the data and its split; measure simple methods | data browser |
# | [10 UGACH: correlation graph](10_ugach_correlation_graph.ipynb) | find out without labels what belongs together | graph explorer |
# | [11 UGACH: two models](11_ugach_two_models.ipynb) | build the generator and the discriminator | sampling viewer |
# | [12 UGACH: adversarial](12_ugach_adversarial.ipynb) | let them play against each other, and measure | code watcher |
# | [20 ADAH: attention masks](20_adah_attention_masks.ipynb) | let a network choose where to look | mask explorer |
# | [21 ADAH: losses](21_adah_losses.ipynb) | rank all triplets of a batch, exactly | triplet viewer |
# | [22 ADAH: adversarial](22_adah_adversarial.ipynb) | hide what helps, and watch the masks move | mask replay |
# | [30 SSAH: LabNet](30_ssah_labnet.ipynb) | let a network learn codes from labels alone | label-to-code explorer |
# | [31 SSAH: supervision](31_ssah_supervision.ipynb) | teach pictures and words with those codes | code watcher, three networks |
# | [32 SSAH: adversarial](32_ssah_adversarial.ipynb) | ask whether features of three kinds can be told apart | distribution replay |
# | [40 Side by side](40_side_by_side.ipynb) | compare the three papers and the baselines on the same queries | comparison explorer |
# | [41 Failure gallery](41_failure_gallery.ipynb) | see nine ways to get a wrong figure, and repair each | – |
# | [42 Your own data](42_your_own_data.ipynb) | search your own pictures, and the field's benchmarks | retrieval explorer |
# | [43 Codes in a database](43_codes_in_a_database.ipynb) | search in PostgreSQL, exactly and by an index | – |
#
# Take 00, 01 and 02 first. Then come three papers of 2018:
#
# - 10 to 12, **UGACH** (Unsupervised Generative Adversarial Cross-modal Hashing), learns without labels;
# - 20 to 22, **ADAH** (Attention-aware Deep Adversarial Hashing), learns from labels where to look;
# - 30 to 32, **SSAH** (Self-Supervised Adversarial Hashing), has a network that reads labels and teaches the others.
#
# 40 to 43 compare, warn, and take you to your own data and to a database. Every notebook can also be run alone.

# %% [markdown]
# ## Is this machine ready?
#
# `doctor` looks at Python, the packages, memory and the data. **FAIL** must be repaired, and the table says how.
# **WARN** is a remark: you can go on. Your table differs from the saved one, since it tells of your machine.

# %% tags=["nbval-ignore-output"]
ck.doctor.run()

# %% [markdown]
# ## The data
#
# The lessons use *scenes*: small pictures made of one to three drawings, each with a text of tags that people gave to
# these drawings. The first load builds them, which takes less than half a minute. Later loads take a moment.
#
# A scene and its text are a *pair*. The pairs are split: **train** is for learning, **retrieval** is what is searched
# (train is a part of it), and **query** asks the questions. No query is ever trained on or searched.

# %%
data = ck.data.load("scenes", size=size)
query, retrieval = data.query, data.retrieval
print(f"query {len(query)}, retrieval {len(retrieval)}, of these train {len(data.train)}")
print(f"pictures {query.images.shape[1:]}, known words {len(data.vocabulary.words)}, labels {len(data.label_names)}")

# %% [markdown]
# Here are five pairs of the query set. Under each picture stand its tags, and then its labels in capitals.

# %%
shown = range(5)
names = [[data.label_names[c] for c in np.flatnonzero(query.labels[i])] for i in shown]
nb.gallery(
    [query.images[i] for i in shown],
    alts=[f"A scene with the labels {' and '.join(n)}." for n in names],
    captions=[f"{query.texts[i]} | {', '.join(n).upper()}" for i, n in zip(shown, names)],
    width=140,
)

# %% [markdown]
# See how loose the tags are: many do not name a thing in the picture.
#
# Labels are a short list of kinds of things. The methods of this notebook never read them. We use them to judge: a
# result is **relevant** if it shares at least one label with the query.
#
# **Predict.** Take a query and a random scene. How likely is the scene relevant: one in two, one in six, one in fifty?

# %%
relevant = (query.labels.astype(int) @ retrieval.labels.T.astype(int)) > 0
print("queries, scenes:", relevant.shape)
print(f"share of relevant scenes: {relevant.mean():.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About one in six. A method that guesses finds that share of relevant scenes, so it is called the level of **chance**.
#
# </details>

# %% [markdown]
# ## A first retrieval
#
# **ITQ** is a quick method from 2011; lesson 02 explains it. It learns in about a second from the pairs of the training
# set, without labels. A picture enters as **features**, a row of numbers. They come from SceneNet, a small trained
# network in the kit: it says for each drawing that it knows how likely the picture shows it.

# %%
hasher = ck.ITQ(bits=bits, seed=seed).fit(data)

# %% [markdown]
# Now take some words. They become a code: as bytes, and as signs, one for each bit (the first 16 are shown).

# %%
words = "boat sea"
code = hasher.encode(texts=[words])
signs = ck.codes.unpack(code)
print("bytes:", code[0].tolist())
print("signs:", " ".join(f"{s:+d}" for s in signs[0, :16]), "...")

# %% [markdown]
# The pictures to be searched have codes of the same length. An index finds those with the fewest differing bits. This
# number of bits is the **Hamming distance**.

# %%
index = ck.index.HammingIndex(hasher.encode(images=retrieval))
hits = index.search(code, k=6)
found = hits.ids[0]
labels_of = [" and ".join(data.label_names[c] for c in np.flatnonzero(retrieval.labels[i])) for i in found]
nb.gallery(
    [retrieval.images[i] for i in found],
    alts=[f"A scene with the labels {labels}." for labels in labels_of],
    captions=[f"{n}. distance {d}" for n, d in enumerate(hits.distances[0], 1)],
    caption=f"The six pictures nearest to “{words}”, by Hamming distance.",
    width=110,
)

# %% [markdown]
# No tag of these pictures was read: their codes came from pixels alone. Look at the distances too. Pictures at the same
# distance **tie**; lesson 01 shows what ties do to a score.
#
# ## The other way: a picture finds texts
#
# Now a picture of the query set asks, and texts are searched. Each line gives the distance of a text, then the text.

# %%
text_index = ck.index.HammingIndex(hasher.encode(texts=retrieval))
asked = 3
answer = text_index.search(hasher.encode(images=query)[asked : asked + 1], k=5)
labels = " and ".join(names[asked])
nb.show(query.images[asked], alt=f"The query, a scene with the labels {labels}.", caption="The query.", width=110)
for item, distance in zip(answer.ids[0], answer.distances[0]):
    print(f"distance {distance:2d}  {retrieval.texts[item][:90]}")

# %% [markdown]
# ## Widgets
#
# A widget is a small tool that you can play with. It works while the notebook runs; on a saved page you see a still
# picture of it.
#
# - Type other words and press **Enter**. Or set *query by* to a picture.
# - Move with **Tab**, change with the arrow keys. Each slider has a box for numbers beside it.
# - The line with the bar on its left says in words what is shown and what changed.
# - A solid border and ✓ mark a relevant result; a dashed border and ✗ one that is not. Typed words have no labels, so
#   they are given those that are usual among texts with these words.
#
# Two methods are ready: ITQ, and random codes, for which nothing was learned.
#
# **Predict.** Set *method* to random. How many of the ten results will be relevant?

# %%
random = ck.RandomHash(bits=bits, seed=seed).fit(data, show_progress=False)
explorer = widgets.RetrievalExplorer(data, {"ITQ": hasher, "random": random}, k=10, words="bird")
explorer

# %% [markdown]
# <details><summary>Answer</summary>
#
# About as many as by chance, give or take a few. The line above the pictures says how many that is.
#
# </details>
#
# After each widget stands a plain picture of it in two or more states. Here are both methods, with five results each.

# %%
explorer.small_multiples({"method": "ITQ", "k": 5}, {"method": "random", "k": 5})

# %% [markdown]
# ## Exercises
#
# An exercise is a cell with `...` in it. Put your answer in its place and run the cell. The check knows three outcomes:
# *not attempted*, *correct*, and *incorrect* with the reason. You can go on without an answer: no later cell needs it.
#
# ### Exercise 1: precision
#
# What share of the first `k` results is relevant? `relevant` is an array of True and False, one for each result,
# nearest first. Return a number from 0 to 1.


# %%
def precision(relevant, k): ...


q.q1.check(precision)
# q.q1.solution()

# %% [markdown]
# This is what a wrong answer looks like. It counts the relevant results, but their share was asked for:


# %%
def too_large(relevant, k):
    return relevant[:k].sum()


q.q1.check(too_large)

# %% [markdown]
# When you are stuck, ask for a hint. Run the cell again for the next one. Remove the `#` before `q.q1.solution()` above
# to see the solution.

# %%
q.q1.hint()

# %% [markdown]
# ## How good is it over all queries?
#
# One query proves little. `evaluate` asks with every query, both ways. **MAP**, mean average precision, is the usual
# score: 1 is perfect. Lesson 01 computes it by hand.
#
# **Predict.** Where will the MAP of the random codes lie: near 0, near chance, or near one half?

# %%
report, chance = hasher.evaluate(data), random.evaluate(data)
print(f"{'MAP':8}image → text   text → image")
for name, r in (("ITQ", report), ("random", chance)):
    print(f"{name:8}{r.map_i2t:12.2f}   {r.map_t2i:12.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Near chance. Random codes shuffle the searched pairs, and in a shuffled list every place is relevant with that
# probability. So read a MAP against chance, never against 0.
#
# </details>
#
# The whole report has more rows. Lesson 02 explains them.

# %%
report

# %% [markdown]
# ## Quiz
#
# Choose an option to see whether it is right, and why. On a saved page, open an option to read this.

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. Cross-modal hashing gives pictures and texts codes that can be compared. You have the map;
#    [lesson 01](01_hamming_space.ipynb) is next.
# 2. You found pictures by words, and texts by a picture, by counting differing bits. Random codes score at the level of
#    chance.
# 3. You used a widget, saw two outcomes of a check, asked for a hint and took a quiz.
#
# **On a GPU.** Nothing changes here: ITQ is linear algebra on a few thousand rows. The lessons on deep methods say what
# a GPU does for them.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(hasher.encode(texts=query)),
    map_i2t=report.map_i2t,
    map_t2i=report.map_t2i,
    baseline_i2t=chance.map_i2t,
    baseline_t2i=chance.map_t2i,
)
