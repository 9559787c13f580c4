"""How much has a measurement to do? Counts that follow from its parameters and the model's size.

The counts are those that a roofline model takes: operations of matrix products, bytes moved, calls
of a sublayer, bytes loaded. Each formula says what its measurement repeats; by how much it differs
from that is a factor that real runs give (``costs.json``).
"""

import csv
from collections import defaultdict
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

    def sweep_weights(self, passes: float) -> None:
        """Go over the weights of the body so many times, in float32."""
        self.counts["moved"] += passes * self.size.body * FLOAT

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
        self.sweep_weights(SORTED)
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
    done = Work(size, "float32" if step.name == "noise_floor" else run.dtype)
    if step.name in PRUNED and not run.dense:
        done.models = 2
        if fresh:
            done.load()
            if run.prunes_weights and not METHODS[run.method].only_masks:
                _prune(done, run)
            if run.quantizer:  # every weight is read and written; some solve as SparseGPT does
                done.sweep_weights(6)
                if QUANTIZERS[run.quantizer].calibrated:
                    done.prune("sparsegpt", run.calibration_samples, run.calibration_length)
    _count(done, step.name, run)
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


def _count(done: Work, name: str, run: RunParameters) -> None:
    """What the measurement of that ``name`` repeats; of one that only puts others together,
    nothing."""
    size, steps, shorter, again = done.size, run.max_new_tokens, run.sweep_steps, run.repeats
    count, tokens = texts(run.prompts)
    drawn = again if run.sampling else 1  # texts after each prompt
    windows = run.calibration_samples
    calibration, held_out = windows * run.calibration_length, run.evaluation_samples * HELD_OUT
    asked = len(probes.probes("all", run.probes))
    match name:
        # every sublayer of the dense model by itself, while it writes
        case "layer_profile" | "dimension":
            chains = _walk(done, run, steps)
            for _ in range(1 if name == "layer_profile" else 2 * again):
                done.chains(chains)
            each = 2 * 60 if name == "layer_profile" else 400 * again
            done.written = chains * size.layers * each
        case "temperatures":
            chains = _walk(done, run, shorter)
            done.chains(chains, passes=5 * PASSES)
            done.written = chains * 2 * size.layers * 60
        case "estimate_quality":
            chains = _walk(done, run, min(2, shorter))
            done.chains(chains, passes=4 * PASSES)
            done.written = chains * 2 * size.layers * 14
        case "noise_floor":
            done.load(5)
            done.models = 3
            for _ in range(8):
                done.write(count, tokens, steps)
                done.chains(count * steps)
            done.written = count * steps * 2 * size.layers * 60
        case "propagation":
            done.load()
            done.write(count, tokens, steps)
            done.read(size.layers * (tokens + count * steps), passes=size.layers)
            done.chains(2 * count * steps)
            done.written = count * steps * 2 * size.layers * 50
        # a whole pruned model beside the dense one, while both write
        case "generation":
            written = count * drawn
            done.load()
            _side_by_side(done, written, tokens, steps, readers=3)
            done.read(2 * (tokens * drawn + written * steps), passes=2, head=2 * written * steps)
            done.written = written * steps * 100
        case "other_words":
            done.load()
            _side_by_side(done, count, tokens, steps, readers=2)
            done.written = count * steps * 60
        case "decomposition":
            done.load()
            _side_by_side(done, count, tokens, shorter, readers=6)
            done.written = count * shorter * 200
        case "rescue":
            done.load()
            for _ in range(2):
                done.write(6 * count, tokens, shorter)
            done.sweep(12 * count * shorter, 6)
            done.written = 7 * count * shorter * 4
        case "pruned_texts":
            models = 1 if run.method != "drop" else 2 if run.sampling else 4
            written = (count + 1) * drawn
            done.load(models)
            for _ in range(models + 1):
                done.write(written, tokens, steps)
                done.read(tokens * drawn + written * steps, head=written * steps)
            done.written = 2 * models * written * steps * 4
        case "attention_paths":
            done.load()
            done.write(count, tokens, shorter)
            done.read(4 * (tokens + count * shorter), passes=12)
            done.written = count * shorter * size.layers * 30
        # one pass, or a few
        case "options":
            count, tokens = texts("all")
            done.load()
            done.read(2 * tokens, passes=4, head=4 * count)
        case "example_state":
            done.load()
            done.read(100)
            done.project(4)
            done.counts["calls"] += size.vocabulary / 3  # each token is put into words
            done.written = 8 * size.vocabulary
        case "readouts":
            done.load()
            done.read(calibration, passes=windows)
            for _ in range(3):
                done.write(1, 100, steps)
                done.chains(1)
        case "rotation_check":
            done.load(2)
            done.models = 2
            for _ in range(2):
                done.write(count, tokens, steps)
                done.read(tokens, head=tokens)
            done.written = count
        case "running_cost":
            done.models = 2
            for _ in range(2 * 7):  # both models, in as many turns and once more for memory
                done.write(1, 128, 8)
        case "prompt_lengths":
            done.models = 0  # the tokenizer is enough
            done.written = 100
        # what is removed, and what is left of the weights
        case "ranking":
            done.load()
            done.read(calibration, passes=windows)
            done.counts["moved"] += 20 * calibration * size.layers * size.width * FLOAT
        case "masks":
            done.load()
            _prune(done, run)
            done.written = size.body / 32  # one bit for each weight
        case "weight_corner":
            done.load()
            done.read(calibration, passes=windows)
        case "pruning_quality":
            done.load()
            done.read(calibration, passes=windows)
            for method, known in METHODS.items():
                if not known.drawn:
                    done.remove(method, calibration)  # for the errors of each layer
                for _ in range(3 * (again if known.seeded else 1)):  # a share, and two patterns
                    done.prune(method, windows, run.calibration_length)
                    done.read(held_out, passes=run.evaluation_samples, head=held_out)
            drops = 1 + 8 * again
            read = drops * held_out
            done.read(read, passes=drops * run.evaluation_samples, head=read)
            done.written = 1000 * again
        case "weight_store":
            done.load()
            done.sweep_weights(30)  # twice as wide, several times
            done.written = 7 * size.layers
        case "grid_errors":
            done.load()
            done.sweep_weights(2 * len(BITS) * 40)
            done.written = 70 * size.layers
        # questions
        case "task_items":
            for task, items in wanted_tasks(run).items():
                _ask(done, run, task.name, items)
            if run.dense:
                done.load()
        case "probe_items":
            batches = -(-asked // (6 * run.batch_size))
            if run.dense:
                done.load()
            done.read(asked * PROBE_TOKENS * 3, passes=3 * batches, head=asked * 12)
            written = asked * PROBE_WRITTEN
            done.read(written, passes=batches * PROBE_WRITTEN, head=written)
            done.held = max(done.held, float(6 * run.batch_size * 4 * size.vocabulary))
            done.written = 5 * asked * 8
        case "retrieval_items":
            (chosen,) = search_sets.names(run.collections, run.task_folder)
            documents, read, _ = reading(Path(chosen).name)
            if run.items and chosen in search_sets.FILES:  # of others, all documents are read
                documents = min(documents, run.items * (1 + search_sets.DOCUMENTS_PER_QUERY))
            if not run.dense:
                done.load()
                if run.prunes_weights:
                    _prune(done, run)
            done.load()
            done.read(documents * read, passes=-(-documents // run.batch_size))
            done.written = (run.items or documents) * 8
        case "subspaces":
            done.load()
            done.read(4 * asked * OWN_TOKENS, passes=asked / 4, head=4 * asked)
            done.sweep(2 * asked, 60 + 4 * again, wide=8)
            done.written = 2 * asked * 100 * again
        case "ladder":
            done.load()
            done.read(2 * asked * OWN_TOKENS, passes=asked / 8, head=4 * asked)
            done.sweep(2 * asked, 20)
            done.counts["calls"] += 300 * asked  # answers are told apart one token after the other
            done.written = 2 * asked * 40
        case "in_the_notebook":
            done.load(3)
            done.models = 3
            for task, items in wanted_tasks(run).items():
                for _ in range(2):
                    _ask(done, run, task.name, items)
            for _ in range(2):
                done.write(count, tokens, steps)
            for method in ("magnitude", "magnitude", run.method):
                if method in METHODS:
                    _prune(done, run.model_copy(update={"method": method}))
            read = 8 * run.calibration_length
            done.read(read, passes=8, head=read)


def _prune(done: Work, run: RunParameters) -> None:
    done.prune(run.method, run.calibration_samples, run.calibration_length)


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


def _side_by_side(done: Work, texts_: float, tokens: float, steps: float, readers: int) -> None:
    """So many readers write on together, and their outputs are compared at each step."""
    for _ in range(readers):
        done.write(texts_, tokens, steps)
    done.project(2 * readers * texts_ * steps)
    done.sweep(readers * texts_ * steps, 3 * PASSES)


def _ask(done: Work, run: RunParameters, name: str, items: int) -> None:
    questions, read, written = reading(name)
    asked = min(items, questions) if items else questions
    batches = -(-asked // run.batch_size)
    done.read(asked * read * (1 + run.shots), passes=batches, head=asked * 12)
    done.held = max(done.held, float(run.batch_size * 12 * done.size.vocabulary))
    if written:
        done.read(asked * written, passes=batches * written, head=asked * written)
    done.written += asked * 8


PRUNED = frozenset(
    {"weight_store", "task_items", "probe_items", "generation", "options", "rescue"}
    | {"attention_paths", "decomposition", "running_cost", "subspaces", "ladder"}
)
