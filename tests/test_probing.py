"""The paired probes against one text at a time, against a model computed by hand, and stored."""

import json
import math
import shutil

import pandas as pd
import pytest
import torch
from conftest import ARCHITECTURES, LAYERS, tiny_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from helpers.decoding import Branch
from helpers.errors import InputError
from helpers.evaluation.asking import Said, ask, continuations, worded
from helpers.evaluation.comparison import score_rows
from helpers.evaluation.probing import (
    FORMS,
    SENTENCE_TOKENS,
    SPAN_TOKENS,
    asked_as,
    probe_rows,
    several_named,
)
from helpers.evaluation.spans import first_sentence, first_span, holds
from helpers.models.architecture import Decoder
from helpers.pruning.drop import drop
from helpers.texts.probes import LETTERS, Probe, probes
from measurements.probe_scores import probe_items
from runs.parameters import RunParameters

DROPPED = [(0, "attention"), (1, "mlp"), (LAYERS - 1, "attention"), (LAYERS - 1, "mlp")]
CASES = [(name, DROPPED) for name in ARCHITECTURES] + [(name, []) for name in ("llama", "gemma2")]


def chosen() -> tuple[Probe, ...]:
    """A few short ones of several families, of different lengths."""
    return (*probes("capitals", 1), *probes("arithmetic", 1), *probes("plurals", 1))


def naive_likelihoods(model, start, wholes) -> list[float]:
    """One forward pass for each option, log-softmax in float64, summed over its tokens."""
    found = []
    for whole in wholes:
        assert whole[: len(start)] == start
        with torch.inference_mode():
            logits = model(torch.tensor([whole]), use_cache=False).logits[0].double()
        each = logits.log_softmax(-1)[torch.arange(len(whole) - 1), list(whole[1:])]
        found.append(float(each[len(start) - 1 :].sum()))
    return found


def naive_text(model, tokenizer, start, most) -> str:
    """What the library writes after one text."""
    ids = torch.tensor([start])
    with torch.inference_mode():
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False
        )
    return tokenizer.decode(whole[0, len(start) :], skip_special_tokens=True)


@pytest.mark.parametrize(("architecture", "without"), CASES)
def test_every_form_against_one_text_at_a_time(architecture, without, tiny_tokenizer, monkeypatch):
    model = tiny_model(architecture)
    decoder = drop(Decoder.of(model), without) if without != "nothing" else Decoder.of(model)
    seen: list[dict[str, Said]] = []

    def keep(*arguments):
        seen.extend(ask(*arguments))
        return seen

    monkeypatch.setattr("helpers.evaluation.probing.ask", keep)
    template = architecture not in {"gpt2", "gemma"}
    rows = probe_rows(decoder, tiny_tokenizer, chosen(), template, at_once=2)
    table = rows.set_index(["form", "item"])
    for probe, said in zip(chosen(), seen, strict=True):
        for form in FORMS:
            options = LETTERS if form == "letter" else probe.options
            put = asked_as(probe, form)
            start, wholes = worded(
                tiny_tokenizer, put["question"], put["prefix"], options, template
            )
            row = table.loc[(form, probe.id)]
            if form.startswith("generation"):
                cut, most = (
                    (first_span, SPAN_TOKENS)
                    if put["prefix"]
                    else (first_sentence, SENTENCE_TOKENS)
                )
                answer = cut(naive_text(model, tiny_tokenizer, start, most))
                assert row["answer"] == answer
                assert row["value"] == holds(answer, probe.accepted)
                continue
            expected = naive_likelihoods(model, start, wholes)
            way = form.rpartition(", ")[2]
            assert said[way].likelihoods == pytest.approx(expected, rel=1e-4, abs=1e-4)
            place = expected.index(max(expected))
            assert row["answer"] == options[place]
            assert row["value"] == (place == probe.place)


def test_batches_and_forms_change_nothing(tiny_tokenizer):
    decoder = Decoder.of(tiny_model("qwen2"))
    whole = probe_rows(decoder, tiny_tokenizer, chosen(), True)
    for at_once in (1, 2):
        pd.testing.assert_frame_equal(
            whole, probe_rows(decoder, tiny_tokenizer, chosen(), True, at_once)
        )
    part = probe_rows(decoder, tiny_tokenizer, chosen(), True, forms=FORMS[2:3])
    kept = whole[whole["form"] == FORMS[2]].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, kept)


def test_a_branch_is_left_as_it_is_by_what_is_read_after_it():
    decoder = Decoder.of(tiny_model("llama"))
    stem = Branch.start(decoder, (5, 6, 7)).rows([0, 0])
    before = stem.logits().clone()
    once = stem.read([(8,), (9, 10)]).logits()
    stem.rows([1, 0]).read([(11, 12), (13,)], align="left")
    torch.testing.assert_close(stem.read([(8,), (9, 10)]).logits(), once, rtol=0, atol=0)
    torch.testing.assert_close(stem.logits(), before, rtol=0, atol=0)


