"""The project's own command: run a notebook with parameters, or say how a profile stands."""

import argparse
import json
import os
import sys
import textwrap
import traceback
from contextlib import nullcontext, suppress
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
    run.add_argument("--values", default="{}", metavar="JSON", help="names and values as JSON")
    run.add_argument(
        "--attempt",
        type=int,
        metavar="N",
        help="the Nth attempt at a run of a profile: what it says goes to logs/ beside the output",
    )
    run.add_argument("--gpus", type=int, help="1: take one GPU that no other run has")
    status = commands.add_parser("status", help="say what became of the runs of a profile")
    status.add_argument("profile", help="its name, or a file PATH.yaml")
    plan = commands.add_parser("plan", help="say what the runs of a profile will take")
    plan.add_argument("profile", help="its name, or a file PATH.yaml")
    plan.add_argument("--machine", default="", help="on another machine, such as a100")
    plan.add_argument("--keep", action="store_true", help="keep it for the build that runs")
    for name, about, takes in (
        ("export", "pack the results of a profile into one file", ("profile", "file")),
        ("import", "take in a file that somebody else has packed", ("file",)),
        ("forget-imports", "remove all that was imported", ()),
        ("tables", "write all results as one data set, results/tables/*.parquet", ()),
    ):
        command = commands.add_parser(name, help=about)
        for each in takes:
            command.add_argument(each, type=Path if each == "file" else str)
    given = parser.parse_args(arguments)
    kept = "finished measurements are kept" if given.command == "run" else "nothing was changed"
    try:
        with stoppable():
            if given.command == "run":
                return _attempt(given) if given.attempt else _run(given)
            if said := _done(given):
                print(said)
            return 0
    except InputError as error:
        _say(f"error: {error}")
        return 2
    except Stopped as request:
        _say(f"{request}: {kept}")
        return request.code


def _run(given: argparse.Namespace) -> int:
    """By itself: what it says goes to the terminal, and a log is kept of what nobody foresaw."""
    log = given.output.with_name(f"{given.output.name}.log")
    code, error, trace = _ended(given)
    with suppress(OSError):
        if trace:
            log.write_text(trace, encoding="utf-8")
            error += f" (log: {log})"
        elif not code:
            log.unlink()
    if code:
        _say(f"error: {error}")
    return code


def _attempt(given: argparse.Namespace) -> int:
    """As one of many: see :mod:`runs.outcome`."""
    from runs import outcome

    def run() -> tuple[int, str]:
        code, error, trace = _ended(given)
        _say(trace or error)
        return code, error

    try:
        return outcome.attempt(run, given.output, given.notebook.stem, given.attempt)
    except OSError as error:  # not even the log can be written
        _say(f"error: {given.output.stem}: {error}")
        return 1


def _ended(given: argparse.Namespace) -> tuple[int, str, str]:
    """Run the notebook; the exit code, in one line what went wrong, and of what nobody foresaw
    the traceback."""
    try:
        from helpers import machine
        from runs import values
        from runs.runner import run_notebook

        written = values.from_file(given.parameters_file) if given.parameters_file else {}
        written |= json.loads(given.values) | dict(given.parameter)
        any_gpu = given.gpus == 1 and written.get("device", "auto") in ("auto", "cuda")
        with machine.one_gpu() if any_gpu else nullcontext():
            run_notebook(given.notebook.expanduser(), given.output.expanduser(), written)
    except InputError as error:
        return 2, str(error), ""
    except Exception as error:
        said = str(error)
        if given.notebook.name not in said:
            said = f"{given.notebook.name} failed: {type(error).__name__}: {said}"
        said = textwrap.shorten(said, 400, placeholder=" …")
        return 1, said, "".join(traceback.format_exception(error))
    return 0, "", ""


def _done(given: argparse.Namespace) -> str:
    """Do any command but ``run``; what there is to say of it."""
    from runs import dataset, exchange, parameters, plan, profiles, published, status

    results = parameters.validate({}).results_folder()
    match given.command:
        case "plan":
            profile = profiles.read(given.profile)
            published.take_in(profiles.ROOT / "book" / "published")
            if given.keep:
                os.nice(10)  # the build itself goes first
                plan.plan(profile, anew=False).keep()
                return ""
            return plan.as_text(plan.plan(profile, given.machine), given.profile)
        case "status":
            return status.as_text(status.status(profiles.read(given.profile)))
        case "export":
            return exchange.pack(profiles.read(given.profile), results, given.file)
        case "import":
            return exchange.take_in(given.file, results)
        case "forget-imports":
            return exchange.forget(results)
        case _:
            rows = dataset.write(results)
            counts = ", ".join(f"{name} {count:,}" for name, count in rows.items())
            return f"Rows in {results / dataset.FOLDER}: {counts}"


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
