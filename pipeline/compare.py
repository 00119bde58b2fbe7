"""`mdr compare`: the models of two runs beside each other, domain by domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.domain_evaluator.figures import CANDIDATE, Slices, changed
from components.domain_evaluator.measures import METRICS
from components.domain_evaluator.replicates import read_replicates
from components.domain_evaluator.settings import EvaluationSettings
from pipeline.report.domains import arrow
from pipeline.results import Results, load_results
from pipeline.run_folder import RunFolder


@dataclass(frozen=True)
class Comparison:
    """One run against another.

    Attributes:
        first, other: folders of the runs. paired: whether both were measured on the same test rows.
        overall: by metric the change from first to other. domains: likewise by domain, the largest first;
            only those that both have. missing: domains that only one has.
        figures: the figures of both over all rows and by domain.
    """

    first: str
    other: str
    paired: bool
    overall: dict[str, dict[str, Any]]
    domains: dict[str, dict[str, dict[str, Any]]]
    missing: list[str]
    figures: tuple[dict[str, Any], dict[str, Any]]


def compare(first: Path, other: Path) -> Comparison:
    """Compare the models of two finished runs.

    On the same test rows the differences are those of the jackknife, group of users by group; on others the
    two figures are taken as independent.

    Args:
        first, other: folders of the runs; the change is from first to other.

    Raises:
        ValueError: a run is not finished, or its figures hold no replicates.
    """
    results = [load_results(RunFolder(folder.absolute())) for folder in (first, other)]
    slices = [_slices(one) for one in results]
    figures = tuple(one.metrics for one in results)
    return between((str(first), str(other)), figures, slices, results[0].config.evaluation)


def between(
    names: tuple[str, str],
    figures: tuple[dict[str, Any], dict[str, Any]],
    slices: Sequence[Slices],
    settings: EvaluationSettings,
) -> Comparison:
    """Compare two models by what their evaluations left.

    Args:
        names: of the runs. figures: contents of their `metrics.json`. slices: see `read_replicates`.
        settings: of the evaluation.
    """
    paired = _same_rows(*slices)
    changes = changed(slices[1], slices[0], settings) if paired else _independent(*figures)
    domains = [one["domains"] for one in figures]
    shared = sorted(domains[0].keys() & domains[1].keys(), key=lambda name: -domains[1][name]["rows"])
    return Comparison(
        *names,
        paired=paired,
        overall=changes["overall"],
        domains={name: changes["domains"][name] for name in shared},
        missing=sorted(domains[0].keys() ^ domains[1].keys()),
        figures=figures,
    )


def table(compared: Comparison) -> Table:
    """Return the comparison for the terminal."""
    title = escape(f"from {compared.first} to {compared.other}")
    shown = Table(title=title, title_justify="left", box=None)
    shown.add_column("domain", no_wrap=True, max_width=24)
    for name in ("rows", "AUC", "AUC", "change", "interval"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_row(*_cells("all rows", compared, compared.overall), style="bold")
    for name, changes in compared.domains.items():
        shown.add_row(*_cells(name, compared, changes))
    return shown


def print_comparison(compared: Comparison, console: Console) -> None:
    """Print the table, and what a reader must know of it."""
    console.print(table(compared))
    if not compared.paired:
        console.print("[yellow]![/] the test rows differ: intervals take the runs as independent")
    if compared.missing:
        missing = escape(", ".join(compared.missing))
        console.print(f"[yellow]![/] in one run only: {missing}", highlight=False)


def _cells(name: str, compared: Comparison, changes: dict[str, dict[str, Any]]) -> list[str]:
    figures = [
        one["overall"] if changes is compared.overall else one["domains"][name] for one in compared.figures
    ]
    change = changes["auc"]
    aucs = ["too few" if one["auc"] is None else f"{one['auc']:.4f}" for one in figures]
    known = change["low"] is not None
    return [
        escape(name),
        f"{figures[1]['rows']:,}",
        *aucs,
        f"{arrow(change)} {change['value']:+.4f}" if change["value"] is not None else "",
        f"{change['low']:+.4f} to {change['high']:+.4f}" if known else "",
    ]


def _slices(results: Results) -> Slices:
    evaluation = Path(results.record["components"]["DomainEvaluator"]["outputs"]["evaluation"]["uri"])
    return read_replicates(evaluation / "tfma")[CANDIDATE]


def _same_rows(first: Slices, other: Slices) -> bool:
    """Return whether every group of users has as many rows and positives in both, slice by slice."""
    names = [name for name in first.keys() | other.keys() if len(name) < 2]
    return all(
        name in first
        and name in other
        and all(np.array_equal(first[name][key], other[name][key]) for key in ("rows", "positives"))
        for name in names
    )


def _independent(first: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of figures measured on different rows, from their intervals."""
    changes: dict[str, Any] = {"overall": _apart(first["overall"], other["overall"]), "domains": {}}
    for name in first["domains"].keys() & other["domains"].keys():
        changes["domains"][name] = _apart(first["domains"][name], other["domains"][name])
    return changes


def _apart(first: dict[str, Any], other: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the difference of each metric; its interval's half width is the root of the squares of both."""
    changes = {}
    for metric in METRICS:
        ends = [one["intervals"].get(metric) for one in (first, other)]
        known = first[metric] is not None and other[metric] is not None
        value = other[metric] - first[metric] if known else None
        reach = float(np.hypot(*((high - low) / 2 for low, high in ends))) if known and all(ends) else None
        changes[metric] = {
            "value": value,
            "low": None if reach is None else value - reach,
            "high": None if reach is None else value + reach,
        }
    return changes
