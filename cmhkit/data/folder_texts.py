"""Where the texts, labels and parts of a folder of pictures come from: tables, text files, or the names of folders.

Everything that could say something of the pictures is looked at. What is not used is named.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmhkit.data.caption_files import KEY, TABLES, Table, decoded, flat_table, read_table
from cmhkit.data.captions import Said, has_headings, plain, prose, understood
from cmhkit.data.part_names import part_in, part_of
from cmhkit.data.picture_names import Beside, PictureNames, composed, folder_of, stem_of
from cmhkit.data.pictures import picture_endings
from cmhkit.data.text import tokens
from cmhkit.support.checks import InputError, check

#: What becomes of several captions of one picture.
CAPTIONS = ("joined", "first", "all")
# Files that hold no captions, whatever their names: programs, pages to print, archives, sound and film.
_HARMLESS = set(
    ".pdf .ps .py .pyc .ipynb .m .r .sh .bat .c .cpp .h .js .css .mp4 .mov .avi "
    ".mkv .webm .mp3 .wav .flac .exe .dll .so .ini .log .url .lnk .cfg .toml .bib .tex .md5 .sha1 .sha256 .ttf .otf "
    ".xmp .psd .ai .lock .bak .tmp .swp".split()
)
_ARCHIVES = set(".zip .tar .gz .tgz .bz2 .xz .7z .rar".split())
_HARMLESS_NAMES = re.compile(
    r"(read[ _-]?me|licen[sc]es?|copying|copyright|notice|authors|credits|change(log|s)|citation|requirements)"
    r"([ _.-]\w+)?(\.(txt|md|rst|html?|docx?|rtf|cff))?|thumbs\.db|desktop\.ini|(md5|sha\d*|check)-?sums?(\.txt)?",
    re.IGNORECASE,
)
# Files that hold text, but not as it is, and files that hold none.
_NOT_PLAIN = set(
    ".xml .html .htm .yaml .yml .jsonl .ndjson .npy .npz .mat .h5 .hdf5 .pkl .pickle .pt .pth .parquet .arrow "
    ".feather .xls .xlsx .ods .doc .docx .odt .rtf .db .sqlite .sqlite3 .bin .lmdb .mdb .tfrecord .onnx "
    ".safetensors".split()
)
# Bytes of the longest list of classes that is looked for.
_LONG_LIST = 2**18
# What the files of single pictures are called together.
_DESCRIBED = "the .json files of the pictures"
# Names that a message or a report lists for one reason.
_NAMED = 5


@dataclass
class Contents:
    """What a folder holds, and what becomes of it. Names are relative to the folder, with slashes, in Unicode's
    composed form.

    files: those that are no pictures. skipped: (file, reason). notes: (file, remark).
    """

    root: Path
    pictures: dict[str, Path] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Pair:
    """A picture with its texts, of which each makes a pair, its labels, and the part that it is said to be in."""

    file: str
    texts: list[str]
    labels: tuple[str, ...]
    part: str | None = None


@dataclass
class Found:
    """The pictures that have a text, in the order of their names, and what of the folder was used.

    texts, split: where they come from; split is empty where nothing says one. captions: how many a picture has, if any
    has several. unread: what was not. others: files that hold no captions.
    """

    pairs: list[Pair]
    texts: str
    split: str = ""
    captions: str = ""
    unread: list[str] = field(default_factory=list)
    others: int = 0


@dataclass
class _Sources:
    """Everything in a folder that may say something of its pictures.

    said: tables that were understood. wrong: why others were not. beside: by ending, each picture's text file. strange:
    files that are neither. harmless: files that hold no captions.
    """

    said: dict[str, Said] = field(default_factory=dict)
    wrong: dict[str, InputError] = field(default_factory=dict)
    beside: dict[str, dict[str, str]] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)


def paired(
    contents: Contents, texts: str, *, column: str | None, captions: str, encoding: str, own_split: bool
) -> Found:
    """The pictures with their texts, labels and parts.

    texts, column, captions, encoding: as for `load_folder`. own_split: whether the parts that files or folders say are
    asked for.
    """
    check(
        isinstance(texts, str),
        f'texts: expected "auto", "sidecar", "folders" or the name of a table, got {type(texts).__name__}',
    )
    sources = _sources(contents, encoding, column)
    chosen, ending = _chosen(contents, sources, texts, column)
    check(column is None or chosen, f"column: expected none for texts that are in no table, got {column!r}")
    if chosen:
        pairs, source = _of_tables(contents, chosen, captions), _told(chosen)
    elif ending:
        pairs, source = _of_files(contents, sources.beside[ending], ending, captions, encoding)
    else:
        pairs, source = _of_folders(contents), "the names of the folders"
    used = {said.name for said in chosen}
    extra = [said for said in sources.said.values() if said.captions is None and said.matched]
    labelled = [said for said in extra if said.labels is not None]
    covered = set().union(*(said.matched for said in labelled))
    if any(said.labels for said in chosen) or 2 * sum(pair.file in covered for pair in pairs) < len(pairs):
        extra = [said for said in extra if said.labels is None]
    by_folder = not chosen and all(said.labels is None for said in extra)
    _add_labels(contents, pairs, [*chosen, *extra], by_folder)
    found = Found(pairs, source, captions=_counted(pairs, chosen, captions))
    parts, found.split, from_files = _parts_said(contents, chosen, extra)
    if own_split and parts:
        for pair in pairs:
            pair.part = parts.get(pair.file)
        contents.skipped += [(pair.file, "in no part of the split") for pair in pairs if pair.part is None]
        found.pairs = [pair for pair in pairs if pair.part is not None]
    used |= {said.name for said in extra if said.labels is not None or (own_split and said.name in from_files)}
    _name_unread(contents, sources, found, chosen, ending, used, own_split)
    if not own_split:
        if found.split.startswith("the ") and from_files <= used:
            found.unread.append(f"the parts that {found.split} say")
        found.split = ""
    return found


# What is there.


def _sources(contents: Contents, encoding: str, column: str | None) -> _Sources:
    """Look at every file that is no picture."""
    out = _Sources()
    names = PictureNames(contents.pictures, picture_endings())
    skipped = [file for file, _ in contents.skipped]
    beside = Beside([*contents.pictures, *skipped])
    folders = {_said_plainly(folder) for file in contents.pictures for folder in file.split("/")[:-1]}
    folders |= {_said_plainly(contents.root.name)}
    described: dict[str, str] = {}
    for file, path in contents.files.items():
        ending = path.suffix.lower()
        owners = [] if ending in (".csv", ".tsv") else beside.pictures_of(file)
        packed = ending in _ARCHIVES and _said_plainly(path.name.partition(".")[0]) in folders
        if ending in _HARMLESS or _HARMLESS_NAMES.fullmatch(path.name) or packed:
            out.harmless.append(file)
        elif owners and ending == ".json":
            described |= dict.fromkeys(owners, file)
        elif owners and ending and ending not in _NOT_PLAIN and (ending in out.beside or _is_text(path, encoding)):
            for owner in owners:
                known = out.beside.setdefault(ending, {})
                if owner not in known or stem_of(file) == stem_of(owner):
                    out.strange += [known[owner]] if owner in known else []
                    known[owner] = file
                else:
                    out.strange.append(file)
        elif ending in _ARCHIVES or (ending in _NOT_PLAIN and ending not in TABLES):
            out.strange.append(file)
        elif _lists_folders(path, encoding, folders):
            out.harmless.append(file)
        else:
            try:
                out.said[file] = _said(path, file, encoding, names, column)
            except InputError as error:
                out.wrong[file] = error
    if described and not out.beside:
        _describe(contents, out, described, names, column)
    else:
        out.strange += sorted(set(described.values()))
    return out


def _is_text(path: Path, encoding: str) -> bool:
    """Whether a file beside a picture is text; one in another encoding is, and is told so when it is read."""
    try:
        return path.suffix.lower() == ".txt" or "\0" not in decoded(path.read_bytes(), encoding)
    except UnicodeDecodeError:
        return False
    except OSError:
        return True


def _describe(
    contents: Contents, sources: _Sources, described: dict[str, str], names: PictureNames, column: str | None
) -> None:
    """Read the JSON files of single pictures as one table."""
    title, records = _DESCRIBED, []
    try:
        for owner, file in described.items():
            try:
                value = json.loads(decoded(contents.files[file].read_bytes(), "utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise InputError(f"texts: expected JSON in {file}, which cannot be read ({error})") from error
            what = f"texts: expected an object with a caption in {file}, got {type(value).__name__}"
            check(isinstance(value, dict), what)
            records.append({KEY: owner} | value)
        table = flat_table(records, "JSON", [])
        table.places = list(described.values())
        sources.said[title] = _with_column(table, title, names, column)
    except InputError as error:
        sources.wrong[title] = error


def _said(path: Path, file: str, encoding: str, names: PictureNames, column: str | None) -> Said:
    base = folder_of(file)
    table = read_table(
        path, file, encoding, lambda cell: names.looks(cell) or names.find(cell, base)[0] is not None, has_headings
    )
    return _with_column(table, file, names, column)


def _with_column(table: Table, file: str, names: PictureNames, column: str | None) -> Said:
    """A table understood. The captions of one that lacks the column that was asked for are not."""
    there = column is None or any(plain(heading) == plain(column) for heading in table.columns)
    return understood(table, file, names, column if there else "")


def _said_plainly(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _lists_folders(path: Path, encoding: str, folders: set[str]) -> bool:
    """Whether a file lists names of folders of the pictures and nothing else, as lists of classes do."""
    try:
        text = decoded(path.read_bytes(), encoding) if path.stat().st_size < _LONG_LIST else ""
        names = _strings(json.loads(text)) if path.suffix.lower() == ".json" else text.split("\n")
    except (OSError, ValueError, RecursionError):
        return False
    bare = [_said_plainly(re.sub(r"^\s*\d+[\s,:;]+|[\s,:;]+\d+\s*$", "", name)) for name in names if name.strip()]
    return bool(bare) and all(name in folders for name in bare)


def _strings(value: Any) -> list[str]:
    """The texts in a value of JSON, without numbers."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) and not value.isdecimal() else []


