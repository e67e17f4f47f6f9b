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
#     walks_through: representation and hashing layers, p_theta(x given q), f_phi and the constant true term, D(x given q)
#     widget: sampling viewer
#     minutes: 40
# ---

# %% [markdown]
# # 11 · UGACH: two models
#
# After this notebook you can
#
# 1. write UGACH's two layers, turn their output into a code, and say when the layers saturate;
# 2. compute the generator's distribution over a pool and draw from it;
# 3. compute the discriminator's score, and show why it learns from a triplet loss.
#
# Reading takes 40 minutes, running takes about 20 seconds. Lesson 10 built the graphs that say which items are related;
# here they are taken as given.
#
# | the note's symbol | in cmhkit | shape, range |
# | --- | --- | --- |
# | $\phi_c(x)$ | `net.representation`, then tanh | (n, hidden), −1 to 1 |
# | $h(x)$ | `net(x)`, a `model.HashNetwork` | (n, bits), 0 to 1 |
# | $b(x)$ | `model.binary_code(h)` | (n, bits), 0 or 1 |
# | $\theta$, $\phi$ | the weights of the generator `theta_model`, of the discriminator `phi_model` | – |
# | $p_\theta(x^U \mid q)$ | `losses.generator_log_probability`, its logarithm | (queries, pool) |
# | $x^M$, $x^G$ | the true item, the generated item | – |
# | $m$ | `margin` | a number |
# | $f_\phi(x^G, q)$ | `losses.relevance_score` | any, at least 0 |
# | $D(x \mid q)$ | `losses.discriminator_probability` | any, 0.5 to 1 |
#
# The note uses one letter twice: $\phi_c$ is a layer's output, $\phi$ as an index stands for the discriminator's
# weights.

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np
import torch

import cmhkit as ck
from cmhkit.course.lessons import lesson_11 as q
from cmhkit.course.lessons import notebook as nb
from cmhkit.ugach import losses, model

rng = nb.setup(seed, torch=True)
random = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## The method in one picture
#
# This lesson builds the lit part: two models of one shape. Follow the thick arrows. The **generator** (dashed) turns
# its codes into probabilities, and draws an item $x^G$. The **discriminator** (solid) scores that item against a
# related one, $x^M$, and its codes are those that retrieval uses. At two bars a gradient stops: nothing flows back
# through a draw. The pale loss is lesson 12's.

# %%
from cmhkit.course import diagrams

diagrams.method("ugach", lit="models")

# %% [markdown]
# ## What goes in
#
# A picture enters as lesson 10's vector of length 1, a text as its bag of words. We take the training pairs, and scale
# each text to length 1 as well.

# %%
from cmhkit.data.features import image_features

data = ck.data.load("scenes", size=size)
train = data.train
images = torch.from_numpy(image_features(data.images, "posterior", show_progress=False)[train.index])
words = torch.from_numpy(train.text_vectors)
texts = words / words.norm(dim=1, keepdim=True).clamp_min(1e-12)
print("pictures", tuple(images.shape), " texts", tuple(texts.shape))
print("lengths", f"{images.norm(dim=1).mean():.2f}", f"{texts.norm(dim=1).mean():.2f}")

# %% [markdown]
# ## Two layers
#
# Each modality has a network of two layers. The **representation layer** has the same number of units for both
# modalities; the **hashing layer** has one unit per bit:
#
# $$\phi_c(x) = \tanh(W_c x + b_c), \qquad h(x) = \operatorname{sigmoid}(W_h \phi_c(x) + b_h).$$
#
# The generator and the discriminator both look like this. They share no weights: four networks in all, two models times
# two modalities.
#
# Here is the picture network of one model, written out.

# %%
hidden = 256
net = model.HashNetwork(images.shape[1], hidden, bits, None, random)

