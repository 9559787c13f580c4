"""The panel's numbers in Python; `test_panel_browser` holds the page to them."""

import json
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chapters.representation_analysis.panel import number, sentences, softmax_panel
from chapters.representation_analysis.panel_model import (
    SIZES,
    TEMPERATURES,
    Outline,
    direction,
    normal_draws,
    outline,
    readings,
    touched_choices,
)
from helpers import theory


def state(kind: str, vocabulary: int = 20000) -> torch.Tensor:
    """Made-up logits, in no order: as of a final layer, of a middle one, and skewed."""
    random = np.random.default_rng(0)
    z = {
        "final": 10 + 3.3 * random.standard_normal(vocabulary),
        "middle": 8 + 16 * random.standard_normal(vocabulary),
        "skewed": 2 * random.standard_gamma(0.7, vocabulary) - 5,
    }[kind]
    z[random.integers(vocabulary, size=5)] += z.std() * np.array([2.0, 1.5, 1.2, 1.0, 0.5])
    return torch.from_numpy(z)


def mixed(x: int) -> int:
    """The finalizer of MurmurHash3, in integers of any size."""
    x ^= x >> 16
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ x >> 16


def test_draws_follow_the_published_hash():
    assert mixed(1) == 0x514E28B7
    for seed in (0, 1, 12):
        draws = normal_draws(50, seed).tolist()
        for token, draw in enumerate(draws):
            first, second = (
                (mixed((2 * token + part + seed * 0x9E3779B9) % 2**32) + 0.5) / 2**32
                for part in (0, 1)
            )
            expected = math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)
            assert draw == pytest.approx(expected, rel=1e-12)


def test_draws_are_standard_normal_and_seeds_are_unrelated():
    count = 40000
    first, second = normal_draws(count, 0), normal_draws(count, 1)
    for draws in (first, second):
        assert abs(draws.mean()) < 4 / math.sqrt(count)
        assert abs(draws.var() - 1) < 4 * math.sqrt(2 / count)
        below = 0.5 * (1 + torch.erf(draws.sort().values / math.sqrt(2)))
        steps = (torch.arange(count) + 0.5) / count
        assert (below - steps).abs().max() < 1.95 / math.sqrt(count)  # p > 0.001
        assert abs((draws[1:] * draws[:-1]).mean()) < 4 / math.sqrt(count)
    assert abs((first * second).mean()) < 4 / math.sqrt(count)
    with pytest.raises(ValueError, match="seed"):
        normal_draws(3, -1)


@pytest.mark.parametrize("kind", ["final", "middle", "skewed"])
def test_outline_stands_for_all_logits(kind):
    """p, KL and the angles of a perturbation by rank: within a thousandth of all logits' own."""
    full = state(kind).sort(descending=True).values
    small = outline(state(kind))
    assert len(small.ranks) <= 512
    assert small.vocabulary == len(full)
    torch.testing.assert_close(small.logits()[:256], full[:256], rtol=0, atol=1e-5)
    for temperature in (0.25, 1.0, 4.0):
        p, of_outline = (theory.log_p(z, temperature).exp() for z in (full, small.logits()))
        assert (p - of_outline).abs().sum() / 2 < 1e-3
        torch.testing.assert_close(of_outline[:256], p[:256], rtol=1e-3, atol=0)
        for touched in (1, 10, 1000, len(full)):
            found = readings(
                small, sizes=(0.01, 1.0, 10.0), touched=touched, temperature=temperature, seed=1
            )
            unit = direction(len(full), touched, 1)
            for row in found.itertuples():
                delta = row.size * unit
                angle = float(theory.angular_identity(full, delta, temperature))
                divergence = float(theory.kl_identity(full, delta, temperature))
                assert row.angular == pytest.approx(angle, rel=1e-3, abs=1e-12)
                assert row.kl == pytest.approx(divergence, rel=1e-3, abs=1e-12)
                for centre, found_angle in ((0, row.logit), (1, row.logit_centred)):
                    z, moved = full - centre * full.mean(), full + delta
                    moved = moved - centre * moved.mean()
                    truth = 1 - torch.nn.functional.cosine_similarity(z, moved, dim=0)
                    assert found_angle == pytest.approx(float(truth), rel=2e-3, abs=1e-12)


def test_outline_of_few_logits_is_exact_and_bad_ones_are_refused():
    z = torch.tensor([1.0, 3.5, -2.25])
    assert outline(z) == Outline((0, 1, 2), (3.5, 1.0, -2.25))
    for bad in (torch.tensor([1.0]), torch.tensor([1.0, math.nan]), torch.ones(4)):
        with pytest.raises(ValueError, match="finite logits that are not all the same"):
            outline(bad)


