"""Summaries of Appendix D, on tables made by hand whose answers are known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from chapters.d_error_propagation import error_propagation
from chapters.d_error_propagation.path_summary import Paths, by_depth, scaled
from chapters.d_error_propagation.term_summary import ORDERS, TERMS, Terms, by_step, parting_words
from helpers.errors import InputError
from reporting.reach import Estimate
from reporting.resampling import counted, estimate, ratio, resampled

PROMPTS = [f"P{number}" for number in range(6)]


def paths(value=0.6, remainder=0.1, layers=(1, 2, 3), scales=(1.0,)):
    """Layer 0 untouched; elsewhere the change has size 1, the remainder a size of its own."""
    rows = []
    for prompt, layer, step, scale in itertools.product(PROMPTS, layers, (0, 1), scales):
        where = {"prompt": prompt, "layer": layer, "step": step, "scale": scale}
        wobble = 0.01 * int(prompt[1:])
        shares = {"value": value + wobble, "remainder": 0.0, "weight": 1 - value - wobble}
        lengths = {"value": 0.5, "weight": 0.4, "remainder": remainder * scale, "change": 1.0}
        for cause in ("inputs", "parameters", "both"):
            size = 0.0 if cause == "parameters" else scale
            at = where | {"cause": cause}
            for term, length in lengths.items():
                rows.append(at | {"term": term, "metric": "size", "value": length * size})
            if size:
                rows += [
                    at | {"term": term, "metric": "share", "value": share}
                    for term, share in shares.items()
                ]
                rows.append(at | {"term": "change", "metric": "part", "value": 1.0})
        rows.append(
            where | {"cause": "inputs", "term": "value", "metric": "first", "value": 0.1 * layer}
        )
    rows += [
        {"prompt": prompt, "layer": 0, "step": 0, "scale": 1.0, "cause": cause}
        | {"term": term, "metric": "size", "value": 0.0}
        for prompt in PROMPTS
        for cause in ("inputs", "parameters", "both")
        for term in ("value", "weight", "remainder", "change")
    ]
    return Paths(pd.DataFrame(rows), seed=0)


def terms(parts=3, steps=8, history=lambda step: 0.3, after=1.0):
    """Texts part at step ``parts``; then the tokens' term has length ``after``, before it 0."""
    rows = []
    for prompt, step, order in itertools.product(PROMPTS, range(steps), ORDERS):
        parted = step >= parts
        lengths = {"parameters": 0.4, "history": history(step), "tokens": after * parted}
        total = sum(lengths.values())
        at = {"prompt": prompt, "step": step, "order": order, "parted": parted}
        for term, length in lengths.items():
            rows.append(at | {"term": term, "metric": "relative", "value": length})
            rows.append(at | {"term": term, "metric": "share", "value": length / total})
        rows.append(at | {"term": "whole", "metric": "relative", "value": total})
        rows.append(at | {"term": "whole", "metric": "residual", "value": 1e-6 * step})
    return Terms(pd.DataFrame(rows).assign(space="embedding"), seed=0)


def test_resampled_means_against_a_loop():
    values = np.random.default_rng(1).normal(size=(6, 2))
    values[2, 1] = np.nan
    found = resampled(pd.DataFrame(values), seed=5)
    draws = np.random.default_rng(5).integers(6, size=(len(found) - 1, 6))
    assert found[0, 1] == pytest.approx(np.nanmean(values[:, 1]))
    for row in (0, 7, 100):
        kept = [value for value in values[draws[row], 1] if not np.isnan(value)]
        assert found[row + 1, 1] == pytest.approx(sum(kept) / len(kept))


def test_too_few_prompts_have_no_interval():
    few = pd.DataFrame({"above": [2.0, 4.0, np.nan], "below": [1.0, 2.0, 3.0]})
    assert not counted(few)
    assert ratio(few, "above", "below", 0) == Estimate(2.0)
    assert estimate(few[["below"]], 0) == Estimate(2.0)
    assert np.isnan(ratio(few[few["above"].isna()], "above", "below", 0).value)


def test_paths_leave_untouched_layers_out_and_count_the_others():
    one = paths(value=0.6, remainder=0.1)
    assert one.layers == [1, 2, 3]
    assert not one.own
    assert one.median("value", "share").value == pytest.approx(0.625)
    assert one.missed_at(2).value == pytest.approx(0.1)
    assert one.by_values.value == one.dominant.value == 1
    assert paths(remainder=0.45).dominant.value == 0
    assert one.from_first == (3, pytest.approx(0.3))
    lines = by_depth({"A": one})
    assert set(lines["step"]) == {1, 2, 3}
    assert (lines["n"] == len(PROMPTS)).all()


