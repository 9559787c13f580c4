"""The library's own command: the models that have a name, and the notebooks of the course."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from helpers.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the models that have a name, and what each needs")
    course = commands.add_parser("course", help="write a notebook with exercises into this folder")
    course.add_argument("page", nargs="?", help="such as 01-introduction; without one, list them")
    given = parser.parse_args(arguments)
    if given.command == "course":
        return _course(given.page)
    from helpers.models.known import listed  # only here, since it brings torch

    rows = listed()
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    for row in [dict(zip(widths, widths, strict=True)), *rows]:
        print("  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip())
    return 0


def _course(page: str | None) -> int:
    """The course stands on the library: it is looked up here, so that the library runs without."""
    take = import_module("course.take")
    try:
        if page is None:
            print(*take.listed(), sep="\n")
        else:
            print(f"Wrote {take.take(page, Path.cwd()).name}: open it with jupyter lab")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