def test_more_knots_never_fit_worse():
    full = state("final", 3000).sort(descending=True).values
    errors = [
        float((outline(full, 64, knots).logits() - full).abs().max()) for knots in (16, 64, 256)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_touched_tokens_move_by_one_and_no_others():
    assert touched_choices(300) == (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300)
    assert touched_choices(2) == (1, 2)
    for touched in touched_choices(300):
        unit = direction(300, touched, 3).numpy()
        assert np.sqrt((unit[:touched] ** 2).mean()) == pytest.approx(1)
        assert not unit[touched:].any()
    assert abs(float(direction(300, 1, 0)[0])) == pytest.approx(1)


@pytest.mark.parametrize(("touched", "temperature"), [(1, 1.0), (7, 0.25), (None, 4.0), (None, 1)])
def test_readings_are_the_definitions(touched, temperature):
    """Softmax, cosine, KL and variances written out, without the identities."""
    small = outline(state("final", 400))
    z = small.logits().numpy()
    for row in readings(small, touched=touched, temperature=temperature, seed=2).itertuples():
        delta = row.size * direction(400, touched or 400, 2).numpy()
        p, q = (np.exp(x - x.max()) for x in (z / temperature, (z + delta) / temperature))
        p, q = p / p.sum(), q / q.sum()
        r = p**2 / (p**2).sum()
        variance_p, variance_r = (
            (w * (delta - (w * delta).sum()) ** 2).sum() / (2 * temperature**2) for w in (p, r)
        )
        angle = 1 - (p @ q) / np.sqrt((p @ p) * (q @ q))
        assert row.angular == pytest.approx(angle, rel=1e-6, abs=1e-14)
        assert row.kl == pytest.approx((p * np.log(p / q)).sum(), rel=1e-6, abs=1e-13)
        assert row.theorem_2 == pytest.approx(variance_r, rel=1e-9)
        assert row.bounded == pytest.approx(1 - math.exp(-variance_r), rel=1e-6, abs=1e-14)
        assert row.theorem_3 == pytest.approx(variance_p, rel=1e-9)
        cosine = z @ (z + delta) / np.sqrt((z @ z) * ((z + delta) @ (z + delta)))
        assert row.logit == pytest.approx(1 - cosine, rel=1e-6, abs=1e-14)
    assert 1.0 in SIZES
    assert 1.0 in TEMPERATURES


@given(st.floats(1e-15, 1e9), st.integers(2, 4))
def test_number_can_be_read_back(value, digits):
    text = number(value, digits)
    power = re.fullmatch(r"(\S+) × 10(\S+)", text)
    ordinary = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    read = float(f"{power[1]}e{power[2].translate(ordinary)}") if power else float(text)
    assert read == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))
    assert len(text) < 14


def test_sentences_hold_every_reading_and_no_quotient_of_nothing():
    names = ("angular", "theorem_2", "bounded", "kl", "theorem_3", "logit", "logit_centred")
    reading = dict.fromkeys(names, 0.5) | {"theorem_2": 0.25, "kl": 0.0}
    html = "".join(sentences(reading))
    found = dict(re.findall(r'data-reading="([^"]+)" value="[^"]*">([^<]+)<', html))
    assert set(names) < set(found)
    assert (found["theorem_2/angular"], found["theorem_3/kl"], found["kl"]) == ("0.5", "–", "0")


def panel(logits: torch.Tensor, **changes):
    texts = {"name": "my-panel", "title": "A <finding>", "caption": "What was done & how."}
    return softmax_panel(logits, provenance={"run": "a1b2"}, **(texts | changes))


def test_panel_holds_its_data_and_a_static_picture():
    z = state("final", 3000)
    output = panel(z, tokens=["</script>", " the", "\n", ""])
    html = output._repr_html_()
    assert "A &lt;finding&gt;" in html
    assert html.count("<script") == html.count("</script>") == 1
    content = json.loads(re.search(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)[1])
    held = Outline(*(tuple(content["state"][name]) for name in ("ranks", "values")))
    assert held == outline(z)
    assert panel(held).html == panel(z).html
    assert content["tokens"] == ["</script>", "␣the", "⏎", "∅"]
    chosen = {name: content["choices"][name][at] for name, at in content["start"].items()}
    assert chosen == {"size": 1.0, "touched": 3000, "temperature": 1.0}
    first = readings(held, sizes=[1.0]).iloc[0].to_dict()
    for sentence in sentences(first):
        assert f"<p>{sentence}</p>" in html.partition('class="panel-static"')[2]
    assert re.search(r'<div class="panel-live"[^>]* hidden>', html)
    assert html.count('type="range"') == html.count("<label") == 3
    assert 'role="img" aria-label="2 panels' in html
    assert len(html) < 70_000
    assert panel(z, tokens=["</script>", " the", "\n", ""]).html == html


@pytest.mark.parametrize(
    "logits",
    [[1e4, 0.0, -1e4], [0.0, 1e-4], [50.0] + [0.0] * 40, torch.linspace(-1, 1, 700).tolist()],
)
def test_extreme_states_show_no_nan(logits):
    html = panel(torch.tensor(logits)).html
    assert not re.search(r"\b(nan|inf|infinity)\b", html, re.IGNORECASE)


def test_bad_names_are_refused():
    with pytest.raises(ValueError, match="figure name"):
        panel(state("final", 300), name="My Panel")
