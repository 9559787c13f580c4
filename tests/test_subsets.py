"""Sets of tokens and the choice among them, against naive loops."""

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from measurements import subsets


def outputs(seed, size=60, noise=1.0):
    generator = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(size, generator=generator, dtype=torch.float64)
    moved = z + noise * torch.randn(size, generator=generator, dtype=torch.float64)
    return z.log_softmax(-1), moved.log_softmax(-1)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_choice_against_a_loop(seed, width):
    before, after = outputs(seed)
    generator = torch.Generator().manual_seed(seed)
    sets = torch.stack([torch.randperm(60, generator=generator)[:width] for _ in range(3)])
    found = subsets.choice(before, after, sets)
    for row, tokens in enumerate(sets.tolist()):
        ranked = sorted(tokens, key=lambda token: -float(before[token]))
        best, second = ranked[:2]
        change = [float(after[token] - before[token]) for token in tokens]
        expected = {
            "gap": float(before[best] - before[second]),
            "gap_change": float((after[best] - before[best]) - (after[second] - before[second])),
            "noise": statistics.stdev(change),
            "survived": float(max(tokens, key=lambda token: float(after[token])) == best),
            "mass": sum(float(before[token].exp()) for token in tokens),
            "mass_pruned": sum(float(after[token].exp()) for token in tokens),
            "moved": statistics.fmean(
                abs(float(after[token].exp() - before[token].exp())) for token in tokens
            ),
        }
        assert {name: float(values[row]) for name, values in found.items()} == pytest.approx(
            expected, rel=1e-9, abs=1e-12
        )


def test_an_exact_copy_moves_nothing():
    before, _ = outputs(0)
    found = subsets.choice(before, before, torch.tensor([[1, 2, 3], [9, 8, 7]]))
    assert all((found[name] == 0).all() for name in ("gap_change", "noise", "moved"))
    assert (found["survived"] == 1).all()


def test_a_common_shift_changes_masses_alone():
    before, after = outputs(3)
    sets = torch.tensor([[4, 5, 6, 7]])
    plain, shifted = (subsets.choice(before, after + shift, sets) for shift in (0.0, -0.5))
    for name in ("gap", "gap_change", "noise", "survived"):
        torch.testing.assert_close(plain[name], shifted[name])
    torch.testing.assert_close(
        shifted["mass_pruned"], plain["mass_pruned"] * torch.tensor(-0.5).exp()
    )


def test_ranking_and_ties():
    order, rank = subsets.ranking(torch.tensor([1.0, 3.0, 1.0, 2.0]))
    assert order.tolist() == [1, 3, 0, 2]
    assert rank.tolist() == [2, 0, 3, 1]


def test_neighbours_in_rank():
    order, rank = subsets.ranking(-torch.arange(10.0))
    options = torch.tensor([0, 1, 5, 9])
    assert subsets.beside(order, rank, options, 1).tolist() == [2, 3, 6, 8]
    assert subsets.beside(order, rank, options, -1).tolist() == [2, 3, 4, 8]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([1, -1]))
def test_neighbours_are_as_near_as_can_be_in_their_direction(seed, step):
    before, _ = outputs(seed)
    order, rank = subsets.ranking(before)
    options = torch.randperm(60, generator=torch.Generator().manual_seed(seed))[:4]
    near = subsets.beside(order, rank, options, step)
    taken = set(options.tolist())
    assert len({*taken, *near.tolist()}) == 8
    for option, token in zip(options.tolist(), near.tolist(), strict=True):
        between = range(rank[option] + step, rank[token], step)
        assert (
            all(int(order[place]) in taken for place in between)
            or (rank[token] - rank[option]) * step < 0
        )
        taken.add(token)


@pytest.mark.parametrize("size", [8, 50_000])
def test_random_sets_hold_no_option_and_no_repeats(size):
    options = torch.tensor([0, 3, 5, 7])
    sets = subsets.drawn(size, options, 20, torch.Generator().manual_seed(0))
    assert sets.shape == (20, 4)
    assert not torch.isin(sets, options).any()
    assert all(len(set(row)) == 4 for row in sets.tolist())
    again = subsets.drawn(size, options, 20, torch.Generator().manual_seed(0))
    assert torch.equal(sets, again)


def test_random_sets_are_even():
    sets = subsets.drawn(14, torch.tensor([1, 2, 3, 4]), 5000, torch.Generator().manual_seed(1))
    share = torch.bincount(sets.flatten(), minlength=14) / sets.numel()
    expected = torch.tensor([0.0 if token in (1, 2, 3, 4) else 0.1 for token in range(14)])
    assert (share - expected).abs().max() < 0.012


def test_same_gaps_are_exact_on_a_grid():
    """Logits that lie 0.01 apart: every distance between two of them is there elsewhere too."""
    z = -0.01 * torch.arange(2000, dtype=torch.float64)
    order, _ = subsets.ranking(z)
    options = torch.tensor([40, 700, 45, 300])
    sets = subsets.same_gaps(z, order, options, 50, torch.Generator().manual_seed(0))
    assert not torch.isin(sets, options).any()
    wanted = z[options].sort(descending=True).values
    distances = z[sets][:, :1] - z[sets]
    assert (distances - (wanted[0] - wanted)).abs().max() < 0.0101  # an option may be in the way
    assert len(set(sets[:, 0].tolist())) > 30


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_same_gaps_on_any_output(seed):
    before, after = outputs(seed)
    order, _ = subsets.ranking(before)
    options = torch.randperm(60, generator=torch.Generator().manual_seed(seed))[:4]
    sets = subsets.same_gaps(before, order, options, 5, torch.Generator().manual_seed(seed))
    assert sets.shape in ((5, 4), (0, 4))
    assert all(len(set(row)) == 4 for row in sets.tolist())
    assert not torch.isin(sets, options).any()
    if len(sets):
        assert (subsets.choice(before, after, sets)["gap"] >= 0).all()


def test_no_room_for_the_same_gaps():
    z = torch.tensor([100.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2], dtype=torch.float64)
    order, _ = subsets.ranking(z)
    options = torch.tensor([0, 1, 2, 3])
    sets = subsets.same_gaps(z, order, options, 5, torch.Generator().manual_seed(0))
    assert sets.shape == (0, 4)


@pytest.mark.parametrize("size", [2, 9, 10, 300, 49_152, 10_000, 150_000])
def test_bands_cover_the_vocabulary(size):
    found = subsets.bands(size)
    places = [place for ranks in found.values() for place in ranks]
    assert places == list(range(len(places)))
    assert size - len(places) <= 1
    assert all(len(ranks) > 1 for ranks in found.values())
    assert next(iter(found)) == f"1–{min(size, 9)}"
