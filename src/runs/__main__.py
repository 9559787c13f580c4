"""The project's own command: ``python -m runs run NOTEBOOK`` with parameters."""

import argparse
import sys
from pathlib import Path

import yaml

from helpers.errors import InputError
from helpers.texts.files import text_of


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 1 if a run failed, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="when-pruning-works", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a notebook with parameters")
    run.add_argument("notebook", type=Path, help="a notebook of notebooks/, MyST Markdown")
    run.add_argument("output", type=Path, help="where the executed notebook goes (.ipynb)")
    run.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebook; may be given many times",
    )
    run.add_argument("--parameters-file", type=Path, help="YAML file of names and values")
    given = parser.parse_args(arguments)
    try:
        values = _from_file(given.parameters_file) if given.parameters_file else {}
        values |= {name: _plain(value) for name, value in given.parameter}
        from runs.runner import run_notebook

        run_notebook(given.notebook, given.output, values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _plain(value: str) -> object:
    """A value as papermill reads it: numbers and true/false as such, all else as text."""
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return found if isinstance(found, bool | int | float) else value


def _from_file(path: Path) -> dict[str, object]:
    try:
        found = yaml.safe_load(text_of(path))
    except yaml.YAMLError as error:
        raise InputError(f"parameters file {path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"parameters file {path} must hold names and values, one per line")
    return found


if __name__ == "__main__":
    sys.exit(main())
