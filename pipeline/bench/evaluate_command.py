"""The command below `mdr bench` that measures the evaluator."""

from typing import Annotated

import typer

from pipeline.bench.options import Docs, Json, bench, command_line, console, keep


@bench.command()
def evaluate(
    rows: Annotated[int, typer.Option(help="Rows to evaluate at least.", min=1000)] = 1_000_000,
    domains: Annotated[int, typer.Option(help="Domains of the generated logs.", min=2)] = 25,
    repeat: Annotated[int, typer.Option(help="Runs of each; medians are shown.", min=1)] = 3,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare DomainEvaluator with TFMA's own metrics on the same rows."""
    from pipeline.bench.evaluate import markdown, run

    figures = run(rows, domains, repeat, console)
    text = markdown(figures, command_line())
    keep(figures, as_json, text, "evaluate", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
