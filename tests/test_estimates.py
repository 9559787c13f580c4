"""How estimates are held against the truth: on tables small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.h_temperature import story as temperature
from chapters.representation_analysis import story
from chapters.validity import story as validity
from reporting import estimates, figures, step_frames
from reporting.claims import judge

PROMPTS = [f"P{number}" for number in range(6)]
PLACE = {"layer": 0, "sublayer": "mlp", "lens": "raw", "space": "probability", "centred": False}


def rows(metric, truth, estimate, quantity="theorem", **place):
    """Truth and estimate of one prompt's steps as rows of ``deviations``."""
    parts = []
    for kind, values in (("measured", truth), (quantity, estimate)):
        for prompt, series in values.items():
            parts += [
                PLACE
                | {"metric": metric, "quantity": kind, "prompt": prompt, "step": step}
                | {"value": value, "temperature": 1.0}
                | place
                for step, value in enumerate(series)
            ]
    return pd.DataFrame(parts)


@pytest.fixture
def pairs():
    """Estimates of twice the truth, for six prompts of ten steps."""
    generator = np.random.default_rng(0)
    truth = {prompt: np.sort(generator.uniform(0.1, 1, 10)) for prompt in PROMPTS}
    return estimates.side_by_side(rows("kl", truth, {k: 2 * v for k, v in truth.items()}))


def test_estimates_stand_beside_their_own_truth():
    truth = {"A": [0.5, 0.25], "B": [0.0, 1e-12]}
    estimate = {"A": [1.0, 0.125], "B": [0.3, 0.3]}
    found = estimates.side_by_side(rows("kl", truth, estimate)).set_index(["prompt", "step"])
    assert found.loc[("A", 0), "ratio"] == 2
    assert found.loc[("A", 1), "ratio"] == 0.5
    assert found.loc["B", "ratio"].isna().all()  # at the floor a ratio says nothing


def test_statistics_of_a_doubled_truth(pairs):
    found = estimates.tracking(pairs, seed=0)
    assert found.rank.value == pytest.approx(1)
    assert (found.ratio.value, found.ratio.low, found.ratio.high) == pytest.approx((2, 2, 2))
    assert (found.near.value, found.comparisons, found.rank.n) == (0, 60, 6)
    assert (found.conditions, found.close) == ([True, False], False)  # ranks well, twice too large
    assert estimates.tracking(pairs, seed=0, tail=True).comparisons == 6
    right = estimates.tracking(pairs.assign(estimate=pairs["truth"], ratio=1.0), seed=0)
    assert right.close is True


def test_rank_correlation_of_a_reversed_estimate(pairs):
    turned = pairs.assign(estimate=1 / pairs["truth"])
    assert estimates.tracking(turned, seed=0).rank.value == pytest.approx(-1)


def test_few_prompts_give_no_interval_and_no_verdict(pairs):
    few = pairs[pairs["prompt"].isin(PROMPTS[:4])]
    found = estimates.tracking(few, seed=0)
    assert found.ratio.text() == "2.00"
    assert found.close is None
    assert judge(found.conditions) == "too few data"


def test_the_papers_figure_6_tracks_as_its_audit_says():
    found = story.reported_tracking()
    assert found["Theorem 2"].ratio.value == pytest.approx(1.26, abs=0.005)
    assert found["Theorem 2"].near.value == pytest.approx(0.22, abs=0.005)
    assert found["Theorem 3"].ratio.value == pytest.approx(1.00, abs=0.005)
    assert found["Theorem 3"].near.value == pytest.approx(0.90, abs=0.005)


