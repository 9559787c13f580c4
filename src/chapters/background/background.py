"""What chapter 3 prints of the ``readouts`` table: pure functions of a frame."""

import numpy as np
import pandas as pd

from reporting.hierarchy import LABELS
from reporting.words import percent, shown

FORMS = {
    "letters": "letter, after the list",
    "words": "word, after the list",
    "sentence": "word, after the sentence",
}
DENSE = "dense"


def dense(readouts: pd.DataFrame) -> pd.DataFrame:
    """The rows of the dense model."""
    return readouts[readouts["method"] == "dense"]


def by_model(readouts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of the dense model and of each pruned one, by its name in words."""
    found = {DENSE: dense(readouts)}
    dropped = readouts[readouts["method"] == "drop"]
    for (target, amount), part in dropped.groupby(["target", "amount"], observed=True):
        found[f"{amount:.0f} {LABELS[str(target)]} dropped"] = part
    return found


def tokens(readouts: pd.DataFrame) -> pd.DataFrame:
    """The tokens of the sentence in order: ``position``, ``token`` made visible, ``id``."""
    rows = _stage(dense(readouts), "token").sort_values("position")
    text = rows["item"].astype(str).map(shown)
    return pd.DataFrame(
        {"position": rows["position"], "token": text, "id": rows["value"].astype(int)}
    ).reset_index(drop=True)


def states(readouts: pd.DataFrame) -> pd.DataFrame:
    """The last token's state by ``layer``: ``norm``, and ``cosine`` to the state one layer
    before, which the embedding does not have."""
    rows = _stage(dense(readouts), "state")
    table = rows.pivot(index="layer", columns="metric", values="value").reset_index()
    table.columns = [str(name) for name in table.columns]
    return table.rename(columns={"cosine_to_previous": "cosine"})


def lenses(readouts: pd.DataFrame) -> pd.DataFrame:
    """What each lens makes of the last token's state: one row per ``lens`` and ``layer``, with
    ``entropy`` in nats, ``probability`` of the token that the model gives out, and the likeliest
    token, ``top``, with its probability ``top_probability``."""
    rows = _stage(dense(readouts), "lens").astype({"form": str, "metric": str, "item": str})
    first = rows[rows["position"] == 0].set_index(["form", "layer"])
    metrics = rows[rows["metric"].isin(("entropy", "probability_of_next"))]
    wide = metrics.pivot(index=["form", "layer"], columns="metric", values="value")
    wide = wide.assign(top=first["item"].map(shown), top_probability=first["value"])
    table = wide.rename(columns={"probability_of_next": "probability"}).reset_index()
    return table.rename(columns={"form": "lens"}).rename_axis(columns=None)


def first_time(read: pd.DataFrame, lens: str) -> int:
    """The first layer from which on the lens gives the model's own next token as the likeliest,
    up to the last layer; one more than there are layers if it does not at the last either."""
    rows = read[read["lens"] == lens].sort_values("layer")
    differs = rows.loc[rows["top"] != next_token(read), "layer"]
    return int(differs.max()) + 1 if len(differs) else 0


def next_token(read: pd.DataFrame) -> str:
    """The likeliest token of the model itself, made visible, from :func:`lenses`: the normed lens
    at the last layer is the output."""
    normed = read[read["lens"] == "normed"]
    return str(normed.loc[normed["layer"].idxmax(), "top"])


def lens_table(read: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """The likeliest token of both lenses at ``count`` layers from first to last."""
    layers = sorted(read["layer"].unique())
    steps = range(count)
    chosen = sorted({layers[round(step * (len(layers) - 1) / (count - 1))] for step in steps})
    wide = read.set_index(["layer", "lens"])
    rows = []
    for layer in chosen:
        row = {"layers passed": str(layer)}
        for lens in ("raw", "normed"):
            found = wide.loc[(layer, lens)]
            row[f"{lens} lens"] = f"{found['top']} ({found['top_probability']:.2f})"
        rows.append(row)
    return pd.DataFrame(rows)


def likeliest(part: pd.DataFrame) -> pd.DataFrame:
    """The most probable next tokens of one model, in order: ``token``, ``probability``."""
    rows = _stage(part, "output")
    rows = rows[rows["metric"] == "probability"].sort_values("position")
    text = rows["item"].astype(str).map(shown)
    return pd.DataFrame({"token": text, "probability": rows["value"]}).reset_index(drop=True)


def retrieval(part: pd.DataFrame, pooling: str) -> pd.Series:
    """Cosine of the sentence with each document, by document, nearest first."""
    rows = _stage(part, "retrieval", form=pooling).set_index("item")["value"]
    rows.index = rows.index.astype(str)
    return rows.sort_values(ascending=False, kind="stable")


def retrieval_table(part: pd.DataFrame) -> pd.DataFrame:
    """Documents with their cosine by both poolings, nearest by the mean first."""
    mean, last = retrieval(part, "mean"), retrieval(part, "last")
    return pd.DataFrame(
        {
            "document": mean.index,
            "mean of states": mean.values,
            "last state": last[mean.index].values,
        }
    )


def rank(part: pd.DataFrame, pooling: str, document: str) -> int:
    """Place of a document in the order of retrieval, from 1."""
    return list(retrieval(part, pooling).index).index(document) + 1


def options(part: pd.DataFrame, form: str) -> pd.Series:
    """Probability of each option in its order, by option."""
    rows = _stage(part, "multiple_choice", form=form)
    rows = rows[rows["metric"] == "log_probability"].set_index("item")["value"]
    rows.index = rows.index.astype(str)
    probability: pd.Series = np.exp(rows)
    return probability


def mass(part: pd.DataFrame, form: str) -> float:
    """Probability of all options together: what they hold of the whole vocabulary."""
    rows = _stage(part, "multiple_choice", form=form)
    return float(rows.loc[rows["metric"] == "mass", "value"].item())


def choice(part: pd.DataFrame, form: str) -> str:
    """The option that multiple choice takes, or words for a tie."""
    found = options(part, form)
    best = found[found == found.max()].index
    return str(best[0]) if len(best) == 1 else "no choice: a tie"


def choice_table(part: pd.DataFrame) -> pd.DataFrame:
    """Probability of every option in each form, and of all together, one row per form."""
    rows = []
    for form, words in FORMS.items():
        held = [f"{name} {percent(value)}" for name, value in options(part, form).items()]
        together = percent(mass(part, form))
        row = {"options as": words, "probabilities": ", ".join(held), "all four": together}
        rows.append(row | {"takes": choice(part, form)})
    return pd.DataFrame(rows)


def continuation(part: pd.DataFrame) -> str:
    """What the model writes after the sentence."""
    rows = _stage(part, "generation")
    return str(rows.loc[rows["metric"] == "length", "item"].item())


def same_start(ours: list[int], theirs: list[int]) -> int:
    """How many tokens two texts share before the first that differs.

    >>> same_start([5, 6, 7], [5, 6, 8, 9])
    2
    """
    pairs = zip(ours, theirs, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))


def changes(readouts: pd.DataFrame) -> pd.DataFrame:
    """Each readout of the dense model and of each pruned one: one row per readout."""
    models = by_model(readouts)
    order = list(retrieval(models[DENSE], "mean").index)
    columns: dict[str, dict[str, str]] = {}
    for name, part in models.items():
        found = retrieval(part, "mean")
        moved = _stage(part, "comparison").set_index("item")["value"]
        column = {
            f"cosine to dense, {space}": f"{moved[space]:.3f}" if space in moved else "–"
            for space in ("embedding", "logit", "probability")
        }
        column["retrieval: nearest document"] = found.index[0]
        column["retrieval: order of documents"] = (
            "–" if name == DENSE else "same" if list(found.index) == order else "changed"
        )
        for form, words in FORMS.items():
            column[f"multiple choice, {words}"] = choice(part, form)
        best = likeliest(part).iloc[0]
        column["next token"] = f"{best['token']} ({best['probability']:.2f})"
        column["generation"] = shown(continuation(part)).replace("␣", " ").strip()
        columns[name] = column
    return pd.DataFrame(columns).rename_axis("readout").reset_index()


def kept(readouts: pd.DataFrame) -> str:
    """What each pruned model keeps of the dense readouts, as a list in Markdown."""
    found = by_model(readouts)
    start = found.pop(DENSE)
    order, written = list(retrieval(start, "mean").index), _written(start)
    lines = []
    for name, part in found.items():
        forms = sum(choice(part, form) == choice(start, form) for form in FORMS)
        ours, theirs = (likeliest(one).iloc[0]["token"] for one in (start, part))
        moved = _stage(part, "comparison").set_index("item")["value"].astype(float)
        parted = f"differs after {same_start(written, _written(part))} of {len(written)} tokens"
        lines.append(
            f"- **{name}:** the order of documents "
            f"{'is the same' if list(retrieval(part, 'mean').index) == order else 'changes'}; "
            f"the choice is the same in {forms} of {len(FORMS)} forms; "
            f"the next token {'stays' if ours == theirs else 'is another'}; the continuation "
            f"{'is the same' if _written(part) == written else parted}. Of the three spaces, "
            f"the {moved.idxmin()} space moves most (cosine {moved.min():.3f})."
        )
    return "\n".join(lines)


def places(dropped: dict[str, list[int]]) -> list[str]:
    """Dropped sublayers in words, such as ``attention of layers 3, 7``."""
    return [
        f"{LABELS[target]} of layers {', '.join(str(layer) for layer in sorted(layers))}"
        for target, layers in dropped.items()
    ]


def _written(part: pd.DataFrame) -> list[int]:
    rows = _stage(part, "generation")
    rows = rows[rows["metric"] == "id"].sort_values("position")
    return [int(value) for value in rows["value"]]


def _stage(part: pd.DataFrame, stage: str, **equal: str) -> pd.DataFrame:
    chosen = part["stage"] == stage
    for column, value in equal.items():
        chosen &= part[column] == value
    return part[chosen]
