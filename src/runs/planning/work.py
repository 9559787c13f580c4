"""How much has a measurement to do? Counts that follow from its parameters and the model's size.

The counts are those that a roofline model takes: operations of matrix products, bytes moved, calls
of a sublayer, bytes loaded. Each formula says what its measurement repeats; by how much it differs
from that is a factor that real runs give (``costs.json``).
"""

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from helpers.evaluation import search_sets
from helpers.pruning.methods import METHODS
from helpers.quantization.methods import BITS, QUANTIZERS
from helpers.texts import data, probes
from runs.parameters import RunParameters
from runs.planning.sizes import BYTES, Size
from runs.planning.steps import Step
from runs.wanted_tasks import wanted_tasks

READING = Path(__file__).with_name("reading.csv")  # questions of a task, or texts of a set; tokens
LETTERS_PER_TOKEN, TEMPLATE = 4, 30  # of an English text; tokens that a chat template adds
FLOAT = 4  # bytes of a number in float32
PASSES = 12  # over the logits of a state, for the numbers of three spaces and two lenses
PROBE_TOKENS, PROBE_WRITTEN = 60, 36  # read and written for one probe, over all forms
OWN_TOKENS = 20  # of one question that begins as others do, which is read once for all
LONGEST = 8192  # tokens of a pass: more are read in parts
SORTED = 250  # passes over a layer's weights that cost as much as ordering their scores
HELD_OUT = 256  # tokens of a window of held-out text


@dataclass
class Work:
    """What is to be done on one model: ``counts`` by unit. ``held``: float32 numbers besides the
    weights that exist at one time; ``models``: how many models do; ``written``: numbers stored."""

    size: Size
    dtype: str
    counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    held: float = 0.0
    models: int = 1
    written: float = 0.0

    def load(self, times: int = 1) -> None:
        """Read the weights into memory."""
        self.counts["loaded"] += times * self.size.bytes(self.dtype)

    def read(self, tokens: float, passes: float = 1, head: float = 0) -> None:
        """Run ``tokens`` through the model in so many passes, ``head`` of them onto the vocabulary.
        In each pass all weights are read once."""
        size = self.size
        self.counts[self.dtype] += 2 * (size.body * tokens + size.head * head)
        self.counts["moved"] += passes * (size.body + size.head) * BYTES[self.dtype]
        self.counts["calls"] += passes * 2 * size.layers
        each = 3 * size.inner + 8 * size.width + size.layers * size.width  # a layer, and the cache
        self.held = max(self.held, min(tokens / passes, LONGEST) * each)

    def write(self, texts: float, tokens: float, steps: float) -> None:
        """Read ``tokens`` and write ``steps`` more after each of so many ``texts``."""
        self.read(tokens, head=texts)
        self.read(texts * steps, passes=steps, head=texts * steps)

    def project(self, states: float) -> None:
        """Read ``states`` (N, d) onto the vocabulary, in float32."""
        self.counts["float32"] += 2 * self.size.head * states
        self.sweep(states)

    def sweep(self, states: float, passes: float = 1, wide: int = FLOAT) -> None:
        """Go over the logits of ``states`` so many times."""
        self.counts["moved"] += states * self.size.vocabulary * passes * wide

    def chains(self, count: float, passes: float = PASSES) -> None:
        """Compare all states of ``count`` positions in three spaces through two lenses."""
        states = 2 * self.size.layers + 1
        for _ in range(2):
            self.project(count * states)
            self.sweep(count * states, passes)
        self.held = max(self.held, 4.0 * states * self.size.vocabulary)

    def prune(self, method: str, windows: int, length: int) -> None:
        """Prune all weights of the body, layer after layer: each reads its inputs, is pruned, and
        gives the next one's."""
        if METHODS[method].calibrated:
            self.read(2 * windows * length, passes=2 * windows)
        self.remove(method, windows * length)

    def remove(self, method: str, tokens: int) -> None:
        """Choose among all weights of the body, by inputs that are there."""
        size = self.size
        self.counts["moved"] += SORTED * size.body * FLOAT
        if METHODS[method].statistic == "hessian":
            products = size.layers * (3 * size.width**2 + size.inner**2)  # of XXᵀ, and its inverse
            cubes = size.layers * (3 * size.width**3 + size.inner**3)
            solved = size.body * (size.width + size.inner) / 2
            self.counts["float32"] += 2 * tokens * products + 4 * cubes + 2 * solved
            self.held = max(self.held, 4.0 * size.inner**2)


