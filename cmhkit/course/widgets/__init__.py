"""Widgets that show codes, graphs and retrieval results while they change.

Each shows itself at the end of a cell, has `.state` (pure), `.result` (frozen: `.summary`, `.html` and numbers),
`.set(**inputs)`, `.view()` (an ipywidgets `VBox`) and `.small_multiples(*inputs)` (a plain, static picture series for
the cell beside it):

    RetrievalExplorer(data, hashers, k=10, *, words="", picture=None, method=None, bits=None)
        hashers: {"CCA": hasher, "UGACH": {16: hasher, 32: hasher}};  inputs: mode ("words" | "picture"), words,
        picture, method, bits, k
    BitFlipper(bits=8, seed=0)                                   bits: 8 | 16 | 32;  inputs: bits, seed, a, b (int8 ±1)
    DataBrowser(data, *, split="train", concept=None, page=0, page_size=12, masks=False)
        inputs: split ("query" | "retrieval" | "train"), concept (a label name or None), page, masks
    GraphExplorer(data, image_vectors, text_vectors, *, split="train", item=0, k=5, metric="cosine", modality="image",
    max_k=50)
        vectors: (n, d) of that split's items;  inputs: item, k, metric ("cosine" | "euclidean"), modality ("image" |
        "text" | "both")
    SamplingViewer(h_query, h_pool, scores, *, pictures=None, captions=None, queries=None, relevant=None, query=0,
    temperature=1.0,
                   pool=None, draws=10, seed=0, reward="softplus", top=12)
        h_query (K,) or (q, K); h_pool (n, K); scores f_phi (n,) or (q, n);  inputs: query, temperature, pool, draws,
        seed, reward
    CodeWatcher(history, map_by_epoch=None, *, epochs=None, epoch=None, max_items=64)
        history (epochs, n, K): relaxed or ±1 codes;  inputs: epoch (a position in the history, 0 .. epochs - 1)
    MaskReplay(masks, pictures=None, truth=None, *, captions=None, epochs=None, epoch=None, max_items=12)
        masks (epochs, n, H, W): 0 or 1; truth (n, H, W);  inputs: epoch (a position in the history, 0 .. epochs - 1)
    NetworkCodeWatcher(label, image, text, *, captions=None, epochs=None, epoch=None, item=0, max_items=16)
        each (epochs, n, K): relaxed codes of LabNet, ImgNet, TxtNet, B is the sign of their sum;  inputs: epoch (a
        position), item
    TripletViewer(distance, similar, *, codes=None, kind="norm", names=None, anchor=0, margin=1.0, own=True)
        distance (n, m) or (m,), or codes=((n, K), (m, K)) in its place; similar: bool, as distance;  inputs: anchor,
        margin, own
    MaskExplorer(p, *, pictures=None, truth=None, captions=None, words=None, word_p=None, word_places=None, level=1.0,
    show_truth=False)
        p: P (n, H, W); truth bool (n, H, W); words n lists, word_p their P;  inputs: mode ("picture" | "words"), item,
        level (α in units of 1/places), show_truth
    LabelCodeExplorer(labels, encode, scores=None, *, names=None, chosen=(), k=8)
        labels 0/1 (n, c); encode: sets (m, c) → values (m, K); scores: sets → (m, c);  inputs: labels (names that are
        on), k
    DistributionReplay(label_features, image_features, text_features, *, image_scores=None, text_scores=None,
    captions=None, epochs=None, epoch=None,
                       shown="all", links="item", item=0)
        features (epochs, n, width) of the same items; scores D (2, epochs, n), of labels, of its own kind;  inputs:
        epoch, shown ("all" | "pictures" | "words"), links ("none" | "item" | "all"), item

    ComparisonExplorer(data, codes, *, query=0, way="images", k=5, against=None)
        codes: {"CCA": {"query": {"images", "texts"}, "retrieval": {"images", "texts"}}}, packed;  inputs: query, way
        ("images" | "texts": what asks), k, against (the method compared with)
    AblationSlider(sweeps, *, sweep=None, position=None)
        sweeps: as cmhkit.course.lessons.sweeps.load("ablations");  inputs: sweep ("METHOD, option"), position (of its
        value)

Importing this package is cheap: ipywidgets, Pillow and the rest are imported by the widget that is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Result": "base",
    "State": "base",
    "Static": "base",
    "Widget": "base",
    "AblationSlider": "ablation_slider",
    "BitFlipper": "bit_flipper",
    "CodeWatcher": "code_watcher",
    "ComparisonExplorer": "comparison_explorer",
    "DataBrowser": "data_browser",
    "DistributionReplay": "distribution_replay",
    "GraphExplorer": "graph_explorer",
    "LabelCodeExplorer": "label_code_explorer",
    "MaskExplorer": "mask_explorer",
    "MaskReplay": "mask_replay",
    "NetworkCodeWatcher": "network_code_watcher",
    "RetrievalExplorer": "retrieval_explorer",
    "SamplingViewer": "sampling_viewer",
    "TripletViewer": "triplet_viewer",
}

__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"cmhkit.course.widgets.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'cmhkit.course.widgets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
