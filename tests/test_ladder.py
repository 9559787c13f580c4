"""The ladder measured on a tiny model, against full forward passes, and what is made of it."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_model
from transformers import AutoModelForCausalLM

from chapters.ladder import figure_ladder, ladder_tables, ladder_words
from chapters.ladder.candidates import Candidates, rungs
from chapters.ladder.figure_ladder import setting_styles
from chapters.ladder.ladder import FORMS, ladder
from chapters.ladder.ladder_summary import PLAIN, PREFIX, Ladders
from helpers.errors import InputError
from helpers.texts.probes import probes
from measurements import asked_dense
from reporting import figures
from runs.parameters import validate

SHORT = {"device": "cpu", "calibration_samples": 2, "calibration_length": 64, "probes": 2}


@pytest.fixture(scope="module")
def take(tiny_folder, tmp_path_factory):
    """A function that measures on the tiny model, into a folder of this module."""
    folder = tmp_path_factory.mktemp("results")

    def call(**values):
        asked = SHORT | {"model": str(tiny_folder), "results": str(folder)} | values
        return ladder(validate(asked))

    return call


def first_bytes(words):
    """The tiny tokenizer's token for the first byte of each word."""
    return {word.encode()[0] for word in words}


def naive(model, tokenizer, probe, form, generator):
    """Everything the ladder says of one question, from a full pass over its text and, for shares
    of draws, from many draws; None if the answer is not told apart."""
    known = [one for one in probes() if one.family == probe.family]
    wrong = {word for one in known for word in one.accepted if not probe.accepts(word)}
    ours, others = first_bytes(probe.accepted), first_bytes(wrong)
    if probe.answer.encode()[0] in others:
        return None
    template = tokenizer.apply_chat_template(
        [{"role": "user", "content": probe.question}], tokenize=False, add_generation_prompt=True
    )
    text = template + (f"{probe.prefix} " if form == "generation, prefix" else "")
    token = {value: tokenizer.encode(chr(value))[-1] for value in ours | others}
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(ids).logits[0, -1].tolist()
    right = {token[value] for value in ours - others}
    unclear = {token[value] for value in ours & others}
    rivals = [place for place in range(len(logits)) if place not in right | unclear]
    best = max(logits[place] for place in right)
    orders = (torch.randperm(len(rivals), generator=generator)[:7] for _ in range(400))
    draws = [all(logits[rivals[at]] < best for at in order) for order in orders]
    family = [token[value] for value in others - ours]
    return {
        "rank": 1 + sum(logits[place] >= best for place in rivals),
        "vocabulary": float(all(logits[place] < best for place in rivals)),
        "kind": float(all(logits[place] < best for place in family)),
        "family": len(family) + 1,
        "random": float(np.mean(draws)),
    }


def test_a_question_says_what_a_full_pass_says(take, tiny_folder, tiny_tokenizer):
    """Nothing shared, nothing padded, and no formula: only passes and draws."""
    run = take(dropped=0)
    table = run.table("ladder")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    left_out = run.manifest["facts"]["left_out"]
    seen = 0
    for probe in probes("all", 2):
        for form in FORMS:
            rows = table[(table["item"] == probe.id) & (table["form"] == form)]
            found = naive(model, tiny_tokenizer, probe, form, generator)
            if found is None:
                assert probe.id in left_out[form]
                assert rows.empty
                continue
            seen += 1
            assert set(rows["rank"]) == {found["rank"]}
            whole = rows[rows["candidates"] == "vocabulary"]
            assert whole["value"].tolist() == [found["vocabulary"]]
            assert whole["size"].tolist() == [300]
            kind = rows[rows["candidates"] == "kind"]
            assert kind["size"].max() == found["family"]
            assert kind.loc[kind["size"].idxmax(), "value"] == found["kind"]
            eight = rows[(rows["candidates"] == "random") & (rows["size"] == 8)]["value"].item()
            assert eight == pytest.approx(found["random"], abs=0.11)
    assert seen > 5
    assert sum(run.manifest["facts"]["counts"].values()) == seen


def test_the_dense_model_among_its_neighbours_is_right_where_it_is_over_all(take):
    table = take(dropped=0).table("ladder")
    wide = table.pivot_table(
        index=["item", "form"], columns=["candidates", "size"], values="value", observed=True
    )
    whole = wide["vocabulary"].iloc[:, 0]
    assert wide["matched"].eq(whole, axis=0).all(axis=None)


