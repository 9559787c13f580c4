"""A retrieval set in a folder, in the layout of BEIR.

``corpus.jsonl`` holds one document per line, with ``_id``, ``text`` and perhaps ``title``;
``queries.jsonl`` one query, with ``_id`` and ``text``; ``qrels/test.tsv`` after its heading one
judgement: the query's id, the document's, and a grade. Each may be compressed (``.gz``).
"""

from collections.abc import Iterator
from pathlib import Path

from helpers.errors import InputError
from helpers.texts.files import json_rows, text_of

CORPUS, QUERIES, JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"
Texts = dict[str, str]
Grades = dict[str, dict[str, int]]


def looks_like(folder: Path) -> bool:
    """Whether a folder holds documents in this layout."""
    return _find(folder, CORPUS) is not None


def files(folder: Path) -> tuple[Path, Path, Path]:
    """The documents, queries and judgements; :class:`InputError` names one that is missing."""
    found = [_find(folder, name) for name in (CORPUS, QUERIES, JUDGEMENTS)]
    for path, name in zip(found, (CORPUS, QUERIES, JUDGEMENTS), strict=True):
        if path is None:
            raise InputError(f"retrieval set {folder.name} lacks {name} (or {name}.gz)")
    corpus, queries, judgements = (path for path in found if path)
    return corpus, queries, judgements


def read(folder: Path) -> tuple[Texts, Texts, Grades]:
    """Queries and documents by id, a document's title before its text, and grades by query and
    document.

    Raises :class:`InputError` naming the file and line that are damaged, or that judge a query or
    a document that is not there.
    """
    corpus, asked, judgements = files(folder)
    documents = _texts(corpus)
    queries = _texts(asked)
    return queries, documents, _grades(judgements, queries, documents)


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _texts(path: Path) -> Texts:
    found: Texts = {}
    for row, where in json_rows(path):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or "_id" not in row:
            raise InputError(f'{where} has no _id or no text: it takes {{"_id": …, "text": …}}')
        name = str(row["_id"])
        if name in found:
            raise InputError(f"{where} has the id {name!r} a second time")
        found[name] = f"{row.get('title') or ''} {row['text']}".strip()
    if not found:
        raise InputError(f"{path.name} is empty")
    return found


def _grades(path: Path, queries: Texts, documents: Texts) -> Grades:
    found: Grades = {}
    for number, (query, document, grade) in _judgements(path):
        where = f"line {number} of {path.name}"
        for name, known, what in ((query, queries, "query"), (document, documents, "document")):
            if name not in known:
                raise InputError(f"{where} judges the {what} {name!r}, which is not there")
        try:
            found.setdefault(query, {})[document] = int(grade)
        except ValueError:
            raise InputError(f"{where} has the grade {grade!r}: it takes a whole number") from None
    return found


def _judgements(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    for number, line in enumerate(text_of(path).splitlines(), 1):
        parts = tuple(line.split("\t"))
        if not line.strip() or (number == 1 and parts[-1].strip() == "score"):
            continue
        if len(parts) != 3:
            raise InputError(
                f"line {number} of {path.name} is damaged: it takes a query's id, a document's "
                "and a grade, with tabs between"
            )
        yield number, (parts[0], parts[1], parts[2].strip())
