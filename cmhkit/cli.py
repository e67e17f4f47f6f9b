"""The command line: `cmhkit doctor`, `cmhkit data build`. Heavy imports stay inside the commands, so that `--help` is quick."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cmhkit import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, help="cmhkit: deep cross-modal hashing, taught by building it.")
data = typer.Typer(no_args_is_help=True, help="The embedded data sets.")
app.add_typer(data, name="data")


class Size(StrEnum):
    """Sizes of the scenes."""

    tiny = "tiny"
    lab = "lab"
    paper = "paper"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cmhkit {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")] = False,
) -> None:
    """cmhkit: deep cross-modal hashing, taught by building it."""


@app.command()
def doctor() -> None:
    """Check that this machine is ready for the course. Exit code 1 when something is missing."""
    from cmhkit import doctor as checks

    report = checks.run()
    typer.echo(str(report))
    if not report.ok:
        raise typer.Exit(1)


@data.command("build")
def build(
    size: Annotated[Size, typer.Option(help="tiny: 600 pairs, for tests. lab: 4,000, for the lessons. paper: 20,015.")] = Size.lab,
) -> None:
    """Build the scenes now and keep them in the cache folder, so that the first notebook starts at once."""
    import cmhkit as ck

    scenes = ck.data.load("scenes", size=size.value)
    parts = ", ".join(f"{len(getattr(scenes, part)):,} {part}" for part in ("query", "retrieval", "train"))
    typer.echo(f"scenes, size {size.value}: {len(scenes.ids):,} pairs ({parts}), kept in {ck.data.cache_dir()}")


def main() -> None:
    """Entry point of the `cmhkit` command: one line, without a traceback, for bad input and for a full or closed disk."""
    from cmhkit.errors import InputError

    try:
        app()
    except (InputError, OSError) as error:
        typer.echo(f"cmhkit: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
