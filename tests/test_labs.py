"""The labs: their tests fail on the broken code and pass on the smallest mend, in the notebook and
in grading, and nothing that a student reads before the hints gives the place away."""

import re
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from conftest import tiny_model
from torch import nn

from course import labs, source
from course.checks import labs as checks
from course.grading.labs import LABS
from helpers import load
from helpers.evaluation.spans import first_span, holds

PAGES = {name: source.read(Path(__file__).parents[1] / f"book/{name}.md") for name in LABS}
MENDS = {
    name: next(one for one in page.exercises if one.kind == "Mend") for name, page in PAGES.items()
}
CHECKED = {
    "lab1": ("drop_attention", checks.writes_as_it_reads),
    "lab2": ("keep_mask", checks.removes_what_is_asked),
    "lab3": ("right", checks.asks_alike),
}
ENTRY = "hidden_states[:, None, :, :1]"
ASKED = 'asked = f"{probe.question} {probe.prefix}"\n'
LOWEST = "lowest = "
WRONG = {  # what a student may try instead: the text to change in the solution, and into what
    "lab1": {
        "keeps layer 0": ("for layer in layers:", "for layer in filter(None, layers):"),
        "an entry that holds no token": (ENTRY, "hidden_states[:, None, :0]"),
        "an entry of no width": (ENTRY, "hidden_states[:, None, :, :0]"),
        "passes its input on": ("torch.zeros_like(hidden_states), None", "hidden_states, None"),
    },
    "lab2": {
        "keeps all that tie": (
            LOWEST,
            f"return scores >= scores.sort(1).values[:, count : count + 1]\n    {LOWEST}",
        ),
        "rows together": (LOWEST, f"return scores > scores.quantile(amount)\n    {LOWEST}"),
        "the highest go": ("scores.argsort", "(-scores).argsort"),
    },
    "lab3": {
        "the beginning alone": ("generate(model, [asked]", "generate(model, [probe.prefix]"),
        "the options too": (
            ASKED,
            f'{ASKED}    if form == "writing":\n        asked += f" {{probe.options}}:"\n',
        ),
    },
}


@pytest.fixture(scope="module", autouse=True)
def model(tmp_path_factory):
    """The embedded model, loaded once, and four questions of each student instead of twelve. Where
    it is judged by nothing but what is read, a tiny network reads."""
    model, folder = labs.the_model(), tmp_path_factory.mktemp("tiny")
    sizes = {"vocab_size": len(model.tokenizer), "max_position_embeddings": 512}
    tiny_model("llama", **sizes).save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    tiny = load(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["helpers.models.load"], "load", lambda *_, **__: tiny)
        patch.setattr(labs, "QUESTIONS", 4)
        labs._gaps.cache_clear()
        yield model
    labs._gaps.cache_clear()


def code(blocks):
    return "\n".join(block.text for block in blocks if block.code)


def defined(name, text):
    """What a student's cell defines, after what the page gives."""
    given = code(PAGES[name].lead)
    likelihood = re.search(r"^def likelihood.*?\n\n\n", given, re.M | re.S)
    names = {"torch": torch, "nn": nn, "first_span": first_span, "holds": holds}
    exec("from helpers import generate\n" + (likelihood[0] if likelihood else ""), names)
    exec(text.replace("tokens=12", "tokens=2"), names)  # what is written is not judged
    return names


def visible(name, text, model):
    function, check = CHECKED[name]
    more = [model] if name == "lab3" else []
    return check(defined(name, text)[function], *more)


def hidden(name, text):
    """What the hidden tests say, by test; nothing of what passes."""
    lab, names, said = LABS[name], defined(name, text), {}
    for test in lab.tests:
        given = test.draw(Random(f"a secret {test.name}"))
        try:
            said[test.name] = test.judge(given, lab.asking(names, given))
        except Exception as error:
            said[test.name] = str(error)
    return {key: line for key, line in said.items() if line}


@pytest.mark.parametrize("name", LABS)
def test_tests_fail_on_the_broken_code_and_pass_on_the_mended(name, model):
    broken, mended = code(MENDS[name].start), code(MENDS[name].solution)
    assert not visible(name, broken, model).passed
    assert hidden(name, broken).keys() == {test.name for test in LABS[name].tests}
    assert visible(name, mended, model).passed
    assert hidden(name, mended) == {}


@pytest.mark.parametrize(("name", "how"), [(name, how) for name in WRONG for how in WRONG[name]])
def test_wrong_mends_are_refused(name, how, model):
    before, after = WRONG[name][how]
    solution = code(MENDS[name].solution)
    assert before in solution
    wrong = solution.replace(before, after)
    verdict = visible(name, wrong, model)
    assert not verdict.passed
    assert 20 < len(verdict.line) < 300
    assert hidden(name, wrong)


def test_another_right_way_passes_too(model):
    """Neither form gets the answer's beginning, or a mask is made by sorting ranks."""
    neither = code(MENDS["lab3"].solution).replace(
        "{probe.question} {probe.prefix}", "{probe.question}"
    )
    assert hidden("lab3", neither) == {}
    ranks = "def keep_mask(scores, amount):\n    ranks = scores.argsort(1).argsort(1)\n"
    ranks += "    return ranks >= int(amount * scores.shape[1])"
    assert visible("lab2", ranks, model).passed
    assert hidden("lab2", ranks) == {}


PLACES = {
    "lab1": r"cache|position|length|placeholder|count\b|remember",
    "lab2": r"\btie|equal|same value|grid|threshold",
    "lab3": r"prefix|beginning|opening|both forms get",
}


@pytest.mark.parametrize("name", LABS)
def test_the_text_does_not_give_the_place_away(name):
    page = PAGES[name]
    told = [block.text for block in page.lead if not block.code]
    told += [one.task for one in page.exercises]
    assert not re.findall(PLACES[name], "\n".join(told), re.I)
    assert len(MENDS[name].hints) >= 2


@pytest.mark.parametrize("name", LABS)
def test_numbers_are_each_students_own_and_have_bands(name, model):
    (number,) = LABS[name].numbers
    own = {student: number.right(student) for student in ("ada", "ben", "cem", "dia", "eva")}
    assert len(set(own.values())) >= 3
    right = own["ada"][0]
    assert number.share("ada", right) == number.share(" Ada", right + 0.5 * number.full) == 1
    assert number.share("ada", right + 0.9 * number.half) == 0.5
    for wrong in (max(own["ada"]) + 1, None, "0.5", [right], float("nan"), 10**400, True):
        assert number.share("ada", wrong) == 0


def test_each_numbers_check_takes_the_solution_and_refuses_the_likely_mistakes(model):
    nats, gone, gaps = (LABS[name].numbers[0].right("ada") for name in LABS)
    assert checks.one_pass("ada", nats[0]).passed
    assert checks.share_gone("ada", gone[0]).passed
    assert checks.dense_gap("ada", gaps[0]).passed
    for check, wrong in (
        (checks.one_pass, (nats[0] * 17, LABS["lab1"].numbers[0].right("ben")[0])),
        (checks.share_gone, (0.2, 1 - gone[0])),
        (checks.dense_gap, (-gaps[0] - 0.2, sum(gaps) / 2)),
    ):
        for value in wrong:
            assert not check("ada", value).passed
