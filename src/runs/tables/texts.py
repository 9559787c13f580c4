"""Tables of what is read and written: prompts, texts, tokens, options and scores."""

import pyarrow as pa

from runs.columns import (
    AMOUNT,
    CATEGORY,
    METHOD,
    MODEL,
    PROMPT,
    PRUNED,
    RUN,
    SEED,
    STEP,
    TARGET,
    TEXT,
    VALUE,
    Column,
)

KIND = Column(
    "kind",
    TEXT,
    "what the task asks for",
    ("multiple_choice", "generation", "retrieval", "probe"),
)
FORM = Column(
    "form",
    TEXT,
    "form in which a question is asked: worked examples before it, such as 5-shot; of probes "
    "choice or generation, with the answer's prefix or plain, and letter; empty if there is one",
)

PROMPTS = (
    RUN,
    MODEL,
    PROMPT,
    CATEGORY,
    Column(
        "form",
        TEXT,
        "plain: the text alone; template: wrapped in the model's chat template",
        ("plain", "template"),
    ),
    Column("text", pa.string(), "what the tokenizer is given"),
    Column("tokens", pa.int32(), "its length in tokens, those that the tokenizer adds included"),
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

TOKENS = (
    *PRUNED,
    PROMPT,
    CATEGORY,
    SEED,
    Column(
        "writer",
        TEXT,
        "whose text it is; control: the pruned model's, with its own second choice now and then; "
        "forced: what the pruned model would choose at each step of the dense text",
        ("dense", "pruned", "control", "forced"),
    ),
    Column(
        "every",
        pa.int32(),
        "in the pruned model's text, one token in so many is the dense model's choice, or in the "
        "control the second choice; 0: none",
    ),
    STEP,
    Column("token", pa.int32(), "the token, by its number in the vocabulary"),
    Column("text", pa.string(), "text of the token"),
    Column(
        "parted",
        pa.bool_(),
        "whether this token, or one before it, differs between the dense and the pruned text",
    ),
    Column("beyond", pa.bool_(), "whether the other text had ended before this step"),
    Column(
        "value",
        pa.float64(),
        "log-likelihood of the token in nats, as the dense model gives it after this text so far",
    ),
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

CHOICES = (
    *PRUNED,
    SEED,
    PROMPT,
    Column("template", pa.bool_(), "whether the question stands in the model's chat template"),
    Column("prefix", pa.bool_(), "whether the answer begins with a prefix that is given"),
    Column("output", TEXT, "whose output it is", ("dense", "pruned")),
    Column(
        "role",
        TEXT,
        "option: the letter of an option; top: one of the likeliest tokens of either model",
        ("option", "top"),
    ),
    Column("token", pa.int32(), "the token, by its number in the vocabulary"),
    Column("text", pa.string(), "letter of the option, or text of the token"),
    Column("value", pa.float64(), "log-likelihood of the token in nats, at T = 1"),
)

SUBSETS = (
    *PRUNED,
    SEED,
    Column("item", TEXT, "id of the question"),
    Column("family", TEXT, "family of the question"),
    Column(
        "form",
        TEXT,
        "what the answer prefix asks for: the word of an option, or its letter",
        ("word", "letter"),
    ),
    Column(
        "set",
        TEXT,
        "which tokens: the options; the answers of the whole family; matched, those next to the "
        "options in dense rank; same_gaps, others whose logits lie as far apart; random; top, the "
        "likeliest, as many as options; vocabulary; band, those of some dense ranks",
        ("options", "answers", "matched", "same_gaps", "random", "top", "vocabulary", "band"),
    ),
    Column("band", TEXT, "first and last dense rank of a band, from 1; empty for other sets"),
    Column("draw", pa.int32(), "which of several such sets, from 0"),
    Column("size", pa.int32(), "number of tokens"),
    Column(
        "metric",
        TEXT,
        "gap, the lead of the dense best over the second, and gap_change, what pruning adds to "
        "it, in logits; noise: standard deviation of Δz over the set, in logits; survived: 1 where "
        "the best token stays the best, else 0; mass, mass_pruned: probability of the set; moved: "
        "mean |Δp|; rank: median dense rank from 1, the lower of two; right, right_pruned: 1 where "
        "the best option is the right one, else 0; change: Δz of one option, whose place draw "
        "gives, minus the mean of all options",
        (
            *("gap", "gap_change", "noise", "survived", "mass", "mass_pruned", "moved", "rank"),
            *("right", "right_pruned", "change"),
        ),
    ),
    VALUE,
)

ITEMS = (
    *PRUNED,
    Column("task", TEXT, "name of the task"),
    KIND,
    FORM,
    Column("metric", TEXT, "name of the score"),
    SEED,
    Column("item", TEXT, "id of the question"),
    Column("family", TEXT, "family or subject of the question; empty if there is none"),
    Column("answer", pa.string(), "what the model chose or wrote, at most 300 letters of it"),
    Column("chance", pa.float64(), "what guessing scores on this question"),
    Column("value", pa.float64(), "what the answer scores, from 0 to 1"),
)

LADDER = (
    *PRUNED,
    SEED,
    Column("item", TEXT, "id of the question"),
    Column("family", TEXT, "family of the question"),
    FORM,
    Column(
        "candidates",
        TEXT,
        "which tokens stand beside the right one: random; matched, next to it in the dense "
        "model's rank, one above and one below by turns; kind, answers of the same family, drawn "
        "at random; vocabulary, all tokens",
        ("random", "matched", "kind", "vocabulary"),
    ),
    Column("size", pa.int32(), "number of candidates, the right one among them"),
    Column("rank", pa.int32(), "place of the right one among all tokens, by logit, from 1"),
    Column("value", pa.float64(), "share of draws in which the right one has the largest logit"),
)

SCORES = (
    *PRUNED,
    Column("task", TEXT, "name of the task"),
    KIND,
    FORM,
    Column("metric", TEXT, "name of the score"),
    SEED,
    Column("calibration", TEXT, "calibration text of the pruning method"),
    Column(
        "value",
        pa.float64(),
        "the score; missing if the dense model is at its floor, and the pruned one was not asked",
        nullable=True,
    ),
    Column("stderr", pa.float64(), "its standard error", nullable=True),
    Column("n", pa.int64(), "number of items"),
    Column("dense_value", pa.float64(), "the dense model's score on the same items", nullable=True),
    Column("paired_low", pa.float64(), "lower end of the paired 95% interval", nullable=True),
    Column("paired_high", pa.float64(), "upper end of the paired 95% interval", nullable=True),
    Column("flips_lost", pa.int64(), "items right when dense, wrong when pruned", nullable=True),
    Column("flips_gained", pa.int64(), "items wrong when dense, right when pruned", nullable=True),
    Column("p_value", pa.float64(), "of McNemar's exact test, dense against pruned", nullable=True),
    Column(
        "verdict", TEXT, "whether the score allows a conclusion", ("ok", "at_floor", "at_ceiling")
    ),
)
