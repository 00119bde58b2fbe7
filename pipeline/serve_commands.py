"""The commands that use a pushed model: `mdr serve`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()
Model = Annotated[
    Path, typer.Option("--model", help="Folder of pushed versions, such as runs/demo/run/serving.")
]


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="REST and the page; 0 is a free one.", min=0)] = 8501,
    grpc_port: Annotated[int, typer.Option(help="gRPC; 0 is a free one.", min=0)] = 8500,
    max_mib: Annotated[int, typer.Option(help="Size of the largest request.", min=1)] = 16,
    max_rows: Annotated[int, typer.Option(help="Rows that may wait; more are refused.", min=1)] = 16_384,
) -> None:
    """Serve a pushed model as TF Serving does, by gRPC and REST, with a page to try it."""
    from pipeline.serve.server import ServeSettings
    from pipeline.serve.server import serve as run_server

    def started(server) -> None:
        page = f"http://{host}:{server.rest_port}/"
        lines = (
            f"[green]✓[/] serves version {server.versions.get(settings.name).number} of {model}",
            f"page  {page}",
            f"REST  {page}v1/models/{settings.name}:predict",
            f"gRPC  {host}:{server.grpc_port}",
            "[dim]Ctrl-C stops it[/dim]",
        )
        console.print("\n".join(lines), highlight=False, soft_wrap=True)

    settings = ServeSettings(
        target=model,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        max_bytes=max_mib * 2**20,
        max_rows=max_rows,
    )
    run_server(settings, started)


COMMANDS = (serve,)
