"""Which documents are searched, with which queries, and which documents answer each?

A retrieval set comes with the book, from a local folder in the layout of BEIR, or by mteb's name
from the hub. All of them end up in one form, which mteb reads.
"""

import difflib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from helpers.errors import InputError, refused
from helpers.evaluation.hub import commit, offline_unless, reachable
from helpers.machine import installed_file
from helpers.texts.files import rows, text_of
from helpers.texts.passages import DISTRIBUTION, VERSION

EMBEDDED = "embedded"
CORPUS, QUERIES, JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"
FILES = {"fiqa": ("Fiqa", "test.jsonl"), "boolq-passages": ("BoolQ", "dev.jsonl")}
FIELDS = {"fiqa": ("question", "answer"), "boolq-passages": ("question", "passage")}
PROMPTS = {
    "fiqa": "Given a question about money, find the answer that people gave to it",
    "boolq-passages": "Given a question, find the passage that answers it",
}
TABLE_1 = {  # the thirteen sets of the paper's Table 1(a): mteb's names, and BEIR's folders
    "ArguAna": "arguana",
    "ClimateFEVER": "climate-fever",
    "DBPedia": "dbpedia-entity",
    "FEVER": "fever",
    "FiQA2018": "fiqa",
    "HotpotQA": "hotpotqa",
    "NFCorpus": "nfcorpus",
    "NQ": "nq",
    "QuoraRetrieval": "quora",
    "SCIDOCS": "scidocs",
    "SciFact": "scifact",
    "TRECCOVID": "trec-covid",
    "Touche2020": "webis-touche2020",
}
Texts = dict[str, str]
Grades = dict[str, dict[str, int]]
TAKES = 'it takes {"_id": …, "text": …}, and a title if you like'
DOCUMENTS_PER_QUERY = 2  # where only some queries of an embedded set are taken


@dataclass(frozen=True)
class SearchSet:
    """A retrieval set.

    ``queries``: texts by id, in order; ``documents``: a ``datasets.Dataset`` with ``id``, ``text``
    and perhaps ``title``; ``relevant``: for each query its documents' grades, 1 or more where a
    document answers it; ``prompt``: what is asked, in words; ``ignore_identical_ids``: a query
    may not find itself among the documents. ``source`` holds no path of this machine.

    As in mteb, a document that answers a query and is not there counts as not found, and a query
    that is judged and nothing answers scores 0. ``judged`` is the number of judgements in the whole
    set, ``absent_documents`` and ``absent_queries`` that of judgements of what is not there.
    """

    name: str
    queries: dict[str, str]
    documents: Any
    relevant: dict[str, dict[str, int]]
    prompt: str
    source: str
    ignore_identical_ids: bool = False
    judged: int = 0
    absent_documents: int = 0
    absent_queries: int = 0


def names(collections: str, folder: str = "") -> tuple[str, ...]:
    """The sets of a list separated by commas, as mteb writes them; ``embedded`` is all of those
    that come with the book.

    Raises :class:`InputError` for a name that is none, before anything is read.
    """
    wanted = [part.strip() for part in collections.split(",") if part.strip()]
    if not wanted:
        raise InputError(f"collections={collections!r} names no retrieval set: {_known()}")
    found: list[str] = []
    for name in wanted:
        found += FILES if name.casefold() == EMBEDDED else [_named(name, folder)]
    found = list(dict.fromkeys(found))
    called = [Path(name).name for name in found]
    if len(set(called)) < len(called):
        raise InputError(f"collections={collections!r} has two sets of one name")
    return tuple(found)


def search_set(name: str, items: int = 0, seed: int = 0, folder: str = "") -> SearchSet:
    """The retrieval set ``name`` with ``items`` of its queries, or all with 0.

    Queries are taken in an order that the seed decides, so that fewer are among more. Of an
    embedded set those documents stay that answer them, and others in such an order up to
    :data:`DOCUMENTS_PER_QUERY` documents for each query; of other sets all documents stay, and
    a score compares with published ones as far as its queries go.

    Raises :class:`InputError` if the set cannot be had, naming the line that is damaged.
    """
    (name,) = names(name, folder)
    local = _local(name, folder)
    if name in FILES:
        return _some(_counted(_embedded(name)), items, seed, DOCUMENTS_PER_QUERY * items)
    whole = _from_folder(local) if local else _from_hub(name)
    return _some(_counted(whole), items, seed, 0)


