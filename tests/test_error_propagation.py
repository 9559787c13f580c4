"""Summaries of Appendix D, on tables made by hand whose answers are known."""

import itertools

import pandas as pd
import pytest

from chapters.d_error_propagation import story
from chapters.d_error_propagation.story import (
    ORDERS,
    TERMS,
    Paths,
    Terms,
    by_depth,
    by_step,
    scaled,
)
from helpers.errors import InputError

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


def test_paths_leave_untouched_layers_out_and_count_the_others():
    one = paths(value=0.6, remainder=0.1)
    assert one.layers == [1, 2, 3]
    assert not one.own
    assert one.reduced(one.samples("value", "share")).value == pytest.approx(0.625)
    assert one.reduced(one.missed, layer=2).value == pytest.approx(0.1)
    assert one.by_values.value == one.dominant.value == 1
    assert paths(remainder=0.45).dominant.value == 0
    assert one.from_first == (3, pytest.approx(0.3))
    lines = by_depth({"A": one})
    assert set(lines["x"]) == {1, 2, 3}
    assert (lines["n"] == len(PROMPTS)).all()


def test_nothing_reached_is_one_line():
    with pytest.raises(InputError, match="no attention reads anything"):
        story.reached({"A": paths(layers=())})


def test_orders_of_known_powers():
    found = scaled({"A": paths(scales=tuple(2.0**-power for power in range(8)))})
    slopes = found.drop_duplicates("series").set_index("series")
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
    assert one.parting == "6 of 6, at step 3"
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
    assert one.parting == "0 of 6, at step –"
    found = {claim.claim: claim for claim in story.claims({"A": paths()}, {"A": one}, scaled({}))}
    assert found["D.3, 7.1: … and compound"].verdict == "too few data"
    orders = found["D.1: to first order there are two paths, values and weights"]
    assert (orders.verdict, orders.measured) == ("too few data", "–")
    assert not any("nan" in claim.measured for claim in found.values())


def test_verdicts_follow_the_numbers():
    small = paths(scales=tuple(2.0**-power for power in range(8)))
    growing = paths(value=0.3, remainder=0.45), terms(history=lambda step: 0.1 + step, after=0.01)
    found = [
        [claim.verdict for claim in story.claims({"A": path}, {"A": term}, scaled({"A": small}))]
        for path, term in ((small, terms()), growing)
    ]
    yes, no = "supported", "contradicted"
    assert found[0] == [
        *(yes, yes, yes),  # orders, two paths, values
        *(yes, no),  # persists, does not compound
        *(yes, yes),  # the tokens' term, and that it leads
        *(yes, no),  # rises, does not go on
    ]
    assert found[1] == [yes, no, no, yes, yes, yes, no, yes, yes]
    weak = story.claims({"A": small}, {}, scaled({"A": small}))
    assert [claim.verdict for claim in weak[3:]] == ["model too weak"] * 6


def test_layer_without_attention_has_dashes():
    table = story.layer_paths({"A": paths(), "B": paths(layers=(1,))}, "ABC", 2)
    assert list(table["model"]) == ["A", "B", "C"]
    assert table.loc[0, "from its inputs"] == "all"
    assert (table.loc[1:, "by values"] == "–").all()


def test_first_token_has_the_layer_where_it_becomes_long():
    facts = {"A": {"layers": [1, 2, 3], "first_norms": {"dense": [1, 2, 200], "pruned": [1, 1, 2]}}}
    row = story.first_token({"A": paths()}, facts).iloc[0]
    assert row.tolist() == ["A", 3, "0.30", "200", "2", "2", "100"]
    apart = {"A": facts["A"] | {"layers": [0, 3, 5]}}
    assert story.first_token({"A": paths()}, apart)["by a factor of"].item() == "–"
