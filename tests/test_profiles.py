"""A profile is a grid of runs: which points it has, what they are called, and what is refused."""

import re

import pytest

from helpers.errors import InputError
from helpers.evaluation.search_sets import names
from helpers.evaluation.tasks import TASKS
from reporting.reported import scores as reported_scores
from runs import profiles
from runs.settings import named


def _read(folder, text, name="mine"):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return profiles.read(str(path))


@pytest.mark.parametrize("name", profiles.known())
def test_profiles_that_come_with_the_book_say_what_they_take(name):
    profile = profiles.read(name)
    assert profile.about
    assert profile.where
    assert profile.minutes > 0
    assert profile.memory_gb > 0
    assert all(run.parameters.profile == name for run in profile.runs)


def test_a_grid_has_every_point_once_and_the_first_is_the_chapter(tmp_path):
    found = _read(
        tmp_path,
        "axes:\n  model: [org/a, org/b]\n  sparsity: [0.25, 0.5]\n"
        "chapters:\n  05-hierarchical-effects: {method: wanda}\n  e-prompts:\n",
    )
    names = [run.name for run in found.runs]
    assert names == [
        "05-hierarchical-effects",
        "05-hierarchical-effects--sparsity-0-5",
        "05-hierarchical-effects--model-b",
        "05-hierarchical-effects--model-b--sparsity-0-5",
        "e-prompts",
        "e-prompts--model-b",
    ]
    last = found["05-hierarchical-effects--model-b--sparsity-0-5"]
    assert (last.parameters.model, last.parameters.sparsity) == ("org/b", 0.5)
    assert last.point == {"model": "org/b", "sparsity": "0.5"}
    assert not last.first


def test_what_a_chapter_says_itself_goes_before_what_all_share(tmp_path):
    found = _read(
        tmp_path,
        "shared: {seed: 3}\naxes: {sparsity: [0.1, 0.2]}\n"
        "chapters:\n  05-hierarchical-effects: {sparsity: 0.7, seed: 5}\n"
        "  07-multi-scale-effects: {axes: {seed: [1, 2]}}\n",
    )
    points = [(run.parameters.sparsity, run.parameters.seed) for run in found.runs]
    assert points == [(0.7, 5), (0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)]


def test_runs_of_another_profile_stand_beside_with_its_parameters(tmp_path):
    (tmp_path / "other.yaml").write_text(
        "shared: {model: org/b, sparsity: 0.7}\nchapters: {05-hierarchical-effects: {seed: 4}}\n"
    )
    found = _read(tmp_path, f"also: [{tmp_path}/other.yaml]\nshared: {{seed: 2}}\n{FIVE}\n")
    assert [(run.name, run.first, dict(run.point)) for run in found.runs] == [
        ("05-hierarchical-effects", True, {"model": "smollm2-135m"}),
        ("05-hierarchical-effects--model-b", False, {"model": "org/b"}),
    ]
    said = [(run.parameters.sparsity, run.parameters.seed) for run in found.runs]
    assert said == [(0.5, 2), (0.7, 4)]
    assert {run.parameters.profile for run in found.runs} == {"mine"}


@pytest.mark.parametrize(
    ("own", "other", "refused"),
    [
        ("", "shared: {model: smollm2-135m}", "two runs of model smollm2-135m"),
        ("", "shared: {model: org/b}\naxes: {seed: [1, 2]}", "in the model, not in seed"),
        ("axes: {seed: [1, 2]}", "shared: {model: org/b}", "in the model, not in seed"),
    ],
)
def test_runs_beside_differ_in_the_model_only(tmp_path, own, other, refused):
    (tmp_path / "other.yaml").write_text(f"{other}\n{FIVE}\n")
    with pytest.raises(InputError, match=refused):
        _read(tmp_path, f"also: [{tmp_path}/other.yaml]\n{own}\n{FIVE}\n")


def test_values_that_make_one_name_keep_apart(tmp_path):
    text = "axes: {model: [x, org/a, other/a]}\nchapters: {e-prompts: }\n"
    assert len({run.name for run in _read(tmp_path, text).runs}) == 3


