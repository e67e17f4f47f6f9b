"""What the columns of a table mean: which names pictures, which holds captions, labels and the split.

A column is known by its heading, in any case and with any blanks or lines between the words, and by its content. What
is not used is named.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cmhkit.data.caption_files import KEY, Table
from cmhkit.data.part_names import part_of
from cmhkit.data.picture_names import PictureNames
from cmhkit.support.checks import check

#: Headings without blanks, points and lines, the better ones first.
PICTURES = (
    *(
        "file",
        "filename",
        "filepath",
        "files",
        "image",
        "imagename",
        "imagefile",
        "imagefilename",
        "imagepath",
        "images",
    ),
    *("img", "imgname", "imgfile", "imgpath", "picture", "photo", "pic", "path", "imageid", "imgid", "pictureid"),
    *("photoid", "fileid", "name", "id", "uri", "url", "imageurl", "key"),
)
TAGS = ("keywords", "tags", "tag")
TEXTS = (
    *("caption", "captions", "text", "texts", "comment", "comments", "sentence", "sentences", "description"),
    *("descriptions", "desc", "raw", "prompt", "alttext", "alt", "title", *TAGS),
)
LABELS = (
    *("labels", "label", "classes", "class", "classname", "categories", "category", "categoryname", "concepts"),
    *("concept", "targets", "target", "labelid", "classid", "categoryid", "labelnames", "labelname"),
)
SPLITS = ("split", "splits", "part", "partition", "subset", "set", "usage", "phase", "fold", "dataset")
_COUNTS = re.compile(
    r"(comment|caption|sentence|text|image|img)?s?(ids?|numbers?|no|idx|index|count|length|len|url)|unnamed\d+|rank"
)
_SEVERAL = re.compile(r"(caption|text|comment|sentence|description|cap|desc)s?\d+")
_CONTAINS = ("caption", "description", "sentence", "comment")
#: What pandas and others write for nothing.
_NOTHING = {"", "nan", "null", "<na>", "n/a"}


@dataclass
class Said:
    """What a file says of pictures, a row each: the picture, or None; its captions; its labels; its part.

    captions, labels, parts: None where the file has none. remarks: of the rows' pictures. unread: headings of what was
    not used. columns: the headings of what was.
    """

    name: str
    table: Table
    pictures: list[str | None]
    remarks: list[str]
    captions: list[list[str]] | None
    labels: list[tuple[str, ...]] | None
    parts: list[str | None] | None
    unread: list[str]
    columns: list[str]

    @property
    def matched(self) -> set[str]:
        """The pictures that the file speaks of."""
        return {picture for picture in self.pictures if picture is not None}


def plain(heading: str) -> str:
    """A heading without what people write differently: "Image Name" and " image_name" are one."""
    return re.sub(r"[\W_]+", "", heading.rpartition(".")[2] or heading).casefold()


def has_headings(cells: Sequence[str]) -> bool:
    """Whether cells are the first line of a table: one that pictures stand under, and one of another kind."""
    known = [plain(cell) for cell in cells]
    pictures = [heading for heading in known if heading in PICTURES]
    others = [h for h in known if h in (*TEXTS, *LABELS, *SPLITS) or _SEVERAL.fullmatch(h) or _caption_like(h)]
    return bool(pictures) and bool(others) and len(cells) > 1


def _caption_like(heading: str) -> bool:
    """Whether a plain heading has a word for captions in it, and is not that of their numbers."""
    return any(word in heading for word in _CONTAINS) and not _COUNTS.fullmatch(heading)


def understood(table: Table, name: str, names: PictureNames, column: str | None = None) -> Said:
    """A table with its columns told apart.

    name: the file's, relative to the folder. column: the heading of the captions, if it was given; empty for a table
    whose captions are not asked for. Errors: `InputError` for a table in which no column names pictures, an unknown
    column, and several columns of captions.
    """
    base = name.rpartition("/")[0]
    pictures = _pictures(table, name, names, base)
    found = [names.find(value, base) for value in table.columns[pictures]]
    rest = [heading for heading in table.columns if heading != pictures]
    texts = _texts(table, name, [h for h in rest if not _names_pictures(table.columns[h], names, base)], column)
    rest = [heading for heading in rest if heading not in texts]
    label = next((h for known in LABELS for h in rest if plain(h) == known), None)
    if not table.headed and len(table.columns) == 2 and label is None:
        label = next((h for h in rest if all(re.fullmatch(r"-?\d+", str(cell)) for cell in table.columns[h])), None)
    split = next((h for h in rest if plain(h) in SPLITS and any(map(part_of, table.columns[h]))), None)
    marks = [h for h in rest if table.headed and _zeros_and_ones(h, table.columns[h])]
    flags = {} if split else _flags(marks)
    marks = [h for h in marks if h not in flags] if label is None else []
    labels, parts = None, None
    if label is not None:
        labels = label_lists(table.columns[label], f"{label} of {name}")
    elif len(marks) > 1:
        rows = zip(*(table.columns[h] for h in marks), strict=True)
        labels = [tuple(h for h, cell in zip(marks, row, strict=True) if _number(cell) == 1) for row in rows]
    else:
        marks = []
    if split is not None:
        parts = [part_of(value) for value in table.columns[split]]
    elif flags:
        parts = _flagged(table, flags)
    used = [pictures, *texts, *filter(None, (label, split)), *marks, *flags]
    captions = [_captions(row, name) for row in zip(*(table.columns[h] for h in texts), strict=True)] if texts else None
    if any(plain(h) in TAGS for h in texts):  # the tags of a picture are one text
        captions = [[", ".join(tags)] if tags else [] for tags in captions or ()]
    unread = [h for h in table.columns if h not in used and any(map(_something, table.columns[h]))]
    unread += [f"{h}.{key}" for h in texts for key in _other_keys(table.columns[h])]
    matched, remarks = [picture for picture, _ in found], [remark for _, remark in found]
    return Said(name, table, matched, remarks, captions, labels, parts, unread, used)


def _pictures(table: Table, name: str, names: PictureNames, base: str) -> str:
    """The heading of the column that names pictures: a known heading before others, then the most pictures found."""
    scores: dict[str, tuple[bool, int, int, int, int]] = {}
    for place, (heading, values) in enumerate(table.columns.items()):
        different = {value for value in values if isinstance(value, (str, int))}
        found = sum(names.find(value, base)[0] is not None for value in different)
        known = found > 0 if heading == KEY else plain(heading) in PICTURES
        whole = sum(isinstance(value, str) and names.looks(value) for value in different)
        rank = PICTURES.index(plain(heading)) if plain(heading) in PICTURES else len(PICTURES) + place
        rank = -1 if heading == KEY else rank
        if known or (found and 2 * found >= len(different)) or 2 * whole > len(different):
            scores[heading] = (bool(found) and known, min(found, whole), found, whole, -rank)
    columns = ", ".join(list(table.columns)[:8]) or "none"
    expected = f"texts: expected a column or key of {name} that names pictures of the folder"
    check(scores, f"{expected}, got {columns}")
    return max(scores, key=lambda heading: scores[heading])


def _names_pictures(values: Sequence[Any], names: PictureNames, base: str) -> bool:
    """Whether most values of a column name pictures of the folder."""
    texts = [value for value in values if isinstance(value, str) and value]
    return bool(texts) and 2 * sum(names.looks(v) and names.find(v, base)[0] is not None for v in texts) > len(texts)


def _texts(table: Table, name: str, candidates: Sequence[str], column: str | None) -> list[str]:
    """The headings of the columns that hold captions; none, one, or numbered ones together."""
    if column == "":
        return []
    if column is not None:
        chosen = [h for h in table.columns if h.casefold() == column.strip().casefold()]
        chosen = chosen or [h for h in table.columns if plain(h) == plain(column)]
        chosen = [heading for heading in chosen if heading in candidates]
        listed = ", ".join(candidates)
        check(len(chosen) == 1, f"column: expected a column of {name}, got {column!r}; it has {listed}")
        return chosen
    known = {heading: plain(heading) for heading in candidates if any(map(_something, table.columns[heading]))}
    known = known or {heading: plain(heading) for heading in candidates}
    for text in TEXTS:
        chosen = [heading for heading, h in known.items() if h == text]
        if chosen:
            numbered = [h for h in known if _SEVERAL.fullmatch(known[h]) and known[h].startswith(text.rstrip("s"))]
            check(
                len(chosen) == 1,
                f"texts: expected one column of captions in {name}, got {', '.join(chosen)}; "
                f"name the one to read: column={chosen[0]!r}",
            )
            return [*chosen, *numbered]
    numbered = [heading for heading, h in known.items() if _SEVERAL.fullmatch(h)]
    kinds = {re.sub(r"\d", "", known[heading]) for heading in numbered}
    alike = [h for h in known if _caption_like(known[h]) or plain(h.partition(".")[0]) in TEXTS[:10]]
    alike = [heading for heading in alike if heading not in numbered]
    if len(kinds) == 1 and not alike:
        return numbered
    if not alike and not table.headed:
        alike = [heading for heading in candidates if prose(table.columns[heading])]
    several = ", ".join([*numbered, *alike])
    check(
        len(alike) < 2 and not kinds,
        f"texts: expected one column of captions in {name}, got {several}; name the one to read: "
        f"column={[*alike, *numbered, ''][0]!r}",
    )
    return alike


def _captions(cells: Iterable[Any], name: str) -> list[str]:
    """The captions of a row: of each cell one, or those of the list in it."""
    captions = []
    for cell in cells:
        listed = _listed(cell) if isinstance(cell, str) else cell
        for item in listed if isinstance(listed, list) else [cell]:
            if isinstance(item, dict):
                key = _caption_key(item)
                check(key is not None, f"texts: expected captions in {name}, got {str(item)[:80]}")
                item = item[key]
            if isinstance(item, list) and all(isinstance(word, str) for word in item):
                item = " ".join(item)
            good = item is None or (isinstance(item, (str, int, float)) and not isinstance(item, bool))
            check(good, f"texts: expected captions as texts in {name}, got {str(item)[:80]}")
            captions.append("" if item is None or str(item).casefold() in _NOTHING else str(item).strip())
    return [caption for caption in captions if caption]


def _caption_key(item: dict[str, Any]) -> str | None:
    """The key of an object that holds its caption."""
    return next((key for known in ("raw", *TEXTS) for key in item if plain(key) == known), None)


def _other_keys(cells: Iterable[Any]) -> list[str]:
    """The keys of objects in lists of captions that hold no caption."""
    objects = [item for cell in cells if isinstance(cell, list) for item in cell if isinstance(item, dict)]
    return list(dict.fromkeys(key for item in objects for key in item if key != _caption_key(item)))


def prose(values: Iterable[Any]) -> bool:
    """Whether most values have letters."""
    texts = [value for value in values if _something(value)]
    return 2 * sum(any(map(str.isalpha, str(text))) for text in texts) > len(texts)


def _listed(cell: str) -> list[str] | None:
    """A cell that pandas wrote from a list of texts, as the list, or None for any other text."""
    if cell[:1] + cell[-1:] != "[]":
        return None
    value = _literal(cell)
    return value if isinstance(value, list) and value and all(isinstance(item, str) for item in value) else None


def _literal(cell: str) -> Any:
    """A cell as JSON or as Python writes a value; None if it is neither."""
    readers: tuple[Callable[[str], Any], ...] = (json.loads, ast.literal_eval)
    for read in readers:
        try:
            return read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _something(value: Any) -> bool:
    return value is not None and value != [] and str(value).strip().casefold() not in _NOTHING


def _number(value: Any) -> float | None:
    """A value as a number, truth too, or None."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        return None
    if value.strip().casefold() in ("true", "false"):
        return float(value.strip().casefold() == "true")
    try:
        return float(value)
    except ValueError:
        return None


