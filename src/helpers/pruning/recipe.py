"""What is to be removed, and how? One validated object."""

from dataclasses import dataclass

from helpers.errors import InputError
from helpers.pruning.masks import check_ratio, parse_pattern
from helpers.pruning.methods import METHODS
from helpers.pruning.structured import check_structure
from helpers.pruning.weights import check_targets


@dataclass(frozen=True)
class Recipe:
    """An intra-layer pruning.

    ``method``: a name in :data:`helpers.pruning.methods.METHODS`.
    ``ratio``: the share to remove, in [0, 1); or ``pattern``, such as ``2:4``: keep 2 of every 4
    consecutive inputs. ``structure``: empty for single weights, ``heads`` for key–value groups,
    ``neurons`` for MLP neurons. ``targets``: ``attention``, ``mlp`` or ``all``. ``seed`` is of
    the random control; ``damping`` of SparseGPT, as a share of the Hessian's mean diagonal.
    What is not allowed raises :class:`InputError`.
    """

    method: str
    ratio: float | None = None
    pattern: str = ""
    structure: str = ""
    targets: str = "all"
    seed: int = 0
    damping: float = 0.01

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            known = ", ".join(METHODS)
            raise InputError(f"method={self.method!r} is not allowed: known are {known}")
        if (self.ratio is None) != bool(self.pattern):
            raise InputError(
                "a recipe takes either a ratio, such as 0.5, or a pattern, such as 2:4"
            )
        if self.ratio is not None:
            check_ratio(self.ratio)
        if self.pattern:
            parse_pattern(self.pattern)
        check_targets(self.targets)
        if self.structure:
            self._check_structured()
        if not 0 <= self.damping < float("inf"):
            raise InputError(f"damping={self.damping} is not allowed: it takes a number from 0 up")

    def _check_structured(self) -> None:
        check_structure(self.structure, self.targets)
        if self.pattern:
            raise InputError(f"structure={self.structure} takes a ratio, not a pattern")
        if METHODS[self.method].score is None:
            scored = ", ".join(name for name, method in METHODS.items() if method.score)
            raise InputError(
                f"{self.method} removes single weights and has no structured form: use one of "
                f"{scored}"
            )

    @property
    def amount(self) -> float:
        """The share that is removed: the ratio, or 1 − N/M."""
        if self.ratio is not None:
            return self.ratio
        n, m = parse_pattern(self.pattern)
        return 1 - n / m

    @property
    def calibrated(self) -> bool:
        """Whether the method reads calibration text."""
        return METHODS[self.method].calibrated

    def __str__(self) -> str:
        share = self.pattern or f"{self.amount:g}"
        return " ".join((self.method, share, self.structure or f"of {self.targets}"))
