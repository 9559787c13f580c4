"""One question in the fields that lm-eval's task of that name reads, wherever its row is from.

The same task has several layouts: the hub's, that of the embedded wheel, whose options are one
text ``"A. x\\nB. y"`` and whose answer is ``"B. y"``, and a few that are found in files. A row
becomes a question with these fields, to which :mod:`helpers.evaluation.tasks` adds an id:

================  ====================================================================
boolq             ``passage`` (with its title), ``question``, ``label`` (0 no, 1 yes)
mmlu              ``question``, ``choices`` (4), ``answer`` (0–3), ``subject`` or empty
openbookqa        ``question_stem``, ``choices`` (``text``, ``label``), ``answerKey``
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

from collections.abc import Mapping
from typing import Any

from helpers.errors import InputError
from helpers.evaluation.row_fields import Row, Wrong
from helpers.evaluation.task_layouts import LAYOUTS


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
