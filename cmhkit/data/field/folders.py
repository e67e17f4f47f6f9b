"""The benchmarks as their makers publish them: folders of pictures, tags, captions and labels. Nothing is downloaded.

`layouts` declares what belongs to a folder. A parser here turns its odd text files into `reader.Content`, and the one
reader makes pairs of it, with the papers' protocol (`protocols`). Each loader takes a file in circulation of the same
benchmark too. Pictures are resized one at a time into the cache folder and stay there.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmhkit.data.features import check_features
from cmhkit.data.field.containers import expect, regular
from cmhkit.data.field.layouts import IAPR_LABELS_PAGE, MIRFLICKR_PAGE, NUSWIDE_PAGE, READERS, is_raw, unused
from cmhkit.data.field.options import SHARED, ReadOptions, public_reader
from cmhkit.data.field.protocols import MIRFLICKR_ALL, PROTOCOLS, BenchmarkProtocol
from cmhkit.data.field.reader import Content, load_file, log, marked, paired, read_text
from cmhkit.data.pairs import PairedData
from cmhkit.data.text import Vocabulary, as_tag, lines
from cmhkit.support.checks import InputError, check
from cmhkit.support.progress import progress

#: MIRFlickr's 24 labels; the stricter ones, of files that end in `_r1`, are left out.
MIRFLICKR_LABELS = tuple(
    "animals baby bird car clouds dog female flower food indoor lake male night people plant_life portrait river "
    "sea sky structures sunset transport tree water".split()
)
_NUSWIDE_PICTURES = 269648

Places = dict[str, Path]
Parser = Callable[[Places, ReadOptions, BenchmarkProtocol], Content]


def _load(
    path: Path,
    name: str,
    options: ReadOptions,
    parse: Parser,
    protocol: BenchmarkProtocol | None = None,
    title: str | None = None,
) -> PairedData:
    """A makers' folder through its parser, or a file in circulation, as pairs. title: of the pictures, for messages."""
    layout, protocol = READERS[name.partition("/")[0]], protocol or PROTOCOLS[name]
    if not is_raw(layout, path):
        return load_file(path, name, options)
    places = layout.required(path)
    check_features(options.features)
    content = parse({"root": path} | places, options, protocol)
    content.title = title or protocol.title
    content.unread = unused(path, places.values())
    if content.published and len(content.labels) != protocol.pairs:
        known = f"{protocol.title}: the papers have {protocol.pairs:,} pairs"
        log.warning("%s, this folder gives %s", known, f"{len(content.labels):,}")
    about = {"path": str(path), "protocol": protocol.title, "source": protocol.source}
    numbers = {"seed": options.seed, "resolution": int(options.resolution)}
    source, backbone = f"{path}: {protocol.title}", options.features
    return paired(name, content, protocol, options, source=source, backbone=backbone, details=about | numbers)


# MIRFlickr-25K.


@public_reader("mirflickr", *SHARED, "subset", "least", "missing")
def load_mirflickr(path: Path, options: ReadOptions) -> PairedData:
    """MIRFlickr-25K: photos from Flickr with their tags, 24 labels.

    path: the makers' folder (`mirflickr/` with pictures and `meta/tags/`, beside it `mirflickr25k_annotations_v080/`),
    or a file in circulation. subset: "20015", pairs with at least one label and one tag of those that at least `least`
    pictures have (DCMH's set: 2,000 queries, 10,000 to train); or "all" (UGACH's: 5 % queries, the rest is retrieval
    and training). None is "20015"; a file in circulation is its own subset. Texts are the tags; the bag of words holds
    0/1 for the tags that at least `least` pictures have (1,386 with 20), the commonest first. Others: `ReadOptions`.
    Errors: `InputError` for what is missing, with its makers' page, and for content that is not the benchmark's.
    Source: Huiskes and Lew, MIR 2008; Jiang and Li, CVPR 2017.
    """
    raw, everything = is_raw(READERS["mirflickr"], path), options.subset == "all"
    check(raw or options.subset is None, f"subset: expected none for a file in circulation, got {options.subset!r}")
    name, protocol = ("mirflickr/all", MIRFLICKR_ALL) if everything else ("mirflickr", PROTOCOLS["mirflickr"])
    return _load(path, name, options, _mirflickr, protocol)


