"""Results that come with the book, and what whoever builds it should know of imported ones."""

import os
from pathlib import Path

from runs import archive, imported
from runs.parameters import validate


def take_in(folder: Path) -> list[str]:
    """Import the archives of a ``folder`` that were not imported before; a line for each import
    that chapters may now read.

    Raises :class:`helpers.errors.InputError` for the first that cannot be imported.
    """
    if os.environ.get(imported.SWITCH) == "no":
        return []
    results = validate({}).results_folder()
    known = {note["digest"] for note in imported.notes(results)}
    new = [
        file for file in sorted(folder.glob("*.zip")) if archive.opened(file).digest not in known
    ]
    if new:
        from runs import exchange  # which loads what a build that imports nothing can do without

        for file in new:
            exchange.take_in(file, results)
    return [
        f"Where nothing was measured here, chapters read {note['file']}, packed by version "
        f"{note['version']}"
        for note in imported.notes(results)
    ]