with torch.no_grad():
    W_c, b_c = net.representation.weight, net.representation.bias
    W_h, b_h = net.hashing.weight, net.hashing.bias
    phi = torch.tanh(images @ W_c.T + b_c)
    h = torch.sigmoid(phi @ W_h.T + b_h)
    layers_gap = (h - net(images)).abs().max().item()

assert layers_gap < 1e-6
print("phi", tuple(phi.shape), " h", tuple(h.shape))
print("h of one picture:", *(f"{value:.2f}" for value in h[0, :8].tolist()), "…")

# %% [markdown]
# The lines above and `HashNetwork` give the same. Without training all values of $h$ are near one half.
#
# ## Exercise 1: the two layers
#
# Write the function. In: `x` (n, inputs), `W_c` (hidden, inputs), `b_c` (hidden,), `W_h` (bits, hidden), `b_h` (bits,),
# all tensors. Return $h(x)$, (n, bits).


# %%
def two_layers(x, W_c, b_c, W_h, b_h): ...


q.q1.check(two_layers)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# ## From $h$ to a code
#
# Retrieval needs bits. The note cuts at one half: $b = 1$ where $h \ge 0.5$, else 0. A step function has no useful
# gradient, so training works on $h$, the **relaxed code**, and the cut comes at the end. The signs $2b - 1$, −1 or +1,
# say the same as the bits.

# %%
with torch.no_grad():
    b = model.binary_code(h).int()
    from_bits = 2 * b - 1
    from_logits = ck.codes.sign(net.logits(images).numpy())

assert (from_bits.numpy() == from_logits).all()
print("h   ", *(f"{value:6.2f}" for value in h[0, :8].tolist()))
print("b   ", *(f"{value:6d}" for value in b[0, :8].tolist()))
print("sign", *(f"{value:+6d}" for value in from_bits[0, :8].tolist()))

# %% [markdown]
# The assertion shows a short cut. A sigmoid passes 0.5 where its input passes 0. So the sign of the hashing layer
# *before* its sigmoid is the code, and `encode` computes only that.
#
# ## Exercise 2: signs
#
# `h` is a tensor of relaxed codes, (n, bits), from 0 to 1. Return their signs, −1 or +1, of the same shape. Exactly 0.5
# becomes +1.


# %%
def signs(h): ...


q.q2.check(signs)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# **Predict.** All that follows is made of squared Euclidean distances between relaxed codes. What does that distance
# become once every $h$ is exactly 0 or 1?

# %%
sample = b[:200]
euclidean = losses.squared_distance(sample.float(), sample.float()).numpy()
packed = ck.codes.pack(from_bits[:200].numpy().astype(np.int8))
hamming_gap = np.abs(euclidean - ck.codes.hamming(packed, packed)).max()
assert hamming_gap == 0
print("largest difference between squared and Hamming distance:", int(hamming_gap))

# %% [markdown]
# <details><summary>Answer</summary>
#
# The Hamming distance. A bit that differs adds $(1 - 0)^2 = 1$ and a bit that agrees adds 0. So training works on
# $\left\lVert h(q) - h(x) \right\rVert^2$, a smooth version of the distance that retrieval sorts by.
#
# </details>
#
# ## Saturation
#
# tanh is flat far from 0. A unit with a large input is **saturated**: it has nearly no gradient, whatever the loss is.
# How large its input is depends on the network's inputs and on the weights. The paper and its code draw the weights
# from a truncated normal with standard deviation 0.1. That is small, but one unit adds up hundreds of inputs.
#
# We take SceneNet's scores before the softmax, and compare three ways to hand them over: raw; each column
# **standardised** (mean 0, deviation 1); each row scaled to length 1 (**L2**).

# %%
raw = torch.from_numpy(image_features(data.images, "scores", show_progress=False)[train.index[:400]])
inputs = {
    "raw": raw,
    "standardised": (raw - raw.mean(0)) / raw.std(0).clamp_min(1e-6),
    "L2": raw / raw.norm(dim=1, keepdim=True),
}
for name, x in inputs.items():
    print(f"{name:13s} mean length {x.norm(dim=1).mean():6.1f}")

