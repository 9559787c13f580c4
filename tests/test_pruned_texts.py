"""Texts of dense and pruned models: Hugging Face's own as the oracle, and the measurement whole."""

import pytest
import torch
from conftest import VOCABULARY, tiny_batch, tiny_model
from transformers import AutoModelForCausalLM

from chapters.inconsistent_effects.pruned_texts import pruned_models, pruned_texts
from helpers.decoding import Sampler, write
from helpers.models.architecture import Decoder
from helpers.pruning.drop import drop
from helpers.texts.data import select_prompts
from measurements.generation import Pairing
from runs.parameters import validate

STEPS = 9


def test_greedy_texts_equal_generate(architecture):
    model = tiny_model(architecture)
    ids, mask = tiny_batch()
    free = model.generate(
        ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, eos_token_id=None
    )[:, ids.shape[1] :].tolist()
    assert write(Decoder.of(model), ids, mask, STEPS) == free
    end = free[0][4]
    cut = [text[: text.index(end) + 1] if end in text else text for text in free]
    assert write(Decoder.of(model), ids, mask, STEPS, (end,)) == cut


def test_drawn_texts_are_those_of_the_paired_run():
    """The same seeds give the same texts, whoever writes beside."""
    dense = Decoder.of(tiny_model("llama"))
    pruned = drop(Decoder.of(tiny_model("llama")), ((1, "mlp"),))
    ids, mask = tiny_batch()
    names = [(seed, f"prompt {row}") for row, seed in enumerate((3, 3, 4))]
    pairing = Pairing(dense, pruned, ids, mask, Sampler(names, 0.7))
    pairing.run(STEPS, 0.7, forced=False)
    for decoder, expected in zip((dense, pruned), pairing.written, strict=True):
        assert write(decoder, ids, mask, STEPS, choose=Sampler(names, 0.7)) == expected


@pytest.mark.parametrize("sampling", [False, True])
def test_measurement_holds_every_setting(tiny_folder, tmp_path, sampling):
    values = {
        "model": str(tiny_folder),
        "device": "cpu",
        "results": str(tmp_path),
        "prompts": "MC1,Math1",
        "max_new_tokens": 4,
        "dropped": 2,
        "calibration_samples": 2,
        "calibration_length": 32,
        "sampling": sampling,
        "repeats": 2,
    }
    run = validate(values)
    measured = pruned_texts(run)
    tokens = measured.table("tokens")
    names = ["Drop-2A", "Drop-2M"] if sampling else ["Drop-1A", "Drop-2A", "Drop-1M", "Drop-2M"]
    assert list(measured.manifest["facts"]["pruned"]) == names
    assert set(tokens["prompt"]) == {"MC1", "Math1", "Table2"}
    assert set(tokens["seed"]) == ({0, 1} if sampling else {0})
    keys = ["target", "amount", "seed", "prompt", "writer"]
    texts = tokens.groupby(keys, observed=True)["token"].apply(tuple)
    assert len(texts) == len(names) * (2 if sampling else 1) * 3 * 2
    dense = texts.xs("dense", level="writer").groupby(["seed", "prompt"], observed=True)
    assert (dense.nunique() == 1).all()
    assert (tokens["value"] < 0).all()
    assert tokens["token"].between(0, VOCABULARY - 1).all()
    random = validate(values | {"method": "random", "seed": 5})
    assert list(pruned_models(random)) == ["Random 50%"]


def test_likelihood_is_that_of_one_forward_pass(tiny_folder, tiny_tokenizer, tmp_path):
    """Each token's value against Hugging Face's own logits on the same text, unpadded."""
    values = {"model": str(tiny_folder), "device": "cpu", "results": str(tmp_path)}
    values |= {"prompts": "MC2", "chat_template": False, "max_new_tokens": 5, "dropped": 1}
    run = validate(values | {"calibration_samples": 2, "calibration_length": 32})
    tokens = pruned_texts(run).table("tokens", prompt="MC2", writer="pruned", target="mlp")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float64)
    prompt = tiny_tokenizer(select_prompts("MC2")[0].text)["input_ids"]
    written = tokens.sort_values("step")["token"].tolist()
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + written])).logits[0]
    for step, token in enumerate(written):
        expected = logits[len(prompt) + step - 1].log_softmax(-1)[token]
        assert tokens.sort_values("step")["value"].iloc[step] == pytest.approx(
            float(expected), abs=1e-4
        )
