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
#     walks_through: ImgNet and TxtNet under LabNet, multi-scale fusion, J1 to J4 against a bank, the shared B, the sign of eta, ablations
#     widget: "code watcher, three networks"
#     minutes: 45
# ---

# %% [markdown]
# # 31 · SSAH: supervision by LabNet
#
# After this notebook you can
#
# 1. say how LabNet supervises two networks that it never meets, and write their four terms and their steps out;
# 2. write the multi-scale fusion of texts out, and say which of its pools are dead before training starts;
# 3. prove that the sign of the sum is the best shared code, and judge by short runs what each choice is worth.
#
# Reading takes 45 minutes, running takes about half a minute. Lesson 30 trains LabNet; lesson 32 adds the
# discriminators.
#
# | the note's symbol | in cmhkit | shape, range |
# | --- | --- | --- |
# | $F^v, F^t, F^l$ | `features(images=…)`, `(texts=…)`, `(labels=…)` | (n, s), at least 0 |
# | $H^v, H^t, H^l$ | tanh of `values(…)` | (n, bits), −1 to 1 |
# | $\hat L$ | `label_scores(…)` | (n, c), 0 to 1 |
# | $B = \operatorname{sign}(H^v + H^t + H^l)$ | `losses.shared_code`, `shared_code_` | (n, bits), ±1 |
# | $\mathcal{J}_1 \dots \mathcal{J}_4$ | `losses.feature_likelihood`, `code_likelihood`, `quantisation_loss`, `label_loss` | numbers |
# | $\alpha, \gamma, \eta, \beta$ | options `alpha`, `gamma`, `eta`, `beta` | numbers |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np
import torch

import cmhkit as ck
from cmhkit.course.lessons import lesson_31 as q
from cmhkit.course.lessons import notebook as nb
from cmhkit.ssah import losses, model

rng = nb.setup(seed, torch=True)
# Options of the long runs below. The preset has batches of 128 and more epochs; `tiny` has few pairs, so it gets more
# epochs too.
common = {"epochs": 12 if size == "tiny" else 5, "batch": 64, "adversarial": "none", "pools": ()}

# %% [markdown]
# ## The method in one picture
#
# Three networks stand side by side, and no arrow leads from one to another. They meet in the box below: ImgNet and
# TxtNet are compared with what LabNet said last, and two bars stop the gradient, so the teacher is not pulled towards
# its pupils. The shared code $B$ is a constant too. What is pale comes in lesson 32.

# %%
from cmhkit.course import diagrams

diagrams.method("ssah", lit="supervision")

# %% [markdown]
# ## Three networks that never meet
#
# LabNet reads an item's labels, ImgNet its picture, TxtNet its words. Each ends in the same three things: semantic
# features $F$, a relaxed code $H$, and a guess of the labels $\hat L$. No network reads another's input. What they
# share is a *space*: features of one width, codes of one length.
#
# We build all three from the library's modules, in the library's order, since every draw comes from one generator. We
# begin with 128 training pairs, one batch. The runs further down have 1,250 of the 2,500, to be quick.

# %%
from cmhkit.data.features import image_features

data = ck.data.load("scenes", size=size)
image_features(data.images, "posterior", show_progress=False)  # SceneNet looks at every picture once, here
train = data.take(data.train.index[:1250])
few = data.take(train.index[:128])
inputs = {
    "label": torch.from_numpy(few.labels.astype(np.float32)),
    "image": torch.from_numpy(image_features(few.images, "posterior", show_progress=False)),
    "text": torch.from_numpy(few.text_vectors),
}
small = {
    "adversarial": "none",
    "pools": (5, 10, 15, 30, 50),
    "text_hidden": 128,
}  # a TxtNet of fewer units, to be quick
config = ck.SSAH(bits=bits, **small).config


# %%
def networks(random):
    """LabNet, ImgNet and TxtNet, untrained."""
    c, words = config, inputs["text"].shape[1]
    fusion = model.MultiScaleFusion(words, c.pools, c.pool_scale, random)
    ends = (c.width, bits, inputs["label"].shape[1])
    same = {"normalise": c.local_response_norm, "generator": random}
    return {
        "label": model.SemanticNetwork(ends[2], c.label_hidden, *ends, dropout=0.0, **same),
        "image": model.SemanticNetwork(inputs["image"].shape[1], c.image_hidden, *ends, dropout=c.dropout, **same),
        "text": model.SemanticNetwork(fusion.width, c.text_hidden, *ends, dropout=c.dropout, front=fusion, **same),
    }


