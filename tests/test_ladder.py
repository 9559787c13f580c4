"""The ladder measured on a tiny model, against full forward passes, and what is made of it."""

import re
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_model
from hypothesis import example, given, settings
from hypothesis import strategies as some
from transformers import AutoModelForCausalLM

from chapters.ladder import story
from chapters.ladder.story import PLAIN, PREFIX, Ladders
from helpers.errors import InputError
from helpers.texts.probes import probes
from measurements import asked_dense
from measurements.ladder import FORMS, Candidates, ladder, rungs, share_won, sizes
from reporting import figures
from runs.parameters import validate

SHORT = {"device": "cpu", "calibration_samples": 2, "calibration_length": 64, "probes": 2}


@pytest.fixture(scope="module")
def take(tiny_folder, tmp_path_factory):
    """A function that measures on the tiny model, into a folder of this module."""
    folder = tmp_path_factory.mktemp("results")

    def call(**values):
        asked = SHORT | {"model": str(tiny_folder), "results": str(folder)} | values
        return ladder(validate(asked))

    return call


def first_bytes(words):
    """The tiny tokenizer's token for the first byte of each word."""
    return {word.encode()[0] for word in words}


def naive(model, tokenizer, probe, form, generator):
    """Everything the ladder says of one question, from a full pass over its text and, for shares
    of draws, from many draws; None if the answer is not told apart."""
    known = [one for one in probes() if one.family == probe.family]
    wrong = {word for one in known for word in one.accepted if not probe.accepts(word)}
    ours, others = first_bytes(probe.accepted), first_bytes(wrong)
    if probe.answer.encode()[0] in others:
        return None
    template = tokenizer.apply_chat_template(
        [{"role": "user", "content": probe.question}], tokenize=False, add_generation_prompt=True
    )
    text = template + (f"{probe.prefix} " if form == "generation, prefix" else "")
    token = {value: tokenizer.encode(chr(value))[-1] for value in ours | others}
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(ids).logits[0, -1].tolist()
    right = {token[value] for value in ours - others}
    unclear = {token[value] for value in ours & others}
    rivals = [place for place in range(len(logits)) if place not in right | unclear]
    best = max(logits[place] for place in right)
    orders = (torch.randperm(len(rivals), generator=generator)[:7] for _ in range(400))
    draws = [all(logits[rivals[at]] < best for at in order) for order in orders]
    family = [token[value] for value in others - ours]
    return {
        "rank": 1 + sum(logits[place] >= best for place in rivals),
        "vocabulary": float(all(logits[place] < best for place in rivals)),
        "kind": float(all(logits[place] < best for place in family)),
        "family": len(family) + 1,
        "random": float(np.mean(draws)),
    }


def test_a_question_says_what_a_full_pass_says(take, tiny_folder, tiny_tokenizer):
    """Nothing shared, nothing padded, and no formula: only passes and draws."""
    run = take(dropped=0)
    table = run.table("ladder")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    left_out = run.manifest["facts"]["left_out"]
    seen = 0
    for probe in probes("all", 2):
        for form in FORMS:
            rows = table[(table["item"] == probe.id) & (table["form"] == form)]
            found = naive(model, tiny_tokenizer, probe, form, generator)
            if found is None:
                assert probe.id in left_out[form]
                assert rows.empty
                continue
            seen += 1
            assert set(rows["rank"]) == {found["rank"]}
            whole = rows[rows["candidates"] == "vocabulary"]
            assert whole["value"].tolist() == [found["vocabulary"]]
            assert whole["size"].tolist() == [300]
            kind = rows[rows["candidates"] == "kind"]
            assert kind["size"].max() == found["family"]
            assert kind.loc[kind["size"].idxmax(), "value"] == found["kind"]
            eight = rows[(rows["candidates"] == "random") & (rows["size"] == 8)]["value"].item()
            assert eight == pytest.approx(found["random"], abs=0.11)
    assert seen > 5
    assert sum(run.manifest["facts"]["counts"].values()) == seen


