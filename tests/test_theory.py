"""The theorems against their definitions, computed with fifty digits and naive loops."""

import hypothesis.strategies as st
import mpmath
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from helpers import theory

mpmath.mp.dps = 50
TEMPERATURES = (0.5, 1.0, 2.0)
SIZES = 2.0 ** -torch.arange(6, 12, dtype=torch.float64)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Fixed and skewed: in a symmetric case the third order vanishes, and the errors fall faster.
Z = vector(2.0, 1.1, 0.3, -0.5, -1.2, -3.0)
DELTA = vector(0.3, -0.6, 0.9, 0.1, -0.4, 2.0)


class Definition:
    """What the equations define, token by token, in numbers of fifty digits."""

    def __init__(self, z: Tensor, delta: Tensor, temperature: float = 1.0) -> None:
        self.z, self.delta = ([mpmath.mpf(x) for x in values.tolist()] for values in (z, delta))
        self.temperature = mpmath.mpf(temperature)
        self.p = self.softmax(self.z)
        self.q = self.softmax([a + b for a, b in zip(self.z, self.delta, strict=True)])
        square = mpmath.fsum(x * x for x in self.p)
        self.r = [x * x / square for x in self.p]

    def softmax(self, z: list) -> list:
        powers = [mpmath.exp(x / self.temperature) for x in z]
        total = mpmath.fsum(powers)
        return [x / total for x in powers]

    def mean(self, weights: list, power: int = 1, centre: float = 0) -> mpmath.mpf:
        return mpmath.fsum(
            w * (x - centre) ** power for w, x in zip(weights, self.delta, strict=True)
        )

    def variance(self, weights: list) -> mpmath.mpf:
        return self.mean(weights, 2, self.mean(weights))

    def kl(self) -> mpmath.mpf:
        return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(self.p, self.q, strict=True))


def angular(a: list, b: list) -> mpmath.mpf:
    def dot(x: list, y: list) -> mpmath.mpf:
        return mpmath.fsum(one * other for one, other in zip(x, y, strict=True))

    return 1 - dot(a, b) / mpmath.sqrt(dot(a, a) * dot(b, b))


def close(found: Tensor, wanted: object, tolerance: float = 1e-10) -> bool:
    return bool(abs(mpmath.mpf(found.item()) - wanted) <= tolerance * (1 + abs(wanted)))


