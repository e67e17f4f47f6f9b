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
#     walks_through: min over E and D, max over G, which step touches what, mask IoU against the truth as it learns, ablations, results
#     widget: mask replay
#     minutes: 40
# ---

# %% [markdown]
# # 22 · ADAH: the adversarial game
#
# After this notebook you can
#
# 1. say who minimises what and who maximises what, write both steps out, and show which weights each step changes;
# 2. run the game and watch its masks move, beside a truth that training never saw;
# 3. judge what attention and the game do to retrieval, by **ablations**: runs that differ from the game in one option
#    only.
#
# Reading takes 40 minutes, running takes about half a minute. Lesson 20 explains the masks and lesson 21 the six terms;
# here they are used.
#
# | the note's symbol | in cmhkit | shape |
# | --- | --- | --- |
# | $E^I, E^T$ | `image_features`, `text_features` of `model.AttentionNetwork` | – |
# | $G^I, G^T$ | `image_attention`, `text_attention` | – |
# | $D^I, D^T$ | `image_head`, `text_head` | – |
# | $H^I$, $\hat H^I$ | `codes.image`, `codes.image_unattended` | (n, bits) |
# | $Z$ | `codes.image_mask.mask` | (n, 64), 0 or 1 |
# | $\mathcal{F}_{T \to I} + \dots$, four terms | `losses.retrieval_terms` | numbers |
# | $\mathcal{F}_{T \to \hat I} + \mathcal{F}_{I \to \hat T}$ | `losses.adversarial_terms` | numbers |

# %% tags=["parameters"]
size = "lab"
seed = 0
bits = 32
results_path = ""

# %%
from dataclasses import replace

import numpy as np
import torch

import cmhkit as ck
from cmhkit.adah import losses, model
from cmhkit.course.lessons import lesson_22 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed, torch=True)

# %% [markdown]
# ## The method in one picture
#
# Two colours, two players. The solid ones, E and D, descend on all six terms. The dashed one, G, ascends on two of
# them. Follow the lane of G back from these two terms: it passes through the unattended code and the mask, and ends in
# the attention modules. On the way of the attended code two bars stop it: to G the query is given.

# %%
from cmhkit.course import diagrams

diagrams.method("adah", lit="game")

# %% [markdown]
# ## Two players
#
# A mask splits a picture's features in two: the **attended** part gives the code $H$, the **unattended** part, by the
# same head, gives $\hat H$. Only $H$ is used for retrieval.
#
# | player | parameters | step |
# | --- | --- | --- |
# | E and D | features and heads | $\min$ over E, D of all **six** terms: four on attended codes, two on unattended ones |
# | G | attention | $\max$ over G of the **two** adversarial terms |
#
# The two adversarial terms ask an attended query to rank the *unattended* codes of the other side. E and D make that
# work. G works against it: it takes under the mask what the unattended codes could still use.
#
# We build the network from the library's modules. All random draws come from one generator, so the order of the lines
# matters: it is the library's.

# %%
config = ck.ADAH(bits=bits).config
margin = config.margin_for(bits)


def players(text_inputs, random):
    """E, G and D of both modalities, untrained."""
    c = config
    E_I = model.SceneFeatures()
    D_I = model.SceneHead(bits, c.readout, c.image_hidden, c.dropout, random)
    E_T = model.TextFeatures(text_inputs, c.text_hidden, c.text_width, c.dropout, random)
    G_I = model.ImageAttention(E_I.channels, None, random, c.mask_spread)
    G_T = model.TextAttention(c.text_width, None, random, c.mask_spread)
    D_T = model.TextHead(c.text_width, bits, random)
    return model.AttentionNetwork(E_I, E_T, G_I, G_T, D_I, D_T)


# %% [markdown]
# One batch is enough to see both steps: 128 training pairs. Of the pictures we take SceneNet's feature maps. Two items
# are *similar* if they share a label.

# %%
from cmhkit.data.features import image_features, remember

data = ck.data.load("scenes", size=size)
remember(data.images, show_progress=False)  # SceneNet looks at every picture once
train = data.train
few = data.take(train.index[: config.batch])
maps = torch.from_numpy(image_features(few.images, "map", show_progress=False))
texts = torch.from_numpy(few.text_vectors)
labels = torch.from_numpy(few.labels.astype(np.float32))