# %%
random = torch.Generator().manual_seed(seed)
nets = networks(random)
for name, net in nets.items():
    found = net.eval()(inputs[name])
    shapes = [tuple(part.shape) for part in (found.features, found.codes, found.labels)]
    print(
        f"{name:6s} reads {inputs[name].shape[1]:4d} numbers   F {shapes[0]}   H {shapes[1]}   guessed labels "
        f"{shapes[2]}"
    )

# %% [markdown]
# ## Multi-scale fusion
#
# A bag of words is sparse: a few ones among many zeros. TxtNet's first part sets beside it **averages over neighbouring
# places**, at several scales. For each window length $p$ it does four things:
#
# 1. average each window of $p$ places, one window after the other (the last one may be shorter);
# 2. multiply by one learned scalar $w_p$;
# 3. ReLU;
# 4. resize back to the length of the text, by linear interpolation.
#
# ### Exercise 1: up to the resize
#
# `x` is a bag of words, a float array of shape (T,); `p` is a window's length, `w` its scalar. Return the result of
# steps 1 to 3, an array with one entry for each window.


# %%
def pooled(x, p, w): ...


q.q1.check(pooled)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# Here are all four steps for one text. The resize puts each average at the centre of its window and draws straight
# lines between the centres; beyond the first and the last centre it stays level.

# %%
x = inputs["text"][0].numpy().astype(float)
scales = nets["text"].front.scales().detach().numpy()
channels = [x]
for p, w in zip(config.pools, scales, strict=True):
    averages = np.array([x[start : start + p].mean() for start in range(0, len(x), p)])
    short = np.maximum(0, w * averages)
    places = (np.arange(len(x)) + 0.5) * len(short) / len(x) - 0.5  # where each word lies among the windows
    channels.append(np.interp(places, np.arange(len(short)), short))

theirs = nets["text"].front(inputs["text"][:1]).detach().numpy()
fusion_gap = float(np.abs(np.concatenate(channels) - theirs[0]).max())
assert fusion_gap < 1e-5
print(f"{int(x.sum())} words in {len(x)} places; {len(channels)} channels, equal to the library's {theirs.shape}")

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(8, 2.6))
first = np.stack(channels)[:, :200]
ax.imshow(first / first.max(1, keepdims=True).clip(1e-9), aspect="auto", interpolation="nearest")
ax.set_yticks(range(len(channels)), ["words", *(f"p = {p}" for p in config.pools)])
ax.set_xlabel("place in the vocabulary")
nb.show(
    figure,
    alt=(
        "Six rows over the first 200 places of the vocabulary. The top row has thin bright stripes, one for each "
        "word; each row below is smoother."
    ),
    caption=(
        "One text at six scales, each row divided by its largest value; bright is high. The longer the window, the "
        "less is left of single words."
    ),
)

# %% [markdown]
# **Predict.** The places of our vocabulary are sorted by how many texts hold the word. What can an average over
# neighbouring places tell?

