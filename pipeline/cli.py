"""The command `mdr`; commands import heavy libraries themselves, so that `mdr --help` answers at once."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline import report_commands, serve_commands
from pipeline.bench.command import bench
from pipeline.report_commands import HELD_BACK

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Multi-domain recommendation: logs in, a gated and servable click model out.",
)
app.add_typer(bench, name="bench")
console = Console()
errors = Console(stderr=True)

Out = Annotated[Path, typer.Option("--out", help="Folder that everything goes to.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override one key of the config: --set learning.epochs=3.")
]
ConfigName = Annotated[str, typer.Option("--config", help="YAML file, or the name of a built-in config.")]


@app.command()
def sample(
    out: Out,
    rows: Annotated[int, typer.Option(help="Impressions to generate.", min=1000)] = 150_000,
    domains: Annotated[int, typer.Option(help="Domains, in a long tail.", min=2)] = 25,
    days: Annotated[int, typer.Option(help="Days of logs.", min=3)] = 14,
    seed: Annotated[int, typer.Option(help="The same seed gives the same logs.")] = 0,
    shares: Annotated[str, typer.Option(help="Each domain's share in percent: 81,12.6,3.5,...")] = "",
) -> None:
    """Generate realistic logs of many domains, with the true click probability beside them."""
    from schema.sample.write import write

    percent = [float(share) for share in shares.split(",")] if shares else None
    folder = write(out, rows=rows, domains=domains, days=days, seed=seed, shares=percent)
    console.print(f"[green]✓[/] {rows:,} impressions in {folder}", highlight=False)
    console.print(f"  next: mdr run --config {folder}/config.yaml --out runs/sample", highlight=False)


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="A built-in config that reads a public set, such as aliccp-3.")],
    raw: Annotated[Path, typer.Option("--raw", help="Folder of the raw files as published.", exists=True)],
    out: Out,
) -> None:
    """Turn the raw files of a public set into Parquet logs and a config."""
    from pipeline.data import convert

    summary = convert(name, raw.absolute(), out.absolute(), console)
    console.print(
        f"[green]✓[/] {summary['rows']:,} rows, {summary['positives']:,} positive, "
        f"{summary['domains']} domains in {escape(str(out))}",
        highlight=False,
        soft_wrap=True,
    )
    for difference in summary["differences"]:
        console.print(f"[yellow]![/] {escape(difference)}", highlight=False, soft_wrap=True)
    for reason, count in summary["bad"].items():
        example = summary["examples"][reason]
        said = escape(f"{count:,} rows left out: {reason}; such as {example}")
        console.print(f"[yellow]![/] {said}", highlight=False, soft_wrap=True)
    console.print(f"  next: mdr run --config {out}/config.yaml --out runs/{name}", highlight=False)


@app.command()
def run(config: ConfigName, out: Out, overrides: Overrides = None) -> None:
    """Run the whole pipeline; a second run reuses what has not changed, a stopped one goes on."""
    from pipeline.config import load
    from pipeline.report.page import write_page
    from pipeline.report.terminal import print_summary
    from pipeline.results import load_results
    from pipeline.run import run as run_pipeline
    from pipeline.run_folder import RunFolder

    folder = RunFolder(out.absolute())
    run_pipeline(load(config, overrides or ()), folder, console)
    results = load_results(folder)
    write_page(results, folder.report)
    print_summary(results, folder, console)
    if results.refused or not results.blessed:
        raise typer.Exit(HELD_BACK)


@app.command()
def tune(config: ConfigName, out: Out, overrides: Overrides = None) -> None:
    """Try the values of the config's tuning.grid and write the best ones into a config."""
    from pipeline.config import load
    from pipeline.run_folder import RunFolder
    from pipeline.tune import tune as search

    search(load(config, overrides or ()), RunFolder(out.absolute()), console)


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the table for machines.")] = False,
    docs: Annotated[
        Path | None, typer.Option("--docs", help="Also redraw the tables of models.md in this folder.")
    ] = None,
) -> None:
    """List the architectures, plug-ins and learning methods that a config can name."""
    from pipeline.bench.tables import write_part
    from pipeline.model_table import markdown, print_models, rows, settings_markdown

    if docs:
        write_part(docs / "models.md", "models", markdown())
        write_part(docs / "models.md", "settings", settings_markdown())
    if as_json:
        typer.echo(json.dumps(rows(), indent=1))
    else:
        print_models(console)


@app.command()
def predict(
    model: Annotated[Path, typer.Option("--model", help="A pushed version, or the folder of versions.")],
    rows: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines with the log's columns.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the scored rows go; ROWS.scored.csv without it.")
    ] = None,
) -> None:
    """Score a file of rows with a pushed model."""
    from pipeline.predict import predict as score

    target = out or rows.with_name(f"{rows.name.split('.')[0]}.scored.csv")
    scored = score(model, rows, target)
    console.print(f"[green]✓[/] {scored:,} rows scored: {target}", highlight=False)


@app.command("compile")
def compile_(
    config: ConfigName,
    out: Annotated[Path, typer.Option("--out", help="The YAML file to write.")] = Path("pipeline.yaml"),
    overrides: Overrides = None,
) -> None:
    """Compile the pipeline for Kubeflow Pipelines v2."""
    from kubeflow.compile import compile_pipeline
    from pipeline.config import load

    compile_pipeline(load(config, overrides or ()), out)
    console.print(f"[green]✓[/] {out}", highlight=False)


@app.command()
def doctor(
    out: Annotated[Path, typer.Option("--out", help="Folder that runs would be written to.")] = Path("."),
) -> None:
    """Check this machine and say in words what is wrong and what to do."""
    from pipeline.doctor import examine, show

    if not show(examine(out), console):
        raise typer.Exit(1)


for command in (*report_commands.COMMANDS, *serve_commands.COMMANDS):
    app.command()(command)


def main() -> None:
    """Run the command line; an error a person can act on is one message, not a traceback."""
    _hide_native_log()
    try:
        app()
    except (ValueError, RuntimeError, OSError) as error:
        errors.print(f"mdr: {error}", highlight=False, markup=False, style="red", soft_wrap=True)
        raise SystemExit(getattr(error, "status", 2)) from None


def _hide_native_log() -> None:
    """Keep what TensorFlow's C++ prints away from the terminal; Python's own messages still go there."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    errors.file = sys.stderr
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


if __name__ == "__main__":
    main()
