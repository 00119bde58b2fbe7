"""`mdr bench serve`: latency and requests per second of a server, beside bare calls of the same function."""

import multiprocessing
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console

from pipeline.bench.machine import machine
from pipeline.bench.serve_load import bare_calls, server_calls
from pipeline.predict import find_model

ROWS, CLIENTS = (1, 32, 512), (1, 8, 32)
PROTOCOLS = ("grpc", "rest")
# By floor: whether TensorFlow may split an operation over threads (mdr serve forbids it), and whether there
# are as many callers as clients; else one.
FLOORS = {"bare": (True, False), "bare_one_thread": (False, False), "bare_same_clients": (True, True)}
FLOOR_NAMES = ("bare", "one thread", "as many callers")
COUNTED_FROM = 32  # rows; a smaller request is mostly transport
FLOOD_ROWS, FLOOD_TIMES, FLOOD_SECONDS = 512, 8, 5
START_SECONDS = 120


def run(target: Path, seconds: float, repeat: int, done: Callable[[str], None]) -> dict:
    """Measure a server of a push target, and bare calls of its newest version, in turn.

    Args:
        target: the push target. seconds: of one measurement. repeat: turns. done: told of each cell.

    Returns:
        By `batch B, clients C` and kind (those of `FLOORS`, `grpc`, `rest`): `p50_ms`, `p95_ms`, `p99_ms`,
        `requests_per_s`, and for the two protocols by floor how much longer a request takes (the time per
        request, which is 1 / requests_per_s; 0.25 is a quarter longer), the median over the turns. At the top
        `overhead`: the worst of gRPC over `bare` from 32 rows on, `overheads`: likewise by protocol and
        floor, and `flood`: what came back at eight times the sustained rate.
    """
    model, cells = find_model(target), {}
    with ExitStack() as stack:
        functions = {
            split: stack.enter_context(_process(bare_calls, model, split)) for split in (True, False)
        }
        grpc_address, rest_port = stack.enter_context(_server(target))
        client = stack.enter_context(_process(server_calls, model, grpc_address, rest_port))
        for rows in ROWS:
            for clients in CLIENTS:
                turns = []
                for _ in range(repeat):
                    turn = {
                        kind: _ask(functions[split], (rows, clients if same else 1, seconds))
                        for kind, (split, same) in FLOORS.items()
                    }
                    turn |= {kind: _ask(client, (kind, rows, clients, seconds)) for kind in PROTOCOLS}
                    turns.append(turn)
                cell = cells[f"batch {rows}, clients {clients}"] = _figures(turns, clients)
                done(f"batch {rows}, {clients} clients: {cell['grpc']['requests_per_s']:,} requests/s")
        sustained = max(cells[f"batch {FLOOD_ROWS}, clients {c}"]["grpc"]["requests_per_s"] for c in CLIENTS)
        flood = _ask(client, ("flood", FLOOD_ROWS, FLOOD_TIMES * sustained, FLOOD_SECONDS))
    answered = flood.pop("seconds")
    counted = [cells[f"batch {rows}, clients {c}"] for rows in ROWS if rows >= COUNTED_FROM for c in CLIENTS]
    overheads = {
        protocol: {floor: max(cell[protocol][floor] for cell in counted) for floor in FLOORS}
        for protocol in PROTOCOLS
    }
    return {
        **cells,
        "overhead": overheads["grpc"]["bare"],
        "overheads": overheads,
        "flood": {"batch": FLOOD_ROWS, "sustained_per_s": sustained, **flood, **_percentiles(answered)},
        "load_average": round(psutil.getloadavg()[1], 1),
        "seconds": seconds,
        "repeat": repeat,
    }


def sample_target(folder: Path, console: Console) -> Path:
    """Return the push target of a run on the sample logs, made if it is not there."""
    from pipeline.config import load
    from pipeline.run import run as run_pipeline
    from pipeline.run_folder import RunFolder
    from schema.sample.write import write

    run_folder = RunFolder((folder / "run").absolute())
    if not run_folder.serving.is_dir():
        write(folder / "sample")
        run_pipeline(load(folder / "sample" / "config.yaml"), run_folder, console)
    return run_folder.serving


