"""What is said of every layer: on tables small enough to work out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reporting import layers, reported
from reporting.hierarchy import Hierarchy, agreement, claims, layer_table
from reporting.statistics import FEWEST, Estimate

PROMPTS = [f"P{number}" for number in range(6)]


@pytest.fixture
def deviations():
    """Two prompts of unequal length, two layers, values by hand."""
    rows = []
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
                for step, value in enumerate(series):
                    rows.append((sublayer, layer, space, prompt, step, value, f"kind {prompt}"))
    columns = ["sublayer", "layer", "space", "prompt", "step", "value", "category"]
    return pd.DataFrame(rows, columns=columns)


def more_prompts(deviations):
    """The same two prompts three times, so that a bootstrap is allowed."""
    copies = [deviations.assign(prompt=deviations["prompt"] + str(k)) for k in range(3)]
    return pd.concat(copies, ignore_index=True)


def with_third_layer(deviations):
    third = deviations[deviations["layer"] == 0].assign(layer=2)
    return pd.concat([deviations, third])


def test_means_within_prompts_first(deviations):
    table = layers.layer_means(deviations).set_index(["sublayer", "layer", "space"])
    row = table.loc[("mlp", 0, "probability")]
    assert row["mean"] == pytest.approx((0.2 + (0.1 + 0.5 + 0.6) / 3) / 2)
    assert (row["low"], row["high"], row["n"], row["prompts"]) == (0.1, 0.6, 4, 2)
    assert row["layers"] == 2


def test_counts_by_hand(deviations):
    found = Hierarchy.of(deviations, seed=0)
    for kind in ("attention", "mlp"):
        assert found.below(kind) == found.above(kind) == Estimate(1.0, n=2)
        assert found.below_minimum(kind) == 1
    assert found.below() == Estimate(2.0, n=2)
    assert found.gap("mlp").value == pytest.approx((0.85 - 0.3) / 2 + (0.8 - 0.85) / 2)
    assert found.median("embedding").value == pytest.approx((0.85 + 0.8) / 2)
    assert found.lowest("probability") == pytest.approx((0.1 + 0.7) / 2)


def test_intervals_are_over_prompts(deviations):
    """A sample holds a share of A: p is below in layer 0 always, in layer 1 where that share is
    small; logits are above in layer 0 always, in layer 1 never."""
    found = Hierarchy.of(more_prompts(deviations), seed=0)
    assert found.below("mlp") == Estimate(1.0, 1.0, 2.0, 6)
    assert found.above("mlp") == Estimate(1.0, 1.0, 1.0, 6)
    draws = np.random.default_rng(0).integers(6, size=(2000, 6))
    share = (draws < 3).mean(axis=1)  # prompts are sorted: A0, A1, A2, B0, B1, B2
    gap = ((0.9 - 0.2) * share + (0.8 - 0.4) * (1 - share)) / 2
    gap += ((0.7 - 0.9) * share + (0.9 - 0.8) * (1 - share)) / 2
    assert found.gap("mlp").low == pytest.approx(np.percentile(gap, 2.5))
    assert found.gap().high == pytest.approx(np.percentile(gap, 97.5))


def test_samples_cover_every_resample_of_two_prompts(deviations):
    """With two prompts a sample is AA, AB or BB, one in four, two in four, one in four."""
    found = Hierarchy.of(deviations, seed=0)
    order = list(found.samples.columns)
    assert order[:3] == [("attention", 0, space) for space in ("embedding", "logit", "probability")]
    a = np.tile([0.9, 1.0, 0.2, 0.7, 0.0, 0.9], 2)
    b = np.tile([0.8, 1.0, 0.4, 0.9, 0.0, 0.8], 2)
    drawn = found.samples.to_numpy()
    assert drawn[0] == pytest.approx((a + b) / 2)
    rows, counts = np.unique(drawn[1:].round(9), axis=0, return_counts=True)
    assert rows == pytest.approx(np.array([b, (a + b) / 2, a]), abs=1e-9)
    assert counts / counts.sum() == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    # below: AA in layer 0 only (0.2 < 0.9; 0.9 > 0.7), BB in both (0.4 < 0.8; 0.8 < 0.9)
    # above: in layer 0 always, in layer 1 never
    enough = replace(found, prompts=FEWEST)
    assert enough.below("mlp") == Estimate(1.0, 1.0, 2.0, FEWEST)
    assert enough.above("mlp") == Estimate(1.0, 1.0, 1.0, FEWEST)


def test_claims_of_section_5_on_made_data(deviations):
    found = Hierarchy.of(more_prompts(with_third_layer(deviations)), seed=0)
    verdicts = [one.verdict for one in claims(found, found)]
    assert verdicts == ["contradicted", "supported", "supported", "supported"]
    few = Hierarchy.of(with_third_layer(deviations), seed=0)
    assert {one.verdict for one in claims(few, few)} == {"too few data"}


def test_reported_curves_have_counts_and_no_intervals(deviations):
    paper = Hierarchy.of_means(reported.figure_4())
    assert paper.layers == 28
    assert (paper.below("attention").value, paper.below("mlp").value) == (18, 14)
    measured = Hierarchy.of(more_prompts(deviations), seed=0)
    table = layer_table({"ours": measured, "paper": paper})
    ours = table["source"] == "ours"
    assert table.loc[ours, "by mean"].str.contains("–").all()
    assert not table.loc[~ours, "by mean"].str.contains("–").any()


def test_figure_4_is_the_trace_of_figure_6a():
    twice = reported.figure_4_from_6a()
    assert len(reported.figure_6a()) == reported.FIGURE_4.points
    assert (twice["figure 4"] - twice["figure 6(a)"]).abs().max() < 1e-4


def test_agreement_is_one_for_equal_rankings(deviations):
    by = layers.layer_means(deviations, by=("category",))
    assert agreement(by, "probability").value == pytest.approx(1)
    assert agreement(by[by["category"] == "kind A"], "probability").text() == "–"


def test_lines_over_relative_depth(deviations):
    frame = layers.over_depth(layers.layer_means(with_third_layer(deviations)))
    words = {"name": "f", "caption": "C", "provenance": {}}
    deviation, figure = (one.figure for one in layers.views(frame, ("T", "T"), **words).values())
    assert [panel.title for panel in figure.panels] == ["Attention", "MLP"]
    turned = deviation.panels[0].lines[2]
    assert turned.mean == pytest.approx([1 - mean for mean in figure.panels[0].lines[2].mean])
    assert (turned.low[0], turned.high[0]) == pytest.approx((0.4, 0.9))
    assert deviation.panels[0].lines[1].grounded == {0: 0.0, 2: 0.0}  # logits: cosine 1
    line = figure.panels[0].lines[2]
    assert (line.label, line.x) == ("probability", (0.0, 0.5, 1.0))
    assert line.points[1] == "layer 1 of 0–2"
    assert line.low == (0.1, 0.7, 0.1)
    one_layer = layers.over_depth(layers.layer_means(deviations[deviations["layer"] == 0]))
    assert set(one_layer["x"]) == {0.0}


def test_inner_and_outer_layers():
    means = pd.DataFrame(
        {"space": "embedding", "layer": range(4), "layers": 4, "mean": [9.0, 1.0, 3.0, 5.0]}
    )
    inner, outer = layers.inner_and_outer(means, "embedding")
    assert (inner["mean"].tolist(), outer["mean"].tolist()) == ([1.0, 3.0], [9.0, 5.0])


def magnitudes(values):
    """One value a layer, the same for six prompts."""
    rows = [
        {"sublayer": "mlp", "prompt": prompt, "layer": layer, "value": value}
        for prompt in PROMPTS
        for layer, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_contrast_counts_layers_and_takes_the_median_ratio():
    found = layers.contrast(magnitudes([1, 1, 2.0]), magnitudes([0.5, 0.25, 8.0]), seed=0)
    assert (found.below.value, found.layers, found.ratio.value) == (2, 3, 0.5)
    assert str(found) == "2 [2–2] of 3"
    assert found.in_most
    assert layers.contrast(magnitudes([1, 1, 1]), magnitudes([2, 2, 0.5]), 0).in_most is False


def test_untouched_layers_are_not_compared():
    """A checkpoint may prune some sublayers only: the others are exactly as before."""
    found = layers.contrast(magnitudes([0, 1, 1]), magnitudes([0, 0.25, 4.0]), seed=0)
    assert (found.below.value, found.layers) == (1, 2)
    assert found.ratio.value == pytest.approx((0.25 + 4) / 2)
    nothing = layers.contrast(magnitudes([0, 0, 0]), magnitudes([0, 0, 0]), seed=0)
    assert (nothing.ratio.text(), nothing.in_most) == ("–", None)
