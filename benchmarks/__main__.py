"""Run the benchmarks, print a table, write ``build/bench.json``: all suites, or those named."""

import json
import sys
from pathlib import Path

from benchmarks import (
    drop,
    evaluation,
    generation,
    layer_profile,
    pruning,
    solvers,
    workflow,
    writing,
)
from benchmarks.harness import Result
from helpers import machine
from runs.files import write_whole
from runs.store import all_cores

SUITES = (layer_profile, generation, drop, pruning, solvers, evaluation, workflow, writing)
OUTPUT = Path("build") / "bench.json"


def line(result: Result) -> str:
    """One row of the table."""

    def number(value: float | None, form: str) -> str:
        return form.format(value) if value is not None else "–"

    return (
        f"{result.name:<64} {result.ours_s:>8.2f} s {number(result.baseline_s, '{:.2f} s'):>10} "
        f"{number(result.ratio, '{:.1f}×'):>8} {number(result.floor_s, '{:.2f} s'):>9} "
        f"{result.peak_mb:>7.0f} MB {number(result.baseline_peak_mb, '{:.0f} MB'):>9}"
    )


def main(names: list[str]) -> int:
    """The suites named, or all, one after the other, on all cores of the machine."""
    known = {suite.__name__.rpartition(".")[2]: suite for suite in SUITES}
    if unknown := [name for name in names if name not in known]:
        print(f"error: no suite {unknown[0]!r}: known are {', '.join(known)}", file=sys.stderr)
        return 2
    threads = machine.granted_threads()
    print(f"{threads} threads; ratio = baseline / ours; floor = what no way can beat")
    print(
        f"{'benchmark':<64} {'ours':>10} {'baseline':>10} {'ratio':>8} {'floor':>9} {'extra':>10} "
        f"{'baseline':>9}"
    )
    results = []
    with all_cores(threads):
        machine.use_threads(threads)
        for suite in [known[name] for name in names] or SUITES:
            for result in suite.benchmarks():
                print(line(result), flush=True)
                results.append(result.row())
    OUTPUT.parent.mkdir(exist_ok=True)
    write_whole(OUTPUT, json.dumps(results, indent=1))
    print(f"Written to {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