# Labels.


def label_lists(values: Sequence[Any], where: str) -> list[tuple[str, ...]]:
    """The labels of each row of a column.

    values: names with `;`, `|` or `,` between them; lists, also as pandas writes them ("['dog', 'cat']"); class
    numbers; or 0 and 1 for every class, in a list, or as NumPy prints an array ("[0 1 0]"). where: what messages call
    the column. Errors: `InputError` for an array that NumPy shortened, and for rows of 0 and 1 that differ in length.
    """
    lists = [[item for cell in _items(value, where) if (item := _label(cell, where))] for value in values]
    held = [items for items in lists if items]
    binary = all(item in ("0", "1") for items in held for item in items)
    lengths = sorted({len(items) for items in held})
    repeated = any(len(set(items)) < len(items) for items in held)
    if binary and lengths and lengths[-1] > 1 and (repeated or len(lengths) == 1):
        came = f"rows of {lengths[0]} and {lengths[-1]}"
        check(len(lengths) == 1, f"texts: expected a 0 or a 1 for every class in {where}, got {came}")
        return [tuple(f"label {i}" for i, item in enumerate(items) if item == "1") for items in lists]
    return [tuple(dict.fromkeys(items)) for items in lists]


def _items(value: Any, where: str) -> Iterable[Any]:
    """What a cell of labels lists."""
    if value is None or isinstance(value, (bool, int, float)):
        return [value]
    if not isinstance(value, str):
        return value if isinstance(value, (list, tuple)) else [value]
    text = value.strip()
    if text[:1] + text[-1:] in ("[]", "()", "{}"):
        read = _literal(text)
        if isinstance(read, (list, tuple, set, frozenset)):
            items = sorted(read, key=str) if isinstance(read, (set, frozenset)) else read
            return [part for item in items for part in (item if isinstance(item, (list, tuple)) else [item])]
        text = text[1:-1].strip()
        check(
            "..." not in text,
            f"texts: expected whole lists of labels in {where}, got {value[:60]!r}, which is shortened",
        )
        if re.fullmatch(r"[-\d.\s,\[\]]*", text):
            return re.findall(r"-?\d+\.?\d*", text)
        return [item.strip(" '\"") for item in re.split(r"[;|,]", text)]
    if re.fullmatch(r"[01](\.0?)?(\s+[01](\.0?)?)+", text):
        return text.split()
    return re.split(r"[;|,]", text)


