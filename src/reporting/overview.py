"""Every measurement as curves that are small enough to be drawn on one page.

A measurement becomes lines over depth, steps, amount and the like. Numbers are averaged within each
prompt (or question) first and then over prompts, with a 95% interval that draws prompts anew; over
sublayers the median is taken within each prompt, since their sizes differ by orders of magnitude.
Spaces, lenses, metrics, kinds of sublayer, ways of decoding and temperatures are never averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.pruning.methods import METHODS
from helpers.quantization.methods import QUANTIZERS
from reporting.statistics import FEWEST, RESAMPLES
from runs.store import Measurement

ALL = "all"  # the group that holds every prompt
ANY = "–"  # what a series has no value for
AVERAGED = ("seed", "step", "layer", "draw")  # within a prompt, unless drawn over
REMOVED = ("method", "target", "amount", "pattern")
SETTING = {"method", "checkpoint", "target", "dropped", "sparsity", "pattern", "quantizer", "bits"}
TOLD = {"model", "dtype", "seed", "tasks", "collections", "items", "batch_size"} | SETTING
PARTS = {"attention": "attention sublayers", "mlp": "MLP sublayers", "block": "blocks"}
NUMBERS = ("mean", "low", "high", "n")
NOTHING = "nothing removed"
SHARE, COUNT = "share of the weights removed", "sublayers or blocks removed"


@dataclass(frozen=True)
class Axis:
    """What numbers are drawn over: a column, in words; and whether it is a number of things."""

    column: str
    label: str
    whole: bool = False
    log: bool = False


DEPTH = Axis("layer", "layer", whole=True)
STEP = Axis("step", "decoding step", whole=True)
AMOUNT = Axis("amount", "amount removed")
TEMPERATURE = Axis("temperature", "temperature", log=True)
SIZE = Axis("size", "number of candidates", log=True)
WIDTH = Axis("width", "dimensions", log=True)


@dataclass(frozen=True)
class Family:
    """One kind of measurement: its tables, what is drawn over, and what a row is one of.

    ``unit`` names the column of prompts or questions, ``group`` that of their categories; without a
    unit the rows are estimates already. ``value`` says what a number is, where no metric does.
    """

    name: str
    title: str
    measurements: tuple[str, ...]
    table: str
    axes: tuple[Axis, ...]
    unit: str = "prompt"
    group: str = "category"
    value: str = "value"


FAMILIES = (
    Family(
        *("sublayers", "One sublayer at a time", ("layer_profile",), "deviations"),
        axes=(DEPTH, AMOUNT),
    ),
    Family(
        *("writing", "A whole pruned model, writing", ("generation",), "deviations"),
        axes=(STEP, AMOUNT),
    ),
    Family(
        *("scores", "Scores of tasks", ("scores", "probe_scores", "retrieval_scores"), "scores"),
        axes=(AMOUNT,),
        unit="",
        value="score",
    ),
    Family(
        *("ladder", "The answer among ever more candidates", ("ladder",), "ladder"),
        axes=(SIZE, AMOUNT),
        unit="item",
        group="family",
        value="share of questions where the answer is found",
    ),
    Family(
        *("propagation", "A sublayer removed, seen there and at the output", ("propagation",)),
        table="deviations",
        axes=(DEPTH,),
    ),
    Family(
        *("temperatures", "Temperatures", ("temperatures",), "deviations"),
        axes=(TEMPERATURE, DEPTH),
    ),
    Family(
        *("estimates", "Estimates of the deviation", ("estimate_quality",), "deviations"),
        axes=(DEPTH,),
    ),
    Family(*("words", "Other words, nothing pruned", ("other_words",), "deviations"), axes=(STEP,)),
    Family(
        *("dimension", "Random readouts of ever more dimensions", ("dimension",), "dimensions"),
        axes=(WIDTH,),
        group="",
    ),
    Family(*("noise", "The noise floor", ("noise_floor",), "noise"), axes=(DEPTH,), group=""),
    Family(
        *("pruning", "Perplexity and errors of weights", ("pruning_quality",), "prunings"),
        axes=(AMOUNT, DEPTH),
        unit="",
    ),
    Family(
        *("importance", "How much a sublayer turns the state", ("ranking",), "importance"),
        axes=(DEPTH,),
        unit="",
        value="1 − cos between what enters and what leaves",
    ),
)


def curves(family: Family, axis: Axis, measured: Sequence[Measurement]) -> pd.DataFrame:
    """All numbers of a family over one axis, a row a point: ``x``, ``mean``, ``low`` and ``high``
    (missing where there is no interval), ``n`` (prompts or questions behind it), and a column for
    each thing that tells lines apart, as text.

    Measurements that differ in a parameter have a column with its name.
    """
    parts = []
    varied = _varied(measured)
    for one in measured:
        rows = _rows(family, axis, one)
        if rows.empty:
            continue
        found = _averaged(family, axis, rows) if family.unit else estimates(rows)
        more = {name: _text(one.manifest["parameters"].get(name)) for name in varied}
        parts.append(_named(found, axis).assign(**more, run=one.run[:8]))
    if not parts:
        return pd.DataFrame()
    found = pd.concat(parts, ignore_index=True)
    if axis is AMOUNT:
        found = _from_dense(found, varied)
    lines = [name for name in found if name not in (*NUMBERS, "run")]
    found[lines] = found[lines].where(found[lines].notna(), ANY)
    found = found.drop_duplicates([*lines, "mean", "n"], ignore_index=True)  # asked for twice
    return found if found.duplicated(lines).any() else found.drop(columns="run")


def _from_dense(found: pd.DataFrame, varied: list[str]) -> pd.DataFrame:
    """Each line over the amount begins at the dense model, where that was measured too."""
    dense, pruned = (found[(found["method"] == NOTHING) == flag] for flag in (True, False))
    own = ["x", "method", "unit", "run", "calibration", *varied]
    shared = [name for name in found if name not in (*NUMBERS, *own)]
    kept = [name for name in found if name not in (*NUMBERS, "x")]
    lines = pruned.loc[pruned["x"] > 0, kept].drop_duplicates(
        [name for name in kept if name != "run"]
    )
    begins = lines.merge(dense[[*shared, *NUMBERS]], on=shared).assign(x=0.0)
    every = [name for name in found if name not in (*NUMBERS, "run")]
    begins = begins.drop_duplicates(every)
    again = pruned.merge(begins[every], on=every, how="left", indicator=True)["_merge"] == "both"
    return pd.concat([begins, pruned[~again.to_numpy()]], ignore_index=True)


def _varied(measured: Sequence[Measurement]) -> list[str]:
    """Parameters that tell measurements apart, besides what constants and ``n`` tell; of those that
    vary together the first."""
    given = pd.DataFrame([one.manifest["parameters"] for one in measured]).map(_text)
    codes = {name: tuple(pd.factorize(given[name])[0]) for name in given if name not in TOLD}
    several = given.where(given != ANY).nunique() > 1
    first = {code: name for name, code in reversed(codes.items()) if several[name]}
    return [name for name in codes if name in first.values()]


def _rows(family: Family, axis: Axis, one: Measurement) -> pd.DataFrame:
    """A measurement's table with its constants, as far as it can be drawn over the axis."""
    rows = one.labelled(family.table).drop(columns="run")
    if "layer" in rows and axis in (DEPTH, STEP):
        rows = rows[(rows["layer"] >= 0) == (axis is DEPTH)]
    elif "layer" in rows and family.unit == "":
        rows = rows[rows["layer"] < 0].drop(columns="layer")
    if axis.column not in rows:
        return rows.iloc[:0]
    if axis.log:
        rows = rows[rows[axis.column] > 0]
    if "centred" in rows and "space" in rows:
        plain = rows["space"].astype("category").cat
        names = [name + more for name in plain.categories for more in ("", ", centred")]
        places = 2 * plain.codes.to_numpy() + rows["centred"].to_numpy(int)
        rows = rows.drop(columns="centred").assign(space=pd.Categorical.from_codes(places, names))
    if "temperature" in rows and axis is not TEMPERATURE and rows["temperature"].nunique() < 2:
        rows = rows.drop(columns="temperature")
    if "calibration" in rows:  # a method that reads none is beside every one that does
        rows["calibration"] = rows["calibration"].astype(str).replace("none", ANY)
    if "rank" in rows:
        rows = rows.drop(columns="rank")
    return rows