def identities(collections: str, folder: str = "") -> str:
    """What pins the contents of all sets in ``collections``: the wheel's version, a hash of local
    files, or for sets from the hub mteb's version, which holds their revisions."""
    scorer = f"mteb {metadata.version('mteb')}"
    found = []
    for name in names(collections, folder):
        local = _local(name, folder)
        if name in FILES:
            found.append(f"{name}, {DISTRIBUTION} {metadata.version(DISTRIBUTION)}")
        elif local:
            digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(local)]
            found.append(f"{local.name}, files sha256:{' '.join(digests)}")
        else:
            found.append(f"{name}, hub")
    return "; ".join((*found, scorer))


def _named(name: str, folder: str) -> str:
    """The name as it is written, or the path of a folder."""
    for known in (*FILES, *TABLE_1):
        if name.casefold() == known.casefold() and not _local(name, folder):
            return known
    if _local(name, folder):
        return name
    near = difflib.get_close_matches(name, (*FILES, *TABLE_1), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"unknown retrieval set {name!r}: {hint}{_known()}")


def _local(name: str, folder: str) -> Path | None:
    """The folder that holds a set, within the folder of tasks or by itself; None if none does."""
    inside = Path(folder).expanduser() / name if folder else None
    if folder and not Path(folder).expanduser().is_dir():
        raise InputError(f"task_folder={folder} is no folder: it takes one with a folder per task")
    for path in (inside, Path(name).expanduser()):
        if path and path.is_dir() and name not in FILES and _find(path, CORPUS):
            return path.resolve()
    return None


def _known() -> str:
    return (
        f"known are {', '.join(FILES)} (embedded), {', '.join(TABLE_1)} (from the hub), or a "
        "folder with corpus.jsonl, queries.jsonl and qrels/test.tsv"
    )


def _embedded(name: str) -> SearchSet:
    """Pairs of one file: each question a query, each distinct text a document."""
    path = installed_file(f"retrieval set {name}", DISTRIBUTION, VERSION, *FILES[name])
    asks, answers = FIELDS[name]
    queries: dict[str, str] = {}
    by_question: dict[str, str] = {}
    by_text: dict[str, tuple[str, str]] = {}
    relevant: dict[str, dict[str, int]] = {}
    for number, (row, where) in enumerate(rows(path), 1):
        if not all(isinstance(row.get(field), str) for field in (asks, answers)):
            raise InputError(f"{where} has no {asks} or no {answers}")
        query = by_question.setdefault(_plain(row[asks]), f"{name}-{number:04d}")
        queries.setdefault(query, row[asks])
        new = (f"{answers}-{number:04d}", row[answers])
        document, _ = by_text.setdefault(_plain(row[answers]), new)
        relevant.setdefault(query, {})[document] = 1
    source = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}, {'/'.join(FILES[name])}"
    documents = _documents(name, by_text.values())
    return SearchSet(name, queries, documents, relevant, PROMPTS[name], source)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _documents(name: str, texts: Iterable[tuple[str, str]]) -> Any:
    from datasets import Dataset

    ids, bodies = zip(*texts, strict=True)
    with refused(f"retrieval set {name} cannot be loaded"):
        return Dataset.from_dict({"id": list(ids), "text": list(bodies)})


def _from_folder(folder: Path) -> SearchSet:
    """A set of files; one that is called as mteb or BEIR call theirs is asked as the hub's copy."""
    queries, documents, relevant = read_folder(folder)
    named = (name for name, own in TABLE_1.items() if folder.name.lower() in (name.lower(), own))
    published = next(named, None)
    prompt, same = "Given a query, find the documents that answer it", False
    if published:
        prompt, same = _as_mteb_asks(published)
    found = _documents(folder.name, documents.items())
    source = "files in a local folder"
    return SearchSet(folder.name, queries, found, relevant, prompt, source, same)


def _as_mteb_asks(name: str) -> tuple[str, bool]:
    """What one of mteb's sets asks for, and whether a query may not find itself there."""
    import mteb

    task = mteb.get_task(name)
    said = task.metadata.prompt
    prompt = said.get("query", "") if isinstance(said, dict) else said or ""
    return prompt, bool(task.ignore_identical_ids)


def files_of(folder: Path) -> tuple[Path, Path, Path]:
    """The documents, queries and judgements; :class:`InputError` names one that is missing."""
    found = [_find(folder, name) for name in (CORPUS, QUERIES, JUDGEMENTS)]
    for path, name in zip(found, (CORPUS, QUERIES, JUDGEMENTS), strict=True):
        if path is None:
            raise InputError(f"retrieval set {folder.name} lacks {name} (or {name}.gz)")
    corpus, queries, judgements = (path for path in found if path)
    return corpus, queries, judgements


