"""Appendix F: pruning beside quantization, along generation and at equal memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting import reported, statistics
from reporting.claims import OURS, Claim
from reporting.estimates import CLOSE, Tracking, side_by_side, tracking
from reporting.figures import Reference
from reporting.forms import FORMS, above_chance, counted_families
from reporting.scores import title
from reporting.statistics import Estimate
from reporting.step_frames import line, picked
from reporting.verdicts import marked
from runs.parameters import RunParameters
from runs.settings import DENSE
from runs.store import Measurement

PANELS = {  # of Figure 9: metric and space, and what its axis says
    "(a) Embedding": ("cosine", "embedding", "cosine (1 = unchanged)"),
    "(b) Logit": ("cosine", "logit", "cosine (1 = unchanged)"),
    "(c) Probability": ("cosine", "probability", "cosine (1 = unchanged)"),
    "(d) Size of the change of logits": ("magnitude", "logit", "‖Δz‖ / ‖z‖"),
    "(e) Its variance, halved": ("half_variance", "logit", "Var(Δz)/2, equal weights"),
    "(f) KL divergence": ("kl", "probability", "nats (0 = unchanged)"),
}
SMOOTHING = 0.3  # weight of each new step in the paper's curves, as far as the drawing tells
PRINTED = {"Attn Drop": "Attn Drop, 7B", "4:8": "4:8, 7B", "Quantization": "Quantization, 7B"}
EARLY = 48  # steps of the paper's Figure 9 before its quantized curve of KL rises
MEGABYTE = 1e6
NEAR_BYTES = 0.15  # models whose bytes differ by less take the same memory


def _cells(deviations: pd.DataFrame, metric: str, space: str) -> pd.DataFrame:
    """Measured numbers of one metric and space by ``prompt``, ``decoding`` and ``step``."""
    rows = deviations[deviations["quantity"].eq("measured") & deviations["space"].eq(space)]
    if metric == "half_variance":
        rows = rows[rows["metric"].eq("variance_uniform")].assign(
            value=lambda one: one["value"] / 2
        )
    elif metric == "magnitude":
        parts = rows[rows["metric"].isin(["parallel", "orthogonal"]) & ~rows["centred"]]
        squares = parts.assign(value=parts["value"] ** 2)
        keys = ["prompt", "decoding", "step"]
        summed = squares.groupby(keys, observed=True)["value"].sum()
        return np.sqrt(summed).reset_index()
    else:
        rows = rows[rows["metric"].eq(metric) & ~rows["centred"]]
    return rows[["prompt", "decoding", "step", "value"]].astype({"prompt": str, "decoding": str})


def figure_9(
    tables: Mapping[str, pd.DataFrame], smoothed: bool, hues: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Mean over prompts at each step, each model on its own text, one panel for each of
    :data:`PANELS`; ``smoothed`` exponentially, along each line, as the paper's are. ``hues`` gives
    models the colour of a space."""
    parts = []
    for panel, (metric, space, _) in PANELS.items():
        for name, table in tables.items():
            rows = _cells(table, metric, space)
            steps = line(rows[rows["decoding"].eq("free")].set_index("step")["value"])
            if smoothed:
                steps["mean"] = steps["mean"].ewm(alpha=SMOOTHING, adjust=False).mean()
            hue = (hues or {}).get(name, "dense")
            parts.append(steps.assign(panel=panel, series=name, space=hue))
    return pd.concat(parts, ignore_index=True).drop(columns=["low", "high"])


def printed_9(printed: pd.DataFrame, steps: int) -> pd.DataFrame:
    """The paper's Figure 9 in the same columns, its first ``steps``; without its panel (d), whose
    unit it does not say."""
    parts = []
    for panel, (metric, space, _) in PANELS.items():
        rows = printed[printed["metric"].eq(metric) & printed["space"].eq(space)]
        rows = rows[rows["step"] < steps]
        if metric != "magnitude":
            own = rows.rename(columns={"step": "x", "value": "mean"})
            series = own["series"].map(PRINTED)
            parts.append(own.assign(panel=panel, series=series, quantity="reported", n=1))
    columns = ["panel", "series", "x", "mean", "n", "quantity"]
    return pd.concat(parts, ignore_index=True)[columns]


