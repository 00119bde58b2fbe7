"""The commands below `mdr bench` that measure the evaluator and the gate."""

from typing import Annotated

import typer

from pipeline.bench.options import Docs, Json, bench, command_line, console, keep, listed


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


@bench.command()
def gate(
    domains: Annotated[int, typer.Option(help="Domains.", min=5)] = 25,
    rows: Annotated[int, typer.Option(help="Test rows.", min=1000)] = 200_000,
    repeat: Annotated[int, typer.Option(help="Simulations of each kind.", min=1)] = 200,
    noises: Annotated[str, typer.Option(help="Noise in a domain's log odds.")] = "0.2,0.4,0.6,0.8,1.0",
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Simulate how often the gate stops an equal model, and how surely it finds a worse domain."""
    from pipeline.bench.gate import markdown, run

    with console.status("simulates"):
        figures = run(domains, rows, repeat, [float(noise) for noise in listed(noises) or []])
    text = markdown(figures, command_line())
    keep(figures, as_json, text, "gate", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
