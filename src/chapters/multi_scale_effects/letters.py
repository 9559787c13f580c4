"""Which letter does a model choose, dense and pruned? Pure functions of ``choices`` (Figure 8)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting import reported
from reporting.words import percent

FORMS = {
    (True, True): "chat template, answer prefix",
    (True, False): "chat template",
    (False, True): "plain text, answer prefix",
    (False, False): "plain text",
}
REPORTED = f"reported, {reported.FIGURE_8.size}, Drop-8A"


@dataclass(frozen=True)
class Choice:
    """The outputs of two models after one prompt: log-likelihoods (nats) by option letter and by
    likeliest token, likeliest first; each a frame with the columns ``dense`` and ``pruned``."""

    options: pd.DataFrame
    top: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Choice":
        """From the rows of one prompt in one form, or from :func:`reported.figure_8`."""
        named = rows.assign(token=rows.get("token", rows["text"])).astype(
            {"text": str, "output": str}
        )
        wide = {
            str(role): part.pivot(index=["token", "text"], columns="output", values="value")
            .droplevel("token")
            .rename_axis(columns=None)
            for role, part in named.groupby("role", observed=True)
        }
        likeliest = wide["top"].sort_values("dense", ascending=False, kind="stable")
        return cls(wide["option"].sort_index(), likeliest)

    def likeliest(self, count: int) -> pd.DataFrame:
        """The rows of ``top`` that are among the ``count`` likeliest of either model."""
        ranks = self.top.rank(ascending=False, method="first")
        return self.top[(ranks <= count).any(axis=1)]

    @property
    def dense(self) -> str:
        """The letter that the dense model prefers."""
        return str(self.options["dense"].idxmax())

    @property
    def pruned(self) -> str:
        """The letter that the pruned model prefers."""
        return str(self.options["pruned"].idxmax())

    @property
    def mass(self) -> pd.Series:
        """Probability of all options together, by ``dense`` and ``pruned``."""
        return np.exp(self.options).sum()

    @property
    def survives(self) -> bool:
        """Whether both prefer the same letter."""
        return self.dense == self.pruned


def choices(table: pd.DataFrame) -> Iterator[tuple[str, str, Choice]]:
    """Prompt, form in words, and choice, for all of a ``choices`` table."""
    keys = ["prompt", "template", "prefix"]
    for (prompt, template, prefix), rows in table.groupby(keys, observed=True, sort=False):
        yield str(prompt), FORMS[bool(template), bool(prefix)], Choice.of(rows)


def verdict(choice: Choice, right: str) -> str:
    """What becomes of the choice, such as ``B stays B, right`` or ``A becomes D; right is C``."""
    change = f"{choice.dense} {'stays' if choice.survives else 'becomes'} {choice.pruned}"
    if choice.survives and choice.dense == right:
        return f"{change}, which is right"
    return f"{change}; right is {right}"


def survival(tables: Mapping[str, pd.DataFrame], right: Mapping[str, str]) -> pd.DataFrame:
    """One row per setting and form, and one for what the paper drew: in how many prompts the
    preferred letter stays, which letters are preferred (in the order of the prompts), in how many
    that is right, and what all options hold on average.

    ``tables`` holds a ``choices`` table for each setting, ``right`` the right letter of each
    prompt. So few prompts have no interval.
    """
    rows = []
    for setting, table in tables.items():
        found = list(choices(table))
        for form in dict.fromkeys(form for _, form, _ in found):
            part = {prompt: choice for prompt, name, choice in found if name == form}
            rows.append({"setting": setting, "form": form} | _row(part, right))
    drawn = {"": Choice.of(reported.figure_8())}
    rows.append({"setting": REPORTED, "form": "as in Figure 8"} | _row(drawn, {"": "B or C"}))
    return pd.DataFrame(rows)


def _row(found: Mapping[str, Choice], right: Mapping[str, str]) -> dict[str, str]:
    """What becomes of the choices of one setting and form, by prompt."""
    count = len(found)
    mass = pd.DataFrame([choice.mass for choice in found.values()]).mean()
    stay = sum(choice.survives for choice in found.values())
    row = {"letter stays": f"{stay} of {count}"}
    for side in ("dense", "pruned"):
        chosen = {prompt: str(getattr(choice, side)) for prompt, choice in found.items()}
        hits = sum(letter == right[prompt] for prompt, letter in chosen.items())
        row[f"letters, {side}"] = " ".join(chosen.values())
        row[f"right, {side}"] = f"{hits} of {count}"
        row[f"options hold, {side}"] = percent(mass[side])
    return row


def counts(tables: Mapping[str, pd.DataFrame], right: Mapping[str, str]) -> dict[str, int]:
    """Over all settings and forms: ``asked``, ``stay`` (the same letter), ``right`` and
    ``right_pruned``."""
    every = [(at, one) for table in tables.values() for at, _, one in choices(table)]
    return {
        "asked": len(every),
        "stay": sum(one.survives for _, one in every),
        "right": sum(one.dense == right[at] for at, one in every),
        "right_pruned": sum(one.pruned == right[at] for at, one in every),
    }
