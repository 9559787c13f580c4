"""What makes two models' outputs differ: the weights, the history, or the text? (Appendix D)

Six readers read on together. Each differs from the next in one thing alone, so the difference
between the dense and the pruned model, both writing freely, is a sum of three steps, in two orders.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Guest, Held, Reader, continued, likeliest, lockstep
from helpers.decoding.reader import read_states
from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import model_facts
from helpers.spaces import Comparison
from measurements import pruned_model
from measurements.generation import compare_outputs
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from runs.columns import (
    CATEGORY,
    CENTRED,
    FLAG,
    PROMPT,
    SPACE,
    STEP,
    TEMPERATURE,
    TEXT,
    VALUE,
    Column,
)
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, *pruned_model.USES, "sweep_steps", "temperature")
TABLE = (
    PROMPT,
    CATEGORY,
    STEP,
    Column("parted", FLAG, "whether the texts read so far differ"),
    Column(
        "order",
        TEXT,
        "what is exchanged first: the parameters (parameters, history, tokens) or the text "
        "(tokens, history, parameters)",
        ("parameters_first", "tokens_first"),
    ),
    Column(
        "term",
        TEXT,
        "parameters: the pruned weights at the current token; history: the states of earlier "
        "positions, of the same tokens; tokens: the other text; whole: all of it",
        ("parameters", "history", "tokens", "whole"),
    ),
    SPACE,
    CENTRED,
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "share: projection of the term on the whole difference Δ over ‖Δ‖², shares add up to 1; "
        "size: ‖term‖/‖Δ‖; relative: ‖term‖/‖dense‖; angular and kl: by how much the term raises "
        "1 − cos from dense and KL(dense‖·), in nats; residual: ‖Σ terms − Δ‖/‖dense‖, Δ from two "
        "other passes without cache",
        ("share", "size", "relative", "angular", "kl", "residual"),
    ),
    VALUE,
)
ORDERS = {
    "parameters_first": ("dense", "dense_history", "forced", "free"),
    "tokens_first": ("dense", "dense_on_free", "free_history", "free"),
}
TERMS = {
    "parameters_first": ("parameters", "history", "tokens"),
    "tokens_first": ("tokens", "history", "parameters"),
}

LABELS = ("term", "space", "centred", "metric")
Numbers = dict[tuple[str, str, bool, str], Tensor]  # by LABELS, of R texts each


@measurement(*USES, tables={"terms": TABLE})
def decomposition(parameters: RunParameters) -> Measured:
    """Split the difference of two models' outputs while both write freely, step by step.

    Parameters first: the pruned weights read the current token on the dense model's history;
    then on the pruned model's own history of the same tokens (teacher forcing); then on the
    pruned model's own text. Tokens first: the dense model reads the pruned text; then the
    current token of it on the pruned model's history; then with the pruned weights. A history is
    the residual stream at all earlier positions, see :class:`helpers.decoding.Guest`.

    Table ``terms``, for ``sweep_steps`` greedy steps of each prompt while both texts run.
    """
    begin = prompted(parameters, parameters.sweep_steps)
    prompts, mask = begin.prompts, begin.attention_mask
    refuse_single_tokens(mask)
    pruned, words = pruned_counterpart(parameters, begin.dense)
    pieces = Pieces(begin.decoder, pruned, begin.input_ids, mask, begin.ends)
    frame = pieces.run(parameters.sweep_steps, parameters.temperature)
    frame["prompt"] = [prompts[row].id for row in frame["row"]]
    frame["category"] = [prompts[row].category for row in frame["row"]]
    facts = {"model": model_facts(begin.dense), "pruned": words, "prompts": len(prompts)}
    return Measured({"terms": frame.drop(columns="row")}, facts)


def refuse_single_tokens(attention_mask: Tensor) -> None:
    """:class:`InputError` if a prompt of mask (B, T) is a single token."""
    if not bool(attention_mask[:, :-1].any(-1).all()):
        raise InputError(
            "a prompt of one token has no history to exchange: give prompts of at least two"
        )


@dataclass
class Pieces:
    """Two models that write on after prompts (B, T), with the four readers between them."""

    dense: Decoder
    pruned: Decoder
    input_ids: Tensor
    attention_mask: Tensor
    ends: tuple[int, ...] = ()

    def run(self, steps: int, temperature: float) -> pd.DataFrame:
        """The table of terms, with the ``row`` of each text instead of its prompt."""
        comparison = Comparison(self.dense.head, self.dense.final_norm, temperature)
        count, device = len(self.input_ids), self.dense.device
        ends = torch.tensor(self.ends, dtype=torch.long, device=device)
        running = torch.ones(count, dtype=torch.bool, device=device)
        same = running.clone()
        written: tuple[list[list[int]], ...] = tuple([[] for _ in range(count)] for _ in range(2))
        frames, wholes = [], []
        for step in self._together(steps):
            chosen = [step.tokens[name].to(device) for name in ("dense", "free")]
            texts = running.nonzero()[:, 0]
            held = {name: one.rows(texts) for name, one in step.held.items()}
            for order, names in ORDERS.items():
                at = pd.DataFrame({"row": texts.tolist(), "parted": (~same[texts]).tolist()})
                at = at.assign(step=step.number, order=order)
                readings = [held[name] for name in names]
                numbers, whole = terms_between(comparison, readings, TERMS[order])
                frames.append(_frame(at, numbers))
                wholes.append((at, whole))
            for row in texts.tolist():
                for text, tokens in zip(written, chosen, strict=True):
                    text[row].append(int(tokens[row]))
            same &= chosen[0] == chosen[1]
            running &= ~(torch.isin(chosen[0], ends) | torch.isin(chosen[1], ends))
            if not running.any():
                break
        table = pd.concat([*frames, *self._residuals(wholes, written)], ignore_index=True)
        softmaxed = table["space"].eq("probability")
        return table.assign(temperature=softmaxed.map({True: temperature, False: None}))

    def _together(self, steps: int) -> Any:
        """All readers, step by step. Guests come before their hosts, on whose past they read."""
        refuse_single_tokens(self.attention_mask)
        dense = Reader(self.dense, self.attention_mask)
        free = Reader(self.pruned, self.attention_mask)
        readers: dict[str, Guest | Reader] = {
            "dense_history": Guest(self.pruned, dense),
            "free_history": Guest(self.dense, free),
            "dense": dense,
            "free": free,
            "forced": Reader(self.pruned, self.attention_mask),
            "dense_on_free": Reader(self.dense, self.attention_mask),
        }
        for reader in readers.values():
            if isinstance(reader, Reader):
                reader.read(self.input_ids[:, :-1])

        def decide(number: int, held: Any) -> dict[str, Tensor]:
            own = {name: likeliest(number, held[name].logits) for name in ("dense", "free")}
            return {
                name: own["free" if name in ("free", "free_history", "dense_on_free") else "dense"]
                for name in readers
            }

        together = lockstep(readers, self.input_ids[:, -1:], steps, decide)
        yield from tqdm(together, total=steps, desc="Taking apart, step", mininterval=2.0)

    def _residuals(
        self, wholes: list[tuple[pd.DataFrame, Tensor]], written: tuple[list[list[int]], ...]
    ) -> Iterator[pd.DataFrame]:
        """How far the sums of terms are from the difference that two other passes find, each
        model reading its own text at once, without cache."""
        outputs = []
        for decoder, texts in zip((self.dense, self.pruned), written, strict=True):
            given = continued(
                self.input_ids, self.attention_mask, [tokens[:-1] for tokens in texts]
            )
            outputs.append(read_states(decoder, *given)[0].to(self.dense.device).double())
        for at, whole in wholes:
            places = (at["step"] - at["row"].map(lambda row: len(written[0][row]))).tolist()
            dense, pruned = (output[at["row"].tolist(), places] for output in outputs)
            missed = (whole - (pruned - dense)).norm(dim=-1) / dense.norm(dim=-1)
            yield _frame(at, {("whole", "embedding", False, "residual"): missed})


def _frame(at: pd.DataFrame, numbers: Numbers) -> pd.DataFrame:
    """One row for each text (a row of ``at``) and number."""
    return pd.concat(
        at.assign(**dict(zip(LABELS, key, strict=True)), value=values.cpu().numpy())
        for key, values in numbers.items()
    )


def terms_between(
    comparison: Comparison, held: list[Held], names: tuple[str, ...]
) -> tuple[Numbers, Tensor]:
    """Numbers (R,) of every term between consecutive ones of the four readings ``held``; and the
    sum (R, d) of the terms in the embedding space.

    ``names`` are the three terms, in the order in which things are exchanged (Equation 71).
    """
    states = torch.stack([one.state.double() for one in held])
    steps = states.diff(dim=0)  # (3, R, d)
    vectors = torch.cat([steps, states[:1]])
    numbers = {
        (term, *space, metric): values
        for space, products in _products(comparison.head, vectors, held).items()
        for (term, metric), values in _shares(names, products).items()
    }
    return numbers | _gains(comparison, held, names), steps.sum(0)


def _products(head: Head, vectors: Tensor, held: list[Held]) -> dict[tuple[str, bool], Tensor]:
    """Inner products (4, 4, R) of the three terms and the dense vector, by linear space and
    whether it is centred."""
    if head.linear:
        plain = torch.einsum("ird,jrd->ijr", vectors @ head.gram, vectors)
        level = vectors @ head.mean_row
        common = len(head.weight) * torch.einsum("ir,jr->ijr", level, level)
    else:
        z = torch.stack([one.logits.double() for one in held])
        z = torch.cat([z.diff(dim=0), z[:1]])
        plain = torch.einsum("irv,jrv->ijr", z, z)
        common = z.shape[-1] * torch.einsum("ir,jr->ijr", z.mean(-1), z.mean(-1))
    embedding = torch.einsum("ird,jrd->ijr", vectors, vectors)
    return {
        ("embedding", False): embedding,
        ("logit", False): plain,
        ("logit", True): plain - common,
    }


def _shares(names: tuple[str, ...], products: Tensor) -> dict[tuple[str, str], Tensor]:
    """Shares and sizes by term and metric, from inner products (4, 4, R): the three terms, then the
    dense vector.

    Where the models do not differ at all, there is nothing to share and every number is 0.
    """
    terms, dense = products[:3, :3], products[3, 3]
    own = torch.stack([terms[place, place] for place in range(3)]).clamp(min=0)
    whole = terms.sum((0, 1)).clamp(min=0)
    safe = torch.where(whole > 0, whole, torch.ones_like(whole))
    numbers = {
        "share": terms.sum(1) / safe,
        "size": (own / safe).sqrt(),
        "relative": (own / dense).sqrt(),
    }
    found = {
        (name, metric): value
        for metric, values in numbers.items()
        for name, value in zip(names, values, strict=True)
    }
    return found | {("whole", "relative"): (whole / dense).sqrt()}


def _gains(comparison: Comparison, held: list[Held], names: tuple[str, ...]) -> Numbers:
    """By how much each term raises the deviation from dense, in every space, and the whole."""
    levels = [compare_outputs(comparison, held[0], one) for one in held[1:]]
    found: Numbers = {}
    for space, metric, quantity in levels[0]:
        if quantity == "measured" and metric in ("angular", "kl"):
            reached = torch.stack([level[space, metric, quantity] for level in levels])
            gains = torch.cat([reached[:1], reached.diff(dim=0), reached[-1:]])
            for name, gain in zip((*names, "whole"), gains, strict=True):
                found[name, space.space, space.centred, metric] = gain
    return found