random = torch.Generator().manual_seed(seed)
net = players(texts.shape[1], random)
for name, parameter in net.named_parameters():
    print(f"{name:36s} {parameter.numel():8,d}")

# %% [markdown]
# $E^I$ has no line: SceneNet is frozen. Before the first step the attention layers are scaled, so that masks start
# neither all on nor all off (lesson 20).

# %%
items = torch.randperm(len(few), generator=random)  # the library draws these, so we do
net.eval()
for name, x in (("image", maps), ("text", texts)):
    features = getattr(net, f"{name}_features")(x[items])
    model.spread_masks(getattr(net, f"{name}_attention"), features, config.mask_spread)
    area = net.mask(name, x).mask.mean()
    print(f"{name} masks: {area:.2f} of the places are on")

order = torch.randperm(len(few), generator=random)
images, texts, labels = maps[order].float(), texts[order], labels[order]
similar = labels @ labels.T > 0

# %% [markdown]
# ### Exercise 1: which parameters?
#
# Write `may_touch(name, step)`. In: a parameter's name as printed above, and a step, `"d"` (of E and D) or `"g"` (of
# G). Out: True if that step may change the parameter, else False.


# %%
def may_touch(name, step): ...


q.q1.check(may_touch)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# ### The step of E and D
#
# First the loss: all six terms in one sum.

# %%
options = {"distance": config.distance, "reduction": config.reduction, "own": config.own}


def adversarial_terms(codes):
    parts = codes.image, codes.text, codes.image_unattended, codes.text_unattended
    return losses.adversarial_terms(*parts, similar, margin, **options)


def loss_of_d():
    codes = net(images, texts)
    retrieval = losses.retrieval_terms(codes.image, codes.text, similar, margin, **options)
    return losses.total([*retrieval, *adversarial_terms(codes)])


# %% [markdown]
# Then one step of Adam on it, over the parameters of E and D. We keep the weights from before and after.


# %%
def weights():
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


def step(optimiser, loss):
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


of_d = torch.optim.Adam(net.other_parameters(), lr=config.lr)
before = weights()
net.train()  # dropout on: it is part of E's and D's training
step(of_d, loss_of_d())
after_d = weights()

# %% [markdown]
# ### Exercise 2: the step of G
#
# An optimiser always descends. Write `loss_of_g(retrieval, adversarial)`, what it descends on in G's step. In: two
# numbers, the sum of the four retrieval terms and the sum of the two adversarial ones. Out: a number.


# %%
def loss_of_g(retrieval, adversarial): ...


q.q2.check(loss_of_g)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# In G's step the query's code is *given*: a constant, without a gradient. A box below says what happens otherwise.


# %%
def adversarial_loss():
    codes = net(images, texts)
    given = replace(codes, image=codes.image.detach(), text=codes.text.detach())
    return losses.total(adversarial_terms(given))


of_g = torch.optim.Adam(
    [
        {"params": net.image_attention.parameters(), "lr": config.lr_g},
        {"params": net.text_attention.parameters(), "lr": config.lr_g_text},
    ]
)
net.eval()  # no dropout
step(of_g, -adversarial_loss())
after_g = weights()

# %% [markdown]
# **Predict.** The loss of E and D has a gradient with respect to G's weights too. Of the 13 tensors printed above, how
# many change in the first step, and how many in the second?


# %%
def changed(old, new):
    return {name for name in old if not torch.equal(old[name], new[name])}


d_changed, g_changed = changed(before, after_d), changed(after_d, after_g)
for name in before:
    first, second = "E, D step" if name in d_changed else "", "G step" if name in g_changed else ""
    print(f"{name:36s} {first:10s} {second}".rstrip())

attention = {name for name in before if "attention" in name}
assert g_changed <= attention and not d_changed & attention
assert "image_attention.convolution.weight" in g_changed
assert "image_head.hashing.weight" in d_changed

