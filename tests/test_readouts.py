"""Chapter 3: the readouts of the three spaces, against naive arithmetic and the model itself."""

import math

import pandas as pd
import pytest
import torch
from conftest import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.background import story
from chapters.background.measure import (
    DOCUMENTS,
    DROPS,
    FORMS,
    SENTENCE,
    cosine,
    entropy,
    first_token,
    layer_states,
    mass,
    pooled,
    readouts,
)
from chapters.background.pipeline import Pipeline, pipeline
from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import load
from helpers.pruning.drop import dropped
from reporting import words
from runs.parameters import validate

vectors = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=2, max_size=12)


@given(z=vectors)
@settings(max_examples=60, deadline=None)
def test_entropy_is_the_naive_sum_within_its_bounds(z):
    log_p = torch.tensor(z, dtype=torch.float64).log_softmax(-1)
    p = [math.exp(value) for value in log_p.tolist()]
    assert float(entropy(log_p)) == pytest.approx(-sum(x * math.log(x) for x in p), abs=1e-12)
    assert -1e-12 <= float(entropy(log_p)) <= math.log(len(z)) + 1e-12


def test_entropy_of_a_certain_token_is_zero():
    """Its other log-probabilities are minus infinity, where p log p alone would be NaN."""
    assert float(entropy(torch.tensor([0.0, -math.inf, -math.inf]))) == 0


def test_retrieval_reads_angles_only():
    generator = torch.Generator().manual_seed(0)
    query, documents = torch.randn(8, generator=generator), torch.randn(5, 8, generator=generator)
    found = cosine(query, documents)
    naive = [
        sum(a * b for a, b in zip(query.tolist(), one, strict=True))
        / math.hypot(*query.tolist())
        / math.hypot(*one)
        for one in documents.tolist()
    ]
    assert found.tolist() == pytest.approx(naive, abs=1e-12)
    longer = documents * torch.tensor([1.0, 2, 3, 4, 5])[:, None]
    assert cosine(3 * query, longer).tolist() == pytest.approx(found.tolist(), abs=1e-6)


def test_pooling():
    states = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert pooled(states, "mean").tolist() == [2, 4]
    assert pooled(states, "last").tolist() == [3, 6]


def test_first_token_is_the_one_after_the_prompt():
    assert first_token([1, 2], [1, 2, 7, 8]) == 7
    for whole in ([1, 2], [1, 9, 7]):
        with pytest.raises(InputError, match="joins an answer"):
            first_token([1, 2], whole)


def test_mass_counts_a_token_once():
    log_p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    assert mass(log_p, [0, 2]) == pytest.approx(0.7)
    assert mass(log_p, [0, 0]) == pytest.approx(0.5)


def test_layer_states_are_the_models_own(architecture):
    """hidden_states of transformers hold the same states, but the last one after the norm; the
    head on the normed last state gives the model's logits."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids = torch.randint(3, 300, (1, 7), generator=torch.Generator().manual_seed(0))
    states = layer_states(decoder, ids)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in decoder.layers)
    with torch.inference_mode():
        output = model(ids, output_hidden_states=True)
        logits = decoder.head.logits(decoder.final_norm(states[-1]))
    assert len(states) == len(decoder.layers) + 1
    for ours, theirs in zip(states[:-1], output.hidden_states[:-1], strict=True):
        assert torch.equal(ours, theirs[0])
    assert torch.allclose(logits, output.logits[0], rtol=1e-5, atol=1e-4)


@pytest.fixture(scope="module")
def asked(tiny_folder, tmp_path_factory):
    values = {"model": str(tiny_folder), "device": "cpu", "max_new_tokens": 3}
    values |= {"calibration_samples": 2, "calibration_length": 32}
    return values | {"results": str(tmp_path_factory.mktemp("results"))}


@pytest.fixture(scope="module")
def measured(asked):
    return readouts(validate(asked))


@pytest.fixture(scope="module")
def frame(measured):
    return measured.table("readouts")


def test_dense_numbers_are_the_stock_models(frame, asked):
    loaded = load(asked["model"], device="cpu")
    check_tasks(story.by_model(frame)["dense"], loaded)


@pytest.mark.parametrize("target", DROPS)
def test_pruned_numbers_are_the_pruned_models(frame, measured, asked, target):
    loaded = load(asked["model"], device="cpu")
    places = [(layer, target) for layer in measured.manifest["facts"]["dropped"][target]]
    assert len(places) == DROPS[target]
    with dropped(loaded.decoder, places):
        check_tasks(frame[frame["target"] == target], loaded)


def check_tasks(part, loaded):
    """Every readout again from the model's own output, one naive step after the other."""
    model, tokenizer = loaded.model, loaded.tokenizer

    def logits(text):
        return model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].double()

    def final(text):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        return model.base_model(input_ids=ids).last_hidden_state[0].double()

    best = logits(SENTENCE).softmax(-1).topk(5)
    found = story.likeliest(part)
    assert found["probability"].tolist() == pytest.approx(best.values.tolist(), rel=1e-4)
    texts = [words.shown(tokenizer.decode([token])) for token in best.indices.tolist()]
    assert found["token"].tolist() == texts
    for pooling, pool in (("last", lambda h: h[-1]), ("mean", lambda h: h.mean(0))):
        cosines = story.retrieval(part, pooling)
        assert cosines.is_monotonic_decreasing
        for text in DOCUMENTS:
            wanted = torch.cosine_similarity(pool(final(SENTENCE)), pool(final(text)), dim=0)
            assert cosines[text] == pytest.approx(float(wanted), abs=1e-6)
    for form, (text, options) in FORMS.items():
        p = logits(text).softmax(-1)
        tokens = [
            tokenizer(f"{text} {option}")["input_ids"][len(tokenizer(text)["input_ids"])]
            for option in options
        ]
        wanted = [float(p[token]) for token in tokens]
        assert story.options(part, form).tolist() == pytest.approx(wanted, rel=1e-4)
        assert story.mass(part, form) == pytest.approx(float(p[sorted(set(tokens))].sum()))
    ids = tokenizer(SENTENCE)["input_ids"]
    for _ in range(3):
        ids = [*ids, int(model(torch.tensor([ids])).logits[0, -1].argmax())]
    written = part[(part["stage"] == "generation") & (part["metric"] == "id")]
    assert written.sort_values("position")["value"].astype(int).tolist() == ids[-3:]


