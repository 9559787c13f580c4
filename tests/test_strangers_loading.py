"""Encoders, tasks, data sets and retrieval sets that cannot be loaded, whatever a library raises:
one line that names the thing and the cause."""

import errno
import json
import os
import re
import shutil
import types
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from conftest import tiny_model
from encoder_folders import WIDTH, save_encoder
from huggingface_hub.errors import HfHubHTTPError, StrictDataclassFieldValidationError
from safetensors.torch import load_file, save_file
from test_retrieval import write_set
from test_running_beside import last_line, own_notebook, run

from helpers.errors import InputError, cause, refused
from helpers.evaluation import hub, tasks
from helpers.evaluation.asked_tasks import asked_task
from helpers.evaluation.encoders import decoder_pooling, open_encoder, vectors
from helpers.evaluation.search_sets import search_set
from helpers.evaluation.tasks import TASKS
from helpers.models import load
from helpers.models.load import depth, outline
from helpers.texts import passages

ROOT = Path(__file__).parents[1]
TEXTS = ["some words", "b", "z" * 40]


def line_of(call, *given, **options):
    """The one line that a call refuses with."""
    with pytest.raises(InputError) as caught:
        call(*given, **options)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 900
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def folder(whole, tmp_path):
    """A good encoder, a copy of which is to be spoilt."""
    return shutil.copytree(whole, tmp_path / "stranger")


def weights(change, name="model.safetensors"):
    def spoil(folder):
        found = load_file(folder / name)
        change(found)
        save_file(found, folder / name, metadata={"format": "pt"})

    return spoil


def text(name, content):
    def spoil(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)

    return spoil


def setting(name="config.json", **changes):
    def spoil(folder):
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | changes))

    return spoil


def gone(*names):
    def spoil(folder):
        for name in names:
            for path in folder.glob(name):
                path.unlink()

    return spoil


def parts(*changes):
    """modules.json with its parts changed: what each is given beside what it has."""

    def spoil(folder):
        found = json.loads((folder / "modules.json").read_text())
        for part, change in zip(found, changes, strict=False):
            part |= change
        (folder / "modules.json").write_text(json.dumps(found))

    return spoil


def dense(change=lambda weights: None, **settings):
    """A further part with weights of its own, as LaBSE has it, and its weights spoilt."""

    def spoil(folder):
        from sentence_transformers.sentence_transformer.modules import Dense

        part = folder / "2_Dense"
        part.mkdir()
        Dense(WIDTH, 8).save(str(part))
        weights(change)(part)
        found = json.loads((folder / "modules.json").read_text())[:2]
        kind = "sentence_transformers.models.Dense"
        found.append({"idx": 2, "name": "2", "path": "2_Dense", "type": kind})
        (folder / "modules.json").write_text(json.dumps(found))
        setting("config.json", **settings)(part)

    return spoil


def linked(name):
    """A link to what was not copied, as in a snapshot of the hub's cache."""

    def spoil(folder):
        (folder / name).unlink()
        (folder / name).symlink_to("../../blobs/1234")

    return spoil


def packed(dtype):
    def change(found):
        for key in [key for key in found if key.endswith("dense.weight") and "encoder" in key]:
            found[key] = found[key].to(dtype)

    return weights(change)