# %% [markdown]
# <details><summary>Answer</summary>
#
# Ten, then three. The gradient of the first step reaches G's weights too, but the optimiser of that step holds E's and
# D's only. In G's step it holds G's only. Each tensor belongs to exactly one player.
#
# </details>
#
# Was that the library's game? For 128 pairs one epoch is one batch: one step of E and D, one of G. Its weights must
# then be ours.

# %%
one = ck.ADAH(bits=bits, seed=seed, epochs=1, device="cpu").fit(few, show_progress=False)
theirs = dict(one.network_.named_parameters())
library_gap = max((after_g[name] - theirs[name].detach()).abs().max().item() for name in theirs)
assert set(theirs) == set(after_g) and library_gap < 1e-5
print(f"{len(theirs)} tensors after both steps: the library's")

# %% [markdown]
# ### One goes down, the other up
#
# Now each player alone. E and D take five steps while G holds still; then G takes five, while E and D hold still. After
# each step we read the two adversarial terms, without dropout.


# %%
def read():
    net.eval()
    with torch.no_grad():
        return adversarial_loss().item()


path = [read()]
for _ in range(5):
    net.train()
    step(of_d, loss_of_d())
    path.append(read())
for _ in range(5):
    step(of_g, -adversarial_loss())
    path.append(read())
assert path[5] < path[0] and path[10] > path[5]

# %% tags=["nbval-ignore-output"]
print(f"adversarial terms: {path[0]:.1f} → {path[5]:.1f} by E and D → {path[10]:.1f} by G")

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(range(6), path[:6], label="E and D descend")
ax.plot(range(5, 11), path[5:], label="G ascends")
ax.set(xlabel="step", ylabel="adversarial terms", ylim=(0, None), xticks=range(11))
ax.legend()
nb.show(
    figure,
    alt="One curve that falls over five steps of E and D and rises over five steps of G.",
    caption="The same loss: down while E and D move, up while G moves.",
)

# %% [markdown]
# In the game the two take turns, batch by batch, so neither gets that far.
#
# ## The truth, for reading only
#
# Lesson 20 brought the truth about the scenes to the 8×8 places of a mask, and measured masks by IoU, precision and
# recall. We do so again, for 24 training pictures and 24 query pictures. Training reads neither the truth nor the query
# pictures.

# %%
from cmhkit.course import masks as quality

part = 24
watched = np.concatenate([train.images[:part], data.query.images[:part]])
owner = np.concatenate([train.truth.owner[:part], data.query.truth.owner[:part]])
truth = quality.truth_places(owner)
print(f"{len(truth)} pictures; drawings take {truth.mean():.2f} of the places")

# %% [markdown]
# ### Exercise 3: intersection over union
#
# **IoU** divides the places in both by the places in either. Write `iou(mask, truth)`. In: bool arrays of shape (n, 8,
# 8). Out: the IoU of each picture, shape (n,).


# %%
def iou(mask, truth): ...


q.q3.check(iou)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# All three measures depend on a mask's area. So beside each mask we set random ones of equal area: its places,
# shuffled.


# %%
def fit_to_truth(masks, truth):
    """IoU, precision and recall, each the mean over the pictures."""
    found = quality.mask_quality(masks, truth)
    return np.array([found.iou, found.precision, found.recall])


def by_chance(masks, truth):
    """The same for random masks of equal area, the mean of 20 draws."""
    draws = [fit_to_truth(quality.random_masks(masks, rng), truth) for _ in range(20)]
    return np.mean(draws, axis=0)


# %% [markdown]
# **Predict.** A random mask covers 30 % of the places, and the drawings' share is the one printed above. What are its
# precision and its recall, on average?

