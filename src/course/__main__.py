"""``python -m course [NAME …]``: write the student's and the teacher's notebook of each page with
exercises, the teacher's with solutions and what they show."""

import argparse
import sys
from pathlib import Path

from course import notebook, source, take
from helpers.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m course", description=__doc__)
    parser.add_argument("names", nargs="*", help="pages, such as 01-introduction (default: all)")
    parser.add_argument("--to", type=Path, default=Path("build/course"), help="the folder")
    given = parser.parse_args(arguments)
    try:
        pages = [source.find(name) for name in given.names or [p.stem for p in source.paths()]]
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for page in pages:
        name = f"{page.name}.ipynb"
        take.write(notebook.student(page), given.to / "student" / name)
        solved = notebook.teacher(page)
        seconds = take.run(solved, given.to)
        take.write(solved, given.to / "teacher" / name)
        print(
            f"{given.to}/student/{name}, {given.to}/teacher/{name} (run in {seconds:.0f} s)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
