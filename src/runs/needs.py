"""What does a run need? Cores, memory, minutes and GPUs, said before it runs."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from runs.profiles import Profile, Run

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([bm])(?![a-z])", re.IGNORECASE)
UNKNOWN = 7e9  # parameters of a model whose name does not say its size
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
BASE_MB, BASE_MINUTES = 2500, 60.0


@dataclass(frozen=True)
class Needs:
    """Of one attempt at a run: CPU cores, resident memory in MB, a time limit in minutes, GPUs."""

    cores: int
    memory_mb: int
    minutes: int
    gpus: int


def needs(profile: Profile, run: Run, *, cores: int, gpus: int, attempt: int = 1) -> Needs:
    """What to grant an attempt at a run, where there are so many ``cores`` and ``gpus``.

    With few cores, runs go side by side with one thread each: decoding step by step gains nothing
    from a second thread, and start-up none either. With more, real measurements take the machine
    one after the other, or a GPU's share of it. A later attempt gets more time and memory.
    """
    wanted = _gpus(run, gpus)
    share = cores // max(1, gpus // wanted) if wanted else cores
    own = profile.cores or (1 if cores < 4 else max(1, share))
    minutes, memory_mb = predicted(profile, run)
    return Needs(min(own, cores), round(memory_mb * attempt), round(minutes * attempt), wanted)


def predicted(profile: Profile, run: Run) -> tuple[float, float]:
    """Minutes that no run of this kind has exceeded, and MB of resident memory, from the sizes of
    its models. A run takes no longer than its whole profile says."""
    billions = sum(parameters(name) for name in _models(run)) / 1e9
    width = BYTES[run.parameters.dtype] if "dtype" in run.taken else 4
    memory_mb = BASE_MB + 2 * width * billions * 1e9 / 2**20
    return profile.minutes or BASE_MINUTES * (1 + billions), memory_mb


def parameters(model: str) -> float:
    """How many parameters a model has, as far as its files or its name say, without opening it."""
    weights = [path.stat().st_size for path in Path(model).expanduser().glob("*.safetensors")]
    if weights:
        return sum(weights) / 2
    if said := SIZE.findall(Path(model).name):
        number, unit = said[-1]
        return float(number) * (1e9 if unit in "bB" else 1e6)
    return UNKNOWN


def _models(run: Run) -> list[str]:
    """The models that a run loads, but for the small encoder that comes with the book."""
    asked = run.parameters
    found = [asked.model] if "model" in run.taken else []
    return found + ([asked.encoder] if "encoder" in run.taken and asked.encoder != "minilm" else [])


def _gpus(run: Run, here: int) -> int:
    """GPUs that a run takes: one, or all where its model is spread over them; none on the CPU."""
    if "device" not in run.taken:
        return 0
    device = run.parameters.device
    if device == "spread":
        return max(1, here)
    return 1 if device.startswith("cuda") or (device == "auto" and here) else 0


def memory_mb() -> int:
    """Memory of this machine in MB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
