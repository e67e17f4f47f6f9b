"""Which kind a file in circulation is, by the rows of `tables.FILES`: keys, shapes, types and container. No array is read for it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cmhkit.data.field.containers import Container, Entry, Piece, in_order, open_container
from cmhkit.data.field.tables import ENDINGS, LISTS, OWN_SPLIT, PARTED, PARTS, ROLES, stem
from cmhkit.errors import InputError, check


@dataclass(frozen=True)
class Recognised:
    """What was found: the variant in words, and for each part ("all", or "tr", "te", "db") its pieces by role and its number of pairs."""

    path: Path
    variant: str
    parts: dict[str, dict[str, Piece]] = field(repr=False)
    items: dict[str, int]

    def __str__(self) -> str:
        containers = [piece.container for pieces in self.parts.values() for piece in pieces.values()]
        kinds, names = sorted({c.kind for c in containers}), sorted({c.path.name for c in containers})
        lines = [f"{self.path}: {self.variant} ({', '.join(kinds)}; {', '.join(names)})"]
        for part, pieces in self.parts.items():
            roles = "; ".join(f"{role} from {piece}" for role, piece in pieces.items())
            lines.append(f"  {PARTS[part]}: {self.items[part]:,} pairs: {roles}")
        return "\n".join(lines)


@dataclass(frozen=True)
class TextLists:
    """UGACH's lists of text: `list/` and `feature/`."""

    path: Path

    def __str__(self) -> str:
        return f"{self.path}: UGACH's text lists (list/ and feature/)"

    def files(self) -> dict[str, dict[str, Path]]:
        """The files by part and role. Errors: `InputError` that names those that are missing."""
        files = {
            part: {role: self.path / name for role, name in roles.items()} for part, roles in LISTS.keys.items()
        }
        missing = [name for part, roles in LISTS.keys.items() for role, name in roles.items() if not files[part][role].is_file()]
        tree = [f"{folder}/{p.name}" for folder in ("list", "feature") for p in sorted((self.path / folder).iterdir())]
        came = f"{', '.join(missing)} missing. Found: {', '.join(tree) or 'nothing'}"
        check(not missing, f"path: expected UGACH's lists in {self.path}, {came}")
        return files


def recognise(path: str | Path) -> Recognised | TextLists:
    """Find which variant a file or a folder is. Sizes are checked against each other; no array is read.

    path: a file; or a folder with one set: one file, files side by side (`NAME-iall.mat`, `NAME-yall.mat`, `NAME-lall.mat`),
    `index.mat` with `caption.mat` and `label.mat`, or UGACH's `list/` and `feature/`.
    Errors: `InputError` that lists what was found, if that is no known variant, is ambiguous, or its sizes disagree.
    """
    path = Path(path)
    check(path.exists(), f"path: expected a file or a folder, got {path}, which is not there")
    if not path.is_dir():
        container = open_container(path)
        return _complete(container) or _side_by_side(path, container)
    if (path / "list").is_dir() and (path / "feature").is_dir():
        lists = TextLists(path)
        lists.files()
        return lists
    files = _candidates(path)
    names = sorted(p.name for p in path.iterdir())
    came = (", ".join(names[:8]) + (" and more" if len(names) > 8 else "")) or "an empty folder"
    expected = f"a file that ends in {', '.join(ENDINGS)}, or UGACH's list/ and feature/"
    check(files, f"path: expected {expected}, in {path}, got {came}")
    containers = [open_container(file) for file in files]
    complete = [recognised for c in containers if (recognised := _complete(c)) is not None]
    if len(complete) == 1:
        return complete[0]
    sets = {stem(c.path): c for c in containers if _roles(c)}
    if not complete and len(sets) == 1:
        return _side_by_side(path, next(iter(sets.values())), whole_folder=True)
    listing = "\n  ".join(c.listing() for c in containers)
    problem = "more than one set; name the file" if complete or sets else "no known variant"
    raise InputError(f"path: expected one set in {path}, got {problem}. Found:\n  {listing}")


