"""Words about the lines: direct labels at their right ends, and the key above the panels.

Both renderers take their labels from here. On a narrow screen there is no room at the right
end, and the key names every line instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from helpers.figures.specification import Figure, Line, Panel, Range
from helpers.figures.style import Style

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
    """One line of the key. `direct` says that the wide figure names it at the line's end too."""

    text: str
    style: Style
    direct: bool


def end_labels(figure: Figure, panel: Panel) -> list[EndLabel]:
    """The direct labels of a panel, moved apart vertically so that none covers another."""
    low, high = figure.y_range(panel)
    gap = (high - low) * LABEL_HEIGHT / PANEL_HEIGHT
    named = [line for line in panel.lines if line.end_text and line.end]
    ends = [end for line in named if (end := line.end)]
    heights = spread([y for _, y in ends], gap, (low + gap / 2, high - gap / 2))
    right = figure.x_range(panel)[1]
    return [
        EndLabel(line.end_text, right, height, line.look)
        for line, height in zip(named, heights, strict=True)
    ]


def label_room(figure: Figure, character: float) -> float:
    """Pixels to keep free at the right for the direct labels, `character` pixels a letter."""
    labels = [label for panel in figure.panels for label in end_labels(figure, panel)]
    return min(28 + character * max((len(label.text) for label in labels), default=-2), 220.0)


def titled_axes(figure: Figure) -> list[bool]:
    """For each panel, whether its x axis shows its title: the last of each run of equal ones."""
    names: list[str | None] = [panel.x_label for panel in figure.panels]
    return [name != after for name, after in zip(names, [*names[1:], None], strict=True)]


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
            look = Style("#767676", "circle", thin=look.thin)
        direct = look.marker != "none" and all(line.end_text == text for line in same)
        entries.append(KeyEntry(text, look, direct))
    return entries


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