def _mirflickr(places: Places, options: ReadOptions, protocol: BenchmarkProtocol) -> Content:
    pictures, tags = places["pictures"].parent, places["tags"].parent
    numbers = sorted(int(m[1]) for p in pictures.iterdir() if (m := re.fullmatch(r"im(\d+)\.jpg", p.name)))
    texts: list[list[str]] = []
    with progress(len(numbers), "Reading tags", options.show_progress) as step:
        for number in numbers:
            tags_of = map(as_tag, lines(read_text(tags / f"tags{number}.txt")))
            texts.append(list(dict.fromkeys(filter(None, tags_of))))
            step()
    vocabulary = _common_tags(texts, options.least)
    bag = vocabulary.bag_of_words([_listed(held) for held in texts])
    labels = _mirflickr_labels(places["labels"].parent, numbers)
    every = np.full(len(numbers), options.subset == "all")
    used = np.flatnonzero(every | (bag.any(axis=1) & labels.any(axis=1)))
    expect(len(used), f"pictures with a label and a tag in {places['root']}", f"none of {len(numbers):,}")
    return Content(
        images=[pictures / f"im{numbers[i]}.jpg" for i in used],
        texts=[_listed(texts[i]) for i in used],
        labels=labels[used],
        label_names=MIRFLICKR_LABELS,
        ids=np.array(numbers, dtype=np.int64)[used],
        vectors=bag[used],
        vocabulary=vocabulary,
        published=len(numbers) == MIRFLICKR_ALL.pairs,
    )


def _common_tags(texts: Sequence[Sequence[str]], least: int) -> Vocabulary:
    """The tags that at least `least` texts hold, the commonest first."""
    counts = Counter(tag for tags in texts for tag in tags)
    words = sorted((tag for tag, n in counts.items() if n >= least), key=lambda tag: (-counts[tag], tag))
    came = f"got none among {len(counts):,} tags of {len(texts):,} pictures"
    check(words, f"least: expected a tag that at least {least} pictures have, {came}")
    return Vocabulary(tuple(words), tags=True)


def _listed(tags: Iterable[str]) -> str:
    return ", ".join(tags)


def _mirflickr_labels(folder: Path, numbers: Sequence[int]) -> np.ndarray:
    missing = [f"{name}.txt" for name in MIRFLICKR_LABELS if not (folder / f"{name}.txt").is_file()]
    came = f"{', '.join(missing)} missing ({MIRFLICKR_PAGE})"
    check(not missing, f"path: expected 24 files of labels in {folder}, {came}")
    place = {str(number): row for row, number in enumerate(numbers)}
    labels = np.zeros((len(numbers), len(MIRFLICKR_LABELS)), dtype=np.uint8)
    for column, name in enumerate(MIRFLICKR_LABELS):
        for word in read_text(folder / f"{name}.txt").split():
            row = place.get(word.lstrip("0"))
            expect(row is not None, f"numbers of pictures in {folder / name}.txt", repr(word))
            labels[row, column] = 1
    return labels


# NUS-WIDE.


@public_reader("nuswide-tc10", *SHARED, "missing")
def load_nuswide_tc10(path: Path, options: ReadOptions) -> PairedData:
    """NUS-WIDE with its 10 commonest labels: 1 % queries, all others to train (UGACH). Else as `load_nuswide_tc21`."""
    return _load(path, "nuswide-tc10", options, _nuswide)


@public_reader("nuswide-tc21", *SHARED, "missing")
def load_nuswide_tc21(path: Path, options: ReadOptions) -> PairedData:
    """NUS-WIDE with its 21 commonest labels: photos with a bag of 1,000 tags; 2,100 queries, 10,500 to train.

    path: the makers' folder (`ImageList/`, `Groundtruth/AllLabels/`, `NUS_WID_Tags/`, pictures in `Flickr/`), or a
    file in circulation. Kept are pairs with at least one of the labels and one of the tags. The tag vectors are those
    of `AllTags1k.txt`, as DCMH has them; without that file they are made of `All_Tags.txt`, which differs in some rows.
    missing: many copies of the set are incomplete. Others: `ReadOptions`. 195,834 pictures at 224 need 30 GB of cache.
    Errors: `InputError` for what is missing, with its makers' page, and for files whose lengths disagree.
    Source: Chua et al., CIVR 2009; Jiang and Li, CVPR 2017.
    """
    return _load(path, "nuswide-tc21", options, _nuswide)


