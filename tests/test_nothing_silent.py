"""Every place where something that a library would say is not heard, and why that hides nothing.

A library that skips a weight or a file says so in a warning at best. So whoever adds a place that
keeps warnings, messages or errors back says here what becomes of them.
"""

import ast
import textwrap
from pathlib import Path

import jupytext

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "workflow", "benchmarks", "notebooks", "book/_extensions")
CALLS = {  # functions that silence, whatever they are given
    *("filterwarnings", "simplefilter", "catch_warnings", "captureWarnings"),
    *("setLevel", "set_verbosity", "set_verbosity_error", "set_verbosity_warning"),
    *("disable_progress_bar", "disable_progress_bars", "disable_default_handler", "addFilter"),
    *("redirect_stdout", "redirect_stderr", "suppress"),
}
GIVEN = {  # arguments that silence, or that tell what would be said otherwise
    "verbose": False,
    "output_loading_info": True,
    "ignore_mismatched_sizes": True,
    "_raise_exceptions_for_missing_entries": False,
    "raise_on_error": False,
    "ignore_errors": True,
    "check": False,
    "capture_output": True,
    "errors": ("ignore", "replace"),
    "strict": False,
}
WORDS = ("--quiet", "--log-level", "PYTHONWARNINGS", "VERBOSITY", "DEVNULL", "devnull")
BROAD = {"Exception", "BaseException"}