def test_the_dense_model_among_its_neighbours_is_right_where_it_is_over_all(take):
    table = take(dropped=0).table("ladder")
    wide = table.pivot_table(
        index=["item", "form"], columns=["candidates", "size"], values="value", observed=True
    )
    whole = wide["vocabulary"].iloc[:, 0]
    assert wide["matched"].eq(whole, axis=0).all(axis=None)


def test_pruned_models_are_read_on_the_same_questions(take):
    dense, pruned = take(dropped=0), take(dropped=2, target="mlp")
    keys = ["item", "form", "candidates", "size"]
    one, two = (run.table("ladder")[keys].astype(str) for run in (dense, pruned))
    pd.testing.assert_frame_equal(one, two)
    assert pruned.manifest["facts"]["pruned"].startswith("dropped mlp of layers")
    assert dense.manifest["facts"]["pruned"] == "nothing removed"
    values = [run.table("ladder")["value"] for run in (dense, pruned)]
    assert not np.array_equal(*values)


def test_same_measurement_same_table(take, tmp_path):
    first = take(dropped=1).table("ladder")
    asked_dense._asked.cache_clear()
    again = take(dropped=1, results=str(tmp_path)).table("ladder")
    pd.testing.assert_frame_equal(first, again)


def test_what_comes_first_instead_is_told(take):
    """Whatever is likeliest where the answer is not; among its kind it need not be so."""
    run = take(dropped=0)
    table, facts = run.table("ladder"), run.manifest["facts"]
    for form in FORMS:
        rows = table[table["form"] == form]
        whole = rows[rows["candidates"] == "vocabulary"].set_index("item")["value"]
        found = facts["instead"][form]
        assert found
        assert set(found) <= set(whole.index[whole == 0])
        among = rows[rows["candidates"] == "kind"].groupby("item", observed=True)["value"].last()
        for item, one in found.items():
            assert len(one["token"]) <= 1
            if one["kind"]:
                assert among[item] == 0


def close(found, wanted):
    """Sums in another order, in float32."""
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=2e-4)


def test_a_model_that_reads_too_little_is_one_line(take, tiny_tokenizer, tmp_path):
    tiny_model("llama", max_position_embeddings=64).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"makes \d+ tokens, the model reads 64"):
        take(dropped=0, model=str(tmp_path))


# rungs against every set of candidates of a small vocabulary

TOKENS = 9
# few different values, so that logits tie
LOGITS = some.lists(some.integers(-3, 3), min_size=TOKENS, max_size=TOKENS)
ROLES = some.lists(some.integers(0, 3), min_size=TOKENS, max_size=TOKENS)


def tokens_of(roles):
    """Token 0 is right; of the others 1 are right too, 2 of the family, and 3 unclear."""
    named = [tuple(place for place, role in enumerate(roles) if role == kind) for kind in (1, 2, 3)]
    right, family, unclear = ([place for place in each if place] for each in named)
    return Candidates((0, *right), tuple(family), tuple(unclear))


def values(found, candidates):
    return {size: value for name, size, value in found if name == candidates}


def by_hand(logits, right, rivals, size):
    """Share of all sets of `size` in which the right one is strictly best, set by set."""
    best = max(logits[token] for token in right)
    sets = list(combinations(rivals, size - 1))
    return sum(all(logits[rival] < best for rival in each) for each in sets) / len(sets)


@settings(deadline=None)
@given(LOGITS, LOGITS, ROLES)
def test_shares_are_those_of_all_sets(logits, dense, roles):
    tokens = tokens_of(roles)
    found, rank = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens)
    others = [t for t in range(TOKENS) if t not in (*tokens.right, *tokens.unclear)]
    for name, rivals in (("random", others), ("kind", tokens.family)):
        for size, value in values(found, name).items():
            assert value == pytest.approx(by_hand(logits, tokens.right, rivals, size), abs=1e-12)
    whole = by_hand(logits, tokens.right, others, len(others) + 1)
    assert values(found, "vocabulary") == {TOKENS: whole}
    best = max(logits[token] for token in tokens.right)
    assert rank == 1 + sum(logits[token] >= best for token in others)


