"""The questions that come with the book: right, unambiguous, and even in their form."""

import calendar
import json
import re
from collections import Counter
from importlib import resources
from itertools import pairwise
from string import ascii_uppercase

import pytest

from helpers.errors import InputError
from helpers.texts.probes import LETTERS, families, multiple_choice, probes
from runs import source

NUMBERS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
]
CYCLES = (list(calendar.day_name), list(calendar.month_name)[1:], list(ascii_uppercase), NUMBERS)
EVERY = probes()
COUNTS = {
    "capitals": 40,
    "opposites": 40,
    "young_animals": 24,
    "colours": 24,
    "arithmetic": 40,
    "odd_one_out": 20,
    "reading": 24,
    "patterns": 24,
    "past_tense": 24,
    "plurals": 24,
    "kinds": 24,
    "languages": 24,
}


def family(name):
    return probes(name)


def test_counts():
    assert Counter(probe.family for probe in EVERY) == COUNTS
    assert list(families()) == list(COUNTS)


def test_file_has_exactly_the_documented_fields():
    text = resources.files("helpers.texts").joinpath("probes.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert set(content) == {"source", "format", "families"}
    fields = set(content["format"]) - {"families"}
    items = [item for each in content["families"].values() for item in each["items"]]
    assert all(set(item) == fields for item in items)
    assert all({"asks", "items"} == set(each) for each in content["families"].values())


@pytest.mark.parametrize("field", ["id", "question"])
def test_nothing_is_there_twice(field):
    values = [getattr(probe, field) for probe in EVERY]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("probe", EVERY, ids=lambda probe: probe.id)
def test_each_item(probe):
    assert re.fullmatch(rf"{probe.family}-\d\d", probe.id)
    assert probe.question.endswith("?")
    assert probe.prefix == probe.prefix.strip()
    assert not probe.prefix.endswith((".", "?", ":"))
    assert probe.accepted[0] == probe.answer
    assert len(set(probe.accepted)) == len(probe.accepted)
    assert len(probe.options) == 4
    assert all(re.fullmatch(r"[A-Za-z]+", option) for option in probe.options)
    assert len({option[0].lower() for option in probe.options}) == 4
    assert [option for option in probe.options if probe.accepts(option)] == [probe.answer]
    assert probe.options[probe.place] == probe.answer
    assert probe.letter == "ABCD"[probe.place]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("each", [4, 12, None])
def test_right_answer_stands_equally_often_in_each_place(name, each):
    places = Counter(probe.place for probe in probes(name, each))
    assert set(places) == {0, 1, 2, 3}
    assert len(set(places.values())) == 1


def test_arithmetic_is_right():
    for probe in family("arithmetic"):
        first, sign, second = re.fullmatch(
            r"What is (\w+) (plus|minus) (\w+)\?", probe.question
        ).groups()
        assert probe.prefix == f"{first.capitalize()} {sign} {second} is"
        a, b = NUMBERS.index(first), NUMBERS.index(second)
        right = a + b if sign == "plus" else a - b
        assert probe.accepted == (NUMBERS[right], str(right))
    signs = Counter("plus" in probe.question for probe in family("arithmetic"))
    assert signs == {True: 20, False: 20}


def test_rows_go_on():
    for probe in family("patterns"):
        shown = re.search(r": (.*)\?", probe.question).group(1).split(", ")
        assert probe.prefix.lower() == f"{', '.join(shown)},".lower()
        cycle = next(row for row in CYCLES if shown[0] in row)
        places = [cycle.index(word) for word in [*shown, probe.answer]]
        steps = {(after - before) % len(cycle) for before, after in pairwise(places)}
        assert len(steps) == 1
    asked = {probe.question.split()[1] for probe in probes("patterns", 4)}
    assert asked == {"day", "month", "letter", "number"}


def test_odd_one_out_lists_its_options_in_order():
    for probe in family("odd_one_out"):
        shown = re.search(r": (.*)\?", probe.question).group(1)
        assert re.split(r", | or ", shown) == list(probe.options)


def test_reading_says_the_answer_and_a_wrong_option():
    for probe in family("reading"):
        told = probe.question.lower()
        named = {option for option in probe.options if option.lower() in told}
        assert probe.answer in named
        assert len(named) > 1, probe.id


def test_no_answer_is_given_away_by_its_question():
    given = [
        probe.id
        for probe in EVERY
        if probe.family not in {"odd_one_out", "reading"}
        and re.search(rf"\b{probe.answer}\b", probe.question)
    ]
    assert not given


def test_multiple_choice_reads_like_appendix_e():
    (probe,) = probes("capitals", 1)
    listed = multiple_choice(probe)
    assert listed == (
        f"What is the capital of France? Choose the correct answer: A) {probe.options[0]} "
        f"B) {probe.options[1]} C) {probe.options[2]} D) {probe.options[3]}"
    )
    assert multiple_choice(probe, letters=False).endswith(
        f": {probe.options[0]}, {probe.options[1]}, {probe.options[2]} or {probe.options[3]}"
    )
    assert LETTERS == ("A", "B", "C", "D")


def test_accepted_answers():
    probe = next(probe for probe in EVERY if "Peking" in probe.accepted)
    assert all(probe.accepts(text) for text in ("Beijing", " beijing.", "PEKING"))
    assert not any(probe.accepts(text) for text in ("", "Tokyo", "Beijing city"))


def test_choice_of_families():
    assert {probe.family for probe in probes("colours, kinds", 2)} == {"colours", "kinds"}
    assert len(probes("colours,kinds", 2)) == 4
    assert probes("all", 1000) == EVERY


@pytest.mark.parametrize("wanted", ["rivers", "colours,rivers", "", ","])
def test_unknown_family_is_one_line(wanted):
    with pytest.raises(InputError, match="known are all, capitals, opposites") as caught:
        probes(wanted)
    assert "\n" not in str(caught.value)


def test_file_is_part_of_a_runs_identity():
    assert "probes.json" in {path.name for path in source.files_behind("helpers.texts.probes")}
