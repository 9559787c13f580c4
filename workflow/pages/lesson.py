"""Pictures of the lesson, and its slides: one source for the page and what is shown in class.

A page names a picture where it stands, ```` ```{lesson-picture} ladder ````. Numbers come from the
tables of the course's experiments, so a slide shows what students get.
"""

import re
from html import escape
from itertools import takewhile
from string import Template

import pandas as pd

from course import leaderboard
from course.checks.scores import kept
from course.checks.writing import accuracy
from course.experiments import DROPPED, TEXTS, stored
from course.source import FOLD
from helpers.machine import installed_file
from pages.contents import SiteError
from reporting.figures import lines
from reporting.figures.static import svg

PICTURE = re.compile(r"^```\{lesson-picture\} (\w+)\n```$", re.MULTILINE)
REVEAL = ("sphinx-revealjs", "3.2.1")
SLIDE = re.compile(r"^### ", re.MULTILINE)
MODEL = "SmolLM2-135M"


def with_pictures(text: str) -> str:
    """A page with its pictures in the places where it names them."""
    return PICTURE.sub(lambda found: PICTURES[found[1]](), text)


def forms() -> str:
    """What is left of the score above guessing, by how many MLPs are dropped."""
    dense = stored("forms", pruned="dense")
    rows = [
        {
            "panel": "",
            "series": name,
            "space": name,
            "x": int(re.sub(r"\D", "", pruned)),
            "mean": kept(stored("forms", pruned=pruned), dense, form),
        }
        for form, name in (("choice", "choosing"), ("generation", "generating"))
        for pruned in DROPPED
        if pruned.endswith("M")
    ]
    start = [{"panel": "", "series": name, "space": name, "x": 0, "mean": 1.0} for name in NAMES]
    return _drawn(
        pd.DataFrame(start + rows),
        name="lesson-forms",
        title="What is left of scores that choose and that write",
        x_label="MLPs left out",
        y_label="left of the score above guessing",
        x_whole=True,
    )


NAMES = ("choosing", "generating")


def ladder() -> str:
    """How often the right capital is best of ever more candidates, dense and pruned."""
    rows = []
    for pruned in ("dense", "Drop-2M"):
        ranks = stored("ladder", pruned=pruned)
        whole = int(ranks["vocabulary"].iloc[0])
        for size in [*(2**power for power in range(1, 16)), whole]:
            name = "dense" if pruned == "dense" else "two MLPs left out"
            look = "dense" if pruned == "dense" else "generating"
            value = accuracy(ranks, size)
            rows.append({"panel": "", "series": name, "space": look, "x": size, "mean": value})
    return _drawn(
        pd.DataFrame(rows),
        name="lesson-ladder",
        title="Capitals among ever more candidates",
        x_label="candidates, drawn at random",
        y_label="share of capitals that win",
        x_scale="log",
    )


def spaces() -> str:
    """1 − cos in each space without one MLP, by layer."""
    rows = stored("without_one", sublayer="mlp").rename(columns={"layer": "x", "deviation": "mean"})
    return _drawn(
        rows.assign(panel="", series=rows["space"]),
        name="lesson-spaces",
        title="Without one MLP, in three spaces",
        x_label="layer whose MLP is left out",
        y_label="1 − cos at the last state",
        y_scale="log",
        x_whole=True,
    )


def texts() -> str:
    """What dense and pruned models write after three beginnings."""
    head = "<tr><th></th><th>dense</th><th>two MLPs left out</th></tr>"
    body = []
    for text, beginning in enumerate(TEXTS[:3]):
        both = [_words(stored("written", pruned=pruned), text) for pruned in ("dense", "Drop-2M")]
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*both, strict=False)))
        cells = "".join(
            f"<td>{escape(''.join(words[:same]))}<mark>{escape(''.join(words[same:20]))}</mark></td>"
            for words in both
        )
        body.append(f"<tr><th>{escape(beginning)} …</th>{cells}</tr>")
    return f'<table class="lesson-texts">{head}{"".join(body)}</table>\n'


def contest() -> str:
    """The contest's table where nobody but the baseline has handed in."""
    return leaderboard.markdown(stored("contest").drop(columns="file"))


