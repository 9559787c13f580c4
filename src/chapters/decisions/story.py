"""What greedy decoding sees: flips and margins, when texts part, what follows, and what helps.

One ``Seen`` for each pruned model. Frames are for ``figures.lines``; means are taken within
prompts and then over them, and intervals draw prompts anew.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from chapters.decisions import margins
from helpers.evaluation.collapse import loops
from helpers.pruning.methods import METHODS
from reporting import parting
from reporting.claims import OURS, Claim
from reporting.parting import TEXT
from reporting.statistics import Estimate, mean, over_prompts
from reporting.step_frames import picked
from reporting.trends import Trend, windows
from runs.parameters import RunParameters
from runs.store import Measurement

BINS = 6
SATURATED = 0.95  # share of flips above which there is nothing left to grow
STEPS = [0, 4, 8, 16, 32]  # where windows of steps begin; the last one has no end
LAGS = [0, 1, 3, 5, 9, 17, 33]  # and windows of steps since the parting
SHARE = ".0%"
KINDS = {"attention": "Attention dropped", "mlp": "MLP dropped", "block": "Blocks dropped"}
STAGES = {"before": (-np.inf, -1), "parting": (0, 0), "after": (1, np.inf)}  # lags
CURVES = {
    "survival": ("not parted", "measured"),
    "product": ("product of 1 − e", "theorem"),
    "constant": ("one rate for all steps", "bounded"),
}
CLOSE = 1.25  # a predicted share within this factor of the measured one is right
FLAT = 0.5  # what changes by less than this share of its mean, from first step to last, is flat
ALIKE = 1.5  # two rates within this factor are one
HALF = 2  # k of the claim about help


@dataclass(frozen=True)
class Seen:
    """The run of one pruned model: ``name``, ``kind`` of pruning (a panel), its tables."""

    name: str
    kind: str
    deviations: pd.DataFrame
    tokens: pd.DataFrame
    seed: int

    @classmethod
    def of(cls, name: str, measured: Measurement, parameters: RunParameters) -> "Seen":
        """From a measurement ``generation`` and its parameters."""
        title = METHODS[parameters.method].title if parameters.prunes_weights else "checkpoint"
        kind = f"Weights: {title}"
        if parameters.method == "drop":
            kind = KINDS[parameters.target]
        tables = measured.table("deviations"), measured.table("tokens")
        return cls(name, kind, *tables, parameters.seed)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Margins, noise, flips and what the laws predict, at every teacher-forced step."""
        return margins.predicted(margins.steps(self.deviations))

    def mean(self, name: str, less: str = "") -> Estimate:
        """Mean of a column of ``steps``, or of its difference to another."""
        return margins.mean(self.steps, name, self.seed, less)

    def law(self, what: str) -> Estimate:
        """What the Gaussian law predicts over what was measured: ``flip``, or ``overtaken``."""
        return margins.ratio(self.steps, "Gaussian", what, self.seed)

    @property
    def saturated(self) -> bool:
        """Whether nearly every choice flips, so that nothing can grow."""
        return self.mean("flip").value > SATURATED

    @cached_property
    def matches(self) -> pd.DataFrame:
        """Where both models choose the same token, both having read the dense text."""
        return parting.matches(self.deviations)

    @cached_property
    def course(self) -> parting.Course:
        """How the texts part."""
        return parting.Course.of(self.matches, self.seed)

    def shared(self, curve: str) -> Estimate:
        """Expected number of tokens that two texts share, by a key of ``CURVES``."""
        return self.course.estimate(getattr(self.course, curve).sum(axis=1))

    @cached_property
    def text(self) -> pd.DataFrame:
        """Tokens of both texts by their distance from the parting."""
        return since(self.tokens)

    def after(self, writer: str) -> pd.DataFrame:
        """Tokens of a text after the parting."""
        return stage(written(self.text, writer), "after")

    def likelihood(self, stage_: str, writer: str = "pruned") -> Estimate:
        """Mean log-likelihood of a text's tokens in a stage of ``STAGES``, in nats."""
        return likelihood(stage(written(self.text, writer), stage_), self.seed)

    def along(self, metric: str) -> pd.DataFrame:
        """A teacher-forced metric at every step, and whether its text has ``parted`` before;
        ``flip`` is 1 − agreement."""
        where = {"metric": "agreement" if metric == "flip" else metric, "decoding": "forced"}
        rows = picked(self.deviations, quantity="measured", **where)[[*TEXT, "step", "value"]]
        rows = rows.astype({"prompt": str, "step": int})
        if metric == "flip":
            rows["value"] = 1.0 - rows["value"]
        known = self.matches.assign(parted=parting.parted_before(self.matches))
        return rows.merge(known[[*TEXT, "step", "parted"]], on=[*TEXT, "step"])

    def trend(self, metric: str) -> Trend:
        """Mean of a metric along the dense text, and its change."""
        return Trend.of(self.along(metric), self.seed)

    @property
    def first_step(self) -> Estimate:
        """Share of texts whose very first token flips."""
        return mean(self._first, self.seed)

    @property
    def first_gap(self) -> Estimate:
        """By how much the first token's share of flips is above the average of its text."""
        return mean(self._first - self.along("flip").groupby("prompt")["value"].mean(), self.seed)

    @property
    def _first(self) -> pd.Series:
        return self.along("flip").query("step == 0").groupby("prompt")["value"].mean()

    @property
    def behind(self) -> Estimate:
        """How much more likely, to the dense model, the pruned text is than its own after the
        parting, in nats per token."""
        return likelihood(self.after("pruned"), self.seed, self.after("dense"))