@settings(deadline=None)
@given(LOGITS, LOGITS, ROLES)
def test_matched_are_the_neighbours_in_dense_rank(logits, dense, roles):
    tokens = tokens_of(roles)
    found, _ = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens)
    order = sorted(range(TOKENS), key=lambda token: (-dense[token], token))
    first = next(token for token in order if token in tokens.right)
    order = [t for t in order if t == first or t not in (*tokens.right, *tokens.unclear)]
    place = order.index(first)
    walk = [at for step in range(1, TOKENS) for at in (place - step, place + step)]
    line = [order[at] for at in walk if 0 <= at < len(order)]
    best = max(logits[token] for token in tokens.right)
    for size, value in values(found, "matched").items():
        assert value == all(logits[token] < best for token in line[: size - 1])


@settings(deadline=None)
@given(LOGITS, ROLES)
@example([-1, 0, 0, 1, 0, 0, 0, 3, 2], [0, 0, 0, 1, 0, 0, 0, 0, 3])  # no candidate, in between
def test_among_its_own_neighbours_the_dense_model_is_right_where_it_is_over_all(logits, roles):
    """The token above comes first, so a right token that is not the best loses at once."""
    z = torch.tensor(logits).float()
    found, _ = rungs(z, z, tokens_of(roles))
    ties = logits.count(max(logits)) > 1
    (whole,) = values(found, "vocabulary").values()
    for value in values(found, "matched").values():
        assert value >= whole if ties else value == whole


@settings(deadline=None)
@given(some.integers(0, 40), some.integers(0, 40))
def test_the_closed_form_counts_draws(ahead, more):
    rivals = ahead + more
    for size in range(1, rivals + 2):
        exact = comb(rivals - ahead, size - 1) / comb(rivals, size - 1)
        assert share_won(ahead, rivals, size) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("ahead", "rivals", "size"), [(3, 49_151, 4_096), (70, 49_151, 512), (9_000, 49_151, 128)]
)
def test_the_closed_form_holds_for_a_vocabulary(ahead, rivals, size):
    exact = comb(rivals - ahead, size - 1) / comb(rivals, size - 1)
    assert share_won(ahead, rivals, size) == pytest.approx(exact, rel=1e-7)


@settings(deadline=None)
@given(LOGITS, LOGITS, ROLES)
def test_more_candidates_are_never_easier(logits, dense, roles):
    found, _ = rungs(torch.tensor(logits).float(), torch.tensor(dense).float(), tokens_of(roles))
    (whole,) = values(found, "vocabulary").values()
    for name in ("random", "matched"):
        shares = list(values(found, name).values())
        assert shares == sorted(shares, reverse=True)
        assert all(share >= whole for share in shares)
    kind = list(values(found, "kind").values())
    assert kind == sorted(kind, reverse=True)


def test_the_likeliest_token_wins_everywhere_and_a_tie_everywhere_loses():
    tokens = Candidates((2,), (0, 1), ())
    found, rank = rungs(torch.tensor([1.0, 2.0, 9.0, 3.0]), torch.zeros(4), tokens)
    assert rank == 1
    assert {value for _, _, value in found} == {1.0}
    found, rank = rungs(torch.zeros(4), torch.zeros(4), tokens)
    assert rank == 4
    assert {value for _, _, value in found} == {0.0}


def test_draws_that_cannot_be_are_refused():
    for wrong in ((5, 4, 2), (0, 4, 6), (0, 4, 0)):
        with pytest.raises(ValueError, match="cannot be drawn"):
            share_won(*wrong)


