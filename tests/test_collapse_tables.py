"""Tables, verdicts and answers of pruned texts, on made-up tokens worked out by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from chapters.inconsistent_effects import answers, collapse_tables, collapse_words, text_blocks
from chapters.inconsistent_effects.collapse_tables import (
    DENSE,
    beyond,
    by_setting,
    counterpart,
    half_time,
    variety,
    written,
)
from chapters.inconsistent_effects.collapse_verdicts import (
    Collapse,
    collapses,
    reported_by_name,
    verdict_table,
)
from chapters.inconsistent_effects.table2 import shown
from helpers.texts import data
from reporting.parting import Course, matches_of_texts
from reporting.reach import Estimate
from runs.parameters import validate
from runs.settings import settings

PROMPTS = [prompt.id for prompt in data.appendix_e()][:6]
LIMIT = 20


def rows(prompt, dense, pruned, nats, words=None, **constant):
    """Tokens of a dense and a pruned text after one prompt, each token at so many nats."""
    found = []
    for writer, own, other in (("dense", dense, pruned), ("pruned", pruned, dense)):
        parted = False
        for step, token in enumerate(own):
            parted |= step >= len(other) or token != other[step]
            cell = {"prompt": prompt, "category": "C", "seed": 0, "writer": writer, "every": 0}
            cell |= {"step": step, "token": token, "text": (words or {}).get(token, f" {token}")}
            value = -nats if writer == "pruned" else -1.0
            found.append(cell | {"parted": parted, "value": value} | constant)
    return pd.DataFrame(found)


def run_of(make, nats=1.0):
    """Tokens of one pruned model over ``PROMPTS``; ``make`` gives both texts for a number."""
    return pd.concat([rows(prompt, *make(i), nats) for i, prompt in enumerate(PROMPTS)])


def plain(i):
    return list(range(100 * i, 100 * i + LIMIT))


RUNS = {
    "looping": run_of(lambda i: (plain(i), [1000 + i] * LIMIT)),
    "garbled": run_of(lambda i: (plain(i), plain(50 + i)), nats=9.0),
    "stock": run_of(lambda i: (plain(i), plain(99))),
    "other": run_of(lambda i: (plain(i), plain(50 + i))),
}


def test_each_kind_of_collapse_is_told_from_the_others():
    texts = written(RUNS, PROMPTS, LIMIT)
    assert list(texts) == [DENSE, *RUNS]
    usual = texts[DENSE].assign(nats=2.0)
    found = collapses(texts, usual, seed=0)
    assert {name: one.kinds for name, one in found.items()} == {
        "looping": ("loops",),
        "garbled": ("garbled",),
        "stock": ("stock",),
        "other": (),
    }
    assert found["other"].words == "none of the three"
    words = collapse_words.kinds(found)
    assert "loops under looping" in words
    assert "under other none of these" in words


def estimate(low, high):
    return Estimate((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("kind", "loops", "garbled", "expected"),
    [
        ("readable", (0, 0.05), (-2, -1), "held"),
        ("readable", (0.0, 0.3), (-2, -1), "undecided"),
        ("readable", (0.2, 0.3), (-2, -1), "not"),
        ("garbled", (0, 0.05), (1, 2), "held"),
        ("garbled", (0, 0.05), (-2, -1), "not"),
        ("garbled", (0.2, 0.4), (-2, -1), "partly"),
        ("loops", (0.2, 0.4), (1, 2), "held"),
        ("loops", (0, 0.05), (1, 2), "partly"),
        ("loops", (0.05, 0.4), (-2, -1), "undecided"),
    ],
)
def test_verdict_follows_its_criterion(kind, loops, garbled, expected):
    one = Collapse(estimate(*loops), estimate(*garbled), estimate(0, 0.01))
    paper = next(each for each in shown().values() if each.kind == kind)
    assert one.as_in(paper) == expected


def test_too_few_prompts_give_no_verdict():
    few = {name: part[part["prompt"].isin(PROMPTS[:3])] for name, part in RUNS.items()}
    texts = written(few, PROMPTS, LIMIT)
    found = collapses(texts, texts[DENSE], seed=0)
    assert {one.words for one in found.values()} == {"too few prompts"}
    paper = {"looping": next(iter(shown().values()))}
    assert verdict_table(found, paper)["verdict"].tolist()[0] == "too few prompts"
    assert "too few prompts" in collapse_words.verdicts(found, paper)


def test_the_paper_s_texts_go_to_the_same_part_of_the_sublayers():
    run = validate({"dropped": 6, "method": "wanda"})
    found = reported_by_name(settings(run, (2, 1)), shown())
    assert {name: one.setting for name, one in found.items()} == {
        "Drop-3A": "Drop-4A",
        "Drop-6A": "Drop-8A",
        "Drop-3M": "Drop-4M",
        "Drop-6M": "Drop-8M",
    }


class Run:
    """As much of a measurement as is read."""

    def __init__(self, tokens):
        self.tokens = tokens

    def table(self, name):
        return self.tokens


def test_settings_are_found_in_the_runs_that_hold_them():
    run = validate({"dropped": 4, "method": "wanda"})
    chosen = settings(run, (2, 1))
    parts = [
        rows("MC1", [1], [number], 1.0, method=one.method, target=one.whole_target)
        .assign(amount=one.whole_amount)
        .astype({"prompt": "category", "writer": "category"})
        for number, one in enumerate(chosen.values())
    ]
    helped = parts[0].assign(every=4, token=99)
    found = by_setting([Run(pd.concat([*parts[:4], helped])), Run(parts[4])], chosen)
    own = {name: part.query("writer == 'pruned'")["token"].tolist() for name, part in found.items()}
    assert own == {name: [number] for number, name in enumerate(chosen)}


def test_gap_is_paired_and_leaves_out_what_has_no_partner():
    one = pd.DataFrame({"prompt": list("abcdefg"), "x": [1.0, 2, 3, 4, 5, 6, 70]})
    other = pd.DataFrame({"prompt": list("fedcba"), "x": [5.0, 4, 3, 2, 1, 0]})
    gap = beyond(one, other, "x", seed=0)
    assert (gap.value, gap.low, gap.high) == (1.0, 1.0, 1.0)


def test_variety_is_compared_at_equal_length():
    long, short = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2], [5, 6, 7, 8]
    frames = [
        pd.DataFrame({"prompt": PROMPTS, "seed": 0, "ids": [tuple(text)] * 6})
        for text in (long, short)
    ]
    assert variety(*frames, 2, seed=0).value == pytest.approx(2 / 3 - 1)  # 12, 21, 12 | 56, 67, 78
    assert counterpart("Drop-8M, drawn at T = 1") == "Dense, drawn at T = 1"


@pytest.mark.parametrize(
    ("partings", "expected"),
    [
        ([0, 0, 0, 0, 0, 0], "1 [1–1]"),
        ([0, 1, 2, 9, 9, 9], "3 ["),
        ([0, 1, None, None, None, None], "beyond 10 ["),
        ([None] * 6, "beyond 10 [beyond 10–beyond 10]"),
    ],
)
def test_half_time_counts_texts_that_never_part(partings, expected):
    tokens = pd.concat(
        [
            rows(
                prompt, list(range(10)), [9 if parting == at else at for at in range(9)] + [9], 1.0
            )
            if parting != 9
            else rows(prompt, list(range(10)), [*range(9), 0], 1.0)
            for prompt, parting in zip(PROMPTS, partings, strict=True)
        ]
    )
    assert half_time(Course.of(matches_of_texts(tokens), 0)).startswith(expected)


@pytest.mark.parametrize(
    ("text", "named", "last"),
    [
        ("So 48 + 24 = 72 clips.", True, True),
        ("72 clips: 48 and 24", True, False),
        ("She sold 172 or 720 clips", False, False),
        ("7 2", False, False),
        ("72.0", True, True),
        ("72.5 clips", False, False),
        ("1,072", False, False),
        ("The answer is: 72.", True, True),
        ("£72/-", True, True),
        ("no number", False, False),
        ("", False, False),
    ],
)
def test_numbers_are_whole(text, named, last):
    assert answers.names_number(text, "72") is named
    assert answers.ends_on_number(text, "72") is last
    assert answers.judged(text, ended=False, answer="72").startswith("cut off")
    assert (answers.judged(text, ended=True, answer="72") == "right") is last


def test_answers_are_the_prompts_own_and_stand_in_no_prompt():
    """Otherwise a text that repeats its prompt would name the answer."""
    asked = [each for each in (data.table_2(), *data.appendix_e()) if each.answer.isdigit()]
    assert [each.answer for each in asked] == ["72", "12", "72", "18", "37"]
    for each in asked:
        assert not answers.ends_on_number(each.text, each.answer)
    named = [each.id for each in asked if answers.names_number(each.text, each.answer)]
    assert named == []


def test_answer_table_counts_and_floor_is_said():
    asked = (data.table_2(), data.appendix_e()[4])
    texts = {
        DENSE: pd.DataFrame(
            {"prompt": ["Table2", "Math1"], "text": [" 72.", " so 12"], "ended": [True, False]}
        ),
        "Drop-8A": pd.DataFrame(
            {"prompt": ["Table2", "Math1"], "text": [" none", " 12, no 13"], "ended": [True, True]}
        ),
    }
    given = answers.answers(texts, asked)
    assert given == {
        DENSE: {"Table2": "right", "Math1": "cut off, but names it"},
        "Drop-8A": {"Table2": "no number", "Math1": "13, but names it"},
    }
    table = answers.answer_table(given, asked)
    assert table["right"].tolist()[1:] == ["1 of 2", "0 of 2"]
    assert "floor" not in collapse_words.floor(given)
    given[DENSE]["Table2"] = "3"
    assert "a floor" in collapse_words.floor(given)


def test_text_blocks_hold_each_text_once():
    words = {0: "A", 1: "<b>"}
    tokens = {
        name: rows("MC1", [0, 1], [0, 2], 3.0, words).pipe(
            lambda part: pd.concat([part, part.assign(seed=1, token=7)])
        )
        for name in ("Drop-1A", "Drop-1M")
    }
    prompt = data.appendix_e()[0]
    found = text_blocks.question(
        prompt,
        tokens,
        2,
        reported={"Drop-1A": "as there"},
        drawn={"Dense, drawn": tokens["Drop-1A"]},
    )
    names = [each.name for each in found.texts]
    assert names == [DENSE, "Drop-1A", "Drop-1M", "Dense, drawn"]
    assert [each.parting for each in found.texts] == [None, 1, 1, None]
    assert found.texts[0].tokens == ("A", "<b>")
    assert found.texts[1].surprise == (3.0, 3.0)
    assert found.texts[1].reported == "as there"
    table = text_blocks.token_rows([found])
    assert len(table) == 8
    assert table["parted"].tolist() == [False, False, False, True, False, True, False, False]
    assert text_blocks.first_partings(found) == [1, 1]
    assert "after 1 common token" in collapse_words.parting_title(found)


def test_tables_have_no_nan_in_words():
    texts = written(RUNS, PROMPTS[:1], LIMIT)
    for table in (
        collapse_tables.repetition_table(texts, 0),
        collapse_tables.likelihood_table(texts, 0),
        collapse_tables.parting_table(RUNS, PROMPTS[:1], 0),
    ):
        for value in table.to_numpy().ravel():
            assert not (isinstance(value, str) and re.search(r"\bnan\b", value))
            assert not (isinstance(value, float) and math.isnan(value))


def test_perplexity_is_the_exponential_with_its_interval():
    assert collapse_tables.as_perplexity(Estimate(np.log(8.0), 0.0, np.log(20.0))) == "8 [1–20]"
    assert collapse_tables.as_perplexity(Estimate(np.log(8.0))) == "8"
    assert collapse_tables.as_perplexity(Estimate(math.nan)) == "–"


def test_drawn_texts_are_compared_with_drawn_ones():
    chance = ", drawn"
    texts = {DENSE: (0.0, 1.0), "Drop-1A": (0.5, 2.0), "Drop-2A": (0.9, 9.0)}
    drawn = {DENSE + chance: (0.0, 3.0), "Drop-2A" + chance: (0.1, 5.0)}

    def frames(given):
        return {
            name: pd.DataFrame({"prompt": PROMPTS, "looped": looped, "nats": nats})
            for name, (looped, nats) in given.items()
        }

    words = collapse_words.without_greed(frames(texts), frames(drawn), chance, 0)
    assert words.count("- **") == 1
    assert "Drop-2A" in words
    assert "90% [90%–90%] of the tokens of greedy texts, 10% [10%–10%] of drawn ones" in words
    assert "by 8.00 [8.00–8.00] nats per token greedy beside greedy" in words
    assert "by 2.00 [2.00–2.00] drawn beside drawn" in words
