"""The command line: train, options, evaluate, encode, search, push, grade, data, doctor. Heavy imports stay inside the
commands, so that `--help` is quick.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 something failed; 2 bad input or
usage, told in one line; 130 and 143 stopped by Ctrl-C and by a termination signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cmhkit import __version__
from cmhkit.support.checks import InputError


class Terminated(KeyboardInterrupt):
    """A termination signal: it ends a command as Ctrl-C does."""


class Commands(TyperGroup):
    """Ends every command: one line and an exit code for what a user can mend, a traceback for what nobody expected."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except InputError as error:
                _say(f"cmhkit: {error}")
                raise typer.Exit(2) from None
            except BrokenPipeError:  # the reader has left: nothing to say, and nobody to say it to
                raise
            except OSError as error:
                _say(f"cmhkit: {error}")
                raise typer.Exit(1) from None
            except KeyboardInterrupt as stop:
                _say("cmhkit: stopped")
                raise typer.Exit(_stopped(stop)) from None


def _stopped(stop: KeyboardInterrupt) -> int:
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _say(line: str) -> None:
    """A line for standard error, above a progress bar if there is one."""
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        typer.echo(line, err=True)
    sys.stderr.flush()


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="cmhkit: deep cross-modal hashing, taught by building it.",
)
data = typer.Typer(no_args_is_help=True, help="Build the embedded data set; check a benchmark's folder or file.")
app.add_typer(data, name="data")


class Size(StrEnum):
    """Sizes of the scenes."""

    tiny = "tiny"
    lab = "lab"
    paper = "paper"


class Method(StrEnum):
    """Every method, as it is typed. A test compares it with `cmhkit.hasher.METHODS`, which would cost the help its
    speed.
    """

    randomhash = "randomhash"
    cca = "cca"
    itq = "itq"
    ugach = "ugach"
    adah = "adah"
    ssah = "ssah"


class Ties(StrEnum):
    """How equal distances are ordered; see `cmhkit.metrics`."""

    expected = "expected"
    optimistic = "optimistic"
    pessimistic = "pessimistic"
    stable = "stable"


class Divisor(StrEnum):
    """What MAP@R is divided by; see `cmhkit.metrics`."""

    hits = "hits"
    relevant = "relevant"
    hits_capped = "hits_capped"


class Among(StrEnum):
    """Whose codes are searched."""

    images = "images"
    texts = "texts"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cmhkit {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """cmhkit: deep cross-modal hashing, taught by building it."""


Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.", show_default=False)]
DataOptions = Annotated[
    list[str] | None,
    typer.Option("--data-option", metavar="NAME=VALUE", help="An option of the data set's loader; may be given again."),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Processor threads; as many as there are cores, unless OMP_NUM_THREADS says otherwise."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Table = Annotated[
    str | None, typer.Option(help="The table; that of the run's folder's name unless given.", show_default=False)
]
SET_HELP = "Another value for an option of the preset; cmhkit options METHOD lists them."
DATA_HELP = "scenes, or a reader and a path, such as mirflickr:PATH, folder:PATH or mat:PATH."


@app.command(no_args_is_help=True)
def train(
    method: Annotated[Method, typer.Argument(case_sensitive=False, help="What to train.", show_default=False)],
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="The run's folder: a new one, or one to go on with.", show_default=False)
    ],
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "scenes",
    data_option: DataOptions = None,
    bits: Annotated[int, typer.Option(help="Code length, a multiple of 8.")] = 32,
    preset: Annotated[
        str, typer.Option(help="lab (seconds or a minute on a CPU), paper, or official where there is one.")
    ] = "lab",
    options: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=SET_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    device: Annotated[
        str, typer.Option(help="auto (CUDA, then MPS, then CPU), or a torch device such as cpu or cuda:0.")
    ] = "auto",
    threads: Threads = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Start anew, or go on with what is in the folder.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no line an epoch.")] = False,
) -> None:
    """Train a method, and keep its codes and a report in a run folder.

    A run that was stopped, or killed, goes on after its last epoch when the same command is given again. Several
    processes train one model with torchrun --nproc-per-node N -m cmhkit train ...
    """
    from cmhkit.support.progress import silenced

    try:
        from cmhkit.app import runs

        _set_threads(threads)
        with silenced() if quiet else contextlib.nullcontext(), _processes(device) as first:
            folder = runs.train(
                method.value,
                out,
                data=data,
                data_options=data_option or [],
                bits=bits,
                preset=preset,
                seed=seed,
                device=device,
                options=options or [],
                fresh=fresh,
                say=_say if not quiet and first else lambda line: None,
            )
    except KeyboardInterrupt as stop:
        _tell_how_to_go_on(out)
        raise typer.Exit(_stopped(stop)) from None
    if first:
        typer.echo(folder.report()["summary"])
        typer.echo(f"report: {folder.path / runs.PAGE}")


