"""One column of a table, the columns that several tables share, and the check on writing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.dictionary(pa.int32(), pa.string())  # one of few words
STRING, COUNT, NUMBER, FLAG = pa.string(), pa.int32(), pa.float64(), pa.bool_()


@dataclass(frozen=True)
class Column:
    """One column: name, Arrow type, meaning, allowed values (empty: any), may it be missing."""

    name: str
    type: pa.DataType
    meaning: str
    allowed: tuple[str, ...] = ()
    nullable: bool = False


Columns = Sequence[Column]

METHOD = Column("method", TEXT, "pruning method")
TARGET = Column(
    "target",
    TEXT,
    "what is pruned: attention, mlp, block, all, a kind of weight, or sublayer, the one of the row",
)
AMOUNT = Column("amount", NUMBER, "how much is removed: a count of sublayers, or a ratio")
PATTERN = Column("pattern", TEXT, "sparsity pattern such as 2:4; empty if there is none")
SEED = Column("seed", pa.int64(), "seed of everything random in the run")
REMOVED = (METHOD, TARGET, AMOUNT, PATTERN)  # what was removed
CONSTANTS = (  # the same in every row of a run, so they stand once in its manifest
    Column("run", TEXT, "identity of the measurement that made the row; names its folder"),
    Column("model", TEXT, "name of the dense model"),
    Column("dtype", TEXT, "number format of weights and states"),
    *REMOVED,
    SEED,
)
PROMPT = Column("prompt", TEXT, "id of the prompt")
CATEGORY = Column("category", TEXT, "category of the prompt")
STEP = Column("step", COUNT, "decoding step; 0 is the last position of the prompt")
LAYER = Column("layer", COUNT, "layer, from 0")
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
CENTRED = Column("centred", FLAG, "whether the mean logit was subtracted first")
TEMPERATURE = Column(
    "temperature", NUMBER, "temperature of the softmax; missing outside it", nullable=True
)
TOKEN = Column("token", COUNT, "the token, by its number in the vocabulary")
ITEM = Column("item", TEXT, "id of the question")
FAMILY = Column("family", TEXT, "family or subject of the question; empty if there is none")
FORM = Column(
    "form",
    TEXT,
    "form in which a question is asked: worked examples before it, such as 5-shot; of probes "
    "choice or generation, with the answer's prefix or plain, and letter; empty if there is one",
)
VALUE = Column("value", NUMBER, "the number")


def check(name: str, columns: Columns, table: pa.Table | pd.DataFrame) -> pa.Table:
    """``table`` with exactly these columns and types, in their order.

    Raises :class:`ValueError` naming the table and the first column that is missing, unknown, of
    another type, empty where it may not be, or holds a value that is not allowed.
    """
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    wanted = [column.name for column in columns]
    if sorted(table.column_names) != sorted(wanted):
        odd = sorted(set(table.column_names) ^ set(wanted))
        raise ValueError(f"table {name}: columns missing or unknown: {', '.join(odd)}")
    arrays = []
    for column in columns:
        array = table.column(column.name)
        try:
            array = array.cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"table {name}, column {column.name}: {error}") from None
        if array.null_count and not column.nullable:
            raise ValueError(f"table {name}, column {column.name}: {array.null_count} missing")
        if column.allowed:
            found = set(pc.unique(array.cast(pa.string())).to_pylist())
            if not found <= set(column.allowed):
                odd = sorted(found - set(column.allowed))
                raise ValueError(f"table {name}, column {column.name}: {odd} not allowed")
        arrays.append(array)
    return pa.table(arrays, names=wanted)


def long_table(
    values: np.ndarray, *axes: Mapping[str, Sequence[Any]], **constants: Any
) -> pa.Table:
    """One row for each number of ``values``, in their order, as column ``value``.

    ``axes`` holds for each axis columns by name, one entry for each place along it; ``constants``
    are the same in all rows. Text becomes dictionaries in the order in which it comes, or that of
    a :class:`pandas.Categorical`; None is missing.
    """
    columns = {}
    for axis, labels in enumerate(({name: [one] for name, one in constants.items()}, *axes)):
        shape = (1, *values.shape)
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        for name, given in labels.items():
            entries = pa.array(given)
            if pa.types.is_string(entries.type):
                entries = entries.dictionary_encode()
            places = np.tile(np.repeat(np.arange(shape[axis]), after), before)
            columns[name] = entries.take(pa.array(places))
    return pa.table(columns | {"value": values.reshape(-1)})