def mildest_and_last(pruned: Mapping[str, RunParameters]) -> list[str]:
    """Two of several pruned models: the one with the fewest MLPs dropped, and the last."""
    mlp = [name for name, one in pruned.items() if one.method == "drop" and one.target == "mlp"]
    return list(dict.fromkeys([*mlp[:1], list(pruned)[-1]]))


def alive(seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """The models that are not at the floor."""
    return {name: one for name, one in seen.items() if not one.saturated}


def since(tokens: pd.DataFrame) -> pd.DataFrame:
    """Every token of both texts, with the dense model's log-likelihood and the distance from the
    parting: ``prompt``, ``seed``, ``writer``, ``every``, ``step``, ``token``, ``lag``, ``value``.

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
    return rows[(rows["step"] + 1) % every != 0] if every and writer != "dense" else rows


def stage(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Only the tokens ``before`` the parting, at the ``parting``, or ``after`` it."""
    return rows[rows["lag"].between(*STAGES[name])]


def likelihood(rows: pd.DataFrame, seed: int, less: pd.DataFrame | None = None) -> Estimate:
    """Mean log-likelihood per token in nats, within prompts and then over them; or how much it is
    above that of the rows ``less``, over the prompts that both have."""
    if less is None:
        return over_prompts(rows, seed)
    own, theirs = (each.groupby("prompt")["value"].mean() for each in (rows, less))
    return mean((own - theirs).dropna(), seed)


def same_place(rows: pd.DataFrame, dense: pd.DataFrame, seed: int) -> Estimate:
    """Share of tokens that equal the dense text's token at the same step; none does beyond its
    end."""
    there = dense[[*TEXT, "step", "token"]].rename(columns={"token": "theirs"})
    both = rows.merge(there, on=[*TEXT, "step"], how="left")
    return over_prompts(both.assign(value=both["token"].eq(both["theirs"]).astype(float)), seed)


def gain(rows: pd.DataFrame, writer: str, every: int, seed: int) -> Estimate:
    """How much more likely the pruned model's own tokens are with help than without, in nats per
    token, after the step at which the unhelped text parts."""
    alone = stage(written(rows, "pruned"), "after")
    return likelihood(stage(written(rows, writer, every), "after"), seed, alone)


def change(rows: pd.DataFrame, seed: int) -> Estimate:
    """Change of the log-likelihood within texts, per ten tokens."""
    if rows.empty:
        return Estimate(math.nan)
    found = Trend.of(rows, seed)
    return Estimate.of(10 * found.slopes, found.prompts)


def in_loops(rows: pd.DataFrame, seed: int) -> Estimate:
    """Share of tokens in loops, over texts as long as they are given."""
    texts = rows.sort_values("step").groupby(TEXT)["token"]
    shares = texts.agg(lambda tokens: float(np.mean(loops(tokens.tolist()))))
    return mean(shares.groupby("prompt").mean(), seed)


def by_margin(one: Seen) -> pd.DataFrame:
    """Flips against the margin, measured and by law; and the prediction against what came, in the
    second panel. Each point is a bin of equally many steps."""
    series = {
        "flip": ("choice flipped", "measured"),
        "overtaken": ("runner-up ahead", "exact"),
        "Gaussian": ("Gaussian law", "theorem"),
    }
    parts = []
    for panel, by in (("Against the margin", "margin"), ("Predicted and measured", "Gaussian")):
        bins = _binned(one, by, tuple(series))
        for column, (label, quantity) in series.items():
            if column != by:
                named = bins.assign(mean=bins[column], panel=panel, series=label)
                parts.append(named.assign(quantity=quantity))
    return pd.concat(parts, ignore_index=True)


def calibration(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Predicted chance of a flip against the measured share, one panel for each kind of pruning."""
    parts = [
        _binned(one, "Gaussian", ("flip",))
        .rename(columns={"flip": "mean"})
        .assign(panel=one.kind, series=name)
        for name, one in seen.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _binned(one: Seen, by: str, columns: tuple[str, ...]) -> pd.DataFrame:
    bins = margins.binned(one.steps.dropna(subset="Gaussian"), by, columns, BINS)
    unit = "margin {:.2g} logits" if by == "margin" else "predicted {:.0%}"
    names = [f"bin {k} of {len(bins)}, {unit.format(x)}" for k, x in enumerate(bins["x"], start=1)]
    return bins.assign(point=names, space="logit")


def survival(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Share of texts not parted at each step, and what two rates make of it, one panel for each
    model, up to the step at which the last text parts."""
    parts = []
    for name, one in seen.items():
        known = parting.survival(one.matches, one.seed).assign(panel=name, space="probability")
        for curve, (label, quantity) in CURVES.items():
            rows = known.assign(mean=getattr(one.course, curve)[0])
            if curve != "survival":
                rows[["low", "high"]] = np.nan
            parts.append(rows.assign(series=label, quantity=quantity))
    found = pd.concat(parts, ignore_index=True)
    return found[found["x"] <= found.loc[found["n"] > 0, "x"].max() + 1]


def along(one: Seen) -> pd.DataFrame:
    """Flips and KL along the text, teacher-forced, in windows of steps: over all texts, and over
    those that have not parted."""
    parts = []
    for panel, metric in (("Flips", "flip"), ("KL", "kl")):
        rows = one.along(metric)
        for series, quantity, part in (
            ("all texts", "measured", rows),
            ("texts that have not parted", "bounded", rows[~rows["parted"]]),
        ):
            found = windows(part, STEPS, one.seed).assign(panel=panel, series=series)
            parts.append(found.assign(quantity=quantity, space="probability"))
    return pd.concat(parts, ignore_index=True)


def since_parting(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Log-likelihood of the pruned texts in windows of steps since the parting, and of the dense
    texts at the same steps, one panel for each model. Models that never part are left out."""
    looks = {"pruned": ("pruned model's text", "probability")}
    looks["dense"] = ("dense model's text", "dense")
    return _lagged(
        (name, *looks[writer], rows[rows["lag"] >= 0], one.seed)
        for name, one in seen.items()
        for writer in looks
        for rows in [written(one.text, writer)]
    )


def helped(found: Mapping[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """The same for a pruned model that is helped: its own tokens, one line for each k. ``found``
    holds tables as :func:`since` makes them, by model."""
    parts = []
    for name, rows in found.items():
        every = sorted(set(rows.loc[rows["writer"].eq("pruned"), "every"]) - {0})
        lines = {("dense", 0): "dense model's text"}
        lines |= {("pruned", k): f"one token in {k}" for k in every} | {("pruned", 0): "no help"}
        for (writer, k), series in lines.items():
            own = stage(written(rows, writer, k), "after")
            parts.append((name, series, "probability", own, seed))
    return _lagged(parts)


def _lagged(parts: Iterable[tuple[str, str, str, pd.DataFrame, int]]) -> pd.DataFrame:
    """Panels, series, spaces, and tokens by their distance from the parting, in windows."""
    frames = [
        windows(rows, LAGS, seed, at="lag").assign(panel=panel, series=series, space=space)
        for panel, series, space, rows, seed in parts
        if len(rows)
    ]
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["point"])
    return found.assign(point=found["point"].astype(str) + " after the parting")


def rescue_table(
    found: Mapping[str, pd.DataFrame], every: Iterable[int], seed: int
) -> pd.DataFrame:
    """What help does to the pruned model's own tokens after the step at which the unhelped text
    parts; ``found`` holds tables of :func:`since` by model, helped at one token in ``every``."""
    kinds = {("pruned", 0): "none"} | {("pruned", k): f"one token in {k}" for k in every}
    kinds |= {("forced", 0): "all dense", ("dense", 0): "the dense text itself"}
    rows = []
    for name, each in found.items():
        control = int(each.loc[each["writer"].eq("control"), "every"].max())
        words = f"control, second choice, one token in {control}"
        dense = stage(written(each, "dense"), "after")
        for (writer, k), help_ in (kinds | {("control", control): words}).items():
            own = stage(written(each, writer, k), "after")
            whole = each[each["writer"].eq(writer) & each["every"].eq(k)]
            gained, same = gain(each, writer, k, seed), same_place(own, dense, seed)
            rows.append(
                {
                    "pruned model": name,
                    "help": help_,
                    "log-likelihood": likelihood(own, seed).text(),
                    "gained": None if help_ == "none" else gained.text(),
                    "same as the dense text": None if writer == "dense" else same.text(SHARE),
                    "whole text in loops": in_loops(whole, seed).text(SHARE),
                }
            )
    return pd.DataFrame(rows)


def claims(seen: Mapping[str, Seen], rescued: Mapping[str, pd.DataFrame], seed: int) -> list[Claim]:
    """The chapter's claims, over all pruned models; ``rescued`` as in :func:`rescue_table`."""
    moving = alive(seen)
    growth = {name: one.trend("flip").growth for name, one in moving.items()}
    return [
        Claim.of(
            "Gaussian noise on the margin predicts how often the runner-up gets ahead (ours)",
            OURS,
            {name: one.law("overtaken") for name, one in seen.items()},
            f"predicted over measured within a factor of {CLOSE}",
            low=1 / CLOSE,
            high=CLOSE,
        ),
        Claim.of(
            "… and with it how often the choice flips (ours)",
            OURS,
            {name: one.law("flip") for name, one in seen.items()},
            f"predicted over measured within a factor of {CLOSE}",
            low=1 / CLOSE,
            high=CLOSE,
        ),
        Claim.of(
            "A constant hazard explains when texts part (ours)",
            OURS,
            {name: one.course.estimate(_rates(one.course)) for name, one in moving.items()},
            f"flips before the parting over flips after it, within a factor of {ALIKE}; "
            "models at the floor, where nearly every choice flips, are left out",
            low=1 / ALIKE,
            high=ALIKE,
        ),
        Claim.of(
            "The first step is mild, since both models have read the same prompt",
            "7.1-first-step",
            {name: one.first_gap for name, one in moving.items()},
            "flips at the first step minus the average of the text below 0; the same models",
            high=0.0,
            form=SHARE,
        ),
        Claim.of(
            "Errors compound while both models read the same words",
            "7.1-compound",
            growth,
            "flips grow along the dense text; the same",
            low=0.0,
            form=SHARE,
        ),
        Claim.of(
            "They persist: they neither grow nor fade (ours)",
            OURS,
            growth,
            f"flips change by less than {FLAT:.0%} of their mean along the dense text; the same",
            low=-FLAT,
            high=FLAT,
            form=SHARE,
        ),
        Claim.of(
            "After the parting the dense model finds the pruned text less likely than its own",
            OURS,
            {name: one.behind for name, one in moving.items()},
            "log-likelihood per token, pruned − dense, below 0",
            high=0.0,
        ),
        Claim.of(
            "… and ever less likely (ours)",
            OURS,
            {name: change(one.after("pruned"), seed) for name, one in moving.items()},
            "change of it within texts, per ten tokens, below 0",
            high=0.0,
        ),
        Claim.of(
            f"One dense token in {HALF} makes the pruned model's other tokens more likely (ours)",
            OURS,
            {name: gain(rows, "pruned", HALF, seed) for name, rows in rescued.items()},
            "gain in log-likelihood per token above 0",
            low=0.0,
        ),
        Claim.of(
            "A history that is all dense does",
            "D.3-history",
            {name: gain(rows, "forced", 0, seed) for name, rows in rescued.items()},
            "the same gain with the dense text read throughout",
            low=0.0,
        ),
    ]


def _rates(course: parting.Course) -> np.ndarray:
    """Rate of flips before the parting over the rate after it, (1 + R,); NaN without any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = course.before / course.after
    result: np.ndarray = np.where(np.isfinite(found), found, np.nan)
    return result
