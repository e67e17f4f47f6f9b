"""Which kind a file in circulation is, by the rows of `tables.FILES`. No array is read for it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cmhkit.data.field.containers import Container, Entry, Piece, counts, expect, fits, in_order, open_container
from cmhkit.data.field.tables import ENDINGS, LISTS, OWN_SPLIT, PARTED, PARTS, ROLES, Meaning, meaning, stem
from cmhkit.support.checks import InputError, check, some

_ROLES = ("images", "texts", "labels")


@dataclass(frozen=True)
class Recognised:
    """The variant in words; for each part ("all", or "tr", "te", "db") its pieces by role and its number of pairs.

    split: of a set in one piece, what says which pairs are in which part: positions by part, or "names", a name a pair.
    """

    path: Path
    variant: str
    parts: dict[str, dict[str, Piece]] = field(repr=False)
    items: dict[str, int]
    split: dict[str, Piece] = field(default_factory=dict, repr=False)

    @property
    def unread(self) -> list[str]:
        """What the files hold and no part is made of."""
        used = [piece for pieces in (*self.parts.values(), self.split) for piece in pieces.values()]
        containers = {piece.container.path: piece.container for piece in used}
        several, keys = len(containers) > 1, {(piece.container.path, piece.entry.key) for piece in used}
        return [
            f"{entry}{f' in {path.name}' if several else ''}"
            for path, container in containers.items()
            for entry in container.entries.values()
            if (path, entry.key) not in keys
        ]

    def __str__(self) -> str:
        containers = [piece.container for pieces in self.parts.values() for piece in pieces.values()]
        kinds, names = sorted({c.kind for c in containers}), sorted({c.path.name for c in containers})
        lines = [f"{self.path}: {self.variant} ({', '.join(kinds)}; {', '.join(names)})"]
        for part, pieces in self.parts.items():
            roles = "; ".join(f"{role} from {piece}" for role, piece in pieces.items())
            lines.append(f"  {PARTS[part]}: {self.items[part]:,} pairs: {roles}")
        if self.split:
            parts = "; ".join(f"{PARTS.get(part, 'parts')} from {piece}" for part, piece in self.split.items())
            lines.append(f"  split: {parts}")
        return "\n".join(lines)


@dataclass(frozen=True)
class TextLists:
    """UGACH's lists of text: `list/` and `feature/`."""

    path: Path

    def __str__(self) -> str:
        return f"{self.path}: UGACH's text lists (list/ and feature/)"

    @property
    def unread(self) -> list[str]:
        """The files of both folders that are none of its parts."""
        used = {name for roles in LISTS.keys.values() for name in roles.values()}
        return [name for name in self._tree() if name not in used]

    def _tree(self) -> list[str]:
        return [f"{folder}/{p.name}" for folder in ("list", "feature") for p in sorted((self.path / folder).iterdir())]

    def files(self) -> dict[str, dict[str, Path]]:
        """The files by part and role. Errors: `InputError` that names those that are missing."""
        names = [name for roles in LISTS.keys.values() for name in roles.values()]
        missing = [name for name in names if not (self.path / name).is_file()]
        came = f"{', '.join(missing)} missing. Found: {some(self._tree(), 40) or 'nothing'}"
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
    sets = {stem(c.path): c for c in containers if path.is_file() or any(role in ROLES for role, _ in _held(c))}
    if not complete and len(sets) == 1:
        return _side_by_side(path, next(iter(sets.values())))
    listing = "\n  ".join(c.listing() for c in containers)
    problem = "more than one set; name the file" if complete or sets else "no known variant"
    raise InputError(f"path: expected one set in {path}, got {problem}. Found:\n  {listing}")


def _candidates(folder: Path) -> list[Path]:
    """The files of a folder that may be in circulation; hidden ones are left alone."""
    named = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    return [path for path in named if path.is_file()]


