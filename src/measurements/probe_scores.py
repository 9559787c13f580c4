"""What does a model answer to the paired probes, in each form, and what is it worth beside the
dense one? (Section 4)"""

import torch

from helpers.evaluation.comparison import floored
from helpers.evaluation.probing import FORMS, asked_as, probe_rows, several_named
from helpers.models.load import model_facts
from helpers.texts.probes import families, probes
from measurements import pruned_model
from measurements.pruned_model import evaluated_model, left
from measurements.scoring import ITEMS, SCORES, compared
from runs.parameters import RunParameters
from runs.settings import dense
from runs.store import Measured, measurement

USES = (
    *("model", "revision", "dtype", "chat_template", "seed", "probes", "batch_size"),
    *pruned_model.USES,
)
LETTER = FORMS[-1]
SHORT = 6  # probes take the room of one question of another task, which has a text to read


@measurement(*USES, tables={"items": ITEMS})
def probe_items(parameters: RunParameters) -> Measured:
    """Ask one model, dense or pruned, the first ``probes`` questions of each family.

    Each question is asked in all forms, see :mod:`helpers.evaluation.probing`, a pruned model by
    letter only where the dense one beats chance so. A tokenizer without a chat template gets plain
    text. Table ``items``. Facts: ``model`` (the dense one), ``pruned`` in words,
    ``parameters_left``, ``families`` and what they ask for, ``forms``, whether in a
    ``chat_template``, ``wording`` of the first question in each form, and ``several_named``: how
    many of the answers counted as right, by form, name a wrong option too.
    """
    torch.manual_seed(parameters.seed)
    forms: tuple[str, ...] = FORMS
    if not parameters.dense:
        items = probe_items(dense(parameters)).table("items")
        if floored(items[items["form"] == LETTER]):
            forms = FORMS[:-1]
    one = evaluated_model(parameters)
    tokenizer = one.loaded.tokenizer
    template = parameters.chat_template and bool(tokenizer.chat_template)
    chosen = probes("all", parameters.probes)
    rows = probe_rows(
        one.loaded.decoder,
        tokenizer,
        chosen,
        template,
        SHORT * parameters.batch_size,
        forms,
    )
    facts = {
        "model": model_facts(one.dense),
        "pruned": one.words,
        "parameters_left": one.parameters_left,
        "families": families(),
        "forms": list(forms),
        "chat_template": template,
        "wording": {form: asked_as(chosen[0], form) for form in forms},
        "several_named": several_named(rows, chosen),
    }
    return Measured({"items": rows}, facts)


@measurement(*probe_items.uses, tables={"scores": SCORES})
def probe_scores(parameters: RunParameters) -> Measured:
    """Scores of one model on the probes, in each form, on the same questions as the dense one.

    Table ``scores``; facts as from :func:`measurements.scoring.compared`.
    """
    return compared(parameters, probe_items, {"probes": parameters}, lambda: left(parameters))
