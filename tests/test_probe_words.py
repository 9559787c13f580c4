"""What the paired probes say in words, from effects made by hand."""

import pandas as pd
import pytest

from chapters.probes import probe_words
from reporting import score_frames
from reporting.score_claims import claim_table
from runs import parameters, settings

RUN = parameters.validate({})
MODELS = settings.named(RUN, "Drop-8A,Drop-2M,Wanda 50%")


def items(choice, generation):
    """Sixty questions of two families: all right when dense, so many right when pruned."""
    tables = []
    for name, kept_choice, kept_text in zip(MODELS, choice, generation, strict=True):
        for form, kept in (("choice", kept_choice), ("generation", kept_text)):
            for asked in ("prefix", "plain"):
                tables.append(
                    pd.DataFrame(
                        {
                            "setting": name,
                            "task": "probes",
                            "kind": "probe",
                            "form": f"{form}, {asked}",
                            "metric": "accuracy",
                            "item": [f"q{place}" for place in range(60)],
                            "family": ["past_tense", "plurals"] * 30,
                            "chance": 0.25 if form == "choice" else 0.0,
                            "dense": 1.0,
                            "pruned": [float(place < kept) for place in range(60)],
                            "verdict": "ok",
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def effects():
    """Nothing lost, writing lost, and everything lost a little."""
    found = items((60, 60, 48), (60, 12, 40))
    return {way: score_frames.form_effects(found, way) for way in probe_words.ASKED}


def test_answer_names_every_model_under_its_verdict(effects):
    text = probe_words.answer(effects["prefix"])
    assert "generation loses more under Drop-2M" in text
    assert "no effect of form under Drop-8A" in text
    assert "At the most, under Drop-2M, generation loses 0.80" in text
    assert probe_words.title(effects["prefix"]) == (
        "Same questions: writing loses more than choosing in 1 of 3 pruned models, and as much in 1"
    )
    assert probe_words.counted(effects["prefix"]) == "2 families count: past tense and plurals."


def test_claims_go_by_what_was_pruned(effects):
    table = claim_table(probe_words.claims(effects, MODELS)).set_index("claim")
    assert len(table) == 6
    verdicts = table["verdict"]
    assert verdicts["The form decides: MLPs dropped, nothing given"] == "held"
    assert (
        verdicts["The form decides: attention sublayers dropped, the answer's beginning given"]
        != "held"
    )


def test_families_have_tables_behind_the_whole_effect(effects):
    tables = probe_words.family_tables(items((60, 60, 48), (60, 12, 40)))
    line = next(each for each in tables if each.startswith("Drop-2M"))
    assert line.endswith("generation loses more")
    assert tables[line]["family"].tolist() == ["past tense", "plurals", "all that count"]


def test_no_family_that_counts_is_said():
    nothing = {"Drop-8A": score_frames.form_effects(items((60, 60, 60), (60, 60, 60)))["Drop-8A"]}
    assert probe_words.answer({}).startswith("No family of questions")
    assert probe_words.counted({}) == "No family counts here."
    assert probe_words.claims({"prefix": {}}, MODELS) == []
    assert "no effect" in probe_words.answer(nothing).casefold()


def test_letters_are_told_beside_guessing():
    scores = pd.DataFrame(
        {"form": ["letter"], "dense_value": [0.3], "dense_n": [20], "chance": [0.25]}
    )
    text = probe_words.letters(scores)
    assert "30% of 20 questions, where guessing gives 25%" in text
    assert probe_words.letters(scores.head(0)) == "No question was asked by letter."
