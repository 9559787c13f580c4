"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """Something that was asked for cannot be had. The message is one line: what was wrong,
    and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
