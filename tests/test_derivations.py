"""Steps of derivations: what they check, and that they notice what is wrong."""

import math
from dataclasses import replace

import hypothesis.strategies as st
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings

from reporting import derivations
from reporting.derivations import Proof, Step, check
from reporting.states import State, angular, divergence, skewed, states, vector

VALUES = st.lists(st.tuples(st.floats(-20, 20), st.floats(-9, 9)), min_size=2, max_size=8)
TEMPERATURE = st.floats(0.3, 4)


def made(rows, temperature=1.0):
    z, delta = zip(*rows, strict=True)
    return State("made", vector(*z), vector(*delta), temperature)


def naive(rows, temperature):
    """p and q by plain loops."""
    found = []
    for logits in ([z for z, _ in rows], [z + d for z, d in rows]):
        top = max(logits)
        powers = [math.exp((x - top) / temperature) for x in logits]
        found.append([x / math.fsum(powers) for x in powers])
    return found


@settings(max_examples=60, deadline=None)
@given(VALUES, TEMPERATURE)
def test_quantities_are_their_definitions(rows, temperature):
    s = made(rows, temperature)
    p, q = naive(rows, temperature)
    length = math.sqrt(math.fsum(x * x for x in p))
    other = math.sqrt(math.fsum(x * x for x in q))
    dot = math.fsum(a * b for a, b in zip(p, q, strict=True))
    mu = math.fsum(a * d for a, (_, d) in zip(p, rows, strict=True))
    assert s.p.tolist() == pytest.approx(p, abs=1e-12)
    assert s.q.tolist() == pytest.approx(q, abs=1e-12)
    assert s.dp.tolist() == pytest.approx([b - a for a, b in zip(p, q, strict=True)], abs=1e-12)
    assert s.r.tolist() == pytest.approx([x * x / length**2 for x in p], abs=1e-12)
    assert s.mu.item() == pytest.approx(mu, abs=1e-11)
    assert s.length.item() == pytest.approx(length)
    assert s.a.item() == pytest.approx(dot / length**2 - 1, abs=1e-11)
    assert s.turn.item() == pytest.approx(1 - dot / (length * other), abs=1e-12)
    kl = math.fsum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    back = math.fsum(b * (math.log(b) - math.log(a)) for a, b in zip(p, q, strict=True))
    assert s.kl.item() == pytest.approx(kl, rel=1e-10, abs=1e-12)
    assert s.kl_reversed.item() == pytest.approx(back, rel=1e-10, abs=1e-12)
    matrix = torch.diag(s.p) - torch.outer(s.p, s.p)
    assert torch.allclose(s.jacobian, matrix @ s.delta, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.floats(-30, 30))
def test_a_state_splits_scales_and_centres(rows, offset):
    s = made(rows)
    assume(min(s.z.norm(), s.centred().z.norm()) > 1e-3)  # a zero vector has no direction
    assert torch.allclose(s.along + s.across, s.delta, atol=1e-9)
    assert abs(float(s.across @ s.z)) <= 1e-9 * float(1 + s.z @ s.z)
    assert torch.equal(s.scaled(0.25).delta, s.delta / 4)
    centred = s.centred()
    assert abs(float(centred.z.mean())) < 1e-12
    assert abs(float(centred.across.mean())) < 1e-9
    assert torch.allclose(centred.q, s.q, atol=1e-12)
    assert torch.allclose(s.changed(s.delta + offset).q, s.q, atol=1e-12)


@given(st.floats(1e-9, 1e-3))
def test_small_angles_and_divergences_do_not_cancel(size):
    """Series that are exact to twelve digits here; 1 − cos and Σ p log(p/q) would lose most."""
    a, b = vector(1.0, 0.0), vector(1.0, size)
    assert angular(a, b).item() == pytest.approx(size**2 / 2 - 3 * size**4 / 8, rel=1e-6)
    p, q = (torch.log_softmax(vector(0.0, x), -1) for x in (0.0, size))
    assert divergence(p, q).item() == pytest.approx(size**2 / 8, rel=1e-6)


def test_a_right_step_holds_and_a_wrong_one_does_not():
    cases = [skewed(), skewed().at(0.5)]
    good = check(Step("1", "ratio", lambda s: (s.q, s.p * (s.log_q - s.log_p).exp())), cases)
    assert good["holds"] == "yes"
    assert float(good["largest difference"]) < 1e-14
    bad = check(Step("1", "near", lambda s: (s.q, s.q + 1e-9)), cases)
    assert bad["holds"] == "no"
    only_first = check(Step("1", "T", lambda s: (s.q * s.temperature, s.q)), cases)
    assert only_first["holds"] == "no"
    broken = check(Step("1", "not a number", lambda s: (s.q * float("nan"), s.q)), cases[:1])
    assert broken["holds"] == "no"
    assert check(Step("1", "zero", lambda s: (s.dp.sum(), 0.0)), cases)["holds"] == "yes"


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_orders_are_measured(order):
    exact = Step("", "power", lambda s: (s.u.square().sum() ** (order / 2), 0.0), order)
    assert exact.slope(skewed()) == pytest.approx(order)
    assert check(exact, [skewed()])["holds"] == "yes"
    claimed = Step("", "power", exact.sides, order + 1)
    assert check(claimed, [skewed()])["holds"] == "no"


