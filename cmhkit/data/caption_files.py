"""Files that say something of pictures, as tables: CSV and its relatives, token files, JSON, JSON lines and COCO's.

Nothing is decided here of what a column means; `cmhkit.data.captions` does that.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmhkit.data.part_names import part_of
from cmhkit.support.checks import InputError, check

#: Endings of files that are read as tables, and those of them that are JSON.
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json", *JSON_LINES)
TABLES = (".csv", ".tsv", ".psv", ".tab", *JSON)
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_LINE_END = re.compile(r"\r\n|\n|\r")
#: The column of the keys of an object that has a key a picture.
KEY = "(key)"
# Lines that are looked at to find out what stands between the columns.
_SAMPLE = 200
# Of a JSON file's annotations these say nothing of texts or labels, and take most of the memory.
_OUTLINES = {"segmentation", "keypoints", "bbox"}


@dataclass
class Table:
    """What a file says, a row a picture or a caption.

    columns: heading → values, one a row; text from text files, and whatever JSON has from JSON; None where a row has no
    such key. places: where each row stands in the file. form: how the file is written. skipped: (place, reason).
    dropped: keys that were not kept. headed: whether the headings come from the file.
    """

    columns: dict[str, list[Any]]
    places: list[str]
    form: str
    skipped: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    headed: bool = True

    def __len__(self) -> int:
        return len(self.places)


#: Whether a cell names a picture of the folder; whether a row of cells has the headings of a table.
Names = Callable[[str], bool]
Headings = Callable[[Sequence[str]], bool]


def decoded(content: bytes, encoding: str) -> str:
    """Text from bytes: a byte order mark says more than `encoding`. Errors: `UnicodeDecodeError`."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(name)
    return content.decode(encoding)


def read_text(path: Path, name: str, encoding: str) -> str:
    """The text of a file. Errors: `InputError` for another encoding, zero bytes, and a file that cannot be read."""
    try:
        text = decoded(path.read_bytes(), encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"encoding: expected {name} as {encoding}, got a byte that is none at {error.start}; "
            "pass the encoding it is in"
        ) from error
    except OSError as error:
        raise InputError(f"texts: expected a table, got {path}, which cannot be read ({error})") from error
    check(
        "\0" not in text, f"encoding: expected {name} as {encoding}, got zero bytes in it; pass the encoding it is in"
    )
    return text


def read_table(path: Path, name: str, encoding: str, names: Names, headings: Headings) -> Table:
    """A file as a table.

    name: what messages call it. names: says whether a cell names a picture. headings: says whether cells are the first
    line of a table. Errors: `InputError` for a file that is none, in another encoding, or broken, with its line.
    """
    text = read_text(path, name, encoding)
    ending = path.suffix.lower()
    check(text.strip(), f"texts: expected a table with the columns file and text, got {name}, which is empty")
    if ending in JSON:
        return _json_table(text, name, ending, names, headings)
    return _text_table(text, name, names, headings)


# Lines with something between the columns.


def _text_table(text: str, name: str, names: Names, headings: Headings) -> Table:
    """A text file with something between its columns as a table."""
    announced = re.match(r'\s*"?sep=(.)"?[ \t,;]*(?:\r\n|\n|\r)', text, re.IGNORECASE)
    start = len(_LINE_END.findall(announced[0])) if announced else 0
    body = text[announced.end() :] if announced else text
    lines = [(n, line) for n, line in enumerate(_LINE_END.split(body), start=1 + start) if line.strip()]
    check(lines, f"texts: expected a table with the columns file and text, got {name}, which is empty")
    first = lines[0][1]
    if announced:
        delimiter = announced[1]
    else:
        score = {d: _fits(lines[:_SAMPLE], d, names, headings) for d in DELIMITERS}
        delimiter = max(score, key=lambda d: score[d])
        if not any(score[delimiter]):
            return _words_after_names(lines, name, names)
    rows = _rows(body, start, lines, delimiter, name, names)
    check(rows, f"texts: expected a table with the columns file and text, got {name}, which is empty")
    form = f"with {DELIMITERS.get(delimiter, repr(delimiter))} between the columns"
    header = [cell.strip() for cell in rows[0][1]]
    if any(map(names, header)) or not (headings(header) or _first_line_apart(rows, names)):
        return _headless(lines, rows, delimiter, form, names)
    check(len(header) > 1, f"texts: expected a first line with the columns file and text in {name}, got {first[:80]!r}")
    twice = [cell for cell, count in Counter(cell.casefold() for cell in header).items() if cell and count > 1]
    check(not twice, f"texts: expected each column once in {name}, got {''.join(twice[:1])} twice")
    kept, skipped, whole = [], [], dict(lines)
    for line, row in rows[1:]:
        row = _last_whole(row, len(header), whole[line], delimiter)
        if len(row) == len(header):
            kept.append((line, row))
        else:
            reason = f"another number of fields than the {len(header)} of the first line"
            skipped.append((f"line {line}", reason))
    columns = {heading: [row[i].strip() for _, row in kept] for i, heading in enumerate(header) if heading}
    for i, heading in enumerate(header):
        if not heading and any(row[i].strip() for _, row in kept):
            columns[f"(column {i + 1}, without a heading)"] = [row[i].strip() for _, row in kept]
    return Table(columns, [f"line {line}" for line, _ in kept], form, skipped)


