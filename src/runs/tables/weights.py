"""Tables of what is removed: weights, and what their removal costs."""

import pyarrow as pa

from runs.columns import LAYER, MODEL, PRUNED, RUN, SEED, SUBLAYER, TEXT, VALUE, Column

PRUNINGS = (
    *PRUNED,
    SEED,
    Column("calibration", TEXT, "calibration text of the pruning method; none without"),
    Column("layer", pa.int32(), "layer, from 0; -1 for the whole model"),
    SUBLAYER,
    Column("weight", TEXT, "kind of weight, such as up_proj; empty for a whole part"),
    Column(
        "metric",
        TEXT,
        "perplexity of held-out text; layer_error (‖WX − ŴX‖/‖WX‖ on calibration text); "
        "importance (mean 1 − cos of a sublayer's input and output)",
    ),
    VALUE,
)

WEIGHTS = (
    RUN,
    MODEL,
    LAYER,
    Column("weight", TEXT, "kind of weight, such as up_proj"),
    Column(
        "quantity",
        TEXT,
        "weight: an entry of W; product: an entry of XXᵀ of its inputs over calibration text",
        ("weight", "product"),
    ),
    Column("row", pa.int32(), "row within the corner, from 0"),
    Column("column", pa.int32(), "column within the corner, from 0"),
    VALUE,
)

MASKS = (
    *PRUNED,
    SEED,
    LAYER,
    Column("weight", TEXT, "name of the weight within its layer, such as mlp.up_proj"),
    Column("rows", pa.int32(), "outputs of the weight"),
    Column("columns", pa.int32(), "inputs of the weight"),
    Column(
        "kept",
        pa.large_binary(),
        "one bit for each weight, row by row, 1 where it is kept; the highest bit of a byte first",
    ),
)
