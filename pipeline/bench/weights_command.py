"""The command below `mdr bench` that measures generated weights."""

from typing import Annotated

import typer

from pipeline.bench.options import Docs, Json, bench, command_line, console, keep


@bench.command()
def weights(
    fields: Annotated[int, typer.Option(help="Fields besides the domain.", min=1)] = 23,
    dim: Annotated[int, typer.Option(help="Width of an embedding.", min=1)] = 16,
    hidden: Annotated[int, typer.Option(help="Values of each field that weights are made of.", min=1)] = 16,
    batch_size: Annotated[int, typer.Option(help="Rows per step.", min=1)] = 2048,
    repeat: Annotated[int, typer.Option(help="Turns; medians are shown.", min=1)] = 5,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare D3's exact generation of weights with its low-rank form, in turn."""
    from pipeline.bench.weights import markdown, run

    with console.status("measures") as status:
        figures = run(fields, dim, hidden, batch_size, repeat, status.update)
    text = markdown(figures, fields, dim, hidden, batch_size, command_line())
    keep(figures, as_json, text, "weights", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
