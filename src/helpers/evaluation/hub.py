"""Data sets of the Hugging Face hub, or what to do where it is out of reach."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from helpers.errors import InputError, cause, refused
from helpers.texts.files import Numbered

SECONDS = 5.0  # that the hub has to answer


def hub_rows(what: str, path: str, part: str, split: str, otherwise: str) -> Iterator[Numbered]:
    """Rows of one ``split`` of the data set ``path``, of its ``part`` if it has some; ``what`` is
    its name in an error, which advises ``otherwise``.

    Raises :class:`InputError` if the hub is out of reach and the data set not in its cache.
    """
    import datasets

    revision = commit(what, path, otherwise)
    with refused(_failed(what, path), otherwise):
        with offline_unless(reachable()):
            found = datasets.load_dataset(path, part or None, split=split, revision=revision)
        for number, row in enumerate(found, 1):
            yield row, f"row {number} of {path}, {split}"


@cache
def commit(what: str, path: str, otherwise: str) -> str:
    """The commit of a data set: asked of the hub, else that of the one in the local cache.

    Raises :class:`InputError` if there is neither.
    """
    from huggingface_hub import dataset_info, try_to_load_from_cache

    reason = "the hub is out of reach"
    if reachable():
        try:
            return str(dataset_info(path, timeout=SECONDS).sha)
        except Exception as error:
            reason = cause(error)
    cached = try_to_load_from_cache(path, "README.md", repo_type="dataset")
    if isinstance(cached, str):
        return Path(cached).parent.name
    raise InputError(f"{_failed(what, path)} ({reason}): {otherwise}")


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


def _failed(what: str, path: str) -> str:
    return f"{what} cannot be had from the hub, {path}"
