"""The public names, as a stranger uses them, against transformers and plain loops."""

import copy
import subprocess
import sys
import time

import pytest
import torch
from transformers import AutoModelForCausalLM

import helpers
from helpers import InputError

torch.set_num_threads(1)

TEXTS = ["The sky is blue", "One and one is"]


@pytest.fixture
def model(tiny_folder):
    return helpers.load(str(tiny_folder), device="cpu")


def small_text(model):
    return helpers.calibration(model, samples=2, length=32)


def logits(model, ids):
    return model.model(input_ids=ids).logits


def test_import_is_quick_and_loads_nothing_heavy():
    check = "import sys, helpers; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    begin = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert found.stdout.strip() == "[]"
    assert (bare - begin) - (time.perf_counter() - bare) < 0.5


def test_every_public_name_is_there_and_says_what_it_does():
    for name in helpers.__all__:
        assert getattr(helpers, name).__doc__
        assert f"\n    {name} " in helpers.__doc__
    with pytest.raises(ImportError):
        from helpers import nothing_of_that_name  # noqa: F401


def test_hidden_states_are_those_of_transformers(model):
    """Each text alone, without padding; transformers norms its last state."""
    found = helpers.hidden_states(model, TEXTS)
    for place, text in enumerate(TEXTS):
        ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
        output = model.model(input_ids=ids, output_hidden_states=True)
        expected = torch.stack([state[0, -1] for state in output.hidden_states])
        torch.testing.assert_close(found[:-1, place], expected[:-1], rtol=1e-4, atol=1e-5)
        last = model.decoder.final_norm(found[-1, place])
        torch.testing.assert_close(last, expected[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lens", ["normed", "raw"])
def test_compare_equals_the_definitions(model, lens):
    dense = helpers.hidden_states(model, TEXTS)
    with helpers.pruned(model, "magnitude", 0.5):
        changed = helpers.hidden_states(model, TEXTS)
    table = helpers.compare(dense, changed, model, temperature=2.0, lens=lens)
    assert len(table) == dense.shape[0] * dense.shape[1] * 3
    table = table.set_index(["state", "text", "space"]).sort_index()
    head = model.model.get_output_embeddings().weight.double()
    for state in range(len(dense)):
        for text in range(len(TEXTS)):
            h, g = dense[state, text], changed[state, text]
            if lens == "normed":
                h, g = model.decoder.final_norm(h), model.decoder.final_norm(g)
            h, g = h.double(), g.double()
            z, w = head @ h, head @ g
            p, q = (z / 2).softmax(0), (w / 2).softmax(0)
            for space, (x, y) in {
                "embedding": (h, g),
                "logit": (z, w),
                "probability": (p, q),
            }.items():
                cosine = float(torch.cosine_similarity(x, y, dim=0))
                assert table.loc[(state, text, space), "cosine"] == pytest.approx(cosine, abs=1e-5)
            kl = float((p * (p / q).log()).sum())
            found = table.loc[(state, text, "probability"), "kl"]
            assert found == pytest.approx(kl, rel=1e-3, abs=1e-7)
    assert (table.loc[0, "angular"] == 0).all()  # no layer has run


def test_states_of_other_shapes_are_refused(model):
    states = helpers.hidden_states(model, TEXTS)
    with pytest.raises(InputError, match="cannot be compared"):
        helpers.compare(states, states[:, :1], model)
    with pytest.raises(InputError, match="takes a list"):
        helpers.hidden_states(model, TEXTS[0])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 1, 32), {"lens": "Normed"}, "unknown lens 'Normed': known are raw, normed"),
        (
            (2, 1, 32),
            {"temperature": -1},
            "temperature=-1 divides logits: give a finite number above 0",
        ),
        ((2, 1, 32), {"temperature": 0}, "temperature=0 divides"),
        ((2, 1, 32), {"temperature": float("nan")}, "temperature=nan divides"),
        ((2, 1, 32), {"temperature": "1"}, "temperature='1' divides"),
        ((2, 1, 31), {}, "states of width 31 are not of .* or states of width 32"),
        ((0, 1, 32), {}, r"states of \(0, 1, 32\) are none: give at least one state and one text"),
        ((2, 0, 32), {}, r"states of \(2, 0, 32\) are none"),
    ],
)
def test_what_cannot_be_compared_is_refused(model, shape, options, message):
    assert model.decoder.hidden_size == 32
    refused(message, helpers.compare, torch.ones(shape), torch.ones(shape), model, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"temperature": -1.0},
            "temperature=-1.0 cannot be drawn at: give 0, .* or a finite number",
        ),
        ({"temperature": float("nan")}, "temperature=nan cannot"),
        ({"temperature": float("inf")}, "temperature=inf cannot"),
        ({"tokens": -1}, "tokens=-1 is not possible: give a whole number from 1"),
        ({"seed": -1}, "seed=-1 is not possible: give a whole number from 0"),
    ],
)
def test_what_cannot_be_written_is_refused(model, options, message):
    refused(message, helpers.generate, model, TEXTS, chat=False, **options)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("piqa", {"items": -1}, "items=-1 is not possible: give a whole number from 0"),
        ("piqa", {"items": 2.5}, "items=2.5 is not possible"),
        ("piqa", {"shots": -1}, "shots=-1 is not possible: give a whole number from 0"),
        ("piqa", {"batch_size": 0}, "batch_size=0 is not possible: give a whole number from 1"),
        ("humaneval", {}, "humaneval runs programs that the model writes: give run_code=True"),
    ],
)
def test_what_cannot_be_scored_is_refused(model, task, options, message):
    refused(message, helpers.score, model, task, **{"items": 1} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float99"}, "unknown dtype 'float99': known are float32, bfloat16"),
        ({"device": "xpu9"}, "unknown device 'xpu9': known are auto, cpu, cuda, cuda:N, mps"),
        ({"device": "cuda:x"}, "unknown device 'cuda:x'"),
    ],
)
def test_what_cannot_be_loaded_is_refused(tiny_folder, options, message):
    refused(message, helpers.load, str(tiny_folder), **options)


