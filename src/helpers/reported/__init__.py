"""What did the paper print? Its numbers, to stand beside ours."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd


@dataclass(frozen=True)
class Source:
    """Where reported numbers come from, and the model and sample they were measured on."""

    where: str
    model: str
    size: str
    points: int


FIGURE_4 = Source(
    where="Figure 4 of arXiv 2603.24652, read back from its vector drawing",
    model="Qwen-2.5-7B-Instruct",
    size="7B",
    points=204,
)


@cache
def figure_4() -> pd.DataFrame:
    """Cosine similarity per layer and space with one sublayer dropped, as the paper drew it.

    Columns: ``sublayer``, ``layer``, ``layers``, ``space``, ``mean``, ``low``, ``high`` (band) and
    ``n``: points behind each mean, see :func:`figure_4_from_6a`.
    """
    with resources.files("helpers.reported").joinpath("figure4.csv").open() as file:
        frame = pd.read_csv(file)
    return frame.assign(layers=frame["layer"].max() + 1, n=FIGURE_4.points)


@cache
def figure_6() -> pd.DataFrame:
    """Truth and estimate at attention layer 12, T = 1, by decode step, as the paper drew them.

    Columns ``step``, ``metric`` (``angular``: 1 − cos in the probability space, Figure 6(a);
    ``kl``: KL in nats, Figure 6(b)), ``quantity`` (``measured`` or ``theorem``) and ``value``.
    """
    with resources.files("helpers.reported").joinpath("figure6.csv").open() as file:
        return pd.read_csv(file)


def figure_6a() -> pd.DataFrame:
    """True 1 − cos of Figure 6(a): columns ``step`` and ``angular``."""
    drawn = figure_6().query("metric == 'angular' and quantity == 'measured'")
    return drawn.rename(columns={"value": "angular"})[["step", "angular"]].reset_index(drop=True)


def figure_4_from_6a() -> pd.DataFrame:
    """One point of Figure 4 twice: as drawn, and made anew from the single trace of Figure 6(a).

    Rows ``mean``, ``low`` and ``high`` of the probability cosine at attention layer 12; columns
    ``figure 4`` and ``figure 6(a)``.
    """
    cosine = 1 - figure_6a()["angular"]
    drawn = figure_4().query("sublayer == 'attention' and layer == 12 and space == 'probability'")
    return pd.DataFrame(
        {
            "figure 4": drawn[["mean", "low", "high"]].iloc[0].astype(float),
            "figure 6(a)": {"mean": cosine.mean(), "low": cosine.min(), "high": cosine.max()},
        }
    )
