"""Random readouts of many widths, against naive formulas, closed forms and simulation."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LAYERS, VOCABULARY, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.dimension import story
from chapters.dimension.measure import (
    KINDS,
    LIMITS,
    dimension,
    entry_size,
    gaussian_pool,
    limit_metrics,
    linear_metrics,
    readout_metrics,
    unit_spread,
    widths,
)
from helpers.capture import Pair, capture
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import load
from helpers.spaces import PairIndex, vector_products
from helpers.texts.data import select_prompts, tokenize
from runs.parameters import validate

PAIRS = tuple(Pair(row, "mlp", row + 1, row) for row in range(5))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def naive(dense, pruned, temperature):
    """Every kind of one pair of readouts (m,), by its formula in float64."""
    dense, pruned = dense.double(), pruned.double()
    around = [z - z.mean() for z in (dense, pruned)]
    p, q = (torch.softmax(z / temperature, -1) for z in (dense, pruned))
    unit = [torch.softmax(z / z.std(correction=0), -1) for z in (dense, pruned)]

    def kl(a, b):
        return float((a * (a.log() - b.log())).sum())

    return {
        ("linear", False, "angular"): 1 - cosine(dense, pruned),
        ("linear", True, "angular"): 1 - cosine(*around),
        ("linear", True, "spread"): float(dense.std(correction=0)),
        ("linear", False, "agreement"): float(dense.argmax() == pruned.argmax()),
        ("softmax", False, "angular"): 1 - cosine(p, q),
        ("softmax", False, "kl"): kl(p, q),
        ("softmax", False, "effective"): float(1 / p.square().sum()),
        ("unit", False, "angular"): 1 - cosine(*unit),
        ("unit", False, "kl"): kl(*unit),
    }


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    width=st.sampled_from([2, 16, 4096, 5000]),
    scale=st.floats(0.1, 8.0),
    offset=st.floats(-20, 20),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_metrics_equal_naive_ones(seed, width, scale, offset, temperature):
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(6, width, generator=generator)
    z = (scale * (steps[:1] + 0.3 * steps) + offset).float()
    found = readout_metrics(z, PairIndex.of(PAIRS, z), temperature)
    for row, pair in enumerate(PAIRS):
        expected = naive(z[pair.dense], z[pair.pruned], temperature)
        assert tuple(expected) == KINDS
        for column, (kind, value) in enumerate(expected.items()):
            assert float(found[row, column]) == pytest.approx(value, rel=1e-3, abs=2e-6), kind


def test_a_state_against_itself_deviates_nowhere():
    z = torch.randn(3, 50)
    z = torch.stack([z[0], z[0], z[1], z[2], z[2], z[2]])
    found = dict(zip(KINDS, readout_metrics(z, PairIndex.of(PAIRS, z), 1.0).T, strict=True))
    same = torch.tensor([True, False, False, True, True])
    for kind, values in found.items():
        if kind[2] in ("angular", "kl"):
            assert (values[same] == 0).all()
            assert (values[~same] > 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 100), offset=st.floats(-5, 5))
def test_unit_spread_forgets_scale_and_offset_of_the_softmax(seed, scale, offset):
    z = torch.randn(4, 200, generator=torch.Generator().manual_seed(seed)).double()
    one, other = (torch.softmax(unit_spread(each), -1) for each in (z, scale * z + offset))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(unit_spread(z).std(-1, correction=0), torch.ones(4).double())


@pytest.mark.parametrize("vocabulary", [5, 16, 17, 300, 49152, 151936])
def test_widths_rise_fourfold_to_the_vocabulary(vocabulary):
    found = widths(vocabulary)
    assert found[-1] == vocabulary
    assert all(width == 16 * 4**number for number, width in enumerate(found[:-1]))
    assert found == sorted(set(found))
    assert vocabulary <= 4 * found[-2] if len(found) > 1 else vocabulary <= 16


def test_gaussian_rows_are_as_long_as_the_heads():
    head = Head(torch.randn(4000, 24) * torch.linspace(0.1, 3, 24))
    lengths = head.weight.double().square().sum(-1).mean()
    assert entry_size(head) == pytest.approx(float((lengths / 24).sqrt()), rel=1e-6)
    pool = gaussian_pool(head, torch.Generator().manual_seed(3))
    again = gaussian_pool(head, torch.Generator().manual_seed(3))
    assert torch.equal(pool.weight, again.weight)
    drawn = pool.weight.double()
    assert float(drawn.square().sum(-1).mean()) == pytest.approx(float(lengths), rel=0.02)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.02)
    covariance = drawn.T @ drawn / len(drawn)
    assert float((covariance - lengths / 24 * torch.eye(24)).abs().max()) < 0.1 * float(lengths)


def test_random_readouts_reach_their_limit():
    """Half a million rows, where sums over outputs are averages: logits of spread about one."""
    generator = torch.Generator().manual_seed(0)
    states = 1.2 * torch.randn(6, 12, generator=generator)
    states = states[:1] + 0.5 * states
    head = Head(torch.randn(500_000, 12, generator=generator) / 12**0.5)
    pool = gaussian_pool(head, generator)
    index = PairIndex.of(PAIRS, states)
    temperature = 1.5
    measured = readout_metrics(pool.logits(states), index, temperature)
    products = vector_products(states[index.dense], states[index.pruned])
    limit = limit_metrics(products, entry_size(head), temperature)
    kept = [KINDS.index(kind) for kind in LIMITS]
    torch.testing.assert_close(measured[:, kept], limit, rtol=0.03, atol=1e-3)
    assert (limit[:, LIMITS.index(("softmax", False, "angular"))] > 0.02).all()


def test_projections_of_an_angle_scatter_as_chance_says():
    """Mean ratio (m − 1)/(m − 2) for a small angle, and the tabulated range of two χ²."""
    generator = torch.Generator().manual_seed(5)
    h = torch.randn(8, generator=generator)
    states = torch.stack([h + 1e-2 * torch.randn(8, generator=generator), h])
    pair = (Pair(0, "mlp", 1, 0),)
    index = PairIndex.of(pair, states)
    own = 1 - cosine(states[0].double(), states[1].double())
    ratios = []
    for _ in range(1500):
        z = states.double() @ torch.randn(8, 16, generator=generator).double()
        ratios.append(float(linear_metrics(z, index)["angular"][0]) / own)
    assert np.mean(ratios) == pytest.approx(15 / 14, rel=0.06)
    low, high = story.by_chance(16, np.random.default_rng(1))
    inside = np.mean([low < ratio < high for ratio in ratios])
    assert inside == pytest.approx(0.9, abs=0.03)


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    given = {"model": str(tiny_folder), "device": "cpu", "prompts": "MC2,Gen4", "repeats": 2}
    given |= {"max_new_tokens": 2, "temperature": 2.0, "seed": 7}
    return dimension(validate(given | {"results": str(tmp_path_factory.mktemp("results"))}))


def test_the_whole_vocabulary_is_the_model_itself(measured, tiny_folder):
    """The widest readout, and a narrower one drawn anew here, from the states to the number."""
    table = measured.table("dimensions", family="vocabulary", prompt="Gen4", step=0)
    loaded = load(str(tiny_folder), device="cpu")
    ids, mask = tokenize(select_prompts("MC2,Gen4"), loaded.tokenizer, True, "cpu")
    with torch.inference_mode(), capture(loaded.decoder) as trace:
        loaded.model(input_ids=ids, attention_mask=mask)
    generator = torch.Generator().manual_seed(8)
    orders = [torch.randperm(VOCABULARY, generator=generator) for _ in range(2)]
    for width, draw, rows in ((VOCABULARY, 0, slice(None)), (64, 1, orders[1][:64])):
        weight = loaded.model.lm_head.weight.double()[rows]
        for lens in ("raw", "normed"):
            states = trace.states.tensor[:, 1, 0]
            states = loaded.model.model.norm(states) if lens == "normed" else states
            kept = table[table["width"].eq(width) & table["draw"].eq(draw) & table["lens"].eq(lens)]
            assert len(kept) == 2 * LAYERS * len(KINDS)
            kept = kept.set_index(["layer", "sublayer", "readout", "centred", "metric"])["value"]
            for pair in trace.states.pairs:
                z = [weight @ states[row].double() for row in (pair.dense, pair.pruned)]
                for kind, value in naive(*z, 2.0).items():
                    found = kept[(pair.layer, pair.kind, *kind)]
                    assert found == pytest.approx(value, rel=1e-3, abs=1e-5), (pair, kind)


def test_table_holds_every_readout_once(measured):
    table = measured.table("dimensions")
    keys = ["prompt", "step", "layer", "sublayer", "lens", "family", "width", "draw"]
    keys += ["readout", "centred", "metric"]
    text = {name: table[name].astype(str) for name in keys if table[name].dtype == "category"}
    table = table.assign(**text)
    assert not table.duplicated(keys).any()
    assert np.isfinite(table["value"]).all()
    counts = table.groupby(["family", "width"])["draw"].nunique()
    assert counts["vocabulary"].to_dict() == {16: 2, 64: 2, 256: 2, VOCABULARY: 1}
    assert counts["projection"].to_dict() == {0: 1, 16: 2, 64: 2, 256: 2, VOCABULARY: 2}
    assert set(table.loc[table["width"] == 0, "quantity"]) == {"limit"}
    assert table["temperature"].notna().eq(table["readout"].eq("softmax")).all()
    assert measured.manifest["facts"]["chains"] * 2 * LAYERS * 2 * 15 * len(KINDS) == (
        table["quantity"].eq("measured").sum()
    )


def test_draws_and_prompts_differ(measured):
    """A narrow readout is drawn anew for each prompt and repeat."""
    rows = measured.table("dimensions", family="projection", width=16, metric="spread", step=0)
    wide = rows.groupby(["prompt", "draw"], observed=True)["value"].mean()
    assert wide.nunique() == 4


@pytest.mark.parametrize("architecture", ["gemma2", "gpt_neox"])
def test_other_heads_and_parallel_blocks(architecture, tiny_tokenizer, tmp_path):
    """A capped head is read by its rows alone, for a cap would be a second nonlinearity; parallel
    blocks have three states a layer."""
    folder = tmp_path / architecture
    model = tiny_model(architecture, max_position_embeddings=512)
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    given = {"model": str(folder), "device": "cpu", "prompts": "MC2", "max_new_tokens": 1}
    measured = dimension(validate(given | {"results": str(tmp_path / "results")}))
    table = measured.table("dimensions")
    assert np.isfinite(table["value"]).all()
    if architecture == "gemma2":
        cap = Decoder.of(model).head.cap
        rows = table[table["family"].eq("vocabulary") & table["metric"].eq("spread")]
        assert (rows["value"] > cap).any()
        assert measured.manifest["facts"]["cap"] == cap


def made_up(prompts, factor):
    """A table in which the softmax is twice the linear angle, and grows by ``factor`` in all."""
    rows = []
    generator = np.random.default_rng(0)
    for prompt in range(prompts):
        base = 0.1 * generator.uniform(0.9, 1.1)
        for lens in ("raw", "normed"):
            for family in story.FAMILIES:
                for width, grown in ((16, 1.0), (64, factor)):
                    values = {
                        ("linear", False, "angular"): base / 2,
                        ("linear", True, "angular"): base,
                        ("linear", False, "agreement"): 0.9 if width == 16 else 0.8,
                        ("linear", True, "spread"): 3.0,
                        ("softmax", False, "angular"): 2 * base * grown,
                        ("softmax", False, "effective"): 4.0,
                        ("unit", False, "angular"): base,
                    }
                    rows += [
                        (f"P{prompt}", lens, family, width, *kind, value)
                        for kind, value in values.items()
                    ]
    columns = ["prompt", "lens", "family", "width", "readout", "centred", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_factors_of_a_known_table():
    found = story.Widths.of(made_up(6, 1.5), 0)
    assert found.widths == [16, 64]
    one = found.by_readout("raw", "vocabulary", "softmax", "linear", 16)
    assert (one.value, one.low, one.high) == pytest.approx((2, 2, 2))
    assert found.by_width("raw", "projection", "softmax").value == pytest.approx(1.5)
    assert found.by_width("raw", "projection", "linear").value == pytest.approx(1)
    kept = found.mean("raw", "vocabulary", story.AS_IS, 16).value
    assert kept == pytest.approx(found.mean("raw", "vocabulary", "linear", 16).value / 2)
    table = made_up(6, 1.5)
    rows = table[table["readout"].eq("unit") & table["lens"].eq("raw")]
    mean = found.mean("raw", "vocabulary", "unit", 64)
    assert mean.value == pytest.approx(rows.groupby("prompt")["value"].mean().mean())
    assert mean.low < mean.value < mean.high


def test_counts_of_sublayers(measured):
    """Against a loop over sublayers, prompts and rows."""
    table = measured.table("dimensions")
    counts = story.count_table(table, "raw").set_index("compared")
    text = {name: table[name].astype(str) for name in ("prompt", "sublayer")}
    rows = table.assign(**text)
    rows = rows[rows["lens"].eq("raw") & rows["family"].eq("vocabulary")]
    rows = rows[rows["metric"].eq("angular")]

    def mean(readout, width, place):
        kept = rows[rows["readout"].eq(readout) & rows["width"].eq(width)]
        kept = kept[kept["centred"].eq(readout == "linear")]
        kept = kept[kept["sublayer"].eq(place[0]) & kept["layer"].eq(place[1])]
        assert set(kept["prompt"]) == {"MC2", "Gen4"}
        return np.mean([part["value"].mean() for _, part in kept.groupby("prompt")])

    places = [(kind, layer) for kind in ("attention", "mlp") for layer in range(LAYERS)]
    above = sum(mean("softmax", 300, place) > mean("softmax", 16, place) for place in places)
    name = "300 outputs over 16, softmax"
    assert counts.loc[name, "random vocabulary"] == f"{above} of {2 * LAYERS}"
    above = sum(mean("softmax", 16, place) > mean("linear", 16, place) for place in places)
    name = "softmax over linear, 16 outputs"
    assert counts.loc[name, "random vocabulary"] == f"{above} of {2 * LAYERS}"


@pytest.mark.parametrize(
    ("factor", "grows", "matters"),
    [
        (1.5, "supported", "supported"),
        (2.5, "supported", "contradicted"),
        (0.9, "contradicted", "supported"),
    ],
)
def test_verdicts_follow_their_criteria(factor, grows, matters):
    found = story.Widths.of(made_up(6, factor), 0)
    verdicts = {one.claim: one.verdict for one in story.claims(found, "normed")}
    changes = {
        "Through the softmax, more outputs deviate more": grows,
        "The softmax matters more than the number of outputs (ours)": matters,
    }
    assert verdicts == dict.fromkeys(verdicts, "supported") | changes
    few = story.Widths.of(made_up(4, factor), 0)
    assert {one.verdict for one in story.claims(few, "raw")} == {"too few data"}


def test_range_holds_curves_and_levels(measured):
    found = story.Widths.of(measured.table("dimensions"), 0)
    frame = found.curves({"softmax": ("projection", "softmax", "angular")})
    assert frame["x"].tolist() == 2 * [16, 64, 256, VOCABULARY]
    levels = story.levels(found, "projection")
    assert list(levels) == list(frame["panel"].unique())
    low, high = story.reach(frame, levels)
    heights = [one.y[0] for each in levels.values() for one in each]
    assert low < min(heights) < max(heights) < high
