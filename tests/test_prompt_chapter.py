"""The chapter on prompts: their lengths, what a template adds, what so few can support."""

from itertools import product
from math import atan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapters.e_prompts import shares, story
from chapters.e_prompts.measure import prompt_lengths, template_parts
from helpers.evaluation.paired import wilson
from helpers.models.load import load, model_facts, outline
from helpers.texts.data import appendix_e, select_prompts, table_2
from reporting import prose
from runs.parameters import validate

Z = 1.959963984540054


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    results = str(tmp_path_factory.mktemp("results"))
    values = {"model": str(tiny_folder), "prompts": "Gen4,MC2,Table2", "results": results}
    return prompt_lengths(validate(values))


def test_lengths_of_a_byte_level_tokenizer_are_bytes(measured):
    table = measured.table("prompts").set_index(["form", "prompt"])["tokens"]
    for prompt in select_prompts("Gen4,MC2,Table2"):
        assert table["plain", prompt.id] == len(prompt.text.encode())
        assert table["template", prompt.id] == len(prompt.text.encode()) + 2


def test_facts_need_no_weights(measured, tiny_folder):
    whole = load(str(tiny_folder), device="cpu")
    facts = measured.manifest["facts"]
    assert facts["model"] == model_facts(whole)
    assert facts["context"] == whole.model.config.max_position_embeddings
    assert outline(str(tiny_folder)).fingerprint == whole.fingerprint
    assert all(weight.is_meta for weight in outline(str(tiny_folder)).model.parameters())
    assert facts["last"] == {"plain": ".", "template": "</s>"}
    assert facts["parts"]["before"] == ["<s>"]
    assert facts["parts"]["after"] == ["</s>"]


@pytest.mark.parametrize("model", ["smollm2-135m", "tiny"])
def test_parts_are_the_tokens_of_the_whole_and_hold_the_prompt(model, tiny_folder):
    tokenizer = outline(str(tiny_folder) if model == "tiny" else model).tokenizer
    text = select_prompts("MC2")[0].text
    whole = tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False)
    parts = template_parts(tokenizer, whole, f" {text}\n")
    assert "".join(parts["prompt"]) == text
    assert "".join(token for tokens in parts.values() for token in tokens) == whole
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert sum(map(len, parts.values())) == len(ids)


def test_a_template_that_rewrites_the_prompt_is_one_part(tiny_tokenizer):
    parts = template_parts(tiny_tokenizer, "<s>A B</s>", "a b")
    assert parts == {"before": ["<s>", "A", " ", "B", "</s>"], "prompt": [], "after": []}
    assert story.template_table(parts)["Tokens"].tolist() == [5]


def test_lengths_groups_and_figure(measured):
    found = story.lengths(measured.table("prompts"))
    sizes = [len(prompt.text) for prompt in select_prompts("Gen4,MC2,Table2")]
    assert found["plain"].tolist() == sizes
    assert found["template"].tolist() == [size + 2 for size in sizes]
    assert story.span(found["plain"]) == f"{min(sizes)}–{max(sizes)}"
    alone = measured.table("prompts", form="plain")
    assert story.lengths(alone)["template"].tolist() == sizes
    words = {"name": "f", "title": "t", "caption": "c", "provenance": {}}
    (panel,) = story.profile(found, **words).figure.panels
    plain = next(line for line in panel.lines if line.label == "text alone")
    assert (plain.x, plain.mean) == (tuple(sizes), (3, 2, 1))
    assert [name for _, name in panel.y_ticks] == ["Gen4", "MC2", "Table2"]
    assert story.groups(found.assign(category=["x", "x", "y"])) == "1–2 x, 3 y"
    assert story.groups(found.assign(category=["x", "y", "x"])) == "1 x, 2 y, 3 x"


def test_a_constant_guess_is_right_as_often_as_the_letter():
    assert story.constant_guess() == {"A": 0, "B": 1, "C": 3, "D": 0}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("all", "12 prompts of the paper's [Appendix E](e-prompts.md)"),
        (
            [{"id": "Table2", "prompt": table_2().text}, "x", "y"],
            "the question of the paper's "
            "[Table 2](e-prompts.md) and 2 prompts of [one's own](e-prompts.md)",
        ),
    ],
)
def test_prompts_in_words(chosen, words):
    assert prose.prompts(validate({"prompts": chosen})) == words


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_what_the_score_test_does_not_refute(counts):
    successes, n = counts
    low, high = wilson(successes, n)
    for share in np.linspace(0, 1, 101):
        distance = abs(successes / n - share) - Z * sqrt(share * (1 - share) / n)
        if abs(distance) > 1e-9:
            assert (low <= share <= high) == (distance < 0)


@pytest.mark.parametrize(("successes", "n"), [(-1, 4), (5, 4), (0, 0)])
def test_no_share_is_refused(successes, n):
    with pytest.raises(ValueError, match="is no share"):
        wilson(successes, n)


@pytest.mark.parametrize("width", [0.9, 0.5, 0.2, 0.1])
def test_prompts_needed_is_the_fewest(width):
    def widest(n):
        """The width of a share of one half, which n even prompts can have."""
        low, high = wilson(n, 2 * n)
        assert max(np.diff(wilson(k, 2 * n))[0] for k in range(2 * n + 1)) == high - low
        return high - low

    n = shares.prompts_needed(width)
    assert widest((n + 1) // 2) <= width
    assert n < 3 or widest((n - 1) // 2) > width


def test_fewest_flips_by_counting_every_outcome():
    """Of all ways in which answers may change, how many are as one-sided as all of them lost?"""

    def refuted(flips):
        signs = [abs(sum(way)) for way in product((-1, 1), repeat=flips)]
        return sum(total == flips for total in signs) / len(signs) <= 0.05

    for n in (1, 4, 5, 6, 12):
        expected = next((flips for flips in range(1, n + 1) if refuted(flips)), None)
        assert shares.fewest_flips(n) == expected


def test_coverage_of_the_bootstrap():
    assert shares.bootstrap_coverage(2) == pytest.approx(2 / pi * atan(Z * sqrt(0.5)), abs=1e-6)
    assert shares.bootstrap_coverage(5000) == pytest.approx(0.95, abs=2e-4)
    generator = np.random.default_rng(0)
    for n in (4, 12):
        held = []
        for _ in range(3000):
            values = generator.standard_normal(n)
            means = values[generator.integers(n, size=(400, n))].mean(axis=1)
            low, high = np.percentile(means, (2.5, 97.5))
            held.append(low <= 0 <= high)
        assert np.mean(held) == pytest.approx(shares.bootstrap_coverage(n), abs=0.025)


def test_support_of_four_and_twelve():
    table = shares.support([4, 12]).set_index("Prompts")
    assert table["Losses"].tolist() == ["out of reach", "6"]
    assert table.loc["12", "All right"] == "76%–100%"
    assert len(appendix_e()) == 12
