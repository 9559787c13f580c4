"""The head of every chapter: a short answer in plain words; and the library's lines as they run."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import head  # noqa: E402
from reporting import prose  # noqa: E402

KEPT = sorted(path for path in (ROOT / "tests/kept").glob("*.txt") if "tables" not in path.name)
WRITTEN = ("use-it-on-your-model",)  # its answer has no number, so it is not printed by a cell
WORDS, NUMBERS = 40, 3
LEAD = re.compile(r"^\*\*The answer[^*]*\*\*\s*")
PLACE = re.compile(r"\b(Figure|Section|Table|Theorem|Appendix) [#\d.]+")
NUMBER = re.compile(r"(?<!\w)[#\d][#\d.,×⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*")
CODE = re.compile(r"`[^`]*`|\b[A-Z][a-z]+-\w*\d\w*\b|\b[A-Z]+\d+\b|\b\w+ [#\d]+:[#\d]+")


def faults(answer):
    """What is too much in an answer in Markdown, numbers masked or not."""
    said = PLACE.sub(r"\1", LEAD.sub("", answer))
    words = [word for word in said.split() if re.search(r"[\w#]", word)]
    numbers, codes = NUMBER.findall(CODE.sub("", said)), CODE.findall(said)
    found = [f"{len(words)} words"] if len(words) > WORDS else []
    found += [f"{len(numbers)} numbers"] if len(numbers) > NUMBERS else []
    return found + [f"code {each}" for each in codes]


def kept_answer(text):
    """The paragraph of a kept chapter that answers: to the end of its block, or to its fold."""
    block = text[text.index(head.ANSWER) :].partition("\n\n")[0]
    return " ".join(block.partition("<details")[0].split())


@pytest.mark.parametrize(
    "kept", [one for one in KEPT if one.stem not in WRITTEN], ids=lambda one: one.stem
)
def test_an_answer_is_short_and_plain(kept):
    answer = kept_answer(kept.read_text(encoding="utf-8"))
    assert faults(answer) == [], answer


@pytest.mark.parametrize("name", WRITTEN)
def test_an_answer_that_is_written_is_short_and_plain(name):
    text = (ROOT / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    answer = text[text.index(head.ANSWER) :].partition("\n\n")[0]
    assert faults(answer) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("word " * 41, "41 words"),
        ("1 of 2, 3.5% or 4", "4 numbers"),
        ("# of #, #% or #×#⁻#", "4 numbers"),
        ("under Drop-8A", "code Drop-8A"),
        ("under Wanda 2:4", "code Wanda 2:4"),
        ("in NF4", "code NF4"),
        ("of `model`", "code `model`"),
    ],
)
def test_a_fault_is_seen(answer, fault):
    assert faults(f"**The answer, measured at 135M (Q4_1).** {answer}") == [fault]


def test_forty_words_and_three_numbers_are_no_fault():
    assert faults("**The answer.** In Figure 6, 1 of 2, or 9.3×10⁻⁹. " + "word " * 32) == []


def test_the_lines_of_a_function_are_shown_as_they_run():
    shown = prose.source("Median", prose.median, prose.join_words).data
    assert "<summary>Median</summary>" in shown
    assert "# reporting.prose\ndef median(values: Iterable[float]" in shown
    assert "    return span([statistics.median(finite)] if finite else [], form)\n" in shown
    assert "The middle one" not in shown
    assert "```python\n" in shown


def test_more_lines_than_one_takes_in_are_refused():
    with pytest.raises(ValueError, match=r"lines of code for 'All', at most 25"):
        prose.source("All", prose.provenance, prose.prompts)


def test_a_median_says_where_there_is_none():
    assert prose.median([3.0, 1.0, float("nan"), 2.0], ".0f") == "2"
    assert prose.median([]) == "–"
