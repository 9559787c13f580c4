"""The tables that measurements write: their columns and what those mean."""

import pyarrow as pa

from helpers.results.columns import (
    AMOUNT,
    CATEGORY,
    LAYER,
    LENS,
    METHOD,
    MODEL,
    PATTERN,
    PROMPT,
    RUN,
    SEED,
    SPACE,
    STEP,
    SUBLAYER,
    TARGET,
    TEMPERATURE,
    TEXT,
    VALUE,
    Column,
)

DEVIATIONS = (
    RUN,
    MODEL,
    Column("dtype", TEXT, "number format of weights and states"),
    METHOD,
    TARGET,
    AMOUNT,
    PATTERN,
    Column(
        "intervention",
        TEXT,
        "in_place: one sublayer is replaced and compared where it stands; "
        "propagated: the pruned model runs on to its output",
        ("in_place", "propagated"),
    ),
    Column(
        "decoding",
        TEXT,
        "free: each model reads its own text; forced: both read the dense text; "
        "prefill: one pass over a given text",
        ("free", "forced", "prefill"),
    ),
    PROMPT,
    CATEGORY,
    SEED,
    STEP,
    LAYER,
    SUBLAYER,
    SPACE,
    LENS,
    Column("centred", pa.bool_(), "whether the mean logit was subtracted first"),
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "cosine; angular (1 − cosine); parallel (h·Δ/‖h‖², negative where pruning shortens) and "
        "orthogonal (‖Δ⊥‖/‖h‖), both relative to dense or, with _from_pruned, to pruned; kl is "
        "KL(dense‖pruned) in nats, kl_reversed KL(pruned‖dense); variance_p, variance_r and "
        "variance_uniform are variances of Δz, in squared logits, under p, under r ∝ p² and with "
        "equal weights; agreement is 1 where the likeliest token is the same and 0 where it is not",
    ),
    Column(
        "quantity",
        TEXT,
        "measured here, given by an exact identity, a theorem or a bounded form, or reported "
        "by the paper",
        ("measured", "exact", "theorem", "bounded", "reported"),
    ),
    VALUE,
)

SCORES = (
    RUN,
    MODEL,
    METHOD,
    TARGET,
    AMOUNT,
    PATTERN,
    Column("task", TEXT, "name of the task"),
    Column(
        "kind",
        TEXT,
        "what the task asks for",
        ("multiple_choice", "generation", "retrieval", "probe"),
    ),
    Column("form", TEXT, "form in which a question is asked"),
    Column("metric", TEXT, "name of the score"),
    SEED,
    Column("calibration", TEXT, "calibration text of the pruning method"),
    Column("value", pa.float64(), "the score"),
    Column("stderr", pa.float64(), "its standard error", nullable=True),
    Column("n", pa.int64(), "number of items"),
    Column("dense_value", pa.float64(), "the dense model's score on the same items", nullable=True),
    Column("paired_low", pa.float64(), "lower end of the paired 95% interval", nullable=True),
    Column("paired_high", pa.float64(), "upper end of the paired 95% interval", nullable=True),
    Column("flips_lost", pa.int64(), "items right when dense, wrong when pruned", nullable=True),
    Column("flips_gained", pa.int64(), "items wrong when dense, right when pruned", nullable=True),
    Column(
        "verdict", TEXT, "whether the score allows a conclusion", ("ok", "at_floor", "at_ceiling")
    ),
)

TEXTS = (
    RUN,
    MODEL,
    PROMPT,
    CATEGORY,
    Column("prompt_tokens", pa.int32(), "length of the prompt with its template, in tokens"),
    Column("steps", pa.int32(), "measured decoding steps"),
    Column("ended", pa.bool_(), "whether the text ended by itself within those steps"),
    Column("text", pa.string(), "what the dense model wrote"),
)

