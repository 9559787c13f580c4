"""Deviations along two texts: plain loops as the oracle, and made data whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.multi_scale_effects import (
    figure_7,
    greedy_and_sampled,
    multi_scale,
    multi_scale_words,
    persistence,
)
from reporting import reported
from reporting.reach import Estimate
from runs.parameters import validate


def text(prompt, seed, parting, steps, level=0.2, after=2.0, slope=0.0, short=0):
    """Rows of one text: every deviation is ``level`` + ``slope`` · step, on one's own text after
    the parting ``after`` more; free-running it ends ``short`` steps earlier."""
    rows = []
    for decoding, last in (("free", steps - short), ("forced", steps)):
        for step in range(last):
            beyond = decoding == "free" and parting is not None and step > parting
            value = level + slope * step + after * beyond
            same = float(parting is None or step < parting)
            numbers = [
                *(("angular", space, value) for space in multi_scale.SPACES),
                *(("cosine", space, 1 - value) for space in multi_scale.SPACES),
                ("kl", "probability", value),
                ("choice", "probability", same),
                ("entropy_dense", "probability", 1.0),
            ]
            for metric, space, number in numbers:
                rows.append(
                    {
                        "prompt": prompt,
                        "seed": seed,
                        "step": step,
                        "decoding": decoding,
                        "metric": metric,
                        "space": space,
                        "quantity": "measured",
                        "centred": False,
                        "value": number,
                    }
                )
    return rows


def table(*texts):
    return pd.DataFrame([row for rows in texts for row in rows])


TEXTS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 6)),
        st.integers(1, 8),
        st.floats(0, 2),
        st.floats(0, 3),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=6,
)


def made(texts):
    return table(
        *(
            text(
                f"P{number}", 0, parting, steps, level, after, 0.01 * number, min(short, steps - 1)
            )
            for number, (parting, steps, level, after, short) in enumerate(texts)
        )
    )


def walk(deviations):
    """KL by prompt, decoding and step, as nested dictionaries."""
    found = {}
    for row in deviations[deviations["metric"] == "kl"].itertuples():
        found.setdefault(row.prompt, {}).setdefault(row.decoding, {})[row.step] = row.value
    return found


def mean(values):
    return sum(values) / len(values) if values else math.nan


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_numbers_equal_plain_loops(texts):
    deviations = made(texts)
    traces = persistence.traces(deviations, "KL")
    by_prompt = walk(deviations)
    rises, added, before, after = [], [], [], []
    for (parting, _, _, _, _), both in zip(texts, by_prompt.values(), strict=True):
        free, forced = both["free"], both["forced"]
        if len(free) > 1:
            rises.append(mean([free[step] for step in free if step]) - free[0])
            added.append(mean([free[step] - forced[step] for step in free if step]))
        parted = parting is not None and any(not step < parting for step in forced)
        early = [free[step] for step in free if parted and step <= parting]
        late = [free[step] for step in free if parted and step > parting]
        if early and late:
            before.append(mean(early))
            after.append(mean(late))
    start = persistence.start(traces, "free", 0)
    jump = persistence.jump(traces, 0)
    assert start.rise.value == pytest.approx(mean(rises), nan_ok=True)
    assert persistence.feedback(traces, 0).value == pytest.approx(mean(added), nan_ok=True)
    assert (jump.before, jump.after) == pytest.approx((mean(before), mean(after)), nan_ok=True)
    assert jump.prompts == len(before)
    assert jump.rise.value == pytest.approx(jump.forced.value + jump.added.value, nan_ok=True)
    assert (jump.rise.low is None) == (len(before) < 5)


def test_courses_average_seeds_within_prompts_first():
    one = table(text("A", 0, None, 3, 0.1), text("A", 1, None, 3, 0.3), text("B", 0, None, 2, 0.6))
    found = persistence.course(one, "kl", "probability", "free")
    assert found["mean"].tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert found["n"].tolist() == [2, 2, 1]
    assert figure_7.counts(one) == "2 at step 0, 1 from step 2"


def test_around_aligns_texts_at_their_parting():
    traces = persistence.traces(table(text("A", 0, 1, 6), text("B", 0, 3, 6)), "KL")
    found = persistence.around(traces, 2, 2).set_index(["decoding", "step"])
    assert found.loc["free", "mean"].to_dict() == pytest.approx(
        {-2: 0.2, -1: 0.2, 0: 0.2, 1: 2.2, 2: 2.2}
    )
    assert found.loc["free", "n"].tolist() == [1, 2, 2, 2, 2]
    assert found.loc["forced", "mean"].tolist() == pytest.approx([0.2] * 5)


def unpruned(prompts, value):
    return table(*(text(f"P{number}", 0, None, 9, value) for number in range(prompts)))


def parting(prompts=6, **options):
    texts = (text(f"P{number}", 0, number % 4, 12, **options) for number in range(prompts))
    return multi_scale.Parting.of(table(*texts), unpruned(prompts, 1.0), 0)


def judged(one):
    return multi_scale.verdicts({"made": one})["made"].tolist()


def test_verdicts_where_the_answer_is_known():
    held, never = "held", "not"
    assert judged(parting()) == [held, never, held, never, held, held]
    assert judged(parting(slope=0.01)) == [held] * 6
    assert judged(parting(after=0.7)) == [held, never, held, never, held, never]
    assert judged(parting(after=0.0, slope=-0.012))[:3] == [never] * 3
    assert judged(parting(after=0.0, slope=0.01))[4] == "partly"
    assert judged(parting(after=0.0, slope=-0.001))[2] == held
    assert judged(parting(level=0.95)) == ["at floor"] * 6
    assert judged(parting(prompts=4)) == ["too few prompts"] * 6


def test_beyond_compares_steps_after_the_parting_with_the_unpruned_model():
    one = parting(level=0.2, after=2.0)
    assert one.beyond["KL"].value == pytest.approx(2.2 - 1.0)
    assert one.unpruned["KL"] == pytest.approx(1.0)


def test_words_follow_the_numbers():
    flat, grows, few = parting(), parting(slope=0.01, after=0.0), parting(prompts=3)
    assert multi_scale_words.answer("A", flat).startswith("It breaks in one place, and growth")
    assert "is more than other words bring" in multi_scale_words.answer("A", flat)
    assert multi_scale_words.answer("A", grows).startswith("It moves away step by step")
    assert "need not be the work" in multi_scale_words.answer("A", parting(after=0.7))
    assert multi_scale_words.answer("A", few).startswith("Too few prompts")
    assert "in all three spaces free-running, in no space forced" in (
        multi_scale_words.first_step_words({"A": flat}, unpruned(6, 0.2))
    )
    assert "no trend for embedding, logit, probability and KL (A)" in (
        multi_scale_words.trend_words({"A": flat})
    )
    assert "**at the floor** (B)" in (
        multi_scale_words.floor_words({"A": flat, "B": parting(level=0.95)})
    )


def test_pruned_models_are_those_of_the_section_and_one_with_fewer_mlps():
    chosen = multi_scale.chosen(validate({"method": "wanda", "dropped": 8}))
    assert list(chosen) == ["Drop-8A", "Drop-2M", "Drop-8M", "Wanda 50%"]
    assert list(multi_scale.chosen(validate({"dropped": 1}))) == ["Drop-1A", "Drop-1M"]


def test_greedy_and_sampled_differ_by_what_they_have_in_common():
    greedy = table(*(text(f"P{number}", 0, 5, 9) for number in range(6)))
    sampled = table(
        *(text(f"P{number}", seed, 1 + seed, 7) for number in range(6) for seed in range(2))
    )
    found = greedy_and_sampled.Decoded.of(greedy, sampled, 0)
    assert found.steps == 7
    assert found.texts == {"greedy": 6, "sampled": 12}
    assert found.lasting["greedy"].value == pytest.approx(5)
    assert found.lasting["sampled"].value == pytest.approx(1.5)
    assert found.longer.value == pytest.approx(-3.5)
    assert found.longer.below(0)
    assert "sampling parts sooner" in greedy_and_sampled.words({"A": found})
    # later steps are 1 to 6: greedy has 1 of them after its parting, sampled 5 and 4
    assert found.more["KL"].value == pytest.approx(2.0 * (4.5 - 1) / 6)
    curves = greedy_and_sampled.curves({"A": found})
    assert curves.groupby("series")["mean"].sum().to_dict() == pytest.approx(
        {"greedy": 5, "sampled": 1.5}
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.floats(0, 8), st.floats(-6, 1), st.integers(0, 10**6))
def test_cosine_is_never_below_its_bound(size, spread, scale, seed):
    generator = np.random.default_rng(seed)
    logits = spread * generator.standard_normal(size)
    other = logits + 10**scale * generator.standard_normal(size)
    p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (logits, other))
    kl = float((p * np.log(p / q)).sum())
    cosine = p @ q / np.linalg.norm(p) / np.linalg.norm(q)
    assert cosine >= figure_7.least_cosine(kl, size) - 1e-9


def test_bound_leaves_nothing_at_zero_and_all_at_large_divergence():
    assert figure_7.least_cosine(0.0, 1000) == 1.0
    assert figure_7.least_cosine(5.0, 1000) == 0.0


def test_what_the_printed_figure_7_says():
    printed = figure_7.Printed.of(reported.figure_7())
    assert printed.steps == reported.FIGURE_7.points == 222
    assert printed.above == 108
    assert printed.bound == pytest.approx(27.631, abs=1e-3)
    assert printed.apart["step"].tolist() == [4, 5]
    assert printed.apart["cosine"].tolist() == pytest.approx([0.0873, 0.2595], abs=1e-4)
    assert printed.factors == pytest.approx([0.03] * 3, rel=0.01)
    assert printed.memory["cosine", "embedding"] > 0.9 > 0.5 > printed.memory["kl", "probability"]


def test_panels_hold_both_ways_of_reading_and_the_printed_curves_as_far_as_ours():
    ours = table(text("A", 0, 1, 5, short=1), text("B", 0, None, 3))
    found = figure_7.panels(ours, reported.figure_7())
    measured = found[found["quantity"] == "measured"].groupby("panel")
    assert measured["series"].nunique().to_dict() == {
        panel: 3 if metric == "cosine" else 1 for panel, (metric, _) in figure_7.PANELS.items()
    }
    assert measured["step"].max().tolist() == [4, 3, 4, 3]
    printed = found[found["quantity"] == "reported"]
    assert printed["step"].max() == 4
    assert set(printed["panel"]) == set(figure_7.FREE.values())
    first = printed.query("step == 0 and space == 'embedding'")["mean"]
    assert first.tolist() == pytest.approx([0.751038])


def test_estimates_without_interval_get_no_verdict():
    assert multi_scale.above([(Estimate(9.0), 0.0)]) == "too few prompts"
    conditions = [(Estimate(1.0, 0.5, 2.0), 0.0), (Estimate(0.1, -0.5, 0.5), 0.0)]
    assert multi_scale.above(conditions) == "partly"
