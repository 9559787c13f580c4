"""One question in the fields that lm-eval's task of that name reads, wherever its row is from.

The same task has several layouts: the hub's, that of the embedded wheel, whose options are one
text ``"A. x\\nB. y"`` and whose answer is ``"B. y"``, and a few that are found in files. A row
becomes a question with these fields, to which :mod:`helpers.evaluation.tasks` adds an id:

================  ====================================================================
boolq             ``passage`` (with its title), ``question``, ``label`` (0 no, 1 yes)
mmlu              ``question``, ``choices`` (4), ``answer`` (0–3), ``subject`` or empty
openbookqa        ``question_stem``, ``choices`` (``text``, ``label``), ``answerKey``
arc_easy          ``question``, ``choices`` (``text``, ``label``), ``answerKey``
arc_challenge     the same
piqa              ``goal``, ``sol1``, ``sol2``, ``label`` (0 or 1)
commonsense_qa    ``question``, ``choices`` (``text``, ``label``), ``answerKey``
social_iqa        ``context``, ``question``, ``answerA``, …, ``answerC``, ``label`` (1–3)
hellaswag         ``ctx_a``, ``ctx_b``, ``activity_label``, ``endings``, ``label`` (0–3)
rte               ``sentence1``, ``sentence2``, ``label`` (0 it follows, 1 it does not)
winogrande        ``sentence`` with a ``_``, ``option1``, ``option2``, ``answer`` (1 or 2)
gsm8k             ``question``, ``answer``, which ends in ``#### 42``
nq_open           ``question``, ``answer``: a list of all that are right
asdiv             ``body``, ``question``, ``answer``
narrativeqa       ``summary``, ``question``, ``answers``: a list of all that are right
humaneval         ``prompt``, the head of a function; ``test``, ``entry_point``, ``solution``
mbpp              ``text``, ``test_list``, ``before``, which tests need, and ``solution``
================  ====================================================================

``family`` is the subject of a question where its row names one, else empty.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.errors import InputError

Row = dict[str, Any]
Reader = Callable[[Any, str], Any]  # a field's value and its name → what the question holds
LETTERS = "ABCDEFGH"
LISTED = ("question", "options", "answer")  # the embedded wheel's multiple choice


class Wrong(ValueError):
    """What is wrong with a row, in words that follow the place where it stands."""


@dataclass(frozen=True)
class Layout:
    """The fields that tell a layout, and how its rows become questions."""

    fields: tuple[str, ...]
    read: Callable[[Row], Row]


def question(task: str, row: Any, where: str) -> Row:
    """The question of ``task`` in ``row``, with a ``family``; :class:`InputError` says what is
    wrong with the row that stands ``where``."""
    layouts = LAYOUTS[task]
    if not isinstance(row, Mapping):
        raise InputError(f"{where} is no question of {task}: {fields(task)}")
    found = {str(key): value for key, value in row.items()}
    for layout in layouts:
        if set(layout.fields) <= found.keys():
            try:
                return {"family": ""} | layout.read(found)
            except Wrong as error:
                raise InputError(f"{where} is no question of {task}: {error}") from None
    nearest = max(layouts, key=lambda layout: len(found.keys() & set(layout.fields)))
    lacks = ", ".join(name for name in nearest.fields if name not in found)
    raise InputError(f"{where} is no question of {task}: it lacks {lacks}; {fields(task)}")


def fields(task: str) -> str:
    """What a row of ``task`` has to hold, in words."""
    return "it takes " + ", or ".join(" and ".join(each.fields) for each in LAYOUTS[task])


def any_text(value: Any, name: str) -> str:
    """A text, perhaps an empty one; :class:`Wrong` if it is none."""
    if not isinstance(value, str):
        raise Wrong(f"its {name} is no text but {value!r}")
    return value


def text(value: Any, name: str) -> str:
    """A text that says something; :class:`Wrong` if it does not, since nothing can be scored."""
    if not any_text(value, name).strip():
        raise Wrong(f"its {name} is blank")
    return str(value)


def texts(value: Any, name: str) -> list[str]:
    """One text or several, as a list; :class:`Wrong` if it holds something else, or nothing."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, Sequence) or not all(isinstance(one, str) for one in found):
        raise Wrong(f"its {name} is no list of texts but {value!r}")
    if not found:
        raise Wrong(f"its {name} is empty")
    for number, one in enumerate(found, 1):
        if not one.strip():
            raise Wrong(f"number {number} of its {name} is blank")
    return list(found)


def counted(found: list[str], count: int, name: str) -> list[str]:
    """``found``, which must hold ``count`` texts."""
    if len(found) != count:
        raise Wrong(f"it has {len(found)} {name}, not {count}")
    return found


def place(*allowed: str) -> Reader:
    """The place of a number or a text among those ``allowed``."""

    def read(value: Any, name: str) -> int:
        said = str(value).strip()
        if said not in allowed:
            raise Wrong(f"its {name} {value!r} is not among {', '.join(allowed)}")
        return allowed.index(said)

    return read


