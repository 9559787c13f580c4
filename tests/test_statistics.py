import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, spearmanr

from reporting import statistics, verdicts
from reporting.claims import MARKS, OURS, Claim, Printed, claims_table, judge, listed
from reporting.statistics import FEWEST, Estimate


def test_resampled_means_are_those_of_a_naive_loop():
    values = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 7.0]])
    found = statistics.resampled(values, 3)
    draws = np.random.default_rng(3).integers(3, size=(statistics.RESAMPLES, 3))
    assert found.shape == (1 + statistics.RESAMPLES, 2)
    assert found[0].tolist() == [7 / 3, 6.0]
    for row, draw in zip(found[1:20], draws, strict=False):
        for column in range(2):
            kept = [values[i, column] for i in draw if np.isfinite(values[i, column])]
            expected = sum(kept) / len(kept) if kept else np.nan
            assert row[column] == pytest.approx(expected, nan_ok=True)


def test_interval_is_that_of_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).normal(size=40)
    ours = statistics.mean(values, 1)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=2)
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03)
    assert ours.n == 40


def test_too_few_prompts_have_no_interval():
    assert statistics.mean([1.0] * (FEWEST - 1), 0) == Estimate(1.0, n=FEWEST - 1)
    assert statistics.mean([1.0] * FEWEST, 0) == Estimate(1.0, 1.0, 1.0, FEWEST)
    assert statistics.mean([1.0] * (FEWEST - 1) + [np.nan], 0).low is None


def test_ratio_of_means_takes_prompts_that_have_both():
    table = pd.DataFrame({"a": [2.0, 4.0, np.nan, 6, 8, 9], "b": [1.0, 2.0, 9.0, 3, 4, np.nan]})
    found = statistics.ratio(table, "a", "b", 0)
    assert (found.value, found.low, found.n) == (2.0, None, 4)
    assert np.isnan(statistics.ratio(table.iloc[:0], "a", "b", 0).value)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12))
def test_rank_correlation_is_scipys(pairs):
    a, b = np.array(pairs, float).T
    found = statistics.rank_correlation(a[None], b[None])[0]
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert found == pytest.approx(spearmanr(a, b).statistic)
    else:
        assert np.isnan(found)


@pytest.mark.parametrize(
    ("one", "form", "text"),
    [
        (Estimate(0.617, 0.551, 0.708), ".2f", "0.62 [0.55–0.71]"),
        (Estimate(-0.2, -0.5, -0.1), ".1f", "−0.2 [−0.5 to −0.1]"),
        (Estimate(0.5), ".0%", "50%"),
        (Estimate(float("nan")), ".2f", "–"),
        (Estimate(-0.001, -0.2, 0.2), ".2f", "0.00 [−0.20 to 0.20]"),
    ],
)
def test_estimate_as_text(one, form, text):
    assert one.text(form) == text


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ([True, True], "supported"),
        ([True, False, None], "in some (1 of 3)"),
        ([False, None], "contradicted"),
        ([None, None], "too few data"),
        ([], "model too weak"),
        ([np.True_, np.bool_(False)], "in some (1 of 2)"),
    ],
)
def test_verdicts(conditions, verdict):
    assert judge(conditions) == verdict
    assert Claim("c", OURS, "m", "k", conditions).verdict == verdict
    assert verdicts.kind(verdict) in MARKS


def test_a_whole_interval_must_meet_the_criterion():
    inside, across, outside = Estimate(2, 1, 3), Estimate(0.5, -1, 2), Estimate(-2, -3, -1)

    def held(*found, **bounds):
        named = dict(zip("ABC", found, strict=False))
        return Claim.of("c", OURS, named, "k", **bounds or {"low": 0}).verdict

    assert held(inside) == "supported"
    assert held(across) == held(Estimate(2.0)) == "too few data"
    assert held(outside) == "contradicted"
    assert held(inside, across, outside) == "in some (1 of 3)"
    assert held(inside, low=0, high=2.5) == "too few data"
    assert listed({"A": inside, "B": outside}, ".0f") == "2 [1–3] (A); −2 [−3 to −1] (B)"


def test_claims_table_shows_the_papers_column_only_where_there_is_one():
    plain = Claim("c", OURS, "m", "k", [True])
    assert list(claims_table([plain])) == ["claim", "verdict", "measured", "criterion"]
    others = [
        Claim("d", OURS, "m", "k", [True, False], Printed("Figure 3")),
        Claim.of("e", OURS, {}, "k", low=0.8, paper={"A": 0.9, "B": 0.7}),
    ]
    both = claims_table([plain, *others])
    assert list(both["the paper's numbers"]) == [
        "",
        "Figure 3",
        "◐ in some (1 of 2): 0.90 (A); 0.70 (B)",
    ]
    assert list(both["verdict"]) == ["✓ supported", "◐ in some (1 of 2)", "∅ model too weak"]


def test_no_prompts_have_no_mean():
    found = statistics.mean(np.array([]), 0)
    assert (found.text(), found.n) == ("–", 0)