def _last_whole(row: list[str], width: int, line: str, delimiter: str) -> list[str]:
    """A row that is too wide, mended: without empty cells at its end, or with what only commas of a sentence divide,
    which have a blank behind them, in its last cell.
    """
    if not any(map(str.strip, row[width:])):
        return row[:width]
    cells = line.split(delimiter, width - 1)
    sentence = delimiter == "," and '"' not in line and not re.search(r",(?! )", cells[-1])
    return cells if sentence else row


def _fits(lines: Sequence[tuple[int, str]], delimiter: str, names: Names, headings: Headings) -> tuple[bool, int]:
    """How well a delimiter fits: whether the first line has headings, and how many lines name a picture in a cell."""
    first = [cell.strip() for cell in next(csv.reader([lines[0][1]], delimiter=delimiter), [])]
    cells = (line.split(delimiter) for _, line in lines)
    return headings(first), sum(len(row) > 1 and any(names(cell.strip(' "')) for cell in row) for row in cells)


def _first_line_apart(rows: Sequence[tuple[int, list[str]]], names: Names) -> bool:
    """Whether a first line that names no picture stands over a column that does."""
    width = len(rows[0][1])
    below = [row for _, row in rows[1 : 1 + _SAMPLE] if len(row) == width]
    return any(2 * sum(names(row[i].strip()) for row in below) > len(below) for i in range(width)) and width > 1


def _rows(
    body: str, start: int, lines: Sequence[tuple[int, str]], delimiter: str, name: str, names: Names
) -> list[tuple[int, list[str]]]:
    """The rows with the numbers of their lines.

    Some writers quote cells, some write `\\"` in them, and some quote nothing at all, so that a quotation mark is one.
    The first reading that goes through is taken, unless another gives more rows of the first one's width.
    """
    readings: list[Callable[[], list[tuple[int, list[str]]]]] = [
        lambda: _quoted(body, start, delimiter, names, skipinitialspace=True),
        lambda: _quoted(body, start, delimiter, names),
        lambda: _unquoted(lines, delimiter),
    ]
    if '\\"' in body:
        readings.insert(2, lambda: _quoted(body, start, delimiter, names, doublequote=False, escapechar="\\"))
    best: tuple[int, list[tuple[int, list[str]]]] | None = None
    wrong: InputError | None = None
    for reading in readings:
        try:
            rows = reading()
        except InputError as error:
            wrong = wrong or error
            continue
        odd = sum(len(row) != len(rows[0][1]) for _, row in rows)
        if best is None or odd < best[0]:
            best = odd, rows
        if not odd:
            break
    if best is None:
        raise InputError(f"texts: expected a table, got {name}, which goes wrong at {wrong}") from wrong
    return best[1]


def _quoted(body: str, start: int, delimiter: str, names: Names, **dialect: Any) -> list[tuple[int, list[str]]]:
    """Rows whose cells may stand in quotation marks. Errors: `InputError` that says at which line and why."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True, **dialect)
    rows: list[tuple[int, list[str]]] = []
    before = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((start + before + 1, row))
            if rows and reader.line_num - before > 1:
                _check_swallowed(row, len(rows[0][1]), start + before + 1, delimiter, names)
            before = reader.line_num
    except csv.Error as error:
        raise InputError(f"line {start + reader.line_num} ({error})") from error
    return rows


def _unquoted(lines: Sequence[tuple[int, str]], delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows in which a quotation mark is one. Errors: `InputError` for a line with one and another number of cells."""
    rows = [(n, line.split(delimiter)) for n, line in lines]
    width = len(rows[0][1])
    torn = next((n for n, row in rows if len(row) != width and any('"' in cell for cell in row)), None)
    check(torn is None, f"line {torn} (a quotation mark)")
    return rows