# %% [markdown]
# **Predict.** With weights of deviation 0.1 the input of a tanh has a deviation of about 0.1 times the length of $x$.
# For which of the three do most units saturate? For which hardly any?


# %%
@torch.no_grad()
def saturated(x, hidden, std):
    """The share of tanh units beyond 0.99, and of sigmoid units within 0.01 of 0 or 1."""
    net = model.HashNetwork(x.shape[1], hidden, bits, std, torch.Generator().manual_seed(seed))
    phi, h = torch.tanh(net.representation(x)), net(x)
    return (phi.abs() > 0.99).float().mean().item(), ((h - 0.5).abs() > 0.49).float().mean().item()


paper_width = ck.UGACH.presets["paper"].hidden
print(f"{'inputs':13s} hidden   std     tanh  sigmoid")
for name, x in inputs.items():
    for width in (hidden, paper_width):
        for std in (0.1, None):
            tanh, sigmoid = saturated(x, width, std)
            drawn = "scaled" if std is None else std
            print(f"{name:13s} {width:6d}  {drawn:>6}  {tanh:5.2f}  {sigmoid:5.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The raw scores are the longest, and most of their units saturate. Standardised inputs are shorter, and about a quarter
# of the units saturate. L2 inputs are short enough for all.
#
# </details>
#
# Two more things to see in the table. The hashing layer adds up all hidden units, so with the paper's width it
# saturates too, where many units below it are near ±1. And `scaled`, our own start, divides the weights by the square
# root of the number of inputs. It helps, but with raw inputs half of the units still saturate.
#
# > Scaling the inputs is a **departure from the note**, which says nothing about it. In the library it is the option
# > `input_scaling`, and `docs/CHOICES.md` lists it.
#
# The figure shows the outputs of the tanh for the first start in the table, deviation 0.1.

# %%
import matplotlib.pyplot as plt

first = model.HashNetwork(raw.shape[1], hidden, bits, 0.1, torch.Generator().manual_seed(seed))
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for ax, (name, x) in zip(axes, inputs.items(), strict=True):
    with torch.no_grad():
        outputs = torch.tanh(first.representation(x)).flatten().numpy()
    ax.hist(outputs, bins=40, range=(-1, 1), density=True)
    ax.set(title=name, xlabel="output of tanh")
axes[0].set_ylabel("density")
nb.show(
    figure,
    alt="Three histograms of tanh outputs. Raw: two tall spikes at -1 and 1. "
    "Standardised: spread, rising at both ends. L2: one hump around 0.",
    caption="Raw inputs push most units to ±1, where they cannot learn; L2 inputs leave them around 0.",
)

# %% [markdown]
# ## Two models to look at
#
# An untrained model has all its codes alike, so we train two briefly: sixty steps of what lesson 12 calls pretraining,
# without any game. They get different seeds. The first is our **discriminator** ($\phi$), the second our **generator**
# ($\theta$).
# `values` gives the hashing layer before its sigmoid, so a sigmoid makes it $h$.


# %%
def briefly_trained(seed):
    hasher = ck.UGACH(bits=bits, seed=seed, rounds=0, pretrain_steps=60)
    return hasher.fit(data, show_progress=False)


def relaxed(hasher, **items):
    return torch.sigmoid(torch.from_numpy(hasher.values(**items)))


phi_model, theta_model = briefly_trained(seed), briefly_trained(seed + 1)
print(phi_model)
print(theta_model)

# %% [markdown]
# The queries are the first three texts. The generator will choose from a **pool** of sixty training pictures, whose
# first three are the queries' own.

# %%
queries, pool = np.arange(3), np.arange(60)
h_query = relaxed(theta_model, texts=train.text_vectors[queries])
h_pool = relaxed(theta_model, images=train.images[pool])
for i in queries:
    print(f"query {i}: {train.texts[i]}")
nb.gallery(
    [train.images[i] for i in pool[:7]],
    alts=[f"Scene {i}, tagged: {train.texts[i]}" for i in pool[:7]],
    captions=[f"item {i}" for i in pool[:7]],
    caption="The first seven pictures of the pool. Items 0 to 2 belong to the three queries.",
)

# %% [markdown]
# ## The generator's choice: $p_\theta(x \mid q)$
#
# The generator does not make pictures. It **chooses** one that exists, and near ones are likelier:
#
# $$p_\theta(x \mid q) = \frac{\exp(-\left\lVert h(q) - h(x) \right\rVert^2)}{\sum_{x'} \exp(-\left\lVert h(q) - h(x') \right\rVert^2)}.$$
#
# The sum runs over the pool. That is a softmax of the negative squared distances.

# %%
difference = h_query[:, None, :] - h_pool[None, :, :]
distance = (difference**2).sum(dim=2)
weight = torch.exp(-distance)
p = weight / weight.sum(dim=1, keepdim=True)

library = losses.generator_log_probability(h_query, h_pool)
probability_gap = (p - library.exp()).abs().max().item()
assert probability_gap < 1e-5
print("each row sums to", *(f"{total:.4f}" for total in p.sum(dim=1).tolist()))
print("most likely item for each query:", *p.argmax(dim=1).tolist())

# %% [markdown]
# The library returns the logarithm, which training needs.
#
# ## Exercise 3: the distribution
#
# Now with a temperature $T$, by which the squared distances are divided. The note has $T = 1$. In: `h_query`, one
# query, (bits,); `h_pool`, (pool, bits); `temperature`, a number. Return the probabilities, (pool,).


# %%
def p_theta(h_query, h_pool, temperature): ...


q.q3.check(p_theta)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# **Predict.** How does the distribution change when the temperature falls to 0.2, and when it rises to 5?
#
# To measure it we use $e^{H}$, with $H = -\sum_x p_\theta \log p_\theta$ the entropy: the number of items over which
# the choice is spread. It runs from 1 (always the same item) to 60 (an even choice).

# %%
figure, ax = plt.subplots(figsize=(7, 3.2))
for temperature in (0.2, 1.0, 5.0):
    log_p = losses.generator_log_probability(h_query, h_pool, temperature)
    spread = torch.exp(-(log_p.exp() * log_p).sum(dim=1)).mean()
    print(f"T = {temperature:3.1f}: spread over at most {int(spread.ceil())} of {len(pool)} items")
    ordered = log_p[0].exp().sort(descending=True).values.numpy()
    ax.plot(ordered, label=f"T = {temperature:g}", markevery=6)
ax.set(xlabel="items of the pool, likeliest first", ylabel="probability", yscale="log", ylim=(1e-4, 1))
ax.legend()
nb.show(
    figure,
    alt="Three falling curves of probability over sixty items, on a logarithmic "
    "axis: steepest for temperature 0.2, gentler for 1, flattest for 5.",
    caption="The first query. A low temperature puts the probability on few items, a high one spreads it.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Low: the nearest item takes nearly all of the probability. High: the probabilities come closer to each other.
#
# </details>
#
# ## Sampling
#
# A generated item is a draw from $p_\theta$. We draw **with replacement**: an item may come twice, and every draw has
# the same distribution. We take the first query at temperature 5, where many items can come.
#
# **Predict.** The share of draws in which an item comes is near its probability, with a gap. How much smaller is the
# gap with 100 times as many draws?
#
# The probabilities come from a short training, whose rounding differs from processor to processor. So which items come,
# and with them the last digits below, depend on the machine.

# %% tags=["nbval-ignore-output"]
chances = losses.generator_log_probability(h_query, h_pool, 5.0)[0].exp()
for count in (100, 10_000, 1_000_000):
    drawn = torch.multinomial(chances, count, replacement=True, generator=random)
    frequency = torch.bincount(drawn, minlength=len(pool)) / count
    strays = (chances * (1 - chances) / count).sqrt()
    gap = (frequency - chances).abs()
    print(f"{count:9,d} draws: mean gap {gap.mean():.5f}, expected {0.8 * strays.mean():.5f}")
assert (gap < 6 * strays).all()

# %% [markdown]
# <details><summary>Answer</summary>
#
# About ten times: the standard deviation of a frequency over $N$ draws is $\sqrt{p (1 - p) / N}$. The expected gap in
# the table is 0.8 times that, since the mean size of a normal deviation is 0.8 times its standard deviation.
#
# </details>

# %%
figure, ax = plt.subplots(figsize=(7, 3.2))
drawn = torch.multinomial(chances, 300, replacement=True, generator=random)
few = torch.bincount(drawn, minlength=len(pool)) / 300
order = chances.argsort(descending=True)
ax.bar(np.arange(len(pool)), few[order].numpy(), color="#56B4E9", label="frequency in 300 draws")
ax.plot(chances[order].numpy(), color="#000000", markevery=6, label="probability")
ax.set(xlabel="items of the pool, likeliest first", ylabel="share")
ax.legend()
nb.show(
    figure,
    alt="Bars of frequencies around a falling line of probabilities; the bars jump above and below the line.",
    caption=(
        "300 draws follow the distribution, with noise. The generator learns from draws, so its gradient is noisy too."
    ),
)

# %% [markdown]
# ## The discriminator's score: $f_\phi$
#
# The discriminator looks at a query $q$, an item $x^G$ that was generated for it, and an item $x^M$ that the graph
# relates to it:
#
# $$f_\phi(x^G, q) = \max\big(0,\; m + \left\lVert h(q) - h(x^M) \right\rVert^2 - \left\lVert h(q) - h(x^G) \right\rVert^2\big),$$
#
# $$D(x^G \mid q) = \operatorname{sigmoid}(f_\phi(x^G, q)).$$
#
# These $h$ are the discriminator's own. The nearer the generated item is to the query, the larger is $f$. It is 0 when
# $x^G$ is farther from the query than $x^M$ by $m$ or more. Below, $x^M$ is each text's own picture, and every item of
# the pool takes the place of $x^G$ in turn.

# %%
margin = 1.0
g_query = relaxed(phi_model, texts=train.text_vectors[queries])
g_pool = relaxed(phi_model, images=train.images[pool])

to_items = losses.squared_distance(g_query, g_pool)
to_true = to_items[queries, queries][:, None]  # query i's own picture is item i of the pool
f = torch.clamp(margin + to_true - to_items, min=0)
D = 1 / (1 + torch.exp(-f))

assert torch.equal(f, losses.relevance_score(to_true, to_items, margin))
d_gap = (D - losses.discriminator_probability(f)).abs().max().item()
assert d_gap < 1e-6
print(f"over the pool, the smallest f is {f.min():.2f} and the smallest D is {D.min():.2f}")

# %% [markdown]
# $D$ does not go below one half, since $f$ does not go below 0. How high both go, and for how many items $f$ is 0,
# comes from the short training, and the last digits depend on the machine:

# %% tags=["nbval-ignore-output"]
zero = (f == 0).float().mean()
print(f"f over the pool: up to {f.max():.2f}, and 0 for {zero:.0%} of the items")
print(f"D over the pool: up to {D.max():.2f}")

# %% [markdown]
# Few items of the pool come near enough to the query for an $f$ above 0.
#
# ## Exercise 4: the score
#
# `d_true` and `d_generated` are tensors of the same shape: the squared distances from the query to $x^M$ and to $x^G$.
# `margin` is a number. Return $f$, of the same shape.


# %%
def score(d_true, d_generated, margin): ...


q.q4.check(score)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# $f$ and $D$ for two margins, as the generated item moves away from the query:

# %%
apart = torch.linspace(-2, 4, 121)
figure, ax = plt.subplots(figsize=(7, 3.2))
for m in (1.0, 2.0):
    curve = losses.relevance_score(torch.zeros(1), apart, m)
    ax.plot(apart, curve, label=f"f, m = {m:g}", markevery=20)
    ax.plot(apart, losses.discriminator_probability(curve), label=f"D, m = {m:g}", markevery=20)
ax.axhline(0.5, color="#888888", linewidth=1, linestyle=":")
ax.set(xlabel="distance to the generated item minus distance to the true one (squared)", ylabel="value")
ax.legend(ncols=2)
nb.show(
    figure,
    alt="f falls in a straight line and stays 0 from the margin on. D "
    "falls in a curve and stays at 0.5 from the margin on.",
    caption="Right of the margin f is 0 and D is 0.5: the items are told apart, and no slope is left.",
)

# %% [markdown]
# ## The true term
#
# The value of the game, which the discriminator is to maximise, has two terms: $\log D(x^M \mid q)$ for true items and
# $\log(1 - D(x^G \mid q))$ for generated ones. The first has $f_\phi(x^M, q)$ inside.
#
# **Predict.** Put $x^M$ in the place of $x^G$ in $f$. What is left, and what is its gradient?
#
# We compute both terms for a small network; the "generated" item of each text is the picture before its own.

# %%
toy = model.CrossModalNetwork(images.shape[1], texts.shape[1], 32, bits, 0.5, random)
h_images, h_texts = toy(images[:40], texts[:40])
d_true = (h_texts - h_images).square().sum(1)
d_generated = (h_texts - h_images.roll(1, dims=0)).square().sum(1)

f_true = losses.relevance_score(d_true, d_true, margin)
f_generated = losses.relevance_score(d_true, d_generated, margin)
terms = {"true": torch.log(torch.sigmoid(f_true)), "generated": torch.log(1 - torch.sigmoid(f_generated))}
for name, term in terms.items():
    gradients = torch.autograd.grad(term.mean(), list(toy.parameters()), retain_graph=True)
    total = sum(g.abs().sum().item() for g in gradients)
    print(f"{name:9s} term {term.mean().item():7.4f}   sum of |gradient| over all weights {total:.3f}")
    if name == "true":
        assert total == 0 and torch.allclose(f_true, torch.tensor(margin))

# %% [markdown]
# <details><summary>Answer</summary>
#
# The distances cancel: $f_\phi(x^M, q) = \max(0, m) = m$. Its gradient is zero for every weight, not small but zero.
#
# </details>
#
# So the true term is a number that no weight can change. What the discriminator learns about true pairs comes through
# the *other* term, where $x^M$ stands inside $f_\phi(x^G, q)$.
#
# ## What is left is a triplet loss
#
# To maximise $\log(1 - \operatorname{sigmoid}(f))$ means to make $f$ small, and $f$ is a hinge over a query, a true and
# a generated item: the triplet loss. torch has it, so we compare.

# %%
hinge = losses.discriminator_loss(d_true, d_generated, margin)
triplet = torch.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).square().sum(1), margin=margin)
by_torch = triplet(h_texts, h_images, h_images.roll(1, dims=0))
triplet_gap = (hinge - by_torch).abs().item()
assert triplet_gap < 1e-5
print(f"discriminator_loss {hinge.item():.4f}   torch's triplet loss {by_torch.item():.4f}")

