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
#     walks_through: 1×1 convolution, softmax, threshold 1/(HW), attended and unattended, straight-through gradient, text masks over words
#     widget: mask explorer
#     minutes: 40
# ---

# %% [markdown]
# # 20 · ADAH: attention masks
#
# After this notebook you can
#
# 1. make an attention mask of a feature map, cut the map into an attended and an unattended part, and say when the
#    threshold is a trap;
# 2. compute the straight-through gradient of the threshold, and check it by finite differences of the function whose
#    gradient it is;
# 3. measure how well a mask fits what is drawn, and compare that with chance.
#
# Reading takes 40 minutes, running takes 10 to 20 seconds. Lesson 21 has the losses.
#
# | the note's symbol | in cmhkit | shape, range |
# | --- | --- | --- |
# | $f^I$ | the feature map of a picture | (n, C, H, W) |
# | $M$ | `attention.scores(f)` | (n, H·W) |
# | $P$ | `attention(f).probability` | (n, H·W), each row sums to 1 |
# | $\alpha$ | the threshold of `attention(f)` | a number, 1/(H·W) and 1/d |
# | $Z$ | `attention(f).mask`, `binarize.threshold_mask` | (n, H·W), 0 or 1 |
# | $\breve f$, $\hat f$ | attended, unattended features | as $f$ |
# | $f^T$ | the feature of a text | (n, d) |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
import numpy as np
import torch

import cmhkit as ck
from cmhkit.adah import model
from cmhkit.course.lessons import lesson_20 as q
from cmhkit.course.lessons import notebook as nb
from cmhkit.nn.binarize import mask_entropy, threshold_mask

rng = nb.setup(seed, torch=True)
random = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## The method in one picture
#
# This is all of ADAH, for pictures above and for texts below. This lesson follows the lit part up to the hashing
# modules: features $f$, and the attention modules $G$, which turn them into masks $Z$. The arrows with two lanes say
# that the gradients of both players pass through a mask, although a mask is made by a threshold. How they do is the
# hardest step of this lesson.

# %%
from cmhkit.course import diagrams

diagrams.method("adah", lit="masks")

# %% [markdown]
# ## A picture as a map
#
# A hashing method may read a picture as one vector. ADAH keeps the **places**: the last convolution layer gives a
# vector of $C$ numbers for each cell of a coarse grid. Ours is the last layer of SceneNet, the small network that comes
# with the kit and is never trained here. We take its maps of some training pictures.

# %%
from cmhkit.data.features import image_features

data = ck.data.load("scenes", size=size)
train = data.train
some = min(256, len(train))
maps = image_features(data.images, "map", show_progress=False)
f = torch.from_numpy(maps[train.index[:some]]).float()
n, C, H, W = f.shape
places = H * W
print(f"{n} maps of {C} channels on a grid of {H} by {W}: {places} places")

# %% [markdown]
# ## Scores: a 1×1 convolution
#
# The attention module gives each place one number. A convolution with a kernel of one by one pixel looks at a place
# alone: it is a weighted sum of the place's $C$ channels, with the same weights everywhere.
#
# $$M(h, w) = \sum_c v_c\, f(h, w, c)$$
#
# The weights $v$ are random here. Written out, and equal to the library's:

# %%
attention = model.ImageAttention(C, None, random)
with torch.no_grad():
    v = attention.convolution.weight[0, :, 0, 0]
    M = torch.einsum("nchw,c->nhw", f, v).reshape(n, places)
    scores_gap = (M - attention.scores(f)).abs().max().item()

assert scores_gap < 1e-5
print("M", tuple(M.shape))

# %% [markdown]
# ## Probabilities, then a mask
#
# A softmax over all places of a picture turns scores into probabilities; a threshold turns these into 0 and 1:
#
# $$P = \operatorname{softmax}_{H \cdot W}(M), \qquad Z(h, w) = \begin{cases} 1 & P(h, w) \ge \alpha \\ 0 & P(h, w) < \alpha \end{cases}, \qquad \alpha = \frac{1}{H \cdot W}.$$

# %%
weight = torch.exp(M - M.max(dim=1, keepdim=True).values)
P = weight / weight.sum(dim=1, keepdim=True)
Z = (P >= 1 / places).float()

