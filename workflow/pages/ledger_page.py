"""The page *Claim ledger*: every claim of the paper with its verdicts, and what tests it."""

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby

from pages.ledger import Entry, Finding, collect, counts, models
from reporting import verdicts
from reporting.claims import OURS

UNTESTED = "untested"  # as the filter knows it, beside the kinds of verdict
RULES = """## How a verdict is made

A criterion is the same for every model. Most were fixed before the measurement; a few were set
after a first look at the embedded model or at the paper's drawing: how alike two profiles over
layers must rank, which steps of Figure 9 are early, how the law of flips is judged. Each number
that it asks for is a condition: met if the whole 95% interval lies where the criterion wants it,
not met if all of it lies outside, and undecided otherwise, also where there are too few prompts for
an interval. A row over several models or prunings has a condition for each number that it lists; of
what is at its floor there is none, since nothing can be lost there. The row is *supported* if all
conditions are met, *in some* if some are (with how many), *contradicted* if none is and one is not,
and has *too few data* if no interval decides. A row without any condition says *model too weak*.

A claim that several rows test, in one chapter or in many, is judged on the conditions of all of
them together. Numbers that the paper prints or draws carry no interval; they are held to the same
criterion as they stand. A verdict holds for the model of its column, at that size: what breaks a
small model may not break a large one.

The build stops at a verdict without a number, at a number without the run that measured it, and at
a verdict that the conditions do not give."""


def page(found: list[Finding]) -> str:
    """The page *Claim ledger*, in Markdown, of what the runs of a profile found."""
    entries = collect(found)
    ours = [one for one in found if one.tests == OURS]
    sizes = models(entries) | {one.model: one.size for one in ours}
    tested = sum(bool(one.findings) for one in entries)
    return f"""# Claim ledger

Every claim of the paper, from the abstract to Appendix I, with our number at each model, the
verdict, and what would overturn it. Of {len(entries)} claims {tested} are tested in this build.
The page is made from the claims that the chapters make, each time that the book is built.

{_counted(entries, sizes)}

## Claims

{_filter()}

{_parts(entries, sizes)}

{RULES}

## Questions of our own

Rows of the chapters that test no claim of the paper: controls, and what the paper does not ask.

{_own(ours, sizes)}
"""