# %% [markdown]
# The hinge leaves a factor out. The slope of $-\log(1 - \operatorname{sigmoid}(f))$ with respect to $f$ is
# $\operatorname{sigmoid}(f) = D$; the slope of the hinge is 1. So for each triplet the direction is the same, and the
# step differs by a factor between one half and one. Checked on a few values:

# %%
values = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0], requires_grad=True)
(slope,) = torch.autograd.grad(-torch.log(1 - torch.sigmoid(values)).sum(), values)
slope_gap = (slope - losses.discriminator_probability(values)).abs().max().item()
assert slope_gap < 1e-5
for name, row in (("f", values), ("slope", slope), ("D", losses.discriminator_probability(values))):
    print(f"{name:5s}", *(f"{value:.2f}" for value in row.tolist()))

# %% [markdown]
# ## The two models, side by side
#
# The viewer joins both models. The generator gives the probabilities (the bars, full for the likeliest item) and draws
# items; the discriminator pays a reward for each draw, which grows with $f$. Change the query, the temperature, the
# size of the pool. Look for pictures that are likely *and* well paid: the generator is to find those.
#
# The ✓ and ✗ come from labels, for the reader only: neither model has seen a label.

# %% tags=["nbval-ignore-output"]
from cmhkit.course import widgets

viewer = widgets.SamplingViewer(
    h_query.numpy(),
    h_pool.numpy(),
    f.numpy(),
    pictures=train.images[pool],
    captions=[train.texts[i] for i in pool],
    queries=[train.texts[i] for i in queries],
    relevant=ck.graphs.label_similarity(train.labels[queries], train.labels[pool]),
    seed=seed,
)
viewer

