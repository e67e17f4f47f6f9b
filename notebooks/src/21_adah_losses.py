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
#     walks_through: triplet hinge, six terms, exact sum by sorting, active triplets
#     widget: triplet viewer
#     minutes: 40
# ---

# %% [markdown]
# # 21 · ADAH: the losses
#
# After this notebook you can
#
# 1. say which triplets of a batch count, and compute the hinge of each by hand;
# 2. sum the hinge over all triplets exactly by sorting, without a loop over triplets;
# 3. name ADAH's six terms, and say when the adversarial ones no longer teach anything.
#
# Reading takes 40 minutes, running takes 10 to 20 seconds. Lesson 20 made attended and unattended features; here their
# codes are compared.
#
# | the note's symbol | in cmhkit | shape, range |
# | --- | --- | --- |
# | $S(i, j)$ | `similar` | (n, n), bool |
# | $\varepsilon$ | `margin` | a number |
# | $H^I, H^T$ | `codes.image`, `codes.text` | (n, bits), −1 to 1 |
# | $\hat H^I, \hat H^T$ | `codes.image_unattended`, `codes.text_unattended` | (n, bits), −1 to 1 |
# | $d_{ij}$ | `pairwise_distance(a, b, kind)` | (n, n) |
# | $\mathcal{F}_{A \to B}$ | `losses.ranking_term` | a number, with its count of active triplets |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np
import torch

import cmhkit as ck
from cmhkit.adah import losses, model
from cmhkit.course.lessons import lesson_21 as q
from cmhkit.course.lessons import notebook as nb
from cmhkit.nn.triplet import pairwise_distance, triplet_hinge

rng = nb.setup(seed, torch=True)

# %% [markdown]
# ## The method in one picture
#
# This lesson is about the lit part. The hashing modules make two codes of each item: $H$ of what the mask attends, and
# $\hat H$ of the rest. Four terms compare attended codes with each other. Two terms compare an attended query with
# unattended codes. The labels say who is similar.

# %%
from cmhkit.course import diagrams

diagrams.method("adah", lit="losses")

# %% [markdown]
# ## Which triplets count
#
# A ranking loss does not say how far apart two codes should be. It compares: to an **anchor** $i$, a similar item $j$
# should be nearer than a dissimilar item $k$. Two items are similar, $S = 1$, when they share a label; the triplets
# that count are those with $S(i,j) > S(i,k)$. Here are four items with three labels, and the triplets of item 1.

# %%
labels = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]])
similar = labels @ labels.T > 0
print(similar.astype(int))

for j in range(4):
    for k in range(4):
        if similar[1, j] > similar[1, k]:
            print(f"anchor 1: item {j} should be nearer than item {k}")

# %% [markdown]
# Item 0 is similar to 1 and to 3, yet 1 and 3 are not similar to each other. With several labels an item, similarity is
# no partition into classes.
#
# ## Exercise 1: list the triplets
#
# Write `triplets(labels, i)`. In: labels, 0 or 1, shape (n, labels), and the number `i` of the anchor. Out: an array
# with a row (j, k) for each triplet, in ascending order. An item shares its labels with itself, so $j = i$ counts.


# %%
def triplets(labels, i): ...


q.q1.check(triplets)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# ## The hinge
#
# A small lead may be lost when codes are cut to signs. So the note asks for a lead of a **margin** $\varepsilon$, and
# charges what is missing, the **hinge**:
#
# $$\max(0,\; \varepsilon + d_{ij} - d_{ik}).$$
#
# A triplet is **active** while its hinge is above zero. One that is not active costs nothing and has no gradient.
#
# **Predict.** A similar item lies at distance 2, a dissimilar one at 2.5; the margin is 1. The order is right. Is there
# a loss?

