"""Tiny random models of every supported architecture, made from configurations."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

WIDTH, LAYERS, VOCABULARY = 32, 4, 300
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
OWN = {
    "qwen3": {"head_dim": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "final_logit_softcapping": 5.0,
        "sliding_window": 6,
    },
    "mistral": {"sliding_window": 6},
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": 256},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": WIDTH, "init_std": 0.3},
}
ARCHITECTURES = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "phi3",
    "gemma2",
    "gpt_neox",
    "gpt_neox_sequential",
    "gpt2",
    "opt",
]


def tiny_model(architecture: str, seed: int = 0, **changes: object) -> torch.nn.Module:
    """A random model with weights large enough that every sublayer matters."""
    model_type = architecture.removesuffix("_sequential")
    settings = SMALL | OWN.get(model_type, {}) | changes
    if architecture == "gpt_neox_sequential":
        settings["use_parallel_residual"] = False
    if model_type in {"gpt2", "opt", "gpt_neox"}:
        settings.pop("num_key_value_heads")
    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **settings)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter += 0.2 * torch.randn_like(parameter)
            elif name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture
def little_text(tmp_path: Path) -> str:
    """A file of text to calibrate with."""
    path = tmp_path / "text.txt"
    path.write_text("Pruned models keep their choices and lose their sentences. " * 40)
    return str(path)


def tiny_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three sequences of 5, 9 and 7 tokens, padded on the left: ids and mask (3, 9)."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    for row, length in enumerate((5, 9, 7)):
        mask[row, : 9 - length] = 0
        ids[row, : 9 - length] = 0
    return ids, mask


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--keep`` writes anew what the chapters are compared with, instead of comparing."""
    parser.addoption("--keep", action="store_true", help="write tests/kept anew, compare nothing")


@pytest.fixture(autouse=True, scope="session")
def results_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What tests measure without saying where goes to a folder of its own."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(folder))
        yield folder


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a chat template, made here."""
    special = ["<pad>", "<s>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(special + letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    wrapped.chat_template = (
        "{% for message in messages %}<s>{{ message['content'] }}</s>{% endfor %}"
    )
    return wrapped


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """The same tokenizer for all tests."""
    return byte_tokenizer()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: object) -> Path:
    """A folder as another tool would have saved it: a tiny Llama with its tokenizer."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny_model("llama", max_position_embeddings=512).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    return folder


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each supported architecture in turn."""
    return str(request.param)