LOADING, STORED = "src/helpers/models/load.py", "src/helpers/models/stored.py"
ENCODING = "src/helpers/evaluation/encoder_files.py"
ABSENT = "_raise_exceptions_for_missing_entries"
READ = "what the report names is refused by its first key, so that its own text is not needed"
ANSWERED = "the program's answer is what is asked for, and is read"
TIDY = "only tidies up: what it cannot remove is in nobody's way"
PLACES = {  # (file, function, what is done there): what becomes of what would be said
    (LOADING, "load", "output_loading_info=True"): READ,
    (LOADING, "load", "ignore_mismatched_sizes=True"): READ,
    (ENCODING, "_refuse_unread", "output_loading_info=True"): READ,
    (ENCODING, "_refuse_unread", "ignore_mismatched_sizes=True"): READ,
    (ENCODING, "sentence_transformer", "ignore_mismatched_sizes=True"): READ,
    (LOADING, "_hub_commit", "except Exception"): (
        "the hub is out of reach: the commit in the cache is taken and stands in the manifest, or "
        "the model is refused"
    ),
    (STORED, "_files_read.place", f"{ABSENT}=False"): (
        "asks which of two names a file of weights has; a file that an index names and that is not "
        "there has stopped the loading before"
    ),
    ("src/helpers/evaluation/hub.py", "commit", "except Exception"): (
        "its cause stands in the error, if the data set is not in the cache either"
    ),
    ("src/helpers/evaluation/hub.py", "reachable", "except Exception"): (
        "only asks whether the hub answers; what then lacks is refused with that reason"
    ),
    ("src/helpers/evaluation/asked_tasks.py", "quiet", "setLevel"): (
        "lm-eval warns that a model is given in memory and that a task has been configured here, "
        "both of which are meant; errors are heard, and what it reads are questions checked before"
    ),
    ("src/helpers/evaluation/asked_tasks.py", "quiet", "disable_progress_bars"): "bars alone",
    ("src/helpers/evaluation/encoders.py", "DecoderEncoder._tokens", "verbose=False"): (
        "the tokenizer would warn of a text longer than the model reads, which is cut right after"
    ),
    ("src/helpers/texts/calibration.py", "draw", "verbose=False"): (
        "the same: documents are cut into windows right after"
    ),
    ("src/helpers/texts/data.py", "turn_end", "except Exception"): (
        "a chat template that takes no answers declares no end; the other ends stay"
    ),
    ("src/helpers/pruning/calibrate.py", "_gather", "suppress"): (
        "our own sign that the rest of a layer need not be computed; a linear that was not reached "
        "is refused by name"
    ),
    ("src/helpers/__init__.py", "", "filterwarnings"): (
        "tqdm would say that its notebook form is missing, and takes plain text, which is meant"
    ),
    ("src/reporting/statistics.py", "resampled", "catch_warnings"): "see filterwarnings",
    ("src/reporting/statistics.py", "resampled", "filterwarnings"): (
        "a draw without any value of a kind has no mean: it is NaN, and counted as none"
    ),
    ("src/reporting/figures/lines.py", "lines", "errors=ignore"): "drops a column if it is there",
    ("notebooks/noise-floor.md", "", "errors=ignore"): "drops a column if it is there",
    ("src/runs/kernel.py", "execute.Kernel.format_kernel_cmd", "--log-level"): (
        "the kernel's own log, which repeats an interrupt that we tell in one line; what cells say "
        "is heard"
    ),
    ("src/runs/__main__.py", "_ended", "except Exception"): (
        "told in one line, and whole in the log"
    ),
    ("src/helpers/models/converted.py", "_convert", "ignore_errors=True"): TIDY,
    ("src/helpers/models/converted.py", "_convert", "suppress"): "nothing damaged is in the way",
    ("src/helpers/models/converted.py", "_write", "output_loading_info=True"): READ,
    ("src/helpers/quantization/packed.py", "hush", "setLevel"): (
        "that int8 casts its inputs, which is how it works, at every call; and that the hub has a "
        "faster kernel, which is not wanted"
    ),
    ("src/helpers/quantization/rotation.py", "rotated_folder", "ignore_errors=True"): TIDY,
    ("src/helpers/machine.py", "visible_gpus", "capture_output=True"): ANSWERED,
    ("src/runs/dataset.py", "write", "ignore_errors=True"): TIDY,
    ("src/runs/exchange.py", "forget", "ignore_errors=True"): TIDY,
    ("src/runs/exchange.py", "take_in", "ignore_errors=True"): TIDY,
    ("src/runs/outcome.py", "mark_failed", "suppress"): (
        "a disk that is full: the run's exit code and its line say that it failed"
    ),
    ("src/runs/progress.py", "follow", "suppress"): "a terminal that is closed",
    ("src/runs/progress.py", "last_bar", "errors=replace"): "half a letter at the end of a log",
    ("workflow/build.py", "build", "errors=replace"): "letters of a log that is shown",
    ("workflow/build.py", "run", "errors=replace"): "letters of what is shown",
    ("workflow/build.py", "last_said", "suppress"): "a run that has no log yet",
    ("workflow/build.py", "slurm_options", "capture_output=True"): ANSWERED,
    ("benchmarks/workflow.py", "_run", "capture_output=True"): (
        "its end is told where a run that is timed fails"
    ),
    ("src/runs/__main__.py", "_run", "suppress"): "a log that cannot be written; the line is told",
    ("src/runs/__main__.py", "_say", "suppress"): "a terminal that is closed",
    ("src/runs/kernel.py", "_ask", "suppress"): "a kernel that has ended just now",
    ("src/runs/store.py", "_compute", "ignore_errors=True"): TIDY,
    ("src/runs/runner.py", "_working_folder", "ignore_errors=True"): TIDY,
    ("src/helpers/pruning/checkpoint.py", "save", "ignore_errors=True"): TIDY,
    ("src/helpers/models/hashes.py", "_noted", "suppress"): "without a note the file is read",
    ("src/runs/provenance.py", "git_commit.git", "capture_output=True"): ANSWERED,
    ("src/helpers/evaluation/sandbox.py", "require", "capture_output=True"): (
        "why the sandbox does not start, told in the error"
    ),
    ("workflow/build.py", "main", "suppress"): "a terminal that is closed",
    ("workflow/setup.py", "can_run_pip", "capture_output=True"): ANSWERED,
    ("workflow/setup.py", "explain", "errors=replace"): "letters of a log that is shown",
    ("workflow/setup.py", "run", "DEVNULL"): "nobody is asked anything",
    ("workflow/setup.py", "run", "check=False"): "the exit status is looked at",
    ("workflow/site_builder.py", "build", "ignore_errors=True"): TIDY,
    ("workflow/site_builder.py", "replace", "ignore_errors=True"): TIDY,
    ("workflow/pages/staging.py", "shown", "stderr"): (
        "warnings in published pages, which name files of this machine; they stay in the executed "
        "notebook under results"
    ),
    ("benchmarks/harness.py", "give_memory_back", "suppress"): "a system without that call",
    ("src/chapters/should_i_prune/measure.py", "_process_growth", "suppress"): (
        "gives free memory back where the C library can; elsewhere the peak is taken as it is"
    ),
    ("src/course/grading/grade.py", "_test", "except Exception"): (
        "an answer of another form: no points, and the student's page says why"
    ),
    ("src/course/grading/confined.py", "_inside.attempt", "except Exception"): (
        "an error of the student's that cannot be put into words: its kind is told"
    ),
    ("src/course/verdict.py", "check.judged", "except Exception"): (
        "the student's own code fails: the verdict says how, in a line"
    ),
    ("src/helpers/evaluation/sandbox.py", "_said", "DEVNULL"): (
        "what untrusted code says besides its answer is nobody's to read"
    ),
    ("src/helpers/evaluation/sandbox.py", "_said", "suppress"): (
        "time is up: what was said until then is the answer"
    ),
    ("src/course/grading/confined.py", "_inside.attempt", "except BaseException"): (
        "whatever ends the student's code is told to the grader, which gives no points for it"
    ),
    ("src/course/take.py", "run", "stderr"): "progress bars say nothing once a notebook has run",
    ("workflow/pages/elsewhere.py", "main", "capture_output=True"): (
        "asks git for the commit; without one the notebooks are not written"
    ),
}


