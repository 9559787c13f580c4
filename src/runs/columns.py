"""One column of a table, and the columns that several tables share."""

from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Column:
    """One column: name, Arrow type, meaning, allowed values (empty: any), may it be missing."""

    name: str
    type: pa.DataType
    meaning: str
    allowed: tuple[str, ...] = ()
    nullable: bool = False


RUN = Column("run", TEXT, "identity of the measurement that made the row; names its folder")
MODEL = Column("model", TEXT, "name of the dense model")
METHOD = Column("method", TEXT, "pruning method")
TARGET = Column("target", TEXT, "what is pruned: attention, mlp, block, all, or a kind of weight")
AMOUNT = Column("amount", pa.float64(), "how much is removed: a count of sublayers, or a ratio")
PATTERN = Column("pattern", TEXT, "sparsity pattern such as 2:4; empty if there is none")
PRUNED = (RUN, MODEL, METHOD, TARGET, AMOUNT, PATTERN)  # which run, and what was removed
SEED = Column("seed", pa.int64(), "seed of everything random in the run")
PROMPT = Column("prompt", TEXT, "id of the prompt")
CATEGORY = Column("category", TEXT, "category of the prompt")
STEP = Column("step", pa.int32(), "decoding step; 0 is the last position of the prompt")
LAYER = Column("layer", pa.int32(), "layer, from 0")
SUBLAYER = Column(
    "sublayer", TEXT, "which part of the layer", ("attention", "mlp", "block", "model")
)
SPACE = Column("space", TEXT, "where states are compared", ("embedding", "logit", "probability"))
LENS = Column(
    "lens",
    TEXT,
    "raw: the head reads the residual stream as it is; normed: after the final norm",
    ("raw", "normed"),
)
TEMPERATURE = Column(
    "temperature", pa.float64(), "temperature of the softmax; missing outside it", nullable=True
)
VALUE = Column("value", pa.float64(), "the number")
