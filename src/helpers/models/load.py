"""Load a model by name, hub id or folder, and say exactly which one it was."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers.errors import InputError, refused
from helpers.machine import resolve_device
from helpers.models import converted, embedded_encoder
from helpers.models.architecture import Decoder
from helpers.models.hashes import remembered_sha256
from helpers.models.head import NoProjection
from helpers.models.known import EMBEDDED, KNOWN, size_in_words
from helpers.models.stored import (
    leave_out_sparsity_section,
    refuse_adapter,
    refuse_missing,
    refuse_other_family,
    refuse_other_shapes,
    refuse_unread,
    stored_formats,
)

FINGERPRINTED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model")
MODULES = "modules.json"  # the parts of a sentence-transformers model, some in folders below
DTYPES = ("float32", "bfloat16", "float16", "float64")
ROTATED = re.compile(r"(.+)\+rotated(\d{0,9})")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: weights, tokenizer, its parts, its identity, and the format in which
    each parameter is ``stored``, where that is known.

    ``quantization`` names that of the GGUF file it comes from, if any; ``copied_head`` tells that
    the file stores the head apart from the embedding, which its release does not.
    """

    name: str
    model: nn.Module
    tokenizer: Any
    decoder: Decoder
    fingerprint: str
    stored: dict[str, torch.dtype] = field(default_factory=dict)
    quantization: str = ""
    copied_head: bool = False

    @property
    def release_parameters(self) -> int:
        """Parameters of the release: those that are here, without a head that is a copy."""
        copied = self.decoder.head.weight.numel() if self.copied_head else 0
        return self.decoder.parameter_count - copied

    @property
    def size(self) -> str:
        """The release's parameter count in words that belong beside every verdict, such as
        ``135M``, with the quantization that its weights went through: ``135M (Q4_1)``."""
        words = size_in_words(self.release_parameters)
        return f"{words} ({self.quantization})" if self.quantization else words


def model_facts(loaded: LoadedModel) -> dict[str, Any]:
    """What a manifest says of the model: name, size in words, and its dimensions. ``parameters``
    are those that are counted here, ``release_parameters`` those of the release."""
    decoder = loaded.decoder
    return {
        "name": loaded.name,
        "size": loaded.size,
        "quantization": loaded.quantization,
        "parameters": decoder.parameter_count,
        "release_parameters": loaded.release_parameters,
        "layers": len(decoder.layers),
        "hidden_size": decoder.hidden_size,
        "vocabulary_size": decoder.vocabulary_size,
    }


def number_format(dtype: str) -> torch.dtype:
    """torch's format of that name; :class:`InputError` if it is none of :data:`DTYPES`."""
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}: known are {', '.join(DTYPES)}")
    found: torch.dtype = getattr(torch, dtype)
    return found


def load(
    name: str,
    revision: str = "main",
    dtype: str = "float32",
    device: str = "auto",
    tokenizer: Any = None,
) -> LoadedModel:
    """The model ``name`` in evaluation mode with frozen weights.

    ``name`` is one of :data:`helpers.models.known.KNOWN`, a GGUF file, a folder that holds
    ``config.json`` and safetensors, or a hub id. A checkpoint that was saved as a model without an
    LM head, as text encoders are, is loaded too, and then gives no logits. Sublayers that its
    configuration calls dropped are dropped (:func:`helpers.pruning.declared.declared`).
    ``tokenizer`` is taken where the folder has none.

    Every weight that the files hold is read and none is made up: else :class:`InputError` names
    the first. Code from the hub is never run and pickled weights are never read.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import GENERATION_CONFIG_NAME

    numbers, place = number_format(dtype), resolve_device(device)
    identity = fingerprint(name, revision)
    source, revision = located(name, revision)
    options: dict[str, Any] = {"trust_remote_code": False}
    if not Path(source).is_dir():
        options["revision"] = revision
    if place == "spread":
        options["device_map"] = "auto"
    refuse_adapter(source, name, revision)
    config = configuration(name, revision)
    if (Path(source) / GENERATION_CONFIG_NAME).is_file():  # a damaged one is ignored otherwise
        _described(GenerationConfig, name, revision)
    own = _tokenizer(name, revision, tokenizer)
    with refused(_failed(name)):
        model, notes = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=numbers,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # and refused below, by name
            **options,
        )
    refuse_other_shapes(notes["mismatched_keys"], name)
    if place != "spread":
        model.to(place)
    model.eval().requires_grad_(False)
    refuse_unread(notes["unexpected_keys"], name)
    stored = stored_formats(model, source, name, revision)
    decoder = Decoder.of(model)
    missing = set(notes["missing_keys"])
    if absent := _absent_head(model, missing):
        model.set_output_embeddings(NoProjection(model.get_input_embeddings().weight))
        decoder = Decoder.of(model)
    whole = {key for key, _ in model.named_parameters()}
    decoder = _without_declared(decoder)
    gone = whole - {key for key, _ in model.named_parameters()}
    _silence_missing(decoder, missing - absent - gone, name)
    return LoadedModel(_called(name), model, own, decoder, identity, stored, **_notes(name))


def _tokenizer(name: str, revision: str, parents: Any = None) -> Any:
    """The tokenizer of a model, or ``parents`` where it has none."""
    from transformers import AutoTokenizer

    try:
        found = _described(AutoTokenizer, name, revision, padding_side="left")
        if not knows_words(found):
            raise InputError("there is no vocabulary")
    except InputError as error:
        folder = Path(source_of(name))
        if parents is not None and not any(any(folder.glob(kind)) for kind in TOKENIZER_FILES):
            return parents
        raise InputError(
            f"model {name!r} has no tokenizer that can be read: put the tokenizer files of the "
            f"model that it was made from beside its weights ({error})"
        ) from error
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    return found


def knows_words(tokenizer: Any) -> bool:
    """Whether a tokenizer has a vocabulary: where its files are missing, some classes are made
    with an empty one, silently."""
    return not tokenizer.get_vocab().keys() <= tokenizer.get_added_vocab().keys()


def _without_declared(decoder: Decoder) -> Decoder:
    """The view without the sublayers that the model's own configuration calls dropped."""
    from helpers.pruning.declared import declared
    from helpers.pruning.drop import drop

    places = declared(decoder.model.config)
    return drop(decoder, places) if places else decoder


