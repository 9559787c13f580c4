"""Everything that one run can be asked for, and what follows from it."""

import json
import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import ConfigDict, field_validator, model_validator

from runs.parameters.evaluation import EvaluationParameters
from runs.parameters.fields import parameter

Dtype = Literal["float32", "bfloat16", "float16"]
Method = Literal["drop", "checkpoint", "magnitude", "wanda", "sparsegpt", "random"]
Target = Literal["attention", "mlp", "block"]
WEIGHT_METHODS = ("magnitude", "wanda", "sparsegpt", "random")
CALIBRATED = ("wanda", "sparsegpt")
WRITING = ("model", "revision", "dtype", "prompts", "chat_template", "seed")  # a model's own text
CALIBRATION = ("calibration", "calibration_samples", "calibration_length")


class RunParameters(EvaluationParameters):
    """Everything that a run can be asked for, with its allowed values.

    Unknown names and values out of range raise :class:`InputError` through
    :func:`validate` and :func:`read`; the object itself is immutable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = parameter(
        "smollm2-135m",
        "the network: the embedded one by name, a hub id, or a local folder",
        "smollm2-135m, a hub id such as Qwen/Qwen2.5-0.5B-Instruct, or a folder with weights",
        min_length=1,
    )
    revision: str = parameter("main", "hub revision of the model", "a branch, tag or commit")
    dtype: Dtype = parameter(
        "float32", "number format of weights and states", ", ".join(get_args(Dtype))
    )
    device: str = parameter(
        "auto",
        "where the model runs; auto takes a CUDA GPU when there is one, spread uses all of them",
        "auto, cpu, cuda, cuda:N, mps or spread",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps|spread)$",
    )
    method: Method = parameter(
        "drop",
        "what stands in for each sublayer: nothing, the same sublayer of a pruned checkpoint, or "
        "the same sublayer with its weights pruned",
        ", ".join(get_args(Method)),
    )
    checkpoint: str = parameter(
        "",
        "folder of a checkpoint pruned from the model; only with method=checkpoint",
        "a folder with config.json and safetensors",
    )
    target: Target = parameter(
        "attention",
        "what method=drop takes out of a whole model",
        ", ".join(get_args(Target)),
    )
    dropped: int = parameter(
        8,
        "how many sublayers or blocks method=drop takes out of a whole model",
        "0 to 1024, and at most as many as the model has",
        ge=0,
        le=1024,
    )
    prompts: str = parameter(
        "all",
        "which prompts: those of Appendix E, the question of Table 2, or your own",
        "all, ids separated by commas, such as MC1,Math2,Table2, a list of texts, or a .json or "
        ".txt file",
        min_length=1,
    )
    chat_template: bool = parameter(
        True, "wrap each prompt in the model's chat template", "true or false"
    )
    max_new_tokens: int = parameter(
        64, "measured steps per prompt, the first on the prompt itself", "1 to 4096", ge=1, le=4096
    )
    layer: int = parameter(
        -1,
        "layer that is shown as the example; -1: as deep as the paper's layer 12 of 28",
        "-1, or the number of a layer, from 0",
        ge=-1,
    )
    sweep_steps: int = parameter(
        8,
        "measured steps per prompt where several settings are compared",
        "1 to 4096",
        ge=1,
        le=4096,
    )
    temperature: float = parameter(
        1.0, "divides the logits on the way to probabilities", "a number above 0", gt=0
    )
    sampling: bool = parameter(
        False,
        "draw each token at the run's temperature, where the likeliest one is taken otherwise",
        "true or false",
    )
    sparsity: float = parameter(
        0.5,
        "share of the weights to remove, where a method removes weights",
        "a number from 0 to below 1",
        ge=0,
        lt=1,
    )
    pattern: str = parameter(
        "",
        "sparsity pattern N:M, which keeps N of every M consecutive inputs; in place of sparsity",
        "empty, or a pattern such as 2:4",
        pattern=r"^(\d+:\d+)?$",
    )
    calibration: str = parameter(
        "embedded",
        "text that pruning methods look at",
        "embedded, c4, wikitext, or a .txt, .json or .jsonl file",
        min_length=1,
    )
    calibration_samples: int = parameter(
        32, "windows of calibration text", "1 to 4096", ge=1, le=4096
    )
    calibration_length: int = parameter(512, "tokens of each window", "8 to 8192", ge=8, le=8192)
    evaluation_samples: int = parameter(
        16, "windows of held-out text that perplexity is taken on", "1 to 4096", ge=1, le=4096
    )
    repeats: int = parameter(
        1,
        "how often to repeat what is drawn at random, each time with the next seed",
        "1 to 100",
        ge=1,
        le=100,
    )
    seed: int = parameter(0, "seed of everything random", "0 to 4294967295", ge=0, lt=2**32)
    profile: str = parameter(
        "custom",
        "name of the set of sample sizes, shown under each figure",
        "letters, digits, - and _",
        pattern=r"^[\w-]+$",
    )
    results: str = parameter(
        "", "folder for results; empty means results/ of the project", "a folder"
    )

    @field_validator("prompts", mode="before")
    @classmethod
    def _list_as_text(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        try:
            return json.dumps(value, ensure_ascii=False)
        except TypeError:
            raise ValueError("holds what is no text") from None

    @field_validator("temperature")
    @classmethod
    def _finite(cls, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError("must be finite")
        return value

    @model_validator(mode="after")
    def _checkpoint_matches_method(self) -> Self:
        if (self.method == "checkpoint") != bool(self.checkpoint):
            raise ValueError(
                "method=checkpoint needs checkpoint=FOLDER, and no other method takes one"
            )
        return self

    @field_validator("pattern")
    @classmethod
    def _keeps_fewer(cls, value: str) -> str:
        if value:
            kept, among = map(int, value.split(":"))
            if not 0 < kept < among:
                raise ValueError("keeps none or all")
        return value

    @property
    def amount(self) -> float:
        """How much is removed at a time: one sublayer, or the share of its weights."""
        return self.sparsity if self.method in WEIGHT_METHODS else 1.0

    @property
    def whole_amount(self) -> float:
        """How much is removed from a whole model: a count of sublayers or blocks, or the share of
        its weights, of pattern N:M 1 − N/M; of a checkpoint 1."""
        if self.whole_pattern:
            kept, among = map(int, self.pattern.split(":"))
            return 1 - kept / among
        return float(self.dropped) if self.method == "drop" else self.amount

    @property
    def whole_target(self) -> str:
        """What is removed from a whole model: ``target`` where sublayers are dropped, else all."""
        return self.target if self.method == "drop" and self.dropped else "all"

    @property
    def whole_pattern(self) -> str:
        """The sparsity pattern of a whole model; empty if its weights go freely or stay."""
        return self.pattern if self.method in WEIGHT_METHODS else ""

    @property
    def removed(self) -> dict[str, Any]:
        """What is removed from a whole model, as columns of a table."""
        return {
            "method": self.method,
            "target": self.whole_target,
            "amount": self.whole_amount,
            "pattern": self.whole_pattern,
        }

    @property
    def removed_in_place(self) -> dict[str, Any]:
        """What is removed where each sublayer is looked at by itself, as columns of a table."""
        return {"method": self.method, "target": "sublayer", "amount": self.amount, "pattern": ""}

    @property
    def dense(self) -> bool:
        """Whether nothing is removed from a whole model: ``method=drop`` of no sublayer."""
        return self.method == "drop" and not self.dropped

    def unread(self, uses: Collection[str]) -> frozenset[str]:
        """Parameters among ``uses`` that mean nothing to the method or the way of decoding, and so
        are no part of a run's identity."""
        calibrated = self.method in CALIBRATED
        if self.method == "drop" and "dropped" in uses:  # sublayers are ranked on calibration text
            calibrated = not self.dense
        nothing: set[str] = set() if calibrated else set(CALIBRATION)
        if self.method not in WEIGHT_METHODS:
            nothing |= {"sparsity", "pattern"}
        elif self.pattern and "pattern" in uses:
            nothing.add("sparsity")
        if self.method != "drop":
            nothing |= {"target", "dropped"}
        elif self.dense:
            nothing.add("target")
        if "sampling" in uses and not self.sampling:
            nothing.add("repeats")
        return frozenset(nothing) if "method" in uses else frozenset(nothing & {"repeats"})

    def results_folder(self) -> Path:
        """Where results go: the parameter, the environment, or ``results/`` of the project."""
        chosen = self.results or os.environ.get("WHEN_PRUNING_WORKS_RESULTS", "")
        return Path(chosen).resolve() if chosen else project_root() / "results"


def project_root() -> Path:
    """The nearest folder above the working one that holds the book; else the working one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here
