"""A profile is a grid of runs: which points it has, what they are called, and what is refused."""

import pytest

from helpers.errors import InputError
from runs import profiles


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


def test_values_that_make_one_name_keep_apart(tmp_path):
    text = "axes: {model: [x, org/a, other/a]}\nchapters: {e-prompts: }\n"
    assert len({run.name for run in _read(tmp_path, text).runs}) == 3


BAD = {
    "colour: red\nchapters: {e-prompts: }": "unknown key 'colour'",
    "about: nothing": "names no chapters",
    "chapters: [e-prompts]": "chapters must hold names and values",
    "chapters: {e-promts: }": "unknown chapter 'e-promts': did you mean e-prompts",
    "chapters: {e-prompts: {sparsity: 0.5}}": "unknown parameter of e-prompts 'sparsity'",
    "shared: {sparsity: 0.5}\nchapters: {e-prompts: }": "parameter of these chapters 'sparsity'",
    "axes: {seed: []}\nchapters: {05-hierarchical-effects: }": "axis seed must be a list",
    "axes: {seed: 1}\nchapters: {05-hierarchical-effects: }": "axis seed must be a list",
    "axes: {seed: [1, 1]}\nchapters: {05-hierarchical-effects: }": "axis seed has 1 twice",
    "axes: {seed: [1, -1]}\nchapters: {05-hierarchical-effects: }": "parameter seed=-1",
    "minutes: long\nchapters: {e-prompts: }": "minutes must be a number from 0, not 'long'",
    "chapters: {05-hierarchical-effects: {seed: 1, axes: {seed: [1, 2]}}}": "keep one",
    "chapters: {e-prompts: , e-prompts: }": "given twice",
    "chapters: {e-prompts: 5}": "e-prompts must hold names and values",
    "chapters: {e-prompts: [": "damaged at line",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_profile_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(InputError) as refused:
        _read(tmp_path, text)
    said = str(refused.value)
    assert BAD[text] in said
    assert "mine.yaml" in said
    assert "\n" not in said


def test_a_profile_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="known are default"):
        profiles.read("defualt")
