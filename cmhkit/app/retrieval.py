"""What a finished run is used for: codes of new pictures and texts, and search by words or by a picture."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cmhkit.data
from cmhkit.app.run_folder import RunFolder, Say, write_array
from cmhkit.app.settings import data_spec
from cmhkit.data.text import lines, tokens
from cmhkit.hasher import CrossModalHasher
from cmhkit.index import HammingIndex
from cmhkit.support.checks import InputError, check
from cmhkit.support.files import write_atomically
from cmhkit.support.progress import progress

# Pictures that are read before they are encoded.
_PICTURES = 256


def encode_pictures(path: str | Path, given: str | Path, say: Say) -> dict[str, np.ndarray]:
    """Codes of pictures, by the hasher of a finished run.

    given: a folder of pictures, one picture file, or a .npy file of what the method was fitted on (pictures or
    features). say: takes a line for each picture that cannot be read, which is left out. Returns "codes", packed, and
    "names": of the files, or the row numbers.
    """
    folder, given = RunFolder(path), Path(given)
    hasher = folder.hasher()
    check(
        given.exists(),
        f"--images: expected a folder of pictures, a picture or a .npy file, got {given}, which is not there",
    )
    if given.suffix == ".npy":
        array = _array(given, "--images")
        return {"codes": hasher.encode(images=array), "names": np.arange(len(array))}
    files = picture_files(given)
    names, parts, batch = [], [], []
    with progress(len(files), "Encoding pictures") as step:
        for number, file in enumerate(files):
            try:
                batch.append(read_picture(folder, file))
                names.append(file.name if given.is_file() else file.relative_to(given).as_posix())
            except InputError as error:
                check(given.is_dir(), f"--images: {error}")
                say(f"left out: {error}")
            step()
            if batch and (len(batch) == _PICTURES or number + 1 == len(files)):
                parts.append(hasher.encode(images=np.stack(batch)))
                batch = []
    check(names, f"--images: expected at least one picture that can be read in {given}, got none of {len(files)}")
    return {"codes": np.concatenate(parts), "names": np.array(names)}


def picture_files(given: Path) -> list[Path]:
    """The picture files in a folder and in the folders inside it, by name; or the one file that is given."""
    if given.is_file():
        return [given]
    from PIL import Image

    known = Image.registered_extensions()
    pictures = [p for p in given.rglob("*") if p.suffix.lower() in known and not p.name.startswith(".")]
    files = sorted(p for p in pictures if p.is_file())
    check(files, f"--images: expected pictures in {given}, got a folder without any")
    return files


def read_picture(folder: RunFolder, file: Path) -> np.ndarray:
    """One picture as the run's own pictures were read, uint8, shape (R, R, 3). Errors: `InputError` that names the
    file.
    """
    from cmhkit.data.pictures import read_photo

    items = folder.config()["items"]
    check(
        len(items["images"]) == 3,
        f"{file}: cannot be read by this run, which was fitted on image features of width {items['images'][0]}; "
        "give features, as a .npy file",
    )
    check(file.is_file(), f"{file}: expected a picture, got {'a folder' if file.is_dir() else 'nothing there'}")
    try:
        return read_photo(file, items["images"][0], items["resize"])[0]
    except InputError as error:
        raise InputError(f"{file}: expected a picture, got: {error}") from error


def encode_texts(path: str | Path, given: str | Path, say: Say) -> dict[str, np.ndarray]:
    """Codes of texts, by the hasher of a finished run.

    given: a file with one text a line in UTF-8, "-" for standard input, or a .npy file of text vectors. Returns
    "codes", packed, and "names": the texts, or the row numbers.
    """
    hasher = RunFolder(path).hasher()
    if str(given).endswith(".npy"):
        array = _array(Path(given), "--texts")
        return {"codes": hasher.encode(texts=array), "names": np.arange(len(array))}
    try:
        content = sys.stdin.buffer.read() if str(given) == "-" else Path(given).read_bytes()
        texts = lines(content.decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"--texts: expected a file of texts, one a line, got {given}, which is not there") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"--texts: expected text in UTF-8, got other bytes in {given}, at byte {error.start}"
        ) from error
    check(texts, f"--texts: expected at least one line, got none in {given}")
    check_words(hasher)
    empty = [number for number, text in enumerate(texts, 1) if not _says_something(hasher, text)]
    if empty:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        say(
            f"note: {len(empty)} of {len(texts)} lines have no word that the run knows, and all get the same code "
            f"(lines {shown})"
        )
    return {"codes": hasher.encode(texts=texts), "names": np.array(texts)}


def encode_data(path: str | Path, data: str, data_options: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Codes of all pairs of a data set: "image_codes", "text_codes", "ids", and "part", the name of each pair's part,
    or an empty text.
    """
    hasher = RunFolder(path).hasher()
    name, loader_options = data_spec(data, data_options)
    items = cmhkit.data.load(name, **loader_options)
    part = np.full(len(items), "", dtype="U9")
    for kind in ("retrieval", "train", "query"):
        part[items.parts[kind]] = kind
    whole = items.take(np.arange(len(items)))
    return {
        "image_codes": hasher.encode(images=whole),
        "text_codes": hasher.encode(texts=whole),
        "ids": items.ids,
        "part": part,
    }


