"""One sentence on its way through the model, and what each task reads of it. (Section 3)

Equation numbers are those of arXiv 2603.24652. The way from states to logits is
:meth:`helpers.models.head.Head.logits` (Equation 3), from logits to log p
:func:`helpers.theory.log_p` (Equation 4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import theory
from helpers.decoding import end_tokens, greedy, refuse_too_long
from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, load, model_facts
from helpers.pruning.drop import dropped
from helpers.pruning.importance import importance
from helpers.pruning.selection import DropTarget, one_shot
from helpers.spaces import deviation, vector_products
from helpers.texts.data import quoted, refuse_unknown_tokens
from measurements.calibrated import calibration_for
from runs.columns import AMOUNT, COUNT, METHOD, TARGET, TEXT, VALUE, Column
from runs.parameters import CALIBRATION, RunParameters
from runs.store import Measured, measurement

SENTENCE = "The capital of France is"
DOCUMENTS = (
    "Bread is made from flour, water, salt and yeast.",
    "The capital of a company is the money that it owns.",
    "Cats sleep for most of the day.",
    "Paris is the seat of the French government.",
    "The moon goes around the Earth once a month.",
)
OPTIONS = {"A": "Rome", "B": "Paris", "C": "Madrid", "D": "Berlin"}
LISTED = "\n".join(
    ["Question: What is the capital of France?"]
    + [f"{letter}. {word}" for letter, word in OPTIONS.items()]
    + ["Answer:"]
)
RIGHT = {"document": DOCUMENTS[3], "letter": "B", "word": OPTIONS["B"]}
# what is read, after which text, and how the options are named there
FORMS = {
    "letters": (LISTED, tuple(OPTIONS)),
    "words": (LISTED, tuple(OPTIONS.values())),
    "sentence": (SENTENCE, tuple(OPTIONS.values())),
}
DROPS: dict[DropTarget, int] = {"attention": 4, "mlp": 2}
TOP = 5
USES = ("model", "revision", "dtype", "temperature", "max_new_tokens", "seed", *CALIBRATION)
TABLE = (
    METHOD,
    TARGET,
    AMOUNT,
    Column(
        "stage",
        TEXT,
        "where on the way of one sentence through the model the number is read; comparison: "
        "dense and pruned side by side",
        (
            *("token", "state", "lens", "output", "comparison"),
            *("retrieval", "multiple_choice", "generation"),
        ),
    ),
    Column(
        "layer",
        COUNT,
        "layers that the state has passed, 0 for the token embedding; -1 "
        "where the number is of no single layer",
    ),
    Column(
        "form",
        TEXT,
        "how it is read: raw or normed (lens); last or mean (pooling of a text's states); letters "
        "or words after a list of options, or words after the sentence; empty if there is one way",
    ),
    Column("position", COUNT, "place in a text, or rank by probability, from 0; -1 for none"),
    Column("item", TEXT, "token, document, option, space or text that the number belongs to"),
    Column(
        "metric",
        TEXT,
        "id of a token; norm of a state; cosine_to_previous layer's state; probability, "
        "log_probability (natural logarithm); entropy in nats; probability_of_next: of the token "
        "that the model gives out; cosine; mass: probability of all options together; length in "
        "tokens",
    ),
    VALUE,
)
DEFAULTS = {
    "method": "dense",
    "target": "all",
    "amount": 0.0,
    "layer": -1,
    "form": "",
    "position": -1,
    "item": "",
}

Row = dict[str, Any]
Spaces = dict[str, Tensor]  # the vector that each space holds at the last token
Pooling = Literal["last", "mean"]


@measurement(*USES, tables={"readouts": TABLE})
def readouts(parameters: RunParameters) -> Measured:
    """Follow ``SENTENCE`` through the model, then read the three spaces as tasks do.

    Table ``readouts``: tokens, the last token's state after every layer and what the two lenses
    make of it, and for the dense model and for each of ``DROPS`` the next tokens, the similarity
    of documents, the probability of options, and a greedy continuation. Sublayers to drop are
    ranked on calibration text. One sentence: an illustration, which has no spread.
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    texts = (SENTENCE, LISTED, *DOCUMENTS)
    known, lengths = loaded.decoder.embedded_tokens, []
    for text in texts:
        ids = loaded.tokenizer(text)["input_ids"]
        refuse_unknown_tokens(quoted(text), ids, loaded.tokenizer, known)
        lengths.append(len(ids))
    longest = max(lengths)
    refuse_too_long(loaded.model, longest + parameters.max_new_tokens, "max_new_tokens")
    used = calibration_for(parameters, loaded.tokenizer, loaded.decoder)
    ranked = importance(loaded.decoder, used.ids)
    dense = _Reader(loaded, loaded.decoder, parameters)
    rows = [*dense.tokens(), *dense.states(), *dense.lenses(), *dense.tasks()]
    places: dict[str, list[int]] = {}
    for target, wanted in tqdm(DROPS.items(), "Reading without sublayers"):
        chosen = one_shot(ranked, target, min(wanted, len(loaded.decoder.layers)))
        places[target] = [layer for layer, _ in chosen]
        removed = {"method": "drop", "target": target, "amount": float(len(chosen))}
        with dropped(loaded.decoder, chosen) as remaining:
            pruned = _Reader(loaded, remaining, parameters)
            rows += [row | removed for row in pruned.tasks()]
        for space, vector in dense.spaces.items():
            moved = float(cosine(vector, pruned.spaces[space]))
            rows.append(_row("comparison", "cosine", moved, item=space) | removed)
    facts = {
        "model": model_facts(loaded),
        "sentence": SENTENCE,
        "right": RIGHT,
        "dropped": places,
        "calibration": used.description,
    }
    return Measured({"readouts": pd.DataFrame([DEFAULTS | row for row in rows])}, facts)


