"""A panel that the reader plays with: sliders for a perturbation, and truth beside estimates.

The fragment holds an outline of one real state's logits; `panel.js` does the rest in the page,
without a kernel. Without scripts and in print, a picture and the numbers of the first setting stand
in its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from torch import Tensor

from chapters.representation_analysis.panel_model import (
    SIZES,
    TEMPERATURES,
    Outline,
    outline,
    readings,
    touched_choices,
)
from reporting.figures import lines, quantity_style
from reporting.figures.html import swatch
from reporting.figures.identity import download, line
from reporting.figures.interactive import script_text
from reporting.figures.scales import ticks
from reporting.figures.static import svg
from reporting.figures.tables import HtmlOutput

X_RANGE = (SIZES[0], SIZES[-1])
X_LABEL = "size of Δz (logit units)"
# panel, y label, and the columns of `readings` with what they are called and how they look
CHARTS = (
    (
        "Angle of p",
        "1 − cos(p, q)",
        (
            ("angular", "truth", "measured"),
            ("theorem_2", "theorem 2 or 3", "theorem"),
            ("bounded", "bounded form", "bounded"),
        ),
    ),
    (
        "KL",
        "KL(p‖q), nats",
        (("kl", "truth", "measured"), ("theorem_3", "theorem 2 or 3", "theorem")),
    ),
)
CONTROLS = (
    ("size", "Size of Δz", "root mean square over touched tokens"),
    ("touched", "Spread of Δz", "how many of the likeliest tokens it touches"),
    ("temperature", "Temperature T", "divides the logits before the softmax"),
)
# a name in braces is a reading, a quotient one reading over another
SENTENCES = (
    "<b>Angle of p.</b> In truth 1 − cos(p, q) is {angular}. Theorem 2 says {theorem_2}, which is "
    "{theorem_2/angular} times the truth; the bounded form {bounded}, {bounded/angular} times.",
    "<b>KL.</b> In truth KL(p‖q) is {kl} nats. Theorem 3 says {theorem_3}, which is "
    "{theorem_3/kl} times the truth.",
    "<b>Logits.</b> 1 − cos(z, z + Δz) is {logit}, and {logit_centred} with the mean logit taken "
    "out.",
)
NOTHING = 1e-12  # below this the truth is rounding, and no estimate can be judged by it
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ALT = (
    "Two charts with logarithmic axes: 1 − cos(p, q) with its two estimates, and KL(p‖q) with its "
    "estimate, against the size of Δz. A vertical line marks the chosen size; the sentences above "
    "say the numbers there."
)


def softmax_panel(
    logits: Tensor | Outline,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    tokens: Sequence[str] = (),
    real: tuple[float, float] | None = None,
    real_words: str = "",
) -> HtmlOutput:
    """The panel for one state with the given logits z: (V,), or their `panel_model.outline`.

    It opens with a Δz of size 1 on all tokens, at T = 1. `tokens` are the texts of the likeliest
    tokens, likeliest first, whose probabilities are shown before and after; none are shown
    without it. `real` are the sizes between which measured perturbations lie, which `real_words`
    say; the slider carries a bar there. `title`, `caption` and `provenance` are those of a figure.
    """
    state = logits if isinstance(logits, Outline) else outline(logits)
    table = readings(state)
    first = table.iloc[(table["size"] - 1.0).abs().argmin()].to_dict()
    words = "".join(f"<p>{sentence}</p>" for sentence in sentences(first))
    figure = lines(
        _lines(table),
        name=name,
        title=title,
        caption=caption,
        provenance=provenance,
        x_label=X_LABEL,
        y_label={panel: label for panel, label, _ in CHARTS},
        x_range=X_RANGE,
        x_scale="log",
        y_scale="log",
        direct=False,
    ).figure
    html = "\n".join(
        [
            f'<figure class="book-panel" id="fig-{name}">',
            f'<p class="panel-title" id="{name}-title">{escape(title)}</p>',
            f'<div class="panel-live" role="group" aria-labelledby="{name}-title" hidden>',
            f'<script type="application/json">{_payload(state, tokens, first, real)}</script>',
            _controls(name, real_words),
            f'<div class="panel-words" role="status" aria-live="polite">{words}</div>',
            _key(),
            f'<div class="panel-plot" role="img" aria-label="{escape(ALT)}"></div>',
            '<div class="panel-tokens"></div>',
            "</div>",
            f'<div class="panel-static">{_key()}{svg(figure)}',
            f"<p>At size 1, on all tokens, with T = 1:</p>{words}",
            "</div>",
            f'<figcaption><p class="panel-note">{escape(caption)}</p>',
            line(provenance, name, download(table, name, title, provenance)),
            "</figcaption>",
            "</figure>",
        ]
    )
    return HtmlOutput(html, f"{title}\n{caption}")


def number(value: float, digits: int = 3) -> str:
    """A number of `digits` significant digits, as a power of ten where it is small or large; a dash
    for none. The page's script writes the same.

    >>> number(0.41234), number(4.1e-7), number(1234.0), number(math.nan)
    ('0.412', '4.1 × 10⁻⁷', '1230', '–')
    """
    if not math.isfinite(value):
        return "–"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if value and not -3 <= int(exponent) < 5:
        return f"{float(mantissa):g} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return f"{float(f'{mantissa}e{exponent}'):g}"


def sentences(reading: Mapping[str, float]) -> list[str]:
    """`SENTENCES` as HTML with the numbers of one row of `readings`."""

    def filled(match: re.Match[str]) -> str:
        name, _, truth = match[1].partition("/")
        value = reading[name]
        if truth:
            value = value / reading[truth] if reading[truth] > NOTHING else math.nan
        held = repr(value) if math.isfinite(value) else ""
        return f'<data data-reading="{match[1]}" value="{held}">{number(value)}</data>'

    return [re.sub(r"{(\S+?)}", filled, sentence) for sentence in SENTENCES]


def _payload(
    state: Outline,
    tokens: Sequence[str],
    first: Mapping[str, float],
    real: tuple[float, float] | None,
) -> str:
    """Everything that the script needs, as JSON."""
    touched = touched_choices(state.vocabulary)
    looks = {
        quantity: {
            "color": style.colour,
            "width": style.width,
            "dash": style.dash or "solid",
            "symbol": {"triangle": "triangle-up"}.get(style.marker, style.marker),
            "size": 1.2 * style.marker_size,
            "hollow": style.hollow,
        }
        for quantity in ("measured", "theorem", "bounded")
        for style in [quantity_style("probability", quantity)]
    }
    marks = ticks(X_RANGE, "log")
    visible = [
        token.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣") or "∅" for token in tokens[:8]
    ]
    return script_text(
        {
            "state": {"ranks": state.ranks, "values": state.values},
            "choices": {"size": SIZES, "touched": touched, "temperature": TEMPERATURES},
            "start": {
                "size": SIZES.index(first["size"]),
                "touched": len(touched) - 1,
                "temperature": TEMPERATURES.index(1.0),
            },
            "nothing": NOTHING,
            "charts": CHARTS,
            "looks": looks,
            "x_axis": {
                "title": X_LABEL,
                "range": X_RANGE,
                "tickvals": [value for value, _ in marks],
                "ticktext": [text for _, text in marks],
            },
            "tokens": visible,
            "real": real,
        }
    )


def _controls(name: str, real_words: str) -> str:
    """Three sliders with visible names, units and values, and a button for another draw."""
    hints = {"size": f"; {real_words}"} if real_words else {}
    rows = "".join(
        f'<div class="panel-control"><label for="{name}-{part}">{label}</label>'
        f'<output for="{name}-{part}"></output><small id="{name}-{part}-hint">'
        f"{hint}{escape(hints.get(part, ''))}</small>"
        f'<input type="range" id="{name}-{part}" aria-describedby="{name}-{part}-hint" '
        f'data-control="{part}" min="0" step="1"></div>'
        for part, label, hint in CONTROLS
    )
    return (
        f'<div class="panel-controls">{rows}<div class="panel-draw">'
        '<button type="button">Another Δz</button> <output>draw 1</output></div></div>'
    )


def _key() -> str:
    entries = {label: quantity for _, _, drawn in CHARTS for _, label, quantity in drawn}
    items = "".join(
        f"<li>{swatch(quantity_style('probability', quantity))} {label}</li>"
        for label, quantity in entries.items()
    )
    return f'<ul class="panel-key">{items}</ul>'


def _lines(table: pd.DataFrame) -> pd.DataFrame:
    """The charts of the first setting, for their picture."""
    return pd.concat(
        table[["size", column]]
        .set_axis(["x", "mean"], axis=1)
        .assign(panel=panel, series=label, space="probability", quantity=quantity)
        for panel, _, drawn in CHARTS
        for column, label, quantity in drawn
    )
