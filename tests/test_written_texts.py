"""Tables, verdicts and answers of pruned texts, on made-up tokens worked out by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from chapters.inconsistent_effects import texts
from chapters.inconsistent_effects.texts import DENSE
from helpers.texts import data
from reporting import claims, figures
from reporting.parting import Course, matches_of_texts
from reporting.statistics import Estimate
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
    own = texts.written(RUNS, PROMPTS, LIMIT)
    assert list(own) == [DENSE, *RUNS]
    found = texts.signs(own, own[DENSE].assign(nats=2.0), seed=0)
    told = {
        name: [sign for sign in texts.SIGNS if texts.shows(found[name], sign)] for name in found
    }
    assert told == {
        "looping": ["loops"],
        "garbled": ["garbled"],
        "stock": ["stock phrases"],
        "other": [],
    }
    assert texts.sign_table(found)["shows"].tolist() == ["loops", "garbled", "stock phrases", "–"]
    assert texts.showing(found, "loops") == ["looping"]


def estimate(low, high):
    return Estimate((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("kind", "loops", "garbled", "expected"),
    [
        ("readable", (0, 0.05), (-2, -1), claims.SUPPORTED),
        ("readable", (0.0, 0.3), (-2, -1), claims.TOO_FEW),
        ("readable", (0.2, 0.3), (-2, -1), claims.CONTRADICTED),
        ("readable", (0.05, 0.3), (1, 2), claims.CONTRADICTED),
        ("garbled", (0, 0.05), (1, 2), claims.SUPPORTED),
        ("garbled", (0, 0.05), (-2, -1), claims.CONTRADICTED),
        ("garbled", (0.2, 0.4), (-1, 2), claims.TOO_FEW),
        ("loops", (0.2, 0.4), (1, 2), claims.SUPPORTED),
        ("loops", (0, 0.05), (1, 2), claims.CONTRADICTED),
        ("loops", (0.05, 0.4), (-2, -1), claims.TOO_FEW),
    ],
)
def test_verdict_follows_its_criterion(kind, loops, garbled, expected):
    found = {"loops": estimate(*loops), "garbled": estimate(*garbled)}
    paper = next(each for each in texts.PAPER.values() if each.kind == kind)
    (claim,) = texts.claims({"A": found}, {"A": paper})
    assert claim.verdict == expected


def test_too_few_prompts_give_no_verdict():
    few = {name: part[part["prompt"].isin(PROMPTS[:3])] for name, part in RUNS.items()}
    own = texts.written(few, PROMPTS, LIMIT)
    found = texts.signs(own, own[DENSE], seed=0)
    assert set(texts.sign_table(found)[claims.TOO_FEW]) == {"loops, garbled, stock phrases"}
    paper = {"looping": next(iter(texts.PAPER.values()))}
    assert [one.verdict for one in texts.claims(found, paper)] == [claims.TOO_FEW]


def test_the_paper_s_texts_go_to_the_same_part_of_the_sublayers():
    run = validate({"dropped": 6, "method": "wanda"})
    found = texts.paper_by_name(settings(run, (2, 1)))
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
    found = texts.by_setting([Run(pd.concat([*parts[:4], helped])), Run(parts[4])], chosen)
    own = {name: part.query("writer == 'pruned'")["token"].tolist() for name, part in found.items()}
    assert own == {name: [number] for number, name in enumerate(chosen)}


def test_gap_is_paired_and_leaves_out_what_has_no_partner():
    one = pd.DataFrame({"prompt": list("abcdefg"), "x": [1.0, 2, 3, 4, 5, 6, 70]})
    other = pd.DataFrame({"prompt": list("fedcba"), "x": [5.0, 4, 3, 2, 1, 0]})
    gap = texts.beyond(one, other, "x", seed=0)
    assert (gap.value, gap.low, gap.high) == (1.0, 1.0, 1.0)


def test_variety_is_compared_at_equal_length():
    long, short = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2], [5, 6, 7, 8]
    frames = [
        pd.DataFrame({"prompt": PROMPTS, "seed": 0, "ids": [tuple(text)] * 6})
        for text in (long, short)
    ]
    assert texts.variety(*frames, 2, seed=0).value == pytest.approx(
        2 / 3 - 1
    )  # 12, 21, 12 | 56, 67, 78
    assert texts.counterpart("Drop-8M, drawn at T = 1") == "Dense, drawn at T = 1"


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
    assert texts.half_time(Course.of(matches_of_texts(tokens), 0)).startswith(expected)


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
    cut = texts.judged(text, ended=False, answer="72")
    assert cut == ("cut off, but names it" if named else "cut off")
    whole = texts.judged(text, ended=True, answer="72")
    assert (whole == "right") is last
    assert whole.endswith("names it") is (named and not last)


def test_answers_are_the_prompts_own_and_stand_in_no_prompt():
    """Otherwise a text that repeats its prompt would name the answer."""
    asked = [each for each in (data.table_2(), *data.appendix_e()) if each.answer.isdigit()]
    assert [each.answer for each in asked] == ["72", "12", "72", "18", "37"]
    assert {texts.judged(each.text, False, each.answer) for each in asked} == {"cut off"}


def test_answers_are_counted():
    asked = (data.table_2(), data.appendix_e()[4])
    own = {
        DENSE: pd.DataFrame(
            {"prompt": ["Table2", "Math1"], "text": [" 72.", " so 12"], "ended": [True, False]}
        ),
        "Drop-8A": pd.DataFrame(
            {"prompt": ["Table2", "Math1"], "text": [" none", " 12, no 13"], "ended": [True, True]}
        ),
    }
    given = texts.answers(own, asked)
    assert given.T.to_dict() == {
        DENSE: {"Table2": "right", "Math1": "cut off, but names it"},
        "Drop-8A": {"Table2": "no number", "Math1": "13, but names it"},
    }
    table = texts.answer_table(given, asked)
    assert table["writer"].tolist() == ["right answer", DENSE, "Drop-8A"]
    assert table["right"].tolist() == ["–", "1 of 2", "0 of 2"]


def test_text_blocks_hold_each_text_once():
    words = {0: "A", 1: "<b>"}
    tokens = {
        name: rows("MC1", [0, 1], [0, 2], 3.0, words).pipe(
            lambda part: pd.concat([part, part.assign(seed=1, token=7)])
        )
        for name in ("Drop-1A", "Drop-1M")
    }
    prompt = data.appendix_e()[0]
    found = texts.question(
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
    table = texts.token_rows([found])
    assert len(table) == 8
    assert table["parted"].tolist() == [False, False, False, True, False, True, False, False]


def test_plane_has_a_point_for_every_text_with_a_value():
    own = texts.written(RUNS, PROMPTS, LIMIT)
    own["other"].loc[0, "distinct_2"] = math.nan
    frame = texts.plane(own)
    words = {"name": "p", "title": "t", "caption": "c", "provenance": {}}
    panels = figures.lines(frame, **words, x_label="x", y_label="y", cloud=True).figure.panels
    assert [panel.title for panel in panels] == list(RUNS)
    assert [len(line.x) for line in panels[0].lines] == [6, 6]
    assert [len(line.x) for line in panels[-1].lines] == [6, 5]
    assert [line.look.marker for line in panels[0].lines] == ["circle", "diamond"]
    assert panels[0].lines[1].mean == tuple(own["looping"]["nats"])


def test_tables_have_no_nan_in_words():
    own = texts.written(RUNS, PROMPTS[:1], LIMIT)
    for table in (
        texts.repetition_table(own, 0),
        texts.likelihood_table(own, 0),
        texts.parting_table(RUNS, PROMPTS[:1], 0),
    ):
        for value in table.to_numpy().ravel():
            assert not (isinstance(value, str) and re.search(r"\bnan\b", value))
            assert not (isinstance(value, float) and math.isnan(value))


def test_perplexity_is_the_exponential_with_its_interval():
    assert texts.as_perplexity(Estimate(np.log(8.0), 0.0, np.log(20.0))) == "8 [1–20]"
    assert texts.as_perplexity(Estimate(np.log(8.0))) == "8"
    assert texts.as_perplexity(Estimate(math.nan)) == "–"


def test_drawn_texts_are_compared_with_drawn_ones():
    chance = ", drawn"
    own = {DENSE: (0.0, 1.0), "Drop-1A": (0.5, 2.0), "Drop-2A": (0.9, 9.0)}
    drawn = {DENSE + chance: (0.0, 3.0), "Drop-2A" + chance: (0.1, 5.0)}

    def frames(given):
        return {
            name: pd.DataFrame({"prompt": PROMPTS, "looped": looped, "nats": nats})
            for name, (looped, nats) in given.items()
        }

    (row,) = texts.drawn_table(frames(own), frames(drawn), 0).to_dict("records")
    assert row == {
        "pruned model": "Drop-2A",
        "in loops, greedy": "90% [90%–90%]",
        "in loops, drawn": "10% [10%–10%]",
        "nats beyond dense, greedy": "8.00 [8.00–8.00]",
        "nats beyond dense, drawn": "2.00 [2.00–2.00]",
    }