def estimates(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that are numbers of their own: scores with their standard error, as 95% interval, and
    the dense score at the same questions; other numbers without an interval."""
    if "dense_value" not in rows:
        kept = [name for name in rows if name not in ("value", "seed")]
        found = rows.groupby(kept, observed=True, dropna=False)["value"]
        return found.agg(mean="mean", n="size").reset_index().assign(low=np.nan, high=np.nan)
    names = [name for name in ("model", "dtype", *REMOVED, "task", "form") if name in rows]
    found = rows[[*names, "metric", "n"]].assign(mean=rows["value"])
    for edge, sign in (("low", -1), ("high", 1)):
        found[edge] = rows["value"] + sign * 1.96 * rows["stderr"]
    change = rows[[*names, "metric", "n"]].assign(
        mean=rows["value"] - rows["dense_value"], low=rows["paired_low"], high=rows["paired_high"]
    )
    asked = rows["n"].where(rows["n"] > 0)
    dense = rows[[*names, "metric"]].assign(mean=rows["dense_value"], amount=0.0, n=asked)
    dense = dense[rows["amount"] > 0]  # what is quantized alone stands at 0 itself
    parts = {"score": pd.concat([found, dense]), "change from dense": change}
    return pd.concat([part.assign(shown=name) for name, part in parts.items()]).dropna(
        subset="mean"
    )


def _averaged(family: Family, axis: Axis, rows: pd.DataFrame) -> pd.DataFrame:
    """Within prompts first, then over those of each category and over all."""
    skipped = {family.unit, family.group, "value", axis.column, *AVERAGED}
    keys = [*(name for name in rows if name not in skipped), axis.column]
    typical = "median" if axis not in (DEPTH, STEP) and _has_layers(rows) else "mean"
    within = rows.groupby([family.unit, *keys], observed=True, dropna=False)["value"].agg(typical)
    by_unit = within.unstack(keys)
    by_unit = by_unit.loc[sorted(by_unit.index)]
    groups = {ALL: by_unit}
    if family.group and family.group in rows:
        of = rows.drop_duplicates(family.unit).set_index(family.unit)[family.group].astype(str)
        named = of.reindex(by_unit.index)
        groups |= {str(name): by_unit[named == name] for name in dict.fromkeys(named)}
    seed = int(rows["seed"].iloc[0]) if "seed" in rows else 0
    parts = [intervals(part, seed).assign(group=name) for name, part in groups.items()]
    found = pd.concat(parts).rename(columns={"group": family.group or "group"})
    found = found.dropna(subset="mean").reset_index()
    if axis is SIZE:  # beyond what most questions have, other questions are behind each point
        kept = [*keys[:-1], *found.columns.intersection([family.group])]
        found = found[found["n"] >= found.groupby(kept)["n"].transform("max") / 2]
    return found if family.group else found.drop(columns="group")


def intervals(by_prompt: pd.DataFrame, seed: int) -> pd.DataFrame:
    """For each column of ``by_prompt`` (prompts × K): ``mean``, ``low``, ``high`` and ``n``.

    The same numbers as :func:`reporting.statistics.mean` gives of each column, many at once: a
    resample is a matrix product with the counts of how often each prompt was drawn.
    """
    values = by_prompt.to_numpy(float)
    known = np.isfinite(values)
    n = known.sum(axis=0)
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    times = np.stack([(draws == row).sum(axis=1) for row in range(len(values))], axis=1)
    times = np.concatenate([np.ones((1, len(values))), times])
    with np.errstate(invalid="ignore"):
        samples = (times @ np.where(known, values, 0)) / (times @ known)
    edges = np.full((2, len(n)), np.nan)
    enough = n >= FEWEST
    if enough.any():
        edges[:, enough] = np.nanpercentile(samples[1:, enough], (2.5, 97.5), axis=0)
    numbers = {"mean": samples[0], "low": edges[0], "high": edges[1], "n": n}
    return pd.DataFrame(numbers, index=by_prompt.columns)


def _named(found: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """What was removed in words, ``x`` a number, and all else text."""
    found = found.rename(columns={axis.column: "x"} if axis is not AMOUNT else {})
    if "method" in found:
        if "sublayer" in found and axis is DEPTH and (found["method"] != "drop").all():
            found = found.assign(target="all")  # the sublayer says it
        kinds = found[list(REMOVED)].astype(dict.fromkeys(("method", "target", "pattern"), str))
        unique = kinds.drop_duplicates()
        told = pd.DataFrame(
            [_removed(*row) for row in unique.itertuples(index=False)],
            columns=["told", "unit", "share"],
            index=pd.MultiIndex.from_frame(unique),
        )
        words = told.loc[pd.MultiIndex.from_frame(kinds)].reset_index(drop=True)
        found = found.reset_index(drop=True)
        if axis is AMOUNT:
            found = found.assign(x=found["amount"], unit=words["unit"])
        found = found.drop(columns=list(REMOVED)).assign(
            **{"method": words["told"]} | ({} if axis is AMOUNT else {"amount": words["share"]})
        )
    labels = [name for name in found if name not in ("x", *NUMBERS)]
    text = {name: _texts(found[name]) for name in labels}
    if "model" in text:  # of a folder, its name
        text["model"] = text["model"].map(lambda name: Path(name).name if name[0] == "/" else name)
    return found.assign(**text, x=found["x"].astype(float))


def _removed(method: str, target: str, amount: float, pattern: str) -> tuple[str, str, str]:
    """What is removed, the unit of its amount, and the amount, in words; a quantizer is named too,
    with amount 0 where nothing else is done."""
    base, _, quantizer = method.partition("+")
    more = f" + {_quantizer(quantizer)}" if quantizer else ""
    if method == "dense" or (method == "drop" and target in ("all", "model")):
        return NOTHING, SHARE, "0%"
    if base == "drop" and target in PARTS:
        return f"{PARTS[target]} dropped{more}", COUNT, f"{amount:g}"
    if base == "drop":
        return f"the sublayer dropped{more}", SHARE, "100%"
    title = METHODS[base].title if base in METHODS else _quantizer(base)
    kind = "" if target in ("all", "sublayer", "model") else f", {target}"
    return f"{title} {pattern}".strip() + kind + more, SHARE, f"{100 * amount:g}%"


def _quantizer(name: str) -> str:
    """``RTN 4`` of ``rtn4``, ``NF4`` of ``nf4``: its title, and its bits where it has a choice."""
    if name in QUANTIZERS:
        return QUANTIZERS[name].title
    plain = name.rstrip("0123456789")
    bits = name.removeprefix(plain)
    return f"{QUANTIZERS[plain].title} {bits}" if plain in QUANTIZERS else name.capitalize()


def _has_layers(rows: pd.DataFrame) -> bool:
    return "layer" in rows and bool((rows["layer"] >= 0).any())


def _texts(column: pd.Series) -> pd.Series:
    codes, values = pd.factorize(column.astype(object), use_na_sentinel=False)
    return pd.Series(np.array([_text(value) for value in values], object)[codes], column.index)


def _text(value: Any) -> str:
    """A value as a label: whole numbers without a point, nothing as :data:`ANY`."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ANY
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value) or "none"
