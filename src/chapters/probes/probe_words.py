"""What the paired probes say in words, all computed, and their verdicts."""

from collections.abc import Mapping

import pandas as pd

from reporting import probe_effects
from reporting.probe_effects import MORE, NONE, OPEN, Effect
from reporting.prose import join_words
from reporting.score_claims import Claim, form_decides
from runs.parameters import RunParameters

GROUPS = {
    "attention": "attention sublayers dropped",
    "mlp": "MLPs dropped",
    "block": "blocks dropped",
    "all": "weights removed",
}
ASKED = {"prefix": "the answer's beginning given", "plain": "nothing given"}
Effects = Mapping[str, Effect]


def answer(effects: Effects) -> str:
    """The answer of the chapter: for how many pruned models the form decides, and the largest
    effect."""
    known = {name: one for name, one in effects.items() if one.families}
    if not known:
        return (
            "No family of questions reaches half of the score above guessing in both forms, so "
            "the forms cannot be compared on this model."
        )
    said = {
        MORE["generation"]: "generation loses more under {}",
        MORE["choice"]: "choice loses more under {}",
        NONE: "there is no effect of form under {}",
        OPEN: "it stays open under {}",
    }
    parts = []
    for verdict, form in said.items():
        names = [name for name, one in known.items() if one.verdict == verdict]
        parts += [form.format(join_words(names))] if names else []
    name, most = max(known.items(), key=lambda item: item[1].effect.value)
    return (
        f"Of the same {most.items} questions, asked as a choice and as a text: "
        f"{'; '.join(parts)}. At the most, under {name}, generation loses "
        f"{most.lost['generation'].text()} of the score above guessing and choice "
        f"{most.lost['choice'].text()}: a difference of {most.effect.text()}."
    )


def title(effects: Effects) -> str:
    """For how many pruned models written answers lose more, as a title."""
    known = [one for one in effects.values() if one.families]
    more = sum(one.verdict == MORE["generation"] for one in known)
    none = sum(one.verdict == NONE for one in known)
    return (
        f"Same questions: writing loses more than choosing in {more} of {len(known)} pruned "
        f"models, and as much in {none}"
    )


def counted(effects: Effects) -> str:
    """Which families count, in one sentence."""
    families = next((one.families for one in effects.values() if one.families), ())
    if not families:
        return "No family counts here."
    return f"{len(families)} families count: {join_words(families)}.".replace("_", " ")


def claims(effects: Mapping[str, Effects], models: Mapping[str, RunParameters]) -> list[Claim]:
    """Does the form decide? One row for each way to ask (key of ``effects``) and for each kind of
    pruning, over its models."""
    found = []
    for asked, words in ASKED.items():
        for target, group in GROUPS.items():
            mine = {
                name: one.effect
                for name, one in effects.get(asked, {}).items()
                if models[name].whole_target == target and one.families
            }
            if mine:
                found.append(form_decides(f"The form decides: {group}, {words}", mine))
    return found


def family_tables(
    items: pd.DataFrame, asked: str = "prefix", seed: int = 0
) -> dict[str, pd.DataFrame]:
    """The effect in each family, a table for each pruned model, by a line that says the whole;
    from :func:`reporting.score_tables.collected_items` of the probes."""
    tables = {}
    for name, part in items.groupby("setting", sort=False, observed=True):
        both = part.assign(value=part["dense"]), part.assign(value=part["pruned"])
        whole = probe_effects.effect(*both, asked, seed)
        table = probe_effects.family_table(*both, asked, seed)
        if whole.families and len(table):
            table["family"] = table["family"].str.replace("_", " ")
            tables[f"{name}: difference {whole.effect.text()}, {whole.verdict}"] = table
    return tables


def wording(facts: Mapping[str, str], form: str) -> str:
    """How a question is put in one form, in quotes."""
    put = facts[form]
    text = " … ".join(filter(None, [put["question"], put["prefix"]]))  # type: ignore[index]
    return f"“{text}”"


def letters(scores: pd.DataFrame) -> str:
    """What asking by letter shows when dense, in one sentence; from
    :func:`reporting.score_tables.collected`."""
    rows = scores[scores["form"].eq("letter")]
    if rows.empty:
        return "No question was asked by letter."
    one = rows.iloc[0]
    return (
        f"By letter the dense model is right on {one['dense_value']:.0%} of {one['dense_n']} "
        f"questions, where guessing gives {one['chance']:.0%}."
    )
