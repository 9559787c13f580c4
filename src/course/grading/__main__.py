"""``python -m course.grading FOLDER``: grade the notebooks in a folder, ``ID.ipynb`` of each
student. Needs Linux with Bubblewrap: notebooks run in a sandbox or not at all."""

import argparse
import secrets
import sys
from pathlib import Path

from course.grading import confined, report
from course.grading.grade import graded
from helpers.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m course.grading", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the notebooks are")
    parser.add_argument("--lab", default="", help="grade all as this lab, such as lab1")
    parser.add_argument(
        "--to", type=Path, default=Path("build/grades"), help="the folder of grades"
    )
    parser.add_argument("--secret", default="", help="what hidden inputs are drawn with")
    parser.add_argument("--at-once", type=int, default=2, help="notebooks at a time")
    parser.add_argument("--cell-seconds", type=int, default=confined.CELL_SECONDS)
    given = parser.parse_args(arguments)
    secret = given.secret or secrets.token_hex(8)
    try:
        grades = graded(given.folder, secret, given.lab, given.at_once, given.cell_seconds)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report.write(grades, given.to)
    print(report.table(grades))
    print(f"Wrote {given.to}/grades.csv and a page for each student (secret: {secret})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
