"""Sentences of the chapter on decisions: what was found, by the numbers."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from chapters.decisions.decision_claims import CLOSE, HALF, gain, law
from chapters.decisions.decision_frames import Seen, alive
from chapters.decisions.decision_tables import SHARE, first_gap, mean
from chapters.decisions.margins import gaussian, moments
from reporting.prose import join_words
from reporting.reach import Estimate
from reporting.trends import Trend


def answer(seen: Mapping[str, Seen], rescued: Mapping[str, pd.DataFrame], seed: int) -> str:
    """The chapter's answer, in two sentences."""
    grown = [Trend.of(one.along("flip"), seed).growth.above(0) for one in alive(seen).values()]
    rivals = [mean(one, "flip", "overtaken").value for one in seen.values()]
    gained = {name: gain(rows, "pruned", HALF, seed) for name, rows in rescued.items()}
    return (
        "Pruning adds noise to the lead of the likeliest token, and taken as Gaussian that noise "
        f"says, to within a factor of {CLOSE}, how often the runner-up gets ahead in "
        f"{_near(law(seen, 'overtaken'))}, and how often the choice changes in "
        f"{_near(law(seen, 'flip'))}: a third token takes {_range(rivals)} of all steps besides. "
        "While both models read the same words, the share of changed choices clearly grows along "
        f"the text in {sum(grown)} of {len(grown)} pruned models that are not at the floor, and "
        f"where the dense model chooses one token in {HALF}, the log-likelihood of the pruned "
        "model's own tokens changes "
        f"by {_each(gained, '.2f')} nats."
    )


def noise(seen: Mapping[str, Seen]) -> str:
    """Margin and noise side by side."""
    margin = mean(next(iter(seen.values())), "margin")
    spreads = join_words(f"{moments(one.steps)[1]:.2f} ({name})" for name, one in seen.items())
    lowered = [name for name, one in seen.items() if mean(one, "noise").below(0)]
    words = f"It lowers the margin on average under {join_words(lowered)}." if lowered else ""
    return (
        f"The dense choice leads its runner-up by {margin.text()} logits on average. The noise has "
        f"a standard deviation of {spreads} logits. {words}"
    )


def failure(seen: Mapping[str, Seen]) -> str:
    """Where the law for flips fails, and by which of the three parts most."""
    sentences = []
    parts = {
        "the shape of the noise": ("any shape", "Gaussian"),
        "its dependence on the margin": ("overtaken", "any shape"),
        "other rivals": ("flip", "overtaken"),
    }
    for name, one in seen.items():
        missed = mean(one, "flip", "Gaussian")
        sizes = {part: mean(one, *columns).value for part, columns in parts.items()}
        largest = max(sizes, key=lambda part: abs(sizes[part]))
        if not math.isfinite(missed.value):
            return ""
        if missed.low is None:
            return "Too few prompts to say by which part the law fails."
        if missed.above(0):
            how = "too few"
        elif missed.below(0):
            how = "too many"
        else:
            offset = join_words(f"{size:+.0%} from {part}" for part, size in sizes.items())
            sentences.append(f"- **{name}.** No clear miss: {offset.replace('-', '−')}.")
            continue
        sentences.append(f"- **{name}.** The law predicts {how} flips, most by {largest}.")
    return "\n".join(sentences)


def first_token(seen: Mapping[str, Seen]) -> str:
    """Whether the token right after the prompt flips more often than the text's tokens do."""
    more = {name: first_gap(one) for name, one in alive(seen).items()}
    clear = [
        f"{name} (by {one.text(SHARE)} of texts)" for name, one in more.items() if one.above(0)
    ]
    less = [f"{name} (by {one.text(SHARE)} of texts)" for name, one in more.items() if one.below(0)]
    sentences = [
        f"The first token flips {word} often than its text on average under {join_words(names)}."
        for word, names in (("more", clear), ("less", less))
        if names
    ]
    return " ".join(sentences) or (
        "No pruned model flips the first token clearly more or less often than the later ones."
    )


def change(one: Seen) -> str:
    """``−8% [−40% to 20%]``: change of the share of flips along the text, of its mean."""
    return Trend.of(one.along("flip"), one.seed).growth.text(SHARE)


ALONE = "With one prompt there is no other to estimate the noise on, so the law predicts nothing."


def farthest(seen: Mapping[str, Seen]) -> str:
    """The model whose flips the law misses most."""
    name = max(seen, key=lambda each: abs(mean(seen[each], "Gaussian", "flip").value))
    predicted, came = (mean(seen[name], column).value for column in ("Gaussian", "flip"))
    return (
        f"Predicted and measured flips are farthest apart under {name}: {predicted:.0%} against "
        f"{came:.0%}"
    )


def fallen(found: Mapping[str, Estimate]) -> str:
    """How much less likely the pruned texts are than the dense ones, from what to what."""
    known = {name: -one.value for name, one in found.items() if math.isfinite(one.value)}
    if not known:
        return "The parting itself is all that these texts show"
    ends = dict.fromkeys(pick(known, key=lambda name: known[name]) for pick in (min, max))
    return (
        "After the parting the dense model finds the pruned text less likely than its own by "
        f"{' to '.join(f'{_signed(known[name])} ({name})' for name in ends)} nats a token"
    )


def helped(found: Mapping[str, Estimate]) -> str:
    """What one dense token in two does to the pruned model's own tokens."""
    known = {name: one.value for name, one in found.items() if math.isfinite(one.value)}
    if not known:
        return "The unhelped text parts too late to see what help does"
    return (
        "With one dense token in two, the log-likelihood of the pruned model's own tokens changes "
        f"by {join_words(f'{_signed(value)} ({name})' for name, value in known.items())} nats"
    )


def checks() -> str:
    """The exercises' numbers, from the code that the chapter uses."""
    noise = np.array([-1.2, 0.8])  # mean −0.2, standard deviation 1
    others = pd.DataFrame({"prompt": ["a", "b"], "margin": 1.0, "noise": noise})
    one = float(gaussian(others, np.array([1.0]))[0])
    generator = np.random.default_rng(0)
    same = generator.random((1000, 10)) > np.where(np.arange(1000) % 2, 0.5, 0.0)[:, None]
    left, rate = same.all(axis=1).mean(), 1 - same.mean()
    return (
        f"**Check.** Exercise 1: {one:.2f}, and {1 - (1 - one) ** 3:.2f} with three rivals. "
        f"Exercise 2, with a thousand prompts: rate {rate:.2f}, by a constant hazard "
        f"{(1 - rate) ** 10:.2f}, not parted {left:.2f}."
    )


def _signed(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _near(found: Mapping[str, Estimate]) -> str:
    """``3 of 5 pruned models (clearly not in 1)``, by whole intervals and the factor ``CLOSE``."""
    count = sum(one.above(1 / CLOSE) and one.below(CLOSE) for one in found.values())
    off = sum(one.below(1 / CLOSE) or one.above(CLOSE) for one in found.values())
    return f"{count} of {len(found)} pruned models (clearly not in {off})"


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"


def _each(found: Mapping[str, Estimate], form: str) -> str:
    return join_words(f"{one.text(form)} ({name})" for name, one in found.items())