def test_lines_over_steps_are_means_over_the_prompts_that_got_so_far():
    frame = rows("kl", {"A": [1.0, 3.0], "B": [3.0]}, {"A": [2.0, 2.0], "B": [4.0]})
    lines = step_frames.step_lines(frame, {"KL divergence": [("kl", "probability")]})
    measured = lines[lines["series"] == "measured"].set_index("x")
    assert measured["mean"].to_dict() == {0: 2.0, 1: 3.0}
    assert measured["n"].to_dict() == {0: 2, 1: 1}
    assert lines.loc[lines["series"] == "Theorem 3", "mean"].tolist() == [3.0, 2.0]
    assert step_frames.longest(frame) == "A"


def points(sizes, ratios):
    frame = {"panel": "KL", "series": "removed", "x": sizes, "mean": ratios, "outer": False}
    return pd.DataFrame(frame)


def test_limit_is_where_fewer_than_nine_neighbours_in_ten_are_close():
    sizes = np.arange(1.0, 101.0)
    good = np.ones(100)
    assert validity.limit(points(sizes, good), "KL") == np.inf
    assert validity.limit_text(points(sizes, good), "KL") == "> 1e+02"
    assert validity.limit(points(sizes, 3 * good), "KL") == 0
    assert validity.limit_text(points(sizes, 3 * good), "KL") == "< 12"
    assert np.isnan(validity.limit(points(sizes[:5], good[:5]), "KL"))
    assert validity.limit_text(points(sizes[:5], good[:5]), "KL") == "–"
    ratios = np.where(sizes <= 60, 1.0, 3.0)
    # 3 of 24 miss for the first time in the neighbours 40 to 63
    assert validity.limit(points(sizes, ratios), "KL") == np.arange(40, 64).mean()
    assert validity.close(points(sizes, ratios), "KL", "removed") == "60 of 100"
    table = validity.limits(points(sizes, ratios))
    assert table["removed"].tolist() == ["60 of 100 inner, 0 of 0 outer"]


def test_bins_of_the_truth_hold_its_quartiles(pairs):
    frame = validity.binned(pairs.assign(metric="kl"))
    assert set(frame["mean"]) == {2.0}
    assert set(frame["x"].round(3)) == {0.178, 0.562}  # two to a decade, 0.1 to 1
    assert frame["n"].sum() == 60


def test_clouds_of_one_space_differ_in_their_markers():
    frame = pd.concat(
        points([1.0, 10.0], [1.0, 2.0]).assign(series=name, space="logit", call=["", "last"])
        for name in ("removed", "thinned")
    )
    words = {"name": "map", "title": "T", "caption": "C", "provenance": {}}
    axes = {"x_label": "x", "y_label": "y", "x_scale": "log", "y_scale": "log"}
    drawn = figures.lines(
        frame, cloud=True, references=[validity.RIGHT], **words, **axes
    ).figure.panels[0]
    assert [line.look.marker for line in drawn.lines] == ["circle", "square"]
    assert drawn.lines[0].calls == ["", "last"]


def test_temperatures_each_have_a_level_and_a_verdict():
    truth = {prompt: [0.1, 0.2, 0.4] for prompt in PROMPTS}
    right, double = truth, {prompt: [0.2, 0.4, 0.8] for prompt in PROMPTS}
    frames = [
        rows(metric, truth, estimate, temperature=temperature, lens=lens)
        for metric in ("kl", "angular")
        for lens in ("raw", "normed")
        for temperature, estimate in ((1.0, right), (4.0, double))
    ]
    deviations = pd.concat(frames, ignore_index=True)
    found = temperature.levels(deviations, 0)
    assert set(found["panel"]) == set(temperature.Y_LABELS)
    assert found.loc[found["quantity"] == "measured", "mean"].tolist() == pytest.approx([0.2] * 8)
    assert found.loc[found["quantity"] == "theorem", ["low", "high"]].isna().all(axis=None)
    verdicts = [one.verdict for one in temperature.claims(temperature.tracked(deviations, 0))]
    assert verdicts == ["supported", "in some (1 of 2)"] * 4
    assert temperature.average(deviations, 1.0, 0).value == pytest.approx(0.7 / 3)
