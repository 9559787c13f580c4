"""What the numbers of Section 7.1 say, in words that follow from them."""

from collections.abc import Iterable, Mapping

import pandas as pd

from chapters.multi_scale_effects.multi_scale import SPACES, Parting, above, number
from chapters.multi_scale_effects.persistence import MEASURES, course
from reporting.reach import Estimate
from reporting.resampling import FLOOR


def joined(words: Iterable[str]) -> str:
    """``a, b and c``."""
    texts = list(words)
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def direction(one: Estimate) -> str:
    """Whether a deviation changes along the text, by the whole interval."""
    if one.low is None:
        return "there are too few prompts to see a trend"
    if one.above(0):
        return "it grows along the text"
    return "it shrinks along the text" if one.below(0) else "it shows no trend along the text"


def answer(name: str, one: Parting) -> str:
    """Does it break in one place, or move away step by step? And is what follows pruning at all?"""
    if one.collapsed:
        return (
            "Every pruned model has collapsed at its first step, so the question cannot be "
            "answered here."
        )
    kl, beyond = one.jumps["KL"], one.beyond["KL"]
    trend = one.growths("forced")[-1]
    jumps, grows = above([(kl.rise, 0.0), (kl.added, 0.0)]), trend.above(0)
    places = {
        (True, True): "Both: it breaks in one place, and moves away step by step",
        (True, False): "It breaks in one place, and growth step by step is not shown",
        (False, True): "It moves away step by step",
        (False, False): "Neither is shown",
    }
    where = (
        places[jumps == "held", grows] if kl.added.low is not None else "Too few prompts to tell"
    )
    whose = (
        "The unpruned model, once it has written one other word, differs from itself by "
        f"{number(one.unpruned['KL'])} nats"
    )
    if beyond.low is not None:
        whose += (
            ", so what follows the parting is more than other words bring"
            if beyond.above(0)
            else ", so what follows the parting need not be the work of pruning"
        )
    return (
        f"{where}: with {name} the KL divergence is {number(kl.before)} nats up to the step where "
        f"the two texts part and {number(kl.after)} after it; with both models on the dense text, "
        f"where no words feed back, it is {number(one.starts['KL', 'forced'].later)} after the "
        f"first step, and {direction(trend)}. {whose}."
    )


def floor_words(found: Mapping[str, Parting]) -> str:
    """Which pruned models have nothing left to lose, and what that means."""
    gone = [name for name, one in found.items() if one.collapsed]
    cosines = joined(
        f"{number(1 - one.starts['probability', 'free'].first)} ({name})"
        for name, one in found.items()
    )
    text = f"At the first step, the prompt just read, the probability cosine is {cosines}. "
    if not gone:
        return text + f"No model is below the floor of {FLOOR}."
    return text + (
        f"Below {FLOOR} a model is **at the floor** ({joined(gone)}): it has collapsed before it "
        "writes a word, later steps have nothing left to lose, and its curves support nothing, "
        "neither for the paper's claims nor against them. It is shown, and gets no verdict."
    )


def first_step_words(found: Mapping[str, Parting], dense: pd.DataFrame) -> str:
    """Is the gap between the first step and later ones there without feedback too? ``dense``:
    ``deviations`` of any of them, for the dense model's entropy."""
    parts = []
    if any(rise.low is None for one in found.values() for rise in one.rises("free")):
        return "Too few prompts to say whether the gap after the first step is feedback."
    for name, one in found.items():
        free, forced = (
            [
                space
                for space, rise in zip(SPACES, one.rises(decoding), strict=True)
                if rise.above(0)
            ]
            for decoding in ("free", "forced")
        )
        parts.append(f"under {name} in {_spaces(free)} free-running, in {_spaces(forced)} forced")
    means = course(dense, "entropy_dense", "probability", "forced")["mean"]
    entropy = (
        f" The place differs as well: the dense model's own entropy is {means.iloc[0]:.2f} nats at "
        f"the first step and {means.iloc[1:].mean():.2f} at later ones."
        if len(means) > 1
        else ""
    )
    return (
        "**Is it feedback?** Later steps deviate more than the first, with the whole interval "
        f"above zero, {'; '.join(parts)}. A gap that is there free-running and not forced comes "
        f"from the words, not from the step.{entropy}"
    )


def _spaces(names: list[str]) -> str:
    """``all three spaces``, ``no space`` or their names."""
    if len(names) == len(SPACES):
        return "all three spaces"
    return f"the {joined(names)} space" if names else "no space"


def trend_words(found: Mapping[str, Parting]) -> str:
    """Persistent or compounding, where both models read the dense text."""
    parts = []
    for name, one in found.items():
        growths = dict(zip(MEASURES, one.growths("forced"), strict=True))
        if any(growth.low is None for growth in growths.values()):
            return "Too few prompts for a trend."
        ways = {
            "up": [measure for measure, growth in growths.items() if growth.above(0)],
            "down": [measure for measure, growth in growths.items() if growth.below(0)],
        }
        ways["no trend"] = [one for one in growths if one not in ways["up"] + ways["down"]]
        said = [f"{way} for {joined(measures)}" for way, measures in ways.items() if measures]
        parts.append(f"{', '.join(said)} ({name})")
    return (
        "With both models on the dense text, errors could build up in the states that the pruned "
        f"model keeps. By the whole interval the deviation shows: {'; '.join(parts)}. *Up* would "
        "be compounding; *no trend* means that these prompts show none, not that there is none. "
        "The free-running rows mix in the parting: a text that parts midway rises there, whatever "
        "the rest of it does."
    )


def jump_words(found: Mapping[str, Parting]) -> str:
    """Is what follows the parting more than what other words bring?"""
    parts = []
    for name, one in found.items():
        beyond = one.beyond["KL"]
        if beyond.low is None:
            return "Too few prompts to compare with the unpruned model."
        words = (
            "above" if beyond.above(0) else "below" if beyond.below(0) else "not told apart from"
        )
        parts.append(f"{words} that level under {name} ({beyond.text()} nats)")
    return (
        f"**After the parting.** Other words alone bring the unpruned model to a KL divergence of "
        f"{next(iter(found.values())).unpruned['KL']:.2f} nats. The pruned model, free-running, is "
        f"{'; '.join(parts)}."
    )


def letter_words(counts: Mapping[str, int], prompts: int) -> str:
    """How often the preferred letter stays, and how often it was right; no verdict."""
    right, still = counts["right"], counts["right_pruned"]
    return (
        f"Over all pruned models and forms the preferred letter stays in {counts['stay']} of "
        f"{counts['asked']} cases. It is right in {right} of them dense and {still} pruned. A "
        "letter can stay and be wrong, before and after; and a model that always gives the same "
        "letter is right as often as that letter is. **No verdict**: these are "
        f"{prompts} prompts, asked again and again, too few to judge a claim by."
    )
