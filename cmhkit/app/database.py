"""Codes in PostgreSQL with pgvector: the codes of a finished run go into a table, and are searched there.

    id bigint PRIMARY KEY | image_code bit(K) | text_code bit(K) | labels text[] | file text | caption text

The exact search is one line of SQL, here and on a cluster; `<~>` counts the bits that differ:

    SELECT id, image_code <~> '0110…' AS distance FROM ugach_32 ORDER BY distance, id LIMIT 10

The table's comment says, as JSON, which hasher's codes it holds. An address is postgresql://USER@HOST/DATABASE, or
embedded:FOLDER for a server of one's own (`cmhkit.app.embedded`). A password is better kept in ~/.pgpass or PGPASSWORD
than in the address; no message shows it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.app.run_folder import HASHER, RunFolder, Say
from cmhkit.codes import check_packed, check_same_bits
from cmhkit.index import Hits
from cmhkit.support.blocks import slices
from cmhkit.support.checks import InputError, check, check_choice, check_integer
from cmhkit.support.files import sha256
from cmhkit.support.progress import progress

if TYPE_CHECKING:
    from psycopg import Connection

FORMAT = 1
EXTENSION, OLDEST = "vector", (0, 7)  # since 0.7 pgvector compares bits
MOST_CANDIDATES = 1000  # pgvector's own limit of hnsw.ef_search
_ROWS = 10_000
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,54}")
_FORMS = "postgresql://USER@HOST/DATABASE or embedded:FOLDER"


@contextmanager
def connected(at: str) -> Iterator[Connection]:
    """A connection for a block; each statement counts at once, but for those in a `connection.transaction()`.

    at: an address. What PostgreSQL refuses inside the block comes out as `InputError`, and so does an address that
    cannot be read, a server that does not answer within ten seconds, and a missing package.
    """
    try:
        import psycopg
    except ImportError as error:
        raise InputError("a database needs the package psycopg: pip install 'cmhkit[database]'") from error
    kind, _, folder = at.partition(":")
    if kind == "embedded":
        from cmhkit.app.embedded import server

        check(folder, "address: expected embedded:FOLDER, got no folder")
        with server(folder) as address, connected(address) as connection:
            yield connection
        return
    options = _options(at)
    place = _place(options)
    try:
        connection = psycopg.connect(**options, autocommit=True)
    except psycopg.Error as error:
        raise InputError(f"address: expected a server that answers at {place}, got: {_told(error, options)}") from None
    with connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise InputError(f"{place}: {_told(error, options)}") from None


def _options(at: str) -> dict[str, Any]:
    """An address in parts. What cannot be read is not shown, since it may hold a password."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    known = at.startswith(("postgresql://", "postgres://"))
    check(known, f"address: expected {_FORMS}, got something else (not shown: it may hold a password)")
    try:
        options = conninfo_to_dict(at)
    except (psycopg.Error, UnicodeError):
        options = {"port": "unreadable"}
    plain = all("@" not in str(options.get(name, "")) for name in ("host", "port", "dbname"))
    check(
        plain and re.fullmatch(r"[\d,]*", str(options.get("port", ""))),
        f"address: expected {_FORMS}, got one that cannot be read (not shown); in a password, % @ : / and # are "
        "written as %25 %40 %3A %2F %23",
    )
    if "PGCONNECT_TIMEOUT" not in os.environ:
        options.setdefault("connect_timeout", 10)
    return options


def _place(options: Mapping[str, Any]) -> str:
    """Host, port and database, as messages name them."""
    port = f":{options['port']}" if options.get("port") else ""
    return f"{options.get('host') or 'this machine'}{port}/{options.get('dbname') or ''}".rstrip("/")


