"""Options beside other sets of tokens: measured on a tiny model, and what is made of it."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_model
from transformers import AutoModelForCausalLM

from chapters.multi_scale_effects.measure import multiple_choice_prompts, options
from chapters.subspace import subspace_tables, subspace_words
from chapters.subspace.subspace import Subsets
from chapters.subspace.subspaces import subspaces
from helpers.errors import InputError
from reporting.reach import Estimate
from runs.parameters import validate

SHORT = {"device": "cpu", "calibration_samples": 2, "calibration_length": 64, "probes": 1}


@pytest.fixture(scope="module")
def take(tiny_folder, tmp_path_factory):
    """A function that measures on the tiny model, into a folder of this module."""
    folder = tmp_path_factory.mktemp("results")

    def call(measure, **values):
        asked = SHORT | {"model": str(tiny_folder), "results": str(folder)} | values
        return measure(validate(asked))

    return call


def test_an_exact_copy_keeps_every_choice(take):
    """No sublayer dropped: nothing moves, in any set, and every choice survives."""
    table = take(subspaces, dropped=0, repeats=2).table("subsets")
    for metric, value in (("survived", 1), ("noise", 0), ("gap_change", 0), ("moved", 0)):
        rows = table[(table["metric"] == metric) & ~table["value"].isna()]
        assert len(rows)
        assert (rows["value"] == value).all(), metric
    letters_table = take(options, dropped=0).table("choices")
    sides = letters_table.pivot_table(
        index=["prompt", "template", "prefix", "role", "token"],
        columns="output",
        values="value",
        observed=True,
    )
    assert (sides["dense"] == sides["pruned"]).all()


def test_every_question_is_read_in_both_forms(take):
    run = take(subspaces, dropped=1, repeats=2)
    table = run.table("subsets")
    assert table["family"].nunique() == 12
    assert table.groupby("item", observed=True)["form"].nunique().eq(2).all()
    assert run.manifest["facts"]["left_out"] == {"word": [], "letter": []}
    draws = table[table["metric"] == "gap"].groupby(["form", "item", "set"], observed=True).size()
    assert set(draws.xs("random", level="set")) == {2}
    assert set(draws.xs("matched", level="set")) == {2}
    assert set(draws.xs("options", level="set")) == {1}
    masses = table[(table["set"] == "vocabulary") & (table["metric"] == "mass")]["value"]
    assert np.allclose(masses, 1)
    assert table[table["metric"] == "right"]["value"].isin((0, 1)).all()


def test_changes_of_options_have_no_common_part(take):
    table = take(subspaces, dropped=1, repeats=2).table("subsets")
    rows = table[table["metric"] == "change"]
    sums = rows.groupby(["item", "form"], observed=True)["value"].agg(["sum", "size"])
    assert np.allclose(sums["sum"], 0, atol=1e-9)
    assert (sums["size"] == 4).all()
    noise = table[(table["metric"] == "noise") & (table["set"] == "options")]
    squares = rows.assign(value=rows["value"] ** 2).groupby(["item", "form"], observed=True)[
        "value"
    ]
    both = noise.set_index(["item", "form"])["value"] ** 2
    assert np.allclose(both, squares.sum().reindex(both.index) / 3)


def test_same_measurement_same_table(take, tmp_path):
    first = take(subspaces, dropped=1, repeats=2).table("subsets")
    again = take(subspaces, dropped=1, repeats=2, results=str(tmp_path)).table("subsets")
    pd.testing.assert_frame_equal(first, again)
    other = take(subspaces, dropped=1, repeats=2, seed=1, results=str(tmp_path)).table("subsets")
    kept = ["options", "top", "vocabulary", "matched"]
    for name in kept:
        one, two = (frame[frame["set"] == name]["value"] for frame in (first, other))
        assert np.array_equal(one, two)
    drawn = [frame[frame["set"] == "random"]["value"] for frame in (first, other)]
    assert not np.array_equal(*drawn)


def test_log_likelihoods_are_hugging_faces(take, tiny_folder, tiny_tokenizer):
    """Letters after a plain prompt with an answer prefix, from the model's own forward pass."""
    table = take(options, dropped=1).table("choices")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    prompt = multiple_choice_prompts()[1]
    ids = tiny_tokenizer(f"{prompt.text} The correct answer is ", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        log_p = model(ids).logits[0, -1].double().log_softmax(-1)
    rows = table[
        (table["prompt"] == prompt.id)
        & ~table["template"]
        & table["prefix"]
        & (table["output"] == "dense")
    ]
    options_of = rows[rows["role"] == "option"]
    assert options_of["text"].tolist() == ["A", "B", "C", "D"]
    for token, text, value in options_of[["token", "text", "value"]].itertuples(index=False):
        assert tiny_tokenizer.decode([token]) == text
        assert value == pytest.approx(float(log_p[token]), abs=1e-5)
    best = rows[rows["role"] == "top"].nlargest(6, "value")["token"].tolist()
    assert best == log_p.topk(6).indices.tolist()


@pytest.mark.parametrize("measure", [options, subspaces])
def test_a_model_that_reads_too_little_is_one_line(measure, take, tiny_tokenizer, tmp_path):
    tiny_model("llama", max_position_embeddings=64).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=r"the longest prompt makes \d+ tokens, the model reads 64"
    ):
        take(measure, dropped=1, model=str(tmp_path), calibration_length=32)


