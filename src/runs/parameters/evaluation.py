"""What may be asked of pruned models: which ones, which tasks, and how many questions of each."""

from typing import Literal, get_args

from pydantic import BaseModel

from runs.parameters.fields import parameter

Pooling = Literal["own", "mean", "last"]


class EvaluationParameters(BaseModel):
    """Parameters of scores: models, tasks, and items of each."""

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
    items: int = parameter(
        100,
        "questions taken from each task; 0: all of them",
        "0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    shots: int = parameter(
        0, "worked examples that stand before each question", "0 to 64", ge=0, le=64
    )
    task_folder: str = parameter(
        "",
        "folder with files of tasks, one folder for each, looked in before the hub",
        "a folder",
    )
    run_code: bool = parameter(
        False,
        "whether programs that a model writes may be run, in a sandbox, as HumanEval and MBPP need",
        "true or false",
    )
    batch_size: int = parameter(16, "questions that are read at once", "1 to 4096", ge=1, le=4096)
    probes: int = parameter(
        12,
        "questions taken from each family of probes, at most as many as it has",
        "1 to 1000",
        ge=1,
        le=1000,
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
        ", ".join(get_args(Pooling)),
    )
    instruction: str = parameter(
        "", "what stands before each query, as some encoders are trained on", "any text"
    )