# What is taken.


def _chosen(contents: Contents, sources: _Sources, texts: str, column: str | None) -> tuple[list[Said], str]:
    """The tables that the texts come from, or the ending of the files that hold them; neither for names of folders."""
    if texts == "folders":
        return [], ""
    if texts == "sidecar":
        return [], _ending(contents, sources, ".txt" if ".txt" in sources.beside or not sources.beside else "")
    if texts != "auto":
        return _named(contents, sources, texts)
    tables = [said for said in sources.said.values() if said.captions is not None]
    columns = [f"{said.name} ({', '.join(said.table.columns)})" for said in sources.said.values()]
    refused = next((error for error in sources.wrong.values() if str(error).startswith("column: ")), None)
    if refused is not None and not tables:
        raise refused
    expected = f"column: expected a column of a table in {contents.root}"
    check(column is None or tables, f"{expected}, got {column!r}; there are {'; '.join(columns) or 'no tables'}")
    matched = [said for said in tables if said.matched]
    several = _overlapping(matched)
    check(
        not several,
        f"texts: expected one table in {contents.root}, got {', '.join(several)}; "
        "pass the name of one, or 'sidecar', or 'folders'",
    )
    covered = set().union(*(said.matched for said in matched)) if matched else set()
    most = max((len(files.keys() & contents.pictures.keys()) for files in sources.beside.values()), default=0)
    if matched:
        names = ", ".join(said.name for said in matched)
        check(
            most <= len(covered),
            f"texts: expected one source of texts in {contents.root}, got {names} for {len(covered)} pictures and text "
            f"files beside {most}; pass the name of the table, or 'sidecar'",
        )
        return matched, ""
    if sources.beside:
        return [], _ending(contents, sources, "")
    if len(tables) == 1:
        return tables, ""
    in_folders = any(map(folder_of, contents.pictures))
    unread = [*sources.wrong, *sources.strange, *(said.name for said in sources.said.values() if _may_hold(said))]
    if len(unread) == 1 and unread[0] in sources.wrong and unread[0].lower().endswith(TABLES):
        alternative = "; or pass texts='folders' for the names of the folders" if in_folders else ""
        raise InputError(f"{sources.wrong[unread[0]]}{alternative}") from sources.wrong[unread[0]]
    reasons = [f"\n  {files}: {_reason(sources, files)}" for files in unread if files in sources.said]
    reasons += [f"\n  {files}: {reason}" for files, reason in _refused(sources)]
    more = f"\n  and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
    check(
        not unread,
        f"texts: expected texts in {contents.root}, got files that may hold them and were not read; pass "
        f"texts=NAME for a table, or texts='folders' for the names of the folders:{''.join(reasons[:_NAMED])}{more}",
    )
    check(
        len({_holder(file, _part_folders(contents.pictures)) for file in contents.pictures} - {""}) > 1,
        f"path: expected texts in {contents.root}: a .txt beside each picture, a table (.csv or .tsv) with the "
        "columns file and text, or folders whose names say what is in them; got "
        f"{'one folder for all' if in_folders else 'labels alone' if sources.said else 'none'}",
    )
    return [], ""