@pytest.mark.parametrize(
    ("sublayers", "message"),
    [
        ([0], r"0 is no sublayer: give a list such as \[\(3, 'mlp'\)\]"),
        ((0, "mlp"), "0 is no sublayer"),
        (0, "0 is no sublayer"),
        ("mlp", "'m' is no sublayer"),
        ([(0.0, "mlp")], r"0.0 is no layer: give its whole number, such as \(3, 'mlp'\)"),
    ],
)
def test_what_cannot_be_dropped_is_refused(model, sublayers, message):
    refused(message, helpers.drop, model, sublayers)


def refused(message, call, *given, **options):
    with pytest.raises(InputError, match=f"^(task )?{message}") as caught:
        call(*given, **options)
    assert "\n" not in str(caught.value)


def test_pruned_and_dropped_restore_the_model(model):
    before = copy.deepcopy(model.model.state_dict())
    ids = torch.tensor([[5, 6, 7]])
    dense = logits(model, ids)
    places = helpers.least_important(model, "mlp", 2, small_text(model))
    assert [kind for _, kind in places] == ["mlp", "mlp"]
    with helpers.pruned(model, "wanda", "2:4", text=small_text(model)) as report:
        assert report.sparsity == 0.5
        assert not torch.equal(logits(model, ids), dense)
    with helpers.dropped(model, places) as rest:
        assert len(helpers.hidden_states(rest, TEXTS)) == len(model.decoder.layers) + 1
        assert not torch.equal(logits(model, ids), dense)
    after = model.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_greedy_text_is_that_of_transformers(model):
    found = helpers.generate(model, TEXTS, tokens=5, chat=False)
    for text, written in zip(TEXTS, found, strict=True):
        given = model.tokenizer(text, return_tensors="pt")
        out = model.model.generate(**given, max_new_tokens=5, do_sample=False)
        new = out[0, given["input_ids"].shape[1] :]
        assert written == model.tokenizer.decode(new, skip_special_tokens=True)


def test_sampled_text_follows_its_seed_and_not_its_neighbours(model):
    draw = {"tokens": 6, "temperature": 1.0, "chat": True}
    both = helpers.generate(model, TEXTS, seed=1, **draw)
    assert both == helpers.generate(model, TEXTS, seed=1, **draw)
    assert both[1:] == helpers.generate(model, TEXTS[1:], seed=1, **draw)
    assert both != helpers.generate(model, TEXTS, seed=2, **draw)


def test_score_is_the_share_that_is_right(model):
    found = helpers.score(model, "piqa", items=4)
    assert (found.n, found.chance, found.metric) == (4, 0.5, "acc_norm")
    assert found.value == found.items["value"].mean()
    with pytest.raises(InputError, match="unknown task 'chess': known are boolq"):
        helpers.score(model, "chess")


def test_what_is_saved_is_what_is_loaded_by_us_and_by_transformers(model, tmp_path):
    ids = torch.tensor([[5, 6, 7, 8]])
    helpers.prune(model, "random", 0.3, seed=4)
    rest = helpers.drop(model, [(1, "mlp"), (2, "attention")])
    expected = logits(rest, ids)
    helpers.save(rest, tmp_path / "ours", method="random", amount=0.3)
    rest.model.save_pretrained(tmp_path / "theirs")
    rest.tokenizer.save_pretrained(tmp_path / "theirs")
    again = helpers.load(str(tmp_path / "ours"), device="cpu")
    assert torch.equal(logits(again, ids), expected)
    assert again.decoder.parameter_count == rest.decoder.parameter_count
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(plain(input_ids=ids).logits, expected)
    filled = helpers.load(str(tmp_path / "theirs"), device="cpu")
    torch.testing.assert_close(logits(filled, ids), expected)
    with pytest.raises(InputError, match="there already"):
        helpers.save(rest, tmp_path / "ours")