FIVE = "chapters: {05-hierarchical-effects: }"
BAD = {
    # keys
    "colour: red\nchapters: {e-prompts: }": "unknown key 'colour'",
    "Chapters: {e-prompts: }": "unknown key 'Chapters': did you mean chapters?",
    "axis: {seed: [1, 2]}\n" + FIVE: "unknown key 'axis': did you mean axes?",
    "model: smollm2-135m\n" + FIVE: "unknown key 'model'",
    "1: 2\n" + FIVE: "unknown key '1'",
    # chapters
    "": "must hold names and values",
    "# only a remark": "must hold names and values",
    "about: nothing": "names no chapters",
    "chapters:": "names no chapters",
    "chapters: [e-prompts]": "chapters must hold names and values",
    "- e-prompts": "must hold names and values",
    "just words": "must hold names and values",
    "chapters: {e-promts: }": "unknown chapter 'e-promts': did you mean e-prompts",
    "chapters: {e-prompts.md: }": "unknown chapter 'e-prompts.md': did you mean e-prompts",
    "chapters: {../README: }": "unknown chapter '../README'",
    "chapters: {e-prompts: , e-prompts: }": "given twice",
    "chapters: {e-prompts: 5}": "e-prompts must hold names and values",
    # parameters
    "chapters: {e-prompts: {sparsity: 0.5}}": "unknown parameter of e-prompts 'sparsity'",
    "shared: {sparsity: 0.5}\nchapters: {e-prompts: }": "parameter of these chapters 'sparsity'",
    "shared: {sparsty: 0.5}\n" + FIVE: "'sparsty': did you mean sparsity?",
    "shared: [1]\n" + FIVE: "shared must hold names and values",
    "shared: {sparsity: 50%}\n" + FIVE: "parameter sparsity=50% is not allowed",
    "shared: {sparsity: }\n" + FIVE: "parameter sparsity=None is not allowed",
    "shared: {sparsity: [0.5]}\n" + FIVE: "parameter sparsity=['0.5'] is not allowed",
    "shared: {chat_template: perhaps}\n" + FIVE: "parameter chat_template='perhaps'",
    "shared: {method: wnada}\n" + FIVE: "parameter method='wnada' is not allowed",
    "shared: {device: gpu}\n" + FIVE: "parameter device='gpu' is not allowed",
    "shared: {model: {name: a}}\n" + FIVE: "parameter model={'name': 'a'} is not allowed",
    "shared: {profile: other}\n" + FIVE: "profile is no parameter to give",
    "axes: {profile: [a, b]}\n" + FIVE: "profile is no parameter to give",
    # axes
    "axes: {seed: []}\n" + FIVE: "axis seed must be a list",
    "axes: {seed: }\n" + FIVE: "axis seed must be a list",
    "axes: {seed: 1}\n" + FIVE: "axis seed must be a list",
    "axes: {model: org/a}\n" + FIVE: "axis model must be a list",
    "axes: {model: org/a, org/b}\n" + FIVE: "unknown parameter of these chapters 'org/b'",
    "axes: {seed: {from: 1, to: 3}}\n" + FIVE: "axis seed must be a list",
    "axes: [seed]\n" + FIVE: "axes must hold names and values",
    "axes: {seed: [1, 1]}\n" + FIVE: "axis seed has 1 twice",
    "axes: {sparsity: [0.5, 0.50]}\n" + FIVE: "twice, written in two ways",
    "axes: {seed: [1, -1]}\n" + FIVE: "parameter seed=-1",
    "axes: {seed: [1, ]}\nshared: {seed: 1}\n" + FIVE: "seed stands both in shared and as an axis",
    "axes: {seed: [[1, 2], 3]}\n" + FIVE: "parameter seed=['1', '2'] is not allowed",
    "axes: {sparsity: [0.1, 0.2]}\nchapters: {e-prompts: }": "of these chapters 'sparsity'",
    "chapters: {05-hierarchical-effects: {seed: 1, axes: {seed: [1, 2]}}}": "keep one",
    "chapters: {05-hierarchical-effects: {axes: {sed: [1, 2]}}}": "'sed': did you mean seed?",
    f"axes: {{seed: {list(range(10_001))}}}\n" + FIVE: "more than 10,000 points",
    # head
    "minutes: long\nchapters: {e-prompts: }": "minutes must be a number from 0, not 'long'",
    "minutes: -5\n" + FIVE: "minutes must be a number from 0, not '-5'",
    "minutes: .inf\n" + FIVE: "minutes must be a number from 0",
    "memory_gb: 8GB\n" + FIVE: "memory_gb must be a number from 0, not '8GB'",
    "cores: 1.5\n" + FIVE: "cores must be a number from 0, not '1.5'",
    "about: [a, b]\n" + FIVE: "about must be a text",
    # runs of other profiles
    "also: second-model\n" + FIVE: "also must be a list of profiles",
    "also: [secnd-model]\n" + FIVE: "unknown profile 'secnd-model'",
    "also: [default]\n" + FIVE: "default has others beside it itself",
    "also: [second-model]\n" + FIVE: "unknown chapter, which second-model has",
    "also: [paper]\n" + FIVE: "unknown chapter, which paper has",
    # the file
    "chapters: {e-prompts: [": "damaged at line",
    "chapters:\n\te-prompts:\n": "damaged at line 2",
    "about: a: b\n" + FIVE: "damaged at line 1",
    "chapters: *all": "damaged",
    "chapters: !!python/object/apply:os.getcwd []": "damaged",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_profile_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(InputError) as refused:
        _read(tmp_path, text)
    said = str(refused.value)
    assert BAD[text] in said
    assert "mine.yaml" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "name", ["defualt", "gone.yaml", "", ".yaml", "../smoke", "smoke.json", "SMOKE", "*"]
)
def test_a_profile_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="known are default"):
        profiles.read(name)


@pytest.mark.parametrize("name", ["smoke", "default", "html", "measurements"])
def test_a_name_that_is_taken_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"the name {name} is taken"):
        _read(tmp_path, FIVE, name=name)


