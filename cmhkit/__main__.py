"""`python -m cmhkit` is the `cmhkit` command."""

from cmhkit.cli import main

if __name__ == "__main__":
    main()
