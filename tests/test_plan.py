"""What a profile will take, before anything runs: against real models, tables and a clock."""

import ast
import csv
import itertools
import json
import re
import socket
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_runner import KEPT, SHORT, TINY
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from helpers.models.known import KNOWN
from runs import declared, exchange, imported, plan, profiles
from runs.__main__ import main
from runs.parameters import validate
from runs.planning import costs, machines, schedule, sizes, steps
from runs.planning.past import Identities
from runs.planning.work import work

ROOT = Path(__file__).parents[1]
SHARED = ("scores", "probe_scores", "retrieval_scores")
ROWS = list(csv.DictReader(sizes.TABLE.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def identities():
    return Identities()


def _profile(folder, text, name="mine"):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return profiles.read(str(path))


def _planned(profile, root):
    return plan.Plan(profile, machines.named("a100"), root)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_table_counts_what_a_model_of_these_dimensions_has(row):
    heads = {"num_attention_heads": int(row["heads"])}
    if row["type"] != "bert":
        heads |= {"num_key_value_heads": int(row["key_value_heads"])}
        heads |= {"head_dim": int(row["head_size"])}
    config = AutoConfig.for_model(
        row["type"],
        vocab_size=int(row["vocabulary"]),
        hidden_size=int(row["width"]),
        intermediate_size=int(row["inner"]),
        num_hidden_layers=int(row["layers"]),
        tie_word_embeddings=row["tied"] == "1",
        **heads,
    )
    bare = row["type"] == "bert" or row["name"].startswith("intfloat/")
    with torch.device("meta"):
        model = (AutoModel if bare else AutoModelForCausalLM).from_config(config)
    assert sum(each.numel() for each in model.parameters()) == int(row["parameters"])


def test_a_folder_is_as_large_as_the_model_in_it(tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    found = sizes.size_of(str(tiny_folder))
    assert found.parameters == sum(each.numel() for each in model.parameters())
    assert found.layers == len(model.model.layers)
    assert found.head == model.lm_head.weight.numel()
    assert found.bytes("float32") == sum(4 * each.numel() for each in model.parameters())


@pytest.mark.parametrize("chapter", SHORT)
def test_a_chapter_takes_what_it_took(chapter, tiny_folder, identities):
    """The whole chapters that other tests run kept their tables. What may be missing there are
    questions that no pruned model was asked, since the dense one answers no better than a guess."""
    tiny, path = str(tiny_folder), profiles.NOTEBOOKS / f"{chapter}.md"
    short = {name: tiny if given == TINY else given for name, given in SHORT[chapter].items()}
    default = declared.parameters(declared.read(path), path)
    run = validate(default | short | {"model": tiny})
    keys = {identities.key(step) for step in steps.steps(chapter, run)}
    planned = Counter(name for name, *_ in keys if name in identities.stored)
    lines = (KEPT / f"{chapter}.tables.txt").read_text(encoding="utf-8").splitlines()
    taken = Counter(line for line in lines if re.fullmatch("[a-z_]+", line))
    assert taken <= planned
    assert set(planned - taken) <= {"task_items", "probe_items"}


def test_what_runs_share_is_counted_once(tmp_path):
    text = "chapters:\n  a-perturbation:\n  b-kl-divergence:\n  c-angular-deviation:\n"
    frame = _planned(_profile(tmp_path, text), tmp_path).frame
    assert list(frame["taken"]) == [1, 0, 0]
    assert list(frame["measurements"]) == [1, 1, 1]


@pytest.mark.parametrize(
    ("chapter", "parameter", "less", "more"),
    [
        ("05-hierarchical-effects", "max_new_tokens", 8, 32),
        ("05-hierarchical-effects", "model", "smollm2-135m", "Qwen/Qwen2.5-7B-Instruct"),
        ("01-introduction", "items", 50, 500),
        ("01-introduction", "pruned", "Drop-2M", "Drop-2M,SparseGPT 50%"),
        ("04-inconsistent-effects", "collections", "fiqa", "fiqa,SciFact"),
        ("ladder", "probes", 2, 20),
        ("07-multi-scale-effects", "repeats", 1, 5),
        ("pruning-by-hand", "calibration_samples", 8, 64),
        ("dimension", "repeats", 1, 3),
    ],
)
def test_more_takes_longer(chapter, parameter, less, more, tmp_path):
    minutes = []
    for value in (less, more):
        text = f"chapters: {{{chapter}: {{{parameter}: {json.dumps(value)}}}}}\n"
        minutes.append(_planned(_profile(tmp_path, text), tmp_path).minutes)
    assert minutes[0] < minutes[1]


def test_every_measurement_has_its_factor_and_its_count(identities):
    known = costs.coefficients()
    counted = set(identities.stored) - set(SHARED)
    assert counted <= known["times"].keys()
    assert all(0.2 < factor < 6 for factor in known["times"].values())
    run = validate({"method": "wanda", "collections": "fiqa"})
    size = sizes.size_of("smollm2-135m")
    assert all(work(steps.Step(name, run), size).counts for name in counted - {"prompt_lengths"})


@pytest.mark.parametrize("machine", machines.known())
def test_the_paper_is_planned_without_network_and_gpu(machine, monkeypatch, capsys):
    def refuse(*_):
        raise AssertionError("a plan asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert main(["plan", "paper-llama", "--machine", machine]) == 0
    said = capsys.readouterr().out
    assert "To begin: make book PROFILE=paper-llama" in said
    assert "hours" in said
    assert ("does not fit" in said) == (machine == "l4")


def test_a_model_of_unknown_size_is_said_and_the_others_are_planned(tmp_path):
    text = "axes: {model: [smollm2-135m, nobody/knows-7b]}\nchapters: {05-hierarchical-effects: }\n"
    one = _planned(_profile(tmp_path, text), tmp_path)
    known, unknown = one.frame.itertuples(index=False)
    assert known.minutes > 0
    assert np.isnan(unknown.minutes)
    assert "the size of nobody/knows-7b is not known here" in unknown.note
    assert "Not known, and not counted: 1 runs" in plan.as_text(one, "mine")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["paper", "--machine", "z9"], "unknown machine 'z9': known are a100, h100, h200, l4"),
        (["nosuch"], "unknown profile 'nosuch'"),
    ],
)
def test_bad_input_is_one_line(words, message, capsys):
    assert main(["plan", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1


def test_what_is_done_costs_nothing_and_what_was_taken_costs_what_it_took(tiny_folder, tmp_path):
    """A real run, then the plan of it and of a second run that needs the same measurement."""
    model = f"model: {tiny_folder}, device: cpu, prompts: MC1"
    text = f"shared: {{{model}}}\nchapters:\n  a-perturbation:\n  b-kl-divergence:\n"
    profile = _profile(tmp_path, text)
    here = machines.this(1, tmp_path)
    before = plan.Plan(profile, here, tmp_path)
    before.keep()
    run = profile["a-perturbation"]
    output = tmp_path / "results" / "mine" / "a-perturbation.ipynb"
    values = run.values | {"results": str(tmp_path / "results")}
    given = [word for name, value in values.items() for word in ("-p", name, value)]
    assert main(["run", str(run.notebook), str(output), *given]) == 0
    after = plan.Plan(profile, here, tmp_path)
    assert list(before.frame["taken"]) == [1, 0]
    assert list(after.frame["state"]) == ["done", "missing"]
    assert after.frame["minutes"][0] == 0
    assert after.frame["taken"][1] == 0
    (manifest,) = tmp_path.glob("results/measurements/*/*/manifest.json")
    stored = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(stored | {"source": "other code", "seconds": 600.0}))
    again = plan.Plan(profile, here, tmp_path)
    own = costs.notebook("b-kl-divergence").seconds / 60
    assert again.frame["taken"][1] == 1
    assert again.frame["minutes"][1] == pytest.approx(10 + own)


def test_what_comes_packed_with_the_book_is_not_planned_as_measured_here(tmp_path, monkeypatch):
    """Its archives answer all that the second model's chapters ask, but for the panel of Section 6,
    which shows the embedded model."""
    monkeypatch.delenv(imported.SWITCH, raising=False)
    profile, here = profiles.read("second-model"), machines.this(1, tmp_path)
    assert plan.Plan(profile, here, tmp_path).frame["taken"].sum() > 50
    for archive in (ROOT / "book" / "published").glob("*.zip"):
        exchange.take_in(archive, tmp_path / "results")
    frame = plan.Plan(profile, here, tmp_path).frame
    taken = frame[frame["taken"] > 0]
    assert list(taken["run"]) == ["06-representation-analysis"]
    assert set(taken["taken"]) == {1}
    assert frame["minutes"].max() < 1


def test_a_speed_is_kept_and_only_a_better_one_replaces_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(tmp_path))
    first = machines.this(1, tmp_path)
    assert all(speed > 0 for speed in first.speeds.values())
    kept = json.loads((tmp_path / "speeds.json").read_text())
    (key,) = kept
    (tmp_path / "speeds.json").write_text(json.dumps({key: kept[key] | {"moved": 1e15}}))
    assert machines.this(1, tmp_path, anew=False).speeds == kept[key] | {"moved": 1e15}
    assert machines.this(1, tmp_path).speeds["moved"] == 1e15


def test_products_are_as_fast_as_numpy_finds_them():
    found = machines.measured("cpu", 1)
    square = np.ones((1024, 1024), np.float32)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        square @ square
        times.append(time.perf_counter() - begin)
    assert 1 / 4 < found["float32"] * min(times) / (2 * 1024**3) < 4


def test_runs_together_take_as_long_as_a_clock_says():
    """Against a clock that goes in steps of one minute."""
    for minutes in itertools.product((1, 2, 3), repeat=4):
        waiting, running, clock = list(minutes), [], 0
        while waiting or running:
            while waiting and len(running) < 2:
                running.append(waiting.pop(0))
            running = [left - 1 for left in running if left > 1]
            clock += 1
        assert schedule.together(list(map(float, minutes)), 2) == clock


def test_chapters_that_share_states_wait_for_each_other(identities):
    """Two runs that measure the same would hold two cores for it, and no plan could say which of
    them pays. Masks and rankings are short, and shared by too many."""
    text = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8")
    after = ast.literal_eval(re.search(r"^AFTER = (\{.*?^\})", text, re.S | re.M)[1])
    owner, apart = {}, set()
    for run in profiles.read("default").runs:
        before, left = set(), [run.chapter]
        while left:
            earlier = after.get(left.pop(), [])
            before.update(earlier)
            left += earlier
        for step in steps.steps(run.chapter, run.parameters):
            if step.name not in ("masks", "ranking"):
                first = owner.setdefault(identities.key(step), run.chapter)
                if first != run.chapter and first not in before:
                    apart.add((first, run.chapter, step.name))
    assert not apart


@pytest.mark.parametrize("name", KNOWN)
def test_every_model_that_has_a_name_has_a_size(name):
    assert sizes.size_of(name).parameters == KNOWN[name].parameters
    assert sizes.size_of(f"{name}+rotated3") == sizes.size_of(name)
