"""Two outputs side by side: the likeliest tokens, and the options of a question (Figure 8).

Each line is a token, from its log-likelihood in the dense model to that in the pruned one. Where
lines cross, pruning has changed an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chapters.multi_scale_effects import letters
from chapters.multi_scale_effects.letters import Choice
from reporting import reported
from reporting.figures.chooser import chooser
from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel
from reporting.figures.style import Style, ramp, style_of
from reporting.figures.tables import HtmlOutput
from reporting.words import percent, shown

SIDES = "0 = dense, 1 = pruned"
PANELS = {
    "top": ("Likeliest tokens", "log-likelihood (nats)"),
    "options": ("Options", "log-likelihood of an option (nats)"),
}
SHOWN = 4  # likeliest tokens of each model
RIGHT = Style(style_of("probability").colour, "diamond")


def option_chooser(
    tables: Mapping[str, pd.DataFrame],
    right: Mapping[str, str],
    *,
    name: str,
    size: str,
    provenance: Mapping[str, Any],
) -> HtmlOutput:
    """Figure 8 for every prompt, form and setting, to choose from.

    `tables` holds a `choices` table for each setting, `right` the right letter of each prompt,
    `size` says how large the measured model is.
    """
    figures = {
        f"{prompt}, {setting}, {form}": option_outputs(
            choice,
            right[prompt],
            name=name,
            title=f"{prompt}, {setting}, {form}: {letters.verdict(choice, right[prompt])}",
            caption=f"Log-likelihood of the next token, T = 1, dense and with {setting}, at "
            f"{size}: the likeliest tokens of either model, and the four option letters, which "
            f"hold {percent(choice.mass['dense'])} of the probability when dense and "
            f"{percent(choice.mass['pruned'])} when pruned. One prompt: no interval.",
            provenance=provenance,
        )
        for setting, table in tables.items()
        for prompt, form, choice in letters.choices(table)
    }
    return chooser(figures, name=name, label="Prompt, setting and form", shared_y=False)


def reported_options(*, name: str) -> FigureOutput:
    """The paper's own Figure 8, in the same form."""
    source, choice = reported.FIGURE_8, Choice.of(reported.figure_8())
    return option_outputs(
        choice,
        "",
        name=name,
        title=f"As reported at {source.size}, Drop-8A: the preferred option stays {choice.dense}"
        if choice.survives
        else f"As reported at {source.size}, Drop-8A: {choice.dense} becomes {choice.pruned}",
        caption=f"{source.where}; {source.model}, one of the four multiple-choice prompts. The "
        f"options hold {percent(choice.mass['dense'])} of the probability when dense and "
        f"{percent(choice.mass['pruned'])} when pruned.",
        provenance={},
        drawn=True,
    )


def option_outputs(
    choice: Choice,
    right: str,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    drawn: bool = False,
) -> FigureOutput:
    """One pair of outputs: likeliest tokens above options; the `right` option is coloured.

    `drawn` marks numbers that others reported.
    """
    data, panels = [], []
    for part, (heading, y_label) in PANELS.items():
        options = part == "options"
        frame = choice.options if options else choice.likeliest(SHOWN)
        looks = _greys(len(frame), "circle" if options else "none")
        named = [shown(str(text)) for text in frame.index]
        lines = [
            Line(
                x=[0, 1],
                mean=values.tolist(),
                style=RIGHT if options and text == right else look,
                label=text,
                points=["dense", "pruned"],
                value="log-likelihood",
                reported=drawn,
            )
            for text, look, values in zip(
                named, looks, frame[["dense", "pruned"]].to_numpy(), strict=True
            )
        ]
        panels.append(
            Panel(
                title=heading,
                lines=lines,
                x_label=SIDES,
                y_label=y_label,
                x_range=(-0.05, 1.05),
                x_whole=True,
            )
        )
        data.append(frame.reset_index(drop=True).assign(panel=heading, token=named))
    table = pd.concat(data, ignore_index=True)[["panel", "token", "dense", "pruned"]]
    return FigureOutput.of(
        panels, table, name=name, title=title, caption=caption, provenance=provenance
    )


def _greys(count: int, marker: str) -> list[Style]:
    """Neutral styles that differ in dash and, where there are more of them, in marker."""
    base, dashes = style_of("dense").colour, [style.dash for style in ramp("dense", 6)]
    markers = (marker, "square", "triangle")
    return [
        Style(base, markers[index // len(dashes) % len(markers)], dashes[index % len(dashes)])
        for index in range(count)
    ]
