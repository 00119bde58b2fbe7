"""The commands below `mdr bench`; those on what training and components cost have modules of their own."""

import json
from typing import Annotated

import typer
from rich.table import Table

from pipeline.bench import (  # noqa: F401 - adding commands
    components_command,
    cost_command,
    evaluate_command,
    serve_command,
    weights_command,
)
from pipeline.bench.options import (
    WORK,
    Data,
    Docs,
    Json,
    Models,
    SuiteName,
    Work,
    bench,
    command_line,
    console,
    keep,
    listed,
)


@bench.callback()
def overview(context: typer.Context) -> None:
    """Measure mdr on this machine; without a command, list the commands and suites."""
    if context.invoked_subcommand is None:
        from pipeline.bench.suite import load_suite, suite_names

        typer.echo(context.get_help())
        table = Table(title="Suites of `mdr bench quality`", title_justify="left", box=None)
        table.add_column("suite", no_wrap=True)
        table.add_column("data and protocol")
        for name in suite_names():
            table.add_row(name, load_suite(name).about)
        console.print(table)


@bench.command()
def quality(
    suite: SuiteName,
    models: Models = "",
    plugins: Annotated[str, typer.Option(help="Combine each model with these; `none` is without.")] = "",
    learning: Annotated[str, typer.Option(help="Learning methods, or `all`.")] = "",
    seeds: Annotated[int, typer.Option(help="Seeds, from 0 on.", min=1)] = 3,
    split: Annotated[str, typer.Option(help="Random shares: 8:1:1, or 8:2.")] = "",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override one key of the suite's config.")
    ] = None,
    data: Data = None,
    out: Work = WORK,
    jobs: Annotated[int, typer.Option(help="Cells at a time; 0 is one a core.", min=0)] = 0,
    again: Annotated[bool, typer.Option("--again", help="Measure these cells anew.")] = False,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare models, plug-ins and learning methods on a suite; cells that are done are kept."""
    from pipeline.bench.quality import run
    from pipeline.bench.suite import load_suite
    from pipeline.bench.tables import HTML, draw, terminal_table, write_docs

    store, cells = run(
        suite,
        console,
        work=out,
        command=command_line(),
        models=listed(models),
        plugins=listed(plugins),
        learning=listed(learning),
        seeds=seeds,
        split=split,
        overrides=overrides or [],
        data=data,
        jobs=jobs,
        again=again,
    )
    if as_json:
        as_json.write_text(json.dumps(cells, indent=1), encoding="utf-8")
    described, label = load_suite(suite), cells[0]["suite"]
    draw(store, described, label)
    console.print(terminal_table(cells, described, label))
    console.print(f"tables: {store.folder / HTML}", highlight=False, markup=False, soft_wrap=True)
    if docs:
        kept = write_docs(store, described, label, docs)
        console.print(f"kept: {kept}", highlight=False, markup=False, soft_wrap=True)


@bench.command()
def table(suite: SuiteName, out: Work = WORK, docs: Docs = None) -> None:
    """Redraw the tables of a suite from what was measured, without training."""
    from pipeline.bench.cells import Store
    from pipeline.bench.suite import load_suite
    from pipeline.bench.tables import HTML, draw, terminal_table, write_docs

    described = load_suite(suite.partition("[")[0])
    store = Store(out / suite)
    cells = store.results()
    if not cells:
        raise ValueError(f"{store.folder} holds no results: measure some with mdr bench quality.")
    draw(store, described, suite)
    console.print(terminal_table(cells, described, suite))
    console.print(f"tables: {store.folder / HTML}", highlight=False, markup=False, soft_wrap=True)
    if docs:
        kept = write_docs(store, described, suite, docs)
        console.print(f"kept: {kept}", highlight=False, markup=False, soft_wrap=True)


@bench.command()
def ingest(
    rows: Annotated[int, typer.Option(help="Rows of the generated CSV.", min=1000)] = 1_000_000,
    repeat: Annotated[int, typer.Option(help="Runs of each side; medians are compared.", min=1)] = 1,
    as_json: Json = None,
) -> None:
    """Compare LogExampleGen with TFX's CsvExampleGen on the same file."""
    from pipeline.bench.ingest import run as measure

    figures = measure(rows=rows, repeat=repeat)
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    console.print(
        f"LogExampleGen {figures['rows_per_s']:,.0f} rows/s, "
        f"CsvExampleGen {figures['stock_rows_per_s']:,.0f} rows/s: {figures['ratio']:.1f} times as fast",
        highlight=False,
    )


@bench.command()
def augmenter(
    rhos: Annotated[str, typer.Option(help="Thresholds of the popularity p(i).")] = (
        "0.1,0.15,0.2,0.25,0.3,0.4,0.5,1"
    ),
    rows: Annotated[int, typer.Option(help="Impressions to generate.", min=1000)] = 150_000,
    domains: Annotated[int, typer.Option(help="Domains, in a long tail.", min=2)] = 25,
    seed: Annotated[int, typer.Option(help="Of the generated logs.")] = 0,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Look up the true click probability of augmented rows, on generated logs."""
    from pipeline.bench.augmenter import markdown, run

    with console.status("generates logs") as status:
        thresholds = [float(rho) for rho in listed(rhos) or []]
        figures = run(thresholds, rows, domains, seed, lambda row: status.update(f"rho {row['rho']:g} done"))
    text = markdown(figures, rows, domains, command_line())
    keep(figures, as_json, text, "augmenter", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
