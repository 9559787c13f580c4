"""The files of a text encoder: which kind of network they hold, and is all of it read?

They lie as sentence-transformers saves them, or as transformers does.
"""

import json
from pathlib import Path
from typing import Any

from helpers.errors import InputError, refused
from helpers.machine import resolve_device
from helpers.models.load import (
    FINGERPRINTED,
    MODULES,
    configuration,
    fingerprint,
    knows_words,
    located,
    number_format,
)
from helpers.models.stored import (
    refuse_adapter,
    refuse_missing,
    refuse_other_shapes,
    refuse_unread,
    stored_formats,
)

SMALL = ("*.json",)  # files that say what an encoder is


def sentence_transformer(name: str, revision: str, dtype: str, device: str) -> Any:
    """The sentence-transformers model of a folder or the hub, all of whose files are read.

    Raises :class:`InputError` for whatever stands against it, naming the first weight that is not
    read or is missing.
    """
    from sentence_transformers import SentenceTransformer

    numbers, place = number_format(dtype), resolve_device(device)
    folder = _whole(name, revision)
    inner = folder / _first_part(folder)
    refuse_adapter(str(inner), name, revision)
    configuration(str(inner))
    with refused(f"encoder {name!r} cannot be loaded"):
        model = SentenceTransformer(
            str(folder),
            device="cuda:0" if place == "spread" else place,
            model_kwargs={
                "dtype": numbers,
                "use_safetensors": True,
                "ignore_mismatched_sizes": True,  # and refused below, by name
            },
            trust_remote_code=False,
            local_files_only=True,
        )
        model.to(numbers)
        model.eval().requires_grad_(False)
        lost = not knows_words(model.tokenizer)
    backbone = getattr(model[0], "auto_model", None)
    if backbone is None:
        raise InputError(f"encoder {name!r} is no transformer, so it has no sublayers to prune")
    if lost:
        raise InputError(f"encoder {name!r} has no vocabulary: put its tokenizer files beside it")
    _refuse_unread(backbone, inner, name)
    return model


def _refuse_unread(backbone: Any, folder: Path, name: str) -> None:
    """:class:`InputError` unless every weight of the files in ``folder`` is one of ``backbone``,
    and the other way round, as for a model.

    sentence-transformers hands on nothing of what was read, so that the network is loaded once
    more. A head that the configuration names and an encoder does not have may be there. A pooler
    may be missing, which no vector of tokens depends on: it then is taken out, for transformers
    fills it with random numbers.
    """
    with refused(f"encoder {name!r} cannot be loaded"):
        again, notes = type(backbone).from_pretrained(
            folder,
            config=backbone.config,
            dtype=backbone.dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    refuse_other_shapes(notes["mismatched_keys"], name)
    own = {backbone.base_model_prefix, *(part for part, _ in backbone.named_children())}
    headed = not all(kind.endswith("Model") for kind in backbone.config.architectures or ())
    unread = notes["unexpected_keys"]
    refuse_unread((key for key in unread if not headed or key.split(".")[0] in own), name)
    stored_formats(again, str(folder), name, "main")
    missing = set(notes["missing_keys"])
    if any(key.startswith("pooler.") for key in missing):
        missing = {key for key in missing if not key.startswith("pooler.")}
        backbone.pooler = None
    refuse_missing(missing, name)


def _whole(name: str, revision: str) -> Path:
    """The folder with all files of an encoder; :class:`InputError` if its weights are pickled."""
    folder = _taken(name, revision, FINGERPRINTED)
    for part in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        if any(part.glob("*.bin")) and not any(part.glob("*.safetensors")):
            raise InputError(
                f"{part.name} holds pickled weights, which are not read: save the encoder with "
                "safetensors"
            )
    return folder


def architecture(name: str, revision: str) -> str:
    """What kind of network an encoder is, as its configuration says."""
    folder = _taken(name, revision, SMALL)
    config = _json(folder, f"{_first_part(folder)}/config.json", dict)
    return str(config.get("model_type", ""))


def _first_part(folder: Path) -> str:
    """Where the network lies within a folder: that of older models has one of its own."""
    return str(_parts(folder)[0].get("path", "")) if (folder / MODULES).is_file() else ""


def _parts(folder: Path) -> list[dict[str, Any]]:
    found: list[Any] = _json(folder, MODULES, list)
    if not found or not all(isinstance(part, dict) for part in found):
        raise InputError(f"{MODULES} of {folder.name} is damaged: it takes a list of parts")
    return found


def modules(name: str, revision: str) -> tuple[list[str], str]:
    """The kinds of a sentence-transformers model's parts and how it pools; nothing of a model
    that is none. Raises :class:`InputError` for parts that are code of somebody's own."""
    folder = _taken(name, revision, SMALL)
    if not (folder / MODULES).is_file():
        return [], ""
    parts = _parts(folder)
    kinds = [str(part.get("type", "")) for part in parts]
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise InputError(f"encoder {name!r} brings code of its own ({kind}), which is not run")
    own = ""
    for part, kind in zip(parts, kinds, strict=True):
        if kind.endswith("Pooling"):
            config = _json(folder, f"{part.get('path', '')}/config.json", dict)
            own = str(config.get("pooling_mode") or _old_mode(config))
    return kinds, own


def _old_mode(config: dict[str, Any]) -> str:
    """The pooling of a configuration that has a switch for each way."""
    on = [key.removeprefix("pooling_mode_") for key, value in config.items() if value is True]
    ways = [key.removesuffix("_tokens").removesuffix("_token") for key in on]
    return ",".join(way for way in ways if way != "include_prompt")


def _taken(name: str, revision: str, kinds: tuple[str, ...]) -> Path:
    """The folder of an encoder, with at least its files of some ``kinds``."""
    from huggingface_hub import snapshot_download

    source, revision = located(name, revision)
    if Path(source).is_dir():
        return Path(source)
    fingerprint(name, revision)  # says so in words if it can be had nowhere
    with refused(f"encoder {name!r} cannot be had from the hub"):
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(kinds)))


def _json(folder: Path, name: str, kind: type) -> Any:
    """What a file of a ``folder`` holds, which is to be of some ``kind``."""
    name = name.lstrip("/")
    if not (folder / name).is_file():
        raise InputError(f"{folder.name} lacks {name}")
    with refused(f"{name} of {folder.name} cannot be read"):
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    if not isinstance(found, kind):
        raise InputError(f"{name} of {folder.name} holds no {kind.__name__}")
    return found
