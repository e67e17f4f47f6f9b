"""Words that no tag has: what searching by meaning gains over the bag of words, on a real set of captioned pictures.

Run:  python -m bench.words        (about ten minutes on one core; needs the extras words and photos)

The pictures are Tux Paint's stamps, of Debian's package tuxpaint-stamps-default, which apt-get fetches into a temporary
folder: photographs and drawings, each with a caption in English, in folders that say what is in them. They are not
stored. Pages of a few searches are written to out/words/, which git leaves alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cmhkit as ck
from bench.quality import cell, map_both_ways
from bench.report import machine, table, write_section
from bench.validation import WIKIPEDIA_SSAH_OPTIONS
from cmhkit.app import runs
from cmhkit.data.pairs import PairedData
from cmhkit.data.sentences import MODEL, sentence_vectors
from cmhkit.data.text import Vocabulary
from cmhkit.support.files import write_atomically

PACKAGE = "tuxpaint-stamps-default"
SEEDS, BITS, QUERIES = range(5), 32, 100
#: What differs from the preset `lab`: graphs and pools for some 440 training pairs in place of thousands. SSAH has the
#: options that were chosen for Wikipedia's 2,173.
OPTIONS: dict[str, dict[str, Any]] = {
    "CCA": {},
    "ITQ": {},
    "UGACH": {"k_text": 10, "pool": 200},
    "ADAH": {},
    "SSAH": WIKIPEDIA_SSAH_OPTIONS,
}
FEATURES = ("bag", "minilm")
WORDS = ("bird", "puppy", "automobile")
# Letters, digits and notes say nothing that a picture could be searched by.
_LEFT_OUT = "symbols"
_RESULTS, _PAGES = Path(__file__).parent / "results", Path(__file__).parents[1] / "out" / "words"


@contextlib.contextmanager
def stamps() -> Iterator[Path]:
    """The stamps as a folder that `folder:` reads, for the time of a block: PNG pictures with a caption, in the folder
    of the package that holds them, and beside each a text file with its first line, the English one.
    """
    with tempfile.TemporaryDirectory() as place:
        top, out = Path(place) / "package", Path(place) / "stamps"
        subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=place, check=True, capture_output=True)
        (package,) = Path(place).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(top)], check=True)
        root = top / "usr/share/tuxpaint/stamps"
        for picture in sorted(root.rglob("*.png")):
            name, text = picture.relative_to(root), picture.with_suffix(".txt")
            if name.parts[0] == _LEFT_OUT or not text.is_file():
                continue
            caption = text.read_text(encoding="utf-8").split("\n")[0].strip()
            holder = out / " ".join(name.parts[:-1])
            holder.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, holder / name.name)
            (holder / text.name).write_text(caption, encoding="utf-8")
        shutil.rmtree(top)
        yield out


def read(folder: Path, features: str) -> PairedData:
    """All stamps, their pictures through one of the backbones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is skipped is in the report
        return ck.data.load(f"folder:{folder}", texts="sidecar", features=features, show_progress=False)


def split(data: PairedData, seed: int, text_features: str) -> PairedData:
    """A split of its own for each seed: 100 queries, the others are searched and learned from."""
    order = np.random.default_rng(seed).permutation(len(data))
    query, rest = np.sort(order[:QUERIES]), np.sort(order[QUERIES:])
    vocabulary = Vocabulary.build([data.texts[i] for i in rest])
    by_meaning = text_features == "minilm"
    vectors = sentence_vectors(data.texts) if by_meaning else vocabulary.bag_of_words(data.texts)
    parts = {"query": query, "retrieval": rest, "train": rest}
    return replace(data, parts=parts, vocabulary=vocabulary, text_vectors=vectors, text_features=text_features)