@app.command("options", no_args_is_help=True)
def list_options(
    method: Annotated[Method, typer.Argument(case_sensitive=False, help="Whose options.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """What a method can be told with --set: every option, its value in each preset, and where it comes from."""
    from cmhkit.app import runs
    from cmhkit.support.options import described, shown

    rows = described(runs.presets_of(method.value))
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    typer.echo(f"{len(rows)} options of cmhkit train {method.value}, each given as --set NAME=VALUE")
    heading = ""
    for row in rows:
        if row["heading"] != heading:
            heading = row["heading"]
            typer.echo(f"\n{heading}")
        values = {shown(value): None for value in row["presets"].values()}
        used = ", ".join(f"{preset} {shown(value)}" for preset, value in row["presets"].items())
        typer.echo(f"  {row['option']}: {row['help']}")
        used = used if len(values) > 1 else f"{next(iter(values))} in every preset"
        typer.echo(f"      takes {row['values']}\n      {used}\n      from {row['source']}")


@contextlib.contextmanager
def _processes(device: str) -> Iterator[bool]:
    """Join the processes that torchrun has started, if it has. Yields whether this is the first one, which speaks for
    all.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield True
        return
    from cmhkit.train import distributed

    with distributed.started(device):
        yield distributed.rank() == 0


def _tell_how_to_go_on(out: Path) -> None:
    """What is kept of a run that was stopped, and the command that goes on with it."""
    from cmhkit.app import runs

    try:
        folder = runs.RunFolder(out)
        begun = folder.config() is not None
    except InputError:
        begun = False
    if not begun:
        _say("cmhkit: stopped before training began; nothing is kept")
        return
    done = runs.epochs_kept(folder)
    if folder.finished:
        state = f"the run in {out} is finished"
    elif done:
        state = f"the state after epoch {done[-1]['epoch']} is kept in {out}"
    else:
        state = f"no epoch was finished; {out} keeps the settings"
    _say(f"cmhkit: stopped; {state}\nto go on: {folder.command()}")


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch
        from threadpoolctl import threadpool_limits

        torch.set_num_threads(threads)
        threadpool_limits(threads)


@app.command(no_args_is_help=True)
def evaluate(
    run: Run,
    data: Annotated[
        str | None, typer.Option(help="Other data than the run's own: " + DATA_HELP, show_default=False)
    ] = None,
    data_option: DataOptions = None,
    ties: Annotated[Ties, typer.Option(help="The order of equal distances.")] = Ties.expected,
    r: Annotated[int | None, typer.Option(min=1, help="Also MAP@R.", show_default=False)] = None,
    divisor: Annotated[Divisor, typer.Option(help="What MAP@R is divided by.")] = Divisor.hits,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write report.json and report.html.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Search with every query, both ways, and measure the rankings."""
    from cmhkit.app import runs
    from cmhkit.app.pages import WAYS

    _set_threads(threads)
    content = runs.evaluate(
        run, data=data, data_options=data_option or [], out=out, ties=ties.value, r=r, divisor=divisor.value
    )
    if as_json:
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
        return
    typer.echo(content["summary"])
    if r is not None:
        both = ", ".join(f"{way.replace('_', ' ')} {content[way]['map_at_r']:.3f}" for way in WAYS)
        typer.echo(f"MAP@{r} ({divisor.value}): {both}")
    if out is not None:
        typer.echo(f"report: {out / runs.PAGE}")


@app.command(no_args_is_help=True)
def encode(
    run: Run,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help=".npz (codes and names), or .npy (codes alone).", show_default=False)
    ],
    images: Annotated[
        Path | None, typer.Option(help="A folder of pictures, a picture, or a .npy file.", show_default=False)
    ] = None,
    texts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="One text a line, - for standard input; or a .npy file.", show_default=False),
    ] = None,
    data: Annotated[str | None, typer.Option(help="All pairs of a data set: " + DATA_HELP, show_default=False)] = None,
    data_option: DataOptions = None,
    threads: Threads = None,
) -> None:
    """Codes of pictures, of texts, or of a whole data set: packed, eight bits a byte."""
    from cmhkit.app import runs

    given = [source is not None for source in (images, texts, data)]
    if sum(given) != 1:
        raise InputError(f"encode: expected one of --images, --texts and --data, got {sum(given) or 'none'}")
    if data is None and data_option:
        raise InputError("--data-option: expected --data too")
    _set_threads(threads)
    runs.check_codes_file(out, both=data is not None)
    if images is not None:
        codes = runs.encode_pictures(run, images, _say)
    elif texts is not None:
        codes = runs.encode_texts(run, texts, _say)
    else:
        codes = runs.encode_data(run, data, data_option or [])
    runs.write_codes(out, codes)
    first = next(iter(codes.values()))
    typer.echo(f"{len(first):,} {'pairs' if data is not None else 'codes'} of {8 * first.shape[1]} bits: {out}")


@app.command(no_args_is_help=True)
def search(
    run: Run,
    words: Annotated[list[str] | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A picture to look for, in place of words.", show_default=False)
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many items.")] = 10,
    among: Annotated[
        Among | None,
        typer.Option(help="Whose codes: images for words, texts for a picture, unless given.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Search what cmhkit push wrote into a database.", show_default=False),
    ] = None,
    table: Table = None,
    ef: Annotated[
        int | None,
        typer.Option(
            help="With --at: go by the HNSW index, which keeps so many candidates; exact without.", show_default=False
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a page with the pictures inside.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The nearest items of a run's retrieval set: by words, or by a picture."""
    from cmhkit.app import runs

    if html is not None:
        runs.check_page_file(html)
    asked, kind, notes = " ".join(words) if words else None, among.value if among else None, []

    def say(line: str) -> None:
        notes.append(line)
        _say(line)

    rows = runs.search(run, asked, image=image, k=k, among=kind, at=at, table=table, ef=ef, say=say)
    if html is not None:
        runs.write_search_page(run, html, rows, asked, image=image, among=kind, notes=notes)
        _say(f"page: {html}")
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        typer.echo(_table(rows))


@app.command(no_args_is_help=True)
def push(
    run: Run,
    at: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="postgresql://USER@HOST/DATABASE (a password in ~/.pgpass or PGPASSWORD), or embedded:FOLDER.",
            show_default=False,
        ),
    ],
    table: Table = None,
    index: Annotated[bool, typer.Option("--index", help="Also build HNSW indexes, for search --ef.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of another run's codes in this table too.")
    ] = False,
) -> None:
    """Write the codes of a run's retrieval set into PostgreSQL with pgvector, in one transaction.

    embedded:FOLDER keeps the data in a folder and starts a server of its own for the command.
    """
    from cmhkit.app import database

    typer.echo(database.push(run, at, table=table, index=index, replace=replace, say=_say))


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as columns of text, cut to the width of a terminal if there is one."""
    columns = list(rows[0])
    shown = [
        {
            name: ", ".join(value) if isinstance(value, list) else " ".join(str(value).split())
            for name, value in row.items()
        }
        for row in rows
    ]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in columns}
    right = {"rank", "id", "distance"}
    lines = []
    for row in [{name: name for name in columns}, *shown]:
        cells = [row[name].rjust(widths[name]) if name in right else row[name].ljust(widths[name]) for name in columns]
        lines.append("  ".join(cells).rstrip())
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    return "\n".join(lines)


@app.command(no_args_is_help=True)
def grade(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Submitted notebooks, in folders or not.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The CSV file; FOLDER/grades.csv unless given.", show_default=False),
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Time limit of a notebook.")] = 900,
    megabytes: Annotated[int, typer.Option(min=1, help="Memory limit of a notebook.")] = 2500,
    size: Annotated[
        Size | None, typer.Option(help="Run them with data of another size: tiny is quicker.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older CSV file.")] = False,
) -> None:
    """Run submitted notebooks and collect what their questions came to. Their code runs as you: see
    docs/INSTRUCTORS.md.
    """
    from cmhkit.course import grade as grading

    limits = grading.Limits(seconds, megabytes)
    rows = grading.grade(folder, out, limits=limits, size=size.value if size else "", overwrite=overwrite, say=_say)
    remarked = len({row["submission"] for row in rows if row["remarks"]})
    typer.echo(
        f"{len({row['submission'] for row in rows})} notebooks, {remarked} with remarks: {out or folder / 'grades.csv'}"
    )


@app.command()
def doctor() -> None:
    """Check that this machine is ready for the course. Exit code 1 when something is missing."""
    from cmhkit.app import doctor as checks

    report = checks.run()
    typer.echo(str(report))
    if not report.ok:
        raise typer.Exit(1)


@data.command("build")
def build(
    size: Annotated[
        Size, typer.Option(help="tiny: 600 pairs, for tests. lab: 4,000, for the lessons. paper: 20,015.")
    ] = Size.lab,
) -> None:
    """Build the scenes now and keep them in the cache folder, so that the first notebook starts at once."""
    import cmhkit as ck

    scenes = ck.data.load("scenes", size=size.value)
    parts = ", ".join(f"{len(getattr(scenes, part)):,} {part}" for part in ("query", "retrieval", "train"))
    typer.echo(f"scenes, size {size.value}: {len(scenes.ids):,} pairs ({parts}), kept in {ck.data.cache_dir()}")


@data.command("check")
def check_data(
    path: Annotated[
        Path, typer.Argument(help="A benchmark's folder as its makers publish it, or a file in circulation.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="The benchmark: mirflickr, nuswide-tc10, nuswide-tc21, coco, iapr or wikipedia. Else it is found out.",
        ),
    ] = None,
) -> None:
    """Say what is there, what is missing, and where its makers publish it. Nothing is downloaded. Exit code 1 when
    something is missing.
    """
    from cmhkit.data.field import check_path

    report = check_path(path, name)
    typer.echo(str(report))
    if not report.complete:
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `cmhkit` command."""

    def terminate(*_: Any) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    app(prog_name="cmhkit")


if __name__ == "__main__":
    main()
