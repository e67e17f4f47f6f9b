"""Runs the command line in processes that may be killed, without importing torch for each: a small server that forks.
Started by test_kill.py.

It reads one JSON object a line from standard input:
"arguments" of cmhkit; "cache", the cache folder; "log" and "out", files for standard error and output;
"die", 0 or a number n: the process kills itself with SIGKILL before its n-th call that makes a file durable or moves
it; after it, if n is negative; "after", a file's name or "": the calls count from the one that moves this file to its
place.
It answers with the process's number, then, when the process has ended, with its exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import safetensors.numpy
import scipy.sparse
import torch
import tqdm

import cmhkit.app.cli
import cmhkit.app.doctor
import cmhkit.app.pages
import cmhkit.app.runs
import cmhkit.data.features
import cmhkit.data.scenes
import cmhkit.graphs
import cmhkit.nn.backbones
import cmhkit.ugach

# Loaded once, here, for every process that is forked.
LOADED = (safetensors.numpy, scipy.sparse, tqdm)


def die_at(number: int, after: str) -> None:
    """Count the calls of fsync and replace, and kill this process at one of them."""
    counted: list[str] = []

    def mortal(name: str) -> None:
        call = getattr(os, name)

        def counting(*arguments, **named):
            if counted or not after or (name == "replace" and str(arguments[1]).endswith(after)):
                counted.append(name)
            if len(counted) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            found = call(*arguments, **named)
            if len(counted) == -number:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        setattr(os, name, counting)

    mortal("fsync")
    mortal("replace")


def child(job: dict) -> None:
    """The forked process: becomes `cmhkit ARGUMENTS`. "ended" is the last line of its standard error, unless it is
    killed.
    """
    for stream, file in ((1, job["out"]), (2, job["log"])):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    os.environ["CMHKIT_CACHE"] = job["cache"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    die_at(job["die"], job["after"])
    sys.argv = ["cmhkit", *job["arguments"]]
    code = 1
    try:
        cmhkit.app.cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        print("ended", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