def listed_options(row: Row) -> tuple[str, list[str], int]:
    """Question, options and place of the answer of a row whose options are one text.

    The answer is told by its letter, and its text must be that of the option. In a few rows the
    first options stand at the end of the question, or its end before the options.
    """
    asks, listed, answer = (text(row[name], name) for name in LISTED)
    if not re.search(r"(?:^|\n)A\. ", listed):
        asks, _, rest = asks.partition("\nA. ")
        listed = f"A. {rest}\n{listed.lstrip()}"
    before, *parts = re.split(r"(?:^|\n)([A-H])\. ", listed)
    asks, options = asks + before.strip(), parts[1::2]
    if len(options) < 2 or "".join(parts[::2]) != LETTERS[: len(options)]:
        raise Wrong(f"its options are not listed as A. …, B. … but as {listed[:60]!r}")
    texts(options, "options")
    at = LETTERS.find(answer[:1]) if answer[1:3] == ". " else -1
    # a question mark has stayed behind the last option of some questions
    if at not in range(len(options)) or options[at].rstrip("?") != answer[3:].rstrip("?"):
        raise Wrong(f"its answer {answer!r} is not among its options")
    return asks, options, at


def _holding(**readers: Reader) -> Layout:
    """Rows with these fields, each as it is read."""
    return Layout(
        tuple(readers), lambda row: {name: read(row[name], name) for name, read in readers.items()}
    )


def _turned(layout: Layout, names: tuple[str, ...], turn: Callable[[Row], Row]) -> Layout:
    """Rows with other ``names``, which ``turn`` makes into rows of ``layout``."""
    return Layout(names, lambda row: layout.read(turn(row)))


def _boolq(row: Row) -> Row:
    """The hub's passages begin with their title, the wheel's rows hold it apart."""
    passage, title = text(row["passage"], "passage"), row.get("title")
    name = "label" if "label" in row else "answer"
    label = place(*(("0", "1") if name == "label" else ("False", "True")))(row[name], name)
    asks = text(row["question"], "question")
    return {"passage": f"{title} -- {passage}" if title else passage, "question": asks} | {
        "label": label
    }


def _mmlu(row: Row) -> Row:
    choices = counted(texts(row["choices"], "choices"), 4, "choices")
    keys = LETTERS[:4] if str(row["answer"]).isalpha() else "0123"
    subject = str(row.get("subject") or "").replace("_", " ")
    return {
        "question": text(row["question"], "question"),
        "choices": choices,
        "answer": place(*keys)(row["answer"], "answer"),
        "subject": subject,
        "family": subject,
    }


def _mmlu_listed(row: Row) -> Row:
    asks, options, at = listed_options(row)
    return {"question": asks, "choices": options, "answer": at}


def _keyed(name: str) -> tuple[Layout, Layout]:
    """Choices with labels, and the label of the right one: on the hub, and listed."""

    def read(row: Row) -> Row:
        choices = row["choices"]
        if not isinstance(choices, Mapping) or not {"text", "label"} <= choices.keys():
            raise Wrong("its choices do not hold text and label")
        said, labels = (texts(choices[each], each) for each in ("text", "label"))
        if len(said) != len(labels):
            raise Wrong(f"it has {len(said)} choices and {len(labels)} labels")
        return {
            name: text(row[name], name),
            "choices": {"text": said, "label": labels},
            "answerKey": labels[place(*labels)(row["answerKey"], "answerKey")],
        }

    def turn(row: Row) -> Row:
        asks, said, at = listed_options(row)
        labels = list(LETTERS[: len(said)])
        # the wheel leaves a blank at the end of some questions, which the hub does not
        choices = {"text": said, "label": labels}
        return {name: asks.strip(), "choices": choices, "answerKey": labels[at]}

    hub = Layout((name, "choices", "answerKey"), read)
    return hub, _turned(hub, LISTED, turn)


def _arc(row: Row) -> Row:
    """A row of the files that ARC's authors give out, as the hub has it."""
    asks = row["question"]
    try:
        choices = {key: [each[key] for each in asks["choices"]] for key in ("text", "label")}
        return {"question": asks["stem"], "choices": choices, "answerKey": row["answerKey"]}
    except (KeyError, TypeError):
        raise Wrong("it lacks choices, or question.stem and question.choices") from None


def _piqa_listed(row: Row) -> Row:
    asks, options, at = listed_options(row)
    first, second = counted(options, 2, "options")
    return {"goal": asks, "sol1": first, "sol2": second, "label": at}


def _siqa_listed(row: Row) -> Row:
    asks, options, at = listed_options(row)
    answers = dict(zip(SIQA_ANSWERS, counted(options, 3, "options"), strict=True))
    return {"context": row["passage"], "question": asks, **answers, "label": at + 1}


def _hellaswag(row: Row) -> Row:
    endings = texts(row["endings"], "endings")
    label = place(*map(str, range(len(endings))))(row["label"], "label")
    said = {name: text(row[name], name) for name in ("ctx_a", "activity_label")}
    said["ctx_b"] = any_text(row["ctx_b"], "ctx_b")  # an ending may begin a sentence
    return said | {"endings": endings, "label": str(label), "family": said["activity_label"]}


