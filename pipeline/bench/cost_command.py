"""The commands below `mdr bench` that measure what training costs."""

from pathlib import Path
from typing import Annotated

import typer

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
    from pipeline.bench.quality import model_settings
    from pipeline.bench.throughput import markdown, run

    described, config, prepared = _suite(suite, data, out)
    chosen = {name: model_settings(name, described, config) for name in listed(models) or []}
    with console.status("measures") as status:
        figures = run(prepared, chosen, batch_size, repeat, lambda name: status.update(f"measures {name}"))
    text = markdown(figures, suite, batch_size, command_line())
    keep(figures, as_json, text, f"throughput {suite}", docs)
    console.print(text, highlight=False, markup=False)


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
    numbers = [int(count) for count in listed(counts) or []]
    if learning:
        _learning_domains(models or "mlp", learning, numbers, batch_size, docs, as_json)
        return
    from models.registry import names
    from pipeline.bench.domains import markdown, run

    def say(row: dict) -> None:
        console.print(
            f"{row['model']:<14} {row['domains']:>6,} domains  {row['same_batch_ms']:>8.2f} ms  "
            f"{row['all_domains_ms']:>8.2f} ms (all)  {row['peak_mb']:>7,} MiB",
            highlight=False,
            soft_wrap=True,
        )

    figures = run(listed(models) or names("architectures"), numbers, batch_size, repeat, say)
    keep(figures, as_json, markdown(figures, batch_size, command_line()), "domains", docs)


def _learning_domains(
    models: str, method: str, counts: list[int], batch_size: int, docs: Path | None, as_json: Path | None
) -> None:
    """Measure epochs of a learning method by number of domains."""
    from models.registry import find
    from pipeline.bench.learning import markdown, run_domains

    find("learning", method)

    def say(row: dict) -> None:
        console.print(
            f"{row['model']:<14} {row['domains']:>6,} domains  {row['seconds']:>8.2f} s per epoch  "
            f"{row['python']:>6.1%} in Python  {row['peak_mb']:>7,} MiB",
            highlight=False,
            soft_wrap=True,
        )

    figures = [
        row for model in listed(models) or [] for row in run_domains(model, method, counts, batch_size, say)
    ]
    text = markdown(figures, f"Epochs of {method} by number of domains", command_line())
    keep(figures, as_json, text, f"domains {method}", docs)


@bench.command()
def learning(
    suite: SuiteName,
    model: Annotated[str, typer.Option(help="The architecture.")] = "mlp",
    methods: Annotated[str, typer.Option(help="Learning methods; the first is the reference.")] = (
        "joint,dn,mamdr"
    ),
    samples: Annotated[str, typer.Option(help="Values of k, for mamdr.")] = "1,3",
    repeat: Annotated[int, typer.Option(help="Epochs of each; medians are shown.", min=1)] = 5,
    data: Data = None,
    out: Work = WORK,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare what an epoch of each learning method costs, and where its time goes.

    Inner loops go through all rows of a domain, whatever `inner_passes` the suite has.
    """
    from pipeline.bench.learning import markdown, run
    from pipeline.bench.quality import learning_settings, model_settings

    described, config, prepared = _suite(suite, data, out)
    chosen = {}
    for method in listed(methods) or []:
        settings = learning_settings(method, described, config, 0)
        for k in (listed(samples) or []) if method == "mamdr" else [None]:
            own = settings.settings | ({"k": int(k)} if k else {})
            own.pop("inner_passes", None)  # all rows, as in the papers: the work that the ratios are about
            label = f"{method}, k = {k}" if k else method
            chosen[label] = settings.model_copy(update={"settings": own})
    with console.status("measures") as status:
        figures = run(prepared, model_settings(model, described, config), chosen, repeat, status.update)
    text = markdown(figures, f"Cost of learning methods on {suite}, {model}", command_line())
    keep(figures, as_json, text, f"learning {suite}", docs)
    console.print(text, highlight=False, markup=False)


@bench.command()
def search(
    suite: SuiteName = "sample25",
    repeat: Annotated[int, typer.Option(help="Measurements; medians are shown.", min=1)] = 3,
    data: Data = None,
    out: Work = WORK,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Measure what AREAD's mask search adds to the training at the paper's settings."""
    from pipeline.bench.quality import learning_settings, model_settings
    from pipeline.bench.search import markdown, run

    described, config, prepared = _suite(suite, data, out)
    model = model_settings("aread", described, config)
    with console.status("measures") as status:
        figures = run(
            prepared, model, learning_settings("joint", described, config, 0), repeat, status.update
        )
    text = markdown(figures, suite, command_line())
    keep(figures, as_json, text, "search", docs)
    console.print(text, highlight=False, markup=False)


def _suite(name: str, data: Path | None, out: Path):
    """Return a suite, its config, and its prepared columns."""
    from pipeline.bench.prepare import prepare
    from pipeline.bench.suite import load_suite, suite_config

    suite = load_suite(name)
    config = suite_config(suite, data, out / name, [])
    return suite, config, prepare(config, out / (suite.config or name), console)
