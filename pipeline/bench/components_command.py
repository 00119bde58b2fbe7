"""The command below `mdr bench` that measures what components cost."""

from typing import Annotated

import typer

from pipeline.bench.options import Docs, Json, bench, command_line, console, keep


@bench.command()
def components(
    rows: Annotated[int, typer.Option(help="Rows to label.", min=1000)] = 500_000,
    passes: Annotated[int, typer.Option(help="Times that a turn's classifier goes over them.", min=1)] = 20,
    repeat: Annotated[int, typer.Option(help="Turns; medians are shown.", min=1)] = 5,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Compare the Beam pass that labels rows with calling the classifier on the same batches."""
    from pipeline.bench.components import markdown, run

    with console.status("writes rows") as status:
        figures = run(rows, passes, repeat, status.update)
    text = markdown(figures, command_line())
    keep(figures, as_json, text, "components", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