PICTURES = {
    "forms": forms,
    "ladder": ladder,
    "spaces": spaces,
    "texts": texts,
    "contest": contest,
}


def _words(rows: pd.DataFrame, text: int) -> list[str]:
    words = rows.loc[rows["text"] == text].sort_values("step")["word"]
    return [" ".join(word.split("\n")) for word in words]


def _drawn(frame: pd.DataFrame, **words: object) -> str:
    note = f"{MODEL}, measured by the course's experiments"
    drawn = lines(frame, caption=note, provenance={}, **words)  # type: ignore[arg-type]
    picture = re.sub(r"\n\s*\n", "\n", svg(drawn.figure))  # a blank line would end the HTML
    return (
        f'<figure class="lesson-picture">\n{picture}\n<figcaption>{note}</figcaption>\n</figure>\n'
    )


def slides(page: str) -> str:
    """The slides of a page as one HTML file that asks no host: a section ``###`` is a slide, and
    its fold *Notes* what the speaker sees."""
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark", {"html": True}).enable("table")
    title = re.search(r"^# (.+)$", page, re.MULTILINE)
    _, *sections = SLIDE.split(page.partition("\n## The slides\n")[2])
    if not sections or title is None:
        raise SiteError("the lesson has no slides: sections ### under '## The slides'")
    shown = []
    for section in sections:
        notes = "\n\n".join(fold[3] for fold in FOLD.finditer(section))
        text = html.render(with_pictures("## " + FOLD.sub("", section)))
        shown.append(f'<section>{text}<aside class="notes">{html.render(notes)}</aside></section>')
    parts = {
        name: installed_file("reveal.js", *REVEAL, *ending).read_text(encoding="utf-8")
        for name, ending in {
            "reset": ("dist", "reset.css"),
            "base": ("dist", "reveal.css"),
            "script": ("dist", "reveal.js"),
            "notes": ("plugin", "notes", "notes.js"),
        }.items()
    }
    parts = {name: text.replace("</script>", "<\\/script>") for name, text in parts.items()}
    return DOCUMENT.substitute(title=escape(title[1]), slides="\n".join(shown), **parts)


DOCUMENT = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$reset
$base
:root { --r-main-font: system-ui, "Segoe UI", Roboto, sans-serif; }
body { background: #fff; color: #1b1b1b; }
.reveal { font: 32px/1.4 var(--r-main-font); }
.reveal .slides { text-align: left; }
.reveal h1 { font-size: 2.4em; padding-top: 4em; }
.reveal h1, .reveal h2 { font-weight: 650; }
.reveal h2 { font-size: 1.35em; line-height: 1.15; margin: 0 0 .6em; padding-bottom: .2em; }
.reveal h2 { border-bottom: 3px solid #d55e00; }
.reveal h1, .reveal h2 { color: #0b3d63; }
.reveal p, .reveal ul, .reveal ol, .reveal table { margin: 0 0 .7em; }
.reveal ul, .reveal ol { padding-left: 1.2em; }
.reveal li { margin-bottom: .35em; }
.reveal strong { font-weight: 650; }
.reveal em { font-style: italic; }
.reveal code { font-family: ui-monospace, Consolas, monospace; font-size: .9em; }
.reveal table { border-collapse: collapse; font-size: .85em; }
.reveal th, .reveal td { padding: .35em .8em; border-bottom: 1px solid #bbb; text-align: left; }
.reveal th { font-weight: 650; }
.reveal mark { background: #fbe3c0; color: inherit; }
.reveal figure { margin: 0 auto; text-align: center; }
.reveal figure svg { max-width: 100% !important; max-height: 420px; width: 100%; }
.reveal figcaption { font-size: .45em; color: #666; }
.reveal aside.notes { display: none; }
.reveal .slide-number { top: 8px; bottom: auto; }
</style>
</head>
<body>
<div class="reveal"><div class="slides">
<section><h1>When Pruning Works</h1><p>$title</p></section>
$slides
</div></div>
<script>$script</script>
<script>$notes</script>
<script>
Reveal.initialize({
  hash: true, slideNumber: "c/t", width: 1100, height: 700, center: false, transition: "none",
  plugins: [RevealNotes]
});
</script>
</body>
</html>
""")
