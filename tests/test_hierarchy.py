import numpy as np
import pandas as pd
import pytest

from chapters.propagation import propagation_words
from reporting import hierarchy, reported, summaries


@pytest.fixture
def deviations():
    """Two prompts of unequal length, two layers, values by hand."""
    rows = []
    lengths = {"A": 1, "B": 3}
    values = {
        ("embedding", 0): {"A": [0.9], "B": [0.8, 0.8, 0.8]},
        ("embedding", 1): {"A": [0.7], "B": [0.9, 0.9, 0.9]},
        ("logit", 0): {"A": [1.0], "B": [1.0, 1.0, 1.0]},
        ("logit", 1): {"A": [0.0], "B": [0.0, 0.0, 0.0]},
        ("probability", 0): {"A": [0.2], "B": [0.1, 0.5, 0.6]},
        ("probability", 1): {"A": [0.9], "B": [0.7, 0.8, 0.9]},
    }
    for sublayer in ("attention", "mlp"):
        for (space, layer), by_prompt in values.items():
            for prompt, series in by_prompt.items():
                assert len(series) == lengths[prompt]
                for step, value in enumerate(series):
                    rows.append((sublayer, layer, space, prompt, step, value, f"kind {prompt}"))
    columns = ["sublayer", "layer", "space", "prompt", "step", "value", "category"]
    return pd.DataFrame(rows, columns=columns)


def test_means_within_prompts_first(deviations):
    table = summaries.layer_means(deviations).set_index(["sublayer", "layer", "space"])
    row = table.loc[("mlp", 0, "probability")]
    assert row["mean"] == pytest.approx((0.2 + (0.1 + 0.5 + 0.6) / 3) / 2)
    assert (row["low"], row["high"], row["n"], row["prompts"]) == (0.1, 0.6, 4, 2)
    assert row["layers"] == 2


def test_counts_by_hand(deviations):
    means = summaries.layer_means(deviations)
    assert summaries.layers_below(means).to_dict() == {"attention": 1, "mlp": 1}
    assert summaries.layers_below(means, "low").to_dict() == {"attention": 1, "mlp": 1}
    assert summaries.logits_above(means).to_dict() == {"attention": 1, "mlp": 1}
    gap = (0.85 - 0.3) / 2 + (0.8 - 0.85) / 2
    assert summaries.gaps(means)["mlp"] == pytest.approx(gap)


def test_intervals_cover_every_resample_of_two_prompts(deviations):
    """With two prompts a resample is AA, AB or BB: the counts can be listed."""
    table = summaries.intervals(deviations, seed=0, resamples=500)
    # AA: below in layer 0 only (0.2 < 0.9; 0.9 > 0.7); BB: both (0.4 < 0.8; 0.8 < 0.9)
    assert table.loc["mlp", ["below_low", "below_high"]].tolist() == [1, 2]
    # logit above: layer 0 always, layer 1 never
    assert table.loc["mlp", ["above_low", "above_high"]].tolist() == [1, 1]
    again = summaries.intervals(deviations, seed=0, resamples=500)
    assert again.equals(table)


def test_agreement_is_one_for_equal_rankings(deviations):
    by = summaries.layer_means(deviations, by=("category",))
    assert summaries.agreement(by, "probability") == pytest.approx(1)
    assert np.isnan(summaries.agreement(by[by["category"] == "kind A"], "probability"))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [([True, True], "held"), ([True, False], "partly"), ([False], "not")],
)
def test_verdict(conditions, expected):
    assert hierarchy.verdict(*conditions) == expected


def test_too_few_prompts_are_not_judged(deviations):
    third = deviations[deviations["layer"] == 0].assign(layer=2)
    found = hierarchy.hierarchy(pd.concat([deviations, third]), seed=0)
    assert found.interval is None
    assert set(hierarchy.section_5(found, found)["verdict"]) == {"too few prompts"}


def more_prompts(deviations):
    """The same two prompts three times, so that a bootstrap is allowed."""
    copies = [deviations.assign(prompt=deviations["prompt"] + str(k)) for k in range(3)]
    return pd.concat(copies, ignore_index=True)


def test_section_5_on_made_data(deviations):
    third = deviations[deviations["layer"] == 0].assign(layer=2)
    found = hierarchy.hierarchy(more_prompts(pd.concat([deviations, third])), seed=0)
    table = hierarchy.section_5(found, found).set_index("claim")["verdict"]
    assert table.tolist() == ["not", "held", "held", "held"]


def test_reported_counts_of_figure_4():
    found = hierarchy.reported_hierarchy(reported.figure_4())
    assert found.layers == 28
    assert found.below.to_dict() == {"attention": 18, "mlp": 14}


def test_figure_4_is_the_trace_of_figure_6a():
    twice = reported.figure_4_from_6a()
    assert len(reported.figure_6a()) == reported.FIGURE_4.points
    assert (twice["figure 4"] - twice["figure 6(a)"]).abs().max() < 1e-4


def test_layer_table_has_intervals_only_where_measured(deviations):
    measured = hierarchy.hierarchy(more_prompts(deviations), seed=0)
    paper = hierarchy.reported_hierarchy(reported.figure_4())
    table = hierarchy.layer_table({"ours": measured, "paper": paper})
    assert table.loc[table["source"] == "ours", "by mean"].str.contains("–").all()
    assert not table.loc[table["source"] == "paper", "by mean"].str.contains("–").any()


def test_steps_are_counted_by_themselves():
    """At the last token of the prompt logits are above in both layers, later in none or one."""
    rows = [
        {"sublayer": "mlp", "layer": layer, "space": space, "prompt": prompt, "step": step}
        | {"value": value + (space == "logit") * (above[step][layer] - 0.5)}
        for above in ([(1, 1), (0, 0), (1, 0)],)
        for step in range(3)
        for layer in range(2)
        for prompt, value in (("a", 0.1), ("b", 0.3))
        for space in ("embedding", "logit")
    ]
    counts = summaries.above_by_step(pd.DataFrame(rows))
    assert counts == {0: 2, 1: 0, 2: 1}
    words = "2 at the last token of the prompt, 0 and 1 at the written ones"
    assert propagation_words.by_position(counts) == words
    assert propagation_words.by_position({0: 5}) == "5 at the last token of the prompt"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({0: 57, 1: 50}, "carries over to this model's output."),
        ({0: 57, 1: 2}, "at the last token of the prompt. Where the model reads what it wrote"),
        ({0: 3, 1: 50}, "it does not carry over to the output."),
    ],
)
def test_what_carries_over_is_said_by_position(output, said):
    counts = {"in_place": {0: 55, 1: 58}, "propagated": output}
    assert said in propagation_words.carries_over(counts)
