"""Tables of numbers that compare a dense and a pruned model, or a model with itself."""

import pyarrow as pa

from runs.columns import (
    AMOUNT,
    CATEGORY,
    LAYER,
    LENS,
    METHOD,
    MODEL,
    PATTERN,
    PROMPT,
    PRUNED,
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
        "equal weights; agreement is 1 where the likeliest token is the same and 0 where it is "
        "not; choice is 1 where the next token is the same, drawn or not; rank is the place of the "
        "dense choice in the pruned model, from 1; margin is its lead over its runner-up in "
        "logits, margin_noise what pruning adds to that, margin_pruned its lead over the best "
        "rival in the pruned model; entropy_dense and entropy_pruned are in nats",
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

TERMS = (
    *PRUNED,
    PROMPT,
    CATEGORY,
    SEED,
    STEP,
    Column("parted", pa.bool_(), "whether the texts read so far differ"),
    Column(
        "order",
        TEXT,
        "what is exchanged first: the parameters (parameters, history, tokens) or the text "
        "(tokens, history, parameters)",
        ("parameters_first", "tokens_first"),
    ),
    Column(
        "term",
        TEXT,
        "parameters: the pruned weights at the current token; history: the states of earlier "
        "positions, of the same tokens; tokens: the other text; whole: all of it",
        ("parameters", "history", "tokens", "whole"),
    ),
    SPACE,
    Column("centred", pa.bool_(), "whether the mean logit was subtracted first"),
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "share: projection of the term on the whole difference Δ over ‖Δ‖², shares add up to 1; "
        "size: ‖term‖/‖Δ‖; relative: ‖term‖/‖dense‖; angular and kl: by how much the term raises "
        "1 − cos from dense and KL(dense‖·), in nats; residual: ‖Σ terms − Δ‖/‖dense‖, Δ from two "
        "other passes without cache",
        ("share", "size", "relative", "angular", "kl", "residual"),
    ),
    VALUE,
)

PATHS = (
    *PRUNED,
    PROMPT,
    CATEGORY,
    SEED,
    STEP,
    LAYER,
    Column(
        "cause",
        TEXT,
        "what changes the output o of one attention: inputs (its dense parameters read what the "
        "pruned model holds there), parameters (then its pruned parameters read the same), both",
        ("inputs", "parameters", "both"),
    ),
    Column(
        "scale",
        pa.float64(),
        "share of the change of the inputs that is applied; 1 for all of it",
    ),
    Column(
        "term",
        TEXT,
        "value: Σ α Δv; weight: Σ Δα v; remainder: Σ Δα Δv; change: their sum Δo",
        ("value", "weight", "remainder", "change"),
    ),
    Column(
        "metric",
        TEXT,
        "share: projection of the term on Δo over ‖Δo‖², which add up to 1; size: length of the "
        "term over that of o, dense; part: projection of this cause's Δo on the Δo of both causes, "
        "over its squared length; first: share of that part of the value path which the first "
        "token of the text makes",
        ("share", "size", "part", "first"),
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
