"""The texts of the paper's Table 2, each in a few words of our own with a short quotation."""

from dataclasses import dataclass

READABLE, GARBLED, LOOPS = "readable", "garbled", "loops"


@dataclass(frozen=True)
class Shown:
    """One text of the table: its setting, what becomes of it (``readable``, ``garbled`` or
    ``loops``, our reading), and what it looks like."""

    setting: str
    kind: str
    words: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"Reported, {self.setting}, 7B: {self.words}"


def shown() -> dict[tuple[str, bool], Shown]:
    """The table's texts by what is dropped: kind of sublayer (empty for the unpruned model), and
    whether it is eight of them, the larger amount, or four."""
    return {
        ("", False): Shown(
            "Baseline", READABLE, "finds half of 48 to be 24, in whole sentences up to the total."
        ),
        ("attention", False): Shown(
            "Drop-4A", READABLE, "the same steps in nearly the same words."
        ),
        ("attention", True): Shown(
            "Drop-8A",
            GARBLED,
            "breaks off in “the number of clips Alicia, the”; then pieces of capitals and mark-up, "
            "a date, and long rows of digits.",
        ),
        ("mlp", False): Shown("Drop-4M", READABLE, "the same steps in a single sentence."),
        ("mlp", True): Shown(
            "Drop-8M", LOOPS, "loses its thread after a few words and repeats “and your”."
        ),
    }
