"""What may be asked for? One validated model of every parameter that a run takes."""

import difflib
import math
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from helpers.errors import InputError
from helpers.pruning.methods import METHODS
from helpers.quantization.methods import BITS, QUANTIZERS
from helpers.texts import data
from runs import values

Dtype = Literal["float32", "bfloat16", "float16"]
Target = Literal["attention", "mlp", "block"]
Pooling = Literal["own", "mean", "last"]
WAYS = ("drop", "checkpoint", *METHODS)  # what can stand in for a sublayer or a model
WRITING = ("model", "revision", "dtype", "prompts", "chat_template", "seed")  # a model's own text
CALIBRATION = ("calibration", "calibration_samples", "calibration_length")
QUANTIZED = ("quantizer", "bits", "group_size")
SETTING = (  # a pruned model, quantized or not
    *("method", "checkpoint", "target", "dropped", "sparsity", "pattern"),
    *QUANTIZED,
)
NOTEBOOK_NAMES = {"In", "Out", "get_ipython", "exit", "quit", "open"}
LISTS = ("pruned", "pruned_encoder", "tasks", "collections")  # names separated by commas
PATHS = (  # a model, file or folder each
    *("model", "checkpoint", "encoder", "prompts", "calibration"),
    *("collections", "task_folder", "results"),
)
ALWAYS = ("profile", "results", "device")


def parameter(default: Any, description: str, allowed: str = "", **constraints: Any) -> Any:
    """One field: its default, what it means and, for error messages, what is allowed, where its
    type does not say it."""
    extra: dict[str, Any] = {"allowed": allowed}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def count(default: int, description: str, low: int, high: int) -> Any:
    """One field that is a number from ``low`` to ``high``."""
    return parameter(default, description, f"{low} to {high}", ge=low, le=high)