@dataclass(frozen=True)
class Compressed:
    """One pruned or quantized model: its weights' account, and what it deviates while both models
    read the dense text (``forced``), so that no other words come in."""

    name: str
    parameters: RunParameters
    store: Measurement
    deviations: pd.DataFrame
    seed: int

    @property
    def bytes(self) -> int:
        """Of the linears, in theory."""
        return int(self.store.table("stored_weights")["bytes"].sum())

    @property
    def bits(self) -> float:
        """A dense weight of the linears, on average."""
        return 8 * self.bytes / int(self.store.table("stored_weights")["size"].sum())

    @property
    def error(self) -> float:
        """Root mean square of the relative error of the weights."""
        return float(np.sqrt((self.store.table("stored_weights")["error"] ** 2).mean()))

    def by_prompt(self, metric: str, space: str) -> pd.Series:
        """Means within each prompt."""
        rows = _cells(self.deviations, metric, space)
        return rows[rows["decoding"].eq("forced")].groupby("prompt")["value"].mean()

    def mean(self, metric: str, space: str) -> Estimate:
        """Mean within prompts and then over them."""
        return statistics.mean(self.by_prompt(metric, space), self.seed)

    def named(self, metric: str, space: str) -> Estimate:
        """As :meth:`mean`, of a metric of the table itself, such as ``variance_p``."""
        where = {"metric": metric, "space": space, "decoding": "forced", "quantity": "measured"}
        return statistics.over_prompts(picked(self.deviations, **where), self.seed)

    def tracked(self, metric: str) -> Tracking:
        """How Theorem 2 (``angular``) or 3 (``kl``) tracks the truth in the probability space."""
        rows = self.deviations
        kept = rows["metric"].eq(metric) & rows["space"].eq("probability")
        found = side_by_side(rows[kept & rows["decoding"].eq("forced")].drop(columns="decoding"))
        return tracking(found[found["quantity"].eq("theorem")], self.seed)


def ratio(one: Compressed, other: Compressed, metric: str, space: str) -> Estimate:
    """Mean deviation of ``one`` over that of ``other``, on the same prompts."""
    both = pd.DataFrame(
        {"one": one.by_prompt(metric, space), "other": other.by_prompt(metric, space)}
    )
    return statistics.ratio(both, "one", "other", one.seed)


def frontier(found: Iterable[Compressed]) -> list[str]:
    """Names of models that no other one beats both in bytes and in KL divergence."""
    ordered = sorted(found, key=lambda one: (one.bytes, one.mean("kl", "probability").value))
    best, names = np.inf, []
    for one in ordered:
        value = one.mean("kl", "probability").value
        if value < best:
            best = value
            names.append(one.name)
    return names


def memory(
    found: Mapping[str, Compressed], scores: Mapping[str, Mapping[str, Estimate]]
) -> pd.DataFrame:
    """What each model deviates, and its scores, against the bytes of its weights: for
    ``figures.lines`` as a cloud. Models on the frontier of KL are named."""
    best = set(frontier(found.values()))
    rows = []
    for name, one in found.items():
        numbers = {"KL divergence": one.mean("kl", "probability")}
        numbers |= scores.get(name, {})
        for panel, value in numbers.items():
            rows.append(
                {
                    "panel": panel,
                    "series": kind(one.parameters),
                    "x": one.bytes / MEGABYTE,
                    "point": name,
                    "call": name if name in best else "",
                    "space": SPACES[kind(one.parameters)],
                }
                | value.point
            )
    frame = pd.DataFrame(rows)
    order = {panel: place for place, panel in enumerate(frame["panel"].unique())}
    return frame.sort_values("panel", key=lambda one: one.map(order), kind="stable")