def test_sizes_double_up_to_all():
    assert sizes(20) == [2, 4, 8, 16, 20]
    assert sizes(16) == [2, 4, 8, 16]
    assert sizes(2) == [2]
    assert sizes(1) == []


def test_a_token_that_begins_right_and_wrong_answers_is_no_candidate():
    """As the blank before a number: 7 may follow it, and 8."""
    tokens = Candidates.of([3, 9, None], [4, 9, 5, None])
    assert tokens == Candidates((3,), (4, 5), (9,))
    assert Candidates.of([4, 3], [4, 5]) is None
    assert Candidates.of([None, 3], [4]) is None


# what is made of it

VOCABULARY = 64
FAMILIES = {"capitals": 20, "colours": 6}


def made(shift, weak=("colours",)):
    """A ladder table by hand: in each family the answer is token 0, with `shift` tokens ahead of
    it that begin no answer; in `weak` families one more, whatever the model."""
    rows = []
    for family, count in FAMILIES.items():
        for number in range(count):
            ahead = shift * (number % 2) + (family in weak)
            logits = torch.zeros(VOCABULARY)
            logits[0] = 1.0
            logits[VOCABULARY - ahead :] = 2.0
            tokens = Candidates((0,), tuple(range(1, 6 + number)), ())
            found, rank = rungs(logits, logits, tokens)
            rows += [
                {
                    "family": family,
                    "item": f"{family}-{number}",
                    "form": PREFIX,
                    "candidates": kind,
                    "size": size,
                    "rank": rank,
                    "value": value,
                }
                for kind, size, value in found
            ]
    return pd.DataFrame(rows)


@pytest.fixture
def both():
    """A dense and a pruned model; in every other question five tokens pass the answer."""
    return Ladders.of({"Dense": made(0), "Drop-2M": made(5), "Drop-4M": made(30)}, seed=0)


def test_families_at_their_floor_are_left_out_by_the_dense_model(both):
    assert both.floored == ["colours"]
    kept = both.above_floor()
    assert kept.families == ["capitals"]
    assert kept.questions == FAMILIES["capitals"]
    assert kept.score("Dense", "vocabulary").value == 1
    nothing = Ladders.of({"Dense": made(0, tuple(FAMILIES))}, seed=0)
    assert nothing.above_floor().questions == sum(FAMILIES.values())


def test_numbers_are_those_of_the_closed_form(both):
    kept = both.above_floor()
    assert kept.vocabulary == VOCABULARY
    assert kept.sizes("random") == [2, 4, 8, 16, 32]
    assert kept.sizes("kind") == [2, 4]
    assert kept.score("Drop-2M", "vocabulary").value == 0.5
    assert kept.score("Drop-2M", "random", 2).value == pytest.approx((1 + 58 / 63) / 2)
    assert kept.score("Drop-4M", "kind").value == 1
    assert kept.change("Drop-2M", "vocabulary").value == -0.5
    assert kept.ranks.median().to_dict() == {"Dense": 1, "Drop-2M": 3.5, "Drop-4M": 16}


def test_the_fewest_candidates_that_cost_a_share(both):
    """Half of the answers have 5 tokens ahead, so 16 of 64 random candidates leave
    (1 + C(58, 15) / C(63, 15)) / 2 = 0.62, and all of them 0.5, which is not less than half."""
    kept = both.above_floor()
    shares = {size: kept.score("Drop-2M", "random", size).value for size in (8, 16, 32)}
    assert shares[16] == pytest.approx(0.62, abs=0.01)
    assert kept.fewest("Drop-2M", 0.9).value == min(
        s for s in kept.sizes("random") if kept.score("Drop-2M", "random", s).value < 0.9
    )
    none = kept.fewest("Drop-2M", 0.5)
    assert none.value == np.inf
    assert none.high == np.inf
    assert story.rung_text(none).startswith("none [")
    assert kept.fewest("Dense", 0.9).value == np.inf
    assert story.rung_text(kept.fewest("Dense", 0.9)) == "none"


