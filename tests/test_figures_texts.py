"""Texts side by side: escaped, marked without colour, readable aloud, legible on both themes."""

import base64
import re
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from chapters.inconsistent_effects.figure_texts import (
    LEVELS,
    MARK,
    Question,
    Text,
    level,
    side_by_side,
    visible,
)

ROOT = Path(__file__).parents[1]
TOKENS = ("Hi", " <b>&", "\n", " ", "\x00", "é�", "<|im_end|>")
SURPRISE = (0.1, 1.0, 3.0, 5.0, 7.0, 0.0, 12.0)


def shown(parting=2, **changes):
    ours = Text("Drop-8A", TOKENS, SURPRISE, parting, ("parts",), "Reported: <digits>")
    dense = Text("Dense", TOKENS[:2], SURPRISE[:2])
    first = Question("Table2", 'How "many"?', (dense, ours))
    other = Question("Gen1", "Tell <a> story", (dense,))
    data = pd.DataFrame({"text": TOKENS, "nats": SURPRISE})
    options = {
        "name": "texts",
        "title": "They <part>",
        "caption": "What & how",
        "data": data,
        "provenance": {"run": "abc", "model": "tiny"},
    }
    return side_by_side([first, other], **options | changes)


def page(output):
    return BeautifulSoup(output._repr_mimebundle_()["text/html"], "html.parser")


def test_everything_is_escaped_and_nothing_is_lost():
    html = page(shown())
    assert {tag.name for tag in html.find_all()} <= {
        *("figure", "figcaption", "p", "ul", "li", "span", "strong", "div"),
        *("details", "summary", "a", "dl", "dt", "dd"),
    }
    block = html.select(".text-block")[1]
    found = [token.get_text() for token in block.select(".text-tokens span")]
    assert found == ["Hi", " <b>&", f"{MARK}↵", "␣", "�", "é�", "<|im_end|>"]
    assert block.select_one(".text-reported").get_text() == "Reported: <digits>"
    assert html.select_one("details summary").get_text() == "Gen1: Tell <a> story"
    assert html.select_one(".figure-title").get_text() == "They <part>"
    link = html.select_one("a.figure-download")["href"]
    csv = base64.b64decode(link.partition("base64,")[2]).decode()
    assert "# run: abc" in csv
    assert "<|im_end|>" in csv


def test_first_different_token_is_marked_without_colour():
    html = page(shown())
    marked = html.select(".text-tokens .first-different")
    assert len(marked) == 1
    assert marked[0].get_text().startswith(MARK)
    assert marked[0]["title"] == "3.0 nats"
    spoken = html.select(".text-block")[1].select_one(".text-spoken").get_text()
    assert spoken.startswith("As the dense text: “Hi <b>&” First different token: ")
    assert spoken.endswith("“é�<|im_end|>”")
    assert not page(shown(parting=None)).select(".text-tokens .first-different")
    at_once = page(shown(parting=0)).select(".text-spoken")[1].get_text()
    assert at_once.startswith("First different token: “Hi”")


def test_what_is_seen_is_hidden_from_those_who_hear_and_the_other_way_round():
    for block in page(shown()).select(".text-block"):
        assert block.select_one(".text-tokens")["aria-hidden"] == "true"
        assert block.select_one(".text-spoken").get_text()


@pytest.mark.parametrize(
    ("nats", "expected"),
    [(-1e-9, 0), (0, 0), (0.69, 0), (0.7, 1), (2.31, 2), (4.7, 3), (6.91, 4), (99.0, 4)],
)
def test_levels_are_powers_of_probability(nats, expected):
    assert level(nats) == expected


def test_levels_are_in_the_key_and_have_a_style():
    css = (ROOT / "book" / "_static" / "figures.css").read_text()
    key = page(shown()).select(".figure-key li")
    assert len(key) == len(LEVELS) + 1
    widths = []
    for index in range(1, len(LEVELS)):
        rule = re.search(rf"\.t{index} {{(.*?)}}", css, re.S).group(1)
        widths.append(int(re.search(r"border-bottom-width: (\d+)px", rule).group(1)))
        alpha = float(re.search(r"rgba\(213, 94, 0, ([\d.]+)\)", rule).group(1))
        for ground, letters in (((255,) * 3, (34, 40, 50)), ((18, 24, 30), (206, 214, 221))):
            mixed = [alpha * a + (1 - alpha) * b for a, b in zip((213, 94, 0), ground, strict=True)]
            assert contrast(mixed, letters) >= 4.5
    assert widths == sorted(set(widths))  # each level has a bar of its own


def contrast(one, other):
    """Contrast ratio of two colours, after WCAG."""

    def light(colour):
        parts = [part / 255 for part in colour]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return sum(
            weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
        )

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_unseen_characters_are_shown():
    assert visible(" a") == " a"
    assert visible("  a") == " ␣a"
    assert visible("\t") == "�"
    assert visible("\n\n") == "↵↵"
    assert visible("") == "∅"


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="figure name"):
        shown(name="Bad name")
    with pytest.raises(ValueError, match="at least one question"):
        side_by_side([], name="a", title="t", caption="c", data=pd.DataFrame(), provenance={})
