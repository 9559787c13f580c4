"""How estimates are held against the truth: on tables small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.representation_analysis import analysis
from chapters.validity import validity
from reporting import estimates, magnitudes, reported, step_frames

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
    assert found["rank"].value == pytest.approx(1)
    assert found["ratio"].value == pytest.approx(2)
    assert (found["ratio"].low, found["ratio"].high) == pytest.approx((2, 2))
    assert found["near"].value == 0
    assert found["rank"].comparisons == 60
    assert estimates.close_match(found) == "partly"  # ranks well, twice too large
    tail = estimates.tracking(pairs, seed=0, tail=True)
    assert tail["ratio"].comparisons == 6


def test_rank_correlation_of_a_reversed_estimate(pairs):
    turned = pairs.assign(estimate=1 / pairs["truth"])
    assert estimates.tracking(turned, seed=0)["rank"].value == pytest.approx(-1)


def test_few_prompts_give_no_interval_and_no_verdict(pairs):
    few = pairs[pairs["prompt"].isin(PROMPTS[:4])]
    found = estimates.tracking(few, seed=0)
    assert np.isnan(found["ratio"].low)
    assert found["ratio"].text == "2.00"
    assert estimates.close_match(found) == "too few prompts"


def test_interval_covers_the_mean_and_repeats():
    values = np.arange(10.0)
    low, high = estimates.interval(values, seed=3)
    assert low < values.mean() < high
    assert estimates.interval(values, seed=3) == (low, high)


def test_the_papers_figure_6_tracks_as_its_audit_says():
    found = estimates.reported_tracking(reported.figure_6())
    assert found["angular"]["ratio"].value == pytest.approx(1.26, abs=0.005)
    assert found["angular"]["near"].value == pytest.approx(0.22, abs=0.005)
    assert found["kl"]["ratio"].value == pytest.approx(1.00, abs=0.005)
    assert found["kl"]["near"].value == pytest.approx(0.90, abs=0.005)


def orthogonal(logit):
    """Magnitudes 1 in the embedding space of three layers, and ``logit`` in the logit space."""
    parts = []
    for prompt in PROMPTS:
        for layer, value in enumerate(logit):
            for space, number in (("embedding", 1.0), ("logit", value)):
                parts.append(
                    PLACE | {"prompt": prompt, "layer": layer, "value": number} | {"space": space}
                )
    return pd.DataFrame(parts)


def test_contrast_counts_layers_and_takes_the_median_ratio():
    found = magnitudes.contrast(orthogonal([0.5, 0.25, 4.0]), "mlp", False, seed=0)
    assert (found.below, found.layers, found.ratio) == (2, 3, 0.5)
    assert found.counted == "2 of 3 [2–2]"
    assert found.in_most
    assert magnitudes.shrinks({"mlp": found}) == "held"
    larger = magnitudes.contrast(orthogonal([2.0, 2.0, 0.5]), "mlp", False, seed=0)
    assert magnitudes.shrinks({"mlp": found, "attention": larger}) == "partly"


def test_untouched_layers_are_not_compared():
    """A checkpoint may prune some sublayers only: the others are exactly as before."""
    part = orthogonal([0.5, 0.25, 4.0])
    found = magnitudes.contrast(
        part.assign(value=part["value"].where(part["layer"] > 0, 0.0)), "mlp", False, seed=0
    )
    assert (found.below, found.layers, found.ratio) == (1, 2, pytest.approx((0.25 + 4) / 2))
    nothing = magnitudes.contrast(part.assign(value=0.0), "mlp", False, seed=0)
    assert nothing.shrunk == "–"
    assert magnitudes.shrinks({"mlp": nothing}) == "too few prompts"


def test_ends_and_middle():
    means = pd.DataFrame(
        {"space": "embedding", "layer": range(4), "layers": 4, "mean": [9.0, 1.0, 3.0, 5.0]}
    )
    assert magnitudes.ends_and_middle(means, "embedding") == (2.0, 9.0)


def test_lines_over_steps_are_means_over_the_prompts_that_got_so_far():
    frame = rows("kl", {"A": [1.0, 3.0], "B": [3.0]}, {"A": [2.0, 2.0], "B": [4.0]})
    lines = step_frames.step_lines(frame, {"KL divergence": [("kl", "probability")]})
    measured = lines[lines["series"] == "measured"].set_index("step")
    assert measured["mean"].to_dict() == {0: 2.0, 1: 3.0}
    assert measured["n"].to_dict() == {0: 2, 1: 1}
    assert lines.loc[lines["series"] == "Theorem 3", "mean"].tolist() == [3.0, 2.0]
    assert step_frames.longest(frame) == "A"


def points(sizes, ratios):
    return pd.DataFrame(
        {"panel": "KL", "series": "removed", "x": sizes, "y": ratios, "called_out": False}
    )


def test_limit_is_where_fewer_than_nine_neighbours_in_ten_are_close():
    sizes = np.arange(1.0, 101.0)
    good = np.ones(100)
    assert validity.limit(points(sizes, good), "KL") == np.inf
    assert validity.limit(points(sizes, 3 * good), "KL") == 0
    assert np.isnan(validity.limit(points(sizes[:5], good[:5]), "KL"))
    ratios = np.where(sizes <= 60, 1.0, 3.0)
    # 3 of 24 miss for the first time in the neighbours 40 to 63
    assert validity.limit(points(sizes, ratios), "KL") == np.arange(40, 64).mean()
    assert validity.typically_close(points(sizes, ratios), "KL", "removed") == "60 of 100"


def test_lenses_of_the_analysis_are_those_of_the_measurement():
    assert set(analysis.LENSES) == {lens for lens, _ in magnitudes.CASES}
