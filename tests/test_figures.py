"""Figures: both renderers from one specification, strict, repeatable, escaped and citable."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reporting.figures import (
    FigureOutput,
    Line,
    Panel,
    badge,
    category_profile,
    cosine_range,
    layer_profile,
    ramp,
    style_of,
    table,
)
from reporting.figures.interactive import payload, plot
from reporting.figures.labels import end_labels, key
from reporting.figures.static import svg

RUN = {"run": "a1b2c3", "model": "tiny <model>", "versions": {"torch": "2.13.0"}}


def frame(layers: int = 6, seed: int = 0) -> pd.DataFrame:
    """Made-up cosines of every sublayer and space, one of them missing."""
    numbers = np.random.default_rng(seed)
    rows = [
        {"sublayer": sublayer, "layer": layer, "layers": layers, "space": space, "n": 12}
        for sublayer in ("attention", "mlp")
        for space in ("embedding", "logit", "probability")
        for layer in range(layers)
    ]
    means = numbers.uniform(0.3, 0.9, len(rows))
    means[1] = math.nan
    return pd.DataFrame(rows).assign(mean=means, low=means - 0.2, high=means + 0.1)


def profile(name: str = "hierarchy", **changes: Any) -> FigureOutput:
    options: dict[str, Any] = {
        "title": "The probability space moves most",
        "caption": "One sublayer dropped at a time.",
        "provenance": RUN,
        "reported_model": "Other-7B",
    }
    reported = changes.pop("reported", frame(4, 1))
    return layer_profile(frame(), reported, name=name, **options | changes)


def page(output: FigureOutput) -> str:
    return str(output._repr_mimebundle_()["text/html"])


def test_payload_is_strict_json_and_valid_for_plotly() -> None:
    text = payload(profile().figure)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    content = json.loads(text, parse_constant=refuse)
    means = [trace["y"] for trace in content["data"] if trace["mode"] == "lines+markers"]
    assert any(None in values for values in means)
    assert "<" not in text
    graph_objects = pytest.importorskip("plotly.graph_objects")
    graph_objects.Figure(content)


def test_two_renders_are_equal_byte_for_byte() -> None:
    assert page(profile()) == page(profile())
    assert not re.search(r"<dc:date>|matplotlib\.org|<style|\bDate\b", page(profile()))


def test_global_matplotlib_state_is_left_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg(profile().figure)
    assert dict(matplotlib.rcParams) == before


def test_ids_differ_between_two_figures_and_references_resolve() -> None:
    first, second = page(profile("first")), page(profile("second"))
    ids = [set(re.findall(r'\sid="([^"]+)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]
    for text, known in zip((first, second), ids, strict=True):
        assert len(re.findall(r'\sid="', text)) == len(known)
        assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)) <= {
            pair for name in known for pair in ((name, ""), ("", name))
        }


def test_everything_from_outside_is_escaped() -> None:
    evil = '</script><script>alert("x")</script>&$\\frac$'
    output = profile(
        title=evil, caption=evil, alt=evil, reported_model=evil, provenance={"a": evil}
    )
    text = page(output)
    assert "<script>alert" not in text
    assert text.count("</script>") == 1
    assert "javascript:" not in page(profile(provenance={"notebook": "javascript:alert(1)"}))
    assert 'href="../chapter.html#fig"' in page(
        profile(provenance={"notebook": "../chapter.html#fig"})
    )


def test_alternative_text_is_on_both_pictures_and_tells_the_numbers() -> None:
    figure = profile().figure
    assert "probability lies between" in figure.alt
    assert "reported (Other-7B, 4 layers)" in figure.alt
    assert len(re.findall(r'role="(?:img|group)" aria-label="2 panels', page(profile()))) == 2


def test_download_carries_the_run_and_gives_the_frame_back() -> None:
    text = page(profile())
    name, content = re.findall(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"', text)[0]
    assert name == "hierarchy-a1b2c3.csv"
    lines = base64.b64decode(content).decode()
    assert "# run: a1b2c3\n" in lines
    assert "# versions: torch 2.13.0\n" in lines
    back = pd.read_csv(io.StringIO(lines), comment="#")
    assert len(back) == len(frame()) + len(frame(4))
    pd.testing.assert_frame_equal(back, profile().figure.data, check_dtype=False, rtol=1e-14)


def test_what_was_reported_is_thin_hollow_unbanded_and_said_to_be() -> None:
    figure = profile().figure
    traces = [trace for trace in plot(figure)["data"] if trace.get("meta")]
    reported = [trace for trace in traces if trace["meta"]["reported"]]
    measured = [trace for trace in traces if not trace["meta"]["reported"]]
    assert len(reported) == len(measured) == 6
    assert max(t["line"]["width"] for t in reported) < min(t["line"]["width"] for t in measured) / 2
    assert all(trace["marker"]["color"] == "rgba(0,0,0,0)" for trace in reported)
    assert all(trace["name"] == "reported (Other-7B, 4 layers)" for trace in reported)
    assert sum("fill" in trace for trace in plot(figure)["data"]) == len(measured)
    assert [entry.text for entry in key(figure) if not entry.direct] == [reported[0]["name"]]


def test_depth_is_relative_and_one_layer_is_allowed() -> None:
    depths = profile().figure.panels[0].lines[0].x
    assert (depths[0], depths[-1]) == (0.0, 1.0)
    alone = layer_profile(frame(1), name="one", title="t", caption="c", provenance={})
    assert alone.figure.panels[0].lines[0].x == (0.0,)


def test_panels_share_their_axes_and_labels_do_not_overlap() -> None:
    figure = profile().figure
    attention, mlp = figure.panels
    assert figure.y_range(attention) == figure.y_range(mlp)
    heights = sorted(label.at for label in end_labels(figure, attention))
    assert min(np.diff(heights)) > 0.07


def test_cosines_run_from_minus_a_tenth_to_one_unless_a_point_lies_beyond() -> None:
    assert cosine_range([0.1, 1.0, math.nan]) == (-0.1, 1.03)
    assert cosine_range([-0.4, 0.5])[0] < -0.4


def test_text_takes_the_colour_of_the_page() -> None:
    picture = svg(profile().figure)
    assert "fill: currentColor" in picture
    assert not re.search(r"(fill|stroke): (#000000|black)", picture)
    layout = plot(profile().figure)["layout"]
    assert not {"color"} & {*layout.get("font", {}), *layout["template"]["layout"]["font"]}


def test_variants_are_told_apart_by_dash_and_end_in_the_hue_of_the_space() -> None:
    styles = ramp("probability", 5)
    assert styles[-1].colour == style_of("probability").colour
    assert len({style.dash for style in styles}) == 5
    words: dict[str, Any] = {"title": "t", "caption": "c", "provenance": RUN}
    parts = [frame(seed=i).assign(category=name) for i, name in enumerate(("code", "maths"))]
    by_category = category_profile(pd.concat(parts), name="categories", **words).figure
    assert [line.label for line in by_category.panels[0].lines] == ["code", "maths"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Line(x=[0, 1], mean=[1], style="logit", label="a"), "mean has 1 values, x 2"),
        (lambda: Line(x=[0], mean=[1], low=[0], style="logit", label="a"), "low and high together"),
        (lambda: Line(x=[0], mean=[1], style="latent", label="a"), "unknown style 'latent'"),
        (lambda: Line(x=[], mean=[], style="logit", label="a"), "no points"),
        (lambda: Panel(title="a", lines=[], x_label="x", y_label="y"), "no lines"),
        (lambda: profile("Bad name"), "figure name 'Bad name'"),
        (lambda: profile(title=" "), "empty title"),
        (lambda: profile(reported=frame().drop(columns="n")), "lacks the columns n"),
        (lambda: profile(reported=pd.concat([frame(), frame()])), "more than one row"),
        (lambda: badge("latent"), "unknown space"),
        (lambda: table(frame(), "a", {"nothing": ".1f"}), "nothing"),
    ],
)
def test_errors_are_one_line(make: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_table_is_accessible_and_escaped() -> None:
    data = pd.DataFrame({"task": ["<b>"], "space": ["logit"], "score": [0.12345], "gone": [None]})
    html = table(data, "Scores & more", {"score": ".2f"})._repr_html_()
    assert "Scores &amp; more</p>" in html
    assert '<table aria-label="Scores &amp; more">' in html
    assert html.count('scope="col"') == 4
    assert '<th scope="row">&lt;b&gt;</th>' in html
    assert ">0.12<" in html
    assert "■" in html
    assert 'tabindex="0"' in html


def test_text_form_is_title_and_caption() -> None:
    bundle = profile()._repr_mimebundle_()
    assert bundle["text/plain"] == (
        "The probability space moves most\nOne sublayer dropped at a time."
    )