def _candidates(folder: Path) -> list[Path]:
    """The files of a folder that may be in circulation; hidden ones are left alone."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file())


def _complete(container: Container) -> Recognised | None:
    """The set that one file holds: with its own split, or in one piece. None if it holds none, or a part of one."""
    parted = _parted(container)
    roles = _roles(container) if parted is None else {}
    if {"texts", "labels"} <= set(roles) and {"images", "paths"} & set(roles):
        return _whole(container.path, {role: (container, entry) for role, entry in roles.items()}, "in one file")
    return parted


def _parted(container: Container) -> Recognised | None:
    path, keys, listing = container.path, set(container.entries), container.listing()
    row = next((row for row in PARTED if any(keys & set(roles.values()) for roles in row.keys.values())), None)
    if row is None:
        return None
    present = {part: roles for part, roles in row.keys.items() if keys & set(roles.values()) or part not in row.optional}
    missing = sorted({key for roles in present.values() for key in roles.values()} - keys)
    wanted = ", ".join(key for part in sorted(present) for key in present[part].values())
    hint = ""
    if missing == ["L_te", "L_tr"]:
        hint = "; the makers' raw_features.mat has its labels in two .list files: load('wikipedia:FOLDER')"
    came = f"{', '.join(missing)} missing{hint}. Found: {listing}"
    check(not missing, f"path: expected the keys {wanted} in {path}, {came}")
    words = [key for roles in present.values() for key in roles.values() if container.entries[key].kind == "text"]
    check(not words, f"path: expected numbers for {', '.join(words)} in {path}, got texts. Found: {listing}")
    pieces, items = {}, {}
    for part, roles in present.items():
        items[part], pieces[part] = in_order({role: (container, container.entries[key]) for role, key in roles.items()})
    for role in ("images", "texts"):
        widths = {part: by_role[role].shape[1:] for part, by_role in pieces.items()}
        same = len(set(widths.values())) == 1
        check(same, f"path: expected {role} of one width in all parts, got {widths}. Found: {listing}")
    shown = "pictures" if len(pieces["te"]["images"].shape) == 4 else "features"
    variant = f"{shown}, texts and labels with their own split, keys as in {row.names[0]}"
    return Recognised(path, variant, pieces, items)


def _side_by_side(path: Path, container: Container, *, whole_folder: bool = False) -> Recognised:
    """A set whose images, texts and labels are in files of one stem, of which `container` is one."""
    own = _roles(container)
    whole, parted = ", ".join(key for keys in ROLES.values() for key in keys), ", ".join(OWN_SPLIT)
    expected = f"one of the keys {whole}, or those of a set with its own split ({parted}; VDatabase, ...)"
    check(own or whole_folder, f"path: expected {expected}. Found: {container.listing()}")
    beside = [file for file in _candidates(container.path.parent) if stem(file) == stem(container.path)]
    others = [open_container(file) for file in beside if file != container.path]
    containers = sorted([container, *others], key=lambda c: c.path) if whole_folder else [container, *others]
    candidates: dict[str, list[tuple[Container, Entry]]] = defaultdict(list)
    for candidate in containers:
        for role, entry in _roles(candidate).items():
            if candidate is container or role not in own or whole_folder:
                candidates[role].append((candidate, entry))
    listing = "\n  ".join(c.listing() for c in containers)
    needed = ["texts", "labels", "paths" if "paths" in candidates and "images" not in candidates else "images"]
    missing = [role for role in needed if role not in candidates]
    keys = ", ".join(key for role in missing for key in ROLES[role])
    where = f"in {container.path.name} or in a file beside it with the same beginning"
    check(not missing, f"path: expected {', '.join(missing)} too (keys {keys}), {where}. Found:\n  {listing}")
    double = ", ".join(role for role in needed if len(candidates[role]) > 1)
    advice = "got several; name the one to use as the path"
    check(not double, f"path: expected one file with {double}, {advice}. Found:\n  {listing}")
    return _whole(path, {role: candidates[role][0] for role in needed}, "in files side by side")


def _whole(path: Path, roles: dict[str, tuple[Container, Entry]], where: str) -> Recognised:
    n, pieces = in_order(roles)
    shown = "paths of pictures"
    if "paths" not in roles:
        shown = "pictures" if len(pieces["images"].shape) == 4 else "features"
    return Recognised(path, f"{shown}, texts and labels {where}", {"all": pieces}, {"all": n})


def _roles(container: Container) -> dict[str, Entry]:
    """The entries of a set in one piece by role. Errors: `InputError` for two keys of one role."""
    roles = {}
    for role, keys in ROLES.items():
        named = [key for key in keys if key in container.entries]
        check(len(named) < 2, f"path: expected one key for {role}, got {', '.join(named)}. Found: {container.listing()}")
        roles |= {role: container.entries[key] for key in named}
    return roles
