"""Which tasks does a run ask, and how many questions of each?"""

import difflib
from collections.abc import Callable

from helpers.errors import InputError
from helpers.evaluation.tasks import TASKS, Task, identity, refuse_programs
from runs.parameters import RunParameters

EMBEDDED = "embedded"


def wanted_tasks(parameters: RunParameters) -> dict[Task, int]:
    """The tasks that ``parameters.tasks`` lists, and how many questions of each (0: all).

    Names are separated by commas; ``embedded`` stands for :func:`embedded_tasks`. A number after
    a colon, as in ``embedded,piqa:200``, is for that task instead of ``parameters.items``.

    Raises :class:`InputError` for a name or number that is none, and for a task that runs programs
    that the model writes if the run does not say that it may.
    """
    parts = [part.strip() for part in parameters.tasks.split(",") if part.strip()]
    if not parts:
        raise InputError(f"tasks={parameters.tasks!r} names no task: known are {_known()}")
    chosen: dict[Task, int] = {}
    for part in parts:
        name, colon, number = (word.strip() for word in part.partition(":"))
        if colon and not (number.isascii() and number.isdigit()):
            raise InputError(
                f"tasks: {part!r} has no number of questions after its colon, such as {name}:200"
            )
        for task in _named(name):
            if colon:
                chosen[task] = int(number)
            else:
                chosen.setdefault(task, parameters.items)
    for task in chosen:
        refuse_programs(task, parameters.run_code)
    return chosen


def each_task(parameters: RunParameters) -> dict[str, RunParameters]:
    """What to ask of each task by itself: the parameters with its name and number, by name."""
    return {
        task.name: parameters.model_copy(update={"tasks": task.name, "items": items})
        for task, items in wanted_tasks(parameters).items()
    }


def embedded_tasks() -> tuple[Task, ...]:
    """The tasks whose questions come with the book, but for those that run programs."""
    return tuple(task for task in TASKS.values() if task.embedded and not task.program)


def identities(parameters: RunParameters) -> str:
    """What pins the questions of all tasks that are asked, and their number where it is not
    ``items``; see :func:`helpers.evaluation.tasks.identity`."""
    return "; ".join(
        identity(task, parameters.task_folder)
        + (f", {items} questions" if items != parameters.items else "")
        for task, items in wanted_tasks(parameters).items()
    )


PINS: dict[str, Callable[[RunParameters], str]] = {  # what stands for parameters in an identity
    "tasks": identities,
    "task_folder": lambda _: "",
    "run_code": lambda _: "",
}


def _named(name: str) -> tuple[Task, ...]:
    if name == EMBEDDED:
        return embedded_tasks()
    if name in TASKS:
        return (TASKS[name],)
    near = difflib.get_close_matches(name.casefold(), [EMBEDDED, *TASKS], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"unknown task {name!r}: {hint}known are {_known()}")


def _known() -> str:
    return ", ".join([EMBEDDED, *TASKS])