def measure(sets: dict[str, PairedData], file: Path, fresh: bool) -> dict[str, Any]:
    """Every run, each kept as soon as it is done."""
    done: dict[str, Any] = {} if fresh or not file.exists() else json.loads(file.read_text(encoding="utf-8"))
    for seed in SEEDS:
        for name, options in OPTIONS.items():
            whole = sets["scenenet" if name == "ADAH" else "efficientnet-lite0"]
            for features in FEATURES:
                key = f"{name}, {features}, seed {seed}"
                if key in done:
                    continue
                data = split(whole, seed, features)
                started = time.process_time()
                hasher = getattr(ck, name)(bits=BITS, seed=seed, **options).fit(data, show_progress=False)
                done[key] = {"map": map_both_ways(hasher, data), "seconds": time.process_time() - started}
                write_atomically(file, lambda path: path.write_text(json.dumps(done, indent=1), encoding="utf-8"))
                print(key, [round(x, 3) for x in done[key]["map"]], f"{done[key]['seconds']:.0f} s", flush=True)
    return done


def search(folder: Path, where: Path) -> list[list[str]]:
    """UGACH trained on the folder from the command line's code, a page for each of a few words, and what came first."""
    rows, options = [], [f"{name}={value}" for name, value in OPTIONS["UGACH"].items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for features in FEATURES:
            run, given = where / features, ["texts=sidecar", f"text_features={features}"]
            quiet = {"fresh": True, "say": lambda line: None}
            runs.train("ugach", run, data=f"folder:{folder}", data_options=given, bits=BITS, options=options, **quiet)
            for word in WORDS:
                notes: list[str] = []
                try:
                    found = runs.search(run, word, k=8, say=notes.append)
                except ck.InputError as error:
                    rows.append([f"`{word}`", features, str(error).partition(";")[0]])
                    continue
                runs.write_search_page(run, where / f"{word}-{features}.html", found, word, notes=notes)
                captions = "; ".join(f"{row['text']} ({row['distance']})" for row in found[:5])
                rows.append([f"`{word}`", features, captions])
    return rows


def report(data: PairedData, done: dict[str, Any], found: list[list[str]]) -> str:
    """The section of RESULTS.md."""

    def of(name: str, features: str) -> list[list[float]]:
        return [done[f"{name}, {features}, seed {seed}"]["map"] for seed in SEEDS]

    rows = []
    for name in OPTIONS:
        gain = np.subtract(of(name, "minilm"), of(name, "bag"))
        rows.append([name, *(cell(of(name, features)) for features in FEATURES), cell(gain.tolist())])
    chance = np.mean([ck.graphs.label_similarity(s.query.labels, s.retrieval.labels).mean() for s in splits(data)])
    unknown = np.mean([not s.query.text_vectors[i].any() for s in splits(data) for i in range(QUERIES)])
    changed = "; ".join(f"{name} {options}" for name, options in OPTIONS.items() if options)
    return "\n\n".join(
        [
            "## Words that no tag has",
            f"`python -m bench.words` · {machine('sentence-transformers', 'transformers')}",
            f"{len(data):,} stamps of Tux Paint with an English caption (Debian's {PACKAGE}; © 2002–2022 Bill Kendrick "
            f"and others, GPL-2), {len(data.label_names)} labels, the folders. MAP over the full ranking, image → text "
            f"/ text → image, {BITS} bits; mean ± standard deviation of {len(SEEDS)} seeds, each with a split of its "
            f"own: {QUERIES} queries, the others are searched and learned from. Chance {chance:.3f}. Pictures go "
            "through EfficientNet-Lite0, ADAH's through SceneNet. The preset `lab`, for this size: "
            f"{changed}. The bag of words is made of the training texts; {unknown:.0%} of the queries have no word in "
            f"it. {MODEL} reads a caption as 384 numbers.",
            table(["method", "bag of words", MODEL, "gain"], rows),
            f"What `cmhkit search` finds with UGACH, {BITS} bits, on the folder's own split: captions (distance).",
            table(["words", "text features", "nearest five"], found),
        ]
    )


def splits(data: PairedData) -> list[PairedData]:
    return [split(data, seed, "bag") for seed in SEEDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with stamps() as folder:
        sets = {features: read(folder, features) for features in ("efficientnet-lite0", "scenenet")}
        print(sets["efficientnet-lite0"].report, flush=True)
        done = measure(sets, _RESULTS / "words.json", arguments.fresh)
        found = search(folder, _PAGES)
        write_section("words", report(sets["efficientnet-lite0"], done, found))


if __name__ == "__main__":
    main()