def test_pruned_models_are_read_on_the_same_questions(take):
    dense, pruned = take(dropped=0), take(dropped=2, target="mlp")
    keys = ["item", "form", "candidates", "size"]
    one, two = (run.table("ladder")[keys].astype(str) for run in (dense, pruned))
    pd.testing.assert_frame_equal(one, two)
    assert pruned.manifest["facts"]["pruned"].startswith("dropped mlp of layers")
    assert dense.manifest["facts"]["pruned"] == "nothing removed"
    values = [run.table("ladder")["value"] for run in (dense, pruned)]
    assert not np.array_equal(*values)


def test_same_measurement_same_table(take, tmp_path):
    first = take(dropped=1).table("ladder")
    asked_dense._asked.cache_clear()
    again = take(dropped=1, results=str(tmp_path)).table("ladder")
    pd.testing.assert_frame_equal(first, again)


def test_what_comes_first_instead_is_told(take):
    """Whatever is likeliest where the answer is not; among its kind it need not be so."""
    run = take(dropped=0)
    table, facts = run.table("ladder"), run.manifest["facts"]
    for form in FORMS:
        rows = table[table["form"] == form]
        whole = rows[rows["candidates"] == "vocabulary"].set_index("item")["value"]
        found = facts["instead"][form]
        assert found
        assert set(found) <= set(whole.index[whole == 0])
        among = rows[rows["candidates"] == "kind"].groupby("item", observed=True)["value"].last()
        for item, one in found.items():
            assert len(one["token"]) <= 1
            if one["kind"]:
                assert among[item] == 0


def close(found, wanted):
    """Sums in another order, in float32."""
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=2e-4)


def test_a_model_that_reads_too_little_is_one_line(take, tiny_tokenizer, tmp_path):
    tiny_model("llama", max_position_embeddings=64).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"makes \d+ tokens, the model reads 64"):
        take(dropped=0, model=str(tmp_path))


# what is made of it

VOCABULARY = 64
FAMILIES = {"capitals": 20, "colours": 6}


def made(shift, weak=("colours",)):
    """A ladder table by hand: in each family the answer is token 0, with `shift` tokens ahead of
    it that begin no answer; in `weak` families one more, whatever the model."""
    rows = []
    for family, count in FAMILIES.items():
        for number in range(count):
            ahead = shift * (number % 2) + (family in weak)
            logits = torch.zeros(VOCABULARY)
            logits[0] = 1.0
            logits[VOCABULARY - ahead :] = 2.0
            tokens = Candidates((0,), tuple(range(1, 6 + number)), ())
            found, rank = rungs(logits, logits, tokens)
            rows += [
                {
                    "family": family,
                    "item": f"{family}-{number}",
                    "form": PREFIX,
                    "candidates": kind,
                    "size": size,
                    "rank": rank,
                    "value": value,
                }
                for kind, size, value in found
            ]
    return pd.DataFrame(rows)


@pytest.fixture
def both():
    """A dense and a pruned model; in every other question five tokens pass the answer."""
    return Ladders.of({"Dense": made(0), "Drop-2M": made(5), "Drop-4M": made(30)}, seed=0)


def test_families_at_their_floor_are_left_out_by_the_dense_model(both):
    assert both.floored == ["colours"]
    kept = both.above_floor()
    assert kept.families == ["capitals"]
    assert kept.questions == FAMILIES["capitals"]
    assert kept.score("Dense", "vocabulary").value == 1
    nothing = Ladders.of({"Dense": made(0, tuple(FAMILIES))}, seed=0)
    assert nothing.above_floor().questions == sum(FAMILIES.values())


def test_numbers_are_those_of_the_closed_form(both):
    kept = both.above_floor()
    assert kept.vocabulary == VOCABULARY
    assert kept.sizes("random") == [2, 4, 8, 16, 32]
    assert kept.sizes("kind") == [2, 4]
    assert kept.score("Drop-2M", "vocabulary").value == 0.5
    assert kept.score("Drop-2M", "random", 2).value == pytest.approx((1 + 58 / 63) / 2)
    assert kept.score("Drop-4M", "kind").value == 1
    assert kept.change("Drop-2M", "vocabulary").value == -0.5
    assert kept.ranks.median().to_dict() == {"Dense": 1, "Drop-2M": 3.5, "Drop-4M": 16}


def test_the_fewest_candidates_that_cost_a_share(both):
    """Half of the answers have 5 tokens ahead, so 16 of 64 random candidates leave
    (1 + C(58, 15) / C(63, 15)) / 2 = 0.62, and all of them 0.5, which is not less than half."""
    kept = both.above_floor()
    shares = {size: kept.score("Drop-2M", "random", size).value for size in (8, 16, 32)}
    assert shares[16] == pytest.approx(0.62, abs=0.01)
    assert kept.fewest("Drop-2M", 0.9).value == min(
        s for s in kept.sizes("random") if kept.score("Drop-2M", "random", s).value < 0.9
    )
    none = kept.fewest("Drop-2M", 0.5)
    assert none.value == np.inf
    assert none.high == np.inf
    assert ladder_tables.rung_text(none).startswith("none [")
    assert kept.fewest("Dense", 0.9).value == np.inf
    assert ladder_tables.rung_text(kept.fewest("Dense", 0.9)) == "none"


