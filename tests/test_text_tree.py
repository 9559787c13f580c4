"""Texts as trunks and rows: every token once, in its place, seeing its own text alone."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.evaluation import text_tree
from helpers.evaluation.text_tree import Row, Text, alike, grown

LISTS = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple), min_size=1, max_size=25
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes at which a few short texts have trunks and several rows."""
    for name, value in {"ROW": 6, "TRUNK": 2, "CROWN": 8}.items():
        monkeypatch.setattr(text_tree, name, value)


def beginnings(tokens: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A text's beginnings, one for each token."""
    return [tokens[: place + 1] for place in range(len(tokens))]


def test_hand_made_row() -> None:
    row = Row(start=1)
    for tokens in ((9, 1, 2, 3), (9, 1, 2, 4, 5), (9, 6)):
        row.add(Text(tokens, 1))
    assert row.tokens == [1, 2, 3, 4, 5, 6]
    assert row.places == [1, 2, 3, 3, 4, 1]
    assert row.paths == [[0, 1, 2], [0, 1, 3, 4], [5]]
    expected = [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4], [5]]
    assert [torch.nonzero(seen)[:, 0].tolist() for seen in row.sees()] == expected


def test_a_beginning_of_many_texts_is_a_trunk_and_two_of_them_two(small: None) -> None:
    one, two = (1, 2, 3, 4, 5), (1, 2, 6, 7, 8)
    texts = [Text((*trunk, end, end), 5) for trunk in (one, two) for end in range(6)]
    found = {branching.trunk: branching.rows for branching in grown(texts)}
    assert set(found) == {one, two}
    assert [len(row) for rows in found.values() for row in rows] == [6, 6, 6, 6]
    wanted_earlier = [*texts, Text((1, 2, 3, 4, 5, 9, 9), 3)]
    assert {branching.trunk for branching in grown(wanted_earlier)} == {one[:3], two}


def test_texts_that_share_little_have_no_trunk(small: None) -> None:
    texts = [Text((1, end, end, end), 1) for end in range(12)]
    assert [branching.trunk for branching in grown(texts)] == [()]


@given(LISTS, st.randoms())
def test_every_token_is_read_in_its_place_and_sees_its_own_text(lists: list, chance) -> None:  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ROW": 6, "TRUNK": 2, "CROWN": 8}.items():
            patch.setattr(text_tree, name, value)
        texts = [Text(tokens, chance.randint(0, len(tokens) - 1)) for tokens in lists]
        branchings = list(grown(texts))
        shuffled = chance.sample(texts, len(texts))
        assert list(grown(shuffled)) == branchings
    read = []
    for branching in branchings:
        for row in branching.rows:
            assert row.start == len(branching.trunk)
            sees = row.sees()
            for text, path in zip(row.texts, row.paths, strict=True):
                read.append(text.tokens)
                assert branching.trunk == text.tokens[: row.start]
                assert text.first >= row.start
                assert [row.tokens[place] for place in path] == list(text.tokens[row.start :])
                assert [row.places[place] for place in path] == [
                    *range(row.start, len(text.tokens))
                ]
                for count, place in enumerate(path):
                    assert torch.nonzero(sees[place])[:, 0].tolist() == path[: count + 1]
            if row.straight:
                assert sees.equal(torch.ones_like(sees).tril())
            whole = {start for text in row.texts for start in beginnings(text.tokens)}
            assert len(row) == len([start for start in whole if len(start) > row.start])
    assert sorted(read) == sorted(set(lists))


@given(st.lists(st.integers(0, 1), max_size=8), st.lists(st.integers(0, 1), max_size=8))
def test_alike(one: list[int], other: list[int]) -> None:
    shared = [a == b for a, b in zip(one, other, strict=False)]
    expected = shared.index(False) if False in shared else len(shared)
    assert alike(tuple(one), tuple(other)) == expected


def test_nothing_to_read() -> None:
    assert list(grown([])) == []


def test_rows_hold_their_size(small: None) -> None:
    texts = [Text((number, 0, 0), 1) for number in range(9)]
    (branching,) = grown(texts)
    assert [len(row) for row in branching.rows] == [6, 6, 6, 6, 3]
    ordered = [text.tokens for row in branching.rows for text in row.texts]
    assert all(before < after for before, after in pairwise(ordered))