def _nuswide(places: Places, options: ReadOptions, protocol: BenchmarkProtocol) -> Content:
    listed = [line.strip().replace("\\", "/") for line in lines(read_text(places["list"])) if line.strip()]
    label_names, labels = _nuswide_labels(places, len(listed), protocol.labels, options.show_progress)
    words = tuple(map(as_tag, read_text(places["words"]).split()))
    different = len(set(words))
    expect(
        len(words) == different > 0,
        f"different tags in {places['words']}",
        f"{len(words)}, {different} of them different",
    )
    bag = _nuswide_tags(places, len(listed), words, options.show_progress)
    used = np.flatnonzero(labels.any(axis=1) & bag.any(axis=1))
    expect(len(used), f"pairs with a label and a tag in {places['root']}", f"none of {len(listed):,}")
    return Content(
        images=[_nuswide_picture(places["pictures"], listed[i]) for i in used],
        texts=[_listed(words[j] for j in np.flatnonzero(bag[i])) for i in used],
        labels=labels[used],
        label_names=label_names,
        ids=used.astype(np.int64),
        vectors=bag[used].astype(np.float32),
        vocabulary=Vocabulary(words, tags=True),
        published=len(listed) == _NUSWIDE_PICTURES,
    )


def _nuswide_picture(folder: Path, name: str) -> Path:
    """Where a picture of the list lies: in its concept's folder, or all pictures in one."""
    nested, flat = folder / name, folder / name.rsplit("/", 1)[-1]
    return flat if not nested.is_file() and flat.is_file() else nested


def _nuswide_labels(places: Places, n: int, count: int, show_progress: bool) -> tuple[tuple[str, ...], np.ndarray]:
    """The `count` commonest concepts, in alphabetical order, and the labels, uint8, shape (n, count)."""
    folder = places["labels"]
    files = {m[1]: p for p in sorted(folder.iterdir()) if (m := re.fullmatch(r"Labels_(.+)\.txt", p.name))}
    if "concepts" in places:
        lost = [f"Labels_{name}.txt" for name in read_text(places["concepts"]).split() if name not in files]
        source = f"{places['concepts'].name} says ({NUSWIDE_PAGE})"
        check(not lost, f"path: expected {''.join(lost[:1])} in {folder}, as {source}")
    least = f"at least {count} files Labels_NAME.txt in {folder}"
    expect(len(files) >= count, least, f"{len(files)} ({NUSWIDE_PAGE})")
    columns: dict[str, np.ndarray] = {}
    with progress(len(files), "Reading labels", show_progress) as step:
        for name, file in files.items():
            values = read_text(file).split()
            lines = f"{n:,} lines in {file}, one a picture of {places['list'].name}"
            expect(len(values) == n, lines, f"{len(values):,}")
            bad = next((value for value in values if value not in ("0", "1")), None)
            expect(bad is None, f"0 and 1 in {file}", repr(bad))
            columns[name] = np.array(values, dtype="U1") == "1"
            step()
    names = tuple(sorted(sorted(columns, key=lambda name: (-int(columns[name].sum()), name))[:count]))
    return names, np.column_stack([columns[name] for name in names]).astype(np.uint8)