def test_a_tokenizer_without_template_is_asked_in_plain_text(take, tiny_tokenizer, tmp_path):
    bare = copy.deepcopy(tiny_tokenizer)
    bare.chat_template = None
    tiny_model("llama", max_position_embeddings=512).save_pretrained(tmp_path)
    bare.save_pretrained(tmp_path)
    table = take(options, dropped=1, model=str(tmp_path)).table("choices")
    assert not table["template"].any()
    with pytest.raises(InputError, match="no chat template"):
        take(subspaces, dropped=1, model=str(tmp_path))
    assert len(
        take(subspaces, dropped=1, model=str(tmp_path), chat_template=False).table("subsets")
    )


def synthetic(survived, gap=2.0, noise=1.0, families=6, items=4):
    """A `subsets` table in which each set's choices survive as told: by set, one value or a
    function of family and item."""
    rows = []
    generator = np.random.default_rng(0)
    for family in range(families):
        for item in range(items):
            labels = {"family": f"f{family}", "item": f"f{family}-{item}", "form": "word"}
            for name, kept in survived.items():
                value = kept(family, item) if callable(kept) else kept
                numbers = {"gap": gap + 0.01 * item, "gap_change": 0.0, "noise": noise}
                numbers |= {"survived": value, "mass": 0.5, "mass_pruned": 0.4, "rank": 3.0}
                numbers |= {"moved": 0.1}
                if name == "options":
                    numbers |= {"right": 1.0, "right_pruned": 0.0}
                    drift = np.array([1.5, -0.5, -0.5, -0.5])
                    for place, change in enumerate(drift + 0.0 * generator.normal(size=4)):
                        rows.append(
                            labels
                            | {"set": name, "band": "", "draw": place, "size": 4}
                            | {"metric": "change", "value": change}
                        )
                rows += [
                    labels
                    | {"set": name, "band": "", "draw": 0, "size": 4}
                    | {"metric": metric, "value": number}
                    for metric, number in numbers.items()
                ]
            for band, scale in (("1–9", 1.0), ("10–99", 0.5)):
                rows += [
                    labels
                    | {"set": "band", "band": band, "draw": 0, "size": 9}
                    | {"metric": metric, "value": scale * value}
                    for metric, value in (("noise", 2.0), ("moved", 0.1), ("mass", 0.3))
                ]
    return pd.DataFrame(rows)


SURVIVED = {
    "options": lambda family, item: float(item < 3),
    "same_gaps": lambda family, item: float(item < 1),
    "matched": 1.0,
    "random": 0.0,
    "vocabulary": lambda family, item: float(family < 3),
}


def test_summary_of_known_numbers():
    one = Subsets.of(synthetic(SURVIVED), "word", seed=0)
    assert (one.items, len(one.families)) == (24, 6)
    assert one.mean("survived").value == pytest.approx(0.75)
    assert one.mean("survived", "vocabulary").value == pytest.approx(0.5)
    assert one.mean("survived", "vocabulary").low < 0.5 < one.mean("survived", "vocabulary").high
    assert one.difference("survived", "same_gaps") == Estimate(0.5, 0.5, 0.5)
    assert one.noise("matched").value == pytest.approx(1.0)
    assert one.noise_ratio("random").value == pytest.approx(1.0)
    assert one.band_ratio("noise", "10–99").value == pytest.approx(0.5)
    assert one.band_ratio("moved", "10–99").value == pytest.approx(0.5)
    # item 3, with one of the wider gaps, is the one that is lost
    assert one.wide_and_narrow().value == pytest.approx(-0.5)
    # by the normal law, Φ((2 + 0.01 i) / √2)
    assert one.predicted() == pytest.approx(
        np.mean([0.5 * (1 + math.erf((2 + 0.01 * item) / 2)) for item in range(4)])
    )