class RunParameters(BaseModel):
    """Everything that a run can be asked for, with its allowed values.

    Unknown names and values out of range raise :class:`InputError` through
    :func:`validate` and :func:`read`; the object itself is immutable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = parameter(
        "smollm2-135m",
        "the network: by name (python -m helpers models lists them), a hub id, a local folder, or "
        "a GGUF file",
        "smollm2-135m, qwen2.5-coder-0.5b, another name of python -m helpers models, a hub id such "
        "as Qwen/Qwen2.5-0.5B-Instruct, a folder with weights, or a .gguf file",
        min_length=1,
    )
    revision: str = parameter("main", "hub revision of the model", "a branch, tag or commit")
    dtype: Dtype = parameter("float32", "number format of weights and states")
    device: str = parameter(
        "auto",
        "where the model runs; auto takes a CUDA GPU when there is one, spread uses all of them",
        "auto, cpu, cuda, cuda:N, mps or spread",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps|spread)$",
    )
    method: str = parameter(
        "drop",
        "what stands in for each sublayer: nothing, the same sublayer of a pruned checkpoint, or "
        "the same sublayer with its weights pruned",
        ", ".join(WAYS),
    )
    checkpoint: str = parameter(
        "",
        "folder of a checkpoint pruned from the model; only with method=checkpoint",
        "a folder with config.json and safetensors",
    )
    target: Target = parameter("attention", "what method=drop takes out of a whole model")
    dropped: int = count(
        8, "how many sublayers or blocks method=drop takes out of a whole model", 0, 1024
    )
    prompts: str = parameter(
        "all",
        "which prompts: those of Appendix E, the question of Table 2, or your own",
        "all, ids separated by commas, such as MC1,Math2,Table2, a list of texts, or a .json or "
        ".txt file",
        min_length=1,
    )
    chat_template: bool = parameter(
        True, "wrap each prompt and each probe in the model's chat template"
    )
    max_new_tokens: int = count(
        64, "measured steps per prompt, the first on the prompt itself", 1, 4096
    )
    layer: int = parameter(
        -1,
        "layer that is shown as the example; -1: as deep as the paper's layer 12 of 28",
        "-1, or the number of a layer, from 0",
        ge=-1,
    )
    sweep_steps: int = count(
        8, "measured steps per prompt where several settings are compared", 1, 4096
    )
    temperature: float = parameter(
        1.0, "divides the logits on the way to probabilities", "a number above 0", gt=0
    )
    sampling: bool = parameter(
        False, "draw each token at the run's temperature, where the likeliest is taken otherwise"
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
    quantizer: str = parameter(
        "",
        "how the weights that are left are stored in fewer bits; empty: as they are",
        f"empty, or one of {', '.join(QUANTIZERS)}",
    )
    bits: int = parameter(
        4, "bits of each weight of a simulated quantizer", f"one of {', '.join(map(str, BITS))}"
    )
    group_size: int = count(
        64, "inputs that share a scale in a simulated quantizer; 0: all of an output", 0, 65536
    )
    calibration: str = parameter(
        "embedded",
        "text that pruning methods look at",
        "embedded, c4, wikitext, or a .txt, .json or .jsonl file",
        min_length=1,
    )
    calibration_samples: int = count(32, "windows of calibration text", 1, 4096)
    calibration_length: int = count(512, "tokens of each window", 8, 8192)
    evaluation_samples: int = count(
        16, "windows of held-out text that perplexity is taken on", 1, 4096
    )
    repeats: int = count(
        1, "how often to repeat what is drawn at random, each time with the next seed", 1, 100
    )
    seed: int = count(0, "seed of everything random", 0, 2**32 - 1)
    pruned: str = parameter(
        "Drop-8A,Drop-8M",
        "the pruned models that are compared with the dense one, by name",
        "names separated by commas, such as Drop-8A, Drop-2M, Drop-1B, Wanda 50%, Wanda 2:4, "
        "SparseGPT 50%, Magnitude 50%",
        min_length=1,
    )
    tasks: str = parameter(
        "embedded",
        "which tasks are scored: those that come with the book, or by name",
        "embedded, or names separated by commas, such as boolq,openbookqa, each with a number "
        "of its own after a colon if need be, such as embedded,piqa:200",
        min_length=1,
    )
    score_dtype: Literal["", "float32", "bfloat16", "float16"] = parameter(
        "",
        "number format of weights and states where scores are taken; empty: that of dtype",
        "empty, float32, bfloat16, float16",
    )
    items: int = count(100, "questions taken from each task; 0: all of them", 0, 1_000_000)
    shots: int = count(0, "worked examples that stand before each question", 0, 64)
    task_chat_template: bool = parameter(
        False,
        "ask tasks in the model's chat template, each worked example a turn of its own, as with "
        "lm-eval's apply_chat_template; false is lm-eval's own default",
    )
    max_answer_tokens: int = count(
        0,
        "tokens that a written answer may have at most; 0: as many as its task allows",
        0,
        1_000_000,
    )
    task_folder: str = parameter(
        "", "folder with files of tasks, one folder for each, looked in before the hub", "a folder"
    )
    run_code: bool = parameter(
        False,
        "whether programs that a model writes may be run, in a sandbox, as HumanEval and MBPP need",
    )
    batch_size: int = count(16, "questions that are read at once", 1, 4096)
    probes: int = count(
        12, "questions taken from each family of probes, at most as many as it has", 1, 1000
    )
    encoder: str = parameter(
        "minilm",
        "the text encoder for retrieval: the embedded one by name, a hub id, or a local folder; a "
        "sentence-transformers model or a decoder",
        "minilm, a hub id such as intfloat/e5-mistral-7b-instruct, or a folder with weights",
        min_length=1,
    )
    pruned_encoder: str = parameter(
        "Drop-1A,Drop-2A,Drop-3A,Drop-1M,Drop-2M,Drop-3M,Wanda 50%",
        "the pruned encoders that are compared with the dense one, by name",
        "names separated by commas, as for pruned",
        min_length=1,
    )
    collections: str = parameter(
        "embedded",
        "which retrieval sets are searched: those that come with the book, or by name",
        "embedded, or names separated by commas, such as fiqa,boolq-passages,SciFact",
        min_length=1,
    )
    pooling: Pooling = parameter(
        "own",
        "how the states of a text become one vector: as the encoder has it, their mean, or the "
        "last one",
    )
    instruction: str = parameter(
        "",
        "what stands before each query, as some encoders are trained on, such as "
        "'Instruct: {task}\\nQuery: ', where {task} becomes what the set asks for",
        "any text",
    )
    document_prefix: str = parameter(
        "",
        "what stands before each document, as some encoders are trained on, such as 'passage: '",
        "any text",
    )
    profile: str = parameter(
        "custom",
        "name of the set of sample sizes, shown under each figure",
        "letters, digits, - and _",
        pattern=r"^[\w-]+$",
    )
    results: str = parameter(
        "", "folder for results; empty means results/ of the project", "a folder"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_declared(cls, value: Any, info: ValidationInfo) -> Any:
        """The same value however it was written, and whoever read it before."""
        name = str(info.field_name)
        if name in LISTS:
            value = values.listed(value)
        if name == "prompts" and isinstance(value, str | list | tuple):
            value = data.as_text(value)
        if name in PATHS:
            value = values.at_home(value)
        return values.typed(value, cls.model_fields[name].annotation)

    @field_validator("method")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in WAYS:
            raise ValueError("is no method")
        return value

    @field_validator("quantizer")
    @classmethod
    def _offered(cls, value: str) -> str:
        if value and value not in QUANTIZERS:
            raise ValueError("is no quantizer")
        return value

    @field_validator("bits")
    @classmethod
    def _offered_bits(cls, value: int) -> int:
        if value not in BITS:
            raise ValueError("is no number of bits")
        return value

    @field_validator("temperature")
    @classmethod
    def _finite(cls, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError("must be finite")
        return value

    @field_validator("pattern")
    @classmethod
    def _keeps_fewer(cls, value: str) -> str:
        if value:
            kept, among = map(int, value.split(":"))
            if not 0 < kept < among:
                raise ValueError("keeps none or all")
        return value

    @model_validator(mode="after")
    def _checkpoint_matches_method(self) -> Self:
        if (self.method == "checkpoint") != bool(self.checkpoint):
            raise ValueError(
                "method=checkpoint needs checkpoint=FOLDER, and no other method takes one"
            )
        return self

    @property
    def prunes_weights(self) -> bool:
        """Whether the method is one of :data:`helpers.pruning.methods.METHODS`."""
        return self.method in METHODS

    @property
    def calibrated(self) -> bool:
        """Whether the method reads calibration text to choose among weights."""
        return self.prunes_weights and METHODS[self.method].calibrated

    @property
    def whole(self) -> bool:
        """Whether nothing is removed from a whole model: ``method=drop`` of no sublayer."""
        return self.method == "drop" and not self.dropped

    @property
    def dense(self) -> bool:
        """Whether the model is as it is: nothing is removed, and nothing quantized."""
        return self.whole and not self.quantizer

    @property
    def simulated(self) -> bool:
        """Whether a quantizer is asked for that takes ``bits`` and ``group_size``."""
        return bool(self.quantizer) and not QUANTIZERS[self.quantizer].packed

    @property
    def many_bits(self) -> bool:
        """Whether weights are quantized to more than four bits, which changes little."""
        if not self.quantizer:
            return False
        return (self.bits if self.simulated else QUANTIZERS[self.quantizer].bits) > 4

    @property
    def amount(self) -> float:
        """How much is removed at a time: one sublayer, or the share of its weights."""
        return self.sparsity if self.prunes_weights else 1.0

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
        return self.pattern if self.prunes_weights else ""

    @property
    def removed(self) -> dict[str, Any]:
        """What is removed from a whole model, as columns of a table. A quantizer joins the method,
        ``wanda+rtn4``; where it is all that is done, ``amount`` is 0."""
        method = "" if self.whole and self.quantizer else self.method
        return {
            "method": (method + self._quantizer).removeprefix("+"),
            "target": self.whole_target,
            "amount": self.whole_amount,
            "pattern": self.whole_pattern,
        }

    @property
    def _quantizer(self) -> str:
        return f"+{self.quantizer}{self.bits if self.simulated else ''}" if self.quantizer else ""

    @property
    def removed_in_place(self) -> dict[str, Any]:
        """What is removed where each sublayer is looked at by itself, as columns of a table."""
        return {"method": self.method, "target": "sublayer", "amount": self.amount, "pattern": ""}

    def unread(self, uses: Collection[str]) -> frozenset[str]:
        """Parameters among ``uses`` that mean nothing to the method or the way of decoding, and so
        are no part of a run's identity."""
        calibrated = self.calibrated
        if self.method == "drop" and "dropped" in uses:  # sublayers are ranked on calibration text
            calibrated = not self.whole
        if self.quantizer and "quantizer" in uses:
            calibrated |= QUANTIZERS[self.quantizer].calibrated
        nothing: set[str] = set() if calibrated else set(CALIBRATION)
        if not self.prunes_weights:
            nothing |= {"sparsity", "pattern"}
        elif self.pattern and "pattern" in uses:
            nothing.add("sparsity")
        if self.method != "drop":
            nothing |= {"target", "dropped"}
        elif self.whole:
            nothing.add("target")
        if not self.simulated:
            nothing |= {"bits", "group_size"}
        if not self.quantizer:
            nothing.add("quantizer")
        if "sampling" in uses and not self.sampling:
            nothing.add("repeats")
        return frozenset(nothing) if "method" in uses else frozenset(nothing & {"repeats"})

    def results_folder(self) -> Path:
        """Where results go: the parameter, the environment, or ``results/`` of the book that the
        working folder is in; else of the working folder."""
        if chosen := self.results or os.environ.get("WHEN_PRUNING_WORKS_RESULTS", ""):
            return Path(chosen).expanduser().resolve()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
                return folder / "results"
        return here / "results"