def _counted(entries: Iterable[Entry], sizes: Mapping[str, str]) -> str:
    """What each verdict means, and how many claims of the paper have it on each model."""
    found = counts(entries)
    heads = "".join(f"<th scope='col'>{escape(_named(one, sizes))}</th>" for one in found)
    rows = "\n".join(
        f"<tr><th scope='row'>{verdicts.badge(kind)}<small>{meaning}</small></th>"
        + "".join(
            f"<td class='number'><a href='#verdict={_slug(kind)}'>{each[kind]}</a></td>"
            for each in found.values()
        )
        + "</tr>"
        for kind, meaning in verdicts.MEANINGS.items()
    )
    return (
        '<div class="book-table" tabindex="0">'
        '<table class="ledger-counts" aria-label="Claims by verdict">\n'
        f"<thead><tr><th scope='col'>verdict</th>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _filter() -> str:
    """Which verdicts to show: a choice that a script brings to life."""
    words = {"": "all", **{kind: verdicts.marked(kind) for kind in verdicts.MARKS}}
    words[UNTESTED] = "not tested"
    choices = "\n".join(
        f'<label><input type="radio" name="verdict" value="{_slug(kind)}"> {text}</label>'
        for kind, text in words.items()
    )
    return (
        '<fieldset class="ledger-filter" hidden>'
        "<legend>Show claims that are, on some model:</legend>\n"
        f'{choices}\n<output aria-live="polite"></output></fieldset>'
    )


def _parts(entries: Iterable[Entry], sizes: Mapping[str, str]) -> str:
    """The claims of each part of the paper, folded under how many of them have which verdict."""
    return "\n".join(
        _folded(part, list(group), sizes) for part, group in groupby(entries, _part_of)
    )


def _part_of(entry: Entry) -> str:
    """The part of the paper under which a claim is listed, which begins its key."""
    part = entry.claim.key.partition("-")[0].partition(".")[0]
    kind = "Section" if part.isdigit() else "Appendix"
    return f"{kind} {part}" if len(part) == 1 else part.capitalize()


def _folded(part: str, entries: list[Entry], sizes: Mapping[str, str]) -> str:
    heads = "".join(f"<th scope='col'>{escape(_named(model, sizes))}</th>" for model in sizes)
    bodies = "\n".join(_entry(one, sizes) for one in entries)
    found = [
        f"{sizes[model]}: "
        + ", ".join(
            f"{sign}\N{NO-BREAK SPACE}{each[kind]}"
            for kind, sign in verdicts.MARKS.items()
            if each[kind]
        )
        for model, each in counts(entries).items()
    ]
    told = "".join(f"<small>{escape(one)}</small>" for one in found or ["not tested"])
    label = f"Claims of the paper: {part}"
    return (
        f'<details class="ledger-part"><summary>{part} ({len(entries)}){told}</summary>\n'
        f'<div class="book-table" role="region" tabindex="0" aria-label="{label}">\n'
        f'<table class="ledger-table" aria-label="{label}">\n'
        f"<thead><tr><th scope='col'>claim</th>{heads}</tr></thead>\n"
        f"{bodies}\n</table></div></details>"
    )


def _entry(entry: Entry, sizes: Mapping[str, str]) -> str:
    """A claim of the paper, with its verdicts, and under it what tests it."""
    claim = entry.claim
    said = {model: entry.verdict(model) for model in sizes}
    head = (
        f'<p class="ledger-claim">{escape(claim.claim)}</p>'
        f"<small>Section {escape(claim.section)}. Would be overturned by: "
        f"{escape(claim.overturned_by)}</small>"
    )
    tests = ""
    if entry.findings:
        tests = (
            f"<tr><td colspan='{1 + len(sizes)}'><details><summary>What tests it</summary>"
            f"{_tests(entry.findings, sizes)}</details></td></tr>\n"
        )
    else:
        why = claim.untested or "no run of this profile tests it."
        head += f"<small><strong>Not tested here:</strong> {escape(why)}</small>"
    cells = "".join(
        f"<td{_label(model, sizes)}>{_badge(one)}</td>" if one else "<td></td>"
        for model, one in said.items()
    )
    known = " ".join(sorted({_slug(verdicts.kind(one)) for one in said.values() if one}))
    return (
        f'<tbody id="claim-{escape(claim.key)}" data-verdicts="{known or UNTESTED}">\n'
        f"<tr><th scope='rowgroup'>{head}</th>{cells}</tr>\n{tests}</tbody>"
    )


def _own(found: Iterable[Finding], sizes: Mapping[str, str]) -> str:
    """The questions of our own, folded under the chapter that asks them."""
    groups: dict[str, list[Finding]] = {}
    for one in found:
        groups.setdefault(one.title, []).append(one)
    return "\n".join(
        f'<details class="ledger-part"><summary>{escape(title)}</summary>\n'
        f"{_tests(rows, sizes)}</details>"
        for title, rows in groups.items()
    )


def _tests(found: Iterable[Finding], sizes: Mapping[str, str]) -> str:
    """Each claim of a chapter, with what was found on each model."""
    rows: dict[tuple[str, int, str], list[Finding]] = {}
    for one in found:
        rows.setdefault(one.same, []).append(one)
    return "".join(
        f'<div class="ledger-test"><p>{_told(same[0])}</p>'
        + "".join(
            f"<p{_label(one.model, sizes)}>{_found(one)}</p>"
            for one in sorted(same, key=lambda one: list(sizes).index(one.model))
        )
        + "</div>\n"
        for same in rows.values()
    )


def _told(one: Finding) -> str:
    """The chapter's claim, where it stands, its criterion, and the paper's own numbers."""
    caption = one.table.partition(", measured at")[0]
    paper = f"{_badge(one.paper_verdict)} {escape(one.paper)}".strip()
    return (
        f"{escape(one.claim)}<small><a href='../{one.page}.html'>{escape(one.title)}</a>: "
        f"{escape(caption)}. Criterion: {escape(one.criterion)}.</small>"
        + (f"<small>The paper's own numbers: {paper}</small>" if one.paper else "")
    )


def _found(one: Finding) -> str:
    """What was measured on a model, its verdict, and the run, which its page tells more of."""
    return (
        f"{_badge(one.verdict)} {escape(one.measured)}"
        f"<span class='ledger-run'><a href='../{one.page}.html'>run</a> "
        f"<code>{escape(one.run)}</code></span>"
    )


def _label(model: str, sizes: Mapping[str, str]) -> str:
    return f' data-label="{escape(_named(model, sizes))}"'


def _badge(verdict: str) -> str:
    return verdicts.badge(verdict) if verdict else ""


def _named(model: str, sizes: Mapping[str, str]) -> str:
    return f"{sizes[model]} ({model})"


def _slug(kind: str) -> str:
    return kind.replace(" ", "-")
