"""Files of a text encoder: from the wheel, a folder, or the hub, never code and never pickles."""

import json
from pathlib import Path
from typing import Any

from helpers.errors import InputError, first_line
from helpers.models.load import FINGERPRINTED, MODULES, fingerprint, source_of

SMALL = ("*.json",)


def whole(name: str, revision: str) -> Path:
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
    config = _json(_taken(name, revision, SMALL) / "config.json")
    return str(config.get("model_type", ""))


def modules(name: str, revision: str) -> tuple[list[str], str]:
    """The kinds of a sentence-transformers model's parts and how it pools; nothing of a model
    that is none. Raises :class:`InputError` for parts that are code of somebody's own."""
    folder = _taken(name, revision, SMALL)
    if not (folder / MODULES).is_file():
        return [], ""
    parts = _json(folder / MODULES)
    kinds = [str(part.get("type", "")) for part in parts]
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise InputError(f"encoder {name!r} brings code of its own ({kind}), which is not run")
    own = ""
    for part, kind in zip(parts, kinds, strict=True):
        if kind.endswith("Pooling"):
            config = _json(folder / part.get("path", "") / "config.json")
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

    source = source_of(name)
    if Path(source).is_dir():
        return Path(source)
    fingerprint(name, revision)  # says so in words if it can be had nowhere
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(kinds)))
    except Exception as error:
        raise InputError(
            f"encoder {name!r} cannot be had from the hub: {first_line(error)}"
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path.parent.name} lacks {path.name}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path.name} of {path.parent.name} is damaged: {error}") from None
