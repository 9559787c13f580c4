"""How large is a model? From a table, or from the configuration in its folder; weights unread."""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from helpers.models.known import KNOWN

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
TABLE = Path(__file__).with_name("models.csv")  # as their configurations on the hub have it


@dataclass(frozen=True)
class Size:
    """What a model's cost follows from; ``parameters`` counts tied ones once."""

    parameters: int
    layers: int
    width: int
    inner: int
    vocabulary: int
    tied: bool

    @property
    def head(self) -> int:
        """Weights of the projection onto the vocabulary."""
        return self.vocabulary * self.width

    @property
    def body(self) -> int:
        """Parameters that a token's pass multiplies with, without embedding and head."""
        return self.parameters - self.head * (1 if self.tied else 2)

    def bytes(self, dtype: str) -> int:
        """Of its weights."""
        return self.parameters * BYTES[dtype]


@cache
def size_of(name: str, revision: str = "main") -> Size | None:
    """The size of a model by name, hub id or folder; None where nothing here tells it.

    The table comes first; else a configuration in a folder, or in the hub's cache on this machine.
    No weight is read and no network is asked.
    """
    name = re.sub(r"\+rotated\d*$", "", name)  # its head is counted once
    if name in KNOWN and name not in _table():
        name = KNOWN[name].hub.removesuffix("-GGUF")  # a file of a release, dequantized
    if name in _table():
        return _table()[name]
    folder = Path(name).expanduser()
    path = folder if (folder / "config.json").is_file() else _cached(name, revision)
    return _described(path) if path else None


@cache
def _table() -> dict[str, Size]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    fields = ("parameters", "layers", "width", "inner", "vocabulary")
    return {
        row["name"]: Size(**{each: int(row[each]) for each in fields}, tied=row["tied"] == "1")
        for row in rows
    }


def _cached(name: str, revision: str) -> Path | None:
    """Folder of a hub model's configuration, if it was ever fetched."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _described(folder: Path) -> Size | None:
    """The size of the model that a configuration describes, built without memory for weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError):  # no configuration that the library knows, or no decoder
        return None
    return counted(model, config)


def counted(model: Any, config: Any) -> Size:
    """The size of a model that is there, its parameters counted one by one."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    width = config.hidden_size
    return Size(
        parameters=sum(each.numel() for each in model.parameters()),
        layers=config.num_hidden_layers,
        width=width,
        inner=getattr(config, "intermediate_size", None) or 4 * width,
        vocabulary=config.vocab_size,
        tied=head is None or head.weight is embedding.weight,
    )
