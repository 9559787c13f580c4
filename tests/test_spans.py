"""Which part of a text is the answer, and whether it holds the right one: by hand and by chance."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.evaluation.spans import first_sentence, first_span, holds, settled

TEXT = st.text(alphabet="aHU13 .,;:\n-–\"'*()[!?…=", max_size=14)
CUTS = pytest.mark.parametrize("cut", [first_span, first_sentence])


@pytest.mark.parametrize(
    ("text", "span", "sentence"),
    [
        (" Paris.", "Paris", "Paris"),
        (" Paris. Rome is another.", "Paris", "Paris"),
        ("\n\n**Paris**, on the Seine!\nRome", "Paris", "Paris, on the Seine"),
        (":\n\n- hammer\n- pear", "hammer", "hammer"),
        (" the old city of Paris; yes", "the old city of Paris", "the old city of Paris; yes"),
        (" Thursday, Friday, Saturday", "Thursday", "Thursday, Friday, Saturday"),
        (' "tiger" and "doctor"', "tiger", 'tiger" and "doctor'),
        (" “cold”, not warm", "cold", "cold”, not warm"),
        (" 'cold'. It", "cold", "cold"),
        (" twelve (12)", "twelve", "twelve (12"),
        (" (12)", "12", "12"),
        (" 12.", "12", "12"),
        (" 3.5 metres. Or", "3.5 metres", "3.5 metres"),
        (" 1,200, or so", "1,200", "1,200, or so"),
        (" at 12:30: noon", "at 12:30", "at 12:30: noon"),
        (" -8, I think", "-8", "-8, I think"),
        (" − 8", "8", "8"),
        (" a well-known man", "a well-known man", "a well-known man"),
        (" red - no, blue", "red", "red - no, blue"),
        (" red—no", "red", "red—no"),
        (" H. The letter", "H", "H"),
        (" the U.S. and D.C. too. It", "the U.S. and D.C. too", "the U.S. and D.C. too"),
        (" Is it Paris? Yes", "Is it Paris", "Is it Paris"),
        ("The answer is:\n\n`Rome`\n\nIt", "The answer is", "The answer is: Rome"),
        (". Paris", "", ""),
        ("?", "", ""),
        (" \n ", "", ""),
        ("", "", ""),
    ],
)
def test_answers_by_hand(text, span, sentence):
    assert first_span(text) == span
    assert first_sentence(text) == sentence


def test_a_comma_first_is_no_answer_to_a_prefix_alone():
    assert first_span(", or three") == ""
    assert first_sentence(", or three") == ", or three"


@pytest.mark.parametrize(
    ("cut", "text", "complete"),
    [
        (first_span, " Paris", False),  # Parisian
        (first_span, " Paris.", True),
        (first_span, " Paris,", True),
        (first_span, " 12.", False),  # 12.5
        (first_span, " 12. ", True),
        (first_span, " 12,", False),  # 12,000
        (first_span, ' "tiger"', True),
        (first_span, " red -", False),  # red -ish
        (first_span, "U.", False),  # U.S.
        (first_span, ":\n", False),
        (first_span, "\n\n", False),
        (first_sentence, " Paris, on", False),
        (first_sentence, "It is:\n\n", False),
        (first_sentence, "It is Paris.", True),
        (first_sentence, "It is Paris\n", True),
        (first_sentence, "It is 12.", False),
        (first_sentence, "", False),
    ],
)
def test_complete_answers_by_hand(cut, text, complete):
    assert settled(text, cut) == complete


@CUTS
@settings(max_examples=400, deadline=None)
@given(text=TEXT, more=TEXT)
def test_a_complete_answer_stays_whatever_follows(cut, text, more):
    if settled(text, cut):
        assert cut(text + more) == cut(text)


@CUTS
@settings(max_examples=200, deadline=None)
@given(text=TEXT)
def test_an_answer_is_a_part_of_the_text_on_one_line(cut, text):
    found = cut(text)
    assert "\n" not in found
    assert found == found.strip()
    assert found in " ".join(text.replace("*", "").split()) or ":" in text or "  " in text


@settings(max_examples=200, deadline=None)
@given(word=st.sampled_from(["Paris", "musical instrument", "12", "drawer"]), text=TEXT)
def test_a_word_between_blanks_is_found(word, text):
    assert holds(f"{text} {word} {text}", ["Rome", word])
    assert holds(f"{text} {word.upper()} {text}", [word])


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("the drawer", "drawer", True),
        ("The Drawer", "drawer", True),
        ("drawers", "drawer", False),
        ("a withdrawer", "drawer", False),
        ("twelve", "twelve", True),
        ("12 apples", "12", True),
        ("120", "12", False),
        ("112", "12", False),
        ("12.5", "12", False),
        ("0.12", "12", False),
        ("12,000", "12", False),
        ("-12", "12", False),
        ("−12", "12", False),
        ("10 + 2 = 12", "12", True),
        ("=12", "12", True),
        ("twenty-one", "one", False),
        ("twenty-one", "twenty", False),
        ("one of them", "one", True),
        ("Paris's river", "Paris", False),
        ("'Paris'", "Paris", True),
        ("the letter H is next", "H", True),
        ("h is next", "H", False),
        ("Hello", "H", False),
        ("a Musical Instrument of wood", "musical instrument", True),
        ("musical or instrument", "musical instrument", False),
        ("São Paulo", "Paulo", True),
        ("", "Paris", False),
    ],
)
def test_whole_words_by_hand(answer, accepted, right):
    assert holds(answer, [accepted]) == right


def test_any_accepted_answer_will_do():
    assert holds("a small flower", ["plant", "flower"])
    assert not holds("a small tree", ["plant", "flower"])
    assert not holds("anything", [])
