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
#     walks_through: a folder of pictures and tags, the command line, benchmark files, full models on a GPU
#     widget: retrieval explorer
#     minutes: 35
# ---

# %% [markdown]
# # 42 · Your own data
#
# After this notebook you can
#
# 1. turn a folder of your own pictures and texts into a data set, and read the report on what was left out;
# 2. ask the questions that a split must answer: who asks, which pictures are twins, who is learned from, and what is
#    relevant;
# 3. train with and without labels, save the result, and encode a picture that was not there before;
# 4. do this from the command line too, read a benchmark's file, and say what changes on a GPU.
#
# Reading takes 35 minutes, running takes about half a minute. The notebook makes a small folder for itself; at its end
# you can put in yours.
#
# | what | in cmhkit | shape |
# | --- | --- | --- |
# | pictures, as squares | `data.images` | (n, side, side, 3) uint8 |
# | texts, as counts of known words | `data.text_vectors` | (n, words) |
# | labels, or None | `data.labels` | (n, c), 0 or 1 |
# | who asks, is searched, is learned from | `data.parts` | positions |
# | what was read and what was not | `data.report` | a text |

# %% tags=["parameters"]
size = "tiny"
seed = 0
bits = 32
results_path = ""

# %%
import tempfile
import textwrap
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

import cmhkit as ck
from cmhkit.course import widgets
from cmhkit.course.lessons import lesson_42 as q
from cmhkit.course.lessons import notebook as nb

rng = nb.setup(seed, torch=True)

# %% [markdown]
# ## A folder, made here
#
# The simplest form of a data set is a folder with pictures, and beside each picture a text file of the same name,
# `0007.bmp` and `0007.txt`. We make one out of scenes, in a temporary place that is removed when the notebook's kernel
# ends. `short` is for printing only.

# %%
scenes = ck.data.load("scenes", size=size, show_progress=False)
count = min(600, len(scenes))
room = tempfile.TemporaryDirectory()
place = Path(room.name).resolve()
made = place / "my_pictures"
made.mkdir()
for i in range(count):
    Image.fromarray(scenes.images[i]).save(made / f"{i:04d}.bmp")
    (made / f"{i:04d}.txt").write_text(scenes.texts[i], encoding="utf-8")


def short(text):
    """A text without the temporary place, which is another one at each run, in lines of at most 84 characters."""
    lines = str(text).replace(str(place), "TEMP").splitlines()
    return "\n".join(textwrap.fill(line, 84, subsequent_indent="      ", break_on_hyphens=False) for line in lines)


print(short(f"{count} pictures, {count} texts; the first: {scenes.texts[0]}"))


# %% [markdown]
# (BMP has no compression, so its bytes do not depend on the version of a library, which matters below. Yours may be
# JPEG or PNG.)
#
# Real folders are seldom clean. So we add some broken files.

# %%
whole = (made / "0000.bmp").read_bytes()
wrong = {
    "cut.bmp": whole[:5000],  # a download that stopped
    "empty.png": b"",
    "page.jpg": b"<html>not found</html>",  # an error page under a picture's name
    "phone.heic": whole,
    "silent.bmp": whole,  # its text will be empty
    "accent.bmp": whole,  # its text will be in an old encoding
    "alone.bmp": whole,  # no text at all
    "budget.pdf": b"%PDF-1.7",
}
texts = {f"{name}.txt": b"a dog" for name in ("cut", "empty", "page", "phone")}
texts |= {"silent.txt": b"  \n", "accent.txt": "café".encode("latin-1")}
for name, content in (wrong | texts).items():
    (made / name).write_bytes(content)

# %% [markdown]
# And one that is odd but readable: a GIF with two pictures.

# %%
frames = [Image.fromarray(picture) for picture in scenes.images[:2]]
texts["moving.txt"] = (made / "0000.txt").read_bytes()
(made / "moving.txt").write_bytes(texts["moving.txt"])
frames[0].save(made / "moving.gif", save_all=True, append_images=frames[1:])

