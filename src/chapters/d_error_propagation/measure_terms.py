"""What makes two models' outputs differ: the weights, the history, or the text? (Appendix D)

Six readers read on together. Each differs from the next in one thing alone, so the difference
between the dense and the pruned model, both writing freely, is a sum of three steps, in two orders.
"""

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

Found = list[tuple[dict[str, Any], Tensor]]


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
    rows = pieces.run(parameters.sweep_steps, parameters.temperature)
    frame = pd.DataFrame(rows)
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

    def run(self, steps: int, temperature: float) -> list[dict[str, Any]]:
        """Rows of the table of terms: one for each text, step, order, term, space and metric."""
        comparison = Comparison(self.dense.head, self.dense.final_norm, temperature)
        count, device = len(self.input_ids), self.dense.device
        ends = torch.tensor(self.ends, dtype=torch.long, device=device)
        running = torch.ones(count, dtype=torch.bool, device=device)
        same = running.clone()
        written: tuple[list[list[int]], ...] = tuple([[] for _ in range(count)] for _ in range(2))
        rows: list[dict[str, Any]] = []
        wholes: dict[tuple[int, int], dict[str, Tensor]] = {}
        for step in self._together(steps):
            chosen = [step.tokens[name].to(device) for name in ("dense", "free")]
            texts = running.nonzero()[:, 0]
            held = {name: one.rows(texts) for name, one in step.held.items()}
            for order, names in ORDERS.items():
                found, sums = terms_between(
                    comparison, [held[name] for name in names], TERMS[order]
                )
                for place, row in enumerate(texts.tolist()):
                    at = {
                        "row": row,
                        "step": step.number,
                        "parted": not bool(same[row]),
                        "order": order,
                    }
                    rows += [at | one | {"value": float(values[place])} for one, values in found]
                    wholes.setdefault((row, step.number), {})[order] = sums[place]
            for row in texts.tolist():
                for text, tokens in zip(written, chosen, strict=True):
                    text[row].append(int(tokens[row]))
            same &= chosen[0] == chosen[1]
            running &= ~(torch.isin(chosen[0], ends) | torch.isin(chosen[1], ends))
            if not running.any():
                break
        return rows + self._residuals(wholes, written)

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
        self, wholes: dict[tuple[int, int], dict[str, Tensor]], written: Any
    ) -> list[dict[str, Any]]:
        """How far the sums of terms are from the difference that two other passes find, each
        model reading its own text at once, without cache."""
        outputs = []
        for decoder, texts in zip((self.dense, self.pruned), written, strict=True):
            given = continued(
                self.input_ids, self.attention_mask, [tokens[:-1] for tokens in texts]
            )
            outputs.append(read_states(decoder, *given)[0].to(self.dense.device).double())
        rows = []
        for (row, step), sums in wholes.items():
            place = step - len(written[0][row])
            delta = outputs[1][row, place] - outputs[0][row, place]
            for order, total in sums.items():
                scale = outputs[0][row, place].norm()
                rows.append(
                    {
                        "row": row,
                        "step": step,
                        "parted": written[0][row][:step] != written[1][row][:step],
                        "order": order,
                        "term": "whole",
                        "space": "embedding",
                        "centred": False,
                        "temperature": None,
                        "metric": "residual",
                        "value": float((total - delta).norm() / scale),
                    }
                )
        return rows


def terms_between(
    comparison: Comparison, held: list[Held], names: tuple[str, ...]
) -> tuple[Found, Tensor]:
    """Numbers (R,) of every term between consecutive ones of the four readings ``held``, each with
    the columns that say what it is; and the sum (R, d) of the terms in the embedding space.

    ``names`` are the three terms, in the order in which things are exchanged (Equation 71).
    """
    states = torch.stack([one.state.double() for one in held])
    steps = states.diff(dim=0)  # (3, R, d)
    vectors = torch.cat([steps, states[:1]])
    found: Found = []
    for space, centred, products in _products(comparison.head, vectors, held):
        described = {"space": space, "centred": centred, "temperature": None}
        found += _shares(described, names, products)
    found += _gains(comparison, held, names)
    return found, steps.sum(0)


def _products(head: Head, vectors: Tensor, held: list[Held]) -> list[tuple[str, bool, Tensor]]:
    """Inner products (4, 4, R) of the three terms and the dense vector, in each linear space."""
    found = [("embedding", False, torch.einsum("ird,jrd->ijr", vectors, vectors))]
    if head.linear:
        images = vectors @ head.gram
        plain = torch.einsum("ird,jrd->ijr", images, vectors)
        level = vectors @ head.mean_row
        common = len(head.weight) * torch.einsum("ir,jr->ijr", level, level)
    else:
        z = torch.stack([one.logits.double() for one in held])
        z = torch.cat([z.diff(dim=0), z[:1]])
        plain = torch.einsum("irv,jrv->ijr", z, z)
        common = z.shape[-1] * torch.einsum("ir,jr->ijr", z.mean(-1), z.mean(-1))
    return [*found, ("logit", False, plain), ("logit", True, plain - common)]


def _shares(described: dict[str, Any], names: tuple[str, ...], products: Tensor) -> Found:
    """Shares and sizes from inner products (4, 4, R): the three terms, then the dense vector.

    Where the models do not differ at all, there is nothing to share and every number is 0.
    """
    terms = products[:3, :3]
    whole = terms.sum((0, 1)).clamp(min=0)
    dense = products[3, 3]
    safe = torch.where(whole > 0, whole, torch.ones_like(whole))
    found: Found = []
    for place, name in enumerate(names):
        own = terms[place, place].clamp(min=0)
        numbers = {
            "share": terms[place].sum(0) / safe,
            "size": (own / safe).sqrt(),
            "relative": (own / dense).sqrt(),
        }
        found += [(described | {"term": name, "metric": one}, v) for one, v in numbers.items()]
    relative = {"term": "whole", "metric": "relative"}
    return [*found, (described | relative, (whole / dense).sqrt())]


def _gains(comparison: Comparison, held: list[Held], names: tuple[str, ...]) -> Found:
    """By how much each term raises the deviation from dense, in every space, and the whole."""
    levels = []
    for one in held[1:]:
        levels.append(compare_outputs(comparison, held[0], one))
    found: Found = []
    for space, metric, quantity in levels[0]:
        if quantity != "measured" or metric not in ("angular", "kl"):
            continue
        reached = torch.stack([level[space, metric, quantity] for level in levels])
        gains = torch.cat([reached[:1], reached.diff(dim=0)])
        softmaxed = space.space == "probability"
        described = {
            "space": space.space,
            "centred": space.centred,
            "temperature": comparison.temperature if softmaxed else None,
            "metric": metric,
        }
        found += [
            (described | {"term": name}, gain) for name, gain in zip(names, gains, strict=True)
        ]
        found.append((described | {"term": "whole"}, reached[-1]))
    return found
