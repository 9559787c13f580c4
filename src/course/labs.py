"""What the three labs ask for, worked out another way than a student does.

Each lab has a bug of this field to mend. Checks in the notebook, and the grading outside it, judge
by the functions of this module.
"""

from collections.abc import Callable
from functools import cache
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

import helpers.api as api
from course.experiments import the_model
from course.variants import mine
from helpers.evaluation.probing import probe_rows
from helpers.models.load import LoadedModel
from helpers.texts.probes import Probe, probes

TEXTS = (
    "The old bridge was closed for repairs, so we took the ferry across the river instead.",
    "She put the letter in her pocket and walked slowly down the hill towards the harbour.",
    "Plants take in carbon dioxide from the air and give back the oxygen that we breathe.",
    "The train to the coast leaves at nine, and the next one does not come before noon.",
)
FAMILIES = ("capitals", "opposites", "young_animals", "past_tense", "plurals", "languages")
QUESTIONS = 12
AMOUNT = 0.2
TINY = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
}


# 1: attention that is left out


def tiny_llama(seed: int) -> Any:
    """A random network whose weights are so large that a wrong position changes what it writes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**TINY)).eval().requires_grad_(False)


@torch.inference_mode()
def writes(
    network: Any, texts: list[list[int]], tokens: int, remember: bool = True
) -> list[list[Any]]:
    """What a network writes after each text, the likeliest token each time, and how many tokens it
    then knows to have read; it ``remember``s what it has read, or reads all anew for each token."""
    found, known = [], []
    for text in texts:
        written: list[int] = []
        given, memory = torch.tensor([text]), None
        for _ in range(tokens):
            said = network(given, past_key_values=memory, use_cache=remember)
            memory = said.past_key_values if remember else None
            written.append(int(said.logits[0, -1].argmax()))
            given = torch.tensor([written[-1:] if remember else text + written])
        found.append(written)
        known.append(memory.get_seq_length() if memory else len(text) + tokens - 1)
    return [found, known]


def wanted_writing(seed: int, layers: list[int], texts: list[list[int]], tokens: int) -> list[Any]:
    """What :func:`writes` gives of :func:`tiny_llama` without the attention of ``layers``: stock
    modules with their output set to zero, all read anew for each token."""
    network = tiny_llama(seed)
    for layer in layers:
        network.model.layers[layer].self_attn.register_forward_hook(
            lambda _module, _args, output: (torch.zeros_like(output[0]), *output[1:])
        )
    return writes(network, texts, tokens, remember=False)


def nats_of(student: str) -> float:
    """Mean cost of a token of the student's text without the attention of their layer."""
    return _nats(mine(student, "layer", range(30)), mine(student, "text", TEXTS))


@cache
def _nats(layer: int, text: str) -> float:
    model = the_model()
    ids = model.tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad(), api.dropped(model, [(layer, "attention")]) as rest:
        logs = rest.model(ids).logits[0, :-1].double().log_softmax(-1)
    return float(-logs.gather(1, ids[0, 1:, None]).mean())


# 2: masks


def wrong_mask(scores: Tensor, amount: float, keep: Tensor) -> str:
    """What is wrong with the mask of what stays of ``scores`` (rows, columns), in one line; empty
    if nothing is. Any choice among equals is right."""
    if keep.shape != scores.shape or keep.dtype != torch.bool:
        return f"the mask is {keep.dtype} of {tuple(keep.shape)}: bool of {tuple(scores.shape)}"
    count, gone = int(amount * scores.shape[1]), ~keep
    for row, number in enumerate(gone.sum(1).tolist()):
        if number != count:
            return f"of {scores.shape[1]} weights of a row {number} go, and {count} were to go"
        if number > 0 and scores[row][gone[row]].max() > scores[row][keep[row]].min():
            return "a weight goes while one with a lower score stays"
    return ""


def gone_of(student: str) -> float:
    """Share of the student's matrix in four bits at or under the threshold of 20% of each row."""
    return _gone(mine(student, "layer", range(30)))


@cache
def _gone(layer: int) -> float:
    mlp: Any = the_model().decoder.layers[layer].mlp
    weight = mlp.down_proj.weight
    steps = (weight / weight.abs().amax(1, keepdim=True) * 7).round().abs()
    last = int(AMOUNT * steps.shape[1]) - 1
    return float((steps <= steps.sort(1).values[:, last : last + 1]).double().mean())


# 3: questions in two forms


def read_by(model: LoadedModel, right: Callable[..., Any], probe: Probe) -> dict[str, list[str]]:
    """The texts that ``model`` reads, in order, while a probe is asked in each form."""
    read: dict[str, list[str]] = {}
    network: Any = model.model
    for form in ("choice", "writing"):
        seen = read[form] = []

        def note(_module: Any, args: Any, seen: list[str] = seen) -> None:
            seen += model.tokenizer.batch_decode(args[0], skip_special_tokens=True)

        hook = network.get_input_embeddings().register_forward_pre_hook(note)
        try:
            right(model, probe, form)
        finally:
            hook.remove()
    return read


def asked_apart(read: dict[str, list[str]]) -> str:
    """What differs between the two forms before the answer begins, in one line; empty if nothing
    does."""
    if not read["choice"] or not read["writing"]:
        return "in one of the two forms the model reads nothing"
    alike = takewhile(lambda letters: len({*letters}) == 1, zip(*read["choice"], strict=False))
    before = " ".join("".join(letters[0] for letters in alike).split())
    begun = " ".join(read["writing"][0].split())
    if before == begun:
        return ""
    return f"before an answer, the choice reads {before!r}, and writing reads {begun!r}"


def gaps_of(student: str) -> tuple[float, float]:
    """Choice less writing of the dense model on the student's questions, with the answer's
    beginning in both forms, and with it in neither."""
    return _gaps(mine(student, "family", FAMILIES))


@cache
def _gaps(family: str) -> tuple[float, float]:
    model, found = the_model(), []
    own = probes(family, QUESTIONS)
    for end in ("prefix", "plain"):
        forms = [f"choice, {end}", f"generation, {end}"]
        rows = probe_rows(model.decoder, model.tokenizer, own, False, forms=forms)
        means = rows.groupby("form")["value"].mean()
        found.append(float(means[forms[0]] - means[forms[1]]))
    return found[0], found[1]
