"""What do a dense model and several pruned ones write? (Section 4, Table 2)"""

import pandas as pd

from helpers.decoding import log_likelihoods, write
from helpers.models.architecture import Decoder
from helpers.models.load import model_facts
from helpers.pruning.selection import refuse_count
from helpers.texts.data import table_2
from measurements import pruned_model
from measurements.generation import choice_of, text_rows
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from measurements.token_table import TOKENS, Writing, token_table
from runs.columns import REMOVED
from runs.parameters import WRITING, RunParameters
from runs.settings import setting_name, settings
from runs.store import Measured, measurement

USES = (*WRITING, *pruned_model.USES, "max_new_tokens", "temperature", "sampling", "repeats")
DIVISORS = (2, 1)  # the paper's Table 2 drops half as many sublayers, and all of them


@measurement(*USES, tables={"tokens": (*REMOVED, *TOKENS)})
def pruned_texts(parameters: RunParameters) -> Measured:
    """Texts after the prompts and the question of Table 2, by the dense model and by pruned ones.

    With ``method=drop`` these are four: attention sublayers or MLPs, half of ``dropped`` or all of
    it; else it is what the method makes. Greedy, or with ``sampling`` drawn at ``temperature`` with
    common random numbers, once for each seed, and then with all of ``dropped`` only. Table
    ``tokens`` holds for each pruned model both its texts and the dense ones, which repeat. Nothing
    else is measured, so this is many times quicker than ``generation``.
    """
    begin = prompted(parameters, parameters.max_new_tokens, table_2())
    dense, decoder, prompts = begin.dense, begin.decoder, begin.prompts
    for one in pruned_models(parameters).values():
        if one.method == "drop":
            refuse_count(one.dropped, one.target, len(decoder.layers))
    rows = text_rows(parameters, prompts)
    repeated = len(rows) // len(prompts)
    ids, mask = begin.input_ids.repeat(repeated, 1), begin.attention_mask.repeat(repeated, 1)

    def writing(writer: str, model: Decoder, words: str) -> Writing:
        choose, steps = choice_of(parameters, rows), parameters.max_new_tokens
        written = write(model, ids, mask, steps, begin.ends, choose, words)
        return Writing(writer, written, log_likelihoods(decoder, ids, mask, written))

    own = writing("dense", decoder, "Dense")
    tables, done = [], {}
    for name, one in pruned_models(parameters).items():
        pruned, done[name] = pruned_counterpart(one, dense)
        writings = [own, writing("pruned", pruned, name)]
        table = token_table(rows, writings, dense.tokenizer)
        tables.append(table.assign(**one.removed))
        del pruned
    facts = {"model": model_facts(dense), "pruned": done, "texts": len(rows)}
    return Measured({"tokens": pd.concat(tables, ignore_index=True)}, facts)


def pruned_models(parameters: RunParameters) -> dict[str, RunParameters]:
    """The pruned models of one run, by name, as the parameters of each."""
    if parameters.method == "drop":
        return settings(parameters, DIVISORS[-1:] if parameters.sampling else DIVISORS)
    return {setting_name(parameters): parameters}