def _label(item: Any, where: str) -> str:
    """A label's name; empty for none. A number is its name, without a point if it is whole."""
    if isinstance(item, dict):
        item = next((item[key] for known in ("name", *LABELS) for key in item if plain(key) == known), None)
    check(
        item is None or isinstance(item, (str, int, float)), f"texts: expected labels in {where}, got {str(item)[:60]}"
    )
    name = "" if item is None else str(item).strip()
    if name.casefold() in _NOTHING:
        return ""
    return re.sub(r"^(-?\d+)\.0*$", r"\1", name)


def _zeros_and_ones(heading: str, values: Sequence[Any]) -> bool:
    """Whether a column may say of one class whether it holds, as 0/1 or -1/1; one that counts captions does not."""
    numbers = {_number(value) for value in values}
    binary = bool(numbers) and (numbers <= {0, 1} or numbers <= {-1, 1})
    return binary and not _COUNTS.fullmatch(plain(heading))


# The split.


def _flags(headings: Sequence[str]) -> dict[str, str]:
    """Columns of 0 and 1 that say a part, such as is_train: those that begin with "is", or all, if all are parts."""
    told = {h: part for h in headings if plain(h).startswith("is") and (part := part_of(plain(h)[2:]))}
    parts = {h: part_of(h) for h in headings}
    return told or ({h: part for h, part in parts.items() if part} if all(parts.values()) else {})


def _flagged(table: Table, flags: dict[str, str]) -> list[str | None]:
    """The part of each row. Where one column says one part alone, the others are what it is set against."""
    other = None
    if len(flags) == 1:
        other = "test" if "train" in flags.values() else "train"
    rows = zip(*(table.columns[h] for h in flags), strict=True)
    return [next((p for p, cell in zip(flags.values(), row, strict=True) if _number(cell) == 1), other) for row in rows]