def check_codes_file(path: str | Path, *, both: bool) -> None:
    """Errors: `InputError` for a name that `write_codes` has no form for. both: codes of pictures and of texts are to
    be written.
    """
    name = Path(path).name
    check(name.endswith((".npz", ".npy")), f"--out: expected a name that ends in .npz or .npy, got {name}")
    check(
        name.endswith(".npz") or not both,
        f"--out: expected a .npz file, since there are codes of pictures and of texts, got {name}",
    )


def write_codes(path: str | Path, codes: dict[str, np.ndarray]) -> None:
    """Write codes in one step: everything as .npz, or "codes" alone as .npy."""
    path = Path(path)
    check_codes_file(path, both="codes" not in codes)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **codes)

    if path.suffix == ".npz":
        write_atomically(path, write)
    else:
        write_array(path, codes["codes"])


def _array(file: Path, argument: str) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{argument}: expected a .npy file of numbers, got {file} ({error})") from error


def check_words(hasher: CrossModalHasher) -> None:
    """Errors: `InputError` for a hasher that was fitted on text vectors alone."""
    name = type(hasher).__name__
    check(
        hasher.vocabulary_ is not None or hasher.text_features_ != "bag",
        f"texts: expected text vectors, since this {name} was fitted on data without a vocabulary, got words",
    )


def _says_something(hasher: CrossModalHasher, text: str) -> bool:
    """Whether a text has a word that the hasher knows: any word at all, where texts are read by their meaning."""
    return bool(tokens(text)) if hasher.text_features_ == "minilm" else hasher.vocabulary_.bag_of_words([text]).any()