@pytest.mark.parametrize("name", ["my grid", "a.b", "-x", "x\ny"])
def test_a_name_that_makes_no_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="letters, digits, - and _ only"):
        _read(tmp_path, FIVE, name=name)


@pytest.mark.parametrize("content", [b"about: \xff\n", b"\x00"])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"mine\.yaml"):
        profiles.read(str(tmp_path / "mine.yaml"))


def test_a_folder_is_no_profile(tmp_path):
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(InputError, match=r"or a file PATH\.yaml"):
        profiles.read(str(tmp_path / "mine.yaml"))


def test_paths_are_seen_from_the_profile(tmp_path):
    """Where something lies there; a hub id and a name stay what they are."""
    for name in ("models/a", "org", "smollm2-135m"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "own.txt").touch()
    found = _read(
        tmp_path,
        "shared: {calibration: own.txt, prompts: 'MC1,Math2'}\n"
        "axes: {model: [./models/a, org/b, smollm2-135m, /x/y, ./org]}\n" + FIVE,
    )
    models = [run.parameters.model for run in found.runs]
    expected = [tmp_path / "models" / "a", "org/b", "smollm2-135m", "/x/y", tmp_path / "org"]
    assert models == list(map(str, expected))
    assert {run.parameters.calibration for run in found.runs} == {str(tmp_path / "own.txt")}
    assert found.runs[0].parameters.prompts == "MC1,Math2"
    assert found.runs[0].point["model"] == "./models/a"


def test_long_values_make_short_names(tmp_path):
    lists = [f"[{', '.join(f'Drop-{number}A' for number in range(1, end))}]" for end in (40, 50)]
    text = f"axes: {{pruned: [{', '.join(['Drop-1A', *lists])}]}}\nchapters: {{probes: }}\n"
    names = {run.name for run in _read(tmp_path, text).runs}
    assert len(names) == 3
    assert max(map(len, names)) < 180


def test_a_run_finds_its_neighbour_at_the_same_point(tmp_path):
    """Equal in all that both take and either has an axis for; else there is none."""
    found = _read(
        tmp_path,
        "axes: {model: [org/a, org/b], sparsity: [0.25, 0.5]}\n"
        "chapters: {05-hierarchical-effects: , e-prompts: , h-temperature: {model: org/b}}\n",
    )
    five, prompts, heat = map(
        found.of_chapter, ("05-hierarchical-effects", "e-prompts", "h-temperature")
    )
    assert [found.beside(run, "e-prompts") for run in five] == [prompts[0]] * 2 + [prompts[1]] * 2
    assert [found.beside(run, "05-hierarchical-effects") for run in prompts] == [five[0], five[2]]
    assert [found.beside(run, "h-temperature") for run in five] == [None, None, *heat]
    assert found.beside(five[0], "ladder") is None


def test_the_papers_grid_asks_for_what_the_paper_reports():
    """Read without a GPU, a network or a weight; the paper's own tables are the oracle."""
    paper = profiles.read("paper")
    models = {run.parameters.model for run in paper.runs}
    for part in ("Qwen2.5-7B-Instruct", "Mistral-7B-Instruct", "Llama-3-8B", "Qwen3-8B"):
        assert sum(part in model for model in models) == 1
    scores = paper["04-inconsistent-effects"].parameters
    assert "Mistral-7B-Instruct" in scores.model
    assert "e5-mistral" in scores.encoder
    asked = {TASKS[name].title for name in scores.tasks.split(",")}
    for kind in ("multiple_choice", "generation"):
        assert set(reported_scores.rows("b", kind)["task"]) <= asked
    assert len(reported_scores.rows("a", "retrieval")) == len(names(scores.collections))
    for pruned, listed in ((scores, scores.pruned), (scores, scores.pruned_encoder)):
        assert {"Drop-8A", "Drop-8M"} <= named(pruned, listed).keys()
    drawn = reported_scores.figure_1()
    first = paper["01-introduction"].parameters
    assert set(drawn["task"]) == {TASKS[name].title for name in first.tasks.split(",")}
    assert len(named(first, first.pruned)) == 3 * drawn["dropped"].max()


@pytest.mark.parametrize("chapter", sorted(path.stem for path in profiles.NOTEBOOKS.glob("*.md")))
def test_every_chapter_can_stand_alone_in_a_profile(tmp_path, chapter):
    (run,) = _read(tmp_path, f"chapters: {{{chapter}: }}").runs
    assert (run.name, run.first, run.parameters.profile) == (chapter, True, "mine")


def test_the_profile_that_is_shown_is_one(tmp_path):
    page = (profiles.ROOT / "book" / "run-it.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "my-model").mkdir()
    grid = _read(tmp_path, text)
    assert [
        len(grid.of_chapter(name)) for name in ("05-hierarchical-effects", "h-temperature")
    ] == [*(2 * 3, 2 * 3 * 2)]
    assert {run.parameters.model for run in grid.runs} == {
        *("smollm2-135m", str(tmp_path / "my-model"))
    }
    assert grid.cores == 1
