"""The short form of the report, for the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.report.domains import Line, lines
from pipeline.results import Results
from pipeline.run_folder import RunFolder


def print_summary(results: Results, folder: RunFolder, console: Console) -> None:
    """Print the per-domain table, the verdict and where everything is."""
    console.print(domain_table(results))
    console.print(*verdict_lines(results), sep="\n", highlight=False)
    places = {
        "started": results.record["started"],  # a later run may have failed, or not have ended yet
        "model": results.pushed_to or "not pushed",
        "report": folder.report,
        "metadata": folder.metadata,
    }
    for name, place in places.items():
        console.print(f"{name:<9} {place}", highlight=False, markup=False, soft_wrap=True)


def domain_table(results: Results) -> Table:
    """Return one line per domain, largest first, after the line over all rows."""
    table = Table(title=f"{results.config.name}: test split by domain", title_justify="left", box=None)
    table.add_column("domain", no_wrap=True, max_width=24)
    for name in ("rows", "clicks", "AUC", "change", "log loss", "calib."):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines(results.metrics):
        table.add_row(*_cells(line), style="bold" if not table.rows else None)
    return table


def verdict_lines(results: Results) -> list[str]:
    """Return the gate's decision: failed rules by name, or that all passed; and why it compared nothing."""
    rules = results.verdict["rules"]
    failed = [rule for rule in rules if rule["verdict"] == "fail"]
    few = sorted({rule["domain"] for rule in rules if rule["verdict"] == "too few" and rule.get("domain")})
    lines = [f"[red]✗ {escape(rule['text'])}[/]" for rule in failed]
    if few:
        lines.append(f"[dim]too few rows to judge: {escape(', '.join(few))}[/]")
    if results.unjudged:
        lines.append(f"[dim]trained on, but without a test row: {escape(', '.join(results.unjudged))}[/]")
    if results.blessed:
        lines.append(f"[green]✓ blessed: {len(rules) - len(failed)} rules passed or not applicable[/]")
    else:
        pushed = "pushed by force" if results.forced else "nothing was pushed"
        lines.append(f"[red]✗ not blessed: {len(failed)} of {len(rules)} rules failed; {pushed}[/]")
    if results.refused:
        lines.append(f"[red]✗ not pushed: {escape(results.refused)}[/]")
    if note := results.verdict["baseline_note"]:  # else a pass would read as "not worse than what serves"
        lines.append(f"[yellow]! {escape(note)}[/]")
    if results.forced:
        lines.append(f"[yellow]! {escape(forced_text(results.forced))}[/]")
    return lines


def forced_text(forced: dict[str, str]) -> str:
    """Return who pushed a model that was held back, why and when, as one sentence."""
    who = f"{forced['by']}, {forced['at']}"
    return f"pushed by force as version {forced['version']} by {who}: {forced['why']}"


def _cells(line: Line) -> list[str]:
    figures = line.figures
    change = f"{line.arrow} {line.change['value']:+.4f}" if line.change else ""
    return [
        escape(line.name),
        f"{figures['rows']:,}",
        f"{figures['positives']:,}",
        "too few" if figures["auc"] is None else f"{figures['auc']:.4f}",
        change,
        "" if figures["logloss"] is None else f"{figures['logloss']:.4f}",
        "" if figures["calibration"] is None else f"{figures['calibration']:.3f}",
    ]
