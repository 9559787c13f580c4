"""How rows of each task are laid out: on the hub, in the embedded wheel, and in other files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from helpers.evaluation.row_fields import (
    LETTERS,
    LISTED,
    Row,
    Wrong,
    listed_options,
    one_of,
    text,
    texts,
)


@dataclass(frozen=True)
class Layout:
    """The fields that tell a layout, and how its rows become questions."""

    fields: tuple[str, ...]
    read: Callable[[Row], Row]


def _boolq(row: Row) -> Row:
    passage, title = text(row, "passage"), row.get("title")
    if title:  # the hub's passages begin with their title
        passage = f"{title} -- {passage}"
    if "label" in row:
        label = one_of(row["label"], ("0", "1"), "label")
    else:
        label = one_of(row["answer"], ("False", "True"))
    return {"passage": passage, "question": text(row, "question"), "label": label}


def _mmlu(row: Row) -> Row:
    choices = texts(row["choices"], "choices")
    if len(choices) != 4:
        raise Wrong(f"it has {len(choices)} choices, not 4")
    said = row["answer"]
    numbers = [str(place) for place in range(4)]
    answer = one_of(said, LETTERS[:4] if str(said).isalpha() else numbers)
    subject = str(row.get("subject") or "").replace("_", " ")
    found = {"question": text(row, "question"), "choices": choices, "answer": answer}
    return found | {"subject": subject, "family": subject}


def _mmlu_listed(row: Row) -> Row:
    asks, choices, answer = listed_options(row)
    return _mmlu({"question": asks, "choices": choices, "answer": answer})


def _keyed(name: str) -> Callable[[Row], Row]:
    """Choices with labels, and the label of the right one."""

    def read(row: Row) -> Row:
        choices = row["choices"]
        if not isinstance(choices, Mapping) or not {"text", "label"} <= choices.keys():
            raise Wrong("its choices do not hold text and label")
        said, labels = (texts(choices[each], each) for each in ("text", "label"))
        if len(said) != len(labels):
            raise Wrong(f"it has {len(said)} choices and {len(labels)} labels")
        key = labels[one_of(row["answerKey"], labels, "answerKey")]
        return {
            name: text(row, name),
            "choices": {"text": said, "label": labels},
            "answerKey": key,
        }

    return read


def _keyed_listed(name: str) -> Callable[[Row], Row]:
    def read(row: Row) -> Row:
        asks, said, place = listed_options(row)
        labels = list(LETTERS[: len(said)])
        # the wheel leaves a blank at the end of some questions, which the hub does not
        found = {name: asks.strip(), "choices": {"text": said, "label": labels}}
        return found | {"answerKey": labels[place]}

    return read


def _piqa(row: Row) -> Row:
    said = {name: text(row, name) for name in ("goal", "sol1", "sol2")}
    return said | {"label": one_of(row["label"], ("0", "1"), "label")}


def _piqa_listed(row: Row) -> Row:
    goal, options, place = listed_options(row)
    if len(options) != 2:
        raise Wrong(f"it has {len(options)} options, not 2")
    return {"goal": goal, "sol1": options[0], "sol2": options[1], "label": place}


def _siqa(row: Row) -> Row:
    names = ("context", "question", "answerA", "answerB", "answerC")
    place = one_of(row["label"], ("1", "2", "3"), "label")
    return {name: text(row, name) for name in names} | {"label": str(place + 1)}


def _siqa_listed(row: Row) -> Row:
    asks, options, place = listed_options(row)
    if len(options) != 3:
        raise Wrong(f"it has {len(options)} options, not 3")
    answers = dict(zip(("answerA", "answerB", "answerC"), options, strict=True))
    context = text(row, "passage")
    return {"context": context, "question": asks} | answers | {"label": str(place + 1)}


def _hellaswag(row: Row) -> Row:
    endings = texts(row["endings"], "endings")
    label = one_of(row["label"], [str(place) for place in range(len(endings))], "label")
    said = {name: text(row, name) for name in ("ctx_a", "ctx_b", "activity_label")}
    return said | {"endings": endings, "label": str(label), "family": said["activity_label"]}


def _rte(row: Row) -> Row:
    said = {name: text(row, name) for name in ("sentence1", "sentence2")}
    return said | {"label": one_of(row["label"], ("0", "1"), "label")}


def _winogrande(row: Row) -> Row:
    said = {name: text(row, name) for name in ("sentence", "option1", "option2")}
    if "_" not in said["sentence"]:
        raise Wrong("its sentence has no _ where an option goes")
    return said | {"answer": ("1", "2")[one_of(row["answer"], ("1", "2"))]}


def _winogrande_split(row: Row) -> Row:
    """Two beginnings of a sentence, which end in the options, and how it goes on."""
    starts = texts(row["context_options"], "context_options")
    if len(starts) != 2:
        raise Wrong(f"it has {len(starts)} context_options, not 2")
    words = [start.split(" ") for start in starts]
    alike = [first == second for first, second in zip(*words, strict=False)]
    shared = alike.index(False) if False in alike else len(alike) - 1
    first, second = (" ".join(each[shared:]) for each in words)
    sentence = " ".join([*words[0][:shared], "_", text(row, "continuation").strip()])
    answer = str(one_of(row["gold"], ("0", "1"), "gold") + 1)
    return _winogrande(
        {"sentence": sentence, "option1": first, "option2": second, "answer": answer}
    )


def _gsm8k(row: Row) -> Row:
    answer = text(row, "answer")
    if not re.search(r"#### -?[0-9.,]+", answer):
        raise Wrong(f"its answer does not end in a line such as #### 42 but in {answer[-30:]!r}")
    return {"question": text(row, "question"), "answer": answer}


def _nq_open(row: Row) -> Row:
    return {"question": text(row, "question"), "answer": texts(row["answer"], "answer")}


def _asdiv(row: Row) -> Row:
    body = "body" if "body" in row else "passage"
    said = {name: text(row, name) for name in (body, "question", "answer")}
    family = str(row.get("solution_type") or "")
    return {
        "body": said[body],
        "question": said["question"],
        "answer": said["answer"],
        "family": family,
    }


def _narrativeqa(row: Row) -> Row:
    answers = texts(row["answer"], "answer")
    return {"summary": text(row, "passage"), "question": text(row, "question")} | {
        "answers": answers
    }


def _narrativeqa_hub(row: Row) -> Row:
    try:
        passage = row["document"]["summary"]["text"]
        flat = {"passage": passage, "question": row["question"]["text"]}
        return _narrativeqa(flat | {"answer": [answer["text"] for answer in row["answers"]]})
    except (KeyError, TypeError):
        raise Wrong("it lacks document.summary.text, question.text or answers.text") from None


def _humaneval(row: Row) -> Row:
    return {name: text(row, name) for name in ("prompt", "entry_point", "test")} | {
        "solution": text(row, "canonical_solution")
    }


def _mbpp(row: Row) -> Row:
    asks = "text" if "text" in row else "prompt"
    tests = texts(row["test_list"], "test_list")
    if len(tests) < 3:
        raise Wrong(f"it has {len(tests)} tests, and a question shows 3")
    before = row.get("test_imports") or row.get("test_setup_code") or [""]
    return {
        "text": text(row, asks),
        "solution": text(row, "code"),
        "before": "\n".join(texts(before, "test_imports")),
        "test_list": tests,
    }


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "boolq": (
        Layout(("passage", "question", "label"), _boolq),
        Layout(("passage", "question", "answer"), _boolq),
    ),
    "mmlu": (Layout(("question", "choices", "answer"), _mmlu), Layout(LISTED, _mmlu_listed)),
    "openbookqa": (
        Layout(("question_stem", "choices", "answerKey"), _keyed("question_stem")),
        Layout(LISTED, _keyed_listed("question_stem")),
    ),
    "piqa": (Layout(("goal", "sol1", "sol2", "label"), _piqa), Layout(LISTED, _piqa_listed)),
    "commonsense_qa": (
        Layout(("question", "choices", "answerKey"), _keyed("question")),
        Layout(LISTED, _keyed_listed("question")),
    ),
    "social_iqa": (
        Layout(("context", "question", "answerA", "answerB", "answerC", "label"), _siqa),
        Layout(("passage", *LISTED), _siqa_listed),
    ),
    "hellaswag": (Layout(("ctx_a", "ctx_b", "activity_label", "endings", "label"), _hellaswag),),
    "rte": (Layout(("sentence1", "sentence2", "label"), _rte),),
    "winogrande": (
        Layout(("sentence", "option1", "option2", "answer"), _winogrande),
        Layout(("context_options", "continuation", "gold"), _winogrande_split),
    ),
    "gsm8k": (Layout(("question", "answer"), _gsm8k),),
    "nq_open": (Layout(("question", "answer"), _nq_open),),
    "asdiv": (
        Layout(("body", "question", "answer"), _asdiv),
        Layout(("passage", "question", "answer"), _asdiv),
    ),
    "humaneval": (Layout(("prompt", "canonical_solution", "test", "entry_point"), _humaneval),),
    "mbpp": (
        Layout(("text", "code", "test_list"), _mbpp),
        Layout(("prompt", "code", "test_list"), _mbpp),
    ),
    "narrativeqa": (
        Layout(("document", "question", "answers"), _narrativeqa_hub),
        Layout(("passage", "question", "answer"), _narrativeqa),
    ),
}
