"""Does greedy decoding part sooner than sampling? The same pruned model, decoded in both ways."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from chapters.multi_scale_effects.multi_scale import heading, number
from chapters.multi_scale_effects.persistence import MEASURES, traces
from reporting.parting import Course, matches, survival
from reporting.reach import Estimate
from reporting.resampling import estimate
from runs.parameters import RunParameters

MODES = ("greedy", "sampled")


def drawn(parameters: RunParameters) -> dict[str, object]:
    """What to change in parameters of greedy decoding: shorter texts, drawn."""
    return {"sampling": True, "max_new_tokens": parameters.sweep_steps}


@dataclass(frozen=True)
class Decoded:
    """One pruned model, decoded greedily and sampled, over the same ``steps``.

    ``curves`` are survival curves by mode, as :func:`parting.survival` makes them. ``lasting`` is
    the expected number of tokens that two texts have in common before they part; ``longer`` that
    of sampling minus that of greedy decoding. ``later`` holds the mean deviation at later steps by
    mode and measure while both texts run freely, ``more`` sampling minus greedy decoding.
    """

    steps: int
    texts: Mapping[str, int]
    curves: Mapping[str, pd.DataFrame]
    lasting: Mapping[str, Estimate]
    longer: Estimate
    later: Mapping[tuple[str, str], float]
    more: Mapping[str, Estimate]

    @classmethod
    def of(cls, greedy: pd.DataFrame, sampled: pd.DataFrame, seed: int) -> "Decoded":
        """From ``deviations`` of both; steps that only one of them has are left out."""
        last = min(int(greedy["step"].max()), int(sampled["step"].max()))
        tables = {
            mode: table[table["step"] <= last]
            for mode, table in zip(MODES, (greedy, sampled), strict=True)
        }
        found = {mode: matches(table) for mode, table in tables.items()}
        courses = {mode: Course.of(one, seed) for mode, one in found.items()}
        common = {mode: one.survival.sum(axis=1) for mode, one in courses.items()}
        means = {
            (mode, measure): _later(table, measure)
            for mode, table in tables.items()
            for measure in MEASURES
        }
        return cls(
            steps=last + 1,
            texts={mode: len(one.groupby(["prompt", "seed"])) for mode, one in found.items()},
            curves={mode: survival(one, seed) for mode, one in found.items()},
            lasting={mode: courses[mode].estimate(common[mode]) for mode in MODES},
            longer=courses["greedy"].estimate(common["sampled"] - common["greedy"]),
            later={key: float(one.mean()) for key, one in means.items()},
            more={
                measure: _difference(means["sampled", measure], means["greedy", measure], seed)
                for measure in MEASURES
            },
        )


def _later(deviations: pd.DataFrame, measure: str) -> pd.Series:
    """Mean free deviation at later steps, by prompt."""
    rows = traces(deviations, measure).query("step > 0").dropna(subset="free")
    return rows.groupby("prompt")["free"].mean()


def _difference(first: pd.Series, second: pd.Series, seed: int) -> Estimate:
    both = (first - second).dropna()
    return estimate(both.to_frame(), seed) if len(both) else Estimate(float("nan"))


def curves(found: Mapping[str, Decoded]) -> pd.DataFrame:
    """Survival curves of all pruned models: ``panel``, ``series``, ``step``, ``mean``, ``low``,
    ``high`` and ``n``, the texts at risk."""
    parts = [
        one.curves[mode].assign(panel=name, series=mode)
        for name, one in found.items()
        for mode in MODES
    ]
    rows = pd.concat(parts, ignore_index=True).rename(columns={"survival": "mean", "at_risk": "n"})
    return rows[["panel", "series", "step", "mean", "low", "high", "n"]]


def table(found: Mapping[str, Decoded]) -> pd.DataFrame:
    """One row for each pruned model and way of decoding."""
    rows = []
    for name, one in found.items():
        for mode in MODES:
            parted = 1 - one.curves[mode]["survival"].iloc[-1]
            row: dict[str, object] = {
                "model": name,
                "decoding": mode,
                "texts": f"{one.texts[mode]}",
                "parted": f"{parted:.0%}",
                "tokens in common": one.lasting[mode].text(),
            }
            later = {heading(measure): number(one.later[mode, measure]) for measure in MEASURES}
            rows.append(row | later)
        row = {"model": name, "decoding": "sampled minus greedy", "texts": "–", "parted": "–"}
        row |= {"tokens in common": one.longer.text()}
        rows.append(row | {heading(measure): more.text() for measure, more in one.more.items()})
    return pd.DataFrame(rows)


def words(found: Mapping[str, Decoded]) -> str:
    """Does greedy decoding make the parting better or worse? By the whole interval."""
    parts = []
    for name, one in found.items():
        if one.longer.low is None:
            return "Too few prompts to compare greedy decoding with sampling."
        text = (
            "greedy decoding parts sooner"
            if one.longer.above(0)
            else "sampling parts sooner"
            if one.longer.below(0)
            else "no difference was found"
        )
        parts.append(f"under {name} {text} (sampled minus greedy {one.longer.text()} tokens)")
    return (
        f"**Better or worse?** By the tokens that two texts have in common, {'; '.join(parts)}. "
        "Greedy decoding forgives any change that leaves the largest probability the largest. "
        "Sampling feels every change, in proportion."
    )
