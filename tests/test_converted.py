"""GGUF files as models: tiny ones that are written here, and the files that are pinned."""

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from conftest import LAYERS, VOCABULARY, WIDTH, tiny_model
from tokenizers import pre_tokenizers

from helpers import __main__ as command
from helpers.errors import InputError
from helpers.models import LAYOUTS, converted, fingerprint, known, load
from helpers.models.gguf_file import HEAD, read_gguf
from helpers.models.load import check_exists, located, model_facts
from runs.parameters import RunParameters

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = ["<pad>", "<s>", "</s>", *LETTERS, "ab"]
TOKENS += [f"<{number}>" for number in range(len(TOKENS), VOCABULARY)]
SECOND = "qwen2.5-coder-0.5b"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no hub."""
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def model(**changes: Any) -> Any:
    return tiny_model("qwen2", tie_word_embeddings=False, **changes)


def tensors(net: Any) -> dict[str, np.ndarray]:
    """The weights of a network under their names in a GGUF file."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, LAYERS)
    return {
        names.get_name(key, try_suffixes=(".weight", ".bias")): value.numpy()
        for key, value in net.state_dict().items()
    }


def written(path: Path, weights: dict[str, np.ndarray], **changes: Any) -> Path:
    """A GGUF file; ``changes`` are of its architecture, tokens, and number of parts."""
    writer = gguf.GGUFWriter(path, changes.get("architecture", "qwen2"))
    writer.add_context_length(256)
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    if parts := changes.get("parts"):
        writer.add_uint16("split.count", parts)
    if tokens := changes.get("tokens", TOKENS):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
        writer.add_token_merges(["a b"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
    for name, value in weights.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_file_is_a_model_with_the_weights_that_it_holds(tmp_path: Path, cache: Path) -> None:
    net = model()
    path = written(tmp_path / "mine.gguf", tensors(net))
    found = load(str(path), device="cpu")
    for key, value in net.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[key], value, rtol=0, atol=0)
    ids = torch.tensor([[5, 9, 200]])
    torch.testing.assert_close(found.model(ids).logits, net(ids).logits)
    assert found.tokenizer("ab")["input_ids"] == [TOKENS.index("ab")]
    assert found.name == "mine"
    assert found.fingerprint == f"gguf-sha256:{converted.sha256(path)}"
    assert found.size.endswith("k (Q4_K_M)")
    facts = model_facts(found)
    assert facts["quantization"] == "Q4_K_M"
    assert facts["parameters"] == facts["release_parameters"]  # this head is one of its own


def test_converted_once_by_its_hash_wherever_it_lies(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "mine.gguf", tensors(model()))
    load(str(path), device="cpu")
    monkeypatch.setattr(converted, "_convert", None)
    moved = tmp_path / "elsewhere" / "mine.gguf"
    moved.parent.mkdir()
    shutil.move(path, moved)
    again = load(str(moved), device="cpu")
    (folder,) = (one for one in (cache / "models").iterdir() if one.is_dir())
    assert again.fingerprint.removeprefix("gguf-sha256:").startswith(folder.name[-16:])
    monkeypatch.undo()
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(cache))
    (folder / "config.json").write_text("{}")  # damaged: it is made again
    assert load(str(moved), device="cpu").size == again.size