def validate(given: Mapping[str, Any]) -> RunParameters:
    """Parameters from names and values; :class:`InputError` names the first that is wrong."""
    for name in given:
        refuse_unknown(name, RunParameters.model_fields)
    try:
        return RunParameters(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:
            raise InputError(first["msg"].removeprefix("Value error, ")) from None
        name = str(first["loc"][0])
        value = given.get(name, first["input"])
        declared = RunParameters.model_fields[name].annotation
        shown = str(value) if declared in (int, float) and value != "" else repr(value)
        quoted = declared is str and isinstance(value, bool | int | float)
        how = ", as text (in quotes in a YAML file, by -r for papermill)" if quoted else ""
        raise InputError(
            f"parameter {name}={shown} is not allowed: it takes {_allowed(name)}{how}"
        ) from None


def read(namespace: Mapping[str, Any], *uses: str) -> RunParameters:
    """Parameters of a notebook, from its global variables right after the parameters cell.

    ``uses`` names those that the chapter's measurement reads; others are unknown to it, all but
    those that any run takes. papermill only warns about a name that the notebook does not have.
    Here every public variable must be a parameter, so a misspelt one stops the run before
    anything heavy.
    """
    found = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_")
        and name not in NOTEBOOK_NAMES
        and not isinstance(value, ModuleType | type)
        and not callable(value)
    }
    for name in found:
        refuse_unknown(name, {*uses, *ALWAYS} if uses else RunParameters.model_fields)
    return validate(found)


def refuse_unknown(name: str, known: Iterable[str], kind: str = "parameter") -> None:
    """Raise :class:`InputError` if ``name`` is not known, with the nearest name that is."""
    known = sorted(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"unknown {kind} {name!r}: {hint}known are {', '.join(known)}")


def _allowed(name: str) -> str:
    """What a parameter takes, in words."""
    field = RunParameters.model_fields[name]
    extra = field.json_schema_extra
    said = str(extra["allowed"]) if isinstance(extra, dict) else ""
    return said or ", ".join(map(str, get_args(field.annotation))) or "true or false"
