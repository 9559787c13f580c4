"""``python -m course.leaderboard FOLDER``: the contest's table, from what teams handed in.

Each ``*.safetensors`` of the folder is scored on the book's probes, asked in the chat template with
the answer's beginning given. What counts is the share of the capitals that are right in writing.
Beside it stand other kinds of probes in writing, all of them as a choice, and what a token of
held-out text costs (nats): they show a team that fitted the capitals alone. The dense model and the
pruned one as it is are rows too. Written are leaderboard.csv and leaderboard.md in the folder.
"""

import argparse
import math
import re
import sys
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

import helpers.api as api
from course import contest
from helpers.errors import InputError
from helpers.evaluation.probing import probe_rows
from helpers.models.architecture import Decoder
from helpers.models.known import EMBEDDED
from helpers.models.load import LoadedModel
from helpers.texts.calibration import calibration_text, held_out_text, perplexity
from helpers.texts.probes import probes

CAPITALS, EACH = 40, 6  # probes of capitals, and of each other family
FORMS = ("generation, prefix", "choice, prefix")
WINDOWS, WINDOW = 4, 256
BASELINE_RANK = 21  # 2 × (2 × 576 × 21 + 576) numbers
COLUMNS = ["place", "team", "file", "parameters", "capitals", "others", "choice", "nats", "refused"]


def scored(model: LoadedModel, decoder: Decoder, capitals: int, each: int) -> dict[str, float]:
    """Shares that are right in writing, of ``capitals`` and of ``each`` other family, and as a
    choice; and nats a token."""
    others = [one for one in probes(each=each) if one.family != "capitals"]
    chosen = [*probes("capitals", capitals), *others]
    rows = probe_rows(decoder, model.tokenizer, chosen, True, forms=FORMS)
    written = rows[rows["form"] == FORMS[0]]
    of_capitals = written["family"] == "capitals"
    ids = held_out_text(model.tokenizer, samples=WINDOWS, length=WINDOW)
    return {
        "capitals": float(written[of_capitals]["value"].mean()),
        "others": float(written[~of_capitals]["value"].mean()),
        "choice": float(rows[rows["form"] == FORMS[1]]["value"].mean()),
        "nats": math.log(perplexity(decoder, ids)),
    }


def leaderboard(
    model: LoadedModel, folder: Path, capitals: int = CAPITALS, each: int = EACH
) -> pd.DataFrame:
    """One row for each file, best in writing first, then the two that all are measured against,
    then what was refused and why. :class:`InputError` for a folder that holds no file."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no *.safetensors: what teams hand in is such a file")
    entered: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for path in files:
        row: dict[str, Any] = {"file": re.sub(r"[^\w.-]", "_", path.name)}
        try:
            given = contest.read(path, model)
        except InputError as error:
            refused.append(row | {"refused": str(error)})
            continue
        with contest.restored(model, given) as decoder:
            row |= {"team": given.team, "parameters": given.parameters}
            entered.append(row | scored(model, decoder, capitals, each))
    entered.sort(key=lambda row: (-row["capitals"], row["nats"], row["file"]))
    for place, row in enumerate(entered, 1):
        row["place"] = place
    against = [{"team": "dense model"} | scored(model, model.decoder, capitals, each)]
    with contest.restored(model) as decoder:
        against.append({"team": "nothing restored"} | scored(model, decoder, capitals, each))
    table = pd.DataFrame([*entered, *against, *refused], columns=COLUMNS)
    return table.astype({"place": "Int64", "parameters": "Int64"})


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, without columns that hold nothing."""
    shown = table.astype(object).where(table.notna(), "")
    shown = shown.loc[:, (shown != "").any()]
    lines = [f"| {' | '.join(shown)} |", "|" + "---|" * len(shown.columns)]
    for row in shown.itertuples(index=False):
        cells = (f"{each:.3f}" if isinstance(each, float) else str(each) for each in row)
        lines.append(f"| {' | '.join(escape(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m course.leaderboard", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the files are that teams handed in")
    parser.add_argument("--baseline", action="store_true", help="first write the baseline there")
    given = parser.parse_args(arguments)
    try:
        model = api.load(EMBEDDED, device="cpu")
        if given.baseline:
            ids = calibration_text(model.tokenizer, samples=32, length=256).ids
            found = contest.linear_baseline(model, ids, BASELINE_RANK)
            given.folder.mkdir(parents=True, exist_ok=True)
            contest.save(given.folder / "baseline.safetensors", "linear baseline", found)
        table = leaderboard(model, given.folder)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    about = f"{model.name} ({model.size}) without MLP {contest.DROPPED}, scored on the probes."
    table.to_csv(given.folder / "leaderboard.csv", index=False)
    text = f"# Leaderboard\n\n{about}\n\n{markdown(table)}"
    (given.folder / "leaderboard.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