SPACES = {"quantized": "logit", "pruned": "probability", "both": "embedding"}


def kind(parameters: RunParameters) -> str:
    """``pruned``, ``quantized`` or ``both``."""
    if not parameters.quantizer:
        return "pruned"
    return "quantized" if parameters.whole else "both"


def kept_scores(
    probes: pd.DataFrame, tasks: pd.DataFrame, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Scores above guessing by model, Dense with them, and by what was asked: the paired probes of
    the families that count in either form, and each of the ``tasks`` in which the dense model is
    above its floor. Both are answers as of :func:`reporting.scores.answers`."""
    families = list(counted_families(probes))
    found: dict[str, dict[str, Estimate]] = defaultdict(dict)

    def note(asked: str, setting: str, above: pd.DataFrame, chance: float) -> None:
        for name, model in {DENSE: "dense", setting: "pruned"}.items():
            found[name][asked] = statistics.mean_right(above[model].to_numpy(float), chance, seed)

    if families:
        for name, part in probes.groupby("setting", observed=True):
            table = above_chance(part, "prefix").loc[families]
            for form in FORMS:
                chance = part["chance"][part["form"].eq(f"{form}, prefix")].mean()
                note(f"Probes, {form}", str(name), table.xs(form, axis=1, level="form"), chance)
    clear = tasks[tasks["verdict"].ne("at_floor")].astype({"setting": str})
    for (name, task), part in clear.groupby(["setting", "task"], sort=False):
        chance = part["chance"]
        above = part[["dense", "pruned"]].sub(chance, axis=0).div(1 - chance, axis=0)
        note(title(task), name, above, chance.mean())
    return found


def score_table(scores: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    """One row per model, Dense first: what :func:`kept_scores` found, with intervals and n."""
    rows = [
        {"model": name}
        | {f"{asked} (n = {one.n})": one.text(".2f") for asked, one in found.items()}
        for name, found in scores.items()
    ]
    return pd.DataFrame(rows)


def dense_levels(scores: Mapping[str, Mapping[str, Estimate]]) -> dict[str, list[Reference]]:
    """What the dense model scores, as a level line in each panel of :func:`memory`."""
    return {
        panel: [Reference(x=(-1e6, 1e6), y=(one.value, one.value), label=DENSE)]
        for panel, one in scores.get(DENSE, {}).items()
    }


def account(
    found: Mapping[str, Compressed], runtimes: Mapping[str, tuple[str, int]]
) -> pd.DataFrame:
    """One row per model: bits, bytes in theory, and in a runtime that one can install today."""
    rows = []
    for name, one in found.items():
        runtime, held = runtimes[name]
        rows.append(
            {
                "model": name,
                "bits a weight": f"{one.bits:.2f}",
                "MB in theory": f"{one.bytes / MEGABYTE:.1f}",
                "MB in a runtime": f"{held / MEGABYTE:.1f}",
                "runtime": runtime,
                "relative error of weights": "–" if np.isnan(one.error) else f"{one.error:.3f}",
                "KL (nats)": one.mean("kl", "probability").text(".3g"),
            }
        )
    return pd.DataFrame(rows)


TRANSFORMERS, BITSANDBYTES = "transformers", "bitsandbytes"
SEMI_STRUCTURED = "PyTorch, NVIDIA GPU"
GPTQMODEL = "GPTQModel, NVIDIA GPU"
GPTQ_BITS = (8, 4, 3, 2)  # that it offers


def runtimes(found: Mapping[str, Compressed]) -> dict[str, tuple[str, int]]:
    """For each model a runtime that holds its weights in less, and the bytes there: those of the
    dense weights where none does. Dropped sublayers are simply not there; a mask is not used by any
    runtime for processors, in pattern 2:4 by PyTorch on NVIDIA's; grids of 8, 4, 3 and 2 bits are
    formats of GPTQModel."""
    chosen = {}
    for name, one in found.items():
        asked, dense = one.parameters, int(one.store.manifest["facts"]["dense_bytes"])
        if asked.method == "drop" and not asked.whole and not asked.quantizer:
            chosen[name] = (TRANSFORMERS, one.bytes)
        elif asked.whole_pattern == "2:4" and not asked.quantizer:
            chosen[name] = (SEMI_STRUCTURED, one.bytes)
        elif asked.quantizer and not asked.simulated:
            chosen[name] = (BITSANDBYTES, one.bytes)
        elif asked.simulated and asked.bits in GPTQ_BITS:
            chosen[name] = (GPTQMODEL, int(one.store.table("stored_weights")["unmasked"].sum()))
        else:
            chosen[name] = ("none: dense weights", dense)
    return chosen


def directions(found: Mapping[str, Compressed]) -> pd.DataFrame:
    """Is it size or direction? One row per model, means while both read the dense text."""
    rows = []
    for name, one in found.items():
        kl = one.tracked("kl")
        rows.append(
            {
                "model": name,
                "along z": one.named("parallel", "logit").text(),
                "across z": one.named("orthogonal", "logit").text(),
                "Var under p": one.named("variance_p", "probability").text(".3g"),
                "Var under r": one.named("variance_r", "probability").text(".3g"),
                "KL (nats)": one.mean("kl", "probability").text(".3g"),
                "Theorem 3 / truth": kl.ratio.text(),
                "rank correlation": kl.rank.text(),
            }
        )
    return pd.DataFrame(rows)


ZEROS = {True: "zero on the grid", False: "the release's own kind of grid"}


def grids(measured: Mapping[str, Measurement]) -> pd.DataFrame:
    """Relative error of rounding to nearest at each number of bits, root mean square over weights
    with the least and the greatest: a panel for each kind of grid, a line for each model by name.
    Errors of nothing but rounding of the numbers themselves are left out."""
    parts = []
    for series, one in measured.items():
        errors = one.table("grids").groupby(["whole_zero", "bits"])["error"]
        found = errors.agg(
            mean=lambda values: np.sqrt((values**2).mean()), low="min", high="max", n="size"
        )
        found = found.rename_axis(["panel", "x"]).reset_index()
        space = "logit" if "rotated" in series else "dense"
        parts.append(found.assign(series=series, space=space, panel=found["panel"].map(ZEROS)))
    frame = pd.concat(parts, ignore_index=True)
    frame["point"] = frame["x"].astype(str) + " bits"
    return frame.sort_values("panel", kind="stable", ascending=False, ignore_index=True)


def pairs(found: Mapping[str, Compressed]) -> list[tuple[Compressed, Compressed]]:
    """Each quantized model beside the pruned one that is nearest to it in memory and takes no less,
    but for :data:`NEAR_BYTES`."""
    quantized = [one for one in found.values() if kind(one.parameters) == "quantized"]
    pruned = [one for one in found.values() if kind(one.parameters) == "pruned"]
    chosen = []
    for one in quantized:
        rivals = [other for other in pruned if other.bytes >= (1 - NEAR_BYTES) * one.bytes]
        if rivals:
            chosen.append((one, min(rivals, key=lambda other: other.bytes)))
    return chosen


def together(found: Mapping[str, Compressed]) -> list[tuple[Compressed, Compressed]]:
    """Each model that is pruned and quantized beside the one that is only quantized and takes as
    much memory, within :data:`NEAR_BYTES`; of several the one that deviates least."""
    chosen = []
    for one in found.values():
        if kind(one.parameters) != "both":
            continue
        rivals = [
            other
            for other in found.values()
            if kind(other.parameters) == "quantized"
            and abs(other.bytes - one.bytes) <= NEAR_BYTES * one.bytes
        ]
        if rivals:
            best = min(rivals, key=lambda other: other.mean("kl", "probability").value)
            chosen.append((one, best))
    return chosen


def claims(found: Mapping[str, Compressed]) -> list[Claim]:
    """The claims of Appendix F, each with its criterion."""
    beside = pairs(found)

    def against(metric: str, space: str) -> dict[str, Estimate]:
        return {
            f"{one.name} / {other.name}": ratio(one, other, metric, space) for one, other in beside
        }

    quantized = {name: one for name, one in found.items() if kind(one.parameters) == "quantized"}
    tracked = {name: one.tracked("kl").ratio for name, one in quantized.items()}
    both = {
        f"{one.name} / {other.name}": ratio(one, other, "kl", "probability")
        for one, other in together(found)
    }
    low, high = CLOSE
    rows = [
        Claim.of(
            "F: quantization deviates less than pruning at no less memory",
            "F-deviates-less",
            against("kl", "probability"),
            "KL divergence over that of the pruned model next above it in memory, below 1",
            high=1,
            paper=printed_ratios("kl"),
        ),
        Claim.of(
            "F: … because the change of the logits is smaller",
            "F-smaller-change",
            against("magnitude", "logit"),
            "‖Δz‖/‖z‖ over that of the same pruned model, below 1",
            high=1,
            paper=printed_ratios("magnitude"),
        ),
        Claim.of(
            "F: … and so is its variance",
            "F-smaller-change",
            against("half_variance", "logit"),
            "variance with equal weights over that of the same pruned model, below 1",
            high=1,
            paper=printed_ratios("half_variance"),
        ),
        Claim.of(
            "6, F: the theory holds for quantization",
            "F-theory-holds",
            tracked,
            f"Theorem 3 over the truth, in the middle case, {low}–{high}",
            low=low,
            high=high,
        ),
        Claim.of(
            "At equal memory, pruned and quantized deviates less than quantized (ours)",
            OURS,
            both,
            "KL divergence over that of the quantized model with as many bytes, below 1",
            high=1,
        ),
    ]
    return [one for one in rows if one.measured != "–"]


def printed_ratios(metric: str) -> dict[str, float]:
    """Of the paper's Figure 9, the mean of its quantized curve over those of the pruned ones, each
    on its own text, over all steps and over the first :data:`EARLY`, before the quantized model's
    answer is complete; what memory they take it does not say."""
    rows = reported.figure_9().query("metric == @metric")
    found = {}
    for words, part in {
        f"first {EARLY} steps": rows[rows["step"] < EARLY],
        "all steps": rows,
    }.items():
        means = part.groupby("series")["value"].mean()
        for name in means.index.drop("Quantization"):
            found[f"over {name}, {words}"] = float(means["Quantization"] / means[name])
    return found


def both_ways(here: Iterable[Claim], there: Iterable[Claim]) -> pd.DataFrame:
    """The verdicts on rotated weights and on those as released, side by side."""
    other = {one.claim: one for one in there}
    return pd.DataFrame(
        {
            "claim": one.claim,
            "rotated": marked(one.verdict),
            "as released": marked(other[one.claim].verdict),
            "measured as released": other[one.claim].measured,
        }
        for one in here
        if one.claim in other
    )


def drawn(found: Mapping[str, Compressed]) -> list[str]:
    """Models that are drawn along generation: of the paper's kinds, and the first of each quantizer
    with few bits."""
    chosen: dict[str, str] = {}
    for name, one in found.items():
        asked = one.parameters
        if kind(asked) == "pruned":
            chosen[name] = name
        elif kind(asked) == "quantized" and not asked.many_bits:
            chosen.setdefault(asked.quantizer, name)
    return list(chosen.values())


def memory_labels(cloud: pd.DataFrame) -> dict[str, str]:
    """The y label of each panel of :func:`memory`."""
    return {
        panel: "KL(dense ‖ model) in nats" if panel.startswith("KL") else "score above guessing"
        for panel in cloud["panel"].unique()
    }
