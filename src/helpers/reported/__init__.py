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
    ``n``: every mean is a multiple of 1e-4/204, so the figure is one trace of 204 steps.
    """
    with resources.files("helpers.reported").joinpath("figure4.csv").open() as file:
        frame = pd.read_csv(file)
    return frame.assign(layers=frame["layer"].max() + 1, n=FIGURE_4.points)
