"""Profiles and verdicts of Appendix I, on a tiny model and on tables worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.i_supplementary import story
from measurements.layer_profile import layer_profile
from measurements.sweeps import RATIOS, REMOVED, sweep, thinned
from reporting.claims import judge
from reporting.hierarchy import Hierarchy
from runs.parameters import validate


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    values = {"prompts": "MC1,MC2,Math1,Gen1,Gen4", "max_new_tokens": 2, "sweep_steps": 1}
    values |= {"calibration_samples": 2, "calibration_length": 32, "device": "cpu"}
    folders = {"model": str(tiny_folder), "results": str(tmp_path_factory.mktemp("results"))}
    return sweep(validate(values | folders))


def test_sweep_holds_every_setting_and_shares_the_removal(measured):
    assert list(measured) == [REMOVED, *map(thinned, RATIOS)]
    assert [one.manifest["parameters"]["method"] for one in measured.values()] == [
        "drop", "wanda", "wanda", "wanda"
    ]  # fmt: skip
    assert measured[REMOVED].manifest["parameters"]["max_new_tokens"] == 2
    assert measured[thinned(0.5)].manifest["parameters"]["max_new_tokens"] == 1


def test_variances_are_compared_step_by_step(measured):
    """The ratio of each row against one formed by a loop over the table."""
    table = measured[REMOVED].table("deviations", lens="normed")
    place = ["prompt", "step", "layer", "sublayer"]
    found = story.ratios(measured[REMOVED], "normed", "variance_r", "logit")
    for row in found.sample(10, random_state=0).itertuples():
        same = (table[place] == [getattr(row, name) for name in place]).all(axis=1)
        here = table[same]
        size = here[(here["metric"] == "orthogonal") & (here["space"] == "logit")]
        size = size.loc[~size["centred"], "value"].item()
        variance = here.loc[here["metric"] == "variance_r", "value"].item()
        assert row.value == pytest.approx(variance / size**2)


def test_weighted_variance_is_counted_over_all_sublayers(measured):
    found = story.weighted(measured[REMOVED], "normed", "variance_p", 0)
    table = measured[REMOVED].table("deviations", lens="normed")
    means = (
        table[table["metric"].isin(["variance_p", "variance_uniform"])]
        .groupby(["metric", "sublayer", "layer", "prompt"], observed=True)["value"].mean()
        .groupby(["metric", "sublayer", "layer"], observed=True).mean()
        .unstack("metric")
    )  # fmt: skip
    lower = means["variance_p"] < means["variance_uniform"]
    assert (found.below.value, found.layers) == (lower.sum(), len(lower))
    assert found.ratio.value == pytest.approx(
        (means["variance_p"] / means["variance_uniform"]).median()
    )


def test_claims_have_verdicts_with_five_prompts_and_none_with_two(measured, tiny_folder, tmp_path):
    found = story.claims(measured[REMOVED], measured[thinned(0.5)], 0)
    assert len(found) == 16
    assert {one.verdict for one in found} - {"too few data"}
    few = layer_profile(
        validate(
            {"prompts": "MC1,MC2", "max_new_tokens": 2, "device": "cpu"}
            | {"model": str(tiny_folder), "results": str(tmp_path)}
        )
    )
    assert {one.verdict for one in story.claims(few, few, 0)} == {"too few data"}


@pytest.mark.parametrize(
    ("inner", "outer", "verdict"),
    [(19, 0, "supported"), (19, 4, "in some (1 of 2)"), (10, 0, "contradicted")],
)
def test_exception_of_the_outer_layers(inner, outer, verdict):
    close = [pd.Series([True] * n + [False] * (of - n)) for n, of in ((inner, 20), (outer, 4))]
    assert judge(story._with_exception(*close)) == verdict


def test_ratios_of_one_sublayer_are_those_of_a_loop(measured):
    table = measured[REMOVED].table("deviations", metric="kl", lens="raw", layer=1, sublayer="mlp")
    pair = table.pivot_table(index=["prompt", "step"], columns="quantity", values="value")
    found = story.sublayers(measured[REMOVED], "raw", "kl", "probability").loc[("mlp", 1)]
    pair = pair.dropna()
    assert found["ratio"] == pytest.approx(np.median(pair["theorem"] / pair["measured"]))
    assert found["rank"] == pytest.approx(pair["theorem"].corr(pair["measured"], "spearman"))
    assert not found["outer"]


def test_similarity_over_steps_has_a_panel_for_each_setting(measured):
    found = story.similarity_at(measured, "mlp", 1, "normed")
    assert list(dict.fromkeys(found["panel"])) == list(measured)
    assert set(found["series"]) == {"embedding", "logit", "probability"}


def test_hierarchy_table_counts_layers():
    means = pd.DataFrame(
        [
            {"sublayer": kind, "layer": layer, "layers": 2, "space": space, "mean": mean}
            for kind in ("attention", "mlp")
            for layer in range(2)
            for space, mean in (
                ("embedding", 0.9),
                ("logit", 0.95),
                ("probability", (0.5, 0.99)[layer]),
            )
        ]
    )
    table = story.hierarchy_table({"removed": Hierarchy.of_means(means)})
    assert table["attention: p below h"].tolist() == ["1 of 2"]
    assert np.isclose(float(table["median probability"].item()), (0.5 + 0.99) / 2)
