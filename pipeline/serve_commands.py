"""The commands that use a pushed model: `mdr serve`, `mdr recommend`, `mdr rollback`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

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
    from pipeline.serve.server import ServeSettings, address
    from pipeline.serve.server import serve as run_server

    def started(server) -> None:
        page = escape(f"http://{address(host, server.rest_port)}/")  # [fe80::1] would be read as markup
        lines = (
            f"[green]✓[/] serves version {server.versions.get(settings.name).number} of {escape(str(model))}",
            f"page  {page}",
            f"REST  {page}v1/models/{settings.name}:predict",
            f"gRPC  {escape(address(host, server.grpc_port))}",
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


def recommend(
    model: Model,
    user: Annotated[str, typer.Option("--user", help="Id of the user.")],
    domain: Annotated[str, typer.Option("--domain", help="Name of the domain.")],
    k: Annotated[int, typer.Option("-k", help="How many items.", min=1)] = 20,
    candidates: Annotated[
        Path | None, typer.Option(help="File of item ids, one a line; without it, the popular items.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A feature's value, such as device=phone; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the items for machines.")] = False,
) -> None:
    """Rank items for a user in a domain."""
    from pipeline.recommend import Ask, read_candidates
    from pipeline.serve.ranking import recommend_once

    given = None if candidates is None else read_candidates(candidates)
    ask = Ask(user, domain, k, given)
    answer = recommend_once(model, ask, context or ())
    if as_json:
        typer.echo(json.dumps(answer, indent=1))
        return
    for name in ("user", "domain"):
        if not answer[f"known_{name}"]:
            said = escape(f"the logs do not know the {name} {getattr(ask, name)!r}")
            console.print(f"[yellow]![/] {said}", highlight=False)
    for place, item in enumerate(answer["items"], start=1):
        console.print(f"{place:>4}  {item['probability']:.4f}  {escape(item['item'])}", highlight=False)
    if not answer["items"]:
        console.print("no item is left: the user has clicked every candidate")


def rollback(
    model: Model,
    why: Annotated[str, typer.Option("--why", help="The reason, for those who read the log.")],
) -> None:
    """Take the newest version away, so that the one before it serves again."""
    from pipeline.rollback import roll_back

    done = roll_back(model, why)
    console.print(
        f"[green]✓[/] version {done.serves} serves; version {done.version} is in {done.moved_to}",
        highlight=False,
        soft_wrap=True,
    )


COMMANDS = (serve, recommend, rollback)
