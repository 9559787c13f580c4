"""Is a parted text rescued when the dense model chooses one token in so many?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Held, Reader, likeliest, lockstep, two_likeliest
from helpers.models.architecture import Decoder
from helpers.models.load import model_facts
from measurements import pruned_model
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from measurements.token_table import TOKENS, Writing, token_table
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, *pruned_model.USES, "sweep_steps")
EVERY = (2, 4, 8)  # one token in so many is the dense model's
CONTROL = 4  # as often the control takes the pruned model's own second choice instead


@measurement(*USES, tables={"tokens": TOKENS})
def rescue(parameters: RunParameters) -> Measured:
    """Let a pruned model write ``sweep_steps`` tokens greedily while the dense model reads along
    and chooses one token in k: the k-th, the 2k-th, and so on. All texts are written at once.

    Table ``tokens``: the dense text, the pruned model's own (``every`` 0), one for each
    other k, a control, and what the pruned model would choose on the dense text (``forced``).
    """
    begin = prompted(parameters, parameters.sweep_steps)
    dense, prompts = begin.dense, begin.prompts
    pruned, words = pruned_counterpart(parameters, dense)

    given = begin.input_ids, begin.attention_mask, begin.ends
    helped = Helped(begin.decoder, pruned, *given)
    writings = helped.run(parameters.sweep_steps)
    rows = [(parameters.seed, prompt) for prompt in prompts]
    tokens = token_table(rows, writings, dense.tokenizer)
    facts = {"model": model_facts(dense), "pruned": words, "prompts": len(prompts)}
    return Measured({"tokens": tokens}, facts)


@dataclass
class Copies:
    """A reader that reads the prompts (B, T) once, and then goes on with ``times`` copies of each,
    block after block."""

    reader: Reader
    times: int

    def read(self, tokens: Tensor) -> Held:
        """Read ``tokens`` on, (B, T) at first and (times · B, 1) later; the latter is held."""
        begins = not self.reader.length
        held = self.reader.read(tokens)
        if not begins:
            return held
        self.reader.copy_texts(self.times)
        return Held(held.state.repeat(self.times, 1), held.logits.repeat(self.times, 1))


@dataclass
class Helped:
    """A dense and a pruned model that read the same texts, written after prompts (B, T)."""

    dense: Decoder
    pruned: Decoder
    input_ids: Tensor
    attention_mask: Tensor
    ends: tuple[int, ...] = ()
    every: tuple[int, ...] = EVERY
    control: int = CONTROL
    kinds: list[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        own = [("pruned", each) for each in (0, *self.every)]
        self.kinds = [("dense", 1), *own, ("control", self.control)]

    @torch.inference_mode()
    def run(self, steps: int) -> list[Writing]:
        """The texts, each up to its end, with the dense model's log-likelihood of every token
        after the text before it; last the tokens that the pruned model would choose on the dense
        texts."""
        prompts, device = len(self.input_ids), self.dense.device
        copies = prompts * len(self.kinds)
        readers = {
            name: Copies(Reader(decoder, self.attention_mask), len(self.kinds))
            for name, decoder in (("dense", self.dense), ("pruned", self.pruned))
        }
        texts: list[list[int]] = [[] for _ in range(copies + prompts)]
        values: list[list[float]] = [[] for _ in texts]
        running = torch.ones(copies, dtype=torch.bool, device=device)
        ends = torch.tensor(self.ends, dtype=torch.long, device=device)
        together = lockstep(readers, self.input_ids, steps, self._decide)
        for step in tqdm(together, total=steps, desc="Helping, step", mininterval=2.0):
            chosen, logits = step.tokens["dense"].to(device), step.held["dense"].logits
            level = logits.logsumexp(-1)
            would = likeliest(step.number, step.held["pruned"].logits[:prompts]).to(device)
            for first, tokens in ((0, chosen), (copies, would)):  # dense texts come first
                likely = logits[: len(tokens)].gather(-1, tokens[:, None])[:, 0].double()
                likely -= level[: len(tokens)].double()
                for row in running[: len(tokens)].nonzero()[:, 0].tolist():
                    texts[first + row].append(int(tokens[row]))
                    values[first + row].append(float(likely[row]))
            running &= ~torch.isin(chosen, ends)
            if not running.any():
                break
        kept = [torch.tensor(one, dtype=torch.float64) for one in values]
        places = [slice(first, first + prompts) for first in range(0, len(texts), prompts)]
        named = [*self.kinds, ("forced", 0)]
        return [
            Writing(writer, texts[place], kept[place], 0 if writer == "dense" else every)
            for (writer, every), place in zip(named, places, strict=True)
        ]

    def _decide(self, number: int, held: Mapping[str, Held]) -> dict[str, Tensor]:
        """The pruned model's choice, and where help is due the dense model's, or in the control
        the pruned model's second."""
        device, prompts = self.dense.device, len(self.input_ids)
        offered = likeliest(number, held["dense"].logits)
        own = held["pruned"].logits.to(device)
        chosen = likeliest(number, own).clone()
        for place, (writer, every) in enumerate(self.kinds):
            if not helped_at(number, every):
                continue
            rows = slice(place * prompts, (place + 1) * prompts)
            second = two_likeliest(own[rows])[1]
            chosen[rows] = second if writer == "control" else offered[rows]
        return {"dense": chosen, "pruned": chosen}


def helped_at(step: int, every: int) -> bool:
    """Whether the token of this step, counted from 0, is the ``every``-th, or a multiple of it;
    with 0 none is.

    >>> [step for step in range(9) if helped_at(step, 4)]
    [3, 7]
    """
    return every > 0 and (step + 1) % every == 0