# %% [markdown]
# The same without moving parts, at a low and a high temperature, with the four likeliest pictures each. At the low one
# few pictures take nearly all draws.

# %% tags=["nbval-ignore-output"]
still = widgets.SamplingViewer(
    h_query.numpy(), h_pool.numpy(), f.numpy(), pictures=train.images[pool], draws=6, seed=seed, top=4
)
still.small_multiples({"temperature": 0.2}, {"temperature": 5.0})

# %% [markdown]
# ## Where the sources differ
#
# The note leaves some choices open, and the official code makes some differently. Each choice is an option in the
# library, and a preset is a set of them:

# %%
names = ["hidden", "init_std", "input_scaling", "margin", "temperature", "pool"]
names += ["draws", "reward", "log_p"]
presets = ck.UGACH.presets
print(f"{'':14s}" + "".join(f"{name:>12s}" for name in presets))
for name in names:
    print(f"{name:14s}" + "".join(f"{getattr(config, name)!s:>12s}" for config in presets.values()))

# %% [markdown]
# > **The note, the paper, the official code.**
# >
# > - *Pool.* The note's sum runs over all items $x^U$. The official code draws a random fiftieth of the other
# >   modality's training items: 300 of 15,000.
# > - *Draws.* The note says nothing of their number. The official code draws two items a query, with replacement.
# > - *Margin.* The note has $m = 1$. The official code has $K/8$, so it grows with the code.
# > - *Reward.* From the note's value function follows $\log(1 + e^f)$, as lesson 12 derives. The official code pays
# >   $\operatorname{sigmoid}(f)$, which is $D$.
# > - *Inputs.* The official code takes them raw.
# > - *True term.* The note writes it. The official code leaves it out: its discriminator minimises the triplet hinge.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You wrote the two layers, tanh then sigmoid, and cut $h$ at one half. Between codes of 0 and 1 the squared distance
#    *is* the Hamming distance. Long inputs saturate the layers; inputs of length 1 do not.
# 2. You computed $p_\theta(x \mid q)$, a softmax of negative squared distances over a pool. You saw what temperature
#    does, and that frequencies of draws come near the probabilities.
# 3. You computed $f_\phi$ and $D$. The true term is a constant, and the other is in effect the triplet loss.
#
# Lesson 12 lets the two models play against each other.
#
# **On a GPU.** `ck.UGACH(bits=32, preset="paper")` makes the networks of the paper, with 8192 hidden units. The code
# above stays as it is; a CPU only takes longer.

# %%
nb.results(
    results_path,
    codes=from_logits,
    equal_to_library=[layers_gap, float(hamming_gap), probability_gap, d_gap, triplet_gap, slope_gap],
)