def markdown(figures: dict, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    kinds = (*FLOORS, *PROTOCOLS)
    lines = [
        "## mdr serve beside bare calls of the model's function",
        "",
        f"Medians of {figures['repeat']} turns of {figures['seconds']:g} s; the clients are threads of one"
        " other process on the same machine. A bare call has its tensors already: by one caller as TensorFlow"
        " comes, by one caller with one thread per operation as mdr serve sets it, and by as many callers as"
        " clients. Each entry: p50 / p95 / p99 in ms, requests/s.",
        "",
        "| rows, clients | bare | bare, one thread | bare, as many callers | gRPC | REST |",
        "|---|---|---|---|---|---|",
    ]
    cells = {key.removeprefix("batch "): cell for key, cell in figures.items() if key.startswith("batch")}
    for key, cell in cells.items():
        entries = []
        for kind in kinds:
            times = " / ".join(f"{cell[kind][f'p{p}_ms']:.1f}" for p in (50, 95, 99))
            entries.append(f"{times}, {cell[kind]['requests_per_s']:,}")
        lines.append(f"| {key} | " + " | ".join(entries) + " |")
    lines += [
        "",
        "How much longer the server takes per request (1 / requests/s) than each bare call:",
        "",
        "| rows, clients | " + " | ".join(f"{p}: {f}" for p in ("gRPC", "REST") for f in FLOOR_NAMES) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, cell in cells.items():
        entries = [f"{cell[protocol][floor]:+.0%}" for protocol in PROTOCOLS for floor in FLOORS]
        lines.append(f"| {key} | " + " | ".join(entries) + " |")
    flood = figures["flood"]
    came = ", ".join(f"{count:,} {status}" for status, count in sorted(flood["statuses"].items()))
    return "\n".join(
        [
            *lines,
            "",
            f"The worst of gRPC from {COUNTED_FROM} rows on, over a bare call: {figures['overhead']:+.0%}.",
            "",
            f"Flooded with {flood['sent_per_s']:,} requests/s of {flood['batch']} rows"
            f" ({FLOOD_TIMES} times {flood['sustained_per_s']:,} was asked of the client): {came}; those"
            f" answered took {flood['p50_ms']:.0f} ms (p50), {flood['p99_ms']:.0f} ms (p99).",
            "",
            f"`{command}`",
            "",
            f"Machine: {machine()}. Load average during it: {figures['load_average']}.",
        ]
    )


def _figures(turns: list[dict[str, list[float]]], clients: int) -> dict[str, dict]:
    callers = {kind: clients if same else 1 for kind, (_, same) in FLOORS.items()}
    callers |= dict.fromkeys(PROTOCOLS, clients)
    figures, per_request = {}, {}
    for kind, count in callers.items():
        each = [_percentiles(turn[kind]) for turn in turns]
        figures[kind] = {name: round(statistics.median(one[name] for one in each), 3) for name in each[0]}
        per_request[kind] = [statistics.fmean(turn[kind]) / count for turn in turns]
        figures[kind]["requests_per_s"] = round(1 / statistics.median(per_request[kind]))
    for protocol in PROTOCOLS:
        for floor in FLOORS:
            pairs = zip(per_request[protocol], per_request[floor], strict=True)
            figures[protocol][floor] = round(statistics.median(ours / bare - 1 for ours, bare in pairs), 3)
    return figures


def _percentiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {f"p{p}_ms": float("nan") for p in (50, 95, 99)}
    return {f"p{p}_ms": round(1000 * float(np.percentile(seconds, p)), 3) for p in (50, 95, 99)}


def _ask(connection, task: tuple):
    connection.send(task)
    return connection.recv()


@contextmanager
def _process(work: Callable, *arguments) -> Iterator:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()  # so that its end is an end of file here
    try:
        ours.recv()  # ready
        yield ours
        ours.send(None)
        process.join()
    finally:
        process.kill()


@contextmanager
def _server(target: Path) -> Iterator[tuple[str, int]]:
    """Start `mdr serve` on free ports and yield its gRPC address and REST port."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--model", str(target)]
    command += ["--rest-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = ""
        for line in process.stdout:
            lines += line
            if found := re.search(r"REST +http://[^:]+:(\d+)/.*gRPC +(\S+:\d+)", lines, re.DOTALL):
                yield found[2], int(found[1])
                break
        else:
            raise RuntimeError(f"mdr serve ended before it served: {lines}")
        process.terminate()
        process.wait(START_SECONDS)
    finally:
        process.kill()
