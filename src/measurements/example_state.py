"""Two real states of the model, over the whole vocabulary: what the appendices check steps on."""

from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from helpers.capture import capture
from helpers.decoding import refuse_too_long
from helpers.models.load import load, model_facts
from helpers.texts.data import select_prompts, tokenize
from runs.columns import LAYER, LENS, NUMBER, PROMPT, STRING, SUBLAYER, TOKEN, Column, long_table
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "dtype", "prompts", "chat_template")
NORMED = "normed"  # as the model itself reads a state at its end
LOGITS = (
    PROMPT,
    LAYER,
    SUBLAYER,
    LENS,
    TOKEN,
    Column("text", STRING, "text of the token"),
    Column("z", NUMBER, "the token's logit, dense"),
    Column("delta", NUMBER, "change of that logit, pruned minus dense"),
)


@measurement(*USES, tables={"logits": LOGITS})
def example_state(parameters: RunParameters) -> Measured:
    """Logits with and without one MLP, in the middle layer and in the last, at the last position
    of the first of the chosen prompts. The state is read through the final norm.

    Table ``logits``: one row per state and token, z, a float32 projection, and
    Δz = pruned − dense, the difference of two, held as float64.
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    decoder = loaded.decoder
    prompt = select_prompts(parameters.prompts)[:1]
    chat = parameters.chat_template
    ids, mask = tokenize(prompt, loaded.tokenizer, chat, decoder.device, decoder.embedded_tokens)
    refuse_too_long(loaded.model, ids.shape[1])
    with torch.inference_mode(), capture(decoder) as trace:
        loaded.model(input_ids=ids, attention_mask=mask, use_cache=False)
    last = len(decoder.layers) - 1
    chosen = [
        pair
        for pair in trace.states.pairs
        if pair.kind == "mlp" and pair.layer in {len(decoder.layers) // 2, last}
    ]
    rows = [number for pair in chosen for number in (pair.dense, pair.pruned)]
    with torch.inference_mode():
        seen = decoder.final_norm(trace.states.tensor[rows, 0, 0])
        z = decoder.head.logits(seen.to(decoder.device)).double().cpu()
    places = [(pair.layer, pair.kind) for pair in chosen]
    table = _table(prompt[0].id, places, z.unflatten(0, (-1, 2)), loaded.tokenizer)
    facts = {"model": model_facts(loaded), "prompt": prompt[0].id, "tokens": int(mask.sum())}
    return Measured({"logits": table}, facts)


def _table(prompt: str, places: list[tuple[int, Any]], z: Tensor, tokenizer: Any) -> pa.Table:
    """Rows of z (states, 2, V), dense then pruned."""
    width = z.shape[-1]
    dense, delta = z[:, 0].numpy(), (z[:, 1] - z[:, 0]).numpy()
    table = long_table(
        dense,
        {"layer": [layer for layer, _ in places], "sublayer": [kind for _, kind in places]},
        {
            "token": range(width),
            "text": tokenizer.batch_decode([[token] for token in range(width)]),
        },
        prompt=prompt,
        lens=NORMED,
    )
    return table.rename_columns({"value": "z"}).append_column("delta", [delta.reshape(-1)])
