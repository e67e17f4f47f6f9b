"""Which kind a file in circulation is, by the rows of `tables.FILES`. No array is read for it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cmhkit.data.field.containers import Container, Entry, Piece, expect, in_order, open_container
from cmhkit.data.field.tables import ENDINGS, LISTS, OWN_SPLIT, PARTED, PARTS, ROLES, stem
from cmhkit.support.checks import InputError, check


@dataclass(frozen=True)
class Recognised:
    """The variant in words; for each part ("all", or "tr", "te", "db") its pieces by role and its number of pairs."""

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
        names = [name for roles in LISTS.keys.values() for name in roles.values()]
        missing = [name for name in names if not (self.path / name).is_file()]
        tree = [f"{folder}/{p.name}" for folder in ("list", "feature") for p in sorted((self.path / folder).iterdir())]
        came = f"{', '.join(missing)} missing. Found: {', '.join(tree) or 'nothing'}"
        check(not missing, f"path: expected UGACH's lists in {self.path}, {came}")
        return {part: {role: self.path / name for role, name in roles.items()} for part, roles in LISTS.keys.items()}


def recognise(path: str | Path) -> Recognised | TextLists:
    """Find which variant a file or a folder is. Sizes are checked against each other; no array is read.

    path: a file; or a folder with one set: one file, files side by side (`NAME-iall.mat`, `NAME-yall.mat`,
    `NAME-lall.mat`), `index.mat` with `caption.mat` and `label.mat`, or UGACH's `list/` and `feature/`.
    Errors: `InputError` that lists what was found, if that is no known variant, is ambiguous, or its sizes disagree.
    """
    path = Path(path)
    expect(path.exists(), "a file or a folder", f"{path}, which is not there")
    if (path / "list").is_dir() and (path / "feature").is_dir():
        lists = TextLists(path)
        lists.files()
        return lists
    files = _candidates(path) if path.is_dir() else [path]
    names = sorted(p.name for p in path.iterdir()) if not files else []
    came = (", ".join(names[:8]) + (" and more" if len(names) > 8 else "")) or "an empty folder"
    expect(files, f"a file that ends in {', '.join(ENDINGS)}, or UGACH's list/ and feature/, in {path}", came)
    containers = [open_container(file) for file in files]
    complete = [recognised for c in containers if (recognised := _parted(c) or _in_one_file(c))]
    if len(complete) == 1:
        return complete[0]
    sets = {stem(c.path): c for c in containers if path.is_file() or _roles(c)}
    if not complete and len(sets) == 1:
        return _side_by_side(path, next(iter(sets.values())))
    listing = "\n  ".join(c.listing() for c in containers)
    problem = "more than one set; name the file" if complete or sets else "no known variant"
    raise InputError(f"path: expected one set in {path}, got {problem}. Found:\n  {listing}")


def _candidates(folder: Path) -> list[Path]:
    """The files of a folder that may be in circulation; hidden ones are left alone."""
    named = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    return [path for path in named if path.is_file()]


def _parted(container: Container) -> Recognised | None:
    path, keys, listing = container.path, set(container.entries), container.listing()
    row = next((row for row in PARTED if any(keys & set(roles.values()) for roles in row.keys.values())), None)
    if row is None:
        return None
    lacking = [part for part in row.optional if not keys & set(row.keys[part].values())]
    present = {part: roles for part, roles in row.keys.items() if part not in lacking}
    missing = sorted({key for roles in present.values() for key in roles.values()} - keys)
    wanted = ", ".join(key for part in sorted(present) for key in present[part].values())
    advice = "; the makers' raw_features.mat has its labels in two .list files: load('wikipedia:FOLDER')"
    hint = advice if missing == ["L_te", "L_tr"] else ""
    came = f"{', '.join(missing)} missing{hint}. Found: {listing}"
    check(not missing, f"path: expected the keys {wanted} in {path}, {came}")
    words = [key for roles in present.values() for key in roles.values() if container.entries[key].kind == "text"]
    expect(not words, f"numbers for {', '.join(words)} in {path}", f"texts. Found: {listing}")
    pieces, items = {}, {}
    for part, roles in present.items():
        items[part], pieces[part] = in_order({role: (container, container.entries[key]) for role, key in roles.items()})
    for role in ("images", "texts"):
        widths = {part: by_role[role].shape[1:] for part, by_role in pieces.items()}
        expect(len(set(widths.values())) == 1, f"{role} of one width in all parts", f"{widths}. Found: {listing}")
    shown = "pictures" if len(pieces["te"]["images"].shape) == 4 else "features"
    variant = f"{shown}, texts and labels with their own split, keys as in {row.names[0]}"
    return Recognised(path, variant, pieces, items)


def _in_one_file(container: Container) -> Recognised | None:
    roles = {role: (container, entry) for role, entry in _roles(container).items()}
    complete = {"texts", "labels"} <= set(roles) and {"images", "paths"} & set(roles)
    return _whole(container.path, roles, "in one file") if complete else None


def _side_by_side(path: Path, container: Container) -> Recognised:
    """A set in files of one stem, of which `container` is one. If the path names a file, its own keys come first."""
    own = _roles(container)
    keys = ", ".join(key for keys in ROLES.values() for key in keys)
    parted = f"those of a set with its own split ({', '.join(OWN_SPLIT)}; VDatabase, ...)"
    check(own, f"path: expected one of the keys {keys}, or {parted}. Found: {container.listing()}")
    beside = [file for file in _candidates(container.path.parent) if stem(file) == stem(container.path)]
    containers = [container, *(open_container(file) for file in beside if file != container.path)]
    if path.is_dir():
        containers.sort(key=lambda c: c.path)
    candidates: dict[str, list[tuple[Container, Entry]]] = defaultdict(list)
    for candidate in containers:
        for role, entry in _roles(candidate).items():
            if candidate is container or role not in own or path.is_dir():
                candidates[role].append((candidate, entry))
    listing = "\n  ".join(c.listing() for c in containers)
    needed = ["texts", "labels", "paths" if "paths" in candidates and "images" not in candidates else "images"]
    missing = [role for role in needed if role not in candidates]
    keys = ", ".join(key for role in missing for key in ROLES[role])
    where = f"in {container.path.name} or in a file beside it with the same beginning"
    check(not missing, f"path: expected {', '.join(missing)} too (keys {keys}), {where}. Found:\n  {listing}")
    double = ", ".join(role for role in needed if len(candidates[role]) > 1)
    several = f"several; name the one to use as the path. Found:\n  {listing}"
    expect(not double, f"one file with {double}", several)
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
        expect(len(named) < 2, f"one key for {role}", f"{', '.join(named)}. Found: {container.listing()}")
        if named:
            roles[role] = container.entries[named[0]]
    return roles
