"""An experiment: its options, its table, and the page that is written of it."""
import argparse
import dataclasses
import json
import pathlib
import sys
from typing import Any, Callable

from . import timing, words

MISSING = "not installed"


@dataclasses.dataclass
class Experiment:
    """`measure(small)` gives rows (dicts), of which `conclude(rows)` makes sentences and
    `plot(rows)` a picture. `columns`: (head, key or function of a row)."""

    name: str
    question: str
    method: str
    columns: list
    measure: Callable[[bool], list]
    conclude: Callable[[list], list]
    plot: Callable[[list], str]
    peers: tuple = ()


def time_columns():
    return [("time of a call", lambda row: words.duration(row["ms"])),
            ("middle half of the rounds", words.spread)]


def absent(**cells):
    """The row of a peer that is not there."""
    return {**cells, "missing": MISSING}


def _cell(row, wanted):
    if not callable(wanted):
        return str(row.get(wanted, "–"))
    if "missing" in row:
        return row["missing"]
    try:
        return wanted(row)
    except KeyError:  # a column that this row has nothing for
        return "–"


def table(columns, rows):
    """Markdown."""
    lines = ["| " + " | ".join(head for head, _ in columns) + " |", "|---" * len(columns) + "|"]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row, wanted).replace("|", "\\|")
                                       for _, wanted in columns) + " |")
    return "\n".join(lines)


def facts_line(machine):
    versions = ", ".join(f"{name} {version or MISSING}"
                         for name, version in machine["versions"].items())
    return (f"Measured on {machine['date']}: {machine['cpu']} ({machine['target']}), "
            f"{machine['threads']} hardware threads; {versions}.")


def page(experiment, result):
    """Markdown of what was measured."""
    bullets = "\n".join(f"- {sentence}" for sentence in result["conclusions"])
    return "\n".join([
        f"# {experiment.question}", "",
        f"<!-- Written by examples/questions/run {experiment.name}; do not edit. -->", "",
        experiment.method.strip(), "",
        f"![{experiment.question}]({experiment.name}.svg)", "",
        table(experiment.columns, result["rows"]), "",
        facts_line(result["machine"]), "",
        "## What follows", "", bullets, "",
        "These sentences are computed from the table; for those of your machine: "
        f"`examples/questions/run {experiment.name}`.", ""])


def run(experiment, small):
    rows = experiment.measure(small)
    return {"name": experiment.name, "question": experiment.question, "small": small,
            "machine": timing.machine(experiment.peers), "rows": rows,
            "conclusions": experiment.conclude(rows)}


def _plain(value: Any):
    """Numbers of NumPy as numbers."""
    return value.item()


def write(experiment, result, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{experiment.name}.md").write_text(page(experiment, result), encoding="utf-8")
    (folder / f"{experiment.name}.svg").write_text(experiment.plot(result["rows"]),
                                                   encoding="utf-8")


def main(experiment):
    parser = argparse.ArgumentParser(description=experiment.question)
    parser.add_argument("--small", action="store_true",
                        help="little data and few rounds, for tests: the figures say nothing")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER",
                        help=f"write {experiment.name}.md and .svg there")
    arguments = parser.parse_args()
    result = run(experiment, arguments.small)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1, default=_plain) + "\n",
                                  encoding="utf-8")
    if arguments.out:
        write(experiment, result, arguments.out)
    if not arguments.json and not arguments.out:
        sys.stdout.write(page(experiment, result))
