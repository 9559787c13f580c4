"""The net itself: what it masks, what it lets through, what it holds back."""

import net
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("KL −1.2e-05 to 3.4·10⁻⁵, 12,000 of 5%", "KL # to #·#, # of #%"),
        ("Drop-2A keeps MC2 at +0.5", "Drop-2A keeps MC2 at #"),
        ("run `6fad8860bc38f420` of commit 4cae05b", "run `#` of commit #"),
        ("steps 3-5, layers 2:4", "steps #-#, layers #"),
        ("took 1.5 minutes and 0.7 GiB", "took # TIME and # MEMORY"),
        ("on 2 threads (AMD EPYC), /tmp/a-b/tiny", "on # threads (PROCESSOR), PATH"),
        ("at 2026-11-30T14:44:37+00:00 <b>no</b>", "at TIME <b>no</b>"),
    ],
)
def test_numbers_are_masked_and_names_are_not(text, kept):
    assert net.masked(text) == kept


def stored(folder, values, run, name="value"):
    path = folder / "measurements" / "profile" / run
    path.mkdir(parents=True)
    runs = pa.array([run] * len(values)).dictionary_encode()
    prompts = [f"MC{row}" for row in range(len(values))]
    table = pa.table({"run": runs, "prompt": prompts, name: values, "step": range(len(values))})
    pq.write_table(table, path / "layers.parquet")
    (path / "manifest.json").touch()


@pytest.mark.parametrize(
    ("values", "name", "same"),
    [
        ([0.5, -0.25], "value", True),
        ([0.50001, -0.25], "value", True),
        ([0.501, -0.25], "value", False),
        ([0.25, 0.0], "value", False),  # the same sum
        ([0.5, None], "value", False),
        ([0.5, -0.25, 0.0], "value", False),
        ([0.5, -0.25], "cosine", False),
    ],
)
def test_tables_are_the_same_to_rounding_whatever_their_identities(tmp_path, values, name, same):
    for folder, runs in (("kept", "ab"), ("found", "dc")):
        given = (values, name) if folder == "found" else ([0.5, -0.25], "value")
        stored(tmp_path / folder, given[0], runs[0], given[1])
        stored(tmp_path / folder, [9.0], runs[1])
    kept, found = (net.tables(tmp_path / folder) for folder in ("kept", "found"))
    assert (net.difference(kept, found) == "") is same


def test_difference_shows_only_what_is_not_rounding():
    kept = "a double sum ≈1, absolute ≈2\nb double sum ≈1, absolute ≈2\n"
    found = "a double sum ≈1.00001, absolute ≈2\nb double sum ≈1, absolute ≈3 (1 missing)\n"
    changed = [line for line in net.difference(kept, found).splitlines()[3:] if line[0] in "+-"]
    assert changed == [
        "-b double sum ≈1, absolute ≈2",
        "+b double sum ≈1, absolute ≈3 (1 missing)",
    ]


def test_summary_of_texts_sees_their_order():
    one, other = (pd.Series(list(text)) for text in ("abcdefghij", "bacdefghij"))
    assert net._contents(one) != net._contents(other)