def _told(error: Exception, options: Mapping[str, Any]) -> str:
    """The first line of what PostgreSQL says, without passwords."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    text = (primary or str(error) or type(error).__name__).strip().splitlines()[0]
    for name in ("password", "sslpassword"):
        if options.get(name):
            text = text.replace(str(options[name]), "…")
    return text


def table_name(name: str | None, path: str | Path) -> str:
    """The table of a run: the name that is given, or that of the run's folder in lower case, such as ugach_32.

    Errors: `InputError` for a given name that would need quotation marks in SQL, or that is longer than 55 characters.
    """
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "_", Path(path).resolve().name.lower()).strip("_")[:50]
        name = name if _TABLE.fullmatch(name) else f"run_{name}"
    check(
        _TABLE.fullmatch(name),
        "--table: expected at most 55 lower-case letters, digits and underscores, a letter or underscore first, "
        f"got {name!r}",
    )
    return name


def described(connection: Connection, table: str) -> dict[str, Any] | None:
    """What a table of codes holds: "items", "bits", "codes" (such as ["image", "text"]), "columns", "index", and what
    `write` was told. None where there is no such table. Errors: `InputError` for a table that is not cmhkit's.
    """
    quoted = _identifier(table).as_string(connection)
    row = connection.execute(
        "SELECT obj_description(found, 'pg_class') FROM to_regclass(%s) AS found WHERE found IS NOT NULL", [quoted]
    ).fetchone()
    if row is None:
        return None
    try:
        about = json.loads(row[0] or "")
        good = about["cmhkit"] == FORMAT
    except (ValueError, TypeError, KeyError):
        good = False
    check(good, f"table {table}: expected one that this version of cmhkit has written, got another")
    return about


def write(
    connection: Connection,
    table: str,
    codes: Mapping[str, ArrayLike],
    ids: ArrayLike | None = None,
    *,
    columns: Mapping[str, Sequence[Any]] | None = None,
    about: Mapping[str, Any] | None = None,
    index: bool = False,
    replace: bool = False,
) -> dict[str, Any] | None:
    """Write packed codes into a table, in one transaction: whoever searches meanwhile sees the old table or the new
    one, and after a failure there is the old one.

    codes: by name, such as {"image": codes}, each packed, (n, K // 8): the column is image_code, of type bit(K).
    ids: n different whole numbers, or None for 0 to n - 1. columns: more columns by name, of n texts or lists of texts
    each. about: what to say of the codes; "hasher" tells one hasher's codes from another's. index: also build an HNSW
    index on each column of codes. replace: also where the table holds another hasher's codes.
    Returns what the table held before (see `described`), or None. Errors: `InputError`, and nothing is changed.
    """
    from psycopg import sql

    codes = {name: check_packed(packed, f"codes[{name!r}]") for name, packed in codes.items()}
    names, first = list(codes), next(iter(codes.values()))
    ids = np.arange(len(first)) if ids is None else np.asarray(ids)
    columns = dict(columns or {})
    for name, packed in codes.items():
        check_same_bits(packed, first, name, names[0])
    for name, values in {**codes, "ids": ids, **columns}.items():
        check(len(values) == len(first), f"{name}: expected one for each of the {len(first)} codes, got {len(values)}")
    check(len(first) > 0, f"codes[{names[0]!r}]: expected at least one code, got none")
    check(ids.dtype.kind in "iu", f"ids: expected whole numbers, got {ids.dtype}")
    check(len(np.unique(ids)) == len(ids), "ids: expected different ones, got the same id twice")
    bits, new = 8 * first.shape[1], f"{table}__new"
    facts = {"items": len(ids), "bits": bits, "codes": names, "columns": list(columns), "index": index}
    lists = {name: isinstance(values[0], list) for name, values in columns.items()}
    parts = [
        sql.SQL("id bigint PRIMARY KEY"),
        *(sql.SQL("{} bit({}) NOT NULL").format(_code(name), sql.Literal(bits)) for name in names),
        *(sql.SQL("{} " + ("text[]" if lists[name] else "text")).format(_identifier(name)) for name in columns),
    ]
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"cmhkit {table}"])
        _need_pgvector(connection)
        old = described(connection, table)
        check(
            old is None or replace or old.get("hasher") == (about or {}).get("hasher"),
            f"table {table}: expected none, or one with this hasher's codes, got {in_words(old)}; name another "
            "with --table, or pass --replace",
        )
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(_identifier(new), sql.SQL(", ").join(parts)))
        _copy(connection, new, ids, list(codes.values()), list(columns.values()))
        for name in names if index else ():
            build = sql.SQL("CREATE INDEX ON {} USING hnsw ({} bit_hamming_ops)")
            connection.execute(build.format(_identifier(new), _code(name)))
        if old is not None:
            connection.execute(sql.SQL("DROP TABLE {}").format(_identifier(table)))
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(_identifier(new), _identifier(table)))
        comment = json.dumps({"cmhkit": FORMAT, **(about or {}), **facts})
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(_identifier(table), sql.Literal(comment)))
    return old


def _need_pgvector(connection: Connection) -> None:
    import psycopg
    from psycopg import sql

    expected = f"expected a server with pgvector {'.'.join(map(str, OLDEST))} or newer"
    try:
        connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(_identifier(EXTENSION)))
    except psycopg.Error as error:
        raise InputError(f"address: {expected}, got: {_told(error, {})}") from None
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = %s", [EXTENSION]).fetchone()
    version = tuple(int(number) for number in re.findall(r"\d+", row[0])[:2])
    check(version >= OLDEST, f"address: {expected}, got {row[0]}")


def _copy(connection: Connection, table: str, ids: NDArray, codes: list[NDArray], columns: list[Sequence[Any]]) -> None:
    """Send the rows, a block at a time. What PostgreSQL's texts cannot hold is replaced: the character 0 by U+FFFD,
    half a surrogate pair by "?".
    """
    from psycopg import sql

    def storable(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        return None if value is None else [storable(part) for part in value]

    statement = sql.SQL("COPY {} FROM STDIN").format(_identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy, progress(len(ids), "Copying codes") as step:
        for rows in slices(len(ids), _ROWS):
            block = [ids[rows].tolist(), *(bit_strings(packed[rows]) for packed in codes)]
            block += [list(map(storable, column[rows])) for column in columns]
            for row in zip(*block, strict=True):
                copy.write_row(row)
            step(len(block[0]))


def bit_strings(packed: NDArray[np.uint8]) -> list[str]:
    """Packed codes as PostgreSQL writes bits: "0110…", the first bit first, 1 for +1."""
    signs = np.unpackbits(packed, axis=1) + np.uint8(ord("0"))
    return signs.view(f"S{signs.shape[1]}").ravel().astype(str).tolist()


def nearest(connection: Connection, table: str, among: str, query: ArrayLike, k: int, *, ef: int | None = None) -> Hits:
    """The k nearest codes of every query, by distance, then by id.

    among: whose codes, such as "image". query: packed, (n, K // 8). ef: None compares with every code, and the answer
    is exact, ties by id; a number goes by the HNSW index, which keeps so many candidates (`hnsw.ef_search`, k to 1,000)
    and may miss some.
    Returns Hits, ids (n, k) and distances (n, k). Errors: `InputError`, also where the index gives fewer than k.
    """
    rows = list(_answers(connection, table, among, check_packed(query, "query"), k, ef))
    fewest = min(map(len, rows), default=k)
    check(fewest == k, f"ef: expected more than {ef}, since the index found {fewest} of {k} codes")
    columns = ([row[column] for found in rows for row in found] for column in (0, 1))
    ids, distances = (np.array(values).reshape(len(rows), k) for values in columns)
    return Hits(ids.astype(np.int64), distances.astype(np.uint16))


def _answers(
    connection: Connection, table: str, among: str, query: NDArray[np.uint8], k: int, ef: int | None
) -> Iterator[list[tuple[Any, ...]]]:
    """For each query its rows, nearest first: id, distance, then the other columns of the table."""
    from psycopg import sql

    about = described(connection, table)
    check(about is not None, f"table {table}: expected codes, got no such table; write them with cmhkit push")
    check_choice("among", among, about["codes"])
    bits = 8 * query.shape[1]
    check(bits == about["bits"], f"query: expected codes of {about['bits']} bits, as in {table}, got {bits} bits")
    check_integer("k", k, 1, about["items"])
    select = "SELECT id, {code} <~> %s AS distance{others} FROM {table} ORDER BY distance"
    if ef is None:
        statement, settings = select + ", id LIMIT %s", {"enable_indexscan": "off"}
    else:
        check(about["index"], f"table {table}: expected an HNSW index, got none; write it again with --index")
        check_integer("ef", ef, k, MOST_CANDIDATES)
        statement = f"SELECT * FROM ({select} LIMIT %s) AS found ORDER BY distance, id"
        # Without a scan and a sort, only the index is left, which gives codes by distance alone.
        settings = {"enable_seqscan": "off", "enable_sort": "off", "hnsw.ef_search": str(ef)}
    others = sql.SQL("").join(sql.SQL(", {}").format(_identifier(name)) for name in about["columns"])
    search = sql.SQL(statement).format(code=_code(among), table=_identifier(table), others=others)
    with connection.transaction():
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        for code in bit_strings(query):
            yield connection.execute(search, [code, k]).fetchall()


def push(
    path: str | Path,
    at: str,
    *,
    table: str | None = None,
    index: bool = False,
    replace: bool = False,
    say: Say = print,
) -> str:
    """Write the codes of a finished run's retrieval set into a table, with their labels, files and captions.

    at: an address. table, index, replace: as for `write`; without a table's name, that of the run's folder. A second
    push of a run takes the place of the first. say: takes a line about what was replaced.
    Returns a sentence on what is there now. Errors: `InputError`, and nothing is changed.
    """
    name, folder = table_name(table, path), RunFolder(path)
    about = _about(folder)
    items = folder.items()
    columns = {"labels": items["labels"], "file": items["files"], "caption": items["texts"]}
    codes = {"image": folder.codes("retrieval_images"), "text": folder.codes("retrieval_texts")}
    with connected(at) as connection:
        old = write(
            connection,
            name,
            codes,
            folder.codes("retrieval_ids"),
            columns={column: values for column, values in columns.items() if values is not None},
            about=about,
            index=index,
            replace=replace,
        )
        now = described(connection, name)
    if old is not None:
        say(f"{name}: replaced {in_words(old)}")
    return f"{in_words(now)}{', with an HNSW index' if index else ''}: table {name}"


def _about(folder: RunFolder) -> dict[str, Any]:
    """What tells a run's codes from another's: the checksum of its hasher."""
    return {"method": folder.settings().method, "hasher": sha256(folder.checked(HASHER).path / HASHER)}


def in_words(about: Mapping[str, Any] | None) -> str:
    """What a table holds, such as "3,500 codes of 32 bits by UGACH"."""
    if about is None:
        return "nothing"
    by = f" by {about['method']}" if "method" in about else ""
    return f"{about['items']:,} codes of {about['bits']} bits{by}"


def search(
    path: str | Path,
    at: str,
    query: NDArray[np.uint8],
    *,
    k: int = 10,
    among: str = "images",
    table: str | None = None,
    ef: int | None = None,
) -> list[dict[str, Any]]:
    """The nearest items in a run's table.

    path: the run, whose hasher must be the one whose codes are there. query: one packed code, (1, K // 8). among:
    "images" or "texts". at, table, k, ef: as for `push` and `nearest`.
    Returns rows as `cmhkit.app.retrieval.search` does; with `ef` there can be fewer than k. Errors: `InputError`.
    """
    name, about = table_name(table, path), _about(RunFolder(path))
    with connected(at) as connection:
        there = described(connection, name)
        check(
            there is None or there.get("hasher") == about["hasher"],
            f"table {name}: expected this hasher's codes, got {in_words(there)} of another; push {path} with "
            "--replace, or name another --table",
        )
        (found,) = _answers(connection, name, among.removesuffix("s"), query, k, ef)
    titles = ["id", "distance", *("text" if column == "caption" else column for column in there["columns"])]
    rows = [{"rank": rank, **dict(zip(titles, row, strict=True))} for rank, row in enumerate(found, 1)]
    return [{**row, "distance": int(row["distance"])} for row in rows]


def _identifier(name: str) -> Any:
    from psycopg import sql

    return sql.Identifier(name)


def _code(name: str) -> Any:
    return _identifier(f"{name}_code")