# %%
margin = 1.0
for d_near, d_far in ((2.0, 2.5), (2.0, 3.0), (2.0, 4.0), (2.0, 1.0)):
    hinge = max(0.0, margin + d_near - d_far)
    print(f"similar at {d_near}, dissimilar at {d_far}: lead {d_far - d_near:+.1f}, hinge {hinge:.1f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Yes, 0.5: the lead is 0.5 and 1 is asked for. From a lead of 1 on the hinge is 0.
#
# </details>
#
# ## Exercise 2: four triplets
#
# An anchor has similar items at distances 1 and 2.5 and dissimilar ones at 2 and 3; the margin is 1. Give two numbers:
# the sum of the hinges, and how many triplets are active.

# %%
hinge_sum = ...
active = ...

q.q2.check((hinge_sum, active))
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# ## Norm or squared norm
#
# The note writes $\lVert H_i - H_j \rVert$. Many triplet losses square it. For codes of ±1 the square is four times the
# Hamming distance, so both sort the items alike.

# %%
signs = torch.from_numpy(np.where(rng.random((40, bits)) < 0.5, -1, 1).astype(np.int8))
norm = pairwise_distance(signs.float(), signs.float(), "norm")
squared = pairwise_distance(signs.float(), signs.float(), "squared")

packed = ck.codes.pack(signs.numpy())
hamming_gap = float(np.abs(squared.numpy() - 4.0 * ck.codes.hamming(packed, packed)).max())
assert hamming_gap < 1e-4 and torch.allclose(norm.square(), squared, atol=1e-3)
print(f"{bits} bits, largest possible:  norm {2 * bits**0.5:.2f}   squared {4 * bits}")
print(f"mean of random codes:       norm {norm.mean():.2f}   squared {squared.mean():.2f}")

# %% [markdown]
# What differs is the scale, and with it what a margin means. And the **pull**, the length of the gradient: the norm
# changes at rate 1, whatever the distance $d$, and its square at rate $2d$. So the square pulls far similar items
# harder.

# %%
for kind in ("norm", "squared"):
    rates = []
    for d in (0.5, 2.0, 8.0):
        origin, code = torch.zeros(1, bits), torch.zeros(1, bits)
        code[0, 0] = d
        distance = pairwise_distance(code.requires_grad_(), origin, kind)
        (slope,) = torch.autograd.grad(distance.sum(), code)
        rates.append(slope.norm().item())
    print(f"{kind:8s} pull at distance 0.5, 2, 8:", *(f"{r:5.1f}" for r in rates))

# %% [markdown]
# ## A real batch
#
# From here on the similarities come from scenes: a batch of 128 training pairs. The codes come from a small ADAH
# network that has learned nothing yet. E makes features, G splits them into attended and unattended ones (lesson 20),
# and D makes codes of both.

# %%
from cmhkit.data.features import image_features

data = ck.data.load("scenes", size=size)
train = data.train
items = rng.choice(len(train), min(128, len(train)), replace=False)
maps = torch.from_numpy(image_features(train.images[items], "map", show_progress=False)).float()
words = torch.from_numpy(train.text_vectors[items]).float()
label = torch.from_numpy(train.labels[items]).float()
similar = label @ label.T > 0
print(f"batch of {len(items)} pairs; share of similar pairs {similar.float().mean():.3f}")


# %%
def network(seed):
    random = torch.Generator().manual_seed(seed)
    return model.AttentionNetwork(
        model.SceneFeatures(),
        model.TextFeatures(words.shape[1], 256, 128, 0.0, random),
        model.ImageAttention(maps.shape[1], None, random, 1.0),
        model.TextAttention(128, None, random, 1.0),
        model.SceneHead(bits, "posterior", 128, 0.0, random),
        model.TextHead(128, bits, random),
    )


net = network(seed)
codes = net(maps, words)
print("attended  ", tuple(codes.image.shape), tuple(codes.text.shape))
print("unattended", tuple(codes.image_unattended.shape), tuple(codes.text_unattended.shape))

# %% [markdown]
# ## The triple loop, written out
#
# The formula of the note as it stands, for texts that query pictures. We take 24 pairs only, since the loop is slow,
# and a small margin, since untrained codes lie close together.

# %%
few, small = 24, bits / 16
d = pairwise_distance(codes.text[:few], codes.image[:few], "squared").detach().double()
s = similar[:few, :few]

by_loop, active_by_loop = 0.0, 0
for i in range(few):
    for j in range(few):
        for k in range(few):
            if s[i, j] > s[i, k]:
                hinge = max(0.0, small + d[i, j].item() - d[i, k].item())
                by_loop += hinge
                active_by_loop += hinge > 0

library = triplet_hinge(d, s, small, reduction="sum")
loop_gap = abs(by_loop - library.loss.item()) / by_loop
assert loop_gap < 1e-9 and active_by_loop == library.active.item()
print(f"{active_by_loop} active triplets: sum {by_loop:.1f}, by the library {library.loss:.1f}")

# %% [markdown]
# ## Why the loop does not scale
#
# Three nested loops over $B$ items are $B^3$ turns. A tensor of all triples has as many entries, and autograd keeps
# several of them.
#
# **Predict.** How many megabytes is one such tensor of 32-bit numbers for a batch of 512?

# %%
print("batch      pairs     triples  tensor of triples")
for batch in (32, 128, 512, 2048):
    print(f"{batch:5d} {batch**2:10,d} {batch**3:11.2e} {4 * batch**3 / 1e6:15,.1f} MB")

# %% [markdown]
# <details><summary>Answer</summary>
#
# More than 500. For a batch of 2048 it is tens of gigabytes, and ADAH has six such terms.
#
# </details>
#
# ## The same sum by sorting: one anchor
#
# Take one anchor and sort the distances of its dissimilar items: $d_{(0)} \le d_{(1)} \le \dots$ A similar item at
# $d_{ij}$ makes an active triplet with those strictly below $\varepsilon + d_{ij}$. They are the first $c_j$ of the
# row, so the hinges of $j$ sum to
#
# $$c_j\,(\varepsilon + d_{ij}) - \sum_{r < c_j} d_{(r)}.$$
#
# The last sum is a **prefix sum**: one pass over the row gives it for every $c_j$ at once.

# %%
i = int((s.sum(1) * (~s).sum(1)).argmax())  # an anchor with many triplets
near, far = d[i][s[i]].numpy(), np.sort(d[i][~s[i]].numpy())

c = np.searchsorted(far, small + near, side="left")
prefix = np.concatenate([[0.0], np.cumsum(far)])
by_sorting = (c * (small + near) - prefix[c]).sum()

by_pairs = np.maximum(0, small + near[:, None] - far[None, :]).sum()
library = triplet_hinge(d[i : i + 1], s[i : i + 1], small, reduction="sum")
row_gap = max(abs(by_sorting - by_pairs), abs(by_sorting - library.loss.item())) / by_pairs
assert row_gap < 1e-9 and c.sum() == library.active.item()
print(f"{len(near)} similar, {len(far)} dissimilar items, {c.sum()} active triplets")
print(f"sum by sorting {by_sorting:.2f}, by pairs {by_pairs:.2f}, by the library {library.loss:.2f}")

# %% [markdown]
# Nothing was approximated. One anchor costs a sort, $B \cdot \log B$ steps, and $B$ anchors cost $B^2 \cdot \log B$.
#
# **Ties.** What of a dissimilar item exactly at $\varepsilon + d_{ij}$? Its hinge is 0, so the *sum* is the same
# whether it is counted or not. The *count* is not, and active means above zero: search on the left side.

# %%
near_tie, far_tie = np.array([1.0]), np.array([1.5, 2.0, 2.0, 3.0])
prefix_tie = np.concatenate([[0.0], np.cumsum(far_tie)])
for side in ("left", "right"):
    c_tie = np.searchsorted(far_tie, 1.0 + near_tie, side=side)
    total = (c_tie * (1.0 + near_tie) - prefix_tie[c_tie]).sum()
    print(f"side {side:5s}: counted {c_tie.sum()}, sum {total:.2f}")

row = torch.tensor([[1.0, 1.5, 2.0, 2.0, 3.0]])
tied = triplet_hinge(row, torch.tensor([[True, False, False, False, False]]), 1.0, reduction="sum")
assert tied.active == 1 and tied.loss == 0.5
print("library: active", tied.active.item(), " sum", tied.loss.item())

# %% [markdown]
# ## Exercise 3: count the active triplets
#
# Write `count_active(near, sorted_far, margin)` for one anchor, without a loop. In: the distances of its similar items,
# the sorted distances of its dissimilar ones, a number. Out: a whole number.


# %%
def count_active(near, sorted_far, margin): ...


q.q3.check(count_active)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# ## The gradient is a count
#
# In the sum a similar item's distance appears $c_j$ times with a plus. A dissimilar item's appears with a minus, once
# for each similar item that **reaches** beyond it: $\varepsilon + d_{ij} > d_{ik}$. So the gradient with respect to the
# distances holds whole numbers, and two searches give them.

# %%
weight = np.zeros(few)
mine = s[i].numpy()
weight[mine] = c
reach = np.sort(small + near)
weight[~mine] = -(len(near) - np.searchsorted(reach, d[i].numpy()[~mine], side="right"))

row = d[i : i + 1].clone().requires_grad_()
library = triplet_hinge(row, s[i : i + 1], small, reduction="sum")
(gradient,) = torch.autograd.grad(library.loss, row)
gradient_gap = float(np.abs(gradient[0].numpy() - weight).max())
assert gradient_gap == 0 and weight.sum() == 0
print("similar items:   ", *(f"{w:+.0f}" for w in weight[mine]))
print("dissimilar items:", *(f"{w:+.0f}" for w in weight[~mine]))

# %% [markdown]
# The numbers add up to zero: each active triplet pulls one item and pushes one. The library does this for all rows at
# once.
#
# How long does it take? That depends on your machine.

# %% tags=["nbval-ignore-output"]
from time import perf_counter

distance = pairwise_distance(codes.text, codes.image, "squared").detach()
margin = bits / 2
start = perf_counter()
dense = torch.relu(margin + distance[:, :, None] - distance[:, None, :])
dense = dense[similar[:, :, None] & ~similar[:, None, :]].double().sum()
middle = perf_counter()
exact = triplet_hinge(distance, similar, margin, reduction="sum").loss
end = perf_counter()
assert torch.isclose(dense, exact.double(), rtol=1e-5)
print(f"tensor of triples {1000 * (middle - start):.0f} ms, sorting {1000 * (end - middle):.0f} ms")

# %% [markdown]
# ## The margin
#
# **Predict.** The codes are untrained. What share of the triplets is active at margin 0, and what share at a large
# margin?

# %%
import matplotlib.pyplot as plt

margins = np.linspace(0, bits / 2, 33)
shares = [triplet_hinge(distance, similar, float(m)).active_share for m in margins]
for m in (0.0, bits / 32, bits / 16, bits / 8, bits / 2):
    share = triplet_hinge(distance, similar, m).active_share
    print(f"margin {m:5.1f}: {share:.2f} of the triplets active")
figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(margins, shares, markevery=4)
ax.set(xlabel="margin", ylabel="share of active triplets", ylim=(0, 1.05))
nb.show(
    figure,
    alt="A curve that starts near one half at margin 0, rises, and flattens out at 1.",
    caption="Untrained codes: about half of the triplets are active at margin 0, and at a large margin all.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# About half at margin 0: similar items are hardly nearer than others. Beyond the largest difference of distances all
# are active, and a larger margin only adds a constant.
#
# </details>
#
# ## The six terms
#
# Each term is the same hinge; what differs is whose codes are anchors and whose are items. There are four **retrieval**
# terms on attended codes, and two **adversarial** ones with attended anchors and unattended items:
#
# $$\mathcal{F}_{T \to I} + \mathcal{F}_{I \to T} + \mathcal{F}_{I \to I} + \mathcal{F}_{T \to T} \qquad\text{and}\qquad \mathcal{F}_{T \to \hat I} + \mathcal{F}_{I \to \hat T}.$$


# %%
def hinge_mean(anchors, items, margin):
    d = ((anchors[:, None, :] - items[None, :, :]) ** 2).sum(2)
    values = []
    for row, near in zip(d, similar, strict=True):
        values.append(torch.relu(margin + row[near][:, None] - row[~near][None, :]).flatten())
    return torch.cat(values).mean().item()


I, T = codes.image.detach(), codes.text.detach()
I_hat, T_hat = codes.image_unattended.detach(), codes.text_unattended.detach()
pairs = {"TI": (T, I), "IT": (I, T), "II": (I, I), "TT": (T, T)}
pairs |= {"TI^": (T, I_hat), "IT^": (I, T_hat)}
by_hand = {name: hinge_mean(a, b, small) for name, (a, b) in pairs.items()}
print(*(f"{name} {value:.2f}" for name, value in by_hand.items()), sep="   ")

# %% [markdown]
# In the code a hat is written `^`. The same from the library:

# %%
options = {"distance": "squared", "reduction": "mean"}
terms = losses.retrieval_terms(I, T, similar, small, **options)
terms += losses.adversarial_terms(I, T, I_hat, T_hat, similar, small, **options)
terms_gap = 0.0
for (name, value), term in zip(by_hand.items(), terms, strict=True):
    terms_gap = max(terms_gap, abs(term.loss.item() / value - 1))
    print(f"{name:4s} {term.loss.item():7.2f}   active {term.active_share:.2f}")
assert terms_gap < 1e-5

# %% [markdown]
# Within a modality, in II and TT, an item meets itself: $d_{ii} = 0$. The note does not say whether $j = i$ counts; in
# the library it is an option, `own`.

# %%
for own in (True, False):
    term = losses.ranking_term(I, I, similar, small, own=own, **options)
    print(f"own {own!s:5s}  {term.triplets.item():7,d} triplets   mean hinge {term.loss.item():.2f}")

# %% [markdown]
# With `own` the mean is lower: no similar item is nearer than the item itself.
#
# ## Exercise 4: which step uses which terms
#
# Training alternates. First E and D take a step that minimises all of the objective; then G takes one that maximises
# its part, the terms on unattended codes. Give for each of the two steps the set of its terms, out of `"TI"`, `"IT"`,
# `"II"`, `"TT"`, `"TI^"`, `"IT^"`.

# %%
of_e_and_d = ...
of_g = ...

q.q4.check((of_e_and_d, of_g))
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# ## Sum or mean
#
# The note sums over the triplets. The mean divides this by their number, active or not. So the two gradients have the
# same direction, and only their lengths differ.
#
# **Predict.** How many times longer is the gradient of the sum in a batch of 128? What happens to this factor when the
# batch doubles?

# %%
for batch in (len(items) // 4, len(items) // 2, len(items)):
    lengths = []
    for reduction in ("sum", "mean"):
        a, b = T[:batch].clone().requires_grad_(), I[:batch]
        part = similar[:batch, :batch]
        term = losses.ranking_term(a, b, part, margin, distance="squared", reduction=reduction)
        lengths.append(torch.autograd.grad(term.loss, a)[0].norm().item())
    count = term.triplets.item()
    assert abs(lengths[0] / lengths[1] / count - 1) < 1e-3
    print(f"batch {batch:3d}: {count:7,d} triplets, the gradient that many times longer")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Hundreds of thousands of times, and about eightfold with each doubling. So with a sum the learning rate has to change
# with the batch. Adam divides by the gradient's running size, so it hides most of this; plain gradient descent does
# not.
#
# </details>
#
# ## The active share in training
#
# Let E and D learn: Adam on all six terms, on this one batch. G stays as it is.
#
# **Predict.** What happens to the share of active triplets, in the retrieval terms and in the adversarial terms?


# %%
def terms_of(codes, similar, margin):
    retrieval = losses.retrieval_terms(codes.image, codes.text, similar, margin, **options)
    parts = codes.image, codes.text, codes.image_unattended, codes.text_unattended
    return retrieval, losses.adversarial_terms(*parts, similar, margin, **options)


def learn(net, maps, words, similar, steps):
    history, adam = [], torch.optim.Adam(net.other_parameters(), lr=2e-3)
    for _ in range(steps):
        retrieval, adversarial = terms_of(net(maps, words), similar, bits / 2)
        loss = losses.total([*retrieval, *adversarial])
        adam.zero_grad()
        loss.backward()
        adam.step()
        shares = losses.active_share(retrieval), losses.active_share(adversarial)
        history.append((loss.item(), *shares))
    return np.array(history)


# %%
history = learn(net, maps, words, similar, 60)
print("active triplets, to the nearest 5 %")
for step in (0, 20, 40, 59):
    retrieval, adversarial = (5 * np.rint(20 * history[step, 1:])).astype(int)
    print(f"step {step:2d}: {retrieval:3d} % in retrieval, {adversarial:3d} % in adversarial")
figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(history[:, 1], label="four retrieval terms", markevery=10)
ax.plot(history[:, 2], label="two adversarial terms", markevery=10)
ax.set(xlabel="step of E and D", ylabel="share of active triplets", ylim=(0, 1.05))
ax.legend()
nb.show(
    figure,
    alt="Two curves that start near 1, fall together and flatten out well below one half.",
    caption="Both shares fall: more and more triplets have the lead that is asked for.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Both fall: E and D learn to rank the unattended codes as well. The gradient of the mean shrinks too, since inactive
# triplets stay in the divisor. The hard triplets stay active: an item with several labels has to lie near items that
# should lie apart from each other.
#
# </details>
#
# ## The triplet viewer
#
# These are the learned codes: texts are anchors, pictures are items. Each similar item has a row of its own, and a bar
# as long as the margin. A dissimilar item left of the bar's end makes an active triplet with it. Choose an anchor, then
# move the margin. The table has the hinges.

# %% tags=["nbval-ignore-output"]
from cmhkit.course import widgets

with torch.no_grad():
    learned = net(maps, words)
shown = slice(0, min(24, len(items)))
many = int((similar[shown, shown].sum(1) > 3).int().argmax())
viewer = widgets.TripletViewer(
    similar=similar[shown, shown].numpy(),
    codes=(learned.text[shown].numpy(), learned.image[shown].numpy()),
    kind="squared",
    anchor=many,
    margin=margin,
)
viewer

# %% [markdown]
# The same anchor, still: a small margin, and a large one. No item has moved; only the bars are longer.

# %% tags=["nbval-ignore-output"]
viewer.small_multiples({"margin": bits / 8}, {"margin": 1.5 * bits})

# %% [markdown]
# ## When E and D do too well
#
# G learns from the adversarial terms only. What if no triplet is active there? To bring that about we take an easy
# batch, scenes with one label, of two kinds only, and let E and D learn.

# %%
single = train.labels.sum(1) == 1
scenes_of = train.labels[single].sum(0).astype(int)
common = np.argsort(-scenes_of, kind="stable")[:2]  # the two most frequent labels
chosen = [np.flatnonzero(single & (train.labels[:, kind] > 0))[:24] for kind in common]
two = data.take(train.index[np.concatenate(chosen)])
two_maps = torch.from_numpy(image_features(two.images, "map", show_progress=False)).float()
two_words = torch.from_numpy(two.text_vectors).float()
two_labels = torch.from_numpy(two.labels).float()
two_similar = two_labels @ two_labels.T > 0

two_net = network(seed + 1)
two_history = learn(two_net, two_maps, two_words, two_similar, 60)
print("kinds:", *(data.label_names[kind] for kind in common))
print(f"adversarial active: {two_history[0, 2]:.2f} at first, {two_history[-1, 2]:.2f} in the end")

# %% [markdown]
# **Predict.** Now G takes its step. How large is its gradient at the margin that E and D were trained with? At a larger
# one?

# %%
for m in (bits / 8, bits / 2, 2.0 * bits, 4.0 * bits):
    found = two_net(two_maps, two_words)
    queries = found.image.detach(), found.text.detach()
    unattended = found.image_unattended, found.text_unattended
    adversarial = losses.adversarial_terms(*queries, *unattended, two_similar, m, **options)
    slopes = torch.autograd.grad(losses.total(adversarial), two_net.attention_parameters())
    size_of = sum(g.abs().sum().item() for g in slopes)
    state = "zero" if size_of == 0 else "above zero"
    print(f"margin {m:5.1f}: active {losses.active_share(adversarial):.2f}, gradient of G {state}")
    if losses.active_share(adversarial) == 0:
        assert size_of == 0

# %% [markdown]
# <details><summary>Answer</summary>
#
# Exactly zero: every hinge is the constant 0 nearby. We call this a **dead hinge**. A larger margin asks for a larger
# lead than D has reached, so triplets become active again. The library logs the share as `adversarial_active`, and
# warns when it is 0 for an epoch.
#
# </details>
#
# > **The note, the paper, the official code.**
# >
# > No code was published for ADAH. Where the note is silent or we depart from it, there is an option:
# >
# > - *The margin* $\varepsilon$. Not said. `margin`: half the code's bits in `lab`, an eighth in `paper`; both are our
# >   guesses.
# > - *Norm or squared.* The note has the norm, and so has `paper`. `distance`: `lab` squares, so that a large margin
# >   can be met.
# > - *Sum or mean.* The note sums, and so does `paper`. `reduction`: `lab` takes the mean, so that the rate does not
# >   depend on the batch.
# > - *All triplets or mined ones.* The formula sums over all. We take all of a batch; over the whole training set all
# >   codes would be needed at every step.
# > - *Whether $j = i$ counts.* Not said. `own`: it does, in both presets.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You listed the triplets with $S(i,j) > S(i,k)$ and computed their hinges. One whose lead is the margin or more is
#    not active, and has no gradient.
# 2. You summed the hinge over all triplets with a sort, a search and prefix sums, found the triple loop's value, and
#    saw that the gradient is a count.
# 3. You wrote the six terms out, and saw the gradient of G vanish when no adversarial triplet is active.
#
# **On a GPU.** The losses are the same there: `ck.ADAH(bits=32, preset="paper")` uses them with VGG-19, the norm and
# the sum.

# %%
with torch.no_grad():
    final = ck.codes.sign(net(maps, words).image.numpy())
nb.results(
    results_path,
    codes=final,
    losses=history[:, 0],
    equal_to_library=[loop_gap, row_gap, gradient_gap, terms_gap],
)
