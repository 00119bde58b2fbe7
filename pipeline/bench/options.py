"""What the commands below `mdr bench` share: their options, and how a command is written down."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

bench = typer.Typer(help="Measure mdr on this machine.", invoke_without_command=True)
console = Console()

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")]
SuiteName = Annotated[str, typer.Option("--suite", help="Name of a suite; `mdr bench` lists them.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the raw public sets (or set MDR_DATA).", exists=True)
]
Work = Annotated[Path, typer.Option("--out", help="Folder of prepared data and results.")]
Docs = Annotated[
    Path | None, typer.Option("--docs", help="Also keep the cells here and redraw benchmarks.md.")
]
Models = Annotated[str, typer.Option(help="Comma-separated architectures, each perhaps with +plugins.")]
WORK = Path("runs/bench")


def keep(figures: list[dict] | dict, as_json: Path | None, text: str, part: str, docs: Path | None) -> None:
    """Write figures where the command was told to.

    Args:
        figures: for the JSON file. as_json: that file, if any.
        text: for `benchmarks.md`. part: name of the part it replaces there. docs: folder of the page, if any.
    """
    from pipeline.bench.tables import write_part

    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if docs:
        write_part(docs / "benchmarks.md", part, text)


def listed(text: str) -> list[str] | None:
    """Return the parts of a comma-separated text, None where there are none."""
    return [part.strip() for part in text.split(",") if part.strip()] or None


def command_line() -> str:
    """Return the command as it was given, without folders of this machine: a table is read elsewhere."""
    named = ("--data", "--out", "--json", "--docs")
    kept, skip = ["mdr"], False
    for argument in sys.argv[1:]:
        if not skip and argument not in named and not argument.startswith(tuple(f"{n}=" for n in named)):
            kept.append(argument)
        skip = argument in named
    return shlex.join(kept)
