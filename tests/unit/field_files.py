"""Files as they circulate, made small: both containers, right and wrong. Used by the tests of the readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

N, H, W, D, T, C = 12, 6, 8, 7, 5, 4


def truth(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    """Pictures, features, counts and labels of n pairs; no two pairs are alike."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, C)) < 0.4).astype(np.uint8)
    labels[np.arange(n), rng.integers(0, C, n)] = 1
    return {
        "pictures": rng.integers(0, 256, size=(n, H, W, 3)).astype(np.uint8),
        "features": rng.normal(size=(n, D)).astype(np.float32),
        "texts": rng.integers(0, 3, size=(n, T)).astype(np.float32),
        "labels": labels,
    }


def v5(path: Path, **arrays: Any) -> Path:
    """MATLAB v5: arrays as MATLAB holds them."""
    savemat(path, arrays)
    return path


def hdf5(path: Path, chunks: dict[str, tuple[int, ...]] | None = None, **arrays: Any) -> Path:
    """Plain HDF5: arrays as h5py shows them."""
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, chunks=(chunks or {}).get(key))
    return path


def v73(path: Path, **arrays: np.ndarray) -> Path:
    """MATLAB v7.3: arrays as h5py shows them, which is the reverse of what MATLAB holds; with MATLAB's header and class
    names.
    """
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array).attrs["MATLAB_class"] = np.bytes_(matlab_class(array))
    header(path)
    return path


def header(path: Path) -> None:
    """Write MATLAB's text into the user block."""
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def matlab_class(array: np.ndarray) -> str:
    return {"float64": "double", "float32": "single"}.get(str(array.dtype), str(array.dtype))