def _held(container: Container) -> dict[tuple[str, str], Entry]:
    """The entries of a container by role and part, as their keys say. A key of the tables goes before a word, a word
    before a letter. Errors: `InputError` for two keys of one role.
    """
    entries: dict[tuple[str, str], dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for key, entry in container.entries.items():
        says = meaning(key)
        if says and (says.rank == 0 or _may_be(says, container, entry)):
            entries[says.role, says.part][says.rank].append(entry)
    held = {}
    for (role, part), by_rank in entries.items():
        named = by_rank[min(by_rank)]
        what = role if part == "all" else f"{PARTS[part]} {role}"
        keys = ", ".join(entry.key for entry in named)
        expect(len(named) == 1, f"one key for {what}", f"{keys}. Found: {container.listing()}")
        held[role, part] = named[0]
    return held


def _may_be(says: Meaning, container: Container, entry: Entry) -> bool:
    if says.role not in ("positions", "names"):
        return fits(says.role, container, entry)
    in_one_row = max(entry.shape, default=0) == math.prod(entry.shape) > (1 if says.rank == 2 else 0)
    return entry.kind == "text" if says.role == "names" else in_one_row and entry.kind in ("numbers", "sparse")


def _parted(container: Container) -> Recognised | None:
    """A set with its own split in keys of its own, such as I_tr and I_te."""
    every = _held(container)
    held = {key: entry for key, entry in every.items() if key[0] in ROLES and key[1] in ("tr", "te", "db")}
    path, keys, listing = container.path, {entry.key for entry in held.values()}, container.listing()
    row = next((row for row in PARTED if any(keys & set(roles.values()) for roles in row.keys.values())), None)
    if not held or (row is None and len(held) < 3):
        return None
    present = {part for _, part in held} | {"te"}
    if present == {"te"}:
        present.add("tr" if row is None or "tr" in row.keys else "db")
    names = {(role, part): f"the {PARTS[part]} {role}" for part in sorted(present) for role in _ROLES}
    if row:
        names |= {(role, part): row.keys[part][role] for role, part in names if part in row.keys}
    names |= {key: held[key].key for key in names if key in held}
    missing = sorted(name for key, name in names.items() if key not in held)
    if missing and _is_whole(every):
        return None
    advice = "; the makers' raw_features.mat has its labels in two .list files: load('wikipedia:FOLDER')"
    hint = advice if missing == ["L_te", "L_tr"] else ""
    came = f"{', '.join(missing)} missing{hint}. Found: {listing}"
    check(not missing, f"path: expected the keys {', '.join(names.values())} in {path}, {came}")
    pieces, items = {}, {}
    for part in (part for part in ("tr", "te", "db") if part in present):
        items[part], pieces[part] = in_order({role: (container, held[role, part]) for role in _ROLES})
    for role in ("images", "texts"):
        arrays = {part: by_role[role] for part, by_role in pieces.items()}
        widths = {part: "texts" if x.entry.kind == "text" else x.shape[1:] for part, x in arrays.items()}
        expect(len(set(widths.values())) == 1, f"{role} of one width in all parts", f"{widths}. Found: {listing}")
    shown = "pictures" if len(pieces["te"]["images"].shape) == 4 else "features"
    like = f"keys as in {row.names[0]}" if row else f"keys such as {held['images', 'te'].key}"
    return Recognised(path, f"{shown}, texts and labels with their own split, {like}", pieces, items)


def _is_whole(held: dict[tuple[str, str], Entry]) -> bool:
    roles = {role for role, part in held if part == "all"}
    return {"texts", "labels"} <= roles and bool({"images", "paths"} & roles)


def _in_one_file(container: Container) -> Recognised | None:
    return _whole(container.path, [container], container, "in one file") if _is_whole(_held(container)) else None


def _side_by_side(path: Path, container: Container) -> Recognised:
    """A set in files of one stem, of which `container` is one. If the path names a file, its own keys come first."""
    own = _held(container)
    keys = ", ".join(key for keys in ROLES.values() for key in keys)
    parted = f"those of a set with its own split ({', '.join(OWN_SPLIT)}; VDatabase, ...)"
    roles = [role for role, part in own if part == "all" and role in ROLES]
    check(roles, f"path: expected one of the keys {keys}, or {parted}. Found: {container.listing()}")
    beside = [file for file in _candidates(container.path.parent) if stem(file) == stem(container.path)]
    containers = [container, *(open_container(file) for file in beside if file != container.path)]
    if path.is_dir():
        containers.sort(key=lambda c: c.path)
    return _whole(path, containers, None if path.is_dir() else container, "in files side by side")


def _whole(path: Path, containers: list[Container], first: Container | None, where: str) -> Recognised:
    """A set in one piece in some files. first: the file whose keys come before those of the others."""
    own = _held(first) if first else {}
    candidates: dict[tuple[str, str], list[tuple[Container, Entry]]] = defaultdict(list)
    for container in containers:
        for key, entry in _held(container).items():
            if container is first or key not in own:
                candidates[key].append((container, entry))
    listing = "\n  ".join(c.listing() for c in containers)
    roles = {role for role, part in candidates if part == "all"}
    needed = ["paths" if "paths" in roles and "images" not in roles else "images", "texts", "labels"]
    missing = [role for role in needed if role not in roles]
    keys = ", ".join(key for role in missing for key in ROLES[role])
    in_file = f"in {containers[0].path.name} or in a file beside it with the same beginning"
    check(not missing, f"path: expected {', '.join(missing)} too (keys {keys}), {in_file}. Found:\n  {listing}")
    split = {part: found for (role, part), found in candidates.items() if role == "positions"}
    if not split and ("names", "all") in candidates:
        split = {"names": candidates["names", "all"]}
    wanted = {role: candidates[role, "all"] for role in needed} | split
    double = ", ".join(PARTS.get(name, name) for name, found in wanted.items() if len(found) > 1)
    several = f"several; name the one to use as the path. Found:\n  {listing}"
    expect(not double, f"one file with {double}", several)
    n, pieces = in_order({role: candidates[role, "all"][0] for role in needed})
    shown = "paths of pictures" if "paths" in needed else "features"
    if "images" in needed and len(pieces["images"].shape) == 4:
        shown = "pictures"
    parts = {part: Piece(*found[0]) for part, found in split.items()}
    parts = {part: piece for part, piece in parts.items() if part != "names" or n in counts(*split[part][0])}
    return Recognised(path, f"{shown}, texts and labels {where}", {"all": pieces}, {"all": n}, parts)
