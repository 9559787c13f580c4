"""Figure 7: ours in the form of the paper's, and what can be said of the printed one."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chapters.multi_scale_effects.persistence import course
from reporting.parting import matches, partings

SPACES = ("embedding", "logit", "probability")
READS = {"free": "each model reads its own text", "forced": "both read the dense text"}
KINDS = {"cosine": "Cosine", "kl": "KL"}
AXES = {"cosine": "cosine similarity, dense to pruned", "kl": "KL(dense ‖ pruned) in nats"}
PANELS = {
    f"{KINDS[metric]}: {words}": (metric, decoding)
    for metric in KINDS
    for decoding, words in READS.items()
}
Y_LABELS = {panel: AXES[metric] for panel, (metric, _) in PANELS.items()}
KL_PANELS = tuple(panel for panel, (metric, _) in PANELS.items() if metric == "kl")
FREE = {metric: panel for panel, (metric, decoding) in PANELS.items() if decoding == "free"}

VOCABULARY = 152_064  # rows of the head of the paper's model
ADDED = 1e-12  # to every probability inside the logarithms of the paper's script
READING = 1e-5  # nats, how exactly the printed KL can be read


def panels(deviations: pd.DataFrame, printed: pd.DataFrame | None = None) -> pd.DataFrame:
    """Cosines in the three spaces and KL at each step, in the form of ``figures.step_series``.

    Free-running and teacher-forced are panels of their own. ``printed`` adds the paper's curves
    (columns as ``reported.figure_7``) to the free-running panels, as far as ours go.
    """
    parts = []
    for panel, (metric, decoding) in PANELS.items():
        for space in SPACES if metric == "cosine" else SPACES[-1:]:
            rows = course(deviations, metric, space, decoding)
            parts.append(rows.assign(panel=panel, series=space, space=space, quantity="measured"))
    found = pd.concat(parts, ignore_index=True)
    if printed is None:
        return found
    shown = printed[printed["step"] <= found["step"].max()]
    shown = shown.assign(
        panel=shown["metric"].map(FREE), series="reported (7B)", quantity="reported"
    )
    return pd.concat([found, shown.rename(columns={"value": "mean"}).drop(columns="metric")])


def counts(deviations: pd.DataFrame, decoding: str = "free") -> str:
    """How many prompts stand behind the steps: ``12 at step 0, 9 from step 18 on``."""
    rows = course(deviations, "kl", "probability", decoding)
    changes = rows[rows["n"].ne(rows["n"].shift())]
    words = [f"{changes['n'].iloc[0]} at step 0"]
    words += [f"{n} from step {step}" for step, n in changes[["step", "n"]].to_numpy()[1:]]
    return ", ".join(words)


def least_cosine(kl: float, vocabulary: int) -> float:
    """A lower bound of the cosine of two distributions p and q with KL(p ‖ q) ≤ ``kl`` nats.

    With a = √p and b = √q, ‖a − b‖² ≤ KL. So ‖p − q‖ = ‖(a − b)(a + b)‖ is at most
    √KL (2 max a + √KL), where max a ≤ √‖p‖ and ‖p‖ is at least 1/√V. The angle is largest where
    q touches the ball of that radius about p. 0 where this says nothing.
    """
    root = math.sqrt(max(kl, 0.0))
    length = 1 / math.sqrt(vocabulary)
    sine = root * (2 / math.sqrt(length) + root / length)
    return math.sqrt(1 - sine**2) if sine < 1 else 0.0


@dataclass(frozen=True)
class Printed:
    """What the printed Figure 7 says of itself.

    ``first`` and ``later`` hold the value at step 0 and the mean of later ones, by metric and
    space, ``memory`` the correlation of each step with the next from step 1 on. KL is ``above``
    what the released script can give, ``bound``, at so many of the ``steps``. ``apart``: steps at
    which KL leaves no room for the printed cosine, with ``kl``, ``cosine`` and ``least`` possible
    cosine. ``factors``: by what the probability cosine is multiplied at each of the first steps.
    """

    steps: int
    first: dict[tuple[str, str], float]
    later: dict[tuple[str, str], float]
    memory: dict[tuple[str, str], float]
    bound: float
    above: int
    apart: pd.DataFrame
    factors: list[float]

    @classmethod
    def of(cls, curves: pd.DataFrame) -> "Printed":
        """From the printed ``curves``, columns as ``reported.figure_7``."""
        wide = curves.pivot(index="step", columns=["metric", "space"], values="value")
        later = wide.iloc[1:]
        kl, cosine = wide["kl", "probability"], wide["cosine", "probability"]
        least = (kl.abs() + READING).map(lambda one: least_cosine(one, VOCABULARY))
        apart = pd.DataFrame({"kl": kl, "cosine": cosine, "least": least})[cosine < least - READING]
        bound = -math.log(ADDED)
        return cls(
            steps=len(wide),
            first={key: float(wide[key].iloc[0]) for key in wide},
            later={key: float(later[key].mean()) for key in wide},
            memory={key: memory(later[key]) for key in wide},
            bound=bound,
            above=int((kl > bound).sum()),
            apart=apart.reset_index(),
            factors=(cosine / cosine.shift()).iloc[1:4].tolist(),
        )

    def start_row(self) -> dict[str, str]:
        """A row to stand above those of ``multi_scale.start_table``."""
        row = {"model": "reported (7B, Drop-8A, one prompt)", "reads": "its own text"}
        for space in SPACES:
            first, later = 1 - self.first["cosine", space], 1 - self.later["cosine", space]
            row[f"1 − cos, {space}"] = f"{first:.2f} → {later:.2f}"
        first, later = self.first["kl", "probability"], self.later["kl", "probability"]
        return row | {"KL (nats)": f"{first:.2f} → {later:.2f}"}


def memory(values: pd.Series) -> float:
    """Correlation of a series with itself one step later; NaN for fewer than three values."""
    if len(values) < 3:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(values.iloc[:-1], values.iloc[1:])[0, 1])


def parting_words(deviations: pd.DataFrame) -> str:
    """Where the two texts of a single prompt part."""
    first = partings(matches(deviations))["parting"].iloc[0]
    return "the texts never part" if np.isnan(first) else f"the texts part at step {first:.0f}"


def about(printed: Printed, ours: pd.DataFrame) -> str:
    """What to know before comparing with the printed figure; ``ours`` is of the same prompt."""
    spaces = ("embedding", "logit")
    alike = " and ".join(f"{printed.memory['cosine', space]:.2f}" for space in spaces)
    rest = [memory(course(ours, "cosine", space, "free")["mean"].iloc[1:]) for space in spaces]
    own = " and ".join(f"{one:.2f}" for one in rest) if np.isfinite(rest).all() else ""
    raw = printed.memory["cosine", "probability"]
    steps = "; ".join(
        f"step {row.step}: KL at most {abs(row.kl) + READING:.5f}, cosine {row.cosine:.2f}, which "
        f"cannot be below {row.least:.2f}"
        for row in printed.apart.itertuples()
    )
    factors = ", ".join(f"{one:.3f}" for one in printed.factors)
    own = f"; ours, as measured, have {own}".replace("-", "−") if own else ""
    return f"""
**About the printed figure.** We read its values back from the drawing and compare shapes, not
single values, for these reasons.

- *7(a) has very probably been smoothed.* Each step is like the next one: their correlation is
  {alike} in the embedding and logit space, and {raw:.2f} in the probability space of 7(b){own}.
- *The probability cosine of 7(b)* falls at its first steps by the factors {factors}. So each drawn
  value seems to carry three hundredths of the one before it.
- *Its KL* is above {printed.bound:.2f} nats at {printed.above} of {printed.steps} steps. The
  released script adds a small constant inside the logarithms, and then cannot give more than that;
  the figure will have been drawn with another version.
- *KL and cosine do not fit together* at {len(printed.apart)} steps ({steps}). The bound holds for
  any two distributions over a vocabulary of this size. The drawing does not tell which of the two
  curves is the right one.
- The released script does not stop where a text ends, so late steps may compare what follows it.
"""