def test_a_tokenizer_that_joins_the_question_to_its_answer(monkeypatch):
    """Where the last letter of the question and the blank after it are one token, an option's
    likelihood is that of its own tokens of the whole text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<s>", "</s>"]
    vocabulary = {token: number for number, token in enumerate([*special, *letters, "sĠ"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("s", "Ġ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>")
    model = tiny_model("llama")
    (probe,) = probes("capitals", 1)
    start, wholes = worded(tokenizer, probe.question, probe.prefix, probe.options, False)
    assert all(whole[: len(start)] != start for whole in wholes)
    shared = start[:-1]
    expected = naive_likelihoods(model, shared, wholes)
    rows = probe_rows(Decoder.of(model), tokenizer, [probe], False, forms=FORMS[:1])
    assert rows["answer"].tolist() == [probe.options[expected.index(max(expected))]]


def test_too_long_questions_are_one_line(tiny_tokenizer):
    decoder = Decoder.of(tiny_model("llama", max_position_embeddings=40))
    with pytest.raises(InputError, match="the model reads 40"):
        probe_rows(decoder, tiny_tokenizer, chosen(), True)


# By hand: a model that knows, after each word, how likely each next word is.

WORDS = ["<pad>", "</s>", "?", *LETTERS, "q1", "q2", "q3", "p1", "p2", "p3", "is"]
WORDS += ["red", "green", "dark", "blue", "light", "tan", "of", "the", "."]
NEXT = {
    "p1": {"red": 0.5, "green": 0.3, "dark": 0.1, "tan": 0.1},
    "p2": {"the": 0.6, "green": 0.2, "red": 0.15, "dark": 0.05},
    "p3": {"dark": 0.6, "red": 0.4},  # dark blue: 0.6 × 0.5 = 0.3
    "q1": {"red": 0.3, "green": 0.4, "tan": 0.3},
    "q2": {"light": 0.9, "green": 0.1},
    "q3": {"tan": 0.7, "red": 0.3},
    "dark": {"blue": 0.5, "red": 0.3, ".": 0.2},
    "light": {"green": 0.8, "</s>": 0.2},
    "the": {"red": 1.0},
    "red": {".": 0.9, "green": 0.1},
    "green": {".": 1.0},
    "blue": {"of": 1.0},
    "of": {"the": 1.0},
    "tan": {"</s>": 1.0},
    "is": {"B": 0.5, "A": 0.3, "C": 0.1, "D": 0.1},
}
ITEMS = (
    Probe("hand-01", "hand", "q1", "p1", "red", ("red",), ("red", "green", "dark blue", "tan")),
    Probe("hand-02", "hand", "q2", "p2", "green", ("green",), ("red", "green", "tan", "dark red")),
    Probe("hand-03", "hand", "q3", "p3", "dark blue", ("dark blue", "tan"),
          ("green", "red", "dark blue", "light")),
)  # fmt: skip
# what each of the three says, and whether it is right
SAID = {
    "choice, prefix": (("red", 1), ("green", 1), ("red", 0)),
    "choice, plain": (("green", 0), ("green", 1), ("red", 0)),
    "generation, prefix": (("red", 1), ("the red", 0), ("dark blue of the red", 1)),
    "generation, plain": (("green", 0), ("light green", 1), ("tan", 1)),
    "letter": (("B", 0), ("B", 1), ("B", 0)),
}


@pytest.fixture(scope="module")
def hand_model():
    """Embeddings are one-hot, every sublayer adds nothing, and the head holds log p."""
    count = len(WORDS)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=count,
        hidden_size=count + count % 2,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        intermediate_size=4,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        rms_norm_eps=1e-12,
        eos_token_id=WORDS.index("</s>"),
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.get_input_embeddings().weight[:, :count] = torch.eye(count)
        head = model.get_output_embeddings().weight
        for word, chances in NEXT.items():
            column = head[:, WORDS.index(word)]
            column.fill_(-40.0)
            for after, chance in chances.items():
                column[WORDS.index(after)] = math.log(chance)
        head /= math.sqrt(config.hidden_size)  # the final norm makes of a one-hot √d times it
    return model


@pytest.fixture(scope="module")
def hand_tokenizer():
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="?"
    )


@pytest.mark.parametrize("form", FORMS)
def test_three_items_by_hand(hand_model, hand_tokenizer, form):
    rows = probe_rows(Decoder.of(hand_model), hand_tokenizer, ITEMS, False, forms=(form,))
    assert rows["item"].tolist() == [probe.id for probe in ITEMS]
    assert list(zip(rows["answer"], rows["value"], strict=True)) == list(SAID[form])
    chance = 0.0 if form.startswith("generation") else 0.25
    assert set(rows["chance"]) == {chance}
    assert set(rows["kind"]) == {"probe"}
    assert set(rows["task"]) == {"probes"}
    assert set(rows["family"]) == {"hand"}


def test_scores_by_hand(hand_model, hand_tokenizer):
    rows = probe_rows(Decoder.of(hand_model), hand_tokenizer, ITEMS, False)
    scores = score_rows(rows).set_index("form")
    for form, said in SAID.items():
        right = sum(value for _, value in said)
        assert scores.loc[form, "value"] == pytest.approx(right / 3)
        # standard deviation of 0s and 1s with N − 1, over √N
        error = math.sqrt(right / 3 * (1 - right / 3) * 3 / 2 / 3)
        assert scores.loc[form, "stderr"] == pytest.approx(error)
        assert scores.loc[form, "n"] == 3


def test_likelihoods_by_hand(hand_model, hand_tokenizer):
    """The sum of an option's tokens, whatever comes after it."""
    decoder = Decoder.of(hand_model)
    ids = {word: place for place, word in enumerate(WORDS)}
    branch = Branch.start(decoder).rows([0, 0]).read([(ids["q1"], ids["p3"]), (ids["light"],)])
    found = continuations(
        branch,
        [
            [(ids["red"],), (ids["dark"], ids["blue"]), (ids["dark"], ids["red"], ids["green"])],
            [(ids["green"], ids["."])],
        ],
    )
    expected = [[0.4, 0.6 * 0.5, 0.6 * 0.3 * 0.1], [0.8 * 1.0]]
    for got, wanted in zip(found, expected, strict=True):
        assert [math.exp(each) for each in got] == pytest.approx(wanted, rel=1e-5)


