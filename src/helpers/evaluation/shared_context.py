"""lm-eval's Hugging Face model with a faster way to score answers, and the same scores.

The stock class reads every option's whole text, and makes logits over the vocabulary at every
place of it. Here what options, questions and few-shot contexts share is read once
(:mod:`helpers.evaluation.text_tree`), and the head runs at the scored places alone.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from tqdm import tqdm
from transformers import DynamicCache

from helpers.decoding import end_tokens, snapshot
from helpers.errors import InputError
from helpers.evaluation.asked_tasks import quiet
from helpers.evaluation.refilled import RefilledLM, can_share
from helpers.evaluation.seats import entry, masks
from helpers.evaluation.text_tree import Branching, Row, Text, Tokens, grown
from helpers.models import Decoder, LoadedModel
from helpers.models.onednn import by_onednn
from helpers.texts.data import conversation, quoted, refuse_unknown_tokens

ENOUGH = 512  # tokens with which a pass is as fast per token as with more …
EVEN = 0.9  # … so that no row need be shorter than this part of the longest
MASK = 2**26  # which tokens see which, of a pass: 256 MiB in float32
SCORED_AT_ONCE = 32  # places whose logits exist at the same time

Request = tuple[Any, list[int], list[int]]  # what was asked in words, context, continuation
Score = tuple[float, bool]  # log-likelihood in nats, and whether greedy decoding would write it


def language_model(loaded: LoadedModel, batch_size: int = 16, stock: bool = False) -> HFLM:
    """lm-eval's view of a model in memory, dense or pruned in place; nothing is loaded.

    A batch is as large as ``batch_size`` texts of the greatest length. ``stock`` gives lm-eval's
    own class instead. Raises :class:`helpers.errors.InputError` for an unknown architecture, and
    where neither the tokenizer nor the model names a token that ends or begins a text.
    """
    kind = HFLM if stock else SharedContextLM
    with quiet():  # it warns of every model that is not given by name
        return kind(pretrained=loaded.model, tokenizer=_complete(loaded), batch_size=batch_size)


def _complete(loaded: LoadedModel) -> Any:
    """The tokenizer with an end and a pad token, which lm-eval wants, both known to the model:
    itself if it has them."""
    found, known = loaded.tokenizer, loaded.decoder.embedded_tokens
    ends = found.eos_token_id, *end_tokens(loaded.model, found), found.bos_token_id
    usable = [token for token in ends if token is not None and token < known]
    if not usable:
        raise InputError(
            f"model {loaded.name!r} names no token that ends or begins a text, and tasks need one: "
            "add eos_token to its tokenizer_config.json"
        )
    pad = found.pad_token_id
    if found.eos_token_id == usable[0] and pad is not None and pad < known:
        return found
    found = copy.deepcopy(found)
    found.eos_token = found.pad_token = found.convert_ids_to_tokens(usable[0])
    return found


class SharedContextLM(RefilledLM):
    """Scores and writes as the stock class does, up to rounding.

    Logits and their log-softmax are float32 whatever the model's dtype, where the stock class
    keeps the dtype. Where two requests hold the same tokens but end their contexts at different
    places, the stock class (0.4.13) scores the shorter answer at wrong places; here each is
    scored at its own. A model whose attention or positions do not allow to share anything is
    left to the stock class.

    Chat templates are applied as the stock class does it, but always on the same day: a system
    turn is left out where a template takes none. :class:`InputError` where there is no template,
    where it fails (``template_switch`` names the parameter that asks for it), and for a token that
    the model does not know.
    """

    template_switch = "task_chat_template"

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Turns as the model's chat template writes them, ready for an answer."""
        others = [turn for turn in chat_history if turn["role"] != "system"]
        how = self.template_switch, add_generation_prompt
        try:
            return conversation(self.tokenizer, chat_history, *how)
        except InputError:
            return conversation(self.tokenizer, others, *how)

    def tok_encode(self, string: str, *args: Any, **options: Any) -> list[int]:
        """Token ids of a text, all of them known to the model."""
        ids: list[int] = super().tok_encode(string, *args, **options)
        self.refuse_unknown(string, ids)
        return ids

    def refuse_unknown(self, text: str, ids: Sequence[int]) -> None:
        """:class:`InputError` for a token of a task's text that the model does not know."""
        known = self.model.get_input_embeddings().weight.shape[0]
        what = f"task text that ends in {quoted(text[-50:])}"
        refuse_unknown_tokens(what, ids, self.tokenizer, known)

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[Score]:
        """Score of each request, in their order. Raises :class:`ValueError` for an empty context
        or answer, and for an answer that is longer than the model reads."""
        if not can_share(self.model):
            return super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)
        texts = [self._text(context, answer) for _, context, answer in requests]
        asked: dict[Tokens, list[int]] = {}
        for number, text in enumerate(texts):
            asked.setdefault(text.tokens, []).append(number)
        budget = int(override_bs or self.batch_size) * max(
            (len(text.tokens) for text in texts), default=0
        )
        decoder = Decoder.of(self.model)
        found: dict[int, Score] = {}
        bar = tqdm(
            total=len(requests),
            desc="Scoring answers",
            unit="answer",
            mininterval=2.0,
            disable=disable_tqdm,
        )
        with bar, by_onednn(self.model):
            for branching in grown(texts):
                trunk = _read_trunk(decoder, branching)
                for rows in _passes(branching.rows, budget):
                    states = _read_rows(decoder, rows, trunk)
                    wanted = [
                        (number, place, path[texts[number].first - row.start :])
                        for place, row in enumerate(rows)
                        for text, path in zip(row.texts, row.paths, strict=True)
                        for number in asked[text.tokens]
                    ]
                    answers = [requests[number][2] for number, _, _ in wanted]
                    scores = _scores(decoder, states, [item[1:] for item in wanted], answers)
                    found |= {item[0]: score for item, score in zip(wanted, scores, strict=True)}
                    bar.update(len(wanted))
        for number, (words, _, _) in enumerate(requests):
            if words is not None:
                self.cache_hook.add_partial("loglikelihood", words, found[number])
        return [found[number] for number in range(len(requests))]

    def _text(self, context: list[int], answer: list[int]) -> Text:
        """What is read to score an answer: all but its last token, cut on the left as the stock
        class does."""
        if not context or not answer:
            raise ValueError("an answer is scored after at least one token, and has one itself")
        if len(answer) > self.max_length:
            raise ValueError(
                f"an answer of {len(answer)} tokens; the model reads {self.max_length}"
            )
        tokens = tuple((context + answer)[-(self.max_length + 1) :][:-1])
        return Text(tokens, len(tokens) - len(answer))


