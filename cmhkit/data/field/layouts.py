"""What belongs to a benchmark's folder as its makers publish it, where they publish it, and what a path has of it.
Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmhkit.data.field.protocols import PROTOCOLS
from cmhkit.data.field.recognise import TextLists, recognise
from cmhkit.data.field.tables import ENDINGS
from cmhkit.support.checks import check, some


@dataclass(frozen=True)
class Needed:
    """One part of a makers' folder. places: where it can be, below the folder; the first is the makers' own. page:
    where they publish it.

    files: how many files (a pattern below the place, or below the folder of a file) the published part has.
    """

    what: str
    places: tuple[str, ...]
    page: str
    optional: bool = False
    files: tuple[str, int] | None = None

    def find(self, root: Path) -> Path | None:
        """The place that exists, or None."""
        return next((root / place for place in self.places if (root / place).exists()), None)

    def counted(self, place: Path) -> str:
        """How many of its files are there, as text for a report."""
        if self.files is None:
            return ""
        pattern, published = self.files
        count = sum(1 for _ in (place if place.is_dir() else place.parent).glob(pattern))
        return f", {count:,} of {published:,} files"


@dataclass(frozen=True)
class Layout:
    """A makers' folder: its parts by name. readers: the names for `load`."""

    title: str
    readers: tuple[str, ...]
    parts: dict[str, Needed]

    def places(self, root: Path) -> dict[str, Path | None]:
        """Every part with its place in a folder, or None."""
        return {name: part.find(root) for name, part in self.parts.items()}

    def required(self, root: Path) -> dict[str, Path]:
        """Every part that is there. Errors: `InputError` that names what is missing and where its makers publish it."""
        places = self.places(root)
        missing = [
            self.parts[name] for name, place in places.items() if place is None and not self.parts[name].optional
        ]
        listed = "; ".join(f"{part.places[0]} ({part.page})" for part in missing)
        verb = "is" if len(missing) == 1 else "are"
        check(not missing, f"path: expected the folder of {self.title}, got {root}, where {listed} {verb} missing")
        return {name: place for name, place in places.items() if place is not None}


def _below(*folders: str, name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" if folder else name for folder in folders)


MIRFLICKR_PAGE = "https://press.liacs.nl/mirflickr/"
NUSWIDE_PAGE = "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
COCO_PAGE = "https://cocodataset.org/#download"
IAPR_PAGE, IAPR_LABELS_PAGE = "https://www.imageclef.org/photodata", "https://www.imageclef.org/SIAPRdata"
WIKIPEDIA_PAGE = "http://www.svcl.ucsd.edu/projects/crossmodal/"

LAYOUTS = {
    "mirflickr": Layout(
        "MIRFlickr-25K",
        ("mirflickr",),
        {
            "pictures": Needed(
                "pictures",
                _below("mirflickr", "", "mirflickr25k", name="im1.jpg"),
                MIRFLICKR_PAGE,
                files=("im*.jpg", 25000),
            ),
            "tags": Needed(
                "tags",
                _below("mirflickr", "", "mirflickr25k", name="meta/tags/tags1.txt"),
                MIRFLICKR_PAGE,
                files=("tags*.txt", 25000),
            ),
            "labels": Needed(
                "labels",
                _below(
                    "mirflickr25k_annotations_v080",
                    "annotations",
                    "mirflickr/annotations",
                    "../mirflickr25k_annotations_v080",
                    name="animals.txt",
                ),
                MIRFLICKR_PAGE,
            ),
        },
    ),
    "nuswide": Layout(
        "NUS-WIDE",
        ("nuswide-tc10", "nuswide-tc21"),
        {
            "list": Needed("list of pictures", _below("ImageList", "", name="Imagelist.txt"), NUSWIDE_PAGE),
            "labels": Needed(
                "labels", _below("Groundtruth", "", name="AllLabels"), NUSWIDE_PAGE, files=("Labels_*.txt", 81)
            ),
            "tags": Needed(
                "tag vectors", _below("NUS_WID_Tags", "", name="AllTags1k.txt"), NUSWIDE_PAGE, optional=True
            ),
            "all tags": Needed(
                "tags as words", _below("NUS_WID_Tags", "", name="All_Tags.txt"), NUSWIDE_PAGE, optional=True
            ),
            "words": Needed(
                "the 1,000 tags", _below("NUS_WID_Tags", "", "ConceptsList", name="TagList1k.txt"), NUSWIDE_PAGE
            ),
            "concepts": Needed(
                "names of the labels", _below("ConceptsList", "", name="Concepts81.txt"), NUSWIDE_PAGE, optional=True
            ),
            "pictures": Needed("pictures", ("Flickr", "images", "image"), NUSWIDE_PAGE, files=("**/*.jpg", 269648)),
        },
    ),
    "coco": Layout(
        "MS COCO 2014",
        ("coco",),
        {
            f"{what} {part}": Needed(
                f"{what}, {part}", _below("annotations", "", name=f"{what}_{part}2014.json"), COCO_PAGE
            )
            for what in ("captions", "instances")
            for part in ("train", "val")
        }
        | {
            f"pictures {part}": Needed(
                f"pictures, {part}", _below("", "images", name=f"{part}2014"), COCO_PAGE, files=("*.jpg", published)
            )
            for part, published in (("train", 82783), ("val", 40504))
        },
    ),
    "iapr": Layout(
        "IAPR TC-12",
        ("iapr",),
        {
            "pictures": Needed("pictures", _below("", "iaprtc12", name="images"), IAPR_PAGE, files=("*/*.jpg", 20000)),
            "texts": Needed(
                "descriptions",
                _below("", "iaprtc12", name="annotations_complete_eng"),
                IAPR_PAGE,
                files=("*/*.eng", 20000),
            ),
            "labels": Needed(
                "labels (SAIAPR TC-12)",
                _below("", "saiaprtc12ok/benchmark", "benchmark", name="saiapr_tc-12"),
                IAPR_LABELS_PAGE,
            ),
            "names": Needed(
                "names of the labels",
                _below("", "saiaprtc12ok/benchmark", "benchmark", "saiapr_tc-12", name="wlist.txt"),
                IAPR_LABELS_PAGE,
                optional=True,
            ),
        },
    ),
    "wikipedia": Layout(
        "Wikipedia",
        ("wikipedia",),
        {
            "features": Needed("features", ("raw_features.mat",), WIKIPEDIA_PAGE),
            "train": Needed("training list", ("trainset_txt_img_cat.list",), WIKIPEDIA_PAGE),
            "test": Needed("test list", ("testset_txt_img_cat.list",), WIKIPEDIA_PAGE),
        },
    ),
}

#: The layout that each benchmark's reader takes.
READERS = {reader: layout for layout in LAYOUTS.values() for reader in layout.readers}


@dataclass(frozen=True)
class PathReport:
    """What `check_path` found. It prints itself. complete: nothing that a reader needs is missing. missing: what is not
    there.
    """

    lines: tuple[str, ...]
    complete: bool
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines)


