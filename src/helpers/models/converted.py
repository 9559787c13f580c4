"""GGUF files as folders of float32 safetensors, each converted once, by its hash.

A file is a path, the one in an installed wheel (:mod:`helpers.models.embedded`), or one of the hub
that is pinned by its hash (:mod:`helpers.models.known`).
"""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from helpers.errors import InputError, first_line
from helpers.machine import cache_folder
from helpers.models import embedded
from helpers.models.gguf_file import SUFFIX, Gguf, read_gguf
from helpers.models.hashes import remembered_sha256, sha256
from helpers.models.known import EMBEDDED, KNOWN, Known

STAMP = "converted.json"
SAME = 0.2  # relative distance up to which a head is a copy of the embedding, rounded otherwise


@dataclass(frozen=True)
class Source:
    """A GGUF file that is a model: how it is called, its SHA-256, and how to get at it."""

    name: str
    sha256: str
    find: Callable[[], Path]

    @property
    def target(self) -> Path:
        """The folder of its conversion."""
        return cache_folder() / "models" / f"{self.name}-{self.sha256[:16]}"


def source(name: str) -> Source | None:
    """The GGUF file that a model's name means; None if it means something else.

    Raises :class:`InputError` for a path with no file, and for a file that bears the name of a
    pinned one and holds something else.
    """
    known = KNOWN.get(name)
    if known and known.file:
        find = embedded.installed_gguf if name == EMBEDDED else partial(_fetched, known)
        return Source(name, known.sha256, find)
    path = Path(name).expanduser()
    if path.suffix.lower() != SUFFIX:
        return None
    if not path.is_file():
        raise InputError(f"there is no file {name}: give the path of a GGUF file, or another model")
    digest = remembered_sha256(path)
    for one in KNOWN.values():
        if one.sha256 == digest:
            return Source(one.name, digest, lambda: path)
        if one.file == path.name:
            raise InputError(
                f"{name} is not the release of that name: its sha256 is {digest[:16]}…, not "
                f"{one.sha256[:16]}…; fetch it again, or rename it if it is another model"
            )
    return Source(path.stem, digest, lambda: path)


def check(file: Source) -> None:
    """Raise :class:`InputError` if a GGUF file that is not converted yet cannot be."""
    if not (file.target / STAMP).is_file():
        read_gguf(file.find())


def folder(file: Source) -> Path:
    """Folder with the model as float32 safetensors, converting it at first use.

    Conversion takes some 20 s and 540 MB for each 135M parameters, happens under a lock in a
    temporary folder that is renamed when whole. The hashes of its files are checked when a process
    first uses them, and again when they change. Raises :class:`InputError` for a file that is no
    model.
    """
    if _known_intact(file.target):
        return file.target
    file.target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file.target}.lock"):
        if not intact(file.target):
            _convert(file)
    return file.target


def notes(file: Source) -> dict[str, Any]:
    """What was noted at the conversion: ``quantization``, and ``copied_head``, whether the head is
    the embedding, stored a second time and rounded otherwise."""
    said = json.loads((folder(file) / STAMP).read_text())
    known = KNOWN.get(file.name)
    usual = known.quantization if known else ""
    return {
        "quantization": said.get("quantization", usual),
        "copied_head": said.get("copied_head", False),
    }


def intact(place: Path) -> bool:
    """Whether all files of a conversion are as they were written, read now."""
    try:
        stamp = json.loads((place / STAMP).read_text())
        return all(sha256(place / name) == digest for name, digest in stamp["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def _known_intact(place: Path) -> bool:
    try:
        states = [path.stat() for path in sorted(place.iterdir())]
    except OSError:
        return False
    return _intact_once(place, tuple((one.st_size, one.st_mtime_ns, one.st_ino) for one in states))


@cache
def _intact_once(place: Path, _state: tuple[tuple[int, ...], ...]) -> bool:
    return intact(place)


def _fetched(known: Known) -> Path:
    """The file of a pinned model, from the hub's cache or the hub, hash checked."""
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(known.hub, known.file, revision=known.revision))
    except Exception as error:  # whatever the library raises, of whatever kind
        raise InputError(
            f"model {known.name!r} is not in the cache and cannot be had from the hub "
            f"({first_line(error)}): give the path of {known.file} as the model, once"
        ) from error
    remedy = "remove it, and it is fetched again"
    embedded.refuse_damaged(path, known.sha256, f"{path}", remedy)
    return path


def _convert(file: Source) -> None:
    path, target = file.find(), file.target
    held = read_gguf(path)
    print(f"Converting {path.name} to safetensors (once) …", file=sys.stderr)
    for left in target.parent.glob(f".{file.name}-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f".{file.name}-", dir=target.parent))
    try:
        model = _write(held, work)
        if sha256(path) != file.sha256:
            raise InputError(f"{path} changed while it was read: give a file that stays as it is")
        stamp = {
            "source": path.name,
            "sha256": file.sha256,
            "quantization": held.quantization,
            "copied_head": _copied_head(model),
            "files": {each.name: sha256(each) for each in sorted(work.iterdir())},
        }
        (work / STAMP).write_text(json.dumps(stamp, indent=1))
        with contextlib.suppress(FileNotFoundError):
            target.rename(work.with_suffix(".damaged"))
            shutil.rmtree(work.with_suffix(".damaged"))
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write(held: Gguf, work: Path) -> Any:
    """Write model and tokenizer of a GGUF file into a folder; the model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place, name = held.path.parent, held.path.name
    # packed blocks, which some versions keep by default, could be neither pruned nor saved
    quantization: Any = GgufConfig(dequantize=True)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            place,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=quantization,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    except Exception as error:  # whatever the library raises, of whatever kind
        raise InputError(
            f"{held.path} cannot be converted: {type(error).__name__}: {first_line(error)}"
        ) from error
    _refuse_others(held, model, found["missing_keys"])
    model.save_pretrained(work)
    tokenizer.save_pretrained(work)
    return model


def _refuse_others(held: Gguf, model: Any, missing: Any) -> None:
    """:class:`InputError` unless file and architecture have the same weights: the library fills
    missing ones with random numbers, and leaves out those that it does not know."""
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    if missing:
        raise InputError(
            f"{held.path} lacks {len(missing)} weights, the first {min(missing)}: give a whole file"
        )
    kind = TENSOR_PROCESSORS.get(model.config.model_type, TensorProcessor)
    read = get_gguf_hf_weights_map(model, kind(config=model.config.to_dict()))
    strange = sorted(set(held.tensors) - set(read))
    if strange:
        raise InputError(
            f"{held.path} holds {len(strange)} weights that are not read, the first {strange[0]}: "
            "give a file with the weights of the architecture and no others"
        )


@torch.no_grad()
def _copied_head(model: Any) -> bool:
    """Whether a head that is stored apart is the embedding, rounded otherwise."""
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    if head is embedding or head.shape != embedding.shape:
        return False
    return float((head - embedding).norm() / embedding.norm()) < SAME
