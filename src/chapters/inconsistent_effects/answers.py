"""Is the answer right? Questions whose answer is a number, and the numbers that stand in a text."""

import re
from collections.abc import Mapping

import pandas as pd

from helpers.texts.data import Prompt

WHOLE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
RIGHT, CUT, NAMES = "right", "cut off", ", but names it"

Answers = dict[str, dict[str, str]]  # writer → question → what it answers


def answers(texts: Mapping[str, pd.DataFrame], questions: tuple[Prompt, ...]) -> Answers:
    """What each writer answers to each of the ``questions``, whose answers are numbers, of those
    that its ``texts`` (as from ``collapse.measures``) answer."""
    found: Answers = {}
    for name, rows in texts.items():
        first = rows.drop_duplicates("prompt").set_index("prompt")
        found[name] = {
            each.id: judged(
                str(first.loc[each.id, "text"]), bool(first.loc[each.id, "ended"]), each.answer
            )
            for each in questions
            if each.id in first.index
        }
    return found


def judged(text: str, ended: bool, answer: str) -> str:
    """What one text answers: the last number of it, or that this is right. A text that did not end
    has no last number, but may name the right one."""
    found = numbers(text)
    named = NAMES if names_number(text, answer) else ""
    if not ended:
        return CUT + named
    if ends_on_number(text, answer):
        return RIGHT
    return (found[-1] if found else "no number") + named


def answer_table(found: Answers, questions: tuple[Prompt, ...]) -> pd.DataFrame:
    """Writers × questions, and how many answers are right; first a row with the right ones."""
    truth = {each.id: each.answer for each in questions}
    known = {name: truth[name] for name in next(iter(found.values()))}
    rows = [{"writer": "right answer", **known, "right": "–"}]
    for writer, given in found.items():
        rows.append({"writer": writer, **given, "right": f"{right(given)} of {len(given)}"})
    return pd.DataFrame(rows)


def right(given: Mapping[str, str]) -> int:
    """How many of one writer's answers are right."""
    return sum(words == RIGHT for words in given.values())


def numbers(text: str) -> list[str]:
    """The numbers that stand in a text, without commas between thousands.

    >>> numbers("48/2 = 24, so 1,072 and 3.5.")
    ['48', '2', '24', '1072', '3.5']
    """
    return [each.replace(",", "") for each in WHOLE.findall(text)]


def names_number(text: str, answer: str) -> bool:
    """Whether ``answer`` stands anywhere in the text, as a number of its own."""
    return any(_same(each, answer) for each in numbers(text))


def ends_on_number(text: str, answer: str) -> bool:
    """Whether the last number of the text is ``answer``."""
    found = numbers(text)
    return bool(found) and _same(found[-1], answer)


def _same(number: str, answer: str) -> bool:
    return float(number) == float(answer)
