"""The library's own command: ``python -m helpers models`` lists the models that have a name."""

import argparse
import sys

from helpers.models.known import listed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the models that have a name, and what each needs")
    parser.parse_args(arguments)
    rows = listed()
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    for row in [dict(zip(widths, widths, strict=True)), *rows]:
        print("  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