def test_all_of_a_constant_change_is_common():
    one = Subsets.of(synthetic(SURVIVED), "word", seed=0)
    assert one.common().value == pytest.approx(1.0)


def test_noise_that_differs_between_questions_is_not_common():
    table = synthetic(SURVIVED, families=12, items=40)
    places = table["metric"] == "change"
    drawn = np.random.default_rng(1).normal(size=(places.sum() // 4, 4))
    drawn -= drawn.mean(axis=1, keepdims=True)
    table.loc[places, "value"] = drawn.ravel()
    assert Subsets.of(table, "word", seed=0).common().value < 0.01


def test_curve_counts_every_set_once():
    curve = Subsets.of(synthetic(SURVIVED), "word", seed=0).curve()
    assert curve.groupby("series")["n"].sum().eq(24).all()
    options = curve[curve["series"] == "options"]
    # equal parts by gap, so one for each item of all families; the last item is the one lost
    assert options["n"].eq(6).all()
    assert options["x"].tolist() == pytest.approx([2.0, 2.01, 2.02, 2.03])
    assert options["mean"].tolist() == [1, 1, 1, 0]
    assert options[["low", "high"]].notna().all().all()
    few = Subsets.of(synthetic(SURVIVED, families=3), "word", seed=0).curve()
    assert few[["low", "high"]].isna().all().all()


def test_verdicts_need_all_pruned_models():
    found = {"one": Subsets.of(synthetic(SURVIVED), "word", 0)}
    table = subspace_tables.verdicts(found).set_index("claim")["verdict"]
    assert table["The option subspace is special (ours)"] == "held"
    assert (
        table["Options lie in the tail even with an answer prefix (ours: the paper has none)"]
        == "not"
    )
    assert table["… and so do log-likelihoods (ours)"] == "held"
    turned = SURVIVED | {"same_gaps": 1.0}
    found["two"] = Subsets.of(synthetic(turned), "word", 0)
    both = subspace_tables.verdicts(found).set_index("claim")
    assert both.loc["The option subspace is special (ours)", "verdict"] == "partly"
    assert both.loc["The option subspace is special (ours)", "met in"] == "1 of 2"


def test_words_of_known_numbers():
    one = Subsets.of(synthetic(SURVIVED), "word", 0)
    two = Subsets.of(synthetic(SURVIVED | {"same_gaps": 1.0}), "word", 0)
    assert subspace_words.answer({"one": one}).startswith("Yes.")
    assert subspace_words.answer({"two": two}).startswith("No sign of it.")
    assert subspace_words.answer({"one": one, "two": two}).startswith("In part.")
    assert subspace_words.title("Drop-2A", one) == (
        "Drop-2A, asked by word: options survive in 0.75, tokens with the same gaps in 0.25"
    )
    assert "not above chance" not in subspace_words.letters({"one": one})  # right: all of them
    families = subspace_tables.family_table({"one": one})
    assert families["right, dense"].eq("4 of 4").all()
    assert families["one"].eq("3").all()


def test_numbers_in_words():
    answers = [Estimate(0.5), Estimate(4.5e-7), Estimate(-0.001)]
    assert subspace_tables.span(answers[:1]) == "0.50"
    assert subspace_tables.span(answers) == "0.00 to 0.50"
    assert subspace_tables.factors(answers[:2]) == "2 to 2,200,000"
    assert subspace_tables.span([]) == subspace_tables.factors([]) == "–"


def test_few_families_give_no_verdict():
    found = {"one": Subsets.of(synthetic(SURVIVED, families=3), "word", 0)}
    assert set(subspace_tables.verdicts(found)["verdict"]) == {subspace_tables.FEW}
    assert subspace_words.signs([found["one"].mean("survived")]) == subspace_tables.FEW
    text = subspace_words.answer(found) + subspace_words.leads(found)
    assert "nan" not in text


def test_missing_sets_are_left_out_of_tables():
    """No draw had room for the same gaps: the tables say nothing of them."""
    kept = {name: value for name, value in SURVIVED.items() if name != "same_gaps"}
    one = Subsets.of(synthetic(kept), "word", 0)
    assert "elsewhere, same gaps" not in subspace_tables.survival_table({"one": one})
    assert len(subspace_tables.cause_table({"one": one})) == 3
