"""What becomes of a claim about logits at the output, position by position, in sentences."""

from collections.abc import Mapping

from reporting.prose import join_words


def by_position(counts: Mapping[int, int]) -> str:
    """Counts of sublayers by step in words, step 0 being the last token of the prompt.

    >>> by_position({0: 57, 1: 15, 2: 2})
    '57 at the last token of the prompt, 15 and 2 at the written ones'
    """
    written = join_words(str(count) for step, count in sorted(counts.items()) if step)
    ones = "ones" if len(counts) > 2 else "one"
    after = f", {written} at the written {ones}" if written else ""
    return f"{counts[0]} at the last token of the prompt{after}"


def carries_over(positions: Mapping[str, Mapping[int, int]]) -> str:
    """Whether logits that are more similar than embeddings in place are so at the output.

    Counts of sublayers by step, ``in_place`` and ``propagated``; it carries over where at least
    half as many are counted at the output.
    """
    held = {
        step: 2 * count >= positions["in_place"][step]
        for step, count in positions["propagated"].items()
    }
    inside = "is a statement about states inside the model, read out early"
    if all(held.values()):
        return "What Section 5 says of logits carries over to this model's output."
    if not held[0]:
        return f"What Section 5 says of logits {inside}; it does not carry over to the output."
    return (
        "What Section 5 says of logits carries over to the output at the last token of the prompt. "
        f"Where the model reads what it wrote, it {inside}."
    )
