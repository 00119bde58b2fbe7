"""Shows what each component of a run is doing."""

import json
import time

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

MARKS = {"running": "[cyan]●[/]", "complete": "[green]✓[/]", "cached": "[green]↻[/]", "failed": "[red]✗[/]"}
WORDS = {"running": "running", "complete": "done", "cached": "reused", "failed": "failed"}


class Watch:
    """Turns progress lines into a live table, or into plain lines where the output is no terminal.

    Attributes:
        components: by name, in the order of their start: the latest figures of each.
    """

    def __init__(self, console: Console):
        self.components: dict[str, dict] = {}
        self._console = console
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=False)

    def __enter__(self):
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error):
        if self._console.is_terminal:
            self._live.stop()

    def update(self, lines: list[str]) -> None:
        """Take in new progress lines (see schema/progress.py)."""
        for line in lines:
            event = json.loads(line)
            name = event.pop("component")
            figures = self.components.setdefault(name, {"started": event["at"]})
            figures.update(event)
            if "state" in event:
                if event["state"] != "running":
                    figures["ended"] = event["at"]
                if not self._console.is_terminal and name != "start":
                    self._say(self._line(name))
            elif not self._console.is_terminal and event.keys() & {"validated", "warning", "start"}:
                self._say(f"  {name}: {escape(note(figures))}")

    @property
    def failure(self) -> tuple[str, str]:
        """Name and error of the component that failed; what ended the process where none says so."""
        for name, figures in self.components.items():
            if figures.get("state") == "failed":
                return name, figures.get("error", "")
        running = [name for name, figures in self.components.items() if figures.get("state") == "running"]
        return (running[-1] if running else "start"), "the process ended without a word; see the log."

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _line(self, name: str) -> str:
        figures = self.components[name]
        rows = f"{figures['rows']:,} rows" if figures.get("rows") else ""
        return (
            f"{MARKS[figures['state']]} {name:<20} {WORDS[figures['state']]:<8} {seconds(figures):>7}  {rows}"
        )

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("")
        table.add_column("component", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("rows", justify="right", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True)
        for name, figures in self.components.items():
            state = figures.get("state", "running")
            if name == "start" and len(self.components) > 1:  # only until the first component starts
                continue
            rows = f"{figures['rows']:,}" if figures.get("rows") else ""
            table.add_row(MARKS[state], name, WORDS[state], seconds(figures), rows, escape(note(figures)))
        return table


def seconds(figures: dict) -> str:
    """Return how long a component took, or has taken so far, as `12.3s` or `2m05s`."""
    elapsed = figures.get("ended", time.time()) - figures["started"]
    return f"{elapsed:.1f}s" if elapsed < 60 else f"{int(elapsed // 60)}m{int(elapsed % 60):02d}s"


def note(figures: dict) -> str:
    """Return a component's own figures in one short text."""
    parts = []
    if "epoch" in figures:
        parts.append(f"epoch {figures['epoch']}")
    elif "start" in figures:
        parts.append(figures["start"])
    if "steps" in figures:
        parts.append(f"{figures.get('step', 0)}/{figures['steps']} steps")
    if "steps_per_s" in figures:
        parts.append(f"{figures['steps_per_s']:.0f} steps/s")
    if "loss" in figures:
        parts.append(f"loss {figures['loss']:.4f}")
    groups = {"mean_domain_auc": "mean domain AUC", "major_auc": "major", "minor_auc": "minor"}
    parts += [f"{words} {figures[name]:.4f}" for name, words in groups.items() if name in figures]
    if "skipped" in figures:
        parts.append(f"left out, their loss was not finite: {figures['skipped']}")
    if "warning" in figures:
        parts.append(figures["warning"])
    return " · ".join(parts)