# %%
words = data.vocabulary.words
for start in (0, 5, 100):
    print(f"places {start} to {start + 4}: {', '.join(words[start : start + 5])}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Neighbours are about equally common, and need have nothing else in common. So in this order the averages tell how many
# common and how many rare words a text has. The fusion suits pictures, where neighbours belong together. Below, a run
# with it and one without show what it is worth here.
#
# </details>
#
# ## The dead scalar
#
# The official code draws each $w_p$ from a normal distribution around 0. A bag of words is at least 0, so are its
# averages, and then comes a ReLU. Here are the outputs and gradients of three scalars.

# %%
for w in (0.5, 0.0, -0.5):
    scalar = torch.tensor(w, requires_grad=True)
    channel = torch.relu(scalar * torch.tensor([0.2, 0.0, 0.6]))
    (slope,) = torch.autograd.grad(channel.sum(), scalar)
    print(f"w = {w:+.1f}: output {[round(abs(v), 2) for v in channel.tolist()]}, gradient {slope:.2f}")

# %% [markdown]
# ### Exercise 2: who is dead?
#
# `scalars` is a float array of shape (pools,). Return booleans of the same shape: True where the pool gives only zeros
# and gets no gradient.


# %%
def dead(scalars): ...


q.q2.check(dead)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# **Predict.** There are five scalars. How likely is it that at least one of them is dead at the start?

# %%
draws = torch.randn(100_000, len(config.pools), generator=torch.Generator().manual_seed(seed)).numpy()
count = (draws <= 0).sum(axis=1)
print(
    f"at least one dead: {(count > 0).mean():.2f}; all dead: {(count == len(config.pools)).mean():.2f}; on average "
    f"{count.mean():.1f}"
)

as_published = model.MultiScaleFusion(len(words), config.pools, "relu", torch.Generator().manual_seed(seed))
as_published(inputs["text"]).square().sum().backward()
no_gradient = (as_published.raw.grad == 0).numpy()
assert (no_gradient == (as_published.raw.detach().numpy() <= 0)).all()
print("drawn:", [round(v, 2) for v in as_published.raw.tolist()], " no gradient:", no_gradient.tolist())

# %% [markdown]
# <details><summary>Answer</summary>
#
# One minus one half to the fifth power: .97. In the library the scalar is, by default, the **softplus** of a free
# number, so that it is above 0 and cannot die; `pool_scale="relu"` is the published way.
#
# </details>
#
# ## Cross terms: a batch against the bank
#
# In LabNet's $\mathcal{J}_1$ and $\mathcal{J}_2$ both sides are its own. In ImgNet's and TxtNet's loss **one side is
# LabNet's**:
#
# $$\mathcal{J}_2 = -\sum_{i,j} \big(S_{ij}\,\Gamma_{ij} - \log(1 + e^{\Gamma_{ij}})\big), \qquad \Gamma_{ij} = \tfrac12\, (H^*_i)^\top H^l_j, \qquad * = v, t.$$
#
# The sum goes over all pairs of training items. LabNet's rows lie in the bank of lesson 30, and while ImgNet or TxtNet
# learns, the bank stands still. So a batch against the bank is exactly the batch's share of the whole sum.
#
# ### Exercise 3: the gradient of one side
#
# `h` holds a batch's codes, shape (n, bits); `bank` LabNet's, (m, bits); `similar` is S, (n, m). Return the gradient of
# $\mathcal{J}_2$ with respect to `h`, shape (n, bits).


# %%
def batch_gradient(h, bank, similar): ...


q.q3.check(batch_gradient)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# We check the share of the sum on the labels of a thousand training items, with codes drawn at random: first as one
# matrix of pairs, written out; then the library, batch after batch against the bank.

# %%
from cmhkit.nn.pairwise import LabelSimilarity

labels = torch.from_numpy(train.labels[:1000].astype(np.float64))
n = len(labels)
h, bank = (torch.from_numpy(rng.uniform(-1, 1, (n, bits))) for _ in range(2))
similar = (labels @ labels.T > 0).double()
gamma = h @ bank.T / 2
by_hand = (torch.log1p(gamma.exp()) - similar * gamma).sum()
gradient = (gamma.sigmoid() - similar) @ bank / 2
print(f"{n} × {n} = {n * n:,d} pairs in one matrix")

# %%
total, rows = 0.0, torch.zeros_like(h)
for items in torch.arange(n).split(128):
    part = h[items].clone().requires_grad_()
    loss = losses.code_likelihood(part, bank, LabelSimilarity(labels[items], labels))
    (rows[items],) = torch.autograd.grad(loss, part)
    total += loss.item()
cross_gap = max(abs(total / by_hand.item() - 1), (rows - gradient).abs().max().item())
assert cross_gap < 1e-9
print(f"sum over batches / sum over the matrix = {total / by_hand.item():.6f}")

# %% [markdown]
# **Predict.** One matrix of pairs of 32-bit numbers: how large is it for the paper's 10,000 training pairs? Autograd
# keeps several.

# %%
print("pairs of items     one matrix   a batch of 128 against the bank")
for many in (2_500, 10_000, 100_000):
    print(f"{many:7,d} squared {4 * many**2 / 1e6:10,.0f} MB {4 * 128 * many / 1e6:10,.1f} MB")

# %% [markdown]
# <details><summary>Answer</summary>
#
# 400 MB. A batch against the bank needs 128 of its rows.
#
# </details>
#
# ### When both sides move
#
# When LabNet's batch meets a bank of its own codes that stands still, only one side of each pair is pulled.
#
# **Predict.** With both sides moving, how does the gradient of the whole sum compare with that?

# %%
both = h.clone().requires_grad_()
(whole,) = torch.autograd.grad(losses.code_likelihood(both, both, similar), both)
(one_side,) = torch.autograd.grad(losses.code_likelihood(both, h, similar), both)
two = (whole / one_side).median().item()
assert torch.allclose(whole, 2 * one_side)
print(f"both sides / one side: {two:.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is twice as long, everywhere: $S$ and $\Gamma$ are symmetric, so each pair is met from either end. The direction is
# the same, hence a bank serves LabNet too; its rows are renewed whenever a batch has been seen.
#
# </details>
#
# ## The shared code
#
# $\mathcal{J}_3 = \lVert H - B \rVert^2$ pulls relaxed codes to binary ones. In SSAH the three networks are pulled to
# **one** $B$. Which one? The sum of the three terms is smallest at
#
# $$B = \operatorname{sign}(H^v + H^t + H^l).$$
#
# ### Exercise 4: the vote
#
# `label`, `image` and `text` are the three relaxed codes, each of shape (n, bits). Return this B, of the same shape,
# with +1 where the sum is 0.


# %%
def best_code(label, image, text): ...


q.q4.check(best_code)
# q.q4.hint()
# q.q4.solution()

# %% [markdown]
# A proof by trying all: with six bits there are 64 codes. For each of 500 items we compute the sum of the three
# $\mathcal{J}_3$ for every one of them.

# %%
from itertools import product

every = torch.tensor(list(product((-1.0, 1.0), repeat=6)), dtype=torch.float64)  # (64, 6)
three = torch.from_numpy(rng.uniform(-1, 1, (3, 500, 6)))
cost = ((three[:, :, None, :] - every) ** 2).sum(dim=(0, 3))  # (500, 64)
best = every[cost.argmin(dim=1)]
shared = losses.shared_code(*three)
assert (best == shared).all()

majority = torch.where(torch.sign(three).sum(0) >= 0, 1.0, -1.0).double()
differs = (majority != shared).double().mean().item()
print(f"best of 64 codes = sign of the sum, for all {len(best)} items")
print(f"bits in which the majority of signs says otherwise: {differs:.2f}")

# %% [markdown]
# It is a vote with weights: one network that is sure beats two that are not. For the widget below we need what chance
# gives: how often does a network agree with the outcome if all three toss coins?

# %%
coins = torch.from_numpy(rng.choice([-1.0, 1.0], (3, 20_000, 1)))
outcome = losses.shared_code(*coins)
print(
    f"one network with B: {(coins[0] == outcome).double().mean():.2f}; all three with B: "
    f"{(coins == outcome).all(0).double().mean():.2f}"
)

# %% [markdown]
# ## One step of each network
#
# Now the four terms together, with means and weights of pairs as in lesson 30. First the banks: LabNet's features and
# codes, and everybody's codes for the vote.

# %%
label = inputs["label"]
share = (label @ label.T > 0).float().mean().item()
pairs = {"reduction": "mean", "weights": (0.5 / share, 0.5 / (1 - share))}
with torch.no_grad():
    start = nets["label"].eval()(label)
taught = start.features.clone()  # LabNet's features: the bank of J1
codes = {"label": start.codes.clone(), "image": torch.zeros(len(few), bits), "text": torch.zeros(len(few), bits)}
print(
    f"share of similar pairs {share:.2f}: a similar pair counts {pairs['weights'][0]:.1f}, a dissimilar one "
    f"{pairs['weights'][1]:.1f}"
)


# %%
def four_terms(items, found):
    """J1 to J4 of a network's outputs for a batch."""
    S = LabelSimilarity(label[items], label)
    B = losses.shared_code(*(bank[items] for bank in codes.values()))
    j1 = losses.feature_likelihood(found.features, taught, S, **pairs)
    j2 = losses.code_likelihood(found.codes, codes["label"], S, **pairs)
    j3 = losses.quantisation_loss(found.codes, B, reduction="mean")
    j4 = losses.label_loss(found.labels, label[items], reduction="mean")
    return j1, j2, j3, j4


def keep(name, items, found):
    """Renew a network's rows of the banks: numbers, without a gradient."""
    codes[name][items] = found.codes.detach()
    if name == "label":
        taught[items] = found.features.detach()


# %% [markdown]
# Written out for ImgNet, before anything has learned, and equal to the library's terms:

# %%
items = torch.arange(len(few))
with torch.no_grad():
    found = nets["image"].eval()(inputs["image"])
    S = (label @ label.T > 0).float()
    weight = torch.where(S > 0, *(torch.tensor(w) for w in pairs["weights"]))
    theta = [a @ b.T / 2 for a, b in ((found.features, taught), (found.codes, codes["label"]))]
    by_hand = [(weight * (torch.log1p(torch.exp(-t.abs())) + t.clamp(min=0) - S * t)).mean().item() for t in theta]
    B = torch.where(sum(codes.values()) >= 0, 1.0, -1.0)
    by_hand += [((found.codes - B) ** 2).mean().item(), ((found.labels - label) ** 2).mean().item()]
    terms_gap = max(abs(ours - theirs.item()) for ours, theirs in zip(by_hand, four_terms(items, found), strict=True))
assert terms_gap < 1e-5
print(*(f"J{k} {value:.3f}" for k, value in enumerate(by_hand, 1)), sep="   ")

# %% [markdown]
# ### Who moves in which step
#
# An epoch has stages: LabNet, several passes; then ImgNet; then TxtNet. **Predict.** ImgNet's loss holds LabNet's
# features and codes, and a $B$ in which all three voted. Whose weights change in its stage?


# %%
def stage(name):
    """One pass of one network over the pairs."""
    c, net = config, nets[name].train()
    optimiser = torch.optim.Adam(net.parameters(), lr=getattr(c, f"lr_{name}"))
    for _ in range(c.label_passes if name == "label" else 1):
        items = torch.randperm(len(few), generator=random)  # 128 pairs are one batch
        found = net(inputs[name][items])
        keep(name, items, found)
        j1, j2, j3, j4 = four_terms(items, found)
        optimiser.zero_grad()
        (c.alpha * j1 + c.gamma * j2 + c.eta * j3 + c.beta * j4).backward()
        optimiser.step()


def weights():
    return {
        f"{name}.{part}": value.detach().clone() for name, net in nets.items() for part, value in net.named_parameters()
    }


# %%
now = weights()
for name in nets:
    before = now
    stage(name)
    now = weights()
    moved = [part for part in now if not torch.equal(before[part], now[part])]
    assert {part.split(".")[0] for part in moved} == {name}
    print(f"stage of {name:5s}: {len(moved)} of {len(now)} parts change, all of {name}")

one = ck.SSAH(bits=bits, seed=seed, epochs=1, device="cpu", **small).fit(few, show_progress=False)
theirs = dict(one.network_.named_parameters())
library_gap = max((now[part] - theirs[part].detach()).abs().max().item() for part in theirs)
assert set(theirs) == set(now) and library_gap < 1e-5
print(f"{len(theirs)} parameters after one epoch: the library's")

# %% [markdown]
# <details><summary>Answer</summary>
#
# ImgNet's, and nobody else's. LabNet's part of the loss is a bank of numbers, and so is $B$. LabNet leads; the others
# follow. Only through $B$ do they have a say: in LabNet's *next* stage $\mathcal{J}_3$ pulls it towards the vote.
#
# </details>
#
# ## Training
#
# Now the 1,250 training pairs. `fit` calls us back after each epoch, and we keep three networks' codes of the same 40
# pairs. Options leave out the discriminators, which are lesson 32's, and the fusion, which takes time (one run below
# has it).

# %%
watched = data.take(train.index[:40])
score, history, agreement = {}, {}, {}


def three_codes(hasher, pairs):
    """H of LabNet, ImgNet and TxtNet, (3, n, bits)."""
    values = hasher.values(labels=pairs), hasher.values(images=pairs), hasher.values(texts=pairs)
    return np.tanh(np.stack(values))


# %%
import warnings


def run(name, callback=None, **options):
    """Fit on the training pairs and evaluate the last epoch. Keeps MAP, different codes found, and the history."""
    hasher = ck.SSAH(bits=bits, seed=seed, **{**common, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ck.codes.CollapseWarning)  # the table below has the number of different codes
        hasher.fit(train, callback=callback, show_progress=False)
        report = hasher.evaluate(data)
    score[name] = (report.map_i2t, report.map_t2i, report.image_codes.distinct, report.text_codes.distinct)
    history[name] = hasher.history_
    if hasher.network_.label is not None:
        h = three_codes(hasher, watched)
        agreement[name] = (np.sign(h) == np.sign(h.sum(axis=0))).all(axis=0).mean()
    return hasher


# %%
by_epoch = []
ssah = run("shared B", callback=lambda row, hasher: by_epoch.append(three_codes(hasher, watched)))
by_epoch = np.stack(by_epoch)
print("codes: (epochs, networks, pairs, bits) =", by_epoch.shape)

# %% tags=["nbval-ignore-output"]
rows = history["shared B"]
print("epoch" + "".join(f"  {name} J1   J2   J3   J4 " for name in ("LabNet", "ImgNet", "TxtNet")))
for row in rows:
    print(
        f"{row['epoch']:5d}"
        + "".join("   " + " ".join(f"{row[f'{part}_j{k}']:5.2f}" for k in (1, 2, 3, 4)) for part in nets)
    )

# %% [markdown]
# LabNet's $\mathcal{J}_2$ falls first: labels are easy to read. The other two follow its codes. $\mathcal{J}_3$, the
# distance to the vote, is lower in the end than at first for each.
#
# ### Watch them come to one code
#
# Play, or step by hand. Each panel has the same pairs; a cross marks a bit that is not $B$'s. Choose an item to see its
# vote bit by bit: $H^l$, $H^v$, $H^t$, their sum, and its sign.

# %% tags=["nbval-ignore-output"]
from cmhkit.course import widgets

watcher = widgets.NetworkCodeWatcher(
    *np.moveaxis(by_epoch, 1, 0), captions=watched.texts, epochs=[row["epoch"] for row in rows]
)
watcher

# %% [markdown]
# The first epoch as a still picture, to compare with the last above. ImgNet and TxtNet give nearly all items the same
# bit in many columns: the dark and pale stripes. LabNet already tells items apart, and is outvoted by the stripes.

# %% tags=["nbval-ignore-output"]
watcher.small_multiples({"epoch": 0})

# %% [markdown]
# The library keeps its own $B$ of all training pairs, `shared_code_`. It is the vote of the codes as each was *last
# seen in training*, with dropout on, so a few bits differ from the vote above.

# %% tags=["nbval-ignore-output"]
mine = ck.codes.sign(by_epoch[-1].sum(axis=0))
kept = ck.codes.unpack(ssah.shared_code_[: len(watched)])
print(f"bits in which the two votes agree: {(mine == kept).mean():.3f}")

# %% [markdown]
# ## The sign of η
#
# In ImgNet's and TxtNet's objective the note prints $-\,\eta\,\mathcal{J}_3$. Lesson 30 tried both signs on LabNet,
# whose $B$ was its own sign. Here $B$ stands still.
#
# **Predict.** Which codes does a minus ask ImgNet for, and what will it get?
#
# We teach a fresh ImgNet by hand under the trained LabNet, with two sizes of $\eta$ and both signs.

# %%
labels = torch.from_numpy(train.labels.astype(np.float32))
share = LabelSimilarity(labels, labels).share()
pairs = {"reduction": "mean", "weights": (0.5 / share, 0.5 / (1 - share))}
pictures = torch.from_numpy(image_features(train.images, "posterior", show_progress=False))
F_label, H_label = (
    torch.from_numpy(ssah.features(labels=train)),
    torch.tanh(torch.from_numpy(ssah.values(labels=train))),
)
B_label = losses.shared_code(H_label)


# %%
def taught_with(eta, epochs=2):
    """H of ImgNet after some epochs under the trained LabNet."""
    draws = torch.Generator().manual_seed(seed)
    sizes = (pictures.shape[1], config.image_hidden, config.width, bits, labels.shape[1])
    net = model.SemanticNetwork(*sizes, normalise=False, dropout=0.0, generator=draws)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr_image)
    for items in (part for _ in range(epochs) for part in torch.randperm(len(pictures), generator=draws).split(64)):
        found, S = net(pictures[items]), LabelSimilarity(labels[items], labels)
        likelihood = losses.feature_likelihood(found.features, F_label, S, **pairs) + losses.code_likelihood(
            found.codes, H_label, S, **pairs
        )
        optimiser.zero_grad()
        (likelihood + eta * losses.quantisation_loss(found.codes, B_label[items], reduction="mean")).backward()
        optimiser.step()
    return net(pictures).codes.detach()


# %% [markdown]
# Beside the distance to $B$ stand the share of bits that agree with it, the number of different codes, and MAP of the
# first 300 training pictures among LabNet's codes of all training pairs. It says whether the codes serve, and chooses
# nothing.

# %% tags=["nbval-ignore-output"]
packed = ck.codes.pack(B_label.numpy().astype(np.int8))
print("   η   mean |H|   ‖H − B‖² an entry   bits as B   different codes    MAP")
for eta in (0.1, -0.1, 1.0, -1.0):
    H = taught_with(eta)
    asked = ck.codes.pack(ck.codes.sign(H.numpy()))
    found = ck.metrics.evaluate(asked[:300], packed, train.labels[:300], train.labels).map
    agree, far = (torch.sign(H) == B_label).float().mean(), (H - B_label).square().mean()
    print(
        f"{eta:+4.1f} {H.abs().mean():10.2f} {far:19.2f} {agree:11.2f} {len(np.unique(asked, axis=0)):17d} {found:6.2f}"
    )
print(f"{len(H)} pictures; share of similar pairs, which is MAP by chance: {share:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It asks for $-B$, the farthest of all codes. At 0.1 the likelihoods outweigh $\mathcal{J}_3$, and the minus merely
# leaves the codes farther from $B$. At 1 it wins, and ImgNet gives one code for all pictures: before it can tell
# pictures apart, each bit is pushed away from what $B$ has more often, to where tanh has no slope, and it stays there.
#
# Note that $|H|$ is near 1: a binary look is no proof of a good code. The sign is a plus, and the library has it so.
#
# </details>
#
# ## What is each choice worth?
#
# Four runs with the same seed and the same number of epochs. Each differs from the first, `shared B`, in one option:
#
# - `binary="own"`: each network is pulled to its own sign. That is the official code, where the shared $B$ is computed
#   and never used.
# - `supervision="each-other"`: no LabNet; ImgNet meets TxtNet's features and codes, and TxtNet ImgNet's.
# - `pools=(5, 10, 15, 30, 50)`: with the fusion.
#
# **Predict.** Put them in order before you look.

# %%
run("own signs", binary="own")
run("each other, no LabNet", supervision="each-other")
run("with the fusion", pools=config.pools)
for kind in (ck.RandomHash, ck.CCA, ck.ITQ):
    report = kind(bits=bits, seed=seed).fit(train, show_progress=False).evaluate(data)
    score[kind.__name__] = (report.map_i2t, report.map_t2i, report.image_codes.distinct, report.text_codes.distinct)
assert len({len(rows) for rows in history.values()}) == 1  # equally long
print(
    f"{len(history)} runs of {common['epochs']} epochs, {len(score) - len(history)} baselines, {bits} bits, "
    f"{len(data.query)} queries"
)

# %% [markdown]
# As a ceiling we let LabNet read the labels of queries and of the retrieval set, as in lesson 30.

# %% tags=["nbval-ignore-output"]
asked, found = ssah.encode(labels=data.query), ssah.encode(labels=data.retrieval)
ceiling = ck.metrics.evaluate(asked, found, data.query.labels, data.retrieval.labels).map
print(f"{'MAP, ' + str(bits) + ' bits':24s} image → text  text → image   different codes   all three agree")
for name, (i2t, t2i, pictures_, texts_) in sorted(score.items(), key=lambda pair: -sum(pair[1][:2])):
    together = f"{agreement[name]:14.2f}" if name in agreement else ""
    print(f"{name:24s} {i2t:12.3f} {t2i:13.3f} {pictures_:9d} {texts_:6d} {together}")
print(f"{'LabNet reads the labels':24s} {ceiling:12.3f} {ceiling:13.3f}   the ceiling")

# %% [markdown]
# One seed, one short length: a difference of a few hundredths says nothing here.
#
# ### Are these runs long enough to judge?
#
# **Predict.** From $\mathcal{J}_2$ of ImgNet by epoch: which runs were stopped on their way? And what does a flat end
# prove, if the rate always falls to 0 over the epochs?

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for name, rows in history.items():
    ax.plot([row["epoch"] for row in rows], [row["image_j2"] for row in rows], label=name)
ax.set(xlabel="epoch", ylabel="$J_2$ of ImgNet", ylim=(0, None), xticks=[row["epoch"] for row in rows])
ax.legend(fontsize=9, ncols=2)
nb.show(
    figure,
    alt=(
        "Four curves of ImgNet's pair loss by epoch, one for each run. That of each other, no LabNet is nearly flat, "
        "the other three fall."
    ),
    caption="ImgNet's pair loss, one curve a run. Look at the last step of each.",
)


# %% tags=["nbval-ignore-output"]
print("J2 of ImgNet in the last two epochs")
for name, rows in history.items():
    before, last = (row["image_j2"] for row in rows[-2:])
    print(f"{name:24s} {before:.3f} → {last:.3f} ({100 * (last / before - 1):+3.0f} %)")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Three curves still fall at the end. A flat end proves little: the rate was nearly used up. So the table ranks the
# variants by how *fast* they get somewhere; a slow one may come to the same place later. To see it, set `epochs` in
# `common` to 12 at the top; it takes a minute or two. `bench/RESULTS.md` has runs of full length with several seeds:
# there, own signs come close to the shared $B$.
#
# What the short runs do show: a teacher that reads labels gives both networks somewhere to go from the first epoch. Two
# networks that only have each other must find codes first, and here one of them had almost one code for all.
#
# </details>
#
# > **The note, the paper, the official code.**
# >
# > - *B.* Note: shared, $\operatorname{sign}(H^v + H^t + H^l)$. Code: the shared one is computed and never used; each
# >   network is pulled to its own sign. `binary`.
# > - *η.* The note prints a minus for ImgNet and TxtNet. It is a typo; the code has a plus.
# > - *Scalars of the fusion.* Code: drawn around 0, so about half are dead. Ours: softplus. `pool_scale`.
# > - *The bank.* The note sums over all pairs; the code uses a batch against buffers of the whole training set, renewed
# >   as batches are seen. So do we.
# > - *Pair loss and weights:* see lesson 30.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. LabNet supervises through a bank of numbers: you wrote the four terms and one epoch out, saw each stage move its
#    own network only, and reached the library's weights.
# 2. You wrote the fusion out, and saw that a scalar at or below 0 is dead from the start.
# 3. You proved by trying all codes that the sign of the sum is the best shared code, saw what a minus before η does,
#    and compared four variants at equal length.
#
# Lesson 32 adds the adversaries: do the three networks' features become alike?
#
# **On a GPU.** `ck.SSAH(bits=32, preset="paper").fit(data)` trains CNN-F together with ImgNet.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(ssah.encode(images=data.query)),
    losses={name: [row["image_loss"] for row in rows] for name, rows in history.items()},
    map_i2t=score["shared B"][0],
    map_t2i=score["shared B"][1],
    baseline_i2t=score["RandomHash"][0],
    baseline_t2i=score["RandomHash"][1],
    equal_to_library=[fusion_gap, cross_gap, terms_gap, library_gap],
    ceiling=ceiling,
    compared={name: list(values[:2]) for name, values in score.items()},
)
