"""What is a pruned model worth on the paired probes, in each form? (Section 4)"""

from measurements.probe_items import probe_items
from measurements.pruned_model import left
from measurements.scoring import SCORES, compared
from runs.parameters import RunParameters
from runs.store import Measured, measurement


@measurement(*probe_items.uses, tables={"scores": SCORES})
def probe_scores(parameters: RunParameters) -> Measured:
    """Scores of one model on the probes, in each form, on the same questions as the dense one.

    Table ``scores``; facts as from :func:`measurements.scoring.compared`.
    """
    return compared(parameters, probe_items, {"probes": parameters}, lambda: left(parameters))