PRUNINGS = (
    RUN,
    MODEL,
    METHOD,
    TARGET,
    AMOUNT,
    PATTERN,
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

READOUTS = (
    RUN,
    MODEL,
    METHOD,
    TARGET,
    AMOUNT,
    Column(
        "stage",
        TEXT,
        "where on the way of one sentence through the model the number is read; comparison: "
        "dense and pruned side by side",
        (
            *("token", "state", "lens", "output", "comparison"),
            *("retrieval", "multiple_choice", "generation"),
        ),
    ),
    Column(
        "layer",
        pa.int32(),
        "layers that the state has passed, 0 for the token embedding; -1 "
        "where the number is of no single layer",
    ),
    Column(
        "form",
        TEXT,
        "how it is read: raw or normed (lens); last or mean (pooling of a text's states); letters "
        "or words after a list of options, or words after the sentence; empty if there is one way",
    ),
    Column("position", pa.int32(), "place in a text, or rank by probability, from 0; -1 for none"),
    Column("item", TEXT, "token, document, option, space or text that the number belongs to"),
    Column(
        "metric",
        TEXT,
        "id of a token; norm of a state; cosine_to_previous layer's state; probability, "
        "log_probability (natural logarithm); entropy in nats; probability_of_next: of the token "
        "that the model gives out; cosine; mass: probability of all options together; length in "
        "tokens",
    ),
    VALUE,
)

LOGITS = (
    RUN,
    MODEL,
    PROMPT,
    LAYER,
    SUBLAYER,
    LENS,
    Column("token", pa.int32(), "token, by its number in the vocabulary"),
    Column("text", pa.string(), "text of the token"),
    Column("z", pa.float64(), "the token's logit, dense"),
    Column("delta", pa.float64(), "change of that logit, pruned minus dense"),
)

NOISE = (
    RUN,
    MODEL,
    Column(
        "condition",
        TEXT,
        "how the same model read the same tokens: reference (float32, one text at a time, one "
        "pass), again, batch (all texts, padded on the left), cached (token by token), "
        "one_thread, bfloat16, float16, projection (the reference's states, projected in "
        "float64), float64 (throughout)",
    ),
    Column(
        "quantity",
        TEXT,
        "noise: a state against the reference's; effect: the state with a sublayer against the "
        "state without it, in place, both as the condition holds them",
        ("noise", "effect"),
    ),
    PROMPT,
    STEP,
    Column("layer", pa.int32(), "layer, from 0; -1 for the model's output"),
    Column(
        "sublayer",
        TEXT,
        "the sublayer behind which the state stands",
        ("attention", "mlp", "model"),
    ),
    SPACE,
    LENS,
    Column(
        "metric",
        TEXT,
        "angular (1 − cosine), orthogonal (‖Δ⊥‖/‖h‖), kl (nats), top1 (1 where the likeliest "
        "token differs, else 0)",
        ("angular", "orthogonal", "kl", "top1"),
    ),
    VALUE,
)

DIMENSIONS = (
    RUN,
    MODEL,
    PROMPT,
    STEP,
    LAYER,
    Column(
        "sublayer", TEXT, "the sublayer that is removed, in place", ("attention", "mlp", "block")
    ),
    Column(
        "lens",
        TEXT,
        "raw: the residual stream as it is; normed: after the final norm",
        ("raw", "normed"),
    ),
    Column(
        "family",
        TEXT,
        "what reads the state: rows of the head (vocabulary), or random Gaussian rows of the "
        "same mean squared length (projection)",
        ("vocabulary", "projection"),
    ),
    Column("width", pa.int32(), "number of outputs; 0 for the limit of infinitely many"),
    Column("draw", pa.int32(), "which repetition of the random choice, from 0"),
    Column(
        "readout",
        TEXT,
        "linear: the outputs as they are; softmax: at the run's temperature; unit: softmax of the "
        "outputs divided by their own standard deviation",
        ("linear", "softmax", "unit"),
    ),
    Column("centred", pa.bool_(), "whether the mean output was subtracted first"),
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "angular (1 − cosine); kl (nats); agreement (1 where the largest output is the same, else "
        "0); spread (standard deviation of the dense outputs); effective (1/Σp², dense)",
        ("angular", "kl", "agreement", "spread", "effective"),
    ),
    Column(
        "quantity",
        TEXT,
        "measured, or the closed form that random rows lead to",
        ("measured", "limit"),
    ),
    VALUE,
)

SCHEMAS: dict[str, tuple[Column, ...]] = {
    "noise": NOISE,
    "deviations": DEVIATIONS,
    "scores": SCORES,
    "texts": TEXTS,
    "prunings": PRUNINGS,
    "weights": WEIGHTS,
    "logits": LOGITS,
    "readouts": READOUTS,
    "dimensions": DIMENSIONS,
}
