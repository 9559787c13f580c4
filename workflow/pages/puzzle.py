"""The puzzle on the start page: one pruned model that still chooses, and no longer writes.

A table of real answers and texts, the dense model's beside a pruned one's.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from helpers.texts.data import select_prompts, table_2
from helpers.texts.probes import Probe, probes
from runs.parameters import SETTING, RunParameters, validate
from runs.settings import DENSE, named, setting_name
from runs.store import Measurement

CHOSEN, WRITTEN = "choice, prefix", "generation, prefix"
ENDED = re.compile(r"(<\|[^|]*\|>|</s>)\s*$")
LONGEST = 200  # letters of a text that are shown
PARTS = {"attention": "attention sublayers", "mlp": "MLPs", "block": "blocks"}


@dataclass(frozen=True)
class Texts:
    """What follows a ``prompt``: written by the ``dense`` model and by a ``pruned`` one, and
    facts of the ``model``."""

    prompt: str
    dense: str
    pruned: str
    model: Mapping[str, Any]


def puzzle(taken: Iterable[Measurement], page: str) -> str:
    """The table as HTML, of the pruned model that keeps most of what it chooses beside what it
    writes, among those whose texts were ``taken`` too; its numbers are on ``page``. Empty where
    there is none."""
    taken = list(taken)
    texts, answers = _texts(taken), _answers(taken)
    names = [name for name in texts if name in answers]
    if not names or DENSE not in answers:
        return ""
    dense = answers[DENSE]
    name = max(names, key=lambda each: _apart(dense, answers[each]))
    return _table(name, texts[name], dense, answers[name], page)


def _texts(taken: Iterable[Measurement]) -> dict[str, Texts]:
    """By pruned model, of greedy texts: after the question of the paper's Table 2, where it was
    asked, else after the first prompt."""
    found = {}
    prompts = {one.id: one.text for one in (*select_prompts("all"), table_2())}
    for one in taken:
        said = one.manifest
        if said["measurement"] != "pruned_texts" or said["parameters"]["sampling"]:
            continue
        rows = one.table("tokens").sort_values("step", kind="stable")
        rows = rows.astype(dict.fromkeys(("method", "target", "pattern", "prompt", "writer"), str))
        asked = [name for name in dict.fromkeys(rows["prompt"]) if name in prompts]
        prompt = table_2().id if table_2().id in asked else next(iter(asked), "")
        rows = rows[rows["prompt"].eq(prompt) & rows["every"].eq(0)]
        model = said["facts"]["model"]
        for setting, part in rows.groupby(["method", "target", "amount", "pattern"]):
            written = part.groupby("writer")["text"].agg("".join)
            if {"dense", "pruned"} <= set(written.index):
                both = written["dense"], written["pruned"]
                found[_called(*setting)] = Texts(prompts[prompt], *both, model)
    return found


def _called(method: str, target: str, amount: float, pattern: str) -> str:
    """What a pruned model is called, from the columns of a table."""
    if method == "drop":
        return setting_name(validate({"method": method, "target": target, "dropped": int(amount)}))
    given = {"pattern": pattern} if pattern else {"sparsity": amount}
    return setting_name(validate({"method": method} | given))


def setting_of(one: Measurement) -> RunParameters:
    """What a measurement says of the model that it was taken of."""
    said = one.manifest["parameters"]
    return validate({name: said[name] for name in SETTING if name in said})


def _answers(taken: Iterable[Measurement]) -> dict[str, pd.DataFrame]:
    """Answers to the paired probes by model: ``answer`` and ``value`` by form and question."""
    return {
        setting_name(setting_of(one)): one.table("items")
        .astype({"form": str, "item": str, "answer": str})
        .set_index(["form", "item"])[["answer", "value"]]
        for one in taken
        if one.manifest["measurement"] == "probe_items"
    }


def _apart(dense: pd.DataFrame, pruned: pd.DataFrame) -> float:
    """What is lost in writing beyond what is lost in choosing."""
    lost = dense["value"].groupby("form").mean() - pruned["value"].groupby("form").mean()
    return float(lost[WRITTEN] - lost[CHOSEN])


def telling(dense: pd.DataFrame, pruned: pd.DataFrame) -> str:
    """The id of the first question that both choose rightly and only the dense one writes rightly;
    else of the first that both choose rightly; else of the first."""

    def right(answers: pd.DataFrame, form: str) -> pd.Series:
        return answers["value"].xs(form).eq(1)

    both = right(dense, CHOSEN) & right(pruned, CHOSEN)
    best = both & right(dense, WRITTEN) & ~right(pruned, WRITTEN)
    return str(next(iter([*best.index[best], *both.index[both], *both.index])))


def _table(name: str, texts: Texts, dense: pd.DataFrame, pruned: pd.DataFrame, page: str) -> str:
    item = telling(dense, pruned)
    asked = next(one for one in probes("all", 1000) if one.id == item)
    options = f"{', '.join(asked.options[:-1])} or {asked.options[-1]}?"
    rows = {
        ("choose", f"{asked.question} {options}"): _both(dense, pruned, CHOSEN, asked),
        ("write it", f"{asked.prefix} …"): _both(dense, pruned, WRITTEN, asked),
        ("write on", texts.prompt): [_written(texts.dense), _written(texts.pruned)],
    }
    heads = ("dense", f"pruned: {name}")
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "\n".join(
        f'<tr><th scope="row"><strong>{task}</strong> {escape(question)}</th>'
        + "".join(
            f'<td data-model="{escape(model)}">{cell}</td>'
            for model, cell in zip(heads, cells, strict=True)
        )
        + "</tr>"
        for (task, question), cells in rows.items()
    )
    return (
        '<div class="book-table start-puzzle" tabindex="0"><table>\n'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
        f'<p class="start-note">{escape(_in_words(name, texts.model))} <em>Dense</em> is the '
        f"whole model, {escape(texts.model['name'])}, {escape(texts.model['size'])} parameters. "
        f'<a href="../{page}.html">All texts and scores</a></p>'
    )


def _both(dense: pd.DataFrame, pruned: pd.DataFrame, form: str, asked: Probe) -> list[str]:
    return [_judged(one.loc[(form, asked.id)]) for one in (dense, pruned)]


def _judged(row: pd.Series) -> str:
    sign, word = ("✓", "right") if row["value"] == 1 else ("✗", "wrong")
    return f'{short(row["answer"])} <span class="answer-{word}" title="{word}">{sign}</span>'


def short(text: str) -> str:
    """A text on one line and cut, without the marks of turns, as HTML."""
    plain = " ".join(re.sub(r"<\|[^|]*\|>", " ", text).split())
    cut = plain if len(plain) <= LONGEST else f"{plain[:LONGEST].rstrip()} …"
    return escape(cut) or "(nothing)"


def _written(text: str) -> str:
    """A text with dots where it goes on: where no mark of an end stands."""
    return short(text) + ("" if ENDED.search(text) else " …")


def _in_words(name: str, model: Mapping[str, Any]) -> str:
    """``Drop-4M: 4 of 30 MLPs left out.``"""
    one = named(validate({}), name)[name]
    if one.method == "drop":
        return f"{name}: {one.dropped} of {model['layers']} {PARTS[one.target]} left out."
    return f"{name}: {one.whole_amount:.0%} of the weights set to zero."
