"""Questions of a task from the Hugging Face hub, or what to do where it is out of reach."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from helpers.texts.files import Numbered

SECONDS = 5.0  # that the hub has to answer


@dataclass(frozen=True)
class HubSet:
    """A data set of the hub: its id, the part of it that is meant, or empty if it has none."""

    path: str
    part: str = ""


def hub_rows(task: str, wanted: HubSet, split: str, otherwise: str) -> Iterator[Numbered]:
    """Rows of one ``split``; ``otherwise`` is what an error advises.

    Raises :class:`InputError` if the hub is out of reach and the data set not in its cache.
    """
    import datasets

    revision = commit(task, wanted, otherwise)
    options: dict[str, Any] = {"split": split, "revision": revision}
    try:
        with offline_unless(reachable()):
            found = datasets.load_dataset(wanted.path, wanted.part or None, **options)
    except Exception as error:
        raise InputError(f"{_cannot(task, wanted)} ({_first_line(error)}): {otherwise}") from error
    for number, row in enumerate(found, 1):
        yield row, f"row {number} of {wanted.path}, {split}"


@cache
def commit(task: str, wanted: HubSet, otherwise: str) -> str:
    """The commit of a data set: asked of the hub, else that of the one in the local cache.

    Raises :class:`InputError` if there is neither.
    """
    from huggingface_hub import dataset_info, try_to_load_from_cache

    reason = "the hub is out of reach"
    if reachable():
        try:
            return str(dataset_info(wanted.path, timeout=SECONDS).sha)
        except Exception as error:
            reason = _first_line(error)
    cached = try_to_load_from_cache(wanted.path, "README.md", repo_type="dataset")
    if isinstance(cached, str):
        return Path(cached).parent.name
    raise InputError(f"{_cannot(task, wanted)} ({reason}): {otherwise}")


@cache
def reachable() -> bool:
    """Whether the hub answers at all; asked once in a run, so that nothing waits twice."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:
        return False
    return True


@contextmanager
def offline_unless(reachable: bool) -> Iterator[None]:
    """Within, the hub's libraries read their cache and ask nobody, unless the hub answers."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if not reachable:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _cannot(task: str, wanted: HubSet) -> str:
    return f"task {task} cannot be had from the hub, {wanted.path}"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