@dataclass
class _Reader:
    """A model as it is now, dense or pruned, with the sentence read once."""

    loaded: LoadedModel
    decoder: Decoder
    parameters: RunParameters

    def __post_init__(self) -> None:
        self.ids = self._ids(SENTENCE)
        self.held = layer_states(self.decoder, self._tensor(self.ids))
        self.spaces = self._spaces(self.held[-1])

    def tokens(self) -> Iterator[Row]:
        """Equation 1: text as token ids."""
        for place, token in enumerate(self.ids):
            yield _row("token", "id", token, position=place, item=self._text(token))

    def states(self) -> Iterator[Row]:
        """Equation 2: the last token's state, layer by layer."""
        last = self.held[:, -1].double()
        turned = cosine(last[:-1], last[1:])
        for layer, length in enumerate(torch.linalg.vector_norm(last, dim=-1).tolist()):
            yield _row("state", "norm", length, layer=layer)
        for layer, value in enumerate(turned.tolist(), start=1):
            yield _row("state", "cosine_to_previous", value, layer=layer)

    def lenses(self) -> Iterator[Row]:
        """Equations 3 and 4 on every layer's state, with and without the final norm."""
        token = int(self.spaces["logit"].argmax())
        for layer, state in enumerate(self.held[:, -1:]):
            for lens in ("raw", "normed"):
                place = {"layer": layer, "form": lens}
                log_p = theory.log_p(self._logits(state, lens), self.parameters.temperature)
                yield from self._likeliest("lens", log_p, **place)
                yield _row("lens", "entropy", float(entropy(log_p)), **place)
                value, item = float(log_p[token].exp()), self._text(token)
                yield _row("lens", "probability_of_next", value, item=item, **place)

    def tasks(self) -> Iterator[Row]:
        """What the next token, retrieval, multiple choice and generation read."""
        log_p = theory.log_p(self.spaces["logit"], self.parameters.temperature)
        yield from self._likeliest("output", log_p)
        yield _row("output", "entropy", float(entropy(log_p)))
        yield from self._retrieval()
        for form, (text, options) in FORMS.items():
            yield from self._choice(form, text, options)
        yield from self._continuation()

    def _retrieval(self) -> Iterator[Row]:
        """Equation 5, the sentence as the query."""
        documents = [self._final(self._states(text)) for text in DOCUMENTS]
        query = self._final(self.held[-1])
        for pooling in get_args(Pooling):
            vectors = torch.stack([pooled(states, pooling) for states in documents])
            values = cosine(pooled(query, pooling).expand_as(vectors), vectors)
            for text, value in zip(DOCUMENTS, values.tolist(), strict=True):
                yield _row("retrieval", "cosine", value, form=pooling, item=text)

    def _choice(self, form: str, text: str, options: tuple[str, ...]) -> Iterator[Row]:
        """Equation 6: the probability of each option's first token, and of all of them."""
        prompt = self._ids(text)
        first = [first_token(prompt, self._ids(f"{text} {option}")) for option in options]
        logits = self._logits(self._states(text)[-1:], "normed")
        log_p = theory.log_p(logits, self.parameters.temperature)
        for option, token in zip(options, first, strict=True):
            place = {"form": form, "item": option}
            yield _row("multiple_choice", "id", token, **place)
            yield _row("multiple_choice", "log_probability", float(log_p[token]), **place)
        yield _row("multiple_choice", "mass", mass(log_p, first), form=form)

    def _continuation(self) -> Iterator[Row]:
        """What the model writes if each time it takes the likeliest token and reads it again."""
        ids = self._tensor(self.ids)
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        ends = end_tokens(model, tokenizer)
        steps = greedy(model, ids, torch.ones_like(ids), self.parameters.max_new_tokens, ends)
        written = [int(step.tokens[0]) for step in steps]
        for place, token in enumerate(written):
            yield _row("generation", "id", token, position=place, item=self._text(token))
        text = tokenizer.decode(written, skip_special_tokens=True)
        yield _row("generation", "length", len(written), item=text)

    def _likeliest(self, stage: str, log_p: Tensor, **place: Any) -> Iterator[Row]:
        values, tokens = log_p.exp().topk(TOP)
        for rank, (value, token) in enumerate(zip(values.tolist(), tokens.tolist(), strict=True)):
            item = self._text(token)
            yield _row(stage, "probability", value, position=rank, item=item, **place)

    def _spaces(self, states: Tensor) -> Spaces:
        """h, z and p (d,), (V,), (V,) of the last token, as the model's own output reads them."""
        z = self._logits(states[-1:], "normed")
        p = theory.log_p(z, self.parameters.temperature).exp()
        return {"embedding": self._final(states[-1:])[0], "logit": z, "probability": p}

    def _logits(self, state: Tensor, lens: str) -> Tensor:
        """z (V,) float64 of one state (1, d)."""
        read = self._final(state) if lens == "normed" else state
        return self.decoder.head.logits(read)[0].double()

    @torch.inference_mode()
    def _final(self, states: Tensor) -> Tensor:
        return self.decoder.final_norm(states).to(states.device)

    def _states(self, text: str) -> Tensor:
        """States (T, d) of a text after the last layer, before the final norm."""
        return layer_states(self.decoder, self._tensor(self._ids(text)))[-1]

    def _ids(self, text: str) -> list[int]:
        return list(self.loaded.tokenizer(text)["input_ids"])

    def _tensor(self, ids: list[int]) -> Tensor:
        model: Any = self.loaded.model
        return torch.tensor([ids], device=model.device)

    def _text(self, token: int) -> str:
        return str(self.loaded.tokenizer.decode([token]))


