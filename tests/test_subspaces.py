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
from chapters.subspace import story
from chapters.subspace.measure import subspaces
from chapters.subspace.story import Subsets
from helpers.errors import InputError
from reporting import figures
from reporting.statistics import Estimate
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
    assert one.difference("survived", "same_gaps") == Estimate(0.5, 0.5, 0.5, 6)
    assert one.noise("matched").value == pytest.approx(1.0)
    assert one.noise_ratio("random").value == pytest.approx(1.0)
    assert one.tail_noise.value == pytest.approx(0.5)
    assert one.top_moved.value == pytest.approx(2)
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
    curve = story.gap_frame({"word": Subsets.of(synthetic(SURVIVED), "word", seed=0)})
    assert curve.groupby("series")["n"].sum().eq(24).all()
    options = curve[curve["series"] == "options"]
    # equal parts by gap, so one for each item of all families; the last item is the one lost
    assert options["n"].eq(6).all()
    assert options["x"].tolist() == pytest.approx([2.0, 2.01, 2.02, 2.03])
    assert options["mean"].tolist() == [1, 1, 1, 0]
    assert options[["low", "high"]].notna().all().all()
    few = story.gap_frame({"word": Subsets.of(synthetic(SURVIVED, families=3), "word", seed=0)})
    assert few[["low", "high"]].isna().all().all()


def test_curve_of_two_tokens_is_the_normal_law():
    assert (story.LAW.x[0], story.LAW.y[0]) == (0.0, 0.5)
    assert story.LAW.y[20] == pytest.approx(0.5 * (1 + math.erf(1.0)))  # x = 2, Φ(√2)


def test_only_options_show_their_interval():
    frame = story.gap_frame({"word": Subsets.of(synthetic(SURVIVED), "word", seed=0)})
    words = {"name": "f", "title": "T", "caption": "C", "provenance": {}}
    (panel,) = figures.lines(frame, **words, x_label="x", y_label="y").figure.panels
    assert [line.label for line in panel.lines if line.banded] == ["options"]
    assert len({(line.look.dash, line.look.marker) for line in panel.lines}) == 4


def test_bands_have_a_panel_for_logits_and_one_for_probabilities():
    one = Subsets.of(synthetic(SURVIVED), "word", seed=0)
    frame = story.band_frame({"one": one, "two": one})
    assert frame.groupby(["panel", "space"]).ngroups == 2
    assert frame["x"].unique().tolist() == pytest.approx([3.0, math.sqrt(990)])
    assert frame["mean"].tolist() == [1, 0.5] * 4


def test_verdicts_need_all_pruned_models():
    found = {"one": Subsets.of(synthetic(SURVIVED), "word", 0)}
    verdicts = {key: claim.verdict for key, claim in story.claims(found).items()}
    assert verdicts["special"] == verdicts["noise"] == verdicts["moved"] == "supported"
    assert verdicts["tail"] == verdicts["lead"] == "contradicted"
    found["two"] = Subsets.of(synthetic(SURVIVED | {"same_gaps": 1.0}), "word", 0)
    assert story.claims(found)["special"].verdict == "in some (1 of 2)"
    assert {claim.verdict for claim in story.claims(found, weak=True).values()} == {
        "model too weak"
    }


def test_questions_of_each_family_are_counted():
    one = Subsets.of(synthetic(SURVIVED), "word", 0)
    assert one.above_chance  # right: all of them
    families = story.family_table({"one": one})
    assert families["right, dense"].eq("4 of 4").all()
    assert families["one"].eq("3").all()


def test_few_families_give_no_verdict():
    found = {"one": Subsets.of(synthetic(SURVIVED, families=3), "word", 0)}
    assert {claim.verdict for claim in story.claims(found).values()} == {"too few data"}


def test_missing_sets_have_dashes():
    """No draw had room for the same gaps."""
    kept = {name: value for name, value in SURVIVED.items() if name != "same_gaps"}
    found = {"one": Subsets.of(synthetic(kept), "word", 0)}
    assert story.survival_table(found)["elsewhere, same gaps"].tolist() == ["–"]
    assert story.same_gap_table({"by word": found})["minus same gaps"].tolist() == ["–"]
    assert len(story.cause_table(found)) == 3
    assert story.claims(found)["special"].measured == "–"
