"""Profiles and verdicts of Appendix I, on a tiny model and on tables worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.i_supplementary import supplement, supplement_claims
from measurements.layer_profile import layer_profile
from reporting.sweeps import RATIOS, REMOVED, sweep, thinned
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
    found = supplement._ratios(measured[REMOVED], "normed", "variance_r", "logit")
    for row in found.sample(10, random_state=0).itertuples():
        same = (table[place] == [getattr(row, name) for name in place]).all(axis=1)
        here = table[same]
        size = here[(here["metric"] == "orthogonal") & (here["space"] == "logit")]
        size = size.loc[~size["centred"], "value"].item()
        variance = here.loc[here["metric"] == "variance_r", "value"].item()
        assert row.value == pytest.approx(variance / size**2)


def test_weighted_variance_is_counted_over_all_sublayers(measured):
    found = supplement.variance_summary(measured[REMOVED], "normed", 0)["variance_p"]
    table = measured[REMOVED].table("deviations", lens="normed")
    means = (
        table[table["metric"].isin(["variance_p", "variance_uniform"])]
        .groupby(["metric", "sublayer", "layer", "prompt"], observed=True)["value"].mean()
        .groupby(["metric", "sublayer", "layer"], observed=True).mean()
        .unstack("metric")
    )  # fmt: skip
    lower = means["variance_p"] < means["variance_uniform"]
    assert (found.below, found.layers) == (lower.sum(), len(lower))
    assert found.ratio == pytest.approx((means["variance_p"] / means["variance_uniform"]).median())


def test_claims_have_verdicts_with_five_prompts_and_none_with_two(measured, tiny_folder, tmp_path):
    found = supplement_claims.claims_table(measured[REMOVED], 0)
    assert set(found["verdict"]) <= {"held", "partly", "not"}
    assert len(found) == 10
    few = layer_profile(
        validate(
            {"prompts": "MC1,MC2", "max_new_tokens": 2, "device": "cpu"}
            | {"model": str(tiny_folder), "results": str(tmp_path)}
        )
    )
    assert set(supplement_claims.claims_table(few, 0)["verdict"]) == {"too few prompts"}


def test_exception_of_the_outer_layers():
    assert supplement_claims._with_exception(0.95, False) == "held"
    assert supplement_claims._with_exception(0.95, True) == "partly"
    assert supplement_claims._with_exception(0.5, False) == "not"


def test_similarity_over_steps_has_a_panel_for_each_setting(measured):
    found = supplement.similarity_at(measured, "mlp", 1, "normed")
    assert list(dict.fromkeys(found["panel"])) == list(measured)
    assert set(found["series"]) == {"embedding", "logit", "probability"}
    profile = supplement.cosine_profile(measured[REMOVED], "normed")
    rows = profile[(profile["sublayer"] == "mlp") & (profile["layer"] == 1)].set_index("space")
    assert supplement.lowest(profile, "mlp", 1).startswith(rows["mean"].idxmin())


def test_hierarchy_table_counts_layers():
    profile = pd.DataFrame(
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
    table = supplement.hierarchy_table({"removed": {"raw": profile}})
    assert table["attention: p below h"].tolist() == ["1 of 2"]
    assert np.isclose(float(table["median probability"].item()), (0.5 + 0.99) / 2)
