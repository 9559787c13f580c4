"""What do a dense model and several pruned ones write? (Section 4, Table 2)"""

import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.data import select_prompts, table_2, tokenize
from helpers.decoding import Choice, Reader, end_tokens, lockstep, log_likelihoods, refuse_too_long
from helpers.measurements import pruned_model
from helpers.measurements.generation import choice_of, text_rows
from helpers.measurements.pruned_model import pruned_counterpart
from helpers.measurements.token_table import Writing, token_table
from helpers.models.architecture import Decoder
from helpers.models.load import load, model_facts
from helpers.parameters import WRITING, RunParameters
from helpers.pruning.selection import refuse_count
from helpers.results import Measured, measurement
from helpers.settings import setting_name, settings

USES = (*WRITING, *pruned_model.USES, "max_new_tokens", "temperature", "sampling", "repeats")
DIVISORS = (2, 1)  # the paper's Table 2 drops half as many sublayers, and all of them


@measurement(*USES)
def pruned_texts(parameters: RunParameters, run: str) -> Measured:
    """Texts after the prompts and the question of Table 2, by the dense model and by pruned ones.

    With ``method=drop`` these are four: attention sublayers or MLPs, half of ``dropped`` or all of
    it; else it is what the method makes. Greedy, or with ``sampling`` drawn at ``temperature`` with
    common random numbers, once for each seed, and then with all of ``dropped`` only. Table
    ``tokens`` holds for each pruned model both its texts and the dense ones, which repeat. Nothing
    else is measured, so this is many times quicker than ``generation``.
    """
    torch.manual_seed(parameters.seed)
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    prompts = tuple(dict.fromkeys((*select_prompts(parameters.prompts), table_2())))
    decoder = dense.decoder
    for one in pruned_models(parameters).values():
        if one.method == "drop":
            refuse_count(one.dropped, one.target, len(decoder.layers))
    ids, mask = tokenize(prompts, dense.tokenizer, parameters.chat_template, decoder.device)
    refuse_too_long(dense.model, ids.shape[1] + parameters.max_new_tokens)
    rows = text_rows(parameters, prompts)
    repeated = len(rows) // len(prompts)
    ids, mask = ids.repeat(repeated, 1), mask.repeat(repeated, 1)
    ends = end_tokens(dense.model, dense.tokenizer)

    def writing(writer: str, model: Decoder, words: str) -> Writing:
        choose, steps = choice_of(parameters, rows), parameters.max_new_tokens
        written = write(model, ids, mask, choose, steps, ends, words)
        return Writing(writer, written, log_likelihoods(decoder, ids, mask, written))

    own = writing("dense", decoder, "Dense")
    tables, done = [], {}
    for name, one in pruned_models(parameters).items():
        pruned, done[name] = pruned_counterpart(one, dense)
        writings = [own, writing("pruned", pruned, name)]
        tables.append(token_table(one, run, rows, writings, dense.tokenizer))
        del pruned
    facts = {"model": model_facts(dense), "pruned": done, "texts": len(rows)}
    return Measured({"tokens": pa.concat_tables(tables)}, facts)


def pruned_models(parameters: RunParameters) -> dict[str, RunParameters]:
    """The pruned models of one run, by name, as the parameters of each."""
    if parameters.method == "drop":
        return settings(parameters, DIVISORS[-1:] if parameters.sampling else DIVISORS)
    return {setting_name(parameters): parameters}


def write(
    decoder: Decoder,
    input_ids: Tensor,
    attention_mask: Tensor,
    choose: Choice,
    steps: int,
    ends: tuple[int, ...] = (),
    words: str = "",
) -> list[list[int]]:
    """What a model writes after prompts (B, T), padded on the left: up to ``steps`` tokens each. A
    text that ends before has one of ``ends`` as its last token."""
    written: list[list[int]] = [[] for _ in input_ids]
    running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    over = torch.tensor(ends, dtype=torch.long, device=input_ids.device)
    reader = Reader(decoder, attention_mask)
    together = lockstep(
        {"own": reader},
        input_ids,
        steps,
        lambda number, held: {"own": choose(number, held["own"].logits)},
    )
    for step in tqdm(together, total=steps, desc=f"{words} writes, token", mininterval=2.0):
        chosen = step.tokens["own"].to(running.device)
        for row in running.nonzero()[:, 0].tolist():
            written[row].append(int(chosen[row]))
        running &= ~torch.isin(chosen, over)
        if not running.any():
            break
    return written
