"""Deviations along two texts: plain loops as the oracle, and made data whose answer is known."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lines import WORDS

from chapters.multi_scale_effects import figure_8, story
from chapters.multi_scale_effects.measure import multiple_choice_prompts, options
from reporting import claims, figures, reported
from runs.parameters import validate


def text(prompt, seed, parting, steps, level=0.2, after=2.0, slope=0.0, short=0):
    """Rows of one text: every deviation is ``level`` + ``slope`` · step, on one's own text after
    the parting ``after`` more; free-running it ends ``short`` steps earlier."""
    rows = []
    for decoding, last in (("free", steps - short), ("forced", steps)):
        for step in range(last):
            beyond = decoding == "free" and parting is not None and step > parting
            value = level + slope * step + after * beyond
            same = float(parting is None or step < parting)
            numbers = [
                *(("angular", space, value) for space in story.SPACES),
                *(("cosine", space, 1 - value) for space in story.SPACES),
                ("kl", "probability", value),
                ("choice", "probability", same),
                ("entropy_dense", "probability", 1.0),
            ]
            for metric, space, number in numbers:
                rows.append(
                    {
                        "prompt": prompt,
                        "seed": seed,
                        "step": step,
                        "decoding": decoding,
                        "metric": metric,
                        "space": space,
                        "quantity": "measured",
                        "centred": False,
                        "value": number,
                    }
                )
    return rows


def table(*texts):
    return pd.DataFrame([row for rows in texts for row in rows])


TEXTS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 6)),
        st.integers(1, 8),
        st.floats(0, 2),
        st.floats(0, 3),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=6,
)


def made(texts):
    return table(
        *(
            text(
                f"P{number}", 0, parting, steps, level, after, 0.01 * number, min(short, steps - 1)
            )
            for number, (parting, steps, level, after, short) in enumerate(texts)
        )
    )


def walk(deviations):
    """KL by prompt, decoding and step, as nested dictionaries."""
    found = {}
    for row in deviations[deviations["metric"] == "kl"].itertuples():
        found.setdefault(row.prompt, {}).setdefault(row.decoding, {})[row.step] = row.value
    return found


def mean(values):
    return sum(values) / len(values) if values else math.nan


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_numbers_equal_plain_loops(texts):
    deviations = made(texts)
    by_prompt = walk(deviations)
    rises, before, after = [], [], []
    for (parting, _, _, _, _), both in zip(texts, by_prompt.values(), strict=True):
        free, forced = both["free"], both["forced"]
        if len(free) > 1:
            rises.append(mean([free[step] for step in free if step]) - free[0])
        parted = parting is not None and any(not step < parting for step in forced)
        early = [free[step] for step in free if parted and step <= parting]
        late = [free[step] for step in free if parted and step > parting]
        if early and late:
            before.append(mean(early))
            after.append(mean(late))
    found = story.Written(deviations, deviations, 0)
    assert found.start("KL")["rise"].value == pytest.approx(mean(rises), nan_ok=True)
    jump = found.jump("KL")
    numbers = {name: one.value for name, one in jump.items()}
    assert numbers["before"] == pytest.approx(mean(before), nan_ok=True)
    assert numbers["after"] == pytest.approx(mean(after), nan_ok=True)
    assert numbers["rise"] == pytest.approx(numbers["forced"] + numbers["added"], nan_ok=True)
    assert jump["rise"].n == len(before)
    assert (jump["rise"].low is None) == (len(before) < 5)


def test_courses_average_seeds_within_prompts_first():
    one = table(text("A", 0, None, 3, 0.1), text("A", 1, None, 3, 0.3), text("B", 0, None, 2, 0.6))
    found = story.course(one, "kl", "probability", "free")
    assert found["mean"].tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert found["n"].tolist() == [2, 2, 1]


def test_around_aligns_texts_at_their_parting():
    tables = {"made": table(text("A", 0, 1, 6), text("B", 0, 3, 6))}
    found = story.around_parting(tables, "KL").set_index(["space", "x"])
    assert found.loc["probability", "mean"].loc[-2:2].to_dict() == pytest.approx(
        {-2: 0.2, -1: 0.2, 0: 0.2, 1: 2.2, 2: 2.2}
    )
    assert found.loc["probability", "n"].loc[-2:2].tolist() == [1, 2, 2, 2, 2]
    assert found.loc["dense", "mean"].tolist() == pytest.approx([0.2] * 8)
    (panel,) = figures.lines(
        found.reset_index(), **WORDS, references=story.unpruned_level(1.5)
    ).figure.panels
    assert [guide.y for guide in panel.references] == [(1.5, 1.5)]
    assert story.unpruned_level(math.nan) == []


def unpruned(prompts, value):
    return table(*(text(f"P{number}", 0, None, 9, value) for number in range(prompts)))


def parting(prompts=6, **options):
    texts = (text(f"P{number}", 0, number % 4, 12, **options) for number in range(prompts))
    return story.Written(table(*texts), unpruned(prompts, 1.0), 0)


def judged(*ones):
    return [one.verdict for one in story.claims(dict(enumerate(ones)))]


def test_verdicts_where_the_answer_is_known():
    held, never, few = claims.SUPPORTED, claims.CONTRADICTED, claims.TOO_FEW
    assert judged(parting()) == [held, never, held, never, held, held, never]
    assert judged(parting(slope=0.01))[:6] == [held] * 6
    assert judged(parting(after=0.7))[:6] == [held, never, held, never, held, never]
    assert judged(parting(after=0.0, slope=-0.012))[:3] == [never] * 3
    assert judged(parting(after=0.0, slope=0.01))[4] == "in some (1 of 2)"
    assert judged(parting(after=0.0, slope=-0.001))[2] == held
    assert judged(parting(slope=0.01), parting())[3] == "in some (4 of 8)"
    assert judged(parting(level=0.05))[6] == "in some (1 of 2)"  # no space turns more than another
    assert judged(parting(prompts=4)) == [few] * 7
    assert judged() == [claims.TOO_WEAK] * 7


def test_the_papers_first_step_deviates_less_than_its_later_ones():
    assert min(story.printed_rises().values()) > 0.4


def test_a_model_without_a_common_first_step_has_collapsed():
    assert parting(level=0.95).collapsed
    assert not parting(level=0.85).collapsed


def test_beyond_compares_steps_after_the_parting_with_the_unpruned_model():
    one = parting(level=0.2, after=2.0)
    assert one.beyond("KL").value == pytest.approx(2.2 - 1.0)
    assert one.unpruned("KL") == pytest.approx(1.0)


def test_tables_of_one_prompt_have_dashes_for_what_is_missing():
    few = {"made": story.Written(table(text("A", 0, None, 1)), unpruned(1, 1.0), 0)}
    starts, trends = (story.by_measure(few, one) for one in (story.start_cells, story.trend_cells))
    assert starts["KL (nats)"][["later steps", "difference"]].eq("–").all(axis=None)
    assert trends["KL (nats)"][["mean", "change along the text"]].eq("–").all(axis=None)
    assert story.jump_table(few)["after"].tolist() == ["–"] * 4


def test_pruned_models_are_those_of_the_section_and_one_with_fewer_mlps():
    chosen = story.chosen(validate({"method": "wanda", "dropped": 8}))
    assert list(chosen) == ["Drop-8A", "Drop-2M", "Drop-8M", "Wanda 50%"]
    assert list(story.chosen(validate({"dropped": 1}))) == ["Drop-1A", "Drop-1M"]


def test_greedy_and_sampled_differ_by_what_they_have_in_common():
    greedy = table(*(text(f"P{number}", 0, 5, 9) for number in range(6)))
    sampled = table(
        *(text(f"P{number}", seed, 1 + seed, 7) for number in range(6) for seed in range(2))
    )
    found = story.decoded(greedy, sampled, 0)
    assert {mode: one.texts for mode, one in found.items()} == {"greedy": 6, "sampled": 12}
    assert found["greedy"].course.running.shape[1] == 7
    assert found["greedy"].common[0] == pytest.approx(5)
    assert found["sampled"].common[0] == pytest.approx(1.5)
    assert story.longer(found).value == pytest.approx(-3.5)
    assert story.longer(found).below(0)
    # later steps are 1 to 6: greedy has 1 of them after its parting, sampled 5 and 4
    more = found["sampled"].later["KL"] - found["greedy"].later["KL"]
    assert more.mean() == pytest.approx(2.0 * (4.5 - 1) / 6)
    assert story.decoding_table({"A": found}, 0)["KL (nats)"].iloc[-1].startswith("1.17 [1.17")
    curves = story.decoding_curves({"A": found})
    assert curves.groupby("series")["mean"].sum().to_dict() == pytest.approx(
        {"greedy": 5, "sampled": 1.5}
    )
    (panel,) = figures.lines(curves, **WORDS).figure.panels
    assert [line.banded for line in panel.lines] == [True, True]


def test_the_printed_row_stands_first_among_the_starts():
    few = {"made": story.Written(table(text("A", 0, None, 5)), unpruned(5, 1.0), 0)}
    found = story.starts(few, reported.figure_7())
    assert list(found) == list(story.HEADINGS.values())
    printed = found[story.HEADINGS["embedding"]].iloc[0]
    assert printed[["first step", "later steps"]].tolist() == ["0.25", "1.00"]
    assert found["KL (nats)"]["reads"].tolist() == [story.READS["free"], *story.READS.values()]


@pytest.mark.parametrize(("metric", "start"), [("cosine", 0.751038), ("angular", 1 - 0.751038)])
def test_panels_hold_both_ways_of_reading_and_the_printed_curves_as_far_as_ours(metric, start):
    ours = table(text("A", 0, 1, 5, short=1), text("B", 0, None, 3))
    shown = story.panels(metric)
    found = story.figure_7(ours, metric, reported.figure_7())
    measured = found[found["quantity"] == "measured"].groupby("panel")
    assert measured["series"].nunique().to_dict() == {
        panel: 3 if one == metric else 1 for panel, (one, _) in shown.items()
    }
    assert measured["x"].max().tolist() == [4, 3, 4, 3]
    printed = found[found["quantity"] == "reported"]
    assert printed["x"].max() == 4
    assert set(printed["panel"]) == {panel for panel in shown if "own text" in panel}
    first = printed.query("x == 0 and space == 'embedding'")["mean"]
    assert first.tolist() == pytest.approx([start])


@pytest.fixture
def choices():
    """A `choices` table of one prompt in two forms: A stays with a template, changes without."""
    rows = []
    for template, pruned in ((True, (-1.5, -2.5)), (False, (-3.0, -2.0))):
        for output, values in (("dense", (-1.0, -2.0)), ("pruned", pruned)):
            for token, (text, value) in enumerate(zip("AB", values, strict=True)):
                for role in ("option", "top"):
                    rows.append(
                        {"prompt": "MC1", "template": template, "prefix": False, "output": output}
                        | {"role": role, "token": token, "text": text, "value": value}
                    )
    return pd.DataFrame(rows)


def test_every_number_of_two_outputs_is_drawn_and_the_right_option_has_a_hue(choices):
    frame = figure_8.outputs(choices[choices["template"]], "B")
    top, options = figures.lines(frame, **WORDS).figure.panels
    assert (top.title, options.title) == (figure_8.TOP, figure_8.OPTIONS)
    for panel in (top, options):
        assert {line.label: line.mean for line in panel.lines} == {
            "A": (-1.0, -1.5),
            "B": (-2.0, -2.5),
        }
        assert all(line.x == (0.0, 1.0) for line in panel.lines)
    hues = {line.label: line.look.colour for line in options.lines}
    assert hues["B"] == figures.style_of("probability").colour != hues["A"]


def test_many_tokens_look_different_also_where_their_texts_are_equal():
    rows = pd.DataFrame(
        [
            {"role": role, "token": token, "text": text, "output": output, "value": value}
            for role, texts in (("top", ["t"] * 16), ("option", "ABCD"))
            for token, text in enumerate(texts)
            for output, value in (("dense", -float(token)), ("pruned", float(token) - 15))
        ]
    )
    top = figures.lines(figure_8.outputs(rows), **WORDS).figure.panels[0]
    assert len(top.lines) == 8  # four of each model
    assert {line.label for line in top.lines} == {f"t #{n}" for n in (0, 1, 2, 3, 12, 13, 14, 15)}
    assert len({(line.look.dash, line.look.marker) for line in top.lines}) == 8


def test_letters_that_stay_and_letters_that_are_right(choices):
    found = figure_8.letters({"Drop-1A": choices}, {"MC1": "B"})
    assert found["form"].tolist() == ["chat template", "plain text"]
    assert found["pruned"].tolist() == ["A", "B"]
    shown = figure_8.letter_table(found)
    assert shown["letter stays"].tolist() == ["1 of 1", "0 of 1", "1 of 1"]
    assert shown["right, pruned"].tolist() == ["0 of 1", "1 of 1", "0 of 1"]


def test_figure_8_as_reported():
    """The paper keeps A, which is the answer to none of its four prompts; the top token changes."""
    one = figure_8.preferred(reported.figure_8(), "B")
    assert (one["dense"], one["pruned"]) == ("A", "A")
    expected = sum(math.exp(value) for value in (-10.4054, -12.0704, -13.2473, -14.4533))
    assert one["dense_mass"] == pytest.approx(expected)
    drawn = figure_8.outputs(reported.figure_8(), quantity="reported")
    top = drawn[drawn["panel"] == figure_8.TOP].set_index(["x", "series"])["mean"]
    assert (top.loc[0].idxmax(), top.loc[1].idxmax()) == ("↵↵", "↵")
    panels = figures.lines(drawn, **WORDS).figure.panels
    assert all(line.reported for panel in panels for line in panel.lines)


def test_four_prompts_in_four_forms(tiny_folder, tmp_path):
    asked = {"model": str(tiny_folder), "results": str(tmp_path), "device": "cpu", "dropped": 1}
    table = options(validate(asked | {"calibration_samples": 2, "calibration_length": 64}))
    assert [prompt.answer for prompt in multiple_choice_prompts()] == ["C", "B", "C", "C"]
    right = {prompt.id: prompt.answer for prompt in multiple_choice_prompts()}
    found = figure_8.letters({"Drop-1A": table.table("choices")}, right)
    assert len(found) == 16
    assert set(found["form"]) == set(figure_8.FORMS.values())
    assert len(figure_8.letter_table(found)) == 5
