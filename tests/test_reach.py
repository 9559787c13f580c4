"""What in place says about the output: statistics against hand-made tables and naive loops."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.propagation import figure_propagated, interventions
from reporting import hierarchy
from reporting.reach import SPACES, Estimate, Reach, agreement, choice, rank_correlation, reaches

LAYERS, PROMPTS, STEPS = 6, 6, 2


def naive_ranks(values):
    return [
        1 + sum(other < value for other in values) + (values.count(value) - 1) / 2
        for value in values
    ]


def naive_spearman(a, b):
    x, y = naive_ranks(a), naive_ranks(b)
    return np.corrcoef(x, y)[0, 1]


def table(here, there, prompts=PROMPTS, noise=0.0):
    """Rows of ``deviations``: ``here`` and ``there`` give 1 − cos of a sublayer and space."""
    generator = np.random.default_rng(0)
    rows = []
    chains = itertools.product(range(prompts), range(STEPS))
    places = list(itertools.product(range(LAYERS), ("attention", "mlp")))
    for (prompt, step), (layer, sublayer) in itertools.product(chains, places):
        for side, value_of in (("in_place", here), ("propagated", there)):
            for lens, space in itertools.product(("raw", "normed"), SPACES):
                for centred in (False, True) if space == "logit" else (False,):
                    value = value_of(layer, sublayer, space)
                    value *= math.exp(noise * generator.normal())
                    key = (side, f"P{prompt}", step, layer, sublayer, space, lens, centred)
                    rows += [(*key, "angular", value), (*key, "cosine", 1 - value)]
                    if space == "probability":
                        rows += [(*key, "kl", 10 * value), (*key, "agreement", float(value < 0.3))]
    columns = [
        "intervention",
        "prompt",
        "step",
        "layer",
        "sublayer",
        "space",
        "lens",
        "centred",
        "metric",
        "value",
    ]
    return pd.DataFrame(rows, columns=columns)


def rising(layer, sublayer, space):
    return (1 + layer + LAYERS * (sublayer == "mlp")) / 100 * (1 + SPACES.index(space))


def falling(layer, sublayer, space):
    return 0.3 - rising(layer, sublayer, space) / 2


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12).filter(
        lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True))
    )
)
@settings(max_examples=60, deadline=None)
def test_rank_correlation_equals_the_naive_one(pairs):
    """Few distinct values, so that ties are common; and two rows at once."""
    a, b = (list(column) for column in zip(*pairs, strict=True))
    got = rank_correlation(np.array([a, b], float), np.array([b, a], float))
    assert got == pytest.approx([naive_spearman(a, b)] * 2, abs=1e-12)


def test_rank_correlation_leaves_out_what_is_missing():
    a = np.array([[1.0, 2.0, np.nan, 3.0]])
    b = np.array([[3.0, 2.0, 9.0, 1.0]])
    assert rank_correlation(a, b) == pytest.approx([-1.0])


def test_one_order_and_the_opposite_one():
    same = reaches(table(rising, lambda *key: 3 * rising(*key), noise=0.01), "normed", 0)
    opposite = reaches(table(rising, falling, noise=0.01), "normed", 0)
    for space in SPACES:
        one = same[space]
        assert one.sublayers == 2 * LAYERS
        assert one.correlation.value > 0.9
        assert one.correlation.above(0.5)
        assert one.amplification.value == pytest.approx(3, rel=0.05)
        assert not one.amplification.below(1)
        assert one.repaired.value == 0
        assert one.overlap(3).value == 3
        assert opposite[space].correlation.value < -0.9
        assert opposite[space].correlation.below(0)
    assert opposite["embedding"].overlap(3).value == 0


def test_ratio_that_falls_with_depth():
    found = reaches(table(rising, lambda *key: rising(*key) * 2.0 ** -key[0]), "raw", 0)
    one = found["probability"]
    assert one.trend.value == pytest.approx(-1)
    # ratios 1, 1/2, …, 1/32, two of each: ten are below one, the median is between 1/4 and 1/8
    assert one.repaired.value == 10
    assert one.amplification.value == pytest.approx((1 / 4 + 1 / 8) / 2)


def test_means_are_taken_within_prompts_first():
    rows = table(rising, rising)
    extra = rows[rows["prompt"].eq("P0") & rows["step"].eq(0)].assign(step=9, value=0.0)
    found = reaches(pd.concat([rows, extra]), "raw", 0)["embedding"]
    expected = rising(2, "mlp", "embedding") * (PROMPTS - 1 + 2 / 3) / PROMPTS
    place = found.places.eq({"sublayer": "mlp", "layer": 2}).all(axis=1)
    assert found.here[0][place] == pytest.approx([expected])


def test_interval_is_a_bootstrap_over_prompts():
    """Two kinds of prompt with opposite effects: the resampled ratio has a known distribution."""
    rows = table(rising, rising, prompts=8)
    doubled = rows["intervention"].eq("propagated") & rows["prompt"].isin(["P0", "P1", "P2", "P3"])
    rows.loc[doubled, "value"] *= 3
    one = reaches(rows, "raw", 1)["logit"].amplification
    # the share of tripled prompts among 8 is binomial: its 2.5% and 97.5% points are 1 and 7
    assert one.value == pytest.approx(2)
    assert (one.low, one.high) == pytest.approx((1 + 2 / 8, 1 + 2 * 7 / 8))
    again = reaches(rows, "raw", 1)["logit"].amplification
    assert again == one


def test_too_few_prompts_have_no_interval_and_no_verdict():
    rows = table(rising, rising, prompts=3)
    spaces = reaches(rows, "normed", 0)
    one = spaces["embedding"].correlation
    assert one == Estimate(pytest.approx(1.0))
    assert not one.above(-2)
    assert not one.below(2)
    found = _verdicts(rows)
    assert set(found["verdict"]) == {"too few prompts"}


def test_a_sublayer_that_does_nothing_in_place_has_no_ratio():
    def nothing(layer, sublayer, space):
        return 0.0 if (layer, sublayer) == (0, "mlp") else rising(layer, sublayer, space)

    one = reaches(table(nothing, rising), "raw", 0)["embedding"]
    assert one.repaired.value == 0
    assert one.amplification.text() == "1.00 [1.00–1.00]"
    assert one.trend.text() == "–"  # all ratios are equal: there is no order


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.624, 0.55, 0.71), "0.62 [0.55–0.71]"),
        (Estimate(-0.12, -0.26, 0.03), "−0.12 [−0.26 to 0.03]"),
        (Estimate(-0.5), "−0.50"),
        (Estimate(float("nan")), "–"),
    ],
)
def test_estimates_in_words(estimate, text):
    assert estimate.text() == text


def _verdicts(rows, lens="normed"):
    cosines = rows[
        rows["metric"].eq("cosine") & rows["lens"].eq(lens) & rows["intervention"].eq("propagated")
    ]
    as_is = hierarchy.hierarchy(cosines[~cosines["centred"]], 0)
    centred = cosines["centred"] | cosines["space"].ne("logit")
    return interventions.verdicts(
        reaches(rows, lens, 0), choice(rows, 0), as_is, hierarchy.hierarchy(cosines[centred], 0)
    )


def test_verdicts_follow_the_numbers():
    shrinks = _verdicts(table(rising, lambda *key: rising(*key) / 2 * 1.1 ** -key[0]))
    assert shrinks["verdict"].tolist() == ["held", "held", "held", "held", "not", "not", "held"]
    turned = _verdicts(table(rising, lambda *key: 0.9 - rising(*key)))
    assert turned["verdict"].tolist()[:2] == ["not", "not"]
    assert turned["verdict"].tolist()[-1] == "not"
    assert turned["measured"].str.contains("−").iloc[0]


def test_choice_costs_by_hand():
    """LLM-Drop's number is the raw embedding's; the price is the normed KL of the output."""
    rows = table(rising, falling)
    found = choice(rows, 0).only("attention")
    kl = sorted(10 * falling(layer, "attention", "probability") for layer in range(LAYERS))
    costs = found.cost(2)
    assert costs["chosen"] == pytest.approx(np.mean(kl[-2:]))
    assert costs["best"] == pytest.approx(np.mean(kl[:2]))
    assert costs["all"] == pytest.approx(np.mean(kl))
    shown = interventions.choice_table(choice(rows, 0), agreement(rows))
    assert shown["sublayers"].tolist() == ["2 of 6 attention", "2 of 6 MLP"]
    assert shown["in both choices"].tolist() == ["0 [0–0]"] * 2
    assert shown["by chance"].tolist() == ["0.7"] * 2
    assert shown["KL, chosen in place"].iloc[0] == pytest.approx(costs["chosen"])


def test_heaviest_are_in_order_and_ranked_in_place():
    rows = table(falling, rising)
    shown = interventions.heaviest(choice(rows, 0), agreement(rows), count=3)
    assert shown["sublayer"].tolist() == ["MLP 5", "MLP 4", "MLP 3"]
    assert shown["rank in place"].tolist() == [12, 11, 10]
    assert shown["KL at the output"].iloc[0] == pytest.approx(10 * rising(5, "mlp", "probability"))


def test_figures_show_every_sublayer():
    spaces = reaches(table(rising, falling), "normed", 0)
    frames = {space: spaces[space].table() for space in SPACES}
    options = {"name": "reach", "title": "Title", "caption": "Caption", "provenance": {}}
    cloud = figure_propagated.in_place_and_output(frames, **options).figure
    ratio = figure_propagated.amplification(frames, **options).figure
    for figure in (cloud, ratio):
        assert [panel.title for panel in figure.panels] == ["Attention", "MLP"]
        assert [line.label for line in figure.panels[0].lines] == list(SPACES)
        assert all(len(line.mean) == LAYERS for panel in figure.panels for line in panel.lines)
    line = cloud.panels[1].lines[0]
    assert line.x[2] == pytest.approx(rising(2, "mlp", "embedding"))
    assert line.mean[2] == pytest.approx(falling(2, "mlp", "embedding"))
    assert ratio.panels[1].lines[0].mean[2] == pytest.approx(line.mean[2] / line.x[2])
    with pytest.raises(ValueError, match="lacks the columns ratio"):
        figure_propagated.amplification(
            {space: part.drop(columns="ratio") for space, part in frames.items()}, **options
        )


def test_only_one_kind_is_a_subset():
    both = reaches(table(rising, falling, noise=0.1), "raw", 0)["logit"]
    parts = [both.only(sublayer) for sublayer in hierarchy.LABELS]
    assert isinstance(parts[0], Reach)
    assert sum(part.sublayers for part in parts) == both.sublayers
    assert np.sort(np.hstack([part.there for part in parts])) == pytest.approx(np.sort(both.there))