def test_other_questions_are_refused(both):
    with pytest.raises(ValueError, match="same questions"):
        Ladders.of({"Dense": made(0), "Drop-2M": made(5).query("item != 'colours-0'")}, seed=0)


def test_the_figure_ends_at_all_tokens(both):
    panels = drawn(both.above_floor()).panels
    assert [panel.title for panel in panels] == list(story.PANELS.values())
    for panel in panels:
        assert [line.label for line in panel.lines] == ["Dense", "Drop-2M", "Drop-4M"]
        assert (panel.lines[1].x[-1], panel.lines[1].mean[-1]) == (VOCABULARY, 0.5)
    assert [np.isnan(line.mean).sum() for line in panels[0].lines] == [0, 0, 0]
    assert np.isnan(panels[-1].lines[1].mean[-2])  # nothing leads from the family to all tokens


def drawn(ladders):
    return figures.lines(
        ladders.curve(),
        **{"name": "ladder", "title": "t", "caption": "c", "provenance": {}},
        **story.axis(ladders.vocabulary),
        styles=figures.setting_styles(ladders.settings),
    ).figure


def test_settings_look_different_without_colour_and_stand_out_on_both_themes():
    names = ["Dense", "Drop-2M", "Drop-4M", "Drop-8A", "Wanda 25%", "Wanda 50%", "SparseGPT 2:4"]
    looks = figures.setting_styles(names)
    assert len({(look.marker, look.dash) for look in looks.values()}) == len(names)
    for look in looks.values():
        light = brightness(look.colour)
        assert 1.05 / (light + 0.05) >= 3
        assert (light + 0.05) / (brightness("#14181e") + 0.05) >= 3


def brightness(colour):
    """Relative luminance, after WCAG."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_stands_above_the_answer(both):
    kept = both.above_floor()
    token = {"token": " the", "kind": False}
    instead = {name: {} for name in kept.settings} | {
        name: {item: token for item in kept.ranks.index.get_level_values("item")[1::2]}
        for name in kept.pruned
    }
    table = kept.ahead(instead)
    assert table["another token first"].tolist() == ["0 of 20", "10 of 20", "10 of 20"]
    assert table["most often"].tolist() == ["–", "␣the (10)", "␣the (10)"]
    assert kept.steepest == "Drop-2M"  # 0.92 against 0.5; Drop-4M loses among few already
    assert kept.span("vocabulary") == "50%"


def test_the_claim_is_judged_by_families_above_the_floor(both):
    assert both.above_floor().claim().verdict == "supported"
    same = Ladders.of({"Dense": made(0), "Drop-2M": made(0)}, seed=0).above_floor()
    assert same.claim().verdict == "too few data"
    weak = Ladders.of({"Dense": made(0, tuple(FAMILIES)), "Drop-2M": made(5)}, seed=0)
    assert weak.above_floor().claim().verdict == "model too weak"


@pytest.mark.parametrize("questions", [1, 2])
def test_a_tiny_model_says_no_nan(take, questions):
    """At its floor everywhere, with a handful of questions."""
    runs = {
        "Dense": take(dropped=0, probes=questions),
        "Drop-1A": take(dropped=1, probes=questions),
    }
    tables = {name: run.table("ladder") for name, run in runs.items()}
    kept = Ladders.of(tables, 0).above_floor()
    instead = {name: run.manifest["facts"]["instead"][PREFIX] for name, run in runs.items()}
    shown = [
        kept.accuracies().to_string(),
        kept.ahead(instead).to_string(),
        str(kept.claim()),
        Ladders.of(tables, 0, PLAIN).accuracies().to_string(),
        figures.FigureOutput(drawn(kept))._repr_html_(),
    ]
    for text in shown:
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)
