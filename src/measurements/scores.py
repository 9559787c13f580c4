"""What is a pruned model worth, by task, beside the dense one? (Sections 1 and 4)"""

from measurements.pruned_model import left
from measurements.scoring import SCORES, compared
from measurements.task_items import task_items
from runs.parameters import RunParameters
from runs.store import Measured, measurement
from runs.wanted_tasks import each_task


@measurement(*task_items.uses, tables={"scores": SCORES}, pins=task_items.pins)
def scores(parameters: RunParameters) -> Measured:
    """Scores of one model in all ``tasks``, on the same questions as the dense one.

    Table ``scores``: per task and score its value, standard error, paired interval, flips and
    verdict; of the dense model itself the first two. Facts as from
    :func:`measurements.scoring.compared`.
    """
    parts = each_task(parameters)
    return compared(parameters, task_items, parts, lambda: left(parameters))