def test_other_questions_are_refused(both):
    with pytest.raises(ValueError, match="same questions"):
        Ladders.of({"Dense": made(0), "Drop-2M": made(5).query("item != 'colours-0'")}, seed=0)


def test_the_figure_ends_at_all_tokens(both):
    frame = both.above_floor().curve()
    made_figure = figure_ladder.candidate_ladder(
        frame, name="ladder", title="t", caption="c", provenance={}
    ).figure
    assert [panel.title for panel in made_figure.panels] == list(figures.ladder.PANELS.values())
    for panel in made_figure.panels:
        assert [line.label for line in panel.lines] == ["Dense", "Drop-2M", "Drop-4M"]
        ends = {line.label: line.end for line in panel.lines}
        assert ends["Drop-2M"] == (VOCABULARY, 0.5)
    kind = made_figure.panels[-1].lines[1]
    assert np.isnan(kind.mean[-2])  # nothing leads from the family to all tokens
    assert frame["mean"].notna().all()
    with pytest.raises(ValueError, match="lacks the columns low"):
        figure_ladder.candidate_ladder(
            frame.drop(columns="low"), name="ladder", title="t", caption="c", provenance={}
        )


def test_settings_look_different_without_colour_and_stand_out_on_both_themes():
    names = ["Dense", "Drop-2M", "Drop-4M", "Drop-8A", "Wanda 25%", "Wanda 50%", "SparseGPT 2:4"]
    looks = setting_styles(names)
    assert len({(look.marker, look.dash) for look in looks.values()}) == len(names)
    for look in looks.values():
        light = brightness(look.colour)
        assert 1.05 / (light + 0.05) >= 3
        assert (light + 0.05) / (brightness("#14181e") + 0.05) >= 3


def brightness(colour):
    """Relative luminance, after WCAG."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_sentences_say_the_numbers(both):
    kept = both.above_floor()
    token = {"token": " the", "kind": False}
    instead = {
        name: {item: token for item in kept.ranks.index.get_level_values("item")[1::2]}
        if name != "Dense"
        else {}
        for name in kept.settings
    }
    assert "among all tokens in 50%; the dense model in 100%, 100% and 100%" in (
        ladder_words.answer(kept)
    )
    assert ladder_words.lost(kept).startswith(
        "Among all tokens, 2 of 2 lose accuracy beyond chance (Drop-2M and Drop-4M)"
    )
    assert ladder_words.title(kept).startswith("Drop-2M finds the answer in 89% among 4 ")
    which = ladder_words.which(kept, instead)
    assert "3.5 to 16 in pruned ones. Of 20 answers" in which
    assert "20 gave way" in which
    table = ladder_tables.ahead(kept, instead)
    assert table["another token first"].tolist() == ["0 of 20", "10 of 20", "10 of 20"]
    assert table["most often"].tolist() == ["–", "␣the (10)", "␣the (10)"]
    facts = {"left_out": {PREFIX: ["x"]}, "instead": {PREFIX: {"colours-1": token}}}
    words = ladder_words.left_out(both, kept, facts, PREFIX)
    assert "1 families (colours)" not in words
    assert "1 family (colours)" in words
    assert "of 1 answer" in words


@pytest.mark.parametrize("questions", [1, 2])
def test_a_tiny_model_says_no_nan(take, questions):
    """At its floor everywhere, with a handful of questions."""
    runs = {
        "Dense": take(dropped=0, probes=questions),
        "Drop-1A": take(dropped=1, probes=questions),
    }
    tables = {name: run.table("ladder") for name, run in runs.items()}
    every = Ladders.of(tables, 0)
    kept, facts = every.above_floor(), runs["Dense"].manifest["facts"]
    instead = {name: run.manifest["facts"]["instead"][PREFIX] for name, run in runs.items()}
    shown = [
        ladder_words.answer(kept),
        ladder_words.title(kept),
        ladder_words.caption(kept, "9k"),
        ladder_words.rivals(kept),
        ladder_words.which(kept, instead),
        ladder_words.left_out(every, kept, facts, PREFIX),
        ladder_words.plain(Ladders.of(tables, 0, PLAIN)),
        ladder_tables.accuracies(kept).to_string(),
        ladder_tables.ahead(kept, instead).to_string(),
        figure_ladder.candidate_ladder(
            kept.curve(), name="ladder", title="t", caption="c", provenance={}
        )._repr_html_(),
    ]
    for text in shown:
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)
