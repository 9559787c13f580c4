"""The last thing that was made, kept for as long as nothing else is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers.models.load import fingerprint
from helpers.texts import passages
from runs.parameters import CALIBRATION, SETTING, RunParameters


@dataclass
class Last:
    """One thing, such as a pruned model, and what it depends on. Nobody may change it."""

    key: Any = None
    made: Any = None

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The one that is kept, if it was made for this ``key``; else what ``make`` gives now."""
        if self.key != key:
            self.key = self.made = None
            self.made = make()
            self.key = key
        return self.made


def pruning_key(parameters: RunParameters, dense: str, device: object) -> tuple[Any, ...]:
    """Everything that a pruned model depends on; ``dense`` is the fingerprint of the dense one."""
    unread = parameters.unread(SETTING)
    return (
        *(dense, str(device), parameters.dtype, parameters.seed),
        *(getattr(parameters, name) for name in (*SETTING, *CALIBRATION) if name not in unread),
        passages.identity(parameters.calibration),
        fingerprint(parameters.checkpoint) if parameters.checkpoint else "",
    )