def cells(file: h5py.File, key: str, texts: list[str]) -> None:
    """A cell array of texts, as MATLAB v7.3 keeps it: references to character codes."""
    kept = file.require_group("#refs#")
    refs = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for i, text in enumerate(texts):
        codes = (
            np.array([[ord(letter)] for letter in text], dtype=np.uint16) if text else np.array([0, 0], dtype=np.uint64)
        )
        item = kept.create_dataset(f"{key}{i}", data=codes)
        item.attrs["MATLAB_class"] = np.bytes_("char")
        if not text:
            item.attrs["MATLAB_empty"] = np.uint8(1)
        refs[0, i] = item.ref
    file.create_dataset(key, data=refs, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")


def parted(
    part_rows: dict[str, np.ndarray], source: dict[str, np.ndarray], keys: dict[str, str]
) -> dict[str, np.ndarray]:
    """Arrays of a set with its own split: keys say the letter of each role, such as {"features": "I_{}"}."""
    return {keys[role].format(part): source[role][rows] for part, rows in part_rows.items() for role in keys}


# Folders as the makers publish them.


def picture(path: Path, seed: int) -> None:
    """A picture whose mean colour depends on its number, JPEG or by the ending."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 12), (seed * 7 % 256, seed * 13 % 256, seed * 29 % 256)).save(path)


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def mirflickr_folder(root: Path, n: int = 30) -> Path:
    """Picture i has the tags even or odd, all, and a rare one of its own; 7 has none, 9 only a rare one. Picture 8 has
    no label.
    """
    from cmhkit.data.field.folders import MIRFLICKR_LABELS

    for i in range(1, n + 1):
        picture(root / "mirflickr" / f"im{i}.jpg", i)
        tags = (
            []
            if i == 7
            else [f"rare{i}"]
            if i == 9
            else ["All", "even" if i % 2 == 0 else "odd", f"rare{i}", "new york"[: 8 * (i % 3 == 0)]]
        )
        write(root / "mirflickr" / "meta" / "tags" / f"tags{i}.txt", "\r\n".join(tags) + "\r\n")
    folder = root / "mirflickr25k_annotations_v080"
    for column, name in enumerate(MIRFLICKR_LABELS):
        held = [i for i in range(1, n + 1) if i != 8 and (i % 24 == column or i % 5 == column)]
        write(folder / f"{name}.txt", "".join(f"{i}\n" for i in held))
    write(folder / "baby_r1.txt", "8\n")
    write(folder / "README.txt", "labels\n")
    return root


NUS_CONCEPTS = [f"concept{i:02d}" for i in range(23)]


def nuswide_folder(root: Path, n: int = 60) -> Path:
    """Concept k is held by pictures below 2 + 2k, so the last concepts are the commonest; pictures from 46 on have no
    label. Row 3 has no tag.
    """
    names = [f"{'actor' if i % 2 else 'zoo'}/{i:04d}_{1000 + i}.jpg" for i in range(n)]
    for i, name in enumerate(names):
        picture(root / "Flickr" / name, i)
    write(root / "ImageList" / "Imagelist.txt", "".join(name.replace("/", "\\") + "\r\n" for name in names))
    write(root / "ConceptsList" / "Concepts81.txt", "\n".join(NUS_CONCEPTS) + "\n")
    for k, concept in enumerate(NUS_CONCEPTS):
        write(
            root / "Groundtruth" / "AllLabels" / f"Labels_{concept}.txt",
            "".join(f"{int(i < 2 + 2 * k)}\n" for i in range(n)),
        )
    words = [f"tag{j}" for j in range(8)]
    write(root / "NUS_WID_Tags" / "TagList1k.txt", "\n".join(words) + "\n")
    held = [[j for j in range(8) if (i != 3 and (i >> (j % 4)) & 1) or (j == 7 and i != 3)] for i in range(n)]
    write(
        root / "NUS_WID_Tags" / "AllTags1k.txt",
        "".join("\t".join("1" if j in row else "0" for j in range(8)) + "\t\r\n" for row in held),
    )
    write(
        root / "NUS_WID_Tags" / "All_Tags.txt",
        "".join(f"{1000 + i}      {' '.join(words[j] for j in row)} unknown\n" for i, row in enumerate(held)),
    )
    return root


def coco_folder(root: Path, n: int = 24) -> Path:
    """Pictures 100, 101, ... of train and as many of val; ids from 501 on. Picture 0 of each part has no label."""
    import json

    categories = [{"id": 3 * k + 1, "name": f"thing{k}"} for k in range(80)]
    for part, first in (("train", 100), ("val", 501)):
        images, captions, instances = [], [], []
        for i in range(n):
            name = f"COCO_{part}2014_{first + i:012d}.jpg"
            picture(root / f"{part}2014" / name, first + i)
            images.append({"id": first + i, "file_name": name, "height": 12, "width": 20})
            captions += [
                {"id": 10 * i + j, "image_id": first + i, "caption": f"A word{i % 6} number{j}\n in {part}."}
                for j in range(5)
            ]
            for k in {i % 80, (i * 3) % 80} if i else ():
                area = {"segmentation": [[1.0, 2.0]], "area": 2.0, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
                instances.append(
                    {"id": 1000 * i + k, "image_id": first + i, "category_id": categories[k]["id"], **area}
                )
        write(
            root / "annotations" / f"captions_{part}2014.json",
            json.dumps({"images": images[::-1], "annotations": captions}),
        )
        content = {"images": images, "annotations": instances, "categories": categories}
        write(root / "annotations" / f"instances_{part}2014.json", json.dumps(content))
    return root


def iapr_folder(root: Path, n: int = 30) -> Path:
    """Pictures 995, 996, ... in the folders 00 and 01. The first has no description, the second no label."""
    for i in range(n):
        number, folder = 995 + i, f"{(995 + i) // 1000:02d}"
        picture(root / "images" / folder / f"{number}.jpg", i)
        if i != 0:
            words = f"a café &amp; {'hill' if i % 2 else 'sea'} word{i % 7};"
            text = f"<DOC>\n<TITLE>no</TITLE>\n<DESCRIPTION>{words}</DESCRIPTION>\n</DOC>"
            write(root / "annotations_complete_eng" / folder / f"{number}.eng", text, "latin-1")
    for folder in ("00", "01"):
        lines = []
        for i in range(n):
            if i != 1 and f"{(995 + i) // 1000:02d}" == folder:
                lines += [f"{995 + i} 1 {10 + i % 4}", f"{995 + i} 2 {20 + i % 3}"]
        write(root / "saiapr_tc-12" / folder / "labels.txt", "\n".join(lines) + "\n")
    write(root / "saiapr_tc-12" / "wlist.txt", "10\tsky-blue\n11\tgrass\n20\tman made\n")
    return root


def wikipedia_folder(root: Path, n: int = 12, m: int = 5) -> Path:
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{key}_{end}": rng.random((count, width))
        for key, width in (("I", 6), ("T", 4))
        for end, count in (("tr", n), ("te", m))
    }
    v5(root / "raw_features.mat", **arrays)
    for name, count in (("trainset", n), ("testset", m)):
        write(
            root / f"{name}_txt_img_cat.list", "".join(f"hash{i}-{i}\timage{i}\t{i % 10 + 1}\n" for i in range(count))
        )
    return root