def read_folder(folder: Path) -> tuple[Texts, Texts, Grades]:
    """Queries and documents by id, a document's title before its text, and grades by query and
    document, of a folder in the layout of BEIR.

    ``corpus.jsonl`` holds one document per line, with ``_id``, ``text`` and perhaps ``title``;
    ``queries.jsonl`` one query, with ``_id`` and ``text``; ``qrels/test.tsv`` after its heading one
    judgement: the query's id, the document's, and a grade. Each may be compressed (``.gz``).

    Raises :class:`InputError` naming the file and line that are damaged. What is judged need not be
    there.
    """
    corpus, asked, judgements = files_of(folder)
    documents = _by_id(corpus)
    queries = _by_id(asked)
    return queries, documents, _grades(judgements)


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _by_id(path: Path) -> Texts:
    found: Texts = {}
    for row, where in rows(path):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InputError(f"{where} has no _id or no text: {TAKES}")
        if not isinstance(row.get("_id"), str | int) or not isinstance(row.get("title") or "", str):
            raise InputError(f"{where} has no _id, or one or a title that is no text: {TAKES}")
        name = str(row["_id"])
        if name in found:
            raise InputError(f"{where} has the id {name!r} a second time")
        found[name] = f"{row.get('title') or ''} {row['text']}".strip()
    if not found:
        raise InputError(f"{path.name} is empty")
    return found


def _grades(path: Path) -> Grades:
    found: Grades = {}
    for number, (query, document, grade) in _judgements(path):
        try:
            found.setdefault(query, {})[document] = int(grade)
        except ValueError:
            raise InputError(
                f"line {number} of {path.name} has the grade {grade!r}: it takes a whole number"
            ) from None
    return found


def _judgements(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    for number, line in enumerate(text_of(path).split("\n"), 1):
        parts = tuple(line.split("\t"))
        if not line.strip() or (number == 1 and parts[-1].strip() == "score"):
            continue
        if len(parts) != 3:
            raise InputError(
                f"line {number} of {path.name} is damaged: it takes a query's id, a document's "
                "and a grade, with tabs between"
            )
        yield number, (parts[0], parts[1], parts[2].strip())


def _from_hub(name: str) -> SearchSet:
    otherwise = (
        f"take collections={','.join(FILES)}, which come with the book, or give a folder with "
        f"{name}/corpus.jsonl, queries.jsonl and qrels/test.tsv as task_folder"
    )
    with refused(f"{name} cannot be had from the hub", otherwise):
        import mteb

        task = mteb.get_task(name)
        path = task.metadata.dataset["path"]
        commit(name, path, otherwise)
        with offline_unless(reachable()):
            task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
        found = task.dataset["default"][task.eval_splits[0]]
    queries = dict(zip(found["queries"]["id"], found["queries"]["text"], strict=True))
    prompt, same = _as_mteb_asks(name)
    source = f"hub, {path}"
    return SearchSet(name, queries, found["corpus"], found["relevant_docs"], prompt, source, same)


def _counted(whole: SearchSet) -> SearchSet:
    """The set with the number of its judgements, and of those of what is not there.

    Raises :class:`InputError` if no document that is there answers a query that is there.
    """
    known = set(whole.documents["id"])
    judged = [
        (query in whole.queries, document in known, grade)
        for query, grades in whole.relevant.items()
        for document, grade in grades.items()
    ]
    if not any(query and document and grade > 0 for query, document, grade in judged):
        raise InputError(
            f"retrieval set {whole.name} has no query that one of its documents answers: all "
            f"{len(judged)} judgements are of grade 0, or of what is not there"
        )
    return replace(
        whole,
        judged=len(judged),
        absent_documents=sum(not document for _, document, _ in judged),
        absent_queries=sum(not query for query, _, _ in judged),
    )


def _some(whole: SearchSet, items: int, seed: int, documents: int) -> SearchSet:
    """``items`` of the queries that are judged; with ``documents`` only so many, those among them
    that are relevant to any of the queries first."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    judged = [query for query in whole.queries if whole.relevant.get(query)]
    chosen = [judged[at] for at in _order(len(judged), generator)][: items or None]
    found = replace(
        whole,
        queries={query: whole.queries[query] for query in chosen},
        relevant={query: whole.relevant[query] for query in chosen},
    )
    if not documents:
        return found
    ids = whole.documents["id"]
    needed = {document for query in chosen for document in whole.relevant[query]}
    others = [at for at in _order(len(ids), generator) if ids[at] not in needed]
    kept = {at for at in range(len(ids)) if ids[at] in needed}
    kept |= set(others[: max(0, documents - len(kept))])
    return replace(found, documents=whole.documents.select(sorted(kept)))


def _order(count: int, generator: torch.Generator) -> list[int]:
    return torch.randperm(count, generator=generator, device="cpu").tolist()