def test_last_layer_through_the_norm_is_the_output(frame):
    read = story.lenses(story.by_model(frame)["dense"])
    last = read[read["layer"] == read["layer"].max()].set_index("lens")
    best = story.likeliest(story.by_model(frame)["dense"]).iloc[0]
    assert last.loc["normed", "top"] == best["token"]
    assert last.loc["normed", "probability"] == pytest.approx(best["probability"], rel=1e-12)
    assert story.first_time(read, "normed", best["token"]) <= read["layer"].max()


def test_temperature_moves_probabilities_and_no_choice(frame, asked):
    warm = readouts(validate(asked | {"temperature": 4.0})).table("readouts")
    keys = ["method", "target", "stage", "form", "layer", "position", "item", "metric"]
    both = frame.merge(warm, on=keys, suffixes=("", "_warm"))
    same = both["value"].eq(both["value_warm"])
    assert same[both["stage"].isin(("token", "state", "retrieval", "generation"))].all()
    assert not same[both["metric"].eq("entropy")].any()
    for ours, theirs in zip(
        story.by_model(frame).values(), story.by_model(warm).values(), strict=True
    ):
        for form in FORMS:
            assert story.choice(ours, form) == story.choice(theirs, form)


def test_options_that_begin_alike_cannot_be_told_apart(frame):
    """The tiny tokenizer reads letter by letter: every option begins with a space."""
    assert story.choice(story.by_model(frame)["dense"], "words") == "no choice: a tie"


def test_changes_by_hand(frame):
    """A model that is the dense one under another name keeps everything."""
    start = story.by_model(frame)["dense"]
    copy = start.assign(method="drop", target="mlp", amount=1.0)
    spaces = frame[frame["stage"].eq("comparison") & frame["target"].eq("mlp")]
    spaces = spaces.assign(amount=1.0, value=[0.9, 0.8, 0.7])
    table = story.changes(pd.concat([start, copy, spaces])).set_index("readout")
    assert table.index.name == "readout"
    moved = table.index.str.startswith("cosine")
    assert table["1 MLP dropped"][moved].tolist() == ["0.900", "0.800", "0.700"]
    assert table["1 MLP dropped"][~moved].equals(table["dense"][~moved])
    assert table.loc["retrieval: documents in their place", "dense"] == "5 of 5"
    assert table.loc["multiple choice: as the dense model", "dense"] == "3 of 3"
    assert table.loc["generation: tokens until it differs", "dense"] == "3 of 3"
    assert story.same_start(pd.Series([1, 2, 3]), pd.Series([1, 2])) == 2
    assert story.same_start(pd.Series([5, 6, 7]), pd.Series([5, 1, 7, 9])) == 1


@pytest.mark.parametrize("tokens", [("a",), tuple("abcdefghij" * 6), ("<b>", "␣&")])
def test_drawing_escapes_and_fits(tokens):
    """Every word and box lies within the picture, also with many tokens."""
    import re
    from xml.etree import ElementTree

    shown = pipeline(Pipeline(tokens, "<s>", 30, 576, 49152), name="f", title="<t>", caption="c")
    assert "<s>" not in shown.html
    assert "<b>" not in shown.html
    pictures = re.findall(r"<svg.*?</svg>", shown.html, flags=re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        width, height = map(float, root.get("viewBox").split()[2:])
        for node in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y, wide, high = (float(node.get(name)) for name in ("x", "y", "width", "height"))
            assert x >= 0
            assert y >= 0
            assert x + wide <= width
            assert y + high <= height
    assert 'role="img"' in shown.html
    assert 'aria-label="Diagram.' in shown.html


@given(text=st.text(max_size=12))
@settings(max_examples=60, deadline=None)
def test_tokens_are_shown_printable_and_code_is_code(text):
    from markdown_it import MarkdownIt

    assert words.shown(text).isprintable()
    assert " " not in words.shown(text)
    inline = MarkdownIt().parseInline(words.code(words.shown(text)))[0].children
    assert [child.type for child in inline] == ["code_inline"]
    assert inline[0].content.strip() == (words.shown(text).strip() or "�")
