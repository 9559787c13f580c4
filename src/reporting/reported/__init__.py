"""What did the paper print? Its numbers, to stand beside ours."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Source:
    """Where reported numbers come from, and the model and sample they were measured on."""

    where: str
    model: str
    size: str
    points: int


def _drawn(name: str) -> pd.DataFrame:
    """What a figure of the paper draws, read back."""
    with resources.files("reporting.reported").joinpath(f"{name}.csv").open() as file:
        return pd.read_csv(file)


def _drawing(number: int, points: int) -> Source:
    where = f"Figure {number} of arXiv 2603.24652, read back from its vector drawing"
    return Source(where, "Qwen-2.5-7B-Instruct", "7B", points)


FIGURE_4, FIGURE_7 = _drawing(4, 204), _drawing(7, 222)
FIGURE_8, FIGURE_9 = _drawing(8, 1), _drawing(9, 190)


@cache
def figure_4() -> pd.DataFrame:
    """Cosine similarity per layer and space with one sublayer dropped, as the paper drew it.

    Columns: ``sublayer``, ``layer``, ``layers``, ``space``, ``mean``, ``low``, ``high`` (band) and
    ``n``: points behind each mean, see :func:`figure_4_from_6a`.
    """
    frame = _drawn("figure4")
    return frame.assign(layers=frame["layer"].max() + 1, n=FIGURE_4.points)


@cache
def figure_6() -> pd.DataFrame:
    """Truth and estimate at attention layer 12, T = 1, by decode step, as the paper drew them.

    Columns ``step``, ``metric`` (``angular``: 1 − cos in the probability space, Figure 6(a);
    ``kl``: KL in nats, Figure 6(b)), ``quantity`` (``measured`` or ``theorem``) and ``value``.
    """
    return _drawn("figure6")


@cache
def figure_7() -> pd.DataFrame:
    """Outputs of the dense model and of Drop-8A along one generation, as the paper drew them.

    Columns ``step``, ``space``, ``metric`` (``cosine``; ``kl`` in nats, probability space) and
    ``value``. Figure 7(a) holds the embedding and logit space, 7(b) the probability space.
    """
    return _drawn("figure7")


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


@cache
def figure_8() -> pd.DataFrame:
    """Outputs of the dense model and of Drop-8A after one multiple-choice prompt, as the paper
    drew them; it does not say which of the four.

    Columns ``role`` (``option``, or ``top`` for the likeliest tokens), ``text`` (letter or
    token), ``output`` (``dense`` or ``pruned``) and ``value``: log-likelihood in nats, of the
    likeliest tokens the logarithm of the probability that is drawn.
    """
    frame = _drawn("figure8")
    text = frame["text"].str.replace("\\n", "\n", regex=False)
    likelihood = frame["value"].where(frame["role"] == "option", np.log(frame["value"].abs()))
    return frame.assign(text=text, value=likelihood)


@cache
def figure_9() -> pd.DataFrame:
    """Outputs of the dense model and of pruned and quantized ones along one generation, as the
    paper drew them, which is smoothed.

    Columns ``series`` (``Attn Drop``, ``4:8``, ``Quantization``), ``metric`` (``cosine``;
    ``magnitude`` of the change of logits; ``half_variance``, half its variance; ``kl`` in nats),
    ``space``, ``step`` and ``value``.
    """
    return _drawn("figure9")