def test_a_head_that_is_the_embedding_rounded_otherwise_is_counted_apart(tmp_path: Path) -> None:
    net = model()
    weights = tensors(net)
    embedding = weights["token_embd.weight"]
    noise = np.random.default_rng(0).normal(size=embedding.shape) * embedding.std()
    weights[HEAD] = (embedding + 0.05 * noise).astype(np.float32)
    facts = model_facts(load(str(written(tmp_path / "mine.gguf", weights)), device="cpu"))
    assert facts["parameters"] - facts["release_parameters"] == VOCABULARY * WIDTH
    assert facts["parameters"] == sum(value.numel() for value in net.parameters())
    del weights[HEAD]
    tied = model_facts(load(str(written(tmp_path / "tied.gguf", weights)), device="cpu"))
    assert tied["parameters"] == tied["release_parameters"] == facts["release_parameters"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


BAD: dict[str, tuple[dict[str, Any], Any, str]] = {
    "cut off": ({}, cut, r"mine\.gguf is cut off or damaged .*: fetch it again"),
    "cut off in its header": ({}, cut_in_header, r"mine\.gguf is cut off or damaged"),
    "something else": ({}, lambda path: path.write_text("hello"), "is no GGUF file"),
    "empty": ({}, lambda path: path.write_text(""), "is no GGUF file"),
    "other architecture": (
        {"architecture": "bloom"},
        None,
        r"architecture 'bloom', which is not supported as a GGUF file; supported are .*qwen2",
    ),
    "without tokens": ({"tokens": []}, None, r"holds no tokens \(tokenizer\.ggml\.tokens\)"),
    "one part of three": ({"parts": 3}, None, "is one of 3 parts: join them first"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_each(case: str, tmp_path: Path, cache: Path) -> None:
    changes, damage, words = BAD[case]
    path = written(tmp_path / "mine.gguf", tensors(model()), **changes)
    if damage:
        damage(path)
    for attempt in (check_exists, load):
        with pytest.raises(InputError, match=words) as error:
            attempt(str(path))
        assert "\n" not in str(error.value)
    assert not [one for one in (cache / "models").glob("*") if one.is_dir()]


@pytest.mark.parametrize(
    ("more", "less", "words"),
    [
        ("rope_freqs.weight", "", "holds 1 weights that are not read, the first rope_freqs.weight"),
        ("", "blk.1.ffn_up.weight", "lacks 1 weights, the first .*layers.1.mlp.up_proj.weight"),
    ],
)
def test_a_weight_too_many_or_too_few(more: str, less: str, words: str, tmp_path: Path) -> None:
    weights = tensors(model())
    weights.pop(less, None)
    if more:
        weights[more] = np.ones(4, np.float32)
    with pytest.raises(InputError, match=words):
        load(str(written(tmp_path / "mine.gguf", weights)))


def test_a_file_with_the_name_of_a_pinned_one_has_its_hash(tmp_path: Path) -> None:
    path = written(tmp_path / known.KNOWN[SECOND].file, tensors(model()))
    with pytest.raises(InputError, match=r"its sha256 is [0-9a-f]{16}…, not 1d9614638d18024d…"):
        check_exists(str(path))
    with pytest.raises(InputError, match="there is no file"):
        check_exists(str(tmp_path / "nothing.gguf"))


def test_a_pinned_file_that_cannot_be_had_says_what_would_help() -> None:
    with pytest.raises(InputError, match=r"give the path of qwen2.5-coder-.*\.gguf as the model"):
        check_exists(SECOND)


def test_a_pinned_file_from_the_hub_is_checked_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that the hub's own cache holds."""
    one = known.KNOWN[SECOND]
    path = written(tmp_path / one.file, tensors(model()))
    asked: list[Any] = []

    def downloaded(*what: str, **options: str) -> str:
        asked.append((*what, options))
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", downloaded)
    with pytest.raises(InputError, match=r"is damaged: its sha256 is .*; remove it"):
        load(SECOND)
    assert asked == [(one.hub, one.file, {"revision": one.revision})]


def test_names_are_pinned() -> None:
    assert set(known.KNOWN) >= {SECOND, "qwen2.5-7b", "mistral-7b-instruct", "llama-3-8b"}
    for name, one in known.KNOWN.items():
        assert len(one.revision) == 40 or not one.hub
        assert bool(one.file) == bool(one.sha256) == bool(one.quantization)
        if not one.file:
            assert located(name) == (one.hub, one.revision)
            assert located(name, "other") == (one.hub, "other")
    assert located("a/b") == ("a/b", "main")
    assert known.KNOWN[RunParameters().model].hub == ""


def test_a_known_name_asks_the_hub_for_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        sha = "0" * 40

    asked: list[Any] = []
    monkeypatch.setattr(
        "huggingface_hub.model_info", lambda *what, **how: asked.append((what, how)) or Answer
    )
    assert fingerprint("qwen3-8b") == f"hub-commit:{'0' * 40}"
    ((what, how),) = asked
    assert what == ("Qwen/Qwen3-8B",)
    assert how["revision"] == known.KNOWN["qwen3-8b"].revision


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["models"]) == 0
    shown = capsys.readouterr().out
    for one in known.KNOWN.values():
        (line,) = (each for each in shown.splitlines() if each.startswith(f"{one.name} "))
        assert all(word in line for word in (one.hub, one.revision, one.licence))
    assert "494M (Q4_K_M)" in shown
    assert len(set(map(len, shown.split("\n")))) < len(known.KNOWN)
    with pytest.raises(SystemExit):
        command.main([])


def test_supported_architectures_are_told_from_the_library(tmp_path: Path) -> None:
    assert {"llama", "qwen2", "qwen3"} <= set(LAYOUTS)
    held = read_gguf(written(tmp_path / "mine.gguf", tensors(model())))
    assert held.quantization == "Q4_K_M"
    assert len(held.tensors) == len(list(model().parameters()))


@pytest.mark.slow
def test_the_embedded_file_is_what_its_entry_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole conversion, into an empty cache."""
    found = load("smollm2-135m", device="cpu")
    one = known.KNOWN["smollm2-135m"]
    assert found.size == "135M (Q4_1)"
    assert found.decoder.parameter_count == one.parameters == one.counted
    folder = converted.folder(converted.source("smollm2-135m"))  # type: ignore[arg-type]
    stamp = json.loads((folder / converted.STAMP).read_text())
    assert stamp["quantization"] == one.quantization
    assert not stamp["copied_head"]
