"""The start page: what runs found, put into the places of ``book/index.md`` that ask for it.

The page holds the words, this module what was measured: the puzzle, verdicts of the ledger, the
ladder's first panel, the answer of a chapter. A place whose chapter the profile does not have, or
has not done, says so or stays empty.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

import nbformat
import pandas as pd

from chapters.ladder.story import PANELS, Ladders
from chapters.ladder.story import axis as ladder_axis
from pages import head, ledger
from pages.points import Grid, read_json
from pages.puzzle import puzzle, setting_of
from reporting import figures, prose, verdicts
from runs import dataset
from runs.profiles import Run
from runs.settings import setting_name
from runs.store import Measurement

PLACE = re.compile(r"\{\{ (\w+) \}\}")
TEXTS, LADDER, DECIDE = "04-inconsistent-effects", "ladder", "should-i-prune"
UNDERSTAND = ("01-introduction", "03-background", "probes", "ladder", "07-multi-scale-effects")
FINDINGS = {  # places of the page, and the claims of the paper that they speak of
    "searching": ("4-retrieval-competitive",),
    "choosing": ("abstract-choosing-keeps",),
    "writing": ("abstract-form-decides",),
    "spaces": ("5-probability-fluctuates",),
}


def page(grid: Grid, words: str, found: list[ledger.Finding]) -> str:
    """The page, in Markdown: ``words`` with their places filled, by what runs ``found`` too."""
    places = {
        "puzzle": next(filter(None, (_puzzle(grid, run) for run in _done(grid, TEXTS))), ""),
        "figure": ladder_figure(grid),
        "models": prose.join_words(models(grid)) or "no model yet",
        "counts": counts(ledger.collect(found)),
        "rivals": verdicts_of(one for one in found if _page_of(grid, one) == LADDER),
        "decide": next((answer(grid, run) for run in _done(grid, DECIDE)), ""),
        "understand_minutes": f"{minutes(grid, UNDERSTAND)}",
        "decide_minutes": f"{minutes(grid, (DECIDE,))}",
    }
    for place, keys in FINDINGS.items():
        places[place] = verdicts_of(one for one in found if one.tests in keys)
    for place in ("puzzle", "figure"):
        places[place] = raw(places[place])
    return PLACE.sub(lambda found: places[found[1]], words)


def raw(html: str) -> str:
    """HTML that Markdown leaves alone; nothing of nothing."""
    return f"```{{raw}} html\n{html}\n```" if html else ""


def _done(grid: Grid, chapter: str) -> list[Run]:
    return [run for run in grid.profile.of_chapter(chapter) if grid.done(run)]


def _asked_by(grid: Grid, run: Run) -> list[Measurement]:
    manifest = read_json(grid.folder / f"{run.name}.json")
    return list(dataset.asked_for(grid.folder.parent, [manifest]))


def _puzzle(grid: Grid, run: Run) -> str:
    return puzzle(_asked_by(grid, run), f"notebooks/{run.name}")


def _page_of(grid: Grid, one: ledger.Finding) -> str:
    """The chapter that a finding stands in."""
    return grid.profile[one.page.removeprefix("notebooks/")].chapter


def models(grid: Grid) -> list[str]:
    """Names and sizes of the language models that the ladder climbed, each once."""
    found = [_asked_by(grid, run) for run in _done(grid, LADDER)]
    facts = (one.manifest["facts"]["model"] for taken in found for one in taken)
    return list(dict.fromkeys(f"{one['name']}, {one['size']}" for one in facts))


def counts(entries: Iterable[ledger.Entry]) -> str:
    """How many of the paper's claims have which verdict, one line for each model, as HTML."""
    entries = list(entries)
    known = ledger.models(entries)
    lines = [
        f"<li>at {escape(known[model])}: "
        + " ".join(
            verdicts.badge(verdict, f"{found[verdict]} {verdict}")
            for verdict in verdicts.MARKS
            if found[verdict]
        )
        + "</li>"
        for model, found in ledger.counts(entries).items()
    ]
    return f'<ul class="start-counts">{"".join(lines)}</ul>' if lines else ""


def verdicts_of(found: Iterable[ledger.Finding]) -> str:
    """The verdict on each model over all conditions of what was ``found`` there, with what the
    first of them measured, as HTML; a word where nothing was."""
    by_model: dict[str, list[ledger.Finding]] = {}
    for one in found:
        by_model.setdefault(one.model, []).append(one)
    lines = []
    for rows in by_model.values():
        verdict = verdicts.judge(met for one in rows for met in one.conditions)
        badge = verdicts.badge(verdict, f"{verdict} at {rows[0].size}")
        link = f'<a href="../{rows[0].page}.html">{escape(_first(rows[0].measured))}</a>'
        lines.append(f'<span class="start-verdict">{badge} {link}</span>')
    return " ".join(lines) or '<span class="start-verdict">not measured in this profile</span>'


def _first(measured: str) -> str:
    """The first two of the numbers that a row lists, and dots for others."""
    listed = measured.split("; ")
    return "; ".join(listed[:2]) + (" …" if len(listed) > 2 else "")


def answer(grid: Grid, run: Run) -> str:
    """What a chapter answers, in Markdown."""
    return head.answer(_node(grid, run)).replace("**The", "**Should I prune? The", 1)


def minutes(grid: Grid, chapters: Iterable[str]) -> int:
    """Minutes that it takes to read these chapters."""
    done = (runs[0] for chapter in chapters if (runs := _done(grid, chapter)))
    return head.minutes(_node(grid, run) for run in done)


def _node(grid: Grid, run: Run) -> Any:
    return nbformat.read(grid.folder / f"{run.name}.ipynb", as_version=4)


def ladder_figure(grid: Grid) -> str:
    """The ladder's first panel, one for each model, as HTML."""
    parts, measured, whole = [], [], 0
    for run in _done(grid, LADDER):
        taken = [one for one in _asked_by(grid, run) if one.manifest["measurement"] == "ladder"]
        named = {setting_name(setting_of(one)): one for one in taken}
        if not named:
            continue
        order = sorted(named, key=lambda name: name != "Dense")
        tables = {name: named[name].table("ladder") for name in order}
        rungs = Ladders.of(tables, run.parameters.seed).above_floor()
        curve = rungs.curve()
        size = taken[0].manifest["facts"]["model"]["size"]
        parts.append(curve[curve["panel"].eq(PANELS["random"])].assign(panel=f"at {size}"))
        measured += [(run, [named[name] for name in order], rungs)]
        whole = max(whole, rungs.vocabulary)
    if not parts:
        return ""
    run, taken, rungs = measured[0]
    every = [one for _, found, _ in measured for one in found]
    few, _ = rungs.few_and_many
    few_right, all_right = (
        f"{rungs.score(rungs.steepest, *rung).value:.0%}"
        for rung in (("random", few), ("vocabulary", None))
    )
    drawn = figures.lines(
        pd.concat(parts, ignore_index=True),
        name="start-ladder",
        title=f"One output, more and more candidates: {rungs.steepest} is right in {few_right} "
        f"among {few}, in {all_right} among all",
        caption="Share of questions whose answer begins with the likeliest token among so many "
        "candidates, drawn at random. One step, the same output throughout. Bands: 95% intervals.",
        provenance=prose.provenance(taken[0], run.parameters, run.name, every[1:]),
        value="accuracy",
        styles=figures.setting_styles(rungs.settings),
        **ladder_axis(whole),
    )
    return drawn._repr_html_()
