"""How does a task read what a model holds? The next token, retrieval, multiple choice (Section 3).

Equation numbers are those of arXiv 2603.24652. The way from states to logits is
:meth:`helpers.models.head.Head.logits` (Equation 3), from logits to log p
:func:`helpers.theory.log_p` (Equation 4).
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.spaces import deviation, vector_products

Pooling = Literal["last", "mean"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


@torch.inference_mode()
def layer_states(decoder: Decoder, ids: Tensor) -> Tensor:
    """h⁽⁰⁾ … h⁽ᴸ⁾ (L + 1, T, d) of one text (1, T): the embeddings, then the residual stream
    after each layer, before the final norm (Equation 2)."""
    states: list[Tensor] = []

    def keep(state: Any) -> None:
        found = state[0] if isinstance(state, tuple) else state
        states.append(found.detach().reshape(ids.shape[1], -1).to(decoder.device, copy=True))

    def before(_module: nn.Module, args: Any, keywords: Any) -> None:
        keep(args[0] if args else keywords["hidden_states"])

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        keep(output)

    handles = [decoder.layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [layer.register_forward_hook(after) for layer in decoder.layers]
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
    """cos(a, b) (…,) float64 of vectors (…, d)."""
    return deviation(*vector_products(a, b))["cosine"]


def pooled(states: Tensor, pooling: Pooling) -> Tensor:
    """One vector (d,) float64 for a text, from the final states (T, d) of its tokens: their mean,
    or the last one, which alone has read the whole text."""
    wide = states.double()
    return wide[-1] if pooling == "last" else wide.mean(0)


def similarities(query: Tensor, documents: Tensor) -> Tensor:
    """cos(h_q, h_d) (D,) float64 of a query (d,) with each document (D, d) (Equation 5).

    Retrieval takes the documents from the largest down; it reads nothing else.
    """
    return cosine(query.expand_as(documents), documents)


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