def _check_swallowed(row: Sequence[str], width: int, line: int, delimiter: str, names: Names) -> None:
    """Errors: `InputError` if a cell over several lines holds a line that is a row itself, with a picture's name."""
    for inner in (inner for cell in row for inner in _LINE_END.split(cell)[1:]):
        cells = inner.split(delimiter)
        swallows = len(cells) == width > 1 and any(names(cell.strip()) for cell in cells)
        check(not swallows, f"line {line} (a quotation mark that opens there takes in the row {inner[:40]!r})")


def _headless(
    lines: Sequence[tuple[int, str]],
    rows: Sequence[tuple[int, list[str]]],
    delimiter: str,
    form: str,
    names: Names,
) -> Table:
    """A table without headings. Where rows differ in width, or commas have a blank behind them, all after the first
    cell is one.
    """
    width = len(rows[0][1])
    loose = any(len(row) != width for _, row in rows)
    if delimiter == "," and not any('"' in line for _, line in lines):
        loose |= any(", " in line.partition(",")[2] for _, line in lines)
    together = loose and 2 * sum(names(row[0].strip()) for _, row in rows) > len(rows)
    if together:
        rows, width = [(n, line.split(delimiter, 1)) for n, line in lines if delimiter in line], 2
    kept = [(n, row) for n, row in rows if len(row) == width]
    columns = {f"column {i + 1}": [row[i].strip() for _, row in kept] for i in range(width)}
    odd = [n for n, row in rows if len(row) != width]
    odd += sorted({n for n, _ in lines} - {n for n, _ in rows}) if together else []
    reason = f"another number of fields than the {width} of the first line"
    skipped = [(f"line {n}", reason) for n in odd]
    return Table(
        columns, [f"line {n}" for n, _ in kept], f"{form}, without a first line of headings", skipped, [], False
    )


def _words_after_names(lines: Sequence[tuple[int, str]], name: str, names: Names) -> Table:
    """A list of pictures, or of pictures with something after a blank."""
    split = [(n, line.strip().split(None, 1)) for n, line in lines]
    alone = [(n, line.strip()) for n, line in lines]
    if 2 * sum(names(line) for _, line in alone) > len(alone):
        places = [f"line {n}" for n, _ in alone]
        return Table({"column 1": [line for _, line in alone]}, places, "a list of pictures", headed=False)
    both = [(n, cells) for n, cells in split if len(cells) == 2]
    if 2 * sum(names(cells[0]) for _, cells in both) > len(lines):
        columns = {f"column {i + 1}": [cells[i] for _, cells in both] for i in range(2)}
        skipped = [(f"line {n}", "a name alone") for n, cells in split if len(cells) != 2]
        return Table(columns, [f"line {n}" for n, _ in both], "with a blank after the name", skipped, [], False)
    columns = "a first line with the columns file, text and, if there are any, labels"
    raise InputError(f"texts: expected {columns} in {name}, got {lines[0][1][:80]!r}")


# JSON.


