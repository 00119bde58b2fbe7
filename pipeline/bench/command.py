"""The commands below `mdr bench`."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

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
        command=_command(),
        models=_list(models),
        plugins=_list(plugins),
        learning=_list(learning),
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
def throughput(
    suite: SuiteName,
    models: Models = "shared_bottom,mmoe",
    batch_size: Annotated[int, typer.Option(help="Rows per step.", min=1)] = 4096,
    repeat: Annotated[int, typer.Option(help="Measurements; medians are shown.", min=1)] = 5,
    data: Data = None,
    out: Work = WORK,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Measure samples per second on all cores: the feeding, the compiled step, and training."""
    from pipeline.bench.prepare import prepare
    from pipeline.bench.quality import model_settings
    from pipeline.bench.suite import load_suite, suite_config
    from pipeline.bench.tables import write_part
    from pipeline.bench.throughput import markdown, run

    described = load_suite(suite)
    config = suite_config(described, data, out / suite, [])
    prepared = prepare(config, out / (described.config or suite), console)
    chosen = [model_settings(name, described, config) for name in _list(models) or []]
    with console.status("measures") as status:
        figures = run(prepared, chosen, batch_size, repeat, lambda name: status.update(f"measures {name}"))
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    text = markdown(figures, suite, batch_size, _command())
    console.print(text, highlight=False, markup=False)
    if docs:
        write_part(docs / "benchmarks.md", f"throughput {suite}", text)


@bench.command()
def domains(
    models: Models = "",
    counts: Annotated[str, typer.Option(help="Numbers of domains, ascending.")] = "10,100,1000,10000",
    learning: Annotated[str, typer.Option(help="Measure epochs of this learning method instead.")] = "",
    batch_size: Annotated[int, typer.Option(help="Rows per step.", min=1)] = 4096,
    repeat: Annotated[int, typer.Option(help="Measurements; medians are shown.", min=1)] = 5,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Measure the step time and memory of each architecture for 10 to 10,000 domains.

    With --learning, the seconds and memory of an epoch of that method; the rows grow with the domains.
    """
    numbers = [int(count) for count in _list(counts) or []]
    if learning:
        _learning_domains(models or "mlp", learning, numbers, batch_size, docs, as_json)
        return
    from models.registry import names
    from pipeline.bench.domains import markdown, run
    from pipeline.bench.tables import write_part

    def say(row: dict) -> None:
        console.print(
            f"{row['model']:<14} {row['domains']:>6,} domains  {row['same_batch_ms']:>8.2f} ms  "
            f"{row['all_domains_ms']:>8.2f} ms (all)  {row['peak_mb']:>7,} MiB",
            highlight=False,
            soft_wrap=True,
        )

    figures = run(_list(models) or names("architectures"), numbers, batch_size, repeat, say)
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if docs:
        text = markdown(figures, batch_size, _command())
        write_part(docs / "benchmarks.md", "domains", text)


def _learning_domains(
    models: str, method: str, counts: list[int], batch_size: int, docs: Path | None, as_json: Path | None
) -> None:
    """Measure epochs of a learning method by number of domains."""
    from models.registry import find
    from pipeline.bench.learning import markdown, run_domains
    from pipeline.bench.tables import write_part

    find("learning", method)

    def say(row: dict) -> None:
        console.print(
            f"{row['model']:<14} {row['domains']:>6,} domains  {row['seconds']:>8.2f} s per epoch  "
            f"{row['python']:>6.1%} in Python  {row['peak_mb']:>7,} MiB",
            highlight=False,
            soft_wrap=True,
        )

    figures = [
        row for model in _list(models) or [] for row in run_domains(model, method, counts, batch_size, say)
    ]
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if docs:
        title = f"Epochs of {method} by number of domains"
        write_part(docs / "benchmarks.md", f"domains {method}", markdown(figures, title, _command()))


@bench.command()
def learning(
    suite: SuiteName,
    model: Annotated[str, typer.Option(help="The architecture.")] = "mlp",
    methods: Annotated[str, typer.Option(help="Learning methods; the first is the reference.")] = (
        "joint,dn,mamdr"
    ),
    samples: Annotated[str, typer.Option(help="Values of k, for mamdr.")] = "1,3",
    repeat: Annotated[int, typer.Option(help="Epochs of each; medians are shown.", min=1)] = 3,
    data: Data = None,
    out: Work = WORK,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare what an epoch of each learning method costs, and where its time goes."""
    from pipeline.bench.learning import markdown, run
    from pipeline.bench.prepare import prepare
    from pipeline.bench.quality import learning_settings, model_settings
    from pipeline.bench.suite import load_suite, suite_config
    from pipeline.bench.tables import write_part

    described = load_suite(suite)
    config = suite_config(described, data, out / suite, [])
    prepared = prepare(config, out / (described.config or suite), console)
    chosen = {}
    for method in _list(methods) or []:
        settings = learning_settings(method, described, config, 0)
        for k in (_list(samples) or []) if method == "mamdr" else [None]:
            own = {"k": int(k)} if k else {}
            label = f"{method}, k = {k}" if k else method
            chosen[label] = settings.model_copy(update={"settings": {**settings.settings, **own}})
    with console.status("measures") as status:
        figures = run(prepared, model_settings(model, described, config), chosen, repeat, status.update)
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    text = markdown(figures, f"Cost of learning methods on {suite}, {model}", _command())
    console.print(text, highlight=False, markup=False)
    if docs:
        write_part(docs / "benchmarks.md", f"learning {suite}", text)


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


def _list(text: str) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] or None


def _command() -> str:
    """Return the command as it was given, without folders of this machine: a table is read elsewhere."""
    named = ("--data", "--out", "--json", "--docs")
    kept, skip = ["mdr"], False
    for argument in sys.argv[1:]:
        if not skip and argument not in named and not argument.startswith(tuple(f"{n}=" for n in named)):
            kept.append(argument)
        skip = argument in named
    return shlex.join(kept)