def work(step: Step, size: Size, fresh: bool = True) -> Work:
    """The counts of one measurement, of itself alone; ``fresh``: its pruned model is not yet in
    memory. Raises :class:`helpers.errors.InputError` as reading its parameters does."""
    run = step.parameters
    dtype = "float32" if step.name == "noise_floor" else run.dtype
    done = Work(size, dtype)
    if step.name in PRUNED and not run.dense:
        done.models = 2
        if fresh:
            done.load()
            if run.prunes_weights and not METHODS[run.method].only_masks:
                _prune(done, run)
            if run.quantizer:
                _quantize(done, run)
    if formula := FORMULAS.get(step.name):
        formula(done, run)
    return done


@cache
def texts(prompts: str) -> tuple[int, float]:
    """How many prompts, and how many tokens in all of them."""
    chosen = data.select_prompts(prompts)
    return len(chosen), sum(len(one.text) / LETTERS_PER_TOKEN + TEMPLATE for one in chosen)


@cache
def reading(name: str) -> tuple[int, int, int]:
    """Questions of a task (or texts of a retrieval set), tokens read and written for each; as of a
    middling one where the name is not in the table."""
    with READING.open(encoding="utf-8", newline="") as lines:
        found = {row["name"]: row for row in csv.DictReader(lines)}
    row = found.get(name, found["mmlu"])
    return int(row["questions"]), int(row["read"]), int(row["written"])


def _prune(done: Work, run: RunParameters) -> None:
    done.prune(run.method, run.calibration_samples, run.calibration_length)


def _quantize(done: Work, run: RunParameters) -> None:
    """Every weight is read and written; a quantizer that looks at inputs solves as SparseGPT."""
    done.counts["moved"] += 6 * done.size.body * FLOAT
    if QUANTIZERS[run.quantizer].calibrated:
        done.prune("sparsegpt", run.calibration_samples, run.calibration_length)


def _calibration(run: RunParameters) -> int:
    return run.calibration_samples * run.calibration_length


def _probes(run: RunParameters) -> int:
    return len(probes.probes("all", run.probes))


def _repeated(run: RunParameters) -> int:
    return run.repeats if run.sampling else 1


def _walk(done: Work, run: RunParameters, steps: int) -> float:
    """The dense model writes, beside a model whose weights are thinned; positions looked at."""
    count, tokens = texts(run.prompts)
    done.load()
    done.write(count, tokens, steps)
    if run.method != "drop":
        done.load()
        done.models = 2
        if run.prunes_weights:
            _prune(done, run)
        done.read(count * steps, passes=steps)
    return count * steps


def _layer_profile(done: Work, run: RunParameters) -> None:
    chains = _walk(done, run, run.max_new_tokens)
    done.chains(chains)
    done.written = chains * 2 * done.size.layers * 60


def _temperatures(done: Work, run: RunParameters) -> None:
    chains = _walk(done, run, run.sweep_steps)
    done.chains(chains, passes=5 * PASSES)
    done.written = chains * 2 * done.size.layers * 60


def _estimate_quality(done: Work, run: RunParameters) -> None:
    chains = _walk(done, run, min(2, run.sweep_steps))
    done.chains(chains, passes=4 * PASSES)
    done.written = chains * 2 * done.size.layers * 14


def _dimension(done: Work, run: RunParameters) -> None:
    chains = _walk(done, run, run.max_new_tokens)
    for _ in range(2 * run.repeats):
        done.chains(chains)
    done.written = chains * done.size.layers * 400 * run.repeats