def search(
    path: str | Path,
    words: str | None = None,
    *,
    image: str | Path | None = None,
    k: int = 10,
    among: str | None = None,
    at: str | None = None,
    table: str | None = None,
    ef: int | None = None,
    say: Say = print,
) -> list[dict[str, Any]]:
    """The nearest items of a finished run's retrieval set, by words or by a picture.

    words: typed ones. image: a picture file. Give one of both. among: "images" or "texts", whose codes are searched;
    None takes the other kind. at, table, ef: search the codes that `cmhkit push` wrote into a database, as
    `cmhkit.app.database` says; the exact answer is the same as without. say: takes a line about words that the run does
    not know.
    Returns a dictionary for each item: "rank" from 1, "id", "distance" in bits, and "labels", "file", "text" where they
    are known. Errors: `InputError`, also where the run knows none of the words.
    """
    check((words is None) != (image is None), "search: expected words or --image, one of both")
    among = among or ("images" if image is None else "texts")
    check(among in ("images", "texts"), f"--among: expected images or texts, got {among!r}")
    check(at is not None or (table is None and ef is None), "--table, --ef: expected --at too")
    folder = RunFolder(path)
    hasher = folder.hasher()
    if image is None:
        check_words(hasher)
        _say_unknown(hasher, words, say)
        query = hasher.encode(texts=[words])
    else:
        query = hasher.encode(images=read_picture(folder, Path(image))[None])
    if at is not None:
        from cmhkit.app import database

        return database.search(path, at, query, k=k, among=among, table=table, ef=ef)
    ids = folder.codes("retrieval_ids")
    database = folder.codes(f"retrieval_{among}")
    check(1 <= k <= len(ids), f"--k: expected a number from 1 to {len(ids)}, got {k}")
    hits = HammingIndex(database, ids).search(query, k)
    items, place = folder.items(), {int(name): row for row, name in enumerate(ids)}
    rows = []
    for rank, (name, distance) in enumerate(zip(hits.ids[0].tolist(), hits.distances[0].tolist(), strict=True), 1):
        row = {"rank": rank, "id": name, "distance": distance}
        for column, key in (("labels", "labels"), ("file", "files"), ("text", "texts")):
            if items[key] is not None:
                row[column] = items[key][place[name]]
        rows.append(row)
    return rows


def write_search_page(
    path: str | Path,
    file: str | Path,
    rows: Sequence[dict[str, Any]],
    words: str | None = None,
    *,
    image: str | Path | None = None,
    among: str | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write what `search` found as one page that needs nothing else, with the pictures inside, in one step.

    file: the page, a name that ends in .html. rows: of `search`. words, image, among: as `search` had them. notes: what
    it said. The pictures come from the run's data set; where that is not there any more, the page says so and has none.
    """
    from cmhkit.app.pages import search_page

    check_page_file(file)
    folder = RunFolder(path)
    config, notes = folder.config(), list(notes)
    pictures: list[np.ndarray | None] = [None] * len(rows)
    credit = None
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the readers say was said when the run was trained
            data = folder.data()
    except InputError as error:
        notes.append(f"The pictures are left out, since the run's data cannot be read: {error}")
    else:
        credit = data.details.get("credit")
        if data.images.ndim == 4:
            place = {int(name): row for row, name in enumerate(data.ids)}
            pictures = [np.asarray(data.images[place[row["id"]]]) for row in rows]
        else:
            notes.append("There are no pictures, since the run's data have features in their place.")
    among = among or ("images" if image is None else "texts")
    what, items = "pictures" if among == "images" else "texts", config["items"]
    lead = (
        f"The {len(rows):,} nearest of {items['parts']['retrieval']:,} {what} of {items['name']}, by "
        f"{config['method']} with {config['bits']} bits. The distance is the number of bits that differ."
    )
    query = words if image is None else read_picture(folder, Path(image))
    page = search_page(query, rows, pictures, lead, notes, credit)
    write_atomically(Path(file), lambda p: p.write_text(page, encoding="utf-8"))


def check_page_file(file: str | Path) -> None:
    """Errors: `InputError` for a page with a name that a browser would not open."""
    name = Path(file).name
    check(name.lower().endswith((".html", ".htm")), f"--html: expected a name that ends in .html, got {name!r}")
    check(not Path(file).is_dir(), f"--html: expected a file, got the folder {file}")


def _say_unknown(hasher: CrossModalHasher, words: str, say: Say) -> None:
    says_something = _says_something(hasher, words)
    if hasher.text_features_ == "minilm":
        check(says_something, f"search: expected at least one word, got {words!r}")
        return
    vocabulary = hasher.vocabulary_
    unknown = vocabulary.unknown(words)
    listed = vocabulary.told(unknown)
    check(
        says_something,
        f"search: expected a word that the training texts had, got none; unknown: {listed or 'no word at all'}; "
        f"it knows {', '.join(vocabulary.offers(unknown))} and others; "
        "a run with --data-option text_features=minilm finds other words by what they mean",
    )
    if unknown:
        say(f"note: not among the {len(vocabulary):,} words that the run knows: {listed}")