with torch.no_grad():
    found = attention(f)
probability_gap = (P - found.probability).abs().max().item()
assert probability_gap < 1e-6
assert (Z == found.mask).float().mean() > 0.999
print(f"P sums to {P.sum(dim=1).mean():.3f}")
print(f"the mean of P is {P.mean():.4f}, the threshold {1 / places:.4f}")
print(f"places that are on: {Z.mean():.2f}")

# %% [markdown]
# (Two ways to sum may differ in the last digit, so a place right on the threshold may fall on either side; hence the
# 0.999 in the code.)
#
# **Predict.** The threshold is the mean of $P$. Can a mask be all on? All off?

# %%
for name, first in (("all equal", 0.0), ("one stands out", 3.0), ("one falls short", -3.0)):
    p = torch.tensor([[first, 0, 0, 0]]).softmax(dim=1)
    z = threshold_mask(p, 1 / 4)
    print(f"{name:16s} P", *(f"{x:.2f}" for x in p[0].tolist()), "  Z", *z[0].int().tolist())

# %% [markdown]
# <details><summary>Answer</summary>
#
# All on: only if all places are alike, for if one is above the mean, another is below it. All off: never on paper,
# since the greatest $P$ is at least the mean. In floating point it may be a hair below.
#
# </details>
#
# ## Exercise 1: the mask
#
# Write `mask(M)`. In: scores of some pictures, shape (n, places). Out: their masks, 0 or 1, of the same shape and type.
# A place on the threshold 1/places is on.


# %%
def mask(M): ...


q.q1.check(mask)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# ## Two halves of a map
#
# The mask cuts the map in two. What is on is **attended**, what is off is **unattended**; each place goes to exactly
# one side, with all its channels:
#
# $$\breve f(h, w, c) = Z(h, w)\, f(h, w, c), \qquad \hat f(h, w, c) = (1 - Z(h, w))\, f(h, w, c).$$

# %%
grid = Z.reshape(n, 1, H, W)
attended, unattended = grid * f, (1 - grid) * f

assert torch.equal(attended + unattended, f)
assert ((attended * unattended) == 0).all()
print("attended", tuple(attended.shape), " unattended", tuple(unattended.shape))

# %% [markdown]
# Here are the two parts of two pictures, shown on the pixels: a place covers a square of the picture. The numbers on
# the left are $P$ times $H \cdot W$, so the threshold is at 1.

# %% tags=["nbval-ignore-output"]
from cmhkit.course import widgets

P_grid = P.reshape(n, H, W).numpy()
first = widgets.MaskExplorer(P_grid[:6], pictures=train.images[:6], captions=train.texts[:6])
first.small_multiples({"item": 0}, {"item": 5})

# %% [markdown]
# ## Exercise 2: the two parts
#
# Write `split(f, Z)`. In: a map of shape (n, C, H, W) and its masks of shape (n, H·W), places row by row. Out: a pair,
# the attended and the unattended map, each of the shape of `f`.


# %%
def split(f, Z): ...


q.q2.check(split)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# ## The trap: a softmax that is nearly uniform
#
# It is usual to start a layer with small weights. With tiny scores all $P$ are nearly $1/(H \cdot W)$, which is where
# the threshold is.
#
# **Predict.** Shrink the weights more and more. What happens to the mask's **area**, its share of all places? And does
# the mask stay the same if we compute in 64 bits instead of 32?