def _absent_head(model: Any, missing: set[str]) -> set[str]:
    """The LM head's weight among those ``missing``, where the checkpoint says that it has none:
    its architecture is such as ``MistralModel``."""
    bare = all(str(kind).endswith("Model") for kind in model.config.architectures or ("",))
    head = model.get_output_embeddings().weight
    names = {key for key, weight in model.named_parameters() if weight is head}
    return names if bare and names <= missing else set()


def _silence_missing(decoder: Decoder, missing: set[str], name: str) -> None:
    """Sublayers that a pruned checkpoint left out whole become zeros, which add nothing.

    transformers would fill any missing weight with random numbers and only warn; a weight that
    is missing by itself raises :class:`InputError`, and so does a last layer of which the files
    hold nothing: the configuration has more layers than they do.
    """
    if not missing:
        return
    names = {id(weight): key for key, weight in decoder.model.named_parameters()}
    held = [{names[id(weight)] for weight in layer.parameters()} for layer in decoder.layers]
    last = next((keys for keys in reversed(held) if keys), set())
    if last and last <= missing:
        raise InputError(
            f"model {name!r} has fewer layers than the {len(held)} that its config.json says: its "
            f"files hold no {min(last)} and nothing else of that layer; give a folder whose "
            "weights and configuration belong together"
        )
    absent = set(missing)
    for sublayer in decoder.sublayers:
        body = [*sublayer.weights("body")]
        if all(names[id(weight)] in missing for weight in body):
            for weight in (*body, *sublayer.weights("norm")):
                absent.discard(names[id(weight)])
            for weight in body:
                weight.zero_()
    refuse_missing(absent, name, ", or one that leaves out whole sublayers")


def fingerprint(name: str, revision: str = "main") -> str:
    """What pins the weights: a GGUF file's hash, a hash over a folder, a hub commit."""
    if (file := converted.source(name)) and not rotated(name):
        return f"gguf-sha256:{file.sha256}"
    if name == embedded_encoder.NAME:
        return f"safetensors-sha256:{embedded_encoder.WEIGHTS}"
    source, revision = located(name, revision)
    if Path(source).is_dir():
        return f"folder-sha256:{_folder_digest(Path(source))}"
    return f"hub-commit:{_hub_commit(source, revision)}"


def depth(name: str, revision: str = "main") -> int:
    """Number of layers of a model, from its configuration alone."""
    config = configuration(name, revision)
    with refused(_failed(name)):
        return int(config.num_hidden_layers)


def outline(name: str, revision: str = "main") -> LoadedModel:
    """The model ``name`` without its weights: its tokenizer, and parts that have shapes and no
    values. A model of any size takes no memory.

    Raises :class:`InputError` naming what is missing.
    """
    from transformers import AutoModelForCausalLM

    config = configuration(name, revision)
    tokenizer = _tokenizer(name, revision)
    with refused(_failed(name)), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    decoder = _without_declared(Decoder.of(model))
    identity = fingerprint(name, revision)
    return LoadedModel(_called(name), model, tokenizer, decoder, identity, **_notes(name))


