"""A figure as a piece of a web page: what a notebook cell shows.

The fragment holds the data of the interactive plot and the static picture. Without the script
`figures.js` (in print, in a notebook editor, with scripts switched off) the picture is what the
reader sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Self

import pandas as pd

from reporting.figures.alternative import describe
from reporting.figures.identity import download, line
from reporting.figures.interactive import plot, script_text
from reporting.figures.layout import KeyEntry, key
from reporting.figures.specification import Figure, Panel
from reporting.figures.static import svg
from reporting.figures.style import Style


@dataclass(frozen=True)
class FigureOutput:
    """A figure that draws itself as the value of a notebook cell."""

    figure: Figure

    @classmethod
    def of(cls, panels: Sequence[Panel], data: pd.DataFrame, alt: str = "", **words: Any) -> Self:
        """A figure of ``panels`` and the values that they plot; ``words`` are its name, title,
        caption and provenance. ``alt`` is written from the panels unless given."""
        alt = alt or describe(panels)
        return cls(Figure(panels=panels, data=data, alt=alt, **words))

    def _repr_html_(self) -> str:
        figure = self.figure
        link = download(figure.data, figure.name, figure.title, figure.provenance)
        return block(figure, plot(figure), link)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Both forms: HTML for the site, text for a terminal."""
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def __str__(self) -> str:
        return f"{self.figure.title}\n{self.figure.caption}"

    __repr__ = __str__


def block(figure: Figure, content: Any, link: str, controls: str = "") -> str:
    """The whole `<figure>`: title, key, plot, picture and small print.

    `content` is what the script draws from, `link` leads to the plotted values, and `controls`
    are those of a chooser.
    """
    spoken = ' aria-live="polite"' if controls else ""
    kind = "book-figure full-width" if len(figure.panels) > 1 else "book-figure"
    link += "".join(
        f' · <button type="button" class="figure-save" data-as="{form}">picture ({form.upper()})'
        "</button>"
        for form in ("svg", "png")
    )
    return "\n".join(
        [
            f'<figure class="{kind}" id="fig-{figure.name}">{controls}',
            f'<p class="figure-title" id="{figure.name}-title"{spoken}>{escape(figure.title)}</p>',
            key_list(key(figure)),
            f'<div class="figure-interactive" data-figure="{figure.name}" role="group" '
            f'aria-label="{escape(figure.alt)}">'
            f'<script type="application/json">{script_text(content)}</script></div>',
            f'<div class="figure-static">{svg(figure)}</div>',
            f'<figcaption><p class="figure-note">{escape(figure.caption)}</p>',
            line(figure.provenance, figure.name, link),
            "</figcaption>",
            "</figure>",
        ]
    )


def key_list(entries: Sequence[KeyEntry]) -> str:
    """The key above the panels. Entries named at the line's end are hidden where that shows."""
    direct = ' class="key-direct"'
    items = "".join(
        f"<li{direct if entry.direct else ''}>"
        f"{swatch(entry.style, entry.cloud)} {escape(entry.text)}</li>"
        for entry in entries
    )
    hidden = " key-direct" if all(entry.direct for entry in entries) else ""
    return f'<ul class="figure-key{hidden}">{items}</ul>'


_MARKS = {
    "circle": '<circle cx="16" cy="6" r="3.4"',
    "square": '<rect x="12.8" y="2.8" width="6.4" height="6.4"',
    "diamond": '<path d="M16 1.6 20.4 6 16 10.4 11.6 6z"',
    "triangle": '<path d="M16 1.6 20.6 9.6 11.4 9.6z"',
    "cross": '<path d="M12.4 2.4 19.6 9.6M19.6 2.4 12.4 9.6"',
}


def swatch(style: Style, cloud: bool = False) -> str:
    """A short piece of a line with its dash and marker, or a marker alone, as an inline picture."""
    hue, parts = f'stroke="{style.colour}"', []
    if not cloud:
        dash = f' stroke-dasharray="{style.dash.replace("px", "")}"' if style.dash else ""
        parts.append(f'<path d="M0 6H32" fill="none" {hue}{dash} stroke-width="{style.width}"/>')
    if style.marker in _MARKS:
        fill = "none" if style.hollow else style.colour
        parts.append(f'{_MARKS[style.marker]} fill="{fill}" {hue} stroke-width="1.2"/>')
    return (
        '<svg class="figure-swatch" width="32" height="12" viewBox="0 0 32 12" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )
