"""The command below `mdr bench` that measures the server."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.bench.options import WORK, Docs, Json, Work, bench, command_line, console, keep


@bench.command()
def serve(
    model: Annotated[
        Path | None, typer.Option(help="Folder of pushed versions; without it, a run on the sample.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of one measurement.", min=0.1)] = 2,
    repeat: Annotated[int, typer.Option(help="Turns; medians are shown.", min=1)] = 5,
    out: Work = WORK,
    docs: Docs = None,
    as_json: Json = None,
) -> None:
    """Measure latency and requests per second of mdr serve, beside bare calls of the model's function."""
    from pipeline.bench.serve import markdown, run, sample_target

    target = model or sample_target(out / "serve", console)
    with console.status("loads the model") as status:
        figures = run(target, seconds, repeat, status.update)
    text = markdown(figures, command_line())
    keep(figures, as_json, text, "serve", docs)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