def _blank(value: Any, name: str) -> str:
    if "_" not in text(value, name):
        raise Wrong("its sentence has no _ where an option goes")
    return str(value)


def _winogrande_split(row: Row) -> Row:
    """Two beginnings of a sentence, which end in the options, and how it goes on."""
    starts = counted(texts(row["context_options"], "context_options"), 2, "context_options")
    words = [start.split(" ") for start in starts]
    alike = [first == second for first, second in zip(*words, strict=False)]
    shared = alike.index(False) if False in alike else len(alike) - 1
    first, second = (" ".join(each[shared:]) for each in words)
    rest = text(row["continuation"], "continuation").strip()
    sentence = " ".join([*words[0][:shared], "_", rest])
    answer = str(place("0", "1")(row["gold"], "gold") + 1)
    return {"sentence": sentence, "option1": first, "option2": second, "answer": answer}


def _worked(value: Any, name: str) -> str:
    if not re.search(r"#### -?[0-9.,]+", text(value, name)):
        raise Wrong(f"its answer does not end in a line such as #### 42 but in {value[-30:]!r}")
    return str(value)


def _asdiv(row: Row) -> Row:
    body = "body" if "body" in row else "passage"
    said = {"body": body, "question": "question", "answer": "answer"}
    found = {name: text(row[own], own) for name, own in said.items()}
    return found | {"family": str(row.get("solution_type") or "")}


def _narrativeqa(row: Row) -> Row:
    said = {
        "summary": text(row["passage"], "passage"),
        "question": text(row["question"], "question"),
    }
    return said | {"answers": texts(row["answer"], "answer")}


def _narrativeqa_hub(row: Row) -> Row:
    try:
        passage, asks = row["document"]["summary"]["text"], row["question"]["text"]
        answers = [answer["text"] for answer in row["answers"]]
    except (KeyError, TypeError):
        raise Wrong("it lacks document.summary.text, question.text or answers.text") from None
    return _narrativeqa({"passage": passage, "question": asks, "answer": answers})


def _humaneval(row: Row) -> Row:
    said = {name: text(row[name], name) for name in ("prompt", "entry_point", "test")}
    return said | {"solution": text(row["canonical_solution"], "canonical_solution")}


def _mbpp(row: Row) -> Row:
    asks = "text" if "text" in row else "prompt"
    tests = texts(row["test_list"], "test_list")
    if len(tests) < 3:
        raise Wrong(f"it has {len(tests)} tests, and a question shows 3")
    before = row.get("test_imports") or row.get("test_setup_code") or ""
    lines = [before] if isinstance(before, str) else before
    return {
        "text": text(row[asks], asks),
        "solution": text(row["code"], "code"),
        "before": "\n".join(any_text(line, "test_imports") for line in lines),
        "test_list": tests,
    }


def _one_to(count: int) -> Reader:
    """The place of an answer that is counted from 1, as lm-eval wants it: in words, from 1."""
    return lambda value, name: str(1 + place(*map(str, range(1, count + 1)))(value, name))


SIQA_ANSWERS = ("answerA", "answerB", "answerC")
_ARC = _keyed("question")[0]
_MMLU = Layout(("question", "choices", "answer"), _mmlu)
_PIQA = _holding(goal=text, sol1=text, sol2=text, label=place("0", "1"))
_SIQA = _holding(context=text, question=text, **dict.fromkeys(SIQA_ANSWERS, text), label=_one_to(3))
_WINOGRANDE = _holding(sentence=_blank, option1=text, option2=text, answer=_one_to(2))
LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "boolq": tuple(Layout(("passage", "question", name), _boolq) for name in ("label", "answer")),
    "mmlu": (_MMLU, _turned(_MMLU, LISTED, _mmlu_listed)),
    "openbookqa": _keyed("question_stem"),
    **dict.fromkeys(
        ("arc_easy", "arc_challenge"), (_ARC, _turned(_ARC, ("question", "answerKey"), _arc))
    ),
    "piqa": (_PIQA, _turned(_PIQA, LISTED, _piqa_listed)),
    "commonsense_qa": _keyed("question"),
    "social_iqa": (_SIQA, _turned(_SIQA, ("passage", *LISTED), _siqa_listed)),
    "hellaswag": (Layout(("ctx_a", "ctx_b", "activity_label", "endings", "label"), _hellaswag),),
    "rte": (_holding(sentence1=text, sentence2=text, label=place("0", "1")),),
    "winogrande": (
        _WINOGRANDE,
        _turned(_WINOGRANDE, ("context_options", "continuation", "gold"), _winogrande_split),
    ),
    "gsm8k": (_holding(question=text, answer=_worked),),
    "nq_open": (_holding(question=text, answer=texts),),
    "asdiv": tuple(Layout((name, "question", "answer"), _asdiv) for name in ("body", "passage")),
    "humaneval": (Layout(("prompt", "canonical_solution", "test", "entry_point"), _humaneval),),
    "mbpp": tuple(Layout((name, "code", "test_list"), _mbpp) for name in ("text", "prompt")),
    "narrativeqa": (
        Layout(("document", "question", "answers"), _narrativeqa_hub),
        Layout(("passage", "question", "answer"), _narrativeqa),
    ),
}