def _noise_floor(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    chains = count * run.max_new_tokens
    done.load(5)
    done.models = 3
    for _ in range(8):
        done.write(count, tokens, run.max_new_tokens)
        done.chains(chains)
    done.written = chains * 2 * done.size.layers * 60


def _propagation(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    steps = run.max_new_tokens
    done.load()
    done.write(count, tokens, steps)
    done.read(done.size.layers * (tokens + count * steps), passes=done.size.layers)
    done.chains(2 * count * steps)
    done.written = count * steps * 2 * done.size.layers * 50


def _side_by_side(done: Work, texts_: float, tokens: float, steps: float, readers: int) -> None:
    """So many readers write on together, and their outputs are compared at each step."""
    for _ in range(readers):
        done.write(texts_, tokens, steps)
    done.project(2 * readers * texts_ * steps)
    done.sweep(readers * texts_ * steps, 3 * PASSES)


def _generation(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    written = count * _repeated(run)
    done.load()
    _side_by_side(done, written, tokens, run.max_new_tokens, readers=3)
    again = tokens * _repeated(run) + written * run.max_new_tokens
    done.read(2 * again, passes=2, head=2 * written * run.max_new_tokens)
    done.written = written * run.max_new_tokens * 100


def _other_words(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load()
    _side_by_side(done, count, tokens, run.max_new_tokens, readers=2)
    done.written = count * run.max_new_tokens * 60


def _decomposition(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load()
    _side_by_side(done, count, tokens, run.sweep_steps, readers=6)
    done.written = count * run.sweep_steps * 200


def _rescue(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load()
    for _ in range(2):
        done.write(6 * count, tokens, run.sweep_steps)
    done.sweep(12 * count * run.sweep_steps, 6)
    done.written = 7 * count * run.sweep_steps * 4


def _pruned_texts(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    models = 1 if run.method != "drop" else 2 if run.sampling else 4
    written = (count + 1) * _repeated(run)
    done.load(models)
    for _ in range(models + 1):
        done.write(written, tokens, run.max_new_tokens)
        again = written * run.max_new_tokens
        done.read(tokens * _repeated(run) + again, head=again)
    done.written = 2 * models * written * run.max_new_tokens * 4


def _attention_paths(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load()
    done.write(count, tokens, run.sweep_steps)
    done.read(4 * (tokens + count * run.sweep_steps), passes=12)
    done.written = count * run.sweep_steps * done.size.layers * 30


def _options(done: Work, run: RunParameters) -> None:
    count, tokens = texts("all")
    done.load()
    done.read(2 * tokens, passes=4, head=4 * count)


def _example_state(done: Work, run: RunParameters) -> None:
    done.load()
    done.read(100)
    done.project(4)
    done.counts["calls"] += done.size.vocabulary / 3  # each token is put into words
    done.written = 8 * done.size.vocabulary


def _ranking(done: Work, run: RunParameters) -> None:
    done.load()
    done.read(_calibration(run), passes=run.calibration_samples)
    done.counts["moved"] += 20 * _calibration(run) * done.size.layers * done.size.width * FLOAT


def _masks(done: Work, run: RunParameters) -> None:
    done.load()
    _prune(done, run)
    done.written = done.size.body / 32  # one bit for each weight


def _task_items(done: Work, run: RunParameters) -> None:
    for task, items in wanted_tasks(run).items():
        _ask(done, run, task.name, items)
    if run.dense:
        done.load()


def _ask(done: Work, run: RunParameters, name: str, items: int) -> None:
    questions, read, written = reading(name)
    asked = min(items, questions) if items else questions
    batches = -(-asked // run.batch_size)
    tokens = asked * read * (1 + run.shots)
    done.read(tokens, passes=batches, head=asked * 12)
    done.held = max(done.held, float(run.batch_size * 12 * done.size.vocabulary))
    if written:
        done.read(asked * written, passes=batches * written, head=asked * written)
    done.written += asked * 8


def _probe_items(done: Work, run: RunParameters) -> None:
    asked = _probes(run)
    batches = -(-asked // (6 * run.batch_size))
    if run.dense:
        done.load()
    done.read(asked * PROBE_TOKENS * 3, passes=3 * batches, head=asked * 12)
    done.read(asked * PROBE_WRITTEN, passes=batches * PROBE_WRITTEN, head=asked * PROBE_WRITTEN)
    done.held = max(done.held, float(6 * run.batch_size * 4 * done.size.vocabulary))
    done.written = 5 * asked * 8


def _retrieval_items(done: Work, run: RunParameters) -> None:
    (name,) = search_sets.names(run.collections, run.task_folder)
    texts_, read, _ = reading(Path(name).name)
    if run.items and name in search_sets.FILES:  # of others, all documents are read
        texts_ = min(texts_, run.items * (1 + search_sets.DOCUMENTS_PER_QUERY))
    if not run.dense:
        done.load()
        if run.prunes_weights:
            _prune(done, run)
    done.load()
    done.read(texts_ * read, passes=-(-texts_ // run.batch_size))
    done.written = (run.items or texts_) * 8


def _subspaces(done: Work, run: RunParameters) -> None:
    asked = 2 * _probes(run)
    done.load()
    done.read(2 * asked * OWN_TOKENS, passes=asked / 8, head=2 * asked)
    done.sweep(asked, 60 + 4 * run.repeats, wide=8)
    done.written = asked * 100 * run.repeats


def _ladder(done: Work, run: RunParameters) -> None:
    asked = 2 * _probes(run)
    done.load()
    done.read(asked * OWN_TOKENS, passes=asked / 16, head=2 * asked)
    done.sweep(asked, 20)
    done.counts["calls"] += 150 * asked  # answers are told apart by tokens, one after the other
    done.written = asked * 40


def _pruning_quality(done: Work, run: RunParameters) -> None:
    tokens, held_out = _calibration(run), run.evaluation_samples * HELD_OUT
    done.load()
    done.read(tokens, passes=run.calibration_samples)
    for name, method in METHODS.items():
        if not method.drawn:
            done.remove(name, tokens)  # for the errors of each layer
        for _ in range(3 * (run.repeats if method.seeded else 1)):  # a share, and two patterns
            done.prune(name, run.calibration_samples, run.calibration_length)
            done.read(held_out, passes=run.evaluation_samples, head=held_out)
    drops = 1 + 8 * run.repeats
    done.read(drops * held_out, passes=drops * run.evaluation_samples, head=drops * held_out)
    done.written = 1000 * run.repeats


def _weight_corner(done: Work, run: RunParameters) -> None:
    done.load()
    done.read(_calibration(run), passes=run.calibration_samples)


def _readouts(done: Work, run: RunParameters) -> None:
    done.load()
    done.read(_calibration(run), passes=run.calibration_samples)
    for _ in range(3):
        done.write(1, 100, run.max_new_tokens)
        done.chains(1)


def _running_cost(done: Work, run: RunParameters) -> None:
    done.models = 2
    for _ in range(2 * 7):  # both models, in as many turns and once more for memory
        done.write(1, 128, 8)


def _prompt_lengths(done: Work, run: RunParameters) -> None:
    done.models = 0  # the tokenizer is enough
    done.written = 100


def _in_the_notebook(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load(3)
    done.models = 3
    for task, items in wanted_tasks(run).items():
        for _ in range(2):
            _ask(done, run, task.name, items)
    for _ in range(2):
        done.write(count, tokens, run.max_new_tokens)
    for method in ("magnitude", "magnitude", run.method):
        if method in METHODS:
            done.prune(method, run.calibration_samples, run.calibration_length)
    done.read(8 * run.calibration_length, passes=8, head=8 * run.calibration_length)


def _weight_store(done: Work, run: RunParameters) -> None:
    done.load()
    done.counts["moved"] += 30 * done.size.body * FLOAT  # twice as wide, several times
    done.written = 7 * done.size.layers


def _grid_errors(done: Work, run: RunParameters) -> None:
    done.load()
    done.counts["moved"] += 2 * len(BITS) * 40 * done.size.body * FLOAT
    done.written = 70 * done.size.layers


def _rotation_check(done: Work, run: RunParameters) -> None:
    count, tokens = texts(run.prompts)
    done.load(2)
    done.models = 2
    for _ in range(2):
        done.write(count, tokens, run.max_new_tokens)
        done.read(tokens, head=tokens)
    done.written = count


PRUNED = frozenset(
    {
        "weight_store",
        "task_items",
        "probe_items",
        "generation",
        "options",
        "rescue",
        "attention_paths",
    }
    | {"decomposition", "running_cost", "subspaces", "ladder"}
)
FORMULAS: dict[str, Callable[[Work, RunParameters], None]] = {
    "attention_paths": _attention_paths,
    "decomposition": _decomposition,
    "dimension": _dimension,
    "estimate_quality": _estimate_quality,
    "example_state": _example_state,
    "generation": _generation,
    "grid_errors": _grid_errors,
    "in_the_notebook": _in_the_notebook,
    "ladder": _ladder,
    "layer_profile": _layer_profile,
    "masks": _masks,
    "noise_floor": _noise_floor,
    "options": _options,
    "other_words": _other_words,
    "probe_items": _probe_items,
    "prompt_lengths": _prompt_lengths,
    "propagation": _propagation,
    "pruned_texts": _pruned_texts,
    "pruning_quality": _pruning_quality,
    "ranking": _ranking,
    "readouts": _readouts,
    "rescue": _rescue,
    "retrieval_items": _retrieval_items,
    "rotation_check": _rotation_check,
    "running_cost": _running_cost,
    "subspaces": _subspaces,
    "task_items": _task_items,
    "temperatures": _temperatures,
    "weight_corner": _weight_corner,
    "weight_store": _weight_store,
}
