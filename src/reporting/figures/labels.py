"""Words about the lines: direct labels at their right ends, and the key above the panels.

Both renderers take their labels from here. On a narrow screen there is no room at the right
end, and the key names every line instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reporting.figures.scales import Range, Tick, placed, ticks, unplaced
from reporting.figures.specification import Figure, Line, Panel
from reporting.figures.style import Style

LABEL_HEIGHT = 17.0
PANEL_HEIGHT = 230.0


@dataclass(frozen=True)
class EndLabel:
    """A direct label: `text` beside the end (`x`, in data units) of a line, at height `y`."""

    text: str
    x: float
    y: float
    style: Style


@dataclass(frozen=True)
class KeyEntry:
    """One line of the key. `direct` says that the wide figure names it at the line's end too.

    `cloud` marks points without a line.
    """

    text: str
    style: Style
    direct: bool
    cloud: bool = False


def end_labels(figure: Figure, panel: Panel) -> list[EndLabel]:
    """The direct labels of a panel, moved apart vertically so that none covers another."""
    scale, limits = panel.y_scale, figure.y_range(panel)
    low, high = (placed(value, scale) for value in limits)
    gap = (high - low) * LABEL_HEIGHT / PANEL_HEIGHT
    right = figure.x_range(panel)[1]
    named = [
        (line.end_text, line.look, line.end[1])
        for line in panel.lines
        if line.end_text and line.end
    ]
    for guide, look in panel.guides():
        height = panel.reference_end(guide, right)
        if height is not None and limits[0] <= height <= limits[1]:
            named.append((guide.label, look, height))
    ends = [placed(end, scale) for _, _, end in named]
    heights = spread(ends, gap, (low + gap / 2, high - gap / 2))
    return [
        EndLabel(text, right, unplaced(height, scale), look)
        for (text, look, _), height in zip(named, heights, strict=True)
    ]


def ticks_of(figure: Figure, panel: Panel) -> tuple[list[Tick], list[Tick]]:
    """The ticks of the x and of the y axis; empty where the renderer's own serve.

    A y tick at the very top would run into the heading.
    """
    limits = figure.y_range(panel)
    low, high = (placed(value, panel.y_scale) for value in limits)
    top = low + 0.97 * (high - low)
    y_ticks = ticks(limits, panel.y_scale, most=6)
    clear = [tick for tick in y_ticks if placed(tick[0], panel.y_scale) < top]
    return (
        list(panel.x_ticks) or ticks(figure.x_range(panel), panel.x_scale, panel.x_whole),
        list(panel.y_ticks) or (clear if len(clear) > 1 else y_ticks),
    )


def tick_room(figure: Figure, least: float, character: float) -> float:
    """Pixels to keep free at the left for the y axis' ticks, at least `least`."""
    texts = [text for panel in figure.panels for _, text in ticks_of(figure, panel)[1]]
    return max([least, *(8 + character * _width(text) for text in texts)])


def label_room(figure: Figure, character: float) -> float:
    """Pixels to keep free at the right for the direct labels, `character` pixels a letter."""
    labels = [label for panel in figure.panels for label in end_labels(figure, panel)]
    return min(28 + character * max((_width(label.text) for label in labels), default=-2), 220.0)


def titled_axes(figure: Figure) -> list[bool]:
    """For each panel, whether its x axis shows its title: the last of each run of equal ones."""
    names: list[str | None] = [panel.x_label for panel in figure.panels]
    return [name != after for name, after in zip(names, [*names[1:], None], strict=True)]


def _width(text: str) -> float:
    """The width of a text in characters, where raised ones count less and broad ones more."""
    return sum(
        0.75 if letter in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹." else 1.5 if letter in "%MW" else 1.0 for letter in text
    )


def key(figure: Figure) -> list[KeyEntry]:
    """The key: one entry for each label, in order of first use.

    An entry that covers lines of several hues, such as all that the paper reported, is drawn in
    neutral grey. Lines without markers are told apart by their dashes, which only the key shows.
    """
    lines: dict[str, list[Line]] = {}
    for panel in figure.panels:
        for line in panel.lines:
            lines.setdefault(line.label, []).append(line)
    entries = []
    for text, same in lines.items():
        looks = {line.look for line in same}
        look = same[0].look
        if len(looks) > 1:
            look = _common(looks)
        direct = look.marker != "none" and all(line.end_text == text for line in same)
        cloud = all(line.mode == "points" for line in same)
        entries.append(KeyEntry(text, look, direct, cloud))
    return entries + _guides(figure)


def _common(looks: set[Style]) -> Style:
    """A neutral style for lines of several hues, with what they have in common."""
    first = next(iter(looks))
    marker = first.marker if len({look.marker for look in looks}) == 1 else "circle"
    dash = first.dash if len({look.dash for look in looks}) == 1 else ""
    if marker == "none":
        marker = "circle"
    return Style("#767676", marker, dash, first.thin, first.stroke, first.size)


def _guides(figure: Figure) -> list[KeyEntry]:
    """One entry for each reference; direct if every panel that has it names it at the right."""
    looks: dict[str, Style] = {}
    direct: dict[str, bool] = {}
    for panel in figure.panels:
        named = {label.text for label in end_labels(figure, panel)}
        for guide, look in panel.guides():
            looks.setdefault(guide.label, look)
            direct[guide.label] = direct.get(guide.label, True) and guide.label in named
    return [KeyEntry(text, look, direct[text]) for text, look in looks.items()]


def spread(positions: Sequence[float], gap: float, limits: Range) -> list[float]:
    """Move positions apart to at least `gap`, in their order, as little as needed.

    What comes back lies within `limits` where there is room for it.

    >>> spread([0.5, 0.5], 0.2, (0.0, 1.0))
    [0.4, 0.6]
    """

    def inside(centre: float, count: int) -> float:
        half = gap * (count - 1) / 2
        return max(min(centre, limits[1] - half), limits[0] + half)

    groups: list[tuple[float, list[int]]] = []
    for index in sorted(range(len(positions)), key=lambda index: positions[index]):
        centre, members = inside(positions[index], 1), [index]
        while groups:
            below, before = groups[-1]
            if centre - below >= gap * (len(before) + len(members)) / 2 - 1e-12:
                break
            groups.pop()
            total = len(before) + len(members)
            mean = (below * len(before) + centre * len(members)) / total
            centre, members = inside(mean, total), before + members
        groups.append((centre, members))
    placed = [0.0] * len(positions)
    for centre, members in groups:
        for rank, index in enumerate(members):
            placed[index] = centre + gap * (rank - (len(members) - 1) / 2)
    return placed
