"""Runs the cells of a benchmark side by side, each in its own process; a cell that is done stays done."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.bench.cell import CellSpec
from pipeline.run import RunError
from pipeline.run_folder import read_json
from schema.atomic import write_whole
from schema.progress import PROGRESS_FILE

POLL_SECONDS = 0.3
TAIL_BYTES = 1 << 16


@dataclass
class _Running:
    process: subprocess.Popen
    spec: CellSpec
    task: int


class Store:
    """The results of a suite's cells, one file each.

    Args:
        folder: of the suite.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, spec: CellSpec, ending: str = "json") -> Path:
        """Return the place of a cell's result, spec (`spec`), log (`log`) or progress (`jsonl`)."""
        folder = self.folder / ("cells" if ending == "json" else "work")
        return folder / f"{re.sub(r'[^a-z0-9_.+-]+', '-', spec.name)}.{ending}"

    def result(self, spec: CellSpec) -> dict | None:
        """Return a cell's result; None where there is none, or only one of other settings."""
        path = self.path(spec)
        found = read_json(path) if path.is_file() else None
        return found if found and found["settings"] == settings_key(spec) else None

    def results(self) -> list[dict]:
        """Return the results of all cells ever done here."""
        return [read_json(file) for file in sorted((self.folder / "cells").glob("*.json"))]


def settings_key(spec: CellSpec) -> str:
    """Return a hash of everything in a config that decides a cell's figures."""
    values = spec.model_dump(mode="json", include={"model", "learning", "evaluation"})
    text = json.dumps([values, spec.data.name], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_cells(specs: list[CellSpec], store: Store, jobs: int, extra: dict, console: Console) -> None:
    """Measure cells, some at a time.

    Args:
        specs: the cells. store: where their results go.
        jobs: how many run at a time; each gets its share of the cores.
        extra: what each result says besides its figures, such as the command.
        console: where the progress is shown.

    Raises:
        RunError: cells failed (the others are done), or Ctrl-C.
    """
    waiting, running, failed = list(specs), [], []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    try:
        with progress:
            while waiting or running:
                while waiting and len(running) < jobs:
                    spec = waiting.pop(0)
                    task = progress.add_task(spec.name, total=spec.learning.epochs, note="starts")
                    running.append(_Running(_start(spec, store, jobs), spec, task))
                time.sleep(POLL_SECONDS)
                for cell in list(running):
                    if cell.process.poll() is None:
                        progress.update(cell.task, **_seen(store.path(cell.spec, "jsonl")))
                        continue
                    running.remove(cell)
                    progress.remove_task(cell.task)
                    if cell.process.returncode:
                        failed.append(cell.spec)
                        console.print(f"[red]✗[/] {cell.spec.name}", highlight=False)
                    else:
                        console.print(_finish(cell.spec, store, extra), highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        raise RunError("stopped. The cells that were done are kept; the same command goes on.", 130) from None
    finally:
        for cell in running:
            cell.process.kill()
            cell.process.wait()
    if failed:
        first = failed[0]
        raise RunError(
            f"{len(failed)} of {len(specs)} cells failed: {', '.join(spec.name for spec in failed)}.\n"
            f"{first.name}: {_last_line(store.path(first, 'log'))}\nIts log is {store.path(first, 'log')}."
        )


def _start(spec: CellSpec, store: Store, jobs: int) -> subprocess.Popen:
    cores = str(max(1, (os.cpu_count() or 1) // jobs))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), cores)
    seen = store.path(spec, "jsonl")
    write_whole(store.path(spec, "spec"), spec.model_dump_json(indent=1))
    write_whole(seen, "")
    store.path(spec).parent.mkdir(parents=True, exist_ok=True)
    beside = store.path(spec, "result")
    with open(store.path(spec, "log"), "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.bench.cell", str(store.path(spec, "spec")), str(beside)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **threads, PROGRESS_FILE: str(seen), "TF_CPP_MIN_LOG_LEVEL": "2"},
            start_new_session=True,
        )


def _finish(spec: CellSpec, store: Store, extra: dict) -> str:
    """Put a cell's result into the store and return a line about it."""
    result = read_json(store.path(spec, "result"))
    write_whole(store.path(spec), json.dumps({**result, "settings": settings_key(spec), **extra}, indent=1))
    mean = result["mean_domain_auc"]
    return (
        f"[green]✓[/] {spec.name}: AUC {result['auc']:.4f}, mean domain AUC "
        f"{'-' if mean is None else format(mean, '.4f')}, {result['seconds']:.0f} s, "
        f"{result['samples_per_s']:,} samples/s"
    )


def _seen(file: Path) -> dict:
    """Return what the newest line of a cell's progress says."""
    with open(file, "rb") as lines:
        lines.seek(max(0, file.stat().st_size - TAIL_BYTES))
        last = lines.read().splitlines()[-1:]
    try:
        figures = json.loads(last[0])
    except (IndexError, ValueError):
        return {}
    done = figures.get("epoch", 1) - (0 if figures.get("validated") else 1)
    auc = figures.get("mean_domain_auc")
    return {"completed": done, "note": f"epoch {figures.get('epoch', 1)}" + (f", {auc:.4f}" if auc else "")}


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"
