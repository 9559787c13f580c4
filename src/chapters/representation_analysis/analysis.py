"""What Section 6 needs of one measurement: the head's attenuation, and how the theorems track."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from reporting import magnitudes, reported, summaries
from reporting.estimates import Tracking, close_match, reported_tracking, side_by_side, tracking
from reporting.magnitudes import Contrast
from runs.store import Measurement

LENSES = ("raw", "normed")
THEOREMS = {"angular": "Theorem 2", "kl": "Theorem 3"}


@dataclass
class Analysis:
    """Summaries of a ``layer_profile`` measurement, each computed once, when first asked for."""

    measured: Measurement
    seed: int
    _tracked: dict[tuple[str, str, str, str], dict[str, Tracking]] = field(default_factory=dict)

    @cached_property
    def orthogonal(self) -> pd.DataFrame:
        """Rows of the relative orthogonal magnitude, in the embedding and logit spaces."""
        rows = self.measured.table("deviations", metric="orthogonal")
        return rows[rows["space"] != "probability"]

    @cached_property
    def contrasts(self) -> dict[tuple[str, bool], dict[str, Contrast]]:
        """The magnitude after the head against before, by (lens, centred) and sublayer."""
        return magnitudes.contrasts(self.orthogonal, self.seed)

    def means(self, lens: str) -> pd.DataFrame:
        """Mean magnitude per sublayer, layer and space; logits as they are."""
        rows = self.orthogonal["lens"].eq(lens) & ~self.orthogonal["centred"]
        return summaries.layer_means(self.orthogonal[rows])

    @cached_property
    def pairs(self) -> dict[str, pd.DataFrame]:
        """Truth beside estimate, by metric; logits as they are."""
        found = {}
        for metric in THEOREMS:
            rows = self.measured.table("deviations", metric=metric)
            found[metric] = side_by_side(rows[~rows["centred"]])
        return found

    def track(
        self, metric: str, lens: str, space: str = "probability", quantity: str = "theorem"
    ) -> dict[str, Tracking]:
        """How one estimate tracks the truth over all sublayers and steps."""
        key = metric, lens, space, quantity
        if key not in self._tracked:
            rows = self.pairs[metric]
            wanted = {"lens": lens, "space": space, "quantity": quantity}
            for column, value in wanted.items():
                rows = rows[rows[column] == value]
            self._tracked[key] = tracking(rows, self.seed)
        return self._tracked[key]

    def at(self, sublayer: str, layer: int, prompt: str, metric: str, lens: str) -> Tracking:
        """The ratio of estimate to truth at one sublayer along one text."""
        rows = self.pairs[metric]
        place = {"sublayer": sublayer, "layer": layer, "prompt": prompt, "lens": lens}
        wanted = place | {"space": "probability", "quantity": "theorem"}
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return tracking(rows, self.seed)["ratio"]

    def tracking_table(self, size: str) -> pd.DataFrame:
        """All theorems through both lenses, beside what the paper's Figure 6 shows."""
        printed = reported_tracking(reported.figure_6())
        rows = []
        for space in ("embedding", "logit"):
            for lens in LENSES:
                found = self.track("angular", lens, space)
                name = f"Theorem 1, {space}, {lens} lens, {size}"
                rows.append(_row(name, found, close_match(found)))
        for metric, theorem in THEOREMS.items():
            for lens in LENSES:
                found = self.track(metric, lens)
                rows.append(_row(f"{theorem}, {lens} lens, {size}", found, close_match(found)))
            source = f"{theorem}, reported, {reported.FIGURE_4.size}"
            rows.append(_row(source, printed[metric], "one text"))
        return pd.DataFrame(rows)

    def left_out(self) -> str:
        """The largest share of states that an estimate in the probability space leaves out."""
        rows = self.pairs["angular"]
        rows = rows[(rows["space"] == "probability") & (rows["quantity"] == "theorem")]
        share = rows["ratio"].isna().groupby(rows["lens"].astype(str)).mean()
        return " and ".join(f"{share[lens]:.0%} ({lens})" for lens in LENSES) + " for Theorem 2"

    def verdicts(self) -> pd.DataFrame:
        """The claims of Section 6, one column per lens."""
        rows = []
        for text, centred in (
            ("The head reduces the relative orthogonal magnitude", False),
            ("… also with centred logits (our addition)", True),
        ):
            found = {lens: magnitudes.shrinks(self.contrasts[lens, centred]) for lens in LENSES}
            rows.append({"claim": text} | _by_lens(found))
        estimates = [("angular", space, "Theorem 1") for space in ("embedding", "logit")]
        estimates += [(metric, "probability", theorem) for metric, theorem in THEOREMS.items()]
        for metric, space, theorem in estimates:
            found = {lens: close_match(self.track(metric, lens, space)) for lens in LENSES}
            text = f"{theorem} is close in the {space} space"
            rows.append({"claim": text} | _by_lens(found))
        return pd.DataFrame(rows)


def _by_lens(found: dict[str, magnitudes.Verdict]) -> dict[str, str]:
    return {f"{lens} lens": verdict for lens, verdict in found.items()}


def _row(source: str, found: dict[str, Tracking], close: str) -> dict[str, str]:
    return {
        "source": source,
        "rank correlation": found["rank"].text,
        "median estimate / truth": found["ratio"].text,
        "within 10%": found["near"].text,
        "n": f"{found['rank'].comparisons:,}",
        "close": close,
    }