def test_no_error_is_no_failure_and_nothing_is_not_a_number():
    row = check(Step("", "same", lambda s: (s.q, s.q), 2), [skewed()])
    assert row["holds"] == "yes"
    assert "nan" not in str(row)


@pytest.mark.parametrize(
    "step",
    [
        derivations.THEOREM_1,
        derivations.THEOREM_1_ORTHOGONAL,
        derivations.THEOREM_2,
        derivations.THEOREM_3,
        derivations.LINEAR,
    ],
)
def test_theorems_err_with_the_order_they_claim(step):
    for temperature in derivations.TEMPERATURES:
        assert step.slope(skewed().at(temperature)) == pytest.approx(step.order, abs=0.05)


def test_proof_counts_what_holds():
    proof = Proof([skewed()])
    first = proof.check(Step("1", "fine", lambda s: (s.q, s.q)))
    assert list(first["holds"]) == ["yes"]
    assert proof.summary() == "1 of 1 checked steps hold"
    proof.check(Step("2", "odd", lambda s: (s.q, s.p)), Step("3", "too", lambda s: (s.p, s.p)))
    assert proof.summary() == "2 of 3 checked steps hold; not odd"


def test_errors_and_their_slopes():
    frame = derivations.errors([derivations.THEOREM_2, derivations.LINEAR], [skewed()])
    assert len(frame) == 2 * 3 * len(derivations.SIZES)
    row = frame[(frame["series"] == "T = 2") & (frame["x"] == 0.5)].iloc[0]
    one = skewed().at(2).scaled(0.5)
    assert row["mean"] == abs(float(one.turn - derivations.theorem_2(one)))
    assert row["panel"] == "Fixed skewed case"
    table = derivations.slopes(frame)
    assert list(table["step"]) == ["Theorem 2", "linear response"]
    assert list(table["expected order"]) == [3, 2]
    assert table["T = 2"].tolist() == pytest.approx([3, 2], abs=0.05)
    by_step = derivations.errors([derivations.LINEAR], [skewed()], [1], by="step", space="logit")
    assert set(by_step["series"]) == {"linear response"}


def test_guides_have_whole_slopes_and_leave_the_lowest_point():
    frame = derivations.errors([derivations.THEOREM_3], [skewed()])
    (panel,) = derivations.guides(frame).values()
    lowest = frame.loc[frame["x"] == frame["x"].min(), "mean"].min()
    for order, guide in zip((2, 3, 4), panel, strict=True):
        assert guide.y[1] / guide.y[0] == pytest.approx((guide.x[1] / guide.x[0]) ** order)
        assert guide.y[0] == lowest / 2


def test_no_error_is_missing_on_a_logarithmic_axis():
    same = Step("", "same", lambda s: (s.q, s.q), 2)
    assert derivations.errors([same], [skewed()])["mean"].isna().all()


def test_states_of_a_table_in_order_of_layer_and_token():
    table = pd.DataFrame(
        {
            "layer": [3, 3, 1, 1],
            "sublayer": ["mlp"] * 4,
            "token": [1, 0, 0, 1],
            "text": ["b", "a", "a", "b"],
            "z": [4.0, 3.0, 1.0, 2.0],
            "delta": [0.4, 0.3, 0.1, 0.2],
        }
    )
    first, last = states(table, 2.0)
    assert (first.name, last.name) == ("MLP of layer 1", "MLP of layer 3")
    assert last.z.tolist() == [3, 4]
    assert last.text == ("a", "b")
    assert last.temperature == 2
    movers = last.movers(1)
    assert movers["Δz"].tolist() == [0.3]
    assert movers["token"].tolist() == ["'a'"]


def test_numbers_of_cases_stand_one_a_row():
    s = skewed()
    columns = {"truth": lambda s: s.turn, "Theorem 2": derivations.theorem_2}
    table = derivations.tabled({"one": s, "cold": s.at(0.5)}, columns | {"b": derivations.bounded})
    assert table["case"].tolist() == ["one", "cold"]
    assert table["truth"].tolist() == [s.turn.item(), s.at(0.5).turn.item()]
    assert table["b"].tolist() == pytest.approx([1 - math.exp(-x) for x in table["Theorem 2"]])


def test_an_offset_turns_logits_less_and_probabilities_not_at_all():
    s = skewed()
    moved = replace(s, z=s.z + 1000)
    assert moved.turn.item() == pytest.approx(s.turn.item())
    assert moved.logit_turn < s.logit_turn / 1000
    assert s.centred().across.mean().item() == pytest.approx(0, abs=1e-12)


def test_linear_response_leaves_the_range_of_probabilities():
    tie = State("tie", vector(0, 0), vector(5, -5))
    response = derivations.LINEAR.sides(tie)[1]
    assert (tie.p + response).tolist() == pytest.approx([3, -2])  # p + p·u = 1/2 ± 5/2


def test_sizes_run_from_nothing_to_the_limit():
    estimates = {
        ("truth", "measured"): lambda s: s.turn,
        ("Theorem 2", "theorem"): derivations.theorem_2,
        ("exact identity", "exact"): derivations.identity,
    }
    tie = State("tie", vector(0, 0), vector(5, -5))
    frame = derivations.by_size(estimates, [tie], (0.0, 1.0)).set_index(["x", "series"])["mean"]
    assert (frame[0.0].abs() < 1e-15).all()
    assert frame[1.0]["exact identity"] == pytest.approx(frame[1.0]["truth"])
    assert frame[1.0]["Theorem 2"] == pytest.approx(12.5)