def _nuswide_tags(places: Places, n: int, words: tuple[str, ...], show_progress: bool) -> np.ndarray:
    """Which of the words each pair has, uint8, shape (n, words)."""
    file = places.get("tags") or places.get("all tags")
    either = "NUS_WID_Tags/AllTags1k.txt or NUS_WID_Tags/All_Tags.txt"
    expect(file is not None, either, f"none of them ({NUSWIDE_PAGE})")
    bag, row, column = np.zeros((n, len(words)), dtype=np.uint8), 0, {word: i for i, word in enumerate(words)}
    expected = f"{n:,} lines in {file}, one a picture of {places['list'].name}"
    with regular(file).open("rb") as lines, progress(n, "Reading tags", show_progress) as step:
        for line in lines:
            if not line.strip():
                continue
            expect(row < n, expected, "more")
            if "tags" in places:
                digits = np.frombuffer(b"".join(line.split()), dtype=np.uint8)
                good = len(digits) == len(words) and bool(((digits == 48) | (digits == 49)).all())
                expect(good, f"{len(words)} times 0 or 1 in line {row + 1} of {file}", repr(line[:40]))
                bag[row] = digits - 48
            else:
                tags = map(as_tag, line.decode("utf-8", "replace").split()[1:])  # the first is the picture's number
                bag[row, [column[tag] for tag in tags if tag in column]] = 1
            row += 1
            step()
    expect(row == n, expected, f"{row:,}")
    return bag


# MS COCO 2014.


@public_reader("coco", *SHARED, "words", "missing", words=2000)  # the size is our choice: no paper says it
def load_coco(path: Path, options: ReadOptions) -> PairedData:
    """MS COCO 2014: photos, five captions as one text, 80 labels; 5,000 queries of `val2014`, 10,000 to train.

    path: the makers' folder (`annotations/` with captions and instances of train and val, `train2014/`, `val2014/`),
    or a file in circulation. Captions and labels are joined on the image's id. Pictures without a label are left out:
    nothing is relevant to them. Options: `ReadOptions`. Reading the largest file takes 0.9 GB of memory.
    Errors: `InputError` for what is missing, with its makers' page, and for files that are not COCO's.
    Source: Lin et al., ECCV 2014; Li et al., CVPR 2018.
    """
    return _load(path, "coco", options, _coco, title="MS COCO")


def _coco(places: Places, options: ReadOptions, protocol: BenchmarkProtocol) -> Content:
    pictures: list[tuple[int, Path, str, set[int], bool]] = []
    categories: dict[int, str] = {}
    with progress(4, "Reading captions and labels", options.show_progress) as step:
        for part in ("train", "val"):
            captions, instances = places[f"captions {part}"], places[f"instances {part}"]
            described = _coco_file(captions, "caption", "images", ("id", "file_name"))
            step()
            labelled = _coco_file(instances, "category_id", "categories", ("id", "name"))
            step()
            names = {item["id"]: item["name"] for item in labelled["categories"]}
            expect(categories in ({}, names), "the same categories in train and val", f"others in {instances}")
            categories = names
            texts: dict[int, list[str]] = defaultdict(list)
            for image, caption in described["annotations"]:
                texts[image].append(" ".join(str(caption).split()))
            labels: dict[int, set[int]] = defaultdict(set)
            for image, category in labelled["annotations"]:
                expect(category in names, f"categories of its own list in {instances}", repr(category))
                labels[image].add(category)
            for item in sorted(described["images"], key=lambda item: item["id"]):
                n, file = item["id"], places[f"pictures {part}"] / item["file_name"]
                expect(n in texts, f"a caption of each picture in {captions}", f"none of picture {n}")
                if n in labels:
                    pictures.append((n, file, " ".join(texts[n]), labels[n], part == "val"))
    both = f"pictures with captions and labels in {places['root']}"
    expect(pictures, both, "none: the files share no image id")
    ids, files, joined, held, validation = zip(*pictures, strict=True)
    order = sorted(categories)
    return Content(
        images=list(files),
        texts=list(joined),
        labels=marked(held, order),
        label_names=tuple(categories[c] for c in order),
        ids=np.array(ids, dtype=np.int64),
        query_from=np.array(validation),
    )


