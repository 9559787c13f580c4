"""Which part of what a model wrote is its answer, and does that part hold the right one?

The answer is a piece of text, never the whole of it: what comes later may name anything. It is
looked for word by word, so that 12 is not found in 120, nor one in twenty-one.

``first_span``
    after an answer prefix: from the first letter or digit up to the first mark that ends or
    divides a sentence (``. , ; : ! ? ( ) [ ] …``, a dash between blanks, a line's end). If it
    stands in quotation marks, it ends where they close.
``first_sentence``
    without a prefix: from the first letter or digit up to the first full stop, question or
    exclamation mark, or line's end; after a colon the sentence goes on in the next line.

Quotation marks, blanks, colons, bullets and markup may stand before either, but no stop or comma:
a model that ends the sentence first has given no answer. A point inside a number (``3.5``) or an
abbreviation (``U.S.``) ends nothing, nor does a comma or colon inside a number (``1,200``).
"""

import re
from collections.abc import Callable, Iterable

Cut = Callable[[str], str]  # from all that was written to the part that is the answer

_MARKUP = str.maketrans("", "", "*_`#\ufffd")
_AFTER_COLON = re.compile(r":\s+")
_OPENING = re.compile(r"(?:[\s\"'“”‘’«»(\[:–—…>=]|[-−+•](?!\d))*")
_POINT = r"\.(?!(?<=\d\.)\d)(?!(?<=\b[A-Za-z]\.)[A-Za-z])(?<!\.[A-Za-z]\.)"
_SPAN_END = re.compile(rf"[;!?()\[\]\n…]|\s[-–—]+\s|—|[,:](?!\d)|(?<!\d)[,:]|{_POINT}")
_SENTENCE_END = re.compile(rf"[!?\n]|{_POINT}")
_QUOTES = re.compile(r"[\"“”«»]")
_CLOSING = " \t\n\"'“”‘’«»)]"
_GUESSES = ("0", "a", " ")  # one character decides whether a mark before it ends an answer


def first_span(text: str) -> str:
    """The answer after a prefix, see the module; empty if the text begins with a stop.

    >>> first_span(' **Paris**, which lies on the Seine.')
    'Paris'
    """
    return _cut(text, _SPAN_END, quoted=True)


def first_sentence(text: str) -> str:
    """The answer without a prefix, see the module.

    >>> first_sentence('The U.S. capital is:\\nWashington. It lies')
    'The U.S. capital is: Washington'
    """
    return _cut(text, _SENTENCE_END, quoted=False)


def settled(text: str, cut: Cut) -> bool:
    """Whether the answer is complete: nothing that is written after ``text`` could change it."""
    found = cut(text)
    return all(cut(text + more) == found for more in _GUESSES)


def holds(answer: str, accepted: Iterable[str]) -> bool:
    """Whether ``answer`` holds one of the ``accepted`` answers as whole words.

    Letters' case does not matter, but a single letter must be a capital. A word that is joined
    to another by a hyphen or an apostrophe is another word, and a number with a sign or with
    digits after a point is another number. Articles and all else around the words do not matter.
    """
    return any(re.search(_word(each), answer) for each in accepted)


def _cut(text: str, end: re.Pattern[str], quoted: bool) -> str:
    plain = _AFTER_COLON.sub(": ", text.translate(_MARKUP).replace("\r", ""))
    opening = _OPENING.match(plain)
    begin = opening.end() if opening else 0
    stops = [end.search(plain, begin)]
    if quoted and _QUOTES.search(plain, 0, begin):
        stops.append(_QUOTES.search(plain, begin))
    found = min((stop.start() for stop in stops if stop), default=None)
    return plain[begin:found].strip(_CLOSING)


def _word(accepted: str) -> str:
    """A pattern that finds an accepted answer where it stands for itself."""
    number = accepted.isdigit()
    before = r"(?<![\w+−-])(?<!\d[.,])" if number else r"(?<!\w)(?<!\w['’-])"
    after = r"(?!\w)(?![.,]\d)" if number else r"(?!\w)(?!['’-]\w)"
    case = "" if len(accepted) == 1 else "(?i:"
    return f"{before}{case}{re.escape(accepted)}{')' if case else ''}{after}"
