"""Section 8: the same questions at four stages, and the spaces of whole pruned models."""

import numpy as np
import pandas as pd
import pytest

from chapters.effective_pruning import story
from reporting.reported.claims import paper_claims

ITEMS = [f"i{number}" for number in range(12)]


def ladder(few, kind, whole):
    rows = [
        {
            "form": story.PREFIX,
            "candidates": name,
            "size": size,
            "family": "f",
            "item": item,
            "value": value,
        }
        for name, size, values in (
            ("random", story.FEW, few),
            ("random", 64, few),
            ("kind", 2, few),
            ("kind", 12, kind),
            ("vocabulary", 900, whole),
        )
        for item, value in zip(ITEMS, values, strict=True)
    ]
    return pd.DataFrame(rows)


def written(values):
    return pd.DataFrame({"form": story.PREFIX, "family": "f", "item": ITEMS, "value": values})


@pytest.fixture
def found():
    right = [1.0] * 12
    half = [1.0] * 6 + [0.0] * 6
    third = [1.0] * 4 + [0.0] * 8
    ladders = {"Dense": ladder(right, right, right), "Drop-1M": ladder(right, right, half)}
    probes = {"Dense": written(right), "Drop-1M": written(third)}
    return story.stages(ladders, probes, "Dense", seed=0)


def test_what_is_left_at_each_stage_is_the_share_above_chance(found):
    shares = {stage: kept.share.value for stage, kept in found["Drop-1M"].items()}
    expected = [1, 1, (6 / 12 - 1 / 900) / (1 - 1 / 900), 4 / 12]
    assert [shares[stage] for stage in story.STAGES] == pytest.approx(expected)
    curve = story.kept_curve(found)
    assert curve["point"].tolist() == list(story.STAGES)
    assert curve["x"].tolist() == [0, 1, 2, 3]


def test_claims_say_which_stage_costs(found):
    few, _, whole, answer = story.STAGES
    assert story.ahead(found, few, whole)["Drop-1M"].above(0)
    assert story.ahead(found, whole, answer)["Drop-1M"].value == pytest.approx(0.1661, abs=1e-3)


def deviations(embedding, logit, probability):
    rows = [
        {
            "prompt": f"p{prompt}",
            "metric": "angular",
            "quantity": "measured",
            "space": space,
            "decoding": decoding,
            "centred": False,
            "step": step,
            "value": value * (1 + prompt) * (10 if decoding == "free" else 1),
        }
        for prompt in range(6)
        for step in range(3)
        for decoding in ("free", "forced")
        for space, value in zip(story.SPACES, (embedding, logit, probability), strict=True)
    ]
    return pd.DataFrame(rows)


def test_spaces_are_compared_on_the_same_text(found):
    tables = {"Drop-8A": deviations(0.1, 0.05, 0.4)}
    assert story.against_embedding(tables, "probability", 0)["Drop-8A"].value == pytest.approx(4)
    claims = story.claims(tables, found, seed=0)
    assert {one.tests for one in claims} <= set(paper_claims())
    by_key = {one.tests: one.verdict for one in claims}
    assert by_key["1-robust-as-a-whole"] == by_key["5-logit-more-similar"] == "supported"
    turned = story.claims({"Drop-8A": deviations(0.4, 0.5, 0.1)}, found, seed=0)
    assert [one.verdict for one in turned[:2]] == ["contradicted"] * 2


def test_courses_are_means_over_prompts_at_each_step():
    drawn = story.courses({"Drop-8A": deviations(0.1, 0.05, 0.4)})
    assert drawn["panel"].nunique() == 2
    first = drawn.query("space == 'embedding' and x == 0").set_index("panel")["mean"]
    assert sorted(first) == pytest.approx([0.1 * np.mean(range(1, 7)), np.mean(range(1, 7))])