def _passes(rows: Sequence[Row], budget: int) -> Iterator[list[Row]]:
    """Rows together, longest first, up to ``budget`` tokens with padding and trunks; where rows get
    much shorter than the first, a pass ends earlier."""
    together: list[Row] = []
    for row in sorted(rows, key=len, reverse=True):
        longest = len(together[0] if together else row)
        most = min(budget, MASK // longest)
        full = (row.start + longest) * (len(together) + 1) > most
        uneven = len(row) < EVEN * longest and longest * len(together) >= ENOUGH
        if together and (full or uneven):
            yield together
            together = []
        together.append(row)
    if together:
        yield together


@torch.inference_mode()
def _read_trunk(decoder: Decoder, branching: Branching) -> Any:
    """Keys and values of a trunk; None where there is none."""
    if not branching.trunk:
        return None
    tokens = torch.tensor([branching.trunk], device=entry(decoder))
    # a cache with no configuration keeps all of it, also where a model sees a window only
    options = {"past_key_values": DynamicCache(), "use_cache": True}
    backbone: Any = decoder.model.base_model
    return backbone(input_ids=tokens, **options).past_key_values


@torch.inference_mode()
def _read_rows(decoder: Decoder, rows: Sequence[Row], trunk: Any) -> Tensor:
    """States after the final norm, (B, T, d), of rows that are padded on the right."""
    width = max(map(len, rows))
    padded = [(row.tokens + [0] * width)[:width] for row in rows]
    tokens = torch.tensor(padded, device=entry(decoder))
    backbone: Any = decoder.model.base_model
    if all(row.straight for row in rows):
        return backbone(input_ids=tokens, use_cache=False).last_hidden_state
    places = torch.tensor([(row.places + [0] * width)[:width] for row in rows])
    return backbone(
        input_ids=tokens,
        position_ids=places.to(tokens.device),
        attention_mask=_masks(decoder, rows, places),
        past_key_values=_copies(trunk, len(rows)) if trunk else None,
        use_cache=trunk is not None,
    ).last_hidden_state


def _masks(decoder: Decoder, rows: Sequence[Row], places: Tensor) -> Any:
    """What is added to attention scores, (B, 1, T, start + T): one for all layers, or one for each
    kind of layer, as the model wants it."""
    count, width = places.shape
    start = rows[0].start
    seen = torch.zeros(count, width, start + width, dtype=torch.bool)
    for number, row in enumerate(rows):
        seen[number, : len(row), :start] = True
        seen[number, : len(row), start : start + len(row)] = row.sees()
    seen[:, :, start:] |= torch.eye(width, dtype=torch.bool)  # padding must see something
    keys = torch.cat([torch.arange(start).expand(count, start), places], dim=1)
    return masks(decoder, seen, places, keys)


def _copies(trunk: Any, count: int) -> Any:
    """A cache that begins with the trunk's keys and values in each of ``count`` rows: the same
    ones, seen many times."""
    copies = snapshot(trunk)
    for layer in copies.layers:
        if layer.is_initialized:
            layer.keys, layer.values = (
                held.expand(count, -1, -1, -1) for held in (layer.keys, layer.values)
            )
    return copies


def _scores(
    decoder: Decoder,
    states: Tensor,
    wanted: Sequence[tuple[int, list[int]]],
    answers: Sequence[list[int]],
) -> list[Score]:
    """Score of each answer, whose tokens follow the states (B, T, d) at a row and its places.

    Each state is projected once, however many answers go on from it.
    """
    width = states.shape[1]
    flat = [row * width + place for row, path in wanted for place in path]
    at, which = torch.tensor(flat).unique(return_inverse=True)
    tokens = torch.tensor([token for answer in answers for token in answer])
    lengths = torch.tensor([len(answer) for answer in answers])
    held = states.flatten(0, 1)[at.to(states.device)].to(decoder.device)
    own = torch.empty(len(tokens), dtype=torch.float64)
    likeliest = torch.empty(len(tokens), dtype=torch.bool)
    for begin in range(0, len(at), SCORED_AT_ONCE):
        z = decoder.head.logits(held[begin : begin + SCORED_AT_ONCE])
        here = ((which >= begin) & (which < begin + SCORED_AT_ONCE)).nonzero()[:, 0]
        place, token = which[here].to(z.device) - begin, tokens[here].to(z.device)
        # not logsumexp, which is nearer to float64: the same function rounds as the stock class
        own[here] = z.log_softmax(-1)[place, token].double().cpu()
        likeliest[here] = (z.argmax(-1)[place] == token).cpu()
    parts = zip(own.split(lengths.tolist()), likeliest.split(lengths.tolist()), strict=True)
    return [(float(part.sum()), bool(chosen.all())) for part, chosen in parts]
