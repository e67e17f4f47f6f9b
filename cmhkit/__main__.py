"""`python -m cmhkit` is the `cmhkit` command."""

from cmhkit.app.cli import main

if __name__ == "__main__":
    main()
