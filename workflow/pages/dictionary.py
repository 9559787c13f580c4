"""The page that explains every column of every table, from the descriptions themselves."""

from collections.abc import Iterable

from runs.columns import CONSTANTS, Column
from runs.dataset import run_columns
from runs.store import every_measurement


def data_dictionary() -> str:
    """The page, in Markdown."""
    writers: dict[str, list[str]] = {}
    columns: dict[str, dict[str, Column]] = {}
    for name, stored in every_measurement().items():
        for table, described in stored.tables.items():
            writers.setdefault(table, []).append(f"`{name}`")
            columns.setdefault(table, {}).update({each.name: each for each in described})
    lines = [
        "# Data dictionary",
        "",
        "Every measurement is a folder of Parquet tables and a manifest. This page comes from the "
        "descriptions that each table is checked against when it is written.",
        "",
        "## Constants of a run",
        "",
        "What is the same in all rows stands once, in the manifest under `constants` (`run` beside "
        "it), and `Measurement.labelled` gives the tables with it. A table that compares several "
        "methods or seeds has them as columns of its own.",
        *_columns(CONSTANTS),
        "",
        "## All results",
        "",
        "`make tables` writes `results/tables/TABLE.parquet` for each table below, with these "
        "constants and the name of the measurement as columns, and `results/tables/runs.parquet` "
        "with a row for each run, joined by `run`. A parameter that a measurement does not read is "
        "missing. With pandas, and with DuckDB:",
        "",
        "```python",
        'pd.read_parquet("results/tables/scores.parquet").groupby("task")["value"].mean()',
        "duckdb.sql(\"from 'results/tables/scores.parquet' select task, avg(value) group by all\")",
        "```",
        *_columns(run_columns()),
    ]
    for table, names in sorted(writers.items()):
        lines += ["", f"## `{table}`", "", f"Written by {', '.join(names)}."]
        lines += _columns(columns[table].values())
    return "\n".join(lines) + "\n"


def _columns(columns: Iterable[Column]) -> list[str]:
    """A table of the columns, folded."""
    lines = ["", "```{dropdown} Columns", "| column | type | meaning |", "|---|---|---|"]
    for column in columns:
        kind = str(column.type)
        kind = "text" if kind.startswith("dictionary") or kind == "string" else kind
        missing = "; may be missing" if column.nullable else ""
        values = ", ".join(f"`{value}`" for value in column.allowed)
        allowed = f" One of {values}." if column.allowed else ""
        lines.append(f"| `{column.name}` | {kind}{missing} | {column.meaning}.{allowed} |")
    return [*lines, "```"]
