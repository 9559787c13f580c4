"""The project's own command: ``python -m runs run NOTEBOOK`` with parameters."""

import argparse
import sys
import textwrap
import traceback
from contextlib import suppress
from pathlib import Path

from helpers.errors import InputError
from runs.stopping import Stopped, stoppable


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
    run.add_argument("--parameters-file", type=Path, help="YAML or JSON file of names and values")
    given = parser.parse_args(arguments)
    log = given.output.with_name(f"{given.output.name}.log")
    try:
        with stoppable():
            return _run(given, log)
    except Stopped as request:
        _say(f"{request}: finished measurements are kept")
        return request.code


def _run(given: argparse.Namespace, log: Path) -> int:
    try:
        from runs import values
        from runs.runner import run_notebook

        written = values.from_file(given.parameters_file) if given.parameters_file else {}
        run_notebook(
            given.notebook.expanduser(), given.output.expanduser(), written | dict(given.parameter)
        )
    except InputError as error:
        _say(f"error: {error}")
        return 2
    except Exception as error:
        said = str(error)
        if given.notebook.name not in said:
            said = f"{given.notebook.name} failed: {type(error).__name__}: {said}"
        said = textwrap.shorten(said, 400, placeholder=" …")
        with suppress(OSError):
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            said += f" (log: {log})"
        _say(f"error: {said}")
        return 1
    with suppress(OSError):
        log.unlink()
    return 0


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
