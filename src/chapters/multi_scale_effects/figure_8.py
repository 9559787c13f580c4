"""Section 7.2 and Figure 8: a few tokens of many, in a dense and a pruned output."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from reporting import reported
from reporting.figures import Style, style_of
from reporting.words import percent, shown

FORMS = {
    (True, True): "chat template, answer prefix",
    (True, False): "chat template",
    (False, True): "plain text, answer prefix",
    (False, False): "plain text",
}
LETTERS = {"A": "", "B": "7px,3px", "C": "2px,3px", "D": "9px,3px,2px,3px"}  # and their dashes
TOP, OPTIONS = "Likeliest tokens", "Options"  # panels
SHOWN = 4  # likeliest tokens of each model


def letter_styles(right: str) -> dict[str, Style]:
    """A dash for each letter, the same in every panel and choice; ``right`` letters have a hue."""
    hues = {letter: "probability" if letter in right else "dense" for letter in LETTERS}
    return {
        letter: Style(style_of(hues[letter]).colour, "none", dash)
        for letter, dash in LETTERS.items()
    }


def outputs(rows: pd.DataFrame, right: str = "", quantity: str = "measured") -> pd.DataFrame:
    """Two outputs side by side for ``figures.lines``: each token from its log-likelihood (nats) in
    the dense model, x = 0, to that in the pruned one, x = 1; the likeliest of either model, and the
    options, of which the ``right`` one has a hue. ``rows`` are those of one prompt in one form."""
    found = []
    for panel, wide in _wide(rows).items():
        names = wide.index.get_level_values("text").map(shown).to_series(index=wide.index)
        twice = names.duplicated(keep=False)
        tokens = wide.index.get_level_values("token").astype(str)
        for series, values in zip(
            names.where(~twice, names + " #" + tokens), wide.to_numpy(), strict=True
        ):
            space = "probability" if panel == OPTIONS and series == right else "dense"
            found += [
                {"panel": panel, "series": series, "space": space, "x": x, "mean": value}
                for x, value in enumerate(values)
            ]
    frame = pd.DataFrame(found)
    return frame.assign(point=frame["x"].map({0: "dense", 1: "pruned"}), quantity=quantity)


def _wide(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tokens × dense, pruned for each panel, the likeliest first and options by letter."""
    named = rows.assign(token=rows.get("token", rows["text"])).astype({"text": str, "output": str})
    wide = {
        role: part.pivot(index=["token", "text"], columns="output", values="value")
        for role, part in named.groupby(named["role"].astype(str))
    }
    top = wide["top"].sort_values("dense", ascending=False, kind="stable")
    ranks = top.rank(ascending=False, method="first")
    return {
        TOP: top[(ranks <= SHOWN).any(axis=1)],
        OPTIONS: wide["option"].sort_index(level="text"),
    }


def preferred(rows: pd.DataFrame, right: str) -> dict[str, object]:
    """The letters that the ``dense`` and the ``pruned`` model prefer after one prompt in one form,
    the ``right`` one, and the probability of all options together in each model."""
    options = _wide(rows)[OPTIONS].droplevel("token")
    mass = np.exp(options).sum()
    letters = {side: str(options[side].idxmax()) for side in ("dense", "pruned")}
    return letters | {"right": right} | {f"{side}_mass": float(mass[side]) for side in letters}


def letters(tables: Mapping[str, pd.DataFrame], right: Mapping[str, str]) -> pd.DataFrame:
    """One row for each ``setting``, ``form`` and ``prompt`` of ``choices`` tables by setting, with
    what :func:`preferred` says of it; ``right`` holds the right letter of each prompt."""
    return pd.DataFrame(
        [
            {"setting": setting, "form": form, "prompt": prompt} | preferred(rows, right[prompt])
            for setting, table in tables.items()
            for prompt, form, rows in asked(table)
        ]
    )


def asked(table: pd.DataFrame) -> Iterable[tuple[str, str, pd.DataFrame]]:
    """Prompt, form in words, and rows of a ``choices`` table."""
    keys = ["prompt", "template", "prefix"]
    for (prompt, template, prefix), rows in table.groupby(keys, observed=True, sort=False):
        yield str(prompt), FORMS[bool(template), bool(prefix)], rows


def letter_table(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each setting and form, and one for what the paper drew: in how many prompts the
    preferred letter stays, which letters are preferred (in the order of the prompts), in how many
    that is right, and what all options hold on average. So few prompts have no interval."""
    drawn = preferred(reported.figure_8(), "B or C")
    drawn |= {"setting": f"reported, {reported.FIGURE_8.size}, Drop-8A", "form": "as in Figure 8"}
    rows = []
    both = pd.concat([found, pd.DataFrame([drawn])])
    for (setting, form), part in both.groupby(["setting", "form"], sort=False):
        stay = part["dense"].eq(part["pruned"]).sum()
        row = {"setting": setting, "form": form, "letter stays": f"{stay} of {len(part)}"}
        for side in ("dense", "pruned"):
            row[f"letters, {side}"] = " ".join(part[side])
            row[f"right, {side}"] = f"{part[side].eq(part['right']).sum()} of {len(part)}"
            row[f"options hold, {side}"] = percent(part[f"{side}_mass"].mean())
        rows.append(row)
    return pd.DataFrame(rows)
