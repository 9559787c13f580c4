"""What chapter 3 shows of the ``readouts`` table: pure functions of a frame."""

import numpy as np
import pandas as pd

from reporting.layers import LABELS
from reporting.words import percent, shown

FORMS = {
    "letters": "letter, after the list",
    "words": "word, after the list",
    "sentence": "word, after the sentence",
}
LENSES = {"raw": "raw lens", "normed": "normed lens"}
DENSE = "dense"


def by_model(readouts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of the dense model and of each pruned one, by its name in words."""
    dropped = readouts[readouts["method"] == "drop"]
    return {DENSE: readouts[readouts["method"] == DENSE]} | {
        f"{amount:.0f} {LABELS[str(target)]} dropped": part
        for (target, amount), part in dropped.groupby(["target", "amount"], observed=True)
    }


def tokens(dense: pd.DataFrame) -> pd.DataFrame:
    """The tokens of the sentence in order: ``position``, ``token`` made visible, ``id``."""
    rows = _stage(dense, "token").sort_values("position")
    text = rows["item"].map(shown)
    found = {"position": rows["position"], "token": text, "id": rows["value"].astype(int)}
    return pd.DataFrame(found).reset_index(drop=True)


def states(dense: pd.DataFrame) -> pd.DataFrame:
    """The last token's state after each layer, for :func:`reporting.figures.lines`: its length,
    and the cosine to the state one layer before."""
    rows = _stage(dense, "state")
    return pd.DataFrame(
        {
            "panel": rows["metric"].map({"norm": "Length", "cosine_to_previous": "Direction"}),
            "series": "state of the last token",
            "x": rows["layer"],
            "mean": rows["value"],
            "point": rows["layer"].map("after {} layers".format),
            "space": "embedding",
        }
    )


def lenses(dense: pd.DataFrame) -> pd.DataFrame:
    """What each lens makes of the last token's state: one row per ``lens`` and ``layer``, with
    ``entropy`` in nats, ``probability`` of the token that the model gives out, and the likeliest
    token, ``top``, with its probability ``top_probability``."""
    rows = _stage(dense, "lens")
    first = rows[rows["position"] == 0].set_index(["form", "layer"])
    metrics = rows[rows["metric"].isin(("entropy", "probability_of_next"))]
    wide = metrics.pivot(index=["form", "layer"], columns="metric", values="value")
    wide = wide.assign(top=first["item"].map(shown), top_probability=first["value"])
    names = {"probability_of_next": "probability", "form": "lens"}
    return wide.reset_index().rename(columns=names).rename_axis(columns=None)


def lens_curves(read: pd.DataFrame, certain: str, undecided: str) -> pd.DataFrame:
    """:func:`lenses` for :func:`reporting.figures.lines`: the names of its two panels are given,
    that of the probability and that of the entropy."""
    rows = pd.concat(
        read[read["lens"] == lens].assign(panel=panel, series=words, mean=read[column])
        for column, panel in (("probability", certain), ("entropy", undecided))
        for lens, words in LENSES.items()
    )
    point = rows["layer"].map("after {} layers".format)
    return rows.assign(x=rows["layer"], point=point, space="probability")


def first_time(read: pd.DataFrame, lens: str, token: str) -> int:
    """The first layer from which on the lens gives the model's own next ``token`` as the
    likeliest, up to the last layer; one more than there are layers if not at the last either."""
    rows = read[read["lens"] == lens]
    differs = rows.loc[rows["top"] != token, "layer"]
    return int(differs.max()) + 1 if len(differs) else 0


def lens_table(read: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """The likeliest token of both lenses at ``count`` layers from first to last."""
    text = read["top"] + read["top_probability"].map(" ({:.2f})".format)
    wide = read.assign(text=text).pivot(index="layer", columns="lens", values="text")
    places = np.unique(np.linspace(0, len(wide) - 1, count).round().astype(int))
    found = wide[list(LENSES)].rename(columns=LENSES).iloc[places]
    return found.rename_axis("layers passed").rename_axis(columns=None).reset_index()


def likeliest(part: pd.DataFrame) -> pd.DataFrame:
    """The most probable next tokens of one model, in order: ``token``, ``probability``."""
    rows = _stage(part, "output", metric="probability").sort_values("position")
    found = {"token": rows["item"].map(shown), "probability": rows["value"]}
    return pd.DataFrame(found).reset_index(drop=True)


def retrieval(part: pd.DataFrame, pooling: str) -> pd.Series:
    """Cosine of the sentence with each document, by document, nearest first."""
    rows = _stage(part, "retrieval", form=pooling).set_index("item")["value"]
    return rows.sort_values(ascending=False, kind="stable")


def retrieval_table(part: pd.DataFrame) -> pd.DataFrame:
    """Documents with their cosine by both poolings, nearest by the mean first."""
    mean, last = retrieval(part, "mean"), retrieval(part, "last")
    found = {"document": mean.index, "mean of states": mean.values}
    return pd.DataFrame(found | {"last state": last[mean.index].values})


def options(part: pd.DataFrame, form: str) -> pd.Series:
    """Probability of each option in its order, by option."""
    rows = _stage(part, "multiple_choice", form=form, metric="log_probability")
    found: pd.Series = np.exp(rows.set_index("item")["value"])
    return found


def mass(part: pd.DataFrame, form: str) -> float:
    """Probability of all options together: what they hold of the whole vocabulary."""
    return float(_stage(part, "multiple_choice", form=form, metric="mass")["value"].item())


def choice(part: pd.DataFrame, form: str) -> str:
    """The option that multiple choice takes, or words for a tie."""
    found = options(part, form)
    best = found[found == found.max()].index
    return str(best[0]) if len(best) == 1 else "no choice: a tie"


def choice_table(part: pd.DataFrame) -> pd.DataFrame:
    """Probability of every option in each form, and of all together, one row per form."""
    return pd.DataFrame(
        {
            "options as": words,
            "probabilities": ", ".join(
                f"{name} {percent(value)}" for name, value in options(part, form).items()
            ),
            "all four": percent(mass(part, form)),
            "takes": choice(part, form),
        }
        for form, words in FORMS.items()
    )


def continuation(part: pd.DataFrame) -> str:
    """What the model writes after the sentence."""
    return str(_stage(part, "generation", metric="length")["item"].item())


def same_start(ours: pd.Series, theirs: pd.Series) -> int:
    """How many tokens two texts share before the first that differs."""
    return int((ours == theirs.reindex(ours.index)).cumprod().sum())


def changes(readouts: pd.DataFrame) -> pd.DataFrame:
    """Each readout of the dense model and of each pruned one: one row per readout."""
    models = by_model(readouts)
    dense = models[DENSE]
    return pd.DataFrame({name: _column(part, dense) for name, part in models.items()}).reset_index(
        names="readout"
    )


def _column(part: pd.DataFrame, dense: pd.DataFrame) -> dict[str, str]:
    moved = _stage(part, "comparison").set_index("item")["value"]
    order = retrieval(part, "mean").index
    kept = (order == retrieval(dense, "mean").index).sum()
    chosen = {form: choice(part, form) for form in FORMS}
    alike = sum(taken == choice(dense, form) for form, taken in chosen.items())
    best = likeliest(part).iloc[0]
    ours, theirs = (
        _stage(one, "generation", metric="id").set_index("position")["value"]
        for one in (dense, part)
    )
    return {
        **{
            f"cosine to dense, {space}": f"{moved.get(space, 1):.3f}"
            for space in ("embedding", "logit", "probability")
        },
        "retrieval: nearest document": order[0],
        "retrieval: documents in their place": f"{kept} of {len(order)}",
        **{f"multiple choice, {words}": chosen[form] for form, words in FORMS.items()},
        "multiple choice: as the dense model": f"{alike} of {len(FORMS)}",
        "next token": f"{best['token']} ({best['probability']:.2f})",
        "generation": shown(continuation(part)).replace("␣", " ").strip(),
        "generation: tokens until it differs": f"{same_start(ours, theirs)} of {len(ours)}",
    }


def _stage(part: pd.DataFrame, stage: str, **equal: str) -> pd.DataFrame:
    chosen = part["stage"] == stage
    for column, value in equal.items():
        chosen &= part[column] == value
    return part[chosen].astype({"form": str, "item": str, "metric": str})
