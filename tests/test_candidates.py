"""The candidate-set ladder, against every set of candidates of a small vocabulary."""

from itertools import combinations
from math import comb

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as some

from chapters.ladder.candidates import Candidates, rungs, share_won, sizes

VOCABULARY = 9
# few different values, so that logits tie
LOGITS = some.lists(some.integers(-3, 3), min_size=VOCABULARY, max_size=VOCABULARY)
ROLES = some.lists(some.integers(0, 3), min_size=VOCABULARY, max_size=VOCABULARY)


def tokens_of(roles):
    """Token 0 is right; of the others 1 are right too, 2 of the family, and 3 unclear."""
    named = [tuple(place for place, role in enumerate(roles) if role == kind) for kind in (1, 2, 3)]
    right, family, unclear = ([place for place in each if place] for each in named)
    return Candidates((0, *right), tuple(family), tuple(unclear))


def values(found, candidates):
    return {size: value for name, size, value in found if name == candidates}


def by_hand(logits, right, rivals, size):
    """Share of all sets of `size` in which the right one is strictly best, set by set."""
    best = max(logits[token] for token in right)
    sets = list(combinations(rivals, size - 1))
    return sum(all(logits[rival] < best for rival in each) for each in sets) / len(sets)


@given(LOGITS, LOGITS, ROLES)
def test_shares_are_those_of_all_sets(logits, dense, roles):
    tokens = tokens_of(roles)
    found, rank = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens)
    others = [t for t in range(VOCABULARY) if t not in (*tokens.right, *tokens.unclear)]
    for name, rivals in (("random", others), ("kind", tokens.family)):
        for size, value in values(found, name).items():
            assert value == pytest.approx(by_hand(logits, tokens.right, rivals, size), abs=1e-12)
    whole = by_hand(logits, tokens.right, others, len(others) + 1)
    assert values(found, "vocabulary") == {VOCABULARY: whole}
    best = max(logits[token] for token in tokens.right)
    assert rank == 1 + sum(logits[token] >= best for token in others)


@given(LOGITS, LOGITS, ROLES)
def test_matched_are_the_neighbours_in_dense_rank(logits, dense, roles):
    tokens = tokens_of(roles)
    found, _ = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens)
    order = sorted(range(VOCABULARY), key=lambda token: (-dense[token], token))
    first = next(token for token in order if token in tokens.right)
    order = [t for t in order if t == first or t not in (*tokens.right, *tokens.unclear)]
    place = order.index(first)
    walk = [at for step in range(1, VOCABULARY) for at in (place - step, place + step)]
    line = [order[at] for at in walk if 0 <= at < len(order)]
    best = max(logits[token] for token in tokens.right)
    for size, value in values(found, "matched").items():
        assert value == all(logits[token] < best for token in line[: size - 1])


@given(LOGITS, ROLES)
@example([-1, 0, 0, 1, 0, 0, 0, 3, 2], [0, 0, 0, 1, 0, 0, 0, 0, 3])  # no candidate, in between
def test_among_its_own_neighbours_the_dense_model_is_right_where_it_is_over_all(logits, roles):
    """The token above comes first, so a right token that is not the best loses at once."""
    z = torch.tensor(logits).float()
    found, _ = rungs(z, z, tokens_of(roles))
    ties = logits.count(max(logits)) > 1
    (whole,) = values(found, "vocabulary").values()
    for value in values(found, "matched").values():
        assert value >= whole if ties else value == whole


@given(some.integers(0, 40), some.integers(0, 40))
def test_the_closed_form_counts_draws(ahead, more):
    rivals = ahead + more
    for size in range(1, rivals + 2):
        exact = comb(rivals - ahead, size - 1) / comb(rivals, size - 1)
        assert share_won(ahead, rivals, size) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("ahead", "rivals", "size"), [(3, 49_151, 4_096), (70, 49_151, 512), (9_000, 49_151, 128)]
)
def test_the_closed_form_holds_for_a_vocabulary(ahead, rivals, size):
    exact = comb(rivals - ahead, size - 1) / comb(rivals, size - 1)
    assert share_won(ahead, rivals, size) == pytest.approx(exact, rel=1e-7)


@given(LOGITS, LOGITS, ROLES)
def test_more_candidates_are_never_easier(logits, dense, roles):
    found, _ = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens_of(roles))
    (whole,) = values(found, "vocabulary").values()
    for name in ("random", "matched"):
        shares = list(values(found, name).values())
        assert shares == sorted(shares, reverse=True)
        assert all(share >= whole for share in shares)
    kind = list(values(found, "kind").values())
    assert kind == sorted(kind, reverse=True)


def test_the_likeliest_token_wins_everywhere_and_a_tie_everywhere_loses():
    tokens = Candidates((2,), (0, 1), ())
    found, rank = rungs(torch.tensor([1.0, 2.0, 9.0, 3.0]), torch.zeros(4), tokens)
    assert rank == 1
    assert {value for _, _, value in found} == {1.0}
    found, rank = rungs(torch.zeros(4), torch.zeros(4), tokens)
    assert rank == 4
    assert {value for _, _, value in found} == {0.0}


def test_draws_that_cannot_be_are_refused():
    for wrong in ((5, 4, 2), (0, 4, 6), (0, 4, 0)):
        with pytest.raises(ValueError, match="cannot be drawn"):
            share_won(*wrong)


def test_sizes_double_up_to_all():
    assert sizes(20) == [2, 4, 8, 16, 20]
    assert sizes(16) == [2, 4, 8, 16]
    assert sizes(2) == [2]
    assert sizes(1) == []


def test_a_token_that_begins_right_and_wrong_answers_is_no_candidate():
    """As the blank before a number: 7 may follow it, and 8."""
    tokens = Candidates.of([3, 9, None], [4, 9, 5, None])
    assert tokens == Candidates((3,), (4, 5), (9,))
    assert Candidates.of([4, 3], [4, 5]) is None
    assert Candidates.of([None, 3], [4]) is None
