import re

import numpy as np
import pandas as pd
import pytest
import torch

from chapters.pruning_by_hand import story
from chapters.pruning_by_hand.matrices import Matrix, matrices

PERPLEXITY = {
    "random": (900.0, 2000.0, 1500.0),
    "magnitude": (400.0, 700.0, 1300.0),
    "wanda": (50.0, 90.0, 170.0),
    "sparsegpt": (45.0, 60.0, 80.0),
}


@pytest.fixture
def prunings():
    rows = [{"method": "dense", "amount": 0.0, "value": 25.0, "metric": "perplexity"}]
    for method, values in PERPLEXITY.items():
        for pattern, value in zip(("", "4:8", "2:4"), values, strict=True):
            for seed in (0, 1):
                row = {"method": method, "amount": 0.5, "pattern": pattern, "seed": seed}
                rows.append(row | {"value": value + 10 * seed, "metric": "perplexity"})
    for kind in ("attention", "mlp"):
        for layer in range(3):
            row = {"method": "drop", "sublayer": kind, "layer": layer, "metric": "importance"}
            rows.append(row | {"value": 0.1 * (3 - layer)})
        row = {"method": "drop", "target": kind, "amount": 2.0, "metric": "perplexity"}
        rows.append(row | {"value": 33.0})
    for method, error in (("magnitude", 0.3), ("wanda", 0.2), ("sparsegpt", 0.1)):
        for layer in range(2):
            row = {"method": method, "sublayer": "mlp", "weight": "up_proj", "layer": layer}
            rows.append(row | {"metric": "layer_error", "value": error + 0.02 * layer})
    defaults = {"target": "all", "pattern": "", "seed": 0, "sublayer": "model", "weight": ""}
    return pd.DataFrame([defaults | row for row in rows])


def test_perplexities_over_seeds(prunings):
    found = story.perplexities(prunings)
    row = found.loc[("Wanda", "50%")]
    assert (row["mean"], row["low"], row["high"], row["n"]) == (55, 50, 60, 2)
    table = story.cost_table(found, "setting")
    assert table.columns.tolist() == ["method", "50%", "4:8", "2:4"]
    assert table["method"].tolist() == ["Random", "Magnitude", "Wanda", "SparseGPT"]
    assert table.loc[3, "50%"] == "50.0 [45.0–55.0]"
    assert table.loc[0, "4:8"] == "2,005 [2,000–2,010]"


def test_published_order(prunings):
    methods, patterns = story.published_order(story.perplexities(prunings), "50%")
    assert (methods.verdict, patterns.verdict) == ("supported", "supported")
    swapped = prunings.assign(
        value=prunings["value"].where(prunings["method"] != "sparsegpt", 10_000.0)
    )
    methods, patterns = story.published_order(story.perplexities(swapped), "50%")
    assert (methods.verdict, patterns.verdict) == ("in some (1 of 2)", "in some (2 of 3)")


def test_layer_errors_importances_and_drops(prunings):
    errors = story.layer_errors(prunings)
    assert errors.columns.tolist() == ["sublayer", "weight", "Magnitude", "Wanda", "SparseGPT"]
    assert errors["sublayer"].tolist() == ["MLP"]
    assert errors.loc[0, "SparseGPT"] == pytest.approx(0.11)
    found = story.importances(prunings)
    assert found["x"].tolist() == [0, 1, 2] * 2
    assert [story.least(found, name, 2) for name in ("attention", "mlp")] == [[2, 1], [2, 1]]
    table = story.cost_table(story.drops(prunings), "dropped")
    assert table.to_numpy().tolist() == [["attention", "33.0"], ["MLP", "33.0"]]


@pytest.fixture
def corner():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 8, generator=generator, dtype=torch.float64) * torch.arange(1, 9)
    weight = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    return story.Corner(weight, x.T @ x)


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize("pattern", ["", "2:4"])
def test_steps_by_hand(corner, method, pattern):
    before, _, mask, after = story.steps(corner, method, 0.5, pattern)
    assert mask.keep.sum() == 24
    assert (after.values[~mask.keep] == 0).all()
    assert np.array_equal(before.values, corner.weight.numpy())
    assert 0 < corner.error(after) < 1
    if pattern:
        assert (mask.keep.reshape(-1, 4).sum(1) == 2).all()
    if method == "wanda":
        assert (mask.keep.sum(1) == 4).all()
    if method != "sparsegpt":
        assert np.array_equal(after.values[mask.keep], before.values[mask.keep])


def test_error_equals_the_definition(corner):
    after = story.steps(corner, "wanda")[-1]
    root = torch.linalg.cholesky(corner.product)
    change = corner.weight - torch.from_numpy(after.values)
    expected = (change @ root).norm() / (corner.weight @ root).norm()
    assert corner.error(after) == pytest.approx(float(expected))


def test_matrix_figure_says_removed_in_words_and_escapes():
    keep = np.array([[True, False]])
    output = matrices(
        {"way": [Matrix("Mask <b>", np.array([[1.0, -2.0]]), keep)]},
        name="m",
        title="a < b",
        caption="c",
        provenance={"run": "r"},
    )
    html = output._repr_html_()
    assert "<b>" not in html
    assert "1 of 2 removed" in html
    assert 'aria-label="removed"' in html
    assert "a &lt; b" in html


def test_matrix_figure_refuses_unequal_shapes():
    steps = [Matrix("a", np.zeros((2, 2))), Matrix("b", np.zeros((2, 3)))]
    with pytest.raises(ValueError, match="must have one shape"):
        matrices({"way": steps}, name="m", title="t", caption="c", provenance={})


def test_colours_share_a_scale_before_and_after_and_over_methods():
    def one(title, value):
        return Matrix(title, np.array([[value]]))

    ways = {"a": [one("Before", 4.0), one("After", 2.0)], "b": [one("After", 1.0)] * 2}
    html = matrices(ways, name="m", title="t", caption="c", provenance={}).html
    shades = [float(each) for each in re.findall(r"rgba\([\d, ]+, ([\d.]+)\)", html)]
    assert shades == pytest.approx([0.85, 0.425, 0.2125, 0.2125], abs=0.006)
    assert html.count('type="radio"') == len(ways)
