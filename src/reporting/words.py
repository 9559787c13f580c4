"""Tokens and numbers as words on a page."""


def shown(text: str) -> str:
    """A token made visible: a space as ␣, the end of a line as ↵, what cannot be printed as �.

    >>> shown(" Paris")
    '␣Paris'
    """
    visible = text.replace(" ", "␣").replace("\n", "↵")
    return "".join(letter if letter.isprintable() else "�" for letter in visible)


def code(text: str) -> str:
    """Text as a code span of Markdown, in which no character means anything else."""
    plain = " ".join(text.split()) or "�"
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def percent(share: float) -> str:
    """A share in percent, with two digits that count where it is small.

    >>> percent(0.7725), percent(0.00047)
    ('77.2%', '0.047%')
    """
    return f"{share:.1%}" if share >= 0.001 else f"{100 * share:.2g}%"