def adapter(folder):
    said = {"base_model_name_or_path": "nobody/nothing", "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(said))


QUERY = "encoder.layer.1.attention.self.query.weight"


def masked(found):
    weight = found.pop(QUERY)
    found[f"{QUERY}_orig"], found[f"{QUERY}_mask"] = weight, (weight > 0).float()


def doubled(found):
    for key in [key for key in found if "layer.2." in key]:
        found[key.replace("layer.2.", "layer.3.")] = found[key].clone()


def removed(part):
    def change(found):
        for key in [key for key in found if part in key]:
            del found[key]

    return weights(change)


ENCODERS = {
    "masks of torch": (weights(masked), rf"first {QUERY}_mask"),
    "mask beside its weight": (
        weights(lambda found: found.update({f"{QUERY}_mask": torch.ones(4, 4)})),
        rf"do not read, the first {QUERY}_mask",
    ),
    "one more layer": (weights(doubled), r"the first encoder\.layer\.3\."),
    "one layer less": (removed("layer.2."), r"lacks 16 weights, the first encoder\.layer\.2\."),
    "one weight less": (removed(QUERY), rf"lacks 1 weights, the first {QUERY}"),
    "no embedding": (removed("word_embeddings"), "lacks 1 weights"),
    "no weights": (removed(""), "lacks"),
    "a head that nobody named": (
        weights(lambda found: found.update({"cls.bias": torch.ones(4)})),
        r"do not read, the first cls\.bias",
    ),
    "other prefix": (
        weights(lambda found: [found.update({f"module.{k}": found.pop(k)}) for k in [*found]]),
        "do not read|lacks",
    ),
    "eight bits": (packed(torch.float8_e4m3fn), "packed, as F8_E4M3"),
    "integers": (packed(torch.int8), "packed, as I8|cannot be loaded"),
    "adapter": (adapter, "merge it into them"),
    "second set of weights": (
        lambda folder: shutil.copy(folder / "model.safetensors", folder / "old.safetensors"),
        r"move old\.safetensors out",
    ),
    "fewer layers said": (setting(num_hidden_layers=2), r"the first encoder\.layer\.2\."),
    "more layers said": (setting(num_hidden_layers=4), "lacks 16 weights"),
    "other width said": (setting(hidden_size=12), "of another shape|cannot be loaded"),
    "other vocabulary said": (setting(vocab_size=7), "of another shape"),
    "three heads": (setting(num_attention_heads=7), "cannot be loaded"),
    "layers as text": (setting(num_hidden_layers="3"), "cannot be loaded: .*num_hidden_layers"),
    "unknown activation": (setting(hidden_act="nobodys"), "cannot be loaded: .*nobodys"),
    "unknown family": (setting(model_type="nobodys"), "cannot be loaded: .*nobodys"),
    "other family": (setting(model_type="roberta"), "of two families"),
    "no family": (setting(model_type=None), "cannot be loaded"),
    "quantized": (setting(quantization_config={"quant_method": "gptq"}), "is quantized .*gptq"),
    "sparse": (
        setting(quantization_config={"quant_method": "compressed-tensors"}),
        "cannot be loaded",
    ),
    "damaged configuration": (text("config.json", "{"), r"config\.json of stranger cannot be read"),
    "list for a configuration": (text("config.json", "[]"), r"config\.json .* holds no dict"),
    "no configuration": (gone("config.json"), r"lacks config\.json"),
    "too deep": (text("config.json", "[" * 100_000), r"config\.json .*RecursionError"),
    "no UTF-8": (
        lambda folder: (folder / "config.json").write_bytes(b'{"a": "\xe9"}'),
        r"config\.json .* cannot be read",
    ),
    "damaged parts": (text("modules.json", "{"), r"modules\.json of stranger cannot be read"),
    "object for parts": (text("modules.json", "{}"), r"modules\.json .* holds no list"),
    "no parts": (text("modules.json", "[]"), r"modules\.json of stranger is damaged"),
    "texts for parts": (text("modules.json", '["Transformer"]'), "is damaged"),
    "unknown part": (
        parts({}, {"type": "sentence_transformers.models.Nothing"}),
        "encoder .* cannot be loaded: .*Nothing",
    ),
    "part without a path": (parts({}, {"path": "9_Lost"}), r"stranger lacks 9_Lost/config\.json"),
    "path as a number": (parts({}, {"path": 9}), r"stranger lacks 9/config\.json"),
    "damaged pooling": (
        text("1_Pooling/config.json", "{"),
        r"1_Pooling/config\.json of stranger cannot be read",
    ),
    "unknown pooling": (
        setting("1_Pooling/config.json", pooling_mode="nobodys"),
        "encoder .* cannot be loaded: .*nobodys",
    ),
    "damaged settings": (text("sentence_bert_config.json", "{"), "cannot be loaded"),
    "list for settings": (text("sentence_bert_config.json", "[1]"), "cannot be loaded"),
    "unknown settings": (
        text("sentence_bert_config.json", '{"nothing": 1}'),
        "cannot be loaded: TypeError: .*nothing",
    ),
    "own task": (
        text("sentence_bert_config.json", '{"transformer_task": "nothing"}'),
        "cannot be loaded",
    ),
    "damaged tokenizer": (text("tokenizer.json", "{"), "cannot be loaded"),
    "tokenizer without parts": (text("tokenizer.json", '{"model": {}}'), "cannot be loaded"),
    "list for tokenizer settings": (text("tokenizer_config.json", "[]"), "cannot be loaded"),
    "no tokenizer": (gone("tokenizer*", "vocab*", "special*"), "no vocabulary|cannot be loaded"),
    "no vocabulary": (gone("tokenizer.json", "vocab*"), "no vocabulary|cannot be loaded"),
    "no bytes": (text("model.safetensors", ""), "cannot be loaded"),
    "pointer for weights": (
        text("model.safetensors", "version https://git-lfs.github.com/spec/v1"),
        "cannot be loaded",
    ),
    "link for weights": (linked("model.safetensors"), "cannot be loaded: .*no file named"),
    "link for a tokenizer": (linked("tokenizer.json"), "has no vocabulary"),
    "dense with more": (
        dense(lambda found: found.update({"linear.mask": torch.ones(2)})),
        r"cannot be loaded: .*linear\.mask",
    ),
    "dense with less": (
        dense(lambda found: found.pop("linear.bias")),
        r"cannot be loaded: .*linear\.bias",
    ),
    "dense of another shape": (dense(out_features=9), "cannot be loaded"),
    "dense of no kind": (dense(activation_function="torch.nn.Nothing"), "cannot be loaded"),
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_damaged_encoder_is_one_line(folder, kind):
    spoil, message = ENCODERS[kind]
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        open_encoder(str(folder), device="cpu")
    assert "\n" not in str(caught.value)
    assert "stranger" in str(caught.value)


def test_unknown_format_is_one_line(whole):
    for dtype in ("float8", "int8", "Tensor", "nn", ""):
        for opened in (open_encoder, load):
            assert line_of(opened, str(whole), dtype=dtype).startswith(f"unknown dtype {dtype!r}")


def old_names(found):
    """As the first BERTs are stored: below their family's name, norms with gamma and beta."""
    for key in [*found]:
        name = key.replace("LayerNorm.weight", "LayerNorm.gamma")
        name = name.replace("LayerNorm.bias", "LayerNorm.beta")
        found[f"bert.{name}"] = found.pop(key)


def own_folder(folder):
    """The network in a folder of its own, as older models have it."""
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer*", "sentence_bert_config.json"):
        for path in folder.glob(name):
            path.rename(inner / path.name)
    parts({"path": "0_Transformer"})(folder)


def with_head(folder):
    """A language model's head behind the encoder, as bert-base-uncased has it."""
    weights(old_names)(folder)
    weights(lambda found: found.update({"cls.predictions.bias": torch.ones(3)}))(folder)
    setting(architectures=["BertForMaskedLM"])(folder)


@pytest.mark.parametrize("change", [weights(old_names), own_folder, with_head, removed("pooler.")])
def test_other_layouts_of_the_same_encoder_are_the_same_vectors(whole, folder, change):
    change(folder)
    encoder = open_encoder(str(folder), device="cpu")
    wanted = vectors(open_encoder(str(whole), device="cpu"), TEXTS, query=False)
    assert torch.equal(vectors(encoder, TEXTS, query=False), wanted)
    stored = sum(
        weight.numel()
        for path in folder.rglob("model.safetensors")
        for key, weight in load_file(path).items()
        if not key.startswith("cls.")
    )
    assert sum(weight.numel() for weight in encoder.backbone.parameters()) == stored


SISTERS = [
    ("llama", "mistral"),
    ("llama", "gemma"),
    ("llama", "qwen2"),
    ("llama", "phi3"),
    ("mistral", "llama"),
    ("gemma", "llama"),
    ("gemma2", "gemma"),
    ("qwen2", "llama"),
    ("qwen3", "qwen2"),
]


@pytest.mark.parametrize("bare", [False, True], ids=["", "without a head"])
@pytest.mark.parametrize(("family", "said"), SISTERS)
def test_configuration_of_a_sister_family_is_refused(family, said, bare, tiny_tokenizer, tmp_path):
    """The same keys and shapes, another computation: Gemma scales its embeddings, for one."""
    model = tiny_model(family)
    (model.base_model if bare else model).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    setting(model_type=said)(tmp_path)
    for read in (load, outline, depth):
        found = line_of(read, str(tmp_path))
        assert f"model_type {said}, and {type(model).__name__.partition('For')[0]}" in found
        assert re.search(rf"which is of .*\b{family}\b", found)


@pytest.mark.parametrize(
    "architectures", [None, [], ["LlamaForNobody"], ["LlamaModel"], ["LlamaForTokenClassification"]]
)
def test_architecture_that_says_nothing_against_it_is_taken(tiny_folder, tmp_path, architectures):
    folder = shutil.copytree(tiny_folder, tmp_path / "stranger")
    setting(architectures=architectures)(folder)
    assert depth(str(folder)) == 4


@pytest.mark.parametrize("architectures", ["MistralForCausalLM", 5, [5], {"a": 1}])
def test_architecture_that_is_no_list_is_refused(tiny_folder, tmp_path, architectures):
    folder = shutil.copytree(tiny_folder, tmp_path / "stranger")
    setting(architectures=architectures)(folder)
    assert str(folder) in line_of(depth, str(folder))


def half_a_character(name):
    def spoil(folder):
        path = folder / name
        path.write_text(path.read_text().replace('"text": "', '"text": "\\ud83d', 1))

    return spoil


RETRIEVAL = {
    "no documents": (gone("corpus.jsonl"), "unknown retrieval set|lacks"),
    "no queries": (gone("queries.jsonl"), r"lacks queries\.jsonl"),
    "no judgements": (gone("qrels/test.tsv"), r"lacks qrels/test\.tsv"),
    "link for queries": (linked("queries.jsonl"), r"lacks queries\.jsonl"),
    "number for an id": (text("queries.jsonl", '{"_id": 1.5, "text": "a"}'), "line 1 .* _id"),
    "nothing for an id": (text("queries.jsonl", '{"_id": null, "text": "a"}'), "line 1 .* _id"),
    "list for a title": (
        text("corpus.jsonl", '{"_id": "d2", "text": "a", "title": ["b"]}'),
        "line 1 .* title that is no text",
    ),
    "list for a text": (text("corpus.jsonl", '{"_id": "d2", "text": ["b"]}'), "line 1 .* no text"),
    "half a character in a document": (half_a_character("corpus.jsonl"), "line 1 .* half a"),
    "half a character in a query": (half_a_character("queries.jsonl"), "line 1 .* half a"),
    "an object of documents": (text("corpus.jsonl", '{"d1": {"text": "a"}}'), "no _id or no text"),
    "a list of lists": (text("corpus.jsonl", '[["d1", "a"]]'), "no _id or no text"),
    "other encoding": (
        lambda folder: (folder / "queries.jsonl").write_bytes("{}".encode("utf-16")),
        "cannot be read as UTF-8",
    ),
    "no tabs": (text("qrels/test.tsv", "q1 d2 1"), "line 1 .* tabs between"),
    "a fraction": (text("qrels/test.tsv", "q1\td2\t0.5"), "takes a whole number"),
    "nothing answers": (text("qrels/test.tsv", "q1\td2\t0"), "no query that .* answers"),
    "nothing judged": (text("qrels/test.tsv", ""), "no query that .* answers"),
}


@pytest.mark.parametrize("kind", RETRIEVAL)
def test_damaged_retrieval_set_is_one_line(tmp_path, kind):
    spoil, message = RETRIEVAL[kind]
    folder = write_set(tmp_path / "mine")
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        search_set(str(folder))
    assert "\n" not in str(caught.value)


GOOD = json.dumps({"goal": "G", "sol1": "x", "sol2": "y", "label": 1})
FILE = "test.jsonl"


def folder_called(name):
    return lambda folder: ((folder / name).unlink(), (folder / name).mkdir())


def table(column, name="test.parquet"):
    def spoil(folder):
        import pyarrow.parquet as pq

        (folder / FILE).unlink()
        pq.write_table(pa.table(column), folder / name)

    return spoil


TASK_FILES = {
    "nothing": (gone(FILE), "holds no questions"),
    "no row": (text(FILE, "\n"), "hold no question"),
    "link": (linked(FILE), r"test\.jsonl of task piqa cannot be read: .*No such file"),
    "folder of that name": (folder_called(FILE), "holds no questions"),
    "cut off": (text(FILE, GOOD[:-4]), r"test\.jsonl is damaged at line 1"),
    "half a character": (text(FILE, GOOD.replace("G", "\\ud83d")), r"line 1 .* half a character"),
    "other task": (text(FILE, '{"question": "Q", "answer": "#### 1"}'), "it lacks "),
    "a list of texts": (text(FILE, '["a", "b"]'), "is no question of piqa"),
    "a number": (text(FILE, "5"), "is no question of piqa"),
    "no label": (text(FILE, GOOD.replace(": 1", ": -1")), "its label -1 is not among 0, 1"),
    "text for a table": (text("test.parquet", GOOD), r"test\.parquet is no Parquet file"),
    "empty table": (text("test.parquet", ""), r"test\.parquet is no Parquet file"),
    "table of another task": (table({"question": ["Q"]}), "it lacks "),
    "table without rows": (table({"goal": pa.array([], pa.string())}), "hold no question"),
    "table of bytes": (
        table({"goal": [b"\xff"], "sol1": ["x"], "sol2": ["y"], "label": [0]}),
        "its goal is no text",
    ),
    "table of nothing": (
        table({"goal": [None], "sol1": ["x"], "sol2": ["y"], "label": [0]}),
        "its goal is no text",
    ),
}


@pytest.mark.parametrize("kind", TASK_FILES)
def test_damaged_task_is_one_line(tmp_path, kind):
    spoil, message = TASK_FILES[kind]
    (tmp_path / "piqa").mkdir()
    (tmp_path / "piqa" / FILE).write_text(f"{GOOD}\n")
    assert len(tasks.documents(TASKS["piqa"], str(tmp_path))) == 1
    spoil(tmp_path / "piqa")
    if kind.endswith("table"):
        (tmp_path / "piqa" / FILE).unlink()
    with pytest.raises(InputError, match=message) as caught:
        tasks.documents(TASKS["piqa"], str(tmp_path))
    assert "\n" not in str(caught.value)


def raised_from(error, origin):
    error.__cause__ = origin
    return error


RESPONSE = types.SimpleNamespace(headers={}, request=None)
ERRORS = {  # what libraries were seen to raise, and what the line has to say of it
    "ImportError": (ImportError("this needs\npip install sentencepiece"), "pip install sentence"),
    "KeyError": (KeyError("rope_type"), "KeyError: 'rope_type'"),
    "AttributeError": (AttributeError(), "AttributeError"),
    "OSError": (OSError(errno.EIO, os.strerror(errno.EIO), "model"), "Input/output error: 'model'"),
    "RuntimeError": (RuntimeError("size mismatch for a:\n  copying"), "for a: copying"),
    "MemoryError": (MemoryError(), "MemoryError"),
    "RecursionError": (RecursionError("maximum depth"), "RecursionError: maximum depth"),
    "pyarrow": (pa.ArrowNotImplementedError("Unsupported cast"), "Unsupported cast"),
    "hub": (
        HfHubHTTPError(
            "401 Client Error. (Request ID: 1)\n\nRepository Not Found", response=RESPONSE
        ),
        "Repository Not Found",
    ),
    "validation": (
        StrictDataclassFieldValidationError("hidden_size", TypeError("no int")),
        "hidden_size",
    ),
    "cause": (raised_from(RuntimeError("An error occurred"), KeyError("url")), "(KeyError: 'url')"),
    "long": (ValueError("one of:\n" + "many, " * 9999), "one of: many, many"),
}
PIQA = TASKS["piqa"]
LOADERS = {  # where a library is called, by whom, and what the line begins with
    "configuration": ("transformers.AutoConfig.from_pretrained", depth, "model"),
    "tokenizer": ("transformers.AutoTokenizer.from_pretrained", outline, "model"),
    "model": ("transformers.AutoModelForCausalLM.from_pretrained", load, "model"),
    "head of a model": ("transformers.AutoModelForCausalLM.from_config", outline, "model"),
    "adapter": ("transformers.utils.find_adapter_config_file", load, "model"),
    "encoder": ("sentence_transformers.SentenceTransformer.__init__", open_encoder, "encoder"),
    "weights of an encoder": ("transformers.BertModel.from_pretrained", open_encoder, "encoder"),
    "snapshot": (
        "huggingface_hub.snapshot_download",
        lambda _: decoder_pooling("somebody/something"),
        "encoder 'somebody/something' cannot be had from the hub",
    ),
    "data set": (
        "datasets.load_dataset",
        lambda _: list(hub.hub_rows("task piqa", "a/piqa", "", "test", "take another")),
        "task piqa cannot be had from the hub, a/piqa (",
    ),
    "calibration": (
        "datasets.load_dataset",
        lambda _: passages.passages("wikitext"),
        "calibration text wikitext cannot be had from the hub (",
    ),
    "retrieval set": ("mteb.get_task", lambda _: search_set("SciFact"), "SciFact cannot be had"),
    "documents": (
        "datasets.Dataset.from_dict",
        lambda _: search_set("fiqa", 2),
        "retrieval set fiqa cannot be loaded",
    ),
    "task": (
        "lm_eval.tasks.TaskManager.__init__",
        lambda _: asked_task(PIQA, 2, 0, 0),
        "task piqa cannot be made of its questions",
    ),
    "questions": (
        "datasets.Dataset.from_list",
        lambda _: asked_task(PIQA, 2, 0, 0),
        "task piqa cannot be made of its questions",
    ),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("loader", LOADERS)
def test_whatever_a_library_raises_is_one_line(loader, error, whole, tiny_folder, monkeypatch):
    """The library is made to fail where it is called; what is around it is ours."""
    place, call, begin = LOADERS[loader]
    raised, told = ERRORS[error]

    def fails(*_arguments, **_options):
        raise raised

    monkeypatch.setattr(place, fails)
    monkeypatch.setattr(hub, "commit", lambda *_: "a1b2c3")
    monkeypatch.setattr(
        "helpers.evaluation.encoder_files.fingerprint", lambda *_: "hub-commit:a1b2c3"
    )
    said = line_of(call, str(whole if call is open_encoder else tiny_folder))
    assert said.startswith(begin)
    assert told in said


@pytest.mark.parametrize("error", ERRORS)
def test_a_data_set_that_breaks_off_is_one_line(error, monkeypatch):
    raised, told = ERRORS[error]

    def some(*_arguments, **_options):
        yield {"text": "one"}
        raise raised

    monkeypatch.setattr("datasets.load_dataset", some)
    monkeypatch.setattr(hub, "commit", lambda *_: "a1b2c3")
    rows = hub.hub_rows("task piqa", "a/piqa", "", "test", "take another")
    assert next(rows) == ({"text": "one"}, "row 1 of a/piqa, test")
    assert told in line_of(next, rows)
    assert told in line_of(passages.passages, "wikitext")


def test_what_is_raised_by_us_stays_as_it_is():
    with pytest.raises(InputError, match=r"^ours$"), refused("not this"):
        raise InputError("ours")
    with pytest.raises(KeyboardInterrupt), refused("not this"):
        raise KeyboardInterrupt
    assert cause(ValueError()) == "ValueError"


CELL = "from helpers.evaluation.encoders import open_encoder\nopen_encoder({!r}, device='cpu')"


def test_a_run_that_meets_a_damaged_encoder_ends_with_one_line(folder, tmp_path, capsys):
    ENCODERS["masks of torch"][0](folder)
    notebook = own_notebook(tmp_path / "own.ipynb", CELL.format(str(folder)))
    assert run(notebook, tmp_path / "out.ipynb") == 2
    assert last_line(capsys).startswith(f"error: model {str(folder)!r} holds 2 weights")
    assert {path.name for path in tmp_path.iterdir()} == {"own.ipynb", "stranger"}


def test_a_large_calibration_file_is_read_once(tmp_path, monkeypatch):
    """Not before the run and then again, and not again for the next model that is pruned."""
    file = tmp_path / "c4-train.00000-of-01024.json"
    row = json.dumps({"text": "some words " * 40}) + "\n"
    file.write_text(row * (passages.LARGE // len(row) + 1))
    read, seen = passages.read_file, []
    monkeypatch.setattr(passages, "read_file", lambda path: seen.append(path) or read(path))
    passages.check_source(str(file))
    first = passages.passages(str(file))
    assert passages.passages(str(file)) == first
    assert seen == [file]
    with file.open("a") as more:
        more.write(row)
    assert len(passages.passages(str(file))) == len(first) + 1
    damaged = tmp_path / "table.csv"
    damaged.write_text(row * (passages.LARGE // len(row) + 1))
    assert "is a table" in line_of(passages.check_source, str(damaged))
