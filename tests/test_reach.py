"""What in place says about the output: statistics against hand-made tables and naive loops."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from chapters.propagation import story
from chapters.propagation.story import SPACES, agreement, choice, picked, reaches
from reporting.hierarchy import Hierarchy
from reporting.statistics import Estimate

LAYERS, PROMPTS, STEPS = 6, 6, 2


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


def test_one_order_and_the_opposite_one():
    same = reaches(table(rising, lambda *key: 3 * rising(*key), noise=0.01), "normed", 0)
    opposite = reaches(table(rising, falling, noise=0.01), "normed", 0)
    for space in SPACES:
        one = same[space]
        assert len(one.places) == 2 * LAYERS
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
    assert found.here[0][found.places.get_loc(("mlp", 2))] == pytest.approx(expected)


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
    found = reaches(rows, "normed", 0)["embedding"]
    assert found.correlation == Estimate(pytest.approx(1.0), n=3)
    assert found.table()[["low", "high"]].isna().all(axis=None)
    assert set(_verdicts(rows)) == {"too few data"}


def test_a_sublayer_that_does_nothing_in_place_has_no_ratio():
    def nothing(layer, sublayer, space):
        return 0.0 if (layer, sublayer) == (0, "mlp") else rising(layer, sublayer, space)

    one = reaches(table(nothing, rising), "raw", 0)["embedding"]
    assert one.repaired.value == 0
    assert one.amplification.text() == "1.00 [1.00–1.00]"
    assert one.trend.text() == "–"  # all ratios are equal: there is no order


def _claims(rows):
    in_place, output = (
        picked(rows, metric="cosine", lens="normed", intervention=side)
        for side in ("in_place", "propagated")
    )
    centred = picked(rows, True, metric="cosine", lens="normed", intervention="propagated")
    return story.claims(
        reaches(rows, "normed", 0),
        choice(rows, 0),
        Hierarchy.of(output, 0),
        Hierarchy.of(centred, 0),
        story.above_by_position(in_place, output),
    )


def _verdicts(rows):
    return [one.verdict for one in _claims(rows)]


def test_verdicts_follow_the_numbers():
    yes, no = "supported", "contradicted"
    shrinks = _verdicts(table(rising, lambda *key: rising(*key) / 2 * 1.1 ** -key[0]))
    assert shrinks == [yes, yes, yes, yes, no, no, yes, yes]
    turned = table(rising, lambda *key: 0.9 - rising(*key))
    assert _verdicts(turned)[:2] == [no, no]
    assert _verdicts(turned)[-1] == no
    assert "−" in _claims(turned)[0].measured


def test_positions_are_counted_by_themselves():
    """At the last token of the prompt logits are above in both layers, later in none or one."""
    above = [(1, 1), (0, 0), (1, 0)]
    rows = pd.DataFrame(
        {"sublayer": "mlp", "layer": layer, "space": space, "prompt": prompt, "step": step}
        | {"value": value + (space == "logit") * (above[step][layer] - 0.5)}
        for step, layer in itertools.product(range(3), range(2))
        for prompt, value in (("a", 0.1), ("b", 0.3))
        for space in ("embedding", "logit")
    )
    found = story.above_by_position(rows[rows["step"] < 9], rows)
    assert found.to_numpy().tolist() == [[0, 2, 2], [1, 0, 0], [2, 1, 1]]


def test_choice_costs_by_hand():
    """LLM-Drop's number is the raw embedding's; the price is the normed KL of the output."""
    rows = table(rising, falling)
    found = choice(rows, 0).only("attention")
    kl = sorted(10 * falling(layer, "attention", "probability") for layer in range(LAYERS))
    assert found.there[0, found.least(2)[0]].mean() == pytest.approx(np.mean(kl[-2:]))
    shown = story.choice_table(choice(rows, 0), agreement(rows))
    assert shown["sublayers"].tolist() == ["2 of 6 attention", "2 of 6 MLP"]
    assert shown["in both choices"].tolist() == ["0 [0–0]"] * 2
    assert shown["by chance"].tolist() == ["0.7"] * 2
    assert shown["KL, chosen in place"].iloc[0] == pytest.approx(np.mean(kl[-2:]))
    assert shown["KL, best"].iloc[0] == pytest.approx(np.mean(kl[:2]))
    assert shown["KL, all"].iloc[0] == pytest.approx(np.mean(kl))


def test_heaviest_are_in_order_and_ranked_in_place():
    rows = table(falling, rising)
    shown = story.heaviest(choice(rows, 0), agreement(rows), count=3)
    assert shown["sublayer"].tolist() == ["MLP 5", "MLP 4", "MLP 3"]
    assert shown["rank in place"].tolist() == [12, 11, 10]
    assert shown["KL at the output"].iloc[0] == pytest.approx(10 * rising(5, "mlp", "probability"))


def test_lines_show_every_sublayer_in_each_space():
    frame = story.lines(reaches(table(rising, falling), "normed", 0))
    assert set(frame.groupby(["panel", "space"]).size()) == {LAYERS}
    row = frame[frame["panel"].eq("MLP") & frame["space"].eq("embedding")].iloc[2]
    assert row["here"] == pytest.approx(rising(2, "mlp", "embedding"))
    assert row["there"] == pytest.approx(falling(2, "mlp", "embedding"))
    assert row["mean"] == pytest.approx(row["there"] / row["here"])


def test_only_one_kind_is_a_subset():
    both = reaches(table(rising, falling, noise=0.1), "raw", 0)["logit"]
    parts = [both.only(sublayer) for sublayer in ("attention", "mlp")]
    assert sum(len(part.places) for part in parts) == len(both.places)
    assert np.sort(np.hstack([part.there for part in parts])) == pytest.approx(np.sort(both.there))