# %% [markdown]
# **Predict.** Which of `cut.bmp`, `page.jpg`, `silent.bmp`, `alone.bmp` and `moving.gif` will be in the data set? Or
# will loading stop with an error?
#
# `ck.data.load("folder:PATH")` reads it. `side` is the side of the squares in pixels. `features` names the network that
# turns pictures into features, for the methods that read these: `"scenenet"` is for drawings.


# %%
def load(folder, features="scenenet", side=64, progress=False, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the report, which we print, says more
        return ck.data.load(f"folder:{folder}", features=features, side=side, show_progress=progress, **options)


data = load(made)
print(short(data.report))

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only `moving.gif`, with a remark: the first of its pictures counts. The others are left out, each with its reason. One
# bad file does not stop the loading, and none is left out silently. The file that is neither picture nor text is
# counted and left alone.
#
# </details>
#
# **Read this report before you train.** A few skipped files are normal. "no .txt file beside it (550)" means a wrong
# folder or a wrong option.
#
# We take the broken files out again.

# %%
for name in [*wrong, *texts, "moving.gif"]:
    (made / name).unlink()
data = load(made)
print(short(data.report))
assert not data.report.skipped and len(data) == count

# %% [markdown]
# ### Pictures become squares
#
# Networks want squares of one size. A picture that is not square is fitted in with grey bars, a **letterbox**. With
# `resize="crop"` its middle is cut out instead.

# %%
wide = np.concatenate([scenes.images[0], scenes.images[1], scenes.images[2]], axis=1)
Image.fromarray(wide).save(place / "wide.bmp")
boxed, cropped = (ck.data.folder.read_photos([place / "wide.bmp"], side=64, resize=r)[0] for r in ("letterbox", "crop"))
nb.gallery(
    [boxed, cropped],
    alts=["Three scenes side by side, small, with grey bars above and below.", "The middle scene alone, large."],
    captions=["letterbox", "crop"],
    caption="Three scenes in one wide file, as a square of 64 pixels.",
    width=150,
)

# %% [markdown]
# ### Exercise 1: the letterbox
#
# In: `width`, `height` and `side`, whole numbers of pixels. The picture goes into the square whole and centred. Out:
# four whole numbers, its new width, its new height, the bar on its left and the bar above it. Use `round` for the
# sizes, and `// 2` for the bars.


# %%
def letterbox(width, height, side): ...


q.q1.check(letterbox)
# q.q1.hint()
# q.q1.solution()

# %% [markdown]
# The same written out for our wide file: the rows that are not grey are where the picture should be.

# %%
tall, broad = wide.shape[:2]
rows_taken = round(tall * 64 / broad)
above = (64 - rows_taken) // 2
bars = (boxed == ck.data.folder.BARS).all(axis=(1, 2))
by_hand = np.ones(64, bool)
by_hand[above : above + rows_taken] = False
assert (bars == by_hand).all()
print(f"{broad}×{tall} becomes 64×{rows_taken}, below a bar of {above} rows")

# %% [markdown]
# ### Photographs
#
# SceneNet knows drawings only. For photographs there is EfficientNet-Lite0, the default of `folder:`. Its weights are a
# package
# of their own. If it is missing, you are told before any picture is read. We hide the package for a moment, so that you
# see the message in any case.

# %%
import sys
from unittest import mock

from cmhkit.data.photos import PACKAGE

try:
    with mock.patch.dict(sys.modules, {PACKAGE: None}):
        load(made, features="efficientnet-lite0")
except ck.InputError as error:
    print(short(error))

# %% [markdown]
# ## Four questions to a split
#
# ### Who asks?
#
# A query must not be trained on. A common way to split is to shuffle all files with a seed. But add ten pictures, and
# the shuffle is another one: pictures that yesterday's model was trained on are queries today.
#
# So here a picture's part follows from **its content alone**. A checksum of the file's bytes is read as a number
# between 0 and 1. If it is below the share of queries, .1, the picture asks.

# %%
import hashlib


def mark_of(content):
    checksum = hashlib.sha256(content).digest()
    return hashlib.blake2b(checksum, digest_size=16, person=b"cmhkit split").digest()


print(mark_of(b"a picture").hex())
print(mark_of(b"a picturf").hex())

# %% [markdown]
# One letter was changed, and the two checksums have nothing in common.
#
# ### Exercise 2: from content to part
#
# In: `mark`, a checksum of 16 bytes, and `share`, a number from 0 to 1. Read the first 8 bytes as one whole number, the
# first byte the most significant, and divide by 2**64. Out: True if the result is below `share`.


# %%
def asks(mark, share): ...


q.q2.check(asks)
# q.q2.hint()
# q.q2.solution()

# %% [markdown]
# Written out for the whole folder, and equal to the library's split:

# %%
marks = [mark_of((made / file).read_bytes()) for file in data.details["files"]]
numbers = np.array([int.from_bytes(mark[:8], "big") for mark in marks]) / 2**64
ours = np.flatnonzero(numbers < 0.1)
split_gap = len(np.setxor1d(ours, data.parts["query"]))
assert split_gap == 0
print(f"{len(ours)} of {len(data)} ask: a share of {len(ours) / len(data):.3f}, where .1 was asked for")

# %% [markdown]
# The share is met on average only.
#
# **Predict.** We take a third of the pictures away and load again. How many of the pictures that are left change their
# part?

# %%
part_of = {data.details["files"][i]: part for part in ("query", "retrieval") for i in data.parts[part]}
kept = place / "fewer"
kept.mkdir()
for i in range(count):
    if i % 3:
        for ending in ("bmp", "txt"):
            (kept / f"{i:04d}.{ending}").write_bytes((made / f"{i:04d}.{ending}").read_bytes())
fewer = load(kept)
moved = [
    file
    for part in ("query", "retrieval")
    for file in (fewer.details["files"][i] for i in fewer.parts[part])
    if part_of[file] != part
]
print(f"{len(fewer)} of {len(data)} pictures are left; {len(moved)} changed their part")
assert not moved

# %% [markdown]
# <details><summary>Answer</summary>
#
# None. The same holds when pictures are added, renamed, or copied to another machine, since only the content counts.
#
# </details>
#
# ### Which pictures are twins?
#
# Two files with equal bytes have equal checksums, so they are always in one part. But a picture that was saved again,
# or sent through a messenger, has other bytes. We make 40 such twins: one pixel in a corner is changed.

# %%
for i in range(40):
    pixels = scenes.images[i].copy()
    pixels[0, 0] = 255 - pixels[0, 0]
    Image.fromarray(pixels).save(made / f"again_{i:04d}.bmp")
    (made / f"again_{i:04d}.txt").write_text(scenes.texts[i], encoding="utf-8")
twins = load(made)
print(len(twins), "pairs")

# %% [markdown]
# A query whose twin is in the retrieval set is too easy: it finds itself. So look for twins before you believe a
# figure.
#
# ### Exercise 3: find the twins
#
# In: `query` and `retrieval`, pictures, uint8, shapes (n, R, R, 3) and (m, R, R, 3); `limit`, a number. Out: bool (n,),
# True where some picture of `retrieval` differs by at most `limit`, on average over its pixels and colours.


# %%
def has_twin(query, retrieval, limit): ...


q.q3.check(has_twin)
# q.q3.hint()
# q.q3.solution()

# %% [markdown]
# Ours looks at every fourth row and column only, for speed:


# %%
def nearest(some):
    """For each query the mean difference, per pixel and colour, to the most similar picture of the retrieval set."""
    asked, searched = (part.images[:, 2::4, 2::4].astype(np.int16) for part in (some.query, some.retrieval))
    return np.array([np.abs(searched - picture).mean(axis=(1, 2, 3)).min() for picture in asked])


for name, some in (("with the changed copies", twins), ("before", data)):
    print(f"{name}: {(nearest(some) <= 2).sum()} of {len(some.query)} queries have a twin")

# %% [markdown]
# No library can say which twins are wrong: two photos of one product may be what you want to find. You decide, and say
# so. Here we remove them.

# %%
for file in made.glob("again_*"):
    file.unlink()
data = load(made)
assert (nearest(data) <= 2).sum() == 0

# %% [markdown]
# ### Who is learned from?
#
# All that is not a query is **searched**. By default a method may also learn from all of it: that suits an archive that
# stays as it is. But then the method is judged on pictures that it knows. With `train=0.5` about half of them are never
# seen in training: that suits an archive that grows. It is drawn from the content too, so the queries stay as they are.

# %%
half = load(made, train=0.5)
for name, some in (("train=1.0", data), ("train=0.5", half)):
    print(f"{name}: query {len(some.query)}, retrieval {len(some.retrieval)}, of these train {len(some.train)}")
assert (half.parts["query"] == data.parts["query"]).all()

# %% [markdown]
# ### What is relevant?
#
# Our folder has no labels. Then nobody knows what is relevant, and there is nothing to measure. The library says so:

# %%
baseline = ck.RandomHash(bits=bits, seed=seed).fit(data, show_progress=False)
try:
    baseline.evaluate(data)
except ck.InputError as error:
    print(error)

# %% [markdown]
# ## From the command line
#
# Two commands do the same without a notebook. `train` makes a *run folder*, which keeps options, codes, the hasher and
# a report as a web page; `search` asks it. We start them from here; in a terminal you type what stands behind the
# `$`. We train ITQ, which is quick; write `ugach` in its place, or `ssah` where there are labels.

# %%
import subprocess


def command(*words):
    print(short(" ".join(map(str, ("$ cmhkit", *words)))))
    done = subprocess.run(
        [sys.executable, "-m", "cmhkit", *map(str, words)], capture_output=True, text=True, encoding="utf-8"
    )
    lines = short(done.stdout if done.returncode == 0 else done.stderr).splitlines()
    print(*lines, f"(exit code {done.returncode})", sep="\n", end="\n\n")
    return done.returncode


options = ["--data-option", "features=scenenet", "--data-option", "side=64"]
codes_of_exit = [
    command("train", "itq", "--out", place / "run", "--data", f"folder:{made}", *options, "--bits", bits, "--quiet")
]

# %%
codes_of_exit.append(command("search", place / "run", "bird", "-k", 3))

# %% [markdown]
# A mistake is told in one line, with exit code 2, so that a script can stop:

# %%
codes_of_exit.append(
    command("train", "itq", "--out", place / "other", "--data", f"folder:{place / 'nowhere'}", *options)
)
assert codes_of_exit == [0, 0, 2]

# %% [markdown]
# ## Without labels: UGACH
#
# UGACH (lessons 10 to 12) needs no labels. A short run; the preset has more steps.

# %%
game = {"pretrain_steps": 120, "rounds": 3, "pool": 250}
ugach = ck.UGACH(bits=bits, seed=seed, device="cpu", **game).fit(data, show_progress=False)
print(ugach, len(ugach.history_), "rows of history")

# %% [markdown]
# It cannot be measured, but it can be used. Type words, get pictures:


# %%
def search(hasher, some, words, k=6):
    """Show the pictures of the retrieval set that are nearest to words."""
    index = ck.index.HammingIndex(hasher.encode(images=some.retrieval))
    hits = index.search(hasher.encode(texts=[words]), k=k)
    texts = [some.retrieval.texts[i] for i in hits.ids[0]]
    nb.gallery(
        [some.retrieval.images[i] for i in hits.ids[0]],
        alts=[f"Result {n}, whose text is: {text[:60]}" for n, text in enumerate(texts, 1)],
        captions=[f"{n}. distance {d}" for n, d in enumerate(hits.distances[0], 1)],
        caption=f"The nearest to “{words}”, {type(hasher).__name__}, {hasher.bits} bits.",
        width=100,
    )


# %% tags=["nbval-ignore-output"]
search(ugach, data, "bird")

# %% [markdown]
# This search read no text of these pictures: it compared the code of your words with codes of pixels. With half a
# thousand pairs, expect misses.
#
# ## With labels: SSAH
#
# Labels can come in two ways: from the names of the folders that hold the pictures (one label each), or from a table
# with the columns `file`, `text`, `labels`. Several labels in a cell have a semicolon between them. We write a table;
# where there is one, the `.txt` files are not read.

# %%
import csv

rows = [["file", "text", "labels"]]
for i in range(count):
    labels = [scenes.label_names[c] for c in np.flatnonzero(scenes.labels[i])]
    rows.append([f"{i:04d}.bmp", scenes.texts[i], ";".join(labels)])
with (made / "captions.csv").open("w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows(rows)
print(*(short(row) for row in rows[:3]), sep="\n")

labelled = load(made)
print(short(labelled.report))

# %% [markdown]
# **Predict.** Did the split change, now that there are labels?

# %%
assert all((labelled.parts[part] == data.parts[part]).all() for part in data.parts)
assert (labelled.text_vectors == data.text_vectors).all()
print("the same pictures ask, and the words are the same")

# %% [markdown]
# <details><summary>Answer</summary>
#
# No: it follows from the pictures alone. So the UGACH from above can be measured *now*, with labels that it never saw.
#
# </details>
#
# SSAH (lessons 30 to 32) reads the labels of the training pairs, never those of queries. The preset has larger batches;
# five hundred pairs would make few steps an epoch with them.

# %%
stages = {"epochs": 20, "batch": 64, "pools": ()}  # without the fusion of lesson 31, for speed
ssah = ck.SSAH(bits=bits, seed=seed, device="cpu", **stages).fit(labelled, show_progress=False)
itq = ck.ITQ(bits=bits, seed=seed).fit(labelled, show_progress=False)
score = {}
for hasher in (baseline, itq, ugach, ssah):
    report = hasher.evaluate(labelled)
    score[type(hasher).__name__] = (report.map_i2t, report.map_t2i)
print(f"{len(score)} methods, {len(labelled.query)} queries")

# %% tags=["nbval-ignore-output"]
print(f"MAP, {bits} bits   image → text  text → image")
for name, (i2t, t2i) in score.items():
    print(f"{name:13s} {i2t:12.2f} {t2i:13.2f}")

# %% [markdown]
# Compare with random codes, and with ITQ, which has no network: a method that costs more should give more. Two
# cautions.
#
# - With so few queries and so short a run, a difference of a few hundredths says nothing. And SSAH was *told* what is
#   relevant, UGACH was not.
# - SSAH learned from the very pictures that are searched, with their labels, since `train` is 1 here. Load with
#   `train=0.5` to see how it places new ones.
#
# The explorer works on any data set. Where there are labels it marks what is relevant.

# %% tags=["nbval-ignore-output"]
explorer = widgets.RetrievalExplorer(labelled, {"SSAH": ssah, "UGACH": ugach}, k=8, words="bird")
explorer

# %% [markdown]
# The same as still pictures:

# %% tags=["nbval-ignore-output"]
explorer.small_multiples({"method": "SSAH", "k": 4}, {"method": "UGACH", "k": 4})

# %% [markdown]
# ## Keep it, and use it on a new picture
#
# A fitted hasher is one file: networks, words, options, and the name of the network for pictures. It can be loaded
# without the data.

# %%
kept_file = ssah.save(place / "ssah.safetensors")
again = ck.load(kept_file)
before, after = (hasher.encode(texts=labelled.query) for hasher in (ssah, again))
save_gap = int(np.abs(before.astype(int) - after.astype(int)).max())
assert save_gap == 0
print(short(kept_file), "gives the same codes;", again)

# %% [markdown]
# A new picture must be made square as the training pictures were: by `read_photos`, with the same `side` and `resize`.
# Here it is our wide file, which no method was trained on.

# %%
new = ck.data.folder.read_photos([place / "wide.bmp"], side=labelled.details["side"], resize=labelled.details["resize"])
code = again.encode(images=new)
index = ck.index.HammingIndex(again.encode(texts=labelled.retrieval))
nearest_texts = index.search(code, k=3)
print("picture", new.shape, "→ code", code.shape, f"of {again.bits} bits; texts found: {nearest_texts.ids.shape[1]}")

# %% tags=["nbval-ignore-output"]
for item, distance in zip(nearest_texts.ids[0], nearest_texts.distances[0]):
    print(f"distance {distance:2d}  {labelled.retrieval.texts[item][:80]}")

# %% [markdown]
# ## Now yours
#
# Put the path of your folder between the quotation marks and run from here. It needs pictures, and texts in one of
# three ways: a `.txt` beside each, a table, or folders whose names say what is in them. A hundred pairs are few; a
# thousand are a start. While it is empty, the folder made above stands in.

# %%
folder = ""  # for example "~/Pictures/holiday"
features = "efficientnet-lite0"  # "scenenet" for drawings
words = ""  # what to look for; empty: the commonest word

yours = load(Path(folder).expanduser(), features, 224, progress=True) if folder else labelled
print(short(yours.report) if folder else "no folder given: the made one stands in")
print(
    f"query {len(yours.query)}, retrieval {len(yours.retrieval)}, train {len(yours.train)}; labels: "
    f"{'none' if yours.labels is None else yours.labels.shape[1]}"
)

# %% [markdown]
# With labels we take SSAH, without them UGACH.

# %%
if not folder:
    mine = ssah
elif yours.labels is None:
    mine = ck.UGACH(bits=bits, seed=seed).fit(yours)
else:
    mine = ck.SSAH(bits=bits, seed=seed).fit(yours)
print("with", type(mine).__name__)

# %% tags=["nbval-ignore-output"]
search(mine, yours, words or yours.vocabulary.words[0])

# %% [markdown]
# With labels you can measure, once you have looked for twins:

# %% tags=["nbval-ignore-output"]
print("no labels: nothing to measure" if yours.labels is None else mine.evaluate(yours))

# %% [markdown]
# ## Benchmark files
#
# The field's data sets are passed on as files: MATLAB's or HDF5, with pictures or features, texts and labels under
# short keys. We make a tiny one, in MATLAB's version 5, with the keys of the Wikipedia benchmark: `I_tr` for the
# pictures' features of the training part, `T_te` for the texts of the test part, and so on.

# %%
from scipy.io import savemat

keys = {}
for end, part in (("tr", labelled.train), ("te", labelled.query)):
    keys[f"I_{end}"] = part.images[:, ::16, ::16].reshape(len(part), -1) / 255  # 16 pixels, as if they were features
    keys[f"T_{end}"] = part.text_vectors[:, :50]
    keys[f"L_{end}"] = part.labels
savemat(place / "mine.mat", keys)
print(short({key: value.shape for key, value in keys.items()}))

# %% [markdown]
# `mat:PATH` is told nothing more. It looks at keys, shapes and types, checks the sizes against each other, and says
# what it recognised. Read that before you go on.

# %%
found = ck.data.load(f"mat:{place / 'mine.mat'}", show_progress=False)
print(short(found.details["recognised"]))
print(short(found))
assert (found.query.labels == labelled.query.labels).all()

# %% [markdown]
# The file has its own split, and it is kept: test asks, training is searched. A query that is found again in the
# training part, with the same features, text and labels, is an error, unless you say `repeated="drop"` or `"keep"`.
# There are no pictures to look at, only features. And words cannot be typed, since the file does not say which column
# stands for which word.
#
# **Predict.** Which of these four files is read: one without `L_te`; one with a label row too few; a web page that was
# saved as `.mat`; a Python pickle called `.mat`?

# %%
import pickle

savemat(place / "no_key.mat", {key: value for key, value in keys.items() if key != "L_te"})
savemat(place / "too_few.mat", keys | {"L_te": keys["L_te"][:-1]})
(place / "page.mat").write_text("<html>please sign in</html>")
(place / "pickle.mat").write_bytes(pickle.dumps(keys))

for name in ("no_key", "too_few", "page", "pickle"):
    try:
        ck.data.load(f"mat:{place / name}.mat", show_progress=False)
    except ck.InputError as error:
        print(short(error), end="\n\n")

# %% [markdown]
# <details><summary>Answer</summary>
#
# None. Each message says what was expected and what came. A pickle is never opened: loading one runs whatever code its
# maker put in.
#
# </details>
#
# > **The note, the paper, the official code.** A paper names a benchmark, and its code names a file; neither says which
# > variant the file holds. The same key can hold pixels in one file and features in another, with items in the rows or
# > in the columns, in MATLAB 5 or as HDF5. So figures of two papers on "MIRFlickr" need not be comparable.
# > `ck.data.load("mirflickr:PATH")` takes the makers' own folder or such a file, and gives the papers' protocol;
# > NUS-WIDE, MS COCO, IAPR TC-12 and Wikipedia have readers too. Nothing is downloaded: `cmhkit data check PATH` says
# > what is there, what is missing, and where the makers publish it.
#
# ## On a GPU: the papers' networks
#
# The preset `lab` is made for a laptop: frozen features and small layers. `preset="paper"` takes the paper's own: for
# SSAH it is CNN-F on pictures of 224 pixels, trained with the rest. Here is one epoch of it, on our folder, if there is
# a GPU. The network starts untrained, so this only shows that it runs. For real training give the weights of a
# pretrained CNN-F with `weights=PATH` (MatConvNet's `imagenet-vgg-f.mat`), and leave `epochs` out.

# %%
import torch

if torch.cuda.is_available():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "CNN-F starts untrained": so it does
        full = ck.SSAH(bits=bits, seed=seed, preset="paper", epochs=1, device="cuda").fit(labelled, show_progress=False)
    print(f"one epoch of preset='paper' on the GPU: codes {full.encode(images=labelled.query).shape}")
else:
    print("SKIPPED: there is no CUDA device here, so preset='paper' was not run.")

# %% [markdown]
# ## Quiz

# %%
q.quiz1

# %% [markdown]
# ## Recap
#
# 1. You made a folder a data set, and read in its report what was left out and why. Pictures became squares with bars,
#    and you computed where the bars are.
# 2. You asked who asks (a file's content says it, and you found the library's split by hand), which pictures are twins
#    (a checksum does not see them), who is learned from, and what is relevant (without labels, nobody knows).
# 3. You trained ITQ from the command line, UGACH without labels and SSAH with them, saved a hasher, and encoded a
#    picture that came later.
# 4. You read a benchmark's file, and saw four that are refused.
#
# **On a GPU.**
# `cmhkit train ssah --preset paper --set weights=PATH --data mirflickr:PATH --data-option features=none --out RUN`.
# CNN-F reads the pictures itself, so no features are asked for.

# %%
nb.results(
    results_path,
    codes=ck.codes.unpack(ssah.encode(images=labelled.query)),
    map_i2t=score["SSAH"][0],
    map_t2i=score["SSAH"][1],
    baseline_i2t=score["RandomHash"][0],
    baseline_t2i=score["RandomHash"][1],
    losses={"ugach": [row["d_loss"] for row in ugach.history_]},
    equal_to_library=[split_gap, save_gap],
)