class Places(ast.NodeVisitor):
    """The silencing places of one file: in which function, and what is done there."""

    def __init__(self) -> None:
        self.scope: list[str] = []
        self.found: set[tuple[str, str]] = set()

    def note(self, what: str) -> None:
        self.found.add((".".join(self.scope), what))

    def inside(self, node: ast.AST) -> None:
        self.scope.append(node.name)
        self.generic_visit(node)
        self.scope.pop()

    visit_FunctionDef = visit_ClassDef = visit_AsyncFunctionDef = inside

    def visit_Call(self, node: ast.Call) -> None:
        dotted = ast.unparse(node.func).split(".")
        if dotted[-1] in CALLS or dotted[-2:] == ["logging", "disable"]:
            self.note(dotted[-1])
        if dotted[-1] != "zip":
            for given in node.keywords:
                self.argument(given.arg, given.value)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                self.argument(key.value, value)
        self.generic_visit(node)

    def argument(self, name: object, value: ast.expr) -> None:
        if name in GIVEN and isinstance(value, ast.Constant):
            silent = GIVEN[name]
            if value.value is silent or (isinstance(silent, tuple) and value.value in silent):
                self.note(f"{name}={value.value}")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = {
            each.id
            for each in ast.walk(node.type or ast.Name("BaseException"))
            if isinstance(each, ast.Name)
        }
        if caught & BROAD and not any(isinstance(each, ast.Raise) for each in ast.walk(node)):
            self.note("except " + ", ".join(sorted(caught & BROAD)))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.word(node.attr)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and len(node.value) < 80:
            self.word(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        compared = (each.value for each in node.comparators if isinstance(each, ast.Constant))
        if "stderr" in compared:
            self.note("stderr")
        self.generic_visit(node)

    def word(self, text: str) -> None:
        for word in WORDS:
            if word in text:
                self.note(word)


def silencing(path: Path) -> set[tuple[str, str, str]]:
    """Places of a Python file, of a notebook's cells, or of the workflow."""
    name = str(path.relative_to(ROOT))
    if path.suffix == ".md":
        cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
        text = "\n".join(line for cell in cells for line in cell.splitlines() if line[:1] != "%")
    else:
        text = path.read_text(encoding="utf-8")
    if path.name == "Snakefile":  # no Python behind its first rule
        words = (*WORDS, *CALLS)
        return {(name, "", word) for word in words if word in text}
    places = Places()
    places.visit(ast.parse(text))
    return {(name, scope, what) for scope, what in places.found}


def test_every_place_that_silences_is_listed_with_its_reason():
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    code = [path for path in paths if path.suffix in {".py", ".md"} or path.name == "Snakefile"]
    assert len(code) > 150
    found = set().union(*map(silencing, code))
    assert found - PLACES.keys() == set(), "new: say in PLACES what becomes of what would be said"
    assert PLACES.keys() - found == set(), "no longer there: take it out of PLACES"


NEW = {
    "warnings.simplefilter('ignore')": "simplefilter",
    "logging.disable(50)": "disable",
    "transformers.logging.set_verbosity_error()": "set_verbosity_error",
    "with contextlib.redirect_stderr(None): load()": "redirect_stderr",
    "model.load_state_dict(weights, strict=False)": "strict=False",
    "AutoModel.from_pretrained(x, **{'ignore_mismatched_sizes': True})": (
        "ignore_mismatched_sizes=True"
    ),
    "os.environ['TRANSFORMERS_VERBOSITY'] = 'error'": "VERBOSITY",
    "subprocess.run(['x'], stderr=subprocess.DEVNULL)": "DEVNULL",
    "try:\n    load()\nexcept:\n    pass": "except BaseException",
    "try:\n    load()\nexcept Exception as error:\n    print(error)": "except Exception",
    "try:\n    load()\nexcept (OSError, Exception):\n    pass": "except Exception",
}
HEARD = [
    "zip(a, b, strict=False)",
    "try:\n    load()\nexcept Exception as error:\n    raise ValueError from error",
    "try:\n    load()\nexcept OSError:\n    pass",
    "tokenizer(text, verbose=True)",
]


def test_a_new_place_is_seen():
    for number, (code, what) in enumerate({**NEW, **dict.fromkeys(HEARD, "")}.items()):
        places = Places()
        places.visit(ast.parse(f"def loads{number}():\n{textwrap.indent(code, '    ')}"))
        assert places.found == ({(f"loads{number}", what)} if what else set()), code