def test_right_answers_that_name_several_are_counted():
    rows = pd.DataFrame(
        [
            ("generation, plain", "hand-01", "red or green", 1.0),
            ("generation, plain", "hand-02", "it is green", 1.0),
            ("generation, plain", "hand-03", "red and green", 0.0),
            ("generation, prefix", "hand-01", "red", 1.0),
            ("choice, plain", "hand-01", "red", 1.0),
        ],
        columns=["form", "item", "answer", "value"],
    )
    assert several_named(rows, ITEMS) == {"generation, plain": 1, "generation, prefix": 0}


def test_measurement_is_stored_by_model(tiny_folder, tmp_path):
    """Every model answers for itself: a pruned one is never given the dense one's answers."""
    given = {"model": str(tiny_folder), "results": str(tmp_path), "probes": 1, "device": "cpu"}
    parameters = RunParameters(**given, method="drop", dropped=0, calibration_samples=2,
                               calibration_length=16)  # fmt: skip
    dense = probe_items(parameters)
    pruned = probe_items(parameters.model_copy(update={"dropped": 2, "target": "mlp"}))
    assert dense.run != pruned.run
    before, after = dense.table("items"), pruned.table("items")
    assert before["form"].unique().tolist() == list(FORMS)
    assert len(before) == 5 * 12
    facts = pruned.manifest["facts"]
    assert facts["forms"] == list(after["form"].unique())
    asked = before[before["form"].isin(facts["forms"])]
    assert (
        asked[["form", "item"]].to_numpy().tolist() == after[["form", "item"]].to_numpy().tolist()
    )
    written = asked["form"].str.startswith("generation").to_numpy()
    assert (asked["answer"].to_numpy() != after["answer"].to_numpy())[written].mean() > 0.5
    assert pruned.manifest["constants"]["target"] == "mlp"
    assert facts["parameters_left"] < dense.manifest["facts"]["parameters_left"]
    assert facts["model"] == dense.manifest["facts"]["model"]
    assert facts["wording"]["generation, prefix"] == facts["wording"]["choice, prefix"]
    assert probe_items(parameters).run == dense.run
    assert facts["chat_template"]
    # two random models are at chance by letter, and the pruned one is not asked so
    assert "letter" not in facts["forms"]
    scores = score_rows(before, after).set_index("form")
    assert scores.loc["letter", "verdict"] == "at_floor"


def test_a_model_without_a_template_is_asked_in_plain_text(tiny_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    for path in folder.glob("*.jinja"):
        path.unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    given = {"method": "drop", "dropped": 0, "probes": 1, "device": "cpu"}
    results = {"results": str(tmp_path / "results")}
    bare = probe_items(RunParameters(model=str(folder), **given, **results))
    plain = RunParameters(model=str(tiny_folder), chat_template=False, **given, **results)
    assert not bare.manifest["facts"]["chat_template"]
    same = [one.table("items") for one in (bare, probe_items(plain))]
    pd.testing.assert_frame_equal(*same)
