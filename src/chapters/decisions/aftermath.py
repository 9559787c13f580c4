"""How likely does the dense model find a pruned model's text, once it has parted from its own?

Tables ``tokens`` hold both texts with the dense model's log-likelihood of every token.
"""

import numpy as np
import pandas as pd

from reporting.reach import Estimate
from reporting.resampling import estimate

TEXT = ["prompt", "seed"]


def since(tokens: pd.DataFrame) -> pd.DataFrame:
    """Every token of both texts with its distance from the parting: ``prompt``, ``seed``,
    ``writer``, ``every``, ``step``, ``token``, ``lag`` and ``value``.

    ``lag`` is 0 for the first token that differs between the dense text and the pruned model's
    own, and missing where those never part.
    """
    plain = tokens.assign(**{name: tokens[name].astype(str) for name in ("prompt", "writer")})
    own = plain[plain["writer"].eq("pruned") & plain["every"].eq(0) & plain["parted"]]
    first = own.groupby(TEXT)["step"].min().rename("first").reset_index()
    found = plain.merge(first, on=TEXT, how="left")
    found["lag"] = found["step"] - found["first"]
    return found[[*TEXT, "writer", "every", "step", "token", "lag", "value"]]


def written(found: pd.DataFrame, writer: str, every: int = 0) -> pd.DataFrame:
    """The tokens that ``writer`` chose itself, all but those that were chosen for it."""
    rows = found[found["writer"].eq(writer) & found["every"].eq(every)]
    if every and writer != "dense":
        rows = rows[(rows["step"] + 1) % every != 0]
    return rows


STAGES = {"before": (-np.inf, -1), "parting": (0, 0), "after": (1, np.inf)}


def stage(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Only the tokens ``before`` the parting, at the ``parting``, or ``after`` it."""
    return rows[rows["lag"].between(*STAGES[name])]


def likelihood(rows: pd.DataFrame, seed: int, less: pd.DataFrame | None = None) -> Estimate:
    """Mean log-likelihood per token in nats, within prompts and then over them; or how much it is
    above that of the rows ``less``, over the prompts that both have."""
    means = rows.groupby("prompt")["value"].mean()
    if less is not None:
        means = (means - less.groupby("prompt")["value"].mean()).dropna()
    return _mean(means, seed)


def same_place(rows: pd.DataFrame, dense: pd.DataFrame, seed: int) -> Estimate:
    """Share of tokens that equal the dense text's token at the same step; none does beyond its
    end."""
    there = dense[[*TEXT, "step", "token"]].rename(columns={"token": "theirs"})
    both = rows.merge(there, on=[*TEXT, "step"], how="left")
    equal = both["token"].eq(both["theirs"]).astype(float)
    return _mean(equal.groupby(both["prompt"]).mean(), seed)


def _mean(values: pd.Series, seed: int) -> Estimate:
    return estimate(values.to_frame(), seed) if len(values) else Estimate(float("nan"))
