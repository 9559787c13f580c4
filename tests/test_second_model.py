"""The second model of the book, where its file has been converted: it is not in the project."""

import numpy as np
import pytest
import torch

from helpers.capture import capture
from helpers.decoding import greedy
from helpers.models import LoadedModel, converted, load
from helpers.models.known import KNOWN
from helpers.models.load import model_facts
from helpers.spaces import LENSES, Comparison
from helpers.texts.data import select_prompts, tokenize
from tests.test_spaces import compare_one

NAME = "qwen2.5-coder-0.5b"
STEPS, SUBLAYERS = 16, 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def second() -> LoadedModel:
    file = converted.source(NAME)
    assert file is not None
    if not converted.intact(file.target):
        pytest.skip(f"{NAME} is not in the cache: give its file as the model once")
    return load(NAME, device="cpu")


def test_both_counts_and_the_quantization_are_told(second: LoadedModel) -> None:
    facts, one = model_facts(second), KNOWN[NAME]
    assert (facts["parameters"], facts["release_parameters"]) == (one.counted, one.parameters)
    assert facts["size"] == "494M (Q4_K_M)"
    assert second.fingerprint == f"gguf-sha256:{one.sha256}"
    assert second.tokenizer.chat_template


def test_layer_profile_equals_float64(second: LoadedModel) -> None:
    """48 sublayers at 16 steps, of which three are computed apart, in float64 on the same float32
    projections."""
    decoder = second.decoder
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    ids, mask = tokenize(select_prompts("Math2"), second.tokenizer, True, "cpu")
    chosen = np.random.default_rng(0).choice(len(decoder.sublayers), SUBLAYERS, replace=False)
    with torch.inference_mode(), capture(decoder) as trace:
        steps = 0
        for _ in greedy(second.model, ids, mask, STEPS):
            states, pairs = trace.states, trace.states.pairs
            chain = states.tensor[:, 0, 0]
            found = comparison.chain(chain, pairs)
            both = torch.cat([chain, decoder.final_norm(chain)])
            logits = decoder.head.logits(both).chunk(2)
            for lens, seen, read in zip(LENSES, both.chunk(2), logits, strict=True):
                h, z = seen.numpy().astype(np.float64), read.numpy().astype(np.float64)
                for number in chosen:
                    compare_one(found, lens, number, pairs[number], h, z, 1.0)
            steps += 1
    assert (steps, len(pairs)) == (STEPS, 48)