def _may_hold(said: Said) -> bool:
    """Whether a table may hold captions that nobody would read: it is used for nothing, or has other words."""
    useful = said.captions is None and said.matched and (said.labels is not None or _parts_of(said))
    return not useful or any(prose(said.table.columns.get(heading, ())) for heading in said.unread)


def _reason(sources: _Sources, name: str) -> str:
    if name in sources.wrong:
        return str(sources.wrong[name]).partition(": ")[2]
    if name in sources.said and sources.said[name].captions is not None:
        return "names no picture of the folder"
    if name in sources.said:
        return f"no column of captions among {', '.join(sources.said[name].table.columns)}"
    return "no table as text or JSON, or packed"


def _refused(sources: _Sources) -> list[tuple[str, str]]:
    """The files that could not be read and why; many of one ending together, with the reason of the first."""
    refused = []
    for told, files in _by_ending(sources.wrong):
        each = [(file, file) for file in files] if len(files) <= _NAMED else [(told, files[0])]
        refused += [(name, _reason(sources, file)) for name, file in each]
    return refused + [(told, _reason(sources, files[0])) for told, files in _by_ending(sources.strange)]


def _by_ending(files: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Files by their endings, as a message names them: all, or the first of many."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[posixpath.splitext(file)[1].lower()].append(file)
    many = {ending: f"{len(group):,} {ending} files, such as {group[0]}" for ending, group in groups.items()}
    return [(many[e] if len(group) > _NAMED else ", ".join(group), group) for e, group in groups.items()]


def _overlapping(said: Sequence[Said]) -> list[str]:
    """The names of tables that speak of the same pictures; empty if none do."""
    for i, one in enumerate(said):
        for other in said[i + 1 :]:
            if one.matched & other.matched:
                return [each.name for each in said]
    return []


def _ending(contents: Contents, sources: _Sources, wanted: str) -> str:
    """The ending of the text files that belong to pictures: the wanted one, .txt, or the only one."""
    if wanted:
        sources.beside.setdefault(wanted, {})
        return wanted
    endings = sorted(sources.beside)
    if ".txt" in endings:
        return ".txt"
    several = ", ".join(endings)
    check(
        len(endings) == 1,
        f"texts: expected text files of one ending in {contents.root}, got {several}; pass one, such as "
        f"texts={endings[0]!r}",
    )
    return endings[0]


def _named(contents: Contents, sources: _Sources, texts: str) -> tuple[list[Said], str]:
    """A table, a folder of text files or an ending that was asked for by its name."""
    wanted = composed(texts.replace("\\", "/")).removeprefix("./").rstrip("/")
    if wanted in sources.beside:
        return [], wanted
    inside = {
        ending: {owner: file for owner, file in files.items() if file.startswith(f"{wanted}/")}
        for ending, files in sources.beside.items()
    }
    inside = {ending: files for ending, files in inside.items() if files}
    if inside:
        sources.beside = inside
        return [], _ending(contents, sources, "")
    held = [file for file in sources.said if file.startswith(f"{wanted}/")]
    alike = held or [file for file in contents.files if file.rpartition("/")[2].casefold() == wanted.casefold()]
    name = wanted if wanted in contents.files or len(alike) != 1 else alike[0]
    name = _DESCRIBED if wanted == ".json" else name
    if name in sources.wrong:
        raise sources.wrong[name]
    known = sorted([*sources.said, *sources.wrong])
    there = name in sources.said
    what = f", which is {_reason(sources, name)}" if name in sources.strange else ""
    check(
        there,
        f"texts: expected 'auto', 'sidecar', 'folders' or a table in {contents.root}, got {texts!r}{what}; "
        f"tables there: {', '.join(known) or 'none'}",
    )
    said = sources.said[name]
    listed = ", ".join(said.table.columns)
    check(said.captions is not None, f"texts: expected a column text or caption in {name}, got {listed}")
    return [said], ""


# The pairs.


def _of_tables(contents: Contents, chosen: Sequence[Said], captions: str) -> list[Pair]:
    held: dict[str, list[str]] = defaultdict(list)
    without: set[str] = set()
    for said in chosen:
        contents.skipped += [(f"{said.name}, {place}", reason) for place, reason in said.table.skipped]
        shown = said.table.columns[said.columns[0]]
        rows = zip(shown, said.table.places, said.pictures, said.remarks, said.captions or (), strict=True)
        for value, place, picture, remark, texts in rows:
            where = f"{said.name}, {place}"
            if picture is None:
                contents.skipped.append((f"{value if value not in (None, '') else '(no name)'} ({where})", remark))
                continue
            if remark:
                contents.notes.append((f"{picture} ({where})", remark))
            if not texts:
                contents.skipped.append((f"{picture} ({where})", "empty text"))
                without.add(picture)
            held[picture] = list(dict.fromkeys([*held[picture], *texts]))
    missing = [file for file in contents.pictures if not held.get(file) and file not in without]
    contents.skipped += [(file, "not in the table") for file in missing]
    return [Pair(file, _texts(held[file], captions), ()) for file in contents.pictures if held.get(file)]


def _texts(captions: list[str], how: str) -> list[str]:
    """The texts of a picture, each of which makes a pair. how: one of `CAPTIONS`."""
    if how == "first":
        return captions[:1]
    return captions if how == "all" else ["\n".join(captions)]


def _of_files(
    contents: Contents, files: dict[str, str], ending: str, captions: str, encoding: str
) -> tuple[list[Pair], str]:
    pairs, places = [], set()
    for file in contents.pictures:
        beside = files.get(file)
        reason, text = "empty text", ""
        try:
            if beside is None:
                reason = f"no {ending} file beside it"
            else:
                places.add(folder_of(beside) if folder_of(beside) != folder_of(file) else "")
                text = decoded(contents.files[beside].read_bytes(), encoding).strip()
        except UnicodeDecodeError:
            reason = f"its {ending} file is not {encoding}"
        except OSError:
            reason = f"its {ending} file cannot be opened"
        if text:
            lines = list(dict.fromkeys(line.strip() for line in re.split(r"\r\n|\n|\r", text) if line.strip()))
            pairs.append(Pair(file, [text] if captions == "joined" else _texts(lines, captions), ()))
        else:
            contents.skipped.append((file, reason))
    words = [word for pair in pairs for text in pair.texts for word in tokens(text)]
    check(
        not words or not all(map(str.isdecimal, words)),
        f"texts: expected words in the {ending} files of {contents.root}, got numbers alone; name a table, or pass "
        "texts='folders'",
    )
    apart = posixpath.commonpath(places) if places and "" not in places else ""
    return pairs, f"the {ending} files in {apart}" if apart else f"the {ending} file beside each picture"


def _of_folders(contents: Contents) -> list[Pair]:
    pairs = []
    ignored = _part_folders(contents.pictures)
    for file in contents.pictures:
        holder = _holder(file, ignored)
        if holder:
            pairs.append(Pair(file, [re.sub(r"[/_-]+", " ", holder)], (holder,)))
        else:
            contents.skipped.append((file, "in no folder whose name could be its text"))
    return pairs


def _add_labels(contents: Contents, pairs: Sequence[Pair], said: Sequence[Said], by_folder: bool) -> None:
    """Give pairs the labels that tables have, or the folder that holds the picture."""
    held: dict[str, list[str]] = defaultdict(list)
    for each in said:
        for picture, labels in zip(each.pictures, each.labels or (), strict=False):
            if picture is not None:
                held[picture] += labels
    ignored = _part_folders(contents.pictures)
    for pair in pairs:
        holder = _holder(pair.file, ignored)
        pair.labels = ((holder,) if holder else ()) if by_folder else tuple(dict.fromkeys(held[pair.file]))


# The split.


def _part_folders(files: Iterable[str]) -> dict[str, int]:
    """Which folder of each picture says its part; empty unless every picture in folders has such a one."""
    places: dict[str, int] = {}
    for file in files:
        if not folder_of(file):
            continue
        place = next((i for i, folder in enumerate(file.split("/")[:-1]) if part_of(folder)), None)
        if place is None:
            return {}
        places[file] = place
    return places


def _holder(file: str, ignored: dict[str, int]) -> str:
    """The folder that holds a file, without the one that says its part; empty for the folder that was given."""
    folders = file.split("/")[:-1]
    return "/".join(folder for i, folder in enumerate(folders) if i != ignored.get(file, -1))


def _parts_of(said: Said) -> list[str | None]:
    """The part of each row: what its column says, or what the file's name says of all."""
    part = part_in(said.name)
    return said.parts if said.parts is not None else [part] * len(said.pictures) if part else []


def _parts_said(
    contents: Contents, chosen: Sequence[Said], extra: Sequence[Said]
) -> tuple[dict[str, str], str, set[str]]:
    """The part of each picture as files or folders say it, where that comes from, and the files that say it."""
    columns = [said for said in chosen if said.parts is not None] or [s for s in extra if s.parts is not None]
    if columns:
        parts = _collected(columns)
        names = " and ".join(f"column {_split_heading(said)} of {said.name}" for said in columns)
        if len(set(parts.values())) > 1:
            return parts, names, {said.name for said in columns}
        return {}, f"drawn, since {names} has one part only", {said.name for said in columns}
    for sources in ([said for said in chosen if part_in(said.name)], [s for s in extra if part_in(s.name)]):
        parts = _collected(sources)
        if sources and "train" not in parts.values():
            parts = dict.fromkeys(contents.pictures, "train") | parts
        if len(set(parts.values())) > 1 and (sources[0] not in chosen or len(sources) == len(chosen)):
            return parts, f"the files {', '.join(said.name for said in sources)}", {said.name for said in sources}
    places = _part_folders(contents.pictures)
    folders = {file: file.split("/")[place] for file, place in places.items()}
    parts = {file: str(part_of(folder)) for file, folder in folders.items()}
    if len(set(parts.values())) > 1:
        return parts, f"the folders {', '.join(sorted(set(folders.values())))}", set()
    return {}, "", set()


def _split_heading(said: Said) -> str:
    headings = [heading for heading in said.columns if any(map(part_of, said.table.columns[heading]))]
    flags = [heading for heading in said.columns if part_of(plain(heading).removeprefix("is"))]
    return ", ".join(headings[:1] or flags)


def _collected(sources: Sequence[Said]) -> dict[str, str]:
    """The part of each picture. Errors: `InputError` for a picture in two parts."""
    parts: dict[str, str] = {}
    for said in sources:
        for picture, part in zip(said.pictures, _parts_of(said), strict=True):
            if picture is None or part is None:
                continue
            before = parts.setdefault(picture, part)
            check(
                before == part,
                f"path: expected each picture in one part, got {picture} in {before} and {part} ({said.name}); "
                "pass query= to draw the parts anew",
            )
    return parts


# What is said of it.


def _told(chosen: Sequence[Said]) -> str:
    """Where texts come from: files, how they are written, and their columns unless those are file and text."""
    names = ", ".join(said.name for said in chosen)
    told = f"{names}, {chosen[0].table.form}"
    columns = chosen[0].columns[:2]
    return (
        told
        if not chosen[0].table.headed or [plain(c) for c in columns] == ["file", "text"]
        else f"{told}: {' and '.join(columns)}"
    )


def _counted(pairs: Sequence[Pair], chosen: Sequence[Said], captions: str) -> str:
    """How many captions the pictures have, if any has several."""
    count: dict[str, dict[str, None]] = defaultdict(dict)
    for said in chosen:
        for picture, texts in zip(said.pictures, said.captions or (), strict=True):
            if picture is not None:
                count[picture].update(dict.fromkeys(texts))
    numbers = sorted(len(texts) for texts in count.values() if texts)
    if captions == "all" and not numbers:
        numbers = sorted(len(pair.texts) for pair in pairs)
    if not numbers or numbers[-1] < 2:
        return ""
    each = f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"
    return f"{sum(numbers):,}, {each} a picture; captions={captions!r}"


def _name_unread(
    contents: Contents,
    sources: _Sources,
    found: Found,
    chosen: Sequence[Said],
    ending: str,
    used: set[str],
    own_split: bool,
) -> None:
    """Name every file, column and key that was not used."""
    for name, said in sources.said.items():
        if name not in used:
            found.unread.append(name)
            continue
        columns = list(said.unread)
        if said.parts is not None and not own_split:
            columns.append(_split_heading(said))
        for what, headings in (("column", columns), ("key", said.table.dropped)):
            if headings:
                what = "" if not said.table.headed else f"{what}s " if len(headings) > 1 else f"{what} "
                found.unread.append(f"{what}{', '.join(headings)} of {name}")
    for other, files in sources.beside.items():
        if other != ending and not (chosen and _says_the_same(contents, found.pairs, files)):
            sources.strange += sorted(set(files.values()))
    for told, reason in _refused(sources):
        found.unread.append(f"{told} ({reason})" if told in sources.wrong else told)
    found.others = len(sources.harmless)


def _says_the_same(contents: Contents, pairs: Sequence[Pair], files: dict[str, str]) -> bool:
    """Whether text files of pictures say what a table says too."""
    texts = {pair.file: "\n".join(pair.texts).split() for pair in pairs}
    try:
        return all(
            decoded(contents.files[file].read_bytes(), "utf-8").split() == texts.get(owner)
            for owner, file in files.items()
        )
    except (OSError, UnicodeDecodeError):
        return False