def _row(stage: str, metric: str, value: float, **place: Any) -> Row:
    return {"stage": stage, "metric": metric, "value": float(value)} | place


@torch.inference_mode()
def layer_states(decoder: Decoder, ids: Tensor) -> Tensor:
    """h⁽⁰⁾ … h⁽ᴸ⁾ (L + 1, T, d) of one text (1, T): the embeddings, then the residual stream
    after each layer, before the final norm (Equation 2)."""
    states: list[Tensor] = []

    def keep(state: Any) -> None:
        found = state[0] if isinstance(state, tuple) else state
        states.append(found.detach().reshape(ids.shape[1], -1).to(decoder.device, copy=True))

    def before(_module: Any, args: Any, keywords: Any) -> None:
        keep(args[0] if args else keywords["hidden_states"])

    handles = [decoder.layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    for layer in decoder.layers:
        handles.append(layer.register_forward_hook(lambda _module, _args, output: keep(output)))
    try:
        backbone: Any = decoder.model.base_model
        backbone(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(states)


def entropy(log_p: Tensor) -> Tensor:
    """−Σ p log p in nats (…,) from log p (…, V): 0 for one certain token, log V at most."""
    return torch.special.entr(log_p.exp()).sum(-1)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """cos(a, b) (…,) float64 of vectors (…, d); retrieval reads nothing else (Equation 5)."""
    return deviation(*vector_products(a, b))["cosine"]


def pooled(states: Tensor, pooling: Pooling) -> Tensor:
    """One vector (d,) float64 for a text, from the final states (T, d) of its tokens: their mean,
    or the last one, which alone has read the whole text."""
    wide = states.double()
    return wide[-1] if pooling == "last" else wide.mean(0)


def first_token(prompt: Sequence[int], whole: Sequence[int]) -> int:
    """The token that an answer begins with, from the tokens of the prompt and of prompt + answer.

    Tokenizers split text as a whole, so an answer tokenized by itself may begin otherwise.
    Raises :class:`InputError` if the answer changes how the prompt itself is split.
    """
    if len(whole) <= len(prompt) or list(whole[: len(prompt)]) != list(prompt):
        raise InputError("this tokenizer joins an answer to the prompt: there is no first token")
    return whole[len(prompt)]


def mass(log_p: Tensor, candidates: Sequence[int]) -> float:
    """Σ p_c over the distinct candidates of C, from log p (V,): how much of the whole vocabulary
    a multiple choice looks at (Equation 6)."""
    return float(log_p[sorted(set(candidates))].exp().sum())