def _coco_file(file: Path, wanted: str, part: str, fields: tuple[str, str]) -> dict[str, Any]:
    """A COCO file: annotations as (image id, wanted), and the list `part`. Outlines are dropped while it is read."""

    def slim(item: dict[str, Any]) -> Any:
        return (item["image_id"], item[wanted]) if "image_id" in item and wanted in item else item

    def first_bad(key: str, good: Callable[[Any], bool]) -> str | None:
        return next((str(item)[:80] for item in content[key] if not good(item)), None)

    try:
        with regular(file).open(encoding="utf-8") as stream:
            content = json.load(stream, object_hook=slim)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"path: expected JSON in {file}, which cannot be read ({error})") from error
    lists = isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("annotations", part))
    came = ", ".join(content) if isinstance(content, dict) else type(content).__name__
    expect(lists, f"lists of annotations and {part} in {file}", came)
    bad = first_bad("annotations", lambda item: isinstance(item, tuple) and isinstance(item[0], int))
    expect(bad is None, f"annotations with image_id and {wanted} in {file}", str(bad))
    bad = first_bad(part, lambda item: isinstance(item, dict) and {*fields} <= {*item} and isinstance(item["id"], int))
    expect(bad is None, f"{part} with {' and '.join(fields)} in {file}", str(bad))
    return content


# IAPR TC-12.


@public_reader("iapr", *SHARED, "words", "missing", words=2912)  # as in the papers
def load_iapr(path: Path, options: ReadOptions) -> PairedData:
    """IAPR TC-12: photos, English descriptions, 255 labels of SAIAPR TC-12's regions; 2,000 queries, 10,000 to train.

    path: a folder with `images/NN/ID.jpg`, `annotations_complete_eng/NN/ID.eng` and `saiapr_tc-12/NN/labels.txt`, or a
    file in circulation. Kept are pictures with a description and a label. Options: `ReadOptions`.
    Errors: `InputError` for what is missing, with its makers' page, and for content that is not the benchmark's.
    Source: Grubinger et al., OntoImage 2006; Escalante et al., CVIU 2010.
    """
    return _load(path, "iapr", options, _iapr)


def _iapr(places: Places, options: ReadOptions, protocol: BenchmarkProtocol) -> Content:
    held: dict[int, set[int]] = defaultdict(set)
    files = sorted(places["labels"].glob("*/labels.txt"))
    expect(files, f"NN/labels.txt in {places['labels']}", f"none ({IAPR_LABELS_PAGE})")
    for file in files:
        for line in numbered_lines(file, (0, 1, 2), "the numbers of picture, region and label"):
            held[int(line[0])].add(int(line[2]))
    described = {int(p.stem): p for p in sorted(places["texts"].glob("*/*.eng")) if p.stem.isdigit()}
    both = sorted(held.keys() & described.keys())
    came = f"{len(described):,} descriptions and {len(held):,} with labels"
    expect(both, f"pictures with a description and a label in {places['root']}", came)
    pictures, texts = [], []
    with progress(len(both), "Reading descriptions", options.show_progress) as step:
        for number in both:
            text = read_text(described[number], "latin-1")
            match = re.search(r"<DESCRIPTION>(.*?)</DESCRIPTION>", text, re.DOTALL | re.IGNORECASE)
            expect(match, f"<DESCRIPTION> in {described[number]}", repr(text[:40]))
            texts.append(" ".join(html.unescape(match[1]).split()))  # type: ignore[index]
            pictures.append(places["pictures"] / described[number].parent.name / f"{number}.jpg")
            step()
    labels = [held[number] for number in both]
    order = sorted(set().union(*labels))
    named = lines(read_text(places["names"], "latin-1")) if "names" in places else []
    pairs = [line.split(maxsplit=1) for line in named]
    names = {int(pair[0]): pair[1].strip() for pair in pairs if len(pair) == 2 and pair[0].isdigit()}
    return Content(
        images=pictures,
        texts=texts,
        labels=marked(labels, order),
        label_names=tuple(names.get(label, f"label {label}") for label in order),
        ids=np.array(both, dtype=np.int64),
    )


def numbered_lines(file: Path, numbers: Sequence[int], expected: str) -> list[list[str]]:
    """The lines of a file, three words each; those at the places `numbers` must be whole numbers."""
    rows = []
    for n, line in enumerate(lines(read_text(file, "latin-1")), start=1):
        words = line.split()
        good = len(words) == 3 and all(words[i].isascii() and words[i].isdigit() for i in numbers)
        expect(good or not words, f"{expected} in line {n} of {file}", repr(line[:60]))
        rows += [words] if words else []
    return rows