# %% tags=["nbval-ignore-output"]
shrink = [1.0, 1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]
areas, flips = [], []
for factor in shrink:
    single = threshold_mask((factor * M).softmax(dim=1), 1 / places)
    double = threshold_mask((factor * M.double()).softmax(dim=1), 1 / places)
    areas.append(single.mean().item())
    flips.append((single != double).double().mean().item())
    print(f"weights times {factor:<6g} area {areas[-1]:.2f}   differ in 64 bits {flips[-1]:.3f}")

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 3))
ax.semilogx(shrink, areas, label="area of the mask")
ax.semilogx(shrink, flips, label="places that change with the precision")
ax.set(xlabel="weights times", ylabel="share of all places", ylim=(-0.05, 1.05))
ax.legend()
nb.show(
    figure,
    alt="Two lines over the size of the weights. The area climbs to 1 for the tiniest weights. "
    "The share that changes with the precision is 0 for large weights and rises for tiny ones.",
    caption="Towards the left the dashed line leaves 0: there rounding decides what is attended.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The area first grows from about a third to about a half; the next cells say why. Then the mask stays the same for
# several powers of ten. At last the differences drown in rounding: the two precisions disagree, and every place is on.
# Such a mask says nothing about the picture: in 64 bits half of its places are off.
#
# </details>
#
# So the start matters. `spread_masks` looks at some items and scales the weights, so that the scores of an item have a
# standard deviation of 1 over its places, in the mean over the items. By hand that is one division:

# %%
with torch.no_grad():
    by_hand = v / M.std(dim=1).mean()
    model.spread_masks(attention, f, 1.0)
    start_gap = (by_hand - attention.convolution.weight[0, :, 0, 0]).abs().max().item()
    start = attention(f)

assert start_gap < 1e-6
print(f"deviation of M over the places: {attention.scores(f).std(dim=1).mean():.2f}")
print(f"area {start.mask.mean():.2f}   entropy of P {mask_entropy(start.probability).mean():.2f}")

# %% [markdown]
# The **entropy** of $P$ runs from 0 (one place has it all) to 1 (all alike).
#
# **Why is less than half on?** $P$ is an exponential of the scores: few places get much, and they pull the mean, which
# is the threshold, above the median. For normal scores of deviation 1 the mean of $e^M$ is $e^{1/2}$, so a score must
# be above ½, and three in ten are.
#
# **Predict.** What happens to area and entropy at a much larger deviation, 10?

# %%
for spread in (0.1, 1.0, 3.0, 10.0):
    p = (spread * attention.scores(f).detach()).softmax(dim=1)
    area, entropy = threshold_mask(p, 1 / places).mean(), mask_entropy(p).mean()
    print(f"deviation {spread:4.1f}   area {area:.2f}   entropy {entropy:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Both nearly vanish: a few places take nearly all the probability, and the rest fall below the mean. So there is a trap
# on both sides.
#
# </details>
#
# ## A step has no slope
#
# To train the attention module we need the derivative of a loss with respect to $M$. Between them stands the threshold,
# whose derivative is 0 wherever it exists. A plain comparison gives autograd nothing to follow.

# %%
scores = attention.scores(f[:1]).detach().double().requires_grad_()
p = scores.softmax(dim=1)
plain = (p >= 1 / places).double()
through = threshold_mask(p, 1 / places)
print("plain comparison: a gradient flows", plain.requires_grad)
print("threshold_mask:   a gradient flows", through.requires_grad)
assert torch.equal(plain, through.detach())

# %% [markdown]
# ## Straight through
#
# `threshold_mask` is a **straight-through estimator**. Forward it is the step, exactly 0 and 1. Backward it pretends
# that the step was the identity:
#
# $$Z = [P \ge \alpha], \qquad \frac{\partial Z}{\partial P} := 1.$$
#
# For a loss $L(Z)$ with slope $u = \partial L / \partial Z$, the chain rule then goes on through the softmax:
# $\partial L / \partial M_i = P_i\,(u_i - \sum_j P_j u_j)$. As an example we take $L = \sum (Z - t)^2$ for a target $t$
# drawn at random.

# %%
target = torch.randn(1, places, generator=random, dtype=torch.float64)
loss = (through - target).square().sum()
(autograd,) = torch.autograd.grad(loss, scores)

u = 2 * (through - target).detach()
probability = p.detach()
closed = probability * (u - (probability * u).sum())
closed_gap = (autograd - closed).abs().max().item()
assert closed_gap < 1e-12
print("size of the gradient: of Z", f"{u.norm():.2f}", " of M", f"{closed.norm():.3f}")

# %% [markdown]
# On the way through the softmax the gradient shrinks: each $P_i$ is about $1/(H \cdot W)$. That is one reason why the
# attention modules get learning rates of their own, `lr_g` and `lr_g_text`.
#
# ## Of what is it the gradient?
#
# It is the gradient of a **surrogate**, in which $Z$ is replaced by
#
# $$Z_0 + P(M) - P_0,$$
#
# with $Z_0$ and $P_0$ held fixed at the present $M$. There it has the same value as $Z$, and it moves as $P$ does. A
# finite difference can check that.
#
# **Predict.** What do finite differences of the loss itself give?


# %%
def differences(function, at, step=1e-5):
    """The central difference for each score."""
    moves = step * torch.eye(at.shape[1], dtype=at.dtype)
    return torch.stack([(function(at + m) - function(at - m)) / (2 * step) for m in moves])


def real_loss(M):
    return (threshold_mask(M.softmax(dim=1), 1 / places) - target).square().sum()


def surrogate(M):
    return (through.detach() + M.softmax(dim=1) - probability - target).square().sum()


# %%
at = scores.detach()
real, pretended = differences(real_loss, at), differences(surrogate, at)
surrogate_gap = (pretended - autograd[0]).abs().max().item()
print("largest difference quotient of the loss itself:", f"{real.abs().max():.3f}")
print("the surrogate's agree with autograd:", surrogate_gap < 1e-6)
assert surrogate_gap < 1e-6

# %% [markdown]
# <details><summary>Answer</summary>
#
# Zero: no place crosses the threshold under so small a step. (Had one been that close to it, its quotient would be huge
# instead.)
#
# </details>
#
# ## Exercise 3: the surrogate's slope
#
# Write `straight_through(M, target)` for $L = \sum (Z - t)^2$, without autograd. In: the scores `M` of one picture and
# `target`, both float64 of shape (places,). Out: the central differences of the surrogate at `M`, shape (places,). The
# threshold is 1/places.


# %%
def straight_through(M, target): ...


q.q3.check(straight_through)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# ## Texts: words struck or kept
#
# A text has no places, it has a vector of $d$ entries, and the mask runs over these. The layer is fully connected, and
# the threshold is $1/d$:
#
# $$M = W f + b, \qquad P = \operatorname{softmax}_d(M), \qquad Z = [P \ge 1/d].$$
#
# To see what that does, start with the simplest feature: the bag of words itself. Then an entry *is* a word, and the
# mask strikes words or keeps them.

# %%
bags = torch.from_numpy(train.text_vectors[:some])
vocabulary = np.asarray(data.vocabulary.words)
over_words = model.TextAttention(bags.shape[1], None, random)
model.spread_masks(over_words, bags, 1.0)
with torch.no_grad():
    linear = over_words.layer
    P_words = (bags @ linear.weight.T + linear.bias).softmax(dim=1)
    Z_words = threshold_mask(P_words, 1 / bags.shape[1])
    text_gap = (P_words - over_words(bags).probability).abs().max().item()
assert text_gap < 1e-6
present = [np.flatnonzero(row) for row in bags.numpy()]
print(f"{bags.shape[1]} entries, {Z_words.mean():.2f} of them on")
print(f"words of the first text: {len(present[0])}")

# %%
for i in range(4):
    said = [vocabulary[w] if Z_words[i, w] else f"[{vocabulary[w]}]" for w in present[i][:8]]
    print(f"text {i}:", *said)

# %% [markdown]
# These are the first words of four texts; struck words stand in brackets. The weights are random, so which words are
# struck is random as well. The mask of a word depends on the *other* words too: the layer reads them all.
#
# ## In ADAH an entry is no word
#
# ADAH puts a two-layer network $E^T$ before the attention, so that an entry of $f^T$ mixes words. We can still ask
# where a word has its effect: leave it out, and see which share of the change of $f^T$ (its squares, summed) falls on
# attended entries.

# %%
features = model.TextFeatures(bags.shape[1], 1024, 512, 0.0, random)
over_features = model.TextAttention(512, None, random)
with torch.no_grad():
    model.spread_masks(over_features, features(bags), 1.0)
    Z_text = over_features(features(bags)).mask
    for i in range(3):
        words = present[i][:6]
        without = bags[i].repeat(len(words), 1)
        without[torch.arange(len(words)), words] = 0
        change = (features(bags[i : i + 1]) - features(without)).square()
        share = (change @ Z_text[i]) / change.sum(dim=1)
        print(*(f"{vocabulary[w]} {s:.2f}" for w, s in zip(words, share, strict=True)))
print(f"entries that are on: {Z_text.mean():.2f}")

# %% [markdown]
# No word has a share near 0 or near 1: with random weights each word acts a little on all entries, and none is struck
# whole. So we do not claim that a text mask over features picks words.
#
# ## Does a mask find what is drawn?
#
# Of our scenes we know which pixels belong to a drawing. We bring this **truth** to the grid of the map: a place is
# true if drawings cover at least half of it.

# %%
owner = train.truth.owner[:some]
side = owner.shape[1] // H
covered = (owner > 0).reshape(n, H, side, W, side).mean(axis=(2, 4))
truth = torch.from_numpy(covered >= 0.5).reshape(n, places)
print(f"places that are true: {truth.float().mean():.2f}")

# %% [markdown]
# Three measures. **Precision**: the share of the attended places that is true. **Recall**: the share of the true places
# that is attended. **IoU**, intersection over union: the number of places that are attended and true, over the number
# of those that are at least one of both.
#
# ## Exercise 4: intersection over union
#
# Write `iou(mask, truth)`. In: two bool tensors of one shape. Out: a number.


# %%
def iou(mask, truth): ...


q.q4.check(iou)
# q.q4.hint()
# q.q4.solution()


# %% [markdown]
# All three for many pictures at once. And, to compare with, masks by chance: each mask's places shuffled, so that its
# area stays.


# %%
def measures(masks):
    """IoU, precision and recall, in the mean over the pictures."""
    masks = masks.bool()
    both, either = (masks & truth).sum(dim=1), (masks | truth).sum(dim=1)
    all_of = either, masks.sum(dim=1), truth.sum(dim=1)
    return [(both / count.clamp_min(1)).mean().item() for count in all_of]


def shuffled(masks):
    """Random masks, each with the area of a given one."""
    order = torch.rand(masks.shape, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)
    return masks.gather(1, order)


# %% [markdown]
# The library has these in `cmhkit.course.masks`. They agree:

# %%
from cmhkit.course.masks import mask_quality, truth_places

quality = mask_quality(Z.reshape(n, H, W).numpy(), truth.reshape(n, H, W).numpy())
by_library = quality.iou, quality.precision, quality.recall
quality_gap = max(abs(a - b) for a, b in zip(measures(Z), by_library, strict=True))
assert quality_gap < 1e-6
assert (truth.reshape(n, H, W).numpy() == truth_places(owner, H)).all()
print("IoU, precision, recall:", *(f"{x:.2f}" for x in by_library))

# %% [markdown]
# A number alone says little: a large mask meets much of the truth by chance. So we compare each mask with a random one
# of *its own area*.
#
# **Predict.** Below are six untrained attention modules, each with other random weights. Will they be better than
# chance, worse, or the same?

# %%
print("start   area    IoU (chance)   precision (chance)   recall (chance)")
untrained = []
for draw in range(6):
    fresh = model.ImageAttention(C, None, torch.Generator().manual_seed(draw))
    model.spread_masks(fresh, f, 1.0)
    masks = fresh(f).mask.detach()
    ours, chance = measures(masks), measures(shuffled(masks))
    untrained.append(ours[0])
    told = "      ".join(f"{a:.2f} ({b:.2f})" for a, b in zip(ours, chance, strict=True))
    print(f"{draw:5d}   {masks.mean():.2f}   {told}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It depends on the draw, and some differ from chance a lot, in both directions. Nothing was learned: SceneNet was
# trained to see drawings, so a drawing's channels differ from the background's. A random $v$ is likely to score the two
# differently, and its sign decides which of them it attends.
#
# </details>
#
# ## After a moment of training
#
# Four epochs of ADAH on at most 1,000 training pairs. The objective speaks of similar and dissimilar pairs only;
# nothing in it asks the mask to find drawings.
#
# To see the start, we train once more with `attention="frozen"`: then the masks of pictures stay as they were drawn.


# %%
def report(hasher):
    masks = hasher.masks(images=train.images[:some]).mask
    ours, chance = measures(masks), measures(shuffled(masks))
    for name, a, b in zip(("IoU", "precision", "recall"), ours, chance, strict=True):
        print(f"  {name:9s} {a:.2f}   chance {b:.2f}")


few = ck.data.Split("train", train.index[:1000], data)
brief = ck.ADAH(bits=bits, seed=seed, epochs=4, batch=64).fit(few, show_progress=False)

# %% tags=["nbval-ignore-output"]
frozen = ck.ADAH(bits=bits, seed=seed, epochs=1, batch=64, attention="frozen")
frozen.fit(few, show_progress=False)
print("the same start, attention frozen:")
report(frozen)
print("after four epochs of the game:")
report(brief)

# %% [markdown]
# Compare the two, and mind the spread over starts in the table before: this is one seed, and a short run.
# `bench/RESULTS.md` has five seeds and longer training.
#
# ## The mask explorer
#
# The pictures have the masks after these epochs, the words those of the bag-of-words attention above. Move the
# threshold, which is given as a multiple of $1/(H \cdot W)$, and show the truth.

# %%
shown = 24
seen = brief.masks(images=train.images[:shown])
explorer_data = {
    "pictures": train.images[:shown],
    "truth": truth[:shown].reshape(-1, H, W).numpy(),
    "captions": train.texts[:shown],
    "words": [[str(w) for w in vocabulary[present[i]]] for i in range(shown)],
    "word_p": [P_words[i, present[i]].numpy() for i in range(shown)],
    "word_places": bags.shape[1],
}
P_seen = seen.probability.reshape(-1, H, W).numpy()
print("P", P_seen.shape, "  truth", explorer_data["truth"].shape)

# %% tags=["nbval-ignore-output"]
widgets.MaskExplorer(P_seen, **explorer_data, item=5)

# %% [markdown]
# The same, still: one picture with its truth at three thresholds, then the words of its text.

# %% tags=["nbval-ignore-output"]
still = widgets.MaskExplorer(P_seen, **explorer_data, item=5, show_truth=True)
still.small_multiples({"level": 0.5}, {"level": 1.0}, {"level": 2.0}, {"mode": "words"})

# %% [markdown]
# > **The note, the paper, the official code.**
# >
# > - *Code.* None was published, so there is no official code to compare with. What the note leaves open is a named
# >   option; `docs/CHOICES.md` lists each with its reason.
# > - *A typo.* The note writes the attended feature as $Z(h, w) \times f(h, w, w)$. The last index must be the channel:
# >   $f(h, w, c)$, as its own next line has it for the unattended one.
# > - *Text threshold.* The note gives $\alpha = 1/(H \cdot W)$ for pictures and none for texts. $1/d$ is our reading by
# >   analogy.
# > - *Straight through.* The note points to a paper on binary networks, arXiv 1602.02830. The estimator there also sets
# >   the gradient to 0 where its argument is beyond ±1. $P - \alpha$ never is.
# > - *Scale of the scores.* The note says nothing of it. The preset `lab` scales each item's scores to deviation 1 all
# >   through training (`mask_scaling="standard"`), a **departure from the note**. The preset `paper` scales the start
# >   only.
# > - *Zeros.* The note multiplies the map by the mask, so that a place that is off enters the next layers as zeros. In
# >   `lab` SceneNet pools over places, and one that is off is left out of the pooling.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You made scores with a 1×1 convolution, probabilities with a softmax and a mask with the threshold $1/(H \cdot W)$,
#    and cut the map in two. Nearly equal scores put every $P$ on the threshold, where rounding decides; scores far
#    apart leave hardly a place on.
# 2. You computed the straight-through gradient, and found by finite differences that it is the gradient of a surrogate:
#    the real mask forward, the slope of $P$ backward.
# 3. You measured masks against the truth beside random masks of equal area, and saw that even untrained ones may differ
#    from chance.
#
# **On a GPU.** `ck.ADAH(bits=32, preset="paper")` puts the mask on VGG-19's last map, and takes pictures instead of
# kept features.

# %%
gaps = [scores_gap, probability_gap, start_gap, closed_gap, surrogate_gap, text_gap, quality_gap]
codes = ck.codes.sign(brief.values(images=train.images[:64]))
nb.results(results_path, codes=codes, equal_to_library=gaps, untrained_iou=untrained)
