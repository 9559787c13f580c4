"""A GGUF file, of one model: what it says it holds, and whether that can be a model here."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.errors import InputError, first_line
from helpers.models.architecture import LAYOUTS

SUFFIX = ".gguf"
MAGIC = b"GGUF"
HEAD, EMBEDDING = "output.weight", "token_embd.weight"


@dataclass(frozen=True)
class Gguf:
    """A file's ``quantization``, such as ``Q4_K_M``, and the names of its ``tensors``."""

    path: Path
    quantization: str
    tensors: tuple[str, ...]


def read_gguf(path: Path) -> Gguf:
    """What the header of a GGUF file says.

    Raises :class:`InputError` for a file that is none, is cut off or damaged, is one part of
    several, has no tokenizer, or another architecture than those that are known.
    """
    from gguf import GGUFReader

    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path} is no GGUF file: it does not begin with GGUF")
    try:
        reader = GGUFReader(path)
        small = [key for key in reader.fields if key.startswith(("general.", "split."))]
        said = {key: reader.fields[key].contents() for key in small}
    except Exception as error:  # whatever the library raises, of whatever kind
        raise InputError(
            f"{path} is cut off or damaged ({first_line(error)}): fetch it again"
        ) from error
    if int(said.get("split.count", 1)) > 1:
        raise InputError(
            f"{path} is one of {said['split.count']} parts: join them first (llama-gguf-split "
            "--merge), or give a model that is one file"
        )
    _refuse_architecture(path, str(said.get("general.architecture", "none")))
    tokens = reader.fields.get("tokenizer.ggml.tokens")
    if tokens is None or not tokens.data:
        raise InputError(
            f"{path} holds no tokens (tokenizer.ggml.tokens): give a file with its tokenizer"
        )
    kinds = Counter(tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) > 1)
    usual = kinds.most_common(1)[0][0] if kinds else ""
    return Gguf(
        path,
        _file_type(said.get("general.file_type")) or usual,
        tuple(tensor.name for tensor in reader.tensors),
    )


def _file_type(number: Any) -> str:
    """``Q4_K_M`` for 15, as llama.cpp numbers them; empty for one that is not known."""
    from gguf import LlamaFileType

    if number not in [each.value for each in LlamaFileType]:
        return ""
    return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")


def _refuse_architecture(path: Path, named: str) -> None:
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    known = sorted(set(GGUF_SUPPORTED_ARCHITECTURES) & set(LAYOUTS))
    if named not in known:
        raise InputError(
            f"{path} has architecture {named!r}, which is not supported as a GGUF file; supported "
            f"are {', '.join(known)}"
        )