# %%
scattered = rng.random(truth.shape) < 0.3
_, precision, recall = by_chance(scattered, truth)
print(f"drawings' share {truth.mean():.2f}, masks' share {scattered.mean():.2f}")
print(f"precision {precision:.2f}, recall {recall:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Its precision is the drawings' share, and its recall is its own share. Neither says anything by itself: a mask must
# beat chance *at its own area*.
#
# </details>
#
# ## The game
#
# Three **short runs**: 3 epochs, where the preset has 25, in batches of 64. They have the same options and seed, and
# differ in `attention` only:
#
# - `"frozen"`: G stays as it is drawn, at random. So its image masks are the masks *before the game*.
# - `"adversarial"`: the game.
# - `"none"`: no mask. Everything is attended, and there are no adversarial terms.

# %%
game = {"bits": bits, "seed": seed, "epochs": 3, "batch": 64}
score, history = {}, {}


def run(attention, callback=None):
    """Fit, and evaluate the last epoch with the queries. Keeps MAP and history."""
    hasher = ck.ADAH(**game, attention=attention).fit(data, callback=callback, show_progress=False)
    report = hasher.evaluate(data)
    score[f"ADAH, attention {attention}"] = (report.map_i2t, report.map_t2i)
    history[attention] = hasher.history_
    return hasher


def image_masks(hasher):
    return hasher.masks(images=watched).mask.numpy().reshape(truth.shape) > 0


# %% [markdown]
# In the game, `fit` calls us back after each epoch, and we keep the masks of the watched pictures.

# %%
masks_by_epoch = [image_masks(run("frozen"))]
adah = run("adversarial", lambda row, hasher: masks_by_epoch.append(image_masks(hasher)))
masks_by_epoch = np.stack(masks_by_epoch)
print("masks: (epochs, pictures, rows, columns) =", masks_by_epoch.shape)

# %% [markdown]
# ### The history
#
# Of the history four things matter here: the share of **active** triplets, in the retrieval terms and in the
# adversarial terms, and the **area** and the **entropy** of the masks (entropy as in lesson 20: 1 for an even $P$, 0
# with all on one place).

# %% tags=["nbval-ignore-output"]
rows = history["adversarial"]
columns = ["active", "adversarial_active"]
columns += ["image_mask_area", "text_mask_area", "image_mask_entropy", "text_mask_entropy"]
print("       active triplets       mask area      mask entropy")
print("epoch  retrieval  advers.   image   text   image   text")
for row in rows:
    a, b, *masks = (row[name] for name in columns)
    print(f"{row['epoch']:5d} {a:10.2f} {b:8.2f}  ", "  ".join(f"{x:5.2f}" for x in masks))

# %% [markdown]
# Read the columns downwards. Both shares of active triplets fall, since E and D learn. At an adversarial share of 0 the
# game would end: a dead hinge (lesson 21). The masks stay clear of all on, all off and all alike.
#
# ### The masks move
#
# **Predict.** In lesson 20 a few epochs moved the masks towards the drawings. Do the masks of *query* pictures, on
# which G was never trained, fit as well as those of training pictures?

# %% tags=["nbval-ignore-output"]
first, last = masks_by_epoch[0], masks_by_epoch[-1]
fits = {}
print("masks                 IoU (chance)  precision (chance)  recall (chance)")
for name, masks in (("before", first), ("after", last)):
    for where, chosen in (("training", slice(part)), ("query", slice(part, None))):
        ours = fit_to_truth(masks[chosen], truth[chosen])
        chance = by_chance(masks[chosen], truth[chosen])
        fits[f"{name}, {where}"] = [*ours, *chance]
        told = "".join(f"{a:11.2f} ({b:.2f})" for a, b in zip(ours, chance, strict=True))
        print(f"{name + ', ' + where:17s}{told}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Compare the last two lines. With two dozen pictures each, a difference below .1 says nothing. $G^I$ is a weighted sum
# of 128 channels, the same for all places: it has little room to learn single pictures by heart.
#
# Why do masks go to the drawings at all? What lies under them is what ranks pictures, so hiding *it* from $\hat H$
# costs the most. The objective does not ask for a mask that covers a whole drawing, nor for a clean edge. Recall tells
# how much of the drawings is left out.
#
# </details>
#
# Now look. Play, or step by hand; each step says its IoU. Step 0 is before the game.

# %% tags=["nbval-ignore-output"]
from cmhkit.course import widgets

replay = widgets.MaskReplay(masks_by_epoch, watched, truth)
replay

# %% [markdown]
# The same as still pictures, for a page without a kernel: six scenes before the game and after it.

# %% tags=["nbval-ignore-output"]
still = widgets.MaskReplay(masks_by_epoch, watched, truth, max_items=6)
still.small_multiples({"epoch": 0}, {"epoch": len(masks_by_epoch) - 1})

# %% [markdown]
# > **Given or free: the query in G's step.** An adversarial term holds two codes, the query's, attended, and the
# > database's, unattended. G makes the masks of both. The note says "given a query"; that its code is then a constant
# > is our reading, `game_query="given"`. With `"free"` G may also raise the loss by *spoiling the query*, and attend
# > the background. On pairs held out of training the free game took the masks' IoU below where it started;
# > `docs/CHOICES.md` has the figures. To see it, run `ck.ADAH(**game, game_query="free")` with the callback above.
#
# ## Results
#
# The third run, without attention, and two baselines: random codes, and ITQ (lesson 02).
#
# > **MAP here is for reading only.** No option of the method was chosen by it, and each figure is the last epoch's. The
# > runs are short to save time. Of two short plans we kept the one in which the differences known from the full runs
# > (`bench/RESULTS.md`) can be seen: here they are an illustration, not new evidence.
#
# **Predict.** Order the three runs of ADAH by their MAP.

# %%
run("none")
for kind in (ck.RandomHash, ck.ITQ):
    report = kind(bits=bits, seed=seed).fit(data, show_progress=False).evaluate(data)
    score[kind.__name__] = (report.map_i2t, report.map_t2i)
assert len({len(rows) for rows in history.values()}) == 1  # equally long
print(f"{len(score)} methods, {bits} bits, {len(data.query)} queries")

# %% tags=["nbval-ignore-output"]
ours = np.array(score["ADAH, attention adversarial"])
print(f"{'':28s} {'MAP':^22s}   the game, minus this")
print(f"{'':28s} image → text  text → image   image → text  text → image")
for name, pair in sorted(score.items(), key=lambda item: sum(item[1])):
    less = ours - pair
    print(f"{name:28s} {pair[0]:12.3f} {pair[1]:13.3f} {less[0]:+14.3f} {less[1]:+13.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# From the lowest: frozen, adversarial, none. That is the order in the full runs, with 25 epochs and five seeds. The
# table above is **one short run with one seed**: its figures are lower, and a difference of .02 says nothing.
#
# </details>
#
# Each comparison answers another question.
#
# - *Against ITQ:* do labels and training pay at all? ITQ reads no labels.
# - *Against the frozen G:* does the game pay, given that something must be hidden?
# - *Against no attention:* does hiding pay? The paper claims so. On scenes it does not. A likely reason: with a part of
#   the picture hidden the code knows less, and our backgrounds hold nothing that could mislead it. A small object in a
#   large photograph, as in the paper's data, is another case.
#
# > **The note, the paper, the official code.**
# >
# > - *Code and figures.* No code was published for ADAH, so there is no preset `official`. We know of no confirmed MAP
# >   of ADAH on the common files, so we print none.
# > - *Who minimises.* The adversarial loss is stated as min over D and max over G; the total objective as min over E
# >   and D of all six terms. Ours follows the latter.
# > - *Steps.* They alternate; in what ratio is not said. Ours: `d_steps` and `g_steps`, one batch each.
# > - *Masks.* The note has no truth to measure masks by; the scenes do. IoU, precision and recall are ours.
#
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. E and D descend on six terms, G ascends on two. You wrote one step of each, compared all weights before and after,
#    and reached the library's weights.
# 2. You ran the game, replayed its masks, and measured them against a truth that training never saw, beside random
#    masks of equal area.
# 3. You compared three values of one option, with baselines beside them, and saw what hiding costs.
#
# **On a GPU.** `ck.ADAH(bits=32, preset="paper").fit(data)` plays the game on VGG-19's maps.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(adah.encode(images=data.query.images[:64])),
    losses={name: [row[name] for row in rows] for name in ("retrieval_loss", "adversarial_loss")},
    map_i2t=score["ADAH, attention adversarial"][0],
    map_t2i=score["ADAH, attention adversarial"][1],
    baseline_i2t=score["RandomHash"][0],
    baseline_t2i=score["RandomHash"][1],
    equal_to_library=library_gap,
    compared={name: list(pair) for name, pair in score.items()},
    fits=fits,
)