def pairs(largest: float, change: float) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Logits and their changes, of one length."""
    value = st.tuples(st.floats(-largest, largest), st.floats(-change, change))
    return st.lists(value, min_size=2, max_size=9).map(
        lambda rows: tuple(torch.tensor(column, dtype=torch.float64) for column in zip(*rows))  # noqa: B905
    )


ORDINARY = pairs(30, 20)
TEMPERATURE = st.floats(0.25, 4)


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE)
def test_weights_and_moments_are_their_definitions(given_pair, temperature):
    z, delta = given_pair
    wanted = Definition(z, delta, temperature)
    for found, weights in ((theory.log_p, wanted.p), (theory.log_r, wanted.r)):
        logs = found(z, temperature)
        for one, other in zip(logs, weights, strict=True):
            assert close(one, mpmath.log(other))
        assert close(theory.mean(logs, delta), wanted.mean(weights))
        assert close(theory.variance(logs, delta), wanted.variance(weights))
        third = wanted.mean(weights, 3, wanted.mean(weights))
        assert close(theory.third_cumulant(logs, delta), third, 1e-8)
        moment = mpmath.fsum(w * mpmath.exp(x) for w, x in zip(weights, wanted.delta, strict=True))
        assert close(theory.log_moment(logs, delta), mpmath.log(moment))


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE)
def test_identities_are_exact(given_pair, temperature):
    z, delta = given_pair
    wanted = Definition(z, delta, temperature)
    assert close(theory.angular_identity(z, delta, temperature), angular(wanted.p, wanted.q))
    assert close(theory.kl_identity(z, delta, temperature), wanted.kl())


@settings(max_examples=60, deadline=None)
@given(pairs(5, 5))
def test_angle_of_vectors_is_exact(given_pair):
    h, delta = given_pair
    h = h + 6  # away from the zero vector
    alpha, across = theory.split(h, delta)
    wanted = [
        mpmath.mpf(a) + mpmath.mpf(b) for a, b in zip(h.tolist(), delta.tolist(), strict=True)
    ]
    base = [mpmath.mpf(a) for a in h.tolist()]
    assert close(theory.angular_exact(alpha, across), angular(base, wanted))
    rest = delta - alpha * h
    assert abs(float(rest @ h)) <= 1e-10 * float(h @ h)
    assert close(across, rest.norm().item() / h.norm().item())
    assert close(theory.angular_theorem_1(across), float(across) ** 2 / 2)


def test_angle_beyond_a_right_angle():
    h = vector(3.0, 4.0)
    for delta, wanted in ((-2 * h, 2.0), (vector(-7.0, -1.0), 1.0), (0 * h, 0.0)):
        assert theory.angular_exact(*theory.split(h, delta)).item() == pytest.approx(wanted)


def test_estimates_at_a_number_worked_by_hand():
    """Two tokens with p = (3/4, 1/4), so r = (9/10, 1/10), and Δz = (1, 0)."""
    z, delta = vector(3.0, 1.0).log(), vector(1.0, 0.0)
    variance_p = theory.variance(theory.log_p(z), delta)
    variance_r = theory.variance(theory.log_r(z), delta)
    assert variance_p.item() == pytest.approx(3 / 16)
    assert variance_r.item() == pytest.approx(9 / 100)
    assert theory.kl_theorem_3(variance_p, 2.0).item() == pytest.approx(3 / 128)
    assert theory.angular_theorem_2(variance_r, 2.0).item() == pytest.approx(9 / 800)
    response = theory.linear_response(2 * z, delta, 2.0)
    assert response.tolist() == pytest.approx([3 / 32, -3 / 32])
    assert theory.log_uniform(z).exp().tolist() == pytest.approx([0.5, 0.5])


# How fast the errors fall


def slope(error, z=Z, delta=DELTA) -> float:
    """Order of `error(z, Δz)`, against definitions, as Δz shrinks."""
    return theory.order(SIZES, torch.stack([error(z, size * delta) for size in SIZES]))


def in_fifty_digits(value: object) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


def angular_error(estimate, temperature):
    def error(z, delta):
        exact = Definition(z, delta, temperature)
        return in_fifty_digits(
            angular(exact.p, exact.q) - mpmath.mpf(estimate(z, delta, temperature).item())
        )

    return error


def by_theorem_2(z, delta, temperature):
    return theory.angular_theorem_2(
        theory.variance(theory.log_r(z, temperature), delta), temperature
    )


def bounded(z, delta, temperature):
    return theory.angular_bounded(theory.variance(theory.log_r(z, temperature), delta), temperature)


def by_theorem_3(z, delta, temperature):
    return theory.kl_theorem_3(theory.variance(theory.log_p(z, temperature), delta), temperature)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_theorem_2_and_the_bounded_form_err_at_order_3(temperature):
    for estimate in (by_theorem_2, bounded):
        assert slope(angular_error(estimate, temperature)) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("turned", [False, True])
def test_theorem_3_errs_at_order_3_in_both_directions(temperature, turned):
    def error(z, delta):
        exact = Definition(*((z + delta, -delta) if turned else (z, delta)), temperature)
        return in_fifty_digits(exact.kl() - mpmath.mpf(by_theorem_3(z, delta, temperature).item()))

    assert slope(error) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_linear_response_errs_at_order_2(temperature):
    def error(z, delta):
        exact = Definition(z, delta, temperature)
        moved = [float(b - a) for a, b in zip(exact.p, exact.q, strict=True)]
        return (vector(*moved) - theory.linear_response(z, delta, temperature)).norm()

    assert slope(error) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(("orthogonal", "order"), [(False, 3), (True, 4)])
def test_theorem_1_errs_at_order_3_and_at_4_if_orthogonal(orthogonal, order):
    def error(h, delta):
        base = [mpmath.mpf(x) for x in h.tolist()]
        change = [mpmath.mpf(x) for x in delta.tolist()]
        dot = mpmath.fsum(a * b for a, b in zip(base, change, strict=True))
        square = mpmath.fsum(a * a for a in base)
        across = [b - dot / square * a for a, b in zip(base, change, strict=True)]
        if orthogonal:
            change = across
        exact = angular(base, [a + b for a, b in zip(base, change, strict=True)])
        given_delta = torch.tensor([float(x) for x in change], dtype=torch.float64)
        found = theory.angular_theorem_1(theory.split(h, given_delta)[1])
        return in_fifty_digits(exact - mpmath.mpf(found.item()))

    assert slope(error) == pytest.approx(order, abs=0.05)


def test_symmetric_cases_err_at_order_4():
    """Why slopes are taken on skewed cases: equal chances and Δz = ±1 have no third cumulant."""
    z, delta = vector(0.0, 0.0), vector(1.0, -1.0)
    assert theory.third_cumulant(theory.log_p(z), delta).item() == 0
    assert slope(angular_error(by_theorem_2, 1.0), z, delta) == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_first_dropped_term_is_the_third_cumulant(temperature):
    """1 − cos: κ₃/2 under r. KL(p‖q): κ₃/6, KL(q‖p): κ₃/3 under p."""
    delta = DELTA * 2.0**-10
    exact, turned = Definition(Z, delta, temperature), Definition(Z + delta, -delta, temperature)
    third_p = theory.third_cumulant(theory.log_p(Z, temperature), delta / temperature).item()
    third_r = theory.third_cumulant(theory.log_r(Z, temperature), delta / temperature).item()
    rest = float(angular(exact.p, exact.q)) - by_theorem_2(Z, delta, temperature).item()
    assert rest == pytest.approx(third_r / 2, rel=0.02)
    estimate = mpmath.mpf(by_theorem_3(Z, delta, temperature).item())
    assert float(exact.kl() - estimate) == pytest.approx(third_p / 6, rel=0.02)
    assert float(turned.kl() - estimate) == pytest.approx(third_p / 3, rel=0.02)


@given(st.floats(0.5, 6), st.floats(1e-6, 1e3))
def test_order_finds_the_exponent(exponent, factor):
    assert theory.order(SIZES, factor * SIZES**exponent) == pytest.approx(exponent)
    assert theory.order(SIZES, -factor * SIZES**exponent) == pytest.approx(exponent)


# The bounded form


@given(st.floats(0, 1e12), TEMPERATURE)
def test_bounded_form_stays_within_its_bounds(variance, temperature):
    value = vector(variance)
    found = theory.angular_bounded(value, temperature)
    assert 0 <= found.item() <= 1
    assert found.item() <= theory.angular_theorem_2(value, temperature).item()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_bounded_form_leaves_theorem_2_at_the_fourth_order(temperature):
    def apart(z, delta):
        return by_theorem_2(z, delta, temperature) - bounded(z, delta, temperature)

    assert slope(apart) == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("spread", [0.1, 0.7, 1.5])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_bounded_form_is_exact_where_u_is_gaussian_under_r(spread, temperature):
    """Tokens on a fine grid: r ∝ p² ∝ exp(2z/T) is a Gaussian in x, and u = Δz/T is `spread`·x."""
    x = torch.linspace(-14, 14, 2801, dtype=torch.float64)
    z, delta = -temperature * x.square() / 4, spread * temperature * x
    found = bounded(z, delta, temperature).item()
    assert found == pytest.approx(-torch.expm1(vector(-(spread**2) / 2)).item(), abs=1e-12)
    assert found == pytest.approx(theory.angular_identity(z, delta, temperature).item(), abs=1e-12)
    p, q = (torch.softmax(logits / temperature, -1) for logits in (z, z + delta))
    assert found == pytest.approx(float(1 - p @ q / (p.norm() * q.norm())), abs=1e-12)


# What must not matter, and what must not break

SCALARS = {
    "angular identity": theory.angular_identity,
    "KL identity": theory.kl_identity,
    "Theorem 2": by_theorem_2,
    "Theorem 3": by_theorem_3,
    "bounded": bounded,
}


def same(one: Tensor, other: Tensor, tolerance: float = 1e-10) -> bool:
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE, st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_shifts_of_the_logits_change_nothing(given_pair, temperature, shift, offset):
    z, delta = given_pair
    for name, function in SCALARS.items():
        plain = function(z, delta, temperature)
        # a shift of 1e4 costs the logits' own digits, not the functions'
        moved, changed = (z + shift) - shift, (delta + offset) - offset
        assert same(function(z + shift, delta, temperature), function(moved, delta, temperature))
        assert same(function(z, delta + offset, temperature), function(z, changed, temperature)), (
            name
        )
        assert same(plain, function(moved, changed, temperature), 1e-8), name
    response = theory.linear_response(z, delta, temperature)
    assert same(theory.linear_response(z + shift, delta + offset, temperature), response, 1e-8)


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE, st.randoms())
def test_the_order_of_the_vocabulary_changes_nothing(given_pair, temperature, random):
    z, delta = given_pair
    order = list(range(len(z)))
    random.shuffle(order)
    for function in SCALARS.values():
        plain = function(z, delta, temperature)
        assert same(function(z[order], delta[order], temperature), plain)
    response = theory.linear_response(z, delta, temperature)
    assert same(theory.linear_response(z[order], delta[order], temperature), response[order])


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE, st.floats(0.01, 100))
def test_only_logits_over_temperature_matter(given_pair, temperature, factor):
    z, delta = given_pair
    for name, function in SCALARS.items():
        plain = function(z, delta, temperature)
        assert same(function(factor * z, factor * delta, factor * temperature), plain), name
    plain = theory.linear_response(z, delta, temperature)
    scaled = theory.linear_response(factor * z, factor * delta, factor * temperature)
    assert same(plain, scaled)


@settings(max_examples=60, deadline=None)
@given(ORDINARY, TEMPERATURE, st.floats(-1e4, 1e4))
def test_no_change_is_no_deviation(given_pair, temperature, offset):
    """Δz = 0 gives exactly 0, and so does a common offset."""
    z, _ = given_pair
    for value in (0.0, offset):
        delta = torch.full_like(z, value)
        for name, function in SCALARS.items():
            assert abs(function(z, delta, temperature).item()) <= 1e-14, name
        assert theory.linear_response(z, delta, temperature).abs().max() == 0
    assert theory.angular_exact(*theory.split(z + 40, 0 * z)).item() == 0


def test_one_hot_p_hides_a_flip_from_the_theorems():
    """All weight lies on one token, so nothing varies under p or r; the truth is another."""
    z, delta = vector(2e4, 0.0, -3.0), vector(0.0, 3e4, 0.0)
    assert theory.log_p(z).exp().tolist() == [1, 0, 0]
    assert torch.isfinite(theory.log_p(z)).all()
    assert by_theorem_2(z, delta, 1.0).item() == 0
    assert by_theorem_3(z, delta, 1.0).item() == 0
    assert theory.angular_identity(z, delta).item() == 1
    assert theory.kl_identity(z, delta).item() == pytest.approx(1e4)
    assert theory.linear_response(z, delta).abs().max() == 0


@settings(max_examples=80, deadline=None)
@given(pairs(1e8, 1e8), TEMPERATURE)
def test_huge_logits_neither_overflow_nor_turn_to_nan(given_pair, temperature):
    z, delta = given_pair
    for name, function in SCALARS.items():
        found = function(z, delta, temperature)
        assert torch.isfinite(found), name
        assert found >= 0, name
    assert torch.isfinite(theory.linear_response(z, delta, temperature)).all()
    assert theory.angular_identity(z, delta, temperature) <= 1
    assert theory.kl_identity(z, delta, temperature) <= 4 * 1e8 / temperature
    exact = Definition(z, delta, temperature)
    tolerance = 1e-10 + 1e-15 * float(z.abs().max() + delta.abs().max()) / temperature
    found = theory.angular_identity(z, delta, temperature).item()
    assert abs(found - angular(exact.p, exact.q)) <= 10 * tolerance
    assert close(theory.kl_identity(z, delta, temperature), exact.kl(), 10 * tolerance)


def test_leading_dimensions_are_a_loop():
    generator = torch.Generator().manual_seed(0)
    z, delta = torch.randn(2, 3, 4, 7, generator=generator, dtype=torch.float64)
    for name, function in SCALARS.items():
        found = function(z, delta, 0.7)
        assert found.shape == (3, 4), name
        for row in range(3):
            for column in range(4):
                one = function(z[row, column], delta[row, column], 0.7)
                assert same(found[row, column], one), name
    alpha, across = theory.split(z, delta)
    one = theory.split(z[1, 2], delta[1, 2])
    assert same(torch.stack([alpha[1, 2], across[1, 2]]), torch.stack(one))
    assert theory.linear_response(z, delta).shape == z.shape