def configuration(name: str, revision: str = "main") -> Any:
    """What config.json says of a model, of whose weights nothing is read. Raises
    :class:`InputError` if it is another family's, or says that they are quantized."""
    from transformers import AutoConfig

    config = _described(AutoConfig, name, revision)
    refuse_other_family(config, name)
    leave_out_sparsity_section(config, name)
    return config


def _described(kind: Any, name: str, revision: str, **options: Any) -> Any:
    """What the small files of a model hold of ``kind``, such as its configuration."""
    source, revision = located(name, revision)
    if not Path(source).is_dir():
        options["revision"] = revision
    with refused(_failed(name)):
        return kind.from_pretrained(source, trust_remote_code=False, **options)


def _failed(name: str) -> str:
    return f"model {name!r} cannot be loaded"


def check_exists(name: str) -> None:
    """Raise :class:`InputError` if ``name`` can be no model: a cheap look, nothing is loaded."""
    if turned := rotated(name):
        check_exists(turned[0])
    elif file := converted.source(name):
        converted.check(file)
    elif name != embedded_encoder.NAME:
        source_of(name)


def located(name: str, revision: str = "main") -> tuple[str, str]:
    """Folder or hub id of a model, as :func:`source_of`, and which revision of it: of a model that
    is known by name its pinned one, unless another is asked for; of a rotated copy, as
    :func:`rotated` says, its own folder."""
    if turned := rotated(name):
        from helpers.quantization.rotation import rotated_folder

        return str(rotated_folder(turned[0], revision, turned[1])), revision
    known = KNOWN.get(name)
    if known and revision == "main":
        revision = known.revision or revision
    return source_of(name), revision


def rotated(name: str) -> tuple[str, int] | None:
    """``smollm2-135m+rotated3`` → (``smollm2-135m``, 3): the same function of other weights, see
    :mod:`helpers.quantization.rotation`, turned with that seed (0 if none); None for others."""
    found = ROTATED.fullmatch(name)
    return (found[1], int(found[2] or 0)) if found and not Path(name).exists() else None


def _called(name: str) -> str:
    """What a model is called in results: a GGUF file without its folder."""
    if turned := rotated(name):
        return f"{_called(turned[0])}, rotated (seed {turned[1]})"
    file = converted.source(name)
    return file.name if file else name


def _notes(name: str) -> dict[str, Any]:
    """What is known of a model's file beyond its weights."""
    if turned := rotated(name):
        from helpers.quantization.rotation import copied_head

        base = _notes(turned[0])
        return base | {
            "copied_head": base.get("copied_head", False) or copied_head(located(name)[0])
        }
    file = converted.source(name)
    return converted.notes(file) if file else {}


def source_of(name: str) -> str:
    """Folder or hub id of a model name, refused early if it is plainly neither."""
    if file := converted.source(name):
        return str(converted.folder(file))
    if name in KNOWN:
        return KNOWN[name].hub
    if name == embedded_encoder.NAME:
        return str(embedded_encoder.encoder_folder())
    folder = Path(name).expanduser()
    if (folder / MODULES).is_file():
        return str(folder.resolve())
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"folder {name} is no model: it has no config.json")
        if not any(folder.glob("*.safetensors")):
            raise InputError(f"folder {name} has no weights: no *.safetensors file in it")
        return str(folder.resolve())
    parts = name.split("/")
    if len(parts) != 2 or not all(parts) or parts[0] in {".", "..", "~"}:
        raise InputError(
            f"unknown model {name!r}: known are {', '.join(KNOWN)}, a folder with config.json and "
            "safetensors, a .gguf file, or a hub id such as Qwen/Qwen2.5-0.5B-Instruct"
        )
    return name


def _folder_digest(folder: Path) -> str:
    below = ("", "*/") if (folder / MODULES).is_file() else ("",)
    kinds = [start + kind for start in below for kind in FINGERPRINTED]
    files = {str(path.relative_to(folder)): path for kind in kinds for path in folder.glob(kind)}
    with refused(f"folder {folder} cannot be read"):
        digests = {name: remembered_sha256(files[name]) for name in sorted(files)}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


@cache
def _hub_commit(name: str, revision: str) -> str:
    """Commit of a hub model: asked of the hub once a process, else read from the local cache."""
    from huggingface_hub import model_info, try_to_load_from_cache

    try:
        return str(model_info(name, revision=revision, timeout=20).sha)
    except Exception:
        cached = try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
    raise InputError(
        f"model {name!r} is not in the local cache and the hub is out of reach (or has no such "
        f"model): use {EMBEDDED}, or a folder with config.json and safetensors"
    )