def test_nothing_reached_is_one_line():
    with pytest.raises(InputError, match="no attention reads anything"):
        error_propagation.reached({"A": paths(layers=())})


def test_orders_of_known_powers():
    found = scaled({"A": paths(scales=tuple(2.0**-power for power in range(8)))})
    slopes = found.drop_duplicates("path").set_index("path")
    assert slopes.loc["values", "slope"] == pytest.approx(1)
    assert slopes.loc["remainder", "slope"] == pytest.approx(2)
    assert dict(slopes["order"]) == {"values": 1, "weights": 1, "remainder": 2}
    assert scaled({"A": paths()}).empty


def test_terms_before_and_after_the_parting():
    one = terms()
    assert one.value("tokens", "relative", parted=False).value == 0
    assert one.value("tokens", "share", parted=True).value == pytest.approx(1 / 1.7)
    assert one.rise().value == pytest.approx(1.7 / 0.7)
    assert one.before_parting == 0
    assert one.largest_residual == pytest.approx(7e-6)
    assert parting_words(one) == "6 of 6, at step 3"
    lines = by_step({"A": one}, "share", "tokens_first")
    assert len(lines) == 8 * len(TERMS)


@pytest.mark.parametrize(
    ("history", "expected"), [(lambda step: 0.3, 1), (lambda step: 0.1 * (step + 1), 26 / 10)]
)
def test_growth_is_later_half_over_earlier_half(history, expected):
    found = terms(history=history).growth("history")
    assert found.value == pytest.approx(expected)
    assert found.above(1) == (expected > 1)


def test_texts_that_never_part_and_short_ones_have_no_numbers():
    one = terms(parts=99, steps=2)
    assert one.value("tokens", "share", parted=True).text() == "–"
    assert one.rise().text() == "–"
    assert one.growth("history").text() == "–"
    assert parting_words(one) == "0 of 6"
    table = error_propagation.verdicts({"A": paths()}, {"A": one}, scaled({"A": paths()}))
    judged = dict(zip(table["claim"], table["verdict"], strict=True))
    assert judged["D.3, 7.1: … and compound"] == "too few prompts"
    assert judged["D.1: to first order there are two paths, values and weights"] == "not measured"
    assert not table.map(str).apply(lambda column: column.str.contains("nan")).any(axis=None)


def test_verdicts_follow_the_numbers():
    small = paths(scales=tuple(2.0**-power for power in range(8)))
    found = {
        name: dict(zip(table["claim"], table["verdict"], strict=True))
        for name, table in (
            (
                "flat",
                error_propagation.verdicts({"A": small}, {"A": terms()}, scaled({"A": small})),
            ),
            (
                "growing",
                error_propagation.verdicts(
                    {"A": paths(value=0.3, remainder=0.45)},
                    {"A": terms(history=lambda step: 0.1 + step, after=0.01)},
                    scaled({"A": small}),
                ),
            ),
        )
    }
    assert list(found["flat"].values()) == [
        *("held", "held", "held"),  # orders, two paths, values
        *("held", "not"),  # persists, does not compound
        *("held", "held"),  # the tokens' term, and that it leads
        *("held", "not"),  # rises, does not go on
    ]
    assert list(found["growing"].values()) == [
        *("held", "not", "not"),
        *("held", "held"),
        *("held", "not"),
        *("held", "held"),
    ]


def test_layer_without_attention_has_dashes():
    table = error_propagation.layer_paths({"A": paths(), "B": paths(layers=(1,))}, "ABC", 2)
    assert list(table["model"]) == ["A", "B", "C"]
    assert table.loc[0, "from its inputs"] == "all"
    assert (table.loc[1:, "by values"] == "–").all()


def test_words_on_the_first_token_name_where_it_becomes_long():
    facts = {"A": {"layers": [1, 2, 3], "first_norms": {"dense": [1, 2, 200], "pruned": [1, 1, 2]}}}
    one = paths()
    assert error_propagation.first_token({"A": one}, facts).startswith("In none")
    table = one.table.copy()
    table.loc[table["metric"].eq("first") & table["layer"].eq(3), "value"] = 0.8
    words = error_propagation.first_token({"A": Paths(table, 0)}, facts)
    assert "makes 0.80 of the change at layer 3" in words
    assert "in layer 2: there it grows 100-fold" in words
