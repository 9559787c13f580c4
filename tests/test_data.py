import json
from pathlib import Path

import pytest

from helpers.errors import InputError
from helpers.texts.data import appendix_e, select_prompts, table_2, tokenize

PAPER = Path(__file__).parents[2] / "shared" / "paper" / "prompts.json"


def test_twelve_prompts_in_three_categories():
    prompts = appendix_e()
    assert len({prompt.id for prompt in prompts}) == 12
    assert len({prompt.category for prompt in prompts}) == 3


@pytest.mark.skipif(not PAPER.is_file(), reason="the paper's files are not beside this checkout")
def test_prompts_equal_the_papers():
    reference = [item for items in json.loads(PAPER.read_text()).values() for item in items]
    assert [(p.id, p.text) for p in appendix_e()] == [(r["id"], r["prompt"]) for r in reference]


def test_the_question_of_table_2_is_a_thirteenth_prompt():
    assert table_2() not in appendix_e()
    assert select_prompts("Table2") == (table_2(),)
    assert select_prompts("all") == appendix_e()
    assert select_prompts("all,Table2,MC1") == (*appendix_e(), table_2())
    assert select_prompts("Table2,all") == (table_2(), *appendix_e())


def test_right_answers():
    """Option letters found by their content, numbers by another way than the book explains."""
    right = {"MC1": "8", "MC2": "Mars", "MC3": "Dog", "MC4": "Alex"}
    numbers = {
        "Math1": next(john for john in range(19) if john == 2 * (18 - john)),
        "Math2": sum((48, 48 // 2)),
        "Math3": next(emma for emma in range(25) if emma == 3 * (24 - emma)),
        "Math4": 5 * 12 - (8 + 15),
        "Table2": sum((48, 48 // 2)),
    }
    for prompt in (*appendix_e(), table_2()):
        if prompt.id in right:
            assert f"{prompt.answer}) {right[prompt.id]}" in prompt.text
        elif prompt.id in numbers:
            assert prompt.answer == str(numbers[prompt.id])
        else:
            assert prompt.category == "Open-Ended Generation"
            assert not prompt.answer
        assert bool(prompt.working) == bool(prompt.answer)


def test_selection_keeps_the_given_order_once():
    assert [p.id for p in select_prompts("Gen4, MC1,Gen4")] == ["Gen4", "MC1"]


@pytest.mark.parametrize("chosen", ["Math9", "MC1,Math9", ",", " "])
def test_bad_selection(chosen):
    with pytest.raises(InputError, match="known are all, MC1"):
        select_prompts(chosen)


def test_tokenize_pads_left_and_uses_the_template(tiny_tokenizer):
    prompts = select_prompts("MC2,Gen4")
    ids, mask = tokenize(prompts, tiny_tokenizer, True, "cpu")
    assert ids.shape == mask.shape
    assert mask[:, -1].all()
    lengths = mask.sum(-1).tolist()
    assert lengths == [len(prompt.text.encode()) + 2 for prompt in prompts]
    plain, _ = tokenize(prompts, tiny_tokenizer, False, "cpu")
    assert plain.shape[1] == ids.shape[1] - 2


def test_no_chat_template_is_one_line(tiny_tokenizer):
    import copy

    bare = copy.deepcopy(tiny_tokenizer)
    bare.chat_template = None
    with pytest.raises(InputError, match="no chat template: use chat_template=false"):
        tokenize(select_prompts("MC1"), bare, True, "cpu")