def check_path(path: str | Path, name: str | None = None) -> PathReport:
    """Say what a path has of a benchmark, what is missing, and where its makers publish it. Only names are looked at,
    and keys of files.

    path: a makers' folder, or a file in circulation or a folder of such. name: the benchmark, one of `PROTOCOLS`; None
    finds it out. Errors: `InputError` for a path that is not there, an unknown name, and a file that is no known
    variant.
    """
    path = Path(path)
    check(path.exists(), f"path: expected a folder or a file, got {path}, which is not there")
    check(name is None or name in READERS, f"name: expected one of {', '.join(READERS)}, got {name!r}")
    if path.is_dir():
        layout = READERS[name] if name else _likeliest(path)
        if layout is not None and (name is None or not _has_files(path) or _score(layout, path)):
            return _report(layout, path)
    if path.is_file() or _has_files(path):
        variant = recognise(path)
        labels = None if isinstance(variant, TextLists) else next(iter(variant.parts.values()))["labels"].shape[1:]
        if name and labels not in (None, (1,), (PROTOCOLS[name].labels,)):
            return PathReport((str(variant), f"  but {name} has {PROTOCOLS[name].labels} labels"), False, (name,))
        reader = f"{name or 'mat'}:{path}"
        unread = f"  not read: {some(variant.unread, 20) or 'nothing'}"
        return PathReport((str(variant), unread, f"  read it with load({reader!r})"), True)
    lines = [
        f"{path}: nothing of a benchmark was found. A folder of",
        *(f"  {layout.title}: {_short(layout)}" for layout in LAYOUTS.values()),
    ]
    return PathReport((*lines, "  or a file in circulation (.mat, .h5py) is known."), False, ("everything",))


def _score(layout: Layout, path: Path) -> int:
    return sum(place is not None for place in layout.places(path).values())


def _likeliest(path: Path) -> Layout | None:
    best = max(LAYOUTS.values(), key=lambda layout: _score(layout, path) / len(layout.parts))
    return best if _score(best, path) else None


def _has_files(path: Path) -> bool:
    return path.is_dir() and ((path / "list").is_dir() or any(p.suffix.lower() in ENDINGS for p in path.iterdir()))


def _short(layout: Layout) -> str:
    return ", ".join(part.places[0] for part in layout.parts.values() if not part.optional)


def _report(layout: Layout, path: Path) -> PathReport:
    lines, missing = [f"{path}: {layout.title}"], []
    for part, place in zip(layout.parts.values(), layout.places(path).values(), strict=True):
        if place is not None:
            lines.append(f"  there     {part.what}: {place}{part.counted(place)}")
        elif part.optional:
            lines.append(f"  optional  {part.what}: {part.places[0]}, from {part.page}")
        else:
            missing.append(part.places[0])
            lines.append(f"  missing   {part.what}: {part.places[0]}, from {part.page}")
    if layout is LAYOUTS["nuswide"] and not any(layout.parts[name].find(path) for name in ("tags", "all tags")):
        missing.append(layout.parts["tags"].places[0])
        lines.append(f"  missing   tags: {layout.parts['tags'].places[0]}, from {NUSWIDE_PAGE}")
    readers = " or ".join(repr(f"{reader}:{path}") for reader in layout.readers)
    lines.append(f"  complete: read it with load({readers})" if not missing else f"  {len(missing)} missing")
    return PathReport(tuple(lines), not missing, tuple(missing))


def is_raw(layout: Layout, path: Path) -> bool:
    """Whether to read a path as the makers' folder: it is one in part, or it has no file in circulation."""
    check(
        path.exists(),
        f"path: expected the folder of {layout.title} or a file in circulation, got {path}, which is not there",
    )
    return path.is_dir() and (_score(layout, path) > 0 or not _has_files(path))


def unused(root: Path, places: Iterable[Path]) -> list[str]:
    """What lies in a folder and none of these places is, or is in."""
    used = [place.resolve() for place in places]
    return [p.name for p in sorted(root.iterdir()) if not any(place.is_relative_to(p.resolve()) for place in used)]
