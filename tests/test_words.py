"""Words lead to the glossary: at their first use, where they are prose, and to entries that are."""

import sys
from pathlib import Path

import pytest
from sphinx.util.nodes import make_id

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import words  # noqa: E402


def link(word, shown=""):
    address = f"../book/glossary.html#{words.anchor(word)}"
    return f'<a class="explained" href="{address}">{shown or word}</a>'


def test_a_word_is_linked_once_a_page_in_the_order_of_its_texts():
    explain = words.explaining()
    assert explain("Sublayers? Two sublayers, one sublayer.") == (
        f"{link('sublayer', 'Sublayers')}? Two sublayers, one sublayer."
    )
    assert explain("A sublayer in nats.") == f"A sublayer in {link('nats')}."
    assert words.explaining()("one sublayer") == f"one {link('sublayer')}"


def test_the_longer_word_is_meant():
    assert words.explaining()("the noise floor, a floor") == (
        f"the {link('noise floor')}, a {link('floor')}"
    )


def test_a_short_form_leads_to_its_entry():
    assert words.explaining()("KL, the KL divergence") == (
        f"{link('KL divergence', 'KL')}, the KL divergence"
    )


@pytest.mark.parametrize(
    "text",
    [
        "`floor`",
        "$floor$",
        "$$\nfloor\n$$",
        "[the floor](floor.ipynb)",
        '<a href="floor">x</a>',
        "# The floor",
        "| floor | 1 |",
        "```python\nfloor\n```",
        "a floor-like thing",
        "flooring",
        "<summary>the floor</summary>",
    ],
)
def test_what_is_no_prose_stays(text):
    assert words.explaining()(text) == text


def test_every_word_is_an_entry_and_its_anchor_is_where_sphinx_puts_it():
    class Environment:
        def new_serialno(self, _):
            raise AssertionError

    class Document:
        ids = ()

    assert set(words.EXPLAINED) <= words.entries()
    assert "space" not in words.entries()
    for word in words.EXPLAINED:
        assert make_id(Environment(), Document(), "term", word) == words.anchor(word)
