"""When do two texts part? Survival against steps, and what a rate of mismatches makes of it.

A text is at risk at a step if it runs and has not parted before. All is written for tables of
matches: ``prompt``, ``seed``, ``step`` and ``same``, 1 where both models choose the same token.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.statistics import FEWEST, Estimate, resampled

TEXT = ["prompt", "seed"]  # what names a text
FLOOR = 0.1  # mean probability cosine at the first step below which nothing is left to lose


def matches(deviations: pd.DataFrame) -> pd.DataFrame:
    """Same choice or not, from rows of ``deviations``: ``prompt``, ``seed``, ``step``, ``same``.

    Both models have read the dense text, at every step until it ends. There the first mismatch of
    a text is the step at which the two free texts part.
    """
    kept = deviations["metric"].eq("choice") & deviations["decoding"].eq("forced")
    rows = deviations.loc[kept, ["prompt", "seed", "step", "value"]]
    return _plain(rows.rename(columns={"value": "same"}))


def matches_of_texts(tokens: pd.DataFrame) -> pd.DataFrame:
    """The same from table ``tokens``: the pruned model's text, written without help, against the
    dense one, 1 up to the parting and 0 from there on."""
    rows = tokens[tokens["writer"].eq("pruned") & tokens["every"].eq(0)]
    return _plain(rows.assign(same=1.0 - rows["parted"].astype(float)))


def partings(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each text: ``prompt``, ``seed``, ``parting`` (step of the first mismatch, missing
    if there is none) and ``steps`` (how many were compared)."""
    steps = found.groupby(TEXT)["step"].size().rename("steps")
    first = found[found["same"] == 0].groupby(TEXT)["step"].min().rename("parting")
    return steps.to_frame().join(first).reset_index()[[*TEXT, "parting", "steps"]]


def parted_before(found: pd.DataFrame) -> pd.Series:
    """For each row of matches, whether its text has parted at an earlier step."""
    first = partings(found).set_index(TEXT)["parting"]
    own = first.reindex(pd.MultiIndex.from_frame(found[TEXT])).to_numpy()
    return pd.Series(found["step"].to_numpy() > np.nan_to_num(own, nan=np.inf), index=found.index)


def survival(found: pd.DataFrame, seed: int) -> pd.DataFrame:
    """How many texts have not parted, step by step.

    Columns: ``x`` and ``point``, the step; ``n``, the texts at risk, and ``partings``, counts;
    ``mean``, the share of texts that have not parted up to and including this step, by Kaplan and
    Meier, so that a text that ends whole counts as long as it runs; ``low`` and ``high``, a 95%
    bootstrap interval over prompts, missing with too few.
    """
    course = Course.of(found, seed)
    curves = course.survival
    band = np.full((2, curves.shape[1]), np.nan)
    if course.prompts >= FEWEST:
        band = np.percentile(curves[1:], (2.5, 97.5), axis=0)
    counts = (course.prompts * course.risk[0], course.prompts * course.events[0])
    at_risk, gone = (np.rint(one).astype(int) for one in counts)
    return pd.DataFrame(
        {
            "x": np.arange(curves.shape[1]),
            "point": [f"step {step}" for step in range(curves.shape[1])],
            "n": at_risk,
            "partings": gone,
            "mean": curves[0],
            "low": band[0],
            "high": band[1],
        }
    )


@dataclass(frozen=True)
class Course:
    """Texts per prompt at each step, (1 + R, S): the first row over all prompts, the others over
    samples of them. ``running`` texts, those that mismatch there (``misses``), those at ``risk``,
    and those that part there (``events``)."""

    running: np.ndarray
    misses: np.ndarray
    risk: np.ndarray
    events: np.ndarray
    prompts: int

    @classmethod
    def of(cls, found: pd.DataFrame, seed: int) -> "Course":
        """From matches; ``seed`` draws the samples."""
        rows = found.assign(
            miss=1.0 - found["same"], risk=(~parted_before(found)).astype(float), running=1.0
        )
        rows["event"] = rows["miss"] * rows["risk"]
        steps = range(int(rows["step"].max()) + 1)
        tables = [
            rows.pivot_table(index="prompt", columns="step", values=name, aggfunc="sum")
            .reindex(columns=steps)
            .fillna(0.0)
            for name in ("running", "miss", "risk", "event")
        ]
        running, misses, risk, events = (resampled(table, seed) for table in tables)
        return cls(running, misses, risk, events, len(tables[0]))

    @property
    def survival(self) -> np.ndarray:
        """Share (1 + R, S) of texts not parted up to and including each step."""
        return np.cumprod(1 - _share(self.events, self.risk, 0.0), axis=1)

    @property
    def product(self) -> np.ndarray:
        """Product (1 + R, S) of 1 − e over the steps so far, e the share of mismatches among all
        texts that run: what survival is if those that have parted are no different."""
        return np.cumprod(1 - _share(self.misses, self.running, 0.0), axis=1)

    @property
    def constant(self) -> np.ndarray:
        """The same (1 + R, S) with one rate of mismatches for all steps and texts."""
        steps = self.running.shape[1]
        return (1 - self.overall[:, None]) ** np.arange(1, steps + 1)

    @property
    def overall(self) -> np.ndarray:
        """Share (1 + R,) of mismatches among all steps of all texts."""
        return _share(self.misses.sum(axis=1), self.running.sum(axis=1))

    @property
    def before(self) -> np.ndarray:
        """Share (1 + R,) of mismatches among steps of texts that have not parted before."""
        return _share(self.events.sum(axis=1), self.risk.sum(axis=1))

    @property
    def after(self) -> np.ndarray:
        """Share (1 + R,) of mismatches among steps after the parting; NaN without any."""
        missed, steps = self.misses - self.events, self.running - self.risk
        return _share(missed.sum(axis=1), steps.sum(axis=1))

    def estimate(self, samples: np.ndarray) -> Estimate:
        """A number with its interval over prompts, from samples (1 + R,)."""
        return Estimate.of(samples, self.prompts)


def _share(part: np.ndarray, whole: np.ndarray, nobody: float = np.nan) -> np.ndarray:
    """``part`` over ``whole``; ``nobody`` where that is nothing."""
    found = np.full_like(whole, nobody)
    return np.divide(part, whole, out=found, where=whole > 1e-12)


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """The four columns, categories as text."""
    kept = rows[[*TEXT, "step", "same"]].reset_index(drop=True)
    return kept.assign(prompt=kept["prompt"].astype(str), step=kept["step"].astype(int))