def _json_table(text: str, name: str, ending: str, names: Names, headings: Headings) -> Table:
    """A JSON file, or one with a value a line, as a table."""
    dropped: dict[str, None] = {}

    def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object; a key that occurs several times has the list of its values, and outlines are let go."""
        out: dict[str, Any] = {}
        several = set()
        for key, value in pairs:
            if key in _OUTLINES:
                dropped[key] = None
            elif key not in out:
                out[key] = value
            elif key in several:
                out[key].append(value)
            else:
                out[key] = [out[key], value]
                several.add(key)
        return out

    form, places = "JSON", []
    try:
        if ending in JSON_LINES:
            raise json.JSONDecodeError("Extra data", text, 0)
        value = json.loads(text, object_pairs_hook=kept)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise InputError(f"texts: expected JSON in {name}, which cannot be read ({error})") from error
        form, value = "a JSON object a line", []
        for n, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    value.append(json.loads(line, object_pairs_hook=kept))
                except (ValueError, RecursionError) as wrong:
                    raise InputError(f"texts: expected JSON in line {n} of {name}, got {line[:60]!r}") from wrong
                places.append(f"line {n}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"texts: expected JSON in {name}, which cannot be read ({error})") from error
    rows = list(_records(value, name, names, headings, dropped))
    table = flat_table(rows, form, list(dropped))
    table.headed = not all(heading.startswith("column ") for heading in table.columns)
    if len(places) == len(table):
        table.places = places
    return table


def flat_table(records: Sequence[dict[str, Any]], form: str, dropped: list[str]) -> Table:
    """Objects as a table, a row each; the keys of an object inside one stand after a point."""
    flat = [dict(_flat(record)) for record in records]
    headings = dict.fromkeys(heading for record in flat for heading in record)
    columns = {heading: [record.get(heading) for record in flat] for heading in headings}
    return Table(columns, [f"item {i}" for i in range(1, len(flat) + 1)], form, dropped=dropped)


def _flat(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """A record without objects inside it: their keys stand after a point."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _objects(value: Any) -> bool:
    """Whether a value is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _records(
    value: Any, name: str, names: Names, headings: Headings, dropped: dict[str, None]
) -> Iterable[dict[str, Any]]:
    """The rows of a JSON value in any of the shapes that are usual, each with its columns by name.

    A list of objects; of lists; of names. An object with a key a picture, a key a part, or a key a column (as pandas
    writes a frame); COCO's. Else the list of objects inside it.
    """
    if _objects(value):
        return value
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        _check_even(value, name)
        return [{f"column {i + 1}": cell for i, cell in enumerate(row)} for row in value]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [{"column 1": item} for item in value]
    came = f"a list of {type(value[0]).__name__}" if isinstance(value, list) and value else type(value).__name__
    check(isinstance(value, dict) and value, f"texts: expected a list or an object of pictures in {name}, got {came}")
    if all(map(part_of, value)):
        parts = {key: _records(rows, name, names, headings, dropped) if rows else [] for key, rows in value.items()}
        return [{**record, "split": record.get("split", part)} for part, rows in parts.items() for record in rows]
    by_name = [{KEY: key, **(v if isinstance(v, dict) else {"text": v})} for key, v in value.items()]
    if 2 * sum(map(names, value)) > len(value):
        return by_name
    lists = {key: content for key, content in value.items() if _objects(content)}
    if {"images", "annotations"} <= lists.keys() and any("image_id" in item for item in lists["annotations"]):
        dropped.update(dict.fromkeys(key for key in value if key not in ("images", "annotations", "categories")))
        return _joined(lists, value, name, dropped)
    if lists:
        chosen = max(lists, key=lambda key: (headings(list(lists[key][0])), len(lists[key])))
        dropped.update(dict.fromkeys(key for key in value if key != chosen))
        return lists[chosen]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        _check_even([value["columns"], *value["data"]], name)
        return [dict(zip(map(str, value["columns"]), row, strict=True)) for row in value["data"]]
    contents = list(value.values())
    if headings(list(value)) and all(isinstance(content, type(contents[0])) for content in contents):
        if isinstance(contents[0], list) and len(set(map(len, contents))) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*contents, strict=True)]
        if isinstance(contents[0], dict):
            return [{key: column.get(row) for key, column in value.items()} for row in contents[0]]
    return by_name


def _check_even(rows: Sequence[Any], name: str) -> None:
    """Errors: `InputError` for rows that are no lists of one length."""
    odd = next((row for row in rows if not isinstance(row, list) or len(row) != len(rows[0])), None)
    check(odd is None, f"texts: expected rows of {len(rows[0])} in {name}, got {str(odd)[:60]}")


def _joined(
    lists: dict[str, list[dict[str, Any]]], whole: dict[str, Any], name: str, dropped: dict[str, None]
) -> Iterable[dict[str, Any]]:
    """COCO's shape: annotations of images that have a number, with captions or with categories that have one too."""
    images: dict[Any, dict[str, Any]] = {}
    for item in lists["images"]:
        good = isinstance(item.get("id"), (int, str))
        check(good, f"texts: expected images with an id in {name}, got {str(item)[:80]}")
        images[item["id"]] = {key: value for key, value in item.items() if key not in ("caption", "category")}
    categories = whole.get("categories")
    called = {str(item.get("id")): item.get("name") for item in categories} if _objects(categories) else None
    for item in lists["annotations"]:
        number = item.get("image_id")
        known = isinstance(number, (int, str)) and number in images
        check(known, f"texts: expected annotations of images that {name} lists, got {str(item)[:80]}")
        if "caption" in item:
            images[number].setdefault("caption", []).append(item["caption"])
        if "category_id" in item:
            category = str(item["category_id"])
            known = called is None or category in called
            check(known, f"texts: expected categories that {name} lists, got {category}")
            held = images[number].setdefault("category", [])
            label = category if called is None else called[category]
            held += [] if label in held else [label]
        dropped.update(dict.fromkeys(item.keys() - {"caption", "category_id", "image_id", "id"}))
    return images.values()
